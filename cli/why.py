"""`why`: every entry behind an item, and what the policy made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hashlib_interop.cli import shared
from hashlib_interop.cli.shared import counted, emit, fields, heading, table
from hashlib_interop.errors import shown

if TYPE_CHECKING:
    from hashlib_interop.explaining import Said, Why


@shared.command(
    """Show who said what about a digest, and what was decided.

    Every entry behind the item: which source and contributor, when, in which file at which position; what the
    policy chose and what it overruled; what was said before and taken back; votes and conflicts.""",
    one="the digest is not in the catalog",
    examples="""
    hashlib-interop why all.db 360ebe8964fab73553a60189969cc478
    hashlib-interop why all.db sha1:9c13c49ba052aba9eaeb62c1804d5afae10d4ad7 --json
    """,
)
@click.argument("catalog")
@click.argument("digest")
@shared.json_option
def command(catalog: str, digest: str, as_json: bool) -> int:
    from hashlib_interop.explaining import why

    answers = why(catalog, digest)
    emit([answer.to_json() for answer in answers], lambda: _show(answers, digest), as_json)
    return 0 if answers else 1


def _show(answers: list[Why], digest: str) -> None:
    if not answers:
        click.echo(f"{shown(digest, 150)} is not in this catalog")
    if len(answers) > 1:
        click.echo(f"{len(answers)} items carry this digest: it does not tell them apart\n")
    for answer in answers:
        _show_one(answer)


def _show_one(answer: Why) -> None:
    item = answer.item
    if item is None:
        click.echo("no item: nobody asserts this digest any more")
    else:
        decided = f"{item['scheme']} {item['code']}" if item["code"] is not None else "none"
        fields(
            {
                "item": item["key"],
                **{a: item[a] for a in ("sha512", "sha384", "sha256", "sha1", "md5") if a in item},
                "size": item["size"],
                "media": item["media"],
                "status": item["status"] + (f" by {item['rule']}" if item["rule"] else ""),
                "value": shown(decided),
                "handling": item["handling"],
                "policy": f"{answer.policy['name']} ({answer.policy['hash'][:12]})",
                "crosswalk": ", ".join(f"{shown(one['name'])} ({one['sha256'][:12]})" for one in answer.policy["crosswalk"]) or None,
            }
        )
        heading(f"Said by {counted(len(answer.entries), 'entry', 'entries')}")
        _entries(answer.entries)
    if answer.history:
        heading("Said before, or taken back")
        _entries(answer.history)
    if answer.votes:
        heading("Votes")
        rows = [(v["source"], shown(v["contributor"] or ""), v["vote"], shown(v["reason"] or ""), v["asserted_at"]) for v in answer.votes]
        table(("source", "by", "vote", "reason", "when"), rows)
    if answer.conflicts:
        heading("Conflicts")
        table(("no", "kind", "subject", "settled"), [(c["id"], c["kind"], shown(c["subject"]), bool(c["resolved"])) for c in answer.conflicts])


def _entries(entries: list[Said]) -> None:
    rows = [
        (
            f"{s.source}{f' ({shown(s.contributor, 30)})' if s.contributor else ''}",
            shown(", ".join(s.classifications), 40) or "-",
            s.role,
            f"{s.asserted_at:%Y-%m-%d}" if s.asserted_at else "-",
            f"{shown(s.file, 40)}{f' #{s.position}' if s.position else ''}",
        )
        for s in entries
    ]
    table(("source", "says", "role", "asserted", "file"), rows)
