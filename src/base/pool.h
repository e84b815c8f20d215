/* A fixed team of threads for short parallel phases. The thread that calls we_pool_run takes part as worker 0.
 * Idle workers spin for some tens of microseconds, then sleep. One thread at a time may use a pool,
 * and no task the pool that runs it: both are mistakes of the program, which an assertion catches. */
#ifndef WE_BASE_POOL_H
#define WE_BASE_POOL_H

#include "base/error.h"

struct we_pool; /* opaque */

/* `threads`: workers in all, the caller included; at least 1. */
we_status we_pool_new(uint32_t threads, struct we_pool **pool, struct we_error *error);
void we_pool_free(struct we_pool *pool);
uint32_t we_pool_threads(const struct we_pool *pool);

/* Calls task(context, worker) once on each worker, worker in [0, threads), and returns when all have returned. */
typedef void we_pool_task(void *context, uint32_t worker);
void we_pool_run(struct we_pool *pool, we_pool_task *task, void *context);
/* The same on workers [0, workers) only, from 1 to all; the others sleep on, and barriers wait for these. */
void we_pool_run_on(struct we_pool *pool, uint32_t workers, we_pool_task *task, void *context);

/* Inside a task: waits until every worker that takes part has come here. All must call it equally often. */
void we_pool_barrier(struct we_pool *pool);

/* The barrier in parts, for a worker that has something else to do meanwhile: it arrives, and may ask whether all have
 * (`ticket`: what arrive returned); at the end it waits. */
uint32_t we_pool_arrive(struct we_pool *pool);
bool we_pool_all_arrived(struct we_pool *pool, uint32_t ticket);
void we_pool_wait(struct we_pool *pool, uint32_t ticket);

#endif
