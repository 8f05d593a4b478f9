"""Counting in bounded memory: values of a column, and refused records by reason with the first few kept."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop.report import Reject

MOST = 10_000
"""Different values (or reasons) counted apart; a hostile file could bring millions."""
FIRST = 3
OTHER = "(other)"


class ValueTally:
    """How often each value of text columns was met; beyond `MOST` different ones, all others as one."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, column: pa.Array) -> None:
        """Count the values of a text column, null not counted."""
        for pair in pc.value_counts(column.drop_null()).to_pylist():
            known = pair["values"] in self.counts or len(self.counts) < MOST
            self.counts[pair["values"] if known else OTHER] += pair["counts"]

    def sorted(self) -> dict[str, int]:
        """Return the counts, the values in order."""
        return dict(sorted(self.counts.items()))

    def __len__(self) -> int:
        return len(self.counts)


class RejectTally:
    """Refused records by field and reason: how many, and the first `FIRST` of each."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.first: dict[tuple[str, str], list[Reject]] = {}

    def add(self, reject: Reject) -> None:
        """Count a refused record."""
        # Some readers end the reason with the value: without it, equal reasons are one.
        key = (reject.field or "", reject.reason.removesuffix(f": {reject.value}"))
        if key not in self.counts and len(self.counts) >= MOST:
            key = ("", OTHER)
        self.counts[key] += 1
        kept = self.first.setdefault(key, [])
        if len(kept) < FIRST:
            kept.append(reject.model_copy(update={"raw": None}))

    def total(self) -> int:
        """Return the number of refused records."""
        return self.counts.total()

    def to_json(self) -> list[dict[str, Any]]:
        """Return the reasons as JSON values, the most frequent first."""
        return [
            {
                "field": key[0] or None,
                "reason": key[1],
                "count": count,
                "first": [
                    r.model_dump(include={"file", "position", "unit", "value"}) for r in self.first[key]
                ],
            }
            for key, count in sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0]))
        ]
