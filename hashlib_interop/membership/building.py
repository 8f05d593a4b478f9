"""From lists and catalogs to a file: a hash set or a filter, and what there is to say about how it came about."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from hashlib_interop.errors import BadOption, WouldReplace, shown
from hashlib_interop.manifest import check_beside, set_beside
from hashlib_interop.membership import fuse
from hashlib_interop.membership.digest_sources import Lists, kind_of
from hashlib_interop.membership.hashset import HashSet
from hashlib_interop.membership.hset_build import MEMORY

Path = str | os.PathLike[str]


@dataclass
class Built:
    """A set or a filter, and what it was made of. `algorithms`: digests read, and those in the file, by algorithm.

    A filter does not know how many of its digests are of which algorithm. `size` in bytes. `restricted`: entries in it
    that may not go to everybody, by the codes that say so; the file does not say them.
    """

    output: str
    count: int
    size: int
    algorithms: dict[str, tuple[int, int | None]]
    entries: int
    rejected: int
    left_out: dict[str, int]
    restricted: dict[str, int]
    crosswalk: dict[str, str]
    """The agency's own mapping files that classifications come from: name, by SHA-256; named in `OUT.manifest.json`."""
    carries: tuple[str, ...] = ()
    false_positive_rate: float = 0.0
    content_ids: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        counts = {name: {"read": read, "held": held} for name, (read, held) in self.algorithms.items()}
        crosswalk = [{"name": name, "sha256": sha256} for sha256, name in self.crosswalk.items()]
        return asdict(self) | {"algorithms": counts, "crosswalk": crosswalk}


def build_set(
    lists: Lists, output: Path, *, bare: bool = False, memory: int | str = MEMORY, threads: int | None = None
) -> Built:
    """Make the hash set of lists. It carries sources and classifications, and the item numbers of a catalog alone.

    `bare`: digests only. Raises what `HashSet.build` raises, `BadOption` and `WouldReplace` for a bad name.
    """
    check_output(output, lists.paths, ".hset")
    with HashSet.build(
        lists, output, payload=() if bare else _columns(lists), memory=memory, threads=threads
    ) as made:
        info = made.info
        held = {group.algorithm: group.n for group in info.groups}
        carries, size, ids = info.payload, info.size, made.content_ids
    algorithms = {name: (lists.digests[name], n) for name, n in held.items()}
    return _built(lists, output, sum(held.values()), size, algorithms, carries=carries, content_ids=ids)


def build_filter(
    lists: Lists,
    output: Path,
    *,
    bits: int = 8,
    key: int = 0,
    memory: int | str = MEMORY,
    threads: int | None = None,
) -> Built:
    """Make the filter of lists, but for what is restricted; see `fuse.build`."""
    check_output(output, lists.paths, ".hfilter")
    lists.shared = True
    workers = threads or os.cpu_count() or 1
    info = fuse.build(lists, output, bits=bits, key=key, threads=workers, memory=memory)
    algorithms: dict[str, tuple[int, int | None]] = {
        name: (lists.digests[name], None) for name in info.algorithms
    }
    return _built(
        lists, output, info.count, info.size, algorithms, false_positive_rate=info.false_positive_rate
    )


def _built(lists: Lists, output: Path, count: int, size: int, algorithms: Any, **more: Any) -> Built:
    left_out, restricted = (dict(sorted(found.items())) for found in (lists.left_out, lists.restricted))
    name, entries = os.fspath(output), lists.entries
    set_beside(output, lists.crosswalk)
    rejected, crosswalk = lists.rejected, dict(sorted(lists.crosswalk.items()))
    return Built(name, count, size, algorithms, entries, rejected, left_out, restricted, crosswalk, **more)


def _columns(lists: Lists) -> tuple[str, ...] | None:
    """Return what the digests carry: numbers are those of one catalog, or they would say nothing; None: as given."""
    kinds = [kind_of(path) for path in lists.paths]
    if kinds == ["hset"]:
        return None
    return (*(["numbers"] if kinds == ["catalog"] else []), "sources", "classifications")


def check_output(output: Path, inputs: Iterable[Path], suffix: str) -> None:
    """Refuse names under which something else would be lost, or this not be known for what it is."""
    name = os.fspath(output)
    other = {".hset": ".hfilter", ".hfilter": ".hset"}[suffix]
    if name.endswith(other):
        raise BadOption(
            f"{shown(name, 200)} is to be a {suffix} file: choose another suffix, or see --filter"
        )
    if any(os.path.realpath(name) == os.path.realpath(os.fspath(path).split("=", 1)[-1]) for path in inputs):
        raise BadOption(f"{shown(name, 200)} is an input: it would be destroyed")
    check_beside(output)
    if os.path.isfile(name) and kind_of(name) not in ("hset", "hfilter", "empty"):
        raise WouldReplace(
            "is there already, and is no hash set: choose another name, or remove it", file=name
        )
