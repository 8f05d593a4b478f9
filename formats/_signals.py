"""Signals: hashes that stand under the name of their type, as ThreatExchange and its relatives give them.

Source: docs/threatexchange.md. A type that is a text, an address or a query is no hash and is left
out; a type that is not known here is kept as it stands, and never taken for the hash of a file.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hashlib_interop.algorithms import ALGORITHMS, FINGERPRINTS, parse_base64, parse_hex
from hashlib_interop.errors import BadDigest, BadOption, shown
from hashlib_interop.formats._json_pages import BadRecord, LeftOut, Options
from hashlib_interop.model import Json


@dataclass(frozen=True)
class Signal:
    """A type of signal: its name at the partner's, the digest or kind of fingerprint, the media that it says.

    `only` are the media of a row that may be written as this type; None is a row that says nothing.
    """

    name: str
    field: str
    media: str | None = None
    only: tuple[str | None, ...] = (None, "image", "video", "other")


def signal_row(signals: Sequence[Signal], no_hash: Sequence[str], name: str, text: str, key: str) -> Json | None:
    """Return what a value says: its digest or fingerprint, media and ref; None for a type that is not known.

    `LeftOut` for a type that is no hash, `BadRecord` at `key` for a text that is no value of its type.
    """
    if name in no_hash:
        raise LeftOut(f"{name} (no hash)")
    known = next((signal for signal in signals if signal.name == name), None)
    if known is None:
        return None
    value = value_of(known.field, text, key)
    row: Json = {"media": known.media} if known.media else {}
    return row | held_as(known.field, value)


def held_as(field: str, value: bytes) -> Json:
    """Return a digest or fingerprint as fields of a row, `ref` among them."""
    if field in ALGORITHMS:
        return {field: value, "ref": f"{field}:{value.hex()}"}
    named = value.decode() if FINGERPRINTS[field].text else value.hex()
    return {"fingerprints": [{"kind": field, "value": value}], "ref": f"{field}:{named}"}


def value_of(field: str, text: str, key: str) -> bytes:
    """Read the text of a digest or fingerprint; `BadRecord` at `key` where it is none."""
    width = ALGORITHMS[field].width if field in ALGORITHMS else FINGERPRINTS[field].width
    try:
        if width is None:
            return _text_value(field, text)
        is_base64 = field == "photodna" and len(text) == 192
        return parse_base64(text, width) if is_base64 else parse_hex(text, width)
    except BadDigest:
        raise BadRecord(f"not a value of {field}", key, text) from None


def _text_value(field: str, text: str) -> bytes:
    if not re.fullmatch(FINGERPRINTS[field].pattern, text, re.ASCII):
        raise BadDigest(f"no {field}")
    return text.encode()


def text_of(field: str, value: bytes) -> str:
    """Return a digest or fingerprint as text: lower-case hex, PhotoDNA in base64. `BadRecord` for bytes that are none."""
    if field == "photodna":
        return base64.b64encode(value).decode()
    if field in FINGERPRINTS and FINGERPRINTS[field].text:
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise BadRecord(f"not a text of {field}") from None
    return value.hex()


def held(row: Json, field: str) -> bytes | None:
    """Return the digest, or the first fingerprint of a kind, that a row has."""
    if field in ALGORITHMS:
        digest: bytes | None = row[field]
        return digest
    return next((item["value"] for item in row["fingerprints"] or () if item["kind"] == field), None)


def chosen(row: Json, signals: Sequence[Signal], options: Options) -> tuple[str, str] | None:
    """Return the type and text of the one signal to write for a row: the first that it has; None for none.

    The option `type` says the only type to write.
    """
    only = options.get("type")
    if only is not None and only not in [signal.name for signal in signals]:
        known = ", ".join(signal.name for signal in signals)
        raise BadOption(f"no type {shown(only)}; known: {known}")
    for signal in signals:
        value = held(row, signal.field)
        if value is not None and only in (None, signal.name) and row["media"] in signal.only:
            return signal.name, text_of(signal.field, value)
    return None
