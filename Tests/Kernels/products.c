// Packing, unpacking and products of every format.
#include "harness.h"

// The formats, those of one kind by what they say of scales.
typedef struct {
    const char *name;
    dk_format format;
    dk_scaling scaling;
    int group_shift;
} kind;

static const kind kinds[] = {
    {"f32", DK_F32, 0, 0},
    {"f16", DK_F16, 0, 0},
    {"bf16", DK_BF16, 0, 0},
    {"q8", DK_Q8, 0, 0},
    {"q8_row", DK_Q8_ROW, 0, 0},
    {"q4", DK_Q4, 0, 0},
    {"q4_nested", DK_Q4_NESTED, 0, 1},
    {"q8_0", DK_Q8_0, 0, 0},
    {"a4 scales 32", DK_A4, DK_SCALES, 5},
    {"a4 scales 64", DK_A4, DK_SCALES, 6},
    {"a4 minima 32", DK_A4, DK_MINIMA, 5},
    {"a4 minima 128", DK_A4, DK_MINIMA, 7},
    {"a4 points 32", DK_A4, DK_POINTS, 5},
    {"a4 points 64", DK_A4, DK_POINTS, 6},
    {"a4 points 128", DK_A4, DK_POINTS, 7},
    {"a4 nested", DK_A4, DK_NESTED_MINIMA, 5},
    {"q6_k", DK_Q6_K, 0, 0},
};
static const uint8_t levels[16] = {1, 40, 61, 78, 92, 105, 116, 128, 138, 148, 159, 171, 184, 199, 220, 255};

typedef struct {
    const char *name;
    dk_matrix view;
    void *codes, *scales;
    float *tables;
    size_t code_bytes, scale_bytes;
    int64_t tiles, columns;
} matrix;

static bool is_four_bit(dk_format format) { return format == DK_Q4 || format == DK_Q4_NESTED || format == DK_A4; }

// Bytes of the scales of a row of `padded` inputs.
static size_t row_scales(const kind *k, int64_t padded) {
    const size_t blocks = (size_t)padded / DK_BLOCK, groups = ((size_t)(padded - 1) >> k->group_shift) + 1;
    switch (k->format) {
    case DK_Q8: return 2 * blocks;
    case DK_Q8_ROW: return 4;
    case DK_Q4: return 4 * blocks;
    case DK_Q4_NESTED: return blocks;
    case DK_Q8_0: return 4 * blocks;
    case DK_A4: return k->scaling == DK_NESTED_MINIMA ? (groups + 7) / 8 * 20
                     : groups * (k->scaling == DK_SCALES ? 2 : k->scaling == DK_MINIMA ? 4 : 5);
    case DK_Q6_K: return (blocks + 3) / 4 * 18;
    default: return 0;
    }
}

static matrix allocate(const kind *k, int64_t rows, int64_t columns) {
    const dk_format format = k->format;
    matrix m = {.name = k->name, .columns = columns, .tiles = (rows + DK_ROWS - 1) / DK_ROWS};
    int64_t padded = format < DK_Q8 ? columns : (columns + DK_BLOCK - 1) / DK_BLOCK * DK_BLOCK;
    size_t count = (size_t)(m.tiles * DK_ROWS * padded);
    m.code_bytes = format == DK_F32      ? 4 * count
                   : format < DK_Q8      ? 2 * count
                   : format == DK_Q6_K   ? count / 4 * 3
                   : is_four_bit(format) ? count / 2
                                         : count;
    m.scale_bytes = (size_t)m.tiles * DK_ROWS * row_scales(k, padded);
    m.codes = poisoned(m.code_bytes);
    m.scales = poisoned(m.scale_bytes);
    m.view = (dk_matrix){.format = format, .rows = rows, .padded_columns = padded, .codes = m.codes,
                         .scales = m.scales, .unit = 1.0f / 127, .scaling = k->scaling,
                         .group_shift = k->group_shift};
    memcpy(m.view.codebook, levels, sizeof levels);
    m.view.zero = format == DK_A4 ? 8 : 0.16f;
    if (format == DK_Q4_NESTED) {
        // Groups of two blocks, so that most rows begin within one.
        const int64_t groups = (int64_t)(count / DK_BLOCK + 1) / 2;
        noise n = {6};
        m.tables = noise_floats(&n, 256 + groups, 1);
        m.view.map = m.tables;
        m.view.groups = m.tables + 256;
        m.view.offset = 0.03f;
    }
    return m;
}

static void release(matrix *m) { free(m->codes), free(m->scales), free(m->tables); }

// The scales of sixteen rows as a checkpoint holds them: noise, but no infinity where they are numbers.
static void *fill_scales(const matrix *m, noise *n) {
    const size_t bytes = m->scale_bytes / (size_t)m->tiles;
    if (m->view.format == DK_Q8_ROW || m->view.format == DK_Q4) return noise_floats(n, (int64_t)bytes / 4, 0.1f);
    const size_t record = m->view.format == DK_Q6_K                   ? 18
                          : m->view.format != DK_A4                     ? 0
                          : m->view.scaling == DK_NESTED_MINIMA       ? 20
                          : m->view.scaling == DK_POINTS              ? 5
                                                                      : 0;
    uint8_t *scales = poisoned(bytes);
    for (size_t i = 0; i < bytes; i++) scales[i] = (uint8_t)(noise_bits(n) >> 8);
    if (m->view.format == DK_Q4_NESTED) return scales;
    // The upper byte of a half, and of a float: 2^-9 to 2^-1.
    for (size_t i = 0; i < bytes; i++) {
        const size_t within = record ? i % record : i % 2;
        const bool upper = record == 5 ? within == 3 : record == 20 ? within == 1 || within == 3 : within == 1;
        if (!upper) continue;
        scales[i] = record == 5 ? (scales[i] & 0x83) | 0x3c : (scales[i] & 0x9f) | 0x18;
    }
    return scales;
}

// Codes as a checkpoint holds them; `extreme` takes only the largest of both signs.
static void fill_codes(const dk_kernels *k, matrix *m, noise *n, bool extreme) {
    static const uint8_t largest[] = {0x80, 0x81, 0x7f, 0x80};
    const bool q4 = is_four_bit(m->view.format), q6 = m->view.format == DK_Q6_K;
    const int64_t count = DK_ROWS * m->columns;
    for (int64_t tile = 0; tile < m->tiles; tile++) {
        uint8_t *rows = poisoned((size_t)count);
        void *scales = fill_scales(m, n);
        for (int64_t i = 0; i < count; i++) {
            uint32_t bits = noise_bits(n) >> 8;
            const uint32_t most = q4 ? 15 : 63;
            rows[i] = q4 || q6  ? (uint8_t)(extreme ? (bits & 1) * most : bits & most)
                      : extreme ? largest[bits & 3]
                                : (uint8_t)bits;
        }
        k->pack_codes(&m->view, tile, rows, scales, m->columns);
        free(rows), free(scales);
    }
}

static bool takes_codes_only(dk_format format) {
    return format == DK_Q8_ROW || format == DK_Q4_NESTED || format >= DK_Q8_0;
}

static void fill(const dk_kernels *k, matrix *m, noise *n, float scale) {
    if (takes_codes_only(m->view.format)) {
        fill_codes(k, m, n, false);
        return;
    }
    for (int64_t tile = 0; tile < m->tiles; tile++) {
        float *rows = noise_floats(n, DK_ROWS * m->columns, scale);
        k->pack(&m->view, tile, rows, m->columns);
        free(rows);
    }
}

// Changed rows of a tile, packed into a format that floats can be stored in.
static void record_changed(const dk_kernels *k, const matrix *m, const dk_decoding *decoding, dk_format to, int64_t tile,
                           float *rows, const char *what) {
    const kind into = {"changed", to, 0, 0};
    matrix out = allocate(&into, m->view.rows, m->columns);
    float factors[DK_ROWS];
    for (int lane = 0; lane < DK_ROWS; lane++) factors[lane] = 1 + 0.01f * (float)lane;
    dk_change change = {.least = 2};
    k->pack_changed(&out.view, tile, &m->view, decoding, tile, rows, factors, m->columns, &change);
    // Where the scales overflow; the machines differ in a NaN's sign.
    double *sums[] = {&change.kept, &change.asked, &change.lost};
    for (int i = 0; i < 3; i++)
        if (*sums[i] != *sums[i]) *sums[i] = -1;
    const int width = (int)m->columns, height = (int)m->view.rows;
    record_bytes(out.codes, out.code_bytes, "changed %s %d x %d, %s: codes of %d", m->name, height, width, what, to);
    record_bytes(out.scales, out.scale_bytes, "changed %s %d x %d, %s: scales of %d", m->name, height, width, what, to);
    record_bytes(&change, sizeof change, "change %s %d x %d, %s: into %d", m->name, height, width, what, to);
    release(&out);
}

// Rows with a product beside them: V as it is and rounded, 4-bit indices with levels of the codebook and of their own.
static void record_squares(const dk_kernels *k, const matrix *m, const char *what) {
    static const float own[16] = {-1, -0.7f, -0.53f, -0.39f, -0.28f, -0.18f, -0.09f, 0,
                                  0.08f, 0.16f, 0.25f, 0.34f, 0.44f, 0.56f, 0.72f, 1};
    static const dk_format formats[] = {DK_Q8, DK_F16, DK_BF16, DK_F32, DK_Q4};
    const int64_t padded = (m->columns + DK_BLOCK - 1) / DK_BLOCK * DK_BLOCK, rank = 1 + m->columns % 19;
    noise n = {13};
    float *b = noise_floats(&n, rank * DK_ROWS, 1), *a = noise_floats(&n, rank * padded, 0.05f);
    for (int way = 0; way < 6; way++) {
        const dk_decoding decoding = {.levels = way % 2 ? own : NULL, .target = (dk_target)(way / 2)};
        for (int64_t tile = 0; tile < m->tiles; tile++) {
            double squares[DK_ROWS], alone[DK_ROWS], sum = 0;
            float *rows = poisoned(sizeof(float) * (size_t)(padded * DK_ROWS));
            k->square_rows(&m->view, &decoding, tile, b, a, rank, m->columns, NULL, alone);
            k->square_rows(&m->view, &decoding, tile, b, a, rank, m->columns, rows, squares);
            if (memcmp(alone, squares, sizeof squares)) abort();
            record_floats(rows, padded * DK_ROWS, "sums %s %d x %d, %s, %d, %d", m->name, (int)m->view.rows,
                          (int)m->columns, what, way, (int)tile);
            for (int i = 0; i < DK_ROWS; i++) sum += squares[i];
            if (sum - sum == 0) {
                record_bytes(squares, sizeof squares, "squares %s %d x %d, %s, %d, %d", m->name, (int)m->view.rows,
                             (int)m->columns, what, way, (int)tile);
                record_changed(k, m, &decoding, formats[(way + tile) % 5], tile, rows, what);
            }
            free(rows);
        }
    }
    free(b), free(a);
}

static void record_matrix(const dk_kernels *k, const matrix *m, const char *what) {
    const char *name = m->name;
    const int rows = (int)m->view.rows, columns = (int)m->columns;
    record_bytes(m->codes, m->code_bytes, "pack %s %d x %d, %s: codes", name, rows, columns, what);
    record_bytes(m->scales, m->scale_bytes, "pack %s %d x %d, %s: scales", name, rows, columns, what);
    float *out = poisoned(sizeof(float) * (size_t)(m->tiles * DK_ROWS * m->columns));
    for (int64_t tile = 0; tile < m->tiles; tile++)
        k->unpack(&m->view, tile, out + tile * DK_ROWS * m->columns, m->columns);
    record_floats(out, m->tiles * DK_ROWS * m->columns, "unpack %s %d x %d, %s", name, rows, columns, what);
    free(out);
    record_squares(k, m, what);
    if (m->view.format < DK_Q8_ROW) return;
    const int64_t count = DK_ROWS * m->columns, scale_bytes = (int64_t)m->scale_bytes / m->tiles;
    uint8_t *codes = poisoned((size_t)(m->tiles * count)), *scales = poisoned(m->scale_bytes);
    for (int64_t tile = 0; tile < m->tiles; tile++)
        k->unpack_codes(&m->view, tile, codes + tile * count, scales + tile * scale_bytes, m->columns);
    record_bytes(codes, (size_t)(m->tiles * count), "unpack codes %s %d x %d, %s", name, rows, columns, what);
    record_bytes(scales, m->scale_bytes, "unpack scales %s %d x %d, %s", name, rows, columns, what);
    free(codes), free(scales);
}

static void multiply(const dk_kernels *k, const matrix *m, const float *x, int64_t tokens, float threshold,
                     const char *what) {
    const int64_t columns = m->columns, padded = (columns + DK_BLOCK - 1) / DK_BLOCK * DK_BLOCK;
    const int64_t blocks = padded / DK_BLOCK, groups = (tokens + DK_GROUP - 1) / DK_GROUP;
    const size_t count = (size_t)(tokens * blocks);
    dk_activations a = {.tokens = tokens, .columns = columns, .padded_columns = padded, .threshold = threshold,
                        .floats = x};
    const int64_t floats = tokens * columns;
    // What a format does not want it must do without.
    if (m->view.format == DK_F16 || m->view.format == DK_BF16) {
        a.panels = poisoned(sizeof(float) * (size_t)floats + DK_BEHIND);
        for (int64_t group = 0; group < groups; group++) k->interleave(&a, group);
        record_floats(a.panels, floats, "panels %d x %d, %s", (int)tokens, (int)columns, what);
    } else if (m->view.format >= DK_Q8) {
        a.codes = poisoned(4 * count * DK_BLOCK + DK_BEHIND);
        a.offsets = poisoned(6 * count * sizeof *a.offsets + DK_BEHIND);
        a.quarters = poisoned(8 * count * sizeof *a.quarters + DK_BEHIND);
        a.scales = poisoned(count * sizeof *a.scales + DK_BEHIND);
        a.sums = poisoned(count * sizeof *a.sums + DK_BEHIND);
        a.shifts = poisoned(2 * count * sizeof *a.shifts + DK_BEHIND);
        a.terms = poisoned((size_t)(groups * blocks) * sizeof *a.terms);
        for (int64_t group = 0; group < dk_group_count(tokens); group++) k->quantize(&a, group);
        record_floats(a.scales, (int64_t)count, "scales %d x %d at %g, %s", (int)tokens, (int)columns,
                      (double)threshold, what);
        record_floats(a.shifts, 2 * (int64_t)count, "shifts %d x %d at %g, %s", (int)tokens, (int)columns,
                      (double)threshold, what);
        record_floats(a.sums, (int64_t)count, "sums %d x %d at %g, %s", (int)tokens, (int)columns, (double)threshold,
                      what);
    }
    const int64_t stride = m->view.rows + 3; // the gap must stay as it is
    float *out = poisoned(sizeof(float) * (size_t)(tokens * stride));
    k->multiply(&m->view, &a, 0, m->tiles / 2, out, stride);
    k->multiply(&m->view, &a, m->tiles / 2, m->tiles, out, stride);
    record_floats(out, tokens * stride, "multiply %s %d x %d, %d tokens at %g, %s", m->name,
                  (int)m->view.rows, (int)columns, (int)tokens, (double)threshold, what);
    free(a.codes), free(a.offsets), free(a.quarters), free(a.scales), free(a.sums), free(a.shifts), free(a.terms);
    free(a.panels), free(out);
}

// One term, two, or two where a block stands out.
static const float thresholds[] = {__builtin_inff(), 0, 1.7f};

static void multiply_all(const dk_kernels *k, const matrix *m, const float *x, int64_t tokens, const char *what) {
    for (int i = 0; i < (m->view.format >= DK_Q8 ? 3 : 1); i++) multiply(k, m, x, tokens, thresholds[i], what);
}

static void shapes(const dk_kernels *k, const kind *format) {
    static const int sizes[][2] = {{1, 1},    {3, 8},    {16, 64}, {17, 65}, {33, 31},  {40, 172},
                                   {70, 100}, {64, 320}, {47, 63}, {16, 33}, {130, 129}};
    noise n = {4};
    for (int s = 0; s < 11; s++) {
        matrix m = allocate(format, sizes[s][0], sizes[s][1]);
        fill(k, &m, &n, 1);
        record_matrix(k, &m, "noise");
        // 15 and 16 tokens are one group; two tiles run together from 25 on; 30 end with half a group.
        for (int tokens = 1; tokens <= 30; tokens += tokens < 17 ? 1 : tokens < 25 ? 8 : 5) {
            float *x = noise_floats(&n, tokens * m.columns, 3);
            // Every number of tokens meets every threshold, in four of the eleven shapes or three.
            multiply(k, &m, x, tokens, thresholds[(s + tokens) % 3], "noise");
            free(x);
        }
        release(&m);
    }
}

// Largest codes on both sides, and scales at the ends of their range.
static void limits(const dk_kernels *k, const kind *format) {
    static const float scales[] = {0, 1e-42f, 1e-38f, 1e-36f, 1e-9f, 1e-6f, 6e4f, 8.4e6f, 1e12f, 3.4e38f};
    noise n = {5};
    for (int s = 0; s < 10; s++) {
        matrix m = allocate(format, 20, 200);
        if (takes_codes_only(format->format)) fill_codes(k, &m, &n, true);
        else fill(k, &m, &n, scales[s]);
        if (format->format == DK_Q4 && s % 2) fill_codes(k, &m, &n, true);
        char what[32];
        snprintf(what, sizeof what, "scale %g", (double)scales[s]);
        record_matrix(k, &m, what);
        float *x = poisoned(sizeof(float) * 5 * 200);
        for (int i = 0; i < 5 * 200; i++) x[i] = i / 200 == s % 5 || noise_bits(&n) >> 31 ? 1 : -1;
        multiply_all(k, &m, x, 5, what);
        for (int i = 0; i < 5; i++) x[i * 200 + 100] = extremes[(7 * s + i) % extremes_count];
        multiply_all(k, &m, x, 5, "extreme activations");
        free(x), release(&m);
    }
    // Weights that no checkpoint should hold.
    for (int i = 0; !takes_codes_only(format->format) && i < extremes_count; i++) {
        matrix m = allocate(format, 16, 70);
        float *rows = noise_floats(&n, 16 * 70, 0.1f), *x = noise_floats(&n, 2 * 70, 1);
        rows[5 * 70 + 66] = rows[6 * 70 + 3] = extremes[i];
        k->pack(&m.view, 0, rows, 70);
        char what[32];
        snprintf(what, sizeof what, "extreme %g", (double)extremes[i]);
        record_matrix(k, &m, what);
        multiply_all(k, &m, x, 2, what);
        free(rows), free(x), release(&m);
    }
}

void run_products(const dk_kernels *k) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        shapes(k, &kinds[i]);
        limits(k, &kinds[i]);
    }
}
