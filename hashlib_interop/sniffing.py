"""Which format is this? By content, as numbers; two equal greatest claims are an error, never a guess."""

from __future__ import annotations

import os
from dataclasses import dataclass

from hashlib_interop.errors import MalformedInput, UnknownFormat, shown
from hashlib_interop.files import Input, open_input
from hashlib_interop.formats import FORMATS


@dataclass(frozen=True)
class Claim:
    """A format and how sure it is, from 1 to 100."""

    format: str
    certainty: int


def claims(head: bytes) -> list[Claim]:
    """Return the claims on a file that begins with `head`, greatest first."""
    found = [Claim(name, FORMATS[name].sniff(head)) for name in FORMATS]
    return sorted((c for c in found if c.certainty > 0), key=lambda c: (-c.certainty, c.format))


def sniff(path: str | os.PathLike[str] | Input) -> str:
    """Return the name of the format that claims a file; `UnknownFormat` where none or two equal ones do."""
    source = path if isinstance(path, Input) else open_input(path)[0]
    head = source.head()
    found = claims(head)
    if not head:
        raise MalformedInput("the file is empty", file=source.name)
    if not found:
        raise UnknownFormat(f"no format claims this file: {_looks(head)}", file=source.name)
    equal = [c.format for c in found if c.certainty == found[0].certainty]
    if len(equal) > 1:
        raise UnknownFormat(f"could be {' or '.join(equal)}: say which with --from", file=source.name)
    return equal[0]


_KINDS = (
    (b"\x89PNG", "it is a picture, and pictures are never read"),
    (b"\xff\xd8\xff", "it is a picture, and pictures are never read"),
    (b"GIF8", "it is a picture, and pictures are never read"),
    (b"%PDF", "it is a PDF: ask for the list as a file of data"),
    (b"SQLite format 3", "it is a database of another program: export the list from there"),
    (b"HSET", "it is a hash set: see set-info, lookup"),
    (b"HFLT", "it is a filter: see set-info, lookup"),
    (b"<!doctype html", "it is a web page, perhaps of a log-in: download the list again"),
    (b"<html", "it is a web page, perhaps of a log-in: download the list again"),
    (b"<?xml", "it is XML of a kind that is not known here: if it is a list, say which with --from"),
    (b"{", "it is JSON of a kind that is not known here: if it is a list, say which with --from"),
    (b"[", "it is JSON of a kind that is not known here: if it is a list, say which with --from"),
)


def _looks(head: bytes) -> str:
    """Say what a file that no format claims looks like, and what to do."""
    start = head.lstrip()[:16].lower()
    for magic, what in _KINDS:
        if start.startswith(magic.lower()):
            return what
    line = head.splitlines()[0] if head.splitlines() else b""
    if any(line.count(sign) for sign in (b",", b";", b"\t")) and b"\0" not in head:
        return f"a table with the header {shown(line, 100)}? Say its columns in a mapping (docs/columns.md): --from columns --option mapping=FILE, or, among several files, in --sources (docs/sources.md)"
    return "say which with --from"
