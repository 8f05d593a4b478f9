/* What memory allows: random lines, and pairs of lines of which the second is found in the first. For benchmarks. */
#ifndef HASHLIB_INTEROP_LIMITS_H
#define HASHLIB_INTEROP_LIMITS_H

#include "group.h"

/* So far ahead that more gains nothing. With 32, a random line takes 1.6 times as long on a machine that can have some
 * 50 under way, and what is no limit flatters. */
enum { LIMIT_AHEAD = 128, LIMIT_RING = 2 * LIMIT_AHEAD, LIMIT_LINE = 64, LIMIT_QUERY = 16, LIMIT_EARLY = 4096 };

/* A number of a sequence that is random enough (splitmix64, its last step left out). */
ALWAYS_INLINE uint64_t limit_random(uint64_t i) {
    uint64_t z = i * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    return z ^ z >> 29;
}

/* Where one of `lines` lines is, by a random number. */
ALWAYS_INLINE uint64_t limit_place(uint64_t random, uint64_t lines) {
    return (uint64_t)((unsigned __int128)random * lines >> 64) * LIMIT_LINE;
}

/* Read `count` random lines, each prefetched; the sum is there so that they are read. With `queries`, of 16 bytes,
 * the lines are theirs, and they are read, too. */
ALWAYS_INLINE uint64_t limit_read(const uint8_t *data, uint64_t lines, const uint8_t *queries, size_t count,
                                  uint64_t seed) {
    uint64_t ring[LIMIT_RING], sum = 0;
    for (size_t i = 0; i < count + LIMIT_AHEAD; i++) {
        if (LIKELY(i >= LIMIT_AHEAD)) sum += load64(data + ring[(i - LIMIT_AHEAD) % LIMIT_RING]);
        if (queries && i >= count) continue;
        if (queries && i % (LIMIT_LINE / LIMIT_QUERY) == 0)
            PREFETCH_MANY((uintptr_t)queries + i * LIMIT_QUERY + LIMIT_EARLY);
        const uint64_t random = queries ? load64(queries + i * LIMIT_QUERY) : limit_random(seed + i);
        const uint64_t place = limit_place(random, lines);
        ring[i % LIMIT_RING] = place;
        PREFETCH_MANY(data + place);
    }
    return sum;
}

static uint64_t limit_lines(const uint8_t *data, uint64_t lines, const uint8_t *queries, size_t count,
                            uint64_t seed) {
    if (queries) return limit_read(data, lines, queries, count, 0);
    return limit_read(data, lines, NULL, count, seed);
}

/* Read `count` pairs: where the second line is, in its own data, depends on what the first one holds. */
static uint64_t limit_pairs(const uint8_t *first, uint64_t first_lines, const uint8_t *second,
                            uint64_t second_lines, size_t count, uint64_t seed) {
    uint64_t near[LIMIT_RING], far[LIMIT_RING], sum = 0;
    for (size_t i = 0; i < count + 2 * LIMIT_AHEAD; i++) {
        const uint64_t place = limit_place(limit_random(seed + i), first_lines);
        near[i % LIMIT_RING] = place;
        PREFETCH_MANY(first + place);
        if (LIKELY(i >= LIMIT_AHEAD)) {
            const uint64_t word = load64(first + near[(i - LIMIT_AHEAD) % LIMIT_RING]);
            const uint64_t next = limit_place(limit_random(word + i), second_lines);
            far[(i - LIMIT_AHEAD) % LIMIT_RING] = next;
            PREFETCH_MANY(second + next);
        }
        if (LIKELY(i >= 2 * LIMIT_AHEAD)) sum += load64(second + far[(i - 2 * LIMIT_AHEAD) % LIMIT_RING]);
    }
    return sum;
}

#endif
