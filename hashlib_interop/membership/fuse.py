"""The shareable filter, `.hfilter`: a ninth of the size of a hash set, and wrong about one digest in 256 or 65,536.

A binary fuse filter (arXiv 2201.01174) over keyed XXH3-64 hashes of the digests; docs/hfilter-format.md is the
specification. It is no privacy device: whoever has the file can test any digest that he has or can make.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from types import ModuleType, TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import xxhash

from hashlib_interop.errors import CannotWrite, MalformedInput
from hashlib_interop.files import faults_named, published
from hashlib_interop.membership import fuse_numpy
from hashlib_interop.membership.digest_keys import Keys, keys_of
from hashlib_interop.membership.digest_sources import FILTER_MAGIC as MAGIC
from hashlib_interop.membership.digest_sources import batches
from hashlib_interop.membership.digest_value import as_bytes
from hashlib_interop.membership.fuse_hashes import HashBuckets
from hashlib_interop.membership.fuse_numpy import Found, Hashes, Slots
from hashlib_interop.membership.hset_build import MEMORY, bytes_of
from hashlib_interop.membership.hset_file import ALGORITHM_OF, WIDTHS
from hashlib_interop.membership.notice import notice
from hashlib_interop.membership.threads import each

kernels: ModuleType = fuse_numpy
try:
    from hashlib_interop.membership import _fuse

    kernels = _fuse
except ImportError:
    pass

VERSION = 1
HEADER = 128
BITS = (8, 16)
_FIELDS = struct.Struct("<8sIIQQQBBBBIQ56x")
_CHECK_AT = 112
_MOST_SHARD_BITS = 16
_SHARD_KEYS_BITS = 21
_MOST_SEEDS = 128
_NUMBERS = {name: number for number, name in enumerate(WIDTHS, 1)}


@dataclass(frozen=True)
class FilterInfo:
    """What the header of a filter says. `count` is the number of digests that differ, `key` that of their hashes."""

    count: int
    key: int
    bits: int
    algorithms: tuple[str, ...]
    shard_bits: int
    segment_bits: int
    segments: int
    checksum: int = 0

    @property
    def slots(self) -> int:
        """Return the bytes of all slots."""
        return ((self.segments + 2) << self.segment_bits + self.shard_bits) * self.bits // 8

    @property
    def size(self) -> int:
        """Return the bytes of the file."""
        return HEADER + self.slots + (8 << self.shard_bits)

    @property
    def false_positive_rate(self) -> float:
        """Return the part of the digests that are not in the set and are said to be."""
        return 2.0**-self.bits if self.count else 0.0

    def packed(self) -> bytes:
        """Return the 128 bytes of the header."""
        flags = sum(1 << (_NUMBERS[name] - 1) for name in self.algorithms)
        shape = (self.bits, self.shard_bits, self.segment_bits, flags, self.segments)
        head = _FIELDS.pack(MAGIC, VERSION, HEADER, self.size, self.count, self.key, *shape, self.checksum)
        return head[:_CHECK_AT] + xxhash.xxh3_128_digest(head[:_CHECK_AT])


def read_header(page: bytes, size: int, name: str = "") -> FilterInfo:
    """Return the header from the first 128 bytes of a file of `size` bytes; `MalformedInput` where it is none."""
    if len(page) < HEADER or page[:8] != MAGIC:
        raise MalformedInput(
            "is no .hfilter file: make one with `hashlib-interop build --filter 8`", file=name
        )
    _, version, _, said_size, count, key, bits, shard_bits, segment_bits, flags, segments, checksum = (
        _FIELDS.unpack_from(page)
    )
    if version != VERSION:
        raise MalformedInput(
            f"is of version {version} of the format, this program knows {VERSION}", file=name
        )
    if page[_CHECK_AT:] != xxhash.xxh3_128_digest(page[:_CHECK_AT]):
        raise MalformedInput("has a damaged header: copy it again", file=name)
    if said_size != size:
        raise MalformedInput(f"has {size} bytes of {said_size}: copy it again", file=name)
    algorithms = tuple(name for name, number in _NUMBERS.items() if flags >> (number - 1) & 1)
    info = FilterInfo(count, key, bits, algorithms, shard_bits, segment_bits, segments, checksum)
    sane = bits in BITS and shard_bits <= _MOST_SHARD_BITS and 2 <= segment_bits <= 18 and segments
    if not sane or (segments + 2) << segment_bits >= 1 << 32 or info.packed() != page or info.size != size:
        raise MalformedInput("has a header that contradicts itself: do not trust it", file=name)
    return info


class Filter:
    """An open filter. `digest in filter` and `contains` say no for certain, and yes with a known error.

    Made by `build` and `open`. Safe for threads and across fork; picklable by path; a context manager.
    """

    def __init__(self, path: str, info: FilterInfo, slots: Slots, seeds: Hashes) -> None:
        notice()
        self.path, self.info, self._name = os.path.abspath(path), info, path
        self._slots, self._seeds = slots, seeds

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, verify: bool = True) -> Self:
        """Open a filter, mapped into memory. `verify` reads it all and compares the checksum (20 GB/s).

        Raises `MalformedInput` for a file that is no filter, cut off or damaged, `FileFault` where it cannot be read.
        """
        name = os.fspath(path)
        with faults_named(name), open(name, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            info = read_header(file.read(HEADER), size, name)
            mapped = np.frombuffer(_mapped(file, size), np.uint8)
        end = HEADER + info.slots
        seeds = np.frombuffer(mapped[end:].tobytes(), "<u8").astype(np.uint64)
        opened = cls(name, info, mapped[HEADER:end], seeds)
        if verify:
            opened.verify()
        return opened

    @classmethod
    def build(cls, source: Any, path: str | os.PathLike[str], **settings: Any) -> Self:
        """Make the filter of all digests of a source, publish it at `path` and open it; see `build`."""
        build(source, path, **settings)
        return cls.open(path, verify=False)

    def __len__(self) -> int:
        return self.info.count

    def __contains__(self, digest: object) -> bool:
        """Tell whether a digest may be in the set: bytes, hex text, or `Digest`; `BadDigest` for what is none."""
        value = as_bytes(digest)
        return bool(self._asked(np.frombuffer(value, np.uint8).reshape(1, -1))[0])

    def contains(self, digests: Any, threads: int = 1, width: int | None = None) -> Found:
        """Return which of many digests may be in the set; rows that are null (Arrow) are not.

        `digests` is what `digest_keys.keys_of` takes: (n, width) uint8, Arrow, a list of bytes. `BadDigest` for a
        width of no algorithm.
        """
        keys, valid = keys_of(digests, width)
        parts = np.array_split(keys, threads * 4 if threads > 1 and len(keys) >= 1 << 16 else 1)
        found = np.concatenate(each(self._asked, parts, threads))
        return found if valid is None else found & valid

    def _asked(self, keys: Keys) -> Found:
        info, algorithm = self.info, ALGORITHM_OF[keys.shape[1]]
        if algorithm not in info.algorithms or not info.count:
            return np.zeros(len(keys), bool)
        wanted = kernels.hashes(keys, _NUMBERS[algorithm], info.key)
        measures = (info.segment_bits, info.segments, info.bits)
        found: Found = kernels.contains(wanted, self._slots, self._seeds, *measures)
        return found

    def verify(self) -> None:
        """Compare the checksum; `MalformedInput` where the file is damaged."""
        hashing = xxhash.xxh3_64(self._slots.data)
        hashing.update(self._seeds.astype("<u8").tobytes())
        if hashing.intdigest() != self.info.checksum:
            raise MalformedInput("is damaged: copy it again", file=self._name)

    def close(self) -> None:
        """Let go of the file; questions are a `ValueError` from now on."""
        self._slots = np.zeros(0, np.uint8)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[..., Filter], tuple[str, FilterInfo]]:
        return _reopened, (self.path, self.info)


def _reopened(path: str, info: FilterInfo) -> Filter:
    """Open a filter again in another process; it must be the same."""
    opened = Filter.open(path, verify=False)
    if opened.info != info:
        opened.close()
        raise MalformedInput("is another filter than the one that was pickled: build or send it again", file=path)
    return opened


def _mapped(file: BinaryIO, size: int) -> mmap.mmap:
    mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        try:
            mapped.madvise(mmap.MADV_HUGEPAGE)
        except OSError:  # a kernel or file system without them: smaller pages do as well
            pass
    return mapped


# Building ------------------------------------------------------------------------------------------------


def build(
    source: Any,
    path: str | os.PathLike[str],
    *,
    bits: int = 8,
    key: int = 0,
    algorithms: tuple[str, ...] | None = None,
    threads: int = 1,
    memory: int | str = MEMORY,
) -> FilterInfo:
    """Write the filter of all digests of a source (see `digest_sources`) to `path`, whole or not at all.

    `bits` 8 or 16; `key`, a 64-bit number, is that of the hashes: filters of different keys err about different
    digests. The same digests, bits and key give the same bytes. `memory` (as in `HashSet.build`) is for hashes, 8 bytes a
    digest; more are kept on the disk beside `path`. Raises what reading the source raises, `CannotWrite`, `FileFault`.
    """
    if bits not in BITS or not 0 <= key < 1 << 64:
        raise ValueError("bits are 8 or 16, a key is a number of 64 bits")
    notice()
    with published(path) as temporary, HashBuckets(bytes_of(memory), temporary) as buckets:
        found = set()
        for batch in batches(source, algorithms):
            if len(batch.keys):
                found.add(batch.algorithm)
                buckets.add(kernels.hashes(np.ascontiguousarray(batch.keys), _NUMBERS[batch.algorithm], key))
        counts = buckets.settled()
        held = tuple(name for name in WIDTHS if name in found)
        info = shape(counts, key, bits, held)
        with temporary.open("r+b") as out:
            return _written(out, info, buckets, threads)


def shape(counts: Any, key: int, bits: int, algorithms: tuple[str, ...]) -> FilterInfo:
    """Return the measures of a filter; `counts` are the hashes by their first 16 bits.

    2^21 hashes a shard at most, on the average; the fullest decides the size of all. The sizes of segments and
    the room to spare are those that arXiv 2201.01174 found for three slots a key.
    """
    count = int(counts.sum())
    shard_bits = min((count >> _SHARD_KEYS_BITS).bit_length(), _MOST_SHARD_BITS)
    fullest = max(int(counts.reshape(1 << shard_bits, -1).sum(axis=1).max()), 2)
    segment_bits = math.floor(math.log(fullest) / math.log(3.33) + 2.25)
    room = max(1.125, 0.875 + 0.25 * math.log(1e6) / math.log(fullest))
    segments = max(-(-math.ceil(fullest * room) >> segment_bits) - 2, 1)
    return FilterInfo(count, key, bits, algorithms, shard_bits, segment_bits, segments)


def _written(out: BinaryIO, info: FilterInfo, buckets: HashBuckets, threads: int) -> FilterInfo:
    """Write shard after shard, then their seeds, then the header."""
    checksum, seeds = xxhash.xxh3_64(), []
    out.write(bytes(HEADER))
    shards = buckets.shards(info.shard_bits)
    while some := list(islice(shards, max(threads, 1))):
        for slots, seed in each(lambda hashes: _shard(hashes, info), some, threads):
            out.write(slots.data)
            checksum.update(slots.data)
            seeds.append(seed)
    last = np.array(seeds, "<u8").tobytes()
    out.write(last)
    checksum.update(last)
    info = FilterInfo(**{**vars(info), "checksum": checksum.intdigest()})
    out.seek(0)
    out.write(info.packed())
    return info


def _shard(hashes: Hashes, info: FilterInfo) -> tuple[Slots, int]:
    for seed in seed_schedule():
        slots = kernels.build(hashes, seed, info.segment_bits, info.segments, info.bits)
        if slots is not None:
            return slots, seed
    raise CannotWrite(
        "these digests fit into no filter under this key, by accident or by design: choose another key"
    )


def seed_schedule() -> Iterator[int]:
    """Yield the seeds that a builder tries, in this order (SplitMix64 from state 0)."""
    steps = np.arange(1, _MOST_SEEDS + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    yield from fuse_numpy.mix(steps).tolist()
