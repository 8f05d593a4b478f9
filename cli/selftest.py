"""`selftest`: known answers, on this machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from hashlib_interop.cli import shared
from hashlib_interop.cli.shared import emit, json_option, table

if TYPE_CHECKING:
    from hashlib_interop.selftest import Check


@shared.command(
    """Check that the library gives known answers on this machine.

    The compiled kernels, with and without the vector instructions of the processor, against numpy; sets and filters
    made from a seed against their known bytes; a small list merged, built and looked up. Absent is what was not
    compiled here: it works, slower. Where anything fails, trust nothing of this installation.""",
    one="something failed",
    examples="""
    hashlib-interop selftest
    hashlib-interop selftest --json
    """,
)
@json_option
def command(as_json: bool) -> int:
    from hashlib_interop.selftest import run

    checks = list(run())
    emit([asdict(check) for check in checks], lambda: _show(checks), as_json)
    failed = sum(check.state == "FAILED" for check in checks)
    if not as_json:
        click.echo(f"\n{failed} of {len(checks)} FAILED" if failed else "\nall is well")
    return int(bool(failed))


def _show(checks: list[Check]) -> None:
    table(("check", "result", "what"), [(check.name, check.state, check.said) for check in checks])
