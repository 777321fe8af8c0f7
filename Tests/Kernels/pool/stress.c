// Thousands of tiny regions on pools of 1 to 8 threads, for the thread sanitizer: every task must run exactly
// once, its writes must be visible after the region, and the pool must end whether its threads spin or sleep.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "CKernels.h"

enum { TASKS = 37, PAUSE_MS = 20 };

typedef struct {
    int64_t hits[TASKS];
    int64_t base;
} region;

static void task(void *context, int64_t index) {
    region *r = context;
    r->hits[index] += r->base;
}

static void pause_ms(long ms) {
    struct timespec time = {0, ms * 1000000};
    nanosleep(&time, NULL);
}

static int expect(const region *r, int count, int64_t hits) {
    for (int i = 0; i < TASKS; i++)
        if (r->hits[i] != (i < count ? hits : 0)) {
            printf("  task %d of %d: %lld instead of %lld\n", i, count, (long long)r->hits[i],
                   (long long)hits);
            return 1;
        }
    return 0;
}

static int exercise(int threads, int regions) {
    dk_pool *pool = dk_pool_create(threads);
    if (!pool) return 1;
    int failed = 0;
    for (int count = 0; count <= TASKS; count += count < 4 ? 1 : 11) {
        region r = {{0}, 0};
        int64_t hits = 0;
        for (int i = 0; i < regions; i++) {
            r.base = i % 3 + 1; // written between regions, read within
            hits += r.base;
            dk_pool_run(pool, count, task, &r);
            if (i > 0 && i == regions / 2) pause_ms(PAUSE_MS); // long enough for the threads to sleep
        }
        failed |= expect(&r, count, hits);
    }
    dk_pool_destroy(pool);
    return failed;
}

int main(int argc, char **argv) {
    const int regions = argc > 1 ? atoi(argv[1]) : 2000;
    int failed = 0;
    for (int threads = 0; threads <= 8; threads++) {
        failed |= exercise(threads, regions);
        for (int i = 0; i < 6; i++) failed |= exercise(threads, i % 2); // hardly started, already ending
    }
    dk_pool_destroy(NULL);
    if (!failed) printf("  pool: every task once, 1 to 8 threads\n");
    return failed;
}
