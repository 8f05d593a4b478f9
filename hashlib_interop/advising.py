"""What to tell a tired person about a merge that went through: things that are probably not meant.

Nothing here changes a result. Each note says what was seen and what to do if it is a mistake.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime

from hashlib_interop.crosswalk import load_crosswalk
from hashlib_interop.errors import shown
from hashlib_interop.policy import Policy
from hashlib_interop.report import Import, Merged

MANY = 10
"""A newer release that withdraws more than one in so many entries is worth a word."""


def notes(merged: Merged, policy: Policy, added: Iterable[Import]) -> list[str]:
    """Return the notes on a merge; `added` are the imports of the files that were given, catalogs left out."""
    return [*_withdrawals(merged), *_releases(merged, list(added)), *_formats(merged), *_policy(merged, policy)]


def _day(release: datetime | None) -> str:
    return f"{release:%Y-%m-%d}" if release else "no date"


def _withdrawals(merged: Merged) -> Iterator[str]:
    for source in merged.sources:
        held = source.active + source.withdrawn
        if source.withdrawn * MANY > held:
            newest = max((i.release for i in merged.imports if i.source == source.name and i.release), default=None)
            yield (
                f"{source.name}: the release of {_day(newest)} withdraws {source.withdrawn:,} of {held:,} entries. "
                "Is it the whole list, and the right file?"
            )


def _releases(merged: Merged, added: list[Import]) -> Iterator[str]:
    clock = max((i.recorded_at for i in merged.imports), default=None)
    for one in added:
        if one.delivery != "snapshot" or one.format == "rejects":
            continue
        newest = max((i.release for i in merged.imports if i.source == one.source and i.release), default=None)
        if newest and (one.release is None or one.release < newest):
            yield (
                f"{shown(one.name)} ({_day(one.release)}) is older than the release of {_day(newest)} that stands for "
                f"{one.source}: it changes nothing now. A newer one is named {one.source}@DATE=FILE"
            )
        if clock and one.release and one.release > clock:
            yield f"{shown(one.name)}: its release, {_day(one.release)}, lies in the future; until then no other is newer"


def _formats(merged: Merged) -> Iterator[str]:
    found: dict[str, set[str]] = defaultdict(set)
    for one in merged.imports:
        if one.format != "rejects":
            found[one.source].add(one.format)
    for source, formats in sorted(found.items()):
        if len(formats) > 1:
            yield f"{source} has come as {' and as '.join(sorted(formats))}: is one of the files another source's?"


def _policy(merged: Merged, policy: Policy) -> Iterator[str]:
    yield from load_crosswalk(policy).doubts
    known = {source.name for source in merged.sources}
    strangers = sorted({name for tier in policy.tiers for name in tier} - known)
    if strangers:
        yield f"policy: its tiers name {', '.join(map(shown, strangers))}, which no file here is from"
    count = merged.statuses.get("no-mapping", 0)
    valued = sum(merged.statuses.get(s, 0) for s in ("agreed", "decided", "conflict", "self-conflict"))
    if policy.target and count and not valued:
        yield f"policy: nobody speaks in its target {shown(policy.target)}, and nothing maps to it"
    elif policy.target and count:
        yield (
            f"{count:,} items are no-mapping: no allowed relation leads from their codes to {shown(policy.target)} "
            "(hashlib-interop schemes crosswalk)"
        )
    elif count:
        yield (
            f"{count:,} items are no-mapping: classified in several schemes, which are not compared. "
            "A policy with a target scheme gives a value to those whose codes are of it, or map to it (docs/policy.md)"
        )
