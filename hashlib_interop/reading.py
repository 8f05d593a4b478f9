"""`read`: a file of any format as entries, row by row or batch by batch, with what had to be said about it."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop.columns import complete, evidence_column
from hashlib_interop.errors import BadOption, BadPolicy, CannotWrite, shown
from hashlib_interop.files import Input, Limits, Progress, open_input
from hashlib_interop.format import Columns, Delivery, Format, Reading
from hashlib_interop.formats import FORMATS
from hashlib_interop.model import SLUG, Entry, entries_of
from hashlib_interop.report import REJECTS_KEPT, Import, Reject
from hashlib_interop.sniffing import sniff


def checked_slug(name: str) -> str:
    """Return a source name, or `BadPolicy`: ASCII, lower case, so that no two names look alike."""
    if not SLUG.fullmatch(name):
        raise BadPolicy(f"source name {shown(name)!r}: use lower-case ASCII letters, digits, '.', '_' and '-'")
    return name


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def clock() -> datetime:
    """Return the run's time: `SOURCE_DATE_EPOCH` where set, else now; whole milliseconds, UTC."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        seconds = float(fixed) if fixed else time.time()
        return EPOCH + timedelta(milliseconds=int(seconds * 1000))
    except (ValueError, OverflowError):
        raise BadOption(f"SOURCE_DATE_EPOCH is {shown(fixed)}: seconds since 1970 are wanted") from None


@cache
def library_version() -> str:
    """Return our version, `uninstalled` where the library runs from a folder."""
    try:
        return version("hashlib-interop")
    except PackageNotFoundError:
        return "uninstalled"


@dataclass
class Reader:
    """One input, ready to be read, once. Iterating gives entries; `batches` gives columns.

    After the last batch, `imports` says what was read; `rejects` holds the first of the refused records
    (`REJECTS_KEPT`), and `on_reject` gets them all as they come.
    """

    input: Input
    format: Format
    source: str
    release: datetime | None = None
    delivery: Delivery | None = None
    recorded_at: datetime = field(default_factory=clock)
    options: Mapping[str, Any] = field(default_factory=dict)
    max_rejects: int | None = None
    on_reject: Callable[[Reject], None] | None = None
    progress: Progress | None = None
    batch_rows: int = 16_384
    rejects: list[Reject] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    """What was dropped by rule, and how many, once all is read."""
    named: bool = False
    """Whether somebody said whose list it is."""
    witnessed: Counter[tuple[str, datetime | None]] = field(default_factory=Counter)
    """Rows by source and release that have this very file as evidence; not those that bring their own."""
    refused: Counter[tuple[str, datetime | None]] = field(default_factory=Counter)

    def __iter__(self) -> Iterator[Entry]:
        for batch in self.batches():
            yield from entries_of(batch)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield batches of `ENTRY_SCHEMA`. Raises `MalformedInput` for a file that cannot be trusted to its end."""
        if self.format.read is None:
            raise CannotWrite(f"{self.format.name} can be written, not read", file=self.input.name)
        with contextlib.ExitStack() as kept:
            reading = self._reading(lambda: kept.enter_context(self.input.local()))
            stream = kept.enter_context(self.input.stream(self.progress, self.options.get("encoding")))
            for columns in self.format.read(stream, reading):
                yield self._completed(columns, reading)
            if self.input.compression:
                _drain(stream)
            self.imports, self.facts = list(reading.imports), dict(sorted(reading.facts.items()))
            self.left_out = dict(sorted(reading.dropped.items()))
            self.imports += [self._import(reading, *key) for key in self._keys()]

    def _reading(self, local_path: Callable[[], Path]) -> Reading:
        return Reading(
            name=self.input.name,
            source=self.source,
            unit=self.format.unit,
            options=self.options,
            batch_rows=self.batch_rows,
            max_rejects=self.max_rejects,
            on_reject=self._refuse,
            local_path=local_path,
            release=self.release,
        )

    def _refuse(self, reject: Reject) -> None:
        whose = {"format": self.format.name, "source": self.source, "release": self.release}
        told = {"delivery": self.delivery, "options": {k: str(v) for k, v in self.options.items()}}
        reject = reject if reject.format else reject.model_copy(update=whose | told)
        self.refused[reject.source or self.source, reject.release] += 1
        if len(self.rejects) < REJECTS_KEPT:
            self.rejects.append(reject)
        if self.on_reject:
            self.on_reject(reject)

    def _completed(self, columns: Columns, reading: Reading) -> pa.RecordBatch:
        self.release = self.release or reading.release
        given = _without_empty(columns.get("evidence"))
        if given is None or given.null_count:
            releases = columns.pop("release", None)
            seen = evidence_column(self.input.file, self.release if releases is None else releases, columns["position"])
            columns["evidence"] = seen if given is None else pc.if_else(given.is_valid(), given, seen)
            self._witness(len(seen), columns.get("source"), releases)
        defaults = {"source": self.source, "recorded_at": self.recorded_at}
        return complete(columns, defaults)

    def _witness(self, count: int, sources: pa.Array | None, releases: pa.Array | None) -> None:
        """Count whose rows this very file is evidence of; a batch with a column `release` has one of them."""
        if sources is None:
            self.witnessed[self.source, self.release] += count
            return
        for pair in pc.value_counts(sources).to_pylist():
            dates = pc.unique(releases).to_pylist() if releases is not None else [self.release]
            self.witnessed[pair["values"] or self.source, dates[0]] += pair["counts"]

    def _keys(self) -> list[tuple[str, datetime | None]]:
        """Return the sources and releases that this file is an import of, in order; most files are of one."""
        keys = {*self.witnessed, *self.refused}
        if not keys and not (self.imports or self.format.keeps_entries):
            keys = {(self.source, self.release)}
        return sorted(keys, key=lambda key: (key[0], key[1] or EPOCH))

    def _import(self, reading: Reading, source: str, release: datetime | None) -> Import:
        delivery = reading.deliveries.get((source, release), self.delivery or reading.delivery)
        return Import(
            source=source,
            release=release,
            file=self.input.file,
            name=os.path.basename(self.input.name).encode("utf-8", "backslashreplace").decode(),
            size=self.input.size,
            format=self.format.name,
            reader=f"{self.format.name} {library_version()}",
            delivery=delivery or self.format.delivery,
            recorded_at=self.recorded_at,
            facts=dict(sorted(reading.facts.items())),
            read=self.witnessed[source, release],
            rejected=self.refused[source, release],
            dropped=dict(sorted(reading.dropped.items())),
            rejects=[reject.bare(os.path.basename(reject.file)) for reject in self.rejects if (reject.source, reject.release) == (source, release)],
        )


def _without_empty(evidence: pa.Array | None) -> pa.Array | None:
    """Return evidence with null for an empty list: such a row has this file as its only evidence."""
    if evidence is None:
        return None
    held = pc.greater(pc.list_value_length(evidence), 0).fill_null(False)
    return pc.if_else(held, evidence, pa.scalar(None, evidence.type))


def _drain(stream: BinaryIO) -> None:
    """Read on to the end: what says that compressed data is whole comes last."""
    while stream.read(1 << 20):
        pass


def open_readers(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    source: str | None = None,
    limits: Limits | None = None,
    **settings: Any,
) -> list[Reader]:
    """Return a reader for each file behind a path (a zip may hold several).

    `format` is a name of `FORMATS`, else the content decides. `source` is the slug of the source, else the
    format's name. `settings` are the fields of `Reader`.
    """
    readers = []
    for found in open_input(path, limits):
        chosen = FORMATS[format or sniff(found)]
        readers.append(Reader(found, chosen, checked_slug(source or chosen.name), named=bool(source), **settings))
    return readers


def read(path: str | os.PathLike[str], **settings: Any) -> Iterator[Entry]:
    """Yield the entries of a file, of all members of a zip one after another; see `open_readers`."""
    for reader in open_readers(path, **settings):
        yield from reader


def read_batches(path: str | os.PathLike[str], **settings: Any) -> Iterator[pa.RecordBatch]:
    """Yield a file as batches of `ENTRY_SCHEMA`; see `open_readers`."""
    for reader in open_readers(path, **settings):
        yield from reader.batches()
