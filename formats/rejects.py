"""Refused records, mended: what `--rejects FILE` wrote, read again (JSON Lines, one refused record a line).

Spec: docs/rejects.md, version 1. Mend the text in `raw` and give the file to `merge` or `convert` like any
other list: each record is read by the reader of its format (`format`, `options`) in the `frame` of its file, as a
record of its own `source` and `release`. A line that cannot be read again is refused again.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime
from typing import Any, BinaryIO, cast, get_args

import pyarrow as pa
from pydantic import ValidationError

from hashlib_interop.columns import constant
from hashlib_interop.errors import InteropError, MalformedInput, shown
from hashlib_interop.format import Columns, Delivery, Format, Reading
from hashlib_interop.model import STAMP, slug
from hashlib_interop.report import Reject

LINE = 16 << 20


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield the mended records, one batch a line; position = line."""
    position = 0
    while line := stream.readline(LINE + 1):
        position += 1
        if len(line) > LINE:
            raise reading.malformed(f"longer than {LINE} bytes", position)
        if not line.endswith(b"\n"):
            raise reading.malformed("the file is cut off: the line has no end", position)
        yield from _again(line, position, reading)


def _again(line: bytes, position: int, reading: Reading) -> Iterator[Columns]:
    try:
        reject = Reject.model_validate_json(line)
        slug(reject.source or reading.source)
    except ValidationError as error:
        reading.reject(position, f"not a refused record: {shown(error.errors()[0]['msg'])}", raw=line)
        return
    except ValueError as error:
        reading.reject(position, str(error), field="source", value=reject.source, raw=line)
        return
    try:
        found = list(_columns(reject, position, reading))
    except InteropError as error:
        again = {"file": reading.name, "position": position, "unit": "line", "reason": f"still: {error.message}"}
        reading.refuse(reject.model_copy(update=again))
        return
    yield from found


def _columns(reject: Reject, position: int, reading: Reading) -> Iterator[Columns]:
    """Read one record as a file of its own. Raises where it is refused again."""
    if not (reject.raw and reject.frame and reject.source):
        raise MalformedInput("the text of the record was not kept: mend it in the file it came from")
    before, after = reject.frame
    inner = _inner(reject, reading)
    _remember(reject, reading)
    text = cast(io.RawIOBase, io.BytesIO(f"{before}{reject.raw}{after}".encode()))
    for columns in _reader(reject)(io.BufferedReader(text), inner):
        count = len(columns["position"])
        columns["position"] = pa.array([position] * count, pa.int64())
        columns["source"] = constant(reject.source, pa.string(), count)
        columns["release"] = constant(reject.release, STAMP, count)
        yield columns
    for what, count in inner.dropped.items():
        reading.drop(what, count)


def _reader(reject: Reject) -> Any:
    from hashlib_interop.formats import FORMATS

    format = FORMATS[reject.format or ""]
    if format.read is None or format.name == "rejects":
        raise MalformedInput(f"{format.name} cannot be read record by record")
    return format.read


def _inner(reject: Reject, reading: Reading) -> Reading:
    def refuse(again: Reject) -> None:
        raise MalformedInput(f"{again.field or 'record'}: {again.reason}")

    return Reading(
        name=reading.name, source=str(reject.source), options=reject.options, on_reject=refuse, release=reject.release
    )


def _remember(reject: Reject, reading: Reading) -> None:
    """Note how the source delivers, for the import of these records."""
    if reject.delivery is not None and reject.delivery not in get_args(Delivery):
        raise MalformedInput(f"no delivery is called {shown(reject.delivery)}")
    from hashlib_interop.formats import FORMATS

    key: tuple[str, datetime | None] = (str(reject.source), reject.release)
    usual = FORMATS[reject.format or ""].delivery
    reading.deliveries[key] = cast(Delivery, reject.delivery or usual)


def sniff(head: bytes) -> int:
    """Claim JSON Lines whose first object has the keys of a refused record."""
    first = head.split(b"\n")[0]
    return 95 if first.startswith(b'{"file":') and b'"position":' in first and b'"reason":' in first else 0


FORMAT = Format(
    name="rejects",
    title="Refused records, mended, to be read again",
    spec="docs/rejects.md, version 1",
    sniff=sniff,
    read=read,
    unit="line",
    delivery="delta",
)

