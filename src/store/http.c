#include "store/http.h"

#include "base/system.h"
#include "net/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

enum { MOST_REDIRECTS = 10, MOST_PATIENCE = 300, CONNECT_SECONDS = 20, STALL_SECONDS = 45 };

/* The token goes to the endpoint, encrypted (or not at all out of this machine), and nowhere else. */
static bool may_have_token(const struct we_http *http, const struct we_origin *to)
{
    struct we_origin hub;
    return http->token && we_origin_read(http->endpoint, &hub) && we_origin_same(&hub, to) &&
           (strcmp(to->scheme, "https") == 0 || we_origin_is_loopback(to));
}

we_status we_http_start(const struct we_http *http, struct we_error *error)
{
    struct we_origin o;
    we_status status = we_net_start(error);
    if (status != WE_OK)
        return status;
    if (!we_origin_read(http->endpoint, &o) || strpbrk(http->endpoint, "?#@ "))
        return we_error_set(error, WE_INVALID_ARGUMENT,
                            "HF_ENDPOINT is \"%.200s\", but an address as https://huggingface.co was expected", http->endpoint);
    for (const char *p = http->token ? http->token : ""; *p; p++)
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7F)
            return we_error_set(error, WE_INVALID_ARGUMENT,
                                "HF_TOKEN holds a space or a character that no token has; copy the token again");
    return WE_OK;
}

void we_http_escape(struct we_buf *out, const char *text, bool path)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                     c == '.' || c == '~' || (path && c == '/');
        if (plain)
            we_buf_append_byte(out, (char)c);
        else
            we_buf_printf(out, "%%%02X", c);
    }
}

/* ---- one request ---- */

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct we_http_request *r = context;
    size_t length = size * count;
    struct we_str value;
    if (length > 5 && strncmp(line, "HTTP/", 5) == 0) {
        r->reply.error_code[0] = '\0'; /* a new answer, after a proxy's */
        r->reply.range_start = UINT64_MAX;
    } else if (we_header_value(line, length, "X-Error-Code", &value) && value.length < sizeof r->reply.error_code) {
        memcpy(r->reply.error_code, value.data, value.length);
        r->reply.error_code[value.length] = '\0';
    } else if (we_header_value(line, length, "Content-Range", &value) && value.length > 6 &&
               strncasecmp(value.data, "bytes ", 6) == 0) {
        uint64_t start_byte = 0;
        size_t i = 6;
        for (; i < value.length && i < 24 && value.data[i] >= '0' && value.data[i] <= '9'; i++)
            start_byte = start_byte * 10 + (uint64_t)(value.data[i] - '0');
        if (i > 6 && i < value.length && value.data[i] == '-')
            r->reply.range_start = start_byte;
    }
    return length;
}

we_status we_http_request_begin(const struct we_http *http, struct we_http_request *r, const char *url,
                                curl_write_callback on_body, void *context, struct we_error *error)
{
    struct we_origin o;
    if (!we_origin_read(url, &o))
        return we_error_set(error, WE_IO_ERROR, "the server leads to an address that is not http or https");
    char *copy = strdup(url); /* it may be r->url itself */
    free(r->url);
    r->url = copy;
    url = copy;
    memcpy(r->host, o.host, strlen(o.host) < sizeof r->host ? strlen(o.host) + 1 : sizeof r->host);
    r->host[sizeof r->host - 1] = '\0';
    r->message[0] = '\0';
    r->reply = (struct we_http_reply){.range_start = UINT64_MAX};
    if (r->easy)
        curl_easy_reset(r->easy);
    else
        r->easy = curl_easy_init();
    curl_slist_free_all(r->headers);
    r->headers = NULL;
    struct we_buf line = {0};
    bool ok = copy && r->easy;
    if (ok && may_have_token(http, &o)) {
        we_buf_printf(&line, "Authorization: Bearer %s", http->token);
        r->headers = line.failed ? NULL : curl_slist_append(NULL, line.data);
        ok = r->headers != NULL;
    }
    we_buf_free(&line);
    CURL *e = r->easy;
    ok = ok && curl_easy_setopt(e, CURLOPT_URL, url) == CURLE_OK &&
         curl_easy_setopt(e, CURLOPT_HTTPHEADER, r->headers) == CURLE_OK &&
         curl_easy_setopt(e, CURLOPT_USERAGENT, "whisperengine/" WE_VERSION) == CURLE_OK &&
         curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    if (!ok)
        return we_error_memory(error, "a request");
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1); /* several connections, not streams of one */
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)STALL_SECONDS);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, r->message);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, context);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, r);
    return WE_OK;
}

void we_http_request_free(struct we_http_request *r)
{
    curl_easy_cleanup(r->easy);
    curl_slist_free_all(r->headers);
    free(r->url);
    *r = (struct we_http_request){0};
}

static enum we_http_outcome redirect(struct we_http_request *r, struct we_error *error)
{
    char *next = NULL;
    curl_easy_getinfo(r->easy, CURLINFO_REDIRECT_URL, &next);
    struct we_origin from, to;
    if (next == NULL || !we_origin_read(next, &to) || !we_origin_read(r->url, &from)) {
        we_error_set(error, WE_IO_ERROR, "%s redirects to nowhere (HTTP %ld)", r->host, r->reply.status);
        return WE_HTTP_FAILED;
    }
    if (strcmp(from.scheme, "https") == 0 && strcmp(to.scheme, "https") != 0) {
        we_error_set(error, WE_IO_ERROR, "%s redirects to %.100s without encryption, which is refused", r->host, to.host);
        return WE_HTTP_FAILED;
    }
    if (++r->redirects > MOST_REDIRECTS) {
        we_error_set(error, WE_IO_ERROR, "%s redirects again and again (%d times); is HF_ENDPOINT right?", r->host,
                     MOST_REDIRECTS);
        return WE_HTTP_FAILED;
    }
    char *copy = strdup(next);
    if (copy == NULL) {
        we_error_memory(error, "an address");
        return WE_HTTP_FAILED;
    }
    free(r->url);
    r->url = copy;
    return WE_HTTP_REDIRECT;
}

/* Errors that do not pass by themselves. */
static bool is_lasting(CURLcode code)
{
    return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_ISSUER_ERROR ||
           code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT || code == CURLE_OUT_OF_MEMORY ||
           code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_WRITE_ERROR;
}

enum we_http_outcome we_http_request_end(const struct we_http *http, struct we_http_request *r, CURLcode code,
                                         struct we_error *error)
{
    (void)http;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &r->reply.status);
    if (code != CURLE_OK) {
        const char *text = r->message[0] ? r->message : curl_easy_strerror(code);
        if (code == CURLE_UNSUPPORTED_PROTOCOL) /* "HTTP/0.9": the library's name for bytes that are no answer */
            text = "what it sends is no HTTP; is HF_ENDPOINT right, or does a proxy spoil it?";
        we_error_set(error, WE_IO_ERROR, "%s: %s%s", r->host, text,
                     code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT || code == CURLE_OPERATION_TIMEDOUT
                         ? "\ncheck the network (and https_proxy, if a proxy is needed), then run the command again: what was "
                           "fetched is kept"
                         : "");
        return is_lasting(code) ? WE_HTTP_FAILED : WE_HTTP_RETRY;
    }
    long status = r->reply.status;
    if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308)
        return redirect(r, error);
    if (status != 429 && status != 408 && status < 500)
        return WE_HTTP_DONE;
    curl_off_t seconds = 0;
    curl_easy_getinfo(r->easy, CURLINFO_RETRY_AFTER, &seconds);
    r->reply.retry_after = seconds > 0 ? (uint64_t)seconds : 0;
    char wait[64] = "later";
    if (r->reply.retry_after)
        snprintf(wait, sizeof wait, "in %llu seconds, as it asks", (unsigned long long)r->reply.retry_after);
    we_error_set(error, WE_IO_ERROR, "%s %s (HTTP %ld)\nrun the command again %s: what was fetched is kept", r->host,
                 status == 429 ? "has had too many requests" : "has a problem of its own", status, wait);
    return WE_HTTP_RETRY;
}

bool we_http_delay(uint32_t attempt, const struct we_http_reply *reply, double *seconds)
{
    double spread = 0.75 + 0.5 * (double)(we_random_u64() >> 11) * 0x1p-53; /* many clients should not come back at once */
    *seconds = 0.4 * (double)(1u << (attempt < 7 ? attempt : 7)) * spread;
    if (reply->retry_after > MOST_PATIENCE)
        return false;
    if ((double)reply->retry_after > *seconds)
        *seconds = (double)reply->retry_after;
    return true;
}

/* ---- a whole GET ---- */

static size_t append_body(char *data, size_t size, size_t count, void *context)
{
    return we_buf_append(context, we_str(data, size * count)) ? size * count : 0;
}

static int on_progress(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct we_http *http = context;
    (void)a, (void)b, (void)c, (void)d;
    return http->go_on && !http->go_on(http->context);
}

static bool wait_seconds(const struct we_http *http, double seconds)
{
    for (double end = we_clock() + seconds; we_clock() < end;) {
        if (http->go_on && !http->go_on(http->context))
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    return true;
}

we_status we_http_get(const struct we_http *http, const char *url, struct we_buf *body, struct we_http_reply *reply,
                      struct we_error *error)
{
    struct we_http_request r = {0};
    we_status status = WE_OK;
    const char *next = url;
    for (uint32_t attempt = 0; status == WE_OK;) {
        status = we_http_request_begin(http, &r, next, append_body, body, error);
        if (status != WE_OK)
            break;
        curl_easy_setopt(r.easy, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(r.easy, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(r.easy, CURLOPT_XFERINFODATA, http);
        curl_easy_setopt(r.easy, CURLOPT_ACCEPT_ENCODING, "");
        we_buf_clear(body);
        CURLcode code = curl_easy_perform(r.easy);
        if (code == CURLE_ABORTED_BY_CALLBACK) {
            status = we_error_set(error, WE_CANCELLED, "stopped");
            break;
        }
        if (body->failed) {
            status = we_error_set(error, WE_INVALID_FORMAT, "%s: the answer is larger than such an answer may be", r.host);
            break;
        }
        enum we_http_outcome outcome = we_http_request_end(http, &r, code, error);
        if (outcome == WE_HTTP_DONE)
            break;
        if (outcome == WE_HTTP_REDIRECT) {
            next = r.url; /* which begin copies before it frees it */
            continue;
        }
        double seconds;
        if (outcome == WE_HTTP_FAILED || code == CURLE_COULDNT_RESOLVE_HOST || attempt >= http->retries ||
            !we_http_delay(attempt++, &r.reply, &seconds))
            status = WE_IO_ERROR;
        else if (!wait_seconds(http, seconds))
            status = we_error_set(error, WE_CANCELLED, "stopped");
        next = url;
    }
    *reply = r.reply;
    we_http_request_free(&r);
    return status;
}
