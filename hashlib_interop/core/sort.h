/* Sort and dedupe of records of a fixed width by their bytes: radix sort from the most significant bit.
 *
 * Three steps, each right for a size. Beyond the cache, records go to up to 2^11 buckets in another array,
 * through a small buffer for each bucket that is written past the cache. A bucket that fits the scratch goes
 * back and forth between the two, by as many bits as leave about one record in a place; what is left is
 * insertion. A bucket that does not fit (skewed lists, sorting in place) is split where it lies, by bytes.
 *
 * No step costs more than a few passes over the records, each uses up bits in which they differ, and what is
 * inserted has SORT_SMALL records of a place at most: time is bounded by n * width, whatever the records. */
#ifndef HASHLIB_INTEROP_SORT_H
#define HASHLIB_INTEROP_SORT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define SORT_INLINE static inline __attribute__((always_inline))

enum { SORT_SMALL = 24, SORT_MOST_BITS = 14, SORT_LINE = 128, SORT_SCRATCH = 2 << 20, SORT_WIDEST = 80 };
enum { SORT_AHEAD = 4096 }; /* bytes: how early records beyond the cache are sent for */

/* What one thread needs beside the records. */
typedef struct {
    uint8_t spare[SORT_SCRATCH];
    uint32_t counts[1 << SORT_MOST_BITS];
    uint64_t heads[256], tails[256];
} sort_room;

/* Sorts n records (1 or more) that agree before `bit` into `to`, each once; returns how many those are. `to`
 * is `from` or lies before it in the same array. `spare` has room for them, or is NULL. */
typedef size_t sort_function(uint8_t *from, size_t n, uint8_t *spare, size_t bit, uint8_t *to,
                             sort_room *room);

/* Records ------------------------------------------------------------------------------------------ */

/* Eight bytes as a number that orders as they do. */
SORT_INLINE uint64_t sort_word(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* The byte of which `bit` is part, or the eighth from the end: a word can be read there. */
SORT_INLINE size_t sort_byte(size_t bit, size_t w) {
    return bit / 8 < w - 8 ? bit / 8 : w - 8;
}

/* The `bits` (1 to 24) bits of a record from `bit` on; they lie within it. */
SORT_INLINE size_t sort_digit(const uint8_t *record, size_t bit, size_t bits, size_t w) {
    const size_t at = sort_byte(bit, w);
    return (size_t)(sort_word(record + at) << (bit - 8 * at) >> (64 - bits));
}

/* Below, equal or above 0 as a is below, equal or above b; by words, of which the last may overlap. */
SORT_INLINE int sort_compare(const uint8_t *a, const uint8_t *b, size_t w) {
    for (size_t at = 0; at < w; at += 8) {
        const size_t here = sort_byte(8 * at, w);
        const uint64_t x = sort_word(a + here), y = sort_word(b + here);
        if (x != y) return x < y ? -1 : 1;
    }
    return 0;
}

/* The first bit in which any two of the records differ, which agree before `bit`; 8 * w: none. */
SORT_INLINE size_t sort_differing(const uint8_t *records, size_t n, size_t bit, size_t w) {
    size_t at = sort_byte(bit, w);
    for (;;) {
        const uint64_t first = sort_word(records + at);
        uint64_t differing = 0;
        for (size_t i = 1; i < n; i++) differing |= sort_word(records + i * w + at) ^ first;
        if (differing) return 8 * at + (size_t)__builtin_clzll(differing);
        if (at == w - 8) return 8 * w;
        at = sort_byte(8 * (at + 8), w);
    }
}

/* Where the records end that have the digit of record i, in records that are in order of their digits. */
SORT_INLINE size_t sort_run_end(const uint8_t *records, size_t i, size_t n, size_t bit, size_t bits,
                                size_t w) {
    const size_t digit = sort_digit(records + i * w, bit, bits, w);
    size_t low = i, high = n; /* low has the digit, high has not */
    for (size_t step = 1; low + step < high; step *= 2) {
        if (sort_digit(records + (low + step) * w, bit, bits, w) == digit) low += step;
        else high = low + step;
    }
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (sort_digit(records + middle * w, bit, bits, w) == digit) low = middle;
        else high = middle;
    }
    return high;
}

/* In the cache ------------------------------------------------------------------------------------- */

/* Put a record, whose word at `at` is `word`, to its place among the `count` of `to`, unless it is there;
 * return how many there are then. It is nearly always the last. */
SORT_INLINE size_t sort_put(const uint8_t *record, uint64_t word, size_t at, uint8_t *to, size_t count,
                            size_t w) {
    size_t place = count;
    if (__builtin_expect(count && word <= sort_word(to + (count - 1) * w + at), 0)) {
        int order = 1;
        while (place && (order = sort_compare(record, to + (place - 1) * w, w)) < 0) place--;
        if (order == 0) return count;
        for (size_t k = count; k > place; k--) memcpy(to + k * w, to + (k - 1) * w, w);
    }
    memcpy(to + place * w, record, w);
    return count + 1;
}

/* Put n records, nearly in order, one after another into `to`, each once; return how many there are. They
 * agree before `bit`. Words are compared that records are copied by: one that lay across two of these would
 * have to wait for both. Of two that follow each other the lower goes first, without a branch: that
 * settles most of what is out of order. Both are copied, because `to` may overtake where they came from. */
SORT_INLINE size_t sort_insert(const uint8_t *from, size_t n, size_t bit, uint8_t *to, size_t w) {
    const size_t at = sort_byte(bit, w) / 8 * 8;
    uint8_t pair[2][SORT_WIDEST];
    size_t count = 0, held = 0;
    uint64_t high = sort_word(from + at);
    memcpy(pair[0], from, w);
    for (size_t i = 1; i < n; i++) {
        const uint64_t word = sort_word(from + i * w + at);
        memcpy(pair[1 - held], from + i * w, w);
        const size_t lower = word < high;
        const uint64_t low = lower ? word : high;
        high = lower ? high : word;
        held ^= 1 - lower;
        count = sort_put(pair[1 - held], low, at, to, count, w);
    }
    return sort_put(pair[held], high, at, to, count, w);
}

/* How many bits to take at once of n records, at least 2: about one record a place (fewer have to be put in order,
 * more places have to be added up), or, where records are many, half of these bits. */
static inline size_t sort_bits(size_t n) {
    const size_t all = 63 - (size_t)__builtin_clzll(n + n / 2);
    return all < SORT_MOST_BITS ? all : (all + 1) / 2;
}

/* Count the digits, and put in their counts' place where those of each begin; return the greatest count. */
SORT_INLINE size_t sort_counted(const uint8_t *from, size_t n, size_t bit, size_t bits, uint32_t *counts,
                                size_t w) {
    uint32_t most = 0, next = 0;
    memset(counts, 0, sizeof *counts << bits);
    for (size_t i = 0; i < n; i++) counts[sort_digit(from + i * w, bit, bits, w)]++;
    for (size_t i = 0; i < (size_t)1 << bits; i++) {
        const uint32_t count = counts[i];
        most = count > most ? count : most;
        counts[i] = next;
        next += count;
    }
    return most;
}

/* Move the records to `spare` in order of their digits; `places` says where those of each begin. */
SORT_INLINE void sort_spread(const uint8_t *from, size_t n, uint8_t *spare, size_t bit, size_t bits,
                             uint32_t *places, size_t w) {
    for (size_t i = 0; i < n; i++)
        memcpy(spare + w * places[sort_digit(from + i * w, bit, bits, w)]++, from + i * w, w);
}

/* Sort records by way of `spare`, which is as large. */
SORT_INLINE size_t sort_cached(uint8_t *from, size_t n, uint8_t *spare, size_t bit, uint8_t *to,
                               sort_room *room, size_t w, sort_function *self) {
    size_t bits, most, count = 0;
    for (;;) {
        bits = sort_bits(n) < 8 * w - bit ? sort_bits(n) : 8 * w - bit;
        most = bits ? sort_counted(from, n, bit, bits, room->counts, w) : n;
        if (most < n) break;
        bit = sort_differing(from, n, bit, w);
        if (bit == 8 * w) return memmove(to, from, w), (size_t)1;
    }
    sort_spread(from, n, spare, bit, bits, room->counts, w);
    if (most <= SORT_SMALL) return sort_insert(spare, n, bit, to, w);
    for (size_t i = 0, end; i < n; i = end) {
        end = sort_run_end(spare, i, n, bit, bits, w);
        count += self(spare + i * w, end - i, from + i * w, bit + bits, to + count * w, room);
    }
    return count;
}

/* Where they lie ----------------------------------------------------------------------------------- */

/* Put records in order of a digit, each straight to its place: those of one belong from heads to tails. */
SORT_INLINE void sort_exchange(uint8_t *from, size_t bit, size_t bits, uint64_t *heads, const uint64_t *tails,
                               size_t w) {
    for (size_t digit = 0; digit < (size_t)1 << bits; digit++) {
        for (; heads[digit] < tails[digit]; heads[digit]++) {
            uint8_t record[SORT_WIDEST], other[SORT_WIDEST];
            uint8_t *place = from + heads[digit] * w;
            memcpy(record, place, w);
            for (size_t its; (its = sort_digit(record, bit, bits, w)) != digit;) {
                uint8_t *there = from + heads[its]++ * w;
                __builtin_prefetch(there + 4 * w, 1);
                memcpy(other, there, w);
                memcpy(there, record, w);
                memcpy(record, other, w);
            }
            memcpy(place, record, w);
        }
    }
}

/* Split records that agree before *bit where they lie, by a byte that parts them; *bit goes to it. Return its
 * bits, 0 where all records are equal. room->tails says where the records of each digit end. */
SORT_INLINE size_t sort_split(uint8_t *from, size_t n, size_t *bit, sort_room *room, size_t w) {
    for (;;) {
        const size_t bits = 8 * w - *bit < 8 ? 8 * w - *bit : 8;
        uint64_t next = 0, most = 0;
        memset(room->tails, 0, sizeof room->tails);
        for (size_t i = 0; bits && i < n; i++) room->tails[sort_digit(from + i * w, *bit, bits, w)]++;
        for (size_t i = 0; i < 256; i++) {
            most = room->tails[i] > most ? room->tails[i] : most;
            room->heads[i] = next;
            room->tails[i] = next += room->tails[i];
        }
        if (bits && most < n) {
            sort_exchange(from, *bit, bits, room->heads, room->tails, w);
            return bits;
        }
        *bit = sort_differing(from, n, *bit, w);
        if (*bit == 8 * w) return 0;
    }
}

/* Sort more records than the scratch holds. */
SORT_INLINE size_t sort_large(uint8_t *from, size_t n, size_t bit, uint8_t *to, sort_room *room, size_t w,
                              sort_function *self) {
    size_t count = 0;
    const size_t bits = sort_split(from, n, &bit, room, w);
    if (!bits) return memmove(to, from, w), (size_t)1;
    for (size_t i = 0, end; i < n; i = end) {
        end = sort_run_end(from, i, n, bit, bits, w);
        count += self(from + i * w, end - i, NULL, bit + bits, to + count * w, room);
    }
    return count;
}

/* Sort in the way that is right for how many there are. */
SORT_INLINE size_t sort_any(uint8_t *from, size_t n, uint8_t *spare, size_t bit, uint8_t *to, sort_room *room,
                            size_t w, sort_function *self) {
    if (n <= SORT_SMALL) return sort_insert(from, n, bit, to, w);
    if (!spare && n * w > SORT_SCRATCH) return sort_large(from, n, bit, to, room, w, self);
    return sort_cached(from, n, spare ? spare : room->spare, bit, to, room, w, self);
}

/* Beyond the cache --------------------------------------------------------------------------------- */

/* Send for what comes behind a record, wherever that is: the processor alone does so too late. */
SORT_INLINE void sort_send_for(const uint8_t *record) {
    __builtin_prefetch((const void *)((uintptr_t)record + SORT_AHEAD));
}

/* Add to `counts` how many records have each digit. */
SORT_INLINE void sort_count_any(const uint8_t *from, size_t n, size_t bit, size_t bits, uint64_t *counts,
                                size_t w) {
    for (size_t i = 0; i < n; i++) {
        sort_send_for(from + i * w);
        counts[sort_digit(from + i * w, bit, bits, w)]++;
    }
}

/* Write a buffer past the cache: it is read again only when its bucket is sorted. */
SORT_INLINE void sort_write_line(uint8_t *to, const uint8_t *line) {
#ifdef __SSE2__
    for (size_t k = 0; k < SORT_LINE; k += 16)
        _mm_stream_si128((__m128i *)(to + k), _mm_load_si128((const __m128i *)(line + k)));
#else
    memcpy(to, line, SORT_LINE);
#endif
}

/* The bytes of a bucket's buffer; where records do not fill lines, the last one may stand over. */
SORT_INLINE size_t sort_line_stride(size_t w) {
    return SORT_LINE % w ? (SORT_LINE + w + 63) / 64 * 64 : SORT_LINE;
}

/* Where one thread writes the records of one bucket, in bytes from the start of the array. */
typedef struct {
    uint64_t next, first, end;
} sort_bucket;

/* Move records to their buckets, each to buckets[digit].next, which goes up by w to .end; where it would go
 * further (the records are not those that were counted), return -1 with nothing written outside the buckets.
 * `lines` has sort_line_stride bytes for each bucket; it and `to` are aligned to 64 bytes. */
SORT_INLINE int sort_scatter_any(const uint8_t *from, size_t n, size_t bit, size_t bits, uint8_t *to,
                                 sort_bucket *buckets, uint8_t *lines, size_t w) {
    const size_t stride = sort_line_stride(w);
    for (size_t i = 0; i < n; i++) {
        sort_send_for(from + i * w);
        const size_t b = sort_digit(from + i * w, bit, bits, w);
        uint8_t *line = lines + b * stride;
        const uint64_t at = buckets[b].next, within = at % SORT_LINE, base = at - within;
        memcpy(line + within, from + i * w, w);
        buckets[b].next = at + w;
        if (within + w < SORT_LINE) continue;
        if (base + SORT_LINE > buckets[b].end) return -1;
        const uint64_t before = base < buckets[b].first ? buckets[b].first - base : 0;
        if (before) memcpy(to + base + before, line + before, SORT_LINE - before);
        else sort_write_line(to + base, line);
        if (SORT_LINE % w) memcpy(line, line + SORT_LINE, w);
    }
    for (size_t b = 0; b < (size_t)1 << bits; b++) {
        const sort_bucket at = buckets[b];
        const uint64_t base = at.next / SORT_LINE * SORT_LINE, start = base < at.first ? at.first : base;
        if (at.next != at.end) return -1;
        memcpy(to + start, lines + b * stride + (start - base), at.next - start);
    }
#ifdef __SSE2__
    _mm_sfence();
#endif
    return 0;
}

/* For each width ----------------------------------------------------------------------------------- */

#define SORT_WIDTHS(X) X(16) X(20) X(24) X(28) X(32) X(36) X(40) X(44) X(48) X(60) X(64) X(72) X(76) X(80)

#define SORT_INSTANCE(W)                                                                                    \
    static size_t sort_range_##W(uint8_t *from, size_t n, uint8_t *spare, size_t bit, uint8_t *to,          \
                                 sort_room *room) {                                                         \
        return sort_any(from, n, spare, bit, to, room, W, sort_range_##W);                                  \
    }                                                                                                       \
    static void sort_count_##W(const uint8_t *from, size_t n, size_t bit, size_t bits, uint64_t *counts) {  \
        sort_count_any(from, n, bit, bits, counts, W);                                                      \
    }                                                                                                       \
    static int sort_scatter_##W(const uint8_t *from, size_t n, size_t bit, size_t bits, uint8_t *to,        \
                                sort_bucket *buckets, uint8_t *lines) {                                     \
        return sort_scatter_any(from, n, bit, bits, to, buckets, lines, W);                                 \
    }                                                                                                       \
    static size_t sort_split_##W(uint8_t *from, size_t n, size_t *bit, sort_room *room) {                   \
        return sort_split(from, n, bit, room, W);                                                           \
    }                                                                                                       \
    static size_t sort_differing_##W(const uint8_t *records, size_t n) {                                    \
        return sort_differing(records, n, 0, W);                                                            \
    }
SORT_WIDTHS(SORT_INSTANCE)

/* The functions for records of one width. */
typedef struct {
    size_t width;
    sort_function *range;
    void (*count)(const uint8_t *from, size_t n, size_t bit, size_t bits, uint64_t *counts);
    int (*scatter)(const uint8_t *from, size_t n, size_t bit, size_t bits, uint8_t *to, sort_bucket *buckets,
                   uint8_t *lines);
    size_t (*split)(uint8_t *from, size_t n, size_t *bit, sort_room *room);
    size_t (*differing)(const uint8_t *records, size_t n);
} sort_functions;

#define SORT_ROW(W) {W, sort_range_##W, sort_count_##W, sort_scatter_##W, sort_split_##W, sort_differing_##W},
static const sort_functions sort_table[] = {SORT_WIDTHS(SORT_ROW)};

/* The row of a width, or NULL. */
static const sort_functions *sort_of_width(size_t width) {
    for (size_t i = 0; i < sizeof sort_table / sizeof *sort_table; i++)
        if (sort_table[i].width == width) return &sort_table[i];
    return NULL;
}

#endif
