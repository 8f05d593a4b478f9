"""What `sorting.py` does where the compiled kernels are absent: the same answers, by numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from hashlib_interop.kernels import Bytes, decode_hex

Numbers = npt.NDArray[np.int64]

DIGESTS = (16, 20, 28, 32, 48, 64)
"""Bytes of a digest."""

_LF, _CR = 10, 13
_SEPARATES = np.isin(np.arange(256), list(b" \t,;:|"))
"""What may stand between a digest and the text that follows it."""


def sort_unique(rows: Bytes) -> Bytes:
    """Sort by the first eight bytes, which nearly always decide; those that have them in common, by all."""
    columns = [_words(rows, at) for at in range(0, rows.shape[1], 8)]
    order = np.argsort(columns[0])
    same = np.diff(columns[0][order]) == 0
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))[: len(order)]
    if len(tied):
        among = order[tied]
        order[tied] = among[np.lexsort([column[among] for column in reversed(columns)])]
    found = rows[order]
    new = np.append(True, (found[1:] != found[:-1]).any(axis=1))[: len(found)]
    return found if new.all() else found[new]


def _words(rows: Bytes, at: int) -> Any:
    """Return eight bytes of each record, or the four that are left, as numbers that order as they do."""
    part = np.ascontiguousarray(rows[:, at : at + 8])
    return part.view(f">u{part.shape[1]}")[:, 0].astype(np.uint64)


def hex_lines(
    text: Bytes | bytes | memoryview, width: int, final: bool, trailing: bool, skip_bad: bool, places: bool
) -> tuple[Any, ...]:
    """Find all lines, then decode those of the right length together."""
    data = np.frombuffer(text, np.uint8)
    if width not in DIGESTS:
        raise ValueError(f"no digests of {width} bytes")
    starts, stops, nexts = _lines(data, final)
    lengths = stops - starts
    fits = lengths == 2 * width
    if trailing:
        longer = np.flatnonzero(lengths > 2 * width)
        fits[longer] = _SEPARATES[data[starts[longer] + 2 * width]]
    rows = np.flatnonzero(fits)
    chars = np.zeros((0, 2 * width), np.uint8)
    if len(rows):
        chars = sliding_window_view(data, 2 * width)[starts[rows]]
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * 2 * width
    values, held, _ = decode_hex(chars.reshape(-1), offsets, width)
    good = np.zeros(len(starts), bool)
    good[rows[held]] = True
    bad = np.flatnonzero(~good & (lengths > 0))
    count = len(starts) if skip_bad or not len(bad) else int(bad[0])
    stopped = count < len(starts)
    kept = np.flatnonzero(good[:count])
    consumed = int(nexts[count - 1]) if count else 0
    passed = [np.stack([bad, starts[bad]])] if skip_bad and len(bad) else []
    noted = np.stack([kept, starts[kept], stops[kept]]) if places else None
    empty = int((lengths[:count] == 0).sum())
    return values[held][: len(kept)], noted, passed, consumed, count, empty, stopped


def _lines(data: Bytes, final: bool) -> tuple[Numbers, Numbers, Numbers]:
    """Return where lines start, where they stop, and where the next one starts."""
    ends = np.flatnonzero((data == _LF) | (data == _CR))
    after_cr = (ends > 0) & (data[ends] == _LF) & (data[ends - 1] == _CR)
    stops = ends[~after_cr]
    nexts = stops + 1
    nexts[np.isin(nexts, ends[after_cr])] += 1
    if not final and len(nexts) and nexts[-1] == len(data) and data[-1] == _CR:
        stops, nexts = stops[:-1], nexts[:-1]  # its LF may follow
    done = int(nexts[-1]) if len(nexts) else 0
    if final and done < len(data):
        stops, nexts = np.append(stops, len(data)), np.append(nexts, len(data))
    return np.append(0, nexts[:-1])[: len(stops)], stops, nexts
