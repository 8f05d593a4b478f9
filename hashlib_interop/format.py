"""The contract of a format: what a module in `formats/` declares, and what it is given.

A reader takes an open binary stream (decompressed, UTF-8 without BOM) and yields `Columns`: some of the
fields of `ENTRY_SCHEMA`, and `position`. A writer takes batches of `ENTRY_SCHEMA` that hold nothing but
what the format declares to carry. Neither knows any other format.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hashlib_interop.errors import MalformedInput, TooManyRejects, shown
from hashlib_interop.report import Import, Reject

Columns = dict[str, pa.Array]
"""Fields of `ENTRY_SCHEMA` by name, all of one length, and `position` (int64). Absent fields are null.

A column `release` (a stamp) says the release of each row, where a file holds rows of several.
"""

Delivery = Literal["snapshot", "delta"]
RAW_LIMIT = 1 << 20


@dataclass
class Reading:
    """One file being read: what the reader may ask, and where it says what it met."""

    name: str
    source: str
    unit: str = "record"
    options: Mapping[str, Any] = field(default_factory=dict)
    batch_rows: int = 16_384
    max_rejects: int | None = None
    on_reject: Callable[[Reject], None] | None = None
    local_path: Callable[[], Path] | None = None
    facts: dict[str, str] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    rejected: int = 0
    release: datetime | None = None
    delivery: Delivery | None = None
    imports: list[Import] = field(default_factory=list)
    frame: tuple[str, str] | None = None
    """What makes a raw record a file of this format: the text before it and after it."""
    deliveries: dict[tuple[str, datetime | None], Delivery] = field(default_factory=dict)
    """How sources deliver, where the file itself knows: by source and release."""
    withhold: bool = False
    """Whether raw records may hold what this reader drops by rule."""

    def reject(
        self,
        position: int,
        reason: str,
        *,
        field: str | None = None,
        value: object = None,
        raw: str | bytes | None = None,
        frame: tuple[str, str] | None = None,
        redacted: bool = False,
    ) -> None:
        """Refuse one record: count it, hand it on, and stop the run where `max_rejects` is passed.

        Where `withhold` is set, `raw` is kept only if the reader says that it is `redacted`.
        """
        raw = None if self.withhold and not redacted else raw
        text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
        reject = Reject(
            file=self.name,
            position=position,
            unit=self.unit,
            reason=reason,
            field=field,
            value=None if value is None else shown(value),
            raw=text if text and len(text) <= RAW_LIMIT else None,
            frame=frame or self.frame,
        )
        self.refuse(reject)

    def refuse(self, reject: Reject) -> None:
        """Count a refusal and hand it on; see `reject`."""
        self.rejected += 1
        if self.on_reject:
            self.on_reject(reject)
        if self.max_rejects is not None and self.rejected > self.max_rejects:
            raise TooManyRejects(f"more than {self.max_rejects} records refused; the last: {reject}")

    def drop(self, what: str, count: int = 1) -> None:
        """Count a value that is dropped on read by rule (imagery, personal data, file-local numbers)."""
        if count:
            self.dropped[what] += count

    def fact(self, name: str, value: object) -> None:
        """Note something true of the whole file: version, profile, environment, a broken promise."""
        self.facts[name] = shown(value, 200)

    def malformed(self, message: str, position: int | None = None) -> MalformedInput:
        """Return the error for a file that cannot be read on, with its place."""
        place = None if position is None else f"{self.unit} {position}"
        return MalformedInput(message, file=self.name, position=place)


@dataclass
class Writing:
    """One file being written: options, the imports behind the entries, and the facts for a header.

    `drop_handling` are the restrictions (`handling.codes_of`; `all`) that may be lost: a row with another one that
    the format has no place for is not written. Nor is an entry that only says that a file is known (NSRL) where the
    format cannot say so, unless `known_files`: it would look like all others. `memory` is where `refuses` keeps what it has to know of the batches
    before.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    imports: list[Import] = field(default_factory=list)
    drop_handling: frozenset[str] = frozenset()
    known_files: bool = False
    memory: dict[str, Any] = field(default_factory=dict)


Carry = Callable[[pa.RecordBatch, Writing], pa.Array]
"""Given a batch, the column as the format can hold it: what it leaves out is null or shorter."""


def whole(name: str) -> Carry:
    """Carry a field as it is."""
    return lambda batch, writing: batch.column(name)


Refuses = Callable[[pa.RecordBatch, Writing], list[tuple[str, npt.NDArray[np.bool_]]]]
"""Given a batch, the reasons why rows of it cannot be written, each with the mask of these rows."""

Read = Callable[[BinaryIO, Reading], Iterator[Columns]]
Write = Callable[[Iterable[pa.RecordBatch], BinaryIO, Writing], None]


@dataclass(frozen=True)
class Option:
    """A setting of a reader or writer, given as `--option NAME=VALUE` or by keyword."""

    name: str
    help: str


@dataclass(frozen=True)
class Format:
    """A format, as its module declares it in `FORMAT`.

    `sniff` gets the first 64 KiB (decompressed, UTF-8) and returns a claim from 0 (not mine) to 100
    (certain); two equal greatest claims are an error. `carries` names the fields that it holds and how;
    a retraction needs `state`, a vote `vote` and `about` among them. `needs` are fields without which
    a row cannot be written; `refuses` says what else a row must have, where options decide.
    """

    name: str
    title: str
    spec: str
    sniff: Callable[[bytes], int]
    read: Read | None = None
    write: Write | None = None
    carries: Mapping[str, Carry] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    needs_digest: bool = True
    refuses: Refuses | None = None
    delivery: Delivery = "snapshot"
    unit: str = "record"
    suffixes: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    hints: Mapping[str, str] = field(default_factory=dict)
    """By field: what would let the format carry more of it; said with a loss."""
    keeps_entries: bool = False
    """True for native, parquet, catalog: they hold every entry as it stands. The others take one row an item."""
