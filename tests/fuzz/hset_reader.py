"""A fuzz target: whatever the bytes of a `.hset` file, both readers answer alike, raise our errors only, and end.

    python -m tests.fuzz.hset_reader --seconds 60          atheris where it is installed, else made-up edits
    python -m tests.fuzz.hset_reader --engine edits        made-up edits; under `tests.sanitized`, memory is watched
    python -m tests.fuzz.hset_reader --input FILE          what was found, again

The input is a program of edits on a small valid file: bits, truncations, fields of the header and the section table,
lines, pieces moved. Its first byte names the file, its second what is mended afterwards (the header, lengths, checksums),
so that the code behind them is reached. Before each run the program is written to `fuzz-input` in the folder for
temporary files.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import os
import random
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SANITIZED = "HASHLIB_INTEROP_SANITIZED" in os.environ
try:
    import atheris
except ImportError:
    atheris = None
if SANITIZED:
    atheris = None  # it brings a runtime of its own

watched = ["hset_file", "hset_numpy", "hset_lines", "hset_carried", "hashset", "strict_json"]
with atheris.instrument_imports([f"hashlib_interop.{n}" for n in watched]) if atheris else contextlib.nullcontext():
    import numpy as np
    import xxhash

    from hashlib_interop.errors import InteropError
    from hashlib_interop.membership import hset_numpy
    from hashlib_interop.membership.hashset import HashSet
    from hashlib_interop.membership.hset_file import BLOCK, HEADER, Header, read_header
    from hashlib_interop.membership.hset_payload import Numbers, Sets
    from tests.membership.making import array, batch, compiled, crowded, made, rows, written

Keys = Any
SECONDS_EACH = 20
NUMBERS = (0, 1, 2, 27, 28, 29, 30, 127, 128, 255, 1 << 16, (1 << 31) - 1, 1 << 32, 1 << 40, (1 << 63) + 1, (1 << 64) - 1)
"""What fields are set to, beside their neighbours and anything."""


# Files to begin with -------------------------------------------------------------------------------------


def close(count: int) -> Keys:
    """Return digests whose lines overflow, though no chain is longer than the format allows."""
    return np.concatenate([made("far", 300), array((bytes([200, 7, k]) + row[3:] for k, row in enumerate(rows(made("near", count)))))])


def carrying() -> bytes:
    """Return a file of two groups with all that a file can carry."""
    sha1, md5 = made("carrying", 100, 20), made("carrying", 40)
    sources = Sets(np.arange(100, dtype=np.uint32) % 2, (("a",), ("a", "b")))
    one = batch(sha1, numbers=Numbers(np.arange(100, dtype=np.uint64), "item", "00"), sources=sources)
    sources = Sets(np.arange(40, dtype=np.uint32) % 2, (("a",), ("b",)))
    return written(one, batch(md5, numbers=Numbers(np.arange(40, dtype=np.uint64) << 33, "item", "00"), sources=sources))


BASES: list[tuple[bytes, Keys]] = [
    (written(batch(keys)), keys)
    for keys in (made("few", 3), made("many", 700), close(150), crowded(300), made("wide", 90, 64), made("one", 1, 20))
]
BASES.append((carrying(), made("carrying", 100, 20)))


# Edits ---------------------------------------------------------------------------------------------------


class Program:
    """Bytes as a source of decisions; zeros when they are used up."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def number(self, size: int = 4) -> int:
        """Return the next number of some bytes."""
        self._at += size
        return int.from_bytes(self._data[self._at - size : self._at], "little")

    def place(self, size: int) -> int:
        """Return a place in something of a size."""
        return self.number() % max(size, 1)

    def value(self) -> int:
        """Return a number that fields should fear."""
        kind = self.number(1)
        return NUMBERS[kind] if kind < len(NUMBERS) else self.number(8)

    @property
    def more(self) -> bool:
        """Tell whether there is more."""
        return self._at < len(self._data)


def flip(file: bytearray, program: Program) -> None:
    """Change a bit anywhere."""
    if file:
        file[program.place(len(file))] ^= 1 << program.number(1) % 8


def junk(file: bytearray, program: Program) -> None:
    """Overwrite some bytes anywhere."""
    at, size = program.place(len(file)), program.number(1) % 16
    file[at : at + size] = bytes(program.number(1) for _ in range(size))


def cut(file: bytearray, program: Program) -> None:
    """Truncate."""
    del file[program.place(len(file)) :]


def grow(file: bytearray, program: Program) -> None:
    """Append a few bytes."""
    file += bytes([program.number(1)]) * (program.number(2) % 5000)


def move(file: bytearray, program: Program) -> None:
    """Copy a piece over another."""
    source, target, size = program.place(len(file)), program.place(len(file)), program.number(2) % 4096
    file[target : target + size] = file[source : source + size]


def field(file: bytearray, program: Program) -> None:
    """Set a field of the header, of a group or of the section table to a number, or move it by a little."""
    starts = (range(8, 40, 2), range(64, 192, 8), range(68, 832, 1), range(832, 1152, 8), range(832, 1152, 2))
    chosen = starts[program.number(1) % len(starts)]
    _set(file, chosen[program.place(len(chosen))], (1, 2, 4, 8)[program.number(1) % 4], program)


def line(file: bytearray, program: Program) -> None:
    """Set the rank, the count, a fingerprint or the next line of a line, wherever lines lie."""
    at = HEADER + program.place(max(len(file) - HEADER, 64)) // 64 * 64
    start, size = ((0, 4), (4, 1), (5, 1), (6, 2), (58, 2), (60, 4))[program.number(1) % 6]
    _set(file, at + start, size, program)


def _set(file: bytearray, at: int, size: int, program: Program) -> None:
    if at + size > len(file):
        return
    old = int.from_bytes(file[at : at + size], "little")
    new = old + program.number(1) - 128 if program.number(1) % 2 else program.value()
    file[at : at + size] = (new % (1 << 8 * size)).to_bytes(size, "little")


EDITS: list[Callable[[bytearray, Program], None]] = [flip, junk, cut, grow, move, field, field, line, line, line]


def edited(data: bytes) -> tuple[bytes, Keys]:
    """Run a program; return the file and digests to look up in it."""
    program = Program(data)
    base, keys = BASES[program.number(1) % len(BASES)]
    file, mend = bytearray(base), program.number(1)
    for _ in range(12):
        if program.more:
            EDITS[program.number(1) % len(EDITS)](file, program)
    if mend & 8:
        file = bytearray(base[:HEADER] + bytes(file[HEADER : len(base)]).ljust(len(base) - HEADER, b"\xff"))
    if len(file) >= HEADER:
        mended(file, mend)
    return bytes(file), keys


def mended(file: bytearray, what: int) -> None:
    """Make lengths and checksums right again, as far as asked: who harms on purpose does so too."""
    if what & 1:
        struct.pack_into("<Q", file, 16, len(file))
    if what & 2:
        _mend_sums(file)
    if what & 4 or what & 3:
        file[4080:HEADER] = xxhash.xxh3_128_digest(bytes(file[:4080]))


def _mend_sums(file: bytearray) -> None:
    """Write the sums where the last section of the table is, if it lies in the file."""
    count = min(struct.unpack_from("<H", file, 26)[0], 64)
    _, _, _, offset, length, _ = struct.unpack_from("<HHIQQQ", file, 832 + 32 * max(count - 1, 0))
    if HEADER <= offset and offset + length <= len(file) and length % 8 == 0:
        blocks = range(HEADER, offset, BLOCK)
        sums = [xxhash.xxh3_64_intdigest(bytes(file[at : min(at + BLOCK, offset)])) for at in blocks]
        packed = struct.pack(f"<{len(sums)}Q", *sums)
        file[offset : offset + length] = (packed + bytes(length))[:length]
        struct.pack_into("<Q", file, 32, xxhash.xxh3_64_intdigest(bytes(file[offset : offset + length])))


# What must hold ------------------------------------------------------------------------------------------


def check(file: bytes, keys: Keys) -> None:
    """Read a file in every way; anything but an answer or an error of ours ends the run."""
    with contextlib.suppress(InteropError):
        header = read_header(file[:HEADER], len(file))
        assert header.size == len(file)
        _check_tables(file, header, keys)
    with tempfile.NamedTemporaryFile() as there:
        there.write(file)
        there.flush()
        with contextlib.suppress(InteropError):
            _check_set(there.name, keys)


def _check_tables(file: bytes, header: Header, keys: Keys) -> None:
    """Both readers give the same ranks, of groups of their own; listings are the same where both can."""
    cores = [core for core in (hset_numpy, compiled) if core]
    tables = [core.Table(file, header.groups) for core in cores]
    for group in header.groups:
        asked = _asked(keys, group.width)
        found = [table.rank(asked, 1 + (len(asked) > 64)) for table in tables]
        for table, ranks in zip(tables, found, strict=True):
            assert np.array_equal(ranks, found[0])
            assert ranks.min() >= -1 and ranks.max() < max(group.n, 1)
            assert [table.find(value) for value in rows(asked[:64])] == ranks[:64].tolist()
        _same([_listed(table, group.width, min(group.n, 2000)) for table in tables])


def _asked(keys: Keys, width: int) -> Keys:
    """Return what is in the file, its neighbours, and what is not."""
    held = keys if keys.shape[1] == width else made("carrying", 40) if width == 16 else keys[:0]
    near = held.copy()
    near[:, -1:] ^= 1
    return np.concatenate([held.reshape(-1, width), near.reshape(-1, width), made("asked", 60, width)])


def _listed(table: Any, width: int, stop: int) -> Keys | None:
    try:
        return table.digests(width, 0, stop)
    except InteropError:
        return None


def _same(listings: list[Keys | None]) -> None:
    both = [listing for listing in listings if listing is not None]
    assert all(np.array_equal(listing, both[0]) for listing in both)


def _check_set(path: str, keys: Keys) -> None:
    """The public face: opening, lookups with what they carry, listing, verification."""
    with HashSet.open(path) as found:
        for ask in (lambda: found.info, lambda: found.payload(keys), lambda: found.get(keys[0].tobytes()), found.verify):
            with contextlib.suppress(InteropError):
                ask()
        with contextlib.suppress(InteropError):
            for place, _ in enumerate(found):
                if place > 2000:
                    break


# Engines -------------------------------------------------------------------------------------------------


def run(data: bytes) -> None:
    """Check one program; a run that does not end is ended, with its stack."""
    faulthandler.dump_traceback_later(SECONDS_EACH, exit=True)
    check(*edited(data))
    faulthandler.cancel_dump_traceback_later()


def programs(seed: int) -> Iterator[bytes]:
    """Yield programs without end."""
    random_ = random.Random(seed)
    while True:
        yield random_.randbytes(2 + random_.randrange(1, 90))


def made_up(seconds: float, seed: int) -> int:
    """Check made-up programs for a while; return how many. A failure says how to see it again."""
    last, until = Path(tempfile.gettempdir()) / "fuzz-input", time.monotonic() + seconds
    for count, data in enumerate(programs(seed)):
        if time.monotonic() > until:
            return count
        last.write_bytes(data)
        try:
            run(data)
        except BaseException:
            print(f"found by {data.hex()}\nagain: python -m tests.fuzz.hset_reader --input {last}", file=sys.stderr)
            raise
    raise AssertionError("programs do not end")


def guided(seconds: int) -> None:
    """Let atheris find programs by what they reach of the Python code; it ends the process."""
    assert atheris is not None
    corpus = Path(tempfile.mkdtemp(prefix="fuzz-corpus-"))
    for place, data in zip(range(200), programs(0), strict=False):
        (corpus / str(place)).write_bytes(data)
    words = [f"-max_total_time={seconds}", "-max_len=200", f"-artifact_prefix={tempfile.gettempdir()}/", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *words, str(corpus)], run)
    atheris.Fuzz()


def main() -> None:
    """Choose the engine; say what was done."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--seconds", type=int, default=int(os.environ.get("FUZZ_SECONDS", "60")))
    words.add_argument("--engine", choices=["atheris", "edits"], default="atheris" if atheris else "edits")
    words.add_argument("--seed", type=int, default=time.time_ns())
    words.add_argument("--input", type=Path, help="a program that was found, to be run once")
    given = words.parse_args()
    core = "numpy and compiled" if compiled else "numpy alone: the compiled core is not built"
    watched_by = " under the sanitizers" if SANITIZED else ""
    print(f"readers: {core}{watched_by}; engine: {given.engine}; {given.seconds} s", flush=True)
    if given.input:
        run(given.input.read_bytes())
    elif given.engine == "atheris":
        guided(given.seconds)
    else:
        print(f"{made_up(given.seconds, given.seed):,} files, seed {given.seed}: our errors only")


if __name__ == "__main__":
    main()
