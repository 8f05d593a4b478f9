"""What makes a row of `ENTRY_SCHEMA` bad although its types are right: for files that hold rows as they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop.algorithms import FINGERPRINTS
from hashlib_interop.columns import mask_of
from hashlib_interop.formats._native_rows import parsed
from hashlib_interop.kernels import Mask
from hashlib_interop.model import DIGESTS, SLUG, canonical_json

_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999
"""Milliseconds of the years 1 to 9999, which a stamp can show."""

Bad = Callable[[pa.Array], Mask]


def _other_than(*allowed: str) -> Bad:
    values = pa.array(allowed)
    return lambda column: ~mask_of(pc.is_in(column, values)) & mask_of(column.is_valid())


def _no_slug(column: pa.Array) -> Mask:
    bad = [name for name in pc.unique(column).to_pylist() if not SLUG.fullmatch(name)]
    return mask_of(pc.is_in(column, pa.array(bad, pa.string())))


def _no_stamp(column: pa.Array) -> Mask:
    millis = column.cast(pa.int64())
    return mask_of(pc.or_(pc.less(millis, _FIRST), pc.greater(millis, _LAST)))


def _no_json(column: pa.Array) -> Mask:
    texts = column.dictionary_encode()
    bad = np.array([_is_no_object(text) for text in texts.dictionary.to_pylist()], bool)
    return mask_of(pa.array(bad, pa.bool_()).take(texts.indices))


def _is_no_object(text: str) -> bool:
    try:
        value = parsed(text.encode())
        return not value or canonical_json(value) != text
    except ValueError:
        return True


def _items(bad: Bad) -> Bad:
    """Return a check of a list column by a check of its items; a null item is bad by itself."""

    def check(column: pa.ListArray) -> Mask:
        items = column.flatten()
        found = bad(items) | mask_of(items.is_null())
        rows = np.zeros(len(column), bool)
        rows[pc.list_parent_indices(column).to_numpy()[found]] = True
        return rows

    return check


def _members(*needed: str, **checks: Bad) -> Bad:
    """Return a check of a struct column: members that must be there, and checks of members."""

    def check(column: pa.StructArray) -> Mask:
        members = dict(zip((field.name for field in column.type), column.flatten(), strict=True))
        bad = np.zeros(len(column), bool)
        for name in needed:
            bad |= mask_of(members[name].is_null()) & mask_of(column.is_valid())
        for name, of_member in checks.items():
            bad |= of_member(members[name])
        return bad

    return check


def _no_fingerprint(items: pa.StructArray) -> Mask:
    kinds, values = items.flatten()
    bad = _other_than(*FINGERPRINTS)(kinds)
    lengths = pc.binary_length(values)
    for kind in FINGERPRINTS.values():
        if kind.width is not None:
            bad |= mask_of(pc.and_(pc.equal(kinds, kind.name), pc.not_equal(lengths, kind.width)))
    return bad


def _fine(column: pa.Array) -> Mask:
    return np.zeros(len(column), bool)


def _one_of(*allowed: str) -> tuple[Bad, str]:
    return _other_than(*allowed), f"must be {' or '.join(allowed)}"


_NULL_ITEM = "holds a null"
_STAMP = (_no_stamp, "must lie in the years 1 to 9999")
_CHECKS: dict[str, tuple[Bad, str]] = {
    "source": (_no_slug, "must be a source name of a-z, 0-9, '.', '_' and '-'"),
    "asserted_at": _STAMP,
    "state": _one_of("active", "retracted"),
    "fingerprints": (_items(_no_fingerprint), "holds an unknown kind, or a value that is not of its width"),
    "media": _one_of("image", "video", "other"),
    "size": (lambda column: mask_of(pc.less(column, 0)), "must not be negative"),
    "file_names": (_items(_fine), _NULL_ITEM),
    "classifications": (_items(_fine), _NULL_ITEM),
    "tags": (_items(_fine), _NULL_ITEM),
    "about": (_members("source", "ref", considered=_items(_fine)), "needs source and ref, and no null in its list"),
    "vote": _one_of("up", "down"),
    "handling": (_members(codes=_items(_fine), audience=_items(_fine), caveats=_items(_fine)), _NULL_ITEM),
    "extra": (_no_json, "must be a canonical JSON object"),
    "recorded_at": _STAMP,
    "evidence": (_items(_members("file", release=_no_stamp)), "needs file, and releases in the years 1 to 9999"),
}


def faults(batch: pa.RecordBatch) -> Iterator[tuple[str, Mask, str]]:
    """Yield what may be wrong with the rows of a batch: the field, the mask of bad rows, the reason."""
    nameless = mask_of(pc.equal(batch.column("ref"), ""))
    for name in DIGESTS:
        nameless &= mask_of(batch.column(name).is_null())
    yield "ref", nameless, "needs a ref or a digest"
    for name, (check, reason) in _CHECKS.items():
        yield name, check(batch.column(name)), reason
