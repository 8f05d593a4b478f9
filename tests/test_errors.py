"""Errors: one class, one exit code, one line that is safe to show."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop import errors
from hashlib_interop.errors import ERRORS, BadDigest, BadOption, InteropError, shown
from hashlib_interop.report import Reject
from tests.strategies import texts

TABLE = Path(__file__).parents[1] / "docs" / "exit-codes.md"


def test_every_error_is_listed() -> None:
    """A class that is not in `ERRORS` would have no line in the docs."""
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, InteropError)]
    assert set(classes) - {InteropError} == set(ERRORS)


def test_exit_codes_are_unique_and_start_at_three() -> None:
    """0 is done, 1 done with losses under `--strict`, 2 wrong usage (a bad option). A bad digest is bad input."""
    codes = {kind: kind.exit_code for kind in ERRORS if kind not in (BadDigest, BadOption)}
    assert sorted(codes.values()) == list(range(3, 3 + len(codes)))
    assert BadOption.exit_code == 2
    assert BadDigest.exit_code == errors.MalformedInput.exit_code


def test_exit_codes_are_documented() -> None:
    """`docs/exit-codes.md` has the codes and classes as they are."""
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", TABLE.read_text(), re.MULTILINE)
    assert sorted((int(code), name) for code, name in rows) == sorted((k.exit_code, k.__name__) for k in ERRORS)


@given(value=st.one_of(texts(max_size=100), st.binary(max_size=100), st.integers(), st.none()), limit=st.integers(3, 99))
def test_shown_is_printable_ascii_and_short(value, limit) -> None:
    """No control character, no escape sequence, no bidi mark reaches a terminal or a log."""
    text = shown(value, limit)
    assert text.isascii() and text.isprintable()
    assert len(text) <= limit * 10


@given(message=texts(), file=texts(), position=texts())
def test_a_message_is_one_safe_line(message, file, position) -> None:
    """File names are hostile too, and so is what other libraries say of a file."""
    assert str(InteropError(message, file=file, position=position)).isprintable()


@given(file=texts(), value=texts(), position=st.integers(1, 9))
def test_a_reject_is_one_safe_line(file, value, position) -> None:
    """File, position, field, reason, value."""
    text = str(Reject(file=file, position=position, unit="line", reason="is bad", field="md5", value=shown(value)))
    assert text.isprintable() and f"line {position}: md5 is bad: " in text


@pytest.mark.parametrize("kind", [InteropError, *ERRORS])
def test_errors_survive_pickling(kind) -> None:
    """As they must to come back from a worker process."""
    error = pickle.loads(pickle.dumps(kind("is bad", file="list", position="line 3")))
    assert type(error) is kind and str(error) == "list: line 3: is bad"
    assert (error.message, error.file, error.position) == ("is bad", "list", "line 3")
    assert str(pickle.loads(pickle.dumps(kind("is bad")))) == "is bad"
