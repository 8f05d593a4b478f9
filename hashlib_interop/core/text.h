/* Kernels of the readers: where bytes stand in a block, fields copied together, digests decoded. */
#ifndef HASHLIB_INTEROP_TEXT_H
#define HASHLIB_INTEROP_TEXT_H

#include <stdint.h>
#include <string.h>

#include "hex.h"
#include "simd.h"

/* Places ------------------------------------------------------------------------------------------- */

/* Write the offsets of bytes that `wanted` marks (256 flags); return how many. `out` holds `size`. */
static inline size_t places_scalar(const uint8_t *data, size_t from, size_t size, const uint8_t *wanted,
                                   int32_t *out, size_t count) {
    for (size_t i = from; i < size; i++) {
        out[count] = (int32_t)i;
        count += wanted[data[i]];
    }
    return count;
}

#ifdef HAVE_AVX2
/* The same for `kinds` bytes given one by one. `out` needs room for 8 more than are found. */
TARGET_AVX2 static size_t places_avx2(const uint8_t *data, size_t size, const uint8_t *bytes, int kinds,
                                      const uint8_t *wanted, int32_t *out) {
    size_t count = 0, i = 0;
    for (; i + 64 <= size; i += 64) {
        const __m256i low = _mm256_loadu_si256((const __m256i *)(data + i));
        const __m256i high = _mm256_loadu_si256((const __m256i *)(data + i + 32));
        __m256i a = _mm256_setzero_si256(), b = a;
        for (int k = 0; k < kinds; k++) {
            const __m256i byte = _mm256_set1_epi8((char)bytes[k]);
            a = _mm256_or_si256(a, _mm256_cmpeq_epi8(low, byte));
            b = _mm256_or_si256(b, _mm256_cmpeq_epi8(high, byte));
        }
        uint64_t bits = (uint32_t)_mm256_movemask_epi8(a) | (uint64_t)(uint32_t)_mm256_movemask_epi8(b) << 32;
        while (bits) {
            out[count++] = (int32_t)(i + _tzcnt_u64(bits));
            bits &= bits - 1;
        }
    }
    return places_scalar(data, i, size, wanted, out, count);
}
#endif

static size_t text_places(const uint8_t *data, size_t size, const uint8_t *bytes, int kinds, int32_t *out) {
    uint8_t wanted[256] = {0};
    for (int k = 0; k < kinds; k++) wanted[bytes[k]] = 1;
#ifdef HAVE_AVX2
    if (simd_avx2()) return places_avx2(data, size, bytes, kinds, wanted, out);
#endif
    return places_scalar(data, 0, size, wanted, out, 0);
}

/* Fields ------------------------------------------------------------------------------------------- */

/* Copy data[starts[i]:stops[i]] one after another into `out`; `step` is the distance of two starts in the
 * array, `offsets` are those of text_offsets. `out` needs 32 bytes more than the fields have. */
static void text_gather(const uint8_t *data, size_t size, const int32_t *starts, ptrdiff_t step, size_t count,
                        const int32_t *offsets, uint8_t *out) {
    for (size_t i = 0; i < count; i++) {
        const int64_t start = starts[(ptrdiff_t)i * step], length = offsets[i + 1] - offsets[i];
        uint8_t *to = out + offsets[i];
        if (length <= 32 && start + 32 <= (int64_t)size)
            memcpy(to, data + start, 32); /* of known length: two moves, and no call */
        else
            memcpy(to, data + start, (size_t)length);
    }
}

/* The offsets of gathered fields; -1 where a field is no part of the data, -2 beyond 2 GiB. */
static int text_offsets(size_t size, const int32_t *starts, const int32_t *stops, ptrdiff_t step,
                        size_t count, int32_t *offsets) {
    int64_t total = 0, least = 0, most = 0;
    offsets[0] = 0;
    for (size_t i = 0; i < count; i++) {
        const int64_t start = starts[(ptrdiff_t)i * step], stop = stops[(ptrdiff_t)i * step];
        least |= start | (stop - start);
        most = stop > most ? stop : most;
        total += stop - start;
        offsets[i + 1] = (int32_t)total;
        if (total > INT32_MAX) return -2;
    }
    return least < 0 || most > (int64_t)size ? -1 : 0;
}

/* Digests ------------------------------------------------------------------------------------------ */

enum { TEXT_NULL = 0, TEXT_GOOD = 1, TEXT_BAD = 2 };

/* Decode texts of exactly 2 * width hex digits; `state` says of each null (empty), good or bad. */
static void text_hex(const uint8_t *data, const int32_t *offsets, size_t count, size_t width, uint8_t *out,
                     uint8_t *state) {
    const size_t chars = 2 * width;
    const int wide = chars >= 32 && simd_avx2();
    for (size_t i = 0; i < count; i++, out += width) {
        const size_t length = (size_t)(offsets[i + 1] - offsets[i]);
        const uint8_t *in = data + offsets[i];
        int good = length == chars;
#ifdef HAVE_AVX2
        if (good && wide) good = hex_decode_avx2(in, chars, out);
        else
#endif
        if (good) good = hex_decode_scalar(in, chars, out);
        if (!good) memset(out, 0, width);
        state[i] = good ? TEXT_GOOD : length ? TEXT_BAD : TEXT_NULL;
    }
    (void)wide;
}

/* Encode `size` bytes as hex by 16 digits. */
static void text_encode_hex(const uint8_t *data, size_t size, const uint8_t *digits, uint8_t *out) {
#ifdef HAVE_AVX2
    if (simd_avx2()) {
        hex_encode_avx2(data, size, digits, out);
        return;
    }
#endif
    hex_encode_scalar(data, size, digits, out);
}

/* Decode texts of canonical base64 of `width` bytes, by a table of 256 sextets (more than 63: no digit). */
static void text_base64(const uint8_t *data, const int32_t *offsets, size_t count, size_t width,
                        const uint8_t *sextets, uint8_t *out, uint8_t *state) {
    static const uint8_t spare_bits[3] = {0, 0x03, 0x0F};
    const size_t chars = (width + 2) / 3 * 4, padding = (3 - width % 3) % 3, whole = width / 3;
    for (size_t i = 0; i < count; i++, out += width) {
        const size_t length = (size_t)(offsets[i + 1] - offsets[i]);
        const uint8_t *in = data + offsets[i];
        unsigned bad = length != chars ? 0x80 : 0;
        for (size_t k = 0; !bad && k < whole; k++) {
            const unsigned a = sextets[in[4 * k]], b = sextets[in[4 * k + 1]], c = sextets[in[4 * k + 2]],
                           d = sextets[in[4 * k + 3]];
            bad = (a | b | c | d) & 0xC0;
            out[3 * k] = (uint8_t)(a << 2 | b >> 4);
            out[3 * k + 1] = (uint8_t)(b << 4 | c >> 2);
            out[3 * k + 2] = (uint8_t)(c << 6 | d);
        }
        if (!bad && padding) {
            const uint8_t *end = in + 4 * whole;
            const unsigned a = sextets[end[0]], b = sextets[end[1]], c = padding == 1 ? sextets[end[2]] : 0;
            const unsigned last = padding == 1 ? c : b;
            bad = ((a | b | c) & 0xC0) | (last & spare_bits[padding]) | (end[3] != '=');
            bad |= padding == 2 && end[2] != '=';
            out[3 * whole] = (uint8_t)(a << 2 | b >> 4);
            if (padding == 1) out[3 * whole + 1] = (uint8_t)(b << 4 | c >> 2);
        }
        if (bad) memset(out, 0, width);
        state[i] = !bad ? TEXT_GOOD : length ? TEXT_BAD : TEXT_NULL;
    }
}

#endif
