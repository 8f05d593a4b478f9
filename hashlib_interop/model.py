"""The one model in the middle: `ENTRY_SCHEMA` for columns, `Entry` for people who work row by row.

An entry is one record as one source gave it, at one time. It never changes; its `id` is the SHA-256 of
the canonical encoding of its content (`canonical.py`). When and where we read it stands outside the id.

Lists inside an entry are sets: sorted, without repeats. Absent, null and empty are one thing for a list
and for a text (a batch holds null for all three); only an empty `audience` (nobody) differs from none stated.
`absent` and `false` stay apart for flags.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from hashlib_interop.algorithms import ALGORITHMS, FINGERPRINTS, Digest, parse_hex

Json = dict[str, Any]

STAMP = pa.timestamp("ms", tz="UTC")
FINGERPRINT = pa.struct([pa.field("kind", pa.string(), False), pa.field("value", pa.binary(), False)])
CLASSIFICATION = pa.struct([pa.field("scheme", pa.string(), False), pa.field("code", pa.string(), False)])
ABOUT = pa.struct(
    [("source", pa.string()), ("ref", pa.string()), ("considered", pa.list_(pa.binary(32)))],
)
HANDLING = pa.struct(
    [
        ("tlp", pa.string()),
        ("pap", pa.string()),
        ("codes", pa.list_(pa.string())),
        ("audience", pa.list_(pa.string())),
        ("caveats", pa.list_(pa.string())),
    ],
)
EVIDENCE = pa.struct([("file", pa.binary(32)), ("release", STAMP), ("position", pa.int64())])

DIGESTS = tuple(sorted(ALGORITHMS, key=lambda name: ALGORITHMS[name].strength))
FLAGS = ("victim_identified", "offender_identified", "is_distributed", "self_generated")

IDENTITY_FIELDS = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("ref", pa.string(), nullable=False),
        pa.field("contributor", pa.string()),
        pa.field("asserted_at", STAMP),
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        *(pa.field(name, pa.binary(ALGORITHMS[name].width)) for name in DIGESTS),
        pa.field("fingerprints", pa.list_(FINGERPRINT)),
        pa.field("media", pa.string()),
        pa.field("mime_type", pa.string()),
        pa.field("size", pa.int64()),
        pa.field("file_names", pa.list_(pa.string())),
        pa.field("classifications", pa.list_(CLASSIFICATION)),
        pa.field("series", pa.string()),
        pa.field("tags", pa.list_(pa.string())),
        *(pa.field(name, pa.bool_()) for name in FLAGS),
        pa.field("about", ABOUT),
        pa.field("vote", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("handling", HANDLING),
        pa.field("extra", pa.string()),
    ]
)
"""The fields that the id covers. `extra` is canonical JSON text: `{format: {field: value}}`."""

ENTRY_SCHEMA = pa.schema(
    [*IDENTITY_FIELDS, pa.field("recorded_at", STAMP), pa.field("evidence", pa.list_(EVIDENCE))]
)
"""What every reader yields and every writer takes, batch by batch."""


def canonical_json(value: object) -> str:
    """Return the one JSON text of a value: keys sorted, no spaces, no escapes but the necessary."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _as_set(items: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(sorted(set(items)))


SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)
"""Names of sources: ASCII, lower case, so that no two look alike."""


def slug(name: str) -> str:
    """Return a source name; `ValueError` where it is none."""
    if not SLUG.fullmatch(name):
        raise ValueError("a source name is of a-z, 0-9, '.', '_' and '-'")
    return name


def _digest(width: int) -> Any:
    def convert(value: object) -> object:
        return parse_hex(value, width) if isinstance(value, str) else value

    sized = Annotated[bytes, Field(min_length=width, max_length=width)]
    return Annotated[sized | None, BeforeValidator(convert), Field(default=None)]


def _utc_milliseconds(value: datetime | None) -> datetime | None:
    """Cut to the millisecond and require a zone: a stamp without one has no place in an order."""
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("a stamp needs a time zone")
    value = value.astimezone(UTC)
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


def _text_or_none(value: str | None) -> str | None:
    return value or None


Text = Annotated[str | None, AfterValidator(_text_or_none)]
Texts = Annotated[tuple[str, ...], AfterValidator(_as_set), BeforeValidator(lambda v: v or ())]
Stamp = Annotated[datetime | None, AfterValidator(_utc_milliseconds)]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Fingerprint(_Row):
    """A perceptual or opaque value; text kinds hold UTF-8."""

    kind: str
    value: bytes

    @model_validator(mode="after")
    def _known(self) -> Fingerprint:
        kind = FINGERPRINTS.get(self.kind)
        if kind is None:
            raise ValueError(f"unknown fingerprint kind {self.kind!r}")
        if kind.width not in (None, len(self.value)):
            raise ValueError(f"{self.kind} has {kind.width} bytes, found {len(self.value)}")
        return self

    def __lt__(self, other: Fingerprint) -> bool:
        return (self.kind, self.value) < (other.kind, other.value)


class Classification(_Row):
    """`(scheme, code)`, the code in the partner's own spelling. Never a bare number."""

    scheme: str
    code: str

    def __lt__(self, other: Classification) -> bool:
        return (self.scheme, self.code) < (other.scheme, other.code)


class About(_Row):
    """The register that a vote or decision speaks of, and the entry ids that a decision considered."""

    source: str
    ref: str
    considered: Annotated[tuple[bytes, ...], AfterValidator(_as_set), BeforeValidator(lambda v: v or ())] = ()


class Handling(_Row):
    """Restrictions as stated. None for `audience` means: no list of readers was stated."""

    tlp: Text = None
    pap: Text = None
    codes: Texts = ()
    audience: Annotated[tuple[str, ...] | None, AfterValidator(lambda v: v if v is None else _as_set(v))] = (
        None
    )
    caveats: Texts = ()


class Evidence(_Row):
    """Where an entry was seen: SHA-256 of the file, the release it belongs to, the position in it."""

    file: bytes
    release: Stamp = None
    position: int | None = None


class Entry(_Row):
    """One record as one source gave it. Digests are bytes; hex text is accepted when building one."""

    source: Annotated[str, AfterValidator(slug)]
    ref: str = ""
    contributor: Text = None
    asserted_at: Stamp = None
    seq: int = 0
    state: Literal["active", "retracted"] = "active"
    md5: _digest(16)  # type: ignore[valid-type]
    sha1: _digest(20)  # type: ignore[valid-type]
    sha256: _digest(32)  # type: ignore[valid-type]
    sha384: _digest(48)  # type: ignore[valid-type]
    sha512: _digest(64)  # type: ignore[valid-type]
    fingerprints: Annotated[
        tuple[Fingerprint, ...], AfterValidator(_as_set), BeforeValidator(lambda v: v or ())
    ] = ()
    media: Literal["image", "video", "other"] | None = None
    mime_type: Text = None
    size: Annotated[int | None, Field(ge=0, lt=2**63)] = None
    file_names: Texts = ()
    classifications: Annotated[
        tuple[Classification, ...], AfterValidator(_as_set), BeforeValidator(lambda v: v or ())
    ] = ()
    series: Text = None
    tags: Texts = ()
    victim_identified: bool | None = None
    offender_identified: bool | None = None
    is_distributed: bool | None = None
    self_generated: bool | None = None
    about: About | None = None
    vote: Literal["up", "down"] | None = None
    reason: Text = None
    handling: Annotated[Handling | None, AfterValidator(lambda v: None if v == Handling() else v)] = None
    extra: Annotated[
        Json, BeforeValidator(lambda v: (json.loads(v) if isinstance(v, str) else v) or {})
    ] = Field(default_factory=dict)
    recorded_at: Stamp = None
    evidence: Annotated[
        tuple[Evidence, ...],
        AfterValidator(
            lambda v: tuple(sorted(set(v), key=lambda e: (e.file, str(e.release), e.position or 0)))
        ),
        BeforeValidator(lambda v: v or ()),
    ] = ()

    @model_validator(mode="after")
    def _named(self) -> Entry:
        """Fill `ref` with the strongest digest where the source has no record id of its own."""
        if not self.ref:
            strongest = self.strongest
            if strongest is None:
                raise ValueError("an entry needs a ref or a digest")
            object.__setattr__(self, "ref", str(strongest))
        return self

    @property
    def digests(self) -> tuple[Digest, ...]:
        """The digests that the entry has, strongest first."""
        pairs = ((name, getattr(self, name)) for name in ALGORITHMS)
        return tuple(Digest(name, value) for name, value in pairs if value is not None)

    @property
    def strongest(self) -> Digest | None:
        """The digest that speaks first, or None."""
        return next(iter(self.digests), None)

    @cached_property
    def id(self) -> bytes:
        """SHA-256 of the canonical encoding, 32 bytes."""
        from hashlib_interop.canonical import entry_id

        return entry_id(self)

    def to_row(self) -> Json:
        """Return the entry as a row of `ENTRY_SCHEMA` (a plain dict, as `pyarrow` takes it)."""
        row = self.model_dump()
        row["extra"] = canonical_json(self.extra) if self.extra else None
        for name in ("fingerprints", "file_names", "classifications", "tags", "evidence"):
            row[name] = row[name] or None
        for name, lists in (("about", ("considered",)), ("handling", ("codes", "caveats"))):
            for member in lists if row[name] else ():
                row[name][member] = row[name][member] or None
        return row


def entries_of(batch: pa.RecordBatch) -> list[Entry]:
    """Return the row view of a batch."""
    return [Entry.model_validate(row) for row in batch.to_pylist()]


def batch_of(entries: list[Entry]) -> pa.RecordBatch:
    """Return entries as one batch of `ENTRY_SCHEMA`."""
    return pa.RecordBatch.from_pylist([entry.to_row() for entry in entries], schema=ENTRY_SCHEMA)
