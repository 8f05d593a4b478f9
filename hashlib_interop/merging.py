"""`merge`: lists of any number of partners into one reconciled catalog, or a list of its items."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

import duckdb
import pyarrow as pa

from hashlib_interop.algorithms import parse_digest
from hashlib_interop.catalog import open_catalog, publish
from hashlib_interop.crosswalk import load_crosswalk
from hashlib_interop.engine import MEMORY, Log, engine
from hashlib_interop.errors import BadPolicy, FileFault, UnresolvedConflict, shown
from hashlib_interop.files import Limits, Progress, private_folder, published
from hashlib_interop.format import Delivery, Writing
from hashlib_interop.formats import FORMATS
from hashlib_interop.grouping import group
from hashlib_interop.policy import Policy, SourceRules
from hashlib_interop.reading import Reader, checked_slug, clock, open_readers
from hashlib_interop.report import Import, Loss, Reject
from hashlib_interop.resolving import resolve
from hashlib_interop.writing import Written, format_for, write_stream


@dataclass(frozen=True)
class Given:
    """An input of a merge: a path, and the source and release that it is said to be."""

    path: str
    source: str | None = None
    release: datetime | None = None


def parse_given(text: str) -> Given:
    """Read `[NAME[@DATE]=]FILE`; a file that exists under the whole text is that file."""
    if os.path.exists(text) or "=" not in text:
        return Given(text)
    label, path = text.split("=", 1)
    name, at, date = label.partition("@")
    return Given(path, checked_slug(name), parse_release(date) if at else None)


def parse_release(text: str) -> datetime:
    """Read a release date: `YYYY-MM-DD` (midnight UTC), or an ISO stamp with a zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadPolicy(f"release {shown(text)!r}: write it as 2025-03-01") from None
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        return found.replace(tzinfo=UTC)
    if found.tzinfo is None:
        raise BadPolicy(f"release {shown(text)!r}: a time needs its zone, as in 2025-03-01T12:00:00Z")
    return found.astimezone(UTC)


@dataclass(frozen=True)
class SourceCount:
    """A line of the summary. Counts of entries, except `only_here`: items that no other source has."""

    name: str
    delivery: str
    read: int
    rejected: int
    active: int
    retracted: int
    withdrawn: int
    quarantined: int
    only_here: int


@dataclass
class Merged:
    """What a merge did."""

    output: str
    format: str
    sources: list[SourceCount]
    imports: list[Import]
    items: int
    entries: int
    duplicates: int
    statuses: dict[str, int]
    conflicts: dict[str, int]
    resolved: int
    losses: list[Loss] = field(default_factory=list)

    @property
    def rejected(self) -> int:
        """Records refused, of all inputs."""
        return sum(one.rejected for one in self.imports)

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        plain = {k: v for k, v in vars(self).items() if k not in ("sources", "imports", "losses")}
        return {
            **plain,
            "sources": [vars(source) for source in self.sources],
            "imports": [one.to_json() for one in self.imports],
            "losses": [loss.model_dump(mode="json") for loss in self.losses],
        }


def merge(
    inputs: Iterable[str | os.PathLike[str] | Given],
    output: str | os.PathLike[str],
    *,
    policy: Policy | None = None,
    sources: Mapping[str, SourceRules] | None = None,
    to: str | None = None,
    format: str | None = None,
    options: Mapping[str, str] | None = None,
    recorded_at: datetime | None = None,
    max_rejects: int | None = None,
    on_reject: Callable[[Reject], None] | None = None,
    limits: Limits | None = None,
    memory: str = MEMORY,
    threads: int | None = None,
    progress: Progress | None = None,
    on_step: Callable[[str], None] | None = None,
) -> Merged:
    """Merge files into `output`: a catalog, or by suffix or `to` another format.

    Formats that keep entries (native, parquet, catalog) get every entry; the others one row an item. The
    output is a function of the entries, their evidence and the policy: order of files, threads and time
    zone change no byte. Raises `UnresolvedConflict` where the policy says `fail`, and leaves the old
    output whole whatever happens.
    """
    policy = policy or Policy()
    given = [one if isinstance(one, Given) else parse_given(os.fspath(one)) for one in inputs]
    settings = {
        "recorded_at": recorded_at or clock(),
        "max_rejects": max_rejects,
        "on_reject": on_reject,
        "progress": progress,
    }
    readers = _readers(given, sources or {}, format, limits, settings)
    target = format_for(output, to) if to or not _is_catalog_name(output) else format_for(output, "catalog")
    load_crosswalk(policy)  # a broken crosswalk file is said before hours of reading
    with published(output) as temporary, private_folder(temporary) as folder:
        made = folder / "catalog.db"
        made.touch(0o600)
        with engine(folder, memory, threads) as connection, _faults(str(output)):
            log = Log(connection)
            for reader in readers:
                _stage(log, reader)
            _make(connection, log, policy, made, on_step or (lambda text: None))
        merged = summary(made, os.fspath(output), target.name, log.ordered_imports)
        if target.name == "catalog":
            os.replace(made, temporary)
        else:
            merged.losses = write_from_catalog(made, temporary, target.name, options or {}).losses
    return merged


def _is_catalog_name(output: str | os.PathLike[str]) -> bool:
    return Path(output).suffix in ("", ".db", ".sqlite", ".catalog")


@contextlib.contextmanager
def _faults(name: str) -> Iterator[None]:
    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        remedy = "give it more with --memory, or free disk"
        raise FileFault(f"the engine ran out of room ({shown(error, 200)}): {remedy}", file=name) from None


def _stage(log: Log, reader: Reader) -> None:
    for batch in reader.batches():
        log.add(batch)
    for one in reader.imports:
        log.add_import(one)


def _make(
    connection: duckdb.DuckDBPyConnection, log: Log, policy: Policy, path: Path, step: Callable[[str], None]
) -> None:
    """Turn a staged log into a catalog."""
    step("deduplicating")
    log.settle(policy)
    step("grouping")
    group(connection, tuple(parse_digest(text) for text in policy.denied))
    step("resolving")
    resolve(connection, policy)
    _obey(connection, policy)
    step("writing")
    publish(connection, log, policy, load_crosswalk(policy), path)


def merge_batches(batches: Iterable[pa.RecordBatch], path: Path, imports: list[Import]) -> None:
    """Write batches of entries as a catalog at `path`, under the default policy.

    `imports` may still grow while the batches come. Rows without evidence have none to give: they get an
    import that stands for this writing.
    """
    with private_folder(path) as folder, engine(folder) as connection, _faults(str(path)):
        log = Log(connection)
        for batch in batches:
            log.add(batch)
        for one in imports:
            log.add_import(one)
        _make(connection, log, Policy(), path, lambda text: None)


def _obey(connection: duckdb.DuckDBPyConnection, policy: Policy) -> None:
    """Do what the policy says of items in conflict."""
    bad = "status IN ('conflict', 'self-conflict')"
    if policy.on_conflict == "fail":
        count = connection.execute(f"SELECT count(*) FROM item WHERE {bad}").fetchone()
        if count and count[0]:
            raise UnresolvedConflict(f"{count[0]:,} items are in conflict and the policy says to fail: merge with keep, then look at `conflicts`")


def _readers(
    given: Sequence[Given],
    rules: Mapping[str, SourceRules],
    format: str | None,
    limits: Limits | None,
    settings: dict[str, Any],
) -> list[Reader]:
    """Open every input, named by the user, else by its format; unnamed snapshots of one format are refused."""
    readers: list[Reader] = []
    for one in given:
        rule = rules.get(one.source or "", SourceRules())
        release = one.release or (parse_release(rule.release) if rule.release else None)
        opened = open_readers(
            one.path,
            format=format or rule.format,
            source=one.source,
            limits=limits,
            release=release,
            delivery=rule.delivery,
            options=dict(rule.options),
            **settings,
        )
        readers += opened
    _refuse_nameless([(g, r) for g in given for r in readers if r.input.name.split("!")[0] == g.path])
    return readers


def _refuse_nameless(pairs: list[tuple[Given, Reader]]) -> None:
    """Two snapshots that nobody named would pass for one source: whose is whose is not guessed."""
    seen: dict[str, str] = {}
    for given, reader in pairs:
        delivery: Delivery = reader.delivery or reader.format.delivery
        if given.source or delivery == "delta":
            continue
        other = seen.setdefault(reader.source, given.path)
        if other != given.path:
            raise BadPolicy(f"{other} and {given.path} are both {reader.format.name}: name their sources, as in NAME={given.path}")


def summary(path: Path, output: str, format: str, imports: list[Import]) -> Merged:
    """Return the counts of a catalog."""
    database = open_catalog(path)
    try:
        columns = "name, delivery, read, rejected, active, retracted, withdrawn, quarantined, only_here"
        rows = database.execute(f"SELECT {columns} FROM sources ORDER BY id").fetchall()

        def one(sql: str) -> int:
            return int(database.execute(sql).fetchone()[0])

        read, items = sum(row[2] for row in rows), one("SELECT count(*) FROM items")
        return Merged(
            output=output,
            format=format,
            sources=[SourceCount(*row) for row in rows],
            imports=imports,
            items=items,
            entries=one("SELECT count(*) FROM entries"),
            duplicates=one("SELECT count(*) FROM entries WHERE item IS NOT NULL") - items
            + max(read - one("SELECT count(*) FROM entries"), 0),
            statuses=dict(database.execute("SELECT status, count(*) FROM items GROUP BY 1 ORDER BY 1").fetchall()),
            conflicts=dict(database.execute("SELECT kind, count(*) FROM conflicts GROUP BY 1 ORDER BY 1").fetchall()),
            resolved=one("SELECT count(*) FROM conflicts WHERE resolved"),
        )
    finally:
        database.close()


def write_from_catalog(path: Path, output: Path, format: str, options: Mapping[str, Any]) -> Written:
    """Write a catalog as another format: every entry where it keeps entries, else one row an item."""
    target = FORMATS[format]
    rows = "entries" if target.keeps_entries else "items"
    writing = Writing(output.name, options)
    reader = open_readers(path, format="catalog", options={"rows": rows})[0]

    def batches() -> Iterable[pa.RecordBatch]:
        yield from reader.batches()
        writing.imports.extend(reader.imports)

    with output.open("r+b") as stream:
        return write_stream(batches(), cast(BinaryIO, stream), target, writing)
