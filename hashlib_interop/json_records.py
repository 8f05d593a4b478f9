"""Records of a JSON array inside an object, framed from a stream in bounded memory.

    {"context": "…", "value": [ {record}, {record}, … ], "more": 1}
    {"context": "…", "value": [ {"id": 1, "Media": [ {record}, … ], "name": "…"}, … ]}

A record is an element of the outer array (`value`), or of the inner array (`Media`) of such an element;
which of both is decided for every element by what it holds. Nothing but one record and one block of the
file is held. What is not a record (the envelope, the rest of an element) is put together without its
array and read by `strict_json`, so that a file passes only where all of it is JSON.

Limits, beyond which the file is refused: depth 64, a record of 16 MiB or a million brackets and quotes,
an envelope of 1 MiB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hashlib_interop import kernels
from hashlib_interop.errors import MalformedInput
from hashlib_interop.kernels import Bytes, Mask, Places
from hashlib_interop.strict_json import strict_json

DEPTH = 64
RECORD = 16 << 20
ENVELOPE = 1 << 20
MARKS = 1 << 20
BLOCK = 4 << 20

SPACE = np.zeros(256, bool)
SPACE[list(b" \t\n\r")] = True


# One block -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scan:
    """The brackets of a block that stand outside strings, in order.

    `place` byte offset, `opens`, `depth` after it, `quotes` number of quotes before it, `mark` its index
    in `marks`: the offsets of all brackets, quotes and backslashes. `quoted` and `slashes` are the offsets
    of the quotes that begin or end a string, and of backslashes.
    """

    data: Bytes
    marks: Places
    quoted: Places
    slashes: Places
    place: Places
    opens: Mask
    depth: Places
    quotes: Places
    mark: npt.NDArray[np.int64]


def _scan(buffer: bytearray, depth: int) -> _Scan:
    """Find the brackets of a buffer that begins outside any string, at `depth`."""
    data = np.frombuffer(buffer, np.uint8)
    marks = kernels.places(data, b'"[]{}\\')
    chars = data.take(marks)
    quote = chars == ord('"')
    slash = chars == ord("\\")
    if slash.any():
        quote[_escaped(marks, slash)] = False
    quotes = np.cumsum(quote, dtype=np.int32)
    kind = chars | 32
    mark = np.flatnonzero(((kind == ord("{")) | (kind == ord("}"))) & ((quotes & 1) == 0))
    opens = kind.take(mark) == ord("{")
    steps = np.where(opens, np.int32(1), np.int32(-1))
    depths = depth + np.cumsum(steps, dtype=np.int32)
    quoted, slashes = (marks.take(np.flatnonzero(wanted)) for wanted in (quote, slash))
    return _Scan(data, marks, quoted, slashes, marks.take(mark), opens, depths, quotes.take(mark), mark)


def _escaped(marks: Places, slash: Mask) -> npt.NDArray[np.int64]:
    """Return the indices of the marks that follow an odd run of backslashes."""
    at = np.flatnonzero(slash)
    place = marks[at]
    first = np.ones(len(at), bool)
    first[1:] = place[1:] != place[:-1] + 1
    order = np.arange(len(at))
    odd = (order - np.maximum.accumulate(np.where(first, order, 0))) % 2 == 0
    after = np.minimum(at + 1, len(marks) - 1)
    return np.asarray(after[odd & (marks[after] == place + 1)], np.int64)


@dataclass(frozen=True)
class Frames:
    """Consecutive records of one block, `data`; they stand from `starts` to `stops`, their brackets.

    `texts` each the bytes of one object and blanks after it, `first` the number of the first, from 1.
    `flat`: holds no object, array or backslash. `strings`: how many strings it holds, keys included;
    `quotes` the offsets of their quotes, of all records. `inner`: elements of an inner array.
    """

    data: Bytes
    starts: Places
    stops: Places
    texts: pa.BinaryArray
    first: int
    flat: Mask
    strings: Places
    quotes: Places
    inner: bool

    def __len__(self) -> int:
        return len(self.texts)


# The file ------------------------------------------------------------------------------------------------


@dataclass
class ArrayRecords:
    """The records of one file; iterate once. `envelope` has the keys before the array as soon as the first
    frames are given, and all of them after the last; the array itself is left out of it.

    `on_outer` is given every element that has an inner array, without it, after its last record.
    `diagnose` may explain a text that cannot be framed. `malformed(message, record)` makes the errors.
    """

    stream: BinaryIO
    malformed: Callable[[str, int | None], MalformedInput]
    on_outer: Callable[[dict[str, Any]], None]
    diagnose: Callable[[bytes], str | None] = lambda text: None
    array: str = "value"
    inner: str | None = "Media"
    block: int = BLOCK
    envelope: dict[str, Any] = field(default_factory=dict)
    count: int = 0

    def __iter__(self) -> Iterator[Frames]:
        self._buffer, self._cursor, self._depth, self._next = bytearray(), 0, 0, 0
        self._scan = _scan(self._buffer, 0)
        head = self._head()
        self.envelope = self._read_envelope(head + b"]}")
        yield from self._elements(2)
        self.envelope = self._read_envelope(head + b"]" + self._tail())

    # bytes

    def _fill(self) -> bool:
        """Take one more block, keeping what is not used up; False at the end of the file."""
        more = self.stream.read(self.block)
        kept = self._buffer[self._cursor :]
        self._check_room(kept)
        self._buffer = kept + more
        self._cursor = self._next = 0
        self._scan = _scan(self._buffer, self._depth)
        if self._scan.depth.max(initial=0) > DEPTH:
            raise self.malformed(f"nested deeper than {DEPTH} levels", self.count + 1)
        return bool(more)

    def _check_room(self, kept: bytearray) -> None:
        marks = len(self._scan.marks) - int(np.searchsorted(self._scan.marks, self._cursor))
        if len(kept) > RECORD or marks > MARKS:
            what = f"{RECORD >> 20} MiB" if len(kept) > RECORD else f"{MARKS:,} brackets and quotes"
            raise self._unframed(f"a record of more than {what}")

    def _unframed(self, message: str) -> MalformedInput:
        text = bytes(self._buffer[self._cursor :])
        return self.malformed(self.diagnose(text) or message, self.count + 1)

    def _move(self, bracket: int, depth: int) -> None:
        """Go on after a bracket of the scan, at `depth`."""
        self._cursor, self._next, self._depth = int(self._scan.place[bracket]) + 1, bracket + 1, depth

    def _first(self, wanted: Mask) -> int | None:
        """Return the index of the first bracket not used up that is wanted."""
        found = np.flatnonzero(wanted[self._next :])
        return int(found[0]) + self._next if len(found) else None

    # envelope

    def _head(self) -> bytes:
        while (bracket := self._named_array(self.array, 2)) is None:
            if len(self._buffer) > ENVELOPE:
                raise self.malformed(f"no array {self.array!r} in the first {ENVELOPE >> 20} MiB", None)
            if not self._fill():
                raise self._headless()
        self._move(bracket, 2)
        if self._cursor > ENVELOPE:
            raise self.malformed(f"more than {ENVELOPE >> 20} MiB before the array {self.array!r}", None)
        return bytes(self._buffer[: self._cursor])

    def _headless(self) -> MalformedInput:
        try:
            strict_json(bytes(self._buffer))
        except ValueError as error:
            return self.malformed(f"cut off, or not JSON: {error}", None)
        return self.malformed(f"there is no array {self.array!r}", None)

    def _tail(self) -> bytes:
        left = bytes(self._buffer[self._cursor :])
        left += self.stream.read(max(ENVELOPE - len(left) + 1, 0))
        if len(left) > ENVELOPE:
            raise self.malformed(f"more than {ENVELOPE >> 20} MiB after the array {self.array!r}", None)
        if not left.strip():
            raise self.malformed("cut off after the array", None)
        return left

    def _read_envelope(self, text: bytes) -> dict[str, Any]:
        try:
            value = strict_json(text)
        except ValueError as error:
            raise self.malformed(f"what stands around the records is not JSON: {error}", None) from None
        if not isinstance(value, dict):
            raise self.malformed("the file is not one JSON object", None)
        return self._without_array(value, self.array)

    # arrays

    def _named_array(self, name: str, depth: int, most: int | None = None) -> int | None:
        """Return the first `[` that opens `depth` as the value of the key `name`, before bracket `most`."""
        scan = self._scan
        at = self._next + np.flatnonzero(
            (scan.depth[self._next : most] == depth) & scan.opens[self._next : most]
        )
        at = at[scan.mark[at] >= 2]
        end, start = scan.marks[scan.mark[at] - 1], scan.marks[scan.mark[at] - 2]
        at = at[(end - start == len(name) + 1) & (scan.data[scan.place[at]] == ord("["))]
        return next((int(i) for i in at if self._is_key(name, int(i))), None)

    def _is_key(self, name: str, bracket: int) -> bool:
        scan = self._scan
        mark = int(scan.mark[bracket])
        text = bytes(self._buffer[scan.marks[mark - 2] : scan.place[bracket]])
        key, _, rest = text[1:].partition(b'"')
        return rest.strip(b" \t\r\n") == b":" and key.decode("latin-1").casefold() == name.casefold()

    def _elements(self, depth: int) -> Iterator[Frames]:
        """Frame the elements of the array whose inside is at `depth`, to its closing bracket."""
        fresh = True
        while True:
            end = self._first(self._scan.depth < depth)
            case = self._named_array(self.inner, 4, end) if depth == 2 and self.inner else None
            frames = self._framed(depth, end if case is None else case, fresh)
            fresh &= not frames
            if frames:
                yield frames
            if case is not None:
                yield from self._outer(case, fresh)
                fresh = False
            elif end is not None:
                self._close(end, depth)
                return
            elif not self._fill():
                raise self._unframed("cut off inside the array: the file is not whole")

    def _close(self, end: int, depth: int) -> None:
        place = int(self._scan.place[end])
        self._check_gaps(np.array([self._cursor]), np.array([place]), fresh=True)
        if self._scan.data[place] != ord("]"):
            raise self._unframed("the array is closed by another bracket")
        self._move(end, depth - 1)

    def _framed(self, depth: int, end: int | None, fresh: bool) -> Frames | None:
        """Frame the whole records up to bracket `end`, and blank what stands between them."""
        scan, first = self._scan, self._next
        depths, opens = scan.depth[first:end], scan.opens[first:end]
        closing = first + np.flatnonzero((depths == depth) & ~opens)
        opening = first + np.flatnonzero((depths == depth + 1) & opens)[: len(closing)]
        if not len(closing):
            return None
        starts, stops = scan.place[opening], scan.place[closing]
        if (scan.data[starts] != ord("{")).any() or (scan.data[stops] != ord("}")).any():
            raise self._unframed("something other than an object stands among the records")
        self._check_gaps(np.concatenate([[self._cursor], stops[:-1] + 1]), starts, fresh)
        slashes = np.searchsorted(scan.slashes, starts) != np.searchsorted(scan.slashes, stops)
        flat = (closing == opening + 1) & ~slashes
        quotes = scan.quoted[scan.quotes[opening[0]] : scan.quotes[closing[-1]]]
        strings = (scan.quotes[closing] - scan.quotes[opening]) // 2
        texts = self._texts(starts, int(stops[-1]) + 1)
        frames = Frames(scan.data, starts, stops, texts, self.count + 1, flat, strings, quotes, depth > 2)
        self.count += len(frames)
        self._move(int(closing[-1]), depth)
        return frames

    def _texts(self, starts: Places, end: int) -> pa.BinaryArray:
        offsets = np.append(starts, np.int32(end)).astype(np.int32)
        return pa.BinaryArray.from_buffers(
            pa.binary(), len(starts), [None, pa.py_buffer(offsets), pa.py_buffer(self._buffer)]
        )

    def _check_gaps(self, starts: npt.NDArray[Any], ends: npt.NDArray[Any], fresh: bool) -> None:
        """Demand one comma and blanks in every gap (no comma in the first where `fresh`); blank them."""
        lengths = ends - starts
        at = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
        chars = self._scan.data.take(at)
        comma = chars == ord(",")
        commas = np.bincount(np.repeat(np.arange(len(lengths)), lengths)[comma], minlength=len(lengths))
        wanted = np.ones(len(lengths), np.int64)
        wanted[0] = not fresh
        if not (comma | SPACE[chars]).all() or (commas != wanted).any():
            raise self._unframed("the records are not parted by one comma each")
        self._scan.data[at] = ord(" ")

    def _outer(self, bracket: int, fresh: bool) -> Iterator[Frames]:
        """Frame the records of an inner array, then read the rest of the element that holds it."""
        scan = self._scan
        start = self._first(scan.depth == 3)
        assert start is not None
        place = int(scan.place[start])
        self._check_gaps(np.array([self._cursor]), np.array([place]), fresh)
        head = bytes(self._buffer[place : scan.place[bracket] + 1])
        self._move(bracket, 4)
        yield from self._elements(4)
        while (end := self._first(self._scan.depth < 3)) is None:
            if not self._fill():
                raise self._unframed("cut off inside the array: the file is not whole")
        tail = bytes(self._buffer[self._cursor : self._scan.place[end] + 1])
        self._move(end, 2)
        self.on_outer(self._read_outer(head + b"]" + tail))

    def _read_outer(self, text: bytes) -> dict[str, Any]:
        try:
            value: dict[str, Any] = strict_json(text)
        except ValueError as error:
            message = f"what stands around an array {self.inner!r} is not JSON: {error}"
            raise self.malformed(message, self.count) from None
        return self._without_array(value, self.inner or "")

    def _without_array(self, value: dict[str, Any], array: str) -> dict[str, Any]:
        """Return what stands around an array. A second one, in other letters, would be lost: the file is refused."""
        rest = {name: part for name, part in value.items() if name.casefold() != array.casefold()}
        if len(value) - len(rest) > 1:
            names = ", ".join(sorted(repr(name) for name in value if name not in rest))
            raise self.malformed(f"two keys for the array {array!r} ({names}): keep one", self.count or None)
        return rest
