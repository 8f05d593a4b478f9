"""Work on several threads, the one that asks being the first of them.

The others belong to one pool that the process keeps: a new thread has to be given a processor first, and a batch of a
few milliseconds is over by then.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Value = TypeVar("Value")
Result = TypeVar("Result")

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


def each(function: Callable[[Value], Result], values: Iterable[Value], threads: int = 1) -> list[Result]:
    """Return what a function returns for each value, called on up to `threads` threads at once.

    More than the machine has processors are not taken, and the function may itself come here. The first exception is
    raised when all that is under way has ended; what has not begun by then is left.
    """
    given = list(values)
    if threads <= 1 or len(given) <= 1:
        return [function(value) for value in given]
    waiting, found = deque(enumerate(given)), dict[int, Result]()

    def work() -> None:
        while True:
            try:
                place, value = waiting.popleft()
            except IndexError:
                return
            try:
                found[place] = function(value)
            except BaseException:
                waiting.clear()
                raise

    helpers = [_helpers().submit(work) for _ in range(min(threads, len(given)) - 1)]
    try:
        work()
    finally:
        errors = [helper.exception() for helper in helpers if not helper.cancel()]
    for error in filter(None, errors):
        raise error
    return [found[place] for place in range(len(given))]


def _helpers() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="hashlib_interop")
        return _pool


def _forget() -> None:
    """Let a forked process make a pool of its own: threads do not come along."""
    global _lock, _pool
    _lock, _pool = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
