"""The digests of a catalog: of the entries that count, with the item's number, who lists it and as what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import sqlite_utils

from hashlib_interop.catalog import meta, opened_catalog
from hashlib_interop.catalog_schema import STANDINGS
from hashlib_interop.handling import restrictions
from hashlib_interop.kernels import Mask
from hashlib_interop.membership.digest_keys import keys_of
from hashlib_interop.membership.entry_digests import Wanted, numbered, rows_of
from hashlib_interop.membership.hset_file import WIDTHS
from hashlib_interop.membership.hset_payload import Batch, Sets
from hashlib_interop.model import DIGESTS, Handling
from hashlib_interop.schemes import KNOWN_FILE, scheme_kind

ROWS = 1 << 16
_SAID = "(SELECT json_group_array(scheme || ':' || code) FROM classifications WHERE entry = e.id)"
_ENTRIES = f"""SELECT e.item, e.source, e.handling, {_SAID}, {", ".join(f"e.{name}" for name in DIGESTS)}
    FROM entries e WHERE e.item IS NOT NULL ORDER BY e.id"""


def of_catalog(path: str | Path, file: str, wanted: Wanted) -> Iterator[Batch]:
    """Yield the digests of a catalog, batch by batch. `file` is its SHA-256 in hex, said with the item numbers.

    What counts is what merge let count: current, not retracted. An item of which only known-file lists speak is left
    out unless they are wanted, an item in conflict where the catalog's policy drops it. Raises `BadCatalog`.
    """
    with opened_catalog(path) as database:
        _count_silent(database, wanted)
        without = _items_without(database, wanted)
        sources = database.execute("SELECT id, name FROM sources").fetchall()
        places = {number: place for place, (number, _) in enumerate(sources)}
        names = tuple((name,) for _, name in sources)
        cursor = database.execute(_ENTRIES)
        while rows := cursor.fetchmany(ROWS):
            items, listed_by, labels, said, *digests = zip(*rows, strict=True)
            by = Sets(np.array([places[number] for number in listed_by], np.uint32), names)
            keep = ~np.isin(np.array(items, np.int64), without)
            keep &= ~_held_back(labels, keep, wanted)
            wanted.taken(int(keep.sum()))
            yield from _batches(np.array(items), by, _said(said), digests, keep, file, wanted)


def _batches(
    items: Any, by: Sets, said: Sets, digests: list[Any], keep: Mask, file: str, wanted: Wanted
) -> Iterator[Batch]:
    for name, values in zip(DIGESTS, digests, strict=True):
        keys, valid = keys_of(pa.array(values, pa.binary(WIDTHS[name])), WIDTHS[name])
        batch = numbered(Batch(name, keys, None, by, said), items, file)
        made = wanted.checked(rows_of(batch, keep if valid is None else keep & valid))
        if made is not None:
            yield made


def _said(texts: tuple[str, ...]) -> Sets:
    """Return JSON lists as sets; few differ, and each is read once."""
    coded = pa.array(texts, pa.string()).dictionary_encode()
    sets = tuple(tuple(sorted(map(str, json.loads(text)))) for text in coded.dictionary.to_pylist())
    return Sets(coded.indices.to_numpy().astype(np.uint32), sets)


def _held_back(labels: tuple[str | None, ...], keep: Mask, wanted: Wanted) -> Mask:
    """Tell which entries stay out of what is shared; few labels differ, and each is read once."""
    coded = pa.array(labels, pa.string()).dictionary_encode()
    held, places = np.zeros(len(labels), bool), coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    for number, text in enumerate(coded.dictionary.to_pylist()):
        rows = (places == number) & keep
        if rows.any():
            held[rows] = wanted.held_back(restrictions(Handling.model_validate_json(text)), int(rows.sum()))
    return held


def _count_silent(database: sqlite_utils.Database, wanted: Wanted) -> None:
    """Count the entries of a catalog that count for no item."""
    query = "SELECT standing, retracted, count(*) FROM entries WHERE item IS NULL GROUP BY 1, 2 ORDER BY 1, 2"
    for standing, retracted, count in database.execute(query).fetchall():
        if standing:
            wanted.leave_out(f"{STANDINGS[standing]} entries", count)
        else:
            what = "retracted entries" if retracted else "votes, decisions, and entries without a digest"
            wanted.leave_out(what, count)


def _items_without(database: sqlite_utils.Database, wanted: Wanted) -> Any:
    """Return the items to leave out, and count them."""
    known = [] if wanted.known_files else _only_known(database)
    wanted.leave_out("items that only lists of known files hold", len(known))
    wanted.crosswalk |= {sha256: name for name, sha256 in meta(database)["crosswalk"][1:]}
    dropped = []
    if meta(database)["policy"]["on_conflict"] == "drop":
        query = "SELECT id FROM items WHERE status IN ('conflict', 'self-conflict')"
        dropped = [row[0] for row in database.execute(query).fetchall()]
    wanted.leave_out("items in conflict, which the policy of the catalog drops", len(dropped))
    return np.array(known + dropped, np.int64)


def _only_known(database: sqlite_utils.Database) -> list[int]:
    """Return the items whose every entry is classified, and in nothing but schemes of known files."""
    schemes = [row[0] for row in database.execute("SELECT DISTINCT scheme FROM classifications").fetchall()]
    known = [scheme for scheme in schemes if scheme_kind(scheme) == KNOWN_FILE]
    if not known:
        return []
    marks = ", ".join("?" * len(known))
    query = f"""SELECT item FROM (
            SELECT e.item, count(c.entry) > 0 AND min(c.scheme IN ({marks})) AS known
            FROM entries e LEFT JOIN classifications c ON c.entry = e.id WHERE e.item IS NOT NULL GROUP BY e.id)
        GROUP BY item HAVING min(known) ORDER BY item"""
    return [row[0] for row in database.execute(query, known).fetchall()]
