"""Run something with the extensions built with AddressSanitizer and UndefinedBehaviorSanitizer, from a copy of the tree.

    python -m tests.sanitized pytest -q tests/membership tests/test_kernels.py
    python -m tests.sanitized tests.fuzz.hset_reader --seconds 30

What is named first is the module that Python runs. The end of a finding is the end of the process, with its stack. Needs gcc
with libasan and libubsan. Leaks are not looked for: Python and its libraries keep much until the end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g"
LIBRARIES = ("libasan.so", "libubsan.so", "libstdc++.so.6")
LEFT = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__", "*.so", "_*.c", "demo", "results")


def copied(place: Path) -> Path:
    """Copy the tree, links as links, without what was built; optimized less, or checked code takes minutes to compile."""
    tree = Path(shutil.copytree(ROOT, place / "tree", symlinks=True, ignore=LEFT))
    project = tree / "pyproject.toml"
    project.write_text(project.read_text().replace('"-O3"', '"-O1"'))
    return tree


def build(tree: Path) -> None:
    """Build all extensions in the copy; they are optional, so that what is missing afterwards did not build."""
    command = [sys.executable, "-c", "import setuptools; setuptools.setup()", "-q", "build_ext", "--inplace"]
    environment = {**os.environ, "CC": "gcc", "CFLAGS": FLAGS, "LDFLAGS": FLAGS}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    named = tomllib.loads((tree / "pyproject.toml").read_text())["tool"]["setuptools"]["ext-modules"]
    for module in named:
        built = list(tree.glob(f"{module['name'].replace('.', '/')}.*.so"))
        if not built or b"__asan_init" not in built[0].read_bytes():
            raise SystemExit(f"{module['name']} did not build:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def environment() -> dict[str, str]:
    """Return the environment of a run: the sanitizers before all else, and memory from the system's allocator."""
    libraries = [subprocess.check_output(["gcc", f"-print-file-name={name}"], text=True).strip() for name in LIBRARIES]
    return {
        **os.environ,
        "LD_PRELOAD": ":".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:handle_segv=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "HASHLIB_INTEROP_SANITIZED": "1",
    }


def main(words: list[str]) -> int:
    """Copy, build, run; return the exit code of what ran."""
    with tempfile.TemporaryDirectory() as place:
        print("building the extensions with the sanitizers, some minutes", flush=True)
        tree = copied(Path(place))
        build(tree)
        return subprocess.run([sys.executable, "-m", *words], cwd=tree, env=environment(), check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
