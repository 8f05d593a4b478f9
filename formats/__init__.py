"""The registry: one line a format, alphabetical; nothing is imported until asked.

Formats from outside come in by the entry-point group `hashlib_interop.formats`, each pointing at a
`Format`; a name of this table cannot be taken by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module, metadata

from hashlib_interop.errors import UnknownFormat, shown
from hashlib_interop.format import Format

GROUP = "hashlib_interop.formats"

MODULES: tuple[str, ...] = (
    "arachnid",
    "c4p",
    "caid",
    "catalog",
    "columns",
    "cybertipline",
    "griffeye",
    "hma",
    "icse",
    "localfile",
    "native",
    "ncmec",
    "ncmec_feedback",
    "parquet",
    "plain",
    "rejects",
    "stopncii",
    "tcap",
    "threatexchange",
    "tmk",
    "vics",
    "vpdq",
)


class _Formats(Mapping[str, Format]):
    """All formats by name, loaded on first use."""

    def __init__(self) -> None:
        self._loaded: dict[str, Format] = {}

    def _plugins(self) -> dict[str, metadata.EntryPoint]:
        found = metadata.entry_points(group=GROUP)
        return {point.name: point for point in found if point.name not in MODULES}

    def __getitem__(self, name: str) -> Format:
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> Format:
        if name in MODULES:
            declared: Format = import_module(f"hashlib_interop.formats.{name}").FORMAT
            return declared
        point = self._plugins().get(name)
        if point is None:
            close = get_close_matches(name, list(self), 1)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(self)}"
            raise UnknownFormat(f"no format {shown(name)!r}; {hint}")
        plugged: Format = point.load()
        return plugged

    def __iter__(self) -> Iterator[str]:
        return iter(sorted([*MODULES, *self._plugins()]))

    def __len__(self) -> int:
        return len(MODULES) + len(self._plugins())


FORMATS: Mapping[str, Format] = _Formats()
