#if defined(__linux__)
#define _GNU_SOURCE /* sched_getaffinity */
#endif
#include "base/system.h"

#include "base/cgroup.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <sched.h>
#include <sys/random.h>
#include <sys/syscall.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif
#elif defined(__APPLE__)
#include <mach/mach.h>
#include <pthread.h>
#include <sys/random.h>
#include <sys/sysctl.h>
#endif

double we_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

uint64_t we_thread_interruptions(void)
{
#if defined(RUSAGE_THREAD)
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) == 0 ? (uint64_t)usage.ru_nivcsw : 0;
#else
    return 0;
#endif
}

uint64_t we_random_u64(void)
{
    uint64_t value = 0;
    if (getentropy(&value, sizeof value) != 0) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        value = (uint64_t)t.tv_sec * 1000000007u ^ (uint64_t)t.tv_nsec ^ (uint64_t)getpid() << 32;
    }
    return value;
}

uint64_t we_memory_peak(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
#if defined(__APPLE__)
    return (uint64_t)usage.ru_maxrss;
#else
    return (uint64_t)usage.ru_maxrss * 1024;
#endif
}

#if defined(__linux__)

/* The first line of a small file of the kernel's. */
static bool read_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool ok = fgets(line, (int)size, file) != NULL;
    fclose(file);
    return ok;
}

uint32_t we_processor_count(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
    double quota;
    if (we_cgroup_processors("", &quota) && quota < (double)n)
        n = (long)ceil(quota);
    return n >= 1 ? (uint32_t)n : 1;
}

uint64_t we_memory_available(void)
{
    uint64_t available = 0;
    FILE *file = fopen("/proc/meminfo", "re");
    char line[128];
    unsigned long long kib;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %llu", &kib) == 1)
            available = kib * 1024;
    if (file)
        fclose(file);
    uint64_t left;
    if (we_cgroup_memory_left("", &left))
        available = available == 0 || left < available ? left : available;
    return available;
}

void we_thread_give_way(void)
{
    /* Linux keeps this for each thread, and a new one begins with that of the thread that starts it. A third of the share that
     * others get is enough to lose every race for a processor, and not so little that a busy machine starves it. */
    enum { STEPS = 5 };
    id_t thread = (id_t)syscall(SYS_gettid);
    setpriority(PRIO_PROCESS, thread, getpriority(PRIO_PROCESS, thread) + STEPS);
}

uint64_t we_cache_bytes(void)
{
    uint64_t most = 0;
    for (int i = 0; i < 10; i++) {
        char path[96], line[64], unit = 'K';
        unsigned long long size;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
        if (!read_line(path, line, sizeof line) || sscanf(line, "%llu%c", &size, &unit) < 1)
            continue;
        uint64_t bytes = size << (unit == 'M' ? 20 : 10);
        most = bytes > most ? bytes : most;
    }
    return most;
}

#elif defined(__APPLE__)

uint32_t we_processor_count(void)
{
    int n = 0;
    size_t size = sizeof n;
    /* The performance cores: the others would hold every barrier up. */
    if (sysctlbyname("hw.perflevel0.logicalcpu", &n, &size, NULL, 0) != 0 || n < 1)
        n = (int)sysconf(_SC_NPROCESSORS_ONLN);
    return n >= 1 ? (uint32_t)n : 1;
}

uint64_t we_memory_available(void)
{
    vm_statistics64_data_t stats;
    mach_msg_type_number_t count = HOST_VM_INFO64_COUNT;
    if (host_statistics64(mach_host_self(), HOST_VM_INFO64, (host_info64_t)&stats, &count) != KERN_SUCCESS)
        return 0;
    return ((uint64_t)stats.free_count + stats.inactive_count + stats.purgeable_count) * (uint64_t)vm_kernel_page_size;
}

void we_thread_give_way(void)
{
    pthread_set_qos_class_self_np(QOS_CLASS_UTILITY, 0);
}

uint64_t we_cache_bytes(void)
{
    uint64_t most = 0, bytes;
    const char *const names[] = {"hw.l3cachesize", "hw.perflevel0.l2cachesize", "hw.l2cachesize"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t size = sizeof bytes;
        bytes = 0;
        if (sysctlbyname(names[i], &bytes, &size, NULL, 0) == 0 && bytes > most)
            most = bytes;
    }
    return most;
}

#else
#error "base/system.c has no form for this operating system"
#endif

#if defined(__x86_64__)
#include <cpuid.h>

static uint64_t enabled_state(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* Tiles are large, so Linux gives them only to a process that asks. */
static bool may_use_tiles(void)
{
#if defined(__linux__)
    enum { REQUEST_COMPONENT = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST_COMPONENT, TILE_DATA) == 0;
#else
    return true;
#endif
}

void we_cpu_features(struct we_cpu_features *f)
{
    *f = (struct we_cpu_features){0};
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) /* osxsave */
        return;
    uint64_t state = enabled_state();
    bool ymm = (state & 0x6) == 0x6, zmm = (state & 0xE6) == 0xE6, tiles = (state & 0x60000) == 0x60000;
    f->fma = ymm && (c >> 12 & 1);
    f->f16c = ymm && (c >> 29 & 1);
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return;
    f->avx2 = ymm && (b >> 5 & 1);
    f->avx512f = zmm && (b >> 16 & 1);
    f->avx512dq = zmm && (b >> 17 & 1);
    f->avx512bw = zmm && (b >> 30 & 1);
    f->avx512vl = zmm && (b >> 31 & 1);
    f->avx512vbmi = zmm && (c >> 1 & 1);
    f->avx512vnni = zmm && (c >> 11 & 1);
    tiles = tiles && (d >> 24 & 1) && may_use_tiles();
    f->amx_bf16 = tiles && (d >> 22 & 1);
    f->amx_int8 = tiles && (d >> 25 & 1);
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d))
        f->avx512bf16 = zmm && (a >> 5 & 1);
}

#elif defined(__aarch64__)

void we_cpu_features(struct we_cpu_features *f)
{
    *f = (struct we_cpu_features){.neon = true};
#if defined(__APPLE__)
    int has = 0;
    size_t size = sizeof has;
    f->dotprod = sysctlbyname("hw.optional.arm.FEAT_DotProd", &has, &size, NULL, 0) == 0 && has;
    size = sizeof has;
    f->i8mm = sysctlbyname("hw.optional.arm.FEAT_I8MM", &has, &size, NULL, 0) == 0 && has;
#else
    f->dotprod = getauxval(AT_HWCAP) >> 20 & 1;
    f->i8mm = getauxval(AT_HWCAP2) >> 13 & 1;
#endif
}

#else

void we_cpu_features(struct we_cpu_features *f)
{
    *f = (struct we_cpu_features){0};
}

#endif
