"""Griffeye: columns by name, texts as they stand, what is dropped, and the way there and back."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop.carrying import Losses, project
from hashlib_interop.errors import MalformedInput
from hashlib_interop.format import Writing
from hashlib_interop.formats.griffeye import FORMAT, HIDDEN, NAMES, sniff
from hashlib_interop.model import Classification, Entry, batch_of, entries_of
from hashlib_interop.reading import open_readers, read
from hashlib_interop.writing import write
from tests.strategies import wordings

CASES = Path(__file__).parents[1] / "cases" / "griffeye"
SAMPLE = CASES / "file_list" / "input.csv"
KEEP = dict.fromkeys(HIDDEN, "yes")
MD5 = hashlib.md5(b"synthetic-1").hexdigest()


def test_there_are_59_columns() -> None:
    """In the order of the sample's header, its misspelling included."""
    assert len(NAMES) == 59 and ",".join(NAMES) == SAMPLE.read_text().splitlines()[0]


def test_the_sample() -> None:
    """Text categories have a scheme of their own; dates stay as they stand, no stamp is made of them."""
    (entry,) = read(SAMPLE)
    label = "Child Exploitive (non-CAM) / Age Difficult"
    assert entry.classifications == (Classification(scheme="griffeye/local", code=label),)
    assert entry.asserted_at is None and entry.extra["griffeye"]["Created Date"] == "1/1/2024 9:00:00 AM"
    assert (entry.media, entry.is_distributed, entry.size, entry.tags) == ("image", True, 2835, ("#synthetic",))
    assert [d.algorithm for d in entry.digests] == ["sha512", "sha384", "sha256", "sha1", "md5"]
    assert entry.extra["griffeye"]["Identified"] == "Not Identified" and entry.victim_identified is None
    assert entry.extra["griffeye"]["DB: NSRL"] == "-1" and entry.extra["griffeye"]["Initial Category"] == "2"


def test_columns_are_found_by_name_and_unknown_words_are_kept() -> None:
    """Whatever the user chose, in any order and case; a word that is not known is no value."""
    (reader,) = open_readers(CASES / "chosen_columns" / "input.csv")
    first, second, third = list(reader)
    assert first.extra["griffeye"]["DB: Our own"] == "-1" and first.tags == ("#x,#y",)
    assert second.extra["griffeye"]["Distributed"] == "Not Distributed" and second.is_distributed is None
    assert second.extra["griffeye"]["Created Date"] == "13/1/2009 20:16" and second.media == "video"
    assert third.extra["griffeye"]["File Type"] == "Archive" and third.media is None
    assert [(one.position, one.field) for one in reader.rejects] == [(5, "MD5")]


def test_a_header_that_is_cut_off_is_no_empty_list(tmp_path) -> None:
    """Any column may be missing, so its line end and a digest are all that tells."""
    for end in (3, 10, len(",".join(NAMES))):
        (tmp_path / "cut").write_text(",".join(NAMES)[:end])
        with pytest.raises(MalformedInput):
            list(read(tmp_path / "cut", format="griffeye"))
    (tmp_path / "cut").write_text("File Name,Category,Nudity Level\na,b,1\n")
    with pytest.raises(MalformedInput, match="names no digest"):
        list(read(tmp_path / "cut", format="griffeye"))


def test_persons_paths_and_free_text_are_dropped_and_counted(tmp_path) -> None:
    """No canary comes through, in entries, imports or rejects; each kind comes through when asked for."""
    hidden = [name for names in HIDDEN.values() for name in names]
    lines = [",".join(["MD5", *hidden]), ",".join([MD5, *["CANARY"] * len(hidden)]), ",".join(["bad", *["CANARY"] * len(hidden)])]
    (tmp_path / "list").write_text("\n".join([*lines, ""]))
    (reader,) = open_readers(tmp_path / "list", format="griffeye")
    found = list(reader)
    assert len(found) == len(reader.rejects) == 1
    assert "CANARY" not in repr((found, reader.rejects, reader.imports))
    assert [reader.imports[0].dropped[name] for name in hidden] == [2] * len(hidden)
    for option, names in HIDDEN.items():
        (entry, *_) = read(tmp_path / "list", format="griffeye", options={option: "yes"})
        assert set(entry.extra["griffeye"]) == set(names)


def test_the_sample_comes_back_byte_for_byte_where_all_is_kept(tmp_path) -> None:
    """But for its line ends; what is dropped stands empty."""
    done = write(read(SAMPLE, options=KEEP), tmp_path / "out", format="griffeye", options=KEEP)
    assert (tmp_path / "out").read_text() == SAMPLE.read_text() and not done.losses
    write(read(SAMPLE), tmp_path / "out", format="griffeye")
    assert "Image.E01" not in (tmp_path / "out").read_text()
    assert [entry.id for entry in read(tmp_path / "out", source="griffeye")] == [entry.id for entry in read(SAMPLE)]


def test_columns_of_the_user_are_written_when_they_are_named(tmp_path) -> None:
    """Else they are a loss."""
    entries = list(read(CASES / "chosen_columns" / "input.csv", options={}))[:1]
    assert [loss.field for loss in write(entries, tmp_path / "out", format="griffeye").losses] == ["extra"]
    options = {"also": "DB: Our own"}
    assert not write(entries, tmp_path / "out", format="griffeye", options=options).losses
    assert next(iter(read(tmp_path / "out", source="griffeye"))).id == entries[0].id


OWN = st.dictionaries(
    st.sampled_from(["File Type", "Distributed", "Created Date", "Directory Path", "MD5", "DB: Our own", "Tags"]),
    st.one_of(st.sampled_from(["Image", "image", "Video", "Distributed", "Not Distributed", ""]), wordings(), st.integers()),
    max_size=4,
)  # fmt: skip
ROWS = st.builds(
    Entry, source=st.just("a"), md5=st.just(MD5), media=st.sampled_from([None, "image", "video", "other"]),
    is_distributed=st.sampled_from([None, True, False]), extra=OWN.map(lambda own: {"griffeye": own} if own else {}),
    tags=st.lists(wordings(1), max_size=2).map(tuple),
)  # fmt: skip


@given(rows=st.lists(ROWS, max_size=4), options=st.sampled_from([{}, KEEP]))
def test_law_15_for_its_own_fields(tmp_path, rows, options) -> None:
    """read(write(project(x))) == project(x), with known and unknown words."""
    carried = entries_of(project(batch_of(rows), FORMAT, Writing("", options), Losses()))
    write(rows, tmp_path / "out", format="griffeye", options=options)
    back = list(read(tmp_path / "out", source="a", format="griffeye", options=options))
    bare = {"recorded_at", "evidence"}
    assert [entry.model_dump(exclude=bare) for entry in back] == [entry.model_dump(exclude=bare) for entry in carried]


@pytest.mark.parametrize("header", ["MD5,SHA-1,File Name", "Nudity Level", "a,b,c,d,MD5,Nudity Level", '"MD5', ""])
def test_other_columns_are_not_claimed(header) -> None:
    """A digest and names that anybody could use say too little."""
    assert sniff(f"{header}\n1,2,3\n".encode()) == 0


def test_a_refused_row_that_is_mended_is_read_again(tmp_path: Path) -> None:
    """From the file of refused records, as a list of its own."""
    path, again = tmp_path / "list.csv", tmp_path / "refused.jsonl"
    path.write_text(f"MD5,Category,Visual Group\n{'a' * 31},CAT,1\n")
    lines: list[str] = []
    list(read(path, format="griffeye", on_reject=lambda reject: lines.append(reject.model_dump_json())))
    assert len(lines) == 1
    again.write_text(lines[0].replace("a" * 31, "a" * 32) + "\n")
    assert [entry.md5.hex() for entry in read(again)] == ["a" * 32]
