"""VICS: what each version means, what is refused and named, what is never kept, and the way there and back."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hashlib_interop.carrying import Losses, project
from hashlib_interop.columns import complete
from hashlib_interop.errors import CannotWrite, InteropError, MalformedInput
from hashlib_interop.format import Reading, Writing
from hashlib_interop.formats._vics_record import Dialect
from hashlib_interop.formats.vics import FORMAT, read, sniff
from hashlib_interop.model import Classification, Entry, Fingerprint, batch_of, entries_of
from hashlib_interop.reading import read as read_file
from hashlib_interop.report import Reject
from hashlib_interop.writing import write_stream
from tests.strategies import entries
from tests.test_json_pages import read as read_rows

US = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Media"
DEFAULT = US.replace("/US/", "/Default/")
OLD = "http://github.com/ICMEC/ProjectVic/DataModels/1.3.xml#Media"
CASES = Path(__file__).parents[1] / "cases" / "vics"
MD5 = hashlib.md5(b"synthetic-1").hexdigest()
SHA1 = hashlib.sha1(b"synthetic-1").hexdigest()
PHOTODNA = bytes(range(144))
PHOTODNA_TEXT = base64.b64encode(PHOTODNA).decode()


class Got:
    """A text read: entries, rejects, facts, dropped."""

    def __init__(self, text: bytes, **options: str) -> None:
        self.rejects: list[Reject] = []
        self.reading = Reading("list.json", "vics", options=options, on_reject=self.rejects.append)
        self.entries: list[Entry] = []
        self.positions: list[int] = []
        for columns in read(io.BytesIO(text), self.reading):
            self.positions += columns["position"].to_pylist()
            self.entries += entries_of(complete(columns, {"source": "vics"}))
        self.facts, self.dropped = self.reading.facts, dict(self.reading.dropped)


def listed(*records: dict[str, Any] | str, context: str = US, key: str = "@odata.context") -> bytes:
    """A hash set; a record may be given as raw text."""
    texts = [record if isinstance(record, str) else json.dumps(record) for record in records]
    return f'{{"{key}":"{context}","value":[{",".join(texts)}]}}'.encode()


def one(context: str = US, options: dict[str, str] | None = None, **fields: Any) -> Entry:
    """The entry of one record with an MD5 and these fields."""
    got = Got(listed({"MD5": MD5, **fields}, context=context), **(options or {}))
    assert not got.rejects
    return got.entries[0]


def refusal(**fields: Any) -> Reject:
    """The reject of one record with these fields; the record after it is read."""
    got = Got(listed({"MediaID": 1, "MD5": MD5, **fields}, {"MD5": MD5}))
    assert got.positions == [2]
    return got.rejects[0]


def case(name: str) -> Got:
    text = (CASES / name / "input.json").read_bytes()
    if text.startswith(b"\xff\xfe"):
        text = text.decode("utf-16").encode()
    return Got(text.removeprefix(b"\xef\xbb\xbf"))


# Fields --------------------------------------------------------------------------------------------------


def test_a_hash_set_of_2_0() -> None:
    """All fields of the model, flags as text or JSON, an empty SHA1, a null Category."""
    got = case("hash_set_2_0")
    first, second, third = got.entries
    assert first.classifications == (Classification(scheme="vics/unspecified", code="1"),)
    assert (first.victim_identified, first.offender_identified, first.is_distributed) == (True, False, True)
    assert first.self_generated is None
    assert (first.series, first.tags, first.size) == ("SYNTHETIC-SERIES", ("sample", "synthetic"), 2835)
    assert first.asserted_at == datetime(2024, 2, 1, 10, tzinfo=UTC)
    assert [p.kind for p in first.fingerprints] == ["photodna"]
    assert first.extra == {"vics": {"IsPrecategorized": True}}
    assert second.sha1 is None and third.classifications == ()
    assert got.facts == {"version": "2.0", "scheme": "vics/unspecified", "structure": "Media"}


def test_the_scheme_of_a_category_is_the_profile() -> None:
    """US and UK from the context, the user's word over it, nothing guessed for Default and 1.x."""
    schemes = {
        one(context, options, Category=1).classifications[0].scheme
        for context, options in ((US, {}), (OLD, {"profile": "us"}), (DEFAULT, {"profile": "US"}))
    }
    assert schemes == {"vics/US"}
    assert one(US.replace("/US/", "/UK/"), Category=1).classifications[0].scheme == "vics/UK"
    for context in (DEFAULT, OLD):
        assert one(context, Category="1").classifications[0] == Classification(
            scheme="vics/unspecified", code="1"
        )
    for nothing in (None, ""):
        assert one(Category=nothing).classifications == ()


@pytest.mark.parametrize(
    ("text", "stamp"),
    [
        ("2024-02-01T10:00:00.0000Z", "2024-02-01T10:00:00+00:00"),
        ("2024-02-01T10:00:00-05:00", "2024-02-01T15:00:00+00:00"),
        ("2024-02-01T10:00:00.000+0:00Z", "2024-02-01T10:00:00+00:00"),
        ("2024-02-01T10:00:00.123+1:00Z", "2024-02-01T09:00:00.123000+00:00"),
        ("2024-02-01T10:00:00Z", "2024-02-01T10:00:00+00:00"),
    ],
)
def test_dates_with_a_zone_are_when_it_was_said(text: str, stamp: str) -> None:
    """Every form that writers were seen to use."""
    entry = one(DateUpdated=text)
    assert entry.asserted_at == datetime.fromisoformat(stamp)
    assert "vics" not in entry.extra


def test_a_date_without_a_zone_is_kept_and_not_believed() -> None:
    """Nobody knows when it was."""
    entry = one(DateUpdated="2024-01-01T09:00:00")
    assert entry.asserted_at is None
    assert entry.extra == {"vics": {"DateUpdated": "2024-01-01T09:00:00"}}


def test_only_a_true_media_type_says_the_kind_of_media() -> None:
    """VicsCarver writes Image for videos."""
    assert [one(MimeType=t).media for t in ("image/png", "VIDEO/mp4", "Image", "text/html")] == [
        "image", "video", None, None,
    ]  # fmt: skip
    assert one(MimeType="Image").mime_type == "Image"


def test_alternative_hashes_are_hashes() -> None:
    """SHA1, SHA256 and PhotoDNA by name; two PhotoDNA values stay two; an unknown name is kept."""
    other = bytes(reversed(PHOTODNA))
    unknown = {"MD5": MD5, "HashName": "Elsewhere", "HashValue": "x"}
    entry = one(
        PhotoDNA=PHOTODNA_TEXT,
        AlternativeHashes=[
            {"MD5": MD5.upper(), "HashName": "PhotoDNA", "HashValue": base64.b64encode(other).decode()},
            {"HashName": "SHA1", "HashValue": SHA1},
            unknown,
        ],
    )
    assert entry.sha1 == bytes.fromhex(SHA1)
    assert set(entry.fingerprints) == {Fingerprint(kind="photodna", value=v) for v in (PHOTODNA, other)}
    assert entry.extra == {"vics": {"AlternativeHashes": [unknown]}}


def test_media_files_give_names_and_stay_whole() -> None:
    """Paths are text, never opened; a file that is but a name needs no copy; links go."""
    rich = {"MD5": MD5, "FileName": "b.jpg", "FilePath": "..\\..\\etc"}
    entry = one(
        MediaFiles=[{"MD5": MD5, "FileName": "a.jpg"}, rich | {"Media@odata.navigationLinkUrl": "/x"}]
    )
    assert entry.file_names == ("a.jpg", "b.jpg")
    assert entry.extra == {"vics": {"MediaFiles": [rich]}}


@given(
    st.dictionaries(
        st.text(min_size=1),
        st.recursive(st.one_of(st.integers(), st.text(), st.none()), st.lists),
        max_size=3,
    )
)
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
def test_unknown_fields_are_kept(fields: dict[str, Any]) -> None:
    """Whatever a later version adds."""
    fields = {f"New{name}": value for name, value in fields.items() if "odata." not in name}
    assert one(**fields).extra == ({"vics": fields} if fields else {})


# Dropped -------------------------------------------------------------------------------------------------


def test_imagery_persons_and_local_numbers_are_dropped_and_counted() -> None:
    """No canary comes through: not in entries, facts, or rejects."""
    canary = "CANARY"
    hidden = {"Miniature": canary, "Comments": canary, "MediaID": canary, "odata.id": canary}
    bad = {"Miniature": canary, "Comments": canary, "MD5": "bad"}
    people = {
        "CaseNumber": canary,
        "ContactName": canary,
        "ContactPhone": canary,
        "CaseMetadata": [canary],
        "New": canary,
    }
    text = json.dumps({"@odata.context": US.replace("Media", "Cases"), "value": [people | {"Media": [
        hidden | {"MD5": MD5}, hidden | {"MD5": MD5, "Exifs": []}, bad, bad | {"Exifs": []}]}]}).encode()  # fmt: skip
    got = Got(text)
    assert canary not in repr((got.entries, got.facts, got.rejects, got.dropped))
    assert [r.position for r in got.rejects] == [3, 4]
    assert got.dropped["Miniature (imagery)"] == 4
    assert got.dropped["odata links"] == 2
    assert got.dropped["case: ContactName"] == 1


def test_free_text_is_kept_on_request() -> None:
    """Only by the option."""
    assert one(Comments="said").extra == {}
    assert one(options={"free_text": "yes"}, Comments="said").extra == {"vics": {"Comments": "said"}}


def test_the_same_record_in_two_releases_is_the_same_entry() -> None:
    """Numbers local to the file, links and the spelling of values do not make another entry."""
    a = Got(listed({"MediaID": 1, "MD5": MD5, "Category": 1, "MediaSize": 5, "IsSuspected": True}))
    b = Got(
        listed(
            {
                "Category": "1",
                "odata.id": "x",
                "MediaSize": "5",
                "MD5": MD5.upper(),
                "MediaID": 9,
                "IsSuspected": "true",
            }
        )
    )
    assert a.entries[0].id == b.entries[0].id


# Refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("MD5", MD5 + "0"), ("MD5", " " + MD5[1:]), ("MD5", 5), ("SHA1", MD5), ("SHA1", "x" * 40), ("SHA256", SHA1),
        ("PhotoDNA", "AAAA"), ("PhotoDNA", "!" * 192), ("MediaSize", -1), ("MediaSize", "1.5"), ("MediaSize", 2**63),
        ("MediaSize", "0x1"), ("MediaSize", "\u0661"), ("MediaSize", True), ("VictimIdentified", "yes"),
        ("VictimIdentified", 1), ("IsSuspected", "maybe"), ("Category", "one"), ("Category", 1.5), ("Category", "01"),
        ("Category", True), ("DateUpdated", "yesterday"), ("DateUpdated", "2024-13-01T00:00:00Z"), ("DateUpdated", 5),
        ("Series", 5), ("Tags", ["a"]), ("MediaFiles", {}), ("MediaFiles", ["x"]), ("Series", {"a": 1}),
    ],
)  # fmt: skip
def test_a_bad_value_refuses_its_record_and_says_which(field: str, value: object) -> None:
    """By position, field and value; flat and nested records alike."""
    assert (refusal(**{field: value}).position, refusal(**{field: value}).field) == (1, field)
    assert refusal(**{field: value}, New=[]).field == field


def test_a_digest_said_twice_differently_is_refused() -> None:
    """An alternative SHA1 that contradicts the SHA1, or that is another file's."""
    other = hashlib.sha1(b"synthetic-2").hexdigest()
    found = refusal(SHA1=SHA1, AlternativeHashes=[{"HashName": "SHA1", "HashValue": other}])
    assert (found.field, found.reason) == ("SHA1", "an alternative hash contradicts it")
    found = refusal(AlternativeHashes=[{"MD5": other[:32], "HashName": "SHA1", "HashValue": other}])
    assert found.field == "AlternativeHashes"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f'{{"MD5":"{MD5}","MD5":"{MD5}"}}', "duplicate key 'MD5'"),
        (f'{{"MD5":"{MD5}","X":1,"X":1}}', "duplicate key 'X'"),
        (f'{{"MD5":"{MD5}","Category":1,"Category":null}}', "duplicate key 'Category'"),
        (f'{{"MD5":"{MD5}","MediaID":NaN}}', "NaN"),
        (f'{{"MD5":"{MD5}","X":-Infinity}}', "Infinity"),
        (f'{{"MD5":"{MD5}",}}', "not JSON"),
        (f'{{"MD5":"{MD5}" , }}', "not JSON"),
        (f'{{"MD5":"{MD5}","Series":"\x01"}}', "control character"),
        (f'{{"MD5":"{MD5}","Series":"\\ud800"}}', "surrogate"),
        (f'{{"MD5":"{MD5}","X":{"1" * 5000}}}', "digits"),
        ('{"Category":1}', "holds no MD5"),
        ("{}", "holds no MD5"),
    ],
)
def test_a_broken_record_is_refused_and_the_next_is_read(text: str, reason: str) -> None:
    """Faults that leave the frames of the others sound."""
    got = Got(listed({"MD5": MD5}, text, {"MD5": MD5}))
    assert got.positions == [1, 3]
    assert [(r.position, reason in r.reason) for r in got.rejects] == [(2, True)]


def test_broken_utf_8_refuses_its_record() -> None:
    """The others are read."""
    text = listed({"MD5": MD5, "Series": "\xe9"}, {"MD5": MD5, "Series": "ascii"}).replace(
        b"\\u00e9", b"\xe9"
    )
    got = Got(text)
    assert got.positions == [2] and "UTF-8" in got.rejects[0].reason


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_extra_quote_of_clees_is_named_with_its_remedy(number: int) -> None:
    """A quote astray makes the rest of the file unreadable: refused as a whole, with the record's number."""
    rows: list[dict[str, Any] | str] = [{"MD5": MD5, "MediaID": n} for n in range(5)]
    rows[number - 1] = f'{{"MD5":"{MD5}","IsSuspected":"true""}}'
    with pytest.raises(MalformedInput, match=f"record {number}: a quote too many after IsSuspected.*remove"):
        Got(listed(*rows))
    rows[number] = rows[number - 1]
    with pytest.raises(MalformedInput, match=f"record {number}: a quote too many"):
        Got(listed(*rows))


def test_a_file_of_another_kind_is_refused() -> None:
    """OData of somebody else; a context after the records that changes what they mean."""
    with pytest.raises(MalformedInput, match="not a VICS file"):
        Got(listed({"MD5": MD5}, context="http://example.invalid/$metadata#Media"))
    late = f'{{"value":[{{"MD5":"{MD5}","Category":1}}],"@odata.context":"{US}"}}'.encode()
    with pytest.raises(MalformedInput, match="after the records"):
        Got(late)
    assert Got(late, context=US).entries[0].classifications[0].scheme == "vics/US"


@pytest.mark.parametrize("name", ["hash_set_2_0", "case_uk", "case_1_3", "nsrl_caid_benign"])
def test_a_file_cut_off_at_any_byte_is_refused(name: str) -> None:
    """Every proper prefix fails with an error of ours (white space at the end aside)."""
    text = json.dumps(json.loads((CASES / name / "input.json").read_bytes()), separators=(",", ":")).encode()
    for end in range(0, len(text), 7):
        with pytest.raises(InteropError):
            Got(text[:end])
    with pytest.raises(InteropError):
        Got(text[:-1])


# Cases and known files -----------------------------------------------------------------------------------


def test_cases_are_seen_by_structure() -> None:
    """What a case says is a fact of the file, wherever it stands in it."""
    for name, application in (
        ("case_uk", "Clees4All"),
        ("case_1_3", "VicsCarver"),
        ("case_utf16", "VicsCarver"),
    ):
        got = case(name)
        assert len(got.entries) == 2 and got.positions == [1, 2]
        assert got.facts["structure"] == "Cases" and got.facts["application"] == application
        assert "mismatch" not in got.facts


def test_a_context_that_belies_the_structure_is_a_fact() -> None:
    """RECON writes #Media over cases. A third key is a fact too; a case may have no Media."""
    text = f'{{"odata.metadata":"{OLD}","value":[{{"CaseID":"{{A}}","Media":[{{"MD5":"{MD5}"}}]}},{{"CaseID":"b"}}],"x":[1]}}'
    got = Got(text.encode())
    assert got.facts["mismatch"] == "the context says Media, the records are Cases"
    assert got.facts["case"] == "a, b" and got.facts["cases"] == "2" and got.facts["key x"] == "[1]"
    assert len(got.entries) == 1 and not got.rejects


@pytest.mark.parametrize("name", ["nsrl_caid_benign", "nsrlconvert_benign"])
def test_known_benign_lists_are_never_illegal(name: str) -> None:
    """Category 8 of NIST's 1.2 list and the bare 0 of NSRLConvert say: a known file."""
    got = case(name)
    assert {entry.classifications for entry in got.entries} == {
        (Classification(scheme="nsrl", code="present"),)
    }
    assert "benign" in got.facts


def test_a_category_0_with_anything_else_is_a_category() -> None:
    """Only the bare record has NSRLConvert's shape; the user's profile overrules."""
    assert one(DEFAULT, Category=0, SHA1=SHA1).classifications[0].scheme == "vics/unspecified"
    assert one(DEFAULT, Category=0, New=[]).classifications[0].scheme == "vics/unspecified"
    assert one(DEFAULT, {"profile": "US"}, Category=0).classifications[0].scheme == "vics/US"
    assert one(US, Category=0).classifications[0].scheme == "vics/US"


# Writer --------------------------------------------------------------------------------------------------


def written(rows: list[Entry], **options: str) -> tuple[bytes, list[Any]]:
    out = io.BytesIO()
    done = write_stream(
        iter([batch_of(rows)]) if rows else iter(()), out, FORMAT, Writing("out.json", options)
    )
    return out.getvalue(), done.losses


def test_the_written_form_is_fixed() -> None:
    """Metadata first, upper-case digests, numbers by version, flags as JSON, no Miniature."""
    entry = one(SHA1=SHA1, Category=2, MediaSize=7, IsDistributed="true", DateUpdated="2024-02-01T10:00:00Z", Tags="b,a",
                PhotoDNA=PHOTODNA_TEXT, IsSuspected="false", Name="n", Miniature="x")  # fmt: skip
    text, losses = written([entry, entry], profile="US")
    line = (
        f'"Category":2,"MD5":"{MD5.upper()}","SHA1":"{SHA1.upper()}","PhotoDNA":"{PHOTODNA_TEXT}","MediaSize":7,'
        '"DateUpdated":"2024-02-01T10:00:00.000Z","IsDistributed":true,"Tags":"a,b","IsSuspected":false,"Name":"n"}'
    )
    assert (
        text.decode()
        == f'{{"@odata.context":"{US}","value":[\n{{"MediaID":1,{line},\n{{"MediaID":2,{line}\n]}}\n'
    )
    assert not losses
    old, losses = written([entry], version="1.3")
    record = json.loads(old)["value"][0]
    assert (
        json.loads(old)["odata.metadata"] == OLD and record["MediaSize"] == "7" and "PhotoDNA" not in record
    )
    assert record["AlternativeHashes"] == [
        {"MD5": MD5.upper(), "HashName": "PhotoDNA", "HashValue": PHOTODNA_TEXT}
    ]
    assert [loss.field for loss in losses] == ["classifications"]


def test_what_the_options_ask_must_exist() -> None:
    """No such version, no profile in 1.x, no odd profile."""
    for options in ({"version": "3.0"}, {"version": "1.3", "profile": "US"}, {"profile": "../x"}, {"shape": "x"}):
        with pytest.raises(CannotWrite):
            written([], **options)


def test_a_list_of_nothing_is_a_list() -> None:
    """Also read back; of a case too."""
    for shape in ("media", "cases"):
        assert Got(written([], shape=shape)[0]).entries == []


@pytest.mark.parametrize(
    ("options", "key", "context"),
    [
        ({"version": "1.1"}, "odata.metadata", "http://github.com/ICMEC/ProjectVic/DataModels/1.1.xml#"),
        ({"version": "1.2"}, "odata.metadata", "http://github.com/ICMEC/ProjectVic/DataModels/1.2.xml#"),
        ({"version": "1.3"}, "odata.metadata", "http://github.com/ICMEC/ProjectVic/DataModels/1.3.xml#"),
        *[
            (
                {"profile": profile},
                "@odata.context",
                f"http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/{name}/$metadata#",
            )
            for profile, name in (("us", "US"), ("UK", "UK"), ("default", "Default"), ("CUSTOM", "CUSTOM"))
        ],
    ],
)
@pytest.mark.parametrize("shape", ["Media", "Cases"])
def test_every_version_profile_and_shape_is_written_as_its_readers_want_it(
    options: dict[str, str], key: str, context: str, shape: str
) -> None:
    """The context first, then `value`, nothing else: IPED refuses a third key."""
    scheme = f"vics/{options['profile'].upper()}" if "profile" in options else "vics/unspecified"
    scheme = scheme.replace("DEFAULT", "unspecified")
    entry = Entry(source="a", md5=MD5, size=7, classifications=(Classification(scheme=scheme, code="1"),))
    text, losses = written([entry], **options, shape=shape.lower())
    value = json.loads(text)
    assert list(value) == [key, "value"] and value[key] == context + shape and not losses
    assert text.startswith(f'{{"{key}":"{context}{shape}","value":['.encode())
    record = value["value"][0]["Media"][0] if shape == "Cases" else value["value"][0]
    assert (record["MD5"], record["Category"], int(record["MediaSize"])) == (MD5.upper(), 1, 7)
    got = Got(text)
    assert got.entries[0].classifications == entry.classifications and got.facts["structure"] == shape


def test_a_case_is_named_by_what_is_in_it() -> None:
    """The same Media make the same case; no person, no clock."""
    first, again, other = (written([one(Series=name)], shape="cases", profile="US")[0] for name in "aab")
    case, another = (json.loads(text)["value"][0] for text in (first, other))
    assert first == again and case["CaseID"] != another["CaseID"] and set(case) == {
        "Media", "CaseID", "SourceApplicationName",
    }  # fmt: skip


def test_a_zipped_export_is_read(tmp_path: Path) -> None:
    """"VICS-compressed": one JSON in a zip. Two are two lists, an archive in it or a bomb is refused."""
    text = (CASES / "hash_set_2_0" / "input.json").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Index.json", text)
    assert [e.id for e in open_and_read(tmp_path / "a.zip")] == [e.id for e in case("hash_set_2_0").entries]
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as outer:
        outer.writestr("Index.json.zip", (tmp_path / "a.zip").read_bytes())
    with pytest.raises(MalformedInput, match="an archive inside an archive"):
        open_and_read(tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "c.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Index.json", text.rstrip() + b" " * (8 << 20))
    with pytest.raises(MalformedInput, match="a bomb"):
        open_and_read(tmp_path / "c.zip")


def open_and_read(path: Path) -> list[Entry]:
    """The entries of a file, its format found by its content."""
    return list(read_file(path, source="vics"))


def test_a_miniature_is_never_written_nor_kept() -> None:
    """Wherever it stands in a record, in whatever case, and whoever put it into `extra`."""
    entry = one(Exifs=[{"miniature": "CANARY", "PropertyName": "p"}], New={"Miniature": "CANARY"}, MINIATURE="CANARY")
    assert entry.extra == {"vics": {"Exifs": [{"PropertyName": "p"}], "New": {}}}
    own = {"Miniature": "CANARY", "miniature": "CANARY", "New": {"a": [{"Miniature": "CANARY"}]}, "Name": "n"}
    text, losses = written([entry.model_copy(update={"extra": {"vics": own}})], profile="US")
    assert b"CANARY" not in text and [loss.field for loss in losses] == ["extra"]
    got = Got(listed(f'{{"MD5":"{MD5}","New":{{"Mini\\u0061ture":"CANARY"}}}}'))
    assert "CANARY" not in repr(got.entries) and got.dropped == {"Miniature (imagery)": 1}
    got = Got(listed({"MD5": "bad", "New": {"miniature": "CANARY"}}))
    assert "CANARY" not in repr(got.rejects)


def test_a_case_of_1_2_is_no_list_of_known_files() -> None:
    """RECON writes #Media over cases: Category 8 means NIST's list only in a hash set."""
    media = {"MD5": MD5, "Category": 8, "MediaSize": "1"}
    text = json.dumps({"odata.metadata": OLD.replace("1.3", "1.2"), "value": [{"CaseID": "a", "Media": [media]}]})
    assert Got(text.encode()).entries[0].classifications[0].scheme == "vics/unspecified"


def test_benign_and_illegal_never_change_places() -> None:
    """A code that would read as a known file is lost and counted; a known file that cannot be marked is not written."""
    known = one(DEFAULT, Category=0)
    bad = known.model_copy(update={"classifications": (Classification(scheme="vics/unspecified", code="0"),)})
    eight = known.model_copy(
        update={"classifications": (Classification(scheme="vics/unspecified", code="8"),)}
    )
    assert json.loads(written([known])[0])["value"][0]["Category"] == 0
    assert json.loads(written([known], version="1.2")[0])["value"][0]["Category"] == 8
    for rows, options in (
        ([bad], {}),
        ([eight], {"version": "1.2"}),
    ):
        text, losses = written(rows, **options)
        assert "Category" not in json.loads(text)["value"][0] and losses[0].field == "classifications"
    for options in ({"version": "1.3"}, {"profile": "US"}):
        text, losses = written([known], **options)
        assert json.loads(text)["value"] == [] and [(loss.field, loss.count) for loss in losses] == [("record", 1)]
        assert "only known as an ordinary file" in losses[0].reason


@pytest.mark.parametrize("shape", ["media", "cases"])
@pytest.mark.parametrize("name", sorted(path.parent.name for path in CASES.glob("*/expected.jsonl")))
def test_a_sample_read_and_written_is_read_the_same(name: str, shape: str) -> None:
    """Nothing of a VICS record is lost on its way through the same version and profile, in either shape.

    But that a file is a known one: a case has no way to say so.
    """
    got = case(name)
    if shape == "cases" and "benign" in got.facts:
        return
    version, profile = (
        got.facts["version"],
        got.facts["scheme"].removeprefix("vics/").replace("unspecified", "Default"),
    )
    text, losses = written(got.entries, version=version, profile=profile, shape=shape)
    assert not losses
    assert Got(text).facts["structure"] == shape.title() and "mismatch" not in Got(text).facts
    assert [e.id for e in Got(text).entries] == [e.id for e in got.entries]


OWN = st.fixed_dictionaries(
    {},
    optional={
        "IsSuspected": st.booleans(), "Name": st.text(), "RelativeFilePath": st.text(), "Comments": st.text(),
        "DateUpdated": st.sampled_from(["2024-01-01T09:00:00", "x", "2024-01-01T09:00:00Z"]), "MD5": st.text(),
        "MediaFiles": st.lists(st.fixed_dictionaries({}, optional={"FileName": st.sampled_from(["a", "b", "", None]),
            "MD5": st.sampled_from([MD5, "x"]), "FilePath": st.text(), "x@odata.y": st.text()}), max_size=3),
        "AlternativeHashes": st.lists(st.fixed_dictionaries({"HashName": st.sampled_from(["SHA1", "pdq", "New"])}), max_size=2),
        "Exifs": st.lists(st.integers()), "Media": st.none(), "odata.id": st.text(), "Category": st.integers(),
        "New": st.one_of(st.none(), st.text(), st.floats(allow_nan=False, allow_infinity=False)),
    },
)  # fmt: skip
CODES = st.builds(
    Classification,
    scheme=st.sampled_from(["vics/US", "vics/unspecified", "nsrl", "other"]),
    code=st.sampled_from(["0", "1", "8", "-1", "01", "present", ""]),
)
ROWS = st.one_of(
    entries(state="active", about=None, vote=None),
    entries(
        state="active", about=None, vote=None, md5=bytes.fromhex(MD5), extra=OWN.map(lambda own: {"vics": own}),
        classifications=st.lists(CODES, max_size=2).map(tuple), file_names=st.sampled_from([(), ("a",), ("a", "c")]),
        mime_type=st.sampled_from([None, "image/png", "Image"]), media=st.sampled_from([None, "image", "video"]),
    ),
    st.builds(Entry, source=st.just("a"), md5=st.just(MD5), classifications=st.lists(CODES, max_size=2).map(tuple)),
)  # fmt: skip


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=st.lists(ROWS, max_size=4),
    options=st.sampled_from(
        [
            {},
            {"profile": "US"},
            {"version": "1.1"},
            {"version": "1.2"},
            {"version": "1.3"},
            {"free_text": "yes"},
            {"shape": "cases"},
            {"shape": "cases", "version": "1.2"},
            {"profile": "CUSTOM"},
        ]
    ),
)
def test_law_15_read_of_write_is_what_is_carried(rows: list[Entry], options: dict[str, str]) -> None:
    """read(write(project(x))) == project(x), for any entries, versions and profiles."""
    writing = Writing("out.json", options)
    carried = entries_of(project(batch_of(rows), FORMAT, writing, Losses())) if rows else []
    text, _ = written(rows, **options)
    got = Got(text, **({"free_text": "yes"} if "free_text" in options else {}))
    assert not got.rejects
    assert [bare(entry) for entry in got.entries] == [bare(entry) for entry in carried]
    assert written(carried, **options)[0] == text


def bare(entry: Entry) -> dict[str, Any]:
    return entry.model_dump(exclude={"source", "recorded_at", "evidence"})


# Engine and Python ---------------------------------------------------------------------------------------

TEXTS = st.sampled_from(
    [None, "", "a", "a,b", "tr\u00fce", '"', "\\", "\n", "NaN", "true", "1", "\x00", "  x ", "\U0001f600"]
)
FLAT = st.fixed_dictionaries(
    {"MD5": st.sampled_from([MD5, MD5.upper(), "bad", None])},
    optional={
        "SHA1": st.sampled_from([SHA1, "", None, 1]), "Category": st.sampled_from([0, 1, "1", "", None, "x", -1, 1.0]),
        "MediaSize": st.sampled_from([0, "5", "", None, 2**63 - 1, 2**63, -0.0, "007"]), "Series": TEXTS, "Tags": TEXTS,
        "MimeType": TEXTS, "Name": TEXTS, "Comments": TEXTS, "MediaID": st.sampled_from([1, "1", None]),
        "IsSuspected": st.sampled_from([True, "false", "", None, "x", 0]), "IsDistributed": st.sampled_from([True, "false", None]),
        "DateUpdated": st.sampled_from(["2024-02-01T10:00:00Z", "2024-01-01T09:00:00", "x", "", None, "2024-02-30T10:00:00Z"]),
        "PhotoDNA": st.sampled_from([PHOTODNA_TEXT, "", None, PHOTODNA_TEXT[1:]]),
    },
)  # fmt: skip


@settings(deadline=None, max_examples=80)
@given(st.lists(FLAT, min_size=1, max_size=6), st.sampled_from([US, DEFAULT]))
def test_the_engine_and_python_read_a_record_the_same(records: list[dict[str, Any]], context: str) -> None:
    """A record means the same in the column path, and with a nested field that sends it through Python."""
    flat = Got(listed(*records, context=context))
    nested = Got(listed(*({**record, "Exifs": [1]} for record in records), context=context))
    assert flat.positions == nested.positions
    assert [(r.position, r.field, r.reason) for r in flat.rejects] == [
        (r.position, r.field, r.reason) for r in nested.rejects
    ]
    for one_way, other in zip(flat.entries, nested.entries, strict=True):
        own = dict(other.extra["vics"])
        assert own.pop("Exifs") == [1]
        if one_way.classifications and one_way.classifications[0].scheme == "nsrl":
            continue
        assert bare(one_way) == bare(other) | {"extra": {"vics": own} if own else {}}


def test_flat_and_nested_records_keep_the_order_of_the_file() -> None:
    """Positions rise, whatever way a record took."""
    rows = [{"MD5": MD5, "MediaSize": n} | ({"Exifs": [n]} if n % 3 else {}) for n in range(20)]
    got = Got(listed(*rows))
    assert got.positions == list(range(1, 21)) and [e.size for e in got.entries] == list(range(20))


# Sniff ---------------------------------------------------------------------------------------------------


def test_sniff_claims_vics_and_nothing_else() -> None:
    """95 for the context, 70 for OData with Media, 0 for the rest."""
    for path in CASES.glob("*/input.json"):
        text = path.read_bytes()
        text = (
            text.decode("utf-16").encode()
            if text.startswith(b"\xff\xfe")
            else text.removeprefix(b"\xef\xbb\xbf")
        )
        assert sniff(text) == 95
    assert sniff(b'{"@odata.context":"http://x/$metadata#Cases","value":[{"Media":[') == 70
    for other in (
        b"",
        b"{}",
        b"[]",
        b'{"value":[]}',
        b"<a/>",
        b"md5,sha1\n",
        b'{"format":"hashlib_interop/native"}',
    ):
        assert sniff(other) == 0


def test_a_dialect_without_a_profile_is_unspecified() -> None:
    """`Default` is no profile."""
    assert Dialect("2.0", "Default").scheme == Dialect("1.3").scheme == "vics/unspecified"


def test_hidden_keys_stand_in_no_fact_no_extra_and_no_reject() -> None:
    """Neither around the records, nor in other letters, nor where the value is no text."""
    records = [
        {"MD5": "a" * 32, "comments": "CANARY"}, {"MD5": "b" * 32, "Comments": {"a": "CANARY"}},
        {"MD5": "c" * 32, "Miniature": ["CANARY"]},
    ]  # fmt: skip
    context = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Media"
    text = json.dumps({"@odata.context": context, "ContactName": "CANARY", "value": records})
    rows, reading = read_rows("vics", text.encode())
    assert "CANARY" not in repr((rows, reading)) and len(rows) == 1
    assert [reject.position for reject in reading.facts["rejects"]] == [2, 3]
    assert reading.dropped == {"key ContactName": 1, "Comments (free text)": 1}


def test_free_text_in_other_letters_makes_no_known_file() -> None:
    """NSRLConvert writes a hash and a 0, and nothing else."""
    context = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/Default/$metadata#Media"
    text = json.dumps({"@odata.context": context, "value": [{"MD5": "a" * 32, "Category": 0, "comments": "x"}]})
    rows, _ = read_rows("vics", text.encode())
    assert rows[0]["classifications"] == [{"scheme": "vics/unspecified", "code": "0"}]


def test_two_contexts_that_differ_are_refused() -> None:
    """One of them would say what the categories mean; which of both cannot be told."""
    both = {"@odata.context": US, "odata.metadata": US.replace("/US/", "/UK/"), "value": [{"MD5": "a" * 32, "Category": 1}]}
    with pytest.raises(MalformedInput, match="two contexts that differ"):
        read_rows("vics", json.dumps(both).encode())
    assert read_rows("vics", json.dumps(both).encode(), options={"context": US})[0][0]["classifications"][0]["scheme"] == "vics/US"
