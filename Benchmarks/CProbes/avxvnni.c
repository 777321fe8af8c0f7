#if defined(__x86_64__)
#include <immintrin.h>
#include "CProbes.h"
#pragma clang attribute push(__attribute__((target("avx2,fma,avxvnni"))), apply_to = function)
#define DP_NAME(name) dp_avxvnni_##name
#define DP_TITLE "avxvnni"
#define DP_BYTES 32
#define DP_SUMS 12
#define DP_DOT \
    inline __attribute__((always_inline)) dp_ints dp_dot(dp_ints sums, dp_ints a, dp_ints b) { \
        return (dp_ints)_mm256_dpbusd_avx_epi32((__m256i)sums, (__m256i)a, (__m256i)b); \
    }
#include "loops.inc"
#pragma clang attribute pop
#endif
