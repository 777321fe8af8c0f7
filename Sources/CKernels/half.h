// IEEE half <-> float by integer arithmetic, for CPUs without the instructions; exact, subnormals included.
// Include inside a target region.

DK_INLINE f32x16 dk_half_portable(u16x16 bits) {
    u32x16 wide = __builtin_convertvector(bits, u32x16);
    u32x16 magnitude = (wide & 0x7fff) << 13;
    u32x16 special = (u32x16)(magnitude >= 0x0f800000u) & 0x7f800000u; // infinity and NaN keep their exponent
    f32x16 scaled = (f32x16)magnitude * 0x1p112f;
    return (f32x16)((u32x16)scaled | special | (wide & 0x8000) << 16);
}

// To nearest, ties to even; beyond the largest half saturates (a cache must not hold infinities).
DK_INLINE uint16_t dk_half_bits_portable(float x) {
    uint32_t bits, sign;
    memcpy(&bits, &x, sizeof bits);
    sign = bits >> 16 & 0x8000;
    bits &= 0x7fffffff;
    if (bits > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (bits >= 0x477ff000) return (uint16_t)(sign | 0x7bff);
    if (bits < 0x38800000) { // below 2^-14: let the addition round
        float magnitude;
        memcpy(&magnitude, &bits, sizeof magnitude);
        magnitude += 0.5f;
        memcpy(&bits, &magnitude, sizeof bits);
        return (uint16_t)(sign | (bits - 0x3f000000));
    }
    bits += 0xfff + (bits >> 13 & 1) - 0x38000000;
    return (uint16_t)(sign | bits >> 13);
}
