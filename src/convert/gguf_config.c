#include "convert/convert.h"

#include <math.h>
#include <stdio.h>

struct reader {
    const struct we_gguf *gguf;
    struct we_gguf_config *config;
    struct we_error *error;
};

static const char *key_text(const struct reader *r, const char *key, char out[96])
{
    snprintf(out, 96, "%s.%s", r->config->prefix, key);
    return out;
}

/* The value stays as it was if the key is absent. */
static we_status read_u32(const struct reader *r, const char *key, uint32_t *value)
{
    char name[96];
    if (we_gguf_find(r->gguf, key_text(r, key, name)) == NULL || we_gguf_u32(r->gguf, name, value))
        return WE_OK;
    return we_error_set(r->error, WE_UNSUPPORTED, "%s: %s is not one number below 2^32, which is what can be converted",
                        r->config->path, name);
}

static we_status read_float(const struct reader *r, const char *key, float *value)
{
    char name[96];
    if (we_gguf_find(r->gguf, key_text(r, key, name)) == NULL)
        return WE_OK;
    if (we_gguf_float(r->gguf, name, value) && isfinite(*value))
        return WE_OK;
    return we_error_set(r->error, WE_INVALID_FORMAT, "%s: %s is no finite number", r->config->path, name);
}

static we_status require_u32(const struct reader *r, const char *key, uint32_t *value)
{
    char name[96];
    *value = 0;
    we_status status = read_u32(r, key, value);
    if (status == WE_OK && (*value == 0 || *value > 1u << 28))
        return we_error_set(r->error, WE_INVALID_FORMAT, "%s: %s is %u, where a number from 1 to 2^28 was expected",
                            r->config->path, key_text(r, key, name), *value);
    return status;
}

static we_status read_family(struct reader *r)
{
    struct we_str name;
    if (!we_gguf_string(r->gguf, "general.architecture", &name))
        return we_error_set(r->error, WE_INVALID_FORMAT, "%s: it does not say its general.architecture", r->config->path);
    if (we_str_equal_c(name, "llama"))
        r->config->family = WE_GGUF_LLAMA;
    else if (we_str_equal_c(name, "phi3"))
        r->config->family = WE_GGUF_PHI3;
    else
        return we_error_set(r->error, WE_UNSUPPORTED,
                            "%s: the architecture '%.*s' cannot be converted from GGUF; llama and phi3 can", r->config->path,
                            WE_STR_ARG(name));
    r->config->prefix = r->config->family == WE_GGUF_LLAMA ? "llama" : "phi3";
    uint32_t parts = 0;
    if (we_gguf_u32(r->gguf, "split.count", &parts) && parts > 1)
        return we_error_set(r->error, WE_UNSUPPORTED, "%s: this is one of %u parts of a model; join them first",
                            r->config->path, parts);
    return WE_OK;
}

static we_status read_sizes(struct reader *r)
{
    struct we_gguf_config *c = r->config;
    we_status status = require_u32(r, "embedding_length", &c->hidden_size);
    if (status == WE_OK)
        status = require_u32(r, "feed_forward_length", &c->intermediate_size);
    if (status == WE_OK)
        status = require_u32(r, "block_count", &c->num_layers);
    if (status == WE_OK)
        status = require_u32(r, "attention.head_count", &c->num_heads);
    if (status == WE_OK)
        status = require_u32(r, "context_length", &c->context_length);
    if (status != WE_OK)
        return status;
    uint32_t value_length, experts = 0;
    c->num_kv_heads = c->num_heads;
    c->head_dim = c->hidden_size / c->num_heads;
    c->rope_theta = 10000.0f;
    status = read_u32(r, "attention.head_count_kv", &c->num_kv_heads);
    if (status == WE_OK)
        status = read_u32(r, "attention.key_length", &c->head_dim);
    value_length = c->rotary_dim = c->head_dim;
    if (status == WE_OK)
        status = read_u32(r, "attention.value_length", &value_length);
    if (status == WE_OK)
        status = read_u32(r, "rope.dimension_count", &c->rotary_dim);
    if (status == WE_OK)
        status = read_u32(r, "expert_count", &experts);
    if (status == WE_OK)
        status = read_u32(r, "attention.sliding_window", &c->sliding_window);
    if (status == WE_OK)
        status = read_float(r, "attention.layer_norm_rms_epsilon", &c->rms_norm_eps);
    if (status == WE_OK)
        status = read_float(r, "rope.freq_base", &c->rope_theta);
    if (status != WE_OK)
        return status;
    if (experts)
        return we_error_set(r->error, WE_UNSUPPORTED, "%s: a mixture of %u experts cannot be converted from GGUF", c->path,
                            experts);
    if (value_length != c->head_dim)
        return we_error_set(r->error, WE_UNSUPPORTED, "%s: keys of %u and values of %u dimensions cannot be converted", c->path,
                            c->head_dim, value_length);
    if (c->num_kv_heads == 0 || c->num_heads % c->num_kv_heads != 0)
        return we_error_set(r->error, WE_INVALID_FORMAT, "%s: %u attention heads cannot share %u heads of keys", c->path,
                            c->num_heads, c->num_kv_heads);
    if (c->head_dim == 0 || c->head_dim % 2 || c->head_dim > 4096 || c->rotary_dim == 0 || c->rotary_dim > c->head_dim ||
        c->rotary_dim % 2)
        return we_error_set(r->error, WE_INVALID_FORMAT, "%s: heads of %u dimensions, of which %u rotate, make no sense",
                            c->path, c->head_dim, c->rotary_dim);
    if (!(c->rms_norm_eps > 0) || !(c->rope_theta > 0))
        return we_error_set(r->error, WE_INVALID_FORMAT,
                            "%s: attention.layer_norm_rms_epsilon (%g) and rope.freq_base (%g) must be greater than 0", c->path,
                            (double)c->rms_norm_eps, (double)c->rope_theta);
    if (c->family == WE_GGUF_LLAMA && c->rotary_dim != c->head_dim)
        return we_error_set(r->error, WE_UNSUPPORTED,
                            "%s: a llama model of which %u of %u dimensions rotate cannot be converted", c->path, c->rotary_dim,
                            c->head_dim);
    if (c->family == WE_GGUF_PHI3 && c->head_dim != c->hidden_size / c->num_heads)
        return we_error_set(r->error, WE_UNSUPPORTED,
                            "%s: a phi3 model with heads of %u dimensions (not %u / %u) cannot be converted", c->path,
                            c->head_dim, c->hidden_size, c->num_heads);
    return WE_OK;
}

/* A tensor of (rotary_dim / 2) float32, or NULL. */
static we_status find_factors(const struct reader *r, const char *name, const void **data)
{
    const struct we_gguf_tensor *tensor = we_gguf_tensor_find(r->gguf, name);
    *data = NULL;
    if (tensor == NULL)
        return WE_OK;
    if (tensor->type != WE_GGML_F32 || tensor->num_dims != 1 || tensor->shape[0] != r->config->rotary_dim / 2)
        return we_error_set(r->error, WE_INVALID_FORMAT, "%s: tensor '%s' should be %u numbers of type F32", r->config->path,
                            name, r->config->rotary_dim / 2);
    *data = tensor->data;
    for (uint32_t i = 0; i < r->config->rotary_dim / 2; i++)
        if (!isfinite(we_load_float(*data, WE_F32, i)) || we_load_float(*data, WE_F32, i) == 0)
            return we_error_set(r->error, WE_INVALID_FORMAT, "%s: tensor '%s' holds a value that is not finite, or zero",
                                r->config->path, name);
    return WE_OK;
}

/* What Llama 3's scaling divides the frequency of dimension pair i by (as its reference code computes it). */
static double llama3_factor(const struct we_gguf_config *c, uint32_t i, double factor, double original)
{
    const double low = 1, high = 4;
    double wavelength = 2 * 3.14159265358979323846 * pow(c->rope_theta, 2.0 * i / c->rotary_dim);
    if (wavelength < original / high)
        return 1;
    if (wavelength > original / low)
        return factor;
    double smooth = (original / wavelength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
}

/* The file has the factors, the config the parameters they were made of: find those that give the same factors. */
static we_status recognise_llama3(struct reader *r, const void *factors)
{
    static const uint32_t originals[] = {8192, 4096, 2048, 16384, 32768, 1024, 512};
    struct we_gguf_config *c = r->config;
    uint32_t half = c->rotary_dim / 2;
    float factor = we_load_float(factors, WE_F32, half - 1);
    for (size_t o = 0; o < sizeof originals / sizeof *originals; o++) {
        bool equal = true;
        for (uint32_t i = 0; i < half && equal; i++) {
            double expected = llama3_factor(c, i, factor, originals[o]);
            equal = fabs(we_load_float(factors, WE_F32, i) - expected) <= 1e-4 * expected;
        }
        if (equal) {
            c->rope = WE_GGUF_ROPE_LLAMA3;
            c->rope_factor = factor;
            c->original_context = originals[o];
            return WE_OK;
        }
    }
    return we_error_set(
        r->error, WE_UNSUPPORTED,
        "%s: the factors in 'rope_freqs.weight' are not those of Llama 3's rope scaling, and cannot be converted", c->path);
}

static we_status read_longrope(struct reader *r)
{
    struct we_gguf_config *c = r->config;
    we_status status = find_factors(r, "rope_factors_long.weight", &c->long_factor);
    if (status == WE_OK)
        status = find_factors(r, "rope_factors_short.weight", &c->short_factor);
    if (status != WE_OK || (c->long_factor == NULL && c->short_factor == NULL))
        return status;
    if (c->long_factor == NULL || c->short_factor == NULL)
        return we_error_set(r->error, WE_INVALID_FORMAT, "%s: of the long and short rope factors one is missing", c->path);
    c->rope = WE_GGUF_ROPE_LONGROPE;
    double scale = (double)c->context_length / c->original_context;
    double expected = scale > 1 && c->original_context > 1 ? sqrt(1 + log(scale) / log(c->original_context)) : 1;
    float found = (float)expected;
    status = read_float(r, "rope.scaling.attn_factor", &found);
    if (status == WE_OK && fabs(found - expected) > 1e-3)
        return we_error_set(r->error, WE_UNSUPPORTED, "%s: a rope.scaling.attn_factor of %g (not %g) cannot be converted",
                            c->path, (double)found, expected);
    return status;
}

static we_status read_rope(struct reader *r)
{
    struct we_gguf_config *c = r->config;
    char name[96];
    struct we_str type = we_str_c("none");
    we_gguf_string(r->gguf, key_text(r, "rope.scaling.type", name), &type);
    c->original_context = c->context_length;
    we_status status = read_u32(r, "rope.scaling.original_context_length", &c->original_context);
    if (status == WE_OK)
        status = read_float(r, "rope.scaling.factor", &c->rope_factor);
    if (status == WE_OK && c->original_context == 0)
        return we_error_set(r->error, WE_INVALID_FORMAT, "%s: rope.scaling.original_context_length is 0", c->path);
    if (status != WE_OK)
        return status;
    if (c->family == WE_GGUF_PHI3) {
        if (!we_str_equal_c(type, "none") && !we_str_equal_c(type, "longrope"))
            return we_error_set(r->error, WE_UNSUPPORTED, "%s: rope scaling of type '%.*s' cannot be converted for phi3",
                                c->path, WE_STR_ARG(type));
        return read_longrope(r);
    }
    const void *factors;
    status = find_factors(r, "rope_freqs.weight", &factors);
    if (status != WE_OK)
        return status;
    if (we_str_equal_c(type, "none"))
        return factors ? recognise_llama3(r, factors) : WE_OK;
    if (factors || !(c->rope_factor > 0) || (!we_str_equal_c(type, "linear") && !we_str_equal_c(type, "yarn")))
        return we_error_set(r->error, WE_UNSUPPORTED, "%s: rope scaling of type '%.*s', factor %g%s cannot be converted",
                            c->path, WE_STR_ARG(type), (double)c->rope_factor, factors ? ", with rope_freqs.weight" : "");
    c->rope = we_str_equal_c(type, "linear") ? WE_GGUF_ROPE_LINEAR : WE_GGUF_ROPE_YARN;
    return WE_OK;
}

/* What the presence of tensors says. */
static we_status read_presence(struct reader *r)
{
    struct we_gguf_config *c = r->config;
    const struct we_gguf_tensor *embedding = we_gguf_tensor_find(r->gguf, "token_embd.weight");
    if (embedding == NULL)
        return we_error_set(r->error, WE_INVALID_FORMAT, "%s: it has no tensor 'token_embd.weight'; is it a vocabulary only?",
                            c->path);
    if (embedding->num_dims != 2 || embedding->shape[1] == 0 || embedding->shape[1] > 1u << 28)
        return we_error_set(r->error, WE_INVALID_FORMAT, "%s: tensor 'token_embd.weight' is no matrix of (vocabulary, %u)",
                            c->path, c->hidden_size);
    c->vocab_size = (uint32_t)embedding->shape[1];
    c->tied = we_gguf_tensor_find(r->gguf, "output.weight") == NULL;
    bool q = we_gguf_tensor_find(r->gguf, "blk.0.attn_q.bias"), o = we_gguf_tensor_find(r->gguf, "blk.0.attn_output.bias");
    if (q != o)
        return we_error_set(r->error, WE_UNSUPPORTED,
                            "%s: attention with biases on %s only cannot be converted to a llama model", c->path,
                            q ? "queries, keys and values" : "the output");
    c->attention_bias = q;
    c->mlp_bias = we_gguf_tensor_find(r->gguf, "blk.0.ffn_up.bias") != NULL;
    return WE_OK;
}

we_status we_gguf_config_read(const struct we_gguf *gguf, const char *path, struct we_gguf_config *config,
                              struct we_error *error)
{
    *config = (struct we_gguf_config){.path = path};
    struct reader r = {gguf, config, error};
    we_status status = read_family(&r);
    if (status == WE_OK)
        status = read_sizes(&r);
    if (status == WE_OK)
        status = read_rope(&r);
    if (status == WE_OK)
        status = read_presence(&r);
    return status;
}
