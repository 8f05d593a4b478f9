"""`set-info`: what a hash set or a filter holds, as it says itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hashlib_interop.cli import shared
from hashlib_interop.cli.shared import counted, emit, fields, heading, json_option, table
from hashlib_interop.errors import shown

if TYPE_CHECKING:
    from hashlib_interop.membership.fuse import FilterInfo
    from hashlib_interop.membership.hashset import HashSet


@shared.command(
    """Say what hash sets and filters hold.

    Digests by algorithm, what they carry, sizes, and the content id of each algorithm: sets of equal digests have
    equal ids. Of a set this is what its header says; set-verify reads everything. Of several files, one that is none
    does not stop the rest.""",
    examples="""
    hashlib-interop set-info all.hset
    hashlib-interop set-info old.hset new.hset --json
    """,
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@json_option
def command(files: tuple[str, ...], as_json: bool) -> int:
    from hashlib_interop.membership.lookup import open_set

    found = []

    def describe(path: str) -> None:
        with open_set(path) as opened:
            found.append({"path": path, **opened.described()})
            if not as_json:
                _show(path, opened, first=len(found) == 1)

    failed = shared.each_file(files, describe)
    emit(found, lambda: None, as_json)
    return failed


def _show(path: str, opened: Any, first: bool) -> None:
    if not first:
        click.echo("\n")
    if opened.is_filter:
        _show_filter(path, opened.set.info)
    else:
        _show_set(path, opened.set)


def _show_set(path: str, hash_set: HashSet) -> None:
    info = hash_set.info
    numbers = f"{info.numbers} of catalog {shown(info.catalog or '-', 12)}" if info.numbers else None
    fields(
        {
            "file": shown(path, 200),
            "kind": "hash set, exact",
            "digests": info.n,
            "size": counted(info.size, "byte") + (f", {info.bytes_per_digest:.2f} a digest" if info.n else ""),
            "carries": ", ".join(info.payload) or "nothing",
            "numbers": numbers,
            "core": info.core,
        }
    )
    heading("Algorithms")
    rows = [(g.algorithm, g.n, g.layout, g.size, g.content_id[:16]) for g in info.groups]
    table(("algorithm", "digests", "layout", "bytes", "content id"), rows)


def _show_filter(path: str, info: FilterInfo) -> None:
    fields(
        {
            "file": shown(path, 200),
            "kind": f"filter, {info.bits} bits a digest: wrong about 1 in {1 << info.bits:,} of all others",
            "digests": info.count,
            "algorithms": ", ".join(info.algorithms),
            "size": f"{counted(info.size, 'byte')}, {info.size * 8 / max(info.count, 1):.2f} bits a digest",
            "key": f"{info.key:#x}",
        }
    )
