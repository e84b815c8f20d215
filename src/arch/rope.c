/* Rotary position embedding (Su et al., 2021) and its extensions to longer contexts, each reduced to a table of inverse
 * frequencies and a factor: linear (Chen et al., 2023), dynamic (NTK-aware), llama3 (Llama 3.1), yarn (Peng et al., 2023),
 * longrope (Ding et al., 2024). Computed in double precision. */
#include "arch/bind.h"

#include <math.h>

#define PI 3.14159265358979323846

/* What the types have in common while they are being computed. */
struct builder {
    const struct we_rope_config *config;
    struct we_config scaling; /* rope_scaling or rope_parameters; json NULL: none */
    double theta;
    uint32_t half;
    double *freqs; /* (half): positions for a radian: theta^(2i / rotary_dim), scaled */
    struct we_error *error;
};

static double plain_freq(const struct builder *b, uint32_t i)
{
    return pow(b->theta, 2.0 * i / b->config->rotary_dim);
}

static we_status positive(const struct builder *b, const char *key, double value)
{
    if (value > 0 && isfinite(value))
        return WE_OK;
    return we_error_set(b->error, WE_INVALID_FORMAT, "%s: %s is %g, where a positive number was expected", b->scaling.where,
                        key, value);
}

static we_status required_factor(const struct builder *b, float *factor)
{
    we_status status = we_config_require_float(&b->scaling, "factor", factor, b->error);
    return status == WE_OK ? positive(b, "factor", *factor) : status;
}

static we_status build_linear(struct builder *b)
{
    float factor;
    we_status status = required_factor(b, &factor);
    for (uint32_t i = 0; status == WE_OK && i < b->half; i++)
        b->freqs[i] = plain_freq(b, i) * factor;
    return status;
}

static we_status build_llama3(struct builder *b)
{
    const struct we_config *scaling = &b->scaling;
    float factor, low_freq_factor = 1, high_freq_factor = 4;
    uint32_t original = 8192;
    we_status status = required_factor(b, &factor);
    if (status == WE_OK)
        status = we_config_float(scaling, "low_freq_factor", &low_freq_factor, b->error);
    if (status == WE_OK)
        status = we_config_float(scaling, "high_freq_factor", &high_freq_factor, b->error);
    if (status == WE_OK)
        status = we_config_u32(scaling, "original_max_position_embeddings", &original, b->error);
    if (status == WE_OK)
        status = positive(b, "low_freq_factor", low_freq_factor);
    if (status == WE_OK)
        status = positive(b, "high_freq_factor", high_freq_factor);
    for (uint32_t i = 0; status == WE_OK && i < b->half; i++) {
        double freq = plain_freq(b, i), wavelength = 2 * PI * freq;
        if (wavelength > original / low_freq_factor) {
            freq *= factor;
        } else if (wavelength > original / high_freq_factor) {
            double smooth = (original / wavelength - low_freq_factor) / ((double)high_freq_factor - low_freq_factor);
            freq /= (1 - smooth) / factor + smooth;
        }
        b->freqs[i] = freq;
    }
    return status;
}

static double yarn_mscale(double scale, double mscale)
{
    return scale <= 1 ? 1 : 0.1 * mscale * log(scale) + 1;
}

/* The dimension that turns `rotations` times over the original context. */
static double yarn_dimension(const struct builder *b, double original, double rotations)
{
    return b->config->rotary_dim * log(original / (rotations * 2 * PI)) / (2 * log(b->theta));
}

static we_status build_yarn(struct builder *b, float *mscale)
{
    const struct we_config *scaling = &b->scaling;
    float factor, beta_fast = 32, beta_slow = 1, mscale_one = 1, mscale_all_dim = 0;
    uint32_t original = 4096;
    we_status status = required_factor(b, &factor);
    const struct {
        const char *key;
        float *value;
    } keys[] = {
        {"beta_fast", &beta_fast}, {"beta_slow", &beta_slow}, {"mscale", &mscale_one}, {"mscale_all_dim", &mscale_all_dim}};
    for (size_t i = 0; status == WE_OK && i < sizeof keys / sizeof *keys; i++)
        status = we_config_float(scaling, keys[i].key, keys[i].value, b->error);
    if (status == WE_OK)
        status = we_config_u32(scaling, "original_max_position_embeddings", &original, b->error);
    if (status == WE_OK)
        status = positive(b, "beta_fast", beta_fast);
    if (status == WE_OK)
        status = positive(b, "beta_slow", beta_slow);
    if (status != WE_OK)
        return status;
    *mscale = (float)(yarn_mscale(factor, mscale_one) / yarn_mscale(factor, mscale_all_dim));
    double low = fmax(floor(yarn_dimension(b, original, beta_fast)), 0);
    double high = fmin(ceil(yarn_dimension(b, original, beta_slow)), b->config->rotary_dim - 1.0);
    if (low == high)
        high += 0.001;
    for (uint32_t i = 0; i < b->half; i++) {
        double extra = plain_freq(b, i), inter = factor * extra;
        double mask = 1 - fmin(fmax((i - low) / (high - low), 0), 1);
        b->freqs[i] = inter * extra / (inter * mask + extra * (1 - mask));
    }
    return WE_OK;
}

/* Only the first part of the values turns, but as if all did: the others' frequencies are 0. */
static we_status build_proportional(struct builder *b)
{
    float factor = 1;
    double part = b->config->partial_rotary_factor != 0 ? (double)b->config->partial_rotary_factor : 1;
    we_status status = WE_OK;
    if (b->scaling.json) {
        const struct we_json *value = we_json_get(b->scaling.json, "partial_rotary_factor"); /* not rounded to a float */
        part = value && value->kind == WE_JSON_NUMBER ? value->number : 1;
        status = we_config_float(&b->scaling, "factor", &factor, b->error);
    }
    if (status == WE_OK)
        status = positive(b, "factor", factor);
    if (status == WE_OK && !(part >= 0 && part <= 1))
        status =
            we_error_set(b->error, WE_INVALID_FORMAT,
                         "%s: partial_rotary_factor is %g, where a number from 0 to 1 was expected", b->scaling.where, part);
    const uint32_t turned = status == WE_OK ? (uint32_t)(b->config->rotary_dim * part) : 0;
    for (uint32_t i = 0; status == WE_OK && i < b->half; i++)
        b->freqs[i] = 2 * i < turned ? plain_freq(b, i) * (double)factor : INFINITY;
    return status;
}

/* One of longrope's two lists of factors, a number for each pair. */
static we_status longrope_freqs(struct builder *b, const struct we_arch_source *source, const char *key)
{
    const float *factors;
    uint32_t count;
    we_status status = we_config_floats(&b->scaling, key, source->arena, &factors, &count, b->error);
    if (status != WE_OK)
        return status;
    if (factors == NULL || count != b->half)
        return we_error_set(b->error, WE_INVALID_FORMAT,
                            "%s: %s has %u numbers, where %u (half of the %u values that turn) were "
                            "expected",
                            b->scaling.where, key, factors ? count : 0, b->half, b->config->rotary_dim);
    for (uint32_t i = 0; status == WE_OK && i < b->half; i++) {
        status = positive(b, key, factors[i]);
        b->freqs[i] = plain_freq(b, i) * factors[i];
    }
    return status;
}

/* Float32 inverse frequencies in the arena. */
static const float *invert(const struct builder *b, struct we_arena *arena)
{
    float *inv_freq = we_arena_array(arena, b->half, sizeof *inv_freq);
    for (uint32_t i = 0; inv_freq && i < b->half; i++)
        inv_freq[i] = (float)(1 / b->freqs[i]);
    return inv_freq;
}

/* Beyond the length that the model was made for, the base grows with the position. */
static we_status build_dynamic(struct builder *b, struct we_rope *rope)
{
    we_status status = required_factor(b, &rope->ntk_factor);
    if (status == WE_OK && (b->config->max_position_embeddings == 0 || b->config->rotary_dim <= 2))
        status = we_error_set(b->error, WE_INVALID_FORMAT,
                              "%s: rope type dynamic needs max_position_embeddings and heads of "
                              "more than 2 values",
                              b->scaling.where);
    rope->ntk_length = b->config->max_position_embeddings;
    rope->theta = (float)b->theta;
    for (uint32_t i = 0; i < b->half; i++)
        b->freqs[i] = plain_freq(b, i);
    return status;
}

/* short_mscale and long_mscale, where they are there and not 0. */
static we_status longrope_mscales(struct builder *b, enum we_rope_compat compat, float mscale[2])
{
    float given[2] = {0, 0};
    we_status status = we_config_float(&b->scaling, "short_mscale", &given[WE_ROPE_SHORT], b->error);
    if (status == WE_OK)
        status = we_config_float(&b->scaling, "long_mscale", &given[WE_ROPE_LONG], b->error);
    if (compat == WE_ROPE_MLX) /* which computes with the long factors only */
        given[WE_ROPE_SHORT] = given[WE_ROPE_LONG];
    for (int i = 0; i < 2; i++)
        mscale[i] = given[i] != 0 ? given[i] : mscale[i];
    return status;
}

static we_status build_longrope(struct builder *b, const struct we_arch_source *source, struct we_rope *rope,
                                uint32_t *switch_length)
{
    uint32_t original = b->config->original_max_position_embeddings, longest = b->config->max_position_embeddings;
    we_status status = we_config_u32(&b->scaling, "original_max_position_embeddings", &original, b->error);
    if (status != WE_OK)
        return status;
    if (original < 2)
        return we_error_set(b->error, WE_INVALID_FORMAT, "%s: longrope needs original_max_position_embeddings, at least 2",
                            b->scaling.where);
    double ratio = (double)longest / original;
    rope->mscale[WE_ROPE_SHORT] = rope->mscale[WE_ROPE_LONG] =
        ratio <= 1 ? 1 : (float)sqrt(1 + log(ratio) / log((double)original));
    if (b->config->longrope_mscales && (status = longrope_mscales(b, source->rope_compat, rope->mscale)) != WE_OK)
        return status;
    status = longrope_freqs(b, source, "long_factor");
    if (status != WE_OK)
        return status;
    rope->inv_freq[WE_ROPE_LONG] = rope->inv_freq[WE_ROPE_SHORT] = invert(b, source->arena);
    if (source->rope_compat == WE_ROPE_MLX)
        return WE_OK;
    status = longrope_freqs(b, source, "short_factor");
    if (status != WE_OK)
        return status;
    rope->inv_freq[WE_ROPE_SHORT] = invert(b, source->arena);
    *switch_length = original;
    return WE_OK;
}

/* {} or null, which is not the same as absent. */
static bool is_empty(const struct we_json *value)
{
    return value && (value->kind == WE_JSON_NULL || (value->kind == WE_JSON_OBJECT && value->count == 0));
}

/* rope_theta and the block of the scaling, which Hugging Face names rope_scaling or, since version 5 of its library and
 * then with rope_theta inside, rope_parameters. */
static we_status read_config(struct builder *b, const struct we_arch_source *source, struct we_str *type)
{
    float theta = b->config->default_theta != 0 ? b->config->default_theta : 10000;
    we_status status = we_config_object(&source->config, "rope_parameters", source->arena, &b->scaling, b->error);
    const struct we_config parameters = b->scaling;
    const bool alone = b->config->parameters_only && !is_empty(we_json_get(source->config.json, "rope_parameters"));
    if (status == WE_OK && !alone)
        status = we_config_object(&source->config, "rope_scaling", source->arena, &b->scaling, b->error);
    if (status == WE_OK && b->scaling.json == NULL)
        b->scaling = parameters;
    if (status == WE_OK && b->scaling.json && b->config->layer_type && we_json_get(b->scaling.json, b->config->layer_type)) {
        const struct we_config all = b->scaling;
        status = we_config_object(&all, b->config->layer_type, source->arena, &b->scaling, b->error);
    }
    if (status == WE_OK && b->scaling.json) {
        status = we_config_string(&b->scaling, "rope_type", type, b->error);
        if (status == WE_OK)
            status = we_config_string(&b->scaling, "type", type, b->error);
        if (status == WE_OK)
            status = we_config_float(&b->scaling, "rope_theta", &theta, b->error);
    }
    if (status == WE_OK && !alone)
        status = we_config_float(&source->config, "rope_theta", &theta, b->error);
    if (status == WE_OK && !(theta > 0 && isfinite(theta)))
        status = we_error_set(b->error, WE_INVALID_FORMAT, "%s: rope_theta is %g, where a positive number was expected",
                              source->config.where, (double)theta);
    b->theta = b->config->theta != 0 ? b->config->theta : theta;
    if (b->config->unscaled)
        *type = we_str_c("default");
    if (b->config->type)
        *type = we_str_c(b->config->type);
    return status;
}

we_status we_rope_build(const struct we_arch_source *source, const struct we_rope_config *config, struct we_rope *rope,
                        uint32_t *switch_length, struct we_error *error)
{
    *rope = (struct we_rope){.rotary_dim = config->rotary_dim, .interleaved = config->interleaved, .mscale = {1, 1}};
    struct builder b = {.config = config, .half = config->rotary_dim / 2, .error = error};
    if (config->rotary_dim % 2 != 0 || config->rotary_dim == 0)
        return we_error_set(error, WE_INVALID_FORMAT, "%s: rope over %u values of a head; a positive even number was expected",
                            source->config.where, config->rotary_dim);
    b.freqs = we_arena_array(source->arena, b.half, sizeof *b.freqs);
    if (b.freqs == NULL)
        return we_error_memory(error, "the table of rope");
    struct we_str type = we_str_c("default");
    we_status status = read_config(&b, source, &type);
    if (status != WE_OK)
        return status;
    if (we_str_equal_c(type, "default") || we_str_equal_c(type, "mrope")) {
        for (uint32_t i = 0; i < b.half; i++)
            b.freqs[i] = plain_freq(&b, i);
    } else if (we_str_equal_c(type, "linear")) {
        status = build_linear(&b);
    } else if (we_str_equal_c(type, "dynamic")) {
        status = build_dynamic(&b, rope);
    } else if (we_str_equal_c(type, "llama3")) {
        status = build_llama3(&b);
    } else if (we_str_equal_c(type, "yarn") || we_str_equal_c(type, "deepseek_yarn")) {
        status = build_yarn(&b, &rope->mscale[0]);
        rope->mscale[1] = rope->mscale[0];
    } else if (we_str_equal_c(type, "longrope") || we_str_equal_c(type, "su")) {
        status = build_longrope(&b, source, rope, switch_length);
    } else if (we_str_equal_c(type, "proportional")) {
        status = build_proportional(&b);
    } else {
        status = we_error_set(
            error, WE_UNSUPPORTED,
            "%s: rope type '%.*s' is not implemented; these are: default, linear, dynamic, llama3, yarn, longrope, su, "
            "proportional",
            b.scaling.where, WE_STR_ARG(type));
    }
    if (status == WE_OK && rope->inv_freq[0] == NULL)
        rope->inv_freq[0] = rope->inv_freq[1] = invert(&b, source->arena);
    if (status == WE_OK && (rope->inv_freq[0] == NULL || rope->inv_freq[1] == NULL))
        status = we_error_memory(error, "the table of rope");
    return status;
}
