"""vPDQ: three spellings of one fingerprint, nothing filtered, numbers never made up, one video a file."""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import types
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop.carrying import Losses, project
from hashlib_interop.errors import CannotWrite, InteropError, MalformedInput
from hashlib_interop.format import Writing
from hashlib_interop.formats import vpdq as format_module
from hashlib_interop.formats._vpdq_frames import (
    canonical,
    frames_of_canonical,
    frames_of_json,
    is_canonical,
    numbered,
)
from hashlib_interop.formats.vpdq import FORMAT
from hashlib_interop.model import Entry, Fingerprint, batch_of
from hashlib_interop.reading import open_readers, read
from hashlib_interop.writing import write

CASES = Path(__file__).parents[1] / "cases" / "vpdq"
PDQ = hashlib.sha256(b"synthetic-1").hexdigest()


@pytest.fixture
def listed(tmp_path):
    """Return what is read of a text."""

    def made(text: str | bytes, **options: str) -> list[Entry]:
        (tmp_path / "list").write_bytes(text.encode() if isinstance(text, str) else text)
        return list(read(tmp_path / "list", format="vpdq", options=options))

    return made


def value_of(entry: Entry) -> str:
    """Return the text of the one fingerprint."""
    (one,) = entry.fingerprints
    assert one.kind == "vpdq"
    return one.value.decode()


def video(text: str, **fields) -> Entry:
    """Return an entry with this fingerprint."""
    return Entry(source="a", ref="r", media="video", fingerprints=(Fingerprint(kind="vpdq", value=text.encode()),), **fields)


numbers = st.integers(0, 10**9 - 1)
frames = st.tuples(st.integers(0, 100), st.binary(min_size=32, max_size=32).map(bytes.hex), st.integers(0, 10**12).map(lambda n: Decimal(n) / 10**4))


@st.composite
def values(draw) -> str:
    """Texts of the kind `vpdq`: all frames with numbers, or none."""
    rows, number = draw(st.lists(frames, min_size=1, max_size=4)), draw(st.booleans())
    lines = [f"{draw(numbers) if number else ''},{quality},{pdq},{seconds:f}\n" for quality, pdq, seconds in rows]
    return canonical(frames_of_canonical("".join(lines)))


# Reading -------------------------------------------------------------------------------------------------


def test_the_text_sample_comes_back_byte_for_byte(tmp_path) -> None:
    """The text in the entry is that of the C++ tool."""
    entries = list(read(CASES / "text" / "input.txt"))
    assert not [loss for loss in write(entries, tmp_path / "out.vpdq").losses]
    assert (tmp_path / "out.vpdq").read_bytes() == (CASES / "text" / "input.txt").read_bytes()


def test_the_sample_of_pytx_holds_the_same_frames_finer_and_without_numbers() -> None:
    """pytx rounds to 3 digits, the C++ tool to 3 decimals: neither is made the other."""
    (text,), (compact,) = (list(read(CASES / name)) for name in ("text/input.txt", "pytx/input.json"))
    rows = [[line.split(",") for line in value_of(entry).splitlines()] for entry in (text, compact)]
    assert [row[1:3] for row in rows[0]] == [row[1:3] for row in rows[1]]
    assert [row[0] for row in rows[1]] == ["", "", ""]
    assert ([row[3] for row in rows[0]], [row[3] for row in rows[1]]) == (["0.000", "0.033", "0.067"], ["0.000", "0.0333", "0.0667"])


def test_the_list_and_the_older_object_of_pytx_are_one_fingerprint_but_for_the_numbers(listed) -> None:
    """The older form is keyed by frame number."""
    compact = [f"{PDQ},100,0.0", f"{PDQ.upper()},7,1.23e+03"]
    older = {"0": {"quality": 100, "hash": PDQ, "timestamp": 0.0}, "1": {"quality": 7, "hash": PDQ, "timestamp": 1230}}
    assert value_of(listed(json.dumps(compact))[0]) == f",100,{PDQ},0.000\n,7,{PDQ},1230.000\n"
    assert value_of(listed(json.dumps(older))[0]) == numbered(value_of(listed(json.dumps(compact))[0]))


def test_frames_of_low_quality_and_repeated_frames_stay(listed) -> None:
    """They are data; to leave them out is the matcher's business."""
    text = "".join(f"{number},{quality},{PDQ},0.000\n" for number, quality in enumerate((0, 49, 50, 100)))
    assert value_of(listed(text)[0]) == text


@given(text=values())
def test_what_is_read_is_what_was_written_in_every_spelling(text) -> None:
    """As text, as either JSON; canonical text is its own canonical form."""
    assert is_canonical(text)
    found = list(frames_of_canonical(text))
    assert canonical(iter(found)) == text
    compact = json.dumps([f"{f.pdq},{f.quality},{f.timestamp}" for f in found])
    assert canonical(frames_of_json(compact.encode())) == canonical(f._replace(number="") for f in found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"0,100,{PDQ}\n", "frame 1: 3 columns, expected 4"),
        (f"0,100,{PDQ},0.0,1\n", "5 columns"),
        (f"0,100,{PDQ},0.000\n\n", "frame 2: 1 columns"),
        (f"0,100,{PDQ},0.000", "cut off"),
        (f",100,{PDQ},0.000\n", "no frame number"),
        (f"-1,100,{PDQ},0.000\n", "'-1' is no frame number"),
        (f"01,100,{PDQ},0.000\n", "'01' is no frame number"),
        (f"0,101,{PDQ},0.000\n", "quality '101'"),
        (f"0,100,{PDQ[1:]},0.000\n", "not 64 hex"),
        (f"0,100,{PDQ[1:]}g,0.000\n", "not 64 hex"),
        (f"0,100,{PDQ},nan\n", "timestamp 'nan'"),
        (f"0,100,{PDQ},-1.0\n", "timestamp '-1.0'"),
        (f"0,100,{PDQ},1e99\n", "timestamp '1e99'"),
        (f"0,100,{PDQ},1e-99\n", "timestamp '1e-99'"),
        (f"0,100,{PDQ},0.000\x1b]0;x\x07\n", r"timestamp '0.000\\x1b"),
        ('["', "frame 1"),
        ("[" * 100_000, "more brackets"),
        ("{}" * 100, "more brackets"),
        (f'["{PDQ},100"]', "pdq,quality,timestamp"),
        ("[1]", "pdq,quality,timestamp"),
        (f'{{"0": {{"quality": 1, "hash": "{PDQ}"}}}}', "not an object of hash, quality, timestamp"),
        (f'{{"0": {{"quality": 1, "hash": "{PDQ}", "timestamp": 0, "x": 1}}}}', "not an object of"),
        (f'{{"0": {{"quality": true, "hash": "{PDQ}", "timestamp": 0}}}}', "numbers"),
        (f'{{"0": {{"quality": 1.5, "hash": "{PDQ}", "timestamp": 0}}}}', "quality '1.5'"),
        (f'{{"x": {{"quality": 1, "hash": "{PDQ}", "timestamp": 0}}}}', "'x' is no frame number"),
        (f'{{"": {{"quality": 1, "hash": "{PDQ}", "timestamp": 0}}}}', "no frame number"),
        ('{"0": {}, "0": {}}' + " " * 99, "duplicate key '0'"),
        ("[" * 2_000 + " " * 200_000, "nested too deep"),
    ],
)
def test_one_bad_frame_refuses_the_file(text, message, listed) -> None:
    """Without it the fingerprint would be another."""
    with pytest.raises(MalformedInput, match=message):
        listed(text)


def test_a_file_beyond_the_limit_is_refused(listed, monkeypatch) -> None:
    """Memory is bounded."""
    monkeypatch.setattr(format_module, "LIMIT", 1 << 20)
    assert len(listed(f"0,100,{PDQ},0.000\n" * 13_000)) == 1
    with pytest.raises(MalformedInput, match="more than 1 MiB"):
        listed(f"0,100,{PDQ},0.000\n" * 14_000)


def test_a_long_video_fits_into_a_native_line(tmp_path) -> None:
    """Near the limit, with times that grow in the spelling of the entry."""
    one = f'"{PDQ},0,9e8", '
    (tmp_path / "in").write_text("[" + (one * (format_module.LIMIT // len(one) - 1))[:-2] + "]")
    (entry,) = read(tmp_path / "in")
    assert not write([entry], tmp_path / "out.jsonl", format="native").losses
    assert [e.id for e in read(tmp_path / "out.jsonl")] == [entry.id]


# The record id -------------------------------------------------------------------------------------------


def test_a_file_is_named_by_its_fingerprint_or_as_the_user_says(listed, tmp_path) -> None:
    """One fingerprint under two names is one register; two files of one name are two."""
    text = f"0,100,{PDQ},0.000\n"
    assert listed(text)[0].ref == "vpdq:" + hashlib.sha256(text.encode()).hexdigest()
    assert listed(text.replace("\n", "\r\n"))[0].ref == listed(text)[0].ref
    assert [listed(text, ref=ref)[0].ref for ref in ("video-1", "file-name")] == ["video-1", "list"]


def test_every_file_of_a_zip_is_a_video(tmp_path) -> None:
    """Several videos are several files."""
    import zipfile

    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in ("a.txt", "b.txt"):
            archive.writestr(f"folder/{name}", f"0,100,{hashlib.sha256(name.encode()).hexdigest()},0.000\n")
    found = list(read(tmp_path / "all.zip", format="vpdq", options={"ref": "file-name"}))
    assert [entry.ref for entry in found] == ["a.txt", "b.txt"]


# Writing -------------------------------------------------------------------------------------------------


@given(text=values(), order=st.booleans())
def test_what_is_carried_is_read_again(text, order, tmp_path) -> None:
    """Law 15 with fingerprints that are some, numbered on request."""
    options, losses = {"frames": "order"} if order else {}, Losses()
    batch = batch_of([video(text)])
    (tmp_path / "out").unlink(missing_ok=True)
    done = write([batch], tmp_path / "out", format="vpdq", options=options)
    carried = project(batch, FORMAT, Writing("", options), losses).to_pylist()
    assert done.losses == list(losses)
    found = [row for r in open_readers(tmp_path / "out", format="vpdq") for b in r.batches() for row in b.to_pylist()]
    outside = ("source", "recorded_at", "evidence")
    assert [{k: v for k, v in row.items() if k not in outside} for row in found] == [
        {k: v for k, v in row.items() if k not in outside} for row in carried
    ]


def test_frame_numbers_are_not_made_up_but_on_request(tmp_path) -> None:
    """The JSON of pytx has none: the record is lost, or numbered where the user says so, which is a loss too."""
    entries = list(read(CASES / "pytx" / "input.json"))
    done = write(entries, tmp_path / "out", format="vpdq")
    assert [(loss.field, loss.count) for loss in done.losses] == [("record", 1)]
    assert "frames=order" in done.losses[0].reason
    done = write(entries, tmp_path / "out", format="vpdq", options={"frames": "order"})
    assert [loss.field for loss in done.losses] == ["fingerprints", "ref"]
    assert (tmp_path / "out").read_text().splitlines()[1].split(",")[::3] == ["1", "0.0333"]


def test_what_is_no_video_or_has_no_fingerprint_is_a_lost_record(tmp_path) -> None:
    """With the reason."""
    text = f"0,100,{PDQ},0.000\n"
    entries = [
        Entry(source="a", md5=hashlib.md5(b"synthetic-1").digest()),
        video("not vPDQ"),
        video(text + text[1:]),
        video(text).model_copy(update={"media": None}),
    ]
    done = write(entries, tmp_path / "out", format="vpdq")
    assert done.written == 0
    assert [(loss.reason, loss.count) for loss in done.losses] == [
        ("a vPDQ file is of a video, this entry is not said to be", 1),
        ("no vPDQ fingerprint", 3),
    ]


def test_a_second_video_is_an_error(tmp_path) -> None:
    """None is chosen, and nothing is published."""
    entries = [video(f"0,100,{PDQ},{second}.000\n") for second in range(2)]
    with pytest.raises(CannotWrite, match="one video"):
        write(entries, tmp_path / "out", format="vpdq")
    assert not (tmp_path / "out").exists()


# Sniffing and the oracle ---------------------------------------------------------------------------------


def test_sniffing_wants_a_frame() -> None:
    """Of any of the three spellings."""
    good = [(CASES / name).read_bytes() for name in ("text/input.txt", "pytx/input.json", "pytx_old/input.json")]
    assert [FORMAT.sniff(head) for head in good] == [90, 90, 90]
    for head in (f"{PDQ}\n", f"0,100,{PDQ}\n", f'["{PDQ}"]', '{"0": {"hash": 1}}', "[[", '{"0": {}}'):
        assert FORMAT.sniff(head.encode()) == 0


@pytest.fixture
def pytx(monkeypatch):
    """Return the module of python-threatexchange; the native package that it imports is stood in for."""
    native = types.ModuleType("vpdq")
    native.VpdqFeature = tuple  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vpdq", native)
    package = types.ModuleType("threatexchange.extensions.vpdq")
    root = importlib.import_module("threatexchange.extensions")
    package.__path__ = [str(Path(str(root.__file__)).parent / "vpdq")]
    monkeypatch.setitem(sys.modules, "threatexchange.extensions.vpdq", package)
    monkeypatch.delitem(sys.modules, "threatexchange.extensions.vpdq.vpdq_util", raising=False)
    return importlib.import_module("threatexchange.extensions.vpdq.vpdq_util")


@given(rows=st.lists(st.tuples(st.integers(0, 100), st.binary(min_size=32, max_size=32), st.floats(0, 1e6)), min_size=1, max_size=4))
def test_python_threatexchange_and_we_read_the_same_frames(rows, pytx) -> None:
    """What it writes we read as it does: PDQ, quality, and the time to the bit."""
    features = [pytx.VpdqCompactFeature(pdq.hex(), quality, seconds if seconds > 1e-9 else 0.0) for quality, pdq, seconds in rows]
    written = pytx.vpdq_to_json(features)
    ours = list(frames_of_canonical(canonical(frames_of_json(written.encode()))))
    theirs = pytx.json_to_vpdq(written)
    assert [(f.pdq, int(f.quality), float(f.timestamp)) for f in ours] == [(f.pdq_hex, f.quality, f.timestamp) for f in theirs]


def test_python_threatexchange_reads_the_older_object_as_we_do(pytx, monkeypatch) -> None:
    """Frame number, quality, PDQ; it rounds the time, we do not."""
    text = (CASES / "pytx_old" / "input.json").read_text()
    monkeypatch.setattr(pytx.vpdq, "VpdqFeature", lambda *parts: parts)
    (entry,) = read(CASES / "pytx_old" / "input.json")
    ours = [(int(f.quality), int(f.number), f.pdq) for f in frames_of_canonical(value_of(entry))]
    assert ours == [(quality, number, pdq.lower()) for quality, number, pdq, _ in pytx.OLD_json_to_vpdq(text)]


@pytest.mark.parametrize("name", ["text/input.txt", "pytx/input.json", "pytx_old/input.json"])
def test_a_sample_is_cut_or_flipped_at_every_byte_without_another_error(name, listed) -> None:
    """JSON that is cut is refused; of text, a cut after a line is a shorter fingerprint, as no end is marked."""
    data = (CASES / name).read_bytes().rstrip()
    data += b"\n" if name.endswith(".txt") else b""
    for place in range(len(data)):
        for broken in (data[:place], data[:place] + bytes([data[place] ^ 0x15]) + data[place + 1 :]):
            try:
                entries = listed(broken)
            except InteropError as error:
                assert str(error).isprintable()
                continue
            if len(broken) == place:
                assert not broken or (broken.endswith(b"\n") and value_of(entries[0]).encode() == broken)
