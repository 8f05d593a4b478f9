"""CAID: VICS of the UK profile, the agency's table of categories, and benign lists that stay benign."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashlib_interop.carrying import Losses, project
from hashlib_interop.errors import BadPolicy, CannotWrite, MalformedInput
from hashlib_interop.format import Writing
from hashlib_interop.formats._vics_categories import load_table
from hashlib_interop.formats.caid import FORMAT
from hashlib_interop.formats.caid import sniff as caid_sniff
from hashlib_interop.formats.vics import sniff as vics_sniff
from hashlib_interop.model import Classification, Entry, batch_of, entries_of
from hashlib_interop.reading import open_readers, read
from hashlib_interop.writing import write

CASES = Path(__file__).parents[1] / "cases"
MD5 = hashlib.md5(b"synthetic-1").hexdigest()
BASE = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml"
OLD = "http://github.com/ICMEC/ProjectVic/DataModels/1.2.xml#Media"
A = Classification(scheme="uk/sc-2014", code="A")
PRESENT = Classification(scheme="nsrl", code="present")


@pytest.fixture
def table(tmp_path: Path) -> str:
    """Return a made-up table: 1 is A, 2 is B."""
    path = tmp_path / "table.csv"
    path.write_text("category,scheme,code\n1,uk/sc-2014,A\n2,uk/sc-2014,B\n")
    return str(path)


def uk(code: str) -> Classification:
    """Return a category of the UK profile."""
    return Classification(scheme="vics/UK", code=code)


def read_one(folder: Path, context: str, record: dict[str, Any], **options: str) -> Entry:
    """Return the entry of one record, read as caid."""
    path = folder / "list.json"
    path.write_text(json.dumps({"@odata.context": context, "value": [{"MD5": MD5, **record}]}))
    (entry,) = read(path, format="caid", options=options)
    return entry


@pytest.mark.parametrize("context", [f"{BASE}/UK/$metadata#Media", f"{BASE}/Default/$metadata#Media", OLD])
def test_the_numbers_are_of_the_uk_profile(tmp_path, context) -> None:
    """Where the context says so, and where it says no profile: the user said that the file is CAID's."""
    assert read_one(tmp_path, context, {"Category": 3, "MediaSize": 1}).classifications == (uk("3"),)


@pytest.mark.parametrize("profile", ["US", "CUSTOM", "CA"])
def test_another_profile_is_refused(tmp_path, profile) -> None:
    """Its numbers would get another meaning."""
    with pytest.raises(MalformedInput, match=f"the profile is {profile}, not UK: read it as vics"):
        read_one(tmp_path, f"{BASE}/{profile}/$metadata#Media", {"Category": 1})


def test_an_agency_says_what_its_numbers_mean(tmp_path, table) -> None:
    """What its table leaves out stays a number; the table is named with its SHA-256."""
    context = f"{BASE}/UK/$metadata#Media"
    assert read_one(tmp_path, context, {"Category": 1}, categories=table).classifications == (A,)
    assert read_one(tmp_path, context, {"Category": "7"}, categories=table).classifications == (uk("7"),)
    assert read_one(tmp_path, context, {"Category": None}, categories=table).classifications == ()
    (reader,) = open_readers(tmp_path / "list.json", format="caid", options={"categories": table})
    assert len(list(reader)) == 1
    assert reader.facts["categories"] == f"table.csv {hashlib.sha256(Path(table).read_bytes()).hexdigest()}"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "first line"), ("number,scheme,code\n1,a,b\n", "first line"), ("category,scheme,code\n", "empty"),
        ("category,scheme,code\n1,a\n", "line 2: a number"), ("category,scheme,code\n1,a,\n", "line 2: a number"),
        ("category,scheme,code\nA,a,b\n", "line 2: not a number"), ("category,scheme,code\n01,a,b\n", "not a number"),
        ("category,scheme,code\n1,a,b\n1,a,c\n", "line 3: the number or the code is there twice"),
        ("category,scheme,code\n1,a,b\n2,a,b\n", "twice"), ("category,scheme,code\n1,nsrl,present\n", "cannot become"),
        ("category,scheme,code\n1,vics/US,1\n", "cannot become"), ('category,scheme,code\n"1,a,b\n', "CSV"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_refused(tmp_path, text, fault) -> None:
    """With its line."""
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(BadPolicy, match=fault):
        load_table(str(path))


def test_a_table_that_cannot_be_read_is_refused(tmp_path) -> None:
    """Missing, or not UTF-8."""
    with pytest.raises(BadPolicy, match="no such file"):
        load_table(str(tmp_path / "none"))
    (tmp_path / "odd").write_bytes(b"category,scheme,code\n1,a,\xff\n")
    with pytest.raises(BadPolicy, match="UTF-8"):
        load_table(str(tmp_path / "odd"))


def test_benign_lists_stay_benign(tmp_path, table) -> None:
    """NIST's Category 8 and NSRLConvert's bare 0 are known files, whatever a table says of the number."""
    Path(table).write_text("category,scheme,code\n8,uk/sc-2014,A\n0,uk/sc-2014,B\n")
    for options in ({}, {"categories": table}):
        assert read_one(tmp_path, OLD, {"Category": 8, "MediaSize": "1"}, **options).classifications == (PRESENT,)
        bare = read_one(tmp_path, f"{BASE}/Default/$metadata#Media", {"Category": 0}, **options)
        assert bare.classifications == (PRESENT,)
    assert read_one(tmp_path, f"{BASE}/UK/$metadata#Media", {"Category": 8}).classifications == (uk("8"),)


def test_what_is_written_says_the_uk_profile(tmp_path, table) -> None:
    """The number that the table has for a code; a UK number as it is; no code of another country's profile, no known file."""
    entries = [
        Entry(source="a", md5=MD5, classifications=(A,)),
        Entry(source="a", md5=MD5, classifications=(uk("7"),)),
        Entry(source="a", md5=MD5, classifications=(Classification(scheme="vics/US", code="1"),)),
        Entry(source="a", md5=MD5, classifications=(PRESENT,)),
    ]
    done = write(entries, tmp_path / "out", format="caid", options={"categories": table})
    value = json.loads((tmp_path / "out").read_text())
    assert list(value) == ["@odata.context", "value"] and value["@odata.context"] == f"{BASE}/UK/$metadata#Media"
    assert [media.get("Category") for media in value["value"]] == [1, 7, None]
    assert [(loss.field, loss.count) for loss in done.losses] == [("classifications", 1), ("record", 1)]
    with pytest.raises(CannotWrite, match="no shape"):
        write(entries, tmp_path / "out", format="caid", options={"shape": "gold"})


def test_a_number_that_the_table_explains_is_written_and_said_to_change(tmp_path, table) -> None:
    """It reads back as what the table says: that is another classification than the entry had."""
    done = write([Entry(source="a", md5=MD5, classifications=(uk("1"),))], tmp_path / "out", format="caid",
                 options={"categories": table})  # fmt: skip
    assert json.loads((tmp_path / "out").read_text())["value"][0]["Category"] == 1
    assert [(loss.field, loss.count) for loss in done.losses] == [("classifications", 1)]


CODES = st.builds(
    Classification,
    scheme=st.sampled_from(["vics/UK", "vics/US", "uk/sc-2014", "nsrl"]),
    code=st.sampled_from(["0", "1", "2", "7", "A", "B", "C", "present"]),
)


@given(
    lists=st.lists(st.lists(CODES, max_size=3).map(tuple), max_size=4),
    with_table=st.booleans(),
    shape=st.sampled_from(["media", "cases"]),
)
@settings(max_examples=60)
def test_law_15_with_and_without_a_table(tmp_path, table, lists, with_table, shape) -> None:
    """read(write(project(x))) == project(x), for any classifications, in both shapes."""
    options = {"shape": shape} | ({"categories": table} if with_table else {})
    rows = [Entry(source="a", md5=MD5, classifications=codes) for codes in lists]
    carried = entries_of(project(batch_of(rows), FORMAT, Writing("", options), Losses()))
    write(rows, tmp_path / "out", format="caid", options=options)
    back = list(read(tmp_path / "out", source="a", options=options))
    assert [entry.classifications for entry in back] == [entry.classifications for entry in carried]


def test_caid_claims_the_uk_profile_and_no_other() -> None:
    """More surely than vics; a US set and NIST's file are left to vics."""
    head = (CASES / "caid" / "case" / "input.json").read_bytes()
    assert caid_sniff(head) > vics_sniff(head) > 0
    for other in (head.replace(b"/UK/", b"/US/"), b"", b"{}", b"[]", b'{"value":[]}', b'{"a":"projectvic/UK/"}'):
        assert caid_sniff(other) == 0
    assert caid_sniff((CASES / "caid" / "nsrl_benign" / "input.json").read_bytes()) == 0
