"""The rules of a merge, as data: a TOML file, validated, and hashed into every output.

A policy never invents: a relation that it does not allow gives no mapping, a tie that no rule breaks stays
a conflict, and a severity order exists only inside one scheme.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from hashlib_interop.algorithms import parse_digest
from hashlib_interop.errors import BadPolicy, shown
from hashlib_interop.model import canonical_json

Relation = Literal["exactMatch", "broadMatch", "closeMatch", "narrowMatch", "relatedMatch"]
_Model = TypeVar("_Model", bound=BaseModel)
_STRICT = ConfigDict(frozen=True, extra="forbid")


def _one_tier_each(tiers: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    names = [name for tier in tiers for name in tier]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"a source stands in two tiers: {', '.join(twice)}")
    return tiers


def _no_repeat(order: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    for scheme, codes in order.items():
        if len(set(codes)) != len(codes):
            raise ValueError(f"a code stands twice in the order of {scheme}")
    return order


def _readable(digests: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({str(parse_digest(text)) for text in digests}))


class Policy(BaseModel):
    """How entries that disagree are resolved. Every field has a default; see `docs/policy.md`."""

    model_config = _STRICT

    name: str = "default"
    target: Annotated[str, Field(min_length=1)] | None = None
    """Scheme that values are given in. None: each item in its own scheme, nothing is translated."""
    relations: tuple[Relation, ...] = ("exactMatch",)
    """Crosswalk relations that may be used; only rows with an official source unless `unofficial`."""
    unofficial: Annotated[bool, Field(strict=True)] = False
    crosswalk: str | None = None
    """Path of the agency's own crosswalk file; its rows override the shipped ones."""
    tiers: Annotated[tuple[tuple[str, ...], ...], AfterValidator(_one_tier_each)] = ()
    """Sources by rank, best first. Values of the best tier that has any speak alone."""
    quorum: Annotated[int, Field(ge=0, strict=True)] = 0
    """A value that this many voices (source and contributor) share wins, if no other has as many. 0: off."""
    severity: Annotated[dict[str, tuple[str, ...]], AfterValidator(_no_repeat)] = Field(default_factory=dict)
    """Codes of a scheme, most severe first; breaks what tiers and quorum left open."""
    on_conflict: Literal["keep", "drop", "fail"] = "keep"
    skew_hours: Annotated[int, Field(ge=0, le=10**7, strict=True)] = 24
    """Stamps later than the run's clock by more than this are quarantined."""
    denied: Annotated[tuple[str, ...], AfterValidator(_readable)] = ()
    """Digests (`md5:…`) that may never link entries, besides those of empty and one-byte inputs."""

    @property
    def hash(self) -> str:
        """SHA-256 of the rules as canonical JSON, hex. The crosswalk has a hash of its own."""
        rules = self.model_dump(mode="json", exclude={"name", "crosswalk"})
        return hashlib.sha256(canonical_json(rules).encode()).hexdigest()


class SourceRules(BaseModel):
    """What an agency knows of a source before any file of it: one table of `sources.toml`."""

    model_config = _STRICT

    format: str | None = None
    delivery: Literal["snapshot", "delta"] | None = None
    release: str | None = None
    options: dict[str, str] = Field(default_factory=dict)


def load_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a TOML file; `BadPolicy` with the place where it is broken."""
    name = os.fspath(path)
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise BadPolicy(str(error.strerror).lower(), file=name) from error
    except (ValueError, RecursionError) as error:
        raise BadPolicy(f"not TOML: {error}", file=name) from None


def checked(kind: type[_Model], value: object, name: str) -> _Model:
    """Validate data from a file; `BadPolicy` names the first key that is wrong and why."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BadPolicy(f"{shown(key)}: {shown(first['msg'], 200)}", file=name) from None


def load_policy(path: str | os.PathLike[str]) -> Policy:
    """Read and validate a policy file. A relative `crosswalk` path is beside the policy file."""
    policy = checked(Policy, load_toml(path), os.fspath(path))
    if policy.crosswalk:
        beside = str(Path(path).parent / policy.crosswalk)
        return policy.model_copy(update={"crosswalk": beside})
    return policy


def load_sources(path: str | os.PathLike[str]) -> dict[str, SourceRules]:
    """Read and validate a sources file: one table a source, by its slug."""
    name = os.fspath(path)
    base = Path(path).parent
    rules = {slug: checked(SourceRules, value, f"{name}: {slug}") for slug, value in load_toml(path).items()}
    return {slug: _beside(rule, base) for slug, rule in rules.items()}


def _beside(rule: SourceRules, base: Path) -> SourceRules:
    """Resolve a mapping file that is named relative to the sources file."""
    mapping = rule.options.get("mapping")
    if not mapping or not (base / mapping).is_file():
        return rule
    return rule.model_copy(update={"options": {**rule.options, "mapping": str(base / mapping)}})
