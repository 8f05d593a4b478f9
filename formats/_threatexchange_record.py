"""One record of ThreatExchange as a row and back: an update of an indicator, or a descriptor.

    {"id": "9…", "indicator": "…", "type": "HASH_PDQ", "last_updated": 1706868000, "should_delete": false,
     "tags": ["…"], "status": "MALICIOUS", "descriptors": {"data": [ … ]}}                              an update
    {"id": "9…", "raw_indicator": "…", "type": "HASH_MD5", "last_updated": "2024-02-01T11:00:00+0000",
     "owner": {"id": "1…", "name": "…"}, "status": "MALICIOUS", "share_level": "AMBER", "tags": {"data": [ … ]}}

Source: docs/threatexchange.md. The descriptors in an update are opinions on one indicator: they stay
together in `extra`, their tags and statuses count for the entry. An update without descriptors is a deletion.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from hashlib_interop.formats._json_pages import (
    BadRecord,
    Options,
    RecordForm,
    needed,
    own_extra,
    put_aside,
    taken,
    unix_stamp,
)
from hashlib_interop.formats._signals import Signal, chosen, signal_row
from hashlib_interop.handling import as_row, label_of
from hashlib_interop.model import Json

NAME = "threatexchange"
STATUS = "threatexchange/status"
SHARE_LEVELS = ("UNKNOWN", "WHITE", "GREEN", "AMBER", "RED")
PRIVATE = ("HAS_PRIVACY_GROUP", "HAS_WHITELIST")
"""Values of `privacy_type` under which not everybody on the platform sees a descriptor."""
VIDEO_TAG = "media_type_video"
_TAGGED = {VIDEO_TAG: "video", "media_type_photo": "image"}
_ID = re.compile("[1-9][0-9]{0,31}", re.ASCII)
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:?\d\d)", re.ASCII)

SIGNALS = (
    Signal("HASH_VIDEO_SHA256", "sha256", "video", only=("video",)),
    Signal("HASH_SHA256", "sha256"),
    Signal("HASH_SHA1", "sha1"),
    Signal("HASH_VIDEO_MD5", "md5", "video", only=("video",)),
    Signal("HASH_MD5", "md5"),
    Signal("HASH_PDQ", "pdq"),
    Signal("HASH_PHOTODNA", "photodna"),
    Signal("HASH_SSDEEP", "ssdeep"),
)
"""Strongest first. HASH_URL_MD5 is a hash of an address, HASH_TEXT_TLSH and HASH_PDQ_OCR are of texts, and the
stored form of HASH_TMK is not public: kept as they stand."""

NO_HASH = ("TEXT_STRING", "TREND_QUERY", "URI", "RAW_URI", "UNCLICKABLE_URL", "DEBUG_STRING")

# What is dropped -----------------------------------------------------------------------------------------


def clean(record: Json, options: Options) -> Counter[str]:
    """Take out what names people, every `paging` (it holds an access token), and free text unless it is asked for."""
    dropped: Counter[str] = Counter()
    _drop_paging(record, dropped)
    for part in (record, *_descriptors(record)):
        owner = part.get("owner")
        if isinstance(owner, dict) and owner.pop("email", None) is not None:
            dropped["owner email (contact)"] += 1
        if options.get("free_text") != "yes" and part.pop("description", None) is not None:
            dropped["description (free text)"] += 1
    return dropped


def _drop_paging(value: Any, dropped: Counter[str]) -> None:
    """Take `paging` out at any depth: Graph API pages the lists inside a record too."""
    if isinstance(value, dict):
        if value.pop("paging", None) is not None:
            dropped["paging of a list (access token)"] += 1
        value = list(value.values())
    for part in value if isinstance(value, list) else ():
        _drop_paging(part, dropped)


def _descriptors(record: Json) -> list[Json]:
    held = record.get("descriptors")
    data = held.get("data") if isinstance(held, dict) else None
    return [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []


# Record to row -------------------------------------------------------------------------------------------


def row_of(record: Json, options: Options) -> Json:
    """Return the row that a record says; what has no place in the model goes to `extra`."""
    rest = dict(record)
    is_update = "raw_indicator" not in rest
    key = "indicator" if is_update else "raw_indicator"
    kind, text = needed(rest, "type"), needed(rest, key)
    found = signal_row(SIGNALS, NO_HASH, kind, text, key)
    row: Json = found if found is not None else {"ref": f"{kind}:{text}"}
    if found is None:
        rest |= {"type": kind, "raw_indicator": text}
    row["state"] = _state(rest, is_update)
    tags = _tags(rest)
    row["tags"] = sorted({*tags, *(tag for part in _descriptors(record) for tag in _tags(dict(part)))})
    row["media"] = row.get("media") or _media(row["tags"])
    row["classifications"] = [{"scheme": STATUS, "code": code} for code in _statuses(rest)]
    row["asserted_at"] = _stamp(rest.pop("last_updated", None), "last_updated")
    row["contributor"] = _contributor(rest)
    row["handling"] = _handling([rest, *(dict(part) for part in _descriptors(record))])
    row["ref"] = _id(rest) or row["ref"]
    return row | {"extra": put_aside(NAME, rest)}


def _state(rest: Json, is_update: bool) -> str:
    """Return whether a record is deleted: says so, or is an update that nobody's opinion is left of."""
    deleted = taken(rest, "should_delete", bool, "true or false")
    held = rest.get("descriptors")
    data = held.get("data") if isinstance(held, dict) else held
    if data is not None and not isinstance(data, list):
        raise BadRecord("must hold a list of descriptors", "descriptors", data)
    gone = deleted or (is_update and not data)
    if gone and deleted is False:
        rest["should_delete"] = False
    return "retracted" if gone else "active"


def _tags(rest: Json) -> list[str]:
    """Take the tags out of a record: texts, or objects, which are put aside where they hold more than a text."""
    tags = rest.pop("tags", None)
    items = tags.get("data") if isinstance(tags, dict) else tags
    if items is None and not tags:
        return []
    if not isinstance(items, list):
        raise BadRecord("must be a list of tags", "tags", tags)
    said = [item.get("text") if isinstance(item, dict) else item for item in items]
    texts = [text for text in said if isinstance(text, str) and text]
    if len(texts) < len(said):
        raise BadRecord("holds a tag without text", "tags", tags)
    if any(isinstance(item, dict) and len(item) > 1 for item in items) or (isinstance(tags, dict) and len(tags) > 1):
        rest["tags"] = tags
    return texts


def _media(tags: list[str]) -> str | None:
    said = {_TAGGED[tag] for tag in tags if tag in _TAGGED}
    return said.pop() if len(said) == 1 else None


def _said(descriptors: list[Json]) -> set[str]:
    """Return the statuses that descriptors have."""
    return {part["status"] for part in descriptors if isinstance(part.get("status"), str) and part["status"]}


def _statuses(rest: Json) -> list[str]:
    """Return the statuses: of the descriptors, which stay where they are; else the record's own."""
    if said := _said(_descriptors(rest)):
        return sorted(said)
    own = taken(rest, "status", str, "a text")
    return [own] if own else []


def _stamp(value: Any, key: str) -> datetime | None:
    """Return seconds since 1970, or a stamp with a zone such as `2024-02-01T11:00:00+0000`."""
    if value is None or type(value) is int:
        return unix_stamp(value, key)
    if not (isinstance(value, str) and _STAMP.fullmatch(value)):
        raise BadRecord("must be seconds since 1970, or a stamp like 2024-02-01T11:00:00+0000", key, value)
    try:
        stamp = datetime.fromisoformat(value).astimezone(UTC)
        return unix_stamp(stamp.timestamp(), key)
    except (ValueError, OverflowError):
        raise BadRecord("is no date between 1970 and 9999", key, value) from None


def _contributor(rest: Json) -> str | None:
    """Return the name of the owner, which is taken out, or the id, which stays; of an update the one owner that it has."""
    owner = taken(rest, "owner", dict, "an object")
    if owner is None:
        names = {_owner_name(part) for part in _descriptors(rest)}
        return names.pop() if len(names) == 1 else None
    owner, name = dict(owner), _owner_name({"owner": owner})
    if owner.get("name") == name:
        owner.pop("name", None)
    if owner:
        rest["owner"] = owner
    return name


def _owner_name(part: Json) -> str | None:
    owner = part.get("owner")
    said = [owner.get("name"), owner.get("id")] if isinstance(owner, dict) else []
    return next((text for text in said if isinstance(text, str) and text), None)


def _handling(parts: list[Json]) -> Json | None:
    """Return the strictest share level of a record and the descriptors in it, taken out of it, and who they are private to.

    Which group or list that is does not stand in the record: a caveat, so that no other format gets it as if it were
    anybody's.
    """
    levels = {taken(part, "share_level", str, "a text") for part in parts} - {None, ""}
    private = {part["privacy_type"] for part in parts if part.get("privacy_type") in PRIVATE}
    label = label_of([*(f"TLP:{level}" for level in levels), *(f"caveat:privacy_type {name}" for name in private)])
    return as_row(label)


def _id(rest: Json) -> str | None:
    """Take out the id of a record, or of the indicator that a descriptor without one is of."""
    found, indicator = rest.pop("id", None), rest.get("indicator")
    if found is None and isinstance(indicator, dict) and indicator.keys() == {"id"}:
        found = rest.pop("indicator")["id"]
    if found is not None and not _ID.fullmatch(str(found)):
        raise BadRecord("must be a number", "id", found)
    return None if found is None else str(found)


# Row to record -------------------------------------------------------------------------------------------

_WRITTEN = ("id", "raw_indicator", "type", "status", "last_updated", "share_level", "owner", "tags", "should_delete")


def record_of(row: Json, options: Options) -> Json:
    """Return a row as a descriptor; `BadRecord` where it has no hash for one."""
    own = own_extra(row, NAME)
    video = (signal for signal in SIGNALS if signal.media is None)
    signals = tuple(video) if VIDEO_TAG in (row["tags"] or ()) else SIGNALS
    found: Any = chosen(row, signals, options) or (own.get("type"), own.get("raw_indicator"))
    if not all(isinstance(part, str) for part in found):
        raise BadRecord("no hash")
    known, opinions = row["ref"] if _ID.fullmatch(row["ref"]) else None, _descriptors(own)
    record = {
        "id": None if opinions else known,
        "indicator": {"id": known} if opinions and known else None,
        "raw_indicator": found[1],
        "type": found[0],
        "last_updated": _stamp_text(row["asserted_at"]),
        "owner": _owner(row["contributor"], own),
        "status": own.get("status") if _said(opinions) else _status(row),
        "share_level": _share_level(row["handling"]),
        "tags": _tag_objects(row["tags"] or [], own),
    }
    rest = {key: value for key, value in sorted(own.items()) if key not in _WRITTEN}
    return {key: value for key, value in record.items() if value is not None} | rest


def _status(row: Json) -> str | None:
    codes = [item["code"] for item in row["classifications"] or () if item["scheme"] == STATUS]
    return codes[0] if codes else None


def _stamp_text(stamp: datetime | None) -> str | None:
    return stamp.strftime("%Y-%m-%dT%H:%M:%S+0000") if stamp else None


def _owner(contributor: str | None, own: Json) -> Json | None:
    """Return the owner: the id that was put aside if it is still this contributor's, and the name."""
    known = own.get("owner")
    owner = {key: value for key, value in known.items() if key != "name"} if isinstance(known, dict) else {}
    if contributor and contributor != owner.get("id"):
        owner["name"] = contributor
    return owner or None


def _share_level(handling: Json | None) -> str | None:
    label = (handling or {}).get("tlp")
    level = "WHITE" if label == "CLEAR" else label
    return level if level in SHARE_LEVELS else None


def _tag_objects(tags: list[str], own: Json) -> Json | None:
    """Return the tags as objects, as they were put aside where they are still the same."""
    try:
        if own.get("tags") and set(_tags({"tags": own["tags"]})) == set(tags):
            kept: Json = own["tags"]
            return kept
    except BadRecord:
        pass
    return {"data": [{"text": tag} for tag in tags]} if tags else None


FORM = RecordForm(
    name=NAME,
    array="data",
    wanted="a page of threat_updates or threat_descriptors, with its records under `data`",
    clean=clean,
    row_of=row_of,
    record_of=record_of,
    telling=("should_delete", "share_level", "descriptors"),
    fields=(
        "ref", "contributor", "asserted_at", "md5", "sha1", "sha256", "fingerprints", "media", "classifications", "tags",
        "handling", "extra",
    ),
)  # fmt: skip
