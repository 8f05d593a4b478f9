"""StopNCII: what the cases do not show. Oracle: python-threatexchange, whose faults are named where they show."""

from __future__ import annotations

import hashlib
import io
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from threatexchange.exchanges.clients.stopncii import api
from threatexchange.exchanges.impl.stop_ncii_api import _get_delta_mapping

from hashlib_interop.errors import BadOption
from hashlib_interop.format import Writing
from hashlib_interop.formats import FORMATS
from hashlib_interop.model import Entry, Fingerprint, batch_of
from hashlib_interop.writing import Written, write_stream
from tests.test_json_pages import read

STOPNCII = FORMATS["stopncii"]
SAMPLE = Path(__file__).parents[1] / "cases/stopncii/fetch/input.json"
WHEN = datetime(2024, 2, 1, 10, tzinfo=UTC)


def pdq(seed: object) -> bytes:
    """A synthetic PDQ hash."""
    return hashlib.sha256(f"synthetic-{seed}".encode()).digest()


def md5(seed: object) -> bytes:
    """A synthetic digest."""
    return hashlib.md5(f"synthetic-{seed}".encode()).digest()


def page(*records: dict[str, Any], **envelope: Any) -> bytes:
    """A page around records."""
    return json.dumps({"count": len(records), "hashRecords": records, **envelope}).encode()


def record(**fields: Any) -> dict[str, Any]:
    """A record."""
    usual = {"lastModtimestamp": 1706781600, "signalType": "ImagePDQ", "hashValue": pdq(1).hex(), "hashStatus": "Active"}
    return usual | fields


def written(*entries: Entry, **options: str) -> tuple[Any, Written]:
    """Return entries as they are written, and the losses."""
    stream = io.BytesIO()
    done = write_stream([batch_of(list(entries))], stream, STOPNCII, Writing("out", options))
    return json.loads(stream.getvalue()), done


# Oracle --------------------------------------------------------------------------------------------------


class Answering(api.StopNCIIAPI):
    """pytx's client, with answers instead of a network; keeps what it posts."""

    def __init__(self, answer: bytes = b"") -> None:
        super().__init__("key", "key")
        self.answer, self.posted = answer, None

    def _get(self, endpoint: Any, **params: Any) -> Any:
        return json.loads(self.answer)

    def _post(self, endpoint: Any, *, json: Any = None) -> Any:
        self.posted = json


def test_the_oracle_reads_the_same_records() -> None:
    """But for two faults of pytx: it skips records with an unknown feedback value, and deletes nothing.

    It looks for Withdrawn and Deleted in `hashValue`, where they never stand, instead of in `hashStatus`.
    """
    rows, _ = read("stopncii", SAMPLE.read_bytes())
    theirs = Answering(SAMPLE.read_bytes()).fetch_hashes().hashRecords
    known = {f"{one.signalType.value}:{one.hashValue}": one for one in theirs}
    skipped = {row["ref"] for row in rows if '"Undefined"' in (row["extra"] or "")}
    assert known.keys() | skipped == {row["ref"] for row in rows} and len(skipped) == 1
    for row in rows:
        if one := known.get(row["ref"]):
            assert row["asserted_at"] == datetime.fromtimestamp(one.lastModtimestamp, UTC)
            assert (row["state"] == "retracted") == (one.hashStatus.value in ("Withdrawn", "Deleted"))
            assert _get_delta_mapping(one)[1] is not None
    assert [row["state"] for row in rows] == ["active", "retracted", "active"]


def test_the_oracle_submits_the_same_body(monkeypatch) -> None:
    """But for a fault of pytx: it sends `StopNCIISignalType.ImagePDQ`, the name of its own class, as signalType."""
    monkeypatch.setattr(time, "time", lambda: WHEN.timestamp())
    client = Answering()
    client.submit_hash(api.StopNCIISignalType.ImagePDQ, pdq(1).hex(), {"Synthetic"}, api.StopNCIICSPFeedbackValue.Blocked)
    feedback = {"tags": ["Synthetic"], "feedbackValue": "Blocked"}
    entry = Entry(
        source="a", asserted_at=WHEN, media="image", ref="r", extra={"stopncii": {"CSPFeedbacks": [feedback]}},
        fingerprints=(Fingerprint(kind="pdq", value=pdq(1)),),
    )  # fmt: skip
    body, _ = written(entry)
    expected: Any = client.posted
    assert expected["hashRecords"][0].pop("signalType") == "StopNCIISignalType.ImagePDQ"
    assert body["hashRecords"][0].pop("signalType") == "ImagePDQ"
    assert body == expected


# Reader --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["Withdrawn", "Deleted"])
def test_deletion_is_by_status(status) -> None:
    """And which of both it was is kept."""
    (row,), _ = read("stopncii", page(record(hashStatus=status)))
    assert row["state"] == "retracted" and json.loads(row["extra"]) == {"stopncii": {"hashStatus": status}}


@pytest.mark.parametrize("status", ["Received", "Unknown", "Paused"])
def test_other_statuses_are_kept_as_they_stand(status) -> None:
    """Known or not."""
    (row,), _ = read("stopncii", page(record(hashStatus=status)))
    assert row["state"] == "active" and json.loads(row["extra"]) == {"stopncii": {"hashStatus": status}}


def test_a_type_that_is_not_known_is_kept_and_never_taken_for_a_hash() -> None:
    """Text and URL are no hashes: left out, counted."""
    rows, reading = read("stopncii", page(record(signalType="ImagePDNA", hashValue="xyz"), record(signalType="URL", hashValue="https://x")))
    assert [row["ref"] for row in rows] == ["ImagePDNA:xyz"] and "fingerprints" not in rows[0]
    assert json.loads(rows[0]["extra"]) == {"stopncii": {"signalType": "ImagePDNA", "hashValue": "xyz"}}
    assert reading.dropped == {"URL (no hash)": 1}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"hashValue": "00"}, "hashValue"), ({"hashValue": 5}, "hashValue"), ({"hashValue": None}, "hashValue"),
        ({"hashValue": pdq(1).hex() + "\n"}, "hashValue"), ({"signalType": ""}, "signalType"),
        ({"hashStatus": 1}, "hashStatus"), ({"lastModtimestamp": "1"}, "lastModtimestamp"),
        ({"lastModtimestamp": True}, "lastModtimestamp"), ({"lastModtimestamp": 10**15}, "lastModtimestamp"),
        ({"lastModtimestamp": -1}, "lastModtimestamp"),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_with_its_field(fields, field) -> None:
    """And the record after it is read; what is kept of it has no case number."""
    rows, reading = read("stopncii", page(record(**fields, caseNumbers={"CANARY-1": "Active"}), record()))
    (reject,) = reading.facts["rejects"]
    assert (reject.position, reject.field, len(rows)) == (1, field, 1)
    assert "CANARY" not in repr(reject) and reject.raw


def test_case_numbers_and_tokens_are_kept_nowhere() -> None:
    """Not in entries, facts or counts; of a next page is said that there is one."""
    data = page(record(caseNumbers={"CANARY-1": "Active", "CANARY-2": "x"}), record(caseNumbers=[]), nextPageToken="CANARY-3", hasMoreRecords=True)
    rows, reading = read("stopncii", data)
    assert "CANARY" not in repr((rows, reading)) and len(rows) == 2
    assert reading.dropped == {"case number": 2} and reading.facts["next page"] == "yes"


def test_a_case_number_that_stands_twice_is_not_shown() -> None:
    """Though a key that stands twice refuses its record."""
    data = page(record(caseNumbers={"CANARY": "a"})).replace(b'"CANARY": "a"', b'"CANARY": "a", "CANARY": "b"')
    rows, reading = read("stopncii", data)
    assert "CANARY" not in repr((rows, reading)) and reading.facts["rejects"][0].reason == "not JSON: duplicate key"


def test_a_count_that_is_wrong_is_said() -> None:
    """As a fact of the file."""
    _, reading = read("stopncii", page(record(), count=5))
    assert reading.facts["count mismatch"] == "says 5, holds 1"


# Writer --------------------------------------------------------------------------------------------------


def test_what_a_submission_cannot_say_is_lost_and_counted() -> None:
    """A retraction, the MD5 of an image; the feedback of others is not sent as one's own."""
    theirs = {"stopncii": {"CSPFeedbacks": [{"source": "CSP", "feedbackValue": "Blocked"}]}}
    body, done = written(
        Entry(source="a", ref="1", md5=md5(1), media="video", state="retracted"),
        Entry(source="a", ref="2", md5=md5(2), media="image"),
        Entry(source="a", ref="3", md5=md5(3), media="video", extra=theirs),
    )
    assert [(one["hashValue"], one["CSPFeedbacks"]) for one in body["hashRecords"]] == [(md5(3).hex(), [])]
    assert body["count"] == 1 and {(loss.field, loss.count) for loss in done.losses} == {("record", 1), ("extra", 1), ("ref", 1)}


def test_the_type_to_write_can_be_said() -> None:
    """A type that there is not is wrong usage."""
    entry = Entry(source="a", md5=md5(1), media="video", fingerprints=(Fingerprint(kind="pdq", value=pdq(1)),))
    assert written(entry, type="VideoMD5")[0]["count"] == 1
    assert written(entry, type="ImagePDQ")[0]["count"] == 0
    with pytest.raises(BadOption):
        written(entry, type="PDQ")


def test_a_deletion_and_case_numbers_are_known_in_any_case_of_letters() -> None:
    """Neither comes a withdrawn hash back as active, nor are numbers of cases kept."""
    record = {"signalType": "ImagePDQ", "hashValue": "0f" * 32, "hashStatus": "withdrawn", "CaseNumbers": {"CANARY": "Active"}}
    rows, reading = read("stopncii", json.dumps({"hashRecords": [record]}).encode())
    assert rows[0]["state"] == "retracted" and json.loads(rows[0]["extra"]) == {"stopncii": {"hashStatus": "withdrawn"}}
    assert reading.dropped == {"case number": 1}
