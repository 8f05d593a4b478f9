"""ReportIndex: what its elements mean, what is dropped, the cut end, and the way there and back."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashlib_interop.carrying import Losses, project
from hashlib_interop.errors import InteropError, MalformedInput
from hashlib_interop.format import Writing
from hashlib_interop.formats._c4p_record import last_step
from hashlib_interop.formats.c4p import FORMAT, sniff
from hashlib_interop.model import Classification, Entry, batch_of, entries_of
from hashlib_interop.reading import Reader, open_readers, read
from hashlib_interop.writing import write
from tests.strategies import wordings

CASES = Path(__file__).parents[1] / "cases" / "c4p"
MD5 = hashlib.md5(b"synthetic-1").hexdigest()
KEEP = {"paths": "yes", "free_text": "yes"}


def done(path: Path, **options: str) -> tuple[list[Entry], Reader]:
    """Return the entries of a file, and the reader when it has read."""
    (reader,) = open_readers(path, format="c4p", options=options)
    return list(reader), reader


def case(name: str, **options: str) -> tuple[list[Entry], Reader]:
    """Read the input of a case."""
    return done(CASES / name / "input.xml", **options)


def test_the_sample() -> None:
    """Digests, size, the category as a number of a local scheme; times as they stand and no stamp of them."""
    (entry,), reader = case("images_utf16")
    assert (entry.md5.hex(), entry.size, entry.media, entry.file_names) == (MD5, 2835, "image", ("synthetic-1.jpg",))
    assert entry.classifications == (Classification(scheme="c4all/local", code="1"),)
    assert entry.asserted_at is None
    assert entry.extra["c4p"]["created"] == "1704099600" and "deleted" not in entry.extra["c4p"]
    assert "encaseHash" not in entry.extra["c4p"]
    assert reader.facts == {"version": "2.0"}


def test_paths_and_notes_are_dropped_and_counted_unless_asked_for() -> None:
    """They hold names of persons and cases; the file's own name stays."""
    (entry, _), reader = case("movies")
    assert entry.file_names == ("a & b.mp4",) and entry.extra["c4p"]["newer"] == "kept"
    assert not {"path", "movie", "fullpath", "notes"} & set(entry.extra["c4p"])
    dropped = reader.imports[0].dropped
    assert (dropped["fullpath (a path)"], dropped["notes (free text)"], dropped["id (a number local to the file)"]) == (2, 1, 2)
    (entry,), _ = case("movies_kept", **KEEP)
    assert entry.extra["c4p"]["fullpath"] == r"Case 7\Disk.E01\Users\somebody\a & b.mp4"
    assert entry.extra["c4p"]["notes"] == "somebody said"


def test_a_category_of_0_is_no_statement() -> None:
    """It says that the database did not know the file; exporters without one write it always."""
    (_, entry), reader = case("movies")
    assert entry.classifications == () and reader.imports[0].dropped["category 0 (not in the database)"] == 1


def test_no_path_or_note_comes_out_with_a_reject() -> None:
    """The raw record is handed on without them."""
    entries, reader = case("bad_records")
    assert len(entries) == 1 and [one.position for one in reader.rejects] == [1, 2, 3, 4, 5, 6]
    assert "somebody" not in repr(reader.rejects) and "secret<" not in repr(reader.rejects)
    assert reader.rejects[0].raw and "secret.jpg" in reader.rejects[0].raw


def test_a_refused_record_that_is_mended_can_be_read(tmp_path) -> None:
    """In its frame."""
    _, reader = case("bad_records")
    reject = reader.rejects[0]
    raw = str(reject.raw).replace(reject.value, MD5)
    (tmp_path / "one").write_text(reject.frame[0] + raw + reject.frame[1])
    (entry,), _ = done(tmp_path / "one")
    assert entry.md5.hex() == MD5 and entry.file_names == ("secret.jpg",)


# A missing end -------------------------------------------------------------------------------------------


def test_a_missing_end_is_refused_unless_accepted() -> None:
    """And then it is a fact."""
    with pytest.raises(MalformedInput, match="cut off"):
        case("truncated")
    entries, reader = case("truncated_accepted", truncated="accept")
    assert len(entries) == 1 and reader.facts["truncated"].startswith("the end is missing;")
    whole, reader = case("movies", truncated="accept")
    assert len(whole) == 2 and "truncated" not in reader.facts


def test_cut_anywhere_and_accepted_gives_whole_records_only(tmp_path) -> None:
    """A prefix of the entries with the fact, or an error of ours; nothing invented."""
    text = (CASES / "movies" / "input.xml").read_text("utf-16")
    whole, _ = case("movies")
    for end in range(0, len(text), 5):
        (tmp_path / "cut").write_bytes(text[:end].encode("utf-16"))
        try:
            entries, reader = done(tmp_path / "cut", truncated="accept")
        except InteropError:
            assert text.rfind("</Movie>", 0, end) < 0
            continue
        assert entries and [entry.id for entry in entries] == [entry.id for entry in whole[: len(entries)]]
        assert "truncated" in reader.facts or text[:end].rstrip().endswith("</ReportIndex>")


def test_a_broken_middle_is_no_missing_end(tmp_path) -> None:
    """Accepting a cut accepts nothing else."""
    text = (CASES / "movies" / "input.xml").read_text("utf-16")
    for broken in (text.replace("<hash>", "<hash", 1), text.replace("<movie>", "<!DOCTYPE x><movie>"), "<Image></Image>"):
        (tmp_path / "broken").write_text(broken)
        with pytest.raises(MalformedInput):
            done(tmp_path / "broken", truncated="accept")


# Writer --------------------------------------------------------------------------------------------------


def test_the_sample_comes_back_as_it_was(tmp_path) -> None:
    """With everything kept: the same records, in UTF-16, the elements in their order."""
    for name, kept in (("images_utf16", KEEP), ("movies_kept", KEEP), ("movies", {})):
        entries, _ = case(name, **kept)
        result = write(entries, tmp_path / "out", format="c4p", options=kept)
        assert not result.losses
        again, _ = done(tmp_path / "out", **kept)
        assert [entry.id for entry in again] == [entry.id for entry in entries]
    write(case("images_utf16", **KEEP)[0], tmp_path / "out", format="c4p", options=KEEP)
    ours, sample = ((p.read_text("utf-16").split()) for p in (tmp_path / "out", CASES / "images_utf16" / "input.xml"))
    assert [w for w in ours if "subCat" not in w and "notes" not in w] == [
        w for w in sample if "subCat" not in w and "notes" not in w and w not in ("<monikers></monikers>",)
    ]


def test_what_is_neither_image_nor_video_cannot_be_written(tmp_path) -> None:
    """A record says Image or Movie; nothing is guessed."""
    rows = [Entry(source="a", md5=MD5, media=media) for media in (None, "other", "video")]
    result = write(rows, tmp_path / "out", format="c4p")
    assert (result.written, [(loss.field, loss.count) for loss in result.losses]) == (1, [("record", 2)])


OWN = st.dictionaries(
    st.sampled_from(["created", "fullpath", "path", "notes", "encaseHash", "hash", "New", "new", "b b", "id", "Category"]),
    st.one_of(wordings(), st.sampled_from([MD5, MD5.upper(), "C:\\x\\a", "/b/a", "x\\", "a", " "]), st.integers()),
    max_size=4,
)
ROWS = st.builds(
    Entry, source=st.just("a"), md5=st.one_of(st.none(), st.just(MD5)), sha1=st.just(hashlib.sha1(b"synthetic-1").digest()),
    media=st.sampled_from(["image", "video"]), extra=OWN.map(lambda own: {"c4p": own} if own else {}),
    file_names=st.lists(st.one_of(wordings(), st.sampled_from(["a", "b"])), max_size=2).map(tuple),
    classifications=st.lists(st.builds(Classification, scheme=st.sampled_from(["c4all/local", "vics/US"]),
        code=st.sampled_from(["0", "00", "1", "-3", "11", "x"])), max_size=2).map(tuple),
)  # fmt: skip


@given(rows=st.lists(ROWS, max_size=4), options=st.sampled_from([{}, KEEP]))
@settings(max_examples=150)
def test_law_15_for_its_own_fields(tmp_path, rows: list[Entry], options: dict[str, Any]) -> None:
    """read(write(project(x))) == project(x)."""
    carried = entries_of(project(batch_of(rows), FORMAT, Writing("", options), Losses()))
    write(rows, tmp_path / "out", format="c4p", options=options)
    back = list(read(tmp_path / "out", source="a", format="c4p", options=options))
    bare = {"recorded_at", "evidence"}
    assert [entry.model_dump(exclude=bare) for entry in back] == [entry.model_dump(exclude=bare) for entry in carried]


def test_sniff_claims_a_report_index_and_no_other() -> None:
    """Also in UTF-16 as it stands."""
    assert sniff("\ufeff<?xml version='1.0'?>\n <ReportIndex version='1.0'>".encode("utf-16-be")) == 95
    for other in (b"", b"<a/>", b"<ReportIndexes/>", b"{}", b"\xff\xfe", b"<CaseReport/>"):
        assert sniff(other) == 0


@pytest.mark.parametrize("path", [r"C:\Users\CANARY/x.jpg", r"/home/CANARY\x.jpg", r"C:/CANARY/x.jpg"])
def test_no_folder_stays_in_a_name_where_separators_are_mixed(path) -> None:
    """Windows takes both."""
    assert last_step(path) == "x.jpg"
