/* Several threads that generate at once get the tokens that each gets alone, however many sequences may run together. */
#include "support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_JOBS = 24 };

struct job {
    struct we_model *model;
    struct we_request request;
    struct we_result result, alone;
    struct we_error error;
    we_status status;
    pthread_t thread;
};

static void *run_job(void *context)
{
    struct job *job = context;
    job->status = we_generate(job->model, &job->request, &job->result, &job->error);
    return NULL;
}

/* Prompts of many lengths, some with a common beginning; greedy and sampled; long and short replies. */
static size_t make_jobs(struct job *jobs, struct golden *golden, struct we_model *model, struct we_model *reference)
{
    const struct golden_case *c = &golden->cases[0];
    static const size_t lengths[] = {1, 2, 63, 64, 65, 90, 100, 100};
    size_t count = 0;
    for (size_t i = 0; i < MAX_JOBS; i++) {
        struct job *job = &jobs[count++];
        size_t length = lengths[i % 8], first = i % 3 == 0 ? 0 : i % 7;
        uint32_t *ids = we_arena_array(&golden->arena, length, sizeof *ids);
        assert_non_null(ids);
        for (size_t k = 0; k < length; k++)
            ids[k] = c->ids[(k + first) % c->num_ids];
        *job = (struct job){.model = model, .request = greedy_request(model, ids, length, 5 + 3 * (uint32_t)(i % 9))};
        if (i % 2)
            job->request.sampling = (struct we_sampling){.temperature = 1.0f,
                                                         .top_p = 0.95f,
                                                         .min_tokens_to_keep = 1,
                                                         .repetition_penalty = 1.1f,
                                                         .repetition_context = 20,
                                                         .has_seed = true,
                                                         .seed = i};
        struct we_request request = job->request;
        job->alone = generate(reference, &request);
    }
    return count;
}

static void check_together(const char *name, uint32_t max_sequences, uint32_t max_context)
{
    struct golden golden;
    golden_open(name, &golden);
    struct we_model_options options;
    we_model_options_init(&options);
    struct we_model *reference = open_model(model_path(name), &options);
    options.max_sequences = max_sequences;
    options.max_context = max_context;
    struct we_model *model = open_model(model_path(name), &options);
    static struct job jobs[MAX_JOBS];
    size_t count = make_jobs(jobs, &golden, model, reference);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < count; i++)
            assert_int_equal(pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]), 0);
        for (size_t i = 0; i < count; i++)
            pthread_join(jobs[i].thread, NULL);
        for (size_t i = 0; i < count; i++) {
            if (jobs[i].status != WE_OK)
                fail_msg("%s, job %zu: %s", name, i, jobs[i].error.message);
            assert_int_equal(jobs[i].result.generation_tokens, jobs[i].alone.generation_tokens);
            for (uint32_t k = 0; k < jobs[i].alone.generation_tokens; k++)
                if (jobs[i].result.tokens[k] != jobs[i].alone.tokens[k])
                    fail_msg("%s, %u sequences, round %d, job %zu: token %u is %u, alone it was %u", name, max_sequences, round,
                             i, k, jobs[i].result.tokens[k], jobs[i].alone.tokens[k]);
            we_result_clear(&jobs[i].result);
        }
    }
    for (size_t i = 0; i < count; i++)
        we_result_clear(&jobs[i].alone);
    we_model_close(model);
    we_model_close(reference);
    golden_close(&golden);
}

static void test_together(void **state)
{
    (void)state;
    check_together("llama-q4-g32", 8, 0);
    check_together("phi3-q4-g64", 4, 0);
}

static void test_one_at_a_time(void **state)
{
    (void)state;
    check_together("llama-bfloat16", 1, 192);
}

static void test_windows(void **state)
{
    (void)state;
    check_together("llama-window-65", 3, 0);
    check_together("llama-q8-g32", 5, 160);
}

static void test_longrope(void **state)
{
    (void)state;
    check_together("phi3-longrope-80", 4, 0);
}

/* One thread stops early, again and again, beside others that do not. */
static bool stop_soon(void *context, const char *text, size_t length)
{
    (void)text, (void)length;
    return ++*(int *)context < 3;
}

static void test_cancelled_company(void **state)
{
    (void)state;
    struct golden golden;
    golden_open("llama-chat", &golden);
    const struct golden_case *c = &golden.cases[0];
    struct we_model *model = open_model(model_path("llama-chat"), NULL);
    struct job jobs[8] = {0};
    int calls[8];
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 8; i++) {
            jobs[i].model = model;
            jobs[i].request = greedy_request(model, c->ids, c->num_ids, (uint32_t)c->greedy.count);
            calls[i] = 0;
            if (i % 2) {
                jobs[i].request.on_text = stop_soon;
                jobs[i].request.context = &calls[i];
                jobs[i].request.num_ids -= (size_t)i;
            }
            assert_int_equal(pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]), 0);
        }
        for (int i = 0; i < 8; i++)
            pthread_join(jobs[i].thread, NULL);
        for (int i = 0; i < 8; i++) {
            if (jobs[i].status != WE_OK)
                fail_msg("%s", jobs[i].error.message);
            if (i % 2)
                assert_int_equal(jobs[i].result.finish_reason, WE_FINISH_CANCELLED);
            else
                assert_reply("llama-chat", &jobs[i].result, &c->greedy);
            we_result_clear(&jobs[i].result);
        }
    }
    we_model_close(model);
    golden_close(&golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_together), cmocka_unit_test(test_one_at_a_time),     cmocka_unit_test(test_windows),
        cmocka_unit_test(test_longrope), cmocka_unit_test(test_cancelled_company),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
