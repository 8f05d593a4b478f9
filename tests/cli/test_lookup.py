"""`lookup`: lines of a text in a set, as text, CSV and JSON Lines; exit codes, pipes, and what goes to stderr."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop import Classification, Entry
from hashlib_interop.cli.lookup import _write_jsonl
from hashlib_interop.errors import BadOption, FileFault, MalformedInput, TooManyRejects
from hashlib_interop.membership.hashset import HashSet
from hashlib_interop.membership.lookup import RESULT
from tests.cli.conftest import EVIL, Run, spawn

SAID = [Classification(scheme="vics/US", code="1"), Classification(scheme="ncmec/industry", code="A1")]


def md5(seed: int) -> str:
    """Return a made-up digest in hex."""
    return hashlib.md5(f"synthetic-{seed}".encode()).hexdigest()


@pytest.fixture(scope="module")
def hash_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of the digests 0 to 99, of two sources."""
    path = tmp_path_factory.mktemp("lookup") / "all.hset"
    entries = [Entry(source=name, md5=md5(k), classifications=SAID) for name in ("one", "two") for k in range(100)]
    HashSet.build(entries, path).close()
    return path


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Three hits, two misses, one comment, one line that is none."""
    path = tmp_path / "manifest.md5"
    names = {1: "a.jpg", 2: "with, comma.jpg", 200: "b.jpg", 3: 'q"uote.jpg', 201: "c.jpg"}
    lines = [f"{md5(seed)}  {name}" for seed, name in names.items()]
    path.write_text("\n".join([*lines[:2], "# comment", "nonsense", *lines[2:]]) + "\n")
    return path


def test_hits_as_text_with_sources_and_classifications(run: Run, hash_set: Path, manifest: Path) -> None:
    result = run("lookup", hash_set, manifest)
    assert result.exit_code == 0
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert rows[1] == ["2", f"md5:{md5(2)}", "one,two", "ncmec/industry:A1,vics/US:1", "with, comma.jpg"]
    assert [row[0] for row in rows] == ["1", "2", "6"]
    assert "5 lines looked up: 3 in the set, 2 not, 1 skipped (empty line or comment), 1 without a digest" in result.stderr
    assert "line 4: nonsense" in result.stderr


def test_misses_and_all(run: Run, hash_set: Path, manifest: Path) -> None:
    misses = run("lookup", hash_set, manifest, "--show", "misses").stdout.splitlines()
    assert misses == [f"5\tmd5:{md5(200)}\t\t\tb.jpg", f"7\tmd5:{md5(201)}\t\t\tc.jpg"]
    assert len(run("lookup", hash_set, manifest, "--show", "all").stdout.splitlines()) == 5


def test_csv_and_json_lines_can_be_read_back(run: Run, hash_set: Path, manifest: Path) -> None:
    table = list(csv.DictReader(io.StringIO(run("lookup", hash_set, manifest, "--show", "all", "--as", "csv").stdout)))
    assert [row["text"] for row in table] == ["a.jpg", "with, comma.jpg", "b.jpg", 'q"uote.jpg', "c.jpg"]
    assert table[0]["sources"] == "one;two" and [row["hit"] for row in table] == ["true", "true", "false", "true", "false"]
    lines = run("lookup", hash_set, manifest, "--show", "all", "--as", "jsonl").stdout.splitlines()
    found = [json.loads(line) for line in lines]
    assert found[0] == {
        "line": 1, "algorithm": "md5", "digest": md5(1), "hit": True, "sources": ["one", "two"],
        "classifications": ["ncmec/industry:A1", "vics/US:1"], "text": "a.jpg",
    }  # fmt: skip
    assert found[2] == {"line": 5, "algorithm": "md5", "digest": md5(200), "hit": False, "text": "b.jpg"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [([], 0), (["--fail-on", "hits"], 1), (["--fail-on", "misses"], 1), (["--strict"], 1), (["--max-rejects", "0"], TooManyRejects.exit_code)],
)
def test_exit_codes_on_request(arguments: list[str], code: int, run: Run, hash_set: Path, manifest: Path) -> None:
    assert run("lookup", hash_set, manifest, *arguments).exit_code == code


def test_no_hits_and_no_misses_are_0(run: Run, hash_set: Path, tmp_path: Path) -> None:
    path = tmp_path / "none"
    path.write_text(md5(500))
    assert run("lookup", hash_set, path, "--fail-on", "hits").exit_code == 0
    path.write_text(md5(5))
    assert run("lookup", hash_set, path, "--fail-on", "misses").exit_code == 0


def test_a_column_of_a_csv(run: Run, hash_set: Path, tmp_path: Path) -> None:
    path = tmp_path / "inventory.csv"
    path.write_text(f"name,MD5\na,{md5(1)}\nb,\nc,{md5(300)}\nd,zz\n")
    result = run("lookup", hash_set, path, "--column", "MD5")
    assert result.stdout.splitlines() == [f"2\tmd5:{md5(1)}\tone,two\tncmec/industry:A1,vics/US:1\ta,{md5(1)}"]
    assert "MD5: no digest" in result.stderr and "1 skipped (record without a digest)" in result.stderr
    wrong = run("lookup", hash_set, path, "--column", "SHA1")
    assert wrong.exit_code == BadOption.exit_code and "name,MD5" in wrong.stderr


def test_refused_lines_go_to_a_file(run: Run, hash_set: Path, manifest: Path, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.jsonl"
    run("lookup", hash_set, manifest, "--rejects", rejects)
    assert [json.loads(line)["raw"] for line in rejects.read_text().splitlines()] == ["nonsense"]
    assert run("lookup", hash_set, manifest, "--rejects", manifest).exit_code == 2


def test_digests_that_cannot_be_found_are_said(run: Run, hash_set: Path, tmp_path: Path) -> None:
    path = tmp_path / "sha1"
    path.write_text(hashlib.sha1(b"synthetic").hexdigest() + "\n")
    assert "1 line with sha1 cannot be found: the set holds md5" in run("lookup", hash_set, path).stderr


def test_no_escape_of_a_file_name_reaches_a_terminal(run: Run, hash_set: Path, tmp_path: Path) -> None:
    path = tmp_path / "evil"
    path.write_bytes(f"{md5(1)}  {EVIL}\t.jpg\n{EVIL}\n".encode() + f"{md5(2)}  ".encode() + b"\xff\x9b\n")
    for form in ("text", "jsonl"):
        result = run("lookup", hash_set, path, "--as", form)
        assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(result.output)
        assert len(result.stdout.splitlines()) == 2


def test_errors(run: Run, hash_set: Path, manifest: Path, tmp_path: Path) -> None:
    assert run("lookup", tmp_path / "absent.hset", manifest).exit_code == FileFault.exit_code
    assert run("lookup", manifest, manifest).exit_code == MalformedInput.exit_code
    assert run("lookup", hash_set, tmp_path / "absent").exit_code == FileFault.exit_code
    assert run("lookup", hash_set, tmp_path).exit_code == FileFault.exit_code


def test_a_spreadsheet_runs_no_file_name(run: Run, hash_set: Path, tmp_path: Path) -> None:
    path = tmp_path / "names.md5"
    path.write_text("".join(f"{md5(1)}  {name}\n" for name in ("=HYPERLINK(1)", "'-2", "plain", "+1")))
    for option, expected in (([], ["=HYPERLINK(1)", "'-2", "plain", "+1"]), (["--spreadsheet-safe"], ["'=HYPERLINK(1)", "''-2", "plain", "'+1"])):
        table = csv.DictReader(io.StringIO(run("lookup", hash_set, path, "--as", "csv", *option).stdout))
        assert [row["text"] for row in table] == expected
    assert run("lookup", hash_set, path, "--spreadsheet-safe").exit_code == BadOption.exit_code


def test_swapped_arguments_are_said(run: Run, hash_set: Path, manifest: Path) -> None:
    result = run("lookup", manifest, hash_set)
    assert result.exit_code == BadOption.exit_code and "comes first: lookup SET FILE" in result.stderr


def test_a_closed_standard_output_is_an_error(hash_set: Path, manifest: Path) -> None:
    program = [sys.executable, "-m", "hashlib_interop.cli.main", "lookup", str(hash_set), str(manifest)]
    done = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *program], capture_output=True, text=True, check=False)
    assert done.returncode == FileFault.exit_code and done.stderr.startswith("hashlib-interop: standard output is closed")


TEXTS = st.one_of(st.none(), st.text(max_size=8), st.text('ab"\\\x7f\x00/é\u2028', max_size=8))
LISTS = st.one_of(st.none(), st.lists(st.text('a,b" \\', max_size=3), max_size=3))


@given(st.lists(st.tuples(st.integers(1, 1 << 40), st.booleans(), st.none() | st.integers(0, (1 << 64) - 1), LISTS, LISTS, TEXTS), min_size=1, max_size=9))
def test_json_lines_are_those_of_the_json_module(rows: list[tuple[object, ...]]) -> None:
    """Whatever stands in the values; pure ASCII, and what is null is left out."""
    made = [dict(zip(RESULT.names, (line, "md5", "00" * 16, *rest), strict=True)) for line, *rest in rows]
    out = io.BytesIO()
    _write_jsonl([pa.RecordBatch.from_pylist(made, RESULT)], out)
    said = [{name: value for name, value in row.items() if value is not None} for row in made]
    assert out.getvalue().decode("ascii").split("\n")[:-1] == [json.dumps(row).replace("\x7f", "\\u007f") for row in said]


def test_standard_input(hash_set: Path) -> None:
    done = spawn("lookup", hash_set, input=f"{md5(1)}\n{md5(400)}\n")
    assert done.stdout == f"1\tmd5:{md5(1)}\tone,two\tncmec/industry:A1,vics/US:1\t\n"
    assert done.returncode == 0


def test_a_closed_pipe_ends_it_quietly(hash_set: Path, tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_text(f"{md5(1)}\n" * 200_000)
    command = f"{sys.executable} -m hashlib_interop.cli.main lookup {hash_set} {path} | head -2; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, env=os.environ)
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == "" and done.returncode == 141


def test_without_the_compiled_core_one_line_says_so(hash_set: Path) -> None:
    code = (
        "import sys; sys.modules['hashlib_interop.membership._membership'] = None\n"
        f"sys.argv = ['x', 'lookup', {str(hash_set)!r}]\n"
        "from hashlib_interop.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], input=md5(1), capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith(f"1\tmd5:{md5(1)}\tone,two")
    assert done.stderr.splitlines()[0].startswith("note: the compiled core is not there")
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize("text", ["{\n}\n", "no digest\n", "<a>\n" * 30])
def test_a_file_without_any_digest_is_an_error_not_a_file_without_hits(run: Run, hash_set: Path, tmp_path: Path, text: str) -> None:
    """Whatever --fail-on asks; an empty one is none."""
    path = tmp_path / "lines"
    path.write_text(text)
    for more in ([], ["--fail-on", "hits"], ["--fail-on", "misses"]):
        result = run("lookup", hash_set, path, *more)
        assert result.exit_code == 3 and "no line holds a digest" in result.stderr and "build" in result.stderr
    path.write_text("\n# a comment\n")
    assert run("lookup", hash_set, path, "--fail-on", "misses").exit_code == 0
