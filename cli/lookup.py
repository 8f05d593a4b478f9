"""`lookup`: which digests of a text are in a set."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from hashlib_interop.cli import shared
from hashlib_interop.cli.info import show_rejects
from hashlib_interop.cli.shared import counted, number, say
from hashlib_interop.errors import BadOption, shown

if TYPE_CHECKING:
    import pyarrow as pa

    from hashlib_interop.membership.lookup import Lookup
    from hashlib_interop.report import Reject

FORMS = ("text", "csv", "jsonl")


@shared.command(
    """Look up the digests of a text in a hash set or a filter.

    FILE, or standard input, has one digest a line: bare, or as md5sum, sha1sum, hashdeep or openssl write them; or
    it is delimited text, and --column names the columns that hold digests. Shown of each line: its number, the
    digest, who lists it, as what, and the rest of the line, with tabs between. What was counted goes to standard
    error.""",
    examples="""
    hashlib-interop lookup all.hset manifest.md5
    md5deep -r evidence | hashlib-interop lookup all.hset
    hashlib-interop lookup all.hset inventory.csv --column MD5 --as csv > hits.csv
    hashlib-interop lookup all.hset image.md5 --fail-on hits > /dev/null; [ $? -eq 1 ] && echo found
    """,
    strict="there are --fail-on hits or misses, or a line held no digest",
)
@click.argument("hash_set", metavar="SET")
@click.argument("file", default="-")
@click.option(
    "--column", "columns", multiple=True, metavar="NAME", help="A column of a CSV. May be repeated."
)
@click.option(
    "--show",
    type=click.Choice(["hits", "misses", "all"]),
    default="hits",
    show_default=True,
    help="Lines to show.",
)
@click.option(
    "--as", "form", type=click.Choice(FORMS), default="text", show_default=True, help="How to show them."
)
@click.option(
    "--spreadsheet-safe", is_flag=True, help="In a CSV, put ' before texts that a spreadsheet would run."
)
@click.option("--fail-on", type=click.Choice(["hits", "misses"]), help="Exit with 1 if there are any.")
@click.option(
    "--threads", type=click.IntRange(1, 256), default=1, show_default=True, metavar="N", help="Threads."
)
@shared.max_rejects_option
@shared.rejects_option
@shared.strict_option
def command(
    hash_set: str,
    file: str,
    columns: tuple[str, ...],
    show: Any,
    form: str,
    spreadsheet_safe: bool,
    fail_on: str | None,
    threads: int,
    max_rejects: int | None,
    rejects: str | None,
    strict: bool,
) -> int:
    from hashlib_interop.membership.digest_sources import kind_of
    from hashlib_interop.membership.lookup import Lookup, open_set
    from hashlib_interop.tally import RejectTally

    if spreadsheet_safe and form != "csv":
        raise BadOption("--spreadsheet-safe goes with --as csv")
    write = functools.partial(_write_csv, safe=True) if spreadsheet_safe else _WRITERS[form]
    tally = RejectTally()
    if file != "-" and kind_of(file) in ("hset", "hfilter") and kind_of(hash_set) not in ("hset", "hfilter"):
        raise BadOption(f"{shown(file, 200)} is the set, and comes first: lookup SET FILE")
    with open_set(hash_set) as opened, shared.json_lines(rejects, file, hash_set) as refused:
        sinks = [sink for sink in (tally.add, refused) if sink]

        def refuse(line: Reject) -> None:
            for sink in sinks:
                sink(line)

        lookup = Lookup(opened, show, columns, threads, refuse, max_rejects)
        write(lookup.file(file), sys.stdout.buffer)
    _say_counts(lookup)
    show_rejects(tally, err=True)
    if strict and lookup.bad:
        say(f"--strict: {counted(lookup.bad, 'line')} without a digest")
        return 1
    return int(bool(fail_on and getattr(lookup, fail_on)))


def _say_counts(lookup: Lookup) -> None:
    kind = "may be in the filter" if lookup.opened.is_filter else "in the set"
    counts = [f"{number(lookup.hits)} {kind}", f"{number(lookup.misses)} not"]
    counts += [f"{number(count)} skipped ({shown(what)})" for what, count in lookup.skipped.items()]
    counts += [f"{number(lookup.bad)} without a digest"] if lookup.bad else []
    say(f"{counted(lookup.hits + lookup.misses, 'line')} looked up: {', '.join(counts)}")
    for name, count in lookup.unanswerable.items():
        held = ", ".join(lookup.opened.algorithms) or "nothing"
        say(f"note: {counted(count, 'line')} with {name} cannot be found: the set holds {held}")


# Forms ---------------------------------------------------------------------------------------------------


def _write_text(batches: Iterable[pa.RecordBatch], out: BinaryIO) -> None:
    """Lines of five fields with tabs between; control characters are escaped."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for batch in batches:
        line, name, digest, _, _, sources, classes, texts = batch.columns
        joined = [pc.binary_join(column, ",").fill_null("") for column in (sources, classes)]
        named = pc.binary_join_element_wise(name, digest, ":")
        cells = [line.cast(pa.string()), named, *(_escaped(column) for column in (*joined, texts))]
        lines = pc.binary_join_element_wise(*cells, "\t")
        ended = pc.binary_join_element_wise(lines, "", "\n")
        _write_all(ended, out)


def _write_all(texts: Any, out: BinaryIO) -> None:
    """Write a column of texts, one after another."""
    import pyarrow as pa
    import pyarrow.compute as pc

    out.write(pc.binary_join(pa.ListArray.from_arrays([0, len(texts)], texts), "")[0].as_buffer())
    out.flush()


def _escaped(texts: Any) -> Any:
    """Escape what a terminal might act on; few texts hold any of it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = pc.match_substring_regex(texts, "^[ -~]*$")
    if pc.all(plain).as_py() is not False:
        return texts
    return pa.array([shared.printable(text) for text in texts.to_pylist()], pa.string())


def _write_csv(batches: Iterable[pa.RecordBatch], out: BinaryIO, safe: bool = False) -> None:
    """A header, and the fields of `lookup.RESULT`; sources and classifications with `;` between them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from hashlib_interop.delimited import Dialect, spreadsheet_safe, write_rows
    from hashlib_interop.membership.lookup import RESULT

    out.write((",".join(RESULT.names) + "\n").encode())
    for batch in batches:
        columns = []
        for column in batch.columns:
            is_list = pa.types.is_list(column.type)
            columns.append(pc.binary_join(column, ";") if is_list else column.cast(pa.string()))
        columns[-1] = pc.replace_substring(columns[-1], "\0", "\\x00")
        columns[-3:] = map(spreadsheet_safe, columns[-3:]) if safe else columns[-3:]
        write_rows(out, columns, Dialect())
        out.flush()


def _write_jsonl(batches: Iterable[pa.RecordBatch], out: BinaryIO) -> None:
    """An object a line, pure ASCII; what the set does not say is left out."""
    import pyarrow.compute as pc

    for batch in batches:
        fields: list[pa.StringArray] = []
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            named = f'{", " if fields else "{"}"{name}": '
            fields.append(pc.binary_join_element_wise(named, _as_json(column), "").fill_null(""))
        _write_all(pc.binary_join_element_wise(*fields, "}\n", ""), out)


def _as_json(column: Any) -> Any:
    """Return values as JSON texts, null where null; of texts, only those that need escapes are looked at one by one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_list(column.type):
        lists = pa.ListArray.from_arrays(column.offsets, _as_json(column.values), mask=column.is_null())
        return pc.binary_join_element_wise("[", pc.binary_join(lists, ", "), "]", "")
    if not pa.types.is_string(column.type):
        return column.cast(pa.string())
    plain = pc.match_substring_regex(column, r"^[ !#-\[\]-~]*$")
    if pc.all(plain).as_py() is not False:
        return pc.binary_join_element_wise('"', column, '"', "")
    texts = (text if text is None else json.dumps(text).replace("\x7f", "\\u007f") for text in column.to_pylist())
    return pa.array(texts, pa.string())


_WRITERS: dict[str, Callable[[Iterable[Any], BinaryIO], None]] = {
    "text": _write_text,
    "csv": _write_csv,
    "jsonl": _write_jsonl,
}
