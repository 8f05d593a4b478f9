"""ICSE: what its columns mean, which rows are refused, and that writing gives the published shape back."""

from __future__ import annotations

import base64
import hashlib
import io
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop.carrying import Losses, project
from hashlib_interop.errors import MalformedInput, TooManyRejects
from hashlib_interop.format import Writing
from hashlib_interop.formats.icse import FORMAT, MAPPING
from hashlib_interop.model import Classification, Entry, Fingerprint, batch_of
from hashlib_interop.reading import Reader, open_readers, read
from hashlib_interop.writing import write, write_stream
from tests.strategies import batches

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "cases" / "icse"
HEADER = ";".join(MAPPING.columns)


def md5(seed: int) -> str:
    """Return a synthetic digest, hex."""
    return hashlib.md5(b"synthetic-%d" % seed).hexdigest()


def row(**cells: str) -> str:
    """Return a row with some cells, named without their spaces."""
    names = {name.replace(" ", ""): name for name in MAPPING.columns}
    full = dict.fromkeys(MAPPING.columns, "") | {names[name]: cell for name, cell in cells.items()}
    return ";".join(full.values())


@pytest.fixture
def reader(tmp_path):
    """Return a reader of lines under the header."""

    def made(*lines: str, header: str = HEADER, **settings) -> Reader:
        path = tmp_path / "list.csv"
        path.write_text("\n".join([header, *lines, ""]))
        return open_readers(path, format="icse", **settings)[0]

    return made


def test_the_clean_sample_comes_back_byte_for_byte_but_for_its_line_ends(tmp_path) -> None:
    """Order of the columns, `;`, case of hex, Y/N, Yes/No, True/False; we end lines in LF."""
    write(read(CASES / "clean" / "input.csv", format="icse"), tmp_path / "out", format="icse")
    sample = (CASES / "clean" / "input.csv").read_bytes()
    assert (tmp_path / "out").read_bytes() == sample.replace(b"\r\n", b"\n")


def test_a_bad_md5_costs_its_row_only() -> None:
    """The 33-character MD5 that the real file is reported to hold."""
    (one,) = open_readers(CASES / "quirks" / "input.csv", format="icse")
    assert len(list(one)) == 3
    assert [(r.position, r.field, r.value[:4]) for r in one.rejects] == [(5, "MD5", "2d59")]


@pytest.mark.parametrize("word", ["Y", "y", "yes", "YES", "True", "t"])
def test_flags_have_several_words(reader, word) -> None:
    """In any case; empty is not stated; anything else refuses the row."""
    found = list(reader(row(MD5=md5(1), Isdistributed=word)))
    assert [(e.is_distributed, e.victim_identified) for e in found] == [(True, None)]


def test_baseline_no_is_a_statement_not_an_absence(reader) -> None:
    """`No` is kept as the raw code: the row is in ICSE and not in INTERPOL's Baseline."""
    found = list(reader(row(MD5=md5(1), Baseline="No"), row(MD5=md5(2))))
    assert [e.classifications for e in found] == [
        (Classification(scheme="interpol/baseline", code="No"),),
        (),
    ]


@pytest.mark.parametrize("word", ["yes", "Y", "1", "Baseline"])
def test_a_baseline_that_is_neither_yes_nor_no_refuses_its_row(reader, word) -> None:
    """It is a code of `interpol/baseline`, not a flag: kept as it stands or not at all."""
    one = reader(row(MD5=md5(1), Baseline=word))
    assert not list(one) and [r.field for r in one.rejects] == ["Baseline"]


@pytest.mark.parametrize("code", ["Yes", "No"])
def test_baseline_is_a_classification_of_its_own_scheme(code, tmp_path) -> None:
    """Written from `interpol/baseline` only; no category of another scheme becomes one."""
    ours, other = Classification(scheme="interpol/baseline", code=code), Classification(scheme="vics/US", code="1")
    done = write([Entry(source="a", md5=md5(1), classifications=(ours, other))], tmp_path / "out", format="icse")
    assert [(loss.field, loss.count) for loss in done.losses] == [("classifications", 1)]
    assert [e.classifications for e in read(tmp_path / "out", format="icse")] == [(ours,)]
    assert not [e.classifications for e in read(tmp_path / "out") if e.classifications != (ours,)]


def test_zz40_and_lace_are_carried_both_ways(tmp_path) -> None:
    """ZZ40 of 16 bytes in upper hex, Lace of 129 bytes in base64, PhotoDNA in upper hex; as opaque bytes."""
    sample = (CASES / "clean" / "input.csv").read_text().splitlines()[1].split(";")
    kinds = {"zz40": bytes.fromhex(sample[2]), "photodna": bytes.fromhex(sample[3]), "lace": base64.b64decode(sample[4])}
    entry = next(read(CASES / "clean" / "input.csv"))
    assert {one.kind: one.value for one in entry.fingerprints} == kinds and len(kinds["lace"]) == 129
    write([entry], tmp_path / "out", format="icse")
    assert (tmp_path / "out").read_text().splitlines()[1].split(";")[2:5] == sample[2:5]


def test_both_header_variants_give_the_same_of_what_both_hold() -> None:
    """The 12 columns that IPED requires, and the 16 of the published sample; each with one more field or none."""
    (short,), (long,) = ([e for e in read(CASES / name / "input.csv") if e.ref == "1001"] for name in ("twelve", "ended"))
    outside = {"classifications", "fingerprints", "evidence", "recorded_at"}
    assert short.model_dump(exclude=outside) == long.model_dump(exclude=outside)
    assert [one.kind for one in short.fingerprints] == ["photodna"]
    assert [one.kind for one in long.fingerprints] == ["lace", "photodna", "zz40"]


def test_what_is_written_has_the_twelve_columns_that_iped_wants(tmp_path) -> None:
    """And the four others; what was read of the shorter variant too."""
    write(read(CASES / "twelve" / "input.csv"), tmp_path / "out", format="icse")
    wanted = (CASES / "twelve" / "input.csv").read_text().splitlines()[0].split(";")
    header = (tmp_path / "out").read_text().splitlines()[0].split(";")
    assert len(wanted) == 12 and set(wanted) <= set(header) and len(header) == 16
    assert [e.id for e in read(tmp_path / "out")] == [e.id for e in read(CASES / "twelve" / "input.csv")]


def test_investigation_names_are_dropped_and_counted(reader) -> None:
    """Case data does not get in, not even into `extra`."""
    one = reader(row(MD5=md5(1), Investigationname="OPERATION CANARY"))
    assert "CANARY" not in repr(list(one)) and one.imports[0].dropped == {"Investigation name": 1}


def test_rows_with_one_image_id_and_different_content_are_two_entries(reader) -> None:
    """The register contradicts itself; that is for the merge to say."""
    found = list(reader(row(MD5=md5(1), ImageID="7"), row(MD5=md5(2), ImageID="7")))
    assert [e.ref for e in found] == ["7", "7"] and len({e.id for e in found}) == 2


def test_a_row_needs_a_digest_or_an_id(reader) -> None:
    """A PhotoDNA alone names nothing; with an id it is an entry."""
    one = reader(row(PhotoDNA="0A" * 144), row(PhotoDNA="0A" * 144, ImageID="7"))
    assert [(e.ref, e.fingerprints) for e in one] == [
        ("7", (Fingerprint(kind="photodna", value=b"\x0a" * 144),))
    ]
    assert [r.reason for r in one.rejects] == ["no digest and no record id"]


def test_a_header_without_a_required_column_is_no_list(reader) -> None:
    """ZZ40, Lace, Investigation name and Agency may be missing; the other 12 may not."""
    bare = ";".join(name for name, column in MAPPING.columns.items() if not column.optional)
    assert bare.count(";") == 11 and list(reader(header=bare)) == []
    with pytest.raises(MalformedInput, match="lacks Baseline"):
        list(reader(header=bare.removesuffix(";Baseline")))


def test_max_rejects_stops_the_run(reader) -> None:
    """One more than allowed is an error."""
    lines = [row(MD5="x")] * 3
    assert list(reader(*lines, max_rejects=3)) == []
    with pytest.raises(TooManyRejects):
        list(reader(*lines, max_rejects=2))


def test_unknown_columns_are_kept_and_written_on_request(tmp_path, reader) -> None:
    """The writer cannot know them before the last row: `also` names them."""
    entries = list(reader(row(MD5=md5(1)) + ";0-2", header=HEADER + ";Age band"))
    assert entries[0].extra == {"icse": {"Age band": "0-2"}}
    assert [loss.field for loss in write(entries, tmp_path / "a", format="icse").losses] == ["extra"]
    assert not write(entries, tmp_path / "b", format="icse", options={"also": "Age band"}).losses
    assert next(iter(read(tmp_path / "b", format="icse"))).extra == entries[0].extra


def test_a_derived_ref_is_not_written_as_an_image_id(tmp_path) -> None:
    """`md5:…` is our word, not INTERPOL's; it comes back by itself."""
    write([Entry(source="icse", md5=md5(1))], tmp_path / "out", format="icse")
    assert b"md5:" not in (tmp_path / "out").read_bytes()
    assert [e.ref for e in read(tmp_path / "out", format="icse")] == [f"md5:{md5(1)}"]


@given(batch=batches(max_size=4, state="active", about=None, handling=None), safe=st.sampled_from(["yes", "no"]))
def test_what_is_carried_comes_back_spreadsheet_safe_or_not(batch, safe, tmp_path) -> None:
    """Law 15 with the option that puts ' before what a spreadsheet would run."""
    options = {"spreadsheet_safe": safe}
    carried = project(batch, FORMAT, Writing("", options), Losses())
    stream = io.BytesIO()
    write_stream([batch], stream, FORMAT, Writing("", options))
    (tmp_path / "f").write_bytes(stream.getvalue())
    (one,) = open_readers(tmp_path / "f", format="icse", options=options)
    outside = {"source", "recorded_at", "evidence"}
    found = [{k: v for k, v in r.items() if k not in outside} for b in one.batches() for r in b.to_pylist()]
    assert found == [{k: v for k, v in r.items() if k not in outside} for r in carried.to_pylist()]
    assert not one.rejects


def test_no_cell_is_a_formula_when_it_is_made_safe(tmp_path) -> None:
    """OWASP's list, and the full-width forms."""
    series = ("=1+1", "+1", "-1", "@x", "\t=1", "\uff1d1", "'=1")
    entries = [Entry(source="a", md5=md5(n), series=text) for n, text in enumerate(series)]
    write(entries, tmp_path / "out", format="icse", options={"spreadsheet_safe": "yes"})
    cells = [line.split(";")[9] for line in (tmp_path / "out").read_text().splitlines()[1:]]
    assert cells == ["'" + text for text in series]
    assert [
        e.series for e in read(tmp_path / "out", format="icse", options={"spreadsheet_safe": "yes"})
    ] == list(series)


def test_the_benchmark_generator_makes_a_list_that_is_read_whole(tmp_path) -> None:
    """And the same bytes twice."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        from icse_sample import make
    finally:
        sys.path.pop(0)
    make(tmp_path / "a", 50, seed=3)
    make(tmp_path / "b", 50, seed=3)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert len(batch_of(list(read(tmp_path / "a", format="icse")))) == 50


def test_sniffing_wants_the_twelve_names_and_semicolons() -> None:
    """In any order and case."""
    assert FORMAT.sniff(HEADER.upper().encode() + b"\r\n") == 95
    assert FORMAT.sniff(HEADER.replace(";", ",").encode()) == 0
    assert FORMAT.sniff(HEADER.replace("Baseline", "B").encode()) == 0
