# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""The compiled kernels of the readers; `kernels.py` says what each does, and does it in numpy without them."""

import numpy as np

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, uint8_t


cdef extern from "core/text.h" nogil:
    int simd_most
    int simd_avx2()
    size_t text_places(const uint8_t *data, size_t size, const uint8_t *bytes, int kinds, int32_t *out)
    int text_offsets(size_t size, const int32_t *starts, const int32_t *stops, ptrdiff_t step, size_t count, int32_t *offsets)
    void text_gather(const uint8_t *data, size_t size, const int32_t *starts, ptrdiff_t step, size_t count, const int32_t *offsets, uint8_t *out)
    void text_hex(const uint8_t *data, const int32_t *offsets, size_t count, size_t width, uint8_t *out, uint8_t *state)
    void text_encode_hex(const uint8_t *data, size_t size, const uint8_t *digits, uint8_t *out)
    void text_base64(const uint8_t *data, const int32_t *offsets, size_t count, size_t width, const uint8_t *sextets, uint8_t *out, uint8_t *state)


def allow(str instructions):
    global simd_most
    simd_most = ("scalar", "avx2", "avx512").index(instructions)


def places(const uint8_t[::1] data, bytes wanted):
    cdef size_t size = data.shape[0], count = 0
    cdef const uint8_t[::1] kinds = wanted
    if not size or not len(wanted):
        return np.zeros(0, np.int32)
    if size > 0x7FFFFFFF:
        raise ValueError("a block of more than 2 GiB")
    found = np.empty(size + 8, np.int32)
    cdef int32_t[::1] out = found
    with nogil:
        count = text_places(&data[0], size, &kinds[0], <int>kinds.shape[0], &out[0])
    return found[:count].copy()


def gather(const uint8_t[::1] data, const int32_t[:] starts, const int32_t[:] stops):
    cdef size_t size = data.shape[0], count = starts.shape[0]
    cdef int wrong = 0
    cdef ptrdiff_t step = starts.strides[0] // <ptrdiff_t>sizeof(int32_t)
    if stops.shape[0] != starts.shape[0] or stops.strides[0] != starts.strides[0]:
        raise ValueError("starts and stops of different shapes")
    bounds = np.zeros(count + 1, np.int32)
    if not count:
        return bounds, np.zeros(0, np.uint8)
    cdef int32_t[::1] offsets = bounds
    with nogil:
        wrong = text_offsets(size, &starts[0], &stops[0], step, count, &offsets[0])
    if wrong:
        raise ValueError("fields outside the data" if wrong == -1 else "fields of more than 2 GiB")
    total = int(bounds[count])
    texts = np.empty(total + 32, np.uint8)
    cdef uint8_t[::1] out = texts
    if total:
        with nogil:
            text_gather(&data[0], size, &starts[0], step, count, &offsets[0], &out[0])
    return bounds, texts[:total]


cdef _checked(const uint8_t[::1] data, const int32_t[::1] offsets):
    """Whether the last offset lies in the data; those between come from Arrow and rise."""
    if offsets[0] < 0 or offsets[offsets.shape[0] - 1] > data.shape[0]:
        raise ValueError("offsets outside the data")


def decode_hex(const uint8_t[::1] data, const int32_t[::1] offsets, size_t width):
    cdef size_t count = offsets.shape[0] - 1
    values, states = np.empty((count, width), np.uint8), np.empty(count, np.uint8)
    if not count or not data.shape[0]:
        values[:], states[:] = 0, 0
        return values, states
    _checked(data, offsets)
    cdef uint8_t[:, ::1] out = values
    cdef uint8_t[::1] state = states
    with nogil:
        text_hex(&data[0], &offsets[0], count, width, &out[0, 0], &state[0])
    return values, states


def encode_hex(const uint8_t[::1] values, bytes digits):
    cdef size_t size = values.shape[0]
    cdef const uint8_t[::1] table = digits
    chars = np.empty(2 * size, np.uint8)
    if table.shape[0] != 16:
        raise ValueError("not 16 digits")
    cdef uint8_t[::1] out = chars
    if size:
        with nogil:
            text_encode_hex(&values[0], size, &table[0], &out[0])
    return chars


def decode_base64(const uint8_t[::1] data, const int32_t[::1] offsets, size_t width, bytes sextets):
    cdef size_t count = offsets.shape[0] - 1
    cdef const uint8_t[::1] table = sextets
    values, states = np.empty((count, width), np.uint8), np.empty(count, np.uint8)
    if not count or not data.shape[0]:
        values[:], states[:] = 0, 0
        return values, states
    _checked(data, offsets)
    cdef uint8_t[:, ::1] out = values
    cdef uint8_t[::1] state = states
    with nogil:
        text_base64(&data[0], &offsets[0], count, width, &table[0], &out[0, 0], &state[0])
    return values, states
