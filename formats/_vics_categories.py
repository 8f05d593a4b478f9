"""What an agency says that the categories of its profile mean: data that it brings, never ours.

    category,scheme,code
    1,uk/sc-2014,A

A number that the table leaves out keeps the scheme of the profile. Two numbers may not mean the same, for
then nothing would say which of them to write.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
from pathlib import Path

from hashlib_interop.errors import BadPolicy, shown
from hashlib_interop.formats._vics_record import KNOWN_FILE

COLUMNS = ["category", "scheme", "code"]

Table = dict[str, tuple[str, str]]
"""(scheme, code) by number, the number as text."""


def load_table(path: str) -> tuple[Table, str]:
    """Return the table in a file, and `name SHA-256` of it. `BadPolicy` names the line that is wrong."""
    try:
        data = Path(path).read_bytes()
        table = _table(data.decode("utf-8-sig"), path)
    except OSError as error:
        raise BadPolicy((error.strerror or "cannot be read").lower(), file=path) from error
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise BadPolicy(f"not a CSV file in UTF-8: {shown(error, 150)}", file=path) from None
    return table, f"{os.path.basename(path)} {hashlib.sha256(data).hexdigest()}"


def _table(text: str, path: str) -> Table:
    lines = csv.reader(text.splitlines(), strict=True)
    if next(lines, None) != COLUMNS:
        raise BadPolicy(f"the first line must be {','.join(COLUMNS)}", file=path)
    table: Table = {}
    for line in lines:
        fault = _fault(line, table)
        if fault:
            raise BadPolicy(fault, file=path, position=f"line {lines.line_num}")
        table[line[0]] = (line[1], line[2])
    if not table:
        raise BadPolicy("the table is empty", file=path)
    return table


def _fault(line: list[str], table: Table) -> str | None:
    """Return what is wrong with a line, None for nothing."""
    if len(line) != len(COLUMNS) or not all(line):
        return f"a number, a scheme and a code are wanted: {shown(line)}"
    number, scheme, code = line
    if not re.fullmatch("0|[1-9][0-9]{0,8}", number, re.ASCII):
        return f"not a number of a category: {shown(number)}"
    if number in table or (scheme, code) in table.values():
        return f"the number or the code is there twice: {shown(number)}"
    if scheme.startswith("vics/") or scheme == KNOWN_FILE[0]:
        return f"a category cannot become one of {shown(scheme)}"
    return None
