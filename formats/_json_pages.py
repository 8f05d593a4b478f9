"""Small JSON documents of records: pages of an API, read strictly and written again, one record at a time.

A page is an object with an array of records (`{"data": [ … ], "paging": … }`), or the bare array. Limits are
those of `json_records.py`: nothing but a record and a block is held, depth 64, a record of 16 MiB. A page that is
cut off is refused as a whole; a record that is no JSON, has a key twice or a bad value is refused alone.

A format says in a `RecordForm` how one record becomes a row of `ENTRY_SCHEMA` and back. What a file carries of an
entry is then what comes back when its record is read again: `carries` does just that, before anything is written.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa

from hashlib_interop.columns import columns_of_rows, complete
from hashlib_interop.errors import CannotWrite, MalformedInput
from hashlib_interop.format import Carry, Columns, Reading, Refuses, Writing
from hashlib_interop.json_records import DEPTH, MARKS, RECORD, ArrayRecords
from hashlib_interop.model import Json, canonical_json
from hashlib_interop.strict_json import is_crowded, strict_json

Options = Mapping[str, Any]
EXTRA_DEPTH = 48
"""Levels of own fields that are written: a page may be nested 64 deep."""

_TWICE = "duplicate key"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_SECOND = 253_402_300_799
"""The end of the year 9999."""


class BadRecord(ValueError):
    """A record that cannot be trusted: its reason, the field and the value."""

    def __init__(self, reason: str, field: str | None = None, value: object = None) -> None:
        super().__init__(reason)
        self.field, self.value = field, value


class LeftOut(Exception):
    """A record that is dropped by rule; the message says what it is."""


def _not_written(row: Json, options: Options) -> Json:
    raise BadRecord("this format is not written")


@dataclass(frozen=True)
class RecordForm:
    """How the records of a format look.

    `array` is the key of the array, None where the file is the array; `wanted` says what file this is, for errors.
    `row_of` names every row by `ref`; it raises `BadRecord` or `LeftOut`. `clean` takes out what is dropped by rule
    before that, in place, and counts it. `record_of` raises `BadRecord` for a row that the format cannot hold. `fields` are
    those of a row. `telling` are keys that say that a record is deleted or restricted: in other letters they would say
    nothing, so a record with one is refused.
    """

    name: str
    array: str | None
    wanted: str
    row_of: Callable[[Json, Options], Json]
    clean: Callable[[Json, Options], Counter[str]] | None = None
    record_of: Callable[[Json, Options], Json] = _not_written
    fields: tuple[str, ...] = ()
    telling: tuple[str, ...] = ()

    def cleaned(self, record: Json, options: Options) -> Counter[str]:
        """Take out what is dropped by rule, in place; return what and how often."""
        return self.clean(record, options) if self.clean else Counter()


# Values of a record --------------------------------------------------------------------------------------


def taken(record: Json, key: str, kind: type, words: str) -> Any:
    """Take a value out of a record; None where it is absent or null, `BadRecord` where it is of another kind."""
    value = record.pop(key, None)
    if value is not None and (type(value) is not kind):
        raise BadRecord(f"must be {words}", key, value)
    return value


def needed(record: Json, key: str) -> str:
    """Take a text out of a record that must be there and not empty."""
    value: str | None = taken(record, key, str, "a text")
    if not value:
        raise BadRecord("is missing", key)
    return value


def unix_stamp(value: float | None, key: str) -> datetime | None:
    """Return seconds since 1970 as a stamp, cut to the millisecond."""
    if value is None:
        return None
    if not 0 <= value <= LAST_SECOND:
        raise BadRecord("lies outside the years 1970 to 9999", key, value)
    return EPOCH + timedelta(milliseconds=int(Decimal(str(value)) * 1000))


def unix_seconds(stamp: datetime | None) -> int | None:
    """Return a stamp as whole seconds since 1970."""
    return None if stamp is None else (stamp - EPOCH) // timedelta(seconds=1)


def own_extra(row: Json, name: str) -> Json:
    """Return what the reader of this format had put aside; nothing where it is no object or nested too deep."""
    own = json.loads(row["extra"]).get(name) if row.get("extra") else None
    return own if isinstance(own, dict) and not _is_deep(own, EXTRA_DEPTH) else {}


def _is_deep(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        inner = (item.values() if isinstance(item, dict) else item for item in level)
        level = [child for items in inner for child in items if isinstance(child, (dict, list))]
    return bool(level)


def put_aside(name: str, rest: Json) -> str | None:
    """Return the fields that are left as text of `extra`; None for none."""
    return canonical_json({name: rest}) if rest else None


# Reader --------------------------------------------------------------------------------------------------


@dataclass
class Page:
    """The records of one file as columns: iterate once, then ask for `envelope` and `count`. Position = record."""

    stream: BinaryIO
    reading: Reading
    form: RecordForm

    def __iter__(self) -> Iterator[Columns]:
        array, self.reading.withhold = self.form.array, self.form.clean is not None
        self.reading.frame = (f'{{"{array}":[', "]}") if array else ("[", "]")
        around = (b"", b"") if array else (b'{"records":', b"}")
        whole = chained(io.BytesIO(around[0]), self.stream, io.BytesIO(around[1]))
        records = ArrayRecords(whole, self._malformed, lambda record: None, array=array or "records", inner=None)
        for frames in records:
            read = (self._row(text, place) for place, text in enumerate(frames.texts.to_pylist(), frames.first))
            rows = [row for row in read if row]
            if rows:
                yield columns_of_rows(rows)
        self.envelope, self.count = records.envelope, records.count
        if self.envelope and not array:
            raise self._malformed("there is more after the array", None)

    def _malformed(self, message: str, position: int | None) -> MalformedInput:
        other = message.startswith("there is no array")
        return self.reading.malformed(f"{message}; wanted: {self.form.wanted}" if other else message, position)

    def _row(self, text: bytes, position: int) -> Json | None:
        try:
            record: Json = strict_json(text)
        except ValueError as error:
            said = str(error)
            if self.reading.withhold and said.startswith(_TWICE):
                said = _TWICE  # without its name: keys can be case numbers
            self.reading.reject(position, f"not JSON: {said}", raw=text)
            return None
        return row_read(record, position, self.reading, self.form)

    def note_unknown(self, *known: str) -> None:
        """Count what stands beside the records and is not known. Its name is not repeated: it may say anything."""
        self.reading.drop("unknown key beside the records", sum(key not in known for key in self.envelope))

    def note_count(self, key: str = "count") -> None:
        """Say where the file's own count is not what it holds."""
        said = self.envelope.get(key)
        if said is not None and said != self.count:
            self.reading.fact("count mismatch", f"says {said}, holds {self.count}")


def document(stream: BinaryIO, reading: Reading, form: RecordForm) -> Json:
    """Return a file that is one JSON object: of at most 16 MiB, nested 64 deep."""
    reading.withhold = form.clean is not None
    text = stream.read(RECORD + 1)
    if len(text) > RECORD:
        raise reading.malformed(f"more than {RECORD >> 20} MiB: no single answer is that long")
    if is_crowded(text, MARKS):
        raise reading.malformed(f"more than {MARKS:,} brackets and commas: no single answer has so many")
    try:
        value = strict_json(text)
    except ValueError as error:
        raise reading.malformed(f"cut off, or not JSON: {error}") from None
    if not isinstance(value, dict):
        raise reading.malformed("the file is not one JSON object")
    if _is_deep(value, DEPTH):
        raise reading.malformed(f"nested deeper than {DEPTH} levels")
    return value


def row_read(record: Json, position: int, reading: Reading, form: RecordForm) -> Json | None:
    """Return the row of one record; None where it is refused or left out. Raw text is kept without what is dropped."""
    for what, count in form.cleaned(record, reading.options).items():
        reading.drop(what, count)
    try:
        _check_spelling(record, form)
        return form.row_of(record, reading.options) | {"position": position}
    except LeftOut as error:
        reading.drop(str(error))
    except BadRecord as error:
        raw = canonical_json(record)
        reading.reject(position, str(error), field=error.field, value=error.value, raw=raw, redacted=True)
    return None


def _check_spelling(record: Json, form: RecordForm) -> None:
    folded = {key.casefold(): key for key in form.telling}
    for key in record:
        expected = folded.get(key.casefold(), key)
        if key != expected:
            raise BadRecord(f"the key is spelled {expected!r}", key, record[key])


class _Chained(io.RawIOBase):
    """Streams one after another."""

    def __init__(self, streams: tuple[BinaryIO, ...]) -> None:
        self._left = list(streams)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while self._left:
            data = self._left[0].read(len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)
            self._left.pop(0)
        return 0


def chained(*streams: BinaryIO) -> BinaryIO:
    """Return streams one after another as one, which can peek."""
    return cast(BinaryIO, io.BufferedReader(_Chained(streams), 1 << 16))


# Writer --------------------------------------------------------------------------------------------------


def write_page(
    batches: Iterable[pa.RecordBatch],
    stream: BinaryIO,
    writing: Writing,
    form: RecordForm,
    envelope: Callable[[int], Json] = lambda count: {},
) -> None:
    """Write a page, one record a line; what stands around the array comes after it, given their number."""
    stream.write(f'{{"{form.array}":[\n'.encode() if form.array else b"[\n")
    count = 0
    for batch in batches:
        for row in batch.to_pylist():
            record = form.record_of(row, writing.options)
            text = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()
            if len(text) > RECORD:
                raise CannotWrite(f"a record of {len(text)} bytes: {RECORD} are read", position=row["ref"])
            stream.write(b",\n" * (count > 0) + text)
            count += 1
    rest = canonical_json(envelope(count))[1:] if form.array else ""
    stream.write(f"\n]{',' if len(rest) > 1 else ''}{rest}\n".encode())


# What survives -------------------------------------------------------------------------------------------


def _again(row: Json, form: RecordForm, options: Options) -> Json | None:
    """Return the row that is read where this one is written, without own fields where they do not fit; else None."""
    for extra in dict.fromkeys((row["extra"], None)):
        try:
            record = form.record_of(row | {"extra": extra}, options)
            form.cleaned(record, options)
            return form.row_of(record, options)
        except (BadRecord, LeftOut):
            continue
    return None


def _echo(batch: pa.RecordBatch, writing: Writing, form: RecordForm) -> tuple[pa.RecordBatch, list[bool]]:
    """Return a batch as it is read again, and which rows can be written; remembered for the next column."""
    known = writing.memory.get(form.name)
    if known is None or known[0] is not batch:
        found = [_again(row, form, writing.options) for row in batch.to_pylist()]
        columns = columns_of_rows([row or {"ref": "-"} for row in found] or [{"ref": "-"}])
        echo = complete(columns, {"source": "a", "recorded_at": None}).slice(0, len(found))
        known = writing.memory[form.name] = (batch, (echo, [row is not None for row in found]))
    result: tuple[pa.RecordBatch, list[bool]] = known[1]
    return result


def carries(form: RecordForm) -> dict[str, Carry]:
    """Return what a format carries of each of its fields: what is read again."""

    def carry_of(name: str) -> Carry:
        return lambda batch, writing: _echo(batch, writing, form)[0].column(name)

    return {name: carry_of(name) for name in form.fields}


def refuses(form: RecordForm) -> Refuses:
    """Return which rows cannot be written: those that no record can hold."""
    reason = "no hash that the format carries"
    return lambda batch, writing: [(reason, ~np.array(_echo(batch, writing, form)[1], bool))]
