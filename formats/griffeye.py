"""Griffeye Analyze CSV file list: 59 columns as one program reads them. There is no public specification.

Source: docs/griffeye.md (M. Kucenski's reader, which looks columns up by name). Users choose their
columns, so any of them may be missing, in any order, and others may be there; a list without a digest is refused row
by row. `Has Exif/GPS Informtion` is spelled so.

`Category` is a text that the examiner's own Griffeye is set up with: the scheme is `griffeye/local`. Dates are as
Windows showed them (1/10/2009 8:16:10 PM), of no stated zone: they stay in `extra` as they stand. Paths, free text,
persons and places are dropped and counted, unless asked for; nothing follows a path.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import re
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as AnyMapping
from typing import Any, BinaryIO, cast

import pyarrow as pa

from hashlib_interop.algorithms import ALGORITHMS
from hashlib_interop.files import HEAD
from hashlib_interop.format import Carry, Columns, Format, Option, Reading, Writing
from hashlib_interop.formats._mapped import SAFE, carries, read_mapped, write_mapped
from hashlib_interop.formats._mapping import Column, Mapping
from hashlib_interop.model import ENTRY_SCHEMA, Json, canonical_json

NAME = "griffeye"
SCHEME = "griffeye/local"
NAMES = (
    "Binary Copies", "Bookmarks", "Can File Be Opened?", "Category", "Created Date", "Database Match Conflict",
    "DB: Default Database", "DB: NSRL", "DB: PhotoDNA", "DB: ProjectVIC", "DB: ProjectVIC PhotoDNA", "Deleted?",
    "Directory Path", "Distributed", "Exif Serial Number", "Exif: Author", "Exif: City", "Exif: Comment",
    "Exif: CreateDate", "Exif: ImageUniqueId", "Exif: Make", "Exif: Model", "Exif: Software", "Exif: Title",
    "File Extension", "File Location", "File Name", "File Size", "File Type", "Has Exif/GPS Informtion", "Has Sound",
    "Height", "Identified", "Initial Category", "Is Animated", "Last Accessed", "Last Write Time", "Latitude", "Length",
    "Longitude", "MD5", "Mime Type", "Nudity Level", "Overwritten?", "PhotoDNA", "Physical Location", "Representative",
    "Series Name", "SHA-1", "SHA-256", "SHA-384", "SHA-512", "Source ID", "Tags", "Unallocated", "User Comment",
    "Visual Copies", "Visual Group", "Width",
)  # fmt: skip
"""The columns, in the order of the published header."""

FIELDS: dict[str, dict[str, Any]] = {
    "Category": {"field": "classification", "scheme": SCHEME},
    "File Name": {"field": "file_names"},
    "File Size": {"field": "size"},
    "MD5": {"field": "md5"},
    "Mime Type": {"field": "mime_type"},
    "PhotoDNA": {"field": "photodna", "encoding": ("base64", "hex")},
    "Series Name": {"field": "series"},
    "SHA-1": {"field": "sha1"},
    "SHA-256": {"field": "sha256"},
    "SHA-384": {"field": "sha384"},
    "SHA-512": {"field": "sha512"},
    "Tags": {"field": "tags"},
}
"""The columns that are fields of an entry; the others go to `extra` as text, but for what is dropped by rule."""

_DIGESTS = {"md5", "sha-1", "sha-256", "sha-384", "sha-512"}

HIDDEN = {
    "paths": ("Directory Path", "File Location"),
    "free_text": ("Bookmarks", "Exif: Comment", "Exif: Title", "User Comment"),
    "personal": ("Exif Serial Number", "Exif: Author", "Exif: City", "Latitude", "Longitude"),
}
"""The columns that are dropped unless the option is `yes`."""

WORDS: dict[str, tuple[str, dict[str, Any]]] = {
    "File Type": ("media", {"Image": "image", "Video": "video"}),
    "Distributed": ("is_distributed", {"Distributed": True}),
}
"""Columns of which some texts are known to mean a value of a field; any other text stays in `extra`."""


def mapping_of(options: AnyMapping[str, Any]) -> Mapping:
    """Return what each column is, by what the user wants to keep, then those of the option `also`."""
    return _mapping(tuple(option for option in HIDDEN if options.get(option) != "yes"), str(options.get("also", "")))


@functools.cache
def _mapping(hidden: tuple[str, ...], also: str) -> Mapping:
    drop = {name for option in hidden for name in HIDDEN[option]}
    plain = {name: {"field": "drop" if name in drop else "extra"} for name in NAMES}
    columns = {name: Column(**(plain | FIELDS)[name], optional=True) for name in NAMES}
    mapping = Mapping(title="Griffeye file list", columns=columns)
    return mapping.with_extras(also.split(";")) if also else mapping


# Reader --------------------------------------------------------------------------------------------------


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield the rows. Rejects rows with a bad cell, and rows without a digest. A header needs its line end."""
    _check_header(cast(io.BufferedReader, stream).peek(HEAD), reading)
    for columns in read_mapped(stream, reading, NAME, mapping_of(reading.options)):
        yield columns | _lifted(columns["extra"]) if "extra" in columns else columns


def _check_header(head: bytes, reading: Reading) -> None:
    """Refuse a header that is cut off, for all columns may be missing and it would be a list of nothing."""
    line = head.lstrip(b"\r\n")
    if line and len(head) < HEAD and not re.search(rb"[\r\n]", line):
        raise reading.malformed("the header has no line end: the file is cut off", 1)
    if line and not _header(line) & _DIGESTS:
        raise reading.malformed("the header names no digest, as MD5 or SHA-1", 1)


def _header(head: bytes) -> set[str]:
    """Return the names in the first line of a file, folded; none where it is no CSV."""
    line = head.lstrip(b"\r\n").replace(b"\r", b"\n").split(b"\n", 1)[0].decode("utf-8", "replace")
    try:
        return {name.casefold() for name in next(csv.reader([line], strict=True), [])}
    except csv.Error:
        return set()


def _lifted(extra: pa.StringArray) -> Columns:
    """Return the fields that known words of `extra` mean, and `extra` without these words."""
    rows = [json.loads(text)[NAME] if text else {} for text in extra.to_pylist()]
    found = {field: [words.get(row.get(name)) for row in rows] for name, (field, words) in WORDS.items()}
    for row in rows:
        for name in [name for name, (_, words) in WORDS.items() if row.get(name) in words]:
            del row[name]
    columns = {field: pa.array(values, ENTRY_SCHEMA.field(field).type) for field, values in found.items()}
    return columns | {"extra": pa.array([canonical_json({NAME: row}) if row else None for row in rows], pa.string())}


# Writer --------------------------------------------------------------------------------------------------


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write all 59 columns, LF at line ends, lower-case hex; dropped columns stand empty."""
    write_mapped(map(_lowered, batches), stream, writing, NAME, mapping_of(writing.options))


def _lowered(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch with the fields that are words of `extra` in it."""
    fields = [field for field, _ in WORDS.values()]
    rows = batch.select(["extra", *fields]).to_pylist()
    at = batch.schema.get_field_index("extra")
    return batch.set_column(at, batch.schema.field(at), pa.array(map(_with_words, rows), pa.string()))


def _with_words(row: Json) -> str | None:
    own = json.loads(row["extra"]).get(NAME) if row["extra"] else None
    said: Json = own if isinstance(own, dict) else {}
    for name, (field, words) in WORDS.items():
        if row[field] in words.values():
            said[name] = next(word for word, value in words.items() if value == row[field])
    return canonical_json({NAME: said}) if said else None


_MAPPED = carries(
    (*ALGORITHMS, "size", "mime_type", "series", "file_names", "tags", "fingerprints", "classifications", "extra"),
    NAME,
    mapping_of,
)


def _worded(field: str) -> Carry:
    """Carry what the words of the file say, and the rest of `extra`."""
    return lambda batch, writing: _lifted(_MAPPED["extra"](_lowered(batch), writing))[field]


CARRIES = _MAPPED | {field: _worded(field) for field in ("media", "is_distributed", "extra")}

# Sniff ---------------------------------------------------------------------------------------------------

_OURS = frozenset(name.casefold() for name in NAMES)
_TELLING = frozenset(
    name.casefold()
    for name in NAMES
    if name.startswith(("Exif", "DB: ", "Visual"))
    or name in ("Binary Copies", "Can File Be Opened?", "Has Exif/GPS Informtion", "Initial Category", "Nudity Level")
)


def sniff(head: bytes) -> int:
    """Claim a comma-separated file most of whose columns are ours, a telling one and a digest among them."""
    names = _header(head)
    sure = names & _DIGESTS and names & _TELLING and 2 * len(names & _OURS) > len(names)
    return 90 if sure else 0


FORMAT = Format(
    name=NAME,
    title="Griffeye CSV file list",
    spec="no public specification; columns as M. Kucenski's reader names them",
    sniff=sniff,
    read=read,
    write=write,
    carries=CARRIES,
    unit="line",
    suffixes=(".griffeye.csv",),
    options=(
        Option("paths", "yes: keep paths"),
        Option("free_text", "yes: keep comments, titles and bookmarks"),
        Option("personal", "yes: keep authors, serial numbers, cities and coordinates"),
        Option("also", "writer: more columns to write, out of `extra`, with ; between their names"),
        Option(
            SAFE, "yes: free text that a spreadsheet would run is written with ' before it, and read without"
        ),
    ),
)
