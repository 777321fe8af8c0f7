// AVX2 without a dot-product instruction: products of 16 bits, two at a time. Those of 8 bits take as many
// instructions, as their sums of pairs would not fit 16 bits without some care for the signs; only where one side has
// no more than 4 bits they do, and take half as many.
#if defined(__x86_64__)
#include <immintrin.h>
#include "CKernels.h"
#include "lanes.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "half.h"
#include "ymm.h"

#define DK_UNSIGNED_DOT 1
#define DK_WIDE_CODES 1
typedef int16_t dk_code;
#define DK_SMALL_SUMS 1
#define DK_TOKENS 4
#define DK_PAIR 0
#define DK_WIDE 1

// A line has four inputs of each row side by side: two of them, two apart, are a pair of 16 bits.
DK_INLINE __m256i dk_dot32(__m256i sums, __m256i line, const dk_code *x) {
    const __m256i even = _mm256_and_si256(line, _mm256_set1_epi16(255)), odd = _mm256_srli_epi16(line, 8);
    sums = _mm256_add_epi32(sums, _mm256_madd_epi16(even, _mm256_set1_epi32(dk_word(x))));
    return _mm256_add_epi32(sums, _mm256_madd_epi16(odd, _mm256_set1_epi32(dk_word(x + 2))));
}

DK_YMM_DOT(dk_dot, dk_code, dk_dot32)

// Two products of 127 x 127 fit 16 bits.
DK_INLINE __m256i dk_weigh32(__m256i sums, __m256i line, const uint8_t *weights) {
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi32(dk_word(weights)), line);
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

DK_YMM_DOT(dk_weigh, uint8_t, dk_weigh32)

// Pairs of products of 8 bits, as halves of each lane.
DK_INLINE i32x16 dk_small_dot(i32x16 sums, u8x64 line, const int8_t *x) {
    __m256i halves[2], lines[2];
    const __m256i four = _mm256_set1_epi32(dk_word(x));
    memcpy(halves, &sums, sizeof halves);
    memcpy(lines, &line, sizeof lines);
    for (int i = 0; i < 2; i++) halves[i] = _mm256_add_epi16(halves[i], _mm256_maddubs_epi16(lines[i], four));
    memcpy(&sums, halves, sizeof sums);
    return sums;
}
// The two halves of each lane, each times that of `factors`, added.
DK_INLINE i32x16 dk_settle(i32x16 sums, i32x16 factors) {
    __m256i halves[2], by[2];
    memcpy(halves, &sums, sizeof halves);
    memcpy(by, &factors, sizeof by);
    for (int i = 0; i < 2; i++) halves[i] = _mm256_madd_epi16(halves[i], by[i]);
    memcpy(&sums, halves, sizeof sums);
    return sums;
}

#include "kernels.inc"

DK_TABLE(dk_kernels_avx2, "avx2");
#pragma clang attribute pop
#endif
