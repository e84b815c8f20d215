#include "base/cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH = 1024 };

/* One group's directory, from the process's own up to the root of its hierarchy. */
typedef void look_function(const char *directory, bool version_2, void *context);

static bool read_file(const char *directory, const char *name, char *text, size_t size)
{
    char path[PATH + 64];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    const size_t n = fread(text, 1, size - 1, file);
    fclose(file);
    text[n] = '\0';
    return n > 0;
}

/* A number; false for "max", and for one that no machine has. */
static bool read_limit(const char *directory, const char *name, uint64_t *value)
{
    char text[64], *end;
    if (!read_file(directory, name, text, sizeof text) || text[0] == '-')
        return false;
    *value = strtoull(text, &end, 10);
    return end != text && *value < (uint64_t)1 << 60;
}

static void look_up(const char *mount, const char *group, bool version_2, look_function *look, void *context)
{
    char directory[PATH];
    const int n = snprintf(directory, sizeof directory, "%s%s", mount, strcmp(group, "/") == 0 ? "" : group);
    if (n < 0 || (size_t)n >= sizeof directory)
        return;
    /* In a container the group's own path may be that of the host, where nothing is; the root is the container's then. */
    for (;;) {
        look(directory, version_2, context);
        char *last = strrchr(directory, '/');
        if (last == NULL || (size_t)(last - directory) < strlen(mount))
            return;
        *last = '\0';
    }
}

static bool has_controller(const char *list, const char *wanted)
{
    const size_t length = strlen(wanted);
    for (const char *p = list; (p = strstr(p, wanted)) != NULL; p += length)
        if ((p == list || p[-1] == ',') && (p[length] == '\0' || p[length] == ','))
            return true;
    return false;
}

/* Every group of the process that may limit what `controller` controls. */
static void each_group(const char *root, const char *controller, look_function *look, void *context)
{
    char path[PATH], line[PATH], mount[PATH + 300];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) { /* number:controllers:path */
        line[strcspn(line, "\n")] = '\0';
        char *list = strchr(line, ':'), *group = list ? strchr(list + 1, ':') : NULL;
        if (group == NULL)
            continue;
        *list++ = *group++ = '\0';
        const bool version_2 = strcmp(line, "0") == 0 && *list == '\0';
        if (version_2) {
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup", root);
            look_up(mount, group, true, look, context);
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/unified", root);
            look_up(mount, group, true, look, context);
        } else if (has_controller(list, controller)) {
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/%.255s", root, list);
            look_up(mount, group, false, look, context);
            if (strcmp(list, controller) != 0) {
                snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/%s", root, controller);
                look_up(mount, group, false, look, context);
            }
        }
    }
    if (file)
        fclose(file);
}

/* ---- processors ---- */

static void look_at_quota(const char *directory, bool version_2, void *context)
{
    double *least = context;
    char text[128];
    long long quota = 0, period = 0;
    uint64_t limit, length;
    if (version_2) {
        if (!read_file(directory, "cpu.max", text, sizeof text) || sscanf(text, "%lld %lld", &quota, &period) != 2)
            return;
    } else {
        if (!read_limit(directory, "cpu.cfs_quota_us", &limit) || !read_limit(directory, "cpu.cfs_period_us", &length))
            return;
        quota = (long long)limit;
        period = (long long)length;
    }
    if (quota > 0 && period > 0 && (*least == 0 || (double)quota / (double)period < *least))
        *least = (double)quota / (double)period;
}

bool we_cgroup_processors(const char *root, double *processors)
{
    *processors = 0;
    each_group(root, "cpu", look_at_quota, processors);
    return *processors > 0;
}

/* ---- memory ---- */

/* Bytes of files that the group has not used lately. */
static uint64_t idle_files(const char *directory, const char *name)
{
    char text[8192];
    if (!read_file(directory, "memory.stat", text, sizeof text))
        return 0;
    for (char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ' ')
            return strtoull(line + strlen(name), NULL, 10);
    }
    return 0;
}

struct left {
    uint64_t bytes;
    bool limited;
};

static void look_at_memory(const char *directory, bool version_2, void *context)
{
    struct left *left = context;
    uint64_t limit, used;
    if (!read_limit(directory, version_2 ? "memory.max" : "memory.limit_in_bytes", &limit) ||
        !read_limit(directory, version_2 ? "memory.current" : "memory.usage_in_bytes", &used))
        return;
    const uint64_t files = idle_files(directory, version_2 ? "inactive_file" : "total_inactive_file");
    used -= files < used ? files : used;
    const uint64_t bytes = limit > used ? limit - used : 0;
    if (!left->limited || bytes < left->bytes)
        *left = (struct left){bytes, true};
}

bool we_cgroup_memory_left(const char *root, uint64_t *bytes)
{
    struct left left = {0};
    each_group(root, "memory", look_at_memory, &left);
    *bytes = left.bytes;
    return left.limited;
}
