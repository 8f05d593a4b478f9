"""One block of NCMEC records on its way to columns: decoded, checked, the votes taken out of the feedback."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop.algorithms import ALGORITHMS
from hashlib_interop.columns import (
    classified,
    columns_of_rows,
    decode_base64,
    decode_hex,
    fingerprinted,
    mask_of,
    rows_without,
)
from hashlib_interop.format import Columns, Reading
from hashlib_interop.formats._ncmec_feedback import (
    MARK,
    Vote,
    is_understood,
    last_update,
    stamp_of,
    vote_ref,
    votes_of,
)
from hashlib_interop.formats._ncmec_record import DIGEST_PATHS, NAME, NAMESPACE, SCHEME
from hashlib_interop.json_columns import stamps_of
from hashlib_interop.kernels import Mask
from hashlib_interop.model import Json, canonical_json
from hashlib_interop.xml_records import Block, XmlRecords
from hashlib_interop.xml_trees import Tree

_MEMBER = r"^[0-9]{1,18}$"
_YEAR_ONE = -62_135_596_800_000
_PHOTODNA_HEX = 288


class Page:
    """One block of records; `columns` once."""

    def __init__(self, block: Block, records: XmlRecords, reading: Reading) -> None:
        self.block, self.records, self.reading = block, records, reading
        self.texts = block.columns()
        self.bad_votes: list[tuple[int, str, str, str]] = []
        self.bad: dict[int, tuple[str, str, str | None]] = {
            index: (name.replace("fingerprints/", ""), reason, None)
            for index, (name, reason) in block.faults.items()
        }

    def columns(self) -> Columns:
        """Return the good records as columns; the others have been handed to `reading.reject`."""
        found = self._found()
        votes, extras = self._feedback(found["ref"])
        found["extra"] = pa.array(extras, pa.string())
        self._report()
        bad = np.zeros(len(self.block.rows), bool)
        bad[list(self.bad)] = True
        entries = rows_without(found, bad)
        return _interleaved(entries, votes) if votes else entries

    def _found(self) -> Columns:
        texts, first = self.texts, self.block.first
        deleted = pc.starts_with(texts["kind"], "deleted")
        video = pc.match_substring(texts["kind"], "video", ignore_case=True)
        codes = texts["classification"]
        return {
            "position": pa.array(np.arange(first, first + len(codes))),
            "ref": self._refs(),
            "contributor": texts["member"],
            "asserted_at": self._stamps(),
            "state": pc.if_else(deleted, "retracted", "active"),
            **{name: self._digests(name, path) for name, path in DIGEST_PATHS.items()},
            "fingerprints": self._fingerprints(),
            "media": pc.if_else(video, "video", "image"),
            "classifications": classified(SCHEME, _without_empty(codes)),
        }

    def _refuse(self, path: str, reason: str, rows: Mask) -> None:
        for index in np.flatnonzero(rows).tolist():
            if index not in self.bad:
                field = path.replace("fingerprints/", "")
                self.bad[index] = (
                    field,
                    reason,
                    self.texts[path][index].as_py() if path in self.texts else None,
                )

    def _refs(self) -> pa.StringArray:
        members, ids = self.texts["member@id"], self.texts["id"]
        self._refuse(
            "member@id", "is no number of a member", ~mask_of(pc.match_substring_regex(members, _MEMBER))
        )
        self._refuse("id", "is missing", mask_of(pc.equal(ids, "")))
        self._refuse("id", f"may not hold {MARK!r}", mask_of(pc.match_substring(ids, MARK)))
        return pc.binary_join_element_wise(members, ids, "/")

    def _stamps(self) -> pa.TimestampArray:
        texts = self.texts["timestamp"]
        stamps, bad, naive = stamps_of(texts)
        self._refuse("timestamp", "is missing", mask_of(pc.equal(texts, "")))
        self._refuse("timestamp", "has no time zone", naive)
        early = mask_of(pc.less(stamps.cast(pa.int64()), _YEAR_ONE))
        self._refuse("timestamp", "is no date and time", bad | early)
        return pc.if_else(pa.array(early), pa.scalar(None, stamps.type), stamps) if early.any() else stamps

    def _digests(self, name: str, path: str) -> pa.Array:
        width = ALGORITHMS[name].width
        values, bad = decode_hex(self.texts[path], width)
        self._refuse(path, f"is not {2 * width} hex digits", bad)
        return values

    def _fingerprints(self) -> pa.ListArray:
        pdq, bad = decode_hex(self.texts["fingerprints/pdq"], 32)
        self._refuse("fingerprints/pdq", "is not 64 hex digits", bad)
        netclean = _without_empty(self.texts["fingerprints/netclean"])
        return fingerprinted(photodna=self._photodna(), pdq=pdq, netclean=netclean)

    def _photodna(self) -> pa.Array:
        """PhotoDNA in base64, or in hex: which of them NCMEC writes is not public."""
        texts = self.texts["fingerprints/pdna"]
        hexes = pc.equal(pc.binary_length(texts), _PHOTODNA_HEX)
        none = pa.scalar(None, pa.string())
        from_hex, bad_hex = decode_hex(pc.if_else(hexes, texts, none), 144)
        from_base64, bad = decode_base64(pc.if_else(hexes, none, texts), 144)
        self._refuse(
            "fingerprints/pdna", "is neither 192 characters of base64 nor 288 hex digits", bad | bad_hex
        )
        return pc.coalesce(from_base64, from_hex) if mask_of(hexes).any() else from_base64

    # Feedback and what else a record holds

    def _feedback(self, refs: pa.StringArray) -> tuple[list[Json], list[str | None]]:
        """Return the votes of the good records, and `extra` of all."""
        votes: list[Json] = []
        extras: list[str | None] = [None] * len(self.block.rows)
        for index, rest in sorted(self.block.rest.items()):
            found = rest.elements.pop("feedback", [])
            if unknown := [block for block in found if not is_understood(block)]:
                rest.elements["feedback"] = unknown
            own = rest.to_json()
            extras[index] = canonical_json({NAME: own}) if own else None
            if index not in self.bad:
                votes += self._votes(
                    index, refs[index].as_py(), [block for block in found if is_understood(block)]
                )
        return votes, extras

    def _votes(self, index: int, entry: str, blocks: list[Tree]) -> list[Json]:
        said = self.texts["feedback@lastUpdateTimestamp"][index].as_py()
        found = [self._vote(index, entry, vote) for block in blocks for vote in votes_of(block, said)]
        votes = [vote for vote in found if vote]
        if said and stamp_of(said) != last_update(votes):
            self.reading.drop("feedback lastUpdateTimestamp")
        self.reading.drop("feedback without a voter", sum(not list(votes_of(block, "")) for block in blocks))
        return votes

    def _vote(self, index: int, entry: str, vote: Vote) -> Json | None:
        stamp = stamp_of(vote.stamp)
        if not re.fullmatch(_MEMBER, vote.voter, re.ASCII):
            self.bad_votes.append((index, "feedback/member@id", "is no number of a member", vote.voter))
            return None
        if vote.stamp and stamp is None:
            reason = "is no date and time with a zone"
            self.bad_votes.append((index, "feedback/members@timestamp", reason, vote.stamp))
            return None
        return {
            "position": self.block.first + index,
            "ref": vote_ref(entry, vote.own(), vote.vote),
            "contributor": vote.name,
            "asserted_at": stamp,
            "about": {"source": self.reading.source, "ref": entry, "considered": None},
            "vote": vote.vote,
            "reason": vote.reason.get("name"),
            "extra": canonical_json({NAME: vote.own()}),
            "state": "active",
        }

    def _report(self) -> None:
        """Hand on the refused records, and the refused votes of good ones, in the order of the file."""
        refused = [(index, *self.bad[index]) for index in self.bad]
        for index, field, reason, value in sorted([*refused, *self.bad_votes], key=lambda each: each[0]):
            raw = self.records.raw(self.block, index)
            place = self.block.first + index
            self.reading.reject(place, reason, field=field, value=value, raw=raw, frame=_frame(raw))


def _frame(raw: bytes) -> tuple[str, str]:
    """Return what makes a record a page of its own."""
    container = "videos" if b"video" in raw[: raw.find(b">")].lower() else "images"
    return f'<queryResult xmlns="{NAMESPACE}"><{container}>', f"</{container}></queryResult>"


def _without_empty(texts: pa.StringArray) -> pa.StringArray:
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _interleaved(entries: Columns, votes: list[Json]) -> Columns:
    """Return entries and votes in one, each vote behind its entry."""
    others = columns_of_rows(votes)
    order = np.argsort(np.concatenate([c["position"].to_numpy() for c in (entries, others)]), kind="stable")
    return {
        name: pa.concat_arrays([column, others.get(name, pa.nulls(len(votes), column.type))]).take(
            pa.array(order)
        )
        for name, column in _with_nulls(entries, others).items()
    }


def _with_nulls(entries: Columns, others: Columns) -> Columns:
    count = len(entries["position"])
    return {name: pa.nulls(count, column.type) for name, column in others.items()} | entries
