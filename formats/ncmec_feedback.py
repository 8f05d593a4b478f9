"""Our votes as feedback to NCMEC's Hash Sharing API v2: one `feedbackSubmission` a fingerprint of an entry.

Source: docs/ncmec_feedback.md. The document says only up or down and why; which entry and fingerprint
it is about stands in the address that it is put to. So this list of requests is ours, the bodies are NCMEC's:

    {"ncmec_feedback":1,"requests":[
    {"path":"/v2/entries/42/e1/MD5/feedback","body":"<feedbackSubmission …><affirmative/></feedbackSubmission>"}
    ]}

Each is sent as `PUT {base}{path}` with the header `Content-Type: application/xml; charset=utf-8`. Nothing is
sent here. Votes that another member is known to have cast are never ours to send.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import BinaryIO
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from hashlib_interop.errors import BadOption, shown
from hashlib_interop.format import Carry, Format, Option, Writing, whole
from hashlib_interop.formats._ncmec_record import NAME as NCMEC
from hashlib_interop.formats._ncmec_record import NAMESPACE
from hashlib_interop.kernels import Mask
from hashlib_interop.model import Json, canonical_json

NAME = "ncmec_feedback"
FINGERPRINTS = (
    "MD5", "SHA1", "PDNA", "PDQ", "NETCLEAN", "VIDENTIFIER", "TMK_PDQF", "SSVH_PDNA", "SSVH_SAFER_HASH", "TMK_SAFER_HASH",
)  # fmt: skip
"""As they stand in addresses; of the last two, sources name one or the other."""

_ENTRY = re.compile(r"[0-9]{1,18}/(?!\.{1,2}\Z).+", re.ASCII | re.DOTALL)
"""`.` and `..` are no part of an address: clients take them out of it, with the part before."""
_GUID = re.compile("[0-9A-Za-z-]{1,64}", re.ASCII)
_FOLDED = {name.replace("_", ""): name for name in FINGERPRINTS}

# What is carried -----------------------------------------------------------------------------------------


def _own(text: str | None) -> Json:
    found = json.loads(text).get(NCMEC) if text else None
    return found if isinstance(found, dict) else {}


def _fingerprint(given: object) -> str | None:
    """Return the name of a fingerprint in an address: `MD5` for `Md5`, `TMK_PDQF` for `tmk-pdqf`."""
    return _FOLDED.get(re.sub("[-_]", "", given).upper()) if isinstance(given, str) else None


def _guid(given: object) -> str | None:
    return given if isinstance(given, str) and _GUID.fullmatch(given) else None


def _kept(text: str | None, vote: str | None) -> str | None:
    """Return the part of `extra` that is sent: the fingerprint, and the reason of a vote against."""
    own = _own(text)
    kept = {"type": own["type"]} if _fingerprint(own.get("type")) else {}
    kept |= {"guid": own["guid"]} if vote == "down" and _guid(own.get("guid")) else {}
    return canonical_json({NCMEC: kept}) if kept else None


def _extra(batch: pa.RecordBatch, writing: Writing) -> pa.Array:
    rows = zip(batch.column("extra").to_pylist(), batch.column("vote").to_pylist(), strict=True)
    return pa.array([_kept(text, vote) for text, vote in rows], pa.string())


CARRIES: dict[str, Carry] = {"about": whole("about"), "vote": whole("vote"), "extra": _extra}


def _option(writing: Writing, name: str, good: Iterable[str] | re.Pattern[str]) -> str | None:
    given = writing.options.get(name)
    if given is None:
        return None
    if not (good.fullmatch(str(given)) if isinstance(good, re.Pattern) else str(given) in good):
        raise BadOption(f"{name} cannot be {shown(given)}", file=writing.name)
    return str(given)


def _defaults(writing: Writing) -> tuple[str | None, str | None, str | None]:
    """Return the options: the fingerprint and the reason of votes that do not say, and whose votes are ours."""
    member = _option(writing, "member_id", re.compile("[0-9]{1,18}", re.ASCII))
    return _option(writing, "fingerprint", FINGERPRINTS), _option(writing, "reason", _GUID), member


def refuses(batch: pa.RecordBatch, writing: Writing) -> list[tuple[str, Mask]]:
    """Return the rows that are no votes of ours, by reason."""
    fingerprint, guid, member = _defaults(writing)
    reasons: dict[str, Mask] = {}
    for index, row in enumerate(batch.select(["about", "vote", "extra"]).to_pylist()):
        reason = _reason(row, _own(row["extra"]), fingerprint, guid, member)
        if reason is None and row["about"]["source"] != _list_of(row, writing):
            reason = "a vote on another list than the first: ids are unique in one only, --option source=… says which"
        if reason:
            reasons.setdefault(reason, np.zeros(batch.num_rows, bool))[index] = True
    return list(reasons.items())


def _list_of(row: Json, writing: Writing) -> str:
    """Return the list whose votes are written: that of the option `source`, else that of the first vote."""
    given = writing.options.get("source")
    return str(given or writing.memory.setdefault("ncmec_feedback list", row["about"]["source"]))


def _reason(row: Json, own: Json, fingerprint: str | None, guid: str | None, member: str | None) -> str | None:
    if not row["vote"] or not row["about"]:
        return "no vote: only votes are feedback"
    if own.get("voter") not in (None, member):
        return "a vote of another member: ours are those of --option member_id=…, or of nobody"
    if not _ENTRY.fullmatch(row["about"]["ref"]):
        return "a vote on what is no entry of NCMEC"
    if not (_fingerprint(own.get("type")) or fingerprint):
        return "a vote on no fingerprint in particular: give one with --option fingerprint=MD5"
    if row["vote"] == "down" and not (_guid(own.get("guid")) or guid):
        return "a vote against without a reason: give the guid of one with --option reason=…"
    return None


# Writer --------------------------------------------------------------------------------------------------


def write(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    """Write the requests in the order of the votes; reasons that follow each other on one fingerprint are one."""
    votes = (row for batch in batches for row in batch.to_pylist())
    stream.write(b'{"ncmec_feedback":1,"requests":[')
    for number, ((path, vote), group) in enumerate(groupby(_asked(votes, writing), lambda item: item[:2])):
        guids = sorted({guid for _, _, guid in group if guid})
        request = canonical_json({"path": path, "body": _body(vote, guids)})
        stream.write(f"{',' if number else ''}\n{request}".encode())
    stream.write(b"\n]}\n")


def _asked(votes: Iterable[Json], writing: Writing) -> Iterator[tuple[str, str, str | None]]:
    """Yield the path, the vote and the guid of the reason of each vote."""
    fingerprint, reason, _ = _defaults(writing)
    for row in votes:
        own = _own(row["extra"])
        member, _, entry = row["about"]["ref"].partition("/")
        kind = _fingerprint(own.get("type")) or fingerprint
        path = f"/v2/entries/{member}/{quote(entry, safe='')}/{kind}/feedback"
        yield path, row["vote"], (_guid(own.get("guid")) or reason) if row["vote"] == "down" else None


def _body(vote: str, guids: list[str]) -> str:
    reasons = "".join(f"<guid>{guid}</guid>" for guid in guids)
    inner = "<affirmative/>" if vote == "up" else f"<negative><reasonIds>{reasons}</reasonIds></negative>"
    return f'<feedbackSubmission xmlns="{NAMESPACE}">{inner}</feedbackSubmission>'


# Sniff ---------------------------------------------------------------------------------------------------


def sniff(head: bytes) -> int:
    """Claim what has our key first: nobody else writes it."""
    return 95 if re.match(rb'\s*\{\s*"ncmec_feedback"\s*:', head) else 0


FORMAT = Format(
    name=NAME,
    title="Feedback to NCMEC Hash Sharing: feedbackSubmission requests (JSON of XML)",
    spec="facebook/ThreatExchange, hash_api.py: submit_feedback",
    sniff=sniff,
    write=write,
    carries=CARRIES,
    needs_digest=False,
    refuses=refuses,
    delivery="delta",
    suffixes=(".ncmec-feedback.json",),
    options=(
        Option("fingerprint", f"writer: the one of votes that name none, of {', '.join(FINGERPRINTS)}"),
        Option("member_id", "writer: our member; votes of others are not sent, those of nobody are ours"),
        Option("reason", "writer: the guid of the reason of votes against that give none"),
        Option("source", "writer: the list whose entries are voted on (default: that of the first vote)"),
    ),
)
