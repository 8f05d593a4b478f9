"""`convert`: any format to any other, and what is said before a byte is published."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from hashlib_interop.cli.main import cli
from hashlib_interop.converting import Converted, convert
from hashlib_interop.errors import CannotWrite, MalformedInput, UnknownFormat
from hashlib_interop.format import Format
from hashlib_interop.reading import read
from tests.cli.conftest import EVIL, Run, native_text, row

Native = Callable[..., Path]


def test_records_of_all_inputs_are_kept_in_order(run: Run, native: Native, tmp_path: Path) -> None:
    one, two = native(row(1), row(2), name="1.native.jsonl"), native(row(2), row(3), name="2.native.jsonl")
    target = tmp_path / "out.native.jsonl"
    assert run("convert", one, two, "-o", target).exit_code == 0
    assert [entry.md5.hex() for entry in read(target)] == [row(n)["md5"] for n in (1, 2, 2, 3)]
    assert target.stat().st_mode & 0o777 == 0o600


def test_the_trailer_of_a_native_file_names_every_import(run: Run, native: Native, tmp_path: Path) -> None:
    one, two = native(row(1), name="1.native.jsonl"), native(row(2), name="2.native.jsonl")
    target = tmp_path / "out.native.jsonl"
    run("convert", one, two, "-o", target, "--source", "partner-a", "--recorded-at", "2025-03-01")
    trailer = json.loads(target.read_text().splitlines()[-1])
    assert [each["name"] for each in trailer["imports"]] == ["1.native.jsonl", "2.native.jsonl"]
    assert {each["recorded_at"][:19] for each in trailer["imports"]} == {"2025-03-01T00:00:00"}


def test_the_same_inputs_and_clock_give_the_same_bytes(run: Run, native: Native, tmp_path: Path) -> None:
    path, made = native(row(1), row(2)), []
    for name in ("a", "b"):
        target = tmp_path / f"{name}.native.jsonl"
        run("convert", path, "-o", target, "--recorded-at", "2025-03-01")
        made.append(target.read_bytes())
    assert made[0] == made[1]


def test_losses_are_shown_with_reason_count_and_example(
    run: Run, native: Native, tmp_path: Path, thin: Format
) -> None:
    path = native(
        row(1, size=7, media="image"), row(2, size=8), {"ref": "a/1", "state": "retracted"}, {"md5": "z"}
    )
    target = tmp_path / "out.thin"
    result = run("convert", path, "-o", target)
    assert result.exit_code == 0 and result.stdout == ""
    said = " ".join(result.stderr.split())
    assert "size 2 not carried 7" in said
    assert "record 1 a retraction has no place in this format a/1" in said
    assert "Rejected: 1 record" in said and "line 5" in said
    assert "2 records written" in said
    assert target.read_text().count("\n") == 3


def test_strict_publishes_nothing_and_gives_1(run: Run, native: Native, tmp_path: Path, thin: Format) -> None:
    target = tmp_path / "out.thin"
    target.write_text("old")
    for rows in ([row(1, size=7)], [row(1), {"md5": "z"}]):
        result = run("convert", native(*rows), "-o", target, "--strict")
        assert result.exit_code == 1
        assert "nothing is published" in result.stderr
        assert target.read_text() == "old"
    assert run("convert", native(row(1)), "-o", target, "--strict").exit_code == 0
    assert target.read_text() != "old"


def test_strict_to_standard_output_prints_no_byte(run: Run, native: Native, thin: Format) -> None:
    result = run("convert", native(row(1, size=7)), "-o", "-", "--to", "thin", "--strict")
    assert (result.exit_code, result.stdout) == (1, "")
    result = run("convert", native(row(1)), "-o", "-", "--to", "thin", "--strict")
    assert (result.exit_code, result.stdout) == (0, f"THIN/\n{row(1)['md5']}\n")


def test_report_and_rejects_are_json_lines(run: Run, native: Native, tmp_path: Path, thin: Format) -> None:
    report, rejects = tmp_path / "report.jsonl", tmp_path / "rejects.jsonl"
    path = native(row(1, size=7), {"md5": "z"})
    run("convert", path, "-o", tmp_path / "o.thin", "--report", report, "--rejects", rejects, "--strict")
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [line.get("position") for line in lines if "position" in line] == [3]
    assert {line["field"]: line["count"] for line in lines if "count" in line} == {"size": 1}
    assert json.loads(rejects.read_text())["raw"].strip() == '{"md5": "z"}'


def test_json_says_everything_on_stdout_or_on_stderr_where_stdout_has_the_list(
    run: Run, native: Native, tmp_path: Path, thin: Format
) -> None:
    path = native(row(1, size=7))
    found = json.loads(run("convert", path, "-o", tmp_path / "o.thin", "--json").stdout)
    assert (found["read"], found["written"], found["rejected"], found["published"]) == (1, 1, 0, True)
    assert found["losses"] == [{"field": "size", "count": 1, "reason": "not carried", "example": "7"}]
    result = run("convert", path, "-o", "-", "--to", "thin", "--json")
    assert json.loads(result.stderr)["written"] == 1 and result.stdout.startswith("THIN/")


def test_options_go_to_whoever_knows_them_and_a_side_can_be_named(
    run: Run, tmp_path: Path, thin: Format
) -> None:
    source, target = tmp_path / "a.thin", tmp_path / "b.thin"
    source.write_text(f"THIN/\n{row(1)['md5']}\n")
    arguments = ["--option", "from.greeting=in", "--option", "to.greeting=out", "--json"]
    found = json.loads(run("convert", source, "-o", target, *arguments).stdout)
    assert found["imports"][0]["facts"] == {"greeting": "in"}
    assert target.read_text().startswith("THIN/out\n")
    result = run("convert", source, "-o", target, "--option", "nosuch=1")
    assert result.exit_code == 2 and "thin: greeting" in result.stderr


def test_standard_input_is_read(native: Native, tmp_path: Path) -> None:
    target = tmp_path / "o.native.jsonl"
    result = CliRunner().invoke(cli, ["convert", "-", "-o", str(target)], input=native_text([row(1)]))
    assert result.exit_code == 0, result.output
    assert len(list(read(target))) == 1


def test_a_truncated_input_publishes_nothing(run: Run, native: Native, tmp_path: Path) -> None:
    path, target = native(row(1), row(2)), tmp_path / "o.native.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    assert run("convert", path, "-o", target).exit_code == MalformedInput.exit_code
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_suffix_that_says_nothing_needs_to(run: Run, native: Native, tmp_path: Path) -> None:
    result = run("convert", native(row(1)), "-o", tmp_path / "o.strange")
    assert result.exit_code == UnknownFormat.exit_code and "--to" in result.stderr


def test_no_terminal_escape_of_a_file_is_shown(
    run: Run, native: Native, tmp_path: Path, thin: Format
) -> None:
    path = native(row(1, series=EVIL), {"md5": EVIL}, name="e\x1bvil.jsonl")
    result = run("convert", path, "-o", tmp_path / "o\x1b.thin", "--to", "thin")
    assert result.exit_code == 0
    assert not {"\x1b", "\x07", "\u202e"} & set(result.output)


def test_the_library_asks_before_it_publishes_and_returns_what_it_found(
    native: Native, tmp_path: Path, thin: Format
) -> None:
    target, asked = tmp_path / "o.thin", []

    def refuse(result: Converted) -> bool:
        asked.append((result.written, target.exists()))
        return False

    result = convert([native(row(1, size=7))], target, allow=refuse)
    assert asked == [(1, False)] and not target.exists()
    assert not result.published and not result.exact
    stream = io.BytesIO()
    assert convert([native(row(1))], stream, to="thin").published
    assert stream.getvalue().startswith(b"THIN/")


def test_a_format_that_cannot_be_written_is_refused(
    native: Native, thin: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    object.__setattr__(thin, "write", None)
    with pytest.raises(CannotWrite, match="not written"):
        convert([native(row(1))], io.BytesIO(), to="thin")
