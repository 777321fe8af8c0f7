#if defined(__x86_64__)
#include <immintrin.h>
#include "CProbes.h"
#pragma clang attribute push(__attribute__((target("avx512f,avx512vnni"))), apply_to = function)
#define DP_NAME(name) dp_avx512_##name
#define DP_TITLE "avx512-vnni"
#define DP_BYTES 64
#define DP_SUMS 12
#define DP_DOT \
    inline __attribute__((always_inline)) dp_ints dp_dot(dp_ints sums, dp_ints a, dp_ints b) { \
        return (dp_ints)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)a, (__m512i)b); \
    }
#include "loops.inc"
#pragma clang attribute pop
#endif
