"""What an NCMEC file carries of an entry: exactly what reading it back gives again (law 15).

A vote is carried where its entry was written not more than `WINDOW` entries before it: the order in which
it is read, and in which a list sorted by source and ref has it. Any other vote is a lost record.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop.carrying import kinds, schemes
from hashlib_interop.columns import keep_items, mask_of
from hashlib_interop.errors import BadOption, MalformedInput, shown
from hashlib_interop.format import Carry, Reading, Writing, whole
from hashlib_interop.formats._ncmec_feedback import MARK, is_understood, vote_ref
from hashlib_interop.formats._ncmec_record import LAYOUT, NAME, NAMESPACE, SCHEME, record_xml
from hashlib_interop.json_columns import stamps_of
from hashlib_interop.kernels import Mask
from hashlib_interop.model import ABOUT, STAMP, Json, canonical_json
from hashlib_interop.xml_records import XmlRecords
from hashlib_interop.xml_trees import FORBIDDEN

WINDOW = 1024
LONGEST = 1 << 16
"""Characters of one text that are written: far below what readers refuse."""

_FORBIDDEN = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x{FFFE}\x{FFFF}]"
_REF = r"(?s)^[0-9]{1,18}/.+$"
_VOTE_KEYS = ("type", "voter", "updated", "guid", "reason_type")

T = TypeVar("T")


class Window(Generic[T]):
    """The last entries, by register: where votes still find theirs."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], T] = {}

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self._held

    def __getitem__(self, key: tuple[str, str]) -> T:
        return self._held[key]

    def push(self, key: tuple[str, str], value: T) -> Iterator[T]:
        """Add an entry; yield those that no vote can reach any more."""
        gone = [self._held.pop(key)] if key in self._held else []
        self._held[key] = value
        if len(self._held) > WINDOW:
            gone.append(self._held.pop(next(iter(self._held))))
        yield from gone

    def rest(self) -> Iterator[T]:
        """Yield all that is held."""
        yield from self._held.values()


# Texts and refs ------------------------------------------------------------------------------------------


def _safe(texts: pa.StringArray) -> Mask:
    """Return which texts XML can hold; null is none."""
    fine = pc.less_equal(pc.utf8_length(texts), LONGEST)
    return mask_of(fine) & ~mask_of(pc.match_substring_regex(texts, _FORBIDDEN))


def _is_safe(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= LONGEST and not FORBIDDEN.search(text)


def _votes(batch: pa.RecordBatch) -> Mask:
    return mask_of(batch.column("about").is_valid())


def _chosen(mask: Mask, values: pa.Array) -> pa.Array:
    return values if mask.all() else pc.if_else(pa.array(mask), values, pa.scalar(None, values.type))


def _entry_refs(batch: pa.RecordBatch, writing: Writing) -> pa.StringArray:
    """Return refs as `MEMBER/ENTRY`; one of another form stands under the member of the option `member_id`."""
    member = str(writing.options.get("member_id", "0"))
    if not re.fullmatch(r"[0-9]{1,18}", member, re.ASCII):
        raise BadOption(
            f"member_id is {shown(member)}: a number of up to 18 digits is needed", file=writing.name
        )
    refs = batch.column("ref")
    whole_refs = pc.match_substring_regex(refs, _REF)
    return pc.if_else(whole_refs, refs, pc.binary_join_element_wise(member, refs, "/"))


def _refs(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
    """Carry refs of entries as `_entry_refs` says; the ref of a vote follows from what it says."""
    refs = _entry_refs(batch, writing)
    votes = np.flatnonzero(_votes(batch))
    if not len(votes):
        return refs
    texts = refs.to_pylist()
    for index in votes.tolist():
        own = _own_vote(batch, index)
        texts[index] = vote_ref(
            batch.column("about")[index]["ref"].as_py(), own, batch.column("vote")[index].as_py()
        )
    return pa.array(texts, pa.string())


def _stamps(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
    """Carry stamps; an entry without one gets that of the option `timestamp`."""
    stamps, given = batch.column("asserted_at"), writing.options.get("timestamp")
    if given is None:
        return stamps
    stamp, bad, naive = stamps_of(pa.array([str(given)], pa.string()))
    if bad[0] or naive[0] or not given:
        raise BadOption(
            f"timestamp is {shown(given)}: needed is one like 2025-03-01T00:00:00Z", file=writing.name
        )
    return pc.if_else(pa.array(_votes(batch)), stamps, pc.coalesce(stamps, stamp[0]))


# What entries hold ---------------------------------------------------------------------------------------


def _claims(batch: pa.RecordBatch) -> Mask:
    """Return the rows that may have fingerprints and a classification: entries that are not deleted."""
    return mask_of(pc.equal(batch.column("state"), "active")) & ~_votes(batch)


def _of_entries(
    name: str, carry: Carry | None = None, rows: Callable[[pa.RecordBatch], Mask] = _claims
) -> Carry:
    inner = carry or whole(name)
    return lambda batch, writing: _chosen(rows(batch), inner(batch, writing))


def _contributor(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
    texts = batch.column("contributor")
    return _chosen(_safe(texts), texts)


def _codes(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
    """Carry the first industry code that is a text of XML."""
    lists = batch.column("classifications")
    codes = lists.flatten().field("code")
    fine = _safe(codes) & mask_of(pc.not_equal(codes, ""))
    return _only_industry(_with(batch, "classifications", keep_items(lists, fine)), writing)


_only_industry = schemes(lambda name, writing: name == SCHEME, most=1)


def _prints(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
    """Carry one fingerprint of each kind that NCMEC has; NetClean where it is a text of XML."""
    lists = batch.column("fingerprints")
    items = lists.flatten()
    fine = np.ones(len(items), bool)
    for index in np.flatnonzero(mask_of(pc.equal(items.field("kind"), "netclean"))).tolist():
        fine[index] = _is_safe(_decoded(items.field("value")[index].as_py()))
    return _only_kinds(_with(batch, "fingerprints", keep_items(lists, fine)), writing)


_only_kinds = kinds("photodna", "pdq", "netclean")


def _decoded(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _with(batch: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    index = batch.schema.get_field_index(name)
    return batch.set_column(index, batch.schema.field(index), column)


# Extra ---------------------------------------------------------------------------------------------------


def _extra(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
    """Carry what the reader of this format had put aside: of an entry what it finds again, of a vote its own."""
    column = batch.column("extra")
    if column.null_count == len(column):
        return column
    votes = _votes(batch)
    kept = [_surviving(text) if text else None for text in column.to_pylist()]
    for index in np.flatnonzero(votes).tolist():
        own = _own_vote(batch, index)
        kept[index] = canonical_json({NAME: own}) if own else None
    return pa.array(kept, pa.string())


@lru_cache(maxsize=16_384)
def _surviving(text: str) -> str | None:
    """Return the part of `extra` that is this format's, if it is read back as it is written."""
    own = json.loads(text).get(NAME)
    if not isinstance(own, dict) or not own:
        return None
    kept = canonical_json({NAME: own})
    try:
        document = f'<queryResult xmlns="{NAMESPACE}"><images>{record_xml(_STUB | {"extra": kept})}</images></queryResult>'
        blocks = list(XmlRecords(io.BytesIO(document.encode()), Reading("extra", NAME), LAYOUT))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, MalformedInput):
        return None
    rows = [row for block in blocks for row in block.rows]
    if rows != [_STUB_ROW] or blocks[0].faults or 0 not in blocks[0].rest:
        return None
    rest = blocks[0].rest[0]
    if any(is_understood(tree) for tree in rest.elements.get("feedback", [])):
        return None
    return kept if canonical_json({NAME: rest.to_json()}) == kept else None


_STUB: Json = {
    "ref": "0/0",
    "contributor": None,
    "asserted_at": pa.scalar(0, STAMP).as_py(),
    "state": "active",
    "media": "image",
    **dict.fromkeys(("md5", "sha1", "fingerprints", "classifications")),
}
_STUB_ROW = next(
    row
    for block in XmlRecords(
        io.BytesIO(
            f"<queryResult><images>{record_xml(_STUB | {'extra': None})}</images></queryResult>".encode()
        ),
        Reading("extra", NAME),
        LAYOUT,
    )
    for row in block.rows
)


def _own_vote(batch: pa.RecordBatch, index: int) -> dict[str, str]:
    """Return what a vote needs to be written, from `extra`; nothing where it lacks its type or voter."""
    text = batch.column("extra")[index].as_py()
    found = json.loads(text).get(NAME) if text else None
    if not isinstance(found, dict):
        return {}
    own: dict[str, str] = {key: found[key] for key in _VOTE_KEYS if _is_safe(found.get(key))}
    voter = re.fullmatch(r"[0-9]{1,18}", own.get("voter", ""), re.ASCII)
    return own if voter and "type" in own else {}


# Votes ---------------------------------------------------------------------------------------------------


def _about(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
    """Carry which entry a vote speaks of, without the entries that were considered."""
    column = batch.column("about")
    source, ref, considered = column.flatten()
    parts = [source, ref, pa.nulls(len(column), considered.type)]
    return pa.StructArray.from_arrays(parts, fields=list(ABOUT), mask=column.is_null())


def _reason(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
    texts = batch.column("reason")
    return _chosen(_safe(texts) & _votes(batch), texts)


def refuses(batch: pa.RecordBatch, writing: Writing) -> list[tuple[str, Mask]]:
    """Return the rows that cannot be written, by reason."""
    votes = _votes(batch)
    refs = _entry_refs(batch, writing)
    marked = mask_of(pc.match_substring(refs, MARK)) | ~_safe(refs)
    media = mask_of(pc.is_in(batch.column("media"), pa.array(["image", "video"])))
    reasons = [
        ("the format needs asserted_at: give one with --option timestamp=2025-03-01T00:00:00Z", mask_of(_stamps(batch, writing).is_null())),
        ("the format needs media: image or video", ~media & ~votes),
        ("a ref that is no id of an entry", marked & ~votes),
        ("no digest or fingerprint that the format carries", _empty(batch, writing)),
    ]
    bad = np.logical_or.reduce([mask for _, mask in reasons])
    return [*reasons, *_homeless(batch, refs.to_pylist(), ~bad, writing)]


def _empty(batch: pa.RecordBatch, writing: Writing) -> Mask:
    held = _prints(batch, writing).is_valid()
    for name in ("md5", "sha1"):
        held = pc.or_(held, batch.column(name).is_valid())
    claims = _claims(batch) & ~mask_of(held)
    return claims & ~mask_of(_extra(batch, writing).is_valid()) if claims.any() else claims


def _homeless(batch: pa.RecordBatch, refs: list[str], good: Mask, writing: Writing) -> list[tuple[str, Mask]]:
    """Return the votes that cannot be written; remember the entries that are."""
    window: Window[None] = writing.memory.setdefault(NAME, Window())
    sources, abouts = batch.column("source").to_pylist(), batch.column("about")
    is_vote = _votes(batch)
    foreign, alone = np.zeros(len(refs), bool), np.zeros(len(refs), bool)
    rows = np.flatnonzero(good) if is_vote.any() else np.flatnonzero(good)[-WINDOW:]
    for index in rows.tolist():
        if not is_vote[index]:
            list(window.push((sources[index], refs[index]), None))
            continue
        about = abouts[index].as_py()
        foreign[index] = not _is_feedback(batch, index) or about["source"] != sources[index]
        alone[index] = (about["source"], about["ref"]) not in window
    return [("a vote or decision that is no NCMEC feedback", foreign), ("a vote apart from its entry", alone)]


def _is_feedback(batch: pa.RecordBatch, index: int) -> bool:
    active = batch.column("state")[index].as_py() == "active"
    return active and batch.column("vote")[index].as_py() is not None and bool(_own_vote(batch, index))


CARRIES: dict[str, Carry] = {
    "ref": _refs,
    "contributor": _contributor,
    "asserted_at": _stamps,
    "state": whole("state"),
    "md5": _of_entries("md5"),
    "sha1": _of_entries("sha1"),
    "fingerprints": _of_entries("fingerprints", _prints),
    "media": _of_entries("media", rows=lambda batch: ~_votes(batch)),
    "classifications": _of_entries("classifications", _codes),
    "about": _about,
    "vote": _of_entries("vote", rows=_votes),
    "reason": _reason,
    "extra": _extra,
}
