"""What the tests must know of single formats: the one table of exceptions of the conformance tests."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hashlib_interop.model import Entry, Fingerprint

HERE = Path(__file__).parent

OPTIONS: dict[str, dict[str, Any]] = {
    "columns": {"mapping": str(HERE / "conformance_mapping.toml")},
    "plain": {"algorithm": "md5"},
    "vics": {"profile": "US"},
}
"""Options without which a format cannot be written or read."""

BY_LINE = {"columns", "griffeye", "icse", "localfile", "plain", "vpdq"}
"""Formats without an end: a cut between two lines is a shorter list."""

UNORDERED = {"catalog"}
"""Formats that hold a set: the order of the entries is theirs, and equal entries are one."""

BY_MEDIA = {"ncmec"}
"""Formats that hold images before videos, whatever came first."""

UNSNIFFED = {"columns", "hma", "localfile", "plain", "vpdq"}
"""Formats whose content says too little: the user may have to name them. An empty vPDQ file is an empty file, as is
an empty LocalFile; an empty list of HMA is `[]`."""

WITNESSED = {"catalog"}
"""Formats that take an entry only with evidence in a file that was imported."""

ALONE: dict[str, Entry] = {
    "vpdq": Entry(
        source="a",
        ref="r",
        media="video",
        fingerprints=(Fingerprint(kind="vpdq", value=b"0,100,%s,0.000\n" % (b"0123456789abcdef" * 4)),),
        recorded_at=datetime(2025, 3, 1, tzinfo=UTC),
    ),
}
"""Formats whose file is one entry, of what they must have: the row of the tests that take two small ones elsewhere."""
