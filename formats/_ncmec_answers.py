"""Answers of the Hash Sharing API that are no lists: what they say becomes facts of the import, no entries.

Source: docs/ncmec.md. The name of the member list's root is not public: any root
with `member` in its name is taken for it. Address and user name in a `status` are dropped.

    members, status             fact `member 42` = its name
    availableCategorizations    fact `categorization GUID` = group: name
    availableFeedbackReasons    fact `reason GUID Sha1` = its name
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from hashlib_interop.format import Reading
from hashlib_interop.formats._ncmec_record import check_namespace
from hashlib_interop.xml_documents import Attributes, Picked, trees
from hashlib_interop.xml_trees import Tree

_KEPT = {
    "status/member", "availablefeedbackreasons/reason", "availablecategorizations/group",
    "availablecategorizations/group/categorization",
}  # fmt: skip
_TITLES = {
    "status": "status: who asked",
    "availablefeedbackreasons": "the list of feedback reasons",
    "availablecategorizations": "the list of categorisations",
}
_MEMBERS = "the member list"
_DROPPED = {"ipAddress", "username"}
_WORD = re.compile("[0-9A-Za-z_-]{1,64}", re.ASCII)


def is_answer(root: str) -> bool:
    """Tell whether a document with this root is one of those that are read here."""
    return _title(root) is not None


def _title(root: str) -> str | None:
    return _TITLES.get(root.lower()) or (_MEMBERS if "member" in root.lower() else None)


def _keeps(path: str, attributes: Attributes) -> bool:
    folded = path.lower()
    if "/" not in path:
        return is_answer(path)
    return folded in _KEPT or bool(re.fullmatch("[^/]*member[^/]*/member", folded))


def _label(path: str) -> str:
    name = path.rpartition("/")[2]
    return name if name in _DROPPED else "unknown element"


PICKED = Picked(_keeps, _label, check_namespace)


def note_answer(stream: BinaryIO, reading: Reading) -> None:
    """Note the facts of a document; what has no number, guid or name is refused as a record."""
    for tree in trees(stream, reading, PICKED):
        reading.fact("document", _title(tree.name))
        for position, (name, value) in enumerate(_facts(tree), 1):
            if name and value.strip():
                reading.fact(name, value.strip())
            else:
                reading.reject(position, "has no id, or no name")


def _facts(tree: Tree) -> Iterator[tuple[str, str]]:
    for child in tree.elements:
        if child.name.lower() == "group":
            group = child.attributes.get("name", "")
            for each in child.elements:
                yield _named("categorization", each, "guid"), f"{group}: {each.attributes.get('name', '')}"
        elif child.name.lower() == "reason":
            yield _named("reason", child, "guid", "type"), child.attributes.get("name", "")
        else:
            yield _named("member", child, "id"), child.text


def _named(what: str, tree: Tree, *keys: str) -> str:
    """Return the name of a fact; empty where an attribute is no number, guid or word."""
    words = [tree.attributes.get(key, "") for key in keys]
    return " ".join([what, *words]) if all(_WORD.fullmatch(word) for word in words) else ""
