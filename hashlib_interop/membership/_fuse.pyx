# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""The compiled kernels of the shareable filter; `fuse_numpy.py` says what each does, and does it without them."""

import numpy as np

from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef extern from "../core/fuse.h" nogil:
    ctypedef struct fuse_filter:
        const uint8_t *slots
        const uint64_t *seeds
        uint32_t shard_bits, segment_bits, segments
    void fuse_hashes(const uint8_t *digests, size_t count, size_t width, uint8_t algorithm, uint64_t seed, uint64_t *out)
    void fuse_lookup(const fuse_filter *filter, const uint64_t *hashes, size_t count, int bytes, uint8_t *out)
    int fuse_build(const uint64_t *hashes, size_t count, uint64_t seed, uint32_t segment_bits, uint32_t segments, int bytes, uint8_t *out)


WIDTHS = (16, 20, 28, 32, 48, 64)


def hashes(const uint8_t[:, ::1] digests, uint8_t algorithm, uint64_t key):
    cdef size_t count = digests.shape[0], width = digests.shape[1]
    if width not in WIDTHS:
        raise ValueError("no digest has this width")
    found = np.empty(count, np.uint64)
    cdef uint64_t[::1] out = found
    if count:
        with nogil:
            fuse_hashes(&digests[0, 0], count, width, algorithm, key, &out[0])
    return found


cdef _check(size_t size, size_t shards, uint32_t segment_bits, uint32_t segments, int bits):
    """Whether the slots have the size that the rest says; every place that a hash gives lies in them then."""
    slots = (int(segments) + 2) << segment_bits
    if bits not in (8, 16) or segment_bits > 18 or not segments or slots >= 1 << 32 or size != shards * slots * (bits // 8):
        raise ValueError("the slots have another size")


def contains(const uint64_t[::1] wanted, const uint8_t[::1] slots, const uint64_t[::1] seeds, uint32_t segment_bits, uint32_t segments, int bits):
    cdef size_t count = wanted.shape[0], shards = seeds.shape[0]
    cdef uint32_t shard_bits = 0
    while shard_bits < 32 and <size_t>1 << shard_bits < shards:
        shard_bits += 1
    if <size_t>1 << shard_bits != shards:
        raise ValueError("the number of shards is no power of two")
    _check(slots.shape[0], shards, segment_bits, segments, bits)
    found = np.empty(count, np.bool_)
    cdef uint8_t[::1] out = found.view(np.uint8)
    cdef fuse_filter asked
    if count:
        asked = fuse_filter(&slots[0], &seeds[0], shard_bits, segment_bits, segments)
        with nogil:
            fuse_lookup(&asked, &wanted[0], count, bits // 8, &out[0])
    return found


def build(const uint64_t[::1] distinct, uint64_t seed, uint32_t segment_bits, uint32_t segments, int bits):
    cdef size_t count = distinct.shape[0]
    cdef int done = 1
    slots = np.zeros(((int(segments) + 2) << segment_bits) * (bits // 8), np.uint8)
    _check(len(slots), 1, segment_bits, segments, bits)
    cdef uint8_t[::1] out = slots
    if count:
        with nogil:
            done = fuse_build(&distinct[0], count, seed, segment_bits, segments, bits // 8, &out[0])
    if done < 0:
        raise MemoryError
    return slots if done else None
