/* What _membership.pyx is made of. */
#ifndef HASHLIB_INTEROP_MEMBERSHIP_H
#define HASHLIB_INTEROP_MEMBERSHIP_H

#include "hex.h"
#include "limits.h"
#include "lines.h"
#include "lines_build.h"
#include "mapping.h"
#include "sorted.h"

/* Decode a digest of 16 bytes or more; return whether its text was hex. */
static inline int membership_unhex(const uint8_t *text, size_t width, uint8_t *digest) {
#ifdef HAVE_AVX2
    if (simd_avx2()) return hex_decode_avx2(text, 2 * width, digest);
#endif
    return hex_decode_scalar(text, 2 * width, digest);
}

#endif
