"""The `.hset` file: rules, header, checksums, bytes; docs/hset-format.md is the specification."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import re
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop.errors import BadDigest, BadOption, CannotWrite, FileFault, InteropError, MalformedInput
from hashlib_interop.membership import hset_build, hset_write, sorting
from hashlib_interop.membership.hset_build import Settings, build, bytes_of
from hashlib_interop.membership.hset_file import (
    CLASSES,
    HEADER,
    LINES_LAYOUT,
    NUMBERS,
    SORTED,
    SOURCES,
    WIDTHS,
    Group,
    Header,
    content_id,
    geometry,
    group_of,
    laid_out,
    packed,
    radix_bits,
    read_header,
    verify_sums,
)
from hashlib_interop.membership.hset_payload import Batch, Numbers, Sets
from tests.membership.making import BUILDERS, array, batch, compiled, crowded, header_of, made, rows, written

PAGE = Path(__file__).parents[2] / "docs" / "hset-format.md"


# Rules ---------------------------------------------------------------------------------------------------


@given(st.integers(0, 1 << 40), st.sampled_from(list(WIDTHS.values())))
def test_the_measures_of_a_group_follow_the_rules(n: int, width: int) -> None:
    """18 digests a line, or down to 14 where that determines a byte more: in other words."""
    found = geometry(n, width)
    usual, most = n // 18 + 1, n // 14 + 1

    def depth(lines: int) -> int:
        return max(d for d in range(8) if lines << 16 >= 1 << 8 * d)

    better = [1 << 8 * d - 16 for d in range(2, 8) if d == depth(usual) + 1 and 1 << 8 * d - 16 <= most]
    assert found.home_lines == (better[0] if better else usual)
    assert found.depth == depth(found.home_lines) and found.rest == width - found.depth
    assert radix_bits(n) == max(bits for bits in range(25) if 1 << bits <= max(n / 4, 1))


@given(st.integers(0, 1 << 36), st.integers(0, (1 << 64) - 1), st.integers(1, 1 << 20))
def test_line_fingerprint_and_rest_determine_a_digest(n: int, x: int, step: int) -> None:
    """Two numbers with the same line and fingerprint differ in the bits that REST holds."""
    lines, depth, _ = (geometry(n, 16).home_lines, geometry(n, 16).depth, 0)
    other = min(x + step, (1 << 64) - 1)
    kept = (1 << 64 - 8 * depth) - 1
    if other != x and x * lines >> 48 == other * lines >> 48:
        assert x & kept != other & kept


# The header ----------------------------------------------------------------------------------------------

groups = st.builds(
    lambda name, n, layout, overflow, identity, payload: group_of(
        name, n, layout, overflow if layout else 0, identity, payload
    ),
    st.sampled_from(list(WIDTHS)),
    st.integers(0, 10**9) | st.integers(0, 1 << 35),
    st.sampled_from([SORTED, LINES_LAYOUT]),
    st.integers(0, 1000),
    st.binary(min_size=32, max_size=32),
    st.fixed_dictionaries(
        {},
        optional={
            NUMBERS: st.sampled_from([4, 8]),
            SOURCES: st.sampled_from([1, 2, 4]),
            CLASSES: st.sampled_from([1, 2, 4]),
        },
    ),
)


@st.composite
def headers(draw: st.DrawFn) -> Header:
    """Any header that a writer could make."""
    found: dict[int, Group] = {group.width: group for group in draw(st.lists(groups, min_size=1, max_size=6))}
    header = laid_out([found[width] for width in sorted(found)], draw(st.integers(0, 1 << 24)))
    return replace(header, sums_hash=draw(st.integers(0, (1 << 64) - 1)))


@given(headers())
def test_a_header_is_read_as_it_was_written(header: Header) -> None:
    """Groups, spans, checksums: also for counts beyond 2^32, without a byte of the file."""
    page = packed(header)
    assert len(page) == HEADER and read_header(page, header.size) == header
    spans = [span for group in header.groups for span in group.spans().values()] + [
        s for s in (header.meta, header.sums) if s
    ]
    assert spans[0].offset == HEADER
    for one, following in itertools.pairwise(spans):
        assert following.offset % 4096 == 0 and 0 <= following.offset - one.stop < 4096


@given(headers(), st.data())
def test_a_header_that_contradicts_itself_is_refused(header: Header, data: st.DataObject) -> None:
    """Any change of a field, though the checksum be right; and nothing but our error."""
    page = bytearray(packed(header))
    place = data.draw(st.integers(0, 4080 - 8) | st.integers(0, 400) | st.integers(832, 1300))
    junk = data.draw(
        st.binary(min_size=1, max_size=8)
        | st.sampled_from([b"\xff" * 8, bytes(8), struct.pack("<Q", 1 << 63)])
    )
    page[place : place + len(junk)] = junk
    identity = any(
        64 + 128 * k + 32 <= at < 64 + 128 * k + 64
        for at in range(place, place + len(junk))
        for k in range(len(header.groups))
    )
    sums_hash = any(32 <= at < 40 for at in range(place, place + len(junk)))
    if bytes(page) == packed(header) or identity or sums_hash:
        return
    page[4080:] = xxhash.xxh3_128_digest(bytes(page[:4080]))
    try:
        read = read_header(bytes(page), header.size)
    except MalformedInput:
        return
    assert header.meta and replace(read, meta=header.meta) == header  # META may end anywhere in its last page


@given(st.binary(max_size=5000), st.integers(0, 1 << 64))
def test_junk_is_refused(data: bytes, size: int) -> None:
    """Whatever the bytes."""
    with pytest.raises(MalformedInput, match="is no .hset file"):
        read_header(b"x" + data, size)


def test_errors_say_what_is_wrong_and_what_to_do() -> None:
    """No magic, cut off, too new, damaged, of another length, contradictory."""
    whole = written(batch(made("errors", 10)))
    page, size = whole[:HEADER], len(whole)

    def changed(at: int, value: bytes) -> bytes:
        data = bytearray(page)
        data[at : at + len(value)] = value
        data[4080:] = xxhash.xxh3_128_digest(bytes(data[:4080]))
        return bytes(data)

    for data, length, said in (
        (b"", 0, "is no .hset file: build one"),
        (page[:100], 100, "is cut off: copy it again"),
        (page, size - 1, f"has {size - 1} bytes of {size}: copy it again"),
        (page, size + 1, f"has {size + 1} bytes of {size}: copy it again"),
        (changed(8, b"\2"), size, "is of version 2 of the format, this program knows 1: update it"),
        (page[:70] + b"\1" + page[71:], size, "has a damaged header: copy it again, or build it again"),
        (changed(72, b"\x0b"), size, "has a header that contradicts itself: do not trust it; build it again"),
    ):
        with pytest.raises(MalformedInput) as raised:
            read_header(data, length, "a.hset")
        assert str(raised.value) == f"a.hset: {said}" or said in str(raised.value)


# Checksums -----------------------------------------------------------------------------------------------


def payload_file() -> bytes:
    """Return a small file that has every section of layout 1."""
    carried = {
        "numbers": Numbers(np.arange(60, dtype=np.uint64), "item", "ab" * 32),
        "sources": Sets((np.arange(60) % 3).astype(np.uint32), (("a",), ("b",), ("a", "b"))),
        "classifications": Sets(np.zeros(60, np.uint32), (("vics/US:1",),)),
    }
    return written(batch(made("payload", 60), **carried))


@pytest.mark.parametrize(
    "make", [payload_file, lambda: written(batch(crowded(300)))], ids=["lines", "sorted"]
)
def test_every_changed_byte_is_refused_or_found(make: Any, tmp_path: Path) -> None:
    """One bit of each byte of a file: the header is refused when it is read, all else by comparing SUMS."""
    whole = make()
    header = header_of(whole)
    for place in range(HEADER):
        page = bytearray(whole[:HEADER])
        page[place] ^= 1 << place % 8
        with pytest.raises(MalformedInput):
            read_header(bytes(page), len(whole))
    with (tmp_path / "x.hset").open("w+b", buffering=0) as file:
        file.write(whole)
        verify_sums(file.fileno(), header)
        for place in range(HEADER, len(whole)):
            file.seek(place)
            file.write(bytes([whole[place] ^ 1 << place % 8]))
            with pytest.raises(MalformedInput, match="damaged"):
                verify_sums(file.fileno(), header)
            file.seek(place)
            file.write(whole[place : place + 1])
        verify_sums(file.fileno(), header)


def test_every_truncation_is_refused() -> None:
    """Whatever its length: by the header, which says how long the file is."""
    whole = payload_file()
    for size in range(len(whole)):
        with pytest.raises(MalformedInput):
            read_header(whole[: min(size, HEADER)], size)


def test_the_first_damaged_block_is_named(tmp_path: Path) -> None:
    """By its offset; blocks are summed by several threads."""
    whole = bytearray(written(batch(made("blocks", 150_000, 64))))
    header = header_of(bytes(whole))
    for place in (HEADER + (3 << 20), HEADER + (5 << 20) + 77):
        whole[place] ^= 1
    with (tmp_path / "x.hset").open("w+b") as file:
        file.write(whole)
        file.flush()
        for threads in (1, 4):
            with pytest.raises(
                MalformedInput, match=rf"x: is damaged: 2 blocks of 1 MiB, the first from byte {HEADER + (3 << 20)} on;"
            ):
                verify_sums(file.fileno(), header, "x", threads)


# Building ------------------------------------------------------------------------------------------------


@pytest.fixture(params=["avx512", "scalar"])
def instructions(request: pytest.FixtureRequest) -> Iterator[None]:
    """Build with the vector instructions that there are, and without."""
    modules = [module.compiled for module in (hset_write, sorting) if module.compiled is not None]
    for module in modules:
        module.allow(request.param)
    yield
    for module in modules:
        module.allow("avx512")


@pytest.mark.usefixtures("instructions")
@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize(
    "keys", [made("b", 5000), np.concatenate([made("c", 99), crowded(218)]), crowded(219), made("none", 0)]
)
def test_the_bytes_do_not_depend_on_how_they_were_made(
    builder: Any, keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Order, repeats, batches, threads, memory, the size of slices, compiled or not, vectors or not: one file."""
    monkeypatch.setattr(hset_write, "compiled", None)
    expected = written(batch(keys), algorithms=("md5",), threads=1)
    monkeypatch.setattr(hset_write, "compiled", builder)
    shuffled = random.Random(5).sample(rows(keys), len(keys))
    parts = [batch(array(shuffled[k::3])) for k in range(3)]
    assert written(*parts, *parts, algorithms=("md5",), threads=3) == expected
    for rows_at_once in (1000, 7):
        if len(keys) < 1000 or rows_at_once > 7:
            monkeypatch.setattr(hset_build, "_SLICE", rows_at_once * 16)
            assert written(*parts, algorithms=("md5",), memory=1000) == expected


@pytest.mark.parametrize("builder", BUILDERS)
def test_lines_are_made_alike_from_any_slices(builder: Any) -> None:
    """Cut anywhere, also inside of a chain; what does not rise is refused."""
    keys = np.unique(
        np.concatenate([made("slices", 700), crowded(150, first=5), crowded(40, first=250)]), axis=0
    )
    measures = geometry(len(keys), 16)
    whole = None
    for step in (len(keys), 1, 13, 100):
        made_lines = builder.LinesBuilder(16, measures.home_lines, measures.rest)
        rest = np.concatenate(
            [made_lines.add(keys[at : at + step].copy()) for at in range(0, len(keys), step)]
        )
        assert made_lines.count == len(keys) and (rest == keys[:, 16 - measures.rest :]).all()
        found = made_lines.lines().tobytes()
        assert found == (whole := whole or found)
        assert made_lines.longest == 7
    for wrong in (keys[[1, 0]], keys[[0, 0]]):
        with pytest.raises(ValueError, match="rise"):
            builder.LinesBuilder(16, measures.home_lines, measures.rest).add(wrong.copy())


@pytest.mark.parametrize("count", [2000, 6000])
def test_the_specification_read_by_its_words(count: int) -> None:
    """A reader made of the specification alone finds every digest, with Python's integers."""
    keys = np.concatenate([made("words", count), crowded(100)])
    whole = written(batch(keys))
    n, lines, overflow = struct.unpack_from("<QQQ", whole, 64 + 8)
    size_of_rest = whole[64 + 2]
    rest_at, _ = struct.unpack_from("<QQ", whole, 832 + 8)
    drift_at, drift_length = struct.unpack_from("<QQ", whole, 832 + 32 + 8)
    lines_at, lines_length = struct.unpack_from("<QQ", whole, 832 + 64 + 8)
    assert (n, lines_length) == (len(keys), (lines + overflow) * 64)
    starts = [min(4 * j, lines) for j in range(-(-lines // 4) + 1)]
    firsts = [int.from_bytes(whole[lines_at + at * 64 :][:5], "little") if at < lines else n for at in starts]
    drift = [first - at * n // lines for at, first in zip(starts, firsts, strict=True)]
    assert whole[drift_at:][:drift_length] == struct.pack(f"<{len(drift)}h", *drift)

    def rank(digest: bytes) -> int:
        t = int.from_bytes(digest[:8], "big") * lines
        at, fp = t >> 64, t >> 48 & 0xFFFF
        while True:
            line = whole[lines_at + at * 64 :][:64]
            base, count, more = int.from_bytes(line[:5], "little"), line[5] & 0x7F, line[5] >> 7
            fps = struct.unpack_from(f"<{count}H", line, 6)
            for slot in range(count):
                rest = whole[rest_at + 64 + (base + slot) * size_of_rest :][:size_of_rest]
                if fps[slot] == fp and rest == digest[16 - size_of_rest :]:
                    return base + slot
            if not more or fp < fps[-1]:
                return -1
            at = int.from_bytes(line[60:], "little")

    def listed() -> Iterator[bytes]:
        low = 8 * (size_of_rest - 8)
        for home in range(lines):
            at, more = home, 1
            while more:
                line = whole[lines_at + at * 64 :][:64]
                base, count, more = int.from_bytes(line[:5], "little"), line[5] & 0x7F, line[5] >> 7
                for slot, fp in enumerate(struct.unpack_from(f"<{count}H", line, 6)):
                    rest = whole[rest_at + 64 + (base + slot) * size_of_rest :][:size_of_rest]
                    least = -(-((home << 64) + (fp << 48)) // lines)
                    x = least + (int.from_bytes(rest[:-8], "big") - least) % (1 << low)
                    yield x.to_bytes(8, "big") + rest[-8:]
                at = int.from_bytes(line[60:], "little")

    ordered = sorted(rows(keys))
    assert [rank(value) for value in ordered] == list(range(len(keys)))
    assert list(listed()) == ordered
    assert {rank(value) for value in rows(made("others", 500))} == {-1}
    said = hashlib.sha256(b"hset1\0md5\0" + struct.pack("<Q", n) + b"".join(ordered)).digest()
    assert whole[64 + 32 : 64 + 64] == said == content_id("md5", n, ordered)


def test_the_sorted_layout_read_by_its_words() -> None:
    """As the specification says: RADIX bounds the digests whose first bits are those asked for."""
    keys = np.concatenate([made("words", 700), crowded(300)])
    whole = written(batch(keys))
    bits, n = whole[64 + 4], struct.unpack_from("<Q", whole, 64 + 8)[0]
    keys_at, keys_length = struct.unpack_from("<QQ", whole, 832 + 8)
    radix_at, radix_length = struct.unpack_from("<QQ", whole, 832 + 32 + 8)
    assert (whole[64 + 3], n) == (0, len(keys)) and 2**bits <= n / 4 < 2 ** (bits + 1)
    ordered, held = sorted(rows(keys)), whole[keys_at:][:keys_length]
    assert held == bytes(64) + b"".join(ordered) + bytes(64)
    radix = struct.unpack_from(f"<{radix_length // 8}Q", whole, radix_at)
    firsts = [int.from_bytes(value[:8], "big") >> 64 - bits for value in ordered]
    assert list(radix) == [sum(first < i for first in firsts) for i in range(2**bits + 1)]


def test_what_digests_carry_read_by_its_words() -> None:
    """As the specification says: a number, and codes into the arrays of META, by rank."""
    made_of = carrying("md5", 50, 30)
    whole = written(made_of)
    spans = [struct.unpack_from("<HHIQQQ", whole, 832 + 32 * k) for k in range(8)]
    at = {kind: (offset, length, stride) for kind, _, _, offset, length, stride in spans}
    said = json.loads(whole[at[9][0] :][: at[9][1]])
    columns = {
        kind: [int.from_bytes(whole[at[kind][0] + at[kind][2] * k :][: at[kind][2]], "little") for k in range(50)]
        for kind in (4, 5, 6)
    }
    for rank, k in enumerate(np.argsort([value.hex() for value in rows(made_of.keys)]).tolist()):
        assert columns[4][rank] == k << 30
        assert said["sources"][columns[5][rank]] == [["a"], ["b"], ["a", "b"]][k % 3]
        assert said["classifications"][columns[6][rank]] == [[], ["vics/US:1"]][k % 2]


def test_what_cannot_be_built_is_refused(tmp_path: Path) -> None:
    """No digests and no algorithm; keys of another width; columns that only some batches have; a folder."""
    keys, numbers = made("refused", 3), Numbers(np.arange(3, dtype=np.uint64), "item", "aa" * 32)
    entry = Numbers(numbers.values, "entry")
    plain, numbered = batch(keys), batch(keys, numbers=numbers)
    for batches, options, error, said in (
        ([], {}, BadOption, "say the algorithm of an empty set"),
        ([Batch("sha1", keys)], {}, BadDigest, "are no digests of sha1"),
        ([Batch("md4", keys)], {}, BadOption, "unknown algorithm 'md4'; known: md5"),
        ([plain], {"algorithms": ("md4",)}, BadOption, "unknown algorithm"),
        ([plain], {"payload": ("names",)}, BadOption, "unknown payload 'names'; known: numbers, sources"),
        (
            [plain],
            {"payload": ("numbers",)},
            BadOption,
            "not every source has numbers; leave that column out",
        ),
        ([numbered, plain], {}, BadOption, "only some of the sources have numbers; name the columns"),
        ([plain, numbered], {}, BadOption, "only some of the sources have numbers; name the columns"),
        (
            [numbered, batch(keys, numbers=entry)],
            {},
            BadOption,
            "numbers of two catalogs, or of items and entries",
        ),
        ([plain], {"memory": "much"}, BadOption, "'much' is no size: say it as 768MB or 8GiB"),
    ):
        with pytest.raises(error, match=re.escape(said)):
            build(batches, tmp_path / "x.hset", Settings(**options))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileFault):
        build([plain], tmp_path)


def test_a_failure_leaves_the_old_file_whole(tmp_path: Path) -> None:
    """And nothing beside it."""
    build([batch(made("old", 5))], tmp_path / "x.hset")
    before = (tmp_path / "x.hset").read_bytes()

    def batches() -> Any:
        yield batch(made("new", 5))
        raise InteropError("the source broke")

    with pytest.raises(InteropError, match="broke"):
        build(batches(), tmp_path / "x.hset", Settings(memory=10))
    assert [path.name for path in tmp_path.iterdir()] == ["x.hset"] and (
        tmp_path / "x.hset"
    ).read_bytes() == before


def test_sizes_are_read_as_people_write_them() -> None:
    """All units are of 1024."""
    found = [bytes_of(size) for size in (7, "7", "8GiB", "768MB", "1.5 k", "2t")]
    assert found == [7, 7, 8 << 30, 768 << 20, 1536, 2 << 40]


def test_more_sets_than_meta_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the remedy."""
    monkeypatch.setattr(hset_build, "MOST_META", 10)
    sources = Sets(np.zeros(3, np.uint32), (("a-long-name",),))
    with pytest.raises(CannotWrite, match="leave that column out with `payload`"):
        written(batch(made("meta", 3), sources=sources))


# Test vectors of the document ----------------------------------------------------------------------------


NAMES = ("", "REST", "KEYS", "RADIX", "NUMBERS", "SOURCES", "CLASSES", "DRIFT", "LINES")
FEW = "MD5 of `synthetic-0` to `synthetic-2`"
CROWD = "8 zero bytes, then bytes 8 to 15 of the MD5 of `synthetic-k`, k from 0 to 299"
CHAIN = "MD5 of `synthetic-k`, k from 0 to 5999; of k from 0 to 99, bytes 0 and 1 are zero"
TWO = """SHA-1 of `synthetic-k`, k from 0 to 99, and SHA-256, k from 0 to 39; numbers (of items) k, and k × 2^30;
sources `["a"]`, `["b"]`, `["a","b"]` for k mod 3 = 0, 1, 2; classifications `[]`, `["vics/US:1"]` for k mod 2 = 0, 1"""


def named(algorithm: str, count: int) -> Any:
    """Return the digests of the texts `synthetic-k`."""
    values = (hashlib.new(algorithm, f"synthetic-{k}".encode()).digest() for k in range(count))
    return array(values, WIDTHS[algorithm])


def carrying(algorithm: str, count: int, shift: int) -> Batch:
    """Return digests with the payload of the vector `two`."""
    k = np.arange(count, dtype=np.uint64)
    sources = Sets((k % np.uint64(3)).astype(np.uint32), (("a",), ("b",), ("a", "b")))
    said = Sets((k % np.uint64(2)).astype(np.uint32), ((), ("vics/US:1",)))
    return Batch(algorithm, named(algorithm, count), Numbers(k << np.uint64(shift), "item"), sources, said)


def vectors() -> dict[str, tuple[str, bytes]]:
    """Return for each vector its description and its bytes."""
    crowd = named("md5", 300).copy()
    crowd[:, :8] = 0
    chain = named("md5", 6000).copy()
    chain[:100, :2] = 0
    two = carrying("sha1", 100, 0), carrying("sha256", 40, 30)
    return {
        "few": (FEW, written(batch(named("md5", 3)))),
        "chain": (CHAIN, written(batch(chain))),
        "crowd": (CROWD, written(batch(crowd))),
        "two": (TWO, written(*two)),
    }


def rows_of(group: Group, data: bytes) -> list[tuple[str, str]]:
    """Return what the document shows of a group."""
    lines = f"lines, NB {group.home_lines}, NO {group.overflow_lines}"
    layout = lines if group.layout else f"sorted, {group.radix_bits} bits"
    found = [(group.algorithm, f"n {group.n}, layout {group.layout} ({layout}), S {group.rest}")]
    found += [("its content id", f"`{group.content_id.hex()}`")]
    for kind, span in group.spans().items():
        check = xxhash.xxh3_64_hexdigest(data[span.offset : span.stop])
        found += [(NAMES[kind], f"at {span.offset}, {span.length} bytes, XXH3-64 `{check}`")]
    return found


def vectors_text() -> str:
    """Return the vectors as the document shows them."""
    lines = []
    for name, (what, data) in vectors().items():
        shown = [
            ("length of the file", str(len(data))),
            ("XXH3-64 of the file", f"`{xxhash.xxh3_64_hexdigest(data)}`"),
        ]
        header = header_of(data)
        shown += [row for group in header.groups for row in rows_of(group, data)]
        if header.meta:
            shown += [
                ("META", f"at {header.meta.offset}: `{data[header.meta.offset : header.meta.stop].decode()}`")
            ]
        table = "\n".join(f"| {key} | {value} |" for key, value in shown)
        lines += [f"**{name}**: {what}.", "", f"| | |\n|---|---|\n{table}", ""]
    return "\n".join(lines)


def test_the_test_vectors_of_the_document_are_current(request: pytest.FixtureRequest) -> None:
    """docs/hset-format.md has the vectors as the writer makes them. `pytest --update-cases` rewrites it."""
    mark = re.compile(r"(<!-- generated: vectors -->\n).*?(<!-- end -->)", re.DOTALL)
    text = PAGE.read_text()
    now = mark.sub(lambda m: f"{m[1]}\n{vectors_text()}\n{m[2]}", text)
    if request.config.getoption("--update-cases"):
        PAGE.write_text(now)
    assert vectors_text() in now and (now == text or request.config.getoption("--update-cases"))


def test_this_installation_has_the_compiled_core() -> None:
    """Tests run where a C compiler is: were it not built, numpy would be compared with itself."""
    assert compiled is not None
