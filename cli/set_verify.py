"""`set-verify`: whether a hash set or a filter is whole."""

from __future__ import annotations

import click

from hashlib_interop.cli import shared
from hashlib_interop.cli.shared import counted
from hashlib_interop.errors import shown


@shared.command(
    """Read hash sets and filters from end to end, and say whether they are whole.

    Every checksum is compared; then all digests of a set are listed, looked up, and compared with its content id. Of
    several files, one that is damaged does not stop the rest.""",
    examples="""
    hashlib-interop set-verify all.hset
    hashlib-interop set-verify --quick *.hset
    """,
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--quick", is_flag=True, help="Compare checksums only.")
@click.option("--threads", type=click.IntRange(1, 256), metavar="N", help="Threads; else one a core.")
def command(files: tuple[str, ...], quick: bool, threads: int | None) -> int:
    from hashlib_interop.membership.lookup import open_set

    def verify(path: str) -> None:
        with open_set(path) as opened:
            opened.verify(content=not quick, threads=threads)
            click.echo(f"{shown(path, 200)}: whole, {counted(len(opened), 'digest')}")

    return shared.each_file(files, verify)
