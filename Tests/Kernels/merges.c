// Low-rank products, and the merged rows' way into every format that floats can be stored in.
#include "harness.h"

typedef struct {
    int64_t columns, rank;
    dk_format format;
    bool extreme;
} shape;

static int64_t padded(int64_t columns) { return (columns + DK_BLOCK - 1) / DK_BLOCK * DK_BLOCK; }

static void add(const dk_kernels *k, noise *n, shape s, int64_t rows, const float *before, float *out) {
    float *b = noise_floats(n, rows * s.rank, 1), *a = noise_floats(n, s.rank * padded(s.columns), 0.05f);
    for (int64_t i = 0; i < s.rank * padded(s.columns); i++)
        if (i / (s.rank * DK_BLOCK) * DK_BLOCK + i % DK_BLOCK >= s.columns) a[i] = 0;
    double squares[DK_ROWS];
    k->add_product(before, b, a, rows, s.rank, 0.75f, s.columns, out, squares);
    double alone[DK_ROWS];
    k->add_product(before, b, a, rows, s.rank, 0.75f, s.columns, NULL, alone);
    if (!s.extreme && memcmp(alone, squares, (size_t)rows * sizeof *squares)) abort();
    record_floats(out, rows * padded(s.columns), "add_product %d x %d, rank %d", (int)rows, (int)s.columns, (int)s.rank);
    if (!s.extreme)
        record_bytes(squares, (size_t)rows * sizeof *squares, "squares %d x %d, rank %d", (int)rows, (int)s.columns,
                     (int)s.rank);
    free(b), free(a);
}

// The second of two tiles; the first stays as it was.
static void merge(const dk_kernels *k, noise *n, shape s) {
    const int64_t blocks = padded(s.columns) / DK_BLOCK, stored = s.format < DK_Q8 ? s.columns : padded(s.columns);
    float *before = noise_floats(n, DK_ROWS * s.columns, 0.1f), *factors = noise_floats(n, DK_ROWS, 2);
    for (int i = 0; s.extreme && i < extremes_count; i++) before[i % DK_ROWS * s.columns + i % s.columns] = extremes[i];
    if (s.extreme) factors[3] = 0, factors[4] = 1e30f, factors[5] = 1e-30f;
    // V as a tile of floats, and the rows that it became.
    float *tile = poisoned(sizeof(float) * (size_t)(DK_ROWS * s.columns));
    float *out = poisoned(sizeof(float) * (size_t)(DK_ROWS * padded(s.columns)));
    const dk_matrix base = {.format = DK_F32, .rows = DK_ROWS, .padded_columns = s.columns, .codes = tile};
    k->pack(&base, 0, before, s.columns);
    float *b = noise_floats(n, DK_ROWS * s.rank, 1), *a = noise_floats(n, s.rank * padded(s.columns), 0.05f);
    const dk_decoding decoding = {.levels = NULL, .target = DK_UNROUNDED};
    double squares[DK_ROWS];
    k->square_rows(&base, &decoding, 0, b, a, s.rank, s.columns, out, squares);

    const int64_t half_bytes = s.format == DK_F32 ? 8 : s.format < DK_Q8 ? 4 : s.format == DK_Q8 ? 2 : 1;
    const size_t code_bytes = (size_t)(DK_ROWS * stored * half_bytes);
    const size_t scale_bytes = (size_t)(2 * DK_ROWS * blocks * (s.format == DK_Q8 ? 2 : s.format == DK_Q4 ? 4 : 0));
    void *codes = poisoned(code_bytes), *scales = poisoned(scale_bytes);
    dk_matrix m = {.format = s.format, .rows = 2 * DK_ROWS, .padded_columns = stored, .codes = codes,
                   .scales = scales, .unit = 1.0f / 127};
    for (int i = 0; i < 16; i++) m.codebook[i] = (uint8_t)(1 + 17 * i - i % 3);
    dk_change change = {.kept = 0.25, .asked = 0.5, .lost = 1, .largest = 0.01f, .least = 2};
    k->pack_changed(&m, 1, &base, &decoding, 0, out, factors, s.columns, &change);
    const int width = (int)s.columns;
    record_floats(out, DK_ROWS * padded(s.columns), "scaled rows %d, format %d", width, s.format);
    record_bytes(codes, code_bytes, "merged codes %d, format %d", width, s.format);
    record_bytes(scales, scale_bytes, "merged scales %d, format %d", width, s.format);
    if (!s.extreme) record_bytes(&change, sizeof change, "merged change %d, format %d", width, s.format);
    free(before), free(tile), free(b), free(a), free(factors), free(out), free(codes), free(scales);
}

void run_merges(const dk_kernels *k) {
    static const int64_t columns[] = {1, 15, 16, 48, 64, 65, 100, 128, 200, 2048};
    static const int64_t ranks[] = {1, 2, 3, 8, 16, 17};
    static const dk_format formats[] = {DK_F32, DK_F16, DK_BF16, DK_Q8, DK_Q4};
    noise n = {11};
    for (int i = 0; i < 10; i++)
        for (int64_t rows = 1; rows < DK_ROWS; rows += 4) {
            const shape s = {columns[i], ranks[i % 6], DK_F32, false};
            float *before = noise_floats(&n, rows * s.columns, 1);
            float *out = poisoned(sizeof(float) * (size_t)(rows * padded(s.columns)));
            add(k, &n, s, rows, before, out);
            free(before), free(out);
        }
    for (int format = 0; format < 5; format++)
        for (int i = 0; i < 10; i++) merge(k, &n, (shape){columns[i], ranks[i % 6], formats[format], false});
    // The 16-bit formats keep a NaN's sign, in which the machines differ.
    for (int i = 0; i < 10; i++) {
        merge(k, &n, (shape){columns[i], ranks[i % 6], DK_Q8, true});
        merge(k, &n, (shape){columns[i], ranks[i % 6], DK_Q4, true});
    }
}
