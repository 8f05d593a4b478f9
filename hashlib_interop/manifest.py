"""The manifest beside a list, in formats that hold nothing but the list.

An agency's own mapping file decides what its partners read. Catalogs, native and Parquet files name it inside; beside
all others stands `OUT.manifest.json`: what `--json` prints of the run, and the SHA-256 of the list that it speaks of.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hashlib_interop.files import published

SUFFIX = ".manifest.json"


def manifest_of(output: str | os.PathLike[str]) -> str:
    """Return where the manifest of an output is."""
    return os.fspath(output) + SUFFIX


def publish_manifest(output: str | os.PathLike[str], facts: Mapping[str, Any]) -> str:
    """Write the facts of a run beside its output; return where."""
    with open(output, "rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    with published(manifest_of(output)) as temporary:
        text = json.dumps({"sha256": sha256, **facts}, indent=1, ensure_ascii=False)
        Path(temporary).write_text(text + "\n", "utf-8")
    return manifest_of(output)
