"""parquet, version 1: `ENTRY_SCHEMA` as Apache Parquet, nothing lost, for column engines. Source: docs/parquet.md.

One file, zstd, row groups of 131,072 rows, every page with its checksum. The footer's metadata holds under
the key `hashlib_interop` the JSON object `{"imports":[…],"version":1}`, written last. The columns, their
order and types are `model.ENTRY_SCHEMA`, to the letter: another Parquet file is not read as a list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hashlib_interop.algorithms import FINGERPRINTS
from hashlib_interop.columns import Mask, mask_of, rows_without
from hashlib_interop.errors import shown
from hashlib_interop.format import Columns, Format, Reading, Writing, whole
from hashlib_interop.model import DIGESTS, ENTRY_SCHEMA, canonical_json
from hashlib_interop.reading import SLUG
from hashlib_interop.report import Import
from hashlib_interop.row_json import parsed

KEY = b"hashlib_interop"
VERSION = 1
ROWS = 131_072
"""Rows of a row group."""

_BROKEN = (pa.ArrowException, OSError, ValueError, OverflowError)
_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999
"""Milliseconds of the years 1 to 9999, which a stamp can show."""

# Columns: what makes a row bad, by field; the types see to the rest --------------------------------------

Bad = Callable[[pa.Array], Mask]


def _other_than(*allowed: str) -> Bad:
    values = pa.array(allowed)
    return lambda column: ~mask_of(pc.is_in(column, values)) & mask_of(column.is_valid())


def _no_slug(column: pa.Array) -> Mask:
    bad = [name for name in pc.unique(column).to_pylist() if not SLUG.fullmatch(name)]
    return mask_of(pc.is_in(column, pa.array(bad, pa.string())))


def _no_stamp(column: pa.Array) -> Mask:
    millis = column.cast(pa.int64())
    return mask_of(pc.or_(pc.less(millis, _FIRST), pc.greater(millis, _LAST)))


def _no_json(column: pa.Array) -> Mask:
    texts = column.dictionary_encode()
    bad = np.array([_is_no_object(text) for text in texts.dictionary.to_pylist()], bool)
    return mask_of(pa.array(bad, pa.bool_()).take(texts.indices))


def _is_no_object(text: str) -> bool:
    try:
        value = parsed(text.encode())
        return not value or canonical_json(value) != text
    except ValueError:
        return True


def _items(bad: Bad) -> Bad:
    """Return a check of a list column by a check of its items; a null item is bad by itself."""

    def check(column: pa.ListArray) -> Mask:
        items = column.flatten()
        found = bad(items) | mask_of(items.is_null())
        rows = np.zeros(len(column), bool)
        rows[pc.list_parent_indices(column).to_numpy()[found]] = True
        return rows

    return check


def _members(*needed: str, **checks: Bad) -> Bad:
    """Return a check of a struct column: members that must be there, and checks of members."""

    def check(column: pa.StructArray) -> Mask:
        members = dict(zip((field.name for field in column.type), column.flatten(), strict=True))
        bad = np.zeros(len(column), bool)
        for name in needed:
            bad |= mask_of(members[name].is_null()) & mask_of(column.is_valid())
        for name, of_member in checks.items():
            bad |= of_member(members[name])
        return bad

    return check


def _no_fingerprint(items: pa.StructArray) -> Mask:
    kinds, values = items.flatten()
    bad = _other_than(*FINGERPRINTS)(kinds)
    lengths = pc.binary_length(values)
    for kind in FINGERPRINTS.values():
        if kind.width is not None:
            bad |= mask_of(pc.and_(pc.equal(kinds, kind.name), pc.not_equal(lengths, kind.width)))
    return bad


def _fine(column: pa.Array) -> Mask:
    return np.zeros(len(column), bool)


_CHECKS: dict[str, Bad] = {
    "source": _no_slug,
    "asserted_at": _no_stamp,
    "state": _other_than("active", "retracted"),
    "fingerprints": _items(_no_fingerprint),
    "media": _other_than("image", "video", "other"),
    "size": lambda column: mask_of(pc.less(column, 0)),
    "file_names": _items(_fine),
    "classifications": _items(_fine),
    "tags": _items(_fine),
    "about": _members("source", "ref", considered=_items(_fine)),
    "vote": _other_than("up", "down"),
    "handling": _members(codes=_items(_fine), audience=_items(_fine), caveats=_items(_fine)),
    "extra": _no_json,
    "recorded_at": _no_stamp,
    "evidence": _items(_members("file", release=_no_stamp)),
}

# Reader --------------------------------------------------------------------------------------------------


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield the rows as they were written; the footer gives `reading.imports`."""
    if reading.local_path is None:
        raise reading.malformed("Parquet is read from a file, not from a stream")
    path, position = reading.local_path(), 1
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as opened:
            _check_schema(opened.schema_arrow, reading)
            reading.imports = _imports(opened.metadata.metadata or {}, reading)
            for batch in opened.iter_batches(reading.batch_rows):
                batch.validate(full=True)
                if batch.num_rows:
                    yield _checked(batch, position, reading)
                position += batch.num_rows
    except _BROKEN as error:
        raise reading.malformed(f"the Parquet file is broken or cut off ({shown(error, 120)})", position) from None


def _check_schema(found: pa.Schema, reading: Reading) -> None:
    for place, field in enumerate(ENTRY_SCHEMA):
        other = found.field(place) if place < len(found) else None
        if other is None or not other.equals(field):
            said = "nothing" if other is None else shown(other, 120)
            raise reading.malformed(f"not one of ours: column {place + 1} should be {field}, is {said}")
    if len(found) > len(ENTRY_SCHEMA):
        raise reading.malformed(f"not one of ours: unknown column {shown(found.field(len(ENTRY_SCHEMA)).name)}")


def _imports(metadata: dict[bytes, bytes], reading: Reading) -> list[Import]:
    try:
        ours = parsed(metadata[KEY])
        version = ours["version"]
        imports = [Import.from_json(value) for value in ours["imports"]]
    except (KeyError, ValueError, TypeError, AttributeError):
        raise reading.malformed(f"not one of ours: no usable {KEY.decode()} in the metadata") from None
    if version != VERSION:
        raise reading.malformed(f"made by a newer version ({shown(version)}); this one reads version {VERSION}")
    return imports


def _checked(batch: pa.RecordBatch, start: int, reading: Reading) -> Columns:
    """Return the good rows of a batch, the others rejected by their first fault."""
    refused = np.zeros(batch.num_rows, bool)
    for name, bad, reason in _faults(batch):
        for row in np.flatnonzero(bad & ~refused):
            value = None if name == "ref" else _value(batch.column(name), int(row))
            reading.reject(start + int(row), reason, field=name, value=value)
        refused |= bad
    columns = {name: batch.column(name) for name in ENTRY_SCHEMA.names}
    columns["position"] = pa.array(np.arange(start, start + batch.num_rows))
    return rows_without(columns, refused)


def _faults(batch: pa.RecordBatch) -> Iterator[tuple[str, Mask, str]]:
    nameless = mask_of(pc.equal(batch.column("ref"), ""))
    for name in DIGESTS:
        nameless &= mask_of(batch.column(name).is_null())
    yield "ref", nameless, "needs a ref or a digest"
    for name, check in _CHECKS.items():
        yield name, check(batch.column(name)), "is not a value that this field takes"


def _value(column: pa.Array, row: int) -> Any:
    try:
        return column[row].as_py()
    except (ValueError, OverflowError):
        return str(column[row].cast(pa.int64()))


# Writer --------------------------------------------------------------------------------------------------


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write row groups of `ROWS` rows, then the footer with the imports, known when the rows are through."""
    with pq.ParquetWriter(stream, ENTRY_SCHEMA, compression="zstd", write_page_checksum=True) as writer:
        waiting = ENTRY_SCHEMA.empty_table()
        for batch in batches:
            waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
            while len(waiting) >= ROWS:
                writer.write_table(waiting.slice(0, ROWS).combine_chunks(), ROWS)
                waiting = waiting.slice(ROWS)
        if len(waiting):
            writer.write_table(waiting.combine_chunks(), ROWS)
        ours = {"version": VERSION, "imports": [one.to_json() for one in writing.imports]}
        writer.add_key_value_metadata({KEY.decode(): canonical_json(ours)})


# Sniff ---------------------------------------------------------------------------------------------------


def sniff(head: bytes) -> int:
    """Claim what begins as Parquet; whether the columns are ours is seen on reading."""
    return 100 if head.startswith(b"PAR1") else 0


FORMAT = Format(
    name="parquet",
    title="hashlib-interop Parquet, lossless",
    spec="docs/parquet.md, version 1",
    sniff=sniff,
    read=read,
    write=write,
    carries={field.name: whole(field.name) for field in ENTRY_SCHEMA},
    needs_digest=False,
    delivery="delta",
    suffixes=(".parquet",),
    keeps_entries=True,
)
