"""One file of a CyberTipline report: what may be read of it, as a row, and the row as `fileDetails`.

Source: docs/cybertipline.md. Every value that is taken has a closed form (number, token, hex,
flag, stamp, one of a list), so that nothing else can come in where it does not belong. Reasons of refusal
name the field and never show its value.
"""

from __future__ import annotations

import base64
import re
from typing import Any

from hashlib_interop.algorithms import ALGORITHMS, algorithm_named, parse_base64, parse_hex
from hashlib_interop.errors import BadDigest
from hashlib_interop.format import Reading
from hashlib_interop.model import Json, canonical_json
from hashlib_interop.xml_trees import FORBIDDEN, escaped

NAME = "cybertipline"
INDUSTRY, ANNOTATION = "ncmec/industry", "ncmec/annotation"
CODES = ("A1", "A2", "B1", "B2")
ANNOTATIONS = (
    "animeDrawingVirtualHentai", "potentialMeme", "viral", "possibleSelfProduction", "physicalHarm",
    "violenceGore", "bestiality", "liveStreaming", "infant", "generativeAi",
)  # fmt: skip
RELEVANCE = ("Reported", "Supplemental Reported")
FLAGS = ("fileViewedByEsp", "exifViewedByEsp", "publiclyAvailable")
KINDS = ("photodna", "pdq")

_SPELLINGS = {"photodna": "photodna", "pdna": "photodna", "pdq": "pdq"}
_HASH_TYPES = {name: name.upper() for name in ALGORITHMS} | {"photodna": "PhotoDNA", "pdq": "PDQ"}
_REPORT = re.compile("[0-9]{1,18}", re.ASCII)
_CODE = re.compile("[A-Za-z][A-Za-z0-9]{0,63}", re.ASCII)
_TYPE = re.compile("[A-Za-z0-9][A-Za-z0-9 ._+/-]{0,62}[A-Za-z0-9]", re.ASCII)
_VALUE = re.compile("(?:[0-9a-f]{2}){8,512}|(?:[0-9A-F]{2}){8,512}", re.ASCII)
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class Refused(Exception):
    """A record that cannot be trusted: the field and the reason."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field, self.reason = field, reason


# Values --------------------------------------------------------------------------------------------------


def is_token(text: str) -> bool:
    """Tell whether a text is an `xs:token` of at most 256 characters, not empty."""
    spaced = re.search("[\t\n\r]|  |^ | $", text)
    return 0 < len(text) <= 256 and not spaced and not FORBIDDEN.search(text)


def is_stamp(text: object) -> bool:
    """Tell whether a value is the text of an `xs:dateTime`."""
    return isinstance(text, str) and bool(_STAMP.fullmatch(text))


def is_code(text: object) -> bool:
    """Tell whether a value can be a code or the name of an annotation, known or not."""
    return isinstance(text, str) and bool(_CODE.fullmatch(text))


def is_other_hash(kind: object, value: object) -> bool:
    """Tell whether a pair is a hash of a type that we do not know: hex, of one case, and nothing else."""
    if not (isinstance(kind, str) and isinstance(value, str)) or _known_kind(kind):
        return False
    return bool(_TYPE.fullmatch(kind) and _VALUE.fullmatch(value))


def report_number(text: object) -> str:
    """Return the number of a report; `Refused` for another thing."""
    number = str(text) if isinstance(text, str | int) else ""
    if not _REPORT.fullmatch(number):
        raise Refused("reportId", "is no number of a report")
    return number


def boolean(name: str, text: str) -> bool:
    """Return an `xs:boolean`; `Refused` for another thing."""
    if text not in _BOOLEANS:
        raise Refused(name, "is no boolean")
    return _BOOLEANS[text]


def _known_kind(spelling: str) -> str | None:
    try:
        return algorithm_named(spelling).name
    except BadDigest:
        return _SPELLINGS.get(re.sub("[-_ ]", "", spelling.lower()))


def _decoded(kind: str, text: str) -> bytes:
    if kind in ALGORITHMS:
        return parse_hex(text, ALGORITHMS[kind].width)
    if kind == "pdq":
        return parse_hex(text, 32)
    return parse_hex(text, 144) if len(text) == 288 else parse_base64(text, 144)


# Reading -------------------------------------------------------------------------------------------------


class File:
    """One file on its way to a row."""

    def __init__(self, position: int, reading: Reading) -> None:
        self.position, self.reading = position, reading
        self.hashes: dict[str, bytes] = {}
        self.others: set[tuple[str, str]] = set()
        self.codes: set[tuple[str, str]] = set()
        self.more: Json = {}

    def add_hash(self, spelling: str, text: str, field: str) -> None:
        """Take a hash. `Refused` where it is none of its type, or a second one; unknown types only as hex."""
        kind, text = _known_kind(spelling), text.strip(" \t\r\n")
        if not text:
            self.reading.drop("empty hash")
        elif kind is None and is_other_hash(spelling, text):
            self.others.add((spelling, text))
        elif kind is None:
            self.reading.drop("hash of an unknown type that is not hex")
        else:
            self._add_known(kind, text, field)

    def _add_known(self, kind: str, text: str, field: str) -> None:
        try:
            value = _decoded(kind, text)
        except BadDigest:
            raise Refused(field, f"is no {kind}") from None
        if self.hashes.setdefault(kind, value) != value:
            raise Refused(field, f"a second {kind}, another than the first")

    def add_code(self, code: object) -> None:
        """Take the industry classification, known or not."""
        if not is_code(code):
            raise Refused("industryClassification", "is no code")
        self.codes.add((INDUSTRY, str(code)))

    def add_annotation(self, name: str, said: bool) -> None:
        """Take an annotation. One that says false says nothing: the schema has no such value."""
        if said and is_code(name):
            self.codes.add((ANNOTATION, name))
        else:
            self.reading.drop("annotation that is false" if not said else "annotation of no name")

    def row(self, ref: str | None, **more: Any) -> Json | None:
        """Return the row, or None for a file without a hash, which is counted. Without a ref, the door gives one."""
        if not self.hashes and not self.others:
            self.reading.drop("file without a hash")
            return None
        own = self.more | ({"hashes": [list(pair) for pair in sorted(self.others)]} if self.others else {})
        return {
            "position": self.position,
            "ref": ref,
            **{name: value for name, value in self.hashes.items() if name in ALGORITHMS},
            "fingerprints": [{"kind": k, "value": v} for k, v in self.hashes.items() if k in KINDS],
            "classifications": [{"scheme": s, "code": c} for s, c in sorted(self.codes)],
            "extra": canonical_json({NAME: own}) if own else None,
            **more,
        }

    def strongest(self) -> str:
        """Return `algorithm:hex` of the strongest hash."""
        found = [(kind, value.hex()) for kind, value in self.hashes.items()] or sorted(self.others)
        ranked = sorted(found, key=lambda pair: -ALGORITHMS[pair[0]].strength if pair[0] in ALGORITHMS else 0)
        return ":".join(ranked[0]) if ranked else ""


# Writing -------------------------------------------------------------------------------------------------


def record_xml(row: Json, own: Json) -> str:
    """Return a row that has been projected as `fileDetails`, in the order of the XSD; `own` is its extra."""
    report, _, file = row["ref"].partition("/")
    codes = [(item["scheme"], item["code"]) for item in row["classifications"] or []]
    said = [code for scheme, code in codes if scheme == ANNOTATION]
    annotations = "".join(f"<{name}>true</{name}>" for name in ANNOTATIONS if name in said)
    parts = [_leaf("reportId", report), _leaf("fileId", file)]
    for name in ("uploadedToEspTimestamp", *FLAGS, "fileRelevance"):
        parts += [_leaf(name, _text(own[name]))] if name in own else []
    parts += [f"<fileAnnotations>{annotations}</fileAnnotations>"] if annotations else []
    parts += [_leaf("industryClassification", code) for scheme, code in codes if scheme == INDUSTRY]
    parts += [_hash_xml(kind, value) for kind, value in [*_hashes(row), *own.get("hashes", [])]]
    return "<fileDetails>\n" + "".join(f"  {part}\n" for part in parts) + "</fileDetails>\n"


def _hashes(row: Json) -> list[tuple[str, str]]:
    held = [(_HASH_TYPES[name], row[name].hex()) for name in reversed(ALGORITHMS) if row[name]]
    prints = {item["kind"]: item["value"] for item in row["fingerprints"] or []}
    if "photodna" in prints:
        held.append((_HASH_TYPES["photodna"], base64.b64encode(prints["photodna"]).decode()))
    return [*held, *((_HASH_TYPES[kind], prints[kind].hex()) for kind in ("pdq",) if kind in prints)]


def _hash_xml(kind: str, value: str) -> str:
    return f'<originalFileHash hashType="{escaped(kind)}">{escaped(value)}</originalFileHash>'


def _leaf(name: str, text: str) -> str:
    return f"<{name}>{escaped(text)}</{name}>"


def _text(value: bool | str) -> str:
    return value if isinstance(value, str) else str(value).lower()
