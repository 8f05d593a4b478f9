"""Tech Against Terrorism, TCAP hash list v2: pages of `GET /api/hash-list/v2/all`. Read only: there is no upload.

Source: docs/tcap.md (facebook/ThreatExchange, exchanges/clients/techagainstterrorism/api.py).

    {"count": 1, "next": null, "previous": null, "checkpoint": "1706868000.0,1", "results": [
      {"hash_digest": "…", "algorithm": "MD5", "ideology": "islamist", "file_type": "mp4", "deleted": false,
       "updated_on": 1706781600.222779, "created_on": "2024-02-01T10:00:00.587000", "id": 1}]}
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from hashlib_interop.format import Columns, Format, Reading, whole
from hashlib_interop.formats._json_pages import (
    BadRecord,
    Options,
    Page,
    RecordForm,
    needed,
    put_aside,
    taken,
    unix_stamp,
)
from hashlib_interop.formats._signals import Signal, signal_row
from hashlib_interop.model import Json

NAME = "tcap"
IDEOLOGY = "tcap/ideology"
SIGNALS = tuple(Signal(name.upper(), name) for name in ("md5", "sha1", "sha256", "sha384", "sha512", "pdq"))
MEDIA = {
    **dict.fromkeys(("mp4", "m4v", "mov", "webm", "avi", "mkv"), "video"),
    **dict.fromkeys(("jpg", "jpeg", "png", "gif", "webp", "bmp"), "image"),
}

# Reader --------------------------------------------------------------------------------------------------


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield the records of a page. Of the address of the next one is kept that there is one."""
    page = Page(stream, reading, FORM)
    yield from page
    page.note_unknown("count", "next", "previous", "checkpoint")
    if (count := page.envelope.get("count")) is not None:
        reading.fact("count", count)
    checkpoint = page.envelope.get("checkpoint")
    if isinstance(checkpoint, str) and re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?,[0-9]{1,18}", checkpoint, re.ASCII):
        reading.fact("checkpoint", checkpoint)
    if page.envelope.get("next"):
        reading.fact("next page", "yes")


def row_of(record: Json, options: Options) -> Json:
    """Return the row that a record says."""
    rest = dict(record)
    kind, text = needed(rest, "algorithm"), needed(rest, "hash_digest")
    row = signal_row(SIGNALS, (), kind.upper(), text, "hash_digest")
    if row is None:
        row = {"ref": f"{kind}:{text}"}
        rest |= {"algorithm": kind, "hash_digest": text}
    row["state"] = "retracted" if taken(rest, "deleted", bool, "true or false") else "active"
    row["asserted_at"] = _updated(rest)
    file_type = rest.get("file_type")
    row["media"] = MEDIA.get(file_type.lower()) if isinstance(file_type, str) else None
    ideology = taken(rest, "ideology", str, "a text")
    row["classifications"] = [{"scheme": IDEOLOGY, "code": ideology}] if ideology else None
    if (number := taken(rest, "id", int, "a whole number")) is not None:
        row["ref"] = str(number)
    return row | {"extra": put_aside(NAME, rest)}


def _updated(rest: Json) -> object:
    """Return the stamp, which stays in `extra` too where it is finer than a millisecond."""
    value = rest.get("updated_on")
    if value is not None and type(value) not in (int, float):
        raise BadRecord("must be seconds since 1970", "updated_on", value)
    stamp = unix_stamp(value, "updated_on")
    if stamp is None or stamp.timestamp() == value:
        rest.pop("updated_on", None)
    return stamp


FORM = RecordForm(
    name=NAME,
    array="results",
    wanted="a page of the hash list v2, with its records under `results`",
    row_of=row_of,
    telling=("deleted",),
)

# Sniff ---------------------------------------------------------------------------------------------------

_RESULTS = re.compile(rb'\s*\{[^\[\]{}]{0,4096}"results"\s*:\s*\[')
_OWN = re.compile(rb'"(?:checkpoint|hash_digest)"\s*:')


def sniff(head: bytes) -> int:
    """Claim a page of results with hash digests or a checkpoint."""
    return 90 if _RESULTS.match(head) and _OWN.search(head) else 0


FORMAT = Format(
    name=NAME,
    title="Tech Against Terrorism hash list v2 (TCAP)",
    spec="facebook/ThreatExchange techagainstterrorism/api.py",
    sniff=sniff,
    read=read,
    carries={name: whole(name) for name in ("ref", "asserted_at", "state", "md5", "sha256", "sha512", "fingerprints", "media", "classifications", "extra")},
    delivery="delta",
)
