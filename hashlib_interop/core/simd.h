/* Which vector instructions a function may use, and whether this processor has them.
 *
 * Nothing is compiled for the machine that builds: a function marked TARGET_AVX2 is called only where
 * simd_avx2() says so, and a scalar twin gives the same answers. */
#ifndef HASHLIB_INTEROP_SIMD_H
#define HASHLIB_INTEROP_SIMD_H

#if (defined(__x86_64__) || defined(_M_X64)) && (defined(__GNUC__) || defined(__clang__))
#define HAVE_AVX2 1
#define TARGET_AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt")))
#include <immintrin.h>
#endif

static int simd_forced_scalar = 0;

/* Whether to take the AVX2 paths. */
static inline int simd_avx2(void) {
#ifdef HAVE_AVX2
    return !simd_forced_scalar && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
#else
    return 0;
#endif
}

#endif
