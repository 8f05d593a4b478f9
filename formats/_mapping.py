"""Mappings: which column of a delimited file is which field of an entry, as data (docs/columns.md).

A mapping is a TOML file. Some are shipped in `data/mappings/` and go by their name. Nothing in a mapping
is guessed: a column that it does not name goes to `extra` whole, unless it says otherwise.
"""

from __future__ import annotations

import codecs
import csv
import functools
import hashlib
import os
import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from hashlib_interop.algorithms import ALGORITHMS, FINGERPRINTS
from hashlib_interop.delimited import Dialect
from hashlib_interop.errors import BadPolicy, shown
from hashlib_interop.model import FLAGS, Classification
from hashlib_interop.policy import checked

TEXTS = ("ref", "contributor", "series", "mime_type")
LISTS = ("file_names", "tags", "handling")
KINDS = tuple(name for name, kind in FINGERPRINTS.items() if kind.width or kind.text)
WIDTHS = {name: a.width for name, a in ALGORITHMS.items()} | {
    name: kind.width for name, kind in FINGERPRINTS.items() if kind.width
}
FIELDS = (
    *ALGORITHMS,
    *KINDS,
    *TEXTS,
    *LISTS,
    *FLAGS,
    "asserted_at",
    "size",
    "media",
    "classification",
    "extra",
    "drop",
)
FLAG_WORDS = {"Y": "true", "N": "false", "yes": "true", "no": "false"} | {
    word: value for value, words in {"true": ("true", "t"), "false": ("false", "f")}.items() for word in words
}
MEDIA_WORDS = {"image": "image", "video": "video", "other": "other"}
_STRICT = ConfigDict(frozen=True, extra="forbid")


def _known_encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise ValueError(f"unknown encoding {name!r}") from None


def _delimiter(text: str) -> str:
    if not re.fullmatch(r"[^0-9A-Za-z\"'\r\n\x00=+/-]", text, re.ASCII) or not text.isascii():
        raise ValueError("one ASCII character that is no letter, digit, quote, line end or digit of base64")
    return text


class Column(BaseModel):
    """What one column holds. `values` translates cells of `media`, flags and classifications; others are refused."""

    model_config = _STRICT

    field: str
    encoding: Annotated[
        tuple[Literal["hex", "base64", "base32", "decimals"], ...],
        BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
        Field(min_length=1),
    ] = ("hex",)
    """Of digests. Several are told apart by their lengths; the first is written."""
    upper: bool = False
    """Write hex in upper case. Both cases are read."""
    scheme: str | None = None
    values: dict[str, str] = Field(default_factory=dict)
    separator: Annotated[str, Field(min_length=1)] | None = None
    """Between the items of a list; without it the cell is one item."""
    format: str | None = None
    """Of `asserted_at`: as strptime takes it, or `unix` (seconds) or `unix-ms`."""
    zone: str | None = None
    optional: bool = False

    @field_validator("field")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in FIELDS:
            raise ValueError(f"unknown field {value!r}; known: {', '.join(FIELDS)}")
        return value

    @field_validator("zone")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        try:
            return ZoneInfo(value).key if value else value
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"unknown time zone {value!r}; give one as UTC or Europe/Paris") from error

    @model_validator(mode="after")
    def _fitting(self) -> Column:
        """Refuse a setting that means nothing for the field: it was meant for something."""
        if (self.field == "classification") != (self.scheme is not None):
            raise ValueError("a classification needs a scheme, and nothing else has one")
        if self.separator and self.field not in (*LISTS, "classification"):
            raise ValueError(f"{self.field} is no list: it has no separator")
        if self.values and self.field not in ("media", "classification", *FLAGS):
            raise ValueError(f"{self.field} takes no values")
        self._check_values()
        self._check_stamp()
        return self

    def _check_values(self) -> None:
        allowed = {"media": set(MEDIA_WORDS), **{flag: {"true", "false"} for flag in FLAGS}}.get(self.field)
        for value in self.values.values():
            if not value or (allowed and value not in allowed):
                raise ValueError(f"{self.field} cannot be {value!r}")

    def _check_stamp(self) -> None:
        if self.field != "asserted_at":
            if self.format or self.zone:
                raise ValueError(f"{self.field} has no date format and no zone")
            return
        if not self.format:
            raise ValueError("asserted_at needs a format: a date is never guessed")
        has_zone = "%z" in self.format or self.format in ("unix", "unix-ms")
        if has_zone == bool(self.zone):
            raise ValueError("give a zone where the format holds none (no %z, not unix), and only there")

    @property
    def words(self) -> dict[str, str]:
        """Cell to value, for fields of few values; empty where any cell is a value."""
        default = MEDIA_WORDS if self.field == "media" else FLAG_WORDS if self.field in FLAGS else {}
        return self.values or default


class Constants(BaseModel):
    """What the file says of every row without a column for it."""

    model_config = _STRICT

    contributor: str | None = None
    media: Literal["image", "video", "other"] | None = None
    mime_type: str | None = None
    series: str | None = None
    tags: tuple[str, ...] = ()
    classifications: tuple[Classification, ...] = ()


class Mapping(BaseModel):
    """A delimited format, as data."""

    model_config = _STRICT

    title: str = ""
    source: str = ""
    example: bool = False
    """Column names that are made up: never recognised by itself."""
    delimiter: Annotated[str, AfterValidator(_delimiter)] = ","
    quote: Literal['"', "'", ""] = '"'
    encoding: Annotated[str, AfterValidator(_known_encoding)] = "utf-8"
    fallback: Literal["latin-1"] | None = None
    """Encoding of single records that are not UTF-8 (counted); without it they are refused."""
    header: bool = True
    spare_field: bool = False
    """Records may have one more, empty, field than the header."""
    unmapped: Literal["extra", "drop", "refuse"] = "extra"
    delivery: Literal["snapshot", "delta"] | None = None
    columns: dict[str, Column]
    constants: Constants = Constants()

    @model_validator(mode="after")
    def _one_column_each(self) -> Mapping:
        names = [(c.field, c.scheme) for c in self.columns.values() if c.field not in ("extra", "drop")]
        twice = sorted({field for field, scheme in names if names.count((field, scheme)) > 1})
        stated = sorted(
            {field for field, _ in names} & {n for n in type(self.constants).model_fields if self._says(n)}
        )
        if twice or stated:
            raise ValueError(f"columns: {(twice or stated)[0]} comes from two places")
        folded = [name.casefold() for name in self.columns]
        if len(set(folded)) != len(folded):
            raise ValueError("columns: two names differ in case only")
        if not {field for field, _ in names} & {"ref", *ALGORITHMS}:
            raise ValueError("columns: one must be a digest or the ref")
        if self.delimiter == "," and not self.quote and any("decimals" in c.encoding for c in self.columns.values()):
            raise ValueError("columns: decimals hold commas, so commas cannot part the columns without quotes")
        return self

    def _says(self, name: str) -> bool:
        return bool(getattr(self.constants, name))

    @property
    def dialect(self) -> Dialect:
        """How the file is delimited."""
        return Dialect(self.delimiter, self.quote or None, self.spare_field, self.fallback)

    def with_extras(self, names: list[str]) -> Mapping:
        """Return the mapping with more columns that go to and come from `extra`."""
        more = {name: Column(field="extra") for name in names}
        return checked(Mapping, self.model_dump() | {"columns": self.columns | more}, "also")


def shipped() -> list[str]:
    """Return the names of the mappings that come with the library."""
    folder = resources.files("hashlib_interop") / "data" / "mappings"
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def load_mapping(name: str) -> tuple[Mapping, str]:
    """Return a shipped mapping by its name, else the one in a file; and `name SHA-256` of its text.

    Raises `BadPolicy` that names the key which is wrong.
    """
    if name in shipped():
        return _shipped(name)
    try:
        text = Path(name).read_bytes()
    except OSError as error:
        known = ", ".join(shipped())
        raise BadPolicy(f"{(error.strerror or '').lower()}; shipped mappings: {known}", file=name) from error
    return _mapping(text, os.path.basename(name), name)


def shipped_text(name: str) -> bytes:
    """Return the text of a shipped mapping, for who wants to copy and change it."""
    return (resources.files("hashlib_interop") / "data" / "mappings" / f"{name}.toml").read_bytes()


@functools.cache
def _shipped(name: str) -> tuple[Mapping, str]:
    return _mapping(shipped_text(name), name, name)


def _mapping(text: bytes, name: str, file: str) -> tuple[Mapping, str]:
    try:
        value: dict[str, Any] = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadPolicy(f"not TOML: {shown(error, 200)}", file=file) from None
    return checked(Mapping, value, file), f"{name} {hashlib.sha256(text).hexdigest()}"


def recognised(head: bytes) -> str | None:
    """Return the shipped mapping whose columns are exactly the first line, in order, in any case; else None."""
    line = head.lstrip(b"\r\n").replace(b"\r", b"\n").split(b"\n", 1)[0].decode("utf-8", "replace")
    for name in shipped():
        mapping = _shipped(name)[0]
        if (
            mapping.header
            and not mapping.example
            and _names(line, mapping) == [n.casefold() for n in mapping.columns]
        ):
            return name
    return None


def _names(line: str, mapping: Mapping) -> list[str]:
    if not mapping.quote:
        return line.casefold().split(mapping.delimiter)
    try:
        rows = csv.reader([line], delimiter=mapping.delimiter, quotechar=mapping.quote, strict=True)
        return [name.casefold() for name in next(rows, [])]
    except csv.Error:
        return []
