#include "engine/model.h"
#include "arch/adapter.h"
#include "engine/memory.h"
#include "engine/remote_model.h"
#include "remote/remote.h"

#include "base/fs.h"
#include "base/system.h"

#include <stdlib.h>
#include <whisperengine_tools.h>

const char *we_version(void)
{
    return WE_VERSION;
}

void we_model_options_init(struct we_model_options *options)
{
    *options = (struct we_model_options){0};
}

we_status we_model_describe(const char *path, bool to_run, const char *adapter, enum we_rope_compat rope_compat,
                            struct we_arena *arena, struct we_config *config, struct we_safetensors **weights,
                            struct we_decoder *decoder, struct we_error *error)
{
    *weights = NULL;
    struct we_arch_source source = {.arena = arena, .rope_compat = rope_compat, .shapes_only = !to_run};
    we_status status = we_config_open(path, arena, config, error);
    if (status == WE_OK)
        status = we_quantization_parse(config, &source.quantization, error);
    if (status == WE_OK)
        status = we_weights_open(path, config, to_run, weights, error);
    if (status != WE_OK)
        return status;
    if (adapter)
        status = we_adapter_replace(adapter, arena, weights, error);
    source.config = *config;
    source.weights = *weights;
    if (status == WE_OK)
        status = we_arch_describe(&source, decoder, error);
    if (status != WE_OK) {
        we_safetensors_close(*weights);
        *weights = NULL;
    }
    return status;
}

uint64_t we_linear_bytes(const struct we_linear *linear)
{
    uint64_t row;
    if (linear->mode == WE_QUANT_NONE) {
        row = linear->in * we_dtype_size(linear->dtype);
    } else {
        struct we_quant quant = {linear->mode, linear->bits, linear->group_size};
        uint64_t group = we_dtype_size(linear->dtype) * (linear->biases ? 2 : 1);
        row = we_quant_row_bytes(quant, linear->in) + we_quant_row_groups(quant, linear->in) * group;
    }
    return we_linear_rows(linear) * (row + (linear->bias.data ? we_dtype_size(linear->bias.dtype) : 0));
}

static uint64_t linear_parameters(const struct we_linear *linear)
{
    return we_linear_rows(linear) * (linear->in + (linear->bias.data ? 1 : 0));
}

struct count {
    uint64_t parameters, bytes;
};

static void count_linear(struct count *count, const struct we_linear *linear)
{
    if (linear->data == NULL)
        return;
    count->parameters += linear_parameters(linear);
    count->bytes += we_linear_bytes(linear);
}

static void count_norm(struct count *count, const struct we_norm *norm)
{
    const struct we_vector *vectors[] = {&norm->weight, &norm->bias};
    for (int i = 0; i < 2; i++) {
        if (vectors[i]->data == NULL)
            continue;
        count->parameters += vectors[i]->length;
        count->bytes += vectors[i]->length * we_dtype_size(vectors[i]->dtype);
    }
}

static void count_feed_forward(struct count *count, const struct we_feed_forward *f)
{
    count_linear(count, &f->gate_proj);
    count_linear(count, &f->up_proj);
    count_linear(count, &f->down_proj);
}

/* A token reads the experts that are chosen for it. */
static void count_moe(struct count *count, const struct we_moe *moe)
{
    struct count experts = {0};
    count_feed_forward(&experts, &moe->experts);
    count->parameters += experts.parameters;
    count->bytes += experts.bytes / moe->num_experts * moe->top_k;
    count_feed_forward(count, &moe->shared);
    count_linear(count, &moe->router);
    count_linear(count, &moe->shared_gate);
    count_linear(count, &moe->latent_in);
    count_linear(count, &moe->latent_out);
    count_norm(count, &(struct we_norm){.weight = moe->expert_scale});
    count_norm(count, &moe->router_norm);
}

static void count_vectors(struct count *count, const struct we_vector *const *vectors, size_t n)
{
    for (size_t i = 0; i < n; i++)
        count_norm(count, &(struct we_norm){.weight = *vectors[i]});
}

static void count_gated_delta(struct count *count, const struct we_gated_delta *g)
{
    const struct we_linear *linears[] = {&g->q_proj, &g->k_proj, &g->v_proj, &g->z_proj, &g->b_proj, &g->a_proj, &g->out_proj};
    for (size_t i = 0; i < sizeof linears / sizeof *linears; i++)
        count_linear(count, linears[i]);
    count_vectors(count, (const struct we_vector *const[]){&g->conv, &g->a_log, &g->dt_bias}, 3);
    count_norm(count, &g->norm);
}

static void count_mamba2(struct count *count, const struct we_mamba2 *m)
{
    count_linear(count, &m->in_proj);
    count_linear(count, &m->out_proj);
    count_vectors(count, (const struct we_vector *const[]){&m->conv, &m->conv_bias, &m->a_log, &m->dt_bias, &m->d}, 5);
    count_norm(count, &m->norm);
}

static void count_block(struct count *count, const struct we_block *block)
{
    count_norm(count, &block->pre_norm);
    count_norm(count, &block->post_norm);
    if (block->kind == WE_BLOCK_ATTENTION) {
        const struct we_attention *a = block->op.attention;
        const struct we_linear *linears[] = {&a->q_proj, &a->k_proj, &a->v_proj, &a->o_proj, &a->gate_proj};
        for (int i = 0; i < 5; i++)
            count_linear(count, linears[i]);
        count_norm(count, &a->q_norm);
        count_norm(count, &a->k_norm);
    } else if (block->kind == WE_BLOCK_FEED_FORWARD) {
        count_feed_forward(count, block->op.feed_forward);
    } else if (block->kind == WE_BLOCK_MOE) {
        count_moe(count, block->op.moe);
    } else if (block->kind == WE_BLOCK_GATED_DELTA) {
        count_gated_delta(count, block->op.gated_delta);
    } else if (block->kind == WE_BLOCK_MAMBA2) {
        count_mamba2(count, block->op.mamba2);
    } else if (block->kind == WE_BLOCK_LATENT_ATTENTION) {
        const struct we_latent_attention *a = block->op.latent_attention;
        const struct we_linear *linears[] = {&a->q_a_proj, &a->q_proj,      &a->latent_proj, &a->rope_proj,
                                             &a->embed_q,  &a->unembed_out, &a->o_proj};
        for (size_t i = 0; i < sizeof linears / sizeof *linears; i++)
            count_linear(count, linears[i]);
        count_norm(count, &a->q_a_norm);
        count_norm(count, &a->latent_norm);
    } else if (block->kind == WE_BLOCK_LAYER_INPUT) {
        count_linear(count, &block->op.layer_input->gate_proj);
        count_linear(count, &block->op.layer_input->out_proj);
    } else {
        const struct we_short_conv *c = block->op.short_conv;
        count_linear(count, &c->in_proj);
        count_linear(count, &c->out_proj);
        count_norm(count, &(struct we_norm){.weight = c->weight, .bias = c->bias});
    }
}

static void count_step(struct count *count, const struct we_step *step)
{
    for (uint32_t b = 0; b < step->num_blocks; b++)
        count_block(count, &step->blocks[b]);
    count_norm(count, &step->post_norm);
}

void we_decoder_count(const struct we_decoder *decoder, uint64_t *num_parameters, uint64_t *token_bytes)
{
    struct count count = {0};
    for (uint32_t l = 0; l < decoder->num_layers; l++)
        for (uint32_t s = 0; s < decoder->layers[l].num_steps; s++)
            count_step(&count, &decoder->layers[l].steps[s]);
    const struct we_layer_inputs *inputs = &decoder->layer_inputs;
    if (inputs->width) { /* a token reads one row of the embedding */
        count.parameters += linear_parameters(&inputs->embed_tokens);
        count.bytes += we_linear_bytes(&inputs->embed_tokens) / inputs->embed_tokens.rows;
        count_linear(&count, &inputs->proj);
        count_norm(&count, &inputs->norm);
    }
    count_norm(&count, &decoder->norm);
    count_linear(&count, &decoder->lm_head);
    *token_bytes = count.bytes + we_linear_bytes(&decoder->embed_tokens) / decoder->embed_tokens.rows;
    bool tied = decoder->lm_head.data == decoder->embed_tokens.data;
    *num_parameters = count.parameters + (tied ? 0 : linear_parameters(&decoder->embed_tokens));
}

/* End tokens: generation_config.json, else config.json, else the tokenizer's, as mlx-lm takes them. */
static we_status read_end_tokens(struct we_model *m, const struct we_config *generation, struct we_error *error)
{
    we_status status = WE_OK;
    if (generation->json)
        status = we_config_u32s(generation, "eos_token_id", &m->arena, &m->end_tokens, &m->num_end_tokens, error);
    if (status == WE_OK && m->end_tokens == NULL)
        status = we_config_u32s(&m->config, "eos_token_id", &m->arena, &m->end_tokens, &m->num_end_tokens, error);
    if (status != WE_OK || m->end_tokens || m->tokenizer == NULL)
        return status;
    struct we_config tokenizer_config;
    status = we_config_open_file(m->info.path, "tokenizer_config.json", &m->arena, &tokenizer_config, error);
    if (status == WE_NOT_FOUND)
        return WE_OK;
    struct we_str text = {0};
    const struct we_json *eos = status == WE_OK ? we_json_get(tokenizer_config.json, "eos_token") : NULL;
    if (eos && eos->kind == WE_JSON_OBJECT)
        eos = we_json_get(eos, "content");
    if (eos && eos->kind == WE_JSON_STRING)
        text = eos->string;
    uint32_t id = text.length ? we_tokenizer_token_id(m->tokenizer, text) : UINT32_MAX;
    if (status != WE_OK || id == UINT32_MAX)
        return status;
    uint32_t *ids = we_arena_array(&m->arena, 1, sizeof *ids);
    if (ids == NULL)
        return we_error_memory(error, "the end tokens");
    ids[0] = id;
    m->end_tokens = ids;
    m->num_end_tokens = 1;
    return WE_OK;
}

/* generation_config.json's values are defaults for what a user leaves open. */
we_status we_model_read_generation_config(struct we_model *m, struct we_error *error)
{
    struct we_sampling *s = &m->sampling;
    we_sampling_init(s, NULL);
    struct we_config config = {0};
    struct we_error ignored;
    we_status status = we_config_open_file(m->info.path, "generation_config.json", &m->arena, &config, &ignored);
    if (status != WE_OK && status != WE_NOT_FOUND) {
        if (error)
            *error = ignored;
        return status;
    }
    if (config.json) {
        bool do_sample = true;
        status = we_config_float(&config, "temperature", &s->temperature, error);
        if (status == WE_OK)
            status = we_config_float(&config, "top_p", &s->top_p, error);
        if (status == WE_OK)
            status = we_config_float(&config, "min_p", &s->min_p, error);
        if (status == WE_OK)
            status = we_config_u32(&config, "top_k", &s->top_k, error);
        if (status == WE_OK)
            status = we_config_float(&config, "repetition_penalty", &s->repetition_penalty, error);
        if (status == WE_OK)
            status = we_config_bool(&config, "do_sample", &do_sample, error);
        if (!do_sample)
            s->temperature = 0;
    } else {
        status = WE_OK;
    }
    return status == WE_OK ? read_end_tokens(m, &config, error) : status;
}

/* Optional parts of the directory: without them the model still continues ids. */
static we_status open_text(struct we_model *m, struct we_error *error)
{
    struct we_error e;
    we_status status = we_tokenizer_open(m->info.path, &m->tokenizer, &e);
    if (status == WE_OK) {
        m->info.has_tokenizer = true;
        status = we_chat_template_open(m->info.path, &m->chat_template, &e);
    }
    if (status != WE_OK && status != WE_NOT_FOUND) {
        if (error)
            *error = e;
        return status;
    }
    return WE_OK;
}

static we_status load(struct we_model *m, const struct we_model_options *options, struct we_error *error)
{
    struct we_load_options load_options = we_default_load_options(&m->decoder, &m->layout);
    load_options.threads = options->threads;
    load_options.isa = options->isa;
    load_options.weights_mapped = we_safetensors_is_mapped(m->weights);
    load_options.no_repack = options->no_repack;
    if (options->max_sequences)
        load_options.max_spans = options->max_sequences;
    if (options->precision)
        load_options.precision = options->precision;
    if (load_options.max_spans > WE_MAX_LOGIT_ROWS)
        return we_error_set(error, WE_INVALID_ARGUMENT, "max_sequences is %u, where at most %u was expected",
                            load_options.max_spans, (unsigned)WE_MAX_LOGIT_ROWS);
    struct we_device_info device;
    we_status status = we_kv_layout_derive(&m->decoder, load_options.precision == WE_PRECISION_FAST ? WE_BF16 : WE_F32,
                                           &m->arena, &m->layout, error);
    if (status == WE_OK)
        status = we_backend_select(options->device, &load_options, &m->backend, &device, error);
    struct we_memory_plan plan;
    if (status == WE_OK)
        status = we_memory_plan(m->info.path, m->info.weight_bytes, options->max_context, options->memory_limit, m->backend,
                                &load_options, &plan, error);
    if (status != WE_OK)
        return status;
    uint32_t *num_pages = we_arena_array(&m->arena, m->layout.num_groups, sizeof *num_pages);
    m->info.device = we_arena_copy(&m->arena, we_str_c(device.name));
    if (num_pages == NULL || m->info.device == NULL)
        return we_error_memory(error, "a model");
    for (uint32_t g = 0; g < m->layout.num_groups; g++)
        num_pages[g] = plan.num_pages;
    load_options.num_pages = num_pages;
    m->info.context_length = plan.context_length;
    m->info.kv_position_bytes = we_kv_position_bytes(&m->layout);
    status = m->backend->load(&load_options, &m->executor, error);
    if (status != WE_OK)
        return status;
    struct we_scheduler_options scheduler_options = {
        .backend = m->backend,
        .executor = m->executor,
        .decoder = &m->decoder,
        .layout = &m->layout,
        .num_pages = num_pages,
        .num_slots = plan.num_slots,
        .context_length = plan.context_length,
        .max_rows = load_options.max_rows,
        .max_sequences = load_options.max_spans,
        .max_logit_rows = load_options.max_logit_rows,
    };
    return we_scheduler_new(&scheduler_options, &m->scheduler, error);
}

we_status we_model_open(const char *name, const struct we_model_options *options, struct we_model **model,
                        struct we_error *error)
{
    *model = NULL;
    double start = we_clock();
    struct we_model_options defaults;
    we_model_options_init(&defaults);
    options = options ? options : &defaults;
    if (name && we_remote_is_address(name) && options->adapter)
        return we_error_set(error, WE_UNSUPPORTED, "%s: an adapter can be applied only to a model that runs here", name);
    if (name && we_remote_is_address(name))
        return we_remote_model_open(name, options, model, error);
    char *path = NULL;
    struct we_model *m = calloc(1, sizeof *m);
    we_status status = m ? we_store_find(options->models_dir, name, &path, error) : we_error_memory(error, "a model");
    if (status != WE_OK)
        goto done;
    m->info.path = we_arena_copy(&m->arena, we_str_c(path));
    if (m->info.path == NULL) {
        status = we_error_memory(error, "a model");
        goto done;
    }
    status = we_model_describe(m->info.path, true, options->adapter, options->rope_compat, &m->arena, &m->config, &m->weights,
                               &m->decoder, error);
    if (status != WE_OK)
        goto done;
    m->info.model_type = m->decoder.model_type;
    m->info.vocab_size = m->decoder.vocab_size;
    m->info.weight_bytes = we_safetensors_bytes(m->weights);
    if (options->adapter) {
        uint64_t bytes;
        status = we_adapter_apply(options->adapter, &m->arena, &m->decoder, &bytes, error);
        if (status != WE_OK)
            goto done;
        m->info.weight_bytes += bytes;
    }
    we_decoder_count(&m->decoder, &m->info.num_parameters, &m->info.token_bytes);
    status = load(m, options, error);
    if (status == WE_OK)
        status = open_text(m, error);
    if (status == WE_OK)
        status = we_model_read_generation_config(m, error);
    m->info.load_seconds = we_clock() - start;
done:
    free(path);
    if (status != WE_OK)
        we_model_close(m);
    else
        *model = m;
    return status;
}

void we_model_close(struct we_model *m)
{
    if (m == NULL)
        return;
    we_remote_model_close(m);
    we_scheduler_free(m->scheduler);
    if (m->executor)
        m->backend->unload(m->executor);
    we_chat_template_close(m->chat_template);
    we_tokenizer_close(m->tokenizer);
    we_safetensors_close(m->weights);
    we_arena_free(&m->arena);
    free(m);
}

const struct we_model_info *we_model_info(const struct we_model *m)
{
    return &m->info;
}
