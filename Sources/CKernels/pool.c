// A fork-join pool. Between the regions of a decode step workers spin: parking costs 50 us each way, which
// over the ~150 regions of a token is more than the work. Between requests they park.
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "CKernels.h"

enum { SPINS_BEFORE_YIELD = 4000, YIELDS_BEFORE_PARK = 400 };

struct dk_pool {
    int threads; // workers beside the caller
    pthread_t *handles;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    // Each region has a new generation; workers leave a region by counting themselves out.
    _Atomic uint64_t generation;
    _Atomic int parked;
    _Atomic int busy;
    _Atomic int64_t next;
    int64_t count;
    dk_task task;
    void *context;
    bool stopping;
};

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void work(dk_pool *pool) {
    for (;;) {
        int64_t i = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (i >= pool->count) return;
        pool->task(pool->context, i);
    }
}

// Returns when the generation is no longer `seen`.
static uint64_t wait_for_region(dk_pool *pool, uint64_t seen) {
    uint64_t now;
    for (int i = 0; i < SPINS_BEFORE_YIELD + YIELDS_BEFORE_PARK; i++) {
        now = atomic_load_explicit(&pool->generation, memory_order_acquire);
        if (now != seen) return now;
        if (i < SPINS_BEFORE_YIELD) relax();
        else sched_yield();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->parked, 1);
    while ((now = atomic_load(&pool->generation)) == seen) pthread_cond_wait(&pool->wake, &pool->mutex);
    atomic_fetch_sub(&pool->parked, 1);
    pthread_mutex_unlock(&pool->mutex);
    return now;
}

static void *run(void *argument) {
    dk_pool *pool = argument;
    uint64_t seen = 0;
    for (;;) {
        seen = wait_for_region(pool, seen);
        if (pool->stopping) return NULL;
        work(pool);
        atomic_fetch_sub_explicit(&pool->busy, 1, memory_order_release);
    }
}

static void open_region(dk_pool *pool) {
    atomic_fetch_add(&pool->generation, 1);
    if (atomic_load(&pool->parked) > 0) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->mutex);
    }
}

dk_pool *dk_pool_create(int threads) {
    dk_pool *pool = calloc(1, sizeof *pool);
    if (!pool) return NULL;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->handles = calloc(threads > 1 ? (size_t)threads - 1 : 1, sizeof *pool->handles);
    if (!pool->handles) {
        dk_pool_destroy(pool);
        return NULL;
    }
    for (int i = 1; i < threads; i++) {
        if (pthread_create(&pool->handles[pool->threads], NULL, run, pool) != 0) {
            dk_pool_destroy(pool);
            return NULL;
        }
        pool->threads++;
    }
    return pool;
}

void dk_pool_destroy(dk_pool *pool) {
    if (!pool) return;
    pool->stopping = true;
    open_region(pool);
    for (int i = 0; i < pool->threads; i++) pthread_join(pool->handles[i], NULL);
    pthread_mutex_destroy(&pool->mutex);
    pthread_cond_destroy(&pool->wake);
    free(pool->handles);
    free(pool);
}

void dk_pool_run(dk_pool *pool, int64_t count, dk_task task, void *context) {
    if (count <= 1 || pool->threads == 0) {
        for (int64_t i = 0; i < count; i++) task(context, i);
        return;
    }
    pool->task = task;
    pool->context = context;
    pool->count = count;
    atomic_store(&pool->next, 0);
    atomic_store(&pool->busy, pool->threads);
    open_region(pool);
    work(pool);
    for (int spins = 0; atomic_load_explicit(&pool->busy, memory_order_acquire) > 0;) {
        if (spins < SPINS_BEFORE_YIELD) {
            spins++;
            relax();
        } else {
            sched_yield();
        }
    }
}
