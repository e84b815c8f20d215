#include "remote/transfer.h"

#include "base/system.h"
#include "net/net.h"

#include <stdlib.h>
#include <strings.h>

enum { LOOK_MS = 100 };           /* between looks at the flag that stops */
static const double LINGER = 0.2; /* seconds for the end of a transfer of which enough was seen */

/* A handle of the library and the connections that it keeps. */
struct we_line {
    CURLM *multi;
    CURL *easy;
    struct we_line *next;
};

void we_lines_init(struct we_lines *lines)
{
    *lines = (struct we_lines){.free = NULL};
    pthread_mutex_init(&lines->mutex, NULL);
}

static void free_line(struct we_line *line)
{
    if (line == NULL)
        return;
    curl_easy_cleanup(line->easy);
    curl_multi_cleanup(line->multi);
    free(line);
}

void we_lines_free(struct we_lines *lines)
{
    while (lines->free) {
        struct we_line *next = lines->free->next;
        free_line(lines->free);
        lines->free = next;
    }
    pthread_mutex_destroy(&lines->mutex);
}

static struct we_line *take_line(struct we_lines *lines)
{
    pthread_mutex_lock(&lines->mutex);
    struct we_line *line = lines->free;
    if (line)
        lines->free = line->next;
    pthread_mutex_unlock(&lines->mutex);
    if (line || (line = calloc(1, sizeof *line)) == NULL)
        return line;
    line->easy = curl_easy_init();
    line->multi = curl_multi_init();
    if (line->easy && line->multi)
        return line;
    free_line(line);
    return NULL;
}

static void give_line(struct we_lines *lines, struct we_line *line)
{
    curl_easy_reset(line->easy);
    pthread_mutex_lock(&lines->mutex);
    line->next = lines->free;
    lines->free = line;
    pthread_mutex_unlock(&lines->mutex);
}

/* ---- what comes ---- */

struct running {
    struct we_transfer *transfer;
    CURL *easy;
    double last; /* when something came */
};

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct running *running = context;
    struct we_transfer *t = running->transfer;
    size_t length = size * count;
    struct we_str value;
    running->last = we_clock();
    if (length > 5 && strncasecmp(line, "HTTP/", 5) == 0) { /* a new answer, after a proxy's */
        t->is_stream = t->is_text = false;
        we_buf_clear(&t->location);
    } else if (we_header_value(line, length, "Content-Type", &value)) {
        t->is_stream = value.length >= 17 && strncasecmp(value.data, "text/event-stream", 17) == 0;
        t->is_text = !t->is_stream && value.length >= 5 && strncasecmp(value.data, "text/", 5) == 0;
    } else if (we_header_value(line, length, "Location", &value)) {
        we_buf_clear(&t->location);
        we_buf_append(&t->location, value);
    }
    return length;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct running *running = context;
    struct we_transfer *t = running->transfer;
    running->last = we_clock();
    curl_easy_getinfo(running->easy, CURLINFO_RESPONSE_CODE, &t->status);
    if (!t->enough && !t->on_bytes(t->context, we_str(data, size * count)))
        t->enough = true;
    return size * count; /* what comes after the end is read, so that the connection can be used again */
}

static int on_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    struct running *running = context;
    (void)down_total, (void)down;
    if (up < up_total) /* still sending */
        running->last = we_clock();
    return 0;
}

/* ---- the transfer ---- */

static bool add_header(struct curl_slist **headers, const char *line)
{
    struct curl_slist *more = curl_slist_append(*headers, line);
    if (more)
        *headers = more;
    return more != NULL;
}

static struct curl_slist *make_headers(const struct we_transfer *t)
{
    struct curl_slist *headers = NULL;
    struct we_buf line = {0};
    bool ok = add_header(&headers, t->body ? "Accept: text/event-stream, application/json" : "Accept: application/json") &&
              add_header(&headers, "Expect:"); /* a server need not agree before it gets the body */
    if (ok && t->body)
        ok = add_header(&headers, "Content-Type: application/json");
    if (ok && t->key) {
        we_buf_printf(&line, "Authorization: Bearer %s", t->key);
        ok = !line.failed && add_header(&headers, line.data);
    }
    we_buf_free(&line);
    if (ok)
        return headers;
    curl_slist_free_all(headers);
    return NULL;
}

/* Seconds as the library takes them. */
static long milliseconds(double seconds)
{
    return seconds <= 0 || seconds > 1e6 ? 1000000000L : seconds < 0.001 ? 1L : (long)(seconds * 1000);
}

static bool prepare(struct running *running, struct curl_slist *headers, char *message)
{
    const struct we_transfer *t = running->transfer;
    CURL *e = running->easy;
    struct we_origin origin;
    bool ok = curl_easy_setopt(e, CURLOPT_URL, t->url) == CURLE_OK &&
              curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
              curl_easy_setopt(e, CURLOPT_USERAGENT, "whisperengine/" WE_VERSION) == CURLE_OK &&
              curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    if (we_origin_read(t->url, &origin) && we_origin_is_loopback(&origin))
        ok = ok && curl_easy_setopt(e, CURLOPT_NOPROXY, "*") == CURLE_OK; /* no proxy reaches this machine */
    if (t->body) {
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(t->body));
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, t->body);
    }
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L); /* the key and the words go to this address alone */
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(t->connection_timeout));
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, message);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, running);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, running);
    curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(e, CURLOPT_XFERINFODATA, running);
    return ok;
}

static bool is_connected(CURL *easy)
{
    curl_off_t done = 0;
    return curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &done) == CURLE_OK && done > 0;
}

/* Until it ends, or nobody wants more of it. */
static CURLcode drive(struct we_line *line, struct running *running)
{
    struct we_transfer *t = running->transfer;
    double enough_since = 0;
    for (;;) {
        int still = 0, left = 0;
        if (curl_multi_perform(line->multi, &still) != CURLM_OK)
            return CURLE_OUT_OF_MEMORY;
        CURLMsg *message = curl_multi_info_read(line->multi, &left);
        if (message && message->msg == CURLMSG_DONE)
            return t->enough ? CURLE_OK : message->data.result;
        double now = we_clock();
        if (t->cancel && atomic_load(t->cancel)) {
            t->cancelled = true;
            return CURLE_OK;
        }
        if (t->enough && enough_since == 0)
            enough_since = now;
        if (t->enough && now - enough_since >= LINGER)
            return CURLE_OK;
        t->connected = t->connected || is_connected(line->easy);
        if (!t->connected)
            running->last = now;
        if (t->request_timeout > 0 && now - running->last >= t->request_timeout)
            return CURLE_OPERATION_TIMEDOUT;
        if (curl_multi_poll(line->multi, NULL, 0, LOOK_MS, NULL) != CURLM_OK)
            return CURLE_OUT_OF_MEMORY;
    }
}

CURLcode we_transfer_run(struct we_lines *lines, struct we_transfer *t)
{
    char message[CURL_ERROR_SIZE] = "";
    struct we_line *line = take_line(lines);
    struct curl_slist *headers = make_headers(t);
    struct running running = {.transfer = t, .easy = line ? line->easy : NULL, .last = we_clock()};
    CURLcode code = CURLE_OUT_OF_MEMORY;
    if (line && headers && prepare(&running, headers, message) && curl_multi_add_handle(line->multi, line->easy) == CURLM_OK) {
        code = drive(line, &running);
        curl_off_t seconds = 0;
        curl_easy_getinfo(line->easy, CURLINFO_RESPONSE_CODE, &t->status);
        curl_easy_getinfo(line->easy, CURLINFO_RETRY_AFTER, &seconds);
        t->retry_after = seconds > 0 ? (uint64_t)seconds : 0;
        t->connected = t->connected || is_connected(line->easy);
        curl_multi_remove_handle(line->multi, line->easy);
    }
    we_buf_append_c(&t->reason, message[0] ? message : curl_easy_strerror(code));
    if (line)
        give_line(lines, line);
    curl_slist_free_all(headers);
    return code;
}

void we_transfer_free(struct we_transfer *t)
{
    we_buf_free(&t->location);
    we_buf_free(&t->reason);
}
