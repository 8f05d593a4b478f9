"""Filters, which are wrong about some of what is not there; they need another version of xxhash than ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.membership import data
from benchmarks.membership.contender import Ask, Contender


class Filter(Contender):
    """Asked one by one: they know no batches."""

    exact = False
    filter: Any

    def lookup(self, queries: data.Keys, ask: Ask) -> Callable[[], Any]:
        """Look a list up."""
        values, held = data.values(queries), self.filter
        return lambda: [value in held for value in values]

    def hits(self, result: Any) -> int:
        """Count the hits."""
        return sum(result)

    def container(self) -> Any:
        """Return the filter."""
        return self.filter


class Rbloom(Filter):
    """A Bloom filter, wrong about 1 % of what is not there."""

    def build(self) -> None:
        """Fill it."""
        import rbloom

        self.filter = rbloom.Bloom(self.n, 0.01)
        self.filter.update(data.values(data.keys(self.folder, self.n)))


class Pyfusefilter(Filter):
    """A binary fuse filter of 8 bits, wrong about 0.4 % of what is not there."""

    def build(self) -> None:
        """Fill it."""
        import pyfusefilter

        self.filter = pyfusefilter.Fuse8(data.values(data.keys(self.folder, self.n)))
