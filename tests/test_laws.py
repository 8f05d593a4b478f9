"""The laws of merge (design, section 5), each against the reference and against the engine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from hashlib_interop.algorithms import ALGORITHMS, is_denied
from hashlib_interop.handling import join, joined, normal, permits, restrictions
from hashlib_interop.merging import merge
from hashlib_interop.model import Entry, Handling
from hashlib_interop.policy import Policy
from hashlib_interop.schemes import scheme_kind
from hashlib_interop.writing import write
from tests import reference
from tests.strategies import handlings as any_handling
from tests.test_engine import NOW, SCALE, SLOW, expected, imports_of, policies, run, tables, worlds

Tables = Callable[[list[Entry], Policy], dict[str, Any]]


def by_engine(entries: list[Entry], policy: Policy) -> dict[str, Any]:
    return run(entries, policy, tables)


MANY = settings(SLOW, max_examples=150 * SCALE, phases=tuple(Phase))
FEW = settings(SLOW, max_examples=12 * SCALE)
BOTH = pytest.mark.parametrize(
    ("merged", "some"), [(expected, MANY), (by_engine, FEW)], ids=["reference", "engine"]
)


def holds(law: Callable[..., None], some: settings, *strategies: st.SearchStrategy[Any]) -> None:
    """Run a law as a property."""
    some(given(*strategies)(law))()


def catalog(parts: Iterable[list[Entry]], folder: Path, name: str = "out") -> bytes:
    """Write each part as a native file, merge them, return the bytes of the catalog."""
    files = []
    for number, part in enumerate(parts):
        files.append(folder / f"{name}-{number}.jsonl")
        write(part, files[-1], format="native", imports=imports_of(part))
    return merged_bytes(files, folder / f"{name}.db")


def merged_bytes(files: Iterable[Path], out: Path) -> bytes:
    merge(files, out, recorded_at=NOW, threads=1)
    return out.read_bytes()


@settings(SLOW, max_examples=4 * SCALE)
@given(worlds, worlds, worlds)
def test_law_1_merge_is_commutative_associative_idempotent_with_a_unit(
    a: list[Entry], b: list[Entry], c: list[Entry]
) -> None:
    """Law 1, on the bytes of catalogs; the empty list is the unit."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        all_at_once = catalog([a, b, c], folder, "abc")
        assert catalog([c, a, b, a], folder, "caba") == all_at_once
        assert catalog([a, [], b, c], folder, "unit") == all_at_once
        catalog([a, b], folder, "ab"), catalog([c], folder, "c"), catalog([a], folder, "a")
        catalog([b, c], folder, "bc")
        assert merged_bytes([folder / "ab.db", folder / "c.db"], folder / "left.db") == all_at_once
        assert merged_bytes([folder / "a.db", folder / "bc.db"], folder / "right.db") == all_at_once


@BOTH
def test_law_2_compaction_changes_no_resolution(merged: Tables, some: settings) -> None:
    """Law 2: entries that neither speak nor haunt can be forgotten, and the items are the same."""

    def law(entries: list[Entry], policy: Policy) -> None:
        full = merged(entries, policy)
        log = reference.union(entries)
        ghosts = reference.ghost_entries(log, {k: log[k] for k in full["current"]})
        needed = full["current"] | {g.id for g in ghosts}
        imports = imports_of(entries)
        kept = [e for e in log.values() if e.id in needed]
        if merged is expected:
            again = reference.merge(kept, imports, policy)
            assert {i.members for i in again.items} == set(full["items"])
        else:
            assert run(kept, policy, tables, imports)["items"] == full["items"]

    holds(law, some, worlds, policies)


@settings(SLOW, max_examples=8 * SCALE)
@given(worlds, st.randoms(use_true_random=False), st.integers(1, 4))
def test_law_3_any_partition_order_or_duplication_gives_the_same_bytes(
    entries: list[Entry], rnd: Any, parts: int
) -> None:
    """Law 3, on the bytes of catalogs."""
    lists: list[list[Entry]] = [[] for _ in range(parts)]
    for entry in [*entries, *(e for e in entries if rnd.random() < 0.3)]:
        rnd.choice(lists).append(entry)
    rnd.shuffle(lists)
    with tempfile.TemporaryDirectory() as place:
        assert catalog(lists, Path(place), "parts") == catalog([entries], Path(place), "whole")


@BOTH
def test_law_4_no_source_changes_what_another_says(merged: Tables, some: settings) -> None:
    """Law 4: what source `a` currently says is the same whether or not `b2` was ever imported."""

    def law(entries: list[Entry], policy: Policy) -> None:
        own = [e for e in entries if e.source == "a"]
        ids = {e.id for e in own}
        assert merged(entries, policy)["current"] & ids == merged(own, policy)["current"]

    holds(law, some, worlds, policies)


LABELS = st.one_of(st.none(), any_handling())


@given(LABELS, LABELS, LABELS, st.sampled_from(["x", "y"]))
def test_law_6_handling_is_a_semilattice(
    a: Handling | None, b: Handling | None, c: Handling | None, audience: str
) -> None:
    """Law 6: join is associative, commutative, idempotent, and permits only whom both permit; no label permits nobody."""
    assert join(a, b) == join(b, a)
    assert join(join(a, b), c) == join(a, join(b, c))
    assert join(a, a) == normal(a)
    assert not permits(join(a, None), audience)
    assert {*restrictions(normal(a))} <= {*restrictions(join(a, None))}
    assert joined([a, b, c]) == joined([c, b, a])
    if permits(join(a, b), audience):
        assert permits(a, audience) and permits(b, audience)


@BOTH
def test_law_8_agreed_is_one_mapped_value_and_unresolved_has_none(merged: Tables, some: settings) -> None:
    """Law 8: `agreed` where the entries map to one value; conflict and no-mapping have no value."""

    def law(entries: list[Entry], policy: Policy) -> None:
        log = reference.union(entries)
        for members, (status, scheme, code, *_) in merged(entries, policy)["items"].items():
            item = reference.Item([log[k] for k in members])
            mapped = reference.mapped_claims(reference.own_claims(item), policy)
            codes = {code for _, _, code in mapped}
            assert (status == "agreed") == (len(codes) == 1)
            assert (code is not None) == (status in ("agreed", "decided"))
            assert (scheme is not None) == (code is not None)
            assert code is None or code in codes

    holds(law, some, worlds, policies)


@BOTH
def test_law_9_a_tombstone_before_or_after_its_entry_is_the_same(merged: Tables, some: settings) -> None:
    """Law 9: the order in which an entry and its retraction arrive changes nothing."""

    def law(entries: list[Entry], policy: Policy) -> None:
        tombs = [e for e in entries if e.state == "retracted"]
        others = [e for e in entries if e.state == "active"]
        assert merged([*tombs, *others], policy) == merged([*others, *tombs], policy)

    holds(law, some, worlds, policies)


@BOTH
def test_law_10_an_update_drops_a_digest_that_the_source_dropped(merged: Tables, some: settings) -> None:
    """Law 10: a later entry of the register without the MD5, and no item of it has the MD5 any more."""

    def law(entries: list[Entry], policy: Policy) -> None:
        target = next((e for e in entries if e.source == "b2" and e.state == "active" and e.md5 and e.sha1), None)
        assume(target is not None)
        assert target is not None
        mine = [e for e in entries if (e.source, e.ref) == (target.source, target.ref)]
        late = max(mine, key=reference.stamp)
        changes = {"md5": None, "sha1": target.sha1, "ref": target.ref, "about": None}
        update = Entry.model_validate({**target.model_dump(), **changes, "asserted_at": late.asserted_at, "seq": late.seq + 1})
        alone = [*mine, update]
        found = merged(alone, policy)
        index = -list(reversed(list(ALGORITHMS))).index("md5") - 1
        assert all(item[index] is None for item in found["items"].values())

    holds(law, some, worlds, policies)


@BOTH
def test_law_12_a_relation_that_is_not_allowed_gives_no_mapping(merged: Tables, some: settings) -> None:
    """Law 12: under a target that nothing may map to, classified items have no mapping."""

    def law(entries: list[Entry]) -> None:
        policy = Policy(target="uk/sc-2014", relations=())
        log = reference.union(entries)
        for members, (status, *_) in merged(entries, policy)["items"].items():
            spoken = any(scheme_kind(c.scheme) != "facets" for k in members for c in log[k].classifications)
            assert status == ("no-mapping" if spoken else "uncategorised")

    holds(law, some, worlds)


@BOTH
def test_law_13_items_hold_one_strongest_value_and_every_entry_once(merged: Tables, some: settings) -> None:
    """Law 13: no item holds two values of its strongest algorithm; the items partition the entries."""

    def law(entries: list[Entry], policy: Policy) -> None:
        log = reference.union(entries)
        items = merged(entries, policy)["items"]
        together = [k for members in items for k in members]
        assert len(together) == len(set(together))
        for members in items:
            rows = [log[k] for k in members]
            strongest = next(a for a in ALGORITHMS if reference.values_of(rows, a))
            assert len(reference.values_of(rows, strongest)) == 1

    holds(law, some, worlds, policies)


@BOTH
def test_law_13_entries_that_agree_on_everything_are_one_item(merged: Tables, some: settings) -> None:
    """Law 13: two current entries with the same digests, and nobody else about, are one item."""

    def law(entry: Entry) -> None:
        assume(entry.digests and all(not is_denied(d.algorithm, d.value) for d in entry.digests))
        sure = {"state": "active", "about": None, "asserted_at": None}
        one = Entry.model_validate({**entry.model_dump(), **sure, "source": "b2", "ref": "r1"})
        other = Entry.model_validate({**entry.model_dump(), **sure, "source": "b2", "ref": "r2"})
        assert list(merged([one, other], Policy())["items"]) == [frozenset({one.id, other.id})]

    holds(law, some, worlds.filter(bool).map(lambda rows: rows[0]))
