"""`convert`: any format to any other."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from hashlib_interop.cli import shared
from hashlib_interop.cli.info import show_rejects
from hashlib_interop.cli.schemes import crosswalk_option, relations_option, show_files
from hashlib_interop.cli.shared import counted, emit, heading, say, table
from hashlib_interop.errors import shown

if TYPE_CHECKING:
    from hashlib_interop.converting import Converted
    from hashlib_interop.report import Loss
    from hashlib_interop.translating import Translated


@shared.command(
    """Turn lists of any format into one list of any other.

    Every record is kept, in order: nothing is merged (see: merge). What the target cannot carry is counted
    and said before the output appears; a record with a restriction that the target cannot say is not written,
    unless --drop-handling names it. With --strict, nothing is published where anything is rejected or
    lost. Where a list cannot name your --crosswalk, OUT.manifest.json beside it does.""",
    examples="""
    hashlib-interop convert export.xml -o export.csv --to icse
    hashlib-interop convert a.json b.json -o both.parquet --source partner-a
    hashlib-interop convert set.json -o - --to native | head -3
    hashlib-interop convert set.json -o set.xml --to ncmec --strict --report lost.jsonl
    hashlib-interop convert shared.jsonl -o set.json --to vics --drop-handling TLP:AMBER
    hashlib-interop convert old.csv -o new.csv --to columns --scheme uk/sc-2014
    """,
    strict="something was rejected or lost, nothing published,",
)
@click.argument("inputs", nargs=-1, required=True, metavar="IN...")
@click.option("-o", "--output", required=True, metavar="OUT", help="The file to write; - is standard output.")
@shared.to_option
@shared.reading_options
@shared.rejects_option
@click.option(
    "--report", metavar="FILE", help="Write the losses (by field and reason, with the first example) and every refused record here, as JSON Lines."
)
@shared.drop_handling_option
@shared.known_files_option
@click.option("--scheme", metavar="SCHEME", help="Map classifications into this scheme; what no allowed relation maps is lost.")
@crosswalk_option
@relations_option
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
    from hashlib_interop.manifest import manifest_of

    def allow(result: Converted) -> bool:
        allowed = result.exact or not strict
        if not as_json:
            _show(result, allowed)
        return allowed

    with shared.json_lines(report, output, manifest_of(output), *inputs) as reported, shared.reading_settings(settings, reported) as given:
        place = sys.stdout.buffer if output == "-" else output
        chosen = {name: settings[name] for name in ("drop_handling", "known_files", "scheme", "crosswalk", "relations")}
        result = convert(inputs, place, to=to_format, allow=allow, **chosen, **given)
        if reported:
            if result.translated:
                reported(result.translated)
            for loss in result.losses:
                reported(loss)
    if result.manifest and not as_json:
        say(f"your crosswalk is named in {shown(result.manifest, 200)}")
    emit(result.to_json(), lambda: None, as_json, err=output == "-")
    return int(not result.published)


def show_losses(losses: list[Loss], err: bool = False) -> None:
    """Show losses: first the records that are not written at all, then values by field."""
    ordered = sorted(losses, key=lambda loss: loss.field != "record")
    rows = [("whole record" if x.field == "record" else x.field, x.count, x.reason, x.example) for x in ordered]
    table(("what", "count", "reason", "first"), rows, err=err)


def _show_translated(done: Translated) -> None:
    heading(f"Mapped into {shown(done.scheme, 100)} by {', '.join(done.relations)}", err=True)
    if done.mapped:
        rows = [(shown(x.from_scheme), shown(x.from_code), shown(x.to_code), x.relation, x.status, x.count) for x in done.mapped]
        table(("from", "code", "to", "relation", "status", "values"), rows, err=True)
    show_files([file.model_dump() for file in done.crosswalk], err=True)
    for doubt in done.doubts:
        say(f"note: {doubt}")


def _show(result: Converted, allowed: bool) -> None:
    inputs = [(shown(each.name, 40), each.format, each.read, each.rejected) for each in result.imports]
    table(("input", "format", "read", "rejected"), inputs, err=True)
    show_rejects(result.rejects, err=True)
    if result.dropped:
        heading("Dropped on read by rule", err=True)
        table(("what", "count"), [(shown(what), count) for what, count in result.dropped.items()], err=True)
    if result.translated:
        _show_translated(result.translated)
    for name, facts in result.catalogs.items():
        if "crosswalk" in facts:
            say(f"{shown(name, 100)} was made with your crosswalk: {shown(facts['crosswalk'], 200)}")
    if result.losses:
        cannot = f"{result.format} cannot carry it"
        heading(f"Lost: {f'no allowed relation, or {cannot}' if result.translated else cannot}", err=True)
        show_losses(result.losses, err=True)
    click.echo(err=True)
    if allowed and result.read and not result.written:
        say("nothing of what was read is in the output: see above")
    if allowed:
        say(f"{counted(result.written, 'record')} written to {shown(result.output, 200)} as {result.format}")
    else:
        say("--strict: something would be rejected or lost, nothing is published")
