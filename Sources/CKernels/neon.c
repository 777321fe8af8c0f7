// Arm with the signed dot product (Armv8.2 and later, all current servers and boards), and, with DK_I8MM, with
// the products of 8-bit matrices (I8MM: Armv8.6, among them Neoverse V1 and N2, Apple's from M2 on).
#if defined(__aarch64__)
#include <arm_neon.h>
#include "CKernels.h"
#include "lanes.h"

#define DK_WIDE_CODES 0
typedef int8_t dk_code;
#define DK_TOKENS 4
#define DK_PAIR 0
#define DK_WIDE 2

#ifdef DK_I8MM
#pragma clang attribute push(__attribute__((target("i8mm"))), apply_to = function)
#define DK_UNSIGNED_DOT 1
#define DK_MATRIX 12
#define dk_dot4 vusdotq_s32
#define dk_weigh4(sums, line, quad) vusdotq_s32(sums, quad, line)
#else
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#define DK_UNSIGNED_DOT 0
DK_INLINE int32x4_t dk_dot4(int32x4_t sums, uint8x16_t line, int8x16_t quad) {
    return vdotq_s32(sums, vreinterpretq_s8_u8(veorq_u8(line, vdupq_n_u8(0x80))), quad);
}
#define dk_weigh4(sums, line, quad) vdotq_s32(sums, line, vreinterpretq_s8_u8(quad))
#endif
#include "half.h"

DK_INLINE i32x16 dk_dot(i32x16 sums, u8x64 line, const dk_code *x) {
    int32x4_t parts[4];
    uint8x16_t lines[4];
    const int8x16_t quad = vreinterpretq_s8_s32(vdupq_n_s32(dk_word(x)));
    memcpy(parts, &sums, sizeof parts);
    memcpy(lines, &line, sizeof lines);
    for (int i = 0; i < 4; i++) parts[i] = dk_dot4(parts[i], lines[i], quad);
    memcpy(&sums, parts, sizeof sums);
    return sums;
}

DK_INLINE i32x16 dk_weigh(i32x16 sums, u8x64 line, const uint8_t *weights) {
    int32x4_t parts[4];
    int8x16_t lines[4];
    const uint8x16_t quad = vreinterpretq_u8_s32(vdupq_n_s32(dk_word(weights)));
    memcpy(parts, &sums, sizeof parts);
    memcpy(lines, &line, sizeof lines);
    for (int i = 0; i < 4; i++) parts[i] = dk_weigh4(parts[i], lines[i], quad);
    memcpy(&sums, parts, sizeof sums);
    return sums;
}

DK_PICK
DK_CHOOSE

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

#ifdef DK_I8MM
// An instruction multiplies two rows by two tokens, eight inputs of each: zipping the two lines puts a row's eight
// side by side. Eight rows at a time, so that their sums with all tokens stay in the registers.
DK_INLINE void dk_matrix_sums(dk_stretch w, const int8_t *x, const int32_t *offsets, int64_t stride, const int N,
                              i32x16 *out) {
    const bool halves = w.coding != DK_BYTES;
    const uint8x16_t book = vld1q_u8(w.codebook);
    for (int first = 0; first < DK_ROWS; first += 8) {
        int32x4_t sums[DK_MATRIX / 2][4];
        DK_UNROLL for (int t = 0; t < N; t += 2) {
            const int32x2_t pair = w.coding == DK_NIBBLES ? vdup_n_s32(0) : vld1_s32(offsets + t);
            DK_UNROLL for (int r = 0; r < 4; r++) sums[t / 2][r] = vcombine_s32(pair, pair);
        }
        // Unrolled, the compiler would load ahead more than the registers hold.
        _Pragma("clang loop unroll(disable)") for (int input = 0; input < w.inputs; input += 8) {
            const uint8_t *line = w.codes + input * DK_ROWS / (halves ? 2 : 1) + 4 * first;
            uint8x16_t rows[4];
            DK_UNROLL for (int r = 0; r < 4; r += 2) {
                uint8x16_t low = vld1q_u8(line + 8 * r), high;
                if (halves) {
                    high = vshrq_n_u8(low, 4);
                    low = vandq_u8(low, vdupq_n_u8(15));
                    if (w.coding == DK_INDICES) high = vqtbl1q_u8(book, high), low = vqtbl1q_u8(book, low);
                } else high = vld1q_u8(line + 4 * DK_ROWS + 8 * r);
                if (w.coding == DK_SIXES) { // sixteen inputs, whose upper bits are the third line
                    const uint8x16_t upper = vld1q_u8(w.codes + 8 * DK_ROWS + 4 * first + 8 * r);
                    const int8_t up = (int8_t)(4 - input / 2);
                    low = vorrq_u8(low, vandq_u8(vshlq_u8(upper, vdupq_n_s8(up)), vdupq_n_u8(48)));
                    high = vorrq_u8(high, vandq_u8(vshlq_u8(upper, vdupq_n_s8((int8_t)(up - 2))), vdupq_n_u8(48)));
                }
                const uint32x4_t quads = vreinterpretq_u32_u8(low), next = vreinterpretq_u32_u8(high);
                rows[r] = vreinterpretq_u8_u32(vzip1q_u32(quads, next));
                rows[r + 1] = vreinterpretq_u8_u32(vzip2q_u32(quads, next));
            }
            DK_UNROLL for (int t = 0; t < N; t += 2) {
                const int8x16_t pair = vld1q_s8(x + input * stride + 8 * t);
                DK_UNROLL for (int r = 0; r < 4; r++) sums[t / 2][r] = vusmmlaq_s32(sums[t / 2][r], rows[r], pair);
            }
        }
        DK_UNROLL for (int t = 0; t < N; t += 2)
            DK_UNROLL for (int r = 0; r < 4; r += 2) {
                const int32x4_t *four = sums[t / 2] + r;
                vst1q_s32((int32_t *)&out[t] + first + 2 * r, vuzp1q_s32(four[0], four[1]));
                vst1q_s32((int32_t *)&out[t + 1] + first + 2 * r, vuzp2q_s32(four[0], four[1]));
            }
    }
}
#endif

#include "kernels.inc"

#ifdef DK_I8MM
DK_TABLE(dk_kernels_neon_i8mm, "neon-i8mm");
#else
DK_TABLE(dk_kernels_neon, "neon-dotprod");
#endif
#pragma clang attribute pop
#endif
