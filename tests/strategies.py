"""Hypothesis strategies for entries: every value that the model allows, the nasty ones first.

`entries(**fixed)` gives any `Entry`; a keyword fixes a field to a value or to a strategy. `lists()` gives
small lists of entries that collide on purpose: few sources, refs and digests. `batches()` gives the
columnar view, sliced now and then. All digests are synthetic: made from small seeds.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from hashlib_interop.algorithms import ALGORITHMS, FINGERPRINTS
from hashlib_interop.model import (
    About,
    Classification,
    Entry,
    Evidence,
    Fingerprint,
    Handling,
    Json,
    batch_of,
)

MOST = 2**63 - 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
FORMAT_NAMES = ("vics", "icse", "ncmec", "columns", "plain", "native", "parquet", "catalog", "elsewhere")
SCHEMES = (
    "ncmec/industry", "ncmec/environment", "vics/US", "uk/sc-2014", "interpol/baseline", "c3p/arachnid-shield", "local",
)  # fmt: skip
SOURCES = ("ncmec-npo", "interpol-icse", "a", "b2", "0._-")
NASTY = (
    " ", "  lead", "trail  ", "\t", "a\tb", "\n", "a\nb", "a\r\nb", "\r", "\x00", "a\x00b", "\x1b]0;x\x07",
    '"', '""', "'", "a,b", "a;b", "a|b", "a=b", "a:b", "=1+1", "+1", "-1", "@x", "#", "\\", "\\n", "\\\\", "/", "{}",
    "[]", "null", "true", "NaN", "0", "-0", "1e5", "<a>", "&amp;", "]]>", "<!--", "<?x?>", "\u202e", "\u200b",
    "\ufeff", "\ufeffx", "\xa0", "\x85", "\u2028", "\ufffe", "\uffff", "é", "e\u0301", "Ж", "漢字", "😀", "\U0010ffff",
    "%s", "%00", "../../etc", "C:\\x", "\x7f", "\x01", "\x0b", "\x0c", "\x1c", "x" * 300,
)  # fmt: skip


def texts(min_size: int = 0, max_size: int = 12) -> st.SearchStrategy[str]:
    """Any text that UTF-8 can hold: unicode, quotes, separators, controls, outer spaces, empty."""
    nasty = st.sampled_from([text for text in NASTY if len(text) >= min_size])
    return st.one_of(nasty, st.text(min_size=min_size, max_size=max_size))


def plain_texts() -> st.SearchStrategy[str]:
    """Short words, so that many values survive every format."""
    return st.text("abcXYZ019 ._-", min_size=1, max_size=8).map(str.strip).filter(bool)


def wordings(min_size: int = 0) -> st.SearchStrategy[str]:
    """Words half of the time, anything else otherwise."""
    return st.one_of(plain_texts(), texts(min_size))


def stamps() -> st.SearchStrategy[datetime]:
    """Stamps from 1970 to 9999 with a precision of one millisecond, UTC."""
    edges = st.sampled_from([EPOCH, LAST, datetime(2024, 2, 29, 12, tzinfo=UTC), datetime(2025, 3, 1, tzinfo=UTC)])
    last = (LAST - EPOCH) // timedelta(milliseconds=1)
    return st.one_of(edges, st.integers(0, last).map(lambda ms: EPOCH + timedelta(milliseconds=ms)))


def integers() -> st.SearchStrategy[int]:
    """Numbers from 0 to 2^63-1, with the edges of doubles and of 32 bits."""
    edges = st.sampled_from([0, 1, 2**31 - 1, 2**32, 2**53 - 1, 2**53, 2**53 + 1, MOST])
    return st.one_of(edges, st.integers(0, 10**6), st.integers(0, MOST))


def digests(name: str, seeds: int = 2**32) -> st.SearchStrategy[bytes]:
    """Synthetic digests of one algorithm, made from a seed; rarely all-zero or all-one."""
    width = ALGORITHMS[name].width

    def made(seed: int) -> bytes:
        return hashlib.new(name, f"synthetic-{seed}".encode()).digest()

    return st.one_of(st.integers(0, seeds - 1).map(made), st.sampled_from([bytes(width), b"\xff" * width]))


def fingerprints() -> st.SearchStrategy[Fingerprint]:
    """Values of every kind; kinds of text hold UTF-8 mostly, any bytes now and then."""

    def of(name: str) -> st.SearchStrategy[Fingerprint]:
        kind = FINGERPRINTS[name]
        if kind.width is not None:
            value = st.binary(min_size=kind.width, max_size=kind.width)
        elif kind.text:
            value = st.one_of(wordings(1).map(str.encode), st.binary(max_size=8))
        else:
            value = st.binary(max_size=16)
        return value.map(lambda data: Fingerprint(kind=name, value=data))

    return st.sampled_from(sorted(FINGERPRINTS)).flatmap(of)


def classifications() -> st.SearchStrategy[Classification]:
    """Pairs of known and unknown schemes and codes."""
    scheme = st.one_of(st.sampled_from(SCHEMES), wordings(1))
    code = st.one_of(st.sampled_from(["0", "1", "2", "3", "5", "A1", "B2", "1.0", "01"]), wordings())
    return st.builds(Classification, scheme=scheme, code=code)


def tuples_of(items: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    """Small tuples, empty half of the time."""
    return st.one_of(st.just(()), st.lists(items, max_size=most).map(tuple))


def handlings() -> st.SearchStrategy[Handling]:
    """Restrictions; `audience` is none, nobody or somebody."""
    label = st.one_of(st.none(), st.sampled_from(["RED", "AMBER+STRICT", "AMBER", "GREEN", "CLEAR"]), texts())
    return st.builds(
        Handling,
        tlp=label,
        pap=label,
        codes=tuples_of(wordings()),
        audience=st.one_of(st.none(), tuples_of(wordings())),
        caveats=tuples_of(wordings()),
    )


def abouts() -> st.SearchStrategy[About]:
    """Registers that a vote or decision speaks of."""
    return st.builds(
        About, source=sources(), ref=wordings(1), considered=tuples_of(st.binary(min_size=32, max_size=32), 2)
    )


def evidences() -> st.SearchStrategy[Evidence]:
    """Where an entry was seen."""
    return st.builds(
        Evidence,
        file=st.binary(min_size=32, max_size=32),
        release=st.one_of(st.none(), stamps()),
        position=st.one_of(st.none(), st.integers(1, MOST)),
    )


def sources() -> st.SearchStrategy[str]:
    """Slugs of sources."""
    return st.sampled_from(SOURCES)


def json_values() -> st.SearchStrategy[Any]:
    """JSON values: nested a little, numbers exact, nasty texts, empty containers, null."""
    numbers = st.one_of(integers(), st.integers(-MOST, -1), st.floats(allow_nan=False, allow_infinity=False, width=32))
    leaves = st.one_of(st.none(), st.booleans(), numbers, wordings())
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(wordings(), inner, max_size=3)
        ),
        max_leaves=6,
    )


def extras() -> st.SearchStrategy[Json]:
    """What the model has no place for: `{format name: {field: value}}`."""
    fields = st.dictionaries(wordings(), json_values(), max_size=3)
    return st.one_of(st.just({}), st.dictionaries(st.sampled_from(FORMAT_NAMES), fields, max_size=3))


def _fields() -> dict[str, st.SearchStrategy[Any]]:
    tri_state = st.sampled_from([None, None, True, False])
    text = st.one_of(st.none(), wordings())
    return {
        "source": sources(),
        "ref": st.one_of(st.just(""), wordings()),
        "contributor": text,
        "asserted_at": st.one_of(st.none(), stamps()),
        "seq": st.one_of(st.just(0), integers()),
        "state": st.sampled_from(["active", "active", "retracted"]),
        **{name: st.one_of(st.none(), digests(name)) for name in ALGORITHMS},
        "fingerprints": tuples_of(fingerprints()),
        "media": st.sampled_from([None, "image", "video", "other"]),
        "mime_type": st.one_of(st.none(), st.sampled_from(["image/jpeg", "video/mp4"]), texts()),
        "size": st.one_of(st.none(), integers()),
        "file_names": tuples_of(wordings()),
        "classifications": tuples_of(classifications()),
        "series": text,
        "tags": tuples_of(wordings()),
        "victim_identified": tri_state,
        "offender_identified": tri_state,
        "is_distributed": tri_state,
        "self_generated": tri_state,
        "about": st.one_of(st.none(), st.none(), abouts()),
        "vote": st.sampled_from([None, None, "up", "down"]),
        "reason": text,
        "handling": st.one_of(st.none(), handlings()),
        "extra": extras(),
        "recorded_at": st.just(datetime(2025, 3, 1, tzinfo=UTC)),
        "evidence": tuples_of(evidences(), 2),
    }


FIELDS = _fields()


@st.composite
def entries(draw: st.DrawFn, **fixed: Any) -> Entry:
    """Any entry. A keyword fixes a field: a strategy is drawn from, another value is taken as it is.

    A field that is not fixed is left out about half of the time, so that plain rows are frequent too.
    """
    values: dict[str, Any] = {}
    for name, strategy in FIELDS.items():
        if name in fixed:
            given_value = fixed[name]
            values[name] = draw(given_value) if isinstance(given_value, st.SearchStrategy) else given_value
        elif name in ("source", "ref", "recorded_at") or draw(st.booleans()):
            values[name] = draw(strategy)
    if not values.get("ref") and not any(values.get(name) for name in ALGORITHMS):
        values["ref"] = draw(wordings(1))
    return Entry(**values)


def colliding(seeds: int = 4) -> dict[str, st.SearchStrategy[Any]]:
    """Keywords for `entries` that leave few sources, refs, digests and values to choose from."""
    few = {name: st.one_of(st.none(), digests(name, seeds)) for name in ("md5", "sha1", "sha256")}
    classes = st.builds(Classification, scheme=st.sampled_from(SCHEMES[:2]), code=st.sampled_from("12"))
    return few | {
        "sha384": None,
        "sha512": None,
        "source": st.sampled_from(["a", "b2"]),
        "ref": st.sampled_from(["", "r1", "r2"]),
        "asserted_at": st.sampled_from([None, EPOCH, EPOCH + timedelta(days=20_000)]),
        "seq": st.sampled_from([0, 0, 1]),
        "classifications": tuples_of(classes, 2),
        "size": st.sampled_from([None, 0, 1, 2]),
        "media": st.sampled_from([None, "image", "video"]),
    }


def lists(max_size: int = 8, **fixed: Any) -> st.SearchStrategy[list[Entry]]:
    """Small lists of entries that collide on purpose."""
    return st.lists(entries(**(colliding() | fixed)), max_size=max_size)


def mixed_lists(max_size: int = 6, **fixed: Any) -> st.SearchStrategy[list[Entry]]:
    """Small lists of any entries."""
    return st.lists(entries(**fixed), max_size=max_size)


@st.composite
def batches(draw: st.DrawFn, min_size: int = 0, max_size: int = 6, **fixed: Any) -> pa.RecordBatch:
    """Entries as a batch of `ENTRY_SCHEMA`; half of the time a slice of a longer one, with an offset."""
    rows = draw(st.lists(entries(**fixed), min_size=min_size, max_size=max_size))
    if not draw(st.booleans()):
        return batch_of(rows)
    before = draw(st.lists(entries(), max_size=2))
    after = draw(st.lists(entries(), max_size=2))
    return batch_of([*before, *rows, *after]).slice(len(before), len(rows))
