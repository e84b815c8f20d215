/* What this machine can do at most: the rates of single instructions, measured by loops that do nothing else. */
#ifndef WE_BENCH_PEAKS_H
#define WE_BENCH_PEAKS_H

#include "base/pool.h"

enum { MOST_PEAKS = 16 };

struct peak {
    const char *name; /* "vdpbf16ps, 512 bits" */
    const char *isa;  /* of kernels that can use it at best; others of that set and above may too */
    const char *type; /* of the products: "f32", "int16", "int8", "bf16" */
    double gops;      /* 1e9 multiplications and additions a second, of all threads together */
};

/* Those that this processor has; returns how many. */
size_t measure_peaks(struct we_pool *pool, uint32_t threads, struct peak peaks[MOST_PEAKS]);

#endif
