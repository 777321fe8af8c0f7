// AVX2 without a dot-product instruction: |w| * sign(x, w), whose pairs stay below 2 * 128 * 127 < 2^15, so
// that maddubs cannot saturate (with code+128 it would).
#if defined(__x86_64__)
#include <immintrin.h>
#include "CKernels.h"
#include "lanes.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "half.h"
#include "ymm.h"

#define DK_UNSIGNED_DOT 0
#define DK_TOKENS 4
#define DK_PAIR 0
#define DK_WIDE 1

DK_INLINE __m256i dk_dot32(__m256i sums, __m256i line, __m256i x) {
    __m256i weights = _mm256_xor_si256(line, _mm256_set1_epi8((char)0x80));
    __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(x, weights));
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

DK_YMM_DOT(dk_dot32)

#include "kernels.inc"

DK_TABLE(dk_kernels_avx2, "avx2");
#pragma clang attribute pop
#endif
