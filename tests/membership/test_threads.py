"""Work on several threads: in order, whole, with its errors; nested, and after a fork."""

from __future__ import annotations

import os
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop.membership.threads import each


@given(st.lists(st.integers(), max_size=50), st.integers(0, 9))
def test_results_are_in_the_order_of_the_values(values: list[int], threads: int) -> None:
    """Of any number of threads."""
    assert each(lambda value: value + 1, iter(values), threads) == [value + 1 for value in values]


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
