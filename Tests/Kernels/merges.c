// Low-rank products, and the merged rows' way into every format that rounds.
#include "harness.h"

static void merge(const dk_kernels *k, noise *n, dk_format format, int64_t columns, int64_t rank) {
    const int64_t blocks = (columns + DK_BLOCK - 1) / DK_BLOCK, padded = blocks * DK_BLOCK;
    const int64_t stored = format < DK_Q8 ? columns : padded;
    float *before = noise_floats(n, DK_ROWS * columns, 0.1f), *b = noise_floats(n, DK_ROWS * rank, 1);
    float *a = noise_floats(n, rank * padded, 0.05f), *factors = noise_floats(n, DK_ROWS, 2);
    for (int64_t i = 0; i < rank * padded; i++)
        if (i / (rank * DK_BLOCK) * DK_BLOCK + i % DK_BLOCK >= columns) a[i] = 0;
    float *out = poisoned(sizeof(float) * (size_t)(DK_ROWS * padded));
    double squares[DK_ROWS], sums[2] = {0.25, 0.5};
    k->add_product(before, b, a, DK_ROWS, rank, 0.75f, columns, out, squares);
    const int width = (int)columns;
    record_floats(out, DK_ROWS * padded, "add_product %d, rank %d", width, (int)rank);
    record_bytes(squares, sizeof squares, "squares %d, rank %d", width, (int)rank);

    const int64_t half_bytes = format == DK_F32 ? 8 : format < DK_Q8 ? 4 : format == DK_Q8 ? 2 : 1;
    const size_t code_bytes = (size_t)(DK_ROWS * stored * half_bytes / 2);
    const size_t scale_bytes = (size_t)(DK_ROWS * blocks * (format == DK_Q8 ? 2 : format == DK_Q4 ? 4 : 0));
    void *codes = poisoned(code_bytes), *scales = poisoned(scale_bytes);
    dk_matrix m = {.format = format, .rows = DK_ROWS, .padded_columns = stored, .codes = codes, .scales = scales,
                   .unit = 1.0f / 127};
    for (int i = 0; i < 16; i++) m.codebook[i] = (uint8_t)(1 + 17 * i - i % 3);
    k->pack_merged(&m, 0, before, out, factors, columns, sums);
    record_bytes(codes, code_bytes, "merged codes %d, format %d", width, format);
    record_bytes(scales, scale_bytes, "merged scales %d, format %d", width, format);
    record_bytes(sums, sizeof sums, "merged sums %d, format %d", width, format);
    free(before), free(b), free(a), free(factors), free(out), free(codes), free(scales);
}

void run_merges(const dk_kernels *k) {
    static const int64_t columns[] = {1, 15, 16, 48, 64, 65, 100, 128, 200, 2048};
    static const int64_t ranks[] = {0, 1, 3, 8, 16, 17};
    noise n = {11};
    for (int format = DK_F32; format <= DK_Q4; format++)
        for (int i = 0; i < 10 && format != DK_Q8_ROW; i++) merge(k, &n, (dk_format)format, columns[i], ranks[i % 6]);
}
