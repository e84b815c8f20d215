/* The thread pool. Runs under ThreadSanitizer too: the work shares plain variables as the pool's contract allows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/pool.h"
#include "base/system.h"

#include <pthread.h>
#include <signal.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_THREADS = 16 };

static struct we_pool *new_pool(uint32_t threads)
{
    struct we_pool *pool;
    struct we_error error;
    if (we_pool_new(threads, &pool, &error) != WE_OK)
        fail_msg("%u threads: %s", threads, error.message);
    assert_int_equal(we_pool_threads(pool), threads);
    return pool;
}

/* ---- every worker runs once, and is seen to have run ---- */

struct visits {
    uint32_t counts[MOST_THREADS]; /* plain: each worker has its own, and the caller reads them after the run */
    pthread_t threads[MOST_THREADS];
};

static void visit(void *context, uint32_t worker)
{
    struct visits *v = context;
    v->counts[worker]++;
    v->threads[worker] = pthread_self();
}

static void test_all_run(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= MOST_THREADS; threads++) {
        struct we_pool *pool = new_pool(threads);
        struct visits v = {{0}};
        for (uint32_t run = 1; run <= 20; run++) {
            we_pool_run(pool, visit, &v);
            for (uint32_t i = 0; i < MOST_THREADS; i++)
                assert_int_equal(v.counts[i], i < threads ? run : 0);
        }
        assert_true(pthread_equal(v.threads[0], pthread_self())); /* the caller is worker 0 */
        for (uint32_t i = 0; i < threads; i++)
            for (uint32_t j = 0; j < i; j++)
                assert_false(pthread_equal(v.threads[i], v.threads[j]));
        we_pool_free(pool);
    }
}

static void test_some_run(void **state)
{
    (void)state;
    struct we_pool *pool = new_pool(MOST_THREADS);
    struct visits v = {{0}};
    uint32_t expected[MOST_THREADS] = {0};
    uint64_t random = 7;
    for (uint32_t run = 0; run < 400; run++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        const uint32_t workers = 1 + (uint32_t)(random >> 40) % MOST_THREADS;
        we_pool_run_on(pool, workers, visit, &v);
        for (uint32_t i = 0; i < MOST_THREADS; i++)
            assert_int_equal(v.counts[i], expected[i] += i < workers);
    }
    we_pool_free(pool);
}

/* ---- sums ---- */

enum { VALUES = 100000 };

struct sum {
    const uint32_t *values;
    uint64_t parts[MOST_THREADS];
    uint32_t threads;
    atomic_uint next;
    uint64_t shared[MOST_THREADS];
};

static void add_share(void *context, uint32_t worker)
{
    struct sum *s = context;
    uint64_t total = 0;
    for (uint32_t i = worker; i < VALUES; i += s->threads)
        total += s->values[i];
    s->parts[worker] = total;
}

/* Pieces go to whoever comes first. */
static void add_pieces(void *context, uint32_t worker)
{
    struct sum *s = context;
    for (uint32_t i; (i = atomic_fetch_add(&s->next, 1) * 100) < VALUES;)
        for (uint32_t j = i; j < i + 100; j++)
            s->shared[worker] += s->values[j];
}

static void test_sums(void **state)
{
    (void)state;
    uint32_t *values = calloc(VALUES, sizeof *values);
    assert_non_null(values);
    uint64_t expected = 0, random = 1;
    for (uint32_t threads = 1; threads <= MOST_THREADS; threads++) {
        struct we_pool *pool = new_pool(threads);
        for (int run = 0; run < 10; run++) {
            struct sum s = {.values = values, .threads = threads};
            expected = 0;
            for (uint32_t i = 0; i < VALUES; i++) { /* written by the caller, read by the workers */
                random = random * 6364136223846793005u + 1442695040888963407u;
                values[i] = (uint32_t)(random >> 40);
                expected += values[i];
            }
            we_pool_run(pool, add_share, &s);
            we_pool_run(pool, add_pieces, &s);
            uint64_t parts = 0, shared = 0;
            for (uint32_t i = 0; i < threads; i++) {
                parts += s.parts[i];
                shared += s.shared[i];
            }
            assert_true(parts == expected && shared == expected);
        }
        we_pool_free(pool);
    }
    free(values);
}

/* ---- many short runs ---- */

static void count_one(void *context, uint32_t worker)
{
    ((uint32_t *)context)[worker * 16]++;
}

static void test_short_runs(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {1, 2, 3, 4, 8, 16};
    for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) {
        struct we_pool *pool = new_pool(numbers[n]);
        uint32_t counts[MOST_THREADS * 16] = {0}, runs = numbers[n] <= 2 ? 30000 : 500;
        for (uint32_t i = 0; i < runs; i++) {
            we_pool_run(pool, count_one, counts);
            if (i % 250 == 249) { /* now and then they fall asleep first */
                struct timespec pause = {0, 2000000};
                nanosleep(&pause, NULL);
            }
        }
        for (uint32_t i = 0; i < numbers[n]; i++)
            assert_int_equal(counts[i * 16], runs);
        we_pool_free(pool);
    }
}

/* ---- barriers ---- */

struct ring {
    struct we_pool *pool;
    uint32_t threads, rounds;
    uint64_t values[2][MOST_THREADS];
    atomic_uint early; /* barriers that were left while some had not arrived */
};

/* Each round every worker reads what its neighbours wrote in the one before. */
static void turn_ring(void *context, uint32_t worker)
{
    struct ring *r = context;
    uint32_t left = (worker + r->threads - 1) % r->threads, right = (worker + 1) % r->threads;
    for (uint32_t round = 0; round < r->rounds; round++) {
        const uint64_t *old = r->values[round % 2];
        r->values[(round + 1) % 2][worker] = old[left] * 3 + old[right] + worker;
        if (round % 3 == 0) {
            we_pool_barrier(r->pool);
            continue;
        }
        const uint32_t ticket = we_pool_arrive(r->pool); /* in parts: with a look meanwhile, or without */
        while (round % 3 == 1 && !we_pool_all_arrived(r->pool, ticket))
            sched_yield();
        we_pool_wait(r->pool, ticket);
        if (!we_pool_all_arrived(r->pool, ticket))
            atomic_fetch_add(&r->early, 1);
    }
}

static void test_barriers(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {1, 2, 3, 5, 8, 16};
    for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) {
        uint32_t threads = numbers[n];
        struct ring r = {.pool = new_pool(threads), .threads = threads, .rounds = threads <= 2 ? 5001 : 301};
        uint64_t expected[2][MOST_THREADS] = {{0}};
        for (uint32_t i = 0; i < threads; i++)
            r.values[0][i] = expected[0][i] = i + 1;
        for (uint32_t round = 0; round < r.rounds; round++)
            for (uint32_t w = 0; w < threads; w++)
                expected[(round + 1) % 2][w] =
                    expected[round % 2][(w + threads - 1) % threads] * 3 + expected[round % 2][(w + 1) % threads] + w;
        we_pool_run(r.pool, turn_ring, &r);
        assert_memory_equal(r.values[r.rounds % 2], expected[r.rounds % 2], threads * sizeof(uint64_t));
        assert_int_equal(atomic_load(&r.early), 0);
        we_pool_free(r.pool);
        /* the same by a part of a larger team */
        struct ring part = {.pool = new_pool(threads + 1 + (uint32_t)n), .threads = threads, .rounds = r.rounds};
        for (uint32_t i = 0; i < threads; i++)
            part.values[0][i] = i + 1;
        we_pool_run_on(part.pool, threads, turn_ring, &part);
        assert_memory_equal(part.values[part.rounds % 2], expected[part.rounds % 2], threads * sizeof(uint64_t));
        assert_int_equal(atomic_load(&part.early), 0);
        we_pool_free(part.pool);
    }
}

/* ---- several pools, life and death ---- */

static void run_other(void *context, uint32_t worker)
{
    struct visits *v = context;
    struct we_pool *own; /* a task may use a pool of its own */
    if (we_pool_new(2, &own, NULL) != WE_OK)
        return;
    struct visits inner = {{0}};
    we_pool_run(own, visit, &inner);
    v->counts[worker] += inner.counts[0] + inner.counts[1];
    we_pool_free(own);
}

static void test_pools(void **state)
{
    (void)state;
    struct visits v = {{0}};
    struct we_pool *pool = new_pool(3), *second = new_pool(2);
    we_pool_run(pool, run_other, &v);
    for (int i = 0; i < 3; i++)
        assert_int_equal(v.counts[i], 2);
    we_pool_run(second, visit, &v);
    we_pool_run(pool, visit, &v);
    assert_int_equal(v.counts[1], 4);
    we_pool_free(second);
    we_pool_free(pool);
    we_pool_free(NULL);
    for (int i = 0; i < 50; i++) /* one that was never used */
        we_pool_free(new_pool(1 + (uint32_t)i % 5));
    struct we_error error;
    assert_int_equal(we_pool_new(0, &pool, &error), WE_INVALID_ARGUMENT);
    assert_null(pool);
    assert_int_equal(we_pool_new(1025, &pool, &error), WE_INVALID_ARGUMENT);
    assert_string_equal(error.message, "1025 threads: a number from 1 to 1024 was expected");
}

/* ---- mistakes of the program end it ---- */

static void run_again(void *context, uint32_t worker)
{
    (void)worker;
    struct visits v = {{0}};
    we_pool_run(context, visit, &v);
}

static void test_nested(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 2; threads++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            signal(SIGABRT, SIG_DFL);
            alarm(20);
            struct we_pool *pool;
            close(STDERR_FILENO); /* the assertion's text */
            if (we_pool_new(threads, &pool, NULL) == WE_OK)
                we_pool_run(pool, run_again, pool);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

/* ---- an idle pool ---- */

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void test_idle(void **state)
{
    (void)state;
    struct we_pool *pool = new_pool(8);
    struct visits v = {{0}};
    we_pool_run(pool, visit, &v);
    struct timespec settle = {0, 50000000}, pause = {0, 500000000};
    nanosleep(&settle, NULL);
    double before = cpu_seconds();
    nanosleep(&pause, NULL);
    double used = cpu_seconds() - before;
    if (used > 0.05)
        fail_msg("8 idle workers used %.3f s of CPU time in 0.5 s", used);
    we_pool_run(pool, visit, &v); /* and they wake up */
    for (int i = 0; i < 8; i++)
        assert_int_equal(v.counts[i], 2);
    we_pool_free(pool);
}

static void wait_for_slow(void *context, uint32_t worker)
{
    if (worker == 1) { /* the others must not spin meanwhile */
        struct timespec pause = {0, 300000000};
        nanosleep(&pause, NULL);
    }
    we_pool_barrier(context);
}

static void test_waiting(void **state)
{
    (void)state;
    struct we_pool *pool = new_pool(4);
    double before = cpu_seconds();
    we_pool_run(pool, wait_for_slow, pool);
    double used = cpu_seconds() - before;
    if (used > 0.05)
        fail_msg("3 workers used %.3f s of CPU time while they waited 0.3 s for the fourth", used);
    we_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_run),  cmocka_unit_test(test_some_run), cmocka_unit_test(test_sums),    cmocka_unit_test(test_short_runs),
        cmocka_unit_test(test_barriers), cmocka_unit_test(test_pools),   cmocka_unit_test(test_nested),
        cmocka_unit_test(test_idle),     cmocka_unit_test(test_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
