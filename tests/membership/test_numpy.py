"""The readers of a set, in numpy and compiled: exact for any digests, in both layouts; bounded by damage."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashlib_interop.algorithms import Digest
from hashlib_interop.errors import BadDigest, MalformedInput
from hashlib_interop.membership import hset_lines, hset_numpy, hset_write
from hashlib_interop.membership.hset_file import (
    ALGORITHM_OF,
    CHAIN,
    LINES_LAYOUT,
    LONGEST_CHAIN,
    SORTED,
    WIDTHS,
    geometry,
)
from tests.membership.making import (
    CORES,
    array,
    batch,
    compiled,
    crowded,
    flipped,
    header_of,
    made,
    rows,
    table,
    together,
    written,
)

cores = pytest.mark.parametrize("core", CORES)


def exponential(width: int = 16) -> np.ndarray[Any, Any]:
    """Return the powers of two and their neighbours, as digests."""
    values = {(1 << k) + d for k in range(width * 8) for d in (-1, 0, 1)}
    return array((value.to_bytes(width, "big") for value in sorted(values) if value < 1 << width * 8), width)


LISTS = {
    "empty": lambda: made("none", 0),
    "one": lambda: made("one", 1),
    "all equal": lambda: np.repeat(made("one", 1), 300, axis=0),
    "two of one line": lambda: made("two", 2),
    "edges": lambda: array(
        [bytes(16), b"\xff" * 16, bytes(15) + b"\1", b"\xff" * 15 + b"\xfe", b"\x80" + bytes(15)]
    ),
    "uniform": lambda: made("uniform", 3000),
    "a deeper line": lambda: made("deeper", 300 * 18),
    "shared prefix of 4 bytes": lambda: np.concatenate(
        [made("p", 900), np.insert(made("q", 200, 12), [0] * 4, 7, axis=1)]
    ),
    "a chain of 8": lambda: np.concatenate([made("c", 50), crowded(LONGEST_CHAIN)]),
    "a chain of 9": lambda: np.concatenate([made("c", 50), crowded(LONGEST_CHAIN + 1)]),
    "crowded at both ends": lambda: np.concatenate([crowded(100, first=0), crowded(100, first=255)]),
    "exponential spacing": exponential,
    "many crowds": lambda: np.concatenate(
        [made("m", 500), *(crowded(30 + k, first=k) for k in range(0, 60, 5))]
    ),
}


def check(table: Any, keys: np.ndarray[Any, Any], others: np.ndarray[Any, Any]) -> None:
    """Hold a table against a Python set, batch and single."""
    ordered = sorted(set(rows(keys)))
    places = {value: rank for rank, value in enumerate(ordered)}
    asked = np.concatenate([keys, others])
    expected = [places.get(value, -1) for value in rows(asked)]
    assert table.rank(asked).tolist() == expected
    assert table.contains(asked).tolist() == [rank >= 0 for rank in expected]
    assert [value in table for value in rows(asked[:500])] == [rank >= 0 for rank in expected[:500]]
    assert [table.find(value) for value in rows(asked[-500:])] == expected[-500:]
    assert rows(table.digests(keys.shape[1], 0, len(ordered))) == ordered


@cores
@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_looked_up_exactly(core: Any, name: str) -> None:
    """Stored digests at their rank, near misses absent, the listing complete."""
    keys = LISTS[name]()
    data = written(batch(keys), algorithms=("md5",))
    check(table(core, data), keys, np.concatenate([made("others", 500), flipped(keys[:60])]))


@cores
@pytest.mark.parametrize("width", WIDTHS.values())
@pytest.mark.parametrize("crowd", [0, 400])
def test_every_flipped_bit_of_every_width_is_another_digest(core: Any, width: int, crowd: int) -> None:
    """In both layouts: a digest that differs in one bit is not there, unless it is stored itself."""
    keys = np.concatenate([made("bits", 150, width), crowded(crowd, width)])
    data = written(batch(keys))
    assert header_of(data).groups[0].layout == (SORTED if crowd else LINES_LAYOUT)
    check(table(core, data), keys, flipped(keys))


@given(
    st.lists(st.binary(min_size=2, max_size=2), max_size=80),
    st.lists(st.binary(min_size=2, max_size=2), max_size=40),
    st.sampled_from(list(WIDTHS.values())),
    st.sampled_from([0, 3, 7, 8, 12, 14]),
)
def test_digests_that_differ_in_two_bytes_only(
    stored: list[bytes], asked: list[bytes], width: int, place: int
) -> None:
    """Wherever these bytes stand: in the line, the fingerprint, the rest; in every reader."""

    def spread(pairs: list[bytes]) -> np.ndarray[Any, Any]:
        return array((bytes(place) + pair + bytes(width - place - 2) for pair in pairs), width)

    data = written(batch(spread(stored)), algorithms=(ALGORITHM_OF[width],))
    for core in filter(None, (hset_numpy, compiled)):
        check(table(core, data), spread(stored), spread(asked))


def test_the_layout_follows_from_the_longest_chain() -> None:
    """218 digests of one home line fill 8 lines; one more, and the group is sorted."""
    chain = [header_of(written(batch(crowded(LONGEST_CHAIN + more)))).groups[0] for more in (0, 1)]
    assert [group.layout for group in chain] == [LINES_LAYOUT, SORTED]
    assert chain[0].overflow_lines == 7


def test_no_more_than_48_digests_have_one_line_and_fingerprint() -> None:
    """One more, and the group is sorted; by either builder."""
    others = made("others", 4000)
    for builder in (hset_lines, hset_write.compiled or hset_lines):
        for more, chain in ((0, 3), (1, 9)):
            keys = np.unique(np.concatenate([others, together(48 + more)]), axis=0)
            measures = geometry(len(keys), 16)
            lines = builder.LinesBuilder(16, measures.home_lines, measures.rest)
            for at in range(0, len(keys), 1000):
                lines.add(keys[at : at + 1000].copy())
            if more == 0:
                lines.lines()
            assert (lines.longest == chain) if more else (lines.longest <= chain)
            assert header_of(written(batch(keys))).groups[0].layout == (SORTED if more else LINES_LAYOUT)


def test_a_lookup_in_crafted_lines_compares_less_than_64_things(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of a chain, and rests: of digests that are there, and of others with the same first bytes."""
    keys = np.unique(np.concatenate([made("others", 4000), together(48), crowded(180)]), axis=0)
    reader = table(hset_numpy, written(batch(keys)))._readers[16]
    probes = []
    rest = reader._rest_of
    monkeypatch.setattr(reader, "_rest_of", lambda rank, width: probes.append(rank) or rest(rank, width))
    absent = np.concatenate([together(60)[48:], crowded(220)[180:]])
    most = 0
    for key in rows(np.concatenate([together(48), crowded(180), absent])):
        probes.clear()
        reader.find(key)
        most = max(most, len(probes))
    assert 40 < most and most + CHAIN < 64


@pytest.mark.parametrize("n", [1, 2, 1000, 30_000])
def test_a_lookup_in_a_crafted_list_takes_less_than_64_probes(
    n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layout 0 halves what is left; nearly all of these digests are in one element of RADIX."""
    probes = []
    keys = np.unique(np.concatenate([crowded(max(n, 300)), exponential()]), axis=0)
    reader = table(hset_numpy, written(batch(keys)))._readers[16]
    at = reader._at
    monkeypatch.setattr(reader, "_at", lambda rank: probes.append(rank) or at(rank))
    for key in rows(keys[:: max(len(keys) // 300, 1)]):
        probes.clear()
        assert reader.find(key) >= 0
        assert len(probes) < 64


@cores
def test_all_forms_of_a_digest_are_looked_up(core: Any) -> None:
    """Bytes, hex text in any case, Digest; other widths are not there, other things are no digests."""
    keys = made("forms", 40)
    lookup = table(core, written(batch(keys)))
    one, other = rows(keys)[0], rows(made("no", 1))[0]
    for form in (one, one.hex(), one.hex().upper(), Digest("md5", one)):
        assert form in lookup
    for form in (other, other.hex(), Digest("md5", other), bytes(20), "00" * 32, Digest("sha1", bytes(20))):
        assert form not in lookup
    for wrong in (b"", one[:-1], one.hex()[:-1], "g" * 32, one.hex()[:-1] + "\xb2", Digest("sha1", one)):
        with pytest.raises(BadDigest):
            assert wrong in lookup
    for wrong in (7, None, ["a"]):
        with pytest.raises(TypeError):
            assert wrong in lookup


@cores
def test_all_forms_of_a_batch_are_looked_up(core: Any) -> None:
    """Arrays, also of every other row; Arrow columns, also sliced and with nulls; bytes."""
    keys = made("batch", 100)
    lookup = table(core, written(batch(keys[::2])))
    expected = [k % 2 == 0 for k in range(100)]
    column = pa.array(rows(keys), pa.binary(16))
    assert lookup.contains(keys).tolist() == expected
    assert lookup.contains(keys[::-1]).tolist() == expected[::-1]
    assert lookup.contains(column).tolist() == expected
    assert lookup.contains(column[1:]).tolist() == expected[1:]
    assert lookup.contains(pa.chunked_array([column[:3], column[3:]])).tolist() == expected
    assert lookup.contains(rows(keys)).tolist() == expected
    assert lookup.contains(keys.tobytes(), width=16).tolist() == expected
    nulls = pa.array([None, *rows(keys[:2])], pa.binary(16))
    assert lookup.contains(nulls).tolist() == [False, True, False]
    assert lookup.rank(nulls)[0] == lookup.rank(nulls)[2] == -1
    assert not lookup.contains(made("wide", 3, 20)).any()


@cores
def test_threads_do_not_change_answers(core: Any) -> None:
    """A batch is parted, never an answer."""
    keys = made("threads", 60_000)
    lookup = table(core, written(batch(keys[:30_000])))
    alone = lookup.rank(keys)
    assert (lookup.rank(keys, threads=4) == alone).all() and (lookup.contains(keys, 3) == (alone >= 0)).all()


@cores
def test_any_range_of_ranks_is_listed(core: Any) -> None:
    """Ranges that begin and end inside of lines and of chains; none outside of the group."""
    keys = np.unique(np.concatenate([made("range", 300), crowded(80, first=9)]), axis=0)
    for more in (0, 300):
        stored = np.unique(np.concatenate([keys, crowded(more)]), axis=0)
        lookup = table(core, written(batch(stored)))
        for start in range(0, len(stored), 7):
            for stop in {start, start + 1, start + 6, start + 90} & set(range(len(stored) + 1)):
                assert (lookup.digests(16, start, stop) == stored[start:stop]).all()
        for wrong in ((0, len(stored) + 1), (-1, 3), (5, 4)):
            with pytest.raises(IndexError):
                lookup.digests(16, *wrong)
        with pytest.raises(KeyError):
            lookup.digests(20, 0, 1)


@cores
def test_a_closed_table_says_so(core: Any) -> None:
    """After `close`, and after the block of a context manager."""
    keys = made("closed", 10)
    with table(core, written(batch(keys))) as lookup:
        assert keys[0].tobytes() in lookup
    for use in (
        lambda: b"\0" * 16 in lookup,
        lambda: lookup.contains(keys),
        lambda: lookup.digests(16, 0, 1),
    ):
        with pytest.raises(ValueError, match="closed"):
            use()


@settings(max_examples=60)
@given(st.data())
def test_damage_is_answered_alike_and_never_a_crash(data: st.DataObject) -> None:
    """Any bytes in place of lines, radix, rest: both readers give the same ranks, inside the group.

    A listing may say damage; the compiled one does so for more of it.
    """
    crowd = data.draw(st.sampled_from([0, 60, 300]))
    keys = np.concatenate([made("damage", 120), crowded(crowd)])
    whole = bytearray(written(batch(keys)))
    (group,) = header_of(bytes(whole)).groups
    span = data.draw(
        st.sampled_from([s for s in (group.lines, group.radix, group.rest_span, group.keys) if s])
    )
    for _ in range(data.draw(st.integers(1, 6))):
        place = span.offset + data.draw(st.integers(0, span.length - 8))
        junk = data.draw(st.binary(min_size=1, max_size=8) | st.sampled_from([b"\xff" * 8, bytes(8)]))
        whole[place : place + len(junk)] = junk
    asked = np.concatenate([keys, made("asked", 50)])
    found = []
    for core in filter(None, (hset_numpy, compiled)):
        lookup = core.Table(bytes(whole), header_of(bytes(whole)).groups)
        ranks = lookup.rank(asked)
        assert ranks.min() >= -1 and ranks.max() < len(keys)
        assert [lookup.find(value) for value in rows(asked)] == ranks.tolist()
        with contextlib.suppress(MalformedInput):
            assert lookup.digests(16, 0, group.n).shape == (group.n, 16)
        found.append(ranks)
    assert (found[0] == found[-1]).all()
