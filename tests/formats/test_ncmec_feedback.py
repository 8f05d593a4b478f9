"""Feedback to NCMEC: which votes are ours to send, and that the bodies are those of Meta's own client."""

from __future__ import annotations

import io
import json
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from threatexchange.exchanges.clients.ncmec.hash_api import (
    FeedbackType,
    FingerprintType,
    NCMECEnvironment,
    NCMECHashAPI,
)

from hashlib_interop.errors import BadOption
from hashlib_interop.format import Writing
from hashlib_interop.formats import FORMATS
from hashlib_interop.model import About, Entry, batch_of
from hashlib_interop.sniffing import claims
from hashlib_interop.writing import Written, write_stream
from tests.strategies import mixed_lists

FEEDBACK = FORMATS["ncmec_feedback"]
GUID = "01234567-abcd-0123-4567-012345678900"


def vote(up: bool = True, ref: str = "42/e1", **own: str) -> Entry:
    """A vote on an entry."""
    return Entry(
        source="us", ref=f"vote on {ref}", about=About(source="ncmec", ref=ref), vote="up" if up else "down", extra={"ncmec": own} if own else {},
    )  # fmt: skip


def written(items: list[Entry], **options: str) -> tuple[list[dict[str, str]], Written]:
    """Write votes; return the requests."""
    stream = io.BytesIO()
    done = write_stream([batch_of(items)], stream, FEEDBACK, Writing("out.json", options))
    document = json.loads(stream.getvalue())
    assert set(document) == {"ncmec_feedback", "requests"}
    return document["requests"], done


def lost(done: Written) -> dict[str, int]:
    """The records that are not sent, by the first word of the reason's end."""
    return {loss.reason: loss.count for loss in done.losses if loss.field == "record"}


@pytest.fixture
def service() -> Iterator[tuple[str, list[tuple[str, bytes, str]]]]:
    """A loopback server that keeps what is put to it."""
    taken: list[tuple[str, bytes, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((self.path, body, self.headers["Content-Type"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", taken
    server.shutdown()
    thread.join()
    server.server_close()


def canonical(body: str | bytes) -> str:
    """A document as canonical XML."""
    return ET.canonicalize(body.decode() if isinstance(body, bytes) else body)


def test_requests_are_those_of_the_oracle(service) -> None:
    """Path and body, up and down, for every fingerprint that Meta's client knows."""
    url, taken = service
    client = NCMECHashAPI("user", "secret", cast(NCMECEnvironment, SimpleNamespace(value=url)))
    votes = []
    for kind in FingerprintType:
        client.submit_upvote(42, "e1", kind)
        client.submit_feedback(43, "e2", kind, FeedbackType.downvote, GUID)
        votes += [vote(type=kind.value.capitalize()), vote(False, "43/e2", type=kind.value, guid=GUID)]
    requests, done = written(votes)
    assert [(each["path"], canonical(each["body"])) for each in requests] == [(path, canonical(body)) for path, body, _ in taken]
    assert {kind for _, _, kind in taken} == {"application/xml; charset=utf-8"}
    assert done.written == len(votes) and not lost(done)


def test_bodies_are_those_of_the_samples() -> None:
    """The samples: an affirmative one, and a negative one with its reason."""
    namespace = 'xmlns="https://hashsharing.ncmec.org/hashsharing/v2"'
    (up, down), _ = written([vote(type="Md5"), vote(False, type="Sha1", guid=GUID)])
    assert up["body"] == f"<feedbackSubmission {namespace}><affirmative/></feedbackSubmission>"
    assert down["body"] == f"<feedbackSubmission {namespace}><negative><reasonIds><guid>{GUID}</guid></reasonIds></negative></feedbackSubmission>"


def test_reasons_on_one_fingerprint_are_one_request() -> None:
    """A second request would stand in the place of the first; other fingerprints are others."""
    votes = [vote(False, type="Md5", guid="b"), vote(False, type="md5", guid="a"), vote(False, type="Pdq", guid="a")]
    requests, _ = written(votes)
    assert [each["path"].split("/")[5] for each in requests] == ["MD5", "PDQ"]
    assert "<guid>a</guid><guid>b</guid>" in requests[0]["body"]


def test_what_is_no_vote_of_ours_is_a_lost_record() -> None:
    """Each with its reason; above all the votes of other members, as they are read from a list."""
    rows = [
        Entry(source="a", ref="42/e1", md5="0" * 31 + "1"),
        vote(type="Md5", voter="44"),
        vote(ref="x", type="Md5"),
        vote(),
        vote(type="new"),
        vote(False, type="Md5"),
        vote(False, type="Md5", guid="<x>"),
        vote(type="Md5", voter="42"),
    ]
    requests, done = written(rows, member_id="42")
    assert len(requests) == done.written == 1
    assert sorted(lost(done).values()) == [1, 1, 1, 2, 2]
    assert sum("another member" in reason for reason in lost(done)) == 1


def test_options_say_what_votes_do_not() -> None:
    """The fingerprint and the reason; what a vote says itself counts more."""
    requests, _ = written([vote(False), vote(False, type="Sha1", guid="own")], fingerprint="PDNA", reason="given")
    assert [each["path"].split("/")[5] for each in requests] == ["PDNA", "SHA1"]
    assert "given" in requests[0]["body"] and "own" in requests[1]["body"]


@pytest.mark.parametrize("options", [{"fingerprint": "md5sum"}, {"reason": "<x>"}, {"member_id": "x"}])
def test_options_are_checked(options) -> None:
    """Wrong usage, before anything is written."""
    with pytest.raises(BadOption, match=next(iter(options))):
        written([vote()], **options)


def test_ids_cannot_leave_their_place_in_the_address() -> None:
    """An id is one part of the path, whatever is in it."""
    requests, _ = written([vote(ref="42/../../x?y#z", type="Md5")])
    assert requests[0]["path"] == "/v2/entries/42/..%2F..%2Fx%3Fy%23z/MD5/feedback"


def test_an_id_that_would_leave_the_address_is_not_sent() -> None:
    """`..` cannot be escaped: clients take it out together with the number of the member."""
    requests, done = written([vote(ref="42/..", type="Md5"), vote(ref="42/.", type="Md5"), vote(ref="42/...", type="Md5")])
    assert [each["path"] for each in requests] == ["/v2/entries/42/.../MD5/feedback"] and sum(lost(done).values()) == 2


def test_votes_on_two_lists_do_not_go_to_one_address() -> None:
    """The same id is another entry there; the option says which list it is."""
    votes = [vote(type="Md5"), vote(type="Pdq").model_copy(update={"about": About(source="other", ref="42/e1")})]
    for options, kind in (({}, "MD5"), ({"source": "other"}, "PDQ")):
        requests, done = written(votes, **options)
        assert [each["path"].split("/")[5] for each in requests] == [kind]
        assert [reason for reason in lost(done) if reason.startswith("a vote on another list")]


@given(mixed_lists())
def test_any_entries_give_a_document(items: list[Entry]) -> None:
    """Nothing raises; each request is well-formed; what is not written is a lost record."""
    requests, done = written(items, fingerprint="MD5", reason=GUID)
    assert all(ET.fromstring(each["body"]).tag.endswith("}feedbackSubmission") for each in requests)
    assert done.given - done.written == sum(lost(done).values())


def test_sniff() -> None:
    """By our own key, which stands first."""
    assert [claim.format for claim in claims(b'{"ncmec_feedback":1,"requests":[\n]}\n')] == ["ncmec_feedback"]
    assert FEEDBACK.sniff(b'{"requests":[]}') == 0
