/* Small random networks, and what they compute, in float64, one position after the other. */
#ifndef TESTS_BACKEND_NETWORK_H
#define TESTS_BACKEND_NETWORK_H

#include "weights.h"

#include "base/arena.h"

struct test_network_shape {
    struct test_format format;      /* of all matrices but the embedding */
    struct test_format embed;       /* also of the head, if tied */
    uint32_t layers, hidden, heads, kv_heads, head_dim, v_head_dim, inner, vocab;
    uint32_t rotary_dim, window;    /* window: of every second layer; 0: none */
    bool fused, tied, bias, interleaved, head_norms;
    bool parallel;                  /* attention and feed-forward read the same stream */
    bool post_norms, layer_norms;
    bool whole_norms;               /* of all queries together, and of all keys */
    bool own_head_norms;            /* with head_norms: every head has weights of its own */
    bool norm_after_rope, sinks;
    enum we_activation activation;
    bool ungated;
    uint32_t latent, nope, low_rank; /* latent: of the attention of layers 0, 2, ...; 0: none. low_rank: of its queries; 0: none */
    uint32_t conv; /* positions of a convolution, in place of the attention of layers 0, 2, ...; 0: none */
    /* Recurrences: gated delta in place of the attention of layers 0, 2, ..., Mamba 2 in place of that of layers 1, 3, ...,
     * with `conv` positions each; a state is (state_keys, state_values). */
    uint32_t delta_heads, mamba_heads, key_heads, state_keys, state_values;
    bool head_gates;                                    /* of attention's outputs */
    uint32_t experts, top_k, expert_groups, top_groups; /* experts: of every second layer; 0: none */
    uint32_t expert_latent; /* what experts read in place of the stream; 0: the stream */
    enum we_router_score score;
    bool best_of_group;
    bool shared_expert, shared_gate;        /* beside them */
    uint32_t own_layers; /* from this layer on, attention sees the keys and values of a layer before it; 0: of its own */
    bool raw_values;     /* values are keys as they are before their norm */
    bool value_norms, router_norm;
    bool beside;                            /* experts beside a feed-forward, in one step with a norm of its own */
    uint32_t layer_inputs;                  /* width of what every layer gets of each token, in a step of its own; 0: nothing */
    float stream_multiplier;                /* of each layer's last step; 0: none */
    float softcap, final_softcap, q_growth; /* 0: none */
    float embedding_multiplier, residual_multiplier, logit_multiplier; /* 0: 1 */
};

struct test_network {
    struct test_network_shape shape;
    struct we_arena arena;
    struct we_decoder decoder;
    struct test_weights *tensors;   /* in no order: found by their data */
    uint32_t num_tensors;
    void *blocks[4];
    uint64_t seed;
};

void test_network_make(struct test_network *n, const struct test_network_shape *shape, uint64_t seed);
void test_network_free(struct test_network *n);

/* logits (num_tokens, vocab_size) */
void test_network_logits(const struct test_network *n, const uint32_t *tokens, uint32_t num_tokens, enum we_rope_mode mode,
                         double *logits);

/* What a feed-forward makes of one value of each. */
double test_activated(const struct we_feed_forward *f, double gate, double up);

#endif
