// AVX-512 with VNNI: one register is one line of codes, or sixteen floats.
#if defined(__x86_64__)
#include <immintrin.h>
#include "CKernels.h"
#include "lanes.h"

#pragma clang attribute push( \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))), \
    apply_to = function)
#include "half.h"

#define DK_UNSIGNED_DOT 1
#define DK_WIDE_CODES 0
typedef int8_t dk_code;
#define DK_TOKENS 12
#define DK_MANY 16
#define DK_PAIR 6
#define DK_WIDE 2

DK_INLINE i32x16 dk_dot(i32x16 sums, u8x64 line, const dk_code *x) {
    return (i32x16)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)line, _mm512_set1_epi32(dk_word(x)));
}

DK_INLINE i32x16 dk_weigh(i32x16 sums, u8x64 line, const uint8_t *weights) {
    return (i32x16)_mm512_dpbusd_epi32((__m512i)sums, _mm512_set1_epi32(dk_word(weights)), (__m512i)line);
}

DK_INLINE u8x64 dk_lookup(u8x64 indices, const uint8_t *codebook) {
    __m512i book = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)codebook));
    return (u8x64)_mm512_shuffle_epi8(book, (__m512i)indices);
}

DK_INLINE f32x16 dk_pick(const float *map, const uint8_t *codes) {
    // Looking in all eight parts of the map is faster than a gather.
    u8x16 bytes;
    memcpy(&bytes, codes, sizeof bytes);
    const i32x16 index = __builtin_convertvector(bytes, i32x16);
    i32x16 found[8];
    DK_UNROLL for (int i = 0; i < 8; i++) {
        const float *part = map + 32 * i;
        found[i] = (i32x16)_mm512_permutex2var_ps(_mm512_loadu_ps(part), (__m512i)index, _mm512_loadu_ps(part + 16));
    }
    DK_UNROLL for (int width = 1; width < 8; width *= 2) {
        const i32x16 upper = (index & 32 * width) != 0;
        DK_UNROLL for (int i = 0; i < 8; i += 2 * width)
            found[i] = (found[i + width] & upper) | (found[i] & ~upper);
    }
    return (f32x16)found[0];
}

DK_INLINE f32x16 dk_choose(const float *levels, u32x16 index) {
    return (f32x16)_mm512_permutexvar_ps((__m512i)index, _mm512_loadu_ps(levels));
}

DK_INLINE f32x16 dk_half(u16x16 bits) { return (f32x16)_mm512_cvtph_ps((__m256i)bits); }
DK_INLINE uint16_t dk_half_bits(float x) { return dk_half_bits_portable(x); }

#include "kernels.inc"

DK_TABLE(dk_kernels_avx512, "avx512-vnni");
#pragma clang attribute pop
#endif
