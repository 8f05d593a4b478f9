"""`merge`: lists of any number of partners into one reconciled catalog, or a list of its items."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop.advising import notes
from hashlib_interop.algorithms import parse_digest
from hashlib_interop.catalog import meta, opened_catalog, publish
from hashlib_interop.converting import routed
from hashlib_interop.crosswalk import load_crosswalk
from hashlib_interop.engine import Log, engine
from hashlib_interop.errors import BadCatalog, BadPolicy, FileFault, UnresolvedConflict, WouldReplace, shown
from hashlib_interop.files import (
    Limits,
    Progress,
    faults_named,
    private_folder,
    refuse_overwriting,
)
from hashlib_interop.format import Delivery, Format, Writing
from hashlib_interop.formats import FORMATS
from hashlib_interop.grouping import group
from hashlib_interop.manifest import manifest_of, own_files, published_list
from hashlib_interop.policy import Policy, SourceRules, checked
from hashlib_interop.reading import Reader, checked_slug, clock, open_readers
from hashlib_interop.report import Import, Merged, Reject, SourceCount
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
        found = found.astimezone(UTC) if found.tzinfo else found
    except (ValueError, OverflowError):
        raise BadPolicy(f"release {shown(text)!r}: write it as 2025-03-01") from None
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        return found.replace(tzinfo=UTC)
    if found.tzinfo is None:
        raise BadPolicy(f"release {shown(text)!r}: a time needs its zone, as in 2025-03-01T12:00:00Z")
    return found


def merge(
    inputs: Iterable[str | os.PathLike[str] | Given],
    output: str | os.PathLike[str],
    *,
    policy: Policy | None = None,
    sources: Mapping[str, SourceRules] | None = None,
    to: str | None = None,
    format: str | None = None,
    options: Mapping[str, str] | None = None,
    drop_handling: Collection[str] = (),
    known_files: bool = False,
    recorded_at: datetime | None = None,
    max_rejects: int | None = None,
    on_reject: Callable[[Reject], None] | None = None,
    limits: Limits | None = None,
    memory: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    on_step: Callable[[str], None] | None = None,
    replace: bool = False,
) -> Merged:
    """Merge files into `output`: a catalog, or by suffix or `to` another format.

    `options` go to the readers or the writer, whoever knows the name. Without a `policy`, that of the catalogs
    among the inputs holds. An existing catalog that holds sources which this merge leaves out is not replaced
    (`WouldReplace`), unless `replace`. `memory` bounds the engine, as "4GB"; without it, 768 MiB, or 260
    bytes an entry where that is more, and never more than half of the machine's. Formats that keep entries
    (native, parquet, catalog) get every entry; the others one row an item, unless a restriction that they
    cannot say holds it back (`drop_handling` names those that may be lost), or it is only a known file (`known_files`). The output is a function of the
    entries, their evidence and the policy: order of files, threads and time zone change no byte. Raises
    `UnresolvedConflict` where the policy says `fail`, and leaves the old output whole whatever happens.
    """
    inputs = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    given = [one if isinstance(one, Given) else parse_given(os.fspath(one)) for one in inputs]
    run_clock = recorded_at or clock()
    settings = {
        "recorded_at": run_clock,
        "max_rejects": max_rejects,
        "on_reject": on_reject,
        "progress": progress,
    }
    readers = _readers(given, sources or {}, format, limits, settings)
    target = format_for(output, to or (None if Path(output).suffix else "catalog"))
    if target.name != "catalog":
        refuse_overwriting(output, [*(one.path for one in given), *([policy.crosswalk] if policy and policy.crosswalk else [])])
    writer_options = routed(readers, target, options or {})
    for reader in readers:
        if reader.format.name == "catalog":  # every statement, also for a target that gets one row an item in the end
            reader.options = {**reader.options, "rows": "entries"}
    policy = policy or _inherited(readers)
    load_crosswalk(policy)  # a broken crosswalk file is said before hours of reading
    named: dict[str, str] = {}
    with published_list(output, lambda: named) as temporary, private_folder(temporary) as folder:
        made = folder / "catalog.db"
        made.touch(0o600)
        with engine(folder, memory, threads) as connection, _faults(str(output)):
            log = Log(connection)
            for reader in readers:
                _stage(log, reader)
            if target.name == "catalog" and not replace:
                _refuse_replacing(Path(output), {one.source for one in log.imports.values()})
            if memory is None:
                log.make_room()
            _make(connection, log, policy, run_clock, made, on_step or (lambda text: None))
        merged = _told(summary(made, os.fspath(output), target.name, log.ordered_imports), policy, readers)
        if target.name == "catalog":
            os.replace(made, temporary)
        else:
            writing = Writing(temporary.name, writer_options, [], frozenset(drop_handling), known_files)
            written, merged.left_out = write_from_catalog(made, temporary, target, writing)
            merged.losses, merged.written = written.losses, written.written
            if not target.keeps_entries:
                named |= own_files(log.ordered_imports) | {one["sha256"]: one["name"] for one in merged.crosswalk[1:]}
                merged.manifest = manifest_of(output) if named else None
    return merged


def _told(merged: Merged, policy: Policy, readers: Sequence[Reader]) -> Merged:
    """Add to the counts by which rules they came about, and what is probably not meant."""
    merged.policy = policy.name
    merged.crosswalk = [{"name": name, "sha256": sha256} for name, sha256 in load_crosswalk(policy).files]
    added = [one for reader in readers if reader.format.name != "catalog" for one in reader.imports]
    merged.notes = notes(merged, policy, added)
    return merged


@contextlib.contextmanager
def _faults(name: str) -> Iterator[None]:
    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.IOException, sqlite3.OperationalError) as error:
        remedy = "free disk, or give the engine more with --memory"
        raise FileFault(f"ran out of room ({shown(error, 200)}): {remedy}", file=name) from None


def _refuse_replacing(output: Path, sources: set[str]) -> None:
    """Keep a catalog that holds what the new one would not, and a file that is no catalog."""
    if not output.is_file() or not output.stat().st_size:
        return
    try:
        with opened_catalog(output) as database:
            left_out = sorted({row[0] for row in database.execute("SELECT name FROM sources").fetchall()} - sources)
    except BadCatalog:
        raise WouldReplace("is there and no catalog: choose another name, or --replace", file=str(output)) from None
    if left_out:
        raise WouldReplace(
            f"holds {', '.join(left_out)}, which this merge leaves out: add the file to the inputs to keep them, or --replace",
            file=str(output),
        )


def _inherited(readers: Sequence[Reader]) -> Policy:
    """Return the policy of the catalogs among the inputs; the default one where there is none."""
    found: dict[str, tuple[str, Policy]] = {}
    for reader in (reader for reader in readers if reader.format.name == "catalog"):
        with reader.input.local() as path, opened_catalog(path) as database:
            said = meta(database)
        policy = checked(Policy, said["policy"], reader.input.name)
        if len(said["crosswalk"]) > 1:
            raise BadPolicy("was made with a crosswalk of its own: give its --policy again", file=reader.input.name)
        found.setdefault(policy.hash, (reader.input.name, policy))
    if len(found) > 1:
        names = " and ".join(name for name, _ in found.values())
        raise BadPolicy(f"{names} were made under different policies: say which with --policy")
    return next((policy for _, policy in found.values()), Policy())


def _stage(log: Log, reader: Reader) -> None:
    for batch in reader.batches():
        check_named(reader, set(pc.unique(batch.column("source")).to_pylist()))
        log.add(batch)
    for one in reader.imports:
        check_named(reader, {one.source})
        log.add_import(one)


def check_named(reader: Reader, sources: set[str]) -> None:
    """A list that was given a name speaks for that source alone, whatever stands in it."""
    others = sorted(sources - {reader.source})
    if reader.named and others:
        raise BadPolicy(
            f"holds statements of {shown(', '.join(others))}, but was given as {reader.source}: "
            "without a name it speaks for the sources in it, if you trust it",
            file=reader.input.name,
        )


def _make(
    connection: duckdb.DuckDBPyConnection,
    log: Log,
    policy: Policy,
    clock: datetime,
    path: Path,
    step: Callable[[str], None],
) -> None:
    """Turn a staged log into a catalog."""
    step("deduplicating")
    log.settle(policy, clock)
    step("grouping")
    group(connection, tuple(parse_digest(text) for text in policy.denied))
    step("resolving")
    resolve(connection, policy)
    _obey(connection, policy)
    step("writing")
    publish(connection, log, policy, load_crosswalk(policy), path)


def merge_batches(batches: Iterable[pa.RecordBatch], path: Path, imports: list[Import]) -> None:
    """Write batches of entries as a catalog at `path`, under the default policy.

    `imports` may still grow while the batches come. Raises `MalformedInput` for rows without evidence: a
    catalog says of every entry where it is from.
    """
    with private_folder(path) as folder, engine(folder) as connection, _faults(str(path)):
        log = Log(connection)
        for batch in batches:
            log.add(batch)
        for one in imports:
            log.add_import(one)
        _make(connection, log, Policy(), clock(), path, lambda text: None)


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
    pairs: list[tuple[Given, Reader]] = []
    for one in given:
        rule = rules.get(one.source or "", SourceRules())
        release = one.release or (parse_release(rule.release) if rule.release else None)
        opened = open_readers(
            one.path,
            format=rule.format or _unless_catalog(one.path, format),
            source=one.source,
            limits=limits,
            release=release,
            delivery=rule.delivery,
            options=dict(rule.options),
            **settings,
        )
        pairs += [(one, reader) for reader in opened]
    _refuse_nameless(pairs)
    return [reader for _, reader in pairs]


def _unless_catalog(path: str, format: str | None) -> str | None:
    """`--from` speaks of partner files; a catalog beside them is known by content."""
    if format and os.path.isfile(path):
        with faults_named(path), open(path, "rb") as raw:
            return "catalog" if FORMATS["catalog"].sniff(raw.read(100)) else format
    return format


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
    with opened_catalog(path) as database:
        columns = "name, delivery, read, rejected, active, retracted, withdrawn, quarantined, only_here"
        rows = database.execute(f"SELECT {columns} FROM sources ORDER BY id").fetchall()

        def one(sql: str) -> int:
            return int(database.execute(sql).fetchone()[0])

        read, items = sum(each.read for each in imports), one("SELECT count(*) FROM items")
        entries, speaking = one("SELECT count(*) FROM entries"), one("SELECT count(*) FROM entries WHERE item IS NOT NULL")
        return Merged(
            output=output,
            format=format,
            sources=[SourceCount(*row) for row in rows],
            imports=imports,
            items=items,
            entries=entries,
            repeats=read - entries,
            speaking=speaking,
            duplicates=speaking - items,
            statuses=dict(database.execute("SELECT status, count(*) FROM items GROUP BY 1 ORDER BY 1").fetchall()),
            conflicts=dict(database.execute("SELECT kind, count(*) FROM conflicts GROUP BY 1 ORDER BY 1").fetchall()),
            resolved=one("SELECT count(*) FROM conflicts WHERE resolved"),
        )


def write_from_catalog(
    path: Path, output: Path, target: Format, writing: Writing
) -> tuple[Written, dict[str, int]]:
    """Write a catalog as another format: every entry where it keeps entries, else one row an item.

    Returns what was written, and what of the catalog is no row, with how many there are.
    """
    rows = "entries" if target.keeps_entries else "items"
    reader = open_readers(path, format="catalog", options={"rows": rows})[0]

    def batches() -> Iterable[pa.RecordBatch]:
        yield from reader.batches()
        writing.imports.extend(reader.imports)

    with output.open("r+b") as stream:
        written = write_stream(batches(), cast(BinaryIO, stream), target, writing)
    return written, {what: count for what, count in reader.left_out.items() if count}
