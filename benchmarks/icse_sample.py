"""Make a synthetic ICSE CSV of about 600 bytes a row: `python benchmarks/icse_sample.py PATH COUNT [SEED]`."""

from __future__ import annotations

import base64
import os
import random
import sys

HEADER = (
    "MD5;SHA1;ZZ40;PhotoDNA;Lace;Image ID;Is distributed;Victim identified;Offender identified;Series name;"
    "Investigation name;Agency;Number of submissions;File Available;Media Type;Baseline\n"
)


def make(path: str | os.PathLike[str], count: int, seed: int = 1) -> None:
    """Write `count` rows of random digests; the same arguments give the same bytes."""
    rng = random.Random(seed)
    with open(path, "w", encoding="utf-8", newline="") as out:
        out.write(HEADER)
        out.writelines(_row(rng, number) for number in range(count))


def _row(rng: random.Random, number: int) -> str:
    digests = (rng.randbytes(16).hex(), rng.randbytes(20).hex(), rng.randbytes(16).hex().upper())
    photodna = rng.randbytes(144).hex().upper() if rng.random() < 0.95 else ""
    lace = base64.b64encode(rng.randbytes(129)).decode()
    flags = (rng.choice("YN"), rng.choice("YN"), rng.choice("YN"))
    series = f"SYNTHETIC-{rng.randrange(5000)}" if rng.random() < 0.3 else ""
    rest = (
        series,
        "",
        f"AGENCY-{rng.randrange(60)}",
        str(rng.randrange(1, 40)),
        rng.choice(("True", "False")),
    )
    kind = (rng.choice(("Image", "Image", "Video")), rng.choice(("Yes", "No")))
    return ";".join((*digests, photodna, lace, str(1_000_000 + number), *flags, *rest, *kind)) + "\n"


if __name__ == "__main__":
    make(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
