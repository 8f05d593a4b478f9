"""The envelope of XML records: blocks of rows from a stream, fast where records are plain.

Between two records, where the scanner stands in a container, records that match the grammar of
`_patterns` (the layout's elements in its order, texts without markup, entities or control characters) are
taken by one regular expression: such a record has one meaning in XML, so expat need not see it. All else
goes to expat (`xml_scanner.py`), byte by byte as it stands. A test holds that both ways give the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import pyarrow as pa

from hashlib_interop.format import Reading
from hashlib_interop.xml_scanner import CHUNK, STRANGERS, Fault, Layout, Record, Scanner
from hashlib_interop.xml_trees import FORBIDDEN, Rest

BLOCK = 32 << 20
"""Bytes after which a block is closed, however few records it holds."""
_PROLOG_CHUNK = 16
"""Before the root is known: too little for an entity to be declared and used after a document type opens."""

_ODD = 4
"""Records in a row that are not plain, before the rest of a window is not tried any more."""

_SPACE = rb"[ \t\r\n]*+"
_TEXT = rb"([^<>&\x00-\x1f\x7f]*+)"
_VALUE = rb'"([^<>&"\x00-\x1f\x7f]*+)"'

Row = tuple[bytes, ...]
"""The kind of a record, its columns in the order of the layout (empty where it has none), and one b""."""


@dataclass
class Block:
    """Records in the order of the file. `rest`, `faults` and `bounds` are by the index of a record in it.

    `runs` are plain records: the index that the first would have here, its offset in the file, the container.
    """

    first: int
    names: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)
    rest: dict[int, Rest] = field(default_factory=dict)
    faults: dict[int, Fault] = field(default_factory=dict)
    bounds: dict[int, tuple[int, int]] = field(default_factory=dict)
    runs: list[tuple[int, int, str]] = field(default_factory=list)
    start: int | None = None

    def columns(self) -> dict[str, pa.StringArray]:
        """Return the columns by path, `kind` first: texts, empty where a record has none."""
        texts = zip(*self.rows, strict=True)
        return {name: pa.array(column, pa.string()) for name, column in zip(self.names, texts, strict=False)}


class XmlRecords:
    """The records of a stream, in blocks of `reading.batch_rows`; iterate once.

    `notes` and `found` (records by container) are complete after the last block. Raises `MalformedInput`
    for what is not well-formed, cut off, over a bound, or has another root. `plain` False sends everything
    through expat: for the test that both ways agree.
    """

    def __init__(self, stream: BinaryIO, reading: Reading, layout: Layout, plain: bool = True) -> None:
        self.found: Counter[str] = Counter()
        self._names = ("kind", *(path for path in layout.columns if not path.endswith("/")))
        self._stream, self._reading = stream, reading
        self._scanner = Scanner(layout, reading, self._take)
        self._patterns = _patterns(layout) if plain else {}
        self._close_tag = _close_tag(layout)
        self._window, self._window_start, self._at = bytearray(), 0, 0
        self._blocks: list[Block] = []
        self._block = Block(1, self._names)
        self._block_strangers = 0
        self._run_bounds: dict[int, list[tuple[int, int]]] = {}

    @property
    def notes(self) -> dict[str, str]:
        """What the file says outside its records, by the paths of `layout.notes`."""
        return self._scanner.notes

    def __iter__(self) -> Iterator[Block]:
        while data := self._stream.read(CHUNK if self._scanner.root_seen else _PROLOG_CHUNK):
            self._window += data
            self._advance()
            self._close_if_heavy()
            yield from self._blocks
            self._forget()
        self._give(self._end, final=True)
        self._close()
        yield from self._blocks

    # Feeding -----------------------------------------------------------------------------------------

    @property
    def _end(self) -> int:
        return self._window_start + len(self._window)

    def _advance(self) -> None:
        """Go as far as whole records allow; what is left waits for more, unless it is long.

        Where several records in a row are not plain, the rest of the window goes to expat in one piece.
        """
        odd = 0
        while odd < _ODD:
            odd = 0 if self._take_plain() else odd + 1
            found = self._close_tag.search(self._window, self._at - self._window_start)
            if not found:
                break
            self._give(self._window_start + found.end())
            if self._scanner.container is None:
                odd = _ODD
        if odd == _ODD or self._end - self._at > CHUNK or not self._scanner.root_seen:
            self._give(self._end)

    def _give(self, end: int, final: bool = False) -> None:
        """Give expat the bytes up to `end`, in chunks."""
        while self._at < end or final:
            stop = min(end, self._at + CHUNK)
            data = bytes(self._window[self._at - self._window_start : stop - self._window_start])
            skipped, self._at = self._at - self._scanner.fed, stop
            self._scanner.feed(data, skipped, final and stop == end)
            if stop == end:
                return

    def _take_plain(self) -> bool:
        """Take the plain records that come next, if the scanner stands between records; tell whether any came."""
        container = self._scanner.container if self._patterns else None
        if container is None or container not in self._patterns:
            return False
        at = self._at - self._window_start
        rows: list[Row] = self._patterns[container].findall(self._window, at)
        left = len(rows.pop()[-1]) if rows and rows[-1][-1] else 0
        if not rows or not _is_text(self._window[at : len(self._window) - left]):
            return False
        self._add_run(rows, container)
        self._at = self._end - left
        return True

    def _add_run(self, rows: list[Row], container: str) -> None:
        self.found[container] += len(rows)
        self._scanner.count += len(rows)
        taken = 0
        while taken < len(rows):
            block = self._started(self._at)
            part = rows[taken : taken + self._reading.batch_rows - len(block.rows)]
            block.runs.append((len(block.rows) - taken, self._at, container))
            block.rows.extend(part)
            taken += len(part)
            self._close_if_full()

    def _take(self, record: Record) -> None:
        """Take a record from the scanner."""
        skipped = self._at - self._scanner.fed
        block = self._started(record.start + skipped)
        index = len(block.rows)
        if record.rest:
            block.rest[index] = record.rest
        if record.fault:
            block.faults[index] = record.fault
        block.bounds[index] = (record.start + skipped, record.end + skipped)
        block.rows.append(
            (record.kind.encode(), *(record.row.get(n, "").encode() for n in self._names[1:]), b"")
        )
        self.found[record.container] += 1
        self._close_if_full()

    # Blocks ------------------------------------------------------------------------------------------

    def _started(self, at: int) -> Block:
        if self._block.start is None:
            self._block.start = at
        return self._block

    def _close_if_full(self) -> None:
        if len(self._block.rows) >= self._reading.batch_rows:
            self._close()

    def _close_if_heavy(self) -> None:
        start = self._block.start
        heavy = start is not None and self._at - start > BLOCK
        if heavy or self._scanner.strangers - self._block_strangers > STRANGERS:
            self._close()

    def _close(self) -> None:
        block = self._block
        if block.rows:
            self._blocks.append(block)
            self._block = Block(block.first + len(block.rows), self._names)
            self._block_strangers = self._scanner.strangers

    def _forget(self) -> None:
        """Let go of the bytes of the blocks that have been taken."""
        self._blocks = []
        self._run_bounds = {}
        keep = self._scanner.needed + self._at - self._scanner.fed
        if self._block.start is not None:
            keep = self._block.start
        del self._window[: keep - self._window_start]
        self._window_start = keep

    # Raw records -------------------------------------------------------------------------------------

    def raw(self, block: Block, index: int) -> bytes:
        """Return a record of a block as it stands in the file; only until the next block is asked for."""
        if index in block.bounds:
            return self._raw(*block.bounds[index])
        base, at, container = next(run for run in reversed(block.runs) if run[0] <= index)
        if at not in self._run_bounds:
            found = self._patterns[container].finditer(self._window, at - self._window_start)
            self._run_bounds[at] = [match.span() for match in found]
        start, end = self._run_bounds[at][index - base]
        return bytes(self._window[start:end]).lstrip()

    def _raw(self, start: int, end: int) -> bytes:
        """Return what expat took. `end` is where the end tag begins, or where an empty tag has ended."""
        window, start, end = self._window, start - self._window_start, end - self._window_start
        tag = re.compile(rb"<([^\s/>]+)").match(window, start)
        close = tag and re.compile(rb"</" + re.escape(tag[1]) + rb"\s*>").match(window, end)
        return bytes(window[start : close.end() if close else end])


def _is_text(data: bytearray) -> bool:
    """Tell whether bytes are text that XML may hold; the grammar has seen to the ASCII characters."""
    if data.isascii():
        return True
    try:
        return not FORBIDDEN.search(data.decode())
    except UnicodeDecodeError:
        return False


# The grammar of plain records ----------------------------------------------------------------------------


def _kinds(layout: Layout) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {}
    for path in layout.records:
        container, _, kind = path.rpartition("/")
        kinds.setdefault(container, []).append(kind)
    return kinds


def _close_tag(layout: Layout) -> re.Pattern[bytes]:
    kinds = {kind for found in _kinds(layout).values() for kind in found}
    return re.compile(rb"</(?:" + "|".join(sorted(kinds)).encode() + rb")\s*>")


def _patterns(layout: Layout) -> dict[str, re.Pattern[bytes]]:
    """Return a pattern for each container; its last group is what is left from the first record not plain."""
    body = b"".join(_element(step, "", layout.columns) for step in _steps(layout.columns, ""))
    return {
        container: re.compile(
            _SPACE + b"<(" + "|".join(kinds).encode() + b")>" + _SPACE + body + rb"</\1>|((?s:.+))"
        )
        for container, kinds in _kinds(layout).items()
    }


def _steps(columns: tuple[str, ...], prefix: str) -> list[str]:
    """Return the names of the elements below a path, in order."""
    below = [path[len(prefix) :] for path in columns if path.startswith(prefix) and path != prefix]
    return list(dict.fromkeys(re.split("[/@]", path)[0] for path in below))


def _element(name: str, prefix: str, columns: tuple[str, ...]) -> bytes:
    path = prefix + name
    tag = name.encode()
    attributes = [column.partition("@")[2].encode() for column in columns if column.startswith(f"{path}@")]
    inside = _steps(columns, f"{path}/")
    if path in columns:
        opening = b"".join(b" " + attribute + b"=" + _VALUE for attribute in attributes)
        inner = b"<" + tag + opening + b">" + _TEXT + b"</" + tag + b">"
    elif inside:
        body = b"".join(_element(step, f"{path}/", columns) for step in inside)
        inner = b"<" + tag + b">" + _SPACE + body + b"</" + tag + b">"
    else:
        inner = b"<" + tag + b"/>"
    none = b"" if path in columns else b"()" * len(attributes)
    return b"(?:" + inner + _SPACE + b")?+" + none
