"""`formats`: the list, one in detail, and both as JSON."""

from __future__ import annotations

import json

from hashlib_interop.errors import UnknownFormat
from hashlib_interop.format import Format
from hashlib_interop.formats import FORMATS
from hashlib_interop.formats._mapping import shipped, shipped_text
from tests.cli.conftest import Run


def test_the_list_has_every_format_in_one_line_of_a_pipe(run: Run) -> None:
    lines = run("formats").stdout.splitlines()
    assert lines[0].split() == ["name", "ways", "carries", "title"]
    assert [line.split()[0] for line in lines[1 : lines.index("")]] == list(FORMATS)


def test_the_list_has_the_mappings_and_says_which_are_examples(run: Run) -> None:
    """So that who looks for IWF finds how its list is read, and that the columns are not public."""
    lines = run("formats").stdout.splitlines()
    named = {line.split()[0]: line for line in lines[lines.index("") + 3 :]}
    assert list(named) == shipped() and not {*named} & {*FORMATS}
    assert "adapt it first" in named["iwf-example"] and "adapt" not in named["hashkeeper"]
    assert "iwf-example" in run("formats", "columns").stdout
    found = {each["name"]: each for each in json.loads(run("formats", "--json").stdout)}
    assert [each["name"] for each in found["columns"]["mappings"] if each["example"]] == ["caid-text-example", "iwf-example"]
    assert "mappings" not in found["native"]


def test_the_name_of_a_mapping_prints_its_file(run: Run) -> None:
    """To be copied and changed."""
    text = run("formats", "iwf-example").stdout
    assert text.encode() == shipped_text("iwf-example")
    assert json.loads(run("formats", "iwf-example", "--json").stdout)["text"] == text


def test_a_lossless_format_carries_everything_and_a_thin_one_names_its_fields(run: Run, thin: Format) -> None:
    found = {each["name"]: each for each in json.loads(run("formats", "--json").stdout)}
    assert found["native"]["carries"] == ["everything"]
    assert found["thin"]["carries"] == ["md5"]
    assert found["thin"]["reads"] and found["thin"]["writes"]


def test_the_detail_shows_options_suffixes_and_the_spec(run: Run, thin: Format) -> None:
    shown = run("formats", "thin").stdout
    assert "greeting" in shown and "What the first line says." in shown
    assert ".thin" in shown and "snapshot" in shown
    assert json.loads(run("formats", "thin", "--json").stdout)["options"] == {
        "greeting": "What the first line says."
    }


def test_an_unknown_name_is_an_error_that_names_the_known(run: Run) -> None:
    result = run("formats", "nosuch\x1b")
    assert result.exit_code == UnknownFormat.exit_code
    assert "native" in result.stderr and "\x1b" not in result.stderr
