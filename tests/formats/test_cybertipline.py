"""CyberTipline: what is never read, the order and cardinalities of the XSD, both shapes and their faults."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import random
import re
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop.cli.main import cli
from hashlib_interop.errors import BadOption, InteropError, MalformedInput
from hashlib_interop.format import Writing
from hashlib_interop.formats import FORMATS
from hashlib_interop.model import Classification, Entry, Fingerprint, batch_of
from hashlib_interop.reading import Reader, open_readers
from hashlib_interop.sniffing import claims
from hashlib_interop.writing import Written, write_stream
from tests.strategies import entries, tuples_of, wordings
from tests.test_conformance import places

TIPS = FORMATS["cybertipline"]
CASES = Path(__file__).parents[1] / "cases" / "cybertipline"
SAMPLES = [CASES / name for name in ("file_details/input.xml", "report/input.xml", "upload_answer/input.xml", "download/input.json")]


def digest(name: str, seed: object = 1) -> str:
    """A synthetic digest, as hex."""
    return hashlib.new(name, f"synthetic-{seed}".encode()).hexdigest()


def details(inner: str, file: str = "f1") -> str:
    """One file with more in it."""
    return f"<fileDetails><reportId>12</reportId><fileId>{file}</fileId>{inner}</fileDetails>"


def hashed(kind: str, value: str) -> str:
    """One hash."""
    return f'<originalFileHash hashType="{kind}">{value}</originalFileHash>'


MD5 = hashed("MD5", digest("md5"))


def read(path: Path, document: str) -> tuple[list[Entry], Reader]:
    """Read a document as this format."""
    path.write_text(document)
    (reader,) = open_readers(path, format="cybertipline")
    return list(reader), reader


def one(path: Path, document: str) -> Entry:
    """Read a document of one file."""
    (entry,), _ = read(path, document)
    return entry


def written(items: list[Entry], **options: str) -> tuple[str, Written]:
    """Write entries."""
    stream = io.BytesIO()
    done = write_stream([batch_of(items)], stream, TIPS, Writing("out.xml", options))
    return stream.getvalue().decode(), done


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a place for a file."""
    return tmp_path / "input"


# What is never read -----------------------------------------------------

IP = "<ipCaptureEvent><ipAddress>CANARY</ipAddress><eventName>CANARY</eventName><dateTime>CANARY</dateTime><possibleProxy>CANARY</possibleProxy><port>CANARY</port></ipCaptureEvent>"
PERSON = (
    "<firstName>CANARY</firstName><lastName>CANARY</lastName><phone type='CANARY'>CANARY</phone><email>CANARY</email>"
    "<age>CANARY</age><dateOfBirth>CANARY</dateOfBirth><address><address>CANARY</address><city>CANARY</city></address>"
)
PRIVATE = (
    "<fileName>CANARY</fileName><originalFileName>CANARY</originalFileName><locationOfFile>CANARY</locationOfFile>"
    f"{IP}<deviceId><idType>CANARY</idType><idValue>CANARY</idValue></deviceId><additionalInfo>CANARY</additionalInfo>"
    "<details type='EXIF'><nameValuePair><name>CANARY</name><value>CANARY</value></nameValuePair></details>"
    "<details><nameValuePair><name>CANARY</name><value>CANARY</value></nameValuePair></details>"
    "<somethingNew a='CANARY'>CANARY<deep>CANARY</deep></somethingNew>"
)
CHATS = "".join(f"<{name}><content>CANARY</content><additionalInfo>CANARY</additionalInfo></{name}>" for name in (
    "webPageIncident", "emailIncident", "newsgroupIncident", "chatImIncident", "onlineGamingIncident",
    "cellPhoneIncident", "nonInternetIncident", "peer2peerIncident",
))  # fmt: skip
REPORT = (
    "<report><batchedReport reason='CANARY'>CANARY</batchedReport><incidentSummary><incidentType>Child Sex Tourism</incidentType>"
    "<platform>CANARY</platform><escalateToHighPriority>CANARY</escalateToHighPriority><reportAnnotations><spam>true</spam></reportAnnotations>"
    "<incidentDateTime>2024-02-01T10:00:00Z</incidentDateTime><incidentDateTimeDescription>CANARY</incidentDateTimeDescription></incidentSummary>"
    f"<internetDetails>{CHATS}</internetDetails><lawEnforcement><agencyName>CANARY</agencyName>{PERSON}</lawEnforcement>"
    f"<reporter><reportingPerson>{PERSON}</reportingPerson><contactPerson>{PERSON}</contactPerson></reporter>"
    f"<personOrUserReported><espIdentifier>CANARY</espIdentifier><screenName>CANARY</screenName>{PERSON}{IP}</personOrUserReported>"
    f"<intendedRecipient>{PERSON}</intendedRecipient><victim>{PERSON}</victim><additionalInfo>CANARY</additionalInfo></report>"
)
BAD_HASH = hashed("MD5", "CANARY")


def download(**more: Any) -> dict[str, Any]:
    """A download with a canary in all that is private."""
    people = [{"firstName": "CANARY", "email": "CANARY", "captures": [{"value": "CANARY"}], "CANARY": "CANARY"}]
    file = {
        "filename": "CANARY", "originalFilename": "CANARY", "submittalId": "s1", "verificationHash": digest("md5"),
        "viewedByEsp": True, "industryClassification": "B1", "somethingNew": {"CANARY": "CANARY"},
        "sourceInformation": {"sourceCaptures": [{"captureType": "CANARY", "value": "CANARY", "eventName": "CANARY", "port": "CANARY"}]},
        "espMetadata": {"metadatas": [{"name": "CANARY", "value": "CANARY"}, {"name": "Author", "value": "CANARY"}]},
        "additionalInformations": [{"value": "CANARY"}],
    }  # fmt: skip
    return {
        "reportId": 12,
        "CANARY": "CANARY",
        "reportedInformation": {
            "reportingEsp": {"espName": "ESP", "lastName": "CANARY", "email": "CANARY"},
            "incidentSummary": {"incidentType": "CANARY", "incidentDateTime": "CANARY", "incidentDateTimeDescription": "CANARY"},
            "reportedPeople": {"reportedPersons": people},
            "intendedRecipients": {"intendedRecipients": people},
            "uploadedFiles": {"uploadedFiles": [file | more]},
            "incidentDetails": {"emailIncident": [{"content": "CANARY"}], "webpageIncident": [{"url": "CANARY"}], "chat": "CANARY"},
            "additionalInformations": [{"value": "CANARY"}],
        },
    }


DOCUMENTS = {
    "fileDetails": details(PRIVATE + MD5),
    "list": f"<fileDetailsList>{details(PRIVATE + MD5)}{details(PRIVATE + BAD_HASH, 'f2')}<person>CANARY</person></fileDetailsList>",
    "report": REPORT,
    "answer": f"<reportResponse><responseCode>0</responseCode><responseDescription>CANARY</responseDescription><reportId>12</reportId><fileId>f1</fileId><hash>{digest('md5')}</hash></reportResponse>",
    "download": json.dumps(download()),
    "download with bad values": json.dumps(download(verificationHash="CANARY")),
    "bad code": details(PRIVATE + MD5 + "<industryClassification>CANARY 1</industryClassification>"),
    "bad flags": details(PRIVATE + MD5 + "<fileViewedByEsp>CANARY</fileViewedByEsp>"),
    "bad ids": f"<fileDetails><reportId>CANARY</reportId><fileId>x</fileId>{PRIVATE}</fileDetails>",
    "twice": details(PRIVATE + MD5 + "<fileRelevance>Reported</fileRelevance><fileRelevance>CANARY</fileRelevance>"),
    "bad hash": details(PRIVATE + BAD_HASH + MD5),
    "text between": details("CANARY" + PRIVATE + MD5),
}  # fmt: skip


RUNS = [(name, "native") for name in DOCUMENTS]
RUNS += [(name, target) for name in ("list", "download") for target in ("catalog", "parquet", "cybertipline")]


@pytest.mark.parametrize(("name", "target"), RUNS)
def test_what_is_private_is_nowhere(name, target, tmp_path, monkeypatch, caplog) -> None:
    """Converted, described, merged: in no output, reject, log, word of the program, temporary file."""
    caplog.set_level(logging.DEBUG)
    said = converted(DOCUMENTS[name], target, tmp_path, monkeypatch) + [caplog.text.encode()]
    assert not [text for text in said if b"canary" in text.lower()]


def test_the_search_for_canaries_finds_one(tmp_path, monkeypatch) -> None:
    """A tag is read: it is in the output, so the test above can fail."""
    tags = {"groups": [{"tags": [{"value": "CANARY"}]}]}
    said = converted(json.dumps(download(ncmecTags=tags)), "native", tmp_path, monkeypatch)
    assert [text for text in said if b"canary" in text.lower()]


def converted(document: str, target: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Take a document through the command line; return what that said and every file that it left or removed."""
    work = folder / "work"
    work.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(work))
    monkeypatch.setenv("TMPDIR", str(work))
    kept: list[bytes] = []
    monkeypatch.setattr(tempfile.TemporaryDirectory, "cleanup", lambda folder: kept.extend(contents(Path(folder.name))))
    source = folder / "source"
    source.write_text(document)
    command = ["convert", str(source), "--from", "cybertipline", "--to", target, "-o", str(work / "out"), "--rejects", str(work / "rejects"), "--json"]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code in (0, 3), done.output
    assert (work / "out").exists() == (done.exit_code == 0)
    more = [["info", str(source)], ["merge", f"tips={source}", "-o", str(work / "all.db"), "--rejects", str(work / "more")]]
    said = [f"{result.output} {result.exc_info!r}".encode() for result in (done, *(CliRunner().invoke(cli, each) for each in more))]
    return [*said, *contents(work), *kept]


def contents(folder: Path) -> list[bytes]:
    """Return every file below a folder, and their names."""
    return [found.read_bytes() + str(found).encode() for found in folder.rglob("*") if found.is_file()]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_broken_file_says_nothing_private(name, path) -> None:
    """Cut and flipped everywhere: errors, rejects and counts hold no canary, and are ours."""
    data, dice = DOCUMENTS[name].encode(), random.Random(1)
    for place in places(len(data))[::2]:
        flipped = bytearray(data)
        flipped[place] ^= dice.choice([1, 0x10, 0x20, 0x80])
        for broken in (data[:place], bytes(flipped)):
            path.write_bytes(broken)
            assert "CANARY" not in told(path)


def told(path: Path) -> str:
    """Return all that reading a file says."""
    try:
        (reader,) = open_readers(path, format="cybertipline")
        rows = [repr(entry) for entry in reader]
    except InteropError as error:
        return str(error)
    return " ".join([*rows, *map(repr, reader.rejects), *map(repr, reader.imports)])


def test_what_is_dropped_is_counted(path) -> None:
    """By its name where it is of the schema, else as unknown: keys of people's making are not repeated."""
    _, reader = read(path, DOCUMENTS["fileDetails"])
    assert reader.imports[0].dropped == {
        "fileName": 1, "originalFileName": 1, "locationOfFile": 1, "ipCaptureEvent": 1, "deviceId": 1,
        "additionalInfo": 1, "details that are no hashes": 2, "unknown element": 1,
    }  # fmt: skip
    _, reader = read(path, DOCUMENTS["download"])
    assert reader.imports[0].dropped == {
        "lastName": 1, "unknown key": 3, "incidentDateTimeDescription": 1, "reportedPeople": 1, "intendedRecipients": 1,
        "filename": 1, "originalFilename": 1, "sourceInformation": 1, "additionalInformations": 2, "incidentDetails": 1,
        "espMetadata that is no hash": 2, "incident time that is no stamp": 1, "incidentType that the schema does not have": 1,
    }  # fmt: skip


def test_nothing_unknown_is_dropped_in_silence(path) -> None:
    """On no level of a document; its name is not repeated."""
    tree = ET.fromstring(DOCUMENTS["fileDetails"])
    marked = [each for each in tree.iter() if each.tag in ("originalFileHash", "fileId", "fileDetails")]
    for element in marked:
        element.set("canary", "CANARY")
    _, reader = read(path, ET.tostring(tree, "unicode"))
    assert reader.imports[0].dropped["unknown attribute"] == len(marked) > 2
    whole = json.loads(DOCUMENTS["download"])
    file = whole["reportedInformation"]["uploadedFiles"]["uploadedFiles"][0]
    before = read(path, json.dumps(whole))[1].imports[0].dropped["unknown key"]
    file["ncmecTags"] = {"CANARY": 1, "groups": [{"CANARY": 1, "tags": [{"CANARY": 1, "value": "tag"}]}]}
    file["espMetadata"] = {"CANARY": 1, "metadatas": [{"CANARY": 1, "name": "x", "value": "y"}]}
    assert read(path, json.dumps(whole))[1].imports[0].dropped["unknown key"] == before + 5


# fileDetails under the XSD (the table below) -------------------------------------------

TABLE = [
    ("reportId", 1, 1, r"-?\d{1,19}"), ("fileId", 1, 1, r"[^ \t\r\n]+( [^ \t\r\n]+)*"), ("fileName", 0, 1, ".*"), ("originalFileName", 0, 1, ".*"),
    ("uploadedToEspTimestamp", 0, 1, r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?"), ("locationOfFile", 0, 1, ".*"),
    ("fileViewedByEsp", 0, 1, "true|false"), ("exifViewedByEsp", 0, 1, "true|false"), ("publiclyAvailable", 0, 1, "true|false"),
    ("fileRelevance", 0, 1, "Reported|Supplemental Reported"), ("potentialMeme|fileAnnotations", 0, 1, None),
    ("industryClassification", 0, 1, "A1|A2|B1|B2"), ("originalFileHash", 0, None, "[0-9a-zA-Z+/]+"), ("ipCaptureEvent", 0, 1, None),
    ("deviceId", 0, None, None), ("details", 0, None, None), ("additionalInfo", 0, None, ".*"),
]  # fmt: skip
ANNOTATIONS = {
    "animeDrawingVirtualHentai", "potentialMeme", "viral", "possibleSelfProduction", "physicalHarm", "violenceGore",
    "bestiality", "liveStreaming", "infant", "generativeAi",
}  # fmt: skip


def check_details(tree: ET.Element) -> None:
    """Hold a `fileDetails` against the table: names, order, how often, values, attributes."""
    assert tree.tag == "fileDetails" and not tree.attrib
    children, at = list(tree), 0
    for names, least, most, pattern in TABLE:
        held = []
        while at < len(children) and children[at].tag in names.split("|"):
            held.append(children[at])
            at += 1
        assert least <= len(held) and (most is None or len(held) <= most), names
        for child in held:
            assert pattern is None or re.fullmatch(pattern, child.text or "", re.DOTALL), ET.tostring(child)
            assert set(child.attrib) == ({"hashType"} if names == "originalFileHash" else set())
    assert at == len(children), f"out of order: {children[at].tag}"
    for holder in tree.iter("fileAnnotations"):
        assert {child.tag for child in holder} <= ANNOTATIONS and len({c.tag for c in holder}) == len(holder)
        assert {child.text for child in holder} == {"true"}, "fixed by the XSD"
    assert all(0 < len(child.attrib["hashType"]) <= 64 for child in tree.iter("originalFileHash"))
    relevance = tree.findtext("fileRelevance")
    assert not (relevance == "Supplemental Reported" and tree.find("industryClassification") is not None)
    assert not (tree.findtext("exifViewedByEsp") == "true" and tree.findtext("fileViewedByEsp") != "true")


own = st.fixed_dictionaries(
    {},
    optional={
        "fileRelevance": st.sampled_from(["Reported", "Supplemental Reported", "x", 1]),
        "fileViewedByEsp": st.sampled_from([True, False, "true"]),
        "exifViewedByEsp": st.booleans(),
        "publiclyAvailable": st.booleans(),
        "uploadedToEspTimestamp": st.sampled_from(["2024-02-01T09:58:00Z", "2024-02-01", "2024-02-01T09:58:00Z\n"]),
        "hashes": st.lists(st.lists(st.sampled_from(["ed2k", "MD5", "a" * 65, digest("md5"), "<x>", "abc"]), max_size=3), max_size=3),
        "other": wordings(),
    },
)
codes = st.builds(
    Classification,
    scheme=st.sampled_from(["ncmec/industry", "ncmec/annotation"]),
    code=st.sampled_from(["A1", "B2", "C1", "viral", "potentialMeme", "generativeAi", "more"]),
)
files = entries(
    state="active", about=None, extra=own.map(lambda value: {"cybertipline": value}), classifications=tuples_of(codes, 5),
    ref=st.one_of(st.sampled_from(["12/f1", "12/a b", "12/a  b", "12/ x", "x", "123456789012345678901/f"]), wordings(1)),
)  # fmt: skip


@given(st.lists(files, max_size=3))
def test_what_is_written_is_valid_and_read_again(items: list[Entry]) -> None:
    """Every fileDetails holds against the table; law 15 with values of this format's own making."""
    text, done = written(items)
    tree = ET.fromstring(text)
    found = [tree] if tree.tag == "fileDetails" else list(tree)
    assert len(found) == done.written and (tree.tag == "fileDetails") == (done.written == 1)
    for each in found:
        check_details(each)
    again, second = written(reread(text))
    assert again == text and not second.losses


def reread(text: str) -> list[Entry]:
    """Read what was written; nothing is refused or dropped."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "x").write_text(text)
        (reader,) = open_readers(Path(folder) / "x", format="cybertipline", source="a")
        found = list(reader)
        assert not reader.rejects and not reader.imports[0].dropped
        return found


def test_the_sample_holds_against_the_table() -> None:
    """The table of this test is that of the XSD: the sample validates with xmllint. What we write of it does too."""
    tree = ET.parse(SAMPLES[0]).getroot()
    tree.attrib.clear()
    check_details_of_sample(tree)
    (reader,) = open_readers(SAMPLES[0])
    text, done = written(list(reader))
    check_details(ET.fromstring(text))
    assert not done.losses


def check_details_of_sample(tree: ET.Element) -> None:
    """The sample has EXIF and HASH details, whose type is an attribute; apart from that the same table."""
    for each in tree.iter("details"):
        assert each.attrib.pop("type") in ("EXIF", "HASH")
    check_details(tree)


def test_one_file_is_the_document_itself_and_several_a_list() -> None:
    """So that one can be sent as it is; a list of none is a list."""
    item = Entry(source="a", ref="12/f1", md5=digest("md5"))
    assert ET.fromstring(written([item])[0]).tag == "fileDetails"
    assert [child.tag for child in ET.fromstring(written([item, item])[0])] == ["fileDetails"] * 2
    assert written([])[0].endswith("<fileDetailsList>\n</fileDetailsList>\n")


def test_rules_of_the_documentation_are_losses() -> None:
    """No industry code beside Supplemental Reported; no false annotation; exif only where the file was viewed."""
    extra = {"cybertipline": {"fileRelevance": "Supplemental Reported", "exifViewedByEsp": True}}
    item = Entry(source="a", ref="12/f1", md5=digest("md5"), extra=extra, classifications=(Classification(scheme="ncmec/industry", code="A1"),))
    text, done = written([item])
    assert "A1" not in text and "exif" not in text
    assert [(loss.field, loss.count) for loss in done.losses] == [("classifications", 1), ("extra", 1)]


def test_refs_of_others_stand_under_a_report() -> None:
    """Report 0, or the one of the option."""
    item = Entry(source="a", ref="x", md5=digest("md5"))
    assert "<reportId>0</reportId>" in written([item])[0]
    assert "<reportId>7</reportId>" in written([item], report_id="7")[0]
    with pytest.raises(BadOption, match="report_id"):
        written([item], report_id="x")


def test_fingerprints_are_hashes_of_a_type() -> None:
    """PhotoDNA in base64, PDQ in hex: the type is a free text."""
    prints = (Fingerprint(kind="photodna", value=bytes(range(144))), Fingerprint(kind="pdq", value=bytes(32)))
    text, done = written([Entry(source="a", ref="12/f", fingerprints=prints)])
    assert not done.losses and 'hashType="PhotoDNA"' in text and 'hashType="PDQ"' in text
    assert reread(text)[0].fingerprints == tuple(sorted(prints))


# Reader --------------------------------------------------------------------------------------------------


def test_hashes_of_both_places_meet(path) -> None:
    """originalFileHash and details of type HASH; any spelling of the algorithm, any case of the digits."""
    pair = f"<details type='HASH'><nameValuePair><name>sha-256</name><value>{digest('sha256').upper()}</value></nameValuePair></details>"
    entry = one(path, details(hashed("md5", f" {digest('md5')}\n") + MD5 + pair + hashed("ed2k", digest("md5", 2))))
    assert (entry.md5.hex(), entry.sha256.hex()) == (digest("md5"), digest("sha256"))
    assert entry.extra == {"cybertipline": {"hashes": [["ed2k", digest("md5", 2)]]}}


@pytest.mark.parametrize(
    ("inner", "field", "reason"),
    [
        (hashed("MD5", digest("md5")[:-1]), "originalFileHash", "is no md5"),
        (hashed("MD5", digest("sha1")), "originalFileHash", "is no md5"),
        (MD5 + hashed("MD5", digest("md5", 2)), "originalFileHash", "a second md5, another than the first"),
        (hashed("PhotoDNA", "a1a1"), "originalFileHash", "is no photodna"),
        (MD5 + "<industryClassification>1</industryClassification>", "industryClassification", "is no code"),
        (MD5 + "<fileRelevance>x</fileRelevance>", "fileRelevance", "is not what the schema allows"),
        (MD5 + "<publiclyAvailable>yes</publiclyAvailable>", "publiclyAvailable", "is no boolean"),
        (MD5 + "<fileAnnotations><viral>maybe</viral></fileAnnotations>", "fileAnnotations", "is no boolean"),
        (MD5 + "<fileId>f2</fileId>", "fileId", "appears twice"),
        (MD5 + "text", "fileDetails", "has text between its elements"),
        (MD5 + "<reportId/>", "reportId", "appears twice"),
    ],
)
def test_a_bad_record_is_refused_without_its_value(inner, field, reason, path) -> None:
    """And the next one is read."""
    found, reader = read(path, f"<fileDetailsList>{details(inner)}{details(MD5, 'f2')}</fileDetailsList>")
    (reject,) = reader.rejects
    assert (reject.position, reject.field, reject.reason, reject.value, reject.raw) == (1, field, reason, None, None)
    assert [entry.ref for entry in found] == ["12/f2"]


def test_annotations_are_codes_known_or_not(path) -> None:
    """As are unknown industry codes; the element potentialMeme is the annotation; false says nothing."""
    flags = "<fileAnnotations><viral>true</viral><brandNew>1</brandNew><infant>false</infant></fileAnnotations>"
    entry, = (found := read(path, details(MD5 + flags + "<industryClassification>C9</industryClassification>")))[0]  # fmt: skip
    assert {(c.scheme, c.code) for c in entry.classifications} == {
        ("ncmec/annotation", "viral"), ("ncmec/annotation", "brandNew"), ("ncmec/industry", "C9"),
    }  # fmt: skip
    assert found[1].imports[0].dropped == {"annotation that is false": 1}
    entry = one(path, details(MD5 + "<potentialMeme>true</potentialMeme>"))
    assert [c.code for c in entry.classifications] == ["potentialMeme"]


def test_a_file_without_a_hash_is_counted(path) -> None:
    """It is no bad record, and nothing for a hash list; in both shapes."""
    for document in (details(""), json.dumps(download(verificationHash=None))):
        found, reader = read(path, document)
        assert not found and not reader.rejects and reader.imports[0].dropped["file without a hash"] == 1


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("<other/>", "the root element is <other>"),
        ('<fileDetails xmlns="urn:x"/>', "the root element is <fileDetails>"),
        ("<reportResponse><responseCode>0</responseCode><reportId>1</reportId></reportResponse>", "uploaded nothing"),
        ("<reportResponse><responseCode>1000</responseCode><hash>x</hash></reportResponse>", "uploaded nothing"),
        ("<!DOCTYPE fileDetails><fileDetails/>", "DOCTYPE"),
        ("<fileDetails>" + "<a>" * 40, "inside each other"),
        (details(MD5) + "x", "not well-formed"),
        (details(MD5)[:-1], "cut off"),
        ("[]", "no object"),
        ("{}", "no object reportedInformation"),
        ('{"reportId":1,"reportId":2}', "a key twice"),
        ('{"reportId": NaN}', "not JSON"),
        ('{"reportId": "x", "reportedInformation": {}}', "reportId is no number of a report"),
        ('{"reportId": 1, "reportedInformation": {"uploadedFiles": []}}', "uploadedFiles is no object"),
        ('{"reportId":' + "[" * 100_000, "too deep|not JSON"),
    ],
)
def test_what_cannot_be_trusted_is_refused(document, message, path) -> None:
    """As a whole, with a message that says what it is."""
    with pytest.raises(MalformedInput, match=message):
        read(path, document)


def test_huge_texts_are_refused_where_they_are_kept(path) -> None:
    """What is skipped costs nothing, whatever its size."""
    with pytest.raises(MalformedInput, match="characters of text"):
        read(path, details(f"<fileRelevance>{'x' * (1 << 21)}</fileRelevance>"))
    assert one(path, details(MD5 + f"<additionalInfo>{'x' * (1 << 21)}</additionalInfo>")).md5


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.parent.name)
def test_samples_cut_anywhere_are_refused(sample, path) -> None:
    """And any flipped byte raises nothing but our errors."""
    data, dice = sample.read_bytes().rstrip(), random.Random(1)
    for place in places(len(data)):
        path.write_bytes(data[:place])
        with pytest.raises(InteropError):
            list(open_readers(path, format="cybertipline")[0])
        path.write_bytes(data[:place] + bytes([data[place] ^ dice.choice([1, 0x20, 0x80, 0xFF])]) + data[place + 1 :])
        told(path)


@pytest.mark.parametrize(
    ("value", "found"),
    [(digest("md5"), "md5"), (digest("sha1"), "sha1"), (digest("sha256"), "sha256"), ("x" * 32, None), ("abc", None), (7, None)],
)
def test_the_verification_hash_is_known_by_its_length(value, found, path) -> None:
    """And every entry says that it is inferred; other lengths and texts are refused."""
    items, reader = read(path, json.dumps(download(verificationHash=value)))
    if found is None:
        assert not items and reader.rejects[0].field == "verificationHash"
        return
    assert getattr(items[0], found).hex() == value
    assert items[0].extra["cybertipline"]["inferred"] == [found]
    assert "inferred" in reader.facts["schema"] and "inferred" in reader.facts["verificationHash"]


def test_a_download_without_ids_of_files_names_them_by_their_hash(path) -> None:
    """Inside its report, so that two reports of one file stay two."""
    entry = one(path, "\ufeff" + json.dumps(download(submittalId=None)))
    assert (entry.ref, entry.contributor) == (f"12/md5:{digest('md5')}", "ESP")
    _, reader = read(path, json.dumps(download(submittalId=" CANARY ")))
    assert reader.rejects[0].field == "submittalId"


# Sniff ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "claim"),
    [
        ('<?xml version="1.0"?><!-- x --><fileDetails xmlns:xsi="urn:x">', 95),
        ("<fileDetailsList>", 95),
        ("<report><incidentSummary>", 90),
        ("<report><title>", 0),
        ("<reportResponse><responseCode>", 90),
        ('<fileDetails xmlns="urn:x">', 0),
        ('{"reportId": 1, "reportedInformation": {', 90),
        ('{"reportId": 1}', 0),
        ('[{"reportId": 1, "reportedInformation": {', 0),
    ],
)
def test_sniff(head, claim) -> None:
    """By the root element and what must stand in it; by two keys."""
    assert TIPS.sniff(head.encode()) == claim
    assert bool(claims(head.encode())) == bool(claim)
