"""`schemes`: what classifications mean, and which of them may be mapped into another scheme."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hashlib_interop.cli import shared
from hashlib_interop.cli.shared import emit, fields, heading, json_option, table
from hashlib_interop.errors import shown

if TYPE_CHECKING:
    from hashlib_interop.crosswalk import Crosswalk, Row
    from hashlib_interop.policy import Policy
    from hashlib_interop.schemes import Scheme

WIDE = 300


def _relations(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    from typing import get_args

    from hashlib_interop.policy import Relation

    if value is None:
        return None
    names = tuple(name.strip() for name in value.split(","))
    for name in names:
        if name not in get_args(Relation):
            known = ", ".join(get_args(Relation))
            raise click.BadParameter(f"{shown(name)!r} is no relation that can map; known: {known}", ctx, param)
    return names


crosswalk_option = click.option(
    "--crosswalk", metavar="FILE", help="Your own mapping file; its rows go over the shipped ones."
)
relations_option = click.option(
    "--relations",
    metavar="NAME,...",
    callback=_relations,
    help="Relations that may be used.  [default: exactMatch]",
)


@shared.command(
    """List the classification schemes, or show one, or how one relates to another.

    NAME shows a scheme with its codes and the symbols that mean something else elsewhere. crosswalk FROM TO
    explains every row between two schemes: its relation, status and source, and whether it is used. crosswalk
    alone lists all rows. Nothing is mapped but by a row that is allowed, and rows are never chained.""",
    examples="""
    hashlib-interop schemes
    hashlib-interop schemes uk/sc-2014
    hashlib-interop schemes crosswalk uk/sap-2002 uk/sc-2014
    hashlib-interop schemes crosswalk vics/UK uk/sc-2014 --crosswalk our-table.csv --json
    """,
)
@click.argument("words", nargs=-1, metavar="[NAME | crosswalk [FROM TO]]")
@crosswalk_option
@relations_option
@json_option
def command(
    words: tuple[str, ...], crosswalk: str | None, relations: tuple[str, ...] | None, as_json: bool
) -> None:
    if words[:1] == ("crosswalk",):
        if len(words) not in (1, 3):
            raise click.UsageError("give two schemes: crosswalk FROM TO")
        _crosswalk(words[1:], crosswalk, relations, as_json)
        return
    if len(words) > 1:
        raise click.UsageError("give one NAME, or: crosswalk FROM TO")
    if crosswalk or relations:
        raise click.UsageError("--crosswalk and --relations are for: schemes crosswalk")
    _schemes(words, as_json)


# Schemes ------------------------------------------------------------------------------------------------


def _schemes(words: tuple[str, ...], as_json: bool) -> None:
    from hashlib_interop.schemes import known_scheme, load_schemes, unknown_scheme

    if not words:
        found = load_schemes()
        emit([_described(name, found[name]) for name in found], lambda: _list(found), as_json)
        return
    (name,) = words
    scheme = known_scheme(name)
    if scheme is None:
        raise unknown_scheme(name)
    emit(_described(name, scheme), lambda: _detail(name, scheme), as_json)


def _described(name: str, scheme: Scheme) -> dict[str, Any]:
    from hashlib_interop.schemes import hazards_of

    hazards = [hazard.model_dump(mode="json") for hazard in hazards_of(name)]
    return {"name": name, **scheme.model_dump(mode="json"), "hazards": hazards}


def _list(found: dict[str, Scheme]) -> None:
    rows = [(name, s.status, s.kind, _codes(s), s.title) for name, s in found.items()]
    table(("scheme", "status", "kind", "codes", "title"), rows)


def _codes(scheme: Scheme, width: int = 24) -> str:
    """Return the codes of a scheme, or the first and how many there are."""
    listed = " ".join(scheme.codes)
    if len(listed) > width or " " in "".join(scheme.codes):
        listed = f"{next(iter(scheme.codes))} +{len(scheme.codes) - 1}"
    return listed + " ..." if scheme.open else listed or "-"


def _detail(name: str, scheme: Scheme) -> None:
    from hashlib_interop.schemes import hazards_of

    plain = scheme.model_dump(exclude={"codes", "open", "order", "statutes"})
    order = " > ".join(scheme.order) + " (inside this scheme only)" if scheme.order else "none is declared"
    fields({"scheme": shown(name), **plain, "order": order})
    if scheme.codes:
        heading("Codes" + (" (there are more)" if scheme.open else ""))
        table(("code", "name"), list(scheme.codes.items()))
    else:
        click.echo("\nNo codes are public.")
    if scheme.statutes:
        heading("Statutes, for evidence notes")
        for statute in scheme.statutes:
            click.echo(statute)
    if hazards := hazards_of(name):
        heading("Hazards")
        table(("symbol", "in", "says"), [(h.symbol, ", ".join(h.schemes), h.says) for h in hazards])


# Crosswalk ----------------------------------------------------------------------------------------------


def _crosswalk(
    pair: tuple[str, ...], own: str | None, relations: tuple[str, ...] | None, as_json: bool
) -> None:
    from hashlib_interop.crosswalk import load_crosswalk
    from hashlib_interop.policy import Policy

    policy = Policy.model_validate({"relations": relations or ("exactMatch",), "crosswalk": own})
    found = load_crosswalk(policy)
    for name in pair:
        _check_known(name, found)
    rows = found.between(*pair) if pair else list(found.rows)
    explained = [_explained(row, found, policy, pair) for row in rows]
    said = _said(pair, rows)
    value = {
        "from": pair[0] if pair else None,
        "to": pair[1] if pair else None,
        "relations": list(policy.relations),
        "crosswalk": [{"name": name, "sha256": sha256} for name, sha256 in found.files],
        "rows": explained,
        "said": [*said, *(f"note: {doubt}" for doubt in found.doubts)],
    }
    emit(value, lambda: _show(value, wide=not pair), as_json)


def _check_known(name: str, crosswalk: Crosswalk) -> None:
    from hashlib_interop.schemes import known_scheme, unknown_scheme

    named = {scheme for row in crosswalk.rows for scheme in (row.from_scheme, row.to_scheme)}
    if known_scheme(name) is None and name not in named:
        raise unknown_scheme(name)


def _explained(row: Row, crosswalk: Crosswalk, policy: Policy, pair: tuple[str, ...]) -> dict[str, Any]:
    scheme, target = pair or (row.from_scheme, row.to_scheme)
    why = row.refusal(policy)
    if why is None and scheme == target:
        why = "the scheme itself stays as it is"
    if why is None and crosswalk.deciding(scheme, row.from_code, target) is not row:
        why = "another row goes before it"
    return {**row.model_dump(mode="json"), "used": why is None, "why": why or f"{row.relation}, {row.status}"}


def _said(pair: tuple[str, ...], rows: list[Row]) -> list[str]:
    """Return in words what no row says."""
    if not pair:
        return []
    scheme, target = (shown(name, 100) for name in pair)
    if scheme == target:
        return [f"{scheme} is one scheme: what is in it stays as it is."]
    lost = "it is not mapped, and convert counts it as lost"
    if not rows:
        return [f"No row says how {scheme} relates to {target}: {lost}."]
    silent = _unspoken(pair[0], rows)
    return [f"No row speaks of {', '.join(silent)}: {lost}."] if silent else []


def _unspoken(scheme: str, rows: list[Row]) -> list[str]:
    from hashlib_interop.schemes import known_scheme

    known = known_scheme(scheme)
    spoken = {row.from_code for row in rows}
    return [code for code in known.codes if code not in spoken] if known and "*" not in spoken else []


def _show(value: dict[str, Any], wide: bool) -> None:
    if value["rows"]:
        table(_headers(wide), [_cells(row, wide) for row in value["rows"]])
        click.echo(f"\nallowed here: {', '.join(value['relations'])}, official or your own (--relations, --crosswalk)")
    for line in value["said"]:
        click.echo(line)
    show_files(value["crosswalk"])


def show_files(files: list[dict[str, str]], err: bool = False) -> None:
    """Show the files of a crosswalk, each with its SHA-256."""
    for file in files:
        click.echo(f"crosswalk: {shown(file['name'], 200)} sha256 {file['sha256']}", err=err)


def _headers(wide: bool) -> tuple[str, ...]:
    names = ("from", "to", "relation", "status", "used", "note", "source")
    return ("from scheme", "code", "to scheme", "code", *names[2:]) if wide else names


def _cells(row: dict[str, Any], wide: bool) -> list[str]:
    used = "yes" if row["used"] else f"no, {row['why']}"
    codes = ("from_scheme", "from_code", "to_scheme", "to_code") if wide else ("from_code", "to_code")
    source = " ".join(filter(None, (row["source"], row["source_date"])))
    source += f", reviewed by {row['reviewed_by']}" if row["reviewed_by"] else ""
    texts = [*(row[name] for name in codes), row["relation"], row["status"], used, row["note"], source]
    return [shown(text, WIDE) for text in texts]
