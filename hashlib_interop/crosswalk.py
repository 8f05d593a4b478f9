"""Schemes and the crosswalk between them: data with its source, never code and never a guess.

A row says that a code of one scheme stands in a SKOS relation to a code of another. A policy uses a row
only if it allows the relation, and a row that is not official only if it says so. What no row maps has no
mapping. Composition is not done: a chain of rows is a claim that nobody made.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hashlib_interop.errors import BadPolicy, shown
from hashlib_interop.policy import Policy, Relation, checked

COLUMNS = (
    "from_scheme",
    "from_code",
    "to_scheme",
    "to_code",
    "relation",
    "status",
    "source",
    "source_date",
    "reviewed_by",
    "note",
)


class Scheme(BaseModel):
    """A classification scheme. `kind`: see `data/schemes.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    issuer: str
    kind: Literal["single", "facets", "known-file"] = "single"
    codes: tuple[str, ...] = ()


Named = Annotated[str, Field(min_length=1)]


class Row(BaseModel):
    """One statement of the crosswalk: `from` stands in `relation` to `to`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_scheme: Named
    from_code: Named
    to_scheme: Named
    to_code: Named
    relation: Relation
    status: Literal["official", "inferred", "unsafe", "agency"]
    source: Named
    source_date: str = ""
    reviewed_by: str = ""
    note: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What an agency's row overrides: the pair of schemes and the code mapped."""
        return (self.from_scheme, self.from_code, self.to_scheme)


@dataclass(frozen=True)
class Crosswalk:
    """The rows in force, and the name and SHA-256 of each file they come from."""

    rows: tuple[Row, ...]
    files: tuple[tuple[str, str], ...]

    def allowed(self, policy: Policy) -> dict[tuple[str, str], str]:
        """Return the code of the policy's target scheme for every (scheme, code) that it may map."""
        found: dict[tuple[str, str], str] = {}
        for row in self.rows:
            if row.to_scheme == policy.target and _usable(row, policy):
                found[row.from_scheme, row.from_code] = row.to_code
        return found


def _usable(row: Row, policy: Policy) -> bool:
    trusted = policy.unofficial or row.status in ("official", "agency")
    return trusted and row.status != "unsafe" and row.relation in policy.relations


@functools.cache
def load_schemes() -> dict[str, Scheme]:
    """Return the shipped schemes by id."""
    text = _shipped("schemes.toml").decode()
    return {name: checked(Scheme, value, f"schemes.toml: {name}") for name, value in tomllib.loads(text).items()}


def scheme_kind(scheme: str) -> str:
    """Return the kind of a scheme; an unknown scheme holds one code a record."""
    known = load_schemes().get(scheme)
    return known.kind if known else "single"


def load_crosswalk(policy: Policy) -> Crosswalk:
    """Return the shipped rows, overridden row by row by the policy's own crosswalk file."""
    shipped = _shipped("crosswalk.csv")
    rows = {row.key: row for row in _rows(shipped, "crosswalk.csv")}
    files = [("crosswalk.csv", hashlib.sha256(shipped).hexdigest())]
    if policy.crosswalk:
        try:
            own = Path(policy.crosswalk).read_bytes()
        except (OSError, ValueError) as error:
            raise BadPolicy(str(error).lower(), file=policy.crosswalk) from error
        rows |= {row.key: row for row in _rows(own, policy.crosswalk)}
        files.append((Path(policy.crosswalk).name, hashlib.sha256(own).hexdigest()))
    return Crosswalk(tuple(rows[key] for key in sorted(rows)), tuple(files))


def _rows(data: bytes, name: str) -> Iterable[Row]:
    try:
        yield from _parsed_rows(data.decode("utf-8-sig"), name)
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadPolicy(f"not a CSV file in UTF-8: {shown(error, 150)}", file=name) from None


def _parsed_rows(text: str, name: str) -> Iterable[Row]:
    reader = csv.DictReader(text.splitlines(), strict=True)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise BadPolicy(f"the columns must be {','.join(COLUMNS)}", file=name)
    seen: set[tuple[str, str, str]] = set()
    for line in reader:
        row = checked(Row, line, f"{name}: line {reader.line_num}")
        if row.key in seen:
            raise BadPolicy(f"line {reader.line_num} maps the same code twice", file=name)
        seen.add(row.key)
        yield row


def _shipped(name: str) -> bytes:
    return (resources.files("hashlib_interop") / "data" / name).read_bytes()
