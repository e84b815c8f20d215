/* A model directory, looked at without loading it: for `show`. */
#include "engine/memory.h"
#include "engine/model.h"

#include "base/fs.h"

#include <stdio.h>
#include <stdlib.h>
#include <whisperengine_tools.h>

struct we_model_summary {
    struct we_arena arena;
    struct we_model_facts facts;
    uint64_t scratch_bytes; /* of the back-end that would be used */
};

enum { MAX_FORMATS = 64 };

struct formats {
    struct we_quantization_count counts[MAX_FORMATS];
    size_t count;
    uint64_t total_bits; /* of what was counted */
    uint64_t total_parameters;
};

static void format_name(const struct we_linear *linear, char name[32])
{
    if (linear->mode == WE_QUANT_NONE)
        snprintf(name, 32, "%s", linear->dtype == WE_BF16 ? "bfloat16" : linear->dtype == WE_F16 ? "float16" : "float32");
    else
        snprintf(name, 32, "%s %u bits, group %u", we_quant_mode_name(linear->mode), linear->bits, linear->group_size);
}

static void count_format(struct formats *formats, const struct we_linear *linear, bool new_module)
{
    char name[32];
    format_name(linear, name);
    size_t i = 0;
    while (i < formats->count && strcmp(formats->counts[i].name, name) != 0)
        i++;
    if (i == MAX_FORMATS)
        return;
    if (i == formats->count) {
        formats->count++;
        formats->counts[i] = (struct we_quantization_count){0};
        memcpy(formats->counts[i].name, name, sizeof name);
    }
    uint64_t parameters = we_linear_rows(linear) * linear->in;
    formats->counts[i].num_modules += new_module;
    formats->counts[i].num_parameters += parameters;
    formats->counts[i].bytes += we_linear_bytes(linear);
    formats->total_bits += 8 * we_linear_bytes(linear);
    formats->total_parameters += parameters;
}

/* Views of one fused projection are one module. */
static void count_views(struct formats *formats, const struct we_linear *const *linears, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (linears[i]->data == NULL)
            continue;
        bool new_module = true;
        for (size_t j = 0; j < i; j++)
            new_module = new_module && linears[j]->data != linears[i]->data;
        count_format(formats, linears[i], new_module);
    }
}

static int larger_first(const void *a, const void *b)
{
    const struct we_quantization_count *x = a, *y = b;
    return x->num_parameters < y->num_parameters ? 1 : x->num_parameters > y->num_parameters ? -1 : 0;
}

static void count_feed_forward(struct formats *formats, const struct we_feed_forward *f)
{
    count_views(formats, (const struct we_linear *const[]){&f->gate_proj, &f->up_proj, &f->down_proj}, 3);
}

static void count_formats(const struct we_decoder *decoder, struct formats *formats)
{
    for (uint32_t l = 0; l < decoder->num_layers; l++) {
        for (uint32_t s = 0; s < decoder->layers[l].num_steps; s++) {
            for (uint32_t b = 0; b < decoder->layers[l].steps[s].num_blocks; b++) {
                const struct we_block *block = &decoder->layers[l].steps[s].blocks[b];
                if (block->kind == WE_BLOCK_ATTENTION) {
                    const struct we_attention *a = block->op.attention;
                    count_views(
                        formats,
                        (const struct we_linear *const[]){&a->q_proj, &a->gate_proj, &a->k_proj, &a->v_proj, &a->o_proj}, 5);
                } else if (block->kind == WE_BLOCK_FEED_FORWARD) {
                    count_feed_forward(formats, block->op.feed_forward);
                } else if (block->kind == WE_BLOCK_SHORT_CONV) {
                    const struct we_short_conv *c = block->op.short_conv;
                    count_views(formats, (const struct we_linear *const[]){&c->in_proj, &c->out_proj}, 2);
                } else if (block->kind == WE_BLOCK_GATED_DELTA) {
                    const struct we_gated_delta *g = block->op.gated_delta;
                    count_views(formats,
                                (const struct we_linear *const[]){&g->q_proj, &g->k_proj, &g->v_proj, &g->z_proj, &g->b_proj,
                                                                  &g->a_proj, &g->out_proj},
                                7);
                } else if (block->kind == WE_BLOCK_MAMBA2) {
                    const struct we_mamba2 *m = block->op.mamba2;
                    count_views(formats, (const struct we_linear *const[]){&m->in_proj, &m->out_proj}, 2);
                } else if (block->kind == WE_BLOCK_LATENT_ATTENTION) {
                    const struct we_latent_attention *a = block->op.latent_attention;
                    count_views(formats,
                                (const struct we_linear *const[]){&a->q_a_proj, &a->q_proj, &a->latent_proj, &a->rope_proj,
                                                                  &a->embed_q, &a->unembed_out, &a->o_proj},
                                7);
                } else if (block->kind == WE_BLOCK_LAYER_INPUT) {
                    const struct we_layer_input *input = block->op.layer_input;
                    count_views(formats, (const struct we_linear *const[]){&input->gate_proj, &input->out_proj}, 2);
                } else {
                    const struct we_moe *moe = block->op.moe;
                    count_feed_forward(formats, &moe->experts);
                    count_feed_forward(formats, &moe->shared);
                    count_views(
                        formats,
                        (const struct we_linear *const[]){&moe->router, &moe->shared_gate, &moe->latent_in, &moe->latent_out},
                        4);
                }
            }
        }
    }
    const struct we_layer_inputs *inputs = &decoder->layer_inputs;
    count_views(formats, (const struct we_linear *const[]){&inputs->embed_tokens, &inputs->proj}, 2);
    count_format(formats, &decoder->embed_tokens, true);
    if (decoder->lm_head.data != decoder->embed_tokens.data)
        count_format(formats, &decoder->lm_head, true);
    qsort(formats->counts, formats->count, sizeof *formats->counts, larger_first);
}

static we_status list_files(struct we_model_summary *summary, struct we_error *error)
{
    struct we_model_facts *facts = &summary->facts;
    char **names;
    we_status status = we_list_directory(facts->path, &summary->arena, &names, &facts->num_files, error);
    if (status != WE_OK)
        return status;
    uint64_t *bytes = we_arena_array(&summary->arena, facts->num_files, sizeof *bytes);
    for (size_t i = 0; bytes && i < facts->num_files; i++) {
        char *path = we_path_join(&summary->arena, facts->path, names[i]);
        bytes[i] = path ? we_path_size(path) : 0;
        facts->has_tokenizer = facts->has_tokenizer || strcmp(names[i], "tokenizer.json") == 0;
    }
    facts->files = (const char *const *)names;
    facts->file_bytes = bytes;
    return bytes ? WE_OK : we_error_memory(error, "the list of files");
}

/* The first attention block's heads stand for all. */
static void find_heads(const struct we_decoder *decoder, struct we_model_facts *facts)
{
    for (uint32_t l = 0; l < decoder->num_layers; l++)
        for (uint32_t s = 0; s < decoder->layers[l].num_steps; s++)
            for (uint32_t b = 0; b < decoder->layers[l].steps[s].num_blocks; b++) {
                const struct we_block *block = &decoder->layers[l].steps[s].blocks[b];
                if (block->kind != WE_BLOCK_ATTENTION)
                    continue;
                facts->num_attention_heads = block->op.attention->num_attention_heads;
                facts->num_key_value_heads = block->op.attention->num_key_value_heads;
                facts->head_dim = block->op.attention->head_dim;
                return;
            }
}

/* What the back-end that would be used allocates beside the pages; stays 0 where there is none. */
static void find_scratch(struct we_model_summary *summary, const struct we_decoder *decoder, const struct we_kv_layout *layout,
                         const struct we_model_options *options, enum we_precision precision)
{
    struct we_load_options load = we_default_load_options(decoder, layout);
    const struct we_backend *backend;
    struct we_device_info device;
    load.precision = precision;
    load.threads = options->threads;
    load.isa = options->isa;
    if (options->max_sequences && options->max_sequences <= WE_MAX_LOGIT_ROWS)
        load.max_spans = options->max_sequences;
    if (we_backend_select(options->device, &load, &backend, &device, NULL) == WE_OK)
        we_memory_scratch(backend, &load, &summary->scratch_bytes, NULL);
}

static we_status fill_facts(struct we_model_summary *summary, const struct we_model_options *options, struct we_error *error)
{
    struct we_model_facts *facts = &summary->facts;
    struct we_config config;
    struct we_safetensors *weights = NULL;
    struct we_decoder decoder;
    struct we_kv_layout layout;
    struct formats *formats = we_arena_alloc(&summary->arena, sizeof *formats);
    if (formats == NULL)
        return we_error_memory(error, "a summary");
    we_status status =
        we_model_describe(facts->path, false, NULL, WE_ROPE_PAPER, &summary->arena, &config, &weights, &decoder, error);
    if (status != WE_OK)
        return status;
    const enum we_precision precision = options->precision ? options->precision : WE_PRECISION_EXACT;
    status = we_kv_layout_derive(&decoder, precision == WE_PRECISION_FAST ? WE_BF16 : WE_F32, &summary->arena, &layout, error);
    if (status == WE_OK) {
        const struct we_json *architectures = we_json_get(config.json, "architectures");
        if (architectures && architectures->kind == WE_JSON_ARRAY && architectures->count &&
            architectures->items[0].kind == WE_JSON_STRING)
            facts->architecture = architectures->items[0].string.data;
        uint64_t token_bytes;
        we_decoder_count(&decoder, &facts->num_parameters, &token_bytes);
        facts->model_type = decoder.model_type;
        facts->weight_bytes = we_safetensors_bytes(weights);
        facts->kv_position_bytes = we_kv_position_bytes(&layout);
        facts->state_bytes = we_kv_slot_bytes(&layout);
        facts->hidden_size = decoder.hidden_size;
        facts->num_layers = decoder.num_layers;
        facts->vocab_size = decoder.vocab_size;
        facts->context_length = decoder.context_length;
        facts->tied_embeddings = decoder.lm_head.data == decoder.embed_tokens.data;
        find_heads(&decoder, facts);
        find_scratch(summary, &decoder, &layout, options, precision);
        count_formats(&decoder, formats);
        facts->bits_per_weight = formats->total_parameters ? (double)formats->total_bits / (double)formats->total_parameters : 0;
        facts->quantizations = formats->counts;
        facts->num_quantizations = formats->count;
    }
    we_safetensors_close(weights);
    return status;
}

we_status we_model_summary_open(const char *path, struct we_model_summary **out, struct we_error *error)
{
    return we_model_summary_open_as(path, NULL, out, error);
}

we_status we_model_summary_open_as(const char *path, const struct we_model_options *options, struct we_model_summary **out,
                                   struct we_error *error)
{
    struct we_model_options defaults;
    we_model_options_init(&defaults);
    *out = NULL;
    struct we_model_summary *summary = calloc(1, sizeof *summary);
    if (summary == NULL)
        return we_error_memory(error, "a summary");
    summary->facts.path = we_arena_copy(&summary->arena, we_str_c(path));
    we_status status = summary->facts.path ? fill_facts(summary, options ? options : &defaults, error) : we_error_memory(error, "a summary");
    if (status == WE_OK)
        status = list_files(summary, error);
    if (status == WE_OK) {
        struct we_chat_template *chat_template;
        if (we_chat_template_open(summary->facts.path, &chat_template, NULL) == WE_OK) {
            summary->facts.has_chat_template = true;
            we_chat_template_close(chat_template);
        }
        *out = summary;
    } else {
        we_model_summary_close(summary);
    }
    return status;
}

void we_model_summary_close(struct we_model_summary *summary)
{
    if (summary == NULL)
        return;
    we_arena_free(&summary->arena);
    free(summary);
}

const struct we_model_facts *we_model_summary_facts(const struct we_model_summary *summary)
{
    return &summary->facts;
}

uint64_t we_model_summary_memory(const struct we_model_summary *summary, uint32_t context)
{
    return summary->facts.weight_bytes + summary->scratch_bytes + summary->facts.kv_position_bytes * context;
}
