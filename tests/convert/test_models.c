/* The tiny models of make_gguf_models.py, converted: every value of every tensor, the config, the tokenizer, the template. */
#include "support.h"

#include "base/json.h"
#include "format/safetensors.h"
#include "text/tokenizer.h"

#include <math.h>

static struct we_arena golden_arena;
static const struct we_json *goldens;

static int open_goldens(void **state)
{
    (void)state;
    goldens = read_json(&golden_arena, TEST_DATA "/models", "goldens.json");
    return 0;
}

static int close_goldens(void **state)
{
    (void)state;
    we_arena_free(&golden_arena);
    return 0;
}

static const char *convert(const char *name, uint64_t shard_bytes, const char *dtype)
{
    const char *directory = in_folder(name);
    struct we_error error;
    struct we_convert_options options = {.dtype = dtype};
    if (we_convert_gguf(model_file(name), directory, shard_bytes, &options, &error) != WE_OK)
        fail_msg("%s: %s", name, error.message);
    return directory;
}

/* ---- values ---- */

static const struct we_tensor *part(const struct we_safetensors *set, struct we_str module, const char *suffix)
{
    char name[256];
    snprintf(name, sizeof name, "%.*s.%s", (int)module.length, module.data, suffix);
    return we_safetensors_find(set, we_str_c(name));
}

/* The tensor `name` as float32, dequantised by the scalar reference if it has scales; the caller's (free). */
static float *values_of(const struct we_safetensors *set, struct we_str name, const uint64_t *shape, size_t dims)
{
    const struct we_tensor *t = we_safetensors_find(set, name);
    if (t == NULL)
        fail_msg("there is no tensor '%.*s'", WE_STR_ARG(name));
    uint64_t rows = dims == 2 ? shape[0] : 1, in = shape[dims - 1];
    float *out = malloc(rows * in * sizeof *out);
    assert_non_null(out);
    assert_int_equal(t->num_dims, dims);
    struct we_str module = we_str(name.data, name.length - 7);
    const struct we_tensor *scales = we_str_ends_with(name, we_str_c(".weight")) ? part(set, module, "scales") : NULL;
    if (scales == NULL) {
        assert_true(t->shape[0] == shape[0] && (dims == 1 || t->shape[1] == shape[1]));
        we_floats_to_f32(t->data, t->dtype, rows * in, out);
    } else {
        const struct we_tensor *biases = part(set, module, "biases");
        uint32_t group_size = (uint32_t)(in / scales->shape[1]);
        struct we_quant quant = {WE_QUANT_AFFINE, (uint32_t)(t->shape[1] * 32 / in), group_size};
        if (scales->dtype == WE_U8)
            quant.mode = group_size == 16 ? WE_QUANT_NVFP4 : WE_QUANT_MXFP4;
        assert_true(we_quant_valid(quant) && in % group_size == 0 && (biases != NULL) == (quant.mode == WE_QUANT_AFFINE));
        assert_true(t->dtype == WE_U32 && t->shape[0] == rows && scales->shape[0] == rows);
        assert_true(biases == NULL ||
                    (biases->shape[0] == rows && biases->shape[1] == scales->shape[1] && scales->dtype == biases->dtype));
        size_t row = we_quant_row_bytes(quant, (uint32_t)in), group = in / group_size * we_dtype_size(scales->dtype);
        for (uint64_t r = 0; r < rows; r++)
            we_dequantize_row(quant, (const char *)t->data + r * row, (const char *)scales->data + r * group,
                              biases ? (const char *)biases->data + r * group : NULL, scales->dtype, (uint32_t)in,
                              out + r * in);
    }
    for (uint64_t i = 0; i < rows * in; i++)
        out[i] += 0.0f; /* no -0, as in the goldens */
    return out;
}

static void check_tensors(const char *model, const char *directory, const struct we_json *golden)
{
    struct we_safetensors *set;
    struct we_error error;
    if (we_safetensors_open(directory, &set, &error) != WE_OK)
        fail_msg("%s", error.message);
    const struct we_json *tensors = we_json_get(golden, "tensors");
    size_t parts = 0;
    for (size_t i = 0; i < tensors->count; i++) {
        const struct we_json *shape = we_json_get(&tensors->items[i], "shape"),
                             *first = we_json_get(&tensors->items[i], "first");
        uint64_t dims[2] = {0}, count = 1;
        for (size_t d = 0; d < shape->count; d++)
            count *= dims[d] = (uint64_t)shape->items[d].integer;
        float *values = values_of(set, tensors->keys[i], dims, shape->count);
        struct we_str module = we_str(tensors->keys[i].data, tensors->keys[i].length - 7);
        bool weight = we_str_ends_with(tensors->keys[i], we_str_c(".weight"));
        parts += 1 + (weight && part(set, module, "scales")) + (weight && part(set, module, "biases"));
        for (size_t v = 0; v < first->count; v++)
            if (values[v] != (float)first->items[v].number)
                fail_msg("%s: %.*s[%zu] is %.9g, where %.9g was expected", model, WE_STR_ARG(tensors->keys[i]), v,
                         (double)values[v], first->items[v].number);
        if (crc32_more(0, values, count * sizeof *values) != (uint32_t)we_json_get(&tensors->items[i], "crc32")->integer)
            fail_msg("%s: values of %.*s differ", model, WE_STR_ARG(tensors->keys[i]));
        free(values);
    }
    assert_int_equal(we_safetensors_count(set), parts); /* and no other tensor */
    we_safetensors_close(set);
}

/* ---- JSON ---- */

static void assert_same(const char *model, struct we_str key, const struct we_json *found, const struct we_json *expected)
{
    if (found == NULL)
        fail_msg("%s: there is no '%.*s'", model, WE_STR_ARG(key));
    bool same = found->kind == expected->kind && found->boolean == expected->boolean && found->count == expected->count;
    if (expected->kind == WE_JSON_NUMBER)
        same = same && (float)found->number == (float)expected->number;
    if (expected->kind == WE_JSON_STRING)
        same = same && we_str_equal(found->string, expected->string);
    if (!same)
        fail_msg("%s: '%.*s' is %.*s, where %.*s was expected", model, WE_STR_ARG(key), WE_STR_ARG(found->string),
                 WE_STR_ARG(expected->string));
    for (size_t i = 0; i < expected->count; i++) {
        char name[64] = "";
        if (expected->kind == WE_JSON_OBJECT)
            snprintf(name, sizeof name, "%.*s", WE_STR_ARG(expected->keys[i]));
        assert_same(model, expected->kind == WE_JSON_OBJECT ? expected->keys[i] : key,
                    expected->kind == WE_JSON_OBJECT ? we_json_get(found, name) : &found->items[i], &expected->items[i]);
    }
}

/* What `expected` says must be in `found`, which may say more. */
static void assert_contains(const char *model, const struct we_json *found, const struct we_json *expected)
{
    for (size_t i = 0; i < expected->count; i++) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", WE_STR_ARG(expected->keys[i]));
        assert_same(model, expected->keys[i], we_json_get(found, name), &expected->items[i]);
    }
}

static void check_tokenizer(const char *model, const char *directory, const struct we_json *golden)
{
    const struct we_json *prompts = we_json_get(golden, "prompts"), *ids = we_json_get(golden, "ids");
    struct we_tokenizer *tokenizer;
    struct we_error error;
    we_status status = we_tokenizer_open(directory, &tokenizer, &error);
    if (prompts == NULL) { /* the file has no vocabulary */
        assert_int_equal(status, WE_NOT_FOUND);
        return;
    }
    if (status != WE_OK)
        fail_msg("%s: %s", model, error.message);
    for (size_t i = 0; i < prompts->count; i++) {
        struct we_ids found = {0};
        assert_int_equal(we_tokenizer_encode(tokenizer, prompts->items[i].string, true, &found, &error), WE_OK);
        bool same = found.count == ids->items[i].count;
        for (size_t k = 0; same && k < found.count; k++)
            same = found.data[k] == (uint32_t)ids->items[i].items[k].integer;
        if (!same)
            fail_msg("%s: '%.*s' gives %zu other ids than the %zu expected", model, WE_STR_ARG(prompts->items[i].string),
                     found.count, ids->items[i].count);
        struct we_buf text = {0};
        assert_int_equal(we_tokenizer_decode(tokenizer, found.data, found.count, true, &text, &error), WE_OK);
        if (!we_str_equal(we_buf_str(&text), prompts->items[i].string))
            fail_msg("%s: '%.*s' comes back as '%s'", model, WE_STR_ARG(prompts->items[i].string), text.data ? text.data : "");
        we_buf_free(&text);
        we_ids_free(&found);
    }
    we_tokenizer_close(tokenizer);
    struct we_arena arena = {0};
    const struct we_json *config = read_json(&arena, directory, "tokenizer_config.json");
    assert_true(we_str_equal(we_json_get(config, "chat_template")->string, we_json_get(golden, "chat_template")->string));
    assert_contains(model, read_json(&arena, directory, "generation_config.json"), we_json_get(golden, "generation"));
    we_arena_free(&arena);
}

static void test_models(void **state)
{
    (void)state;
    assert_int_equal(goldens->count, 13);
    for (size_t i = 0; i < goldens->count; i++) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", WE_STR_ARG(goldens->keys[i]));
        const struct we_json *golden = &goldens->items[i];
        const char *directory = convert(name, (uint64_t)5 << 30, NULL);
        struct we_arena arena = {0};
        assert_contains(name, read_json(&arena, directory, "config.json"), we_json_get(golden, "config"));
        check_tensors(name, directory, golden);
        check_tokenizer(name, directory, golden);
        we_arena_free(&arena);
    }
}

/* ---- element types ---- */

static void assert_types(const char *directory, enum we_dtype dtype)
{
    struct we_safetensors *set;
    assert_int_equal(we_safetensors_open(directory, &set, NULL), WE_OK);
    for (size_t i = 0; i < we_safetensors_count(set); i++) {
        const struct we_tensor *t = we_safetensors_at(set, i);
        if (t->dtype != WE_U32 && t->dtype != dtype)
            fail_msg("%s: %.*s is %s", directory, WE_STR_ARG(t->name), we_dtype_name(t->dtype));
    }
    we_safetensors_close(set);
}

/* The smallest type that keeps every value; 16 bits for all tensors where that is one type. */
static void test_types(void **state)
{
    (void)state;
    assert_types(convert("llama-f16", (uint64_t)5 << 30, NULL), WE_F16);
    assert_types(convert("llama-bf16", (uint64_t)5 << 30, NULL), WE_BF16);
    assert_types(convert("llama-f32", (uint64_t)5 << 30, NULL), WE_F32);
    struct we_safetensors *set;
    assert_int_equal(we_safetensors_open(convert("phi3-q8_0-large", (uint64_t)5 << 30, NULL), &set, NULL), WE_OK);
    assert_int_equal(we_safetensors_find(set, we_str_c("model.embed_tokens.scales"))->dtype, WE_F32);
    we_safetensors_close(set);
    assert_int_equal(we_safetensors_open(convert("llama-mixed", (uint64_t)5 << 30, NULL), &set, NULL), WE_OK);
    static const struct {
        const char *name;
        enum we_dtype dtype;
    } mixed[] = {{"model.embed_tokens.scales", WE_F16},
                 {"model.layers.0.self_attn.v_proj.weight", WE_F16},
                 {"model.layers.0.mlp.gate_proj.weight", WE_F16},
                 {"model.layers.0.mlp.up_proj.scales", WE_F16},
                 {"lm_head.weight", WE_F32}};
    for (size_t i = 0; i < sizeof mixed / sizeof *mixed; i++)
        assert_int_equal(we_safetensors_find(set, we_str_c(mixed[i].name))->dtype, mixed[i].dtype);
    we_safetensors_close(set);
    struct we_arena arena = {0};
    const struct we_json *quantization =
        we_json_get(read_json(&arena, in_folder("llama-mixed"), "config.json"), "quantization");
    assert_int_equal(we_json_get(quantization, "bits")->integer, 4);
    assert_int_equal(we_json_get(quantization, "group_size")->integer, 32);
    assert_int_equal(we_json_get(we_json_get(quantization, "model.embed_tokens"), "bits")->integer, 8);
    assert_int_equal(we_json_get(we_json_get(quantization, "model.layers.0.self_attn.k_proj"), "bits")->integer, 5);
    assert_int_equal(we_json_get(quantization, "lm_head")->kind, WE_JSON_BOOL);
    assert_null(we_json_get(quantization, "model.layers.0.mlp.up_proj"));
    we_arena_free(&arena);
}

static void test_chosen_type(void **state)
{
    (void)state;
    struct we_error error;
    struct we_convert_options options = {.dtype = "float32"};
    const struct we_json *golden = we_json_get(goldens, "llama-bf16");
    const char *directory = convert("llama-bf16", (uint64_t)5 << 30, "float32"); /* wider: still exact */
    assert_types(directory, WE_F32);
    check_tensors("llama-bf16", directory, golden);
    directory = convert("llama-q4_0", (uint64_t)5 << 30, "bfloat16"); /* rounds the scales */
    assert_types(directory, WE_BF16);
    options.dtype = "float16";
    assert_message(we_convert(model_file("phi3-q8_0-large"), in_folder("x"), &options, &error), &error, WE_UNSUPPORTED,
                   "has values that F16 cannot hold");
    options.dtype = "int8";
    assert_message(we_convert(model_file("llama-f16"), in_folder("x"), &options, &error), &error, WE_INVALID_ARGUMENT,
                   "the type 'int8' is not known");
    assert_int_equal(count_names(), 2);
}

/* Cut into shards as small as one weight each: an index, and the same values. */
static void test_shards(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t shard_bytes;
        size_t files; /* shards, index, config */
    } cases[] = {{"llama-q4_1", 1, 23}, {"llama-q4_1", 8000, 4}, {"llama-mixed", 9000, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *directory = convert(cases[i].name, cases[i].shard_bytes, NULL);
        check_tensors(cases[i].name, directory, we_json_get(goldens, cases[i].name));
        struct we_arena arena = {0};
        char **names;
        size_t count;
        assert_int_equal(we_list_directory(directory, &arena, &names, &count, NULL), WE_OK);
        if (count != cases[i].files)
            fail_msg("%s in shards of %llu bytes: %zu files", cases[i].name, (unsigned long long)cases[i].shard_bytes, count);
        const struct we_json *index = read_json(&arena, directory, "model.safetensors.index.json");
        assert_true(we_json_get(we_json_get(index, "metadata"), "total_size")->integer > 8000);
        we_arena_free(&arena);
        char command[500];
        snprintf(command, sizeof command, "rm -r %s", directory);
        assert_int_equal(system(command), 0);
    }
}

static bool note_progress(void *context, uint64_t done, uint64_t total)
{
    uint64_t *last = context;
    assert_true(done > last[0] && done <= total && (last[1] == 0 || last[1] == total));
    last[0] = done;
    last[1] = total;
    return true;
}

static void test_progress(void **state)
{
    (void)state;
    uint64_t last[2] = {0};
    struct we_error error;
    struct we_convert_options options = {.on_progress = note_progress, .context = last};
    assert_int_equal(we_convert(model_file("llama-f32"), in_folder("x"), &options, &error), WE_OK);
    assert_true(last[0] == last[1] && last[0] > 40000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {in_new_folder(test_models), in_new_folder(test_types), in_new_folder(test_chosen_type),
                                       in_new_folder(test_shards), in_new_folder(test_progress)};
    return cmocka_run_group_tests(tests, open_goldens, close_goldens);
}
