"""Writing a `.hset` file: every section from its start to its end, the header last.

LINES are the last section of their group, since the number of overflow lines shows when all digests are
placed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt
import xxhash

from hashlib_interop.errors import CannotWrite
from hashlib_interop.membership import hset_lines
from hashlib_interop.membership.hset_file import (
    CHAIN,
    CLASSES,
    DRIFT,
    KEYS,
    LINES,
    LINES_LAYOUT,
    MOST_KEYS,
    MOST_LINES,
    NUMBERS,
    PAD,
    RADIX,
    REST,
    SORTED,
    SOURCES,
    WIDTHS,
    Group,
    Header,
    block_sums,
    content_hash,
    geometry,
    group_of,
    laid_out,
    packed,
)
from hashlib_interop.membership.hset_payload import Codes, Columns, TextSet
from hashlib_interop.membership.hset_words import Keys, first_words, leading_bits

compiled: ModuleType | None
try:
    from hashlib_interop.membership import _membership

    compiled = _membership
except ImportError:
    compiled = None

_KINDS = {"sources": SOURCES, "classifications": CLASSES}
_HUGE = 2 << 20
"""Writes of whole blocks of this size and place leave huge pages in the page cache (ext4 of Linux 6.18: all
of them; writes of 1 MiB, or of 2 MiB elsewhere: none), so that the next reader has them without a look at the
disk."""

Slices = Callable[[], Iterator[Keys]]


@dataclass(frozen=True)
class Payload:
    """What the records carry; for each column of sets, those that occur, and the new code by the old."""

    columns: Columns
    final: dict[str, tuple[list[TextSet], Codes]]

    def strides(self, most: int) -> dict[int, int]:
        """Return the bytes of an element by type of section; `most` is the greatest number."""
        found = {NUMBERS: 4 if most < 1 << 32 else 8} if self.columns.numbers else {}
        return found | {_KINDS[name]: _stride(len(sets)) for name, (sets, _) in self.final.items()}

    def split(self, records: Keys, width: int) -> tuple[Keys, dict[int, npt.NDArray[Any]]]:
        """Return the digests of records, and what they carry by type of section."""
        keys, numbers, codes = self.columns.split(records, width)
        carried: dict[int, npt.NDArray[Any]] = {} if numbers is None else {NUMBERS: numbers}
        for (name, (_, new)), column in zip(self.final.items(), codes, strict=True):
            carried[_KINDS[name]] = new[column]
        return keys, carried


def _stride(sets: int) -> int:
    return 1 if sets <= 1 << 8 else 2 if sets <= 1 << 16 else 4


class FileWriter:
    """A file in the making: groups by rising width, then `finish`. It is opened unbuffered, and empty."""

    def __init__(self, out: BinaryIO, payload: Payload, threads: int) -> None:
        if threads < 1:
            raise ValueError("threads: at least one")
        self._out, self._payload, self._threads = out, payload, threads
        self._groups: list[Group] = []

    def add(self, algorithm: str, n: int, most: int, slices: Slices) -> None:
        """Write the next group, of `n` joined records; `most` is the greatest of their numbers.

        In layout 1; in layout 0 where a chain of lines would grow beyond 8, as in lists that are not uniform.
        """
        if n > MOST_KEYS:
            raise CannotWrite(f"{n:,} digests of {algorithm} are more than the format holds: part the list")
        strides = self._payload.strides(most)
        group = None
        if geometry(n, WIDTHS[algorithm]).home_lines < MOST_LINES:
            group = self._in_lines(
                self._placed(group_of(algorithm, n, LINES_LAYOUT, payload=strides)), slices
            )
        if group is None:
            group = self._sorted(self._placed(group_of(algorithm, n, SORTED, payload=strides)), slices)
        self._groups.append(group)

    def _placed(self, group: Group) -> Group:
        """Return a group as it lies behind the others, in a file that ends before it."""
        placed = laid_out([*self._groups, group]).groups[-1]
        self._out.truncate(min(span.offset for span in placed.spans().values()))
        return placed

    def _in_lines(self, group: Group, slices: Slices) -> Group | None:
        """Write a group in layout 1; None where that cannot be."""
        builder = (compiled or hset_lines).LinesBuilder(group.width, group.home_lines, group.rest)
        with _Sections(self._out, group, self._payload) as sections:
            sections.write(REST, bytes(PAD))
            for keys in sections.each(slices()):
                sections.write(REST, builder.add(keys))
                if builder.longest > CHAIN:
                    return None
            sections.write(REST, bytes(PAD))
            lines = builder.lines()
            if builder.longest > CHAIN or len(lines) >= MOST_LINES:
                return None
            sections.write(DRIFT, hset_lines.drift(lines[: group.home_lines], group.n))
            sections.write(LINES, lines)
        strides = {
            kind: span.stride for kind, span in group.spans().items() if kind in (NUMBERS, SOURCES, CLASSES)
        }
        overflow = len(lines) - group.home_lines
        return group_of(group.algorithm, group.n, LINES_LAYOUT, overflow, sections.content_id(), strides)

    def _sorted(self, group: Group, slices: Slices) -> Group:
        """Write a group in layout 0."""
        counts = np.zeros(1 << group.radix_bits, np.int64)
        with _Sections(self._out, group, self._payload) as sections:
            sections.write(KEYS, bytes(PAD))
            for keys in sections.each(slices()):
                sections.write(KEYS, keys)
                bucket = leading_bits(first_words(keys), group.radix_bits)
                counts[bucket[0] : bucket[-1] + 1] += np.bincount(bucket - bucket[0])
            sections.write(KEYS, bytes(PAD))
            sections.write(RADIX, np.concatenate([[0], np.cumsum(counts)]).astype("<u8"))
        return replace(group, content_id=sections.content_id())

    def finish(self, meta: bytes) -> Header:
        """Write META, the checksums and the header; return it."""
        header = laid_out(self._groups, len(meta))
        if header.meta:
            write_at(self._out, header.meta.offset, meta)
        self._out.truncate(header.sums.offset)
        sums = block_sums(self._out.fileno(), header, self._threads).astype("<u8").tobytes()
        write_at(self._out, header.sums.offset, sums)
        header = replace(header, sums_hash=xxhash.xxh3_64_intdigest(sums))
        write_at(self._out, 0, packed(header))
        return header


class _Sections:
    """The sections of one group while they are written, and the hash of its content beside them."""

    def __init__(self, out: BinaryIO, group: Group, payload: Payload) -> None:
        self._group, self._payload = group, payload
        self._streams = {kind: _Stream(out, span.offset) for kind, span in group.spans().items()}
        self._strides = {kind: span.stride for kind, span in group.spans().items()}
        self._hash = content_hash(group.algorithm, group.n)
        self._pool = ThreadPoolExecutor(1)
        self._hashing: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown()
        if kind is None:
            for stream in self._streams.values():
                stream.close()

    def write(self, kind: int, data: Any) -> None:
        """Write the next bytes of a section."""
        self._streams[kind].write(data)

    def each(self, slices: Iterator[Keys]) -> Iterator[Keys]:
        """Yield the digests of records, (m, width), m > 0; what they carry is written on the way."""
        for records in slices:
            keys, carried = self._payload.split(records, self._group.width)
            self._hash_next(keys)
            for kind, values in carried.items():
                self.write(kind, values.astype(f"<u{self._strides[kind]}"))
            yield keys

    def _hash_next(self, keys: Keys) -> None:
        """Hash in a thread of its own, one slice behind."""
        if self._hashing:
            self._hashing.result()
        self._hashing = self._pool.submit(self._hash.update, keys.data)

    def content_id(self) -> bytes:
        """Return the content id, after the last slice."""
        return self._hash.digest()


class _Stream:
    """A section that is written from its start; in blocks that the page cache can hold in huge pages."""

    def __init__(self, out: BinaryIO, offset: int) -> None:
        self._out, self._offset = out, offset
        self._waiting: list[memoryview] = []
        self._size = 0

    def write(self, data: Any) -> None:
        """Take bytes, or an array, which must not change afterwards."""
        view = memoryview(data if isinstance(data, bytes) else _bytes_of(data))
        needed = -(self._offset + self._size) % _HUGE
        if len(view) >= needed:
            self._wait(view[:needed])
            self.close()
            whole = (len(view) - needed) // _HUGE * _HUGE
            write_at(self._out, self._offset, view[needed : needed + whole])
            self._offset, view = self._offset + whole, view[needed + whole :]
        self._wait(view)

    def _wait(self, view: memoryview) -> None:
        if len(view):
            self._waiting.append(view)
            self._size += len(view)

    def close(self) -> None:
        """Write what waits."""
        write_at(self._out, self._offset, b"".join(self._waiting))
        self._waiting, self._offset, self._size = [], self._offset + self._size, 0


def _bytes_of(array: npt.NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def write_at(out: BinaryIO, offset: int, data: bytes | memoryview) -> None:
    """Write all bytes at a place of a file opened unbuffered."""
    out.seek(offset)
    view = memoryview(data)
    while view:
        view = view[out.write(view[: 1 << 30]) :]
