"""Every case, broken: cut at a byte, one byte changed. Rejects, another value or an error of ours; soon, and nothing else.

Places are drawn by a seed; the profile `thorough` (`make nightly`) takes every byte.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from hashlib_interop.errors import InteropError
from hashlib_interop.reading import open_readers
from tests.casework import Case, cases

FEW = 25
SECONDS = 1.0
"""Of CPU time for one file, at most: a hang, not a benchmark."""

BROKEN = [(case, path) for case in cases() for path in case.inputs if path.is_file()]


def drawn(case: Case, length: int) -> list[int]:
    """Return places of a file."""
    if settings().max_examples > 100 or length <= FEW:
        return list(range(length))
    return sorted(random.Random(case.folder.name).sample(range(length), FEW))


def cut_or_changed(case: Case, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what became of a file, and how."""
    dice = random.Random(f"{case.format} {case.folder.name}")
    for place in drawn(case, len(data)):
        yield f"cut at {place}", data[:place]
        flip = dice.choice([0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF])
        yield f"byte {place} with {flip:#x}", data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :]


@pytest.mark.parametrize(("case", "path"), BROKEN, ids=[f"{c.format}/{c.folder.name}/{p.name}" for c, p in BROKEN])
def test_a_broken_case_is_survived(case: Case, path: Path, tmp_path: Path) -> None:
    """What is yielded is whole, what is said can be printed."""
    survived(case, path)
    place = tmp_path / path.name
    for how, data in cut_or_changed(case, path.read_bytes()):
        place.write_bytes(data)
        began = time.process_time()
        survived(case, place)
        assert time.process_time() - began < SECONDS, how


def survived(case: Case, path: Path) -> None:
    """Read a file to its end, or to an error of ours."""
    try:
        for reader in open_readers(path, **case.settings):
            for batch in reader.batches():
                batch.validate(full=True)
            assert all(str(reject).isprintable() for reject in reader.rejects)
    except InteropError as error:
        assert str(error).isprintable()
