"""`formats`: what can be read and written, and the column mappings that come with the library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hashlib_interop.cli import shared
from hashlib_interop.cli.shared import emit, fields, heading, json_option, table

if TYPE_CHECKING:
    from hashlib_interop.format import Format

MAPPED = "columns"


@shared.command(
    """List the formats and the shipped column mappings, or show one in detail.

    What a format carries of an entry survives a conversion to it; everything else is counted as a loss. The
    name of a mapping prints its file, to be copied and changed.""",
    examples="""
    hashlib-interop formats
    hashlib-interop formats vics
    hashlib-interop formats vics --json
    hashlib-interop formats iwf-example > our-iwf.toml
    """,
)
@click.argument("name", required=False)
@json_option
def command(name: str | None, as_json: bool) -> None:
    from hashlib_interop.formats import FORMATS
    from hashlib_interop.formats._mapping import shipped, shipped_text

    if name is None:
        found = [FORMATS[each] for each in FORMATS]
        emit([_described(each) for each in found], lambda: _list(found), as_json)
    elif name in shipped():
        text = shipped_text(name).decode()
        emit({**_mapping(name), "text": text}, lambda: click.echo(text, nl=False), as_json)
    else:
        emit(_described(FORMATS[name]), lambda: _detail(FORMATS[name]), as_json)


def _described(format: Format) -> dict[str, Any]:
    return {
        "name": format.name,
        "title": format.title,
        "reads": format.read is not None,
        "writes": format.write is not None,
        "carries": carried(format),
        "needs": list(format.needs),
        "delivery": format.delivery,
        "suffixes": list(format.suffixes),
        "spec": format.spec,
        "options": {option.name: option.help for option in format.options},
        **({"mappings": _mappings()} if format.name == MAPPED else {}),
    }


def _mappings() -> list[dict[str, Any]]:
    """Return the shipped mappings; an example has invented column names, because the real ones are not public."""
    from hashlib_interop.formats._mapping import shipped

    return [_mapping(name) for name in shipped()]


def _mapping(name: str) -> dict[str, Any]:
    from hashlib_interop.formats._mapping import load_mapping

    mapping = load_mapping(name)[0]
    return {"name": name, "title": mapping.title, "source": mapping.source, "example": mapping.example}


def carried(format: Format) -> list[str]:
    """Return the fields that a format carries, in the order of the schema; of all fields, `everything`."""
    from hashlib_interop.model import ENTRY_SCHEMA, IDENTITY_FIELDS

    if set(IDENTITY_FIELDS.names) <= set(format.carries):
        return ["everything"]
    return [name for name in ENTRY_SCHEMA.names if name in format.carries]


def _list(formats: list[Format]) -> None:
    rows = [(f.name, _ways(f), _short(carried(f)), f.title) for f in formats]
    table(("name", "ways", "carries", "title"), rows)
    _list_mappings()


def _list_mappings() -> None:
    heading("Read and written by --from columns and --to columns, with --option mapping=NAME")
    rows = [(each["name"], "adapt it first" if each["example"] else "", each["title"]) for each in _mappings()]
    table(("mapping", "note", "title"), rows)


def _ways(format: Format) -> str:
    return " ".join(word for word, way in (("read", format.read), ("write", format.write)) if way)


def _short(names: list[str], width: int = 28) -> str:
    """Return the first names that fit, and how many more there are."""
    kept = list(names)
    while len(", ".join(kept)) > width:
        kept.pop()
    more = len(names) - len(kept)
    return ", ".join(kept) + (f" +{more}" if more else "")


def _detail(format: Format) -> None:
    fields(
        {
            "name": format.name,
            "title": format.title,
            "ways": _ways(format),
            "spec": format.spec,
            "delivery": format.delivery,
            "suffixes": " ".join(format.suffixes),
            "needs": ", ".join(format.needs),
            "carries": ", ".join(carried(format)),
        }
    )
    if format.options:
        heading("Options (--option NAME=VALUE)")
        table(("name", "meaning"), [(option.name, option.help) for option in format.options])
    if format.name == MAPPED:
        _list_mappings()
