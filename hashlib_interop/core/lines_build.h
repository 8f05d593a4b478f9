/* Layout 1: building the lines from digests in order, and listing the digests of lines. */
#ifndef HASHLIB_INTEROP_LINES_BUILD_H
#define HASHLIB_INTEROP_LINES_BUILD_H

#include <stdlib.h>

#include "lines.h"
#include "sorted.h"

/* Building ------------------------------------------------------------------------------------------ */

enum {
    CHAIN_SLOTS = (CHAIN_LINES - 1) * LINE_KEPT + LINE_SLOTS,
    PLACE_MOST = 48, /* digests of one place: a lookup compares all their rests, and 8 lines, which is less than 64 */
};

enum { BUILD_DONE = 0, BUILD_NO_MEMORY = -1, BUILD_OUT_OF_ORDER = -2 };

/* The digests of a group, as far as they have come: they rise, and so do their lines. */
struct lines_build {
    uint8_t *lines;              /* home lines, then those that overflow; malloc */
    uint64_t home, total, room;  /* lines: home, so far, that memory is there for */
    size_t width, rest_width;
    uint64_t count;              /* digests so far */
    uint64_t line;               /* the home line that is being filled */
    unsigned waiting;            /* its digests so far */
    uint16_t fingerprints[CHAIN_SLOTS];
    unsigned longest;            /* lines of the longest chain; more than CHAIN_LINES: the list is not for lines */
    uint64_t place;              /* line and fingerprint of the last digest, */
    unsigned together;           /* and how many digests there are of it so far */
    uint8_t last[64];            /* the last digest */
};

/* Get memory for the home lines and what usually overflows. */
static int lines_begin(struct lines_build *build, size_t width, uint64_t home, size_t rest_width) {
    memset(build, 0, sizeof *build);
    build->width = width;
    build->rest_width = rest_width;
    build->home = build->total = home;
    build->room = home + home / 64 + 16; /* of uniform digests, one line in 160 overflows */
    build->lines = malloc(build->room * LINE_BYTES);
    return build->lines ? BUILD_DONE : BUILD_NO_MEMORY;
}

/* Make room for the lines of one more chain. */
static int lines_grow(struct lines_build *build) {
    if (build->total + CHAIN_LINES <= build->room) return BUILD_DONE;
    const uint64_t room = build->room + (build->room - build->home) / 2 + CHAIN_LINES;
    uint8_t *lines = realloc(build->lines, room * LINE_BYTES);
    if (!lines) return BUILD_NO_MEMORY;
    build->lines = lines;
    build->room = room;
    return BUILD_DONE;
}

/* Write one line of a chain; return how many of the fingerprints it took. */
static unsigned line_write(uint8_t *line, uint64_t rank, const uint16_t *fingerprints, unsigned count,
                           uint64_t next) {
    const int more = count > LINE_SLOTS;
    const unsigned taken = more ? LINE_KEPT : count;
    const uint64_t head = rank | (uint64_t)taken << 40 | (more ? LINE_OVERFLOW : 0);
    const uint32_t number = (uint32_t)next;
    memset(line, 0xFF, LINE_BYTES);
    memcpy(line, &head, LINE_HEAD);
    memcpy(line + LINE_HEAD, fingerprints, taken * sizeof *fingerprints);
    if (more) memcpy(line + LINE_NEXT, &number, sizeof number);
    return taken;
}

/* End the home line that is being filled: write it and its chain. */
static int lines_flush(struct lines_build *build) {
    if (lines_grow(build)) return BUILD_NO_MEMORY;
    uint64_t at = build->line;
    unsigned written = 0, length = 0;
    do {
        const uint64_t rank = build->count - build->waiting + written;
        written += line_write(build->lines + at * LINE_BYTES, rank, build->fingerprints + written,
                              build->waiting - written, build->total);
        length++;
        if (written < build->waiting) at = build->total++;
    } while (written < build->waiting);
    if (length > build->longest) build->longest = length;
    build->waiting = 0;
    build->line++;
    return BUILD_DONE;
}

/* End all lines before a home line. */
static int lines_reach(struct lines_build *build, uint64_t line) {
    while (build->line < line)
        if (lines_flush(build)) return BUILD_NO_MEMORY;
    return BUILD_DONE;
}

/* Copy what REST holds of digests that follow each other. All but the last are copied by a known length: the
 * bytes too many come from the next digest, and the next copy covers them. */
ALWAYS_INLINE void rest_copy(const uint8_t *digests, size_t count, uint8_t *rest, size_t rest_width,
                             const size_t width) {
    const size_t from = width - rest_width;
    if (!count) return;
    for (size_t i = 0; i + 1 < count; i++) memcpy(rest + i * rest_width, digests + i * width + from, width);
    memcpy(rest + (count - 1) * rest_width, digests + (count - 1) * width + from, rest_width);
}

/* Take the next digests; `rest` takes what REST holds of them. */
ALWAYS_INLINE int lines_take(struct lines_build *build, const uint8_t *digests, size_t count, uint8_t *rest,
                             const size_t width) {
    const uint8_t *last = build->last, *digest = digests;
    for (size_t i = 0; i < count && build->longest <= CHAIN_LINES; i++, last = digest, digest += width) {
        if (digest_order(last, digest, width) >= 0 && build->count) return BUILD_OUT_OF_ORDER;
        const uint64_t place = line_place(load_big(digest), build->home);
        if (place >> 16 != build->line && lines_reach(build, place >> 16)) return BUILD_NO_MEMORY;
        build->together = place == build->place ? build->together + 1 : 1;
        build->place = place;
        if (build->waiting == CHAIN_SLOTS || build->together > PLACE_MOST) build->longest = CHAIN_LINES + 1;
        else build->fingerprints[build->waiting++] = (uint16_t)place;
        build->count++;
    }
    if (count) memcpy(build->last, digests + (count - 1) * width, width);
    rest_copy(digests, count, rest, build->rest_width, width);
    return BUILD_DONE;
}

/* The same, for the width that it is. */
static int lines_add(struct lines_build *build, const uint8_t *digests, size_t count, uint8_t *rest) {
    switch (build->width) {
        case 16: return lines_take(build, digests, count, rest, 16);
        case 20: return lines_take(build, digests, count, rest, 20);
        case 28: return lines_take(build, digests, count, rest, 28);
        case 32: return lines_take(build, digests, count, rest, 32);
        case 48: return lines_take(build, digests, count, rest, 48);
        default: return lines_take(build, digests, count, rest, 64);
    }
}

/* End all home lines, and give back the memory that was not needed. */
static int lines_end(struct lines_build *build) {
    if (lines_reach(build, build->home)) return BUILD_NO_MEMORY;
    uint8_t *lines = realloc(build->lines, build->total * LINE_BYTES);
    if (lines) build->lines = lines;
    return BUILD_DONE;
}

/* Listing ------------------------------------------------------------------------------------------- */

/* Where a listing is. */
struct lines_listing {
    uint64_t rank, start, stop; /* the next digest's; those that are wanted */
    uint8_t *out;               /* for `start` */
};

/* Write the digest of a home line, fingerprint and record.
 *
 * The least x of this place is ceil(place * 2^48 / NB), by two divisions of 64 bits; the digest's is the
 * first from there on whose lower bits are those of the rest. */
static void line_rebuild(const struct group *group, uint64_t place, uint64_t rank, uint8_t *digest) {
    const size_t from = group->from;
    const uint8_t *rest = line_record(group, rank) + from;
    const uint64_t high = (place << 16) / group->home, left = (place << 16) % group->home;
    uint64_t x = (high << 32) + (left << 32) / group->home + ((left << 32) % group->home != 0);
    const uint64_t known = UINT64_MAX >> (8 * from), low = load_big(rest) >> (8 * from);
    const uint64_t least = x;
    x = (x & ~known) | low;
    if (x < least) x += known + 1;
    store_big(digest, x);
    memcpy(digest + from, rest, group->rest_width);
}

/* List one line of a chain; return whether it begins with the rank that it must. */
static int line_list(const struct group *group, uint64_t home, const uint8_t *line,
                     struct lines_listing *listing) {
    const uint64_t head = load64(line), first = head & LINE_RANKS;
    const uint32_t counted = line_counted(head);
    const unsigned count = (unsigned)__builtin_popcount(counted);
    if (first != listing->rank || first + count > group->n) return 0;
    for (unsigned i = 0; i < count && listing->rank < listing->stop; i++, listing->rank++) {
        if (listing->rank < listing->start) continue;
        uint8_t *digest = listing->out + (listing->rank - listing->start) * group->width;
        const uint64_t place = home << 16 | load16(line + LINE_HEAD + 2 * i);
        line_rebuild(group, place, listing->rank, digest);
    }
    return 1;
}

/* The last home line whose first rank is not above `rank`: in lines that are whole, the one that holds it. */
static uint64_t lines_holding(const struct group *group, uint64_t rank) {
    uint64_t low = 0, high = group->home;
    while (high - low > 1) {
        const uint64_t middle = low + (high - low) / 2;
        if ((load64(group->lines + middle * LINE_BYTES) & LINE_RANKS) <= rank) low = middle;
        else high = middle;
    }
    return low;
}

/* Write the digests of ranks start to stop, at most n, to `out`; return whether the lines are whole. */
static int lines_list(const struct group *group, uint64_t start, uint64_t stop, uint8_t *out) {
    uint64_t home = lines_holding(group, start);
    struct lines_listing listing = {load64(group->lines + home * LINE_BYTES) & LINE_RANKS, start, stop, out};
    if (listing.rank > start) return 0;
    for (; listing.rank < stop && home < group->home; home++) {
        const uint8_t *line = group->lines + home * LINE_BYTES;
        for (int step = 0; listing.rank < stop; step++) {
            if (step == CHAIN_LINES || !line_list(group, home, line, &listing)) return 0;
            if (!(load64(line) & LINE_OVERFLOW)) break;
            const uint64_t next = load32(line + LINE_NEXT);
            if (next < group->home || next >= group->total) return 0;
            line = group->lines + next * LINE_BYTES;
        }
    }
    return listing.rank >= stop;
}

/* The same in either layout. */
static int group_list(const struct group *group, uint64_t start, uint64_t stop, uint8_t *out) {
    if (start == stop) return 1;
    if (group->lines) return lines_list(group, start, stop, out);
    memcpy(out, sorted_key(group, start, group->width), (stop - start) * group->width);
    return 1;
}

#endif
