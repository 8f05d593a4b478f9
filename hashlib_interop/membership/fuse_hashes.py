"""The hashes that a filter is made of, on their way from the source to its shards: parted, sorted, without repeats."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from hashlib_interop.files import private_folder
from hashlib_interop.membership.fuse_numpy import Hashes

_BUCKETS = 256
_PREFIX_BITS = 16
_SLICE = 1 << 17


class HashBuckets:
    """256 buckets of 64-bit hashes by their first byte. Over `memory` bytes, buckets go to files in a private folder.

    `add` as often as needed, `settled` once, then `shards`.
    """

    def __init__(self, memory: int, beside: Path) -> None:
        self._memory, self._beside = memory, beside
        self._held: list[list[Hashes]] = [[] for _ in range(_BUCKETS)]
        self._size = 0
        self._kept = ExitStack()
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kept.close()

    def add(self, hashes: Hashes) -> None:
        """Take hashes, in any order, with repeats; by slices that stay in the cache."""
        for start in range(0, len(hashes), _SLICE):
            self._add(hashes[start : start + _SLICE])
        if self._size > self._memory:
            self._spill()

    def _add(self, hashes: Hashes) -> None:
        first = (hashes >> np.uint64(56)).astype(np.uint8)
        order = np.argsort(first, kind="stable")
        ends = np.cumsum(np.bincount(first, minlength=_BUCKETS))[:-1]
        for bucket, part in zip(self._held, np.split(hashes[order], ends), strict=True):
            if len(part):
                bucket.append(part)
        self._size += hashes.nbytes

    def _spill(self) -> None:
        if self._folder is None:
            self._folder = self._kept.enter_context(private_folder(self._beside))
        for number in range(_BUCKETS):
            self._store(number, self._held[number], "ab")
            self._held[number] = []
        self._size = 0

    def _store(self, number: int, parts: list[Hashes], mode: str) -> None:
        with self._path(number).open(mode) as file:
            file.writelines(part.data for part in parts)

    def _path(self, number: int) -> Path:
        assert self._folder is not None
        return self._folder / f"{number:02x}"

    def _bucket(self, number: int) -> Hashes:
        spilled = [np.fromfile(self._path(number), np.uint64)] if self._folder else []
        parts = [*spilled, *self._held[number]]
        return np.concatenate(parts) if parts else np.zeros(0, np.uint64)

    def settled(self) -> npt.NDArray[np.int64]:
        """Sort every bucket and leave out repeats; return how many hashes there are by their first 16 bits."""
        counts = np.zeros(1 << _PREFIX_BITS, np.int64)
        for number in range(_BUCKETS):
            distinct = _distinct(self._bucket(number))
            counts += np.bincount(distinct >> np.uint64(64 - _PREFIX_BITS), minlength=len(counts))
            if self._folder:
                self._store(number, [distinct], "wb")
            self._held[number] = [] if self._folder else [distinct]
        return counts

    def shards(self, bits: int) -> Iterator[Hashes]:
        """Yield the hashes of each of 2^bits shards, rising; `settled` came before."""
        merged = _BUCKETS >> bits
        if merged:
            for first in range(0, _BUCKETS, merged):
                yield np.concatenate([self._bucket(number) for number in range(first, first + merged)])
            return
        for number in range(_BUCKETS):
            bucket = self._bucket(number)
            bounds = np.arange(number << bits - 8, (number + 1) << bits - 8, dtype=np.uint64) << np.uint64(
                64 - bits
            )
            yield from np.split(bucket, np.searchsorted(bucket, bounds[1:]))


def _distinct(hashes: Hashes) -> Hashes:
    """Sort, and leave out repeats: ten times as fast as `np.unique`, which goes by a hash table."""
    ordered = np.sort(hashes)
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if len(ordered) else ordered
