"""Small XML documents by expat: only what an allow-list names is ever held, the rest is counted and gone.

A document gives one tree: its root; or, where the root is the `wrapper` of a layout, one a child of it. The
bounds are those of `xml_scanner.py`, and hold for what is skipped too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, NoReturn
from xml.parsers import expat

from hashlib_interop.errors import MalformedInput
from hashlib_interop.format import Reading
from hashlib_interop.xml_scanner import ATTRIBUTES, CHUNK, DEPTH, NAMES, STRANGERS, TAG, TEXT
from hashlib_interop.xml_trees import Tree

Attributes = Mapping[str, str]


@dataclass(frozen=True)
class Picked:
    """What is kept of a document, paths beginning with the name of a record: `status/member`.

    `keeps` tells of an element by path and attributes whether it is held (its children are asked about one by
    one); `label` gives the words under which another one is counted. `check_root` gets the root's local name
    and namespace and raises for a stranger.
    """

    keeps: Callable[[str, Attributes], bool]
    label: Callable[[str], str]
    check_root: Callable[[str, str, Reading], None]
    wrapper: str = ""


def trees(stream: BinaryIO, reading: Reading, picked: Picked) -> Iterator[Tree]:
    """Yield the records of a document as trees. `MalformedInput` for what is broken, cut off or over a bound."""
    scanner = _Picker(reading, picked)
    while data := stream.read(CHUNK):
        scanner.feed(data)
        yield from scanner.taken()
    scanner.feed(b"", final=True)
    yield from scanner.taken()


class _Picker:
    """Feeds expat; `taken` gives the records that have ended."""

    def __init__(self, reading: Reading, picked: Picked) -> None:
        self._reading, self._picked = reading, picked
        self._fed = self._depth = self._skipped = self._elements = self._size = self._count = 0
        self._prefix, self._path = "", [""]
        self._stack: list[Tree] = []
        self._done: list[Tree] = []
        self._names: dict[str, str] = {}
        self._parser = parser = expat.ParserCreate("utf-8", " ", intern=self._names)
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._refuse_doctype

    def taken(self) -> Iterator[Tree]:
        """Yield what has ended since last asked."""
        done, self._done = self._done, []
        yield from done

    def feed(self, data: bytes, final: bool = False) -> None:
        """Give expat what comes next."""
        self._fed += len(data)
        try:
            self._parser.Parse(data, final)
        except expat.ExpatError as error:
            words = "the XML is cut off" if final else "not well-formed XML"
            what = expat.ErrorString(error.code)
            raise self._malformed(f"{words} ({what}, byte {self._parser.ErrorByteIndex:,})") from None
        if self._fed - self._parser.CurrentByteIndex > TAG:
            raise self._malformed(f"a tag or comment of more than {TAG:,} bytes")
        if len(self._names) > NAMES:
            raise self._malformed(f"more than {NAMES:,} distinct names")

    def _malformed(self, message: str) -> MalformedInput:
        return self._reading.malformed(message, (self._count + bool(self._stack)) or None)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEPTH:
            raise self._malformed(f"more than {DEPTH} elements inside each other")
        if len(attributes) > ATTRIBUTES:
            raise self._malformed(f"an element with more than {ATTRIBUTES} attributes")
        if self._skipped:
            self._skipped += 1
        elif self._depth == 1 and self._is_wrapper(name):
            return
        else:
            self._enter(name.removeprefix(self._prefix), attributes)

    def _is_wrapper(self, name: str) -> bool:
        namespace, _, local = name.rpartition(" ")
        self._picked.check_root(local, namespace, self._reading)
        self._prefix = f"{namespace} " if namespace else ""
        return local == self._picked.wrapper

    def _enter(self, name: str, attributes: dict[str, str]) -> None:
        path = f"{self._path[-1]}/{name}" if self._stack else name
        if not self._picked.keeps(path, attributes):
            self._reading.drop(self._picked.label(path))
            self._skipped = 1
            return
        self._elements += 1
        if self._elements > STRANGERS:
            raise self._malformed(f"more than {STRANGERS:,} elements in one record")
        tree = Tree(name, attributes)
        if self._stack:
            self._stack[-1].add(tree)
        self._stack.append(tree)
        self._path.append(path)

    def _text(self, text: str) -> None:
        if self._skipped or not self._stack:
            return
        self._size += len(text)
        if self._size > TEXT:
            raise self._malformed(f"more than {TEXT:,} characters of text in one record")
        self._stack[-1].add(text)

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self._skipped:
            self._skipped -= 1
        elif self._stack:
            self._path.pop()
            tree = self._stack.pop()
            if not self._stack:
                self._count += 1
                self._elements = self._size = 0
                self._done.append(tree)

    def _refuse_doctype(self, *_: object) -> NoReturn:
        raise self._malformed("declares a document type (DOCTYPE): refused, entities could be hidden in it")
