"""Every format, the same laws: what is written is read, what is lost is said, what is broken is refused."""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashlib_interop.carrying import Losses, project
from hashlib_interop.errors import InteropError
from hashlib_interop.format import Format, Writing
from hashlib_interop.formats import FORMATS, MODULES
from hashlib_interop.handling import ALL, codes_of, restrictions
from hashlib_interop.model import (
    ENTRY_SCHEMA,
    IDENTITY_FIELDS,
    Classification,
    Entry,
    Evidence,
    Fingerprint,
    Handling,
    batch_of,
)
from hashlib_interop.reading import open_readers
from hashlib_interop.report import Import
from hashlib_interop.sniffing import claims
from hashlib_interop.writing import Written, write_stream
from tests.casework import Case, cases
from tests.format_options import ALONE, BY_LINE, BY_MEDIA, OPTIONS, UNORDERED, UNSNIFFED, WITNESSED
from tests.strategies import SOURCES, batches, digests
from tests.test_carrying import is_derived

ROOT = Path(__file__).parents[1]
RECORDED_AT = datetime(2025, 3, 1, tzinfo=UTC)
BOTH = [name for name in MODULES if FORMATS[name].read and FORMATS[name].write]
WRITABLE = [name for name in MODULES if FORMATS[name].write]

Row = dict[str, Any]


FILE = hashlib.sha256(b"synthetic-file").digest()
IMPORTS = [
    Import(
        source=source, file=FILE, name="list", size=1, format="native", reader="native 1", delivery="delta", recorded_at=RECORDED_AT,
    )
    for source in SOURCES
]  # fmt: skip


def witness(name: str) -> dict[str, Any]:
    """Return the evidence that entries must have for a format to take them."""
    return {"evidence": (Evidence(file=FILE, position=1),)} if name in WITNESSED else {}


def small(name: str) -> pa.RecordBatch:
    """Return two rows that every format can hold; one for a format whose file is one entry."""
    if name in ALONE:
        return batch_of([ALONE[name]])
    fixed = {"source": "a", "recorded_at": RECORDED_AT, "media": "image", "size": 7}
    rows = [
        Entry(
            md5=random.Random(seed).randbytes(16),
            sha1=random.Random(seed).randbytes(20),
            fingerprints=(Fingerprint(kind="pdq", value=random.Random(seed).randbytes(32)),),
            asserted_at=RECORDED_AT,
            contributor="C",
            file_names=("a.jpg",),
            classifications=(Classification(scheme="vics/US", code="1"), Classification(scheme="ncmec/industry", code="A1")),
            **fixed,
            **witness(name),
        )
        for seed in (1, 2)
    ]
    return batch_of(rows)


def write_to(path: Path, name: str, given_batches: Iterable[pa.RecordBatch]) -> Written:
    """Write batches as a format, as `write` does."""
    path.unlink(missing_ok=True)
    path.touch(0o600)
    with path.open("r+b") as stream:
        return write_stream(given_batches, stream, FORMATS[name], writing_of(name, str(path)))


def writing_of(name: str, path: str = "") -> Writing:
    """Return how a format is written here: restrictions may be lost, or half of the rows would be kept back."""
    return Writing(path, OPTIONS.get(name, {}), IMPORTS if name in WITNESSED else [], frozenset({ALL}), True)


def read_settings(name: str, source: str, **options: Any) -> dict[str, Any]:
    """Return keywords for `open_readers`."""
    known = OPTIONS.get(name, {}) | options
    return {"format": name, "source": source, "options": known, "recorded_at": RECORDED_AT}


def read_rows(path: Path, name: str, source: str = "a", **options: Any) -> list[Row]:
    """Read a file as a format, as rows; a reject is a failure."""
    rows: list[Row] = []
    for reader in open_readers(path, **read_settings(name, source, **options)):
        for batch in reader.batches():
            rows += batch.to_pylist()
        assert not reader.rejects, [str(reject) for reject in reader.rejects]
    return rows


def compared(rows: list[Row], format: Format) -> list[Row]:
    """Return rows without what is not the format's to keep, in an order that is."""
    ours = {"source", "recorded_at"} if not format.keeps_entries else set()
    kept = [{k: v for k, v in row.items() if k != "evidence" and k not in ours} for row in rows]
    if format.name in UNORDERED:
        return [dict(pairs) for pairs in sorted({_frozen(row) for row in kept}, key=repr)]
    return sorted(kept, key=lambda row: row["media"] == "video") if format.name in BY_MEDIA else kept


def _frozen(row: Row) -> tuple[tuple[str, Any], ...]:
    return tuple((name, repr(value)) for name, value in row.items())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a place for a file."""
    return tmp_path / "file"


# The registry --------------------------------------------------------------------------------------------


def test_every_module_is_registered() -> None:
    """A module in the folder is in the table, and the table has no other; in order."""
    found = sorted(path.stem for path in (ROOT / "formats").glob("*.py") if not path.stem.startswith("_"))
    assert list(MODULES) == sorted(MODULES) == found


@pytest.mark.parametrize("name", MODULES)
def test_a_format_has_one_name_a_test_and_a_case(name) -> None:
    """`vics.py`, `FORMATS["vics"]`, `tests/formats/test_vics.py`, `tests/cases/vics/`."""
    format = FORMATS[name]
    assert format.name == name and format.title and format.spec
    assert format.read or format.write
    assert not (format.write and not format.carries)
    assert (ROOT / "tests" / "formats" / f"test_{name}.py").exists()
    assert not format.read or [case for case in cases() if case.format == name]


def test_what_is_only_read_carries_what_its_cases_give() -> None:
    """Every field that they fill, but for those that every import has."""
    always = {"source", "seq", "recorded_at", "evidence"}
    for name in (name for name in FORMATS if not FORMATS[name].write and FORMATS[name].read and name != "rejects"):
        given: set[str] = set()
        for case in (case for case in cases() if case.format == name):
            for path in case.inputs:
                with contextlib.suppress(InteropError):
                    for batch in (batch for reader in open_readers(path, **case.settings) for batch in reader.batches()):
                        given |= {field for field in batch.schema.names if batch.column(field).null_count < batch.num_rows}
        assert given - always <= set(FORMATS[name].carries), name
        assert len(set(FORMATS[name].carries) - given) <= 3, name


def test_what_a_format_carries_are_fields() -> None:
    """And what it needs, it carries."""
    for name in WRITABLE:
        format = FORMATS[name]
        assert set(format.carries) <= set(ENTRY_SCHEMA.names)
        assert set(format.needs) <= set(format.carries)


# Law 15 --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOTH)
@given(data=st.data())
def test_what_is_carried_is_read_again(name, data, path) -> None:
    """read(write(project(b))) = project(b), for any b, outside of what the door fills; nothing is refused."""
    batch = data.draw(batches(max_size=4, recorded_at=RECORDED_AT, **witness(name)))
    format, losses = FORMATS[name], Losses()
    carried = project(batch, format, writing_of(name), losses)
    done = write_to(path, name, [batch])
    assert compared(read_rows(path, name), format) == compared(carried.to_pylist(), format)
    assert (done.given, done.written) == (batch.num_rows, carried.num_rows)
    assert done.losses == list(losses)


@pytest.mark.parametrize("name", BOTH)
@given(data=st.data())
def test_the_losses_are_exactly_what_differs(name, data, path) -> None:
    """For one row: the row is lost as a record, or each field that comes back otherwise is one loss."""
    batch = data.draw(batches(min_size=1, max_size=1, recorded_at=RECORDED_AT, **witness(name)))
    done = write_to(path, name, [batch])
    before, after = batch.to_pylist(), read_rows(path, name, source=batch.column("source")[0].as_py())
    if not after:
        assert [(loss.field, loss.count) for loss in done.losses] == [("record", 1)]
    else:
        differing = [field for field in IDENTITY_FIELDS.names if before[0][field] != after[0][field]]
        if is_derived(before[0]) and "ref" in differing:
            differing.remove("ref")
        assert [(loss.field, loss.count) for loss in done.losses] == [(field, 1) for field in sorted(differing)]
    if FORMATS[name].keeps_entries:
        assert not done.losses and len(after) == 1
        assert after[0]["evidence"] == before[0]["evidence"] or not before[0]["evidence"]


@pytest.mark.parametrize("name", [name for name in BOTH if not FORMATS[name].keeps_entries])
@given(data=st.data())
def test_losses_add_up(name, data, path) -> None:
    """The losses of a list are those of its rows, counted."""
    batch = data.draw(batches(max_size=4, source="a", recorded_at=RECORDED_AT, **witness(name)))
    alone: Counter[tuple[str, str]] = Counter()
    for row in range(batch.num_rows):
        for loss in write_to(path, name, [batch.slice(row, 1)]).losses:
            alone[loss.field, loss.reason] += loss.count
    together = {(loss.field, loss.reason): loss.count for loss in write_to(path, name, [batch]).losses}
    assert together == dict(alone)


@pytest.mark.parametrize("name", WRITABLE)
@given(data=st.data())
@settings(max_examples=15)
def test_the_same_entries_give_the_same_bytes(name, data, path) -> None:
    """However they are cut into batches."""
    fixed = {"md5": digests("md5"), "state": "active", "about": None, "recorded_at": RECORDED_AT}
    batch = data.draw(batches(max_size=5, **fixed, **witness(name)))
    write_to(path, name, [batch])
    once = path.read_bytes()
    cut = data.draw(st.integers(0, batch.num_rows))
    write_to(path, name, [batch.slice(0, cut), batch.slice(cut)])
    assert path.read_bytes() == once


@pytest.mark.parametrize("name", BOTH)
def test_an_empty_list_is_a_list(name, path) -> None:
    """Written and read."""
    write_to(path, name, [])
    assert read_rows(path, name) == []


@pytest.mark.parametrize("name", WRITABLE)
@given(data=st.data())
def test_a_restriction_is_said_or_the_row_is_not_written(name, data) -> None:
    """Whatever restricts a row that is written stands in what is written; a row kept back is one loss."""
    row = data.draw(batches(min_size=1, max_size=1, recorded_at=RECORDED_AT, **witness(name)))
    (before,), losses = row.column("handling").to_pylist(), Losses()
    careful, careless = replace(writing_of(name), drop_handling=frozenset()), writing_of(name)
    kept = project(row, FORMATS[name], careful, losses)
    dropping = project(row, FORMATS[name], careless, Losses())
    said = restrictions(before and Handling.model_validate(before))
    if kept.num_rows:
        (after,) = kept.column("handling").to_pylist()
        assert {*said} <= {*codes_of(after and Handling.model_validate(after))}
        assert kept.equals(dropping)
    elif dropping.num_rows:
        assert said and [(loss.field, loss.count) for loss in losses] == [("record", 1)]


# Broken files --------------------------------------------------------------------------------------------


def places(length: int) -> list[int]:
    """Return places of a file: both ends and steps between; every one in the profile `thorough`."""
    if settings().max_examples > 100:
        return list(range(length))
    return sorted({*range(min(40, length)), *range(40, length, length // 80 + 1), *range(max(0, length - 40), length)})


@pytest.mark.parametrize("name", BOTH)
def test_a_file_that_is_cut_anywhere_is_refused(name, path) -> None:
    """An error of ours. A format that ends with its lines may yield a strict prefix, a cut line no entry."""
    write_to(path, name, [small(name)])
    data, whole = path.read_bytes(), read_rows(path, name)
    assert len(whole) == small(name).num_rows
    for cut in places(len(data)):
        path.write_bytes(data[:cut])
        found = tolerant(path, name)
        if found is None or not data[cut:].strip():
            continue
        assert name in BY_LINE, f"cut at {cut} of {len(data)}: {found}"
        known = compared(whole, FORMATS[name])
        assert compared(found, FORMATS[name]) == known[: len(found)] and len(found) < len(whole), f"cut at {cut}"


@pytest.mark.parametrize("name", BOTH)
def test_a_flipped_byte_raises_nothing_but_our_errors(name, path) -> None:
    """Rejects, another value, an error of ours; no other exception, whatever the byte becomes."""
    write_to(path, name, [small(name)])
    data, dice = bytearray(path.read_bytes()), random.Random(name)
    for place in places(len(data)):
        before = data[place]
        data[place] = before ^ dice.choice([0x01, 0x10, 0x20, 0x80, 0xFF])
        path.write_bytes(data)
        tolerant(path, name)
        data[place] = before


@pytest.mark.parametrize("name", BOTH)
@given(data=st.binary(max_size=200), keep=st.integers(0, 2000))
def test_any_bytes_raise_nothing_but_our_errors(name, data, keep, path) -> None:
    """After any beginning of a good file."""
    write_to(path, name, [small(name)])
    path.write_bytes(path.read_bytes()[:keep] + data)
    tolerant(path, name)


def tolerant(path: Path, name: str) -> list[Row] | None:
    """Read what may be broken: the rows, rejects left out; None where the file is refused."""
    rows: list[Row] = []
    try:
        for reader in open_readers(path, **read_settings(name, "a")):
            for batch in reader.batches():
                batch.validate(full=True)
                rows += batch.to_pylist()
            assert all(str(reject).isprintable() for reject in reader.rejects)
    except InteropError as error:
        assert str(error).isprintable()
        return None
    return rows


# Sniffing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(WRITABLE) - UNSNIFFED))
def test_a_format_claims_what_it_writes(name, path) -> None:
    """Alone with the greatest claim."""
    for batch in (small(name), batch_of([])):
        write_to(path, name, [batch])
        found = claims(path.read_bytes()[: 1 << 16])
        assert found and found[0].format == name
        assert [claim.format for claim in found if claim.certainty == found[0].certainty] == [name]


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.format}/{case.folder.name}")
def test_a_format_claims_its_cases(case: Case) -> None:
    """Alone with the greatest claim; unless the case says that the content is not enough."""
    for path in case.inputs:
        (head,) = (reader.input.head() for reader in open_readers(path, format=case.format)[:1])
        found = claims(head)
        if case.is_sniffable:
            assert [claim.format for claim in found if claim.certainty == found[0].certainty] == [case.format]


@pytest.mark.parametrize("head", [b"", b"\n", b"{}", b"[]", b"<a/>", b"\x00" * 100, b"hello\n", b"%PDF-1.7\n", random.Random(1).randbytes(64)])
def test_what_is_no_list_is_claimed_by_nobody(head) -> None:
    """No format is the last resort."""
    assert claims(head) == []


@given(head=st.binary(max_size=300))
def test_sniffing_never_fails(head) -> None:
    """On any bytes; claims lie between 1 and 100."""
    assert all(1 <= claim.certainty <= 100 for claim in claims(head))


def test_streams_need_not_seek(path) -> None:
    """Writers of the row formats write forward only, so that a list can go down a pipe."""
    for name in sorted(set(WRITABLE) - {"catalog"}):
        write_to(path, name, [small(name)])
        stream = _Forward()
        write_stream([small(name)], stream, FORMATS[name], writing_of(name, "-"))
        assert stream.getvalue() == path.read_bytes()


class _Forward(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def seek(self, *args: object) -> int:
        raise io.UnsupportedOperation("seek")
