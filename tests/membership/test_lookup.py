"""Looking texts up: every line is a hit, a miss, skipped or refused with its number; nothing is passed over."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop import Classification, Entry, merge, write
from hashlib_interop.errors import BadOption, FileFault, MalformedInput, TooManyRejects
from hashlib_interop.membership.fuse import Filter
from hashlib_interop.membership.hashset import HashSet
from hashlib_interop.membership.lookup import RESULT, Lookup, Opened, open_set
from hashlib_interop.membership.text_lines import BLOCK, LINE_LIMIT

KNOWN = 200
"""Of the made-up files, those with a lower number are in the set."""
NAMES = ("md5", "sha1", "sha256")


def made_up(algorithm: str, seed: int) -> str:
    """Return a digest in hex."""
    return hashlib.new(algorithm, f"synthetic-{seed}".encode()).hexdigest()


@pytest.fixture(scope="module")
def hash_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of MD5, SHA-1 and SHA-256 of the same files, from a catalog of two sources."""
    folder = tmp_path_factory.mktemp("set")
    said = [Classification(scheme="vics/US", code="1")]
    one = [Entry(source="one", **{name: made_up(name, k) for name in NAMES}) for k in range(KNOWN)]
    two = [Entry(source="two", sha256=made_up("sha256", k), classifications=said) for k in range(0, KNOWN, 2)]
    write([*one, *two], folder / "list.native.jsonl")
    merge([folder / "list.native.jsonl"], folder / "all.db")
    HashSet.build(folder / "all.db", folder / "all.hset").close()
    return folder / "all.hset"


def looked_up(
    path: Path, text: str | bytes, **settings: Any
) -> tuple[list[dict[str, Any]], Lookup, list[Any]]:
    """Return rows, the lookup with its counts, and what was refused."""
    bad: list[Any] = []
    with open_set(path) as opened:
        lookup = Lookup(opened, on_bad=bad.append, **{"show": "all", **settings})
        data = text.encode() if isinstance(text, str) else text
        rows = [
            row for batch in lookup.stream(io.BufferedReader(io.BytesIO(data))) for row in batch.to_pylist()
        ]
    return rows, lookup, bad


FORMS = {
    "bare": "{hash}",
    "upper": "{HASH}",
    "md5sum": "{hash}  {name}",
    "md5sum, binary": "{hash} *{name}",
    "md5sum, escaped": "\\{hash}  {name}",
    "tab": "{hash}\t{name}",
    "comma": "{hash},{name}",
    "named": "{algorithm} {hash}",
    "named, colon": "{ALGORITHM}:{hash}",
    "bsd": "{ALGORITHM} ({name}) = {hash}",
    "openssl": "{ALGORITHM}({name})= {hash}",
    "spaces before": "  {hash}  {name}",
}


@pytest.mark.parametrize(("algorithm", "end"), [("md5", "\n"), ("sha1", "\r\n"), ("sha256", "\r")])
@pytest.mark.parametrize("form", FORMS)
def test_the_forms_in_which_tools_write_digests(form: str, algorithm: str, end: str, hash_set: Path) -> None:
    """Each line a hit or a miss, with its number, its digest, and the name beside it."""
    seeds = [1, 2, KNOWN, KNOWN + 1, 3]
    lines = []
    for seed in seeds:
        value = made_up(algorithm, seed)
        words = {"hash": value, "HASH": value.upper(), "algorithm": algorithm, "ALGORITHM": algorithm.upper()}
        lines.append(FORMS[form].format(**words, name=f"photo {seed} = (1).jpg"))
    rows, lookup, bad = looked_up(hash_set, end.join(lines) + (end if end != "\r\n" else ""))
    assert [(row["line"], row["algorithm"], row["digest"]) for row in rows] == [
        (number, algorithm, made_up(algorithm, seed)) for number, seed in enumerate(seeds, 1)
    ]
    assert [row["hit"] for row in rows] == [seed < KNOWN for seed in seeds]
    named = "{name}" in FORMS[form]
    assert [row["text"] for row in rows] == [f"photo {seed} = (1).jpg" if named else "" for seed in seeds]
    assert (lookup.hits, lookup.misses, lookup.bad, bad) == (3, 2, 0, [])
    assert lookup.looked_up == {algorithm: 5} and not lookup.unanswerable


def test_a_hit_says_who_lists_it_and_as_what(hash_set: Path) -> None:
    rows, _, _ = looked_up(hash_set, "\n".join(made_up("sha256", k) for k in (1, 2, KNOWN)))
    said = [(row["sources"], row["classifications"]) for row in rows]
    assert said == [(["one"], []), (["one", "two"], ["vics/US:1"]), (None, None)]
    assert rows[0]["number"] and rows[2]["number"] is None
    assert list(rows[0]) == RESULT.names


GOOD = st.builds(
    lambda form, a, k: (form, a, k),
    st.sampled_from([*FORMS]),
    st.sampled_from(NAMES),
    st.integers(0, 2 * KNOWN),
)
SKIPPED = st.sampled_from(["", "  ", "# a comment", "\t# another"])
BAD = st.sampled_from(
    [
        "nonsense",
        "ab" * 15,
        "zz" * 16,
        "ab" * 16 + "c",
        "sha1 " + "ab" * 16,
        "=",
        "é",
        "ab" * 16 + "x  name",
        "\x00",
    ]
)
LINES = st.lists(st.one_of(GOOD, SKIPPED, BAD), max_size=60)


@given(
    lines=LINES, ended=st.booleans(), block=st.sampled_from([1, 200, 1000, 1 << 20]), end=st.sampled_from(["\n", "\r\n", "\r"])
)
def test_every_line_is_counted_once_and_rows_come_in_order(
    lines: list[Any], ended: bool, block: int, end: str, hash_set: Path
) -> None:
    """Whatever stands beside what, over the borders of blocks, in pieces as a pipe gives them."""
    texts, hits, misses, skipped, bad = [], [], [], 0, []
    for number, line in enumerate(lines, 1):
        if isinstance(line, tuple):
            form, algorithm, seed = line
            value = made_up(algorithm, seed)
            words = {
                "hash": value,
                "HASH": value.upper(),
                "algorithm": algorithm,
                "ALGORITHM": algorithm.upper(),
            }
            texts.append(FORMS[form].format(**words, name="a name"))
            (hits if seed < KNOWN else misses).append((number, value))
        else:
            texts.append(line)
            skipped += bool(re.match(r"[ \t]*(#|$)", line))
            bad += [] if re.match(r"[ \t]*(#|$)", line) else [number]
    data = (end.join(texts) + (end if ended and texts else "")).encode()
    if not ended and lines and lines[-1] == "":
        skipped -= 1  # nothing after the last line end is no line
    refused: list[Any] = []
    with open_set(hash_set) as opened:
        lookup = Lookup(opened, "all", on_bad=refused.append)
        found = [row for batch in lookup.stream(Pieces(data, block)) for row in batch.to_pylist()]
    assert [(row["line"], row["digest"]) for row in found if row["hit"]] == hits
    assert [(row["line"], row["digest"]) for row in found if not row["hit"]] == misses
    assert [row["line"] for row in found] == sorted(row["line"] for row in found)
    assert sorted(one.position for one in refused) == bad
    assert (lookup.hits, lookup.misses, lookup.bad) == (len(hits), len(misses), len(bad))
    assert sum(lookup.skipped.values()) == skipped


@pytest.mark.parametrize(("algorithm", "count"), [("md5", 31), ("sha1", 39), ("sha256", 63)])
@pytest.mark.parametrize("place", [0, 5, 31])
def test_an_empty_line_is_seen_where_longer_ends_make_up_for_it(
    algorithm: str, count: int, place: int, hash_set: Path
) -> None:
    """So many bytes as one more line of LF would have."""
    lines = [made_up(algorithm, k) for k in range(count)]
    lines.insert(place, "")
    rows, lookup, _ = looked_up(hash_set, "\r\n".join([*lines, ""]), show="all")
    assert [row["line"] for row in rows] == [number for number, line in enumerate(lines, 1) if line]
    assert lookup.skipped.total() == 1 and lookup.looked_up[algorithm] == count


def test_a_hashdeep_header_may_come_in_pieces(hash_set: Path) -> None:
    """As from a pipe; but it has to come."""
    text = f"%%%% HASHDEEP-1.0\n%%%% size,md5,filename\n## note\n9,{made_up('md5', 1)},a,b\n".encode()
    for size in (18, 20, 1000):
        with open_set(hash_set) as opened:
            lookup = Lookup(opened)
            (batch,) = lookup.stream(Pieces(text, size))
        assert batch.to_pylist()[0]["line"] == 4 and lookup.hits == 1
    with open_set(hash_set) as opened, pytest.raises(MalformedInput, match="this one ends before"):
        list(Lookup(opened).stream(Pieces(text[:18], 18)))


def test_a_line_that_is_not_found_is_shown_by_what_the_set_could_hold(hash_set: Path, tmp_path: Path) -> None:
    """Not by a stronger digest that it never holds; a line without any of its algorithms is counted."""
    HashSet.build([bytes.fromhex(made_up("md5", 1))], tmp_path / "md5.hset").close()
    strong, known = hashlib.sha256(b"s").hexdigest(), made_up("md5", 1)
    text = f"%%%% HASHDEEP-1.0\n%%%% size,md5,sha256,filename\n1,{known},{strong},a\n1,{made_up('md5', 2)},{strong},b\n1,,{strong},c\n"
    with open_set(tmp_path / "md5.hset") as opened:
        lookup = Lookup(opened, "all")
        rows = [row for batch in lookup.stream(io.BytesIO(text.encode())) for row in batch.to_pylist()]
    assert [(row["line"], row["algorithm"], row["hit"]) for row in rows] == [(3, "md5", True), (4, "md5", False), (5, "sha256", False)]
    assert dict(lookup.unanswerable) == {"sha256": 1}


class Pieces(io.RawIOBase):
    """A stream that gives a few bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size = data, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece, self._data = (
            self._data[: min(self._size, len(buffer))],
            self._data[min(self._size, len(buffer)) :],
        )
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("show", ["hits", "misses", "all"])
def test_what_is_shown_is_chosen_and_everything_is_counted(show: str, hash_set: Path) -> None:
    text = "\n".join(made_up("md5", k) for k in range(KNOWN - 5, KNOWN + 3)) + "\nnonsense\n"
    rows, lookup, bad = looked_up(hash_set, text, show=show)
    assert len(rows) == {"hits": 5, "misses": 3, "all": 8}[show]
    assert (lookup.hits, lookup.misses, lookup.bad, len(bad)) == (5, 3, 1, 1)


def test_refused_lines_say_where_and_what_and_may_end_the_run(hash_set: Path) -> None:
    text = made_up("md5", 1) + "\nnon\x1bsense\n" + "x" * 300 + "\n"
    _, lookup, bad = looked_up(hash_set, text)
    assert [(one.position, one.unit, one.reason) for one in bad] == [
        (2, "line", "no digest"),
        (3, "line", "no digest"),
    ]
    assert bad[0].value == "non\\x1bsense" and len(bad[1].value) == 60
    with pytest.raises(TooManyRejects):
        looked_up(hash_set, text, max_bad=1)
    assert lookup.bad == 2


def test_digests_of_an_algorithm_that_the_set_does_not_hold_are_said(hash_set: Path) -> None:
    """They are misses, but not because anybody looked."""
    _, lookup, _ = looked_up(hash_set, made_up("sha512", 1) + "\n" + made_up("md5", 1))
    assert (lookup.hits, lookup.misses) == (1, 1)
    assert lookup.unanswerable == {"sha512": 1}


def test_a_line_over_a_mebibyte_is_no_list(hash_set: Path) -> None:
    with pytest.raises(MalformedInput, match="no list of digests"):
        looked_up(hash_set, b"a" * (4 << 20))


@pytest.mark.parametrize("before", [0, 40, LINE_LIMIT - 1, BLOCK - 40, BLOCK + 7])
@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\nd41d8cd98f00b204e9800998ecf8427e\n", b"\r\n\r\n"])
def test_the_limit_of_a_line_is_the_same_wherever_it_stands(hash_set: Path, before: int, more: int, end: bytes) -> None:
    """Blocks are longer than a line may be; where their bounds fall does not matter."""
    head = (b"#" * 7 + b"\n") * (before // 8) + b"\n" * (before % 8)
    long = b"# " + b"x" * (LINE_LIMIT + more - 2)
    if more:
        with pytest.raises(MalformedInput, match="no list of digests"):
            looked_up(hash_set, head + long + end)
    else:
        looked_up(hash_set, head + long + end)


def test_what_stands_before_a_line_that_is_too_long_is_looked_up(hash_set: Path) -> None:
    """As it would be if it had come alone."""
    text = f"{made_up('md5', 1)}\n".encode() + b"x" * (LINE_LIMIT + 1) + b"\n"
    with open_set(hash_set) as opened:
        lookup = Lookup(opened)
        with pytest.raises(MalformedInput, match="no list of digests"):
            list(lookup.stream(io.BytesIO(text)))
    assert lookup.hits == 1


def test_file_names_that_are_no_utf8_are_escaped(hash_set: Path) -> None:
    rows, _, _ = looked_up(hash_set, made_up("md5", 1).encode() + b"  f\xfcr.jpg\n")
    assert rows[0]["text"] == "f\\xfcr.jpg"


# hashdeep ------------------------------------------------------------------------------------------------


def hashdeep(*records: str, fields: str = "size,md5,sha256,filename") -> str:
    """Return a file of hashdeep."""
    return (
        "\n".join(
            [
                "%%%% HASHDEEP-1.0",
                f"%%%% {fields}",
                "## Invoked from: /",
                "## $ hashdeep -r .",
                "##",
                *records,
            ]
        )
        + "\n"
    )


def test_a_hashdeep_record_is_a_hit_if_any_of_its_digests_is(hash_set: Path) -> None:
    """The strongest that is found is named; of a bad one, the others still count; file names may hold commas."""
    one, no = (lambda name, k: made_up(name, k)), KNOWN + 7
    records = [
        f"10,{one('md5', 1)},{one('sha256', 1)},/a,b.jpg",
        f"10,{one('md5', 2)},{one('sha256', no)},/c.jpg",
        f"10,{one('md5', no)},{one('sha256', no)},/d.jpg",
        "10,short",
        f"10,{one('md5', 1)},nonsense,/e.jpg",
        f"10,,{one('sha256', 3)},/f.jpg",
        "10,,,/g.jpg",
    ]
    rows, lookup, bad = looked_up(hash_set, hashdeep(*records))
    assert [(row["line"], row["algorithm"], row["hit"], row["text"]) for row in rows] == [
        (6, "sha256", True, "/a,b.jpg"),
        (7, "md5", True, "/c.jpg"),
        (8, "sha256", False, "/d.jpg"),
        (10, "md5", True, "/e.jpg"),
        (11, "sha256", True, "/f.jpg"),
    ]
    assert rows[1]["digest"] == made_up("md5", 2)
    assert [one.position for one in bad] == [9, 10]
    assert lookup.skipped == {"empty line or comment": 5, "record without a digest": 1}
    assert (lookup.hits, lookup.misses) == (4, 1)


@pytest.mark.parametrize("fields", ["size,filename", "size,tiger,filename", "filename,md5"])
def test_a_hashdeep_file_without_a_known_digest_is_refused(fields: str, hash_set: Path) -> None:
    with pytest.raises(MalformedInput):
        looked_up(hash_set, hashdeep(fields=fields))


# Columns -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_column_of_a_csv(delimiter: str, hash_set: Path) -> None:
    """Quoted, over several lines; the record is shown as it stood."""
    table = [
        ["name", "the MD5"],
        ['"a\nb"', made_up("md5", 1)],
        ["c", f'"{made_up("md5", KNOWN)}"'],
        ["d", ""],
        ["e", "x"],
    ]
    text = "\n".join(delimiter.join(row) for row in table) + "\n"
    rows, lookup, bad = looked_up(hash_set, text, columns=["the MD5"])
    assert [(row["line"], row["hit"]) for row in rows] == [(2, True), (4, False)]
    assert rows[0]["text"] == f'"a\nb"{delimiter}{made_up("md5", 1)}'
    assert lookup.skipped == {"record without a digest": 1} and [one.position for one in bad] == [6]


def test_the_header_of_a_csv_may_come_in_pieces(hash_set: Path) -> None:
    """As from a pipe whose writer is slow."""
    text = f"file;MD5\na.jpg;{made_up('md5', 1)}\n".encode()
    with open_set(hash_set) as opened:
        lookup = Lookup(opened, columns=["MD5"])
        found = list(lookup.stream(io.BufferedReader(Pieces(text, 3))))
    assert lookup.hits == 1 and found[0]["line"].to_pylist() == [2]


def test_several_columns_are_one_question_a_record(hash_set: Path) -> None:
    """A column may hold digests of several algorithms."""
    no = KNOWN + 1
    lines = [
        "MD5,any",
        f"{made_up('md5', no)},{made_up('sha1', 1)}",
        f"{made_up('md5', 1)},{made_up('sha256', no)}",
        f"{made_up('md5', 2)},",
    ]
    rows, lookup, _ = looked_up(hash_set, "\n".join(lines) + "\n", columns=["MD5", "any"])
    assert [(row["algorithm"], row["hit"]) for row in rows] == [("sha1", True), ("md5", True), ("md5", True)]
    assert (lookup.hits, lookup.misses) == (3, 0)


def test_a_column_that_is_not_there_is_an_error_that_shows_the_header(hash_set: Path) -> None:
    with pytest.raises(BadOption, match="a,b"):
        looked_up(hash_set, "a,b\n1,2\n", columns=["MD5"])


# Files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "gzip", "utf-16", "bom"])
def test_files_of_any_compression_and_encoding(kind: str, hash_set: Path, tmp_path: Path) -> None:
    text = "\n".join(made_up("md5", k) for k in range(KNOWN + 5)) + "\n"
    made = {
        "plain": text.encode(),
        "gzip": gzip.compress(text.encode()),
        "utf-16": text.encode("utf-16"),
        "bom": text.encode("utf-8-sig"),
    }
    path = tmp_path / "list"
    path.write_bytes(made[kind])
    with open_set(hash_set) as opened:
        lookup = Lookup(opened)
        assert sum(batch.num_rows for batch in lookup.file(path)) == lookup.hits == KNOWN
        assert lookup.misses == 5 and not lookup.bad
        with pytest.raises(FileFault):
            list(lookup.file(tmp_path / "absent"))


def test_a_pipe_is_answered_before_it_ends(hash_set: Path) -> None:
    """So that a walk over a disk shows its hits as it goes."""
    reading, writing = os.pipe()
    with (
        open_set(hash_set) as opened,
        open(reading, "rb") as stream,
        open(writing, "wb", buffering=0) as pipe,
    ):
        batches = Lookup(opened).stream(stream)
        pipe.write(f"{made_up('md5', 1)}\n{made_up('md5', 2)}".encode())
        timer = threading.Timer(20, pipe.close)
        timer.start()
        assert next(batches).num_rows == 1
        timer.cancel()
        pipe.close()
        assert next(batches)["line"].to_pylist() == [2]


def test_a_filter_says_yes_and_no_more(hash_set: Path, tmp_path: Path) -> None:
    path = tmp_path / "all.hfilter"
    Filter.build(hash_set, path, bits=16).close()
    rows, lookup, _ = looked_up(path, "\n".join(made_up("sha1", k) for k in (1, KNOWN + 1)))
    assert [row["hit"] for row in rows] == [True, False]
    assert rows[0]["sources"] is None and rows[0]["number"] is None
    assert lookup.opened.is_filter


def test_threads_and_large_blocks_give_the_same(hash_set: Path) -> None:
    text = "\n".join(made_up("md5", k % 300) for k in range(50_000)) + "\n"
    counts = [looked_up(hash_set, text, threads=threads, show="hits")[1].hits for threads in (1, 3)]
    assert counts == [sum(k % 300 < KNOWN for k in range(50_000))] * 2


def test_opened_describes_what_it_is(hash_set: Path) -> None:
    with HashSet.open(hash_set) as found:
        opened = Opened(found)
        assert opened.algorithms == NAMES and len(opened) == 3 * KNOWN
        assert opened.described()["kind"] == "hash set"
        assert opened.ranks(np.zeros((1, 16), np.uint8)).tolist() == [-1]
