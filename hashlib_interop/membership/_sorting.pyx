# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""The compiled kernels of `sorting.py`, which says what each does and does it in numpy without them."""

import numpy as np

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memmove, memset


cdef extern from "../core/hexlines.h" nogil:
    int simd_most
    ctypedef struct hexlines:
        const uint8_t *data
        size_t size, at
        int final, trailing, skip
        int64_t lines, empty
        uint8_t *digests
        int64_t *numbers
        int64_t *starts
        int64_t *stops
        size_t count
        int64_t *bad_numbers
        int64_t *bad_starts
        size_t bad, bad_room
    ctypedef int hexlines_function(hexlines *h)
    hexlines_function *hexlines_of_width(size_t width)
    int HEXLINES_BAD, HEXLINES_FULL


cdef extern from "../core/sort.h" nogil:
    ctypedef struct sort_room:
        uint64_t tails[256]
    ctypedef struct sort_bucket:
        uint64_t next, first, end
    ctypedef size_t sort_function(uint8_t *start, size_t n, uint8_t *spare, size_t bit, uint8_t *to, sort_room *room)
    ctypedef struct sort_functions:
        size_t width
        sort_function *range
        void (*count)(const uint8_t *start, size_t n, size_t bit, size_t bits, uint64_t *counts) noexcept nogil
        int (*scatter)(const uint8_t *start, size_t n, size_t bit, size_t bits, uint8_t *to, sort_bucket *buckets, uint8_t *lines) noexcept nogil
        size_t (*split)(uint8_t *start, size_t n, size_t *bit, sort_room *room) noexcept nogil
        size_t (*differing)(const uint8_t *records, size_t n) noexcept nogil
    const sort_functions *sort_of_width(size_t width)
    size_t sort_line_stride(size_t w)


cdef enum:
    MOST_BITS = 11  # of sort_scatter: its buffers have to stay in the cache
    BAD_ROOM = 4096

ROOM = sizeof(sort_room)


def allow(str instructions):
    global simd_most
    simd_most = ("scalar", "avx2", "avx512").index(instructions)


cdef const sort_functions *_functions(size_t width) except NULL:
    cdef const sort_functions *found = sort_of_width(width)
    if found is NULL:
        raise ValueError(f"no records of {width} bytes")
    return found


cdef void *_room(size_t size) except NULL:
    cdef void *room = malloc(size)
    if room is NULL:
        raise MemoryError
    return room


cdef _check_digit(size_t width, size_t bit, size_t bits):
    if not 1 <= bits <= MOST_BITS or bit + bits > 8 * width:
        raise ValueError("bits outside the records")


def differing(const uint8_t[:, ::1] records):
    cdef const sort_functions *functions = _functions(records.shape[1])
    cdef size_t n = records.shape[0], bit = 0
    if n:
        with nogil:
            bit = functions.differing(&records[0, 0], n)
    return bit


def count(const uint8_t[:, ::1] records, size_t bit, size_t bits):
    cdef const sort_functions *functions = _functions(records.shape[1])
    cdef size_t n = records.shape[0]
    _check_digit(records.shape[1], bit, bits)
    counts = np.zeros(1 << bits, np.uint64)
    cdef uint64_t[::1] out = counts
    if n:
        with nogil:
            functions.count(&records[0, 0], n, bit, bits, &out[0])
    return counts


def scatter(const uint8_t[:, ::1] records, size_t bit, size_t bits, uint8_t[:, ::1] out, const uint64_t[::1] starts, const uint64_t[::1] ends):
    cdef size_t n = records.shape[0], width = records.shape[1], buckets = (<size_t>1) << bits, b, last = 0
    cdef const sort_functions *functions = _functions(width)
    cdef int wrong = 0
    _check_digit(width, bit, bits)
    if out.shape[1] != <Py_ssize_t>width or starts.shape[0] != <Py_ssize_t>buckets or ends.shape[0] != <Py_ssize_t>buckets:
        raise ValueError("arrays of different shapes")
    if not n:
        return
    if <size_t>&out[0, 0] % 64:
        raise ValueError("records that are not aligned to 64 bytes")
    cdef size_t lines_size = buckets * sort_line_stride(width) + 64
    cdef uint8_t *room = <uint8_t *>_room(buckets * sizeof(sort_bucket) + lines_size)
    cdef sort_bucket *places = <sort_bucket *>room
    cdef uint8_t *lines = room + buckets * sizeof(sort_bucket)
    lines += (64 - <size_t>lines % 64) % 64
    try:
        for b in range(buckets):
            if starts[b] > ends[b] or ends[b] > <uint64_t>out.shape[0]:
                raise ValueError("buckets outside the array")
            places[b].next = places[b].first = starts[b] * width
            places[b].end = ends[b] * width
        with nogil:
            wrong = functions.scatter(&records[0, 0], n, bit, bits, &out[0, 0], places, lines)
    finally:
        free(room)
    if wrong:
        raise ValueError("the records changed while they were sorted")


def split(uint8_t[:, ::1] records):
    cdef const sort_functions *functions = _functions(records.shape[1])
    cdef size_t n = records.shape[0], bit = 0, bits = 0
    if not n:
        return np.zeros(1, np.uint64), 0
    cdef sort_room *room = <sort_room *>_room(sizeof(sort_room))
    try:
        with nogil:
            bits = functions.split(&records[0, 0], n, &bit, room)
        ends = [room.tails[b] for b in range(1 << bits)] if bits else [n]
    finally:
        free(room)
    return np.array([0, *ends], np.uint64), bit + bits


def finish(uint8_t[:, ::1] records, const uint64_t[::1] bounds, size_t bit):
    cdef size_t width = records.shape[1], buckets = bounds.shape[0] - 1, b, done = 0
    cdef const sort_functions *functions = _functions(width)
    for b in range(buckets):
        if bounds[b] > bounds[b + 1] or bounds[b + 1] > <uint64_t>records.shape[0] or bit > 8 * width:
            raise ValueError("buckets outside the records")
    if not records.shape[0]:
        return 0
    cdef uint8_t *all = &records[0, 0]
    cdef uint8_t *to = all + bounds[0] * width
    cdef sort_room *room = <sort_room *>_room(sizeof(sort_room))
    with nogil:
        for b in range(buckets):
            if bounds[b + 1] > bounds[b]:
                done += functions.range(all + bounds[b] * width, bounds[b + 1] - bounds[b], NULL, bit, to + done * width, room)
    free(room)
    return done


def close_up(uint8_t[:, ::1] records, size_t start, size_t n, size_t to):
    cdef size_t most = records.shape[0], width = records.shape[1]
    if start > most or n > most - start or to > start:
        raise ValueError("records outside the array")
    if n:
        with nogil:
            memmove(&records[to, 0], &records[start, 0], n * width)


def hex_lines(data, size_t width, bint final, bint trailing, bint skip_bad, bint places):
    # Buffers, not views of arrays: made for every block of a text, those take as long as a thousand lines.
    cdef hexlines_function *decode = hexlines_of_width(width)
    if decode is NULL:
        raise ValueError(f"no digests of {width} bytes")
    cdef Py_buffer text, room
    PyObject_GetBuffer(data, &text, PyBUF_SIMPLE)
    try:
        digests = np.empty((<size_t>(text.len + 1) // (2 * width + 1) + 1, width), np.uint8)
        PyObject_GetBuffer(digests, &room, PyBUF_WRITABLE)
        try:
            return _hex_lines(decode, &text, &room, digests, final, trailing, skip_bad, places)
        finally:
            PyBuffer_Release(&room)
    finally:
        PyBuffer_Release(&text)


cdef _hex_lines(
    hexlines_function *decode, Py_buffer *text, Py_buffer *room, digests, bint final, bint trailing, bint skip_bad, bint places
):
    cdef hexlines h
    cdef int state = HEXLINES_FULL
    cdef int64_t[:, ::1] noted_rows, bad_rows
    memset(&h, 0, sizeof(h))
    h.size, h.digests = text.len, <uint8_t *>room.buf
    h.data = <const uint8_t *>text.buf if text.len else h.digests  # that of nothing may be NULL
    h.final, h.trailing, h.skip = final, trailing, skip_bad
    noted, bad, waiting = None, None, []
    if places:
        noted = np.empty((3, len(digests)), np.int64)
        noted_rows = noted
        h.numbers, h.starts, h.stops = &noted_rows[0, 0], &noted_rows[1, 0], &noted_rows[2, 0]
    if skip_bad:
        bad = np.empty((2, BAD_ROOM), np.int64)
        bad_rows = bad
        h.bad_numbers, h.bad_starts, h.bad_room = &bad_rows[0, 0], &bad_rows[1, 0], BAD_ROOM
    while state == HEXLINES_FULL:
        with nogil:
            state = decode(&h)
        if h.bad:
            waiting.append(bad[:, :h.bad].copy())
            h.bad = 0
    if places:
        noted = noted[:, :h.count]
    return digests[:h.count], noted, waiting, h.at, h.lines, h.empty, state == HEXLINES_BAD
