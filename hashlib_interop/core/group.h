/* One group of digests, as lookups see it, in either layout (docs/hset-format.md). */
#ifndef HASHLIB_INTEROP_GROUP_H
#define HASHLIB_INTEROP_GROUP_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "simd.h"

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ || !defined(__SIZEOF_INT128__)
#error "made for gcc or clang on a little-endian machine of 64 bits; elsewhere the numpy reader serves"
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define NEVER_INLINE static __attribute__((noinline))
#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define PREFETCH(address) __builtin_prefetch((address), 0, 3)
/* To the second cache: more of these can be under way at once than of those to the first, and that is the rate
 * of a batch in lines. What is sent for one at a time goes to the first. */
#define PREFETCH_MANY(address) __builtin_prefetch((const void *)(address), 0, 2)

/* PREFETCH_MANY of a few bytes that may lie across the end of a line of memory. What is sent for again while it is on its
 * way takes room as another line would, and costs more than a branch that cannot be predicted. */
ALWAYS_INLINE void prefetch_span(const uint8_t *first, const uint8_t *last) {
    PREFETCH_MANY(first);
    if (UNLIKELY(((uintptr_t)first ^ (uintptr_t)last) / 64)) PREFETCH_MANY(last);
}

/* Whether something holds, as a constant behind a branch. Where the branch can be predicted, what follows
 * goes on before memory has answered; for a value that is computed, all that follows would have to wait. */
ALWAYS_INLINE int foreseen(int condition) {
    if (!condition) return 0;
    __asm__ volatile(""); /* or the compiler computes it */
    return 1;
}


struct group;

/* The rank of a digest, or -1. */
typedef int64_t group_find(const struct group *group, const uint8_t *digest);

/* The ranks of `count` digests, -1 for those not there; or, where `ranks` is NULL, 1 or 0 into `there`. */
typedef void group_batch(const struct group *group, const uint8_t *digests, size_t count, int64_t *ranks,
                         uint8_t *there);

/* Whoever makes one has checked the spans; what they hold may be anything. */
struct group {
    group_find *find;
    group_batch *batch;
    uint64_t n;
    size_t width;
    /* layout 1 */
    const uint8_t *lines;    /* home lines, then those that overflow */
    const uint8_t *records;  /* where the first digest would begin, were all of it before its rest */
    const uint8_t *drift;    /* how far the ranks of every fourth home line are from those of an even list */
    uint64_t home, total;    /* NB, NB + NO */
    size_t rest_width, from; /* S; L - S, which is 1 to 7: the bytes that REST has not */
    /* layout 0 */
    const uint8_t *keys, *radix; /* padding, digests, padding; 2^bits + 1 ranks */
    unsigned bits;
};

ALWAYS_INLINE uint64_t load64(const uint8_t *from) {
    uint64_t value;
    memcpy(&value, from, 8);
    return value;
}

ALWAYS_INLINE uint32_t load32(const uint8_t *from) {
    uint32_t value;
    memcpy(&value, from, 4);
    return value;
}

ALWAYS_INLINE unsigned load16(const uint8_t *from) {
    uint16_t value;
    memcpy(&value, from, 2);
    return value;
}

/* 8 bytes of a digest as a number: numbers are ordered as digests are. */
ALWAYS_INLINE uint64_t load_big(const uint8_t *digest) { return __builtin_bswap64(load64(digest)); }

ALWAYS_INLINE void store_big(uint8_t *digest, uint64_t value) {
    value = __builtin_bswap64(value);
    memcpy(digest, &value, 8);
}

#endif
