"""The crosswalk between schemes: data with its source, never code and never a guess.

A row says that a code of one scheme stands in a SKOS relation to a code of another, or in none, and why. A policy
uses a row only if it allows the relation, and a row that is not official only if it says so. What no row maps has
no mapping. Composition is not done: a chain of rows is a claim that nobody made.

`*` for a code, and `*` or `?` in a scheme, stand for any: such a row explains. It maps only where both codes and the
scheme that it leads from are named, as for the concept "illegal" of any country.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from hashlib_interop.errors import BadPolicy, shown
from hashlib_interop.policy import Policy, Relation, checked
from hashlib_interop.schemes import ANY, Named, is_pattern, known_scheme, matches, near_scheme, shipped

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
SHIPPED = "crosswalk.csv"


class Row(BaseModel):
    """One statement of the crosswalk: `from` stands in `relation` to `to`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_scheme: Named
    from_code: Named
    to_scheme: Named
    to_code: Named
    relation: Relation | Literal["none"]
    status: Literal["official", "inferred", "unsafe", "agency"]
    source: Named
    source_date: str = ""
    reviewed_by: str = ""
    note: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What an agency's row overrides: the pair of schemes and the code mapped."""
        return (self.from_scheme, self.from_code, self.to_scheme)

    @property
    def rank(self) -> tuple[bool, int, bool]:
        """Of rows that speak of one code, the least decides: an agency's, the most exact, one that maps nothing."""
        wild = is_pattern(self.from_scheme) + (self.from_code == ANY) + is_pattern(self.to_scheme)
        return (self.status != "agency", wild, self.relation != "none")

    @property
    def maps(self) -> bool:
        """Whether the row could be used at all: it names what it leads from and to, and is not unsafe."""
        named = not is_pattern(self.from_scheme) and ANY not in (self.from_code, self.to_code)
        return named and self.relation != "none" and self.status != "unsafe"

    def speaks_of(self, scheme: str, code: str | None, target: str) -> bool:
        """Tell whether the row says something of a code (None: of any code) and a target."""
        of_code = code is None or self.from_code in (ANY, code)
        return of_code and matches(self.from_scheme, scheme) and matches(self.to_scheme, target)

    def refusal(self, policy: Policy) -> str | None:
        """Say why a policy does not use the row; None where it does."""
        if self.relation == "none":
            return "there is no mapping"
        if self.status == "unsafe":
            return "unsafe: never used"
        if self.status == "inferred" and not policy.unofficial:
            return "inferred, not official"
        if not self.maps:
            return "names no single code"
        return None if self.relation in policy.relations else f"{self.relation} is not allowed"


@dataclass(frozen=True)
class Crosswalk:
    """The rows in force, and the name and SHA-256 of each file they come from, the shipped one first."""

    rows: tuple[Row, ...]
    files: tuple[tuple[str, str], ...]

    @functools.cached_property
    def _exact(self) -> dict[tuple[str, str, str], Row]:
        return {row.key: row for row in self.rows}

    @functools.cached_property
    def _wide(self) -> list[Row]:
        return [row for row in self.rows if row.rank[1]]

    @property
    def doubts(self) -> list[str]:
        """What an agency's rows name that is no scheme we know, but for a letter or two: a note, for it may be one."""
        own = {name for row in self.rows if row.status == "agency" for name in (row.from_scheme, row.to_scheme)}
        unknown = sorted(name for name in own if not is_pattern(name) and known_scheme(name) is None)
        return [f"{self.files[-1][0]} names {shown(name)}: is {near} meant?" for name in unknown if (near := near_scheme(name))]

    def deciding(self, scheme: str, code: str, target: str) -> Row | None:
        """Return the row that decides what becomes of a code on its way into a scheme; None: nobody says."""
        found = [row for row in self._wide if row.speaks_of(scheme, code, target)]
        exact = self._exact.get((scheme, code, target))
        return min([exact, *found] if exact else found, key=lambda row: row.rank, default=None)

    def allowed(self, policy: Policy) -> dict[tuple[str, str], str]:
        """Return the code of the policy's target scheme for every (scheme, code) that it may map."""
        return {(row.from_scheme, row.from_code): row.to_code for row in self.used(policy)}

    def used(self, policy: Policy) -> Iterator[Row]:
        """Yield the rows that a policy maps by."""
        target = policy.target
        for row in self.rows:
            if target is None or row.refusal(policy) or not matches(row.to_scheme, target):
                continue
            if row.from_scheme != target and self.deciding(row.from_scheme, row.from_code, target) is row:
                yield row

    def between(self, scheme: str, target: str) -> list[Row]:
        """Return the rows that speak of a pair of schemes, by code, those that decide first."""
        found = [row for row in self.rows if row.speaks_of(scheme, None, target)]
        return sorted(found, key=lambda row: (row.from_code == ANY, len(row.from_code), row.from_code, row.rank))


def load_crosswalk(policy: Policy) -> Crosswalk:
    """Return the shipped rows, overridden row by row by the policy's own crosswalk file."""
    if not policy.crosswalk:
        return _shipped()
    base = _shipped()
    try:
        own = Path(policy.crosswalk).read_bytes()
    except (OSError, ValueError) as error:
        raise BadPolicy((getattr(error, "strerror", None) or str(error)).lower(), file=policy.crosswalk) from error
    rows = {row.key: row for row in base.rows}
    rows |= {row.key: row for row in _rows(own, policy.crosswalk, own=True)}
    files = (*base.files, (Path(policy.crosswalk).name, hashlib.sha256(own).hexdigest()))
    return Crosswalk(tuple(rows[key] for key in sorted(rows)), files)


@functools.cache
def _shipped() -> Crosswalk:
    data = shipped(SHIPPED)
    rows = {row.key: row for row in _rows(data, SHIPPED, own=False)}
    return Crosswalk(tuple(rows[key] for key in sorted(rows)), ((SHIPPED, hashlib.sha256(data).hexdigest()),))


def _rows(data: bytes, name: str, *, own: bool) -> Iterable[Row]:
    try:
        yield from _parsed_rows(data.decode("utf-8-sig"), name, own)
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadPolicy(f"not a CSV file in UTF-8: {shown(error, 150)}", file=name) from None


def _parsed_rows(text: str, name: str, own: bool) -> Iterable[Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise BadPolicy(f"the columns must be {','.join(COLUMNS)}", file=name)
    seen: set[tuple[str, str, str]] = set()
    for line in reader:
        place = f"line {reader.line_num}"
        row = checked(Row, line, f"{name}: {place}")
        if row.key in seen:
            raise BadPolicy("maps the same code twice", file=name, position=place)
        if (fault := _fault(row)) and own:
            raise BadPolicy(fault, file=name, position=place)
        seen.add(row.key)
        yield row


def _fault(row: Row) -> str | None:
    """Say what is wrong with a row of an agency's own file: what would silently never be used, or mislead."""
    if row.status != "agency":
        return f"status {row.status}: the rows of your own file have the status agency"
    if row.relation == "none":
        return None
    if not row.maps or is_pattern(row.to_scheme):
        return "a row that maps names its schemes and codes; * and ? are for the relation none"
    for scheme, code in ((row.from_scheme, row.from_code), (row.to_scheme, row.to_code)):
        known = known_scheme(scheme)
        if known and known.lacks(code):
            return f"{shown(scheme)} has no code {shown(code)}; it has {', '.join(known.codes)}"
    return None
