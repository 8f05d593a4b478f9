/* Lookups in lines, included by lines.h for each instruction set: LINES_NAME names, LINES_TARGET permits. */

/* The slots among the words that are equal which count. With overflow, or damage, there may be others too. */
LINES_TARGET ALWAYS_INLINE uint32_t LINES_NAME(line_kept)(uint32_t equal, unsigned field) {
#ifdef LINES_BZHI
    return LINES_BZHI(line_slots(equal), field);
#else
    return line_slots(equal) & ((UINT32_C(1) << (field & 31)) - 1);
#endif
}

/* The rank of a digest, or -1. */
LINES_TARGET ALWAYS_INLINE int64_t LINES_NAME(lines_find)(const struct group *group, const uint8_t *digest,
                                                          const size_t width) {
    const uint64_t x = load_big(digest);
    const unsigned __int128 t = (unsigned __int128)x * group->home;
    const uint8_t *line = group->lines + (uint64_t)(t >> 64) * LINE_BYTES;
    PREFETCH(line);
    rest_expect(group, rank_expected(group, x, (uint64_t)(t >> 64), (uint64_t)t), width);
    const uint64_t head = load64(line);
    const unsigned field = head >> 40 & 0xFF;
    const uint32_t slots = LINES_NAME(line_kept)(LINES_NAME(line_equal)(line, (unsigned)((uint64_t)t >> 48)), field);
    if (UNLIKELY(field > LINE_SLOTS || (slots & (slots - 1))))
        return lines_walk(group, digest, (uint64_t)(t >> 48));
    if (!slots) return -1;
    const uint64_t rank = (head & LINE_RANKS) + (uint64_t)__builtin_ctz(slots);
    if (UNLIKELY(rank >= group->n)) return -1;
    return foreseen(rest_equal(digest, line_record(group, rank), group->from, width)) ? (int64_t)rank : -1;
}

/* Look at the line of a digest; queue the digest, unless no word is equal and nothing overflows. What else is
 * to be looked at is looked at then. Return how many are queued. */
LINES_TARGET ALWAYS_INLINE size_t LINES_NAME(line_sift)(struct lines_flow *flow, const struct line_sight *sight,
                                                        size_t offset, size_t queued) {
    const uint8_t *line = sight->line;
    const unsigned fingerprint = load16((const uint8_t *)&sight->low + 6);
    const uint64_t head = load64(line);
    const uint32_t equal = LINES_NAME(line_equal)(line, fingerprint);
    const size_t at = queued % RING;
    flow->offsets[at] = offset;
    flow->heads[at] = head;
    flow->equal[at] = equal;
    return queued + ((equal | (head & LINE_OVERFLOW)) != 0);
}

/* Sift the `now` digests of a block, and seek the `next` ones that come LOOK later. */
LINES_TARGET ALWAYS_INLINE void LINES_NAME(lines_sift)(const struct group *group, struct lines_flow *flow,
                                                       size_t begin, const uint8_t *digests, size_t now,
                                                       size_t next, const size_t width) {
    const struct line_sight *sights = flow->sights + begin % SIGHTS;
    struct line_sight *coming = flow->sights + (begin + LOOK) % SIGHTS;
    size_t i = 0, queued = flow->queued, offset = begin * width;
    send_for(digests + offset, BLOCK * width);
    for (; i < next; i++, offset += width) {
        line_seek(group, coming + i, digests + LOOK * width + offset);
        queued = LINES_NAME(line_sift)(flow, sights + i, offset, queued);
    }
    for (; i < now; i++, offset += width) queued = LINES_NAME(line_sift)(flow, sights + i, offset, queued);
    flow->queued = queued;
}

/* Find the record of a candidate, and send for it: nearly always of the one slot that is equal and counts.
 * Its rank is kept where ranks are asked for. */
LINES_TARGET ALWAYS_INLINE void LINES_NAME(line_aim)(const struct group *group, struct lines_flow *flow, size_t at,
                                                     const uint8_t *digests, const size_t width,
                                                     const int ranked) {
    const uint64_t head = flow->heads[at];
    const unsigned field = head >> 40 & 0xFF;
    const uint32_t slots = LINES_NAME(line_kept)(flow->equal[at], field);
    const uint8_t *record;
    if (LIKELY(field <= LINE_SLOTS && slots && !(slots & (slots - 1)))) { /* one bit */
        const uint64_t rank = (head & LINE_RANKS) + (uint64_t)__builtin_ctz(slots);
        if (ranked) flow->ranks[at] = rank;
        record = line_record_of(group, rank, digests + flow->offsets[at]);
    } else record = line_aim_rare(group, flow, at, digests);
    flow->records[at] = record;
    prefetch_span(record + group->from, record + width - 1);
}

/* Settle the candidates that were aimed at, and aim at the next `count`. Blocks do not wrap in their rings. */
LINES_TARGET ALWAYS_INLINE void LINES_NAME(lines_turn)(const struct group *group, struct lines_flow *flow,
                                                       size_t count, const uint8_t *digests, int64_t *ranks,
                                                       uint8_t *there, const size_t width) {
    const size_t ready = flow->aimed - flow->settled, old = flow->settled % RING, fresh = flow->aimed % RING;
    if (LIKELY(ready == BLOCK && count == BLOCK))
        for (size_t i = 0; i < BLOCK; i++) {
            line_settle(group, flow, old + i, digests, ranks, there, width);
            LINES_NAME(line_aim)(group, flow, fresh + i, digests, width, ranks != NULL);
        }
    else {
        for (size_t i = 0; i < ready; i++) line_settle(group, flow, old + i, digests, ranks, there, width);
        for (size_t i = 0; i < count; i++) LINES_NAME(line_aim)(group, flow, fresh + i, digests, width, ranks != NULL);
    }
    flow->settled += ready;
    flow->aimed += count;
}

/* As group_batch; one of `ranks` and `there` is known to be NULL where this is inlined. */
LINES_TARGET ALWAYS_INLINE void LINES_NAME(lines_batch)(const struct group *group, const uint8_t *digests,
                                                        size_t count, int64_t *ranks, uint8_t *there,
                                                        const size_t width, lines_sift_function *const sift) {
    const struct group known = *group; /* what is written cannot change it, which the compiler should see */
    struct lines_flow flow;
    flow.settled = flow.aimed = flow.queued = 0;
    for (size_t i = 0; i < count && i < LOOK; i++) line_seek(&known, flow.sights + i, digests + i * width);
    for (size_t begin = 0; begin < count; begin += BLOCK) {
        const size_t left = count - begin, now = left < BLOCK ? left : BLOCK;
        const size_t next = left <= LOOK ? 0 : left - LOOK < BLOCK ? left - LOOK : BLOCK;
        lines_absent(now, ranks ? ranks + begin : NULL, there ? there + begin : NULL);
        const size_t before = flow.queued;
        sift(&known, &flow, begin, digests, now, next);
        if (flow.queued - before <= FEW && flow.queued != before) lines_dismiss(&known, &flow, before, width);
        if (flow.queued - flow.aimed >= BLOCK)
            LINES_NAME(lines_turn)(&known, &flow, BLOCK, digests, ranks, there, width);
    }
    LINES_NAME(lines_turn)(&known, &flow, flow.queued - flow.aimed, digests, ranks, there, width);
    LINES_NAME(lines_turn)(&known, &flow, 0, digests, ranks, there, width);
}

/* Sifting is not inlined: among all else, compilers keep what its loop counts in memory. */
#define LINES_OF_WIDTH(width)                                                                                \
    LINES_TARGET static int64_t LINES_NAME(lines_find_##width)(const struct group *group,                    \
                                                               const uint8_t *digest) {                      \
        return LINES_NAME(lines_find)(group, digest, width);                                                 \
    }                                                                                                        \
    LINES_TARGET NEVER_INLINE void LINES_NAME(lines_sift_##width)(                                           \
        const struct group *group, struct lines_flow *flow, size_t begin, const uint8_t *digests,            \
        size_t now, size_t next) {                                                                           \
        LINES_NAME(lines_sift)(group, flow, begin, digests, now, next, width);                               \
    }                                                                                                        \
    LINES_TARGET static void LINES_NAME(lines_batch_##width)(const struct group *group,                      \
                                                             const uint8_t *digests, size_t count,           \
                                                             int64_t *ranks, uint8_t *there) {               \
        lines_sift_function *const sift = LINES_NAME(lines_sift_##width);                                    \
        if (ranks) LINES_NAME(lines_batch)(group, digests, count, ranks, NULL, width, sift);                 \
        else LINES_NAME(lines_batch)(group, digests, count, NULL, there, width, sift);                       \
    }

LINES_OF_WIDTH(16)
LINES_OF_WIDTH(20)
LINES_OF_WIDTH(28)
LINES_OF_WIDTH(32)
LINES_OF_WIDTH(48)
LINES_OF_WIDTH(64)
#undef LINES_OF_WIDTH

/* Choose the lookups for the width of a group. */
static void LINES_NAME(lines_choose)(struct group *group) {
#define LINES_CHOICE(width)                                                                                  \
    case width:                                                                                              \
        group->find = LINES_NAME(lines_find_##width);                                                        \
        group->batch = LINES_NAME(lines_batch_##width);                                                      \
        break;
    switch (group->width) {
        LINES_CHOICE(16)
        LINES_CHOICE(20)
        LINES_CHOICE(28)
        LINES_CHOICE(32)
        LINES_CHOICE(48)
        LINES_CHOICE(64)
    }
#undef LINES_CHOICE
}
