"""The frame of the command line: the table of commands, and the one trap for everything that goes wrong.

A new command is a file `cli/<name>.py` (`_` for `-`) with a function `command` (see `shared.command`) and one line
in `COMMANDS`. Nothing is imported until a command is used.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from difflib import get_close_matches
from types import FrameType
from typing import Any

import click

from hashlib_interop.errors import FileFault, InteropError, shown

PROGRAM = "hashlib-interop"
USAGE, INTERNAL, INTERRUPTED, BROKEN_PIPE, TERMINATED = 2, 70, 130, 141, 143

COMMANDS: dict[str, str] = {
    "build": "Make a hash set of lists and catalogs, to look digests up in.",
    "conflicts": "List what cannot all hold in a catalog.",
    "convert": "Turn lists of any format into one list of any other.",
    "formats": "List the formats and the shipped column mappings, or show one in detail.",
    "info": "Say what a file is and what it holds.",
    "lookup": "Look up the digests of a text in a hash set or a filter.",
    "merge": "Merge lists of several sources into one catalog.",
    "schemes": "List the classification schemes, or show one, or how one relates to another.",
    "selftest": "Check that the library gives known answers on this machine.",
    "set-info": "Say what hash sets and filters hold.",
    "set-ops": "Count what two hash sets have in common, or make the set of it.",
    "set-verify": "Read hash sets and filters from end to end, and say whether they are whole.",
    "synth": "Make synthetic lists of several partners.",
    "why": "Show who said what about a digest, and what was decided.",
}
"""Name of the command, which is the name of its module with `-` for `_`, and its line in `--help`."""

_EXITS = (
    "0 done · 1 done, but something was rejected, lost or left in conflict and --strict was given"
    " · 2 wrong usage · 3 and up one per error class"
)
_HELP = """Convert, dedupe and reconcile child-protection partner hash lists, without silent loss.

Hashes and metadata only: no media file is ever opened."""


class Terminated(BaseException):
    """SIGTERM came: unwind, so that temporary files go."""


class Commands(click.Group):
    """A group whose commands are loaded when used, behind the one trap."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            close = get_close_matches(cmd_name, COMMANDS, 1)
            hint = f"did you mean {close[0]}?" if close else f"see {PROGRAM} --help"
            raise click.UsageError(f"no command {shown(cmd_name)}: {hint}")
        module = importlib.import_module(f"hashlib_interop.cli.{cmd_name.replace('-', '_')}")
        loaded: click.Command = module.command
        return loaded

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, so that none is imported."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples and exit status, as every command does."""
        from hashlib_interop.cli.shared import write_epilog

        example = f"{PROGRAM} info export.xml\n{PROGRAM} convert export.xml -o export.csv --to columns"
        write_epilog(formatter, example, _EXITS)

    def main(self, *args: Any, **settings: Any) -> Any:
        """Run behind the trap and exit."""
        settings["standalone_mode"] = False
        settings.setdefault("prog_name", PROGRAM)
        sys.exit(trapped(lambda: super(Commands, self).main(*args, **settings)))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a closed pipe ends it quietly."""
        try:
            done = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # Here, and not in the trap: click would end such a run with 1, which means something else.
            raise click.exceptions.Exit(_pipe_closed()) from None
        return done


def _pipe_closed() -> int:
    """Give stdout a place to flush to, so that the interpreter says nothing at exit."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass
    return BROKEN_PIPE


def trapped(run: Callable[[], Any]) -> int:
    """Run a command and return its exit code; say in one line what went wrong."""
    try:
        return run() or 0
    except InteropError as error:
        return _say(str(error), error.exit_code)
    except click.Abort:
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return USAGE
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" (try '{context.command_path} --help')" if context else ""
        return _say(error.format_message() + hint, USAGE)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Terminated:
        return TERMINATED
    except OSError as error:
        return _say(f"writing the output: {(error.strerror or str(error)).lower()}", FileFault.exit_code)
    except Exception:  # noqa: BLE001 - the one trap: anything else is our fault, and shows where
        # DuckDB makes an error of its own of a signal that comes while it works.
        return TERMINATED if _STOPPED else _unexpected()


def _say(message: str, code: int) -> int:
    from hashlib_interop.cli.shared import printable

    click.echo(f"{PROGRAM}: {printable(message)}", err=True)
    return code


def _unexpected() -> int:
    from hashlib_interop.cli.shared import printable

    for line in traceback.format_exc().splitlines():
        click.echo(printable(line), err=True)
    return INTERNAL


def _say_version(ctx: click.Context, param: click.Parameter, asked: bool) -> None:
    if asked:
        from hashlib_interop.reading import library_version

        click.echo(f"{PROGRAM} {library_version()}")
        ctx.exit()


@click.group(cls=Commands, help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_say_version,
    help="Show the version.",
)
def cli() -> None:
    pass


_STOPPED: list[int] = []


def _on_terminate(number: int, frame: FrameType | None) -> None:
    _STOPPED.append(number)
    raise Terminated


def _on_warning(message: Warning | str, *where: object, **more: object) -> None:
    from hashlib_interop.cli.shared import say

    say(f"note: {message}")


def main() -> None:
    """Run the command line on `sys.argv` and exit."""
    signal.signal(signal.SIGTERM, _on_terminate)
    warnings.showwarning = _on_warning
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if sys.stdout is None:  # `>&-`
        sys.exit(_say("standard output is closed: there is no place to write to", FileFault.exit_code))
    cli.main()


if __name__ == "__main__":
    main()
