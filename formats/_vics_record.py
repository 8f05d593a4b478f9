"""The keys of a VICS Media, the dialect that a context says, and a record with nested parts taken apart.

A plain field stays as it is, so that its value is judged with everybody else's (`_vics_media.py`); lists of
hashes and files are read here, the rest goes to `extra` as it stands.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from hashlib_interop.algorithms import algorithm_named, parse_base64, parse_hex
from hashlib_interop.errors import BadDigest
from hashlib_interop.format import Option
from hashlib_interop.model import Json

OWNER = "vics"
"""The name in `extra`, for `caid` too: it is the same record."""

CONTEXT_OPTION = Option("context", "context URL, for a file that says it after the records or not at all")
FREE_TEXT_OPTION = Option("free_text", "yes: keep Comments")
SHAPE_OPTION = Option("shape", "what to write: media, a hash set (default), or cases, one case export")

# Column table --------------------------------------------------------------------------------------------

ALGORITHM_KEYS = {"MD5": "md5", "SHA1": "sha1", "SHA256": "sha256", "SHA384": "sha384", "SHA512": "sha512"}
FLAG_KEYS = {
    "VictimIdentified": "victim_identified",
    "OffenderIdentified": "offender_identified",
    "IsDistributed": "is_distributed",
    "SelfGenerated": "self_generated",
}
TEXT_KEYS = {"MimeType": "mime_type", "Series": "series"}
OWN_FLAGS = ("IsPrecategorized", "IsSuspected")
OWN_TEXTS = ("Name", "PrecategorizationSource", "RelativeFilePath")
FREE_TEXT = "Comments"
DROPPED = {
    "MediaID": "MediaID (a number local to the file)",
    "Miniature": "Miniature (imagery)",
    FREE_TEXT: "Comments (free text)",
}
HIDDEN = re.compile("Miniature|Comments|Case\\w*|Contact\\w*", re.IGNORECASE)
"""Keys whose values stand in no fact and no refused record."""
LINKS = "odata links"
LINK_KEYS = (
    "odata.id", "odata.editLink",
    "AlternativeHashes@odata.navigationLinkUrl", "Exifs@odata.navigationLinkUrl",
    "MediaFiles@odata.navigationLinkUrl", "Segments@odata.navigationLinkUrl",
    "Repositories@odata.navigationLinkUrl",
)  # fmt: skip
SCALARS = (
    *ALGORITHM_KEYS, "PhotoDNA", "Category", "MediaSize", "DateUpdated", "Tags",
    *FLAG_KEYS, *TEXT_KEYS, *OWN_FLAGS, *OWN_TEXTS, *DROPPED, *LINK_KEYS,
)  # fmt: skip
_SCALARS = frozenset(SCALARS)

KNOWN_FILE = ("nsrl", "present")
PRINTS = {"photodna": 144, "pdq": 32}
MEDIA_KIND = re.compile(r"(image|video)/[!-.0-~]+", re.IGNORECASE)


_MINIATURE = "miniature"
_MAY_BE = re.compile(rb"miniature|\\u", re.IGNORECASE)


def holds_miniature(value: object) -> bool:
    """Tell whether a JSON value has imagery in it, at any depth."""
    if isinstance(value, list):
        return any(map(holds_miniature, value))
    members = value.items() if isinstance(value, dict) else ()
    return any(key.casefold() == _MINIATURE or holds_miniature(part) for key, part in members)


def without_miniatures(record: Json, text: bytes, count: Counter[str]) -> Json:
    """Return a record without imagery in places that are not its own, counted; `text` is the record's."""
    if not _MAY_BE.search(text):
        return record
    return {key: value if key in _SCALARS else _thinned(value, count) for key, value in record.items()
            if key in _SCALARS or not _is_miniature(key, count)}  # fmt: skip


def _thinned(value: object, count: Counter[str]) -> object:
    if isinstance(value, list):
        return [_thinned(part, count) for part in value]
    if not isinstance(value, dict):
        return value
    return {key: _thinned(part, count) for key, part in value.items() if not _is_miniature(key, count)}


def _is_miniature(key: str, count: Counter[str]) -> bool:
    found = key.casefold() == _MINIATURE
    count.update([DROPPED["Miniature"]] if found else [])
    return found


def is_link(key: str) -> bool:
    """Tell whether a key is an OData link, which says nothing of the media."""
    return key.startswith("odata.") or "@odata." in key


@dataclass(frozen=True)
class Dialect:
    """What the context says: version, country profile (None where `Default` or none), `Media` or `Cases`.

    `said`: the profile is the user's word, and overrules the shapes of known benign lists. `home` is the
    profile that a context without one means. `table` maps numbers to (scheme, code) by the word of an agency.
    """

    version: str | None = None
    profile: str | None = None
    kind: str | None = None
    said: bool = False
    home: str | None = None
    table: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        profile = (self.profile or "Default").upper()
        object.__setattr__(self, "profile", None if profile == "DEFAULT" else profile)

    @property
    def scheme(self) -> str:
        """The scheme of `Category`."""
        return f"vics/{self.profile or self.home or 'unspecified'}"

    @property
    def backwards(self) -> dict[tuple[str, str], str]:
        """The number for each (scheme, code) of the table."""
        return {meant: number for number, meant in self.table.items()}

    @property
    def known_file_category(self) -> int | None:
        """The Category that means a known benign file here: 8 in NIST's list, 0 in NSRLConvert's."""
        if self.profile or self.said or self.kind != "Media":
            return None
        return {"1.2": 8, "2.0": 0}.get(self.version or "")


class BadMedia(ValueError):
    """A value of a record that its field does not take."""

    def __init__(self, reason: str, field: str | None = None, value: object = None) -> None:
        super().__init__(reason)
        self.field, self.value = field, value


# A record with nested parts ------------------------------------------------------------------------------


@dataclass
class Record:
    """A record taken apart: its plain fields, what goes to `extra`, names, further fingerprints."""

    plain: Json
    rest: Json
    names: list[str]
    prints: list[tuple[str, bytes]]


def taken_apart(record: Json, count: Counter[str], free_text: bool = False) -> Record:
    """Return a record in its parts; count the links dropped, and free text under another spelling of its key. `BadMedia` where a list is not what it must be."""
    found = Record({}, {}, [], [])
    for key, value in record.items():
        if key in _SCALARS:
            if isinstance(value, (dict, list)):
                raise BadMedia("holds an object or a list", key, None if key in DROPPED else value)
            found.plain[key] = value
        elif is_link(key):
            count[LINKS] += 1
        elif key.casefold() == FREE_TEXT.casefold() and not free_text:
            _hide(found.plain, record, value, count)
        else:
            found.rest[key] = value
    md5 = found.plain.get("MD5")
    _take_files(found, md5 if isinstance(md5, str) else "", count)
    _take_hashes(found, md5 if isinstance(md5, str) else "")
    return found


def _hide(plain: Json, record: Json, value: object, count: Counter[str]) -> None:
    """Take free text under another spelling of its key for what it is: a record with it is no bare known file."""
    if FREE_TEXT in record:
        count[DROPPED[FREE_TEXT]] += value is not None
    elif isinstance(value, (dict, list)):
        raise BadMedia("holds an object or a list", FREE_TEXT)
    else:
        plain[FREE_TEXT] = value


def _objects(rest: Json, key: str) -> list[Json]:
    """Take a list of objects out of a record; null and absent are an empty list."""
    items = rest.pop(key, None)
    if items is None:
        return []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise BadMedia("not a list of objects", key, items)
    return items


def is_bare(item: Json, md5: str) -> bool:
    """Tell whether a MediaFile says nothing but a name: `file_names` holds that."""
    own = str(item.get("MD5", md5)).casefold() == md5.casefold()
    return isinstance(item.get("FileName"), str) and set(item) <= {"MD5", "FileName"} and own


def _take_files(found: Record, md5: str, count: Counter[str]) -> None:
    kept = []
    for item in _objects(found.rest, "MediaFiles"):
        links = [key for key in item if is_link(key)]
        count.update(LINKS for _ in links)
        item = {key: value for key, value in item.items() if key not in links}
        if isinstance(item.get("FileName"), str) and item["FileName"]:
            found.names.append(item["FileName"])
        if item and not is_bare(item, md5):
            kept.append(item)
    if kept:
        found.rest["MediaFiles"] = kept


def hash_kind(name: object) -> str | None:
    """Return the algorithm or fingerprint that a HashName means, or None for one not known here."""
    text = str(name).lower()
    if text in PRINTS:
        return text
    try:
        return algorithm_named(text).name
    except BadDigest:
        return None


def _take_hashes(found: Record, md5: str) -> None:
    kept = []
    for item in _objects(found.rest, "AlternativeHashes"):
        kind = hash_kind(item.get("HashName"))
        if kind is None:
            kept.append(item)
            continue
        if not set(item) <= {"MD5", "HashName", "HashValue"}:
            raise BadMedia("an alternative hash with unknown members", "AlternativeHashes", item)
        if md5 and str(item.get("MD5") or md5).casefold() != md5.casefold():
            raise BadMedia("an alternative hash of another MD5", "AlternativeHashes", item["MD5"])
        _take_hash(found, kind, item.get("HashValue"))
    if kept:
        found.rest["AlternativeHashes"] = kept


def _take_hash(found: Record, kind: str, value: object) -> None:
    if value is None or value == "":
        return
    if not isinstance(value, str):
        raise BadMedia("not a text", f"AlternativeHashes {kind}", value)
    if kind in PRINTS:
        found.prints.append((kind, _print(kind, value)))
        return
    key = kind.upper()
    stated = found.plain.get(key)
    if stated and str(stated).casefold() != value.casefold():
        raise BadMedia("an alternative hash contradicts it", key, stated)
    found.plain[key] = value


def _print(kind: str, value: str) -> bytes:
    try:
        return parse_base64(value, 144) if kind == "photodna" else parse_hex(value, PRINTS[kind])
    except BadDigest as error:
        raise BadMedia(str(error), f"AlternativeHashes {kind}", value) from None


def printed_hashes(row: Json, dialect: Dialect) -> tuple[Json, list[Json]]:
    """Return the keys of a Media that hold a row's fingerprints, and its AlternativeHashes.

    PhotoDNA stands in the Media from 2.0 on; what has no key there is an alternative hash.
    """
    texts = [(item["kind"], item["value"]) for item in row["fingerprints"] or ()]
    named = [
        ("PhotoDNA", base64.b64encode(value).decode()) if kind == "photodna" else (kind.upper(), value.hex())
        for kind, value in texts
    ]
    top = {}
    if dialect.version == "2.0" and named and (first := next((v for n, v in named if n == "PhotoDNA"), None)):
        top["PhotoDNA"] = first
        named.remove(("PhotoDNA", first))
    named += [
        (key, row[name].hex().upper())
        for key, name in ALGORITHM_KEYS.items()
        if row[name] and key[3:] in ("256", "384", "512")
    ]
    md5 = {"MD5": row["md5"].hex().upper()} if row["md5"] else {}
    return top, [md5 | {"HashName": name, "HashValue": value} for name, value in named]
