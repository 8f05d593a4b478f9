"""Run the benchmark; benchmarks/README.md says what comes out.

    make bench-membership
    python -m benchmarks.membership --quick
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.membership import data, plan, report
from benchmarks.membership.measuring import Results


def arguments() -> argparse.Namespace:
    """Return what was asked for."""
    words = argparse.ArgumentParser("benchmarks.membership", description="Membership of digests, side by side.")
    words.add_argument("--quick", action="store_true", help="only what the ratios need, in some three minutes")
    words.add_argument("--builds", action="store_true", help="only how long building takes")
    words.add_argument("--rounds", type=int, default=5, help="how often everything is measured (5)")
    words.add_argument("--scale", type=int, default=1, help="make everything so many times smaller, to try this out")
    words.add_argument("--only", action="append", default=[], metavar="NAME", help="only these contenders, and ours")
    words.add_argument("--most", type=int, default=plan.LARGE, help="leave the sizes beyond out (100000000)")
    words.add_argument("--folder", type=Path, help="where the files go meanwhile (up to 20 GB)")
    words.add_argument("--name", help="also keep the result as benchmarks/results/NAME.json")
    return words.parse_args()


def main() -> None:
    """Measure, print one JSON object, keep it if it has a name; say on standard error how long it took."""
    given, results, began = arguments(), Results(), time.monotonic()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        run = plan.Plan(Path(folder), given.rounds, scale=given.scale, only=tuple(given.only), most=given.most)
        if given.builds:
            data.make_keys(run.folder, run.size(given.most))
        (plan.builds if given.builds else plan.quick if given.quick else plan.full)(run, results)
        made = report.reported(run, results) | {"seconds": round(time.monotonic() - began)}
    if given.name:
        report.saved(made, given.name)
    took = f"{made['seconds']} s; {sum(bool(each['bar']) and not each['met'] for each in made['ratios'].values())} bars not met"
    print(json.dumps(made["ratios"], indent=1) if given.quick else report.as_text(made))
    print(f"\n{took}", file=sys.stderr)


if __name__ == "__main__":
    main()
