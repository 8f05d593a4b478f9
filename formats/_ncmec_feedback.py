"""NCMEC feedback: what members say of an entry's fingerprints, as votes, and votes as feedback.

    <affirmativeFeedback type="Md5" lastUpdateTimestamp="…">
      <members timestamp="…"><member id="43">Name</member></members>
    </affirmativeFeedback>
    <negativeFeedback type="Sha1" lastUpdateTimestamp="…"><reasons>
      <reason guid="…" name="…" type="Sha1"/> <members timestamp="…"><member id="44">Name</member></members>
    </reasons></negativeFeedback>

Members may also stand inside their reason (docs/ncmec.md, says the form is ambiguous). A vote's
ref is `MEMBER/ENTRY#feedback/TYPE/up|down/VOTER[/REASON GUID]`, type and guid percent-encoded. Feedback with
any element or attribute beyond these is not taken apart: it stays whole in the entry's `extra`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from typing import Any
from urllib.parse import quote

from hashlib_interop.formats._ncmec_record import own_extra, stamp_text
from hashlib_interop.model import Json
from hashlib_interop.xml_trees import Tree, attributes_xml, escaped

MARK = "#feedback/"
"""Parts a vote's ref from that of its entry; an entry id may not hold it."""
DIRECTIONS = {"affirmativefeedback": "up", "negativefeedback": "down"}
TAGS = {"up": "affirmativeFeedback", "down": "negativeFeedback"}

_KNOWN: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "feedback": (frozenset({"type", "lastUpdateTimestamp"}), frozenset({"members", "reasons"})),
    "members": (frozenset({"timestamp"}), frozenset({"member"})),
    "reasons": (frozenset(), frozenset({"reason", "members"})),
    "reason": (frozenset({"guid", "name", "type"}), frozenset({"members"})),
    "member": (frozenset({"id"}), frozenset()),
}
"""The attributes and elements of each element."""

_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_REASON_KEYS = {"guid": "guid", "reason_type": "type"}


@dataclass
class Vote:
    """One member's word on one kind of fingerprint of one entry. `stamp` is the text that counts."""

    up: bool
    kind: str
    updated: str
    voter: str
    name: str
    stamp: str
    reason: dict[str, str]

    @property
    def vote(self) -> str:
        """`up` or `down`."""
        return "up" if self.up else "down"

    def own(self) -> dict[str, str]:
        """Return what the model has no place for; empty texts are left out."""
        reason = {key: self.reason.get(name, "") for key, name in _REASON_KEYS.items()}
        own = {"type": self.kind, "voter": self.voter, "updated": self.updated, **reason}
        return {key: text for key, text in own.items() if text}


def vote_ref(entry: str, own: dict[str, str], vote: str) -> str:
    """Return the ref of a vote on `entry`, `own` being its part of `extra`."""
    parts = [quote(own["type"].lower(), safe=""), vote, own["voter"]]
    if own.get("guid"):
        parts.append(quote(own["guid"], safe=""))
    return entry + MARK + "/".join(parts)


# Reading -------------------------------------------------------------------------------------------------


def is_understood(block: Tree) -> bool:
    """Tell whether feedback is one of the two kinds, with a type and nothing unknown in it."""
    return (
        block.name.lower() in DIRECTIONS
        and bool(block.attributes.get("type"))
        and _is_known(block, "feedback")
    )


def _is_known(tree: Tree, kind: str) -> bool:
    attributes, elements = _KNOWN[kind]
    inner = tree.elements
    return (
        attributes.issuperset(tree.attributes)
        and all(child.name in elements and _is_known(child, child.name) for child in inner)
        and (kind == "member" or not tree.text.strip())
    )


def votes_of(block: Tree, last_update: str) -> Iterator[Vote]:
    """Yield the votes of understood feedback. `last_update` counts where nothing nearer has a stamp."""
    up = DIRECTIONS[block.name.lower()] == "up"
    updated = block.attributes.get("lastUpdateTimestamp", "")
    for members, reason in _groups(block):
        stamp = members.attributes.get("timestamp") or updated or last_update
        for member in members.elements:
            voter = member.attributes.get("id", "")
            yield Vote(up, block.attributes["type"], updated, voter, member.text, stamp, reason)


def _groups(block: Tree) -> Iterator[tuple[Tree, dict[str, str]]]:
    """Yield each group of members with its reason: the one that it stands in, or the last one before it."""
    for child in block.elements:
        if child.name == "members":
            yield child, {}
            continue
        reason: dict[str, str] = {}
        for part in child.elements:
            if part.name == "members":
                yield part, reason
            else:
                reason = part.attributes
                yield from ((inner, reason) for inner in part.elements)


@lru_cache(maxsize=4096)
def stamp_of(text: str) -> datetime | None:
    """Return a stamp with a zone, cut to milliseconds, or None for any other text; one by one as `stamps_of`."""
    if not _STAMP.fullmatch(text):
        return None
    try:
        stamp = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return stamp.replace(microsecond=stamp.microsecond // 1000 * 1000)


# Writing -------------------------------------------------------------------------------------------------


def last_update(votes: list[Json]) -> datetime | None:
    """Return the greatest stamp among votes: what `feedback@lastUpdateTimestamp` says."""
    stamps = [row["asserted_at"] for row in votes]
    stamps += [stamp_of(own_extra(row).get("updated", "")) for row in votes]
    return max((stamp for stamp in stamps if stamp), default=None)


def feedback_xml(votes: list[Json]) -> str:
    """Return rows of votes on one entry as what stands in its `feedback`, in their order."""
    rows = [(row, own_extra(row)) for row in votes]
    return "".join(_block_xml(key, list(group)) for key, group in groupby(rows, _block_key))


def _block_key(item: tuple[Json, Json]) -> tuple[str, str, str, bool]:
    row, own = item
    return row["vote"], own["type"], own.get("updated", ""), bool(_reason_attributes(item))


def _reason_attributes(item: tuple[Json, Json]) -> dict[str, str]:
    row, own = item
    found = {"guid": own.get("guid"), "name": row["reason"], "type": own.get("reason_type")}
    return {name: text for name, text in found.items() if text}


def _block_xml(key: tuple[str, str, str, bool], items: list[tuple[Json, Json]]) -> str:
    vote, kind, updated, reasoned = key
    values = {"type": kind} | ({"lastUpdateTimestamp": updated} if updated else {})
    inner = ""
    for reason, group in groupby(items, _reason_attributes):
        inner += f"<reason{attributes_xml(reason)}/>" if reason else ""
        inner += "".join(_members_xml(stamp, members) for stamp, members in groupby(group, _stamp_key))
    inner = f"<reasons>{inner}</reasons>" if reasoned else inner
    return f"<{TAGS[vote]}{attributes_xml(values)}>{inner}</{TAGS[vote]}>"


def _stamp_key(item: tuple[Json, Json]) -> Any:
    return item[0]["asserted_at"]


def _members_xml(stamp: datetime, items: Iterator[tuple[Json, Json]]) -> str:
    members = "".join(
        f'<member id="{own["voter"]}">{escaped(row["contributor"] or "")}</member>' for row, own in items
    )
    return f'<members timestamp="{stamp_text(stamp)}">{members}</members>'
