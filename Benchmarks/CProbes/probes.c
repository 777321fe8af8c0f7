// The portable loops, and the choice of the best that this CPU can run.
#include "CProbes.h"
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#define DP_NAME(name) dp_portable_##name
#define DP_TITLE "portable"
#define DP_BYTES 16
#define DP_SUMS 8
#define DP_DOT \
    inline __attribute__((always_inline)) dp_ints dp_dot(dp_ints sums, dp_ints a, dp_ints b) { \
        for (int i = 0; i < 4; i++) { \
            for (int shift = 0; shift < 32; shift += 8) sums[i] += (int8_t)(a[i] >> shift) * (int8_t)(b[i] >> shift); \
        } \
        return sums; \
    }
#include "loops.inc"

extern const dp_probes dp_avx512_probes, dp_avxvnni_probes, dp_avx2_probes, dp_neon_probes;

const dp_probes *dp_best(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vnni")) return &dp_avx512_probes;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return __builtin_cpu_supports("avxvnni") ? &dp_avxvnni_probes : &dp_avx2_probes;
    }
#elif defined(__aarch64__) && defined(__linux__)
    if (getauxval(AT_HWCAP) & (1 << 20)) return &dp_neon_probes; // HWCAP_ASIMDDP
#endif
    return &dp_portable_probes;
}
