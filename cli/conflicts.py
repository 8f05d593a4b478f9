"""`conflicts`: what cannot all hold in a catalog."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import click

from hashlib_interop.cli import shared
from hashlib_interop.cli.shared import counted, number, table
from hashlib_interop.errors import shown

KINDS = ("classification", "identity", "known-file", "media", "self", "size", "state")


@shared.command(
    """List what cannot all hold in a catalog.

    How many of each kind, and the first of each, those between most sources first. classification: two codes of one
    scheme. identity: digests that contradict each other. known-file: also on a list of known files. media,
    size: two values. self: a source against itself. state: one took it back, another still asserts it.""",
    examples="""
    hashlib-interop conflicts all.db
    hashlib-interop conflicts all.db --kind classification --unresolved
    hashlib-interop conflicts all.db --source icse --limit 100
    hashlib-interop conflicts all.db --json > conflicts.jsonl
    """,
)
@click.argument("catalog")
@click.option("--kind", type=click.Choice(KINDS), help="Only this kind.")
@click.option("--source", metavar="NAME", help="Only those in which this source takes a side.")
@click.option("--unresolved", is_flag=True, help="Only those that the policy did not settle.")
@click.option("--limit", type=click.IntRange(0), default=3, show_default=True, metavar="N", help="Show at most N of a kind (not for --json).")
@click.option("--json", "as_json", is_flag=True, help="Print all of them as JSON Lines.")
def command(catalog: str, kind: str | None, source: str | None, unresolved: bool, limit: int, as_json: bool) -> None:
    import json

    from hashlib_interop.explaining import conflict_counts, conflicts

    found = conflicts(catalog, kind, source, unresolved)
    if as_json:
        for each in found:
            click.echo(json.dumps(each))
        return
    counts = conflict_counts(catalog)
    if not counts:
        click.echo("no conflict")
        return
    table(("kind", "conflicts", "settled", "open"), [(k, c["count"], c["resolved"], c["count"] - c["resolved"]) for k, c in counts.items()])
    _show(found, limit, catalog)


def _show(found: Iterator[dict[str, Any]], limit: int, catalog: str) -> None:
    shown_ones: list[dict[str, Any]] = []
    more = False
    for _, kind in itertools.groupby(found, key=lambda each: each["kind"]):
        first = list(itertools.islice(kind, limit + 1))
        shown_ones += first[:limit]
        more |= len(first) > limit
    for each in shown_ones:
        click.echo(f"\n#{number(each['id'])} {_title(each)}")
        if each["item"]:
            click.echo(f"  {each['item']}")
        rows = [
            (shown(value), shown(", ".join(sorted(voices)), 200), count) for value, voices, count in _sides(each["sides"])
        ]
        table(("claim", "by", "entries"), rows)
    if more:
        click.echo(f"\n{counted(len(shown_ones), 'conflict')} shown: more with --limit, all with --json")
    digest = next((each["item"] for each in shown_ones if each["item"]), None)
    if digest:
        click.echo(f"\nnext: hashlib-interop why {shown(catalog, 200)} {digest}")


def _title(each: dict[str, Any]) -> str:
    parts = [each["kind"], each["subject"], f"(item {each['status']})" if each["status"] else None]
    return " ".join(shown(part, 150) for part in parts if part)


def _voice(side: dict[str, Any]) -> str:
    """Say who claims something, and in which words, where a crosswalk made the claim of them."""
    who = f"{side['source']} ({side['contributor']})" if side["contributor"] else side["source"]
    return f"{who}, as {side['mapped_from']}" if side["mapped_from"] else who


def _sides(sides: list[dict[str, Any]]) -> list[tuple[str, set[str], int]]:
    """Group the sides by what they claim: the value, who claims it, by how many entries."""
    grouped = []
    for value, group in itertools.groupby(sides, key=lambda side: side["value"]):
        members = list(group)
        voices = {_voice(each) for each in members}
        grouped.append((value, voices, len(members)))
    return grouped
