"""What must hold, as ratios of one run: the list of issue 3, each with its bar."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.membership.contender import HIT, HOT, HOT_LOOP, LOOP
from benchmarks.membership.data import WIDTH
from benchmarks.membership.measuring import Key, Results
from benchmarks.membership.plan import LARGE, MIDDLE, SMALL
from benchmarks.membership.roster import ASKED, DESIGN, FILE, HEX, LINE, OPEN, OURS, PAIR, READ, SET, SORT

BILLION = Path(__file__).parents[1] / "results/billion.json"
WITHOUT = "hashlib_interop without compiler"
Size = Callable[[int], int]


@dataclass(frozen=True)
class Bar:
    """A ratio, and what it has to be: at least or at most `bar`, if it has to be anything. `of` says what by what."""

    name: str
    bar: float | None
    of: str
    value: Callable[[Results, Size], float | None]
    at_most: bool = False

    def judged(self, results: Results, size: Size) -> dict[str, Any]:
        """Return value, bar and whether it is met; null where it was not measured."""
        value = self.value(results, size)
        met = None if value is None or self.bar is None else value <= self.bar if self.at_most else value >= self.bar
        said = "" if self.bar is None else f"{'<=' if self.at_most else '>='} {self.bar:g}"
        return {"value": None if value is None else rounded(value), "bar": said, "met": met, "of": self.of}


def rounded(value: float) -> float:
    """Return three significant digits."""
    return float(f"{value:.3g}")


def judged(results: Results, size: Size) -> dict[str, dict[str, Any]]:
    """Return every ratio by its name."""
    return {bar.name: bar.judged(results, size) for bar in BARS}


# What is divided by what ---------------------------------------------------------------------------------


def _lookup(name: str, n: int, rate: int, threads: int = 1) -> Key:
    return Key(name, n, "lookup", rate, threads)


def _share(rate: int, *limits: str) -> Callable[[Results, Size], float | None]:
    """Return how much of a rate of random lines a batch reaches: of the best, where all of several were measured."""

    def value(results: Results, size: Size) -> float | None:
        mine = _lookup(OURS, size(LARGE), rate)
        found = [results.times(Key(OURS, size(LARGE), limit, 0, 1), mine) for limit in limits]
        shares = [share for share in found if share is not None]
        return min(shares) if len(shares) == len(limits) else None

    return value


def _scaling(what: str, rate: int, clock: str = "wall") -> Callable[[Results, Size], float | None]:
    """Return how many times the rate two threads reach: by the clock, or by the CPU time of each."""

    def value(results: Results, size: Size) -> float | None:
        one, two = (Key(OURS, size(LARGE), what, rate, threads) for threads in (1, 2))
        times = results.times(one, two, clock)
        return None if times is None else times * (2 if clock == "cpu" else 1)

    return value


def _faster(name: str, n: int = MIDDLE) -> Callable[[Results, Size], float | None]:
    """Return how many times as long another takes for a query, half of them hits."""
    return lambda results, size: results.times(_lookup(name, size(n), 50), _lookup(OURS, size(n), 50))


def _single(what: str, loop: str) -> Callable[[Results, Size], float | None]:
    """Return what part of the time of `set` one `in` takes, the loop taken off both."""

    def value(results: Results, size: Size) -> float | None:
        mine, theirs, *less = (Key(n, size(MIDDLE), w, 100, 1) for w in (what, loop) for n in (OURS, SET))
        return results.times(mine, theirs, less=(less[0], less[1]))

    return value


def _without(rate: int) -> Callable[[Results, Size], float | None]:
    return lambda results, size: results.times(
        _lookup(WITHOUT, size(MIDDLE), rate), _lookup(SET, size(MIDDLE), rate)
    )  # fmt: skip


def _of_raw(n: int) -> Callable[[Results, Size], float | None]:
    """Return the size of the file by that of the digests in it."""

    def value(results: Results, size: Size) -> float | None:
        built = results.built.get((OURS, size(n)))
        return built["stored"] / (size(n) * WIDTH) if built else None

    return value


def _open(results: Results, size: Size) -> float | None:
    seconds = results.median(Key(OURS, size(MIDDLE), OPEN, 0, 1), "wall")
    return None if seconds is None else seconds * 1000


def _sorting(name: str, n: int = MIDDLE) -> Callable[[Results, Size], float | None]:
    return lambda results, size: results.times(Key(name, size(n), SORT, 0, 1), Key(OURS, size(n), SORT, 0, 1))


def _hex(by: str) -> Callable[[Results, Size], float | None]:
    whole = "bytes.fromhex of the whole text"
    return lambda results, size: results.times(Key(whole, size(SMALL), HEX, 0, 1), Key(by, size(SMALL), HEX, 0, 1))


def _file(results: Results, size: Size) -> float | None:
    return results.times(Key(SET, size(MIDDLE), FILE, 10, 1), Key(OURS, size(MIDDLE), FILE, 10, 1))


def _billion(what: str) -> Callable[[Results, Size], float | None]:
    """Return a figure of the recorded run with a billion keys."""

    def value(results: Results, size: Size) -> float | None:
        return json.loads(BILLION.read_text())[what] if BILLION.exists() else None

    return value


BARS = (
    Bar("miss_share_of_random_lines_100m", 0.80, "random lines, by lookups that miss", _share(0, LINE, LINE + DESIGN)),
    Bar("hit_share_of_line_and_record_100m", 0.75, "random lines, each with its record, by lookups that hit", _share(100, PAIR, PAIR + DESIGN)),
    Bar("miss_share_of_asked_lines_100m", None, "random lines and the queries, by misses", _share(0, ASKED)),
    Bar("miss_share_as_in_design_100m", 0.80, "random lines as in the design, by misses", _share(0, LINE + DESIGN)),
    Bar("hit_share_as_in_design_100m", 0.75, "both as in the design, by hits", _share(100, PAIR + DESIGN)),
    Bar("two_threads_miss_100m", 1.8, "one thread by two, misses, by the clock", _scaling("lookup", 0)),
    Bar("two_threads_hit_100m", 1.8, "one thread by two, hits, by the clock", _scaling("lookup", 100)),
    Bar("two_threads_miss_cpu_100m", 1.8, "the same by the CPU time of each, misses", _scaling("lookup", 0, "cpu")),
    Bar("two_threads_hit_cpu_100m", 1.8, "the same by the CPU time of each, hits", _scaling("lookup", 100, "cpu")),
    Bar("two_threads_random_lines_100m", None, "the same of random lines: what the machine gives", _scaling(LINE, 0)),
    Bar("two_threads_line_and_record_100m", None, "the same of lines with their records", _scaling(PAIR, 0)),
    Bar("times_set_10m", 20, "set by ours, half hits", _faster(SET)),
    Bar("times_duckdb_10m", 7, "DuckDB by ours, half hits", _faster("DuckDB")),
    Bar("times_numpy_10m", 9, "numpy by ours, half hits", _faster("numpy")),
    Bar("times_cykhash_10m", 4, "cykhash by ours, half hits", _faster("cykhash")),
    Bar("times_hirola_10m", 15, "hirola by ours, half hits", _faster("hirola")),
    Bar("times_hfind_1m", 500, "hfind by ours, half hits", _faster("hfind", SMALL)),
    Bar("in_hot_of_set", 0.7, "one `in`, hot, by that of set", _single(HOT, HOT_LOOP), True),
    Bar("in_random_hit_of_set_10m", 0.35, "one `in`, random hit, by that of set", _single(HIT, LOOP), True),
    Bar("numpy_fallback_miss_of_set_10m", 1.0, "our numpy reader by set, misses", _without(0), True),
    Bar("numpy_fallback_hit_of_set_10m", 1.0, "our numpy reader by set, hits", _without(100), True),
    Bar("file_of_raw_digests_10m", 1.0, "file with index by bare digests", _of_raw(MIDDLE), True),
    Bar("file_of_raw_digests_100m", 1.0, "file with index by bare digests", _of_raw(LARGE), True),
    Bar("open_milliseconds_10m", 1.0, "milliseconds to open, warm", _open, True),
    Bar("sort_times_polars_10m", 5, "polars' sort of two columns by our sort and dedupe", _sorting("polars, two columns")),
    Bar("sort_times_polars_128_bit_10m", None, "polars' sort of 128-bit numbers by ours", _sorting("polars")),
    Bar("sort_times_duckdb_10m", 9, "DuckDB's distinct and order by ours", _sorting("DuckDB")),
    Bar("sort_times_sort_u_1m", 30, "sort -u by ours", _sorting("sort -u", SMALL)),
    Bar("hex_lines_times_fromhex", 10, "bytes.fromhex(whole text) by our hex lines", _hex(OURS)),
    Bar("fromhex_times_reading", None, "the same by a bare read of the text: what the machine gives", _hex(READ)),
    Bar("file_to_hits_times_for_line", 20, "`for line in f` and set by our lookup of a text", _file),
    Bar("billion_keys", 1e9, "SHA-1 keys built and looked up, recorded in results/billion.json", _billion("keys")),
    Bar("billion_peak_gib", 8, "peak memory of that in GiB", _billion("build peak memory GiB"), True),
)
