// Sixteen lanes, whatever the machine's registers: clang lowers these vectors to one ZMM, two YMM or four NEON
// registers, and since a lane is an output row (or a key, or a head dimension), width cannot change a result.
#pragma once
#include <stdint.h>
#include <string.h>

#pragma clang diagnostic ignored "-Wpsabi"

typedef float f32x16 __attribute__((vector_size(64)));
typedef int32_t i32x16 __attribute__((vector_size(64)));
typedef uint32_t u32x16 __attribute__((vector_size(64)));
typedef uint16_t u16x16 __attribute__((vector_size(32)));
typedef uint8_t u8x64 __attribute__((vector_size(64)));

#define DK_INLINE static inline __attribute__((always_inline, unused))
#define DK_UNROLL _Pragma("clang loop unroll(full)")
