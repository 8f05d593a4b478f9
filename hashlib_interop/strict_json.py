"""JSON as RFC 8259 has it, and no more: what the standard library lets pass is refused here."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from hashlib_interop.errors import shown

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def strict_json(text: bytes) -> Any:
    """Return a JSON value (RFC 8259). `ValueError` for what others let pass: a duplicate key (named), NaN,
    a number beyond a double, a lone surrogate, broken UTF-8, a depth beyond the stack.
    """
    try:
        value = _DECODER.decode(text.decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start + 1}") from None
    except RecursionError:
        raise ValueError("nested too deep") from None
    if _SURROGATE.search(text):
        _check_surrogates(value)
    return value


def is_crowded(text: bytes, most: int) -> bool:
    """Tell whether a text has more brackets and commas than `most`: in memory each becomes 20 times its bytes or more."""
    return sum(text.count(mark) for mark in (b"[", b"{", b",")) > most


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name in value if counts[name] > 1)
        raise ValueError(f"duplicate key {shown(twice)!r}")
    return value


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"number out of range: {shown(text)}")
    return value


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair") from None


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_finite)
