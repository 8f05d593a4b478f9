"""Mapping into one scheme: its laws, against a reference that goes value by value, and what is told."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop.converting import convert
from hashlib_interop.crosswalk import COLUMNS, load_crosswalk
from hashlib_interop.errors import BadOption, BadPolicy
from hashlib_interop.explaining import why
from hashlib_interop.merging import merge
from hashlib_interop.model import ENTRY_SCHEMA, Classification, Entry, batch_of
from hashlib_interop.policy import Policy, Relation
from hashlib_interop.schemes import load_schemes
from hashlib_interop.translating import Translation
from hashlib_interop.writing import write
from tests.strategies import classifications as any_pair

RELATIONS = get_args(Relation)
KNOWN = [(name, code) for name, scheme in load_schemes().items() for code in scheme.codes]
TARGETS = ["uk/sc-2014", "ncmec/industry", "interpol/baseline", "uk/sap-2002", "de/illegal", "nsrl", "id/legal-basis", "inhope/ucs-3"]

Pair = tuple[str, str]

pairs = st.one_of(st.sampled_from(KNOWN), any_pair().map(lambda each: (each.scheme, each.code)))
records = st.lists(st.one_of(st.just([]), st.lists(pairs, max_size=4)), max_size=12)
relations = st.sets(st.sampled_from(RELATIONS)).map(lambda names: tuple(sorted(names)))


@st.composite
def agency_rows(draw: st.DrawFn) -> list[dict[str, str]]:
    """Rows of an agency: exact ones between known codes, and ones of no mapping that may stand for many."""
    exact = st.tuples(st.sampled_from(KNOWN), st.sampled_from(KNOWN), st.sampled_from(RELATIONS))
    wide = st.tuples(
        st.tuples(st.sampled_from(["*", "uk/*", "uk/sap-2002", "ncmec/industry"]), st.sampled_from(["*", "1", "A1"])),
        st.tuples(st.sampled_from(["*", "uk/sc-2014", "??/illegal"]), st.just("*")),
        st.just("none"),
    )
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for (scheme, code), (target, to), relation in draw(st.lists(st.one_of(exact, wide), max_size=6)):
        if "?" in scheme or ("?" in target and relation != "none"):
            continue
        values = (scheme, code, target, to, relation, "agency", "ours", "", "", "")
        found[scheme, code, target] = dict(zip(COLUMNS, values, strict=True))
    return list(found.values())


def own_file(folder: Path, rows: Iterable[dict[str, str]]) -> Path:
    path = folder / "own.csv"
    path.write_text("\n".join([",".join(COLUMNS), *(",".join(row.values()) for row in rows), ""]))
    return path


def batch(found: list[list[Pair]]) -> pa.RecordBatch:
    """Return records with these classifications, each with a synthetic MD5."""
    entries = [
        Entry(
            source="a", md5=hashlib.md5(f"synthetic-{number}".encode()).digest(),
            classifications=[Classification(scheme=scheme, code=code) for scheme, code in record],
        )
        for number, record in enumerate(found)
    ]  # fmt: skip
    return batch_of(entries)


def said(batch: pa.RecordBatch) -> list[list[Pair]]:
    return [[(c["scheme"], c["code"]) for c in row or ()] for row in batch.column("classifications").to_pylist()]


def decided(pair: Pair, target: str, allowed: tuple[str, ...], own: list[dict[str, str]]) -> str | None:
    """Say what becomes of a code, the slow way: an agency's word first, the most exact first, none before all else."""
    if pair[0] == target:
        return pair[1]
    replaced = {(r["from_scheme"], r["from_code"], r["to_scheme"]) for r in own}
    shipped = [r.model_dump() for r in load_crosswalk(Policy()).rows if r.key not in replaced]
    speak = [
        r for r in [*shipped, *own]
        if fnmatchcase(pair[0], r["from_scheme"]) and r["from_code"] in ("*", pair[1]) and fnmatchcase(target, r["to_scheme"])
    ]  # fmt: skip
    best = sorted(speak, key=lambda r: (r["status"] != "agency", sum(map(wild, (r["from_scheme"], r["from_code"], r["to_scheme"]))), r["relation"] != "none"))[:1]
    for r in best:
        if r["relation"] in allowed and r["status"] in ("official", "agency") and not wild(r["from_code"]) and not wild(r["to_code"]):
            return str(r["to_code"])
    return None


def wild(text: str) -> bool:
    return "*" in text or "?" in text


@given(records, st.sampled_from(TARGETS), relations, agency_rows())
def test_every_code_is_its_own_or_an_allowed_row_s_and_the_rest_is_counted(
    found: list[list[Pair]], target: str, allowed: tuple[str, ...], own: list[dict[str, str]]
) -> None:
    """Nothing is invented or chained, nothing weighed; stayed + mapped + lost = given; other fields stay."""
    given_batch = batch(found)
    with tempfile.TemporaryDirectory() as folder:
        translation = Translation(target, own_file(Path(folder), own), allowed)
        made = translation.batch(given_batch)
        again = Translation(target, own_file(Path(folder), own), allowed)
        assert again.batch(made).equals(made) and not again.losses and not again.translated.mapped
    given_pairs = [pair for record in said(given_batch) for pair in record]
    wanted = [{(target, code) for p in record if (code := decided(p, target, allowed, own)) is not None} for record in said(given_batch)]
    assert said(made) == [sorted(record) for record in wanted]
    stayed = sum(scheme == target for scheme, _ in given_pairs)
    mapped = Counter({(m.from_scheme, m.from_code): m.count for m in translation.translated.mapped})
    assert mapped == Counter(p for p in given_pairs if p[0] != target and decided(p, target, allowed, own) is not None)
    assert stayed + mapped.total() + sum(loss.count for loss in translation.losses) == len(given_pairs)
    assert made.schema.equals(ENTRY_SCHEMA) and made.drop_columns("classifications").equals(given_batch.drop_columns("classifications"))
    made.validate(full=True)


@given(records, st.integers(0, 12), st.sampled_from(TARGETS))
def test_how_the_rows_are_cut_into_batches_changes_nothing(found: list[list[Pair]], cut: int, target: str) -> None:
    """Slices of one batch give its rows, its losses and its examples."""
    whole, parts = Translation(target, None, RELATIONS), Translation(target, None, RELATIONS)
    given_batch = batch(found)
    at_once = whole.batch(given_batch)
    slices = [parts.batch(given_batch.slice(0, cut)), parts.batch(given_batch.slice(cut))]
    assert said(at_once) == [record for one in slices for record in said(one)]
    assert parts.losses == whole.losses and parts.translated == whole.translated


def test_losses_name_why_and_the_first_value() -> None:
    """By relation and status of the row that decides, or that there is none."""
    translation = Translation("uk/sc-2014")
    translation.batch(batch([[("ncmec/industry", "B2"), ("ncmec/industry", "A1")], [("ncmec/industry", "A2"), ("uk/sap-2002", "4")]]))
    translation.batch(batch([[("local", "\x1b")], [("nsrl", "present"), ("uk/sc-2014", "B")]]))
    assert [(x.field, x.count, x.reason.partition(" (")[2], x.example) for x in translation.losses] == [
        ("classifications", 1, "broadMatch, official: --relations broadMatch allows it)", "uk/sap-2002:4"),
        ("classifications", 2, "closeMatch, inferred)", "ncmec/industry:B2"),
        ("classifications", 2, "no row speaks of it)", "local:\\x1b"),
                ("classifications", 1, "relatedMatch, unsafe)", "ncmec/industry:A1"),
    ]
    assert all(x.reason.startswith("no allowed relation to uk/sc-2014") for x in translation.losses)


def test_codes_of_two_schemes_are_never_weighed_against_each_other(tmp_path: Path) -> None:
    """A record keeps both codes; an order of severity in each scheme makes no order across them."""
    made = Translation("uk/sc-2014", None, ("exactMatch", "broadMatch")).batch(batch([[("uk/sap-2002", "2"), ("uk/sc-2014", "C")]]))
    assert said(made) == [[("uk/sc-2014", "B"), ("uk/sc-2014", "C")]]
    md5 = hashlib.md5(b"synthetic-1").digest()
    claims = {"a": ("ncmec/industry", "A1"), "b": ("uk/sc-2014", "C")}
    for source, (scheme, code) in claims.items():
        write([Entry(source=source, md5=md5, classifications=[Classification(scheme=scheme, code=code)])], tmp_path / f"{source}.jsonl", format="native")
    orders = {"ncmec/industry": ("A1", "A2", "B1", "B2"), "uk/sc-2014": ("A", "B", "C")}
    merge([tmp_path / "a.jsonl", tmp_path / "b.jsonl"], tmp_path / "all.db", policy=Policy(severity=orders))
    (answer,) = why(tmp_path / "all.db", md5.hex())
    assert answer.item is not None and (answer.item["status"], answer.item["code"]) == ("no-mapping", None)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"scheme": "uk/sc2014"}, "did you mean uk/sc-2014"),
        ({"scheme": "??/illegal"}, "name one"),
        ({"crosswalk": "x.csv"}, "without a scheme"),
        ({"relations": ("broadMatch",)}, "without a scheme"),
    ],
)
def test_a_target_that_nobody_knows_is_wrong_usage(settings: dict[str, Any], error: str, tmp_path: Path) -> None:
    """Before anything is read."""
    with pytest.raises(BadOption, match=error.replace("?", r"\?")):
        convert([tmp_path / "absent"], tmp_path / "out.jsonl", to="native", **settings)


def test_a_scheme_of_an_agency_s_own_is_known_by_its_crosswalk(tmp_path: Path) -> None:
    """Private schemes need no entry of ours."""
    line = dict(zip(COLUMNS, ("vics/UK", "1", "unit7/grade", "high", "exactMatch", "agency", "ours", "", "", ""), strict=True))
    made = Translation("unit7/grade", own_file(tmp_path, [line])).batch(batch([[("vics/UK", "1")]]))
    assert said(made) == [[("unit7/grade", "high")]]
    with pytest.raises(BadOption):
        Translation("unit7/grade")
    with pytest.raises(BadPolicy):
        Translation("unit7/grade", tmp_path / "absent.csv")
    with pytest.raises(BadPolicy):
        Translation("uk/sc-2014", None, ("none",))
