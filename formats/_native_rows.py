"""A row of `ENTRY_SCHEMA` as a JSON object and back, strictly: what `native` writes on a line.

Digests are hex, stamps `2025-03-01T12:00:00.000Z`; the value of a fingerprint is text for the kinds of
text, hex for the others (`hex` instead of `value` where a kind of text holds bytes that are no UTF-8).
Absent, null and empty are one thing, except for `audience`. Nothing is coerced: "5" is no number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from hashlib_interop.algorithms import FINGERPRINTS, parse_hex
from hashlib_interop.model import DIGESTS, ENTRY_SCHEMA, FLAGS, SLUG, Json, canonical_json
from hashlib_interop.strict_json import strict_json

DEPTH = 100
"""Levels of nesting in one object: room for the 64 that a partner's record may have."""

_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", re.ASCII)

Decode = Callable[[Any], Any]


class BadField(ValueError):
    """A value that its field does not take."""

    def __init__(self, field: str, value: object, error: ValueError) -> None:
        inner = error if isinstance(error, BadField) else None
        self.field: str = f"{field}.{inner.field}" if inner else field
        self.value: object = inner.value if inner else value
        super().__init__(str(error))


def _is(kind: type, words: str) -> Decode:
    def decode(value: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"must be {words}")
        return value

    return decode


_text, _list, _object = _is(str, "a text"), _is(list, "a list"), _is(dict, "an object")
_integer = _is(int, "a whole number")


def _matching(pattern: re.Pattern[str], words: str) -> Decode:
    def decode(value: Any) -> Any:
        if not pattern.fullmatch(_text(value)):
            raise ValueError(f"must be {words}")
        return value

    return decode


_slug = _matching(SLUG, "a source name of a-z, 0-9, '.', '_' and '-'")
_stamp_text = _matching(_STAMP, "a stamp like 2025-03-01T12:00:00.000Z")


def _number(least: int) -> Decode:
    def decode(value: Any) -> Any:
        if not least <= _integer(value) < 2**63:
            raise ValueError(f"must lie between {least} and 2^63-1")
        return value

    return decode


def _one_of(*allowed: str) -> Decode:
    return _matching(re.compile("|".join(allowed)), " or ".join(allowed))


def _label(value: Any) -> Any:
    return _text(value) or None


def _digest(width: int) -> Decode:
    return lambda value: parse_hex(_text(value), width)


def _set_of(decode: Decode, key: Decode = lambda item: item) -> Decode:
    def decode_all(value: Any) -> Any:
        items = {key(item): item for item in map(decode, _list(value))}
        return [items[k] for k in sorted(items)] or None

    return decode_all


def _struct(must: tuple[str, ...] = (), **members: Decode) -> Decode:
    def decode(value: Any) -> Any:
        found = _row(_object(value), members)
        for name in must:
            if name not in found:
                raise ValueError(f"needs {name}")
        return found

    return decode


_coded = _struct(("kind",), kind=_one_of(*FINGERPRINTS), value=_text, hex=_text)


def _fingerprint(value: Any) -> Any:
    found = _coded(value)
    given = found.keys() & {"value", "hex"}
    if len(given) != 1:
        raise ValueError("needs value or hex")
    text, kind = found[given.pop()], FINGERPRINTS[found["kind"]]
    is_text = kind.text and "value" in found
    data = text.encode() if is_text else parse_hex(text, kind.width or (len(text) + 1) // 2)
    return {"kind": kind.name, "value": data}


_FILE, _TEXTS = _digest(32), _set_of(_text)
_DECODE: dict[str, Decode] = {
    "source": _slug,
    **dict.fromkeys(("ref", "contributor", "mime_type", "series", "reason"), _label),
    **dict.fromkeys(("asserted_at", "recorded_at"), lambda value: datetime.fromisoformat(_stamp_text(value))),
    "seq": _number(-(2**63)),
    "state": _one_of("active", "retracted"),
    **{name: _digest(ENTRY_SCHEMA.field(name).type.byte_width) for name in DIGESTS},
    "fingerprints": _set_of(_fingerprint, lambda item: (item["kind"], item["value"])),
    "media": _one_of("image", "video", "other"),
    "size": _number(0),
    **dict.fromkeys(("file_names", "tags"), _TEXTS),
    "classifications": _set_of(
        _struct(("scheme", "code"), scheme=_text, code=_text), lambda item: (item["scheme"], item["code"])
    ),
    **dict.fromkeys(FLAGS, _is(bool, "true or false")),
    "about": _struct(("source", "ref"), source=_text, ref=_text, considered=_set_of(_FILE)),
    "vote": _one_of("up", "down"),
    "handling": _struct(
        tlp=_label, pap=_label, codes=_TEXTS, caveats=_TEXTS, audience=lambda value: _TEXTS(value) or []
    ),
    "extra": lambda value: canonical_json(value) if _object(value) else None,
}
_DECODE["evidence"] = _set_of(
    _struct(("file",), file=_FILE, release=_DECODE["asserted_at"], position=_number(-(2**63))),
    lambda item: (item["file"], str(item.get("release")), item.get("position") or 0),
)


def _row(value: dict[str, Any], members: dict[str, Decode]) -> dict[str, Any]:
    row = {}
    for name, item in value.items():
        if name not in members:
            raise BadField(name, item, ValueError("unknown field"))
        try:
            if item is not None:
                row[name] = members[name](item)
        except ValueError as error:
            raise BadField(name, item, error) from None
    return row


def row_of(value: Json) -> Json:
    """Return the row that a JSON object states, absent fields left out; `BadField` where it cannot."""
    row = _row(value, _DECODE)
    if not row.get("ref") and not row.keys() & set(DIGESTS):
        raise ValueError("needs a ref or a digest")
    return row


def parsed(text: bytes) -> Json:
    """Return the JSON object in UTF-8 text; ValueError for what `strict_json` refuses, or is nested deeper
    than `DEPTH`.
    """
    value = strict_json(text)
    if text.count(b"[") + text.count(b"{") > DEPTH and _is_deep(value):
        raise ValueError(f"nested deeper than {DEPTH}")
    return _object(value)  # type: ignore[no-any-return]


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEPTH + 1):
        inner = (item.values() if isinstance(item, dict) else item for item in level)
        level = [child for items in inner for child in items if isinstance(child, (dict, list))]
        if not level:
            return False
    return True


def object_of(row: Json) -> Json:
    """Return a row of `ENTRY_SCHEMA` (as `to_pylist` gives it) as JSON values, absent fields left out."""
    value = _json({name: item for name, item in row.items() if name not in ("extra", "fingerprints")})
    if row["extra"]:
        value["extra"] = json.loads(row["extra"])
    if row["fingerprints"]:
        value["fingerprints"] = [_fingerprint_json(item) for item in row["fingerprints"]]
    return value  # type: ignore[no-any-return]


def _fingerprint_json(item: Json) -> Json:
    if FINGERPRINTS[item["kind"]].text:
        try:
            return {"kind": item["kind"], "value": item["value"].decode()}
        except UnicodeDecodeError:
            return {"kind": item["kind"], "hex": item["value"].hex()}
    return {"kind": item["kind"], "value": item["value"].hex()}


def _json(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items() if _is_said(key, item)}
    return value


def _is_said(key: str, item: Any) -> bool:
    return item is not None and (item != [] or key == "audience")
