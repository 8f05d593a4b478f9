"""vPDQ: the PDQ of the frames of one video. facebook/ThreatExchange, vpdq (C++ text) and python-threatexchange (JSON).

Source: docs/vpdq.md. Three spellings are read, told apart by their first character:

    0,100,e561…95fc,0.000                                         text of the C++ tool: frame, quality, pdq, seconds
    ["e561…95fc,100,0.0", …]                                      pytx: pdq, quality, seconds; no frame numbers
    {"0": {"quality": 100, "hash": "e561…95fc", "timestamp": 0.0}, …}       pytx, older

A file is the fingerprint of one video, so it is one entry, all its frames in one fingerprint: those of low
quality too, which matchers leave out. A file with one bad frame is refused, since without it the fingerprint is
another. Written: text. It holds one video and ends without a mark, so a cut between two lines cannot be seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from hashlib_interop.carrying import kinds
from hashlib_interop.columns import mask_of
from hashlib_interop.errors import CannotWrite
from hashlib_interop.format import Columns, Format, Option, Reading, Writing, whole
from hashlib_interop.formats._one_video import REF, derived_ref, one_video
from hashlib_interop.formats._vpdq_frames import (
    BadFrame,
    canonical,
    frames_of_json,
    frames_of_text,
    has_numbers,
    is_canonical,
    numbered,
)
from hashlib_interop.kernels import Mask
from hashlib_interop.model import ENTRY_SCHEMA

NAME = "vpdq"
LIMIT = 12 << 20
"""Bytes of a file, some 150,000 frames: what makes an entry that a line of `native` can hold."""


# Reader --------------------------------------------------------------------------------------------------


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield the one entry of a file, none for a file without frames. Raises `MalformedInput` for any bad frame."""
    data = stream.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise reading.malformed(f"more than {LIMIT >> 20} MiB: no fingerprint of one video")
    is_json = data.lstrip()[:1] in (b"[", b"{")
    try:
        text = canonical(frames_of_json(data) if is_json else frames_of_text(data))
    except BadFrame as error:
        raise reading.malformed(str(error), error.place) from None
    reading.fact("frames", text.count("\n"))
    if text:
        yield one_video(NAME, text.encode(), reading)


# Writer --------------------------------------------------------------------------------------------------


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write the text of one video. Raises `CannotWrite` at a second one."""
    given = 0
    for batch in batches:
        for items in batch.column("fingerprints").to_pylist():
            given += 1
            if given > 1:
                raise CannotWrite("a vPDQ file holds one video, the list has more: write each to its own file")
            stream.write(items[0]["value"])


_first = kinds(NAME)


def _texts(batch: pa.RecordBatch, writing: Writing) -> list[str | None]:
    """Return the text that each row would have in a file; None where it has no usable fingerprint."""
    texts = [_text(items[0]["value"]) if items else None for items in _first(batch, writing).to_pylist()]
    if writing.options.get("frames") != "order":
        return texts
    return [numbered(text) if text and not has_numbers(text) else text for text in texts]


def _text(value: bytes) -> str | None:
    text = value.decode("latin-1")
    return text if is_canonical(text) else None


def _fingerprints(batch: pa.RecordBatch, writing: Writing) -> pa.ListArray:
    rows = [text and [{"kind": NAME, "value": text.encode()}] for text in _texts(batch, writing)]
    return pa.array(rows, ENTRY_SCHEMA.field("fingerprints").type)


def _refs(batch: pa.RecordBatch, writing: Writing) -> pa.StringArray:
    return pa.array([text and derived_ref(NAME, text.encode()) for text in _texts(batch, writing)], pa.string())


def _refuses(batch: pa.RecordBatch, writing: Writing) -> list[tuple[str, Mask]]:
    texts = _texts(batch, writing)
    bare = np.array([text is not None and not has_numbers(text) for text in texts], bool)
    return [
        ("no vPDQ fingerprint", np.array([text is None for text in texts], bool)),
        ("a vPDQ file is of a video, this entry is not said to be", ~mask_of(_is_video(batch))),
        ("frames without numbers, as pytx writes them: frames=order numbers them from 0", bare),
    ]


def _is_video(batch: pa.RecordBatch) -> pa.BooleanArray:
    return pa.array([media == "video" for media in batch.column("media").to_pylist()], pa.bool_())


# Sniff ---------------------------------------------------------------------------------------------------

_STARTS: tuple[re.Pattern[bytes], ...] = (
    re.compile(rb"[0-9]{1,10},[0-9]{1,3},[0-9A-Fa-f]{64},[0-9]+(\.[0-9]+)?\r?\n"),
    re.compile(rb'\s*\[\s*"[0-9A-Fa-f]{64},[0-9]{1,3},[0-9]'),
    re.compile(rb'\s*\{\s*"[0-9]{1,10}"\s*:\s*\{(?=[^{}]*"hash")(?=[^{}]*"quality")[^{}]*"timestamp"[^{}]*\}'),
)


def sniff(head: bytes) -> int:
    """Claim a file that begins with a frame."""
    return 90 if any(start.match(head) for start in _STARTS) else 0


FORMAT = Format(
    name=NAME,
    title="vPDQ of one video: text or pytx JSON",
    spec="facebook/ThreatExchange, vpdq/cpp (vpdqio.cpp) and extensions/vpdq/vpdq_util.py",
    sniff=sniff,
    read=read,
    write=write,
    carries={"ref": _refs, "media": whole("media"), "fingerprints": _fingerprints},
    refuses=_refuses,
    needs_digest=False,
    delivery="delta",
    unit="frame",
    suffixes=(".vpdq.txt", ".vpdq"),
    options=(REF, Option("frames", "writer: order numbers frames that have no number, from 0")),
)
