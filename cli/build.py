"""`build`: lists and catalogs become a set that is looked up, or a filter that is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hashlib_interop.cli import shared
from hashlib_interop.cli.info import show_rejects
from hashlib_interop.cli.schemes import show_files
from hashlib_interop.cli.shared import counted, emit, fields, heading, say, table
from hashlib_interop.errors import shown

if TYPE_CHECKING:
    from hashlib_interop.membership.building import Built


@shared.command(
    """Make a hash set of lists and catalogs, to look digests up in.

    Of every entry that counts, all digests; with each, who lists it and as what, and of a catalog the item's
    number. Left out, counted and said: what a source took back, votes, digests of empty input, files that only
    lists of known files hold. Lists that hold entries in several versions have to be merged first. With --filter,
    OUT is a filter: small enough to send, wrong about a known part of all other digests, and no privacy device;
    what is restricted is left out of it, unless --drop-handling names the restriction.""",
    examples="""
    hashlib-interop build all.db -o all.hset
    hashlib-interop build ncmec=export.xml icse.csv -o both.hset --algorithm md5 --algorithm sha1
    hashlib-interop build list.txt -o list.hset --from plain --algorithm md5
    hashlib-interop build all.hset -o all.hfilter --filter 16
    """,
    strict="something was rejected",
)
@click.argument("inputs", nargs=-1, required=True, metavar="[NAME=]FILE...")
@click.option("-o", "--output", required=True, metavar="OUT", help="The file to write, .hset or .hfilter.")
@click.option(
    "--algorithm", "algorithms", multiple=True, metavar="NAME",
    help="Take digests of this algorithm only; one alone says what bare hashes are. May be repeated.",
)  # fmt: skip
@shared.known_files_option
@shared.drop_handling_option
@click.option(
    "--bare", is_flag=True, help="Digests only: leave out who lists them, as what, and item numbers."
)
@click.option(
    "--filter", "bits", type=click.Choice(["8", "16"]), help="Make a filter of so many bits a digest."
)
@click.option(
    "--key", type=click.IntRange(0, 2**64 - 1), default=0, metavar="N", help="Key of the filter's hashes."
)
@click.option(
    "--memory",
    default="1GiB",
    show_default=True,
    metavar="SIZE",
    help="Memory to take; more waits on the disk, but for 4 bytes a digest of a set.",
)
@click.option("--threads", type=click.IntRange(1, 256), metavar="N", help="Threads; else one a core.")
@shared.from_option
@shared.options_option
@shared.max_rejects_option
@shared.rejects_option
@shared.strict_option
@shared.json_option
def command(
    inputs: tuple[str, ...],
    output: str,
    algorithms: tuple[str, ...],
    known_files: bool,
    drop_handling: tuple[str, ...],
    bare: bool,
    bits: str | None,
    key: int,
    memory: str,
    threads: int | None,
    strict: bool,
    as_json: bool,
    **settings: Any,
) -> int:
    from hashlib_interop.membership.building import build_filter, build_set
    from hashlib_interop.membership.digest_sources import Lists, algorithm_names
    from hashlib_interop.tally import RejectTally

    rejects = RejectTally()
    settings |= {"source": None, "recorded_at": None}
    with shared.reading_settings(settings, rejects.add) as given:
        lists = Lists(algorithm_names(algorithms or None), known_files, drop_handling=drop_handling, paths=inputs, settings=given)
        if bits:
            built = build_filter(lists, output, bits=int(bits), key=key, memory=memory, threads=threads)
        else:
            built = build_set(lists, output, bare=bare, memory=memory, threads=threads)
    emit(built.to_json() | {"rejects": rejects.to_json()}, lambda: _show(built), as_json)
    if not as_json:
        show_rejects(rejects, err=True)
    if strict and built.rejected:
        say(f"--strict: {counted(built.rejected, 'record')} rejected")
        return 1
    return 0


def _show(built: Built) -> None:
    rows = [(name, read, *(() if held is None else (held, read - held))) for name, (read, held) in built.algorithms.items()]
    headers = ("algorithm", "digests read", "in the set", "repeats")
    table(headers[: len(rows[0])] if rows else headers, rows)
    if built.left_out:
        heading("Left out")
        table(("what", "count"), list(built.left_out.items()))
    if built.restricted:
        heading("Restricted, and in the set, which does not say so: keep it in house")
        table(("by", "entries"), list(built.restricted.items()))
    click.echo()
    rate = built.false_positive_rate
    fields(
        {
            "entries": built.entries or None,
            "rejected": built.rejected or None,
            "carries": ", ".join(built.carries),
            "wrong about": f"1 in {1 / rate:,.0f} of all other digests; no privacy device" if rate else None,
            "size": f"{counted(built.size, 'byte')}, {built.size / max(built.count, 1):.2f} a digest",
        }
    )
    show_files([{"name": name, "sha256": sha256} for sha256, name in built.crosswalk.items()])
    click.echo(f"\nwritten to {shown(built.output, 200)}: {counted(built.count, 'digest')}")
    click.echo(f"next: hashlib-interop lookup {shown(built.output, 200)} FILE")
