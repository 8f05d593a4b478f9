"""XML by expat, one record at a time, with bounds on everything that a hostile file can blow up.

A document type is refused before an entity can be expanded;
depth, attributes, text, tags, records and distinct names are limited. Names inside a record are compared
without regard to case; comments are skipped, processing instructions are skipped and counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

from hashlib_interop.errors import MalformedInput, shown
from hashlib_interop.format import Reading
from hashlib_interop.xml_trees import Rest, Tree

CHUNK = 1 << 16
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

Fault = tuple[str, str]
"""The field and the reason why a record is refused."""


@dataclass(frozen=True)
class Layout:
    """Where the records are and what their columns are.

    `records` are `container/record`, containers being children of the root, or `record` where records are: these
    always go through expat. `columns` are paths inside a record, in the order in which the format writes them:
    `member` and `fingerprints/md5` are texts, `member@id` is an attribute (named before its element), `feedback/`
    an element that holds others. `notes` are paths outside the records: `paging/next`, `images@count`, `@version`
    of the root. `check_root` gets the root's local name and namespace and raises for a stranger.
    """

    records: tuple[str, ...]
    columns: tuple[str, ...]
    notes: tuple[str, ...]
    check_root: Callable[[str, str, Reading], None]


@dataclass
class Record:
    """A record as it was met. `start` and `end` are offsets in what was fed."""

    kind: str
    container: str
    start: int
    row: dict[str, str] = field(default_factory=dict)
    end: int = 0
    rest: Rest | None = None
    fault: Fault | None = None

    def refuse(self, field: str, reason: str) -> None:
        """Note why it cannot be trusted; the first reason stays."""
        self.fault = self.fault or (field, reason)


class _Place:
    """A known element: its children and attributes by name, and the key that its text has in a row.

    `key` is None outside the records and empty for a record itself.
    """

    __slots__ = ("attributes", "children", "folded", "holds_text", "key", "path")

    def __init__(self, path: str, key: str | None = None) -> None:
        self.path, self.key, self.holds_text = path, key, False
        self.children: dict[str, _Place] = {}
        self.folded: dict[str, _Place] = {}
        self.attributes: dict[str, str] = {}

    def child(self, prefix: str, step: str, path: str, in_record: bool) -> _Place:
        """Return the place one step below, made where it is missing."""
        name = prefix + step
        place = self.children.setdefault(name, _Place(path, path if in_record else None))
        if in_record:
            self.folded[name.lower()] = place
        return place

    def grow(self, path: str, prefix: str, in_record: bool) -> _Place:
        """Add what a path of a layout names; return the place of its element."""
        element, _, attribute = path.partition("@")
        steps = element.rstrip("/").split("/") if element else []
        place = self
        for depth, step in enumerate(steps, 1):
            place = place.child(prefix, step, "/".join(steps[:depth]), in_record)
        if attribute:
            place.attributes[attribute] = path
        else:
            place.holds_text = not element.endswith("/")
        return place


_NOWHERE = _Place("")
"""Where strangers outside the records lead: what they hold is skipped."""


class Scanner:
    """Feeds expat and hands each record to `take`. Raises `MalformedInput` for all that breaks a bound."""

    def __init__(self, layout: Layout, reading: Reading, take: Callable[[Record], None]) -> None:
        self.notes: dict[str, str] = {}
        self.fed = 0
        self.root_seen = False
        self.strangers = 0
        self._layout, self._reading, self._take = layout, reading, take
        self._record: Record | None = None
        self._record_strangers = self.count = 0
        self._place: _Place | Tree = _Place("")
        self._stack: list[_Place | Tree] = []
        self._texts: list[str] = []
        self._prefix = ""
        self._default = self._namespace = ""
        self._names: dict[str, str] = {}
        self._parser = self._new_parser()

    def _new_parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate("utf-8", " ", intern=self._names)
        parser.buffer_text = True
        parser.buffer_size = CHUNK
        parser.StartElementHandler = self._open_root
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._texts.append
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.StartNamespaceDeclHandler = self._declare
        parser.ProcessingInstructionHandler = self._skip_instruction
        return parser

    def feed(self, data: bytes, skipped: int, final: bool = False) -> None:
        """Give expat what comes next; `skipped` bytes of the file before it were not given to it."""
        self.fed += len(data)
        try:
            self._parser.Parse(data, final)
        except expat.ExpatError as error:
            what = expat.ErrorString(error.code)
            words = "the XML is cut off" if final else "not well-formed XML"
            raise self.malformed(
                f"{words} ({what}, byte {self._parser.ErrorByteIndex + skipped:,})"
            ) from None
        self._check_bounds()

    def _check_bounds(self) -> None:
        """Bound what grows while one construct of the file does not end."""
        if self.fed - self._parser.CurrentByteIndex > TAG:
            raise self.malformed(f"a tag or comment of more than {TAG:,} bytes")
        if self._record is not None and self.fed - self._record.start > RECORD:
            raise self.malformed(f"a record of more than {RECORD:,} bytes")
        if len(self._names) > NAMES:
            raise self.malformed(f"more than {NAMES:,} distinct names")
        if len(self._texts) > 1:
            self._texts[:] = [self._joined()]

    def malformed(self, message: str) -> MalformedInput:
        """Return the error with the number of the record that is open, or of the last."""
        return self._reading.malformed(message, (self.count + (self._record is not None)) or None)

    @property
    def container(self) -> str | None:
        """The container where everything fed has ended, and an unprefixed name is of the root's namespace."""
        place = self._place
        if self._record is not None or place is _NOWHERE or len(self._stack) != 2:
            return None
        whole = self.fed == self._parser.CurrentByteIndex and self._default == self._namespace
        return place.path if whole and isinstance(place, _Place) else None

    @property
    def needed(self) -> int:
        """Where the record that is open starts, else the tag that has not ended: what comes before is done with."""
        return self._parser.CurrentByteIndex if self._record is None else self._record.start

    # Elements ----------------------------------------------------------------------------------------

    def _open_root(self, name: str, attributes: dict[str, str]) -> None:
        self._namespace, _, local = name.rpartition(" ")
        self._layout.check_root(local, self._namespace, self._reading)
        self._prefix = f"{self._namespace} " if self._namespace else ""
        root = self._place = self._grown()
        self._stack.append(_NOWHERE)
        self.root_seen = True
        self._take_attributes(root, attributes)
        self._parser.StartElementHandler = self._start

    def _grown(self) -> _Place:
        root = _Place("")
        for path in self._layout.notes:
            root.grow(path, self._prefix, False)
        for path in self._layout.records:
            record = root.grow(f"{path}/", self._prefix, False)
            record.path = record.key = ""
            for column in self._layout.columns:
                record.grow(column, self._prefix, True)
        return root

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        place, texts = self._place, self._texts
        known = type(place) is _Place
        if texts:
            if known and len(texts) == 1 and not place.holds_text and texts[0].isspace():  # type: ignore[union-attr]
                texts.clear()
            else:
                self._take_text()
        child: _Place | Tree = (known and place.children.get(name)) or self._stranger(name, attributes)  # type: ignore[union-attr]
        if type(child) is _Place:
            self._enter(child, name)
            if attributes and child is not _NOWHERE:
                self._take_attributes(child, attributes)
        self._stack.append(place)
        self._place = child

    def _enter(self, place: _Place, name: str) -> None:
        key, record = place.key, self._record
        if key and record is not None:
            if key in record.row:
                record.refuse(key, "appears twice in one record")
            record.row[key] = ""
        elif key == "" and record is None:
            self._record = self._new_record(name)

    def _new_record(self, name: str) -> Record:
        assert isinstance(self._place, _Place)
        self._record_strangers = self.strangers
        return Record(self._named(name), self._place.path, self._parser.CurrentByteIndex)

    def _end(self, name: str) -> None:
        place, texts = self._place, self._texts
        if texts:
            if len(texts) == 1 and type(place) is _Place and place.holds_text and self._record is not None:
                self._record.row[place.path] = texts.pop()
            else:
                self._take_text()
        self._place = self._stack.pop()
        if type(place) is _Place and place.key == "" and self._record is not None:
            record, self._record = self._record, None
            record.end = self._parser.CurrentByteIndex
            self.count += 1
            self._take(record)

    # Texts -------------------------------------------------------------------------------------------

    def _joined(self) -> str:
        text = "".join(self._texts)
        if len(text) > TEXT:
            raise self.malformed(f"more than {TEXT:,} characters of text in one element")
        return text

    def _take_text(self) -> None:
        """Give the text up to here to the element that it stands in; between elements, space is nothing."""
        place, text = self._place, self._texts[0] if len(self._texts) == 1 else self._joined()
        self._texts.clear()
        if type(place) is Tree:
            place.add(text)
        elif type(place) is not _Place or place is _NOWHERE:
            return
        elif place.holds_text:
            self._keep(place, text)
        elif not text.isspace():
            self._refuse_text(place, text)

    def _keep(self, place: _Place, text: str) -> None:
        if self._record is None:
            self.notes.setdefault(place.path, text)
        elif place.key:
            self._record.row[place.key] = text

    def _refuse_text(self, place: _Place, text: str) -> None:
        if self._record is None:
            raise self.malformed(f"text between the elements: {shown(text.strip())}")
        self._record.refuse(
            place.path or self._record.kind, f"has text between its elements: {shown(text.strip())}"
        )

    # Strangers ---------------------------------------------------------------------------------------

    def _stranger(self, name: str, attributes: dict[str, str]) -> _Place | Tree:
        """Return where an element leads that the layout does not know at its place."""
        if len(self._stack) >= DEPTH:
            raise self.malformed(f"more than {DEPTH} elements inside each other")
        if self._record is None:
            return self._outside(name)
        place = self._place
        if type(place) is _Place and (known := place.folded.get(name.lower())):
            return known
        self._check_attributes(attributes)
        for each in (name, *attributes):
            self._count_stranger(each)
        named = {self._named(key, False): value for key, value in attributes.items()}
        return self._kept(Tree(self._named(name), named), self._record)

    def _kept(self, tree: Tree, record: Record) -> Tree:
        place = self._place
        if isinstance(place, Tree):
            place.add(tree)
        elif place.holds_text:
            record.refuse(place.path, f"holds an element <{shown(tree.name)}>")
        else:
            record.rest = record.rest or Rest()
            record.rest.elements.setdefault(place.path, []).append(tree)
        return tree

    def _outside(self, name: str) -> _Place:
        """An unknown kind of record is refused as one; any other stranger outside the records is counted."""
        self._count_stranger(name)
        place = self._place
        assert isinstance(place, _Place)
        if any(child.key == "" for child in place.children.values()):
            self._record = self._new_record(name)
            self._record.refuse("record", f"unknown kind of record <{shown(self._named(name))}>")
            return _Place("", "")
        if place is not _NOWHERE:
            self._reading.drop("unknown element outside the records")
        return _NOWHERE

    # Attributes and names ----------------------------------------------------------------------------

    def _take_attributes(self, place: _Place, attributes: dict[str, str]) -> None:
        self._check_attributes(attributes)
        for name, value in attributes.items():
            key = place.attributes.get(name) or place.attributes.get(name.lower())
            if key is None:
                self._spare_attribute(place, name, value)
            elif self._record is None:
                self.notes.setdefault(key, value)
            elif key in self._record.row:
                self._record.refuse(key, "appears twice in one record")
            else:
                self._record.row[key] = value

    def _spare_attribute(self, place: _Place, name: str, value: str) -> None:
        self._count_stranger(name)
        if self._record is None:
            self._reading.drop("unknown attribute outside the records")
            return
        self._record.rest = rest = self._record.rest or Rest()
        rest.attributes.setdefault(place.path, {})[self._named(name, False)] = value

    def _check_attributes(self, attributes: dict[str, str]) -> None:
        if len(attributes) > ATTRIBUTES:
            raise self.malformed(f"an element with more than {ATTRIBUTES} attributes")

    def _count_stranger(self, name: str) -> None:
        self.strangers += 1
        if self._record is not None and self.strangers - self._record_strangers > STRANGERS:
            raise self.malformed(f"more than {STRANGERS:,} unknown elements and attributes in one record")
        if len(name) > NAME:
            raise self.malformed(f"a name of more than {NAME} characters: {shown(name)}")

    def _named(self, name: str, element: bool = True) -> str:
        """Return a name as a user knows it: local, or `{namespace}local` where the namespace is foreign."""
        if element and self._prefix and name.startswith(self._prefix):
            return name[len(self._prefix) :]
        namespace, space, local = name.rpartition(" ")
        return f"{{{namespace}}}{local}" if space or (element and self._prefix) else local

    # What is refused or skipped ----------------------------------------------------------------------

    def _refuse_doctype(self, *_: object) -> NoReturn:
        raise self.malformed("declares a document type (DOCTYPE): refused, entities could be hidden in it")

    def _skip_instruction(self, *_: object) -> None:
        self._reading.drop("processing instruction")

    def _declare(self, prefix: str | None, namespace: str | None) -> None:
        """Follow the default namespace. Once another is declared after the root, none is taken for sure."""
        if prefix is None:
            self._default = (
                (namespace or "") if not self.root_seen or self._default == (namespace or "") else " "
            )
