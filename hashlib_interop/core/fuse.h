/* The shareable filter: keyed hashes of digests, and binary fuse filters over them (docs/hfilter-format.md).
 *
 * Facts of the filter: Graf and Lemire, "Binary Fuse Filters", arXiv 2201.01174. The hash is XXH3-64 with a
 * seed, for the lengths that digests have; its facts: doc/xxhash_spec.md of xxHash 0.8. */
#ifndef HASHLIB_INTEROP_FUSE_H
#define HASHLIB_INTEROP_FUSE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "written for little-endian processors; without this extension everything works in numpy"
#endif

#if defined(__GNUC__) || defined(__clang__)
#define FUSE_PREFETCH(address) __builtin_prefetch(address)
#define FUSE_INLINE static inline __attribute__((always_inline))
#else
#define FUSE_PREFETCH(address) ((void)(address))
#define FUSE_INLINE static inline
#endif

/* Arithmetic --------------------------------------------------------------------------------------- */

/* The 128 bits of a product, in two halves. */
FUSE_INLINE uint64_t fuse_product(uint64_t a, uint64_t b, uint64_t *low) {
#ifdef __SIZEOF_INT128__
    const unsigned __int128 product = (unsigned __int128)a * b;
    *low = (uint64_t)product;
    return (uint64_t)(product >> 64);
#else
    const uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
    const uint64_t middle = a1 * b0 + (a0 * b0 >> 32), other = a0 * b1 + (uint32_t)middle;
    *low = a * b;
    return a1 * b1 + (middle >> 32) + (other >> 32);
#endif
}

FUSE_INLINE uint64_t fuse_load(const uint8_t *from) {
    uint64_t value;
    memcpy(&value, from, 8);
    return value;
}

/* XXH3-64 ------------------------------------------------------------------------------------------ */

/* The first 96 bytes of the default secret, as numbers. */
static const uint64_t fuse_secret[12] = {
    0xbe4ba423396cfeb8, 0x1cad21f72c81017c, 0xdb979083e96dd4de, 0x1f67b3b7a4a44072,
    0x78e5c0cc4ee679cb, 0x2172ffcc7dd05a82, 0x8e2443f7744608b8, 0x4c263a81e69035e0,
    0xcb00c391bb52283c, 0xa32e531b8b65d088, 0x4ef90da297486471, 0xd8acdea946ef1938};

/* Two words of the message under two words of the secret. */
FUSE_INLINE uint64_t fuse_fold(uint64_t a, uint64_t b, const uint64_t *secret, uint64_t seed) {
    uint64_t low;
    const uint64_t high = fuse_product(a ^ (secret[0] + seed), b ^ (secret[1] - seed), &low);
    return low ^ high;
}

/* A word of the message, which is the algorithm's number and the digest: from its second byte on. */
FUSE_INLINE uint64_t fuse_word(const uint8_t *digest, size_t at) { return fuse_load(digest + (at - 1)); }

/* XXH3-64 of an algorithm's number and a digest of 16 to 64 bytes: a message of 17 to 65 bytes. */
FUSE_INLINE uint64_t fuse_hash(const uint8_t *digest, size_t width, uint8_t algorithm, uint64_t seed) {
    const size_t size = width + 1;
    uint64_t sum = size * 0x9E3779B185EBCA87u;
    if (size > 32) {
        if (size > 64) {
            sum += fuse_fold(fuse_word(digest, 32), fuse_word(digest, 40), fuse_secret + 8, seed);
            sum += fuse_fold(fuse_word(digest, size - 48), fuse_word(digest, size - 40), fuse_secret + 10, seed);
        }
        sum += fuse_fold(fuse_word(digest, 16), fuse_word(digest, 24), fuse_secret + 4, seed);
        sum += fuse_fold(fuse_word(digest, size - 32), fuse_word(digest, size - 24), fuse_secret + 6, seed);
    }
    sum += fuse_fold(fuse_load(digest) << 8 | algorithm, fuse_word(digest, 8), fuse_secret, seed);
    sum += fuse_fold(fuse_word(digest, size - 16), fuse_word(digest, size - 8), fuse_secret + 2, seed);
    sum ^= sum >> 37;
    sum *= 0x165667919E3779F9u;
    return sum ^ sum >> 32;
}

/* The hashes of `count` digests, one after another. The widths are told apart outside the loop, so that each
 * loop is compiled for its width. */
static void fuse_hashes(const uint8_t *digests, size_t count, size_t width, uint8_t algorithm, uint64_t seed,
                        uint64_t *out) {
#define FUSE_LOOP(w)                                                                                 \
    case w:                                                                                          \
        for (size_t i = 0; i < count; i++) out[i] = fuse_hash(digests + i * w, w, algorithm, seed);  \
        break
    switch (width) {
        FUSE_LOOP(16);
        FUSE_LOOP(20);
        FUSE_LOOP(28);
        FUSE_LOOP(32);
        FUSE_LOOP(48);
        FUSE_LOOP(64);
    }
#undef FUSE_LOOP
}

/* Places ------------------------------------------------------------------------------------------- */

/* A filter: 2^shard_bits shards of (segments + 2) << segment_bits slots each, one or two bytes a slot. */
typedef struct {
    const uint8_t *slots;
    const uint64_t *seeds; /* one a shard */
    uint32_t shard_bits, segment_bits, segments;
} fuse_filter;

FUSE_INLINE size_t fuse_shard_slots(const fuse_filter *filter) {
    return ((size_t)filter->segments + 2) << filter->segment_bits;
}

/* A bijection that spreads every bit of its argument (Stafford's variant 13 of the MurmurHash3 finalizer). */
FUSE_INLINE uint64_t fuse_mix(uint64_t x) {
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

FUSE_INLINE uint16_t fuse_print(uint64_t mixed) { return (uint16_t)(mixed ^ mixed >> 32); }

/* The three slots of a mixed hash within its shard: one in each of three segments that follow each other. */
FUSE_INLINE void fuse_places(uint64_t mixed, uint32_t segment_bits, uint32_t segments, uint32_t place[3]) {
    const uint32_t mask = ((uint32_t)1 << segment_bits) - 1;
    uint64_t low;
    const uint32_t first = (uint32_t)fuse_product(mixed, (uint64_t)segments << segment_bits, &low);
    place[0] = first;
    place[1] = (first + mask + 1) ^ ((uint32_t)(mixed >> 18) & mask);
    place[2] = (first + 2 * (mask + 1)) ^ ((uint32_t)mixed & mask);
}

/* Looking up --------------------------------------------------------------------------------------- */

enum { FUSE_AHEAD = 32 };

/* A query under way: its three slots in the filter, and what they have to give. */
typedef struct {
    size_t place[3];
    uint16_t print;
} fuse_query;

/* Where the answer about a hash lies; ask for its cache lines. */
FUSE_INLINE fuse_query fuse_asked(const fuse_filter *filter, uint64_t hash, int bytes) {
    const size_t shard = filter->shard_bits ? (size_t)(hash >> (64 - filter->shard_bits)) : 0;
    const size_t base = shard * fuse_shard_slots(filter);
    const uint64_t mixed = fuse_mix(hash + filter->seeds[shard]);
    uint32_t place[3];
    fuse_query query;
    fuse_places(mixed, filter->segment_bits, filter->segments, place);
    query.print = fuse_print(mixed);
    for (int k = 0; k < 3; k++) {
        query.place[k] = (base + place[k]) * (size_t)bytes;
        FUSE_PREFETCH(filter->slots + query.place[k]);
    }
    return query;
}

FUSE_INLINE uint8_t fuse_answer(const fuse_filter *filter, const fuse_query *query, int bytes) {
    uint16_t sum = query->print;
    for (int k = 0; k < 3; k++) {
        uint16_t slot = 0;
        memcpy(&slot, filter->slots + query->place[k], (size_t)bytes);
        sum ^= slot;
    }
    return (bytes == 1 ? (uint8_t)sum : sum) == 0;
}

FUSE_INLINE void fuse_lookup_of(const fuse_filter *filter, const uint64_t *hashes, size_t count, int bytes,
                                uint8_t *out) {
    fuse_query waiting[FUSE_AHEAD];
    for (size_t i = 0; i < count + FUSE_AHEAD; i++) {
        fuse_query *query = waiting + i % FUSE_AHEAD;
        if (i >= FUSE_AHEAD) out[i - FUSE_AHEAD] = fuse_answer(filter, query, bytes);
        if (i < count) *query = fuse_asked(filter, hashes[i], bytes);
    }
}

/* Whether each of `count` hashes may be in the filter. */
static void fuse_lookup(const fuse_filter *filter, const uint64_t *hashes, size_t count, int bytes, uint8_t *out) {
    if (bytes == 1) fuse_lookup_of(filter, hashes, count, 1, out);
    else fuse_lookup_of(filter, hashes, count, 2, out);
}

/* Building ----------------------------------------------------------------------------------------- */

/* A shard while it is built. Of every slot: how many keys lie on it (times 4) with the exclusive-or of which
 * of their three slots it is, and the exclusive-or of these keys. Of the keys: the order in which they come off,
 * and which of its three slots each then had to itself. */
typedef struct {
    uint64_t *sums, *mixed, *order;
    uint8_t *counts, *which;
    uint32_t *waiting;
} fuse_work;

static void fuse_free(fuse_work *work) {
    free(work->sums), free(work->mixed), free(work->order);
    free(work->counts), free(work->which), free(work->waiting);
}

/* Memory for a shard; 0 where there is none. */
static int fuse_allocate(fuse_work *work, size_t count, size_t slots) {
    work->sums = calloc(slots, sizeof(uint64_t));
    work->counts = calloc(slots, 1);
    work->waiting = malloc(slots * sizeof(uint32_t));
    work->mixed = malloc((count + 1) * sizeof(uint64_t));
    work->order = malloc((count + 1) * sizeof(uint64_t));
    work->which = malloc(count + 1);
    if (work->sums && work->counts && work->waiting && work->mixed && work->order && work->which) return 1;
    fuse_free(work);
    return 0;
}

/* Mix the hashes and bring them into the order of their first segments: what follows then stays in the cache. */
static void fuse_spread(const uint64_t *hashes, size_t count, uint64_t seed, uint32_t segments, uint64_t *mixed,
                        uint32_t *starts) {
    uint64_t low;
    memset(starts, 0, ((size_t)segments + 1) * sizeof(uint32_t));
    for (size_t i = 0; i < count; i++) starts[fuse_product(fuse_mix(hashes[i] + seed), segments, &low) + 1]++;
    for (uint32_t k = 0; k < segments; k++) starts[k + 1] += starts[k];
    for (size_t i = 0; i < count; i++) {
        const uint64_t key = fuse_mix(hashes[i] + seed);
        mixed[starts[fuse_product(key, segments, &low)]++] = key;
    }
}

/* Put every key on its three slots; 0 where a slot gets more than 63 keys. */
static int fuse_put(fuse_work *work, size_t count, uint32_t segment_bits, uint32_t segments) {
    uint8_t full = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t place[3];
        fuse_places(work->mixed[i], segment_bits, segments, place);
        for (uint8_t k = 0; k < 3; k++) {
            uint8_t *slot = work->counts + place[k];
            *slot = (uint8_t)((*slot + 4) ^ k);
            full |= *slot < 4;
            work->sums[place[k]] ^= work->mixed[i];
        }
    }
    return !full;
}

/* Take keys off slots where they lie alone, until none does; return how many came off. */
static size_t fuse_peel(fuse_work *work, size_t slots, uint32_t segment_bits, uint32_t segments) {
    size_t taken = 0, alone = 0;
    for (size_t i = 0; i < slots; i++)
        if (work->counts[i] >> 2 == 1) work->waiting[alone++] = (uint32_t)i;
    while (alone) {
        const uint32_t at = work->waiting[--alone];
        uint32_t place[3];
        if (work->counts[at] >> 2 != 1) continue;
        const uint64_t key = work->sums[at];
        work->order[taken] = key;
        work->which[taken++] = work->counts[at] & 3;
        fuse_places(key, segment_bits, segments, place);
        for (uint8_t k = 0; k < 3; k++) {
            uint8_t *slot = work->counts + place[k];
            *slot = (uint8_t)((*slot ^ k) - 4);
            work->sums[place[k]] ^= key;
            work->waiting[alone] = place[k];
            alone += *slot >> 2 == 1;
        }
    }
    return taken;
}

/* Give the slots their values, last key first: each key is the last on its own slot. `out` holds zeros. */
static void fuse_assign(const fuse_work *work, size_t count, uint32_t segment_bits, uint32_t segments, int bytes,
                        uint8_t *out) {
    while (count--) {
        uint32_t place[3];
        uint16_t value = fuse_print(work->order[count]), slot;
        fuse_places(work->order[count], segment_bits, segments, place);
        for (int k = 0; k < 3; k++) {
            slot = 0;
            memcpy(&slot, out + (size_t)place[k] * (size_t)bytes, (size_t)bytes);
            value ^= slot;
        }
        memcpy(out + (size_t)place[work->which[count]] * (size_t)bytes, &value, (size_t)bytes);
    }
}

/* Build a shard of hashes that all differ, under a seed: 1 done, 0 this seed will not do, -1 no memory. */
static int fuse_build(const uint64_t *hashes, size_t count, uint64_t seed, uint32_t segment_bits, uint32_t segments,
                      int bytes, uint8_t *out) {
    const size_t slots = ((size_t)segments + 2) << segment_bits;
    uint32_t *starts = malloc(((size_t)segments + 1) * sizeof(uint32_t));
    fuse_work work = {0};
    int done = -1;
    if (starts && fuse_allocate(&work, count, slots)) {
        fuse_spread(hashes, count, seed, segments, work.mixed, starts);
        done = fuse_put(&work, count, segment_bits, segments) &&
               fuse_peel(&work, slots, segment_bits, segments) == count;
        if (done) fuse_assign(&work, count, segment_bits, segments, bytes, out);
        fuse_free(&work);
    }
    free(starts);
    return done;
}

#endif
