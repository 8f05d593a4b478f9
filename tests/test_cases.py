"""Every case reads as it is expected to; `--update-cases` rewrites the expectations."""

from __future__ import annotations

import pytest

from hashlib_interop.formats import MODULES
from tests.casework import CASES, EXPECTED, Case, cases, read_case


def name_of(case: Case) -> str:
    """Return `format/case`."""
    return f"{case.format}/{case.folder.name}"


@pytest.mark.parametrize("case", cases(), ids=name_of)
def test_a_case_reads_as_expected(case, request) -> None:
    """Entries, evidence, facts, counts, rejects; or the error. A case without expectation fails."""
    assert case.inputs, "no input"
    found = read_case(case).files()
    if request.config.getoption("--update-cases"):
        case.update(found)
    expected = case.expected()
    assert expected, "no expectation: run pytest --update-cases, then look at git diff"
    assert sorted(found) == sorted(expected), read_case(case).error
    for name in found:
        assert found[name].decode().splitlines() == expected[name].decode().splitlines()
        assert found[name] == expected[name]


@pytest.mark.parametrize("case", cases(), ids=name_of)
def test_a_case_says_how_it_was_made(case) -> None:
    """A note; and no file that the machinery does not know, nor one that the options do not name."""
    assert (case.folder / "note.md").read_text().strip()
    known = {path.name for path in case.inputs} | {"note.md", "options.toml", *EXPECTED}
    known |= {str(value).rpartition("/")[2] for value in case.said.values()}
    assert {path.name for path in case.folder.iterdir()} <= known


def test_cases_stand_under_formats() -> None:
    """A folder that no format reads would be a test that never runs."""
    assert {folder.name for folder in CASES.iterdir() if folder.is_dir() and folder.name[0] not in "_."} <= set(MODULES)
