#include "engine/generate.h"

#include "base/system.h"
#include "engine/remote_model.h"
#include "engine/reply_text.h"

#include <stdlib.h>

void we_sampling_init(struct we_sampling *sampling, const struct we_model *model)
{
    if (model) {
        *sampling = model->sampling;
        return;
    }
    *sampling = (struct we_sampling){
        .temperature = 0.7f, .top_p = 0.9f, .min_tokens_to_keep = 1, .xtc_threshold = 0.1f, .repetition_context = 20};
}

void we_request_init(struct we_request *request, const struct we_model *model)
{
    *request = (struct we_request){.max_tokens = 2048};
    we_sampling_init(&request->sampling, model);
}

const char *we_finish_reason_name(enum we_finish_reason reason)
{
    static const char *const names[] = {"stop", "length", "cancelled"};
    return names[reason];
}

void we_result_clear(struct we_result *result)
{
    free(result->text);
    free(result->tokens);
    *result = (struct we_result){0};
}

/* Ids of a prompt's text. What the post-processor adds (BOS) is left out where the text already begins with it, as in
 * what most chat templates make. */
static we_status encode_prompt(const struct we_model *m, struct we_str text, struct we_ids *ids, struct we_error *error)
{
    struct we_ids added = {0};
    we_status status = we_tokenizer_encode(m->tokenizer, we_str("", 0), true, &added, error);
    if (status == WE_OK)
        status = we_tokenizer_encode(m->tokenizer, text, false, ids, error);
    if (status == WE_OK && added.count && (ids->count == 0 || ids->data[0] != added.data[0])) {
        ids->count = 0;
        status = we_tokenizer_encode(m->tokenizer, text, true, ids, error);
    }
    we_ids_free(&added);
    return status;
}

/* The prompt's ids, from whichever form the request has. */
static we_status make_prompt(const struct we_model *m, const struct we_request *request, struct we_ids *ids,
                             struct we_error *error)
{
    int forms = (request->messages != NULL) + (request->text != NULL) + (request->ids != NULL);
    if (forms != 1)
        return we_error_set(error, WE_INVALID_ARGUMENT, "a request has %d of messages, text and ids, where one was expected", forms);
    if (request->prefill_response && request->messages == NULL)
        return we_error_set(error, WE_INVALID_ARGUMENT, "prefill_response goes with messages only");
    if (request->ids) {
        ids->data = malloc((request->num_ids ? request->num_ids : 1) * sizeof *ids->data);
        if (ids->data == NULL)
            return we_error_memory(error, "the prompt");
        memcpy(ids->data, request->ids, request->num_ids * sizeof *ids->data);
        ids->count = ids->capacity = request->num_ids;
        return WE_OK;
    }
    if (m->tokenizer == NULL)
        return we_error_set(error, WE_UNSUPPORTED, "%s has no tokenizer.json, so it can continue ids, but no text", m->info.path);
    if (request->text)
        return encode_prompt(m, we_str_c(request->text), ids, error);
    if (m->chat_template == NULL)
        return we_error_set(error, WE_UNSUPPORTED,
                            "%s has no chat template, so it can continue text, but not answer messages; try --ignore-chat-template",
                            m->info.path);
    struct we_buf prompt = {0};
    we_status status = we_chat_template_render(m->chat_template, we_str_c(request->messages), &prompt, error);
    if (status == WE_OK && request->prefill_response)
        we_buf_append_c(&prompt, request->prefill_response);
    if (status == WE_OK && prompt.failed)
        status = we_error_memory(error, "the prompt");
    if (status == WE_OK)
        status = encode_prompt(m, we_buf_str(&prompt), ids, error);
    we_buf_free(&prompt);
    return status;
}

/* A reply in the making. */
struct reply {
    const struct we_model *model;
    const struct we_request *request;
    struct we_sampler *sampler;
    struct we_detokenizer *detokenizer; /* NULL: no tokenizer */
    struct we_reply_text told;
    struct we_ids tokens;
};

/* Tokens that XTC never drops: those of a line break, and the end tokens. */
static we_status new_sampler(struct reply *reply, const struct we_ids *prompt, struct we_error *error)
{
    const struct we_model *m = reply->model;
    struct we_ids spared = {0};
    we_status status = WE_OK;
    if (m->tokenizer && reply->request->sampling.xtc_probability > 0)
        status = we_tokenizer_encode(m->tokenizer, we_str("\n", 1), false, &spared, error);
    uint32_t *all = status == WE_OK ? calloc(spared.count + m->num_end_tokens + 1, sizeof *all) : NULL;
    if (status == WE_OK && all == NULL)
        status = we_error_memory(error, "the sampler");
    if (status == WE_OK) {
        if (spared.count)
            memcpy(all, spared.data, spared.count * sizeof *all);
        if (m->num_end_tokens)
            memcpy(all + spared.count, m->end_tokens, m->num_end_tokens * sizeof *all);
        status = we_sampler_new(&reply->request->sampling, m->decoder.vocab_size, all, spared.count + m->num_end_tokens,
                                &reply->sampler, error);
    }
    for (size_t i = 0; status == WE_OK && i < prompt->count; i++)
        we_sampler_accept(reply->sampler, prompt->data[i]);
    free(all);
    we_ids_free(&spared);
    return status;
}

static we_status add_token(struct reply *reply, uint32_t token, struct we_error *error)
{
    struct we_ids *tokens = &reply->tokens;
    if (tokens->count == tokens->capacity) {
        size_t capacity = tokens->capacity ? tokens->capacity * 2 : 64;
        uint32_t *more = realloc(tokens->data, capacity * sizeof *more);
        if (more == NULL)
            return we_error_memory(error, "the reply");
        tokens->data = more;
        tokens->capacity = capacity;
    }
    tokens->data[tokens->count++] = token;
    if (reply->detokenizer == NULL)
        return WE_OK;
    struct we_str text;
    we_status status = we_detokenizer_add(reply->detokenizer, token, &text, error);
    return status == WE_OK ? we_reply_text_add(&reply->told, text, error) : status;
}

/* The end of the text: what detokenizer and stop strings held back. */
static we_status end_text(struct reply *reply, struct we_error *error)
{
    if (reply->detokenizer == NULL || reply->told.stopped)
        return WE_OK;
    struct we_str text;
    we_status status = we_detokenizer_finish(reply->detokenizer, &text, error);
    if (status == WE_OK)
        status = we_reply_text_add(&reply->told, text, error);
    return status == WE_OK ? we_reply_text_end(&reply->told, error) : status;
}

/* Reads events until the reply ends, and fills in what the result says of time. */
static we_status run(struct reply *reply, struct we_sequence *sequence, const atomic_bool *cancel, double start,
                     struct we_result *result, struct we_error *error)
{
    struct we_scheduler *scheduler = reply->model->scheduler;
    double last = start;
    we_status status = WE_OK;
    for (;;) {
        struct we_sequence_event event;
        status = we_scheduler_next(scheduler, sequence, cancel, &event, error);
        if (status != WE_OK)
            break;
        result->finish_reason = event.finish_reason;
        if (event.finished)
            break;
        if (event.reading) {
            const struct we_request *request = reply->request;
            if (request->on_prompt == NULL || request->on_prompt(request->context, event.read, result->prompt_tokens))
                continue;
            result->finish_reason = WE_FINISH_CANCELLED;
            break;
        }
        last = we_clock();
        if (reply->tokens.count == 0)
            result->time_to_first_token = last - start;
        status = add_token(reply, event.token, error);
        if (status != WE_OK || reply->told.stopped || reply->told.cancelled) {
            result->finish_reason = reply->told.stopped ? WE_FINISH_STOP : WE_FINISH_CANCELLED;
            break;
        }
    }
    if (status == WE_OK && !reply->told.cancelled)
        status = end_text(reply, error);
    if (reply->told.stopped)
        result->finish_reason = WE_FINISH_STOP;
    double prompt_end = we_sequence_prompt_end(sequence);
    prompt_end = prompt_end > 0 ? prompt_end : last;
    result->prompt_seconds = prompt_end - start;
    result->generation_seconds = last > prompt_end ? last - prompt_end : 0;
    result->cached_tokens = we_sequence_cached(sequence);
    return status;
}

we_status we_generate_cancellable(struct we_model *m, const struct we_request *request, const atomic_bool *cancel,
                                  struct we_result *result, struct we_error *error)
{
    *result = (struct we_result){0};
    if (m->remote)
        return we_remote_model_generate(m, request, cancel, result, error);
    double start = we_clock();
    struct reply reply = {.model = m, .request = request};
    struct we_ids prompt = {0};
    struct we_sequence *sequence = NULL;
    we_reply_text_init(&reply.told, request);
    we_status status = make_prompt(m, request, &prompt, error);
    if (status == WE_OK && prompt.count > UINT32_MAX / 2)
        status = we_error_set(error, WE_CONTEXT_FULL, "the prompt has %zu tokens", prompt.count);
    if (status == WE_OK)
        status = new_sampler(&reply, &prompt, error);
    if (status == WE_OK && m->tokenizer)
        status = we_detokenizer_new(m->tokenizer, true, &reply.detokenizer, error);
    struct we_sequence_options options = {
        .prompt = prompt.data,
        .prompt_length = (uint32_t)prompt.count,
        .max_tokens = request->max_tokens,
        .end_tokens = m->end_tokens,
        .num_end_tokens = request->ignore_end_tokens ? 0 : m->num_end_tokens,
        .sampler = reply.sampler,
    };
    if (status == WE_OK)
        status = we_scheduler_add(m->scheduler, &options, &sequence, error);
    if (status == WE_OK) {
        result->prompt_tokens = options.prompt_length;
        status = run(&reply, sequence, cancel, start, result, error);
        we_scheduler_remove(m->scheduler, sequence);
    }
    result->generation_tokens = (uint32_t)reply.tokens.count;
    result->tokens = reply.tokens.data;
    result->text_length = reply.told.text.length;
    if (m->tokenizer && (result->text = we_buf_take(&reply.told.text)) == NULL && status == WE_OK)
        status = we_error_memory(error, "the reply");
    we_ids_free(&prompt);
    we_reply_text_free(&reply.told);
    we_detokenizer_free(reply.detokenizer);
    we_sampler_free(reply.sampler);
    return status;
}

we_status we_generate(struct we_model *model, const struct we_request *request, struct we_result *result, struct we_error *error)
{
    return we_generate_cancellable(model, request, NULL, result, error);
}
