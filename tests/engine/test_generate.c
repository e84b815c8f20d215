/* we_generate and we_logits beyond the goldens: limits, ends, the prefix cache, the switch of longrope, arguments. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

/* The status and a message that holds each of the needles (NULL ends them). */
static void assert_error(we_status status, const struct we_error *error, we_status expected, ...)
{
    if (status != expected)
        fail_msg("status %d, where %d was expected: %s", status, expected, status == WE_OK ? "(ok)" : error->message);
    assert_int_equal(error->status, expected);
    va_list needles;
    va_start(needles, expected);
    for (const char *needle; (needle = va_arg(needles, const char *));)
        if (strstr(error->message, needle) == NULL)
            fail_msg("the message lacks '%s': %s", needle, error->message);
    va_end(needles);
}

static void assert_same_tokens(const struct we_result *found, const struct we_result *expected)
{
    assert_int_equal(found->generation_tokens, expected->generation_tokens);
    assert_memory_equal(found->tokens, expected->tokens, expected->generation_tokens * sizeof *expected->tokens);
}

static void test_max_tokens(void **state)
{
    (void)state;
    struct golden golden;
    golden_open("llama-q4-g32", &golden);
    const struct golden_case *c = golden_find(&golden, "long");
    struct we_model *model = open_model(model_path("llama-q4-g32"), NULL);
    for (uint32_t max = 0; max <= 20; max += max < 3 ? 1 : 17) {
        struct we_request request = greedy_request(model, c->ids, c->num_ids, max);
        struct we_result result = generate(model, &request);
        assert_int_equal(result.generation_tokens, max);
        assert_int_equal(result.finish_reason, WE_FINISH_LENGTH);
        assert_null(result.text);
        for (uint32_t i = 0; i < max; i++)
            assert_int_equal(result.tokens[i], c->greedy.tokens[i]);
        we_result_clear(&result);
        assert_null(result.tokens);
    }
    we_model_close(model);
    golden_close(&golden);
}

static void test_end_tokens(void **state)
{
    (void)state;
    struct golden golden;
    golden_open("llama-ends", &golden);
    const struct golden_case *c = golden_find(&golden, "long");
    assert_true(c->greedy.stopped && c->greedy.count > 0);
    struct we_model *model = open_model(model_path("llama-ends"), NULL);
    struct we_request request = greedy_request(model, c->ids, c->num_ids, 40);
    struct we_result result = generate(model, &request);
    assert_int_equal(assert_reply("llama-ends", &result, &c->greedy), c->greedy.count);
    we_result_clear(&result);
    /* The end token is the next one, and with ignore_end_tokens one of many. */
    request.ignore_end_tokens = true;
    result = generate(model, &request);
    assert_int_equal(result.generation_tokens, 40);
    assert_int_equal(result.finish_reason, WE_FINISH_LENGTH);
    assert_true(result.tokens[c->greedy.count] == 3 || result.tokens[c->greedy.count] == 20);
    we_result_clear(&result);
    /* When the last token that is allowed would be followed by the end, the reason is the limit. */
    request.ignore_end_tokens = false;
    request.max_tokens = (uint32_t)c->greedy.count;
    result = generate(model, &request);
    assert_int_equal(result.generation_tokens, c->greedy.count);
    assert_int_equal(result.finish_reason, WE_FINISH_LENGTH);
    we_result_clear(&result);
    we_model_close(model);
    golden_close(&golden);
}

static void test_defaults(void **state)
{
    (void)state;
    struct we_sampling sampling;
    we_sampling_init(&sampling, NULL);
    assert_float_equal(sampling.temperature, 0.7f, 0);
    assert_float_equal(sampling.top_p, 0.9f, 0);
    assert_int_equal(sampling.repetition_context, 20);
    assert_false(sampling.has_seed);
    struct we_model *model = open_model(model_path("llama-ends"), NULL);
    struct we_request request;
    we_request_init(&request, model);
    assert_float_equal(request.sampling.temperature, 0.6f, 0);
    assert_float_equal(request.sampling.top_p, 0.85f, 0);
    assert_int_equal(request.sampling.top_k, 30);
    assert_float_equal(request.sampling.repetition_penalty, 1.1f, 0);
    assert_int_equal(request.max_tokens, 2048);
    const struct we_model_info *info = we_model_info(model);
    assert_string_equal(info->model_type, "llama");
    assert_int_equal(info->vocab_size, 97);
    assert_int_equal(info->context_length, 512);
    assert_false(info->has_tokenizer);
    assert_int_equal(info->kv_position_bytes, 2 * 2 * 16 * 4); /* layers, K and V, heads * width, float32 */
    we_model_close(model);
}

static void test_context(void **state)
{
    (void)state;
    struct golden golden;
    golden_open("llama-float32", &golden);
    const struct golden_case *c = golden_find(&golden, "long");
    struct we_model_options options;
    we_model_options_init(&options);
    options.max_context = 80;
    struct we_model *model = open_model(model_path("llama-float32"), &options);
    assert_int_equal(we_model_info(model)->context_length, 80);
    struct we_request request = greedy_request(model, c->ids, c->num_ids, 40);
    struct we_result result;
    struct we_error error;
    we_status status = we_generate(model, &request, &result, &error);
    assert_error(status, &error, WE_CONTEXT_FULL, "100", "80", NULL);
    we_result_clear(&result);
    status = we_logits(model, c->ids, 81, NULL, NULL, &error);
    assert_error(status, &error, WE_CONTEXT_FULL, "81", "80", NULL);
    /* Near the end of the context the reply is cut, and the tokens are those of a longer one. */
    request.num_ids = 70;
    result = generate(model, &request);
    assert_int_equal(result.finish_reason, WE_FINISH_LENGTH);
    assert_in_range(result.generation_tokens, 10, 11);
    struct we_model *roomy = open_model(model_path("llama-float32"), NULL);
    request.max_tokens = result.generation_tokens;
    struct we_result expected = generate(roomy, &request);
    assert_same_tokens(&result, &expected);
    we_result_clear(&result);
    we_result_clear(&expected);
    we_model_close(roomy);
    /* The model goes on working after the error. */
    request.max_tokens = 5;
    result = generate(model, &request);
    assert_int_equal(result.generation_tokens, 5);
    we_result_clear(&result);
    we_model_close(model);
    golden_close(&golden);
}

/* A prompt that begins like an earlier one takes its pages and gives the same tokens. */
static void test_prefix(void **state)
{
    (void)state;
    static const char *const names[] = {"llama-q8-g32", "llama-window-65", "phi3-q4-g64", "llama-bfloat16"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        struct golden golden;
        golden_open(names[n], &golden);
        const struct golden_case *c = golden_find(&golden, "long");
        struct we_model *model = open_model(model_path(names[n]), NULL);
        struct we_request request = greedy_request(model, c->ids, c->num_ids, (uint32_t)c->greedy.count);
        for (int turn = 0; turn < 3; turn++) {
            struct we_result result = generate(model, &request);
            assert_reply(names[n], &result, &c->greedy);
            assert_int_equal(result.cached_tokens, turn == 0 ? 0 : (c->num_ids - 1) / 64 * 64);
            we_result_clear(&result);
        }
        /* Only the first 64 ids are shared. */
        struct we_model *fresh = open_model(model_path(names[n]), NULL);
        uint32_t ids[90];
        memcpy(ids, c->ids, sizeof ids);
        ids[64] = (ids[64] + 1) % golden.vocab_size;
        request.ids = ids;
        request.num_ids = 90;
        struct we_result result = generate(model, &request), expected = generate(fresh, &request);
        assert_int_equal(result.cached_tokens, 64);
        assert_int_equal(expected.cached_tokens, 0);
        assert_same_tokens(&result, &expected);
        we_result_clear(&result);
        we_result_clear(&expected);
        /* The first id differs: nothing is shared. */
        ids[0] = (ids[0] + 1) % golden.vocab_size;
        result = generate(model, &request);
        expected = generate(fresh, &request);
        assert_int_equal(result.cached_tokens, 0);
        assert_same_tokens(&result, &expected);
        we_result_clear(&result);
        we_result_clear(&expected);
        we_model_close(fresh);
        we_model_close(model);
        golden_close(&golden);
    }
}

/* Mixers that keep a state, not positions: prompts that grow, part and come again, with replies of several pages between them,
 * give what they give where nothing is cached; and what is kept of them is found. */
static void test_states(void **state)
{
    (void)state;
    static const char *const names[] = {"family-qwen3_5", "family-granitemoehybrid", "family-nemotron_h"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++)
        for (enum we_precision precision = WE_PRECISION_EXACT; precision <= WE_PRECISION_FAST; precision++) {
            struct golden golden;
            golden_open(names[n], &golden);
            struct we_model_options options;
            we_model_options_init(&options);
            options.precision = precision;
            options.max_sequences = 6;
            options.max_context = 700;
            struct we_model *model = open_model(model_path(names[n]), &options);
            uint32_t ids[700], count = 100;
            for (uint32_t i = 0; i < 700; i++)
                ids[i] = golden.cases[0].ids[(i + i / 100) % golden.cases[0].num_ids];
            static const struct {
                uint32_t prompt, reply, changed, cached; /* the id at `changed` is another one from here on; 0: none */
            } turns[] = {{100, 90, 0, 0},   {210, 70, 0, 128},  {210, 5, 0, 192},   {600, 3, 0, 192}, {600, 3, 0, 576},
                         {590, 3, 580, 576}, {500, 3, 400, 192}, {500, 3, 390, 384}, {64, 3, 0, 0},     {65, 3, 0, 64}};
            for (size_t t = 0; t < sizeof turns / sizeof *turns; t++) {
                if (turns[t].changed)
                    ids[turns[t].changed] = (ids[turns[t].changed] + 1) % golden.vocab_size;
                struct we_request request = greedy_request(model, ids, turns[t].prompt, turns[t].reply);
                struct we_model *fresh = open_model(model_path(names[n]), &options);
                struct we_result result = generate(model, &request), expected = generate(fresh, &request);
                assert_int_equal(expected.cached_tokens, 0);
                assert_same_tokens(&result, &expected);
                if (result.cached_tokens != turns[t].cached)
                    fail_msg("%s, turn %zu: %u positions were cached, not %u", names[n], t, result.cached_tokens, turns[t].cached);
                if (t == 0) /* a conversation: the reply is part of the next prompt */
                    memcpy(ids + count, result.tokens, result.generation_tokens * sizeof *ids);
                we_result_clear(&result);
                we_result_clear(&expected);
                we_model_close(fresh);
            }
            we_model_close(model);
            golden_close(&golden);
        }
}

/* The cache never mixes positions that were computed with short factors and with long ones. */
static void test_longrope_prefix(void **state)
{
    (void)state;
    static const char *const names[] = {"phi3-longrope-80", "phi3-su-64", "llama-longrope"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        struct golden golden;
        golden_open(names[n], &golden);
        struct we_model *model = open_model(model_path(names[n]), NULL);
        const struct golden_case *c = golden_find(&golden, "paper-long"), *crossing = golden_find(&golden, "paper-crossing");
        size_t shortest = crossing->num_ids; /* below the switch */
        struct we_request request = greedy_request(model, c->ids, shortest, 4), full = request;
        struct we_result result = generate(model, &request);
        we_result_clear(&result);
        full.num_ids = c->num_ids;
        full.max_tokens = (uint32_t)c->greedy.count;
        for (int turn = 0; turn < 2; turn++) {
            result = generate(model, &full);
            assert_reply(names[n], &result, &c->greedy);
            if (turn == 0) /* what the short prompt left behind is of no use */
                assert_int_equal(result.cached_tokens, 0);
            we_result_clear(&result);
        }
        /* Across the switch, with the cache full of both kinds. */
        request = greedy_request(model, crossing->ids, crossing->num_ids, (uint32_t)crossing->greedy.count);
        for (int turn = 0; turn < 2; turn++) {
            result = generate(model, &request);
            assert_reply(names[n], &result, &crossing->greedy);
            we_result_clear(&result);
        }
        we_model_close(model);
        golden_close(&golden);
    }
}

/* The pool of pages is smaller than what the requests leave behind: old beginnings are evicted, results stay. */
static void test_eviction(void **state)
{
    (void)state;
    struct golden golden;
    golden_open("phi3-bfloat16", &golden);
    const struct golden_case *c = golden_find(&golden, "long");
    struct we_model_options options;
    we_model_options_init(&options);
    options.max_context = 192;
    options.max_sequences = 1;
    struct we_model *model = open_model(model_path("phi3-bfloat16"), &options);
    uint32_t ids[150];
    for (uint32_t turn = 0; turn < 12; turn++) {
        for (uint32_t i = 0; i < 150; i++)
            ids[i] = (c->ids[i % c->num_ids] + turn) % golden.vocab_size;
        struct we_request other = greedy_request(model, ids, 130 + turn, 8);
        struct we_result result = generate(model, &other);
        assert_int_equal(result.generation_tokens, 8);
        we_result_clear(&result);
        struct we_request request = greedy_request(model, c->ids, c->num_ids, (uint32_t)c->greedy.count);
        result = generate(model, &request);
        assert_reply("phi3-bfloat16", &result, &c->greedy);
        we_result_clear(&result);
    }
    we_model_close(model);
    golden_close(&golden);
}

/* A benchmark's repeats use the same pages again; what was in the cache before is gone after it. */
static void test_bench(void **state)
{
    (void)state;
    uint32_t ids[130];
    for (uint32_t i = 0; i < 130; i++)
        ids[i] = i % 50;
    struct we_error error;
    struct we_model *model = open_model(model_path("llama-float32"), NULL);
    for (int turn = 0; turn < 3; turn++) {
        if (turn == 2) {
            struct we_bench_run runs[2] = {0};
            struct we_bench_options options = {.prompt_tokens = 100, .generated_tokens = 3, .repeats = 2};
            assert_int_equal(we_bench(model, &options, runs, &error), WE_OK);
            for (int i = 0; i < 2; i++)
                assert_true(runs[i].prefill_tps > 0 && runs[i].decode_tps > 0 && runs[i].time_to_first_token > 0);
            /* Prompts that fill several batches, and more steps than a sequence may be ahead; then more than there is room for. */
            options = (struct we_bench_options){.prompt_tokens = 300, .generated_tokens = 40, .repeats = 2, .sequences = 5};
            assert_int_equal(we_bench(model, &options, runs, &error), WE_OK);
            for (int i = 0; i < 2; i++)
                assert_true(runs[i].prefill_tps > 0 && runs[i].decode_tps > 0 && runs[i].time_to_first_token > 0);
            options.sequences = 9;
            assert_error(we_bench(model, &options, runs, &error), &error, WE_INVALID_ARGUMENT, "room for 8", NULL);
        }
        struct we_request request = greedy_request(model, ids, 130, 2);
        struct we_result result = generate(model, &request);
        assert_int_equal(result.cached_tokens, turn == 1 ? 128 : 0);
        we_result_clear(&result);
    }
    we_model_close(model);
}

/* A start has read the model when its first token is there; a cold one finds that nothing was kept, or says so. */
static void test_bench_start(void **state)
{
    (void)state;
    struct we_bench_start start;
    struct we_error error;
    for (int cold = 0; cold < 2; cold++) {
        we_status status = we_bench_start(model_path("llama-float32"), NULL, cold, &start, &error);
        if (cold && status == WE_UNSUPPORTED)
            break; /* of a system without such a call */
        assert_int_equal(status, WE_OK);
        assert_true(start.load_seconds > 0 && start.first_token_seconds > start.load_seconds);
        assert_true(cold ? start.file_bytes > 10000 && start.kept_bytes <= start.file_bytes : start.file_bytes == 0);
    }
    assert_error(we_bench_start("no/such-model", NULL, true, &start, &error), &error, WE_NOT_FOUND, "no/such-model", NULL);
    assert_error(we_bench_start("http://localhost:1/v1", NULL, false, &start, &error), &error, WE_UNSUPPORTED, "on this machine", NULL);
}

static bool stop_at_once(void *context, size_t index, const float *logits)
{
    (void)logits;
    *(size_t *)context = index;
    return index < 2;
}

static void test_logits_stop(void **state)
{
    (void)state;
    uint32_t ids[] = {1, 2, 3, 4, 5, 6};
    struct we_model *model = open_model(model_path("llama-float32"), NULL);
    struct we_error error;
    size_t last = SIZE_MAX;
    assert_error(we_logits(model, ids, 6, stop_at_once, &last, &error), &error, WE_CANCELLED, NULL);
    assert_int_equal(last, 2);
    we_model_close(model);
}

struct kept_rows {
    uint32_t vocab_size;
    size_t count;
    float rows[80][128];
};

static bool keep_row(void *context, size_t index, const float *logits)
{
    struct kept_rows *kept = context;
    assert_int_equal(index, kept->count);
    memcpy(kept->rows[kept->count++], logits, kept->vocab_size * sizeof *logits);
    return true;
}

/* In exact precision, steps of decode give the logits of prefill, bit for bit. */
static void test_logits_decode(void **state)
{
    (void)state;
    static struct kept_rows prefill, decode;
    struct we_model *model = open_model(model_path("llama-float32"), NULL);
    struct we_error error;
    uint32_t ids[80];
    prefill.vocab_size = decode.vocab_size = we_model_info(model)->vocab_size;
    assert_true(prefill.vocab_size <= 128);
    for (uint32_t i = 0; i < 80; i++)
        ids[i] = (i * i + 3) % prefill.vocab_size;
    assert_int_equal(we_logits(model, ids, 80, keep_row, &prefill, &error), WE_OK);
    assert_int_equal(we_logits_decode(model, ids, 80, keep_row, &decode, &error), WE_OK);
    assert_true(prefill.count == 80 && decode.count == 80);
    assert_memory_equal(prefill.rows, decode.rows, sizeof prefill.rows);
    size_t last = SIZE_MAX;
    assert_error(we_logits_decode(model, ids, 6, stop_at_once, &last, &error), &error, WE_CANCELLED, NULL);
    assert_error(we_logits_decode(model, ids, 0, keep_row, &decode, &error), &error, WE_INVALID_ARGUMENT, NULL);
    we_model_close(model);
}

static void test_arguments(void **state)
{
    (void)state;
    struct we_model *model = open_model(model_path("llama-float32"), NULL);
    struct we_error error;
    struct we_result result;
    uint32_t ids[] = {5, 97, 7};
    struct we_request request = greedy_request(model, ids, 3, 4);
    assert_error(we_generate(model, &request, &result, &error), &error, WE_INVALID_ARGUMENT, "97", NULL);
    we_result_clear(&result);
    assert_error(we_logits(model, ids, 3, NULL, NULL, &error), &error, WE_INVALID_ARGUMENT, "97", NULL);
    ids[1] = 6;
    request.num_ids = 0;
    assert_error(we_generate(model, &request, &result, &error), &error, WE_INVALID_ARGUMENT, NULL);
    we_result_clear(&result);
    request.num_ids = 3;
    request.text = "both";
    assert_error(we_generate(model, &request, &result, &error), &error, WE_INVALID_ARGUMENT, NULL);
    we_result_clear(&result);
    request.ids = NULL;
    assert_error(we_generate(model, &request, &result, &error), &error, WE_UNSUPPORTED, "tokenizer", NULL);
    we_result_clear(&result);
    request.text = NULL;
    assert_error(we_generate(model, &request, &result, &error), &error, WE_INVALID_ARGUMENT, NULL);
    we_result_clear(&result);
    assert_int_equal(we_generate(model, &request, &result, NULL), WE_INVALID_ARGUMENT);
    we_result_clear(&result);
    /* Sampling values out of range are named. */
    static const struct {
        struct we_sampling sampling;
        const char *name;
    } wrong[] = {
        {{.temperature = -1}, "temp"},
        {{.temperature = 1, .top_p = 1.5f}, "top"},
        {{.temperature = 1, .min_p = 2}, "min"},
        {{.temperature = 1, .xtc_probability = 3}, "xtc"},
        {{.temperature = 1, .xtc_probability = 0.5f, .xtc_threshold = 0.7f}, "xtc"},
        {{.temperature = 1, .repetition_penalty = -2}, "repetition"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        request = greedy_request(model, ids, 3, 4);
        request.sampling = wrong[i].sampling;
        assert_error(we_generate(model, &request, &result, &error), &error, WE_INVALID_ARGUMENT, wrong[i].name, NULL);
        we_result_clear(&result);
    }
    request = greedy_request(model, ids, 3, 4);
    result = generate(model, &request);
    assert_int_equal(result.generation_tokens, 4);
    we_result_clear(&result);
    we_result_clear(&result); /* twice is fine */
    we_model_close(model);
    we_model_close(NULL);
    we_session_free(NULL);
}

/* Two runs without a seed differ; with one they do not. */
/* What is told of the prompt while it is read. */
struct telling {
    uint32_t reads[16], total;
    size_t count, stop_at; /* the call that stops; SIZE_MAX: none does */
};

static bool tell(void *context, uint32_t read, uint32_t total)
{
    struct telling *telling = context;
    assert_true(telling->count < 16);
    telling->reads[telling->count] = read;
    telling->total = total;
    return telling->count++ != telling->stop_at;
}

/* A prompt of several batches is told of before the first and between them; what was cached counts as read; and it can be
 * stopped there, after which the same prompt gives the same reply. */
static void test_prompt_progress(void **state)
{
    (void)state;
    enum { LENGTH = 1400 };
    uint32_t ids[LENGTH];
    for (uint32_t i = 0; i < LENGTH; i++)
        ids[i] = 3 + i * 7 % 80;
    struct we_model_options options;
    we_model_options_init(&options);
    options.max_context = 2048;
    struct we_model *model = open_model(model_path("llama-float32"), &options), *fresh = open_model(model_path("llama-float32"), &options);
    struct we_request request = greedy_request(model, ids, LENGTH, 4);
    struct we_result expected = generate(fresh, &request);
    struct telling telling = {.stop_at = 1};
    request.on_prompt = tell;
    request.context = &telling;
    struct we_result result = generate(model, &request);
    assert_int_equal(result.finish_reason, WE_FINISH_CANCELLED);
    assert_int_equal(result.generation_tokens, 0);
    assert_int_equal(telling.count, 2);
    assert_int_equal(telling.total, LENGTH);
    assert_int_equal(telling.reads[0], 0);
    assert_in_range(telling.reads[1], 64, LENGTH - 1);
    uint32_t kept = telling.reads[1];
    we_result_clear(&result);
    telling = (struct telling){.stop_at = SIZE_MAX};
    result = generate(model, &request);
    assert_same_tokens(&result, &expected);
    assert_int_equal(telling.reads[0], kept);
    assert_int_equal(result.cached_tokens, kept);
    for (size_t i = 1; i < telling.count; i++)
        assert_true(telling.reads[i] > telling.reads[i - 1] && telling.reads[i] < LENGTH);
    we_result_clear(&result);
    we_result_clear(&expected);
    we_model_close(model);
    we_model_close(fresh);
}

static void test_seeds(void **state)
{
    (void)state;
    uint32_t ids[] = {5, 6, 7};
    struct we_model *model = open_model(model_path("llama-float32"), NULL);
    struct we_request request = greedy_request(model, ids, 3, 40);
    request.sampling.temperature = 1.5f;
    struct we_result a = generate(model, &request), b = generate(model, &request);
    assert_int_equal(a.generation_tokens, 40);
    assert_memory_not_equal(a.tokens, b.tokens, 40 * sizeof *a.tokens);
    we_result_clear(&a);
    we_result_clear(&b);
    request.sampling.has_seed = true;
    request.sampling.seed = 42;
    a = generate(model, &request);
    b = generate(model, &request);
    assert_same_tokens(&a, &b);
    we_result_clear(&a);
    we_result_clear(&b);
    we_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_max_tokens), cmocka_unit_test(test_end_tokens),  cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_context),    cmocka_unit_test(test_prefix), cmocka_unit_test(test_states),      cmocka_unit_test(test_longrope_prefix),
        cmocka_unit_test(test_eviction),   cmocka_unit_test(test_logits_stop), cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_prompt_progress),
        cmocka_unit_test(test_seeds),      cmocka_unit_test(test_bench), cmocka_unit_test(test_bench_start),
        cmocka_unit_test(test_logits_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
