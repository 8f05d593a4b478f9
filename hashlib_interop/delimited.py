"""The envelope of delimited text (CSV, TSV, `;`): strict RFC 4180, by blocks, positions exact.

Quotes, line ends and delimiters of a block are found all at once, so that every record has its line and every
field its place; no library's idea of broken CSV comes in. What the rules are:

* LF, CRLF and CR end a line. Inside quotes they belong to the field; lines are still counted.
* A quote opens a field only at its start and closes it only before a delimiter or a line end; `""` inside
  is one quote. A record that breaks this is refused, and reading goes on at the next line, unless the
  quote was opened on an earlier line: then nothing tells which lines it swallowed, and the file is refused
  with the line where it opens.
* A record with NUL bytes, not in UTF-8, or with another number of fields than the header is refused.
* A record over 1 MiB is no record: the file is refused. So no field is longer, and memory is bounded.
* Empty lines are skipped and counted.
"""

from __future__ import annotations

import codecs
import io
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop.columns import gathered
from hashlib_interop.delimited_records import (
    LF,
    RECORD_LIMIT,
    Dialect,
    Numbers,
    Records,
    Text,
    records_in,
)
from hashlib_interop.errors import shown
from hashlib_interop.format import Reading

__all__ = ["Dialect", "Rows", "read_rows", "write_rows"]

BLOCK = 4 << 20
_OPEN_ENDED = "no line end and an empty last field: the file may be cut off here"


@dataclass
class Rows:
    """Records that have been split: one text column a field, and the line where each record starts."""

    columns: list[pa.StringArray]
    lines: Numbers
    records: Records
    numbers: Numbers

    def raw(self, row: int) -> bytes:
        """Return a record as it stood."""
        return self.records[int(self.numbers[row])]


# Blocks of a stream --------------------------------------------------------------------------------------


def read_rows(
    stream: BinaryIO, reading: Reading, dialect: Dialect, names: Sequence[str] | None = None
) -> tuple[list[str], Iterator[Rows]]:
    """Return the names of the fields and their rows, `reading.batch_rows` at most at a time.

    The names are the first record, unless they are given. Rows are refused through `reading`; raises
    `MalformedInput` for no header, a name that stands twice, or a file that cannot be trusted to its end.
    """
    blocks = _blocks(stream, reading, dialect)
    reading.frame = ("", "\n")
    if names is None:
        first = next(blocks, None)
        found = _header(first, dialect, reading)
        return found, _rows(itertools.chain([first] if first else [], blocks), len(found), dialect, reading)
    return list(names), _rows(blocks, len(names), dialect, reading)


def _blocks(stream: BinaryIO, reading: Reading, dialect: Dialect) -> Iterator[Records]:
    """Yield block after block in one buffer: what is taken from a block has to be copied before the next."""
    buffer, held, line, final = bytearray(BLOCK + RECORD_LIMIT + 1), 0, 1, False
    while not final:
        size = _filled(stream, buffer, held)
        final = size == held
        open_ended = final and size > 0 and buffer[size - 1] not in b"\r\n"
        if open_ended:
            buffer[size] = LF
            reading.fact("last line", "has no line end")
        whole = Text(buffer, size + open_ended)
        complete = records_in(whole, line, dialect, final, reading)
        found = _decoded(complete, line, dialect, reading)
        found.open_ended, line = open_ended, found.next_line
        if len(found.starts):
            yield found
        held = len(whole.data) - complete.size
        buffer[:held] = buffer[complete.size : complete.size + held]


def _filled(stream: BinaryIO, buffer: bytearray, held: int) -> int:
    """Read a block behind the first `held` bytes; return how many there are then."""
    with memoryview(buffer) as view:
        while held < BLOCK and (count := cast(io.BufferedReader, stream).readinto(view[held:BLOCK])):
            held += count
    return held


def _decoded(found: Records, line: int, dialect: Dialect, reading: Reading) -> Records:
    """Refuse the records that are not UTF-8, or read them in the fallback encoding and count them."""
    bad = _not_utf8(found)
    if not bad:
        return found
    if dialect.fallback is None:
        found.refuse(bad, "not UTF-8")
        return found
    pieces, at = [], 0
    for row in bad:
        pieces.append(found.data[at : found.starts[row]].tobytes())
        pieces.append(found[row].decode(dialect.fallback, "replace").encode())
        at = int(found.stops[row])
    pieces.append(found.data[at : found.size].tobytes())
    data = bytearray(b"".join(pieces))
    name = f"records in {dialect.fallback}"
    reading.fact(name, int(reading.facts.get(name, 0)) + len(bad))
    return records_in(Text(data, len(data)), line, dialect, True, reading)


def _not_utf8(found: Records) -> list[int]:
    """Return the records that are not UTF-8; one look at the block where all is well."""
    text = found.data[: found.size]
    if not len(text) or text.max() < 0x80 or _is_utf8(text):
        return []
    places = np.flatnonzero(text >= 0x80)
    rows = np.unique(np.searchsorted(found.starts, places, "right") - 1)
    return [int(row) for row in rows if not _is_utf8(found[int(row)])]


def _is_utf8(text: Any) -> bool:
    try:
        codecs.utf_8_decode(text, "strict", True)
    except UnicodeDecodeError:
        return False
    return True


def _header(block: Records | None, dialect: Dialect, reading: Reading) -> list[str]:
    """Return the names in the first record that is not empty, and step over it."""
    filled: Sequence[int] = np.flatnonzero(block.stops > block.starts).tolist() if block else []
    if block is None or not len(filled):
        raise reading.malformed("no header: the file is empty", 1)
    row = int(filled[0])
    line, text = int(block.lines[row]), block.data[block.starts[row] : block.stops[row]]
    if row in block.wrong or not text.all():
        raise reading.malformed(f"the header: {block.wrong.get(row, 'holds a NUL byte')}", line)
    block.first = row + 1
    reading.frame = (f"{block[row].decode()}\n", "\n")
    width = int((block.delimiters < block.stops[row]).sum()) + 1
    names = [column[0].as_py() for column in _split(block, np.array([row]), width, dialect)]
    known = Counter(name.casefold() for name in names)
    twice = [name for name in names if known[name.casefold()] > 1]
    if twice:
        raise reading.malformed(f"the header names {shown(twice[0])!r} twice", line)
    return names


# Rows ----------------------------------------------------------------------------------------------------


def _rows(blocks: Iterable[Records], width: int, dialect: Dialect, reading: Reading) -> Iterator[Rows]:
    for block in blocks:
        good = _checked_rows(block, width, dialect, reading)
        for at in range(0, len(good), reading.batch_rows):
            numbers = good[at : at + reading.batch_rows]
            yield Rows(_split(block, numbers, width, dialect), block.lines[numbers], block, numbers)


def _checked_rows(block: Records, width: int, dialect: Dialect, reading: Reading) -> Numbers:
    """Return the numbers of the records that have `width` fields; refuse the others."""
    counts = (
        np.searchsorted(block.delimiters, block.stops) - np.searchsorted(block.delimiters, block.starts) + 1
    )
    empty = block.stops == block.starts
    ends_empty = ~empty & (block.data[block.stops - 1] == ord(dialect.delimiter))
    if dialect.spare:
        spare = ends_empty & (counts == width + 1)
        counts[spare] = width
        block.stops = block.stops - spare
        ends_empty &= ~spare
    if block.open_ended and ends_empty[-1]:
        block.refuse([len(counts) - 1], _OPEN_ENDED)
    _refuse_nul(block)
    for row in np.flatnonzero((counts != width) & ~empty).tolist():
        block.refuse([row], f"{counts[row]} fields, expected {width}")
    reading.drop("empty line", int(empty[block.first :].sum()))
    good = ~empty
    good[: block.first] = False
    for row in sorted(row for row in block.wrong if row >= block.first):
        good[row] = False
        reading.reject(int(block.lines[row]), block.wrong[row], raw=block[row])
    if block.open_ended and counts[-1] < width and not empty[-1]:
        raise reading.malformed(
            f"the file is cut off: its last line has no line end, and {counts[-1]} of {width} fields; get it again",
            int(block.lines[-1]),
        )
    return np.flatnonzero(good)


def _refuse_nul(block: Records) -> None:
    places = block.text.where(0)
    rows = np.searchsorted(block.starts, places[places < block.size], "right") - 1
    block.refuse(rows, "a NUL byte")


def _split(block: Records, rows: Numbers, width: int, dialect: Dialect) -> list[pa.StringArray]:
    """Split records of `width` fields into text columns; nothing is null, nothing is stripped."""
    first = np.searchsorted(block.delimiters, block.starts[rows])
    inner = block.delimiters[first[:, None] + np.arange(width - 1)]
    edges = np.empty((len(rows), 2 * width), np.int32)
    edges[:, 0], edges[:, -1] = block.starts[rows], block.stops[rows]
    edges[:, 1:-1:2], edges[:, 2::2] = inner, inner + 1
    if block.quoted:
        quoted = block.data[edges[:, 0::2]] == ord(str(dialect.quote))
        edges[:, 0::2] += quoted
        edges[:, 1::2] -= quoted
    columns = [gathered(block.data, edges[:, 2 * field], edges[:, 2 * field + 1]) for field in range(width)]
    return [_undoubled(column, str(dialect.quote)) for column in columns] if block.quoted else columns


def _undoubled(texts: pa.StringArray, quote: str) -> pa.StringArray:
    """Make two quotes one; only fields in quotes hold any."""
    return pc.replace_substring(texts, quote * 2, quote)


# Writing -------------------------------------------------------------------------------------------------


def write_rows(stream: BinaryIO, columns: Sequence[pa.StringArray], dialect: Dialect) -> None:
    """Write text columns as records that end in LF; null is empty. Quotes stand only where they must.

    Texts must not hold NUL, nor, where the dialect has no quote, a delimiter or a line end.
    """
    cells = [_quoted(column.fill_null(""), dialect, alone=len(columns) == 1) for column in columns]
    lines = pc.binary_join_element_wise(*cells, pa.scalar(dialect.delimiter))
    ended = pc.binary_join_element_wise(lines, pa.scalar(""), pa.scalar("\n"))
    if len(ended):
        stream.write(pc.binary_join(pa.ListArray.from_arrays([0, len(ended)], ended), "")[0].as_buffer())


def _quoted(texts: pa.StringArray, dialect: Dialect, alone: bool) -> pa.StringArray:
    """Quote the texts that need it: an empty one too where it is all of the record."""
    if not dialect.quote:
        return texts
    special = "".join(f"\\x{ord(character):02x}" for character in f"{dialect.delimiter}{dialect.quote}\r\n")
    needs = pc.match_substring_regex(texts, f"[{special}]|^\ufeff" + ("|^$" if alone else ""))
    if not pc.any(needs).as_py():
        return texts
    doubled = pc.replace_substring(texts, dialect.quote, dialect.quote * 2)
    quote = pa.scalar(dialect.quote)
    return pc.if_else(needs, pc.binary_join_element_wise(quote, doubled, quote, pa.scalar("")), texts)


# Cells that a spreadsheet runs (OWASP "CSV injection", and their full-width forms).
_FORMULA = "[=+\\-@\\t\\r\uff1d\uff0b\uff0d\uff20]"


def spreadsheet_safe(texts: pa.StringArray) -> pa.StringArray:
    """Return cells with ' before what a spreadsheet would run, and before what begins so behind other apostrophes."""
    return pc.replace_substring_regex(texts, f"^('*{_FORMULA})", "'\\1")


def spreadsheet_plain(texts: pa.StringArray) -> pa.StringArray:
    """Return cells without what `spreadsheet_safe` put before them."""
    return pc.replace_substring_regex(texts, f"^'('*{_FORMULA})", "\\1")
