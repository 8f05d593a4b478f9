"""The frame: the table of commands, help, exit codes, signals and pipes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest

from hashlib_interop import errors
from hashlib_interop.cli import main, shared
from tests.cli.conftest import EVIL, Run, native_text, row, spawn

FRAME = {"__init__", "main", "shared"}


def test_every_module_of_the_folder_is_a_command_and_every_command_a_module() -> None:
    folder = Path(main.__file__).parent
    names = {path.stem for path in folder.glob("*.py")} - FRAME
    assert {name.replace("_", "-") for name in names} == set(main.COMMANDS)


@pytest.mark.parametrize("name", main.COMMANDS)
def test_help_of_every_command_has_its_line_examples_and_exit_status(name: str, run: Run) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert main.COMMANDS[name] in " ".join(result.output.split())
    assert f"Examples:\n  hashlib-interop {name}" in result.output
    assert "Exit status:\n  0 done" in result.output
    assert all(len(line) <= 100 for line in result.output.splitlines())


@pytest.mark.parametrize("name", main.COMMANDS)
def test_a_command_is_named_after_its_module(name: str) -> None:
    loaded = main.cli.get_command(click.Context(main.cli), name)
    assert loaded is not None and loaded.name == name


def test_help_of_the_whole_lists_the_commands_examples_and_exit_status(run: Run) -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert all(name in result.output for name in main.COMMANDS)
    assert "Examples:" in result.output and "Exit status:" in result.output


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from hashlib_interop.cli.main import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'pyarrow', 'duckdb', 'numpy', 'pydantic', 'rich'} & set(sys.modules); assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nosuch"], "no command nosuch: see hashlib-interop --help"),
        (["info"], "Missing argument"),
        (["info", "--nosuch"], "No such option"),
        (["info", "x", "--option", "novalue"], "NAME=VALUE"),
        (["info", "x", "--option", "a=1", "--option", "a=2"], "given twice"),
        (["info", "x", "--recorded-at", "yesterday"], "ISO 8601"),
        (["info", "x", "--recorded-at", "2025-03-01T12:00"], "time zone"),
        (["info", "x", "--max-rejects", "-1"], "max-rejects"),
    ],
)
def test_wrong_usage_is_exit_2_in_one_line(arguments: list[str], says: str, run: Run) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr and result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize("error", errors.ERRORS)
def test_an_error_of_ours_is_one_line_and_its_exit_code(
    error: type[errors.InteropError], capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error("first\nsecond \x1b[31m", file="list.csv", position="line 3")

    assert main.trapped(fail) == error.exit_code
    assert capsys.readouterr().err == "hashlib-interop: list.csv: line 3: first\\nsecond \\x1b[31m\n"


def test_anything_else_is_a_traceback_without_control_characters_and_exit_70(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise ValueError("\x1b]0;evil\x07")

    assert main.trapped(fail) == 70
    shown = capsys.readouterr().err
    assert "Traceback" in shown and "\\x1b]0;evil\\x07" in shown and "\x1b" not in shown


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt, 130), (click.Abort, 130), (main.Terminated, 143)]
)
def test_interruptions_have_the_codes_of_a_shell(error: type[BaseException], code: int) -> None:
    def fail() -> None:
        raise error

    assert main.trapped(fail) == code


def test_a_missing_file_is_exit_5(run: Run, tmp_path: Path) -> None:
    result = run("info", tmp_path / "absent.csv")
    assert result.exit_code == errors.FileFault.exit_code
    assert "no such file" in result.stderr


def test_escapes_in_a_file_name_reach_no_output(run: Run, tmp_path: Path) -> None:
    result = run("info", tmp_path / EVIL)
    assert "\x1b" not in result.output and "\u202e" not in result.output
    result = run(EVIL)
    assert result.exit_code == 2
    assert "\x1b" not in result.output and "\u202e" not in result.output


def test_version_is_said(run: Run) -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.output.startswith("hashlib-interop ")


def test_output_into_a_pipe_that_closes_is_silent(tmp_path: Path) -> None:
    path = tmp_path / "big.native.jsonl"
    path.write_text(native_text(row(n) for n in range(20_000)))
    command = f"{sys.executable} -m hashlib_interop.cli.main convert {path} -o - --to native"
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr and "Broken" not in done.stderr
    assert done.returncode == main.BROKEN_PIPE


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_and_leaves_no_temporary_file(tmp_path: Path, number: int, code: int) -> None:
    source, target = tmp_path / "fifo", tmp_path / "out.native.jsonl"
    target.write_text("old")
    command = ["convert", "-", "-o", str(target), "--from", "native"]
    process = subprocess.Popen(
        [sys.executable, "-c", _SLOW, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin and process.stdout and process.stderr
    with process.stdin:
        process.stdin.write(native_text(row(n) for n in range(3)).encode())
    process.stdout.readline()
    process.send_signal(number)
    said = process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    assert process.wait(20) == code
    assert b"Traceback" not in said
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir() if path != source] == [target.name]


_SLOW = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a run in the background starts with SIGINT ignored
from hashlib_interop import converting
from hashlib_interop.cli.main import main

def slow(readers, imports):
    for reader in readers:
        for batch in reader.batches():
            yield batch
            print("reading", flush=True)
            time.sleep(20)

converting._batches = slow
main()
"""


def test_no_colour_and_no_escape_in_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "list.native.jsonl"
    path.write_text(
        native_text([row(1, contributor=EVIL, series=EVIL, classifications=[{"scheme": EVIL, "code": EVIL}])])
    )
    for arguments in (["info", path], ["info", path, "--json"], ["formats"], ["formats", "native"]):
        done = spawn(*arguments)
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout + done.stderr
        assert "\u202e" not in done.stdout + done.stderr


def test_on_a_terminal_tables_fit_80_columns_and_no_color_is_honoured(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    for no_color, styled in (("", True), ("1", False)):
        primary, secondary = pty.openpty()
        environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm", "NO_COLOR": no_color}
        command = [sys.executable, "-m", "hashlib_interop.cli.main", "formats"]
        process = subprocess.Popen(
            command, stdout=secondary, stderr=secondary, stdin=secondary, env=environment
        )
        os.close(secondary)
        text = _drained(primary)
        assert process.wait() == 0
        assert ("\x1b[1m" in text) == styled
        bare = text.replace("\x1b[1m", "").replace("\x1b[0m", "")
        assert all(len(line.rstrip("\r")) <= 80 for line in bare.split("\n"))


def _drained(handle: int) -> str:
    parts, end = [], time.monotonic() + 20
    while time.monotonic() < end:
        try:
            data = os.read(handle, 4096)
        except OSError:
            break
        if not data:
            break
        parts.append(data)
    os.close(handle)
    return b"".join(parts).decode()


def test_json_lines_are_private_and_kept_where_the_run_fails(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    reject = errors_reject()
    with pytest.raises(ValueError, match="later"), shared.json_lines(str(path)) as sink:
        assert sink
        sink(reject)
        raise ValueError("later")
    assert path.read_text().count("\n") == 1
    assert path.stat().st_mode & 0o777 == 0o600


def errors_reject() -> Any:
    """Return a refused record."""
    from hashlib_interop.report import Reject

    return Reject(file="f", position=1, unit="line", reason="bad", raw="\x1b[31m")


def test_progress_shows_only_on_a_terminal() -> None:
    with shared.progress_bars() as progress:
        assert progress is None


@pytest.mark.parametrize("unit", ["bytes", "rows"])
def test_progress_is_drawn_after_a_while(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with shared.progress_bars(unit, after=0) as progress:
        assert progress
        for taken in (1, 2, 3):
            progress("list\x1b.csv", taken, 3)
            progress("[red]other", taken, 2)


def test_a_date_alone_is_its_midnight_in_utc() -> None:
    assert shared.stamp("2025-03-01").isoformat() == "2025-03-01T00:00:00+00:00"
    assert shared.stamp("2025-03-01T12:00:00.123456+02:00").isoformat() == "2025-03-01T10:00:00.123000+00:00"
