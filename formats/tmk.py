"""TMK+PDQF of one video, `.tmk`: facebook/ThreatExchange, tmk/cpp (tmkfv.cpp, io/tmkiotypes.h). Read only.

Source: docs/tmk.md. Binary, little-endian: `TMK1` `FVEC` `PDQF`, five int32 (frames per second,
periods P, Fourier coefficients m, dimension d, frames), then int32[P], float32[m], float32[d] and twice
float32[P][m][d]. So a file has 32 + 4P + 4m + 4d + 8Pmd bytes to the byte: 263,344 at the only parameters that
are in use. The file is one entry, and the fingerprint is the whole file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from hashlib_interop.format import Columns, Format, Reading, whole
from hashlib_interop.formats._one_video import REF, one_video

NAME = "tmk"
KIND = "tmk-pdqf"
MAGIC = b"TMK1FVECPDQF"
HEADER = 32
LIMIT = 4 << 20
"""Bytes of a file: 16 times the usual, and in hex half of what a line of `native` can hold."""


class _Shape(NamedTuple):
    """The five numbers of the header."""

    frames_per_second: int
    periods: int
    coefficients: int
    dimension: int
    frames: int

    @property
    def size(self) -> int:
        """Bytes that the file must have."""
        p, m, d = self.periods, self.coefficients, self.dimension
        return HEADER + 4 * (p + m + d) + 8 * p * m * d


# Reader --------------------------------------------------------------------------------------------------


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield the one entry of a file. Raises `MalformedInput` where its size is not what the header says."""
    header = stream.read(HEADER)
    shape = _shape(header, reading)
    body = stream.read(shape.size - HEADER)
    found = HEADER + len(body) + sum(map(len, iter(lambda: stream.read(1 << 20), b"")))
    if found != shape.size:
        what = "the file is cut off" if found < shape.size else "there is more after the end"
        raise reading.malformed(f"{what}: {found:,} bytes, the header says {shape.size:,}")
    for name, value in shape._asdict().items():
        reading.fact(name.replace("_", " "), value)
    yield one_video(KIND, header + body, reading)


def _shape(header: bytes, reading: Reading) -> _Shape:
    """Return what a header says; the size it promises is checked before anything is read for it."""
    if not header.startswith(MAGIC[: len(header)]):
        raise reading.malformed(f"no TMK+PDQF file: it does not begin with {MAGIC.decode()}")
    if len(header) < HEADER:
        raise reading.malformed(f"the file is cut off: {len(header)} bytes, the header alone has {HEADER}")
    shape = _Shape(*struct.unpack("<5i", header[len(MAGIC) :]))
    sizes = shape[1:4]
    if min(sizes) < 1 or min(shape) < 0:
        raise reading.malformed(f"the header holds impossible numbers: {', '.join(map(str, shape))}")
    if max(sizes) > LIMIT or shape.size > LIMIT:
        raise reading.malformed(f"the header promises {shape.size:,} bytes, over {LIMIT:,}: no fingerprint in use")
    return shape


# Sniff ---------------------------------------------------------------------------------------------------


def sniff(head: bytes) -> int:
    """Claim what begins with the three words."""
    return 100 if head.startswith(MAGIC) else 0


FORMAT = Format(
    name=NAME,
    title="TMK+PDQF of one video",
    spec="facebook/ThreatExchange, tmk/cpp (tmkfv.cpp, tmkiotypes.h)",
    sniff=sniff,
    read=read,
    carries={name: whole(name) for name in ("ref", "state", "fingerprints", "media")},
    needs_digest=False,
    delivery="delta",
    suffixes=(".tmk",),
    options=(REF,),
)
