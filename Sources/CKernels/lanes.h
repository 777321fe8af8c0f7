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
typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef uint8_t u8x64 __attribute__((vector_size(64)));

#define DK_INLINE static inline __attribute__((always_inline, unused))
// Four bytes, or two halves of four.
DK_INLINE int32_t dk_word(const void *p) { int32_t v; memcpy(&v, p, sizeof v); return v; }
// Sixteen of 256 floats, for CPUs whose gathers are no faster.
#define DK_PICK \
    DK_INLINE f32x16 dk_pick(const float *map, const uint8_t *codes) { \
        return (f32x16){map[codes[0]],  map[codes[1]],  map[codes[2]],  map[codes[3]], \
                        map[codes[4]],  map[codes[5]],  map[codes[6]],  map[codes[7]], \
                        map[codes[8]],  map[codes[9]],  map[codes[10]], map[codes[11]], \
                        map[codes[12]], map[codes[13]], map[codes[14]], map[codes[15]]}; \
    }
// Sixteen of sixteen floats, where no instruction does it.
#define DK_CHOOSE \
    DK_INLINE f32x16 dk_choose(const float *levels, u32x16 index) { \
        f32x16 chosen; \
        for (int lane = 0; lane < 16; lane++) chosen[lane] = levels[index[lane]]; \
        return chosen; \
    }
// What a byte of a line of codes is: a code + 128, two indices into the codebook, or two codes from 0 to 15; or, of codes
// from 0 to 63, the lower bits of two or the upper bits of four.
typedef enum { DK_BYTES, DK_INDICES, DK_NIBBLES, DK_SIXES } dk_coding;
// The codes of some inputs of a block, those from `from` on, of tiles `tile_bytes` apart.
typedef struct {
    const uint8_t *codes;
    int64_t tile_bytes;
    const int8_t *factors; // of DK_SIXES, for each sixteen inputs
    const uint8_t *codebook;
    dk_coding coding;
    int64_t from, inputs;
} dk_stretch;
#define DK_UNROLL _Pragma("clang loop unroll(full)")
