#include "net/net.h"

#include <curl/curl.h>
#include <pthread.h>
#include <strings.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode started = CURLE_FAILED_INIT;

static void start(void)
{
    started = curl_global_init(CURL_GLOBAL_DEFAULT);
}

we_status we_net_start(struct we_error *error)
{
    pthread_once(&once, start);
    if (started == CURLE_OK)
        return WE_OK;
    return we_error_set(error, WE_IO_ERROR, "the network library cannot start: %s", curl_easy_strerror(started));
}

static bool get_part(CURLU *url, CURLUPart part, unsigned flags, char *out, size_t size)
{
    char *text = NULL;
    bool ok = curl_url_get(url, part, &text, flags) == CURLUE_OK && strlen(text) < size;
    if (ok)
        memcpy(out, text, strlen(text) + 1);
    curl_free(text);
    return ok;
}

bool we_origin_read(const char *text, struct we_origin *o)
{
    CURLU *url = curl_url();
    bool ok = url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
              get_part(url, CURLUPART_SCHEME, 0, o->scheme, sizeof o->scheme) &&
              get_part(url, CURLUPART_HOST, 0, o->host, sizeof o->host) &&
              get_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, o->port, sizeof o->port);
    curl_url_cleanup(url);
    return ok && (strcmp(o->scheme, "https") == 0 || strcmp(o->scheme, "http") == 0);
}

bool we_origin_same(const struct we_origin *a, const struct we_origin *b)
{
    return strcmp(a->scheme, b->scheme) == 0 && strcasecmp(a->host, b->host) == 0 && strcmp(a->port, b->port) == 0;
}

bool we_origin_is_loopback(const struct we_origin *o)
{
    return strcasecmp(o->host, "localhost") == 0 || strncmp(o->host, "127.", 4) == 0 || strcmp(o->host, "[::1]") == 0;
}

bool we_header_value(const char *line, size_t length, const char *name, struct we_str *value)
{
    size_t n = strlen(name);
    if (length <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
        return false;
    *value = we_str(line + n + 1, length - n - 1);
    while (value->length && strchr(" \t", value->data[0]))
        *value = we_str(value->data + 1, value->length - 1);
    while (value->length && strchr(" \t\r\n", value->data[value->length - 1]))
        value->length--;
    return true;
}
