/* How busy the machine is: processors, memory and, where there is one that tells, the graphics processor. */
#ifndef WE_BASE_VITALS_H
#define WE_BASE_VITALS_H

#include <stdbool.h>
#include <stdint.h>

struct we_vitals {
    /* Seconds since the machine started, of all its processors together: what two readings differ by tells how busy it was
     * between them. 0, 0: the system does not tell. */
    double processors_busy, processors_total;
    double own_seconds;      /* of all processors, that this process has used */
    uint64_t own_memory;     /* bytes that it holds in memory now */
    uint64_t memory_total;   /* bytes; 0: not known */
    uint64_t memory_available;
    bool has_gpu;
    char gpu_name[64];       /* "" where it has none */
    double gpu_busy;         /* 0 to 1, over the last fraction of a second */
    uint64_t gpu_memory_used, gpu_memory_total;
};

struct we_vitals_reader; /* opaque; one thread at a time */

/* Looks for a graphics processor: NVIDIA's library is loaded if it is installed. NULL: out of memory. */
struct we_vitals_reader *we_vitals_open(void);
void we_vitals_close(struct we_vitals_reader *reader);
/* Reads small files of the system: some tens of microseconds, and more where the driver of a graphics processor is slow. */
void we_vitals_read(struct we_vitals_reader *reader, struct we_vitals *vitals);

#endif
