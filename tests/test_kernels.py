"""The kernels of the readers: compiled with AVX2, compiled without, and in numpy, the answers are the same."""

from __future__ import annotations

import base64
import binascii
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop import kernels

WIDTHS = (1, 2, 15, 16, 17, 20, 28, 31, 32, 48, 64, 129, 144)


def ways(call: Callable[[], Any]) -> Iterator[Any]:
    """Yield what a call gives in each way that this installation has; numpy first."""
    built = kernels.compiled
    try:
        kernels.compiled = None
        yield call()
        if built is not None:
            kernels.compiled = built
            for instructions in ("scalar", "avx512"):
                built.allow(instructions)
                yield call()
    finally:
        kernels.compiled = built


def blocks(*texts: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return texts as bytes and offsets."""
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in texts])]).astype(np.int32)
    return np.frombuffer(b"".join(texts), np.uint8), offsets


def test_this_installation_has_the_compiled_kernels() -> None:
    """Tests run where a C compiler is: were they not built, everything below would compare numpy with itself."""
    assert kernels.compiled is not None


@given(
    st.binary(max_size=300) | st.text("ab\n;,\\", max_size=300).map(str.encode),
    st.sets(st.sampled_from(b'\n\r;,"\0a\xff')),
)
def test_places(text: bytes, wanted: set[int]) -> None:
    """The offsets of the wanted bytes, and no others, over the edges of vectors."""
    expected = [at for at, byte in enumerate(text) if byte in wanted]
    for found in ways(lambda: kernels.places(np.frombuffer(text, np.uint8), bytes(sorted(wanted)))):
        assert found.tolist() == expected and found.dtype == np.int32


@given(st.binary(max_size=200), st.booleans())
def test_encode_hex(data: bytes, upper: bool) -> None:
    """Two digits a byte, over the edges of vectors."""
    expected = data.hex().upper() if upper else data.hex()
    for found in ways(lambda: kernels.encode_hex(np.frombuffer(data, np.uint8), upper)):
        assert found.tobytes().decode() == expected


@given(
    st.binary(min_size=1, max_size=200),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=20),
)
def test_gather(text: bytes, pairs: list[tuple[int, int]]) -> None:
    """Every field, in order, whatever lies between; strided arrays too."""
    fields = [(min(a, b, len(text)), min(max(a, b), len(text))) for a, b in pairs]
    edges = np.array(fields, np.int32).reshape(-1, 2)
    data = np.frombuffer(text, np.uint8)
    for offsets, found in ways(lambda: kernels.gather(data, edges[:, 0], edges[:, 1])):
        texts = [found[a:b].tobytes() for a, b in itertools.pairwise(offsets)]
        assert texts == [text[a:b] for a, b in fields]


@pytest.mark.parametrize("start, stop", [(-1, 2), (2, 1), (0, 6), (2**31 - 1, 2**31 - 1)])
def test_gather_refuses_what_is_no_field(start: int, stop: int) -> None:
    """Before anything is copied."""
    data, pair = (
        np.frombuffer(b"hello", np.uint8),
        np.array([[0, 1], [start, stop]], np.int64).astype(np.int32),
    )

    def call() -> str:
        with pytest.raises(ValueError, match="outside the data") as caught:
            kernels.gather(data, pair[:, 0], pair[:, 1])
        return str(caught.value)

    assert len(set(ways(call))) == 1


def rows_of(found: tuple[Any, Any, Any]) -> list[bytes | bool | None]:
    """Return decoded rows as bytes, None for empty, False for bad."""
    return [bytes(v) if held else False if bad else None for v, held, bad in zip(*found, strict=True)]


@given(
    st.sampled_from(WIDTHS).flatmap(
        lambda w: st.tuples(
            st.just(w), st.lists(st.binary(min_size=w, max_size=w) | st.just(b""), max_size=6)
        )
    ),
    st.data(),
)
def test_decode_hex(case: tuple[int, list[bytes]], data: st.DataObject) -> None:
    """As `bytes.fromhex`, in any case, but nothing is skipped; one wrong character makes one row bad."""
    width, values = case
    texts = [
        value.hex().encode() if n % 2 else value.hex().upper().encode() for n, value in enumerate(values)
    ]
    expected: list[bytes | bool | None] = [value or None for value in values]
    for row in data.draw(st.sets(st.sampled_from(range(len(texts))))) if texts else ():
        place = data.draw(st.integers(0, 2 * width - 1))
        wrong = bytes(
            [data.draw(st.sampled_from([c for c in range(256) if chr(c) not in "0123456789abcdefABCDEF"]))]
        )
        texts[row] = data.draw(
            st.sampled_from(
                [
                    texts[row][:place] + wrong + texts[row][place + 1 :] if texts[row] else wrong,
                    b"0",
                    b"00" * (width + 1),
                ]
            )
        )
        expected[row] = False
    for found in ways(lambda: kernels.decode_hex(*blocks(*texts), width)):
        assert rows_of(found) == expected


@pytest.mark.parametrize("width", [16, 17, 144])
def test_every_byte_at_every_place_of_hex(width: int) -> None:
    """All 256 at the first, a middle and the last place: exactly the digits are taken."""
    texts = [
        b"a" * at + bytes([c]) + b"a" * (2 * width - 1 - at)
        for at in (0, width, 2 * width - 1)
        for c in range(256)
    ]
    digits = set(b"0123456789abcdefABCDEF")
    for _, held, bad in ways(lambda: kernels.decode_hex(*blocks(*texts), width)):
        assert held.tolist() == [c in digits for _ in range(3) for c in range(256)]
        assert (held != bad).all()


@given(
    st.sampled_from(WIDTHS),
    st.lists(st.binary(max_size=230) | st.text("AZaz09+/=", max_size=196).map(str.encode), max_size=8),
)
def test_decode_base64(width: int, values: list[bytes]) -> None:
    """What the standard library encodes, and nothing else, of exactly this width."""
    texts = [*values, *(base64.b64encode(value) for value in values), base64.b64encode(bytes(range(width)))]
    expected: list[bytes | bool | None] = [canonical(text, width) for text in texts]
    for found in ways(lambda: kernels.decode_base64(*blocks(*texts), width)):
        assert rows_of(found) == expected


def canonical(text: bytes, width: int) -> bytes | bool | None:
    """Decode by encoding again."""
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return None if not text else value if len(value) == width and base64.b64encode(value) == text else False


@pytest.mark.parametrize("width", [16, 129, 20])
def test_every_byte_at_every_place_of_base64(width: int) -> None:
    """The last characters hold spare bits and padding: only one spelling passes."""
    good = base64.b64encode(bytes(range(width)))
    texts = [
        good[:at] + bytes([c]) + good[at + 1 :]
        for at in (0, 9, -4 % len(good), -3 % len(good), -2 % len(good), len(good) - 1)
        for c in range(256)
    ]
    expected = [canonical(text, width) for text in texts]
    for found in ways(lambda: kernels.decode_base64(*blocks(*texts), width)):
        assert rows_of(found) == expected
