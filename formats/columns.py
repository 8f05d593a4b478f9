"""Any delimited text through a mapping of its columns (docs/columns.md). The mapping is the specification.

This is how NSRL RDS 2.x and HashKeeper come in (shipped mappings), and lists whose columns are not public:
IWF, CAID text exports, an agency's own. Without the option `mapping`, a file is read only where its header
is exactly that of a shipped mapping; a file is written in the shipped mapping `common`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as AnyMapping
from typing import Any, BinaryIO, cast

import pyarrow as pa

from hashlib_interop.errors import BadPolicy
from hashlib_interop.files import HEAD, recoded
from hashlib_interop.format import Columns, Format, Option, Reading, Writing
from hashlib_interop.formats._mapped import ENTRY_FIELDS, SAFE, carries, read_mapped, refusals, write_mapped
from hashlib_interop.formats._mapping import Mapping, load_mapping, recognised

NAME = "columns"
DEFAULT = "common"


# Reader --------------------------------------------------------------------------------------------------


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield the rows. Rejects rows with a bad cell, and rows with neither a digest nor a ref."""
    if not isinstance(stream, io.BufferedReader):
        stream = cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, stream)))
    given = reading.options.get("mapping")
    name = str(given) if given else _found(cast(io.BufferedReader, stream), reading)
    mapping, identity = load_mapping(name)
    reading.fact("mapping", identity)
    if mapping.encoding != "utf-8" and not reading.options.get("encoding"):
        stream = recoded(stream, reading.name, mapping.encoding)
    return read_mapped(stream, reading, NAME, mapping)


def _found(stream: io.BufferedReader, reading: Reading) -> str:
    """Return the shipped mapping that the header names."""
    name = recognised(stream.peek(HEAD))
    if name is None:
        raise BadPolicy(
            "no shipped mapping has this header: give one, --option mapping=FILE", file=reading.name
        )
    return name


# Writer --------------------------------------------------------------------------------------------------


def mapping_of(options: AnyMapping[str, Any]) -> Mapping:
    """Return the mapping to write by."""
    return load_mapping(str(options.get("mapping") or DEFAULT))[0]


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write rows by the mapping, UTF-8, LF at line ends."""
    write_mapped(batches, stream, writing, NAME, mapping_of(writing.options))


# Sniff ---------------------------------------------------------------------------------------------------


def sniff(head: bytes) -> int:
    """Claim a file whose header is exactly that of a shipped mapping."""
    return 75 if recognised(head) else 0


FORMAT = Format(
    name=NAME,
    title="delimited text through a column mapping",
    spec="the mapping; docs/columns.md",
    sniff=sniff,
    read=read,
    write=write,
    carries=carries(ENTRY_FIELDS, NAME, mapping_of),
    refuses=refusals(NAME, mapping_of),
    needs_digest=False,
    unit="line",
    suffixes=(".csv", ".tsv"),
    options=(
        Option("mapping", "a TOML file, or the name of a shipped mapping (default when writing: common)"),
        Option(
            SAFE, "yes: free text that a spreadsheet would run is written with ' before it, and read without"
        ),
    ),
)
