"""What a VICS file carries of an entry: exactly what reading it back gives again (law 15)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop.carrying import kinds
from hashlib_interop.columns import keep_items, mask_of
from hashlib_interop.errors import CannotWrite, shown
from hashlib_interop.format import Carry, Writing, whole
from hashlib_interop.formats._vics_media import media_of_types
from hashlib_interop.formats._vics_record import (
    ALGORITHM_KEYS,
    FLAG_KEYS,
    FREE_TEXT,
    KNOWN_FILE,
    OWN_FLAGS,
    OWN_TEXTS,
    OWNER,
    PRINTS,
    SCALARS,
    Dialect,
    hash_kind,
    holds_miniature,
    is_bare,
    is_link,
)
from hashlib_interop.json_columns import stamps_of
from hashlib_interop.kernels import Mask
from hashlib_interop.model import Json, canonical_json

VERSIONS = ("1.1", "1.2", "1.3", "2.0")
EXTRA_DEPTH = 48
_CODE = r"^(0|-?[1-9][0-9]{0,17})$"


DialectOf = Callable[[Writing], Dialect]
"""Given the options of a writer, the dialect to write."""


def chosen_version(writing: Writing) -> str:
    """Return the version to write, from the options; `CannotWrite` for one that there is not."""
    version = str(writing.options.get("version", "2.0"))
    if version not in VERSIONS:
        known = ", ".join(VERSIONS)
        raise CannotWrite(f"no VICS version {shown(version)}; known: {known}", file=writing.name)
    return version


def chosen_kind(writing: Writing) -> str:
    """Return `Media` or `Cases`, the shape to write; `CannotWrite` for another."""
    shape = str(writing.options.get("shape", "media")).title()
    if shape not in ("Media", "Cases"):
        raise CannotWrite(f"no shape {shown(shape)}: say media or cases", file=writing.name)
    return shape


# Plain columns -------------------------------------------------------------------------------------------


def _some_text(name: str, commas: bool) -> Carry:
    """Carry items that are not empty; without commas and outer spaces where a comma parts them."""

    def carry(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
        lists = batch.column(name)
        texts = lists.flatten()
        fine = mask_of(pc.not_equal(texts, ""))
        if not commas:
            fine &= ~mask_of(pc.match_substring(texts, ","))
            fine &= mask_of(pc.equal(pc.utf8_trim_whitespace(texts), texts))
        return keep_items(lists, fine)

    return carry


def _mime_type(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
    """Carry a media type, except where it would be read back as another kind of media than the entry says."""
    types = batch.column("mime_type")
    kind = media_of_types(types)
    fine = mask_of(kind.is_null()) | mask_of(pc.equal(kind, batch.column("media")))
    return pc.if_else(pa.array(fine), types, pa.scalar(None, pa.string()))


def _media(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
    """Carry the kind of media that the media type says."""
    return media_of_types(_mime_type(batch, writing))


# Classifications -----------------------------------------------------------------------------------------


def _classifications(dialect_of: DialectOf, others: dict[str, Carry]) -> Carry:
    """Carry one code of the profile's scheme or table, else a known file where the version can say so.

    A code that would be read back as a known benign file is not carried, nor the reverse.
    """

    def carry(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
        dialect = dialect_of(writing)
        lists = _by_table(batch.column("classifications"), dialect)
        items = lists.flatten()
        rows = pc.list_parent_indices(lists).to_numpy()
        known, code = _is_known_file(items), _has_number(items, dialect)
        number = dialect.known_file_category
        if number is None:
            known[:] = False
        else:
            shape = np.ones(batch.num_rows, bool) if number else _bare(batch, writing, others)
            known &= shape[rows]
            code &= ~(shape[rows] & mask_of(pc.equal(items.field("code"), str(number))))
        coded = np.zeros(batch.num_rows, bool)
        coded[rows[code]] = True
        keep = code | (known & ~coded[rows])
        return keep_items(lists, keep & _first_kept(rows, keep))

    return carry


def _by_table(lists: pa.ListArray, dialect: Dialect) -> pa.ListArray:
    """Return classifications with the numbers that the agency's table knows as what it says."""
    if not dialect.table:
        return lists
    rows = lists.to_pylist()
    for item in (item for row in rows for item in row or ()):
        if item["scheme"] == dialect.scheme and item["code"] in dialect.table:
            item["scheme"], item["code"] = dialect.table[item["code"]]
    return pa.array(rows, lists.type)


def _is_known_file(items: pa.StructArray) -> Mask:
    scheme, code = (mask_of(pc.equal(items.field(n), KNOWN_FILE[n == "code"])) for n in ("scheme", "code"))
    return scheme & code


def _has_number(items: pa.StructArray, dialect: Dialect) -> Mask:
    """Return the classifications that a Category can say."""
    plain = mask_of(pc.match_substring_regex(items.field("code"), _CODE))
    plain &= mask_of(pc.equal(items.field("scheme"), dialect.scheme))
    known = dialect.backwards
    meant = [(item["scheme"], item["code"]) in known for item in items.to_pylist()] if known else []
    return plain | np.array(meant, bool) if meant else plain


def _first_kept(rows: Any, keep: Mask) -> Mask:
    first = np.zeros(len(rows), bool)
    at = np.flatnonzero(keep)
    first[at[np.unique(rows[at], return_index=True)[1]]] = True
    return first


def _bare(batch: pa.RecordBatch, writing: Writing, others: dict[str, Carry]) -> Mask:
    """Tell which rows are written as one hash and a Category, nothing else: the shape of NSRLConvert."""
    hashes = np.zeros(batch.num_rows, int)
    more = np.zeros(batch.num_rows, bool)
    for name, carry in others.items():
        held = mask_of(carry(batch, writing).is_valid())
        if name in ("md5", "sha1"):
            hashes += held
        else:
            more |= held
    return np.asarray((hashes == 1) & ~more, bool)


# Own fields ----------------------------------------------------------------------------------------------


def _extra(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
    """Carry of `extra` only what reading a VICS record puts there."""
    column = batch.column("extra")
    if column.null_count == len(column):
        return column
    names = ("extra", "md5", "asserted_at", "file_names")
    rows = batch.select(list(names)).to_pylist()
    free_text = writing.options.get("free_text") == "yes"
    return pa.array([_own(row, free_text) if row["extra"] else None for row in rows], pa.string())


def _own(row: Json, free_text: bool) -> str | None:
    own = json.loads(row["extra"]).get(OWNER)
    if not isinstance(own, dict):
        return None
    kept = {key: _member(key, value, row, free_text) for key, value in own.items()}
    kept = {key: value for key, value in kept.items() if value is not _LEFT_OUT}
    return canonical_json({OWNER: kept}) if kept else None


_LEFT_OUT = object()


def _member(key: str, value: Any, row: Json, free_text: bool) -> Any:
    """Return what is carried of one own field, or `_LEFT_OUT`."""
    if is_link(key) or key == "Media" or _depth(value) > EXTRA_DEPTH or holds_miniature({key: value}):
        return _LEFT_OUT
    if key == "MediaFiles":
        md5 = row["md5"].hex() if row["md5"] else ""
        return _items(value, lambda item: _is_kept_file(item, md5, row["file_names"] or ()))
    if key == "AlternativeHashes":
        return _items(value, lambda item: hash_kind(item.get("HashName")) is None)
    if key not in SCALARS:
        return _LEFT_OUT if key.casefold() == FREE_TEXT.casefold() and not free_text else value
    fits = (
        (key in OWN_FLAGS and isinstance(value, bool))
        or (key in OWN_TEXTS and isinstance(value, str))
        or (key == FREE_TEXT and free_text and isinstance(value, str))
        or (key == "DateUpdated" and row["asserted_at"] is None and _is_naive(value))
    )
    return value if fits else _LEFT_OUT


def _items(value: Any, fine: Any) -> Any:
    if not isinstance(value, list):
        return _LEFT_OUT
    return [item for item in value if isinstance(item, dict) and fine(item)] or _LEFT_OUT


def _is_kept_file(item: Json, md5: str, names: tuple[str, ...]) -> bool:
    name = item.get("FileName")
    named = not (isinstance(name, str) and name) or name in names
    return bool(item) and named and not is_bare(item, md5) and not any(is_link(key) for key in item)


def _is_naive(value: Any) -> bool:
    return isinstance(value, str) and bool(stamps_of(pa.array([value]))[2].any())


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def media_files_of(row: Json, kept: list[Json]) -> list[Json]:
    """Return the MediaFiles of a row: those kept in `extra`, and one for each name that is not among them."""
    named = {item.get("FileName") for item in kept if isinstance(item.get("FileName"), str)}
    md5 = {"MD5": row["md5"].hex().upper()} if row["md5"] else {}
    return kept + [md5 | {"FileName": name} for name in row["file_names"] or () if name not in named]


_OTHERS: dict[str, Carry] = {
    **{name: whole(name) for name in ALGORITHM_KEYS.values()},
    "fingerprints": kinds(*PRINTS, most_each=1 << 40),
    "mime_type": _mime_type,
    "media": _media,
    "size": whole("size"),
    "asserted_at": whole("asserted_at"),
    **{name: whole(name) for name in FLAG_KEYS.values()},
    "series": whole("series"),
    "tags": _some_text("tags", commas=False),
    "file_names": _some_text("file_names", commas=True),
    "extra": _extra,
}


def carries(dialect_of: DialectOf) -> dict[str, Carry]:
    """Return the carry rules of a format that writes VICS as `dialect_of` says."""
    return {**_OTHERS, "classifications": _classifications(dialect_of, _OTHERS)}
