"""What the digests of a `.hset` file carry, by rank; and META, which names it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hashlib_interop.errors import MalformedInput
from hashlib_interop.membership.hset_file import Group, Header, Span
from hashlib_interop.membership.hset_words import Ranks
from hashlib_interop.strict_json import strict_json

CARRIED = pa.schema(
    [
        pa.field("number", pa.uint64()),
        pa.field("sources", pa.list_(pa.string())),
        pa.field("classifications", pa.list_(pa.string())),
    ]
)
"""A row for each digest asked for; null where it is not in the set, or the set has no such column."""


class Carried(NamedTuple):
    """What one digest carries; None where the set has no such column."""

    number: int | None
    sources: tuple[str, ...] | None
    classifications: tuple[str, ...] | None


@dataclass(frozen=True)
class Meta:
    """META: what numbers are of ("item" or "entry", of which catalog), and the sets behind the codes."""

    numbers: str | None = None
    catalog: str | None = None
    sources: tuple[tuple[str, ...], ...] = ()
    classifications: tuple[tuple[str, ...], ...] = ()


def read_meta(data: bytes, name: str | None = None) -> Meta:
    """Return META from its bytes, which may be anything; `MalformedInput` where they are none."""
    try:
        said = strict_json(data) if data else {}
        if not isinstance(said, dict) or said.keys() - {"numbers", "catalog", "sources", "classifications"}:
            raise ValueError("unknown keys")
        sets = {
            key: tuple(tuple(map(_text, one)) for one in said.get(key, ()))
            for key in ("sources", "classifications")
        }
        kind, catalog = (
            None if said.get(key) is None else _text(said[key]) for key in ("numbers", "catalog")
        )
        return Meta(kind, catalog, **sets)
    except (ValueError, TypeError):
        raise MalformedInput(
            "has a damaged section META: copy it again, or build it again", file=name
        ) from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


class CarriedReader:
    """The payload columns of a file in `buffer`."""

    def __init__(self, buffer: Any, header: Header, name: str | None = None) -> None:
        span = header.meta or Span(0, 0)
        self._raw, self._name = memoryview(buffer), name
        self.meta = read_meta(bytes(self._raw[span.offset : span.stop]), name)
        self._sets = {
            key: pa.array(getattr(self.meta, key), pa.list_(pa.string()))
            for key in ("sources", "classifications")
        }

    def rows(self, group: Group, ranks: Ranks) -> pa.Table:
        """Return a table `CARRIED` of a row a rank; -1 gives nulls."""
        there = np.asarray(ranks >= 0)
        numbers = self._values(group, group.numbers, ranks, there)
        columns = [
            pa.nulls(len(ranks), pa.uint64())
            if numbers is None
            else pa.array(numbers, pa.uint64(), mask=~there)
        ]
        for key, span in (("sources", group.sources), ("classifications", group.classes)):
            codes = self._values(group, span, ranks, there)
            columns.append(
                self._texts(key, codes, there)
                if codes is not None
                else pa.nulls(len(ranks), CARRIED.field(key).type)
            )
        return pa.Table.from_arrays(columns, schema=CARRIED)

    def _values(self, group: Group, span: Span | None, ranks: Ranks, there: npt.NDArray[np.bool_]) -> Any:
        """Return the elements of a column at ranks, 0 where the rank is -1."""
        if span is None:
            return None
        if len(ranks) and int(ranks.max()) >= group.n:
            raise IndexError(f"no rank {int(ranks.max())} of {group.n}")
        values = np.zeros(len(ranks), np.uint64)
        values[there] = np.frombuffer(self._raw, f"<u{span.stride}", group.n, span.offset)[ranks[there]]
        return values

    def _texts(self, key: str, codes: npt.NDArray[np.uint64], there: npt.NDArray[np.bool_]) -> pa.Array:
        sets = self._sets[key]
        if len(codes) and int(codes.max()) >= max(len(sets), 1) or (there.any() and not len(sets)):
            raise self._damaged(key)
        return sets.take(pa.array(codes, pa.uint64(), mask=~there))

    def one(self, group: Group, rank: int) -> Carried:
        """Return what the digest of a rank carries."""
        number, source, said = (
            self._element(span, rank) for span in (group.numbers, group.sources, group.classes)
        )
        return Carried(number, self._set("sources", source), self._set("classifications", said))

    def _element(self, span: Span | None, rank: int) -> int | None:
        if span is None:
            return None
        at = span.offset + rank * span.stride
        return int.from_bytes(self._raw[at : at + span.stride], "little")

    def _set(self, key: str, code: int | None) -> tuple[str, ...] | None:
        sets: tuple[tuple[str, ...], ...] = getattr(self.meta, key)
        if code is None:
            return None
        if code >= len(sets):
            raise self._damaged(key)
        return sets[code]

    def _damaged(self, key: str) -> MalformedInput:
        return MalformedInput(f"has a damaged section of {key}: verify it", file=self._name)
