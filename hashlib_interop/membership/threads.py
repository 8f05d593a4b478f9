"""Work on several threads, the one that asks being the first of them.

The others belong to one pool that the process keeps: a new thread has to be given a processor first, and a batch of a
few milliseconds is over by then.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import TypeVar

Value = TypeVar("Value")
Result = TypeVar("Result")


def each(function: Callable[[Value], Result], values: Iterable[Value], threads: int = 1) -> list[Result]:
    """Return what a function returns for each value, called on up to `threads` threads at once.

    More than the machine has processors are not taken, fewer where none can be started, and the function may itself
    come here. The first exception is raised when all that is under way has ended; what has not begun is left.
    """
    given = list(values)
    helpers = min(threads, len(given)) - 1
    if helpers > 0:
        helpers = min(helpers, (os.cpu_count() or 1) - 1)  # asked only then: it reads a file
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
    """The helpers of one piece of work. One that comes when all is over does nothing.

    An interrupt can come between any two steps of whoever asks. `threading.Condition`, and what is made of it, does not
    survive that; each step here is a whole one (append, put, get), and none depends on the one after it.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self.errors: list[BaseException] = []
        self._work, self._over = work, False
        self._begun: list[None] = []
        self._ended: list[None] = []
        self._news: SimpleQueue[None] = SimpleQueue()

    def call(self) -> None:
        """Have a thread of the pool help, if there is one; it may come late, or never."""
        _pool.call(self._help)

    def _help(self) -> None:
        self._begun.append(None)
        try:
            if not self._over:
                self._work()
        except BaseException as error:  # noqa: BLE001 - raised by who asked
            self.errors.append(error)
        finally:
            self._ended.append(None)
            self._news.put(None)

    def wait(self) -> None:
        """Wait until nobody works any more; an interrupt that comes meanwhile is raised then."""
        interrupt: BaseException | None = None
        while not self._over or len(self._ended) < len(self._begun):
            try:
                self._over = True
                if len(self._ended) < len(self._begun):  # in this order: whoever begins and ends between is seen begun
                    self._news.get()
            except BaseException as error:  # noqa: BLE001 - kept, and raised below
                interrupt = error
        if interrupt is not None:
            raise interrupt


class _Pool:
    """Threads that wait for calls, as many as the machine has processors, started as they are needed."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._idle: deque[None] = deque()
        self._started, self._starting = 0, threading.Lock()

    def call(self, function: Callable[[], None]) -> None:
        """Have a function called, which must not raise: at once, or when a thread is free; where none starts, never."""
        try:
            self._idle.pop()
        except IndexError:
            self._start()
        if self._started:
            self._calls.put(function)

    def _start(self) -> None:
        with self._starting, contextlib.suppress(RuntimeError):  # none can be started, or the interpreter is ending
            if self._started < (os.cpu_count() or 1):
                _thread.start_new_thread(self._serve, ())  # Thread.start() waits for a Condition
                self._started += 1

    def _serve(self) -> None:
        while True:
            self._calls.get()()
            self._idle.append(None)


_pool = _Pool()


def _forget() -> None:
    """Let a forked process have a pool of its own: threads do not come along."""
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
