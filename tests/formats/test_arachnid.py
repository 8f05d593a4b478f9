"""Arachnid Shield: what the cases do not show."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest

from hashlib_interop.errors import MalformedInput
from hashlib_interop.formats import FORMATS
from hashlib_interop.sniffing import claims
from tests.test_json_pages import read

SHA1, SHA256 = hashlib.sha1(b"synthetic-1").digest(), hashlib.sha256(b"synthetic-1").digest()
PDQ = base64.b64encode(hashlib.sha256(b"synthetic-2").digest()).decode()


def media(**fields: Any) -> bytes:
    """The answer to a scan of a file."""
    usual = {"size_bytes": 5, "sha1_base32": base64.b32encode(SHA1).decode(), "sha256_hex": SHA256.hex().upper()}
    return json.dumps({**usual, "classification": "csam", "match_type": "exact", "near_match_details": [], **fields}).encode()


def hashes(**results: Any) -> bytes:
    """The answer to a scan of PDQ hashes."""
    return json.dumps({"scanned_hashes": results}).encode()


@pytest.mark.parametrize("code", ["csam", "harmful-abusive-material", "harmful-to-children", "something-new"])
def test_a_classification_is_kept_as_it_stands(code) -> None:
    """Known or not: more may be added."""
    ((row,), _) = read("arachnid", media(classification=code))
    assert row["classifications"] == [{"scheme": "c3p/arachnid-shield", "code": code}]
    assert (row["sha1"], row["sha256"], row["size"], row["ref"]) == (SHA1, SHA256, 5, f"sha256:{SHA256.hex()}")


def test_no_known_match_is_no_statement() -> None:
    """It is dropped and counted, of a file and of a hash."""
    rows, reading = read("arachnid", media(classification="no-known-match"))
    assert rows == [] and reading.dropped == {"no-known-match (no statement)": 1}
    none, some = {"classification": "no-known-match"}, {"classification": "csam", "match_type": "near"}
    other = base64.b64encode(SHA256).decode()
    rows, reading = read("arachnid", hashes(**{PDQ: none, other: some}))
    assert [row["fingerprints"][0]["value"] for row in rows] == [SHA256] and rows[0]["position"] == 2
    assert reading.dropped == {"no-known-match (no statement)": 1}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"sha1_base32": SHA1.hex()}, "sha1_base32"), ({"sha1_base32": "a" * 32}, "sha1_base32"), ({"sha256_hex": "00"}, "sha256_hex"),
        ({"sha1_base32": None, "sha256_hex": None}, "sha256_hex"), ({"size_bytes": "5"}, "size_bytes"), ({"size_bytes": -1}, "size_bytes"),
        ({"size_bytes": 2**63}, "size_bytes"), ({"classification": ""}, "classification"), ({"classification": 1}, "classification"),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_with_its_field(fields, field) -> None:
    """Base32 is that of RFC 4648, in upper case."""
    rows, reading = read("arachnid", media(**fields))
    assert rows == [] and [(reject.position, reject.field) for reject in reading.facts["rejects"]] == [(1, field)]


def test_a_bad_hash_is_refused_alone_and_can_be_mended() -> None:
    """With its key, in the frame of an answer."""
    rows, reading = read("arachnid", hashes(**{PDQ[:-2]: {"classification": "csam"}, PDQ: {"classification": "csam"}, "x": 1}))
    first, last = reading.facts["rejects"]
    assert [row["position"] for row in rows] == [2] and (first.position, last.position) == (1, 3)
    again = first.frame[0] + first.raw.replace(PDQ[:-2], PDQ) + first.frame[1]
    assert len(read("arachnid", again.encode())[0]) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [('{"hashes":["x"]}', "a request"), ('{"url":"https://x"}', "a request"), ('{"detail":"no"}', "an error"), ("{}", "none")],
)
def test_what_is_no_answer_is_refused_and_said(text, says) -> None:
    """And claimed by nobody."""
    with pytest.raises(MalformedInput, match=says):
        read("arachnid", text.encode())
    assert claims(text.encode()) == []


def test_it_is_not_written() -> None:
    """An answer is nobody's to make up."""
    assert FORMATS["arachnid"].write is None


def test_no_match_is_no_statement_in_any_case_of_letters() -> None:
    """It must not come in as an entry with a code of its own."""
    rows, reading = read("arachnid", b'{"sha256_hex":"' + b"0f" * 32 + b'","classification":"No-Known-Match"}')
    assert not rows and reading.dropped == {"no-known-match (no statement)": 1}
