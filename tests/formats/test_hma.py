"""HMA bank content: what the cases do not show. Oracle: python-threatexchange's signal types."""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any

import pytest
from threatexchange.signal_type.md5 import VideoMD5Signal
from threatexchange.signal_type.pdq.signal import PdqSignal
from threatexchange.signal_type.sha256 import VideoSHA256Signal

from hashlib_interop.errors import MalformedInput
from hashlib_interop.format import Writing
from hashlib_interop.formats import FORMATS
from hashlib_interop.model import Entry, Fingerprint, batch_of
from hashlib_interop.sniffing import claims
from hashlib_interop.writing import Written, write_stream
from tests.test_json_pages import read

PDQ, MD5 = hashlib.sha256(b"synthetic-1").digest(), hashlib.md5(b"synthetic-1").digest()
SHA256 = hashlib.sha256(b"synthetic-2").digest()


def content(**fields: Any) -> dict[str, Any]:
    """A content."""
    usual = {"id": 7, "disable_until_ts": 1, "original_media_uri": None, "bank": {"name": "B", "matching_enabled_ratio": 1.0}}
    return {**usual, "signals": {"pdq": PDQ.hex()}, **fields}


def file_of(*contents: Any) -> bytes:
    """An array of contents."""
    return json.dumps(contents).encode()


def written(*entries: Entry) -> tuple[bytes, Written]:
    """Return entries as they are written, and the losses."""
    stream = io.BytesIO()
    done = write_stream([batch_of(list(entries))], stream, FORMATS["hma"], Writing("out"))
    return stream.getvalue(), done


def test_the_signals_of_a_content_are_of_one_file() -> None:
    """Whatever their order, the strongest gives the ref where there is no id; a type not known is kept."""
    signals = {"video_sha256": SHA256.hex(), "pdq": PDQ.hex(), "video_md5": MD5.hex(), "vpdq": "x"}
    both = {key: value for key, value in content(signals=signals).items() if key != "id"}
    rows, _ = read("hma", file_of(both, content(signals=dict(reversed(signals.items())))))
    assert [(row["md5"], row["sha256"], row["media"]) for row in rows] == [(MD5, SHA256, "video")] * 2
    assert [row["ref"] for row in rows] == [f"sha256:{SHA256.hex()}", "7"]
    assert json.loads(rows[0]["extra"])["hma"]["signals"] == {"vpdq": "x"}


def test_where_the_content_is_and_notes_are_kept_nowhere() -> None:
    """Neither in entries nor in what is refused."""
    hidden = {"original_media_uri": "CANARY", "metadata": {"content_id": "c", "content_uri": "CANARY"}, "note": "CANARY"}
    hidden["metadata"]["json"] = {"a": [{"Original_Media_URI": "CANARY"}]}  # type: ignore[index]
    signals = {"pdq": PDQ.hex(), "url": "https://CANARY"}
    rows, reading = read("hma", file_of(content(**hidden, signals=signals), content(**hidden, id="x")))
    assert "CANARY" not in repr((rows, reading)) and len(rows) == len(reading.facts["rejects"]) == 1
    assert reading.dropped == {"original_media_uri": 4, "content_uri": 2, "note (free text)": 2, "url (no hash)": 1}
    rows, reading = read("hma", json.dumps(content(**hidden)).encode(), options={"free_text": "yes"})
    assert json.loads(rows[0]["extra"])["hma"]["note"] == "CANARY" and reading.dropped["original_media_uri"] == 2


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"signals": None}, "signals"), ({"signals": {}}, "signals"), ({"signals": ["pdq"]}, "signals"),
        ({"signals": {"pdq": "00"}}, "signals.pdq"), ({"signals": {"pdq": None}}, "signals.pdq"),
        ({"signals": {"video_md5": PDQ.hex()}}, "signals.video_md5"), ({"id": "7"}, "id"), ({"id": True}, "id"), ({"id": -1}, "id"),
        ({"id": None, "signals": {"vpdq": "x"}}, "signals"),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_with_its_field(fields, field) -> None:
    """In an array alone, the others are read; a single content too is refused as a record."""
    rows, reading = read("hma", file_of(content(**fields), content()))
    assert [(reject.position, reject.field) for reject in reading.facts["rejects"]] == [(1, field)] and len(rows) == 1
    rows, reading = read("hma", json.dumps(content(**fields)).encode())
    assert (len(rows), len(reading.facts["rejects"])) == (0, 1)


def test_what_has_no_hashes_is_refused_and_said() -> None:
    """A lookup, a request."""
    for text, says in (('{"B":[{"bank_content_id":1,"distance":"0"}]}', "lookup"), ('{"pdq":"00"}', "no content"), ("{}", "no content")):
        with pytest.raises(MalformedInput, match=says):
            read("hma", text.encode())


def test_the_oracle_takes_what_is_written() -> None:
    """Each signal is valid for the type it stands under; a digest of an image has no type."""
    data, done = written(
        Entry(source="a", ref="7", md5=MD5, sha256=SHA256, media="video"),
        Entry(source="a", ref="r", fingerprints=(Fingerprint(kind="pdq", value=PDQ),), md5=MD5, media="image"),
        Entry(source="a", ref="s", md5=MD5, media="image"),
    )
    types = {kind.get_name(): kind for kind in (PdqSignal, VideoMD5Signal, VideoSHA256Signal)}
    contents = json.loads(data)
    for one in contents:
        for name, text in one["signals"].items():
            assert types[name].validate_signal_str(text) == text
    assert [one.get("id") for one in contents] == [7, None]
    assert {(loss.field, loss.count) for loss in done.losses} == {("record", 1), ("media", 1), ("md5", 1), ("ref", 1)}
    assert [claim.format for claim in claims(data)] == ["hma"] and claims(b"[\n\n]\n") == []


@pytest.mark.parametrize(("stated", "kept"), [(0, 0), (1, None), (1893456000, 1893456000), (True, True)])
def test_a_content_that_is_disabled_stays_disabled(stated, kept) -> None:
    """HMA means by 0 disabled for good and by 1 enabled: the first is kept and written again, ours are enabled."""
    rows, _ = read("hma", file_of(content(disable_until_ts=stated)))
    extra = json.loads(rows[0]["extra"])["hma"]
    assert extra.get("disable_until_ts") == kept
    text, _ = written(Entry(source="a", ref="7", fingerprints=[Fingerprint(kind="pdq", value=PDQ)], extra={"hma": extra}))
    assert json.loads(text)[0]["disable_until_ts"] == stated
