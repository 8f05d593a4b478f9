"""Our catalog: SQLite, version 1 (docs/catalog.md). Reading gives its entries, or its items; writing is a merge.

Spec: docs/catalog.md. A merged list is a list: merging catalogs is the same operation as merging partner
files, and gives what merging all the files at once gives.

Reader option `rows`: `entries` (default, every statement with its evidence) or `items` (one row an item, as
the catalog's policy resolved it: what a partner's tool imports).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from hashlib_interop.canonical import identify
from hashlib_interop.catalog import meta, opened_catalog
from hashlib_interop.catalog_schema import APPLICATION_ID
from hashlib_interop.columns import columns_of_rows, complete
from hashlib_interop.errors import BadCatalog, shown
from hashlib_interop.format import Columns, Format, Option, Reading, Writing, whole
from hashlib_interop.formats._catalog_rows import chunks, entries_of, imports_of, items_of, left_of
from hashlib_interop.formats._row_checks import faults
from hashlib_interop.model import ENTRY_SCHEMA


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield the entries or the items of a catalog."""
    if reading.local_path is None:
        raise BadCatalog("a catalog is read from a file", file=reading.name)
    with opened_catalog(reading.local_path()) as database:
        said = meta(database)
        reading.imports = list(imports_of(database).values())
        reading.fact("policy", f"{said['policy']['name']} ({said['policy_hash'][:12]})")
        for name, sha256 in said["crosswalk"][1:]:
            reading.fact("crosswalk", f"{shown(name)} sha256 {shown(sha256, 64)}")
        items = reading.options.get("rows") == "items"
        for what, count in left_of(database) if items else ():
            reading.drop(what, count)
        rows = items_of(database) if items else entries_of(database)
        for batch in chunks(rows, reading.batch_rows):
            ids = [row.pop("entry_id", None) for row in batch]
            columns = columns_of_rows(batch)
            _check(columns, ids, reading)
            yield columns


def _check(columns: Columns, ids: list[bytes | None], reading: Reading) -> None:
    """Hold the rows against the model and entries against their ids: one bad row, and the catalog is none of ours."""
    batch = complete(columns, {"source": reading.source})
    if ids[0] is not None and identify(batch).to_pylist() != ids:
        raise BadCatalog("an entry is not what its id says: somebody has changed the file", file=reading.name)
    for name, bad, reason in faults(batch):
        if bad.any():
            row = columns["position"][int(bad.argmax())].as_py()
            raise BadCatalog(f"{name} {reason}", file=reading.name, position=f"entry {row}")


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write entries as a catalog: a merge under the default policy."""
    from hashlib_interop.merging import merge_batches

    merge_batches(batches, Path(stream.name), writing.imports)


def sniff(head: bytes) -> int:
    """Claim an SQLite file with our application id."""
    return (
        100
        if head.startswith(b"SQLite format 3\x00") and head[68:72] == APPLICATION_ID.to_bytes(4, "big")
        else 0
    )


FORMAT = Format(
    name="catalog",
    title="Catalog of this tool (SQLite)",
    spec="docs/catalog.md, version 1",
    sniff=sniff,
    read=read,
    write=write,
    carries={name: whole(name) for name in ENTRY_SCHEMA.names},
    needs_digest=False,
    delivery="delta",
    suffixes=(".db", ".sqlite", ".catalog"),
    options=(Option("rows", "entries (every statement) or items (one row an item, as resolved)"),),
    keeps_entries=True,
)
