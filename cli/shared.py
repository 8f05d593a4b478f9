"""What the commands share: their form, their options, and the way they show things.

Text from files reaches a terminal only through `errors.shown`; `printable` is the last net under it.
"""

from __future__ import annotations

import contextlib
import json
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import IO, Any, TypeVar

import click

from hashlib_interop.errors import InteropError, shown

Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Function], Function]
Progress = Callable[[str, int, int], None]
Row = Sequence[object]

_EXITS = "0 done · 2 wrong usage · 3 and up one per error class (see docs/exit-codes.md)"
_STRICT_EXITS = _EXITS.replace("0 done", "0 done · 1 {because} and --strict was given")

# The form of a command ----------------------------------------------------------------------------------


class _Command(click.Command):
    examples = ""
    exits = _EXITS

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_epilog(formatter, self.examples, self.exits)


def write_epilog(formatter: click.HelpFormatter, examples: str, exits: str) -> None:
    """Write the Examples block as it stands, and the Exit status line."""
    with formatter.section("Examples"):
        for line in textwrap.dedent(examples).strip().splitlines():
            formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
    with formatter.section("Exit status"):
        formatter.write_text(exits)


def command(
    help: str, *, examples: str, strict: str | None = None, one: str | None = None
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function the command that its module is named after.

    The first sentence of `help` is its line in `main.COMMANDS`. `strict` says when `--strict` gives 1, `one` what
    gives 1 without it. The function returns its exit code, or None for 0.
    """

    def decorate(function: Callable[..., Any]) -> click.Command:
        name = function.__module__.rpartition(".")[2].replace("_", "-")
        made = click.command(name, cls=_Command, help=textwrap.dedent(help).strip())(function)
        made.examples = examples
        ones = _EXITS.replace("0 done", f"0 done · 1 {one}") if one else _EXITS
        made.exits = _STRICT_EXITS.format(because=strict) if strict else ones
        return made

    return decorate


# Options ------------------------------------------------------------------------------------------------


def _pairs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in values:
        name, equals, rest = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"expected NAME=VALUE, found {shown(value)!r}", ctx, param)
        if name in found:
            raise click.BadParameter(f"{shown(name)!r} is given twice", ctx, param)
        found[name] = rest
    return found


def stamp(text: str) -> datetime:
    """Return an ISO 8601 date or stamp as UTC, cut to the millisecond; a date alone is its midnight."""
    value = datetime.fromisoformat(text)
    if value.tzinfo is None and len(text) > len("2025-03-01"):
        raise ValueError("a stamp needs a time zone")
    value = value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


def _stamp_option(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    try:
        return stamp(value) if value else None
    except ValueError as error:
        raise click.BadParameter(
            f"{shown(value)!r} is no ISO 8601 date or stamp ({error})", ctx, param
        ) from None


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
strict_option = click.option("--strict", is_flag=True, help="Do not accept rejects, losses or conflicts.")
drop_handling_option = click.option(
    "--drop-handling",
    multiple=True,
    metavar="CODE",
    help="Write restricted records although the target cannot say CODE (all: any code).",
)
known_files_option = click.option(
    "--known-files", is_flag=True, help="Take entries that only say that a file is known (NSRL), too."
)
max_rejects_option = click.option(
    "--max-rejects",
    type=click.IntRange(0),
    metavar="N",
    help="Fail where a file has more than N bad records.",
)
rejects_option = click.option(
    "--rejects", metavar="FILE", help="Write the refused records here, as JSON Lines, each with its raw text."
)
from_option = click.option(
    "--from", "from_format", metavar="FORMAT", help="Format of the input; else its content decides."
)
to_option = click.option(
    "--to", "to_format", metavar="FORMAT", help="Format of the output; else its suffix decides."
)
source_option = click.option(
    "--source", metavar="NAME", help="Name of the source; else the name of the format."
)
options_option = click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_pairs,
    help="A setting of the format that is read or written (see: formats NAME); from.NAME and to.NAME say which. Repeatable.",
)
recorded_at_option = click.option(
    "--recorded-at",
    metavar="STAMP",
    callback=_stamp_option,
    help="The time of this run, ISO 8601; else SOURCE_DATE_EPOCH, else now.",
)


def decorated(*decorators: Decorator[Any]) -> Decorator[Any]:
    """Return several option decorators as one; they show in `--help` in this order."""

    def decorate(function: Function) -> Function:
        for each in reversed(decorators):
            function = each(function)
        return function

    return decorate


reading_options = decorated(
    from_option, source_option, options_option, max_rejects_option, recorded_at_option
)
"""The parameters `from_format source options max_rejects recorded_at`; see `reading_settings`."""


@contextlib.contextmanager
def reading_settings(given: dict[str, Any], *sinks: Callable[[Any], None] | None) -> Iterator[dict[str, Any]]:
    """Turn the values of `reading_options` and `rejects_option` into keywords of `reading.open_readers`.

    Refused records go to the file of `--rejects` and to `sinks`; progress shows on a terminal.
    """
    settings = {name: given[name] for name in ("source", "options", "max_rejects")}
    if given["recorded_at"]:
        settings["recorded_at"] = given["recorded_at"]
    with json_lines(given.get("rejects")) as refused, progress_bars() as progress:
        taken = [sink for sink in (refused, *sinks) if sink]
        settings["on_reject"] = lambda reject: [sink(reject) for sink in taken]
        yield settings | {"format": given["from_format"], "progress": progress}


# Showing ------------------------------------------------------------------------------------------------


def printable(text: str) -> str:
    """Return text with every character that a terminal might act on, or that breaks a line, escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def number(value: int) -> str:
    """Return a count with thousands separators."""
    return f"{value:,}"


def counted(value: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def day(value: datetime | None) -> str:
    """Return a stamp as people read it, in UTC, or a dash."""
    return f"{value:%Y-%m-%d %H:%M:%S}Z" if value else "-"


def say(text: str) -> None:
    """Print a line to stderr."""
    click.echo(printable(text), err=True)


def each_file(files: Sequence[str], work: Callable[[str], None]) -> int:
    """Do something with each file; of several, an error does not stop the rest. Return the exit code of the first."""
    failed = 0
    for path in files:
        try:
            work(path)
        except InteropError as error:
            if len(files) == 1:
                raise
            failed = failed or error.exit_code
            say(str(error))
    return failed


def emit(value: object, render: Callable[[], None], as_json: bool, err: bool = False) -> None:
    """Print `value` as JSON, pure ASCII, or call what shows it to people."""
    if as_json:
        click.echo(json.dumps(value, indent=2, default=str).replace("\x7f", "\\u007f"), err=err)
    else:
        render()


def heading(text: str, err: bool = False) -> None:
    """Print a heading with an empty line before it, bold on a terminal."""
    click.echo(err=err)
    click.echo(click.style(printable(text), bold=True) if coloured(err) else printable(text), err=err)


def coloured(err: bool = False) -> bool:
    """Tell whether colours may be used: a terminal that is no dumb one, and no `NO_COLOR` (no-color.org)."""
    import os

    stream = sys.stderr if err else sys.stdout
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def fields(pairs: Mapping[str, object], err: bool = False) -> None:
    """Print names and values, one a line, aligned; what is None or empty is left out."""
    shown_pairs = {name: value for name, value in pairs.items() if value not in (None, "")}
    width = max((len(name) for name in shown_pairs), default=0)
    for name, value in shown_pairs.items():
        click.echo(f"{name:<{width}}  {_cell(value)}", err=err)


def table(headers: Sequence[str], rows: Sequence[Row], err: bool = False) -> None:
    """Print a table: in the width of a terminal, or one plain aligned line a row in a pipe.

    Whole numbers stand to the right with thousands separators.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    numeric = [bool(rows) and all(_is_number(row[k]) for row in rows) for k in range(len(headers))]
    if (sys.stderr if err else sys.stdout).isatty():
        _rich_table(headers, cells, numeric, err)
    else:
        _plain_table(headers, cells, numeric, err)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return number(value)
    return day(value) if isinstance(value, datetime) else printable(str("" if value is None else value))


def _plain_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool], err: bool
) -> None:
    everything = [list(headers), *rows]
    widths = [max(len(row[k]) for row in everything) for k in range(len(headers))]
    for row in everything:
        cells = [f"{c:>{w}}" if n else f"{c:<{w}}" for c, w, n in zip(row, widths, numeric, strict=True)]
        click.echo("  ".join(cells).rstrip(), err=err)


def _rich_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool], err: bool
) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, header_style="bold" if coloured(err) else "")
    for header, is_number in zip(headers, numeric, strict=True):
        drawn.add_column(header, justify="right" if is_number else "left", overflow="fold", no_wrap=is_number)
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    Console(stderr=err, highlight=False, no_color=not coloured(err)).print(drawn)


# Progress -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def progress_bars(unit: str = "bytes", after: float = 1.0) -> Iterator[Progress | None]:
    """Give the `progress` callback of readers: bars with rate and time left, one an input, on stderr.

    None where stderr is no terminal. Nothing shows before `after` seconds. What is counted is `unit`.
    """
    if not sys.stderr.isatty():
        yield None
        return
    bars = _Bars(unit, time.monotonic() + after)
    try:
        yield bars
    finally:
        bars.stop()


class _Bars:
    def __init__(self, unit: str, begin: float) -> None:
        self._unit, self._begin = unit, begin
        self._drawn: Any = None
        self._tasks: dict[str, Any] = {}

    def __call__(self, name: str, taken: int, size: int) -> None:
        if self._drawn is None:
            if time.monotonic() < self._begin:
                return
            self._drawn = _drawn_bars(self._unit)
            self._drawn.start()
        if name not in self._tasks:
            self._tasks[name] = self._drawn.add_task(shown(name, 30), total=size)
        self._drawn.update(self._tasks[name], completed=min(taken, size))

    def stop(self) -> None:
        if self._drawn is not None:
            self._drawn.stop()


def _drawn_bars(unit: str) -> Any:
    from rich import progress as rich
    from rich.console import Console
    from rich.text import Text

    class Rate(rich.ProgressColumn):
        def render(self, task: rich.Task) -> Text:
            return Text(f"{task.completed:,.0f} {unit} {task.speed or 0:,.0f}/s")

    amounts = (rich.DownloadColumn(), rich.TransferSpeedColumn()) if unit == "bytes" else (Rate(),)
    columns = (rich.TextColumn("{task.description}", markup=False), rich.BarColumn(20), *amounts)
    console = Console(stderr=True, no_color=not coloured(err=True))
    return rich.Progress(*columns, rich.TimeRemainingColumn(), console=console, transient=True)


# Rejects and reports ------------------------------------------------------------------------------------


@contextlib.contextmanager
def json_lines(path: str | None, *others: str) -> Iterator[Callable[[Any], None] | None]:
    """Give a sink that writes pydantic objects (rejects, losses) as JSON Lines to a file of mode 0600.

    None where there is no path. `others` are files that it must not be. The file is published also where the run fails: what was refused until
    then is what the user needs to see.
    """
    if path is None:
        yield None
        return
    import os

    from hashlib_interop.files import published

    for other in others:
        if os.path.realpath(path) == os.path.realpath(other.split("=", 1)[-1]) or path == other:
            raise click.UsageError(f"{shown(path, 200)} is an input or the output: it would be destroyed")
    failure: Exception | None = None
    with (
        published(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace") as out,
    ):
        try:
            yield lambda item: _line(out, item)
        except Exception as error:  # noqa: BLE001 - kept, and raised again below
            failure = error
    if failure is not None:
        raise failure


def _line(out: IO[str], item: Any) -> None:
    out.write(item.model_dump_json() + "\n")
