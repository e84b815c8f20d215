#include "convert/convert.h"

#include "base/system.h"
#include "convert/gguf_decode.h"
#include "convert/predicate.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* What a tensor of the file becomes. Names of a layer begin with "blk.N." and "model.layers.N.". */
struct rule {
    const char *name, *module, *suffix;
    uint32_t rows, in; /* in 0: a vector of `rows` */
    uint32_t heads;    /* not 0: rows stored for interleaved rope */
    bool optional;
};

struct planner {
    const struct we_gguf *gguf;
    const struct we_gguf_config *config;
    struct we_arena *arena;
    struct we_gguf_plan *plan;
    bool *used; /* (tensors of the file) */
    const struct we_quantizer *quantizer;
    struct we_error *error;
};

static we_status check_type(const struct planner *p, const struct we_gguf_tensor *tensor, struct we_gguf_weight *weight)
{
    const struct we_gguf_format *format = we_gguf_format(tensor->type);
    if (format) {
        weight->quant = format->quant;
        weight->exact = format->exact;
        return WE_OK;
    }
    if (tensor->type == WE_GGML_F32 || tensor->type == WE_GGML_F16 || tensor->type == WE_GGML_BF16)
        return WE_OK;
    const char *name = we_ggml_type_name(tensor->type);
    char number[32];
    snprintf(number, sizeof number, "%u", tensor->type);
    return we_error_set(
        p->error, WE_UNSUPPORTED,
        "%s: tensor '%.*s' has the type %s; F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K, IQ4_NL, "
        "IQ4_XS, MXFP4 and NVFP4 can be converted",
        p->config->path, WE_STR_ARG(tensor->name), name ? name : number);
}

static const char *layer_name(const struct planner *p, const char *prefix, uint32_t layer, const char *name)
{
    char text[128];
    int n = snprintf(text, sizeof text, "%s%u.%s", prefix, layer, name);
    return we_arena_copy(p->arena, we_str(text, (size_t)n));
}

static we_status add(struct planner *p, const struct rule *rule, const char *name, const char *module)
{
    if (name == NULL || module == NULL)
        return we_error_memory(p->error, "the names of tensors");
    const struct we_gguf_tensor *tensor = we_gguf_tensor_find(p->gguf, name);
    if (tensor == NULL && rule->optional)
        return WE_OK;
    if (tensor == NULL)
        return we_error_set(p->error, WE_INVALID_FORMAT, "%s: it lacks the tensor '%s'", p->config->path, name);
    bool vector = rule->in == 0;
    uint64_t rows = vector ? tensor->shape[0] : tensor->shape[1], in = vector ? 1 : tensor->shape[0];
    if (tensor->num_dims != (vector ? 1u : 2u) || rows != rule->rows || (!vector && in != rule->in))
        return we_error_set(p->error, WE_INVALID_FORMAT,
                            "%s: tensor '%s' has %u dimensions, %llu x %llu, where the metadata calls for %u x %u",
                            p->config->path, name, tensor->num_dims, (unsigned long long)tensor->shape[1],
                            (unsigned long long)tensor->shape[0], vector ? 1 : rule->rows, vector ? rule->rows : rule->in);
    struct we_gguf_weight weight = {.tensor = tensor,
                                    .module = module,
                                    .suffix = rule->suffix,
                                    .rows = (uint32_t)rows,
                                    .in = (uint32_t)in,
                                    .vector = vector,
                                    .permuted_heads = rule->heads,
                                    .quantizer = p->quantizer};
    we_status status = check_type(p, tensor, &weight);
    if (status != WE_OK)
        return status;
    if (vector && weight.quant.mode != WE_QUANT_NONE)
        return we_error_set(p->error, WE_UNSUPPORTED, "%s: the vector '%s' is quantised, which cannot be converted",
                            p->config->path, name);
    p->used[tensor - we_gguf_tensor_at(p->gguf, 0)] = true;
    p->plan->weights[p->plan->count++] = weight;
    return WE_OK;
}

static we_status add_layer(struct planner *p, uint32_t layer)
{
    const struct we_gguf_config *c = p->config;
    uint32_t hidden = c->hidden_size, heads = c->num_heads, kv_heads = c->num_kv_heads, ff = c->intermediate_size;
    uint32_t q = heads * c->head_dim, kv = kv_heads * c->head_dim;
    bool no_attention_bias = !c->attention_bias, no_mlp_bias = !c->mlp_bias;
    const struct rule llama[] = {
        {"attn_norm.weight", "input_layernorm", "weight", hidden},
        {"attn_q.weight", "self_attn.q_proj", "weight", q, hidden, heads},
        {"attn_q.bias", "self_attn.q_proj", "bias", q, 0, heads, no_attention_bias},
        {"attn_k.weight", "self_attn.k_proj", "weight", kv, hidden, kv_heads},
        {"attn_k.bias", "self_attn.k_proj", "bias", kv, 0, kv_heads, no_attention_bias},
        {"attn_v.weight", "self_attn.v_proj", "weight", kv, hidden},
        {"attn_v.bias", "self_attn.v_proj", "bias", kv, 0, 0, no_attention_bias},
        {"attn_output.weight", "self_attn.o_proj", "weight", hidden, q},
        {"attn_output.bias", "self_attn.o_proj", "bias", hidden, 0, 0, no_attention_bias},
        {"ffn_norm.weight", "post_attention_layernorm", "weight", hidden},
        {"ffn_gate.weight", "mlp.gate_proj", "weight", ff, hidden},
        {"ffn_gate.bias", "mlp.gate_proj", "bias", ff, 0, 0, no_mlp_bias},
        {"ffn_up.weight", "mlp.up_proj", "weight", ff, hidden},
        {"ffn_up.bias", "mlp.up_proj", "bias", ff, 0, 0, no_mlp_bias},
        {"ffn_down.weight", "mlp.down_proj", "weight", hidden, ff},
        {"ffn_down.bias", "mlp.down_proj", "bias", hidden, 0, 0, no_mlp_bias},
    };
    const struct rule phi3[] = {
        {"attn_norm.weight", "input_layernorm", "weight", hidden},
        {"attn_qkv.weight", "self_attn.qkv_proj", "weight", q + 2 * kv, hidden},
        {"attn_output.weight", "self_attn.o_proj", "weight", hidden, q},
        {"ffn_norm.weight", "post_attention_layernorm", "weight", hidden},
        {"ffn_up.weight", "mlp.gate_up_proj", "weight", 2 * ff, hidden},
        {"ffn_down.weight", "mlp.down_proj", "weight", hidden, ff},
    };
    bool is_llama = c->family == WE_GGUF_LLAMA;
    const struct rule *rules = is_llama ? llama : phi3;
    size_t count = is_llama ? sizeof llama / sizeof *llama : sizeof phi3 / sizeof *phi3;
    we_status status = WE_OK;
    for (size_t i = 0; i < count && status == WE_OK; i++)
        status = add(p, &rules[i], layer_name(p, "blk.", layer, rules[i].name),
                     layer_name(p, "model.layers.", layer, rules[i].module));
    return status;
}

static we_status add_all(struct planner *p)
{
    const struct we_gguf_config *c = p->config;
    const struct rule embedding = {"token_embd.weight", "model.embed_tokens", "weight", c->vocab_size, c->hidden_size};
    const struct rule norm = {"output_norm.weight", "model.norm", "weight", c->hidden_size};
    const struct rule head = {"output.weight", "lm_head", "weight", c->vocab_size, c->hidden_size, 0, true};
    uint64_t widest = (uint64_t)c->head_dim * c->num_heads + 2 * (uint64_t)c->head_dim * c->num_kv_heads;
    if (widest > 1u << 30)
        return we_error_set(p->error, WE_INVALID_FORMAT, "%s: %u heads of %u dimensions make no sense", c->path, c->num_heads,
                            c->head_dim);
    we_status status = add(p, &embedding, embedding.name, embedding.module);
    for (uint32_t i = 0; i < c->num_layers && status == WE_OK; i++)
        status = add_layer(p, i);
    if (status == WE_OK)
        status = add(p, &norm, norm.name, norm.module);
    if (status == WE_OK)
        status = add(p, &head, head.name, head.module);
    return status;
}

/* The config has taken the rope factors; any other tensor would be lost. */
static we_status check_leftovers(const struct planner *p)
{
    for (size_t i = 0; i < we_gguf_tensor_count(p->gguf); i++) {
        const struct we_gguf_tensor *tensor = we_gguf_tensor_at(p->gguf, i);
        bool is_llama = p->config->family == WE_GGUF_LLAMA;
        if (p->used[i] || (is_llama && we_str_equal_c(tensor->name, "rope_freqs.weight")) ||
            (!is_llama && (we_str_equal_c(tensor->name, "rope_factors_long.weight") ||
                           we_str_equal_c(tensor->name, "rope_factors_short.weight"))))
            continue;
        return we_error_set(p->error, WE_UNSUPPORTED,
                            "%s: the tensor '%.*s' has no place in a %s model, and cannot be converted", p->config->path,
                            WE_STR_ARG(tensor->name), p->config->prefix);
    }
    return WE_OK;
}

/* ---- other formats than those of the file ---- */

static bool is_vector(const struct we_gguf_weight *w)
{
    return w->vector || strcmp(w->suffix, "weight") != 0;
}

static bool same_quant(struct we_quant a, struct we_quant b)
{
    return a.mode == b.mode && a.bits == b.bits && a.group_size == b.group_size;
}

static void dequantise(struct we_gguf_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        plan->weights[i].quant = (struct we_quant){WE_QUANT_NONE, 0, 0};
        plan->weights[i].exact = false;
    }
}

/* The predicate looks for the layers in the names of all weights. */
static we_status model_tensors(const struct planner *p, struct we_model_tensors *tensors)
{
    size_t count = p->plan->count;
    struct we_tensor *names = we_arena_array(p->arena, count, sizeof *names);
    *tensors = (struct we_model_tensors){
        .list = we_arena_array(p->arena, count, sizeof *tensors->list), .count = count, .num_layers = p->config->num_layers};
    if (names == NULL || tensors->list == NULL)
        return we_error_memory(p->error, "the list of tensors");
    for (size_t i = 0; i < count; i++) {
        names[i].name = we_str_c(p->plan->weights[i].module);
        tensors->list[i].tensor = &names[i];
    }
    return WE_OK;
}

static we_status quantise(struct planner *p, const struct we_convert_options *options)
{
    struct we_model_tensors tensors;
    struct we_predicate predicate = {0};
    struct we_buf entry = {0};
    we_status status = model_tensors(p, &tensors);
    if (status == WE_OK)
        status = we_predicate_init(&predicate, options, &tensors, p->arena, p->error);
    p->plan->defaults = predicate.quant;
    for (size_t i = 0; i < p->plan->count && status == WE_OK; i++) {
        struct we_gguf_weight *w = &p->plan->weights[i];
        struct we_quant before = w->quant;
        if (is_vector(w))
            continue;
        status = we_predicate_for(&predicate, w->module, w->in, &w->quant, &entry, p->error);
        w->exact = w->exact && same_quant(before, w->quant);
        we_buf_clear(&entry);
    }
    we_buf_free(&entry);
    return status;
}

static we_status change_formats(struct planner *p, const struct we_convert_options *options)
{
    if (options->quantize && options->dequantize)
        return we_error_set(p->error, WE_INVALID_ARGUMENT, "a model is quantised or dequantised, not both");
    if (options->dequantize)
        dequantise(p->plan);
    return options->quantize ? quantise(p, options) : WE_OK;
}

void we_gguf_plan_note(const struct we_gguf_plan *plan, const struct we_convert_options *options, char note[256])
{
    size_t used = 0;
    note[0] = '\0';
    for (size_t i = 0; i < plan->count && !options->quantize && !options->dequantize; i++) {
        const struct we_gguf_weight *w = &plan->weights[i];
        const struct we_gguf_format *format = we_gguf_format(w->tensor->type);
        uint32_t count = 0;
        if (format == NULL || format->exact)
            continue;
        bool first = true;
        for (size_t k = 0; k < plan->count; k++) {
            bool same = plan->weights[k].tensor->type == format->type;
            first = first && !(same && k < i);
            count += same;
        }
        int n = first && used < 200
                    ? snprintf(note + used, 256 - used, "%s%u of type %s",
                               used ? ", " : "but quantised again, with 8 bits: ", count, we_ggml_type_name(format->type))
                    : 0;
        used += (size_t)n;
    }
}

/* ---- element types ---- */

struct exactness {
    bool f16, bf16;
};

we_status we_convert_pool(struct we_pool **pool, struct we_error *error)
{
    if (we_pool_new(we_processor_count(), pool, error) == WE_OK)
        return WE_OK;
    return we_pool_new(1, pool, error);
}

/* Looking at all values: a weight at a time for each worker. */
struct looking {
    const struct planner *planner;
    struct exactness *exact; /* (count) */
    atomic_size_t next;
};

static void look(void *context, uint32_t worker)
{
    (void)worker;
    struct looking *l = context;
    const struct we_gguf_plan *plan = l->planner->plan;
    for (size_t i; (i = atomic_fetch_add(&l->next, 1)) < plan->count;) {
        we_gguf_exactness(&plan->weights[i], &l->exact[i].f16, &l->exact[i].bf16);
        we_gguf_release(l->planner->gguf, plan->weights[i].tensor);
    }
}

/* One type for all where it keeps every value: float16, or bfloat16; else each tensor has the smallest that does. */
static void choose_exact(struct we_gguf_plan *plan, const struct exactness *exact)
{
    bool all_f16 = true, all_bf16 = true;
    for (size_t i = 0; i < plan->count; i++) {
        all_f16 = all_f16 && exact[i].f16;
        all_bf16 = all_bf16 && exact[i].bf16;
    }
    for (size_t i = 0; i < plan->count; i++) {
        struct we_gguf_weight *w = &plan->weights[i];
        if (all_f16)
            w->dtype = WE_F16;
        else if (all_bf16)
            w->dtype = WE_BF16;
        else
            w->dtype = exact[i].f16 ? WE_F16 : exact[i].bf16 ? WE_BF16 : WE_F32;
    }
}

static we_status choose_types(struct planner *p, const char *dtype)
{
    struct we_gguf_plan *plan = p->plan;
    static const struct {
        const char *name;
        enum we_dtype dtype;
    } names[] = {{"float16", WE_F16}, {"bfloat16", WE_BF16}, {"float32", WE_F32}};
    if (dtype) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (strcmp(dtype, names[i].name) == 0) {
                for (size_t w = 0; w < plan->count; w++)
                    plan->weights[w].dtype = names[i].dtype;
                return WE_OK;
            }
        return we_error_set(p->error, WE_INVALID_ARGUMENT,
                            "the type '%s' is not known; weights can be float16, bfloat16 or float32", dtype);
    }
    struct exactness *exact = calloc(plan->count, sizeof *exact);
    if (exact == NULL)
        return we_error_memory(p->error, "the list of tensors");
    struct we_pool *pool = NULL;
    struct looking looking = {.planner = p, .exact = exact};
    we_status status = we_convert_pool(&pool, p->error);
    if (status == WE_OK) {
        we_pool_run(pool, look, &looking);
        choose_exact(plan, exact);
    }
    we_pool_free(pool);
    free(exact);
    return status;
}

/* The formats that most values have. */
static void count_formats(struct we_gguf_plan *plan)
{
    uint64_t by_dtype[WE_DTYPE_COUNT] = {0}, most = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const struct we_gguf_weight *w = &plan->weights[i];
        uint64_t values = 0;
        by_dtype[w->dtype] += we_gguf_weight_parameters(w);
        for (size_t k = 0; k < plan->count && w->quant.mode != WE_QUANT_NONE; k++)
            values += same_quant(plan->weights[k].quant, w->quant) ? we_gguf_weight_parameters(&plan->weights[k]) : 0;
        if (values > most) {
            most = values;
            plan->defaults = w->quant;
        }
    }
    most = 0;
    for (int dtype = WE_F32; dtype <= WE_BF16; dtype++)
        if (by_dtype[dtype] > most) {
            most = by_dtype[dtype];
            plan->dtype = (enum we_dtype)dtype;
        }
}

we_status we_gguf_plan_make(const struct we_gguf *gguf, const struct we_gguf_config *config,
                            const struct we_convert_options *options, struct we_arena *arena, struct we_gguf_plan *plan,
                            struct we_error *error)
{
    *plan = (struct we_gguf_plan){.dtype = WE_F16};
    size_t count = we_gguf_tensor_count(gguf);
    struct planner p = {gguf, config, arena, plan, we_arena_array(arena, count, sizeof(bool)), we_quantizer_best(), error};
    plan->weights = we_arena_array(arena, count, sizeof *plan->weights); /* each tensor has one place at most */
    if (p.used == NULL || plan->weights == NULL)
        return we_error_memory(error, "the list of tensors");
    we_status status = add_all(&p);
    if (status == WE_OK)
        status = check_leftovers(&p);
    if (status == WE_OK)
        status = change_formats(&p, options);
    if (status == WE_OK)
        status = choose_types(&p, options->dtype);
    struct we_quant wanted = plan->defaults;
    if (status == WE_OK)
        count_formats(plan);
    if (options->quantize)
        plan->defaults = wanted;
    return status;
}

uint64_t we_gguf_weight_parameters(const struct we_gguf_weight *weight)
{
    return (uint64_t)weight->rows * weight->in;
}
