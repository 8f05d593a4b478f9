"""`info`: format and why, counts, and what would be rejected."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

from hashlib_interop.errors import BadOption, MalformedInput, TooManyRejects, UnknownFormat
from hashlib_interop.format import Format
from tests.cli.conftest import EVIL, Run, native_text, row

Native = Callable[..., Path]
CODES = [{"scheme": "ncmec/industry", "code": "A1"}]


def test_counts_of_a_list(run: Run, native: Native) -> None:
    path = native(
        row(
            1, classifications=CODES, asserted_at="2025-03-01T12:00:00.000Z", contributor="one", media="image"
        ),
        row(
            2, classifications=CODES, asserted_at="2024-03-01T12:00:00.000Z", contributor="two", media="video"
        ),
        row(3, state="retracted", ref="a/1"),
        row(4, about={"source": "s", "ref": "r"}, vote="up", ref="v/1"),
        row(5, about={"source": "s", "ref": "r"}, ref="d/1"),
    )
    found = json.loads(run("info", path, "--json").stdout)[0]
    assert found["format"] == "native" and found["claims"] == {"native": 100}
    assert found["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found["size"] == path.stat().st_size and found["compression"] is None
    contents = found["contents"]
    counts = {name: contents[name] for name in ("entries", "active", "retracted", "votes", "decisions")}
    assert counts == {"entries": 5, "active": 2, "retracted": 1, "votes": 1, "decisions": 1}
    assert contents["algorithms"] == {"md5": 5}
    assert contents["classifications"] == {"ncmec/industry A1": 2}
    assert contents["media"] == {"image": 1, "video": 1}
    assert contents["contributors"] == 2
    assert contents["first_asserted_at"] == "2024-03-01T12:00:00+00:00"
    assert contents["last_asserted_at"] == "2025-03-01T12:00:00+00:00"


def test_rejects_are_counted_by_reason_with_the_first_three_positions(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "list.native.jsonl"
    path.write_text(native_text([row(1), *({"md5": f"{n:032d}"[:-1] + "z"} for n in range(5))]))
    result = run("info", path, "--json")
    reasons = json.loads(result.stdout)[0]["rejects"]
    assert [(each["field"], each["count"]) for each in reasons] == [("md5", 5)]
    assert [each["position"] for each in reasons[0]["first"]] == [3, 4, 5]
    shown = run("info", path).stdout
    assert "Rejected: 5 records" in shown and "line 5" in shown and "line 6" not in shown


def test_strict_gives_1_where_something_would_be_rejected(run: Run, native: Native) -> None:
    good, bad = native(row(1)), native({"md5": "z"}, name="bad.native.jsonl")
    assert run("info", good, "--strict").exit_code == 0
    assert run("info", good, bad).exit_code == 0
    assert run("info", good, bad, "--strict").exit_code == 1


def test_max_rejects_stops_the_run_and_the_rejects_file_keeps_what_was_refused(
    run: Run, native: Native, tmp_path: Path
) -> None:
    bad, rejects = native({"md5": "z"}, {"md5": "y"}), tmp_path / "rejects.jsonl"
    result = run("info", bad, "--max-rejects", 1, "--rejects", rejects)
    assert result.exit_code == TooManyRejects.exit_code
    lines = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [line["position"] for line in lines] == [2, 3]
    assert json.loads(lines[0]["raw"]) == {"md5": "z"}
    assert rejects.stat().st_mode & 0o777 == 0o600


def test_compression_and_members_of_a_zip_are_described_each(
    run: Run, native: Native, tmp_path: Path
) -> None:
    path = native(row(1))
    packed, archive = tmp_path / "list.gz", tmp_path / "lists.zip"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(path, "a.jsonl")
        opened.write(path, "b.jsonl")
    found = json.loads(run("info", packed, archive, "--json").stdout)
    assert [each["compression"] for each in found] == ["gzip", "zip", "zip"]
    assert [each["name"] for each in found[1:]] == [f"{archive}!a.jsonl", f"{archive}!b.jsonl"]


def test_facts_and_values_dropped_by_rule_are_shown(run: Run, thin: Format, tmp_path: Path) -> None:
    path = tmp_path / "list.thin"
    path.write_text("THIN/\n" + row(1)["md5"] + "\n")
    result = run("info", path, "--option", "greeting=hello")
    assert "greeting  hello" in " ".join(result.stdout.split(" ")) or "hello" in result.stdout
    assert "thumbnails" in result.stdout
    assert json.loads(run("info", path, "--json").stdout)[0]["dropped"] == {"thumbnails": 2}


def test_an_option_that_the_format_does_not_know_is_wrong_usage(
    run: Run, thin: Format, tmp_path: Path
) -> None:
    path = tmp_path / "list.thin"
    path.write_text("THIN/\n")
    result = run("info", path, "--option", "nosuch=1")
    assert result.exit_code == BadOption.exit_code == 2
    assert "greeting" in result.stderr


def test_a_truncated_file_and_one_of_no_format_fail(run: Run, native: Native, tmp_path: Path) -> None:
    path = native(row(1), row(2))
    path.write_bytes(path.read_bytes()[:-20])
    assert run("info", path).exit_code == MalformedInput.exit_code
    strange = tmp_path / "strange"
    strange.write_bytes(b"\x00\x01\x02")
    assert run("info", strange).exit_code == UnknownFormat.exit_code


def test_no_terminal_escape_of_a_file_is_shown(run: Run, native: Native) -> None:
    evil = {"scheme": EVIL, "code": EVIL}
    path = native(
        row(1, classifications=[evil], contributor=EVIL, media="image"), {"md5": EVIL}, name="e\x1bvil.jsonl"
    )
    for arguments in (["info", path], ["info", path, "--json"]):
        result = run(*arguments)
        assert result.exit_code == 0
        assert not {"\x1b", "\x07", "\u202e"} & set(result.output)
