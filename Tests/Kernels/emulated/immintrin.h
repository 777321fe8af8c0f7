// Stands in for the compiler's header where the CPU lacks AVX-512 and VNNI: their intrinsics as plain C, from
// SIMDe. `target` loses what this CPU cannot run; the kernels' files stay as they are.
#pragma once
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>
#include <simde/x86/fma.h>

// Not in SIMDe under these names.
#define _mm256_dpbusd_avx_epi32 simde_mm256_dpbusd_epi32
static inline __m512 emulated_cvtph_ps(__m256i halves) {
    simde__m256i_private from = simde__m256i_to_private(halves);
    simde__m512_private to;
    for (int i = 0; i < 2; i++) to.m256[i] = simde_mm256_cvtph_ps(from.m128i[i]);
    return simde__m512_from_private(to);
}
#undef _mm512_cvtph_ps
#define _mm512_cvtph_ps emulated_cvtph_ps

#define target(features) target("sse2")
