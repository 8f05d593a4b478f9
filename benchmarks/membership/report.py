"""From results to one JSON object: rows of medians, ratios, facts."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from benchmarks.membership import machine
from benchmarks.membership.measuring import Key, Results, by_clock
from benchmarks.membership.plan import Plan
from benchmarks.membership.ratios import judged, rounded
from benchmarks.membership.roster import CONTENDERS, HEX, SORTS, TEXTS

RESULTS = Path(__file__).parents[1] / "results"


def reported(plan: Plan, results: Results) -> dict[str, Any]:
    """Return everything that is kept of a run."""
    return {
        "machine": machine.facts(),
        "rounds": plan.rounds,
        "ratios": judged(results, plan.size) if results.cpu else {},
        "rows": [*_rows(results), *_builds(results)],
        "left out": [
            {"contender": name, "keys": n, "why": why} for (name, n), why in sorted(results.left_out.items())
        ],
    }


def _rows(results: Results) -> list[dict[str, Any]]:
    """Return a row for each thing measured: the median and the range, in nanoseconds; openings in milliseconds."""
    rows = []
    for key, rounds in sorted(results.cpu.items()):
        found = results.wall[key] if by_clock(key.what) else rounds
        scale = 1e3 if by_clock(key.what) else 1e9
        values = [value * scale for value in found.values()]
        row: dict[str, Any] = dict(zip(("contender", "keys", "what", "hits %", "threads"), key, strict=True))
        row |= {"unit": "ms" if by_clock(key.what) else "ns", "median": rounded(statistics.median(values))}
        row |= {"least": rounded(min(values)), "most": rounded(max(values)), "runs": len(values)}
        if key.threads > 1:
            row["by the clock"] = rounded(statistics.median(results.wall[key].values()) * scale)
        rows.append(row | _remarks(key, results))
    return rows


def _remarks(key: Key, results: Results) -> dict[str, Any]:
    """Return the note of the contender, and how often it was wrong."""
    table = {"sort": SORTS, HEX: TEXTS}.get(key.what, CONTENDERS)
    said: dict[str, Any] = {"note": table[key.contender].note} if table[key.contender].note else {}
    if key in results.wrong:
        found, there = results.wrong[key]
        said["wrong"] = found - there
    return said


def _builds(results: Results) -> list[dict[str, Any]]:
    """Return rows of what building took: nanoseconds of CPU, and bytes, each for one key."""
    rows = []
    for (name, n), built in results.built.items():
        common = {"contender": name, "keys": n, "hits %": 0, "threads": 1}
        values = [seconds / n * 1e9 for seconds in results.builds[name, n]]
        spread = {"median": statistics.median(values), "least": min(values), "most": max(values)}
        rounds = {key: rounded(value) for key, value in spread.items()} | {"runs": len(values)}
        rows.append({**common, "what": "build", "unit": "ns", **rounds})
        held = built["stored"] or built["memory"]
        unit = "bytes on disk" if built["stored"] else "bytes in memory"
        rows.append({**common, "what": "size", "unit": unit, "median": rounded(held / n), "runs": 1})
    return rows


def saved(report: dict[str, Any], name: str) -> Path:
    """Write a report among the results, one row a line."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(as_text(report))
    return path


def as_text(report: dict[str, Any]) -> str:
    """Return JSON with one row a line, so that a difference is readable."""
    parts = []
    for name, value in report.items():
        if isinstance(value, list):
            inside = ",\n".join(f"    {json.dumps(each)}" for each in value)
            parts.append(f"  {json.dumps(name)}: [\n{inside}\n  ]")
        elif isinstance(value, dict):
            inside = ",\n".join(f"    {json.dumps(key)}: {json.dumps(each)}" for key, each in value.items())
            parts.append(f"  {json.dumps(name)}: {{\n{inside}\n  }}")
        else:
            parts.append(f"  {json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"
