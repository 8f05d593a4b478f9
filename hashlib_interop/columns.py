"""Columns at the speed of memory: strict decoding of digest texts, list columns, rows completed.

Everything here works on whole Arrow columns. Where a value is bad, the answer is a mask of rows, never
an exception: the caller rejects these rows with their position.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop import kernels
from hashlib_interop.algorithms import ALGORITHMS
from hashlib_interop.kernels import Bytes, Mask, Places
from hashlib_interop.model import CLASSIFICATION, ENTRY_SCHEMA, EVIDENCE, FINGERPRINT, HANDLING, STAMP

_STRING = pa.string()


def mask_of(array: pa.Array) -> Mask:
    """Return a boolean Arrow array as a numpy mask, null as false."""
    filled = array.fill_null(False) if array.null_count else array
    return np.asarray(filled.to_numpy(zero_copy_only=False), bool)


def lengths_of(texts: pa.StringArray) -> npt.NDArray[np.int32]:
    """Return the length of each text in bytes, -1 for null."""
    if not len(texts):
        return np.zeros(0, np.int32)
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    lengths = np.diff(offsets)
    if texts.null_count:
        lengths[mask_of(texts.is_null())] = -1
    return lengths


def fixed_binary(values: Bytes, valid: Mask | None = None) -> pa.FixedSizeBinaryArray:
    """Return an (n, width) array of bytes as a fixed-size binary column, null where not `valid`."""
    count, width = values.shape
    bitmap = None
    if valid is not None and not valid.all():
        bitmap = pa.py_buffer(np.packbits(valid, bitorder="little").tobytes())
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), count, [bitmap, data])


def decode_hex(texts: pa.StringArray, width: int) -> tuple[pa.FixedSizeBinaryArray, Mask]:
    """Decode a column of hex digests; return it and the mask of bad rows.

    `width` in bytes. Null and empty text give null and are not bad. Exactly `2 * width` ASCII hex digits
    are accepted, in any case; nothing is stripped.
    """
    values, held, bad = kernels.decode_hex(*_text_buffers(texts), width)
    return fixed_binary(values, held), bad


def decode_base64(texts: pa.StringArray, width: int) -> tuple[pa.FixedSizeBinaryArray, Mask]:
    """Decode a column of canonical base64 of a fixed `width` in bytes; as `decode_hex`."""
    values, held, bad = kernels.decode_base64(*_text_buffers(texts), width)
    return fixed_binary(values, held), bad


def _text_buffers(texts: pa.StringArray) -> tuple[Bytes, Places]:
    """Return the bytes of a column, and the offsets of its texts in them; null is empty."""
    if texts.null_count:
        texts = texts.fill_null("")
    _, offsets, data = texts.buffers()
    if not len(texts):
        return np.zeros(0, np.uint8), np.zeros(1, np.int32)
    return np.frombuffer(data or b"", np.uint8), np.frombuffer(offsets, np.int32)[texts.offset :][: len(texts) + 1]


def gathered(data: Bytes, starts: Places, stops: Places) -> pa.StringArray:
    """Copy the texts between starts and stops of a block, known to be UTF-8, into a column."""
    offsets, texts = kernels.gather(data, starts, stops)
    return pa.StringArray.from_buffers(len(starts), pa.py_buffer(offsets), pa.py_buffer(texts))


def encode_hex(values: pa.FixedSizeBinaryArray, upper: bool = False) -> pa.StringArray:
    """Return a digest column as hex text, null where null."""
    width = values.type.byte_width
    data = np.frombuffer(values.buffers()[1], np.uint8)[values.offset * width :][: len(values) * width]
    texts = _texts_of(kernels.encode_hex(data, upper), 2 * width, len(values))
    return texts if not values.null_count else pc.if_else(values.is_valid(), texts, pa.scalar(None, pa.string()))


def same(value: str | None, count: int, kind: pa.DataType = _STRING) -> pa.Array:
    """Return a column of one value, a slice of one that is kept: for few values, in many columns of about one size."""
    return _kept(value, kind, 1 << count.bit_length()).slice(0, count)


@functools.lru_cache(32)
def _kept(value: str | None, kind: pa.DataType, size: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, kind), size)


def _texts_of(chars: Bytes, length: int, count: int) -> pa.StringArray:
    """Return texts that all have one length in bytes as a column."""
    offsets = np.arange(count + 1, dtype=np.int32)
    offsets *= length
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(chars))


def list_of(items: pa.Array, lengths: npt.NDArray[Any]) -> pa.ListArray:
    """Return items as a list column by the length of each row; a row of no items is null."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    empty = np.asarray(lengths == 0, bool)
    return pa.ListArray.from_arrays(pa.array(offsets), items, mask=pa.array(empty))


def one_each(items: pa.Array) -> pa.ListArray:
    """Return a column as a list column of one item a row, null where null."""
    return list_of(items.drop_null(), mask_of(items.is_valid()).astype(np.int32))


def keep_items(lists: pa.ListArray, keep: Mask) -> pa.ListArray:
    """Return a list column with only the flattened items where `keep` is true; emptied rows are null."""
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
    ends = np.cumsum(lengths)
    kept = np.concatenate([[0], np.cumsum(keep)])
    left = kept[ends] - kept[ends - lengths]
    return list_of(lists.flatten().filter(pa.array(keep)), left)


def classified(scheme: str, codes: pa.StringArray) -> pa.ListArray:
    """Return codes of one scheme as a `classifications` column, null where a code is null."""
    present = codes.drop_null()
    pairs = pa.StructArray.from_arrays(
        [pa.array([scheme]).take(pa.array(np.zeros(len(present), np.int64))), present],
        fields=list(CLASSIFICATION),
    )
    return list_of(pairs, mask_of(codes.is_valid()).astype(np.int32))


def fingerprinted(**kinds: pa.Array) -> pa.ListArray:
    """Return binary columns, one a kind, as a `fingerprints` column; the kinds in sorted order a row.

    `_` in a keyword stands for `-` in the kind.
    """
    names = sorted(kinds, key=lambda k: k.replace("_", "-"))
    count = len(kinds[names[0]])
    valid = np.stack([mask_of(kinds[name].is_valid()) for name in names], axis=1)
    stacked = pa.concat_arrays([_as_binary(kinds[name]) for name in names])
    order = np.arange(count)[:, None] + np.arange(len(names))[None, :] * count
    one_full = len(names) == 1 and valid.all()
    values = stacked if one_full else stacked.take(pa.array(order[valid]))
    labels = pa.array([name.replace("_", "-") for name in names])
    kind_of = np.broadcast_to(np.arange(len(names)), valid.shape)[valid]
    pairs = pa.StructArray.from_arrays([labels.take(pa.array(kind_of)), values], fields=list(FINGERPRINT))
    return list_of(pairs, valid.sum(axis=1))


def _as_binary(values: pa.Array) -> pa.BinaryArray:
    """Return a binary column of any kind as variable binary; one of fixed size without nulls is not copied."""
    if not pa.types.is_fixed_size_binary(values.type) or values.null_count:
        return values.cast(pa.binary())
    width = values.type.byte_width
    offsets = (np.arange(len(values) + 1, dtype=np.int32) + np.int32(values.offset)) * np.int32(width)
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(values), [None, pa.py_buffer(offsets), values.buffers()[1]]
    )


def sorted_lists(lists: pa.ListArray, key: Callable[[Any], Any], keep_empty: bool = False) -> pa.ListArray:
    """Return a list column with every list a set: sorted, no repeats; empty lists null unless kept.

    Lists of one item and lists that are sets already cost next to nothing.
    """
    lengths = pc.list_value_length(lists).fill_null(-1).to_numpy(zero_copy_only=False)
    if not keep_empty and (lengths == 0).any():
        lists = list_of(lists.flatten(), lengths.clip(0))
    rows = np.flatnonzero(lengths > 1)
    if len(rows):
        rows = _unordered(lists)
    before = lists.take(pa.array(rows)).to_pylist() if len(rows) else []
    after = [_as_set(items, key) for items in before]
    if before == after:
        return lists
    places = np.arange(len(lists))
    places[rows] = len(lists) + np.arange(len(rows))
    return pa.concat_arrays([lists, pa.array(after, lists.type)]).take(pa.array(places))


def _unordered(lists: pa.ListArray) -> npt.NDArray[Any]:
    """Return the rows whose items are not in strictly rising order; every row where that is not cheap to see."""
    items, rows = lists.flatten(), pc.list_parent_indices(lists).to_numpy()
    before, after = items.slice(0, max(len(items) - 1, 0)), items.slice(1)
    if pa.types.is_struct(items.type) and items.type.num_fields == 2:
        (a, b), (c, d) = before.flatten(), after.flatten()
        rises = pc.or_(pc.less(a, c), pc.and_(pc.equal(a, c), pc.less(b, d)))
    elif pa.types.is_string(items.type):
        rises = pc.less(before, after)
    else:
        return np.unique(rows)
    falls = (rows[1:] == rows[:-1]) & ~mask_of(rises)
    return np.unique(rows[1:][falls])


def _as_set(items: list[Any], key: Callable[[Any], Any]) -> list[Any]:
    seen = {key(item): item for item in items}
    return [seen[k] for k in sorted(seen)]


def _itself(item: Any) -> Any:
    return item


def _sorted_members(column: pa.StructArray) -> pa.StructArray:
    """Return a struct column with the lists in it made sets and empty texts null; `audience` may be empty."""
    members = []
    for field, member in zip(column.type, column.flatten(), strict=True):
        if pa.types.is_list(field.type):
            member = sorted_lists(member, _itself, keep_empty=field.name == "audience")
        elif pa.types.is_string(field.type) and column.type == HANDLING:
            member = _without_empty(member)
        members.append(member)
    return pa.StructArray.from_arrays(members, fields=list(column.type), mask=column.is_null())


def _without_empty(texts: pa.StringArray) -> pa.StringArray:
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


_SORT_KEYS: dict[str, Callable[[Any], Any]] = {
    "fingerprints": lambda item: (item["kind"], item["value"]),
    "classifications": lambda item: (item["scheme"], item["code"]),
    "file_names": _itself,
    "tags": _itself,
    "evidence": lambda item: (item["file"], str(item["release"]), item["position"] or 0),
}


def strongest_refs(columns: dict[str, pa.Array], count: int) -> pa.StringArray:
    """Return `algorithm:hex` of the strongest digest of each row, null where a row has none."""
    refs = pa.nulls(count, pa.string())
    for name in ALGORITHMS:
        column = columns.get(name)
        if column is None or column.null_count == count:
            continue
        texts = pc.binary_join_element_wise(pa.scalar(name), encode_hex(column), pa.scalar(":"))
        refs = pc.coalesce(refs, texts)
    return refs


def evidence_column(file: bytes, release: Any, positions: pa.Array) -> pa.ListArray:
    """Return the evidence of rows read from one file of one release."""
    count = len(positions)
    files = np.broadcast_to(np.frombuffer(file, np.uint8), (count, 32))
    stamps = release if isinstance(release, pa.Array) else constant(release, STAMP, count)
    items = pa.StructArray.from_arrays([fixed_binary(files), stamps, positions], fields=list(EVIDENCE))
    return list_of(items, np.ones(count, np.int32))


def constant(value: Any, kind: pa.DataType, count: int) -> pa.Array:
    """Return a column of one value."""
    return pa.array([value], kind).take(pa.array(np.zeros(count, np.int64)))


def complete(columns: dict[str, pa.Array], defaults: dict[str, Any]) -> pa.RecordBatch:
    """Return what a reader yielded as a batch of `ENTRY_SCHEMA`.

    Absent fields become null or their default (so do null values of them), `ref` the strongest digest, lists
    are made sets, empty texts null.
    """
    count = len(next(iter(columns.values())))
    full = {name: column for name, column in columns.items() if name in ENTRY_SCHEMA.names}
    for name, value in {"seq": 0, "state": "active", **defaults}.items():
        if name not in full or full[name].null_count:
            column = constant(value, ENTRY_SCHEMA.field(name).type, count)
            full[name] = pc.coalesce(full[name], column) if name in full else column
    refs = _without_empty(full.get("ref", pa.nulls(count, pa.string())))
    full["ref"] = pc.coalesce(refs, strongest_refs(full, count)) if refs.null_count else refs
    for name, key in _SORT_KEYS.items():
        if name in full:
            full[name] = sorted_lists(full[name], key)
    for name in ("about", "handling"):
        if name in full and full[name].null_count < count:
            full[name] = _sorted_members(full[name])
    if "handling" in full:
        full["handling"] = _stated(full["handling"])
    return pa.RecordBatch.from_arrays(
        [_field(full.get(field.name), field, count) for field in ENTRY_SCHEMA], schema=ENTRY_SCHEMA
    )


def _stated(labels: pa.StructArray) -> pa.StructArray:
    """Return handling labels with null for one that states nothing: no label at all, which permits nobody."""
    if labels.null_count == len(labels):
        return labels
    stated = np.zeros(len(labels), bool)
    for member in labels.flatten():
        stated |= mask_of(member.is_valid())
    return pc.if_else(pa.array(stated), labels, pa.scalar(None, labels.type))


def _field(column: pa.Array | None, field: pa.Field, count: int) -> pa.Array:
    if column is None:
        return pa.nulls(count, field.type)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_string(field.type) and field.nullable:
        column = _without_empty(column)
    return column if column.type == field.type else column.cast(field.type)


def rows_without(columns: dict[str, pa.Array], bad: Mask) -> dict[str, pa.Array]:
    """Return the columns without the bad rows."""
    if not bad.any():
        return columns
    keep = pa.array(~bad)
    return {name: column.filter(keep) for name, column in columns.items()}


def columns_of_rows(rows: Sequence[dict[str, Any]]) -> dict[str, pa.Array]:
    """Return dicts of field values (and `position`) as columns, for readers that go record by record."""
    names = {name for row in rows for name in row}
    kinds = {field.name: field.type for field in ENTRY_SCHEMA} | {"position": pa.int64()}
    return {name: pa.array([row.get(name) for row in rows], kinds[name]) for name in sorted(names)}
