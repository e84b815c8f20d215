/* The executor of the CPU back-end, and the parts of its walk over the layers. All workers of the pool walk together:
 * every function here that takes a worker is called by all of them, with a barrier between phases. */
#ifndef WE_BACKEND_CPU_EXECUTOR_H
#define WE_BACKEND_CPU_EXECUTOR_H

#include "backend/cpu/plan.h"
#include "backend/cpu/residence.h"
#include "backend/cpu/team.h"
#include "base/pool.h"

#include <stdalign.h>
#include <stdatomic.h>

enum {
    WE_CPU_PIECE_VALUES = WE_CPU_PIECE_ROWS * WE_CPU_PIECE_TOKENS, /* most results of one piece of a product */
    WE_CPU_PRIVATE_ROWS = 4,                                       /* up to so many rows every worker packs for itself */
    WE_CPU_PIECE_QUERIES = 48, /* queries of attention in a piece that is not tiles; a multiple of both numbers of rows */
    WE_CPU_HEAD_TOKENS = 256,  /* most rows of a product with the matrix of one head */
    WE_CPU_TILES = 4,          /* tiles of queries that share a pass over keys and values */
    WE_CPU_SPLIT_QUERIES = 4,  /* rows whose attention can be split into all chunks of the longest context */
    WE_CPU_CURSORS = 4,
    WE_CPU_MOST_SETS = 2
};

/* Rows of a batch that are computed alike: consecutive ones of one phase. In exact mode there is one set. */
struct we_cpu_set {
    enum we_phase phase;
    uint32_t first, count;
};
struct we_cpu_rows {
    struct we_cpu_set sets[WE_CPU_MOST_SETS];
    uint32_t num_sets, count;
};

/* Rows packed in some forms. Those of a set begin at a block of their own: see we_cpu_place. */
struct we_cpu_packed {
    uint8_t *x[WE_CPU_FORM_COUNT];
};

/* Where a span stands in the batch. Its last `num_logit_rows` rows give output; they are the only ones that go on once
 * the walk has pruned the others, and stand from `kept_first` on then. */
struct we_cpu_span {
    const we_page *const *page_tables;
    uint32_t first_row, num_rows, position;
    uint32_t kept_first, num_logit_rows;
    enum we_rope_mode rope_mode;
    enum we_phase phase;
    we_slot state_in, state_out, save_slot;
    uint32_t save_rows;
};

/* A worker's own memory. */
struct we_cpu_scratch {
    void *panel;                    /* WE_CPU_PANEL_BYTES */
    float *piece[2];                /* (WE_CPU_PIECE_VALUES) */
    float *normed;                  /* (WE_CPU_MOST_BLOCK_ROWS, normed.stride) */
    struct we_cpu_packed x, kept_x; /* up to WE_CPU_PRIVATE_ROWS rows, of any width */
    float *scores;                  /* (WE_CPU_ATTEND_ROWS, WE_CPU_CHUNK) */
    float *chunk_out;               /* (WE_CPU_ATTEND_ROWS, max_v_head_dim) */
    float *state_out, *turned;      /* (WE_CPU_PIECE_QUERIES, max_v_head_dim), (WE_CPU_PIECE_QUERIES, max_head_dim) */
    uint8_t *latents;               /* the values of a chunk of latent attention, of max_latent_dim numbers */
    uint8_t *head_x[WE_CPU_FORM_COUNT]; /* (WE_CPU_HEAD_TOKENS, max_head_in), packed in head_forms */
    float *layer_row;                   /* (layer_inputs.stride) */
    float *router, *rank;           /* (8, most_experts) and (most_experts) */
    uint8_t *router_x;              /* 8 rows of the stream, packed in exact forms */
    uint8_t *tiles;                 /* (WE_CPU_TILES, tile_state_bytes) */
    uint8_t *tile_work;
    float *lora; /* (WE_CPU_PIECE_TOKENS, WE_CPU_LORA_RANK), with an adapter */
    uint64_t interruptions; /* of its thread, up to the end of the last batch */
};

struct we_cpu_product;

/* The rows of a set that an expert gets, and where they stand: in slots, (rows, top_k) sorted by set and expert, and in
 * packed buffers, where each group begins at a multiple of WE_CPU_MOST_BLOCK_ROWS. */
struct we_cpu_expert_group {
    enum we_phase phase;
    uint32_t expert, slot, count, place;
};

/* Of the mixture of experts that is being computed. The first worker groups, all others read. */
struct we_cpu_moe {
    uint32_t *chosen, *slots;           /* (max_rows, top_k): the experts of a row, and the slots of its choices */
    uint32_t *slot_rows;                /* (max_rows * top_k) */
    float *weights, *shared_weights;    /* (max_rows, top_k); (max_rows) */
    uint32_t *counts;                   /* (most_experts): scratch of grouping */
    struct we_cpu_expert_group *groups; /* (2 * most_experts) */
    struct we_cpu_product *ups, *downs; /* (2 * most_experts + 2) */
    uint32_t num_groups, num_products;
    struct we_cpu_packed x, inner_x; /* of the slots */
    float *inner, *out;              /* (max_rows * top_k, stride) */
    float *latent;                   /* (max_rows, stride): what experts read, then the sums of what they give */
};

struct we_executor {
    struct we_load_options options;
    const struct we_cpu_kernels *kernels;
    struct we_cpu_plan plan;
    struct we_cpu_residence residence;
    double batch_seconds; /* that the last batch took */
    struct we_pool *pool;
    struct we_cpu_team team; /* how many of them take part in a batch */
    uint32_t threads;
    void *allocations; /* everything below, as a list */
    uint8_t **pages;   /* (num_groups): (num_pages[g], page_values) of kv_dtype */
    enum we_dtype kv_dtype;
    size_t kv_size;          /* bytes of a number in a page */
    bool tiles;              /* whether prefill attends by tiles of queries */
    size_t tile_state_bytes; /* of the widest heads; a multiple of 64 */

    /* (max_rows, stride) each; `kept` ones (max_logit_rows, stride) */
    float *stream, *kept_stream;             /* hidden: the residual stream */
    struct we_cpu_packed x, kept_x, inner_x; /* the stream after a norm; what o_proj and down_proj read */
    float *q, *k, *v, *inner, *gate, *latent_q;
    float *up; /* in the memory of q, k and v, which no feed-forward layer needs */
    float *slots;    /* (num_slots, slot_floats) */
    float *layer_inputs; /* (max_rows, layer_inputs.stride) */
    float *partials; /* (num_partials): results of single chunks of attention */
    uint64_t num_partials;
    float *block_out, *step_sum;    /* hidden: of steps that are not direct */
    float *angles;                  /* (num_ropes, max_rows, 2, max_pairs): cosines, sines */
    float *logits;                  /* (max_logit_rows, vocab_size) */
    struct we_cpu_scratch *scratch; /* (threads) */
    struct we_cpu_moe moe;

    /* the batch */
    struct we_cpu_span *spans;          /* (max_spans) */
    uint32_t *tokens;                   /* (max_rows) */
    uint32_t *row_span;                 /* (max_rows) */
    uint32_t *kept;                     /* (max_logit_rows): the rows for output */
    struct we_cpu_rows rows, kept_rows; /* all; those for output, counted among themselves */
    uint32_t num_spans;
    bool pending;
    uint64_t ticket;
    struct we_cpu_cursor {
        alignas(64) atomic_uint value;
    } cursors[WE_CPU_CURSORS];
    struct we_cpu_cursor *shares; /* (WE_CPU_CURSORS, threads): of products, how many pieces of a worker's share are taken */
};

/* The chunk whose values a worker's `latents` hold: those of pages [first_page, last_page]. */
struct we_cpu_held {
    const struct we_cpu_span *span; /* NULL: none */
    uint32_t first_page, last_page;
};

/* What one worker knows while it walks; all fields but `index` and `scratch` are the same in all. */
struct we_cpu_worker {
    struct we_executor *executor;
    const struct we_cpu_kernels *kernels;
    struct we_cpu_scratch *scratch;
    uint32_t index, phase;
    float *stream;                  /* rows that are still computed */
    const struct we_cpu_rows *rows; /* they */
    bool pruned;
    const struct we_cpu_block *next; /* after this one; NULL: the head */
    struct we_cpu_held held;
};

/* The rows of a span that are still computed: where they stand, and how many. */
static inline uint32_t we_cpu_query_rows(const struct we_cpu_worker *w, const struct we_cpu_span *s, uint32_t *first)
{
    *first = w->pruned ? s->kept_first : s->first_row;
    return w->pruned ? s->num_logit_rows : s->num_rows;
}

/* The workers that take part in the batch. */
static inline uint32_t we_cpu_workers(const struct we_cpu_worker *w)
{
    return w->executor->team.active;
}

/* The next piece of the phase, counted from 0. */
static inline uint32_t we_cpu_take(struct we_cpu_worker *w)
{
    return atomic_fetch_add_explicit(&w->executor->cursors[w->phase % WE_CPU_CURSORS].value, 1, memory_order_relaxed);
}
/* Ends the phase: waits for all workers. */
void we_cpu_end_phase(struct we_cpu_worker *w);
/* The same in two steps, between which a worker may prepare what comes next: the first returns a ticket for the second. */
uint32_t we_cpu_arrive(struct we_cpu_worker *w);
void we_cpu_leave(struct we_cpu_worker *w, uint32_t ticket);

/* walk.c: the task of a batch. */
void we_cpu_walk(void *executor, uint32_t worker);

/* Where the first row of a set stands in the buffer of a form. */
static inline uint32_t we_cpu_place(const struct we_cpu_set *set, uint32_t block_rows)
{
    return (set->first + block_rows - 1) / block_rows * block_rows;
}

/* packing.c: packs rows for products, each normed before (unless the norm is absent). Afterwards all workers may read them;
 * the rows lie in the worker's scratch, if they are few, or in `shared`. */
struct we_cpu_packing {
    const struct we_cpu_rows *rows;
    const uint32_t *which; /* row i is row which[i] of `from`; NULL: i */
    const float *from;     /* (rows, stride) */
    size_t stride;
    uint32_t width;
    const struct we_norm *norm;
    const bool (*forms)[WE_CPU_FORM_COUNT]; /* wanted, by phase */
    const struct we_cpu_packed *shared, *private; /* no private one: always the shared one */
    float *copy;                        /* if not NULL: (rows, stride), gets a copy of the rows as they were */
    const struct we_cpu_packed *packed; /* out: where they are */
};
enum { WE_CPU_MOST_PACKINGS = 2 };
void we_cpu_pack(struct we_cpu_worker *w, struct we_cpu_packing *packings, uint32_t count);

/* products.c: several products of one phase. */
enum we_cpu_epilogue {
    WE_CPU_STORE = 0, /* out = y */
    WE_CPU_ADD,       /* out += multiplier * y */
    WE_CPU_ACTIVATE   /* out = activation(y) * (second . second_x); no second: 1 */
};
struct we_cpu_product {
    const struct we_cpu_matrix *matrix, *second;
    uint32_t first, second_first; /* rows of the matrices before the product's: those of other experts */
    enum we_cpu_form form, second_form;
    const uint8_t *x, *second_x;
    const uint8_t *lora_x, *second_lora_x; /* the same for the A of an adapter; NULL: there is none */
    enum we_phase phase;                   /* for that */
    uint32_t num_rows; /* of x */
    enum we_cpu_epilogue epilogue;
    float multiplier;
    const struct we_feed_forward *feed_forward; /* whose activation it is */
    float *out;
    size_t out_stride;
};
enum { WE_CPU_MOST_PRODUCTS = 6 * WE_CPU_MOST_SETS }; /* but for a mixture of experts */
void we_cpu_products(struct we_cpu_worker *w, const struct we_cpu_product *products, uint32_t count);
/* Ends a phase after which we_cpu_products is called with these (x and out need not be known yet): while it waits, the
 * worker brings the weights that it begins with into its cache. */
void we_cpu_end_phase_before(struct we_cpu_worker *w, const struct we_cpu_product *products, uint32_t count);

/* lora.c: what the A of a matrix's adapter reads: the rows of a set, or those from `place` on; NULL: there is no adapter. */
const uint8_t *we_cpu_lora_x(const struct we_cpu_worker *w, const struct we_cpu_matrix *matrix,
                             const struct we_cpu_packed *packed, enum we_phase phase, const struct we_cpu_set *set,
                             uint32_t place, uint32_t width);
/* Adds to a piece of a product, its bias included, what the adapter has to add. */
void we_cpu_lora_add(struct we_cpu_worker *w, const struct we_cpu_matrix *matrix, enum we_phase phase, const uint8_t *x,
                     uint32_t first, uint32_t rows, uint32_t token, uint32_t tokens, float *out, size_t out_stride);

/* The row of a token in an embedding, with what the adapter has to add. */
void we_cpu_lora_embed(const struct we_linear *embedding, uint32_t token, float *x);

/* moe.c: from the stream to block_out, its norm before included; ends its last phase. */
void we_cpu_moe(struct we_cpu_worker *w, const struct we_cpu_block *b);

/* short_conv.c: from q (rows, 3 * hidden_size) to `inner`; the last phase is not ended. */
void we_cpu_short_conv(struct we_cpu_worker *w, const struct we_cpu_block *b);

/* recurrence.c: the constants of a block, in memory that it has; and from q (rows, what the projections gave) to `inner`: the
 * last phase is not ended. */
void we_cpu_recurrence_prepare(struct we_cpu_block *b);
void we_cpu_recurrence(struct we_cpu_worker *w, const struct we_cpu_block *b);

/* latent.c: keys are normed, and q, queries of (nope, rope) for each head, becomes latent_q, of (rope, latent); then from
 * `inner`, a latent for each head, to q, values for each head. The last phase is not ended. */
void we_cpu_latent_queries(struct we_cpu_worker *w, const struct we_cpu_block *b);
void we_cpu_latent_outputs(struct we_cpu_worker *w, const struct we_cpu_block *b);
/* The values of pages [first_page, last_page] of a span from their keys, which lie in k: at the same places of v. */
void we_cpu_latent_values(struct we_cpu_worker *w, const struct we_cpu_block *b, const struct we_cpu_span *span,
                          uint32_t first_page, uint32_t last_page, uint32_t chunk_pages, const void *const *k, const void **v);

/* attention.c: from q (rows still computed), k and v (all rows) to `inner`: one phase or several, the last one not ended. */
void we_cpu_attention(struct we_cpu_worker *w, const struct we_cpu_block *b, const float *q);
/* Floats of a query's result over one chunk: the values, its greatest score, its sum. */
static inline size_t we_cpu_partial_floats(const struct we_attention *a)
{
    return ((size_t)a->v_head_dim + 2 + 15) / 16 * 16;
}

#endif
