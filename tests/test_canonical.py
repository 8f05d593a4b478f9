"""Entry ids: by row and by column the same, and different for different content."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hashlib_interop.canonical import canonical, canonical_column, entry_id, identify
from hashlib_interop.model import ENTRY_SCHEMA, IDENTITY_FIELDS, Classification, Entry, batch_of, entries_of
from tests.strategies import FIELDS, batches, entries


@given(batch=batches())
@settings(max_examples=120, deadline=None)
def test_ids_by_column_are_ids_by_row(batch) -> None:
    """On any batch, sliced ones too."""
    rows = entries_of(batch)
    assert canonical_column(batch).to_pylist() == [canonical(entry) for entry in rows]
    assert identify(batch).to_pylist() == [entry_id(entry) for entry in rows] == [entry.id for entry in rows]


@given(first=entries(), second=entries())
@settings(max_examples=100, deadline=None)
def test_one_encoding_means_one_content(first, second) -> None:
    """Two entries have one encoding if and only if they say the same."""
    noise = {"recorded_at": None, "evidence": ()}
    same = first.model_copy(update=noise) == second.model_copy(update=noise)
    assert (canonical(first) == canonical(second)) == same


@pytest.mark.parametrize("name", [name for name in IDENTITY_FIELDS.names])
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_a_change_of_one_field_changes_the_id(name, data) -> None:
    """Any field, to any other value."""
    entry = data.draw(entries())
    value = data.draw(FIELDS[name])
    assume(value or entry.digests or name != "ref")
    other = Entry.model_validate(entry.model_dump() | {name: value})
    assert (other.id == entry.id) == (getattr(other, name) == getattr(entry, name))


@given(entry=entries(), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_the_order_of_fields_and_of_lists_is_irrelevant(entry, seed) -> None:
    """Lists are sets; repeats count once."""
    values = list(entry.model_dump().items())
    random.Random(seed).shuffle(values)
    shuffled = {k: random.Random(seed).sample([*v, *v], 2 * len(v)) if isinstance(v, tuple) else v for k, v in values}
    assert Entry.model_validate(shuffled).id == entry.id


@given(entry=entries())
@settings(max_examples=40, deadline=None)
def test_when_and_where_an_entry_was_read_is_outside_the_id(entry) -> None:
    """So a record that is met twice is one entry with two pieces of evidence."""
    again = entry.model_copy(update={"recorded_at": datetime(2030, 1, 1, tzinfo=UTC), "evidence": ()})
    assert again.id == entry.id


def test_neighbouring_texts_do_not_run_into_each_other() -> None:
    """Lengths stand before values: what is moved from one field or item to the next changes the id."""
    pairs = [("ab", "c"), ("a", "bc"), ("abc", ""), ("2:ab", "1:c"), ("", "abc")]
    ids = {Entry(source="a", ref="r", series=x, reason=y).id for x, y in pairs}
    ids |= {Entry(source="a", ref="r", tags=pair).id for pair in pairs}
    ids |= {Entry(source="a", ref="r", classifications=(Classification(scheme=x, code=y),)).id for x, y in pairs}
    assert len(ids) == 14


def test_the_encoding_is_fixed() -> None:
    """Ids are kept in files: a change of the encoding would orphan every decision that names one."""
    entry = Entry(source="a", ref="r", size=7, tags=("y", "x"), is_distributed=False, extra={"vics": {"k": 1}})
    encoding = (
        b'source=1:aref=1:rseq=1:0state=6:activesize=1:7tags=[1:x1:y]is_distributed=1:0extra=16:{"vics":{"k":1}}'
    )
    assert canonical(entry) == encoding
    assert entry.id == hashlib.sha256(encoding).digest()


def test_an_empty_batch_has_no_ids() -> None:
    """And the right type."""
    assert identify(batch_of([])).type == pa.binary(32)
    assert len(identify(pa.RecordBatch.from_pylist([], schema=ENTRY_SCHEMA))) == 0
