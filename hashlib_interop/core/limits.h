/* What memory allows: random lines, and pairs of a line and a record that is found in it. For benchmarks. */
#ifndef HASHLIB_INTEROP_LIMITS_H
#define HASHLIB_INTEROP_LIMITS_H

#include "group.h"

/* So far ahead, and to the second cache, that more gains nothing; what is no limit flatters. The design measured its limit
 * 32 lines ahead and to the first cache, which takes twice as long where the second can have some 50 under way. */
enum { LIMIT_AHEAD = 128, LIMIT_DESIGN = 32, LIMIT_RING = 256, LIMIT_LINE = 64, LIMIT_QUERY = 16, LIMIT_EARLY = 4096 };

ALWAYS_INLINE void limit_send_for(const uint8_t *line, const size_t ahead) {
    if (ahead == LIMIT_DESIGN) PREFETCH(line);
    else PREFETCH_MANY(line);
}

/* The same of a record, of which the design sent for both ends, whether they are one line or two. */
ALWAYS_INLINE void limit_send_for_record(const uint8_t *record, size_t stride, const size_t ahead) {
    if (ahead != LIMIT_DESIGN) {
        prefetch_span(record, record + stride - 1);
        return;
    }
    PREFETCH(record);
    PREFETCH(record + stride - 1);
}

/* A number of a sequence that is random enough (splitmix64, its last step left out). */
ALWAYS_INLINE uint64_t limit_random(uint64_t i) {
    uint64_t z = i * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    return z ^ z >> 29;
}

/* Where one of `count` things is that follow each other, by a random number. */
ALWAYS_INLINE uint64_t limit_place(uint64_t random, uint64_t count, size_t stride) {
    return (uint64_t)((unsigned __int128)random * count >> 64) * stride;
}

/* Read `count` random lines, each prefetched; the sum is there so that they are read. With `queries`, of 16 bytes,
 * the lines are theirs, and they are read, too. */
ALWAYS_INLINE uint64_t limit_read(const uint8_t *data, uint64_t lines, const uint8_t *queries, size_t count,
                                  uint64_t seed, const size_t ahead) {
    uint64_t ring[LIMIT_RING], sum = 0;
    for (size_t i = 0; i < count + ahead; i++) {
        if (LIKELY(i >= ahead)) sum += load64(data + ring[(i - ahead) % LIMIT_RING]);
        if (queries && i >= count) continue;
        if (queries && i % (LIMIT_LINE / LIMIT_QUERY) == 0)
            PREFETCH_MANY((uintptr_t)queries + i * LIMIT_QUERY + LIMIT_EARLY);
        const uint64_t random = queries ? load64(queries + i * LIMIT_QUERY) : limit_random(seed + i);
        const uint64_t place = limit_place(random, lines, LIMIT_LINE);
        ring[i % LIMIT_RING] = place;
        limit_send_for(data + place, ahead);
    }
    return sum;
}

static uint64_t limit_lines(const uint8_t *data, uint64_t lines, const uint8_t *queries, size_t count,
                            uint64_t seed, int design) {
    if (queries) return limit_read(data, lines, queries, count, 0, LIMIT_AHEAD);
    if (design) return limit_read(data, lines, NULL, count, seed, LIMIT_DESIGN);
    return limit_read(data, lines, NULL, count, seed, LIMIT_AHEAD);
}

/* Read `count` pairs: which of the records, of `stride` bytes, depends on what the line holds. One in five of them,
 * or so, lies across the end of a line of memory, and takes two. */
ALWAYS_INLINE uint64_t limit_read_pairs(const uint8_t *data, uint64_t lines, const uint8_t *records, uint64_t n,
                                        size_t stride, size_t count, uint64_t seed, const size_t ahead) {
    uint64_t near[LIMIT_RING], far[LIMIT_RING], sum = 0;
    for (size_t i = 0; i < count + 2 * ahead; i++) {
        const uint64_t place = limit_place(limit_random(seed + i), lines, LIMIT_LINE);
        near[i % LIMIT_RING] = place;
        limit_send_for(data + place, ahead);
        if (LIKELY(i >= ahead)) {
            const uint64_t word = load64(data + near[(i - ahead) % LIMIT_RING]);
            const uint64_t next = limit_place(limit_random(word + i), n, stride);
            far[(i - ahead) % LIMIT_RING] = next;
            limit_send_for_record(records + next, stride, ahead);
        }
        if (LIKELY(i >= 2 * ahead)) {
            const uint8_t *record = records + far[(i - 2 * ahead) % LIMIT_RING];
            sum += load64(record) + load64(record + stride - 8);
        }
    }
    return sum;
}

static uint64_t limit_pairs(const uint8_t *data, uint64_t lines, const uint8_t *records, uint64_t n, size_t stride,
                            size_t count, uint64_t seed, int design) {
    if (design) return limit_read_pairs(data, lines, records, n, stride, count, seed, LIMIT_DESIGN);
    return limit_read_pairs(data, lines, records, n, stride, count, seed, LIMIT_AHEAD);
}

#endif
