"""Exact membership of digests at the speed of memory: `HashSet`, an immutable file that is looked up where it
lies.

docs/membership.md explains the structure, docs/hset-format.md the file.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import stat
import tempfile
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np

from hashlib_interop.algorithms import Digest
from hashlib_interop.errors import FileFault, MalformedInput
from hashlib_interop.files import faults_named, published
from hashlib_interop.membership.digest_value import as_bytes
from hashlib_interop.membership.hset_algebra import Comparison, compared, counts, slices, write_result
from hashlib_interop.membership.hset_build import MEMORY, Settings, build_into
from hashlib_interop.membership.hset_carried import Carried, CarriedReader
from hashlib_interop.membership.hset_file import (
    ALGORITHM_OF,
    HEADER,
    WIDTHS,
    Group,
    content_id,
    read_at,
    read_header,
    verify_sums,
)
from hashlib_interop.membership.hset_words import Ranks
from hashlib_interop.membership.notice import notice

if TYPE_CHECKING:
    import pyarrow as pa

    from hashlib_interop.membership.hset_numpy import Table, mapped

    COMPILED = True
else:
    try:
        from hashlib_interop.membership._membership import Mapping as mapped
        from hashlib_interop.membership._membership import Table

        COMPILED = True
    except ImportError:
        from hashlib_interop.membership.hset_numpy import Table, mapped

        COMPILED = False

Path = str | os.PathLike[str]
_COPY = 2 << 20


@dataclass(frozen=True)
class GroupInfo:
    """The digests of one algorithm: how many, in which layout ("lines", "sorted"), in how many bytes."""

    algorithm: str
    n: int
    layout: str
    size: int
    content_id: str


@dataclass(frozen=True)
class Info:
    """What a set is; `size` in bytes. `numbers` is what the payload's numbers count: "item" or "entry"."""

    path: str | None
    n: int
    size: int
    bytes_per_digest: float
    groups: tuple[GroupInfo, ...]
    payload: tuple[str, ...]
    numbers: str | None
    catalog: str | None
    core: str


class HashSet(Table):
    """An exact, immutable set of digests in a file, mapped into memory. Open or build one.

    `digest in hs` takes bytes, hex text or a `Digest`; the width says the algorithm. `contains(batch)` and
    `rank(batch)` take (n, width) uint8, Arrow fixed-size binary, a list of what `in` takes, of one width, or a buffer
    with `width`; both take `threads`. The rank is a digest's place among those of its algorithm, in byte
    order; -1 where it is not there. `digests(width, start, stop)` lists; `groups` has an element for each
    algorithm.

    Sets are safe to use from many threads and after a fork, equal where their digests are, and pickled by
    path. A set is what was mapped when it was opened, though the file be replaced (`os.replace`) meanwhile.
    Who cuts a mapped file short in place ends every process that reads it: publish by replacing, as all of
    this library does.
    """

    path: str | None
    """Where the file was when it was opened, absolute; None for a set in an unlinked temporary file."""

    def __init__(self, fd: int, path: str | None = None, *, prefault: bool = False) -> None:
        """Take an open file, and keep a descriptor of its own. `open` and `build` are the ways in."""
        self.path, self._name = path and os.path.abspath(path), path or "a temporary file"
        with faults_named(self._name):
            self._fd = os.dup(fd)
            self._release = weakref.finalize(self, os.close, self._fd)
            self._header = read_header(read_at(fd, HEADER, 0), os.fstat(fd).st_size, self._name)
            self._mapping = mapped(fd, self._header.size, prefault)
        super().__init__(self._mapping, self._header.groups)
        notice()

    @classmethod
    def open(cls, path: Path, *, prefault: bool = False, verify: bool = False) -> Self:
        """Open a `.hset` file. Only its header is read, unless `prefault` (all pages) or `verify` is asked
        for.

        Raises `FileFault`, `MalformedInput`.
        """
        name = os.fspath(path)
        with faults_named(name):
            if not stat.S_ISREG(os.stat(name).st_mode):
                raise FileFault("is no file: name a .hset file", file=name)
            with open(name, "rb", buffering=0) as file:
                opened = cls(file.fileno(), name, prefault=prefault)
        if verify:
            opened.verify()
        return opened

    @classmethod
    def build(
        cls,
        source: Any,
        path: Path | None = None,
        *,
        algorithm: str | Sequence[str] | None = None,
        payload: Collection[str] | None = None,
        memory: int | str = MEMORY,
        threads: int | None = None,
    ) -> Self:
        """Make the set of all digests of a source, publish it at `path` whole or not at all, and open it.

        `source` is anything that `digest_sources.batches` takes; `algorithm` (or several) are the only ones to
        take, and in the file even if nothing is of them. `payload` names the columns to carry, of `numbers`,
        `sources` and `classifications`: those of the first batch, unless said; () for none. Numbers are those of a
        catalog's items, or, where asked for, of entries: their place, from 0, in the order of reading. A digest met again
        has the smallest number and the union of each set. About `memory` is taken, and 4 bytes a digest at
        least (16 more for an entry that has an id of its own); more waits on the disk. Without a path the set is in an
        unlinked temporary file. The same digests and payload give the same bytes.
        """
        from hashlib_interop.membership.digest_sources import algorithm_names, batches

        names = algorithm_names(algorithm) or ()
        found = batches(source, names or None, "numbers" in (payload or ()))
        settings = Settings(names, payload, memory, threads)
        return cls._made(path, lambda out: build_into(out, found, settings))

    @classmethod
    def _made(cls, path: Path | None, write: Callable[[BinaryIO], object]) -> Self:
        """Write a file, published if it has a path, and open it."""
        if path is None:
            with tempfile.TemporaryFile(buffering=0) as file:
                write(file)
                return cls(file.fileno())
        with published(path) as temporary, temporary.open("r+b", buffering=0) as out:
            write(out)
        return cls.open(path)

    def save(self, path: Path) -> None:
        """Publish the file at another place."""
        with published(path) as temporary, temporary.open("wb", buffering=0) as out:
            for start in range(0, self._header.size, _COPY):
                out.write(read_at(self._fd, min(_COPY, self._header.size - start), start))

    def close(self) -> None:
        """Let go of the file; lookups raise from now on."""
        super().close()
        self.__dict__.pop("_carried", None)
        with contextlib.suppress(BufferError):  # an array somewhere still looks into it: unmapped with that
            self._mapping.close()
        self._release()

    # What is in it -----------------------------------------------------------------------------------

    def __len__(self) -> int:
        return sum(group.n for group in self.groups)

    def __iter__(self) -> Iterator[Digest]:
        """Yield all digests, algorithms by rising width, each in byte order."""
        for group in self.groups:
            for part in slices(self, group.width):
                yield from (Digest(group.algorithm, row.tobytes()) for row in part)

    def payload(self, digests: Any, threads: int = 1, width: int | None = None) -> pa.Table:
        """Return what digests carry: `number`, `sources`, `classifications`, a row each, null where one is
        not there.

        Takes what `rank` takes.
        """
        ranks = self.rank(digests, threads, width)
        return self.payload_at(ranks, width or _width_of(digests))

    def payload_at(self, ranks: Ranks, width: int) -> pa.Table:
        """Return what the digests of a width carry, from their ranks; -1 gives nulls."""
        group = next((group for group in self.groups if group.width == width), None)
        ranks = np.asarray(ranks, np.int64)
        if group is None:
            group, ranks = _nothing(width), np.full(len(ranks), -1)
        return self._carried.rows(group, ranks)

    def get(self, digest: object) -> Carried | None:
        """Return what one digest carries, None where it is not in the set."""
        rank = self.find(digest)
        width = len(as_bytes(digest))
        return None if rank < 0 else self._carried.one(next(g for g in self.groups if g.width == width), rank)

    @cached_property
    def _carried(self) -> CarriedReader:
        return CarriedReader(self._mapping, self._header, self.path)

    @property
    def content_ids(self) -> dict[str, str]:
        """Return a SHA-256 of the digests of each algorithm, in hex, whatever layout and payload."""
        return {name: value.hex() for name, value in self._header.content_ids.items()}

    @property
    def info(self) -> Info:
        """Return what the set is."""
        meta, size = self._carried.meta, self._header.size
        groups = tuple(_info(group) for group in self.groups)
        columns = {"numbers": "numbers", "sources": "sources", "classes": "classifications"}
        payload = tuple(name for key, name in columns.items() if any(getattr(g, key) for g in self.groups))
        each = size / max(len(self), 1)
        core = "compiled" if COMPILED else "numpy"
        return Info(self.path, len(self), size, each, groups, payload, meta.numbers, meta.catalog, core)

    def verify(self, *, content: bool = True, threads: int | None = None) -> None:
        """Read the whole file and compare its checksums; `MalformedInput` says what is damaged.

        With `content`, also list all digests, look each up, and compare the content ids: then the file is
        right, not only as it was written.
        """
        with faults_named(self._name):
            verify_sums(self._fd, self._header, self._name, threads or os.cpu_count() or 1)
        if content:
            for group in self.groups:
                _verify_content(self, group, self._name, threads or 1)

    # Other sets --------------------------------------------------------------------------------------

    def compare(self, other: HashSet, *, algorithm: str | None = None, threads: int = 1) -> Comparison:
        """Count the digests in both sets, and in one alone; of one algorithm, or of all."""
        widths = WIDTHS.values() if algorithm is None else [WIDTHS[algorithm]]
        found = [compared(self, other, width, threads) for width in widths]
        return Comparison(*(sum(column) for column in zip(*found, strict=True)))

    def union(self, other: HashSet, path: Path | None = None, *, threads: int = 1) -> Self:
        """Return the set of the digests in any of two sets, without payload, at `path` if given; as `|`."""
        return self._made(path, lambda out: write_result(out, "union", self, other, threads))

    def intersection(self, other: HashSet, path: Path | None = None, *, threads: int = 1) -> Self:
        """Return the set of the digests in both sets; as `&`."""
        return self._made(path, lambda out: write_result(out, "intersection", self, other, threads))

    def difference(self, other: HashSet, path: Path | None = None, *, threads: int = 1) -> Self:
        """Return the set of the digests that the other has not; as `-`."""
        return self._made(path, lambda out: write_result(out, "difference", self, other, threads))

    def symmetric_difference(self, other: HashSet, path: Path | None = None, *, threads: int = 1) -> Self:
        """Return the set of the digests in just one of two sets; as `^`."""
        return self._made(path, lambda out: write_result(out, "symmetric_difference", self, other, threads))

    def __or__(self, other: object) -> Self:
        return self.union(other) if isinstance(other, HashSet) else NotImplemented

    def __and__(self, other: object) -> Self:
        return self.intersection(other) if isinstance(other, HashSet) else NotImplemented

    def __sub__(self, other: object) -> Self:
        return self.difference(other) if isinstance(other, HashSet) else NotImplemented

    def __xor__(self, other: object) -> Self:
        return self.symmetric_difference(other) if isinstance(other, HashSet) else NotImplemented

    def _identity(self) -> frozenset[tuple[str, bytes]]:
        return frozenset((group.algorithm, group.content_id) for group in self.groups if group.n)

    def __eq__(self, other: object) -> bool:
        """Tell whether two sets hold the same digests, by their content ids."""
        return self._identity() == other._identity() if isinstance(other, HashSet) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        held = ", ".join(f"{count:,} {ALGORITHM_OF[width]}" for width, count in counts(self).items())
        return f"<HashSet of {held}{'' if self.path is None else f' in {self.path}'}>"

    def __reduce__(self) -> tuple[Callable[..., HashSet], tuple[str, dict[str, str]]]:
        if self.path is None:
            raise pickle.PicklingError(
                "a set without a file cannot be pickled: save it at a path, and open that"
            )
        return _reopened, (self.path, self.content_ids)


def _reopened(path: str, content_ids: dict[str, str]) -> HashSet:
    """Open a set again in another process; it must be the same."""
    opened = HashSet.open(path)
    if opened.content_ids != content_ids:
        opened.close()
        raise MalformedInput(
            "is another set than the one that was pickled: build or send it again", file=path
        )
    return opened


def _verify_content(table: Table, group: Group, name: str, threads: int) -> None:
    """Compare a group with its content id: the digests as listed, rising, and each found at its rank."""

    def listed() -> Iterator[memoryview]:
        before, start = b"", 0
        for part in slices(table, group.width):
            ranks = table.rank(part, threads)
            if not np.array_equal(ranks, np.arange(start, start + len(part))) or part[0].tobytes() <= before:
                raise MalformedInput("digests that are listed are not found")
            before, start = part[-1].tobytes(), start + len(part)
            yield part.data

    with contextlib.suppress(MalformedInput):
        if content_id(group.algorithm, group.n, listed()) == group.content_id:
            return
    raise MalformedInput(f"holds other digests of {group.algorithm} than it says: build it again", file=name)


def _info(group: Group) -> GroupInfo:
    size = sum(span.length for span in group.spans().values())
    layout = "lines" if group.layout else "sorted"
    return GroupInfo(group.algorithm, group.n, layout, size, group.content_id.hex())


def _nothing(width: int) -> Group:
    return Group(ALGORITHM_OF[width], width, width, 0, 0, 0, 0, 0, bytes(32))


def _width_of(digests: Any) -> int:
    from hashlib_interop.membership.digest_keys import keys_of

    width: int = keys_of(digests)[0].shape[1]
    return width


