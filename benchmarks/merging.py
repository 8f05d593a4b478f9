"""Merging, as one process: peak memory, CPU and size of the catalog; counts against the plain-Python reference.

    python -m benchmarks.merging                 1,000,000 entries (VICS and ICSE), the limit is 1.5 GB
    python -m benchmarks.merging 10000000        the size of a catalog of ten million, the limit is 6 GB
    python -m benchmarks.merging reference       four lists of 250,000 entries: counts equal the reference's
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import icse_sample, vics_sample

PARTNERS = ("ncmec", "vics", "icse", "inhouse")


def child(inputs: list[str], output: str, sources: str) -> None:
    """Merge in a process of its own and print what it took."""
    from hashlib_interop import load_sources, merge

    began = time.process_time()
    merged = merge(inputs, output, sources=load_sources(sources) if sources else None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "entries": merged.entries,
                "items": merged.items,
                "conflicts": merged.conflicts,
                "retracted": sum(source.retracted for source in merged.sources),
                "cpu_seconds": round(time.process_time() - began, 1),
                "peak_mb": peak // 1024,
                "catalog_mb": round(Path(output).stat().st_size / 1e6),
            }
        )
    )


def merged_apart(inputs: list[str], output: Path, sources: str = "") -> dict[str, Any]:
    """Merge in a child process and return what it printed."""
    command = [sys.executable, "-m", "benchmarks.merging", "child", json.dumps(inputs), str(output), sources]
    result: dict[str, Any] = json.loads(subprocess.check_output(command))
    return result


def size(count: int) -> None:
    """Merge `count` entries, half of them VICS, half ICSE, both with fingerprints."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        vics_sample.make(folder / "v.json", count // 2, 1)
        icse_sample.make(folder / "i.csv", count // 2, 1)
        print(merged_apart([f"vics={folder}/v.json", f"icse={folder}/i.csv"], folder / "all.db"))


def against_reference(rows: int) -> None:
    """Merge four lists made by `synth`; compare items, conflicts by kind and retractions with the reference."""
    from hashlib_interop import load_sources
    from hashlib_interop.merging import Given, _readers
    from tests import reference

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        program = str(Path(sys.executable).parent / "hashlib-interop")
        subprocess.run([program, "synth", "-o", str(folder), "--rows", str(rows), "--future", "3"], check=True)
        files = {name: next(f for f in folder.glob(f"{name}.*") if f.suffix != ".toml") for name in PARTNERS}
        sources = str(folder / "sources.toml")
        found = merged_apart([f"{name}={file}" for name, file in files.items()], folder / "all.db", sources)
        from hashlib_interop.reading import clock

        given = [Given(str(file), name) for name, file in files.items()]
        readers = _readers(given, load_sources(sources), None, None, {"recorded_at": clock()})
        entries = [entry for reader in readers for entry in reader]
        merged = reference.merge(entries, [one for reader in readers for one in reader.imports])
        retracted = sum(1 for k in merged.current if merged.entries[k].state == "retracted")
        expected = {
            "entries": len(merged.entries),
            "items": len(merged.items),
            "conflicts": dict(sorted(Counter(kind for kind, _, _ in merged.conflicts).items())),
            "retracted": retracted,
        }
        print("engine    ", {key: found[key] for key in expected}, f"{found['peak_mb']} MB, {found['cpu_seconds']} s CPU")
        print("reference ", expected)
        assert {key: found[key] for key in expected} == expected
        print("equal")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["child"]:
        child(json.loads(arguments[1]), arguments[2], arguments[3])
    elif arguments[:1] == ["reference"]:
        against_reference(int(arguments[1]) if arguments[1:] else 250_000)
    else:
        size(int(arguments[0]) if arguments else 1_000_000)
