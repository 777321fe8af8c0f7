// How many threads are worth starting.
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include "CKernels.h"

// `cpu.max` reads "quota period", or "max period" without a limit.
static int quota(void) {
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "r");
    long allowed = 0, period = 0;
    if (!file) return 0;
    int read = fscanf(file, "%ld %ld", &allowed, &period);
    fclose(file);
    return read == 2 && allowed > 0 && period > 0 ? (int)((allowed + period - 1) / period) : 0;
}

int dk_usable_cores(void) {
    cpu_set_t set;
    int cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1, limit = quota();
    return limit > 0 && limit < cores ? limit : cores;
}
