"""Looking into a catalog: who said what about a digest, and what cannot all hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlite_utils

from hashlib_interop.algorithms import ALGORITHMS, Digest, parse_digest, parse_hex
from hashlib_interop.catalog import meta, opened_catalog, stamp_of, strongest
from hashlib_interop.catalog_schema import STANDINGS
from hashlib_interop.errors import BadDigest, BadOption, shown


@dataclass
class Said:
    """One entry behind an item. `role`: used, overruled, in conflict, no mapping, or why it does not count."""

    source: str
    ref: str
    contributor: str | None
    asserted_at: datetime | None
    state: str
    standing: str
    digests: tuple[Digest, ...]
    classifications: list[str]
    role: str
    file: str
    release: datetime | None
    last_file: str
    position: int | None
    size: int | None
    media: str | None
    reason: str | None
    id: str

    def to_json(self) -> dict[str, Any]:
        """Return the entry as JSON values."""
        dates = {"asserted_at": _iso(self.asserted_at), "release": _iso(self.release)}
        return {**vars(self), **dates, "digests": [str(d) for d in self.digests]}


@dataclass
class Why:
    """An item, what was decided and on whose word; or, without `item`, entries that no longer make one."""

    digest: Digest
    item: dict[str, Any] | None
    policy: dict[str, Any]
    entries: list[Said] = field(default_factory=list)
    history: list[Said] = field(default_factory=list)
    votes: list[dict[str, Any]] = field(default_factory=list)
    conflicts: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the answer as JSON values."""
        return {
            "digest": str(self.digest),
            "item": self.item,
            "policy": self.policy,
            "entries": [said.to_json() for said in self.entries],
            "history": [said.to_json() for said in self.history],
            "votes": self.votes,
            "conflicts": self.conflicts,
        }


def read_digest(text: str) -> Digest:
    """Read `algorithm:hex`, or hex alone: in a catalog the length says which column it can stand in."""
    if ":" in text:
        return parse_digest(text)
    for algorithm in ALGORITHMS.values():
        if len(text) == 2 * algorithm.width:
            return Digest(algorithm.name, parse_hex(text, algorithm.width))
    raise BadDigest(f"no digest of a catalog has {len(text)} characters: {shown(text)}")


def why(path: str | Path, digest: str) -> list[Why]:
    """Return what a catalog holds about a digest: one answer an item (an ambiguous digest has several).

    Empty where the digest is unknown. Raises `BadDigest` and `BadCatalog`.
    """
    wanted = read_digest(digest)
    with opened_catalog(path) as database:
        query = f"SELECT id, item, source, ref FROM entries WHERE {wanted.algorithm} = ?"
        found = list(database.query(query, [wanted.value]))
        items = sorted({row["item"] for row in found if row["item"] is not None})
        said = meta(database)
        own = [{"name": name, "sha256": sha256} for name, sha256 in said["crosswalk"][1:]]
        policy = {**said["policy"], "hash": said["policy_hash"], "crosswalk": own}
        answers = [_about_item(database, wanted, item, policy) for item in items]
        shown_ids = {e for a in answers for e in _entry_ids(database, a.item)}
        rest = [row["id"] for row in found if row["item"] is None and row["id"] not in shown_ids]
        told = {said.id for a in answers for said in a.history}
        silent = [s for s in _said(database, rest, None) if s.id not in told]
        if silent and not answers:
            return [Why(wanted, None, policy, history=silent)]
        if silent:
            answers[0].history += silent
        return answers


def _entry_ids(database: sqlite_utils.Database, item: dict[str, Any] | None) -> list[int]:
    if item is None:
        return []
    return [row[0] for row in database.execute("SELECT id FROM entries WHERE item = ?", [item["id"]]).fetchall()]


def _about_item(database: sqlite_utils.Database, digest: Digest, number: int, policy: dict[str, Any]) -> Why:
    row = next(database.query("SELECT * FROM items WHERE id = ?", [number]))
    item = {k: v for k, v in row.items() if k not in ALGORITHMS}
    item |= {"key": strongest(row), **{a: row[a].hex() for a in ALGORITHMS if row[a] is not None}}
    members = _entry_ids(database, item)
    query = """SELECT p.id FROM entries e JOIN entries p ON p.source = e.source AND p.own_ref = e.own_ref
        WHERE e.item = ?1 AND p.item IS NOT ?1 ORDER BY p.id"""
    past = {row[0] for row in database.execute(query, [number]).fetchall()}
    query = "SELECT d.entry FROM conflicts c JOIN sides d ON d.conflict = c.id WHERE c.item = ? AND c.kind = 'state'"
    past |= {row[0] for row in database.execute(query, [number]).fetchall()} - set(members)
    return Why(
        digest,
        item,
        policy,
        _said(database, members, item, policy["target"]),
        _said(database, sorted(past), None),
        _votes(database, number),
        [dict(c) for c in database.query("SELECT id, kind, subject, resolved FROM conflicts WHERE item = ? ORDER BY id", [number])],
    )


def _said(
    database: sqlite_utils.Database, entries: list[int], item: dict[str, Any] | None, target: str | None = None
) -> list[Said]:
    return [_one(database, number, item, target) for number in entries]


_ENTRY = """SELECT e.*, s.name AS source_name, m.name AS file_name, m.release AS file_release, l.name AS last_name
    FROM entries e JOIN sources s ON s.id = e.source JOIN imports m ON m.id = e.first_import
    JOIN imports l ON l.id = e.last_import WHERE e.id = ?"""


def _one(database: sqlite_utils.Database, number: int, item: dict[str, Any] | None, target: str | None) -> Said:
    row = next(database.query(_ENTRY, [number]))
    claims = list(database.query("SELECT scheme, code, mapped FROM classifications WHERE entry = ? ORDER BY scheme, code", [number]))
    return Said(
        source=row["source_name"],
        ref=row["ref"],
        contributor=row["contributor"],
        asserted_at=stamp_of(row["asserted_at"]),
        state="retracted" if row["retracted"] else "active",
        standing=STANDINGS[row["standing"]],
        digests=tuple(Digest(a, row[a]) for a in ALGORITHMS if row[a] is not None),
        classifications=[_claim(c, target) for c in claims],
        role=_role(row, claims, item),
        file=row["file_name"],
        release=stamp_of(row["file_release"]),
        last_file=row["last_name"],
        position=row["position"],
        size=row["size"],
        media=row["media"],
        reason=row["reason"],
        id=row["entry_id"].hex(),
    )


def _claim(claim: dict[str, Any], target: str | None) -> str:
    """Return what was said, and what the crosswalk made of it in the scheme of the policy."""
    said = f"{claim['scheme']} {claim['code']}"
    return said if claim["mapped"] is None or target in (None, claim["scheme"]) else f"{said} -> {claim['mapped']}"


def _role(row: dict[str, Any], claims: list[dict[str, Any]], item: dict[str, Any] | None) -> str:
    if item is None:
        return "retracted" if row["retracted"] else STANDINGS[row["standing"]]
    mapped = {claim["mapped"] for claim in claims} - {None}
    if not mapped:
        return "no mapping" if claims else "not classified"
    if item["code"] is None:
        return "in conflict"
    return "used" if item["code"] in mapped else "overruled"


def _votes(database: sqlite_utils.Database, item: int) -> list[dict[str, Any]]:
    query = """SELECT s.name AS source, v.contributor, t.vote, v.reason, v.asserted_at, t.about_ref AS ref
        FROM votes t JOIN entries v ON v.id = t.entry JOIN sources s ON s.id = v.source
        WHERE v.standing = 0 AND (t.about_source, t.about_ref) IN
            (SELECT o.name, e.ref FROM entries e JOIN sources o ON o.id = e.source WHERE e.item = ?) ORDER BY v.id"""
    return [{**row, "asserted_at": _iso(stamp_of(row["asserted_at"]))} for row in database.query(query, [item])]


def conflicts(
    path: str | Path, kind: str | None = None, source: str | None = None, unresolved: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield the conflicts of a catalog with their sides: what is claimed, and who claims it.

    By kind, those between most sources first.

    `source` keeps those in which it takes a side, `unresolved` those that the policy did not settle.
    """
    with opened_catalog(path) as database:
        known = [row[0] for row in database.execute("SELECT name FROM sources ORDER BY id").fetchall()]
        if source and source not in known:
            raise BadOption(f"no source {shown(source)!r} in this catalog; it has {', '.join(known)}")
        where, values = ["1"], []
        if kind:
            where.append("c.kind = ?")
            values.append(kind)
        if unresolved:
            where.append("NOT c.resolved")
        if source:
            where.append(
                "c.id IN (SELECT d.conflict FROM sides d JOIN entries e ON e.id = d.entry "
                "JOIN sources s ON s.id = e.source WHERE s.name = ?)"
            )
            values.append(source)
        query = f"SELECT c.*, i.status, {', '.join(f'i.{a}' for a in ALGORITHMS)} FROM conflicts c LEFT JOIN items i ON i.id = c.item"
        order = "c.kind, (SELECT count(DISTINCT e.source) FROM sides d JOIN entries e ON e.id = d.entry WHERE d.conflict = c.id) DESC, c.id"
        for row in database.query(f"{query} WHERE {' AND '.join(where)} ORDER BY {order}", values):
            yield _conflict(database, row)


def _conflict(database: sqlite_utils.Database, row: dict[str, Any]) -> dict[str, Any]:
    query = """SELECT d.value, s.name AS source, e.contributor, e.ref, lower(hex(e.entry_id)) AS entry,
            (SELECT group_concat(k.scheme || ' ' || k.code, ', ') FROM classifications k
             WHERE k.entry = e.id AND k.mapped = d.value AND k.scheme <> ?2) AS mapped_from
        FROM sides d JOIN entries e ON e.id = d.entry JOIN sources s ON s.id = e.source WHERE d.conflict = ?1 ORDER BY d.value, d.entry"""
    sides = list(database.query(query, [row["id"], row["subject"] if row["kind"] == "classification" else None]))
    return {
        "id": row["id"],
        "kind": row["kind"],
        "subject": row["subject"] or None,
        "resolved": bool(row["resolved"]),
        "status": row["status"],
        "item": strongest(row),
        "sides": sides,
    }


def conflict_counts(path: str | Path) -> dict[str, dict[str, int]]:
    """Return, by kind, how many conflicts there are and how many the policy settled."""
    with opened_catalog(path) as database:
        query = "SELECT kind, count(*), sum(resolved) FROM conflicts GROUP BY kind ORDER BY kind"
        return {kind: {"count": count, "resolved": resolved} for kind, count, resolved in database.execute(query).fetchall()}


def _iso(value: datetime | None) -> str | None:
    return value.isoformat() if value else None
