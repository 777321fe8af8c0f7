// Loops that reach the machine's limits: what memory can deliver, and what the arithmetic units can do.
#pragma once
#include <stdint.h>

typedef struct {
    const char *name;
    // Reads `bytes` (a multiple of 512) once, from an address that is a multiple of 64.
    uint64_t (*read)(const void *memory, int64_t bytes);
    // Multiply-adds of 8-bit integers into 32-bit sums: `rounds` rounds of `int8_per_round`, out of registers.
    uint64_t (*multiply_int8)(int64_t rounds);
    int64_t int8_per_round;
    // Fused multiply-adds of floats, likewise.
    uint64_t (*multiply_float)(int64_t rounds);
    int64_t float_per_round;
} dp_probes;

// The best that this CPU can run.
const dp_probes *dp_best(void);
