"""The reader of `.hset` files in numpy: complete, short, and of the same answers as the compiled one.

It is what `HashSet` is where the compiled core is not there, and what a reader in another language can be
written from beside docs/hset-format.md. Bytes of a damaged file lead to wrong answers, never outside the
buffer: whatever is taken from them is checked before it is used as a place.
"""

from __future__ import annotations

import contextlib
import mmap
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hashlib_interop.errors import MalformedInput
from hashlib_interop.membership.digest_value import as_bytes
from hashlib_interop.membership.hset_file import (
    CHAIN,
    LINE,
    PAD,
    SLOTS,
    Group,
    Span,
)
from hashlib_interop.membership.hset_words import (
    Keys,
    Line16,
    Places,
    Ranks,
    big_words,
    first_words,
    homes,
    leading_bits,
    precedes,
    same_tails,
    taken,
)
from hashlib_interop.membership.threads import each

_CHUNK = 1 << 16
"""Queries at once: enough that numpy's own cost is small beside that of the memory."""
_HEAD, _NEXT = 3, 30
"""A line as 32 numbers of 16 bits: 3 of rank and count, 29 fingerprints; or 27, then the next line in two."""
_ABSENT, _DAMAGED = -1, -2
_IS_DAMAGED = "the set is damaged: verify it"


class LinesReader:
    """One group in layout 1."""

    def __init__(self, buffer: Any, group: Group) -> None:
        lines, rest = group.lines or Span(0, 0), group.rest_span or Span(0, 0)
        self.group, self._depth = group, group.width - group.rest
        self._raw, self._lines_at, self._rest_at = memoryview(buffer), lines.offset, rest.offset + PAD
        count = group.home_lines + group.overflow_lines
        self._lines = np.frombuffer(buffer, "<u2", count * 32, lines.offset).reshape(-1, 32)
        self._rest = np.frombuffer(buffer, np.uint8, group.n * group.rest, self._rest_at).reshape(
            -1, group.rest
        )

    def rank(self, keys: Keys) -> Ranks:
        """Return the rank of each digest, -1 where it is not there."""
        line, fp = homes(first_words(keys), self.group.home_lines)
        which, found = np.arange(len(keys)), np.full(len(keys), -1, np.int64)
        for _ in range(CHAIN):
            rows = taken(self._lines, line)
            self._match(keys, which, rows, fp, found)
            on, line = self._following(rows)
            count = _heads(rows[on])[1]
            beyond = (count > 0) & (fp[on] >= rows[on, _HEAD + count - 1]) & (found[which[on]] == _ABSENT)
            on, line = on[beyond], line[beyond]
            which, fp = which[on], fp[on]
            if not len(on):
                break
        return np.maximum(found, _ABSENT)

    def _following(self, rows: Line16) -> tuple[Places, Places]:
        """Return which lines go on, and where; next lines that are none are left out."""
        on = np.flatnonzero(rows[:, 2] >= 0x8000)
        line = rows[on, _NEXT] | (rows[on, _NEXT + 1].astype(np.intp) << 16)
        good = (line >= self.group.home_lines) & (line < len(self._lines))
        return on[good], line[good]

    def _match(self, keys: Keys, which: Places, rows: Line16, fp: Line16, found: Ranks) -> None:
        """Fill in the ranks of the keys that stand in their rows; equal fingerprints are tried in turn."""
        same = rows == fp[:, None]
        words = same.view(np.uint64)
        at = np.flatnonzero(words[:, 0] | words[:, 1] | words[:, 2] | words[:, 3])
        while len(at):
            column = same[at].argmax(axis=1)
            same[at, column] = False
            base, count = _heads(rows[at])
            slot = column - _HEAD
            rank = base + slot
            used, inside = (slot >= 0) & (slot < count), rank < self.group.n
            held = used & inside & same_tails(keys[which[at]], self._depth, taken(self._rest, rank))
            found[which[at[held]]] = rank[held]
            found[which[at[used & ~inside]]] = _DAMAGED
            at = at[~held & (inside | ~used)]
            at = at[same[at].any(axis=1)]

    def find(self, digest: bytes) -> int:
        """Return the rank of one digest, or -1. A rank beyond the last is damage, and ends the search."""
        home, lines, width = self.group.home_lines, len(self._lines), self.group.rest
        t = int.from_bytes(digest[:8], "big") * home
        at, fp, tail = t >> 64, (t >> 48 & 0xFFFF).to_bytes(2, "little"), digest[self._depth :]
        for _ in range(CHAIN):
            line = self._raw[self._lines_at + at * LINE :][:LINE].tobytes()
            count = line[5] & 0x7F
            stop = 2 * _HEAD + 2 * count if count <= SLOTS else 0
            place = line.find(fp, 2 * _HEAD, stop)
            while place >= 0:
                rank = int.from_bytes(line[:5], "little") + place // 2 - _HEAD
                if place % 2 == 0 and (rank >= self.group.n or self._rest_of(rank, width) == tail):
                    return rank if rank < self.group.n else _ABSENT
                place = line.find(fp, place + 1, stop)
            at = int.from_bytes(line[60:], "little")
            if (
                line[5] < 0x80
                or not stop
                or not count
                or fp[::-1] < line[stop - 2 : stop][::-1]
                or not home <= at < lines
            ):
                break
        return _ABSENT

    def _rest_of(self, rank: int, width: int) -> bytes:
        at = self._rest_at + rank * width
        return self._raw[at : at + width].tobytes()

    def digests(self, start: int, stop: int) -> Keys:
        """Return the digests of a range of ranks, which is inside the group."""
        out, there = np.zeros((stop - start, self.group.width), np.uint8), np.zeros(stop - start, bool)
        bases = range(self.group.home_lines)
        first = max(bisect_right(bases, start, key=self._base) - 1, 0)
        last = bisect_left(bases, stop, key=self._base)
        for at in range(first, last, _CHUNK):
            self._list(np.arange(at, min(at + _CHUNK, last)), start, out, there)
        if not there.all():
            raise MalformedInput(_IS_DAMAGED)
        return out

    def _base(self, line: int) -> int:
        at = self._lines_at + line * LINE
        return int.from_bytes(self._raw[at : at + 5], "little")

    def _list(self, home: Places, start: int, out: Keys, there: npt.NDArray[np.bool_]) -> None:
        """Fill in what stands in home lines and those that follow them."""
        line = home
        for _ in range(CHAIN):
            rows = self._lines[line]
            base, count = _heads(rows)
            on, slot = np.nonzero(np.arange(SLOTS) < count[:, None])
            rank = base[on] + slot
            inside = (rank >= start) & (rank < start + len(out))
            on, slot, rank = on[inside], slot[inside], rank[inside]
            out[rank - start] = self._rebuilt(home[on], rows[on, slot + _HEAD], rank)
            there[rank - start] = True
            on, line = self._following(rows)
            home = home[on]

    def _rebuilt(self, home: Places, fp: Line16, rank: Ranks) -> Keys:
        """Return digests from line, fingerprint and rest.

        The least x of a line and fingerprint is their number * 2^48 / home lines, rounded up: a long
        division.
        """
        rest, count = taken(self._rest, rank), np.uint64(self.group.home_lines)
        number, quotient = (home.astype(np.uint64) << np.uint64(16)) | fp, np.zeros(len(fp), np.uint64)
        for shift in (0, 32, 16):
            number <<= np.uint64(shift)
            quotient = (quotient << np.uint64(shift)) | (number // count)
            number %= count
        least = quotient + (number > 0)
        known = 8 - self._depth
        low = np.zeros((len(rest), 8), np.uint8)
        low[:, self._depth :] = rest[:, :known]
        beyond = (first_words(low) - least) & np.uint64((1 << 8 * known) - 1)
        x = least + beyond
        line, its_fp = homes(x, self.group.home_lines)
        if not (np.array_equal(line, home) and np.array_equal(its_fp, fp)):
            raise MalformedInput(_IS_DAMAGED)
        first = x.astype(">u8").view(np.uint8).reshape(-1, 8)
        return np.concatenate([first, rest[:, known:]], axis=1)


def _heads(rows: Line16) -> tuple[Ranks, Ranks]:
    """Return the first rank and the count of lines; the count of a damaged one is 0."""
    low, high, mixed = rows[:, :_HEAD].astype(np.int64).T
    count = mixed >> 8 & 0x7F
    count[count > SLOTS] = 0
    return low | high << 16 | (mixed & 0xFF) << 32, count


class SortedReader:
    """One group in layout 0."""

    def __init__(self, buffer: Any, group: Group) -> None:
        keys, radix = group.keys or Span(0, 0), group.radix or Span(0, 0)
        self.group, self._raw, self._keys_at = group, memoryview(buffer), keys.offset + PAD
        count = group.n * group.width
        self._keys = np.frombuffer(buffer, np.uint8, count, self._keys_at).reshape(-1, group.width)
        self._radix = np.frombuffer(buffer, "<u8", radix.length // 8, radix.offset)

    def rank(self, keys: Keys) -> Ranks:
        """Return the rank of each digest, -1 where it is not there."""
        n, bucket = np.uint64(self.group.n), leading_bits(first_words(keys), self.group.radix_bits)
        low = np.minimum(self._radix[bucket], n).astype(np.int64)
        high = np.minimum(self._radix[bucket + 1], n).astype(np.int64)
        wanted = big_words(keys)
        while (open_ := low < high).any():
            middle = (low + high) >> 1
            less = open_ & precedes(big_words(taken(self._keys, middle)), wanted)
            low = np.where(less, middle + 1, low)
            high = np.where(open_ & ~less, middle, high)
        there = same_tails(keys, 0, taken(self._keys, low)) & (low < self.group.n)
        return np.where(there, low, -1)

    def find(self, digest: bytes) -> int:
        """Return the rank of one digest, or -1."""
        n, bits = self.group.n, self.group.radix_bits
        bucket = int.from_bytes(digest[:8], "big") >> (64 - bits)
        low, high = (min(int(place), n) for place in self._radix[bucket : bucket + 2])
        rank = low + bisect_left(range(low, max(low, high)), digest, key=self._at)
        return rank if rank < n and self._at(rank) == digest else -1

    def _at(self, rank: int) -> bytes:
        at = self._keys_at + rank * self.group.width
        return bytes(self._raw[at : at + self.group.width])

    def digests(self, start: int, stop: int) -> Keys:
        """Return the digests of a range of ranks, which is inside the group."""
        return self._keys[start:stop].copy()


class Table:
    """The groups of a file, looked up by the width of a digest. `buffer` is the whole file: bytes or a map of
    it.

    `_membership.pyi` says of each method what it takes and gives: this is its twin.
    """

    def __init__(self, buffer: Any, groups: Sequence[Group]) -> None:
        self.groups, self.closed = tuple(groups), False
        with _malformed_where_outside():
            self._readers = {g.width: (LinesReader if g.layout else SortedReader)(buffer, g) for g in groups}

    def __contains__(self, digest: object) -> bool:
        return self.find(digest) >= 0

    def find(self, digest: object) -> int:
        """Return the rank of one digest, or -1."""
        value = as_bytes(digest)
        reader = self._reader(len(value))
        return reader.find(value) if reader else _ABSENT

    def _reader(self, width: int) -> LinesReader | SortedReader | None:
        if self.closed:
            raise ValueError("the set is closed")
        return self._readers.get(width)

    def contains(self, digests: Any, threads: int = 1, width: int | None = None) -> npt.NDArray[np.bool_]:
        """Return which of many digests are there."""
        return self.rank(digests, threads, width) >= 0

    def rank(self, digests: Any, threads: int = 1, width: int | None = None) -> Ranks:
        """Return the places of many digests in their group, in byte order, -1 for those not there."""
        from hashlib_interop.membership.digest_keys import keys_of

        keys, valid = keys_of(digests, width)
        found = np.full(len(keys), _ABSENT, np.int64)
        if reader := self._reader(keys.shape[1]):
            _by_chunks(reader.rank, keys, found, threads)
        return found if valid is None else np.where(valid, found, _ABSENT)

    def digests(self, width: int, start: int, stop: int) -> Keys:
        """Return the digests of ranks `start` to `stop` of a width, in order: (stop - start, width)."""
        reader = self._reader(width)
        if reader is None:
            raise KeyError(f"no digests of {width} bytes")
        if not 0 <= start <= stop <= reader.group.n:
            raise IndexError(f"no ranks {start} to {stop} of {reader.group.n}")
        return reader.digests(start, stop) if start < stop else np.zeros((0, width), np.uint8)

    def close(self) -> None:
        """Let go of the buffer; lookups raise from now on."""
        self.closed, self._readers = True, {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextlib.contextmanager
def _malformed_where_outside() -> Iterator[None]:
    try:
        yield
    except (ValueError, OverflowError) as error:
        raise MalformedInput(f"has sections outside the file ({error}): copy it again") from None


def _by_chunks(rank: Callable[[Keys], Ranks], keys: Keys, found: Ranks, threads: int) -> None:
    def one(at: int) -> None:
        found[at : at + _CHUNK] = rank(keys[at : at + _CHUNK])

    each(one, range(0, len(keys), _CHUNK), threads)


def mapped(fileno: int, length: int, prefault: bool = False) -> mmap.mmap:
    """Map a whole file, read-only: the twin of the compiled `Mapping`."""
    buffer = mmap.mmap(fileno, length, access=mmap.ACCESS_READ)
    for advice in ["MADV_HUGEPAGE"] + ["MADV_WILLNEED"] * prefault:
        with contextlib.suppress(OSError):  # a kernel or file system without: smaller pages do as well
            if hasattr(mmap, advice):
                buffer.madvise(getattr(mmap, advice))
    return buffer
