/* How fast this machine reads memory: what the rate of decoding is measured against. */
#ifndef WE_BASE_BANDWIDTH_H
#define WE_BASE_BANDWIDTH_H

#include "base/error.h"

/* Reads a buffer with `threads` threads, each its own part from end to end, by the widest loads and in one or in four
 * streams, and gives the best rate over 256 MiB. Takes a second or two, and while it runs four times the largest cache:
 * 256 MiB to 2 GiB, but no more than a quarter of the memory that is available, or than can be filled in 1.5 seconds. */
we_status we_measure_read_bandwidth(uint32_t threads, double *bytes_per_second, struct we_error *error);

#endif
