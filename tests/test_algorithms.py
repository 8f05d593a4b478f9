"""The texts of digests: exactly what the standards write, nothing skipped, nothing guessed."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop.algorithms import (
    ALGORITHMS,
    EMPTY_INPUT,
    FINGERPRINTS,
    Digest,
    algorithm_named,
    is_denied,
    parse_base32,
    parse_base64,
    parse_digest,
    parse_hex,
)
from hashlib_interop.errors import BadDigest
from tests.strategies import texts

MD5 = hashlib.md5(b"synthetic-1").digest()
HEX = MD5.hex()
WRONG_DIGITS = ("\uff11", "\u0661", "\u0967", "\U0001d7d8", "g", "-", "_", " ", "\t", "\n", "\xa0", "\u200b", "\0", ":", "\u0430")
"""Full-width 1, Arabic 1, Devanagari 1, mathematical 0, letters, spaces of all kinds, a Cyrillic a."""


def test_the_table_is_right() -> None:
    """Widths as hashlib has them; strongest first; every spelling means one algorithm."""
    assert all(hashlib.new(name).digest_size == a.width for name, a in ALGORITHMS.items())
    strengths = [a.strength for a in ALGORITHMS.values()]
    assert strengths == sorted(strengths, reverse=True) and len(set(strengths)) == len(strengths)
    spellings = [spelling for a in ALGORITHMS.values() for spelling in a.spellings]
    assert len(spellings) == len(set(spellings))
    assert all(algorithm_named(f" {s.upper()} ").name in ALGORITHMS for s in spellings)
    assert all(name == kind.name for name, kind in FINGERPRINTS.items())


def test_digests_that_say_nothing_are_denied() -> None:
    """Of empty input, all-zero, all-one, one repeated byte; no other."""
    for name, algorithm in ALGORITHMS.items():
        assert EMPTY_INPUT[name] == hashlib.new(name, b"").digest()
        for value in (EMPTY_INPUT[name], bytes(algorithm.width), b"\xff" * algorithm.width, b"\x41" * algorithm.width):
            assert is_denied(name, value)
        assert not is_denied(name, hashlib.new(name, b"synthetic-1").digest())


@given(value=st.binary(min_size=1, max_size=64))
def test_what_is_written_is_read(value) -> None:
    """Hex in any case, base64, base32 with or without padding."""
    width = len(value)
    assert parse_hex(value.hex(), width) == parse_hex(value.hex().upper(), width) == value
    assert parse_base64(base64.b64encode(value).decode(), width) == value
    assert parse_base64(base64.b64encode(value).decode(), None) == value
    text = base64.b32encode(value).decode()
    assert parse_base32(text, width) == parse_base32(text.rstrip("="), width) == value


@pytest.mark.parametrize("wrong", WRONG_DIGITS)
@pytest.mark.parametrize("place", [0, 15, 31])
def test_hex_takes_sixteen_ascii_digits_only(wrong, place) -> None:
    """`bytes.fromhex` and `int` take some of these."""
    with pytest.raises(BadDigest):
        parse_hex(HEX[:place] + wrong + HEX[place + 1 :], 16)


@pytest.mark.parametrize("text", ["", HEX[:-1], HEX + "0", f" {HEX}", f"{HEX}\n", f"0x{HEX}", f"0x{HEX[2:]}", HEX * 2])
def test_hex_has_the_width_of_its_algorithm(text) -> None:
    """Nothing is stripped or cut."""
    with pytest.raises(BadDigest):
        parse_hex(text, 16)


@given(text=texts(max_size=40), width=st.integers(0, 64))
def test_any_text_is_a_digest_or_a_bad_digest(text, width) -> None:
    """No other exception; what is accepted is what the standard writes for the value."""
    for parse, spell in (
        (parse_hex, bytes.hex),
        (parse_base64, lambda v: base64.b64encode(v).decode()),
        (parse_base32, lambda v: base64.b32encode(v).decode().rstrip("=")),
    ):
        try:
            value = parse(text, width)
        except BadDigest as error:
            assert str(error).isprintable()
        else:
            assert spell(value) in (text.lower(), text, text.rstrip("="))


@pytest.mark.parametrize(
    "text",
    ["AB==", "QR==", "QQ=", "QQ", "QQ===", "Q Q==", "QQ==\n", "\nQQ==", "QQ==QQ==", "Q-==", "Q_==", "\uff31Q==", "=", "===="],
)
def test_base64_is_canonical(text) -> None:
    """Spare bits, missing or extra padding, junk, the URL alphabet."""
    assert parse_base64("QQ==", 1) == b"A"
    with pytest.raises(BadDigest):
        parse_base64(text, 1)


@pytest.mark.parametrize("text", ["IF", "IE=", "IE=======", "ie======", "IE======\n", " IE", "I1======", "I", "III", "IEE", "\uff29E"])
def test_base32_is_canonical(text) -> None:
    """As above; lower case is no base32."""
    assert parse_base32("IE", 1) == parse_base32("IE======", 1) == b"A"
    with pytest.raises(BadDigest):
        parse_base32(text, 1)


def test_a_digest_says_its_algorithm() -> None:
    """32 hex characters could be MD5, NTLM, MD4, ed2k: no algorithm, no digest."""
    assert parse_digest(f"MD5:{HEX}") == parse_digest(HEX, "md-5") == Digest("md5", MD5)
    assert str(Digest("md5", MD5)) == f"md5:{HEX}"
    for text in (HEX, f"ntlm:{HEX}", f"sha1:{HEX}", f":{HEX}", ""):
        with pytest.raises(BadDigest):
            parse_digest(text)
