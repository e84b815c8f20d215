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
    struct we_vector bias;       /* (tensor rows), viewed alike */
    const char *name;            /* module path, for errors */
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
    struct we_vector weight, bias; /* (width); no weight: 1 */
};

/* Rotary position embedding, reduced to tables by arch/rope.c. The angle of pair i at position p is p * inv_freq[i]. */
enum we_rope_mode { WE_ROPE_SHORT = 0, WE_ROPE_LONG = 1 };

struct we_rope {
    uint32_t rotary_dim;         /* first values of a head that turn; 0: none */
    bool interleaved;            /* pairs are (2i, 2i+1) ("traditional"), else (i, i + rotary_dim / 2) */
    const float *inv_freq[2];    /* (rotary_dim / 2) for each we_rope_mode; equal unless longrope */
    float mscale[2];             /* multiplies the values that turn */
};

enum we_mask { WE_MASK_CAUSAL = 0, WE_MASK_SLIDING };

struct we_attention {
    uint32_t num_attention_heads, num_key_value_heads, head_dim, v_head_dim;
    struct we_linear q_proj, k_proj, v_proj, o_proj;
    struct we_norm q_norm, k_norm; /* of each head, before rope */
    struct we_rope rope;
    enum we_mask mask;
    uint32_t window;             /* sliding: a query sees itself and window - 1 positions before it */
    float scale;                 /* of q . k */
};

enum we_activation { WE_ACTIVATION_SILU = 0 };

struct we_feed_forward {         /* down(act(gate) * up) */
    struct we_linear gate_proj, up_proj, down_proj;
    enum we_activation activation;
};

enum we_block_kind { WE_BLOCK_ATTENTION = 0, WE_BLOCK_FEED_FORWARD, WE_BLOCK_KIND_COUNT };

enum { WE_NO_STATE = UINT32_MAX };

struct we_block {                /* y = post_norm(op(pre_norm(h))) */
    enum we_block_kind kind;
    union {
        const struct we_attention *attention;
        const struct we_feed_forward *feed_forward;
    } op;
    struct we_norm pre_norm, post_norm;
    uint32_t state;              /* KV cache entry of an attention block, in [0, num_states); else WE_NO_STATE */
};

struct we_step {                 /* h = h + residual_multiplier * (sum of the blocks' y) */
    const struct we_block *blocks;
    uint32_t num_blocks;         /* all read the same h */
    float residual_multiplier;
};

struct we_layer {
    const struct we_step *steps;
    uint32_t num_steps;
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
    float embedding_multiplier, logit_multiplier;
};

/* Name for messages: "attention", ... */
const char *we_block_kind_name(enum we_block_kind kind);

#endif
