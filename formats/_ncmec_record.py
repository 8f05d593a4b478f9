"""What an NCMEC entry looks like in XML, once for the reader, the writer and what is carried.

Source: docs/ncmec.md. Elements stand in the order of the public fixtures.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

from hashlib_interop.errors import shown
from hashlib_interop.format import Reading
from hashlib_interop.model import Json
from hashlib_interop.xml_scanner import Layout
from hashlib_interop.xml_trees import attributes_xml, escaped, tree_xml

NAME = "ncmec"
NAMESPACE = "https://hashsharing.ncmec.org/hashsharing/v2"
FAMILY = "https://hashsharing.ncmec.org/hashsharing/"
SCHEME = "ncmec/industry"
DIGEST_PATHS = {"md5": "fingerprints/md5", "sha1": "fingerprints/sha1", "sha256": "fingerprints/sha256"}
"""sha256 is read should it ever come; NCMEC has no place for it, so it is not written."""

_OTHER_ROOTS = {
    "feedbacksubmission": "feedback to be sent: which entry it is about stands only in the address it goes to",
    "submissionresult": "the answer to a submission",
}


def check_root(name: str, namespace: str, reading: Reading) -> None:
    """Refuse all but a `queryResult` of version 2 (or of no namespace), and say what the file is instead."""
    if name != "queryResult":
        known = _OTHER_ROOTS.get(name.lower())
        what = f"this is {known}" if known else "not a list of entries"
        raise reading.malformed(f"the root element is <{shown(name)}>: {what}")
    check_namespace(name, namespace, reading)


def check_namespace(name: str, namespace: str, reading: Reading) -> None:
    """Refuse a document of another version of the API, or of another namespace; that of none is taken."""
    if namespace.startswith(FAMILY) and namespace != NAMESPACE:
        version = shown(namespace[len(FAMILY) :])
        raise reading.malformed(f"version {version} of the Hash Sharing API: this reader knows v2 only")
    if namespace not in ("", NAMESPACE):
        raise reading.malformed(f"namespace {shown(namespace)}: expected {NAMESPACE}")


LAYOUT = Layout(
    records=("images/image", "images/deletedImage", "videos/video", "videos/deletedVideo"),
    columns=(
        "member@id",
        "member",
        "timestamp",
        "id",
        "classification",
        "fingerprints/md5",
        "fingerprints/sha1",
        "fingerprints/sha256",
        "fingerprints/pdna",
        "fingerprints/pdq",
        "fingerprints/netclean",
        "feedback/",
        "feedback@lastUpdateTimestamp",
    ),
    notes=(
        "images@count",
        "images@maxTimestamp",
        "videos@count",
        "videos@maxTimestamp",
        "paging/next",
    ),
    check_root=check_root,
)


def stamp_text(stamp: datetime) -> str:
    """Return a UTC stamp as NCMEC writes it; milliseconds only where there are some."""
    precision = "milliseconds" if stamp.microsecond else "seconds"
    return stamp.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def record_name(row: Json) -> str:
    """Return `image`, `video`, `deletedImage` or `deletedVideo`."""
    media: str = row["media"]
    return media if row["state"] == "active" else f"deleted{media.capitalize()}"


def own_extra(row: Json) -> Json:
    """Return what the reader of this format had put aside."""
    own: Json = json.loads(row["extra"])[NAME] if row["extra"] else {}
    return own


def record_xml(row: Json, feedback: str = "") -> str:
    """Return a row of `ENTRY_SCHEMA` as an element, `feedback` being what stands in that element.

    `ValueError`, `TypeError`, `KeyError` or `AttributeError` where `extra` is not what a reader puts there.
    """
    rest = own_extra(row)
    attributes, elements = rest.get("attributes", {}), rest.get("elements", {})

    def strangers(path: str) -> str:
        return "".join(tree_xml(tree) for tree in elements.get(path, []))

    def leaf(path: str, text: str | None, first: str = "") -> str:
        name, spare = path.rpartition("/")[2], attributes_xml(attributes.get(path, {}))
        present = text is not None or spare or first
        return f"<{name}{first}{spare}>{escaped(text or '')}</{name}>" if present else ""

    def holder(name: str, inner: str, first: str = "") -> str:
        spare = attributes_xml(attributes.get(name, {}))
        return f"<{name}{first}{spare}>{inner}</{name}>" if inner or spare else ""

    member, _, entry = row["ref"].partition("/")
    inner = leaf("member", row["contributor"], f' id="{member}"')
    inner += leaf("timestamp", stamp_text(row["asserted_at"])) + leaf("id", entry)
    inner += leaf("classification", _classification(row))
    prints = "".join(leaf(path, text) for path, text in _fingerprints(row).items())
    inner += holder("fingerprints", prints + strangers("fingerprints")) + strangers("")
    inner += holder("feedback", feedback + strangers("feedback"), _last_update(row))
    name = record_name(row)
    return f"<{name}{attributes_xml(attributes.get('', {}))}>{inner}</{name}>"


def _last_update(row: Json) -> str:
    last = row.get("feedback_updated")
    return f' lastUpdateTimestamp="{stamp_text(last)}"' if last else ""


def _classification(row: Json) -> str | None:
    codes = row["classifications"]
    return codes[0]["code"] if codes else None


def _fingerprints(row: Json) -> dict[str, str | None]:
    prints: dict[str, Any] = {item["kind"]: item["value"] for item in row["fingerprints"] or []}
    md5, sha1, photodna, pdq = row["md5"], row["sha1"], prints.get("photodna"), prints.get("pdq")
    netclean = prints.get("netclean")
    return {
        "fingerprints/md5": md5.hex() if md5 else None,
        "fingerprints/sha1": sha1.hex() if sha1 else None,
        "fingerprints/sha256": None,
        "fingerprints/pdna": base64.b64encode(photodna).decode() if photodna else None,
        "fingerprints/pdq": pdq.hex() if pdq else None,
        "fingerprints/netclean": netclean.decode() if netclean else None,
    }
