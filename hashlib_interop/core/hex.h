/* Strict hex: exactly the ASCII digits 0-9, a-f, A-F; nothing is skipped. Both ways. */
#ifndef HASHLIB_INTEROP_HEX_H
#define HASHLIB_INTEROP_HEX_H

#include <stddef.h>
#include <stdint.h>

#include "simd.h"

/* One more than the value of a hex digit; 0 for all other bytes. */
static const uint8_t hex_digits[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

/* The value of a hex digit, or more than 15. */
static inline unsigned hex_digit(uint8_t c) {
    return hex_digits[c] - 1u;
}

/* Decode `chars` (even) hex digits; return whether all were hex. `out` may be written in any case. */
static inline int hex_decode_scalar(const uint8_t *in, size_t chars, uint8_t *out) {
    unsigned bad = 0;
    for (size_t i = 0; i < chars; i += 2) {
        const unsigned high = hex_digit(in[i]), low = hex_digit(in[i + 1]);
        bad |= high | low;
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    return bad <= 15;
}

#ifdef HAVE_AVX2
/* The values of 32 digits, more than 15 in the lanes that hold none: what is in neither range saturates. */
TARGET_AVX2 static inline __m256i hex_values_32(const uint8_t *in) {
    const __m256i text = _mm256_loadu_si256((const __m256i *)in);
    const __m256i raised = _mm256_add_epi8(text, _mm256_set1_epi8((char)(0xFF - '9'))); /* '9' is 0xFF */
    const __m256i digit =
        _mm256_sub_epi8(_mm256_subs_epu8(raised, _mm256_set1_epi8(6)), _mm256_set1_epi8((char)0xF0));
    const __m256i upper = _mm256_and_si256(text, _mm256_set1_epi8((char)0xDF));
    const __m256i letter =
        _mm256_adds_epu8(_mm256_sub_epi8(upper, _mm256_set1_epi8('A')), _mm256_set1_epi8(10));
    return _mm256_min_epu8(digit, letter);
}

/* 32 bytes out of the values of twice 32 digits. */
TARGET_AVX2 static inline __m256i hex_packed_64(__m256i first, __m256i second) {
    const __m256i weights = _mm256_set1_epi16(0x0110); /* 16 * high + low */
    const __m256i packed =
        _mm256_packus_epi16(_mm256_maddubs_epi16(first, weights), _mm256_maddubs_epi16(second, weights));
    return _mm256_permute4x64_epi64(packed, 0xD8);
}

/* 32 digits to 16 bytes; not zero in the lanes of *wrong that hold no digit. */
TARGET_AVX2 static inline __m128i hex_decode_32(const uint8_t *in, __m256i *wrong) {
    const __m256i values = hex_values_32(in);
    *wrong = _mm256_or_si256(*wrong, _mm256_and_si256(values, _mm256_set1_epi8((char)0xF0)));
    return _mm256_castsi256_si128(hex_packed_64(values, values));
}

/* As hex_decode_scalar, for 32 digits or more; the last block overlaps the one before it. */
TARGET_AVX2 static inline int hex_decode_avx2(const uint8_t *in, size_t chars, uint8_t *out) {
    __m256i wrong = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 32 <= chars; i += 32)
        _mm_storeu_si128((__m128i *)(out + i / 2), hex_decode_32(in + i, &wrong));
    if (i < chars)
        _mm_storeu_si128((__m128i *)(out + (chars - 32) / 2), hex_decode_32(in + chars - 32, &wrong));
    return _mm256_testz_si256(wrong, wrong);
}
#endif

/* Encode `size` bytes by 16 digits. */
static inline void hex_encode_scalar(const uint8_t *in, size_t size, const uint8_t *digits, uint8_t *out) {
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
}

#ifdef HAVE_AVX2
/* As hex_encode_scalar, 16 bytes at a time. */
TARGET_AVX2 static inline void hex_encode_avx2(const uint8_t *in, size_t size, const uint8_t *digits,
                                               uint8_t *out) {
    const __m256i table = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)digits));
    const __m256i nibble = _mm256_set1_epi16(0x0F0F);
    size_t i = 0;
    for (; i + 16 <= size; i += 16) { /* each byte to the low half of a word: its low digit comes second */
        const __m256i words = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(in + i)));
        const __m256i halves = _mm256_or_si256(_mm256_slli_epi16(words, 8), _mm256_srli_epi16(words, 4));
        const __m256i text = _mm256_shuffle_epi8(table, _mm256_and_si256(halves, nibble));
        _mm256_storeu_si256((__m256i *)(out + 2 * i), text);
    }
    hex_encode_scalar(in + i, size - i, digits, out + 2 * i);
}
#endif

#endif
