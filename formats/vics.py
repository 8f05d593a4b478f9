"""VICS 1.1, 1.2, 1.3 and 2.0, Project VIC's JSON (not public; source: docs on partner formats).

    {"odata.metadata": "http://github.com/ICMEC/ProjectVic/DataModels/1.3.xml#Media", "value": [ {…}, … ]}
    {"@odata.context": "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Media",
     "value": [ {"MediaID": 1, "Category": 1, "MD5": "…"}, … ]}

A hash set has Media in `value`, a case export has Cases with `Media` in them; which of both is seen by
structure, for RECON names one and writes the other. `Category` means something only with its profile:
US, UK, … from the context, else `vics/unspecified`. There is no tombstone: a newer file replaces.
How one Media is read is in `_vics_media.py`, what survives a write in `_vics_carrying.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import BinaryIO

import pyarrow as pa

from hashlib_interop.errors import shown
from hashlib_interop.format import Columns, Format, Option, Reading, Writing
from hashlib_interop.formats._vics_carrying import CARRIES, dialect_of, media_files_of
from hashlib_interop.formats._vics_media import MediaReader
from hashlib_interop.formats._vics_record import ALGORITHM_KEYS, FLAG_KEYS, Dialect, printed_hashes
from hashlib_interop.json_records import ArrayRecords
from hashlib_interop.model import Json, canonical_json

CONTEXT = re.compile(
    r".*ProjectVic.*/(?P<version>\d+\.\d+)\.xml"
    r"(?:/(?P<profile>[A-Za-z]{2,16})/\$metadata)?#(?P<set>Cases|Media)/?",
    re.IGNORECASE,
)
CONTEXT_KEYS = ("@odata.context", "odata.metadata")
CASE_FACTS = {
    "SourceApplicationName": "application",
    "SourceApplicationVersion": "application version",
    "ContactOrganization": "organisation",
    "CaseID": "case",
    "TotalMediaFiles": "stated media files",
    "TotalPrecategorized": "stated precategorised",
}
CASES_NAMED = 10
"""Values of one fact that are kept; the number of cases is a fact of its own."""

# An extra quote that Clees4All writes: "IsSuspected":"true"" (partner-formats.md, section 3.7).
_EXTRA_QUOTE = re.compile(rb'"(\w+)"\s*:\s*"(?:true|false)""')

# Reader --------------------------------------------------------------------------------------------------


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield the Media of a hash set or case export, block by block; position = number of the Media."""
    cases = _Cases(reading)
    records = ArrayRecords(stream, reading.malformed, cases.add, diagnosis)
    media: MediaReader | None = None
    inner: set[bool] = set()
    for frames in records:
        media = media or MediaReader(_dialect(records.envelope, reading), reading, diagnosis, cases.add)
        reading.frame = reading.frame or _frame(_context(records.envelope, reading))
        inner.add(frames.inner)
        columns = media.columns(frames)
        if columns and len(columns["position"]):
            yield columns
    dialect = _dialect(records.envelope, reading)
    if media and media.dialect != dialect:
        late = "the context stands after the records and changes what they mean: give it by the option context"
        raise reading.malformed(late)
    _note(records.envelope, dialect, inner, cases, reading)
    if media:
        media.note()


def diagnosis(text: bytes) -> str | None:
    """Explain a text that is no JSON by a fault that is known, with what to do."""
    found = _EXTRA_QUOTE.search(text)
    if not found:
        return None
    name = shown(found[1])
    return (
        f'a quote too many after {name} ("true""), a known fault of Clees4All: '
        "remove the second quote, or export again with a newer Clees4All"
    )


def _context(envelope: Json, reading: Reading) -> str | None:
    given = reading.options.get("context")
    found = [part for name, part in envelope.items() if name.casefold() in CONTEXT_KEYS]
    context = given or (found[0] if found else None)
    if context is not None and not (isinstance(context, str) and CONTEXT.fullmatch(context)):
        raise reading.malformed(f"not a VICS file: its context is {shown(context)}")
    return context


def _frame(context: str | None) -> tuple[str, str]:
    """Return what makes a Media a file of its own."""
    said = f'"{CONTEXT_KEYS[0]}":{canonical_json(context)},' if context else ""
    return f'{{{said}"value":[', "]}"


def _dialect(envelope: Json, reading: Reading) -> Dialect:
    """Return version, profile and kind of set, from the context or the options."""
    context = _context(envelope, reading)
    found = CONTEXT.fullmatch(context) if context else None
    version, profile, kind = found.group("version", "profile", "set") if found else (None, None, None)
    said = reading.options.get("profile")
    if said and not re.fullmatch("[A-Za-z]{2,16}", said):
        raise reading.malformed(f"the option profile is {shown(said)}: say US, UK, …")
    return Dialect(version, said or profile, kind and kind.title(), said=bool(said))


def _note(envelope: Json, dialect: Dialect, inner: set[bool], cases: _Cases, reading: Reading) -> None:
    reading.fact("version", dialect.version or "not stated")
    reading.fact("scheme", dialect.scheme)
    structure = "Cases" if cases.count else "Media"
    reading.fact("structure", "Media and Cases mixed" if len(inner) > 1 else structure)
    if dialect.kind and dialect.kind != structure and (inner or cases.count):
        reading.fact("mismatch", f"the context says {dialect.kind}, the records are {structure}")
    for name, value in envelope.items():
        if name.casefold() not in CONTEXT_KEYS:
            reading.fact(f"key {shown(name)}", canonical_json(value))
    cases.note()


class _Cases:
    """What cases say of themselves: facts of the file, for a case may say it after its Media.

    Persons, numbers of cases and anything not known here are dropped and counted.
    """

    def __init__(self, reading: Reading) -> None:
        self.count, self._reading, self._facts = 0, reading, dict[str, dict[str, None]]()

    def add(self, case: Json) -> None:
        """Note one case."""
        self.count += 1
        for name, value in case.items():
            if name in CASE_FACTS and value not in (None, ""):
                text = str(value).strip("{}").lower() if name == "CaseID" else str(value)
                found = self._facts.setdefault(CASE_FACTS[name], {})
                if len(found) < CASES_NAMED:
                    found[text] = None
            elif name not in CASE_FACTS and value not in (None, "", [], {}):
                self._reading.drop(f"case: {shown(name)}")

    def note(self) -> None:
        """Say it as facts."""
        if self.count:
            self._reading.fact("cases", self.count)
        for name, texts in self._facts.items():
            self._reading.fact(name, ", ".join(texts))


# Writer --------------------------------------------------------------------------------------------------


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write a hash set (`#Media`), one record a line; MediaID counts from 1. Never a Miniature."""
    dialect = dialect_of(writing)
    stream.write(_head(dialect).encode())
    number = 0
    for batch in batches:
        lines = []
        for row in batch.to_pylist():
            number += 1
            record = {"MediaID": number} | media_of(row, dialect)
            lines.append(",\n" * (number > 1) + json.dumps(record, separators=(",", ":"), ensure_ascii=False))
        stream.write("".join(lines).encode())
    stream.write(b"\n]}\n")


def _head(dialect: Dialect) -> str:
    if dialect.version != "2.0":
        url = f"http://github.com/ICMEC/ProjectVic/DataModels/{dialect.version}.xml#Media"
        return f'{{"odata.metadata":"{url}","value":[\n'
    base = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml"
    url = f"{base}/{dialect.profile or 'Default'}/$metadata#Media"
    return f'{{"@odata.context":"{url}","value":[\n'


def media_of(row: Json, dialect: Dialect) -> Json:
    """Return a row of `ENTRY_SCHEMA`, projected to what is carried, as a Media without its MediaID."""
    extra = json.loads(row["extra"]).get("vics", {}) if row["extra"] else {}
    top, others = printed_hashes(row, dialect)
    record: Json = {"Category": _category(row, dialect)}
    record |= {
        key: row[name].hex().upper()
        for key, name in ALGORITHM_KEYS.items()
        if row[name] and key in ("MD5", "SHA1")
    }
    record |= top | {
        "MediaSize": row["size"] if dialect.version == "2.0" or row["size"] is None else str(row["size"]),
        "MimeType": row["mime_type"],
        "DateUpdated": _stamp(row["asserted_at"]),
        **{key: row[name] for key, name in FLAG_KEYS.items()},
        "Series": row["series"],
        "Tags": ",".join(row["tags"]) if row["tags"] else None,
        "AlternativeHashes": others + extra.pop("AlternativeHashes", []) or None,
        "MediaFiles": media_files_of(row, extra.pop("MediaFiles", [])) or None,
    }
    return {key: value for key, value in record.items() if value is not None} | dict(sorted(extra.items()))


def _stamp(value: datetime | None) -> str | None:
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z") if value else None


def _category(row: Json, dialect: Dialect) -> int | None:
    for item in row["classifications"] or ():
        return dialect.known_file_category if item["scheme"] == "nsrl" else int(item["code"])
    return None


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
    carries=CARRIES,
    suffixes=(".vics", ".vics.json"),
    hints={"classifications": "only categories of one profile, --option profile=US"},
    options=(
        Option(
            "profile", "country profile of the categories (US, UK, …); default: from the context, else none"
        ),
        Option("context", "context URL, for a file that says it after the records or not at all"),
        Option("free_text", "yes: keep Comments"),
        Option("version", "version to write: 1.1, 1.2, 1.3 or 2.0 (default)"),
    ),
)
