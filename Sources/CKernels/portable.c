// Plain C: runs anywhere, and is what the others are tested against.
#include "CKernels.h"
#include "lanes.h"
#include "half.h"

#define DK_UNSIGNED_DOT 0
#define DK_WIDE_CODES 0
typedef int8_t dk_code;
#define DK_TOKENS 1
#define DK_PAIR 0
#define DK_WIDE 1

DK_INLINE i32x16 dk_dot(i32x16 sums, u8x64 line, const dk_code *x) {
    for (int lane = 0; lane < 16; lane++)
        for (int i = 0; i < 4; i++) sums[lane] += ((int32_t)line[4 * lane + i] - 128) * x[i];
    return sums;
}

DK_INLINE i32x16 dk_weigh(i32x16 sums, u8x64 line, const uint8_t *weights) {
    for (int lane = 0; lane < 16; lane++)
        for (int i = 0; i < 4; i++) sums[lane] += (int8_t)line[4 * lane + i] * weights[i];
    return sums;
}

DK_PICK
DK_CHOOSE

DK_INLINE u8x64 dk_lookup(u8x64 indices, const uint8_t *codebook) {
    u8x64 levels;
    for (int i = 0; i < 64; i++) levels[i] = codebook[indices[i]];
    return levels;
}

DK_INLINE f32x16 dk_half(u16x16 bits) { return dk_half_portable(bits); }
DK_INLINE uint16_t dk_half_bits(float x) { return dk_half_bits_portable(x); }

#include "kernels.inc"

DK_TABLE(dk_kernels_portable, "portable");
