"""Looking a text up: which of its digests are in a set, who lists them, and as what. Streamed, block by block.

with open_set("all.hset") as opened:
    lookup = Lookup(opened, show="hits")
    for batch in lookup.file("manifest.txt"):       # record batches of RESULT
        ...
    lookup.hits, lookup.misses, lookup.bad
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hashlib_interop import kernels
from hashlib_interop.columns import encode_hex, fixed_binary, same
from hashlib_interop.compression import compression_of
from hashlib_interop.errors import MalformedInput, shown
from hashlib_interop.files import Progress, faults_named, open_input, recoded
from hashlib_interop.format import Reading
from hashlib_interop.membership.digest_keys import Keys
from hashlib_interop.membership.digest_sources import kind_of
from hashlib_interop.membership.fuse import Filter
from hashlib_interop.membership.hashset import HashSet
from hashlib_interop.membership.hset_file import ALGORITHM_OF
from hashlib_interop.membership.hset_words import taken
from hashlib_interop.membership.lookup_lines import Block, Text
from hashlib_interop.report import Reject

Path = str | os.PathLike[str]
Ranks = npt.NDArray[np.signedinteger]
Show = Literal["hits", "misses", "all"]

RESULT = pa.schema(
    [
        ("line", pa.int64()),
        ("algorithm", pa.string()),
        ("digest", pa.string()),
        ("hit", pa.bool_()),
        ("number", pa.uint64()),
        ("sources", pa.list_(pa.string())),
        ("classifications", pa.list_(pa.string())),
        ("text", pa.string()),
    ]
)
"""A line that was looked up: its number from 1, the digest in hex (of several, the one that was found, else the
first that the set could hold: the strongest, or that of the first column named), what the set says of it, and what else stood in the line."""

_PEEKED = 1 << 16
"""Less than a block, so that blocks are read past the buffer."""

_SAID = ("number", "sources", "classifications")


@dataclass
class Opened:
    """A hash set, or a filter, which has no more to say than yes."""

    set: HashSet | Filter

    @property
    def is_filter(self) -> bool:
        """Tell whether a yes may be wrong."""
        return isinstance(self.set, Filter)

    @functools.cached_property
    def carries(self) -> tuple[str, ...]:
        """Return what is said of a digest that is there, of `numbers`, `sources` and `classifications`."""
        return () if isinstance(self.set, Filter) else self.set.info.payload

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Return the algorithms that can be found in it."""
        if isinstance(self.set, Filter):
            return self.set.info.algorithms
        return tuple(group.algorithm for group in self.set.groups)

    def ranks(self, keys: Keys, threads: int = 1) -> Ranks:
        """Return the ranks of digests, -1 for those not there; 0 for all others where nothing is said by rank."""
        if isinstance(self.set, Filter) or not self.carries:
            return self.set.contains(keys, threads).view(np.int8) - np.int8(1)
        return self.set.rank(keys, threads)

    def said(self, ranks: Ranks, width: int) -> list[pa.Array]:
        """Return number, sources and classifications by rank, null where the set does not say."""
        if isinstance(self.set, Filter) or not self.carries:
            return [same(None, len(ranks), RESULT.field(name).type) for name in _SAID]
        return [column.combine_chunks() for column in self.set.payload_at(ranks, width).columns]

    def verify(self, *, content: bool = True, threads: int | None = None) -> None:
        """Compare everything with its checksums; see `HashSet.verify` and `Filter.verify`."""
        if isinstance(self.set, Filter):
            self.set.verify()
        else:
            self.set.verify(content=content, threads=threads)

    def described(self) -> dict[str, Any]:
        """Return what it is as JSON values."""
        if isinstance(self.set, Filter):
            info = self.set.info
            facts = {"size": info.size, "false_positive_rate": info.false_positive_rate}
            return {"kind": "filter", **asdict(info), **facts}
        return {"kind": "hash set", **asdict(self.set.info)}

    def __len__(self) -> int:
        return len(self.set)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.set.close()


def open_set(path: Path) -> Opened:
    """Open a hash set or a filter, whichever it is. Raises `MalformedInput`, `FileFault`."""
    return Opened(Filter.open(path) if kind_of(path) == "hfilter" else HashSet.open(path))


# Looking up ----------------------------------------------------------------------------------------------


@dataclass
class Lookup:
    """What to look up, and what was found. The counts grow as the batches come.

    `show` says which lines are given; `columns` are those of a file with a header. `looked_up` counts digests by
    algorithm, `unanswerable` lines by theirs where the set holds none of it, `skipped` lines by reason, `bad` the
    lines that hold no digest: each goes to `on_bad`.
    """

    opened: Opened
    show: Show = "hits"
    columns: Sequence[str] = ()
    threads: int = 1
    on_bad: Callable[[Reject], None] | None = None
    max_bad: int | None = None
    hits: int = 0
    misses: int = 0
    bad: int = 0
    looked_up: Counter[str] = field(default_factory=Counter)
    unanswerable: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)

    def file(self, path: Path, progress: Progress | None = None) -> Iterator[pa.RecordBatch]:
        """Look up a file, or standard input (`-`); yield what is to be shown, in order, as batches of `RESULT`.

        Compressed files and other encodings are read as everywhere. Raises `FileFault`, `MalformedInput` for a line
        over 1 MiB, and for a file without any digest, `BadOption` for columns that the header has not, `TooManyRejects` beyond `max_bad` bad lines.
        """
        name = os.fspath(path)
        for given, stream in _streams(name, progress):
            with faults_named(given):
                yield from self.stream(stream, given)
        if self.bad and not self.looked_up:
            raise MalformedInput(
                "no line holds a digest: this is no text of digests. Name its columns (--column), or make a set of a list (build)",
                file=name,
            )

    def stream(self, stream: BinaryIO, name: str = "input") -> Iterator[pa.RecordBatch]:
        """Look up an open binary file; as `file`."""
        for block, ranks, columns in self.found(stream, name):
            hit = ranks >= 0
            shown = hit if self.show == "hits" else ~hit if self.show == "misses" else hit | True
            rows = kernels.places(shown.view(np.uint8), b"\x01").astype(np.int64)
            if len(rows):
                yield self._shown(block, ranks, columns, rows)

    def found(
        self, stream: BinaryIO, name: str = "input"
    ) -> Iterator[tuple[Block, Ranks, npt.NDArray[np.int64]]]:
        """Yield the lines that hold digests, block by block, with their ranks, and which of their digests was found.

        The rank is -1 where none of them was; then the first that the line has is named. Where lines have one digest,
        the last says nothing. A block is good until the next one is asked for.
        """
        reading = Reading(name, "lookup", unit="line", on_reject=self.on_bad, max_rejects=self.max_bad)
        for block in Text(stream, reading, self.columns).blocks():
            ranks, columns = self._ranks(block)
            hits = int(np.count_nonzero(ranks >= 0))
            self.hits += hits
            self.misses += len(ranks) - hits
            self._note_unanswerable(block, columns)
            yield block, ranks, columns
        self.bad += reading.rejected
        self.skipped += reading.dropped

    def _ranks(self, block: Block) -> tuple[Ranks, npt.NDArray[np.int64]]:
        if len(block.digests) == 1 and block.digests[0][1] is None:
            ranks = self._found(block.digests[0][0], len(block.lines))
            return ranks, ranks
        ranks = np.full(len(block.lines), -1, np.int64)
        columns = np.full(len(block.lines), -1, np.int64)
        for number, (keys, held) in sorted(enumerate(block.digests), key=lambda one: not self._held(one[1][0])):
            there = np.ones(len(keys), bool) if held is None else held
            found = self._found(keys, int(there.sum()))
            columns[(columns < 0) & there] = number
            new = there & (found >= 0) & (ranks < 0)
            ranks[new], columns[new] = found[new], number
        return ranks, columns

    def _held(self, keys: Keys) -> bool:
        return ALGORITHM_OF[keys.shape[1]] in self.opened.algorithms

    def _note_unanswerable(self, block: Block, columns: npt.NDArray[np.integer]) -> None:
        for number, (keys, _) in enumerate(block.digests):
            if not self._held(keys):
                mine = len(block.lines) if len(block.digests) == 1 else int(np.count_nonzero(columns == number))
                if mine:
                    self.unanswerable[ALGORITHM_OF[keys.shape[1]]] += mine

    def _found(self, keys: Keys, count: int) -> Ranks:
        self.looked_up[ALGORITHM_OF[keys.shape[1]]] += count
        return self.opened.ranks(keys, self.threads)

    def _shown(
        self, block: Block, ranks: Ranks, columns: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
    ) -> pa.RecordBatch:
        if len(block.digests) == 1:
            return self._rows(block, 0, ranks, rows)
        numbers = np.unique(columns[rows]).tolist()
        places = [rows[columns[rows] == number] for number in numbers]
        parts = [self._rows(block, number, ranks, mine) for number, mine in zip(numbers, places, strict=True)]
        order = np.argsort(np.concatenate(places))
        return pa.Table.from_batches(parts).take(pa.array(order)).combine_chunks().to_batches()[0]

    def _rows(self, block: Block, number: int, ranks: Ranks, rows: npt.NDArray[np.int64]) -> pa.RecordBatch:
        """Return lines as they are shown with one of their digests."""
        keys, found = block.digests[number][0], ranks[rows]
        values = [
            pa.array(block.numbers(rows)),
            same(ALGORITHM_OF[keys.shape[1]], len(rows)),
            encode_hex(fixed_binary(taken(keys, rows))),
            pa.array(found >= 0),
            *self.opened.said(found, keys.shape[1]),
            printable_texts(block.texts(rows)),
        ]
        return pa.RecordBatch.from_arrays(values, schema=RESULT)


def printable_texts(texts: pa.BinaryArray | pa.StringArray) -> pa.StringArray:
    """Return what stood in lines as text; bytes that are no UTF-8 are escaped (`\\xff`)."""
    if pa.types.is_string(texts.type):
        return texts
    try:
        return texts.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([text.decode("utf-8", "backslashreplace") for text in texts.to_pylist()], pa.string())


def _streams(name: str, progress: Progress | None) -> Iterator[tuple[str, BinaryIO]]:
    """Open a file as everywhere; one that is not compressed is not read twice, and a pipe not to its end first."""
    with faults_named(name), contextlib.ExitStack() as kept:
        raw = sys.stdin.buffer if name == "-" else kept.enter_context(open(name, "rb", buffering=_PEEKED))
        if compression_of(cast(Any, raw).peek(16)[:16]) is None:
            yield name, recoded(cast(BinaryIO, raw), shown(name, 200), "")
            return
    for found in open_input(name):
        with found.stream(progress) as stream:
            yield found.name, stream
