"""Digests one a line: `algorithm hash`, `algorithm:hash`, or the hash alone when the user says the algorithm.

There is no specification. 32 hex characters are MD5, NTLM, MD4 or ed2k (docs/plain.md): a bare
hash without the option `algorithm` is refused, never guessed from its length. Lines that begin with `#`
and empty lines are skipped and counted. A line is an entry, so of an entry one digest is written: the
strongest, or that of the option.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashlib_interop.algorithms import ALGORITHMS, algorithm_named
from hashlib_interop.columns import decode_hex, encode_hex, lengths_of, mask_of, rows_without
from hashlib_interop.delimited import Dialect, Rows, read_rows, write_rows
from hashlib_interop.errors import BadDigest, BadPolicy
from hashlib_interop.format import Carry, Columns, Format, Option, Reading, Writing
from hashlib_interop.kernels import Mask

NAME = "plain"
LINES = Dialect(delimiter="\x1f", quote=None)
_LINE = r"^[ \t]*(?:(?P<algorithm>[A-Za-z][A-Za-z0-9_-]*)(?:[ \t]*:[ \t]*|[ \t]+))?(?P<hash>[^ \t:]+)[ \t]*$"
_WIDTHS = {2 * a.width for a in ALGORITHMS.values()}


# Reader --------------------------------------------------------------------------------------------------


def read(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    """Yield a row a line. Raises `MalformedInput` at a bare hash where no `algorithm` is given."""
    given = _given(reading.options.get("algorithm"))
    for rows in read_rows(stream, reading, LINES, ["line"])[1]:
        columns = _entries(rows, given, reading)
        if len(columns["position"]):
            yield columns


def _given(spelling: object) -> str | None:
    try:
        return algorithm_named(str(spelling)).name if spelling else None
    except BadDigest as error:
        raise BadPolicy(f"option algorithm: {error.message}") from None


def _entries(rows: Rows, given: str | None, reading: Reading) -> Columns:
    lines = rows.columns[0]
    comment = mask_of(pc.match_substring_regex(lines, r"^[ \t]*(#|$)"))
    reading.drop("comment", int(comment.sum()))
    parts = pc.extract_regex(lines, _LINE)
    names, texts = (pc.struct_field(parts, name).fill_null("") for name in ("algorithm", "hash"))
    found = _algorithms(names, given)
    bare = np.flatnonzero((lengths_of(names) == 0) & mask_of(parts.is_valid()) & ~comment)
    if given is None and len(bare):
        line = int(rows.lines[bare[0]])
        raise reading.malformed("a hash without its algorithm: say which, --option algorithm=md5", line)
    columns, bad = {"position": pa.array(rows.lines)}, ~comment
    for name in ALGORITHMS:
        mine = mask_of(pc.equal(found, name))
        if mine.any():
            columns[name], wrong = decode_hex(pc.if_else(pa.array(mine), texts, ""), ALGORITHMS[name].width)
            bad &= ~mine | wrong
    _reject(rows, found, np.flatnonzero(bad), reading)
    return rows_without(columns, bad | comment)


def _algorithms(names: pa.StringArray, given: str | None) -> pa.StringArray:
    """Return the algorithm of each line, null where its name is unknown."""
    coded = names.dictionary_encode()
    known = [given if not name else _known(name) for name in coded.dictionary.to_pylist()]
    return pa.array(known, pa.string()).take(coded.indices)


def _known(name: str) -> str | None:
    try:
        return algorithm_named(name).name
    except BadDigest:
        return None


def _reject(rows: Rows, found: pa.StringArray, bad: Iterable[int], reading: Reading) -> None:
    for row in bad:
        name, line = found[int(row)].as_py(), rows.columns[0][int(row)].as_py()
        digits = 2 * ALGORITHMS[name].width if name else 0
        reason = (
            f"not {digits} hex characters ({name})" if name else "not `algorithm hash` of a known algorithm"
        )
        reading.reject(int(rows.lines[row]), reason, field=name, value=line, raw=rows.raw(int(row)))


# Writer --------------------------------------------------------------------------------------------------


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write `algorithm hash`, lower case, LF at line ends."""
    for batch in batches:
        texts = pa.nulls(batch.num_rows, pa.string())
        for name in ALGORITHMS:
            hashes = encode_hex(batch.column(name))
            texts = pc.coalesce(texts, pc.binary_join_element_wise(pa.scalar(name), hashes, pa.scalar(" ")))
        write_rows(stream, [texts], LINES)


def _only(name: str) -> Carry:
    """Carry a digest where it is the one that is written."""

    def carry(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
        mine = _writes(batch, writing)[name]
        return pc.if_else(pa.array(mine), batch.column(name), pa.scalar(None, batch.column(name).type))

    return carry


def _writes(batch: pa.RecordBatch, writing: Writing) -> dict[str, Mask]:
    """Return by algorithm the rows of which this digest is written."""
    given = _given(writing.options.get("algorithm"))
    left, chosen = np.ones(batch.num_rows, bool), {}
    for name in ALGORITHMS:
        held = (
            mask_of(batch.column(name).is_valid())
            if given in (None, name)
            else np.zeros(batch.num_rows, bool)
        )
        chosen[name] = held & left
        left = left & ~held
    return chosen


def _refuses(batch: pa.RecordBatch, writing: Writing) -> list[tuple[str, Mask]]:
    given = _given(writing.options.get("algorithm"))
    written = np.logical_or.reduce(list(_writes(batch, writing).values()))
    return [(f"no {given or 'digest'}", ~written)]


# Sniff ---------------------------------------------------------------------------------------------------


def sniff(head: bytes) -> int:
    """Claim a text of hashes only: 60 with their algorithms, 40 bare and of one length."""
    lines = head.replace(b"\r", b"\n").split(b"\n")
    if len(lines) > 1 and len(head) >= 1 << 16:
        lines.pop()
    texts = pa.array(
        [text.decode("latin-1") for line in lines if (text := line.strip()) and text[:1] != b"#"], pa.string()
    )
    parts = pc.extract_regex(texts, _LINE)
    if not len(texts) or parts.null_count:
        return 0
    names, hashes = pc.struct_field(parts, "algorithm"), pc.struct_field(parts, "hash")
    distinct = set(pc.unique(names).to_pylist())
    lengths = set(lengths_of(hashes).tolist())
    if not lengths <= _WIDTHS or not mask_of(pc.match_substring_regex(hashes, "^[0-9A-Fa-f]+$")).all():
        return 0
    if distinct == {""}:
        return 40 if len(lengths) == 1 else 0
    return 60 if all(_known(name) for name in distinct) else 0


FORMAT = Format(
    name=NAME,
    title="plain digests, one a line",
    spec="none; `algorithm hash`, as described in docs/plain.md",
    sniff=sniff,
    read=read,
    write=write,
    carries={name: _only(name) for name in ALGORITHMS},
    refuses=_refuses,
    needs_digest=False,
    unit="line",
    suffixes=(".txt",),
    options=(Option("algorithm", "reader: of hashes that stand alone; writer: the only one to write"),),
)
