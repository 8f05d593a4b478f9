"""Documents of the CyberTipline Reporting API: `fileDetails` (one, or several in our wrapper), `report`, answers.

Source: docs/cybertipline.md. What is not named here is skipped while it is read and counted:
persons, contacts, addresses, chat, names and places of files, free text never reach a tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from hashlib_interop.errors import shown
from hashlib_interop.format import Reading
from hashlib_interop.formats._cybertipline_record import (
    FLAGS,
    RELEVANCE,
    File,
    Refused,
    boolean,
    is_code,
    is_stamp,
    is_token,
    report_number,
)
from hashlib_interop.model import Json
from hashlib_interop.xml_documents import Attributes, Picked, trees
from hashlib_interop.xml_trees import Tree

WRAPPER = "fileDetailsList"
ROOTS = ("fileDetails", WRAPPER, "report", "reportResponse", "reportDoneResponse")
INCIDENTS = (
    "Child Pornography (possession, manufacture, and distribution)", "Child Sex Trafficking", "Child Sex Tourism",
    "Child Sexual Molestation", "Misleading Domain Name", "Misleading Words or Digital Images on the Internet",
    "Online Enticement of Children for Sexual Acts", "Unsolicited Obscene Material Sent to a Child",
)  # fmt: skip

_TEXTS = ("reportId", "fileId", "uploadedToEspTimestamp", *FLAGS, "fileRelevance", "potentialMeme", "industryClassification")
_KEPT = {f"fileDetails/{name}" for name in (*_TEXTS, "fileAnnotations", "originalFileHash", "details")} | {
    "fileDetails", "fileDetails/details/nameValuePair", "fileDetails/details/nameValuePair/name",
    "fileDetails/details/nameValuePair/value", "report", "report/incidentSummary",
    "report/incidentSummary/incidentType", "report/incidentSummary/incidentDateTime",
    "report/incidentSummary/reportAnnotations", "reportDoneResponse", "reportResponse",
    *(f"reportResponse/{name}" for name in ("responseCode", "reportId", "fileId", "hash")),
}  # fmt: skip
_ATTRIBUTES = {"originalFileHash": ("hashType",), "details": ("type",)}
_SCHEMA = "http://www.w3.org/2001/XMLSchema-instance "
_HOLD_FLAGS = ("fileDetails/fileAnnotations", "report/incidentSummary/reportAnnotations")
_DROPPED = {
    "fileName", "originalFileName", "locationOfFile", "ipCaptureEvent", "deviceId", "additionalInfo",
    "batchedReport", "platform", "escalateToHighPriority", "incidentDateTimeDescription", "internetDetails",
    "lawEnforcement", "reporter", "personOrUserReported", "intendedRecipient", "victim", "responseDescription",
    "files", "reportId", "responseCode",
}  # fmt: skip


def _keeps(path: str, attributes: Attributes) -> bool:
    if path == "fileDetails/details":
        return attributes.get("type") == "HASH"
    return path in _KEPT or path.rpartition("/")[0] in _HOLD_FLAGS


def _label(path: str) -> str:
    """Return the words for what is not read; a name that we do not know is not repeated."""
    if path == "fileDetails/details":
        return "details that are no hashes"
    name = path.rpartition("/")[2]
    return name if name in _DROPPED else "unknown element"


def _check_root(name: str, namespace: str, reading: Reading) -> None:
    if name not in ROOTS or namespace:
        raise reading.malformed(f"the root element is <{shown(name)}>: no document of the CyberTipline Reporting API")


PICKED = Picked(_keeps, _label, _check_root, WRAPPER)


# Rows ----------------------------------------------------------------------------------------------------


def rows_of_documents(stream: BinaryIO, reading: Reading) -> Iterator[Json]:
    """Yield the files of a document as rows; a `report` has none, and gives facts."""
    for position, tree in enumerate(trees(stream, reading, PICKED), 1):
        reading.drop("unknown attribute", sum(_unknown_attributes(tree)))
        try:
            row = _row(tree, position, reading)
        except Refused as refused:
            reading.reject(position, refused.reason, field=refused.field)
            continue
        if row:
            yield row


def _row(tree: Tree, position: int, reading: Reading) -> Json | None:
    if tree.name == "report":
        _note_report(tree, reading)
        return None
    if tree.name == "reportDoneResponse":
        raise reading.malformed("this is the answer to the end of a report: it has the ids of files, no hashes")
    file = File(position, reading)
    if tree.name == "reportResponse":
        return _answer(tree, file, reading)
    return _details(tree, file)


def _answer(tree: Tree, file: File, reading: Reading) -> Json | None:
    """The answer to an upload: its hash is the MD5 of the bytes that were received."""
    held = _singles(tree)
    if held.get("responseCode") != "0" or "hash" not in held:
        raise reading.malformed("this is the answer to a call that uploaded nothing: it has no hash")
    file.add_hash("md5", held["hash"], "hash")
    return file.row(_ref(held))


def _details(tree: Tree, file: File) -> Json | None:
    held = _singles(tree, but=("originalFileHash", "details", "fileAnnotations"))
    ref = _ref(held)
    for child in tree.elements:
        if child.name == "originalFileHash":
            file.add_hash(child.attributes.get("hashType", ""), _text(child), child.name)
        elif child.name == "details":
            _add_pairs(child, file)
        elif child.name == "fileAnnotations":
            _add_annotations(child, file)
    _add_singles(held, file)
    return file.row(ref)


def _add_pairs(details: Tree, file: File) -> None:
    for pair in _inner(details):
        held = _singles(pair)
        file.add_hash(held.get("name", "").strip(), held.get("value", ""), "details")


def _add_annotations(tree: Tree, file: File) -> None:
    for each in _inner(tree):
        file.add_annotation(each.name, boolean("fileAnnotations", _text(each)))


def _add_singles(held: dict[str, str], file: File) -> None:
    if "potentialMeme" in held:
        file.add_annotation("potentialMeme", boolean("potentialMeme", held["potentialMeme"]))
    if "industryClassification" in held:
        file.add_code(held["industryClassification"])
    file.more |= {name: boolean(name, held[name]) for name in FLAGS if name in held}
    for name, is_good in (("fileRelevance", RELEVANCE.__contains__), ("uploadedToEspTimestamp", is_stamp)):
        if name in held:
            if not is_good(held[name]):
                raise Refused(name, "is not what the schema allows")
            file.more[name] = held[name]


def _ref(held: dict[str, str]) -> str:
    file = held.get("fileId", "")
    if not is_token(file):
        raise Refused("fileId", "is no id of a file")
    return f"{report_number(held.get('reportId'))}/{file}"


def _unknown_attributes(tree: Tree) -> Iterator[int]:
    """Yield how many attributes of each element are not known; the namespaces of a schema are."""
    known = _ATTRIBUTES.get(tree.name, ())
    yield sum(name not in known and not name.startswith(_SCHEMA) for name in tree.attributes)
    for each in tree.elements:
        yield from _unknown_attributes(each)


# Trees ---------------------------------------------------------------------------------------------------


def _inner(tree: Tree) -> list[Tree]:
    if tree.text.strip():
        raise Refused(tree.name, "has text between its elements")
    return tree.elements


def _text(tree: Tree) -> str:
    """Return the text of a leaf with its outer white space cut, as the types of the schema have it."""
    if tree.elements:
        raise Refused(tree.name, "holds an element")
    return tree.text.strip(" \t\r\n")


def _singles(tree: Tree, but: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the texts of the elements that may stand once."""
    held: dict[str, str] = {}
    for child in _inner(tree):
        if child.name in but:
            continue
        if child.name in held:
            raise Refused(child.name, "appears twice")
        held[child.name] = _text(child)
    return held


def _note_report(tree: Tree, reading: Reading) -> None:
    """Note of a report what is neither a person's nor free text. It speaks of no file."""
    for summary in _inner(tree):
        annotations = [each for each in _inner(summary) if each.name == "reportAnnotations"]
        held = _singles(summary, but=("reportAnnotations",))
        if held.get("incidentType") in INCIDENTS:
            reading.fact("incident type", held["incidentType"])
        else:
            reading.drop("incidentType that the schema does not have", "incidentType" in held)
        if is_stamp(held.get("incidentDateTime")):
            reading.fact("incident time", held["incidentDateTime"])
        else:
            reading.drop("incident time that is no stamp", "incidentDateTime" in held)
        said = [each.name for tree_ in annotations for each in _inner(tree_) if _text(each) in ("true", "1")]
        if said:
            reading.fact("report annotations", ", ".join(sorted(name for name in said if is_code(name))))
