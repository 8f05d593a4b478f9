"""What the documents show is what happens: examples run, outputs are current."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("formats/*.md"), *ROOT.glob("benchmarks/*.md")]
WITH_OUTPUT = ["README.md", "docs/columns.md", "docs/lookup.md", "docs/policy.md", "docs/schemes.md"]


def test_the_examples_of_the_library_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example of docs/library.md prints what the page shows."""
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testfile(str(ROOT / "docs/library.md"), module_relative=False, verbose=False)
    assert tried > 10
    assert not failed


def run(command: str, folder: Path) -> str:
    """Run one command line of a document, as its reader would; return what it prints."""
    bin_folder = str(Path(sys.executable).parent)
    env = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "SOURCE_DATE_EPOCH": "1764547200", "COLUMNS": "100"}
    done = subprocess.run(["sh", "-c", command], cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def refreshed(text: str, folder: Path) -> str:
    """Return a document with the output of every `$` line in its console blocks as it is now."""

    def block(match: re.Match[str]) -> str:
        parts = re.split(r"^\$ ((?:.*\\\n)*.*)\n", match[1], flags=re.MULTILINE)[1::2]
        return "```console\n" + "".join(f"$ {command}\n{run(command, folder)}" for command in parts) + "```"

    return BLOCK.sub(block, text)


@pytest.mark.parametrize("name", [name for name in WITH_OUTPUT if (ROOT / name).exists()])
def test_the_outputs_that_a_document_shows_are_current(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Console blocks are run in order in one empty folder. `pytest --update-cases` rewrites the document."""
    text = (ROOT / name).read_text()
    now = refreshed(text, tmp_path)
    if request.config.getoption("--update-cases"):
        (ROOT / name).write_text(now)
    assert now == text or request.config.getoption("--update-cases")


def catalog_tables() -> str:
    """Return the tables of the catalog as a Markdown table."""
    from hashlib_interop.catalog_schema import TABLES

    lines = ["| table | columns |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{name}` | {', '.join(columns)} |" for name, columns in TABLES.items())])


def format_table() -> str:
    """Return the formats as a Markdown table."""
    from hashlib_interop.cli.formats import carried
    from hashlib_interop.formats import FORMATS, MODULES

    lines = ["| format | reads | writes | carries | a file is | after |", "|---|---|---|---|---|---|"]
    for format in (FORMATS[name] for name in MODULES):
        ways = ("yes" if way else "" for way in (format.read, format.write))
        fields = ", ".join(carried(format))
        cells = (f"`{format.name}`: {format.title}", *ways, fields, f"a {format.delivery}", format.spec)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def mapping_table() -> str:
    """Return the mappings that are shipped as a Markdown table."""
    from hashlib_interop.formats._mapping import load_mapping, shipped

    lines = ["| mapping | what |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{name}` | {load_mapping(name)[0].title} |" for name in sorted(shipped()))])


GENERATED = [
    ("docs/catalog.md", "tables", catalog_tables),
    ("formats/README.md", "formats", format_table),
    ("formats/README.md", "mappings", mapping_table),
]


@pytest.mark.parametrize(("name", "what", "made"), GENERATED, ids=lambda value: value if isinstance(value, str) else "")
def test_generated_tables_are_current(name: str, what: str, made: Callable[[], str], request: pytest.FixtureRequest) -> None:
    """`pytest --update-cases` rewrites them."""
    page = ROOT / name
    mark = re.compile(rf"(<!-- generated: {what} -->\n).*?(<!-- end -->)", re.DOTALL)
    now = mark.sub(lambda m: f"{m[1]}{made()}\n{m[2]}", page.read_text())
    if request.config.getoption("--update-cases"):
        page.write_text(now)
    assert now == page.read_text()


def test_every_relative_link_leads_somewhere() -> None:
    """No document points at a file that is not there."""
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_commands_in_documents_are_commands() -> None:
    """Every `hashlib-interop X` in a document names a command that exists."""
    from hashlib_interop.cli.main import COMMANDS

    for document in DOCUMENTS:
        for line in re.findall(r"^\$ hashlib-interop .*", document.read_text(), re.MULTILINE):
            name = shlex.split(line.rstrip("\\"))[2]
            assert name in COMMANDS or name.startswith("-"), f"{document.name}: {line}"
