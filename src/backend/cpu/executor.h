/* The executor of the CPU back-end, and the parts of its walk over the layers. All workers of the pool walk together:
 * every function here that takes a worker is called by all of them, with a barrier between phases. */
#ifndef WE_BACKEND_CPU_EXECUTOR_H
#define WE_BACKEND_CPU_EXECUTOR_H

#include "backend/cpu/plan.h"
#include "base/pool.h"

#include <stdalign.h>
#include <stdatomic.h>

enum {
    WE_CPU_TOKEN_BLOCK = 256,  /* tokens that one unpacked panel serves */
    WE_CPU_PIECE_VALUES = WE_CPU_TOKEN_BLOCK * WE_CPU_PANEL_ROWS, /* most results of one piece of a product */
    WE_CPU_PRIVATE_ROWS = 4,   /* up to so many rows every worker computes the norms for itself */
    WE_CPU_CURSORS = 4
};

/* Where a span stands in the batch. Its last `num_logit_rows` rows give output; they are the only ones that go on once
 * the walk has pruned the others, and stand from `kept_first` on then. */
struct we_cpu_span {
    const we_page *const *page_tables;
    uint32_t first_row, num_rows, position;
    uint32_t kept_first, num_logit_rows;
    enum we_rope_mode rope_mode;
};

/* A worker's own memory. */
struct we_cpu_scratch {
    float *panel;                        /* (WE_CPU_PANEL_ROWS + 1, WE_CPU_PANEL_STRIDE) */
    float *piece[2];                     /* (WE_CPU_PIECE_VALUES) */
    float *x[WE_CPU_ORDER_COUNT];        /* (WE_CPU_PRIVATE_ROWS, hidden.stride): normed rows */
    float *kept_x[WE_CPU_ORDER_COUNT];   /* the same of the rows for output */
    float *scores;                       /* (WE_CPU_ATTEND_ROWS, WE_CPU_CHUNK) */
    float *chunk_out, *state_out;        /* (WE_CPU_ATTEND_ROWS, max_v_head_dim) */
};

struct we_executor {
    struct we_load_options options;
    const struct we_cpu_kernels *kernels;
    struct we_cpu_plan plan;
    struct we_pool *pool;
    uint32_t threads;
    void *allocations;                   /* everything below, as a list */
    float **pages;                       /* (num_groups): (num_pages[g], page_values) */

    /* (max_rows, stride) each; `kept` ones (max_logit_rows, stride) */
    float *stream, *kept_stream;         /* hidden: the residual stream */
    float *x[WE_CPU_ORDER_COUNT], *kept_x[WE_CPU_ORDER_COUNT]; /* hidden: after a norm */
    float *q, *k, *v;
    float *inner;                        /* in the order of o_proj or down_proj */
    float *block_out, *step_sum;         /* hidden: of steps that are not direct */
    float *angles;                       /* (num_ropes, max_rows, 2, max_pairs): cosines, sines */
    float *logits;                       /* (max_logit_rows, vocab_size) */
    struct we_cpu_scratch *scratch;      /* (threads) */

    /* the batch */
    struct we_cpu_span *spans;           /* (max_spans) */
    uint32_t *tokens;                    /* (max_rows) */
    uint32_t *row_span;                  /* (max_rows) */
    uint32_t *kept;                      /* (max_rows): its place among the rows for output, or UINT32_MAX */
    uint32_t num_rows, num_spans, num_kept;
    bool pending;
    uint64_t ticket;
    struct { alignas(64) atomic_uint value; } cursors[WE_CPU_CURSORS];
};

/* What one worker knows while it walks; all fields but `index` and `scratch` are the same in all. */
struct we_cpu_worker {
    struct we_executor *executor;
    const struct we_cpu_kernels *kernels;
    struct we_cpu_scratch *scratch;
    uint32_t index, phase;
    float *stream;                       /* rows that are still computed */
    uint32_t num_rows;
    bool pruned;
};

/* The rows of a span that are still computed: where they stand, and how many. */
static inline uint32_t we_cpu_query_rows(const struct we_cpu_worker *w, const struct we_cpu_span *s, uint32_t *first)
{
    *first = w->pruned ? s->kept_first : s->first_row;
    return w->pruned ? s->num_logit_rows : s->num_rows;
}

/* The next piece of the phase, counted from 0. */
static inline uint32_t we_cpu_take(struct we_cpu_worker *w)
{
    return atomic_fetch_add_explicit(&w->executor->cursors[w->phase % WE_CPU_CURSORS].value, 1, memory_order_relaxed);
}
/* Ends the phase: waits for all workers. */
void we_cpu_end_phase(struct we_cpu_worker *w);

/* walk.c: the task of a batch. */
void we_cpu_walk(void *executor, uint32_t worker);

/* The columns [first, first + count) of a row, put where the order has them. */
void we_cpu_arrange(const struct we_cpu_kernels *kernels, enum we_cpu_order order, const float *values, uint32_t first,
                    uint32_t count, float *row);

/* products.c: several products of one phase. */
enum we_cpu_epilogue {
    WE_CPU_STORE = 0,  /* out = y */
    WE_CPU_ADD,        /* out += multiplier * y */
    WE_CPU_ACTIVATE    /* out = activation(y) * (second . second_x), in `order` */
};
struct we_cpu_product {
    const struct we_cpu_matrix *matrix, *second;
    const float *x, *second_x;           /* each in the order of its matrix */
    size_t x_stride;
    uint32_t num_rows;                   /* of x */
    enum we_cpu_epilogue epilogue;
    float multiplier;
    enum we_activation activation;
    enum we_cpu_order order;
    float *out;
    size_t out_stride;
};
void we_cpu_products(struct we_cpu_worker *w, const struct we_cpu_product *products, uint32_t count);

/* attention.c: from q (rows still computed), k and v (all rows) to `inner`: one or two phases, the last one not ended. */
void we_cpu_attention(struct we_cpu_worker *w, const struct we_cpu_block *b, float *q);

#endif
