"""Sets of two sets: both files are read from their start to their end, no digest is held longer than its
slice.

Sorted digests that are looked up one after another find their lines in the cache, so that counting what two
sets share costs a few nanoseconds a digest of the smaller one. A result has no payload.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from hashlib_interop.membership.hset_file import ALGORITHM_OF, WIDTHS, Header
from hashlib_interop.membership.hset_numpy import Table
from hashlib_interop.membership.hset_payload import Columns
from hashlib_interop.membership.hset_words import Keys
from hashlib_interop.membership.hset_write import FileWriter, Payload, Slices
from hashlib_interop.membership.sorting import sort_unique

SLICE = 1 << 17
"""Digests at once."""


class Comparison(NamedTuple):
    """How many digests are in both sets, and how many in one alone."""

    both: int
    only_left: int
    only_right: int


def counts(table: Table) -> dict[int, int]:
    """Return the number of digests by width."""
    return {group.width: group.n for group in table.groups}


def slices(table: Table, width: int) -> Iterator[Keys]:
    """Yield the digests of a width in order, (m, width), m > 0."""
    n = counts(table).get(width, 0)
    for start in range(0, n, SLICE):
        yield table.digests(width, start, min(start + SLICE, n))


def compared(left: Table, right: Table, width: int, threads: int) -> Comparison:
    """Count the digests of a width that are in both sets, and those in one alone."""
    sizes = counts(left).get(width, 0), counts(right).get(width, 0)
    few, many = (left, right) if sizes[0] <= sizes[1] else (right, left)
    both = sum(int(np.count_nonzero(many.contains(part, threads))) for part in slices(few, width))
    return Comparison(both, sizes[0] - both, sizes[1] - both)


def _in_both(left: Table, right: Table, width: int, threads: int) -> Iterator[Keys]:
    few, many = sorted((left, right), key=lambda table: counts(table).get(width, 0))
    yield from _kept(slices(few, width), lambda part: many.contains(part, threads))


def _only(left: Table, right: Table, width: int, threads: int) -> Iterator[Keys]:
    yield from _kept(slices(left, width), lambda part: ~right.contains(part, threads))


def _in_any(left: Table, right: Table, width: int, threads: int) -> Iterator[Keys]:
    yield from merged(slices(left, width), slices(right, width), threads)


def _in_one(left: Table, right: Table, width: int, threads: int) -> Iterator[Keys]:
    yield from merged(_only(left, right, width, threads), _only(right, left, width, threads), threads)


def _kept(
    parts: Iterator[Keys], which: Callable[[Keys], np.ndarray[tuple[int], np.dtype[np.bool_]]]
) -> Iterator[Keys]:
    for part in parts:
        kept = part[which(part)]
        if len(kept):
            yield kept


def merged(left: Iterator[Keys], right: Iterator[Keys], threads: int) -> Iterator[Keys]:
    """Yield the union of two sorted streams: each time what is not beyond the slice of the other."""
    one, other = next(left, None), next(right, None)
    while one is not None and other is not None:
        last = min(one[-1].tobytes(), other[-1].tobytes())
        here, there = _up_to(one, last), _up_to(other, last)
        yield sort_unique(np.concatenate([one[:here], other[:there]]), threads)
        one = one[here:] if here < len(one) else next(left, None)
        other = other[there:] if there < len(other) else next(right, None)
    for rest, following in ((one, left), (other, right)):
        if rest is not None:
            yield rest
        yield from following


def _up_to(keys: Keys, last: bytes) -> int:
    """Return how many sorted digests are not beyond `last`."""
    return bisect_right(range(len(keys)), last, key=lambda place: keys[place].tobytes())


Rule = Callable[[Table, Table, int, int], Iterator[Keys]]
RULES: dict[str, tuple[Rule, Callable[[Comparison], int]]] = {
    "union": (_in_any, sum),
    "intersection": (_in_both, lambda found: found.both),
    "difference": (_only, lambda found: found.only_left),
    "symmetric_difference": (_in_one, lambda found: found.only_left + found.only_right),
}
"""For each operation, its digests and how many they are."""


def write_result(out: BinaryIO, rule: str, left: Table, right: Table, threads: int) -> Header:
    """Write the set of two sets into an empty file, opened unbuffered. It has the groups that either has."""
    digests, count = RULES[rule]
    writer = FileWriter(out, Payload(Columns(False, {}), {}), threads)
    for width in WIDTHS.values():
        if width in counts(left) or width in counts(right):
            n = count(compared(left, right, width, threads))
            writer.add(ALGORITHM_OF[width], n, 0, _again(digests, left, right, width, threads))
    return writer.finish(b"")


def _again(digests: Rule, left: Table, right: Table, width: int, threads: int) -> Slices:
    return lambda: digests(left, right, width, threads)
