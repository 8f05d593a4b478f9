"""ThreatExchange: what the cases do not show. Oracle: python-threatexchange."""

from __future__ import annotations

import base64
import copy
import hashlib
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from threatexchange.cli.dataset.simple_serialization import CliIndicatorSerialization, HMASerialization
from threatexchange.exchanges.clients.fb_threatexchange.descriptor import (
    SimpleDescriptorRollup,
    ThreatDescriptor,
)
from threatexchange.exchanges.clients.fb_threatexchange.threat_updates import ThreatUpdateJSON
from threatexchange.exchanges.impl.fb_threatexchange_api import FBThreatExchangeIndicatorRecord

from hashlib_interop.errors import BadOption, MalformedInput
from hashlib_interop.format import Writing
from hashlib_interop.formats import FORMATS
from hashlib_interop.model import Classification, Entry, Fingerprint, Handling, batch_of
from hashlib_interop.reading import open_readers
from hashlib_interop.writing import Written, write_stream
from tests.test_json_pages import read

CASES = Path(__file__).parents[1] / "cases/threatexchange"
UPDATES = CASES / "updates/input.json"
PDQ, MD5 = hashlib.sha256(b"synthetic-1").digest(), hashlib.md5(b"synthetic-1").digest()
WHEN = datetime(2024, 2, 1, 11, tzinfo=UTC)


def page(*records: dict[str, Any], **paging: Any) -> bytes:
    """A page around records."""
    return json.dumps({"data": records, "paging": paging}).encode()


def update(**fields: Any) -> dict[str, Any]:
    """An update of an indicator."""
    opinion = {"id": "91", "owner": {"id": "1", "name": "A"}, "status": "MALICIOUS", "tags": {"data": [{"id": "5", "text": "t"}]}}
    usual = {"id": "90", "indicator": MD5.hex(), "type": "HASH_MD5", "last_updated": 1706868000, "should_delete": False}
    return {**usual, "descriptors": {"data": [opinion]}, **fields}


def descriptor(**fields: Any) -> dict[str, Any]:
    """A descriptor."""
    usual = {"id": "91", "raw_indicator": MD5.hex(), "type": "HASH_MD5", "last_updated": "2024-02-01T11:00:00+0000"}
    return {**usual, "owner": {"id": "1", "name": "A"}, "status": "MALICIOUS", "added_on": "2024-02-01T10:00:00+0000", **fields}


def one(record: dict[str, Any], **options: str) -> dict[str, Any]:
    """Return the row of a record."""
    rows, reading = read("threatexchange", page(record), options=options)
    assert len(rows) == 1, reading.facts
    return rows[0]


def written(*entries: Entry, **options: str) -> tuple[Any, Written]:
    """Return entries as they are written, and the losses."""
    stream = io.BytesIO()
    done = write_stream([batch_of(list(entries))], stream, FORMATS["threatexchange"], Writing("out", options))
    return json.loads(stream.getvalue())["data"], done


# Oracle --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "record",
    [*json.loads(UPDATES.read_text())["data"], update(), update(should_delete=True), update(descriptors={"data": []})],
)
def test_the_oracle_deletes_and_tags_the_same(record) -> None:
    """Deleted: `should_delete`, or nobody's descriptor is left (pytx issue 834)."""
    ours, theirs = one(record), FBThreatExchangeIndicatorRecord.from_threatexchange_json(0, ThreatUpdateJSON(copy.deepcopy(record)))
    assert (theirs is None) == (ours["state"] == "retracted")
    assert ours["asserted_at"] == datetime.fromtimestamp(ThreatUpdateJSON(record).time, UTC)
    if theirs:
        assert {tag for opinion in theirs.opinions for tag in opinion.tags} == set(ours["tags"] or ())


def test_missing_descriptors_delete() -> None:
    """Whether the key is missing, null or holds nothing."""
    bare = {key: value for key, value in update().items() if key != "descriptors"}
    for record in (bare, bare | {"descriptors": None}, bare | {"descriptors": {}}, bare | {"descriptors": {"data": []}}):
        assert one(record)["state"] == "retracted"
    assert ThreatUpdateJSON(bare).should_delete
    assert one({key: value for key, value in bare.items() if key != "should_delete"})["state"] == "retracted"


def test_the_oracle_reads_what_is_written(tmp_path) -> None:
    """A descriptor that was read is written so that pytx sees the same."""
    source = tmp_path / "page.json"
    source.write_bytes(page(descriptor(tags={"data": [{"id": "5", "text": "a"}, {"id": "6", "text": "b"}]}, share_level="GREEN", severity="SEVERE")))
    entries = [entry for reader in open_readers(source) for entry in reader]
    (found,), done = written(*entries)
    assert not done.losses and found == json.loads(source.read_text())["data"][0]
    theirs = ThreatDescriptor.from_te_json(0, found)
    assert (theirs.id, theirs.raw_indicator, theirs.tags, theirs.owner_id) == (91, MD5.hex(), ["a", "b"], 1)


@pytest.mark.parametrize("kind", [CliIndicatorSerialization, HMASerialization])
def test_the_oracle_writes_what_is_read(kind, tmp_path) -> None:
    """`simple.TYPE.te`, four columns and five; the type is in its name."""
    rollups = [SimpleDescriptorRollup(91, "2024-02-01T10:00:00+0000", {"b", "a"}), SimpleDescriptorRollup(92, "mine", set())]
    hashes = [MD5.hex(), hashlib.md5(b"synthetic-2").hexdigest()]
    items = [
        kind("HASH_MD5", value, rollup) if kind is CliIndicatorSerialization else kind(value, "HASH_MD5", "90", rollup)
        for value, rollup in zip(hashes, rollups, strict=True)
    ]
    (path,) = CliIndicatorSerialization.store(tmp_path, items)
    (reader,) = open_readers(path)
    rows = [row for batch in reader.batches() for row in batch.to_pylist()]
    loaded = kind.load(tmp_path)
    assert [row["md5"].hex() for row in rows] == [item.indicator for item in loaded] == hashes
    assert [set(row["tags"] or ()) for row in rows] == [item.rollup.labels for item in loaded]
    assert rows[0]["ref"] == (f"md5:{MD5.hex()}" if kind is CliIndicatorSerialization else "90")
    assert reader.imports[0].delivery == "snapshot" and reader.facts == {"type": "HASH_MD5"}


# Reader --------------------------------------------------------------------------------------------------


def test_tokens_and_people_are_kept_nowhere() -> None:
    """The token in `paging.next`, addresses of owners, free text: not in entries, facts, rejects or counts."""
    owner = {"id": "1", "name": "A", "email": "CANARY@x"}
    good = update(description="CANARY", descriptors={"data": [{"id": "9", "owner": owner, "status": "X", "description": "CANARY"}]})
    data = page(good, descriptor(owner=owner, id="CANARY-no", type="HASH_MD5"), next="https://x/?access_token=CANARY")
    rows, reading = read("threatexchange", data.replace(b"CANARY-no", b"no"))
    assert "CANARY" not in repr((rows, reading)) and len(rows) == 1 and len(reading.facts["rejects"]) == 1
    assert reading.facts["next page"] == "yes"
    assert reading.dropped == {"owner email (contact)": 2, "description (free text)": 2}
    with pytest.raises(MalformedInput) as caught:
        read("threatexchange", data[:-2])
    assert "CANARY" not in str(caught.value)


def test_free_text_is_kept_on_request() -> None:
    """Never the address of an owner."""
    row = one(descriptor(description="d", owner={"id": "1", "email": "CANARY"}), free_text="yes")
    assert json.loads(row["extra"])["threatexchange"]["description"] == "d" and "CANARY" not in repr(row)


@pytest.mark.parametrize("level", ["WHITE", "GREEN", "AMBER", "RED", "UNKNOWN"])
def test_share_level_is_handling_and_back(level) -> None:
    """UNKNOWN permits nobody."""
    row = one(descriptor(share_level=level))
    assert row["handling"]["tlp"] == level
    (found,), done = written(Entry(source="a", ref="1", md5=MD5, handling=Handling(tlp=level)))
    assert found["share_level"] == level and not done.losses


@pytest.mark.parametrize("tlp", ["AMBER+STRICT", "PURPLE"])
def test_a_restriction_without_a_share_level_keeps_its_row_back(tlp) -> None:
    """It is never made laxer."""
    found, done = written(Entry(source="a", ref="1", md5=MD5, handling=Handling(tlp=tlp)))
    assert not found and [(loss.field, loss.count) for loss in done.losses] == [("record", 1)]


@pytest.mark.parametrize(
    ("fields", "media"),
    [
        ({"type": "HASH_VIDEO_MD5"}, "video"), ({}, None), ({"tags": ["media_type_video"]}, "video"),
        ({"tags": ["media_type_photo"]}, "image"), ({"tags": ["media_type_photo", "media_type_video"]}, None),
    ],
)  # fmt: skip
def test_media_is_in_the_type_or_a_tag(fields, media) -> None:
    """Two tags that disagree say nothing."""
    assert one(update(**fields))["media"] == media


def test_opinions_that_differ_are_all_kept() -> None:
    """Statuses of two owners are two classifications; neither owner is the contributor."""
    opinions = [{"id": str(n), "owner": {"id": str(n)}, "status": status} for n, status in enumerate(["MALICIOUS", "NON_MALICIOUS"], 1)]
    row = one(update(descriptors={"data": opinions}, status="UNKNOWN"))
    assert [item["code"] for item in row["classifications"]] == ["MALICIOUS", "NON_MALICIOUS"] and row["contributor"] is None
    assert json.loads(row["extra"])["threatexchange"]["status"] == "UNKNOWN"


def test_types_that_are_no_hash_of_a_file_are_no_digest() -> None:
    """Addresses and texts are left out; hashes of them, and types not known, are kept as they stand."""
    kinds = ["URI", "TEXT_STRING", "HASH_URL_MD5", "HASH_TMK", "HASH_NEW"]
    rows, reading = read("threatexchange", page(*(update(type=kind, id=str(n)) for n, kind in enumerate(kinds, 1))))
    assert [row["ref"] for row in rows] == ["3", "4", "5"] and "md5" not in rows[0]
    assert json.loads(rows[0]["extra"])["threatexchange"]["type"] == "HASH_URL_MD5"
    assert reading.dropped == {"URI (no hash)": 1, "TEXT_STRING (no hash)": 1}


def test_photodna_is_read_as_base64_and_as_hex() -> None:
    """Its stored form is not public; 192 and 288 characters cannot be mistaken."""
    value = bytes(range(144))
    for text in (base64.b64encode(value).decode(), value.hex(), value.hex().upper()):
        assert one(update(type="HASH_PHOTODNA", indicator=text))["fingerprints"] == [{"kind": "photodna", "value": value}]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"indicator": "00"}, "indicator"), ({"indicator": None}, "indicator"), ({"type": None}, "type"), ({"id": "x"}, "id"),
        ({"id": "0x1"}, "id"), ({"should_delete": "false"}, "should_delete"), ({"last_updated": "yesterday"}, "last_updated"),
        ({"last_updated": "2024-13-01T00:00:00+0000"}, "last_updated"), ({"last_updated": "0001-01-01T00:00:00+2300"}, "last_updated"),
        ({"last_updated": 1.5}, "last_updated"), ({"last_updated": 10**30}, "last_updated"), ({"tags": "x"}, "tags"),
        ({"tags": [1]}, "tags"), ({"descriptors": "x"}, "descriptors"), ({"descriptors": {"data": 1}}, "descriptors"),
        ({"owner": "x"}, "owner"), ({"share_level": 1}, "share_level"),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_with_its_field(fields, field) -> None:
    """And the record after it is read."""
    rows, reading = read("threatexchange", page(update(**fields), update()))
    assert [(reject.position, reject.field) for reject in reading.facts["rejects"]] == [(1, field)] and len(rows) == 1


def test_lines_that_are_bad_are_refused_alone() -> None:
    """Other numbers of fields, a descriptor without a number, a value of another type."""
    good = f"{PDQ.hex()},91,mine,a b"
    lines = [good, f"{MD5.hex()},91,mine,", f"{PDQ.hex()},x,mine,", f"{PDQ.hex()},91,mine", good]
    rows, reading = read("threatexchange", "\r\n".join([*lines, ""]).encode(), options={"type": "HASH_PDQ"})
    assert [row["position"] for row in rows] == [1, 5]
    assert sorted(reject.position for reject in reading.facts["rejects"]) == [2, 3, 4]
    with pytest.raises(BadOption):
        read("threatexchange", good.encode(), options={"type": "PDQ"})


# Writer --------------------------------------------------------------------------------------------------


def test_an_update_is_written_as_a_descriptor_of_its_indicator(tmp_path) -> None:
    """Its id is not that of a descriptor: it stands under `indicator`, and comes back as the ref."""
    entries = [entry for reader in open_readers(UPDATES) for entry in reader if entry.state == "active"]
    (found,), done = written(*entries)
    assert "id" not in found and found["indicator"] == {"id": "9000000000000001"} and not done.losses


def test_one_hash_is_written_and_which_can_be_said() -> None:
    """The strongest, else that of the option; the others are losses."""
    entry = Entry(
        source="a", ref="1", md5=MD5, sha256=PDQ, fingerprints=(Fingerprint(kind="pdq", value=PDQ),),
        classifications=(Classification(scheme="threatexchange/status", code="SUSPICIOUS"), Classification(scheme="x", code="1")),
    )  # fmt: skip
    (found,), done = written(entry)
    assert found == {"id": "1", "raw_indicator": PDQ.hex(), "type": "HASH_SHA256", "status": "SUSPICIOUS"}
    assert {loss.field for loss in done.losses} == {"md5", "fingerprints", "classifications"}
    assert [written(entry, type=kind)[0][0]["type"] for kind in ("HASH_MD5", "HASH_PDQ")] == ["HASH_MD5", "HASH_PDQ"]
    assert written(entry, type="HASH_SHA1")[0] == []
    with pytest.raises(BadOption):
        written(entry, type="MD5")


def test_a_token_inside_a_record_is_dropped_too() -> None:
    """The lists inside a record have pages of their own, whose `next` holds the token as well."""
    paging = {"next": "https://graph.facebook.com/x?access_token=CANARY"}
    record = update(tags={"data": [{"id": "5", "text": "t"}], "paging": paging}, last_updated="CANARY-not")
    record["descriptors"]["data"][0]["reactions"] = {"data": [], "paging": paging}
    record["descriptors"]["paging"] = paging
    rows, reading = read("threatexchange", page(record, record | {"last_updated": 1}))
    assert "access_token" not in repr((rows, reading)) and len(rows) == 1
    assert reading.dropped["paging of a list (access token)"] == 6


def test_an_update_is_handled_as_its_strictest_descriptor_says() -> None:
    """And is not written where that has no place."""
    record = update()
    record["descriptors"]["data"] = [{"id": "1", "share_level": "GREEN"}, {"id": "2", "share_level": "RED"}, {"id": "3"}]
    assert one(record)["handling"]["tlp"] == "RED"
    record["descriptors"]["data"][2]["share_level"] = "FOO"
    assert one(record)["handling"]["tlp"] == "UNKNOWN"


def test_what_is_private_to_a_group_is_restricted() -> None:
    """By a caveat, beside the share level; what is visible to all is not."""
    for name in ("HAS_PRIVACY_GROUP", "HAS_WHITELIST"):
        assert one(descriptor(privacy_type=name, share_level="WHITE"))["handling"]["caveats"] == [f"privacy_type {name}"]
    assert one(descriptor(privacy_type="VISIBLE", share_level="WHITE"))["handling"]["caveats"] is None
    row = one(descriptor(privacy_type="HAS_PRIVACY_GROUP"))
    (found,), done = written(Entry(source="a", **{k: v for k, v in row.items() if v is not None and k != "position"}))
    assert found["privacy_type"] == "HAS_PRIVACY_GROUP" and not done.losses


def test_a_status_of_its_own_beside_descriptors_without_any_is_written() -> None:
    """Found by a nightly run: it was carried, and then lost."""
    entry = Entry(
        source="a", ref="7", fingerprints=(Fingerprint(kind="pdq", value=bytes(range(32))),),
        classifications=(Classification(scheme="threatexchange/status", code="MALICIOUS"),),
        extra={"threatexchange": {"descriptors": {"data": [{"owner": {}}]}}},
    )  # fmt: skip
    out = io.BytesIO()
    done = write_stream([batch_of([entry])], out, FORMATS["threatexchange"], Writing(""))
    assert b'"status":"MALICIOUS"' in out.getvalue() and [loss.field for loss in done.losses] in ([], ["source"])
