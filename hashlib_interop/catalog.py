"""The catalog: one SQLite file that holds the log, the items and the disagreements (docs/catalog.md).

Wide where that saves rows (digests are BLOB columns of entries and items), normalised where many belong
to one. It is a pure function of the entries, their evidence and the policy: nothing of the run but the
recorded clock enters it.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import sqlite_utils

from hashlib_interop.catalog_schema import (
    APPLICATION_ID,
    COMPUTED,
    FOREIGN,
    INDEXES,
    TABLES,
    VERSION,
    VIEWS,
    WITHOUT_ROWID,
)
from hashlib_interop.crosswalk import Crosswalk
from hashlib_interop.engine import STRONGEST_FIRST, Log
from hashlib_interop.errors import BadCatalog, InteropError, shown
from hashlib_interop.model import DIGESTS, FLAGS, canonical_json
from hashlib_interop.policy import Policy
from hashlib_interop.report import Import, still_refused

ROWS = 10_000
"""Rows fetched and inserted at once."""


def publish(connection: duckdb.DuckDBPyConnection, log: Log, policy: Policy, crosswalk: Crosswalk, path: Path) -> None:
    """Write the resolved tables of an engine as a catalog at `path` (an empty file, or none)."""
    database = sqlite_utils.Database(str(path))
    try:
        _prepare(database)
        _fill(database, connection, log, policy, crosswalk)
        for table, columns in INDEXES:
            _index(database, table, columns)
        for name, query in VIEWS.items():
            database.create_view(name, query)
        database.conn.commit()
        database.execute("ANALYZE")
        database.conn.commit()
    finally:
        database.close()


def _prepare(database: sqlite_utils.Database) -> None:
    """Empty tables; the journal is off since a broken run leaves only a temporary file behind."""
    database.execute("PRAGMA page_size = 4096")
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA cache_size = -65536")
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {VERSION}")
    for name, columns in TABLES.items():
        keys = [(column, other, "id") for column, other in FOREIGN.get(name, [])]
        key = "id" if "id" in columns else "key" if name == "meta" else None
        if name in WITHOUT_ROWID:
            _create_tree(database, name, columns)
        else:
            database.table(name).create(columns, pk=key, foreign_keys=keys)
    database.execute(COMPUTED)


def _create_tree(database: sqlite_utils.Database, name: str, columns: dict[str, type]) -> None:
    """Create a table without row ids, which sqlite-utils does not know."""
    kinds = {int: "INTEGER", str: "TEXT", bytes: "BLOB"}
    defined = ", ".join(f"{column} {kinds[kind]}" for column, kind in columns.items())
    database.execute(
        f"CREATE TABLE {name} ({defined}, PRIMARY KEY ({WITHOUT_ROWID[name]}), "
        "FOREIGN KEY (entry) REFERENCES entries(id)) WITHOUT ROWID"
    )


def _index(database: sqlite_utils.Database, table: str, columns: str) -> None:
    """Index columns; rows without a value cost nothing."""
    last = columns.rpartition(", ")[2]
    where = f" WHERE {last} IS NOT NULL" if last in (*DIGESTS, "own_ref", "item") else ""
    name = f"{table}_{columns.replace(', ', '_')}"
    database.execute(f"CREATE INDEX {name} ON {table} ({columns}){where}")


def _fill(
    database: sqlite_utils.Database, connection: duckdb.DuckDBPyConnection, log: Log, policy: Policy, crosswalk: Crosswalk
) -> None:
    imports = log.ordered_imports
    names = sorted({i.source for i in imports})
    numbers = {name: k for k, name in enumerate(names, 1)}
    connection.execute("CREATE TABLE source_number (source VARCHAR, number INTEGER)")
    if names:
        connection.executemany("INSERT INTO source_number VALUES (?, ?)", list(numbers.items()))
    _insert(database.conn, "sources", _source_rows(connection, imports, numbers))
    _insert(database.conn, "imports", (_import_row(k, i, numbers) for k, i in enumerate(imports, 1)))
    connection.execute(
        "CREATE TABLE extras AS SELECT (row_number() OVER (ORDER BY extra))::INTEGER AS x, extra "
        "FROM (SELECT DISTINCT extra FROM core JOIN log USING (n) WHERE extra IS NOT NULL)"
    )
    for table, query in QUERIES.items():
        _insert(database.conn, table, _rows(connection, query))
    _insert(
        database.conn,
        "rejects",
        (
            (k, r.position, r.unit, r.field, r.reason, r.value, r.raw)
            for k, i in enumerate(imports, 1)
            for r in i.rejects
        ),
    )
    _insert(
        database.conn, "losses", ((k, what, n) for k, i in enumerate(imports, 1) for what, n in sorted(i.dropped.items()))
    )
    _insert(database.conn, "meta", _meta_rows(policy, crosswalk).items())


def _insert(connection: sqlite3.Connection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    marks = ", ".join("?" * len(TABLES[table]))
    connection.executemany(f"INSERT INTO [{table}] VALUES ({marks})", rows)


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> Iterator[tuple[Any, ...]]:
    cursor = connection.cursor().execute(query)
    while rows := cursor.fetchmany(ROWS):
        yield from rows


_DIGEST_LIST = ", ".join(DIGESTS)
_STAMP_OR_NULL = "CASE WHEN core.stamp > -9223372036854775807 THEN core.stamp END"
_JSON_OR_NULL = "CASE WHEN {0} IS NOT NULL THEN to_json({0})::VARCHAR END"

_DERIVED = ", ".join(f"'{a}:' || lower(hex(core.{a}))" for a in STRONGEST_FIRST)

QUERIES = {
    "items": f"""SELECT item, {_DIGEST_LIST}, size, media, status, scheme, code, rule, handling, entries, sources, up, down
        FROM item ORDER BY item""",
    "extras": "SELECT x, extra FROM extras ORDER BY x",
    "entries": f"""WITH place AS (SELECT e, first, last, position FROM run QUALIFY
            row_number() OVER (PARTITION BY e ORDER BY first, last DESC, position) = 1)
        SELECT core.e, core.id, item, number, CASE WHEN core.ref <> coalesce({_DERIVED}, '') THEN core.ref END, core.contributor, {_STAMP_OR_NULL}, core.seq,
        core.retracted::INTEGER, standing, {", ".join(f"core.{name}" for name in DIGESTS)}, core.media, mime_type, core.size,
        {_JSON_OR_NULL.format("file_names")}, series, {_JSON_OR_NULL.format("tags")},
        {", ".join(f"{name}::INTEGER" for name in FLAGS)}, reason, core.handling, x,
        place.first, place.last, place.position
        FROM core JOIN log USING (n) JOIN standing USING (e) JOIN place USING (e)
        JOIN source_number ON source_number.source = core.source LEFT JOIN joined USING (e)
        LEFT JOIN extras USING (extra) ORDER BY core.e""",
    "evidence": """SELECT e, first, last, position FROM run QUALIFY
        row_number() OVER (PARTITION BY e ORDER BY first, last DESC, position) > 1 ORDER BY e, first, last, position""",
    "fingerprints": """SELECT e, f.kind, f.value FROM (SELECT e, unnest(fingerprints) AS f FROM core JOIN log USING (n))
        ORDER BY e, f.kind, f.value""",
    "classifications": """SELECT said.e, c.scheme, c.code, mapped.code FROM
        (SELECT e, unnest(classifications) AS c FROM core JOIN log USING (n)) said LEFT JOIN mapped
        ON mapped.e = said.e AND from_scheme = c.scheme AND from_code = c.code ORDER BY said.e, c.scheme, c.code""",
    "votes": """SELECT e, about_source, about_ref, core.vote, CASE WHEN considered IS NOT NULL THEN
        to_json([lower(hex(x)) for x in considered])::VARCHAR END
        FROM core JOIN log USING (n) WHERE about_source IS NOT NULL OR core.vote IS NOT NULL ORDER BY e""",
    "conflicts": "SELECT c, kind, subject, item, resolved::INTEGER FROM conflict ORDER BY c",
    "sides": "SELECT c, value, e FROM side ORDER BY c, value, e",
}


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(stamp: datetime | None) -> int | None:
    """Return a stamp as the catalog keeps it."""
    return None if stamp is None else (stamp - EPOCH) // timedelta(milliseconds=1)


def stamp_of(value: int | None) -> datetime | None:
    """Return what `milliseconds` gave; exact up to the year 9999, which floats are not."""
    return None if value is None else EPOCH + timedelta(milliseconds=value)


def _import_row(number: int, one: Import, numbers: dict[str, int]) -> tuple[Any, ...]:
    return (
        number,
        numbers[one.source],
        milliseconds(one.release),
        one.file,
        one.name,
        one.size,
        one.format,
        one.reader,
        milliseconds(one.recorded_at),
        canonical_json(one.facts),
        one.read,
        one.rejected,
    )


def _source_rows(
    connection: duckdb.DuckDBPyConnection, imports: list[Import], numbers: dict[str, int]
) -> list[tuple[Any, ...]]:
    counts = {
        row[0]: row[1:]
        for row in connection.execute(
            """SELECT source, count(*) FILTER (standing = 0 AND NOT retracted AND NOT speaks_of),
                count(*) FILTER (standing = 0 AND retracted), count(*) FILTER (standing = 2), count(*) FILTER (standing = 3)
            FROM core JOIN standing USING (e) GROUP BY source"""
        ).fetchall()
    }
    only = dict(connection.execute("SELECT only_source, count(*) FROM item GROUP BY 1").fetchall())
    rows = []
    for name, number in numbers.items():
        own = [i for i in imports if i.source == name]
        read = sum(i.read for i in own)
        rows.append((number, name, own[0].delivery, read, still_refused(own), *counts.get(name, (0, 0, 0, 0)), only.get(name, 0)))
    return rows


def _meta_rows(policy: Policy, crosswalk: Crosswalk) -> dict[str, str]:
    return {
        "format": "hashlib_interop catalog",
        "version": str(VERSION),
        "policy": canonical_json(policy.model_dump(mode="json", exclude={"crosswalk"})),
        "policy_hash": policy.hash,
        "crosswalk": canonical_json([list(pair) for pair in crosswalk.files]),
    }


def open_catalog(path: str | Path) -> sqlite_utils.Database:
    """Open a catalog for reading; `BadCatalog` where the file is none, or of a newer version."""
    name = str(path)
    if not Path(path).is_file():
        raise BadCatalog("no such file", file=name)
    _check_size(Path(path))
    connection = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        identity = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        connection.close()
        why = f"no catalog, and no SQLite file that can be read ({shown(error, 150)}); a list is merged first: merge"
        raise BadCatalog(why, file=name) from None
    if identity != APPLICATION_ID or not set(TABLES) <= tables or version != VERSION:
        connection.close()
        newer = identity == APPLICATION_ID and version > VERSION
        raise BadCatalog(
            f"made by a newer version ({version}): update this tool" if newer else "an SQLite file, but not a catalog",
            file=name,
        )
    return sqlite_utils.Database(connection)


# What values of the wrong type or shape end in, in a catalog that somebody else has put together.
ODD = (ValueError, TypeError, LookupError, AttributeError, OverflowError, StopIteration, sqlite3.Error, pa.ArrowException)


@contextlib.contextmanager
def opened_catalog(path: str | Path) -> Iterator[sqlite_utils.Database]:
    """Give a catalog for reading; whatever it turns out to hold that no catalog holds is `BadCatalog`."""
    database = open_catalog(path)
    try:
        yield database
    except InteropError:
        raise
    except ODD as error:
        raise BadCatalog(f"holds what no catalog holds ({shown(error, 150)})", file=str(path)) from None
    finally:
        database.close()


def _check_size(path: Path) -> None:
    """SQLite reads a file that was cut inside its last page as if it were whole; its header says the size."""
    with path.open("rb") as opened:
        head = opened.read(100)
    page = int.from_bytes(head[16:18], "big")
    wanted = (65536 if page == 1 else page) * int.from_bytes(head[28:32], "big")
    if head.startswith(b"SQLite format 3\x00") and path.stat().st_size != wanted:
        raise BadCatalog(f"cut off or grown: {path.stat().st_size:,} bytes, expected {wanted:,}", file=str(path))


def meta(database: sqlite_utils.Database) -> dict[str, Any]:
    """Return the meta table, JSON values read."""
    found = dict(database.execute("SELECT key, value FROM meta").fetchall())
    return {**found, "policy": json.loads(found["policy"]), "crosswalk": json.loads(found["crosswalk"])}


def strongest(row: dict[str, Any]) -> str | None:
    """Return the strongest digest of a row as `algorithm:hex`."""
    return next((f"{a}:{row[a].hex()}" for a in STRONGEST_FIRST if row[a] is not None), None)
