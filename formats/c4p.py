"""C4ALL/C4P ReportIndex XML, versions 1 and 2 (no public specification; docs/c4p.md).

    <ReportIndex version="2.0">
      <Image> <path/> <picture/> <category/> … <hash/> <sha1Hash/> … </Image>
      <Movie> … </Movie>
    </ReportIndex>

UTF-16 mostly. `category` is of the examiner's own database: the scheme is `c4all/local`, its numbers mean nothing
elsewhere. Times are local, of an unknown zone: they stay in `extra` as they stand, and no stamp is made of them.
Paths are dropped but for the file's name, notes are dropped, unless asked for; nothing follows a path. EnCase
appends record by record: a file without its end is refused, unless `truncated=accept`. What one record looks like
is in `_c4p_record.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop.columns import columns_of_rows, mask_of
from hashlib_interop.errors import shown
from hashlib_interop.files import CHUNK
from hashlib_interop.format import Carry, Columns, Format, Option, Reading, Writing, whole
from hashlib_interop.formats._c4p_record import (
    DIGESTS,
    ELEMENTS,
    KINDS,
    NAME,
    SCHEME,
    BadRecord,
    element_xml,
    entry_of,
    hidden,
    is_code,
    last_step,
    names_of,
    own_of,
    record_xml,
)
from hashlib_interop.kernels import Mask
from hashlib_interop.model import ENTRY_SCHEMA, Json, canonical_json
from hashlib_interop.xml_records import Block, XmlRecords
from hashlib_interop.xml_scanner import RECORD, Layout

_HEAD, _END = '<ReportIndex version="2.0">', "</ReportIndex>"

# Reader --------------------------------------------------------------------------------------------------


def check_root(name: str, namespace: str, reading: Reading) -> None:
    """Refuse all but a ReportIndex."""
    if name != "ReportIndex" or namespace:
        raise reading.malformed(f"the root element is <{shown(name)}>: not a ReportIndex")


LAYOUT = Layout(tuple(KINDS), ELEMENTS, ("@version", "@source", "@dll"), check_root)


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield the records; position = number of the record."""
    reading.withhold, reading.frame = True, (_HEAD, _END)
    if reading.options.get("truncated") == "accept":
        stream = cast(BinaryIO, _Mended(stream, reading))
    records = XmlRecords(stream, reading, LAYOUT, plain=False)
    for block in records:
        _note(records.notes, reading)
        rows = list(_rows(block, reading))
        if rows:
            yield columns_of_rows(rows)
    _note(records.notes, reading)


def _note(notes: dict[str, str], reading: Reading) -> None:
    version = notes.get("@version", "not stated")
    if not re.fullmatch(r"[12](\.[0-9]+)?|not stated", version, re.ASCII):
        raise reading.malformed(f"version {shown(version)} of ReportIndex: this reader knows 1 and 2")
    for name, fact in (("@version", "version"), ("@source", "application"), ("@dll", "exporter")):
        if name in notes:
            reading.fact(fact, notes[name])


def _rows(block: Block, reading: Reading) -> Iterator[Json]:
    drop = hidden(reading.options)
    for index, (kind, *cells) in enumerate(block.rows):
        position = block.first + index
        texts = {name: text.decode() for name, text in zip(ELEMENTS, cells, strict=False) if text.strip()}
        fault = block.faults.get(index)
        if fault:
            reading.reject(position, fault[1], field=fault[0])
            continue
        try:
            yield entry_of(kind.decode(), texts, block.rest.get(index), drop, reading.dropped) | {"position": position}
        except BadRecord as bad:
            raw = _redacted(kind.decode(), texts, drop)
            reading.reject(position, bad.reason, field=bad.field, value=bad.value, raw=raw, redacted=True)


def _redacted(kind: str, texts: dict[str, str], drop: tuple[str, ...]) -> str:
    """Return a record without what is dropped by rule."""
    kept = {name: text for name, text in texts.items() if name not in drop}
    name = last_step(texts.get("fullpath", ""))
    return element_xml(kind, {"fullpath": name} | kept if name else kept)


class _Mended:
    """A file that may lack its end, given an end after its last whole record; `truncated` is a fact then.

    Where not even one record is whole, it is left as it is, and refused as any file that is cut off.
    """

    _RECORD_END = re.compile(rb".*</(?:Image|Movie)\s*>", re.DOTALL)

    def __init__(self, stream: BinaryIO, reading: Reading) -> None:
        self._stream, self._reading = stream, reading
        self._ready, self._held, self._records, self._ended = bytearray(), bytearray(), False, False

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes; none at the end."""
        while not self._ready and not self._ended:
            self._fill()
        data = bytes(self._ready[:size])
        del self._ready[:size]
        return data

    def _fill(self) -> None:
        data = self._stream.read(CHUNK)
        self._held += data
        whole = self._RECORD_END.match(self._held)
        if whole or len(self._held) > RECORD:
            self._records |= whole is not None
            end = whole.end() if whole else len(self._held)
            self._ready += self._held[:end]
            del self._held[:end]
        if not data:
            self._ended = True
            self._ready += self._tail()

    def _tail(self) -> bytes:
        if not self._records or _END[:-1].encode() in self._held:
            return bytes(self._held)
        left = len(self._held.strip())
        self._reading.fact("truncated", f"the end is missing; {left:,} bytes after the last whole record left out")
        return _END.encode()


# Writer --------------------------------------------------------------------------------------------------


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write version 2 in UTF-16LE with a byte order mark, as EnCase does; ids count from 1."""
    stream.write(f'\ufeff<?xml version="1.0" encoding="utf-16"?>\r\n{_HEAD}\r\n'.encode("utf-16-le"))
    number = 0
    for batch in batches:
        rows = batch.to_pylist()
        texts = [record_xml(row, number + index) for index, row in enumerate(rows, 1)]
        stream.write("".join(texts).encode("utf-16-le"))
        number += len(rows)
    stream.write(_END.encode("utf-16-le"))


def _refuses(batch: pa.RecordBatch, writing: Writing) -> list[tuple[str, Mask]]:
    known = mask_of(pc.is_in(batch.column("media"), pa.array([*KINDS.values()])))
    return [("neither an image nor a video", ~known)]


def _by_row(field: str, value_of: Any, names: tuple[str, ...]) -> Carry:
    """Carry what `value_of` gives for each row, made of some columns, and of what is dropped by rule."""

    def carry(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
        drop = hidden(writing.options)
        rows = batch.select(list(names)).to_pylist()
        return pa.array([value_of(row, drop) or None for row in rows], ENTRY_SCHEMA.field(field).type)

    return carry


def _codes(row: Json, drop: tuple[str, ...]) -> list[Json]:
    found = [c for c in row["classifications"] or () if c["scheme"] == SCHEME and is_code(c["code"])]
    return found[:1]


def _extra(row: Json, drop: tuple[str, ...]) -> str | None:
    own = own_of(row, drop)
    return canonical_json({NAME: own}) if own else None


_PARTS = ("extra", "md5", "file_names")
CARRIES: dict[str, Carry] = {
    **{name: whole(name) for name, _ in DIGESTS.values()},
    "media": whole("media"),
    "size": whole("size"),
    "file_names": _by_row("file_names", names_of, _PARTS),
    "classifications": _by_row("classifications", _codes, ("classifications",)),
    "extra": _by_row("extra", _extra, _PARTS),
}

# Sniff ---------------------------------------------------------------------------------------------------

_ROOT = re.compile(rb"\s*+(?:(?:<\?.*?\?>|<!--.*?-->)\s*+)*+<ReportIndex[\s/>]", re.DOTALL)


def sniff(head: bytes) -> int:
    """Claim the root `ReportIndex`, in UTF-8 or, with its byte order mark, UTF-16."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.decode("utf-16", "ignore").encode("utf-8", "ignore")
    return 95 if _ROOT.match(head) else 0


FORMAT = Format(
    name=NAME,
    title="C4ALL/C4P ReportIndex XML",
    spec="not public; C4ALL @ b952d72 and other exporters",
    sniff=sniff,
    read=read,
    write=write,
    carries=CARRIES,
    refuses=_refuses,
    suffixes=(".c4p.xml",),
    options=(
        Option("truncated", "accept: read the whole records of a file that lacks its end, and say so"),
        Option("paths", "yes: keep paths"),
        Option("free_text", "yes: keep notes"),
    ),
)
