"""Make the inputs of the cases of delimited text that were not copied: `python tests/cases/_delimited.py`."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

HERE = Path(__file__).parent
HEADER = (
    "MD5;SHA1;ZZ40;PhotoDNA;Lace;Image ID;Is distributed;Victim identified;Offender identified;Series name;"
    "Investigation name;Agency;Number of submissions;File Available;Media Type;Baseline"
)


def digest(name: str, seed: int) -> str:
    """Return a digest made from a seed, hex."""
    return hashlib.new(name, b"synthetic-%d" % seed).hexdigest()


def opaque(width: int, seed: int) -> bytes:
    """Return bytes made from a seed, as long as a perceptual hash."""
    return hashlib.shake_256(b"synthetic-%d" % seed).digest(width)


def icse_row(seed: int, **changes: str) -> str:
    """Return a good row, with cells changed by column name."""
    cells = dict.fromkeys(HEADER.split(";"), "")
    cells |= {
        "MD5": digest("md5", seed),
        "SHA1": digest("sha1", seed),
        "ZZ40": opaque(16, seed).hex().upper(),
        "PhotoDNA": opaque(144, seed).hex().upper(),
        "Lace": base64.b64encode(opaque(129, seed)).decode(),
        "Image ID": str(1000 + seed),
        "Is distributed": "Y",
        "Victim identified": "N",
        "Number of submissions": str(seed),
        "File Available": "True",
        "Media Type": "Image",
        "Baseline": "No",
    }
    return ";".join((cells | changes).values())


def icse_faults() -> bytes:
    """One fault a line; the last line is cut."""
    lines = [
        HEADER,
        icse_row(1),
        icse_row(2, MD5=digest("md5", 2) + "0"),
        icse_row(3, SHA1=digest("md5", 3)),
        icse_row(4, PhotoDNA=digest("md5", 4)),
        icse_row(5, ZZ40="0x" + "A" * 30),
        icse_row(6, Lace="A" * 171 + "!"),
        icse_row(7, **{"Is distributed": "maybe"}),
        icse_row(8, **{"Media Type": "Audio"}),
        icse_row(9, Baseline="yes"),
        icse_row(10) + ";more",
        icse_row(11).rsplit(";", 3)[0],
        icse_row(12, Agency='the "agency"'),
        icse_row(13, Agency='"agency" x'),
        icse_row(14, Agency="a\0b"),
        icse_row(15, **{"MD5": "", "SHA1": "", "Image ID": ""}),
        icse_row(16, MD5=" " + digest("md5", 16)),
        icse_row(17, MD5="\uff11" * 32),
        icse_row(18, **{"Investigation name": "OPERATION CANARY", "Series name": "caf\u00e9"}),
        "",
        icse_row(19),
    ]
    latin = icse_row(20, Agency="caf\u00e9").encode("latin-1")
    return "\n".join(lines).encode() + b"\n" + latin + b"\n" + icse_row(21)[:-2].encode()


TWELVE = [name for name in HEADER.split(";") if name not in ("ZZ40", "Lace", "Investigation name", "Agency")]


def icse_twelve() -> bytes:
    """The 12 columns that IPED requires and no more; rows with and without one more, empty, field."""
    full = [dict(zip(HEADER.split(";"), icse_row(seed, Baseline="Yes").split(";"), strict=True)) for seed in (1, 2)]
    rows = [";".join(cells[name] for name in TWELVE) for cells in full]
    return "\r\n".join([";".join(TWELVE), rows[0] + ";", rows[1], rows[1] + ";;", rows[1] + ";more", ""]).encode()


def icse_ended() -> bytes:
    """A delimiter at the end of the header too; the last row says something there."""
    return "\r\n".join([f"{HEADER};", f"{icse_row(1)};", f"{icse_row(2)};x", f"{icse_row(3)};;", icse_row(4), ""]).encode()


def icse_reordered() -> bytes:
    """Other order and case, unknown columns, PhotoDNA in base64, a line end in quotes."""
    header = (
        "baseline;IMAGE ID;sha1;md5;PhotoDNA;is distributed;victim identified;Offender Identified;SERIES NAME;"
        "Number of submissions;file available;media type;Age band;Note"
    )
    photodna = base64.b64encode(opaque(144, 1)).decode()
    rows = [
        f"Yes;7;{digest('sha1', 1)};{digest('md5', 1).upper()};{photodna};yes;F;t;s1;1;True;image;0-2;",
        f'No;8;{digest("sha1", 2)};;;no;;;"a ""series""\nof two lines; or so";;;VIDEO;;"=1+1\\"',
        f"No;9;;;{opaque(144, 3).hex()};;;;;;;;;;",
    ]
    return "\r".join([header, *rows]).encode() + b"\r"


def iwf_example() -> bytes:
    """The invented columns of the example mapping; summer time, a skipped hour, an unknown category."""
    header = (
        "Record,MD5,SHA-1,SHA-256,PhotoDNA,UK category,Self-generated,Age band,Activities,Ethnicity,Self-evident,"
        "Grid image,Assessed,Media,Analyst note"
    )
    hashes = f"{digest('md5', 1)},{digest('sha1', 1)},{digest('sha256', 1)}"
    rows = [
        header,
        f"r1,{hashes},,A,Y,7-10,first;second,not stated,Y,N,01/07/2025 12:00,image,said",
        f"r2,{digest('md5', 2)},,,{base64.b64encode(opaque(144, 2)).decode()},C,N,,,,,,02/01/2025 12:00,video,",
        f"r3,{digest('md5', 3)},,,,D,,,,,,,,,",
        f"r4,{digest('md5', 4)},,,,B,,,,,,,30/03/2025 01:30,,",
        f"r5,{digest('md5', 5)},,,,B,,,,,,,2025-03-30,,",
        f",,,{digest('sha256', 6)},,B,,16-17,,,,Y,,,",
    ]
    return "\r\n".join(rows).encode() + b"\r\n"


def utf16_tabs() -> bytes:
    """UTF-16LE with a mark; quotes are characters like any other."""
    base32 = base64.b32encode(bytes.fromhex(digest("sha1", 1))).decode()
    rows = [
        f'{base32}\t17\t01.07.2025 12:00\ta "b".jpg|c.jpg\t1\tcase 4711\tnot sure',
        f"{digest('sha1', 2)}\t9223372036854775807\t\t\u6f22\u5b57.jpg\t2\t\t",
        f"{digest('sha1', 3)}\t9223372036854775808\t\t\t\t\t",
        f"{digest('sha1', 4)}\t\u0661\t\t\t\t\t",
    ]
    return b"\xff\xfe" + "".join(f"{row}\r\n" for row in rows).encode("utf-16-le")


def plain_named() -> bytes:
    """Spellings of algorithms, with space or colon."""
    rows = [
        "# a list",
        f"md5 {digest('md5', 1)}",
        f"SHA-1:{digest('sha1', 1).upper()}",
        "",
        f"sha256 : {digest('sha256', 1)}",
        f"SHA384\t{digest('sha384', 1)}  ",
        f"  sha_512 {digest('sha512', 1)}",
    ]
    return "\r\n".join(rows).encode() + b"\r\n"


def plain_faults() -> bytes:
    """What is no digest."""
    rows = [
        f"md5 {digest('md5', 1)}",
        f"ntlm {digest('md5', 2)}",
        f"md5 {digest('sha1', 3)}",
        "md5 :",
        f"md5 {digest('md5', 4)[:16]} {digest('md5', 4)[16:]}",
        f"sha1 {digest('sha1', 5)[:-1]}g",
        f"sha256 {digest('sha256', 6)}",
    ]
    return "\n".join(rows).encode() + b"\n"


if __name__ == "__main__":
    bare = "".join(f"{digest('md5', seed)}\n" for seed in range(3)).encode()
    made = {
        "icse/faults/input.csv": icse_faults(),
        "icse/twelve/input.csv": icse_twelve(),
        "icse/ended/input.csv": icse_ended(),
        "icse/reordered/input.csv": icse_reordered(),
        "columns/iwf_example/input.csv": iwf_example(),
        "columns/utf16_tabs/input.tsv": utf16_tabs(),
        "plain/named/input.txt": plain_named(),
        "plain/bare/input.txt": bare,
        "plain/faults/input.txt": plain_faults(),
    }
    for name, data in made.items():
        (HERE / name).write_bytes(data)
