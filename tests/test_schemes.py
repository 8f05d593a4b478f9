"""The shipped schemes and crosswalk, held against the tables that they were made from, and an agency's own file."""

from __future__ import annotations

from pathlib import Path

import pytest

from hashlib_interop.crosswalk import COLUMNS, Row, load_crosswalk
from hashlib_interop.errors import BadPolicy
from hashlib_interop.policy import Policy
from hashlib_interop.schemes import hazards_of, is_pattern, known_scheme, load_schemes, matches, scheme_kind

HEADER = ",".join(COLUMNS)
P, S, G = "primary", "secondary", "general"

SCHEMES = [
    ("ncmec/industry", "A1 A2 B1 B2", "current", P),
    ("techcoalition/2022", "A1 A2 B1 B2", "current", P),
    ("ncmec/environment", "CSAM|Exploitative|Generative-AI CSAM|Generative-AI Exploitative", "current", P),
    (
        "ncmec/annotation",
        "generativeAi animeDrawingVirtualHentai possibleSelfProduction potentialMeme viral liveStreaming infant",
        "current",
        P,
    ),
    ("vics/US", "0 1 2 3 4", "current", P),
    ("dhs/cat", "0 1 2 3 4 5", "legacy", P),
    *((f"vics/{name}", "", "current", P) for name in ("CA", "UK", "AU", "IN", "Default", "CUSTOM")),
    ("uk/sc-2014", "A B C", "current", P),
    ("uk/sap-2002", "1 2 3 4 5", "legacy", P),
    ("copine", "1 2 3 4 5 6 7 8 9 10", "legacy", f"{P}/{G}"),
    ("interpol/baseline", "Yes No", "current", P),
    ("inhope/iccam", "baseline nationally-illegal not-illegal", "current", P),
    ("inhope/ucs-3", "", "current", P),
    ("c3p/arachnid-shield", "csam harmful-abusive-material no-known-match", "current", P),
    ("ca/criminal-code-163.1", "", "current", P),
    ("au-qld/oliver-9", "", "legacy", P),
    ("au/cets", "", "legacy", P),
    ("au-qld/q-cem", "1 2 3 4", "recommended", P),
    ("nz/fvpca-1993", "objectionable not-objectionable", "current", P),
    ("de/stgb-184b", "", "current", S),
    ("de/stgb-184c", "", "current", S),
    ("nl/sr-252", "", "current", P),
    ("id/legal-basis", "", "current", f"{S}/{G}"),
    ("nsrl", "present absent", "current", P),
]
"""Every row of the table of schemes: id, public codes, status, confidence."""

LOCAL = {"vics/unspecified", "known-file/hashkeeper", "threatexchange/status", "tcap/ideology", "c4all/local", "griffeye/local"}
"""Ids that readers give and the table of schemes has not."""

OURS = {"us/18usc2256(8)", "??/illegal", *LOCAL}
"""And the two concepts that only the crosswalk names."""

KINDS = {"ncmec/annotation": "facets", "inhope/ucs-3": "facets", "id/legal-basis": "facets", "nsrl": "known-file", "known-file/hashkeeper": "known-file"}

CROSSWALK = [
    ("techcoalition/2022", "A1 A2 B1 B2", "ncmec/industry", "=", "exactMatch", "official"),
    ("ncmec/industry", "A1 A2 B1 B2", "techcoalition/2022", "=", "exactMatch", "official"),
    ("inhope/iccam", "baseline", "interpol/baseline", "Yes", "exactMatch", "official"),
    ("uk/sap-2002", "4 5", "uk/sc-2014", "A", "broadMatch", "official"),
    ("uk/sap-2002", "2 3", "uk/sc-2014", "B", "broadMatch", "official"),
    ("uk/sap-2002", "1", "uk/sc-2014", "C", "broadMatch", "official"),
    ("uk/sc-2014", "A B C", "uk/sap-2002", "*", "narrowMatch", "unsafe"),
    ("copine", "*", "uk/sap-2002", "*", "relatedMatch", "unsafe"),
    ("copine", "*", "uk/sc-2014", "*", "relatedMatch", "unsafe"),
    ("interpol/baseline", "Yes", "??/illegal", "illegal", "broadMatch", "official"),
    ("interpol/baseline", "Yes", "id/illegal", "*", "none", "unsafe"),
    ("interpol/baseline", "No", "*", "*", "none", "unsafe"),
    ("inhope/iccam", "nationally-illegal", "*", "*", "none", "unsafe"),
    ("ncmec/industry", "A1", "interpol/baseline", "Yes", "relatedMatch", "unsafe"),
    ("ncmec/industry", "A1 B1", "uk/sc-2014", "*", "relatedMatch", "unsafe"),
    ("ncmec/industry", "A2 B2", "uk/sc-2014", "C", "closeMatch", "inferred"),
    ("ncmec/industry", "*", "de/stgb-184b", "*", "relatedMatch", "unsafe"),
    ("ncmec/industry", "*", "de/stgb-184c", "*", "relatedMatch", "unsafe"),
    ("ncmec/environment", "Exploitative", "c3p/arachnid-shield", "harmful-abusive-material", "relatedMatch", "inferred"),
    ("c3p/arachnid-shield", "csam", "ca/criminal-code-163.1", "*", "relatedMatch", "inferred"),
    ("c3p/arachnid-shield", "no-known-match", "*", "*", "none", "unsafe"),
    ("vics/US", "1", "us/18usc2256(8)", "*", "relatedMatch", "inferred"),
    ("vics/US", "2 3 4", "*", "*", "none", "unsafe"),
    ("dhs/cat", "4", "*", "*", "none", "unsafe"),
    ("vics/US", "0", "dhs/cat", "*", "none", "unsafe"),
    ("vics/UK", "*", "uk/sc-2014", "*", "none", "unsafe"),
    ("au-qld/q-cem", "*", "interpol/baseline", "*", "relatedMatch", "inferred"),
    ("ca/criminal-code-163.1", "*", "*", "*", "narrowMatch", "unsafe"),
    ("nz/fvpca-1993", "objectionable", "*", "*", "narrowMatch", "unsafe"),
    ("id/*", "*", "*", "*", "none", "unsafe"),
    ("*", "*", "id/legal-basis", "*", "none", "unsafe"),
    ("*", "*", "inhope/ucs-3", "*", "none", "unsafe"),
    ("*", "*", "nsrl", "*", "none", "unsafe"),
]
"""Every row of the table of the crosswalk; `=`: the same code. Two are ours: the second, and the third from the end."""

COLLISIONS = ["A, B", "1", "Oliver scale", "0, 5", "Baseline", "Category null, missing, 0", "IsPrecategorized, TotalPrecategorized, TotalMediaFiles"]


def crosswalk(folder: Path, *lines: str) -> Policy:
    """Return a policy with an agency's own file of these lines."""
    (folder / "own.csv").write_text("\n".join([HEADER, *lines, ""]))
    return Policy(target="uk/sc-2014", relations=("exactMatch", "broadMatch"), crosswalk=str(folder / "own.csv"))


# What is shipped ----------------------------------------------------------------------------------------


def test_every_scheme_of_the_table_is_data() -> None:
    """Id, codes, status and confidence, and no scheme besides."""
    found = load_schemes()
    assert set(found) == {name for name, *_ in SCHEMES} | OURS
    for name, codes, status, confidence in SCHEMES:
        scheme = found[name]
        assert list(scheme.codes) == (codes.split("|") if "|" in codes else codes.split())
        assert (scheme.status, scheme.confidence, scheme.kind) == (status, confidence, KINDS.get(name, "single"))


def test_an_order_is_declared_by_three_schemes_and_holds_all_their_codes() -> None:
    """Severity is nobody's to invent: only where the scheme says it, most severe first."""
    ordered = {name: scheme for name, scheme in load_schemes().items() if scheme.order}
    assert set(ordered) == {"uk/sc-2014", "uk/sap-2002", "copine"}
    assert all(sorted(scheme.order) == sorted(scheme.codes) for scheme in ordered.values())
    assert ordered["uk/sc-2014"].order[0] == "A" and ordered["uk/sap-2002"].order[0] == "5"


def test_every_row_of_the_crosswalk_table_is_data() -> None:
    """Relation and status, row by row, and no row besides."""
    wanted = {
        (source, code, target, code if to == "=" else to, relation, status)
        for source, codes, target, to, relation, status in CROSSWALK
        for code in codes.split()
    }
    rows = load_crosswalk(Policy()).rows
    assert {(r.from_scheme, r.from_code, r.to_scheme, r.to_code, r.relation, r.status) for r in rows} == wanted
    assert len(rows) == len(wanted)


def test_shipped_rows_name_known_schemes_and_codes_and_give_a_reason() -> None:
    """Patterns apart; nothing shipped claims to be an agency's."""
    for row in load_crosswalk(Policy()).rows:
        assert row.note and row.source and row.status != "agency"
        assert (row.source != "none") or row.status in ("inferred", "unsafe")
        for name, code in ((row.from_scheme, row.from_code), (row.to_scheme, row.to_code)):
            scheme = known_scheme(name)
            assert name in ("*", "id/*") or (scheme and (code == "*" or code in scheme.codes))


def test_the_collisions_of_symbols_are_hazards_of_their_schemes() -> None:
    """Each shows at every scheme that has part in it."""
    said = {hazard.symbol: hazard for name in load_schemes() for hazard in hazards_of(name)}
    assert sorted(said) == sorted(COLLISIONS)
    for hazard in said.values():
        assert all(name in load_schemes() or is_pattern(name) for name in hazard.schemes)
    assert {hazard.symbol for hazard in hazards_of("vics/UK")} == {COLLISIONS[5], COLLISIONS[6]}
    assert {hazard.symbol for hazard in hazards_of("uk/sc-2014")} == {"A, B"}


def test_patterns_stand_for_schemes_and_nothing_else_does() -> None:
    """`*` and `?`; brackets are letters. A scheme that nobody knows holds one code a record."""
    assert matches("??/illegal", "de/illegal") and not matches("??/illegal", "deu/illegal")
    assert matches("*", "x") and matches("id/*", "id/illegal") and not matches("id/*", "idx")
    assert matches("a[b]", "a[b]") and not matches("a[b]*", "ab")
    assert known_scheme("de/illegal") is load_schemes()["??/illegal"]
    assert scheme_kind("nobody/knows") == "single"


# What is used -------------------------------------------------------------------------------------------


def test_by_default_only_official_exact_matches_map() -> None:
    """Two schemes that are one, and the Baseline of ICCAM."""
    rows = load_crosswalk(Policy()).rows
    targets = {row.to_scheme for row in rows if not is_pattern(row.to_scheme)} | {"de/illegal", "id/illegal"}
    used = {target: load_crosswalk(Policy()).allowed(Policy(target=target)) for target in targets}
    same = {(name, code): code for name in ("ncmec/industry", "techcoalition/2022") for code in ("A1", "A2", "B1", "B2")}
    assert {target: found for target, found in used.items() if found} == {
        "ncmec/industry": {key: code for key, code in same.items() if key[0] != "ncmec/industry"},
        "techcoalition/2022": {key: code for key, code in same.items() if key[0] != "techcoalition/2022"},
        "interpol/baseline": {("inhope/iccam", "baseline"): "Yes"},
    }


def test_baseline_is_illegal_in_any_country_where_the_broader_is_allowed_and_never_the_reverse() -> None:
    """The one implication across borders; it is not chained with ICCAM's baseline either."""
    policy = Policy(target="fr/illegal", relations=("exactMatch", "broadMatch"))
    assert load_crosswalk(policy).allowed(policy) == {("interpol/baseline", "Yes"): "illegal"}
    back = Policy(target="interpol/baseline", relations=("exactMatch", "broadMatch", "narrowMatch"))
    assert ("fr/illegal", "illegal") not in load_crosswalk(back).allowed(back)


def test_unsafe_rows_and_none_are_never_used_whatever_the_policy() -> None:
    """Nor is a row without a single code on both sides."""
    everything = ("exactMatch", "broadMatch", "closeMatch", "narrowMatch", "relatedMatch")
    for name in [*load_schemes(), "de/illegal"]:
        policy = Policy(target=name, relations=everything, unofficial=True)
        for row in load_crosswalk(policy).used(policy):
            assert row.status != "unsafe" and row.relation != "none" and "*" not in (row.from_code, row.to_code)


def test_indonesia_maps_nothing_and_lists_its_statutes() -> None:
    """No scheme, no codes; six statutes for evidence notes."""
    scheme = load_schemes()["id/legal-basis"]
    assert not scheme.codes and len(scheme.statutes) == 6
    rows = load_crosswalk(Policy()).rows
    everything = Policy(target="id/illegal", relations=("exactMatch", "broadMatch", "closeMatch"), unofficial=True)
    deciding = load_crosswalk(everything).deciding("interpol/baseline", "Yes", "id/illegal")
    assert deciding and deciding.relation == "none"
    assert all(row.relation == "none" for row in rows if row.from_scheme.startswith("id/") or row.to_scheme.startswith("id/"))


# An agency's own file -----------------------------------------------------------------------------------


def test_a_row_of_an_agency_replaces_the_shipped_row_of_its_key(tmp_path: Path) -> None:
    """Also with none: then the code is not mapped any more. The others stay, and both files are named."""
    policy = crosswalk(
        tmp_path, "uk/sap-2002,1,uk/sc-2014,*,none,agency,ours,,,", "ncmec/industry,A1,uk/sc-2014,A,exactMatch,agency,ours,,,"
    )
    found = load_crosswalk(policy)
    assert found.allowed(policy) == {
        ("ncmec/industry", "A1"): "A", ("uk/sap-2002", "2"): "B", ("uk/sap-2002", "3"): "B",
        ("uk/sap-2002", "4"): "A", ("uk/sap-2002", "5"): "A",
    }  # fmt: skip
    assert [name for name, _ in found.files] == ["crosswalk.csv", "own.csv"]


def test_a_none_of_an_agency_for_a_whole_scheme_goes_before_the_shipped_rows(tmp_path: Path) -> None:
    """But not before its own exact row."""
    policy = crosswalk(tmp_path, "uk/sap-2002,*,*,*,none,agency,ours,,,", "uk/sap-2002,5,uk/sc-2014,A,exactMatch,agency,ours,,,")
    assert load_crosswalk(policy).allowed(policy) == {("uk/sap-2002", "5"): "A"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("vics/UK,1,uk/sc-2014,A,exactMatch,official,ours,,,", "status agency"),
        ("vics/UK,*,uk/sc-2014,A,exactMatch,agency,ours,,,", "relation none"),
        ("vics/*,1,uk/sc-2014,A,exactMatch,agency,ours,,,", "relation none"),
        ("vics/UK,1,??/illegal,illegal,exactMatch,agency,ours,,,", "relation none"),
        ("vics/UK,1,uk/sc-2014,D,exactMatch,agency,ours,,,", "no code D; it has A, B, C"),
        ("uk/sap-2002,6,uk/sc-2014,A,exactMatch,agency,ours,,,", "no code 6"),
        ("vics/UK,1,uk/sc-2014,A,sameAs,agency,ours,,,", "relation"),
        ("vics/UK,1,uk/sc-2014,A,exactMatch,agency,ours,,,,more", "String"),
        ("vics/UK,1,uk/sc-2014", "to_code"),
    ],
)
def test_a_row_that_would_mislead_or_never_be_used_is_refused(line: str, says: str, tmp_path: Path) -> None:
    """With file, line and reason."""
    with pytest.raises(BadPolicy, match=r"own.csv: line 2: ") as caught:
        load_crosswalk(crosswalk(tmp_path, line))
    assert says.lower() in str(caught.value).lower()


def test_a_code_that_stands_twice_is_refused_and_a_note_may_have_lines(tmp_path: Path) -> None:
    """Which of two rows is meant is not guessed."""
    line = "vics/UK,1,uk/sc-2014,A,exactMatch,agency,ours,,,"
    with pytest.raises(BadPolicy, match="line 3: maps the same code twice"):
        load_crosswalk(crosswalk(tmp_path, line, line))
    found = load_crosswalk(crosswalk(tmp_path, line + '"two\nlines"'))
    assert [row.note for row in found.rows if row.status == "agency"] == ["two\nlines"]


def test_which_of_several_rows_decides() -> None:
    """An agency's before a shipped one, the most exact, and of two equals the one that maps nothing."""
    fixed = {"to_code": "*", "source": "x", "from_code": "1"}
    row = [
        Row(from_scheme="a", to_scheme="t", relation="exactMatch", status="agency", **fixed),
        Row(from_scheme="*", to_scheme="*", relation="none", status="agency", **fixed),
        Row(from_scheme="a", to_scheme="t", relation="exactMatch", status="official", **fixed),
        Row(from_scheme="a", to_scheme="*", relation="none", status="unsafe", **fixed),
        Row(from_scheme="a", to_scheme="?", relation="exactMatch", status="official", **fixed),
        Row(from_scheme="*", to_scheme="*", relation="none", status="unsafe", **fixed),
    ]
    assert sorted([*row[3:], *row[:3]], key=lambda each: each.rank) == row
