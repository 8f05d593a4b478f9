"""parquet: the quirks of our Parquet; what every format must do is in test_conformance.py."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hashlib_interop.errors import MalformedInput
from hashlib_interop.format import Writing
from hashlib_interop.formats import parquet
from hashlib_interop.formats.parquet import write
from hashlib_interop.model import ENTRY_SCHEMA, Entry, batch_of
from hashlib_interop.reading import read, read_batches

ROWS = [Entry(source="a", ref=f"r{n}", md5=bytes([n] * 15 + [1])) for n in range(7)]


def written(*batches: pa.RecordBatch) -> bytes:
    """Return batches as a file."""
    out = io.BytesIO()
    write(batches, out, Writing("out"))
    return out.getvalue()


def file(tmp_path: Path, data: bytes) -> Path:
    """Return a path to bytes."""
    path = tmp_path / "list.parquet"
    path.write_bytes(data)
    return path


def remade(table: pa.Table, metadata: dict[str, str] | None) -> bytes:
    """Return a table as a file of another writer."""
    out = io.BytesIO()
    with pq.ParquetWriter(out, table.schema) as writer:
        writer.write_table(table)
        if metadata:
            writer.add_key_value_metadata(metadata)
    return out.getvalue()


NO_BYTES = hashlib.sha256(b"").hexdigest()
OURS = {"hashlib_interop": f'{{"bytes":0,"imports":[],"sha256":"{NO_BYTES}","version":1}}'}


def test_other_tools_read_it(tmp_path) -> None:
    """The columns as the schema has them; the metadata under our key."""
    path = file(tmp_path, written(batch_of(ROWS)))
    table = pq.read_table(path)
    assert table.schema.equals(ENTRY_SCHEMA) and table.column("ref").to_pylist() == [row.ref for row in ROWS]
    ours = json.loads(pq.read_metadata(path).metadata[b"hashlib_interop"])
    rows = path.read_bytes()[: ours["bytes"]]
    assert ours == {"version": 1, "imports": [], "bytes": len(rows), "sha256": hashlib.sha256(rows).hexdigest()}
    assert len(rows) > 1000


def test_row_groups_do_not_follow_the_batches(monkeypatch, tmp_path) -> None:
    """Many small batches, few row groups; the same bytes however the entries came."""
    monkeypatch.setattr(parquet, "ROWS", 3)
    batch = batch_of(ROWS)
    data = written(*[batch.slice(n, 1) for n in range(7)])
    assert data == written(batch) == written(batch.slice(0, 4), batch.slice(4))
    path = file(tmp_path, data)
    groups = pq.read_metadata(path)
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [3, 3, 1]
    assert [batch.num_rows for batch in read_batches(path, format="parquet", batch_rows=5)] == [5, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop_columns(["evidence"]), "column 30 should be evidence"),
        (lambda table: table.append_column("more", pa.nulls(7)), "unknown column more"),
        (lambda table: table.select(table.schema.names[::-1]), "column 1 should be source: string not null, is evidence"),
        (lambda table: table.set_column(4, "seq", pa.array([0] * 7)), "should be seq: int64 not null, is seq: int64"),
        (lambda table: table.set_column(14, "size", pa.array(["1"] * 7)), "is size: string"),
    ],
)  # fmt: skip
def test_another_schema_is_refused_at_its_first_difference(change, message, tmp_path) -> None:
    """Missing, more, other order, other type, nulls allowed."""
    table = pa.Table.from_batches([batch_of(ROWS)])
    place = ENTRY_SCHEMA.get_field_index("size")
    assert place == 14 and len(ENTRY_SCHEMA) == 30
    with pytest.raises(MalformedInput, match=message):
        list(read(file(tmp_path, remade(change(table), OURS)), format="parquet"))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "no usable hashlib_interop"),
        ({"hashlib_interop": "nonsense"}, "no usable hashlib_interop"),
        ({"hashlib_interop": OURS["hashlib_interop"].replace("[]", "[{}]")}, "no usable hashlib_interop"),
        ({"hashlib_interop": OURS["hashlib_interop"].replace(":1}", ":2}")}, "made by a newer version"),
        ({"hashlib_interop": OURS["hashlib_interop"].replace("e3b0", "0000")}, "the SHA-256 differs"),
        ({"hashlib_interop": OURS["hashlib_interop"].replace('"bytes":0', '"bytes":99999999')}, "the SHA-256 differs"),
    ],
)
def test_metadata_of_somebody_else_are_refused(metadata, message, tmp_path) -> None:
    """No imports, no provenance."""
    data = remade(pa.Table.from_batches([batch_of(ROWS)]), metadata)
    with pytest.raises(MalformedInput, match=message):
        list(read(file(tmp_path, data), format="parquet"))


def test_a_flipped_byte_in_the_data_is_found(tmp_path) -> None:
    """No other value in silence, no row gone."""
    data = bytearray(written(batch_of(ROWS)))
    end = len(data) - int.from_bytes(data[-8:-4], "little") - 8
    for place in range(4, end, 3):
        data[place] ^= 0x55
        with pytest.raises(MalformedInput):
            list(read(file(tmp_path, bytes(data)), format="parquet"))
        data[place] ^= 0x55
