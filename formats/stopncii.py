"""StopNCII v1: pages of `FetchHashes`, and the body of `SubmitHashes` (https://api.stopncii.org/v1).

Source: docs/stopncii.md (facebook/ThreatExchange, exchanges/clients/stopncii/api.py).

    {"count": 1, "nextSetTimestamp": 1706868000, "nextPageToken": "…", "hasMoreRecords": false, "hashRecords": [
      {"lastModtimestamp": 1706781600, "signalType": "ImagePDQ", "hashValue": "…", "hashStatus": "Active",
       "caseNumbers": {"GUID": "Active"}, "CSPFeedbacks": [{"source": "…", "feedbackValue": "Blocked", "tags": []}]}]}

A record is the full state of one hash: `ref` is `signalType:hashValue`. Deleted is what `hashStatus` says is Withdrawn or
Deleted. Case numbers are dropped. A value that no enumeration has is kept as it stands. Written is a submission of one's
own: it has no status, so no retraction, and no feedback of others (who sign theirs with `source`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import pyarrow as pa

from hashlib_interop.format import Columns, Format, Option, Reading, Writing
from hashlib_interop.formats._json_pages import (
    BadRecord,
    Options,
    Page,
    RecordForm,
    carries,
    needed,
    own_extra,
    put_aside,
    refuses,
    taken,
    unix_seconds,
    unix_stamp,
    write_page,
)
from hashlib_interop.formats._signals import Signal, chosen, signal_row
from hashlib_interop.model import Json

NAME = "stopncii"
SIGNALS = (
    Signal("ImagePDQ", "pdq", "image", only=(None, "image")),
    Signal("VideoMD5", "md5", "video", only=("video",)),
)
"""The text of VideoTMK is not public: kept as it stands."""

NO_HASH = ("Text", "URL")
DELETED = ("withdrawn", "deleted")
"""In any case of letters: what is withdrawn may not come back as active."""

# Reader --------------------------------------------------------------------------------------------------


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield the records of a page."""
    page = Page(stream, reading, FORM)
    yield from page
    page.note_count()
    page.note_unknown("count", "nextPageToken", "nextSetTimestamp", "hasMoreRecords")
    if (stamp := page.envelope.get("nextSetTimestamp")) is not None:
        reading.fact("next set timestamp", stamp)
    if page.envelope.get("hasMoreRecords"):
        reading.fact("next page", "yes")


def clean(record: Json, options: Options) -> Counter[str]:
    """Take out the case numbers, however their key is cased."""
    count = 0
    for key in [key for key in record if key.casefold() == "casenumbers"]:
        cases = record.pop(key)
        count += len(cases) if isinstance(cases, dict | list) else int(cases is not None)
    return Counter({"case number": count}) if count else Counter()


def row_of(record: Json, options: Options) -> Json:
    """Return the row that a record says."""
    rest = dict(record)
    kind, text = needed(rest, "signalType"), needed(rest, "hashValue")
    row = signal_row(SIGNALS, NO_HASH, kind, text, "hashValue")
    if row is None:
        row = {"ref": f"{kind}:{text}"}
        rest |= {"signalType": kind, "hashValue": text}
    else:
        row["ref"] = f"{kind}:{text.lower()}"
    status = taken(rest, "hashStatus", str, "a text")
    if status not in (None, "Active"):
        rest["hashStatus"] = status
    row["state"] = "retracted" if status and status.casefold() in DELETED else "active"
    row["asserted_at"] = unix_stamp(taken(rest, "lastModtimestamp", int, "seconds since 1970"), "lastModtimestamp")
    if rest.get("CSPFeedbacks") == []:
        del rest["CSPFeedbacks"]
    return row | {"extra": put_aside(NAME, rest)}


# Writer --------------------------------------------------------------------------------------------------


def record_of(row: Json, options: Options) -> Json:
    """Return a row as a record of a submission; `BadRecord` where it has no hash for one."""
    own = own_extra(row, NAME)
    found: Any = chosen(row, SIGNALS, options) or (own.get("signalType"), own.get("hashValue"))
    if not all(isinstance(part, str) for part in found):
        raise BadRecord("no hash")
    feedbacks = own.get("CSPFeedbacks")
    ours = [item for item in feedbacks if isinstance(item, dict) and "source" not in item] if isinstance(feedbacks, list) else []
    stamp = unix_seconds(row["asserted_at"])
    last = {} if stamp is None else {"lastModtimestamp": stamp}
    return {**last, "signalType": found[0], "hashValue": found[1], "CSPFeedbacks": ours}


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write the body of one `SubmitHashes` with everything."""
    write_page(batches, stream, writing, FORM, lambda count: {"count": count})


FORM = RecordForm(
    name=NAME,
    array="hashRecords",
    wanted="an answer to FetchHashes or the body of SubmitHashes",
    clean=clean,
    row_of=row_of,
    record_of=record_of,
    telling=("hashStatus",),
    fields=("ref", "asserted_at", "md5", "fingerprints", "media", "extra"),
)

# Sniff ---------------------------------------------------------------------------------------------------

_RECORDS = re.compile(rb'\s*\{(?:[^\[\]{}]{0,4096},)?\s*"hashRecords"\s*:\s*\[')


def sniff(head: bytes) -> int:
    """Claim an object with an array `hashRecords`."""
    return 90 if _RECORDS.match(head) else 0


FORMAT = Format(
    name=NAME,
    title="StopNCII.org FetchHashes, SubmitHashes",
    spec="facebook/ThreatExchange stopncii/api.py",
    sniff=sniff,
    read=read,
    write=write,
    carries=carries(FORM),
    needs_digest=False,
    refuses=refuses(FORM),
    delivery="delta",
    suffixes=(".stopncii.json",),
    options=(Option("type", "writer: the only type to write, ImagePDQ or VideoMD5"),),
)
