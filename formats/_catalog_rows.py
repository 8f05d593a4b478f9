"""Rows of a catalog as rows of entries: every statement with its evidence, or one row an item."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import sqlite_utils

from hashlib_interop.catalog import EPOCH, meta, stamp_of, strongest
from hashlib_interop.handling import as_row
from hashlib_interop.model import DIGESTS, FLAGS, Handling
from hashlib_interop.report import Import, Reject

_PLAIN = ("ref", "contributor", "seq", *DIGESTS, "media", "mime_type", "size", "series", "reason")


def chunks(rows: Iterable[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    """Yield rows, `size` at a time."""
    waiting: list[dict[str, Any]] = []
    for row in rows:
        waiting.append(row)
        if len(waiting) == size:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def imports_of(database: sqlite_utils.Database) -> dict[int, Import]:
    """Return the imports by number, with their rejects and what they dropped."""
    rejects: dict[int, list[Reject]] = defaultdict(list)
    for number, *values in database.execute("SELECT * FROM rejects ORDER BY rowid").fetchall():
        names = ("position", "unit", "field", "reason", "value", "raw")
        rejects[number].append(Reject(file="", **dict(zip(names, values, strict=True))))
    dropped: dict[int, dict[str, int]] = defaultdict(dict)
    for number, what, count in database.execute("SELECT * FROM losses").fetchall():
        dropped[number][what] = count
    query = "SELECT m.*, s.name AS source_name, s.delivery FROM imports m JOIN sources s ON s.id = m.source ORDER BY m.id"
    return {row["id"]: _import(row, rejects[row["id"]], dropped[row["id"]]) for row in database.query(query)}


def _import(row: dict[str, Any], rejects: list[Reject], dropped: dict[str, int]) -> Import:
    return Import(
        source=row["source_name"],
        release=stamp_of(row["release"]),
        file=row["file"],
        name=row["name"],
        size=row["size"],
        format=row["format"],
        reader=row["reader"],
        delivery=row["delivery"],
        recorded_at=EPOCH + timedelta(milliseconds=row["recorded_at"]),
        facts=json.loads(row["facts"]),
        read=row["read"],
        rejected=row["rejected"],
        dropped=dropped,
        rejects=[reject.model_copy(update={"file": row["name"]}) for reject in rejects],
    )


class _Attached:
    """A table of many rows an entry, read beside the entries in their order."""

    def __init__(self, database: sqlite_utils.Database, name: str, query: str) -> None:
        self._name = name
        self._rows = iter(database.conn.execute(query))
        self._next = next(self._rows, None)

    def of(self, entry: int) -> list[tuple[Any, ...]]:
        """Return the rows of an entry, without its number."""
        found = []
        while self._next is not None and self._next[0] == entry:
            found.append(self._next[1:])
            self._next = next(self._rows, None)
        if self._next is not None and not self._next[0] > entry:
            raise ValueError(f"a row of {self._name} that belongs to no entry")
        return found

    def end(self) -> None:
        """Raise where rows are left that belong to nobody."""
        if self._next is not None:
            raise ValueError(f"a row of {self._name} that belongs to no entry")


_ENTRIES = "SELECT e.*, x.json AS extra_json FROM entries e LEFT JOIN extras x ON x.id = e.extra ORDER BY e.id"


def entries_of(database: sqlite_utils.Database) -> Iterator[dict[str, Any]]:
    """Yield every entry with its evidence, in the order of the catalog."""
    imports = imports_of(database)
    sources = dict(database.execute("SELECT id, name FROM sources").fetchall())
    attached = {
        name: _Attached(database, name, f"SELECT * FROM {name} ORDER BY entry")
        for name in ("evidence", "fingerprints", "classifications", "votes")
    }
    for number, row in enumerate(database.query(_ENTRIES), 1):
        more = {name: table.of(row["id"]) for name, table in attached.items()}
        yield _entry(row, more, imports, sources) | {"position": number, "entry_id": row["entry_id"]}
    for table in attached.values():
        table.end()


def _entry(
    row: dict[str, Any], more: dict[str, list[tuple[Any, ...]]], imports: dict[int, Import], sources: dict[int, str]
) -> dict[str, Any]:
    runs = [(row["first_import"], row["last_import"], row["position"]), *more["evidence"]]
    seen = [one for run in runs for one in _expanded(run, imports)]
    about, vote = _vote(more["votes"])
    return {
        **{name: row[name] for name in _PLAIN},
        "extra": row["extra_json"],
        **{name: None if row[name] is None else bool(row[name]) for name in FLAGS},
        "source": sources[row["source"]],
        "asserted_at": stamp_of(row["asserted_at"]),
        "state": ("active", "retracted")[row["retracted"]],
        "file_names": json.loads(row["file_names"] or "null"),
        "tags": json.loads(row["tags"] or "null"),
        "handling": _handling(row["handling"]),
        "fingerprints": [{"kind": kind, "value": value} for kind, value in more["fingerprints"]] or None,
        "classifications": [{"scheme": s, "code": c} for s, c, _ in more["classifications"]] or None,
        "about": about,
        "vote": vote,
        "evidence": seen,
        "recorded_at": min(imports[k].recorded_at for first, last, _ in runs for k in range(first, last + 1)),
    }


def _expanded(run: tuple[Any, ...], imports: dict[int, Import]) -> list[dict[str, Any]]:
    """Evidence of a run: its position in the first import, then one sighting for each further import."""
    first, last, position = run
    if not 1 <= first <= last <= len(imports):
        raise ValueError(f"a run of imports {first} to {last}")
    return [
        {"file": imports[k].file, "release": imports[k].release, "position": position if k == first else None}
        for k in range(first, last + 1)
    ]


def _handling(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    return as_row(Handling.model_validate_json(text))


def _vote(rows: list[tuple[Any, ...]]) -> tuple[dict[str, Any] | None, str | None]:
    if len(rows) > 1:
        raise ValueError("an entry with two votes")
    if not rows:
        return None, None
    source, ref, vote, considered = rows[0]
    ids = [bytes.fromhex(text) for text in json.loads(considered or "null") or ()]
    about = None if source is None else {"source": source, "ref": ref, "considered": ids or None}
    return about, vote


_ITEM_ENTRIES = f"""SELECT item, asserted_at, mime_type, series, {", ".join(FLAGS)}
    FROM entries WHERE item IS NOT NULL ORDER BY item, id"""
_ITEM_FINGERPRINTS = """SELECT DISTINCT item, kind, value FROM entries JOIN fingerprints ON entry = entries.id
    WHERE item IS NOT NULL ORDER BY item, kind, value"""


_LEFT = {
    "entry without an exact digest, which is no item": """SELECT count(*) FROM entries WHERE item IS NULL AND standing = 0
        AND NOT retracted AND id NOT IN (SELECT entry FROM votes)""",
    "item in conflict, which the policy says to drop": """SELECT count(*) FROM items
        WHERE status IN ('conflict', 'self-conflict')""",
}


def left_of(database: sqlite_utils.Database) -> Iterator[tuple[str, int]]:
    """Yield what `items_of` leaves out although it is said today, and how many."""
    drops = meta(database)["policy"]["on_conflict"] == "drop"
    for what, question in _LEFT.items():
        if drops or "conflict" not in what:
            yield what, int(next(iter(database.execute(question)))[0])


def items_of(database: sqlite_utils.Database) -> Iterator[dict[str, Any]]:
    """Yield one row an item: what its entries agree on, the value that the policy gave."""
    drop = meta(database)["policy"]["on_conflict"] == "drop"
    entries = _Attached(database, "entries", _ITEM_ENTRIES)
    fingerprints = _Attached(database, "fingerprints", _ITEM_FINGERPRINTS)
    for row in database.query("SELECT * FROM items ORDER BY id"):
        members, prints = entries.of(row["id"]), fingerprints.of(row["id"])
        if not (drop and row["status"] in ("conflict", "self-conflict")):
            yield _item(row, members, prints)


def _item(row: dict[str, Any], members: list[tuple[Any, ...]], prints: list[tuple[str, bytes]]) -> dict[str, Any]:
    stamps, *columns = zip(*members, strict=True)
    agreed = [only(set(values) - {None}) for values in columns]
    flags = {name: None if value is None else bool(value) for name, value in zip(FLAGS, agreed[2:], strict=True)}
    value = [{"scheme": row["scheme"], "code": row["code"]}] if row["code"] is not None else None
    return {
        **{name: row[name] for name in DIGESTS},
        **flags,
        "ref": strongest(row) or f"item:{row['id']}",
        "asserted_at": stamp_of(max((s for s in stamps if s is not None), default=None)),
        "mime_type": agreed[0],
        "series": agreed[1],
        "size": row["size"],
        "media": row["media"],
        "fingerprints": [{"kind": kind, "value": value} for kind, value in prints] or None,
        "classifications": value,
        "handling": _handling(row["handling"]),
        "position": row["id"],
    }


def only(values: set[Any]) -> Any:
    """Return the one value, None where there is none or more."""
    return next(iter(values)) if len(values) == 1 else None
