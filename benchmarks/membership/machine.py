"""What the machine is, for those who compare figures: no name of it, and no path."""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.membership.roster import PYTHONS

PACKAGES = ("numpy", "pandas", "pyarrow", "polars", "duckdb", "hirola", "cykhash", "lmdb", "rbloom", "pyfusefilter", "xxhash")
_VERSIONS = "import importlib.metadata as m; print(*(f'{d.name.lower()} {d.version}' for d in m.distributions()), sep='\\n')"


def facts() -> dict[str, Any]:
    """Return the facts as JSON values."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _found(r"model name\s*: (.*)", "/proc/cpuinfo") or platform.machine(),
        "cores": os.cpu_count(),
        "memory GiB": round(memory / (1 << 30), 1),
        "page bytes": resource.getpagesize(),
        "transparent huge pages": _found(r"\[(\w+)\]", "/sys/kernel/mm/transparent_hugepage/enabled") or "unknown",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "Python": platform.python_version(),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Return the versions of the contenders in their virtual environments, and of the programs from apt."""
    found: dict[str, str] = {}
    for python in reversed(PYTHONS.values()):  # ours last: its xxhash is the one that counts
        if python.exists():
            found |= dict(_installed(python))
    named = {name: found[name] for name in PACKAGES if name in found}
    return named | {name: said for name in ("hfind", "md5deep", "sort") if (said := _program(name))}


def _installed(python: Path) -> Iterable[tuple[str, str]]:
    text = subprocess.check_output([python, "-c", _VERSIONS], text=True)
    return ((line.split()[0], line.split()[1]) for line in text.splitlines())


def _program(name: str) -> str:
    if not shutil.which(name):
        return ""
    flag = {"hfind": "-V", "md5deep": "-v", "sort": "--version"}[name]
    options = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL, "timeout": 20}
    try:
        said = subprocess.run([name, flag], check=False, **options).stdout
    except subprocess.TimeoutExpired:
        return ""
    match = re.search(r"\d+\.\d+(\.\d+)?", said)
    return match[0] if match else ""


def _found(pattern: str, path: str) -> str:
    """Return what a pattern finds in a file of the system, empty where there is none."""
    file = Path(path)
    match = re.search(pattern, file.read_text()) if file.exists() else None
    return match[1].strip() if match else ""


def free_memory() -> int:
    """Return the bytes of memory that are free, or held by files that need not be."""
    found = _found(r"MemAvailable: *(\d+)", "/proc/meminfo")
    return int(found) << 10 if found else 8 << 30


def free_disk(folder: Path) -> int:
    """Return the bytes that are free where the files will be."""
    return shutil.disk_usage(folder).free
