"""NCMEC as a service: written pages, served by a loopback server and read by Meta's client; the other answers."""

from __future__ import annotations

import hashlib
import io
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threatexchange.exchanges.clients.ncmec.hash_api import NCMECEntryUpdate, NCMECEnvironment, NCMECHashAPI

from hashlib_interop.errors import BadOption, CannotWrite
from hashlib_interop.format import Writing
from hashlib_interop.formats import FORMATS
from hashlib_interop.model import About, Classification, Entry, Fingerprint, batch_of
from hashlib_interop.reading import Reader, open_readers
from hashlib_interop.writing import Written, write_stream
from tests.formats.test_ncmec import as_oracle, lists, written

NCMEC = FORMATS["ncmec"]
CASES = Path(__file__).parents[1] / "cases" / "ncmec"
FIRST = datetime(2024, 2, 1, 10, tzinfo=UTC)


def paged(items: list[Entry], size: object) -> tuple[list[bytes], Written]:
    """Write entries as pages; return them."""
    stream = io.BytesIO()
    done = write_stream([batch_of(items)], stream, NCMEC, Writing("out.zip", {"page_size": size}))
    with zipfile.ZipFile(stream) as archive:
        assert archive.testzip() is None
        return [archive.read(name) for name in sorted(archive.namelist())], done


# The oracle ----------------------------------------------------------------------------------------------


@dataclass
class Service:
    """A Hash Sharing API over our entries: what lies between `from` and `to`, in written pages."""

    items: list[Entry]
    size: int
    asked: list[dict[str, str]] = field(default_factory=list)
    base: str = ""

    def answer(self, path: str) -> bytes:
        """Return the body for a request."""
        parts = urlsplit(path)
        name = parts.path.removeprefix("/v2/")
        if name != "entries":
            return (CASES / name / "input.xml").read_bytes()
        query = {key: values[0] for key, values in parse_qs(parts.query, strict_parsing=True).items()}
        self.asked.append(query)
        pages, done = paged(self.between(query["from"], query["to"]), self.size)
        assert not [loss for loss in done.losses if loss.field != "ref"]
        return pages[(int(query.get("start", "1")) - 1) // self.size]

    def between(self, since: str, until: str) -> list[Entry]:
        """Return the entries whose stamps lie in a range, its end excluded, each with the votes on it."""
        first, last = datetime.fromisoformat(since), datetime.fromisoformat(until)
        held = {one.ref for one in self.items if not one.about and one.asserted_at and first <= one.asserted_at < last}
        return [one for one in self.items if (one.about.ref if one.about else one.ref) in held]


class Handler(BaseHTTPRequestHandler):
    """Asks for a user, and answers."""

    def __init__(self, service: Service, *arguments: Any) -> None:
        self.service = service
        super().__init__(*arguments)

    def do_GET(self) -> None:
        body = self.service.answer(self.path)
        self.send_response(200 if self.headers["Authorization"].startswith("Basic ") else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A service on a loopback port. Meta's client writes local time as if it were UTC: here, it is."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    made = Service(sample(), 2)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, made))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    made.base = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    thread.join()
    server.server_close()
    monkeypatch.undo()
    time.tzset()


def client(service: Service) -> NCMECHashAPI:
    """Meta's client, pointed at the loopback service."""
    return NCMECHashAPI("user", "secret", cast(NCMECEnvironment, SimpleNamespace(value=service.base)))


def sample() -> list[Entry]:
    """Images and videos, hourly: every fingerprint, tombstones, feedback with reasons, codes."""
    items: list[Entry] = []
    for n in range(11):
        seed = f"synthetic-{n}".encode()
        gone = n % 4 == 3
        prints = [
            Fingerprint(kind="pdq", value=hashlib.sha256(seed).digest()),
            Fingerprint(kind="photodna", value=hashlib.shake_128(seed).digest(144)),
            Fingerprint(kind="netclean", value=seed.hex().encode()),
        ]
        large = {"name": "tmk-pdqf", "attributes": {"rel": "self", "href": f"/v2/entries/{n}/fingerprints/TMK_PDQF"}}
        entry = Entry(
            source="ncmec", ref=f"{40 + n % 3}/e{n}", contributor=f"Member {n % 3}", asserted_at=FIRST + timedelta(hours=n, milliseconds=n % 2),
            media="video" if n % 2 else "image", state="retracted" if gone else "active",
            md5=None if gone else hashlib.md5(seed).digest(), sha1=None if gone else hashlib.sha1(seed).digest(),
            fingerprints=() if gone else tuple(prints[: n % 4 + 1]),
            classifications=() if gone else (Classification(scheme="ncmec/industry", code="A1"),),
            extra={"ncmec": {"elements": {"fingerprints": [large]}}} if n % 2 and not gone else {},
        )  # fmt: skip
        items.append(entry)
        items += [] if gone else [vote(entry, up) for up in (True, False)]
    return items


def vote(entry: Entry, up: bool) -> Entry:
    """A vote of another member on an entry."""
    own = {"type": "Md5", "voter": "77"} | ({} if up else {"guid": "01234567-abcd-0123-4567-012345678900", "reason_type": "Md5"})
    return Entry(
        source="ncmec", ref=f"{entry.ref}#feedback/md5/{'up' if up else 'down'}/77" + ("" if up else f"/{own['guid']}"), contributor="Voter",
        asserted_at=FIRST, about=About(source="ncmec", ref=entry.ref), vote="up" if up else "down", reason=None if up else "Wrong", extra={"ncmec": own},
    )  # fmt: skip


def seen(update: NCMECEntryUpdate) -> Any:
    """An entry as Meta's client has it; large fingerprints have no text, so it leaves them out."""
    prints = sorted((kind.lower(), text) for kind, text in update.fingerprints.items())
    return (update.member_id, update.id, update.entry_type.value, update.deleted, update.classification or "", prints)


def expected(items: list[Entry]) -> list[Any]:
    """What the client has to find."""
    return sorted(as_oracle(row) for row in batch_of([one for one in items if not one.about]).to_pylist())


def test_the_oracle_reads_every_entry_tombstone_and_fingerprint_over_all_pages(service) -> None:
    """By `paging/next`, until there is none; feedback and its reasons too."""
    api = client(service)
    answers = list(api.get_entries_iter(end_timestamp=int((FIRST + timedelta(days=2)).timestamp())))
    updates = [update for answer in answers for update in answer.updates]
    assert sorted(map(seen, updates)) == expected(service.items)
    assert len(answers) == 6 and [len(answer.updates) for answer in answers] == [2] * 5 + [1]
    assert sum(update.deleted for update in updates) == 2
    infos = [info for answer in answers if (info := answer.get_next_info())]
    assert [(info.start, info.size, info.max) for info in infos] == [(n, 2, 11) for n in (3, 5, 7, 9, 11)]
    for update in updates:
        said = [(one.feedback_type.value, one.member.esp_id, one.reason) for one in update.feedback.get("Md5", [])]
        assert said == ([] if update.deleted else [("upvote", 77, ""), ("downvote", 77, "Wrong")])


@pytest.mark.parametrize(("since", "until"), [(0, 3), (3, 7), (7, 48), (2, 2), (20, 30)])
def test_the_oracle_reads_what_lies_in_a_range(service, since, until) -> None:
    """`from` in, `to` out; the pages of a range name the next of that range, never an entry beyond."""
    first, last = (int((FIRST + timedelta(hours=hours)).timestamp()) for hours in (since, until))
    answers = list(client(service).get_entries_iter(start_timestamp=first, end_timestamp=last))
    found = sorted(seen(update) for answer in answers for update in answer.updates)
    held = service.between(datetime.fromtimestamp(first, UTC).isoformat(), datetime.fromtimestamp(last, UTC).isoformat())
    assert found == expected(held)
    assert len(service.asked) == max(1, -(-len(found) // 2))


def test_polls_one_after_another_find_everything_once(service) -> None:
    """Each from where the last ended."""
    hours = [0, 1, 5, 6, 24]
    stamps = [int((FIRST + timedelta(hours=each)).timestamp()) for each in hours]
    found = []
    for first, last in pairwise(stamps):
        answers = client(service).get_entries_iter(start_timestamp=first, end_timestamp=last)
        found += [seen(update) for answer in answers for update in answer.updates]
    assert sorted(found) == expected(service.items)


def test_our_reader_and_the_oracle_agree_on_members_and_status(service) -> None:
    """The client's members are our facts."""
    theirs = {f"member {one.esp_id}": one.esp_name for one in [*client(service).members(), client(service).status()]}
    facts = {name: value for case in ("members", "status") for name, value in answer(case)[1].facts.items()}
    assert {name: value for name, value in facts.items() if name.startswith("member ")} == theirs


def test_every_fingerprint_is_read_and_written_again() -> None:
    """Large ones as references, never fetched; kinds that are new to us, whatever they hold; in one page or two."""
    names = ["tmk-pdqf", "videntifier", "ssvh-pdna", "ssvh-safer-hash", "tmk-safer-hash"]
    large = "".join(f'<{name} rel="self" href="/v2/entries/1/fingerprints/{name.upper()}"/>' for name in names)
    record = "<image><member id='1'>M</member><timestamp>2024-02-01T10:00:00Z</timestamp><id>{}</id><fingerprints>{}</fingerprints></image>"
    inner = record.format("a", large) + record.format("b", f"<md5>{hashlib.md5(b'synthetic').hexdigest()}</md5><new-hash>abc</new-hash>")
    rows = read_page(f"<queryResult><images>{inner}</images></queryResult>".encode())
    assert [row["extra"].count("href") for row in rows] == [len(names), 0]
    pages, done = paged([Entry.model_validate(row) for row in rows], 1)
    assert not done.losses and [row for page in pages for row in read_page(page)] == rows
    assert all(f'href="/v2/entries/1/fingerprints/{name.upper()}"'.encode() in pages[0] for name in names)
    assert b"<new-hash" in pages[1]


# Pages ---------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(lists, st.integers(1, 3))
def test_pages_hold_what_one_page_holds(items: list[Entry], size: int) -> None:
    """Read by the door, the zip gives the entries of the list written in one; counts hold on every page."""
    whole, done, projected = written(items)
    pages, again = paged(items, size)
    assert (again.losses, again.written) == (done.losses, done.written)
    entries = [row for row in projected if not row["about"]]
    assert len(pages) == max(1, -(-len(entries) // size))
    if len(pages) == 1:
        assert pages == [whole]
    rows = [row for page in pages for row in read_page(page)]
    assert sorted(map(repr, rows)) == sorted(map(repr, read_page(whole)))
    assert [b"<paging>" in page for page in pages] == [True] * (len(pages) - 1) + [False]


def read_page(page: bytes) -> list[dict[str, Any]]:
    """Read a page; its counts are right and nothing is refused."""
    from tests.formats.test_ncmec import read

    rows, reading = read(page)
    assert not reading.facts["rejects"] and "count mismatch" not in reading.facts and not reading.dropped
    return rows


def test_a_zip_of_pages_is_read_as_one_list(tmp_path: Path) -> None:
    """Each page a file of its own, in order; a list of nothing is one empty page."""
    path = tmp_path / "list.zip"
    for items, pages in ((sample(), 4), ([], 1)):
        with path.open("wb") as stream:
            write_stream([batch_of(items)], stream, NCMEC, Writing("x", {"page_size": "3"}))
        readers = open_readers(path, source="ncmec")
        assert [reader.input.member for reader in readers] == [f"page_{n:05}.xml" for n in range(1, pages + 1)]
        found = [entry for reader in readers for entry in reader]
        assert sorted(one.ref for one in found) == sorted(one.ref for one in items)


def test_the_bytes_of_a_zip_say_nothing_of_the_run(monkeypatch) -> None:
    """No date, owner or system; entries in any batches."""
    first = paged_bytes([batch_of(sample())])
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(1_700_000_000))
    assert paged_bytes([batch_of([one]) for one in sample()]) == first


def paged_bytes(batches: list[Any]) -> bytes:
    """Write batches as a zip of pages."""
    stream = io.BytesIO()
    write_stream(batches, stream, NCMEC, Writing("x", {"page_size": "2"}))
    return stream.getvalue()


def test_the_end_of_time_is_a_stamp() -> None:
    """After the last stamp that there is, no other comes."""
    last = datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
    items = [Entry(source="ncmec", ref=f"1/{n}", asserted_at=last, media="image", md5=hashlib.md5(b"synthetic").digest()) for n in "ab"]
    assert b"to=9999-12-31T23%3A59%3A59.999Z" in paged(items, 1)[0][0]


@pytest.mark.parametrize("size", ["0", "x", "", "-1", "1000000", "٣"])
def test_a_size_of_pages_is_a_number(size) -> None:
    """Else wrong usage."""
    with pytest.raises(BadOption, match="page_size"):
        paged([], size)


def test_too_many_pages_are_refused(monkeypatch) -> None:
    """Beyond what the door takes out of a zip."""
    monkeypatch.setattr("hashlib_interop.formats._ncmec_pages.MOST_MEMBERS", 3)
    with pytest.raises(CannotWrite, match="greater page_size"):
        paged(sample(), 2)


# Answers that are no lists -------------------------------------------------------------------------------


def answer(case: str) -> tuple[list[Entry], Reader]:
    """Read a case."""
    (reader,) = open_readers(CASES / case / "input.xml")
    return list(reader), reader


@pytest.mark.parametrize(
    ("case", "facts"),
    [
        ("members", {"member 42": "Example Member", "member 43": "Example Member Two"}),
        ("status", {"member 42": "Example Member"}),
        ("feedback_reasons", {"reason 01234567-abcd-0123-4567-012345678900 Sha1": "Example Reason 1"}),
        ("categorizations", {"categorization 01234567-abcd-0123-4567-012345678904": "Context: Known Minor"}),
    ],
)
def test_other_answers_are_facts(case, facts) -> None:
    """They are claimed, have no entries, and say what they are."""
    entries, reader = answer(case)
    assert not entries and not reader.rejects
    assert facts.items() <= reader.facts.items() and "document" in reader.facts


def test_of_a_status_neither_address_nor_user_is_kept() -> None:
    """They are the reader's own, and nobody else's business."""
    _, reader = answer("status")
    assert reader.imports[0].dropped == {"ipAddress": 1, "username": 1}
    assert "192.0.2.1" not in repr(reader.imports) and "synthetic_user" not in repr(reader.imports)


def test_an_answer_with_bad_ids_is_read_but_for_these(tmp_path: Path) -> None:
    """A fact is named by a number, a guid or a word, so that nothing of a file becomes a name."""
    path = tmp_path / "x.xml"
    members = '<member id="1">A</member><member id="2 x">B</member><member id="3"/><unknown>x</unknown>'
    path.write_text(f"<memberList xmlns='https://hashsharing.ncmec.org/hashsharing/v2'>{members}</memberList>")
    (reader,) = open_readers(path)
    assert not list(reader)
    assert reader.facts == {"document": "the member list", "member 1": "A"}
    assert [(one.position, one.reason) for one in reader.rejects] == [(2, "has no id, or no name"), (3, "has no id, or no name")]
    assert reader.imports[0].dropped == {"unknown element": 1}
