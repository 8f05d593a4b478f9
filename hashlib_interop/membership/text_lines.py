"""Lines of text as arrays: whole lines block by block, and the places of some of them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hashlib_interop import kernels
from hashlib_interop.format import Reading
from hashlib_interop.kernels import Bytes

BLOCK = 4 << 20
"""What is read at once: enough that what is made for each block does not count, and little enough for the cache."""
LINE_LIMIT = 1 << 20
"""Bytes of a line without its end."""
CR = ord("\r")
_OVERLONG = f"a line of more than {LINE_LIMIT:,} bytes: no list of digests"
Numbers = npt.NDArray[np.int64]


def whole_lines(stream: BinaryIO, reading: Reading) -> Iterator[Bytes]:
    """Yield blocks of whole lines, (n,) uint8. A block is good until the next one is asked for.

    What comes slowly (a pipe) is handed on as it comes. Line ends are LF or CRLF; in a file without any LF, CR. Raises
    `MalformedInput` for a line over 1 MiB.
    """
    buffer, held = bytearray(BLOCK + LINE_LIMIT + 1), 0
    returns: bool | None = None
    while True:
        with memoryview(buffer) as view:
            size = _read_into(stream, view[held : held + BLOCK])
        stop = held + size
        fresh = held
        if returns is None:
            fresh, returns = 0, _ends_in_returns(buffer, stop, size == 0)
        if returns:
            buffer[fresh:stop] = buffer[fresh:stop].replace(b"\r", b"\n")
        whole = buffer.rfind(b"\n", 0, stop) + 1 if size else stop
        good = _fitting(buffer, whole)
        if good:
            yield np.frombuffer(buffer, np.uint8, good)
        if good < whole:
            raise reading.malformed(_OVERLONG)
        if not size:
            return
        held = stop - whole
        if held - (buffer[stop - 1] == CR) > LINE_LIMIT:
            raise reading.malformed(_OVERLONG)
        buffer[:held] = buffer[whole:stop]


def _fitting(buffer: bytearray, whole: int) -> int:
    """Return where the first line that is too long begins, or `whole`; looks for the last end within reach, not for all."""
    start = 0
    while whole - start > LINE_LIMIT + 1:
        end = buffer.rfind(b"\n", start, min(start + LINE_LIMIT + 2, whole))
        fits = end >= start and (end - start <= LINE_LIMIT or buffer[end - 1] == CR or buffer.find(b"\n", start, end) >= 0)
        if not fits:
            return start
        start = end + 1
    fits = whole - start <= LINE_LIMIT or buffer[whole - 1] == CR or buffer.find(b"\n", start, whole) >= 0
    return whole if fits else start


def _ends_in_returns(buffer: bytearray, stop: int, whole: bool) -> bool | None:
    """Tell whether the lines of a text end in CR; None where its start does not show it yet (LF may follow a last CR)."""
    if buffer.find(b"\n", 0, stop) >= 0:
        return False
    first = buffer.find(b"\r", 0, stop)
    return first >= 0 if whole or 0 <= first < stop - 1 else None


def _read_into(stream: BinaryIO, view: memoryview) -> int:
    read = getattr(stream, "readinto1", None) or cast(io.BufferedReader, stream).readinto
    return read(view) or 0


def all_lines(data: Bytes) -> pa.BinaryArray:
    """Return the lines of a block, without their ends."""
    ends = kernels.places(data, b"\n")
    if len(data) and data[-1] != ord("\n"):
        ends = np.append(ends, np.int32(len(data)))
    starts = np.concatenate([np.zeros(1, np.int32), ends[:-1] + np.int32(1)])[: len(ends)]
    return gathered(data, starts, ends - ((ends > starts) & (data[ends - 1] == ord("\r"))).astype(np.int32))


def lines_at(data: Bytes, starts: Numbers) -> list[bytes]:
    """Return the lines that begin at some places of a block, without their ends (LF, CRLF or CR)."""
    ends = np.append(kernels.places(data, b"\r\n"), np.int32(len(data)))
    stops = ends[np.searchsorted(ends, starts)].tolist()
    return [data[start:stop].tobytes() for start, stop in zip(starts.tolist(), stops, strict=True)]


def gathered(data: Bytes, starts: npt.NDArray[np.integer], stops: npt.NDArray[np.integer]) -> pa.BinaryArray:
    """Copy the texts between starts and stops of a block into a column."""
    offsets, texts = kernels.gather(data, starts.astype(np.int32), stops.astype(np.int32))
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(starts), [None, pa.py_buffer(offsets), pa.py_buffer(texts)]
    )
