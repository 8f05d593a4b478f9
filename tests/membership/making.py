"""Made-up digests, sets of them in memory, and both readers. Every digest comes from a seed."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hashlib_interop.membership import hset_lines, hset_numpy, hset_write
from hashlib_interop.membership.hset_build import Settings, build_into
from hashlib_interop.membership.hset_file import ALGORITHM_OF, HEADER, Header, read_header
from hashlib_interop.membership.hset_payload import Batch

Keys = npt.NDArray[np.uint8]
compiled: ModuleType | None = hset_write.compiled

CORES = [
    pytest.param(hset_numpy, id="numpy"),
    pytest.param(compiled, id="compiled", marks=pytest.mark.skipif(compiled is None, reason="not built")),
]
BUILDERS = [
    pytest.param(hset_lines, id="numpy"),
    pytest.param(compiled, id="compiled", marks=pytest.mark.skipif(compiled is None, reason="not built")),
]


def made(seed: object, n: int, width: int = 16) -> Keys:
    """Return `n` digests from a seed, (n, width), in no order."""
    data = hashlib.shake_128(f"synthetic {seed}".encode()).digest(n * width)
    return np.frombuffer(data, np.uint8).reshape(n, width)


def rows(keys: Keys) -> list[bytes]:
    """Return digests as bytes."""
    return [row.tobytes() for row in keys]


def array(values: Iterable[bytes], width: int = 16) -> Keys:
    """Return bytes as digests."""
    return np.frombuffer(b"".join(values), np.uint8).reshape(-1, width)


def batch(keys: Keys, **carried: Any) -> Batch:
    """Return digests as a batch of the algorithm of their width."""
    return Batch(ALGORITHM_OF[keys.shape[1]], np.ascontiguousarray(keys), **carried)


def written(*batches: Batch, **settings: Any) -> bytes:
    """Return the bytes of the file of batches."""
    with tempfile.TemporaryFile(buffering=0) as out:
        build_into(out, batches, Settings(**settings))
        out.seek(0)
        return out.read()


def header_of(data: bytes) -> Header:
    """Return the header of the bytes of a file."""
    return read_header(data[:HEADER], len(data))


def table(core: Any, data: bytes) -> Any:
    """Return the bytes of a file as a core looks them up."""
    return core.Table(data, header_of(data).groups)


def flipped(keys: Keys) -> Keys:
    """Return every single-bit change of every digest, (n * width * 8, width)."""
    bits = np.unpackbits(keys, axis=1)
    wrong = bits[:, None, :] ^ np.eye(bits.shape[1], dtype=np.uint8)
    return np.packbits(wrong.reshape(-1, bits.shape[1]), axis=1)


def crowded(count: int, width: int = 16, first: int = 0) -> Keys:
    """Return digests that share their first 12 bits, so that all have one home line; 8 in turn have one fingerprint."""
    head = np.repeat(made(f"heads {first}", -(-count // 8), 8), 8, axis=0)[:count].copy()
    head[:, 0], head[:, 1] = first, first & 0xF0 | head[:, 1] & 0x0F
    return np.concatenate([head, made(f"crowded {first}", count, width - 8)], axis=1)


def together(count: int, width: int = 16) -> Keys:
    """Return digests that share their first 8 bytes: one home line and one fingerprint."""
    return np.concatenate([np.full((count, 8), 7, np.uint8), made("together", count, width - 8)], axis=1)
