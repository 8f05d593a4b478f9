"""How a VICS file is written: a hash set (`#Media`) or one case (`#Cases`), of any version and profile.

IPED wants the context first, then `value`, and nothing else at the top level (docs/vics.md).
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import BinaryIO

import pyarrow as pa

from hashlib_interop.formats._vics_carrying import media_files_of
from hashlib_interop.formats._vics_record import (
    ALGORITHM_KEYS,
    FLAG_KEYS,
    KNOWN_FILE,
    OWNER,
    Dialect,
    printed_hashes,
)
from hashlib_interop.model import Json


def write_media(batches: Iterable[pa.RecordBatch], stream: BinaryIO, dialect: Dialect) -> None:
    """Write one record a line; MediaID counts from 1. Never a Miniature."""
    stream.write(_head(dialect).encode())
    if dialect.kind == "Cases":
        _write_case(batches, stream, dialect)
    else:
        stream.writelines(_lines(batches, dialect))
        stream.write(b"\n]}\n")


def _write_case(batches: Iterable[pa.RecordBatch], stream: BinaryIO, dialect: Dialect) -> None:
    """Write everything as one case. Its id is made of its Media, and stands after them as VicsCarver has it."""
    hashing = hashlib.sha256()
    stream.write(b'{"Media":[\n')
    for text in _lines(batches, dialect):
        hashing.update(text)
        stream.write(text)
    case = uuid.uuid5(uuid.NAMESPACE_OID, hashing.hexdigest())
    stream.write(f'\n],"CaseID":"{case}","SourceApplicationName":"hashlib_interop"}}\n]}}\n'.encode())


def _lines(batches: Iterable[pa.RecordBatch], dialect: Dialect) -> Iterator[bytes]:
    """Yield the records of each batch as text, parted by commas."""
    number = 0
    for batch in batches:
        lines = []
        for row in batch.to_pylist():
            number += 1
            record = {"MediaID": number} | media_of(row, dialect)
            lines.append(",\n" * (number > 1) + json.dumps(record, separators=(",", ":"), ensure_ascii=False))
        yield "".join(lines).encode()


def _head(dialect: Dialect) -> str:
    if dialect.version != "2.0":
        url = f"http://github.com/ICMEC/ProjectVic/DataModels/{dialect.version}.xml#{dialect.kind}"
        return f'{{"odata.metadata":"{url}","value":[\n'
    base = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml"
    url = f"{base}/{dialect.profile or 'Default'}/$metadata#{dialect.kind}"
    return f'{{"@odata.context":"{url}","value":[\n'


def media_of(row: Json, dialect: Dialect) -> Json:
    """Return a row of `ENTRY_SCHEMA`, projected to what is carried, as a Media without its MediaID."""
    extra = json.loads(row["extra"]).get(OWNER, {}) if row["extra"] else {}
    top, others = printed_hashes(row, dialect)
    record: Json = {"Category": _category(row, dialect)}
    record |= {
        key: row[name].hex().upper()
        for key, name in ALGORITHM_KEYS.items()
        if row[name] and key in ("MD5", "SHA1")
    }
    record |= top | {
        "MediaSize": row["size"] if dialect.version == "2.0" or row["size"] is None else str(row["size"]),
        "MimeType": row["mime_type"],
        "DateUpdated": _stamp(row["asserted_at"]),
        **{key: row[name] for key, name in FLAG_KEYS.items()},
        "Series": row["series"],
        "Tags": ",".join(row["tags"]) if row["tags"] else None,
        "AlternativeHashes": others + extra.pop("AlternativeHashes", []) or None,
        "MediaFiles": media_files_of(row, extra.pop("MediaFiles", [])) or None,
    }
    return {key: value for key, value in record.items() if value is not None} | dict(sorted(extra.items()))


def _stamp(value: datetime | None) -> str | None:
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z") if value else None


def _category(row: Json, dialect: Dialect) -> int | None:
    for item in row["classifications"] or ():
        if item["scheme"] == KNOWN_FILE[0]:
            return dialect.known_file_category
        return int(dialect.backwards.get((item["scheme"], item["code"]), item["code"]))
    return None
