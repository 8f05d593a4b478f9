"""A synthetic NCMEC page of any size for the benchmarks: entries of about 450 bytes, every value made from a seed."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_IN = "    "
_ROOT = "https://hashsharing.ncmec.org/hashsharing/v2"


def _hex(algorithm: str, seed: int, number: int) -> str:
    return hashlib.new(algorithm, f"synthetic-{seed}-{number}".encode()).hexdigest()


def _photodna(seed: int, number: int) -> str:
    return base64.b64encode(hashlib.shake_128(f"synthetic-{seed}-{number}".encode()).digest(144)).decode()


def _stamp(number: int) -> str:
    minutes, seconds = divmod(number, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"2024-{days // 28 % 12 + 1:02}-{days % 28 + 1:02}T{hours:02}:{minutes:02}:{seconds:02}Z"


def _feedback(number: int) -> str:
    stamp = _stamp(number + 60)
    return (
        f'    <feedback lastUpdateTimestamp="{stamp}">\n'
        f'      <affirmativeFeedback type="Md5" lastUpdateTimestamp="{stamp}">\n'
        f'        <members timestamp="{stamp}"><member id="43">Example Member Two</member></members>\n'
        f"      </affirmativeFeedback>\n    </feedback>\n"
    )


def _entry(seed: int, number: int) -> str:
    kind = "image" if number % 4 else "video"
    member = 40 + number % 12
    prints = [f"<md5>{_hex('md5', seed, number)}</md5>", f"<sha1>{_hex('sha1', seed, number)}</sha1>"]
    if number % 20 == 0:
        prints.append(f"<pdna>{_photodna(seed, number)}</pdna>")
    if number % 10 == 0:
        prints.append(f"<pdq>{_hex('sha256', seed, number)}</pdq>")
    lines = "".join(f"{_IN * 4}{text}\n" for text in prints)
    return (
        f'{_IN * 2}<{kind}>\n{_IN * 3}<member id="{member}">Example Member {member}</member>\n'
        f"{_IN * 3}<timestamp>{_stamp(number)}</timestamp>\n{_IN * 3}<id>synthetic-{seed}-{number}</id>\n"
        f"{_IN * 3}<classification>{('A1', 'A2', 'B1', 'B2')[number % 4]}</classification>\n"
        f"{_IN * 3}<fingerprints>\n{lines}{_IN * 3}</fingerprints>\n"
        f"{_feedback(number) if number % 100 == 0 else ''}{_IN * 2}</{kind}>\n"
    )


def make(path: str | os.PathLike[str], count: int, seed: int = 0) -> None:
    """Write `count` entries, a quarter of them videos: 5 % PhotoDNA, 10 % PDQ, 1 % with feedback."""
    with Path(path).open("w", encoding="utf-8", newline="\n") as out:
        out.write(f'{_HEAD}<queryResult xmlns="{_ROOT}">\n')
        for kind, numbers in (
            ("images", [n for n in range(count) if n % 4]),
            ("videos", range(0, count, 4)),
        ):
            top = f' maxTimestamp="{max(map(_stamp, numbers))}"' if numbers else ""
            out.write(f'<{kind} count="{len(numbers)}"{top}>\n')
            out.writelines(_entry(seed, number) for number in numbers)
            out.write(f"</{kind}>\n")
        out.write("</queryResult>\n")
