"""Where the digests of a hash set or a filter come from: anything, as batches.

Lists of any format, catalogs, hash sets, entries, arrays, bytes, hex text. What a batch carries beside its digests
(who lists them, as what, the item's number) comes from lists, entries and catalogs only.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from hashlib_interop.algorithms import ALGORITHMS, Digest, algorithm_named
from hashlib_interop.errors import BadDigest, BadOption, CannotWrite, shown
from hashlib_interop.files import faults_named
from hashlib_interop.formats import FORMATS
from hashlib_interop.manifest import own_files
from hashlib_interop.membership.digest_keys import keys_of
from hashlib_interop.membership.digest_value import as_bytes
from hashlib_interop.membership.entry_digests import Versions, Wanted, of_entries, sets_of
from hashlib_interop.membership.hex_digests import of_hex_lines, of_plain
from hashlib_interop.membership.hset_file import ALGORITHM_OF, WIDTHS
from hashlib_interop.membership.hset_file import MAGIC as HSET_MAGIC
from hashlib_interop.membership.hset_payload import Batch, Numbers
from hashlib_interop.model import ENTRY_SCHEMA, Entry, batch_of
from hashlib_interop.reading import Reader, open_readers

if TYPE_CHECKING:
    from hashlib_interop.membership.hashset import HashSet, Info

CHUNK = 1 << 16
SLICE = 1 << 20
FILTER_MAGIC = b"HFLTv1\0\0"
_HEAD = 100
Algorithms = str | Sequence[str] | None


@dataclass
class Lists(Wanted):
    """Files to take digests from: lists of any format, catalogs, hash sets; `NAME=FILE` says whose list it is.

    After the last batch, the counts of `Wanted` and `rejected` say what was read. `settings` are keywords of
    `reading.open_readers`. `algorithms` are the only ones to take; one alone also says what bare hashes are.
    """

    paths: Sequence[str | os.PathLike[str]] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    rejected: int = 0


def algorithm_names(algorithms: Algorithms) -> tuple[str, ...] | None:
    """Return the names of algorithms given in any spelling, None for all. `BadDigest` for an unknown one."""
    if algorithms is None:
        return None
    given = [algorithms] if isinstance(algorithms, str) else algorithms
    names = {name if name in WIDTHS else algorithm_named(name).name for name in given}
    return tuple(name for name in WIDTHS if name in names)


def batches(source: Any, algorithms: Algorithms = None, numbered: bool = False) -> Iterator[Batch]:
    """Yield the digests of a source, in any order, with repeats.

    A source is `Lists`, a path, an open binary file of hex lines or bytes, one digest after another (`algorithms` says
    of which), a `HashSet`, a `Batch`,
    a batch or table of `ENTRY_SCHEMA`, digests as `digest_keys.keys_of` takes them, or an iterable of any of these,
    of `Entry`, of `Digest`, of bytes or of hex texts. `algorithms` are the only ones to take; `numbered`
    entries bring their numbers (a catalog's items always do).

    Only `Lists` can tell what was rejected: of a path alone, the first record that is rejected raises
    `TooManyRejects`. Entries, wherever they come from, are taken as `entry_digests` says; digests as they are.
    """
    names = algorithm_names(algorithms)
    if isinstance(source, str | os.PathLike):
        source = [Path(source)]
    if isinstance(source, Lists):
        if names is not None:
            source.algorithms = names
        source.numbered |= numbered
        yield from of_lists(source)
    elif isinstance(source, bytes | bytearray | memoryview):
        yield from _of_array(keys_of(source, WIDTHS[_one_of(names, "bytes do not say their algorithm")])[0])
    elif hasattr(source, "read"):
        if isinstance(source, io.TextIOBase):
            raise TypeError("a text file is read in bytes: open it with 'rb'")
        yield from of_hex_lines(source, _one_of(names, "hex text does not say its algorithm"))
    else:
        wanted, versions = Lists(names, numbered=numbered, settings={"max_rejects": 0}), Versions()
        yield from _only(_of_one(source, wanted, versions), names)
        versions.check()


def _one_of(names: tuple[str, ...] | None, why: str) -> str:
    if names is None or len(names) != 1:
        raise BadDigest(f"{why}: say one")
    return names[0]


def _only(found: Iterable[Batch], names: tuple[str, ...] | None) -> Iterator[Batch]:
    for batch in found:
        if names is None or batch.algorithm in names:
            yield batch


def _of_one(source: Any, wanted: Lists, versions: Versions) -> Iterator[Batch]:
    """Yield the batches of an object, or of a file whose name is a `Path`: a text in a list is hex."""
    if isinstance(source, os.PathLike):
        yield from _of_file(os.fspath(source), wanted, versions)
    elif isinstance(source, Batch):
        yield source
    elif isinstance(source, pa.RecordBatch | pa.Table):
        yield from _of_table(source, wanted, versions)
    elif isinstance(source, np.ndarray | pa.Array | pa.ChunkedArray):
        yield from _of_array(source)
    elif hasattr(source, "groups") and hasattr(source, "digests"):
        yield from of_hash_set(source)
    elif isinstance(source, Iterable) and not isinstance(source, bytes | bytearray | memoryview):
        yield from _of_iterable(iter(source), wanted, versions)
    else:
        raise TypeError(f"a {type(source).__name__} is no source of digests")


def _of_table(table: Any, wanted: Wanted, versions: Versions) -> Iterator[Batch]:
    missing = [name for name in ENTRY_SCHEMA.names if name not in table.schema.names]
    if missing:
        raise TypeError(f"a table of entries has the columns of ENTRY_SCHEMA; missing: {', '.join(missing)}")
    for batch in table.to_batches() if isinstance(table, pa.Table) else [table]:
        yield from of_entries(batch, wanted, versions)


def _of_array(array: Any) -> Iterator[Batch]:
    if isinstance(array, pa.ChunkedArray):
        for chunk in array.chunks:
            yield from _of_array(chunk)
        return
    keys, valid = keys_of(array)
    yield Batch(ALGORITHM_OF[keys.shape[1]], keys if valid is None else np.ascontiguousarray(keys[valid]))


def _of_iterable(values: Iterator[Any], wanted: Lists, versions: Versions) -> Iterator[Batch]:
    """Go by the kind of the first: entries and digests are taken together, all others one by one."""
    first = next(values, None)
    values = chain([] if first is None else [first], values)
    if isinstance(first, Entry):
        while entries := list(islice(values, CHUNK)):
            yield from of_entries(batch_of(entries), wanted, versions)
    elif isinstance(first, bytes | bytearray | memoryview | str | Digest):
        while digests := list(islice(values, CHUNK)):
            yield from _of_digests(digests)
    else:
        for each in values:
            yield from _of_one(each, wanted, versions)


def _of_digests(digests: list[Any]) -> Iterator[Batch]:
    """Part digests by their width, which says the algorithm, as it does in `digest in hash_set`."""
    by_width: dict[int, list[bytes]] = {}
    for digest in digests:
        value = as_bytes(digest)
        by_width.setdefault(len(value), []).append(value)
    for width, values in by_width.items():
        yield Batch(ALGORITHM_OF[width], keys_of(values)[0])


def of_hash_set(hash_set: HashSet) -> Iterator[Batch]:
    """Yield the digests of a hash set in order, with what they carry."""
    info = hash_set.info
    for group in hash_set.groups:
        for start in range(0, group.n, SLICE):
            stop = min(start + SLICE, group.n)
            batch = Batch(group.algorithm, hash_set.digests(group.width, start, stop))
            yield _carrying(batch, hash_set, info, np.arange(start, stop)) if info.payload else batch


def _carrying(batch: Batch, hash_set: HashSet, info: Info, ranks: Any) -> Batch:
    table = hash_set.payload_at(ranks, batch.keys.shape[1])
    number, *lists = (
        table.column(name).combine_chunks() for name in ("number", "sources", "classifications")
    )
    sources, classes = (
        sets_of(column.flatten(), column) if name in info.payload else None
        for name, column in zip(("sources", "classifications"), lists, strict=True)
    )
    numbers = (
        Numbers(number.to_numpy(), str(info.numbers), info.catalog) if "numbers" in info.payload else None
    )
    return Batch(batch.algorithm, batch.keys, numbers, sources, classes)


# Files ---------------------------------------------------------------------------------------------------


def of_lists(lists: Lists) -> Iterator[Batch]:
    """Yield the digests of files; `lists` holds the counts in the end.

    Raises what reading raises, `BadCatalog`, and `CannotWrite` where entries stand in several versions in the lists:
    these are for merge.
    """
    versions = Versions()
    for text in lists.paths:
        yield from _of_file(os.fspath(text), lists, versions)
    versions.check()


def _of_file(text: str, lists: Lists, versions: Versions) -> Iterator[Batch]:
    path, name = _named(text)
    kind = kind_of(path)
    if kind == "hset":
        yield from _only(_of_hash_set_file(path, lists), lists.algorithms)
        return
    if kind == "hfilter":
        raise CannotWrite("is a filter: no digest can be read from it", file=path)
    for reader in open_readers(path, **_settings(lists, kind, name)):
        yield from _of_reader(reader, lists, versions)
        lists.rejected += reader.refused.total()
        lists.crosswalk |= own_files(reader.imports)


def _settings(lists: Lists, kind: str, source: str | None) -> dict[str, Any]:
    """Return the settings of a reader: `format` speaks of partner files, a catalog beside them is known by content."""
    given = dict(lists.settings)
    if kind == "catalog":
        given["format"] = "catalog"
    return given | {"source": source or given.get("source")}


def _named(text: str) -> tuple[str, str | None]:
    """Return path and source of `NAME=FILE`; a file that exists under the whole text is that file."""
    if "=" not in text or os.path.exists(text):
        return text, None
    from hashlib_interop.merging import parse_given  # loads the engine

    given = parse_given(text)
    if given.release:
        raise BadOption(f"{shown(text)}: releases are for merge to compare; here a list is NAME=FILE")
    return given.path, given.source


def kind_of(path: str | os.PathLike[str]) -> str:
    """Return what a file is by its first bytes: "hset", "hfilter", "catalog", "empty", else "list"; also of NAME=FILE."""
    name, _ = _named(os.fspath(path))
    if name == "-" or not Path(name).is_file():
        return "list"
    with faults_named(name), open(name, "rb") as file:
        head = file.read(_HEAD)
    if known := {b"": "empty", HSET_MAGIC: "hset", FILTER_MAGIC: "hfilter"}.get(head[:8]):
        return known
    return "catalog" if FORMATS["catalog"].sniff(head) else "list"  # loads the database, which a set does without


def _of_hash_set_file(path: str, lists: Lists) -> Iterator[Batch]:
    from hashlib_interop.membership.hashset import HashSet

    with HashSet.open(path) as hash_set:
        for batch in of_hash_set(hash_set):
            lists.digests[batch.algorithm] += len(batch.keys)
            yield batch


def _of_reader(reader: Reader, lists: Lists, versions: Versions) -> Iterator[Batch]:
    name = reader.format.name
    if name == "catalog" and reader.options.get("rows") != "items":
        from hashlib_interop.membership.catalog_digests import of_catalog

        if reader.named:
            raise BadOption(
                "a catalog names its sources itself: give it without NAME=", file=reader.input.name
            )
        with reader.input.local() as path:
            yield from of_catalog(path, reader.input.file.hex(), lists)
        return
    alone = lists.algorithms[0] if lists.algorithms and len(lists.algorithms) == 1 else None
    given = reader.options.get("algorithm", alone)
    if name == "plain" and given in ALGORITHMS:
        if not lists.numbered:  # lines decoded together are not told apart
            yield from of_plain(reader, given, lists)
            return
        reader.options = {**reader.options, "algorithm": given}
    for batch in reader.batches():
        _check_name(reader, batch)
        yield from of_entries(batch, lists, versions)
    for what, count in (kind for one in reader.imports for kind in one.dropped.items()):
        lists.leave_out(f"values dropped on read ({shown(what)})", count)


def _check_name(reader: Reader, batch: pa.RecordBatch) -> None:
    if reader.named:
        from hashlib_interop.merging import check_named  # loads the engine

        check_named(reader, set(batch.column("source").unique().to_pylist()))
