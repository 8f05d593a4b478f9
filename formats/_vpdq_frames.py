"""The frames of a vPDQ fingerprint in their spellings, and the one text that stands for them in an entry.

The text of the kind `vpdq`: a line a frame, `frame,quality,pdq,timestamp` and LF, in the order of the file, no
frame left out. `frame` is the number in the video, below 10^9, empty where the source gives none (in all lines then);
`quality` 0 to 100; `pdq` 64 hex characters, lower case; `timestamp` seconds with at least 3 decimals and none
cut. That is the text of the C++ tool, which comes back byte for byte. Source: docs/vpdq.md
(facebook/ThreatExchange, vpdqio.cpp and vpdq_util.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from hashlib_interop.errors import shown
from hashlib_interop.strict_json import strict_json

_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_QUALITY = re.compile(r"100|[1-9]?[0-9]", re.ASCII)
_PDQ = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,2})?", re.ASCII)
_REST = r",(?:100|[1-9]?[0-9]),[0-9a-f]{64},(?:0|[1-9][0-9]{0,8})\.(?:[0-9]{3}|[0-9]{3,11}[1-9])\n"
_CANONICAL = re.compile(rf"(?:(?:{_NUMBER.pattern}){_REST})+|(?:{_REST})+", re.ASCII)
_KEYS = {"quality", "hash", "timestamp"}
_COLUMNS = ("frameNumber", "quality", "pdq", "timestamp")


class Frame(NamedTuple):
    """One frame as the file spells it; `number` empty where it has none."""

    number: str
    quality: str
    pdq: str
    timestamp: str


class BadFrame(ValueError):
    """A frame that is none; `place` counts from 1 (in text: the line)."""

    def __init__(self, place: int, message: str) -> None:
        super().__init__(message)
        self.place = place


def canonical(frames: Iterator[Frame]) -> str:
    """Return the one text of frames. Raises `BadFrame` at the first that is none."""
    return "".join(_line(frame, place) for place, frame in enumerate(frames, 1))


def _line(frame: Frame, place: int) -> str:
    if frame.number and not _NUMBER.fullmatch(frame.number):
        raise BadFrame(place, f"'{shown(frame.number, 40)}' is no frame number")
    if not _QUALITY.fullmatch(frame.quality):
        raise BadFrame(place, f"quality '{shown(frame.quality, 40)}': a number from 0 to 100 is wanted")
    if not _PDQ.fullmatch(frame.pdq):
        raise BadFrame(place, "the PDQ is not 64 hex characters")
    return f"{frame.number},{frame.quality},{frame.pdq.lower()},{_seconds(frame.timestamp, place)}\n"


def _seconds(text: str, place: int) -> str:
    value = Decimal(text) if _SECONDS.fullmatch(text) else Decimal("NaN")
    exponent = value.normalize().as_tuple().exponent if value.is_finite() else None
    if not isinstance(exponent, int) or exponent < -12 or value >= 10**9:
        raise BadFrame(place, f"timestamp '{shown(text, 40)}': seconds below 10^9 with 12 decimals at most are wanted")
    return f"{value:.{max(3, -exponent)}f}"


# Spellings -----------------------------------------------------------------------------------------------


def frames_of_text(text: bytes) -> Iterator[Frame]:
    """Yield the frames of vPDQ text: 4 columns a line, every line ended."""
    lines = text.split(b"\n")
    for place, line in enumerate(lines[:-1], 1):
        parts = line.removesuffix(b"\r").decode("latin-1").split(",")
        if len(parts) != 4:
            raise BadFrame(place, f"{len(parts)} columns, expected 4: {', '.join(_COLUMNS)}")
        if not parts[0]:
            raise BadFrame(place, "no frame number")
        yield Frame(*parts)
    if lines[-1]:
        raise BadFrame(len(lines), "the file is cut off: its last line has no line end")


def frames_of_json(text: bytes) -> Iterator[Frame]:
    """Yield the frames of a JSON list of `pdq,quality,timestamp`, or of the older object by frame number."""
    if text.count(b"{") + text.count(b"[") > len(text) // 64 + 2:
        raise BadFrame(1, "more brackets than frames can have")
    try:
        value = strict_json(text)
    except ValueError as error:
        raise BadFrame(1, str(error)) from None
    if isinstance(value, list):
        return (_compact(item, place) for place, item in enumerate(value, 1))
    return (_keyed(key, item, place) for place, (key, item) in enumerate(value.items(), 1))


def _compact(item: Any, place: int) -> Frame:
    parts = item.split(",") if isinstance(item, str) else ()
    if len(parts) != 3:
        raise BadFrame(place, "not a text of pdq,quality,timestamp")
    pdq, quality, timestamp = parts
    return Frame("", quality, pdq, timestamp)


def _keyed(key: str, item: Any, place: int) -> Frame:
    if not isinstance(item, dict) or item.keys() != _KEYS:
        raise BadFrame(place, f"not an object of {', '.join(sorted(_KEYS))}")
    if not key:
        raise BadFrame(place, "no frame number")
    if not isinstance(item["hash"], str) or not {type(item["quality"]), type(item["timestamp"])} <= {int, float}:
        raise BadFrame(place, "hash must be a text, quality and timestamp numbers")
    return Frame(key, repr(item["quality"]), item["hash"], repr(item["timestamp"]))


# The text in an entry ------------------------------------------------------------------------------------


def is_canonical(text: str) -> bool:
    """Tell whether a value of the kind `vpdq` is what `canonical` makes; all its frames have numbers, or none."""
    return _CANONICAL.fullmatch(text) is not None


def frames_of_canonical(text: str) -> Iterator[Frame]:
    """Yield the frames of a text that `canonical` made."""
    return (Frame(*line.split(",")) for line in text.splitlines())


def has_numbers(text: str) -> bool:
    """Tell whether a canonical text numbers its frames."""
    return not text.startswith(",")


def numbered(text: str) -> str:
    """Return a canonical text with its frames numbered from 0, in their order."""
    frames = enumerate(frames_of_canonical(text))
    return canonical(frame._replace(number=str(number)) for number, frame in frames)
