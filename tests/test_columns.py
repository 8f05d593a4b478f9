"""Columns: what is fast must equal what is simple, on any texts, sliced or not."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashlib_interop.algorithms import parse_base64, parse_hex
from hashlib_interop.canonical import entry_id, identify
from hashlib_interop.columns import (
    classified,
    columns_of_rows,
    complete,
    constant,
    decode_base64,
    decode_hex,
    encode_hex,
    evidence_column,
    fingerprinted,
    fixed_binary,
    keep_items,
    list_of,
    mask_of,
    one_each,
    rows_without,
    sorted_lists,
    strongest_refs,
)
from hashlib_interop.errors import BadDigest
from hashlib_interop.model import DIGESTS, ENTRY_SCHEMA, batch_of, entries_of
from tests.strategies import batches, mixed_lists, texts

WIDTHS = st.sampled_from([1, 2, 3, 16, 20, 32, 33])


@st.composite
def sliced(draw: st.DrawFn, items: st.SearchStrategy[Any], kind: pa.DataType) -> pa.Array:
    """Return any array of items or nulls, with an offset half of the time."""
    whole = pa.array(draw(st.lists(st.one_of(st.none(), items), max_size=8)), kind)
    start = draw(st.integers(0, len(whole))) if draw(st.booleans()) else 0
    return whole.slice(start, draw(st.integers(0, len(whole) - start)) if start else None)


@st.composite
def digest_texts(draw: st.DrawFn, spell: Callable[[bytes], str]) -> tuple[pa.Array, int]:
    """Return a column of spelled values of one width, the spoiled ones and other texts among them."""
    width = draw(WIDTHS)
    right = st.binary(min_size=width, max_size=width).map(spell)
    spoiled = st.builds(
        lambda text, at, char: text[: at % len(text)] + char + text[at % len(text) + 1 :],
        right, st.integers(0, 99), st.sampled_from("gG=-_/+ \n\0é\uff11Zz19aF"),
    )  # fmt: skip
    return draw(sliced(st.one_of(right, right.map(str.upper), spoiled, texts()), pa.string())), width


def by_row(column: pa.Array, parse: Callable[[str, int], bytes], width: int) -> tuple[list[bytes | None], list[bool]]:
    """Decode a column with the function for one text."""
    values, bad = [], []
    for text in column.to_pylist():
        try:
            values.append(parse(text, width) if text else None)
            bad.append(False)
        except BadDigest:
            values.append(None)
            bad.append(True)
    return values, bad


@given(given=digest_texts(bytes.hex))
@settings(max_examples=200, deadline=None)
def test_hex_by_column_is_hex_by_row(given) -> None:
    """Values, nulls and bad rows."""
    column, width = given
    decoded, bad = decode_hex(column, width)
    assert decoded.type == pa.binary(width)
    assert (decoded.to_pylist(), bad.tolist()) == by_row(column, parse_hex, width)


@given(given=digest_texts(lambda value: base64.b64encode(value).decode()))
@settings(max_examples=200, deadline=None)
def test_base64_by_column_is_base64_by_row(given) -> None:
    """Values, nulls and bad rows."""
    column, width = given
    decoded, bad = decode_base64(column, width)
    assert decoded.type == pa.binary(width)
    assert (decoded.to_pylist(), bad.tolist()) == by_row(column, parse_base64, width)


@given(column=sliced(st.binary(min_size=5, max_size=5), pa.binary(5)), upper=st.booleans())
@settings(deadline=None)
def test_encoded_hex_is_decoded_again(column, upper) -> None:
    """Nulls stay null."""
    texts_ = encode_hex(column, upper)
    spelled = [None if v is None else v.hex().upper() if upper else v.hex() for v in column.to_pylist()]
    assert texts_.to_pylist() == spelled
    assert decode_hex(texts_, 5)[0].to_pylist() == column.to_pylist()


def test_columns_of_nothing() -> None:
    """No rows, only nulls, only empty texts."""
    for column in (pa.array([], pa.string()), pa.nulls(3, pa.string()), pa.array(["", ""])):
        for decode in (decode_hex, decode_base64):
            values, bad = decode(column, 16)
            assert values.null_count == len(column) == len(values) and not bad.any()
        assert len(encode_hex(decode_hex(column, 16)[0])) == len(column)


LISTS = sliced(st.lists(st.integers(0, 5), max_size=4), pa.list_(pa.int64()))


@given(lists=LISTS, data=st.data())
@settings(deadline=None)
def test_kept_items_are_those_of_the_mask(lists, data) -> None:
    """Rows of no items become null."""
    flat = len(lists.flatten())
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=flat, max_size=flat)), bool)
    flags = iter(keep.tolist())
    wanted = [[item for item in row or [] if next(flags)] or None for row in lists.to_pylist()]
    assert keep_items(lists, keep).to_pylist() == wanted


@given(rows=st.lists(st.lists(st.integers(), max_size=3), max_size=6))
def test_lists_of_lengths(rows) -> None:
    """Items in order; a row of none is null."""
    items = pa.array([item for row in rows for item in row if -(2**63) <= item < 2**63], pa.int64())
    rows = [[item for item in row if -(2**63) <= item < 2**63] for row in rows]
    lengths = np.array([len(row) for row in rows], np.int64)
    assert list_of(items, lengths).to_pylist() == [row or None for row in rows]


@given(column=sliced(st.text(max_size=3), pa.string()))
def test_one_item_each(column) -> None:
    """Null where null; the same for codes of one scheme."""
    rows = column.to_pylist()
    assert one_each(column).to_pylist() == [None if v is None else [v] for v in rows]
    pairs = [None if v is None else [{"scheme": "vics/US", "code": v}] for v in rows]
    assert classified("vics/US", column).to_pylist() == pairs


@given(lists=LISTS, keep_empty=st.booleans())
@settings(max_examples=200, deadline=None)
def test_sorted_lists_are_sets(lists, keep_empty) -> None:
    """Sorted, no repeats; empty ones null unless they are kept."""
    found = sorted_lists(lists, lambda item: item, keep_empty)
    wanted = [None if row is None else sorted(set(row)) for row in lists.to_pylist()]
    assert found.to_pylist() == [row if row or keep_empty else None for row in wanted]
    assert found.type == lists.type


@given(data=st.data(), count=st.integers(0, 5))
@settings(deadline=None)
def test_fingerprints_of_several_columns(data, count) -> None:
    """The kinds in sorted order a row, `_` read as `-`."""
    values = st.lists(st.one_of(st.none(), st.binary(max_size=3)), min_size=count, max_size=count)
    tmk, pdq = data.draw(values), data.draw(values)
    found = fingerprinted(tmk_pdqf=pa.array(tmk, pa.binary()), pdq=pa.array(pdq, pa.binary()))
    wanted = [[("pdq", p)] * (p is not None) + [("tmk-pdqf", t)] * (t is not None) for t, p in zip(tmk, pdq, strict=True)]
    assert found.to_pylist() == [[{"kind": k, "value": v} for k, v in row] or None for row in wanted]


@given(batch=batches())
@settings(max_examples=60, deadline=None)
def test_the_strongest_digest_is_the_ref(batch) -> None:
    """As the row view says it."""
    columns = {name: batch.column(name) for name in DIGESTS}
    wanted = [entry.strongest and str(entry.strongest) for entry in entries_of(batch)]
    assert strongest_refs(columns, batch.num_rows).to_pylist() == wanted


def test_masks_and_rows() -> None:
    """Null is false; bad rows go from every column."""
    assert mask_of(pa.array([True, None, False])).tolist() == [True, False, False]
    columns = {"a": pa.array([1, 2, 3]), "b": pa.array(["x", "y", "z"])}
    kept = rows_without(columns, np.array([False, True, False]))
    assert {name: column.to_pylist() for name, column in kept.items()} == {"a": [1, 3], "b": ["x", "z"]}
    assert rows_without(columns, np.zeros(3, bool)) is columns
    assert constant("x", pa.string(), 2).to_pylist() == ["x", "x"]


def test_fixed_binary_with_holes() -> None:
    """Null where not valid."""
    values = np.arange(6, dtype=np.uint8).reshape(3, 2)
    assert fixed_binary(values).to_pylist() == [b"\0\1", b"\2\3", b"\4\5"]
    assert fixed_binary(values, np.array([True, False, True])).to_pylist() == [b"\0\1", None, b"\4\5"]


def test_evidence_of_a_file() -> None:
    """The file, its release, the position of each row."""
    file, release = hashlib.sha256(b"synthetic-1").digest(), datetime(2025, 3, 1, tzinfo=UTC)
    column = evidence_column(file, release, pa.array([1, 5]))
    assert column.to_pylist() == [[{"file": file, "release": release, "position": p}] for p in (1, 5)]
    assert evidence_column(file, None, pa.array([], pa.int64())).to_pylist() == []


@given(rows=mixed_lists(), data=st.data())
@settings(max_examples=80, deadline=None)
def test_what_the_door_completes_is_what_the_model_says(rows, data) -> None:
    """Shuffled lists, empty texts and empty lists come out as entries have them: the same ids either way."""
    raw = batch_of(rows).to_pylist()
    for row in raw:
        for name in ("fingerprints", "classifications", "file_names", "tags"):
            row[name] = data.draw(st.permutations((row[name] or []) * 2))
        for name in ("contributor", "series", "reason", "mime_type"):
            row[name] = row[name] or ""
        for name, members in (("about", ("considered",)), ("handling", ("codes", "caveats"))):
            for member in members if row[name] else ():
                row[name][member] = data.draw(st.permutations((row[name][member] or []) * 2))
    batch = complete(columns_of_rows([row | {"position": 1} for row in raw]), {}) if raw else batch_of([])
    assert batch.schema == ENTRY_SCHEMA
    assert batch.to_pylist() == batch_of(rows).to_pylist()
    assert identify(batch).to_pylist() == [entry_id(entry) for entry in rows]


def test_the_door_fills_what_a_reader_has_not() -> None:
    """Defaults where a field is absent or null, the strongest digest for a ref that is absent or empty."""
    md5 = hashlib.md5(b"synthetic-1").digest()
    columns = {
        "md5": pa.array([md5] * 3, pa.binary(16)),
        "ref": pa.array([None, "", "r"]),
        "source": pa.array(["b2", None, None], pa.string()),
        "seq": pa.array([5, None, None], pa.int64()),
    }
    rows = complete(columns, {"source": "a"}).to_pylist()
    assert [row["ref"] for row in rows] == [f"md5:{md5.hex()}", f"md5:{md5.hex()}", "r"]
    assert [(row["source"], row["seq"], row["state"]) for row in rows] == [("b2", 5, "active"), *[("a", 0, "active")] * 2]


def test_a_chunked_column_is_taken() -> None:
    """As engines give them."""
    columns = {"ref": pa.array(["r", "s"]), "series": pa.chunked_array([["x"], [""]])}
    batch = complete(columns, {"source": "a"})
    assert batch.column("series").to_pylist() == ["x", None]


@pytest.mark.parametrize("rows", [[], [{"position": 1}]])
def test_columns_of_few_rows(rows) -> None:
    """No rows, no columns."""
    assert {name: column.to_pylist() for name, column in columns_of_rows(rows).items()} == (
        {"position": [1]} if rows else {}
    )
