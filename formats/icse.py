"""INTERPOL ICSE / Baseline export, CSV as seen in 2022. There is no public specification.

Source: docs/icse.md (IPED issue #1136 and PR #1169: 12 columns it requires, by name, any case
and order; `;`; a row may have one more, empty, field than the header). The file is the whole ICSE set: a row
with `Baseline` No is *not* in INTERPOL's Baseline. No stamps and no deletions: each file is a snapshot.

`Investigation name` is case data: dropped and counted. Columns that this module does not know, `Number of
submissions` and `File Available` go to `extra`. A row without `Image ID` is named by its digest.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import pyarrow as pa

from hashlib_interop.format import Columns, Format, Option, Reading, Writing
from hashlib_interop.formats._mapped import SAFE, carries, read_mapped, refusals, write_mapped
from hashlib_interop.formats._mapping import Column, Mapping

NAME = "icse"
YES_NO = {
    "Y": "true",
    "N": "false",
    "yes": "true",
    "no": "false",
    "true": "true",
    "false": "false",
    "t": "true",
    "f": "false",
}
_FLAG: dict[str, Any] = {"values": YES_NO}

# Header name, field, setting; in the order of the published sample. Without `optional`: the 12 that IPED requires.
COLUMNS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("MD5", "md5", {}),
    ("SHA1", "sha1", {}),
    ("ZZ40", "zz40", {"upper": True, "optional": True}),
    ("PhotoDNA", "photodna", {"upper": True, "encoding": ("hex", "base64")}),
    ("Lace", "lace", {"encoding": "base64", "optional": True}),
    ("Image ID", "ref", {}),
    ("Is distributed", "is_distributed", _FLAG),
    ("Victim identified", "victim_identified", _FLAG),
    ("Offender identified", "offender_identified", _FLAG),
    ("Series name", "series", {}),
    ("Investigation name", "drop", {"optional": True}),
    ("Agency", "contributor", {"optional": True}),
    ("Number of submissions", "extra", {}),
    ("File Available", "extra", {}),
    ("Media Type", "media", {"values": {"Image": "image", "Video": "video"}}),
    ("Baseline", "classification", {"scheme": "interpol/baseline", "values": {"Yes": "Yes", "No": "No"}}),
)
MAPPING = Mapping(
    title="INTERPOL ICSE export",
    delimiter=";",
    spare_field=True,
    columns={name: Column(field=field, **setting) for name, field, setting in COLUMNS},
)
REQUIRED = frozenset(name.casefold() for name, column in MAPPING.columns.items() if not column.optional)


# Reader --------------------------------------------------------------------------------------------------


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield the rows. Rejects rows with a bad cell, and rows with neither a digest nor an `Image ID`."""
    return read_mapped(stream, reading, NAME, MAPPING)


# Writer --------------------------------------------------------------------------------------------------


def mapping_of(options: Any) -> Mapping:
    """Return the columns to write: the 16 of the sample, then those of the option `also`."""
    return _with(str(options.get("also", "")))


@functools.cache
def _with(also: str) -> Mapping:
    return MAPPING.with_extras(also.split(";")) if also else MAPPING


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write all 16 columns, LF at line ends, hex of the digests lower, of ZZ40 and PhotoDNA upper, as the sample."""
    write_mapped(batches, stream, writing, NAME, mapping_of(writing.options))


# Sniff ---------------------------------------------------------------------------------------------------


def sniff(head: bytes) -> int:
    """Claim a file whose first line names the 12 columns, with `;` between them."""
    line = head.lstrip(b"\r\n").replace(b"\r", b"\n").split(b"\n", 1)[0]
    names = {name.strip('"').casefold() for name in line.decode("utf-8", "replace").split(";")}
    return 95 if names >= REQUIRED else 0


FORMAT = Format(
    name=NAME,
    title="INTERPOL ICSE / Baseline CSV",
    spec="no public specification; columns as IPED reads them (issue #1136, PR #1169)",
    sniff=sniff,
    read=read,
    write=write,
    carries=carries(
        ("ref", "md5", "sha1", "fingerprints", "media", "series", "contributor", "classifications", "extra")
        + ("is_distributed", "victim_identified", "offender_identified"),
        NAME,
        mapping_of,
    ),
    refuses=refusals(NAME, mapping_of),
    needs_digest=False,
    unit="line",
    suffixes=(".icse.csv",),
    options=(
        Option("also", "writer: more columns to write, out of `extra`, with ; between their names"),
        Option(
            SAFE, "yes: free text that a spreadsheet would run is written with ' before it, and read without"
        ),
    ),
)
