"""Work on several threads, the one that asks being the first of them.

The others belong to one pool that the process keeps: a new thread has to be given a processor first, and a batch of a
few milliseconds is over by then.
"""

from __future__ import annotations

import _thread
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

    More than the machine has processors are not taken, fewer where none is free or can be started, and the function may
    itself come here. An exception is raised when all that is under way has ended, the caller's own before those of others;
    what has not begun is left.
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

    team, failed = _Team(work), None
    try:
        for _ in range(helpers):
            _pool.call(team)
        work()
    except BaseException as error:  # noqa: BLE001 - raised below
        failed = error
    over = False
    while not over:  # an interrupt does not end the wait: it is raised after it
        try:
            waiting.clear()
            team.wait()
            over = True
        except BaseException as error:  # noqa: BLE001 - raised below
            failed = error
    if failed is None and team.errors:
        failed = team.errors[0]
    if failed is not None:
        try:
            raise failed
        finally:
            del failed, team  # or its traceback would keep this frame, and that the data, until they are collected
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
        self._work: Callable[[], None] | None = work
        self._begun: list[None] = []
        self._ended: list[None] = []
        self._news: SimpleQueue[None] = SimpleQueue()

    def help(self) -> None:
        """Work with the others, unless all is over."""
        self._begun.append(None)
        try:
            if work := self._work:
                work()
        except BaseException as error:  # noqa: BLE001 - raised by who asked
            self.errors.append(error)

    def leave(self) -> None:
        """Say that a helper has ended."""
        self._ended.append(None)
        self._news.put(None)

    def wait(self) -> None:
        """Let nobody begin any more, and wait until nobody works; may be done again, if an interrupt ends it."""
        self._work = None
        while len(self._ended) < len(self._begun):  # in this order: whoever begins and ends between is seen begun
            self._news.get()


class _Pool:
    """Threads that wait for work, as many as the machine has processors, started as they are needed."""

    def __init__(self) -> None:
        self._teams: SimpleQueue[_Team] = SimpleQueue()
        self._busy: set[int] = set()
        self._started, self._starting = 0, threading.RLock()  # a signal's handler may come here, too

    def call(self, team: _Team) -> None:
        """Have a free thread help, or a new one; where all are at work, nobody: what is asked does not pile up."""
        free = self._started - len(self._busy)
        if self._teams.qsize() < free or self._start() or free:
            self._teams.put(team)

    def _start(self) -> bool:
        with self._starting:
            if self._started >= (os.cpu_count() or 1):
                return False
            try:
                _thread.start_new_thread(self._serve, ())  # Thread.start() waits for a Condition
            except RuntimeError:  # none can be started, or the interpreter is on its way out
                return False
            self._started += 1
            return True

    def _serve(self) -> None:
        me = _thread.get_ident()
        while True:
            team = self._teams.get()
            self._busy.add(me)
            team.help()
            self._busy.discard(me)  # before who asked goes on, and asks again
            team.leave()
            del team  # or it would be kept until there is another


_pool = _Pool()


def _forget() -> None:
    """Let a forked process have a pool of its own: threads do not come along."""
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
