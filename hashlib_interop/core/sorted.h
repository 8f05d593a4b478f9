/* Layout 0: digests in order, and the ranks where their first bits change. For lists that are not uniform. */
#ifndef HASHLIB_INTEROP_SORTED_H
#define HASHLIB_INTEROP_SORTED_H

#include "group.h"

enum {
    SORTED_PROBES = 64,   /* more than the halvings of any number of digests */
    SORTED_TOGETHER = 16, /* digests of a batch that are searched for in step */
};

/* The ranks among which a digest can be. */
struct sorted_search {
    uint64_t low, high;
};

/* Where the bounds of a digest are in RADIX. */
ALWAYS_INLINE const uint8_t *sorted_bounds(const struct group *group, const uint8_t *digest) {
    return group->radix + 8 * (group->bits ? load_big(digest) >> (64 - group->bits) : 0);
}

ALWAYS_INLINE struct sorted_search sorted_start(const struct group *group, const uint8_t *digest) {
    const uint8_t *bounds = sorted_bounds(group, digest);
    const uint64_t low = load64(bounds), high = load64(bounds + 8), n = group->n;
    return (struct sorted_search){low < n ? low : n, high < n ? high : n};
}

ALWAYS_INLINE const uint8_t *sorted_key(const struct group *group, uint64_t rank, const size_t width) {
    return group->keys + rank * width;
}

/* The order of two digests: negative, 0, positive. */
ALWAYS_INLINE int digest_order(const uint8_t *a, const uint8_t *b, const size_t width) {
    for (size_t i = 0; i + 8 <= width; i += 8) {
        const uint64_t left = load_big(a + i), right = load_big(b + i);
        if (left != right) return left < right ? -1 : 1;
    }
    return width % 8 ? memcmp(a + width - 4, b + width - 4, 4) : 0;
}

/* Halve what is left of a search; it ends at the first digest that is not less, low and high being equal. */
ALWAYS_INLINE void sorted_halve(const struct group *group, struct sorted_search *search,
                                const uint8_t *digest, const size_t width) {
    const uint64_t middle = search->low + (search->high - search->low) / 2;
    if (digest_order(sorted_key(group, middle, width), digest, width) < 0) search->low = middle + 1;
    else search->high = middle;
}

/* The rank of a digest, its search being ended, or -1. */
ALWAYS_INLINE int64_t sorted_found(const struct group *group, const struct sorted_search *search,
                                   const uint8_t *digest, const size_t width) {
    if (search->low >= group->n) return -1;
    return memcmp(sorted_key(group, search->low, width), digest, width) ? -1 : (int64_t)search->low;
}

ALWAYS_INLINE int64_t sorted_find(const struct group *group, const uint8_t *digest, const size_t width) {
    struct sorted_search search = sorted_start(group, digest);
    for (int probe = 0; probe < SORTED_PROBES && search.low < search.high; probe++)
        sorted_halve(group, &search, digest, width);
    return sorted_found(group, &search, digest, width);
}

/* Search for some digests in step, so that memory brings the probes of all at the same time. */
ALWAYS_INLINE void sorted_step(const struct group *group, const uint8_t *digests, size_t count,
                               int64_t *ranks, const size_t width) {
    struct sorted_search searches[SORTED_TOGETHER];
    for (size_t i = 0; i < count; i++) PREFETCH(sorted_bounds(group, digests + i * width));
    for (size_t i = 0; i < count; i++) searches[i] = sorted_start(group, digests + i * width);
    size_t open = count;
    for (int probe = 0; probe < SORTED_PROBES && open; probe++) {
        for (size_t i = 0; i < count; i++)
            PREFETCH(sorted_key(group, searches[i].low + (searches[i].high - searches[i].low) / 2, width));
        open = 0;
        for (size_t i = 0; i < count; i++)
            if (searches[i].low < searches[i].high) {
                sorted_halve(group, searches + i, digests + i * width, width);
                open += searches[i].low < searches[i].high;
            }
    }
    for (size_t i = 0; i < count; i++)
        ranks[i] = sorted_found(group, searches + i, digests + i * width, width);
}

/* As group_batch. */
ALWAYS_INLINE void sorted_batch(const struct group *group, const uint8_t *digests, size_t count,
                                int64_t *ranks, uint8_t *there, const size_t width) {
    for (size_t begin = 0; begin < count; begin += SORTED_TOGETHER) {
        const size_t now = count - begin < SORTED_TOGETHER ? count - begin : SORTED_TOGETHER;
        int64_t found[SORTED_TOGETHER];
        sorted_step(group, digests + begin * width, now, found, width);
        if (ranks) memcpy(ranks + begin, found, now * sizeof *ranks);
        else
            for (size_t i = 0; i < now; i++) there[begin + i] = found[i] >= 0;
    }
}

#define SORTED_OF_WIDTH(width)                                                                               \
    static int64_t sorted_find_##width(const struct group *group, const uint8_t *digest) {                   \
        return sorted_find(group, digest, width);                                                            \
    }                                                                                                        \
    static void sorted_batch_##width(const struct group *group, const uint8_t *digests, size_t count,        \
                                     int64_t *ranks, uint8_t *there) {                                       \
        sorted_batch(group, digests, count, ranks, there, width);                                            \
    }

SORTED_OF_WIDTH(16)
SORTED_OF_WIDTH(20)
SORTED_OF_WIDTH(28)
SORTED_OF_WIDTH(32)
SORTED_OF_WIDTH(48)
SORTED_OF_WIDTH(64)
#undef SORTED_OF_WIDTH

/* Choose the lookups for the width of a group. */
static void sorted_choose(struct group *group) {
#define SORTED_CHOICE(width)                                                                                 \
    case width:                                                                                              \
        group->find = sorted_find_##width;                                                                   \
        group->batch = sorted_batch_##width;                                                                 \
        break;
    switch (group->width) {
        SORTED_CHOICE(16)
        SORTED_CHOICE(20)
        SORTED_CHOICE(28)
        SORTED_CHOICE(32)
        SORTED_CHOICE(48)
        SORTED_CHOICE(64)
    }
#undef SORTED_CHOICE
}

#endif
