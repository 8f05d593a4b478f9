/* Strict hex: exactly the ASCII digits 0-9, a-f, A-F; nothing is skipped. */
#ifndef HASHLIB_INTEROP_HEX_H
#define HASHLIB_INTEROP_HEX_H

#include <stddef.h>
#include <stdint.h>

#include "simd.h"

/* The value of a hex digit, or more than 15. */
static inline unsigned hex_digit(uint8_t c) {
    unsigned digit = (unsigned)c - '0';
    unsigned letter = ((unsigned)c | 0x20) - 'a';
    return digit <= 9 ? digit : letter <= 5 ? letter + 10 : 0xFF;
}

/* Decode `chars` (even) hex digits; return whether all were hex. `out` may be written in any case. */
static inline int hex_decode_scalar(const uint8_t *in, size_t chars, uint8_t *out) {
    unsigned bad = 0;
    for (size_t i = 0; i < chars; i += 2) {
        unsigned high = hex_digit(in[i]), low = hex_digit(in[i + 1]);
        bad |= high | low;
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    return bad <= 15;
}

#ifdef HAVE_AVX2
/* 32 digits to 16 bytes; all ones in the lanes of *wrong that hold no digit. */
TARGET_AVX2 static inline __m128i hex_decode_32(const uint8_t *in, __m256i *wrong) {
    const __m256i text = _mm256_loadu_si256((const __m256i *)in);
    const __m256i digit = _mm256_sub_epi8(text, _mm256_set1_epi8('0'));
    const __m256i letter =
        _mm256_sub_epi8(_mm256_or_si256(text, _mm256_set1_epi8(0x20)), _mm256_set1_epi8('a'));
    const __m256i is_digit = _mm256_cmpeq_epi8(_mm256_min_epu8(digit, _mm256_set1_epi8(9)), digit);
    const __m256i is_letter = _mm256_cmpeq_epi8(_mm256_min_epu8(letter, _mm256_set1_epi8(5)), letter);
    const __m256i value =
        _mm256_blendv_epi8(_mm256_add_epi8(letter, _mm256_set1_epi8(10)), digit, is_digit);
    *wrong = _mm256_or_si256(*wrong, _mm256_andnot_si256(_mm256_or_si256(is_digit, is_letter),
                                                         _mm256_set1_epi8(-1)));
    const __m256i pairs = _mm256_maddubs_epi16(value, _mm256_set1_epi16(0x0110)); /* 16 * high + low */
    const __m256i packed = _mm256_packus_epi16(pairs, pairs);
    return _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08));
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

#endif
