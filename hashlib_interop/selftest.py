"""Known answers on the user's machine: the compiled kernels, with and without vector instructions, against numpy and pinned values."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xxhash

from hashlib_interop import kernels
from hashlib_interop.errors import shown
from hashlib_interop.explaining import why
from hashlib_interop.files import private_folder
from hashlib_interop.membership import fuse, fuse_numpy, hset_numpy, hset_write, sorting
from hashlib_interop.membership.building import build_set
from hashlib_interop.membership.digest_sources import Lists
from hashlib_interop.membership.hashset import HashSet
from hashlib_interop.membership.hset_file import SORTED, WIDTHS
from hashlib_interop.membership.lookup import Lookup, Opened
from hashlib_interop.merging import merge
from hashlib_interop.model import Classification, Entry
from hashlib_interop.writing import write

State = Literal["ok", "absent", "FAILED"]
Keys = npt.NDArray[np.uint8]

COUNT = 5_000
CROWDED = 48
"""The width whose digests begin with the same bytes, so that they are kept in the sorted layout."""
SET_BYTES = "9445351348f51511"
FILTER_BYTES = "e842c63fa6590689"
"""The first of the SHA-256 of the files, in hex."""


@dataclass(frozen=True)
class Check:
    """One thing that was tried. `absent`: it is not there to be tried, and what stands in for it was; no fault."""

    name: str
    state: State
    said: str = ""


class _Absent(Exception):
    pass


class _Wrong(Exception):
    pass


def run() -> Iterator[Check]:
    """Try everything, one after another; a failure does not stop the rest. Takes a second or two."""
    for name, check in CHECKS.items():
        with private_folder() as folder:
            try:
                yield Check(name, "ok", check(folder))
            except _Absent as error:
                yield Check(name, "absent", str(error))
            except _Wrong as error:
                yield Check(name, "FAILED", str(error))
            except Exception as error:  # noqa: BLE001 - whatever it is, the answer is no
                yield Check(name, "FAILED", f"{type(error).__name__}: {shown(error, 200)}")


# What is tried on ----------------------------------------------------------------------------------------


def made_up(width: int, start: int = 0, count: int = COUNT) -> Keys:
    """Return digests made from their numbers, (count, width), the same everywhere."""
    name = next(name for name, size in WIDTHS.items() if size == width)
    rows = (hashlib.new(name, f"synthetic-{k}".encode()).digest() for k in range(start, start + count))
    return np.frombuffer(b"".join(rows), np.uint8).reshape(-1, width)


def _expect(good: bool, what: str) -> None:
    if not good:
        raise _Wrong(what)


def _each_way(module: Any, run: Callable[[], tuple[Any, ...]]) -> str:
    """Run kernels as they are, without vector instructions, and in numpy: all must give the same arrays."""
    compiled: ModuleType | None = module.compiled
    if compiled is None:
        run()
        raise _Absent("not compiled; numpy works in its place, slower")
    found = [run()]
    try:
        compiled.allow("scalar")
        found.append(run())
        module.compiled = None
        found.append(run())
    finally:
        module.compiled = compiled
        compiled.allow("avx512")
    for other in found[1:]:
        pairs = zip(found[0], other, strict=True)
        _expect(all(np.array_equal(a, b) for a, b in pairs), "compiled, scalar and numpy give different answers")
    return "compiled, scalar and numpy agree"


# The checks ----------------------------------------------------------------------------------------------


def _readers(folder: Path) -> str:
    text = np.frombuffer(b"".join(row.tobytes().hex().encode() + b",\n" for row in made_up(20)), np.uint8)

    def decoded() -> tuple[Any, ...]:
        places = kernels.places(text, b",")
        offsets, hexes = kernels.gather(text, places - 40, places)
        return places, offsets, *kernels.decode_hex(hexes, offsets, 20)

    return _each_way(kernels, decoded)


def _sorting(folder: Path) -> str:
    rows = np.concatenate([made_up(16), made_up(16)[::3]])[::-1]
    return _each_way(sorting, lambda: (sorting.sort_unique(np.ascontiguousarray(rows)),))


def _hex_lines(folder: Path) -> str:
    lines = [row.tobytes().hex().encode() for row in made_up(16)]
    lines[7], lines[9], lines[11] = b"nonsense", b"", lines[11] + b"  a name"
    text = b"\r\n".join(lines)

    def decoded() -> tuple[Any, ...]:
        found = sorting.hex_lines(text, 16, trailing=True, skip_bad=True, places=True)
        _expect((found.lines, found.empty, found.bad_line) == (COUNT, 1, 7), "lines are counted wrongly")
        return found.digests, found.starts, found.bad_starts

    return _each_way(sorting, decoded)


def _held(width: int) -> Keys:
    keys = made_up(width).copy()
    if width == CROWDED:
        keys[:, :2] = 0
    return keys


def _set_of(folder: Path) -> Path:
    path = folder / "seeded.hset"
    HashSet.build([_held(width) for width in WIDTHS.values()], path).close()
    return path


def _set_bytes(folder: Path) -> str:
    """Built by either builder, the file has the bytes it has everywhere."""
    both: list[Any] = [sorting, hset_write]
    modules = [module for module in both if module.compiled is not None]
    found = {_sum(_set_of(folder))}
    compiled = [module.compiled for module in modules]
    try:
        for module in modules:
            module.compiled = None
        found.add(_sum(_set_of(folder)))
    finally:
        for module, kernel in zip(modules, compiled, strict=True):
            module.compiled = kernel
    _expect(found == {SET_BYTES}, f"the file has other bytes than everywhere: {', '.join(sorted(found))}")
    return f"{len(WIDTHS) * COUNT:,} digests, the bytes as everywhere"


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _set_lookup(folder: Path) -> str:
    """All digests are found at their ranks, no other is; in numpy and compiled, with any vector instructions."""
    with HashSet.open(_set_of(folder), verify=True) as found:
        sorted_ones = [group.width for group in found.groups if group.layout == SORTED]
        _expect(sorted_ones == [CROWDED], f"other layouts than everywhere: {sorted_ones} are sorted")
        _ranks(found)
        data = (folder / "seeded.hset").read_bytes()
        _ranks(hset_numpy.Table(data, found.groups))
        try:
            from hashlib_interop.membership import _membership
        except ImportError:
            raise _Absent("not compiled; numpy works in its place, slower") from None
        try:
            for instructions in ("scalar", "avx2", "avx512"):
                _membership.allow(instructions)
                _ranks(_membership.Table(data, found.groups))
        finally:
            _membership.allow("avx512")
    return "compiled, scalar and numpy give the ranks"


def _ranks(table: Any) -> None:
    for width in WIDTHS.values():
        keys = sorting.sort_unique(_held(width))
        _expect(np.array_equal(table.rank(keys), np.arange(COUNT)), "digests are not found at their ranks")
        _expect(not table.contains(made_up(width, COUNT)).any(), "digests are found that are not there")
        _expect(all(row.tobytes() in table for row in keys[::50]), "single digests are not found")


def _filter(folder: Path) -> str:
    path = folder / "seeded.hfilter"
    fuse.build(made_up(16), path, bits=16)
    _expect(_sum(path) == FILTER_BYTES, f"the file has other bytes than everywhere: {_sum(path)}")
    with fuse.Filter.open(path) as found:
        _expect(bool(found.contains(made_up(16)).all()), "digests are not found")
        _expect(int(found.contains(made_up(16, COUNT)).sum()) < 5, "too many digests are found that are not there")
    for width in WIDTHS.values():
        keys = made_up(width, count=20)
        known = [xxhash.xxh3_64_intdigest(b"\x01" + row.tobytes(), seed=7) for row in keys]
        for module in (fuse.kernels, fuse_numpy):
            _expect(module.hashes(keys, 1, 7).tolist() == known, "hashes are not those of the xxhash library")
    if fuse.kernels is fuse_numpy:
        raise _Absent("not compiled; numpy works in its place, slower")
    return "the bytes as everywhere; hashes as the xxhash library has them"


def _round_trip(folder: Path) -> str:
    """Entries to a list, a catalog, a set; a text is looked up, and `why` has the same story."""
    keys = [row.tobytes() for row in made_up(16, count=50)]
    said = {"classifications": [Classification(scheme="vics/US", code="1")]}
    entries = [Entry.model_validate({"source": name, "md5": key, **said}) for name in ("one", "two") for key in keys]
    write(entries, folder / "list.native.jsonl")
    merge([folder / "list.native.jsonl"], folder / "all.db")
    built = build_set(Lists(paths=[folder / "all.db"]), folder / "all.hset")
    _expect(built.count == 50 and built.algorithms == {"md5": (100, 50)}, "the set has other digests than the lists")
    text = b"\n".join(key.hex().encode() for key in [*keys, bytes(15) + b"x"])
    with HashSet.open(folder / "all.hset") as found:
        rows = [row for batch in Lookup(Opened(found)).stream(io.BytesIO(text)) for row in batch.to_pylist()]
    (answer,) = why(folder / "all.db", keys[0].hex())
    _expect([row["line"] for row in rows] == list(range(1, 51)), "not all digests are found")
    _expect(rows[0]["sources"] == ["one", "two"] == sorted(e.source for e in answer.entries), "sources are lost")
    _expect(answer.item is not None and answer.item["id"] == rows[0]["number"], "the item is another")
    return "100 entries of 2 sources, 50 items, all found with their sources"


CHECKS: dict[str, Callable[[Path], str]] = {
    "kernels of the readers": _readers,
    "sort": _sorting,
    "hex lines": _hex_lines,
    "hash set: bytes": _set_bytes,
    "hash set: lookup": _set_lookup,
    "filter": _filter,
    "lists to lookup": _round_trip,
}
