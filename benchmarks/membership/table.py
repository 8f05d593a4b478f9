"""From the results that are kept to the tables of benchmarks/README.md.

    python -m benchmarks.membership.table
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.membership.contender import HIT, HOT, HOT_LOOP, LOOP, MISS
from benchmarks.membership.report import RESULTS
from benchmarks.membership.roster import FILE, FIRST, HEX, LIMITS, OPEN, SORT

PAGE = RESULTS.parent / "README.md"
MARK = re.compile(r"(<!-- generated: results -->\n).*?(<!-- end -->)", re.DOTALL)
Row = dict[str, Any]

COLUMNS: dict[str, tuple[str, int, int]] = {
    "misses": ("lookup", 0, 1),
    "half hits": ("lookup", 50, 1),
    "hits": ("lookup", 100, 1),
    "half hits, 2 threads": ("lookup", 50, 2),
    "`in` hot": (HOT, 100, 1),
    "`in` hit": (HIT, 100, 1),
    "`in` miss": (MISS, 0, 1),
    "line of a file": (FILE, 10, 1),
    "build": ("build", 0, 1),
    "bytes": ("size", 0, 1),
    "first answer, ms": (FIRST, 0, 1),
}
"""A column of the table of a size: what, at which hit rate, on how many threads."""

LOOPS = {HOT: HOT_LOOP, HIT: LOOP, MISS: LOOP}
"""What is taken off."""


def page(text: str, folder: Path = RESULTS) -> str:
    """Return the page with the tables as the results in a folder have them."""
    return MARK.sub(lambda m: f"{m[1]}{generated(folder)}\n{m[2]}", text)


def generated(folder: Path) -> str:
    """Return all tables, one section for each result."""
    parts = [section(path.stem, json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))]
    return "\n\n".join(parts) or "No results are recorded."


def section(name: str, report: dict[str, Any]) -> str:
    """Return the section of one result."""
    took = f" The run took {report['seconds']} seconds." if "seconds" in report else ""
    parts = [f"### {name}", machine(report["machine"]) + took]
    if "rows" not in report:
        facts = [(key, figure(value)) for key, value in report.items() if key != "machine"]
        return "\n\n".join([*parts, markdown(("", ""), facts)])
    if report["ratios"]:
        parts.append(markdown(("ratio", "", "bar", "met", "what by what"), _ratios(report["ratios"])))
    for size in sorted({row["keys"] for row in report["rows"]}):
        rows = [row for row in report["rows"] if row["keys"] == size]
        parts += list(_of_size(size, rows))
    if report["left out"]:
        parts.append("Left out:")
        parts.append("\n".join(f"* {each['contender']}, {each['keys']:,} keys: {each['why']}" for each in report["left out"]))
    return "\n\n".join(parts)


def machine(facts: dict[str, Any]) -> str:
    """Return a line on the machine."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    said = f"{facts['processor']}, {facts['cores']} cores, {facts['memory GiB']} GiB, pages of {facts['page bytes']} bytes"
    huge = f"transparent huge pages: {facts['transparent huge pages']}"
    return f"{said}, {huge}; {facts['system']}, Python {facts['Python']}; {versions}."


def _ratios(ratios: dict[str, Row]) -> list[Sequence[str]]:
    met = {True: "yes", False: "**no**", None: "not measured"}
    return [
        (name, figure(one["value"]), one["bar"], met[one["met"]] if one["bar"] else "", one["of"])
        for name, one in ratios.items()
    ]


BESIDE = (*LIMITS, "two random lines")
"""Limits; the last one stands in runs that were recorded when a record across the end of a line counted as one."""


def _of_size(size: int, rows: list[Row]) -> Iterator[str]:
    """Yield the tables of a size: lookups, what memory allows, sorting, hex lines."""
    looked = [row for row in rows if row["what"] not in (SORT, HEX, OPEN, *BESIDE)]
    if looked:
        yield f"{size:,} keys, nanoseconds of CPU for one query, line or key (threads: by the clock):"
        yield _lookups(looked)
    limits = {row["what"]: figure(row["median"]) for row in rows if row["what"] in BESIDE and row["threads"] == 1}
    if limits:
        yield "Beside it, " + ", ".join(f"{what}: {value} ns" for what, value in limits.items()) + "."
    for what in (SORT, HEX):
        chosen = [row for row in rows if row["what"] == what]
        if chosen:
            yield f"{what}, {size:,} keys, nanoseconds of CPU for one:"
            yield markdown(("", "threads", "ns", "least", "most", ""), [_spread(row) for row in chosen])


def _lookups(rows: list[Row]) -> str:
    held = {(row["contender"], row["what"], row["hits %"], row["threads"]): row for row in rows}
    names = list(dict.fromkeys(row["contender"] for row in rows))
    names.sort(key=lambda name: held.get((name, "lookup", 50, 1), {}).get("median", 1e99))
    notes = {row["contender"]: row["note"] for row in rows if "note" in row}
    cells = {head: [_cell(held, name, *column) for name in names] for head, column in COLUMNS.items()}
    measured = {head: column for head, column in cells.items() if any(column)}
    rows = zip(names, *measured.values(), (notes.get(name, "") for name in names), strict=True)
    return markdown(("", *measured, ""), rows)


def _cell(held: dict[tuple[Any, ...], Row], name: str, what: str, rate: int, threads: int) -> str:
    row = held.get((name, what, rate, threads))
    if row is None:
        return ""
    off = held.get((name, LOOPS[what], 100, 1), {}).get("median", 0.0) if what in LOOPS else 0.0
    return figure(row.get("by the clock", row["median"]) - off)


def _spread(row: Row) -> Sequence[str]:
    figures = (figure(row["median"]), figure(row["least"]), figure(row["most"]))
    return row["contender"], str(row["threads"]), *figures, row.get("note", "")


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figure(value: object) -> str:
    """Return a number as it is read: three significant digits, or all of those before the point."""
    if not isinstance(value, int | float):
        return "" if value is None else str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{float(f'{value:.3g}'):g}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
