/* The measurements of <whisperengine_tools.h>. */
#include "engine/model.h"
#include "engine/remote_model.h"

#include "base/bandwidth.h"
#include "base/fs.h"
#include "base/page_cache.h"
#include "base/system.h"
#include "remote/remote.h"

#include <assert.h>
#include <stdlib.h>
#include <whisperengine_tools.h>

we_status we_measure_bandwidth(uint32_t threads, double *bytes_per_second, struct we_error *error)
{
    return we_measure_read_bandwidth(threads ? threads : we_processor_count(), bytes_per_second, error);
}

uint64_t we_peak_memory(void)
{
    return we_memory_peak();
}

static const struct we_sampling greedy = {.min_tokens_to_keep = 1, .repetition_context = 20};

static void make_prompt(const struct we_model *model, uint32_t *ids, uint32_t count, uint64_t *random)
{
    for (uint32_t i = 0; i < count; i++) {
        *random = *random * 6364136223846793005u + 1442695040888963407u;
        ids[i] = (uint32_t)(*random >> 33) % model->decoder.vocab_size;
    }
}

/* One prompt of random ids and the steps after it; the first token comes out of the prompt, so one more is asked for than
 * there are steps. */
static we_status bench_one(struct we_model *model, const struct we_bench_options *options, uint32_t *ids,
                           struct we_bench_run *run, struct we_error *error)
{
    struct we_request request;
    struct we_result result;
    we_request_init(&request, model);
    request.ids = ids;
    request.num_ids = options->prompt_tokens;
    request.max_tokens = options->generated_tokens + 1;
    request.ignore_end_tokens = true;
    request.sampling = greedy;
    we_status status = we_generate(model, &request, &result, error);
    if (status == WE_OK)
        *run = (struct we_bench_run){
            .prefill_tps = result.prompt_tokens / result.prompt_seconds,
            .decode_tps = result.generation_seconds > 0 ? (result.generation_tokens - 1) / result.generation_seconds : 0,
            .time_to_first_token = result.time_to_first_token,
        };
    we_result_clear(&result);
    return status;
}

struct member { /* of a batch */
    struct we_sequence *sequence;
    struct we_sampler *sampler;
};

static we_status next_token(struct we_model *model, struct member *member, struct we_error *error)
{
    struct we_sequence_event event;
    we_status status;
    do
        status = we_scheduler_next(model->scheduler, member->sequence, NULL, &event, error);
    while (status == WE_OK && event.reading);
    assert(status != WE_OK || !event.finished); /* it was given more tokens than are read */
    return status;
}

/* All sequences decode side by side from when the last prompt has been read: sequences whose prompts came earlier are some
 * tokens ahead by then, so each is given as many more as it may be ahead, and none ends within what is measured. */
static we_status bench_batch(struct we_model *model, const struct we_bench_options *options, const uint32_t *ids,
                             struct member *members, struct we_bench_run *run, struct we_error *error)
{
    uint32_t count = options->sequences, steps = options->generated_tokens;
    double start = we_clock(), first = 0;
    we_status status = WE_OK;
    for (uint32_t i = 0; status == WE_OK && i < count; i++) {
        struct we_sequence_options sequence = {
            .prompt = ids + (size_t)i * options->prompt_tokens,
            .prompt_length = options->prompt_tokens,
            .max_tokens = steps + 1 + WE_QUEUE_LENGTH,
        };
        status = we_sampler_new(&greedy, model->decoder.vocab_size, NULL, 0, &members[i].sampler, error);
        sequence.sampler = members[i].sampler;
        if (status == WE_OK)
            status = we_scheduler_add(model->scheduler, &sequence, &members[i].sequence, error);
    }
    for (uint32_t i = 0; status == WE_OK && i < count; i++) {
        status = next_token(model, &members[i], error);
        first = i == 0 ? we_clock() : first;
    }
    double all = we_clock();
    for (uint32_t step = 0; step < steps; step++)
        for (uint32_t i = 0; status == WE_OK && i < count; i++)
            status = next_token(model, &members[i], error);
    if (status == WE_OK)
        *run = (struct we_bench_run){
            .prefill_tps = (double)count * options->prompt_tokens / (all - start),
            .decode_tps = steps ? (double)count * steps / (we_clock() - all) : 0,
            .time_to_first_token = first - start,
        };
    for (uint32_t i = 0; i < count; i++) {
        we_scheduler_remove(model->scheduler, members[i].sequence);
        we_sampler_free(members[i].sampler);
        members[i] = (struct member){0};
    }
    return status;
}

static we_status check(const struct we_model *model, const struct we_bench_options *options, struct we_error *error)
{
    if (options->prompt_tokens == 0 || options->repeats == 0)
        return we_error_set(error, WE_INVALID_ARGUMENT, "a benchmark needs at least one prompt token and one repeat");
    uint32_t ahead = options->sequences > 1 ? WE_QUEUE_LENGTH : 0;
    uint64_t need = (uint64_t)options->prompt_tokens + options->generated_tokens + 1 + ahead;
    if (need > model->info.context_length)
        return we_error_set(error, WE_CONTEXT_FULL, "%u + %u tokens do not fit into the context of %u", options->prompt_tokens,
                            options->generated_tokens + 1 + ahead, model->info.context_length);
    uint32_t room = we_scheduler_room(model->scheduler, (uint32_t)need);
    if (options->sequences > room)
        return we_error_set(
            error, WE_INVALID_ARGUMENT,
            "%u sequences of %u positions were asked for, but the model was opened with room for %u; open it with "
            "a higher max_sequences, or use a smaller batch or prompt",
            options->sequences, (uint32_t)need, room);
    return WE_OK;
}

we_status we_bench(struct we_model *model, const struct we_bench_options *options, struct we_bench_run *runs,
                   struct we_error *error)
{
    we_status status = we_model_require_local(model, "a benchmark", error);
    if (status == WE_OK)
        status = check(model, options, error);
    if (status != WE_OK)
        return status;
    uint32_t sequences = options->sequences ? options->sequences : 1;
    uint64_t random = we_random_u64(); /* fresh ids each time, so that no prompt is in the KV cache */
    uint32_t *ids = calloc((size_t)sequences * options->prompt_tokens, sizeof *ids);
    struct member *members = calloc(sequences, sizeof *members);
    if (ids == NULL || members == NULL)
        status = we_error_memory(error, "the prompts");
    struct we_bench_options warm_up = *options;
    struct we_bench_run ignored;
    /* Steps in which a back-end brings its weights in: also where only prompts are measured, if there is room. */
    const uint32_t room = model->info.context_length - options->prompt_tokens - 1, steps = room < 16 ? room : 16;
    if (sequences == 1 || options->generated_tokens > steps)
        warm_up.generated_tokens = steps;
    for (uint32_t i = options->no_warm_up ? 1 : 0; status == WE_OK && i <= options->repeats; i++) {
        make_prompt(model, ids, sequences * options->prompt_tokens, &random);
        const struct we_bench_options *o = i ? options : &warm_up;
        struct we_bench_run *run = i ? &runs[i - 1] : &ignored;
        status = sequences > 1 ? bench_batch(model, o, ids, members, run, error) : bench_one(model, o, ids, run, error);
        we_scheduler_forget(model->scheduler); /* else every repeat would take pages of its own */
    }
    free(ids);
    free(members);
    return status;
}

/* ---- starts ---- */

static we_status drop_files(const char *directory, struct we_bench_start *start, struct we_error *error)
{
    struct we_arena arena = {0};
    char **names = NULL;
    size_t count = 0;
    we_status status = we_list_directory(directory, &arena, &names, &count, error);
    for (size_t i = 0; i < count && status == WE_OK; i++) {
        uint64_t kept, bytes;
        const char *path = we_path_join(&arena, directory, names[i]);
        if (path == NULL)
            status = we_error_memory(error, "the names of the model's files");
        else if (!we_path_is_directory(path) && (status = we_page_cache_drop(path, &kept, &bytes, error)) == WE_OK) {
            start->kept_bytes += kept;
            start->file_bytes += bytes;
        }
    }
    we_arena_free(&arena);
    return status;
}

we_status we_bench_start(const char *name, const struct we_model_options *options, bool cold, struct we_bench_start *start,
                         struct we_error *error)
{
    *start = (struct we_bench_start){0};
    if (name && we_remote_is_address(name))
        return we_error_set(error, WE_UNSUPPORTED, "%s: only the start of a model on this machine can be measured", name);
    char *path = NULL;
    struct we_model *model = NULL;
    struct we_result result = {0};
    we_status status = we_store_find(options ? options->models_dir : NULL, name, &path, error);
    if (status == WE_OK && cold)
        status = drop_files(path, start, error);
    const double began = we_clock();
    if (status == WE_OK)
        status = we_model_open(path, options, &model, error);
    if (status == WE_OK) {
        start->load_seconds = we_clock() - began;
        const uint32_t id = 0;
        struct we_request request;
        we_request_init(&request, model);
        request.ids = &id;
        request.num_ids = 1;
        request.max_tokens = 1;
        request.ignore_end_tokens = true;
        request.sampling = greedy;
        status = we_generate(model, &request, &result, error);
        start->first_token_seconds = we_clock() - began;
    }
    we_result_clear(&result);
    we_model_close(model);
    free(path);
    return status;
}
