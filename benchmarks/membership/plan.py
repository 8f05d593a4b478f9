"""What is measured, of whom, in which order: the quick run and the full one."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from benchmarks.membership import data, machine
from benchmarks.membership.contender import HIT, HOT, HOT_LOOP, LOOP, MISS, Ask
from benchmarks.membership.measuring import Ended, Results, Worker, measure, said
from benchmarks.membership.roster import (
    ASKED,
    CONTENDERS,
    DESIGN,
    FILE,
    FIRST,
    HEX,
    LIMITS,
    LINE,
    OPEN,
    OURS,
    PAIR,
    SET,
    SORT,
    SORTS,
    TEXTS,
    Entry,
)

T = TypeVar("T")

SMALL, MIDDLE, LARGE = 1_000_000, 10_000_000, 100_000_000
LINES, TEXT = 2 * SMALL, 4 * SMALL
"""Lines of a file that is looked up; of a text that is decoded."""
SHARE = 0.6
"""Of the free memory, what contenders may take."""

RATIOS = {
    OURS: [("lookup", 50), (HOT, 100), (HOT_LOOP, 100), (HIT, 100), (LOOP, 100), (FILE, 10), (OPEN, 0)],
    SET: [("lookup", 0), ("lookup", 50), ("lookup", 100), (HOT, 100), (HOT_LOOP, 100), (HIT, 100), (LOOP, 100), (FILE, 10)],
    "hashlib_interop without compiler": [("lookup", 0), ("lookup", 100)],
    "numpy": [("lookup", 50)],
    "DuckDB": [("lookup", 50)],
    "hirola": [("lookup", 50)],
    "cykhash": [("lookup", 50)],
}
"""What the ratios need at 10 million keys."""
SHARES = {LINE: 3, PAIR: 3, LINE + DESIGN: 3, PAIR + DESIGN: 3, "lookup": 3}
TEXT_TIMES = 2
"""How many times as many rounds: what goes by the rate of memory, or is soon over, is what neighbours on the machine
disturb most."""


@dataclass(frozen=True)
class Plan:
    """Sizes and rounds. `scale` makes all smaller, to try the benchmark; `most` leaves larger sizes out of a full run."""

    folder: Path
    rounds: int = 5
    scale: int = 1
    only: tuple[str, ...] = ()
    most: int = LARGE

    def size(self, n: int) -> int:
        """Return a number of keys or queries as this run has it."""
        return max(n // self.scale, 1000)

    def entries(self, table: dict[str, Entry]) -> dict[str, Entry]:
        """Return those who take part."""
        return {name: entry for name, entry in table.items() if not self.only or name in self.only}


def quick(plan: Plan, results: Results) -> None:
    """Measure what the ratios need, and no more."""
    large = plan.size(LARGE if fits(plan, CONTENDERS[OURS], LARGE) else MIDDLE)
    if large < plan.size(LARGE):
        results.left_out[OURS, plan.size(LARGE)] = "not enough memory or disk"
    data.make_keys(plan.folder, large)
    _at(plan, MIDDLE, RATIOS, results)
    _at(plan, SMALL, {OURS: [("lookup", 50)], "hfind": [("lookup", 50)]}, results)
    sorts(plan, ["polars", "polars, two columns", "DuckDB"], MIDDLE, results, (1,))
    sorts(replace(plan, rounds=plan.rounds * TEXT_TIMES), ["sort -u"], SMALL, results, (1,))
    texts(plan, list(TEXTS)[:3], results)
    if large == plan.size(LARGE):
        line, pair = ([(what, 0), (what + DESIGN, 0)] for what in (LINE, PAIR))  # each lookup between its limits
        asks = [*line, ("lookup", 0), (ASKED, 0), *pair, ("lookup", 100)]
        _at(plan, LARGE, {OURS: asks}, results, SHARES, (1, 2))


def _at(
    plan: Plan,
    size: int,
    wanted: dict[str, list[tuple[str, int]]],
    results: Results,
    often: Mapping[str, int] | None = None,
    threads: Sequence[int] = (1,),
) -> None:
    """Measure chosen things of chosen contenders, all of them alive at once; some of them in so many times the rounds.

    They are built on as many threads as are measured at most, to save time; that is no ratio here.
    """
    n = plan.size(size)
    _make(plan, n, {what_rate[1] for each in wanted.values() for what_rate in each}, results)
    with contextlib.ExitStack() as kept:
        asked = {}
        for name, what_rates in wanted.items():
            if worker := _started(plan, name, n, results, kept, max(threads)):
                every = [_ask(plan, worker.entry, what, n, rate, k) for what, rate in what_rates for k in threads]
                asked[worker] = every
        times = often or {}
        for turn in range(max(times.values(), default=1)):
            now = {worker: [ask for ask in asks if times.get(ask.what, 1) > turn] for worker, asks in asked.items()}
            measure(now, range(plan.rounds * turn, plan.rounds * (turn + 1)), results)
    _forget(plan, n)


def full(plan: Plan, results: Results) -> None:
    """Measure everybody at everything that they can do, at all sizes that fit."""
    sizes = [n for n in (SMALL, MIDDLE, LARGE) if n <= plan.most and fits(plan, CONTENDERS[OURS], n)]
    data.make_keys(plan.folder, plan.size(max(sizes)))
    for size in sizes:
        _everybody(plan, size, results)
    for size in sizes:
        sorts(plan, [name for name in SORTS if name != OURS], size, results)
    texts(plan, list(TEXTS), results)
    builds(plan, results)


def builds(plan: Plan, results: Results) -> None:
    """Build everybody in every round, each in a new process: what was built otherwise counts as a round, too."""
    for size in [n for n in (SMALL, MIDDLE, LARGE) if n <= plan.most]:
        n = plan.size(size)
        data.own(plan.folder, n).mkdir(exist_ok=True)
        for name, entry in plan.entries(CONTENDERS).items():
            while _may(plan, name, entry, size, results) and len(results.builds[name, n]) < plan.rounds:
                with contextlib.ExitStack() as kept:
                    if _started(plan, name, n, results, kept) is None:
                        break
                for left in data.own(plan.folder, n).glob("*"):
                    if left.name != "ours.hset":  # which the reader without compiler opens
                        shutil.rmtree(left) if left.is_dir() else left.unlink()
        _forget(plan, n)


def _everybody(plan: Plan, size: int, results: Results) -> None:
    n = plan.size(size)
    _make(plan, n, {0, 50, 100, 10}, results)
    with contextlib.ExitStack() as kept:
        ours = _started(plan, OURS, n, results, kept)
        assert ours is not None
        mine, done = list(_all_asks(plan, CONTENDERS[OURS], n)), 0
        for group in _groups(plan, size, results):
            with contextlib.ExitStack() as theirs:
                asked = {ours: mine}
                for name, threads in group:
                    if worker := _started(plan, name, n, results, theirs, threads):
                        every = _all_asks(plan, CONTENDERS[name], n)
                        asked[worker] = [ask for ask in every if not worker.entry.starts or ask.threads == threads]
                measure(asked, range(done, done + plan.rounds), results)
            done += plan.rounds
    _forget(plan, n)


def _groups(plan: Plan, size: int, results: Results) -> Iterator[list[tuple[str, int]]]:
    """Part the others into groups that fit the memory together; with each, the threads it is started with."""
    needs = [
        ((name, threads), entry.memory)
        for name, entry in plan.entries(CONTENDERS).items()
        if name != OURS and _may(plan, name, entry, size, results)
        for threads in (entry.threads if entry.starts else (1,))
    ]
    return _parted(needs, plan.size(size))


def _parted(needs: Iterable[tuple[T, int]], n: int) -> Iterator[list[T]]:
    """Part things, each with the bytes that it needs for a key, into groups that fit the memory."""
    free = machine.free_memory() * SHARE
    group: list[T] = []
    taken = 0
    for thing, memory in needs:
        if group and taken + memory * n > free:
            yield group
            group, taken = [], 0
        group, taken = [*group, thing], taken + memory * n
    yield group


def _may(plan: Plan, name: str, entry: Entry, size: int, results: Results) -> bool:
    """Tell whether one can take part at a size; if not, note why."""
    why = entry.missing()
    if size > entry.most:
        why = f"tried up to {entry.most:,} keys"
    elif not why and not fits(plan, entry, size):
        why = f"would need about {entry.memory * plan.size(size) / 1e9:.0f} GB of memory"
    if why:
        results.left_out[name, plan.size(size)] = why
    return not why


def fits(plan: Plan, entry: Entry, size: int) -> bool:
    """Tell whether there is memory for one contender, and disk for all files of this size."""
    n = plan.size(size)
    return entry.memory * n < machine.free_memory() * SHARE and 80 * n < machine.free_disk(plan.folder)


def _started(
    plan: Plan, name: str, n: int, results: Results, kept: contextlib.ExitStack, threads: int = 1
) -> Worker | None:
    """Build a contender in its process, and note what that took; None where it cannot be on this machine."""
    if why := CONTENDERS[name].missing():
        results.left_out[name, n] = why
        return None
    said(f"building: {name}, {n:,}")
    try:
        worker = kept.enter_context(Worker(name, CONTENDERS[name], plan.folder, n, threads))
    except Ended as error:
        results.left_out[name, n] = f"{error} while it was built"
        return None
    results.built.setdefault((name, n), worker.built)
    results.builds[name, n].append(worker.built["cpu"])
    return worker


def _make(plan: Plan, n: int, rates: set[int], results: Results) -> None:
    """Make the queries and the text."""
    most = max(entry.queries for entry in CONTENDERS.values())
    for rate in rates - {10}:
        data.make_queries(plan.folder, n, rate, plan.size(most))
    if 10 in rates:
        data.make_lines(plan.folder, n, plan.size(LINES))


def _forget(plan: Plan, n: int) -> None:
    """Remove the files of a size; the keys stay."""
    shutil.rmtree(data.own(plan.folder, n))


def _all_asks(plan: Plan, entry: Entry, n: int) -> Iterator[Ask]:
    """Yield everything that one can do."""
    if entry.lookup:
        yield from (_ask(plan, entry, "lookup", n, rate, k) for rate in (0, 50, 100) for k in entry.threads)
    yield from (_ask(plan, entry, what, n, 10 if what == FILE else 50, 1) for what in entry.also)


def _ask(plan: Plan, entry: Entry, what: str, n: int, rate: int, threads: int) -> Ask:
    counts = {HOT: 5 * SMALL, HOT_LOOP: 5 * SMALL, HIT: SMALL // 2, MISS: SMALL // 2, LOOP: SMALL // 2, FILE: LINES}
    if what in (OPEN, FIRST):
        return Ask(what, 20 if what == OPEN else 1, 0, threads)
    count = plan.size(counts.get(what, entry.queries))
    return Ask(what, count, 0 if what in LIMITS else rate, threads)


def sorts(plan: Plan, others: list[str], size: int, results: Results, threads: Iterable[int] = (1, 2)) -> None:
    """Measure sorting: ours, and beside it as many at once as fit the memory."""
    n = plan.size(size)
    data.own(plan.folder, n).mkdir(exist_ok=True)
    able = [name for name in others if _may(plan, f"sort: {name}", SORTS[name], size, results)]
    for place, group in enumerate(_parted([(name, SORTS[name].memory) for name in able], n)):
        _sort(plan, group, n, range(place * plan.rounds, (place + 1) * plan.rounds), results, threads)
    _forget(plan, n)


def _sort(plan: Plan, others: list[str], n: int, rounds: range, results: Results, threads: Iterable[int]) -> None:
    with contextlib.ExitStack() as kept:
        mine = kept.enter_context(Worker(OURS, SORTS[OURS], plan.folder, n))
        asked = {mine: [Ask(SORT, n, 0, k) for k in threads]}
        for name in others:
            said(f"preparing to sort: {name}, {n:,}")
            try:
                asked[kept.enter_context(Worker(name, SORTS[name], plan.folder, n))] = [Ask(SORT, n, 0)]
            except Ended as error:
                results.left_out[f"sort: {name}", n] = str(error)
        measure(asked, rounds, results)


def texts(plan: Plan, names: list[str], results: Results) -> None:
    """Measure the decoding of hex lines."""
    n, count = plan.size(SMALL), plan.size(TEXT)
    data.make_lines(plan.folder, n, count)
    with contextlib.ExitStack() as kept:
        workers = [kept.enter_context(Worker(name, TEXTS[name], plan.folder, n)) for name in names]
        measure({worker: [Ask(HEX, count, 0)] for worker in workers}, range(plan.rounds * TEXT_TIMES), results)
    _forget(plan, n)
