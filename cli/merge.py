"""`merge`: the main job."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from hashlib_interop.cli import shared
from hashlib_interop.cli.convert import show_losses
from hashlib_interop.cli.schemes import show_files
from hashlib_interop.cli.shared import counted, emit, heading, number, table
from hashlib_interop.errors import shown

if TYPE_CHECKING:
    from hashlib_interop.report import Merged


@shared.command(
    """Merge lists of several sources into one catalog.

    Each FILE may be named: NAME=FILE says whose list it is, NAME@DATE=FILE also which release. OUT is a
    catalog (.db) that keeps every statement; with another suffix, or --to, it is the reconciled list in that
    format: one row an item, but native and parquet keep every statement too. To add to a catalog, name it among
    the inputs: OUT is made anew. A catalog among the inputs brings its policy, unless --policy is given.""",
    examples="""
    hashlib-interop merge ncmec=page1.xml ncmec=page2.xml vics-us@2025-03-01=set.json -o all.db
    hashlib-interop merge all.db icse@2025-04-01=icse.csv -o all.db --policy policy.toml
    hashlib-interop merge inhouse=list.csv all.db -o all.db --sources sources.toml
    hashlib-interop merge all.db -o for-partner.json --to vics --option to.profile=US
    """,
    strict="something was rejected, lost or left in conflict",
)
@click.argument("inputs", nargs=-1, required=True, metavar="[NAME[@DATE]=]FILE...")
@click.option("-o", "--output", required=True, metavar="OUT", help="The file to write: a catalog, unless its suffix says else.")
@click.option("--policy", metavar="FILE", help="Rules of resolution, TOML (docs/policy.md).")
@click.option("--sources", metavar="FILE", help="What is known of the sources, TOML (docs/sources.md).")
@shared.from_option
@shared.to_option
@shared.options_option
@shared.drop_handling_option
@shared.known_files_option
@shared.max_rejects_option
@shared.rejects_option
@shared.recorded_at_option
@click.option("--replace", is_flag=True, help="Replace OUT even where it holds sources that this merge leaves out.")
@click.option("--memory", metavar="SIZE", help="Memory that the engine may take, as 4GB.  [default: 768MB, more beyond 3 million entries]")
@click.option("--threads", type=click.IntRange(1, 256), metavar="N", help="Threads of the engine; else one a core.")
@shared.strict_option
@shared.json_option
def command(
    inputs: tuple[str, ...],
    output: str,
    policy: str | None,
    sources: str | None,
    from_format: str | None,
    to_format: str | None,
    rejects: str | None,
    strict: bool,
    as_json: bool,
    **settings: Any,
) -> int:
    from hashlib_interop.files import refuse_overwriting
    from hashlib_interop.manifest import manifest_of
    from hashlib_interop.merging import merge
    from hashlib_interop.policy import load_policy, load_sources

    refuse_overwriting(output, [path for path in (policy, sources) if path])
    with shared.json_lines(rejects, output, manifest_of(output), *inputs) as refused, shared.progress_bars() as progress, _steps() as step:
        merged = merge(
            inputs,
            output,
            policy=load_policy(policy) if policy else None,
            sources=load_sources(sources) if sources else None,
            to=to_format,
            format=from_format,
            on_reject=refused,
            progress=progress,
            on_step=step,
            **settings,
        )
    emit(merged.to_json(), lambda: _show(merged), as_json)
    left = sum(merged.conflicts.values()) - merged.resolved
    if not (strict and (merged.rejected or merged.losses or left)):
        return 0
    losses = counted(len(merged.losses), "kind of loss", "kinds of loss")
    shared.say(f"--strict: {number(merged.rejected)} rejected, {losses}, {counted(left, 'open conflict')}")
    return 1


@contextlib.contextmanager
def _steps() -> Iterator[Callable[[str], None] | None]:
    """Say on a terminal what the engine does after reading."""
    import sys

    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status("reading") as status:
        yield lambda text: status.update(text)


def _show(merged: Merged) -> None:
    headers = ("source", "read", "rejected", "active", "retracted", "withdrawn", "only here")
    rows = [(s.name, s.read, s.rejected, s.active, s.retracted, s.withdrawn, s.only_here) for s in merged.sources]
    table(headers, rows)
    click.echo()
    silent = merged.entries - merged.speaking
    statuses = ", ".join(f"{number(count)} {status}" for status, count in merged.statuses.items())
    steps = (
        (merged.read, f"records read, {number(merged.rejected)} rejected"),
        (merged.entries, f"entries: {number(merged.repeats)} were repeats"),
        (merged.speaking, f"entries count: {number(silent)} are retracted, superseded, withdrawn, votes or without a digest"),
        (merged.items, f"items: {counted(merged.duplicates, 'duplicate')} removed"),
    )
    for count, what in steps:
        click.echo(f"{count:>12,} {what}")
    click.echo(f"\nitems by status: {statuses or 'none'} (policy: {shown(merged.policy)})")
    show_files(merged.crosswalk[1:])
    found = sum(merged.conflicts.values())
    kinds = ", ".join(f"{number(count)} {kind}" for kind, count in merged.conflicts.items())
    click.echo(f"{counted(found, 'conflict')}{f': {kinds}; {number(merged.resolved)} settled by the policy' if found else ''}")
    _show_notes(merged)
    if merged.left_out:
        heading("Not in the list, which has one row an item")
        table(("what", "count"), list(merged.left_out.items()))
    if merged.losses:
        heading(f"Lost: {merged.format} cannot carry it")
        show_losses(merged.losses)
    records = "" if merged.written is None else f"{counted(merged.written, 'record')} "
    click.echo(f"\n{records}written to {shown(merged.output, 200)}")
    if merged.manifest:
        click.echo(f"your crosswalk is named in {shown(merged.manifest, 200)}")
    if merged.format == "catalog":
        verb = "conflicts" if found else "info"
        click.echo(f"next: hashlib-interop {verb} {shown(merged.output, 200)}")


def _show_notes(merged: Merged) -> None:
    """Say what is probably not meant, and what quarantine did."""
    quarantined = sum(source.quarantined for source in merged.sources)
    said = [f"{counted(quarantined, 'entry', 'entries')} quarantined: stamped in the future"] if quarantined else []
    for note in (*said, *merged.notes):
        click.echo(f"note: {shared.printable(note)}")
