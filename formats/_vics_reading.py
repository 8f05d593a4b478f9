"""How a VICS file is read, whatever its categories are taken for: `vics` and `caid` differ in that alone.

The envelope and the cases are read here; one Media is read in `_vics_media.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

from hashlib_interop.errors import shown
from hashlib_interop.format import Columns, Reading
from hashlib_interop.formats._vics_media import MediaReader
from hashlib_interop.formats._vics_record import HIDDEN, Dialect
from hashlib_interop.json_records import ArrayRecords
from hashlib_interop.model import Json, canonical_json

DialectOf = Callable[[Dialect, Reading], Dialect]
"""Given what the context says, the dialect to read by; raises where the file is not for this format."""

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

# An extra quote that Clees4All writes: "IsSuspected":"true"" (docs/vics.md).
_EXTRA_QUOTE = re.compile(rb'"(\w+)"\s*:\s*"(?:true|false)""')


def read_media(stream: BinaryIO, reading: Reading, dialect_of: DialectOf) -> Iterator[Columns]:
    """Yield the Media of a hash set or case export, block by block; position = number of the Media."""
    cases = _Cases(reading)
    records = ArrayRecords(stream, reading.malformed, cases.add, diagnosis)
    media: MediaReader | None = None
    inner: set[bool] = set()
    for frames in records:
        media = media or MediaReader(_dialect(records.envelope, reading, dialect_of), reading, diagnosis, cases.add)
        reading.frame = reading.frame or _frame(_context(records.envelope, reading))
        inner.add(frames.inner)
        columns = media.columns(frames)
        if columns and len(columns["position"]):
            yield columns
    dialect = _dialect(records.envelope, reading, dialect_of)
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
    if not given and any(part != found[0] for part in found):
        raise reading.malformed("two contexts that differ, and so do their categories: say which by the option context")
    context = given or (found[0] if found else None)
    if context is not None and not (isinstance(context, str) and CONTEXT.fullmatch(context)):
        raise reading.malformed(f"not a VICS file: its context is {shown(context)}")
    return context


def _frame(context: str | None) -> tuple[str, str]:
    """Return what makes a Media a file of its own."""
    said = f'"{CONTEXT_KEYS[0]}":{canonical_json(context)},' if context else ""
    return f'{{{said}"value":[', "]}"


def _dialect(envelope: Json, reading: Reading, dialect_of: DialectOf) -> Dialect:
    context = _context(envelope, reading)
    found = CONTEXT.fullmatch(context) if context else None
    version, profile, kind = found.group("version", "profile", "set") if found else (None, None, None)
    return dialect_of(Dialect(version, profile, kind and kind.title()), reading)


def _note(envelope: Json, dialect: Dialect, inner: set[bool], cases: _Cases, reading: Reading) -> None:
    reading.fact("version", dialect.version or "not stated")
    reading.fact("scheme", dialect.scheme)
    structure = "Cases" if cases.count else "Media"
    reading.fact("structure", "Media and Cases mixed" if len(inner) > 1 else structure)
    if dialect.kind and dialect.kind != structure and (inner or cases.count):
        reading.fact("mismatch", f"the context says {dialect.kind}, the records are {structure}")
    for name, value in envelope.items():
        if HIDDEN.fullmatch(name):
            reading.drop(f"key {shown(name)}")
        elif name.casefold() not in CONTEXT_KEYS:
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
