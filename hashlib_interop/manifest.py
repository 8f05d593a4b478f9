"""The manifest beside a list that cannot say by whose mapping file its classifications came about.

Catalogs, native and Parquet files say it inside. Beside all others stands `OUT.manifest.json`. It goes where the list goes,
so it holds what a partner may know: the SHA-256 of the list, and of every crosswalk file of an agency's own that was used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from hashlib_interop.crosswalk import SHIPPED
from hashlib_interop.errors import BadOption
from hashlib_interop.files import published
from hashlib_interop.report import Import

SUFFIX = ".manifest.json"
_MOST = 1 << 20
_SHA256 = re.compile("[0-9a-f]{64}")


def manifest_of(output: str | os.PathLike[str]) -> str:
    """Return where the manifest of an output is."""
    return os.fspath(output) + SUFFIX


def own_files(imports: Iterable[Import], catalogs: Iterable[Mapping[str, str]] = ()) -> dict[str, str]:
    """Return the agency's own crosswalk files that the entries of imports were mapped by: name, by SHA-256.

    They stand in the facts of imports (`mapped into …`) and of catalogs (`crosswalk`).
    """
    mapped = [text for one in imports for key, text in one.facts.items() if key.startswith("mapped into ")]
    said = [text.partition(" by ")[2] for text in mapped] + [facts.get("crosswalk", "") for facts in catalogs]
    found = [part.rpartition(" ") for text in said for part in text.split(", ")]
    named = sorted((name.removesuffix(" sha256"), sha256) for name, _, sha256 in found if _SHA256.fullmatch(sha256))
    return {sha256: name for name, sha256 in named if name != SHIPPED}


@contextlib.contextmanager
def published_list(output: str | os.PathLike[str], files: Callable[[], Mapping[str, str]]) -> Iterator[Path]:
    """As `files.published`, for a list and its manifest: both, or neither.

    `files` is asked at the end for the mapping files that the list owes its codes to, by SHA-256. Without any, a manifest
    of the list that was there before goes with it. `BadOption` where somebody else's file has the manifest's name.
    """
    place = Path(manifest_of(output))
    with published(output) as temporary:
        yield temporary
        said = files()
        if said:
            check_beside(output)
            _publish(place, Path(output).name, temporary, said)
    if not said:
        set_beside(output, {})


def check_beside(output: str | os.PathLike[str]) -> None:
    """Raise `BadOption` where somebody else's file stands where the manifest of an output would."""
    place = Path(manifest_of(output))
    if place.exists() and not _is_ours(place):
        raise BadOption("is there, and no manifest: move it away, or choose another output", file=str(place))


def set_beside(output: str | os.PathLike[str], files: Mapping[str, str]) -> None:
    """Publish the manifest of an output that is there already, or take an old one away."""
    place = Path(manifest_of(output))
    if files:
        _publish(place, Path(output).name, Path(output), files)
    elif _is_ours(place):
        place.unlink(missing_ok=True)


def _publish(place: Path, name: str, list_: Path, files: Mapping[str, str]) -> None:
    with list_.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    crosswalk = [{"name": name, "sha256": sha256} for sha256, name in files.items()]
    with published(place) as temporary:
        temporary.write_text(json.dumps({"list": name, "sha256": sha256, "crosswalk": crosswalk}, indent=1) + "\n")


def _is_ours(place: Path) -> bool:
    try:
        with place.open("rb") as stream:
            said = json.loads(stream.read(_MOST))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.keys() == {"list", "sha256", "crosswalk"}
