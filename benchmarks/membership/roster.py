"""Who takes part: where each lives, what it needs, what it is asked."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.membership.contender import HIT, HOT, HOT_LOOP, LOOP, MISS

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = {
    "ours": Path(sys.executable),
    "bench": ROOT / ".venv-bench/bin/python",
    "approximate": ROOT / ".venv-approximate/bin/python",
}
"""The Python of each virtual environment; `make bench-membership` makes them."""

PROGRAMS = {"hfind": "apt-get install sleuthkit", "md5deep": "apt-get install hashdeep", "sort": "coreutils"}

ONES = (HOT, HOT_LOOP, HIT, MISS, LOOP)
OURS, SET = "hashlib_interop", "set"
LINE, PAIR, ASKED = "one random line", "a line and its record", "a query and its line"
DESIGN = ", as in the design"
LIMITS = (LINE, PAIR, ASKED, LINE + DESIGN, PAIR + DESIGN)
OPEN, FIRST, SORT, HEX, FILE = "open", "first answer", "sort", "hex lines", "file to hits"
READ = "a bare read of it"


@dataclass(frozen=True)
class Entry:
    """A contender. `memory` is what it takes at most while it is built, bytes a key; `most` the keys it is tried with.

    `queries` is how many it is given at once at most; `also` what it can do besides lookups of batches; `threads`
    whether it is tried with two, `starts` that it has to be started for that. `note` stands in the table.
    """

    place: str
    python: str = "bench"
    memory: int = 0
    most: int = 100_000_000
    queries: int = 1_000_000
    lookup: bool = True
    also: tuple[str, ...] = ()
    threads: tuple[int, ...] = (1,)
    starts: bool = False
    program: str = ""
    note: str = ""

    def missing(self) -> str:
        """Return why it cannot take part on this machine, empty where it can."""
        if self.program and not shutil.which(self.program):
            return f"{self.program} is not installed: {PROGRAMS[self.program]}"
        return "" if PYTHONS[self.python].exists() else "its virtual environment is not there: make bench-membership"


CONTENDERS = {
    OURS: Entry(
        "ours:Ours", "ours", 60, queries=2_000_000, also=(*ONES, OPEN, FIRST, FILE, *LIMITS), threads=(1, 2)
    ),
    "hashlib_interop without compiler": Entry(
        "ours:OursWithoutCompiler", "ours", 0, queries=2_000_000, note="numpy reads the same file"
    ),
    SET: Entry("builtin:Set", "ours", 150, queries=500_000, also=(*ONES, FIRST, FILE)),
    "numpy": Entry("columns:Numpy", memory=64, queries=2_000_000, also=(FIRST,), note="sorted queries, searchsorted"),
    "pandas": Entry("columns:Pandas", memory=200, note="Index of objects"),
    "pyarrow": Entry("columns:Arrow", memory=130, most=10_000_000, note="is_in; hashes the keys in each call"),
    "polars": Entry(
        "columns:Polars", memory=125, queries=2_000_000, threads=(1, 2), starts=True,
        note="semi join of 128-bit numbers; hashes the keys in each call",
    ),
    "polars is_in": Entry("columns:PolarsIsIn", memory=125, note="hashes the keys in each call"),
    "DuckDB": Entry(
        "stores:DuckDB", memory=110, queries=2_000_000, threads=(1, 2),
        note="UHUGEINT, semi join; hashes one side in each call",
    ),
    "hirola": Entry("hashes:Hirola", memory=120),
    "cykhash": Entry("hashes:Cykhash", memory=60, queries=2_000_000, note="not exact: 64 bits of each digest"),
    "lmdb": Entry("stores:Lmdb", memory=80, most=10_000_000, queries=500_000, also=(FIRST,)),
    "SQLite": Entry("stores:Sqlite", memory=80, most=10_000_000, queries=200_000, also=(FIRST,), note="WITHOUT ROWID"),
    "rbloom": Entry(
        "filters:Rbloom", "approximate", 70, most=10_000_000, also=ONES, note="approximate: wrong about 1 % of misses"
    ),
    "pyfusefilter": Entry(
        "filters:Pyfusefilter", "approximate", 250, most=10_000_000, queries=500_000, also=ONES,
        note="approximate: wrong about 0.4 % of misses",
    ),
    "hfind": Entry(
        "programs:Hfind", "ours", 110, most=1_000_000, queries=100_000, also=(FIRST,), program="hfind",
        note="the index of the Sleuth Kit",
    ),
    "md5deep": Entry(
        "programs:Md5deep", "ours", 110, most=1_000_000, lookup=False, also=(FIRST,), program="md5deep",
        note="reads the list in each run; looks up files only",
    ),
}  # fmt: skip
"""Structures that are looked up in."""

SORTS = {
    OURS: Entry("ours:OurSort", "ours", 60),
    "polars": Entry("sorts:PolarsSort", memory=110, note="128-bit numbers, which are no digests yet; no dedupe"),
    "polars, two columns": Entry("sorts:PolarsTwoColumns", memory=110, note="two 64-bit numbers; no dedupe"),
    "DuckDB": Entry("sorts:DuckDBSort", memory=120, note="UHUGEINT, DISTINCT with ORDER BY"),
    "numpy": Entry("sorts:NumpySort", memory=60, note="np.sort of S16; no dedupe"),
    "sort -u": Entry("programs:Sort", "ours", 130, most=10_000_000, program="sort", note="hex lines, LC_ALL=C"),
}
"""Sort and dedupe of digests of which one in a hundred is a repeat."""

TEXTS = {
    OURS: Entry("ours:OurHexLines", "ours", note="each line checked"),
    "bytes.fromhex of the whole text": Entry("builtin:FromHex", "ours"),
    READ: Entry("builtin:Reading", "ours", note="nothing decoded"),
    "bytes.fromhex of each line": Entry("builtin:FromHexByLine", "ours"),
}
"""Decoding of hex lines."""
