"""Every pair of formats: there and back is the identity on what both carry, and the reported losses are the rest."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashlib_interop.carrying import Losses, project
from hashlib_interop.converting import Converted, convert
from hashlib_interop.formats import FORMATS
from hashlib_interop.handling import ALL
from hashlib_interop.model import IDENTITY_FIELDS, Classification, Entry, Fingerprint, batch_of
from tests.format_options import OPTIONS
from tests.strategies import batches
from tests.test_carrying import is_derived
from tests.test_conformance import BOTH, RECORDED_AT, Row, compared, read_rows, witness, write_to, writing_of

PAIRS = list(itertools.permutations(BOTH, 2))
EXAMPLES = max(2, settings().max_examples // 20)
DICE = random.Random("pairs")
FRAME = f"0,100,{DICE.randbytes(32).hex()},0.000\n".encode()
BASE = Entry(
    source="a",
    recorded_at=RECORDED_AT,
    md5=DICE.randbytes(16),
    sha1=DICE.randbytes(20),
    sha256=DICE.randbytes(32),
    fingerprints=(Fingerprint(kind="pdq", value=DICE.randbytes(32)), Fingerprint(kind="vpdq", value=FRAME)),
    media="video",
    size=7,
    contributor="C",
    asserted_at=RECORDED_AT,
    file_names=("a.mp4",),
    series="S",
    tags=("t",),
    is_distributed=True,
    classifications=tuple(
        Classification(scheme=scheme, code=code)
        for scheme, code in (("vics/US", "1"), ("vics/UK", "2"), ("ncmec/industry", "A1"), ("interpol/baseline", "Yes"))
    ),
)
"""An entry that every format can hold something of."""

TOGETHER = [{name} for name in IDENTITY_FIELDS.names if name not in ("source", "about", "vote", "reason")]
TOGETHER += [{"about", "vote", "reason"}]


@st.composite
def rows(draw: st.DrawFn, here: str) -> pa.RecordBatch:
    """Draw the entry above, some of its fields replaced by any others, in a batch."""
    other = draw(batches(min_size=1, max_size=1, source="a", recorded_at=RECORDED_AT)).to_pylist()[0]
    chosen = set().union(*(TOGETHER[k] for k in draw(st.sets(st.integers(0, len(TOGETHER) - 1), max_size=5))))
    row = {name: other[name] if name in chosen else value for name, value in BASE.to_row().items()}
    return batch_of([Entry.model_validate(row | witness(here))])


@pytest.mark.parametrize("name", BOTH)
def test_every_format_holds_something_of_the_base(name: str, tmp_path: Path) -> None:
    """Else the pairs would compare nothing with nothing."""
    write_to(tmp_path / "file", name, [batch_of([Entry.model_validate(BASE.to_row() | witness(name))])])
    assert len(read_rows(tmp_path / "file", name)) == 1


def converted(path: Path, here: str, there: str, output: Path) -> Converted:
    """Convert a file of one format into one of another."""
    options = {f"{side}.{name}": str(value) for side, format in (("from", here), ("to", there)) for name, value in OPTIONS.get(format, {}).items()}
    given = {"format": here, "source": "a", "options": options, "recorded_at": RECORDED_AT, "drop_handling": {ALL}, "known_files": True}
    return convert([path], output, to=there, **given)


def rows_for(path: Path, here: str, there: str) -> list[Row]:
    """Return the rows that a conversion reads: of a catalog, items for a format that keeps no entries."""
    if here == "catalog" and not FORMATS[there].keeps_entries:
        return read_rows(path, here, rows="items")
    return read_rows(path, here)


def projected(rows: list[Row], name: str) -> tuple[list[Row], list[Any]]:
    """Return what a format carries of some rows, and the losses."""
    losses = Losses()
    batch = batch_of([Entry.model_validate(row) for row in rows])
    return project(batch, FORMATS[name], writing_of(name), losses).to_pylist(), list(losses)


@pytest.mark.parametrize(("here", "there"), PAIRS, ids=lambda name: name)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_there_and_back(here: str, there: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the other format carries comes back, what it does not is reported, field by field."""
    folder = tmp_path_factory.mktemp("pair")
    write_to(folder / "here", here, [data.draw(rows(here))])
    first = rows_for(folder / "here", here, there)
    resolved = there == "catalog" and not FORMATS[here].keeps_entries  # what is read back are decisions, not entries
    done = converted(folder / "here", here, there, folder / "there")
    kept, losses = projected(first, there)
    second = read_rows(folder / "there", there)
    assert compared(second, FORMATS[there]) == compared(kept, FORMATS[there])
    assert done.losses == losses
    if first and not second:
        assert [(loss.field, loss.count) for loss in losses] == [("record", len(first))]
    elif len(first) == 1:
        assert {loss.field for loss in losses} == differing(first[0], second[0])
    converted(folder / "there", there, here, folder / "back")
    third = read_rows(folder / "back", here)
    back, _ = projected(rows_for(folder / "there", there, here), here)
    assert compared(third, FORMATS[here]) == compared(back, FORMATS[here])
    if not losses and here != "catalog" and not resolved:
        assert compared(third, FORMATS[here]) == compared(first, FORMATS[here])


def differing(before: Row, after: Row) -> set[str]:
    """Return the fields that a conversion changed; a ref that is only the strongest digest is none."""
    fields = {name for name in IDENTITY_FIELDS.names if before[name] != after[name]}
    return fields - {"ref"} if is_derived(before) else fields
