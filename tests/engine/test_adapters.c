/* Adapters against what mlx-lm computes with them in float32 (compare_adapters.py): LoRA and DoRA beside dense layers, fused
 * ones, experts, routers, those of latent attention and of the gated delta rule, embeddings, with heads of their own and shared
 * ones; and full fine-tuning; in both precisions; and adapters that do not belong to the model, or are broken. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_COLUMNS = 24, MOST_ROWS = 4 };

struct golden_rows {
    struct we_arena arena;
    uint32_t *ids, *rows;
    size_t num_ids, num_rows;
    const struct we_json *logits;
    float found[MOST_ROWS][MOST_COLUMNS];
    size_t seen;
};

static bool keep_row(void *context, size_t index, const float *logits)
{
    struct golden_rows *g = context;
    if (g->seen < g->num_rows && g->rows[g->seen] == index)
        memcpy(g->found[g->seen++], logits, MOST_COLUMNS * sizeof *logits);
    return true;
}

static void read_golden(const char *adapter, struct golden_rows *g)
{
    char path[4096];
    append_path(path, model_path(adapter), "golden.json");
    *g = (struct golden_rows){0};
    const struct we_json *json = json_file(&g->arena, path);
    g->ids = json_u32s(&g->arena, we_json_get(json, "ids"), &g->num_ids);
    g->rows = json_u32s(&g->arena, we_json_get(json, "rows"), &g->num_rows);
    g->logits = we_json_get(json, "logits");
    assert_true(g->num_rows <= MOST_ROWS && g->logits->count == g->num_rows);
}

static struct we_model *open_adapted(const char *model, const char *adapter, enum we_precision precision)
{
    struct we_model_options options;
    we_model_options_init(&options);
    options.precision = precision;
    options.rope_compat = WE_ROPE_MLX;
    options.adapter = adapter ? model_path(adapter) : NULL;
    return open_model(model_path(model), &options);
}

static int compare_numbers(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Of the rows the greatest error, in fast precision that of the middle one: a router may tip over. */
static double error_of(const char *model, const char *adapter, struct golden_rows *g, enum we_precision precision, bool decode)
{
    struct we_error error;
    double errors[MOST_ROWS];
    struct we_model *opened = open_adapted(model, adapter, precision);
    g->seen = 0;
    we_status status = decode ? we_logits_decode(opened, g->ids, g->num_ids, keep_row, g, &error)
                              : we_logits(opened, g->ids, g->num_ids, keep_row, g, &error);
    if (status != WE_OK)
        fail_msg("%s", error.message);
    we_model_close(opened);
    assert_int_equal(g->seen, g->num_rows);
    for (size_t i = 0; i < g->num_rows; i++) {
        float expected[MOST_COLUMNS];
        for (size_t k = 0; k < MOST_COLUMNS; k++)
            expected[k] = (float)g->logits->items[i].items[k].number;
        errors[i] = relative_rms(g->found[i], expected, MOST_COLUMNS);
    }
    qsort(errors, g->num_rows, sizeof *errors, compare_numbers);
    return errors[precision == WE_PRECISION_FAST ? g->num_rows / 2 : g->num_rows - 1];
}

static void test_as_mlx_lm(void **state)
{
    (void)state;
    static const char *const names[] = {"family-llama",   "family-phi3",   "family-qwen3_moe", "family-deepseek_v3",
                                        "family-qwen3_5", "family-cohere", "llama-bfloat16",   "family-gemma"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *model = names[i], *part = strchr(model, '-') + 1;
        char adapter[64];
        struct golden_rows g;
        snprintf(adapter, sizeof adapter, "adapter-%s", strncmp(model, "family-", 7) == 0 ? part : model);
        read_golden(adapter, &g);
        const double exact = error_of(model, adapter, &g, WE_PRECISION_EXACT, false);
        const double decode = error_of(model, adapter, &g, WE_PRECISION_EXACT, true);
        const double fast = error_of(model, adapter, &g, WE_PRECISION_FAST, false);
        const double fast_decode = error_of(model, adapter, &g, WE_PRECISION_FAST, true);
        const double without = error_of(model, NULL, &g, WE_PRECISION_EXACT, false);
        if (!(exact <= 2e-5 && decode <= 2e-5 && fast <= 6e-2 && fast_decode <= 6e-2))
            fail_msg("%s: the logits differ from mlx-lm's by %.2e, %.2e (decode), %.2e (fast) and %.2e (fast decode)", names[i],
                     exact, decode, fast, fast_decode);
        assert_true(without > 1e-1); /* so the adapter matters */
        we_arena_free(&g.arena);
    }
}

/* A copy of an adapter in which, in one file, one text is another. */
static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *model, *adapter, *file, *from, *to;
        we_status status;
        const char *message;
    } cases[] = {
        {"family-llama", "adapter-llama", NULL, NULL, NULL, WE_OK, ""},
        {"family-qwen3", "adapter-llama", NULL, NULL, NULL, WE_INVALID_FORMAT, "may be for another model"},
        {"family-llama", "adapter-phi3", NULL, NULL, NULL, WE_INVALID_FORMAT, "may be for another model"},
        {"family-llama", "adapter-llama", "adapters.safetensors", "q_proj", "z_proj", WE_UNSUPPORTED,
         "no linear layer of this name"},
        {"family-llama", "adapter-llama", "adapters.safetensors", "q_proj.lora_a", "q_proj.lora_c", WE_INVALID_FORMAT,
         "not one that such an adapter has"},
        {"family-llama", "adapter-llama", "adapters.safetensors", "q_proj.lora_a", "z_proj.lora_a", WE_INVALID_FORMAT,
         "lacks lora_a or lora_b"},
        {"family-llama", "adapter-llama", "adapter_config.json", "\"lora\"", "\"fool\"", WE_UNSUPPORTED,
         "fine_tune_type 'fool' is not supported; lora, dora and full are"},
        {"family-llama", "adapter-llama", "adapter_config.json", "\"lora\"", "\"full\"", WE_INVALID_FORMAT,
         "none of this name"},
        {"family-gemma", "adapter-gemma", "adapter_config.json", "\"full\"", "\"lora\"", WE_INVALID_FORMAT,
         "no \"lora_parameters\""},
        {"family-gemma2", "adapter-gemma", NULL, NULL, NULL, WE_INVALID_FORMAT, "where the model has"},
        {"family-cohere", "adapter-llama-bfloat16", NULL, NULL, NULL, WE_INVALID_FORMAT,
         "the adapter may be for another model"},
        {"family-cohere", "adapter-cohere", "adapters.safetensors", "embed_tokens", "embed_tokenz", WE_INVALID_FORMAT,
         "does not name its layer"},
        {"family-llama", "adapter-llama", "adapter_config.json", "\"scale\"", "\"alpha\"", WE_INVALID_FORMAT, "scale"},
        {"family-llama", "adapter-llama", "adapter_config.json", "\"rank\": 3", "\"rank\": 4", WE_INVALID_FORMAT,
         "is not that of rank 4"},
        {"family-llama", "adapter-llama", "adapter_config.json", "\"rank\": 3", "\"rank\": 0", WE_INVALID_FORMAT,
         "\"rank\" is 0"},
        {"family-llama", "adapter-llama", "adapter_config.json", "\"num_layers\"", "\"num_lagers\"", WE_INVALID_FORMAT,
         "\"num_layers\" is no whole number"},
        {"family-llama", "adapter-llama", "adapter_config.json", "\"lora_parameters\"", "\"lora_parameterz\"",
         WE_INVALID_FORMAT, "there is no \"lora_parameters\""},
        {"family-llama", "adapter-llama", "adapter_config.json", "{", "[", WE_INVALID_FORMAT, "adapter_config.json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct we_arena arena = {0};
        struct we_model_options options;
        struct we_model *model = NULL;
        struct we_error error = {0};
        char *folder = make_folder(&arena), *adapter = copy_model(&arena, cases[i].adapter, folder);
        if (cases[i].file)
            edit_file(adapter, cases[i].file, cases[i].from, cases[i].to);
        we_model_options_init(&options);
        options.adapter = adapter;
        we_status status = we_model_open(model_path(cases[i].model), &options, &model, &error);
        if (status != cases[i].status || (status != WE_OK && strstr(error.message, cases[i].message) == NULL))
            fail_msg("case %zu: status %d, \"%s\"", i, status, error.message);
        we_model_close(model);
        remove_folder(folder);
        we_arena_free(&arena);
    }
}

static void test_missing(void **state)
{
    (void)state;
    struct we_model_options options;
    struct we_model *model = NULL;
    struct we_error error = {0};
    we_model_options_init(&options);
    options.adapter = "/no/such/adapter";
    assert_int_equal(we_model_open(model_path("family-llama"), &options, &model, &error), WE_NOT_FOUND);
    assert_non_null(strstr(error.message, "/no/such/adapter"));
    options.adapter = model_path("family-llama"); /* a directory, but no adapter */
    assert_int_equal(we_model_open(model_path("family-llama"), &options, &model, &error), WE_NOT_FOUND);
    assert_non_null(strstr(error.message, "adapter_config.json"));
    assert_int_equal(we_model_open("http://localhost:1/v1", &options, &model, &error), WE_UNSUPPORTED);
    assert_non_null(strstr(error.message, "adapter"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_mlx_lm), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_missing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
