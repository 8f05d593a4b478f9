"""The shareable filter without a compiler: keyed hashes, looking up, building (docs/hfilter-format.md).

Looking up is vectorised and of use; building goes key by key and is for small filters, and for the tests, which hold
the compiled kernels (`core/fuse.h`) against it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Digests = npt.NDArray[np.uint8]
"""(n, width), C-contiguous."""

Hashes = npt.NDArray[np.uint64]
Slots = npt.NDArray[np.uint8]
"""The bytes of the slots of one shard or more; two bytes a slot, little-endian, for 16 bits."""

Found = npt.NDArray[np.bool_]
Places = tuple[Hashes, Hashes, Hashes]

WIDTHS = (16, 20, 28, 32, 48, 64)
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)

# XXH3, doc/xxhash_spec.md of xxHash 0.8: the first 96 bytes of the default secret, and two primes.
_SECRET = np.frombuffer(
    bytes.fromhex(
        "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
        "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    ),
    "<u8",
).astype(np.uint64)
_LENGTH_PRIME = 0x9E3779B185EBCA87
_LAST_PRIME = np.uint64(0x165667919E3779F9)


def hashes(digests: Digests, algorithm: int, key: int) -> Hashes:
    """Return XXH3-64, with `key` as its seed, of the algorithm's number (one byte) and each digest."""
    count, width = digests.shape
    if width not in WIDTHS:
        raise ValueError("no digest has this width")
    message = np.empty((count, width + 1), np.uint8)
    message[:, 0], message[:, 1:] = algorithm, digests
    size = width + 1
    pairs = [(0, 0), (size - 16, 2)]
    pairs += [(16, 4), (size - 32, 6)] if size > 32 else []
    pairs += [(32, 8), (size - 48, 10)] if size > 64 else []
    total = np.full(count, size * _LENGTH_PRIME % 2**64, np.uint64)
    for at, secret in pairs:
        total += _folded(message[:, at : at + 16], secret, key)
    total ^= total >> np.uint64(37)
    total *= _LAST_PRIME
    return total ^ total >> _HALF


def _folded(words: Digests, secret: int, key: int) -> Hashes:
    """Multiply two words of each message, under the secret and the seed; fold the product."""
    pair = np.ascontiguousarray(words).view("<u8").astype(np.uint64)
    first = np.uint64((int(_SECRET[secret]) + key) % 2**64)
    second = np.uint64((int(_SECRET[secret + 1]) - key) % 2**64)
    high, low = _product(pair[:, 0] ^ first, pair[:, 1] ^ second)
    return high ^ low


def _product(a: Hashes, b: Hashes | np.uint64) -> tuple[Hashes, Hashes]:
    """Return the high and the low 64 bits of products."""
    a0, a1, b0, b1 = a & _LOW, a >> _HALF, b & _LOW, b >> _HALF
    middle = a1 * b0 + (a0 * b0 >> _HALF)
    other = a0 * b1 + (middle & _LOW)
    return a1 * b1 + (middle >> _HALF) + (other >> _HALF), a * b


def mix(x: Hashes) -> Hashes:
    """Spread every bit: a bijection of 64-bit numbers (Stafford's variant 13 of the MurmurHash3 finalizer)."""
    x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return x ^ x >> np.uint64(31)


def _places(mixed: Hashes, segment_bits: int, segments: int) -> Places:
    """Return the three slots of mixed hashes in their shard: one in each of three segments in a row."""
    length = np.uint64(1 << segment_bits)
    mask = length - np.uint64(1)
    first, _ = _product(mixed, np.uint64(segments << segment_bits))
    second = (first + length) ^ (mixed >> np.uint64(18) & mask)
    return first, second, (first + length + length) ^ (mixed & mask)


def _prints(mixed: Hashes, bits: int) -> Hashes:
    return (mixed ^ mixed >> _HALF) & np.uint64((1 << bits) - 1)


def _check(slots: int, shards: int, segment_bits: int, segments: int, bits: int) -> None:
    """Hold the size of the slots against the rest: every place that a hash gives lies in them then."""
    a_shard = (segments + 2) << segment_bits
    fits = (
        0 <= segment_bits <= 18
        and segments > 0
        and a_shard < 1 << 32
        and slots == shards * a_shard * (bits // 8)
    )
    if bits not in (8, 16) or not fits:
        raise ValueError("the slots have another size")


def contains(
    wanted: Hashes, slots: Slots, seeds: Hashes, segment_bits: int, segments: int, bits: int
) -> Found:
    """Return which hashes may be in a filter: true for all that are, and for one in 2^bits of the others.

    `seeds` has one for each shard; their number is a power of two. `ValueError` where the slots do not fit the rest.
    """
    shard_bits = len(seeds).bit_length() - 1
    if len(seeds) != 1 << shard_bits:
        raise ValueError("the number of shards is no power of two")
    _check(len(slots), len(seeds), segment_bits, segments, bits)
    shards = wanted >> np.uint64(64 - shard_bits) if shard_bits else np.zeros(len(wanted), np.uint64)
    mixed = mix(wanted + seeds[shards])
    values = slots.view("<u2") if bits == 16 else slots
    start = shards * np.uint64((segments + 2) << segment_bits)
    total = _prints(mixed, bits)
    for place in _places(mixed, segment_bits, segments):
        total = total ^ values[start + place]
    return np.asarray(total == 0, bool)


def build(distinct: Hashes, seed: int, segment_bits: int, segments: int, bits: int) -> Slots | None:
    """Return the slots of one shard that holds these hashes, which all differ; None where this seed will not do.

    A slot that one key alone lies on can be given its value last; such keys are taken off until none is left
    (arXiv 2201.01174). The order in which they come off decides the bytes: slots rising first, then the last met.
    """
    slots = (segments + 2) << segment_bits
    _check(slots * (bits // 8), 1, segment_bits, segments, bits)
    mixed = mix(distinct + np.uint64(seed))
    places = np.stack(_places(mixed, segment_bits, segments), axis=1)
    on_slot: list[set[int]] = [set() for _ in range(slots)]
    for row, three in enumerate(places.tolist()):
        for place in three:
            on_slot[place].add(row)
    if max(map(len, on_slot)) > 63:
        return None
    order = _peeled(on_slot, places.tolist())
    return (
        _assigned(order, places.tolist(), _prints(mixed, bits).tolist(), slots, bits)
        if len(order) == len(distinct)
        else None
    )


def _peeled(on_slot: list[set[int]], places: list[list[int]]) -> list[tuple[int, int]]:
    """Return the keys in the order in which they come off, each with the slot that it had to itself."""
    waiting = [slot for slot, rows in enumerate(on_slot) if len(rows) == 1]
    order = []
    while waiting:
        slot = waiting.pop()
        if len(on_slot[slot]) != 1:
            continue
        row = next(iter(on_slot[slot]))
        order.append((row, slot))
        for place in places[row]:
            on_slot[place].discard(row)
            if len(on_slot[place]) == 1:
                waiting.append(place)
    return order


def _assigned(
    order: list[tuple[int, int]], places: list[list[int]], prints: list[int], slots: int, bits: int
) -> Slots:
    values = [0] * slots
    for row, slot in reversed(order):
        first, second, third = places[row]
        values[slot] = prints[row] ^ values[first] ^ values[second] ^ values[third]
    return np.array(values, "<u2" if bits == 16 else np.uint8).view(np.uint8)
