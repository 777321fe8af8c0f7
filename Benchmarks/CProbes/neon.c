// The dot product; where there is I8MM too, the peak is up to twice this.
#if defined(__aarch64__)
#include <arm_neon.h>
#include "CProbes.h"
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#define DP_NAME(name) dp_neon_##name
#define DP_TITLE "neon-dotprod"
#define DP_BYTES 16
#define DP_SUMS 12
#define DP_DOT \
    inline __attribute__((always_inline)) dp_ints dp_dot(dp_ints sums, dp_ints a, dp_ints b) { \
        return (dp_ints)vdotq_s32((int32x4_t)sums, (int8x16_t)a, (int8x16_t)b); \
    }
#include "loops.inc"
#pragma clang attribute pop
#endif
