"""NCMEC Hash Sharing API v2, `queryResult` (https://hashsharing.ncmec.org/hashsharing/v2).

Source: partner-formats.md, section 1 (NCMEC's documentation pages and facebook/ThreatExchange @ baefb4ed).

    <queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v2">
      <images count="1" maxTimestamp="2024-02-01T10:00:00Z"> <image> … </image> </images>
      <videos count="0"/>
      <paging><next>/v2/entries?…</next></paging>      absent where this is the last page
    </queryResult>

An entry is known by the member's id and its own id: `ref` is `MEMBER/ENTRY`, parted by the first slash. Ids
are unique inside one environment only, so each environment is a source of its own. Feedback on an entry
becomes votes (`_ncmec_feedback.py`). How records become columns is in `_ncmec_page.py`, what one looks like in
`_ncmec_record.py`, what survives a write in `_ncmec_carrying.py`. References to large fingerprints (`href`) are kept in `extra` and never fetched.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qs

import pyarrow as pa

from hashlib_interop.errors import BadOption, shown
from hashlib_interop.files import CHUNK, private_folder
from hashlib_interop.format import Columns, Format, Option, Reading, Writing
from hashlib_interop.formats._ncmec_carrying import CARRIES, Window, refuses
from hashlib_interop.formats._ncmec_feedback import feedback_xml, last_update
from hashlib_interop.formats._ncmec_page import Page
from hashlib_interop.formats._ncmec_record import LAYOUT, NAME, NAMESPACE, record_xml, stamp_text
from hashlib_interop.model import Json
from hashlib_interop.xml_records import XmlRecords

ENVIRONMENTS = (
    "Industry",
    "Industry_Exploitative",
    "LawEnforcement",
    "NGO",
    "Exploitative",
    "NGO_Generative_AI",
    "NGO_Generative_AI_Exploitative",
)

# Reader --------------------------------------------------------------------------------------------------


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield entries, each followed by the votes on it; position = number of the record in the file."""
    _note_environment(reading)
    records = XmlRecords(stream, reading, LAYOUT)
    for block in records:
        columns = Page(block, records, reading).columns()
        if len(columns["position"]):
            yield columns
    _note(records, reading)


def _note_environment(reading: Reading) -> None:
    said = reading.options.get("environment")
    if said is None:
        return
    known = next((name for name in ENVIRONMENTS if name.lower() == str(said).lower()), None)
    if known is None:
        raise BadOption(f"no environment {shown(said)}; known: {', '.join(ENVIRONMENTS)}", file=reading.name)
    reading.fact("environment", known)


def _note(records: XmlRecords, reading: Reading) -> None:
    """Note what the file says of itself, and where its counts are not what was found."""
    wrong = []
    for container in ("images", "videos"):
        for name in ("count", "maxTimestamp"):
            if said := records.notes.get(f"{container}@{name}"):
                reading.fact(f"{container} {name}", said)
        said, found = records.notes.get(f"{container}@count"), records.found[container]
        if said is not None and said != str(found):
            wrong.append(f"{container}: says {shown(said)}, holds {found}")
    if wrong:
        reading.fact("count mismatch", "; ".join(wrong))
    if "paging/next" in records.notes:
        reading.fact("paging next", _paging(records.notes["paging/next"]))


def _paging(url: str) -> str:
    """Return the numbers of a reference to the next page, and nothing else of it: it may hold secrets."""
    try:
        asked = parse_qs(url.partition("?")[2], max_num_fields=32)
    except ValueError:
        return "yes"
    numbers = [f"{name}={asked[name][0]}" for name in ("start", "size", "max") if name in asked]
    return " ".join(n for n in numbers if re.fullmatch(r"\w+=[0-9]{1,18}", n, re.ASCII)) or "yes"


# Writer --------------------------------------------------------------------------------------------------


@dataclass
class _Spool:
    """The records of one container, put aside until they have been counted."""

    name: str
    path: Path
    count: int = 0
    last: datetime | None = None
    out: BinaryIO | None = field(default=None, repr=False)

    def add(self, row: Json, votes: list[Json]) -> None:
        """Write an entry with the votes on it."""
        row["feedback_updated"] = last_update(votes)
        assert self.out is not None
        self.out.write(f"    {record_xml(row, feedback_xml(votes))}\n".encode())
        self.count += 1
        self.last = max(self.last or row["asserted_at"], row["asserted_at"])

    def publish(self, stream: BinaryIO) -> None:
        """Copy the container to the output. `maxTimestamp` is cut to the second: its readers expect that."""
        last = self.last.replace(microsecond=0) if self.last else None
        most = f' maxTimestamp="{stamp_text(last)}"' if last else ""
        stream.write(f'  <{self.name} count="{self.count}"{most}>\n'.encode())
        with self.path.open("rb") as records:
            shutil.copyfileobj(records, stream, CHUNK)
        stream.write(f"  </{self.name}>\n".encode())


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write one page with everything: the counts come first, so the records go to a private folder before."""
    with private_folder() as folder:
        spools = {media: _Spool(f"{media}s", folder / media) for media in ("image", "video")}
        with spools["image"].path.open("wb") as images, spools["video"].path.open("wb") as videos:
            spools["image"].out, spools["video"].out = images, videos
            _spool(batches, spools)
        stream.write(b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n')
        stream.write(f'<queryResult xmlns="{NAMESPACE}">\n'.encode())
        for spool in spools.values():
            spool.publish(stream)
        stream.write(b"</queryResult>\n")


def _spool(batches: Iterable[pa.RecordBatch], spools: dict[str, _Spool]) -> None:
    window: Window[tuple[Json, list[Json]]] = Window()
    for batch in batches:
        for row in batch.to_pylist():
            if row["about"]:
                window[row["source"], row["about"]["ref"]][1].append(row)
                continue
            for entry, votes in window.push((row["source"], row["ref"]), (row, [])):
                spools[entry["media"]].add(entry, votes)
    for entry, votes in window.rest():
        spools[entry["media"]].add(entry, votes)


# Sniff ---------------------------------------------------------------------------------------------------

_ROOT = re.compile(
    rb"\s*+(?>(?><\?.*?\?>|<!--.*?-->|<!DOCTYPE[^<>\[]*+(?>\[.*?\]\s*+)?>)\s*+)*+<(?:[\w.-]++:)?+queryResult(?=[\s/>])([^>]*+)",
    re.DOTALL,
)


def sniff(head: bytes) -> int:
    """Claim what has the root `queryResult`: of NCMEC's namespace (any version), or of none."""
    found = _ROOT.match(head)
    if not found:
        return 0
    spaces = re.findall(rb"\bxmlns(?::[\w.-]+)?\s*=\s*[\"']([^\"']*)", found[1])
    if any(space.startswith(b"https://hashsharing.ncmec.org/") for space in spaces):
        return 95
    return 0 if re.search(rb"\bxmlns\s*=", found[1]) else 90


FORMAT = Format(
    name=NAME,
    title="NCMEC Hash Sharing API v2 (XML)",
    spec="partner-formats.md section 1; https://report.cybertip.org/hashsharing/v2/documentation.pdf",
    sniff=sniff,
    read=read,
    write=write,
    carries=CARRIES,
    needs_digest=False,
    refuses=refuses,
    delivery="delta",
    suffixes=(".ncmec.xml",),
    options=(
        Option("environment", f"reader: where the list is from, one of {', '.join(ENVIRONMENTS)}"),
        Option(
            "member_id",
            "writer: the member under which entries without MEMBER/ENTRY as ref stand (default 0)",
        ),
        Option("timestamp", "writer: the stamp of entries that have none, such as 2025-03-01T00:00:00Z"),
    ),
)
