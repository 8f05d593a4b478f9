"""What `sorting.py` calls. Records are (n, width) uint8; a bit is counted from the first of a record.

Sorting goes by buckets: `count` and `scatter` (to another array), or `split` (where they lie), put records in
order of some bits; `finish` sorts every bucket.
"""

from typing import Any

from hashlib_interop.kernels import Bytes
from hashlib_interop.membership.sorting_numpy import Numbers

def allow(instructions: str) -> None:
    """Take scalar code only ("scalar"), also AVX2 ("avx2"), or all that the processor has ("avx512", as at the start): for tests."""

def differing(records: Bytes) -> int:
    """Return the first bit in which two records differ, or 8 * width."""

def count(records: Bytes, bit: int, bits: int) -> Any:
    """Return how many records there are of each value of up to 11 bits: uint64."""

def scatter(records: Bytes, bit: int, bits: int, out: Bytes, starts: Any, ends: Any) -> None:
    """Move records to `out`, those of a value to starts[value] to ends[value], as many as were counted.

    `out` is aligned to 64 bytes. Several threads may each move a part of the records. `ValueError` where they
    are not those that were counted; nothing is written outside the places.
    """

def split(records: Bytes) -> tuple[Any, int]:
    """Order records where they lie by the first byte that parts them: the buckets' bounds, the bit after."""

def finish(records: Bytes, bounds: Any, bit: int) -> int:
    """Sort the buckets, whose records agree before `bit`, each once, from bounds[0] on; return how many."""

def close_up(records: Bytes, start: int, n: int, to: int) -> None:
    """Move n records down."""

def hex_lines(
    data: Bytes | bytes | memoryview, width: int, final: bool, trailing: bool, skip_bad: bool, places: bool
) -> tuple[Bytes, Numbers | None, list[Numbers], int, int, int, bool]:
    """Return what `HexLines` is made of: the digests; number, start and stop of their lines, (3, n); number
    and start of bad lines, (2, k) each; bytes, lines and empty lines taken; whether a bad line ended it."""
