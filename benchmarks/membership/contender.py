"""What a contender is asked, and what it has to answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.membership import data

HOT, HIT, MISS, LOOP, HOT_LOOP = "in, hot", "in, hit", "in, miss", "loop", "loop, hot"
SINGLES = {HOT: 100, HIT: 100, MISS: 0, LOOP: 100, HOT_LOOP: 100}
"""One digest at a time, and the loop around it alone; the hit rate of the values. Hot: the same few again and again."""
FEW = 16
"""One alone would be a lottery: of a hundred digests of ours, one is of a line that goes on, and takes twice as long."""


@dataclass(frozen=True)
class Ask:
    """One thing to measure: what, of how many queries (keys, lines), at which hit rate, on how many threads."""

    what: str
    count: int
    rate: int = 50
    threads: int = 1


class Contender:
    """A structure that holds `n` keys. `exact`: it is never wrong."""

    exact = True

    def __init__(self, folder: Path, n: int, threads: int = 1) -> None:
        self.folder, self.n, self.threads = folder, n, threads
        self.own = data.own(folder, n)

    def build(self) -> None:
        """Take the keys, from the file to whatever is looked up in; timed."""

    def stored(self) -> int | None:
        """Return the bytes of its files, None of what is in memory only."""
        return None

    def ready(self, ask: Ask) -> Callable[[], Any]:
        """Prepare what is asked, untimed, and return what is to be timed; its result goes to `count`."""
        if ask.what == "lookup":
            return self.lookup(data.queries(self.folder, self.n, ask.rate, ask.count), ask)
        if ask.what in SINGLES:
            return self.single(ask)
        return self.other(ask)

    def lookup(self, queries: data.Keys, ask: Ask) -> Callable[[], Any]:
        """Prepare to look a batch up."""
        raise NotImplementedError(ask.what)

    def other(self, ask: Ask) -> Callable[[], Any]:
        """Prepare what this contender alone, or few, can do."""
        raise NotImplementedError(ask.what)

    def single(self, ask: Ask) -> Callable[[], Any]:
        """Prepare `value in container` for many values."""
        hot = ask.what in (HOT, HOT_LOOP)
        count = min(FEW, ask.count) if hot else ask.count
        values = data.values(data.queries(self.folder, self.n, SINGLES[ask.what], count))
        values = (values * -(-ask.count // count))[: ask.count]
        return empty_loop(values) if ask.what in (LOOP, HOT_LOOP) else loop(self.container(), values)

    def container(self) -> Any:
        """Return what answers `in`."""
        raise NotImplementedError

    def count(self, result: Any) -> int | None:
        """Return how many were found, None where that says nothing; untimed."""
        return result if result is None or isinstance(result, int) else self.hits(result)

    def hits(self, result: Any) -> int:
        """Return the hits of a batch; of an array of answers, unless said."""
        return int(result.sum())


def loop(container: Any, values: list[bytes]) -> Callable[[], None]:
    """Return a loop that asks for one after another."""

    def run() -> None:
        for value in values:
            value in container  # noqa: B015

    return run


def empty_loop(values: list[bytes]) -> Callable[[], None]:
    """Return the same loop without the question."""

    def run() -> None:
        for value in values:  # noqa: B007
            pass

    return run
