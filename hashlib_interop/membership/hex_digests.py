"""Digests out of lists of bare hex, at the speed of reading; `formats/plain.py` says what such a list is."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from hashlib_interop.columns import mask_of
from hashlib_interop.errors import BadDigest, shown
from hashlib_interop.format import Reading
from hashlib_interop.formats import plain
from hashlib_interop.membership import sorting
from hashlib_interop.membership.digest_keys import Keys, keys_of
from hashlib_interop.membership.entry_digests import Wanted
from hashlib_interop.membership.hset_file import WIDTHS
from hashlib_interop.membership.hset_payload import Batch, Sets
from hashlib_interop.membership.text_lines import Numbers, lines_at, whole_lines
from hashlib_interop.model import DIGESTS
from hashlib_interop.reading import Reader
from hashlib_interop.report import Reject


def of_hex_lines(stream: BinaryIO, algorithm: str) -> Iterator[Batch]:
    """Yield the digests of an open file of bare hex, one a line; empty lines are passed over.

    `BadDigest` names the first line that is none.
    """
    line = 1
    for data in whole_lines(stream, Reading("hex lines", "bare", unit="line")):
        found = sorting.hex_lines(data, WIDTHS[algorithm])
        if found.bad_offset is not None:
            text = lines_at(data, np.array([found.bad_offset]))[0]
            raise BadDigest(f"line {line + found.lines}: not hex of {algorithm}: {shown(text)}")
        line += found.lines
        if len(found.digests):
            yield Batch(algorithm, found.digests)


def of_plain(reader: Reader, algorithm: str, wanted: Wanted) -> Iterator[Batch]:
    """Yield the digests of a plain list whose bare hashes are of an algorithm; the count of bad lines is returned.

    Lines of nothing but hex are decoded together; the others, which are few, are read as every plain list is, and
    refused as there.
    """
    reading = _reading(reader)
    with reader.input.stream(reader.progress, reader.options.get("encoding")) as stream:
        line = 1
        for data in whole_lines(stream, reading):
            found = sorting.hex_lines(data, WIDTHS[algorithm], skip_bad=True)
            columns = {algorithm: found.digests} if len(found.digests) else {}
            yield from _batches(columns, len(found.digests), reader, wanted)
            if len(found.bad_numbers):
                lines = lines_at(data, found.bad_starts)
                yield from _others(lines, line + found.bad_numbers, algorithm, reader, reading, wanted)
            line += found.lines
            reading.drop("comment", found.empty)
        while reader.input.compression and stream.read(1 << 20):
            pass
    reader.refused[reader.source, reader.release] += reading.rejected
    for what, count in reading.dropped.items():
        wanted.leave_out(f"values dropped on read ({what})", count)


def _reading(reader: Reader) -> Reading:
    """Return where refusals go: said with their format and source, so that they can be read again."""
    told = {"format": reader.format.name, "source": reader.source, "options": dict(reader.options)}

    def refuse(reject: Reject) -> None:
        if reader.on_reject:
            reader.on_reject(reject.model_copy(update=told))

    return Reading(
        reader.input.name,
        reader.source,
        "line",
        reader.options,
        max_rejects=reader.max_rejects,
        on_reject=refuse,
    )


def _others(
    lines: list[bytes], numbers: Numbers, algorithm: str, reader: Reader, reading: Reading, wanted: Wanted
) -> Iterator[Batch]:
    def refuse(reject: Reject) -> None:
        reading.refuse(reject.model_copy(update={"position": int(numbers[reject.position - 1])}))

    options = {**reader.options, "algorithm": algorithm}
    part = Reading(reading.name, reading.source, "line", options, on_reject=refuse)
    for columns in plain.read(io.BytesIO(b"\n".join(lines) + b"\n"), part):
        found = {name: _held(columns[name]) for name in DIGESTS if name in columns}
        yield from _batches(found, len(columns["position"]), reader, wanted)
    reading.dropped += part.dropped


def _held(column: pa.Array) -> Keys:
    keys, _ = keys_of(column)
    return np.ascontiguousarray(keys[mask_of(column.is_valid())])


def _batches(columns: dict[str, Keys], entries: int, reader: Reader, wanted: Wanted) -> Iterator[Batch]:
    wanted.taken(entries)
    for name, keys in columns.items():
        codes = np.zeros(len(keys), np.uint32)
        made = wanted.checked(Batch(name, keys, None, Sets(codes, ((reader.source,),)), Sets(codes, ((),))))
        if made is not None:
            yield made
