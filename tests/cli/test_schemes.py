"""`schemes`, and what `convert`, `merge` and `info` say of a crosswalk."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hashlib_interop.crosswalk import COLUMNS
from hashlib_interop.manifest import own_files
from hashlib_interop.reading import open_readers, read
from hashlib_interop.report import Import
from hashlib_interop.schemes import load_schemes
from tests.cli.conftest import EVIL, Run, row
from tests.test_translating import Pair, own_file

OWN = ("vics/UK", "1", "uk/sc-2014", "A", "exactMatch", "agency", "ours", "2025", "x", "")


def classified(seed: int, *found: Pair, **more: Any) -> dict[str, Any]:
    """Return a line of a native file with these classifications."""
    return row(seed, classifications=[{"scheme": scheme, "code": code} for scheme, code in found], **more)


@pytest.fixture
def table(tmp_path: Path) -> tuple[Path, str]:
    """An agency's own file, and its SHA-256."""
    path = own_file(tmp_path, [dict(zip(COLUMNS, OWN, strict=True))])
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


# schemes ------------------------------------------------------------------------------------------------


def test_the_list_has_every_scheme_in_one_line_of_a_pipe(run: Run) -> None:
    lines = run("schemes").stdout.splitlines()
    assert lines[0].split() == ["scheme", "status", "kind", "codes", "title"]
    assert [line.split()[0] for line in lines[1:]] == list(load_schemes())
    assert [each["name"] for each in json.loads(run("schemes", "--json").stdout)] == list(load_schemes())


def test_a_scheme_shows_its_codes_order_source_and_hazards(run: Run) -> None:
    shown = run("schemes", "uk/sap-2002").stdout
    assert "5 > 4 > 3 > 2 > 1 (inside this scheme only)" in shown
    assert "Oliver scale" in shown and "opposite severities" in shown
    told = json.loads(run("schemes", "vics/US", "--json").stdout)
    assert told["codes"]["0"] == "Non-Pertinent" and told["confidence"] == "primary" and told["order"] == []
    assert len(told["hazards"]) == 4


def test_a_scheme_without_public_codes_says_so_and_indonesia_has_statutes(run: Run) -> None:
    assert "No codes are public." in run("schemes", "inhope/ucs-3").stdout
    shown = run("schemes", "id/legal-basis").stdout
    assert "No codes are public." in shown and "UU 12/2022 TPKS" in shown
    assert "any" not in run("schemes", "de/illegal").stderr


@pytest.mark.parametrize("scheme", load_schemes())
def test_every_pair_of_schemes_is_explained_in_rows_or_in_words(scheme: str, run: Run) -> None:
    for target in load_schemes():
        told = json.loads(run("schemes", "crosswalk", scheme, target, "--json").stdout)
        assert told["rows"] or told["said"]
        for each in told["rows"]:
            assert each["relation"] and each["status"] and each["source"] and each["why"]
            assert each["used"] == (each["relation"] == "exactMatch" and each["status"] == "official" and scheme != target)


def test_a_pair_says_why_its_rows_are_or_are_not_used(run: Run, table: tuple[Path, str]) -> None:
    pair = ("schemes", "crosswalk", "uk/sap-2002", "uk/sc-2014")
    assert "no, broadMatch is not allowed" in run(*pair).stdout
    assert " yes " in run(*pair, "--relations", "broadMatch").stdout
    assert "no, unsafe: never used" in run("schemes", "crosswalk", "uk/sc-2014", "uk/sap-2002").stdout
    assert "no, inferred, not official" in run("schemes", "crosswalk", "ncmec/industry", "uk/sc-2014").stdout
    assert "no, there is no mapping" in run("schemes", "crosswalk", "id/legal-basis", "copine").stdout
    shown = run("schemes", "crosswalk", "vics/UK", "uk/sc-2014", "--crosswalk", table[0]).stdout
    assert " agency " in shown and " yes " in shown and f"own.csv sha256 {table[1]}" in shown


def test_what_no_row_speaks_of_is_said_in_words(run: Run) -> None:
    assert "No row says how uk/sc-2014 relates to copine: it is not mapped" in run("schemes", "crosswalk", "uk/sc-2014", "copine").stdout
    assert "No row speaks of B1, B2" in run("schemes", "crosswalk", "ncmec/industry", "interpol/baseline").stdout.replace("A2, ", "")
    assert "stays as it is" in run("schemes", "crosswalk", "copine", "copine").stdout


def test_a_row_of_an_agency_that_goes_before_another_is_said(run: Run, tmp_path: Path) -> None:
    values = ("uk/sap-2002", "*", "*", "*", "none", "agency", "ours", "", "", EVIL.replace("\u202e", ""))
    own = own_file(tmp_path, [dict(zip(COLUMNS, values, strict=True))])
    shown = run("schemes", "crosswalk", "uk/sap-2002", "uk/sc-2014", "--crosswalk", own, "--relations", "broadMatch").stdout
    assert shown.count("no, another row goes before it") == 5 and "\x1b" not in shown


def test_all_rows_are_listed(run: Run) -> None:
    told = json.loads(run("schemes", "crosswalk", "--json").stdout)
    assert len(told["rows"]) == len(run("schemes", "crosswalk").stdout.splitlines()) - 4 == 47


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["uk/sc2014"], 2, "did you mean uk/sc-2014"),
        (["\x1b[31m"], 2, "hashlib-interop schemes"),
        (["crosswalk", "copine"], 2, "FROM TO"),
        (["crosswalk", "copine", "nobody"], 2, "no scheme nobody"),
        (["copine", "nsrl"], 2, "one NAME"),
        (["copine", "--relations", "exactMatch"], 2, "schemes crosswalk"),
        (["crosswalk", "copine", "nsrl", "--relations", "none"], 2, "can map"),
        (["crosswalk", "--crosswalk", "absent.csv"], 8, "absent.csv"),
    ],
)
def test_wrong_usage_is_one_line(words: list[str], code: int, says: str, run: Run) -> None:
    result = run("schemes", *words)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (code, "", 1)
    assert says in result.stderr and "\x1b" not in result.stderr


# convert, merge, info -----------------------------------------------------------------------------------


def test_an_agency_s_file_is_named_with_its_hash_in_every_output(run: Run, native: Any, table: tuple[Path, str], tmp_path: Path) -> None:
    """On the terminal, in --json, in the report, and in what the written file says of its imports."""
    path, sha256 = table
    source = native(classified(1, ("vics/UK", "1"), size=5), classified(2, ("vics/UK", "2")))
    arguments = ("convert", source, "--scheme", "uk/sc-2014", "--crosswalk", path)
    for name in ("out.native.jsonl", "out.parquet", "out.db"):
        shown = run(*arguments, "-o", tmp_path / name, "--report", tmp_path / "report.jsonl")
        assert shown.exit_code == 0 and f"own.csv sha256 {sha256}" in shown.stderr
        lines = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
        assert lines[0]["crosswalk"][1] == {"name": "own.csv", "sha256": sha256}
        assert [(line["field"], line["count"]) for line in lines[1:]] == [("classifications", 1)]
        (reader,) = open_readers(tmp_path / name)
        codes = [[c.code for c in entry.classifications] for entry in reader]
        assert sorted(codes) == [[], ["A"]]
        assert f"own.csv {sha256}" in reader.imports[0].facts["mapped into uk/sc-2014"]
    told = json.loads(run(*arguments, "-o", tmp_path / "out.json", "--to", "vics", "--json").stdout)
    assert told["translated"]["crosswalk"][1]["sha256"] == sha256
    assert told["translated"]["mapped"] == [
        {"from_scheme": "vics/UK", "from_code": "1", "to_code": "A", "relation": "exactMatch", "status": "agency", "count": 1}
    ]
    assert told["losses"][0]["reason"] == "no allowed relation to uk/sc-2014 (none, unsafe)"
    assert [loss["field"] for loss in told["losses"][1:]] == ["classifications"]
    manifest = json.loads((tmp_path / "out.json.manifest.json").read_text())
    assert manifest["sha256"] == hashlib.sha256((tmp_path / "out.json").read_bytes()).hexdigest()
    assert manifest["crosswalk"] == [{"name": "own.csv", "sha256": sha256}] and manifest["list"] == "out.json"
    assert told["manifest"] == str(tmp_path / "out.json.manifest.json") and len(manifest) == 3
    assert sorted(path.name for path in tmp_path.glob("*.manifest.json")) == ["out.json.manifest.json"]


def test_a_scheme_that_may_be_misspelt_in_an_agency_s_file_is_said(run: Run, native: Any, tmp_path: Path) -> None:
    """It may also be one of the agency's own: a note, by every command that takes the file. A name like none is one."""
    source = native(classified(1, ("vics/UK", "1")))
    rows = [(*OWN[:2], "uk/sc2014", *OWN[3:]), ("unit-seven/own", "1", *OWN[2:])]
    path = own_file(tmp_path, [dict(zip(COLUMNS, each, strict=True)) for each in rows])
    (tmp_path / "p.toml").write_text(f"target = 'uk/sc-2014'\ncrosswalk = '{path.name}'\n")
    said = "note: own.csv names uk/sc2014: is uk/sc-2014 meant?"
    for shown in (
        run("convert", source, "-o", tmp_path / "a.json", "--to", "vics", "--scheme", "uk/sc-2014", "--crosswalk", path).stderr,
        run("merge", source, "-o", tmp_path / "a.db", "--policy", tmp_path / "p.toml").stdout,
        run("schemes", "crosswalk", "vics/UK", "uk/sc-2014", "--crosswalk", path).stdout,
    ):
        assert said in shown and "unit-seven" not in shown


def test_a_manifest_stands_beside_no_other_list(run: Run, native: Any, table: tuple[Path, str], tmp_path: Path) -> None:
    """Only where an agency's file was used and published under a name; it never overwrites an input."""
    source = native(classified(1, ("vics/UK", "1"), size=5))
    mapped = ("convert", source, "--to", "vics", "--scheme", "uk/sc-2014")
    own = ("--crosswalk", table[0])
    assert run(*mapped, "-o", tmp_path / "out.json").exit_code == 0
    assert run(*mapped, *own, "-o", "-").exit_code == 0
    assert run(*mapped, *own, "-o", tmp_path / "out.json", "--strict").exit_code == 1
    assert list(tmp_path.glob("*manifest*")) == []
    shown = run(*mapped, *own, "-o", tmp_path / "out.json")
    assert f"your crosswalk is named in {tmp_path / 'out.json.manifest.json'}" in shown.stderr
    assert run(*mapped, "-o", tmp_path / "out.json").exit_code == 0
    assert list(tmp_path.glob("*manifest*")) == []  # it went with the list that it spoke of


def test_a_manifest_takes_nobody_s_place(run: Run, native: Any, table: tuple[Path, str], tmp_path: Path) -> None:
    """Not that of the crosswalk, of an input, of somebody's file; then the list is not published either."""
    source = native(classified(1, ("vics/UK", "1"), size=5))
    mapped = ("convert", source, "--to", "vics", "--scheme", "uk/sc-2014", "--crosswalk")
    before = table[0].read_bytes()
    refused = run(*mapped, table[0], "-o", table[0])
    assert refused.exit_code == 2 and "would be overwritten" in refused.stderr and table[0].read_bytes() == before
    for name, text in (("a", before), ("b", b"[1]"), ("c", source.read_bytes())):
        taken = tmp_path / f"{name}.manifest.json"
        taken.write_bytes(text)
        refused = run(*mapped, taken if name == "a" else table[0], "-o", tmp_path / name)
        assert refused.exit_code == 2 and "no manifest: move it away" in refused.stderr
        assert taken.read_bytes() == text and not (tmp_path / name).exists()
    assert run("convert", source, "--to", "vics", "-o", tmp_path / "c").exit_code == 0
    assert (tmp_path / "c.manifest.json").read_bytes() == source.read_bytes()
    report = run(*mapped, table[0], "-o", tmp_path / "d", "--report", tmp_path / "d.manifest.json")
    assert report.exit_code == 2 and "destroyed" in report.stderr


def test_a_manifest_tells_a_partner_nothing_else(run: Run, native: Any, table: tuple[Path, str], tmp_path: Path) -> None:
    """Of what is withheld, refused or lost: the list goes with the file."""
    secret = classified(2, ("vics/UK", "CANARY"), ref="CANARY", handling={"tlp": "RED"})
    source = native(classified(1, ("vics/UK", "1"), size=5), secret)
    arguments = ("--to", "vics", "--scheme", "uk/sc-2014", "--crosswalk", table[0])
    assert "CANARY" in run("convert", source, "-o", tmp_path / "out.json", *arguments).stderr
    assert "CANARY" not in (tmp_path / "out.json.manifest.json").read_text()


def test_a_mapping_is_named_also_when_the_list_went_by_way_of_another(run: Run, native: Any, table: tuple[Path, str], tmp_path: Path) -> None:
    """From native, where it was mapped, to a partner's format; converted and merged."""
    source = native(classified(1, ("vics/UK", "1"), size=5))
    arguments = ("--to", "native", "--scheme", "uk/sc-2014", "--crosswalk", table[0])
    assert run("convert", source, "-o", tmp_path / "between.jsonl", *arguments).exit_code == 0
    for command in ("convert", "merge"):
        assert run(command, tmp_path / "between.jsonl", "-o", tmp_path / command, "--to", "vics").exit_code == 0
        assert json.loads((tmp_path / f"{command}.manifest.json").read_text())["crosswalk"] == [{"name": "own.csv", "sha256": table[1]}]


def test_strict_refuses_what_no_relation_maps(run: Run, native: Any, tmp_path: Path) -> None:
    """SAP levels need the broader relation; with it nothing is lost."""
    source = native(classified(1, ("uk/sap-2002", "4")), classified(2, ("uk/sap-2002", "1"), ("uk/sc-2014", "C")))
    arguments = ("convert", source, "-o", tmp_path / "out.native.jsonl", "--scheme", "uk/sc-2014", "--strict")
    assert run(*arguments).exit_code == 1
    assert not (tmp_path / "out.native.jsonl").exists()
    assert run(*arguments, "--relations", "exactMatch,broadMatch").exit_code == 0
    codes = [[c.code for c in entry.classifications] for entry in read(tmp_path / "out.native.jsonl")]
    assert codes == [["A"], ["C"]]


def test_the_crosswalk_of_a_merge_is_named_by_merge_by_info_and_by_what_is_made_of_the_catalog(
    run: Run, native: Any, table: tuple[Path, str], tmp_path: Path
) -> None:
    """Its name and hash; the catalog needs its policy again to be merged."""
    path, sha256 = table
    (tmp_path / "p.toml").write_text("target = 'uk/sc-2014'\ncrosswalk = 'own.csv'\n")
    arguments = ("merge", native(classified(1, ("vics/UK", "1"))), "-o", tmp_path / "all.db")
    assert f"own.csv sha256 {sha256}" in run(*arguments, "--policy", tmp_path / "p.toml").stdout
    told = json.loads(run(*arguments, "--policy", tmp_path / "p.toml", "--json").stdout)
    assert told["crosswalk"][1] == {"name": path.name, "sha256": sha256}
    assert f"own.csv sha256 {sha256}" in run("info", tmp_path / "all.db").stdout
    told = json.loads(run("convert", tmp_path / "all.db", "-o", tmp_path / "out.json", "--to", "vics", "--json").stdout)
    assert next(iter(told["catalogs"].values()))["crosswalk"] == f"own.csv sha256 {sha256}"
    assert sha256 in (tmp_path / "out.json.manifest.json").read_text()
    (item,) = [entry.digests for entry in read(tmp_path / "all.db")]
    shown = run("why", tmp_path / "all.db", str(item[0])).stdout
    assert "vics/UK 1 -> A" in shown and f"own.csv ({sha256[:12]})" in shown
    merged = ("merge", tmp_path / "all.db", "--policy", tmp_path / "p.toml", "-o", tmp_path / "two.json", "--to", "vics")
    assert f"your crosswalk is named in {tmp_path / 'two.json.manifest.json'}" in run(*merged).stdout
    assert json.loads((tmp_path / "two.json.manifest.json").read_text())["crosswalk"] == [{"name": "own.csv", "sha256": sha256}]
    for more, name in ((["--bare"], "all.hset"), (["--filter", "8"], "all.hfilter")):
        assert f"own.csv sha256 {sha256}" in run("build", tmp_path / "all.db", "-o", tmp_path / name, *more).stdout
        beside = json.loads((tmp_path / f"{name}.manifest.json").read_text())
        assert beside["crosswalk"] == [{"name": "own.csv", "sha256": sha256}]
        assert beside["sha256"] == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    assert "give its --policy again" in run("merge", tmp_path / "all.db", "-o", tmp_path / "b.db").stderr


def test_what_a_list_says_of_mapping_files_is_read_in_one_pass() -> None:
    """Facts are a partner's text: long ones, and ones without any file."""
    one = row_import(**{"mapped into x": f"exactMatch by crosswalk.csv {'0' * 64}, my own by table.csv {'a' * 64}", "crosswalk": "no"})
    assert own_files([one], [{"crosswalk": f"b.csv sha256 {'b' * 64}"}, {}]) == {"a" * 64: "my own by table.csv", "b" * 64: "b.csv"}
    began = time.process_time()
    assert own_files([row_import(**{"mapped into x": " by " + "a " * 500_000})]) == {}
    assert time.process_time() - began < 1


def row_import(**facts: str) -> Import:
    """Return an import with these facts."""
    stamp = datetime(2025, 1, 1, tzinfo=UTC)
    return Import(source="a", file=bytes(32), name="x", size=1, format="native", reader="native", delivery="delta", recorded_at=stamp, facts=facts)
