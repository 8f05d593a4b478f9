"""UK CAID: VICS of the UK profile. Neither the official schema nor its table of categories is public.

Source: docs/caid.md (Clees4All writes `2.0.xml/UK/$metadata#Cases`; MSAB XAMN imports the
"gold disk" files). It is `vics` in all but the categories: a context without a profile means the UK's here, one of
another country is refused, and an agency may bring the table that says what the numbers mean
(`_vics_categories.py`). Without it they stay `vics/UK`. Two lists that go by this name or near it are benign: NIST's
"CAID" file (VICS 1.2, Category 8) is read as known files of `nsrl`, whatever the table says, and so is
NSRLConvert's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import BinaryIO

import pyarrow as pa

from hashlib_interop.errors import shown
from hashlib_interop.format import Columns, Format, Option, Reading, Writing
from hashlib_interop.formats._vics_carrying import carries, chosen_kind
from hashlib_interop.formats._vics_categories import Table, load_table
from hashlib_interop.formats._vics_reading import read_media
from hashlib_interop.formats._vics_record import CONTEXT_OPTION, FREE_TEXT_OPTION, SHAPE_OPTION, Dialect
from hashlib_interop.formats._vics_writing import write_media

PROFILE = "UK"

# Reader --------------------------------------------------------------------------------------------------


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield the Media of a hash set or case export; position = number of the Media."""
    table: Table = {}
    if path := reading.options.get("categories"):
        table, named = load_table(path)
        reading.fact("categories", named)

    def read_as(stated: Dialect, reading: Reading) -> Dialect:
        if stated.profile not in (None, PROFILE):
            message = f"the profile is {shown(stated.profile)}, not {PROFILE}: read it as vics"
            raise reading.malformed(message)
        return replace(stated, home=PROFILE, table=table)

    return read_media(stream, reading, read_as)


# Writer --------------------------------------------------------------------------------------------------


def dialect_of(writing: Writing) -> Dialect:
    """Return what to write, from the options: 2.0, for no other version can say the profile."""
    if "caid table" not in writing.memory:
        path = writing.options.get("categories")
        writing.memory["caid table"] = load_table(path)[0] if path else {}
    return Dialect("2.0", PROFILE, chosen_kind(writing), table=writing.memory["caid table"])


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write a hash set or, with `shape=cases`, one case; one record a line."""
    write_media(batches, stream, dialect_of(writing))


# Sniff ---------------------------------------------------------------------------------------------------

_UK = re.compile(rb'\s*\{\s*"@?odata\.(?:metadata|context)"\s*:\s*"[^"]*projectvic[^"]*/UK/', re.IGNORECASE)


def sniff(head: bytes) -> int:
    """Claim what begins with a Project VIC context of the UK profile: more surely than `vics` does."""
    return 97 if _UK.match(head) else 0


FORMAT = Format(
    name="caid",
    title="UK CAID (VICS, UK profile)",
    spec="not public; VICS 2.0 of the UK profile as Clees4All writes it",
    sniff=sniff,
    read=read,
    write=write,
    carries=carries(dialect_of),
    suffixes=(".caid.json",),
    hints={"classifications": "only UK categories, or what --option categories=TABLE.csv maps to them"},
    options=(
        Option("categories", "CSV of category,scheme,code: what the agency says that the numbers mean"),
        CONTEXT_OPTION,
        FREE_TEXT_OPTION,
        SHAPE_OPTION,
    ),
)
