"""The `.hset` file: its header, its sections, its checksums. docs/hset-format.md is the specification.

A header is taken only if it is, byte for byte, the one that the writer makes for the same counts: so every
offset, length, reserved byte and rule is checked by one comparison, in Python's integers, which do not wrap.
"""

from __future__ import annotations

import hashlib
import os
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from hashlib_interop.errors import MalformedInput
from hashlib_interop.membership.threads import each

MAGIC = b"HSETv1\0\0"
VERSION = 1
HEADER = 4096
PAGE = 4096
BLOCK = 1 << 20
LINE = 64
PAD = 64
"""Zero bytes on both sides of REST and KEYS, so that a wide load at either end stays inside."""

SLOTS, SLOTS_WITH_NEXT, CHAIN = 29, 27, 8
"""Fingerprints in a line, in a line that goes on in another, and lines of a chain."""
PLACE_MOST = 48
"""Digests with one line and fingerprint: a lookup compares all of them, and 64 of anything at most."""
LONGEST_CHAIN = (CHAIN - 1) * SLOTS_WITH_NEXT + SLOTS

WIDTHS = {"md5": 16, "sha1": 20, "sha224": 28, "sha256": 32, "sha384": 48, "sha512": 64}
"""Bytes of a digest, rising; the number of an algorithm in the file is its place here, from 1."""
ALGORITHM_OF = {width: name for name, width in WIDTHS.items()}
_NAMES = tuple(WIDTHS)

SORTED, LINES_LAYOUT = 0, 1
REST, KEYS, RADIX, NUMBERS, SOURCES, CLASSES, DRIFT, LINES, META, SUMS = range(1, 11)
OF_FILE = 0xFFFF
_PAYLOAD = (NUMBERS, SOURCES, CLASSES)
_STRIDES = {NUMBERS: (4, 8), SOURCES: (1, 2, 4), CLASSES: (1, 2, 4)}
_MOST_SECTIONS = 64
DRIFT_LINES = 4
"""Home lines for each element of DRIFT."""
MOST_META = 16 << 20
MOST_LINES = 1 << 32
MOST_KEYS = 1 << 40

_HEAD = struct.Struct("<8sIIQHHIQ24x")
_GROUP = struct.Struct("<BBBBB3xQQQ32s64x")
_SECTION = struct.Struct("<HHIQQQ")
_GROUPS_AT, _SECTIONS_AT, _CHECK_AT = 64, 832, 4080

Sums = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Span:
    """A range of bytes of the file, of elements of `stride` bytes."""

    offset: int
    length: int
    stride: int = 1

    @property
    def stop(self) -> int:
        """Return the offset behind its last byte."""
        return self.offset + self.length


_SPANS = {
    REST: "rest_span",
    KEYS: "keys",
    RADIX: "radix",
    NUMBERS: "numbers",
    SOURCES: "sources",
    CLASSES: "classes",
    DRIFT: "drift",
    LINES: "lines",
}
"""Where a group keeps the place of a section, by type."""


@dataclass(frozen=True)
class Group:
    """The digests of one algorithm, and where they lie: `lines`, `rest_span`, `drift`, or `keys`, `radix`."""

    algorithm: str
    width: int
    rest: int
    layout: int
    radix_bits: int
    n: int
    home_lines: int
    overflow_lines: int
    content_id: bytes
    lines: Span | None = None
    rest_span: Span | None = None
    keys: Span | None = None
    radix: Span | None = None
    numbers: Span | None = None
    sources: Span | None = None
    classes: Span | None = None
    drift: Span | None = None

    def spans(self) -> dict[int, Span]:
        """Return its sections by type, in the order in which they lie."""
        held = {kind: getattr(self, name) for kind, name in _SPANS.items()}
        return {kind: span for kind, span in held.items() if span}


@dataclass(frozen=True)
class Header:
    """What the first 4096 bytes say. `sums_hash` is the XXH3-64 of the section SUMS."""

    groups: tuple[Group, ...]
    meta: Span | None
    sums: Span
    sums_hash: int = 0

    @property
    def size(self) -> int:
        """Return the length of the file: SUMS is its end."""
        return self.sums.stop

    @property
    def content_ids(self) -> dict[str, bytes]:
        """Return the content id of each algorithm."""
        return {group.algorithm: group.content_id for group in self.groups}


@dataclass(frozen=True)
class Geometry:
    """Home lines of a set, leading bytes of a digest that they determine (`depth`), bytes left to REST."""

    home_lines: int
    depth: int
    rest: int


# Rules ---------------------------------------------------------------------------------------------------


def geometry(n: int, width: int) -> Geometry:
    """Return the measures of layout 1: 18 digests a line, or down to 14 where that saves a byte each."""
    lines = n // 18 + 1
    saving = 1 << max(8 * (_depth(lines) + 1) - 16, 0)
    if saving <= n // 14 + 1:
        lines = saving
    return Geometry(lines, _depth(lines), width - _depth(lines))


def _depth(lines: int) -> int:
    """Return the greatest d with `lines * 2^16 >= 2^(8 d)`, at most 7."""
    return min((lines.bit_length() + 15) // 8, 7)


def radix_bits(n: int) -> int:
    """Return the bits of RADIX: the greatest number with `2^bits <= max(n / 4, 1)`, at most 24."""
    return min(max(n // 4, 1).bit_length() - 1, 24)


def drifts(home_lines: int) -> int:
    """Return the number of elements of DRIFT: one for every four home lines, and one for their end."""
    return -(-home_lines // DRIFT_LINES) + 1


def group_of(
    algorithm: str,
    n: int,
    layout: int,
    overflow_lines: int = 0,
    content_id: bytes = bytes(32),
    payload: dict[int, int] | None = None,
) -> Group:
    """Return a group that lies nowhere yet; `payload`: stride by section. `ValueError` if impossible."""
    width, measures = WIDTHS[algorithm], geometry(n, WIDTHS[algorithm])
    home = measures.home_lines
    if n > MOST_KEYS or (layout == LINES_LAYOUT and home + overflow_lines >= MOST_LINES):
        raise ValueError("counts beyond the limits of the format")
    if layout == SORTED:
        group = Group(algorithm, width, width, SORTED, radix_bits(n), n, 0, 0, content_id)
    else:
        group = Group(algorithm, width, measures.rest, LINES_LAYOUT, 0, n, home, overflow_lines, content_id)
    return _with_spans(group, _lengths(group, payload or {}))


def _lengths(group: Group, payload: dict[int, int]) -> dict[int, Span]:
    """Return the sections of a group by type, rising, all at offset 0."""
    n, ends = group.n, 2 * PAD
    if group.layout == SORTED:
        width = group.width
        spans = {KEYS: Span(0, ends + n * width, width), RADIX: Span(0, ((1 << group.radix_bits) + 1) * 8, 8)}
    else:
        lines = (group.home_lines + group.overflow_lines) * LINE
        drift = drifts(group.home_lines) * 2
        spans = {REST: Span(0, ends + n * group.rest, group.rest), DRIFT: Span(0, drift, 2), LINES: Span(0, lines, LINE)}
    spans |= {kind: Span(0, n * stride, stride) for kind, stride in payload.items()}
    return dict(sorted(spans.items()))


def _with_spans(group: Group, spans: dict[int, Span]) -> Group:
    places: dict[str, Any] = {_SPANS[kind]: span for kind, span in spans.items()}
    return replace(group, **places)


def laid_out(groups: Sequence[Group], meta: int = 0) -> Header:
    """Return the header of a file of these groups, with every section in its place; `meta` bytes of META."""
    at, placed = HEADER, []
    for group in groups:
        spans = {}
        for kind, span in group.spans().items():
            spans[kind] = replace(span, offset=at)
            at = _aligned(spans[kind].stop)
        placed.append(_with_spans(group, spans))
    described = Span(at, meta) if meta else None
    at = _aligned(at + meta)
    return Header(tuple(placed), described, Span(at, -(-(at - HEADER) // BLOCK) * 8, 8))


def _aligned(offset: int) -> int:
    return -(-offset // PAGE) * PAGE


# The header ----------------------------------------------------------------------------------------------


def packed(header: Header) -> bytes:
    """Return the 4096 bytes."""
    sections = list(_sections(header))
    page = bytearray(HEADER)
    counts = (len(header.groups), len(sections), 0)
    _HEAD.pack_into(page, 0, MAGIC, VERSION, HEADER, header.size, *counts, header.sums_hash)
    for place, group in enumerate(header.groups):
        code = _NAMES.index(group.algorithm) + 1
        shape = (code, group.width, group.rest, group.layout, group.radix_bits)
        counted = (group.n, group.home_lines, group.overflow_lines)
        _GROUP.pack_into(page, _GROUPS_AT + place * _GROUP.size, *shape, *counted, group.content_id)
    for place, (kind, owner, span) in enumerate(sections):
        at = _SECTIONS_AT + place * _SECTION.size
        _SECTION.pack_into(page, at, kind, owner, 0, span.offset, span.length, span.stride)
    page[_CHECK_AT:] = xxhash.xxh3_128_digest(page[:_CHECK_AT])
    return bytes(page)


def _sections(header: Header) -> Iterator[tuple[int, int, Span]]:
    """Yield type, owner and place of every section in the order of the file."""
    for owner, group in enumerate(header.groups):
        for kind, span in group.spans().items():
            yield kind, owner, span
    if header.meta:
        yield META, OF_FILE, header.meta
    yield SUMS, OF_FILE, header.sums


def read_header(page: bytes, size: int, name: str = "") -> Header:
    """Return the header from the first 4096 bytes of a file of `size` bytes.

    Raises `MalformedInput` for whatever is not as the specification says. Nothing else is read or allocated.
    """
    if page[:8] != MAGIC[: len(page)] or not page:
        raise _malformed("is no .hset file: build one with `hashlib-interop build`", name)
    if len(page) < HEADER or size < HEADER:
        raise _malformed("is cut off: copy it again", name)
    _, version, _, said_size, groups, sections, _, sums_hash = _HEAD.unpack_from(page)
    if version != VERSION:
        raise _malformed(
            f"is of version {version} of the format, this program knows {VERSION}: update it", name
        )
    if page[_CHECK_AT:HEADER] != xxhash.xxh3_128_digest(page[:_CHECK_AT]):
        raise _malformed("has a damaged header: copy it again, or build it again", name)
    if said_size != size:
        raise _malformed(f"has {size} bytes of {said_size}: copy it again", name)
    try:
        header = replace(_rebuilt(page, groups, sections), sums_hash=sums_hash)
        if packed(header) == page[:HEADER] and header.size == size:
            return header
    except (ValueError, struct.error):
        pass
    raise _malformed("has a header that contradicts itself: do not trust it; build it again", name)


def _rebuilt(page: bytes, groups: int, sections: int) -> Header:
    """Return the header that a writer makes for the counts of this one. `ValueError` where none would."""
    if not 1 <= groups <= len(WIDTHS) or sections > _MOST_SECTIONS:
        raise ValueError
    table = [_SECTION.unpack_from(page, _SECTIONS_AT + k * _SECTION.size) for k in range(sections)]
    meta = sum(length for kind, owner, _, _, length, _ in table if (kind, owner) == (META, OF_FILE))
    made = [
        _rebuilt_group(page, k, [(row[0], row[5]) for row in table if row[1] == k]) for k in range(groups)
    ]
    if meta > MOST_META or any(a.width >= b.width for a, b in pairwise(made)):
        raise ValueError
    return laid_out(made, meta)


def _rebuilt_group(page: bytes, place: int, strides: Iterable[tuple[int, int]]) -> Group:
    code, _, _, layout, _, n, _, overflow, content_id = _GROUP.unpack_from(
        page, _GROUPS_AT + place * _GROUP.size
    )
    payload = {kind: stride for kind, stride in strides if kind in _PAYLOAD}
    if not 1 <= code <= len(_NAMES) or layout not in (SORTED, LINES_LAYOUT):
        raise ValueError
    if any(stride not in _STRIDES[kind] for kind, stride in payload.items()):
        raise ValueError
    return group_of(_NAMES[code - 1], n, layout, overflow, content_id, payload)


def _malformed(message: str, name: str) -> MalformedInput:
    return MalformedInput(message, file=name or None)


# Checksums -----------------------------------------------------------------------------------------------


def content_id(algorithm: str, n: int, slices: Iterable[bytes | memoryview]) -> bytes:
    """Return the identity of a set: the SHA-256 of its algorithm, count and digests in order."""
    hashing = content_hash(algorithm, n)
    for part in slices:
        hashing.update(part)
    return hashing.digest()


def content_hash(algorithm: str, n: int) -> hashlib._Hash:
    """Return the hash of a content id, to be fed with the digests in order."""
    return hashlib.sha256(b"hset1\0" + algorithm.encode() + b"\0" + struct.pack("<Q", n))


def block_sums(fd: int, header: Header, threads: int = 1) -> Sums:
    """Return the XXH3-64 of every MiB between the header and SUMS, from an open file. `ValueError` for no thread."""
    if threads < 1:
        raise ValueError("threads: at least one")
    count = header.sums.length // 8
    part = -(-count // threads)
    runs = [range(at, min(at + part, count)) for at in range(0, count, part or 1)]
    found = each(lambda run: _sums_of(fd, header, run), runs, threads)
    return np.concatenate([np.zeros(0, np.uint64), *found])


def _sums_of(fd: int, header: Header, blocks: range) -> Sums:
    starts = (HEADER + k * BLOCK for k in blocks)
    parts = (read_at(fd, min(BLOCK, header.sums.offset - start), start) for start in starts)
    return np.array([xxhash.xxh3_64_intdigest(part) for part in parts], np.uint64)


def read_at(fd: int, size: int, offset: int) -> bytes:
    """Return bytes of an open file; fewer where it ends."""
    if hasattr(os, "pread"):
        return os.pread(fd, size, offset)
    with _ONE_AT_A_TIME:  # pragma: no cover - Windows has no pread
        os.lseek(fd, offset, os.SEEK_SET)
        return os.read(fd, size)


_ONE_AT_A_TIME = threading.Lock()


def verify_sums(fd: int, header: Header, name: str = "", threads: int = 1) -> None:
    """Compare every byte of a file with its checksums; `MalformedInput` names the first MiB that differs."""
    stored = read_at(fd, header.sums.length, header.sums.offset)
    if xxhash.xxh3_64_intdigest(stored) != header.sums_hash:
        raise _malformed("has damaged checksums: copy it again, or build it again", name)
    wrong = np.flatnonzero(block_sums(fd, header, threads) != np.frombuffer(stored, "<u8"))
    if len(wrong):
        start = HEADER + int(wrong[0]) * BLOCK
        blocks = "1 block" if len(wrong) == 1 else f"{len(wrong)} blocks"
        raise _malformed(f"is damaged: {blocks} of 1 MiB, the first from byte {start} on; copy it again", name)
