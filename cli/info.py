"""`info`: what a file is, and what it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hashlib_interop.cli import shared
from hashlib_interop.cli.shared import counted, emit, fields, heading, json_option, number, printable, table
from hashlib_interop.errors import InteropError, shown

if TYPE_CHECKING:
    from hashlib_interop.describing import Contents, Description
    from hashlib_interop.tally import RejectTally


@shared.command(
    """Say what a file is and what it holds.

    The format and how sure we are of it, counts of entries, digests, codes and dates, and what would be
    rejected. A member of a zip is described as a file of its own. Of several files, one that cannot be read does
    not stop the rest.""",
    examples="""
    hashlib-interop info export.xml
    hashlib-interop info delivery.zip list.csv --json
    hashlib-interop info list.txt --from plain --option algorithm=md5
    """,
    strict="something would be rejected",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@shared.reading_options
@shared.rejects_option
@shared.strict_option
@json_option
def command(files: tuple[str, ...], as_json: bool, strict: bool, **settings: Any) -> int:
    from hashlib_interop.describing import describe

    found: list[Description] = []
    failed = 0
    with shared.reading_settings(settings) as given:
        for path in files:
            try:
                for description in describe(path, **given):
                    found.append(description)
                    if not as_json:
                        _show(description, first=len(found) == 1)
            except InteropError as error:
                if len(files) == 1:
                    raise
                failed = failed or error.exit_code
                shared.say(str(error))
    emit([each.to_json() for each in found], lambda: None, as_json)
    return failed or int(strict and any(each.rejects.total() for each in found))


def _show(found: Description, first: bool) -> None:
    if not first:
        click.echo("\n")
    claims = ", ".join(f"{claim.format} {claim.certainty}" for claim in found.claims)
    fields(
        {
            "file": shown(found.name, 200),
            "format": found.format,
            "claims": f"{claims} (certainty from 1 to 100)" if claims else "none: the format was given",
            "compression": found.compression,
            "size": counted(found.size, "byte"),
            "sha256": found.sha256,
            **found.facts,
        }
    )
    _show_contents(found.contents)
    if found.dropped:
        heading("Dropped by rule")
        table(("what", "count"), [(shown(what), count) for what, count in found.dropped.items()])
    show_rejects(found.rejects)


def _show_contents(contents: Contents) -> None:
    heading("Entries")
    fields(
        {
            "entries": contents.entries,
            "active": contents.active,
            "retracted": contents.retracted or None,
            "votes": contents.votes or None,
            "decisions": contents.decisions or None,
            "sources": ", ".join(shown(name) for name in contents.sources.sorted()),
            "contributors": len(contents.contributors) or None,
            "first stamp": contents.first,
            "last stamp": contents.last,
        }
    )
    rows = [("digest", name, count) for name, count in contents.to_json()["algorithms"].items()]
    for title, tally in (
        ("fingerprint", contents.fingerprints),
        ("classification", contents.classifications),
        ("media", contents.media),
        ("TLP", contents.tlp),
    ):
        rows += [(title, shown(value), count) for value, count in tally.sorted().items()]
    if rows:
        click.echo()
        table(("what", "value", "entries"), rows)


def show_rejects(rejects: RejectTally, err: bool = False) -> None:
    """Print what was refused: the reasons, each with its count and the first few."""
    if not rejects.total():
        return
    heading(f"Rejected: {counted(rejects.total(), 'record')}", err)
    for reason in rejects.to_json():
        what = f"{reason['field']}: " if reason["field"] else ""
        click.echo(printable(f"{number(reason['count'])} x {what}{reason['reason']}"), err=err)
        for each in reason["first"]:
            value = f": {each['value']}" if each["value"] is not None else ""
            place = f"{shown(each['file'], 200)}: {each['unit']} {number(each['position'])}"
            click.echo(printable(f"    {place}{value}"), err=err)
