"""The process of a contender: builds, then answers one line of JSON with another.

    python -m benchmarks.membership.worker MODULE:CLASS FOLDER N THREADS

CPU time is that of all threads, user and system, and of the programs it started.
"""

from __future__ import annotations

import importlib
import json
import mmap
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.membership.contender import Ask, Contender

ROOM = 64
"""Bytes of memory for one key that a sort is sure to take."""


def cpu() -> float:
    """Return the CPU seconds of this process and of those it waited for."""
    started = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + started.ru_utime + started.ru_stime


def anonymous() -> int:
    """Return the bytes of memory that no file stands for; 0 where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:"))


def timed(run: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Run once; return the result and the CPU and wall seconds."""
    used, began = cpu(), time.perf_counter()
    result = run()
    wall = time.perf_counter() - began
    return result, {"cpu": cpu() - used, "wall": wall}


def warmed(size: int) -> None:
    """Touch memory and give it back, so that what follows gets pages that the machine has already.

    On a virtual machine the first touch of a page that its host took back costs three times a sort of what is in it; it
    would come over whoever is asked after an idle moment.
    """
    with mmap.mmap(-1, max(size, 1), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as room:
        if hasattr(mmap, "MADV_HUGEPAGE"):
            room.madvise(mmap.MADV_HUGEPAGE)
        for at in range(0, size, mmap.PAGESIZE):
            room[at] = 1


def answers(contender: Contender, lines: Any, say: Callable[[dict[str, Any]], None]) -> None:
    """Build, and answer what is asked until there is no more."""
    before = anonymous()
    _, took = timed(contender.build)
    say({**took, "memory": anonymous() - before, "stored": contender.stored(), "exact": contender.exact})
    for line in lines:
        ask = Ask(**json.loads(line))
        run = contender.ready(ask)
        warmed(ROOM * ask.count if ask.what == "sort" else 0)
        result, took = timed(run)
        found = contender.count(result)
        del result, run
        say({**took, "found": found})


def main(place: str, folder: str, n: str, threads: str) -> None:
    """Keep standard output for answers; whatever a library prints goes to standard error."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=out, flush=True)

    module, _, name = place.partition(":")
    made = getattr(importlib.import_module(f"benchmarks.membership.contenders.{module}"), name)
    answers(made(Path(folder), int(n), int(threads)), sys.stdin, say)


if __name__ == "__main__":
    main(*sys.argv[1:])
