"""One `Image` or `Movie` of a ReportIndex, once for the reader, the writer and what is carried.

Source: docs/c4p.md (C4ALL @ b952d72; Clees4All and the X-Ways and Autopsy exporters write the same
elements, the latter fewer of them).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from hashlib_interop.algorithms import parse_hex
from hashlib_interop.errors import BadDigest
from hashlib_interop.model import Json, canonical_json
from hashlib_interop.xml_scanner import TEXT
from hashlib_interop.xml_trees import FORBIDDEN, Rest, escaped

NAME = "c4p"
SCHEME = "c4all/local"
KINDS = {"Image": "image", "Movie": "video"}

# Column table --------------------------------------------------------------------------------------------

ELEMENTS = (
    "path", "picture", "movie", "category", "id", "fileoffset", "fullpath", "created", "accessed", "written",
    "deleted", "hash", "sha1Hash", "encaseHash", "myDescription", "physicalLocation", "myUnique", "tagged",
    "subCat", "notes", "fileSize", "bitDepth", "aspectRatio", "movieLength", "monikers",
)  # fmt: skip
DIGESTS = {"hash": ("md5", 16), "sha1Hash": ("sha1", 20)}
PATHS = ("path", "picture", "movie", "fullpath")
FREE_TEXT = ("notes",)
LOCAL = {"id": "id (a number local to the file)"}
OWN = tuple(
    name for name in ELEMENTS if name not in (*DIGESTS, *PATHS, *FREE_TEXT, *LOCAL, "category", "fileSize")
)
"""What goes to `extra` as it stands: the times among them, for they are local and nobody says where."""

_OPTIONAL = {"sha1Hash", "monikers", "bitDepth", "aspectRatio", "movieLength", "picture", "movie"}
_ALWAYS = {"Image": {"picture", "bitDepth", "aspectRatio"}, "Movie": {"movie", "movieLength"}}
_CDATA = ("path", "fullpath")
_FOLDED = {name.casefold() for name in ELEMENTS}
_ELEMENT = re.compile("[A-Za-z_][A-Za-z0-9_.-]{0,99}", re.ASCII)
_CODE = re.compile("-?[0-9]{1,9}", re.ASCII)
_SIZE = re.compile("[0-9]{1,19}", re.ASCII)


class BadRecord(ValueError):
    """A value that its element does not take."""

    def __init__(self, field: str | None, reason: str, value: str | None = None) -> None:
        super().__init__(reason)
        self.field, self.reason, self.value = field, reason, value


def hidden(options: Any) -> tuple[str, ...]:
    """Return the elements that are dropped by rule, unless the user wants them."""
    paths = () if options.get("paths") == "yes" else PATHS
    return paths + (() if options.get("free_text") == "yes" else FREE_TEXT)


# Reader --------------------------------------------------------------------------------------------------


def entry_of(kind: str, texts: dict[str, str], rest: Rest | None, drop: tuple[str, ...], count: Counter[str]) -> Json:
    """Return the fields of an entry, `texts` being the elements that are not blank. Raises `BadRecord`.

    What is dropped by rule is counted.
    """
    row: Json = {"media": KINDS[kind]} | {name: _digest(e, texts.get(e)) for e, (name, _) in DIGESTS.items()}
    if not row["md5"] and not row["sha1"]:
        raise BadRecord(None, "holds no hash")
    row["size"] = _size(texts.get("fileSize"))
    row["classifications"] = _classified(texts.get("category"), count)
    path = texts.get("fullpath", "")
    row["file_names"] = [name] if (name := last_step(path)) else None
    own = {name: texts[name] for name in (*OWN, *PATHS, *FREE_TEXT) if name in texts and name not in drop}
    if path == name:
        own.pop("fullpath", None)
    if row["md5"] and own.get("encaseHash", "").casefold() == row["md5"].hex():
        del own["encaseHash"]
    lost = [element for element in drop if element in texts and not (element == "fullpath" and path == name)]
    count.update(f"{element} (a path)" if element in PATHS else f"{element} (free text)" for element in lost)
    count.update(text for element, text in LOCAL.items() if element in texts)
    own |= _strangers(rest, count) if rest else {}
    row["extra"] = canonical_json({NAME: own}) if own else None
    return row


def last_step(path: str) -> str | None:
    """Return the name at the end of a path of Windows or Unix, or of both mixed; None for none."""
    name = re.split(r"[\\/]", path)[-1]
    return name if name.strip() else None


def _digest(element: str, text: str | None) -> bytes | None:
    try:
        return parse_hex(text, DIGESTS[element][1]) if text else None
    except BadDigest:
        raise BadRecord(element, f"not {2 * DIGESTS[element][1]} hex characters", text) from None


def _size(text: str | None) -> int | None:
    if text and not (_SIZE.fullmatch(text) and int(text) < 2**63):
        raise BadRecord("fileSize", "not a number of bytes", text)
    return int(text) if text else None


def _classified(text: str | None, count: Counter[str]) -> list[Json] | None:
    """Return the category as it stands. 0 says that the database did not know the file: no statement."""
    if text and not _CODE.fullmatch(text):
        raise BadRecord("category", "not a whole number", text)
    if not text or int(text) == 0:
        count.update(["category 0 (not in the database)"] if text else [])
        return None
    return [{"scheme": SCHEME, "code": text}]


def _strangers(rest: Rest, count: Counter[str]) -> Json:
    """Return the unknown elements that are but a text; others have no place and are counted."""
    found: Json = {}
    trees = [tree for trees in rest.elements.values() for tree in trees]
    for tree in trees:
        if tree.attributes or tree.elements or tree.name in found or not _ELEMENT.fullmatch(tree.name):
            count["unknown element that is more than a text"] += 1
        elif tree.text.strip():
            found[tree.name] = tree.text
    count.update("unknown attribute" for names in rest.attributes.values() for _ in names)
    return found


# Writer --------------------------------------------------------------------------------------------------


def record_xml(row: Json, number: int) -> str:
    """Return a row of `ENTRY_SCHEMA`, projected to what is carried, as an element."""
    kind = "Image" if row["media"] == "image" else "Movie"
    own = json.loads(row["extra"])[NAME] if row["extra"] else {}
    texts = {"id": str(number), "fullpath": (row["file_names"] or [""])[0], "category": "0"}
    texts |= {element: row[name].hex() for element, (name, _) in DIGESTS.items() if row[name]}
    texts["encaseHash"] = texts.get("hash", "")
    texts["fileSize"] = "" if row["size"] is None else str(row["size"])
    if row["classifications"]:
        texts["category"] = row["classifications"][0]["code"]
    texts |= own
    shown = [e for e in ELEMENTS if e in texts or e not in _OPTIONAL or e in _ALWAYS[kind]]
    return element_xml(kind, {e: texts.get(e, "") for e in [*shown, *sorted(set(own) - set(ELEMENTS))]})


def element_xml(kind: str, texts: dict[str, str]) -> str:
    """Return a record of these elements."""
    lines = [f"    <{name}>{_text_xml(name, text)}</{name}>\r\n" for name, text in texts.items()]
    return f"  <{kind}>\r\n{''.join(lines)}  </{kind}>\r\n"


def _text_xml(name: str, text: str) -> str:
    """Return a text as EnCase writes it: paths as CDATA, where that can hold them."""
    safe = name in _CDATA and "]]>" not in text and "\r" not in text
    return f"<![CDATA[{text}]]>" if safe else escaped(text)


# What it carries -----------------------------------------------------------------------------------------


def is_text(value: object) -> bool:
    """Tell whether a value comes back as the text of an element."""
    return isinstance(value, str) and bool(value.strip()) and not FORBIDDEN.search(value) and len(value) <= TEXT


def is_code(code: str) -> bool:
    """Tell whether a category is said by a number that is not 0."""
    return bool(_CODE.fullmatch(code)) and int(code) != 0


def own_of(row: Json, drop: tuple[str, ...]) -> Json:
    """Return what of `extra` comes back."""
    own = json.loads(row["extra"]).get(NAME) if row["extra"] else None
    if not isinstance(own, dict):
        return {}
    return {name: text for name, text in own.items() if is_text(text) and _has_place(name, text, row, drop)}


def _has_place(name: str, text: str, row: Json, drop: tuple[str, ...]) -> bool:
    if name == "encaseHash":
        return row["md5"] is None or text.casefold() != row["md5"].hex()
    if name == "fullpath":
        step = last_step(text)
        return name not in drop and step != text and (step is None or step in (row["file_names"] or ()))
    if name in (*OWN, *PATHS, *FREE_TEXT):
        return name not in drop
    return name.casefold() not in _FOLDED and bool(_ELEMENT.fullmatch(name))


def names_of(row: Json, drop: tuple[str, ...]) -> list[str]:
    """Return the one file name that comes back: of the path where there is one, else the first that is no path."""
    path = own_of(row, drop).get("fullpath")
    if path is not None:
        return [name] if (name := last_step(path)) else []
    plain = [name for name in row["file_names"] or () if is_text(name) and last_step(name) == name]
    return plain[:1]
