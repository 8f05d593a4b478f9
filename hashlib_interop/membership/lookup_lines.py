"""Digests out of text, block by block: bare hashes, manifests of md5sum, hashdeep and openssl, columns of a CSV.

A line is a digest if it is hex of the length of one, alone or before spaces and anything else (`hash  name`,
`hash *name`), behind the name of its algorithm (`md5 hash`, `md5:hash`), or behind `MD5 (name) =`. Empty lines and lines
that begin with `#` are skipped. All others are refused, each with its number. A hashdeep file is known by its first line;
of a file with a header the caller names the columns.
"""

from __future__ import annotations

import binascii
import csv
import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop import kernels
from hashlib_interop.algorithms import ALGORITHMS, algorithm_named
from hashlib_interop.columns import lengths_of, mask_of, same
from hashlib_interop.delimited import Dialect, Rows, read_rows
from hashlib_interop.errors import BadDigest, BadOption, shown
from hashlib_interop.format import Reading
from hashlib_interop.kernels import Bytes, Mask, Places
from hashlib_interop.membership import sorting
from hashlib_interop.membership.digest_keys import Keys
from hashlib_interop.membership.hset_file import ALGORITHM_OF, WIDTHS
from hashlib_interop.membership.text_lines import Numbers, all_lines, gathered, lines_at, whole_lines
from hashlib_interop.streams import looked_at

DELIMITERS = (",", ";", "\t", "|")
HASHDEEP = b"%%%% HASHDEEP-1.0"

_NAMES = "|".join(
    sorted(
        {s for a in ALGORITHMS.values() for s in a.spellings} | {"sha224", "sha-224"}, key=len, reverse=True
    )
)
_HEX = f"[0-9A-Fa-f]{{{2 * min(WIDTHS.values())},{2 * max(WIDTHS.values())}}}"
_LINE = re.compile(
    rf"[ \t]*\\?(?:(?P<name>(?i:{_NAMES}))(?:[ \t]*:[ \t]*|[ \t]+))?(?P<hash>{_HEX})(?:(?:[ \t]+\*?|[,;:|])(?P<text>.*))?".encode(),
    re.DOTALL,
)
_TAGGED = re.compile(
    rf"\\?(?P<name>(?i:{_NAMES}|sha2-\d+)) ?\((?P<text>.*)\) ?= ?(?P<hash>{_HEX})[ \t]*".encode(), re.DOTALL
)
_SKIPPED = re.compile(rb"[ \t]*(#|$)")
_CHARS = {2 * width for width in ALGORITHM_OF}

Texts = Callable[[Numbers], pa.Array]


@dataclass(frozen=True)
class Block:
    """Some lines that hold digests: their numbers from 1, and one column of digests or more, strongest first.

    Each column is (n, width) and the mask of rows that have one, or None for all. `texts(rows)` gives what else
    stands in these lines, as binary or as text: a file name, a record.
    """

    lines: Numbers | range
    digests: Sequence[tuple[Keys, Mask | None]]
    texts: Texts

    def numbers(self, rows: Numbers) -> Numbers:
        """Return the numbers of some lines."""
        return rows + self.lines.start if isinstance(self.lines, range) else self.lines[rows]


@dataclass
class Text:
    """A text that digests are read from. What is refused goes to `reading.reject`, lines skipped are counted in `dropped`."""

    stream: BinaryIO
    reading: Reading
    columns: Sequence[str] = ()
    width: int = 0
    line: int = 1
    hashdeep: bool = False
    names: list[str] = field(default_factory=list)
    regular: bool = True

    def blocks(self) -> Iterator[Block]:
        """Yield all lines that hold digests, in order. Raises `MalformedInput` for a line over 1 MiB."""
        if self.columns:
            yield from _of_columns(self.stream, self.reading, self.columns)
            return
        for data in whole_lines(self.stream, self.reading):
            if self.line == 1 and data[: len(HASHDEEP)].tobytes() == HASHDEEP:
                self.hashdeep = True
            yield from self._of_manifest(data) if self.hashdeep else self._of_lines(data)
        if self.hashdeep and not self.names:
            raise self.reading.malformed("a hashdeep file names its fields in its second line; this one ends before", 2)

    # Lines -------------------------------------------------------------------------------------------

    def _of_lines(self, data: Bytes) -> Iterator[Block]:
        """Decode lines that begin with hex; the others, which are few in most texts, by the patterns.

        As long as all lines are bare and end in LF, it need not be noted where they are.
        """
        self.width = self.width or _leading_width(data)
        if self.regular:
            found = sorting.hex_lines(data, self.width)
            all_there = len(found.digests) == found.lines and found.consumed == len(data)
            self.regular = all_there and found.lines * (2 * self.width + 1) == len(data)
        if self.regular:
            lines = range(self.line, self.line + found.lines)
            self.line = lines.stop
            yield Block(lines, [(found.digests, None)], lambda rows: same("", len(rows)))
        else:
            yield from self._of_other_lines(data)

    def _of_other_lines(self, data: Bytes) -> Iterator[Block]:
        found = sorting.hex_lines(data, self.width, trailing=True, skip_bad=True, places=True)
        parts = []
        if len(found.digests):
            rests = _rests(data, found.starts + 2 * self.width, found.stops)
            parts.append(Block(self.line + found.numbers, [(found.digests, None)], rests))
        if len(found.bad_numbers):
            parts += self._matched(lines_at(data, found.bad_starts), self.line + found.bad_numbers)
        self.reading.drop("empty line or comment", found.empty)
        self.line += found.lines
        if parts:
            yield parts[0] if len(parts) == 1 else _together(parts)

    def _matched(self, texts: list[bytes], lines: Numbers) -> Iterator[Block]:
        """Take lines by the patterns, a block a width."""
        by_width: dict[int, list[tuple[int, bytes, bytes]]] = {}
        for text, line in zip(texts, lines.tolist(), strict=True):
            match = _LINE.fullmatch(text) or _TAGGED.fullmatch(text)
            chars = len(match["hash"]) if match else 0
            if match and chars in _CHARS and _width_named(match["name"] or b"") in (0, chars // 2):
                by_width.setdefault(chars // 2, []).append((line, match["hash"], match["text"] or b""))
            elif _SKIPPED.match(text):
                self.reading.drop("empty line or comment")
            else:
                self.reading.reject(line, "no digest", value=text, raw=text)
        for width, rows in by_width.items():
            numbers, hashes, rests = zip(*rows, strict=True)
            keys = np.frombuffer(binascii.unhexlify(b"".join(hashes)), np.uint8).reshape(-1, width)
            if len(rows) > len(texts) // 2:
                self.width = width  # of most lines here, so of most that follow
            yield Block(np.array(numbers), [(keys, None)], _taken(pa.array(rests, pa.binary())))

    # Manifests of hashdeep ---------------------------------------------------------------------------

    def _of_manifest(self, data: Bytes) -> Iterator[Block]:
        """Take records `size,hash,…,name` of hashdeep, where the last field may hold commas."""
        texts = all_lines(data)
        if not self.names:
            if self.line + len(texts) <= 2:  # the names are still to come, as they may from a pipe
                self.line += len(texts)
                return
            self.names = _hashdeep_names(texts[2 - self.line].as_py(), self.reading)
        rows = np.flatnonzero(~mask_of(pc.match_substring_regex(texts, r"^(%%%%|##|$)")))
        self.reading.drop("empty line or comment", len(texts) - len(rows))
        lines, texts, self.line = self.line + rows, texts.take(pa.array(rows)), self.line + len(texts)
        fields = pc.split_pattern(texts, ",", max_splits=len(self.names) - 1)
        fits = mask_of(pc.equal(pc.list_value_length(fields), len(self.names)))
        for row in np.flatnonzero(~fits).tolist():
            line = texts[row].as_py()
            self.reading.reject(
                int(lines[row]), f"not the {len(self.names)} fields of the header", value=line, raw=line
            )
        keep = pa.array(np.flatnonzero(fits))
        flat, lines, texts = fields.take(keep).flatten(), lines[fits], texts.take(keep)
        places = np.arange(len(lines)) * len(self.names)
        columns = {name: flat.take(pa.array(places + k)) for k, name in enumerate(self.names)}
        found = [_Column(name, columns[name], [WIDTHS[name]]) for name in ALGORITHMS if name in columns]
        records = _Records(lines, lambda row: texts[row].as_py(), _taken(columns["filename"]))
        yield from _decoded(found, records, self.reading)


def _hashdeep_names(line: bytes, reading: Reading) -> list[str]:
    """Return the names of the fields from the second line."""
    head = line.decode("latin-1")
    names = head.removeprefix("%%%% ").split(",")
    if not head.startswith("%%%% ") or names[-1] != "filename" or not set(names) & set(ALGORITHMS):
        raise reading.malformed(
            "a hashdeep file names its fields in its second line, and a known digest among them", 2
        )
    return names


@dataclass(frozen=True)
class _Records:
    """Records of a block: their lines, one as it stood, and what is to be said of some beside their digests."""

    lines: Numbers
    raw: Callable[[int], bytes]
    texts: Texts


@dataclass(frozen=True)
class _Column:
    """A column of records that holds digests, of some widths, strongest first."""

    name: str
    cells: pa.Array
    widths: Sequence[int]


def _decoded(columns: Sequence[_Column], records: _Records, reading: Reading) -> Iterator[Block]:
    """Decode columns of digests. A bad one is refused, the others of its record stay; records without any are counted."""
    digests, wrong, held = [], np.zeros(len(records.lines), bool), np.zeros(len(records.lines), bool)
    for column in columns:
        lengths = lengths_of(column.cells)
        unfit = (lengths > 0) & ~np.isin(lengths, [2 * width for width in column.widths])
        for width in column.widths:
            mine = pa.array(lengths == 2 * width)
            keys, good, bad = kernels.decode_hex(*_buffers(pc.if_else(mine, column.cells, _NOTHING)), width)
            digests.append((keys, good))
            unfit, held = unfit | bad, held | good
        for row in np.flatnonzero(unfit).tolist():
            value, raw = column.cells[row].as_py(), records.raw(row)
            reading.reject(int(records.lines[row]), "no digest", field=column.name, value=value, raw=raw)
        wrong |= unfit
    rows = np.flatnonzero(held)
    reading.drop("record without a digest", int((~held & ~wrong).sum()))
    if len(rows):
        kept = [(np.ascontiguousarray(keys[rows]), good[rows]) for keys, good in digests]
        yield Block(records.lines[rows], kept, lambda chosen: records.texts(rows[chosen]))


_NOTHING = pa.scalar(b"", pa.binary())


# Columns of a file with a header ------------------------------------------------------------------------


def _of_columns(stream: BinaryIO, reading: Reading, wanted: Sequence[str]) -> Iterator[Block]:
    """Take named columns of delimited text; the delimiter is the one with which the header has these names."""
    head, stream = looked_at(stream)
    header = head.splitlines()[0] if head else b""
    names, parts = read_rows(stream, reading, Dialect(_delimiter(header, wanted, reading)))
    places = [names.index(name) for name in wanted]
    for part in parts:
        cells = {name: part.columns[place].cast(pa.binary()) for name, place in zip(wanted, places, strict=True)}
        columns = [_Column(name, column, _widths(column)) for name, column in cells.items()]
        yield from _decoded(columns, _Records(part.lines, part.raw, _raws(part)), reading)


def _widths(cells: pa.BinaryArray) -> list[int]:
    """Return the widths of digests by the lengths that occur in a column, strongest first."""
    lengths = set(np.unique(lengths_of(cells)).tolist())
    return [width for width in reversed(ALGORITHM_OF) if 2 * width in lengths]


def _raws(part: Rows) -> Texts:
    return lambda rows: pa.array([part.raw(row) for row in rows.tolist()], pa.binary())


def _delimiter(header: bytes, wanted: Sequence[str], reading: Reading) -> str:
    """Return the delimiter that gives the header all the names wanted; `BadOption` where none does."""
    for delimiter in DELIMITERS:
        names = next(csv.reader([header.decode("utf-8", "replace")], delimiter=delimiter), [])
        if set(wanted) <= set(names):
            return delimiter
    said = shown(header, 300)
    raise BadOption(f"no column {shown(', '.join(wanted))!r}; the header is: {said}", file=reading.name)


# Lines ---------------------------------------------------------------------------------------------------


def _leading_width(data: Bytes) -> int:
    """Return the width of the first line that begins with a digest, or of MD5."""
    for line in bytes(data[: 1 << 16]).splitlines():
        match = re.match(rb"[0-9A-Fa-f]+", line)
        if match and len(match[0]) // 2 in ALGORITHM_OF:
            return len(match[0]) // 2
    return WIDTHS["md5"]


def _rests(data: Bytes, starts: Numbers, stops: Numbers) -> Texts:
    """Return what gives the parts of lines from `starts` to `stops`, without what separates them from a digest."""

    def rests(rows: Numbers) -> pa.Array:
        at, stop, last = starts[rows], stops[rows], len(data) - 1
        if not (at < stop).any():
            return pa.repeat(_NOTHING, len(rows))
        mark = (at < stop) & _MARKS[data[np.minimum(at, last)]]
        at = at + mark
        while (blank := (at < stop) & ~mark & _BLANKS[data[np.minimum(at, last)]]).any():
            at = at + blank
        star = (at < stop) & ~mark & (data[np.minimum(at, last)] == ord("*"))
        return gathered(data, at + star, stop)

    return rests


def _marked(characters: bytes) -> Mask:
    """Return a table of 256 bytes, true for some characters."""
    table = np.zeros(256, bool)
    table[list(characters)] = True
    return table


_MARKS, _BLANKS = _marked(b",;:|"), _marked(b" \t")


def _together(parts: Sequence[Block]) -> Block:
    """Return blocks of one column each as one, the lines in order: a column a block, null in the rows of the others."""
    lines = np.concatenate([np.asarray(part.lines) for part in parts])
    order = np.argsort(lines, kind="stable")
    owner = np.repeat(np.arange(len(parts)), [len(part.lines) for part in parts])[order]
    place = np.concatenate([np.arange(len(part.lines)) for part in parts])[order]
    digests = []
    for number, part in enumerate(parts):
        keys, mine = part.digests[0][0], owner == number
        full = np.zeros((len(lines), keys.shape[1]), np.uint8)
        full[mine] = keys
        digests.append((full, mine))

    def texts(rows: Numbers) -> pa.Array:
        chosen = [np.flatnonzero(owner[rows] == number) for number in range(len(parts))]
        found = [part.texts(place[rows[some]]) for part, some in zip(parts, chosen, strict=True)]
        return pa.concat_arrays(found).take(pa.array(np.argsort(np.concatenate(chosen))))

    return Block(lines[order], digests, texts)


def _taken(texts: pa.Array) -> Texts:
    return lambda rows: texts.take(pa.array(rows))


@functools.cache
def _width_named(name: bytes) -> int:
    text = name.decode("latin-1").lower().replace("sha2-", "sha")
    if not text or text in WIDTHS:
        return WIDTHS.get(text, 0)
    try:
        return algorithm_named(text).width
    except BadDigest:
        return WIDTHS["sha224"] if text == "sha-224" else -1


def _buffers(texts: pa.Array) -> tuple[Bytes, Places]:
    """Return the bytes of a binary column and the offsets of its values; null is empty."""
    texts = texts.fill_null(b"") if texts.null_count else texts
    if not len(texts):
        return np.zeros(0, np.uint8), np.zeros(1, np.int32)
    _, offsets, data = texts.buffers()
    return np.frombuffer(data or b"", np.uint8), np.frombuffer(offsets, np.int32)[texts.offset :][
        : len(texts) + 1
    ]
