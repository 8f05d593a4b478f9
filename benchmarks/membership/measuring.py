"""Processes of contenders side by side: every round asks each of them the same, so that noise comes over all alike."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from benchmarks.membership import data
from benchmarks.membership.contender import SINGLES, Ask
from benchmarks.membership.roster import FILE, FIRST, HEX, OPEN, PYTHONS, ROOT, SORT, Entry

WARM = 0.25
"""Seconds of lookups that are not counted, and of making them ready, before those that are."""


class Key(NamedTuple):
    """What was measured, of whom."""

    contender: str
    size: int
    what: str
    rate: int
    threads: int


@dataclass
class Results:
    """Seconds for one (query, key, line, opening) by round, in CPU time and by the clock; and facts of the builds."""

    cpu: dict[Key, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    wall: dict[Key, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    built: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    builds: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    """CPU seconds of every time that something was built."""
    left_out: dict[tuple[str, int], str] = field(default_factory=dict)
    wrong: dict[Key, tuple[int, int]] = field(default_factory=dict)
    """Answers that are not exact: found, and how many there were."""

    def median(self, key: Key, clock: str = "cpu") -> float | None:
        """Return the median over the rounds, None of what was not measured."""
        found = getattr(self, clock).get(key)
        return statistics.median(found.values()) if found else None

    def times(self, theirs: Key, mine: Key, clock: str = "cpu", less: tuple[Key, Key] | None = None) -> float | None:
        """Return how many times as long theirs took, the median over rounds that have both; `less` is taken off each."""
        one, other = (getattr(self, clock).get(key, {}) for key in (theirs, mine))
        off = [getattr(self, clock).get(key, {}) for key in less] if less else [dict.fromkeys(one, 0.0)] * 2
        rounds = one.keys() & other.keys() & off[0].keys() & off[1].keys()
        found = [(one[k] - off[0][k]) / max(other[k] - off[1][k], 1e-12) for k in rounds]
        return statistics.median(found) if found else None


class Ended(RuntimeError):
    """A contender's process ended by itself: most likely for want of memory."""


class Worker:
    """The process of one contender, built."""

    def __init__(self, name: str, entry: Entry, folder: Path, n: int, threads: int = 1) -> None:
        self.name, self.entry, self.size, self.folder = name, entry, n, folder
        command = [PYTHONS[entry.python], "-m", "benchmarks.membership.worker", entry.place, folder, n, threads]
        environment = {**os.environ, "POLARS_MAX_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        self._process = subprocess.Popen(
            [str(part) for part in command], cwd=ROOT, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.built = self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def ask(self, ask: Ask) -> dict[str, Any]:
        """Have one thing measured."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then it says nothing either
            print(json.dumps(asdict(ask)), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Ended(f"ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def measure(asked: Mapping[Worker, Iterable[Ask]], rounds: Iterable[int], results: Results) -> None:
    """Ask all workers in turn, in every round. One that ends is left out from then on, and that is noted.

    Where there are several, each looks up, or decodes, for WARM seconds what is not counted, before its turn: its memory lay
    idle, and may have to be had back from the machine's host, page by page, which can take three times as long as the
    lookups; the second batch after that, and the third, are still some percent slower. A program that is started anew for
    each turn has no such memory.
    """
    alive = dict(asked)
    for number in rounds:
        for worker, asks in list(alive.items()):
            try:
                touching = [ask for ask in asks if ask.what in ("lookup", HEX)]
                if touching and len(alive) > 1 and not worker.entry.program:
                    until = time.monotonic() + WARM
                    while time.monotonic() < until:
                        worker.ask(max(touching, key=lambda ask: ask.rate))
                for ask in asks:
                    said(f"round {number}: {worker.name}, {worker.size:,}: {ask.what}")
                    _note(worker, ask, number, results)
            except Ended as error:
                results.left_out[worker.name, worker.size] = str(error)
                del alive[worker]


def _note(worker: Worker, ask: Ask, number: int, results: Results) -> None:
    answer = worker.ask(ask)
    rate = SINGLES.get(ask.what, ask.rate)
    key = Key(worker.name, worker.size, ask.what, rate, ask.threads)
    results.cpu[key][number] = answer["cpu"] / ask.count
    results.wall[key][number] = answer["wall"] / ask.count
    expected = _expected(worker, ask)
    if answer["found"] is not None and expected is not None:
        _check(key, answer["found"], expected, worker, results)


def _expected(worker: Worker, ask: Ask) -> int | None:
    """Return how many there are to be found."""
    if ask.what in ("lookup", FILE):
        return data.hits(worker.folder, worker.size, ask.rate, ask.count)
    return {SORT: ask.count - ask.count // 100, HEX: ask.count}.get(ask.what)


def _check(key: Key, found: int, expected: int, worker: Worker, results: Results) -> None:
    """Who is exact has found what there is; who is not, at least that."""
    if (worker.built["exact"] and found != expected) or found < expected:
        raise RuntimeError(f"{worker.name} found {found} of {expected}: {key}")
    if found != expected:
        results.wrong[key] = found, expected


def by_clock(what: str) -> bool:
    """Tell whether something is a wait, which the clock measures, and not work."""
    return what in (OPEN, FIRST)


def said(text: str) -> None:
    """Say on standard error what is going on."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
