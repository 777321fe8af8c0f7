// Half and bfloat16, and activations to int8.
#include "harness.h"

static void halves(const dk_kernels *k) {
    const int count = 65536;
    uint16_t *bits = poisoned(2 * (size_t)count);
    float *floats = poisoned(sizeof(float) * (size_t)count);
    for (int i = 0; i < count; i++) bits[i] = (uint16_t)i;
    k->widen(bits, count, true, floats);
    record_floats(floats, count, "widen all bfloat16");
    k->widen(bits, count, false, floats);
    record_floats(floats, count, "widen all halves");
    // Every half, the middle to the next one, and the floats beside both.
    for (int part = 0; part < 2; part++)
        for (int step = -1; step <= 1; step++) {
            float *near = poisoned(sizeof(float) * (size_t)count);
            for (int i = 0; i < count; i++) {
                uint32_t single;
                memcpy(&single, &floats[i], sizeof single);
                single += (uint32_t)(step + part * 0x1000);
                memcpy(&near[i], &single, sizeof single);
            }
            k->halve(near, count, bits);
            record_bytes(bits, 2 * (size_t)count, "halve, half + %d/2 %+d", part, step);
            free(near);
        }
    noise n = {2};
    for (int i = 0; i < count; i++) {
        uint32_t single = noise_bits(&n);
        memcpy(&floats[i], &single, sizeof single);
    }
    k->halve(floats, count, bits);
    record_bytes(bits, 2 * (size_t)count, "halve random bits");
    for (int some = 1; some < 40; some += 3) {
        uint16_t *few = poisoned(2 * (size_t)some);
        float *out = poisoned(sizeof(float) * (size_t)some);
        memcpy(few, bits + some, 2 * (size_t)some);
        k->widen(few, some, false, out);
        record_floats(out, some, "widen %d halves", some);
        k->widen(few, some, true, out);
        record_floats(out, some, "widen %d bfloat16", some);
        k->halve(floats, some, few);
        record_bytes(few, 2 * (size_t)some, "halve %d", some);
        free(few), free(out);
    }
    free(bits), free(floats);
}

static void quantize(const dk_kernels *k, const float *x, int tokens, int columns, const char *what) {
    const int padded = (columns + DK_BLOCK - 1) / DK_BLOCK * DK_BLOCK, count = tokens * padded;
    int8_t *codes = poisoned((size_t)count);
    float *scales = poisoned(sizeof(float) * (size_t)count / DK_BLOCK);
    int32_t *offsets = poisoned(sizeof(int32_t) * (size_t)count / DK_BLOCK);
    k->quantize(x, tokens, columns, padded, codes, scales, offsets);
    record_bytes(codes, (size_t)count, "quantize %d x %d, %s: codes", tokens, columns, what);
    record_floats(scales, count / DK_BLOCK, "quantize %d x %d, %s: scales", tokens, columns, what);
    record_bytes(offsets, sizeof(int32_t) * (size_t)count / DK_BLOCK, "quantize %d x %d, %s: offsets",
                 tokens, columns, what);
    free(codes), free(scales), free(offsets);
}

void run_conversions(const dk_kernels *k) {
    halves(k);
    noise n = {3};
    static const int widths[] = {1, 3, 15, 16, 17, 31, 33, 63, 64, 65, 100, 172, 2048};
    static const float scales[] = {1, 1e-30f, 1e-36f, 1e-38f, 1e-42f, 1e30f, 3e38f, 3.4e38f, 0};
    for (int w = 0; w < 13; w++)
        for (int tokens = 1; tokens <= DK_GROUP; tokens += w < 11 ? 1 : 11) {
            float *x = noise_floats(&n, tokens * widths[w], 3);
            quantize(k, x, tokens, widths[w], "noise");
            free(x);
        }
    for (int s = 0; s < 9; s++) {
        float *x = noise_floats(&n, 3 * 100, scales[s]);
        char what[32];
        snprintf(what, sizeof what, "scale %g", (double)scales[s]);
        quantize(k, x, 3, 100, what);
        free(x);
    }
    for (int i = 0; i < extremes_count; i++) {
        float *x = noise_floats(&n, 2 * 130, 1);
        char what[32];
        x[70] = extremes[i];
        snprintf(what, sizeof what, "extreme %g", (double)extremes[i]);
        quantize(k, x, 2, 130, what);
        free(x);
    }
    // Exact halves between two codes: ties go to the even one.
    float ties[64];
    for (int i = 0; i < 64; i++) ties[i] = i == 63 ? 127 : (float)i - 31.5f;
    quantize(k, ties, 1, 64, "ties");
}
