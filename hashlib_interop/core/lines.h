/* Layout 1: lines of fingerprints, and the rest of each digest by rank. Lookups.
 *
 * One digest costs the latency of its line; its rest, which only the line can point to, is sent for at the same
 * time, around where it should be. A batch hides all latency: it goes in blocks, and while one is sifted, the
 * lines of the next ones are on their way. Most digests that are not there end at their line. The others queue up;
 * as soon as a block of them waits, their rests are sent for, while the rests that the block before sent for are
 * compared. Branches that cannot be predicted cost more here than anywhere: while the processor goes back, it
 * asks memory for nothing. So hardly anything branches on what one digest gives: a rest that lies in two lines of
 * memory, a chain, damage. */
#ifndef HASHLIB_INTEROP_LINES_H
#define HASHLIB_INTEROP_LINES_H

#include "group.h"

enum {
    LINE_BYTES = 64,
    LINE_HEAD = 6,   /* rank of 40 bits, count of 7, overflow of 1 */
    LINE_FIELD = 5,  /* the byte with count and overflow */
    LINE_SLOTS = 29, /* fingerprints of a line that nothing overflows */
    LINE_KEPT = 27,  /* of one with overflow: the number of the next line takes the place of two */
    LINE_NEXT = 60,  /* where that stands */
    DRIFT_LINES = 4, /* home lines for each drift */
    CHAIN_LINES = 8, /* a longer chain is damage, and is not built */
    BLOCK = 32, /* digests of a batch that are handled together */
    FEW = 8, /* candidates of a block that are looked at again */
    LOOK = 3 * BLOCK, /* how many digests ahead the lines are sent for; there can be some 50 of them under way */
    SIGHTS = 4 * BLOCK, /* lines under way: those ahead, and a block that is sifted */
    RING = 4 * BLOCK, /* candidates under way: a block that is aimed at, less than two that wait */
    AHEAD = 4096, /* bytes: how early digests, and room for answers, are sent for; the processor, busy with lines,
                   * comes too late */
};

static const uint64_t LINE_RANKS = (UINT64_C(1) << 40) - 1;
static const uint64_t LINE_OVERFLOW = UINT64_C(1) << 47;

/* Home line and fingerprint of a digest that begins with x, as line << 16 | fingerprint. */
ALWAYS_INLINE uint64_t line_place(uint64_t x, uint64_t home) {
    return (uint64_t)((unsigned __int128)x * home >> 48);
}

/* The slots that count in a line; none, where it says that it has more than there are. */
ALWAYS_INLINE uint32_t line_counted(uint64_t head) {
    const unsigned count = (unsigned)(head >> 40) & 0x7F;
    return count <= LINE_SLOTS ? (UINT32_C(1) << count) - 1 : 0;
}

/* Whether the chain has more for a fingerprint: overflow, and the last one counted is not greater. */
ALWAYS_INLINE int line_goes_on(const uint8_t *line, uint64_t head, unsigned fingerprint) {
    const uint32_t counted = line_counted(head);
    if (!(head & LINE_OVERFLOW) || !counted) return 0;
    return fingerprint >= load16(line + LINE_HEAD + 2 * (31 - __builtin_clz(counted)));
}

/* The rest of a rank, as if its digest began before it. */
ALWAYS_INLINE const uint8_t *line_record(const struct group *group, uint64_t rank) {
    return group->records + rank * group->rest_width;
}

/* Where a digest should stand: its rank in an even list, moved by the drift of its part of this one. Most are not
 * more than 7 ranks off. The result may be any number: drifts are whatever the file says. */
ALWAYS_INLINE uint64_t rank_expected(const struct group *group, uint64_t x, uint64_t line, uint64_t low) {
    const uint32_t drifts = load32(group->drift + line / DRIFT_LINES * 2);
    const int32_t here = (int16_t)drifts, there = (int16_t)(drifts >> 16);
    const int32_t part = (int32_t)((line % DRIFT_LINES) << 8 | low >> 56); /* of 1024, on the way from here to there */
    const uint64_t even = (uint64_t)((unsigned __int128)x * group->n >> 64);
    return even + (uint64_t)(int64_t)(here + (there - here) * part / 1024);
}

/* Send for the memory around the record of a rank that is expected: wherever that is, it costs nothing but time. */
ALWAYS_INLINE void rest_expect(const struct group *group, uint64_t rank, const size_t width) {
    const uintptr_t middle = (uintptr_t)group->records + rank * group->rest_width + width / 2;
    const int reach = width <= 20 ? 1 : width <= 32 ? 2 : 3; /* lines of memory on each side */
    for (int i = -reach; i <= reach; i++) PREFETCH((const void *)(middle + (uintptr_t)(intptr_t)(64 * i)));
}

/* Whether a digest and a record are the same from byte `from` on, which is below 8; no other byte is read. */
ALWAYS_INLINE int rest_equal(const uint8_t *digest, const uint8_t *record, size_t from, const size_t width) {
    uint64_t differing = load64(digest + from) ^ load64(record + from);
    for (size_t i = 8; i + 8 <= width; i += 8) differing |= load64(digest + i) ^ load64(record + i);
    if (width % 8) differing |= load32(digest + width - 4) ^ load32(record + width - 4);
    return differing == 0;
}

/* Which 16-bit words of a line, of its head too, are equal to a fingerprint: bit i for word i. */
ALWAYS_INLINE uint32_t line_equal_scalar(const uint8_t *line, unsigned fingerprint) {
    const uint64_t low = UINT64_C(0x7FFF7FFF7FFF7FFF), wanted = fingerprint * UINT64_C(0x0001000100010001);
    uint32_t found = 0;
    for (unsigned i = 0; i < 8; i++) {
        const uint64_t differing = load64(line + 8 * i) ^ wanted;
        const uint64_t equal = ~(((differing & low) + low) | differing) & ~low; /* high bits of the lanes */
        found |= (uint32_t)((equal >> 15) * UINT64_C(0x0001000200040008) >> 48 & 0xF) << (4 * i);
    }
    return found;
}

#ifdef HAVE_AVX2
TARGET_AVX2 ALWAYS_INLINE uint32_t line_equal_avx2(const uint8_t *line, unsigned fingerprint) {
    const __m256i wanted = _mm256_set1_epi16((short)fingerprint);
    const __m256i low = _mm256_cmpeq_epi16(_mm256_loadu_si256((const __m256i *)line), wanted);
    const __m256i high = _mm256_cmpeq_epi16(_mm256_loadu_si256((const __m256i *)(line + 32)), wanted);
    const __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xD8);
    return (uint32_t)_mm256_movemask_epi8(bytes);
}

TARGET_AVX512 ALWAYS_INLINE uint32_t line_equal_avx512(const uint8_t *line, unsigned fingerprint) {
    return _mm512_cmpeq_epi16_mask(_mm512_loadu_si512(line), _mm512_set1_epi16((short)fingerprint));
}
#endif

/* The slots among the words that are equal. */
ALWAYS_INLINE uint32_t line_slots(uint32_t equal) { return equal >> (LINE_HEAD / 2); }

/* The rank of a digest, or -1, in all cases: equal fingerprints, chains, damage. */
NEVER_INLINE int64_t lines_walk(const struct group *group, const uint8_t *digest, uint64_t place) {
    const size_t width = group->width;
    const unsigned fingerprint = place & 0xFFFF;
    uint64_t at = place >> 16;
    for (int step = 0; step < CHAIN_LINES; step++) {
        const uint8_t *line = group->lines + at * LINE_BYTES;
        const uint64_t head = load64(line);
        uint32_t slots = line_slots(line_equal_scalar(line, fingerprint)) & line_counted(head);
        for (; slots; slots &= slots - 1) {
            const uint64_t rank = (head & LINE_RANKS) + (uint64_t)__builtin_ctz(slots);
            if (rank >= group->n) return -1;
            if (rest_equal(digest, line_record(group, rank), group->from, width)) return (int64_t)rank;
        }
        if (!line_goes_on(line, head, fingerprint)) return -1;
        at = load32(line + LINE_NEXT);
        if (at < group->home || at >= group->total) return -1;
    }
    return -1;
}

/* rank_expected of a digest, for tests. */
static uint64_t lines_expected(const struct group *group, const uint8_t *digest) {
    const uint64_t x = load_big(digest);
    const unsigned __int128 t = (unsigned __int128)x * group->home;
    return rank_expected(group, x, (uint64_t)(t >> 64), (uint64_t)t);
}

/* Where the line of a digest is; the high 16 bits of `low` are its fingerprint. */
struct line_sight {
    const uint8_t *line;
    uint64_t low;
};

/* What a batch has under way. Digests that their line did not settle are candidates: numbered, and kept in rings,
 * one for each thing that is known of them, which takes the fewest instructions to write. First they wait, then they
 * have a record, which is the digest itself where the answer is known. */
struct lines_flow {
    struct line_sight sights[SIGHTS]; /* a ring, by digest */
    size_t offsets[RING];             /* where the digest is among all, in bytes */
    uint64_t heads[RING];             /* of the line: it may be gone from the first cache when it is needed again */
    uint32_t equal[RING];             /* words of the line */
    const uint8_t *records[RING];
    uint64_t ranks[RING];
    size_t settled, aimed, queued; /* how many candidates are, and were, so far */
};

typedef void lines_sift_function(const struct group *group, struct lines_flow *flow, size_t begin,
                                 const uint8_t *digests, size_t now, size_t next);

/* Send for memory that is used in order, AHEAD of its use; it may end before that. */
ALWAYS_INLINE void send_for(const void *from, size_t size) {
    for (size_t at = 0; at < size; at += LINE_BYTES) PREFETCH_MANY((uintptr_t)from + AHEAD + at);
}

/* Find the line of a digest, and send for it. */
ALWAYS_INLINE void line_seek(const struct group *group, struct line_sight *sight, const uint8_t *digest) {
    const unsigned __int128 t = (unsigned __int128)load_big(digest) * group->home;
    sight->line = group->lines + (uint64_t)(t >> 64) * LINE_BYTES;
    sight->low = (uint64_t)t;
    PREFETCH_MANY(sight->line);
}

/* The record of a rank; where that is none, one that is not equal to the digest. */
ALWAYS_INLINE const uint8_t *line_record_of(const struct group *group, uint64_t rank, const uint8_t *digest) {
    static const uint8_t zeros[64], ones[64] = {[8] = 1};
    if (LIKELY(rank < group->n)) return line_record(group, rank);
    return digest[8] ? zeros : ones;
}

/* As line_aim, for a candidate whose line has overflow, damage, or not one slot that is equal. */
NEVER_INLINE const uint8_t *line_aim_rare(const struct group *group, struct lines_flow *flow, size_t at,
                                          const uint8_t *digests) {
    const uint8_t *digest = digests + flow->offsets[at];
    const uint64_t head = flow->heads[at], place = line_place(load_big(digest), group->home);
    const uint8_t *line = group->lines + (place >> 16) * LINE_BYTES;
    const uint32_t slots = line_slots(flow->equal[at]) & line_counted(head);
    uint64_t *rank = flow->ranks + at;
    if (slots && !(slots & (slots - 1)) && !line_goes_on(line, head, place & 0xFFFF)) {
        *rank = (head & LINE_RANKS) + (uint64_t)__builtin_ctz(slots);
        return line_record_of(group, *rank, digest);
    }
    *rank = (uint64_t)lines_walk(group, digest, place);
    return *rank < group->n ? digest : line_record_of(group, *rank, digest);
}

/* Of few candidates of a block, let those go that are none but for the overflow of their line, five of six, and send for the
 * lines that go on for the others. Few wait long until they are a block; by then, their lines would have to be had from
 * memory again, one after the other. */
ALWAYS_INLINE void lines_dismiss(const struct group *group, struct lines_flow *flow, size_t from, const size_t width) {
    size_t kept = from;
    for (size_t at = from; at < flow->queued; at++) {
        const size_t i = at % RING, to = kept % RING;
        const struct line_sight *sight = flow->sights + flow->offsets[i] / width % SIGHTS;
        const uint64_t head = flow->heads[i];
        const uint32_t equal = flow->equal[i];
        const int more = line_goes_on(sight->line, head, (unsigned)(sight->low >> 48));
        if (more) PREFETCH_MANY((uintptr_t)group->lines + (uintptr_t)load32(sight->line + LINE_NEXT) * LINE_BYTES);
        flow->offsets[to] = flow->offsets[i];
        flow->heads[to] = head;
        flow->equal[to] = equal;
        kept += more || (line_slots(equal) & line_counted(head));
    }
    flow->queued = kept;
}

/* Compare the record of a candidate with its digest, and write the answer. */
ALWAYS_INLINE void line_settle(const struct group *group, const struct lines_flow *flow, size_t at,
                               const uint8_t *digests, int64_t *ranks, uint8_t *there, const size_t width) {
    const int equal = rest_equal(digests + flow->offsets[at], flow->records[at], group->from, width);
    const size_t i = flow->offsets[at] / width;
    if (ranks) ranks[i] = (int64_t)(flow->ranks[at] | (uint64_t)(equal - 1));
    else there[i] = (uint8_t)equal;
}

/* Say of a block that nothing is there, until a candidate is settled; send for the room of later blocks. */
ALWAYS_INLINE void lines_absent(size_t count, int64_t *ranks, uint8_t *there) {
    if (ranks) {
        send_for(ranks, BLOCK * sizeof *ranks);
        memset(ranks, 0xFF, count * sizeof *ranks);
    } else {
        send_for(there, BLOCK);
        memset(there, 0, count);
    }
}

#define LINES_NAME(name) name##_scalar
#define LINES_TARGET
#include "lines_find.h"
#undef LINES_NAME
#undef LINES_TARGET

#ifdef HAVE_AVX2
#define LINES_NAME(name) name##_avx2
#define LINES_TARGET TARGET_AVX2
#define LINES_BZHI _bzhi_u32
#include "lines_find.h"
#undef LINES_NAME
#undef LINES_TARGET

#define LINES_NAME(name) name##_avx512
#define LINES_TARGET TARGET_AVX512
#include "lines_find.h"
#undef LINES_NAME
#undef LINES_TARGET
#undef LINES_BZHI
#endif

/* Choose the lookups for the width of a group and this processor. */
static void lines_choose(struct group *group) {
#ifdef HAVE_AVX2
    if (simd_avx512()) {
        lines_choose_avx512(group);
        return;
    }
    if (simd_avx2()) {
        lines_choose_avx2(group);
        return;
    }
#endif
    lines_choose_scalar(group);
}

#endif
