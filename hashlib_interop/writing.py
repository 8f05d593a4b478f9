"""`write` and `convert`: entries into a file of any format, what is lost counted before it is published."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa

from hashlib_interop.carrying import Losses, project
from hashlib_interop.errors import CannotWrite, UnknownFormat
from hashlib_interop.files import published
from hashlib_interop.format import Format, Writing
from hashlib_interop.formats import FORMATS
from hashlib_interop.model import Entry, batch_of
from hashlib_interop.report import Import, Loss


@dataclass
class Written:
    """What a write did: rows given and written, and the losses."""

    format: str
    given: int = 0
    written: int = 0
    losses: list[Loss] = field(default_factory=list)


def format_for(path: str | os.PathLike[str], name: str | None = None) -> Format:
    """Return the format to write: the one named, else the one whose suffix the path has."""
    if name:
        return FORMATS[name]
    text = os.fspath(path).lower()
    found = [
        (len(suffix), known) for known in FORMATS for suffix in FORMATS[known].suffixes if text.endswith(suffix)
    ]
    if not found:
        raise UnknownFormat("the suffix says no format: say which with --to", file=os.fspath(path))
    best = max(found)
    equal = sorted({known for length, known in found if length == best[0]})
    if len(equal) > 1:
        raise UnknownFormat(f"the suffix could mean {' or '.join(equal)}: say which with --to", file=os.fspath(path))
    return FORMATS[equal[0]]


def batched(entries: Iterable[Entry | pa.RecordBatch], rows: int = 16_384) -> Iterator[pa.RecordBatch]:
    """Yield batches from entries, batches, or a mixture."""
    waiting: list[Entry] = []
    for item in entries:
        if isinstance(item, Entry):
            waiting.append(item)
        if waiting and (len(waiting) >= rows or not isinstance(item, Entry)):
            yield batch_of(waiting)
            waiting = []
        if not isinstance(item, Entry):
            yield item
    if waiting:
        yield batch_of(waiting)


def write_stream(
    batches: Iterable[pa.RecordBatch], stream: BinaryIO, format: Format, writing: Writing
) -> Written:
    """Write batches to an open stream; return what was written and lost."""
    if format.write is None:
        raise CannotWrite(f"{format.name} can be read, not written", file=writing.name)
    done, losses = Written(format.name), Losses()

    def projected() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            carried = project(batch, format, writing, losses)
            done.given += batch.num_rows
            done.written += carried.num_rows
            if carried.num_rows:
                yield carried

    format.write(projected(), stream, writing)
    done.losses = list(losses)
    return done


def write(
    entries: Iterable[Entry | pa.RecordBatch],
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    options: Mapping[str, Any] | None = None,
    imports: list[Import] | None = None,
    drop_handling: Collection[str] = (),
    known_files: bool = False,
    strict: bool = False,
) -> Written:
    """Write entries to a file that appears whole or not at all.

    A restriction that the format cannot say keeps its row from being written, unless `drop_handling` names it (or
    `all`); so does being only a known file, unless `known_files`. With `strict`, a loss raises `CannotWrite` and nothing is published.
    """
    chosen = format_for(path, format)
    known = [] if imports is None else imports
    writing = Writing(os.fspath(path), options or {}, known, frozenset(drop_handling), known_files)
    with published(path) as temporary:
        with Path(temporary).open("r+b") as stream:
            done = write_stream(batched(entries), cast(BinaryIO, stream), chosen, writing)
        if strict and done.losses:
            named = "; ".join(str(loss) for loss in done.losses)
            raise CannotWrite(f"{chosen.name} cannot carry everything: {named}", file=os.fspath(path))
    return done
