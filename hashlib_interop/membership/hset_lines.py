"""The lines of a new group in numpy: the twin of the compiled `LinesBuilder`, of the same bytes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hashlib_interop.membership.hset_file import (
    CHAIN,
    DRIFT_LINES,
    LINE,
    LONGEST_CHAIN,
    PLACE_MOST,
    SLOTS,
    SLOTS_WITH_NEXT,
    drifts,
)
from hashlib_interop.membership.hset_words import (
    Keys,
    Line16,
    Places,
    big_words,
    first_words,
    homes,
    precedes,
)

_HEAD, _NEXT = 3, 30
_PART = DRIFT_LINES << 18


def drift(home: Keys, n: int) -> npt.NDArray[np.int16]:
    """Return DRIFT of home lines, (NB, 64): by how much the ranks of every fourth one differ from `n` digests
    in even steps, and 0 for the end. What does not fit 16 bits is cut to what does: it is where to look first.
    """
    found = np.zeros(drifts(len(home)), np.int16)
    for start in range(0, len(home), _PART):
        line = np.arange(start, min(start + _PART, len(home)), DRIFT_LINES, dtype=np.uint64)
        rank = home[line].view("<u8")[:, 0] & np.uint64((1 << 40) - 1)
        even = line * np.uint64(n // len(home)) + line * np.uint64(n % len(home)) // np.uint64(len(home))
        away = np.clip(rank.astype(np.int64) - even.astype(np.int64), -(1 << 15), (1 << 15) - 1)
        found[start // DRIFT_LINES :][: len(line)] = away
    return found.astype("<i2")


class LinesBuilder:
    """The lines of one group (layout 1), from its sorted, unique digests, handed over in slices.

    `home_lines` and `rest` are those of `hset_file.geometry` for the number of digests that will come.
    `count` is how many came, `longest` the lines of the longest chain: over 8, and the group must be written
    in layout 0.
    """

    def __init__(self, width: int, home_lines: int, rest: int) -> None:
        self.count, self.longest = 0, 0
        self._home_lines, self._depth = home_lines, width - rest
        self._before: Keys = np.zeros((0, width), np.uint8)
        self._line, self._fp = np.zeros(0, np.intp), np.zeros(0, np.uint16)
        self._finished, self._overflow = 0, 0
        self._home: list[Line16] = []
        self._further: list[Line16] = []

    def add(self, digests: Keys) -> Keys:
        """Take the next digests, (m, width), and return what REST holds of them, (m, rest).

        `ValueError` where they do not rise, within the slice or from the one before it.
        """
        digests = np.ascontiguousarray(digests)
        self._check(digests)
        line, fp = homes(first_words(digests), self._home_lines)
        self._line, self._fp = np.concatenate([self._line, line]), np.concatenate([self._fp, fp])
        self.count += len(digests)
        if len(line):
            self._finish(int(line[-1]))
        return digests[:, self._depth :]

    def _check(self, digests: Keys) -> None:
        """Refuse what does not rise."""
        row = big_words(np.concatenate([self._before, digests]))
        if not precedes([word[:-1] for word in row], [word[1:] for word in row]).all():
            raise ValueError("digests must rise")
        self._before = digests[-1:].copy() if len(digests) else self._before

    def _finish(self, stop: int) -> None:
        """Make the home lines before `stop`; what is in later ones waits."""
        done = int(np.searchsorted(self._line, stop))
        count = np.bincount(self._line[:done] - self._finished, minlength=stop - self._finished)
        longest = max(int(count.max(initial=0)), len(self._line) - done)
        too_many = longest > LONGEST_CHAIN or self._most_together(done) > PLACE_MOST
        self.longest = max(self.longest, CHAIN + 1 if too_many else _chain(longest))
        if self.longest <= CHAIN and stop > self._finished:
            self._make(count, self._fp[:done])
        self._line, self._fp, self._finished = self._line[done:], self._fp[done:], stop

    def _most_together(self, stop: int) -> int:
        """Return how many of the first digests that wait have one line and fingerprint, at most."""
        place = self._line[:stop] << 16 | self._fp[:stop]
        starts = np.flatnonzero(np.concatenate([[True], place[1:] != place[:-1], [True]]))
        return int(np.diff(starts).max(initial=0))

    def _make(self, count: npt.NDArray[np.int64], fp: Line16) -> None:
        """Make home lines of `count` digests each, and those that go on from them."""
        home = np.repeat(np.arange(len(count)), count)
        start = np.cumsum(count) - count
        links = np.where(count > SLOTS, -((SLOTS - count) // SLOTS_WITH_NEXT), 0)
        further = len(count) + np.cumsum(links) - links
        place = np.arange(len(fp)) - start[home]
        link = np.minimum(place // SLOTS_WITH_NEXT, links[home])
        row = np.where(link, further[home] + link - 1, home)
        lines = np.full((len(count) + int(links.sum()), LINE // 2), 0xFFFF, np.uint16)
        lines[row, _HEAD + place - link * SLOTS_WITH_NEXT] = fp
        self._point(lines, len(count), links, further)
        self._count(lines, np.concatenate([start, start[np.repeat(np.arange(len(count)), links)]]), row)
        self._home.append(lines[: len(count)])
        self._further.append(lines[len(count) :])
        self._overflow += len(lines) - len(count)

    def _point(self, lines: Line16, homes: int, links: Places, further: Places) -> None:
        """Write the number of the next line into those that go on, and mark them."""
        chain = np.repeat(np.arange(homes), links)
        nth = np.arange(len(chain)) - (further[chain] - homes)
        lines[:, 2] = 0
        before = np.where(nth, further[chain] + nth - 1, chain)
        following = self._home_lines + self._overflow + np.arange(len(chain))
        lines[before, _NEXT], lines[before, _NEXT + 1] = following & 0xFFFF, following >> 16
        lines[before, 2] = 0x8000

    def _count(self, lines: Line16, start: Places, row: Places) -> None:
        """Write rank and count into the head of each line."""
        count = np.bincount(row, minlength=len(lines))
        first = np.full(len(lines), -1)
        first[row[::-1]] = np.arange(len(row))[::-1]
        base = self._ranks_before + np.where(first < 0, start, first)
        lines[:, 0], lines[:, 1] = base & 0xFFFF, base >> 16 & 0xFFFF
        lines[:, 2] |= (base >> 32 | count << 8).astype(np.uint16)

    @property
    def _ranks_before(self) -> int:
        """Return the rank of the first digest that waits."""
        return self.count - len(self._line)

    def lines(self) -> Keys:
        """End the building and return all lines, (NB + NO, 64)."""
        self._finish(self._home_lines)
        lines = np.concatenate([*self._home, *self._further])
        return lines.astype("<u2").view(np.uint8).reshape(-1, LINE)


def _chain(count: int) -> int:
    """Return the lines that hold `count` digests."""
    return 1 if count <= SLOTS else 1 - (SLOTS - count) // SLOTS_WITH_NEXT
