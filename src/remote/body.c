#include "remote/body.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_STOPS = 4 }; /* which OpenAI's API allows; all of them are looked for here too */

static void key(struct we_buf *body, const char *name)
{
    if (body->length && body->data[body->length - 1] != '{')
        we_buf_append_c(body, ", ");
    we_json_write_string(body, we_str_c(name), false);
    we_buf_append_c(body, ": ");
}

/* The shortest decimal that reads back as the same float, with a point: some servers take an integer for another type. */
static void write_float(struct we_buf *body, float value)
{
    double decimal = (double)value;
    char text[48];
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value); /* written and read in the same locale */
        decimal = strtod(text, NULL);
        if ((float)decimal == value)
            break;
    }
    size_t from = body->length;
    we_json_write_double(body, decimal);
    if (body->data && strpbrk(body->data + from, ".eE") == NULL)
        we_buf_append_c(body, ".0");
}

static void number(struct we_buf *body, const char *name, float value)
{
    key(body, name);
    write_float(body, value);
}

static void integer(struct we_buf *body, const char *name, uint64_t value)
{
    key(body, name);
    we_buf_printf(body, "%llu", (unsigned long long)value);
}

static void string(struct we_buf *body, const char *name, const char *value)
{
    key(body, name);
    we_json_write_string(body, we_str_c(value), false);
}

static void write_bias(struct we_buf *body, const struct we_sampling *s)
{
    key(body, "logit_bias");
    for (size_t i = 0; i < s->num_logit_bias; i++) {
        we_buf_printf(body, "%s\"%u\": ", i ? ", " : "{", s->logit_bias[i].token);
        write_float(body, s->logit_bias[i].bias);
    }
    we_buf_append_byte(body, '}');
}

static void write_sampling(struct we_buf *body, const struct we_sampling *s)
{
    bool repeats = s->repetition_penalty != 0 && s->repetition_penalty != 1;
    number(body, "temperature", s->temperature);
    number(body, "top_p", s->top_p == 0 ? 1 : s->top_p);
    if (s->min_p != 0)
        number(body, "min_p", s->min_p);
    if (s->top_k)
        integer(body, "top_k", s->top_k);
    if (s->xtc_probability != 0) {
        number(body, "xtc_probability", s->xtc_probability);
        number(body, "xtc_threshold", s->xtc_threshold);
    }
    if (repeats)
        number(body, "repetition_penalty", s->repetition_penalty);
    if (s->presence_penalty != 0)
        number(body, "presence_penalty", s->presence_penalty);
    if (s->frequency_penalty != 0)
        number(body, "frequency_penalty", s->frequency_penalty);
    if (s->repetition_context != 20 && s->repetition_context && repeats)
        integer(body, "repetition_context_size", s->repetition_context);
    if (s->num_logit_bias)
        write_bias(body, s);
    if (s->has_seed)
        integer(body, "seed", s->seed & INT64_MAX);
}

enum we_continues we_continues_of(struct we_str owner)
{
    static const struct {
        const char *owner;
        enum we_continues continues;
    } servers[] = {{"vllm", WE_CONTINUES_IF_ASKED},
                   {"sglang", WE_CONTINUES_IF_ASKED},
                   {"llamacpp", WE_CONTINUES_BY_ITSELF},
                   {"library", WE_CONTINUES_BY_ITSELF} /* Ollama */};
    for (size_t i = 0; i < sizeof servers / sizeof *servers; i++)
        if (we_str_equal_c(owner, servers[i].owner))
            return servers[i].continues;
    return WE_CONTINUES_NOT;
}

/* `messages`, an array as it is written, and the beginning of the reply as its last one. */
static void write_begun(struct we_buf *body, struct we_str messages, const char *begun)
{
    size_t end = messages.length - 1, first = 1;
    while (first < end && memchr(" \t\r\n", messages.data[first], 4))
        first++;
    we_buf_append(body, we_str(messages.data, end));
    we_buf_append_c(body, first == end ? "" : ", ");
    we_buf_append_c(body, "{\"role\": \"assistant\", \"content\": ");
    we_json_write_string(body, we_str_c(begun), false);
    we_buf_append_c(body, "}]");
}

/* The members of the request's JSON as they are written: messages and tools are the endpoint's too; what else there is are
 * variables of the template. */
static we_status write_messages(struct we_buf *body, const char *messages, const char *begun, struct we_error *error)
{
    struct we_json_reader r;
    struct we_buf variables = {0};
    struct we_str name;
    bool found = false;
    we_json_reader_init(&r, we_str_c(messages), "the request", error);
    bool ok = we_json_enter_object(&r);
    while (ok && we_json_next_key(&r, &name)) {
        bool is_messages = we_str_equal_c(name, "messages"), is_tools = we_str_equal_c(name, "tools");
        struct we_buf *to = is_messages || is_tools ? body : &variables;
        if (to == &variables) {
            we_buf_append_c(&variables, variables.length ? ", " : "{");
            we_json_write_string(&variables, name, false);
            we_buf_append_c(&variables, ": ");
        }
        enum we_json_kind kind = we_json_peek(&r);
        size_t from = r.at;
        ok = we_json_skip(&r);
        if (ok && is_messages && kind != WE_JSON_ARRAY)
            we_json_fail(&r, "\"messages\" must be an array");
        else if (ok && is_tools && kind == WE_JSON_NULL)
            continue;
        if (is_messages || is_tools)
            key(body, is_messages ? "messages" : "tools");
        found |= is_messages;
        const struct we_str value = we_str(r.text.data + from, r.at - from);
        if (ok && is_messages && begun && kind == WE_JSON_ARRAY)
            write_begun(body, value, begun);
        else
            we_buf_append(to, value);
    }
    we_status status = we_json_finish(&r);
    we_json_reader_free(&r);
    if (status == WE_OK && !found)
        status = we_error_set(error, WE_INVALID_FORMAT, "the request has no \"messages\"");
    if (status == WE_OK && variables.length) {
        key(body, "chat_template_kwargs");
        we_buf_append(body, we_buf_str(&variables));
        we_buf_append_byte(body, '}');
    }
    body->failed |= variables.failed;
    we_buf_free(&variables);
    return status;
}

static void write_stops(struct we_buf *body, const struct we_request *request)
{
    size_t count = 0;
    for (size_t i = 0; i < request->num_stop && count < MOST_STOPS; i++) {
        if (request->stop[i][0] == '\0')
            continue;
        if (count++ == 0)
            key(body, "stop");
        we_buf_append_c(body, count == 1 ? "[" : ", ");
        we_json_write_string(body, we_str_c(request->stop[i]), false);
    }
    if (count)
        we_buf_append_byte(body, ']');
}

we_status we_body_write(const struct we_request *request, const struct we_body_options *options, struct we_buf *body,
                        struct we_error *error)
{
    if ((request->messages != NULL) + (request->text != NULL) + (request->ids != NULL) != 1)
        return we_error_set(error, WE_INVALID_ARGUMENT, "a request has one of messages, text and ids");
    if (request->ids)
        return we_error_set(error, WE_UNSUPPORTED, "an endpoint takes text, not token ids");
    if (request->prefill_response && options->continues == WE_CONTINUES_NOT)
        return we_error_set(
            error, WE_UNSUPPORTED,
            "this endpoint cannot be given the beginning of its reply, or does not tell that it can (vLLM, SGLang, "
            "Ollama and llama.cpp do)\na model on this machine can, and so can --ignore-chat-template, where the "
            "prompt is the whole text");
    if (request->ignore_end_tokens)
        return we_error_set(error, WE_UNSUPPORTED, "an endpoint ends its reply where it wants");
    we_buf_append_byte(body, '{');
    if (options->model)
        string(body, "model", options->model);
    we_status status = request->messages ? write_messages(body, request->messages, request->prefill_response, error) : WE_OK;
    if (status != WE_OK)
        return status;
    if (request->text)
        string(body, "prompt", request->text);
    if (request->prefill_response && options->continues == WE_CONTINUES_IF_ASKED)
        we_buf_append_c(body, ", \"add_generation_prompt\": false, \"continue_final_message\": true");
    key(body, "stream");
    we_buf_append_c(body, "true");
    if (!options->without_usage) {
        key(body, "stream_options");
        we_buf_append_c(body, "{\"include_usage\": true}");
    }
    integer(body, options->max_completion_tokens ? "max_completion_tokens" : "max_tokens", request->max_tokens);
    write_sampling(body, &request->sampling);
    write_stops(body, request);
    we_buf_append_byte(body, '}');
    return body->failed ? we_error_memory(error, "a request") : WE_OK;
}
