"""Synthetic exports of any number of partners over one made-up world of files. Never a real digest.

Every value is a pure function of the seed and a file's number: 64-bit words of SplitMix64 (Steele, Lea and
Flood, OOPSLA 2014), concatenated and cut to the width of the digest. They are hashes of no file at all,
need no memory, and come out at some million rows a second.

A partner's list has these rows, mixed by a fixed permutation:

    base        `shared` files of the pool that all partners draw from, then files of its own
    duplicate   a base row once more, byte for byte
    within      a base row's file once more, with another code of the same scheme
    retraction  the partner takes a base row back, an hour later

The last base rows (of its own files) are planted as `future` (stamped in 2100) and `broken` (damaged after
writing, see `planting.py`). Contradictions between partners lie on files of the pool, known by their number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import gcd
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop.algorithms import ALGORITHMS
from hashlib_interop.columns import classified, complete, constant, encode_hex, fingerprinted, fixed_binary
from hashlib_interop.errors import BadOption
from hashlib_interop.format import Columns
from hashlib_interop.formats import FORMATS
from hashlib_interop.model import STAMP

Words = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
FUTURE = datetime(2100, 1, 1, tzinfo=UTC)
LATER = timedelta(hours=1)
POOL = 1.5
"""Files in the pool, as a multiple of the greatest number that one partner draws from it."""
MEMBERS = 5


@dataclass(frozen=True)
class Style:
    """What a partner of a format says: scheme and codes, digests, and whose record numbers."""

    scheme: str = "ncmec/industry"
    codes: tuple[str, ...] = ("A1", "A2", "B1", "B2")
    digests: tuple[str, ...] = ("md5", "sha1")
    refs: str = "digest"


STYLES: dict[str, Style] = {
    "columns": Style(digests=("md5", "sha256"), refs="number"),
    "icse": Style("interpol/baseline", ("Yes", "No"), refs="number"),
    "ncmec": Style(refs="member"),
    "plain": Style(digests=("md5",)),
    "vics": Style("vics/US", ("1", "2", "3")),
}
"""By format; any other has `Style()`."""

KNOWN = ("nsrl", "present")
"""What a known-file list says of its files: a scheme of the kind `known-file`, no verdict."""
UNBREAKABLE = ("catalog", "parquet")
"""Formats in which no single row can be damaged: their files are broken as a whole."""


@dataclass(frozen=True)
class World:
    """The seed, and what to plant: fractions of a partner's rows, or numbers of rows a partner."""

    seed: int = 1
    overlap: float = 0.3
    contradictions: float = 0.01
    retractions: float = 0.01
    duplicates: float = 0.01
    known_overlap: float = 0.01
    future: int = 0
    broken: int = 0
    photodna: bool = False


@dataclass(frozen=True)
class Partner:
    """A source to make: its slug, the format of its list, its rows, and whether of known files."""

    name: str
    format: str
    count: int = 1000
    known: bool = False

    @property
    def style(self) -> Style:
        """What a list of this format says."""
        return STYLES.get(self.format, Style())


@dataclass(frozen=True)
class Plan:
    """How many rows of each kind a partner's list has. `side`: how its codes differ for disputed files."""

    world: World
    partner: Partner
    side: int
    pool: int
    shared: int
    base: int
    duplicates: int = 0
    within: int = 0
    retractions: int = 0
    future: int = 0
    broken: int = 0
    fields: frozenset[str] = field(default_factory=frozenset)

    @property
    def calm(self) -> int:
        """Base rows that are neither broken nor of the future; the other kinds are picked among them."""
        return self.base - self.future - self.broken

    @property
    def rows(self) -> int:
        """Rows of the list."""
        return self.base + self.duplicates + self.within + self.retractions


def plans(world: World, partners: Sequence[Partner]) -> list[Plan]:
    """Return what each partner's list will hold; `BadOption` where it is too small for that."""
    firsts = [_first_plan(world, partner) for partner in partners]
    pool = int(POOL * max((plan.shared for plan in firsts), default=0)) + 1
    sides: dict[str, int] = {}
    done = []
    for plan in firsts:
        side = 0
        if plan.fields & {"classifications"} and not plan.partner.known:
            side = sides.get(plan.partner.style.scheme, 0)
            sides[plan.partner.style.scheme] = side + 1
        done.append(Plan(**{**vars(plan), "side": side, "pool": pool}))
    return done


def _first_plan(world: World, partner: Partner) -> Plan:
    fields, count = frozenset(FORMATS[partner.format].carries), partner.count
    spoken = 0 if partner.known else count
    duplicates = int(spoken * world.duplicates)
    within = int(spoken * world.contradictions) if "classifications" in fields else 0
    retractions = int(spoken * world.retractions) if "state" in fields else 0
    future = world.future if "asserted_at" in fields and not partner.known else 0
    broken = 0 if partner.known or partner.format in UNBREAKABLE else world.broken
    base = count - duplicates - within - retractions
    shared = int(base * (world.known_overlap if partner.known else world.overlap))
    calm = base - future - broken
    if base - shared < future + broken or calm < max(duplicates + within + retractions, 1):
        raise BadOption(f"{partner.name}: {count} rows are too few for what is to be planted")
    return Plan(world, partner, 0, 0, shared, base, duplicates, within, retractions, future, broken, fields)


def entries(plan: Plan, rows: int = 65_536) -> Iterator[pa.RecordBatch]:
    """Yield a partner's list as batches of `ENTRY_SCHEMA` of at most `rows` rows."""
    for start in range(0, plan.rows, rows):
        slots = np.arange(start, min(start + rows, plan.rows), dtype=np.int64)
        yield _batch(plan, permuted(slots, plan.rows, _key(plan.world.seed, plan.partner.name, "order")))


# Numbers ------------------------------------------------------------------------------------------------


def _key(*parts: object) -> int:
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def mixed(numbers: Words, key: int) -> Words:
    """Return one word of SplitMix64 for each number, as numbered from `key`."""
    x = numbers * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed_words: Words = x ^ (x >> np.uint64(31))
    return mixed_words


def made_bytes(numbers: Words, width: int, *purpose: object) -> npt.NDArray[np.uint8]:
    """Return `width` synthetic bytes for each number, shape (n, width)."""
    lanes = (width + 7) // 8
    words = [mixed(mixed(numbers, _key(*purpose, lane)), lane) for lane in range(lanes)]
    spread = np.stack(words, axis=1).astype(">u8").view(np.uint8)
    return spread.reshape(len(numbers), 8 * lanes)[:, :width]


def permuted(indices: Numbers, count: int, key: int) -> Numbers:
    """Return where each index goes under a permutation of `range(count)`: affine, no memory."""
    step = max(int(count * 0.6180339887), 1) + key % 97
    while gcd(step, count) != 1:
        step += 1
    place: Numbers = (indices * step + key % count) % count
    return place


def picks(plan: Plan, first: int, count: int) -> Numbers:
    """Return base rows picked for planting: `count` from the `first`-th pick on, each pick another row."""
    key = _key(plan.world.seed, plan.partner.name, "pick")
    return permuted(np.arange(first, first + count, dtype=np.int64), plan.calm, key)


def pool_places(plan: Plan, base: Numbers) -> Numbers:
    """Return the places in the pool of base rows below `plan.shared`."""
    return permuted(base, plan.pool, _key(plan.world.seed, plan.partner.name, "pool"))


def file_numbers(plan: Plan, base: Numbers) -> Words:
    """Return the number of the file behind each base row, the same for all partners."""
    own = base.astype(np.uint64) + np.uint64(_key("own", plan.partner.name))
    pooled = pool_places(plan, base).astype(np.uint64) + np.uint64(_key("pool"))
    numbers: Words = np.where(base < plan.shared, pooled, own)
    return numbers


def disputed(world: World, numbers: Words) -> npt.NDArray[np.bool_]:
    """Tell which files of the pool the partners give different codes."""
    limit = np.uint64(int(world.contradictions * (2**64 - 1)))
    return np.asarray(mixed(numbers, _key(world.seed, "disputed")) < limit, bool)


# Rows ---------------------------------------------------------------------------------------------------


def _batch(plan: Plan, places: Numbers) -> pa.RecordBatch:
    """Return the rows at these places of the list: base rows first, then what is planted."""
    ends = np.cumsum([plan.base, plan.duplicates, plan.within])
    kind = np.searchsorted(ends, places, side="right")
    picked = permuted(
        np.maximum(places - plan.base, 0), plan.calm, _key(plan.world.seed, plan.partner.name, "pick")
    )
    base = np.where(kind == 0, places, picked)
    within, gone = kind == 2, kind == 3
    numbers = file_numbers(plan, base)
    columns = (
        _stamps(plan, base, gone) | _refs(plan, numbers, base, within, gone) | _values(plan, numbers, gone)
    )
    if "classifications" in plan.fields:
        columns["classifications"] = _codes(plan, numbers, base, within, gone)
    return complete(columns, {"source": plan.partner.name, "recorded_at": EPOCH})


def _values(plan: Plan, numbers: Words, gone: npt.NDArray[np.bool_]) -> Columns:
    video = mixed(numbers, 1) % np.uint64(5) == 0
    columns: Columns = {
        name: fixed_binary(made_bytes(numbers, ALGORITHMS[name].width, plan.world.seed, name), ~gone)
        for name in plan.partner.style.digests
        if name in plan.fields
    }
    columns["media"] = pa.array(["image", "video"]).take(pa.array(video.astype(np.int64)))
    if "mime_type" in plan.fields:
        columns["mime_type"] = _unless(
            gone, pa.array(["image/jpeg", "video/mp4"]).take(pa.array(video.astype(np.int64)))
        )
    if "size" in plan.fields:
        sizes = (mixed(numbers, 2) % np.uint64(5_000_000) + np.uint64(20_000)).astype(np.int64)
        columns["size"] = pa.array(sizes, mask=gone)
    if plan.world.photodna and "fingerprints" in plan.fields:
        prints = made_bytes(numbers, 144, plan.world.seed, "photodna")
        columns["fingerprints"] = fingerprinted(photodna=fixed_binary(prints, ~(gone | video)))
    return columns


def _unless(gone: npt.NDArray[np.bool_], column: pa.Array) -> pa.Array:
    return pc.if_else(pa.array(gone), pa.scalar(None, column.type), column) if gone.any() else column


def shifts(plan: Plan, numbers: Words, base: Numbers) -> Numbers:
    """Return how far each row's code lies from the file's usual one: the partner's side in a dispute."""
    contested = (base < plan.shared) & disputed(plan.world, numbers)
    return np.where(contested, plan.side, 0) % len(plan.partner.style.codes)


def _codes(plan: Plan, numbers: Words, base: Numbers, within: Any, gone: Any) -> pa.ListArray:
    style = plan.partner.style
    if plan.partner.known:
        return classified(KNOWN[0], constant(KNOWN[1], pa.string(), len(base)))
    usual = (mixed(numbers, 3) % np.uint64(len(style.codes))).astype(np.int64)
    code = (usual + shifts(plan, numbers, base) + within) % len(style.codes)
    return classified(style.scheme, _unless(gone, pa.array(style.codes).take(pa.array(code))))


def _stamps(plan: Plan, base: Numbers, gone: Any) -> Columns:
    columns: Columns = {"state": pa.array(["active", "retracted"]).take(pa.array(gone.astype(np.int64)))}
    if "asserted_at" in plan.fields:
        ahead = (base >= plan.calm) & (base < plan.calm + plan.future)
        start = np.where(ahead, int(FUTURE.timestamp()), int(EPOCH.timestamp()))
        stamps = (start + base % 20_000_000 + gone * int(LATER.total_seconds())) * 1000
        columns["asserted_at"] = pa.array(stamps, pa.int64()).cast(STAMP)
    return columns


def _refs(plan: Plan, numbers: Words, base: Numbers, within: Any, gone: Any) -> Columns:
    """Return the source's own record numbers, and the member that speaks; another one contradicts it.

    Where the strongest digest is the number, the door fills it in, but not for retractions: they have none.
    """
    refs = plan.partner.style.refs
    if refs == "number":
        return {"ref": pa.array(base + 1_000_000).cast(pa.string())}
    if refs == "digest":
        return {"ref": _digest_refs(plan, numbers)} if gone.any() else {}
    member = pa.array((mixed(numbers, 4) % np.uint64(MEMBERS)).astype(np.int64) + 101 + within).cast(
        pa.string()
    )
    own = pc.binary_join_element_wise(
        pa.scalar("synthetic"), pa.array(base).cast(pa.string()), pa.scalar("-")
    )
    return {
        "ref": pc.binary_join_element_wise(member, own, pa.scalar("/")),
        "contributor": pc.binary_join_element_wise(pa.scalar("Synthetic Member"), member, pa.scalar(" ")),
    }


def _digest_refs(plan: Plan, numbers: Words) -> pa.StringArray:
    strongest = next(
        name for name in ALGORITHMS if name in plan.partner.style.digests and name in plan.fields
    )
    values = fixed_binary(made_bytes(numbers, ALGORITHMS[strongest].width, plan.world.seed, strongest))
    return pc.binary_join_element_wise(pa.scalar(strongest), encode_hex(values), pa.scalar(":"))
