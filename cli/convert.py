"""`convert`: any format to any other."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from hashlib_interop.cli import shared
from hashlib_interop.cli.info import show_rejects
from hashlib_interop.cli.shared import counted, emit, heading, say, table
from hashlib_interop.errors import shown

if TYPE_CHECKING:
    from hashlib_interop.converting import Converted
    from hashlib_interop.report import Loss


@shared.command(
    """Turn lists of any format into one list of any other.

    Every record is kept, in order: nothing is merged (see: merge). What the target cannot carry is counted
    and said before the output appears. With --strict, nothing is published where anything is rejected or
    lost.""",
    examples="""
    hashlib-interop convert export.xml -o export.csv --to icse
    hashlib-interop convert a.json b.json -o both.parquet --source partner-a
    hashlib-interop convert set.json -o - --to native | head -3
    hashlib-interop convert set.json -o set.xml --to ncmec --strict --report lost.jsonl
    """,
    strict="something was rejected or lost, nothing published,",
)
@click.argument("inputs", nargs=-1, required=True, metavar="IN...")
@click.option("-o", "--output", required=True, metavar="OUT", help="The file to write; - is standard output.")
@shared.to_option
@shared.reading_options
@shared.rejects_option
@click.option(
    "--report", metavar="FILE", help="Write every loss and every refused record here, as JSON Lines."
)
@shared.strict_option
@shared.json_option
def command(
    inputs: tuple[str, ...],
    output: str,
    to_format: str | None,
    report: str | None,
    strict: bool,
    as_json: bool,
    **settings: Any,
) -> int:
    from hashlib_interop.converting import convert

    def allow(result: Converted) -> bool:
        allowed = result.exact or not strict
        if not as_json:
            _show(result, allowed)
        return allowed

    with shared.json_lines(report, output, *inputs) as reported, shared.reading_settings(settings, reported) as given:
        place = sys.stdout.buffer if output == "-" else output
        result = convert(inputs, place, to=to_format, allow=allow, **given)
        if reported:
            for loss in result.losses:
                reported(loss)
    emit(result.to_json(), lambda: None, as_json, err=output == "-")
    return int(not result.published)


def show_losses(losses: list[Loss], err: bool = False) -> None:
    """Show losses: first the records that are not written at all, then values by field."""
    ordered = sorted(losses, key=lambda loss: loss.field != "record")
    rows = [("whole record" if x.field == "record" else x.field, x.count, x.reason, x.example) for x in ordered]
    table(("what", "count", "reason", "first"), rows, err=err)


def _show(result: Converted, allowed: bool) -> None:
    inputs = [(shown(each.name, 40), each.format, each.read, each.rejected) for each in result.imports]
    table(("input", "format", "read", "rejected"), inputs, err=True)
    show_rejects(result.rejects, err=True)
    if result.dropped:
        heading("Dropped on read by rule", err=True)
        table(("what", "count"), [(shown(what), count) for what, count in result.dropped.items()], err=True)
    if result.losses:
        heading(f"Lost: {result.format} cannot carry it", err=True)
        show_losses(result.losses, err=True)
    click.echo(err=True)
    if allowed:
        say(f"{counted(result.written, 'record')} written to {shown(result.output, 200)} as {result.format}")
    else:
        say("--strict: something would be rejected or lost, nothing is published")
