"""`synth`: what is planted is what a reader finds, and the same seed gives the same bytes."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashlib_interop import planting, synth
from hashlib_interop.algorithms import is_denied
from hashlib_interop.errors import BadOption
from hashlib_interop.model import Entry, entries_of
from hashlib_interop.policy import load_sources
from hashlib_interop.reading import open_readers
from hashlib_interop.synth import Partner, World, plans
from tests.cli.conftest import Run

NATIVE = (Partner("a", "native", 600), Partner("b", "native", 500), Partner("k", "native", 300, known=True))
RICH = World(
    seed=3,
    overlap=0.5,
    contradictions=0.1,
    retractions=0.1,
    duplicates=0.1,
    known_overlap=0.5,
    future=2,
    broken=4,
)


def listed(world: World, *partners: Partner) -> dict[str, list[Entry]]:
    """Return every partner's entries, without the rows that are to be broken."""
    found = {}
    for plan in plans(world, partners):
        numbers = synth.file_numbers(plan, np.arange(plan.base - plan.broken, plan.base))
        broken = {value.tobytes() for value in synth.made_bytes(numbers, 16, world.seed, "md5")}
        rows = [entry for batch in synth.entries(plan, 97) for entry in entries_of(batch)]
        found[plan.partner.name] = [entry for entry in rows if entry.md5 not in broken]
    return found


def told(entry: Entry) -> bool:
    """Tell whether an entry asserts a file now, and not in 2100."""
    return entry.state == "active" and not (entry.asserted_at and entry.asserted_at.year == 2100)


def counted(lists: dict[str, list[Entry]], known: set[str]) -> dict[str, Any]:
    """Count by hand what `planting.totals` says, from the rows alone."""
    by_ref = {entry.ref: entry.md5 for rows in lists.values() for entry in rows if entry.md5}
    holders, codes = defaultdict(set), defaultdict(set)
    gone = {(name, by_ref[e.ref]) for name, rows in lists.items() for e in rows if e.state == "retracted"}
    for name, rows in lists.items():
        for entry in rows:
            if entry.state == "active":
                holders[entry.md5].add(name)
                for item in (
                    entry.classifications if (name, entry.md5) not in gone and name not in known else ()
                ):
                    codes[entry.md5, item.scheme].add(item.code)
    said = defaultdict(set)
    for name, rows in lists.items():
        for entry in rows:
            if entry.state == "active":
                said[name, entry.ref].add(entry.id)
    active = {file: {n for n in names if (n, file) not in gone} for file, names in holders.items()}
    current = {
        f
        for (name, f) in ((n, e.md5) for n, rows in lists.items() for e in rows if told(e))
        if (name, f) not in gone
    }
    return {
        "files": len(holders),
        "items": len(current),
        "shared": sum(len(names) > 1 for names in holders.values()),
        "conflicts": {
            "classification": sum(len(each) > 1 for each in codes.values()),
            "state": len({file for _, file in gone if active[file]}),
            "known-file": sum(bool(names & known and names - known) for names in active.values()),
            "self": sum(len(told) - 1 for told in said.values()),
        },
    }


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    overlap=st.floats(0, 0.8),
    rate=st.sampled_from([0.0, 0.02, 0.1]),
    counts=st.tuples(st.integers(80, 200), st.integers(80, 200), st.integers(20, 100)),
)
def test_the_account_is_exact(seed: int, overlap: float, rate: float, counts: tuple[int, int, int]) -> None:
    world = World(seed, overlap, rate, rate, rate, known_overlap=0.4, future=1, broken=3)
    partners = [Partner("a", "native", counts[0]), Partner("b", "native", counts[1])]
    partners.append(Partner("k", "native", counts[2], known=True))
    assert planting.totals(plans(world, partners)) == counted(listed(world, *partners), {"k"})


def test_something_of_every_kind_is_planted() -> None:
    found = counted(listed(RICH, *NATIVE), {"k"})
    assert found["shared"] and all(found["conflicts"].values())


def test_the_same_row_twice_is_the_same_entry_and_a_contradiction_is_not() -> None:
    plan = plans(RICH, NATIVE)[0]
    rows = [entry for batch in synth.entries(plan) for entry in entries_of(batch)]
    assert len(rows) == plan.rows == 600
    assert len({entry.id for entry in rows}) == plan.rows - plan.duplicates
    assert sum(entry.state == "retracted" for entry in rows) == plan.retractions
    assert sum(entry.asserted_at.year == 2100 for entry in rows if entry.asserted_at) == plan.future


def test_the_size_of_batches_changes_nothing() -> None:
    plan = plans(RICH, NATIVE)[0]
    one, many = (
        [entry for batch in synth.entries(plan, rows) for entry in entries_of(batch)] for rows in (10_000, 7)
    )
    assert one == many


def test_another_seed_is_another_world_and_no_digest_is_of_an_empty_file() -> None:
    def digests(seed: int) -> set[bytes]:
        return {e.md5 for rows in listed(World(seed), NATIVE[0]).values() for e in rows if e.md5}

    assert not digests(1) & digests(2)
    assert not any(is_denied("md5", value) for value in digests(1))


def test_a_list_too_short_for_what_is_to_be_planted_is_refused() -> None:
    with pytest.raises(BadOption, match="too few"):
        plans(World(broken=50), [Partner("a", "native", 60)])


def test_the_folder_holds_what_was_planted_and_exactly_the_broken_rows_are_refused(
    run: Run, tmp_path: Path
) -> None:
    result = run(
        "synth", "-o", tmp_path / "demo", "--partner", "a:native:500", "--partner", "p:parquet:300", "--rows", 100,
        "--known", "k:native", "--future", 1, "--retractions", 0.05, "--seed", 9, "--photodna",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    account = json.loads((tmp_path / "demo" / "planted.json").read_text())
    assert {name: each["rows"] for name, each in account["partners"].items()} == {
        "a": 500,
        "p": 300,
        "k": 100,
    }
    assert [len(account["partners"][name]["broken"]) for name in ("a", "p", "k")] == [5, 0, 0]
    _check_lists(tmp_path / "demo", account)


def _check_lists(folder: Path, account: dict[str, Any]) -> None:
    """Read every list of a folder and compare with its account."""
    sources = load_sources(folder / "sources.toml")
    for name, told in account["partners"].items():
        rules = sources[name]
        reader = open_readers(folder / told["file"], format=rules.format, source=name, options=rules.options)[
            0
        ]
        rows = list(reader)
        values = sorted(str(reject.value).strip('"') for reject in reader.rejects)
        assert values == sorted(each["planted"] for each in told["broken"])
        assert len(rows) == told["readable"], name
        assert len({entry.md5 for entry in rows if entry.md5}) == told["files"]
        assert sum(entry.state == "retracted" for entry in rows) == told["retractions"]


def test_the_default_is_four_partners_that_their_readers_read(run: Run, tmp_path: Path) -> None:
    made = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        result = run("synth", "-o", folder, "--rows", 400, "--json")
        assert result.exit_code == 0, result.output
        made.append({path.name: path.read_bytes() for path in folder.iterdir()})
    account = json.loads(result.stdout)
    assert list(account["partners"]) == ["ncmec", "vics", "icse", "inhouse"]
    assert all(len(each["broken"]) == 5 for each in account["partners"].values())
    assert all(not each["not_written"] for each in account["partners"].values())
    assert made[0] == made[1]
    _check_lists(tmp_path / "one", account)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--partner", "a"], 2),
        (["--partner", "a:native:x"], 2),
        (["--partner", "a:native", "--partner", "a:native"], 2),
        (["--partner", "a:nosuch"], 4),
        (["--partner", "A B:native"], 8),
        (["--overlap", "2"], 2),
    ],
)
def test_wrong_wishes_are_refused(run: Run, tmp_path: Path, arguments: list[str], code: int) -> None:
    assert run("synth", "-o", tmp_path, *arguments).exit_code == code


def test_a_merge_of_the_four_default_partners_finds_what_was_planted(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    account = json.loads(run("synth", "-o", folder, "--rows", 1000, "--json").stdout)
    lists = [f"{name}={folder / told['file']}" for name, told in account["partners"].items()]
    result = run("merge", *lists, "-o", tmp_path / "all.db", "--sources", folder / "sources.toml", "--json")
    merged = json.loads(result.stdout)
    assert merged["items"] == account["items"]
    for kind in ("classification", "self"):
        assert merged["conflicts"][kind] == account["conflicts"][kind]


def test_a_merge_finds_exactly_what_was_planted(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    wishes = ["--partner", "a:native:900", "--partner", "b:vics:800", "--partner", "c:parquet:700"]
    shares = ["--contradictions", 0.03, "--retractions", 0.05, "--known-overlap", 0.3, "--future", 2]
    account = json.loads(
        run("synth", "-o", folder, *wishes, "--known", "k:native:300", *shares, "--json").stdout
    )
    lists = [f"{name}={folder / told['file']}" for name, told in account["partners"].items()]
    result = run("merge", *lists, "-o", tmp_path / "all.db", "--sources", folder / "sources.toml", "--json")
    assert result.exit_code == 0, result.output
    merged = json.loads(result.stdout)
    assert merged["items"] == account["items"]
    assert merged["conflicts"] == account["conflicts"]
    assert merged["duplicates"] >= sum(told["duplicates"] for told in account["partners"].values())
