/* What the machine is said to offer, against what the system says by other ways. */
#if defined(__linux__)
#define _GNU_SOURCE
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bandwidth.h"
#include "base/system.h"
#include "base/vitals.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#endif

static void test_clock(void **state)
{
    (void)state;
    double last = we_clock();
    for (int i = 0; i < 10000; i++) {
        double now = we_clock();
        assert_true(now >= last);
        last = now;
    }
    struct timespec pause = {0, 20000000};
    nanosleep(&pause, NULL);
    double passed = we_clock() - last;
    assert_true(passed >= 0.0199 && passed < 10);
}

static void test_random(void **state)
{
    (void)state;
    uint64_t seen[64], ones = 0, zeros = 0;
    for (int i = 0; i < 64; i++) {
        seen[i] = we_random_u64();
        ones |= seen[i];
        zeros |= ~seen[i];
        for (int j = 0; j < i; j++)
            assert_true(seen[i] != seen[j]);
    }
    assert_true(ones == UINT64_MAX && zeros == UINT64_MAX);
}

static void test_memory(void **state)
{
    (void)state;
    uint64_t available = we_memory_available(), peak = we_memory_peak();
    uint64_t total = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    assert_true(available > 1 << 20 && available <= total);
    assert_true(peak > 100 << 10 && peak < total);
    enum { MORE = 32 << 20 };
    char *block = malloc(MORE);
    assert_non_null(block);
    memset(block, 1, MORE);
    uint64_t now = we_memory_peak();
    assert_true(block[MORE - 1] == 1 && now >= peak && now >= MORE);
    free(block);
    assert_true(we_memory_peak() >= now); /* a peak never falls */
}

static void test_processors(void **state)
{
    (void)state;
    uint32_t n = we_processor_count();
    assert_true(n >= 1 && n <= (uint32_t)sysconf(_SC_NPROCESSORS_CONF));
#if defined(__linux__)
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    assert_true(n <= (uint32_t)CPU_COUNT(&all));
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all)) {
            CPU_SET(cpu, &one);
            break;
        }
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(we_processor_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    assert_int_equal(we_processor_count(), n);
#endif
}

#if defined(__linux__) && defined(__x86_64__)
static void test_features(void **state)
{
    (void)state;
    struct we_cpu_features f;
    we_cpu_features(&f);
    char *flags = NULL;
    size_t size = 0;
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && getline(&flags, &size, file) > 0 && strncmp(flags, "flags", 5) != 0)
        continue;
    if (file)
        fclose(file);
    if (flags == NULL || strncmp(flags, "flags", 5) != 0) {
        free(flags);
        skip();
    }
    flags[strcspn(flags, "\n")] = ' ';
    const struct {
        const char *name;
        bool found;
    } cases[] = {
        {" avx2 ", f.avx2},
        {" fma ", f.fma},
        {" f16c ", f.f16c},
        {" avx512f ", f.avx512f},
        {" avx512bw ", f.avx512bw},
        {" avx512vl ", f.avx512vl},
        {" avx512dq ", f.avx512dq},
        {" avx512_vnni ", f.avx512vnni},
        {" avx512vbmi ", f.avx512vbmi},
        {" avx512_bf16 ", f.avx512bf16},
        {" amx_int8 ", f.amx_int8},
        {" amx_bf16 ", f.amx_bf16},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (cases[i].found != (strstr(flags, cases[i].name) != NULL))
            fail_msg("%s is %s, but /proc/cpuinfo says otherwise", cases[i].name, cases[i].found ? "there" : "absent");
    free(flags);
}
#endif

/* Every machine that this runs on has one, and none has come near the upper bound. */
static void test_cache(void **state)
{
    (void)state;
#if defined(__linux__)
    if (access("/sys/devices/system/cpu/cpu0/cache/index0/size", R_OK) != 0)
        skip(); /* some containers hide it */
#endif
    assert_in_range(we_cache_bytes(), 16 << 10, (uint64_t)16 << 30);
}

static void test_bandwidth(void **state)
{
    (void)state;
    double rate = 0;
    struct we_error error;
    assert_int_equal(we_measure_read_bandwidth(2, &rate, &error), WE_OK);
    assert_true(rate > 1e7 && rate < 1e13);
    assert_int_equal(we_measure_read_bandwidth(0, &rate, &error), WE_INVALID_ARGUMENT);
    assert_true(rate == 0);
}

/* Between two readings this process works: the clocks say so, the memory is what the other functions say. */
static void test_vitals(void **state)
{
    (void)state;
    enum { TOUCHED = 64 << 20 };
    struct we_vitals before, after;
    struct we_vitals_reader *reader = we_vitals_open();
    assert_non_null(reader);
    we_vitals_read(reader, &before);
    char *bytes = malloc(TOUCHED);
    assert_non_null(bytes);
    memset(bytes, 1, TOUCHED);
    volatile double sum = 0;
    do {
        for (int i = 0; i < 1000000; i++)
            sum = sum + bytes[i % TOUCHED];
        we_vitals_read(reader, &after);
    } while (after.own_seconds < before.own_seconds + 0.1 || after.processors_busy < before.processors_busy + 0.1);
    assert_true(after.processors_total >= after.processors_busy && after.processors_total > before.processors_total);
    assert_true(after.own_memory >= TOUCHED && after.own_memory <= we_memory_peak() + (16 << 20));
    assert_true(after.memory_total == (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
    assert_in_range(after.memory_available, 1 << 20, after.memory_total);
    assert_true(after.gpu_busy >= 0 && after.gpu_busy <= 1 && (after.has_gpu || after.gpu_memory_total == 0));
    free(bytes);
    we_vitals_close(reader);
    we_vitals_close(NULL);
}

#if defined(__linux__)
static void *priority(void *result)
{
    *(int *)result = getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid));
    return NULL;
}

static void *give_way(void *result)
{
    pthread_t child;
    we_thread_give_way();
    if (pthread_create(&child, NULL, priority, result) == 0)
        pthread_join(child, NULL);
    return NULL;
}

/* A thread that gives way hands that on, and the others stay as they are. */
static void test_give_way(void **state)
{
    (void)state;
    pthread_t thread;
    int of_child = -100, mine, later;
    priority(&mine);
    assert_int_equal(pthread_create(&thread, NULL, give_way, &of_child), 0);
    pthread_join(thread, NULL);
    priority(&later);
    assert_true(of_child > mine || mine >= 19);
    assert_int_equal(later, mine);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_processors),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_bandwidth),
        cmocka_unit_test(test_vitals),
#if defined(__linux__)
        cmocka_unit_test(test_give_way),
#endif
#if defined(__linux__) && defined(__x86_64__)
        cmocka_unit_test(test_features),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
