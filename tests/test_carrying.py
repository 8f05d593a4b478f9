"""What a format carries, and what is lost: counted, exact, with an example that is safe to show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop.algorithms import ALGORITHMS
from hashlib_interop.carrying import (
    CHANGED,
    NOT_CARRIED,
    Losses,
    first_items,
    kinds,
    own_extra,
    project,
    schemes,
    texts_without,
    whole_seconds,
)
from hashlib_interop.format import Carry, Format, Writing, whole
from hashlib_interop.handling import ALL
from hashlib_interop.model import DIGESTS, ENTRY_SCHEMA, Classification, Entry, Handling, batch_of
from tests.strategies import abouts, batches, digests

WRITING = Writing("out", drop_handling=frozenset({ALL}), known_files=True)
MD5, SHA1 = b"\x01\x02" * 8, b"\x03\x04" * 10


def format_of(**settings: Any) -> Format:
    """Return a format that carries MD5, and whatever else is said."""
    carries = {"md5": whole("md5"), **settings.pop("carries", {})}
    return Format(name="vics", title="", spec="", sniff=lambda head: 0, carries=carries, **settings)


def carried(batch: pa.RecordBatch, format: Format) -> tuple[list[dict[str, Any]], list[tuple[str, str, int, str]]]:
    """Return the rows that are carried, and the losses."""
    losses = Losses()
    rows = project(batch, format, WRITING, losses).to_pylist()
    return rows, [(loss.field, loss.reason, loss.count, loss.example) for loss in losses]


def by(rule: Carry, batch: pa.RecordBatch) -> list[Any]:
    """Return the column that a rule gives; it has the type of the schema."""
    column = rule(batch, WRITING)
    assert len(column) == batch.num_rows
    column.validate(full=True)
    return column.to_pylist()


def test_what_has_no_place_is_lost_and_said() -> None:
    """By field, with a count and the first example; the ref falls back to the strongest digest carried."""
    rows = [
        Entry(source="a", ref="r1", md5=MD5, sha1=SHA1, series="S\x1b", tags=("t",)),
        Entry(source="a", md5=MD5, series="T", seq=2),
    ]
    found, losses = carried(batch_of(rows), format_of())
    assert [row["ref"] for row in found] == [f"md5:{MD5.hex()}"] * 2
    assert [row["seq"] for row in found] == [0, 0]
    assert losses == [
        ("ref", NOT_CARRIED, 1, "r1"),
        ("seq", NOT_CARRIED, 1, "2"),
        ("series", NOT_CARRIED, 2, "S\\x1b"),
        ("sha1", NOT_CARRIED, 1, SHA1.hex()),
        ("tags", NOT_CARRIED, 1, "['t']"),
    ]


@pytest.mark.parametrize(
    ("entry", "settings", "reason"),
    [
        ({"state": "retracted", "md5": MD5}, {}, "a retraction has no place in this format"),
        ({"vote": "up", "about": {"source": "b2", "ref": "x"}, "ref": "r"}, {}, "a vote or decision has no place in this format"),
        ({"sha1": SHA1}, {}, "no digest that the format carries"),
        ({"md5": MD5}, {"needs": ("media",)}, "the format needs media"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_written_is_a_lost_record(entry, settings, reason) -> None:
    """One loss, whatever else the row has."""
    row = Entry(**{"source": "a", "ref": "r\n", "series": "S"} | entry)
    found, losses = carried(batch_of([row]), format_of(**settings))
    assert (found, losses) == ([], [("record", reason, 1, row.ref.replace("\n", "\\n"))])


def test_retractions_and_votes_need_no_digest_where_they_have_a_place() -> None:
    """They speak of a register, not of a file."""
    rows = [Entry(source="a", ref="r", state="retracted"), Entry(source="a", ref="v", about={"source": "b2", "ref": "x"})]
    places = {name: whole(name) for name in ("state", "about", "ref")}
    found, losses = carried(batch_of(rows), format_of(carries=places))
    assert [row["ref"] for row in found] == ["r", "v"] and losses == []


def test_a_restriction_keeps_a_row_back_unless_it_is_named() -> None:
    """By its code, or all; what is dropped then is a loss of the field."""
    label = Handling(tlp="AMBER", codes=("EUROPOL:H2",))
    batch = batch_of([Entry(source="a", md5=MD5, handling=label), Entry(source="a", sha1=SHA1, md5=SHA1[:16])])

    def lost(*names: str) -> list[tuple[str, str, int]]:
        losses = Losses()
        project(batch, format_of(carries={"sha1": whole("sha1")}), Writing("out", drop_handling=frozenset(names)), losses)
        return [(loss.field, loss.reason, loss.count) for loss in losses]

    assert lost() == [("record", "restricted by EUROPOL:H2, TLP:AMBER, which vics cannot say: --drop-handling takes it off", 1)]
    assert lost("TLP:AMBER") == [("record", "restricted by EUROPOL:H2, which vics cannot say: --drop-handling takes it off", 1)]
    assert lost("TLP:AMBER", "EUROPOL:H2") == lost(ALL) == [("handling", NOT_CARRIED, 1)]


def test_a_known_file_is_marked_as_one_or_not_written() -> None:
    """Among other entries it would look like them; with another classification it says what that says."""
    nsrl, vics = Classification(scheme="nsrl", code="present"), Classification(scheme="vics/US", code="1")
    rows = [Entry(source="a", md5=MD5, classifications=codes) for codes in ((nsrl,), (nsrl, vics), ())]
    said = {"carries": {"classifications": schemes(lambda scheme, writing: scheme == "nsrl")}}
    for settings, known, written in (({}, False, 2), ({}, True, 3), (said, False, 3)):
        losses = Losses()
        kept = project(batch_of(rows), format_of(**settings), Writing("out", known_files=known), losses)
        assert kept.num_rows == written
        assert [loss.count for loss in losses if loss.field == "record"] == [1] * (3 - written)


def test_attribution_is_lost_where_there_was_more_than_one_source() -> None:
    """One loss, the sources named; a format that keeps entries keeps it."""
    rows = [Entry(source=name, md5=MD5) for name in ("a", "b2", "a")]
    assert carried(batch_of(rows), format_of())[1] == [("source", NOT_CARRIED, 3, "a, b2")]
    keeping = {"keeps_entries": True, "carries": {"source": whole("source")}}
    assert carried(batch_of(rows), format_of(**keeping))[1] == []


@given(batch=batches(md5=digests("md5"), state="active", about=None))
def test_all_that_is_not_carried_is_null(batch) -> None:
    """And the projection of a projection is itself, without losses."""
    format = format_of(carries={"tags": whole("tags")})
    losses = Losses()
    once = project(batch, format, WRITING, losses)
    assert once.num_rows == batch.num_rows and once.schema == ENTRY_SCHEMA
    again = Losses()
    assert project(once, format, WRITING, again).to_pylist() == once.to_pylist()
    assert [loss for loss in again if loss.field != "source"] == []
    lost = {loss.field: loss.count for loss in losses if loss.field != "source"}
    for name in ENTRY_SCHEMA.names[:-2]:
        rows = zip(batch.to_pylist(), once.to_pylist(), strict=True)
        told = [row for row, after in rows if row[name] != after[name] and not (name == "ref" and is_derived(row))]
        assert len(told) == lost.get(name, 0)


def is_derived(row: dict[str, Any]) -> bool:
    """Tell whether a ref is only the strongest digest: that cannot be lost alone."""
    strongest = next((f"{a}:{row[a].hex()}" for a in ALGORITHMS if row[a] is not None), None)
    return bool(row["ref"] == strongest)


@given(batch=batches(about=abouts()))
def test_what_is_gone_and_what_is_there_in_part_are_told_apart(batch) -> None:
    """A field of which something is left is carried in part; one of which nothing is left is not carried."""
    format = format_of(needs_digest=False, carries={"tags": lambda b, w: first_items(b.column("tags"), 1)})
    reasons = {loss.field: loss.reason for loss in losses_of(batch, format)}
    assert reasons.get("tags", CHANGED) == CHANGED
    assert reasons.get("series", NOT_CARRIED) == NOT_CARRIED
    nothing = format_of(needs_digest=False, carries={"tags": lambda b, w: pa.nulls(b.num_rows, pa.list_(pa.string()))})
    assert {loss.reason for loss in losses_of(batch, nothing) if loss.field == "tags"} <= {NOT_CARRIED}


def losses_of(batch: pa.RecordBatch, format: Format) -> Losses:
    """Return the losses of a projection."""
    losses = Losses()
    project(batch, format, WRITING, losses)
    return losses


@given(batch=batches(), most=st.sampled_from([None, 1, 2]))
def test_schemes_keep_the_first_of_the_allowed(batch, most) -> None:
    """At most so many a row, in order; the rest of the row goes."""
    found = by(schemes(lambda name, writing: name.startswith("vics/"), most), batch)
    for row, kept in zip(batch.column("classifications").to_pylist(), found, strict=True):
        wanted = [item for item in row or [] if item["scheme"].startswith("vics/")][:most]
        assert kept == (wanted or None)


@given(batch=batches(), most=st.integers(1, 2))
def test_kinds_keep_so_many_of_each(batch, most) -> None:
    """The first in order, kind by kind."""
    found = by(kinds("pdq", "ssdeep", "photodna", most_each=most), batch)
    for row, kept in zip(batch.column("fingerprints").to_pylist(), found, strict=True):
        wanted = [
            item
            for place, item in enumerate(row or [])
            if item["kind"] in ("pdq", "ssdeep", "photodna")
            and sum(other["kind"] == item["kind"] for other in row[:place]) < most
        ]
        assert kept == (wanted or None)


@given(batch=batches(), most=st.integers(1, 3))
def test_first_items(batch, most) -> None:
    """Of each row."""
    lists = batch.column("tags")
    assert first_items(lists, most).to_pylist() == [row[:most] if row else None for row in lists.to_pylist()]


@given(batch=batches(), most=st.sampled_from([None, 1]))
def test_texts_without_what_would_not_survive(batch, most) -> None:
    """No forbidden character, no outer white space; of a list the other items stay."""

    def survives(text: str) -> bool:
        return not set(text) & set(";\n") and text == text.strip() and not text.startswith("\ufeff")

    found = by(texts_without("tags", ";", "\n", most=most), batch)
    for row, kept in zip(batch.column("tags").to_pylist(), found, strict=True):
        assert all(item in row for item in kept or [])
        assert len(kept or []) <= (most or 99)
        if most is None:
            missing = [item for item in row or [] if item not in (kept or [])]
            assert not [item for item in missing if survives(item) and item.isascii() and item.isprintable()]
            assert not [item for item in kept or [] if set(item) & set(";\n") or item != item.strip(" \t\r\n")]
    for text, kept in zip(
        batch.column("series").to_pylist(), by(texts_without("series", ";"), batch), strict=True
    ):
        assert kept in (text, None)


@given(batch=batches())
def test_only_the_own_extra_is_carried(batch) -> None:
    """What another format put there is lost."""
    import json

    for text, kept in zip(batch.column("extra").to_pylist(), by(own_extra("vics"), batch), strict=True):
        own = json.loads(text).get("vics") if text else None
        assert (json.loads(kept) if kept else None) == ({"vics": own} if own else None)


@given(batch=batches())
def test_stamps_are_cut_to_the_second(batch) -> None:
    """Downwards."""
    for stamp, kept in zip(batch.column("asserted_at").to_pylist(), by(whole_seconds, batch), strict=True):
        assert kept == (stamp and stamp.replace(microsecond=0))


def test_stamps_before_1970_are_cut_downwards_too() -> None:
    """A second is a second."""
    early = datetime(1969, 12, 31, 23, 59, 58, 500_000, tzinfo=UTC)
    batch = batch_of([Entry(source="a", md5=MD5, asserted_at=early)])
    assert by(whole_seconds, batch) == [early - timedelta(milliseconds=500)]


def test_rules_on_empty_batches() -> None:
    """No rows, no trouble."""
    batch = batch_of([])
    for rule in (schemes(lambda n, w: True), kinds("pdq"), texts_without("tags", ","), own_extra("vics"), whole_seconds):
        assert by(rule, batch) == []
    assert project(batch, format_of(), WRITING, Losses()).num_rows == 0
    assert set(DIGESTS) <= set(ENTRY_SCHEMA.names)
