"""TCAP hash list: what the cases do not show. Oracle: python-threatexchange."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from threatexchange.exchanges.clients.techagainstterrorism.api import TATHashListEntry
from threatexchange.exchanges.impl.techagainstterrorism_api import _get_delta_mapping

from hashlib_interop.formats import FORMATS
from tests.test_json_pages import read

SAMPLE = Path(__file__).parents[1] / "cases/tcap/page/input.json"
MD5 = hashlib.md5(b"synthetic-1").hexdigest()


def page(*results: dict[str, Any], **envelope: Any) -> bytes:
    """A page around results."""
    return json.dumps({"count": 2, "next": None, "previous": None, "checkpoint": "1.5,2", "results": results, **envelope}).encode()


def result(**fields: Any) -> dict[str, Any]:
    """A result."""
    usual = {"hash_digest": MD5, "algorithm": "MD5", "ideology": "islamist", "file_type": "mp4", "deleted": False, "id": 1}
    return {**usual, "updated_on": 1706781600.5, "created_on": "2024-02-01T10:00:00.587000", **fields}


def test_the_oracle_reads_the_same() -> None:
    """Value and deletion, of the results that pytx takes (MD5 of videos, PDQ)."""
    rows, _ = read("tcap", SAMPLE.read_bytes())
    for row, record in zip(rows, json.loads(SAMPLE.read_text())["results"], strict=True):
        (name, value), metadata = _get_delta_mapping(TATHashListEntry(**record))
        held = row["fingerprints"][0]["value"] if name == "pdq" else row["md5"]
        assert held.hex() == value and (row["state"] == "retracted") == (metadata is None)


@pytest.mark.parametrize("name", ["md5", "sha1", "sha256", "sha384", "sha512"])
def test_algorithms_by_name(name) -> None:
    """In any case; never by length."""
    value = hashlib.new(name, b"synthetic-1")
    for spelling in (name, name.upper()):
        ((row,), _) = read("tcap", page(result(algorithm=spelling, hash_digest=value.hexdigest().upper())))
        assert row[name] == value.digest() and row["ref"] == "1"


def test_an_algorithm_that_is_not_known_is_kept_and_never_taken_for_another() -> None:
    """32 characters are not always MD5."""
    ((row,), _) = read("tcap", page(result(algorithm="MD4", id=None)))
    assert "md5" not in row and row["ref"] == f"MD4:{MD5}"
    assert json.loads(row["extra"])["tcap"]["algorithm"] == "MD4"


def test_a_stamp_finer_than_a_millisecond_is_kept_whole() -> None:
    """Cut for the order, whole in `extra`; one that is not finer is not kept twice."""
    rows, _ = read("tcap", page(result(), result(updated_on=1706781600.222779), result(updated_on=1706781600)))
    assert [row["asserted_at"].microsecond for row in rows] == [500_000, 222_000, 0]
    assert [json.loads(row["extra"])["tcap"].get("updated_on") for row in rows] == [None, 1706781600.222779, None]
    assert rows[2]["asserted_at"] == datetime(2024, 2, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(("file_type", "media"), [("MP4", "video"), ("jpg", "image"), ("pdf", None), (None, None), (3, None)])
def test_media_is_by_extension(file_type, media) -> None:
    """Where it says one."""
    ((row,), _) = read("tcap", page(result(file_type=file_type)))
    assert row["media"] == media


def test_the_address_of_the_next_page_is_kept_nowhere() -> None:
    """That there is one, and the checkpoint, if it is one."""
    _, reading = read("tcap", page(result(), next="https://x/?token=CANARY", previous="https://CANARY", checkpoint="CANARY"))
    assert "CANARY" not in repr(reading) and reading.facts["next page"] == "yes"
    assert read("tcap", page())[1].facts["checkpoint"] == "1.5,2"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"hash_digest": "00"}, "hash_digest"), ({"hash_digest": None}, "hash_digest"), ({"algorithm": None}, "algorithm"),
        ({"deleted": "true"}, "deleted"), ({"updated_on": "1"}, "updated_on"), ({"updated_on": -1}, "updated_on"),
        ({"updated_on": 1e300}, "updated_on"), ({"updated_on": True}, "updated_on"), ({"id": "1"}, "id"), ({"ideology": 1}, "ideology"),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_with_its_field(fields, field) -> None:
    """And the result after it is read."""
    rows, reading = read("tcap", page(result(**fields), result()))
    assert [(reject.position, reject.field) for reject in reading.facts["rejects"]] == [(1, field)] and len(rows) == 1


def test_it_is_not_written() -> None:
    """There is no call that takes it."""
    assert FORMATS["tcap"].write is None
