"""A synthetic VICS 2.0 hash set of records of about 560 bytes. Every hash is made from a seed."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
from typing import Any

CONTEXT = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Media"


def record(number: int, dice: random.Random) -> dict[str, Any]:
    """Return one flat Media record, as distributed sets have them."""
    seed = f"synthetic-{number}".encode()
    return {
        "MediaID": number,
        "Category": dice.choice((0, 1, 2, 3, 4)),
        "MD5": hashlib.md5(seed).hexdigest().upper(),
        "SHA1": hashlib.sha1(seed).hexdigest().upper(),
        "PhotoDNA": base64.b64encode(dice.randbytes(144)).decode(),
        "MediaSize": dice.randrange(1 << 24),
        "MimeType": dice.choice(("image/jpeg", "video/mp4")),
        "DateUpdated": f"2024-{dice.randrange(12) + 1:02}-{dice.randrange(28) + 1:02}T10:00:00.0000Z",
        "VictimIdentified": dice.choice(("true", "false")),
        "OffenderIdentified": "false",
        "IsDistributed": "true",
        "Series": f"SYNTHETIC-{dice.randrange(500)}",
        "IsPrecategorized": "true",
        "Tags": dice.choice(("synthetic,sample", "synthetic", "sample,second")),
    }


def make(path: str | os.PathLike[str], count: int, seed: int) -> None:
    """Write a hash set of `count` records, the same bytes for the same seed."""
    dice = random.Random(seed)
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        out.write(f'{{"@odata.context":"{CONTEXT}","value":[')
        for number in range(1, count + 1):
            out.write("," * (number > 1))
            out.write(json.dumps(record(number, dice), separators=(",", ":")))
        out.write("]}")
