"""What a format can carry of a batch, and exactly what is lost: the projection that writers rely on.

`project` is one function for all formats, so that the losses are the difference between what was there
and what is written, never a second opinion.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop.algorithms import ALGORITHMS
from hashlib_interop.columns import keep_items, mask_of, strongest_refs
from hashlib_interop.errors import shown
from hashlib_interop.format import Carry, Format, Refuses, Writing
from hashlib_interop.handling import ALL, codes_of, labels_in, restrictions
from hashlib_interop.kernels import Mask
from hashlib_interop.model import ENTRY_SCHEMA, IDENTITY_FIELDS, canonical_json
from hashlib_interop.report import Loss
from hashlib_interop.schemes import only_known

NOT_CARRIED = "not carried"
CHANGED = "carried in part"
_RECORD_FIELDS = {"source", "ref", "seq", "state", "recorded_at", "evidence"}


class Losses:
    """Losses by field and reason, each with its count and first example."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Loss] = {}
        self._sources: set[str] = set()
        self._rows = 0

    def add(self, field: str, reason: str, count: int, example: object) -> None:
        """Count a loss."""
        if not count:
            return
        loss = self._found.setdefault(
            (field, reason), Loss(field=field, reason=reason, count=0, example=shown(example))
        )
        loss.count += count

    def saw_sources(self, column: pa.Array) -> None:
        """Note who the rows are from: attribution is lost only where there was more than one source."""
        self._sources.update(pc.unique(column).to_pylist())
        self._rows += len(column)

    def __iter__(self) -> Any:
        return iter(sorted([*self._found.values(), *self._attribution()], key=lambda x: (x.field, x.reason)))

    def _attribution(self) -> list[Loss]:
        if len(self._sources) < 2:
            return []
        names = ", ".join(sorted(self._sources))
        return [Loss(field="source", reason=NOT_CARRIED, count=self._rows, example=shown(names))]

    def __len__(self) -> int:
        return len(list(iter(self)))


def project(batch: pa.RecordBatch, format: Format, writing: Writing, losses: Losses) -> pa.RecordBatch:
    """Return the rows and values of a batch that `format` carries; add the rest to `losses`."""
    kept = batch.filter(pa.array(_writable(batch, format, writing, losses)))
    if not kept.num_rows:
        return kept
    columns = {field.name: _carried(kept, field, format, writing) for field in ENTRY_SCHEMA}
    if "ref" not in format.carries:
        columns["ref"] = pc.coalesce(strongest_refs(columns, kept.num_rows), kept.column("ref"))
    result = pa.RecordBatch.from_arrays([columns[name] for name in ENTRY_SCHEMA.names], schema=ENTRY_SCHEMA)
    _count(kept, result, format, losses)
    return result


def _carried(batch: pa.RecordBatch, field: pa.Field, format: Format, writing: Writing) -> pa.Array:
    carry = format.carries.get(field.name)
    if carry is not None:
        return carry(batch, writing)
    if field.name == "seq":
        return pa.array(np.zeros(batch.num_rows, np.int64))
    if field.name in _RECORD_FIELDS:
        return batch.column(field.name)
    return pa.nulls(batch.num_rows, field.type)


def _writable(batch: pa.RecordBatch, format: Format, writing: Writing, losses: Losses) -> Mask:
    """Return the rows that the format can hold at all, and count the others as lost records."""
    left = np.ones(batch.num_rows, bool)
    for reason, bad in _reasons(batch, format, writing):
        hit = left & bad
        if hit.any():
            example = batch.column("ref")[int(np.flatnonzero(hit)[0])].as_py()
            losses.add("record", reason, int(hit.sum()), example)
        left &= ~bad
    return left


def _reasons(batch: pa.RecordBatch, format: Format, writing: Writing) -> list[tuple[str, Mask]]:
    retracted = mask_of(pc.equal(batch.column("state"), "retracted"))
    speaks_of = mask_of(batch.column("about").is_valid())
    none, reasons = np.zeros(batch.num_rows, bool), []
    if "state" not in format.carries:
        reasons.append(("a retraction has no place in this format", retracted))
    if "about" not in format.carries:
        reasons.append(("a vote or decision has no place in this format", speaks_of))
    for name in format.needs:
        reasons.append((f"the format needs {name}", ~mask_of(batch.column(name).is_valid()) & ~speaks_of))
    reasons += _restricted(batch, format, writing)
    unmarked = f"only known as an ordinary file, which {format.name} cannot say: --known-files writes it all the same"
    reasons.append((unmarked, _unmarked(batch, format, writing)))
    if format.refuses:
        reasons += _refused(batch, format.refuses, ~np.logical_or.reduce([none, *(bad for _, bad in reasons)]), writing)
    if format.needs_digest:
        held = np.zeros(batch.num_rows, bool)
        for name in ALGORITHMS:
            if name in format.carries:
                held |= mask_of(batch.column(name).is_valid())
        reasons.append(("no digest that the format carries", ~held & ~retracted & ~speaks_of))
    return reasons


def _refused(batch: pa.RecordBatch, refuses: Refuses, free: Mask, writing: Writing) -> list[tuple[str, Mask]]:
    """Return what a format refuses of the rows that are free: it remembers those that it lets pass, as written."""
    if free.all():
        return refuses(batch, writing)
    found = []
    for reason, bad in refuses(batch.filter(pa.array(free)), writing) if free.any() else []:
        rows = np.zeros(batch.num_rows, bool)
        rows[free] = bad
        found.append((reason, rows))
    return found


def _restricted(batch: pa.RecordBatch, format: Format, writing: Writing) -> list[tuple[str, Mask]]:
    """Return the rows with a restriction that the format cannot say, by what it is, unless it may be dropped."""
    labels = batch.column("handling")
    if labels.null_count == len(labels) or ALL in writing.drop_handling:
        return []
    carry = format.carries.get("handling")
    kept = carry(batch, writing) if carry else pa.nulls(len(labels), labels.type)
    found: dict[str, Mask] = {}
    for row, (before, after) in enumerate(zip(labels_in(labels), labels_in(kept), strict=True)):
        if before is None or before == after:
            continue
        lost = sorted({*restrictions(before)} - {*codes_of(after)} - writing.drop_handling)
        if lost:
            found.setdefault(", ".join(lost), np.zeros(len(labels), bool))[row] = True
    cannot = f"which {format.name} cannot say: --drop-handling takes it off"
    return [(f"restricted by {shown(codes)}, {cannot}", rows) for codes, rows in found.items()]


def _unmarked(batch: pa.RecordBatch, format: Format, writing: Writing) -> Mask:
    """Tell which rows only say that a file is known, and would not say even that."""
    only = np.zeros(batch.num_rows, bool) if writing.known_files else only_known(batch.column("classifications"))
    carry = format.carries.get("classifications")
    if only.any() and carry:
        only &= mask_of(carry(batch, writing).is_null())
    return only


def _count(before: pa.RecordBatch, after: pa.RecordBatch, format: Format, losses: Losses) -> None:
    if not format.keeps_entries:
        losses.saw_sources(before.column("source"))
    for field in IDENTITY_FIELDS:
        if field.name == "source":
            continue
        old, new = before.column(field.name), after.column(field.name)
        if old.equals(new):
            continue
        lost = ~(_derived(before) if field.name == "ref" else np.zeros(len(old), bool)) & ~_same(old, new)
        gone = mask_of(new.is_null()) if field.name in format.carries else np.ones(len(old), bool)
        hint = f": {format.hints[field.name]}" if field.name in format.hints else ""
        for rows, reason in ((lost & gone, NOT_CARRIED), (lost & ~gone, CHANGED)):
            if rows.any():
                example = old[int(np.flatnonzero(rows)[0])].as_py()
                losses.add(field.name, reason + hint, int(rows.sum()), _example(example))


def _derived(batch: pa.RecordBatch) -> Mask:
    """Return the rows whose ref is only their strongest digest: the digest says it, so it cannot be lost alone."""
    own = strongest_refs({name: batch.column(name) for name in ALGORITHMS}, batch.num_rows)
    return mask_of(pc.equal(own, batch.column("ref")))


def _same(old: pa.Array, new: pa.Array) -> Mask:
    if pa.types.is_nested(old.type):
        return np.array([a == b for a, b in zip(old.to_pylist(), new.to_pylist(), strict=True)], bool)
    both_null = mask_of(old.is_null()) & mask_of(new.is_null())
    return both_null | mask_of(pc.equal(old, new))


def _example(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return " ".join(":".join(_example(part) for part in item.values()) for item in value)
    return str(value)


# Carry rules that several formats share -----------------------------------------------------------------


def schemes(allowed: Callable[[str, Writing], bool], most: int | None = None) -> Carry:
    """Carry classifications of the schemes that are allowed, at most `most` a row (the first in order)."""

    def carry(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
        lists = batch.column("classifications")
        names = lists.flatten().field("scheme")
        fine = {name for name in pc.unique(names).to_pylist() if allowed(name, writing)}
        kept = keep_items(lists, mask_of(pc.is_in(names, pa.array(sorted(fine), pa.string()))))
        return kept if most is None else first_items(kept, most)

    return carry


def kinds(*allowed: str, most_each: int = 1) -> Carry:
    """Carry fingerprints of these kinds, at most `most_each` of a kind a row (the first in order)."""

    def carry(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
        lists = batch.column("fingerprints")
        names = lists.flatten().field("kind")
        keep = mask_of(pc.is_in(names, pa.array(sorted(allowed), pa.string())))
        rows = pc.list_parent_indices(lists).to_numpy()
        repeat = np.zeros(len(names), bool)
        texts = names.to_numpy(zero_copy_only=False)
        if len(names) > most_each:
            step = most_each
            repeat[step:] = (rows[step:] == rows[:-step]) & (texts[step:] == texts[:-step])
        return keep_items(lists, keep & ~repeat)

    return carry


def first_items(lists: pa.ListArray, most: int) -> pa.ListArray:
    """Return a list column with at most the first `most` items a row."""
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
    if not (lengths > most).any():
        return lists
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    return keep_items(lists, np.arange(int(lengths.sum())) - starts < most)


def texts_without(name: str, *forbidden: str, most: int | None = None) -> Carry:
    """Carry a text or list of texts, except texts that hold a forbidden character or outer white space."""

    def carry(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
        column = batch.column(name)
        texts = column.flatten() if pa.types.is_list(column.type) else column
        fine = mask_of(pc.equal(pc.utf8_trim_whitespace(texts), texts))
        for character in forbidden:
            fine &= ~mask_of(pc.match_substring(texts, character))
        if not pa.types.is_list(column.type):
            return pc.if_else(pa.array(fine), column, pa.scalar(None, pa.string()))
        kept = keep_items(column, fine)
        return kept if most is None else first_items(kept, most)

    return carry


def own_extra(name: str) -> Carry:
    """Carry of `extra` only what a reader of the same format put there."""

    def carry(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
        column = batch.column("extra")
        if column.null_count == len(column):
            return column
        distinct = column.dictionary_encode()
        own = pa.array([_own(text, name) for text in distinct.dictionary.to_pylist()], pa.string())
        return own.take(distinct.indices)

    return carry


def _own(text: str, name: str) -> str | None:
    import json

    value = json.loads(text).get(name)
    return canonical_json({name: value}) if value else None


def whole_seconds(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
    """Carry `asserted_at` cut to the second."""
    return pc.floor_temporal(batch.column("asserted_at"), unit="second").cast(ENTRY_SCHEMA.field("asserted_at").type)
