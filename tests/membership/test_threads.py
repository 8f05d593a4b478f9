"""Work on several threads: in order, whole, with its errors; nested, interrupted, without threads, after a fork."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop.membership.threads import _Pool, _Team, each


@given(st.lists(st.integers(), max_size=50), st.integers(0, 9))
def test_results_are_in_the_order_of_the_values(values: list[int], threads: int) -> None:
    """Of any number of threads."""
    assert each(lambda value: value + 1, iter(values), threads) == [value + 1 for value in values]


@pytest.fixture(autouse=True)
def processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were eight, also where there is one."""
    monkeypatch.setattr(os, "cpu_count", lambda: 8)


def test_no_more_threads_than_were_asked_for() -> None:
    """The caller is one of them."""
    meeting = threading.Barrier(2, timeout=10)

    def meet(_: int) -> int:
        meeting.wait()
        return threading.get_ident()

    found = set(each(meet, range(4), 2))
    assert len(found) == 2 and threading.get_ident() in found
    assert set(each(lambda _: threading.get_ident(), range(4), 1)) == {threading.get_ident()}


@pytest.mark.parametrize("error", [ValueError, IndexError, KeyboardInterrupt])
def test_an_error_ends_it(error: type[BaseException]) -> None:
    """Whatever it is, and on whichever thread: raised once all has ended, and what has not begun is left."""
    begun, ended = [], []

    def fail(value: int) -> None:
        begun.append(value)
        if value == 3:
            raise error("three")
        time.sleep(0.001)
        ended.append(value)

    with pytest.raises(error, match="three"):
        each(fail, range(10_000), 4)
    assert 3 in begun and len(begun) < 10_000 and sorted(ended) == sorted(set(begun) - {3})


def test_work_may_ask_for_threads_itself() -> None:
    """Though all of the pool's are busy: whoever asks works, too."""
    def inner(k: int) -> int:
        return sum(each(lambda value: value * k, range(20), 8))

    assert each(inner, range(20), 8) == [190 * k for k in range(20)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    """Those of its parent are not there."""
    each(lambda value: value, range(8), 4)
    if (child := os.fork()) == 0:
        os._exit(0 if each(lambda value: value, range(8), 4) == list(range(8)) else 1)
    assert os.waitpid(child, 0)[1] == 0


def ran(program: str, *arguments: str) -> str:
    """Run a program in a Python of its own; return what it printed. It must not crash."""
    found = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(program), *arguments],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-2000:]
    return found.stdout.strip()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no setitimer")
def test_a_set_that_is_closed_under_an_interrupted_batch_stays_until_its_threads_have_ended(tmp_path: Path) -> None:
    """Ctrl-C, twice, while threads look up; then the set is closed, and unmapped."""
    program = """
        import os, signal, sys, time
        import numpy as np
        from hashlib_interop import HashSet
        os.cpu_count = lambda: 2
        random = np.random.default_rng(1)
        keys = random.integers(0, 256, (500_000, 16), np.uint8)
        HashSet.build(keys, sys.argv[1]).close()
        asked = keys[random.integers(0, len(keys), 1_000_000)]
        left = stopped = 0
        def interrupt(*_):
            global left
            left -= 1
            if left >= 0:
                raise KeyboardInterrupt
        def once():
            with HashSet.open(sys.argv[1]) as found:
                signal.setitimer(signal.ITIMER_REAL, 0.0005 + random.random() * 0.012, 0.001)
                found.contains(asked, threads=2)
        signal.signal(signal.SIGALRM, interrupt)
        for _ in range(60):
            left = 2
            try:
                try:
                    once()
                except KeyboardInterrupt:
                    stopped += 1
                    time.sleep(0.01)
            except KeyboardInterrupt:
                pass
            left = 0
            signal.setitimer(signal.ITIMER_REAL, 0)
        print(stopped > 0)
    """
    assert ran(program, str(tmp_path / "x.hset")) == "True"


def test_an_interrupt_at_any_step_neither_hangs_nor_ends_the_pool() -> None:
    """A tracing function raises it: at the first line that the asking thread runs, at the second, and so on."""
    program = """
        import os, sys, time
        from hashlib_interop.membership.threads import each
        os.cpu_count = lambda: 3
        def at(step):
            left = step
            def trace(*_):
                nonlocal left
                left -= 1
                if not left:
                    raise KeyboardInterrupt
                return trace
            try:
                sys.settrace(trace)
                each(time.sleep, [0.0005] * 3, 3)
            except KeyboardInterrupt:
                pass
            finally:
                sys.settrace(None)
            return left <= 0
        step = 1
        while at(step):
            assert each(abs, [-1, -2, -3], 3) == [1, 2, 3]
            step += 1
        print(step)
    """
    assert int(ran(program)) > 50


def test_who_asks_does_all_the_work_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing waits to be done later."""

    def full(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    pool = _Pool()
    monkeypatch.setattr("hashlib_interop.membership.threads._pool", pool)
    monkeypatch.setattr("_thread.start_new_thread", full)
    assert each(lambda value: -value, range(5), 4) == [0, -1, -2, -3, -4]
    assert pool._teams.empty()


def test_a_helper_that_comes_late_does_nothing() -> None:
    """All was done by then."""
    done: list[int] = []
    late: list[_Team] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hashlib_interop.membership.threads._pool.call", late.append)
        assert each(lambda value: done.append(value) or -value, range(5), 4) == [0, -1, -2, -3, -4]
    assert len(late) == 3
    for team in late:
        team.help()
    assert done == [0, 1, 2, 3, 4]


def test_nothing_waits_where_all_threads_are_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what was asked meanwhile, and its keys, would be kept until they are free."""
    monkeypatch.setattr("hashlib_interop.membership.threads._pool", pool := _Pool())
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    together, go_on = threading.Barrier(5, timeout=10), threading.Event()

    def work(_: int) -> None:
        together.wait()
        go_on.wait(10)

    askers = [threading.Thread(target=each, args=(work, [1, 2], 2)) for _ in range(2)]
    for asker in askers:
        asker.start()
    together.wait()
    for _ in range(100):
        assert each(abs, [-1, -2], 2) == [1, 2]
    assert pool._teams.empty() and pool._started == len(pool._busy) == 2
    go_on.set()
    for asker in askers:
        asker.join(10)
    assert not pool._busy


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no setitimer")
def test_an_interrupt_is_raised_when_all_have_ended() -> None:
    """One in each round, about when the asking thread has done its own work."""
    program = """
        import os, random, signal, threading, time
        from hashlib_interop.membership.threads import each
        os.cpu_count = lambda: 3
        def interrupt(*_):
            raise KeyboardInterrupt
        signal.signal(signal.SIGALRM, interrupt)
        working, main, raised = set(), threading.get_ident(), 0
        together = threading.Barrier(3, timeout=30)
        def work(value):
            helps = threading.get_ident() != main
            if helps:
                working.add(value)
            together.wait()
            if helps:
                time.sleep(0.001)
                working.discard(value)
            else:
                signal.setitimer(signal.ITIMER_REAL, random.random() * 0.00005 + 1e-6)
        random.seed(1)
        for _ in range(1000):
            try:
                each(work, range(3), 3)
                while True:
                    time.sleep(0.001)
            except KeyboardInterrupt:
                raised += 1
            assert not working
        print(raised)
    """
    assert ran(program) == "1000"


def test_there_is_work_after_the_main_thread_has_ended() -> None:
    """Nothing of the pool depends on it."""
    program = """
        import os, threading, time
        from hashlib_interop.membership.threads import each
        os.cpu_count = lambda: 4
        each(abs, range(4), 4)
        def late():
            time.sleep(0.3)
            print(each(abs, [-1, -2, -3], 3))
        threading.Thread(target=late).start()
    """
    assert ran(program) == "[1, 2, 3]"
