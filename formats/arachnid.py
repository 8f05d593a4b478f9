"""Project Arachnid Shield (Canadian Centre for Child Protection): answers of its lookup calls. Read only.

Source: docs/arachnid.md (CdnCentreForChildProtection/arachnid-shield-sdk-python @ 3dc3b198).

    {"size_bytes": 2835, "sha1_base32": "TQJ4…", "sha256_hex": "8A83…", "classification": "csam", "match_type": "near",
     "near_match_details": [{"timestamp": 0.0, "sha1_base32": "…", "sha256_hex": "…", "classification": "csam"}]}
    {"scanned_hashes": {"PDQ IN BASE64": {"classification": "csam", "match_type": "near", "near_match_details": []}}}

`no-known-match` is the result of a scan, no statement on the file: it is dropped and counted. What a near match
was near to stays in `extra`; it says nothing of the digests of the file itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from hashlib_interop.algorithms import parse_base32, parse_base64
from hashlib_interop.columns import columns_of_rows
from hashlib_interop.errors import BadDigest
from hashlib_interop.format import Columns, Format, Reading, whole
from hashlib_interop.formats._json_pages import (
    BadRecord,
    LeftOut,
    Options,
    RecordForm,
    document,
    needed,
    put_aside,
    row_read,
    taken,
)
from hashlib_interop.formats._signals import held_as, value_of
from hashlib_interop.model import Json, canonical_json

NAME = "arachnid"
SCHEME = "c3p/arachnid-shield"
NO_STATEMENT = "no-known-match"
_OTHERS = {
    "hashes": "a request to scan",
    "url": "a request to scan",
    "detail": "an answer that says an error",
}

# Reader --------------------------------------------------------------------------------------------------


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield what was scanned: one file, or some PDQ hashes; position = record."""
    answer = document(stream, reading, FORM)
    scanned = answer.get("scanned_hashes")
    if isinstance(scanned, dict) and len(answer) == 1:
        reading.frame = ('{"scanned_hashes":{', "}}")
        read = [_scanned(text, result, place, reading) for place, (text, result) in enumerate(scanned.items(), 1)]
    elif "classification" in answer:
        reading.frame = ("", "")
        read = [row_read(answer, 1, reading, FORM)]
    else:
        kind = next((what for name, what in _OTHERS.items() if name in answer), "none")
        raise reading.malformed(f"not an answer of Arachnid Shield about media or hashes: this is {kind}")
    rows = [row for row in read if row]
    if rows:
        yield columns_of_rows(rows)


def _scanned(text: str, result: object, position: int, reading: Reading) -> Json | None:
    """Return the row of one PDQ hash. It is refused with its key, so that the two can be mended together."""
    raw = f"{canonical_json(text)}:{canonical_json(result)}"
    try:
        if not isinstance(result, dict):
            raise BadRecord("must be an object", "scanned_hashes", result)
        return row_of(result, reading.options) | _hash(text) | {"position": position}
    except LeftOut as error:
        reading.drop(str(error))
    except BadRecord as error:
        reading.reject(position, str(error), field=error.field, value=error.value, raw=raw)
    return None


def _hash(text: str) -> Json:
    try:
        return held_as("pdq", parse_base64(text, 32))
    except BadDigest:
        raise BadRecord("not a PDQ hash in base64", "scanned_hashes", text) from None


def row_of(record: Json, options: Options) -> Json:
    """Return the row that an answer says."""
    rest = dict(record)
    code = needed(rest, "classification")
    if code.casefold() == NO_STATEMENT:
        raise LeftOut(f"{NO_STATEMENT} (no statement)")
    row: Json = {"classifications": [{"scheme": SCHEME, "code": code}]}
    sha1, sha256 = (taken(rest, key, str, "a text") for key in ("sha1_base32", "sha256_hex"))
    if sha1:
        row |= held_as("sha1", _sha1(sha1))
    if sha256:
        row |= held_as("sha256", value_of("sha256", sha256, "sha256_hex"))
    if (size := taken(rest, "size_bytes", int, "a whole number")) is not None and not 0 <= size < 2**63:
        raise BadRecord("must lie between 0 and 2^63-1", "size_bytes", size)
    row["size"] = size
    return row | {"extra": put_aside(NAME, rest)}


def _sha1(text: str) -> bytes:
    try:
        return parse_base32(text, 20)
    except BadDigest:
        raise BadRecord("not a SHA-1 in base32", "sha1_base32", text) from None


def _file(record: Json, options: Options) -> Json:
    row = row_of(record, options)
    if "ref" not in row:
        raise BadRecord("has no digest", "sha256_hex")
    return row


FORM = RecordForm(
    name=NAME,
    array=None,
    wanted="an answer of Arachnid Shield",
    row_of=_file,
)

# Sniff ---------------------------------------------------------------------------------------------------

_START = re.compile(rb"\s*\{")
_MEDIA = re.compile(rb'"sha1_base32"\s*:')
_SCANNED = re.compile(rb'\s*\{\s*"scanned_hashes"\s*:\s*\{')


def sniff(head: bytes) -> int:
    """Claim scanned media (a SHA-1 in base32 and a classification) and scanned hashes."""
    media = _START.match(head) and _MEDIA.search(head) and b'"classification"' in head
    return 90 if media or _SCANNED.match(head) else 0


FORMAT = Format(
    name=NAME,
    title="Project Arachnid Shield answers (C3P)",
    spec="arachnid-shield-sdk-python",
    sniff=sniff,
    read=read,
    carries={name: whole(name) for name in ("ref", "state", "sha1", "sha256", "fingerprints", "size", "classifications", "extra")},
    delivery="delta",
)
