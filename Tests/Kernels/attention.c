// The KV cache and attention over it.
#include "harness.h"

enum { POSITIONS = 150, BLOCKS = 3, LAYERS = 2, KV_HEADS = 2 };

static const char *const names[] = {[DK_KV_F32] = "float", [DK_KV_F16] = "half", [DK_KV_Q8] = "int8"};

typedef struct {
    dk_cache view;
    void *blocks[BLOCKS];
    size_t bytes;
} cache;

// The second layer of two, so that the offsets count. Nothing is written yet: a key or value beyond those
// that a query may see is NaN.
static void allocate(cache *c, int head_size, dk_cache_format format) {
    const int64_t stride = (head_size + 15) / 16 * 16, key = format == DK_KV_Q8 ? (head_size + 3) / 4 * 4 : head_size;
    const int64_t keys = (int64_t)KV_HEADS * DK_KEYS * key, values = KV_HEADS * DK_KEYS * stride;
    const int64_t bytes = LAYERS * (keys + values) * (format == DK_KV_F32 ? 4 : format == DK_KV_F16 ? 2 : 1);
    const int64_t scales = format == DK_KV_Q8 ? 2 * KV_HEADS * DK_KEYS : 0;
    c->bytes = (size_t)bytes + LAYERS * (size_t)scales * sizeof(float);
    for (int b = 0; b < BLOCKS; b++) c->blocks[b] = poisoned(c->bytes);
    c->view = (dk_cache){.blocks = c->blocks, .format = format, .key_offset = keys,
                         .value_offset = LAYERS * keys + values, .scale_offset = bytes / 4 + scales,
                         .value_stride = stride, .kv_heads = KV_HEADS, .head_size = head_size};
}

static void attend(const dk_kernels *k, const cache *c, noise *n, int group, int position, int tokens, float scale,
                   int window, float cap) {
    const int64_t size = c->view.head_size, stride = KV_HEADS * group * size;
    float *queries = noise_floats(n, tokens * (stride + 8), scale),
          *out = poisoned(sizeof(float) * (size_t)(tokens * stride));
    for (int64_t head = 0; head < KV_HEADS; head++) {
        const dk_attention a = {.kv_head = head, .group = group, .position = position, .tokens = tokens,
                                .window = window, .scale = 0.125f, .cap = cap, .query_stride = stride + 8,
                                .out_stride = stride};
        k->attend(&c->view, &a, queries + head * group * size, out + head * group * size);
    }
    record_floats(out, tokens * stride, "attend %s head %d group %d position %d tokens %d scale %g window %d cap %g",
                  names[c->view.format], (int)size, group, position, tokens, (double)scale, window,
                  (double)cap);
    // What a token gets does not depend on those beside it.
    for (int t = 0; window && t < tokens; t++)
        for (int64_t head = 0; head < KV_HEADS; head++) {
            float alone[8 * 512];
            const dk_attention a = {.kv_head = head, .group = group, .position = position + t, .tokens = 1,
                                    .window = window, .scale = 0.125f, .cap = cap, .query_stride = stride,
                                    .out_stride = group * size};
            k->attend(&c->view, &a, queries + t * (stride + 8) + head * group * size, alone);
            record_bytes("", memcmp(alone, out + t * stride + head * group * size, 4 * (size_t)(group * size)) != 0,
                         "token %d of window %d alone, head %d", t, window, (int)head);
        }
    free(queries), free(out);
}

static void sequence(const dk_kernels *k, noise *n, int head_size, dk_cache_format format) {
    // Tokens stored up to here, then asked for from `position` on.
    static const int steps[][2] = {{0, 1},  {1, 1},  {2, 13},  {15, 1},  {16, 2},   {18, 45},
                                   {63, 1}, {64, 1}, {65, 62}, {127, 2}, {129, 20}, {149, 1}};
    cache c;
    allocate(&c, head_size, format);
    for (int s = 0; s < 12; s++) {
        const int position = steps[s][0], tokens = steps[s][1];
        for (int p = position; p < position + tokens; p++) {
            float *keys = noise_floats(n, KV_HEADS * head_size, 2);
            float *values = noise_floats(n, KV_HEADS * head_size, 2);
            k->store(&c.view, p, keys, values);
            free(keys), free(values);
        }
        for (int group = 1; group <= 8; group *= 2)
            if (tokens < 20 ? head_size <= 128 || group == 8 : group == 1) {
                attend(k, &c, n, group, position, tokens, 1, 0, 0);
                attend(k, &c, n, group, position, tokens, 1, 1 + (s * 29 + group) % 80, group % 2 ? 0 : 2);
            }
        if (tokens < 20 && head_size <= 128) attend(k, &c, n, 4, position, tokens, s % 2 ? 100 : 1e-6f, 0, 0);
    }
    for (int b = 0; b < BLOCKS; b++)
        record_bytes(c.blocks[b], c.bytes, "store %s head %d block %d", names[format], head_size, b);
    // One odd value among the keys, then among the values; at 72, where the queries before must not see it.
    static const float odd[] = {-1e-40f, 65519, 1e9f, -3e38f, __builtin_inff(), -__builtin_inff(),
                                __builtin_nanf("")};
    for (int i = 0; i < 14; i++) {
        float *keys = noise_floats(n, KV_HEADS * head_size, 1);
        float *values = noise_floats(n, KV_HEADS * head_size, 1);
        const int position = i % 2 ? 3 : 72;
        keys[0] = odd[i / 2];
        k->store(&c.view, position, keys, values);
        attend(k, &c, n, 2, 70, 5, 1, 0, 0);
        attend(k, &c, n, 2, 70, 5, 1, 4, 30);
        keys[0] = 0, values[1] = odd[i / 2];
        k->store(&c.view, position, keys, values);
        attend(k, &c, n, 1, 70, 5, 1, 0, 0);
        attend(k, &c, n, 1, 70, 5, 1, 4, 0);
        free(keys), free(values);
    }
    for (int b = 0; b < BLOCKS; b++) free(c.blocks[b]);
}

void run_attention(const dk_kernels *k) {
    static const int sizes[] = {6, 8, 16, 24, 64, 80, 96, 128, 512};
    noise n = {6};
    for (int s = 0; s < 9; s++)
        for (int format = DK_KV_F32; format <= DK_KV_Q8; format++) sequence(k, &n, sizes[s], (dk_cache_format)format);
}
