"""The canonical encoding of an entry, and its id; once by row, once by column.

    entry  = { name "=" value }      fields in the order of the schema, absent ones left out
    value  = length ":" bytes        scalars: text as UTF-8, digests raw, numbers and stamps (ms) in decimal
           | "{" { value | "-" } "}" structs, members in order
           | "[" { value } "]"       lists, sorted

A field that is absent leaves no trace, so that a field added to the model later changes no id.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop.model import IDENTITY_FIELDS

if TYPE_CHECKING:
    from hashlib_interop.model import Entry

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def entry_id(entry: Entry) -> bytes:
    """Return SHA-256 of the canonical encoding of an entry."""
    return hashlib.sha256(canonical(entry)).digest()


def canonical(entry: Entry) -> bytes:
    """Return the canonical encoding of an entry, by row: the reference for `identify`."""
    row = entry.to_row()
    return b"".join(
        field.name.encode() + b"=" + _encode(row[field.name], field.type)
        for field in IDENTITY_FIELDS
        if row[field.name] is not None
    )


def _encode(value: Any, kind: pa.DataType) -> bytes:
    if value is None:
        return b"-"
    if pa.types.is_list(kind):
        return b"[" + b"".join(_encode(item, kind.value_type) for item in value) + b"]"
    if pa.types.is_struct(kind):
        return b"{" + b"".join(_encode(value[field.name], field.type) for field in kind) + b"}"
    data = _scalar(value)
    return b"%d:%b" % (len(data), data)


def _scalar(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, datetime):
        value = (value - _EPOCH) // timedelta(milliseconds=1)
    return str(int(value) if isinstance(value, bool) else value).encode()


def identify(batch: pa.RecordBatch) -> pa.FixedSizeBinaryArray:
    """Return the ids of a batch of `ENTRY_SCHEMA`: `entry_id`, by column."""
    texts = canonical_column(batch)
    return pa.array([hashlib.sha256(text).digest() for text in texts.to_pylist()], pa.binary(32))


def canonical_column(batch: pa.RecordBatch) -> pa.BinaryArray:
    """Return the canonical encodings of a batch, one binary value a row."""
    parts = []
    for field in IDENTITY_FIELDS:
        column = batch.column(field.name)
        if column.null_count == len(column):
            continue
        prefix = pa.scalar(field.name.encode() + b"=", pa.binary())
        text = _join(prefix, _encode_column(column))
        parts.append(pc.if_else(column.is_valid(), text, pa.scalar(b"", pa.binary())))
    return _join(*parts)


def _join(*parts: Any) -> Any:
    return pc.binary_join_element_wise(*parts, pa.scalar(b"", pa.binary()))


def _literal(text: bytes) -> pa.Scalar:
    return pa.scalar(text, pa.binary())


def _encode_column(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_list(kind):
        items = _encode_column(column.flatten())
        bounds = pc.list_value_length(column).fill_null(0).to_numpy().cumsum()
        offsets = pa.array([0, *bounds.tolist()], pa.int32())
        joined = pc.binary_join(pa.ListArray.from_arrays(offsets, items), _literal(b""))
        text = _join(_literal(b"["), joined, _literal(b"]"))
    elif pa.types.is_struct(kind):
        members = [_encode_column(member) for member in column.flatten()]
        text = _join(_literal(b"{"), *members, _literal(b"}"))
    else:
        data = _scalar_column(column)
        length = pc.binary_length(data).cast(pa.string()).cast(pa.binary())
        text = _join(length, _literal(b":"), data)
    return pc.if_else(column.is_valid(), text, _literal(b"-")) if column.null_count else text


def _scalar_column(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_fixed_size_binary(kind) or pa.types.is_string(kind):
        return column.cast(pa.binary())
    if pa.types.is_binary(kind):
        return column
    if pa.types.is_timestamp(kind) or pa.types.is_boolean(kind):
        column = column.cast(pa.int64())
    return column.cast(pa.string()).cast(pa.binary())
