"""`synth`: made-up exports of made-up partners, for demonstrations, tests and measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashlib_interop.cli import shared
from hashlib_interop.cli.shared import emit, json_option, table
from hashlib_interop.errors import shown

if TYPE_CHECKING:
    from hashlib_interop.synth import Partner

DEFAULT = ("ncmec:ncmec", "vics:vics", "icse:icse", "inhouse:columns")
_FRACTION = click.FloatRange(0, 1)


def _fraction(name: str, default: float, help: str) -> shared.Decorator[Any]:
    return click.option(name, type=_FRACTION, default=default, show_default=True, metavar="0..1", help=help)


def _number(name: str, default: int, help: str, least: int = 0) -> shared.Decorator[Any]:
    return click.option(
        name, type=click.IntRange(least), default=default, show_default=True, metavar="N", help=help
    )


@shared.command(
    """Make synthetic lists of several partners.

    One made-up world of files; each partner lists some of it, with the overlaps, contradictions,
    retractions, repeats and broken rows that are asked for. No digest is of a real file. The folder also
    gets sources.toml for merge, and planted.json: exactly what a merge has to find. Same seed, same
    bytes.""",
    examples="""
    hashlib-interop synth -o demo
    hashlib-interop synth -o big --partner a:vics:2000000 --partner b:ncmec:500000 --seed 7
    hashlib-interop synth -o demo --known nsrl:plain:5000 --future 3
    """,
)
@click.option(
    "--partner",
    "partners",
    multiple=True,
    metavar="NAME:FORMAT[:ROWS]",
    help=f"A partner; may be repeated. Default: {', '.join(DEFAULT)}.",
)
@click.option(
    "--known", "known", multiple=True, metavar="NAME:FORMAT[:ROWS]", help="A list of known, harmless files."
)
@click.option(
    "-o", "--output", required=True, metavar="FOLDER", help="The folder to write; made where missing."
)
@_number("--rows", 10_000, "Rows of a partner that states none.", 1)
@_number("--seed", 1, "Another seed, another world.")
@_fraction("--overlap", 0.3, "Part of a list's files that come from the pool of all partners.")
@_fraction("--contradictions", 0.01, "Part of the rows, and of the pool, that is disputed.")
@_fraction("--retractions", 0.01, "Part of the rows that take another back, where the format can.")
@_fraction("--duplicates", 0.01, "Part of the rows that repeat another.")
@_fraction("--known-overlap", 0.01, "Part of a known-file list that is in the pool.")
@_number("--future", 0, "Rows a partner with a stamp in 2100, where the format has stamps.")
@_number("--broken", 5, "Rows a partner with a spoiled digest; none in parquet and catalog.")
@click.option("--photodna", is_flag=True, help="Give images a PhotoDNA value (random bytes).")
@json_option
def command(
    partners: tuple[str, ...], known: tuple[str, ...], output: str, rows: int, as_json: bool, **planted: Any
) -> None:
    from hashlib_interop.planting import make
    from hashlib_interop.synth import World

    wanted = [_partner(text, rows, False) for text in partners or DEFAULT]
    wanted += [_partner(text, rows, True) for text in known]
    with shared.progress_bars("rows") as progress:
        account = make(Path(output), World(**planted), wanted, progress)
    emit(account, lambda: _show(account, output), as_json)


def _partner(text: str, rows: int, known: bool) -> Partner:
    from hashlib_interop.synth import Partner

    name, *rest = text.split(":")
    if not 1 <= len(rest) <= 2 or not all(part.isascii() and part.isdigit() for part in rest[1:]):
        raise click.UsageError(f"expected NAME:FORMAT or NAME:FORMAT:ROWS, found {shown(text)!r}")
    return Partner(name, rest[0], int(rest[1]) if rest[1:] else rows, known)


def _show(account: dict[str, Any], output: str) -> None:
    kinds = ("rows", "files", "duplicates", "contradictions", "retractions", "future")
    rows = [
        (each["file"], *(each[kind] for kind in kinds), len(each["broken"]))
        for each in account["partners"].values()
    ]
    table(("file", "rows", "files", "repeats", "disputed", "retracted", "future", "broken"), rows)
    found = ", ".join(f"{count:,} {kind}" for kind, count in account["conflicts"].items())
    click.echo(
        f"\n{account['files']:,} files in all, {account['shared']:,} in two lists or more; conflicts: {found}"
    )
    click.echo(f"{shown(output, 200)}/planted.json says what a merge must find")
