"""`ourlist`, made up: a first line `OURLIST 1`, then `MD5 series` a line, then `END`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from hashlib_interop.carrying import texts_without
from hashlib_interop.columns import decode_hex
from hashlib_interop.format import Columns, Format, Reading, Writing, whole

HEAD, END = b"OURLIST 1\n", b"END\n"


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield all lines at once."""
    text = stream.read()
    if not (text.startswith(HEAD) and text.endswith(END)):
        raise reading.malformed("no whole list: it begins with OURLIST 1 and ends with END")
    lines = [line.partition(" ") for line in text[len(HEAD) : -len(END)].decode("utf-8", "replace").splitlines()]
    digests, bad = decode_hex(pa.array([line[0] for line in lines], pa.string()), 16)
    for row in np.flatnonzero(bad):
        reading.reject(int(row) + 1, "no MD5", field="md5", value=lines[row][0])
    good = pa.array(np.flatnonzero(~bad))
    yield {
        "position": pa.array(np.arange(1, len(lines) + 1)).take(good),
        "md5": digests.take(good),
        "series": pa.array([line[2] or None for line in lines], pa.string()).take(good),
    }


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write a line a row."""
    stream.write(HEAD)
    for batch in batches:
        rows = batch.select(["md5", "series"]).to_pylist()
        stream.writelines(f"{row['md5'].hex()} {row['series'] or ''}".rstrip().encode() + b"\n" for row in rows)
    stream.write(END)


FORMAT = Format(
    name="ourlist",
    title="A list of our own",
    spec="tests/plugin",
    sniff=lambda head: 90 if head.startswith(HEAD) else 0,
    read=read,
    write=write,
    carries={"md5": whole("md5"), "series": texts_without("series", "\n", "\r")},
    needs=("md5",),
    suffixes=(".ourlist",),
)
