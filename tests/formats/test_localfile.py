"""LocalFile: what the cases do not show. Oracle: python-threatexchange's own exchange."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from threatexchange.exchanges.impl.file_api import FileCollaborationConfig, LocalFileSignalExchangeAPI

from hashlib_interop.errors import BadOption
from hashlib_interop.format import Writing
from hashlib_interop.formats import FORMATS
from hashlib_interop.model import Entry, Fingerprint, batch_of
from hashlib_interop.sniffing import claims
from hashlib_interop.writing import write_stream
from tests.test_json_pages import read

CASES = Path(__file__).parents[1] / "cases/localfile"
PDQ, MD5 = hashlib.sha256(b"synthetic-1").hexdigest(), hashlib.md5(b"synthetic-1").hexdigest()
SHA256 = hashlib.sha256(b"synthetic-2").hexdigest()


def theirs(path: Path, kind: str | None = None) -> set[tuple[str, str]]:
    """Return what pytx reads of a file."""
    config = FileCollaborationConfig(name="t", api="local_file", enabled=True, filename=str(path), signal_type=kind)
    (delta,) = LocalFileSignalExchangeAPI(config).fetch_iter([], None)
    return set(delta.updates)


def ours(data: bytes, **options: str) -> set[tuple[str, str]]:
    """Return what we read of a file."""
    found = set()
    for row in read("localfile", data, options=options)[0]:
        value = row["fingerprints"][0]["value"] if row.get("fingerprints") else row.get("md5") or row.get("sha256")
        name = "pdq" if row.get("fingerprints") else "video_md5" if row.get("md5") else "video_sha256"
        found.add((name, value.hex()))
    return found


@pytest.mark.parametrize(("case", "kind"), [("typed", None), ("untyped", "pdq")])
def test_the_oracle_reads_the_same(case, kind) -> None:
    """With types in the lines, and with the type said."""
    path = CASES / case / "input.txt"
    assert ours(path.read_bytes(), **({"type": kind} if kind else {})) == theirs(path, kind)


def test_the_oracle_agrees_on_spaces_and_empty_lines(tmp_path) -> None:
    """Outer spaces, CRLF, no line end after the last."""
    data = f"\n  pdq {PDQ}  \r\n\nvideo_md5 {MD5}\r\nvideo_sha256 {SHA256}".encode()
    (tmp_path / "list").write_bytes(data)
    assert ours(data) == theirs(tmp_path / "list") == {("pdq", PDQ), ("video_md5", MD5), ("video_sha256", SHA256)}


def test_the_oracle_reads_what_is_written(tmp_path) -> None:
    """One signal an entry, the strongest; MD5 and SHA-256 only of videos, for pytx has no others."""
    entries = [
        Entry(source="a", fingerprints=(Fingerprint(kind="pdq", value=bytes.fromhex(PDQ)),), ref="r1"),
        Entry(source="a", md5=MD5, media="video"),
        Entry(source="a", md5=MD5, sha256=SHA256, media="video"),
        Entry(source="a", md5=MD5, media="image"),
    ]
    with (tmp_path / "list").open("wb") as stream:
        done = write_stream([batch_of(entries)], stream, FORMATS["localfile"], Writing("out"))
    found = {("pdq", PDQ), ("video_md5", MD5), ("video_sha256", SHA256)}
    assert theirs(tmp_path / "list") == ours((tmp_path / "list").read_bytes()) == found and done.written == 3


def test_what_is_no_hash_is_dropped_and_a_type_not_known_kept() -> None:
    """An address has a hash, which is never taken for that of a file."""
    rows, reading = read("localfile", f"url https://CANARY\nraw_text CANARY a b\nurl_md5 {MD5}\n".encode())
    assert reading.dropped == {"url (no hash)": 1, "raw_text (no hash)": 1} and "CANARY" not in repr((rows, reading))
    assert rows == [{"position": 3, "ref": f"url_md5:{MD5}", "extra": f'{{"localfile":{{"type":"url_md5","value":"{MD5}"}}}}'}]


@pytest.mark.parametrize("line", [PDQ, f"pdq {PDQ}0", f"pdq  {PDQ}", f"pdq {PDQ[:-1]}g", f"video_md5 {PDQ}", "pdq", "pdq \xff"])
def test_a_bad_line_is_refused_alone(line) -> None:
    """A value alone is never given a type by its length."""
    rows, reading = read("localfile", f"{line}\nvideo_md5 {MD5}\n".encode("latin-1"))
    assert [row["position"] for row in rows] == [2] and [one.position for one in reading.facts["rejects"]] == [1]


def test_lines_with_types_are_claimed_and_bare_values_are_not() -> None:
    """Nor what is `plain`."""
    def first(data: bytes) -> Any:
        found = claims(data)
        return found[0].format if found else None

    assert first(f"pdq {PDQ}\nvideo_md5 {MD5}\n".encode()) == "localfile"
    assert first(f"{PDQ}\n".encode()) == first(f"md5 {MD5}\n".encode()) == "plain"
    assert first(b"url https://example.invalid\nhello\n") is None


def test_a_type_that_there_is_not_is_wrong_usage() -> None:
    """For the reader and the writer."""
    with pytest.raises(BadOption):
        read("localfile", b"", options={"type": "md5"})
    with pytest.raises(BadOption):
        write_stream([batch_of([Entry(source="a", md5=MD5)])], io.BytesIO(), FORMATS["localfile"], Writing("out", {"type": "md5"}))
