"""Classification schemes: administrative names, status and source, and where their symbols collide.

The data is `data/schemes.toml`, which says what every field means. A code stands there only where it is public.
"""

from __future__ import annotations

import difflib
import functools
import tomllib
from fnmatch import fnmatchcase
from importlib import resources
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from hashlib_interop.errors import BadOption, shown
from hashlib_interop.kernels import Mask
from hashlib_interop.policy import checked

KNOWN_FILE = "known-file"
"""The kind of a scheme that says only that a file is known, as software is."""
ANY = "*"
Named = Annotated[str, Field(min_length=1)]
_STRICT = ConfigDict(frozen=True, extra="forbid")


class Scheme(BaseModel):
    """A classification scheme. The fields: see `data/schemes.toml`."""

    model_config = _STRICT

    title: Named
    issuer: Named
    axis: Named
    status: Literal["current", "legacy", "recommended"]
    source: Named
    confidence: Literal["primary", "secondary", "general", "primary/general", "secondary/general"]
    kind: Literal["single", "facets", "known-file"] = "single"
    codes: dict[str, str] = Field(default_factory=dict)
    open: bool = False
    order: tuple[str, ...] = ()
    statutes: tuple[str, ...] = ()
    note: str = ""

    def lacks(self, code: str) -> bool:
        """Tell whether the codes are all known, and `code` is none of them."""
        return bool(self.codes) and not self.open and code not in self.codes


class Hazard(BaseModel):
    """A symbol that means one thing in one scheme and another elsewhere. `schemes` may be patterns."""

    model_config = _STRICT

    symbol: Named
    schemes: tuple[str, ...]
    says: Named


class _Data(BaseModel):
    model_config = _STRICT

    scheme: dict[str, Scheme]
    hazard: tuple[Hazard, ...]


@functools.cache
def _load() -> _Data:
    return checked(_Data, tomllib.loads(shipped("schemes.toml").decode()), "schemes.toml")


def shipped(name: str) -> bytes:
    """Return a file of the folder `data`."""
    return (resources.files("hashlib_interop") / "data" / name).read_bytes()


def load_schemes() -> dict[str, Scheme]:
    """Return the shipped schemes by id."""
    return _load().scheme


def scheme_kind(scheme: str) -> str:
    """Return the kind of a scheme; an unknown scheme holds one code a record."""
    known = load_schemes().get(scheme)
    return known.kind if known else "single"


def hazards_of(scheme: str) -> list[Hazard]:
    """Return the collisions that a scheme has part in."""
    return [hazard for hazard in _load().hazard if any(matches(name, scheme) for name in hazard.schemes)]


def is_pattern(scheme: str) -> bool:
    """Tell whether the id of a scheme stands for several: `*` for any text, `?` for any character."""
    return ANY in scheme or "?" in scheme


def matches(pattern: str, scheme: str) -> bool:
    """Tell whether a scheme is the one named, or one of those that a pattern stands for."""
    if pattern in (ANY, scheme):
        return True
    return is_pattern(pattern) and fnmatchcase(scheme, pattern.replace("[", "[[]"))


def known_scheme(name: str) -> Scheme | None:
    """Return the scheme of an id, or that of the pattern which stands for it, or None."""
    found = load_schemes()
    return found.get(name) or next((found[each] for each in found if matches(each, name)), None)


def near_scheme(name: str) -> str | None:
    """Return the scheme whose name is most like another, if any is."""
    return next(iter(difflib.get_close_matches(name[:100], load_schemes(), 1)), None)


def unknown_scheme(name: str) -> BadOption:
    """Return the error for a scheme that nobody knows; it names the one that may be meant."""
    near = near_scheme(name)
    hint = f"did you mean {near}?" if near else "see: hashlib-interop schemes"
    return BadOption(f"no scheme {shown(name)} is known; {hint}")


def only_known(said: pa.ListArray) -> Mask:
    """Tell which rows of a column `classifications` have any, and all in schemes of known files."""
    lengths = pc.list_value_length(said).fill_null(0).to_numpy(zero_copy_only=False)
    coded = said.flatten().field("scheme").dictionary_encode()
    known = np.array([scheme_kind(scheme) == KNOWN_FILE for scheme in coded.dictionary.to_pylist()], bool)
    if not known.any():
        return np.zeros(len(said), bool)
    sums = np.concatenate([[0], np.cumsum(known[coded.indices.to_numpy()])])
    ends = np.cumsum(lengths)
    return np.asarray((lengths > 0) & (sums[ends] - sums[ends - lengths] == lengths), bool)
