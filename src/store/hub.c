#include "store/hub.h"

#include "base/buf.h"
#include "base/json.h"

#include <stdlib.h>

enum { MOST_FILES = 100000, LONGEST_PATH = 400, LONGEST_PART = 160 };
static const uint64_t largest_file = UINT64_C(1) << 50;

/* ---- names ---- */

static bool is_name_part(struct we_str part)
{
    if (part.length == 0 || part.length > 96 || part.data[0] == '.' || part.data[0] == '-')
        return false;
    for (size_t i = 0; i < part.length; i++) {
        char c = part.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
            return false;
    }
    return true;
}

static struct we_str without_prefix(struct we_str text, const char *prefix)
{
    struct we_str p = we_str_c(prefix);
    return we_str_starts_with(text, p) ? we_str(text.data + p.length, text.length - p.length) : text;
}

we_status we_hub_parse_name(const char *text, const char *endpoint, struct we_arena *arena, const char **name,
                            const char **revision, struct we_error *error)
{
    struct we_str rest = without_prefix(without_prefix(we_str_c(text), "mlx://"), "https://huggingface.co/");
    rest = without_prefix(rest, endpoint);
    while (rest.length && rest.data[0] == '/' && text[0] != '/')
        rest = we_str(rest.data + 1, rest.length - 1);
    size_t at = we_str_find(rest, we_str_c("@"), 0), slash = we_str_find(rest, we_str_c("/"), 0);
    *revision = NULL;
    if (at != SIZE_MAX) {
        *revision = we_arena_copy(arena, we_str(rest.data + at + 1, rest.length - at - 1));
        if (*revision == NULL)
            return we_error_memory(error, text);
        rest.length = at;
        for (const char *p = *revision; *p; p++)
            if ((unsigned char)*p <= 0x20 || *p == 0x7F)
                return we_error_set(error, WE_INVALID_ARGUMENT, "%.300s: a revision holds no spaces or control characters",
                                    text);
        if (**revision == '\0')
            return we_error_set(error, WE_INVALID_ARGUMENT,
                                "%.300s: after @ a revision is expected: a branch, a tag or a commit", text);
    }
    if (slash == SIZE_MAX || slash >= rest.length || !is_name_part(we_str(rest.data, slash)) ||
        !is_name_part(we_str(rest.data + slash + 1, rest.length - slash - 1)))
        return we_error_set(error, WE_INVALID_ARGUMENT,
                            "%.300s is no name of the Hugging Face Hub: ORG/NAME is expected, of letters, digits, \"-\", \"_\" "
                            "and \".\", as mlx-community/SmolLM2-135M-Instruct-4bit",
                            text);
    *name = we_arena_copy(arena, rest);
    return *name ? WE_OK : we_error_memory(error, text);
}

/* ---- the files of a model ---- */

bool we_hub_is_safe_path(struct we_str path)
{
    if (path.length == 0 || path.length > LONGEST_PATH)
        return false;
    for (size_t at = 0; at <= path.length;) {
        size_t slash = we_str_find(path, we_str_c("/"), at);
        struct we_str part = we_str(path.data + at, (slash == SIZE_MAX ? path.length : slash) - at);
        if (part.length == 0 || part.length > LONGEST_PART || we_str_equal_c(part, ".") || we_str_equal_c(part, ".."))
            return false;
        at += part.length + 1;
    }
    for (size_t i = 0; i < path.length; i++)
        if ((unsigned char)path.data[i] < 0x20 || path.data[i] == 0x7F)
            return false;
    return true;
}

static bool ends_with(const char *path, const char *end)
{
    return we_str_ends_with(we_str_c(path), we_str_c(end));
}

static const struct we_hub_file *find(const struct we_hub_listing *listing, const char *path)
{
    for (size_t i = 0; i < listing->count; i++)
        if (strcmp(listing->files[i].path, path) == 0)
            return &listing->files[i];
    return NULL;
}

/* What a model of MLX consists of: weights, configuration, tokenizer, templates. */
struct selection {
    bool model_weights, tokenizer_json;
};

static bool is_needed(const char *path, const struct selection *s)
{
    if (path[0] == '.')
        return false;
    if (strncmp(path, "additional_chat_templates/", 26) == 0)
        return strchr(path + 26, '/') == NULL && path[26] != '.' && ends_with(path, ".jinja");
    if (strchr(path, '/'))
        return false;
    if (ends_with(path, ".safetensors"))
        return !s->model_weights || strncmp(path, "model", 5) == 0; /* mlx-lm reads model*.safetensors */
    if (strcmp(path, "tokenizer.model") == 0 || strcmp(path, "merges.txt") == 0 || strcmp(path, "vocab.txt") == 0 ||
        strcmp(path, "vocab.json") == 0)
        return !s->tokenizer_json;
    return ends_with(path, ".json") || ends_with(path, ".jinja");
}

static int compare_files(const void *a, const void *b)
{
    const struct we_hub_file *x = a, *y = b;
    return strcmp(x->path, y->path);
}

static we_status select_files(struct we_hub_listing *listing, const char *source, struct we_error *error)
{
    struct selection s = {.tokenizer_json = find(listing, "tokenizer.json") != NULL};
    bool weights = false;
    for (size_t i = 0; i < listing->count; i++) {
        const char *path = listing->files[i].path;
        bool here = strchr(path, '/') == NULL && ends_with(path, ".safetensors");
        weights = weights || here;
        s.model_weights = s.model_weights || (here && strncmp(path, "model", 5) == 0);
    }
    if (!weights || !find(listing, "config.json"))
        return we_error_set(
            error, WE_UNSUPPORTED,
            "%s: this is no MLX model: it has no %s\nmodels with config.json, *.safetensors and tokenizer.json are "
            "fetched, as those of mlx-community",
            source, weights ? "config.json" : "*.safetensors");
    size_t count = 0;
    for (size_t i = 0; i < listing->count; i++)
        if (is_needed(listing->files[i].path, &s))
            listing->files[count++] = listing->files[i];
    listing->count = count;
    qsort(listing->files, count, sizeof *listing->files, compare_files);
    for (size_t i = 0; i < count; i++) {
        const struct we_hub_file *f = &listing->files[i];
        if (i && strcmp(f->path, f[-1].path) == 0)
            return we_error_set(error, WE_INVALID_FORMAT, "%s: \"%.200s\" stands twice in the list of files", source, f->path);
        if (f->identity.hex[0] == '\0' || f->identity.size > largest_file)
            return we_error_set(
                error, WE_INVALID_FORMAT,
                "%s: the list of files has no %s for \"%.200s\", so it could not be verified; nothing was fetched", source,
                f->identity.hex[0] ? "size" : "hash", f->path);
    }
    return WE_OK;
}

struct parser {
    struct we_json_reader reader;
    struct we_arena *arena;
    struct we_hub_listing *listing;
    size_t capacity;
    bool out_of_memory, has_siblings;
};

/* A string, or null, which says nothing. */
static bool read_text(struct parser *p, struct we_str *text)
{
    *text = we_str("", 0);
    return we_json_peek(&p->reader) == WE_JSON_NULL ? we_json_read_null(&p->reader) : we_json_read_string(&p->reader, text);
}

static bool read_size(struct parser *p, uint64_t *size)
{
    return we_json_peek(&p->reader) == WE_JSON_NULL ? we_json_read_null(&p->reader) : we_json_read_u64(&p->reader, size);
}

static bool read_hash(struct parser *p, char *hex, size_t length)
{
    struct we_str text;
    if (!read_text(p, &text))
        return false;
    struct we_str prefix = we_str_c("sha256:");
    if (text.length == length + prefix.length && we_str_starts_with(text, prefix))
        text = we_str(text.data + prefix.length, length);
    if (text.length != length)
        return true;
    for (size_t i = 0; i < length; i++)
        hex[i] = (char)(text.data[i] >= 'A' && text.data[i] <= 'F' ? text.data[i] + 'a' - 'A' : text.data[i]);
    hex[we_is_hash(hex, length) ? length : 0] = '\0';
    return true;
}

/* "lfs": a large file, known by its SHA-256. */
static bool read_lfs(struct parser *p, struct we_identity *identity)
{
    struct we_str key;
    if (we_json_peek(&p->reader) == WE_JSON_NULL)
        return we_json_read_null(&p->reader);
    if (!we_json_enter_object(&p->reader))
        return false;
    bool ok = true;
    while (ok && we_json_next_key(&p->reader, &key)) {
        if (we_str_equal_c(key, "sha256") || we_str_equal_c(key, "oid"))
            ok = read_hash(p, identity->hex, WE_SHA256_HEX);
        else if (we_str_equal_c(key, "size"))
            ok = read_size(p, &identity->size);
        else
            ok = we_json_skip(&p->reader);
    }
    return ok && p->reader.status == WE_OK;
}

static bool add_file(struct parser *p, const char *path, const struct we_identity *blob, const struct we_identity *lfs)
{
    struct we_hub_listing *l = p->listing;
    if (l->count == MOST_FILES) {
        we_json_fail(&p->reader, "more than %d files", MOST_FILES);
        return false;
    }
    if (l->count == p->capacity) {
        size_t capacity = p->capacity ? 2 * p->capacity : 32;
        struct we_hub_file *more = we_arena_array(p->arena, capacity, sizeof *more);
        if (more == NULL) {
            p->out_of_memory = true;
            return false;
        }
        if (l->count)
            memcpy(more, l->files, l->count * sizeof *more);
        l->files = more;
        p->capacity = capacity;
    }
    struct we_hub_file *f = &l->files[l->count++];
    *f = (struct we_hub_file){path, lfs->hex[0] ? *lfs : *blob};
    if (f->identity.size == UINT64_MAX)
        f->identity.size = blob->size;
    return true;
}

static bool read_sibling(struct parser *p)
{
    struct we_identity blob = {.size = UINT64_MAX}, lfs = {.size = UINT64_MAX};
    const char *path = NULL;
    struct we_str key, text;
    bool ok = we_json_enter_object(&p->reader);
    while (ok && we_json_next_key(&p->reader, &key)) {
        if (we_str_equal_c(key, "rfilename")) {
            ok = we_json_read_string(&p->reader, &text);
            if (ok && !we_hub_is_safe_path(text)) {
                we_json_fail(&p->reader,
                             "\"%.*s\" is a file name that would lead out of the model's directory; nothing was fetched",
                             WE_STR_ARG(text));
                return false;
            }
            path = ok ? we_arena_copy(p->arena, text) : NULL;
            p->out_of_memory = p->out_of_memory || (ok && path == NULL);
            ok = path != NULL;
        } else if (we_str_equal_c(key, "size"))
            ok = read_size(p, &blob.size);
        else if (we_str_equal_c(key, "blobId"))
            ok = read_hash(p, blob.hex, WE_GIT_HEX);
        else if (we_str_equal_c(key, "lfs"))
            ok = read_lfs(p, &lfs);
        else
            ok = we_json_skip(&p->reader);
    }
    if (!ok || p->reader.status != WE_OK)
        return false;
    if (path == NULL) {
        we_json_fail(&p->reader, "a file without \"rfilename\"");
        return false;
    }
    return add_file(p, path, &blob, &lfs);
}

static bool read_listing(struct parser *p)
{
    struct we_str key;
    bool ok = we_json_enter_object(&p->reader);
    while (ok && we_json_next_key(&p->reader, &key)) {
        if (we_str_equal_c(key, "sha"))
            ok = read_hash(p, p->listing->commit, WE_GIT_HEX);
        else if (we_str_equal_c(key, "siblings")) {
            p->has_siblings = true;
            ok = we_json_enter_array(&p->reader);
            while (ok && we_json_next_element(&p->reader))
                ok = read_sibling(p);
        } else
            ok = we_json_skip(&p->reader);
    }
    return ok && we_json_finish(&p->reader) == WE_OK;
}

we_status we_hub_parse_listing(struct we_str json, const char *source, struct we_arena *arena, struct we_hub_listing *listing,
                               struct we_error *error)
{
    *listing = (struct we_hub_listing){0};
    size_t at = 0;
    while (at < json.length && memchr(" \t\r\n", json.data[at], 4))
        at++;
    if (at < json.length && json.data[at] == '<')
        return we_error_set(
            error, WE_INVALID_FORMAT,
            "%s: the answer is a web page, not a list of files\na network that wants a login may have sent it, or a "
            "proxy, or HF_ENDPOINT leads elsewhere: open the address in a browser",
            source);
    struct parser p = {.arena = arena, .listing = listing};
    we_json_reader_init(&p.reader, json, source, error);
    bool ok = read_listing(&p);
    we_status status = p.reader.status;
    we_json_reader_free(&p.reader);
    if (p.out_of_memory)
        return we_error_memory(error, source);
    if (!ok)
        return status != WE_OK ? status : we_error_set(error, WE_INVALID_FORMAT, "%s: no list of files", source);
    if (listing->commit[0] == '\0' || !p.has_siblings)
        return we_error_set(error, WE_INVALID_FORMAT, "%s: the answer has no \"%s\"; is this a Hugging Face Hub?", source,
                            p.has_siblings ? "sha" : "siblings");
    return select_files(listing, source, error);
}

/* ---- requests ---- */

char *we_hub_file_url(const struct we_http *http, const char *name, const char *commit, const char *path,
                      struct we_arena *arena)
{
    struct we_buf url = {0};
    we_buf_printf(&url, "%s/%s/resolve/%s/", http->endpoint, name, commit);
    we_http_escape(&url, path, true);
    char *copy = url.failed ? NULL : we_arena_copy(arena, we_buf_str(&url));
    we_buf_free(&url);
    return copy;
}

we_status we_hub_refused(const struct we_http *http, const char *name, const struct we_http_reply *reply,
                         struct we_error *error)
{
    const char *page = http->endpoint;
    if (strcmp(reply->error_code, "GatedRepo") == 0 || reply->status == 403)
        return we_error_set(error, WE_IO_ERROR,
                            "%s: access is refused (HTTP %ld): its authors let only people in who accepted their terms\n"
                            "1. log in and accept them on %.200s/%s\n"
                            "2. make a token that may read on %.200s/settings/tokens\n"
                            "3. %s, in the environment or in .env, then run the command again",
                            name, reply->status, page, name, page,
                            http->token ? "check that HF_TOKEN is a token of that account" : "set HF_TOKEN to it");
    return we_error_set(error, WE_IO_ERROR, "%s: the Hub refused the request (HTTP 401)\n%s", name,
                        http->token ? "HF_TOKEN is not valid: make a new one in the settings of your account, or unset it"
                                    : "the model is private: set HF_TOKEN to a token of an account that may read it");
}

/* ---- names that are near ---- */

enum { MOST_NEAR = 3 };
struct near_names {
    const char *name[MOST_NEAR];
    size_t distance[MOST_NEAR], count;
};

static void consider(struct near_names *near, const char *wanted, const char *name)
{
    size_t distance = we_str_distance(we_str_c(wanted), we_str_c(name)), at = near->count;
    for (size_t i = 0; i < near->count; i++)
        if (strcmp(near->name[i], name) == 0)
            return;
    if (near->count < MOST_NEAR)
        near->count++;
    else if (near->distance[--at] <= distance)
        return;
    for (; at > 0 && near->distance[at - 1] > distance; at--) {
        near->name[at] = near->name[at - 1];
        near->distance[at] = near->distance[at - 1];
    }
    near->name[at] = name;
    near->distance[at] = distance;
}

/* Adds what a search finds. A failure is none: the suggestion is a courtesy. */
static void search(const struct we_http *http, struct we_str words, const char *wanted, struct we_arena *arena,
                   struct near_names *near)
{
    struct we_buf url = {0}, body = {.limit = 4 << 20};
    struct we_http_reply reply;
    struct we_error ignored;
    struct we_json *tree = NULL;
    char *text = we_arena_copy(arena, words);
    we_buf_printf(&url, "%s/api/models?search=", http->endpoint);
    if (text)
        we_http_escape(&url, text, false);
    we_buf_append_c(&url, "&limit=50");
    if (text && !url.failed && we_http_get(http, url.data, &body, &reply, &ignored) == WE_OK && reply.status == 200)
        (void)we_json_parse(we_buf_str(&body), url.data, arena, &tree, &ignored);
    for (size_t i = 0; tree && tree->kind == WE_JSON_ARRAY && i < tree->count; i++) {
        const struct we_json *id = we_json_get(&tree->items[i], "id");
        if (id == NULL)
            id = we_json_get(&tree->items[i], "modelId");
        if (id == NULL || id->kind != WE_JSON_STRING || !we_hub_is_safe_path(id->string))
            continue;
        const char *name = we_arena_copy(arena, id->string);
        if (name)
            consider(near, wanted, name);
    }
    we_buf_free(&url);
    we_buf_free(&body);
}

/* Searches for the NAME, then for less and less of it, until something is found. */
static void find_near(const struct we_http *http, const char *wanted, struct we_arena *arena, struct near_names *near)
{
    const char *slash = strchr(wanted, '/');
    struct we_str words = we_str_c(slash ? slash + 1 : wanted);
    for (int tries = 0; tries < 4 && near->count == 0 && words.length > 1; tries++) {
        search(http, words, wanted, arena, near);
        size_t length = words.length;
        while (length && words.data[length - 1] != '-' && words.data[length - 1] != '_' && words.data[length - 1] != '.')
            length--;
        if (length == 0)
            break;
        words.length = length - 1;
    }
}

static we_status no_such_model(const struct we_http *http, const char *name, long code, struct we_arena *arena,
                               struct we_error *error)
{
    struct near_names near = {0};
    struct we_buf text = {0};
    find_near(http, name, arena, &near);
    we_buf_printf(&text, "%s has no model \"%s\"", http->endpoint, name);
    if (near.count)
        we_buf_append_c(&text, "\ndid you mean");
    for (size_t i = 0; i < near.count; i++)
        we_buf_printf(&text, "%s \"%.120s\"", i == 0 ? "" : i + 1 < near.count ? "," : " or", near.name[i]);
    if (near.count)
        we_buf_append_c(&text, "?");
    if (code == 401 && !http->token)
        we_buf_append_c(&text, "\na private model is seen with a token of an account that may read it: set HF_TOKEN");
    we_status status = text.failed ? we_error_memory(error, name) : we_error_set(error, WE_NOT_FOUND, "%s", text.data);
    we_buf_free(&text);
    return status;
}

we_status we_hub_list(const struct we_http *http, const char *name, const char *revision, struct we_arena *arena,
                      struct we_hub_listing *listing, struct we_error *error)
{
    struct we_buf url = {0}, body = {.limit = 64 << 20};
    struct we_http_reply reply;
    we_buf_printf(&url, "%s/api/models/%s", http->endpoint, name);
    if (revision) {
        we_buf_append_c(&url, "/revision/");
        we_http_escape(&url, revision, false);
    }
    we_buf_append_c(&url, "?blobs=true");
    we_status status = url.failed ? we_error_memory(error, name) : we_http_get(http, url.data, &body, &reply, error);
    if (status == WE_OK) {
        bool no_revision = strcmp(reply.error_code, "RevisionNotFound") == 0;
        bool no_model = reply.status == 404 || (reply.status == 401 && strcmp(reply.error_code, "RepoNotFound") == 0) ||
                        (reply.status == 401 && reply.error_code[0] == '\0' && !http->token);
        if (reply.status == 200)
            status = we_hub_parse_listing(we_buf_str(&body), url.data, arena, listing, error);
        else if (no_revision && revision)
            status =
                we_error_set(error, WE_NOT_FOUND, "%s has no revision \"%.200s\"; %s/%s shows its branches, tags and commits",
                             name, revision, http->endpoint, name);
        else if (no_model)
            status = no_such_model(http, name, reply.status, arena, error);
        else if (reply.status == 401 || reply.status == 403)
            status = we_hub_refused(http, name, &reply, error);
        else
            status = we_error_set(error, WE_IO_ERROR, "%s: the answer is HTTP %ld, where a list of files was expected",
                                  url.data, reply.status);
    }
    we_buf_free(&url);
    we_buf_free(&body);
    return status;
}
