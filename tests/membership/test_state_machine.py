"""Sets built, joined, saved and looked up in any order: `HashSet`, both readers, Python's set agree."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from hashlib_interop.algorithms import Digest
from hashlib_interop.membership import hset_numpy, hset_write
from hashlib_interop.membership.hashset import HashSet
from hashlib_interop.membership.hset_file import ALGORITHM_OF
from hashlib_interop.membership.hset_payload import Batch
from tests.membership.making import array, compiled, crowded, header_of, made, rows, table

Model = frozenset[Digest]

# Digests that meet: few seeds, edges, crowds of one line, neighbours in one bit, every width that differs in
# kind.
EDGES = [lambda width: bytes(width), lambda width: b"\xff" * width, lambda width: b"\x80" + bytes(width - 1)]


def _seeded(k: int, width: int) -> bytes:
    return rows(made(k, 1, width))[0]


def _near(k: int, width: int) -> bytes:
    value = bytearray(_seeded(k // 8, width))
    value[k % width] ^= 1 << k % 8
    return bytes(value)


widths = st.sampled_from([16, 16, 20, 32])
single = st.one_of(
    st.builds(_seeded, st.integers(0, 60), widths),
    st.builds(_near, st.integers(0, 100), widths),
    st.builds(lambda edge, width: edge(width), st.sampled_from(EDGES), widths),
)
crowds = st.builds(
    lambda count, width: rows(crowded(count, width)), st.sampled_from([25, 35, 100, 260]), widths
)
uniform = st.builds(
    lambda seed, count, width: rows(made(seed, count, width)),
    st.integers(0, 3),
    st.sampled_from([20, 200, 900]),
    widths,
)
digests = st.lists(single, max_size=12) | crowds | uniform


def modelled(values: list[bytes]) -> Model:
    """Return bytes as the set that they are."""
    return frozenset(Digest(ALGORITHM_OF[len(value)], value) for value in values)


def batches(values: list[bytes], step: int) -> list[Batch]:
    """Return bytes as batches of at most `step`, with repeats over their edges."""
    found = []
    for width in sorted({len(value) for value in values}):
        own = [value for value in values if len(value) == width]
        found += [
            Batch(ALGORITHM_OF[width], array(own[at : at + step + 1], width))
            for at in range(0, len(own), step)
        ]
    return found


class Sets(RuleBasedStateMachine):
    """Pairs of a set and its model."""

    pairs: Bundle[Any] = Bundle("pairs")

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._files = 0
        self._opened: list[tuple[HashSet, Model]] = []

    def teardown(self) -> None:
        """Let go of everything."""
        for opened, _ in self._opened:
            opened.close()
        self._folder.cleanup()

    def _new_path(self) -> Path:
        self._files += 1
        return Path(self._folder.name) / f"{self._files}.hset"

    def _kept(self, opened: HashSet, model: Model) -> tuple[HashSet, Model]:
        self._opened.append((opened, model))
        return opened, model

    @rule(
        target=pairs,
        values=digests,
        step=st.sampled_from([1, 50, 1000]),
        threads=st.integers(1, 3),
        memory=st.sampled_from([1, 4000, 1 << 30]),
        on_disk=st.booleans(),
    )
    def build(self, values: list[bytes], step: int, threads: int, memory: int, on_disk: bool) -> Any:
        """Build from batches, in memory or on the disk."""
        memory = memory if len(values) < 300 else max(memory, 4000)  # a run is of 64 records, and a file
        algorithm = None if values else "md5"
        path = self._new_path() if on_disk else None
        opened = HashSet.build(
            batches(values, step), path, algorithm=algorithm, threads=threads, memory=memory
        )
        return self._kept(opened, modelled(values))

    @rule(
        target=pairs,
        one=pairs,
        other=pairs,
        name=st.sampled_from(["union", "intersection", "difference", "symmetric_difference"]),
    )
    def combine(self, one: Any, other: Any, name: str) -> Any:
        """Make a set of two."""
        if len(self._opened) > 12:
            return multiple()
        return self._kept(getattr(one[0], name)(other[0]), getattr(one[1], name)(other[1]))

    @rule(target=pairs, pair=consumes(pairs), reopen=st.booleans())
    def save(self, pair: Any, reopen: bool) -> Any:
        """Save a set, and go on with what was saved."""
        path = self._new_path()
        pair[0].save(path)
        if reopen:
            pair[0].close()
        return self._kept(HashSet.open(path, verify=True), pair[1])

    @rule(one=pairs, other=pairs)
    def compare(self, one: Any, other: Any) -> None:
        """Counts and equality."""
        expected = len(one[1] & other[1]), len(one[1] - other[1]), len(other[1] - one[1])
        assert one[0].compare(other[0]) == expected
        assert (one[0] == other[0]) == (one[1] == other[1])

    @rule(pair=pairs, values=digests)
    def look_up(self, pair: Any, values: list[bytes]) -> None:
        """One by one and in batches: the set, both readers, the model."""
        opened, model = pair
        asked = values + [digest.value for digest in sorted(model)[:200]]
        expected = [value in {digest.value for digest in model} for value in asked]
        assert [value in opened for value in asked[:100]] == expected[:100]
        data = Path(f"/dev/fd/{opened._fd}").read_bytes()
        readers = [opened, *(table(core, data) for core in (hset_numpy, compiled) if core)]
        for width in {len(value) for value in asked}:
            own = [value for value in asked if len(value) == width]
            there = [found for value, found in zip(asked, expected, strict=True) if len(value) == width]
            for reader in readers:
                assert reader.contains(array(own, width)).tolist() == there

    @rule(pair=pairs)
    def list_all(self, pair: Any) -> None:
        """All digests, in order, in each reader; the same file from the digests alone, by each builder."""
        opened, model = pair
        assert list(opened) == sorted(model, key=lambda digest: (len(digest.value), digest.value))
        data = Path(f"/dev/fd/{opened._fd}").read_bytes()
        for core in filter(None, (hset_numpy, compiled)):
            reader = table(core, data)
            for group in header_of(data).groups:
                assert (np.diff(reader.rank(reader.digests(group.width, 0, group.n))) == 1).all()
        if model and len(header_of(data).groups) == len({digest.algorithm for digest in model}):
            self._rebuilt(model, data)

    def _rebuilt(self, model: Model, data: bytes) -> None:
        built = hset_write.compiled
        try:
            for builder in {built, None}:
                hset_write.compiled = builder
                with HashSet.build(batches([digest.value for digest in model], 5000)) as again:
                    assert Path(f"/dev/fd/{again._fd}").read_bytes() == data
        finally:
            hset_write.compiled = built

    @invariant()
    def sizes_agree(self) -> None:
        """Nothing changes behind our back: sets are immutable."""
        for opened, model in self._opened:
            assert opened.closed or len(opened) == len(model)


TestSets = Sets.TestCase
TestSets.settings = settings(stateful_step_count=14)
