"""The shipped example mappings both ways, and what columns hold of fingerprints: encodings and patterns."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop.algorithms import parse_decimals
from hashlib_interop.errors import BadDigest, BadPolicy
from hashlib_interop.formats._mapping import load_mapping
from hashlib_interop.formats.columns import FORMAT
from hashlib_interop.model import Classification, Entry, Fingerprint
from hashlib_interop.reading import open_readers, read
from hashlib_interop.writing import write

HERE = Path(__file__).parents[1]
CASES = HERE / "cases" / "columns"
IWF = {"mapping": "iwf-example"}


# IWF: an example, since the format is not public ----------------------------------------------------------


def test_the_iwf_example_goes_both_ways(tmp_path) -> None:
    """What is read of the case is written and read again, every value; only the analyst's note is gone."""
    (one,) = open_readers(CASES / "iwf_example" / "input.csv", format="columns", options=IWF)
    entries = list(one)
    assert not write(entries, tmp_path / "out", format="columns", options=IWF).losses
    assert [e.id for e in read(tmp_path / "out", format="columns", options=IWF, source="columns")] == [e.id for e in entries]
    assert one.imports[0].dropped == {"Analyst note": 1}
    assert "said" not in (tmp_path / "out").read_text().split(",")


def test_the_iwf_example_holds_what_the_iwf_says_in_public() -> None:
    """Hash types, UK category, age band, metadata; the category in its own scheme, derived from nothing."""
    first = next(read(CASES / "iwf_example" / "input.csv", format="columns", options=IWF))
    assert [digest.algorithm for digest in first.digests] == ["sha256", "sha1", "md5"]
    assert first.classifications == (Classification(scheme="uk/sc-2014", code="A"),)
    assert (first.contributor, first.self_generated, first.tags) == ("IWF", True, ("first", "second"))
    assert set(first.extra["columns"]) == {"Age band", "Ethnicity", "Self-evident", "Grid image"}


def test_the_iwf_example_is_never_recognised_and_says_that_it_is_one() -> None:
    """Its column names are invented: a file that has them is not known to be the IWF's."""
    mapping, _ = load_mapping("iwf-example")
    assert mapping.example and "invented" in mapping.title
    assert FORMAT.sniff((CASES / "iwf_example" / "input.csv").read_bytes()) == 0


def test_an_entry_of_another_is_not_written_as_the_iwfs(tmp_path) -> None:
    """The mapping says the contributor of every row."""
    done = write([Entry(source="a", md5=bytes(range(16)))], tmp_path / "out", format="columns", options=IWF)
    assert [(loss.field, loss.reason) for loss in done.losses] == [
        ("record", "the mapping says contributor IWF of every row, this one does not")
    ]


# Fingerprints ---------------------------------------------------------------------------------------------


def test_a_photodna_is_the_same_144_bytes_in_its_three_encodings(tmp_path) -> None:
    """Base64, hex in either case, decimals; and each can be written."""
    options = {"mapping": str(CASES / "photodna_encodings" / "mapping.toml")}
    said = json.loads((HERE / "samples" / "photodna_same_value_three_encodings.json").read_text())
    found = list(read(CASES / "photodna_encodings" / "input.csv", format="columns", options=options))
    value = base64.b64decode(said["base64_192"])
    assert [e.fingerprints for e in found] == [(Fingerprint(kind="photodna", value=value),)] * 4 and len(value) == 144
    written = {"base64": said["base64_192"], "hex": said["hex_upper_288"].lower(), "decimals": said["decimal_csv_144"]}
    for encoding, text in written.items():
        path = tmp_path / "mapping.toml"
        path.write_text(f'[columns]\nr = {{ field = "ref" }}\np = {{ field = "photodna", encoding = "{encoding}" }}\n')
        assert not write(found[:1], tmp_path / "out", format="columns", options={"mapping": str(path)}).losses
        assert (tmp_path / "out").read_text().splitlines()[1].replace('"', "") == f"1,{text}"
        again = next(read(tmp_path / "out", format="columns", options={"mapping": str(path)}))
        assert again.fingerprints == found[0].fingerprints


@given(value=st.binary(min_size=1, max_size=200))
def test_decimals_are_read_as_they_are_written(value) -> None:
    """And nothing else is: no spaces, no leading zeros, no sign, no number over 255, no other script."""
    text = ",".join(map(str, value))
    assert parse_decimals(text, len(value)) == value
    for bad in (f"{text},", f",{text}", f" {text}", f"0{text}", f"+{text}", text + "\n", text + ",256", text + ",\u0661", ""):
        with pytest.raises(BadDigest):
            parse_decimals(bad, len(value) + 1)


def test_decimals_need_quotes_or_another_delimiter(tmp_path) -> None:
    """They hold commas."""
    path = tmp_path / "mapping.toml"
    text = 'quote = ""\n[columns]\nr = { field = "ref" }\np = { field = "photodna", encoding = "decimals" }\n'
    path.write_text(text)
    with pytest.raises(BadPolicy, match="decimals hold commas"):
        load_mapping(str(path))
    path.write_text('delimiter = ";"\n' + text)
    load_mapping(str(path))


def test_signals_are_what_their_kind_must_be(tmp_path) -> None:
    """TLSH and ssdeep by their patterns, PDQ of 32 bytes in hex or base64, SHA-1 in base32."""
    options = {"mapping": str(CASES / "signal_strings" / "mapping.toml")}
    said = json.loads((HERE / "samples" / "misc_signal_strings.json").read_text())
    (one,) = open_readers(CASES / "signal_strings" / "input.csv", format="columns", options=options)
    first, *others = one
    values = {one.kind: one.value for one in first.fingerprints}
    assert values == {
        "tlsh": said["tlsh"].encode(), "ssdeep": said["ssdeep"].encode(), "pdq": bytes.fromhex(said["pdq"]),
    }  # fmt: skip
    assert first.sha1 == base64.b32decode(said["sha1_base32"])
    assert others[0].fingerprints[0].value == values["pdq"] and others[1].sha1 == first.sha1
    assert [reject.field for reject in one.rejects] == ["TLSH"] * 3 + ["ssdeep"] * 2 + ["PDQ"] * 2 + ["SHA-1"] * 2
    assert not write([first, *others], tmp_path / "out", format="columns", options=options).losses


def test_a_text_that_is_no_tlsh_is_not_written_as_one(tmp_path) -> None:
    """It would be refused when read: a loss instead."""
    options = {"mapping": str(CASES / "signal_strings" / "mapping.toml")}
    entry = Entry(source="a", ref="r", fingerprints=(Fingerprint(kind="tlsh", value=b"T1"),))
    done = write([entry], tmp_path / "out", format="columns", options=options)
    assert [loss.field for loss in done.losses] == ["fingerprints"] and done.written == 1
