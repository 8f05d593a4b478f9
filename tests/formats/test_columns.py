"""Delimited text through a mapping: what a mapping may say, and that rows go through it both ways."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop.carrying import Losses, project
from hashlib_interop.errors import BadPolicy, MalformedInput
from hashlib_interop.format import Writing
from hashlib_interop.formats._mapping import load_mapping, shipped
from hashlib_interop.formats.columns import FORMAT
from hashlib_interop.model import Classification, Entry, Handling
from hashlib_interop.reading import open_readers, read
from hashlib_interop.sniffing import claims
from hashlib_interop.writing import write, write_stream
from tests.strategies import batches, entries

CASES = Path(__file__).parents[1] / "cases" / "columns"
NSRL = Classification(scheme="nsrl", code="present")
TABS = """
delimiter = "\\t"
quote = ""
header = false
[columns]
sha1 = { field = "sha1", encoding = "base32" }
seen = { field = "asserted_at", format = "unix-ms" }
names = { field = "file_names", separator = "||" }
tags = { field = "tags", separator = ";" }
media = { field = "media" }
note = { field = "extra" }
who = { field = "contributor" }
id = { field = "ref" }
"""


def md5(seed: int) -> str:
    """Return a synthetic digest, hex."""
    return hashlib.md5(b"synthetic-%d" % seed).hexdigest()


@pytest.fixture
def mapping(tmp_path):
    """Return the path of a mapping file with this text."""

    def made(text: str) -> str:
        (tmp_path / "mapping.toml").write_text(text)
        return str(tmp_path / "mapping.toml")

    return made


@pytest.fixture
def listed(tmp_path, mapping):
    """Return a reader of a list through a mapping."""

    def made(text: str, data: str | bytes, **options: str):
        path = tmp_path / "list"
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return open_readers(path, format="columns", options={"mapping": mapping(text), **options})[0]

    return made


@pytest.mark.parametrize("name", ["common", "conformance", "tabs"])
@given(batch=batches(max_size=4, state="active", about=None, handling=None), safe=st.sampled_from(["yes", "no"]))
def test_what_a_mapping_carries_comes_back(name, batch, safe, tmp_path) -> None:
    """Law 15: with and without quotes and a header, with and without the spreadsheet's apostrophe."""
    (tmp_path / "tabs").write_text(TABS)
    file = {"common": "common", "tabs": str(tmp_path / "tabs")}.get(
        name, str(CASES.parents[1] / "conformance_mapping.toml")
    )
    check(batch, {"mapping": file, "spreadsheet_safe": safe}, tmp_path)


@given(
    entry=entries(state="active", about=None, handling=None, classifications=(NSRL, Classification(scheme="a", code="b"))),
    other=entries(state="active", about=None, handling=None, classifications=()),
)
def test_a_constant_is_said_of_rows_that_say_it(entry, other, tmp_path) -> None:
    """No row becomes a known file by being written as one: the other rows are lost records, with the reason."""
    from hashlib_interop.model import batch_of

    losses = check(batch_of([entry, other]), {"mapping": "nsrl-rds2"}, tmp_path)
    reasons = {loss.reason for loss in losses if loss.field == "record"}
    assert reasons & {
        "the mapping says nsrl present of every row, this one does not",
        "no digest and no record id that the file can hold",
    }


def check(batch, options, folder) -> list:
    """Write and read: what comes back is what is carried."""
    losses = Losses()
    carried = project(batch, FORMAT, Writing("", options), losses)
    stream = io.BytesIO()
    write_stream([batch], stream, FORMAT, Writing("", options))
    (folder / "f").write_bytes(stream.getvalue())
    (one,) = open_readers(folder / "f", format="columns", options=options)
    outside = {"source", "recorded_at", "evidence"}
    found = [{k: v for k, v in r.items() if k not in outside} for b in one.batches() for r in b.to_pylist()]
    assert found == [{k: v for k, v in r.items() if k not in outside} for r in carried.to_pylist()]
    assert not one.rejects
    return list(losses)


def test_a_shipped_header_is_recognised_and_no_example_is() -> None:
    """Exactly, in any case; two shipped mappings never have one header."""
    for name in shipped():
        mapping, _ = load_mapping(name)
        head = mapping.delimiter.join(
            f'"{n}"'.upper() if mapping.quote else n for n in mapping.columns
        ).encode()
        assert FORMAT.sniff(head + b"\r\n") == (0 if mapping.example else 75)
    assert FORMAT.sniff(b'"SHA-1","MD5"\n') == 0
    assert len({tuple(load_mapping(name)[0].columns) for name in shipped()}) == len(shipped())


def test_the_mapping_is_a_fact_of_the_file() -> None:
    """Its name and the SHA-256 of its text; also where the header chose it."""
    (one,) = open_readers(CASES / "nsrl_rds2" / "input.txt")
    found = list(one)
    name, digest = one.imports[0].facts["mapping"].split()
    assert (one.format.name, name, len(digest), len(found)) == ("columns", "nsrl-rds2", 64, 5)
    assert all(NSRL in entry.classifications for entry in found)


def test_nsrl_comes_back_but_for_its_quotes(tmp_path) -> None:
    """Every value; a second reading gives the same entries."""
    first = list(read(CASES / "nsrl_rds2" / "input.txt"))
    done = write(first, tmp_path / "out", format="columns", options={"mapping": "nsrl-rds2"})
    assert not done.losses
    assert [e.id for e in read(tmp_path / "out")] == [e.id for e in first]


def test_a_hash_of_two_products_is_two_entries_of_one_register(tmp_path) -> None:
    """NSRL repeats a hash once a (file, product)."""
    header = (CASES / "nsrl_rds2" / "input.txt").read_text().splitlines()[0]
    sha1 = hashlib.sha1(b"synthetic-1").hexdigest().upper()
    rows = [f'"{sha1}","{md5(1).upper()}","00000000","a.txt",1,{product},"WIN",""' for product in (1, 2)]
    (tmp_path / "list").write_text("\n".join([header, *rows, ""]))
    found = list(read(tmp_path / "list"))
    assert len({e.ref for e in found}) == 1 and len({e.id for e in found}) == 2


def test_an_unknown_header_needs_a_mapping(tmp_path) -> None:
    """The error says how to give one."""
    (tmp_path / "list").write_text(f"hash\n{md5(1)}\n")
    with pytest.raises(BadPolicy, match="--option mapping=FILE"):
        list(read(tmp_path / "list", format="columns"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "columns: Field required"),
        ("[columns]\na = { field = 'md6' }", r"columns\.a\.field.*unknown field"),
        ("[columns]\na = { field = 'size' }", "one must be a digest or the ref"),
        ("[columns]\na = { field = 'md5' }\nb = { field = 'md5' }", "md5 comes from two places"),
        ("[columns]\na = { field = 'md5', colour = 1 }", r"columns\.a\.colour"),
        ("[columns]\na = { field = 'md5' }\nb = { field = 'classification' }", "needs a scheme"),
        ("[columns]\na = { field = 'md5' }\nb = { field = 'asserted_at' }", "a date is never guessed"),
        ("[columns]\na = { field = 'md5' }\nb = { field = 'asserted_at', format = '%Y' }", "give a zone"),
        (
            "[columns]\na = { field = 'md5' }\nb = { field = 'asserted_at', format = '%Y', zone = 'X/Y' }",
            "unknown time zone",
        ),
        (
            "[columns]\na = { field = 'md5' }\nb = { field = 'media', values = { x = 'film' } }",
            "media cannot be",
        ),
        ("[columns]\na = { field = 'md5', separator = '|' }", "md5 is no list"),
        ("delimiter = 'a'\n[columns]\na = { field = 'md5' }", "delimiter"),
        ("encoding = 'utf-99'\n[columns]\na = { field = 'md5' }", "unknown encoding"),
        (
            "[constants]\nmedia = 'image'\n[columns]\na = { field = 'md5' }\nb = { field = 'media' }",
            "two places",
        ),
        ("[columns", "not TOML"),
    ],
)
def test_a_wrong_mapping_names_its_key(text, message, mapping) -> None:
    """And is refused before any row is read."""
    with pytest.raises(BadPolicy, match=message):
        load_mapping(mapping(text))


def test_a_mapping_that_is_missing_names_those_that_are_shipped() -> None:
    """The likeliest mistake is a misspelt name."""
    with pytest.raises(BadPolicy, match="no such file.*hashkeeper, iwf-example, nsrl-rds2"):
        load_mapping("nsrl")


def test_columns_that_the_mapping_does_not_name(listed) -> None:
    """Go to `extra`, are dropped and counted, or refuse the file: as it says."""
    text, data = "[columns]\nmd5 = { field = 'md5' }\n", f"MD5,Colour\n{md5(1)},red\n"
    assert next(iter(listed(text, data))).extra == {"columns": {"Colour": "red"}}
    one = listed("unmapped = 'drop'\n" + text, data)
    assert [e.extra for e in one] == [{}] and one.imports[0].dropped == {"Colour": 1}
    with pytest.raises(MalformedInput, match="does not know the columns 'Colour'"):
        list(listed("unmapped = 'refuse'\n" + text, data))
    with pytest.raises(MalformedInput, match="lacks md5"):
        list(listed(text, "Colour\nred\n"))


def test_an_encoding_is_said_by_the_mapping_and_a_mark_overrules_it(listed) -> None:
    """Bytes are never tried in one encoding after the other."""
    text = "encoding = 'cp1252'\n[columns]\nmd5 = { field = 'md5' }\nwho = { field = 'contributor' }\n"
    data = f"md5,who\n{md5(1)},€é\n"
    for encoded in (
        data.encode("cp1252"),
        b"\xef\xbb\xbf" + data.encode(),
        b"\xff\xfe" + data.encode("utf-16-le"),
    ):
        assert next(iter(listed(text, encoded))).contributor == "€é"
    assert next(iter(listed(text, data.encode(), encoding="utf-8"))).contributor == "€é"


def test_dates_are_read_in_their_zone_and_refused_where_they_are_no_time(listed) -> None:
    """The hour that summer time skips, the hour that it repeats, another format."""
    text = (
        "[columns]\nmd5 = { field = 'md5' }\n"
        "at = { field = 'asserted_at', format = '%Y-%m-%d %H:%M', zone = 'Europe/Paris' }\n"
    )
    stamps = ["2025-07-01 12:00", "2025-03-30 02:30", "2025-10-26 02:30", "2025-13-01 00:00", "1/2/2025", ""]
    one = listed(text, "md5,at\n" + "".join(f"{md5(n)},{stamp}\n" for n, stamp in enumerate(stamps)))
    assert [e.asserted_at for e in one] == [datetime(2025, 7, 1, 10, tzinfo=UTC), None]
    assert [r.position for r in one.rejects] == [3, 4, 5, 6]


def test_a_partner_may_tell_the_delivery(listed) -> None:
    """Else the format's default holds."""
    text = "[columns]\nmd5 = { field = 'md5' }\n"
    for said, delivery in (("", "snapshot"), ("delivery = 'delta'\n", "delta")):
        one = listed(said + text, f"md5\n{md5(1)}\n")
        list(one)
        assert one.imports[0].delivery == delivery


def test_only_shipped_headers_are_claimed() -> None:
    """Alone with the greatest claim."""
    head = (CASES / "hashkeeper" / "input.hsh").read_bytes()
    assert [(c.format, c.certainty) for c in claims(head)] == [("columns", 75)]


def test_a_row_without_what_the_mapping_can_hold_is_a_lost_record(tmp_path) -> None:
    """HashKeeper holds MD5 only."""
    constant = (Classification(scheme="known-file/hashkeeper", code="present"),)
    entry = Entry(source="a", sha256=hashlib.sha256(b"synthetic-1").digest(), classifications=constant)
    done = write([entry], tmp_path / "out", format="columns", options={"mapping": "hashkeeper"})
    assert [(loss.field, loss.reason) for loss in done.losses] == [
        ("record", "no digest and no record id that the file can hold")
    ]


def test_handling_stands_in_a_column_of_its_own(tmp_path, mapping):
    """Codes of any system are read; a label goes out whole, or the record stays."""
    text = '[columns]\nmd5 = { field = "md5" }\nrules = { field = "handling", separator = "; " }\n'
    (tmp_path / "list.csv").write_text(f"md5,rules\n{md5(1)},TLP:AMBER; H2\n{md5(2)},\n{md5(3)},by word of mouth\n")
    options = {"mapping": mapping(text)}
    found = list(read(tmp_path / "list.csv", format="columns", source="a", options=options))
    labels = [entry.handling for entry in found]
    assert labels == [Handling(tlp="AMBER", codes=("EUROPOL:H2",)), None, Handling(tlp="UNKNOWN", caveats=("by word of mouth",))]
    done = write(found, tmp_path / "again.csv", format="columns", options=options)
    assert done.losses == [] and list(read(tmp_path / "again.csv", format="columns", source="a", options=options))
    one = {"mapping": mapping('[columns]\nmd5 = { field = "md5" }\nrules = { field = "handling" }\n')}
    done = write(found, tmp_path / "one.csv", format="columns", options=one)
    assert [(loss.field, loss.count) for loss in done.losses] == [("record", 1), ("record", 1)]
    assert "TLP:AMBER" in done.losses[0].reason and done.written == 1
