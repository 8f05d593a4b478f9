/* A file in memory, on huge pages where the system has them. */
#ifndef HASHLIB_INTEROP_MAPPING_H
#define HASHLIB_INTEROP_MAPPING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* The next multiple of a power of two. */
static inline uintptr_t mapping_round(uintptr_t address, uintptr_t unit) {
    return (address + unit - 1) & ~(unit - 1);
}

/* Ask for huge pages, which must be before the first touch, and perhaps for all pages now. Refusals do no harm. */
static void mapping_advise(void *start, size_t length, int prefault) {
#ifdef MADV_HUGEPAGE
    (void)madvise(start, length, MADV_HUGEPAGE);
#endif
    if (!prefault) return;
#ifdef MADV_POPULATE_READ
    if (madvise(start, length, MADV_POPULATE_READ) == 0) return;
#endif
    (void)madvise(start, length, MADV_WILLNEED);
}

/* Map the first `length` bytes of a file, read-only; NULL and errno where that fails.
 *
 * The address is a multiple of 2 MiB, or huge pages would not fit: room is reserved, the file is mapped into it,
 * and what is over is given back. */
static uint8_t *mapping_open(int file, size_t length, int prefault) {
    const uintptr_t huge = (uintptr_t)2 << 20, page = (uintptr_t)sysconf(_SC_PAGESIZE);
    if (length > SIZE_MAX / 2) length = SIZE_MAX / 2; /* no sum below wraps, and mmap refuses it */
    uint8_t *room = mmap(NULL, length + huge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED) return NULL;
    uint8_t *start = (uint8_t *)mapping_round((uintptr_t)room, huge);
    if (mmap(start, length, PROT_READ, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED) {
        munmap(room, length + huge);
        return NULL;
    }
    uint8_t *end = (uint8_t *)mapping_round((uintptr_t)start + length, page);
    uint8_t *stop = (uint8_t *)mapping_round((uintptr_t)room + length + huge, page);
    if (start > room) munmap(room, (size_t)(start - room));
    if (stop > end) munmap(end, (size_t)(stop - end));
    mapping_advise(start, length, prefault);
    return start;
}

#endif
