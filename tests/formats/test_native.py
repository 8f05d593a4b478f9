"""native: the quirks of our own JSON Lines; what every format must do is in test_conformance.py."""

from __future__ import annotations

import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from hashlib_interop.errors import CannotWrite, MalformedInput
from hashlib_interop.format import Writing
from hashlib_interop.formats.native import FORMAT, LINE, sniff, write
from hashlib_interop.model import Entry, batch_of
from hashlib_interop.reading import open_readers, read
from hashlib_interop.report import Reject
from tests.strategies import batches, entries

HEADER = '{"format":"hashlib_interop/native","version":1}\n'


def text_of(*rows: Entry) -> str:
    """Return entries as a native file."""
    out = io.BytesIO()
    write([batch_of(list(rows))], out, Writing("out"))
    return out.getvalue().decode()


@pytest.fixture
def reads(tmp_path: Path) -> Any:
    """Return a function that reads bytes: the entries and the rejects."""

    def reading(data: bytes) -> tuple[list[Entry], list[Reject]]:
        path = tmp_path / "list.jsonl"
        path.write_bytes(data)
        rejects: list[Reject] = []
        return list(read(path, format="native", on_reject=rejects.append)), rejects

    return reading


@given(batch=batches(max_size=3))
def test_lines_are_canonical_json(batch) -> None:
    """One line an entry, keys sorted, no spaces, no nulls; the last line counts them."""
    out = io.BytesIO()
    write([batch], out, Writing("out"))
    first, *lines, last, nothing = out.getvalue().decode().split("\n")
    assert first + "\n" == HEADER and nothing == ""
    assert json.loads(last) == {"end": True, "entries": batch.num_rows, "imports": []}
    assert len(lines) == batch.num_rows
    for line in lines:
        assert line == json.dumps(json.loads(line), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert None not in json.loads(line).values()


@given(entry=entries())
def test_the_file_is_plain_for_other_tools(entry) -> None:
    """Digests are lower hex, stamps have milliseconds and a Z."""
    value = json.loads(text_of(entry).split("\n")[1])
    assert [value.get(digest.algorithm) for digest in entry.digests] == [d.value.hex() for d in entry.digests]
    if entry.asserted_at:
        assert value["asserted_at"].endswith("Z") and len(value["asserted_at"]) == 24


def test_no_end_line_or_a_wrong_count_is_a_cut_file(reads) -> None:
    """Nothing may follow the end line either."""
    whole = text_of(Entry(source="a", ref="r"), Entry(source="a", ref="s"))
    first, one, two, last, _ = whole.split("\n")
    for lines in ([first, one, two], [first, one, last], [first, one, one, two, last], [first], []):
        with pytest.raises(MalformedInput):
            reads("".join(f"{line}\n" for line in lines).encode())
    for more in ("\n", "{}", last + "\n"):
        with pytest.raises(MalformedInput, match="more after the end"):
            reads((whole + more).encode())
    with pytest.raises(MalformedInput, match="cut off"):
        reads(whole[:-1].encode())


@pytest.mark.parametrize(
    "end",
    [
        '{"end":true}', '{"end":true,"entries":"0"}', '{"end":true,"entries":0,"imports":{}}', '{"end":true,"entries":0,"imports":[{}]}',
        '{"end":true,"entries":0,"imports":7}', '{"end":true,"entries":0,"imports":[7]}', '{"end":1,"entries":0}', '{"end":"yes"}',
    ],
)  # fmt: skip
def test_a_broken_end_line_is_refused(end, reads) -> None:
    """Imports are not guessed."""
    with pytest.raises(MalformedInput):
        reads(f"{HEADER}{end}\n".encode())


def test_lines_may_end_as_on_windows(reads) -> None:
    """An editor may have been there."""
    found, rejects = reads(text_of(Entry(source="a", ref="r")).replace("\n", "\r\n").encode())
    assert [entry.ref for entry in found] == ["r"] and not rejects


def test_a_line_has_an_end(tmp_path) -> None:
    """Sixteen MiB, read with bounded memory; and none longer is written."""
    path = tmp_path / "list.jsonl"
    with path.open("wb") as out:
        out.write(HEADER.encode())
        for _ in range(64):
            out.write(b"a" * (1 << 20))
    tracemalloc.start()
    with pytest.raises(MalformedInput, match="line 2: longer than"):
        list(read(path))
    assert tracemalloc.get_traced_memory()[1] < 4 * LINE
    tracemalloc.stop()
    with pytest.raises(CannotWrite, match="a line may have"):
        text_of(Entry(source="a", ref="r", series="x" * LINE))


def test_an_entry_is_whole_whatever_stands_in_its_texts(reads) -> None:
    """Line separators of all kinds, escapes, an end line inside a text."""
    entry = Entry(source="a", ref='r\n{"end":true,"entries":0}\n', tags=("\u2028", "\x85", "\r", "\\ud800", "\x00"))
    found, rejects = reads(text_of(entry).encode())
    assert [one.id for one in found] == [entry.id] and not rejects


def test_the_source_in_the_file_speaks(tmp_path) -> None:
    """`source` at the door is for entries that state none."""
    path = tmp_path / "list.jsonl"
    path.write_text(f'{HEADER}{{"ref":"r","source":"b2"}}\n{{"ref":"r"}}\n{{"end":true,"entries":2}}\n')
    (reader,) = open_readers(path, source="a")
    assert [entry.source for entry in reader] == ["b2", "a"]


def test_sniffing_needs_the_first_line() -> None:
    """Spaces allowed; JSON Lines of somebody else are not ours."""
    assert sniff(HEADER.encode()) == sniff(b'{"version": 1, "format": "hashlib_interop/native"}\n') == 100
    assert sniff(b'{"md5":"00"}\n') == sniff(b'{"a":1}\n{"format":"hashlib_interop/native"}') == 0
    assert FORMAT.sniff is sniff
