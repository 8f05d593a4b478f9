"""The door of reading and writing: what the caller gets, whatever the format."""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hashlib_interop.errors import BadPolicy, CannotWrite, MalformedInput, TooManyRejects, UnknownFormat
from hashlib_interop.formats import FORMATS
from hashlib_interop.model import Entry, Evidence, batch_of
from hashlib_interop.reading import checked_slug, clock, open_readers, read, read_batches
from hashlib_interop.writing import batched, format_for, write

HEADER = '{"format":"hashlib_interop/native","version":1}\n'
NOW = datetime(2025, 3, 1, tzinfo=UTC)


def native(*lines: str) -> bytes:
    """Return a native file of these lines, as written by hand."""
    return (HEADER + "".join(f"{line}\n" for line in lines) + f'{{"end":true,"entries":{len(lines)}}}\n').encode()


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """Return a native file written by hand, of three entries."""
    path = tmp_path / "list.jsonl"
    path.write_bytes(native('{"ref":"r1"}', '{"ref":"r2","source":"b2"}', '{"ref":"r3"}'))
    return path


def test_the_row_view_and_the_column_view_are_one(listed) -> None:
    """The door gives source, evidence and the time of reading."""
    rows = list(read(listed, source="a", recorded_at=NOW, release=NOW))
    (batch,) = read_batches(listed, source="a", recorded_at=NOW, release=NOW)
    assert batch.to_pylist() == batch_of(rows).to_pylist()
    assert [(row.source, row.ref) for row in rows] == [("a", "r1"), ("b2", "r2"), ("a", "r3")]
    file = hashlib.sha256(listed.read_bytes()).digest()
    assert [row.evidence for row in rows] == [(Evidence(file=file, release=NOW, position=n),) for n in (2, 3, 4)]
    assert {row.recorded_at for row in rows} == {NOW}


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_batches_are_as_long_as_said(listed, rows) -> None:
    """The last one may be shorter."""
    lengths = [batch.num_rows for batch in read_batches(listed, batch_rows=rows)]
    assert sum(lengths) == 3 and max(lengths) == min(rows, 3)


def test_an_import_says_what_was_read(listed) -> None:
    """File, size, format, counts; one an import for each source in the file."""
    (reader,) = open_readers(listed, source="a", recorded_at=NOW)
    assert len(list(reader)) == 3
    assert [one.source for one in reader.imports] == ["a", "b2"]
    for one in reader.imports:
        assert (one.name, one.size, one.format) == ("list.jsonl", listed.stat().st_size, "native")
        assert one.file == hashlib.sha256(listed.read_bytes()).digest()
        assert (one.rejected, one.recorded_at, one.delivery) == (0, NOW, "delta")


def test_imports_travel_with_the_entries(listed, tmp_path) -> None:
    """A native file of read entries has their imports; reading it adds none of its own."""
    (reader,) = open_readers(listed, source="a", recorded_at=NOW)
    imports = reader.imports
    entries = list(reader)
    for name in ("again.jsonl", "again.parquet"):
        write(entries, tmp_path / name, format="native" if name.endswith("l") else "parquet", imports=reader.imports)
        (again,) = open_readers(tmp_path / name)
        assert list(again) == entries
        assert again.imports == reader.imports != imports


def test_imports_are_taken_at_the_end_of_the_writing(listed, tmp_path) -> None:
    """The list given may fill while the batches stream."""
    imports: list = []

    def streaming():
        for reader in open_readers(listed, source="a", recorded_at=NOW):
            yield from reader.batches()
            imports.extend(reader.imports)

    write(streaming(), tmp_path / "out.jsonl", format="native", imports=imports)
    (again,) = open_readers(tmp_path / "out.jsonl")
    assert len(list(again)) == 3 and again.imports == imports and imports


def test_rejects_are_kept_or_handed_on(tmp_path) -> None:
    """Position, reason, the record as it stood; the good ones go on."""
    path = tmp_path / "list.jsonl"
    path.write_bytes(native('{"ref":"r1"}', "nonsense", '{"ref":"r3"}'))
    (reader,) = open_readers(path)
    assert [entry.ref for entry in reader] == ["r1", "r3"]
    (reject,) = reader.rejects
    assert (reject.position, reject.unit, reject.raw) == (3, "line", "nonsense\n")
    assert reader.imports[0].rejected == 1 and reader.imports[0].read == 2
    seen: list = []
    assert len(list(read(path, on_reject=seen.append))) == 2
    assert seen == [reject]


def test_too_many_rejects_end_the_run(tmp_path) -> None:
    """One more than allowed."""
    path = tmp_path / "list.jsonl"
    path.write_bytes(native("nonsense", "nonsense", '{"ref":"r3"}'))
    assert len(list(read(path, max_rejects=2))) == 1
    with pytest.raises(TooManyRejects, match="more than 1"):
        list(read(path, max_rejects=1))


def test_the_members_of_a_zip_are_read_one_after_another(tmp_path) -> None:
    """Each an import of its own."""
    path = tmp_path / "lists.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("b.jsonl", native('{"ref":"r2"}'))
        archive.writestr("a.jsonl", native('{"ref":"r1"}'))
    assert [entry.ref for entry in read(path)] == ["r1", "r2"]
    assert [len(reader.input.file) for reader in open_readers(path)] == [32, 32]


def test_compressed_data_that_break_behind_the_list_are_refused(tmp_path) -> None:
    """The reader is content, the checksum is not."""
    path = tmp_path / "list.jsonl.gz"
    data = bytearray(gzip.compress(native('{"ref":"r1"}')))
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(MalformedInput, match="broken or cut off"):
        list(read(path, format="native"))


def test_a_compressed_parquet_file_is_read(tmp_path) -> None:
    """By a copy that is gone afterwards."""
    write([Entry(source="a", ref="r1")], tmp_path / "list.parquet", format="parquet")
    (tmp_path / "list.gz").write_bytes(gzip.compress((tmp_path / "list.parquet").read_bytes()))
    assert [entry.ref for entry in read(tmp_path / "list.gz", format="parquet")] == ["r1"]


@pytest.mark.parametrize("name", ["", "A", "a b", "\u0430gency", "-a", "a/b", "a" * 64, "a\n", "é"])
def test_names_of_sources_are_slugs(name, listed) -> None:
    """No two names look alike."""
    with pytest.raises(BadPolicy):
        checked_slug(name)
    if name:
        with pytest.raises(BadPolicy):
            open_readers(listed, format="native", source=name)


def test_unknown_formats_are_named(listed) -> None:
    """With those that are known."""
    with pytest.raises(UnknownFormat, match="known: .*native"):
        open_readers(listed, format="nonsense")


def test_the_clock_can_be_fixed(monkeypatch) -> None:
    """As reproducible builds do; whole milliseconds."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1740787200")
    assert clock() == NOW
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert clock().microsecond % 1000 == 0 and clock().tzinfo is UTC


def test_entries_and_batches_may_be_mixed(listed) -> None:
    """The order stays."""
    (batch,) = read_batches(listed)
    one = Entry(source="a", ref="x")
    refs = [ref for each in batched([one, batch, one, one], rows=2) for ref in each.column("ref").to_pylist()]
    assert refs == ["x", "r1", "r2", "r3", "x", "x"]


def test_the_suffix_says_the_format_to_write() -> None:
    """The longest one wins; none is an error that says what to do."""
    assert format_for("x.native.jsonl") is FORMATS["native"]
    assert format_for("X.PARQUET") is FORMATS["parquet"]
    assert format_for("x", "native") is FORMATS["native"]
    with pytest.raises(UnknownFormat, match="--to"):
        format_for("x.unheard")


def test_a_strict_write_publishes_nothing_that_lost_something(tmp_path) -> None:
    """The old file stays."""
    target = tmp_path / "list.csv"
    target.write_bytes(b"old")
    with pytest.raises(CannotWrite, match="cannot carry everything"):
        write([Entry(source="a", md5=bytes(range(16)), series="S", extra={"x": {"y": 1}})], target, format="icse", strict=True)
    assert target.read_bytes() == b"old"


def test_a_file_of_bytes_that_are_no_text_has_a_name(tmp_path) -> None:
    """A file name that is no UTF-8 does not stop the manifest."""
    path = Path(str(tmp_path) + "/l\udcff.jsonl")
    path.write_bytes(native('{"ref":"r1"}'))
    (reader,) = open_readers(path, format="native")
    entries = list(reader)
    out = io.BytesIO()
    FORMATS["native"].write([], out, type("W", (), {"imports": reader.imports})())
    assert len(entries) == 1 and b"udcff" in out.getvalue()
