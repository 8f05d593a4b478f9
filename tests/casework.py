"""Cases: folders `tests/cases/<format>/<case>/` with an input and what reading it must give.

    input.*                 what is read; several files are pages, read in the order of their names
    note.md                 how it was made
    options.toml            optional: source, release, delivery; the rest are options of the reader, where the
                            name of a file of the folder stands for that file; `sniff = false` where the
                            content cannot say the format
    expected.jsonl          the entries, native, with the imports in the end line; recorded_at left out
    expected.rejects.jsonl  the refused records, where there are any
    expected.error          the message, where the input is refused as a whole
"""

from __future__ import annotations

import io
import tomllib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from hashlib_interop.errors import InteropError
from hashlib_interop.format import Writing
from hashlib_interop.formats import FORMATS
from hashlib_interop.model import ENTRY_SCHEMA
from hashlib_interop.reading import open_readers
from hashlib_interop.report import Import, Reject
from hashlib_interop.writing import write_stream

CASES = Path(__file__).parent / "cases"
RECORDED_AT = datetime(2025, 3, 1, tzinfo=UTC)
SETTINGS = ("source", "release", "delivery")
EXPECTED = ("expected.jsonl", "expected.rejects.jsonl", "expected.error")


@dataclass(frozen=True)
class Case:
    """A folder of `tests/cases`."""

    folder: Path

    @property
    def format(self) -> str:
        """The format, which the parent folder names."""
        return self.folder.parent.name

    @property
    def inputs(self) -> list[Path]:
        """The pages, in order."""
        return sorted(self.folder.glob("input*"))

    @property
    def said(self) -> dict[str, Any]:
        """What `options.toml` says; the names of files of the folder as their paths."""
        path = self.folder / "options.toml"
        said = tomllib.loads(path.read_text()) if path.exists() else {}
        return {k: str(self.folder / v) if self._is_file(v) else v for k, v in said.items()}

    def _is_file(self, value: object) -> bool:
        return isinstance(value, str) and "." in value and (self.folder / value).is_file()

    @property
    def is_sniffable(self) -> bool:
        """Whether the content says the format."""
        return bool(self.said.get("sniff", True))

    @property
    def settings(self) -> dict[str, Any]:
        """Keywords for `open_readers`."""
        said = {name: value for name, value in self.said.items() if name != "sniff"}
        options = {name: value for name, value in said.items() if name not in SETTINGS}
        chosen = {name: said[name] for name in SETTINGS if name in said}
        return {"format": self.format, "options": options, "recorded_at": RECORDED_AT, **chosen}

    def expected(self) -> dict[str, bytes]:
        """Return the files with expectations."""
        return {name: (self.folder / name).read_bytes() for name in EXPECTED if (self.folder / name).exists()}

    def update(self, found: dict[str, bytes]) -> None:
        """Make what was found the expectation."""
        for name in EXPECTED:
            (self.folder / name).unlink(missing_ok=True)
            if name in found:
                (self.folder / name).write_bytes(found[name])


@dataclass
class Outcome:
    """What reading the pages of a case gave."""

    batches: list[pa.RecordBatch] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    error: str | None = None

    def files(self) -> dict[str, bytes]:
        """Return the outcome as files of expectations."""
        if self.error is not None:
            return {"expected.error": f"{self.error}\n".encode()}
        files = {"expected.jsonl": as_native(self.batches, self.imports)}
        if self.rejects:
            lines = [f"{reject.model_dump_json(exclude_none=True)}\n" for reject in self.rejects]
            files["expected.rejects.jsonl"] = "".join(lines).encode()
        return files


def cases() -> list[Case]:
    """Return all cases, sorted."""
    return [Case(folder) for folder in sorted(CASES.glob("*/*")) if folder.is_dir()]


def read_case(case: Case) -> Outcome:
    """Read the pages of a case, up to the first that is refused."""
    outcome = Outcome()
    try:
        for path in case.inputs:
            for reader in open_readers(path, **case.settings):
                outcome.batches += reader.batches()
                outcome.rejects += [one.bare(path.name).model_copy(update={"frame": one.frame}) for one in reader.rejects]
                outcome.imports += reader.imports
    except InteropError as error:
        outcome.error = str(error).replace(f"{case.folder}/", "")
    return outcome


def as_native(batches: list[pa.RecordBatch], imports: list[Import]) -> bytes:
    """Return batches as a native file that is the same tomorrow: without clock and version of the library."""
    stamp = ENTRY_SCHEMA.get_field_index("recorded_at")
    nulls = [pa.nulls(batch.num_rows, ENTRY_SCHEMA.field(stamp).type) for batch in batches]
    timeless = [batch.set_column(stamp, ENTRY_SCHEMA.field(stamp), none) for batch, none in zip(batches, nulls, strict=True)]
    stable = [one.model_copy(update={"reader": one.format}) for one in imports]
    stream = io.BytesIO()
    write_stream(timeless, stream, FORMATS["native"], Writing("expected.jsonl", imports=stable))
    return stream.getvalue()
