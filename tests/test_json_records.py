"""Framing records of a JSON array in an object: exact, bounded, and never past a fault in silence."""

from __future__ import annotations

import io
import json
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashlib_interop.errors import MalformedInput
from hashlib_interop.json_columns import Scalars, flat_scalars
from hashlib_interop.json_records import ArrayRecords, Frames
from hashlib_interop.strict_json import strict_json


def malformed(message: str, position: int | None) -> MalformedInput:
    return MalformedInput(message, position=None if position is None else f"record {position}")


class Framed:
    """A text framed: records, frames, outer elements, envelope."""

    def __init__(self, text: bytes, block: int = 4 << 20) -> None:
        self.outer: list[dict[str, Any]] = []
        source = ArrayRecords(io.BytesIO(text), malformed, self.outer.append, block=block)
        self.frames: list[Frames] = list(source)
        self.records = [json.loads(t) for frames in self.frames for t in frames.texts.to_pylist()]
        self.envelope, self.count = source.envelope, source.count


def refused(text: bytes, match: str) -> None:
    with pytest.raises(MalformedInput, match=match):
        Framed(text)


def test_records_come_in_order_with_what_stands_around_the_array() -> None:
    """Keys before and after the array are read; the array itself is not among them."""
    found = Framed(b' {"a": {"x": [1]}, "value": [ {"n": 1} ,\n {"n": [{}]},{}\n ], "z": null} \n')
    assert found.records == [{"n": 1}, {"n": [{}]}, {}]
    assert found.envelope == {"a": {"x": [1]}, "z": None}
    assert [frames.flat.tolist() for frames in found.frames] == [[True, False, True]]
    assert [frames.strings.tolist() for frames in found.frames] == [[1, 1, 0]]


def test_brackets_and_quotes_in_strings_do_not_count() -> None:
    """Escapes, runs of backslashes and brackets inside strings leave the frames alone."""
    rows = [{"a": '}],{"\\"'}, {"b": "\\\\"}, {"c": '"[{', "|": "|\\"}]
    text = json.dumps({"value": rows}).encode()
    assert Framed(text).records == rows


def test_an_inner_array_is_framed_wherever_it_stands_in_its_element() -> None:
    """Records of an inner array; the fields of its element before and after it are given once."""
    text = b'{"value":[{"id":1,"Media":[{"n":1},{"n":2}],"z":[2]},{"id":2,"Media" : [ ]},{"n":3}]}'
    found = Framed(text)
    assert found.records == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert [frames.inner for frames in found.frames] == [True, False]
    assert found.outer == [{"id": 1, "z": [2]}, {"id": 2}]


def test_an_array_media_deeper_in_a_record_belongs_to_the_record() -> None:
    """Only a member of an element of the outer array makes it a case."""
    row = {"x": {"Media": [{"n": 1}]}, "y": [["Media", []]]}
    assert Framed(json.dumps({"value": [row]}).encode()).records == [row]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b"", "cut off, or not JSON"),
        (b"[]", "no array"),
        (b'{"value": 5}', "no array"),
        (b'{"x": {"value": []}}', "no array"),
        (b'{"value": [1]}', "not parted"),
        (b'{"value": [null, {}]}', "not parted"),
        (b'{"value": [[]]}', "other than an object"),
        (b'{"value": [{},]}', "not parted"),
        (b'{"value": [,{}]}', "not parted"),
        (b'{"value": [{} {}]}', "not parted"),
        (b'{"value": [{},,{}]}', "not parted"),
        (b'{"value": [{]]}', "other than an object"),
        (b'{"value": [{}}', "closed by another"),
        (b'{"value": [{}]', "cut off after"),
        (b'{"value": [{}]} x', "not JSON"),
        (b'{"value": [{}]}{}', "not JSON"),
        (b'{"value": [{}]]', "not JSON"),
        (b'{"value": [{}], "value": [{}]}', "duplicate key 'value'"),
        (b'{"a": 1, "a": 2, "value": [{}]}', "duplicate key 'a'"),
        (b'{"a": NaN, "value": [{}]}', "NaN"),
        (b'{"a": 1, "value": [{}],}', "not JSON"),
        (b'{"value": [{"Media": [], "Media": []}]}', "duplicate key 'Media'"),
        (b'{"value": [{"Media": [], "x"}]}', "not JSON"),
        (b'{"value": [["Media": []]]}', "not JSON"),
        (b'{"value": [{}], "\xff": 1}', "UTF-8"),
        (b'{"value": [{}], "x": "\\ud800"}', "surrogate"),
    ],
)
def test_a_file_that_is_not_json_around_its_records_is_refused(text: bytes, match: str) -> None:
    """Whatever stands around the records is read as strictly as they are."""
    refused(text, match)


def test_depth_is_bounded_in_little_memory() -> None:
    """100,000 levels, in a record or before the array, are refused without being followed."""
    for text in (b'{"value":[' + b'{"a":[' * 50_000, b"[" * 100_000, b'{"a":' * 100_000):
        tracemalloc.start()
        refused(text, "nested deeper|no array|not JSON|cut off")
        assert tracemalloc.get_traced_memory()[1] < 30 << 20
        tracemalloc.stop()
    deep = b'{"value":[' + b'{"a":' * 61 + b"1" + b"}" * 61 + b"]}"
    assert Framed(deep).count == 1
    refused(b'{"value":[' + b'{"a":' * 63 + b"1" + b"}" * 63 + b"]}", "deeper than 64")


def test_a_record_and_an_envelope_are_bounded() -> None:
    """A record that does not end, too many marks in one, and a huge third key are refused."""
    refused(b'{"value":[{"a":"' + b"x" * (26 << 20), "more than 16 MiB")
    refused(b'{"value":[{"a":[' + b'"",' * (4 << 20), "brackets and quotes")
    refused(b'{"a":"' + b"x" * (2 << 20) + b'","value":[]}', "before the array")
    refused(b'{"value":[],"a":"' + b"x" * (2 << 20) + b'"}', "after the array")


def test_memory_does_not_grow_with_the_file() -> None:
    """Frames of a long file come one block at a time."""

    class Endless(io.RawIOBase):
        left = 40 << 20

        def read(self, size: int = -1) -> bytes:
            self.left -= size
            return b'{"n":"12345678"},' * (size // 17) if self.left > 0 else b""

    class Headed(io.BytesIO):
        rest = Endless()

        def read(self, size: int | None = -1) -> bytes:
            return super().read(size) or self.rest.read(size or -1)

    tracemalloc.start()
    with pytest.raises(MalformedInput, match="cut off"):
        for _ in ArrayRecords(Headed(b'{"value":['), malformed, print, block=1 << 20):
            pass
    assert tracemalloc.get_traced_memory()[1] < 30 << 20
    tracemalloc.stop()


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(), st.sampled_from(['"', "\\", '\\"', "]}", "[{"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)
RECORDS = st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=5)


@settings(deadline=None, max_examples=60)
@given(records=RECORDS, inner=st.booleans(), block=st.integers(3, 200), indent=st.sampled_from([None, 1, 4]))
def test_frames_are_the_records_whatever_the_blocks(
    records: list[dict[str, Any]], inner: bool, block: int, indent: int | None
) -> None:
    """However the file is cut into blocks, the frames are what `json` reads."""
    records = [{k: v for k, v in r.items() if k != "Media"} for r in records]
    value = [{"id": 1, "Media": records, "z": "]"}, {"Media": []}] if inner else records
    text = json.dumps({"c": "{[", "value": value, "d": []}, indent=indent).encode()
    found = Framed(text, block)
    assert found.records == records
    assert found.envelope == {"c": "{[", "d": []}


@settings(deadline=None, max_examples=50)
@given(records=RECORDS, data=st.data())
def test_a_file_cut_off_anywhere_is_refused(records: list[dict[str, Any]], data: st.DataObject) -> None:
    """No proper prefix passes."""
    text = json.dumps({"c": 1, "value": records}).encode()
    with pytest.raises(MalformedInput):
        Framed(text[: data.draw(st.integers(0, len(text) - 1))], 16)


# Flat records by column -----------------------------------------------------------------------------------

KNOWN = ("a", "b", "MD5", "x.y@z")
TOKENS = st.sampled_from(
    ["1", "-0", "1.5", "1e400", "true", "null", "NaN", "nan", "Infinity", "-Infinity", "01", "+1", "0x1", ".5", "1.", "tru",
     "18446744073709551617", '"t"', '"\\u0041"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\x"', '"a\x01"', '"\xe9"', "'q'", "", "{}",
     "[1,]", '""', '"a\\\\"', '"\\u0000"', "/**/1", "1/**/"]
)  # fmt: skip
NAMES = st.sampled_from(
    ['"a"', '"b"', '"MD5"', '"md5"', '"\\u0061"', '"x.y@z"', '"other"', '"a\\nb"', '""', "a"]
)
COMMAS = st.sampled_from([",", ",", ",", " , ", ",,", "", ", //\n"])


@st.composite
def objects(draw: st.DrawFn) -> bytes:
    """A JSON object, or something near one."""
    parts = draw(st.lists(st.tuples(NAMES, TOKENS), max_size=4))
    text = ""
    for name, token in parts:
        text += (draw(COMMAS) if text else "") + f"{name}:{token}"
    return ("{" + text + draw(st.sampled_from(["", "", " ", ",", " , "])) + "}").encode(
        "latin-1" if draw(st.booleans()) else "utf-8"
    )


@settings(deadline=None, max_examples=200)
@given(st.lists(objects(), min_size=1, max_size=4), st.integers(3, 80))
def test_columns_hold_what_strict_json_reads_and_no_more(texts: list[bytes], block: int) -> None:
    """A record taken by columns is strict JSON of known keys, each once, with the same values."""
    try:
        framed = framed_of(texts, block)
    except MalformedInput:
        return
    for frames in framed:
        columns, read = flat_scalars(frames, KNOWN)
        rows = [frames.texts[i].as_py() for i in read.nonzero()[0]]
        for row, text in enumerate(rows):
            found = {name: scalar_at(column, row) for name, column in columns.items()}
            value = strict_json(text)
            assert {name: part for name, part in found.items() if part is not None} == {
                name: part for name, part in value.items() if part is not None
            }
            assert set(value) <= set(KNOWN)


def scalar_at(column: Scalars, row: int) -> Any:
    text = column.texts[row].as_py()
    return text if column.quoted[row] or text is None else json.loads(text)


def framed_of(texts: list[bytes], block: int = 1 << 20) -> list[Frames]:
    text = b'{"value":[' + b",".join(texts) + b"]}"
    return list(ArrayRecords(io.BytesIO(text), malformed, print, block=block))


def test_repeated_keys_are_left_to_the_strict_reader() -> None:
    """Also where the repeats hide behind escapes, null, or numbers."""
    texts = [
        b'{"a":1,"a":2}',
        b'{"a":"1","\\u0061":null}',
        b'{"a":null,"b":null}',
        b'{"a":null,"a":null}',
        b'{"b":"x"}',
    ]
    (frames,) = framed_of(texts)
    columns, read = flat_scalars(frames, KNOWN)
    assert read.tolist() == [False, False, True, False, True]
    assert columns["b"].texts.to_pylist() == [None, "x"]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b'{"a":1,"a":1}', "duplicate key 'a'"),
        (b'{"a":[{"b":1,"b":1}]}', "duplicate key 'b'"),
        (b"NaN", "NaN"),
        (b"-Infinity", "Infinity"),
        (b"1e400", "out of range"),
        (b'"\\ud800"', "surrogate"),
        (b'"\xff"', "UTF-8"),
        (b"1" * 5000, "digits"),
        (b"[" * 100_000, "deep"),
        (b"{} {}", "Extra data"),
        (b"[1,]", "Expecting value|Illegal trailing comma"),
        (b'"a\x01"', "control character"),
    ],
)
def test_strict_json_refuses_what_others_let_pass(text: bytes, match: str) -> None:
    """Each by name."""
    with pytest.raises(ValueError, match=match):
        strict_json(text)


def test_strict_json_keeps_whole_numbers_exact() -> None:
    """No doubles on the way."""
    assert strict_json(b"18446744073709551617") == 2**64 + 1


@pytest.mark.parametrize(
    "text",
    [
        b'{"Value":[],"value":[{"a":1}]}', b'{"value":[{"a":1}],"VALUE":[{"a":2}]}', b'{"VALUE":1,"value":[]}',
        b'{"value":[{"media":[{"a":1}],"Media":[{"a":2}]}]}',
    ],
)  # fmt: skip
def test_a_second_array_in_other_letters_is_not_lost(text) -> None:
    """Which of both is meant cannot be told: the file is refused."""
    refused(text, "two keys for the array")


def test_a_key_that_is_there_twice_is_found_at_once() -> None:
    """In time that grows with the keys, not with their square."""
    text = "{" + ",".join(f'"k{number}":1' for number in range(200_000)) + ',"z":1,"z":2}'
    start = time.process_time()
    with pytest.raises(ValueError, match="duplicate key 'z'"):
        strict_json(text.encode())
    assert time.process_time() - start < 5
