"""Digests as words: numpy has no type for 16 bytes that would order them, 64-bit numbers it has."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Ranks = npt.NDArray[np.int64]
Places = npt.NDArray[np.intp]
Line16 = npt.NDArray[np.uint16]


def first_words(keys: Keys) -> Words:
    """Return the first 8 bytes of each digest as a number, so that their order is that of the digests."""
    width = keys.shape[1]
    row = np.dtype({"names": ["x"], "formats": [">u8"], "offsets": [0], "itemsize": width})
    return keys.view(row)["x"].ravel().astype(np.uint64)


def tails(keys: Keys, start: int) -> list[npt.NDArray[np.uint64]]:
    """Return what follows `start`, at least 8 bytes, as columns of words; the last two may overlap."""
    width = keys.shape[1]
    offsets = [*range(start, width - 8, 8), width - 8]
    row = np.dtype(
        {
            "names": [f"w{k}" for k in offsets],
            "formats": ["<u8"] * len(offsets),
            "offsets": offsets,
            "itemsize": width,
        }
    )
    return [keys.view(row)[name].ravel() for name in row.names or ()]


def same_tails(keys: Keys, start: int, rows: Keys) -> npt.NDArray[np.bool_]:
    """Tell which rows are what follows `start` in the key beside them."""
    same = np.ones(len(keys), bool)
    for one, other in zip(tails(keys, start), tails(rows, 0), strict=True):
        same &= one == other
    return same


def homes(x: Words, home_lines: int) -> tuple[Places, Line16]:
    """Return home lines and fingerprints of first words: `x * home_lines` in 128 bits, by two halves."""
    count, low = np.uint64(home_lines), np.uint64(0xFFFFFFFF)
    high = (x >> np.uint64(32)) * count + (((x & low) * count) >> np.uint64(32))
    return (high >> np.uint64(32)).astype(np.intp), (high >> np.uint64(16)).astype(np.uint16)


def taken(rows: npt.NDArray[Any], places: Places) -> npt.NDArray[Any]:
    """Return rows by place. Told where to write and not to check, numpy is three times as fast."""
    out = np.empty((len(places), rows.shape[1]), rows.dtype)
    return rows.take(places, axis=0, out=out, mode="clip") if len(rows) else np.zeros_like(out)


def leading_bits(x: Words, bits: int) -> Places:
    """Return the first bits of first words as a number; 0 of no bits."""
    return (x >> np.uint64(64 - bits)).astype(np.intp) if bits else np.zeros(len(x), np.intp)


def big_words(keys: Keys) -> list[Words]:
    """Return digests as columns of numbers that order them, the first before the next."""
    return [column.byteswap() for column in tails(keys, 0)]


def precedes(one: list[Words], other: list[Words]) -> npt.NDArray[np.bool_]:
    """Tell where `one` comes before `other`."""
    before = one[-1] < other[-1]
    for a, b in zip(one[-2::-1], other[-2::-1], strict=True):
        before = (a < b) | ((a == b) & before)
    return before
