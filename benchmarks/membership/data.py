"""Made-up MD5 digests, the same in every process: files of numpy's random bytes from a seed.

Keys of the smaller sizes are the first of the larger ones. A query that is to hit is a random key; one that is to miss
comes from another stream, and is none (of 100 million random 128-bit numbers, none is ever met again).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]

WIDTH = 16
SEED = 20_260_101
_CHUNK = 1 << 20


def make_keys(folder: Path, n: int) -> None:
    """Write `n` keys, 16 bytes each, in no order."""
    random = np.random.default_rng(SEED)
    with (folder / "keys").open("wb") as out:
        for start in range(0, n, _CHUNK):
            out.write(random.bytes(min(_CHUNK, n - start) * WIDTH))


def keys(folder: Path, n: int) -> Keys:
    """Return the first `n` keys, (n, 16)."""
    return np.fromfile(folder / "keys", np.uint8, n * WIDTH).reshape(-1, WIDTH)


def make_queries(folder: Path, n: int, rate: int, count: int) -> None:
    """Write `count` queries of which `rate` percent are among the first `n` keys, mixed, and which of them are."""
    random = np.random.default_rng([SEED, n, rate])
    hit = random.integers(0, 100, count) < rate
    found = np.memmap(folder / "keys", np.uint8, "r", shape=(n, WIDTH))
    queries = np.frombuffer(random.bytes(count * WIDTH), np.uint8).reshape(-1, WIDTH).copy()
    queries[hit] = found[random.integers(0, n, int(hit.sum()))]
    own(folder, n).mkdir(exist_ok=True)
    queries.tofile(own(folder, n) / f"queries-{rate}")
    hit.tofile(own(folder, n) / f"hits-{rate}")


def queries(folder: Path, n: int, rate: int, count: int) -> Keys:
    """Return the first `count` queries, (count, 16)."""
    return np.fromfile(own(folder, n) / f"queries-{rate}", np.uint8, count * WIDTH).reshape(-1, WIDTH)


def hits(folder: Path, n: int, rate: int, count: int) -> int:
    """Return how many of the first `count` queries are keys."""
    return int(np.fromfile(own(folder, n) / f"hits-{rate}", np.bool_, count).sum())


def own(folder: Path, n: int) -> Path:
    """Return the folder of all files of a size, but for the keys."""
    return folder / str(n)


def with_repeats(folder: Path, n: int) -> Keys:
    """Return `n` keys of which the last hundredth is the first hundredth again."""
    found, again = keys(folder, n), n // 100
    found[n - again :] = found[:again]
    return found


def make_lines(folder: Path, n: int, count: int, rate: int = 10) -> None:
    """Write `count` lines of hex of which `rate` percent are among the first `n` keys."""
    make_queries(folder, n, rate, count)
    lines(folder, n).write_text(hex_lines(queries(folder, n, rate, count)))


def lines(folder: Path, n: int) -> Path:
    """Return where these lines are."""
    return own(folder, n) / "lines"


def read(path: Path) -> None:
    """Read a file for nothing, so that the machine has it in its memory, and the machine's host, too."""
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 20):
            pass


def hex_lines(digests: Keys, ending: str = "") -> str:
    """Return digests as lines of hex, each with an ending of the same text."""
    text = digests.tobytes().hex("\n", WIDTH)
    return (text.replace("\n", f"{ending}\n") if ending else text) + f"{ending}\n" * bool(len(digests))


def values(digests: Keys) -> list[bytes]:
    """Return digests as bytes objects that nothing has hashed yet."""
    data = digests.tobytes()
    return [data[at : at + WIDTH] for at in range(0, len(data), WIDTH)]


def words(digests: Keys) -> tuple[Words, Words]:
    """Return the two halves of digests as numbers, in the byte order of the machine."""
    both = digests.view(np.uint64)
    return np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1])
