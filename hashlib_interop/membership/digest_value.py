"""One digest, whatever it comes as."""

from __future__ import annotations

from hashlib_interop.algorithms import parse_hex
from hashlib_interop.errors import BadDigest, shown
from hashlib_interop.membership.hset_file import ALGORITHM_OF, WIDTHS


def as_bytes(digest: object) -> bytes:
    """Return the bytes of a digest given as such, as hex text (`sha1:…` too), as `Digest`; else `BadDigest`, `TypeError`."""
    if isinstance(digest, bytes) and len(digest) in ALGORITHM_OF:
        return bytes(digest)
    if isinstance(digest, tuple) and len(digest) == 2:
        value = as_bytes(digest[1])
        if WIDTHS.get(digest[0]) != len(value):
            raise BadDigest(f"{len(value)} bytes are no digest of {shown(digest[0])}")
        return value
    if isinstance(digest, str) and ":" in digest:  # as `lookup` and `why` print it
        return as_bytes(tuple(digest.rsplit(":", 1)))
    if isinstance(digest, str):
        return parse_hex(digest, known_width(len(digest) / 2))
    if not isinstance(digest, bytes | bytearray | memoryview):
        raise TypeError(f"a digest is bytes, hex text or a Digest, not {type(digest).__name__}")
    known_width(memoryview(digest).nbytes)
    return bytes(digest)


def known_width(width: float) -> int:
    """Return a width in bytes; `BadDigest` where no algorithm has it."""
    if width not in ALGORITHM_OF:
        raise BadDigest(f"no digest has {width:g} bytes; known: {', '.join(map(str, ALGORITHM_OF))}")
    return int(width)
