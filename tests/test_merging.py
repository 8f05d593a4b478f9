"""Merge as a whole: files in, catalog out; killed, repeated, reordered; snapshots, retractions, policies."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hashlib_interop.errors import BadOption, BadPolicy, UnresolvedConflict, WouldReplace
from hashlib_interop.explaining import conflicts, why
from hashlib_interop.merging import Given, merge, parse_given, parse_release
from hashlib_interop.model import Classification, Entry
from hashlib_interop.planting import make
from hashlib_interop.policy import Policy, SourceRules, load_policy, load_sources
from hashlib_interop.reading import read
from hashlib_interop.synth import Partner, World
from hashlib_interop.writing import write

NOW = datetime(2025, 12, 1, tzinfo=UTC)
SEED = {"seed": 5, "overlap": 0.4, "contradictions": 0.05, "retractions": 0.05, "duplicates": 0.05, "broken": 2}


def digest(number: int, name: str = "md5") -> str:
    import hashlib

    return hashlib.new(name, f"synthetic-{number}".encode()).hexdigest()


def listed(path: Path, *entries: Entry) -> str:
    """Write entries as a native list and return its path."""
    write(entries, path, format="native")
    return str(path)


def said(source: str, number: int, code: str | None = None, **more: Any) -> Entry:
    claims = [Classification(scheme="ncmec/industry", code=code)] if code else []
    return Entry(source=source, md5=digest(number), classifications=claims, **more)


def vics(path: Path, source: str, *numbers: int) -> str:
    """Write a VICS hash set (a snapshot format) of some files."""
    write([Entry(source=source, md5=digest(n)) for n in numbers], path, format="vics")
    return str(path)


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four partners of 300 rows."""
    folder = tmp_path_factory.mktemp("lists")
    names = ("ncmec:ncmec", "vics:vics", "icse:icse", "inhouse:columns")
    make(folder, World(**SEED), [Partner(*n.split(":"), 300) for n in names])
    return folder


INPUTS = ("ncmec=ncmec.xml", "vics@2025-03-01=vics.json", "icse@2025-03-01=icse.csv", "inhouse=inhouse.csv")


def arguments(lists: Path, out: Path, *more: str, inputs: tuple[str, ...] = INPUTS) -> list[str]:
    named = [f"{name}={lists / file}" for name, file in (one.split("=") for one in inputs)]
    program = str(Path(sys.executable).parent / "hashlib-interop")
    return [program, "merge", *named, "--sources", str(lists / "sources.toml"), "-o", str(out), *more]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "SOURCE_DATE_EPOCH": "1764547200", **more}


def test_bytes_do_not_depend_on_order_hash_seed_time_zone_locale_or_threads(lists: Path, tmp_path: Path) -> None:
    """The same inputs give the same catalog, whatever the run is like."""
    runs: list[tuple[dict[str, str], tuple[str, ...], tuple[str, ...]]] = [
        ({"PYTHONHASHSEED": "0", "TZ": "UTC"}, INPUTS, ("--threads", "1")),
        ({"PYTHONHASHSEED": "7", "TZ": "Asia/Jakarta", "LC_ALL": "C"}, INPUTS[::-1], ("--threads", "2")),
        ({"PYTHONHASHSEED": "9", "TZ": "America/St_Johns"}, (*INPUTS[2:], *INPUTS[:2]), ("--threads", "4", "--memory", "200MB")),
    ]
    made = set()
    for number, (env, inputs, more) in enumerate(runs):
        out = tmp_path / f"{number}.db"
        subprocess.run(arguments(lists, out, *more, inputs=inputs), env=environment(**env), check=True, capture_output=True)
        made.add(out.read_bytes())
    assert len(made) == 1


def test_a_merge_killed_at_any_moment_leaves_the_old_catalog_whole(lists: Path, tmp_path: Path) -> None:
    """Twelve kills, from start-up to publication: the old bytes, or the new ones; the next run sweeps what is left."""
    out = tmp_path / "all.db"
    command = arguments(lists, out)
    subprocess.run(arguments(lists, out, inputs=INPUTS[:1]), env=environment(), check=True, capture_output=True)
    old = out.read_bytes()
    began = time.monotonic()
    subprocess.run(command, env=environment(), check=True, capture_output=True)
    whole, took = out.read_bytes(), time.monotonic() - began
    survived = 0
    for part in range(12):
        out.write_bytes(old)
        process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(took * (part + 1) / 12)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert out.read_bytes() in (old, whole)
        survived += out.read_bytes() == old
    assert survived > 3
    subprocess.run(command, env=environment(), check=True, capture_output=True)
    assert out.read_bytes() == whole
    assert [p.name for p in tmp_path.iterdir()] == ["all.db"]


def test_an_interrupted_merge_leaves_nothing_behind(lists: Path, tmp_path: Path) -> None:
    """SIGTERM: exit 143, no output, no temporary file."""
    process = subprocess.Popen(arguments(lists, tmp_path / "all.db"), env=environment(), stderr=subprocess.PIPE)
    while process.poll() is None and not list(tmp_path.iterdir()):  # until it has begun to write
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    process.communicate()
    assert {p.name for p in tmp_path.iterdir()} <= {"all.db"}


def test_the_catalog_is_private_and_sound(lists: Path, tmp_path: Path) -> None:
    """Mode 0600; SQLite finds no fault, foreign keys hold."""
    out = tmp_path / "all.db"
    subprocess.run(arguments(lists, out), env=environment(), check=True, capture_output=True)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    database = sqlite3.connect(out)
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    for view in ("items_hex", "entries_hex", "claims", "disagreements"):
        assert database.execute(f"SELECT count(*) FROM {view}").fetchone()[0] > 0
    database.close()


def test_a_merge_finds_exactly_what_was_planted(lists: Path, tmp_path: Path) -> None:
    """Items, classification, self and state conflicts, retractions and rejects equal the account of synth."""
    planted = json.loads((lists / "planted.json").read_text())
    done = subprocess.run(arguments(lists, tmp_path / "all.db", "--json"), env=environment(), check=True, capture_output=True)
    merged = json.loads(done.stdout)
    kinds = {kind: count for kind, count in planted["conflicts"].items() if count}
    assert merged["conflicts"] == kinds
    for source in merged["sources"]:
        own = planted["partners"][source["name"]]
        assert source["rejected"] == len(own["broken"])
        assert source["retracted"] == own["retractions"]


def test_absence_from_a_newer_snapshot_retracts_whatever_the_order(tmp_path: Path) -> None:
    """A newer full release withdraws what it no longer holds; the order of imports does not matter."""
    old, new = vics(tmp_path / "old.json", "p", 1, 2), vics(tmp_path / "new.json", "p", 2, 3)
    for inputs in ([f"p@2025-01-01={old}", f"p@2025-02-01={new}"], [f"p@2025-02-01={new}", f"p@2025-01-01={old}"]):
        merged = merge(inputs, tmp_path / "all.db", recorded_at=NOW)
        assert merged.items == 2
        assert merged.sources[0].withdrawn == 1
        (gone,) = why(tmp_path / "all.db", digest(1))
        assert gone.item is None and gone.history[0].standing == "withdrawn"


def test_an_unchanged_record_in_two_releases_is_one_entry(tmp_path: Path) -> None:
    """A yearly history costs what changed: evidence is a run over the releases."""
    file = vics(tmp_path / "a.json", "p", 1, 2)
    merged = merge([f"p@2025-0{k}-01={file}" for k in (1, 2, 3)], tmp_path / "all.db", recorded_at=NOW)
    assert merged.entries == 2
    assert [len(e.evidence) for e in read(tmp_path / "all.db")] == [3, 3]


def test_a_state_conflict_names_who_retracted_and_who_still_asserts(tmp_path: Path) -> None:
    """One source takes its entry back; another still asserts the file."""
    a = listed(tmp_path / "a.jsonl", said("a", 1, ref="r", seq=1), Entry(source="a", ref="r", seq=2, state="retracted"))
    b = listed(tmp_path / "b.jsonl", said("b", 1))
    merged = merge([a, b], tmp_path / "all.db", recorded_at=NOW)
    assert merged.conflicts == {"state": 1}
    (found,) = conflicts(tmp_path / "all.db", "state")
    assert [(side["value"], side["source"]) for side in found["sides"]] == [("active", "b"), ("retracted", "a")]


def test_a_stamp_from_the_future_is_quarantined(tmp_path: Path) -> None:
    """It hides nothing and asserts nothing, until the clock has passed it."""
    sane = said("a", 1, "A1", ref="r", asserted_at=datetime(2025, 1, 1, tzinfo=UTC))
    odd = said("a", 1, "B2", ref="r", asserted_at=datetime(2099, 1, 1, tzinfo=UTC))
    merged = merge([listed(tmp_path / "a.jsonl", sane, odd)], tmp_path / "all.db", recorded_at=NOW)
    assert merged.sources[0].quarantined == 1
    (answer,) = why(tmp_path / "all.db", digest(1))
    assert answer.item is not None and answer.item["code"] == "A1"


def test_policies_keep_drop_or_fail_on_conflict(tmp_path: Path) -> None:
    """keep: the item without a value. drop: not in partner files. fail: nothing is published."""
    inputs = [listed(tmp_path / f"{s}.jsonl", said(s, 1, c), said(s, 2, "A1")) for s, c in (("a", "A1"), ("b", "B2"))]
    inputs.append(listed(tmp_path / "c.jsonl", Entry(source="c", ref="none", size=7)))
    nothing = {"entry without an exact digest, which is no item": 1}
    for rule, count, more in (("keep", 2, {}), ("drop", 1, {"item in conflict, which the policy says to drop": 1})):
        out = tmp_path / f"{rule}.json"
        merged = merge(inputs, out, to="vics", policy=Policy(on_conflict=rule), recorded_at=NOW)
        assert len(list(read(out))) == count and merged.left_out == nothing | more
    with pytest.raises(UnresolvedConflict):
        merge(inputs, tmp_path / "fail.db", policy=Policy(on_conflict="fail"), recorded_at=NOW)
    assert not (tmp_path / "fail.db").exists()


def test_two_unnamed_snapshots_of_one_format_are_refused(tmp_path: Path) -> None:
    """Whose list is whose is not guessed."""
    files = [vics(tmp_path / f"{k}.json", "p", k) for k in (1, 2)]
    with pytest.raises(BadPolicy, match="name their sources"):
        merge(files, tmp_path / "all.db")


def test_one_source_cannot_be_snapshot_and_delta(tmp_path: Path) -> None:
    """The delivery of a source says what absence means: it has one."""
    file = vics(tmp_path / "a.json", "p", 1)
    merge([f"p={file}"], tmp_path / "one.db", recorded_at=NOW)
    rules = {"p": SourceRules(delivery="delta")}
    with pytest.raises(BadPolicy, match="snapshot"):
        merge([tmp_path / "one.db", f"p@2025-02-01={file}"], tmp_path / "two.db", sources=rules, recorded_at=NOW)


@pytest.mark.parametrize(
    ("text", "source", "release"),
    [("a=x.json", "a", None), ("a@2025-03-01=x.json", "a", datetime(2025, 3, 1, tzinfo=UTC)), ("x.json", None, None)],
)
def test_inputs_are_named_on_the_command_line(text: str, source: str | None, release: datetime | None) -> None:
    """`[NAME[@DATE]=]FILE`."""
    assert parse_given(text) == Given("x.json", source, release)


@pytest.mark.parametrize("text", ["а=x", "A=x", "a @2025-01-01=x", "a@2025-13-01=x", "a@yesterday=x", "a@2025-01-01T10:00=x"])
def test_odd_names_and_dates_are_refused(text: str) -> None:
    """Source names are ASCII slugs (the first here is Cyrillic); dates are ISO, times have a zone."""
    with pytest.raises(BadPolicy):
        parse_given(text)


def test_a_file_whose_name_holds_an_equals_sign_is_a_file(tmp_path: Path) -> None:
    """What exists under the whole text is that file."""
    path = tmp_path / "a=b.json"
    path.touch()
    assert parse_given(str(path)) == Given(str(path))


def test_releases_are_dates_or_stamps_with_a_zone() -> None:
    assert parse_release("2025-03-01T12:00:00+07:00") == datetime(2025, 3, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("targets = 'x'", "targets"),
        ("tiers = [['a'], ['a']]", "two tiers"),
        ("on_conflict = 'ignore'", "on_conflict"),
        ("denied = ['md5:zz']", "denied"),
        ("severity = {'x' = ['1', '1']}", "twice"),
        ("= 1", "not TOML"),
    ],
)
def test_a_wrong_policy_names_the_key(text: str, complaint: str, tmp_path: Path) -> None:
    """An unknown key, a wrong value or broken TOML is an error that says where."""
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(BadPolicy, match=complaint):
        load_policy(path)


def test_the_policy_of_the_documents_is_valid(tmp_path: Path) -> None:
    """The examples of docs/policy.md and docs/sources.md load."""
    docs = Path(__file__).parent.parent / "docs"
    for name, load in (("policy", load_policy), ("sources", load_sources)):
        text = (docs / f"{name}.md").read_text().split("```toml\n")[1].split("```")[0]
        (tmp_path / f"{name}.toml").write_text(text)
        assert load(tmp_path / f"{name}.toml")


def test_an_agency_s_own_crosswalk_overrides_row_by_row(tmp_path: Path) -> None:
    """Its rows are used, and its name and hash are in the catalog."""
    header = "from_scheme,from_code,to_scheme,to_code,relation,status,source,source_date,reviewed_by,note\n"
    (tmp_path / "own.csv").write_text(header + "ncmec/industry,A1,uk/sc-2014,B,exactMatch,agency,own table,2025,x,y\n")
    (tmp_path / "p.toml").write_text("target = 'uk/sc-2014'\ncrosswalk = 'own.csv'\n")
    merge([listed(tmp_path / "a.jsonl", said("a", 1, "A1"))], tmp_path / "all.db", policy=load_policy(tmp_path / "p.toml"))
    (answer,) = why(tmp_path / "all.db", digest(1))
    assert answer.item is not None and (answer.item["scheme"], answer.item["code"]) == ("uk/sc-2014", "B")
    database = sqlite3.connect(tmp_path / "all.db")
    assert "own.csv" in database.execute("SELECT value FROM meta WHERE key = 'crosswalk'").fetchone()[0]
    database.close()


def test_a_record_that_was_refused_and_comes_in_counts_no_longer(lists: Path, tmp_path: Path) -> None:
    """One that is refused again counts once."""
    program, out, refused = arguments(lists, tmp_path / "all.db"), tmp_path / "all.db", tmp_path / "refused.jsonl"
    subprocess.run([*program, "--rejects", str(refused)], env=environment(), check=True, capture_output=True)
    before = merge([out], tmp_path / "one.db")
    assert merge([out, refused], tmp_path / "two.db").rejected == before.rejected == 8
    lines = [json.loads(line) for line in refused.read_text().splitlines()]
    icse = [line for line in lines if line["source"] == "icse"]
    good = (lists / "icse.csv").read_text().splitlines()[1].split(";")
    for line in icse[:1]:
        line["raw"] = ";".join([hashlib.md5(b"mended").hexdigest(), hashlib.sha1(b"mended").hexdigest(), *good[2:]])
    refused.write_text("".join(json.dumps(line) + "\n" for line in lines))
    mended = merge([out, refused], tmp_path / "three.db")
    assert {s.name: s.rejected for s in mended.sources} == {s.name: s.rejected - (s.name == "icse") for s in before.sources}


def test_rejects_stay_in_the_catalog_and_survive_another_merge(lists: Path, tmp_path: Path) -> None:
    """Each with its place, reason and raw text, also after the catalog was merged again."""
    subprocess.run(arguments(lists, tmp_path / "all.db"), env=environment(), check=True, capture_output=True)
    merge([tmp_path / "all.db"], tmp_path / "again.db")
    assert (tmp_path / "again.db").read_bytes() == (tmp_path / "all.db").read_bytes()
    database = sqlite3.connect(tmp_path / "again.db")
    rows = database.execute("SELECT position, reason, raw FROM rejects").fetchall()
    database.close()
    assert len(rows) == 8
    assert all(position > 0 and reason and raw for position, reason, raw in rows)


def test_a_catalog_that_holds_more_is_not_replaced(tmp_path: Path) -> None:
    """Forgetting to name the old catalog among the inputs must not cost a source; `replace` says it is meant."""
    a, b = listed(tmp_path / "a.jsonl", said("a", 1)), listed(tmp_path / "b.jsonl", said("b", 1))
    out = tmp_path / "all.db"
    merge([a, b], out, recorded_at=NOW)
    before = out.read_bytes()
    with pytest.raises(WouldReplace, match="holds a, which"):
        merge([b], out, recorded_at=NOW)
    assert out.read_bytes() == before
    assert merge([out, b], out, recorded_at=NOW).items == 1
    assert [s.name for s in merge([b], out, recorded_at=NOW, replace=True).sources] == ["b"]
    (tmp_path / "notes.db").write_text("mine")
    with pytest.raises(WouldReplace, match="no catalog"):
        merge([b], tmp_path / "notes.db")


def test_a_catalog_brings_its_policy(tmp_path: Path) -> None:
    """Merging or exporting a catalog again keeps the rules it was made under; two different ones are refused."""
    inputs = [listed(tmp_path / f"{s}.jsonl", said(s, 1, c)) for s, c in (("a", "A1"), ("b", "B2"))]
    merge(inputs, tmp_path / "p.db", policy=Policy(name="ours", tiers=(("b",),)), recorded_at=NOW)
    again = merge([tmp_path / "p.db"], tmp_path / "q.db", recorded_at=NOW)
    assert (again.policy, again.statuses) == ("ours", {"decided": 1})
    merge(inputs, tmp_path / "r.db", policy=Policy(name="theirs", tiers=(("a",),)), recorded_at=NOW)
    with pytest.raises(BadPolicy, match="different policies"):
        merge([tmp_path / "p.db", tmp_path / "r.db"], tmp_path / "s.db")


def test_a_named_list_speaks_for_its_source_alone(tmp_path: Path) -> None:
    """A partner's native file cannot retract, or withdraw by a release, what another source says."""
    a = listed(tmp_path / "a.jsonl", said("ncmec", 1, ref="r"))
    evil = listed(tmp_path / "evil.jsonl", Entry(source="ncmec", ref="r", state="retracted", seq=9))
    with pytest.raises(BadPolicy, match="holds statements of ncmec"):
        merge([a, f"partner={evil}"], tmp_path / "all.db")


def test_a_file_s_own_clock_does_not_turn_quarantine_off(tmp_path: Path) -> None:
    """What is in the future is measured by the clock of the run."""
    odd = said("a", 1, asserted_at=datetime(2099, 1, 1, tzinfo=UTC))
    merge([listed(tmp_path / "a.jsonl", odd)], tmp_path / "late.db", recorded_at=datetime(3000, 1, 1, tzinfo=UTC))
    assert merge([tmp_path / "late.db"], tmp_path / "now.db", recorded_at=NOW).sources[0].quarantined == 1


@pytest.mark.parametrize(
    ("inputs", "note"),
    [
        (("p@2025-01-01=many.json", "p@2025-02-01=few.json"), "withdraws 3 of 4"),
        (("p@2025-02-01=many.json", "p=few.json"), "older than the release"),
        (("p@2099-01-01=many.json",), "lies in the future"),
        (("p@2025-01-01=many.json", "p@2025-02-01=few.csv"), "has come as icse and as vics"),
    ],
)
def test_what_is_probably_not_meant_is_said(inputs: tuple[str, ...], note: str, tmp_path: Path) -> None:
    """A release that withdraws much, an old or undated one, one from the future, another format."""
    vics(tmp_path / "many.json", "p", 1, 2, 3, 4)
    vics(tmp_path / "few.json", "p", 4)
    write([Entry(source="p", md5=digest(4))], tmp_path / "few.csv", format="icse")
    named = [f"{name}={tmp_path / file}" for name, file in (one.split("=") for one in inputs)]
    merged = merge(named, tmp_path / "all.db", recorded_at=NOW)
    assert any(note in said for said in merged.notes), merged.notes


def test_a_policy_that_names_nobody_is_said(tmp_path: Path) -> None:
    """A tier of a source that is not there; a target that nobody speaks in."""
    policy = Policy(tiers=(("ncmce",),), target="ncmec/indutsry")
    merged = merge([listed(tmp_path / "a.jsonl", said("a", 1, "A1"))], tmp_path / "all.db", policy=policy, recorded_at=NOW)
    assert any("ncmce" in note for note in merged.notes)
    assert any("ncmec/indutsry" in note for note in merged.notes)


def test_refused_records_are_not_written_over_an_input(tmp_path: Path) -> None:
    """`--rejects` that names an input, or the output, is wrong usage: nothing is touched."""
    file = vics(tmp_path / "a.json", "p", 1)
    before = Path(file).read_bytes()
    program = str(Path(sys.executable).parent / "hashlib-interop")
    for rejects in (file, str(tmp_path / "out.db")):
        command = [program, "merge", f"p={file}", "-o", str(tmp_path / "out.db"), "--rejects", rejects]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 2
    assert Path(file).read_bytes() == before


def test_rows_of_parquet_with_an_empty_list_of_evidence_are_not_lost(tmp_path: Path) -> None:
    """An empty list is no evidence: the file itself is."""
    import pyarrow as pa

    from hashlib_interop.model import batch_of

    batch = batch_of([said("a", 1), said("a", 2)])
    index = batch.schema.get_field_index("evidence")
    batch = batch.set_column(index, batch.schema.field(index), pa.array([[], None], batch.schema.field(index).type))
    write([batch], tmp_path / "a.parquet")
    merged = merge([tmp_path / "a.parquet"], tmp_path / "all.db", recorded_at=NOW)
    assert (merged.entries, merged.items) == (2, 2)


def test_the_same_file_read_in_two_ways_gives_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    """Imports of one file that differ in what was read are told apart by their content, not by who came first."""
    (tmp_path / "m.csv").write_text("h\nzz\n")
    for name, bad in (("good", "ref"), ("bad", "md5")):
        (tmp_path / f"{name}.toml").write_text(f'[columns]\nh = {{ field = "{bad}" }}\n')
        rules = {"p": SourceRules(format="columns", options={"mapping": str(tmp_path / f"{name}.toml")})}
        merge([f"p={tmp_path / 'm.csv'}"], tmp_path / f"{name}.db", sources=rules, recorded_at=NOW)
    for k, names in enumerate((("good", "bad"), ("bad", "good"))):
        merge([tmp_path / f"{name}.db" for name in names], tmp_path / f"{k}.db", recorded_at=NOW)
    assert (tmp_path / "0.db").read_bytes() == (tmp_path / "1.db").read_bytes()


def test_an_empty_code_in_a_crosswalk_is_refused(tmp_path: Path) -> None:
    """A row that maps to nothing maps to no mapping, not to a blank."""
    header = "from_scheme,from_code,to_scheme,to_code,relation,status,source,source_date,reviewed_by,note\n"
    for row in ("s,2,t,,exactMatch,agency,own,,,", "s,2,t,1,exactMatch,agency,,,,"):
        (tmp_path / "own.csv").write_text(header + row + "\n")
        policy = Policy(target="t", crosswalk=str(tmp_path / "own.csv"))
        with pytest.raises(BadPolicy):
            merge([listed(tmp_path / "a.jsonl", said("a", 1, "A1"))], tmp_path / "all.db", policy=policy)


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b'from_scheme,"open', b"x" * 200_000, b"a\x00b"])
def test_a_broken_crosswalk_is_an_error_of_ours(data: bytes, tmp_path: Path) -> None:
    """Not UTF-8, an open quote, an endless field, NUL."""
    (tmp_path / "own.csv").write_bytes(data)
    policy = Policy(target="t", crosswalk=str(tmp_path / "own.csv"))
    with pytest.raises(BadPolicy):
        merge([listed(tmp_path / "a.jsonl", said("a", 1))], tmp_path / "all.db", policy=policy)


def test_options_of_readers_are_given_on_the_command_line(tmp_path: Path) -> None:
    """As in convert; an option that nobody knows is refused."""
    (tmp_path / "list.txt").write_text(f"{digest(1)}\n")
    merged = merge([f"p={tmp_path / 'list.txt'}"], tmp_path / "all.db", options={"algorithm": "md5"}, recorded_at=NOW)
    assert merged.items == 1
    with pytest.raises(BadOption):
        merge([f"p={tmp_path / 'list.txt'}"], tmp_path / "b.db", options={"algorithm": "md5", "odd": "1"})
