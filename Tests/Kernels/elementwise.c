// Norms, activation functions, residuals, rotary embedding.
#include "harness.h"

static const int counts[] = {1, 2, 7, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 100, 172, 2048, 2051};
enum { COUNTS = sizeof counts / sizeof *counts };

static void norms(const dk_kernels *k, noise *n, int count, float scale) {
    float *x = noise_floats(n, count, scale), *weight = noise_floats(n, count, 2);
    float *out = poisoned(sizeof(float) * (size_t)count);
    k->rms_norm(x, weight, count, 1e-5f, out);
    record_floats(out, count, "rms_norm %d scale %g", count, scale);
    k->rms_norm(x, weight, count, 1e-5f, x);
    record_floats(x, count, "rms_norm in place %d scale %g", count, scale);
    float *bias = noise_floats(n, count, 1);
    k->layer_norm(x, weight, bias, count, 1e-5f, out);
    record_floats(out, count, "layer_norm %d scale %g", count, scale);
    k->layer_norm(x, weight, NULL, count, 1e-5f, x);
    record_floats(x, count, "layer_norm in place %d scale %g", count, scale);
    free(x), free(weight), free(bias), free(out);
}

static void pairs(const dk_kernels *k, noise *n, int count) {
    float *gate = noise_floats(n, count, 20), *up = noise_floats(n, count, 3);
    k->activate(DK_SILU, gate, up, count, gate);
    record_floats(gate, count, "swiglu %d", count);
    k->add(gate, up, count);
    record_floats(gate, count, "add %d", count);
    for (int function = DK_SILU; function <= DK_RELU_SQUARED; function++) {
        float *out = poisoned(sizeof(float) * (size_t)count);
        k->activate(function, up, gate, count, out);
        record_floats(out, count, "activation %d, gated, %d", function, count);
        k->activate(function, up, NULL, count, out);
        record_floats(out, count, "activation %d, plain, %d", function, count);
        free(out);
    }
    k->scale(gate, 0.3f, count);
    record_floats(gate, count, "scale %d", count);
    k->soft_cap(gate, 3, count);
    record_floats(gate, count, "soft_cap %d", count);
    k->clip(gate, 1.5f, count);
    record_floats(gate, count, "clip %d", count);
    free(gate), free(up);
}

// Every gate from -105 to 105 in fine steps, and the extremes: where exp vanishes, rounds and overflows.
static void sweep(const dk_kernels *k) {
    const int count = 105 * 2048;
    float *gate = poisoned(sizeof(float) * (size_t)count), *up = poisoned(sizeof(float) * (size_t)count);
    for (int i = 0; i < count; i++) gate[i] = (float)(i - count / 2) / 1024, up[i] = 1;
    k->activate(DK_SILU, gate, up, count, gate);
    record_floats(gate, count, "swiglu sweep");
    for (int function = DK_GELU; function <= DK_RELU_SQUARED; function++) {
        for (int i = 0; i < count; i++) gate[i] = (float)(i - count / 2) / 1024;
        k->activate(function, gate, NULL, count, gate);
        record_floats(gate, count, "activation %d sweep", function);
    }
    for (int i = 0; i < count; i++) gate[i] = (float)(i - count / 2) / 8192;
    k->soft_cap(gate, 1, count);
    record_floats(gate, count, "soft_cap sweep");
    for (int i = 0; i < extremes_count; i++) {
        for (int function = DK_GELU; function <= DK_RELU_SQUARED; function++) {
            for (int j = 0; j < extremes_count; j++) gate[j] = extremes[j], up[j] = extremes[i];
            k->activate(function, gate, up, extremes_count, gate);
            record_floats(gate, extremes_count, "activation %d extremes, up %g", function, (double)extremes[i]);
        }
        for (int j = 0; j < extremes_count; j++) gate[j] = extremes[j], up[j] = extremes[i];
        k->activate(DK_SILU, gate, up, extremes_count, gate);
        record_floats(gate, extremes_count, "swiglu extremes, up %g", (double)extremes[i]);
        float x[20], weight[20], out[20];
        for (int j = 0; j < 20; j++) x[j] = j == 17 ? extremes[i] : 0.5f, weight[j] = (float)j;
        k->rms_norm(x, weight, 20, 1e-6f, out);
        record_floats(out, 20, "rms_norm extreme %g", (double)extremes[i]);
    }
    free(gate), free(up);
}

static void rotations(const dk_kernels *k, noise *n, int heads, int head_size) {
    const int count = heads * head_size;
    // All dimensions, or the first of them.
    for (int pairs = head_size / 2; pairs > 0; pairs -= (head_size + 5) / 6)
        for (int interleaved = 0; interleaved < 2; interleaved++) {
            float *x = noise_floats(n, count, 4), *cosines = noise_floats(n, pairs, 1);
            float *sines = noise_floats(n, pairs, 1);
            k->rotate(x, cosines, sines, heads, head_size, pairs, interleaved);
            record_floats(x, count, "rotate %d x %d, %d pairs, %s", heads, head_size, pairs,
                          interleaved ? "interleaved" : "halves");
            free(x), free(cosines), free(sines);
        }
}

void run_elementwise(const dk_kernels *k) {
    noise n = {1};
    for (int i = 0; i < COUNTS; i++) {
        norms(k, &n, counts[i], 1);
        norms(k, &n, counts[i], 1e-4f);
        norms(k, &n, counts[i], 1e12f);
        pairs(k, &n, counts[i]);
    }
    sweep(k);
    static const int sizes[] = {2, 8, 16, 24, 64, 80, 96, 128, 256};
    for (int i = 0; i < 9; i++)
        for (int heads = 1; heads <= 5; heads += 2) rotations(k, &n, heads, sizes[i]);
}
