"""Reading rates, side by side on the same bytes: ours, python-threatexchange's NCMEC reader, the standard library.

    make bench

One process a contender and run, CPU time (user and system, all threads), the median of five runs. The others do
less than we do: they build Python objects and check no digest, no duplicate key, no nesting, and keep nothing of what
they do not know. Rates are of this machine: read the ratios.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import icse_sample, ncmec_sample, vics_sample

COUNT = 200_000
RUNS = 5
MAKE = {"vics": vics_sample.make, "ncmec": ncmec_sample.make, "icse": icse_sample.make}
BARS = {"vics": 150_000, "ncmec": 50_000, "icse": 300_000}


def ours(path: str, name: str) -> int:
    """The whole pipeline: SHA-256 of the file, sniff limits, strict decoding, batches of ENTRY_SCHEMA."""
    import pyarrow as pa

    from hashlib_interop import read_batches

    pa.set_cpu_count(1)
    return sum(batch.column("about").null_count for batch in read_batches(path, format=name))  # votes are not entries


def standard(path: str, name: str) -> int:
    """The obvious script: records as Python objects, digests to bytes, nothing checked."""
    if name == "vics":
        return sum(1 for media in json.loads(Path(path).read_bytes())["value"] if bytes.fromhex(media["MD5"]))
    if name == "icse":
        import csv

        with open(path, newline="") as lines:
            return sum(1 for row in csv.DictReader(lines, delimiter=";") if bytes.fromhex(row["MD5"]))
    from xml.etree import ElementTree

    space = "{https://hashsharing.ncmec.org/hashsharing/v2}"
    count = 0
    for _, element in ElementTree.iterparse(path):
        if element.tag in (f"{space}image", f"{space}video", f"{space}deletedImage", f"{space}deletedVideo"):
            digest = element.find(f"{space}fingerprints/{space}md5")
            count += digest is None or len(bytes.fromhex(digest.text or "")) == 16
            element.clear()
    return count


def threatexchange(path: str, name: str) -> int:
    """python-threatexchange's own reader of NCMEC pages."""
    from xml.etree import ElementTree

    from threatexchange.exchanges.clients.ncmec.hash_api import GetEntriesResponse, _XMLWrapper

    events = ElementTree.iterparse(path)
    for _, element in events:
        element.tag = element.tag.rpartition("}")[2]
    return len(GetEntriesResponse.from_xml(_XMLWrapper(events.root), 0).updates)


CONTENDERS: dict[str, dict[str, Callable[[str, str], int]]] = {
    "vics": {"hashlib_interop": ours, "standard library": standard},
    "ncmec": {"hashlib_interop": ours, "threatexchange": threatexchange, "standard library": standard},
    "icse": {"hashlib_interop": ours, "standard library": standard},
}


def measure(name: str, contender: str, path: Path) -> float:
    """Return the median CPU seconds of a contender, each run in a process of its own, start-up not counted."""
    command = [sys.executable, "-m", "benchmarks.reading", name, contender, str(path)]
    return statistics.median(float(subprocess.check_output(command)) for _ in range(RUNS))


def child(name: str, contender: str, path: str) -> None:
    """Run once and print the CPU seconds; one small run first, so that imports are not counted."""
    read = CONTENDERS[name][contender]
    with tempfile.TemporaryDirectory() as folder:
        MAKE[name](Path(folder) / "small", 100, 2)
        read(str(Path(folder) / "small"), name)
    before = resource.getrusage(resource.RUSAGE_SELF)
    count = read(path, name)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert count == COUNT, f"{contender} read {count} of {COUNT}"
    print(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    """Measure every contender and print the table, then the same as JSON."""
    print(f"reading {COUNT:,} entries; entries per CPU second, median of {RUNS}\n")
    print(f"{'format':8}{'reader':20}{'entries/s':>12}{'ratio':>8}{'bar':>10}")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name, contenders in CONTENDERS.items():
            path = Path(folder) / name
            MAKE[name](path, COUNT, 1)
            rates = {contender: COUNT / measure(name, contender, path) for contender in contenders}
            for contender, rate in rates.items():
                ratio = rates["hashlib_interop"] / rate
                bar = f"{BARS[name]:,}" if contender == "hashlib_interop" else ""
                print(f"{name:8}{contender:20}{rate:12,.0f}{ratio:8.2f}{bar:>10}", flush=True)
                results.append({"format": name, "reader": contender, "rate": round(rate), "ratio": round(ratio, 2)})
    print("\n" + json.dumps(results))


if __name__ == "__main__":
    child(*sys.argv[1:]) if len(sys.argv) > 1 else main()
