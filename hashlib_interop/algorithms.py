"""The table of digest algorithms and fingerprint kinds, and the strict reading of their texts.

Exact digests carry identity; fingerprints (perceptual or opaque values) are carried and never compared.
An algorithm is never guessed from a length: 32 hex characters are also NTLM, MD4 and ed2k.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import NamedTuple

from hashlib_interop.errors import BadDigest, shown


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A cryptographic hash. `width` in bytes; `strength` orders identity, greater speaks first."""

    name: str
    width: int
    strength: int
    spellings: tuple[str, ...]


# FIPS 180-4 and RFC 1321. Strongest first: the order in which identity is decided (design, section 5).
ALGORITHMS: dict[str, Algorithm] = {
    a.name: a
    for a in (
        Algorithm("sha512", 64, 5, ("sha512", "sha-512", "sha_512", "hash_sha512")),
        Algorithm("sha384", 48, 4, ("sha384", "sha-384", "sha_384")),
        Algorithm("sha256", 32, 3, ("sha256", "sha-256", "sha_256", "hash_sha256", "hash_video_sha256")),
        Algorithm("sha1", 20, 2, ("sha1", "sha-1", "sha_1", "hash_sha1")),
        Algorithm("md5", 16, 1, ("md5", "md-5", "hash_md5", "hash_video_md5")),
    )
}


@dataclass(frozen=True, slots=True)
class FingerprintKind:
    """A perceptual or opaque value. `width` in bytes, None where the issuer publishes none.

    `pattern` is what a text must be, where it is published; readers of columns hold texts against it.
    """

    name: str
    width: int | None
    text: bool = False
    pattern: str = ""


# Widths and patterns: the public sources (PhotoDNA 144, PDQ 32, ZZ40 16, Lace 129 bytes). The rest are
# opaque. `vpdq` is the text of `formats/_vpdq_frames.py`, `tmk-pdqf` a whole .tmk file.
FINGERPRINTS: dict[str, FingerprintKind] = {
    k.name: k
    for k in (
        FingerprintKind("photodna", 144),
        FingerprintKind("pdq", 32),
        FingerprintKind("zz40", 16),
        FingerprintKind("lace", 129),
        FingerprintKind("netclean", None, text=True),
        FingerprintKind("videntifier", None, text=True),
        FingerprintKind("tmk-pdqf", None),
        FingerprintKind("ssvh", None, text=True),
        FingerprintKind("vpdq", None, text=True),
        FingerprintKind("tlsh", None, text=True, pattern="T1[0-9A-F]{70}"),
        FingerprintKind("ssdeep", None, text=True, pattern="[0-9]+:[A-Za-z0-9+/]*:[A-Za-z0-9+/]*"),
        FingerprintKind("other", None, text=True),
    )
}

_SPELLINGS = {spelling: a for a in ALGORITHMS.values() for spelling in a.spellings}

# Digests that say nothing about a file: of the empty input, and of one repeated byte. They
# are kept as statements, flagged, and never link two entries.
EMPTY_INPUT: dict[str, bytes] = {
    "md5": bytes.fromhex("d41d8cd98f00b204e9800998ecf8427e"),
    "sha1": bytes.fromhex("da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    "sha256": bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    "sha384": bytes.fromhex(
        "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b"
    ),
    "sha512": bytes.fromhex(
        "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
        "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
    ),
}


def is_denied(algorithm: str, value: bytes) -> bool:
    """Tell whether a digest may never link entries: of empty input, or a single repeated byte."""
    return value == EMPTY_INPUT[algorithm] or value.count(value[0]) == len(value)


class Digest(NamedTuple):
    """The value of a cryptographic hash, as bytes."""

    algorithm: str
    value: bytes

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value.hex()}"


def algorithm_named(spelling: str) -> Algorithm:
    """Return the algorithm for any of its spellings, in any case; `BadDigest` for an unknown one."""
    try:
        return _SPELLINGS[spelling.strip().lower()]
    except KeyError:
        names = ", ".join(sorted(ALGORITHMS))
        raise BadDigest(f"unknown algorithm {shown(spelling)!r}; known: {names}") from None


def parse_hex(text: str, width: int) -> bytes:
    """Decode exactly `2 * width` ASCII hex digits; no white space, prefix or other script is skipped."""
    if len(text) != 2 * width:
        raise BadDigest(f"expected {2 * width} hex characters, found {len(text)}: {shown(text)}")
    if not re.fullmatch("[0-9A-Fa-f]*", text, re.ASCII):
        raise BadDigest(f"not hexadecimal: {shown(text)}")
    return bytes.fromhex(text)


def parse_base64(text: str, width: int | None) -> bytes:
    """Decode canonical base64 (RFC 4648, section 4): padded, no junk, no spare bits set."""
    try:
        value = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        raise BadDigest(f"not base64: {shown(text)}") from None
    if base64.b64encode(value).decode() != text:
        raise BadDigest(f"not canonical base64: {shown(text)}")
    return _of_width(value, width, text)


def parse_base32(text: str, width: int) -> bytes:
    """Decode canonical base32 (RFC 4648, section 6), upper case, with or without padding."""
    bare = text.rstrip("=")
    padded = bare + "=" * (-len(bare) % 8)
    if text not in (bare, padded) or not re.fullmatch("[A-Z2-7]*", bare, re.ASCII):
        raise BadDigest(f"not base32: {shown(text)}")
    try:
        value = base64.b32decode(padded)
    except binascii.Error:
        raise BadDigest(f"not base32: {shown(text)}") from None
    if base64.b32encode(value).decode().rstrip("=") != bare:
        raise BadDigest(f"not canonical base32: {shown(text)}")
    return _of_width(value, width, text)


def parse_decimals(text: str, width: int) -> bytes:
    """Decode `width` numbers from 0 to 255 with commas between them, as pyPhotoDNA writes a PhotoDNA."""
    if not re.fullmatch("(0|[1-9][0-9]{0,2})(,(0|[1-9][0-9]{0,2}))*", text, re.ASCII):
        raise BadDigest(f"not decimal numbers with commas between them: {shown(text)}")
    numbers = [int(number) for number in text.split(",")]
    if max(numbers) > 255:
        raise BadDigest(f"{max(numbers)} is no byte: {shown(text)}")
    return _of_width(bytes(numbers), width, text)


def _of_width(value: bytes, width: int | None, text: str) -> bytes:
    if width is not None and len(value) != width:
        raise BadDigest(f"expected {width} bytes, found {len(value)}: {shown(text)}")
    return value


def parse_digest(text: str, algorithm: str | None = None) -> Digest:
    """Read `algorithm:hex`, or hex alone when `algorithm` is given."""
    name, colon, value = text.rpartition(":")
    if not colon and algorithm is None:
        raise BadDigest(f"say the algorithm, as in md5:{shown(text)}")
    known = algorithm_named(name or str(algorithm))
    return Digest(known.name, parse_hex(value, known.width))
