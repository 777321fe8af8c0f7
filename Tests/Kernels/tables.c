// Which tables to test: those that this CPU runs; with EMULATED, those compiled against emulated intrinsics;
// with SANITIZED, those that are built with a sanitizer.
#include "harness.h"

extern const dk_kernels dk_kernels_portable, dk_kernels_avx2, dk_kernels_avxvnni, dk_kernels_avxvnni_evex,
    dk_kernels_avx512;

#if defined(EMULATED) || defined(SANITIZED)
static const dk_kernels *const tables[] = {
#if defined(EMULATED)
    &dk_kernels_avx512, &dk_kernels_avxvnni, &dk_kernels_avxvnni_evex,
#elif defined(__x86_64__)
    &dk_kernels_avx2,
#endif
    &dk_kernels_portable};
int tables_count(void) { return (int)(sizeof tables / sizeof *tables); }
const dk_kernels *tables_at(int index) { return tables[index]; }
#else
int tables_count(void) { return dk_kernels_count(); }
const dk_kernels *tables_at(int index) { return dk_kernels_at(index); }
#endif
