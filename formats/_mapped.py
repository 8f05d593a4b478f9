"""Reading and writing delimited text by a mapping: the part that `icse` and `columns` share.

A row is taken apart into typed columns (`_cells.py`), these are put together into fields of entries, and the
way back. What a mapping carries is by definition what comes back of an entry: put together again from what
survives its cells.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Mapping as AnyMapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop.algorithms import ALGORITHMS, FINGERPRINTS
from hashlib_interop.columns import (
    constant,
    fingerprinted,
    lengths_of,
    list_of,
    mask_of,
    rows_without,
    strongest_refs,
)
from hashlib_interop.delimited import Rows, read_rows, spreadsheet_plain, spreadsheet_safe, write_rows
from hashlib_interop.format import Carry, Columns, Reading, Writing
from hashlib_interop.formats._cells import (
    codes_of_labels,
    labels_of,
    read_cells,
    reason,
    survivors,
    write_cells,
)
from hashlib_interop.formats._mapping import KINDS, LISTS, TEXTS, WIDTHS, Column, Mapping
from hashlib_interop.kernels import Mask
from hashlib_interop.model import CLASSIFICATION, ENTRY_SCHEMA, FLAGS, canonical_json

SAFE = "spreadsheet_safe"
_NO_TEXT = pa.scalar(None, pa.string())
_FREE_TEXT = (*TEXTS, *LISTS, "classification", "extra", *(kind for kind in KINDS if kind not in WIDTHS))

MappingOf = Callable[[AnyMapping[str, Any]], Mapping]
"""Given the options of a reader or writer, the mapping that they name."""


class _Part(NamedTuple):
    """A column of the file in hand: its name in the header, what it is, its values."""

    name: str
    column: Column
    values: pa.Array


# Reader --------------------------------------------------------------------------------------------------


def read_mapped(stream: BinaryIO, reading: Reading, owner: str, mapping: Mapping) -> Iterator[Columns]:
    """Yield the rows of a file. `owner` is the name of the format in `extra`."""
    names, parts = read_rows(
        stream, reading, mapping.dialect, None if mapping.header else list(mapping.columns)
    )
    reading.delivery = reading.delivery or mapping.delivery
    plan = _plan(names, mapping, reading)
    for rows in parts:
        columns = _entries(rows, plan, mapping, owner, reading)
        if len(columns["position"]):
            yield columns


def _plan(names: list[str], mapping: Mapping, reading: Reading) -> list[tuple[str, Column]]:
    """Return what each column of the file is; raise where one is missing, or not wanted."""
    known = {name.casefold(): (name, column) for name, column in mapping.columns.items()}
    present = {name.casefold() for name in names}
    missing = [n for n, c in mapping.columns.items() if n.casefold() not in present and not c.optional]
    if missing:
        raise reading.malformed(f"the header lacks {', '.join(missing)}", 1)
    strange = [name for name in names if name.casefold() not in known]
    if strange and mapping.unmapped == "refuse":
        raise reading.malformed(f"the mapping does not know the columns {', '.join(map(ascii, strange))}", 1)
    other = Column(field="extra" if mapping.unmapped == "extra" else "drop")
    plan = [known.get(name.casefold(), (name, other)) for name in names]
    reading.withhold = any(column.field == "drop" for _, column in plan)
    return plan


def _entries(
    rows: Rows, plan: list[tuple[str, Column]], mapping: Mapping, owner: str, reading: Reading
) -> Columns:
    parts, bad = [], np.zeros(len(rows.lines), bool)
    faults: list[tuple[int, str | None, str, str | None]] = []
    for (name, column), texts in zip(plan, rows.columns, strict=True):
        if column.field == "drop":
            reading.drop(name or "unnamed column", int(pc.sum(pc.not_equal(texts, "")).as_py() or 0))
            continue
        plain = spreadsheet_plain(texts) if _safe(reading.options) and column.field in _FREE_TEXT else texts
        values, wrong = read_cells(column, plain)
        faults += [
            (int(row), name, reason(column), texts[int(row)].as_py()) for row in np.flatnonzero(wrong & ~bad)
        ]
        bad |= wrong
        parts.append(_Part(name, column, values))
    columns = assembled(parts, mapping, owner, len(rows.lines))
    nameless = ~bad & _nameless(columns)
    faults += [(int(row), None, "no digest and no record id", None) for row in np.flatnonzero(nameless)]
    for row, field, why, value in sorted(faults, key=lambda fault: fault[0]):
        raw = _raw(rows, row, plan, mapping)
        reading.reject(int(rows.lines[row]), why, field=field, value=value, raw=raw, redacted=True)
    return rows_without(columns | {"position": pa.array(rows.lines)}, bad | nameless)


def _raw(rows: Rows, row: int, plan: list[tuple[str, Column]], mapping: Mapping) -> bytes:
    """Return a record as it stood, but for the cells that are dropped by rule: these are empty."""
    dropped = [column.field == "drop" for _, column in plan]
    if not any(dropped):
        return rows.raw(row)
    pairs = zip(dropped, rows.columns, strict=True)
    written = io.BytesIO()
    write_rows(written, [pa.array([""]) if drop else texts[row : row + 1] for drop, texts in pairs], mapping.dialect)
    return written.getvalue().rstrip(b"\n")


def _nameless(columns: Columns) -> Mask:
    held = np.zeros(len(next(iter(columns.values()))), bool)
    for name in ("ref", *ALGORITHMS):
        held |= mask_of(columns[name].is_valid()) if name in columns else False
    return ~held


# Putting together ----------------------------------------------------------------------------------------


def assembled(parts: list[_Part], mapping: Mapping, owner: str, count: int) -> Columns:
    """Return typed columns, and the constants of the mapping, as fields of entries."""
    columns: Columns = {}
    for name, value in mapping.constants.model_dump(exclude={"classifications"}).items():
        if value:
            columns[name] = constant(value, ENTRY_SCHEMA.field(name).type, count)
    kinds, codes, extras = {}, [], {}
    for part in parts:
        field = part.column.field
        if field in FINGERPRINTS:
            kinds[field.replace("-", "_")] = part.values
        elif field == "classification":
            codes.append((str(part.column.scheme), part.values))
        elif field == "extra":
            extras[part.name] = part.values
        elif field == "handling":
            columns[field] = labels_of(part.values)
        else:
            columns[field] = part.values
    if kinds:
        columns["fingerprints"] = fingerprinted(**kinds)
    if codes or mapping.constants.classifications:
        columns["classifications"] = _classifications(codes, mapping, count)
    if extras:
        columns["extra"] = _extra(extras, owner)
    return columns


def _classifications(codes: list[tuple[str, pa.ListArray]], mapping: Mapping, count: int) -> pa.ListArray:
    rows = [pc.list_parent_indices(lists).to_numpy() for _, lists in codes]
    texts = [lists.flatten() for _, lists in codes]
    schemes = [scheme for scheme, _ in codes]
    for stated in mapping.constants.classifications:
        rows.append(np.arange(count))
        texts.append(constant(stated.code, pa.string(), count))
        schemes.append(stated.scheme)
    which = np.repeat(np.arange(len(schemes)), [len(part) for part in rows])
    row = np.concatenate(rows)
    order = np.lexsort((np.argsort(np.argsort(schemes))[which], row))  # a list is a set, in the order of its items
    pairs = pa.StructArray.from_arrays(
        [pa.array(schemes, pa.string()).take(pa.array(which)), pa.concat_arrays(texts)],
        fields=list(CLASSIFICATION),
    )
    return list_of(pairs.take(pa.array(order)), np.bincount(row, minlength=count))


def _extra(columns: dict[str, pa.StringArray], owner: str) -> pa.StringArray:
    """Return text columns as canonical JSON `{owner: {name: text}}`; null where all are."""
    members = []
    for name in sorted(columns):
        start, texts = pa.scalar(f'{canonical_json(name)}:"'), _escaped(columns[name])
        member = pc.binary_join_element_wise(start, texts, pa.scalar('",'), pa.scalar(""))
        members.append(member.fill_null("") if member.null_count else member)
    # No `null_handling="skip"`: pyarrow 26 leaves a row out where all members are null.
    inner = pc.utf8_rtrim(pc.binary_join_element_wise(*members, pa.scalar("")), ",")
    start = pa.scalar(f"{{{canonical_json(owner)}:{{")
    whole = pc.binary_join_element_wise(start, inner, pa.scalar("}}"), pa.scalar(""))
    return whole if lengths_of(inner).all() else pc.if_else(pc.equal(inner, ""), _NO_TEXT, whole)


def _escaped(texts: pa.StringArray) -> pa.StringArray:
    """Escape what JSON must; only the texts that hold such characters are looked at one by one."""
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    if not ((data < 0x20) | (data == ord('"')) | (data == ord("\\"))).any():
        return texts
    special = mask_of(pc.match_substring_regex(texts, '["\\\\\\x00-\\x1f]'))
    found = texts.filter(pa.array(special)).to_pylist()
    mended = pa.array([canonical_json(text)[1:-1] for text in found], pa.string())
    return pc.replace_with_mask(texts, pa.array(special), mended)


# Taking apart --------------------------------------------------------------------------------------------


def surviving(
    batch: pa.RecordBatch, mapping: Mapping, owner: str, fields: Iterable[str] | None = None
) -> list[_Part]:
    """Return what comes back of a batch, as the typed columns of the mapping (those of `fields`)."""
    wanted = None if fields is None else set(fields)
    forbidden = "\\x00" if mapping.quote else f"[\\x00\\r\\n\\x{ord(mapping.delimiter):02x}]"
    return [
        _Part(name, column, survivors(column, _taken(batch, name, column, owner), forbidden))
        for name, column in mapping.columns.items()
        if column.field != "drop" and (wanted is None or column.field in wanted)
    ]


def _taken(batch: pa.RecordBatch, name: str, column: Column, owner: str) -> pa.Array:
    if column.field in FINGERPRINTS:
        return _fingerprint(batch.column("fingerprints"), column.field)
    if column.field == "classification":
        return _codes(batch.column("classifications"), str(column.scheme))
    if column.field == "extra":
        return _of_extra(batch.column("extra"), owner, name)
    if column.field == "handling":
        return codes_of_labels(batch.column("handling"))
    return batch.column(column.field)


def _fingerprint(lists: pa.ListArray, kind: str) -> pa.Array:
    """Return the first value of a kind of each row; texts that are no UTF-8 are left out."""
    items, rows = lists.flatten(), pc.list_parent_indices(lists).to_numpy()
    mine = np.flatnonzero(mask_of(pc.equal(items.field("kind"), kind)))
    row, first = np.unique(rows[mine], return_index=True)
    places = np.full(len(lists), -1)
    places[row] = mine[first]
    values = items.field("value").take(pa.array(places, mask=places < 0))
    if kind in WIDTHS:
        return values.cast(pa.binary(WIDTHS[kind]))
    return pa.array([_text(value) for value in values.to_pylist()], pa.string())


def _text(value: bytes | None) -> str | None:
    try:
        return value.decode() if value else None
    except UnicodeDecodeError:
        return None


def _codes(lists: pa.ListArray, scheme: str) -> pa.ListArray:
    items, rows = lists.flatten(), pc.list_parent_indices(lists).to_numpy()
    mine = mask_of(pc.equal(items.field("scheme"), scheme))
    return list_of(items.field("code").filter(pa.array(mine)), np.bincount(rows[mine], minlength=len(lists)))


def _of_extra(column: pa.StringArray, owner: str, name: str) -> pa.StringArray:
    coded = column.dictionary_encode()
    texts = []
    for text in coded.dictionary.to_pylist():
        fields = json.loads(text).get(owner)
        value = fields.get(name) if isinstance(fields, dict) else None
        texts.append(value if isinstance(value, str) else None)
    return pa.array(texts, pa.string()).take(coded.indices)


# Writer --------------------------------------------------------------------------------------------------


def write_mapped(
    batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing, owner: str, mapping: Mapping
) -> None:
    """Write rows in the order of the mapping's columns; dropped columns stand empty."""
    if mapping.header:
        write_rows(stream, [pa.array([name]) for name in mapping.columns], mapping.dialect)
    for batch in batches:
        cells = {part.name: _cell(part, batch, writing) for part in surviving(batch, mapping, owner)}
        empty = pa.nulls(batch.num_rows, pa.string())
        write_rows(stream, [cells.get(name, empty) for name in mapping.columns], mapping.dialect)


def _cell(part: _Part, batch: pa.RecordBatch, writing: Writing) -> pa.StringArray:
    texts = write_cells(part.column, part.values)
    if part.column.field == "ref":
        derived = strongest_refs({name: batch.column(name) for name in ALGORITHMS}, batch.num_rows)
        texts = pc.if_else(pc.equal(texts, derived).fill_null(False), _NO_TEXT, texts)
    safe = _safe(writing.options) and part.column.field in _FREE_TEXT
    return spreadsheet_safe(texts) if safe else texts


def _safe(options: AnyMapping[str, Any]) -> bool:
    return str(options.get(SAFE, "no")).lower() in ("yes", "true", "1")


# What it carries -----------------------------------------------------------------------------------------


def carries(fields: Iterable[str], owner: str, mapping_of: MappingOf) -> dict[str, Carry]:
    """Return the carry rules of a format whose mapping the options decide: of these fields of an entry."""

    def rule(field: str) -> Carry:
        def carry(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
            mapping = mapping_of(writing.options)
            if field == "ref":
                return _refs(batch, mapping, owner)
            sources = {"fingerprints": KINDS, "classifications": ("classification",)}.get(field, (field,))
            parts = surviving(batch, mapping, owner, sources)
            found = assembled(parts, mapping, owner, batch.num_rows).get(field)
            if found is None:
                return pa.nulls(batch.num_rows, ENTRY_SCHEMA.field(field).type)
            return _cast(found, field)

        return carry

    return {field: rule(field) for field in fields}


def _cast(column: pa.Array, field: str) -> pa.Array:
    kind = ENTRY_SCHEMA.field(field).type
    return column if column.type == kind else column.cast(kind)


def _refs(batch: pa.RecordBatch, mapping: Mapping, owner: str) -> pa.StringArray:
    """Return the refs that come back: the record id, or the strongest digest that is written; null where neither."""
    count, names = batch.num_rows, [name for name in ALGORITHMS if name in batch.schema.names]
    written = {part.column.field: part.values for part in surviving(batch, mapping, owner, ALGORITHMS)}
    derived = strongest_refs(written, count)
    own = surviving(batch, mapping, owner, ("ref",))
    if not own:
        return derived
    was_derived = pc.equal(batch.column("ref"), strongest_refs({n: batch.column(n) for n in names}, count))
    return pc.coalesce(
        pc.if_else(was_derived.fill_null(False), derived, own[0].values), own[0].values, derived
    )


def refusals(
    owner: str, mapping_of: MappingOf
) -> Callable[[pa.RecordBatch, Writing], list[tuple[str, Mask]]]:
    """Return the rule which rows cannot be written: with no name, or without what the mapping says of all."""

    def refuses(batch: pa.RecordBatch, writing: Writing) -> list[tuple[str, Mask]]:
        mapping = mapping_of(writing.options)
        reasons = [
            (
                "no digest and no record id that the file can hold",
                mask_of(_refs(batch, mapping, owner).is_null()),
            )
        ]
        for name, value in mapping.constants.model_dump(exclude={"classifications", "tags"}).items():
            if value:
                said = mask_of(pc.equal(batch.column(name), value))
                reasons.append((f"the mapping says {name} {value} of every row, this one does not", ~said))
        for stated in mapping.constants.classifications:
            said = _has(_codes(batch.column("classifications"), stated.scheme), stated.code)
            reasons.append(
                (f"the mapping says {stated.scheme} {stated.code} of every row, this one does not", ~said)
            )
        reasons += [
            (
                f"the mapping says the tag {tag} of every row, this one does not",
                ~_has(batch.column("tags"), tag),
            )
            for tag in mapping.constants.tags
        ]
        return reasons

    return refuses


def _has(lists: pa.ListArray, text: str) -> Mask:
    held = np.zeros(len(lists), bool)
    held[pc.list_parent_indices(lists).to_numpy()[mask_of(pc.equal(lists.flatten(), text))]] = True
    return held


ENTRY_FIELDS = (
    *ALGORITHMS,
    *TEXTS,
    *LISTS,
    *FLAGS,
    "asserted_at",
    "size",
    "media",
    "fingerprints",
    "classifications",
    "extra",
)
