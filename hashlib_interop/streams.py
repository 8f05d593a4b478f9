"""A look at the start of a stream, for those that are told apart by it and cannot be read twice."""

from __future__ import annotations

import io
from typing import Any, BinaryIO, cast

HEAD = 1 << 16


class _Rewound(io.RawIOBase):
    """A stream of which the first bytes have been looked at. Closing it leaves the stream open."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head[: len(buffer)] if self._head else self._rest.read(len(buffer))
        self._head = self._head[len(data) :]
        buffer[: len(data)] = data
        return len(data)


def looked_at(stream: BinaryIO, size: int = HEAD) -> tuple[bytes, BinaryIO]:
    """Return the first `size` bytes of a stream (fewer at its end), and the stream from its start."""
    head = b""
    while len(head) < size and (more := stream.read(size - len(head))):
        head += more
    return head, cast(BinaryIO, _Rewound(head, stream))
