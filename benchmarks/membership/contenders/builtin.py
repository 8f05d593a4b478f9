"""What comes with Python: `set`, `bytes.fromhex`, a loop over the lines of a file."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.membership import data
from benchmarks.membership.contender import Ask, Contender


class Set(Contender):
    """A `set` of bytes. Queries are bytes objects already, each one new, as they come in practice."""

    def build(self) -> None:
        """Make it."""
        self.set = set(data.values(data.keys(self.folder, self.n)))

    def lookup(self, queries: data.Keys, ask: Ask) -> Callable[[], Any]:
        """Look a list up in the fastest way there is."""
        values, held = data.values(queries), self.set
        return lambda: [value in held for value in values]

    def hits(self, result: Any) -> int:
        """Count the hits."""
        return sum(result)

    def container(self) -> set[bytes]:
        """Return the set."""
        return self.set

    def other(self, ask: Ask) -> Callable[[], Any]:
        """Take it from a pickle, or look the lines of a file up in the way that everybody writes first."""
        if ask.what == "file to hits":
            data.read(data.lines(self.folder, self.n))
            return self._from_file
        if ask.what == "first answer":
            pickled = self.own / "set.pickle"
            pickled.write_bytes(pickle.dumps(self.set, 5))
            return lambda: int(bytes(data.WIDTH) in pickle.loads(pickled.read_bytes()))
        raise NotImplementedError(ask.what)

    def _from_file(self) -> int:
        held, found = self.set, []
        with data.lines(self.folder, self.n).open() as lines:
            for line in lines:
                if bytes.fromhex(line) in held:
                    found.append(line)
        return len(found)


class FromHex(Contender):
    """`bytes.fromhex` of a whole text, which skips line ends, and any other space wherever it stands."""

    def other(self, ask: Ask) -> Callable[[], Any]:
        """Decode a text that is in memory."""
        text = (data.lines(self.folder, self.n)).read_text()
        return lambda: len(bytes.fromhex(text)) // data.WIDTH


class Reading(Contender):
    """The greatest byte of a text, by numpy, which takes no longer than to read it."""

    def other(self, ask: Ask) -> Callable[[], Any]:
        """Read a text that is in memory, and say how many lines it has."""
        text = np.frombuffer((data.lines(self.folder, self.n)).read_bytes(), np.uint8)
        return lambda: len(text) // (2 * data.WIDTH + 1) if text.max() else 0


class FromHexByLine(Contender):
    """`bytes.fromhex` of each line."""

    def other(self, ask: Ask) -> Callable[[], Any]:
        """Decode lines that are in memory."""
        text = (data.lines(self.folder, self.n)).read_text()
        return lambda: len([bytes.fromhex(line) for line in text.split()])
