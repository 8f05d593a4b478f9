"""The schema of the catalog: tables, foreign keys, indexes, and the views for people (docs/catalog.md)."""

from __future__ import annotations

from hashlib_interop.engine import STRONGEST_FIRST
from hashlib_interop.model import DIGESTS, FLAGS

VERSION = 1
APPLICATION_ID = 0x48534849  # "HSHI", in the header of the file, so that a catalog is known by content

_DIGEST_COLUMNS: dict[str, type] = {name: bytes for name in DIGESTS}

TABLES: dict[str, dict[str, type]] = {
    "meta": {"key": str, "value": str},
    "sources": {
        "id": int,
        "name": str,
        "delivery": str,
        "read": int,
        "rejected": int,
        "active": int,
        "retracted": int,
        "withdrawn": int,
        "quarantined": int,
        "only_here": int,
    },
    "imports": {
        "id": int,
        "source": int,
        "release": int,
        "file": bytes,
        "name": str,
        "size": int,
        "format": str,
        "reader": str,
        "recorded_at": int,
        "facts": str,
        "read": int,
        "rejected": int,
    },
    "items": {
        "id": int,
        **_DIGEST_COLUMNS,
        "size": int,
        "media": str,
        "status": str,
        "scheme": str,
        "code": str,
        "rule": str,
        "handling": str,
        "entries": int,
        "sources": int,
        "votes_up": int,
        "votes_down": int,
    },
    "extras": {"id": int, "json": str},
    "entries": {
        "id": int,
        "entry_id": bytes,
        "item": int,
        "source": int,
        "own_ref": str,
        "contributor": str,
        "asserted_at": int,
        "seq": int,
        "retracted": int,
        "standing": int,
        **_DIGEST_COLUMNS,
        "media": str,
        "mime_type": str,
        "size": int,
        "file_names": str,
        "series": str,
        "tags": str,
        **{name: int for name in FLAGS},
        "reason": str,
        "handling": str,
        "extra": int,
        "first_import": int,
        "last_import": int,
        "position": int,
    },
    "evidence": {"entry": int, "first_import": int, "last_import": int, "position": int},
    "fingerprints": {"entry": int, "kind": str, "value": bytes},
    "classifications": {"entry": int, "scheme": str, "code": str, "mapped": str},
    "votes": {"entry": int, "about_source": str, "about_ref": str, "vote": str, "considered": str},
    "conflicts": {"id": int, "kind": str, "subject": str, "item": int, "resolved": int},
    "sides": {"conflict": int, "value": str, "entry": int},
    "rejects": {
        "import": int,
        "position": int,
        "unit": str,
        "field": str,
        "reason": str,
        "value": str,
        "raw": str,
    },
    "losses": {"import": int, "what": str, "count": int},
}

# A ref that is only the strongest digest is not stored twice: `ref` is computed where it is asked for.
_REF = " ".join(f"WHEN {a} IS NOT NULL THEN '{a}:' || lower(hex({a}))" for a in STRONGEST_FIRST)
COMPUTED = f"ALTER TABLE entries ADD COLUMN ref TEXT GENERATED ALWAYS AS (coalesce(own_ref, CASE {_REF} END)) VIRTUAL"

# A table of nothing but a short key is stored as one tree: 42 bytes a row become 30.
WITHOUT_ROWID = {"classifications": "entry, scheme, code"}

FOREIGN = {
    "imports": [("source", "sources")],
    "entries": [("item", "items"), ("source", "sources"), ("extra", "extras"), ("first_import", "imports"), ("last_import", "imports")],
    "evidence": [("entry", "entries"), ("first_import", "imports"), ("last_import", "imports")],
    "fingerprints": [("entry", "entries")],
    "classifications": [("entry", "entries")],
    "votes": [("entry", "entries")],
    "conflicts": [("item", "items")],
    "sides": [("conflict", "conflicts"), ("entry", "entries")],
    "rejects": [("import", "imports")],
    "losses": [("import", "imports")],
}

INDEXES = (
    ("entries", "item"),
    ("entries", "source, own_ref"),
    *(("entries", name) for name in DIGESTS),
    *(("items", name) for name in DIGESTS),
    ("evidence", "entry"),
    ("fingerprints", "entry"),
    ("votes", "about_source, about_ref"),
    ("votes", "entry"),
    ("conflicts", "item"),
    ("sides", "conflict"),
    ("sides", "entry"),
)

_HEX = ", ".join(f"lower(hex({{0}}.{name})) AS {name}" for name in reversed(DIGESTS))
_STAMP = "strftime('%Y-%m-%dT%H:%M:%fZ', {0} / 1000.0, 'unixepoch')"
STANDINGS = ("current", "superseded", "withdrawn", "quarantined")
_STANDING = "CASE e.standing " + " ".join(f"WHEN {k} THEN '{name}'" for k, name in enumerate(STANDINGS)) + " END"

VIEWS = {
    "items_hex": f"""SELECT i.id, {_HEX.format("i")}, i.size, i.media, i.status, i.scheme, i.code, i.rule, i.handling,
        i.entries, i.sources, i.votes_up, i.votes_down FROM items i""",
    "entries_hex": f"""SELECT e.id, e.item, s.name AS source, e.ref, e.contributor, {_STAMP.format("e.asserted_at")} AS asserted_at,
        CASE e.retracted WHEN 1 THEN 'retracted' ELSE 'active' END AS state, {_STANDING} AS standing, {_HEX.format("e")},
        e.media, e.mime_type, e.size, e.file_names, e.series, e.tags, e.reason, e.handling, x.json AS extra,
        lower(hex(m.file)) AS file, m.name AS file_name, e.position
        FROM entries e JOIN sources s ON s.id = e.source JOIN imports m ON m.id = e.first_import
        LEFT JOIN extras x ON x.id = e.extra""",
    "claims": f"""SELECT e.item, s.name AS source, e.contributor, c.scheme, c.code, c.mapped, {_STAMP.format("e.asserted_at")} AS asserted_at,
        {_STANDING} AS standing, e.ref, e.id AS entry
        FROM classifications c JOIN entries e ON e.id = c.entry JOIN sources s ON s.id = e.source""",
    "disagreements": """SELECT c.id AS conflict, c.kind, c.subject, c.item, c.resolved, d.value, s.name AS source,
        e.contributor, e.ref, e.id AS entry
        FROM conflicts c JOIN sides d ON d.conflict = c.id JOIN entries e ON e.id = d.entry JOIN sources s ON s.id = e.source""",
}
