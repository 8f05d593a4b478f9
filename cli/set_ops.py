"""`set-ops`: what two hash sets have in common, and sets of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hashlib_interop.cli import shared
from hashlib_interop.cli.shared import emit, json_option, number, table
from hashlib_interop.errors import shown

if TYPE_CHECKING:
    from hashlib_interop.membership.hashset import HashSet

OPERATIONS = {
    "union": "union",
    "intersection": "intersection",
    "difference": "difference",
    "symmetric": "symmetric_difference",
}


@shared.command(
    """Count what two hash sets have in common, or make the set of it.

    OPERATION is union, intersection, difference (what B has not) or symmetric (what just one has). Without -o, counts
    only. Both files are streamed; the new set carries no sources and no item numbers.""",
    examples="""
    hashlib-interop set-ops intersection ours.hset theirs.hset
    hashlib-interop set-ops difference new.hset old.hset -o added.hset
    """,
)
@click.argument("operation", type=click.Choice(list(OPERATIONS)))
@click.argument("left", metavar="A")
@click.argument("right", metavar="B")
@click.option("-o", "--output", metavar="OUT", help="The set to write.")
@click.option(
    "--threads", type=click.IntRange(1, 256), default=1, show_default=True, metavar="N", help="Threads."
)
@json_option
def command(operation: str, left: str, right: str, output: str | None, threads: int, as_json: bool) -> None:
    from hashlib_interop.manifest import set_beside
    from hashlib_interop.membership.building import check_output
    from hashlib_interop.membership.hashset import HashSet

    if output is not None:
        check_output(output, (left, right), ".hset")
    with HashSet.open(left) as one, HashSet.open(right) as other:
        rows = _counts(one, other, operation, threads)
        if output is not None:
            with getattr(one, OPERATIONS[operation])(other, output, threads=threads):
                set_beside(output, {})  # it carries no codes, so no mapping file made any
    emit(
        {"operation": operation, "output": output, "algorithms": rows},
        lambda: _show(rows, operation, output),
        as_json,
    )


def _counts(one: HashSet, other: HashSet, operation: str, threads: int) -> dict[str, dict[str, int]]:
    """Return by algorithm how many digests both have, each alone, and the result."""
    names = [group.algorithm for group in sorted((*one.groups, *other.groups), key=lambda group: group.width)]
    found: dict[str, dict[str, int]] = {}
    for name in dict.fromkeys(names):
        both, left, right = one.compare(other, algorithm=name, threads=threads)
        results = {
            "union": both + left + right,
            "intersection": both,
            "difference": left,
            "symmetric": left + right,
        }
        found[name] = {"both": both, "only_a": left, "only_b": right, "result": results[operation]}
    return found


def _show(rows: dict[str, dict[str, Any]], operation: str, output: str | None) -> None:
    headers = ("algorithm", "in both", "only in A", "only in B", operation)
    table(headers, [(name, *counts.values()) for name, counts in rows.items()])
    if output is not None:
        total = sum(counts["result"] for counts in rows.values())
        click.echo(f"\nwritten to {shown(output, 200)}: {number(total)} digests")
