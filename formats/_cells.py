"""Cells of a delimited file: text columns into typed columns and back, by what a mapping says of a column.

`read_cells` and `write_cells` are each other's inverse on what `survivors` leaves; all three work on whole
columns. The type of a column here: digests and fingerprints fixed binary, text kinds and texts string, lists,
classifications and handling list of string (the codes), flags boolean, `size` int64, `asserted_at` a stamp.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop.algorithms import FINGERPRINTS, parse_base32, parse_decimals
from hashlib_interop.carrying import first_items
from hashlib_interop.columns import (
    decode_base64,
    decode_hex,
    encode_hex,
    keep_items,
    lengths_of,
    mask_of,
    one_each,
)
from hashlib_interop.formats._mapping import LISTS, WIDTHS, Column
from hashlib_interop.handling import as_row, codes_of, label_of, labels_in
from hashlib_interop.kernels import Mask
from hashlib_interop.model import FLAGS, HANDLING, STAMP

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENCODE: dict[str, Callable[[bytes], str]] = {
    "base64": lambda value: base64.b64encode(value).decode(),
    "base32": lambda value: base64.b32encode(value).decode(),
    "decimals": lambda value: ",".join(map(str, value)),
}
_NO_TEXT = pa.scalar(None, pa.string())
_BY_TEXT = {"base32": parse_base32, "decimals": parse_decimals}
_UNITS = {"unix": timedelta(seconds=1), "unix-ms": timedelta(milliseconds=1)}


def read_cells(column: Column, texts: pa.StringArray) -> tuple[pa.Array, Mask]:
    """Return the typed column and the mask of bad cells. Empty cells are null."""
    if column.field in WIDTHS:
        return _read_bytes(column, texts)
    if column.field in (*LISTS, "classification"):
        return _read_lists(column, texts)
    if column.words:
        return _read_words(column, texts)
    if column.field == "size":
        return _read_sizes(texts)
    if column.field == "asserted_at":
        return _by_value(texts, lambda text: _stamp(column, text), STAMP)
    return _no_empty(texts), _strange(column, texts)


def _strange(column: Column, texts: pa.StringArray) -> Mask:
    """Return the texts that are not what their kind of fingerprint must be; null and empty text is not strange."""
    pattern = _pattern(column)
    if not pattern:
        return np.zeros(len(texts), bool)
    return ~mask_of(pc.match_substring_regex(texts, f"\\A(?:{pattern})?\\z").fill_null(True))


def _pattern(column: Column) -> str:
    return FINGERPRINTS[column.field].pattern if column.field in FINGERPRINTS else ""


def write_cells(column: Column, values: pa.Array) -> pa.StringArray:
    """Return a typed column as text, null where it is null."""
    if column.field in WIDTHS:
        return _write_bytes(column, values)
    if column.field in (*LISTS, "classification"):
        cells = _translated(values.flatten(), _backwards(column)) if column.words else values.flatten()
        return pc.binary_join(
            pa.ListArray.from_arrays(_offsets(values), cells, mask=values.is_null()), column.separator or ""
        )
    if column.words:
        return _translated(values.cast(pa.string()), _backwards(column))
    if column.field == "asserted_at":
        return pa.array(
            [None if value is None else _written(column, value) for value in values.to_pylist()], pa.string()
        )
    return values.cast(pa.string())


def survivors(column: Column, values: pa.Array, forbidden: str) -> pa.Array:
    """Return what of a typed column comes back when it is written and read; `forbidden` is a class of characters."""
    if column.field in (*LISTS, "classification"):
        return _surviving_items(column, values, forbidden)
    if column.words:
        return pc.if_else(
            pc.is_in(values.cast(pa.string()), pa.array([*_backwards(column)])),
            values,
            pa.scalar(None, values.type),
        )
    if column.field == "asserted_at":
        return _surviving_stamps(column, values)
    if pa.types.is_string(values.type):
        bad = pc.or_(pc.match_substring_regex(values, forbidden), pc.equal(values, ""))
        bad = pc.or_(bad, pa.array(_strange(column, values)))
        return pc.if_else(bad, _NO_TEXT, values)
    return values


def reason(column: Column) -> str:
    """Return what a bad cell of this column should have been."""
    if column.field in WIDTHS:
        return f"not {' or '.join(column.encoding)} of {WIDTHS[column.field]} bytes ({column.field})"
    if column.field == "asserted_at":
        return f"not a date as {column.format}" + (f" in {column.zone}" if column.zone else "")
    if _pattern(column):
        return f"not a {column.field}: {_pattern(column)}"
    return f"not a {column.field}" + (f": one of {', '.join(column.words)}" if column.words else "")


def _no_empty(texts: pa.StringArray) -> pa.StringArray:
    return texts if lengths_of(texts).all() else pc.if_else(pc.equal(texts, ""), _NO_TEXT, texts)


# Digests -------------------------------------------------------------------------------------------------


def _read_bytes(column: Column, texts: pa.StringArray) -> tuple[pa.Array, Mask]:
    values, bad = _decoded(column, column.encoding[0], texts)
    for encoding in column.encoding[1:]:
        if not bad.any():
            break
        others, still_bad = _decoded(column, encoding, pc.if_else(pa.array(bad), texts, ""))
        values, bad = pc.coalesce(values, others), bad & still_bad
    return values, bad


def _decoded(column: Column, encoding: str, texts: pa.StringArray) -> tuple[pa.Array, Mask]:
    width = WIDTHS[column.field]
    if encoding in _BY_TEXT:
        return _by_value(texts, lambda text: _BY_TEXT[encoding](text, width), pa.binary(width))
    return decode_hex(texts, width) if encoding == "hex" else decode_base64(texts, width)


def _write_bytes(column: Column, values: pa.FixedSizeBinaryArray) -> pa.StringArray:
    if column.encoding[0] == "hex":
        return encode_hex(values, column.upper)
    encode = _ENCODE[column.encoding[0]]
    return pa.array([None if value is None else encode(value) for value in values.to_pylist()], pa.string())


# Lists ---------------------------------------------------------------------------------------------------


def _read_lists(column: Column, texts: pa.StringArray) -> tuple[pa.Array, Mask]:
    bad = np.zeros(len(texts), bool)
    if not column.separator:
        items, bad = (
            _by_value(texts, column.words.__getitem__, pa.string())
            if column.words
            else (_no_empty(texts), bad)
        )
        return one_each(items), bad
    lists = pc.split_pattern(texts, column.separator)
    lists = keep_items(lists, mask_of(pc.not_equal(lists.flatten(), "")))
    if not column.words:
        return lists, bad
    items, wrong = _by_value(lists.flatten(), column.words.__getitem__, pa.string())
    bad[pc.list_parent_indices(lists).to_numpy()[wrong]] = True
    return pa.ListArray.from_arrays(_offsets(lists), items, mask=lists.is_null()), bad


def _offsets(lists: pa.ListArray) -> pa.Array:
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))


def _surviving_items(column: Column, values: pa.ListArray, forbidden: str) -> pa.ListArray:
    """Keep items that can stand in the cell. Of several classifications without a separator none is chosen.

    Of a handling label all codes are kept or none: with some of them missing it would say something else.
    """
    items = values.flatten()
    fine = ~mask_of(pc.match_substring_regex(items, forbidden)) & mask_of(pc.not_equal(items, ""))
    if column.separator:
        fine &= ~_meets_separator(items, column.separator)
    if column.words:
        fine &= mask_of(pc.is_in(items, pa.array([*_backwards(column)])))
    kept = keep_items(values, fine)
    lengths = pc.list_value_length(kept).fill_null(0)
    whole = np.ones(len(kept), bool)
    if column.field == "handling":
        whole &= mask_of(pc.equal(lengths, pc.list_value_length(values).fill_null(0)))
    if column.field in ("classification", "handling") and not column.separator:
        whole &= mask_of(pc.less_equal(lengths, 1))
    elif not column.separator:
        return first_items(kept, 1)
    return kept if whole.all() else keep_items(kept, whole[pc.list_parent_indices(kept).to_numpy()])


def _meets_separator(items: pa.StringArray, separator: str) -> Mask:
    """Return the items that hold the separator, or would make one with what stands beside them."""
    if len(separator) == 1:
        return mask_of(pc.match_substring(items, separator))
    ends = {separator[:k] for k in range(1, len(separator))} | {
        separator[k:] for k in range(1, len(separator))
    }
    held = mask_of(pc.match_substring(items, separator))
    for end in sorted(ends):
        held |= mask_of(pc.starts_with(items, end)) | mask_of(pc.ends_with(items, end))
    return held


# Words, sizes, stamps ------------------------------------------------------------------------------------


def _translated(texts: pa.StringArray, words: dict[str, str]) -> pa.StringArray:
    """Translate by a table; null where a text is not in it."""
    return pa.array([*words.values()], pa.string()).take(pc.index_in(texts, pa.array([*words], pa.string())))


def _backwards(column: Column) -> dict[str, str]:
    """Value to cell: the first cell that means it."""
    return {value: cell for cell, value in reversed(column.words.items())}


def _read_words(column: Column, texts: pa.StringArray) -> tuple[pa.Array, Mask]:
    """Read cells of few values, in any case."""
    flag = column.field in FLAGS
    values = {cell.lower(): value == "true" if flag else value for cell, value in column.words.items()}
    return _by_value(texts, lambda text: values[text.lower()], pa.bool_() if flag else pa.string())


def _read_sizes(texts: pa.StringArray) -> tuple[pa.Array, Mask]:
    """Read ASCII digits below 2^63."""
    short = pc.match_substring_regex(texts, "^[0-9]{1,18}$")
    values = pc.if_else(short, texts, _NO_TEXT).cast(pa.int64())
    rest = pc.if_else(short, "", texts)
    others, bad = _by_value(rest, _long_size, pa.int64())
    return pc.coalesce(values, others), bad


def _long_size(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:40]) < 2**63 and len(text) < 40):
        raise ValueError(text)
    return int(text)


def _by_value(
    texts: pa.StringArray, convert: Callable[[str], Any], kind: pa.DataType
) -> tuple[pa.Array, Mask]:
    """Convert every distinct text once; a `ValueError` or `KeyError` makes its cells bad, empty text is null."""
    coded = texts.dictionary_encode()
    distinct = coded.dictionary.to_pylist()
    values, wrong = [], np.zeros(len(distinct) + 1, bool)
    for number, text in enumerate(distinct):
        try:
            values.append(convert(text) if text else None)
        except (ValueError, KeyError, OverflowError):
            values.append(None)
            wrong[number] = True
    places = coded.indices.fill_null(len(distinct)).to_numpy(zero_copy_only=False)
    return pa.array([*values, None], kind).take(pa.array(places)), wrong[places]


def _stamp(column: Column, text: str) -> datetime:
    """Read a date strictly in the stated format and zone; a time that the zone skips or repeats is refused."""
    if column.format in _UNITS:
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise ValueError(text)
        return _EPOCH + int(text) * _UNITS[str(column.format)]
    value = datetime.strptime(text, str(column.format))
    value = value.replace(microsecond=value.microsecond // 1000 * 1000)
    if column.zone is None:
        return value.astimezone(UTC)
    local = value.replace(tzinfo=ZoneInfo(column.zone))
    back = local.astimezone(UTC).astimezone(ZoneInfo(column.zone))
    if back.replace(tzinfo=None) != value or local.utcoffset() != local.replace(fold=1).utcoffset():
        raise ValueError(f"{text} is not one time in {column.zone}")
    return local.astimezone(UTC)


def _written(column: Column, value: datetime) -> str:
    if column.format in _UNITS:
        return str((value - _EPOCH) // _UNITS[str(column.format)])
    return value.astimezone(ZoneInfo(column.zone or "UTC")).strftime(str(column.format))


def _surviving_stamps(column: Column, values: pa.Array) -> pa.Array:
    """Cut stamps to what the format holds; null where even that does not come back."""

    def cut(value: datetime | None) -> datetime | None:
        try:
            once = value if value is None else _stamp(column, _written(column, value))
            return once if once is None or _stamp(column, _written(column, once)) == once else None
        except (ValueError, OverflowError):
            return None

    return pa.array([cut(value) for value in values.to_pylist()], STAMP)


# Handling ------------------------------------------------------------------------------------------------


def labels_of(lists: pa.ListArray) -> pa.StructArray:
    """Return lists of codes as handling labels, each distinct list read once."""
    if lists.null_count == len(lists):
        return pa.nulls(len(lists), HANDLING)
    label = functools.cache(lambda codes: as_row(label_of(codes)))
    return pa.array([codes and label(tuple(codes)) for codes in lists.to_pylist()], HANDLING)


def codes_of_labels(labels: pa.StructArray) -> pa.ListArray:
    """Return handling labels as lists of codes, null for a label that codes do not say exactly."""
    if labels.null_count == len(labels):
        return pa.nulls(len(labels), pa.list_(pa.string()))
    found = []
    for label in labels_in(labels):
        codes = codes_of(label)
        found.append(list(codes) if codes and label_of(codes) == label else None)
    return pa.array(found, pa.list_(pa.string()))
