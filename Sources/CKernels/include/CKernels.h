// The arithmetic of inference: pure functions over pointers and sizes. Nothing here allocates (but the pool's
// threads), prints or keeps state. One table of functions per instruction set; all give the same bits.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Weights lie in tiles of DK_ROWS output rows; within a tile the inputs run outermost, so that one vector
// register holds one input (or four 8-bit inputs) of all rows and every lane accumulates one output.
enum {
    DK_ROWS = 16,
    // Inputs that share one activation scale and, but in DK_Q8_ROW, one weight scale; rows of quantized matrices
    // are padded to a multiple of it.
    DK_BLOCK = 64,
    // Tokens that lie side by side, and of quantized activations the most where there are no more than those.
    DK_GROUP = 12,
    DK_LARGEST_GROUP = 16,
    // Bytes behind the last ones of a dk_activations's arrays, but its floats, that may be read, whatever they are.
    DK_BEHIND = 256,
    // Keys in one block of the KV cache.
    DK_KEYS = 64,
    // Rows of an adapter's first factor that lie side by side.
    DK_RANKS = 8,
};

typedef enum {
    DK_F32,     // [tile][input][16] float
    DK_F16,     // [tile][input][16] IEEE half
    DK_BF16,    // [tile][input][16] bfloat16
    DK_Q8,      // [tile][input/4][16][4] code+128; scales: half [tile][input/64][16]
    DK_Q8_ROW,  // codes as DK_Q8; scales: float [tile][16], the largest magnitude of each row
    DK_Q4,      // [tile][input/8][16][4] two codebook indices a byte (low: inputs 0-3 of the eight);
                // scales: float [tile][input/64][16], the largest magnitude of each block
    DK_Q4_NESTED, // indices as DK_Q4; scales: uint8 [tile][input/64][16], a block's largest magnitude being
                // map[code] * its group's maximum + offset; groups run over the blocks of the flattened matrix
    DK_Q8_0,    // codes as DK_Q8; scales: half [tile][input/32][16]
    DK_A4,      // [tile][input/8][16][4] two codes from 0 to 15 a byte, as the indices of DK_Q4, each scale * code +
                // minimum; scales: [tile][group] records as `scaling` says
    DK_Q6_K,    // codes from 0 to 63, each (code - 32) * (scale * factor): [tile][input/16][3][16][4], two lines of the
                // lower four bits as in DK_A4, one of the upper two bits, those of inputs 0-3 lowest;
                // scales: [tile][input/256] records: half scale[16], int8 factor[16][16] of sixteen inputs each
} dk_format;

// Scales and minima of DK_A4 for the sixteen rows of a tile and one group of inputs.
typedef enum {
    DK_SCALES, // half scale[16]; the code `zero` stands for 0
    DK_MINIMA, // half scale[16], half minimum[16]
    DK_POINTS, // float scale[16], uint8 zero[16], the code that stands for 0
    DK_NESTED_MINIMA, // of eight groups of 32: half unit[16], half step[16], uint8 scale[8][16], uint8 minimum[8][16];
                      // the scale is unit * scale, the minimum -step * minimum
} dk_scaling;

typedef struct {
    dk_format format;
    int64_t rows;           // outputs; the last tile is padded with zero rows
    int64_t padded_columns; // inputs as stored: a multiple of DK_BLOCK for the integer formats
    const void *codes;
    const void *scales;
    // Of the formats that scale by a largest magnitude: what level 1 stands for when that is 1.
    float unit;
    // Of the 4-bit formats: sixteen levels+128, and the level, a fraction, that stands for zero. Of DK_A4 the code.
    uint8_t codebook[16];
    float zero;
    dk_scaling scaling; // of DK_A4
    // Of DK_Q4_NESTED: 256 values, the groups' maxima (padding rows' too), and log2 of the blocks in a group.
    const float *map;
    const float *groups;
    float offset;
    int32_t group_shift; // of DK_A4: log2 of the inputs in a group, at least 5
} dk_matrix;

// A block of inputs of a group of tokens: where its terms begin within the group's, how many it has, and of which
// tokens (a bit each) it has a second one behind the first ones of all.
typedef struct {
    int32_t first;
    uint16_t count;
    uint16_t seconds;
} dk_terms;

// Activations of `tokens` rows, as floats and (when a matrix is quantized) as blocks of integers: x is a token's and
// block's scale times c, or times 254 c + d where the rest that the codes c leave has codes d. A term is the codes c
// or d of one token; kernels whose instructions multiply 16 bits hold 254 c + d as well.
typedef struct {
    int64_t tokens;
    int64_t columns;
    int64_t padded_columns;
    // Second terms where a block's largest magnitude is over that many times its root mean square: 0 for all, infinity
    // for none.
    float threshold;
    const float *floats; // [token][columns]
    // [group][input][tokens of the group]: the floats once more, side by side for matrices of DK_F16 and DK_BF16. NULL
    // where none is multiplied.
    float *panels;
    // Four bytes for each of a group's inputs: [group][block][input/8][term][8] int8; behind a group's, from the middle
    // on, the 16 bits of some kernels, [block][input/8][token][8].
    void *codes;
    // [group][block][first half, second, both][term], or [token] where codes have 16 bits: -128 * sum of the codes;
    // room for two terms a token and block.
    int32_t *offsets;
    // [group][block][quarter][term]: what 32 times the codes come to, with the sign changed; where sums have 16 bits,
    // as two of them, of the inputs 0 and 1 of each four and of the others. Room for two terms a token and block. NULL
    // where no matrix of DK_Q6_K is multiplied.
    int32_t *quarters;
    float *scales;       // [group][block][tokens of the group]
    float *sums;         // [group][block][tokens of the group], of 254 c + d
    float *shifts;       // [group][block][half][tokens of the group], the scale times such a sum
    dk_terms *terms;     // [group][block]
} dk_activations;

// Tokens of each group of quantized activations, but the last: 15 or 16 are one group, which takes one pass over a tile
// where two took longer; 13 or 14 are faster as two.
static inline int64_t dk_group_size(int64_t tokens) {
    return tokens == DK_LARGEST_GROUP - 1 || tokens == DK_LARGEST_GROUP ? DK_LARGEST_GROUP : DK_GROUP;
}
static inline int64_t dk_group_count(int64_t tokens) {
    return (tokens + dk_group_size(tokens) - 1) / dk_group_size(tokens);
}

// What an adapter adds beside a matrix of `rows` outputs: a product of two factors, a scale for each output, or both.
typedef struct {
    bool half;           // the factors are IEEE halves, else floats
    int64_t rank;        // 0 for none
    const void *a;       // [rank/8][columns/16][8, or the ranks that are left][16], columns padded with zeros
    const void *b;       // [tile][rank][16], rows padded with zeros
    const float *units;  // [rank], what a rank's product is multiplied by
    const float *scales; // [rows], or NULL for ones
} dk_low_rank;

// Fetches what `finish` reads of some tiles: of every adapter in a batch a few lines, too few for the processor to see
// a stream in them, so that each would be waited for.
static inline void dk_fetch_tiles(const dk_low_rank *part, int64_t tile_begin, int64_t tile_end) {
    const int64_t line = 64, tile = DK_ROWS * part->rank * (part->half ? 2 : 4);
    for (int64_t at = tile_begin * tile; at < tile_end * tile; at += line)
        __builtin_prefetch((const char *)part->b + at);
    for (int64_t i = tile_begin; part->scales && i < tile_end; i++) __builtin_prefetch(part->scales + i * DK_ROWS);
}

// How keys and values are kept.
typedef enum {
    DK_KV_F32, // floats: keys [kv head][key/16][head size][16], values [kv head][key][value_stride]
    DK_KV_F16, // likewise IEEE halves
    DK_KV_Q8,  // int8: keys, transformed, [kv head][key/16][head size/4][16][4] code+128, values
               // [kv head][value_stride/16][key%16][16][key/16] code; float scales [kv head][keys, values][key]
} dk_cache_format;

// One layer's view of a sequence's KV cache. A block holds DK_KEYS positions of every layer that is kept alike.
typedef struct {
    void *const *blocks;
    int64_t first_block;   // which of the sequence's blocks blocks[0] is; those before it have been given back
    dk_cache_format format;
    int64_t key_offset;    // elements from a block's start to this layer's keys
    int64_t value_offset;  // elements to this layer's values
    int64_t scale_offset;  // of DK_KV_Q8: floats to this layer's scales
    int64_t value_stride;  // head size rounded up to 16
    int64_t kv_heads;
    int64_t head_size;
} dk_cache;

// Attention of consecutive tokens under one key-value head.
typedef struct {
    int64_t kv_head;
    int64_t group;    // query heads that share it
    int64_t position; // of the first token
    int64_t tokens;
    int64_t window;   // keys that a token sees, its own the last; 0 for all before it
    float scale;      // of the scores
    float cap;        // scores become cap tanh(score / cap); 0 for none
    int64_t query_stride, out_stride; // floats between tokens
} dk_attention;

typedef enum {
    DK_SILU,
    DK_GELU,         // x Phi(x)
    DK_GELU_TANH,    // its approximation by tanh
    DK_RELU_SQUARED,
} dk_activation;

// What storing left of a change, added up over rows: with d = a row as wanted - before, e = as stored - before.
typedef struct {
    double kept;   // e.d
    double asked;  // d.d
    double lost;   // (e - d).(e - d)
    float largest; // of the rows' largest magnitudes
    float least;   // likewise, but for rows of zeros
} dk_change;

// What floats are rounded to.
typedef enum {
    DK_UNROUNDED,
    DK_TO_HALF,
    DK_TO_BRAIN,
} dk_target;

// What the codes of a matrix stand for where its format does not say it all.
typedef struct {
    const float *levels; // of DK_Q4 and DK_Q4_NESTED: 16, for a largest magnitude of 1; NULL for the codebook's
    dk_target target;    // what values are rounded to
} dk_decoding;

typedef struct {
    const char *name;
    // Fills in the codes of the tokens of a group, one of dk_group_count.
    void (*quantize)(const dk_activations *x, int64_t group);
    // Fills in the panel of the tokens of a group.
    void (*interleave)(const dk_activations *x, int64_t group);
    // out[token][out_stride] = activations x matrix^T for the rows of tiles [tile_begin, tile_end).
    void (*multiply)(const dk_matrix *matrix, const dk_activations *x, int64_t tile_begin, int64_t tile_end,
                     float *out, int64_t out_stride);
    void (*rms_norm)(const float *x, const float *weight, int64_t count, float epsilon, float *out);
    // (x - mean) / deviation * weight + bias, which may be NULL.
    void (*layer_norm)(const float *x, const float *weight, const float *bias, int64_t count, float epsilon,
                       float *out);
    // out = f(gate) * up, or f(gate) where `up` is NULL; `out` may be `gate`.
    void (*activate)(dk_activation function, const float *gate, const float *up, int64_t count, float *out);
    void (*add)(float *x, const float *y, int64_t count);
    void (*scale)(float *x, float factor, int64_t count);
    // To at most `limit` in magnitude.
    void (*clip)(float *x, float limit, int64_t count);
    // x = cap tanh(x / cap)
    void (*soft_cap)(float *x, float cap, int64_t count);
    // Rotates the first 2 `pairs` dimensions of `heads` heads of one token: pairs (i, i + pairs) or, interleaved,
    // (2 i, 2 i + 1); cos and sin of `pairs` angles.
    void (*rotate)(float *x, const float *cosines, const float *sines, int64_t heads, int64_t head_size,
                   int64_t pairs, bool interleaved);
    // Writes one token's keys and values [kv head][head size] at `position`.
    void (*store)(const dk_cache *cache, int64_t position, const float *keys, const float *values);
    // Causal attention; queries and out [token][stride], already offset to the first head of the group. The blocks of
    // positions that no token sees are not read.
    void (*attend)(const dk_cache *cache, const dk_attention *attention, const float *queries, float *out);

    // Stores 16 rows [16][columns] as one tile of the matrix; the integer formats round to the nearest code.
    // DK_Q4 wants an ascending codebook; DK_Q8_ROW, DK_Q4_NESTED and those from DK_Q8_0 on take codes only.
    void (*pack)(const dk_matrix *matrix, int64_t tile, const float *rows, int64_t columns);
    // Stores codes as a checkpoint holds them: [16][columns] int8 with float scales [16] (DK_Q8_ROW) or halves
    // [16][padded_columns/32] (DK_Q8_0) or [16][padded_columns/64] (DK_Q8), codebook indices with scales [16][padded_columns/64], floats (DK_Q4) or their
    // codes (DK_Q4_NESTED), or codes from 0 to 15 or 63 with [16][groups] records, each number once (DK_A4, DK_Q6_K).
    void (*pack_codes)(const dk_matrix *matrix, int64_t tile, const uint8_t *rows, const void *scales,
                       int64_t columns);
    // The inverse of pack_codes.
    void (*unpack_codes)(const dk_matrix *matrix, int64_t tile, uint8_t *rows, void *scales, int64_t columns);
    // The inverse of pack, up to the rounding of the format: rows [16][columns].
    void (*unpack)(const dk_matrix *matrix, int64_t tile, float *rows, int64_t columns);
    // W = V + scaling * b a of `rows` rows: `before` [rows][columns], b [rows][rank], a in blocks of columns
    // [columns/64][rank][64], padded with zeros, and so `out` [columns/64][rows][64], or NULL. squares [rows]: the sum
    // of each row's squares. At most DK_ROWS rows.
    void (*add_product)(const float *before, const float *b, const float *a, int64_t rows, int64_t rank,
                        float scaling, int64_t columns, float *out, double *squares);
    // squares [16]: the sum of the squares of each row of V + b a, with V as a tile of the matrix holds it; b
    // [rank][16], and a as above. The rows themselves go to `out` [columns][16], unless that is NULL.
    void (*square_rows)(const dk_matrix *matrix, const dk_decoding *decoding, int64_t tile, const float *b,
                        const float *a, int64_t rank, int64_t columns, float *out, double *squares);
    // Packs the 16 rows in `rows` [columns rounded up to 64][16], of which only the first `columns` are read, each times
    // its factor of `factors` [16], in the formats that pack takes; the scaled rows take the place of the rows. What
    // they were before is a tile of another matrix.
    void (*pack_changed)(const dk_matrix *matrix, int64_t tile, const dk_matrix *before, const dk_decoding *decoding,
                         int64_t before_tile, float *rows, const float *factors, int64_t columns, dk_change *change);
    // sums[token][rank] = units * a x, for the ranks of one block of DK_RANKS; x [token][columns].
    void (*reduce)(const dk_low_rank *part, const float *x, int64_t columns, int64_t tokens, int64_t block,
                   float *sums);
    // out[token][out_stride] = scales * (out + b sums) + bias, for the outputs of tiles [tile_begin, tile_end) of
    // `rows`; bias may be NULL.
    void (*finish)(const dk_low_rank *part, const float *sums, int64_t tokens, const float *bias, int64_t rows,
                   int64_t tile_begin, int64_t tile_end, float *out, int64_t out_stride);
    // IEEE half (or bfloat16, if `brain`) to float, and float to IEEE half.
    void (*widen)(const uint16_t *x, int64_t count, bool brain, float *out);
    void (*halve)(const float *x, int64_t count, uint16_t *out);
    // out[i] = values[indices[i]] * scales[i / block], rounded; 16 values, indices of one byte each.
    void (*look_up)(const uint8_t *indices, int64_t count, const float *values, const float *scales, int64_t block,
                    dk_target target, float *out);
    // out[i] = (codes[i] * scale) * unit.
    void (*widen_codes)(const int8_t *codes, int64_t count, float scale, float unit, float *out);
} dk_kernels;

// The tables that this CPU can run, best first; the last is the portable one.
int dk_kernels_count(void);
const dk_kernels *dk_kernels_at(int index);

// Names of the instruction sets that this CPU has, of those that kernels ask for; NULL behind the last.
const char *dk_cpu_feature(int index);

// Cores that this process may use: its affinity mask, within the quota of its control group (v2).
int dk_usable_cores(void);

// Persistent threads that share the tasks of one call at a time; the caller is one of them.
typedef struct dk_pool dk_pool;
typedef void (*dk_task)(void *context, int64_t task);

// NULL when a thread cannot be started.
dk_pool *dk_pool_create(int threads);
void dk_pool_destroy(dk_pool *pool);
// Calls task(context, i) once for every i < count and returns when all are done. Not reentrant.
void dk_pool_run(dk_pool *pool, int64_t count, dk_task task, void *context);
