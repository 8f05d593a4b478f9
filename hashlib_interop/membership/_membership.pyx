# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled core of membership; `_membership.pyi` says what each thing is. Not made for Python without the
GIL: while one digest is looked up, the GIL keeps `close` away."""

import os

import numpy as np

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from libc.errno cimport errno
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free
from posix.mman cimport munmap

from hashlib_interop.errors import FileFault, MalformedInput
from hashlib_interop.membership.hset_file import drifts
from hashlib_interop.membership.digest_value import as_bytes
from hashlib_interop.membership.threads import each


cdef extern from "Python.h":
    bint PyUnicode_CheckExact(object text)
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    const uint8_t *PyUnicode_1BYTE_DATA(object text)


cdef extern from "../core/membership.h" nogil:
    int simd_most
    int foreseen(int condition)
    int membership_unhex(const uint8_t *text, size_t width, uint8_t *digest)

    ctypedef int64_t group_find(const group_t *group, const uint8_t *digest) noexcept nogil
    ctypedef void group_batch(const group_t *group, const uint8_t *digests, size_t count, int64_t *ranks, uint8_t *there) noexcept nogil
    ctypedef struct group_t "struct group":
        group_find *find
        group_batch *batch
        uint64_t n
        size_t width
        const uint8_t *lines
        const uint8_t *records
        const uint8_t *drift
        uint64_t home, total
        size_t rest_width
        size_t skipped "from"
        const uint8_t *keys
        const uint8_t *radix
        unsigned bits
    void lines_choose(group_t *group)
    uint64_t lines_expected(const group_t *group, const uint8_t *digest)
    void sorted_choose(group_t *group)
    int group_list(const group_t *group, uint64_t start, uint64_t stop, uint8_t *out)

    ctypedef struct lines_build "struct lines_build":
        uint8_t *lines
        uint64_t home, total, count
        size_t width, rest_width
        unsigned longest
    int lines_begin(lines_build *build, size_t width, uint64_t home, size_t rest_width)
    int lines_add(lines_build *build, const uint8_t *digests, size_t count, uint8_t *rest)
    int lines_end(lines_build *build)
    int BUILD_NO_MEMORY, BUILD_OUT_OF_ORDER, CHAIN_LINES, LINE_BYTES

    uint8_t *mapping_open(int file, size_t length, int prefault)
    uint64_t c_limit_lines "limit_lines"(const uint8_t *data, uint64_t lines, const uint8_t *queries, size_t count, uint64_t seed, int design)
    uint64_t c_limit_pairs "limit_pairs"(const uint8_t *data, uint64_t lines, const uint8_t *records, uint64_t n, size_t stride, size_t count, uint64_t seed, int design)


cdef enum:
    MOST_WIDTH = 64
    MOST_GROUPS = 6
    PADDING = 64  # zero bytes before and after what REST and KEYS hold

WIDTHS = (16, 20, 28, 32, 48, 64)
LEAST_PART = 1 << 14  # digests that are worth a task of their own: about 0.2 ms


def allow(str instructions):
    global simd_most
    simd_most = ("scalar", "avx2", "avx512").index(instructions)


# Memory --------------------------------------------------------------------------------------------------


cdef class Mapping:
    cdef uint8_t *start
    cdef readonly size_t length
    cdef Py_ssize_t users
    cdef bint closed

    def __init__(self, int fileno, size_t length, bint prefault=False):
        if self.start != NULL:
            raise ValueError("mapped already")
        if not 0 < length <= os.fstat(fileno).st_size:
            raise MalformedInput(f"has not the {length} bytes that are to be mapped: copy it again")
        with nogil:
            self.start = mapping_open(fileno, length, prefault)
        if self.start == NULL:
            raise FileFault(f"cannot be mapped: {os.strerror(errno)}")
        self.length = length

    def __len__(self):
        return self.length

    def __getbuffer__(self, Py_buffer *view, int flags):
        if self.closed or self.start == NULL:
            raise ValueError("the mapping is closed")
        PyBuffer_FillInfo(view, self, self.start, self.length, 1, flags)
        self.users += 1

    def __releasebuffer__(self, Py_buffer *view):
        self.users -= 1
        if self.closed and not self.users:
            self._unmap()

    def close(self):
        self.closed = True
        if not self.users:
            self._unmap()

    cdef void _unmap(self):
        if self.start != NULL:
            munmap(self.start, self.length)
            self.start = NULL

    def __dealloc__(self):
        self._unmap()


cdef class Block:
    """Memory of malloc, as a buffer."""
    cdef uint8_t *start
    cdef size_t length

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.start, self.length, 0, flags)

    def __dealloc__(self):
        free(self.start)


# Lookups -------------------------------------------------------------------------------------------------


cdef class Table:
    cdef readonly tuple groups
    cdef readonly bint closed
    cdef Py_buffer view
    cdef bint held
    cdef Py_ssize_t users
    cdef group_t items[MOST_GROUPS]
    cdef const group_t *of_width[MOST_WIDTH + 1]

    def __cinit__(self):
        self.closed = True

    def __init__(self, buffer, groups):
        if self.groups is not None:
            raise ValueError("opened already")
        self.groups = tuple(groups)
        PyObject_GetBuffer(buffer, &self.view, PyBUF_SIMPLE)
        self.held = True
        if len(self.groups) > MOST_GROUPS:
            raise MalformedInput("has too many groups")
        for index, group in enumerate(self.groups):
            self._take(&self.items[index], group)
        self.closed = False

    cdef _take(self, group_t *item, group):
        """Keep the places of a group that are inside the buffer."""
        if group.width not in WIDTHS or self.of_width[group.width] != NULL or not 0 <= group.n <= 1 << 40:
            raise MalformedInput("has groups that are none: copy it again")
        item.n, item.width = group.n, group.width
        if group.layout:
            self._take_lines(item, group)
        else:
            self._take_sorted(item, group)
        self.of_width[item.width] = item

    cdef _take_lines(self, group_t *item, group):
        lines = group.home_lines + group.overflow_lines
        if not (0 < group.home_lines <= lines < 1 << 32 and group.width - 8 < group.rest < group.width):
            raise MalformedInput("has lines that are none: copy it again")
        item.home, item.total, item.rest_width = group.home_lines, lines, group.rest
        item.lines = self._inside(group.lines, lines * LINE_BYTES)
        item.drift = self._inside(group.drift, 2 * drifts(group.home_lines))
        item.skipped = group.width - group.rest
        item.records = self._inside(group.rest_span, group.n * group.rest + 2 * PADDING)
        item.records += PADDING - item.skipped
        lines_choose(item)

    cdef _take_sorted(self, group_t *item, group):
        if not 0 <= group.radix_bits <= 32:
            raise MalformedInput("has a table that is none: copy it again")
        item.bits = group.radix_bits
        item.keys = self._inside(group.keys, group.n * group.width + 2 * PADDING) + PADDING
        item.radix = self._inside(group.radix, 8 * ((1 << group.radix_bits) + 1))
        sorted_choose(item)

    cdef const uint8_t *_inside(self, span, length) except NULL:
        """The address of a span; in Python's integers, which do not wrap."""
        if span is None or span.length != length or span.offset < 0 or span.offset + length > self.view.len:
            raise MalformedInput("has sections outside the file: copy it again")
        return <const uint8_t *>self.view.buf + <size_t>span.offset

    # One digest ------------------------------------------------------------------------------------------

    def __contains__(self, digest):
        # Bytes go the shortest way: the fewer instructions, the earlier the processor sees the next digest.
        cdef const group_t *group
        if PyBytes_CheckExact(digest) and PyBytes_GET_SIZE(digest) <= MOST_WIDTH:
            group = self.of_width[PyBytes_GET_SIZE(digest)]
            if group != NULL:
                return foreseen(group.find(group, <const uint8_t *>PyBytes_AS_STRING(digest)) >= 0)
        return self._find(digest) >= 0

    def find(self, digest):
        return self._find(digest)

    def expected(self, bytes digest):
        cdef const group_t *group = self.of_width[len(digest)] if len(digest) <= MOST_WIDTH else NULL
        if group == NULL or group.lines == NULL:
            raise KeyError("no lines of this width")
        return lines_expected(group, <const uint8_t *>PyBytes_AS_STRING(digest))

    cdef int64_t _find(self, object digest) except -2:
        cdef const group_t *group
        cdef Py_ssize_t size
        cdef uint8_t value[MOST_WIDTH]
        if PyUnicode_CheckExact(digest) and PyUnicode_IS_COMPACT_ASCII(digest):
            size = PyUnicode_GET_LENGTH(digest)
            if size <= 2 * MOST_WIDTH and not size & 1:
                group = self.of_width[size >> 1]
                if group != NULL and membership_unhex(PyUnicode_1BYTE_DATA(digest), size >> 1, value):
                    return group.find(group, value)
        elif PyBytes_CheckExact(digest) and PyBytes_GET_SIZE(digest) <= MOST_WIDTH:
            group = self.of_width[PyBytes_GET_SIZE(digest)]
            if group != NULL:
                return group.find(group, <const uint8_t *>PyBytes_AS_STRING(digest))
        return self._find_other(digest)

    cdef int64_t _find_other(self, object digest) except -2:
        """A digest that has no group, comes as something else, or is none; or the table is closed."""
        cdef bytes value = as_bytes(digest)
        if self.closed:
            raise ValueError("the set is closed")
        cdef const group_t *group = self.of_width[len(value)] if len(value) <= MOST_WIDTH else NULL
        return group.find(group, <const uint8_t *>PyBytes_AS_STRING(value)) if group != NULL else -1

    # Many ------------------------------------------------------------------------------------------------

    def contains(self, digests, int threads=1, width=None):
        from hashlib_interop.membership.digest_keys import keys_of

        keys, valid = keys_of(digests, width)
        there = np.empty(len(keys), np.bool_)
        if not self._look_up(keys, threads, None, there.view(np.uint8)):
            there[:] = False
        if valid is not None:
            there &= valid
        return there

    def rank(self, digests, int threads=1, width=None):
        from hashlib_interop.membership.digest_keys import keys_of

        keys, valid = keys_of(digests, width)
        ranks = np.empty(len(keys), np.int64)
        if not self._look_up(keys, threads, ranks, None):
            ranks[:] = -1
        if valid is not None:
            ranks[~valid] = -1
        return ranks

    cdef _look_up(self, keys, int threads, ranks, there):
        """Fill in one of the two; return whether there is a group for the width."""
        if threads < 1:
            raise ValueError("threads: at least one")
        place = self._enter(keys.shape[1])
        try:
            if place >= 0 and len(keys):
                self._split(place, keys, threads, ranks, there)
        finally:
            self._leave()
        return place >= 0

    def _split(self, place, keys, int threads, ranks, there):
        """One part; of several threads, four for each, so that none waits long for the last one."""
        size = max(-(-len(keys) // (4 * threads)), LEAST_PART) if threads > 1 else len(keys)

        def part(start):
            cut = slice(start, start + size)
            self._enter(keys.shape[1])  # of its own: who asked may be gone, by Ctrl-C, while a thread still looks
            try:
                self._part(place, keys[cut], *(None if out is None else out[cut] for out in (ranks, there)))
            finally:
                self._leave()

        each(part, range(0, len(keys), size), threads)

    def _part(self, int place, const uint8_t[:, ::1] keys, int64_t[::1] ranks, uint8_t[::1] there):
        cdef const group_t *group = &self.items[place]
        cdef int64_t *to_ranks = &ranks[0] if ranks is not None else NULL
        cdef uint8_t *to_there = &there[0] if there is not None else NULL
        with nogil:
            group.batch(group, &keys[0, 0], keys.shape[0], to_ranks, to_there)

    def digests(self, size_t width, start, stop):
        place = self._enter(width)
        try:
            if place < 0:
                raise KeyError(f"no digests of {width} bytes")
            if not 0 <= start <= stop <= self.items[<int>place].n:
                raise IndexError(f"no ranks {start} to {stop} of {self.items[<int>place].n}")
            return self._list(place, start, stop)
        finally:
            self._leave()

    cdef _list(self, int place, uint64_t start, uint64_t stop):
        cdef const group_t *group = &self.items[place]
        cdef uint8_t[:, ::1] out
        cdef int whole
        digests = np.empty((stop - start, group.width), np.uint8)
        if start == stop:
            return digests
        out = digests
        with nogil:
            whole = group_list(group, start, stop, &out[0, 0])
        if not whole:
            raise MalformedInput("the set is damaged: verify it")
        return digests

    # The end ---------------------------------------------------------------------------------------------

    cdef _enter(self, size_t width):
        """Keep the buffer until `_leave`; return the number of the group of a width, or -1."""
        if self.closed:
            raise ValueError("the set is closed")
        self.users += 1
        if width > MOST_WIDTH or self.of_width[width] == NULL:
            return -1
        return self.of_width[width] - self.items

    cdef _leave(self):
        self.users -= 1
        if self.closed:
            self._release()

    def close(self):
        cdef int width
        self.closed = True
        for width in range(MOST_WIDTH + 1):
            self.of_width[width] = NULL
        self._release()

    cdef void _release(self):
        if self.held and not self.users:
            self.held = False
            PyBuffer_Release(&self.view)

    def __dealloc__(self):
        self._release()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close()


# Building ------------------------------------------------------------------------------------------------


cdef class LinesBuilder:
    cdef lines_build build

    def __init__(self, size_t width, uint64_t home_lines, size_t rest):
        if self.build.lines != NULL:
            raise ValueError("begun already")
        if width not in WIDTHS or not 0 < home_lines < 1 << 32 or not width - 8 < rest < width:
            raise ValueError("no geometry of lines")
        if lines_begin(&self.build, width, home_lines, rest):
            raise MemoryError

    @property
    def count(self):
        return self.build.count

    @property
    def longest(self):
        return self.build.longest

    def add(self, digests):
        cdef const uint8_t[:, ::1] keys = np.ascontiguousarray(digests)
        cdef uint8_t[:, ::1] out
        cdef int state
        if self.build.lines == NULL or <size_t>keys.shape[1] != self.build.width:
            raise ValueError("digests of another width, or the building has ended")
        rest = np.empty((keys.shape[0], self.build.rest_width), np.uint8)
        if keys.shape[0]:
            out = rest
            with nogil:
                state = lines_add(&self.build, &keys[0, 0], keys.shape[0], &out[0, 0])
            _check(state)
        return rest

    def lines(self):
        cdef int state
        cdef Block block = Block.__new__(Block)
        if self.build.lines == NULL or self.build.longest > <unsigned>CHAIN_LINES:
            raise ValueError("a chain is too long, or the building has ended")
        with nogil:
            state = lines_end(&self.build)
        _check(state)
        if self.build.total >> 32:
            raise ValueError("more lines than a file can have")
        block.start, block.length = self.build.lines, self.build.total * LINE_BYTES
        self.build.lines = NULL
        return np.frombuffer(block, np.uint8).reshape(-1, LINE_BYTES)

    def __dealloc__(self):
        free(self.build.lines)


cdef _check(int state):
    if state == BUILD_NO_MEMORY:
        raise MemoryError
    if state == BUILD_OUT_OF_ORDER:
        raise ValueError("digests must rise")


# Limits --------------------------------------------------------------------------------------------------


cdef const uint8_t[::1] _lines_of(buffer, part):
    """The lines of a part of a buffer, by offset and length."""
    offset, length = part
    data = np.frombuffer(buffer, np.uint8)[offset : offset + length]
    if offset < 0 or length < LINE_BYTES or len(data) != length:
        raise ValueError("no lines there")
    return data


def limit_lines(buffer, tuple part, size_t count, uint64_t seed, const uint8_t[:, ::1] queries=None, bint design=False):
    cdef const uint8_t[::1] data = _lines_of(buffer, part)
    cdef const uint8_t *given = NULL
    cdef uint64_t total
    if queries is not None:
        if queries.shape[1] != 16 or not 0 < count <= <size_t>queries.shape[0]:
            raise ValueError("queries of 16 bytes, as many as there are to be lines")
        given = &queries[0, 0]
    with nogil:
        total = c_limit_lines(&data[0], data.shape[0] // LINE_BYTES, given, count, seed, design)
    return total


def limit_pairs(buffer, tuple part, tuple records, size_t stride, size_t count, uint64_t seed, bint design=False):
    cdef const uint8_t[::1] data = _lines_of(buffer, part)
    cdef const uint8_t[::1] held = _lines_of(buffer, records)
    cdef uint64_t total
    if not 8 <= stride <= LINE_BYTES:
        raise ValueError("records of 8 to 64 bytes")
    with nogil:
        total = c_limit_pairs(&data[0], data.shape[0] // LINE_BYTES, &held[0], held.shape[0] // stride, stride, count, seed, design)
    return total
