/* What the control groups of this process allow it: the tightest limit of its group and those above, in version 1 and 2. */
#ifndef WE_BASE_CGROUP_H
#define WE_BASE_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/* root: where /proc and /sys are; "" but in tests. False where nothing is limited. */
bool we_cgroup_processors(const char *root, double *processors);
/* Bytes that may be allocated yet; what groups hold of files without need counts as free. */
bool we_cgroup_memory_left(const char *root, uint64_t *bytes);

#endif
