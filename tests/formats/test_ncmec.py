"""NCMEC Hash Sharing: what the cases do not show. Oracle: python-threatexchange, Meta's own client."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threatexchange.exchanges.clients.ncmec.hash_api import GetEntriesResponse, _XMLWrapper

from benchmarks.ncmec_sample import make
from hashlib_interop.errors import BadOption, MalformedInput
from hashlib_interop.format import Reading, Writing
from hashlib_interop.formats import FORMATS
from hashlib_interop.formats._ncmec_carrying import WINDOW
from hashlib_interop.formats._ncmec_record import NAMESPACE
from hashlib_interop.model import About, Classification, Entry, Fingerprint, batch_of
from hashlib_interop.reading import open_readers
from hashlib_interop.writing import Written, write_stream
from tests.strategies import entries, plain_texts, stamps, texts, tuples_of, wordings
from tests.strategies import fingerprints as any_fingerprints

NCMEC = FORMATS["ncmec"]
CASES = Path(__file__).parents[1] / "cases" / "ncmec"
WHEN = datetime(2024, 2, 1, 10, tzinfo=UTC)
PAGES = [CASES / "page1/input.xml", CASES / "two_pages/input_2.xml", CASES / "empty/input.xml"]


def md5(seed: object) -> bytes:
    """A synthetic digest."""
    return hashlib.md5(f"synthetic-{seed}".encode()).digest()


def page(records: str, container: str = "images", attributes: str = "") -> bytes:
    """A file around records."""
    return f'<queryResult xmlns="{NAMESPACE}"><{container}{attributes}>{records}</{container}></queryResult>'.encode()


def record(inner: str = "", entry: str = "e1", member: str = '<member id="42">M</member>') -> str:
    """An image."""
    return f"<image>{member}<timestamp>2024-02-01T10:00:00Z</timestamp><id>{entry}</id>{inner}</image>"


def read(data: bytes, **settings: Any) -> tuple[list[Any], Reading]:
    """Return the rows that the door would give, and what was said."""
    from hashlib_interop.columns import complete

    reading = Reading("t.xml", "ncmec", **settings)
    rejects: list[Any] = []
    reading.on_reject = rejects.append
    reading.facts["rejects"] = rejects  # type: ignore[assignment]
    defaults = {"source": "ncmec", "recorded_at": WHEN}
    rows = []
    for columns in NCMEC.read(io.BytesIO(data), reading):  # type: ignore[misc]
        rows += complete(columns, defaults).to_pylist()
    return rows, reading


def written(items: list[Entry], rows: int = 3, **options: str) -> tuple[bytes, Written, list[Any]]:
    """Write entries in small batches; return the file, the losses and the rows as projected."""
    projected: list[Any] = []

    def seen(batches: Any) -> Any:
        for batch in batches:
            projected.extend(batch.to_pylist())
            yield batch

    from dataclasses import replace

    watched = replace(NCMEC, write=lambda b, s, w: NCMEC.write(seen(b), s, w))  # type: ignore[misc]
    stream = io.BytesIO()
    batches = [batch_of(items[at : at + rows]) for at in range(0, len(items), rows)]
    done = write_stream(batches, stream, watched, Writing("out.xml", options))
    return stream.getvalue(), done, projected


def content(rows: list[Any]) -> list[str]:
    """Rows without what stands outside an entry, in any order."""
    return sorted(
        repr({k: v for k, v in row.items() if k not in ("recorded_at", "evidence")}) for row in rows
    )


# Law 15 --------------------------------------------------------------------------------------------------

refs = st.one_of(
    st.sampled_from(["1/a", "2/a", "42/with/slash", "007/x"]), wordings(1).map(lambda t: f"42/{t}")
)
trees = st.recursive(
    st.builds(
        lambda n, t: {"name": n} | ({"content": [t]} if t else {}),
        st.one_of(
            st.sampled_from(["tmk-pdqf", "note", "{urn:x}y", "{}z", "md5", "member", "a b"]), wordings()
        ),
        wordings(),
    ),
    lambda inner: st.builds(
        lambda n, a, c: {"name": n, "attributes": a, "content": c},
        st.sampled_from(["note", "deep", "affirmativeFeedback"]),
        st.dictionaries(
            st.sampled_from(["rel", "href", "type", "{urn:y}b", "1"]), texts(), min_size=1, max_size=2
        ),
        st.lists(st.one_of(inner, texts(1)), min_size=1, max_size=3),
    ),
    max_leaves=4,
)
paths = st.sampled_from(["", "fingerprints", "feedback", "member", "fingerprints/md5", "elsewhere"])
own = st.fixed_dictionaries(
    {},
    optional={
        "attributes": st.dictionaries(
            paths,
            st.dictionaries(st.sampled_from(["role", "id", "ID", "x:y", "{urn:x}a"]), texts(), min_size=1),
            max_size=2,
        ),
        "elements": st.dictionaries(paths, st.lists(trees, min_size=1, max_size=2), max_size=2),
        "more": st.integers(),
    },
)
tame_trees = st.recursive(
    st.sampled_from(
        [{"name": "note"}, {"name": "x-1", "content": ["a"]}, {"name": "{urn:y}z", "content": [" "]}]
    ),
    lambda inner: st.builds(
        lambda a, c, t: {"name": "deep", "attributes": {"rel": a, "{urn:y}b": a}, "content": [*c, t]},
        st.sampled_from(["", "self", "a\nb", "<&>'\""]),
        st.lists(inner, min_size=1, max_size=2),
        plain_texts(),
    ),
    max_leaves=4,
)
tame = st.fixed_dictionaries(
    {
        "elements": st.dictionaries(
            st.sampled_from(["", "fingerprints", "feedback"]),
            st.lists(tame_trees, min_size=1, max_size=2),
            min_size=1,
        )
    },
    optional={
        "attributes": st.dictionaries(
            st.sampled_from(["", "member", "id", "fingerprints", "fingerprints/pdq", "feedback"]),
            st.dictionaries(st.sampled_from(["role", "{urn:x}a"]), plain_texts(), min_size=1),
            min_size=1,
            max_size=2,
        )
    },
)
shaped = entries(
    source="ncmec",
    ref=refs,
    asserted_at=stamps(),
    media=st.sampled_from(["image", "video"]),
    md5=st.integers(0, 9).map(md5),
    about=None,
    classifications=tuples_of(st.builds(Classification, scheme=st.just("ncmec/industry"), code=wordings())),
    fingerprints=tuples_of(any_fingerprints()),
    extra=st.one_of(tame, tame, own).map(lambda value: {"ncmec": value}),
)
vote_extras = st.fixed_dictionaries(
    {
        "type": st.one_of(st.sampled_from(["Md5", "Sha1", "a/b"]), texts()),
        "voter": st.sampled_from(["7", "44", "x"]),
    },
    optional={
        "guid": st.one_of(st.just("g-1"), texts()),
        "updated": st.one_of(st.just("2024-02-02T12:48:14Z"), texts()),
        "reason_type": texts(),
        "other": st.integers(),
    },
)
votes = entries(
    source="ncmec",
    state=st.sampled_from(["active", "active", "active", "retracted"]),
    asserted_at=st.one_of(stamps(), st.sampled_from([WHEN, WHEN + timedelta(days=1)])),
    vote=st.sampled_from(["up", "down"]),
    about=refs.map(lambda ref: About(source="ncmec", ref=ref)),
    extra=vote_extras.map(lambda value: {"ncmec": value}),
    reason=st.one_of(st.none(), st.just("Example Reason"), texts()),
)


@st.composite
def voted(draw: st.DrawFn) -> list[Entry]:
    """An entry and votes on it, as they are read."""
    entry = draw(shaped)
    about = About(source="ncmec", ref=entry.ref)
    return [entry, *(v.model_copy(update={"about": about}) for v in draw(st.lists(votes, max_size=4)))]


lists = st.lists(
    st.one_of(
        voted(),
        shaped.map(lambda e: [e]),
        votes.map(lambda e: [e]),
        entries(source="ncmec").map(lambda e: [e]),
    ),
    max_size=4,
).map(lambda groups: [entry for group in groups for entry in group])


@settings(deadline=None, max_examples=200)
@given(lists, st.integers(1, 4), st.booleans())
def test_law_15_reading_what_was_written_gives_what_was_carried(
    items: list[Entry], rows: int, filled: bool
) -> None:
    """For any entries: read(write(project(x))) is project(x); nothing is refused, dropped or miscounted."""
    options = {"timestamp": "2025-03-01T00:00:00.5Z", "member_id": "12"} if filled else {}
    data, done, projected = written(items, rows, **options)
    found, reading = read(data, batch_rows=rows)
    assert content(found) == content(projected)
    assert not reading.facts["rejects"] and not reading.dropped and "count mismatch" not in reading.facts
    assert done.written == len(projected)


@settings(deadline=None, max_examples=60)
@given(lists)
def test_writing_what_was_read_loses_nothing(items: list[Entry]) -> None:
    """A second round trip changes no byte and has no losses."""
    data, _, _ = written(items)
    again = [Entry.model_validate(row) for row in read(data)[0]]
    second, done, _ = written(again)
    assert done.losses == []
    third, _, _ = written([Entry.model_validate(row) for row in read(second)[0]])
    assert second == third


def without_feedback(entry_: Entry) -> Entry:
    """Leave out strangers in feedback: the oracle knows two elements there and stops at any other."""
    own_ = json.loads(json.dumps(entry_.extra["ncmec"]))
    for part in own_.values():
        if isinstance(part, dict):
            part.pop("feedback", None)
    return entry_.model_copy(update={"extra": {"ncmec": own_}})


@settings(deadline=None, max_examples=60)
@given(st.lists(shaped.map(without_feedback), max_size=4))
def test_the_oracle_reads_what_is_written(items: list[Entry]) -> None:
    """Meta's client agrees on member, id, kind, deletion, classification and fingerprints."""
    data, _, projected = written(items)
    assert content_of_oracle(data) == sorted(map(as_oracle, projected))


# Oracle --------------------------------------------------------------------------------------------------


def oracle(data: bytes) -> GetEntriesResponse:
    """Read as python-threatexchange does: namespaces cut off, then its own classes."""
    events = ET.iterparse(io.BytesIO(data))
    for _, element in events:
        element.tag = element.tag.rpartition("}")[2]
    return GetEntriesResponse.from_xml(_XMLWrapper(events.root), 0)


MAPPED = ("md5", "sha1", "pdna", "pdq", "netclean")


def content_of_oracle(data: bytes) -> list[Any]:
    """What the oracle finds, as sorted tuples."""
    return sorted(
        (
            update.member_id,
            update.id,
            update.entry_type.value,
            update.deleted,
            update.classification or "",
            sorted((k.lower(), v) for k, v in update.fingerprints.items() if k.lower() in MAPPED),
        )
        for update in oracle(data).updates
    )


def as_oracle(row: Any) -> Any:
    """A row as the oracle would have it."""
    member, _, entry = row["ref"].partition("/")
    kinds = {item["kind"]: item["value"] for item in row["fingerprints"] or []}
    prints = {
        "md5": row["md5"] and row["md5"].hex(),
        "sha1": row["sha1"] and row["sha1"].hex(),
        "pdna": kinds.get("photodna") and base64.b64encode(kinds["photodna"]).decode(),
        "pdq": kinds.get("pdq") and kinds["pdq"].hex(),
        "netclean": kinds.get("netclean") and kinds["netclean"].decode(),
    }
    codes = row["classifications"]
    deleted = row["state"] == "retracted"
    found = sorted((k, v) for k, v in prints.items() if v)
    return (int(member), entry, row["media"], deleted, codes[0]["code"] if codes else "", found)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.parent.name)
def test_reader_and_oracle_agree_on_the_same_bytes(path: Path) -> None:
    """The samples give the same entries, votes included."""
    data = path.read_bytes()
    rows, _ = read(data)
    assert content_of_oracle(data) == sorted(as_oracle(row) for row in rows if not row["about"])
    theirs = [
        (
            f"{update.member_id}/{update.id}",
            kind.lower(),
            feedback.feedback_type.value,
            feedback.member.esp_id,
        )
        for update in oracle(data).updates
        for kind, found in update.feedback.items()
        for feedback in found
    ]
    ours = []
    for row in rows:
        if row["about"]:
            own_ = json.loads(row["extra"])["ncmec"]
            ours.append((row["about"]["ref"], own_["type"].lower(), f"{row['vote']}vote", int(own_["voter"])))
    assert sorted(ours) == sorted(theirs)


def test_the_oracle_reads_written_votes() -> None:
    """Votes stand again in the feedback of their entry, with reasons in pairs."""
    rows, _ = read(PAGES[0].read_bytes())
    data, done, _ = written([Entry.model_validate(row) for row in rows])
    assert done.losses == []
    before, after = oracle(PAGES[0].read_bytes()), oracle(data)
    assert after.updates == before.updates
    assert after.max_timestamp == before.max_timestamp


# Reader --------------------------------------------------------------------------------------------------


def test_truncated_anywhere_fails() -> None:
    """Cut after any byte but the last white space: our error, never success."""
    data = PAGES[0].read_bytes().rstrip()
    for length in range(0, len(data), 3):
        with pytest.raises(MalformedInput):
            read(data[:length])


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ('<feedbackSubmission xmlns="{}"/>', "this is feedback to be sent: which entry it is about stands only in the address"),
        ('<submissionResult xmlns="{}"/>', "this is the answer to a submission"),
        ('<members xmlns="https://hashsharing.ncmec.org/hashsharing/v1"/>', "version v1 of the Hash Sharing API"),
        ('<status xmlns="https://example.org/"/>', "namespace https://example.org/"),
        ('<members xmlns="{}"><member id="1">', "cut off"),
        ("<html/>", "not a list of entries"),
        (
            '<queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v1"/>',
            "version v1 of the Hash Sharing API",
        ),
        ('<queryResult xmlns="https://example.org/"/>', "namespace https://example.org/"),
        ("", "cut off"),
        ("<!DOCTYPE queryResult><queryResult/>", "DOCTYPE"),
    ],
)
def test_what_is_no_query_result_is_refused_by_its_name(document: str, message: str) -> None:
    """The message says what the file is."""
    with pytest.raises(MalformedInput, match=message):
        read(document.replace("{}", NAMESPACE).encode())


def test_utf16_and_a_file_without_namespace_are_read(tmp_path: Path) -> None:
    """The declared encoding counts for nothing once the door has made it UTF-8."""
    text = f'<?xml version="1.0" encoding="UTF-16"?><queryResult><images>{record()}</images></queryResult>'
    path = tmp_path / "x.xml"
    path.write_bytes(text.encode("utf-16"))
    (reader,) = open_readers(path)
    assert [entry.ref for entry in reader] == ["42/e1"]


def test_an_environment_is_a_fact_and_one_of_seven() -> None:
    """Which list it is: told by the user, checked."""
    assert read(page(""), options={"environment": "ngo"})[1].facts["environment"] == "NGO"
    with pytest.raises(BadOption, match="no environment NPO; known: Industry"):
        read(page(""), options={"environment": "NPO"})


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "/v2/entries?from=x&amp;start=1001&amp;size=1000&amp;max=1003&amp;token=secret",
            "start=1001 size=1000 max=1003",
        ),
        ("/v2/entries?start=secret", "yes"),
        ("anything", "yes"),
    ],
)
def test_of_the_next_page_only_numbers_are_kept(url: str, said: str) -> None:
    """A query may hold secrets."""
    data = f'<queryResult xmlns="{NAMESPACE}"><paging><next>{url}</next></paging></queryResult>'.encode()
    assert read(data)[1].facts["paging next"] == said


def test_a_wrong_count_is_a_fact() -> None:
    """Not an error: the file may be true and its header wrong."""
    _, reading = read(page(record(), attributes=' count="2"'))
    assert reading.facts["count mismatch"] == "images: says 2, holds 1"


def test_an_id_with_slashes_is_parted_at_the_first() -> None:
    """A member is a number, so the first slash is the one."""
    rows, _ = read(page(record(entry="a/b/c")))
    assert rows[0]["ref"] == "42/a/b/c"


def test_an_id_that_looks_like_a_vote_is_refused() -> None:
    """Else an entry could stand in the register of a vote."""
    _, reading = read(page(record(entry="e1#feedback/md5/up/1")))
    assert [r.field for r in reading.facts["rejects"]] == ["id"]  # type: ignore[attr-defined]


def test_blank_feedback_is_nothing_and_a_stamp_without_votes_is_counted() -> None:
    """What says nothing about anybody is no vote; a stamp that is dropped is counted."""
    rows, reading = read(page(record("<feedback/>")))
    assert len(rows) == 1 and not reading.dropped
    assert rows[0]["extra"] is None
    empty = (
        '<feedback lastUpdateTimestamp="2024-02-02T00:00:00Z"><affirmativeFeedback type="Md5"/></feedback>'
    )
    rows, reading = read(page(record(empty)))
    assert len(rows) == 1
    assert reading.dropped == {"feedback lastUpdateTimestamp": 1, "feedback without a voter": 1}


def test_both_shapes_of_negative_feedback_say_the_same() -> None:
    """Members nested in a reason, and reason and members in turn."""
    members = '<members timestamp="2024-02-02T00:00:00Z"><member id="7">Seven</member></members>'
    reason = '<reason guid="g" name="Wrong" type="Md5"'
    found = [
        read(
            page(
                record(
                    f'<feedback><negativeFeedback type="Md5"><reasons>{inner}</reasons></negativeFeedback></feedback>'
                )
            )
        )
        for inner in (f"{reason}>{members}</reason>", f"{reason}/>{members}")
    ]
    assert content(found[0][0]) == content(found[1][0])
    vote = found[0][0][1]
    assert vote["ref"] == "42/e1#feedback/md5/down/7/g"
    assert (vote["vote"], vote["reason"], vote["contributor"]) == ("down", "Wrong", "Seven")


def test_values_in_errors_are_cut_and_escaped() -> None:
    """Nothing from a file reaches a terminal raw."""
    _, reading = read(page(record("<fingerprints><md5>\u202e" + "x" * 500 + "</md5></fingerprints>")))
    (reject,) = reading.facts["rejects"]  # type: ignore[misc]
    assert reject.value.isascii() and len(reject.value) < 80  # type: ignore[attr-defined]


def test_refused_records_are_given_raw_whichever_way_they_were_read() -> None:
    """In runs of plain records, and between others; positions are those in the file."""
    bad = "<fingerprints><md5>xyz</md5></fingerprints>"
    good = f"<fingerprints><md5>{md5(1).hex()}</md5></fingerprints>"
    parts = [
        record(bad if n % 3 == 0 else good + ("<more/>" if n % 5 == 0 else ""), f"e{n}") for n in range(40)
    ]
    for rows in (1, 7, 100):
        found, reading = read(page("\n ".join(parts)), batch_rows=rows)
        rejects: Any = reading.facts["rejects"]
        assert [(r.position, r.raw) for r in rejects] == [(n + 1, parts[n]) for n in range(0, 40, 3)]
        assert [row["ref"] for row in found] == [f"42/e{n}" for n in range(40) if n % 3]


def test_the_benchmark_sample_reads_whole(tmp_path: Path) -> None:
    """Every entry is good, in both containers, votes beside."""
    path = tmp_path / "sample.xml"
    make(path, 500, 7)
    (reader,) = open_readers(path)
    found = list(reader)
    assert not reader.rejects
    assert len(found) == 505
    assert "count mismatch" not in reader.imports[0].facts
    assert sorted(as_oracle(e.model_dump()) for e in found if not e.about) == content_of_oracle(
        path.read_bytes()
    )


# Sniff ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "claim"),
    [
        (f'<queryResult xmlns="{NAMESPACE}">', 95),
        (f'<?xml version="1.0"?>\n<!-- <x> -->\n<?a b?><n:queryResult xmlns:n="{NAMESPACE}">', 95),
        ('<!DOCTYPE queryResult [<!ENTITY a "b">]><queryResult/>', 90),
        ("<queryResult><images/>", 90),
        ('<queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v1">', 95),
        ('<queryResult xmlns="https://example.org/">', 0),
        (f'<members xmlns="{NAMESPACE}">', 95),
        (f'<feedbackSubmission xmlns="{NAMESPACE}">', 95),
        ("<members><member/>", 0),
        ("<queryResults>", 0),
        ("queryResult", 0),
        ('{"queryResult": 1}', 0),
        ("", 0),
        ("<?a?>" * 10_000 + "x", 0),
    ],
)
def test_sniff(head: str, claim: int) -> None:
    """By the namespace, so that what is no list can say what it is; without one, by the root element."""
    assert NCMEC.sniff(head.encode()) == claim


# Writer --------------------------------------------------------------------------------------------------


def entry(ref: str = "42/e1", **fields: Any) -> Entry:
    """An entry that can be written."""
    given_ = {"source": "ncmec", "ref": ref, "asserted_at": WHEN, "media": "image", "md5": md5(ref)}
    return Entry.model_validate(given_ | fields)


def vote(ref: str = "42/e1", voter: str = "7", **fields: Any) -> Entry:
    """A vote that can be written."""
    extra = {"ncmec": {"type": "Md5", "voter": voter}}
    about = {"source": "ncmec", "ref": ref}
    row = {
        "source": "ncmec",
        "ref": f"v{voter}",
        "asserted_at": WHEN,
        "about": about,
        "vote": "up",
        "extra": extra,
    }
    return Entry.model_validate(row | fields)


def lost(done: Written) -> dict[str, int]:
    """The records that were lost, by reason."""
    return {loss.reason: loss.count for loss in done.losses if loss.field == "record"}


def test_an_empty_list_has_counts_and_no_stamps() -> None:
    """As NCMEC writes it."""
    data, _, _ = written([])
    assert b'<images count="0">' in data and b'<videos count="0">' in data and b"maxTimestamp" not in data
    assert oracle(data).updates == []


def test_counts_and_stamps_come_before_the_records() -> None:
    """Images first; the greatest stamp is cut to the second, which is on the safe side for who polls from it."""
    late = WHEN + timedelta(days=1, milliseconds=250)
    data, _, _ = written([entry("1/v", media="video"), entry("1/a"), entry("1/b", asserted_at=late)])
    assert b'<images count="2" maxTimestamp="2024-02-02T10:00:00Z">' in data
    assert b"<timestamp>2024-02-02T10:00:00.250Z</timestamp>" in data
    assert data.index(b"<videos") > data.index(b"1/b".split(b"/")[1] + b"</id>")


def test_rows_that_cannot_be_written_are_lost_records() -> None:
    """Each with its reason."""
    rows = [
        entry(asserted_at=None),
        entry(media=None),
        entry(media="other"),
        entry(md5=None, sha256=hashlib.sha256(b"synthetic").digest()),
        entry("42/x#feedback/md5/up/1"),
        entry("42/x\x00"),
        entry(),
    ]
    data, done, _ = written(rows)
    assert done.written == 1
    assert lost(done) == {
        "the format needs asserted_at: give one with --option timestamp=2025-03-01T00:00:00Z": 1,
        "the format needs media: image or video": 2,
        "no digest or fingerprint that the format carries": 1,
        "a ref that is no id of an entry": 2,
    }
    assert b"\x00" not in data


def test_refs_of_other_sources_stand_under_a_member_and_count_as_changed() -> None:
    """Member 0, or the one of the option; a stamp for those without by option too."""
    data, done, _ = written(
        [entry("md5:abc", asserted_at=None)], timestamp="2025-03-01T00:00:00Z", member_id="9"
    )
    assert [(loss.field, loss.reason) for loss in done.losses] == [
        ("asserted_at", "carried in part"),
        ("ref", "carried in part"),
    ]
    rows, _ = read(data)
    assert (rows[0]["ref"], rows[0]["asserted_at"].year) == ("9/md5:abc", 2025)


@pytest.mark.parametrize(
    "options", [{"member_id": "x"}, {"member_id": ""}, {"timestamp": "2025-03-01"}, {"timestamp": ""}]
)
def test_options_of_the_writer_are_checked(options: dict[str, str]) -> None:
    """Wrong usage, before anything is written."""
    with pytest.raises(BadOption, match=next(iter(options))):
        written([entry()], **options)


def test_a_vote_finds_its_entry_a_window_back_and_no_further() -> None:
    """Behind its entry, with others between; else it is a lost record."""
    others = [entry(f"42/o{n}") for n in range(WINDOW - 1)]
    data, done, _ = written([entry(), *others, vote()], rows=100)
    assert done.losses == [loss for loss in done.losses if loss.field == "ref"]
    assert b'<feedback lastUpdateTimestamp="2024-02-01T10:00:00Z">' in data
    _, done, _ = written([entry(), *others, entry("42/one-more"), vote()], rows=100)
    assert lost(done) == {"a vote apart from its entry": 1}
    _, done, _ = written([vote(), entry()])
    assert lost(done) == {"a vote apart from its entry": 1}


def test_votes_of_others_are_lost_records() -> None:
    """Without NCMEC's type and voter, on another source, a decision, a vote taken back."""
    rows = [
        entry(),
        vote(extra={}),
        vote(extra={"ncmec": {"type": "Md5", "voter": "x"}}),
        vote(about={"source": "other", "ref": "42/e1"}),
        vote(vote=None),
        vote(state="retracted"),
    ]
    _, done, _ = written(rows)
    assert lost(done) == {"a vote or decision that is no NCMEC feedback": 5}


def test_a_retraction_carries_no_fingerprints() -> None:
    """A deleted entry has none in NCMEC's schema."""
    data, done, _ = written([entry(state="retracted")])
    assert b"<deletedImage>" in data and b"fingerprints" not in data
    assert [loss.field for loss in done.losses] == ["md5"]


def test_what_it_does_not_carry() -> None:
    """SHA-256, other schemes, a second code, control characters; each a loss, none written."""
    codes = [
        Classification(scheme="ncmec/industry", code="A1"),
        Classification(scheme="ncmec/industry", code="B2"),
    ]
    row = entry(
        contributor="a\x1bb",
        sha256=hashlib.sha256(b"synthetic").digest(),
        classifications=[*codes, Classification(scheme="vics/US", code="1")],
        fingerprints=[
            Fingerprint(kind="netclean", value=b"\x00"),
            Fingerprint(kind="ssdeep", value=b"3:a:b"),
        ],
        tags=["t"],
        extra={"vics": {"x": 1}},
    )
    data, done, _ = written([row])
    assert {loss.field for loss in done.losses} == {
        "contributor", "sha256", "classifications", "fingerprints", "tags", "extra",
    }  # fmt: skip
    assert b"A1" in data and b"B2" not in data and b"\x1b" not in data and b"netclean" not in data


def test_a_hostile_extra_cannot_write_markup() -> None:
    """Names are checked, texts escaped; what would not come back is not carried."""
    for name in ('x><md5>00</md5><y z="', "md5", "a b", ""):
        extra = {"ncmec": {"elements": {"fingerprints": [{"name": name, "content": ["</image>"]}]}}}
        data, done, _ = written([entry(extra=extra)])
        assert [loss.field for loss in done.losses] == ["extra"], name
        assert b"</image></" not in data


def test_the_same_entries_give_the_same_bytes_however_batched() -> None:
    """Nothing of the run is in the file."""
    rows, _ = read(PAGES[0].read_bytes())
    items = [Entry.model_validate(row) for row in rows]
    assert written(items, 1)[0] == written(items, 100)[0]


def test_a_batch_with_an_offset_is_written_as_its_rows() -> None:
    """Slices of Arrow batches are read by their own rows."""
    items = [entry("1/a"), entry("1/b"), vote("1/b")]
    stream = io.BytesIO()
    batch: pa.RecordBatch = batch_of(items).slice(1, 2)
    done = write_stream([batch], stream, NCMEC, Writing("x"))
    assert done.written == 2 and stream.getvalue().count(b"<image>") == 1
