"""`build`, `set-info`, `set-verify`, `set-ops`: files of digests, made, described, checked and compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hashlib_interop import merge
from hashlib_interop.algorithms import EMPTY_INPUT
from hashlib_interop.errors import BadDigest, BadOption, CannotWrite, FileFault, MalformedInput, WouldReplace
from hashlib_interop.membership.fuse import Filter
from hashlib_interop.membership.hashset import HashSet
from tests.cli.conftest import EVIL, Run, row

Native = Callable[..., Path]
CODES = [{"scheme": "vics/US", "code": "1"}]


def md5(seed: int) -> bytes:
    """Return the digest of `row`."""
    return hashlib.md5(f"synthetic-{seed}".encode()).digest()


def test_a_list_becomes_a_set_and_what_is_left_out_is_said(run: Run, native: Native, tmp_path: Path) -> None:
    path = native(
        row(1, classifications=CODES),
        row(1, contributor="x"),
        row(2),
        row(3, state="retracted", ref="r/3"),
        {"md5": EMPTY_INPUT["md5"].hex()},
        {"md5": "z"},
    )
    out = tmp_path / "all.hset"
    result = run("build", path, "-o", out)
    assert result.exit_code == 0
    assert "retracted entries" in result.stdout and "empty input" in result.stdout
    assert "Rejected: 1 record" in result.stderr
    assert out.stat().st_mode & 0o777 == 0o600
    with HashSet.open(out, verify=True) as found:
        assert len(found) == 2 and md5(1) in found and md5(2) in found
        said = found.get(md5(1))
        assert said is not None and said.classifications == ("vics/US:1",)
    shown = json.loads(run("build", path, "-o", out, "--json").stdout)
    assert shown["algorithms"] == {"md5": {"read": 3, "held": 2}}
    assert shown["left_out"] == {"digests of empty input or of one repeated byte": 1, "retracted entries": 1}
    assert shown["rejected"] == 1 and shown["rejects"][0]["count"] == 1
    assert run("build", path, "-o", out, "--strict").exit_code == 1


def test_what_is_restricted_is_said_and_stays_out_of_what_is_sent(run: Run, native: Native, tmp_path: Path) -> None:
    """A set at home holds it and counts it; a filter has it only by name of the restriction."""
    amber = {"tlp": "AMBER"}
    path = native(row(1, handling=amber), row(2), row(3, handling={"tlp": "CLEAR"}))
    merge([path], tmp_path / "all.db")
    for source in (path, tmp_path / "all.db"):
        made = run("build", source, "-o", tmp_path / "all.hset")
        assert "Restricted, and in the set" in made.stdout and "TLP:AMBER" in made.stdout
        shown = json.loads(run("build", source, "-o", tmp_path / "all.hfilter", "--filter", "16", "--json").stdout)
        assert shown["count"] == 2 and [*shown["left_out"].values()] == [1] and "TLP:AMBER" in str(shown["left_out"])
        more = ["--drop-handling", "TLP:AMBER", "--json"]
        shown = json.loads(run("build", source, "-o", tmp_path / "all.hfilter", "--filter", "16", *more).stdout)
        assert shown["count"] == 3 and shown["restricted"] == {"TLP:AMBER": 1}


def test_a_catalog_brings_item_numbers_unless_bare(run: Run, native: Native, tmp_path: Path) -> None:
    merge([native(row(1), row(2))], tmp_path / "all.db")
    out = tmp_path / "all.hset"
    for more, carries in ([], ["numbers", "sources", "classifications"]), (["--bare"], []):
        assert json.loads(run("build", tmp_path / "all.db", "-o", out, "--json", *more).stdout)["carries"] == carries
    both = json.loads(run("build", tmp_path / "all.db", native(row(3)), "-o", out, "--json").stdout)
    assert both["carries"] == ["sources", "classifications"] and both["count"] == 3


def test_bare_hashes_are_read_when_one_algorithm_is_said(run: Run, tmp_path: Path) -> None:
    path, out = tmp_path / "list.txt", tmp_path / "list.hset"
    path.write_text(f"{md5(1).hex()}\n{md5(2).hex()}\n")
    assert run("build", path, "-o", out).exit_code == MalformedInput.exit_code
    assert run("build", path, "-o", out, "--algorithm", "MD5").exit_code == 0
    assert run("build", path, "-o", out, "--algorithm", "md4").exit_code == BadDigest.exit_code


def test_nothing_else_is_overwritten(run: Run, native: Native, tmp_path: Path) -> None:
    """Neither an input, nor a file that is no set; a set is."""
    path, catalog, out = native(row(1)), tmp_path / "all.db", tmp_path / "all.hset"
    merge([path], catalog)
    assert run("build", path, "-o", path).exit_code == BadOption.exit_code
    assert run("build", path, "-o", catalog).exit_code == WouldReplace.exit_code
    assert run("build", path, "-o", tmp_path / "x.hfilter").exit_code == BadOption.exit_code
    assert run("build", path, "-o", out, "--filter", "8").exit_code == BadOption.exit_code
    for _ in range(2):
        assert run("build", path, "-o", out).exit_code == 0
    assert run("build", tmp_path / "absent.csv", "-o", out).exit_code == FileFault.exit_code
    assert run("set-verify", out).exit_code == 0


def test_entries_in_several_versions_are_sent_to_merge(run: Run, native: Native, tmp_path: Path) -> None:
    path = native(row(1, ref="r"), row(2, ref="r", seq=1))
    result = run("build", path, "-o", tmp_path / "all.hset")
    assert result.exit_code == CannotWrite.exit_code and "hashlib-interop merge" in result.stderr
    assert not (tmp_path / "all.hset").exists()


def test_a_filter_says_how_often_it_is_wrong(run: Run, native: Native, tmp_path: Path) -> None:
    path, out = native(row(1), row(2)), tmp_path / "all.hfilter"
    result = run("build", path, "-o", out, "--filter", "16", "--key", "7")
    assert "1 in 65,536" in result.stdout and "no privacy device" in result.stdout
    with Filter.open(out) as found:
        assert md5(1) in found and (found.info.bits, found.info.key) == (16, 7)
    assert run("build", path, "-o", out, "--filter", "12").exit_code == 2
    assert "1 in 65,536" in run("set-info", out).stdout
    assert json.loads(run("set-info", out, "--json").stdout)[0]["kind"] == "filter"
    assert run("build", out, "-o", tmp_path / "all.hset").exit_code == CannotWrite.exit_code


@pytest.fixture
def sets(tmp_path: Path) -> list[Path]:
    """Two sets: 1 to 5, and 4 to 9."""
    paths = [tmp_path / "a.hset", tmp_path / "b.hset"]
    for path, seeds in zip(paths, (range(1, 6), range(4, 10)), strict=True):
        HashSet.build([md5(seed) for seed in seeds], path).close()
    return paths


def test_info_of_sets(run: Run, sets: list[Path], tmp_path: Path) -> None:
    shown = run("set-info", *sets).stdout
    assert "hash set, exact" in shown and "digests  5" in shown and "lines" in shown
    found = json.loads(run("set-info", *sets, "--json").stdout)
    assert [each["n"] for each in found] == [5, 6]
    assert found[0]["groups"][0]["content_id"] != found[1]["groups"][0]["content_id"]
    (tmp_path / f"n{EVIL[:2]}").write_text("none")
    result = run("set-info", tmp_path / f"n{EVIL[:2]}")
    assert result.exit_code == MalformedInput.exit_code and "\x1b" not in result.stderr


def test_info_of_several_goes_on_after_one_that_is_none(run: Run, sets: list[Path], tmp_path: Path) -> None:
    (tmp_path / "none").write_text("a list")
    result = run("set-info", sets[0], tmp_path / "none", sets[1])
    assert result.exit_code == MalformedInput.exit_code and f"{tmp_path / 'none'}: is no .hset file" in result.stderr
    assert str(sets[0]) in result.stdout and str(sets[1]) in result.stdout


def test_verify_finds_a_damaged_byte_and_goes_on(run: Run, sets: list[Path]) -> None:
    damaged = bytearray(sets[0].read_bytes())
    damaged[4096 + 70] ^= 1
    sets[0].write_bytes(damaged)
    result = run("set-verify", *sets)
    assert result.exit_code == MalformedInput.exit_code
    assert "damaged" in result.stderr and f"{sets[1]}: whole, 6 digests" in result.stdout
    assert run("set-verify", "--quick", sets[0]).exit_code == MalformedInput.exit_code
    assert run("set-verify", "--quick", sets[1]).exit_code == 0


@pytest.mark.parametrize(("operation", "count"), [("union", 9), ("intersection", 2), ("difference", 3), ("symmetric", 7)])
def test_operations_count_and_make_sets(operation: str, count: int, run: Run, sets: list[Path], tmp_path: Path) -> None:
    found = json.loads(run("set-ops", operation, *sets, "--json").stdout)
    assert found["algorithms"] == {"md5": {"both": 2, "only_a": 3, "only_b": 4, "result": count}}
    out = tmp_path / "c.hset"
    assert f"written to {out}: {count} digests" in run("set-ops", operation, *sets, "-o", out).stdout
    with HashSet.open(out, verify=True) as made:
        assert len(made) == count


def test_operations_destroy_no_input_and_no_foreign_file(run: Run, sets: list[Path], tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a list")
    for out, said in ((sets[1], "is an input"), (tmp_path / "list.txt", "is no hash set"), (tmp_path / "x.hfilter", "to be a .hset")):
        before = out.read_bytes() if out.exists() else None
        result = run("set-ops", "union", *sets, "-o", out)
        assert result.exit_code != 0 and said in result.stderr
        assert (out.read_bytes() if out.exists() else None) == before
