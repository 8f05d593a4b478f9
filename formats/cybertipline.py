"""NCMEC CyberTipline: the Reporting API's XML (documentation of 2025-06-11, its XSD), and downloads in JSON.

Source: docs/cybertipline.md. The XML is certain (XSD). The JSON that law enforcement downloads has no
public schema: its shape is INFERRED from two programs that read it.

    <fileDetails>                      one file; several stand in a <fileDetailsList>, which is ours
      <reportId>4564654</reportId> <fileId>03b4…</fileId>
      <fileAnnotations><viral>true</viral></fileAnnotations>
      <industryClassification>A1</industryClassification>
      <originalFileHash hashType="MD5">360e…</originalFileHash>
    </fileDetails>

A file is known by `REPORT/FILE`. Hashes are taken from `originalFileHash` and `details[@type=HASH]`, codes are
of `ncmec/industry` and `ncmec/annotation`. Reports hold people: whatever is not named in `_cybertipline_reporting.py`
or `_cybertipline_download.py` is counted and dropped, and neither raw records nor values stand in rejects.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import BinaryIO

import pyarrow as pa

from hashlib_interop.columns import columns_of_rows
from hashlib_interop.format import Columns, Format, Option, Reading, Writing
from hashlib_interop.formats._cybertipline_carrying import CARRIES, own_extra, refuses
from hashlib_interop.formats._cybertipline_download import rows_of_download
from hashlib_interop.formats._cybertipline_record import NAME, record_xml
from hashlib_interop.formats._cybertipline_reporting import WRAPPER, rows_of_documents
from hashlib_interop.streams import looked_at

# Reader --------------------------------------------------------------------------------------------------


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield files with a hash; position = number of the file in the document."""
    reading.withhold = True
    head, stream = looked_at(stream)
    is_json = head.lstrip(b" \t\r\n")[:1] in (b"{", b"[")
    rows = rows_of_download(stream, reading) if is_json else rows_of_documents(stream, reading)
    while block := list(islice(rows, reading.batch_rows)):
        yield columns_of_rows(block)


# Writer --------------------------------------------------------------------------------------------------


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write one file as the document that the API takes; none or several in a list of such documents."""
    rows = (row for batch in batches for row in batch.to_pylist())
    first = list(islice(rows, 2))
    before, after = ("", "") if len(first) == 1 else (f"<{WRAPPER}>\n", f"</{WRAPPER}>\n")
    stream.write(f'<?xml version="1.0" encoding="UTF-8"?>\n{before}'.encode())
    stream.writelines(record_xml(row, own_extra(row["extra"])).encode() for row in chain(first, rows))
    stream.write(after.encode())


# Sniff ---------------------------------------------------------------------------------------------------

_ROOT = re.compile(
    rb"\s*+(?>(?><\?.*?\?>|<!--.*?-->|<!DOCTYPE[^<>\[]*+(?>\[.*?\]\s*+)?>)\s*+)*+<([A-Za-z]++)(?=[\s/>])([^>]*+)",
    re.DOTALL,
)
_SIGNS = {b"report": b"<incidentSummary", b"reportResponse": b"<responseCode", b"reportDoneResponse": b"<responseCode"}
"""Roots that others may have too, and what must stand in them."""


def sniff(head: bytes) -> int:
    """Claim the roots of the Reporting API, which has no namespace, and the keys of a download."""
    if head.lstrip(b" \t\r\n")[:1] == b"{":
        return 90 if b'"reportedInformation"' in head and b'"reportId"' in head else 0
    found = _ROOT.match(head)
    if not found or re.search(rb"\bxmlns\s*=", found[2]):
        return 0
    if found[1] in (b"fileDetails", WRAPPER.encode()):
        return 95
    return 90 if found[1] in _SIGNS and _SIGNS[found[1]] in head else 0


FORMAT = Format(
    name=NAME,
    title="NCMEC CyberTipline: fileDetails and reports (XML), downloads (JSON, inferred)",
    spec="https://report.cybertip.org/ispws/xsd",
    sniff=sniff,
    read=read,
    write=write,
    carries=CARRIES,
    needs_digest=False,
    refuses=refuses,
    delivery="delta",
    suffixes=(".cybertipline.xml",),
    options=(
        Option("report_id", "writer: the report under which entries without REPORT/FILE as ref stand (default 0)"),
    ),
)
