"""`describe`: what a file is, why it is thought to be that, and what it holds. Streams, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop.algorithms import ALGORITHMS
from hashlib_interop.columns import mask_of
from hashlib_interop.converting import check_options, chosen_options
from hashlib_interop.errors import shown
from hashlib_interop.reading import Reader, open_readers
from hashlib_interop.report import Import
from hashlib_interop.sniffing import Claim, claims
from hashlib_interop.tally import RejectTally, ValueTally


@dataclass
class Contents:
    """Counts over the entries of a file."""

    entries: int = 0
    retracted: int = 0
    votes: int = 0
    decisions: int = 0
    algorithms: dict[str, int] = field(default_factory=dict)
    fingerprints: ValueTally = field(default_factory=ValueTally)
    classifications: ValueTally = field(default_factory=ValueTally)
    media: ValueTally = field(default_factory=ValueTally)
    contributors: ValueTally = field(default_factory=ValueTally)
    sources: ValueTally = field(default_factory=ValueTally)
    tlp: ValueTally = field(default_factory=ValueTally)
    first: datetime | None = None
    last: datetime | None = None

    @property
    def active(self) -> int:
        """Entries that assert something of a file: neither retractions, nor votes, nor decisions."""
        return self.entries - self.retracted - self.votes - self.decisions

    def add(self, batch: pa.RecordBatch) -> None:
        """Count a batch of `ENTRY_SCHEMA`."""
        self.entries += batch.num_rows
        gone = mask_of(pc.equal(batch.column("state"), "retracted"))
        vote = mask_of(batch.column("vote").is_valid()) & ~gone
        about = mask_of(batch.column("about").is_valid()) & ~gone & ~vote
        self.retracted += int(gone.sum())
        self.votes += int(vote.sum())
        self.decisions += int(about.sum())
        self._add_values(batch)
        self._add_stamps(batch.column("asserted_at"))

    def _add_values(self, batch: pa.RecordBatch) -> None:
        for name in ALGORITHMS:
            held = batch.num_rows - batch.column(name).null_count
            if held:
                self.algorithms[name] = self.algorithms.get(name, 0) + held
        self.fingerprints.add(batch.column("fingerprints").flatten().field("kind"))
        pairs = batch.column("classifications").flatten()
        self.classifications.add(pc.binary_join_element_wise(pairs.field("scheme"), pairs.field("code"), " "))
        for tally, name in (
            (self.media, "media"),
            (self.contributors, "contributor"),
            (self.sources, "source"),
        ):
            tally.add(batch.column(name))
        self.tlp.add(pc.struct_field(batch.column("handling"), "tlp"))

    def _add_stamps(self, column: pa.Array) -> None:
        span = pc.min_max(column).as_py()
        if span["min"] is not None:
            self.first = min(self.first or span["min"], span["min"])
            self.last = max(self.last or span["max"], span["max"])

    def to_json(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        return {
            "entries": self.entries,
            "active": self.active,
            "retracted": self.retracted,
            "votes": self.votes,
            "decisions": self.decisions,
            "algorithms": {name: self.algorithms[name] for name in ALGORITHMS if name in self.algorithms},
            "fingerprints": self.fingerprints.sorted(),
            "classifications": self.classifications.sorted(),
            "media": self.media.sorted(),
            "tlp": self.tlp.sorted(),
            "sources": self.sources.sorted(),
            "contributors": len(self.contributors),
            "first_asserted_at": self.first.isoformat() if self.first else None,
            "last_asserted_at": self.last.isoformat() if self.last else None,
        }


IMPORTS_SHOWN = 20


def _told(one: Import) -> str:
    release = f"{one.release:%Y-%m-%d}" if one.release else "no date"
    return f"{one.source}, {release}: {shown(one.name, 40)}, {one.read:,} read, {one.rejected:,} rejected"


@dataclass
class Description:
    """What was found out about one file, or one member of a zip. `size` in bytes as received."""

    name: str
    format: str
    claims: list[Claim]
    compression: str | None
    size: int
    sha256: str
    imports: list[Import]
    contents: Contents
    rejects: RejectTally
    own_facts: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the description as JSON values."""
        return {
            "name": self.name,
            "format": self.format,
            "claims": {claim.format: claim.certainty for claim in self.claims},
            "compression": self.compression,
            "size": self.size,
            "sha256": self.sha256,
            "facts": self.facts,
            "dropped": self.dropped,
            "contents": self.contents.to_json(),
            "rejected": self.rejects.total(),
            "rejects": self.rejects.to_json(),
        }

    @property
    def facts(self) -> dict[str, str]:
        """Facts of the whole file; for a list that was made of others, what went into it."""
        if len(self.imports) == 1:
            return self.imports[0].facts | self.own_facts
        told = {f"import {k}": _told(one) for k, one in enumerate(self.imports[:IMPORTS_SHOWN], 1)}
        return {**self.own_facts, "imports": str(len(self.imports)), **told}

    @property
    def dropped(self) -> dict[str, int]:
        """Values dropped on read by rule."""
        return self.imports[0].dropped if len(self.imports) == 1 else {}


def describe(
    path: str | os.PathLike[str],
    *,
    options: Mapping[str, str] | None = None,
    **settings: Any,
) -> Iterator[Description]:
    """Yield a description of each file behind a path. `settings` as for `reading.open_readers`."""
    on_reject = settings.pop("on_reject", None)
    for reader in open_readers(path, **settings):
        reader.options, used = chosen_options(options or {}, reader.format, "from.", "encoding")
        check_options(options or {}, used, [reader.format])
        yield _described(reader, on_reject)


def _described(reader: Reader, on_reject: Any) -> Description:
    rejects, contents = RejectTally(), Contents()

    def refuse(reject: Any) -> None:
        rejects.add(reject)
        if on_reject:
            on_reject(reject)

    reader.on_reject = refuse
    found = claims(reader.input.head(reader.options.get("encoding")))
    for batch in reader.batches():
        contents.add(batch)
    source = reader.input
    return Description(
        name=source.name,
        format=reader.format.name,
        claims=found,
        compression=source.compression,
        size=source.size,
        sha256=source.file.hex(),
        imports=reader.imports,
        contents=contents,
        rejects=rejects,
        own_facts=reader.facts,
    )
