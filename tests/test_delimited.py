"""Delimited text: what is written is read, faults are refused with their line, blocks leave no trace."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop import delimited, delimited_records
from hashlib_interop.delimited import Dialect, read_rows, write_rows
from hashlib_interop.errors import MalformedInput
from hashlib_interop.format import Reading
from hashlib_interop.report import Reject

Found = tuple[list[tuple[int, list[str]]], list[tuple[int, str]], Reading]


def read(data: bytes, names: list[str] | None = None, **dialect: Any) -> Found:
    """Return rows with their lines, rejects with theirs, and the reading."""
    rejects: list[Reject] = []
    reading = Reading("file", "s", "line", on_reject=rejects.append)
    rows = []
    for part in read_rows(io.BytesIO(data), reading, Dialect(**dialect), names)[1]:
        columns = [column.to_pylist() for column in part.columns]
        rows += [(int(line), list(cells)) for line, *cells in zip(part.lines, *columns, strict=True)]
    return rows, [(reject.position, reject.reason) for reject in rejects], reading


@pytest.fixture(params=[None, 64, 200])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Read in blocks so small that everything falls on an edge once."""
    if request.param:
        monkeypatch.setattr(delimited, "BLOCK", request.param)
        for module in (delimited, delimited_records):
            monkeypatch.setattr(module, "RECORD_LIMIT", request.param - 8)
    yield


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8) | st.sampled_from(
    ["", '"', '""', ";", "a;b", "\n", "\r", "\r\n", ' "', "\ufeff", "'", "=1"]
)


@given(rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=6), delimiter=st.sampled_from(",;\t|"))
def test_what_is_written_is_read(rows, delimiter) -> None:
    """By us and by the csv module; any text but NUL."""
    stream, dialect = io.BytesIO(), Dialect(delimiter)
    write_rows(stream, [pa.array([row[k] for row in rows], pa.string()) for k in range(3)], dialect)
    found, rejects, _ = read(stream.getvalue(), ["a", "b", "c"], delimiter=delimiter)
    assert [cells for _, cells in found] == rows and not rejects
    text = io.StringIO(stream.getvalue().decode(), newline="")
    assert list(csv.reader(text, delimiter=delimiter, strict=True)) == rows


@given(texts=st.lists(CELLS, max_size=5))
def test_a_single_column_may_be_empty(texts) -> None:
    """An empty cell that is all of its record stands in quotes: an empty line is no record."""
    stream = io.BytesIO()
    write_rows(stream, [pa.array(texts, pa.string())], Dialect())
    assert [cells for _, cells in read(stream.getvalue(), ["a"])[0]] == [[text] for text in texts]


WELL_FORMED = b'a;b\r\n1;2\r"x\n""y";"3\r\n"\n\n4;"5;"\n"";6'


def test_lines_are_counted_through_quotes_and_line_ends(blocks) -> None:
    """LF, CR and CRLF end lines; a field may hold them; an empty line is counted and skipped."""
    rows, rejects, reading = read(WELL_FORMED, delimiter=";")
    assert rows == [(2, ["1", "2"]), (3, ['x\n"y', "3\r\n"]), (7, ["4", "5;"]), (8, ["", "6"])]
    assert not rejects and reading.dropped == {"empty line": 1}
    assert reading.facts == {"last line": "has no line end"}


@pytest.mark.parametrize("size", range(16, 60))
def test_blocks_leave_no_trace(size, monkeypatch) -> None:
    """Wherever the edge of a block falls: in a CRLF, in a quote, in a doubled quote."""
    whole = read(WELL_FORMED, delimiter=";")[0]
    monkeypatch.setattr(delimited, "BLOCK", size)
    assert read(WELL_FORMED, delimiter=";")[0] == whole


@given(
    lines=st.lists(
        st.sampled_from([b"1,2", b'"a,b",c', b'5" disk,x', b'"a"b,c', b"1", b"1,2,3", b"a\0,b", b"\xff,b"])
    )
)
def test_one_bad_record_costs_one_record(lines) -> None:
    """However many there are, good lines are read and bad ones refused, each with its line."""
    rows, rejects, _ = read(b"\n".join([*lines, b""]), ["a", "b"])
    good = [number for number, line in enumerate(lines, 1) if line in (b"1,2", b'"a,b",c')]
    assert [line for line, _ in rows] == good
    assert sorted(line for line, _ in rejects) == [n for n in range(1, len(lines) + 1) if n not in good]


def test_reasons_name_the_fault() -> None:
    """The line, and what is wrong with it."""
    data = b'a,b\n1\n1,2,3\nx"y,1\n"x"y,1\na\0,1\n\xe9,1\n'
    assert read(data)[1] == [
        (2, "1 fields, expected 2"),
        (3, "3 fields, expected 2"),
        (4, "a quote inside a field that is not quoted"),
        (5, "text after a closing quote"),
        (6, "a NUL byte"),
        (7, "not UTF-8"),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b'a,b\n1,2\n3,"4\n5,6\n',
        b'a,b\n1,2\n3,"4',
        b'a,b\n1,2\n3,"4\n5,"6"\n7,8\n',
        b'a,b\n1,2\n3,"' + b"x,y\n" * 300_000,
    ],
)
def test_an_unclosed_quote_swallows_nothing(data) -> None:
    """The file is refused, and the line named where the quote opens."""
    with pytest.raises(MalformedInput, match="line 3: a quote opens here"):
        read(data)


def test_a_record_over_one_mebibyte_is_refused() -> None:
    """With its line; without a line end too. One below is read."""
    for end in (b"\n", b""):
        with pytest.raises(MalformedInput, match="line 2: a record of more than 1,048,576 bytes"):
            read(b"a,b\n1," + b"x" * (1 << 20) + end)
    assert len(read(b"a,b\n1," + b"x" * ((1 << 20) - 3) + b"\n")[0]) == 1


def test_a_spare_field_is_allowed_only_where_it_is_empty() -> None:
    """Per record, as in the ICSE export."""
    data = b"a;b\n1;2;\r\n3;4\n5;6;7\n;;\n8;9;"
    rows, rejects, _ = read(data, delimiter=";", spare=True)
    assert rows == [(2, ["1", "2"]), (3, ["3", "4"]), (5, ["", ""]), (6, ["8", "9"])]
    assert rejects == [(4, "3 fields, expected 2")]


def test_a_last_line_that_may_be_cut_is_refused() -> None:
    """No line end and an empty last field; a quoted empty field is whole."""
    assert read(b"a,b\n1,2\n3,")[1] == [
        (3, "no line end and an empty last field: the file may be cut off here")
    ]
    assert read(b'a,b\n3,""')[0] == [(2, ["3", ""])]


@pytest.mark.parametrize("data", [b"a,b,c\n1,2,3\n4,5", b"a,b,c\n1,2,3\n4", b"a,b,c\r\n1,2,3,4\r\n4,\"5\""])
def test_a_file_that_is_cut_off_is_refused(data) -> None:
    """A last row that is short and has no line end. With one, or with all its fields, it may be whole."""
    with pytest.raises(MalformedInput, match="cut off") as caught:
        read(data)
    assert caught.value.position == "line 3"
    read(data + b"\n")
    read(data + b",5,6"[: 2 * (2 - data.splitlines()[-1].count(b","))])


def test_a_fallback_encoding_is_counted() -> None:
    """Records that are not UTF-8 are read in it, the others are not."""
    data = "a,b\né,1\n".encode() + "ö,2\nü,3\n".encode("latin-1") + "漢,4".encode()
    rows, rejects, reading = read(data, fallback="latin-1")
    assert [cells for _, cells in rows] == [["é", "1"], ["ö", "2"], ["ü", "3"], ["漢", "4"]]
    assert [line for line, _ in rows] == [2, 3, 4, 5] and not rejects
    assert reading.facts["records in latin-1"] == "2"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no header"),
        (b"\n\r\n", "no header"),
        (b"a,A\n1,2\n", "names 'a' twice"),
        (b"a\0,b\n1,2\n", "NUL"),
        (b'a"b,c\n1,2\n', "a quote inside"),
        (b"\xff,c\n1,2\n", "not UTF-8"),
    ],
)
def test_a_bad_header_is_no_list(data, message) -> None:
    """The file is refused."""
    with pytest.raises(MalformedInput, match=message):
        read(data)


def test_without_quotes_a_quote_is_a_character() -> None:
    """As in tab-separated exports."""
    assert read(b'a\tb\n"x\ty"z\n', delimiter="\t", quote=None)[0] == [(2, ['"x', 'y"z'])]


@given(data=st.binary(max_size=60) | st.text('a",;\n\r\0é', max_size=60).map(str.encode))
def test_any_bytes_are_read_refused_or_malformed(data) -> None:
    """No other error; and no line is both read and refused."""
    try:
        rows, rejects, _ = read(data, ["a", "b"])
    except MalformedInput:
        return
    lines = [line for line, _ in rows] + [line for line, _ in rejects]
    assert len(set(lines)) == len(lines)


@given(data=st.text('ab",\n\r', max_size=40))
def test_what_is_read_is_what_the_csv_module_reads(data) -> None:
    """Where it is strict and sees no fault, so do we."""
    try:
        expected = [row for row in csv.reader(io.StringIO(data, newline=""), strict=True) if row]
        rows, rejects, _ = read(data.encode(), ["a", "b"])
    except (csv.Error, MalformedInput):
        return
    refused = {reason for _, reason in rejects}
    if "a quote inside a field that is not quoted" not in refused and not data.endswith(","):
        assert [cells for _, cells in rows] == [row for row in expected if len(row) == 2]


def test_many_faults_cost_no_more_than_many_lines() -> None:
    """40,000 stray quotes in one block: each costs a look at what follows it, not at the block."""
    rows, rejects, _ = read(b'x"y,1\na,2\n' * 20_000, ["a", "b"])
    assert len(rows) == len(rejects) == 20_000
