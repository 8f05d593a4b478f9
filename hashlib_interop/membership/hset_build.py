"""From batches of digests to a `.hset` file: sorted and joined, then laid out and written, within a budget of
memory.

The number of digests decides where everything lies, so that the joined records wait in a spool while they are
counted. The bytes depend on the digests and what they carry alone: not on their order, the budget, or the
threads.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from hashlib_interop.errors import BadDigest, BadOption, CannotWrite, shown
from hashlib_interop.files import faults_named, private_folder, published
from hashlib_interop.membership.hset_file import CLASSES, MOST_META, NUMBERS, SOURCES, WIDTHS, Header
from hashlib_interop.membership.hset_payload import Batch, Columns, Dictionary, Numbers
from hashlib_interop.membership.hset_words import Keys
from hashlib_interop.membership.hset_write import FileWriter, Payload, write_at
from hashlib_interop.membership.notice import notice
from hashlib_interop.membership.sorting import Sorter
from hashlib_interop.model import canonical_json

COLUMNS = {"numbers": NUMBERS, "sources": SOURCES, "classifications": CLASSES}
"""What a digest can carry, in the order of the file."""

MEMORY = "1GiB"
_SLICE = 2 << 20
"""Bytes of records that are laid out at once."""
_FIRST_LOOK = 16 << 20
"""Bytes of digests that wait until the memory is parted among their algorithms; a quarter of it at most."""
_LATE = 16
"""What part of the memory an algorithm gets that is met later: five at most, who take what was left of the budget."""
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def bytes_of(size: int | str) -> int:
    """Return a size in bytes from a number or a text as "768MB" or "8GiB", all of 1024. `BadOption` else."""
    if isinstance(size, int):
        return size
    match = re.fullmatch(r"(\d+(?:\.\d+)?) *([kmgt]?)(?:i?b)?", size.strip().lower(), re.ASCII)
    if not match:
        raise BadOption(f"{shown(size)!r} is no size: say it as 768MB or 8GiB")
    return int(float(match[1]) * _UNITS[match[2]])


@dataclass(frozen=True)
class Settings:
    """How to build. `algorithms` are in the file in any case; `payload` None: as the first batch has it."""

    algorithms: Collection[str] = ()
    payload: Collection[str] | None = None
    memory: int | str = MEMORY
    threads: int | None = None


def build(batches: Iterable[Batch], path: str | os.PathLike[str], settings: Settings | None = None) -> Header:
    """Write the set of all digests to `path`, whole or not at all; the same digests and payload give the same
    bytes.

    Raises what the batches raise, `BadDigest` for keys that are no digests, `BadOption` for a payload that
    the batches have not, `CannotWrite` beyond the limits of the format, `FileFault`.
    """
    with (
        published(path) as temporary,
        private_folder(temporary) as folder,
        temporary.open("r+b", buffering=0) as out,
    ):
        return build_into(out, batches, settings or Settings(), folder)


def build_into(
    out: BinaryIO, batches: Iterable[Batch], settings: Settings, folder: Path | None = None
) -> Header:
    """Write a set into an empty file, opened unbuffered; what does not fit the budget waits in `folder`."""
    notice()
    threads = settings.threads or os.cpu_count() or 1
    with contextlib.ExitStack() as kept, faults_named(str(folder or tempfile.gettempdir())):
        gathered = _Gathered(settings, bytes_of(settings.memory), threads, folder, kept)
        for batch in batches:
            gathered.add(batch)
        spools = gathered.joined()
        payload = gathered.payload()
        writer = FileWriter(out, payload, threads)
        for algorithm in list(spools):
            spool = spools.pop(algorithm)  # its memory is free for the next
            writer.add(algorithm, spool.count, spool.most, spool.slices)
        return writer.finish(gathered.meta(payload))


class Spool:
    """Joined records of one algorithm in order, `count` of them; in a file where memory is short."""

    def __init__(self, width: int, memory: int, folder: Path | None, kept: contextlib.ExitStack) -> None:
        self.count, self.most, self._width = 0, 0, width
        self._memory, self._folder, self._kept = memory, folder, kept
        self._rows: list[Keys] = []
        self._file: BinaryIO | None = None

    def add(self, rows: Keys) -> None:
        """Take the next records."""
        self.count += len(rows)
        self._rows.append(rows)
        if self._file is None and self.count * self._width > self._memory:
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
            self._kept.enter_context(self._file)
        if self._file is not None:
            for waiting in self._rows:
                write_at(self._file, self._file.tell(), np.ascontiguousarray(waiting).data.cast("B"))
            self._rows = []

    @property
    def held(self) -> int:
        """Return the bytes of memory that the records take."""
        return sum(rows.nbytes for rows in self._rows)

    def slices(self) -> Iterator[Keys]:
        """Yield all records, from the first on."""
        step = max(1, _SLICE // self._width)
        for rows in self._rows:
            yield from (rows[at : at + step] for at in range(0, len(rows), step))
        if self._file is not None:
            self._file.seek(0)
            while data := self._file.read(step * self._width):
                yield np.frombuffer(data, np.uint8).reshape(-1, self._width)


class _Gathered:
    """Records of every algorithm met, on their way through the sort."""

    def __init__(
        self, settings: Settings, budget: int, threads: int, folder: Path | None, kept: contextlib.ExitStack
    ) -> None:
        self._settings, self._budget, self._threads, self._folder, self._kept = (
            settings,
            budget,
            threads,
            folder,
            kept,
        )
        self._memory = budget * 3 // 4  # of the sorters that are there from the start
        self._columns: Columns | None = None
        self._numbers: Numbers | None = None
        self._sorters: dict[str, Sorter] = {}
        self._waiting: list[Batch] = []
        for algorithm in settings.algorithms:
            _width(algorithm)

    def add(self, batch: Batch) -> None:
        """Take a batch; its columns must be those that are wanted."""
        if (
            batch.keys.ndim != 2
            or batch.keys.shape[1] != _width(batch.algorithm)
            or batch.keys.dtype != np.uint8
        ):
            raise BadDigest(f"{batch.keys.shape} of {batch.keys.dtype} are no digests of {batch.algorithm}")
        if self._columns is None:
            self._columns = _columns(self._settings.payload, batch)
        if self._settings.payload is None:
            _refuse_other(self._columns, batch)
        if self._columns.numbers:
            self._check_numbers(batch)
        if self._sorters:
            self._sort(batch)
        else:
            self._waiting.append(batch)
            if sum(one.keys.nbytes for one in self._waiting) > min(_FIRST_LOOK, self._memory // 4):
                self._settle()

    def _settle(self) -> None:
        """Part the memory among the algorithms that were met so far, and sort what waits."""
        for algorithm in (names := {batch.algorithm for batch in self._waiting}):
            self._open(algorithm, self._memory // len(names))
        for batch in self._waiting:
            self._sort(batch)
        self._waiting = []

    def _open(self, algorithm: str, memory: int) -> None:
        width = self._record(algorithm)
        sorter = Sorter(width, memory=memory, threads=self._threads, folder=self._folder)
        self._sorters[algorithm] = self._kept.enter_context(sorter)

    def _record(self, algorithm: str) -> int:
        return (self._columns or _NO_COLUMNS).record(WIDTHS[algorithm])

    def _sort(self, batch: Batch) -> None:
        if batch.algorithm not in self._sorters:
            self._open(batch.algorithm, self._memory // _LATE)
        self._sorters[batch.algorithm].add((self._columns or _NO_COLUMNS).records(batch))

    def _check_numbers(self, batch: Batch) -> None:
        """Refuse numbers that do not mean the same as those before."""
        numbers = batch.numbers
        first = self._numbers = self._numbers or numbers
        if numbers is None or first is None:
            raise BadOption(f"not every source has numbers; {_LEAVE_OUT}")
        if (numbers.kind, numbers.catalog) != (first.kind, first.catalog):
            raise BadOption(f"numbers of two catalogs, or of items and entries, do not mix; {_LEAVE_OUT}")

    def joined(self) -> dict[str, Spool]:
        """Return the records of each algorithm, by rising width, sorted and joined."""
        self._settle()
        if not self._sorters and not self._settings.algorithms:
            raise BadOption("nothing to build from: no digest was found; say the algorithm of an empty set")
        spools: dict[str, Spool] = {}
        for name in WIDTHS:
            if name in self._sorters or name in self._settings.algorithms:
                held = sum(one.held for one in self._sorters.values()) + sum(one.held for one in spools.values())
                spools[name] = self._spooled(name, self._columns or _NO_COLUMNS, self._budget - held)
        return spools

    def _spooled(self, algorithm: str, columns: Columns, free: int) -> Spool:
        """Sort and join the records of an algorithm; they may take the memory that is free, or stay where they lie."""
        sorter = self._sorters.get(algorithm)
        memory = free if sorter and sorter.spilled else self._budget
        spool = Spool(columns.record(WIDTHS[algorithm]), memory, self._folder, self._kept)
        for rows in columns.joined(sorter.sorted(), WIDTHS[algorithm]) if sorter else ():
            spool.most = max(spool.most, columns.note(rows, WIDTHS[algorithm]))
            spool.add(rows)
        return spool

    def payload(self) -> Payload:
        """Return what the writer needs to know of the columns, once all is joined."""
        columns = self._columns or _NO_COLUMNS
        return Payload(columns, {name: one.final() for name, one in columns.sets.items()})

    def meta(self, payload: Payload) -> bytes:
        """Return META, empty where there is nothing to say."""
        said: dict[str, object] = {name: sets for name, (sets, _) in payload.final.items()}
        if self._numbers is not None:
            said["numbers"] = self._numbers.kind
            if self._numbers.catalog:
                said["catalog"] = self._numbers.catalog
        data = canonical_json(said).encode() if said else b""
        if len(data) > MOST_META:
            raise CannotWrite(f"too many different sets of sources or classifications; {_LEAVE_OUT}")
        return data


_NO_COLUMNS = Columns(False, {})
_LEAVE_OUT = "leave that column out with `payload`"


def _width(algorithm: str) -> int:
    if algorithm not in WIDTHS:
        raise BadOption(f"unknown algorithm {shown(algorithm)!r}; known: {', '.join(WIDTHS)}")
    return WIDTHS[algorithm]


def _columns(payload: Collection[str] | None, first: Batch) -> Columns:
    """Return the columns to carry: those named, else those of the first batch."""
    wanted = [name for name in COLUMNS if getattr(first, name) is not None] if payload is None else payload
    wanted = [wanted] if isinstance(wanted, str) else wanted
    if unknown := set(wanted) - set(COLUMNS):
        raise BadOption(f"unknown payload {shown(', '.join(sorted(unknown)))!r}; known: {', '.join(COLUMNS)}")
    return Columns(
        "numbers" in wanted, {name: Dictionary() for name in COLUMNS if name in wanted and name != "numbers"}
    )


def _refuse_other(columns: Columns, batch: Batch) -> None:
    """Refuse a batch that carries other columns than the first, whichever has more: which to carry is for the user to say."""
    held = {*columns.sets, *(["numbers"] if columns.numbers else [])}
    if other := [name for name in COLUMNS if (name in held) != (getattr(batch, name) is not None)]:
        raise BadOption(
            f"only some of the sources have {', '.join(other)}; name the columns to carry with `payload`"
        )
