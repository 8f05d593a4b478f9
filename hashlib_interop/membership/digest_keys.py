"""Digests as arrays, whatever they come as: numpy, Arrow, bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hashlib_interop.columns import mask_of
from hashlib_interop.errors import BadDigest
from hashlib_interop.kernels import Mask
from hashlib_interop.membership.digest_value import as_bytes, known_width
from hashlib_interop.membership.hset_file import ALGORITHM_OF

Keys = npt.NDArray[np.uint8]
"""Digests of one width, (n, width), C-contiguous."""


def keys_of(digests: Any, width: int | None = None) -> tuple[Keys, Mask | None]:
    """Return digests as (n, width) uint8, and which rows hold one where some are null.

    Takes an (n, width) array of uint8, an Arrow array or chunked array of fixed-size binary, or of binary with all
    values of one length, a list of digests of one length as `in` takes them (bytes, hex text, `Digest`), and any buffer of n * `width` bytes. Raises `BadDigest` for lengths that differ or that no algorithm has, `TypeError` for anything else.
    """
    if isinstance(digests, pa.Array | pa.ChunkedArray):
        return _of_arrow(digests, width)
    if isinstance(digests, np.ndarray) and digests.ndim == 2 and digests.dtype == np.uint8:
        keys = digests
    elif isinstance(digests, list | tuple):
        keys = _of_values(digests, width)
    else:
        keys = _of_buffer(digests, width)
    known_width(keys.shape[1])
    if width not in (None, keys.shape[1]):
        raise BadDigest(f"digests of {keys.shape[1]} bytes, expected {width}")
    return np.ascontiguousarray(keys), None


def _of_buffer(digests: Any, width: int | None) -> Keys:
    if width is None:
        raise TypeError(
            "digests are an (n, width) array of uint8, Arrow, a list of them, or bytes with their width"
        )
    data = np.frombuffer(digests, np.uint8)
    if len(data) % known_width(width):
        raise BadDigest(f"{len(data)} bytes are no whole number of digests of {width}")
    return data.reshape(-1, width)


def _of_values(values: Iterable[Any], width: int | None) -> Keys:
    values = list(values)
    if not all(isinstance(value, bytes | bytearray | memoryview) for value in values):
        values = [as_bytes(value) for value in values]
    lengths = {len(value) if type(value) is bytes else memoryview(value).nbytes for value in values} or {width or min(ALGORITHM_OF)}
    if len(lengths) > 1:
        raise BadDigest(
            f"digests of one width are wanted, found {', '.join(map(str, sorted(lengths)))} bytes"
        )
    return np.frombuffer(b"".join(values), np.uint8).reshape(-1, known_width(lengths.pop()))


def _of_arrow(column: Any, width: int | None) -> tuple[Keys, Mask | None]:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if not pa.types.is_fixed_size_binary(column.type):
        column = _fixed(column, width)
    size = known_width(column.type.byte_width)
    if width not in (None, size):
        raise BadDigest(f"digests of {size} bytes, expected {width}")
    data = column.buffers()[1]
    if data is None or not len(column):
        return np.zeros((len(column), size), np.uint8), None
    keys = np.frombuffer(data, np.uint8)[column.offset * size :][: len(column) * size].reshape(-1, size)
    return keys, mask_of(column.is_valid()) if column.null_count else None


def _fixed(column: pa.Array, width: int | None) -> pa.Array:
    """Return a column of binary values of one length as fixed-size binary."""
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        raise TypeError(f"digests are fixed-size binary, not {column.type}")
    lengths = {len(value) for value in column.to_pylist() if value is not None} or {width or 0}
    if len(lengths) > 1:
        raise BadDigest(
            f"digests of one width are wanted, found {', '.join(map(str, sorted(lengths)))} bytes"
        )
    return column.cast(pa.binary(known_width(lengths.pop())))
