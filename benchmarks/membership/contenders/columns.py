"""Libraries of arrays and columns: numpy, pandas, pyarrow, polars. Queries are in the form each likes best."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.membership import data
from benchmarks.membership.contender import Ask, Contender


class Numpy(Contender):
    """`searchsorted` of sorted queries on the first half, the second half compared: the best of what numpy has."""

    def build(self) -> None:
        """Sort the keys."""
        first, second = data.words(data.keys(self.folder, self.n))
        order = np.argsort(first)
        self.first, self.second = first[order], second[order]
        assert (self.first[1:] != self.first[:-1]).all(), "two keys begin alike: this way would not be exact"

    def lookup(self, queries: data.Keys, ask: Ask) -> Callable[[], Any]:
        """Look a batch up."""
        first, second = data.words(queries)
        return lambda: self._contains(first, second)

    def _contains(self, first: Any, second: Any) -> Any:
        order = np.argsort(first)
        wanted = first[order]
        places = np.minimum(np.searchsorted(self.first, wanted), self.n - 1)
        found = np.empty(len(order), np.bool_)
        found[order] = (self.first[places] == wanted) & (self.second[places] == second[order])
        return found

    def other(self, ask: Ask) -> Callable[[], Any]:
        """Map the sorted halves again and look one up."""
        saved = self.own / "sorted.npy"
        np.save(saved, self.first)
        return lambda: silent(lambda: np.searchsorted(np.load(saved, "r"), 0))


class Pandas(Contender):
    """An `Index` of bytes objects."""

    def build(self) -> None:
        """Make the index, and its table by a first question."""
        import pandas as pd

        self.index = pd.Index(data.values(data.keys(self.folder, self.n)), dtype=object)
        self.index.get_indexer(self.index[:1])

    def lookup(self, queries: data.Keys, ask: Ask) -> Callable[[], Any]:
        """Look a batch up."""
        values = np.array(data.values(queries), object)
        return lambda: self.index.get_indexer(values) >= 0


class Arrow(Contender):
    """`is_in` of fixed-size binary, which hashes the keys anew at each call."""

    def build(self) -> None:
        """Hand the keys over."""
        self.keys = fixed_binary(data.keys(self.folder, self.n))

    def lookup(self, queries: data.Keys, ask: Ask) -> Callable[[], Any]:
        """Look a batch up."""
        import pyarrow.compute as pc

        values = fixed_binary(queries)
        return lambda: pc.is_in(values, value_set=self.keys)

    def hits(self, result: Any) -> int:
        """Count the hits."""
        return int(result.true_count)


def fixed_binary(keys: data.Keys) -> Any:
    """Return keys as an Arrow array, without a copy."""
    import pyarrow as pa

    buffers = [None, pa.py_buffer(np.ascontiguousarray(keys))]
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(keys.shape[1]), len(keys), buffers)


class Polars(Contender):
    """Semi join on a column of 128-bit numbers, which hashes the keys anew at each call."""

    def build(self) -> None:
        """Hand the keys over."""
        self.keys = numbers(data.keys(self.folder, self.n)).with_columns(held=True)

    def lookup(self, queries: data.Keys, ask: Ask) -> Callable[[], Any]:
        """Look a batch up."""
        asked, keys = numbers(queries).with_row_index("place"), self.keys
        return lambda: asked.join(keys, on="key", how="semi")

    def hits(self, result: Any) -> int:
        """Count the rows."""
        return len(result)


def numbers(keys: data.Keys) -> Any:
    """Return keys as a column of unsigned numbers of 128 bits: of all types that hold them, polars is fastest at this."""
    import polars as pl

    halves = pl.DataFrame(dict(zip("ab", (half.byteswap() for half in data.words(keys)), strict=True)))
    shift = pl.lit(1 << 32, pl.UInt128)
    return halves.select(key=pl.col("a").cast(pl.UInt128) * shift * shift + pl.col("b").cast(pl.UInt128))


class PolarsIsIn(Polars):
    """`is_in` of the same column."""

    def lookup(self, queries: data.Keys, ask: Ask) -> Callable[[], Any]:
        """Look a batch up."""
        asked, keys = numbers(queries)["key"], self.keys["key"].implode()
        return lambda: asked.is_in(keys)

    def hits(self, result: Any) -> int:
        """Count the hits."""
        return int(result.sum())


def silent(run: Callable[[], Any]) -> None:
    """Run, and leave what came out: it is not unique, or one answer."""
    run()
