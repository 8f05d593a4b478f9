"""Grouping: entries joined by digests, strongest first, so that one wrong MD5 cannot glue files together.

At each level (SHA-512, SHA-384, SHA-256, SHA-1, MD5) the groups so far that carry the same digest are
linked, unless the digest is ambiguous: the groups that carry it together hold two values of a stronger
algorithm. The clusters that the links make become one group each, unless a cluster holds two values of a
stronger algorithm: then none of its links is made. The rule does not depend on any order (design, section 5).

A cluster is a star around one digest, except through groups that hold two values of the level's algorithm.
These are rare, and are closed by union-find over their digests alone.

Reads `alive`; leaves `member` (e, grp), `held` (grp, least and greatest value of each algorithm) and
`refused` (algorithm, digest), `denied` (algorithm, digest).
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from hashlib_interop.algorithms import ALGORITHMS, EMPTY_INPUT, Digest
from hashlib_interop.engine import STRONGEST_FIRST


def group(connection: duckdb.DuckDBPyConnection, denied: tuple[Digest, ...] = ()) -> None:
    """Group the alive entries. `denied` digests link nothing, nor do those of empty and one-byte inputs."""
    values = ", ".join(f"{a} AS lo_{a}, {a} AS hi_{a}" for a in STRONGEST_FIRST)
    connection.execute("CREATE TABLE member AS SELECT e, e AS grp FROM alive")
    connection.execute(f"CREATE TABLE held AS SELECT e AS grp, {values} FROM alive")
    connection.execute("CREATE TABLE refused (algorithm VARCHAR, digest BLOB)")
    _deny(connection, denied)
    for level, algorithm in enumerate(STRONGEST_FIRST):
        if connection.execute(f"SELECT 1 FROM alive WHERE {algorithm} IS NOT NULL LIMIT 1").fetchone():
            _level(connection, algorithm, STRONGEST_FIRST[:level])


def _deny(connection: duckdb.DuckDBPyConnection, denied: tuple[Digest, ...]) -> None:
    rows = [Digest(name, value) for name, value in EMPTY_INPUT.items()]
    rows += [Digest(a.name, bytes([k]) * a.width) for a in ALGORITHMS.values() for k in range(256)]
    rows += denied
    table = pa.table({"algorithm": [d.algorithm for d in rows], "digest": pa.array([d.value for d in rows])})
    connection.register("staged", table)
    connection.execute("CREATE TABLE denied AS SELECT DISTINCT * FROM staged")
    connection.unregister("staged")


def _level(connection: duckdb.DuckDBPyConnection, algorithm: str, stronger: tuple[str, ...]) -> None:
    two_values = " OR ".join(f"coalesce(min(lo_{a}) <> max(hi_{a}), false)" for a in stronger) or "false"
    _carry(connection, algorithm)
    connection.execute(
        f"""CREATE TEMP TABLE shared AS SELECT digest, min(grp) AS star, {two_values} AS ambiguous
        FROM carrier JOIN held USING (grp) GROUP BY digest HAVING count(*) > 1"""
    )
    connection.execute(
        f"INSERT INTO refused SELECT '{algorithm}', digest FROM shared WHERE ambiguous;"
        "DELETE FROM shared WHERE ambiguous"
    )
    _close_chains(connection, algorithm)
    connection.execute(
        f"""CREATE TEMP TABLE cluster AS SELECT star, min(grp) AS target, {two_values} AS split
        FROM (SELECT DISTINCT star, grp FROM carrier JOIN shared USING (digest)) JOIN held USING (grp) GROUP BY star"""
    )
    connection.execute(
        f"INSERT INTO refused SELECT '{algorithm}', digest FROM shared JOIN cluster USING (star) WHERE split"
    )
    connection.execute(
        """CREATE TEMP TABLE move AS SELECT DISTINCT grp, target
        FROM carrier JOIN shared USING (digest) JOIN cluster USING (star) WHERE NOT split AND grp <> target"""
    )
    _join(connection)
    connection.execute("DROP TABLE carrier; DROP TABLE shared; DROP TABLE cluster; DROP TABLE move")


def _carry(connection: duckdb.DuckDBPyConnection, algorithm: str) -> None:
    """Which group carries which digest: most groups hold one value, the rest are looked up by entry."""
    connection.execute(
        f"""CREATE TEMP TABLE carrier AS SELECT * FROM (
            SELECT grp, lo_{algorithm} AS digest FROM held WHERE lo_{algorithm} = hi_{algorithm}
            UNION ALL
            SELECT DISTINCT grp, {algorithm} FROM held JOIN member USING (grp) JOIN alive USING (e)
            WHERE lo_{algorithm} <> hi_{algorithm} AND {algorithm} IS NOT NULL
        ) ANTI JOIN (SELECT digest FROM denied WHERE algorithm = '{algorithm}') USING (digest)"""
    )


def _close_chains(connection: duckdb.DuckDBPyConnection, algorithm: str) -> None:
    """Give digests that one group holds together the same star."""
    chained = connection.execute(
        f"""SELECT grp, digest, star FROM carrier JOIN shared USING (digest) JOIN held USING (grp)
        WHERE lo_{algorithm} <> hi_{algorithm} ORDER BY grp, digest"""
    ).fetchall()
    if not chained:
        return
    closed = _closed(chained)
    connection.register("staged", pa.table({"digest": pa.array(closed), "root": pa.array(closed.values())}))
    connection.execute("UPDATE shared SET star = root FROM staged WHERE staged.digest = shared.digest")
    connection.unregister("staged")


def _closed(chained: list[tuple[int, bytes, int]]) -> dict[bytes, int]:
    """Union-find over digests that share a group; the root is the least star."""
    parent = {digest: digest for _, digest, _ in chained}

    def find(digest: bytes) -> bytes:
        while parent[digest] != digest:
            parent[digest] = parent[parent[digest]]
            digest = parent[digest]
        return digest

    first: dict[int, bytes] = {}
    for group, digest, _ in chained:
        parent[find(digest)] = find(first.setdefault(group, digest))
    least: dict[bytes, int] = {}
    for _, digest, star in chained:
        root = find(digest)
        least[root] = min(star, least.get(root, star))
    return {digest: least[find(digest)] for digest in parent}


def _join(connection: duckdb.DuckDBPyConnection) -> None:
    if not connection.execute("SELECT 1 FROM move LIMIT 1").fetchone():
        return
    bounds = ", ".join(f"min(lo_{a}) AS lo_{a}, max(hi_{a}) AS hi_{a}" for a in STRONGEST_FIRST)
    connection.execute(
        f"""CREATE TABLE joined AS SELECT coalesce(target, grp) AS grp, {bounds}
            FROM held LEFT JOIN move USING (grp) GROUP BY 1;
        DROP TABLE held; ALTER TABLE joined RENAME TO held;
        CREATE TABLE joined AS SELECT e, coalesce(target, grp) AS grp FROM member LEFT JOIN move USING (grp);
        DROP TABLE member; ALTER TABLE joined RENAME TO member"""
    )
