"""Where the records of a block of delimited text are: line ends and quotes, found for a whole block at once.

The rules are in `delimited.py`. Nothing here splits fields.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hashlib_interop import kernels
from hashlib_interop.format import Reading

RECORD_LIMIT = 1 << 20
LF, CR = 10, 13

Numbers = npt.NDArray[np.int64]
Buffer = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Dialect:
    """How a file is delimited. `quote` None: quotes are characters like any other.

    With `spare`, a record may have one more field than the header, if it is empty. `fallback` is the
    encoding of records that are not UTF-8; None refuses them.
    """

    delimiter: str = ","
    quote: str | None = '"'
    spare: bool = False
    fallback: str | None = None


@dataclass
class Records:
    """The complete records of a block: `data[start:stop]` each, its line end between stop and the next start."""

    text: Text
    starts: Numbers
    stops: Numbers
    lines: Numbers
    delimiters: Numbers
    wrong: dict[int, str]
    size: int
    next_line: int
    quoted: bool
    first: int = 0
    open_ended: bool = False

    @property
    def data(self) -> Buffer:
        """The bytes of the block, and what follows its last complete record."""
        return self.text.data

    def __getitem__(self, row: int) -> bytes:
        return self.data[self.starts[row] : self.stops[row]].tobytes()

    def refuse(self, rows: Iterable[int], reason: str) -> None:
        """Mark records as refused; the first reason of each counts."""
        for row in rows:
            self.wrong.setdefault(int(row), reason)


class Text:
    """The first `size` bytes of a buffer."""

    def __init__(self, buffer: bytearray, size: int) -> None:
        self.buffer, self.data = buffer, np.frombuffer(buffer, np.uint8, size)
        self._marks: tuple[bytes, Numbers, Buffer] = (b"", np.zeros(0, np.int64), self.data[:0])

    def mark(self, wanted: bytes) -> None:
        """Look for several bytes at once, for `where`: collecting places costs most, and is done once."""
        places = kernels.places(self.data, wanted).astype(np.int64)
        self._marks = (wanted, places, self.data[places])

    def holds(self, byte: int) -> bool:
        """Tell whether a byte is there; most blocks hold no CR, quote or NUL, and a search says so fastest."""
        return self.buffer.find(byte, 0, len(self.data)) >= 0

    def where(self, byte: int) -> Numbers:
        """Return the places of a byte."""
        marked, places, bytes_there = self._marks
        if byte in marked:
            return np.compress(bytes_there == byte, places)
        return np.flatnonzero(self.data == byte) if self.holds(byte) else places[:0]


def _line_ends(text: Text, final: bool) -> Numbers:
    """Return the place of the last byte of each line end. A CR that ends a block may be half of a CRLF."""
    data, feeds, returns = text.data, text.where(LF), text.where(CR)
    if not len(returns):
        return feeds
    inner = returns[returns < len(data) - 1]
    alone = inner[data[inner + 1] != LF]
    last = returns[len(inner) :] if final else returns[:0]
    return np.sort(np.concatenate([feeds, alone, last]))


class Quotes:
    """The quotes of a block that hold: opening and closing in turn. `wrong` are places of the others."""

    def __init__(self, text: Text, line_ends: Numbers, dialect: Dialect) -> None:
        self.wrong: list[tuple[int, str]] = []
        self.swallowing: int | None = None
        self._data, self._line_ends = text.data, line_ends
        self._beside = np.zeros(256, bool)
        self._beside[[LF, CR, *f"{dialect.delimiter}{dialect.quote}".encode()]] = True
        found = text.where(ord(dialect.quote)) if dialect.quote else np.zeros(0, np.int64)
        self.places = self._checked(found) if len(found) else found

    def _checked(self, quotes: Numbers) -> Numbers:
        """Go through the quotes in runs; a run ends at a fault, and the next starts on the next line."""
        kept, at, width = [], 0, len(quotes) + 1 & ~1
        while at < len(quotes) and self.swallowing is None:
            run = quotes[at : at + width]
            fault = self._first_fault(run)
            if fault is None:
                kept.append(run)
                at, width = at + len(run), width * 2
            else:
                kept.append(run[: fault & ~1])
                at, width = self._after(quotes, run, fault), 16
        return np.concatenate(kept)

    def _first_fault(self, run: Numbers) -> int | None:
        data, last = self._data, len(self._data) - 1
        good = np.empty(len(run), bool)
        good[0::2] = self._beside[data[run[0::2] - 1]] | (run[0::2] == 0)
        good[1::2] = self._beside[data[np.minimum(run[1::2] + 1, last)]] | (run[1::2] == last)
        return None if good.all() else int(np.argmin(good))

    def _after(self, quotes: Numbers, run: Numbers, fault: int) -> int:
        """Note the fault; return the number of the first quote on the line after it."""
        place, first = int(run[fault]), int(run[fault & ~1])
        ends = self._line_ends
        if np.searchsorted(ends, first) != np.searchsorted(ends, place):
            self.swallowing = first
        reason = "text after a closing quote" if fault & 1 else "a quote inside a field that is not quoted"
        self.wrong.append((place, reason))
        following = int(np.searchsorted(ends, place))
        return len(quotes) if following == len(ends) else int(np.searchsorted(quotes, ends[following]))

    def outside(self, places: Numbers) -> Numbers:
        """Return those of the places that are in no quotes."""
        if not len(self.places):
            return places
        inside: Numbers = np.searchsorted(self.places, places) & 1
        return np.compress(inside == 0, places)


def records_in(text: Text, line: int, dialect: Dialect, final: bool, reading: Reading) -> Records:
    """Find the complete records at the start of a text, which begins on `line`."""
    text.mark(f"\n\r{dialect.delimiter}{dialect.quote or ''}".encode())
    data, line_ends = text.data, _line_ends(text, final)
    quotes = Quotes(text, line_ends, dialect)

    def line_of(place: int) -> int:
        return line + int(np.searchsorted(line_ends, place))

    unclosed = int(quotes.places[-1]) if len(quotes.places) & 1 else None
    ends = quotes.outside(line_ends)
    size = int(ends[-1]) + 1 if len(ends) else 0
    if quotes.swallowing is not None:
        raise reading.malformed("a quote opens here that is not closed rightly", line_of(quotes.swallowing))
    if unclosed is not None and (final or len(data) - size > RECORD_LIMIT):
        raise reading.malformed("a quote opens here and is never closed", line_of(unclosed))
    starts = np.concatenate([[0], ends[:-1] + 1])[: len(ends)]
    after = np.searchsorted(line_ends, ends) + 1
    lines = line + np.concatenate([[0], after[:-1]])[: len(ends)]
    _check_sizes(
        ends + 1 - starts, lines, len(data) - size, line + (int(after[-1]) if len(ends) else 0), reading
    )
    wrong = {int(np.searchsorted(ends, place)): reason for place, reason in reversed(quotes.wrong)}
    return Records(
        text=text,
        starts=starts,
        stops=ends - ((data[ends] == LF) & (data[ends - 1] == CR) & (ends > starts)),
        lines=lines,
        delimiters=quotes.outside(text.where(ord(dialect.delimiter))),
        quoted=len(quotes.places) > 0,
        wrong={row: reason for row, reason in wrong.items() if row < len(ends)},
        size=size,
        next_line=line + (int(after[-1]) if len(ends) else 0),
    )


def _check_sizes(sizes: Numbers, lines: Numbers, rest: int, rest_line: int, reading: Reading) -> None:
    """Refuse the file where a record, or what is left of the block, is over the limit."""
    too_long = np.flatnonzero(sizes > RECORD_LIMIT)
    if len(too_long) or rest > RECORD_LIMIT:
        place = int(lines[too_long[0]]) if len(too_long) else rest_line
        raise reading.malformed(f"a record of more than {RECORD_LIMIT:,} bytes", place)
