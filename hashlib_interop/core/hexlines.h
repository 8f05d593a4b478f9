/* Lines of hex digits to digests: every byte is looked at, and where the first bad line is, is known.
 *
 * A line ends with LF, CRLF or CR. It is good if it is 2 * width hex digits of any case, or, with `trailing`,
 * that and a separator and anything else; it may be empty; all others are bad. */
#ifndef HASHLIB_INTEROP_HEXLINES_H
#define HASHLIB_INTEROP_HEXLINES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "hex.h"
#include "simd.h"

#define HEXLINES_INLINE static inline __attribute__((always_inline))

/* A block that is decoded, and how far it is. Arrays that are NULL are not wanted. */
typedef struct {
    const uint8_t *data;
    size_t size, at;                   /* bytes; where the next line begins */
    int final, trailing, skip;         /* no more data follows; see above; go on after a bad line */
    int64_t lines, empty;              /* that were taken; empty ones among them */
    uint8_t *digests;                  /* room for (size + 1) / (2 * width + 1) */
    int64_t *numbers, *starts, *stops; /* of the lines of digests; they stop before the line's end */
    size_t count;
    int64_t *bad_numbers, *bad_starts; /* of bad lines that were passed over */
    size_t bad, bad_room;
} hexlines;

/* Bytes: how early text is sent for, to the second cache, where it is in nobody's way. */
enum { HEXLINES_AHEAD = 16384 };

enum { HEXLINES_DONE = 0, HEXLINES_BAD = 1, HEXLINES_FULL = 2 };

typedef int hexlines_function(hexlines *h);

/* Note `count` lines that follow each other, each `length` long and `step` from the next. */
HEXLINES_INLINE void hexlines_note(hexlines *h, size_t count, size_t length, size_t step) {
    if (h->numbers) {
        int64_t *numbers = h->numbers + h->count, *starts = h->starts + h->count, *stops = h->stops + h->count;
        int64_t line = h->lines, start = (int64_t)h->at;
        for (size_t i = 0; i < count; i++, start += (int64_t)step) {
            numbers[i] = line++;
            starts[i] = start;
            stops[i] = start + (int64_t)length;
        }
    }
    h->count += count;
    h->lines += (int64_t)count;
    h->at += count * step;
}

/* Where the line ends: the first LF or CR, or `left`. */
HEXLINES_INLINE size_t hexlines_end(const uint8_t *from, size_t left) {
    size_t i = 0;
#ifdef HAVE_AVX2 /* then there is SSE2 in any case */
    const __m128i lf = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r');
    for (; i + 16 <= left; i += 16) {
        const __m128i text = _mm_loadu_si128((const __m128i *)(from + i));
        const int ends = _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(text, lf), _mm_cmpeq_epi8(text, cr)));
        if (ends) return i + (size_t)__builtin_ctz((unsigned)ends);
    }
#endif
    while (i < left && from[i] != '\n' && from[i] != '\r') i++;
    return i;
}

/* What may stand between a digest and the text that follows it. */
HEXLINES_INLINE int hexlines_separates(uint8_t c) {
    return c == ' ' || c == '\t' || c == ',' || c == ';' || c == ':' || c == '|';
}

/* How many good lines follow each other that end with the same `end` bytes (1: LF, 2: CRLF); decodes them. */
HEXLINES_INLINE size_t hexlines_run_scalar(const uint8_t *from, size_t left, uint8_t *out, size_t end,
                                           size_t w) {
    const size_t step = 2 * w + end;
    size_t count = 0;
    for (; left >= step; left -= step, count++, from += step, out += w) {
        if (from[step - 1] != '\n' || (end == 2 && from[step - 2] != '\r')) break;
        if (!hex_decode_scalar(from, 2 * w, out)) break;
    }
    return count;
}

#ifdef HAVE_AVX2
/* Decode a line's digits; the last block overlaps the one before it. */
TARGET_AVX2 HEXLINES_INLINE void hexlines_line_avx2(const uint8_t *from, uint8_t *out, __m256i *wrong,
                                                    size_t w) {
    for (size_t at = 0; at < w; at += 16) {
        const size_t here = at + 16 <= w ? at : w - 16;
        _mm_storeu_si128((__m128i *)(out + here), hex_decode_32(from + 2 * here, wrong));
    }
}

/* Two lines of 32 digits at once. */
TARGET_AVX2 HEXLINES_INLINE void hexlines_pair_avx2(const uint8_t *from, size_t step, uint8_t *out,
                                                    __m256i *wrong) {
    const __m256i first = hex_values_32(from), second = hex_values_32(from + step);
    const __m256i over_15 = _mm256_and_si256(_mm256_or_si256(first, second), _mm256_set1_epi8((char)0xF0));
    *wrong = _mm256_or_si256(*wrong, over_15);
    _mm256_storeu_si256((__m256i *)out, hex_packed_64(first, second));
}

/* The same as hexlines_run_scalar, by four lines at a time: up to three may be left over. */
TARGET_AVX2 HEXLINES_INLINE size_t hexlines_run_avx2(const uint8_t *from, size_t left, uint8_t *out,
                                                     size_t end, size_t w) {
    const size_t step = 2 * w + end;
    size_t count = 0;
    for (; left >= 4 * step; left -= 4 * step, count += 4, from += 4 * step, out += 4 * w) {
        unsigned other = 0;
        __m256i wrong = _mm256_setzero_si256();
        for (size_t line = 1; line <= 4; line++) {
            other |= (unsigned)from[line * step - 1] ^ '\n';
            if (end == 2) other |= (unsigned)from[line * step - 2] ^ '\r';
        }
        if (other) break;
        for (size_t ahead = HEXLINES_AHEAD; ahead < HEXLINES_AHEAD + 4 * step; ahead += 64)
            _mm_prefetch((const char *)from + ahead, _MM_HINT_T1);
        for (size_t line = 0; line < 4; line += w == 16 ? 2 : 1) {
            if (w == 16) hexlines_pair_avx2(from + line * step, step, out + line * w, &wrong);
            else hexlines_line_avx2(from + line * step, out + line * w, &wrong, w);
        }
        if (!_mm256_testz_si256(wrong, wrong)) break;
    }
    return count;
}
#endif

/* Take good lines as long as they follow each other with nothing else between them. */
#define HEXLINES_REGULAR(NAME, RUN, TARGET)                                      \
    TARGET HEXLINES_INLINE void NAME(hexlines *h, size_t w) {                    \
        const uint8_t *from = h->data + h->at;                                   \
        const size_t left = h->size - h->at, length = 2 * w;                     \
        uint8_t *out = h->digests + h->count * w;                                \
        if (left <= length) return;                                              \
        if (from[length] == '\n')                                                \
            hexlines_note(h, RUN(from, left, out, 1, w), length, length + 1);    \
        else if (from[length] == '\r')                                           \
            hexlines_note(h, RUN(from, left, out, 2, w), length, length + 2);    \
    }
HEXLINES_REGULAR(hexlines_regular_scalar, hexlines_run_scalar, )
#ifdef HAVE_AVX2
HEXLINES_REGULAR(hexlines_regular_avx2, hexlines_run_avx2, TARGET_AVX2)
#endif

/* Take one line of any kind; `digits` says whether it begins with those of a digest, which is decoded. Return
 * 1 where it was taken, 0 where its end is not in the data yet, -1 where it is bad and that ends the work, -2
 * where there is no room to note that it is bad. */
HEXLINES_INLINE int hexlines_one(hexlines *h, int digits, size_t w) {
    const uint8_t *from = h->data + h->at;
    const size_t left = h->size - h->at, known = digits ? 2 * w : 0;
    const size_t length = known + hexlines_end(from + known, left - known);
    size_t end = length < left;
    if (!h->final && (length == left || (from[length] == '\r' && length + 1 == left))) return 0;
    if (length + 1 < left && from[length] == '\r' && from[length + 1] == '\n') end = 2;
    if (digits && (length == 2 * w || (h->trailing && hexlines_separates(from[2 * w])))) {
        hexlines_note(h, 1, length, length + end);
        return 1;
    }
    if (length) {
        if (!h->skip) return -1;
        if (h->bad == h->bad_room) return -2;
        h->bad_numbers[h->bad] = h->lines;
        h->bad_starts[h->bad++] = (int64_t)h->at;
    }
    h->empty += length == 0;
    h->lines++;
    h->at += length + end;
    return 1;
}

/* Take lines until the data ends or no whole line is left (HEXLINES_DONE), a line is bad and not to be passed
 * over (HEXLINES_BAD; it begins at h->at), or cannot be noted (HEXLINES_FULL; go on with more room). */
#define HEXLINES_ALL(NAME, REGULAR, DECODE, TARGET)                                             \
    TARGET HEXLINES_INLINE int NAME(hexlines *h, size_t w) {                                    \
        for (;;) {                                                                              \
            REGULAR(h, w);                                                                      \
            if (h->at == h->size) return HEXLINES_DONE;                                         \
            const uint8_t *from = h->data + h->at;                                              \
            const int whole = h->size - h->at >= 2 * w;                                         \
            const int digits = whole && DECODE(from, 2 * w, h->digests + h->count * w);         \
            const int taken = hexlines_one(h, digits, w);                                       \
            if (taken <= 0) return -taken;                                                      \
        }                                                                                       \
    }
HEXLINES_ALL(hexlines_all_scalar, hexlines_regular_scalar, hex_decode_scalar, )
#ifdef HAVE_AVX2
HEXLINES_ALL(hexlines_all_avx2, hexlines_regular_avx2, hex_decode_avx2, TARGET_AVX2)
#endif

/* For each width ----------------------------------------------------------------------------------- */

#define HEXLINES_WIDTHS(X) X(16) X(20) X(28) X(32) X(48) X(64)

#define HEXLINES_SCALAR(W) static int hexlines_scalar_##W(hexlines *h) { return hexlines_all_scalar(h, W); }
HEXLINES_WIDTHS(HEXLINES_SCALAR)
#ifdef HAVE_AVX2
#define HEXLINES_AVX2(W) \
    TARGET_AVX2 static int hexlines_avx2_##W(hexlines *h) { return hexlines_all_avx2(h, W); }
HEXLINES_WIDTHS(HEXLINES_AVX2)
#endif

/* The function for digests of one width, or NULL. */
static hexlines_function *hexlines_of_width(size_t width) {
#ifdef HAVE_AVX2
#define HEXLINES_CASE(W) case W: return simd_avx2() ? hexlines_avx2_##W : hexlines_scalar_##W;
#else
#define HEXLINES_CASE(W) case W: return hexlines_scalar_##W;
#endif
    switch (width) {
        HEXLINES_WIDTHS(HEXLINES_CASE)
        default: return NULL;
    }
}

#endif
