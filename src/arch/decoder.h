/* A whole network as data. A family of models fills this structure (src/arch/<model_type>.c); a back-end executes it.
 * Absence is data == NULL or WE_NORM_NONE. Multipliers that do nothing are 1. What a family varies from layer to
 * layer lives in that layer's blocks. All of it lives in the model's arena; weights are views of mapped files. */
#ifndef WE_ARCH_DECODER_H
#define WE_ARCH_DECODER_H

#include "tensor/dtype.h"
#include "tensor/quant.h"

struct we_vector {
    const void *data;    /* (length), any alignment; NULL: absent */
    enum we_dtype dtype;
    uint32_t length;
};

struct we_lora;

/* y = W x + bias. Row i of the view is row first + i / block * stride + i % block of the tensor, so that a fused
 * projection (phi3's qkv_proj) is described as what it is: views with equal `data`. */
struct we_linear {
    const void *data;            /* (tensor rows, in): packed when quantised; any alignment */
    const void *scales, *biases; /* (tensor rows, in / group_size), when quantised */
    enum we_dtype dtype;         /* of data; if quantised, of scales and biases */
    enum we_quant_mode mode;     /* WE_QUANT_NONE: plain floats */
    uint32_t bits, group_size;
    uint32_t rows, in;           /* of the view */
    uint32_t first, block, stride; /* block 0: rows are contiguous from `first` */
    uint32_t count, next;          /* experts: so many views alike, each `next` tensor rows after the one before; 0: one */
    struct we_vector bias;       /* (tensor rows), viewed alike */
    const struct we_lora *lora;  /* an adapter's part, or NULL */
    const char *name;            /* module path, for errors */
};

/* Of an adapter: y = W x + B (A x) + bias; with row_scales: y = row_scales * (W x + B (A x)) + bias. */
struct we_lora {
    uint32_t rank;
    struct we_linear a;      /* (rank, in) of float32; `count` of them for experts */
    const float *b;          /* (tensor rows, rank), the adapter's scale included */
    const float *row_scales; /* (tensor rows), of DoRA; or NULL */
};

static inline size_t we_linear_tensor_row(const struct we_linear *linear, uint32_t i)
{
    return linear->block ? linear->first + (size_t)(i / linear->block) * linear->stride + i % linear->block
                         : (size_t)linear->first + i;
}

enum we_norm_kind { WE_NORM_NONE = 0, WE_NORM_RMS, WE_NORM_LAYER };

struct we_norm {
    enum we_norm_kind kind;
    uint32_t width;              /* values normalised together: hidden_size, head_dim, heads * head_dim */
    float eps, weight_offset;    /* y = x / rms(x) * (weight_offset + weight) */
    struct we_vector weight, bias; /* (width), or (n, width) where every part has its own; no weight: 1 */
};

/* The norm of part i of n. */
static inline struct we_norm we_norm_part(const struct we_norm *norm, uint32_t i)
{
    struct we_norm part = *norm;
    struct we_vector *vectors[] = {&part.weight, &part.bias};
    for (int v = 0; v < 2; v++)
        if (vectors[v]->data && vectors[v]->length > norm->width) {
            vectors[v]->data = (const char *)vectors[v]->data + (size_t)i * norm->width * we_dtype_size(vectors[v]->dtype);
            vectors[v]->length = norm->width;
        }
    return part;
}

/* Rotary position embedding, reduced to tables by arch/rope.c. The angle of pair i at position p is p * inv_freq[i]. */
enum we_rope_mode { WE_ROPE_SHORT = 0, WE_ROPE_LONG = 1 };

struct we_rope {
    uint32_t rotary_dim;         /* first values of a head that turn; 0: none */
    bool interleaved;            /* pairs are (2i, 2i+1) ("traditional"), else (i, i + rotary_dim / 2) */
    const float *inv_freq[2];    /* (rotary_dim / 2) for each we_rope_mode; equal unless longrope */
    float mscale[2];             /* multiplies the values that turn */
    /* Dynamic NTK: at positions p >= ntk_length the base grows to theta * (ntk_factor * (p + 1) / ntk_length -
     * (ntk_factor - 1)) ^ (rotary_dim / (rotary_dim - 2)). ntk_length 0: it does not. */
    float theta, ntk_factor;
    uint32_t ntk_length;
};

enum we_mask { WE_MASK_CAUSAL = 0, WE_MASK_SLIDING };

struct we_attention {
    uint32_t num_attention_heads, num_key_value_heads, head_dim, v_head_dim;
    struct we_linear q_proj, k_proj, v_proj, o_proj;
    struct we_linear gate_proj; /* (num_attention_heads * v_head_dim, hidden_size): o_proj reads out * sigmoid(it); absent: 1 */
    struct we_norm q_norm, k_norm; /* of each head, or of all heads together (before rope only) */
    struct we_norm v_norm;         /* of each head */
    bool norm_after_rope;
    bool shares_kv; /* no k_proj: it sees what an earlier block keeps under its `state`; no v_proj alone: values are raw keys */
    struct we_rope rope;
    enum we_mask mask;
    uint32_t window;             /* sliding: a query sees itself and window - 1 positions before it */
    float scale;                 /* of q . k */
    float logit_softcapping;     /* q . k becomes c * tanh(q . k / c); 0: it does not */
    float q_growth;              /* q *= 1 + q_growth * ln(1 + floor(position / q_period)); 0: it does not */
    uint32_t q_period;
    struct we_vector sinks; /* (num_attention_heads): a score of each head to which no value belongs */
};

enum we_activation {
    WE_ACTIVATION_SILU = 0,
    WE_ACTIVATION_GELU,      /* x * Phi(x), by the error function */
    WE_ACTIVATION_GELU_TANH, /* its approximation by tanh */
    WE_ACTIVATION_RELU_SQUARED,
    WE_ACTIVATION_SWIGLU_CLIPPED, /* g * sigmoid(alpha * g) * (up + 1); g at most limit, up within +-limit */
    WE_ACTIVATION_SIGMOID,        /* sigmoid(gate) * up */
    WE_ACTIVATION_COUNT
};

struct we_feed_forward { /* down(act(gate) * up); no gate: down(act(up)) */
    struct we_linear gate_proj, up_proj, down_proj;
    enum we_activation activation;
    float limit, alpha; /* of WE_ACTIVATION_SWIGLU_CLIPPED */
};

enum we_router_score { WE_ROUTER_SOFTMAX = 0, WE_ROUTER_SIGMOID, WE_ROUTER_SPARSEMIXER };

/* Mixture of experts: the sum of the chosen experts' outputs, each times its weight, and of the shared ones. */
struct we_moe {
    struct we_feed_forward experts; /* linears with `count` = num_experts views */
    struct we_feed_forward shared;  /* every token passes it; no up_proj: there is none */
    struct we_linear router;        /* (num_experts, hidden_size) */
    struct we_linear latent_in;  /* (width, hidden_size): what the experts, but not the shared ones, read; absent: the stream */
    struct we_linear latent_out; /* (hidden_size, width): reads the sum of what they give */
    struct we_linear shared_gate;   /* (1, hidden_size): the shared output times its sigmoid; absent: 1 */
    enum we_router_score score;
    struct we_vector correction_bias; /* (num_experts): added to the scores to choose by, not to the weights */
    uint32_t num_experts, top_k;
    uint32_t num_groups, top_groups; /* experts come from the best groups, by the sum of their two best; 0 or 1: all */
    bool best_of_group;              /* by their best one alone; where these are too few, others come with the weight 0 */
    bool norm_topk_prob;             /* weights are divided by norm_eps + their sum */
    float norm_eps;
    float routed_scaling_factor; /* of the weights */
    struct we_norm router_norm;  /* of what the router reads, in place of the block's norm; none: the block's */
    struct we_vector expert_scale; /* (num_experts): of the weights at last; absent: 1 */
    float jitter;                /* of sparsemixer: experts within twice it of the best one share its weight */
};

/* out_proj(c * conv(b * x)), where b, c and x are the thirds of in_proj's rows and conv is over the last positions, each value
 * by itself. Its state, b * x at each position, lies in pages of a window of `length` positions, like keys. */
struct we_short_conv {
    struct we_linear in_proj, out_proj; /* (3 * hidden_size, hidden_size), (hidden_size, hidden_size) */
    struct we_vector weight, bias;      /* (hidden_size, length), oldest position first; (hidden_size) or absent */
    uint32_t length;                    /* positions, this one included */
};

/* Gated delta rule (Yang et al., 2024). Queries, keys and values pass a convolution over the last positions, each value by
 * itself, and silu; queries and keys are brought to length 1, and queries divided by sqrt(key_head_dim). At each position the
 * state S (key_head_dim, value_head_dim) of a value head, which shares queries and keys with its neighbours, becomes
 *   S = g S + k' (beta (v - k g S)), g = exp(-exp(a_log) softplus(a + dt_bias)), beta = sigmoid(b)
 * and gives out = q S. out_proj reads norm(out) * silu(z). The state lies in a slot; see kv/layout.h. */
struct we_gated_delta {
    uint32_t num_key_heads, num_value_heads, key_head_dim, value_head_dim;
    struct we_linear q_proj, k_proj; /* (num_key_heads * key_head_dim, hidden_size) */
    struct we_linear v_proj, z_proj; /* (num_value_heads * value_head_dim, hidden_size) */
    struct we_linear b_proj, a_proj; /* (num_value_heads, hidden_size) */
    struct we_linear out_proj;       /* (hidden_size, num_value_heads * value_head_dim) */
    uint32_t conv_length;            /* positions of the convolution, this one included */
    struct we_vector conv;           /* (queries, keys, values; conv_length), oldest position first */
    struct we_vector a_log, dt_bias; /* (num_value_heads) */
    struct we_norm norm;             /* of each head */
};

/* Mamba 2 (Dao and Gu, 2024). x, B and C pass a convolution over the last positions, each value by itself, and silu. At each
 * position the state S (state_size, head_dim) of a head, which shares B and C with the heads of its group, becomes
 *   S = exp(-exp(a_log) dt) S + B' (dt x), dt = softplus(in_proj's dt + dt_bias) within [dt_min, dt_max]
 * and gives out = C S + d x. out_proj reads norm(out * silu(gate)). The state lies in a slot, as above. */
struct we_mamba2 {
    uint32_t num_heads, head_dim, num_groups, state_size;
    struct we_linear in_proj;  /* rows: gate and x, of num_heads * head_dim; B and C, of num_groups * state_size; dt, of
                                  num_heads */
    struct we_linear out_proj; /* (hidden_size, num_heads * head_dim) */
    uint32_t conv_length;
    struct we_vector conv, conv_bias;   /* (x, B, C; conv_length), oldest position first; (x, B, C) or absent */
    struct we_vector a_log, dt_bias, d; /* (num_heads) */
    float dt_min, dt_max;
    struct we_norm norm; /* over all heads together, or over those of each of some parts */
};

/* Attention whose keys and values are linear in one vector of each position, the latent (DeepSeek-V2, 2024). The maps of the
 * heads are taken to the other side: a query becomes (rope part, embed_q . nope part), all heads share the key (rope key,
 * latent) and the value latent, and unembed_out makes of each head's sum what o_proj reads. */
struct we_latent_attention {
    uint32_t num_attention_heads;
    uint32_t nope_head_dim, rope_head_dim, v_head_dim, latent_dim; /* of a head: queries are (nope, rope) */
    struct we_linear q_a_proj;                                     /* (q rank, hidden_size); absent: q_proj reads the stream */
    struct we_norm q_a_norm;                                       /* (q rank) */
    struct we_linear q_proj;                                       /* (heads * (nope + rope), q rank or hidden_size) */
    struct we_linear latent_proj, rope_proj; /* (latent, hidden_size), (rope, hidden_size): usually views of one tensor */
    struct we_norm latent_norm;              /* (latent) */
    struct we_linear embed_q;                /* `count` heads: (latent, nope) */
    struct we_linear unembed_out;            /* `count` heads: (v_head_dim, latent) */
    struct we_linear o_proj;                 /* (hidden_size, heads * v_head_dim) */
    struct we_rope rope;                     /* over rope_head_dim values */
    float scale;                             /* of q . k */
};

/* out_proj(act(gate_proj . h) * the row's input for layer `index`); see we_layer_inputs. */
struct we_layer_input {
    struct we_linear gate_proj, out_proj; /* (width, hidden_size), (hidden_size, width) */
    enum we_activation activation;
    uint32_t index;
};

enum we_block_kind {
    WE_BLOCK_ATTENTION = 0,
    WE_BLOCK_FEED_FORWARD,
    WE_BLOCK_MOE,
    WE_BLOCK_SHORT_CONV,
    WE_BLOCK_GATED_DELTA,
    WE_BLOCK_MAMBA2,
    WE_BLOCK_LATENT_ATTENTION,
    WE_BLOCK_LAYER_INPUT,
    WE_BLOCK_KIND_COUNT
};

enum { WE_NO_STATE = UINT32_MAX };

struct we_block {                /* y = post_norm(op(pre_norm(h))) */
    enum we_block_kind kind;
    union {
        const struct we_attention *attention;
        const struct we_feed_forward *feed_forward;
        const struct we_moe *moe;
        const struct we_short_conv *short_conv;
        const struct we_gated_delta *gated_delta;
        const struct we_mamba2 *mamba2;
        const struct we_latent_attention *latent_attention;
        const struct we_layer_input *layer_input;
    } op;
    struct we_norm pre_norm, post_norm;
    uint32_t state; /* entry of the KV layout of a block that remembers, in [0, num_states); else WE_NO_STATE */
};

/* h = stream_multiplier * (h + residual_multiplier * post_norm(sum of the blocks' y)) */
struct we_step {
    const struct we_block *blocks;
    uint32_t num_blocks; /* all read the same h */
    float residual_multiplier;
    float stream_multiplier; /* 0: 1 */
    struct we_norm post_norm;
};

struct we_layer {
    const struct we_step *steps;
    uint32_t num_steps;
};

/* What every layer gets of each token beside the stream: multiplier * (embed_multiplier * embed_tokens + norm(proj_multiplier *
 * proj . h)), h as it enters the first layer; `width` values for each layer, normed by themselves. */
struct we_layer_inputs {
    uint32_t width;                /* 0: there are none */
    struct we_linear embed_tokens; /* (vocab_size or more, num_layers * width) */
    struct we_linear proj;         /* (num_layers * width, hidden_size) */
    struct we_norm norm;
    float embed_multiplier, proj_multiplier, multiplier;
};

struct we_decoder {
    const char *model_type;
    uint64_t fingerprint;        /* of config and weights' layout; part of the key of cached prefixes */
    uint32_t hidden_size, vocab_size, num_layers, num_states;
    uint32_t context_length;     /* positions the model was made for */
    uint32_t rope_switch_length; /* longrope: sequences longer than this use WE_ROPE_LONG; 0: there is one mode */
    const struct we_layer *layers; /* (num_layers) */
    struct we_linear embed_tokens, lm_head; /* (vocab_size, hidden_size); tied: equal data */
    struct we_norm norm;
    struct we_layer_inputs layer_inputs;
    float embedding_multiplier, logit_multiplier;
    float final_logit_softcapping; /* logits become c * tanh(logit / c); 0: they do not */
};

/* Name for messages: "attention", ... */
const char *we_block_kind_name(enum we_block_kind kind);

#endif
