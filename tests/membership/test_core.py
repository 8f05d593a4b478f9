"""The compiled core: exact for any digests of every width, with AVX2 and without; at ease with any bytes."""

from __future__ import annotations

import mmap
import os
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashlib_interop.algorithms import Digest
from hashlib_interop.errors import BadDigest, FileFault, MalformedInput
from hashlib_interop.membership.hset_file import (
    ALGORITHM_OF,
    LINE,
    PAD,
    WIDTHS,
    Group,
    Span,
    geometry,
    radix_bits,
)
from hashlib_interop.membership.hset_lines import LinesBuilder as NumpyBuilder
from hashlib_interop.membership.hset_lines import drift
from hashlib_interop.membership.hset_numpy import Table as NumpyTable
from tests.membership.making import Keys, array, crowded, flipped, made, rows

core = pytest.importorskip("hashlib_interop.membership._membership")

ALL_WIDTHS = list(WIDTHS.values())
SIZES = (0, 1, 31, 32, 33, 63, 64, 65, 97, 200)
"""Of batches: what is handled together is 32, and 16 in the other layout."""


@pytest.fixture(params=["avx512", "avx2", "scalar"], autouse=True)
def instructions(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run every test with all vector instructions, where there are any, with fewer, and with none."""
    core.allow(request.param)
    yield
    core.allow("avx512")


def ordered(keys: Keys) -> Keys:
    """Return digests as a group has them: in order, without repeats."""
    return array(sorted(set(rows(keys))), keys.shape[1])


def in_lines(keys: Keys, for_n: int | None = None) -> tuple[bytes, Group]:
    """Return a buffer with digests in layout 1, and the group of it; with as many lines as for `for_n`."""
    n, width = keys.shape
    measures = geometry(n if for_n is None else for_n, width)
    home, width_of_rest = measures.home_lines, measures.rest
    builder = core.LinesBuilder(width, home, width_of_rest)
    rest, lines = builder.add(keys), builder.lines()
    drifts = drift(lines[:home], n)
    buffer = bytes(PAD) + rest.tobytes() + bytes(PAD) + drifts.tobytes() + lines.tobytes()
    at = len(buffer) - lines.nbytes
    spans = {"lines": Span(at, lines.nbytes, LINE), "rest_span": Span(0, at - drifts.nbytes, width_of_rest)}
    group = Group(ALGORITHM_OF[width], width, width_of_rest, 1, 0, n, home, len(lines) - home, bytes(32))
    return buffer, replace(group, **spans, drift=Span(at - drifts.nbytes, drifts.nbytes, 2))


def in_order(keys: Keys) -> tuple[bytes, Group]:
    """Return a buffer with digests in layout 0, and the group of it."""
    n, width = keys.shape
    bits = radix_bits(n)
    first = [int.from_bytes(key[:8], "big") >> (64 - bits) for key in rows(keys)]
    radix = np.array([bisect_left(first, i) for i in range(2**bits + 1)], "<u8")
    at = 2 * PAD + keys.nbytes
    group = Group(ALGORITHM_OF[width], width, width, 0, bits, n, 0, 0, bytes(32), keys=Span(0, at, width))
    return bytes(PAD) + keys.tobytes() + bytes(PAD) + radix.tobytes(), replace(group, radix=Span(at, radix.nbytes, 8))


def layouts(keys: Keys) -> Iterator[tuple[bytes, Group]]:
    """Yield what digests are in each layout that they fit."""
    yield in_order(keys)
    measures = geometry(*keys.shape)
    builder = core.LinesBuilder(keys.shape[1], measures.home_lines, measures.rest)
    builder.add(keys)
    if builder.longest <= 8:
        yield in_lines(keys)


def check(keys: Keys, asked: Keys) -> None:
    """Compare all ways to ask with a dict, in both layouts; and listing with the digests."""
    place = {key: rank for rank, key in enumerate(rows(keys))}
    expected = [place.get(key, -1) for key in rows(asked)]
    for buffer, group in layouts(keys):
        table = core.Table(buffer, [group])
        assert table.rank(asked).tolist() == expected
        assert table.contains(asked).tolist() == [rank >= 0 for rank in expected]
        assert [table.find(key) for key in rows(asked)] == expected
        assert [key in table for key in rows(asked)] == [rank >= 0 for rank in expected]
        assert [key.hex().upper() in table for key in rows(asked)] == [rank >= 0 for rank in expected]
        assert (table.digests(keys.shape[1], 0, len(keys)) == keys).all()


# Answers -------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.sampled_from(ALL_WIDTHS), st.integers(0, 2000), st.sampled_from(SIZES), st.integers(0, 9))
def test_a_table_answers_as_a_dict(width: int, n: int, asked: int, seed: int) -> None:
    """Present and absent digests mixed, in batches of any size."""
    keys = ordered(made(f"core {seed}", n, width))
    held = keys[np.arange(asked) * 7919 % n] if n else keys
    mixed = np.concatenate([held, made("absent", asked, width)])
    check(keys, mixed[np.argsort(made(seed, len(mixed), 8).view(np.uint64).ravel())][:asked])


@settings(max_examples=30)
@given(st.sampled_from(ALL_WIDTHS), st.lists(st.tuples(st.integers(1, 150), st.sampled_from([0, 1, 33, 500, 999, 1000])), max_size=9))
def test_stretches_of_hits_and_of_misses(width: int, stretches: list[tuple[int, int]]) -> None:
    """What is done for a block depends on how many of the one before were there; the answers do not."""
    keys = ordered(np.concatenate([made("stretches", 500, width), crowded(200, width)]))
    parts = [made("", 0, width)]
    for number, (count, of_1000) in enumerate(stretches):
        mixed = made(f"absent {number}", count, width).copy()
        chosen = np.arange(count) * 7919 % 1000 < of_1000
        mixed[chosen] = keys[np.arange(count)[chosen] * 31 % len(keys)]
        parts.append(mixed)
    check(keys, np.concatenate(parts))


@pytest.mark.parametrize("width", ALL_WIDTHS)
def test_no_single_bit_is_overlooked(width: int) -> None:
    """Every change of one bit of stored digests is absent."""
    keys = ordered(made("bits", 1500, width))
    changed = flipped(keys[::60])
    assert not set(rows(changed)) & set(rows(keys))
    for buffer, group in layouts(keys):
        table = core.Table(buffer, [group])
        assert not table.contains(changed).any() and table.contains(keys).all()


def spaced(width: int) -> Keys:
    """Return digests as far apart as powers of two."""
    return array([(1 << bit).to_bytes(width, "big") for bit in range(8 * width)], width)


def upper(seed: str, n: int, width: int) -> Keys:
    """Return digests that leave the first home lines empty."""
    return made(seed, n, width) | ((np.arange(width) == 0) * 128).astype(np.uint8)


def border(width: int) -> Keys:
    """Return digests of which those with one fingerprint stand on both sides of the end of a line."""
    fingerprints = [*range(26), *[26] * 5, *range(27, 40)]
    return np.concatenate([[[0, f, *key[2:]] for f, key in zip(fingerprints, made("border", 44, width), strict=True)], upper("others", 1000, width)]).astype(np.uint8)


LISTS: dict[str, Callable[[int], Keys]] = {
    "empty": lambda width: made("", 0, width),
    "one": lambda width: made("one", 1, width),
    "all equal": lambda width: np.repeat(made("one", 1, width), 300, axis=0),
    "edges": lambda width: array([bytes(width), b"\xff" * width, bytes(width - 1) + b"\1", b"\xff" * (width - 1) + b"\xfe"], width),
    "exponential": spaced,
    "crowd of one line": lambda width: np.concatenate([crowded(29, width), made("others", 100, width)]),
    "crowd of a chain": lambda width: np.concatenate([crowded(218, width), upper("others", 4000, width)]),
    "crowd over the end of a line": border,
    "crowd": lambda width: crowded(1000, width),
    "two crowds": lambda width: np.concatenate([crowded(150, width), crowded(150, width, 255), made("others", 3000, width)]),
    "a prefix of 4 bytes": lambda width: np.concatenate([np.full((500, 4), 7, np.uint8), made("tails", 500, width - 4)], axis=1),
}  # fmt: skip


@pytest.mark.parametrize("width", ALL_WIDTHS)
@pytest.mark.parametrize("name", LISTS)
def test_lists_that_are_not_uniform(name: str, width: int) -> None:
    """Whatever the digests have in common, the answers are exact."""
    keys = ordered(LISTS[name](width))
    check(keys, np.concatenate([keys[:300], keys[-300:], flipped(keys[:1]), made("asked", 40, width), LISTS["edges"](width)]))


@pytest.mark.parametrize("width", ALL_WIDTHS)
@pytest.mark.parametrize("for_n, depth", [(1, 2), (3000, 2), (4000, 3), (7000, 3), (2_000_000, 4)])
def test_lines_of_few_and_of_many(for_n: int, depth: int, width: int) -> None:
    """Digests spread over lines that determine 2, 3 and 4 bytes are found and listed; their neighbours are not there."""
    keys = ordered(made("spread", min(for_n, 20_000), width))
    buffer, group = in_lines(keys, for_n)
    table = core.Table(buffer, [group])
    assert group.rest == width - depth
    assert (table.digests(width, 0, len(keys)) == keys).all()
    assert (table.rank(keys) == np.arange(len(keys))).all()
    assert not table.contains(flipped(keys[:50])).any()


@pytest.mark.parametrize("width", ALL_WIDTHS)
def test_few_of_a_block_whose_lines_overflow(width: int) -> None:
    """Two that are there and two that are not, all of lines that overflow, in each block of digests of other lines."""
    dense = made("dense", 1200, width).copy()
    dense[:, 0] &= 3
    keys = ordered(np.concatenate([dense[:600], upper("others", 4000, width)]))
    asked = upper("asked", 32 * 300, width).reshape(300, 32, width).copy()
    asked[:, [0, 9, 17, 30]] = np.concatenate([dense[:600], dense[600:]]).reshape(4, 300, width).swapaxes(0, 1)
    buffer, group = in_lines(keys, 16_000)
    assert group.overflow_lines > 10
    place = {key: rank for rank, key in enumerate(rows(keys))}
    expected = [place.get(key, -1) for key in rows(asked.reshape(-1, width))]
    assert sum(rank >= 0 for rank in expected) == 600
    table = core.Table(buffer, [group])
    assert table.rank(asked.reshape(-1, width)).tolist() == expected
    assert table.contains(asked.reshape(-1, width)).tolist() == [rank >= 0 for rank in expected]


def test_the_longest_chain_and_the_list_beyond() -> None:
    """218 digests of one line make 8 lines; one more, and the builder says that there is no layout 1."""
    for count, longest in ((29, 1), (30, 2), (56, 2), (57, 3), (218, 8), (219, 9), (5000, 9)):
        builder = core.LinesBuilder(16, 2, 14)
        builder.add(ordered(crowded(count)))
        builder.add(array([b"\xff" * 16]))
        if longest > 8:
            assert builder.longest == longest
            with pytest.raises(ValueError, match="chain is too long"):
                builder.lines()
        else:
            assert builder.lines().shape == (1 + longest, 64) and builder.longest == longest


@settings(max_examples=20)
@given(st.integers(0, 3000), st.data())
def test_listing_any_part(n: int, data: st.DataObject) -> None:
    """From any rank to any other."""
    start = data.draw(st.integers(0, n))
    stop = data.draw(st.integers(start, n))
    keys = ordered(np.concatenate([made("listing", n), crowded(40)]))
    for buffer, group in layouts(keys):
        assert (core.Table(buffer, [group]).digests(16, start, stop) == keys[start:stop]).all()


# Building ------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.sampled_from(ALL_WIDTHS), st.integers(0, 1500), st.integers(0, 100), st.lists(st.integers(0, 1600), max_size=5))
def test_lines_do_not_depend_on_slices(width: int, n: int, crowd: int, cuts: list[int]) -> None:
    """Handed over whole or in slices, compiled or in numpy: the same bytes."""
    keys = ordered(np.concatenate([made("slices", n, width), crowded(crowd, width, n % 256)]))
    measures = geometry(*keys.shape)
    builder = core.LinesBuilder(width, measures.home_lines, measures.rest)
    rest = np.concatenate([builder.add(part) for part in np.split(keys, sorted(cuts))])
    assert builder.count == len(keys)
    twin = NumpyBuilder(width, measures.home_lines, measures.rest)
    assert (rest == twin.add(keys)).all()
    assert (builder.lines() == twin.lines()).all()
    assert builder.longest == twin.longest


def test_a_builder_refuses_what_does_not_rise() -> None:
    """Within a slice, from one to the next, and equal ones; other widths; any after the end."""
    keys = ordered(made("rise", 10))
    for slices in ([keys[::-1]], [keys[:5], keys[4:]], [keys[5:], keys[:5]], [keys[[0, 0]]]):
        builder = core.LinesBuilder(16, 1, 14)
        with pytest.raises(ValueError, match="must rise"):
            for one in slices:
                builder.add(one)
    builder = core.LinesBuilder(16, 1, 14)
    with pytest.raises(ValueError, match="another width"):
        builder.add(made("wide", 1, 20))
    builder.lines()
    for late in (lambda: builder.add(keys), builder.lines):
        with pytest.raises(ValueError, match="has ended"):
            late()
    for wrong in ((17, 1, 14), (16, 0, 14), (16, 1 << 32, 14), (16, 1, 16), (16, 1, 8), (64, 1, 14)):
        with pytest.raises(ValueError, match="no geometry"):
            core.LinesBuilder(*wrong)


# Damage --------------------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(st.sampled_from(ALL_WIDTHS), st.data())
def test_any_bytes_are_survived(width: int, data: st.DataObject) -> None:
    """Random lines, rests, keys and radix in spans that are right: every rank is of the group, and numpy agrees."""
    asked = ordered(made("hostile", data.draw(st.integers(1, 80)), width))
    buffer, group = data.draw(st.sampled_from(list(layouts(asked))))
    junk = data.draw(st.integers(0, 3))
    wild = np.frombuffer(buffer, np.uint8).copy()
    places = made((junk, data.draw(st.integers(0, 99))), len(wild), 2)
    wild = np.where(places[:, 0] < (2, 10, 128, 255)[junk], (places[:, 1], places[:, 1] & 0x9F, 0xFF, 0)[junk], wild)
    ranks = []
    for table in (core.Table(wild.astype(np.uint8), [group]), NumpyTable(wild.astype(np.uint8).tobytes(), [group])):
        ranks.append(table.rank(asked))
        assert ranks[-1].min() >= -1 and ranks[-1].max() < group.n
        assert [table.find(key) for key in rows(asked)] == ranks[-1].tolist()
        assert table.contains(asked).tolist() == (ranks[-1] >= 0).tolist()
    assert (ranks[0] == ranks[1]).all()


def test_a_chain_that_bites_its_tail_ends() -> None:
    """Lines that lead to each other for ever are followed over 8 of them."""
    buffer, group = in_lines(ordered(crowded(100)))
    assert group.lines
    wild = bytearray(buffer)
    for line in range(group.home_lines + group.overflow_lines):
        at = group.lines.offset + 64 * line
        wild[at + 5] = 0x80 | 27
        wild[at + 60 : at + 64] = group.home_lines.to_bytes(4, "little")
    table = core.Table(wild, [group])
    absent = bytes(8) + b"\1" * 8
    assert absent not in table and not table.contains(array([absent] * 50)).any()
    with pytest.raises(MalformedInput, match="damaged"):
        table.digests(16, 0, 100)


def test_damage_leads_nowhere() -> None:
    """A line that goes on in a home line, and one that begins with a later rank: absent, not found somewhere else."""
    keys = ordered(np.concatenate([crowded(40), upper("others", 200, 16)]))
    buffer, group = in_lines(keys)
    assert group.lines
    at = group.lines.offset
    wild = bytearray(buffer)
    wild[at + 60 : at + 64], wild[at + 64 : at + 128] = bytes([1, 0, 0, 0]), wild[at + 64 * group.home_lines :][:64]
    expected = [*range(27), *[-1] * 13]
    assert core.Table(wild, [group]).rank(keys[:40]).tolist() == expected
    wild = bytearray(buffer)
    wild[at] = 240
    with pytest.raises(MalformedInput, match="damaged"):
        core.Table(wild, [group]).digests(16, 0, 240)
    wild = bytearray(buffer)
    at += 64 * group.home_lines
    wild[at + 5], wild[at + 60 : at + 64] = 0x80, group.home_lines.to_bytes(4, "little")
    with pytest.raises(MalformedInput, match="damaged"):
        core.Table(wild, [group]).digests(16, 0, 240)


def test_spans_are_checked_again() -> None:
    """Lines, rest, drift, keys and radix must lie in the buffer, with the length that the counts give."""
    keys = ordered(made("spans", 100))
    for buffer, group in layouts(keys):
        wrong: list[Any] = [
            replace(group, n=group.n + 1), replace(group, n=-1), replace(group, n=1 << 41), replace(group, width=17),
            replace(group, home_lines=1 << 32), replace(group, overflow_lines=-1), replace(group, rest=0),
            replace(group, radix_bits=33), replace(group, radix_bits=-1),
        ]  # fmt: skip
        for name in ("lines", "rest_span", "drift", "keys", "radix"):
            if span := getattr(group, name):
                others = (None, replace(span, offset=-1), replace(span, offset=span.offset + 1 << 70))
                wrong += [replace(group, **{name: other}) for other in (*others, replace(span, length=span.length - 1))]
        core.Table(buffer, [group])
        kept = [one for one in wrong if not unused(group, one)]
        for one in kept:
            with pytest.raises(MalformedInput):
                core.Table(buffer, [one])
        for groups in ([group, group], [group] * 7):
            with pytest.raises(MalformedInput):
                core.Table(buffer, groups)
        with pytest.raises(MalformedInput, match="outside"):
            core.Table(buffer[:-1], [group])


def unused(group: Group, other: Group) -> bool:
    """Tell whether two groups differ in what their layout does not use."""
    names = ("home_lines", "overflow_lines", "rest") if group.layout == 0 else ("radix_bits",)
    return replace(other, **{name: getattr(group, name) for name in names}) == group


@pytest.mark.parametrize("width", ALL_WIDTHS)
@pytest.mark.parametrize("n", [1, 1000, 200_000])
def test_a_rest_is_where_it_is_expected(n: int, width: int) -> None:
    """Within 7 ranks for 9 digests in 10 at least, also where the list as a whole is far from even."""
    keys = ordered(np.concatenate([made("expected", n, width), upper("more", n // 10, width)]))
    buffer, group = in_lines(keys)
    table = core.Table(buffer, [group])
    off = [abs(table.expected(key) - rank) for rank, key in list(enumerate(rows(keys)))[:: max(n // 5000, 1)]]
    assert np.mean(np.array(off) <= 7) > 0.9


def test_a_drift_that_lies_misleads_nobody() -> None:
    """Whatever it says, answers are the same."""
    keys = ordered(made("drift", 3000))
    buffer, group = in_lines(keys)
    assert group.drift
    for junk in (b"\x00\x80", b"\xff\x7f", b"\x00\x80\xff\x7f"):
        wild = bytearray(buffer)
        wild[group.drift.offset : group.drift.stop] = (junk * group.drift.length)[: group.drift.length]
        table = core.Table(wild, [group])
        assert [table.find(key) for key in rows(keys)] == list(range(3000))
        assert table.expected(bytes(16)) in ((1 << 64) - 32768, 32767)


# Ways to ask ---------------------------------------------------------------------------------------------


def test_buffers_count_by_their_bytes() -> None:
    """Not by their elements; and what is bytes but for its type, is bytes."""
    keys = ordered(made("buffers", 200))
    buffer, group = in_lines(keys)
    table = core.Table(buffer, [group])
    key = keys[7].tobytes()
    assert memoryview(key).cast("Q") in table and np.bytes_(key) in table
    assert [table.find(form) for form in (bytearray(key), f"md5:{key.hex()}", type("B", (bytes,), {})(key))] == [7] * 3
    assert table.contains([memoryview(key).cast("Q"), bytearray(key)]).tolist() == [True, True]
    assert table.contains([]).shape == (0,)
    for wide in (memoryview(bytes(128)).cast("Q"), memoryview(bytes(512)).cast("Q"), f"sha1:{key.hex()}", "md5:", ":" * 40, ":" * 100_000, f"md5:{key.hex()}:"):
        with pytest.raises(BadDigest):
            table.find(wide)
    assert table.contains([key.hex(), Digest("md5", key), f"md5:{key.hex()}", bytes(16).hex()]).tolist() == [True, True, True, False]
    with pytest.raises(TypeError, match="bytes, hex text or a Digest"):
        table.contains([7])


class Sub(core.Table):
    """As HashSet does."""


def several() -> tuple[Any, dict[int, Keys]]:
    """Return a table of three groups, and their digests by width."""
    groups, buffer, by_width = [], b"", {}
    for width in (16, 20, 64):
        by_width[width] = ordered(made("several", 500, width))
        part, group = in_lines(by_width[width])
        assert group.lines and group.rest_span
        lines, rest = replace(group.lines, offset=group.lines.offset + len(buffer)), replace(group.rest_span, offset=len(buffer))
        groups.append(replace(group, lines=lines, rest_span=rest))
        buffer += part
    return Sub(buffer, groups), by_width


def test_one_digest_in_all_its_forms() -> None:
    """Bytes, hex of any case, `Digest`; the width says the group; what is none is an error."""
    table, by_width = several()
    assert Sub.__contains__ is core.Table.__contains__
    for keys in by_width.values():
        value = keys[7].tobytes()
        digest = Digest(ALGORITHM_OF[len(value)], value)
        for form in (value, value.hex(), value.hex().upper(), digest, bytearray(value), memoryview(value)):
            assert form in table and table.find(form) == 7
    for absent in (bytes(16), bytes(32), "00" * 16, "00" * 32, Digest("sha256", bytes(32))):
        assert absent not in table and table.find(absent) == -1
    for bad in (b"", b"x", bytes(65), "", "0", "0" * 31, "0" * 33, "g" * 32, "\xe9" * 32, "٠" * 32, "0" * 130, Digest("md5", bytes(20))):
        with pytest.raises(BadDigest):
            _ = bad in table
    for wrong in (None, 7, 1.5, ["0" * 32], np.zeros(16, np.uint8)):
        with pytest.raises(TypeError):
            _ = wrong in table


def test_many_digests_in_all_their_forms() -> None:
    """Arrays, Arrow (sliced, chunked, with nulls), lists, buffers: the same answers; of a width without a group, none."""
    table, by_width = several()
    keys, absent = by_width[20], made("absent", 3, 20)
    asked = np.concatenate([keys[5:8], absent])
    expected = [5, 6, 7, -1, -1, -1]
    column = pa.array(rows(asked), pa.binary(20))
    forms = (asked, np.repeat(asked, 2, axis=0)[::2], column, pa.chunked_array([column[:2], column[2:]]), rows(asked))
    for form in forms:
        assert table.rank(form).tolist() == expected and table.contains(form).tolist() == [True] * 3 + [False] * 3
    assert table.rank(asked.tobytes(), width=20).tolist() == expected
    assert table.rank(column[2:4]).tolist() == [7, -1] and table.rank(column[:0]).tolist() == []
    gaps = pa.array([None, rows(keys)[3], None], pa.binary(20))
    assert table.rank(gaps).tolist() == [-1, 3, -1] and table.contains(gaps).tolist() == [False, True, False]
    assert table.rank(made("other", 4, 32)).tolist() == [-1] * 4 and not table.contains(made("other", 4, 32)).any()
    for bad in (made("", 3, 17), [b"x" * 16, b"x" * 20]):
        with pytest.raises(BadDigest):
            table.rank(bad)
    with pytest.raises(ValueError, match="threads"):
        table.rank(asked, threads=0)


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_threads_change_nothing(threads: int) -> None:
    """A batch is split into parts, each with its own answers."""
    keys = ordered(made("threads", 5000))
    asked = np.concatenate([keys, made("absent", 60_000)])[np.arange(65_000) * 7919 % 65_000]
    for buffer, group in layouts(keys):
        table = core.Table(buffer, [group])
        assert (table.rank(asked, threads) == NumpyTable(buffer, [group]).rank(asked)).all()
        assert (table.contains(asked, threads) == (table.rank(asked) >= 0)).all()


# Memory --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefault", [False, True])
def test_a_mapping_is_the_file(tmp_path: Path, prefault: bool) -> None:
    """Read-only, at a multiple of 2 MiB, whatever becomes of the file's name; gone when nobody looks into it."""
    path, data = tmp_path / "file", made("file", 1, 3 << 20).tobytes()
    path.write_bytes(data)
    with path.open("rb") as file:
        mapping = core.Mapping(file.fileno(), len(data), prefault)
    path.unlink()
    view = memoryview(mapping)
    assert view == data and view.readonly and len(mapping) == mapping.length == len(data)
    seen = np.frombuffer(mapping, np.uint8)
    assert seen.ctypes.data % (2 << 20) == 0
    mapping.close()
    assert seen.tobytes() == data
    with pytest.raises(ValueError, match="closed"):
        memoryview(mapping)


def test_what_cannot_be_mapped(tmp_path: Path) -> None:
    """More than the file has, nothing, and no file."""
    path = tmp_path / "file"
    path.write_bytes(bytes(5000))
    with path.open("rb") as file:
        for length in (0, 5001, 1 << 62):
            with pytest.raises(MalformedInput, match="to be mapped"):
                core.Mapping(file.fileno(), length)
        mapping = core.Mapping(file.fileno(), 5000)
        with pytest.raises(ValueError, match="already"):
            mapping.__init__(file.fileno(), 5000)
    with path.open("ab") as file, pytest.raises(FileFault, match="cannot be mapped"):
        core.Mapping(file.fileno(), 5000)


def test_a_closed_table_says_so() -> None:
    """In every way to ask; twice is no error; a table that was never opened is closed."""
    table, by_width = several()
    with table:
        assert table.rank(by_width[16]).tolist() == list(range(500))
    table.close()
    for closed in (table, Sub.__new__(Sub)):
        for use in (
            lambda t: bytes(16) in t, lambda t: "00" * 16 in t, lambda t: t.find(bytes(16)), lambda t: t.rank(by_width[16]),
            lambda t: t.contains(by_width[16]), lambda t: t.digests(16, 0, 1),
        ):  # fmt: skip
            with pytest.raises(ValueError, match="closed"):
                use(closed)


def test_closing_while_others_look_up(tmp_path: Path) -> None:
    """Batches that have begun end with right answers; the memory goes with the last of them; others are told."""
    buffer, group = in_lines(ordered(made("close", 20_000)))
    (path := tmp_path / "file").write_bytes(buffer)
    asked = np.repeat(ordered(made("close", 20_000)), 20, axis=0)
    for wait in (0.0, 0.002, 0.01):
        with path.open("rb") as file:
            mapping = core.Mapping(file.fileno(), len(buffer))
        table, outcomes = core.Table(mapping, [group]), []

        def ask(table: Any = table, outcomes: list[bool | None] = outcomes) -> None:
            try:
                while True:
                    outcomes.append(bool(table.contains(asked).all()))
            except ValueError:
                outcomes.append(None)

        askers = [threading.Thread(target=ask) for _ in range(4)]
        for asker in askers:
            asker.start()
        time.sleep(wait)
        table.close()
        mapping.close()
        for asker in askers:
            asker.join()
        assert outcomes.count(None) == 4 and False not in outcomes
        with pytest.raises(ValueError, match="closed"):
            memoryview(mapping)


def test_a_table_is_there_after_a_fork(tmp_path: Path) -> None:
    """The mapping is the child's too."""
    keys = ordered(made("fork", 1000))
    buffer, group = in_lines(keys)
    (path := tmp_path / "file").write_bytes(buffer)
    with path.open("rb") as file:
        table = core.Table(core.Mapping(file.fileno(), len(buffer)), [group])
    child = os.fork()
    if not child:
        os._exit(0 if table.contains(keys).all() and keys[3].tobytes() in table else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_any_buffer_will_do() -> None:
    """A table over a map of the standard library, an array, bytes; it keeps what it looks into alive."""
    keys = ordered(made("buffers", 100))
    buffer, group = in_lines(keys)
    anonymous = mmap.mmap(-1, len(buffer))
    anonymous[:] = buffer
    for memory in (anonymous, bytearray(buffer), np.frombuffer(buffer, np.uint8), memoryview(buffer)):
        table = core.Table(memory, [group])
        assert table.contains(keys).all()
        table.close()
    with pytest.raises(TypeError):
        core.Table("text", [group])
    with pytest.raises(ValueError, match="already"):
        (table := core.Table(buffer, [group])).__init__(buffer, [group])


def test_the_limits_read_what_they_are_given() -> None:
    """Whole lines inside the buffer; the sum is the same for the same seed."""
    memory = np.ones(64 * 10 + 8, np.uint8)
    queries = np.zeros((1000, 16), np.uint8)
    assert core.limit_lines(memory, (8, 640), 1000, 1) == core.limit_lines(memory, (8, 640), 1000, 1) > 0
    assert core.limit_lines(memory, (8, 640), 1000, 1, queries) == core.limit_lines(memory, (8, 640), 1000, 2)
    assert core.limit_lines(memory, (8, 640), 1000, 1, design=True) == core.limit_lines(memory, (8, 640), 1000, 1)
    assert core.limit_pairs(memory, (8, 640), (0, 64), 13, 1000, 1) > 0
    pairs = memory, (8, 640), (0, 64), 64, 1000, 1
    assert core.limit_pairs(*pairs, True) == core.limit_pairs(*pairs)
    for stride in (0, 7, 65):
        with pytest.raises(ValueError, match="records of 8 to 64 bytes"):
            core.limit_pairs(memory, (8, 640), (0, 64), stride, 1000, 1)
    for offset, length in ((9, 640), (0, 63), (-1, 64), (0, 10_000)):
        with pytest.raises(ValueError, match="no lines"):
            core.limit_lines(memory, (offset, length), 10, 1)
    for wrong, count in ((queries[:, :15].copy(), 10), (queries, 1001), (queries, 0)):
        with pytest.raises(ValueError, match="queries of 16 bytes"):
            core.limit_lines(memory, (8, 640), count, 1, wrong)
