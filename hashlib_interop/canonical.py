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
    sha256 = hashlib.sha256
    return pa.array([sha256(text).digest() for text in canonical_column(batch).to_pylist()], pa.binary(32))


def canonical_column(batch: pa.RecordBatch) -> pa.BinaryArray:
    """Return the canonical encodings of a batch, one binary value a row."""
    if not batch.num_rows:
        return pa.array([], pa.binary())
    parts = []
    for field in IDENTITY_FIELDS:
        column = batch.column(field.name)
        if column.null_count < len(column):
            parts += _named(field.name, column)
    return _join(*parts)


def _named(name: str, column: pa.Array) -> list[Any]:
    """Return `name=value` in parts to be joined, which are nothing where the value is null."""
    parts = [_literal(name.encode() + b"="), *_encode_parts(column)]
    if not column.null_count:
        return parts
    there = column.is_valid()
    if pa.types.is_nested(column.type):
        return [pc.if_else(there, _join(*parts), _literal(b""))]
    return [pc.if_else(there, part, _literal(b"")) if isinstance(part, pa.Scalar) else part for part in parts]


def _join(*parts: Any) -> Any:
    """Join parts row by row; null counts as nothing."""
    return pc.binary_join_element_wise(*parts, _literal(b""), null_handling="replace", null_replacement=b"")


def _literal(text: bytes) -> pa.Scalar:
    return pa.scalar(text, pa.binary())


def _encode_column(column: pa.Array) -> pa.Array:
    """Return the encodings of a column of items or members, `-` for null."""
    text = _join(*_encode_parts(column))
    return pc.if_else(column.is_valid(), text, _literal(b"-")) if column.null_count else text


def _encode_parts(column: pa.Array) -> list[Any]:
    """Return the encodings of the values of a column, in parts to be joined; undefined where null."""
    kind = column.type
    if pa.types.is_list(kind):
        bounds = pc.list_value_length(column).fill_null(0).to_numpy().cumsum()
        offsets = pa.array([0, *bounds.tolist()], pa.int32())
        items = pa.ListArray.from_arrays(offsets, _encode_column(column.flatten()))
        return [_literal(b"["), pc.binary_join(items, _literal(b"")), _literal(b"]")]
    if pa.types.is_struct(kind):
        members = [part for member in column.flatten() for part in _member_parts(member)]
        return [_literal(b"{"), *members, _literal(b"}")]
    data = _scalar_column(column)
    if pa.types.is_fixed_size_binary(kind):
        return [_literal(b"%d:" % kind.byte_width), data]
    return [pc.binary_length(data).cast(pa.string()).cast(pa.binary()), _literal(b":"), data]


def _member_parts(member: pa.Array) -> list[Any]:
    return [_encode_column(member)] if member.null_count else _encode_parts(member)


def _scalar_column(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_fixed_size_binary(kind) or pa.types.is_string(kind):
        return column.cast(pa.binary())
    if pa.types.is_binary(kind):
        return column
    if pa.types.is_timestamp(kind) or pa.types.is_boolean(kind):
        column = column.cast(pa.int64())
    return column.cast(pa.string()).cast(pa.binary())
