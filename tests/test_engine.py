"""The engine equals the reference on whatever Hypothesis invents (law 14)."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hashlib_interop.algorithms import parse_digest
from hashlib_interop.engine import STRONGEST_FIRST, Log, engine
from hashlib_interop.grouping import group
from hashlib_interop.model import Entry, Evidence, batch_of
from hashlib_interop.policy import Policy
from hashlib_interop.report import Import
from hashlib_interop.resolving import resolve
from tests import reference
from tests.strategies import lists

NOW = datetime(2025, 6, 1, tzinfo=UTC)
RELEASES = [None, datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC), datetime(2025, 3, 1, tzinfo=UTC)]
DELIVERY = {"a": "snapshot", "b2": "delta"}
SCALE = 20 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 1
"""Times as many examples in `make nightly`."""

# Shrinking runs the engine hundreds of times: the reference shrinks, the engine shows its first find.
SLOW = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)


def imports_of(entries: list[Entry]) -> list[Import]:
    """One import for every file that some evidence names."""
    keys = {(e.source, v.release, v.file) for e in entries for v in e.evidence}
    return [
        Import(
            source=source,
            release=release,
            file=file,
            name="f",
            size=1,
            format="native",
            reader="test",
            delivery=DELIVERY[source],
            recorded_at=NOW,
        )
        for source, release, file in keys
    ]


evidences = st.lists(
    st.builds(
        Evidence,
        file=st.integers(1, 2).map(lambda k: bytes([k]) * 32),
        release=st.sampled_from(RELEASES),
        position=st.integers(1, 5),
    ),
    min_size=1,
    max_size=3,
).map(tuple)

handlings = st.sampled_from([None, None, {"tlp": "GREEN"}, {"tlp": "RED", "audience": ["x"]}, {"tlp": "odd", "codes": ["H1"]}])

worlds = lists(
    max_size=10,
    evidence=evidences,
    fingerprints=(),
    extra={},
    tags=(),
    file_names=(),
    series=None,
    mime_type=None,
    handling=handlings,
    contributor=st.sampled_from([None, "m1", "m2"]),
    about=st.sampled_from([None, None, None, {"source": "a", "ref": "r1"}]),
    reason=None,
)

policies = st.builds(
    Policy,
    target=st.sampled_from([None, "ncmec/industry", "uk/sc-2014", "vics/US"]),
    relations=st.sampled_from([("exactMatch",), ("exactMatch", "broadMatch")]),
    tiers=st.sampled_from([(), (("a",), ("b2",)), (("b2",),)]),
    quorum=st.integers(0, 2),
    severity=st.sampled_from([{}, {"ncmec/industry": ("2", "1")}, {"uk/sc-2014": ("A", "B", "C")}]),
    skew_hours=st.sampled_from([0, 24, 10**6]),
)


def run(entries: list[Entry], policy: Policy, body: Any, imports: list[Import] | None = None, **settings: Any) -> Any:
    """Stage, group and resolve; give the connection to `body`."""
    with engine(**({"threads": 1} | settings)) as connection:
        log = Log(connection)
        for one in imports or imports_of(entries):
            log.add_import(one)
        if entries:
            log.add(batch_of(entries))
        log.settle(policy, NOW)
        group(connection, tuple(parse_digest(text) for text in policy.denied))
        resolve(connection, policy)
        return body(connection)


def tables(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """What the engine found, in the shape of the reference."""
    fetch = lambda sql: connection.execute(sql).fetchall()
    members: dict[int, set[bytes]] = defaultdict(set)
    for item, entry in fetch("SELECT item, id FROM joined JOIN core USING (e)"):
        members[item].add(entry)
    digests = ", ".join(STRONGEST_FIRST)
    items = {
        frozenset(members[row[0]]): row[1:]
        for row in fetch(f"SELECT item, status, scheme, code, rule, size, media, handling, {digests} FROM item")
    }
    sides: dict[int, set[tuple[str, bytes]]] = defaultdict(set)
    for c, value, entry in fetch("SELECT c, value, id FROM side JOIN core USING (e)"):
        sides[c].add((value, entry))
    conflicts = {(kind, subject, frozenset(sides[c])) for c, kind, subject in fetch("SELECT c, kind, subject FROM conflict")}
    current = {row[0] for row in fetch("SELECT id FROM core JOIN standing USING (e) WHERE standing = 0")}
    return {"items": items, "conflicts": conflicts, "current": current, "entries": {r[0] for r in fetch("SELECT id FROM core")}}


def expected(entries: list[Entry], policy: Policy) -> dict[str, Any]:
    """What the reference finds, in the same shape."""
    from hashlib_interop.engine import handling_text

    merged = reference.merge(entries, imports_of(entries), policy)
    items = {}
    for item in merged.items:
        scheme, code = item.value or (None, None)
        digests = tuple(item.digests.get(a) for a in STRONGEST_FIRST)
        items[item.members] = (item.status, scheme, code, item.rule, item.size, item.media, handling_text(item.handling), *digests)
    return {"items": items, "conflicts": merged.conflicts, "current": merged.current, "entries": set(merged.entries)}


@settings(SLOW, max_examples=60 * SCALE)
@given(worlds, policies)
def test_engine_equals_reference(entries: list[Entry], policy: Policy) -> None:
    """Law 14: standing, groups, statuses, values, joined handling and conflicts are those of the reference."""
    assert run(entries, policy, tables) == expected(entries, policy)


def digest_world(seed: int) -> list[Entry]:
    """A random small world in which digests collide in every way, for grouping alone."""
    rnd = random.Random(seed)
    evidence = (Evidence(file=b"\1" * 32, release=None, position=1),)
    values = {a: [bytes([k]) + bytes(w - 1) for k in range(1, rnd.randint(2, 4))] for a, w in (("md5", 16), ("sha1", 20), ("sha256", 32), ("sha512", 64))}
    entries = []
    for n in range(rnd.randint(1, 9)):
        picked = {a: rnd.choice(v) for a, v in values.items() if rnd.random() < 0.55}
        if picked:
            entries.append(Entry(source="b2", ref=f"r{n}", evidence=evidence, **picked))
    return entries


def test_grouping_equals_reference_on_many_small_worlds() -> None:
    """Law 13 and 14 for grouping: sixty worlds where chains, ambiguous digests and refused clusters abound."""
    for seed in range(60 * SCALE):
        entries = digest_world(seed)
        if entries:
            assert run(entries, Policy(), tables) == expected(entries, Policy()), seed


@pytest.mark.parametrize(
    "rows, machine, limit", [(1000, 64 << 30, 768 << 20), (10_000_000, 64 << 30, 2_600_000_000), (10_000_000, 4 << 30, 2 << 30)]
)
def test_the_engine_gets_what_its_rows_need(monkeypatch: pytest.MonkeyPatch, rows: int, machine: int, limit: int) -> None:
    """768 MiB, or 260 bytes a row, but at most half of the machine's memory."""
    monkeypatch.setattr("hashlib_interop.engine.machine_memory", lambda: machine)
    with engine() as connection:
        log = Log(connection)
        log.rows = rows
        log.make_room()
        number, unit = connection.execute("SELECT current_setting('memory_limit')").fetchone()[0].split()
        found = float(number) * {"MiB": 1 << 20, "GiB": 1 << 30}[unit]
    assert abs(found - limit) < limit / 50
