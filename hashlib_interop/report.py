"""What a run has to say: records refused, values dropped, values the target cannot carry. Typed and counted."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from hashlib_interop.errors import shown
from hashlib_interop.model import slug

REJECTS_KEPT = 10_000


class Reject(BaseModel):
    """A record that could not be trusted. `position` counts records or lines from 1, `unit` says which.

    `value` is cut and escaped. `raw` is the record as it stood; mended, it can be read again: `frame` is what
    stands before and after it in a file of its own, and the rest says whose record of which format it is.
    """

    model_config = ConfigDict(frozen=True)

    file: str
    position: Annotated[int, Field(gt=-(2**63), lt=2**63)]
    unit: str
    reason: str
    field: str | None = None
    value: str | None = None
    raw: str | None = None
    frame: tuple[str, str] | None = None
    format: str | None = None
    source: str | None = None
    release: datetime | None = None
    delivery: str | None = None
    options: dict[str, str] = Field(default_factory=dict)

    def bare(self, file: str) -> Reject:
        """Return the refusal without what an import says of all of them, for a manifest."""
        kept = {"position", "unit", "reason", "field", "value", "raw"}
        return Reject(file=file, **self.model_dump(include=kept))

    def __str__(self) -> str:
        what = f" {shown(self.field)}" if self.field else ""
        value = f": {shown(self.value)}" if self.value is not None else ""
        return f"{shown(self.file, 200)}: {self.unit} {self.position}:{what} {self.reason}{value}"


Count = Annotated[int, Field(ge=0, lt=2**63)]


class Loss(BaseModel):
    """A value that the target format cannot carry, how often, and the first one met."""

    field: str
    count: int
    reason: str
    example: str

    def __str__(self) -> str:
        return f"{self.field}: {self.count:,} × {self.reason} (first: {self.example})"


class Import(BaseModel):
    """One file of one release of one source: the unit of provenance, and a row of every manifest.

    The key is `(source, release, file)`, `file` being the SHA-256 of the bytes as received (of the
    decompressed bytes for a member of a zip). `delivery` says what absence means: nothing in a `delta`,
    a withdrawal in a newer `snapshot`.
    """

    source: Annotated[str, AfterValidator(slug)]
    release: AwareDatetime | None = None
    file: Annotated[bytes, Field(min_length=32, max_length=32)]
    name: str
    size: Count
    format: str
    reader: str
    delivery: Literal["snapshot", "delta"]
    recorded_at: AwareDatetime
    facts: dict[str, str] = Field(default_factory=dict)
    read: Count = 0
    rejected: Count = 0
    dropped: dict[str, Count] = Field(default_factory=dict)
    rejects: list[Reject] = Field(default_factory=list)
    """The first `REJECTS_KEPT` of the refused records; `rejected` counts them all."""

    @property
    def key(self) -> tuple[str, str, bytes]:
        """The order of imports: by source, release (none first), file."""
        return (self.source, self.release.isoformat() if self.release else "", self.file)

    def to_json(self) -> dict[str, Any]:
        """Return the import as JSON values, the SHA-256 in hex."""
        return {**self.model_dump(mode="json", exclude={"file"}), "file": self.file.hex()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Import:
        """Read what `to_json` gave."""
        return cls.model_validate({**value, "file": bytes.fromhex(value["file"])})


def still_refused(imports: Iterable[Import]) -> int:
    """Return how many records of one source are refused still: those that came in from a file of refused records are not.

    Where only such files are here, what they hold that was refused again.
    """
    lists, again = 0, Counter[str]()
    for one in imports:
        if one.format == "rejects":
            again.update(read=one.read, rejected=one.rejected)
        else:
            lists += one.rejected
    return max(lists - again["read"], 0) if lists else again["rejected"]


@dataclasses.dataclass(frozen=True)
class SourceCount:
    """A line of the summary. Counts of entries, except `only_here`: items that no other source has."""

    name: str
    delivery: str
    read: int
    rejected: int
    active: int
    retracted: int
    withdrawn: int
    quarantined: int
    only_here: int


@dataclasses.dataclass
class Merged:
    """What a merge did."""

    output: str
    format: str
    sources: list[SourceCount]
    imports: list[Import]
    items: int
    entries: int
    repeats: int
    speaking: int
    duplicates: int
    statuses: dict[str, int]
    conflicts: dict[str, int]
    resolved: int
    policy: str = "default"
    crosswalk: list[dict[str, str]] = dataclasses.field(default_factory=list)
    """Name and SHA-256 of each file that rows of the crosswalk are from, the shipped one first."""
    manifest: str | None = None
    """The file beside the output that names a crosswalk of the agency's own, where the format cannot."""
    losses: list[Loss] = dataclasses.field(default_factory=list)
    written: int | None = None
    """Records of the list that was written; None for a catalog."""
    left_out: dict[str, int] = dataclasses.field(default_factory=dict)
    """What of the catalog is no row of a list that has one an item, and how many there are."""
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def read(self) -> int:
        """Records read and trusted, of all imports."""
        return sum(one.read for one in self.imports)

    @property
    def rejected(self) -> int:
        """Records that are refused still, of all sources."""
        return sum(source.rejected for source in self.sources)

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        plain = {k: v for k, v in vars(self).items() if k not in ("sources", "imports", "losses")}
        return {
            **plain,
            "sources": [vars(source) for source in self.sources],
            "imports": [one.to_json() for one in self.imports],
            "losses": [loss.model_dump(mode="json") for loss in self.losses],
        }
