#define _XOPEN_SOURCE 700 /* nftw */

#include "support.h"

#include "base/fs.h"
#include "base/str.h"

#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *const model_names[] = {
    "llama-float32",
    "llama-float16",
    "llama-bfloat16",
    "llama-q4-g32",
    "llama-q4-g64",
    "llama-q4-g128",
    "llama-q8-g32",
    "llama-q8-g64",
    "llama-q8-g128",
    "llama-overrides",
    "llama-inferred",
    "llama-window-63",
    "llama-window-64",
    "llama-window-65",
    "llama-yarn",
    "llama-longrope",
    "llama-ends",
    "llama-chat",
    "phi3-float32",
    "phi3-float16",
    "phi3-bfloat16",
    "phi3-q4-g32",
    "phi3-q4-g64",
    "phi3-q4-g128",
    "phi3-q8-g32",
    "phi3-q8-g64",
    "phi3-q8-g128",
    "phi3-overrides",
    "phi3-longrope-80",
    "phi3-su-64",
    "llama-mxfp4",
    "llama-mxfp8",
    "llama-widths",
    "phi3-nvfp4",
    "phi3-widths",
    "family-granitemoehybrid",
    "family-qwen3_5",
    "family-deepseek_v3",
    "family-gpt_oss",
    "family-lfm2",
    NULL,
};

const char *model_path(const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/../models/%s", TEST_DATA, name);
    return path;
}

/* ---- golden files ---- */

const struct we_json *json_file(struct we_arena *arena, const char *path)
{
    struct we_buf text = {0};
    struct we_json *tree = NULL;
    struct we_error error;
    if (we_file_read(path, 0, &text, &error) != WE_OK || we_json_parse(we_buf_str(&text), path, arena, &tree, &error) != WE_OK)
        fail_msg("%s", error.message);
    we_buf_free(&text);
    return tree;
}

static const struct we_json *need(const struct we_json *object, const char *key)
{
    const struct we_json *value = we_json_get(object, key);
    if (value == NULL)
        fail_msg("a golden file lacks '%s'", key);
    return value;
}

uint32_t *json_u32s(struct we_arena *arena, const struct we_json *array, size_t *count)
{
    uint32_t *values = we_arena_array(arena, array->count, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < array->count; i++)
        values[i] = (uint32_t)array->items[i].integer;
    *count = array->count;
    return values;
}

double *json_doubles(struct we_arena *arena, const struct we_json *array)
{
    double *values = we_arena_array(arena, array->count, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < array->count; i++)
        values[i] = array->items[i].number;
    return values;
}

struct golden_reply golden_reply_from_json(const struct we_json *json, struct we_arena *arena)
{
    struct golden_reply reply = {0};
    reply.tokens = json_u32s(arena, need(json, "tokens"), &reply.count);
    const struct we_json *gaps = we_json_get(json, "gaps"), *reason = we_json_get(json, "finish_reason");
    reply.stopped = reason && we_str_equal_c(reason->string, "stop");
    if (gaps) {
        assert_int_equal(gaps->count, reply.count + reply.stopped);
        reply.gaps = json_doubles(arena, gaps);
    }
    return reply;
}

static void read_number(const struct we_json *json, const char *key, float *value)
{
    const struct we_json *number = we_json_get(json, key);
    if (number)
        *value = (float)number->number;
}

static void read_count(const struct we_json *json, const char *key, uint32_t *value)
{
    const struct we_json *number = we_json_get(json, key);
    if (number)
        *value = (uint32_t)number->integer;
}

void sampling_from_json(const struct we_json *json, struct we_arena *arena, struct we_sampling *sampling)
{
    *sampling =
        (struct we_sampling){.min_tokens_to_keep = 1, .xtc_threshold = 0.1f, .repetition_context = 20, .has_seed = true};
    read_number(json, "temperature", &sampling->temperature);
    read_number(json, "top_p", &sampling->top_p);
    read_number(json, "min_p", &sampling->min_p);
    read_count(json, "min_tokens_to_keep", &sampling->min_tokens_to_keep);
    read_count(json, "top_k", &sampling->top_k);
    read_number(json, "xtc_probability", &sampling->xtc_probability);
    read_number(json, "xtc_threshold", &sampling->xtc_threshold);
    read_number(json, "repetition_penalty", &sampling->repetition_penalty);
    read_number(json, "presence_penalty", &sampling->presence_penalty);
    read_number(json, "frequency_penalty", &sampling->frequency_penalty);
    read_count(json, "repetition_context", &sampling->repetition_context);
    sampling->seed = (uint64_t)need(json, "seed")->integer;
    const struct we_json *bias = we_json_get(json, "logit_bias");
    if (bias == NULL)
        return;
    struct we_logit_bias *list = we_arena_array(arena, bias->count, sizeof *list);
    assert_non_null(list);
    for (size_t i = 0; i < bias->count; i++) {
        char key[32] = "";
        memcpy(key, bias->keys[i].data, bias->keys[i].length);
        list[i] = (struct we_logit_bias){(uint32_t)strtoul(key, NULL, 10), (float)bias->items[i].number};
    }
    sampling->logit_bias = list;
    sampling->num_logit_bias = bias->count;
}

static void read_case(struct golden *golden, const struct we_json *json, struct golden_case *c)
{
    struct we_arena *arena = &golden->arena;
    c->name = we_arena_copy(arena, need(json, "name")->string);
    c->compat = we_str_equal_c(need(json, "rope_compat")->string, "mlx") ? WE_ROPE_MLX : WE_ROPE_PAPER;
    c->ids = json_u32s(arena, need(json, "ids"), &c->num_ids);
    c->rows = json_u32s(arena, need(json, "rows"), &c->num_rows);
    c->greedy = golden_reply_from_json(need(json, "greedy"), arena);
    c->samples = we_json_get(json, "samples");
}

void golden_open(const char *name, struct golden *golden)
{
    char path[4096];
    *golden = (struct golden){0};
    snprintf(path, sizeof path, "%s/../models/golden/%s.json", TEST_DATA, name);
    golden->json = json_file(&golden->arena, path);
    golden->vocab_size = (uint32_t)need(golden->json, "vocab_size")->integer;
    const struct we_json *cases = need(golden->json, "cases");
    golden->num_cases = cases->count;
    golden->cases = we_arena_array(&golden->arena, cases->count, sizeof *golden->cases);
    assert_non_null(golden->cases);
    assert_true(cases->count > 0);
    size_t rows = 0;
    for (size_t i = 0; i < cases->count; i++) {
        read_case(golden, &cases->items[i], &golden->cases[i]);
        rows += golden->cases[i].num_rows;
    }
    struct we_buf data = {0};
    struct we_error error;
    snprintf(path, sizeof path, "%s/../models/golden/%s.f32", TEST_DATA, name);
    if (we_file_read(path, 0, &data, &error) != WE_OK)
        fail_msg("%s", error.message);
    assert_int_equal(data.length, rows * golden->vocab_size * sizeof(float));
    float *logits = we_arena_alloc(&golden->arena, data.length);
    assert_non_null(logits);
    memcpy(logits, data.data, data.length);
    we_buf_free(&data);
    for (size_t i = 0; i < golden->num_cases; i++) {
        golden->cases[i].logits = logits;
        logits += golden->cases[i].num_rows * golden->vocab_size;
    }
}

void golden_close(struct golden *golden)
{
    we_arena_free(&golden->arena);
}

const struct golden_case *golden_find(const struct golden *golden, const char *name)
{
    for (size_t i = 0; i < golden->num_cases; i++)
        if (strcmp(golden->cases[i].name, name) == 0)
            return &golden->cases[i];
    fail_msg("there is no golden case '%s'", name);
    return NULL;
}

/* ---- models and replies ---- */

struct we_model *open_model(const char *path, const struct we_model_options *options)
{
    struct we_model *model;
    struct we_error error;
    if (we_model_open(path, options, &model, &error) != WE_OK)
        fail_msg("%s", error.message);
    return model;
}

struct we_request greedy_request(const struct we_model *model, const uint32_t *ids, size_t num_ids, uint32_t max_tokens)
{
    struct we_request request;
    we_request_init(&request, model);
    request.ids = ids;
    request.num_ids = num_ids;
    request.max_tokens = max_tokens;
    request.sampling = (struct we_sampling){.min_tokens_to_keep = 1, .repetition_context = 20};
    return request;
}

struct we_result generate(struct we_model *model, const struct we_request *request)
{
    struct we_result result;
    struct we_error error;
    if (we_generate(model, request, &result, &error) != WE_OK)
        fail_msg("%s", error.message);
    return result;
}

size_t assert_reply(const char *what, const struct we_result *result, const struct golden_reply *golden)
{
    for (size_t i = 0; i < golden->count; i++) {
        if (golden->gaps && golden->gaps[i] < CLOSE_CALL)
            return i;
        if (i >= result->generation_tokens)
            fail_msg("%s: the reply ends after %u tokens, where %zu were expected", what, result->generation_tokens,
                     golden->count);
        if (result->tokens[i] != golden->tokens[i])
            fail_msg("%s: token %zu is %u, where %u was expected", what, i, result->tokens[i], golden->tokens[i]);
    }
    if (golden->stopped && golden->gaps && golden->gaps[golden->count] < CLOSE_CALL)
        return golden->count;
    if (result->generation_tokens != golden->count)
        fail_msg("%s: %u tokens, where %zu were expected", what, result->generation_tokens, golden->count);
    if (golden->stopped != (result->finish_reason == WE_FINISH_STOP))
        fail_msg("%s: finish_reason is %s", what, we_finish_reason_name(result->finish_reason));
    return golden->count;
}

double relative_rms(const float *found, const float *expected, size_t count)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        double d = (double)found[i] - expected[i];
        difference += d * d;
        size += (double)expected[i] * expected[i];
    }
    double result = sqrt(difference / size);
    return isfinite(result) ? result : INFINITY;
}

/* ---- files ---- */

char *make_folder(struct we_arena *arena)
{
    const char *base = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/whisperengine-test-XXXXXX", base && *base ? base : "/tmp");
    if (mkdtemp(path) == NULL)
        fail_msg("cannot make a folder %s", path);
    char *copy = we_arena_copy(arena, we_str_c(path));
    assert_non_null(copy);
    return copy;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

void remove_folder(const char *path)
{
    assert_int_equal(nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void append_path(char out[4096], const char *directory, const char *name)
{
    assert_true(snprintf(out, 4096, "%s/%s", directory, name) < 4096);
}

char *copy_model(struct we_arena *arena, const char *name, const char *folder)
{
    char to[4096], path[4096];
    struct we_error error;
    const char *from = model_path(name);
    append_path(to, folder, name);
    char **names, *result = we_arena_copy(arena, we_str_c(to));
    size_t count = 0;
    if (result == NULL || we_make_directories(to, &error) != WE_OK ||
        we_list_directory(from, arena, &names, &count, &error) != WE_OK)
        fail_msg("cannot copy %s", from);
    for (size_t i = 0; i < count; i++) {
        struct we_buf data = {0};
        append_path(path, from, names[i]);
        if (we_file_read(path, 0, &data, &error) != WE_OK)
            fail_msg("%s", error.message);
        write_file(to, names[i], data.data, data.length);
        we_buf_free(&data);
    }
    return result;
}

void write_file(const char *directory, const char *name, const void *data, size_t size)
{
    char path[4096];
    struct we_error error;
    append_path(path, directory, name);
    if (we_file_write(path, we_str(data, size), &error) != WE_OK)
        fail_msg("%s", error.message);
}

void edit_file(const char *directory, const char *name, const char *from, const char *to)
{
    char path[4096];
    struct we_error error;
    struct we_buf old = {0}, fresh = {0};
    append_path(path, directory, name);
    if (we_file_read(path, 0, &old, &error) != WE_OK)
        fail_msg("%s", error.message);
    size_t start = 0, at, times = 0;
    while ((at = we_str_find(we_buf_str(&old), we_str_c(from), start)) != SIZE_MAX) {
        we_buf_append(&fresh, we_str(old.data + start, at - start));
        we_buf_append_c(&fresh, to);
        start = at + strlen(from);
        times++;
    }
    if (times == 0)
        fail_msg("%s has no '%s' to edit", path, from);
    we_buf_append(&fresh, we_str(old.data + start, old.length - start));
    write_file(directory, name, fresh.data, fresh.length);
    we_buf_free(&old);
    we_buf_free(&fresh);
}
