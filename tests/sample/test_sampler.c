/* The sampler against what mlx-lm picked (sampler_goldens.json), and what it refuses. */
#include "sample/sampler.h"

#include "base/fs.h"
#include "base/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* after those that it needs */
#include <cmocka.h>

#if defined(__linux__)
#include "failing_memory.h"
#endif

/* ---- the logits of make_sampler_goldens.py ---- */

static uint32_t noise(uint32_t seed, uint32_t i)
{
    uint32_t x = i * 2654435761u + seed;
    x ^= x >> 16;
    x *= 0x85EBCA6Bu;
    x ^= x >> 13;
    x *= 0xC2B2AE35u;
    return x ^ x >> 16;
}

static double to_half(double x)
{
    int exponent;
    frexp(x, &exponent);
    double step = ldexp(1, exponent - 11 < -24 ? -24 : exponent - 11);
    return rint(x / step) * step;
}

static void make_logits(const char *kind, uint32_t seed, uint32_t vocab, double base, float *out)
{
    for (uint32_t i = 0; i < vocab; i++) {
        uint32_t a = noise(seed, i), b = noise(seed ^ 0x9E3779B9u, i);
        double bell = ((double)(a >> 8) + (double)(b >> 8) - 16777216) / 16777216, x = 0;
        bool chosen = i == seed % vocab;
        if (strcmp(kind, "smooth") == 0)
            x = bell * 8;
        else if (strcmp(kind, "flat") == 0)
            x = bell / 64;
        else if (strcmp(kind, "low") == 0)
            x = bell / 65536 + 0.01;
        else if (strcmp(kind, "ties") == 0)
            x = rint(bell * 3);
        else if (strcmp(kind, "holes") == 0)
            x = chosen ? 1 : a & 1 ? (double)-INFINITY : bell * 4;
        else if (strcmp(kind, "peak") == 0)
            x = bell * 2 + (chosen ? 30 : 0);
        else if (strcmp(kind, "edge") == 0)
            x = i == 0 ? 0 : base + ((double)((a >> 8) % 4) - 2) / 4194304;
        else if (strcmp(kind, "pair") == 0)
            x = i < 2 ? 1 - (double)i : (double)-INFINITY;
        else if (strcmp(kind, "half") == 0)
            x = to_half(bell * 8);
        else
            assert_string_equal(kind, "equal");
        out[i] = (float)x;
    }
}

/* ---- the goldens ---- */

static double number(const struct we_json *object, const char *key, double otherwise)
{
    const struct we_json *value = we_json_get(object, key);
    return value ? value->number : otherwise;
}

static uint64_t seed_of(const struct we_json *object)
{
    return strtoull(we_json_get(object, "seed")->string.data, NULL, 10);
}

static size_t read_bias(const struct we_json *item, struct we_logit_bias *bias)
{
    const struct we_json *list = we_json_get(item, "logit_bias");
    for (size_t i = 0; list && i < list->count; i++)
        bias[i] = (struct we_logit_bias){(uint32_t)list->items[i].items[0].integer, (float)list->items[i].items[1].number};
    return list ? list->count : 0;
}

static void check_case(const struct we_json *item)
{
    struct we_logit_bias bias[8];
    struct we_sampling sampling = {.temperature = (float)number(item, "temp", 0),
                                   .top_p = (float)number(item, "top_p", 0),
                                   .min_p = (float)number(item, "min_p", 0),
                                   .min_tokens_to_keep = (uint32_t)number(item, "min_tokens_to_keep", 1),
                                   .top_k = (uint32_t)number(item, "top_k", 0),
                                   .xtc_probability = (float)number(item, "xtc_probability", 0),
                                   .xtc_threshold = (float)number(item, "xtc_threshold", 0.1),
                                   .repetition_penalty = (float)number(item, "repetition_penalty", 0),
                                   .presence_penalty = (float)number(item, "presence_penalty", 0),
                                   .frequency_penalty = (float)number(item, "frequency_penalty", 0),
                                   .repetition_context = (uint32_t)number(item, "context", 20),
                                   .logit_bias = bias,
                                   .num_logit_bias = read_bias(item, bias),
                                   .seed = seed_of(item),
                                   .has_seed = true};
    const struct we_json *tokens = we_json_get(item, "tokens"), *prompt = we_json_get(item, "prompt");
    const struct we_json *spared = we_json_get(item, "spared");
    uint32_t vocab = (uint32_t)number(item, "vocab", 0), spare[8];
    for (size_t i = 0; spared && i < spared->count; i++)
        spare[i] = (uint32_t)spared->items[i].integer;
    float *logits = malloc(vocab * sizeof *logits);
    assert_non_null(logits);
    struct we_sampler *sampler;
    struct we_error error;
    assert_int_equal(we_sampler_new(&sampling, vocab, spare, spared ? spared->count : 0, &sampler, &error), WE_OK);
    for (size_t i = 0; i < prompt->count; i++)
        we_sampler_accept(sampler, (uint32_t)prompt->items[i].integer);
    for (size_t i = 0; i < tokens->count; i++) {
        uint32_t token;
        make_logits(we_json_get(item, "kind")->string.data, (uint32_t)(sampling.seed * 1000 + i), vocab,
                    number(item, "base", 0), logits);
        assert_int_equal(we_sampler_pick(sampler, logits, &token, &error), WE_OK);
        if (token != (uint32_t)tokens->items[i].integer)
            fail_msg("temp %g top_p %g min_p %g top_k %u, %u %s logits, seed %llu, step %zu: %u, but mlx-lm picks %lld",
                     (double)sampling.temperature, (double)sampling.top_p, (double)sampling.min_p, sampling.top_k, vocab,
                     we_json_get(item, "kind")->string.data, (unsigned long long)sampling.seed, i, token,
                     (long long)tokens->items[i].integer);
        we_sampler_accept(sampler, token);
    }
    we_sampler_free(sampler);
    free(logits);
}

static void test_tokens_are_those_of_mlx_lm(void **state)
{
    (void)state;
    struct we_buf text = {0};
    struct we_arena arena = {0};
    struct we_json *tree;
    struct we_error error;
    assert_int_equal(we_file_read(TEST_DATA "/sampler_goldens.json", 0, &text, &error), WE_OK);
    assert_int_equal(we_json_parse(we_buf_str(&text), "sampler_goldens.json", &arena, &tree, &error), WE_OK);
    const struct we_json *cases = we_json_get(tree, "cases");
    assert_true(cases && cases->count > 100);
    for (size_t i = 0; i < cases->count; i++)
        check_case(&cases->items[i]);
    we_arena_free(&arena);
    we_buf_free(&text);
}

/* ---- values and logits that make no sense ---- */

static void test_wrong_values_are_refused_by_name(void **state)
{
    (void)state;
    struct we_logit_bias outside = {10, 1}, nan_bias = {1, NAN}, infinite = {1, INFINITY};
    const struct {
        struct we_sampling sampling;
        const char *name;
    } table[] = {
        {{.temperature = -1}, "temperature is -1"},
        {{.temperature = NAN}, "temperature"},
        {{.temperature = INFINITY}, "temperature"},
        {{.temperature = 1e-35f}, "0 or from 1e-30"},
        {{.top_p = 1.5f}, "top_p is 1.5, but must be from 0 to 1"},
        {{.top_p = -0.1f}, "top_p"},
        {{.min_p = 2}, "min_p"},
        {{.xtc_probability = 1.1f}, "xtc_probability"},
        {{.xtc_threshold = 0.6f}, "xtc_threshold"},
        {{.repetition_penalty = -1}, "repetition_penalty"},
        {{.presence_penalty = NAN}, "presence_penalty"},
        {{.frequency_penalty = INFINITY}, "frequency_penalty"},
        {{.repetition_context = 1u << 30}, "repetition_context"},
        {{.logit_bias = &outside, .num_logit_bias = 1}, "token 10"},
        {{.logit_bias = &nan_bias, .num_logit_bias = 1}, "logit_bias"},
        {{.logit_bias = &infinite, .num_logit_bias = 1}, "logit_bias"},
        {{.num_logit_bias = 1}, "logit_bias is NULL"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct we_sampler *sampler;
        struct we_error error = {0};
        assert_int_equal(we_sampler_new(&table[i].sampling, 10, NULL, 0, &sampler, &error), WE_INVALID_ARGUMENT);
        assert_null(sampler);
        if (strstr(error.message, table[i].name) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", error.message, table[i].name);
    }
}

static void test_logits_that_are_not_finite(void **state)
{
    (void)state;
    const struct {
        float logits[40]; /* the first five; the others are 0 */
        const char *says;
    } table[] = {{{0, NAN, 1}, "NaN"}, {{NAN}, "NaN"}, {{0, 1, INFINITY}, "infinity"}, {{0, NAN, INFINITY}, ""}};
    for (int greedy = 0; greedy < 2; greedy++) {
        struct we_sampling sampling = {
            .temperature = greedy ? 0 : 1, .top_p = 0.9f, .min_p = 0.1f, .top_k = 3, .xtc_probability = 1};
        struct we_sampler *sampler;
        struct we_error error;
        uint32_t token;
        float logits[40];
        assert_int_equal(we_sampler_new(&sampling, 40, NULL, 0, &sampler, &error), WE_OK);
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
            memcpy(logits, table[i].logits, sizeof logits);
            assert_int_equal(we_sampler_pick(sampler, logits, &token, &error), WE_INVALID_FORMAT);
            assert_non_null(strstr(error.message, table[i].says));
        }
        for (size_t i = 0; i < 40; i++)
            logits[i] = -INFINITY;
        assert_int_equal(we_sampler_pick(sampler, logits, &token, &error), WE_INVALID_FORMAT);
        assert_non_null(strstr(error.message, "all are -infinity"));
        logits[33] = -1e30f; /* one that is possible is picked, however unlikely it looks */
        for (size_t i = 0; i < 40; i++)
            logits[i] = i == 33 ? -1e30f : -INFINITY;
        assert_int_equal(we_sampler_pick(sampler, logits, &token, &error), WE_OK);
        assert_int_equal(token, 33);
        we_sampler_free(sampler);
    }
    we_sampler_free(NULL);
}

/* What mlx-lm refuses and we take as "keep all"; tokens that have no logit; a sampler without a seed. */
static void test_edges(void **state)
{
    (void)state;
    struct we_sampling sampling = {.temperature = 1,
                                   .min_p = 1,
                                   .min_tokens_to_keep = 1000,
                                   .top_k = 1000,
                                   .repetition_penalty = 1.5f,
                                   .frequency_penalty = 1,
                                   .presence_penalty = 1};
    struct we_sampler *sampler;
    struct we_error error;
    assert_int_equal(we_sampler_new(&sampling, 3, NULL, 0, &sampler, &error), WE_OK);
    bool seen[3] = {false};
    for (int i = 0; i < 200; i++) {
        float logits[3] = {0, 0.5f, -0.5f};
        uint32_t token = 99;
        we_sampler_accept(sampler, UINT32_MAX);
        assert_int_equal(we_sampler_pick(sampler, logits, &token, &error), WE_OK);
        assert_in_range(token, 0, 2);
        seen[token] = true;
    }
    assert_true(seen[0] && seen[1] && seen[2]);
    we_sampler_free(sampler);
    assert_int_equal(we_sampler_new(&sampling, 0, NULL, 0, &sampler, &error), WE_INVALID_ARGUMENT);
    sampling = (struct we_sampling){.temperature = 0.5f};
    assert_int_equal(we_sampler_new(&sampling, 1, NULL, 0, &sampler, &error), WE_OK);
    float one = 3;
    uint32_t token = 99;
    assert_int_equal(we_sampler_pick(sampler, &one, &token, &error), WE_OK);
    assert_int_equal(token, 0);
    we_sampler_free(sampler);
}

/* Two samplers without a seed differ, two with one agree. */
static void test_seed(void **state)
{
    (void)state;
    for (int seeded = 0; seeded < 2; seeded++) {
        struct we_sampling sampling = {.temperature = 1, .seed = 5, .has_seed = seeded};
        struct we_sampler *samplers[2];
        struct we_error error;
        int equal = 0;
        for (int i = 0; i < 2; i++)
            assert_int_equal(we_sampler_new(&sampling, 1000, NULL, 0, &samplers[i], &error), WE_OK);
        for (int i = 0; i < 30; i++) {
            float logits[2][1000] = {{0}};
            uint32_t token[2];
            for (int j = 0; j < 2; j++)
                assert_int_equal(we_sampler_pick(samplers[j], logits[j], &token[j], &error), WE_OK);
            equal += token[0] == token[1];
        }
        assert_true(seeded ? equal == 30 : equal < 10);
        we_sampler_free(samplers[0]);
        we_sampler_free(samplers[1]);
    }
}

#if defined(__linux__)
static bool make_one(void)
{
    const uint32_t spared[] = {1, 2};
    struct we_logit_bias bias = {1, 1};
    struct we_sampling sampling = {.temperature = 1, .repetition_penalty = 2, .logit_bias = &bias, .num_logit_bias = 1};
    struct we_sampler *sampler;
    struct we_error error = {0};
    we_status status = we_sampler_new(&sampling, 100, spared, 2, &sampler, &error);
    if (status != WE_OK && (status != WE_OUT_OF_MEMORY || sampler || strstr(error.message, "out of memory") == NULL))
        abort();
    we_sampler_free(sampler);
    return status == WE_OK;
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    assert_true(survive_failures(make_one) >= 7);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens_are_those_of_mlx_lm),
        cmocka_unit_test(test_wrong_values_are_refused_by_name),
        cmocka_unit_test(test_logits_that_are_not_finite),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_seed),
#if defined(__linux__)
        cmocka_unit_test(test_memory_runs_out),
#endif
    };
    return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}
