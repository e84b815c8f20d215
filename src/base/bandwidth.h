/* How fast this machine reads memory: what the rate of decoding is measured against. */
#ifndef WE_BASE_BANDWIDTH_H
#define WE_BASE_BANDWIDTH_H

#include "base/error.h"

/* Reads a buffer larger than the caches several times with `threads` threads, each its own part from end to end, and
 * gives the rate of the best pass. Takes some tenths of a second, and 256 MiB while it runs. */
we_status we_measure_read_bandwidth(uint32_t threads, double *bytes_per_second, struct we_error *error);

#endif
