"""Programs: hfind of the Sleuth Kit, md5deep, sort. Their own start is counted, as whoever runs them has to wait for it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.membership import data
from benchmarks.membership.contender import Ask, Contender

ENVIRONMENT = {**os.environ, "LC_ALL": "C"}


class Program(Contender):
    """Works on a list of `hash  name` lines, as md5sum writes them."""

    def build(self) -> None:
        """Write the list."""
        self.list = self.own / f"{type(self).__name__.lower()}.md5"
        self.list.write_text(data.hex_lines(data.keys(self.folder, self.n), "  made-up"))

    def run(self, *command: object, codes: Sequence[int] = (0,)) -> Callable[[], bytes]:
        """Return what runs a program and gives what it printed."""

        def run() -> bytes:
            done = subprocess.run([str(part) for part in command], env=ENVIRONMENT, capture_output=True, check=False)
            assert done.returncode in codes, done.stderr[:500]
            return done.stdout

        return run


class Hfind(Program):
    """hfind, with the index that it makes of the list."""

    def build(self) -> None:
        """Write the list and have it indexed."""
        super().build()
        self.run("hfind", "-i", "md5sum", self.list)()

    def stored(self) -> int:
        """Return the size of the index."""
        return sum(path.stat().st_size for path in self.own.glob(f"{self.list.name}-*"))

    def lookup(self, queries: data.Keys, ask: Ask) -> Callable[[], Any]:
        """Look a file up."""
        asked = self.own / "asked"
        asked.write_text(data.hex_lines(queries))
        return self.run("hfind", "-f", asked, self.list)

    def hits(self, result: Any) -> int:
        """Count the lines that do not say it was not found."""
        return result.count(b"\n") - result.count(b"Hash Not Found")

    def other(self, ask: Ask) -> Callable[[], Any]:
        """Look one digest up."""
        one = self.run("hfind", self.list, bytes(data.WIDTH).hex())
        return lambda: silent(one)


class Md5deep(Program):
    """md5deep, which reads the list anew in each run."""

    def other(self, ask: Ask) -> Callable[[], Any]:
        """Match one file."""
        (self.own / "one").write_bytes(b"synthetic")
        one = self.run("md5deep", "-m", self.list, self.own / "one", codes=range(16))
        return lambda: silent(one)


class Sort(Program):
    """`sort -u` of hex lines, by their bytes."""

    def build(self) -> None:
        """Write the lines."""
        self.lines, self.sorted = self.own / "to-sort", self.own / "sorted"
        self.lines.write_text(data.hex_lines(data.with_repeats(self.folder, self.n)))

    def other(self, ask: Ask) -> Callable[[], Any]:
        """Sort them, in memory."""
        one = self.run("sort", "-u", f"--parallel={ask.threads}", "-S", "50%", "-o", self.sorted, self.lines)
        return lambda: silent(one)


def silent(run: Callable[[], bytes]) -> None:
    """Run, and leave what was printed."""
    run()
