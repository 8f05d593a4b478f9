"""The envelope of XML records: expat, streaming, with bounds on everything a hostile file can blow up.

A `Layout` says which elements are records and which paths inside them are columns. What a record holds
beside these is kept as trees (`Rest`), never dropped. Bounds are those of faults.md (1 and 2): a document
type is refused before an entity can be expanded; depth, attributes, text, tags, records and distinct
names are limited. Names inside a record are compared without regard to case; comments are skipped and
processing instructions skipped and counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, NoReturn
from xml.parsers import expat

import pyarrow as pa

from hashlib_interop.errors import MalformedInput, shown
from hashlib_interop.format import Reading
from hashlib_interop.model import Json

DEPTH = 32
ATTRIBUTES = 64
TEXT = 1 << 20
"""Characters of text in one element."""
TAG = 1 << 20
"""Bytes of one tag, comment or instruction."""
NAME = 512
"""Characters of one name, its namespace included."""
NAMES = 1 << 16
"""Distinct names in one file: expat and the interpreter keep each to the end."""
RECORD = 32 << 20
"""Bytes of one record."""
STRANGERS = 100_000
"""Elements and attributes in one record that the layout does not know."""
BLOCK = 32 << 20
"""Bytes after which a block is closed, however few records it holds; as it is after so many strangers."""

_CHUNK = 1 << 16
_PROLOG_CHUNK = 16
"""Before the root is known: too little for an entity to be declared and used after a document type opens."""

Fault = tuple[str, str]
"""The field and the reason why a record is refused."""


@dataclass(frozen=True)
class Layout:
    """Where the records are and what their columns are.

    `records` are `container/record`; all containers are children of the root. `columns` are paths inside a
    record: `member` and `fingerprints/md5` are texts, `member@id` is an attribute, `fingerprints/` (with
    the slash) an element that holds others. `notes` are paths outside the records: `paging/next`,
    `images@count`. `check_root` gets the local name and the namespace of the root and raises for a stranger.
    """

    records: tuple[str, ...]
    columns: tuple[str, ...]
    notes: tuple[str, ...]
    check_root: Callable[[str, str, Reading], None]


class Tree:
    """An element that the layout does not know, with everything in it. `content` is texts and trees in order."""

    __slots__ = ("attributes", "content", "name")
    children: Mapping[str, _Place] = {}
    key = None
    holds_text = False

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name, self.attributes = name, attributes
        self.content: list[str | Tree] = []

    @property
    def elements(self) -> list[Tree]:
        """The trees in it."""
        return [item for item in self.content if isinstance(item, Tree)]

    def to_json(self) -> Json:
        """Return it as JSON: white space between elements is layout, not content."""
        content = [item.to_json() if isinstance(item, Tree) else item for item in self.content]
        value: Json = {"name": self.name, "attributes": self.attributes, "content": content}
        return {name: part for name, part in value.items() if part}


@dataclass
class Rest:
    """What a record holds beside its columns, by the path of the element that it stands in."""

    attributes: dict[str, dict[str, str]] = field(default_factory=dict)
    elements: dict[str, list[Tree]] = field(default_factory=dict)


@dataclass
class Block:
    """Records in the order of the file. `rest` and `faults` are by the index of the record in the block."""

    first: int
    """Position of the first record, from 1."""
    kinds: list[str]
    rows: list[dict[str, str]]
    rest: dict[int, Rest]
    faults: dict[int, Fault]
    raw: Callable[[int], bytes]
    """The record as it stands in the file; only until the next block is asked for."""

    def column(self, path: str) -> pa.StringArray:
        """Return the texts of a column; null where the record has none, empty where it is empty."""
        return pa.array([row.get(path) for row in self.rows], pa.string())


class _Place:
    """A known element: its children and attributes by name, and the key that its text has in a row."""

    __slots__ = ("attributes", "children", "folded", "holds_text", "key", "path")

    def __init__(self, path: str, key: str | None = None, holds_text: bool = False) -> None:
        self.path, self.key, self.holds_text = path, key, holds_text
        self.children: dict[str, _Place] = {}
        self.folded: dict[str, _Place] = {}
        self.attributes: dict[str, str] = {}

    def grow(self, path: str, prefix: str, in_record: bool) -> None:
        """Add the place of a path below this one."""
        element, _, attribute = path.partition("@")
        steps = element.split("/") if element else []
        place = self
        for depth, step in enumerate(filter(None, steps), 1):
            where = "/".join(steps[:depth])
            if prefix + step not in place.children:
                place.children[prefix + step] = _Place(where, where if in_record else None)
            child = place.children[prefix + step]
            if in_record:
                place.folded[(prefix + step).lower()] = child
            place = child
        if attribute:
            place.attributes[attribute] = path
        else:
            place.holds_text = not path.endswith("/")


_NOWHERE = _Place("")
"""Where strangers outside the records lead: their content is skipped, their number counted."""


class XmlRecords:
    """The records of a stream, in blocks of `reading.batch_rows`; iterate once.

    `notes` and `found` (records by container) are complete after the last block. Raises `MalformedInput`
    for what is not well-formed, cut off, over a bound, or has another root.
    """

    def __init__(self, stream: BinaryIO, reading: Reading, layout: Layout) -> None:
        self.notes: dict[str, str] = {}
        self.found: Counter[str] = Counter()
        self.count = 0
        self._stream, self._reading, self._layout = stream, reading, layout
        self._root = _Place("")
        self._place: _Place | Tree = self._root
        self._stack: list[_Place | Tree] = []
        self._prefix = ""
        self._texts: list[str] = []
        self._fed = self._window_start = 0
        self._window = bytearray()
        self._blocks: list[Block] = []
        self._inside: int | None = None
        self._strangers = self._record_strangers = 0
        self._open_block()
        self._names: dict[str, str] = {}
        self._parser = self._new_parser()

    def _new_parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate("utf-8", " ", intern=self._names)
        parser.buffer_text = True
        parser.buffer_size = _CHUNK
        parser.StartElementHandler = self._open_root
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._texts.append
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.StartNamespaceDeclHandler = _intern_only
        parser.ProcessingInstructionHandler = self._skip_instruction
        return parser

    # Feeding -----------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Block]:
        while data := self._stream.read(_CHUNK if self._stack else _PROLOG_CHUNK):
            self._feed(data)
            self._check_bounds()
            if self._fed - self._window_start > BLOCK or self._strangers - self._block_strangers > STRANGERS:
                self._close_block()
            yield from self._blocks
            self._forget()
        self._feed(b"", True)
        self._close_block()
        yield from self._blocks

    def _feed(self, data: bytes, final: bool = False) -> None:
        self._fed += len(data)
        self._window += data
        try:
            self._parser.Parse(data, final)
        except expat.ExpatError as error:
            raise self._malformed(_worded(error, final)) from None

    def _check_bounds(self) -> None:
        """Bound what grows while one construct of the file does not end."""
        if self._fed - self._parser.CurrentByteIndex > TAG + _CHUNK:
            raise self._malformed(f"a tag or comment of more than {TAG:,} bytes")
        if self._inside is not None and self._fed - self._inside > RECORD:
            raise self._malformed(f"a record of more than {RECORD:,} bytes")
        if len(self._names) > NAMES:
            raise self._malformed(f"more than {NAMES:,} distinct names")
        if len(self._texts) > 1:
            self._texts[:] = [self._joined()]

    def _joined(self) -> str:
        text = "".join(self._texts)
        if len(text) > TEXT:
            raise self._malformed(f"more than {TEXT:,} characters of text in one element")
        return text

    def _malformed(self, message: str) -> MalformedInput:
        return self._reading.malformed(message, (self.count + (self._inside is not None)) or None)

    # Blocks ------------------------------------------------------------------------------------------

    def _open_block(self) -> None:
        self._first = self.count + 1
        self._kinds: list[str] = []
        self._rows: list[dict[str, str]] = []
        self._bounds: list[tuple[int, int]] = []
        self._rest: dict[int, Rest] = {}
        self._faults: dict[int, Fault] = {}
        self._row: dict[str, str] = {}
        self._block_strangers = self._strangers

    def _close_block(self) -> None:
        """Hand on the records that have ended; one that is open goes into the next block."""
        if not self._rows:
            return
        index, row = len(self._rows), self._row
        bounds = self._bounds
        rest, fault = self._rest.pop(index, None), self._faults.pop(index, None)
        block = Block(self._first, self._kinds, self._rows, self._rest, self._faults, lambda i: self._raw(*bounds[i]))
        self._blocks.append(block)
        open_kind = self._kinds.pop() if len(self._kinds) > index else None
        self._open_block()
        if open_kind is not None:
            self._kinds, self._row = [open_kind], row
            self._rest |= {0: rest} if rest else {}
            self._faults |= {0: fault} if fault else {}

    def _raw(self, start: int, end: int) -> bytes:
        """Return a record's bytes. `end` is where its end tag begins, or where an empty tag has ended."""
        window, at = self._window, end - self._window_start
        start -= self._window_start
        tag = re.compile(rb"<([^\s/>]+)").match(window, start)
        close = tag and re.compile(rb"</" + re.escape(tag[1]) + rb"\s*>").match(window, at)
        return bytes(window[start : close.end() if close else at])

    def _forget(self) -> None:
        """Let go of the bytes of the blocks that have been taken."""
        self._blocks = []
        if self._bounds:
            keep = self._bounds[0][0]
        else:
            keep = self._parser.CurrentByteIndex if self._inside is None else self._inside
        if keep - self._window_start > _CHUNK:
            del self._window[: keep - self._window_start]
            self._window_start = keep

    # Elements ----------------------------------------------------------------------------------------

    def _open_root(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        self._layout.check_root(local, namespace, self._reading)
        self._prefix = f"{namespace} " if namespace else ""
        for path in self._layout.notes:
            self._root.grow(path, self._prefix, False)
        for path in self._layout.records:
            self._root.grow(path, self._prefix, False)
            container, kind = path.split("/")
            record = self._root.children[self._prefix + container].children[self._prefix + kind]
            record.path, record.key, record.holds_text = "", "", False
            for column in self._layout.columns:
                record.grow(column, self._prefix, True)
        self._stack.append(_NOWHERE)
        if attributes:
            self._take_attributes(self._root, attributes)
        self._parser.StartElementHandler = self._start

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._texts:
            self._take_text()
        child = self._place.children.get(name) or self._stranger(name, attributes)
        key = child.key
        if key:
            if key in self._row:
                self._fault(key, "appears twice in one record")
            self._row[key] = ""
        elif key == "":
            self._open_record(name)
        if attributes and type(child) is _Place and child is not _NOWHERE:
            self._take_attributes(child, attributes)
        self._stack.append(self._place)
        self._place = child

    def _end(self, name: str) -> None:
        place = self._place
        texts = self._texts
        if texts:
            if place.holds_text and len(texts) == 1 and place.key:
                self._row[place.key] = texts[0]
                texts.clear()
            else:
                self._take_text()
        self._place = self._stack.pop()
        if place.key == "":
            self._close_record()

    def _open_record(self, name: str) -> None:
        self._row = {}
        self._kinds.append(self._named(name))
        self._inside = self._parser.CurrentByteIndex
        self._record_strangers = self._strangers

    def _close_record(self) -> None:
        assert self._inside is not None
        self._rows.append(self._row)
        self._bounds.append((self._inside, self._parser.CurrentByteIndex))
        self.found[self._place.path] += 1  # type: ignore[union-attr]
        self._inside = None
        self.count += 1
        if len(self._rows) >= self._reading.batch_rows:
            self._close_block()

    def _take_text(self) -> None:
        """Give the text up to here to the element that it stands in; between elements only space is nothing."""
        text, place = self._joined(), self._place
        self._texts.clear()
        if isinstance(place, Tree):
            if not (text.isspace() and place.elements):
                place.content.append(text)
        elif place.holds_text and place.key:
            self._row[place.key] = text
        elif place.holds_text:
            self.notes.setdefault(place.path, text)
        elif text.isspace() or place is _NOWHERE:
            return
        elif self._inside is not None:
            self._fault(place.path or self._kinds[-1], f"has text between its elements: {shown(text.strip())}")
        else:
            raise self._malformed(f"text between the elements: {shown(text.strip())}")

    def _stranger(self, name: str, attributes: dict[str, str]) -> _Place | Tree:
        """Return where an element leads that the layout does not know at its place."""
        self._check_stranger(name, attributes)
        place = self._place
        if self._inside is None:
            return self._outside(name)
        if isinstance(place, _Place) and (known := place.folded.get(name.lower())):
            return known
        named = {self._named(key, False): value for key, value in attributes.items()}
        tree = Tree(self._named(name), named)
        if isinstance(place, Tree):
            _without_layout(place).append(tree)
        elif place.holds_text:
            self._fault(place.path, f"holds an element <{shown(tree.name)}>")
        else:
            self._rest.setdefault(len(self._rows), Rest()).elements.setdefault(place.path, []).append(tree)
        return tree

    def _check_stranger(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._stack) >= DEPTH:
            raise self._malformed(f"more than {DEPTH} elements inside each other")
        if len(attributes) > ATTRIBUTES:
            raise self._malformed(f"an element with more than {ATTRIBUTES} attributes")
        for each in (name, *attributes):
            self._count_stranger(each)

    def _count_stranger(self, name: str) -> None:
        self._strangers += 1
        if self._inside is not None and self._strangers - self._record_strangers > STRANGERS:
            raise self._malformed(f"more than {STRANGERS:,} unknown elements and attributes in one record")
        if len(name) > NAME:
            raise self._malformed(f"a name of more than {NAME} characters: {shown(name)}")

    def _outside(self, name: str) -> _Place:
        """An unknown kind of record is refused as one; any other stranger outside the records is counted."""
        containers = {path.split("/")[0] for path in self._layout.records}
        place = self._place
        if place.path in containers:  # type: ignore[union-attr]
            kind = _Place("", "")
            self._faults[len(self._rows)] = ("record", f"unknown kind of record <{shown(self._named(name))}>")
            return kind
        if place is not _NOWHERE:
            self._reading.drop("unknown element outside the records")
        return _NOWHERE

    # Names, attributes, faults -----------------------------------------------------------------------

    def _take_attributes(self, place: _Place, attributes: dict[str, str]) -> None:
        if len(attributes) > ATTRIBUTES:
            raise self._malformed(f"an element with more than {ATTRIBUTES} attributes")
        for name, value in attributes.items():
            key = place.attributes.get(name) or place.attributes.get(name.lower())
            if key is None:
                self._spare_attribute(place, name, value)
            elif self._inside is None:
                self.notes.setdefault(key, value)
            elif key in self._row:
                self._fault(key, "appears twice in one record")
            else:
                self._row[key] = value

    def _spare_attribute(self, place: _Place, name: str, value: str) -> None:
        self._count_stranger(name)
        if self._inside is None:
            self._reading.drop("unknown attribute outside the records")
            return
        rest = self._rest.setdefault(len(self._rows), Rest())
        rest.attributes.setdefault(place.path, {})[self._named(name, False)] = value

    def _named(self, name: str, element: bool = True) -> str:
        """Return a name as the user knows it: local, or `{namespace}local` where the namespace is foreign."""
        if element and self._prefix and name.startswith(self._prefix):
            return name[len(self._prefix) :]
        namespace, space, local = name.rpartition(" ")
        return f"{{{namespace}}}{local}" if space or (element and self._prefix) else local

    def _fault(self, field: str, reason: str) -> None:
        self._faults.setdefault(len(self._rows), (field, reason))

    def _refuse_doctype(self, *_: object) -> NoReturn:
        raise self._malformed("declares a document type (DOCTYPE): refused, entities could be hidden in it")

    def _skip_instruction(self, *_: object) -> None:
        self._reading.drop("processing instruction")


def _intern_only(*_: object) -> None:
    """Take part in namespace declarations, so that their names are counted with the others."""


def _without_layout(tree: Tree) -> list[str | Tree]:
    """Return the content of a tree that holds elements: white space alone is no content there."""
    if tree.content and isinstance(tree.content[-1], str) and tree.content[-1].isspace():
        tree.content.pop()
    return tree.content


def _worded(error: expat.ExpatError, final: bool) -> str:
    what = expat.ErrorString(error.code)
    if final:
        return f"the XML is cut off ({what}, line {error.lineno}, column {error.offset})"
    return f"not well-formed XML: {what}, line {error.lineno}, column {error.offset}"
