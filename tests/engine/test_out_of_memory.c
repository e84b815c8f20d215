/* Every allocation fails once: opening a model, generating, a session. What is expected: WE_OUT_OF_MEMORY, or success where
 * memory only makes something better; never a crash, and (under AddressSanitizer) never a leak. The linker puts the wrappers
 * below in the place of the allocator, in the whole program but the shared libraries. */
#include "support.h"

#include "base/str.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static atomic_long countdown = -1; /* allocations until the one that fails; negative: none does */
static atomic_bool for_ever;       /* and all after it */

static bool fails(void)
{
    long left = atomic_load(&countdown);
    if (left < 0)
        return false;
    left = atomic_fetch_sub(&countdown, 1);
    if (left < 0)
        return false;
    if (left == 0 && atomic_load(&for_ever))
        atomic_store(&countdown, 0);
    return left == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **out, size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t length);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **out, size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t length);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

int __wrap_posix_memalign(void **out, size_t alignment, size_t size)
{
    return fails() ? 12 /* ENOMEM */ : __real_posix_memalign(out, alignment, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t length)
{
    return fails() ? NULL : __real_strndup(text, length);
}

static bool drop(void *context, size_t index, const float *logits)
{
    (void)context, (void)index, (void)logits;
    return true;
}

/* Ids only: open, read logits, generate twice (the second time from the cache), close. */
static we_status use_ids(const char *name, struct we_error *error)
{
    struct we_model *model;
    uint32_t ids[70];
    for (uint32_t i = 0; i < 70; i++)
        ids[i] = i * 7 % 40;
    struct we_model_options options;
    we_model_options_init(&options);
    options.max_context = 128;
    options.threads = 2;
    we_status status = we_model_open(model_path(name), &options, &model, error);
    if (status != WE_OK)
        return status;
    status = we_logits(model, ids, 66, drop, NULL, error);
    for (int turn = 0; status == WE_OK && turn < 2; turn++) {
        struct we_request request = greedy_request(model, ids, 70, 3);
        struct we_result result;
        if (turn == 1)
            request.sampling = (struct we_sampling){.temperature = 1,
                                                    .top_p = 0.9f,
                                                    .min_p = 0.01f,
                                                    .min_tokens_to_keep = 2,
                                                    .top_k = 20,
                                                    .xtc_probability = 0.5f,
                                                    .xtc_threshold = 0.1f,
                                                    .repetition_penalty = 1.1f,
                                                    .repetition_context = 20};
        status = we_generate(model, &request, &result, error);
        if (status == WE_OK)
            assert_int_equal(result.generation_tokens, 3);
        we_result_clear(&result);
    }
    we_model_close(model);
    return status;
}

/* Messages: a session of two turns with a stop string, saved and loaded. */
static we_status use_session(const char *name, struct we_error *error)
{
    struct we_model *model;
    struct we_model_options options;
    we_model_options_init(&options);
    options.max_context = 256;
    options.threads = 1;
    we_status status = we_model_open(model_path(name), &options, &model, error);
    if (status != WE_OK)
        return status;
    struct we_session *session = NULL;
    const char *json, *stop[] = {"##", "no such text"};
    struct we_request request;
    we_request_init(&request, model);
    request.max_tokens = 4;
    request.stop = stop;
    request.num_stop = 2;
    status = we_session_new(model, &session, error);
    if (status == WE_OK)
        status = we_session_set_system(session, "Be brief.", error);
    for (int turn = 0; status == WE_OK && turn < 2; turn++) {
        struct we_result result;
        status = we_session_send(session, "Hello", &request, &result, error);
        we_result_clear(&result);
    }
    if (status == WE_OK)
        status = we_session_messages(session, &json, error);
    if (status == WE_OK) {
        char *copy = strdup(json);
        if (copy == NULL)
            *error = (struct we_error){WE_OUT_OF_MEMORY, "the test's own copy"};
        status = copy ? we_session_set_messages(session, copy, error) : WE_OUT_OF_MEMORY;
        free(copy);
    }
    we_session_free(session);
    we_model_close(model);
    return status;
}

/* Looking at a directory, and finding it by a wrong name. */
static we_status use_tools(const char *name, struct we_error *error)
{
    struct we_model_summary *summary;
    we_status status = we_model_summary_open(model_path(name), &summary, error);
    if (status != WE_OK)
        return status;
    if (we_model_summary_memory(summary, 100) == 0)
        fail_msg("a model that needs no memory");
    we_model_summary_close(summary);
    char *text;
    size_t length;
    status =
        we_render(model_path(name), NULL, "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}", &text, &length, error);
    if (status != WE_OK)
        return status;
    uint32_t *ids;
    size_t count;
    status = we_tokenize(model_path(name), text, length, true, &ids, &count, error);
    free(text);
    if (status != WE_OK)
        return status;
    status = we_detokenize(model_path(name), ids, count, &text, &length, error);
    free(ids);
    if (status == WE_OK)
        free(text);
    return status;
}

static bool count_failed(void *context, const struct we_check *check)
{
    *(size_t *)context += check->mark == WE_CHECK_FAILED;
    return check->text[0] != '\0';
}

/* A check that fails is a report too. */
static we_status use_validation(const char *name, struct we_error *error)
{
    size_t failed = 0;
    struct we_validate_options options = {.no_speed = true, .on_check = count_failed, .context = &failed};
    we_status status = we_validate_platform(&options, error);
    if (status == WE_OK)
        status = we_validate_model(model_path(name), &options, error);
    if (status == WE_OK && failed) {
        *error = (struct we_error){WE_OUT_OF_MEMORY, "a check failed"};
        status = WE_OUT_OF_MEMORY;
    }
    return status;
}

typedef we_status use_fn(const char *name, struct we_error *error);

static void exhaust(use_fn *use, const char *name)
{
    struct we_error error;
    atomic_store(&countdown, 1L << 40);
    if (use(name, &error) != WE_OK)
        fail_msg("%s: %s", name, error.message);
    long count = (1L << 40) - atomic_exchange(&countdown, -1);
    size_t failed = 0, tried = 0;
    for (int ever = 0; ever < 2; ever++) {
        for (long n = 0; n < count; n += 1 + (n > 200 ? n / 40 : 0), tried++) {
            error = (struct we_error){0};
            atomic_store(&for_ever, ever);
            atomic_store(&countdown, n);
            we_status status = use(name, &error);
            atomic_store(&for_ever, false);
            atomic_store(&countdown, -1);
            failed += status != WE_OK;
            if (status != WE_OK && (status != WE_OUT_OF_MEMORY || error.status != status || error.message[0] == '\0'))
                fail_msg("%s: allocation %ld of %ld%s: status %d (%d): %s", name, n, count, ever ? " and all after" : "",
                         status, error.status, error.message);
        }
    }
    print_message("%s: %ld allocations; of %zu failures %zu were reported\n", name, count, tried, failed);
    assert_true(failed * 2 > tried);
    if (use(name, &error) != WE_OK)
        fail_msg("%s: afterwards: %s", name, error.message);
}

static void test_ids(void **state)
{
    (void)state;
    exhaust(use_ids, "llama-overrides");
    exhaust(use_ids, "phi3-longrope-80");
    exhaust(use_ids, "llama-window-65");
}

static void test_validation(void **state)
{
    (void)state;
    exhaust(use_validation, "llama-chat");
}

static void test_session(void **state)
{
    (void)state;
    exhaust(use_session, "llama-chat");
}

static void test_tools(void **state)
{
    (void)state;
    exhaust(use_tools, "llama-chat");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ids), cmocka_unit_test(test_session),
                                       cmocka_unit_test(test_tools), cmocka_unit_test(test_validation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
