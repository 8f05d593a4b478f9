"""What the tests must know of single formats: the one table of exceptions of the conformance tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

OPTIONS: dict[str, dict[str, Any]] = {
    "columns": {"mapping": str(HERE / "conformance_mapping.toml")},
    "plain": {"algorithm": "md5"},
    "vics": {"profile": "US"},
}
"""Options without which a format cannot be written or read."""

BY_LINE = {"columns", "icse", "plain"}
"""Formats without an end: a cut between two lines is a shorter list."""

UNORDERED = {"catalog"}
"""Formats that hold a set: the order of the entries is theirs, and equal entries are one."""

UNSNIFFED = {"columns", "plain"}
"""Formats whose content says too little: the user may have to name them."""

WITNESSED = {"catalog"}
"""Formats that take an entry only with evidence in a file that was imported."""
