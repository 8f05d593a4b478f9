"""The compiled core of membership: a mapped file, lookups in it, and the lines of a new one.

`docs/hset-format.md` is the layout, `docs/membership.md` the reasons. `hset_numpy.Table` answers alike without a
compiler, and is the oracle of the tests. Not for free-threaded Python without the GIL: `close` relies on it.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from hashlib_interop.membership.hset_file import Group

Digests: TypeAlias = npt.NDArray[np.uint8]

def allow(instructions: str) -> None:
    """Take scalar code only ("scalar"), also AVX2 ("avx2"), or all that the processor has ("avx512", as at the start),
    in tables made from now on: for tests."""

class Mapping:
    """A whole file in memory, read-only, through the buffer protocol: `memoryview(mapping)`, `np.frombuffer`.

    At a 2 MiB-aligned address, with huge pages asked for before the first touch; a refusal is harmless. The file
    may be replaced (`os.replace`) or removed meanwhile; one that is cut short in place is a SIGBUS, as with every
    mapping. `fileno` may be closed afterwards. With `prefault`, all pages are read before this returns. Raises
    `MalformedInput` where the file has not `length` bytes, `FileFault` where the system refuses.
    """

    length: int
    def __init__(self, fileno: int, length: int, prefault: bool = False) -> None: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def close(self) -> None:
        """Unmap, now or when the last buffer taken of it is released; no other can be taken from now on."""

class Table:
    """The groups of a `.hset`, as lookups see them.

    `buffer` holds the file (a `Mapping` or bytes-like, kept alive and unchanged until `close`); every span of a
    group is checked against it before a pointer is kept (`MalformedInput`). No bytes of LINES, REST, KEYS or RADIX
    can make a lookup crash or run long; a digest that leads to damage is absent.
    """

    groups: tuple[Group, ...]
    closed: bool
    def __init__(self, buffer: Any, groups: Sequence[Group]) -> None: ...
    def __contains__(self, digest: object) -> bool:
        """Whether a digest is in its group: bytes, hex text of exactly 2 * width ASCII digits, or `Digest`.

        False for a width that the file has no group for. `BadDigest` for bytes or text that are no digest of any
        algorithm, or not of the one that a `Digest` names; `TypeError` for other types, `ValueError` after `close`.
        """

    def find(self, digest: object) -> int:
        """Return the rank of one digest, or -1; as `in`."""

    def expected(self, digest: bytes) -> int:
        """Return the rank around which `in` sends for the rest of a digest, modulo 2^64: for tests. Layout 1 only."""

    def contains(self, digests: Any, threads: int = 1, width: int | None = None) -> npt.NDArray[np.bool_]:
        """Return which of many digests are there; rows that are null (Arrow) are not.

        `digests`: (n, width) uint8 C-contiguous (no copy; else one is made), an Arrow fixed-size binary array or
        chunked array (sliced too, no copy), a list (of bytes, hex text, `Digest`), or any buffer of n * width bytes with `width` given.
        Without the GIL, on `threads` threads. `BadDigest` for a width of no algorithm.
        """

    def rank(self, digests: Any, threads: int = 1, width: int | None = None) -> npt.NDArray[np.int64]:
        """Return the places of many digests in their group, in byte order, -1 for those not there."""

    def digests(self, width: int, start: int, stop: int) -> Digests:
        """Return the digests of ranks `start` to `stop` of the group of this width, in order: (stop - start, width).

        `IndexError` outside the group, `MalformedInput` where the lines are damaged, `KeyError` without a group.
        """

    def close(self) -> None:
        """Let go of the buffer, once the last batch that is looking up has ended. Lookups raise from now on."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

class LinesBuilder:
    """The lines of one group (layout 1), from its sorted, unique digests, handed over in slices.

    LINES are kept in memory (64 / 18 bytes a digest), REST is given back slice by slice. `home_lines` and `rest`
    are those of `hset_file.geometry` for the number of digests that will come. The bytes do not depend on the slices.
    """

    count: int
    longest: int
    """Lines of the longest chain so far; over 8, and the group must be written in layout 0: `add` does no more."""

    def __init__(self, width: int, home_lines: int, rest: int) -> None: ...
    def add(self, digests: Digests) -> Digests:
        """Take the next digests, (m, width), and return what REST holds of them, (m, rest).

        `ValueError` where they do not rise, within the slice or from the one before it.
        """

    def lines(self) -> Digests:
        """End the building and return all lines, (NB + NO, 64); they belong to the caller."""

def limit_lines(
    buffer: Any,
    part: tuple[int, int],
    count: int,
    seed: int,
    queries: npt.NDArray[np.uint8] | None = None,
    design: bool = False,
) -> int:
    """Read `count` random 64-byte lines of a part (offset, length) of a buffer, as fast as memory allows at best.

    With `queries`, (at least `count`, 16), the lines are those of random digests, which are read, too: no batch of
    lookups can do with less. With `design`, as the design measured the limit, which is slower. Returns a sum, so that
    the reads are made. Without the GIL. `ValueError` where the part is not in the buffer, or the queries are not these.
    """

def limit_pairs(
    buffer: Any,
    part: tuple[int, int],
    records: tuple[int, int],
    stride: int,
    count: int,
    seed: int,
    design: bool = False,
) -> int:
    """Read `count` random lines, and with each a record of `stride` bytes, 8 to 64, which is found in the line.

    `records` is the part they lie in. A record that lies across the end of a line of memory takes two.
    """
