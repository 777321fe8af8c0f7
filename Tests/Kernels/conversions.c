// Half and bfloat16, and activations to integers.
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

// Indices of all widths by levels of every kind, as wide as they are and rounded.
static void look_up(const dk_kernels *k) {
    static const float scales[] = {1, 0.37f, -3, 1e-7f, 1e-39f, 60000, 70000, 3e38f, 0};
    noise n = {4};
    for (int count = 1; count < 400; count += count < 70 ? 1 : 13)
        for (int block = 16; block <= 128; block *= 2) {
            uint8_t *indices = poisoned((size_t)count);
            float *out = poisoned(sizeof(float) * (size_t)count), *values = noise_floats(&n, 16, 1);
            float *factors = poisoned(sizeof(float) * (size_t)((count + block - 1) / block));
            for (int i = 0; i < count; i++) indices[i] = (uint8_t)noise_bits(&n);
            for (int i = 0; i * block < count; i++) factors[i] = scales[noise_bits(&n) % 9];
            values[15] = extremes[count % extremes_count];
            for (int target = DK_UNROUNDED; target <= DK_TO_BRAIN; target++) {
                k->look_up(indices, count, values, factors, block, (dk_target)target, out);
                record_floats(out, count, "look up %d in blocks of %d, rounded %d", count, block, target);
            }
            free(indices), free(out), free(values), free(factors);
        }
}

// Every code by scales of all sizes, in rows of all widths.
static void widen_codes(const dk_kernels *k) {
    static const float scales[] = {1, 0.37f, -3, 1e-7f, 1e-39f, 3e38f, 0};
    for (int count = 1; count <= 300; count += count < 70 ? 1 : 23)
        for (int s = 0; s < 7; s++) {
            int8_t *codes = poisoned((size_t)count);
            float *out = poisoned(sizeof(float) * (size_t)count);
            for (int i = 0; i < count; i++) codes[i] = (int8_t)(i * 37 + count);
            k->widen_codes(codes, count, scales[s], 1.0f / 127, out);
            record_floats(out, count, "widen %d codes by %g", count, (double)scales[s]);
            free(codes), free(out);
        }
}

// The codes themselves lie as a table's products want them: multiplied by ones on a diagonal they show.
static void record_codes(const dk_kernels *k, const dk_activations *a, const char *what) {
    const int64_t columns = a->columns, rows = columns < 200 ? columns : 200, tiles = (rows + DK_ROWS - 1) / DK_ROWS;
    uint8_t *codes = poisoned((size_t)(tiles * DK_ROWS * a->padded_columns));
    uint8_t *tile = poisoned(DK_ROWS * (size_t)columns);
    float *scales = poisoned(sizeof(float) * (size_t)(tiles * DK_ROWS)), ones[DK_ROWS];
    float *out = poisoned(sizeof(float) * (size_t)(a->tokens * rows));
    const dk_matrix m = {.format = DK_Q8_ROW, .rows = rows, .padded_columns = a->padded_columns, .codes = codes,
                         .scales = scales, .unit = 1};
    for (int i = 0; i < DK_ROWS; i++) ones[i] = 1;
    for (int64_t t = 0; t < tiles; t++) {
        memset(tile, 0, DK_ROWS * (size_t)columns);
        for (int64_t i = 0; i < DK_ROWS && t * DK_ROWS + i < rows; i++) tile[i * columns + t * DK_ROWS + i] = 1;
        k->pack_codes(&m, t, tile, ones, columns);
    }
    k->multiply(&m, a, 0, tiles, out, rows);
    record_floats(out, a->tokens * rows, "quantize %d x %d at %g, %s: codes", (int)a->tokens, (int)columns,
                  (double)a->threshold, what);
    free(codes), free(tile), free(scales), free(out);
}

static void quantize_at(const dk_kernels *k, const float *x, int tokens, int columns, float threshold,
                        const char *what) {
    const int blocks = (columns + DK_BLOCK - 1) / DK_BLOCK;
    const size_t count = (size_t)(tokens * blocks);
    const dk_activations a = {.tokens = tokens, .columns = columns, .padded_columns = blocks * DK_BLOCK,
                              .threshold = threshold, .floats = x,
                              .codes = poisoned(4 * count * DK_BLOCK + DK_BEHIND),
                              .offsets = poisoned(6 * sizeof(int32_t) * count + DK_BEHIND),
                              .quarters = poisoned(8 * sizeof(int32_t) * count + DK_BEHIND),
                              .scales = poisoned(4 * count + DK_BEHIND), .sums = poisoned(4 * count + DK_BEHIND),
                              .shifts = poisoned(8 * count + DK_BEHIND),
                              .terms = poisoned(sizeof(dk_terms) * (size_t)blocks)};
    k->quantize(&a, 0);
    record_floats(a.scales, (int64_t)count, "quantize %d x %d at %g, %s: scales", tokens, columns, (double)threshold,
                  what);
    record_floats(a.sums, (int64_t)count, "quantize %d x %d at %g, %s: sums", tokens, columns, (double)threshold, what);
    for (int b = 0; b < blocks; b++)
        record_bytes(&a.terms[b].seconds, sizeof a.terms[b].seconds, "quantize %d x %d at %g, %s: terms of %d", tokens,
                     columns, (double)threshold, what, b);
    record_codes(k, &a, what);
    free(a.codes), free(a.offsets), free(a.quarters), free(a.scales), free(a.sums), free(a.shifts), free(a.terms);
}

// With one term, with two, and with two where a block stands out.
static void quantize(const dk_kernels *k, const float *x, int tokens, int columns, const char *what) {
    quantize_at(k, x, tokens, columns, __builtin_inff(), what);
    quantize_at(k, x, tokens, columns, 0, what);
    quantize_at(k, x, tokens, columns, 1.7f, what);
}

void run_conversions(const dk_kernels *k) {
    halves(k);
    look_up(k);
    widen_codes(k);
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
