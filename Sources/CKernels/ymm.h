// The primitives on pairs of 256-bit registers. Include inside a target region with AVX2, FMA and F16C.

#define DK_YMM_DOT(name, code, dot32) \
    DK_INLINE i32x16 name(i32x16 sums, u8x64 line, const code *x) { \
        __m256i halves[2], lines[2]; \
        memcpy(halves, &sums, sizeof halves); \
        memcpy(lines, &line, sizeof lines); \
        halves[0] = dot32(halves[0], lines[0], x); \
        halves[1] = dot32(halves[1], lines[1], x); \
        memcpy(&sums, halves, sizeof sums); \
        return sums; \
    }

DK_PICK

DK_INLINE u8x64 dk_lookup(u8x64 indices, const uint8_t *codebook) {
    __m256i halves[2], book = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)codebook));
    memcpy(halves, &indices, sizeof halves);
    halves[0] = _mm256_shuffle_epi8(book, halves[0]);
    halves[1] = _mm256_shuffle_epi8(book, halves[1]);
    memcpy(&indices, halves, sizeof indices);
    return indices;
}

// The permutation looks at three bits of an index; the fourth, as the sign, blends.
DK_INLINE f32x16 dk_choose(const float *levels, u32x16 index) {
    const __m256 low = _mm256_loadu_ps(levels), high = _mm256_loadu_ps(levels + 8);
    __m256i halves[2];
    __m256 floats[2];
    f32x16 result;
    memcpy(halves, &index, sizeof halves);
    for (int i = 0; i < 2; i++)
        floats[i] = _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, halves[i]), _mm256_permutevar8x32_ps(high, halves[i]),
                                     _mm256_castsi256_ps(_mm256_slli_epi32(halves[i], 28)));
    memcpy(&result, floats, sizeof result);
    return result;
}

DK_INLINE f32x16 dk_half(u16x16 bits) {
    __m128i halves[2];
    __m256 floats[2];
    f32x16 result;
    memcpy(halves, &bits, sizeof halves);
    floats[0] = _mm256_cvtph_ps(halves[0]);
    floats[1] = _mm256_cvtph_ps(halves[1]);
    memcpy(&result, floats, sizeof result);
    return result;
}

DK_INLINE uint16_t dk_half_bits(float x) { return dk_half_bits_portable(x); }
