"""Blocks of VICS records as columns of entries: each value judged once, a record refused with one fault.

Records that are flat and of known keys come as columns; the others are taken apart one by one
(`_vics_record.py`), and stand among them again in the order of the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop.algorithms import ALGORITHMS
from hashlib_interop.columns import (
    decode_base64,
    decode_hex,
    fingerprinted,
    list_of,
    mask_of,
    rows_without,
)
from hashlib_interop.errors import shown
from hashlib_interop.format import Columns, Reading
from hashlib_interop.formats._vics_record import (
    ALGORITHM_KEYS,
    DROPPED,
    FLAG_KEYS,
    FREE_TEXT,
    HIDDEN,
    KNOWN_FILE,
    LINK_KEYS,
    LINKS,
    MEDIA_KIND,
    OWN_FLAGS,
    OWN_TEXTS,
    OWNER,
    SCALARS,
    TEXT_KEYS,
    BadMedia,
    Dialect,
    Record,
    holds_miniature,
    taken_apart,
    without_miniatures,
)
from hashlib_interop.json_columns import (
    ScalarColumns,
    flags_of,
    flat_scalars,
    joined,
    numbers_of,
    quoted,
    scalar_columns,
    stamps_of,
    texts_of,
)
from hashlib_interop.json_records import Frames
from hashlib_interop.kernels import Mask
from hashlib_interop.model import CLASSIFICATION, ENTRY_SCHEMA, Json, canonical_json
from hashlib_interop.strict_json import strict_json

_NO_TEXT = pa.scalar(None, pa.string())
_HASH_KEYS = (*ALGORITHM_KEYS, "PhotoDNA")
_HIDDEN = re.compile(rb'"(' + HIDDEN.pattern.encode() + rb')"', re.IGNORECASE)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def framed_soundly(text: bytes) -> bool:
    """Tell whether the strings of a broken record stand where strings may: else quotes went astray.

    After a stray quote, what seems one record may be many: then the file cannot be read on.
    """
    for found in _STRING.finditer(text):
        before, after = text[: found.start()].rstrip()[-1:], text[found.end() :].lstrip()[:1]
        if before not in (b"{", b"[", b",", b":") or after not in (b"}", b"]", b",", b":"):
            return False
    return True


class MediaReader:
    """Reads frames of one file as columns; refuses records through `reading`."""

    def __init__(
        self,
        dialect: Dialect,
        reading: Reading,
        diagnosis: Callable[[bytes], str | None],
        on_case: Callable[[Json], None],
    ) -> None:
        self.dialect, self.reading, self._diagnosis, self._on_case = dialect, reading, diagnosis, on_case
        self.free_text = reading.options.get("free_text") == "yes"
        self.known_files = 0

    def note(self) -> None:
        """Say how many known benign files the list had."""
        if self.known_files:
            self.reading.fact("benign", f"{self.known_files} records are known files of NSRL, none illegal")

    def columns(self, frames: Frames) -> Columns:
        """Return the entries of a block; empty where it has none."""
        flat, read = flat_scalars(frames, SCALARS)
        places = np.flatnonzero(read)
        others = self._others(frames, np.flatnonzero(~read))
        if not len(places) and not others:
            return {}
        slow = scalar_columns([record.plain for record in others.values()])
        whole = joined(flat, len(places), slow, len(others))
        everyone = np.concatenate([places, np.array(list(others), np.int64)])
        if others and len(places):
            order = np.argsort(everyone)
            everyone = everyone[order]
            whole = {key: column.take(order) for key, column in whole.items()}
        records = [others.get(int(place)) for place in everyone] if others else []
        return _Block(self, whole, everyone, records, frames).columns()

    def refuse(self, frames: Frames, place: int, reason: str, field: str | None, value: object) -> None:
        """Refuse the record at `place` of a block; what is dropped by rule is not handed on with it."""
        raw = _shareable(frames.texts[place].as_py())
        self.reading.reject(frames.first + place, reason, field=field, value=value, raw=raw)

    def _others(self, frames: Frames, places: npt.NDArray[np.int64]) -> dict[int, Record]:
        found = {}
        for place in places.tolist():
            record = self._other(frames, place)
            if record is not None:
                found[place] = record
        return found

    def _other(self, frames: Frames, place: int) -> Record | None:
        """Return a record that is nested or unusual; None where it is refused, or is a case without Media."""
        text = frames.texts[place].as_py()
        try:
            value = strict_json(text)
            if _is_case(value):
                self._on_case(value)
                return None
            dropped = self.reading.dropped
            return taken_apart(without_miniatures(value, text, dropped), dropped, self.free_text)
        except BadMedia as error:
            self.refuse(frames, place, str(error), error.field, error.value)
        except ValueError as error:
            if not framed_soundly(text):
                message = self._diagnosis(text) or f"not JSON ({shown(error, 200)}), and a quote astray"
                raise self.reading.malformed(message, frames.first + place) from None
            self.refuse(frames, place, f"not JSON: {shown(error, 200)}", None, None)
        return None


def _is_case(record: Json) -> bool:
    hashes = any(key in record for key in (*_HASH_KEYS, "AlternativeHashes"))
    return not hashes and any(key in record for key in ("CaseID", "CaseNumber"))


def _shareable(text: bytes) -> bytes | None:
    """Return a record without what is dropped by rule; None where that cannot be told."""
    if not _HIDDEN.search(text):
        return text.strip()
    try:
        value = strict_json(text)
    except ValueError:
        return None
    kept = {key: part for key, part in value.items() if not _HIDDEN.fullmatch(f'"{key}"'.encode())}
    return None if holds_miniature(kept) else canonical_json(kept).encode()


class _Block:
    """One block on its way from scalars to columns. `records` are the rows taken apart, or empty."""

    def __init__(
        self,
        reader: MediaReader,
        scalars: ScalarColumns,
        places: npt.NDArray[np.int64],
        records: Sequence[Record | None],
        frames: Frames,
    ) -> None:
        self.reader, self.scalars, self.places, self.records, self.frames = (
            reader,
            scalars,
            places,
            records,
            frames,
        )
        self.count = len(places)
        self.out: Columns = {"position": pa.array(places + frames.first)}
        self.own: dict[str, pa.StringArray] = {}
        self.faults: list[tuple[Mask, str | None, str]] = []

    def columns(self) -> Columns:
        """Return the columns without the records refused."""
        for step in (self._hashes, self._plain, self._flags, self._stamps, self._tags, self._category):
            step()
        self._dropped()
        self._parts()
        self.out["extra"] = self._extra()
        return rows_without(self.out, self._refused())

    def _fault(self, bad: Mask, field: str | None, reason: str) -> None:
        if bad.any():
            self.faults.append((bad, field, reason))

    def _text(self, key: str) -> pa.StringArray | None:
        """Return the texts of a key, None where no record has it."""
        if key not in self.scalars:
            return None
        texts, bad = texts_of(self.scalars[key])
        self._fault(bad, key, "not a text")
        return texts

    def _hashes(self) -> None:
        for key, name in ALGORITHM_KEYS.items():
            if (texts := self._text(key)) is not None:
                self.out[name], bad = decode_hex(texts, ALGORITHMS[name].width)
                self._fault(bad, key, f"not {2 * ALGORITHMS[name].width} hex characters")
        held = [mask_of(self.out[name].is_valid()) for name in ALGORITHM_KEYS.values() if name in self.out]
        self._fault(
            ~np.any([np.zeros(self.count, bool), *held], axis=0), None, "holds no MD5, SHA1 or other digest"
        )
        if (texts := self._text("PhotoDNA")) is not None:
            values, bad = decode_base64(texts, 144)
            self._fault(bad, "PhotoDNA", "not 144 bytes in 192 characters of base64")
            self.out["fingerprints"] = fingerprinted(photodna=values)

    def _plain(self) -> None:
        if "MediaSize" in self.scalars:
            numbers, bad = numbers_of(self.scalars["MediaSize"], 0)
            self._fault(bad, "MediaSize", "not a number of bytes")
            self.out["size"] = pc.if_else(pa.array(bad), _NO_TEXT, numbers).cast(pa.int64())
        for key, name in TEXT_KEYS.items():
            if (texts := self._text(key)) is not None:
                self.out[name] = texts
        if "mime_type" in self.out:
            self.out["media"] = media_of_types(self.out["mime_type"])

    def _flags(self) -> None:
        words = pa.array(["false", "true"])
        for key in (*FLAG_KEYS, *OWN_FLAGS):
            if key not in self.scalars:
                continue
            flags, bad = flags_of(self.scalars[key])
            self._fault(bad, key, "neither true nor false")
            if key in FLAG_KEYS:
                self.out[FLAG_KEYS[key]] = flags
            else:
                self.own[key] = words.take(flags.cast(pa.int8()))

    def _stamps(self) -> None:
        if (texts := self._text("DateUpdated")) is None:
            return
        self.out["asserted_at"], bad, naive = stamps_of(texts)
        self._fault(bad, "DateUpdated", "not a date and time")
        if naive.any():
            self.own["DateUpdated"] = pc.if_else(pa.array(naive), quoted(texts), _NO_TEXT)

    def _tags(self) -> None:
        if (texts := self._text("Tags")) is not None:
            self.out["tags"] = tag_lists(texts)

    def _category(self) -> None:
        if "Category" not in self.scalars:
            return
        codes, bad = numbers_of(self.scalars["Category"])
        self._fault(bad, "Category", "not a whole number")
        known = self._known_files(codes)
        schemes, codes = self._meant(codes)
        if known.any():
            self.reader.known_files += int(known.sum())
            schemes, codes = (
                pc.if_else(pa.array(known), word, column)
                for word, column in zip(KNOWN_FILE, (schemes, codes), strict=True)
            )
        held = codes.is_valid()
        pairs = pa.StructArray.from_arrays(
            [schemes.filter(held), codes.filter(held)], fields=list(CLASSIFICATION)
        )
        self.out["classifications"] = list_of(pairs, mask_of(held).astype(np.int32))

    def _meant(self, numbers: pa.StringArray) -> tuple[pa.StringArray, pa.StringArray]:
        """Return schemes and codes: by the agency's table, else the number in the scheme of the profile."""
        dialect = self.reader.dialect
        schemes = pa.array([dialect.scheme]).take(pa.array(np.zeros(self.count, np.int8)))
        if not dialect.table:
            return schemes, numbers
        at = pc.index_in(numbers, pa.array([*dialect.table]))
        meant = [pa.array([pair[part] for pair in dialect.table.values()]).take(at) for part in (0, 1)]
        return pc.coalesce(meant[0], schemes), pc.coalesce(meant[1], numbers)

    def _known_files(self, codes: pa.StringArray) -> Mask:
        """Tell which records have the shape of a known benign file: NIST's 8, or NSRLConvert's bare 0."""
        number = None if self.frames.inner else self.reader.dialect.known_file_category
        known = mask_of(pc.equal(codes, str(number)))
        if number != 0 or not known.any():
            return known
        present = {
            key: mask_of(column.texts.is_valid()) for key, column in self.scalars.items() if key != "MediaID"
        }
        hashes = sum(present[key].astype(int) for key in ALGORITHM_KEYS if key in present)
        known &= (hashes == 1) & (sum(held.astype(int) for held in present.values()) == 2)
        for row, record in enumerate(self.records):
            known[row] &= record is None or not (record.rest or record.names or record.prints)
        return known

    def _dropped(self) -> None:
        for key in (*DROPPED, *LINK_KEYS):
            column = self.scalars.get(key)
            if column is None:
                continue
            if key == FREE_TEXT and self.reader.free_text:
                continue
            self.reader.reading.drop(DROPPED.get(key, LINKS), len(column) - column.texts.null_count)

    def _parts(self) -> None:
        """Add what the records taken apart hold: file names and further fingerprints."""
        names = [sorted(set(record.names)) if record else [] for record in self.records]
        if any(names):
            self.out["file_names"] = pa.array([found or None for found in names], pa.list_(pa.string()))
        prints = [record.prints if record else [] for record in self.records]
        if any(prints):
            kind = ENTRY_SCHEMA.field("fingerprints").type
            stated = self.out.get("fingerprints", pa.nulls(self.count, kind)).to_pylist()
            more = [[{"kind": kind, "value": value} for kind, value in found] for found in prints]
            self.out["fingerprints"] = pa.array(
                [(a or []) + b or None for a, b in zip(stated, more, strict=True)], kind
            )

    def _extra(self) -> pa.StringArray:
        """Return `{OWNER: {…}}`, canonical, of the fields that the model has no place for."""
        for key in (*OWN_TEXTS, *((FREE_TEXT,) if self.reader.free_text else ())):
            if (texts := self._text(key)) is not None:
                self.own[key] = quoted(texts)
        extra = _members(self.own) if self.own else pa.nulls(self.count, pa.string())
        return self._with_rest(extra) if any(record and record.rest for record in self.records) else extra

    def _with_rest(self, texts: pa.StringArray) -> pa.StringArray:
        whole: list[str | None] = []
        for text, record in zip(texts.to_pylist(), self.records, strict=True):
            if record and record.rest:
                own: dict[str, Any] = json.loads(text)[OWNER] if text else {}
                text = canonical_json({OWNER: own | record.rest})
            whole.append(text)
        return pa.array(whole, pa.string())

    def _refused(self) -> Mask:
        """Refuse every record with a fault, for the first that was found; return which they are."""
        refused: dict[int, tuple[str | None, str]] = {}
        for bad, field, reason in self.faults:
            for row in np.flatnonzero(bad).tolist():
                refused.setdefault(row, (field, reason))
        for row, (field, reason) in sorted(refused.items()):
            value = self.scalars[field].texts[row].as_py() if field else None
            self.reader.refuse(self.frames, int(self.places[row]), reason, field, value)
        mask = np.zeros(self.count, bool)
        mask[list(refused)] = True
        return mask


def _members(own: dict[str, pa.StringArray]) -> pa.StringArray:
    """Return JSON texts by key as `{OWNER: {…}}`, null where a row has none."""
    parts = [pc.binary_join_element_wise(f'"{key}":', own[key], ",", "").fill_null("") for key in sorted(own)]
    joined = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "")
    inside = pc.binary_slice(joined.cast(pa.binary()), 0, -1).cast(pa.string())
    inside = pc.if_else(pc.equal(joined, ""), _NO_TEXT, inside)
    return pc.binary_join_element_wise(f'{{"{OWNER}":{{', inside, "}}", "")


def media_of_types(types: pa.StringArray) -> pa.StringArray:
    """Return `image` or `video` for a true media type (`image/png`); VicsCarver's `Image` says nothing."""
    distinct = types.dictionary_encode()
    found = [MEDIA_KIND.fullmatch(text) for text in distinct.dictionary.to_pylist()]
    return pa.array([kind and kind[1].lower() for kind in found], pa.string()).take(distinct.indices)


def tag_lists(texts: pa.StringArray) -> pa.ListArray:
    """Return comma-delimited texts as sorted lists; each distinct text is split once."""
    distinct = texts.dictionary_encode()
    lists = pc.split_pattern(distinct.dictionary, ",")
    pieces = pa.ListArray.from_arrays(lists.offsets, pc.utf8_trim_whitespace(lists.values)).to_pylist()
    found = [sorted({piece for piece in row if piece}) or None for row in pieces]
    return pa.array(found, pa.list_(pa.string())).take(distinct.indices)
