/* What the machine offers: time, processors, memory. */
#ifndef WE_BASE_SYSTEM_H
#define WE_BASE_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Seconds of a clock that never goes back. */
double we_clock(void);

/* Processors that this process may use: its affinity mask and its control group's limit; at least 1. */
uint32_t we_processor_count(void);

/* How often the calling thread lost its processor to others while it had work; 0 where the system does not tell. */
uint64_t we_thread_interruptions(void);

/* Memory that can be had without swapping, in bytes, the control group's limit included; 0: unknown. */
uint64_t we_memory_available(void);

/* Largest resident size of this process so far, in bytes. */
uint64_t we_memory_peak(void);

/* The calling thread, and those that it starts from now on, give way to others: for work that must not hold up an interface. */
void we_thread_give_way(void);

/* Bytes of the largest cache that a processor reads through; 0: unknown. */
uint64_t we_cache_bytes(void);

/* Bytes that no one can guess; used for seeds. */
uint64_t we_random_u64(void);

struct we_cpu_features {
    bool avx2, fma, f16c;
    bool avx512f, avx512bw, avx512vl, avx512dq, avx512vbmi, avx512vnni, avx512bf16;
    bool amx_int8, amx_bf16;
    bool neon, dotprod, i8mm;
};

/* What the processor has and the operating system has enabled. */
void we_cpu_features(struct we_cpu_features *features);

#endif
