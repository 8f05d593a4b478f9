"""Convert, dedupe and reconcile partner hash lists without silent loss.

The public names, loaded when first used; `docs/library.md` shows them at work.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hashlib_interop.algorithms import Digest
    from hashlib_interop.converting import convert
    from hashlib_interop.errors import InteropError
    from hashlib_interop.explaining import conflicts, why
    from hashlib_interop.membership.fuse import Filter
    from hashlib_interop.membership.hashset import HashSet
    from hashlib_interop.merging import merge
    from hashlib_interop.model import ENTRY_SCHEMA, Classification, Entry, Fingerprint, Handling
    from hashlib_interop.policy import Policy, load_policy, load_sources
    from hashlib_interop.reading import open_readers, read, read_batches
    from hashlib_interop.report import Import, Loss, Reject
    from hashlib_interop.sniffing import sniff
    from hashlib_interop.writing import write

_WHERE = {
    "Classification": "model",
    "Digest": "algorithms",
    "ENTRY_SCHEMA": "model",
    "Entry": "model",
    "Filter": "membership.fuse",
    "Fingerprint": "model",
    "Handling": "model",
    "HashSet": "membership.hashset",
    "Import": "report",
    "InteropError": "errors",
    "Loss": "report",
    "Policy": "policy",
    "Reject": "report",
    "conflicts": "explaining",
    "convert": "converting",
    "load_policy": "policy",
    "load_sources": "policy",
    "merge": "merging",
    "open_readers": "reading",
    "read": "reading",
    "read_batches": "reading",
    "sniff": "sniffing",
    "why": "explaining",
    "write": "writing",
}

__all__ = sorted(_WHERE)  # noqa: PLE0605 - the table above is the list


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"hashlib_interop.{_WHERE[name]}"), name)
