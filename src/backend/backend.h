/* What every back-end is: a table of functions over an executor. An executor holds one loaded decoder, its KV pages and
 * its scratch memory, and runs batches. It owns the walk over the layers, so it may fuse and overlap as it likes.
 *
 * One thread at a time drives an executor. Results do not depend on the company in a batch, the lane, the numbers of
 * the pages, the number of threads, or where a prompt is cut at multiples of WE_PAGE_POSITIONS: a span's phase alone
 * chooses the arithmetic. A batch that fails spoils only the positions it was to write. */
#ifndef WE_BACKEND_BACKEND_H
#define WE_BACKEND_BACKEND_H

#include "arch/decoder.h"
#include "base/error.h"
#include "kv/layout.h"

struct we_executor; /* opaque; of one back-end */

struct we_load_options {
    const struct we_decoder *decoder;  /* must outlive the executor */
    const struct we_kv_layout *layout; /* likewise */
    const uint32_t *num_pages;         /* (layout->num_groups) */
    uint32_t num_slots;                /* for the state of sequences, if the layout has slots */
    uint32_t max_rows;                 /* most tokens in a batch */
    uint32_t max_spans;                /* most sequences in a batch */
    uint32_t max_logit_rows;           /* most rows whose logits one batch may ask for */
    uint32_t threads;                  /* 0: the processors that this process may use */
    const char *isa;                   /* NULL: the best one */
    enum we_precision precision;       /* EXACT or FAST */
    bool weights_mapped;               /* they lie in mapped files: a back-end that has copied some may release their pages */
    bool no_repack;                    /* no weights are copied */
};

struct we_device_info {
    char name[96];             /* "cpu (avx512, 2 threads)" */
    uint64_t memory_available; /* bytes; 0: unknown */
};

enum we_phase { WE_PHASE_PREFILL = 0, WE_PHASE_DECODE };

/* Part of one sequence in a batch: rows [first_row, first_row + num_rows) of the tokens are its positions
 * [position, position + num_rows). Positions below `position` must be in its pages; what lies there beyond is void,
 * so lowering it rolls back. Where the layout has slots, state_in holds the state after exactly `position` positions (at 0 it
 * is not read), and state_out, which may be the same, gets that after the span. */
struct we_span {
    uint32_t first_row, num_rows;
    uint32_t position;
    const we_page *const *page_tables; /* (num_groups): each with a page for every position the rows write or see */
    enum we_phase phase;
    enum we_rope_mode rope_mode;
    uint32_t num_logit_rows; /* logits are computed for the last so many rows */
    we_slot state_in, state_out;
    uint32_t save_rows; /* the state after so many rows goes to save_slot, which is neither of the others; 0: it does not */
    we_slot save_slot;
};

struct we_batch {
    const uint32_t *tokens; /* (num_rows) ids below vocab_size */
    uint32_t num_rows;
    const struct we_span *spans; /* (num_spans), in the order of their rows; those of one phase follow each other */
    uint32_t num_spans;
};

/* Rows of logits in the order of spans and rows; valid until the next submit. */
struct we_batch_result {
    const float *logits; /* (num_logit_rows, vocab_size) */
    uint32_t num_logit_rows;
    uint64_t ticket;
    we_status status; /* and error, if the batch failed on the device */
    struct we_error error;
};

struct we_backend {
    const char *name; /* "cpu" */

    /* Whether there is a device; *info is filled if so. */
    bool (*probe)(const struct we_load_options *options, struct we_device_info *info);

    /* Allocates nothing: names a block or format that is missing (WE_UNSUPPORTED), or an instruction set that the
     * processor lacks, and bounds the bytes that load will allocate, KV pages included, the mapped weights not. */
    we_status (*estimate)(const struct we_load_options *options, uint64_t *bytes, struct we_error *error);
    we_status (*load)(const struct we_load_options *options, struct we_executor **executor, struct we_error *error);

    /* Enqueues; copies the batch. One batch may be under way: poll it before the next. */
    we_status (*submit)(struct we_executor *executor, const struct we_batch *batch, uint64_t *ticket, struct we_error *error);
    /* Waits for the batch. False if none is under way. */
    bool (*poll)(struct we_executor *executor, struct we_batch_result *result);

    /* Copies a page of a group onto another one. */
    we_status (*copy_page)(struct we_executor *executor, uint32_t group, we_page from, we_page to, struct we_error *error);

    void (*unload)(struct we_executor *executor);
};

/* The back-ends, best first; ended by NULL. */
extern const struct we_backend *const we_backends[];

/* By name, or (NULL) the first that probes. WE_NOT_FOUND lists the names that there are. */
we_status we_backend_select(const char *name, const struct we_load_options *options, const struct we_backend **backend,
                            struct we_device_info *info, struct we_error *error);

extern const struct we_backend we_backend_cpu;

#endif
