#ifndef WE_BASE_BANDWIDTH_H
#define WE_BASE_BANDWIDTH_H

#include "base/error.h"

/* Bytes a second that `threads` threads read together from memory: the best of several passes over a buffer that no
 * cache holds. Takes about a third of a second and 256 MiB (less where memory is short). */
we_status we_measure_read_bandwidth(uint32_t threads, double *bytes_per_second, struct we_error *error);

#endif
