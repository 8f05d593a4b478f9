"""native, version 1: our own JSON Lines, one entry a line, nothing lost. Source: docs/native.md.

    {"format":"hashlib_interop/native","version":1}
    {"md5":"0cc1…","ref":"md5:0cc1…","source":"ncmec-npo",…}        one entry a line, canonical JSON
    {"end":true,"entries":1,"imports":[…]}                          without it the file is cut off

UTF-8; lines end in LF (CRLF is read). How a field looks: `_native_rows.py`. A file written by hand may leave
out `source`, `ref`, `seq`, `state`, `recorded_at` and `evidence`: the door fills them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import pyarrow as pa

from hashlib_interop.columns import columns_of_rows
from hashlib_interop.errors import CannotWrite, shown
from hashlib_interop.format import Columns, Format, Reading, Writing, whole
from hashlib_interop.formats._native_rows import BadField, object_of, parsed, row_of
from hashlib_interop.model import ENTRY_SCHEMA, Json, canonical_json
from hashlib_interop.report import Import

NAME = "hashlib_interop/native"
VERSION = 1
HEADER = canonical_json({"format": NAME, "version": VERSION})
LINE = 16 << 20
"""Bytes of the longest line that is read, and of the lines that one batch holds (or one line more)."""


# Reader --------------------------------------------------------------------------------------------------


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield entries as they were written; the trailer gives `reading.imports`."""
    _check_header(_line(stream, reading, 1), reading)
    reading.frame = (_written({"format": NAME, "version": VERSION}).decode(), _written(_end(1, [])).decode())
    rows: list[Json] = []
    position, size = 2, 0
    while not (value := _value(line := _line(stream, reading, position), position, reading)).get("end"):
        if value:
            rows.append(value)
        size += len(line)
        position += 1
        if len(rows) >= reading.batch_rows or (rows and size > LINE):
            yield columns_of_rows(rows)
            rows, size = [], 0
    if rows:
        yield columns_of_rows(rows)
    _check_trailer(value, position, reading)
    if stream.read(1):
        raise reading.malformed("there is more after the end line", position + 1)


def _line(stream: BinaryIO, reading: Reading, position: int) -> bytes:
    line = stream.readline(LINE + 1)
    if len(line) > LINE:
        raise reading.malformed(f"longer than {LINE} bytes", position)
    if not line.endswith(b"\n"):
        raise reading.malformed("the file is cut off: the end line is missing", position)
    return line


def _value(line: bytes, position: int, reading: Reading) -> Json:
    """Return the row on a line, or the end line; nothing where the line is refused."""
    try:
        value = parsed(line)
        return value if value.get("end") is True else row_of(value) | {"position": position}
    except BadField as error:
        reading.reject(position, str(error), field=error.field, value=error.value, raw=line)
    except ValueError as error:
        reading.reject(position, str(error), raw=line)
    return {}


def _check_header(line: bytes, reading: Reading) -> None:
    try:
        header = parsed(line)
    except ValueError as error:
        raise reading.malformed(f"not a native file: {error}", 1) from None
    if header.get("format") != NAME:
        raise reading.malformed(f"not a native file: the first line must be {HEADER}", 1)
    if header != {"format": NAME, "version": VERSION}:
        said = shown(header.get("version"))
        raise reading.malformed(f"made by a newer version ({said}); this one reads version {VERSION}", 1)


def _check_trailer(trailer: Json, position: int, reading: Reading) -> None:
    count = position - 2
    if trailer.get("entries") != count:
        said = shown(trailer.get("entries"))
        raise reading.malformed(f"the end line speaks of {said} entries, the file has {count}", position)
    try:
        imports = trailer.get("imports", [])
        reading.imports = [Import.from_json(value) for value in imports]
        if not isinstance(imports, list):
            raise TypeError
    except (ValueError, TypeError, KeyError, AttributeError):
        raise reading.malformed("the imports in the end line are broken", position) from None


# Writer --------------------------------------------------------------------------------------------------


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write a line an entry, then the count and the imports, which are known when the entries are through."""
    stream.write(_written({"format": NAME, "version": VERSION}))
    count = 0
    for batch in batches:
        stream.write(b"".join(_written(object_of(row)) for row in batch.to_pylist()))
        count += batch.num_rows
    imports = [one.to_json() for one in writing.imports]
    stream.write(_written(_end(count, imports)))


def _end(count: int, imports: list[Json]) -> Json:
    return {"end": True, "entries": count, "imports": imports}


def _written(value: Json) -> bytes:
    line = f"{canonical_json(value)}\n".encode()
    if len(line) > LINE:
        raise CannotWrite(f"an entry of {len(line)} bytes: a line may have {LINE}", position=value.get("ref"))
    return line


# Sniff ---------------------------------------------------------------------------------------------------


def sniff(head: bytes) -> int:
    """Claim what begins with the header line."""
    first = head[:256].split(b"\n")[0]
    return 100 if first.startswith(b"{") and f'"{NAME}"'.encode() in first else 0


FORMAT = Format(
    name="native",
    title="hashlib-interop native (JSON Lines), lossless",
    spec="docs/native.md, version 1",
    sniff=sniff,
    read=read,
    write=write,
    carries={field.name: whole(field.name) for field in ENTRY_SCHEMA},
    needs_digest=False,
    delivery="delta",
    unit="line",
    suffixes=(".native.jsonl", ".jsonl"),
    keeps_entries=True,
)
