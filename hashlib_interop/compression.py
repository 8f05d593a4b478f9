"""Compressed data: known by its first bytes, read through to its very end or refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, cast

import zstandard

CHUNK = 1 << 16
PIECE = 256
"""Bytes given to zstandard at once, which cannot cap its output: four bytes may become 128 KiB."""

_MAGIC: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"\x1f\x8b\x08"), "gzip"),
    (re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"), "bzip2"),
    (re.compile(rb"\xfd7zXZ\x00"), "xz"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "zstd"),
    (re.compile(rb"PK(\x03\x04|\x05\x06)"), "zip"),
)
BROKEN = (
    OSError, EOFError, ValueError, RuntimeError, struct.error,
    lzma.LZMAError, zlib.error, zipfile.BadZipFile, zstandard.ZstdError,
)  # fmt: skip
"""What the standard decompressors raise on bad data; NotImplementedError and UnicodeError are among them."""


def compression_of(head: bytes) -> str | None:
    """Return the kind of compression that data beginning with `head` (16 bytes do) has, None for none."""
    return next((kind for magic, kind in _MAGIC if magic.match(head)), None)


def decompressor(kind: str, raw: BinaryIO) -> BinaryIO:
    """Return the decompressed bytes of `raw` as a stream; reading raises one of `BROKEN` for bad or cut data.

    `kind` as `compression_of` gives it, except zip.
    """
    if kind == "gzip":
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    make = {"bzip2": bz2.BZ2Decompressor, "xz": lzma.LZMADecompressor, "zstd": _ZstdFrame}[kind]
    return cast(BinaryIO, io.BufferedReader(_Frames(raw, make), CHUNK))


class _ZstdFrame:
    """One zstd frame, in the manner of `bz2.BZ2Decompressor`; the output of one call is bounded by `PIECE`."""

    def __init__(self) -> None:
        self._frame, self._given, self._at = zstandard.ZstdDecompressor().decompressobj(), b"", 0

    @property
    def eof(self) -> bool:
        return bool(self._frame.eof)

    @property
    def needs_input(self) -> bool:
        return self._at >= len(self._given)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._frame.unused_data) + self._given[self._at :]

    def decompress(self, data: bytes, most: int) -> bytes:
        if data:
            self._given, self._at = data, 0
        piece = self._given[self._at : self._at + PIECE]
        self._at += PIECE
        return bytes(self._frame.decompress(piece))


class _Frames(io.RawIOBase):
    """Decompressed bytes of frames one after another, every one of them whole.

    The standard library's files stop in silence at a broken second frame, and zstandard's at a cut one.
    """

    def __init__(self, raw: BinaryIO, make: Callable[[], Any]) -> None:
        self._raw, self._make, self._frame, self._rest = raw, make, make(), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = self._next(len(buffer))
        data, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)

    def _next(self, most: int) -> bytes:
        """Return some decompressed bytes; none at the end of the last frame."""
        data = b""
        while not data:
            if self._frame.eof:
                fresh = self._frame.unused_data or self._raw.read(CHUNK)
                if not fresh:
                    return b""
                self._frame = self._make()
            else:
                fresh = self._raw.read(CHUNK) if self._frame.needs_input else b""
                if not fresh and self._frame.needs_input:
                    raise EOFError("the end is missing")
            data = self._frame.decompress(fresh, most)
        return data
