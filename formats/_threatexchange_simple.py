"""`simple.TYPE.te`: the offline copy of ThreatExchange that pytx keeps, CSV without a header, one file a type.

    indicator,first_descriptor_id,added_on,"tag tag"
    indicator,indicator_id,first_descriptor_id,added_on,"tag tag"        as HMA writes it

Source: docs/threatexchange.md. The type stands in the name of the file and nowhere in it; `added_on` may be
the word `mine`. pytx keeps the tags in no order, and of several owners only those of the first.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from hashlib_interop.columns import columns_of_rows
from hashlib_interop.delimited import Dialect, Rows, read_rows
from hashlib_interop.errors import BadOption, shown
from hashlib_interop.format import Columns, Reading
from hashlib_interop.formats._json_pages import BadRecord, LeftOut, chained, put_aside
from hashlib_interop.formats._threatexchange_record import NAME, NO_HASH, SIGNALS, row_of
from hashlib_interop.model import Json

SHORT = ("indicator", "first_descriptor_id", "added_on", "tags")
LONG = ("indicator", "id", *SHORT[1:])
_FILE_NAME = re.compile(r"simple\.([A-Z][A-Z0-9_]*)\.te(\.\w+)?", re.ASCII)
_LINE = re.compile(
    rb'[^,"\x00-\x20]+,(?:[0-9]+,)?[0-9]+,(?:mine|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}[+-][0-9]{4}),[^,]*\r?'
)


def read_simple(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield the rows of a file; position = line. A file is the whole list of its type: a snapshot."""
    kind = _kind(reading)
    reading.fact("type", kind)
    reading.unit, reading.delivery = "line", "snapshot"
    head = stream.read(1 << 16)
    long = head.partition(b"\n")[0].count(b",") == len(LONG) - 1
    names = LONG if long else SHORT
    for rows in read_rows(chained(io.BytesIO(head), stream), reading, Dialect(), names)[1]:
        found = [row for index in range(len(rows.lines)) if (row := _row(rows, index, names, kind, reading))]
        if found:
            yield columns_of_rows(found)


def _kind(reading: Reading) -> str:
    named = _FILE_NAME.fullmatch(os.path.basename(reading.name.rpartition("!")[2]))
    kind = reading.options.get("type") or (named and named[1])
    if not kind:
        known = ", ".join(signal.name for signal in SIGNALS)
        raise reading.malformed(f"the type is not in this file: say it, --option type=…, one of {known}")
    if kind not in [*(signal.name for signal in SIGNALS), *NO_HASH]:
        raise BadOption(f"no type {shown(kind)} of hashes is known", file=reading.name)
    return str(kind)


def _row(rows: Rows, index: int, names: tuple[str, ...], kind: str, reading: Reading) -> Json | None:
    record = dict(zip(names, (column[index].as_py() for column in rows.columns), strict=True))
    line = int(rows.lines[index])
    own = {name: record[name] for name in ("added_on", "first_descriptor_id") if record[name]}
    tags = [tag for tag in record["tags"].split(" ") if tag]
    said = {"raw_indicator": record["indicator"], "type": kind, "tags": tags, "id": record.get("id")}
    try:
        if not re.fullmatch("[0-9]+", record["first_descriptor_id"], re.ASCII):
            raise BadRecord("must be a number", "first_descriptor_id", record["first_descriptor_id"])
        return row_of(said, reading.options) | {"position": line, "extra": put_aside(NAME, own)}
    except LeftOut as error:
        reading.drop(str(error))
    except BadRecord as error:
        reading.reject(line, str(error), field=error.field, value=error.value, raw=rows.raw(index))
    return None


def sniff_simple(head: bytes) -> int:
    """Claim lines of an indicator, one or two numbers, a stamp or `mine`, and tags."""
    lines = head.split(b"\n")
    if len(lines) > 1:
        lines.pop()
    return 85 if lines[0] and all(_LINE.fullmatch(line) for line in lines if line.strip()) else 0
