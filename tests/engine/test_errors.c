/* Broken, contradictory and unsupported models: each is refused with a message that says what was wrong and where. */
#include "support.h"

#include "base/fs.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ANY = 100, MAX_NEEDLES = 4 };

struct broken {
    const char *title;
    const char *model;                  /* copied, then broken by: */
    const char *file, *from, *to;       /* an edit of a file (`to` NULL: the file is removed); */
    void (*act)(const char *directory); /* or this */
    int status;                         /* we_status, or ANY but WE_OK */
    const char *needles[MAX_NEEDLES];   /* all stand in the message */
};

static void read_all(const char *directory, const char *name, struct we_buf *data)
{
    char path[4096];
    struct we_error error;
    append_path(path, directory, name);
    if (we_file_read(path, 0, data, &error) != WE_OK)
        fail_msg("%s", error.message);
}

static void cut_weights(const char *directory)
{
    struct we_buf data = {0};
    read_all(directory, "model.safetensors", &data);
    write_file(directory, "model.safetensors", data.data, data.length - data.length / 3);
    we_buf_free(&data);
}

static void cut_header(const char *directory)
{
    struct we_buf data = {0};
    read_all(directory, "model.safetensors", &data);
    write_file(directory, "model.safetensors", data.data, 100);
    we_buf_free(&data);
}

static void empty_weights(const char *directory)
{
    write_file(directory, "model.safetensors", "", 0);
}

static void huge_header(const char *directory)
{
    struct we_buf data = {0};
    read_all(directory, "model.safetensors", &data);
    uint64_t size = 1 << 30;
    memcpy(data.data, &size, sizeof size);
    write_file(directory, "model.safetensors", data.data, data.length);
    size = UINT64_MAX;
    we_buf_free(&data);
}

static void endless_header(const char *directory)
{
    struct we_buf data = {0};
    read_all(directory, "model.safetensors", &data);
    memset(data.data, 0xff, 8);
    write_file(directory, "model.safetensors", data.data, data.length);
    we_buf_free(&data);
}

static void remove_weights(const char *directory)
{
    char path[4096];
    append_path(path, directory, "model.safetensors");
    assert_int_equal(unlink(path), 0);
    append_path(path, directory, "model.safetensors.index.json");
    unlink(path);
}

static void remove_shard(const char *directory)
{
    char path[4096];
    append_path(path, directory, "model-00002-of-00003.safetensors");
    assert_int_equal(unlink(path), 0);
}

static void weights_are_text(const char *directory)
{
    const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 134\n";
    write_file(directory, "model.safetensors", pointer, sizeof pointer - 1);
}

static void config_is_binary(const char *directory)
{
    write_file(directory, "config.json", "\0\1\2\xff{}", 6);
}

#define W "model.safetensors"
#define C "config.json"

static const struct broken table[] = {
    /* ---- the directory ---- */
    {"no config", "llama-float32", C, NULL, NULL, NULL, ANY, {"config.json"}},
    {"no weights", "llama-float16", NULL, NULL, NULL, remove_weights, ANY, {"safetensors"}},
    {"a shard is missing", "llama-overrides", NULL, NULL, NULL, remove_shard, ANY, {"model-00002-of-00003.safetensors"}},
    {"index names another shard",
     "llama-overrides",
     "model.safetensors.index.json",
     "model-00003-of",
     "model-00009-of",
     NULL,
     ANY,
     {"model-00009-of-00003.safetensors"}},
    {"index leads outside",
     "llama-overrides",
     "model.safetensors.index.json",
     "model-00003-of-00003.safetensors",
     "../../../../etc/passwd",
     NULL,
     ANY,
     {"index"}},
    {"index is no JSON",
     "llama-overrides",
     "model.safetensors.index.json",
     "weight_map\":",
     "weight_map\"",
     NULL,
     WE_INVALID_FORMAT,
     {"model.safetensors.index.json"}},
    /* ---- config.json ---- */
    {"config is no JSON", "llama-float32", C, "\"model_type\":", "\"model_type\"", NULL, WE_INVALID_FORMAT, {"config.json"}},
    {"config is binary", "llama-float32", NULL, NULL, NULL, config_is_binary, WE_INVALID_FORMAT, {"config.json"}},
    {"no model_type", "llama-float32", C, "\"model_type\"", "\"model_kind\"", NULL, ANY, {"config.json", "model_type"}},
    {"unknown model_type", "llama-float32", C, "\"llama\"", "\"rwkv99\"", NULL, WE_UNSUPPORTED, {"rwkv99", "llama", "phi3"}},
    {"model_type is a number",
     "llama-float32",
     C,
     "\"model_type\": \"llama\"",
     "\"model_type\": 7",
     NULL,
     WE_INVALID_FORMAT,
     {"model_type"}},
    {"no hidden_size",
     "llama-float32",
     C,
     "hidden_size",
     "hidden_syze",
     NULL,
     WE_INVALID_FORMAT,
     {"config.json", "hidden_size"}},
    {"hidden_size is a string",
     "llama-float32",
     C,
     "\"hidden_size\": 32",
     "\"hidden_size\": \"32\"",
     NULL,
     WE_INVALID_FORMAT,
     {"config.json", "hidden_size"}},
    {"hidden_size is negative",
     "llama-float32",
     C,
     "\"hidden_size\": 32",
     "\"hidden_size\": -32",
     NULL,
     WE_INVALID_FORMAT,
     {"hidden_size", "-32"}},
    {"hidden_size is 0", "llama-float32", C, "\"hidden_size\": 32", "\"hidden_size\": 0", NULL, ANY, {"hidden_size"}},
    {"hidden_size is huge",
     "llama-float32",
     C,
     "\"hidden_size\": 32",
     "\"hidden_size\": 4294967295",
     NULL,
     ANY,
     {"4294967295"}},
    {"hidden_size is enormous",
     "llama-float32",
     C,
     "\"hidden_size\": 32",
     "\"hidden_size\": 1e300",
     NULL,
     ANY,
     {"hidden_size"}},
    {"no heads",
     "llama-float32",
     C,
     "\"num_attention_heads\": 4",
     "\"num_attention_heads\": 0",
     NULL,
     ANY,
     {"num_attention_heads"}},
    {"heads that do not divide",
     "llama-float32",
     C,
     "\"num_key_value_heads\": 2",
     "\"num_key_value_heads\": 3",
     NULL,
     ANY,
     {"num_key_value_heads", "3", "4"}},
    {"no layers", "llama-float32", C, "\"num_hidden_layers\": 1", "\"num_hidden_layers\": 0", NULL, ANY, {"num_hidden_layers"}},
    {"too many layers", "llama-float32", C, "\"num_hidden_layers\": 1", "\"num_hidden_layers\": 4000000000", NULL, ANY, {""}},
    {"no rms_norm_eps", "llama-float32", C, "rms_norm_eps", "rms_norm_epz", NULL, WE_INVALID_FORMAT, {"rms_norm_eps"}},
    {"end token of another type",
     "llama-float32",
     C,
     "\"hidden_size\"",
     "\"eos_token_id\": \"x\", \"hidden_size\"",
     NULL,
     WE_INVALID_FORMAT,
     {"eos_token_id"}},
    {"generation_config is no JSON",
     "llama-ends",
     "generation_config.json",
     "{",
     "[",
     NULL,
     WE_INVALID_FORMAT,
     {"generation_config.json"}},
    /* ---- config that contradicts the weights: both are named ---- */
    {"wider than the weights",
     "llama-float32",
     C,
     "\"hidden_size\": 32",
     "\"hidden_size\": 64",
     NULL,
     WE_INVALID_FORMAT,
     {"64", "32"}},
    {"larger vocabulary",
     "llama-float32",
     C,
     "\"vocab_size\": 97",
     "\"vocab_size\": 98",
     NULL,
     WE_INVALID_FORMAT,
     {"embed_tokens", "98", "97"}},
    {"wider feed-forward",
     "llama-float32",
     C,
     "\"intermediate_size\": 48",
     "\"intermediate_size\": 50",
     NULL,
     WE_INVALID_FORMAT,
     {"model.layers.0.mlp", "50", "48"}},
    {"more kv heads",
     "llama-float32",
     C,
     "\"num_key_value_heads\": 2",
     "\"num_key_value_heads\": 4",
     NULL,
     WE_INVALID_FORMAT,
     {"k_proj", "32", "16"}},
    {"another head_dim",
     "llama-float16",
     C,
     "\"head_dim\": 20",
     "\"head_dim\": 22",
     NULL,
     WE_INVALID_FORMAT,
     {"q_proj", "66", "60"}},
    {"more layers than there are",
     "llama-float32",
     C,
     "\"num_hidden_layers\": 1",
     "\"num_hidden_layers\": 2",
     NULL,
     WE_INVALID_FORMAT,
     {"model.layers.1."}},
    {"head is said to be there",
     "llama-float32",
     C,
     "\"hidden_size\"",
     "\"tie_word_embeddings\": false, \"hidden_size\"",
     NULL,
     WE_INVALID_FORMAT,
     {"lm_head"}},
    {"biases are said to be there",
     "llama-float32",
     C,
     "\"hidden_size\"",
     "\"attention_bias\": true, \"hidden_size\"",
     NULL,
     WE_INVALID_FORMAT,
     {"_proj.bias"}},
    {"phi3: more kv heads",
     "phi3-float16",
     C,
     "\"num_key_value_heads\": 2",
     "\"num_key_value_heads\": 4",
     NULL,
     WE_INVALID_FORMAT,
     {"qkv_proj", "144", "96"}},
    {"phi3: wider feed-forward",
     "phi3-float32",
     C,
     "\"intermediate_size\": 40",
     "\"intermediate_size\": 44",
     NULL,
     WE_INVALID_FORMAT,
     {"gate_up_proj", "88", "80"}},
    {"quantised: wider",
     "llama-q4-g64",
     C,
     "\"intermediate_size\": 128",
     "\"intermediate_size\": 192",
     NULL,
     WE_INVALID_FORMAT,
     {"mlp", "192", "128"}},
    /* ---- quantisation ---- */
    {"an entry contradicts the shapes",
     "llama-overrides",
     C,
     "\"group_size\": 128",
     "\"group_size\": 32",
     NULL,
     WE_INVALID_FORMAT,
     {"model.layers.1.mlp.down_proj"}},
    {"an entry has other bits",
     "phi3-overrides",
     C,
     "\"bits\": 8,\n            \"group_size\": 32\n",
     "\"bits\": 4, \"group_size\": 32\n",
     NULL,
     WE_INVALID_FORMAT,
     {"qkv_proj"}},
    {"bits that do not exist", "llama-overrides", C, "\"bits\": 8", "\"bits\": 7", NULL, ANY, {"7"}},
    {"unknown mode", "llama-overrides", C, "\"mode\": \"affine\"", "\"mode\": \"fractal\"", NULL, ANY, {"fractal"}},
    {"another scheme",
     "llama-float32",
     C,
     "\"hidden_size\"",
     "\"quantization_config\": {\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 128}, \"hidden_size\"",
     NULL,
     WE_UNSUPPORTED,
     {"awq"}},
    {"quantization is a list",
     "llama-q4-g32",
     C,
     "\"quantization\": {",
     "\"quantization\": [], \"was\": {",
     NULL,
     ANY,
     {"quantization"}},
    {"scales are missing",
     "llama-overrides",
     "model-00001-of-00003.safetensors",
     "embed_tokens.scales",
     "embed_tokens.scalez",
     NULL,
     WE_INVALID_FORMAT,
     {"model.embed_tokens"}},
    /* ---- what is not implemented ---- */
    {"rope type", "llama-q4-g32", C, "\"llama3\"", "\"mystic\"", NULL, WE_UNSUPPORTED, {"mystic"}},
    {"layer type",
     "llama-q8-g32",
     C,
     "\"sliding_attention\"",
     "\"chunked_attention\"",
     NULL,
     WE_UNSUPPORTED,
     {"chunked_attention"}},
    {"rope factor is missing", "llama-q4-g32", C, "\"factor\"", "\"faktor\"", NULL, WE_INVALID_FORMAT, {"factor"}},
    {"longrope factors of another length",
     "phi3-longrope-80",
     C,
     "\"long_factor\": [",
     "\"long_factor\": [1.0,",
     NULL,
     WE_INVALID_FORMAT,
     {"long_factor", "9", "8"}},
    {"longrope without its list",
     "phi3-longrope-80",
     C,
     "\"long_factor\"",
     "\"lang_factor\"",
     NULL,
     WE_INVALID_FORMAT,
     {"long_factor"}},
    /* ---- weights ---- */
    {"truncated", "llama-q4-g64", NULL, NULL, NULL, cut_weights, WE_INVALID_FORMAT, {W}},
    {"truncated in the header", "llama-q4-g64", NULL, NULL, NULL, cut_header, WE_INVALID_FORMAT, {W}},
    {"empty", "llama-float32", NULL, NULL, NULL, empty_weights, WE_INVALID_FORMAT, {W}},
    {"header of 1 GB", "llama-float32", NULL, NULL, NULL, huge_header, WE_INVALID_FORMAT, {W}},
    {"header of 2^64 - 1 bytes", "llama-float32", NULL, NULL, NULL, endless_header, WE_INVALID_FORMAT, {W}},
    {"a pointer of Git LFS", "llama-float32", NULL, NULL, NULL, weights_are_text, WE_INVALID_FORMAT, {W}},
    {"a missing tensor",
     "llama-float32",
     W,
     "layers.0.mlp.up_proj.weight",
     "layers.0.mlp.up_prox.weight",
     NULL,
     WE_INVALID_FORMAT,
     {"model.layers.0.mlp.up_proj"}},
    {"a missing norm",
     "phi3-bfloat16",
     W,
     "layers.1.input_layernorm.weight",
     "layers.1.input_layernorn.weight",
     NULL,
     WE_INVALID_FORMAT,
     {"model.layers.1.input_layernorm"}},
    {"weights of integers", "llama-float16", W, "\"F16\"", "\"I16\"", NULL, ANY, {"I16"}},
    {"packed weights of another type", "llama-q4-g64", W, "\"U32\"", "\"I32\"", NULL, ANY, {"I32"}},
    {"unknown type", "llama-q4-g64", W, "\"U32\"", "\"Q32\"", NULL, ANY, {"Q32"}},
    {"offsets out of range", "llama-float32", W, "\"data_offsets\":[0,", "\"data_offsets\":[9,", NULL, WE_INVALID_FORMAT, {W}},
    {"header is no JSON", "llama-float32", W, "{\"__metadata__\"", "[\"__metadata__\"", NULL, WE_INVALID_FORMAT, {W}},
    /* ---- text ---- */
    {"tokenizer is no JSON",
     "llama-chat",
     "tokenizer.json",
     "\"model\":{",
     "\"model\":[",
     NULL,
     WE_INVALID_FORMAT,
     {"tokenizer.json"}},
    {"tokenizer of another kind",
     "llama-chat",
     "tokenizer.json",
     "\"type\":\"BPE\"",
     "\"type\":\"QPE\"",
     NULL,
     WE_UNSUPPORTED,
     {"tokenizer.json", "QPE"}},
    {"decoder of another kind",
     "llama-chat",
     "tokenizer.json",
     "\"decoder\":{\"type\":\"ByteLevel\"",
     "\"decoder\":{\"type\":\"Riddle\"",
     NULL,
     WE_UNSUPPORTED,
     {"Riddle"}},
    {"template with a broken end",
     "llama-chat",
     "tokenizer_config.json",
     "{% endfor %}",
     "{% endfur %}",
     NULL,
     WE_TEMPLATE_ERROR,
     {"endfur"}},
};

/* Opens the broken model, and answers if that goes well: an error may come as late as that. */
static we_status try_model(const char *path, struct we_error *error)
{
    struct we_model *model;
    we_status status = we_model_open(path, NULL, &model, error);
    if (status != WE_OK) {
        assert_null(model);
        return status;
    }
    struct we_request request;
    we_request_init(&request, model);
    request.messages = "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}";
    request.max_tokens = 1;
    struct we_result result = {0};
    status = we_model_info(model)->has_tokenizer ? we_generate(model, &request, &result, error) : WE_OK;
    we_result_clear(&result);
    we_model_close(model);
    return status;
}

static void test_table(void **state)
{
    (void)state;
    int failures = 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const struct broken *b = &table[i];
        struct we_arena arena = {0};
        char *folder = make_folder(&arena), *path = copy_model(&arena, b->model, folder), file[4096];
        struct we_error error = {0};
        if (try_model(path, &error) != WE_OK)
            fail_msg("%s: the copy is broken before the edit: %s", b->model, error.message);
        if (b->act) {
            b->act(path);
        } else if (b->from) {
            edit_file(path, b->file, b->from, b->to);
        } else {
            append_path(file, path, b->file);
            assert_int_equal(unlink(file), 0);
        }
        we_status status = try_model(path, &error);
        bool good = b->status == ANY ? status != WE_OK : (int)status == b->status;
        good = good && (status == WE_OK || error.status == status);
        for (int n = 0; status != WE_OK && n < MAX_NEEDLES && b->needles[n]; n++)
            good = good && strstr(error.message, b->needles[n]);
        if (!good) {
            print_error("%s (%s): status %d, where %d was expected: %s\n", b->title, b->model, status, b->status,
                        status == WE_OK ? "(it was taken)" : error.message);
            failures++;
        } else if (getenv("WE_TEST_VERBOSE")) {
            print_message("%s: %s\n", b->title, error.message);
        }
        remove_folder(folder);
        we_arena_free(&arena);
    }
    assert_int_equal(failures, 0);
}

/* A tensor's file cut at every length: refused, or (when nothing is lost) taken; never a crash. */
static void test_truncations(void **state)
{
    (void)state;
    struct we_arena arena = {0};
    char *folder = make_folder(&arena), *path = copy_model(&arena, "llama-float32", folder);
    struct we_buf data = {0};
    read_all(path, W, &data);
    for (size_t length = 0; length < data.length; length += length < 3000 ? 37 : 4999) {
        write_file(path, W, data.data, length);
        struct we_model *model;
        struct we_error error;
        assert_int_not_equal(we_model_open(path, NULL, &model, &error), WE_OK);
        assert_non_null(strstr(error.message, W));
    }
    write_file(path, W, data.data, data.length);
    struct we_model *model = open_model(path, NULL);
    we_model_close(model);
    we_buf_free(&data);
    remove_folder(folder);
    we_arena_free(&arena);
}

static void test_names(void **state)
{
    (void)state;
    struct we_arena arena = {0};
    char *folder = make_folder(&arena), models[4096], organisation[4096], file[4096];
    struct we_error error;
    append_path(models, folder, "mlx");
    append_path(organisation, models, "some-org");
    assert_int_equal(we_make_directories(organisation, &error), WE_OK);
    char *copy = copy_model(&arena, "llama-float32", organisation);
    append_path(file, organisation, "Tiny-Llama-4bit");
    assert_int_equal(rename(copy, file), 0);
    struct we_model_options options;
    we_model_options_init(&options);
    options.models_dir = folder;
    struct we_model *model;
    static const char *const good[] = {"some-org/Tiny-Llama-4bit", "mlx://some-org/Tiny-Llama-4bit"};
    for (size_t i = 0; i < 2; i++) {
        if (we_model_open(good[i], &options, &model, &error) != WE_OK)
            fail_msg("%s", error.message);
        we_model_close(model);
    }
    static const char *const bad[] = {"some-org/Tiny-Llama-4bit-4bit", "some-org/Tiny-Lama-4bit", "some-orgg/Tiny-Llama-4bit"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(we_model_open(bad[i], &options, &model, &error), WE_NOT_FOUND);
        if (strstr(error.message, "some-org/Tiny-Llama-4bit") == NULL || strstr(error.message, bad[i]) == NULL)
            fail_msg("%s: the message names neither or only one: %s", bad[i], error.message);
    }
    /* A slash at the end and a link are as good. */
    append_path(file, organisation, "Tiny-Llama-4bit/");
    model = open_model(file, NULL);
    we_model_close(model);
    char link[4096];
    append_path(link, folder, "link");
    assert_int_equal(symlink("mlx/some-org/Tiny-Llama-4bit", link), 0);
    model = open_model(link, NULL);
    we_model_close(model);
    /* A file, an empty folder, nothing. */
    append_path(file, organisation, "Tiny-Llama-4bit/config.json");
    assert_int_not_equal(we_model_open(file, &options, &model, &error), WE_OK);
    assert_non_null(strstr(error.message, "config.json"));
    assert_int_not_equal(we_model_open(models, &options, &model, &error), WE_OK);
    assert_non_null(strstr(error.message, "config.json"));
    assert_int_equal(we_model_open("", &options, &model, &error) == WE_OK, 0);
    assert_int_equal(we_model_open("/no/such/folder", &options, &model, &error), WE_NOT_FOUND);
    assert_int_equal(we_model_open("/no/such/folder", &options, &model, NULL), WE_NOT_FOUND);
    assert_null(model);
    remove_folder(folder);
    we_arena_free(&arena);
}

static void test_options(void **state)
{
    (void)state;
    struct we_model_options options;
    struct we_model *model;
    struct we_error error;
    we_model_options_init(&options);
    options.device = "abacus";
    assert_int_not_equal(we_model_open(model_path("llama-float32"), &options, &model, &error), WE_OK);
    assert_non_null(strstr(error.message, "abacus"));
    assert_non_null(strstr(error.message, "cpu"));
    we_model_options_init(&options);
    options.isa = "mmx";
    assert_int_not_equal(we_model_open(model_path("llama-float32"), &options, &model, &error), WE_OK);
    assert_non_null(strstr(error.message, "mmx"));
    assert_non_null(strstr(error.message, "generic"));
    we_model_options_init(&options);
    options.threads = 5;
    model = open_model(model_path("llama-float32"), &options);
    assert_non_null(strstr(we_model_info(model)->device, "5 threads"));
    we_model_close(model);
}

/* Refused before anything is loaded, with the numbers: what is needed and what there is. */
static void test_memory(void **state)
{
    (void)state;
    struct we_model_options options;
    struct we_model *model;
    struct we_error error;
    we_model_options_init(&options);
    options.memory_limit = 20000;
    assert_int_equal(we_model_open(model_path("llama-q8-g128"), &options, &model, &error), WE_OUT_OF_MEMORY);
    assert_non_null(strstr(error.message, "memory"));
    assert_non_null(strstr(error.message, "needed"));
    size_t numbers = 0;
    for (const char *at = error.message; *at; at++)
        numbers += at[0] >= '0' && at[0] <= '9' && !(at > error.message && at[-1] >= '0' && at[-1] <= '9');
    assert_true(numbers >= 2);
    /* A context that would need more than any machine has. */
    we_model_options_init(&options);
    options.max_context = 4000000000u;
    we_status status = we_model_open(model_path("llama-q8-g128"), &options, &model, &error);
    assert_int_equal(status, WE_OUT_OF_MEMORY);
    /* Enough for little: the context shrinks, and it works. */
    we_model_options_init(&options);
    options.memory_limit = 400u << 20;
    model = open_model(model_path("llama-q8-g128"), &options);
    we_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),   cmocka_unit_test(test_truncations), cmocka_unit_test(test_names),
        cmocka_unit_test(test_options), cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
