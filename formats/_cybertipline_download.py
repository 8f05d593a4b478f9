"""What law enforcement downloads of a CyberTip: JSON without a public schema, so all of this is INFERRED.

Source: docs/cybertipline.md, from two independent programs that read such files. Any key may be
null or missing. Only what is named here is looked at; names of files, persons, captures (IP addresses),
free text and metadata that is no hash are counted by their key and dropped.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any, BinaryIO

from hashlib_interop.algorithms import ALGORITHMS, algorithm_named
from hashlib_interop.errors import BadDigest
from hashlib_interop.format import Reading
from hashlib_interop.formats._cybertipline_record import File, Refused, is_stamp, is_token, report_number
from hashlib_interop.formats._cybertipline_reporting import INCIDENTS
from hashlib_interop.model import Json
from hashlib_interop.strict_json import is_crowded, strict_json

MOST = 64 << 20
"""Bytes of one download."""
MARKS = 4 << 20
"""Brackets and commas of one download."""
_SHORT = 200
_BY_LENGTH = {2 * ALGORITHMS[name].width: name for name in ("md5", "sha1", "sha256")}
_READ = {
    "reportId", "dateReceived", "reportedInformation", "reportingEsp", "espName", "incidentSummary",
    "incidentType", "incidentDateTime", "uploadedFiles", "submittalId", "verificationHash", "viewedByEsp",
    "industryClassification", "ncmecTags", "espMetadata",
}  # fmt: skip
_DROPPED = {
    "lastName", "incidentDateTimeDescription", "reportedPeople", "intendedRecipients", "filename", "originalFilename",
    "sourceInformation", "additionalInformations", "incidentDetails",
}  # fmt: skip


def rows_of_download(stream: BinaryIO, reading: Reading) -> Iterator[Json]:
    """Yield the uploaded files of a download as rows. `MalformedInput` where it has not the shape."""
    whole = _loaded(stream, reading)
    reported = whole.get("reportedInformation")
    if not isinstance(reported, dict):
        raise reading.malformed("no download of a CyberTip: there is no object reportedInformation")
    try:
        report = report_number(whole.get("reportId"))
        esp = _note(whole, reported, reading)
        uploaded = _dict(reported, "uploadedFiles")
        _drop(uploaded, reading)
        files = _list(uploaded, "uploadedFiles")
    except Refused as refused:
        raise reading.malformed(f"{refused.field} {refused.reason}") from None
    for position, value in enumerate(files, 1):
        try:
            row = _row(value, position, report, esp, reading)
        except Refused as refused:
            reading.reject(position, refused.reason, field=refused.field)
            continue
        if row:
            yield row


def _loaded(stream: BinaryIO, reading: Reading) -> Json:
    """Return the object that the file is. What is wrong is said by place, without a word of the file."""
    data = stream.read(MOST + 1)
    while len(data) <= MOST and (more := stream.read(MOST + 1 - len(data))):
        data += more
    if len(data) > MOST:
        raise reading.malformed(f"a download of more than {MOST:,} bytes")
    if is_crowded(data, MARKS):
        raise reading.malformed(f"a download of more than {MARKS:,} brackets and commas")
    try:
        value = strict_json(data)
    except json.JSONDecodeError as error:
        raise reading.malformed(f"not JSON: line {error.lineno}, column {error.colno}") from None
    except ValueError:
        raise reading.malformed("not JSON: a key twice, a number out of range, broken text, or too deep") from None
    if not isinstance(value, dict):
        raise reading.malformed("no download of a CyberTip: the JSON is no object")
    return value


def _note(whole: Json, reported: Json, reading: Reading) -> str | None:
    """Note the facts of a report, count what is dropped, and return the name of the provider."""
    esp, summary = _dict(reported, "reportingEsp"), _dict(reported, "incidentSummary")
    for part in (whole, reported, esp, summary):
        _drop(part, reading)
    reading.fact("schema", "law-enforcement download, inferred: NCMEC publishes none")
    times = {"date received": whole.get("dateReceived"), "incident time": summary.get("incidentDateTime")}
    for what, value in times.items():
        if is_stamp(value):
            reading.fact(what, value)
        else:
            reading.drop(f"{what} that is no stamp", value is not None)
    if summary.get("incidentType") in INCIDENTS:
        reading.fact("incident type", summary["incidentType"])
    else:
        reading.drop("incidentType that the schema does not have", summary.get("incidentType") is not None)
    return _short(esp.get("espName"), "espName", reading)


def _short(text: Any, what: str, reading: Reading) -> str | None:
    """Return a short text; what else there is, is counted."""
    if isinstance(text, str) and len(text) <= _SHORT:
        return text or None
    reading.drop(f"{what} that is no short text", text is not None)
    return None


def _row(value: Any, position: int, report: str, esp: str | None, reading: Reading) -> Json | None:
    value = _object(value)
    file = File(position, reading)
    _drop(value, reading)
    _add_metadata(value, file)
    _add_verification(value.get("verificationHash"), file)
    if value.get("industryClassification") is not None:
        file.add_code(value["industryClassification"])
    viewed = value.get("viewedByEsp")
    if isinstance(viewed, bool):
        file.more["fileViewedByEsp"] = viewed
    reading.drop("viewedByEsp that is no boolean", not isinstance(viewed, bool | None))
    own = value.get("submittalId")
    if own is not None and not (isinstance(own, str) and is_token(own)):
        raise Refused("submittalId", "is no id of a file")
    return file.row(f"{report}/{own or file.strongest()}", contributor=esp, tags=_tags(value, reading))


def _add_verification(text: Any, file: File) -> None:
    """Take the hash of the file. Its algorithm is inferred from its length, and marked so."""
    if text is None or text == "":
        return
    name = _BY_LENGTH.get(len(text)) if isinstance(text, str) else None
    if name is None:
        raise Refused("verificationHash", "is not 32, 40 or 64 hex digits")
    file.add_hash(name, text, "verificationHash")
    file.more["inferred"] = [name]
    file.reading.fact("verificationHash", "algorithm inferred from the length")


def _add_metadata(value: Json, file: File) -> None:
    """Take the hashes among the metadata of the provider: pairs whose name is that of a digest algorithm."""
    metadata = _dict(value, "espMetadata")
    _drop(metadata, file.reading, {"metadatas"})
    for pair in _list(metadata, "metadatas"):
        _drop(pair if isinstance(pair, dict) else {}, file.reading, {"name", "value"})
        name, text = (pair.get("name"), pair.get("value")) if isinstance(pair, dict) else (None, None)
        if isinstance(name, str) and isinstance(text, str) and _is_algorithm(name):
            file.add_hash(name, text, "espMetadata")
        else:
            file.reading.drop("espMetadata that is no hash")


def _is_algorithm(name: str) -> bool:
    try:
        return bool(algorithm_named(name))
    except BadDigest:
        return False


def _tags(value: Json, reading: Reading) -> list[str]:
    held = _dict(value, "ncmecTags")
    groups = [_object(group) for group in _list(held, "groups")]
    tags = [_object(tag) for group in groups for tag in _list(group, "tags")]
    for level, known in (([held], "groups"), (groups, "tags"), (tags, "value")):
        for one in level:
            _drop(one, reading, {known})
    texts = [_short(tag.get("value"), "ncmecTags", reading) for tag in tags]
    return [text for text in texts if text]


# The tree ------------------------------------------------------------------------------------------------


def _object(value: Any) -> Json:
    """Return what has to be an object of a list."""
    if not isinstance(value, dict):
        raise Refused("uploadedFiles", "holds what is no object")
    return value


def _dict(value: Json, name: str) -> Json:
    """Return an object in another, empty where it is null or missing."""
    found = value.get(name)
    if not isinstance(found, dict | None):
        raise Refused(name, "is no object")
    return found or {}


def _list(value: Json, name: str) -> list[Any]:
    found = value.get(name)
    if not isinstance(found, list | None):
        raise Refused(name, "is no list")
    return found or []


def _drop(value: Json, reading: Reading, read: Collection[str] = _READ) -> None:
    """Count what is not looked at, unless it is empty; a key that we do not know is not repeated."""
    for name, held in value.items():
        empty = held in (None, "", [], {}) or (isinstance(held, dict) and not any(held.values()))
        if name not in read and not empty:
            reading.drop(name if name in _DROPPED else "unknown key")
