/* The limits of control groups, in trees that look like those of systems and containers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cgroup.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

static int make_root(void **state)
{
    (void)state;
    strcpy(root, "/tmp/we-cgroup-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s%s", root, name);
    for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')) != NULL; *p++ = '/') {
        *p = '\0';
        mkdir(path, 0700);
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void check(double processors, bool limited, uint64_t memory)
{
    double found;
    uint64_t bytes;
    assert_true(we_cgroup_processors(root, &found) == (processors > 0));
    if (found < processors - 1e-9 || found > processors + 1e-9)
        fail_msg("%g processors, not %g", found, processors);
    assert_int_equal(we_cgroup_memory_left(root, &bytes), limited);
    assert_int_equal(bytes, memory);
}

static void test_none(void **state)
{
    (void)state;
    check(0, false, 0);
    put("/proc/self/cgroup", "0::/\n");
    check(0, false, 0);
    put("/proc/self/cgroup", "nonsense\n1:\n::\n0::\n");
    check(0, false, 0);
}

static void test_version_2(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/user.slice/app.scope\n");
    put("/sys/fs/cgroup/user.slice/app.scope/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/user.slice/app.scope/memory.max", "max\n");
    put("/sys/fs/cgroup/user.slice/app.scope/memory.current", "5000\n");
    check(0, false, 0);
    put("/sys/fs/cgroup/user.slice/cpu.max", "150000 100000\n"); /* a limit of the one above is one too */
    put("/sys/fs/cgroup/user.slice/memory.max", "100000\n");
    put("/sys/fs/cgroup/user.slice/memory.current", "70000\n");
    check(1.5, true, 30000);
    put("/sys/fs/cgroup/user.slice/memory.stat",
        "anon 1\nfile 60000\nxinactive_file 7\ninactive_file 20000\nactive_file 40000\n");
    check(1.5, true, 50000);
    put("/sys/fs/cgroup/user.slice/app.scope/cpu.max", "50000 200000\n"); /* the tighter one counts */
    put("/sys/fs/cgroup/user.slice/app.scope/memory.max", "4000\n");
    check(0.25, true, 0);
}

static void test_version_1(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "12:cpuset:/\n5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/docker/abc\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"); /* in the container its group is the root */
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "1000\n");
    check(0, false, 0);
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "300000\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "8000\n");
    check(3, true, 7000);
    put("/sys/fs/cgroup/memory/memory.stat", "inactive_file 7\ntotal_inactive_file 900\n");
    check(3, true, 7900);
    put("/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us", "50000\n"); /* a link of that name, on most systems */
    put("/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us", "100000\n");
    check(0.5, true, 7900);
}

/* Controllers of one version and groups of the other. */
static void test_hybrid(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "1:name=systemd:/cpu\n0::/a\n");
    put("/sys/fs/cgroup/unified/a/cpu.max", "200000 100000\n");
    put("/sys/fs/cgroup/name=systemd/cpu/cpu.cfs_quota_us", "1\n");
    check(2, false, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_none, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_version_2, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_version_1, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_hybrid, make_root, remove_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
