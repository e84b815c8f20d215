/* A decoder as the executor walks it: checked, with every matrix prepared, and the sizes of all buffers. */
#ifndef WE_BACKEND_CPU_PLAN_H
#define WE_BACKEND_CPU_PLAN_H

#include "backend/backend.h"
#include "backend/cpu/cpu.h"

/* Gated delta and Mamba 2 are one recurrence (see struct we_cpu_recur) with other names around it. */
struct we_cpu_recurrence {
    uint32_t heads, key_heads, keys, values; /* a head's state is (keys, values) */
    uint32_t conv_width, conv_length;
    bool corrects;                                  /* gated delta */
    uint32_t conv_at, gate_at, rates_at, decays_at; /* where values begin in a row of what the projections gave, */
    uint32_t queries_at, keys_at, values_at;        /* and in a row of what the convolution gave */
    size_t slot_at;                                 /* floats of a slot before the block's: its state, in blocks of columns
                                                       (heads, blocks, keys, WE_CPU_STATE_COLUMNS), then the last inputs of
                                                       the convolution (conv_length - 1, conv_width) */
    float *constants;                               /* (num_constants), which hold: */
    size_t num_constants;
    float *taps, *conv_bias;         /* (conv_length, conv_width), (conv_width) or NULL */
    float *decay, *dt_bias, *skip;   /* (heads): -e^a_log, ... */
    float *unit_queries, *unit_keys; /* (keys): what brings normed ones to their length */
};

struct we_cpu_block {
    const struct we_block *block;
    struct we_cpu_matrix q, k, v, o;     /* of attention; of gated delta also; k, v: of latent attention, rope key and latent */
    struct we_cpu_matrix head_gate;      /* of attention: absent, or its output gate */
    struct we_cpu_matrix z, b, a;        /* of gated delta */
    struct we_cpu_matrix in, out;        /* of a short convolution, of Mamba 2; out: of gated delta, too */
    struct we_cpu_recurrence recurrence; /* of gated delta and Mamba 2 */
    const struct we_attention *attention;           /* what attention.c computes; NULL: nothing */
    struct we_cpu_matrix q_a, embed_q, unembed_out; /* of latent attention; q_a may be absent */
    struct we_attention absorbed;                   /* latent attention as attention of one KV head */
    struct we_cpu_matrix gate, up, down; /* of a feed-forward, or of experts; gate may be absent */
    struct we_cpu_matrix router, shared_gate;                      /* of a mixture of experts: in exact forms; */
    struct we_cpu_matrix shared_gate_proj, shared_up, shared_down; /* of its shared ones, if any */
    struct we_cpu_matrix latent_in, latent_out;                    /* around the others, if they are there */
    bool expert_forms[2][WE_CPU_FORM_COUNT];                       /* in which experts want rows of the stream, */
    bool expert_inner_forms[2][WE_CPU_FORM_COUNT];                 /* and what their down_proj reads */
    struct we_feed_forward input_gate;   /* of the input of a layer: its activation; its matrices are up and down */
    uint32_t rope;                       /* which table of angles */
    uint32_t group;                      /* of the KV layout */
    size_t k_offset, v_offset;           /* values before its K and V in a page of the group */
};

/* One step of residuals; consecutive blocks of the plan. */
struct we_cpu_step {
    uint32_t first_block, num_blocks;
    float residual_multiplier, stream_multiplier;
    const struct we_norm *post_norm; /* of the sum */
    bool direct; /* one block without a norm after it: it adds to the stream itself */
};

/* Rows of float32, each followed by zeros up to the stride. */
struct we_cpu_shape {
    uint32_t width;
    size_t stride;
};

struct we_cpu_plan {
    const struct we_cpu_kernels *kernels;
    struct we_cpu_block *blocks;
    struct we_cpu_step *steps;
    const struct we_rope **ropes; /* the distinct ones */
    uint32_t num_blocks, num_steps, num_ropes;
    struct we_cpu_matrix embed, head;
    struct we_cpu_matrix layer_embed, layer_proj; /* of the inputs of layers, if there are any */
    struct we_cpu_matrix **weights; /* (num_weights): those that products read, in the order in which they do */
    uint32_t num_weights;
    struct we_cpu_matrix *loras; /* (num_loras): what adapters have as A */
    uint32_t num_loras;
    uint32_t prune_block;                       /* the last attention: rows without output go no further; UINT32_MAX: none */
    bool hidden_forms[2][WE_CPU_FORM_COUNT];    /* by phase: in which the stream is wanted; */
    bool inner_forms[2][WE_CPU_FORM_COUNT];     /* and what o_proj and down_proj read */
    bool has_sums;                              /* some step is not direct */
    bool expert_forms[2][WE_CPU_FORM_COUNT], expert_inner_forms[2][WE_CPU_FORM_COUNT]; /* of all blocks together */
    uint32_t most_experts, most_top_k;                                                 /* 0: there is no mixture of experts */
    struct we_cpu_shape expert_inner, expert_stream;                                   /* stream: what experts read and give */
    struct we_cpu_shape latent;                 /* the same where it is not the stream itself */
    struct we_cpu_shape hidden, q, k, v, inner, up; /* widest of each; inner: what o_proj reads; up: what down_proj reads */
    struct we_cpu_shape gate; /* of attention's outputs */
    size_t slot_floats;       /* of the state of one sequence; 0: there is none */
    struct we_cpu_shape layer_inputs;           /* of all layers */
    struct we_cpu_shape latent_q, normed;       /* queries of latent attention; what is normed on its way into products */
    uint32_t inner_in;                          /* widest that is packed in inner_forms */
    uint32_t max_head_dim, max_v_head_dim, max_pairs, max_latent_dim, max_head_in;
    bool head_forms[2][WE_CPU_FORM_COUNT]; /* in which embed_q and unembed_out want rows, of max_head_in values at most */
};

/* Checks everything; allocates the arrays, which we_cpu_plan_free releases. */
we_status we_cpu_plan_make(const struct we_load_options *options, const struct we_cpu_kernels *kernels,
                           struct we_cpu_plan *plan, struct we_error *error);
void we_cpu_plan_free(struct we_cpu_plan *plan);

#endif
