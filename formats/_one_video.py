"""Files that are one entry: the fingerprint of one video, without a digest or a record id of its own.

Such an entry is named by what it holds, `kind:SHA-256 of the value`: the same fingerprint is the same register
wherever it comes from, and no two videos share one, as two files called `features.txt` would. Who names
files by record says `ref=file-name`; who has one id for one file gives it.
"""

from __future__ import annotations

import hashlib
import re

import pyarrow as pa

from hashlib_interop.columns import columns_of_rows
from hashlib_interop.format import Columns, Option, Reading

FILE_NAME = "file-name"
REF = Option("ref", f"reader: the record id; {FILE_NAME} takes the file's name (default: the SHA-256 of the fingerprint)")


def derived_ref(kind: str, value: bytes) -> str:
    """Return what names a fingerprint that nobody has named."""
    return f"{kind}:{hashlib.sha256(value).hexdigest()}"


def one_video(kind: str, value: bytes, reading: Reading) -> Columns:
    """Return the one entry of a file."""
    ref = str(reading.options.get("ref") or derived_ref(kind, value))
    if ref == FILE_NAME:
        ref = re.split(r"[/\\!]", reading.name)[-1].encode("utf-8", "backslashreplace").decode()
    row = {"position": 1, "ref": ref, "media": "video", "fingerprints": [{"kind": kind, "value": value}]}
    columns = columns_of_rows([row])
    return columns | {"position": pa.array([1], pa.int64())}
