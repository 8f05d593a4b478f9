/* Which vector instructions a function may use, and whether this processor has them.
 *
 * Nothing is compiled for the machine that builds: a function marked TARGET_AVX2 or TARGET_AVX512 is called only where
 * simd_avx2() or simd_avx512() says so, and a scalar twin gives the same answers. */
#ifndef HASHLIB_INTEROP_SIMD_H
#define HASHLIB_INTEROP_SIMD_H

#if (defined(__x86_64__) || defined(_M_X64)) && (defined(__GNUC__) || defined(__clang__))
#define HAVE_AVX2 1
#define TARGET_AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt")))
#define TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx2,bmi,bmi2,lzcnt,popcnt")))
#include <immintrin.h>
#endif

enum { SIMD_SCALAR, SIMD_AVX2, SIMD_AVX512 };

/* No more than this is taken: for tests. */
static int simd_most = SIMD_AVX512;

/* Whether to take the AVX2 paths. */
static inline int simd_avx2(void) {
#ifdef HAVE_AVX2
    return simd_most >= SIMD_AVX2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
#else
    return 0;
#endif
}

/* Whether to take the AVX-512 paths. Processors without VBMI2, before Ice Lake, lower their clock for such
 * instructions, and that of all that follows. */
static inline int simd_avx512(void) {
#ifdef HAVE_AVX2
    return simd_avx2() && simd_most >= SIMD_AVX512 && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi2");
#else
    return 0;
#endif
}

#endif
