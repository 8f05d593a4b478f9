"""Databases: DuckDB, lmdb, SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.membership import data
from benchmarks.membership.contender import Ask, Contender


class DuckDB(Contender):
    """Semi join of a table of UHUGEINT with another, which hashes one of them anew at each call; rows come back."""

    def build(self) -> None:
        """Load the keys into a table in memory."""
        self.connect()
        self.load("keys", data.keys(self.folder, self.n))

    def connect(self) -> None:
        """Open a database in memory."""
        import duckdb

        self.base = duckdb.connect(config={"threads": self.threads})

    def load(self, table: str, keys: data.Keys) -> None:
        """Make a table of keys and their places."""
        import pyarrow as pa

        first, second = (half.byteswap() for half in data.words(keys))
        self.base.register("given", pa.table({"first": first, "second": second, "place": np.arange(len(keys), dtype="u4")}))
        made = "SELECT place, (first::UHUGEINT << 64) | second AS key FROM given"
        self.base.execute(f"CREATE OR REPLACE TABLE {table} AS {made}")
        self.base.unregister("given")

    def lookup(self, queries: data.Keys, ask: Ask) -> Callable[[], Any]:
        """Look a batch up."""
        self.load("asked", queries)
        self.base.execute(f"SET threads = {ask.threads}")
        text = "SELECT place FROM asked SEMI JOIN keys USING (key)"
        return lambda: self.base.execute(text).fetchnumpy()["place"]

    def hits(self, result: Any) -> int:
        """Count the rows."""
        return len(result)


class Lmdb(Contender):
    """A B+ tree in a mapped file; one `get` a query, in one transaction."""

    def build(self) -> None:
        """Append the keys in order."""
        import lmdb

        self.path = self.own / "lmdb"
        self.base = lmdb.open(str(self.path), subdir=False, map_size=1 << 37, sync=False)
        with self.base.begin(write=True) as writing:
            writing.cursor().putmulti(((key, b"") for key in sorted_values(self)), append=True)
        self.reading = self.base.begin(buffers=True)

    def stored(self) -> int:
        """Return the bytes of its pages in use."""
        pages = self.base.info()["last_pgno"] + 1
        return int(pages * self.base.stat()["psize"])

    def lookup(self, queries: data.Keys, ask: Ask) -> Callable[[], Any]:
        """Look a list up."""
        values, get = data.values(queries), self.reading.get
        return lambda: [get(value) is not None for value in values]

    def hits(self, result: Any) -> int:
        """Count the hits."""
        return sum(result)

    def other(self, ask: Ask) -> Callable[[], Any]:
        """Open it again and ask for one."""
        import lmdb

        def run() -> None:
            self.base.close()
            self.base = lmdb.open(str(self.path), subdir=False, map_size=1 << 37, readonly=True)
            self.reading = self.base.begin(buffers=True)
            self.reading.get(bytes(data.WIDTH))

        return run


class Sqlite(Contender):
    """A table `WITHOUT ROWID` in a file; one statement for all queries."""

    def build(self) -> None:
        """Insert the keys in order."""
        self.path = self.own / "sqlite"
        self.base = sqlite3.connect(self.path)
        self.base.execute("PRAGMA journal_mode = OFF")
        self.base.execute("PRAGMA mmap_size = 68719476736")
        self.base.execute("CREATE TABLE held (key BLOB PRIMARY KEY) WITHOUT ROWID")
        self.base.execute("CREATE TEMP TABLE asked (key BLOB)")
        self.base.executemany("INSERT INTO held VALUES (?)", ((key,) for key in sorted_values(self)))
        self.base.commit()

    def stored(self) -> int:
        """Return the size of the file."""
        return self.path.stat().st_size

    def lookup(self, queries: data.Keys, ask: Ask) -> Callable[[], Any]:
        """Look a table up."""
        self.base.execute("DELETE FROM asked")
        self.base.executemany("INSERT INTO asked VALUES (?)", ((value,) for value in data.values(queries)))
        return lambda: self.base.execute("SELECT key IN held FROM asked").fetchall()

    def hits(self, result: Any) -> int:
        """Count the hits."""
        return sum(found for (found,) in result)

    def other(self, ask: Ask) -> Callable[[], Any]:
        """Open it again and ask for one."""

        def run() -> None:
            base = sqlite3.connect(self.path)
            base.execute("SELECT 1 FROM held WHERE key = ?", (bytes(data.WIDTH),)).fetchall()
            base.close()

        return run


def sorted_values(contender: Contender) -> list[bytes]:
    """Return the keys of a contender in order."""
    return sorted(data.values(data.keys(contender.folder, contender.n)))
