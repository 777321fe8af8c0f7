#if defined(__x86_64__)
#include <immintrin.h>
#include "CProbes.h"
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define DP_NAME(name) dp_avx2_##name
#define DP_TITLE "avx2"
#define DP_BYTES 32
#define DP_SUMS 12
// Without a dot product, the pair of instructions that stands for it.
#define DP_DOT \
    inline __attribute__((always_inline)) dp_ints dp_dot(dp_ints sums, dp_ints a, dp_ints b) { \
        __m256i pairs = _mm256_maddubs_epi16((__m256i)a, (__m256i)b); \
        return sums + (dp_ints)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)); \
    }
#include "loops.inc"
#pragma clang attribute pop
#endif
