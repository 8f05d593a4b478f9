"""The shareable filter: never a false no, false yes as seldom as stated, one file of the same bytes everywhere."""

from __future__ import annotations

import hashlib
import pickle
import re
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop.algorithms import Digest
from hashlib_interop.errors import BadDigest, CannotWrite, MalformedInput
from hashlib_interop.membership import fuse, fuse_numpy
from hashlib_interop.membership.fuse import Filter

ROOT = Path(__file__).parents[2]
WIDTHS = {"md5": 16, "sha1": 20, "sha224": 28, "sha256": 32, "sha384": 48, "sha512": 64}
KERNELS = [fuse_numpy, *([fuse._fuse] if hasattr(fuse, "_fuse") else [])]
numbers = st.integers(0, 2**64 - 1)


def digests(count: int, width: int = 16, seed: int = 1) -> np.ndarray[Any, Any]:
    """Return made-up digests, (count, width)."""
    return np.random.default_rng(seed).integers(0, 256, (count, width), np.uint8)


def filter_of(keys: Any, path: Path, **settings: Any) -> Filter:
    """Build a filter beside the test."""
    return Filter.build(keys, path / "made.hfilter", **settings)


@pytest.fixture(params=KERNELS, ids=lambda kernel: kernel.__name__.rpartition(".")[2])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Run with the compiled kernels and with those in numpy."""
    monkeypatch.setattr(fuse, "kernels", request.param)
    return request.param


# Hashes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", KERNELS, ids=lambda module: module.__name__)
@pytest.mark.parametrize("width", WIDTHS.values())
@given(seed=numbers, number=st.integers(0, 255), data=st.data())
def test_the_hash_is_xxh3_of_the_algorithm_and_the_digest(
    module: ModuleType, width: int, seed: int, number: int, data: st.DataObject
) -> None:
    """As the xxhash package has it, for every width and any seed."""
    rows = data.draw(st.lists(st.binary(min_size=width, max_size=width), min_size=1, max_size=4))
    found = module.hashes(np.frombuffer(b"".join(rows), np.uint8).reshape(-1, width), number, seed)
    assert found.tolist() == [xxhash.xxh3_64_intdigest(bytes([number]) + row, seed=seed) for row in rows]


@pytest.mark.parametrize("module", KERNELS, ids=lambda module: module.__name__)
def test_a_width_that_no_digest_has_is_refused(module: ModuleType) -> None:
    with pytest.raises(ValueError):
        module.hashes(np.zeros((2, 17), np.uint8), 1, 0)


# Answers -------------------------------------------------------------------------------------------------


@given(
    rows=st.sets(
        st.sampled_from([16, 20, 32]).flatmap(lambda w: st.binary(min_size=w, max_size=w)), max_size=50
    ),
    bits=st.sampled_from([8, 16]),
    key=numbers,
)
def test_every_digest_of_the_set_is_in_the_filter(
    rows: set[bytes], bits: int, key: int, tmp_path: Path
) -> None:
    """Of any algorithms together; one by one and as a batch."""
    found = filter_of(sorted(rows), tmp_path, bits=bits, key=key)
    assert all(row in found and row.hex() in found for row in rows)
    assert len(found) == len(rows)
    for width in {len(row) for row in rows}:
        assert found.contains([row for row in rows if len(row) == width]).all()


def test_single_and_batch_answers_are_the_same_with_both_kernels(kernel: ModuleType, tmp_path: Path) -> None:
    """For digests that are there and for thousands that are not."""
    keys, others = digests(500), digests(5000, seed=2)
    found = filter_of(keys, tmp_path)
    assert found.contains(keys).all()
    answers = found.contains(others)
    assert 0 < answers.sum() < 60
    assert [other.tobytes() in found for other in others[:500]] == answers[:500].tolist()


@pytest.mark.parametrize(("bits", "queries"), [(8, 1_000_000), (16, 6_000_000)])
def test_the_false_positive_rate_is_the_stated_one(bits: int, queries: int, tmp_path: Path) -> None:
    """Counted over millions of digests that are not in the set; within 5 standard deviations of 2^-bits."""
    found = filter_of(digests(200_000), tmp_path, bits=bits)
    wrong = sum(
        int(found.contains(digests(1_000_000, seed=seed)).sum())
        for seed in range(2, 2 + queries // 1_000_000)
    )
    expected = queries * 2.0**-bits
    assert abs(wrong - expected) < 5 * expected**0.5
    assert found.info.false_positive_rate == 2.0**-bits


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 17, 100])
def test_small_filters_do_not_say_yes_more_often(count: int, bits: int, tmp_path: Path) -> None:
    """The empty slots of a small filter are no answer."""
    found = filter_of(digests(count), tmp_path, bits=bits)
    wrong, expected = int(found.contains(digests(400_000, seed=3)).sum()), 400_000 * 2.0**-bits
    assert abs(wrong - expected) < 6 * expected**0.5 + 2


def test_filters_of_other_keys_err_about_other_digests(tmp_path: Path) -> None:
    """So that two of them err together as seldom as chance has it."""
    one, other = (Filter.build(digests(50_000), tmp_path / f"{key}.hfilter", key=key) for key in (1, 2))
    asked = digests(1_000_000, seed=4)
    both = int((one.contains(asked) & other.contains(asked)).sum())
    assert abs(both - 1_000_000 / 65536) < 5 * 4


def test_a_digest_of_an_algorithm_that_the_filter_does_not_hold_is_not_there(tmp_path: Path) -> None:
    found = filter_of(digests(1000), tmp_path)
    assert not found.contains(digests(100_000, 20)).any()
    assert not Filter.build([], tmp_path / "empty.hfilter").contains(digests(100_000)).any()


def test_what_is_no_digest_is_an_error(tmp_path: Path) -> None:
    """As with a hash set: lengths of no algorithm, no hex, other types."""
    found, value = filter_of(digests(3), tmp_path), digests(3)[0].tobytes()
    assert Digest("md5", value) in found and value.hex().upper() in found
    for bad in (b"short", "zz" * 16, Digest("sha1", value)):
        with pytest.raises(BadDigest):
            _ = bad in found
    with pytest.raises(TypeError):
        _ = 7 in found
    with pytest.raises(BadDigest):
        found.contains(digests(2, 17))
    with pytest.raises(TypeError):
        found.contains([1, 2])


def test_arrow_columns_and_their_nulls(tmp_path: Path) -> None:
    """A null is not in the set."""
    keys = digests(1000)
    found = filter_of(keys, tmp_path)
    column = pa.array([None, *(row.tobytes() for row in keys)], pa.binary(16))
    assert found.contains(column).tolist() == [False] + [True] * 1000
    assert found.contains(pa.chunked_array([column[5:7], column[:1]])).tolist() == [True, True, False]


def test_threads_share_a_filter(tmp_path: Path) -> None:
    keys = digests(200_000)
    found = filter_of(keys, tmp_path)
    assert found.contains(keys, threads=2).all()
    with ThreadPoolExecutor(8) as pool:
        assert all(done.all() for done in pool.map(found.contains, np.array_split(keys, 32)))


# Building ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(len(KERNELS) == 1, reason="no compiled kernels")
@given(
    count=st.one_of(st.integers(0, 40), st.integers(0, 3000)),
    bits=st.sampled_from([8, 16]),
    seed=numbers,
)
def test_compiled_and_plain_builders_give_the_same_slots(count: int, bits: int, seed: int) -> None:
    """Or both find that a seed will not do."""
    hashes = np.unique(np.random.default_rng(seed).integers(0, 2**64, count, np.uint64))
    counts = np.bincount(hashes >> np.uint64(48), minlength=1 << 16)
    info = fuse.shape(counts, 0, bits, ("md5",))
    one, other = (kernel.build(hashes, seed, info.segment_bits, info.segments, bits) for kernel in KERNELS)
    assert (one is None) == (other is None)
    assert one is None or one.tobytes() == other.tobytes()


@pytest.mark.parametrize("module", KERNELS, ids=lambda module: module.__name__)
def test_a_seed_that_will_not_do_is_found_out(module: ModuleType) -> None:
    """More keys than slots, and far more keys on one slot than are counted."""
    hashes = np.arange(1, 400, dtype=np.uint64)
    assert module.build(hashes[:20], 0, 2, 1, 8) is None
    assert module.build(hashes, 0, 2, 1, 8) is None


def test_the_same_digests_give_the_same_bytes(kernel: ModuleType, tmp_path: Path) -> None:
    """In any order, with repeats, by any number of threads, in little memory, by either kernel."""
    keys = digests(3000)
    ways: list[tuple[Any, dict[str, Any]]] = [
        (keys, {}),
        (keys[::-1], {"threads": 3}),
        ([keys[:1000], keys[500:], keys[:1]], {"memory": 1000}),
        (iter([row.tobytes() for row in keys]), {"memory": 0}),
    ]
    made = set()
    for number, (source, settings) in enumerate(ways):
        fuse.build(source, tmp_path / str(number), **settings)
        made.add((tmp_path / str(number)).read_bytes())
    assert len(made) == 1
    assert hashlib.sha256(made.pop()).hexdigest()[:16] == "d05d0dc822f722af"


@pytest.mark.parametrize("shard_keys_bits", [4, 8, 12])
def test_shards_of_any_number(shard_keys_bits: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Fewer and more than there are buckets on the way."""
    monkeypatch.setattr(fuse, "_SHARD_KEYS_BITS", shard_keys_bits)
    keys = digests(20_000)
    found = filter_of(keys, tmp_path, threads=2, memory="48kB")
    assert found.info.shard_bits == (20_000 >> shard_keys_bits).bit_length()
    assert found.contains(keys).all()
    assert found.contains(digests(200_000, seed=5)).mean() < 0.006


def test_a_filter_has_nine_bits_a_digest_or_eighteen(tmp_path: Path) -> None:
    keys = digests(1_000_000)
    for bits in (8, 16):
        found = filter_of(keys, tmp_path, bits=bits)
        assert found.info.size * 8 / len(keys) < 1.14 * bits


def test_digests_that_fit_into_no_filter_need_another_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Which no accident brings about."""
    monkeypatch.setattr(fuse, "kernels", fuse_numpy)
    monkeypatch.setattr(fuse_numpy, "build", lambda *_: None)
    with pytest.raises(CannotWrite, match="another key"):
        filter_of(digests(10), tmp_path)


def test_a_build_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield digests(1)[0].tobytes()
        raise MalformedInput("cut off")

    filter_of(digests(5), tmp_path)
    with pytest.raises(MalformedInput):
        filter_of(broken(), tmp_path)
    assert len(Filter.open(tmp_path / "made.hfilter")) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["made.hfilter"]


@pytest.mark.parametrize("settings", [{"bits": 12}, {"key": -1}, {"key": 1 << 64}])
def test_impossible_settings(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        filter_of(digests(5), tmp_path, **settings)


# The file ------------------------------------------------------------------------------------------------


def test_every_changed_byte_and_every_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "made.hfilter"
    Filter.build(digests(40), path)
    good = path.read_bytes()
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :])
        with pytest.raises(MalformedInput):
            Filter.open(path)
    for size in range(len(good)):
        path.write_bytes(good[:size])
        with pytest.raises(MalformedInput):
            Filter.open(path, verify=False)
    path.write_bytes(good + b"\0")
    with pytest.raises(MalformedInput):
        Filter.open(path, verify=False)


FIELDS = {"version": (8, "<I"), "header": (12, "<I"), "size": (16, "<Q"), "bits": (40, "<B"), "shards": (41, "<B"),
          "segment": (42, "<B"), "algorithms": (43, "<B"), "segments": (44, "<I"), "spare": (56, "<Q")}  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
@given(value=st.one_of(st.integers(0, 300), numbers))
def test_a_forged_header_is_refused(field: str, value: int, tmp_path: Path) -> None:
    """Although its checksum is right: nothing is mapped that the numbers do not describe."""
    path = tmp_path / "made.hfilter"
    Filter.build(digests(40), path)
    page = bytearray(path.read_bytes())
    at, kind = FIELDS[field]
    before = bytes(page)
    struct.pack_into(kind, page, at, value % (1 << 8 * struct.calcsize(kind)))
    page[112:128] = xxhash.xxh3_128_digest(page[:112])
    path.write_bytes(page)
    if page == before or (field == "algorithms" and value % 256 < 64):
        assert len(Filter.open(path)) == 40
    else:
        with pytest.raises(MalformedInput):
            Filter.open(path)


@given(data=st.binary(max_size=300))
def test_bytes_that_are_no_filter_are_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "noise"
    path.write_bytes(fuse.MAGIC + data)
    with pytest.raises(MalformedInput):
        Filter.open(path)


@given(
    slots=st.integers(0, 200),
    seeds=st.integers(0, 9),
    segment_bits=st.integers(0, 40),
    segments=st.integers(0, 40),
)
def test_kernels_refuse_slots_of_another_size(
    slots: int, seeds: int, segment_bits: int, segments: int
) -> None:
    """They are the last to stand between a wrong number and a read outside the slots."""
    hashes = np.arange(5, dtype=np.uint64)
    shape = (np.zeros(slots, np.uint8), np.zeros(seeds, np.uint64), segment_bits, segments, 8)
    fits = (
        seeds in (1, 2, 4, 8)
        and segment_bits <= 18
        and segments
        and slots == seeds * (segments + 2) << segment_bits
    )
    for module in KERNELS:
        if fits:
            assert len(module.contains(hashes, *shape)) == 5
        else:
            with pytest.raises(ValueError):
                module.contains(hashes, *shape)


def test_a_filter_ends_with_its_block(tmp_path: Path) -> None:
    keys = digests(20)
    with filter_of(keys, tmp_path) as found:
        assert found.contains(keys).all()
    with pytest.raises(ValueError):
        found.contains(keys)


def test_a_filter_is_pickled_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absolute, and only if it still is the same filter."""
    keys, other = digests(40)[:20], digests(40)[20:]
    monkeypatch.chdir(tmp_path)
    sent = pickle.dumps(Filter.build(keys, "a.hfilter"))
    monkeypatch.chdir("/")
    assert pickle.loads(sent).contains(keys).all()
    Filter.build(other, tmp_path / "a.hfilter")
    with pytest.raises(MalformedInput, match="is another filter than the one that was pickled"):
        pickle.loads(sent)


def vectors(folder: Path) -> str:
    """Return what docs/hfilter-format.md shows of the filters of ten digests."""
    keys = [hashlib.md5(f"synthetic-{number}".encode()).digest() for number in range(10)]
    rows = [
        "| bits, key | h of the first | length | m, g | seed | slots 32 to 47, hex | SHA-256 of the file |",
        "|---" * 7 + "|",
    ]
    for bits, key in ((8, 0), (16, 0), (8, 12345)):
        found = Filter.build(keys, folder / "vector.hfilter", bits=bits, key=key)
        data = (folder / "vector.hfilter").read_bytes()
        seed = f"{int.from_bytes(data[-8:], 'little'):#x}"
        shape = f"{found.info.segments}, {found.info.segment_bits}"
        some = data[128 + 4 * bits : 128 + 6 * bits].hex(" ", bits // 8)
        first = xxhash.xxh3_64_intdigest(b"\1" + keys[0], seed=key)
        rows.append(
            f"| {bits}, {key} | `{first:#x}` | {len(data)} | {shape} | `{seed}` | `{some}` | `{hashlib.sha256(data).hexdigest()}` |"
        )
    return "\n".join(rows)


def test_the_vectors_of_the_specification_are_current(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """`pytest --update-cases` rewrites docs/hfilter-format.md."""
    page = ROOT / "docs/hfilter-format.md"
    mark = re.compile(r"(<!-- generated: vectors -->\n).*?(<!-- end -->)", re.DOTALL)
    now = mark.sub(lambda m: f"{m[1]}{vectors(tmp_path)}\n{m[2]}", page.read_text())
    if request.config.getoption("--update-cases"):
        page.write_text(now)
    assert now == page.read_text()
