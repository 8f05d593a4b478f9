"""The catalog as a format: refused where it is not whole or not ours; items and entries."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hashlib_interop.catalog_schema import VERSION
from hashlib_interop.errors import BadCatalog, InteropError, UnknownFormat
from hashlib_interop.explaining import why
from hashlib_interop.merging import merge
from hashlib_interop.model import Classification, Entry, Fingerprint
from hashlib_interop.reading import open_readers, read
from hashlib_interop.writing import write

LATE = datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
ENTRIES = [
    Entry(source="a", md5=b"\1\2" * 8, size=3, classifications=[Classification(scheme="s", code="1")], series="x", extra={"a": {"b": 1}}),
    Entry(source="b", md5=b"\1\2" * 8, sha1=b"\3\4" * 10, size=3, fingerprints=[Fingerprint(kind="pdq", value=b"p" * 32)]),
    Entry(source="b", ref="gone", state="retracted", asserted_at=datetime(2024, 1, 1, tzinfo=UTC)),
    Entry(source="a", ref="late", asserted_at=LATE),
]


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A small catalog."""
    write(ENTRIES, tmp_path / "in.jsonl", format="native")
    merge([tmp_path / "in.jsonl"], tmp_path / "all.db", recorded_at=datetime(2025, 1, 1, tzinfo=UTC))
    return tmp_path / "all.db"


def test_entries_come_back_whole(catalog: Path) -> None:
    """Content, to the millisecond of the year 9999, with evidence."""
    found = {entry.id: entry for entry in read(catalog)}
    assert set(found) == {entry.id for entry in ENTRIES}
    assert all(len(entry.evidence) == 1 for entry in found.values())


def test_rows_items_gives_one_row_an_item(catalog: Path) -> None:
    """What the entries agree on, the union of their fingerprints, the value."""
    (item,) = open_readers(catalog, options={"rows": "items"})[0]
    assert (item.ref, item.size, item.series) == ("sha1:" + "0304" * 10, 3, "x")
    assert item.classifications == (Classification(scheme="s", code="1"),)
    assert [print.kind for print in item.fingerprints] == ["pdq"]


def test_any_cut_is_refused(catalog: Path) -> None:
    """SQLite would read a file without the end of its last page as whole."""
    data = catalog.read_bytes()
    for size in (len(data) - 1, len(data) - 4096, len(data) // 2, 4096, 100):
        catalog.write_bytes(data[:size])
        with pytest.raises(BadCatalog):
            list(open_readers(catalog, format="catalog")[0])


def test_other_sqlite_files_and_newer_versions_are_refused(catalog: Path, tmp_path: Path) -> None:
    """By application id and version, with what to do."""
    database = sqlite3.connect(tmp_path / "other.db")
    database.execute("CREATE TABLE t (x)")
    database.commit()
    database.close()
    with pytest.raises(UnknownFormat):
        list(read(tmp_path / "other.db"))
    with pytest.raises(BadCatalog, match="not a catalog"):
        why(tmp_path / "other.db", "0" * 32)
    database = sqlite3.connect(catalog)
    database.execute(f"PRAGMA user_version = {VERSION + 1}")
    database.commit()
    database.close()
    with pytest.raises(BadCatalog, match="newer version"):
        list(read(catalog))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE entries SET md5 = x'00'",
        "UPDATE entries SET asserted_at = 'soon'",
        "UPDATE extras SET json = '{'",
        "UPDATE entries SET extra = 999",
        "UPDATE entries SET source = 99",
        "UPDATE entries SET last_import = 1000000000000",
        "UPDATE entries SET last_import = NULL",
        "UPDATE entries SET file_names = '3'",
        "UPDATE entries SET handling = '[]'",
        "UPDATE fingerprints SET kind = 'odd'",
        "UPDATE imports SET file = x'00'",
        "UPDATE imports SET recorded_at = 'x'",
        "UPDATE imports SET facts = '['",
        "UPDATE sources SET name = 'Not A Slug'",
        "UPDATE sources SET delivery = 'odd'",
        "DELETE FROM imports",
        "INSERT INTO classifications VALUES (0, 's', '9', NULL)",
        "INSERT INTO classifications VALUES (99, 's', '9', NULL)",
        "UPDATE classifications SET code = '2'",
        "UPDATE fingerprints SET entry = 0",
        "INSERT INTO votes VALUES (1, 'a', 'r', 'up', NULL)",
        "INSERT INTO votes VALUES (1, 'a', 'r', 'up', NULL), (1, 'a', 'r', 'up', NULL)",
        "UPDATE entries SET retracted = 'no'",
        "UPDATE entries SET victim_identified = 'no'",
        "UPDATE entries SET size = -5",
        "UPDATE entries SET entry_id = x'00'",
        "UPDATE entries SET series = 'y'",
        "DROP TABLE meta; CREATE TABLE meta (a)",
    ],
)
def test_a_crafted_catalog_is_an_error_of_ours(damage: str, catalog: Path, tmp_path: Path) -> None:
    """Values that no catalog of ours holds: refused, never a traceback, never taken in."""
    database = sqlite3.connect(catalog)
    database.executescript(damage)
    database.close()
    with pytest.raises(InteropError):
        merge([catalog], tmp_path / "out.db")
    assert not (tmp_path / "out.db").exists()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE entries SET standing = 77",
        "UPDATE entries SET asserted_at = 9e18",
        "UPDATE entries SET first_import = 99",
        "UPDATE meta SET value = '{'",
        "DELETE FROM meta",
    ],
)
def test_why_on_a_crafted_catalog_is_an_error_of_ours(damage: str, catalog: Path) -> None:
    """Looking into a catalog trusts it no more than merging it does."""
    database = sqlite3.connect(catalog)
    database.executescript(damage)
    database.close()
    with pytest.raises(InteropError):
        why(catalog, "0102" * 8)
