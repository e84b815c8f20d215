/* A reply from end to end: text to ids and back, the end of a turn, the stream against the whole, stop strings, seeds. */
#include "engine/validate.h"

#include <stdlib.h>

enum { MOST_TOKENS = 40, LEAST_TOKENS = 12 };

static const char MESSAGES[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"What is the capital of France?\"}]}";
static const char TEXT[] = "The capital of France is";
static const char SAMPLE[] = "Zwölf Boxkämpfer: naïve café, 東京 – 3.14 < 4!\n\tif (x[0] == 'a') return 1; 🙂";

/* ---- text to ids and back ---- */

static void check_round_trip(struct we_validator *v)
{
    struct we_ids ids = {0};
    struct we_buf text = {0};
    struct we_error error;
    struct we_str sample = we_str_c(SAMPLE);
    we_status status = we_tokenizer_encode(v->tokenizer, sample, false, &ids, &error);
    if (status == WE_OK)
        status = we_tokenizer_decode(v->tokenizer, ids.data, ids.count, false, &text, &error);
    struct we_str back = we_buf_str(&text);
    if (back.length && back.data[0] == ' ') /* some write a space before all text */
        back = we_str(back.data + 1, back.length - 1);
    if (status != WE_OK)
        we_check_error(v, WE_CHECK_FAILED, "tokens and text", v->again, &error);
    else if (we_str_equal(back, sample))
        we_check(v, WE_CHECK_PASSED, "tokens and text", NULL, "a text of %zu bytes becomes %zu tokens, and the same text again",
                 sample.length, ids.count);
    else
        we_check(v, WE_CHECK_PASSED, "tokens and text", NULL,
                 "a text of %zu bytes becomes %zu tokens; this tokenizer writes it a little differently: \"%.*s\"",
                 sample.length, ids.count, WE_STR_ARG(back));
    we_ids_free(&ids);
    we_buf_free(&text);
}

/* Template and tokenizer of a model whose prompt is known. */
static void check_prompt(struct we_validator *v)
{
    bool by_name, same = false;
    const struct we_known_model *known = we_known_model_find(v, &by_name);
    struct we_buf prompt = {0};
    struct we_ids ids = {0};
    struct we_error error;
    if (known == NULL || v->chat_template == NULL)
        return;
    we_status status = we_chat_template_render(v->chat_template, we_str_c(known->messages), &prompt, &error);
    if (status == WE_OK)
        status = we_tokenizer_encode(v->tokenizer, we_buf_str(&prompt), false, &ids, &error);
    if (status == WE_OK)
        same = ids.count == known->replies[0].num_prompt &&
               memcmp(ids.data, known->replies[0].prompt, ids.count * sizeof *ids.data) == 0;
    if (status != WE_OK)
        we_check_error(v, WE_CHECK_FAILED, "prompt", v->again, &error);
    else if (same)
        we_check(v, WE_CHECK_PASSED, "prompt", NULL, "a question becomes the %zu tokens that are known", ids.count);
    else
        we_check(v, by_name ? WE_CHECK_FAILED : WE_CHECK_WARNING, "prompt", v->again,
                 "%s: its template and tokenizer make %zu tokens of a question, which are not the %u that %s has", v->path,
                 ids.count, known->replies[0].num_prompt, known->name);
    we_buf_free(&prompt);
    we_ids_free(&ids);
}

/* ---- replies ---- */

struct stream {
    struct we_buf text;
    size_t pieces, torn; /* torn: pieces that are not whole characters */
};

static bool on_text(void *context, const char *text, size_t length)
{
    struct stream *stream = context;
    stream->pieces += length > 0;
    stream->torn += we_utf8_valid_prefix(we_str(text, length)) != length;
    return we_buf_append(&stream->text, we_str(text, length));
}

/* A question where there is a template, else a beginning. */
static void make_request(const struct we_validator *v, struct we_request *request)
{
    const double half_a_second = v->decode_tps / 2;
    we_request_init(request, v->opened);
    if (v->chat_template)
        request->messages = MESSAGES;
    else
        request->text = TEXT;
    request->sampling = we_validate_greedy;
    request->max_tokens = half_a_second > MOST_TOKENS    ? MOST_TOKENS
                          : half_a_second > LEAST_TOKENS ? (uint32_t)half_a_second
                                                         : LEAST_TOKENS;
}

/* The token that the template writes behind a reply must end it. */
static void check_end(struct we_validator *v, const struct we_result *result)
{
    bool ran_over = false;
    for (uint32_t i = 0; i < result->generation_tokens; i++)
        ran_over |= result->tokens[i] == v->turn_end;
    const char *text = we_validator_quote(v, we_str(result->text, result->text_length));
    if (ran_over)
        we_check(v, WE_CHECK_FAILED, "reply", v->again,
                 "%s: the model ended its reply with token %u, which is not among the end tokens, and went on: eos_token_id in "
                 "generation_config.json or config.json is wrong",
                 v->path, v->turn_end);
    else if (result->finish_reason == WE_FINISH_STOP)
        we_check(v, WE_CHECK_PASSED, "reply", NULL, "%s, and then its end token", text);
    else
        we_check(v, WE_CHECK_PASSED, "reply", NULL, "%s (the first %u tokens)", text, result->generation_tokens);
}

static void check_stream(struct we_validator *v, const struct stream *stream, const struct we_result *result)
{
    bool same = we_str_equal(we_buf_str(&stream->text), we_str(result->text, result->text_length));
    if (same && stream->torn == 0)
        we_check(v, WE_CHECK_PASSED, "streaming", NULL, "%zu pieces give the whole text", stream->pieces);
    else
        we_check(v, WE_CHECK_FAILED, "streaming", "whisperengine --version",
                 "the pieces of a reply are %zu bytes, the whole is %zu%s: this is a fault of the program", stream->text.length,
                 result->text_length, stream->torn ? ", and some pieces are no whole characters" : "");
}

static void check_stop(struct we_validator *v, const struct we_request *like, const struct we_result *whole)
{
    struct we_request request = *like;
    struct we_result result = {0};
    struct we_error error;
    char stop[8] = "";
    uint32_t ignored;
    size_t at = whole->text_length / 2, length;
    while (at < whole->text_length && ((unsigned char)whole->text[at] & 0xC0) == 0x80)
        at++;
    length = we_utf8_decode(we_str(whole->text + at, whole->text_length - at), &ignored);
    if (length == 0 || whole->text[at] == '\0') {
        we_check(v, WE_CHECK_SKIPPED, "stop", NULL, "the reply has no text in which it could stop");
        return;
    }
    memcpy(stop, whole->text + at, length);
    const char *const stops[] = {stop};
    const size_t expected = we_str_find(we_str(whole->text, whole->text_length), we_str_c(stop), 0);
    request.on_text = NULL;
    request.stop = stops;
    request.num_stop = 1;
    we_status status = we_generate(v->opened, &request, &result, &error);
    if (status != WE_OK)
        we_check_error(v, WE_CHECK_FAILED, "stop", v->again, &error);
    else if (result.finish_reason == WE_FINISH_STOP && result.text_length == expected &&
             memcmp(result.text, whole->text, expected) == 0)
        we_check(v, WE_CHECK_PASSED, "stop", NULL, "a stop string ends the reply, and is left out of it");
    else
        we_check(v, WE_CHECK_FAILED, "stop", "whisperengine --version",
                 "a stop string was to end the reply after %zu bytes, but it has %zu: this is a fault of the program", expected,
                 result.text_length);
    we_result_clear(&result);
}

static void check_seed(struct we_validator *v, const struct we_request *like)
{
    struct we_request request = *like;
    struct we_result results[2] = {{0}};
    struct we_error error;
    we_status status = WE_OK;
    request.on_text = NULL;
    request.sampling.temperature = 1;
    request.sampling.top_p = 0.95f;
    request.sampling.has_seed = true;
    request.sampling.seed = 42;
    for (int i = 0; i < 2 && status == WE_OK; i++)
        status = we_generate(v->opened, &request, &results[i], &error);
    bool same = status == WE_OK && results[0].generation_tokens == results[1].generation_tokens &&
                (results[0].generation_tokens == 0 ||
                 memcmp(results[0].tokens, results[1].tokens, results[0].generation_tokens * sizeof *results[0].tokens) == 0);
    if (status != WE_OK)
        we_check_error(v, WE_CHECK_FAILED, "sampling", v->again, &error);
    else if (same)
        we_check(v, WE_CHECK_PASSED, "sampling", NULL, "one seed gives the same %u tokens twice", results[0].generation_tokens);
    else
        we_check(v, WE_CHECK_FAILED, "sampling", "whisperengine --version",
                 "one seed gave two different replies: this is a fault of the program");
    for (int i = 0; i < 2; i++)
        we_result_clear(&results[i]);
}

void we_validate_integration(struct we_validator *v)
{
    struct we_request request;
    struct we_result result = {0};
    struct we_error error;
    struct stream stream = {.pieces = 0};
    v->group = "integration";
    if (v->tokenizer == NULL || !v->text_sound) {
        we_check(v, WE_CHECK_SKIPPED, "reply", NULL, "there can be none without a sound tokenizer, template and end tokens");
        return;
    }
    we_step(v, "asking for replies");
    check_round_trip(v);
    check_prompt(v);
    make_request(v, &request);
    request.on_text = on_text;
    request.context = &stream;
    we_status status = we_generate(v->opened, &request, &result, &error);
    if (status != WE_OK || stream.text.failed) {
        if (status != WE_OK)
            we_check_error(v, WE_CHECK_FAILED, "reply", v->again, &error);
    } else {
        check_end(v, &result);
        check_stream(v, &stream, &result);
        check_stop(v, &request, &result);
        check_seed(v, &request);
    }
    we_buf_free(&stream.text);
    we_result_clear(&result);
}
