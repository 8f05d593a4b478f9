"""What `fileDetails` carries of an entry: what the XSD and the rules of the documentation let it say."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop.algorithms import ALGORITHMS
from hashlib_interop.carrying import kinds
from hashlib_interop.columns import mask_of
from hashlib_interop.errors import BadOption, shown
from hashlib_interop.format import Carry, Writing, whole
from hashlib_interop.formats._cybertipline_record import (
    ANNOTATION,
    ANNOTATIONS,
    CODES,
    FLAGS,
    INDUSTRY,
    KINDS,
    NAME,
    RELEVANCE,
    is_other_hash,
    is_stamp,
    is_token,
)
from hashlib_interop.kernels import Mask
from hashlib_interop.model import ENTRY_SCHEMA, Json, canonical_json

_REF = re.compile("[0-9]{1,18}/.+", re.ASCII | re.DOTALL)


def own_extra(text: str | None) -> Json:
    """Return the part of `extra` that is written: the flags, stamp and hashes that the schema has places for."""
    return dict(_own(text)) if text else {}


@lru_cache(maxsize=4096)
def _own(text: str) -> Json:
    found = json.loads(text).get(NAME)
    if not isinstance(found, dict):
        return {}
    own: Json = {name: found[name] for name in FLAGS if isinstance(found.get(name), bool)}
    if own.get("exifViewedByEsp") and not own.get("fileViewedByEsp"):
        del own["exifViewedByEsp"]
    if isinstance(found.get("fileRelevance"), str) and found["fileRelevance"] in RELEVANCE:
        own["fileRelevance"] = found["fileRelevance"]
    if is_stamp(found.get("uploadedToEspTimestamp")):
        own["uploadedToEspTimestamp"] = found["uploadedToEspTimestamp"]
    hashes = found.get("hashes")
    pairs = {(pair[0], pair[1]) for pair in hashes if _is_pair(pair)} if isinstance(hashes, list) else set()
    return own | ({"hashes": [list(pair) for pair in sorted(pairs)]} if pairs else {})


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and is_other_hash(*pair)


def _extra(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
    own = [own_extra(text) for text in batch.column("extra").to_pylist()]
    return pa.array([canonical_json({NAME: value}) if value else None for value in own], pa.string())


def _classifications(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
    """Carry the ten annotations, and the first industry code; that one not beside `Supplemental Reported`."""
    rows = zip(batch.column("classifications").to_pylist(), batch.column("extra").to_pylist(), strict=True)
    kept = [_codes(items or [], own_extra(text).get("fileRelevance") != RELEVANCE[1]) or None for items, text in rows]
    return pa.array(kept, ENTRY_SCHEMA.field("classifications").type)


def _codes(items: list[Json], industry: bool) -> list[Json]:
    said = [item for item in items if item["scheme"] == ANNOTATION and item["code"] in ANNOTATIONS]
    codes = [item for item in items if item["scheme"] == INDUSTRY and item["code"] in CODES]
    return [*said, *(codes[:1] if industry else [])]


def _refs(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
    """Carry refs as `REPORT/FILE`; one of another form stands under the report of the option `report_id`."""
    report = str(writing.options.get("report_id", "0"))
    if not re.fullmatch("[0-9]{1,18}", report, re.ASCII):
        raise BadOption(f"report_id is {shown(report)}: a number of up to 18 digits is needed", file=writing.name)
    refs = batch.column("ref").to_pylist()
    return pa.array([ref if _REF.fullmatch(ref) else f"{report}/{ref}" for ref in refs], pa.string())


def refuses(batch: pa.RecordBatch, writing: Writing) -> list[tuple[str, Mask]]:
    """Return the rows that cannot be written, by reason."""
    files = [ref.partition("/")[2] for ref in _refs(batch, writing).to_pylist()]
    held = mask_of(_prints(batch, writing).is_valid())
    for name in ALGORITHMS:
        held |= mask_of(batch.column(name).is_valid())
    held |= np.array(["hashes" in own_extra(text) for text in batch.column("extra").to_pylist()], bool)
    retracted = mask_of(pc.equal(batch.column("state"), "retracted")) | mask_of(batch.column("about").is_valid())
    return [
        ("a ref that is no id of a file", ~np.array([is_token(file) for file in files], bool)),
        ("no digest or fingerprint that the format carries", ~held & ~retracted),
    ]


_prints = kinds(*KINDS)

CARRIES: dict[str, Carry] = {
    "ref": _refs,
    **{name: whole(name) for name in ALGORITHMS},
    "fingerprints": _prints,
    "classifications": _classifications,
    "extra": _extra,
}
