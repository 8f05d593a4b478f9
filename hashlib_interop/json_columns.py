"""Flat JSON objects as columns of scalars, and scalars as values; without a Python object a record.

A scalar is kept as its text (`ABC`, `12`, `true`) and whether it stood in quotes; absent and `null` are
both null. `flat_scalars` takes only records in the plain form that it can prove sound: known keys, each
once, strings without escapes or control characters, whole numbers, `true`, `false`, `null`, and nothing
else between them but what JSON wants there. Every other record is left to `strict_json`, which decides.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop.columns import gathered, mask_of
from hashlib_interop.json_records import SPACE, Frames
from hashlib_interop.kernels import Bytes, Mask, Places
from hashlib_interop.model import STAMP, canonical_json

_Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scalars:
    """The values of one key: their texts, decoded where they are strings, and which are strings."""

    texts: pa.StringArray
    quoted: Mask

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: _Index) -> Scalars:
        """Return the values of these rows, in this order."""
        return Scalars(self.texts.take(pa.array(rows)), self.quoted[rows])


ScalarColumns = dict[str, Scalars]

_BARE = r"^(-?(0|[1-9][0-9]{0,18})|true|false|null)$"
_BLANKS = 64
_NO_TEXT = pa.scalar(None, pa.string())


def flat_scalars(frames: Frames, known: tuple[str, ...]) -> tuple[ScalarColumns, Mask]:
    """Return the values of the records taken, by key, and which records they are."""
    rows = frames.flat & (frames.strings > 0) & _clean(frames)
    quotes = frames.quotes if rows.all() else frames.quotes[np.repeat(rows, 2 * frames.strings)]
    if not len(quotes):
        return {}, rows & False
    members = _Members(frames, rows, quotes)
    names = pc.take(_between(frames.data, quotes), pa.array(2 * members.keys), boundscheck=False)
    key = pc.index_in(names, pa.array([f'"{name}'.encode() for name in known])).fill_null(-1).to_numpy()
    members.refuse(key < 0)
    bounds = np.stack([members.starts + members.text, members.ends - members.text], axis=1).astype(np.int32)
    values = _between(frames.data, bounds.ravel())
    absent = members.check_bare(values)
    places = np.full((len(known), len(members.strings)), -1, np.int32)
    places.ravel()[key.astype(np.int64) * len(members.strings) + members.row] = np.arange(len(key))
    members.sound &= (places >= 0).sum(axis=0) == np.bincount(members.row, minlength=len(members.strings))
    rows[rows] = members.sound
    taken = places[:, members.sound]
    taken[absent[taken] & (taken >= 0)] = -1
    held = (taken >= 0).any(axis=1)
    found = {
        name: Scalars(_taken(frames.data, bounds, at), members.text[at] & (at >= 0))
        for name, at in zip(np.array(known)[held].tolist(), taken[held], strict=True)
    }
    return found, rows


def _between(data: Bytes, offsets: Places) -> pa.BinaryArray:
    """Return the bytes between each two offsets of a block, without copying."""
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets, np.int32)), pa.py_buffer(data)]
    return pa.BinaryArray.from_buffers(pa.binary(), len(offsets) - 1, buffers)


def _taken(data: Bytes, bounds: Places, at: Places) -> pa.StringArray:
    """Return the values of one key as text (known to be UTF-8), null where `at` is -1."""
    missing = at < 0
    picked = bounds.take(at, axis=0, mode="clip")
    if not missing.any():
        return gathered(data, picked[:, 0], picked[:, 1])
    picked[missing] = 0
    found = gathered(data, picked[:, 0], picked[:, 1])
    valid = pa.py_buffer(np.packbits(~missing, bitorder="little"))
    return pa.StringArray.from_buffers(len(at), found.buffers()[1], found.buffers()[2], valid)


def _clean(frames: Frames) -> Mask:
    """Tell which records are UTF-8 without control characters in strings."""
    clean = np.ones(len(frames), bool)
    start, end = int(frames.starts[0]), int(frames.stops[-1])
    at = start + np.flatnonzero(frames.data[start:end] < 0x20)
    inside = at[np.searchsorted(frames.quotes, at) % 2 == 1]
    clean[np.searchsorted(frames.starts, inside, "right") - 1] = False
    try:
        frames.texts.cast(pa.string())
    except pa.ArrowInvalid:
        clean &= [_is_utf8(text) for text in frames.texts.to_pylist()]
    return clean


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


class _Members:
    """The members of flat records: `keys` (indices of strings), their `row`, where their values stand.

    `sound` tells which rows are proved: between `{` and `}`, nothing but keys with a colon right after
    them, at most one space, a value, and one comma between members, with blanks on either hand of it.
    """

    def __init__(self, frames: Frames, rows: Mask, quotes: Places) -> None:
        self.data, self.strings = frames.data, frames.strings[rows]
        self.sound = np.ones(len(self.strings), bool)
        opens, closes = quotes[0::2].astype(np.int64), quotes[1::2].astype(np.int64)
        of_row = np.repeat(np.arange(len(self.strings)), self.strings)
        is_key = self.data.take(closes + 1) == ord(":")
        is_key[np.cumsum(self.strings) - self.strings] = True
        self.keys = np.flatnonzero(is_key)
        self.row = of_row.take(self.keys)
        end, key_closes = len(self.data) - 1, closes.take(self.keys)
        self.starts = np.minimum(key_closes + 2, end)
        self.starts = np.minimum(self.starts + (self.data.take(self.starts) == ord(" ")), end)
        self.text = self.data.take(self.starts) == ord('"')
        self.refuse(self.data.take(key_closes + 1) != ord(":"))
        self._check_strings(is_key, of_row)
        self._find_ends(opens, closes, frames.starts[rows], frames.stops[rows])

    def refuse(self, bad: Mask) -> None:
        """Leave the rows of these members to others."""
        if bad.any():
            self.sound[self.row[bad]] = False

    def _check_strings(self, is_key: Mask, of_row: _Index) -> None:
        """Demand that every string is a key, or else the value of the key before it."""
        claimed = np.zeros(len(is_key) + 1, bool)
        claimed[self.keys[self.text] + 1] = True
        wrong = claimed[:-1] == is_key
        if wrong.any():
            self.sound[of_row[wrong]] = False

    def _find_ends(self, opens: _Index, closes: _Index, starts: Places, stops: Places) -> None:
        last = np.ones(len(self.keys), bool)
        last[:-1] = self.row[1:] != self.row[:-1]
        before = np.empty(len(self.keys), np.int64)
        before[:-1] = opens.take(self.keys[1:]) - 1
        before[last] = stops.take(self.row[last]) - 1
        before = self._without_blanks(before)
        self.refuse((self.data.take(before) == ord(",")) == last)
        value_closes = closes.take(np.minimum(self.keys + 1, len(closes) - 1))
        self.ends = np.where(self.text, value_closes + 1, before + last)
        self.refuse(self._without_blanks(before - ~last) + 1 != self.ends)
        heads = opens.take(self.keys[np.concatenate([[True], last[:-1]])]) - 1
        self.sound &= self._without_blanks(heads) == starts
        self.ends = np.maximum(self.ends, self.starts + 2 * self.text)

    def _without_blanks(self, at: _Index) -> _Index:
        """Step back over blanks, but not over more than are worth a look here."""
        for _ in range(_BLANKS):
            blank = SPACE.take(self.data.take(at))
            if not blank.any():
                break
            at = at - blank
        return at

    def check_bare(self, values: pa.BinaryArray) -> Mask:
        """Refuse what is neither a string nor a plain number, flag or null; tell which members are null."""
        at = np.flatnonzero(~self.text)
        tokens = pc.take(values, pa.array(2 * at), boundscheck=False)
        good = mask_of(pc.match_substring_regex(tokens, _BARE))
        self.refuse(_spread(len(self.keys), at[~good]))
        return _spread(len(self.keys), at[mask_of(pc.equal(tokens, b"null"))])


def _spread(count: int, at: _Index) -> Mask:
    mask = np.zeros(count, bool)
    mask[at] = True
    return mask


# Scalars as values ---------------------------------------------------------------------------------------


def scalar_columns(rows: list[dict[str, Any]]) -> ScalarColumns:
    """Return records given as dicts of JSON scalars, as columns."""
    names = sorted({name for row in rows for name in row})
    return {name: _scalars([row.get(name) for row in rows]) for name in names}


def _scalars(values: list[Any]) -> Scalars:
    texts = [value if isinstance(value, str) or value is None else json.dumps(value) for value in values]
    return Scalars(pa.array(texts, pa.string()), np.array([isinstance(value, str) for value in values], bool))


def joined(one: ScalarColumns, count: int, other: ScalarColumns, more: int) -> ScalarColumns:
    """Return the `count` rows of `one`, then the `more` rows of `other`."""
    if not more:
        return one
    nothing, nobody = _scalars([None] * count), _scalars([None] * more)
    pairs = {name: (one.get(name, nothing), other.get(name, nobody)) for name in sorted({*one, *other})}
    return {
        name: Scalars(pa.concat_arrays([a.texts, b.texts]), np.concatenate([a.quoted, b.quoted]))
        for name, (a, b) in pairs.items()
    }


def texts_of(column: Scalars) -> tuple[pa.StringArray, Mask]:
    """Return JSON strings, and the mask of values that are none."""
    bad = ~column.quoted & mask_of(column.texts.is_valid())
    return (pc.if_else(pa.array(bad), _NO_TEXT, column.texts) if bad.any() else column.texts), bad


def numbers_of(column: Scalars, least: int | None = None) -> tuple[pa.StringArray, Mask]:
    """Return whole numbers as texts, from JSON numbers or strings of digits, and the mask of bad values.

    One spelling a number: no sign but `-`, no leading zeros, below 2^63 in magnitude. The empty string
    is null.
    """
    texts = column.texts
    if column.quoted.any():
        texts = pc.if_else(pc.equal(texts, ""), _NO_TEXT, texts)
    pattern = r"^(0|[1-9][0-9]{0,18})$" if least == 0 else r"^(0|-?[1-9][0-9]{0,18})$"
    good = mask_of(pc.match_substring_regex(texts, pattern))
    long = good & mask_of(pc.greater(pc.binary_length(texts), 18))
    for row in np.flatnonzero(long):
        good[row] = abs(int(texts[int(row)].as_py())) < 2**63
    return texts, ~good & mask_of(texts.is_valid())


_FLAGS = pa.array(["true", "false", ""])
_FLAG_VALUES = pa.array([True, False, None])


def flags_of(column: Scalars) -> tuple[pa.BooleanArray, Mask]:
    """Return `true`, `false`, `"true"`, `"false"` as flags, `""` as null; and the mask of other values."""
    index = pc.index_in(column.texts, _FLAGS)
    return _FLAG_VALUES.take(index), mask_of(column.texts.is_valid()) & mask_of(index.is_null())


def quoted(texts: pa.StringArray) -> pa.StringArray:
    """Return texts as JSON strings in their one spelling (`canonical_json`)."""
    plain = pc.binary_join_element_wise('"', texts, '"', "")
    special = pc.match_substring_regex(texts, r'["\\\x00-\x1f]').fill_null(False)
    if not pc.any(special).as_py():
        return plain
    spelled = [canonical_json(text) for text in texts.filter(special).to_pylist()]
    return pc.replace_with_mask(plain, special, pa.array(spelled, pa.string()))


# Stamps --------------------------------------------------------------------------------------------------

_PLAIN = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$"
_STAMP = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:(Z)|([+-])(\d{1,2}):?(\d\d)Z?)?", re.ASCII
)


def stamps_of(texts: pa.StringArray) -> tuple[pa.TimestampArray, Mask, Mask]:
    """Return stamps with a zone, cut to milliseconds; the mask of bad texts, and of those without a zone.

    `2024-02-01T10:00:00.0000Z`, `…-05:00`, and the form of Clees4All, `….000+0:00Z`: an offset in front of
    a final Z, its hour in one digit. A stamp without a zone is null: nobody knows when it was.
    """
    plain = mask_of(pc.match_substring_regex(texts, _PLAIN))
    held = mask_of(pc.not_equal(texts, ""))
    nothing = (np.zeros(len(held), bool), np.zeros(len(held), bool))
    if (plain == held).all():
        try:
            return _cut(texts if held.all() else pc.if_else(pa.array(held), texts, _NO_TEXT)), *nothing
        except pa.ArrowInvalid:
            pass
    values = [_stamp(text) if text else None for text in texts.to_pylist()]
    bad = np.array([value is False for value in values], bool)
    naive = np.array([value is True for value in values], bool)
    return pa.array([v if isinstance(v, datetime) else None for v in values], STAMP), bad, naive


def _cut(texts: pa.StringArray) -> pa.TimestampArray:
    stamps = texts.cast(pa.timestamp("us", "UTC"))
    whole = stamps.cast(pa.int64()).fill_null(0).to_numpy() // 1000
    return pa.array(whole, mask=None if not stamps.null_count else ~mask_of(stamps.is_valid())).cast(STAMP)


def _stamp(text: str) -> datetime | bool:
    """Return a stamp; True for one without a zone, False for what is none."""
    found = _STAMP.fullmatch(text)
    if not found:
        return False
    base, fraction, zulu, sign, hours, minutes = found.groups()
    try:
        value = datetime.fromisoformat(base).replace(
            microsecond=int((fraction or "0").ljust(6, "0")[:3]) * 1000
        )
        if not zulu and not sign:
            return True
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        return value.replace(tzinfo=timezone(-offset if sign == "-" else offset)).astimezone(UTC)
    except (ValueError, OverflowError):
        return False
