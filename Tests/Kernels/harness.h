// Seeded inputs and a list of named hashes, so that instruction sets can be compared across machines.
#pragma once
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "CKernels.h"

typedef struct {
    uint64_t state;
} noise;

uint32_t noise_bits(noise *n);
// Uniform in -scale..<scale.
float noise_float(noise *n, float scale);
// Exactly `count` floats, so that a sanitizer sees a read beyond them. The caller frees.
float *noise_floats(noise *n, int64_t count, float scale);
// `bytes` bytes of 0xff: NaN in every float format, so that what was not written shows.
void *poisoned(size_t bytes);

// Zeros, subnormals, the borders of exp, huge values, infinities and NaN, of both signs.
extern const float extremes[];
extern const int extremes_count;

// Adds a result to the list. NaNs count as one value: which one an operation gives differs on Arm and x86.
#define DK_PRINTF __attribute__((format(printf, 3, 4)))
DK_PRINTF void record_floats(const float *x, int64_t count, const char *name, ...);
DK_PRINTF void record_bytes(const void *x, size_t count, const char *name, ...);

typedef struct {
    char name[80];
    uint64_t hash;
} result;

extern result *results;
extern int results_count;

// Each runs some kernels of a table over its shapes.
void run_elementwise(const dk_kernels *k);
void run_conversions(const dk_kernels *k);
void run_products(const dk_kernels *k);
void run_merges(const dk_kernels *k);
void run_attention(const dk_kernels *k);
void run_low_rank(const dk_kernels *k);

// The tables under test; the last is the portable one.
int tables_count(void);
const dk_kernels *tables_at(int index);
