"""Ours: the compiled core, the numpy reader of the same file, the sort, the hex lines, the lookup of a text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.membership import data
from benchmarks.membership.contender import Ask, Contender
from hashlib_interop import HashSet

MEMORY = "8GiB"


class Ours(Contender):
    """`HashSet`, and beside it, in the same rounds, what memory allows: random lines of its own file."""

    seed = data.SEED

    def build(self) -> None:
        """Build the file and open it."""
        self.path = self.own / "ours.hset"
        HashSet.build(data.keys(self.folder, self.n), self.path, memory=MEMORY, threads=self.threads).close()
        self.set = HashSet.open(self.path, prefault=True)

    def stored(self) -> int:
        """Return the size of the file."""
        return self.path.stat().st_size

    def lookup(self, queries: data.Keys, ask: Ask) -> Callable[[], Any]:
        """Look a batch up."""
        return lambda: self.set.contains(queries, ask.threads)

    def container(self) -> HashSet:
        """Return the set."""
        return self.set

    def other(self, ask: Ask) -> Callable[[], Any]:
        """Open it, look a text up, or read random lines."""
        if ask.what == "open":
            return lambda: opened(self.path, ask.count, False)
        if ask.what == "first answer":
            return lambda: opened(self.path, ask.count, True)
        if ask.what == "file to hits":
            import hashlib_interop.membership.lookup  # noqa: F401 - loaded before it is timed

            data.read(lines := data.lines(self.folder, self.n))
            return lambda: found_in(self.path, lines)
        return self._limit(ask)

    def _limit(self, ask: Ask) -> Callable[[], Any]:
        """Read as many random lines of LINES, alone or with records of REST, as a batch of lookups would at least."""
        from hashlib_interop.membership import _membership
        from hashlib_interop.membership.threads import each

        (group,) = self.set.groups
        first, second = ((span.offset, span.length) for span in (group.lines, group.rest_span))
        with self.path.open("rb") as file:
            mapping = _membership.Mapping(file.fileno(), self.stored(), True)
        share = ask.count // ask.threads
        starts = range(0, share * ask.threads, share)
        seed, self.seed = self.seed, self.seed + ask.count  # no two read the same
        queries = data.queries(self.folder, self.n, 0, ask.count) if ask.what == "a query and its line" else None

        def read(start: int) -> None:
            what, _, how = ask.what.partition(", ")
            design = how == "as in the design"
            if what == "one random line":
                _membership.limit_lines(mapping, first, share, seed + start, design=design)
            elif what == "a line and its record":
                _membership.limit_pairs(mapping, first, second, group.rest, share, seed + start, design)
            elif queries is not None:
                _membership.limit_lines(mapping, first, share, 0, queries[start:])
            else:
                raise NotImplementedError(ask.what)

        return lambda: each(read, starts, ask.threads) and None


def opened(path: Path, times: int, ask: bool) -> None:
    """Open a file some times, and look one digest up in it."""
    for _ in range(times):
        with HashSet.open(path) as found:
            assert not (ask and bytes(data.WIDTH) in found)


def found_in(path: Path, lines: Path) -> int:
    """Look up every line of a text, as `hashlib-interop lookup` does; the hits are made ready to be shown."""
    from hashlib_interop.membership.lookup import Lookup, open_set

    with open_set(path) as opened:
        return sum(len(batch) for batch in Lookup(opened).file(lines))


class OursWithoutCompiler(Contender):
    """The numpy reader of the same file."""

    def build(self) -> None:
        """Open the file that the compiled core built."""
        from hashlib_interop.membership.hset_file import HEADER, read_header
        from hashlib_interop.membership.hset_numpy import Table, mapped

        with (self.own / "ours.hset").open("rb") as file:
            header = read_header(file.read(HEADER), self.stored())
            self.table = Table(mapped(file.fileno(), header.size, True), header.groups)

    def stored(self) -> int:
        """Return the size of the file."""
        return (self.own / "ours.hset").stat().st_size

    def lookup(self, queries: data.Keys, ask: Ask) -> Callable[[], Any]:
        """Look a batch up."""
        return lambda: self.table.contains(queries, ask.threads)

    def container(self) -> Any:
        """Return the set."""
        return self.table


class OurSort(Contender):
    """Sort and dedupe."""

    def build(self) -> None:
        """Take the keys."""
        self.keys = data.with_repeats(self.folder, self.n)

    def other(self, ask: Ask) -> Callable[[], Any]:
        """Sort a copy."""
        from hashlib_interop.membership.sorting import sort_unique

        return lambda: len(sort_unique(self.keys, ask.threads))


class OurHexLines(Contender):
    """Validate and decode hex lines, by blocks that suit the cache (readers, which do more, take larger ones)."""

    def other(self, ask: Ask) -> Callable[[], Any]:
        """Decode a text that is in memory."""
        text = memoryview((data.lines(self.folder, self.n)).read_bytes())
        return lambda: decoded(text)


def decoded(text: memoryview, block: int = 1 << 19) -> int:
    """Decode a text by blocks that the cache holds with their digests; return how many there were."""
    from hashlib_interop.membership.sorting import hex_lines

    at = count = 0
    while at < len(text):
        part = hex_lines(text[at : at + block], data.WIDTH, final=at + block >= len(text))
        assert part.bad_line is None
        at, count = at + part.consumed, count + len(part.digests)
        del part  # the next digests may have its place
    return count
