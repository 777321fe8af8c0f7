// Low-rank parts beside a matrix: every instruction set, and a token alone as among others.
#include "harness.h"

typedef struct {
    int64_t rows, columns, rank, tokens;
    bool half, scaled, biased, extreme;
} shape;

static void *factors(const dk_kernels *k, noise *n, int64_t count, bool half) {
    float *floats = noise_floats(n, count, 1);
    if (!half) return floats;
    uint16_t *halves = poisoned(2 * (size_t)count);
    k->halve(floats, count, halves);
    free(floats);
    return halves;
}

static void run(const dk_kernels *k, noise *n, shape s) {
    const int64_t padded = (s.columns + 15) / 16 * 16, tiles = (s.rows + DK_ROWS - 1) / DK_ROWS;
    const int64_t stride = s.rows + 3;
    void *a = factors(k, n, s.rank * padded, s.half), *b = factors(k, n, tiles * DK_ROWS * s.rank, s.half);
    float *units = noise_floats(n, s.rank, 2), *scales = noise_floats(n, s.rows, 2), *bias = noise_floats(n, s.rows, 1);
    float *x = noise_floats(n, s.tokens * s.columns, 1), *out = noise_floats(n, s.tokens * stride, 1);
    for (int i = 0; s.extreme && i < extremes_count; i++) x[i % (s.tokens * s.columns)] = extremes[i];
    float *sums = poisoned(4 * (size_t)(s.tokens * s.rank)), *alone = poisoned(4 * (size_t)s.rank);
    const dk_low_rank part = {.half = s.half, .rank = s.rank, .a = a, .b = b, .units = units,
                              .scales = s.scaled ? scales : NULL};
    for (int64_t block = 0; block * DK_RANKS < s.rank; block++) {
        k->reduce(&part, x, s.columns, s.tokens, block, sums);
        k->reduce(&part, x + (s.tokens - 1) * s.columns, s.columns, 1, block, alone);
    }
    if (!s.extreme && s.rank && memcmp(alone, sums + (s.tokens - 1) * s.rank, 4 * (size_t)s.rank)) abort();
    k->finish(&part, sums, s.tokens, s.biased ? bias : NULL, s.rows, 0, tiles, out, stride);
    record_floats(sums, s.tokens * s.rank, "reduce %d tokens, %d of %d", (int)s.tokens, (int)s.rank, (int)s.columns);
    record_floats(out, s.tokens * stride, "finish %d tokens, %d of %d", (int)s.tokens, (int)s.rank, (int)s.rows);
    free(a), free(b), free(units), free(scales), free(bias), free(x), free(out), free(sums), free(alone);
}

void run_low_rank(const dk_kernels *k) {
    static const int64_t columns[] = {1, 15, 16, 48, 100, 2048}, rows[] = {1, 16, 31, 64, 100};
    static const int64_t ranks[] = {0, 1, 3, 4, 7, 8, 9, 12, 16, 21, 64}, tokens[] = {1, 2, 3, 4, 5, 11, 12, 13, 29};
    noise n = {23};
    for (int i = 0; i < 198; i++)
        run(k, &n, (shape){rows[i % 5], columns[i % 6], ranks[i % 11], tokens[i % 9], i % 3 != 0, i % 4 != 1, i % 7 < 3,
                           i % 13 == 5});
}
