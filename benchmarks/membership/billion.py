"""A billion SHA-1 digests, built within 8 GiB of memory and looked up.

    make bench-billion
    python -m benchmarks.membership.billion --keys 5000000 --folder /tmp

The keys come from a seed in batches and are never all in memory. Building and lookups are processes of their own. What
came out goes to benchmarks/results/billion.json if all keys were built. Needs 60 GB of disk, and for the lookups at
memory's speed as much memory as the file is long (20 GB); with less, they measure the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.membership import machine, report
from benchmarks.membership.ratios import rounded
from benchmarks.membership.worker import anonymous, timed

Keys = npt.NDArray[np.uint8]

KEYS, MEMORY, WIDTH, SEED, BATCH, QUERIES, ROUNDS = 1_000_000_000, "8GiB", 20, 3, 1_000_000, 10_000_000, 5
GIB = 1 << 30


def batch(number: int, count: int = BATCH) -> Keys:
    """Return a batch of keys, (count, 20), by its number; those of number -1 are no keys."""
    random = np.random.default_rng([SEED, number + 1])
    return np.frombuffer(random.bytes(count * WIDTH), np.uint8).reshape(-1, WIDTH)


def batches(keys: int) -> Iterator[Keys]:
    """Yield all keys; say on standard error how far it got."""
    began = time.monotonic()
    for start in range(0, keys, BATCH):
        if start % (50 * BATCH) == 0:
            _say(f"{start:,} keys handed over, {time.monotonic() - began:.0f} s")
        yield batch(start // BATCH, min(BATCH, keys - start))
    _say(f"{keys:,} keys handed over, {time.monotonic() - began:.0f} s; now they are joined and written")


def hits(keys: int, count: int) -> Keys:
    """Return keys from all over, in no order, (about count, 20)."""
    random = np.random.default_rng(SEED)
    numbers = random.permutation(-(-keys // BATCH))[:200]
    each = -(-count // len(numbers))
    parts = [batch(n, min(BATCH, keys - int(n) * BATCH)) for n in numbers.tolist()]
    found = np.concatenate([part[random.integers(0, len(part), each)] for part in parts])
    return np.ascontiguousarray(found[random.permutation(len(found))])


# Stages, each a process ----------------------------------------------------------------------------------


def build(path: Path, keys: int, memory: str) -> dict[str, Any]:
    """Build the set; return what it took. The peak is that of the system for the whole process."""
    from hashlib_interop import HashSet

    made, took = timed(lambda: HashSet.build(batches(keys), path, algorithm="sha1", memory=memory))
    assert len(made) == keys, f"{len(made):,} of {keys:,} keys are in the file"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    return {
        "keys": keys,
        "memory": memory,
        "build CPU seconds": round(took["cpu"], 1),
        "build wall seconds": round(took["wall"], 1),
        "build peak memory GiB": rounded(peak / GIB),
        "file bytes": path.stat().st_size,
        "bytes per key": rounded(path.stat().st_size / keys),
        "of raw digests": rounded(path.stat().st_size / keys / WIDTH),
    }


def look(path: Path, keys: int, memory: str) -> dict[str, Any]:
    """Look up misses and hits, random lines of the file beside them; return medians in nanoseconds."""
    from hashlib_interop import HashSet

    HashSet.open(path).close()
    _, opening = timed(lambda: HashSet.open(path).close())
    hash_set, filling = timed(lambda: HashSet.open(path, prefault=True))
    asked = {"miss": batch(-1, min(QUERIES, keys)), "hit": hits(keys, min(QUERIES, keys))}
    found: dict[str, list[float]] = {}
    for number in range(ROUNDS):
        _say(f"lookups, round {number}")
        for name, run, count in _runs(hash_set, path, asked):
            result, took = timed(run)
            _check(name, result, count)
            found.setdefault(name, []).append(took["wall" if "two threads" in name else "cpu"] / count * 1e9)
    medians = {f"{name} ns": rounded(statistics.median(times)) for name, times in found.items()}
    opened = {"open milliseconds": rounded(opening["wall"] * 1e3), "prefault seconds": rounded(filling["wall"])}
    return opened | medians | {"lookups anonymous memory GiB": rounded(anonymous() / GIB)}


def _runs(hash_set: Any, path: Path, asked: dict[str, Keys]) -> Iterator[tuple[str, Callable[[], Any], int]]:
    """Yield what is timed in a round: its name, what runs, how many."""
    from hashlib_interop.membership import _membership

    (group,) = hash_set.groups
    first, second = ((span.offset, span.length) for span in (group.lines, group.rest_span))
    with path.open("rb") as file:
        mapping = _membership.Mapping(file.fileno(), path.stat().st_size)
    yield "one random line", lambda: _membership.limit_lines(mapping, first, QUERIES, SEED) and None, QUERIES
    pairs = mapping, first, second, group.rest, QUERIES, SEED
    yield "a line and its record", lambda: _membership.limit_pairs(*pairs) and None, QUERIES
    for name, queries in asked.items():
        yield name, lambda queries=queries: hash_set.contains(queries), len(queries)  # type: ignore[misc]
        yield f"{name}, two threads", lambda queries=queries: hash_set.contains(queries, 2), len(queries)  # type: ignore[misc]


def _check(name: str, result: Any, count: int) -> None:
    if result is not None and int(result.sum()) != count * name.startswith("hit"):
        raise RuntimeError(f"{name}: {int(result.sum()):,} of {count:,} were found")


STAGES = {"build": build, "look": look}


# All of it -----------------------------------------------------------------------------------------------


def staged(stage: str, path: Path, keys: int, memory: str) -> dict[str, Any]:
    """Run a stage in a process of its own; say every half minute what it holds."""
    command = [sys.executable, "-m", "benchmarks.membership.billion", "--stage", stage, "--memory", memory]
    before = least = shutil.disk_usage(path.parent).free
    process = subprocess.Popen(
        [*command, "--keys", str(keys), "--folder", str(path.parent)], text=True, stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(path.parent)},
    )  # fmt: skip
    seconds = 0
    while process.poll() is None:
        time.sleep(1)
        seconds, least = seconds + 1, min(least, shutil.disk_usage(path.parent).free)
        if seconds % 30 == 0:
            _say(f"{stage}: {seconds} s, {(before - least) / 1e9:.1f} GB of disk at most so far")
    if process.returncode or process.stdout is None:
        raise SystemExit(f"{stage} ended with {process.returncode}")
    answer: dict[str, Any] = json.loads(process.stdout.read())
    return answer | ({"build peak disk GB": rounded((before - least) / 1e9)} if stage == "build" else {})


def arguments() -> argparse.Namespace:
    """Return what was asked for."""
    words = argparse.ArgumentParser("benchmarks.membership.billion", description=__doc__.splitlines()[0])
    words.add_argument("--keys", type=int, default=KEYS, help="fewer, to try it out; only all of them are recorded")
    words.add_argument("--memory", default=MEMORY, help="what building may take (8GiB)")
    words.add_argument("--folder", type=Path, help="where the files go meanwhile (60 GB)")
    words.add_argument("--record", action="store_true", help="record the result although there are fewer keys")
    words.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    return words.parse_args()


def main() -> None:
    """Build, look up, print what it took; record it if it was a billion."""
    given = arguments()
    if given.stage:
        print(json.dumps(STAGES[given.stage](given.folder / "billion.hset", given.keys, given.memory)))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder) / "billion.hset"
        what = (path, given.keys, given.memory)
        made = staged("build", *what) | staged("look", *what) | {"machine": machine.facts()}
    print(report.as_text(made))
    if given.keys >= KEYS or given.record:
        report.saved(made, "billion")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
