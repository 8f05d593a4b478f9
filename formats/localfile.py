"""pytx's LocalFile exchange: a signal a line, `TYPE VALUE`; or the value alone where the user says the type.

Source: docs/localfile.md (facebook/ThreatExchange, exchanges/impl/file_api.py). TYPE is the name of a signal
type of pytx. Types that are a text, an address or a query are no hashes: dropped and counted; a type that is not
known is kept in `extra`. A line is an entry, so of an entry one signal is written: the strongest, or that of the option.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import pyarrow as pa

from hashlib_interop.columns import columns_of_rows
from hashlib_interop.delimited import Dialect, Rows, read_rows
from hashlib_interop.errors import BadOption, shown
from hashlib_interop.format import Columns, Format, Option, Reading, Writing
from hashlib_interop.formats._json_pages import (
    BadRecord,
    LeftOut,
    Options,
    RecordForm,
    carries,
    own_extra,
    put_aside,
    refuses,
)
from hashlib_interop.formats._signals import Signal, chosen, signal_row
from hashlib_interop.model import Json

NAME = "localfile"
LINES = Dialect(delimiter="\x1f", quote=None)
SIGNALS = (
    Signal("video_sha256", "sha256", "video", only=("video",)),
    Signal("video_md5", "md5", "video", only=("video",)),
    Signal("pdq", "pdq"),
)
NO_HASH = ("raw_text", "url", "trend_query")
_OTHERS = ("url_md5", "vpdq", "pdq_ocr", "raw_text_tlsh", "tlsh_pdf", *NO_HASH)
"""Other names of pytx's types, by which a file is known."""

# Reader --------------------------------------------------------------------------------------------------


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield a row a line; position = line."""
    kind = _kind(reading)
    for rows in read_rows(stream, reading, LINES, ["line"])[1]:
        found = [row for index in range(len(rows.lines)) if (row := _row(rows, index, kind, reading))]
        if found:
            yield columns_of_rows(found)


def _kind(reading: Reading) -> str | None:
    kind = reading.options.get("type")
    if kind is not None and kind not in [*(signal.name for signal in SIGNALS), *_OTHERS]:
        raise BadOption(f"no type {shown(kind)}; known: {', '.join(signal.name for signal in SIGNALS)}", file=reading.name)
    return kind


def _row(rows: Rows, index: int, kind: str | None, reading: Reading) -> Json | None:
    text, line = rows.columns[0][index].as_py().strip(), int(rows.lines[index])
    if not text:
        reading.drop("empty line")
        return None
    try:
        return row_of(_record(text, kind), reading.options) | {"position": line}
    except LeftOut as error:
        reading.drop(str(error))
    except BadRecord as error:
        reading.reject(line, str(error), field=error.field, value=error.value, raw=rows.raw(index))
    return None


def _record(text: str, kind: str | None) -> Json:
    """Return type and value of a line, parted at the first space. With a type said, all of the line is the value."""
    name, _, value = (kind, "", text) if kind else text.partition(" ")
    if not value:
        raise BadRecord("a value without its type: say which, --option type=pdq", "line", text)
    return {"type": name, "value": value}


def row_of(record: Json, options: Options) -> Json:
    """Return the row that type and value say."""
    name, value = record["type"], record["value"]
    row = signal_row(SIGNALS, NO_HASH, name, value, name)
    return row or {"ref": f"{name}:{value}", "extra": put_aside(NAME, record)}


# Writer --------------------------------------------------------------------------------------------------


def record_of(row: Json, options: Options) -> Json:
    """Return type and value to write; `BadRecord` where a row has none, or a line cannot hold them."""
    own = own_extra(row, NAME)
    found: Any = chosen(row, SIGNALS, options) or (own.get("type"), own.get("value"))
    if not all(isinstance(part, str) and part and part.isprintable() for part in found):
        raise BadRecord("no hash")
    record = dict(zip(("type", "value"), found, strict=True))
    if _record(" ".join(found).strip(), None) != record:
        raise BadRecord("no line can hold this")
    return record


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write `TYPE VALUE`, LF at line ends."""
    for batch in batches:
        records = (record_of(row, writing.options) for row in batch.to_pylist())
        stream.write("".join(f"{record['type']} {record['value']}\n" for record in records).encode())


FORM = RecordForm(
    name=NAME,
    array=None,
    wanted="lines of TYPE VALUE",
    row_of=row_of,
    record_of=record_of,
    fields=("ref", "md5", "sha256", "fingerprints", "media", "extra"),
)

# Sniff ---------------------------------------------------------------------------------------------------

_NAMES = frozenset([*(signal.name for signal in SIGNALS), *_OTHERS])


def sniff(head: bytes) -> int:
    """Claim lines that all begin with the name of a signal type."""
    lines = head.split(b"\n")
    if len(lines) > 1:
        lines.pop()
    parts = [line.decode("latin-1").strip().partition(" ") for line in lines if line.strip()]
    return 70 if parts and all(name in _NAMES and value for name, _, value in parts) else 0


FORMAT = Format(
    name=NAME,
    title="pytx LocalFile, a signal a line",
    spec="facebook/ThreatExchange file_api.py",
    sniff=sniff,
    read=read,
    write=write,
    carries=carries(FORM),
    needs_digest=False,
    refuses=refuses(FORM),
    unit="line",
    suffixes=(".signals.txt",),
    options=(Option("type", "reader: of values that stand alone; writer: the only type to write"),),
)
