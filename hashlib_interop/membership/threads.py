"""Work on several threads, the one that asks being the first of them.

The others belong to one pool that the process keeps: a new thread has to be given a processor first, and a batch of a
few milliseconds is over by then.
"""

from __future__ import annotations

import contextlib
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

    More than the machine has processors are not taken, fewer where none can be started, and the function may itself
    come here. The first exception is raised when all that is under way has ended; what has not begun is left.
    """
    given = list(values)
    helpers = min(threads, len(given), os.cpu_count() or 1) - 1
    if helpers < 1:
        return [function(value) for value in given]
    waiting, found = deque(enumerate(given)), dict[int, Result]()

    def work() -> None:
        try:
            while (task := _next(waiting)) is not None:
                found[task[0]] = function(task[1])
        except BaseException:
            waiting.clear()
            raise

    team = _Team(work)
    try:
        for _ in range(helpers):
            team.call()
        work()
    finally:
        waiting.clear()
        team.wait()
    if team.errors:
        raise team.errors[0]
    return [found[place] for place in range(len(given))]


def _next(waiting: deque[Value]) -> Value | None:
    try:
        return waiting.popleft()
    except IndexError:
        return None


class _Team:
    """The helpers of one piece of work. One that comes when all is over does nothing."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.errors: list[BaseException] = []
        self._work, self._changed = work, threading.Condition()
        self._working, self._over = 0, False

    def call(self) -> None:
        """Have a thread of the pool help, if there is one; it may come late, or never."""
        with contextlib.suppress(RuntimeError):  # none can be started, or the interpreter is on its way out
            _helpers().submit(self._help)

    def _help(self) -> None:
        with self._changed:
            if self._over:
                return
            self._working += 1
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - raised by who asked
            self.errors.append(error)
        finally:
            with self._changed:
                self._working -= 1
                self._changed.notify_all()

    def wait(self) -> None:
        """Wait until nobody works any more; an interrupt that comes meanwhile is raised then."""
        interrupt: BaseException | None = None
        while not self._over or self._working:
            try:
                with self._changed:
                    self._over = True
                    self._changed.wait_for(lambda: not self._working)
            except BaseException as error:  # noqa: BLE001 - kept, and raised below
                interrupt = error
        if interrupt is not None:
            raise interrupt


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
