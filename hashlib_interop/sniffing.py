"""Which format is this? By content, as numbers; two equal greatest claims are an error, never a guess."""

from __future__ import annotations

import os
from dataclasses import dataclass

from hashlib_interop.errors import MalformedInput, UnknownFormat
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
        raise UnknownFormat("no format claims this file: say which with --from", file=source.name)
    equal = [c.format for c in found if c.certainty == found[0].certainty]
    if len(equal) > 1:
        raise UnknownFormat(f"could be {' or '.join(equal)}: say which with --from", file=source.name)
    return equal[0]
