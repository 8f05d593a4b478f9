"""parquet, version 1: `ENTRY_SCHEMA` as Apache Parquet, nothing lost, for column engines. Source: docs/parquet.md.

One file, zstd, row groups of 131,072 rows. The footer's metadata holds under the key `hashlib_interop` the
JSON object `{"bytes":…,"imports":[…],"sha256":"…","version":1}`, written last: the SHA-256 is of so many
bytes before it, the row groups (Parquet's own checksums leave out the headers of its pages). The columns,
their order and types are `model.ENTRY_SCHEMA`, to the letter: another Parquet file is not read as a list.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hashlib_interop.columns import rows_without
from hashlib_interop.errors import shown
from hashlib_interop.files import CHUNK
from hashlib_interop.format import Columns, Format, Reading, Writing, whole
from hashlib_interop.formats._native_rows import parsed
from hashlib_interop.formats._row_checks import faults
from hashlib_interop.model import ENTRY_SCHEMA, canonical_json
from hashlib_interop.report import Import

KEY = b"hashlib_interop"
VERSION = 1
ROWS = 131_072
"""Rows of a row group."""


@dataclass(frozen=True)
class _Ours:
    """What stands under our key."""

    bytes: int
    sha256: str
    imports: list[Import]


_BROKEN = (pa.ArrowException, OSError, ValueError, OverflowError)


# Reader --------------------------------------------------------------------------------------------------


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield the rows as they were written; the footer gives `reading.imports`."""
    if reading.local_path is None:
        raise reading.malformed("Parquet is read from a file, not from a stream")
    path, position = reading.local_path(), 1
    try:
        with pq.ParquetFile(path) as opened:
            _check_schema(opened.schema_arrow, reading)
            ours = _ours(opened.metadata.metadata or {}, reading)
            _check_bytes(path, ours, reading)
            reading.imports = ours.imports
            for batch in opened.iter_batches(reading.batch_rows):
                batch.validate(full=True)
                if batch.num_rows:
                    yield _checked(batch, position, reading)
                position += batch.num_rows
            if position - 1 != opened.metadata.num_rows:
                raise reading.malformed("the rows are not as many as the footer says", position)
    except _BROKEN as error:
        raise reading.malformed(f"the Parquet file is broken or cut off ({shown(error, 120)})", position) from None


def _check_schema(found: pa.Schema, reading: Reading) -> None:
    for place, field in enumerate(ENTRY_SCHEMA):
        other = found.field(place) if place < len(found) else None
        if other is None or not other.equals(field):
            said = "missing" if other is None else shown(_said(other), 120)
            raise reading.malformed(f"not one of ours: column {place + 1} should be {_said(field)}, is {said}")
    if len(found) > len(ENTRY_SCHEMA):
        raise reading.malformed(f"not one of ours: unknown column {shown(found.field(len(ENTRY_SCHEMA)).name)}")


def _said(field: pa.Field) -> str:
    return f"{field.name}: {field.type}{'' if field.nullable else ' not null'}"


def _ours(metadata: dict[bytes, bytes], reading: Reading) -> _Ours:
    try:
        said = parsed(metadata[KEY])
        version = said["version"]
        ours = _Ours(int(said["bytes"]), str(said["sha256"]), [Import.from_json(value) for value in said["imports"]])
    except (KeyError, ValueError, TypeError, AttributeError):
        raise reading.malformed(f"not one of ours: no usable {KEY.decode()} in the metadata") from None
    if version != VERSION:
        raise reading.malformed(f"made by a newer version ({shown(version)}); this one reads version {VERSION}")
    return ours


def _check_bytes(path: Path, ours: _Ours, reading: Reading) -> None:
    hashing, left = hashlib.sha256(), ours.bytes
    with path.open("rb") as raw:
        while left > 0 and (chunk := raw.read(min(left, CHUNK))):
            hashing.update(chunk)
            left -= len(chunk)
    if left or hashing.hexdigest() != ours.sha256:
        raise reading.malformed("the row groups are not what was written: the SHA-256 differs")


def _checked(batch: pa.RecordBatch, start: int, reading: Reading) -> Columns:
    """Return the good rows of a batch, the others rejected by their first fault."""
    found: dict[int, tuple[str, str]] = {}
    for name, bad, reason in faults(batch):
        for row in np.flatnonzero(bad).tolist():
            found.setdefault(row, (name, reason))
    for row, (name, reason) in sorted(found.items()):
        reading.reject(start + row, reason, field=name, value=_value(batch.column(name), row))
    columns = {name: batch.column(name) for name in ENTRY_SCHEMA.names}
    columns["position"] = pa.array(np.arange(start, start + batch.num_rows))
    refused = np.zeros(batch.num_rows, bool)
    refused[list(found)] = True
    return rows_without(columns, refused)


def _value(column: pa.Array, row: int) -> Any:
    try:
        return column[row].as_py()
    except (ValueError, OverflowError):
        return str(column[row].cast(pa.int64()))


# Writer --------------------------------------------------------------------------------------------------


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write row groups of `ROWS` rows, then the footer with the imports, known when the rows are through."""
    hashed = _Hashed(stream)
    with pq.ParquetWriter(hashed, ENTRY_SCHEMA, compression="zstd") as writer:
        for group in _groups(batches):
            writer.write_table(group, ROWS)
        ours = {
            "version": VERSION,
            "bytes": hashed.count,
            "sha256": hashed.sha256.hexdigest(),
            "imports": [one.to_json() for one in writing.imports],
        }
        writer.add_key_value_metadata({KEY.decode(): canonical_json(ours)})


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    waiting = ENTRY_SCHEMA.empty_table()
    for batch in batches:
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
        while len(waiting) >= ROWS:
            yield waiting.slice(0, ROWS).combine_chunks()
            waiting = waiting.slice(ROWS)
    if len(waiting):
        yield waiting.combine_chunks()


class _Hashed(io.RawIOBase):
    """A stream to write to that counts and hashes what goes through it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.count, self.sha256 = stream, 0, hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        self.count += len(data)
        return self._stream.write(data)


# Sniff ---------------------------------------------------------------------------------------------------


def sniff(head: bytes) -> int:
    """Claim what begins as Parquet; whether the columns are ours is seen on reading."""
    return 100 if head.startswith(b"PAR1") else 0


FORMAT = Format(
    name="parquet",
    title="hashlib-interop Parquet, lossless",
    spec="docs/parquet.md, version 1",
    sniff=sniff,
    read=read,
    write=write,
    carries={field.name: whole(field.name) for field in ENTRY_SCHEMA},
    needs_digest=False,
    delivery="delta",
    suffixes=(".parquet",),
    keeps_entries=True,
)
