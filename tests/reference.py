"""Merge, grouping and resolution in plain Python: the twin that the engine must equal.

Small enough to read in one sitting; slow, in memory, without a trick. Rules: docs/merge.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hashlib_interop.algorithms import ALGORITHMS, is_denied
from hashlib_interop.crosswalk import load_crosswalk
from hashlib_interop.handling import joined
from hashlib_interop.model import Entry, Handling
from hashlib_interop.policy import Policy
from hashlib_interop.report import Import
from hashlib_interop.schemes import scheme_kind

LOWEST = datetime(1, 1, 1, tzinfo=UTC)
STRONGEST_FIRST = tuple(ALGORITHMS)


@dataclass
class Item:
    entries: list[Entry]
    digests: dict[str, bytes] = field(default_factory=dict)
    size: int | None = None
    media: str | None = None
    status: str = "uncategorised"
    value: tuple[str, str] | None = None
    rule: str | None = None
    handling: Handling | None = None

    @property
    def members(self) -> frozenset[bytes]:
        return frozenset(entry.id for entry in self.entries)


Conflict = tuple[str, str, frozenset[tuple[str, bytes]]]
"""Kind, subject (scheme, algorithm or blank), and the sides: (value, entry id)."""


@dataclass
class Merged:
    entries: dict[bytes, Entry]
    current: set[bytes]
    items: list[Item]
    conflicts: set[Conflict]


def merge(
    entries: Iterable[Entry], imports: Iterable[Import], policy: Policy | None = None, clock: datetime | None = None
) -> Merged:
    """Merge entries (each with its evidence) under a policy."""
    policy = policy or Policy()
    log = union(entries)
    files = list(imports)
    clock = clock or max((i.recorded_at for i in files), default=LOWEST)
    timely = {k: e for k, e in log.items() if stamp(e)[0] <= clock + timedelta(hours=policy.skew_hours)}
    current = current_entries(timely, files)
    alive = [e for e in current.values() if e.state == "active" and e.about is None and e.digests]
    groups, refused = group(alive, policy)
    items = [Item(sorted(members, key=lambda e: e.id)) for members in groups]
    for item in items:
        describe(item, policy)
    ghosts = [(g, took_back(g, files)) for g in ghost_entries(timely, current)]
    return Merged(log, set(current), items, conflicts(items, refused, current, ghosts, policy))


def took_back(ghost: Entry, imports: list[Import]) -> str:
    """How a ghost fell silent: by absence from a newer snapshot, or by a retraction."""
    own = [i for i in imports if i.source == ghost.source]
    newest = max(i.release or LOWEST for i in own)
    absent = any(i.delivery == "snapshot" for i in own) and ghost_order(ghost)[0] < newest
    return "withdrawn" if absent else "retracted"


def union(entries: Iterable[Entry]) -> dict[bytes, Entry]:
    """Set union by id; the evidence of equal entries is united."""
    log: dict[bytes, Entry] = {}
    for entry in entries:
        known = log.setdefault(entry.id, entry)
        if known is not entry:
            evidence = (*entry.evidence, *known.evidence)
            log[entry.id] = Entry.model_validate({**entry.model_dump(), "evidence": evidence})
    return log


def stamp(entry: Entry) -> tuple[datetime, int]:
    return (entry.asserted_at or LOWEST, entry.seq)


def current_entries(log: dict[bytes, Entry], imports: list[Import]) -> dict[bytes, Entry]:
    """Per register the entries at the greatest stamp; of a snapshot source, those of its newest release."""
    newest: dict[str, datetime] = defaultdict(lambda: LOWEST)
    snapshots = {i.source for i in imports if i.delivery == "snapshot"}
    for i in imports:
        newest[i.source] = max(newest[i.source], i.release or LOWEST)

    def in_newest(entry: Entry) -> bool:
        last = max((e.release or LOWEST for e in entry.evidence), default=LOWEST)
        return entry.source not in snapshots or last == newest[entry.source]

    registers: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in log.values():
        if in_newest(entry):
            registers[entry.source, entry.ref].append(entry)
    best = {key: max(map(stamp, found)) for key, found in registers.items()}
    return {e.id: e for key, found in registers.items() for e in found if stamp(e) == best[key]}


def ghost_entries(log: dict[bytes, Entry], current: dict[bytes, Entry]) -> list[Entry]:
    """The last active word of every register that no longer asserts, and retractions that name digests."""
    asserting = {(e.source, e.ref) for e in current.values() if e.state == "active"}
    last: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for e in log.values():
        if e.about is None and e.digests and (e.source, e.ref) not in asserting:
            last[e.source, e.ref].append(e)
    ghosts = []
    for found in last.values():
        active = [e for e in found if e.state == "active"]
        best = max((ghost_order(e) for e in active), default=None)
        ghosts += [e for e in active if ghost_order(e) == best]
        ghosts += [e for e in found if e.state == "retracted" and e.id in current]
    return ghosts


def ghost_order(entry: Entry) -> tuple[Any, ...]:
    return (max((e.release or LOWEST for e in entry.evidence), default=LOWEST), *stamp(entry))


def links(entry: Entry, policy: Policy) -> dict[str, bytes]:
    """The digests of an entry that may link it to others."""
    return {d.algorithm: d.value for d in entry.digests if not denied(d.algorithm, d.value, policy)}


def denied(algorithm: str, value: bytes, policy: Policy) -> bool:
    return is_denied(algorithm, value) or f"{algorithm}:{value.hex()}" in policy.denied


def group(entries: list[Entry], policy: Policy) -> tuple[list[list[Entry]], list[tuple[str, list[Entry]]]]:
    """Strongest first, level by level (design, section 5). Returns the groups and the refused digests."""
    groups: list[list[Entry]] = [[e] for e in sorted(entries, key=lambda e: e.id)]
    refused = []
    for level, algorithm in enumerate(STRONGEST_FIRST):
        stronger = STRONGEST_FIRST[:level]
        carriers: dict[bytes, list[int]] = defaultdict(list)
        for number, members in enumerate(groups):
            for value in {links(e, policy)[algorithm] for e in members if algorithm in links(e, policy)}:
                carriers[value].append(number)
        shared = {value: numbers for value, numbers in carriers.items() if len(numbers) > 1}
        clear = {v: n for v, n in shared.items() if not two_values([groups[i] for i in n], stronger)}
        parent = list(range(len(groups)))

        def find(x: int, parent: list[int] = parent) -> int:
            while parent[x] != x:
                x = parent[x]
            return x

        for numbers in clear.values():
            for number in numbers[1:]:
                parent[find(number)] = find(numbers[0])
        clusters: dict[int, list[int]] = defaultdict(list)
        for number in range(len(groups)):
            clusters[find(number)].append(number)
        bad = {root for root, ns in clusters.items() if two_values([groups[i] for i in ns], stronger) and len(ns) > 1}
        for value, numbers in shared.items():
            if value not in clear or find(numbers[0]) in bad:
                carrying = [e for i in numbers for e in groups[i] if links(e, policy).get(algorithm) == value]
                refused.append((algorithm, carrying))
        groups = [
            part
            for root, ns in clusters.items()
            for part in ([groups[i] for i in ns] if root in bad else [[e for i in ns for e in groups[i]]])
        ]
    return groups, refused


def two_values(groups: list[list[Entry]], algorithms: tuple[str, ...]) -> bool:
    """Whether some groups together hold two values of one of these algorithms."""
    return any(len(values_of([e for g in groups for e in g], a)) > 1 for a in algorithms)


def values_of(entries: list[Entry], name: str) -> set[Any]:
    return {getattr(e, name) for e in entries} - {None}


def only(values: set[Any]) -> Any:
    return next(iter(values)) if len(values) == 1 else None


def describe(item: Item, policy: Policy) -> None:
    """Fill in what the entries agree on, the resolution and the joined handling."""
    for algorithm in STRONGEST_FIRST:
        value = only(values_of(item.entries, algorithm))
        if value is not None:
            item.digests[algorithm] = value
    item.size, item.media = only(values_of(item.entries, "size")), only(values_of(item.entries, "media"))
    item.handling = joined(e.handling for e in item.entries)
    resolve(item, policy)


Claim = tuple[Entry, str, str]


def own_claims(item: Item) -> list[Claim]:
    """Single-valued classifications; of known-file schemes only where there is nothing else."""
    claims = [(e, c.scheme, c.code) for e in item.entries for c in e.classifications]
    claims = [c for c in claims if scheme_kind(c[1]) != "facets"]
    spoken = [c for c in claims if scheme_kind(c[1]) != "known-file"]
    return spoken or claims


def mapped_claims(claims: list[Claim], policy: Policy) -> list[Claim]:
    """Claims in the target scheme, or, without a target, in the one scheme that all share."""
    if policy.target is None:
        return claims if len({scheme for _, scheme, _ in claims}) == 1 else []
    table = load_crosswalk(policy).allowed(policy)
    found = []
    for entry, scheme, code in claims:
        to = code if scheme == policy.target else table.get((scheme, code))
        if to is not None:
            found.append((entry, policy.target, to))
    return found


def resolve(item: Item, policy: Policy) -> None:
    claims = own_claims(item)
    mapped = mapped_claims(claims, policy)
    codes = {code for _, _, code in mapped}
    if not codes:
        item.status = "no-mapping" if claims else "uncategorised"
        return
    scheme = mapped[0][1]
    if len(codes) == 1:
        item.status, item.value = "agreed", (scheme, codes.pop())
        return
    chosen, item.rule = decide(mapped, scheme, policy)
    if chosen is not None:
        item.status, item.value = "decided", (scheme, chosen)
    else:
        one = len({(e.source, e.ref) for e, _, _ in mapped}) == 1
        item.status = "self-conflict" if one else "conflict"


def decide(mapped: list[Claim], scheme: str, policy: Policy) -> tuple[str | None, str | None]:
    """Tiers, then quorum, then severity: the code that is left and the rule that left it; no code where several are."""
    tier = {name: number for number, names in enumerate(policy.tiers) for name in names}
    best = min(tier.get(e.source, len(policy.tiers)) for e, _, _ in mapped)
    heard = [c for c in mapped if tier.get(c[0].source, len(policy.tiers)) == best]
    codes = {code for _, _, code in heard}
    if len(codes) == 1:
        return codes.pop(), "tier"
    if policy.quorum:
        voices = {code: len({(e.source, e.contributor) for e, _, c in heard if c == code}) for code in codes}
        enough = {code for code, count in voices.items() if count >= policy.quorum}
        if len(enough) == 1:
            return enough.pop(), "quorum"
    order = policy.severity.get(scheme, ())
    return (min(codes, key=order.index), "severity") if codes <= set(order) else (None, None)


def conflicts(
    items: list[Item],
    refused: list[tuple[str, list[Entry]]],
    current: dict[bytes, Entry],
    ghosts: list[tuple[Entry, str]],
    policy: Policy,
) -> set[Conflict]:
    found: set[Conflict] = set()
    key_of = {e.id: item_key(item) for item in items for e in item.entries}
    for algorithm, entries in refused:
        found.add(("identity", algorithm, frozenset((key_of[e.id], e.id) for e in entries)))
    for item in items:
        found |= item_conflicts(item, policy)
    found |= self_conflicts(current)
    found |= state_conflicts(items, ghosts, policy)
    return found


def item_key(item: Item) -> str:
    """The strongest digest in a group, as text."""
    best = min(
        (d for e in item.entries for d in e.digests), key=lambda d: (STRONGEST_FIRST.index(d.algorithm), d.value)
    )
    return str(best)


def sides(entries: list[Entry], name: str, text: Any = str) -> frozenset[tuple[str, bytes]]:
    return frozenset((text(getattr(e, name)), e.id) for e in entries if getattr(e, name) is not None)


def item_conflicts(item: Item, policy: Policy) -> set[Conflict]:
    found: set[Conflict] = set()
    for algorithm in STRONGEST_FIRST:
        if len(values_of(item.entries, algorithm)) > 1:
            found.add(("identity", algorithm, sides(item.entries, algorithm, bytes.hex)))
    for name in ("size", "media"):
        if len(values_of(item.entries, name)) > 1:
            found.add((name, "", sides(item.entries, name)))
    claims = own_claims(item)
    by_scheme: dict[str, set[tuple[str, bytes]]] = defaultdict(set)
    for entry, scheme, code in [*claims, *mapped_claims(claims, policy)]:
        by_scheme[scheme].add((code, entry.id))
    for scheme, pairs in by_scheme.items():
        if len({code for code, _ in pairs}) > 1:
            found.add(("classification", scheme, frozenset(pairs)))
    known = {e.id for e in item.entries if any(scheme_kind(c.scheme) == "known-file" for c in e.classifications)}
    if known and known != item.members:
        pairs = frozenset(("known-file" if e.id in known else "other", e.id) for e in item.entries)
        found.add(("known-file", "", pairs))
    return found


def self_conflicts(current: dict[bytes, Entry]) -> set[Conflict]:
    """Registers whose entries of one stamp cannot all hold."""
    registers: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in current.values():
        registers[entry.source, entry.ref].append(entry)
    found: set[Conflict] = set()
    for entries in registers.values():
        if len(entries) > 1 and contradictory(entries):
            found.add(("self", "", frozenset((claim(e, entries), e.id) for e in entries)))
    return found


SINGLE = ("state", *STRONGEST_FIRST, "size", "media", "vote")


def contradictory(entries: list[Entry]) -> bool:
    return any(len(values_of(entries, name)) > 1 for name in SINGLE) or bool(contested_schemes(entries))


def contested_schemes(entries: list[Entry]) -> set[str]:
    codes: dict[str, set[str]] = defaultdict(set)
    for c in (c for e in entries for c in e.classifications if scheme_kind(c.scheme) != "facets"):
        codes[c.scheme].add(c.code)
    return {scheme for scheme, found in codes.items() if len(found) > 1}


def claim(entry: Entry, entries: list[Entry]) -> str:
    """What an entry says where the entries of its register differ."""
    parts = []
    for name in SINGLE:
        if len(values_of(entries, name)) > 1:
            value = getattr(entry, name)
            text = value.hex() if isinstance(value, bytes) else value
            parts.append(f"no {name}" if value is None else text if name == "state" else f"{name} {text}")
    schemes = contested_schemes(entries)
    parts += [f"{c.scheme} {c.code}" for c in sorted(entry.classifications, key=lambda c: (c.scheme, c.code)) if c.scheme in schemes]
    return ", ".join(parts) or "no code"


def state_conflicts(items: list[Item], ghosts: list[tuple[Entry, str]], policy: Policy) -> set[Conflict]:
    """A register took its entry back, and another source or contributor still asserts the same file."""
    found: dict[int, set[tuple[str, bytes]]] = defaultdict(set)
    holding: dict[tuple[str, bytes], set[int]] = defaultdict(set)
    for number, item in enumerate(items):
        for digest in (d for e in item.entries for d in e.digests):
            holding[digest].add(number)
    for ghost, how in ghosts:
        haunted = {
            number
            for algorithm, value in links(ghost, policy).items()
            for number in holding[algorithm, value]
            if agrees(ghost, items[number], STRONGEST_FIRST[: STRONGEST_FIRST.index(algorithm)])
        }
        for number in haunted:
            others = [e for e in items[number].entries if speaks_for_another(e, ghost)]
            if others:
                found[number] |= {(how, ghost.id), *(("active", e.id) for e in others)}
    return {("state", "", frozenset(pairs)) for pairs in found.values()}


def agrees(ghost: Entry, item: Item, algorithms: tuple[str, ...]) -> bool:
    """Whether an item holds no other value of these algorithms than the ghost's."""
    own = {a: getattr(ghost, a) for a in algorithms}
    return all(own[a] is None or values_of(item.entries, a) <= {own[a]} for a in algorithms)


def speaks_for_another(entry: Entry, ghost: Entry) -> bool:
    if entry.source != ghost.source:
        return True
    return None not in (entry.contributor, ghost.contributor) and entry.contributor != ghost.contributor
