"""Sort, and dedupe where it is one step: numpy, polars, DuckDB. What is sorted is made before, untimed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.membership import data
from benchmarks.membership.contender import Ask, Contender
from benchmarks.membership.contenders.columns import numbers, silent
from benchmarks.membership.contenders.stores import DuckDB


class NumpySort(Contender):
    """`np.sort` of S16, which is not safe where keys end in NUL."""

    def build(self) -> None:
        """Take the keys."""
        self.keys = data.with_repeats(self.folder, self.n).view("S16")

    def other(self, ask: Ask) -> Callable[[], Any]:
        """Sort a copy."""
        return lambda: silent(lambda: np.sort(self.keys, axis=0))


class PolarsSort(Contender):
    """`sort` of a column of unsigned numbers of 128 bits."""

    def build(self) -> None:
        """Take the keys."""
        self.keys = numbers(data.with_repeats(self.folder, self.n))["key"]

    def other(self, ask: Ask) -> Callable[[], Any]:
        """Sort a copy."""
        return lambda: silent(self.keys.sort)


class PolarsTwoColumns(Contender):
    """`sort` by two columns of 64 bits."""

    def build(self) -> None:
        """Take the keys."""
        import polars as pl

        first, second = data.words(data.with_repeats(self.folder, self.n))
        self.keys = pl.DataFrame({"first": first.byteswap(), "second": second.byteswap()})

    def other(self, ask: Ask) -> Callable[[], Any]:
        """Sort a copy."""
        return lambda: silent(lambda: self.keys.sort("first", "second"))


class DuckDBSort(DuckDB):
    """`DISTINCT` with `ORDER BY`, into a table."""

    def build(self) -> None:
        """Load the keys into a table in memory."""
        self.connect()
        self.load("keys", data.with_repeats(self.folder, self.n))

    def other(self, ask: Ask) -> Callable[[], Any]:
        """Sort into another table."""
        self.base.execute(f"SET threads = {ask.threads}")
        text = "CREATE OR REPLACE TABLE sorted AS SELECT DISTINCT key FROM keys ORDER BY key"
        return lambda: int(self.base.execute(text).fetchall()[0][0])
