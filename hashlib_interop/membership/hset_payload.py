"""What goes into a hash set: batches of digests, with what each is to carry; equal digests joined.

`digest_sources.batches(source, algorithm=None)` makes batches of anything. A set of texts (the sources that
list a digest, its classifications) is kept as a code into a dictionary of sets: few sets are shared by many
digests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hashlib_interop.membership.hset_words import Keys, same_tails
from hashlib_interop.membership.sorting import WIDTHS

Codes = npt.NDArray[np.uint32]

TextSet = tuple[str, ...]
"""Texts in order, without repeats."""


@dataclass(frozen=True)
class Numbers:
    """The item or entry behind each digest: `values` (n,) uint64; numbers of two catalogs do not mix.

    `kind` is "item" or "entry"; `catalog` the SHA-256 of the catalog's file, in hex.
    """

    values: npt.NDArray[np.uint64]
    kind: str
    catalog: str | None = None


@dataclass(frozen=True)
class Sets:
    """A set of texts for each digest: `codes` (n,) uint32, indices into `sets`."""

    codes: Codes
    sets: tuple[TextSet, ...]


@dataclass(frozen=True)
class Batch:
    """Digests of one algorithm, (n, width) uint8, in any order, with repeats; and what they carry, or None.

    A digest met again carries the smallest of its numbers, and the union of its sets.
    """

    algorithm: str
    keys: Keys
    numbers: Numbers | None = None
    sources: Sets | None = None
    classifications: Sets | None = None


# Records: a digest, then its number (8 bytes) and codes (4 each), big-endian, so that bytes order them ----


class Dictionary:
    """Sets of texts by code, in the order met; grows while batches come."""

    def __init__(self) -> None:
        self.sets: list[TextSet] = []
        self._codes: dict[TextSet, int] = {}
        self._unions: dict[int, int] = {}
        self._used: set[int] = set()

    def code(self, texts: TextSet) -> int:
        """Return the code of a set, given in order and without repeats."""
        if texts not in self._codes:
            self._codes[texts] = len(self.sets)
            self.sets.append(texts)
        return self._codes[texts]

    def coded(self, column: Sets | None, count: int) -> Codes:
        """Return a batch's codes as codes of this dictionary; of the empty set where it has no column."""
        if column is None:
            return np.full(count, self.code(()), np.uint32)
        own = np.array([self.code(tuple(sorted(set(texts)))) for texts in column.sets], np.uint32)
        return own[column.codes]

    def note(self, codes: Codes) -> None:
        """Remember which codes are in use."""
        self._used.update(np.unique(codes).tolist())

    def final(self) -> tuple[list[TextSet], Codes]:
        """Return the sets in use in their own order, and their places in it by code."""
        sets = sorted(self.sets[code] for code in self._used)
        places = np.zeros(len(self.sets), np.uint32)
        places[[self._codes[texts] for texts in sets]] = np.arange(len(sets))
        return sets, places

    def union(self, one: Codes, other: Codes) -> Codes:
        """Return the codes of the unions, row by row; each pair of codes is joined once."""
        pairs, back = np.unique((one.astype(np.uint64) << np.uint64(32)) | other, return_inverse=True)
        return np.array([self._union(int(pair)) for pair in pairs], np.uint32)[back]

    def _union(self, pair: int) -> int:
        if pair not in self._unions:
            one, other = self.sets[pair >> 32], self.sets[pair & 0xFFFFFFFF]
            self._unions[pair] = self.code(tuple(sorted({*one, *other})))
        return self._unions[pair]


@dataclass(frozen=True)
class Columns:
    """Which columns the records have, in the order of the file, and the dictionaries of sets."""

    numbers: bool
    sets: dict[str, Dictionary]

    def record(self, width: int) -> int:
        """Return the bytes of a record: the least that is enough and that can be sorted."""
        wanted = width + 8 * self.numbers + 4 * len(self.sets)
        return min(known for known in WIDTHS if known >= wanted)

    def _cells(self, width: int) -> list[slice]:
        """Return where the codes of each dictionary stand in a record."""
        starts = (width + 8 * self.numbers + 4 * k for k in range(len(self.sets)))
        return [slice(start, start + 4) for start in starts]

    def records(self, batch: Batch) -> Keys:
        """Return a batch as records, (n, record), zeros at their end."""
        count, width = batch.keys.shape
        parts = [batch.keys]
        if self.numbers and batch.numbers is not None:
            parts.append(_as_bytes(batch.numbers.values, ">u8"))
        for name, dictionary in self.sets.items():
            parts.append(_as_bytes(dictionary.coded(getattr(batch, name), count), ">u4"))
        parts.append(np.zeros((count, self.record(width) - sum(part.shape[1] for part in parts)), np.uint8))
        return (
            np.concatenate(parts, axis=1) if self.record(width) > width else np.ascontiguousarray(batch.keys)
        )

    def split(self, records: Keys, width: int) -> tuple[Keys, npt.NDArray[np.uint64] | None, list[Codes]]:
        """Return digests, numbers and codes of records."""
        numbers = None
        if self.numbers:
            numbers = _from_bytes(records[:, width : width + 8], ">u8").astype(np.uint64)
        codes = [_from_bytes(records[:, cells], ">u4").astype(np.uint32) for cells in self._cells(width)]
        return np.ascontiguousarray(records[:, :width]), numbers, codes

    def joined(self, slices: Iterable[Keys], width: int) -> Iterator[Keys]:
        """Join sorted, unique records of equal digests: the smallest number, the union of each set."""
        if self.record(width) == width:
            yield from slices
            return
        held: Keys = np.zeros((0, self.record(width)), np.uint8)
        for part in slices:
            rows = self._joined(np.concatenate([held, part]), width)
            if len(rows):
                yield rows[:-1]
                held = rows[-1:]
        yield held

    def note(self, rows: Keys, width: int) -> int:
        """Remember which sets of joined records are in use; return the greatest of their numbers, or 0."""
        if self.record(width) == width or not len(rows):
            return 0
        _, numbers, codes = self.split(rows, width)
        for dictionary, column in zip(self.sets.values(), codes, strict=True):
            dictionary.note(column)
        return 0 if numbers is None else int(numbers.max())

    def _joined(self, rows: Keys, width: int) -> Keys:
        """Join neighbours two by two until none is left; the first of a digest has the smallest number."""
        while True:
            new = np.ones(len(rows), bool)
            new[1:] = ~same_tails(rows[1:, :width].copy(), 0, rows[:-1, :width].copy())
            if new.all():
                return rows
            first = np.maximum.accumulate(np.where(new, np.arange(len(rows)), 0))
            odd = np.flatnonzero((np.arange(len(rows)) - first) & 1)
            for cells, dictionary in zip(self._cells(width), self.sets.values(), strict=True):
                one, other = (_from_bytes(rows[at, cells], ">u4") for at in (odd - 1, odd))
                rows[odd - 1, cells] = _as_bytes(dictionary.union(one, other), ">u4")
            rows = np.delete(rows, odd, axis=0)


def _as_bytes(values: npt.NDArray[Any], dtype: str) -> Keys:
    """Return numbers as rows of bytes."""
    return np.ascontiguousarray(values.astype(dtype)).view(np.uint8).reshape(len(values), -1)


def _from_bytes(rows: Keys, dtype: str) -> npt.NDArray[Any]:
    """Return what `_as_bytes` was given."""
    return np.ascontiguousarray(rows).view(dtype).ravel()
