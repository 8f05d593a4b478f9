"""ThreatExchange: pages of `threat_updates` and of `threat_descriptors` (Graph API v21.0), and pytx's `simple.TYPE.te`.

Source: docs/threatexchange.md (developers.facebook.com/docs/threat-exchange, facebook/ThreatExchange).

    {"data": [ {…}, {…} ], "paging": {"cursors": {"before": "…", "after": "…"}, "next": "https://…"}}

`paging.next` holds the access token of whoever asked: of it is kept that there is one. How a record becomes a row and
back is in `_threatexchange_record.py`, the CSV in `_threatexchange_simple.py`. Written are descriptors: they have no
tombstone, so a retraction is not written.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import pyarrow as pa

from hashlib_interop.format import Columns, Format, Option, Reading, Writing
from hashlib_interop.formats._json_pages import Page, carries, chained, refuses, write_page
from hashlib_interop.formats._threatexchange_record import FORM, NAME
from hashlib_interop.formats._threatexchange_simple import read_simple, sniff_simple

# Reader --------------------------------------------------------------------------------------------------


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield the records of a page, or the lines of a `.te` file."""
    head = stream.read(1 << 16)
    whole = chained(io.BytesIO(head), stream)
    if not head.lstrip().startswith((b"{", b"[")):
        yield from read_simple(whole, reading)
        return
    page = Page(whole, reading, FORM)
    yield from page
    page.note_unknown("paging")
    paging = page.envelope.get("paging")
    if isinstance(paging, dict) and paging.get("next"):
        reading.fact("next page", "yes")


# Writer --------------------------------------------------------------------------------------------------


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write one page of descriptors with everything; the last, so without `next`."""
    write_page(batches, stream, writing, FORM, lambda count: {"paging": {}})


# Sniff ---------------------------------------------------------------------------------------------------

_DATA = re.compile(rb'\s*\{\s*(?:"paging".{0,4096})?"data"\s*:\s*\[', re.DOTALL)
_INDICATOR = re.compile(rb'"(?:raw_)?indicator"\s*:')
_EMPTY = re.compile(rb'\s*\{\s*"data"\s*:\s*\[\s*\]\s*,\s*"paging"\s*:\s*\{')


def sniff(head: bytes) -> int:
    """Claim a page of indicators; an empty page with paging, as any Graph API has, less; lines of `simple.TYPE.te`."""
    if _DATA.match(head) and _INDICATOR.search(head):
        return 90
    return 60 if _EMPTY.match(head) else sniff_simple(head)


FORMAT = Format(
    name=NAME,
    title="ThreatExchange updates, descriptors, simple.TYPE.te",
    spec="developers.facebook.com/docs/threat-exchange",
    sniff=sniff,
    read=read,
    write=write,
    carries=carries(FORM),
    needs_digest=False,
    refuses=refuses(FORM),
    delivery="delta",
    suffixes=(".te.json",),
    options=(
        Option("type", "reader: of the hashes of a .te file; writer: the only type to write"),
        Option("free_text", "yes: keep descriptions"),
    ),
)
