"""A folder of synthetic exports, with rows damaged on purpose, and the exact account of what was planted.

    NAME.<suffix>      each partner's list
    sources.toml       the sources, for `merge --sources`
    planted.json       what a merge of all lists must find

The same world and partners give the same bytes.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from hashlib_interop.algorithms import ALGORITHMS
from hashlib_interop.errors import BadOption
from hashlib_interop.files import CHUNK, Progress, private_folder, published
from hashlib_interop.format import Writing
from hashlib_interop.formats import FORMATS
from hashlib_interop.reading import checked_slug
from hashlib_interop.synth import (
    Partner,
    Plan,
    World,
    disputed,
    entries,
    file_numbers,
    made_bytes,
    picks,
    plans,
    pool_places,
)
from hashlib_interop.writing import write_stream

_MAPPINGS = {
    "columns.mapping.toml": """\
# Which column of the in-house list is which field. Synthetic.
title = "in-house list"
delimiter = ";"

[columns]
"Record" = { field = "ref" }
"Hash (MD5)" = { field = "md5", upper = true }
"Hash (SHA-256)" = { field = "sha256", upper = true }
"Kind" = { field = "media", values = { Photo = "image", Film = "video", Other = "other" } }
"Type" = { field = "mime_type" }
"Bytes" = { field = "size" }
"Grade" = { field = "classification", scheme = "ncmec/industry" }
"Graded on" = { field = "asserted_at", format = "%d.%m.%Y %H:%M:%S", zone = "Asia/Jakarta" }
""",
    "known.mapping.toml": """\
# A list of known, harmless files. Synthetic.
title = "known files"

[columns]
"MD5" = { field = "md5" }
"SHA-256" = { field = "sha256" }
"Bytes" = { field = "size" }

[constants]
classifications = [{ scheme = "nsrl", code = "present" }]
""",
}
"""The mappings for the format `columns`, by file name."""


def make(
    folder: Path, world: World, partners: Sequence[Partner], progress: Progress | None = None
) -> dict[str, Any]:
    """Write the folder and return the account that `planted.json` holds."""
    folder.mkdir(parents=True, exist_ok=True)
    made = plans(world, [_checked(partner, partners) for partner in partners])
    account = {"world": asdict(world), "partners": {}, **totals(made)}
    for plan in made:
        account["partners"][plan.partner.name] = _written(folder, plan, progress)
    _text(folder / "sources.toml", _sources(made))
    _text(folder / "planted.json", json.dumps(account, indent=2, sort_keys=True) + "\n")
    return account


def _checked(partner: Partner, partners: Sequence[Partner]) -> Partner:
    checked_slug(partner.name)
    if sum(each.name == partner.name for each in partners) > 1:
        raise BadOption(f"two partners are named {partner.name}")
    if FORMATS[partner.format].write is None:
        raise BadOption(f"{partner.format} can be read, not written")
    if partner.known and partner.format != "columns" and not FORMATS[partner.format].keeps_entries:
        raise BadOption(f"{partner.name}: {partner.format} has no place for the code of a known file")
    return partner


def file_name(partner: Partner) -> str:
    """Return the name of a partner's list in the folder; of `.vics.json` only `.json`."""
    bare = [suffix.removeprefix(f".{partner.format}") for suffix in FORMATS[partner.format].suffixes]
    return partner.name + next((suffix for suffix in bare if suffix), f".{partner.format}")


def _text(path: Path, text: str) -> None:
    with published(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


# What was planted ---------------------------------------------------------------------------------------


def totals(made: Sequence[Plan]) -> dict[str, Any]:
    """Return what the lists hold together, exactly, counting only rows that can be read.

    `files`: different files. `items`: of these, files that somebody asserts now, stamps from the future
    left out. `shared`: files that two or more lists have. `conflicts`: files with more than one current code
    of a scheme, files that a list took back and another asserts, files in a known-file list and another,
    and records of a list that contradict an earlier one of the same number.
    """
    size = max((plan.pool for plan in made), default=1)
    listed, spoken, gone, known = (np.zeros(size, np.int64) for _ in range(4))
    for plan in made:
        places = pool_places(plan, np.arange(plan.shared, dtype=np.int64))
        back = _pooled(plan, plan.duplicates + plan.within, plan.retractions)
        listed[places] += 1
        (known if plan.partner.known else spoken)[places] += 1
        spoken[back] -= 1
        gone[back] += 1
    asserted = spoken + known
    return {
        "files": int((listed > 0).sum()) + sum(plan.base - plan.shared - plan.broken for plan in made),
        "items": int((asserted > 0).sum()) + sum(_own_items(plan) for plan in made),
        "shared": int((listed > 1).sum()),
        "conflicts": {
            "classification": _contradicted(made, size) + sum(_own_within(plan) for plan in made),
            "state": int(((gone > 0) & (asserted > 0)).sum()),
            "known-file": int(((known > 0) & (spoken > 0)).sum()),
            "self": sum(plan.within for plan in made if plan.partner.style.refs != "member"),
        },
    }


def _pooled(plan: Plan, first: int, count: int) -> npt.NDArray[np.int64]:
    """Return the places in the pool of picked rows; those of own files have none."""
    base = picks(plan, first, count)
    return pool_places(plan, base[base < plan.shared])


def _own_within(plan: Plan) -> int:
    return int((picks(plan, plan.duplicates, plan.within) >= plan.shared).sum())


def _own_items(plan: Plan) -> int:
    back = picks(plan, plan.duplicates + plan.within, plan.retractions) >= plan.shared
    return plan.calm - plan.shared - int(back.sum())


def _contradicted(made: Sequence[Plan], size: int) -> int:
    """Count the files of the pool that have more than one current code of a scheme, scheme by scheme."""
    bits: dict[str, npt.NDArray[np.int64]] = {}
    for plan in made:
        if plan.partner.known or "classifications" not in plan.fields:
            continue
        said = bits.setdefault(plan.partner.style.scheme, np.zeros(size, np.int64))
        _say(plan, said)
    return sum(int(((said & (said - 1)) != 0).sum()) for said in bits.values())


def _say(plan: Plan, said: npt.NDArray[np.int64]) -> None:
    codes = len(plan.partner.style.codes)
    base = np.arange(plan.shared, dtype=np.int64)
    places = pool_places(plan, base)
    shift = np.zeros(len(said), np.int64)
    shift[places] = np.where(disputed(plan.world, file_numbers(plan, base)), plan.side, 0) % codes
    back = np.zeros(len(said), bool)
    back[_pooled(plan, plan.duplicates + plan.within, plan.retractions)] = True
    stands = places[~back[places]]
    said[stands] |= 1 << shift[stands]
    other = _pooled(plan, plan.duplicates, plan.within)
    said[other] |= 1 << ((shift[other] + 1) % codes)


# Lists --------------------------------------------------------------------------------------------------


def _written(folder: Path, plan: Plan, progress: Progress | None) -> dict[str, Any]:
    """Write one partner's list, damage what is to be broken, and return its part of the account."""
    path = folder / file_name(plan.partner)
    format = FORMATS[plan.partner.format]
    writing = Writing(str(path), _options(folder, plan))
    with published(path) as temporary:
        with temporary.open("r+b") as stream:
            done = write_stream(_told(plan, progress), cast(BinaryIO, stream), format, writing)
        broken = damage(temporary, plan) if plan.broken else []
    return {
        "file": path.name,
        "format": format.name,
        "known": plan.partner.known,
        "rows": done.written,
        "readable": done.written - plan.broken,
        "files": plan.base - plan.broken,
        "current_files": plan.base - plan.broken - plan.retractions,
        "duplicates": plan.duplicates,
        "contradictions": plan.within,
        "retractions": plan.retractions,
        "future": plan.future,
        "broken": broken,
        "not_written": done.given - done.written,
    }


def _told(plan: Plan, progress: Progress | None) -> Any:
    done = 0
    for batch in entries(plan):
        yield batch
        done += batch.num_rows
        if progress:
            progress(plan.partner.name, done, plan.rows)


def options_of(partner: Partner) -> dict[str, str]:
    """Return what the format needs to be told; a mapping is a file beside `sources.toml`."""
    if partner.format == "columns":
        return {"mapping": "known.mapping.toml" if partner.known else "columns.mapping.toml"}
    return {"profile": "US"} if partner.format == "vics" else {}


def _options(folder: Path, plan: Plan) -> dict[str, str]:
    options = options_of(plan.partner)
    if "mapping" in options:
        _text(folder / options["mapping"], _MAPPINGS[options["mapping"]])
        options["mapping"] = str(folder / options["mapping"])
    return options


def _sources(made: Sequence[Plan]) -> str:
    blocks = ["# Synthetic. For: hashlib-interop merge --sources sources.toml\n"]
    for plan in made:
        partner = plan.partner
        table = json.dumps(partner.name) if "." in partner.name else partner.name
        lines = [f"[{table}]", f'format = "{partner.format}"']
        lines.append(f'delivery = "{FORMATS[partner.format].delivery}"')
        options = ", ".join(f'{name} = "{value}"' for name, value in options_of(partner).items())
        lines += [f"options = {{ {options} }}"] if options else []
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


# Damage -------------------------------------------------------------------------------------------------


def damage(path: Path, plan: Plan) -> list[dict[str, str]]:
    """Spoil one digest each of the broken rows in the text: a `z` for a digit, or a digit too few, in turn.

    `BadOption` where the format is no text or writes digests otherwise than in hex.
    """
    base = np.arange(plan.base - plan.broken, plan.base, dtype=np.int64)
    spoils = []
    with private_folder(path.parent) as folder:
        copy = folder / "damaged"
        copy.touch(0o600)
        with path.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for turn, texts in enumerate(_texts(plan, base)):
                place, text = _found(data, texts, plan)
                spoils.append((place, text, text[:-1] + "z" if turn % 2 == 0 else text[:-1]))
            _copied(data, sorted(spoils), copy)
        copy.replace(path)
    return [{"found": text, "planted": spoiled} for _, text, spoiled in spoils]


def _texts(plan: Plan, base: npt.NDArray[np.int64]) -> list[list[str]]:
    """Return for each row its digests in hex, both ways of writing them."""
    numbers = file_numbers(plan, base)
    rows: list[list[str]] = [[] for _ in base]
    for name in plan.partner.style.digests:
        for row, value in zip(
            rows, made_bytes(numbers, ALGORITHMS[name].width, plan.world.seed, name), strict=True
        ):
            row += [value.tobytes().hex(), value.tobytes().hex().upper()]
    return rows


def _found(data: mmap.mmap, texts: list[str], plan: Plan) -> tuple[int, str]:
    for text in texts:
        place = data.find(text.encode())
        if place >= 0:
            return place, text
    raise BadOption(f"{plan.partner.format}: rows cannot be broken in this format")


def _copied(data: mmap.mmap, spoils: list[tuple[int, str, str]], target: Path) -> None:
    with target.open("r+b") as out:
        at = 0
        for place, text, spoiled in [*spoils, (len(data), "", "")]:
            while at < place:
                at += out.write(data[at : min(at + CHUNK, place)])
            out.write(spoiled.encode())
            at = place + len(text)
