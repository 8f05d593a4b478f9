"""`HashSet`: build, open, look up, what is carried, other sets; threads, forks, files that are replaced."""

from __future__ import annotations

import io
import mmap
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

import hashlib_interop
from hashlib_interop.algorithms import Digest
from hashlib_interop.errors import BadDigest, BadOption, FileFault, MalformedInput
from hashlib_interop.membership import hashset, hset_algebra, hset_build, hset_numpy
from hashlib_interop.membership.fuse import Filter
from hashlib_interop.membership.hashset import COMPILED, HashSet
from hashlib_interop.membership.hset_carried import Carried, read_meta
from hashlib_interop.membership.hset_file import (
    HEADER,
    KEYS,
    LINES_LAYOUT,
    NUMBERS,
    PAD,
    RADIX,
    SORTED,
    block_sums,
    group_of,
    laid_out,
    packed,
)  # fmt: skip
from hashlib_interop.membership.hset_payload import Batch, Numbers, Sets
from tests.membership.making import array, batch, crowded, header_of, made, rows, written

SETS = {
    "union": set.union,
    "intersection": set.intersection,
    "difference": set.difference,
    "symmetric_difference": set.symmetric_difference,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a set of 1000 MD5 and 500 SHA-1."""
    HashSet.build([batch(made("a", 1000)), batch(made("a", 500, 20))], tmp_path / "a.hset").close()
    return tmp_path / "a.hset"


def test_the_face_of_a_set(path: Path) -> None:
    """What the issue shows, on one file with two algorithms."""
    md5, sha1 = made("a", 1000), made("a", 500, 20)
    with HashSet.open(path, prefault=True, verify=True) as hs:
        assert len(hs) == 1500 and [group.algorithm for group in hs.groups] == ["md5", "sha1"]
        assert (
            md5[0].tobytes() in hs and sha1[0].tobytes().hex() in hs and Digest("sha1", rows(sha1)[1]) in hs
        )
        assert rows(made("b", 1))[0] not in hs and bytes(32) not in hs
        assert hs.contains(md5).all() and hs.rank(sha1).tolist() == [
            sorted(rows(sha1)).index(v) for v in rows(sha1)
        ]
        assert list(hs) == [Digest("md5", v) for v in sorted(rows(md5))] + [
            Digest("sha1", v) for v in sorted(rows(sha1))
        ]
        assert repr(hs) == f"<HashSet of 1,000 md5, 500 sha1 in {path}>"
        info = hs.info
        assert (info.path, info.n, info.size, info.payload) == (str(path), 1500, path.stat().st_size, ())
        assert info.bytes_per_digest == info.size / 1500 and info.core == (
            "compiled" if COMPILED else "numpy"
        )
        assert [(group.n, group.layout) for group in info.groups] == [(1000, "lines"), (500, "lines")]
        assert hs.content_ids == {group.algorithm: group.content_id for group in info.groups}
    assert hashlib_interop.HashSet is HashSet


def test_open_refuses_what_is_no_set(tmp_path: Path) -> None:
    """A file that is not there, a folder, a pipe, another file; each with its name."""
    (tmp_path / "text").write_text("a list")
    os.mkfifo(tmp_path / "pipe")
    for name, error, said in (
        ("none", FileFault, "no such file"), (".", FileFault, "is no file"), ("pipe", FileFault, "is no file"),
        ("text", MalformedInput, "is no .hset file"),
    ):  # fmt: skip
        with pytest.raises(error, match=said) as raised:
            HashSet.open(tmp_path / name)
        assert str(tmp_path) in str(raised.value)


@pytest.mark.parametrize(
    "source",
    [
        lambda keys: keys,
        rows,
        lambda keys: [value.hex() for value in rows(keys)],
        lambda keys: (Digest("md5", value) for value in rows(keys)),
        lambda keys: pa.array(rows(keys), pa.binary(16)),
        lambda keys: [batch(keys[:9]), batch(keys[5:])],
        lambda keys: (keys.tobytes(), "md5"),
        lambda keys: (bytearray(keys.tobytes()), "md5"),
        lambda keys: (io.BytesIO(b"".join(value.hex().encode() + b"\n" for value in rows(keys))), "md5"),
        lambda keys: HashSet.build(keys),
    ],
)
def test_any_source_gives_the_same_set(source: Callable[[Any], Any], tmp_path: Path) -> None:
    """Arrays, bytes, hex, digests, Arrow, batches, another set: the bytes of the file are the same."""
    keys = made("sources", 200)
    given = source(keys)
    given, algorithm = given if isinstance(given, tuple) else (given, None)
    HashSet.build(given, tmp_path / "x.hset", algorithm=algorithm).close()
    assert (tmp_path / "x.hset").read_bytes() == written(batch(keys))


def test_what_cannot_be_built_leaves_what_was_there(path: Path) -> None:
    """No thread at all; a text file; bytes of no algorithm."""
    before = path.read_bytes()
    with pytest.raises(ValueError, match="at least one"):
        HashSet.build(made("x", 9), path, threads=-3)
    with pytest.raises(TypeError, match="open it with 'rb'"):
        HashSet.build(io.StringIO("00" * 16), path, algorithm="md5")
    with pytest.raises(BadDigest, match="bytes do not say their algorithm"):
        HashSet.build(bytes(32), path)
    assert path.read_bytes() == before


def test_one_algorithm_can_be_asked_for(path: Path) -> None:
    """Others are left out; the group is there even if it is empty."""
    with HashSet.open(path) as both, HashSet.build(both, algorithm="SHA-1") as one:
        assert [(group.algorithm, group.n) for group in one.groups] == [("sha1", 500)]
    with HashSet.build([], algorithm="md5") as none:
        assert len(none) == 0 and bytes(16) not in none and list(none) == []
        none.verify()
    with pytest.raises(BadDigest, match="unknown algorithm"):
        HashSet.build([], algorithm="md4")


# Verification --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crowd", [0, 300])
def test_changed_bytes_are_found_and_never_a_crash(crowd: int, tmp_path: Path) -> None:
    """A byte in every stretch (`make nightly`: every byte): refused, or found by verify; lookups and listing go on or
    say damage."""
    numbers = Numbers(np.arange(100 + crowd, dtype=np.uint64), "item")
    sources = Sets(np.zeros(100 + crowd, np.uint32), (("a",),))
    keys = np.concatenate([made("v", 100), crowded(crowd)])
    whole = written(batch(keys, numbers=numbers, sources=sources))
    path = tmp_path / "x.hset"
    every = settings().max_examples > 100
    for place in [*range(0, HEADER, 1 if every else 11), *range(HEADER, len(whole), 1 if every else 13)]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            opened = HashSet.open(path)
        except MalformedInput:
            continue
        with opened:
            assert place >= HEADER
            with pytest.raises(MalformedInput, match="damaged"):
                opened.verify()
            assert 0 <= opened.contains(keys).sum() <= len(keys)
            for use in (
                lambda hs=opened: hs.payload(keys),
                lambda hs=opened: list(hs),
                lambda hs=opened: hs.info,
            ):
                try:
                    use()
                except MalformedInput:
                    pass


def test_every_truncation_is_refused_on_opening(tmp_path: Path) -> None:
    """Wherever it is cut, and where something was added."""
    whole = written(batch(made("cut", 100)))
    path = tmp_path / "x.hset"
    path.write_bytes(whole + b"\0")
    with pytest.raises(MalformedInput, match="copy it again"):
        HashSet.open(path)
    with path.open("r+b") as file:
        for size in range(len(whole) - 1, -1, -1):
            file.truncate(size)
            with pytest.raises(MalformedInput):
                HashSet.open(path)


def test_nothing_is_mapped_before_the_header_is_right(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    monkeypatch.setattr(hashset, "mapped", None)  # not even called
    with pytest.raises(MalformedInput, match="damaged header"):
        HashSet.open(path)


def test_large_pages_that_are_refused_do_no_harm(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No kernel knows this advice, so that it says no, as one without large pages does."""
    refused = []
    advise = mmap.mmap.madvise

    class Mapped(mmap.mmap):
        def madvise(self, *advice: int) -> None:
            try:
                advise(self, *advice)
            except OSError as error:
                refused.append(error)
                raise

    monkeypatch.setattr(mmap, "mmap", Mapped)
    monkeypatch.setattr(mmap, "MADV_HUGEPAGE", 9999)
    with path.open("rb") as file:
        assert hset_numpy.mapped(file.fileno(), path.stat().st_size)[:4096] == path.read_bytes()[:4096]
    made_of = Filter.build(made("a", 20), path.with_name("a.hfilter"))
    assert made_of.contains(made("a", 20)).all()
    assert len(refused) == 2


def test_a_file_that_lies_is_found_out(tmp_path: Path) -> None:
    """Right checksums over wrong content: verify lists, looks up and hashes the digests themselves."""
    whole = bytearray(written(batch(made("lies", 100))))
    header = header_of(bytes(whole))
    (group,) = header.groups
    assert group.lines and group.rest_span
    for span, skip in ((group.lines, 64), (group.rest_span, 64 + 5)):
        data = bytearray(whole)
        data[span.offset + skip + 6] ^= 1
        path = tmp_path / "x.hset"
        path.write_bytes(data)
        with path.open("r+b") as file:
            sums = block_sums(file.fileno(), header).tobytes()
            file.seek(header.sums.offset)
            file.write(sums)
            file.seek(0)
            file.write(packed(replace(header, sums_hash=xxhash.xxh3_64_intdigest(sums))))
        with HashSet.open(path) as hs:
            hs.verify(content=False)
            with pytest.raises(MalformedInput, match="holds other digests of md5 than it says"):
                hs.verify()


def test_counts_beyond_32_bits(tmp_path: Path) -> None:
    """A sparse file of 2^32 + 9 digests: a digest of rank 2^32 + 3 is found, nothing is allocated."""
    n, digest = (1 << 32) + 9, made("large", 1)[0].tobytes()
    header = laid_out([group_of("md5", n, LINES_LAYOUT, 5)])
    (group,) = header.groups
    assert group.lines and group.rest_span and header.size > 58 << 30
    t = int.from_bytes(digest[:8], "big") * group.home_lines
    line = ((1 << 32) + 3).to_bytes(5, "little") + b"\1" + (t >> 48 & 0xFFFF).to_bytes(2, "little")
    with (tmp_path / "x.hset").open("wb") as file:
        file.truncate(header.size)
        for offset, data in (
            (0, packed(header)),
            (group.lines.offset + (t >> 64) * 64, line),
            (group.rest_span.offset + 64 + ((1 << 32) + 3) * group.rest, digest[16 - group.rest :]),
        ):
            file.seek(offset)
            file.write(data)
    with HashSet.open(tmp_path / "x.hset") as hs:
        assert len(hs) == n and hs.find(digest) == (1 << 32) + 3
        asked = np.concatenate([array([digest]), made("few", 4)])
        assert hs.rank(asked).tolist() == [(1 << 32) + 3, -1, -1, -1, -1]
        with pytest.raises(MalformedInput):
            hs.digests(16, n - 2, n)


def test_counts_beyond_32_bits_in_order_and_with_numbers(tmp_path: Path) -> None:
    """The same in layout 0, where what is carried lies beyond 2^32 elements, too; numpy reads it as well."""
    n, rank, digest = (1 << 32) + 9, (1 << 32) + 3, made("large", 1)[0].tobytes()
    meta = b'{"numbers":"entry"}'
    header = laid_out([group_of("md5", n, SORTED, payload={NUMBERS: 8})], len(meta))
    (group,) = header.groups
    spans = group.spans()
    bucket = int.from_bytes(digest[:8], "big") >> 64 - group.radix_bits
    with (tmp_path / "x.hset").open("wb") as file:
        file.truncate(header.size)
        for offset, data in (
            (0, packed(header)),
            (header.meta.offset, meta),
            (spans[KEYS].offset + PAD + rank * 16, digest),
            (spans[RADIX].offset + 8 * bucket, rank.to_bytes(8, "little") + (rank + 1).to_bytes(8, "little")),
            (spans[NUMBERS].offset + 8 * rank, (77).to_bytes(8, "little")),
        ):
            file.seek(offset)
            file.write(data)
    asked = np.concatenate([array([digest]), made("few", 4)])
    with HashSet.open(tmp_path / "x.hset") as hs:
        assert hs.find(digest) == rank and hs.rank(asked).tolist() == [rank, -1, -1, -1, -1]
        assert hs.payload([digest]).column("number").to_pylist() == [77]
        assert hs.digests(16, rank, rank + 1).tobytes() == digest
    with (tmp_path / "x.hset").open("rb") as file:
        table = hset_numpy.Table(hset_numpy.mapped(file.fileno(), header.size, False), header.groups)
        assert table.rank(asked).tolist() == [rank, -1, -1, -1, -1]


# What digests carry --------------------------------------------------------------------------------------

texts = st.lists(st.sampled_from(["a", "b", "c", "é"]), max_size=3, unique=True).map(
    lambda found: tuple(sorted(found))
)
claims = st.tuples(st.integers(0, 12), st.integers(0, 20) | st.integers(0, (1 << 64) - 1), texts, texts)


def carried_batch(said: list[tuple[int, int, tuple[str, ...], tuple[str, ...]]]) -> Batch:
    """Return claims (which digest, number, sources, classifications) as a batch."""
    keys = array((rows(made(k, 1))[0] for k, *_ in said))
    numbers = Numbers(np.array([number for _, number, *_ in said], np.uint64), "entry", "cd" * 32)
    columns = []
    for place in (2, 3):
        sets = tuple(dict.fromkeys(one[place] for one in said))
        codes = np.array([sets.index(one[place]) for one in said], np.uint32)
        columns.append(Sets(codes, sets))
    return batch(keys, numbers=numbers, sources=columns[0], classifications=columns[1])


@given(st.lists(claims, min_size=1, max_size=40), st.integers(1, 9), st.randoms(use_true_random=False))
def test_a_digest_carries_the_smallest_number_and_the_union_of_each_set(
    said: Any, step: int, shuffle: Any
) -> None:
    """Whatever the batches and their order, and however often a digest comes; so does the file."""
    expected: dict[bytes, Carried] = {}
    for k, number, sources, classes in said:
        key = rows(made(k, 1))[0]
        before = expected.get(key, Carried(number, (), ()))
        both = (tuple(sorted({*one, *more})) for one, more in ((before[1], sources), (before[2], classes)))
        expected[key] = Carried(min(number, before[0]), *both)
    first = HashSet.build([carried_batch(said)])
    shuffle.shuffle(said)
    other = HashSet.build(
        [carried_batch(said[at : at + step]) for at in range(0, len(said), step)], memory=500
    )
    for hs in (first, other):
        asked = [*expected, bytes(16)]
        assert [hs.get(key) for key in asked] == [*expected.values(), None]
        listed = hs.payload(asked).to_pylist()
        assert listed[-1] == {"number": None, "sources": None, "classifications": None}
        assert [
            Carried(row["number"], tuple(row["sources"]), tuple(row["classifications"]))
            for row in listed[:-1]
        ] == list(expected.values())
        hs.verify()
        assert (hs.info.numbers, hs.info.catalog) == ("entry", "cd" * 32)
    assert Path(f"/dev/fd/{first._fd}").read_bytes() == Path(f"/dev/fd/{other._fd}").read_bytes()
    first.close()
    other.close()


def test_sources_that_carry_other_columns_are_refused_in_any_order(path: Path, tmp_path: Path) -> None:
    """A set with sources and plain digests; unless it is said what to carry."""
    said, plain = tmp_path / "said.hset", made("plain", 4)
    HashSet.build([carried_batch([(1, 1, ("a",), ())])], said).close()
    for sources in ([said, plain], [plain, said]):
        with pytest.raises(BadOption, match="only some of the sources have numbers, sources, classifications"):
            HashSet.build(sources)
        with HashSet.build(sources, payload="sources") as hs:
            assert hs.info.payload == ("sources",) and len(hs) == 5


def test_columns_are_chosen(tmp_path: Path) -> None:
    """Those of the first batch, those named, none; missing sets are empty."""
    said = carried_batch([(k, k, ("a",), ("s:1",)) for k in range(5)])
    plain = batch(made("plain", 4))
    for payload, expected in (
        (None, ("numbers", "sources", "classifications")),
        ((), ()),
        (("sources",), ("sources",)),
    ):
        with HashSet.build([said], payload=payload) as hs:
            assert hs.info.payload == expected
            row = hs.get(said.keys[0].tobytes())
            assert row == Carried(
                0 if "numbers" in expected else None,
                ("a",) if expected else None,
                ("s:1",) if payload is None else None,
            )
    with HashSet.build([said, plain], payload=["sources", "classifications"]) as hs:
        assert hs.get(plain.keys[0].tobytes()) == Carried(None, (), ())
    with HashSet.build([plain]) as hs:
        assert hs.get(plain.keys[0].tobytes()) == Carried(None, None, None)
        assert hs.payload(made("wide", 2, 20)).num_rows == 2


@pytest.mark.parametrize("sets", [2, 300, 70_000])
def test_codes_and_numbers_take_the_bytes_they_need(sets: int) -> None:
    """u8, u16, u32 by the number of sets; u32 or u64 by the greatest number."""
    names = tuple((f"{k:05}",) for k in range(sets))
    for most in ((1 << 32) - 1, 1 << 32):
        numbers = Numbers(np.arange(sets, dtype=np.uint64) + np.uint64(most + 1 - sets), "item")
        said = batch(
            made("codes", sets), numbers=numbers, sources=Sets(np.arange(sets, dtype=np.uint32), names)
        )
        with HashSet.build([said]) as hs:
            (group,) = hs.groups
            assert group.sources and group.numbers
            assert group.sources.stride == {2: 1, 300: 2, 70_000: 4}[sets]
            assert group.numbers.stride == (4 if most < 1 << 32 else 8)
            found = hs.payload(said.keys[::37])
            assert found["number"].to_pylist() == numbers.values[::37].tolist()
            assert found["sources"].to_pylist() == [list(one) for one in names[::37]]


@given(
    st.binary(max_size=60)
    | st.sampled_from([b"[" * 99999, b'{"sources": [[1]]}', b'{"a": 1}', b"[]", b'{"numbers": 3}', b"\xff"])
)
def test_meta_is_a_meta_or_damage(data: bytes) -> None:
    """Whatever its bytes."""
    try:
        read_meta(data)
    except MalformedInput:
        pass


def test_codes_beyond_the_dictionary_are_damage(tmp_path: Path) -> None:
    """A code that names no set is said, not guessed."""
    keys = made("codes", 20)
    whole = bytearray(written(batch(keys, sources=Sets(np.zeros(20, np.uint32), (("a",),)))))
    span = header_of(bytes(whole)).groups[0].sources
    assert span
    whole[span.offset : span.stop] = b"\7" * 20
    (tmp_path / "x.hset").write_bytes(whole)
    with (
        HashSet.open(tmp_path / "x.hset") as hs,
        pytest.raises(MalformedInput, match="damaged section of sources"),
    ):
        hs.payload(keys)


# Other sets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("step", [7, 1 << 17])
def test_sets_of_two_sets(name: str, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Overlap, algorithms that one side lacks, both layouts, any slices: as Python's sets."""
    monkeypatch.setattr(hset_algebra, "SLICE", step)
    one = {"md5": made("l", 300), "sha1": made("l", 40, 20)}
    other = {"md5": np.concatenate([made("l", 90), made("r", 60), crowded(30)]), "sha256": crowded(230, 32)}
    left, right = (HashSet.build([Batch(key, keys) for key, keys in found.items()]) for found in (one, other))
    expected = SETS[name](set(left), set(right))
    for a, b, wanted in ((left, right, expected), (left, left, SETS[name](set(left), set(left)))):
        found = getattr(a, name)(b, tmp_path / "x.hset", threads=2)
        assert set(found) == wanted and len(found) == len(wanted)
        found.verify()
        found.close()
    operator = {
        "union": "__or__",
        "intersection": "__and__",
        "difference": "__sub__",
        "symmetric_difference": "__xor__",
    }[name]
    assert set(getattr(left, operator)(right)) == expected
    with pytest.raises(TypeError):
        left | {b"a"}


def test_comparing_counts_what_is_in_both_and_in_one() -> None:
    """In all, or of one algorithm."""
    left = HashSet.build([batch(made("x", 100)), batch(made("x", 30, 20))])
    right = HashSet.build([batch(made("x", 60)), batch(made("y", 10)), batch(made("x", 30, 20))])
    assert left.compare(right) == (90, 40, 10)
    assert left.compare(right, algorithm="sha1") == (30, 0, 0) and left.compare(
        right, algorithm="sha256"
    ) == (0, 0, 0)


def test_sets_are_equal_by_what_they_hold(tmp_path: Path) -> None:
    """Not by payload, path, or empty groups."""
    said = carried_batch([(k, k, ("a",), ()) for k in range(9)])
    one, other = HashSet.build([said], tmp_path / "x.hset"), HashSet.build([batch(said.keys)])
    more = HashSet.build([batch(said.keys), batch(made("none", 0, 20))])
    assert one == other == more and len({one, other, more}) == 1
    assert one != HashSet.build([batch(said.keys[1:])]) and one != "a set"


# Processes, threads, files -------------------------------------------------------------------------------


def test_a_set_is_pickled_by_its_path(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absolute, and only if it still is the same set; a set without a file is saved first."""
    monkeypatch.chdir(tmp_path)
    opened = HashSet.open("a.hset")
    monkeypatch.chdir("/")
    sent = pickle.dumps(opened)
    again = pickle.loads(sent)
    assert again == opened and again.path == str(path)
    HashSet.build([batch(made("other", 3))], path).close()
    with pytest.raises(MalformedInput, match="is another set than the one that was pickled"):
        pickle.loads(sent)
    with opened & again as both:
        with pytest.raises(pickle.PicklingError, match="save it"):
            pickle.dumps(both)
        both.save(tmp_path / "both.hset")
        with HashSet.open(tmp_path / "both.hset", verify=True) as saved:
            assert saved == both and pickle.loads(pickle.dumps(saved)) == both


def test_32_threads_read_while_the_file_is_replaced(path: Path) -> None:
    """What was opened stays what it was; who opens later sees the new set."""
    keys = made("a", 1000)
    values, stop = rows(keys), threading.Event()

    def look(opened: HashSet) -> bool:
        right = True
        while right and not stop.is_set():
            right = all(value in opened for value in values[:20]) and bool(
                opened.contains(keys, threads=2).all()
            )
            right = right and len(opened.digests(16, 0, 1000)) == 1000
        return right

    with HashSet.open(path) as opened, ThreadPoolExecutor(32) as pool:
        looking = [pool.submit(look, opened) for _ in range(32)]
        for k in range(3):
            HashSet.build([batch(made(f"new {k}", 10))], path).close()
            with HashSet.open(path) as new:
                assert len(new) == 10 and values[0] not in new
        stop.set()
        assert all(one.result() for one in looking)
        opened.verify()


def _in_fork(place: int) -> int:
    return int(_shared.contains(made("a", 1000)[place::4], threads=2).sum())


_shared: HashSet


def test_a_forked_pool_shares_an_open_set(path: Path) -> None:
    """Mapped once, looked up in each process."""
    global _shared
    with HashSet.open(path) as _shared, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking a process that has had threads
        with multiprocessing.get_context("fork").Pool(4) as pool:
            assert pool.map(_in_fork, range(4)) == [250] * 4


def test_a_set_lets_go_of_its_file(path: Path) -> None:
    """By `close`, by leaving the block, and when it is forgotten: no descriptor is left."""

    def held() -> int:
        return len(os.listdir("/dev/fd"))

    before = held()
    opened = HashSet.open(path)
    opened.payload(made("a", 3))
    opened.close()
    opened.close()
    HashSet.open(path)
    assert held() == before
    with pytest.raises(ValueError, match="closed"):
        bytes(16) in opened  # noqa: B015
    for _ in range(3):
        with pytest.raises(MalformedInput):
            path.write_bytes(path.read_bytes()[:-1])
            HashSet.open(path)
    assert held() == before


def test_an_external_build_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a budget that nothing fits, the records wait on the disk; nothing is left there."""
    keys = made("external", 3000)
    monkeypatch.setattr(hset_build, "_SLICE", 999)
    HashSet.build(
        (batch(keys[at : at + 700]) for at in range(0, 3000, 700)), tmp_path / "x.hset", memory=1
    ).close()
    assert (tmp_path / "x.hset").read_bytes() == written(batch(keys))
    assert os.listdir(tmp_path) == ["x.hset"]


def test_memory_is_bounded_whatever_comes(tmp_path: Path) -> None:
    """Also where most algorithms are met late. Four bytes a digest come on top, which are not Python's and not counted."""
    memory, count = 48 << 20, 450_000

    def batches() -> Iterator[Batch]:
        rng = np.random.default_rng(1)
        for width in (16, 16, 16, 16, 16, 20, 28, 32, 48, 64):
            for _ in range(50):
                yield batch(rng.integers(0, 256, (count // 50, width), np.uint8))

    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        with HashSet.build(batches(), tmp_path / "x.hset", memory=memory, threads=1) as made_of:
            assert len(made_of) == 10 * count
        assert tracemalloc.get_traced_memory()[1] - before < memory + (4 << 20)
    finally:
        tracemalloc.stop()


WITHOUT = """
import sys, warnings
sys.modules["hashlib_interop.membership._membership"] = None
from hashlib_interop.membership.hashset import COMPILED, HashSet
with warnings.catch_warnings(record=True) as found:
    warnings.simplefilter("always")
    sets = [HashSet.open(sys.argv[1]) for _ in range(2)]
assert not COMPILED and [str(one.category.__name__) for one in found] == ["CompiledCoreMissing"]
a, b = sets
print(len(a), a == b, a.info.core, sum(digest in b for digest in a), (a & b).compare(a))
"""


NOTICE = """
import sys, warnings
for name in sys.argv[1].split(","):
    sys.modules["hashlib_interop.membership." + name] = None
from hashlib_interop import HashSet
from hashlib_interop.membership.fuse import Filter
with warnings.catch_warnings(record=True) as found:
    warnings.simplefilter("always")
    for _ in range(2):
        (Filter if sys.argv[2] == "filter" else HashSet).build([bytes(16)], sys.argv[3]).close()
print(*(one.message for one in found), sep="|")
"""


@pytest.mark.parametrize(
    ("absent", "what"), [("_fuse", "filters"), ("_sorting", "sorts and hex lines"), ("_sorting,_fuse", "sorts and hex lines, filters")]
)
@pytest.mark.parametrize("kind", ["filter", "set"])
def test_any_part_that_is_not_compiled_is_said_once(absent: str, what: str, kind: str, tmp_path: Path) -> None:
    """Whichever is used first."""
    done = subprocess.run([sys.executable, "-c", NOTICE, absent, kind, tmp_path / "x"], capture_output=True, text=True, check=False)
    assert done.stdout == f"the compiled core is not there: {what} are in numpy, slower. Install with a C compiler at hand\n", done.stderr


def test_without_the_compiled_core_a_set_is_the_same(path: Path) -> None:
    """One notice a process; the same answers."""
    done = subprocess.run([sys.executable, "-c", WITHOUT, path], capture_output=True, text=True, check=False)
    assert done.stdout == "1500 True numpy 1500 Comparison(both=1500, only_left=0, only_right=0)\n", (
        done.stderr
    )
