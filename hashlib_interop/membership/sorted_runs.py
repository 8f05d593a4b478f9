"""Sorted runs of records on disk, and the ranges by which several of them are read together."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from hashlib_interop.kernels import Bytes

_BLOCK = 1 << 26
_SAMPLES = 1 << 12

Span = tuple[int, int]
"""The records of one run from the first number to before the second."""


class Run:
    """Sorted unique records in a file without a name, gone when it is closed or the process ends."""

    def __init__(self, rows: Bytes, folder: Path | None) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - see close
        self.count, self._width = len(rows), rows.shape[1]
        data = rows.reshape(-1).data
        for at in range(0, len(data), _BLOCK):
            _whole(self._file.write, data[at : at + _BLOCK])

    def read(self, start: int, into: Bytes) -> None:
        """Fill `into` with the records from `start` on."""
        self._file.seek(start * self._width)
        data = into.reshape(-1).data
        for at in range(0, len(data), _BLOCK):
            _whole(self._file.readinto, data[at : at + _BLOCK])  # type: ignore[attr-defined]

    def record(self, number: int) -> bytes:
        """Return one record."""
        self._file.seek(number * self._width)
        return self._file.read(self._width)

    def place(self, record: bytes, start: int, stop: int) -> int:
        """Return the number of the first record from `start` to `stop` that is not below `record`."""
        while start < stop:
            middle = (start + stop) // 2
            if self.record(middle) < record:
                start = middle + 1
            else:
                stop = middle
        return start

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _whole(call: Callable[[memoryview], int], data: memoryview) -> None:
    """Read or write all of `data`, however little a call takes."""
    while len(data):
        taken = call(data)
        if not taken:
            raise OSError("a temporary file ended early")
        data = data[taken:]


def ranges(runs: Sequence[Run], most: int) -> Iterator[list[Span]]:
    """Yield a span of each run, again and again, rising by value: all records of all runs, `most` at once.

    No record stands in two of the lists. One that stands in more runs than `most` is given once only.
    """
    yield from _split(runs, [(0, run.count) for run in runs], most)


def _split(runs: Sequence[Run], spans: list[Span], most: int) -> Iterator[list[Span]]:
    total = sum(stop - start for start, stop in spans)
    if total <= most:
        yield spans
        return
    lows = [start for start, _ in spans]
    cuts = _cuts(runs, spans, total * 10 // (most * 9) + 2)
    if not cuts:
        first = next(number for number, (start, stop) in enumerate(spans) if start < stop)
        yield [span if number == first else (span[1], span[1]) for number, span in enumerate(spans)]
        return
    stops = [stop for _, stop in spans]
    for cut in cuts:
        highs = [run.place(cut, low, stop) for run, low, stop in zip(runs, lows, stops, strict=True)]
        yield from _split(runs, list(zip(lows, highs, strict=True)), most)
        lows = highs
    yield from _split(runs, list(zip(lows, stops, strict=True)), most)


def _cuts(runs: Sequence[Run], spans: Sequence[Span], parts: int) -> list[bytes]:
    """Return records that part the spans about evenly, by a sample with the first and last of each.

    There is a record below each, and one that is not. None where all records are the same.
    """
    share = max(2, _SAMPLES // len(spans))
    sample: list[tuple[bytes, float]] = []
    for run, (start, stop) in zip(runs, spans, strict=True):
        numbers = np.unique(np.linspace(start, stop - 1, min(share, stop - start)).astype(int)).tolist()
        sample += [(run.record(number), (stop - start) / len(numbers)) for number in numbers]
    sample.sort()
    values, weights = [value for value, _ in sample], np.cumsum([weight for _, weight in sample])
    places = np.searchsorted(weights, weights[-1] / parts * np.arange(1, parts)).tolist()
    cuts = {values[place] for place in places} - {values[0]}
    return sorted(cuts or {values[-1]} - {values[0]})
