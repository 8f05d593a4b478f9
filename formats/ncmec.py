"""NCMEC Hash Sharing API v2, `queryResult` (https://hashsharing.ncmec.org/hashsharing/v2).

Source: docs/ncmec.md (NCMEC's documentation pages and facebook/ThreatExchange @ baefb4ed).

    <queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v2">
      <images count="1" maxTimestamp="2024-02-01T10:00:00Z"> <image> … </image> </images>
      <videos count="0"/>
      <paging><next>/v2/entries?…</next></paging>      absent where this is the last page
    </queryResult>

An entry is known by the member's id and its own id: `ref` is `MEMBER/ENTRY`, parted by the first slash. Ids
are unique inside one environment only, so each environment is a source of its own. Feedback on an entry
becomes votes (`_ncmec_feedback.py`). How records become columns is in `_ncmec_page.py`, what one looks like in
`_ncmec_record.py`, what survives a write in `_ncmec_carrying.py`, pages in `_ncmec_pages.py`, the answers that
are no lists in `_ncmec_answers.py`. References to large fingerprints (`href`) are kept in `extra`, never fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO
from urllib.parse import parse_qs

import pyarrow as pa

from hashlib_interop.errors import BadOption, shown
from hashlib_interop.files import private_folder
from hashlib_interop.format import Columns, Format, Option, Reading, Writing
from hashlib_interop.formats._ncmec_answers import is_answer, note_answer
from hashlib_interop.formats._ncmec_carrying import CARRIES, Window, refuses
from hashlib_interop.formats._ncmec_page import Page
from hashlib_interop.formats._ncmec_pages import Pages, page_size
from hashlib_interop.formats._ncmec_record import LAYOUT, NAME
from hashlib_interop.model import Json
from hashlib_interop.streams import looked_at
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
    """Yield entries, each followed by the votes on it; position = number of the record in the file.

    Other answers of the service have none: what they say is noted as facts.
    """
    _note_environment(reading)
    head, stream = looked_at(stream)
    if is_answer(_root(head)[0]):
        note_answer(stream, reading)
        return
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


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write one page with everything; with the option `page_size` a zip of pages (`_ncmec_pages.py`)."""
    size = page_size(writing)
    with private_folder() as folder:
        pages = Pages(folder, size, writing.name)
        try:
            _fill(pages, batches)
        finally:
            pages.close()
        pages.publish(stream)


def _fill(pages: Pages, batches: Iterable[pa.RecordBatch]) -> None:
    window: Window[tuple[Json, list[Json]]] = Window()
    for batch in batches:
        for row in batch.to_pylist():
            if row["about"]:
                window[row["source"], row["about"]["ref"]][1].append(row)
                continue
            for entry, votes in window.push((row["source"], row["ref"]), (row, [])):
                pages.add(entry, votes)
    for entry, votes in window.rest():
        pages.add(entry, votes)


# Sniff ---------------------------------------------------------------------------------------------------

_ROOT = re.compile(
    rb"\s*+(?>(?><\?.*?\?>|<!--.*?-->|<!DOCTYPE[^<>\[]*+(?>\[.*?\]\s*+)?>)\s*+)*+<(?:[\w.-]++:)?+([\w.-]++)(?=[\s/>])([^>]*+)",
    re.DOTALL,
)


def _root(head: bytes) -> tuple[str, bytes]:
    """Return the name of the root element and its attributes; empty where none is seen."""
    found = _ROOT.match(head)
    return (found[1].decode(), found[2]) if found else ("", b"")


def sniff(head: bytes) -> int:
    """Claim all roots of NCMEC's namespace (any version), and `queryResult` without one."""
    name, attributes = _root(head)
    spaces = re.findall(rb"\bxmlns(?::[\w.-]+)?\s*=\s*[\"']([^\"']*)", attributes)
    if any(space.startswith(b"https://hashsharing.ncmec.org/") for space in spaces):
        return 95
    return 90 if name == "queryResult" and not re.search(rb"\bxmlns\s*=", attributes) else 0


FORMAT = Format(
    name=NAME,
    title="NCMEC Hash Sharing API v2 (XML)",
    spec="https://report.cybertip.org/hashsharing/v2/documentation.pdf",
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
        Option("page_size", "writer: entries a page; the output is then a zip of pages that name their next"),
        Option("timestamp", "writer: the stamp of entries that have none, such as 2025-03-01T00:00:00Z"),
    ),
)
