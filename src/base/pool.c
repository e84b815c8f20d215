#if defined(__linux__)
#define _GNU_SOURCE /* syscall */
#endif
#include "base/pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* A counter that one side raises and the other waits for: first spinning, then asleep. */
struct event {
    alignas(64) atomic_uint value;
    atomic_uint sleepers;
#if !defined(__linux__)
    pthread_mutex_t mutex;
    pthread_cond_t changed;
#endif
};

struct we_pool {
    struct event finished; /* raised when the last worker is done with a run */
    struct event barrier;  /* raised when the last worker has arrived */
    alignas(64) atomic_uint running;
    alignas(64) atomic_uint arrived;
    alignas(64) we_pool_task *task;
    void *context;
    bool ending;
    uint32_t threads, started;
    uint32_t active; /* workers that take part in the run */
    struct we_pool_worker {
        struct event start; /* raised for each run that the worker takes part in, and to end */
        struct we_pool *pool;
        uint32_t index;
        pthread_t thread;
    } *workers;
};

enum { SPINS = 2000 }; /* about 40 µs with the pause below */

static inline void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

static void event_raise(struct event *e)
{
    atomic_fetch_add(&e->value, 1); /* sequentially consistent: before the look at `sleepers` */
    if (atomic_load(&e->sleepers) == 0)
        return;
#if defined(__linux__)
    syscall(SYS_futex, &e->value, FUTEX_WAKE_PRIVATE, 0x7FFFFFFF, NULL, NULL, 0);
#else
    pthread_mutex_lock(&e->mutex);
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->mutex);
#endif
}

/* Returns when the value is no longer `seen`. */
static void event_wait(struct event *e, unsigned seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&e->value, memory_order_acquire) != seen)
            return;
        pause_briefly();
    }
    atomic_fetch_add(&e->sleepers, 1);
#if defined(__linux__)
    while (atomic_load(&e->value) == seen)
        syscall(SYS_futex, &e->value, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
#else
    pthread_mutex_lock(&e->mutex);
    while (atomic_load(&e->value) == seen)
        pthread_cond_wait(&e->changed, &e->mutex);
    pthread_mutex_unlock(&e->mutex);
#endif
    atomic_fetch_sub(&e->sleepers, 1);
}

static void event_init(struct event *e)
{
#if !defined(__linux__)
    pthread_mutex_init(&e->mutex, NULL);
    pthread_cond_init(&e->changed, NULL);
#else
    (void)e;
#endif
}

static void event_destroy(struct event *e)
{
#if !defined(__linux__)
    pthread_mutex_destroy(&e->mutex);
    pthread_cond_destroy(&e->changed);
#else
    (void)e;
#endif
}

static void *worker_main(void *argument)
{
    struct we_pool_worker *worker = argument;
    struct we_pool *pool = worker->pool;
    unsigned seen = 0;
    for (;;) {
        event_wait(&worker->start, seen);
        seen++; /* a run ends only after each of its workers has taken part, so none is missed */
        if (pool->ending)
            return NULL;
        pool->task(pool->context, worker->index);
        if (atomic_fetch_sub(&pool->running, 1) == 1)
            event_raise(&pool->finished);
    }
}

we_status we_pool_new(uint32_t threads, struct we_pool **out, struct we_error *error)
{
    *out = NULL;
    if (threads == 0 || threads > 1024)
        return we_error_set(error, WE_INVALID_ARGUMENT, "%u threads: a number from 1 to 1024 was expected", threads);
    struct we_pool *pool = aligned_alloc(64, (sizeof *pool + 63) & ~(size_t)63);
    if (pool == NULL)
        return we_error_memory(error, "the thread pool");
    memset(pool, 0, sizeof *pool);
    pool->threads = pool->active = threads;
    event_init(&pool->finished);
    event_init(&pool->barrier);
    pool->workers = aligned_alloc(64, threads * sizeof *pool->workers);
    if (pool->workers == NULL) {
        we_pool_free(pool);
        return we_error_memory(error, "the thread pool");
    }
    memset(pool->workers, 0, threads * sizeof *pool->workers);
    for (uint32_t i = 1; i < threads; i++) {
        struct we_pool_worker *worker = &pool->workers[i];
        worker->pool = pool;
        worker->index = i;
        event_init(&worker->start);
        int errnum = pthread_create(&worker->thread, NULL, worker_main, worker);
        if (errnum != 0) {
            event_destroy(&worker->start);
            we_pool_free(pool);
            return we_error_errno(error, WE_IO_ERROR, errnum, "thread %u of %u cannot be started; use fewer with --threads", i + 1,
                                  threads);
        }
        pool->started++;
    }
    *out = pool;
    return WE_OK;
}

void we_pool_free(struct we_pool *pool)
{
    if (pool == NULL)
        return;
    pool->ending = true;
    for (uint32_t i = 1; i <= pool->started; i++)
        event_raise(&pool->workers[i].start);
    for (uint32_t i = 1; i <= pool->started; i++) {
        pthread_join(pool->workers[i].thread, NULL);
        event_destroy(&pool->workers[i].start);
    }
    event_destroy(&pool->finished);
    event_destroy(&pool->barrier);
    free(pool->workers);
    free(pool);
}

uint32_t we_pool_threads(const struct we_pool *pool)
{
    return pool->threads;
}

void we_pool_run_on(struct we_pool *pool, uint32_t workers, we_pool_task *task, void *context)
{
    assert(workers >= 1 && workers <= pool->threads);
    unsigned idle = 0;
    bool free_pool = atomic_compare_exchange_strong(&pool->running, &idle, workers);
    assert(free_pool && "a pool is run by one thread at a time, and by none of its tasks");
    (void)free_pool;
    pool->active = workers;
    if (workers == 1) {
        task(context, 0);
        atomic_store(&pool->running, 0);
        return;
    }
    pool->task = task;
    pool->context = context;
    unsigned seen = atomic_load(&pool->finished.value);
    for (uint32_t i = 1; i < workers; i++)
        event_raise(&pool->workers[i].start);
    task(context, 0);
    if (atomic_fetch_sub(&pool->running, 1) == 1)
        event_raise(&pool->finished);
    else
        event_wait(&pool->finished, seen);
}

void we_pool_run(struct we_pool *pool, we_pool_task *task, void *context)
{
    we_pool_run_on(pool, pool->threads, task, context);
}

uint32_t we_pool_arrive(struct we_pool *pool)
{
    const unsigned ticket = atomic_load(&pool->barrier.value);
    if (pool->active == 1)
        return ticket - 1; /* all have arrived */
    if (atomic_fetch_add(&pool->arrived, 1) == pool->active - 1) {
        atomic_store(&pool->arrived, 0);
        event_raise(&pool->barrier);
    }
    return ticket;
}

bool we_pool_all_arrived(struct we_pool *pool, uint32_t ticket)
{
    return atomic_load_explicit(&pool->barrier.value, memory_order_acquire) != ticket;
}

void we_pool_wait(struct we_pool *pool, uint32_t ticket)
{
    if (!we_pool_all_arrived(pool, ticket))
        event_wait(&pool->barrier, ticket);
}

void we_pool_barrier(struct we_pool *pool)
{
    we_pool_wait(pool, we_pool_arrive(pool));
}
