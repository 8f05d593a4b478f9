"""The inner loops of the readers: compiled where that was built, numpy with the same answers where not.

Blocks of bytes are (n,) uint8; places and offsets are int32, so that a block is at most 2 GiB.
"""

from __future__ import annotations

import binascii
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int32]

compiled: ModuleType | None
try:
    from hashlib_interop import _text

    compiled = _text
except ImportError:
    compiled = None

_NULL, _GOOD, _BAD = 0, 1, 2
_SLICE = 1 << 18
_NOT_HEX = 0xFF
_NIBBLE = np.full(256, _NOT_HEX, np.uint8)
_NIBBLE[list(b"0123456789abcdef")] = range(16)
_NIBBLE[list(b"ABCDEF")] = range(10, 16)

_LOWER, _UPPER = b"0123456789abcdef", b"0123456789ABCDEF"

_BASE64_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = 0xFF
_SEXTETS = bytes(_BASE64_ALPHABET.index(c) if c in _BASE64_ALPHABET else _NOT_BASE64 for c in range(256))


# Places --------------------------------------------------------------------------------------------------


def places(data: Bytes, wanted: bytes) -> Places:
    """Return the offsets at which one of the `wanted` bytes stands, rising."""
    return compiled.places(data, wanted) if compiled else _places(data, wanted)


def _places(data: Bytes, wanted: bytes) -> Places:
    """Go by slices that stay in the cache."""
    found = [_in_slice(data, start, wanted) for start in range(0, len(data), _SLICE)]
    return np.concatenate(found) if found else np.zeros(0, np.int32)


def _in_slice(data: Bytes, start: int, wanted: bytes) -> Places:
    part = data[start : start + _SLICE]
    there = np.zeros(len(part), bool)
    for byte in wanted:
        there |= part == byte
    return (np.flatnonzero(there) + start).astype(np.int32)


# Fields --------------------------------------------------------------------------------------------------


def gather(data: Bytes, starts: Places, stops: Places) -> tuple[Places, Bytes]:
    """Copy `data[start:stop]` of every pair, one after another; return the offsets (n + 1) and the bytes.

    Raises `ValueError` for a field that is no part of the data, and for 2 GiB of fields.
    """
    return compiled.gather(data, starts, stops) if compiled else _gather(data, starts, stops)


def _gather(data: Bytes, starts: Places, stops: Places) -> tuple[Places, Bytes]:
    lengths = stops.astype(np.int64) - starts
    if len(lengths) and (lengths.min() < 0 or starts.min() < 0 or stops.max() > len(data)):
        raise ValueError("fields outside the data")
    if lengths.sum() >= 1 << 31:
        raise ValueError("fields of more than 2 GiB")
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    places = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
    return offsets, data[places]


# Digests -------------------------------------------------------------------------------------------------


def decode_hex(data: Bytes, offsets: Places, width: int) -> tuple[Bytes, Mask, Mask]:
    """Decode texts of exactly `2 * width` ASCII hex digits of any case.

    Text i is `data[offsets[i]:offsets[i + 1]]`. Returns the values (n, width), which rows hold one (the others
    are zero), and which rows are bad: neither a digest nor empty.
    """
    if compiled:
        return _by_state(*compiled.decode_hex(data, offsets, width))
    chars, fits, lengths = _of_length(data, offsets, 2 * width)
    return _finished(*_unhexlified(chars, width), fits, lengths)


def encode_hex(values: Bytes, upper: bool = False) -> Bytes:
    """Return bytes as ASCII hex digits, two for each."""
    if compiled:
        found: Bytes = compiled.encode_hex(values, _UPPER if upper else _LOWER)
        return found
    chars = binascii.hexlify(values.data)
    return np.frombuffer(chars.upper() if upper else chars, np.uint8)


def decode_base64(data: Bytes, offsets: Places, width: int) -> tuple[Bytes, Mask, Mask]:
    """Decode texts of canonical base64 of `width` bytes; as `decode_hex`."""
    if compiled:
        return _by_state(*compiled.decode_base64(data, offsets, width, _SEXTETS))
    chars, fits, lengths = _of_length(data, offsets, (width + 2) // 3 * 4)
    return _finished(*_unbase64(chars, width), fits, lengths)


def _by_state(values: Bytes, states: Bytes) -> tuple[Bytes, Mask, Mask]:
    return values, states == _GOOD, states == _BAD


def _of_length(data: Bytes, offsets: Places, length: int) -> tuple[Bytes, Mask, Places]:
    """Return the texts of a length as an (n, length) array, which rows they are, and all lengths."""
    lengths = np.diff(offsets)
    fits = lengths == length
    if not fits.all():
        offsets, data = _gather(data, offsets[:-1][fits], offsets[1:][fits])
    return data[offsets[0] : offsets[-1]].reshape(int(fits.sum()), length), fits, lengths


def _finished(values: Bytes, good: Mask, fits: Mask, lengths: Places) -> tuple[Bytes, Mask, Mask]:
    held = fits.copy()
    held[fits] = good
    full = np.zeros((len(fits), values.shape[1]), np.uint8)
    full[held] = values[good]
    return full, held, ~held & (lengths > 0)


def _unhexlified(chars: Bytes, width: int) -> tuple[Bytes, Mask]:
    """Decode a whole column as one text, which is fastest; where any of it is bad, row by row it is."""
    try:
        whole = np.frombuffer(binascii.unhexlify(np.ascontiguousarray(chars).data), np.uint8)
        return whole.reshape(-1, width), np.ones(len(chars), bool)
    except binascii.Error:
        nibbles = _NIBBLE[chars]
        values: Any = (nibbles[:, 0::2] << 4) | nibbles[:, 1::2]
        return values, np.asarray(nibbles.max(axis=1, initial=0) != _NOT_HEX, bool)


def _unbase64(chars: Bytes, width: int) -> tuple[Bytes, Mask]:
    length, padding = chars.shape[1], -width % 3
    sextets = np.frombuffer(chars.tobytes().translate(_SEXTETS), np.uint8).reshape(chars.shape)
    good = sextets[:, : length - padding].max(axis=1, initial=0) != _NOT_BASE64
    if padding:
        good &= (chars[:, length - padding :] == ord("=")).all(axis=1)
        spare = 0x0F if padding == 2 else 0x03
        good &= (sextets[:, length - padding - 1] & spare) == 0
        sextets = sextets.copy()
        sextets[:, length - padding :] = 0
    four = sextets.reshape(-1, length // 4, 4).astype(np.uint32)
    word = four[..., 0] << 18 | four[..., 1] << 12 | four[..., 2] << 6 | four[..., 3]
    three = np.stack([word >> 16, word >> 8, word], axis=-1).astype(np.uint8)
    return three.reshape(len(chars), length // 4 * 3)[:, :width], np.asarray(good, bool)
