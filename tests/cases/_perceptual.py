"""Make the inputs of the cases of perceptual hashes that were not copied: `python tests/cases/_perceptual.py`."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from pathlib import Path

HERE = Path(__file__).parent
SAMPLES = HERE.parent / "samples"


def pdq(seed: int) -> str:
    """Return a PDQ made from a seed, hex."""
    return hashlib.shake_256(b"synthetic-%d" % seed).hexdigest(32)


def vpdq_old() -> bytes:
    """The older JSON of pytx: by frame number; a quality below 50, a time that floats spell with an exponent."""
    frames = {
        "0": {"quality": 100, "hash": pdq(1), "timestamp": 0.0},
        "30": {"quality": 0, "hash": pdq(2), "timestamp": 1e-05},
        "60": {"quality": 49, "hash": pdq(3).upper(), "timestamp": 2},
    }
    return json.dumps(frames, indent=1).encode()


def vpdq_lines() -> bytes:
    """CRLF, upper case, low quality, the same PDQ twice, seconds finer than the tool writes."""
    rows = [f"0,0,{pdq(1)},0.000", f"1,49,{pdq(1).upper()},0.0333", f"2,50,{pdq(2)},1e2"]
    return "\r\n".join(rows).encode() + b"\r\n"


def tmk(periods: tuple[int, ...] = (2731, 4391, 9767, 14653), coefficients: int = 32, dimension: int = 256) -> bytes:
    """A .tmk with features of zero."""
    header = b"TMK1FVECPDQF" + struct.pack("<5i", 15, len(periods), coefficients, dimension, 3)
    floats = coefficients + dimension + 2 * len(periods) * coefficients * dimension
    return header + struct.pack(f"<{len(periods)}i", *periods) + bytes(4 * floats)


def photodna_encodings() -> bytes:
    """One value in its encodings, a row each; then values that are none."""
    said = json.loads((SAMPLES / "photodna_same_value_three_encodings.json").read_text())
    base64_text, hex_text, decimals = said["base64_192"], said["hex_upper_288"], said["decimal_csv_144"]
    good = [base64_text, hex_text, hex_text.lower(), decimals]
    bad = [
        base64_text[:-4],
        hex_text[:-2],
        decimals.rpartition(",")[0],
        decimals + ",0",
        "256" + decimals[2:],
        decimals.replace(",", ", "),
        "0" + decimals,
    ]
    rows = [f"{number};{text}" for number, text in enumerate(good + bad, 1)]
    return "\n".join(["Record;PhotoDNA", *rows, ""]).encode()


def signal_strings() -> bytes:
    """The strings of the sample in columns; then each broken."""
    said = json.loads((SAMPLES / "misc_signal_strings.json").read_text())
    tlsh, ssdeep, pdq_hex, sha1 = (said[name] for name in ("tlsh", "ssdeep", "pdq", "sha1_base32"))
    rows = [
        (tlsh, ssdeep, pdq_hex, sha1),
        ("", "", base64.b64encode(bytes.fromhex(pdq_hex)).decode(), ""),
        ("", "", pdq_hex.upper(), base64.b32decode(sha1).hex()),
        ("", "3::", "", ""),
        (tlsh[:-1], "", "", ""),
        (tlsh.lower(), "", "", ""),
        (tlsh[2:], "", "", ""),
        ("", ssdeep.replace(":", ";"), "", ""),
        ("", f'"{ssdeep},""a.txt"""', "", ""),
        ("", "", pdq_hex[:-1], ""),
        ("", "", pdq_hex[:32], ""),
        ("", "", "", sha1.lower()),
        ("", "", "", sha1[:-1] + "1"),
    ]
    lines = [",".join((str(number), *row)) for number, row in enumerate(rows, 1)]
    return "\n".join(["Record,TLSH,ssdeep,PDQ,SHA-1", *lines, ""]).encode()


if __name__ == "__main__":
    made = {
        "columns/photodna_encodings/input.csv": photodna_encodings(),
        "columns/signal_strings/input.csv": signal_strings(),
        "vpdq/pytx_old/input.json": vpdq_old(),
        "vpdq/low_quality/input.txt": vpdq_lines(),
        "vpdq/three_columns/input.txt": f"0,100,{pdq(1)}\n".encode(),
        "vpdq/cut/input.txt": vpdq_lines()[:-3],
        "tmk/small/input.tmk": tmk((2731, 4391), 2, 3),
        "tmk/impossible/input.tmk": tmk((1,), 1, 1)[:16] + struct.pack("<4i", 2**31 - 1, 2**31 - 1, 2**31 - 1, 3),
    }
    for name, data in made.items():
        (HERE / name).parent.mkdir(parents=True, exist_ok=True)
        (HERE / name).write_bytes(data)
