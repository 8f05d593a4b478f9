"""Sort and dedupe of fixed-width records by their bytes, in memory and beyond; digests out of hex lines.

Records are (n, width) uint8: digests, or digests followed by a payload that sorts with them. The inner loops
are compiled where that was built, numpy with the same answers where not.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from hashlib_interop.files import faults_named
from hashlib_interop.kernels import Bytes
from hashlib_interop.membership import sorting_numpy
from hashlib_interop.membership.sorted_runs import Run, ranges
from hashlib_interop.membership.sorting_numpy import Numbers
from hashlib_interop.membership.threads import each

compiled: ModuleType | None
try:
    from hashlib_interop.membership import _sorting

    compiled = _sorting
except ImportError:
    compiled = None

WIDTHS = (16, 20, 24, 28, 32, 36, 40, 44, 48, 60, 64, 72, 76, 80)
"""Bytes of a record: the digests of `hset_file.WIDTHS`, alone or with 12 or 16 more, and a few between."""

Progress = Callable[[int, int], None]
"""Called with the records done and their total."""

_CACHED = 1 << 21
_BUCKET = 1 << 15
_MOST_BITS = 11
_LINE = 64
_GROUPS = 4
_THREAD = 4 << 20
_FIRST = 1 << 26
_SLICE = 1 << 20
_LEAST = 64
_NONE = np.zeros(0, np.int64)


# In memory -----------------------------------------------------------------------------------------------


def sort_unique(records: Bytes, threads: int = 1) -> Bytes:
    """Return the records (n, width) in the order of their bytes, each once.

    Takes as much memory again as the records, and 4 MiB a thread (numpy: three times the records and 32 bytes
    for each). Raises `ValueError` for a width that is not one of `WIDTHS`.
    """
    rows = _checked(records)
    if compiled is None:
        return sorting_numpy.sort_unique(rows)
    out = _aligned(*rows.shape)
    if rows.nbytes <= _CACHED:
        out[:] = rows
        count = compiled.finish(out, np.array([0, len(rows)], np.uint64), 0)
    else:
        bounds, bit = _scattered(rows, out, threads)
        count = _finished(out, bounds, bit, threads)
    return out[:count] if 2 * count > len(out) else out[:count].copy()


def sort_in_place(records: Bytes, threads: int = 1) -> int:
    """Sort records where they lie; return how many there are, each once, from the start.

    Takes 4 MiB a thread (numpy: as `sort_unique`) and up to twice the time of `sort_unique`: the first pass
    is done by one thread. Raises `ValueError` for records that do not lie one after another, too.
    """
    rows = _checked(records)
    if not records.flags.c_contiguous:
        raise ValueError("records that do not lie one after another")
    if compiled is None:
        found = sorting_numpy.sort_unique(rows)
        rows[: len(found)] = found
        return len(found)
    if rows.nbytes <= _CACHED:
        return int(compiled.finish(rows, np.array([0, len(rows)], np.uint64), 0))
    bounds, bit = compiled.split(rows)
    return _finished(rows, bounds, bit, threads)


def _checked(records: Bytes) -> Bytes:
    if records.ndim != 2 or records.dtype != np.uint8 or records.shape[1] not in WIDTHS:
        raise ValueError(f"{records.shape} of {records.dtype} are no records of a known width")
    return np.ascontiguousarray(records)


def _aligned(count: int, width: int) -> Bytes:
    """Return room for records that begins at a cache line, as `scatter` wants it."""
    raw = np.empty(count * width + _LINE, np.uint8)
    skip = -raw.ctypes.data % _LINE
    return raw[skip : skip + count * width].reshape(count, width)


def _scattered(rows: Bytes, out: Bytes, threads: int) -> tuple[Any, int]:
    """Move the records to `out` in order of their first bits that differ.

    Returns the bounds of the buckets, and the bit after.
    """
    assert compiled is not None
    kernel, width = compiled, rows.shape[1]
    edges = np.linspace(0, len(rows), max(threads, 1) + 1).astype(int).tolist()
    parts = [rows[start:stop] for start, stop in itertools.pairwise(edges)]
    bit, bits = 0, min(_MOST_BITS, max(1, (rows.nbytes // _BUCKET).bit_length()))
    counts = np.stack(each(lambda part: kernel.count(part, bit, bits), parts, threads), axis=1)
    if counts.sum(axis=1).max() == len(rows):
        bit = kernel.differing(rows)
        if bit == 8 * width:
            out[:1] = rows[:1]
            return np.array([0, 1], np.uint64), bit
        bits = min(bits, 8 * width - bit)
        counts = np.stack(each(lambda part: kernel.count(part, bit, bits), parts, threads), axis=1)
    ends = np.cumsum(counts.ravel(), dtype=np.uint64).reshape(counts.shape)
    places = zip(parts, (ends - counts).T.copy(), ends.T.copy(), strict=True)
    each(lambda one: kernel.scatter(one[0], bit, bits, out, one[1], one[2]), places, threads)
    return np.append(np.uint64(0), ends[:, -1]), bit + bits


def _finished(out: Bytes, bounds: Any, bit: int, threads: int) -> int:
    """Sort buckets that are in order, by groups of them, and close the gaps that repeated records left."""
    assert compiled is not None
    kernel = compiled
    wanted = np.linspace(0, int(bounds[-1]), (_GROUPS * threads if threads > 1 else 1) + 1)[1:-1]
    cuts = np.unique([0, *np.searchsorted(bounds, wanted).tolist(), len(bounds) - 1]).tolist()
    groups = [bounds[first : last + 1] for first, last in itertools.pairwise(cuts)]
    counts = each(lambda group: kernel.finish(out, group, bit), groups, threads)
    done = 0
    for group, count in zip(groups, counts, strict=True):
        if int(group[0]) != done:
            kernel.close_up(out, int(group[0]), count, done)
        done += count
    return done


# Beyond memory -------------------------------------------------------------------------------------------


class Sorter:
    """Sorts and dedupes more records than fit in memory.

    `add` gathers records; `sorted` gives them in order, each once, in slices. Up to `memory` bytes, less 4 MiB a
    thread (but half of it in any case, and 64 records) nothing is written; beyond it, sorted runs go to nameless
    files in `folder` (default: the system's for temporary files), which the system removes with the process if not before. What is given
    out never depends on `memory` or `threads`. `progress` is called while runs are merged. A context
    manager.

    A buffer of `memory` is sorted in place where it is more than half full, else with as much again. Runs are
    merged by ranges of a third: the records read, the same sorted, and those that the caller still holds.
    """

    def __init__(
        self,
        width: int,
        *,
        memory: int,
        threads: int = 1,
        folder: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        if width not in WIDTHS:
            raise ValueError(f"no records of {width} bytes")
        self._width, self._threads, self._folder, self._progress = width, max(threads, 1), folder, progress
        self._capacity = max(_LEAST, _capacity(width, memory, self._threads))
        self._buffer, self._used = np.empty((min(self._capacity, _FIRST // width), width), np.uint8), 0
        self._runs: list[Run] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back memory and files; slices that were given out stay."""
        for run in self._runs:
            run.close()
        self._runs, self._buffer, self._used = [], self._buffer[:0].copy(), 0

    @property
    def spilled(self) -> bool:
        """Tell whether some of the records are on the disk."""
        return bool(self._runs)

    @property
    def held(self) -> int:
        """Return the bytes of memory that it takes now, or while it merges what is on the disk."""
        return (self._capacity if self._runs else len(self._buffer)) * self._width

    def add(self, records: Bytes) -> None:
        """Take records (n, width). Raises `FileFault` where the disk is full."""
        if records.ndim != 2 or records.shape[1] != self._width or records.dtype != np.uint8:
            raise ValueError(f"{records.shape} of {records.dtype} are no records of {self._width} bytes")
        while len(records):
            self._make_room(len(records))
            taken = min(len(records), len(self._buffer) - self._used)
            self._buffer[self._used : self._used + taken] = records[:taken]
            self._used, records = self._used + taken, records[taken:]

    def _make_room(self, count: int) -> None:
        """Let the buffer grow; where it may not, dedupe it, and write it away if that is not enough."""
        if self._used + count <= len(self._buffer):
            return
        if len(self._buffer) < self._capacity:
            grown = np.empty((self._capacity, self._width), np.uint8)  # pages come as they are filled
            grown[: self._used] = self._buffer[: self._used]
            self._buffer = grown
        elif self._used == self._capacity:
            self._used = sort_in_place(self._buffer, self._threads)
            if self._used > self._capacity // 2:
                self._spill()

    def _spill(self) -> None:
        with faults_named(str(self._folder or tempfile.gettempdir())):
            self._runs.append(Run(self._buffer[: self._used], self._folder))
        self._used = 0

    def sorted(self) -> Iterator[Bytes]:
        """Yield all records once, in order, in slices of 2^20 at most; the sorter is empty afterwards.

        Raises `FileFault` where a run cannot be written or read.
        """
        if not self._runs:
            yield from _slices(self._in_memory())
            return
        if self._used:
            self._used = sort_in_place(self._buffer[: self._used], self._threads)
            self._spill()
        self._buffer = self._buffer[:0].copy()
        with faults_named(str(self._folder or tempfile.gettempdir())):
            yield from self._merged()
        self.close()

    def _in_memory(self) -> Bytes:
        rows, self._buffer, self._used = self._buffer[: self._used], self._buffer[:0].copy(), 0
        if 2 * len(rows) <= self._capacity:
            return sort_unique(rows, self._threads)
        return rows[: sort_in_place(rows, self._threads)]

    def _merged(self) -> Iterator[Bytes]:
        """Read range by range out of all runs."""
        total, done = sum(run.count for run in self._runs), 0
        most = max(1, self._capacity // 3)
        room = np.empty((most, self._width), np.uint8)
        for spans in ranges(self._runs, most):
            used = 0
            for run, (start, stop) in zip(self._runs, spans, strict=True):
                run.read(start, room[used : used + stop - start])
                used += stop - start
            yield from _slices(sort_unique(room[:used], self._threads))
            done += used
            if self._progress:
                self._progress(done, total)


def _capacity(width: int, memory: int, threads: int) -> int:
    """Return how many records may be held so that sorting them stays within `memory`."""
    if compiled is None:
        return memory // (3 * width + 32)
    # Beside a small budget threads take more than there is; runs of a few records, each a file, would be worse.
    return max(memory - threads * _THREAD, memory // 2) // width


def _slices(rows: Bytes) -> Iterator[Bytes]:
    yield from (rows[at : at + _SLICE] for at in range(0, len(rows), _SLICE))


# Hex lines -----------------------------------------------------------------------------------------------


class HexLines(NamedTuple):
    """What `hex_lines` found. Lines are counted from 0, offsets are bytes, both from the start of the block.

    Of the line of a digest, `data[start:stop]` is all but its end, and `data[start + 2 * width : stop]` what
    follows the digest; `numbers`, `starts` and `stops` are empty unless they were asked for.
    """

    digests: Bytes
    """(n, width), in the order of the lines."""
    consumed: int
    """Bytes of the lines that were taken: go on from there, with more data."""
    lines: int
    """Lines that were taken: with a digest, empty, and bad ones that were passed over."""
    empty: int
    bad_line: int | None
    """The first bad line, or None."""
    bad_offset: int | None
    """Where it begins."""
    bad_numbers: Numbers
    """All bad lines that were passed over."""
    bad_starts: Numbers
    """Where they begin."""
    numbers: Numbers
    starts: Numbers
    stops: Numbers


def hex_lines(
    data: Bytes | bytes | memoryview,
    width: int,
    *,
    final: bool = True,
    trailing: bool = False,
    skip_bad: bool = False,
    places: bool = False,
) -> HexLines:
    """Decode lines of exactly `2 * width` ASCII hex digits of any case; width: 16, 20, 28, 32, 48 or 64.

    LF, CRLF or CR ends a line; without `final`, one that has no end yet is left for the next block (the
    caller limits how long a line may be). Empty lines are passed over. With `trailing`, a digest may be
    followed by a space, tab, `,` `;` `:` or `|` and anything else. Any other line is bad: the work ends
    before the first one, or, with `skip_bad`, goes on. With `places`, the number and place of each digest's
    line are given too.
    """
    decode = sorting_numpy.hex_lines if compiled is None else compiled.hex_lines
    digests, noted, bad, consumed, lines, empty, stopped = decode(data, width, final, trailing, skip_bad, places)
    bad_numbers, bad_starts = np.hstack(bad) if bad else (_NONE, _NONE)
    first: tuple[int | None, int | None] = (lines, consumed) if stopped else (None, None)
    if bad:
        first = int(bad_numbers[0]), int(bad_starts[0])
    of_digests = (_NONE, _NONE, _NONE) if noted is None else noted
    return HexLines(digests, consumed, lines, empty, *first, bad_numbers, bad_starts, *of_digests)
