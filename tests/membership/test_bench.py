"""The benchmark of membership: its tables are current, its arithmetic is right, its contenders answer."""

from __future__ import annotations

import importlib
import json
import platform
from pathlib import Path

import pytest

from benchmarks.membership import data, plan, ratios, report, roster, table
from benchmarks.membership.contender import HIT, LOOP, Ask
from benchmarks.membership.measuring import Key, Results, Worker, measure
from benchmarks.membership.roster import OURS, SET


def test_the_tables_of_the_page_are_those_of_the_results(request: pytest.FixtureRequest) -> None:
    """benchmarks/README.md is made from benchmarks/results. `pytest --update-cases` rewrites it."""
    now = table.page(table.PAGE.read_text())
    if request.config.getoption("--update-cases"):
        table.PAGE.write_text(now)
    assert now == table.PAGE.read_text()


def test_results_say_nothing_of_whose_machine_it_was() -> None:
    """No host name, no path."""
    for path in report.RESULTS.glob("*.json"):
        text = path.read_text()
        assert not [word for word in ("/home/", "/root/", "/tmp/", "/Users/", f'"{platform.node()}"') if word in text]


BARS = {
    "miss_share_of_random_lines_100m": (">=", 0.8),
    "hit_share_of_line_and_record_100m": (">=", 0.75),
    "miss_share_of_asked_lines_100m": (">=", None),
    "miss_share_as_in_design_100m": (">=", 0.8),
    "hit_share_as_in_design_100m": (">=", 0.75),
    "two_threads_miss_100m": (">=", 1.8),
    "two_threads_hit_100m": (">=", 1.8),
    "two_threads_miss_cpu_100m": (">=", 1.8),
    "two_threads_hit_cpu_100m": (">=", 1.8),
    "two_threads_random_lines_100m": (">=", None),
    "two_threads_line_and_record_100m": (">=", None),
    "times_set_10m": (">=", 20),
    "times_duckdb_10m": (">=", 7),
    "times_numpy_10m": (">=", 9),
    "times_cykhash_10m": (">=", 4),
    "times_hirola_10m": (">=", 15),
    "times_hfind_1m": (">=", 500),
    "in_hot_of_set": ("<=", 0.7),
    "in_random_hit_of_set_10m": ("<=", 0.35),
    "numpy_fallback_miss_of_set_10m": ("<=", 1),
    "numpy_fallback_hit_of_set_10m": ("<=", 1),
    "file_of_raw_digests_10m": ("<=", 1),
    "file_of_raw_digests_100m": ("<=", 1),
    "open_milliseconds_10m": ("<=", 1),
    "sort_times_polars_10m": (">=", 5),
    "sort_times_polars_128_bit_10m": (">=", None),
    "sort_times_duckdb_10m": (">=", 9),
    "sort_times_sort_u_1m": (">=", 30),
    "hex_lines_times_fromhex": (">=", 10),
    "fromhex_times_reading": (">=", None),
    "file_to_hits_times_for_line": (">=", 20),
    "billion_keys": (">=", 1e9),
    "billion_peak_gib": ("<=", 8),
}
"""What must hold: nobody lowers a bar by the way."""


def test_every_ratio_of_the_issue_is_there_with_its_bar() -> None:
    """What has not been measured is null, and not met or unmet."""
    found = ratios.judged(Results(), lambda n: n)
    recorded = ratios.BILLION.exists()
    assert {bar.name: (">=<="[2 * bar.at_most :][:2], bar.bar) for bar in ratios.BARS} == BARS
    assert all(one["value"] is None and one["met"] is None for name, one in found.items() if not (recorded and "billion" in name))
    assert {one["bar"][:2] for one in found.values()} == {">=", "<=", ""}


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    """A round that is slow for both does not move it; the loop is taken off both sides."""
    results, mine, theirs = Results(), Key(OURS, 10_000_000, "lookup", 50, 1), Key(SET, 10_000_000, "lookup", 50, 1)
    results.cpu[mine] |= {0: 1.0, 1: 10.0, 2: 1.0}
    results.cpu[theirs] |= {0: 30.0, 1: 300.0, 2: 5.0}
    judged = ratios.judged(results, lambda n: n)["times_set_10m"]
    assert judged["value"] == 30 and judged["met"] is True
    for name, seconds in ((OURS, 3.0), (SET, 9.0)):
        results.cpu[Key(name, 10_000_000, HIT, 100, 1)][0] = seconds
        results.cpu[Key(name, 10_000_000, LOOP, 100, 1)][0] = 1.0
    judged = ratios.judged(results, lambda n: n)["in_random_hit_of_set_10m"]
    assert judged["value"] == 0.25 and judged["met"] is True


def test_a_share_is_of_the_faster_limit() -> None:
    """And null as long as one of them was not measured."""
    results, size = Results(), 100_000_000
    results.cpu[Key(OURS, size, "lookup", 0, 1)][0] = 10.0
    results.cpu[Key(OURS, size, roster.LINE, 0, 1)][0] = 9.0
    assert ratios.judged(results, lambda n: n)["miss_share_of_random_lines_100m"]["value"] is None
    results.cpu[Key(OURS, size, roster.LINE + roster.DESIGN, 0, 1)][0] = 7.0
    judged = ratios.judged(results, lambda n: n)["miss_share_of_random_lines_100m"]
    assert judged["value"] == 0.7 and judged["met"] is False


@pytest.mark.parametrize("entry", [*roster.CONTENDERS.values(), *roster.SORTS.values(), *roster.TEXTS.values()])
def test_every_contender_is_a_class(entry: roster.Entry) -> None:
    """Its libraries are imported only when it builds, in its own virtual environment."""
    module, _, name = entry.place.partition(":")
    assert getattr(importlib.import_module(f"benchmarks.membership.contenders.{module}"), name).__doc__
    assert entry.python in roster.PYTHONS and (not entry.program or entry.program in roster.PROGRAMS)


def test_contenders_answer_and_a_table_is_made_of_it(tmp_path: Path) -> None:
    """Two processes, the same data, in rounds; then the report, and the section of the page."""
    data.make_keys(tmp_path, 3000)
    data.make_queries(tmp_path, 3000, 50, 1000)
    results = Results()
    with (
        Worker(OURS, roster.CONTENDERS[OURS], tmp_path, 3000) as ours,
        Worker(SET, roster.CONTENDERS[SET], tmp_path, 3000) as other,
    ):
        results.built |= {(worker.name, 3000): worker.built for worker in (ours, other)}
        results.builds |= {(worker.name, 3000): [worker.built["cpu"], 1.0, 2.0] for worker in (ours, other)}
        measure({ours: [Ask("lookup", 1000), Ask("lookup", 500, 50, 2)], other: [Ask("lookup", 1000)]}, range(2), results)
    results.left_out["somebody", 3000] = "is not installed"
    made = json.loads(report.as_text(report.reported(plan.Plan(tmp_path, 2), results)))
    rows = {(row["contender"], row["what"], row["threads"]): row for row in made["rows"]}
    assert rows[OURS, "lookup", 1]["runs"] == 2 and rows[OURS, "size", 1]["median"] > 10
    text = table.section("tried", made)
    assert "| hashlib_interop |" in text and "* somebody, 3,000 keys: is not installed" in text


def test_who_comes_to_be_asked_looks_up_for_nothing_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a quarter of a second, of what is asked, where most are hits, so that all memory is touched.

    What is no lookup is asked at once, and so is a program, which starts anew.
    """

    class Noting:
        name, size, folder, built = "noting", 7, Path(), {"exact": False}

        def __init__(self, program: str = "") -> None:
            self.asked: list[Ask] = []
            self.entry = roster.Entry("nothing", program=program)

        def ask(self, ask: Ask) -> dict[str, float | None]:
            self.asked.append(ask)
            return {"cpu": float(len(self.asked)), "wall": 1.0, "found": None}

    monkeypatch.setattr("benchmarks.membership.measuring._expected", lambda *_: None)
    monkeypatch.setattr("time.monotonic", lambda: len(searched.asked) / 10)
    asks, other = [Ask("lookup", 9, 0), Ask("open", 9), Ask("lookup", 9, 100), Ask("lookup", 9, 50)], [Ask("sort", 9)]
    searched, sorted_, program = Noting(), Noting(), Noting("grep")
    measure({program: asks, searched: asks, sorted_: other}, range(2), results := Results())  # type: ignore[dict-item]
    assert searched.asked == [*[asks[2]] * 3, *asks] * 2 and sorted_.asked == other * 2 and program.asked == asks * 2
    assert results.cpu[Key("noting", 7, "lookup", 0, 1)] == {0: 4 / 9, 1: 11 / 9}


def test_a_contender_that_is_wrong_ends_the_run(tmp_path: Path) -> None:
    """Unless it is known to be inexact, and says too much; that is counted."""
    data.make_keys(tmp_path, 2000)
    data.make_queries(tmp_path, 2000, 50, 1000)
    with Worker(SET, roster.CONTENDERS[SET], tmp_path, 2000) as worker:
        (data.own(tmp_path, 2000) / "hits-50").write_bytes(bytes(1000))
        with pytest.raises(RuntimeError, match="of 0"):
            measure({worker: [Ask("lookup", 1000)]}, range(1), Results())
        worker.built["exact"] = False
        measure({worker: [Ask("lookup", 1000)]}, range(1), results := Results())
    ((found, expected),) = results.wrong.values()
    assert found > 400 and expected == 0
