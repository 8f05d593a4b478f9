"""Hasher-Matcher-Actioner 2.0: the content of a bank, with its signals. One object, or an array of them.

Source: docs/hma.md (facebook/ThreatExchange, hasher-matcher-actioner, `GET
/c/bank/NAME/content/ID?include_signals=true`).

    {"id": 1, "disable_until_ts": 1, "original_media_uri": null, "bank": {"name": "B", "matching_enabled_ratio": 1.0},
     "signals": {"pdq": "…"}, "metadata": {"content_id": "…", "content_uri": null, "json": {}, "collab": {}}, "note": null}

Where a content is to be found (`original_media_uri`, `metadata.content_uri`) is dropped. Written is an array: HMA has no
call that takes or gives a list, so each element is one content of its own.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import pyarrow as pa

from hashlib_interop.columns import columns_of_rows
from hashlib_interop.format import Columns, Format, Option, Reading, Writing
from hashlib_interop.formats._json_pages import (
    BadRecord,
    Options,
    Page,
    RecordForm,
    carries,
    chained,
    document,
    own_extra,
    put_aside,
    refuses,
    row_read,
    taken,
    write_page,
)
from hashlib_interop.formats._signals import Signal, held, signal_row, text_of
from hashlib_interop.model import Json

NAME = "hma"
SIGNALS = (
    Signal("video_sha256", "sha256", "video", only=("video",)),
    Signal("video_md5", "md5", "video", only=("video",)),
    Signal("pdq", "pdq"),
)
PLACES = ("original_media_uri", "content_uri")
NO_HASH = ("raw_text", "url", "trend_query")
ENABLED = 1
"""Of `disable_until_ts`: 0 is disabled for good, any other a time (storage/interface.py, `BankContentConfig`)."""
_ID = re.compile("0|[1-9][0-9]{0,17}", re.ASCII)

# Reader --------------------------------------------------------------------------------------------------


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield contents; position = record."""
    head = stream.read(1 << 16)
    whole = chained(io.BytesIO(head), stream)
    if head.lstrip().startswith(b"["):
        yield from Page(whole, reading, FORM)
        return
    content = document(whole, reading, FORM)
    if "signals" not in content and "disable_until_ts" not in content:
        raise reading.malformed(f"this is {_other(content)}; wanted: {FORM.wanted}")
    reading.frame = ("[", "]")
    row = row_read(content, 1, reading, FORM)
    if row:
        yield columns_of_rows([row])


def _other(content: Json) -> str:
    lists = [value for value in content.values() if isinstance(value, list)]
    is_lookup = lists and len(lists) == len(content)
    return "the answer to a lookup, which names contents but has no hashes" if is_lookup else "no content of a bank"


def clean(record: Json, options: Options) -> Counter[str]:
    """Take out where the content is, and free text unless it is asked for."""
    dropped: Counter[str] = Counter()
    _drop_places(record, dropped)
    if options.get("free_text") != "yes" and record.pop("note", None) is not None:
        dropped["note (free text)"] += 1
    signals = record.get("signals")
    if isinstance(signals, dict):
        dropped += Counter(f"{name} (no hash)" for name in NO_HASH if signals.pop(name, None) is not None)
    return +dropped


def _drop_places(value: Any, dropped: Counter[str]) -> None:
    """Take out where the content is, at any depth: `metadata.json` is what a user of HMA has put there."""
    if isinstance(value, dict):
        for key in [key for key in value if key.casefold() in PLACES]:
            dropped[key.casefold()] += value.pop(key) is not None
        value = list(value.values())
    for part in value if isinstance(value, list) else ():
        _drop_places(part, dropped)


def row_of(record: Json, options: Options) -> Json:
    """Return the row that a content says: its digests and fingerprints are those of one file."""
    rest = dict(record)
    row: Json = {}
    for name, text in _signals(rest).items():  # in order of names, so that the last ref is the strongest
        found = signal_row(SIGNALS, (), name, text, f"signals.{name}")
        row |= found or {}
        if found is None:
            rest.setdefault("signals", {})[name] = text
    number = taken(rest, "id", int, "a whole number")
    if number is not None and not _ID.fullmatch(str(number)):
        raise BadRecord("must be a number of up to 18 digits", "id", number)
    if number is not None:
        row["ref"] = str(number)
    elif "ref" not in row:
        raise BadRecord("has neither an id nor a signal that is known", "signals")
    if type(rest.get("disable_until_ts")) is int and rest["disable_until_ts"] == ENABLED:
        del rest["disable_until_ts"]
    return row | {"extra": put_aside(NAME, rest)}


def _signals(rest: Json) -> dict[str, str]:
    signals = taken(rest, "signals", dict, "an object")
    if not signals:
        raise BadRecord("has no hashes: ask for the content with include_signals=true", "signals")
    for name, text in signals.items():
        if not (isinstance(text, str) and text):
            raise BadRecord("must be a text", f"signals.{name}", text)
    return dict(sorted(signals.items()))


# Writer --------------------------------------------------------------------------------------------------


def record_of(row: Json, options: Options) -> Json:
    """Return a row as a content; `BadRecord` where it has no signal."""
    own = own_extra(row, NAME)
    kept = own.get("signals")
    signals: dict[str, Any] = dict(sorted(kept.items())) if isinstance(kept, dict) else {}
    for signal in SIGNALS:
        value = held(row, signal.field)
        if value is not None and row["media"] in signal.only:
            signals[signal.name] = text_of(signal.field, value)
    if not signals:
        raise BadRecord("no hash")
    number = {"id": int(row["ref"])} if _ID.fullmatch(row["ref"]) else {}
    rest = {key: value for key, value in sorted(own.items()) if key not in ("id", "signals", "disable_until_ts")}
    return number | {"disable_until_ts": own.get("disable_until_ts", ENABLED), "signals": signals} | rest


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write an array of contents."""
    write_page(batches, stream, writing, FORM)


FORM = RecordForm(
    name=NAME,
    array=None,
    wanted="the content of a bank, or an array of them",
    clean=clean,
    row_of=row_of,
    record_of=record_of,
    telling=("disable_until_ts",),
    fields=("ref", "md5", "sha256", "fingerprints", "media", "extra"),
)

# Sniff ---------------------------------------------------------------------------------------------------

_START = re.compile(rb"\s*(?:\[\s*)?\{")
_SIGNALS = re.compile(rb'"signals"\s*:\s*\{')


def sniff(head: bytes) -> int:
    """Claim an object, or an array of objects, with `disable_until_ts` and an object `signals`."""
    return 90 if _START.match(head) and _SIGNALS.search(head) and b'"disable_until_ts"' in head else 0


FORMAT = Format(
    name=NAME,
    title="Hasher-Matcher-Actioner 2.0 bank content",
    spec="facebook/ThreatExchange hasher-matcher-actioner",
    sniff=sniff,
    read=read,
    write=write,
    carries=carries(FORM),
    needs_digest=False,
    refuses=refuses(FORM),
    delivery="delta",
    suffixes=(".hma.json",),
    options=(Option("free_text", "yes: keep notes"),),
)
