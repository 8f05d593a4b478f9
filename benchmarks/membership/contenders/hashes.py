"""Hash tables for numpy arrays: hirola, cykhash."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.membership import data
from benchmarks.membership.contender import Ask, Contender


class Hirola(Contender):
    """A `HashTable` of two 64-bit numbers, as large as its authors advise (a load of 2/3)."""

    def build(self) -> None:
        """Fill it."""
        import hirola

        self.table = hirola.HashTable(self.n * 3 // 2, (np.uint64, 2))
        self.table.add(data.keys(self.folder, self.n).view(np.uint64))

    def lookup(self, queries: data.Keys, ask: Ask) -> Callable[[], Any]:
        """Look a batch up."""
        asked = queries.view(np.uint64)
        return lambda: self.table.contains(asked)


class Cykhash(Contender):
    """A set of the first 64 bits of each key: not exact."""

    exact = False

    def build(self) -> None:
        """Fill it."""
        import cykhash

        self.set = cykhash.Int64Set_from_buffer(halves(data.keys(self.folder, self.n)))

    def lookup(self, queries: data.Keys, ask: Ask) -> Callable[[], Any]:
        """Look a batch up."""
        import cykhash

        asked, found = halves(queries), np.empty(len(queries), np.bool_)

        def run() -> Any:
            cykhash.isin_int64(asked, self.set, found)
            return found

        return run


def halves(keys: data.Keys) -> Any:
    """Return the first 64 bits of each key."""
    return np.ascontiguousarray(keys.view(np.int64)[:, 0])
