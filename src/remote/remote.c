#include "remote/remote.h"

#include "base/buf.h"
#include "base/system.h"
#include "net/net.h"
#include "remote/body.h"
#include "remote/chunk.h"
#include "remote/refusal.h"
#include "remote/sse.h"
#include "remote/transfer.h"

#include <stdlib.h>
#include <strings.h>

enum { MOST_ANSWER = 64 << 20, MOST_REFUSAL = 1 << 18 }; /* bytes of an answer that is no stream; of one that tells an error */
static const double LIST_TIMEOUT = 60;                   /* most seconds of silence before a list of models */

struct we_remote {
    struct we_arena arena;
    const char *base; /* "https://HOST/v1": what requests go to; may hold a password */
    struct we_asked asked;
    struct we_lines lines;
    const char **names; /* (num_names) */
    size_t num_names;
    enum we_continues continues;
};

/* ---- addresses ---- */

bool we_remote_is_address(const char *name)
{
    return strncasecmp(name, "http://", 7) == 0 || strncasecmp(name, "https://", 8) == 0;
}

static struct we_str without_end(struct we_str text, const char *end)
{
    if (we_str_ends_with(text, we_str_c(end)))
        text.length -= strlen(end);
    return text;
}

/* The address without what a client adds itself. */
static struct we_str trim(struct we_str address)
{
    while (address.length && address.data[address.length - 1] == '/')
        address.length--;
    address = without_end(without_end(address, "/chat/completions"), "/completions");
    return without_end(address, "/models");
}

/* It without a name and password. */
static const char *showable(struct we_arena *arena, const char *address)
{
    const char *host = strstr(address, "://") + 3;
    size_t length = strcspn(host, "/?#");
    while (length && host[length - 1] != '@')
        length--;
    struct we_buf text = {0};
    we_buf_append(&text, we_str(address, (size_t)(host - address)));
    we_buf_append_c(&text, host + length);
    const char *copy = text.failed ? NULL : we_arena_copy(arena, we_buf_str(&text));
    we_buf_free(&text);
    return copy;
}

static we_status check_options(const struct we_remote_options *o, struct we_error *error)
{
    struct we_origin origin;
    we_status status = we_net_start(error);
    if (status != WE_OK)
        return status;
    if (!we_origin_read(o->address, &origin) || strpbrk(o->address, " \t\r\n?"))
        return we_error_set(error, WE_INVALID_ARGUMENT, "%.300s is no address; one as http://localhost:8000/v1 was expected",
                            o->address);
    for (const char *p = o->api_key ? o->api_key : ""; *p; p++)
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7F)
            return we_error_set(error, WE_INVALID_ARGUMENT,
                                "LLM_CHAT_API_KEY holds a space or a character that no key has; copy the key again");
    return WE_OK;
}

static we_status init(struct we_remote *r, const struct we_remote_options *o, struct we_error *error)
{
    we_lines_init(&r->lines);
    we_status status = check_options(o, error);
    if (status != WE_OK)
        return status;
    size_t length = strcspn(o->address, "#");
    const char *named = o->address[length] ? o->address + length + 1 : NULL;
    const char *model = named && named[0] ? named : o->model && o->model[0] ? o->model : NULL;
    r->base = we_arena_copy(&r->arena, trim(we_str(o->address, length)));
    r->asked.address = r->base ? showable(&r->arena, r->base) : NULL;
    r->asked.connection_timeout = o->connection_timeout;
    r->asked.request_timeout = o->request_timeout; /* infinity is a time too */
    bool ok = r->asked.address != NULL;
    if (model)
        ok = ok && (r->asked.model = we_arena_copy(&r->arena, we_str_c(model))) != NULL;
    if (o->api_key && o->api_key[0])
        ok = ok && (r->asked.key = we_arena_copy(&r->arena, we_str_c(o->api_key))) != NULL;
    return ok ? WE_OK : we_error_memory(error, "an endpoint");
}

/* ---- answers that are no stream ---- */

static bool keep_bytes(void *context, struct we_str bytes)
{
    return we_buf_append(context, bytes); /* up to its limit */
}

/* GET base/path. */
static CURLcode get(struct we_remote *r, const char *path, struct we_transfer *t, struct we_buf *body)
{
    struct we_buf url = {0};
    we_buf_printf(&url, "%s%s", r->base, path);
    double patience = r->asked.request_timeout;
    *t = (struct we_transfer){.url = url.data,
                              .key = r->asked.key,
                              .connection_timeout = r->asked.connection_timeout,
                              .request_timeout = patience <= 0 || patience > LIST_TIMEOUT ? LIST_TIMEOUT : patience,
                              .on_bytes = keep_bytes,
                              .context = body};
    body->limit = MOST_ANSWER;
    CURLcode code = url.failed ? CURLE_OUT_OF_MEMORY : we_transfer_run(&r->lines, t);
    we_buf_free(&url);
    t->url = NULL;
    return code;
}

static we_status refuse(struct we_remote *r, const struct we_transfer *t, struct we_str body, struct we_error *error)
{
    struct we_refusal refusal = {.status = t->status,
                                 .retry_after = t->retry_after,
                                 .location = t->location.length ? t->location.data : NULL,
                                 .body = body,
                                 .names = r->names,
                                 .num_names = r->num_names};
    return we_refusal_explain(&r->asked, &refusal, error);
}

/* ---- the models ---- */

/* Failures after which asking for a reply is hopeless; others may concern the list alone. */
static bool is_hopeless(CURLcode code, long status)
{
    if (code != CURLE_OK)
        return code != CURLE_GOT_NOTHING && code != CURLE_RECV_ERROR && code != CURLE_PARTIAL_FILE;
    return status == 401 || status == 403 || status == 429 || status >= 500 || (status >= 300 && status < 400);
}

/* Takes the list if it is one. */
static bool take_names(struct we_remote *r, const struct we_transfer *t, const struct we_buf *body)
{
    if (t->status != 200 || !we_models_parse(we_buf_str(body), &r->arena, &r->names, &r->num_names))
        return false;
    r->continues = we_continues_of(we_models_owner(we_buf_str(body), &r->arena));
    return true;
}

/* The address may lack its /v1. True: with it there is a list. */
static bool try_v1(struct we_remote *r)
{
    const char *path = strchr(strstr(r->base, "://") + 3, '/');
    struct we_transfer t = {0};
    struct we_buf body = {0}, base = {0};
    if (path)
        return false;
    const char *old = r->base;
    we_buf_printf(&base, "%s/v1", r->base);
    r->base = base.failed ? NULL : we_arena_copy(&r->arena, we_buf_str(&base));
    bool found = r->base && get(r, "/models", &t, &body) == CURLE_OK && take_names(r, &t, &body);
    const char *shown = found ? showable(&r->arena, r->base) : NULL;
    if (shown)
        r->asked.address = shown;
    else
        r->base = old;
    we_transfer_free(&t);
    we_buf_free(&body);
    we_buf_free(&base);
    return shown != NULL;
}

static we_status ask_models(struct we_remote *r, struct we_error *error)
{
    struct we_transfer t = {0};
    struct we_buf body = {0};
    we_status status = WE_OK;
    CURLcode code = get(r, "/models", &t, &body);
    if (is_hopeless(code, t.status))
        status = code == CURLE_OK ? refuse(r, &t, we_buf_str(&body), error)
                                  : we_failure_explain(&r->asked, code, t.reason.data, t.connected, 0, error);
    else if (!take_names(r, &t, &body) && !try_v1(r) && t.status == 200 && body.length) /* it may fail at its list */
        status = we_error_set(error, WE_INVALID_FORMAT,
                              "%s answers, but not as OpenAI's API does\nis the address right? It usually ends in /v1",
                              r->asked.address);
    we_transfer_free(&t);
    we_buf_free(&body);
    return status;
}

/* Without a name, the only model there is. */
static we_status choose_model(struct we_remote *r, struct we_error *error)
{
    char names[400];
    if (r->asked.model || r->num_names == 0)
        return WE_OK;
    if (r->num_names == 1) {
        r->asked.model = r->names[0];
        return WE_OK;
    }
    we_names_list(NULL, r->names, r->num_names, names, sizeof names);
    return we_error_set(
        error, WE_INVALID_ARGUMENT,
        "%s has %zu models; which one?\nset LLM_CHAT_MODEL, or put #NAME behind the address; these are there: %s",
        r->asked.address, r->num_names, names);
}

we_status we_remote_open(const struct we_remote_options *options, struct we_remote **remote, struct we_error *error)
{
    *remote = NULL;
    struct we_remote *r = calloc(1, sizeof *r);
    if (r == NULL)
        return we_error_memory(error, "an endpoint");
    we_status status = init(r, options, error);
    if (status == WE_OK)
        status = ask_models(r, error);
    if (status == WE_OK)
        status = choose_model(r, error);
    if (status != WE_OK)
        we_remote_close(r);
    else
        *remote = r;
    return status;
}

void we_remote_close(struct we_remote *r)
{
    if (r == NULL)
        return;
    we_lines_free(&r->lines);
    we_arena_free(&r->arena);
    free(r);
}

const char *we_remote_address(const struct we_remote *r)
{
    return r->asked.address;
}

const char *we_remote_model(const struct we_remote *r)
{
    return r->asked.model;
}

const char *const *we_remote_models(const struct we_remote *r, size_t *count)
{
    *count = r->num_names;
    return r->names;
}

we_status we_remote_list(const struct we_remote_options *options, struct we_arena *arena, const char *const **names,
                         size_t *count, struct we_error *error)
{
    struct we_remote *r = calloc(1, sizeof *r);
    *names = NULL;
    *count = 0;
    if (r == NULL)
        return we_error_memory(error, "an endpoint");
    we_status status = init(r, options, error);
    if (status == WE_OK)
        status = ask_models(r, error);
    const char **copies = status == WE_OK ? we_arena_array(arena, r->num_names + 1, sizeof *copies) : NULL;
    for (size_t i = 0; copies && i < r->num_names; i++)
        if ((copies[i] = we_arena_copy(arena, we_str_c(r->names[i]))) == NULL)
            copies = NULL;
    if (status == WE_OK && copies == NULL)
        status = we_error_memory(error, "a list of models");
    if (status == WE_OK) {
        *names = copies;
        *count = r->num_names;
    }
    we_remote_close(r);
    return status;
}

/* ---- a reply ---- */

struct exchange {
    struct we_remote *remote;
    struct we_transfer transfer;
    struct we_remote_reply *reply;
    struct we_sse sse;
    struct we_buf answer; /* what is no stream */
    size_t received;      /* bytes of text */
    uint32_t pieces;
    bool finished, done; /* there was a reason why it ends; there was [DONE] */
    bool has_usage;
    struct we_error *error;
    we_status status;
};

static bool fail(struct exchange *x, we_status status)
{
    x->status = status;
    return false;
}

static bool take_chunk(struct exchange *x, const struct we_chunk *chunk)
{
    if (chunk->problem.data)
        return fail(x, we_problem_explain(&x->remote->asked, chunk->problem, x->error));
    if (chunk->has_usage) { /* some servers count along; the last one counts */
        x->has_usage = true;
        x->reply->prompt_tokens = chunk->prompt_tokens;
        x->reply->cached_tokens = chunk->cached_tokens;
        x->reply->generation_tokens = chunk->generation_tokens;
    }
    if (chunk->finished) {
        x->finished = true;
        x->reply->finish_reason = chunk->finish_reason;
    }
    if (chunk->text.length == 0)
        return true;
    x->reply->last_time = we_clock();
    if (x->received == 0)
        x->reply->first_time = x->reply->last_time;
    x->received += chunk->text.length;
    x->pieces++;
    x->reply->stopped = !x->reply->on_text(x->reply->context, chunk->text);
    return !x->reply->stopped;
}

static bool take_json(struct exchange *x, struct we_str json)
{
    struct we_arena arena = {0};
    struct we_chunk chunk;
    we_status status = we_chunk_parse(json, &arena, &chunk, x->error);
    bool go_on;
    if (status != WE_OK) {
        we_error_prefix(x->error, "%s sends what is no reply of OpenAI's API", x->remote->asked.address);
        go_on = fail(x, status);
    } else {
        go_on = take_chunk(x, &chunk);
    }
    we_arena_free(&arena);
    return go_on;
}

static bool take_event(void *context, struct we_str data)
{
    struct exchange *x = context;
    if (we_str_equal_c(data, "[DONE]")) {
        x->done = true;
        return false;
    }
    return data.length == 0 || take_json(x, data);
}

static bool take_bytes(void *context, struct we_str bytes)
{
    struct exchange *x = context;
    if (x->transfer.status != 200 || !x->transfer.is_stream) {
        x->answer.limit = x->transfer.status == 200 ? MOST_ANSWER : MOST_REFUSAL;
        return we_buf_append(&x->answer, bytes) || x->transfer.status != 200;
    }
    enum we_sse_outcome outcome = we_sse_feed(&x->sse, bytes, take_event, x);
    if (outcome == WE_SSE_TOO_LONG)
        fail(x, we_error_set(x->error, WE_INVALID_FORMAT, "%s sends an event of more than %d bytes", x->remote->asked.address,
                             (int)WE_SSE_MAX_EVENT));
    return outcome == WE_SSE_GOES_ON;
}

/* What a whole answer, or the end of a stream, means. */
static we_status conclude(struct exchange *x, CURLcode code)
{
    struct we_asked *asked = &x->remote->asked;
    struct we_transfer *t = &x->transfer;
    if (x->status != WE_OK)
        return x->status;
    if (t->cancelled || x->reply->stopped) {
        x->reply->stopped = true;
        return WE_OK;
    }
    if (code == CURLE_OK && t->status != 200)
        return refuse(x->remote, t, we_buf_str(&x->answer), x->error);
    if (code == CURLE_OK && !t->is_stream && x->answer.failed)
        return we_error_set(x->error, WE_INVALID_FORMAT, "%s: the answer is larger than such an answer may be", asked->address);
    if (code == CURLE_OK && !t->is_stream && t->is_text)
        return we_error_set(x->error, WE_INVALID_FORMAT,
                            "%s answers with a page, not as OpenAI's API does\nis the address right? It usually ends in /v1",
                            asked->address);
    if (code == CURLE_OK && !t->is_stream) { /* it does not stream */
        if (take_json(x, we_buf_str(&x->answer)) || x->reply->stopped)
            x->finished = true;
        return x->status;
    }
    if (t->is_stream)
        we_sse_finish(&x->sse, take_event, x);
    if (x->status != WE_OK || x->reply->stopped || x->finished || x->done)
        return x->status;
    if (code == CURLE_OK) /* closed in good order, but the reply has no end */
        return we_failure_explain(asked, CURLE_PARTIAL_FILE, "the stream ends without an end of the reply", true, x->received,
                                  x->error);
    return we_failure_explain(asked, code, t->reason.data, t->connected, x->received, x->error);
}

/* What an endpoint that refused a request may take instead: it names the parameter that it does not know. True: another try. */
static bool adapt(struct we_body_options *options, const struct exchange *x)
{
    struct we_str words = we_buf_str(&x->answer);
    bool *change = we_str_find(words, we_str_c("stream_options"), 0) != SIZE_MAX          ? &options->without_usage
                   : we_str_find(words, we_str_c("max_completion_tokens"), 0) != SIZE_MAX ? &options->max_completion_tokens
                                                                                          : NULL;
    if (change == NULL || *change || (x->transfer.status != 400 && x->transfer.status != 422))
        return false;
    *change = true;
    return true;
}

/* One request and its answer. *again: it failed, but with the options that are changed now it may not. */
static we_status exchange(struct we_remote *r, const struct we_request *request, struct we_body_options *options,
                          struct we_remote_reply *reply, bool *again, struct we_error *error)
{
    struct exchange x = {.remote = r, .reply = reply, .error = error};
    struct we_buf url = {0}, body = {0};
    we_status status = we_body_write(request, options, &body, error);
    we_buf_printf(&url, "%s%s", r->base, request->messages ? "/chat/completions" : "/completions");
    if (status == WE_OK && url.failed)
        status = we_error_memory(error, "a request");
    if (status == WE_OK) {
        x.transfer = (struct we_transfer){.url = url.data,
                                          .key = r->asked.key,
                                          .body = body.data,
                                          .connection_timeout = r->asked.connection_timeout,
                                          .request_timeout = r->asked.request_timeout,
                                          .cancel = reply->cancel,
                                          .on_bytes = take_bytes,
                                          .context = &x};
        CURLcode code = we_transfer_run(&r->lines, &x.transfer);
        status = conclude(&x, code);
        *again = status != WE_OK && code == CURLE_OK && adapt(options, &x);
    }
    if (!x.has_usage)
        reply->generation_tokens = x.pieces;
    we_transfer_free(&x.transfer);
    we_sse_free(&x.sse);
    we_buf_free(&x.answer);
    we_buf_free(&body);
    we_buf_free(&url);
    return status;
}

we_status we_remote_generate(struct we_remote *r, const struct we_request *request, struct we_remote_reply *reply,
                             struct we_error *error)
{
    struct we_error own; /* what is said here is used below */
    struct we_body_options options = {.model = r->asked.model, .continues = r->continues};
    bool again = false;
    we_status status = exchange(r, request, &options, reply, &again, &own);
    while (again) {
        again = false;
        status = exchange(r, request, &options, reply, &again, &own);
    }
    if (status != WE_OK && error)
        *error = own;
    return status;
}
