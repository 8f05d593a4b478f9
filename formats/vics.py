"""VICS 1.1, 1.2, 1.3 and 2.0, Project VIC's JSON (not public; source: docs on partner formats).

    {"odata.metadata": "http://github.com/ICMEC/ProjectVic/DataModels/1.3.xml#Media", "value": [ {…}, … ]}
    {"@odata.context": "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Media",
     "value": [ {"MediaID": 1, "Category": 1, "MD5": "…"}, … ]}

A hash set has Media in `value`, a case export has Cases with `Media` in them; which of both is seen by
structure, for RECON names one and writes the other. `Category` means something only with its profile:
US, UK, CUSTOM, … from the context, else `vics/unspecified`. There is no tombstone: a newer file replaces.
The columns are in `_vics_record.py`, reading in `_vics_reading.py` and `_vics_media.py`, writing in
`_vics_writing.py`, what survives a write in `_vics_carrying.py`; `caid` shares them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import BinaryIO

import pyarrow as pa

from hashlib_interop.errors import CannotWrite, shown
from hashlib_interop.format import Columns, Format, Option, Reading, Writing
from hashlib_interop.formats._vics_carrying import carries, chosen_kind, chosen_version
from hashlib_interop.formats._vics_reading import read_media
from hashlib_interop.formats._vics_record import CONTEXT_OPTION, FREE_TEXT_OPTION, SHAPE_OPTION, Dialect
from hashlib_interop.formats._vics_writing import write_media

_PROFILE = "[A-Za-z]{2,16}"

# Reader --------------------------------------------------------------------------------------------------


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield the Media of a hash set or case export, block by block; position = number of the Media."""
    return read_media(stream, reading, _read_as)


def _read_as(stated: Dialect, reading: Reading) -> Dialect:
    """Return the dialect that the context says, with the profile that the user says."""
    said = reading.options.get("profile")
    if said and not re.fullmatch(_PROFILE, said):
        raise reading.malformed(f"the option profile is {shown(said)}: say US, UK, …")
    return replace(stated, profile=said, said=True) if said else stated


# Writer --------------------------------------------------------------------------------------------------


def dialect_of(writing: Writing) -> Dialect:
    """Return what to write, from the options; `CannotWrite` for what there is not."""
    version, profile = chosen_version(writing), str(writing.options.get("profile", "Default"))
    if not re.fullmatch(_PROFILE, profile):
        raise CannotWrite(f"no profile {shown(profile)}: say US, UK, …", file=writing.name)
    dialect = Dialect(version, profile, chosen_kind(writing))
    if version != "2.0" and dialect.profile:
        raise CannotWrite(f"VICS {version} cannot say a profile: write 2.0", file=writing.name)
    return dialect


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write a hash set or, with `shape=cases`, one case; one record a line."""
    write_media(batches, stream, dialect_of(writing))


# Sniff ---------------------------------------------------------------------------------------------------

_NAMED = re.compile(rb'"@?odata\.(?:metadata|context)"\s*:\s*"[^"]*projectvic', re.IGNORECASE)
_ODATA = re.compile(rb'"@?odata\.', re.IGNORECASE)
_MEDIA = re.compile(rb'"Media"\s*:\s*\[')


def sniff(head: bytes) -> int:
    """Claim a JSON object with a Project VIC context; with less certainty OData with arrays of Media."""
    if not head.lstrip(b" \t\r\n").startswith(b"{"):
        return 0
    if _NAMED.search(head):
        return 95
    return 70 if _ODATA.search(head) and _MEDIA.search(head) else 0


FORMAT = Format(
    name="vics",
    title="Project VIC VICS",
    spec="VICS 1.1, 1.2, 1.3, 2.0 (not public; from programs that read and write it)",
    sniff=sniff,
    read=read,
    write=write,
    carries=carries(dialect_of),
    suffixes=(".vics", ".vics.json"),
    hints={"classifications": "only codes of one profile, --option to.profile=US; others by --scheme vics/US"},
    options=(
        Option(
            "profile", "country profile of the categories (US, UK, …); default: from the context, else none"
        ),
        CONTEXT_OPTION,
        FREE_TEXT_OPTION,
        Option("version", "version to write: 1.1, 1.2, 1.3 or 2.0 (default)"),
        SHAPE_OPTION,
    ),
)
