"""The log of entries on the embedded engine: staged, deduplicated, numbered, each with its standing.

The relational part of merge is written once, here and in `grouping.py` and `resolving.py`, for DuckDB with
a memory limit and a private spill folder always set. Tests hold it against `tests/reference.py`.

Tables that this module leaves behind:

    log     every row as staged, `n`
    core    one row an entry: `e` (1.. in the order source, ref, stamp, seq, id), what deciding needs, `standing`
    run     evidence: (e, first, last, position): seen in the imports first..last of its source
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop.algorithms import ALGORITHMS
from hashlib_interop.canonical import identify
from hashlib_interop.errors import BadPolicy, MalformedInput, shown
from hashlib_interop.files import private_folder
from hashlib_interop.model import IDENTITY_FIELDS, STAMP, Handling, canonical_json
from hashlib_interop.policy import Policy
from hashlib_interop.report import Import

MEMORY = 768 << 20
PER_ROW = 260
"""Bytes that the engine may take, and for every row where these come to more: a sort of ten million rows held
in 768 MB ran out of it, in 3 GB it does not."""
STRONGEST_FIRST = tuple(ALGORITHMS)
CURRENT, SUPERSEDED, WITHDRAWN, QUARANTINED = range(4)
"""Standings of an entry: it speaks; a later one of its register does; absent from the newest snapshot
release; stamped in the future."""

_NESTED = ("about", "handling")
_PLAIN = [field for field in IDENTITY_FIELDS if field.name not in _NESTED]


@contextlib.contextmanager
def engine(
    folder: Path | None = None, memory: str | None = None, threads: int | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an engine with a memory limit (`MEMORY`); it works and spills in `folder`, else in a private one."""
    with contextlib.nullcontext(folder) if folder else private_folder() as private:
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory or _bytes(MEMORY),
            "temp_directory": str(private / "spill"),
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        if threads:
            config["threads"] = threads
        try:
            connection = duckdb.connect(":memory:", config=config)
        except duckdb.Error as error:
            raise BadPolicy(f"the engine does not start: {shown(error, 200)}") from None
        try:
            yield connection
        finally:
            connection.close()


def machine_memory() -> int:
    """Return the bytes of this machine's memory; 8 GiB where the system does not say."""
    if not hasattr(os, "sysconf"):
        return 8 << 30
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _bytes(count: int) -> str:
    return f"{count >> 20}MiB"


class Log:
    """The staged entries of a merge, and the imports they come from."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.imports: dict[tuple[str, str, bytes], Import] = {}
        self.rows = 0
        columns = ", ".join(f"{f.name} {_sql_type(f.type)}" for f in _PLAIN)
        connection.execute(
            f"CREATE TABLE log (n BIGINT, id BLOB, {columns}, about_source VARCHAR, about_ref VARCHAR, "
            "considered BLOB[], handling VARCHAR)"
        )
        connection.execute("CREATE TABLE seen (n BIGINT, file BLOB, release BIGINT, position BIGINT)")

    def add(self, batch: pa.RecordBatch) -> None:
        """Stage a batch of `ENTRY_SCHEMA`, each row with its evidence."""
        numbers = pa.array(np.arange(self.rows, self.rows + batch.num_rows))
        self.rows += batch.num_rows
        about = batch.column("about")
        staged = pa.table(
            [
                numbers,
                identify(batch),
                *(_milliseconds(batch.column(f.name)) for f in _PLAIN),
                *(pc.struct_field(about, [name]) for name in ("source", "ref", "considered")),
                handling_texts(batch.column("handling")),
            ],
            names=["n", "id", *(f.name for f in _PLAIN), "about_source", "about_ref", "considered", "handling"],
        )
        evidence = batch.column("evidence")
        items = evidence.flatten()
        seen = pa.table(
            [
                numbers.take(pc.list_parent_indices(evidence)),
                items.field("file"),
                _milliseconds(items.field("release")),
                items.field("position"),
            ],
            names=["n", "file", "release", "position"],
        )
        self.connection.register("staged", staged).execute("INSERT INTO log SELECT * FROM staged")
        self.connection.register("staged", seen).execute("INSERT INTO seen SELECT * FROM staged")
        self.connection.unregister("staged")

    def add_import(self, one: Import) -> None:
        """Note an import. The same file of the same release, read twice, is one; the earlier clock counts."""
        known = self.imports.get(one.key)
        if known and known.delivery != one.delivery:
            raise BadPolicy(f"source {one.source} is imported as {known.delivery} and as {one.delivery}")
        self.imports[one.key] = min(known or one, one, key=lambda i: (i.recorded_at, canonical_json(i.to_json())))

    def settle(self, policy: Policy, clock: datetime) -> None:
        """Number the imports, dedupe the entries, gather the evidence, give every entry its standing.

        `clock` is the time of the run: what is stamped later (and the policy's skew) is quarantined.
        """
        self._check_deliveries()
        self._number_imports()
        self._dedupe()
        self._gather_evidence()
        self._stand(policy, clock)

    def make_room(self) -> None:
        """Raise the limit of the engine to what this many rows need, at most half of this machine's memory."""
        wanted = min(self.rows * PER_ROW, machine_memory() // 2)
        if wanted > MEMORY:
            self.connection.execute(f"SET memory_limit = '{_bytes(wanted)}'")

    @property
    def ordered_imports(self) -> list[Import]:
        """The imports in their order; number 1 is the first."""
        return [self.imports[key] for key in sorted(self.imports)]

    def _check_deliveries(self) -> None:
        kinds: dict[str, str] = {}
        for one in self.ordered_imports:
            if kinds.setdefault(one.source, one.delivery) != one.delivery:
                raise BadPolicy(
                    f"source {one.source} is imported both as snapshot and as delta: "
                    "say one in the sources file, or give the files two names"
                )

    def _number_imports(self) -> None:
        imports = self.ordered_imports
        releases = pa.array([i.release for i in imports], STAMP)
        table = pa.table(
            {
                "imp": pa.array(range(1, len(imports) + 1), pa.int32()),
                "source": pa.array([i.source for i in imports], pa.string()),
                "release": _milliseconds(releases),
                "file": pa.array([i.file for i in imports], pa.binary(32)),
                "snapshot": pa.array([i.delivery == "snapshot" for i in imports], pa.bool_()),
            }
        )
        self.connection.register("staged", table)
        self.connection.execute(
            "CREATE TABLE import AS SELECT *, min(imp) FILTER (latest) OVER (PARTITION BY source) AS newest FROM "
            "(SELECT *, release IS NOT DISTINCT FROM max(release) OVER (PARTITION BY source) AS latest FROM staged)"
        )
        self.connection.unregister("staged")
        lost = self.connection.execute(
            "SELECT hex(seen.file) FROM seen JOIN log USING (n) ANTI JOIN import "
            "ON import.source = log.source AND import.file = seen.file AND import.release IS NOT DISTINCT FROM seen.release LIMIT 1"
        ).fetchone()
        if lost:
            raise MalformedInput(f"an entry names a file that no import of its source is: {lost[0].lower()}")

    def _dedupe(self) -> None:
        """One row an entry. Equal ids are equal content, so any row of an id will do.

        Numbers come from a sort that spills; a window over all rows in order would have to be held in memory.
        """
        digests = ", ".join(STRONGEST_FIRST)
        self.connection.execute("CREATE TABLE chosen AS SELECT id, min(n) AS n FROM log GROUP BY id")
        self.connection.execute(
            f"""CREATE TABLE core AS
            SELECT (row_number() OVER ())::INTEGER AS e, * FROM (SELECT n, id,
                source, ref, contributor, coalesce(asserted_at, -9223372036854775807) AS stamp, seq,
                state = 'retracted' AS retracted, vote, about_source IS NOT NULL AS speaks_of, {digests}, size, media, handling
            FROM log SEMI JOIN chosen USING (n) ORDER BY source, ref, asserted_at NULLS FIRST, seq, id)"""
        )

    def _gather_evidence(self) -> None:
        """Runs of consecutive imports; a position only for the first import that an entry was ever seen in.

        Rows find their entry by number; only repeats, which are few, are looked up by id.
        """
        self.connection.execute(
            """CREATE TABLE sight AS
            WITH place AS (
                SELECT n, e, source FROM core UNION ALL
                SELECT repeat.n, core.e, core.source
                FROM (SELECT n, id FROM log ANTI JOIN chosen USING (n)) repeat JOIN core USING (id)
            )
            SELECT DISTINCT place.e, import.imp, seen.position
            FROM seen JOIN place USING (n) JOIN import
              ON import.source = place.source AND import.file = seen.file
             AND import.release IS NOT DISTINCT FROM seen.release"""
        )
        self.connection.execute(
            """CREATE TABLE run AS WITH span AS (
                SELECT e, min(imp) AS lo, max(imp) AS hi, count(DISTINCT imp) AS times FROM sight GROUP BY e
            ), split AS (
                SELECT DISTINCT e, imp FROM sight JOIN span USING (e) WHERE hi - lo + 1 <> times
            ), island AS (
                SELECT e, imp, imp - row_number() OVER (PARTITION BY e ORDER BY imp) AS k FROM split
            ), runs AS (
                SELECT e, lo AS first, hi AS last FROM span WHERE hi - lo + 1 = times
                UNION ALL SELECT e, min(imp), max(imp) FROM island GROUP BY e, k
            ), place AS (
                SELECT e, imp, min(position) AS position FROM sight JOIN span USING (e) WHERE imp = lo GROUP BY e, imp
            )
            SELECT runs.e, first, last, position FROM runs LEFT JOIN place ON place.e = runs.e AND place.imp = first
            UNION ALL
            SELECT s.e, s.imp, s.imp, s.position FROM sight s JOIN place USING (e, imp) WHERE s.position > place.position"""
        )
        self.connection.execute("DROP TABLE sight; DROP TABLE seen")

    def _stand(self, policy: Policy, clock: datetime) -> None:
        """Standing by register: quarantine first, then the newest release, then the greatest stamp."""
        horizon = _horizon(clock, policy)
        self.connection.execute(
            f"""CREATE TABLE standing AS
            WITH reach AS (SELECT e, max(last) AS last, min(first) AS first FROM run GROUP BY e), fit AS (
                SELECT core.e, core.source, ref, stamp, seq, reach.first, reach.last, stamp > {horizon} AS early,
                    coalesce(import.snapshot AND reach.last < import.newest, false) AS gone
                FROM core JOIN reach USING (e) JOIN import ON import.imp = reach.last
            )
            SELECT e, first, last, CASE WHEN early THEN {QUARANTINED} WHEN gone THEN {WITHDRAWN}
                WHEN (stamp, seq) = max((stamp, seq)) FILTER (NOT early AND NOT gone) OVER (PARTITION BY source, ref)
                THEN {CURRENT} ELSE {SUPERSEDED} END AS standing
            FROM fit"""
        )
        lost = self.connection.execute("SELECT count(*) FROM core ANTI JOIN standing USING (e)").fetchone()
        if lost and lost[0]:
            raise MalformedInput(f"{lost[0]:,} entries have no evidence: nobody can say where they are from")
        self.connection.execute(
            f"""CREATE TABLE alive AS SELECT core.* FROM core JOIN standing USING (e)
            WHERE standing = {CURRENT} AND NOT retracted AND NOT speaks_of
              AND coalesce({", ".join(STRONGEST_FIRST)}) IS NOT NULL"""
        )


def _horizon(clock: datetime, policy: Policy) -> int:
    """The latest stamp that is believed, in milliseconds."""
    return (clock - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1) + policy.skew_hours * 3_600_000


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return _sql_type(kind.value_type) + "[]"
    if pa.types.is_struct(kind):
        return f"STRUCT({', '.join(f'{f.name} {_sql_type(f.type)}' for f in kind)})"
    if pa.types.is_fixed_size_binary(kind) or pa.types.is_binary(kind):
        return "BLOB"
    return "BOOLEAN" if pa.types.is_boolean(kind) else "VARCHAR" if pa.types.is_string(kind) else "BIGINT"


def _milliseconds(column: pa.Array) -> pa.Array:
    return column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column


def handling_texts(column: pa.StructArray) -> pa.StringArray:
    """Return handling labels as canonical JSON, null where unlabelled."""
    if column.null_count == len(column):
        return pa.nulls(len(column), pa.string())
    texts = [handling_text(Handling.model_validate(v)) if v else None for v in column.to_pylist()]
    return pa.array(texts, pa.string())


def handling_text(label: Handling | None) -> str | None:
    """Return a label as canonical JSON without what it does not state."""
    if label is None:
        return None
    stated = {k: v for k, v in label.model_dump(mode="json").items() if v or (k == "audience" and v is not None)}
    return canonical_json(stated)
