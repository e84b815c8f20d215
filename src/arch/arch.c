#include "arch/families.h"

#include <stdlib.h>

static const struct we_text_member gemma3_members[] = {{"vocab_size", "262208", true},
                                                       {"num_attention_heads", "8", false},
                                                       {"num_key_value_heads", "4", false},
                                                       {NULL, NULL, false}};
static const struct we_text_member gemma4_members[] = {{"vocab_size", "262144", true},
                                                       {"num_attention_heads", "8", false},
                                                       {"num_key_value_heads", "1", false},
                                                       {NULL, NULL, false}};
static const struct we_text_member mistral3_members[] = {{"tie_word_embeddings", "false", false}, {NULL, NULL, false}};

/* model_type -> family. Aliases are those of mlx-lm. */
const struct we_model_type we_model_types[] = {
    {"bailing_moe", &we_family_bailing_moe, NULL},
    {"cohere", &we_family_cohere, NULL},
    {"cohere2", &we_family_cohere2, NULL},
    {"deepseek_v2", &we_family_deepseek_v2, NULL},
    {"deepseek_v3", &we_family_deepseek_v3, NULL},
    {"dots1", &we_family_dots1, NULL},
    {"ernie4_5", &we_family_ernie4_5, NULL},
    {"ernie4_5_moe", &we_family_ernie4_5_moe, NULL},
    {"exaone4", &we_family_exaone4, NULL},
    {"gemma", &we_family_gemma, NULL},
    {"gemma2", &we_family_gemma2, NULL},
    {"gemma3", &we_family_gemma3, we_text_part_gemma3, gemma3_members},
    {"gemma3_text", &we_family_gemma3_text, NULL},
    {"gemma4", &we_family_gemma4, we_text_part_gemma4, gemma4_members},
    {"gemma4_text", &we_family_gemma4_text, NULL},
    {"gemma4_unified", &we_family_gemma4, we_text_part_gemma4, gemma4_members},
    {"glm4", &we_family_glm4, NULL},
    {"glm4_moe", &we_family_glm4_moe, NULL},
    {"glm4_moe_lite", &we_family_glm4_moe_lite, NULL},
    {"gpt_oss", &we_family_gpt_oss, NULL},
    {"granite", &we_family_granite, NULL},
    {"granitemoe", &we_family_granitemoe, NULL},
    {"granitemoehybrid", &we_family_granitemoehybrid, NULL},
    {"helium", &we_family_helium, NULL},
    {"hunyuan_v1_dense", &we_family_hunyuan_v1_dense, NULL},
    {"internlm2", &we_family_internlm2, NULL},
    {"internlm3", &we_family_internlm3, NULL},
    {"iquestcoder", &we_family_llama, NULL},
    {"joyai_llm_flash", &we_family_deepseek_v3, NULL},
    {"kimi_k2", &we_family_deepseek_v3, NULL},
    {"kimi_k25", &we_family_deepseek_v3, we_text_part_kimi},
    {"kimi_vl", &we_family_deepseek_v3, we_text_part_kimi},
    {"lfm2", &we_family_lfm2, NULL},
    {"lfm2_moe", &we_family_lfm2_moe, NULL},
    {"llama", &we_family_llama, NULL},
    {"llava", &we_family_llama, we_text_part_mistral3, mistral3_members},
    {"mimo", &we_family_mimo, NULL},
    {"minicpm", &we_family_minicpm, NULL},
    {"minimax", &we_family_minimax, NULL},
    {"minimax_m2", &we_family_minimax, NULL},
    {"ministral3", &we_family_ministral3, NULL},
    {"mistral", &we_family_llama, NULL},
    {"mistral3", &we_family_ministral3, we_text_part_mistral3, mistral3_members},
    {"mixtral", &we_family_mixtral, NULL},
    {"nemotron", &we_family_nemotron, NULL},
    {"nemotron_h", &we_family_nemotron_h, NULL},
    {"olmo", &we_family_olmo, NULL},
    {"olmo2", &we_family_olmo2, NULL},
    {"olmo3", &we_family_olmo3, NULL},
    {"olmoe", &we_family_olmoe, NULL},
    {"phi", &we_family_phi, NULL},
    {"phi3", &we_family_phi3, NULL},
    {"phimoe", &we_family_phimoe, NULL},
    {"qwen2", &we_family_qwen2, NULL},
    {"qwen2_moe", &we_family_qwen2_moe, NULL},
    {"qwen3", &we_family_qwen3, NULL},
    {"qwen3_5", &we_family_qwen3_5, we_text_part_qwen3_5},
    {"qwen3_5_moe", &we_family_qwen3_5, we_text_part_qwen3_5},
    {"qwen3_moe", &we_family_qwen3_moe, NULL},
    {"qwen3_next", &we_family_qwen3_next, NULL},
    {"seed_oss", &we_family_seed_oss, NULL},
    {"smollm3", &we_family_smollm3, NULL},
    {"stablelm", &we_family_stablelm, NULL},
    {"starcoder2", &we_family_starcoder2, NULL},
    {"xverse", &we_family_llama, NULL},
    {NULL, NULL, NULL},
};

const char *we_block_kind_name(enum we_block_kind kind)
{
    static const char *const names[WE_BLOCK_KIND_COUNT] = {"attention",         "feed-forward",    "mixture of experts",
                                                           "short convolution", "gated delta",     "Mamba 2",
                                                           "latent attention",  "input of a layer"};
    return names[kind];
}

/* Changes of one character that make one name the other (Levenshtein, 1966); names are cut at MOST. */
static size_t distance(struct we_str a, struct we_str b)
{
    enum { MOST = 48 };
    size_t row[MOST + 1];
    a.length = a.length < MOST ? a.length : MOST;
    b.length = b.length < MOST ? b.length : MOST;
    for (size_t j = 0; j <= b.length; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.length; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.length; j++) {
            const size_t changed = corner + (a.data[i - 1] != b.data[j - 1]);
            const size_t moved = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            corner = row[j];
            row[j] = changed < moved ? changed : moved;
        }
    }
    return row[b.length];
}

static we_status unknown_type(const struct we_arch_source *source, struct we_str model_type, struct we_error *error)
{
    struct we_buf names = {0};
    const char *nearest = we_model_types[0].name;
    for (const struct we_model_type *type = we_model_types; type->name; type++) {
        if (distance(model_type, we_str_c(type->name)) < distance(model_type, we_str_c(nearest)))
            nearest = type->name;
        we_buf_printf(&names, "%s%s", names.length ? ", " : "", type->name);
    }
    we_status status =
        we_error_set(error, WE_UNSUPPORTED, "%s: model_type '%.*s' is not implemented; the nearest is '%s', and these are: %s",
                     source->config.where, WE_STR_ARG(model_type), nearest, names.data ? names.data : "");
    we_buf_free(&names);
    return status;
}

/* Names, types and shapes tell models apart well enough for a cache that lives as long as the process; a size and a
 * place in the file go with each. */
static uint64_t fingerprint(const struct we_safetensors *weights)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < we_safetensors_count(weights); i++) {
        const struct we_tensor *tensor = we_safetensors_at(weights, i);
        hash = we_str_hash(tensor->name, hash);
        hash = we_str_hash(we_str((const char *)tensor->shape, sizeof tensor->shape), hash + tensor->dtype);
    }
    return hash;
}

/* The family and its defaults; for a text part also its config and the prefix of its weights. */
static we_status find_family(const struct we_model_type *type, struct we_arch_source *source, struct we_build *build,
                             struct we_error *error)
{
    build->family = type->family;
    build->c = type->family->defaults;
    if (type->text_part == NULL)
        return WE_OK;
    struct we_config text;
    we_status status = we_config_object(&source->config, "text_config", source->arena, &text, error);
    if (status != WE_OK)
        return status;
    if (text.json == NULL && type->text_part == we_text_part_qwen3_5)
        text = source->config;
    if (text.json == NULL)
        return we_error_set(error, WE_INVALID_FORMAT,
                            "%s: model_type '%s' has its text model under text_config, which is absent", source->config.where,
                            type->name);
    build->family = type->text_part(&source->config, &text, &build->c, error);
    if (build->family == NULL)
        return error ? error->status : WE_INVALID_FORMAT;
    source->config = text;
    source->prefix = "language_model.";
    return WE_OK;
}

/* `bindings` are the caller's, to be released with free_bindings; *row and *family are set if the model_type is known. */
static we_status describe(const struct we_arch_source *source, const struct we_model_type **row,
                          const struct we_family **family, struct we_bindings *bindings, struct we_decoder *decoder,
                          struct we_error *error)
{
    *decoder = (struct we_decoder){0};
    struct we_str model_type;
    we_status status = we_config_require_string(&source->config, "model_type", &model_type, error);
    if (status != WE_OK)
        return status;
    const struct we_model_type *type = we_model_types;
    while (type->name && !we_str_equal_c(model_type, type->name))
        type++;
    if (type->name == NULL)
        return unknown_type(source, model_type, error);
    struct we_arch_source bound = *source;
    bound.bindings = bindings;
    struct we_build build = {.source = &bound, .decoder = decoder, .error = error};
    decoder->model_type = type->name;
    decoder->fingerprint = fingerprint(source->weights);
    build.status = find_family(type, &bound, &build, error);
    *row = type;
    *family = build.family;
    we_build_begin(&build);
    if (build.status == WE_OK)
        build.family->describe(&build);
    return build.status;
}

static void free_bindings(struct we_bindings *bindings)
{
    free(bindings->tensors);
    free(bindings->linears);
}

we_status we_arch_describe(const struct we_arch_source *source, struct we_decoder *decoder, struct we_error *error)
{
    const struct we_model_type *row = NULL;
    const struct we_family *family = NULL;
    struct we_bindings bindings = {0};
    we_status status = describe(source, &row, &family, &bindings, decoder, error);
    free_bindings(&bindings);
    return status;
}

/* All that was bound, each once; `list` has room for all tensors that there are. */
static void list_tensors(const struct we_safetensors *weights, const struct we_bindings *bindings,
                         struct we_model_tensors *tensors)
{
    struct we_model_tensor *list = tensors->list;
    const struct we_tensor *first = we_safetensors_at(weights, 0);
    for (size_t i = 0; i < bindings->count; i++)
        list[bindings->tensors[i] - first].tensor = bindings->tensors[i];
    for (size_t i = 0; i < bindings->num_linears; i++)
        list[bindings->linears[i].tensor - first] = bindings->linears[i];
    for (size_t i = 0; i < bindings->num_linears; i++) {
        const struct we_model_tensor *linear = &bindings->linears[i];
        if (linear->scales)
            list[linear->scales - first].tensor = NULL;
        if (linear->biases)
            list[linear->biases - first].tensor = NULL;
    }
    for (size_t i = 0; i < we_safetensors_count(weights); i++)
        if (list[i].tensor)
            list[tensors->count++] = list[i];
}

we_status we_arch_tensors(const struct we_arch_source *source, struct we_model_tensors *tensors, struct we_error *error)
{
    const struct we_model_type *row = NULL;
    const struct we_family *family = NULL;
    struct we_bindings bindings = {0};
    struct we_decoder decoder;
    *tensors = (struct we_model_tensors){0};
    we_status status = describe(source, &row, &family, &bindings, &decoder, error);
    if (status == WE_OK) {
        tensors->num_layers = decoder.num_layers;
        tensors->quant_predicate = family->quant_predicate;
        tensors->keeps_dtype = family->keeps_dtype;
        tensors->text_members = row->text_members;
        tensors->list = we_arena_array(source->arena, we_safetensors_count(source->weights), sizeof *tensors->list);
        if (tensors->list)
            list_tensors(source->weights, &bindings, tensors);
        else
            status = we_error_memory(error, "the list of tensors");
    }
    free_bindings(&bindings);
    return status;
}
