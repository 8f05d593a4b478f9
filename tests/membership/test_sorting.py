"""Sort, dedupe and hex lines: compiled with AVX2, compiled without, and in numpy, with the same answers."""

from __future__ import annotations

import itertools
import os
import random
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashlib_interop.errors import FileFault
from hashlib_interop.membership import sorted_runs, sorting, sorting_numpy

DIGITS = b"0123456789abcdefABCDEF"
SEPARATORS = b" \t,;:|"


def ways(call: Callable[[], Any]) -> Iterator[Any]:
    """Yield what a call gives in each way that this installation has; numpy first."""
    built = sorting.compiled
    assert built is not None, "tests run where a C compiler is"
    try:
        sorting.compiled = None
        yield call()
        sorting.compiled = built
        for instructions in ("scalar", "avx512"):
            built.allow(instructions)
            yield call()
    finally:
        sorting.compiled = built
        built.allow("avx512")


def rows_of(records: list[bytes], width: int) -> np.ndarray:
    """Return records as an array."""
    return np.frombuffer(b"".join(records), np.uint8).reshape(-1, width)


def records_of(rows: np.ndarray) -> list[bytes]:
    """Return an array as records."""
    return [row.tobytes() for row in rows]


def unique(rows: np.ndarray) -> np.ndarray:
    """Return what must come out, by Python's own set and order."""
    return rows_of(sorted(set(records_of(rows))), rows.shape[1])


# Sorting -------------------------------------------------------------------------------------------------


def skewed(kind: str, count: int, width: int, seed: int = 0) -> np.ndarray:
    """Return records that no radix sort likes; `random` are those it does."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 256, (count, width), np.uint8)
    if kind == "equal":
        rows[:] = rows[:1]
    elif kind == "shared prefix":
        rows[:, : width - 3] = 7
    elif kind == "two prefixes":
        rows[:, : width // 2] = rng.integers(0, 2, (count, 1), np.uint8) * 255
    elif kind == "few bytes":
        rows = rng.choice(np.array([0, 1, 255], np.uint8), (count, width))
    elif kind == "few records":
        rows = rows[rng.integers(0, min(5, count), count)]
    elif kind == "repeated":
        rows = rows[rng.integers(0, max(count // 3, 1), count)]
    elif kind == "exponential":
        spread = rng.integers(0, 8 * width, count)
        bits = np.arange(8 * width)[None, :] > spread[:, None]
        rows &= np.packbits(bits, axis=1)
        rows[np.arange(count), spread // 8] |= (128 >> (spread % 8)).astype(np.uint8)
    elif kind == "sorted":
        rows = np.ascontiguousarray(unique(rows))
    elif kind == "falling":
        rows = np.ascontiguousarray(unique(rows)[::-1])
    elif kind == "last byte":
        rows[:, : width - 1] = 0
    return rows


KINDS = (
    "random",
    "equal",
    "shared prefix",
    "two prefixes",
    "few bytes",
    "few records",
    "repeated",
    "exponential",
    "sorted",
    "falling",
    "last byte",
)


@pytest.mark.parametrize("width", sorting.WIDTHS)
@given(data=st.data())
@settings(max_examples=25)
def test_sorted_unique(width: int, data: st.DataObject) -> None:
    """Python's own set and order, for every width; the input is left as it was."""
    byte = st.sampled_from([0, 1, 127, 128, 255]) | st.integers(0, 255)
    tail = st.lists(byte, min_size=0, max_size=width).map(bytes)
    record = tail.map(lambda end: end.rjust(width, b"\x01")) | tail.map(
        lambda start: start.ljust(width, b"\0")
    )
    rows = rows_of(data.draw(st.lists(record, max_size=60)), width)
    before = rows.tobytes()
    for found in ways(lambda: sorting.sort_unique(rows)):
        assert np.array_equal(found, unique(rows)) and found.flags.c_contiguous
    assert rows.tobytes() == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [16, 20, 76])
def test_skewed(kind: str, width: int) -> None:
    """Beyond the cache, out of place and in place, on any number of threads: the same bytes."""
    count = 5 * sorting._CACHED // (4 * width)
    rows = skewed(kind, count, width)
    expected = sorting_numpy.sort_unique(rows).tobytes()
    if kind in ("few records", "exponential"):
        assert expected == unique(rows).tobytes()
    for threads in (1, 2, 3, 4):
        assert sorting.sort_unique(rows, threads).tobytes() == expected
    lying = rows.copy()
    assert lying[: sorting.sort_in_place(lying, 2)].tobytes() == expected


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_on_small_records(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps for large inputs, taken with small ones of all sizes."""
    monkeypatch.setattr(sorting, "_CACHED", 0)
    monkeypatch.setattr(sorting, "_BUCKET", 64)
    for count in (1, 2, 3, 24, 25, 26, 64, 100, 1000, 3000):
        rows = skewed(kind, count, 20, count)
        expected = unique(rows).tobytes()
        for threads in (1, 3):
            assert sorting.sort_unique(rows, threads).tobytes() == expected
            lying = rows.copy()
            assert lying[: sorting.sort_in_place(lying, threads)].tobytes() == expected


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=40), st.integers(0, 2**32))
def test_order_of_input_does_not_matter(records: list[bytes], seed: int) -> None:
    """Nor does how often a record is there."""
    again = records + records[: seed % 7]
    random.Random(seed).shuffle(again)
    assert np.array_equal(sorting.sort_unique(rows_of(again, 16)), sorting.sort_unique(rows_of(records, 16)))


def test_time_is_bounded_on_hostile_records() -> None:
    """No list costs much more than the same number of random records: there is nothing quadratic."""
    import time

    def cost(rows: np.ndarray) -> float:
        def once() -> float:
            start = time.process_time()
            sorting.sort_unique(rows)
            return time.process_time() - start

        return min(once() for _ in range(3))

    usual = cost(skewed("random", 100_000, 32))
    for kind in KINDS:
        assert cost(skewed(kind, 100_000, 32)) < 25 * usual + 0.05, kind


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((3, 17), np.uint8),
        np.zeros((3, 16), np.int8),
        np.zeros(16, np.uint8),
        np.zeros((2, 0), np.uint8),
    ],
)
def test_refuses_what_are_no_records(rows: Any) -> None:
    """Other widths, types and shapes, compiled or not."""

    def call() -> str:
        with pytest.raises(ValueError) as caught:
            sorting.sort_unique(rows)
        return str(caught.value)

    assert len(set(ways(call))) == 1
    with pytest.raises(ValueError):
        sorting.Sorter(17, memory=1 << 20)
    with pytest.raises(ValueError):
        sorting.sort_in_place(np.zeros((40, 16), np.uint8)[::2])


def test_kernels_refuse_what_does_not_fit() -> None:
    """Buckets outside the array, digits outside the records, arrays that are not aligned, changed records."""
    built, out = sorting.compiled, sorting._aligned(300, 16)
    assert built is not None
    rows = skewed("random", 300, 16)
    counts = built.count(rows, 0, 4)
    ends = np.cumsum(counts, dtype=np.uint64)
    starts = ends - counts
    built.scatter(rows, 0, 4, out, starts, ends)
    changed = rows.copy()
    changed[:] = changed[0]
    with pytest.raises(ValueError, match="changed"):
        built.scatter(changed, 0, 4, out, starts, ends)
    for wrong in (ends + np.uint64(1), np.flip(ends).copy()):
        with pytest.raises(ValueError):
            built.scatter(rows, 0, 4, out, starts, wrong)
        with pytest.raises(ValueError):
            built.finish(out, wrong, 4)
    with pytest.raises(ValueError):
        built.scatter(rows[:299], 0, 4, out[1:], starts, ends)
    for bit, bits in ((0, 0), (0, 12), (120, 9), (128, 1)):
        with pytest.raises(ValueError):
            built.count(rows, bit, bits)
    with pytest.raises(ValueError):
        built.close_up(out, 299, 2, 0)
    with pytest.raises(ValueError):
        built.count(np.zeros((1, 17), np.uint8), 0, 4)


# Beyond memory -------------------------------------------------------------------------------------------


def sorted_within(rows: np.ndarray, memory: int, folder: Path, batch: int = 97, **options: Any) -> np.ndarray:
    """Return what a sorter gives for batches of records."""
    with sorting.Sorter(rows.shape[1], memory=memory, folder=folder, **options) as sorter:
        for at in range(0, len(rows), batch):
            sorter.add(rows[at : at + batch])
        parts = list(sorter.sorted())
        assert not list(sorter.sorted()), "it is empty afterwards"
    firsts = [part[0].tobytes() for part in parts]
    assert firsts == sorted(firsts)
    return np.concatenate([rows[:0], *parts])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("memory", [0, 5_000, 40_000])
def test_runs_on_disk_give_the_same(
    kind: str, memory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As memory, for the tiniest budgets; no file has a name."""
    monkeypatch.setattr(sorting, "_THREAD", 0)
    rows = skewed(kind, 2_000, 20)
    assert np.array_equal(sorted_within(rows, memory, tmp_path, threads=2), unique(rows))
    assert np.array_equal(sorted_within(rows, 1 << 30, tmp_path), unique(rows))
    assert not list(tmp_path.iterdir())


def test_ranges_stay_within_memory(tmp_path: Path) -> None:
    """However the records of many runs lie, and where a record is in more runs than a range may hold."""
    rows = unique(skewed("exponential", 100, 16))
    runs = [sorted_runs.Run(rows, tmp_path) for _ in range(12)]
    runs += [sorted_runs.Run(unique(skewed("random", 50, 16, seed)), tmp_path) for seed in range(5)]
    repeated = sorted(run.record(at) for run in runs for at in range(run.count))
    everything = set(repeated)
    for most in (1, 7, 100, 1_000, 100_000):
        parts = list(sorted_runs.ranges(runs, most))
        assert max(sum(stop - start for start, stop in spans) for spans in parts) <= max(most, 1)
        given = [
            run.record(at)
            for spans in parts
            for run, span in zip(runs, spans, strict=True)
            for at in range(*span)
        ]
        assert set(given) == everything
        assert most < len(runs) or sorted(given) == repeated
    for run in runs:
        run.close()


def test_memory_is_bounded(tmp_path: Path) -> None:
    """Beyond its budget a sorter holds no more than that, its caller's last slice included."""
    memory = 12 << 20
    rng = np.random.default_rng(1)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        with sorting.Sorter(20, memory=memory, folder=tmp_path) as sorter:
            for _ in range(200):
                sorter.add(rng.integers(0, 256, (10_000, 20), np.uint8))
            assert sum(len(part) for part in sorter.sorted()) == 2_000_000
        assert tracemalloc.get_traced_memory()[1] - before < memory
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("memory", [1 << 20, 8 << 20])
def test_a_small_budget_makes_few_runs(memory: int, tmp_path: Path) -> None:
    """Each is an open file: also where what the threads take is more than the budget."""
    rng = np.random.default_rng(1)
    with sorting.Sorter(16, memory=memory, threads=4, folder=tmp_path) as sorter:
        for _ in range(100):
            sorter.add(rng.integers(0, 256, (10_000, 16), np.uint8))
        assert 0 < len(sorter._runs) <= 2 * (16 << 20) // memory
        assert sum(len(part) for part in sorter.sorted()) == 1_000_000


@pytest.mark.parametrize("way", [0, 1])
def test_what_repeats_does_not_go_to_disk(way: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of few records many times over stays in memory, with numpy too."""
    monkeypatch.setattr(sorting, "_THREAD", 0)
    if not way:
        monkeypatch.setattr(sorting, "compiled", None)
    rows = skewed("random", 100, 16)
    with sorting.Sorter(16, memory=40_000, folder=tmp_path / "missing") as sorter:
        for _ in range(200):
            sorter.add(rows)
        assert not sorter.spilled
        assert np.array_equal(np.concatenate(list(sorter.sorted())), unique(rows))


def test_numpy_merges_runs_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same answers without the compiled core."""
    monkeypatch.setattr(sorting, "compiled", None)
    rows = skewed("repeated", 3_000, 44)
    assert np.array_equal(sorted_within(rows, 100_000, tmp_path), unique(rows))


def test_progress_and_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress ends at the total; slices are short."""
    monkeypatch.setattr(sorting, "_THREAD", 0)
    monkeypatch.setattr(sorting, "_SLICE", 10)
    rows, seen = skewed("random", 1_000, 16), list[tuple[int, int]]()
    with sorting.Sorter(16, memory=3_000, folder=tmp_path, progress=lambda *at: seen.append(at)) as sorter:
        sorter.add(rows)
        assert max(len(part) for part in sorter.sorted()) == 10
    assert seen == sorted(seen) and seen[-1] == (1_000, 1_000)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """By our error, with the folder."""
    monkeypatch.setattr(sorting, "_THREAD", 0)
    with open("/dev/full", "wb", buffering=0) as full, sorting.Sorter(16, memory=3_000) as sorter:
        monkeypatch.setattr(sorted_runs.tempfile, "TemporaryFile", lambda **_: full)
        with pytest.raises(FileFault, match="no space"):
            sorter.add(skewed("random", 1_000, 16))


def test_a_sorter_refuses_records_of_another_width() -> None:
    """Before it takes any."""
    with sorting.Sorter(16, memory=1 << 20) as sorter, pytest.raises(ValueError):
        sorter.add(np.zeros((1, 20), np.uint8))


# Hex lines -----------------------------------------------------------------------------------------------


def lines_of(data: bytes, final: bool) -> Iterator[tuple[int, int, int]]:
    """Yield start, stop and start of the next of every line whose end is known."""
    at = 0
    while at < len(data):
        ends = [place for place in (data.find(b"\n", at), data.find(b"\r", at)) if place >= 0]
        stop = min(ends, default=len(data))
        step = 2 if data[stop : stop + 2] == b"\r\n" else 1
        if not final and (stop == len(data) or (data[stop:] == b"\r")):
            return
        yield at, stop, min(stop + step, len(data))
        at = stop + step


def line_by_line(data: bytes, width: int, final: bool, trailing: bool, skip_bad: bool) -> tuple[Any, ...]:
    """Return what `hex_lines` must give, one line after another."""
    digests, places, bad = [], [], []
    consumed = lines = empty = 0
    stopped: tuple[int | None, int | None] = (None, None)
    for start, stop, after in lines_of(data, final):
        text, rest = data[start : start + 2 * width], data[start + 2 * width : stop]
        good = len(text) == 2 * width and not set(text) - set(DIGITS) and stop - start >= 2 * width
        good = good and (not rest or (trailing and rest[:1] in [bytes([c]) for c in SEPARATORS]))
        if good:
            digests.append(bytes.fromhex(text.decode()))
            places.append((lines, start, stop))
        elif stop > start:
            stopped = (lines, start) if stopped == (None, None) else stopped
            if not skip_bad:
                break
            bad.append((lines, start))
        empty += stop == start
        lines, consumed = lines + 1, after
    return digests, consumed, lines, empty, *stopped, bad, places


def found(data: bytes, width: int, final: bool, trailing: bool, skip_bad: bool) -> tuple[Any, ...]:
    """Return what `hex_lines` gives, in the form of `line_by_line`."""
    one = sorting.hex_lines(data, width, final=final, trailing=trailing, skip_bad=skip_bad, places=True)
    bare = sorting.hex_lines(data, width, final=final, trailing=trailing, skip_bad=skip_bad)
    assert all(np.array_equal(a, b) for a, b in zip(one[:8], bare[:8], strict=True))
    assert not len(bare.numbers) + len(bare.starts) + len(bare.stops)
    bad = list(zip(one.bad_numbers.tolist(), one.bad_starts.tolist(), strict=True))
    places = list(zip(one.numbers.tolist(), one.starts.tolist(), one.stops.tolist(), strict=True))
    counts = (one.consumed, one.lines, one.empty, one.bad_line, one.bad_offset)
    return records_of(one.digests), *counts, bad, places


def check_lines(data: bytes, width: int) -> None:
    """Compare all ways and options with line by line."""
    for final, trailing, skip_bad in itertools.product((True, False), repeat=3):
        expected = line_by_line(data, width, final, trailing, skip_bad)
        for result in ways(lambda: found(data, width, final, trailing, skip_bad)):  # noqa: B023 - called at once
            assert result == expected


def line_texts(width: int) -> st.SearchStrategy[bytes]:
    """Draw lines, most of them good ones that follow each other."""
    good = st.binary(min_size=width, max_size=width).flatmap(
        lambda value: st.sampled_from([value.hex().encode(), value.hex().upper().encode()])
    )
    other = st.sampled_from(
        [b"", b" ", b"#", b"0" * (2 * width - 1), b"0" * (2 * width + 1), b"g" * 2 * width]
    )
    more = st.tuples(good, st.sampled_from([b" ", b"\t", b",x", b"  name", b"x", b"\0", b":3"])).map(b"".join)
    line = st.one_of(good, good, good, other, more, st.binary(max_size=2 * width + 2))
    many = st.tuples(good, st.integers(1, 9), st.sampled_from([b"\n", b"\r\n"])).map(
        lambda t: (t[0] + t[2]) * t[1]
    )
    ends = st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b"\r", b"\n\n", b""])
    return st.lists(many | st.tuples(line, ends).map(b"".join), max_size=8).map(b"".join)


@pytest.mark.parametrize("width", sorting_numpy.DIGESTS)
@given(data=st.data())
@settings(max_examples=40)
def test_hex_lines(width: int, data: st.DataObject) -> None:
    """As line by line, on any bytes, with all options, for every width."""
    check_lines(data.draw(line_texts(width)), width)


@pytest.mark.parametrize("width", sorting_numpy.DIGESTS)
def test_every_byte_in_a_line(width: int) -> None:
    """At its start, inside, at its end, and where a line should end, amid lines that are decoded together."""
    good = bytes(range(width)).hex().encode() + b"\n"
    for place in (0, 1, 2 * width - 1, 2 * width, 31, 2 * width - 32):
        lines = np.tile(np.frombuffer(good, np.uint8), (256, 6))
        lines[:, 2 * len(good) + place] = np.arange(256)
        data = lines.tobytes()
        for result in ways(lambda: found(data, width, True, False, True)):  # noqa: B023 - called at once
            assert result == line_by_line(data, width, True, False, True)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_truncation(end: bytes) -> None:
    """Whole lines only, unless there is no more to come."""
    data = end.join(bytes([n] * 16).hex().encode() for n in range(6)) + end + end
    for size in range(len(data) + 1):
        for final in (True, False):
            expected = line_by_line(data[:size], 16, final, False, False)
            for result in ways(lambda: found(data[:size], 16, final, False, False)):  # noqa: B023 - called at once
                assert result == expected


@given(line_texts(16), st.lists(st.integers(1, 90), min_size=1, max_size=9))
def test_blocks_give_the_same_as_the_whole(data: bytes, sizes: list[int]) -> None:
    """A stream in blocks of any size: what was not consumed goes before the next block."""
    whole = sorting.hex_lines(data, 16, skip_bad=True)
    digests, bad, kept, at, lines = [], [], b"", 0, 0
    for size in itertools.chain(itertools.cycle(sizes)):
        final = at + size >= len(data)
        block = kept + data[at : at + size]
        one = sorting.hex_lines(block, 16, final=final, skip_bad=True)
        digests += records_of(one.digests)
        bad += [lines + number for number in one.bad_numbers.tolist()]
        kept, at, lines = block[one.consumed :], at + size, lines + one.lines
        if final:
            break
    assert digests == records_of(whole.digests) and bad == whole.bad_numbers.tolist()
    assert not kept and lines == whole.lines


def test_many_bad_lines() -> None:
    """More of them than the kernel has room to note at once."""
    good = b"00" * 16 + b"\n"
    data = (b"?\n" * 5_000 + good) * 3
    for result in ways(lambda: found(data, 16, True, False, True)):
        assert result == line_by_line(data, 16, True, False, True)


def test_hex_lines_refuses_other_widths() -> None:
    """Compiled or not."""
    for kind in ways(lambda: pytest.raises(ValueError, sorting.hex_lines, b"", 17).type):
        assert kind is ValueError
