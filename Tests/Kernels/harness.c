#include "harness.h"

result *results;
int results_count;

const float extremes[] = {
    0.0f, 1e-45f, 1e-40f, 1.1754944e-38f, 3e-38f, 1e-37f, 3.7e-37f, 1e-30f, 1e-10f, 0.5f, 1.0f, 86.9f,
    87.0f, 87.1f, 88.0f, 88.3f, 88.4f, 88.8f, 89.0f, 90.0f, 127.0f, 1e3f, 65504.0f, 65519.0f, 65520.0f,
    1e9f, 1e18f, 1e30f, 1e38f, 2.9e38f, 3.1e38f, 3.4028235e38f, __builtin_inff(), __builtin_nanf(""),
    -0.0f, -1e-45f, -1e-40f, -1.1754944e-38f, -3e-38f, -1e-37f, -3.7e-37f, -1e-30f, -1e-10f, -0.5f, -1.0f,
    -86.9f, -87.0f, -87.1f, -88.0f, -88.3f, -88.4f, -88.8f, -89.0f, -90.0f, -127.0f, -1e3f, -65504.0f,
    -65519.0f, -65520.0f, -1e9f, -1e18f, -1e30f, -1e38f, -2.9e38f, -3.1e38f, -3.4028235e38f,
    -__builtin_inff(), -__builtin_nanf("")};
const int extremes_count = sizeof extremes / sizeof *extremes;

uint32_t noise_bits(noise *n) {
    n->state = n->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(n->state >> 32);
}

float noise_float(noise *n, float scale) {
    return ((float)(noise_bits(n) >> 8) / (float)(1 << 23) - 1) * scale;
}

float *noise_floats(noise *n, int64_t count, float scale) {
    float *x = poisoned((size_t)count * sizeof *x);
    for (int64_t i = 0; i < count; i++) x[i] = noise_float(n, scale);
    return x;
}

void *poisoned(size_t bytes) {
    void *memory = malloc(bytes);
    if (!memory && bytes) abort();
    return bytes ? memset(memory, 0xff, bytes) : memory;
}

static uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

static void record(uint64_t hash, const char *name, va_list arguments) {
    static int capacity;
    if (results_count == capacity) {
        capacity = capacity ? 2 * capacity : 256;
        results = realloc(results, (size_t)capacity * sizeof *results);
        if (!results) abort();
    }
    result *r = &results[results_count++];
    r->hash = hash;
    vsnprintf(r->name, sizeof r->name, name, arguments);
}

void record_floats(const float *x, int64_t count, const char *name, ...) {
    uint64_t hash = (uint64_t)count;
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        hash = mix(hash, x[i] == x[i] ? bits : 0x7fc00000);
    }
    va_list arguments;
    va_start(arguments, name);
    record(hash, name, arguments);
    va_end(arguments);
}

void record_bytes(const void *x, size_t count, const char *name, ...) {
    const uint8_t *bytes = x;
    uint64_t hash = count;
    for (size_t i = 0; i < count; i++) hash = mix(hash, bytes[i]);
    va_list arguments;
    va_start(arguments, name);
    record(hash, name, arguments);
    va_end(arguments);
}
