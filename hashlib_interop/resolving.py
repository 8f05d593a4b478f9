"""Resolution: one row an item, with its status, its value where the policy gives one, and the conflicts.

Statuses: agreed, decided, conflict, self-conflict, no-mapping, uncategorised; only the first two have a value.

Reads `core`, `alive`, `standing`, `member`, `held`, `refused`, `denied`, `log`; leaves

    item      item (1.. strongest algorithm first, then by key), what its entries agree on, status, value,
              the rule that decided it (tier, quorum, severity)
    joined    e -> item
    mapped    item, e, scheme, code: what an entry says in the target scheme, and from_scheme, from_code
    conflict  c, kind, subject, item, resolved
    side      c, value, e
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import duckdb
import pyarrow as pa

from hashlib_interop.crosswalk import load_crosswalk
from hashlib_interop.engine import CURRENT, QUARANTINED, STRONGEST_FIRST, WITHDRAWN, handling_text
from hashlib_interop.handling import joined
from hashlib_interop.model import Handling
from hashlib_interop.policy import Policy
from hashlib_interop.schemes import scheme_kind

_SEPARATOR = "\x1f"


def resolve(connection: duckdb.DuckDBPyConnection, policy: Policy) -> None:
    """Turn groups into items and find the conflicts."""
    _number_items(connection)
    _claims(connection)
    _map(connection, policy)
    _decide(connection, policy)
    _join_handling(connection)
    _describe(connection)
    _conflicts(connection)


def _register(connection: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, Sequence[object]]) -> None:
    """Make a small table from Python lists of texts or numbers."""
    kinds = {key: pa.int32() if key in ("tier", "place") else pa.string() for key in columns}
    staged = pa.table({key: pa.array(values, kinds[key]) for key, values in columns.items()})
    connection.register("staged", staged).execute(f"CREATE TABLE {name} AS SELECT * FROM staged")
    connection.unregister("staged")


def _number_items(connection: duckdb.DuckDBPyConnection) -> None:
    level = " ".join(f"WHEN lo_{a} IS NOT NULL THEN {k}" for k, a in enumerate(STRONGEST_FIRST))
    keys = ", ".join(f"lo_{a}" for a in STRONGEST_FIRST)
    connection.execute(
        f"""CREATE TABLE numbered AS SELECT (row_number() OVER ())::INTEGER AS item, grp, level, key
            FROM (SELECT grp, CASE {level} END AS level, coalesce({keys}) AS key FROM held ORDER BY level, key, grp);
        CREATE TABLE joined AS SELECT e, item FROM member JOIN numbered USING (grp);
        DROP TABLE member"""
    )


def _claims(connection: duckdb.DuckDBPyConnection) -> None:
    """What each alive entry says, by scheme; known-file schemes speak only where no other does."""
    connection.execute(
        """CREATE TABLE said AS SELECT e, c.scheme AS scheme, c.code AS code
        FROM (SELECT e, unnest(classifications) AS c FROM core JOIN log USING (n) JOIN standing USING (e) WHERE standing = 0)"""
    )
    schemes = [row[0] for row in connection.execute("SELECT DISTINCT scheme FROM said ORDER BY 1").fetchall()]
    _register(connection, "scheme", {"scheme": schemes, "kind": [scheme_kind(s) for s in schemes]})
    connection.execute(
        """CREATE TABLE claim AS SELECT item, e, scheme, code, kind
            FROM said JOIN joined USING (e) JOIN scheme USING (scheme) WHERE kind <> 'facets';
        CREATE TABLE own AS SELECT * FROM claim WHERE kind = 'single' UNION ALL
            SELECT * FROM claim ANTI JOIN (SELECT item FROM claim WHERE kind = 'single') USING (item)"""
    )


def _map(connection: duckdb.DuckDBPyConnection, policy: Policy) -> None:
    """Claims in the target scheme; without a target, those of items that speak in one scheme only."""
    if policy.target is None:
        connection.execute(
            """CREATE TABLE mapped AS SELECT item, e, scheme, code, scheme AS from_scheme, code AS from_code FROM own SEMI JOIN
            (SELECT item FROM own GROUP BY item HAVING min(scheme) = max(scheme)) USING (item)"""
        )
        return
    allowed = load_crosswalk(policy).allowed(policy)
    rows = [(*key, to) for key, to in sorted(allowed.items()) if key[0] != policy.target]
    names = ("scheme", "code", "target_code")
    _register(connection, "mapping", {name: [row[k] for row in rows] for k, name in enumerate(names)})
    connection.execute(
        """CREATE TABLE mapped AS
        SELECT item, e, scheme, code, scheme AS from_scheme, code AS from_code FROM own WHERE scheme = $target
        UNION ALL SELECT item, e, $target, target_code, scheme, code FROM own JOIN mapping USING (scheme, code)""",
        {"target": policy.target},
    )


def _decide(connection: duckdb.DuckDBPyConnection, policy: Policy) -> None:
    """One code: agreed. More: the best tier, then the quorum, then the severity order, each narrowing."""
    connection.execute(
        """CREATE TABLE verdict AS SELECT item, min(scheme) AS scheme, min(code) AS code, min(code) <> max(code) AS contested
            FROM mapped GROUP BY item;
        CREATE TABLE heard AS SELECT m.item, m.e, m.scheme, m.code, source, ref, contributor
            FROM mapped m JOIN verdict USING (item) JOIN core USING (e) WHERE contested"""
    )
    connection.execute(
        """CREATE TABLE alone AS SELECT item FROM heard GROUP BY item
        HAVING count(DISTINCT (source, ref)) = 1"""
    )
    connection.execute("CREATE TABLE settled (item INTEGER, rule VARCHAR)")
    _keep_best_tier(connection, policy)
    connection.execute("CREATE TABLE left_over AS SELECT DISTINCT item, scheme, code FROM heard")
    _note_settled(connection, "tier")
    if policy.quorum:
        _keep_quorum(connection, policy.quorum)
        _note_settled(connection, "quorum")
    _keep_most_severe(connection, policy)
    _note_settled(connection, "severity")
    connection.execute(
        """CREATE TABLE outcome AS
        SELECT item, scheme, code, 'agreed' AS status, NULL AS rule FROM verdict WHERE NOT contested
        UNION ALL SELECT item, min(scheme), CASE WHEN count(*) = 1 THEN min(code) END,
            CASE WHEN count(*) = 1 THEN 'decided' WHEN item IN (SELECT item FROM alone) THEN 'self-conflict'
                 ELSE 'conflict' END, min(rule) FROM left_over LEFT JOIN settled USING (item) GROUP BY item
        UNION ALL SELECT DISTINCT item, NULL, NULL, 'no-mapping', NULL FROM own ANTI JOIN verdict USING (item)"""
    )


def _note_settled(connection: duckdb.DuckDBPyConnection, rule: str) -> None:
    """Note the rule that left one code of several."""
    connection.execute(
        f"""INSERT INTO settled SELECT item, '{rule}' FROM
        (SELECT item FROM left_over GROUP BY item HAVING count(*) = 1) ANTI JOIN settled USING (item)"""
    )


def _keep_best_tier(connection: duckdb.DuckDBPyConnection, policy: Policy) -> None:
    if not policy.tiers:
        return
    places = [(name, k) for k, names in enumerate(policy.tiers) for name in names]
    _register(connection, "tier", {"source": [p[0] for p in places], "tier": [p[1] for p in places]})
    connection.execute(
        f"""CREATE TABLE ranked AS SELECT heard.*, coalesce(tier, {len(policy.tiers)}) AS rank
            FROM heard LEFT JOIN tier USING (source);
        DROP TABLE heard;
        CREATE TABLE heard AS SELECT ranked.* EXCLUDE (rank) FROM ranked
            JOIN (SELECT item, min(rank) AS best FROM ranked GROUP BY item) USING (item) WHERE rank = best"""
    )


def _keep_quorum(connection: duckdb.DuckDBPyConnection, quorum: int) -> None:
    connection.execute(
        f"""CREATE TABLE enough AS SELECT item, code FROM heard GROUP BY item, code
            HAVING count(DISTINCT (source, contributor)) >= {quorum};
        CREATE TABLE winner AS SELECT item, min(code) AS code FROM enough GROUP BY item HAVING count(*) = 1;
        DELETE FROM left_over USING winner WHERE winner.item = left_over.item AND winner.code <> left_over.code"""
    )


def _keep_most_severe(connection: duckdb.DuckDBPyConnection, policy: Policy) -> None:
    places = [(s, code, k) for s, codes in policy.severity.items() for k, code in enumerate(codes)]
    columns = {name: [p[k] for p in places] for k, name in enumerate(("scheme", "code", "place"))}
    _register(connection, "severity", columns)
    connection.execute(
        """CREATE TABLE worst AS SELECT item, arg_min(code, place) AS code
            FROM left_over LEFT JOIN severity USING (scheme, code) GROUP BY item HAVING count(*) = count(place);
        DELETE FROM left_over USING worst WHERE worst.item = left_over.item AND worst.code <> left_over.code"""
    )


def _join_handling(connection: duckdb.DuckDBPyConnection) -> None:
    """The join of the labels of every entry, an empty text for those without; no label where no entry has one."""
    connection.execute(
        f"""CREATE TABLE labels AS SELECT item, CASE WHEN min(handling) = max(handling) THEN min(handling)
            ELSE string_agg(DISTINCT handling, '{_SEPARATOR}' ORDER BY handling) END
            || CASE WHEN count(handling) < count(*) THEN '{_SEPARATOR}' ELSE '' END AS labels
        FROM alive JOIN joined USING (e) GROUP BY item HAVING count(handling) > 0"""
    )
    distinct = [row[0] for row in connection.execute("SELECT DISTINCT labels FROM labels ORDER BY 1").fetchall()]
    _register(connection, "label", {"labels": distinct, "handling": [_joined_text(text) for text in distinct]})


def _joined_text(labels: str) -> str | None:
    parsed = (Handling.model_validate(json.loads(text)) if text else None for text in labels.split(_SEPARATOR))
    return handling_text(joined(parsed))


def _describe(connection: duckdb.DuckDBPyConnection) -> None:
    """One row an item: what all its entries agree on, null where they do not."""
    digests = ", ".join(f"CASE WHEN lo_{a} = hi_{a} THEN lo_{a} END AS {a}" for a in STRONGEST_FIRST)
    connection.execute(
        f"""CREATE TABLE shape AS SELECT item, count(*) AS entries, min(source) AS source, count(DISTINCT source) AS sources,
            CASE WHEN min(size) = max(size) THEN min(size) END AS size, min(size) <> max(size) AS two_sizes,
            CASE WHEN min(media) = max(media) THEN min(media) END AS media, min(media) <> max(media) AS two_media
            FROM alive JOIN joined USING (e) GROUP BY item;
        CREATE TABLE voted AS SELECT item, count(*) FILTER (vote = 'up') AS up, count(*) FILTER (vote = 'down') AS down
            FROM (SELECT DISTINCT v.e, v.vote, item FROM core v JOIN standing USING (e) JOIN log USING (n)
                JOIN alive ON alive.source = log.about_source AND alive.ref = log.about_ref
                JOIN joined ON joined.e = alive.e WHERE standing = {CURRENT} AND v.vote IS NOT NULL AND NOT v.retracted)
            GROUP BY item;
        CREATE TABLE item AS SELECT item, level, key, grp, {digests}, size, media, entries, sources,
            CASE WHEN sources = 1 THEN source END AS only_source, coalesce(status, 'uncategorised') AS status,
            CASE WHEN code IS NOT NULL THEN scheme END AS scheme, code, rule, handling,
            coalesce(up, 0) AS up, coalesce(down, 0) AS down
            FROM numbered JOIN held USING (grp) JOIN shape USING (item) LEFT JOIN outcome USING (item)
            LEFT JOIN labels USING (item) LEFT JOIN label USING (labels) LEFT JOIN voted USING (item)"""
    )


def _conflicts(connection: duckdb.DuckDBPyConnection) -> None:
    """Gather the sides of every conflict, then number the conflicts by kind, subject and place."""
    connection.execute(
        "CREATE TABLE found (kind VARCHAR, subject VARCHAR, place VARCHAR, item INTEGER, value VARCHAR, e INTEGER)"
    )
    for sides in (*_identity_sides(connection), *_item_sides(), _self_sides(), *_state_sides(connection)):
        connection.execute(f"INSERT INTO found {sides}")
    connection.execute(
        """CREATE TABLE conflict AS SELECT (row_number() OVER (ORDER BY kind, subject, item NULLS FIRST, place))::INTEGER AS c,
            kind, subject, item, place, kind = 'classification' AND coalesce(status IN ('agreed', 'decided'), false) AS resolved
            FROM (SELECT kind, subject, place, min(item) AS item FROM found GROUP BY kind, subject, place)
            LEFT JOIN (SELECT item, status FROM item) USING (item);
        CREATE TABLE side AS SELECT DISTINCT c, value, e FROM found JOIN conflict USING (kind, subject, place)"""
    )


def _identity_sides(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Links that were refused, and weaker digests that disagree inside an item."""
    counts = ", ".join(f"count({a})" for a in STRONGEST_FIRST)
    found = connection.execute(f"SELECT {counts} FROM alive").fetchone() or ()
    names = " ".join(f"WHEN {k} THEN '{a}:'" for k, a in enumerate(STRONGEST_FIRST))
    sides = []
    for a in (a for a, count in zip(STRONGEST_FIRST, found, strict=True) if count):
        sides.append(
            f"""SELECT 'identity', '{a}', lower(hex(digest)), item, CASE level {names} END || lower(hex(key)), e
            FROM refused JOIN alive ON alive.{a} = digest AND algorithm = '{a}' JOIN joined USING (e) JOIN numbered USING (item)"""
        )
        sides.append(
            f"""SELECT 'identity', '{a}', 'item ' || item, item, lower(hex({a})), e
            FROM numbered JOIN held USING (grp) JOIN joined USING (item) JOIN alive USING (e)
            WHERE lo_{a} <> hi_{a} AND {a} IS NOT NULL"""
        )
    return sides


def _item_sides() -> list[str]:
    return [
        """SELECT 'size', '', 'item ' || item, item, alive.size::VARCHAR, e FROM shape JOIN joined USING (item)
        JOIN alive USING (e) WHERE two_sizes AND alive.size IS NOT NULL""",
        """SELECT 'media', '', 'item ' || item, item, alive.media, e FROM shape JOIN joined USING (item)
        JOIN alive USING (e) WHERE two_media AND alive.media IS NOT NULL""",
        """WITH spoken AS (SELECT item, e, scheme, code FROM own UNION SELECT item, e, scheme, code FROM mapped)
        SELECT 'classification', scheme, 'item ' || item, item, code, e FROM spoken SEMI JOIN
        (SELECT item, scheme FROM spoken GROUP BY item, scheme HAVING min(code) <> max(code)) USING (item, scheme)""",
        """WITH known AS (SELECT DISTINCT item, e FROM claim WHERE kind = 'known-file'), part AS (
            SELECT item FROM known JOIN item USING (item) GROUP BY item, entries HAVING count(*) < entries)
        SELECT 'known-file', '', 'item ' || item, item, CASE WHEN known.e IS NULL THEN 'other' ELSE 'known-file' END, joined.e
        FROM part JOIN joined USING (item) LEFT JOIN known USING (item, e)""",
    ]


_SINGLE = {
    "state": "CASE WHEN retracted THEN 'retracted' ELSE 'active' END",
    **{a: f"'{a} ' || lower(hex({a}))" for a in STRONGEST_FIRST},
    **{name: f"'{name} ' || {name}" for name in ("size", "media", "vote")},
}
"""What an entry can say once, as a person would write it; in the order of the claims of a self conflict."""


def _self_sides() -> str:
    """Entries of one register and one stamp that cannot all hold; each claims what differs among them."""
    two = ", ".join(f"coalesce(min({text}) <> max({text}), false) AS two_{name}" for name, text in _SINGLE.items())
    any_two = " OR ".join(f"two_{name}" for name in _SINGLE)
    claims = ", ".join(f"CASE WHEN two_{name} THEN coalesce({text}, 'no {name}') END" for name, text in _SINGLE.items())
    return f"""WITH tied AS (
            SELECT core.* FROM core JOIN standing USING (e) WHERE standing = {CURRENT}
            QUALIFY count(*) OVER (PARTITION BY source, ref) > 1
        ), spoken AS (
            SELECT DISTINCT source, ref, e, scheme, code FROM tied JOIN said USING (e) JOIN scheme USING (scheme) WHERE kind <> 'facets'
        ), codes AS (
            SELECT source, ref, scheme FROM spoken GROUP BY source, ref, scheme HAVING min(code) <> max(code)
        ), coded AS (
            SELECT e, string_agg(scheme || ' ' || code, ', ' ORDER BY scheme, code) AS said
            FROM spoken JOIN codes USING (source, ref, scheme) GROUP BY e
        ), compared AS (SELECT source, ref, min(e) AS first, {two} FROM tied GROUP BY source, ref
        ), bad AS (
            SELECT * FROM compared WHERE {any_two} UNION SELECT compared.* FROM compared SEMI JOIN codes USING (source, ref)
        )
        SELECT 'self', '', 'entry ' || first, item, coalesce(nullif(concat_ws(', ', {claims}, coded.said), ''), 'no code'), e
        FROM tied JOIN bad USING (source, ref) LEFT JOIN coded USING (e) LEFT JOIN joined USING (e)"""


def _ghosts(connection: duckdb.DuckDBPyConnection) -> bool:
    """Make `ghost`: the last active word of registers that fell silent, and retractions that name digests."""
    connection.execute(
        f"""CREATE TABLE ghost AS WITH word AS (
            SELECT core.*, standing, coalesce(release, -9223372036854775807) AS release FROM core JOIN standing USING (e)
            JOIN import ON import.imp = standing.last
            WHERE standing <> {QUARANTINED} AND NOT speaks_of AND coalesce({", ".join(STRONGEST_FIRST)}) IS NOT NULL
        ), silent AS (
            SELECT * FROM word ANTI JOIN (SELECT source, ref FROM core JOIN standing USING (e)
                WHERE standing = {CURRENT} AND NOT retracted) USING (source, ref)
        )
        SELECT * FROM silent WHERE NOT retracted
            QUALIFY (release, stamp, seq) = max((release, stamp, seq)) OVER (PARTITION BY source, ref)
        UNION ALL SELECT * FROM silent WHERE retracted AND standing = {CURRENT}"""
    )
    return connection.execute("SELECT 1 FROM ghost LIMIT 1").fetchone() is not None


def _haunted(level: int, algorithm: str) -> str:
    """Items that hold a ghost's digest and contradict it on nothing stronger."""
    agree = " ".join(
        f"AND (g.{s} IS NULL OR lo_{s} IS NULL OR (lo_{s} = g.{s} AND hi_{s} = g.{s}))" for s in STRONGEST_FIRST[:level]
    )
    return f"""SELECT g.e, item FROM ghost g JOIN alive ON alive.{algorithm} = g.{algorithm}
        JOIN joined ON joined.e = alive.e JOIN numbered USING (item) JOIN held USING (grp)
        WHERE g.{algorithm} NOT IN (SELECT digest FROM denied WHERE algorithm = '{algorithm}') {agree}"""


def _state_sides(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """A register took its entry back, and another source or contributor still asserts the same file."""
    if not _ghosts(connection):
        return []
    matches = " UNION ALL ".join(_haunted(level, a) for level, a in enumerate(STRONGEST_FIRST))
    connection.execute(
        f"""CREATE TABLE pair AS SELECT item, ghost.e AS ghost, alive.e AS other
        FROM (SELECT DISTINCT e, item FROM ({matches})) matched JOIN ghost ON ghost.e = matched.e
        JOIN joined USING (item) JOIN alive ON alive.e = joined.e
        WHERE alive.source <> ghost.source OR alive.contributor <> ghost.contributor"""
    )
    return [
        f"""SELECT DISTINCT 'state', '', 'item ' || item, item,
            CASE WHEN standing = {WITHDRAWN} THEN 'withdrawn' ELSE 'retracted' END, ghost
            FROM pair JOIN standing ON standing.e = ghost""",
        "SELECT DISTINCT 'state', '', 'item ' || item, item, 'active', other FROM pair",
    ]
