"""Handling labels: the codes of each system, written and read again, and the join of labels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop.handling import STIX_TLP, TLP, codes_of, join, label_of, permits, restrictions
from hashlib_interop.model import Handling
from tests.strategies import handlings

GROUP = "3f2c1b7e-0000-4000-8000-00000000abcd"


@pytest.mark.parametrize(
    ("codes", "label"),
    [
        (["TLP:AMBER"], Handling(tlp="AMBER")),
        (["tlp:white"], Handling(tlp="WHITE")),
        (["TLP:AMBER+STRICT", "PAP:RED"], Handling(tlp="AMBER+STRICT", pap="RED")),
        (["TLP:GREEN", "TLP:RED"], Handling(tlp="RED")),
        (["TLP:EX:CHR"], Handling(tlp="EX:CHR")),
        (["H1", "europol:h2"], Handling(codes=("EUROPOL:H1", "EUROPOL:H2"))),
        (["MISP:0"], Handling(audience=("misp.organisation",))),
        (["MISP:3"], Handling(audience=("misp.all-communities",))),
        ([f"MISP:4:{GROUP}"], Handling(audience=(f"misp.sharing-group.{GROUP}",))),
        (["MISP:4"], Handling(audience=())),
        (["MISP:5"], Handling(audience=())),
        (["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"], Handling(tlp="AMBER")),
        ([f"marking-definition--{GROUP}"], Handling(audience=(f"stix.marking-definition--{GROUP}",))),
        (["NCMEC:17", "NCMEC:4"], Handling(audience=("ncmec.member-17", "ncmec.member-4"))),
        (["audience:a", "audience:b", "MISP:1"], Handling(audience=())),
        (["audience:"], Handling(audience=())),
        (["caveat:ask first"], Handling(caveats=("ask first",))),
        (["eyes only"], Handling(tlp="UNKNOWN", caveats=("eyes only",))),
        ([""], Handling(tlp="UNKNOWN")),
        ([], None),
    ],
)
def test_what_a_code_states(codes, label) -> None:
    """The systems of docs/handling.md, each in its own spelling."""
    assert label_of(codes) == label


@pytest.mark.parametrize(
    "code", ["TLP:AMBER", "PAP:RED", "EUROPOL:H2", "MISP:0", f"MISP:4:{GROUP}", f"marking-definition--{GROUP}", "NCMEC:17", "audience:x"]
)
def test_a_code_is_written_as_its_system_spells_it(code) -> None:
    """So that the partner who gave it can read it; names of several systems are ours."""
    assert codes_of(label_of([code])) == (code,)
    assert codes_of(Handling(audience=("misp.community", "x"))) == ("audience:misp.community", "audience:x")


def test_the_markings_of_stix_are_all_of_tlp() -> None:
    """Every label of TLP 2 has one, and the four of TLP 1."""
    assert {*STIX_TLP.values()} == {*TLP, "WHITE"} and len(STIX_TLP) == 9


CODES = st.one_of(
    st.sampled_from(["TLP:CLEAR", "TLP:RED", "PAP:AMBER", "H0", "H2", "MISP:0", "MISP:2", "NCMEC:1", "audience:", "x"]),
    st.sampled_from([f"marking-definition--{uuid}" for uuid in STIX_TLP]),
    st.text(max_size=12),
)


@given(st.lists(CODES, max_size=4))
def test_what_is_stated_is_written_and_read_again(codes) -> None:
    """The label stays the same, however often."""
    label = label_of(codes)
    assert label_of(codes_of(label)) == label


@given(st.lists(CODES, min_size=1, max_size=3), st.lists(CODES, min_size=1, max_size=3))
def test_more_codes_never_permit_more(codes, others) -> None:
    """Who may see a row with both may see it with either; but a second name on the same list widens that list."""
    label, both = label_of(codes), join(label_of(codes), label_of(others))
    assert not permits(both, "misp.community") or permits(label, "misp.community")


@given(handlings())
def test_restrictions_are_codes_of_the_label(label) -> None:
    """All of them but those that restrict nothing."""
    assert {*restrictions(label)} <= {*codes_of(label)}
    assert restrictions(Handling(tlp="CLEAR", pap="CLEAR", codes=("EUROPOL:H0",))) == ()


def test_an_unknown_label_permits_nobody_even_by_name() -> None:
    """Nor does no label, joined to one that names its readers."""
    named = Handling(audience=("x",))
    assert permits(named, "x")
    assert not permits(join(named, None), "x")
    assert not permits(label_of(["audience:x", "SECRET"]), "x")
    assert not permits(Handling(tlp="GREEN", pap="PURPLE", audience=("x",)), "x")
