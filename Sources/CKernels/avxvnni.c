// AVX2 with the 256-bit dot product, in its two encodings: AVX-VNNI, and AVX-512VL's, which lets machines
// that have only the latter test this path.
#if defined(__x86_64__)
#include <immintrin.h>
#include "CKernels.h"
#include "lanes.h"

#define DK_UNSIGNED_DOT 1
#define DK_WIDE_CODES 0
typedef int8_t dk_code;
#define DK_TOKENS 4
#define DK_PAIR 0
#define DK_WIDE 1

#define DK_DOT32(sums, line, x) DK_DPBUSD(sums, line, _mm256_set1_epi32(dk_word(x)))
#define DK_WEIGH32(sums, line, weights) DK_DPBUSD(sums, _mm256_set1_epi32(dk_word(weights)), line)

#ifndef DK_EVEX
#define DK_DPBUSD _mm256_dpbusd_avx_epi32
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)
#include "half.h"
#include "ymm.h"
DK_YMM_DOT(dk_dot, dk_code, DK_DOT32)
DK_YMM_DOT(dk_weigh, uint8_t, DK_WEIGH32)
#include "kernels.inc"
DK_TABLE(dk_kernels_avxvnni, "avxvnni");
#pragma clang attribute pop
#else
#define DK_DPBUSD _mm256_dpbusd_epi32
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512vl,avx512vnni"))), \
                             apply_to = function)
#include "half.h"
#include "ymm.h"
DK_YMM_DOT(dk_dot, dk_code, DK_DOT32)
DK_YMM_DOT(dk_weigh, uint8_t, DK_WEIGH32)
#include "kernels.inc"
DK_TABLE(dk_kernels_avxvnni_evex, "avx512vl-vnni");
#pragma clang attribute pop
#endif
#endif
