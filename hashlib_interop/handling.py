"""Handling labels: read from the codes of many systems, written as codes, and a semilattice.

The label of a row that rests on several statements is their join: TLP and PAP are chains, codes and caveats
unite, audiences intersect. An unknown label stands above all known ones and permits nobody; so does
no label at all (None). `label_of` and `codes_of` are the one spelling of labels as text; docs/handling.md
lists it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any

import pyarrow as pa

from hashlib_interop.model import Handling

TLP = ("CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED")
PAP = ("CLEAR", "GREEN", "AMBER", "RED")
UNKNOWN = "UNKNOWN"
_NOTHING = (None, Handling())
_TLP_1 = {"WHITE": "CLEAR"}
ALL = "all"
"""Where restrictions are named that may be lost: any."""
UNLABELLED = "UNLABELLED"
"""In `codes`: some of the statements joined have no label. It permits nobody, and takes nothing from the others."""
_OPEN = ("TLP:CLEAR", "TLP:WHITE", "PAP:CLEAR", "PAP:WHITE", "EUROPOL:H0", UNLABELLED)
"""Codes that restrict nothing that is stated: H0 names the purpose that all of this has."""

STIX_TLP = {
    "613f2e26-407d-48c7-9eca-b8e91df99dc9": "WHITE",
    "34098fce-860f-48ae-8e50-ebd3cc5e41da": "GREEN",
    "f88d31f6-486f-44da-b317-01333bde0b82": "AMBER",
    "5e57c739-391a-4eb3-b6be-7d15ca92d5ed": "RED",
    "94868c89-83c2-464b-929b-a1a8aa3c8487": "CLEAR",
    "bab4a63c-aed9-4cf5-a766-dfca5abac2bb": "GREEN",
    "55d920b0-5e8b-4f79-9ee9-91f868d9b421": "AMBER",
    "939a9414-2ddd-4d32-a0cd-375ea402b003": "AMBER+STRICT",
    "e828b379-4e03-4974-9ac4-e53a884c97c1": "RED",
}
"""Marking definitions of STIX 2.1: TLP 1 (section 7.2.1.4), then TLP 2.0 (extension 60a3c5c5-0d10-413e-aab3-9e08dde9e88d)."""

_MISP = ("organisation", "community", "connected-communities", "all-communities")


def _rank(chain: tuple[str, ...], label: str | None) -> tuple[int, str]:
    """Place a label in its chain; none stated is lowest, an unknown one above all."""
    if label is None:
        return (-1, "")
    known = _TLP_1.get(label.upper().removeprefix("TLP:"), label.upper().removeprefix("TLP:"))
    return (chain.index(known), known) if known in chain else (len(chain), UNKNOWN)


def _higher(chain: tuple[str, ...], a: str | None, b: str | None) -> str | None:
    return max(_rank(chain, a), _rank(chain, b))[1] or None


def _audience(a: tuple[str, ...] | None, b: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if a is None or b is None:
        return a if b is None else b
    return tuple(sorted(set(a) & set(b)))


def normal(label: Handling | None) -> Handling | None:
    """Return a label in current spelling, an unknown one as `UNKNOWN`; None for one that states nothing."""
    if label is None or label in _NOTHING:
        return None
    return Handling(
        tlp=_higher(TLP, label.tlp, None),
        pap=_higher(PAP, label.pap, None),
        codes=label.codes,
        audience=label.audience,
        caveats=label.caveats,
    )


def join(a: Handling | None, b: Handling | None) -> Handling | None:
    """Return the least label that is as strict as both.

    The join of a label with None is that label and `UNLABELLED`: what restricts one of two statements does not vanish
    because the other says nothing.
    """
    if a in _NOTHING or b in _NOTHING or a is None or b is None:
        stated = normal(b if a in _NOTHING else a)
        return stated and stated.model_copy(update={"codes": tuple(sorted({*stated.codes, UNLABELLED}))})
    return Handling(
        tlp=_higher(TLP, a.tlp, b.tlp),
        pap=_higher(PAP, a.pap, b.pap),
        codes=tuple({*a.codes, *b.codes}),
        audience=_audience(a.audience, b.audience),
        caveats=tuple({*a.caveats, *b.caveats}),
    )


def joined(labels: Iterable[Handling | None]) -> Handling | None:
    """Return the join of some labels; None for none."""
    found = [normal(label) for label in labels]
    return reduce(join, found) if found else None


def permits(label: Handling | None, audience: str) -> bool:
    """Tell whether a row with this label may go to an audience (a slug).

    Unlabelled and unknown permit nobody; RED permits only who is named.
    """
    if label is None or label in _NOTHING or label.audience == () or UNLABELLED in label.codes:
        return False
    tlp, pap = _rank(TLP, label.tlp)[0], _rank(PAP, label.pap)[0]
    if tlp == len(TLP) or pap == len(PAP):
        return False
    return tlp < TLP.index("RED") if label.audience is None else audience in label.audience


# As text -------------------------------------------------------------------------------------------------


def label_of(codes: Iterable[str]) -> Handling | None:
    """Return the label that some codes state together; None for none.

    Readers that one system names are a list; lists of several systems intersect. A code of no known system is kept
    as a caveat, and the label is then `UNKNOWN`, which permits nobody.
    """
    stated: dict[str, Any] = {"codes": [], "caveats": [], "lists": {}}
    for code in codes:
        for pattern, state in _SYSTEMS:
            if match := pattern.fullmatch(code):
                state(match, stated)
                break
    lists = [set(names) for names in stated.pop("lists").values()]
    audience = tuple(set.intersection(*lists)) if lists else None
    label = Handling(audience=audience, **stated)
    return None if label in _NOTHING else label


def codes_of(label: Handling | None) -> tuple[str, ...]:
    """Return a label as codes, which `label_of` reads again."""
    if label is None:
        return ()
    chains = [f"{name}:{value}" for name, value in (("TLP", label.tlp), ("PAP", label.pap)) if value]
    return (*chains, *label.codes, *_readers(label.audience), *(f"caveat:{text}" for text in label.caveats))


def _readers(audience: tuple[str, ...] | None) -> list[str]:
    """Return a list of readers in the spelling of the one system that all of them are of, else in ours."""
    if audience is None:
        return []
    for prefix, written in _WRITTEN.items():
        if audience and all(name.startswith(prefix) for name in audience):
            codes = [written(name.removeprefix(prefix)) for name in audience]
            if label_of(codes) == Handling(audience=audience):
                return codes
    return [f"audience:{name}" for name in audience or ("",)]


def _misp_code(name: str) -> str:
    return f"MISP:{_MISP.index(name)}" if name in _MISP else f"MISP:4:{name.removeprefix('sharing-group.')}"


_WRITTEN: dict[str, Callable[[str], str]] = {
    "misp.": _misp_code,
    "ncmec.member-": lambda name: f"NCMEC:{name}",
    "stix.": lambda name: name,
}
"""By the beginning of a reader's name: how its system writes it."""


def as_row(label: Handling | None) -> dict[str, Any] | None:
    """Return a label as a value of the column `handling`: an empty list is null, but for `audience`."""
    if label is None:
        return None
    return {name: value if value or name == "audience" else None for name, value in label.model_dump().items()}


def restrictions(label: Handling | None) -> tuple[str, ...]:
    """Return the codes of a label that restrict anything."""
    return tuple(code for code in codes_of(label) if code.upper() not in _OPEN)


def labels_in(column: pa.StructArray) -> list[Handling | None]:
    """Return a column `handling` as labels; few differ, and each is validated once."""
    if column.null_count == len(column):
        return [None] * len(column)
    known: dict[str, Handling] = {}
    found: list[Handling | None] = []
    for value in column.to_pylist():
        key = repr(value)
        if value is not None and key not in known:
            known[key] = Handling.model_validate(value)
        found.append(known.get(key))
    return found


def _state_chain(match: re.Match[str], stated: dict[str, Any]) -> None:
    _raise(stated, "tlp" if match["chain"].upper() == "TLP" else "pap", match["value"])


def _raise(stated: dict[str, Any], name: str, value: str) -> None:
    """State a label of a chain: the higher one, where there is one."""
    chain = TLP if name == "tlp" else PAP
    known = value.upper() if _rank(chain, value)[1] != UNKNOWN else value
    stated[name] = known if stated.get(name) in (None, known) else _higher(chain, stated[name], known)


def _state_stix(match: re.Match[str], stated: dict[str, Any]) -> None:
    value = STIX_TLP.get(match["uuid"].lower())
    if value is None:
        _name(stated, "stix", f"stix.marking-definition--{match['uuid'].lower()}")
    else:
        _raise(stated, "tlp", value)


def _state_europol(match: re.Match[str], stated: dict[str, Any]) -> None:
    stated["codes"].append(f"EUROPOL:{match['code'].upper()}")


def _state_unlabelled(match: re.Match[str], stated: dict[str, Any]) -> None:
    stated["codes"].append(UNLABELLED)


def _state_misp(match: re.Match[str], stated: dict[str, Any]) -> None:
    number, group = int(match["number"]), match["group"]
    if number == 4 and group:
        _name(stated, "misp", f"misp.sharing-group.{group.lower()}")
    else:
        _name(stated, "misp", f"misp.{_MISP[number]}" if number < len(_MISP) else "")


def _state_audience(match: re.Match[str], stated: dict[str, Any]) -> None:
    _name(stated, "", match["name"])


def _name(stated: dict[str, Any], system: str, name: str) -> None:
    """Add a reader to the list of a system; the list of no name is nobody."""
    stated["lists"].setdefault(system, []).extend([name] if name else [])


def _state_ncmec(match: re.Match[str], stated: dict[str, Any]) -> None:
    _name(stated, "ncmec", f"ncmec.member-{match['member']}")


def _state_caveat(match: re.Match[str], stated: dict[str, Any]) -> None:
    stated["caveats"].append(match["text"])


def _state_unknown(match: re.Match[str], stated: dict[str, Any]) -> None:
    stated["caveats"] += [match[0]] if match[0] else []
    stated["tlp"] = UNKNOWN


_SYSTEMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], dict[str, Any]], None]], ...] = tuple(
    (re.compile(pattern, re.DOTALL), state)
    for pattern, state in (
        (r"(?i:(?P<chain>TLP|PAP)):(?P<value>.+)", _state_chain),
        (r"(?i:(?:EUROPOL:)?(?P<code>H[0-3]))", _state_europol),
        (r"(?i:UNLABELLED)", _state_unlabelled),
        (r"(?i:MISP:(?P<number>[0-5])(?::(?P<group>[0-9a-f-]{36}))?)", _state_misp),
        (r"(?i:marking-definition--(?P<uuid>[0-9a-f-]{36}))", _state_stix),
        (r"(?i:NCMEC:(?P<member>[0-9]{1,18}))", _state_ncmec),
        (r"audience:(?P<name>.*)", _state_audience),
        (r"caveat:(?P<text>.+)", _state_caveat),
        (r".*", _state_unknown),
    )
)
"""How a code of each system is known, and what it states; the last takes the rest."""
