"""Flat JSON objects as columns of tokens, and tokens as values; exact, and without a Python object a record.

A *token* is the JSON text of one value (`"ABC"`, `12`, `true`); absent and `null` are both null. DuckDB's
JSON reader passes NaN, a comma before a closing bracket and repeated keys. Frames mark the second;
the first shows in the token; the third, and keys that were not asked for, show in the number of strings:
every key is a string and every value at most one, so a record whose strings are all accounted for by
the tokens found holds these keys, each once, and no other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta, timezone

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop.columns import Mask, mask_of
from hashlib_interop.json_records import Frames
from hashlib_interop.model import STAMP

Tokens = dict[str, pa.StringArray]

_UNSOUND = (pa.ArrowInvalid, duckdb.Error)


class FlatObjects:
    """Reads the flat records of frames, for a table of known keys. Holds one engine with one thread.

    Only keys that were met so far are asked for: their number is most of the cost.
    """

    def __init__(self, known: Collection[str]) -> None:
        self._known, self._names = frozenset(known), list[str]()
        self._engine = duckdb.connect(config={"threads": 1, "python_enable_replacements": False})

    def read(self, frames: Frames) -> tuple[Tokens, Mask]:
        """Return the tokens of the records read, and which they are: flat, sound, of known keys, each once."""
        rows = frames.flat.copy()
        try:
            tokens, whole = self._read(_picked(frames.texts, rows), frames.strings[rows])
        except _UNSOUND:
            rows[rows] = [self._is_sound(text) for text in _picked(frames.texts, rows).to_pylist()]
            tokens, whole = self._read(_picked(frames.texts, rows), frames.strings[rows])
        rows[rows] = whole
        return {name: _picked(column, whole) for name, column in tokens.items()}, rows

    def _is_sound(self, text: bytes) -> bool:
        try:
            self._query("json_keys(j)", pa.array([text]).cast(pa.string()))
        except _UNSOUND:
            return False
        return True

    def _read(self, texts: pa.BinaryArray, strings: npt.NDArray[np.int32]) -> tuple[Tokens, Mask]:
        sound = texts.cast(pa.string())
        while True:
            tokens = self._tokens(sound)
            whole = strings == _strings_of(tokens, len(sound))
            if whole.all():
                return tokens, whole
            in_doubt = ~whole
            whole[in_doubt], names = self._judged(_picked(sound, in_doubt))
            met = sorted({*self._names, *names})
            if met == self._names:
                return tokens, whole
            self._names = met

    def _tokens(self, texts: pa.StringArray) -> Tokens:
        if not self._names or not len(texts):
            return {}
        spec = json.dumps(dict.fromkeys(self._names, "JSON"))
        struct = self._query(f"from_json(j, '{spec}')", texts)
        return dict(zip(self._names, (_storage(part) for part in struct.flatten()), strict=True))

    def _judged(self, texts: pa.StringArray) -> tuple[Mask, set[str]]:
        """Tell which records hold nothing but known keys, each once, and which keys these are.

        Keys are joined by line feeds; a key with a line feed in it shows in the number of keys.
        """
        shapes = self._query("{'keys': array_to_string(json_keys(j), chr(10)), 'count': len(json_keys(j))}", texts)
        keys, counts = (_storage(part) for part in shapes.flatten())
        distinct = keys.dictionary_encode()
        split = [text.split("\n") for text in distinct.dictionary.to_pylist()]
        fine = [self._known.issuperset(names) and len(set(names)) == len(names) for names in split]
        expected = np.array([len(names) if good else -1 for names, good in zip(split, fine, strict=True)])
        whole = expected[distinct.indices.to_numpy()] == counts.to_numpy()
        return whole, {name for names, good in zip(split, fine, strict=True) if good for name in names}

    def _query(self, expression: str, texts: pa.StringArray) -> pa.Array:
        """Return an expression over `j` for each text, in their order (which is checked)."""
        table = pa.table({"i": np.arange(len(texts)), "j": texts})
        self._engine.register("records", table)
        found = self._engine.sql(f"select i, {expression} as found from records").to_arrow_table()
        self._engine.unregister("records")
        if not np.array_equal(found["i"].to_numpy(), np.arange(len(texts))):  # pragma: no cover
            raise AssertionError("the engine changed the order of records")
        column = found["found"].combine_chunks()
        return column.chunk(0) if isinstance(column, pa.ChunkedArray) else column


def _picked(column: pa.Array, rows: Mask) -> pa.Array:
    return column if rows.all() else column.filter(pa.array(rows))


def _storage(column: pa.Array) -> pa.Array:
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def _strings_of(tokens: Tokens, count: int) -> npt.NDArray[np.int64]:
    """Return how many strings the keys and values found account for, by row."""
    found = np.zeros(count, np.int64)
    for column in tokens.values():
        found += mask_of(column.is_valid())
        found += is_text(column)
    return found


# Tokens as values ----------------------------------------------------------------------------------------


def token_columns(rows: list[dict[str, str]]) -> Tokens:
    """Return records given as dicts of tokens, as columns."""
    names = sorted({name for row in rows for name in row})
    return {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}


def is_text(tokens: pa.StringArray) -> Mask:
    """Tell which tokens are JSON strings."""
    if tokens.null_count == len(tokens):
        return np.zeros(len(tokens), bool)
    offsets = np.frombuffer(tokens.buffers()[1], np.int32)[tokens.offset : tokens.offset + len(tokens) + 1]
    data = np.frombuffer(tokens.buffers()[2], np.uint8)
    held = offsets[1:] > offsets[:-1]
    return np.asarray(held & (data[np.minimum(offsets[:-1], len(data) - 1)] == ord('"')), bool)


def texts_of(tokens: pa.StringArray) -> tuple[pa.StringArray, Mask]:
    """Return the contents of JSON strings, and the mask of tokens that are none."""
    text = is_text(tokens)
    bad = ~text & mask_of(tokens.is_valid())
    if bad.any():
        tokens = pc.if_else(pa.array(text), tokens, pa.scalar(None, pa.string()))
    inside = pc.binary_slice(tokens.cast(pa.binary()), 1, -1).cast(pa.string())
    data = tokens.buffers()[2]
    if data is None or not (np.frombuffer(data, np.uint8) == ord("\\")).any():
        return inside, bad
    escaped = pc.match_substring(tokens, "\\").fill_null(False)
    plain = pa.array([json.loads(token) for token in tokens.filter(escaped).to_pylist()], pa.string())
    return pc.replace_with_mask(inside, escaped, plain), bad


def numbers_of(tokens: pa.StringArray, least: int | None = None) -> tuple[pa.StringArray, Mask]:
    """Return whole numbers as texts, from JSON numbers or strings of digits, and the mask of bad tokens.

    One spelling a number: no sign but `-`, no leading zeros, below 2^63 in magnitude. The empty string
    is null.
    """
    texts = pc.if_else(pc.equal(tokens, '""'), pa.scalar(None, pa.string()), tokens)
    texts = pc.utf8_trim(texts, '"')
    pattern = r"^(0|[1-9][0-9]{0,18})$" if least == 0 else r"^(0|-?[1-9][0-9]{0,18})$"
    good = mask_of(pc.match_substring_regex(texts, pattern))
    long = good & mask_of(pc.greater(pc.binary_length(texts), 18))
    for row in np.flatnonzero(long):
        good[row] = abs(int(texts[int(row)].as_py())) < 2**63
    return texts, ~good & mask_of(texts.is_valid())


_FLAGS = pa.array(["true", '"true"', "false", '"false"', '""'])
_FLAG_VALUES = pa.array([True, True, False, False, None])


def flags_of(tokens: pa.StringArray) -> tuple[pa.BooleanArray, Mask]:
    """Return `true`, `false`, `"true"`, `"false"` as flags, `""` as null; and the mask of other tokens."""
    index = pc.index_in(tokens, _FLAGS)
    return _FLAG_VALUES.take(index), mask_of(tokens.is_valid()) & mask_of(index.is_null())


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
    held = mask_of(texts.is_valid()) & ~mask_of(pc.equal(texts, ""))
    if (plain == held).all():
        try:
            return _cut(pc.if_else(pa.array(held), texts, pa.scalar(None, pa.string()))), ~held & False, ~held & False
        except pa.ArrowInvalid:
            pass
    values = [_stamp(text) if text else None for text in texts.to_pylist()]
    bad = np.array([value is False for value in values], bool)
    naive = np.array([value is True for value in values], bool)
    return pa.array([v if isinstance(v, datetime) else None for v in values], STAMP), bad, naive


def _cut(texts: pa.StringArray) -> pa.TimestampArray:
    return pc.floor_temporal(texts.cast(pa.timestamp("us", "UTC")), unit="millisecond").cast(STAMP)


def _stamp(text: str) -> datetime | bool:
    """Return a stamp; True for one without a zone, False for what is none."""
    found = _STAMP.fullmatch(text)
    if not found:
        return False
    base, fraction, zulu, sign, hours, minutes = found.groups()
    try:
        value = datetime.fromisoformat(base).replace(microsecond=int((fraction or "0").ljust(6, "0")[:3]) * 1000)
        if not zulu and not sign:
            return True
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        return value.replace(tzinfo=timezone(-offset if sign == "-" else offset)).astimezone(UTC)
    except (ValueError, OverflowError):
        return False
