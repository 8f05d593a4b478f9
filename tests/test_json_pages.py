"""Pages of JSON records, for the formats that share their reader: strict, bounded, and what survives is exact."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop.carrying import Losses, project
from hashlib_interop.errors import InteropError, MalformedInput
from hashlib_interop.format import Reading, Writing
from hashlib_interop.formats import FORMATS
from hashlib_interop.formats._json_pages import EXTRA_DEPTH
from hashlib_interop.handling import ALL
from hashlib_interop.model import Entry, Fingerprint, batch_of
from hashlib_interop.reading import open_readers
from tests.casework import Case, cases
from tests.strategies import batches, extras, fingerprints, json_values, wordings
from tests.test_conformance import RECORDED_AT, compared, places, read_rows, write_to

FAMILY = ("arachnid", "hma", "localfile", "stopncii", "tcap", "threatexchange")
WRITTEN = ("hma", "localfile", "stopncii", "threatexchange")
PAGES = {"threatexchange": "data", "stopncii": "hashRecords", "tcap": "results"}
SAMPLES = [case for case in cases() if case.format in FAMILY and "expected.jsonl" in case.expected()]


def read(name: str, data: bytes, **settings: Any) -> tuple[list[Any], Reading]:
    """Return the rows that a reader yields, and what was said; `reading.facts["rejects"]` are the refused records."""
    rejects: list[Any] = []
    reading = Reading("t.json", name, on_reject=rejects.append, **settings)
    rows = [row for columns in FORMATS[name].read(io.BytesIO(data), reading) for row in _rows(columns)]  # type: ignore[misc]
    reading.facts["rejects"] = rejects  # type: ignore[assignment]
    return rows, reading


def _rows(columns: Any) -> list[Any]:
    names = list(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*(c.to_pylist() for c in columns.values()), strict=True)]


# One record does not spoil the others --------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(
    "bad",
    ['{"a":1,"a":2}', '{"a":NaN}', '{"a":"\\ud800"}', '{"a":"\t"}', '{"a" 1}', '{"a":1e999}', '{"a":tru}', "{}"],
)
def test_a_record_that_is_no_json_is_refused_alone(name, bad) -> None:
    """Key twice, NaN, half a surrogate: refused with its position, the others are read."""
    path = next(path for case in SAMPLES if case.format == name for path in case.inputs if path.suffix == ".json")
    page = json.loads(path.read_text())
    good = json.dumps(page[PAGES[name]][0])
    rows, reading = read(name, f'{{"{PAGES[name]}":[{good},{bad},{good}]}}'.encode())
    assert [row["position"] for row in rows] == [1, 3]
    assert [reject.position for reject in reading.facts["rejects"]] == [2]


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"x":1,"x":2,"ARRAY":[]}', "duplicate key 'x'"),
        ('{"ARRAY":[],"ARRAY":[]}', "duplicate key"),
        ('{"ARRAY":[[]]}', "other than an object"),
        ('{"ARRAY":{}}', "there is no array"),
        ('{"other":[]}', "wanted: "),
        ('{"ARRAY":[]', "cut off"),
        ('{"ARRAY":[]} {}', "Extra data"),
        ('{"ARRAY":[{"a":' + "[" * 70 + "]" * 70 + "}]}", "nested deeper than 64"),
    ],
)
def test_a_page_that_cannot_be_trusted_is_refused(name, text, says) -> None:
    """As a whole, and what is wanted instead is said."""
    with pytest.raises(MalformedInput, match=says):
        read(name, text.replace("ARRAY", PAGES[name]).encode())


@pytest.mark.parametrize("text", ["[]x", '[],"x":1', "[]}", "[1]", "[", '["records"]', '[]},"records":[]', "[{]}"])
def test_a_bare_array_is_all_of_its_file(text) -> None:
    """Nothing after it, and nothing that is only JSON within another text."""
    with pytest.raises(MalformedInput):
        read("hma", text.encode())
    assert read("hma", b" [ ]\n")[0] == []


@pytest.mark.parametrize("name", ["hma", "arachnid"])
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a":1,"a":2}', "duplicate key 'a'"),
        ('{"a":' + "[" * 64 + "]" * 64 + "}", "nested deeper than 64"),
        ('{"a":' + "[" * 100_000, "not JSON"),
        ('{"a":"' + "x" * (1 << 24) + '"}', "more than 16 MiB"),
        ('{"a":1', "cut off"),
        ("3", "not one JSON object"),
        ("", "cut off"),
    ],
)
def test_a_single_answer_is_read_strictly(name, text, says) -> None:
    """Keys once, bounded in depth and size, whole."""
    with pytest.raises(MalformedInput, match=says):
        read(name, text.encode())


# Broken samples ------------------------------------------------------------------------------------------


def found_in(case: Case, path: Path) -> list[Any] | None:
    """Read a file as a case does, rejects left out; None where it is refused."""
    try:
        return [row for reader in open_readers(path, **case.settings) for batch in reader.batches() for row in batch.to_pylist()]
    except InteropError as error:
        assert str(error).isprintable()
        return None


@pytest.mark.parametrize("case", SAMPLES, ids=lambda case: f"{case.format}/{case.folder.name}")
def test_a_sample_that_is_cut_is_refused(case, tmp_path) -> None:
    """At any byte; of lines, what is whole is read, and never another value."""
    source = case.inputs[-1]
    data, path = source.read_bytes(), tmp_path / source.name
    whole = [_bare(row) for row in found_in(case, source) or []]
    for cut in places(len(data)):
        path.write_bytes(data[:cut])
        rows = found_in(case, path)
        if source.suffix == ".json":
            assert rows is None or not data[cut:].strip(), cut
        elif rows is not None:
            assert all(_hashes(_bare(row)) in map(_hashes, whole) for row in rows)


def _bare(row: Any) -> Any:
    return {key: value for key, value in row.items() if key != "evidence"}


def _hashes(row: Any) -> Any:
    return [row["ref"], row["md5"], row["fingerprints"]]


@pytest.mark.parametrize("case", SAMPLES, ids=lambda case: f"{case.format}/{case.folder.name}")
def test_a_sample_with_a_flipped_byte_raises_nothing_but_our_errors(case, tmp_path) -> None:
    """Whatever the byte becomes."""
    source = case.inputs[-1]
    data, path, dice = bytearray(source.read_bytes()), tmp_path / source.name, random.Random(1)
    for place in places(len(data)):
        before = data[place]
        data[place] = before ^ dice.choice([0x01, 0x10, 0x20, 0x80, 0xFF])
        path.write_bytes(data)
        found_in(case, path)
        data[place] = before


# Law 15, with own fields of every kind -------------------------------------------------------------------

OWN: dict[str, dict[str, tuple[Any, ...]]] = {
    "threatexchange": {
        "descriptors": ({"data": [{"status": "UNKNOWN", "tags": ["b"], "owner": {"name": "N"}}]}, {"data": [{"owner": {"email": "e"}}]}),
        "owner": ({"id": "5"}, {"id": "5", "name": "N"}, {"id": "C", "x": 1}),
        "tags": ({"data": [{"id": "1", "text": "a"}]}, {"data": [{"text": "media_type_video", "id": "2"}]}, ["a"]),
        "indicator": ({"id": "5"}, {"id": "x"}, "text"),
        "type": ("HASH_TMK", "HASH_MD5", "URI"), "raw_indicator": ("value",), "status": ("MALICIOUS",), "id": ("5",),
        "should_delete": (True, False), "share_level": ("RED",), "last_updated": (5,), "description": ("d",), "severity": ("SEVERE",),
    },
    "stopncii": {
        "signalType": ("VideoTMK", "ImagePDQ", "Text"), "hashValue": ("value",), "hashStatus": ("Withdrawn", "Received"),
        "CSPFeedbacks": ([{"feedbackValue": "Blocked", "tags": []}, {"source": "s"}], [{"feedbackValue": "X"}], []),
        "caseNumbers": ({"a": "b"},), "hashRegions": (["UK"],), "Media": ([{}],),
    },
    "hma": {
        "signals": ({"pdq": "00"}, {"url_md5": "x"}, {"url": "x"}, {"video_md5": "0" * 32}), "bank": ({"name": "B"},), "id": (5,),
        "metadata": ({"content_uri": "u", "content_id": "c"}, {"json": {"a": [1]}}), "note": ("n",), "disable_until_ts": (0, 1, False),
        "original_media_uri": ("u",), "records": ([],),
    },
    "localfile": {"type": ("url_md5", "pdq", "url", "", "a b"), "value": ("value", " value", "a b", "", "a\nb")},
}  # fmt: skip
"""What the readers put aside, and what looks like it."""


@st.composite
def own(draw: st.DrawFn, name: str) -> Any:
    """Fields of a format's own, as its reader puts them aside or nothing like it; seldom another format's."""
    if draw(st.integers(0, 9)) == 0:
        return draw(extras())
    keys = draw(st.lists(st.sampled_from(sorted(OWN[name])), max_size=5))
    found = {key: draw(st.one_of(st.sampled_from(OWN[name][key]), st.sampled_from(OWN[name][key]), json_values())) for key in keys}
    return {name: found | draw(st.dictionaries(wordings(), json_values(), max_size=1))}


def prints() -> st.SearchStrategy[Any]:
    """A PDQ hash mostly."""
    pdq = Fingerprint(kind="pdq", value=bytes(range(32)))
    return st.one_of(st.just((pdq,)), st.just((pdq,)), fingerprints().map(lambda one: (one,)))


@pytest.mark.parametrize("name", WRITTEN)
@given(data=st.data())
def test_what_survives_is_exact_whatever_the_own_fields_hold(name, data, tmp_path_factory) -> None:
    """read(write(project(x))) = project(x), and a second time the same."""
    path = tmp_path_factory.getbasetemp() / f"own-{name}"
    tags = st.lists(st.sampled_from(["a", "media_type_video", "media_type_photo"]), max_size=3).map(tuple)
    ref = st.one_of(wordings(1), st.sampled_from(["0", "1", "01", "123456789", "12345678901234567890"]))
    owner = st.sampled_from([None, "C", "N", "5"])
    fixed = {"state": "active", "about": None, "recorded_at": RECORDED_AT, "contributor": owner, "fingerprints": prints()}
    batch = data.draw(batches(min_size=1, max_size=2, extra=own(name), tags=tags, ref=ref, **fixed))
    carried = project(batch, FORMATS[name], Writing("", drop_handling=frozenset({ALL})), Losses())
    write_to(path, name, [batch])
    found = read_rows(path, name)
    assert compared(found, FORMATS[name]) == compared(carried.to_pylist(), FORMATS[name])
    again = project(carried, FORMATS[name], Writing("", drop_handling=frozenset({ALL})), Losses())
    assert compared(again.to_pylist(), FORMATS[name]) == compared(carried.to_pylist(), FORMATS[name])


@pytest.mark.parametrize("name", WRITTEN)
def test_own_fields_that_are_nested_too_deep_are_not_written(name, tmp_path) -> None:
    """What would be refused on reading is a loss on writing."""
    value: Any = 0
    for _ in range(EXTRA_DEPTH + 1):
        value = [value]
    entry = Entry(source="a", ref="7", fingerprints=(Fingerprint(kind="pdq", value=bytes(32)),), extra={name: {"metadata": value}})
    done = write_to(tmp_path / "out", name, [batch_of([entry])])
    assert "extra" in [loss.field for loss in done.losses] and len(read_rows(tmp_path / "out", name)) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("arachnid", b'{"scanned_hashes":[' + b"[]," * 2_000_000 + b"1]}"),
        ("hma", b'{"signals":{"a":[' + b"1," * 2_000_000 + b"1]}}"),
        ("cybertipline", b'{"reportedInformation":[' + b"{}," * 3_000_000 + b"1]}"),
    ],
)  # fmt: skip
def test_a_document_of_nothing_but_brackets_is_refused_before_it_is_parsed(name, text) -> None:
    """In memory it would be 30 times as long."""
    with pytest.raises(MalformedInput, match="brackets and commas"):
        read(name, text)


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("tcap", {"hash_digest": "0" * 32, "algorithm": "MD5", "id": 1, "Deleted": True}),
        ("stopncii", {"hashValue": "0" * 64, "signalType": "ImagePDQ", "HashStatus": "Deleted"}),
        ("hma", {"id": 1, "signals": {"pdq": "0" * 64}, "Disable_Until_TS": 0}),
        ("threatexchange", {"raw_indicator": "0" * 32, "type": "HASH_MD5", "SHOULD_DELETE": True}),
        ("threatexchange", {"raw_indicator": "0" * 32, "type": "HASH_MD5", "Share_Level": "RED"}),
    ],
)
def test_a_deletion_or_restriction_in_other_letters_is_not_passed_over(name, record) -> None:
    """The record is refused, and the reason says how the key is spelled."""
    key = {"tcap": "results", "stopncii": "hashRecords", "threatexchange": "data"}.get(name)
    rows, reading = read(name, json.dumps({key: [record]} if key else [record]).encode())
    (reject,) = reading.facts["rejects"]
    assert not rows and reject.reason.startswith("the key is spelled") and reject.field in record


@pytest.mark.parametrize(("name", "array"), [("stopncii", "hashRecords"), ("tcap", "results"), ("threatexchange", "data")])
def test_what_stands_beside_the_records_is_counted(name: str, array: str) -> None:
    """By a word of ours; before and behind the array."""
    text = f'{{"CANARY": 1, "{array}": [], "paging": {{}}, "count": 0, "new": {{"CANARY": 2}}}}'
    _, reading = read(name, text.encode())
    known = {"stopncii": ("count",), "tcap": ("count",), "threatexchange": ("paging",)}[name]
    assert reading.dropped == {"unknown key beside the records": 4 - len(known)}
