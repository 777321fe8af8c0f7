// Which tables this CPU can run.
#include "CKernels.h"
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

extern const dk_kernels dk_kernels_portable, dk_kernels_avx2, dk_kernels_avxvnni, dk_kernels_avxvnni_evex,
    dk_kernels_avx512, dk_kernels_neon, dk_kernels_neon_i8mm;

static int list(const dk_kernels *found[8]) {
    int count = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 =
        __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vnni");
    if (avx512) found[count++] = &dk_kernels_avx512;
    if (avx2 && __builtin_cpu_supports("avxvnni")) found[count++] = &dk_kernels_avxvnni;
    if (avx512) found[count++] = &dk_kernels_avxvnni_evex;
    if (avx2) found[count++] = &dk_kernels_avx2;
#elif defined(__aarch64__) && defined(__linux__)
    if (getauxval(AT_HWCAP2) & (1 << 13)) found[count++] = &dk_kernels_neon_i8mm; // HWCAP2_I8MM
    if (getauxval(AT_HWCAP) & (1 << 20)) found[count++] = &dk_kernels_neon; // HWCAP_ASIMDDP
#endif
    found[count++] = &dk_kernels_portable;
    return count;
}

const char *dk_cpu_feature(int index) {
    (void)index;
#define FEATURE(has, name) if ((has) && index-- == 0) return name;
#if defined(__x86_64__)
    __builtin_cpu_init();
#define X86(name) FEATURE(__builtin_cpu_supports(name), name)
    X86("avx2") X86("fma") X86("f16c") X86("avxvnni") X86("avx512f") X86("avx512bw") X86("avx512vl")
    X86("avx512dq") X86("avx512vnni")
#elif defined(__aarch64__) && defined(__linux__)
    FEATURE(getauxval(AT_HWCAP) & (1 << 20), "asimddp") // HWCAP_ASIMDDP
    FEATURE(getauxval(AT_HWCAP2) & (1 << 13), "i8mm") // HWCAP2_I8MM
#endif
    return NULL;
}

int dk_kernels_count(void) {
    const dk_kernels *found[8];
    return list(found);
}

const dk_kernels *dk_kernels_at(int index) {
    const dk_kernels *found[8];
    int count = list(found);
    return index >= 0 && index < count ? found[index] : &dk_kernels_portable;
}
