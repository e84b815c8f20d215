#include "store/download.h"

#include "base/buf.h"
#include "base/fs.h"
#include "base/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { CHUNK = 16 << 20, MOST_SLOTS = 16, MOST_WRONG_HASHES = 2, TICK_MILLISECONDS = 100 };

/* A file is fetched in chunks by several slots. The part file holds bytes [0, written), which are hashed too; what comes
 * for a later chunk waits in the memory of its slot. */
struct file {
    const struct we_download *download;
    int fd;
    uint64_t size, written;
    uint64_t next; /* bytes before it are written or assigned to a slot */
    struct we_digest digest;
    char *location;                      /* where the Hub redirected to, or NULL */
    bool finished, no_ranges, too_short; /* too_short: an answer said to be whole was not */
    uint32_t slots, wrong_hashes, restarts;
};

struct slot {
    struct transfer *transfer;
    struct file *file; /* NULL: free */
    struct we_http_request request;
    struct we_buf waiting; /* [start + got - waiting.length, start + got) */
    uint64_t start, end, got, asked_from, best;
    uint32_t failures;
    double not_before;
    bool active, complete, dropped, checked, cached;
};

struct transfer {
    const struct we_download_plan *plan;
    CURLM *multi;
    struct file *files; /* (plan->count), the small ones first */
    size_t first;       /* files before it are finished */
    struct slot slots[MOST_SLOTS];
    size_t num_slots;
    uint64_t fetched;
    we_status status;
    struct we_error *error;
};

static uint64_t chunk_size(const struct transfer *t)
{
    return t->plan->chunk ? t->plan->chunk : CHUNK;
}

/* ---- the part file ---- */

static we_status write_error(struct transfer *t, const struct file *f, int errnum)
{
    char needed[24], available[24];
    struct statvfs fs;
    uint64_t room = fstatvfs(f->fd, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
    we_bytes_text(f->size - f->written, needed);
    we_bytes_text(room, available);
    if (errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG)
        return we_error_errno(t->error, WE_IO_ERROR, errnum,
                              "%s needs %s more, and the disk has %s free\nmake room, then run the command again: what was "
                              "fetched is kept",
                              f->download->part, needed, available);
    return we_error_errno(t->error, WE_IO_ERROR, errnum, "%s: writing failed", f->download->part);
}

static we_status append(struct transfer *t, struct file *f, const char *data, size_t size)
{
    we_status status = we_digest_update(&f->digest, data, size, t->error);
    while (status == WE_OK && size) {
        ssize_t n = pwrite(f->fd, data, size, (off_t)f->written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return write_error(t, f, errno);
        data += n;
        size -= (size_t)n;
        f->written += (uint64_t)n;
    }
    return status;
}

static we_status reset(struct transfer *t, struct file *f)
{
    f->written = f->next = 0;
    if (ftruncate(f->fd, 0) != 0)
        return we_error_errno(t->error, WE_IO_ERROR, errno, "%s: emptying failed", f->download->part);
    return we_digest_begin(&f->digest, &f->download->file->identity, t->error);
}

static uint64_t bytes_there(const struct transfer *t)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < t->plan->count; i++)
        sum += t->files[i].finished ? t->files[i].size : t->files[i].written;
    for (size_t i = 0; i < t->num_slots; i++)
        sum += t->slots[i].file && !t->slots[i].dropped ? t->slots[i].waiting.length : 0;
    return sum;
}

static bool report(struct transfer *t)
{
    return t->plan->on_bytes == NULL || t->plan->on_bytes(t->plan->context, bytes_there(t));
}

static bool keep_hashing(void *context, uint64_t bytes)
{
    (void)bytes;
    return report(context);
}

we_status we_download_place(const struct we_download *d, struct we_error *error)
{
    if (rename(d->part, d->target) != 0)
        return we_error_errno(error, WE_IO_ERROR, errno, "%s cannot be renamed to %s", d->part, d->target);
    char *folder = strdup(d->target);
    char *slash = folder ? strrchr(folder, '/') : NULL;
    if (slash)
        *slash = '\0';
    int fd = slash ? open(folder, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd); /* not every file system can */
        close(fd);
    }
    free(folder);
    return WE_OK;
}

/* All bytes are there: verified, the file gets its name; else it begins anew, or is given up. */
static we_status finish(struct transfer *t, struct file *f)
{
    char found[WE_SHA256_HEX + 1] = "";
    const struct we_identity *wanted = &f->download->file->identity;
    we_status status = we_digest_end(&f->digest, found, t->error);
    if (status != WE_OK)
        return status;
    if (strcmp(found, wanted->hex) != 0) {
        free(f->location);
        f->location = NULL;
        if (++f->wrong_hashes < MOST_WRONG_HASHES)
            return reset(t, f);
        unlink(f->download->part);
        return we_error_set(
            t->error, WE_INVALID_FORMAT,
            "%.200s of %.200s came with other bytes than the Hub announces, twice: the %s should be %s and is %s\n"
            "nothing of it was kept; if a proxy or HF_ENDPOINT changes files, go around it",
            f->download->file->path, t->plan->name, we_hash_name(wanted), wanted->hex, found);
    }
    if (fsync(f->fd) != 0 && errno != EINVAL && errno != ENOTSUP)
        return write_error(t, f, errno);
    close(f->fd);
    f->fd = -1;
    we_digest_free(&f->digest);
    f->finished = true;
    if (!f->download->postponed)
        status = we_download_place(f->download, t->error);
    if (status == WE_OK && t->plan->on_done)
        status = t->plan->on_done(t->plan->context, f->download, t->error);
    return status;
}

/* Opens the part, and hashes what an earlier time left in it. */
static we_status open_part(struct transfer *t, struct file *f)
{
    const char *path = f->download->part;
    f->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    struct stat st;
    if (f->fd < 0 || fstat(f->fd, &st) != 0)
        return we_error_errno(t->error, WE_IO_ERROR, errno, "%s cannot be written", path);
    if (!S_ISREG(st.st_mode))
        return we_error_set(t->error, WE_IO_ERROR, "%s is no regular file", path);
    if ((uint64_t)st.st_size > f->size)
        return reset(t, f);
    we_status status = we_digest_begin(&f->digest, &f->download->file->identity, t->error);
    if (status == WE_OK)
        status = we_digest_file(&f->digest, f->fd, (uint64_t)st.st_size, path, keep_hashing, t, t->error);
    f->written = f->next = (uint64_t)st.st_size;
    return status == WE_OK && f->written == f->size ? finish(t, f) : status;
}

/* ---- slots ---- */

static void release(struct slot *s)
{
    struct file *f = s->file;
    if (s->active)
        curl_multi_remove_handle(s->transfer->multi, s->request.easy);
    we_buf_free(&s->waiting);
    s->active = false;
    s->file = NULL;
    if (f)
        f->slots--;
}

/* Moves what waits to the part, as far as it is its turn. */
static we_status drain(struct transfer *t, struct file *f)
{
    we_status status = WE_OK;
    for (bool again = true; status == WE_OK && again;) {
        again = false;
        for (size_t i = 0; status == WE_OK && i < t->num_slots; i++) {
            struct slot *s = &t->slots[i];
            if (s->file != f || s->dropped)
                continue;
            if (s->waiting.length && s->start + s->got - s->waiting.length == f->written) {
                status = append(t, f, s->waiting.data, s->waiting.length);
                we_buf_free(&s->waiting);
                again = true;
            }
            if (status == WE_OK && s->complete && s->waiting.length == 0) {
                release(s);
                again = true;
            }
        }
    }
    return status == WE_OK && f->written == f->size && f->slots == 0 && !f->finished ? finish(t, f) : status;
}

/* The server sends the whole file although a range was asked for. */
static bool take_whole_file(struct slot *s)
{
    struct file *f = s->file;
    f->no_ranges = true;
    if (s->start != 0 || s->asked_from != 0 || f->written != 0) {
        s->dropped = true;
        return false;
    }
    for (size_t i = 0; i < s->transfer->num_slots; i++)
        if (s->transfer->slots[i].file == f && &s->transfer->slots[i] != s)
            s->transfer->slots[i].dropped = true;
    s->end = f->next = f->size;
    return true;
}

static size_t on_data(char *data, size_t size, size_t count, void *context)
{
    struct slot *s = context;
    struct transfer *t = s->transfer;
    size_t n = size * count;
    long code = 0;
    curl_easy_getinfo(s->request.easy, CURLINFO_RESPONSE_CODE, &code);
    if (s->dropped || t->status != WE_OK)
        return 0;
    if (code != 200 && code != 206)
        return n; /* the text of an error or a redirect */
    if (!s->checked) {
        bool whole = s->asked_from == 0 && s->end == s->file->size;
        if (code == 206 && s->request.reply.range_start != s->asked_from)
            s->file->no_ranges = s->dropped = true;
        else if (code == 200 && !whole && !take_whole_file(s))
            return 0;
        s->checked = true;
    }
    if (s->dropped)
        return 0;
    if (n > s->end - s->start - s->got) {
        t->status = we_error_set(t->error, WE_INVALID_FORMAT,
                                 "%.200s of %.200s is longer than the %llu bytes that the Hub announces; it was not kept\nis "
                                 "there a proxy, or a network that wants a login, which sends something else?",
                                 s->file->download->file->path, t->plan->name, (unsigned long long)s->file->size);
        unlink(s->file->download->part);
        return 0;
    }
    bool my_turn = s->waiting.length == 0 && s->start + s->got == s->file->written;
    if (my_turn)
        t->status = append(t, s->file, data, n);
    else if (!we_buf_append(&s->waiting, we_str(data, n)))
        t->status = we_error_memory(t->error, "what is fetched");
    s->got += n;
    t->fetched += n;
    return t->status == WE_OK ? n : 0;
}

static we_status begin_request(struct transfer *t, struct slot *s, const char *url)
{
    struct file *f = s->file;
    s->asked_from = s->start + s->got;
    s->checked = false;
    we_status status = we_http_request_begin(t->plan->http, &s->request, url, on_data, s, t->error);
    if (status != WE_OK)
        return status;
    if (s->asked_from || s->end != f->size) {
        char range[64];
        snprintf(range, sizeof range, "%llu-%llu", (unsigned long long)s->asked_from, (unsigned long long)s->end - 1);
        curl_easy_setopt(s->request.easy, CURLOPT_RANGE, range);
    }
    curl_easy_setopt(s->request.easy, CURLOPT_PRIVATE, s);
    if (curl_multi_add_handle(t->multi, s->request.easy) != CURLM_OK)
        return we_error_memory(t->error, "a connection");
    s->active = true;
    return WE_OK;
}

/* From the start of the way: what the Hub redirected to earlier, else the Hub. */
static we_status begin_anew(struct transfer *t, struct slot *s)
{
    s->request.redirects = 0;
    s->cached = s->file->location != NULL;
    return begin_request(t, s, s->cached ? s->file->location : s->file->download->url);
}

static we_status shorter(const struct transfer *t, const struct file *f, struct we_error *error)
{
    return we_error_set(error, WE_INVALID_FORMAT,
                        "%.200s of %.200s is shorter than the %llu bytes that the Hub announces; run the command again later",
                        f->download->file->path, t->plan->name, (unsigned long long)f->size);
}

static we_status cut_again(const struct transfer *t, const struct file *f)
{
    return we_error_set(t->error, WE_IO_ERROR,
                        "%.200s: the connection was cut again and again, and the server cannot continue in the middle of a "
                        "file\nrun the command again later",
                        f->download->file->path);
}

/* The next chunk that nobody fetches, for a free slot. False: there is none now. */
static bool assign(struct transfer *t, struct slot *s)
{
    for (size_t i = t->first; t->status == WE_OK && i < t->plan->count; i++) {
        struct file *f = &t->files[i];
        if (!f->finished && f->fd < 0)
            t->status = open_part(t, f);
        if (f->finished || t->status != WE_OK)
            continue;
        if (f->no_ranges && f->slots == 0 && f->next) {
            if (++f->restarts > t->plan->http->retries + 1)
                t->status = f->too_short ? shorter(t, f, t->error) : cut_again(t, f);
            else
                t->status = reset(t, f);
        }
        if (t->status != WE_OK || f->next == f->size || (f->no_ranges && f->slots))
            continue;
        uint64_t left = f->size - f->next;
        *s = (struct slot){.transfer = t, .file = f, .request = s->request, .start = f->next};
        s->end = f->next + (f->no_ranges || left <= chunk_size(t) ? left : chunk_size(t));
        s->best = s->start;
        f->next = s->end;
        f->slots++;
        return true;
    }
    return false;
}

/* ---- what a request ended with ---- */

static we_status retry(struct transfer *t, struct slot *s, const struct we_error *why)
{
    struct file *f = s->file;
    if (s->got == s->end - s->start) {
        s->complete = true; /* cut after the last byte */
        return drain(t, f);
    }
    free(f->location);
    f->location = NULL;
    if (s->start + s->got > s->best) {
        s->best = s->start + s->got;
        s->failures = 0;
    }
    double seconds = 0;
    if (s->failures >= t->plan->http->retries || !we_http_delay(s->failures++, &s->request.reply, &seconds)) {
        if (t->error)
            *t->error = *why;
        return why->status;
    }
    if (s->request.reply.retry_after >= 2 && t->plan->http->note) {
        char text[160];
        snprintf(text, sizeof text, "%s asks to wait %.0f seconds", s->request.host, seconds);
        t->plan->http->note(t->plan->http->context, text);
    }
    s->not_before = we_clock() + seconds;
    if (f->no_ranges)
        s->dropped = true; /* it begins again from the start of the file */
    return WE_OK;
}

static we_status judge_answer(struct transfer *t, struct slot *s)
{
    const struct we_hub_file *file = s->file->download->file;
    long code = s->request.reply.status;
    bool at_hub = s->request.redirects == 0 && !s->cached;
    struct we_error why;
    if ((code == 200 || code == 206) && s->got == s->end - s->start) {
        s->complete = true;
        if (s->file->location == NULL && s->request.redirects)
            s->file->location = strdup(s->request.url);
        return drain(t, s->file);
    }
    if ((code == 401 || code == 403) && at_hub)
        return we_hub_refused(t->plan->http, t->plan->name, &s->request.reply, t->error);
    if (code == 404 && at_hub)
        return we_error_set(t->error, WE_NOT_FOUND, "%.200s of %.200s is not on the Hub any more; run the command again",
                            file->path, t->plan->name);
    s->file->too_short = code == 200 || code == 206 || code == 416;
    if (s->file->too_short)
        (void)shorter(t, s->file, &why);
    else
        we_error_set(&why, WE_IO_ERROR, "%.200s: %s answers with HTTP %ld", file->path, s->request.host, code);
    return retry(t, s, &why); /* an address behind a redirect may have expired */
}

static we_status take_message(struct transfer *t, CURLMsg *message)
{
    struct slot *s = NULL;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&s);
    CURLcode code = message->data.result;
    curl_multi_remove_handle(t->multi, s->request.easy);
    s->active = false;
    if (t->status != WE_OK || s->dropped)
        return t->status;
    struct we_error why = {0};
    switch (we_http_request_end(t->plan->http, &s->request, code, &why)) {
    case WE_HTTP_DONE:
        return judge_answer(t, s);
    case WE_HTTP_REDIRECT:
        return begin_request(t, s, s->request.url);
    case WE_HTTP_RETRY:
        return retry(t, s, &why);
    default:
        if (t->error)
            *t->error = why;
        return why.status;
    }
}

/* ---- all of them ---- */

static void step_slots(struct transfer *t)
{
    double now = we_clock();
    for (size_t i = 0; t->status == WE_OK && i < t->num_slots; i++) {
        struct slot *s = &t->slots[i];
        if (s->file && s->dropped && s->not_before <= now)
            release(s);
        if (s->file == NULL && !assign(t, s))
            continue;
        if (t->status == WE_OK && !s->active && !s->complete && !s->dropped && s->not_before <= now)
            t->status = begin_anew(t, s);
    }
    while (t->first < t->plan->count && t->files[t->first].finished)
        t->first++;
}

static we_status run(struct transfer *t)
{
    for (;;) {
        step_slots(t);
        if (t->status == WE_OK && !report(t))
            t->status = we_error_set(t->error, WE_CANCELLED, "stopped");
        if (t->status != WE_OK || t->first == t->plan->count)
            return t->status;
        int running, left;
        bool heard = false;
        CURLMcode code = curl_multi_perform(t->multi, &running);
        CURLMsg *message;
        while ((message = curl_multi_info_read(t->multi, &left)) != NULL)
            if (message->msg == CURLMSG_DONE) {
                heard = true;
                we_status status = take_message(t, message);
                t->status = t->status == WE_OK ? status : t->status;
            }
        if (t->status == WE_OK && code == CURLM_OK && running && !heard)
            code = curl_multi_poll(t->multi, NULL, 0, TICK_MILLISECONDS, NULL);
        else if (t->status == WE_OK && code == CURLM_OK && !heard)
            usleep(5000); /* all wait before a retry */
        if (code != CURLM_OK && t->status == WE_OK)
            t->status = we_error_set(t->error, WE_IO_ERROR, "the network library failed: %s", curl_multi_strerror(code));
    }
}

static int smaller_first(const void *a, const void *b)
{
    const struct file *x = a, *y = b;
    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    return strcmp(x->download->file->path, y->download->file->path);
}

we_status we_download_all(const struct we_download_plan *plan, uint64_t *fetched, struct we_error *error)
{
    struct transfer t = {.plan = plan, .error = error};
    t.num_slots = plan->connections < 1 ? 1 : plan->connections > MOST_SLOTS ? MOST_SLOTS : plan->connections;
    t.multi = curl_multi_init();
    t.files = calloc(plan->count + 1, sizeof *t.files);
    if (t.multi == NULL || t.files == NULL)
        t.status = we_error_memory(error, "the download");
    for (size_t i = 0; t.files && i < plan->count; i++)
        t.files[i] = (struct file){.download = &plan->downloads[i], .fd = -1, .size = plan->downloads[i].file->identity.size};
    if (t.files)
        qsort(t.files, plan->count, sizeof *t.files, smaller_first);
    if (t.status == WE_OK)
        t.status = run(&t);
    for (size_t i = 0; i < t.num_slots; i++) {
        release(&t.slots[i]);
        we_http_request_free(&t.slots[i].request);
    }
    for (size_t i = 0; t.files && i < plan->count; i++) {
        if (t.files[i].fd >= 0)
            close(t.files[i].fd);
        we_digest_free(&t.files[i].digest);
        free(t.files[i].location);
    }
    free(t.files);
    curl_multi_cleanup(t.multi);
    *fetched = t.fetched;
    return t.status;
}
