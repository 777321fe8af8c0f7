// Arm with the signed dot product (Armv8.2 and later, all current servers and boards).
#if defined(__aarch64__)
#include <arm_neon.h>
#include "CKernels.h"
#include "lanes.h"

#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#include "half.h"

#define DK_UNSIGNED_DOT 0
#define DK_TOKENS 4
#define DK_PAIR 0
#define DK_WIDE 2

DK_INLINE i32x16 dk_dot(i32x16 sums, u8x64 line, int32_t x) {
    int32x4_t parts[4];
    int8x16_t lines[4], quad = vreinterpretq_s8_s32(vdupq_n_s32(x));
    line ^= 0x80;
    memcpy(parts, &sums, sizeof parts);
    memcpy(lines, &line, sizeof lines);
    for (int i = 0; i < 4; i++) parts[i] = vdotq_s32(parts[i], lines[i], quad);
    memcpy(&sums, parts, sizeof sums);
    return sums;
}

DK_PICK

DK_INLINE u8x64 dk_lookup(u8x64 indices, const uint8_t *codebook) {
    uint8x16_t parts[4], book = vld1q_u8(codebook);
    memcpy(parts, &indices, sizeof parts);
    for (int i = 0; i < 4; i++) parts[i] = vqtbl1q_u8(book, parts[i]);
    memcpy(&indices, parts, sizeof indices);
    return indices;
}

DK_INLINE f32x16 dk_half(u16x16 bits) {
    float16x4_t parts[4];
    float32x4_t floats[4];
    f32x16 result;
    memcpy(parts, &bits, sizeof parts);
    for (int i = 0; i < 4; i++) floats[i] = vcvt_f32_f16(parts[i]);
    memcpy(&result, floats, sizeof result);
    return result;
}

DK_INLINE uint16_t dk_half_bits(float x) { return dk_half_bits_portable(x); }

#include "kernels.inc"

DK_TABLE(dk_kernels_neon, "neon-dotprod");
#pragma clang attribute pop
#endif
