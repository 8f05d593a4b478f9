"""TMK+PDQF: the size that the header promises is the size of the file, checked before anything is read for it."""

from __future__ import annotations

import hashlib
import io
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop.errors import InteropError, MalformedInput
from hashlib_interop.format import Reading
from hashlib_interop.formats import FORMATS
from hashlib_interop.formats.tmk import FORMAT, LIMIT, MAGIC
from hashlib_interop.reading import open_readers, read
from hashlib_interop.writing import write

ROOT = Path(__file__).parents[2]
SMALL = ROOT / "tests" / "cases" / "tmk" / "small" / "input.tmk"


@pytest.fixture
def path(tmp_path) -> Path:
    """Return a place for a file."""
    return tmp_path / "a.tmk"


def usual() -> bytes:
    """Return a file with the parameters that are in use."""
    sys.path.insert(0, str(ROOT / "tests" / "cases"))
    try:
        from _perceptual import tmk
    finally:
        sys.path.pop(0)
    return tmk()


def test_a_file_of_the_usual_size_is_one_entry_with_the_whole_file(path, tmp_path) -> None:
    """263,344 bytes; they go through native unharmed."""
    path.write_bytes(usual())
    assert path.stat().st_size == 263_344
    (one,) = open_readers(path)
    (entry,) = one
    (fingerprint,) = entry.fingerprints
    assert (fingerprint.kind, fingerprint.value, entry.media) == ("tmk-pdqf", usual(), "video")
    assert entry.ref == "tmk-pdqf:" + hashlib.sha256(usual()).hexdigest()
    assert one.imports[0].facts == {
        "coefficients": "32", "dimension": "256", "frames": "3", "frames per second": "15", "periods": "4",
    }  # fmt: skip
    for name in ("native", "parquet"):
        assert not write([entry], tmp_path / "out", format=name).losses
        assert [e.id for e in read(tmp_path / "out", format=name)] == [entry.id]


@pytest.mark.parametrize(("options", "ref"), [({"ref": "v1"}, "v1"), ({"ref": "file-name"}, "a.tmk")])
def test_the_user_may_name_it(options, ref, path) -> None:
    """The record id of the file, or the file's name."""
    path.write_bytes(SMALL.read_bytes())
    assert [e.ref for e in read(path, options=options)] == [ref]


def test_the_header_alone_is_refused_with_both_sizes(path) -> None:
    """The 32 bytes of the case."""
    path.write_bytes(usual()[:32])
    with pytest.raises(MalformedInput, match="cut off: 32 bytes, the header says 263,344"):
        list(read(path))


def test_a_byte_more_is_refused_with_both_sizes(path) -> None:
    """Nothing may stand behind the features."""
    path.write_bytes(usual() + b"\0")
    with pytest.raises(MalformedInput, match="more after the end: 263,345 bytes, the header says 263,344"):
        list(read(path))


class _Watched(io.BytesIO):
    """A stream that notes how much it was asked for."""

    most = 0

    def read(self, size: int | None = -1) -> bytes:
        self.most = max(self.most, -1 if size is None else size)
        return super().read(size)


@given(numbers=st.lists(st.integers(-(2**31), 2**31 - 1) | st.integers(-1, 70), min_size=5, max_size=5))
def test_nothing_is_allocated_for_a_header_that_promises_too_much(numbers) -> None:
    """Whatever the five numbers are: refused, and never asked for more than the limit."""
    stream = _Watched(MAGIC + struct.pack("<5i", *numbers))
    with pytest.raises(MalformedInput):
        list(FORMAT.read(stream, Reading("x", "tmk")))
    assert 0 <= stream.most <= LIMIT


@pytest.mark.parametrize("numbers", [(15, 0, 32, 256, 3), (15, 4, -32, 256, 3), (-1, 4, 32, 256, 3), (15, 4, 32, 256, -1)])
def test_impossible_numbers_are_refused(numbers, path) -> None:
    """Periods, coefficients and dimension are at least one; nothing is negative."""
    path.write_bytes(MAGIC + struct.pack("<5i", *numbers))
    with pytest.raises(MalformedInput, match="impossible"):
        list(read(path))


def test_it_is_cut_or_flipped_at_every_byte_without_another_error(path) -> None:
    """Every cut is refused; a flipped byte is another value or refused."""
    data = SMALL.read_bytes()
    for place in range(len(data)):
        path.write_bytes(data[:place])
        with pytest.raises(InteropError):
            list(read(path, format="tmk"))
        path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        try:
            assert len(list(read(path, format="tmk"))) == 1
        except InteropError as error:
            assert str(error).isprintable()


def test_only_it_claims_its_magic() -> None:
    """And it is not written."""
    assert [name for name in FORMATS if FORMATS[name].sniff(SMALL.read_bytes())] == ["tmk"]
    assert FORMAT.write is None
