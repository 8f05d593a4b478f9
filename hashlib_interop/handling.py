"""Handling labels as a semilattice: the label of a row that rests on several statements is their join.

Rules: schemes.md, "Handling codes". TLP and PAP are chains, codes and caveats unite, audiences intersect.
An unknown label stands above all known ones, and no label at all (None) above everything: it permits nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from hashlib_interop.model import Handling

TLP = ("CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED")
PAP = ("CLEAR", "GREEN", "AMBER", "RED")
UNKNOWN = "UNKNOWN"
_NOTHING = (None, Handling())
_TLP_1 = {"WHITE": "CLEAR"}


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
    """Return the least label that is as strict as both. None (unlabelled) absorbs: it permits nobody."""
    if a in _NOTHING or b in _NOTHING or a is None or b is None:
        return None
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
    if label is None or label in _NOTHING or label.audience == ():
        return False
    if label.audience is not None:
        return audience in label.audience
    return _rank(TLP, label.tlp)[0] < TLP.index("RED") and _rank(PAP, label.pap)[0] < len(PAP)
