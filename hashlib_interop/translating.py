"""Classifications of a conversion, mapped into one scheme by the rows of the crosswalk that may be used.

What is in the scheme stays. What an allowed row maps becomes its code. Everything else is lost, and counted with the
reason. Rows are not chained, and codes of one scheme are never weighed against those of another: a record that
comes to hold two codes keeps both.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from hashlib_interop.columns import constant, keep_items, sorted_lists
from hashlib_interop.crosswalk import Row, load_crosswalk
from hashlib_interop.errors import BadOption, shown
from hashlib_interop.model import CLASSIFICATION
from hashlib_interop.policy import Policy, checked
from hashlib_interop.report import Import, Loss
from hashlib_interop.schemes import is_pattern, known_scheme, unknown_scheme

FIELD = "classifications"


class CrosswalkFile(BaseModel):
    """A file that rows of the crosswalk are from, and the SHA-256 of its bytes in hex."""

    name: str
    sha256: str


class Mapped(BaseModel):
    """A row of the crosswalk that was used, and how many values it mapped."""

    from_scheme: str
    from_code: str
    to_code: str
    relation: str
    status: str
    count: int


class Translated(BaseModel):
    """Into which scheme classifications were mapped, by what, and which ones."""

    scheme: str
    relations: list[str]
    crosswalk: list[CrosswalkFile]
    mapped: list[Mapped] = []
    doubts: list[str] = []
    """What the agency's own file names that may be misspelt."""


class Translation:
    """The way of all classifications of a run into `scheme`; `translated` and `losses` tell what it did.

    Losses count values: a record with two codes that nothing maps counts twice.
    """

    def __init__(
        self, scheme: str, crosswalk: str | os.PathLike[str] | None = None, relations: Sequence[str] = ("exactMatch",)
    ) -> None:
        """Raise `BadOption` for a scheme that nobody knows, `BadPolicy` for a broken crosswalk or relation."""
        own = os.fspath(crosswalk) if crosswalk is not None else None
        rules = {"target": scheme, "relations": tuple(relations), "crosswalk": own}
        policy = checked(Policy, rules, "convert")
        self.scheme, self._crosswalk = scheme, load_crosswalk(policy)
        _check_target(scheme, self._crosswalk.rows)
        self._used = {(row.from_scheme, row.from_code): row for row in self._crosswalk.used(policy)}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._losses: dict[str, Loss] = {}
        files = [CrosswalkFile(name=name, sha256=sha256) for name, sha256 in self._crosswalk.files]
        self._said = Translated(
            scheme=scheme, relations=list(policy.relations), crosswalk=files, doubts=self._crosswalk.doubts
        )

    def batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return a batch with its classifications in the scheme, and count."""
        place = batch.schema.get_field_index(FIELD)
        lists = batch.column(place)
        pairs, which = _distinct(lists.flatten())
        if all(scheme == self.scheme for scheme, _ in pairs):
            return batch
        codes = [self._code(*pair) for pair in pairs]
        for pair, code, count in zip(pairs, codes, np.bincount(which).tolist(), strict=True):
            self._count(pair, code, count)
        return batch.set_column(place, batch.schema.field(place), self._recoded(lists, codes, which))

    def _code(self, scheme: str, code: str) -> str | None:
        if scheme == self.scheme:
            return code
        row = self._used.get((scheme, code))
        return row.to_code if row else None

    def _recoded(self, lists: pa.ListArray, codes: list[str | None], which: Any) -> pa.ListArray:
        """Return the lists with these codes of the distinct pairs; None: left out."""
        values = pa.array(codes, pa.string()).take(pa.array(which))
        schemes = constant(self.scheme, pa.string(), len(values))
        items = pa.StructArray.from_arrays([schemes, values], fields=list(CLASSIFICATION))
        recoded = pa.ListArray.from_arrays(_offsets(lists), items, mask=lists.is_null())
        kept = keep_items(recoded, np.array([code is not None for code in codes], bool)[which])
        return sorted_lists(kept, lambda item: (item["scheme"], item["code"]))

    def _count(self, pair: tuple[str, str], code: str | None, count: int) -> None:
        if code is None:
            reason = f"no allowed relation to {shown(self.scheme)} ({self._why(*pair)})"
            if reason not in self._losses:
                self._losses[reason] = Loss(field=FIELD, count=0, reason=reason, example=shown(":".join(pair)))
            self._losses[reason].count += count
        elif pair[0] != self.scheme:
            self._counts[pair] += count

    def _why(self, scheme: str, code: str) -> str:
        row = self._crosswalk.deciding(scheme, code, self.scheme)
        if row is None:
            return "no row speaks of it"
        usable = row.relation != "none" and row.status in ("official", "agency")
        return f"{row.relation}, {row.status}" + (f": --relations {row.relation} allows it" if usable else "")

    @property
    def losses(self) -> list[Loss]:
        """The values lost, by reason."""
        return [self._losses[reason] for reason in sorted(self._losses)]

    @property
    def translated(self) -> Translated:
        """What was done so far."""
        mapped = [_mapped(self._used[pair], count) for pair, count in sorted(self._counts.items())]
        return self._said.model_copy(update={"mapped": mapped})

    def marked(self, one: Import) -> Import:
        """Return an import that says of its entries that they were mapped, and by which files: for manifests."""
        files = ", ".join(f"{file.name} {file.sha256}" for file in self._said.crosswalk)
        said = f"{', '.join(self._said.relations)} by {files}"
        return one.model_copy(update={"facts": {**one.facts, f"mapped into {self.scheme}": said}})


def _mapped(row: Row, count: int) -> Mapped:
    return Mapped(count=count, **row.model_dump(include=set(Mapped.model_fields) - {"count"}))


def _check_target(scheme: str, rows: Sequence[Row]) -> None:
    if is_pattern(scheme):
        raise BadOption(f"{shown(scheme)} stands for many schemes: name one, as de/illegal for ??/illegal")
    if not known_scheme(scheme) and not any(row.to_scheme == scheme for row in rows):
        raise unknown_scheme(scheme)


def _distinct(items: pa.StructArray) -> tuple[list[tuple[str, str]], Any]:
    """Return the distinct (scheme, code) pairs in the order they are met, and for every item the number of its pair."""
    schemes, codes = (part.dictionary_encode() for part in items.flatten())
    keys = schemes.indices.to_numpy().astype(np.int64) * max(len(codes.dictionary), 1) + codes.indices.to_numpy()
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    found = items.take(pa.array(first[order])).to_pylist()
    return [(item["scheme"], item["code"]) for item in found], place[which]


def _offsets(lists: pa.ListArray) -> pa.Int32Array:
    """Return the offsets of lists in what they flatten to; a list that is null is empty."""
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
