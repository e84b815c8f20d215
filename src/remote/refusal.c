#include "remote/refusal.h"

#include "base/arena.h"
#include "base/buf.h"
#include "remote/chunk.h"

#include "net/net.h"

#include <stdio.h>
#include <strings.h>

/* ---- names ---- */

void we_names_list(const char *wanted, const char *const *names, size_t count, char *out, size_t size)
{
    enum { MOST = 5 };
    const char *best[MOST];
    size_t distances[MOST], n = 0;
    for (size_t i = 0; i < count; i++) {
        size_t distance = wanted ? we_str_distance(we_str_c(wanted), we_str_c(names[i])) : i;
        size_t at = n < MOST ? n++ : MOST;
        for (; at > 0 && distances[at - 1] > distance; at--)
            if (at < MOST) {
                best[at] = best[at - 1];
                distances[at] = distances[at - 1];
            }
        if (at < MOST) {
            best[at] = names[i];
            distances[at] = distance;
        }
    }
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < n && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%.80s", i ? ", " : "", best[i]);
    if (n < count && used < size)
        snprintf(out + used, size - used, " and %zu more", count - n);
}

/* ---- what it says ---- */

/* Its words with the key blotted out. */
static struct we_str without_key(struct we_str text, const char *secret, struct we_arena *arena)
{
    struct we_str key = we_str_c(secret);
    if (key.length < 4 || text.length == 0)
        return text;
    struct we_buf out = {0};
    size_t from = 0;
    for (size_t at; (at = we_str_find(text, key, from)) != SIZE_MAX; from = at + key.length) {
        we_buf_append(&out, we_str(text.data + from, at - from));
        we_buf_append_c(&out, "********");
    }
    we_buf_append(&out, we_str(text.data + from, text.length - from));
    char *copy = out.failed ? NULL : we_arena_copy(arena, we_buf_str(&out));
    struct we_str result = we_str(copy, copy ? out.length : 0);
    we_buf_free(&out);
    return result;
}

static bool mentions(struct we_str text, const char *what)
{
    size_t n = strlen(what);
    for (size_t i = 0; i + n <= text.length; i++)
        if (strncasecmp(text.data + i, what, n) == 0)
            return true;
    return false;
}

static bool is_about_context(struct we_str words)
{
    return mentions(words, "context length") || mentions(words, "context_length") || mentions(words, "context size") ||
           mentions(words, "maximum context") || mentions(words, "context window");
}

we_status we_problem_explain(const struct we_asked *asked, struct we_str problem, struct we_error *error)
{
    struct we_arena arena = {0};
    struct we_str words = without_key(problem, asked->key, &arena);
    we_status status =
        we_error_set(error, is_about_context(words) ? WE_CONTEXT_FULL : WE_IO_ERROR, "%s reports: %.*s", asked->address,
                     (int)(words.length > 500 ? 500 : words.length), words.data ? words.data : "");
    we_arena_free(&arena);
    return status;
}

static we_status explain_key(const struct we_asked *asked, long code, const char *says, struct we_error *error)
{
    if (code == 403)
        return we_error_set(error, WE_IO_ERROR, "%s does not allow this (HTTP 403)%s\n%s", asked->address, says,
                            asked->key ? "the key in LLM_CHAT_API_KEY has no right to it"
                                       : "set LLM_CHAT_API_KEY to a key that may");
    if (asked->key)
        return we_error_set(error, WE_IO_ERROR,
                            "%s does not accept the key (HTTP 401)%s\ncheck LLM_CHAT_API_KEY: 'whisperengine config' tells "
                            "where it comes from",
                            asked->address, says);
    return we_error_set(error, WE_IO_ERROR,
                        "%s asks for a key (HTTP 401)%s\nset LLM_CHAT_API_KEY, in the environment or in .env", asked->address,
                        says);
}

static we_status explain_missing(const struct we_asked *asked, const struct we_refusal *r, const char *says,
                                 struct we_error *error)
{
    char names[400] = "";
    bool is_there = false;
    for (size_t i = 0; i < r->num_names; i++)
        is_there |= asked->model && strcmp(asked->model, r->names[i]) == 0;
    we_names_list(asked->model, r->names, r->num_names, names, sizeof names);
    if (asked->model && r->num_names && !is_there)
        return we_error_set(error, WE_NOT_FOUND, "%s has no model \"%.100s\" (HTTP 404)%s\nthese are there: %s", asked->address,
                            asked->model, says, names);
    bool no_such_path = strcasecmp(says, ": not found") == 0 || strcasecmp(says, ": 404 page not found") == 0;
    if (says[0] && !no_such_path) /* what web frameworks say of a path says nothing */
        return we_error_set(error, WE_NOT_FOUND, "%s (HTTP 404)%s", asked->address, says);
    const char *path = strstr(asked->address, "://");
    path = path ? strchr(path + 3, '/') : NULL;
    return we_error_set(error, WE_NOT_FOUND,
                        "%s answers, but not as OpenAI's API does (HTTP 404)\nis the address right? It usually ends in /v1%s",
                        asked->address, path ? "" : ", which this one does not");
}

we_status we_refusal_explain(const struct we_asked *asked, const struct we_refusal *r, struct we_error *error)
{
    struct we_arena arena = {0};
    struct we_str words = without_key(we_problem_parse(r->body, &arena), asked->key, &arena);
    char says[440] = "", wait[64] = "";
    we_status status;
    if (words.length)
        snprintf(says, sizeof says, ": %.*s", (int)(words.length > 400 ? 400 : words.length), words.data);
    if (r->retry_after)
        snprintf(wait, sizeof wait, "\nit asks to wait %llu second%s", (unsigned long long)r->retry_after,
                 r->retry_after == 1 ? "" : "s");
    if (r->status == 401 || r->status == 403)
        status = explain_key(asked, r->status, says, error);
    else if (r->status == 404)
        status = explain_missing(asked, r, says, error);
    else if (r->status == 429)
        status = we_error_set(error, WE_IO_ERROR, "%s has had too many requests (HTTP 429)%s%s", asked->address, says,
                              wait[0] ? wait : "\ntry again later");
    else if (r->status >= 500)
        status = we_error_set(error, WE_IO_ERROR, "%s has a problem of its own (HTTP %ld)%s%s", asked->address, r->status, says,
                              wait[0] ? wait : "\nits log tells more");
    else if (r->status >= 300 && r->status < 400)
        status = we_error_set(error, WE_IO_ERROR, "%s redirects to %.300s (HTTP %ld)\nuse that address", asked->address,
                              r->location ? r->location : "another place", r->status);
    else if (is_about_context(words))
        status = we_error_set(error, WE_CONTEXT_FULL, "%s: the conversation is too long for its model (HTTP %ld)%s",
                              asked->address, r->status, says);
    else
        status = we_error_set(error, WE_IO_ERROR, "%s does not take the request (HTTP %ld)%s", asked->address, r->status,
                              says[0] ? says : "");
    we_arena_free(&arena);
    return status;
}

/* ---- transfers ---- */

/* How the two servers that have a port of their own are started. */
static const char *how_to_start(const char *address)
{
    struct we_origin o;
    if (!we_origin_read(address, &o) || !we_origin_is_loopback(&o))
        return "check the address, and whether the server is running";
    if (strcmp(o.port, "1234") == 0)
        return "start the server in LM Studio (Developer, Status: Running), or with 'lms server start'";
    if (strcmp(o.port, "11434") == 0)
        return "start Ollama, or run 'ollama serve'";
    return "is the server running?";
}

we_status we_failure_explain(const struct we_asked *asked, CURLcode code, const char *reason, bool connected, size_t received,
                             struct we_error *error)
{
    const char *a = asked->address;
    switch (code) {
    case CURLE_COULDNT_CONNECT:
        return we_error_set(error, WE_IO_ERROR, "%s does not answer: %s\n%s", a, reason, how_to_start(a));
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return we_error_set(error, WE_IO_ERROR, "%s: %s\ncheck the address and the network", a, reason);
    case CURLE_OPERATION_TIMEDOUT:
        if (!connected)
            return we_error_set(error, WE_IO_ERROR, "%s: no connection within %g seconds (LLM_CONNECTION_TIMEOUT)\n%s", a,
                                asked->connection_timeout, how_to_start(a));
        return we_error_set(error, WE_IO_ERROR, "%s was silent for %g seconds%s\nLLM_REQUEST_TIMEOUT allows more", a,
                            asked->request_timeout, received ? ", in the midst of the reply" : "");
    case CURLE_PEER_FAILED_VERIFICATION:
        return we_error_set(
            error, WE_IO_ERROR,
            "%s: its certificate is not trusted: %s\nadd the authority that signed it to those that this machine "
            "trusts",
            a, reason);
    case CURLE_SSL_CONNECT_ERROR:
        return we_error_set(error, WE_IO_ERROR, "%s: %s\ndoes it speak https? An address of plain http begins with http://", a,
                            reason);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        return we_error_set(error, WE_IO_ERROR, "%s: what answers there does not speak HTTP\ncheck the address and its port",
                            a);
    case CURLE_OUT_OF_MEMORY:
        return we_error_memory(error, "a request");
    default:
        if (received)
            return we_error_set(error, WE_IO_ERROR, "%s broke off in the midst of the reply, after %zu bytes of it (%s)", a,
                                received, reason);
        return we_error_set(error, WE_IO_ERROR, "%s broke off without a reply (%s)\nits log tells more", a, reason);
    }
}
