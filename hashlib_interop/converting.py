"""`convert`: files of any format into one file of any other, streaming, what is lost counted first."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa

from hashlib_interop.errors import BadOption, CannotWrite, shown
from hashlib_interop.files import CHUNK, Limits, private_folder, refuse_overwriting
from hashlib_interop.format import Format, Writing
from hashlib_interop.manifest import manifest_of, own_files, published_list
from hashlib_interop.reading import Reader, open_readers
from hashlib_interop.report import Import, Loss, Reject
from hashlib_interop.tally import RejectTally
from hashlib_interop.translating import Translated, Translation
from hashlib_interop.writing import Written, format_for, write_stream

Output = str | os.PathLike[str] | BinaryIO


@dataclass
class Converted:
    """What a conversion did, or would have done where `published` is false."""

    output: str
    format: str
    imports: list[Import] = field(default_factory=list)
    written: int = 0
    losses: list[Loss] = field(default_factory=list)
    rejects: RejectTally = field(default_factory=RejectTally)
    published: bool = False
    catalogs: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of the catalogs among the inputs, the policy and the crosswalk of the agency that they were made under."""
    translated: Translated | None = None
    """Where classifications were mapped into one scheme: into which, by what."""
    manifest: str | None = None
    """The file beside the output that names a crosswalk of the agency's own, where the format cannot."""

    @property
    def read(self) -> int:
        """Records read and trusted, of all inputs."""
        return sum(each.read for each in self.imports)

    @property
    def rejected(self) -> int:
        """Records refused, of all inputs."""
        return self.rejects.total()

    @property
    def exact(self) -> bool:
        """Whether nothing was refused and nothing lost; values dropped by rule do not count."""
        return not self.rejected and not self.losses

    @property
    def dropped(self) -> dict[str, int]:
        """Values dropped on read by rule, of all inputs."""
        total: Counter[str] = Counter()
        for each in self.imports:
            total.update(each.dropped)
        return dict(sorted(total.items()))

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return {
            "output": self.output,
            "format": self.format,
            "published": self.published,
            "read": self.read,
            "rejected": self.rejected,
            "written": self.written,
            "catalogs": self.catalogs,
            "manifest": self.manifest,
            "translated": self.translated and self.translated.model_dump(mode="json"),
            "losses": [loss.model_dump(mode="json") for loss in self.losses],
            "rejects": self.rejects.to_json(),
            "dropped": self.dropped,
            "imports": [each.to_json() for each in self.imports],
        }


def convert(
    inputs: Sequence[str | os.PathLike[str]],
    output: Output,
    *,
    to: str | None = None,
    format: str | None = None,
    source: str | None = None,
    options: Mapping[str, str] | None = None,
    drop_handling: Collection[str] = (),
    known_files: bool = False,
    scheme: str | None = None,
    crosswalk: str | os.PathLike[str] | None = None,
    relations: Sequence[str] | None = None,
    limits: Limits | None = None,
    on_reject: Callable[[Reject], None] | None = None,
    allow: Callable[[Converted], bool] | None = None,
    **settings: Any,
) -> Converted:
    """Write the records of all inputs, in order, to `output` in the format `to` (else its suffix decides).

    Nothing is merged; of a catalog, formats that keep no entries get one row an item. `options` go to the readers and
    the writer, whoever knows the name; `from.NAME` and `to.NAME` say which. A restriction that the format cannot say keeps its row back, unless `drop_handling` names it
    (or `all`), and so does being only a known file, unless `known_files`. With a `scheme`, classifications are mapped into it by these `relations` (without a word: `exactMatch`)
    of the crosswalk, over which the rows of the file `crosswalk` go; what they do not map is a loss.
    Where codes come from an agency's own crosswalk and the format cannot say so, OUT.manifest.json does.
    `allow` is asked after everything is written and before a byte is published: where it says no, nothing is.
    `settings` are the fields of `Reader`. A stream gets its bytes at the end, too. An output that is an input is refused.
    """
    target = format_for(getattr(output, "name", "-") if _is_stream(output) else cast(str, output), to)
    if target.write is None:
        raise CannotWrite(f"{target.name} can be read, not written")
    translation = _translation(scheme, crosswalk, relations)
    result = Converted("-" if _is_stream(output) else os.fspath(cast(str, output)), target.name)

    def refuse(reject: Reject) -> None:
        result.rejects.add(reject)
        if on_reject:
            on_reject(reject)

    settings["on_reject"] = refuse
    inputs = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    if not _is_stream(output):
        refuse_overwriting(cast(str, output), [*inputs, *([crosswalk] if crosswalk else [])])
    readers = [
        reader
        for path in inputs
        for reader in open_readers(path, format=format, source=source, limits=limits, **settings)
    ]
    chosen = routed(readers, target, options or {})
    writing = Writing(result.output, chosen, result.imports, frozenset(drop_handling), known_files)

    def named() -> dict[str, str]:
        return {} if target.keeps_entries else own_files(result.imports, result.catalogs.values())

    with contextlib.suppress(_NotAllowed), _place(output, named) as temporary:
        with temporary.open("r+b") as stream:
            batches = _batches(readers, result.imports)
            mapped = _mapped(batches, result.imports, translation) if translation else batches
            done = write_stream(mapped, cast(BinaryIO, stream), target, writing)
        result.catalogs = {one.input.name: one.facts for one in readers if one.format.name == "catalog"}
        _finish(result, done, translation, allow)
        result.manifest = manifest_of(cast(str, output)) if named() and not _is_stream(output) else None
    return result


def _translation(
    scheme: str | None, crosswalk: str | os.PathLike[str] | None, relations: Sequence[str] | None
) -> Translation | None:
    if scheme is not None:
        return Translation(scheme, crosswalk, ("exactMatch",) if relations is None else relations)
    if crosswalk is not None or relations is not None:
        raise BadOption("a crosswalk or relations without a scheme: say into which one to map")
    return None


def _finish(
    result: Converted, done: Written, translation: Translation | None, allow: Callable[[Converted], bool] | None
) -> None:
    result.written, result.losses = done.written, done.losses
    if translation:
        result.translated, result.losses = translation.translated, translation.losses + done.losses
    if allow is not None and not allow(result):
        raise _NotAllowed
    result.published = True


def _batches(readers: Sequence[Reader], imports: list[Import]) -> Iterator[pa.RecordBatch]:
    """Yield the batches of all readers; `imports` has grown by each when it ends, for trailers to use."""
    for reader in readers:
        yield from reader.batches()
        imports.extend(reader.imports)


def _mapped(
    batches: Iterator[pa.RecordBatch], imports: list[Import], translation: Translation
) -> Iterator[pa.RecordBatch]:
    """Yield batches with their classifications mapped; at the end, `imports` say so."""
    yield from map(translation.batch, batches)
    imports[:] = map(translation.marked, imports)


def routed(readers: Sequence[Reader], target: Format, options: Mapping[str, str]) -> dict[str, str]:
    """Give each reader the options that it knows, return those of the writer; `BadOption` for a stranger."""
    for_writer, used = chosen_options(options, target, "to.")
    for reader in readers:
        found, known = chosen_options(options, reader.format, "from.", "encoding")
        reader.options = {**reader.options, **found}
        used |= known
        if reader.format.name == "catalog" and not target.keeps_entries:
            reader.options = {"rows": "items", **reader.options}
    check_options(options, used, [target, *(reader.format for reader in readers)])
    return for_writer


def chosen_options(
    options: Mapping[str, str], format: Format, side: str, *more: str
) -> tuple[dict[str, str], set[str]]:
    """Return the options whose names `format` knows (or `more` does), and as what they were given.

    A name may be given bare, or with its `side` in front: `from.` or `to.`.
    """
    names = [*(option.name for option in format.options), *more]
    given = {given: name for name in names for given in (name, side + name) if given in options}
    return {name: options[given] for given, name in given.items()}, set(given)


def check_options(options: Mapping[str, str], used: set[str], formats: Sequence[Format]) -> None:
    """Raise `BadOption` for options that nobody used; it names what the formats know."""
    strangers = sorted(set(options) - used)
    if strangers:
        known = sorted({f"{f.name}: {option.name}" for f in formats for option in f.options})
        listed = ", ".join(known) or "these formats have none"
        raise BadOption(f"no option {', '.join(shown(name) for name in strangers)}; known: {listed}")


class _NotAllowed(Exception):
    """Leaves the place of the output without publishing."""


def _is_stream(output: Output) -> bool:
    return not isinstance(output, str | os.PathLike)


@contextlib.contextmanager
def _place(output: Output, named: Callable[[], dict[str, str]]) -> Iterator[Path]:
    """Give a temporary path that becomes the output, or is copied to the stream, on success."""
    if not _is_stream(output):
        with published_list(cast(str, output), named) as temporary:
            yield temporary
        return
    with private_folder() as folder:
        temporary = folder / "output"
        temporary.touch(0o600)
        yield temporary
        with temporary.open("rb") as written:
            shutil.copyfileobj(written, cast(BinaryIO, output), CHUNK)
        cast(BinaryIO, output).flush()
