"""XML that no layout knows, as trees that can be kept in `extra` and written back; and safe XML texts.

The JSON of a tree is `{"name", "attributes", "content"}`; content is texts and trees in order. A name of a
foreign namespace is `{namespace}local`, as in Clark notation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hashlib_interop.model import Json

FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that no XML 1.0 text may hold, not even escaped (XML 1.0, 2.2)."""

_NAME = re.compile(r"(?:\{([^\x00-\x20{}\"<>&|\\^`\x7f]*)\})?([A-Za-z_][A-Za-z0-9_.-]*)", re.ASCII)
_XML = "http://www.w3.org/XML/1998/namespace"
_ESCAPED = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)


class Tree:
    """An element with everything in it."""

    __slots__ = ("attributes", "content", "name")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name, self.attributes = name, attributes
        self.content: list[str | Tree] = []

    @property
    def elements(self) -> list[Tree]:
        """The trees in it."""
        return [item for item in self.content if isinstance(item, Tree)]

    @property
    def text(self) -> str:
        """The texts in it, without those of its elements."""
        return "".join(item for item in self.content if isinstance(item, str))

    def add(self, item: str | Tree) -> None:
        """Add what comes next. White space between elements is layout, not content, and is left out."""
        last = self.content[-1] if self.content else None
        if isinstance(item, Tree):
            if isinstance(last, str) and last.isspace():
                self.content.pop()
        elif last is not None and item.isspace():
            return
        self.content.append(item)

    def to_json(self) -> Json:
        """Return it as JSON; empty parts are left out."""
        content = [item.to_json() if isinstance(item, Tree) else item for item in self.content]
        value: Json = {"name": self.name, "attributes": self.attributes, "content": content}
        return {name: part for name, part in value.items() if part}


@dataclass
class Rest:
    """What a record holds beside its columns, by the path of the element that it stands in."""

    attributes: dict[str, dict[str, str]] = field(default_factory=dict)
    elements: dict[str, list[Tree]] = field(default_factory=dict)

    def to_json(self) -> Json:
        """Return it as JSON; empty parts are left out."""
        trees = {path: [tree.to_json() for tree in found] for path, found in self.elements.items() if found}
        value: Json = {"attributes": self.attributes, "elements": trees}
        return {name: part for name, part in value.items() if part}


def escaped(text: str) -> str:
    """Return a text as it may stand in an element or attribute; `ValueError` for what XML cannot hold."""
    if found := FORBIDDEN.search(text):
        raise ValueError(f"XML cannot hold the character U+{ord(found[0]):04X}")
    return text.translate(_ESCAPED)


def attributes_xml(values: Json) -> str:
    """Return attributes as they stand in a tag, each with a space before it."""
    parts = []
    for number, (name, value) in enumerate(values.items()):
        space, local = _split(name)
        if space == _XML:
            local = f"xml:{local}"
        elif space:
            parts.append(f' xmlns:n{number}="{escaped(space)}"')
            local = f"n{number}:{local}"
        parts.append(f' {local}="{escaped(value)}"')
    return "".join(parts)


def tree_xml(tree: Json) -> str:
    """Return the JSON of a tree as an element. `ValueError` for a name that is none."""
    space, local = _split(tree["name"])
    inner = "".join(
        escaped(item) if isinstance(item, str) else tree_xml(item) for item in tree.get("content", [])
    )
    declared = "" if space is None else f' xmlns="{escaped(space)}"'
    return f"<{local}{declared}{attributes_xml(tree.get('attributes', {}))}>{inner}</{local}>"


def _split(name: str) -> tuple[str | None, str]:
    found = _NAME.fullmatch(name)
    if not found:
        raise ValueError(f"not a name that is written: {name!r}")
    return found[1], found[2]
