// A fork-join pool. Between the regions of a decode step workers spin: parking costs 50 us each way, which
// over the ~150 regions of a token is more than the work. Between requests they park.
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "CKernels.h"

enum { SPINS_BEFORE_YIELD = 4000, YIELDS_BEFORE_PARK = 400 };

// A thread's tasks that are still to do, first in the low half, end in the high one; a cache line of its own.
typedef struct {
    _Alignas(64) _Atomic uint64_t tasks;
} dk_stretch;

typedef struct {
    dk_pool *pool;
    int index;
    pthread_t handle;
} dk_worker;

struct dk_pool {
    int threads; // workers beside the caller
    dk_worker *workers;
    dk_stretch *stretches; // the caller's is the first
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    // Each region has a new generation; workers leave a region by counting themselves out.
    _Atomic uint64_t generation;
    _Atomic int parked;
    _Atomic int busy;
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

static inline uint64_t stretch(uint32_t first, uint32_t end) { return (uint64_t)end << 32 | first; }

// Takes a task from the front (the owner) or from the back (who has none left); -1 if there is none.
static int64_t take(dk_stretch *from, bool front) {
    uint64_t now = atomic_load_explicit(&from->tasks, memory_order_relaxed), next;
    uint32_t first, end;
    do {
        first = (uint32_t)now;
        end = (uint32_t)(now >> 32);
        if (first >= end) return -1;
        next = front ? stretch(first + 1, end) : stretch(first, end - 1);
    } while (!atomic_compare_exchange_weak_explicit(&from->tasks, &now, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return front ? first : end - 1;
}

// A thread runs through a stretch of neighbouring tasks, so that it reads memory as one stream: with tasks in
// turn the processor's prefetching begins anew at each, which cost a fifth of the bandwidth. Then it helps the
// others from their far ends.
static void work(dk_pool *pool, int self) {
    const int count = pool->threads + 1;
    for (int64_t i; (i = take(&pool->stretches[self], true)) >= 0;) pool->task(pool->context, i);
    for (int other = 1; other < count; other++)
        for (int64_t i; (i = take(&pool->stretches[(self + other) % count], false)) >= 0;)
            pool->task(pool->context, i);
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
    const dk_worker *self = argument;
    dk_pool *pool = self->pool;
    uint64_t seen = 0;
    for (;;) {
        seen = wait_for_region(pool, seen);
        if (pool->stopping) return NULL;
        work(pool, self->index);
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
    const size_t count = threads > 1 ? (size_t)threads : 1;
    pool->workers = calloc(count, sizeof *pool->workers);
    pool->stretches = aligned_alloc(64, count * sizeof *pool->stretches);
    if (!pool->workers || !pool->stretches) {
        dk_pool_destroy(pool);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) atomic_init(&pool->stretches[i].tasks, 0);
    for (int i = 1; i < threads; i++) {
        dk_worker *worker = &pool->workers[i];
        *worker = (dk_worker){.pool = pool, .index = i};
        if (pthread_create(&worker->handle, NULL, run, worker) != 0) {
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
    for (int i = 1; i <= pool->threads; i++) pthread_join(pool->workers[i].handle, NULL);
    pthread_mutex_destroy(&pool->mutex);
    pthread_cond_destroy(&pool->wake);
    free(pool->workers);
    free(pool->stretches);
    free(pool);
}

void dk_pool_run(dk_pool *pool, int64_t count, dk_task task, void *context) {
    if (count <= 1 || pool->threads == 0) {
        for (int64_t i = 0; i < count; i++) task(context, i);
        return;
    }
    pool->task = task;
    pool->context = context;
    const int64_t threads = pool->threads + 1;
    for (int64_t i = 0; i < threads; i++)
        atomic_store_explicit(&pool->stretches[i].tasks,
                              stretch((uint32_t)(count * i / threads), (uint32_t)(count * (i + 1) / threads)),
                              memory_order_relaxed);
    atomic_store(&pool->busy, pool->threads);
    open_region(pool);
    work(pool, 0);
    for (int spins = 0; atomic_load_explicit(&pool->busy, memory_order_acquire) > 0;) {
        if (spins < SPINS_BEFORE_YIELD) {
            spins++;
            relax();
        } else {
            sched_yield();
        }
    }
}
