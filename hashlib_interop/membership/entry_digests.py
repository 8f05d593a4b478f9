"""The digests that a hash set takes of entries: those that somebody asserts, each with who lists it and as what.

Left out, and counted: what is restricted, where the set is to be shared, what a source took back, votes and decisions, entries without a digest of the algorithms
wanted, digests that say nothing about a file (of empty input, of one repeated byte), and, unless they are asked for,
entries that only say that a file is known (NSRL).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from hashlib_interop.algorithms import EMPTY_INPUT
from hashlib_interop.columns import mask_of
from hashlib_interop.errors import CannotWrite, shown
from hashlib_interop.handling import ALL, labels_in, restrictions
from hashlib_interop.kernels import Mask
from hashlib_interop.membership.digest_keys import Keys, keys_of
from hashlib_interop.membership.fuse_numpy import hashes
from hashlib_interop.membership.hset_file import WIDTHS
from hashlib_interop.membership.hset_payload import Batch, Numbers, Sets, TextSet
from hashlib_interop.model import DIGESTS
from hashlib_interop.schemes import only_known

Hashes = npt.NDArray[np.uint64]


@dataclass
class Wanted:
    """What is wanted of entries, and what was met: entries taken, digests by algorithm, what was left out and why.

    What is made says no handling. Where it is to be `shared`, restricted entries are left out, but for restrictions
    that `drop_handling` names (or `all`); else they are taken, and counted in `restricted` by their codes. `numbered`
    entries bring their number: their place, from 0, among all that were read.
    """

    algorithms: tuple[str, ...] | None = None
    known_files: bool = False
    shared: bool = False
    drop_handling: Collection[str] = ()
    numbered: bool = False
    read: int = 0
    entries: int = 0
    digests: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    crosswalk: dict[str, str] = field(default_factory=dict)
    """The agency's own mapping files that classifications come from: name, by SHA-256."""
    restricted: Counter[str] = field(default_factory=Counter)

    def leave_out(self, why: str, count: int) -> None:
        """Count what is not in the set."""
        if count:
            self.left_out[why] += count

    def held_back(self, codes: tuple[str, ...], count: int) -> bool:
        """Tell whether entries with these restrictions are to be left out; count them in either case."""
        lost = [] if ALL in self.drop_handling else [code for code in codes if code not in self.drop_handling]
        if self.shared and lost:
            self.leave_out(f"entries restricted by {shown(', '.join(lost))}: --drop-handling takes it off", count)
        elif codes:
            self.restricted[", ".join(codes)] += count
        return self.shared and bool(lost)

    def taken(self, entries: int) -> None:
        """Count entries that are in the set."""
        self.entries += entries

    def checked(self, batch: Batch) -> Batch | None:
        """Return a batch without digests that say nothing about a file; None where nothing is left. Counts it."""
        if self.algorithms is not None and batch.algorithm not in self.algorithms:
            return None
        said = ~says_nothing(batch.algorithm, batch.keys)
        self.leave_out("digests of empty input or of one repeated byte", int((~said).sum()))
        if not said.any():
            return None
        self.digests[batch.algorithm] += int(said.sum())
        return rows_of(batch, said)


def says_nothing(algorithm: str, keys: Keys) -> Mask:
    """Tell which digests are of empty input or one repeated byte: they would match files that nobody means."""
    found: Mask = (keys == keys[:, :1]).all(axis=1)
    if algorithm in EMPTY_INPUT:
        found |= (keys == np.frombuffer(EMPTY_INPUT[algorithm], np.uint8)).all(axis=1)
    return found


def rows_of(batch: Batch, keep: Mask) -> Batch:
    """Return the rows of a batch that are kept, each with what it carries."""
    if keep.all():
        return batch
    numbers, sources, classes = batch.numbers, batch.sources, batch.classifications
    return Batch(
        batch.algorithm,
        np.ascontiguousarray(batch.keys[keep]),
        numbers and replace(numbers, values=numbers.values[keep]),
        sources and replace(sources, codes=sources.codes[keep]),
        classes and replace(classes, codes=classes.codes[keep]),
    )


# Entries -------------------------------------------------------------------------------------------------


def of_entries(batch: pa.RecordBatch, wanted: Wanted, versions: Versions) -> Iterator[Batch]:
    """Yield the digests of a batch of `ENTRY_SCHEMA`, one batch an algorithm."""
    versions.add(batch)
    speaking, first = _speaking(batch, wanted), wanted.read
    wanted.read += batch.num_rows
    numbers = Numbers((first + np.flatnonzero(speaking)).astype(np.uint64), "entry") if wanted.numbered else None
    batch = batch.filter(pa.array(speaking))
    sources, classes = _coded(batch.column("source")), said_sets(batch.column("classifications"))
    any_digest = np.zeros(batch.num_rows, bool)
    for name in wanted.algorithms or DIGESTS:
        if name not in batch.schema.names:
            continue
        column = batch.column(name)
        held = mask_of(column.is_valid())
        any_digest |= held
        keys, _ = keys_of(column, WIDTHS[name])
        made = wanted.checked(rows_of(Batch(name, keys, numbers, sources, classes), held))
        if made is not None:
            yield made
    wanted.leave_out("entries without a digest that is wanted", int((~any_digest).sum()))
    wanted.taken(int(any_digest.sum()))


def _speaking(batch: pa.RecordBatch, wanted: Wanted) -> Mask:
    """Tell which entries list a file; count the others."""
    retracted = mask_of(pc.equal(batch.column("state"), "retracted"))
    votes = mask_of(batch.column("about").is_valid()) | mask_of(batch.column("vote").is_valid())
    known = only_known(batch.column("classifications"))
    wanted.leave_out("retracted entries", int((retracted & ~votes).sum()))
    wanted.leave_out("votes and decisions", int(votes.sum()))
    speaking = ~retracted & ~votes
    if not wanted.known_files:
        wanted.leave_out("entries that only say that a file is known", int((known & speaking).sum()))
        speaking &= ~known
    return speaking & ~_held_back(batch.column("handling"), speaking, wanted)


def _held_back(labels: pa.StructArray, speaking: Mask, wanted: Wanted) -> Mask:
    """Tell which entries stay out of what is shared."""
    held = np.zeros(len(labels), bool)
    if labels.null_count == len(labels):
        return held
    rows: dict[tuple[str, ...], list[int]] = {}
    for row, label in enumerate(labels_in(labels)):
        if label is not None and speaking[row]:
            rows.setdefault(restrictions(label), []).append(row)
    for codes, places in sorted(rows.items()):
        held[places] = wanted.held_back(codes, len(places))
    return held


def _coded(names: pa.StringArray) -> Sets:
    """Return a column of names as sets of one."""
    coded = names.dictionary_encode()
    return Sets(
        coded.indices.to_numpy().astype(np.uint32), tuple((name,) for name in coded.dictionary.to_pylist())
    )


def said_sets(said: pa.ListArray) -> Sets:
    """Return a column `classifications` as sets of `scheme:code`."""
    pairs = said.flatten()
    return sets_of(pc.binary_join_element_wise(pairs.field("scheme"), pairs.field("code"), ":"), said)


def sets_of(texts: pa.StringArray, lists: pa.ListArray) -> Sets:
    """Return lists of texts as sets: `texts` are their items one after another, null is an empty list."""
    coded = texts.dictionary_encode()
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    rows = pc.binary_join(
        pa.ListArray.from_arrays(offsets, coded.indices.cast(pa.string())), ","
    ).dictionary_encode()
    words = coded.dictionary.to_pylist()
    sets = tuple(_set(words, row) for row in rows.dictionary.to_pylist())
    return Sets(rows.indices.to_numpy().astype(np.uint32), sets)


def _set(words: list[str], places: str) -> TextSet:
    return tuple(sorted({words[int(place)] for place in places.split(",") if place}))


class Versions:
    """Whether the lists hold an entry in more than one version, or take one back that they also hold.

    Which version counts is for merge to say (stamps, releases, deliveries), so that such lists are refused. Kept are
    16 bytes an entry that has an id of its own; where the digest is the id, there is but one version.
    """

    def __init__(self) -> None:
        self._registers: list[Hashes] = []
        self._contents: list[Hashes] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Note the entries of a batch."""
        own = ~mask_of(pc.match_substring_regex(batch.column("ref"), f"^({'|'.join(DIGESTS)}):[0-9a-f]+$"))
        if not own.any():
            return
        batch = batch.filter(pa.array(own))
        names = pc.binary_join_element_wise(batch.column("source"), batch.column("ref"), "\x1f")
        self._registers.append(
            np.array(
                [xxhash.xxh3_64_intdigest(name) for name in names.cast(pa.binary()).to_pylist()], np.uint64
            )
        )
        self._contents.append(_contents(batch))

    def check(self) -> None:
        """Raise `CannotWrite` where the word of merge is needed."""
        if not self._registers:
            return
        pairs = np.unique(
            np.stack([np.concatenate(self._registers), np.concatenate(self._contents)], axis=1), axis=0
        )
        same = pairs[1:, 0] == pairs[:-1, 0]
        # What is retracted only, be it in several versions, is not in the set in any case.
        active = (pairs[:, 1] & np.uint64(1)) == 0
        wrong = len(np.unique(pairs[1:, 0][same & (active[1:] | active[:-1])]))
        if wrong:
            raise CannotWrite(
                f"{wrong:,} entries stand in these lists in several versions, or are taken back in them: "
                "merge the lists (hashlib-interop merge FILES -o all.db) and build from the catalog"
            )


def _contents(batch: pa.RecordBatch) -> Hashes:
    """Return a hash of what each entry puts into a set, the last bit set where it is retracted."""
    found = np.zeros(batch.num_rows, np.uint64)
    for number, name in enumerate(DIGESTS, 1):
        column = batch.column(name)
        keys, valid = keys_of(column, WIDTHS[name])
        one = hashes(keys, number, 0) if len(keys) else found
        found ^= one if valid is None else np.where(valid, one, np.uint64(0))
    retracted = mask_of(pc.equal(batch.column("state"), "retracted"))
    return np.asarray(found >> np.uint64(1) << np.uint64(1) | retracted.astype(np.uint64), np.uint64)


def numbered(batch: Batch, values: Any, catalog: str) -> Batch:
    """Return a batch that carries item numbers of a catalog."""
    return replace(batch, numbers=Numbers(np.asarray(values, np.uint64), "item", catalog))
