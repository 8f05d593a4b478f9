"""Refused records, mended and read again: nothing is lost, each is its source's own."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hashlib_interop.errors import InteropError
from hashlib_interop.merging import merge
from hashlib_interop.planting import make
from hashlib_interop.policy import load_sources
from hashlib_interop.reading import open_readers, read
from hashlib_interop.synth import Partner, World

NOW = datetime(2025, 12, 1, tzinfo=UTC)
FORMATS = ("ncmec", "vics", "icse", "columns", "native")


def refused(folder: Path, broken: int) -> tuple[Path, Path]:
    """Merge five lists with broken rows; return the catalog and the refused records."""
    make(folder, World(seed=3, broken=broken), [Partner(f"p-{name}", name, 60) for name in FORMATS])
    files = [f for f in folder.iterdir() if f.stem.startswith("p-") and f.suffix != ".toml"]
    inputs = [f"{f.name.split('.')[0]}@2025-03-01={f}" for f in sorted(files)]
    lines: list[str] = []
    sources = load_sources(folder / "sources.toml")
    out = folder / "all.db"
    merge(inputs, out, sources=sources, recorded_at=NOW, on_reject=lambda r: lines.append(r.model_dump_json()))
    path = folder / "refused.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    return out, path


def mended(line: str) -> str:
    """Complete a spoiled digest: `z` at its end, or one digit short (native: of any length)."""
    reject = json.loads(line)
    bad = reject["value"]
    good = bad[:-1] + "0" if bad.lower().endswith("z") else bad + "0"
    reject["raw"] = reject["raw"].replace(bad, good)
    return json.dumps(reject)


def test_mended_records_come_in_as_their_source_s_own(tmp_path: Path) -> None:
    """Two broken rows in each of five formats: after mending, every source has two entries more and none refused."""
    catalog, path = refused(tmp_path, 2)
    before = {e.source: 0 for e in read(catalog)}
    for entry in read(catalog):
        before[entry.source] += 1
    path.write_text("".join(f"{mended(line)}\n" for line in path.read_text().splitlines()))
    merged = merge([catalog, path], tmp_path / "more.db", recorded_at=NOW)
    after = {name: 0 for name in before}
    for entry in read(tmp_path / "more.db"):
        after[entry.source] += 1
    assert after == {name: count + 2 for name, count in before.items()}
    assert {source.name for source in merged.sources} == set(before)
    releases = {e.release for entry in read(path) for e in entry.evidence}
    assert releases == {datetime(2025, 3, 1, tzinfo=UTC)}


def test_what_is_not_mended_is_refused_again_and_can_be_mended_again(tmp_path: Path) -> None:
    """The second refusal still holds the record, its frame and whose it is."""
    _, path = refused(tmp_path, 1)
    reader = open_readers(path)[0]
    assert list(reader) == []
    again = tmp_path / "again.jsonl"
    again.write_text("".join(f"{mended(r.model_dump_json())}\n" for r in reader.rejects))
    assert sorted(e.source for e in read(again)) == sorted(f"p-{name}" for name in FORMATS)


def test_case_data_of_a_refused_row_is_not_kept(tmp_path: Path) -> None:
    """The raw text of an ICSE row is without its investigation; a row that cannot be taken apart is withheld."""
    header = "MD5;SHA1;PhotoDNA;Image ID;Is distributed;Victim identified;Offender identified;Series name;" \
        "Number of submissions;File Available;Media Type;Baseline;Investigation name"
    row = "zz;;;7;;;;;;;Image;Yes;CANARY"
    (tmp_path / "a.csv").write_text(f"{header}\n{row}\n{row};more;fields\n")
    reader = open_readers(tmp_path / "a.csv")[0]
    assert list(reader) == []
    assert {r.raw for r in reader.rejects} == {None, "zz;;;7;;;;;;;Image;Yes;"}
    assert "CANARY" not in repr(reader.rejects)


@pytest.mark.parametrize(
    "change", [{"format": "parquet"}, {"format": "rejects"}, {"format": "odd"}, {"source": "Not A Slug"}, {"raw": None}, {"frame": None}, {"delivery": "odd"}, {"position": "x"}]
)  # fmt: skip
def test_a_line_that_says_something_odd_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    """Nothing but a record of a known format, with its text, is read again."""
    _, path = refused(tmp_path, 1)
    line = json.loads(path.read_text().splitlines()[0])
    path.write_text(json.dumps({**line, **change}) + "\n")
    reader = open_readers(path, format="rejects")[0]
    assert list(reader) == []
    assert len(reader.rejects) == 1


def test_a_cut_file_is_malformed(tmp_path: Path) -> None:
    """A last line without its end."""
    _, path = refused(tmp_path, 1)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InteropError, match=re.escape("cut off")):
        list(open_readers(path)[0])
