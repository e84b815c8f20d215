#include "base/buf.h"
#include "base/fs.h"
#include "store/download.h"
#include "store/lock.h"
#include "store/places.h"
#include "store/record.h"

#include <whisperengine_tools.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct pull {
    const struct we_pull_options *options;
    struct we_pull_result *result;
    struct we_arena arena;
    struct we_http http;
    struct we_places places;
    const char *name, *revision; /* revision NULL: whatever is there, else main */
    const char *own;             /* below MODELS_DIR/mlx */
    char *snapshot;              /* in the Hugging Face cache, or NULL */
    const char *folder;          /* the one of the two that is worked on */
    struct we_record record;     /* of the folder; files that are verified */
    struct we_record before;     /* as it was read */
    struct we_hub_listing listing;
    struct we_download_plan plan;
    uint64_t present, total; /* bytes */
    const char *what;        /* for on_progress */
    struct we_error *error;
};

static bool in_cache(const struct pull *p)
{
    return p->folder != p->own;
}

/* ---- callbacks ---- */

static bool tell(struct pull *p, uint64_t done, uint64_t total)
{
    const struct we_pull_options *o = p->options;
    return o->on_progress == NULL || o->on_progress(o->context, p->what, done, total);
}

static bool go_on(void *context)
{
    struct pull *p = context;
    return tell(p, p->present, p->total);
}

static bool on_fetched(void *context, uint64_t bytes)
{
    struct pull *p = context;
    return tell(p, p->present + bytes, p->total);
}

static bool on_hashed(void *context, uint64_t bytes)
{
    struct pull *p = context;
    p->present += bytes;
    return tell(p, p->present, p->total);
}

static bool while_planning(void *context, uint64_t bytes)
{
    (void)bytes;
    return go_on(context);
}

static void note(void *context, const char *text)
{
    const struct we_pull_options *o = ((struct pull *)context)->options;
    if (o->on_note)
        o->on_note(o->context, text);
}

static void on_wait(void *context)
{
    note(context, "another process works on this model; waiting for it");
}

/* ---- what is there ---- */

static bool is_commit_of(const char *revision, const char *commit)
{
    size_t n = strlen(revision);
    return n >= 7 && n <= WE_GIT_HEX && strncmp(revision, commit, n) == 0;
}

static bool has_revision(const struct pull *p, const struct we_record *record)
{
    return p->revision == NULL || is_commit_of(p->revision, record->commit) || strcmp(p->revision, record->revision) == 0;
}

/* Is the model here, as far as one sees without reading its weights? */
static we_status look(struct pull *p, bool *there)
{
    struct we_record *record = &p->record;
    bool complete = false;
    *there = false;
    p->folder = p->own;
    we_status status = we_record_read(p->own, &p->arena, record, p->error);
    p->before = *record;
    if (status == WE_OK && record->name == NULL && !we_is_unfinished(p->own))
        status = we_model_is_complete(p->own, &p->arena, &complete, p->error);
    if (status != WE_OK)
        return status;
    *there = record->name ? we_record_holds(record, p->own) && has_revision(p, record) : complete && p->revision == NULL;
    if (*there || record->name || complete || we_path_exists(p->own) || p->snapshot == NULL)
        return WE_OK;
    if (p->revision && !is_commit_of(p->revision, we_path_base(p->snapshot)))
        return WE_OK;
    status = we_model_is_complete(p->snapshot, &p->arena, &complete, p->error);
    *there = complete;
    if (complete)
        p->folder = p->snapshot;
    return status;
}

static we_status set_path(struct pull *p)
{
    p->result->path = strdup(p->folder);
    return p->result->path ? WE_OK : we_error_memory(p->error, "a path");
}

static we_status found(struct pull *p)
{
    p->result->outcome = in_cache(p) ? WE_PULL_IN_HUB_CACHE : WE_PULL_WAS_THERE;
    p->result->num_files = (uint32_t)p->record.count;
    const char *commit = in_cache(p) ? we_path_base(p->folder) : p->record.commit;
    if (strlen(commit) == WE_GIT_HEX)
        memcpy(p->result->commit, commit, WE_GIT_HEX + 1);
    return set_path(p);
}

/* ---- checking ---- */

/* In the cache of the Hub's own library a file is a link to a blob, whose name is its hash. */
static we_status read_cache(struct pull *p)
{
    char **names;
    size_t count;
    struct we_record *r = &p->record;
    *r = (struct we_record){.name = p->name, .revision = ""};
    we_status status = we_list_directory(p->folder, &p->arena, &names, &count, p->error);
    if (status != WE_OK)
        return status;
    const char *commit = we_path_base(p->folder);
    if (strlen(commit) == WE_GIT_HEX && we_is_hash(commit, WE_GIT_HEX))
        memcpy(r->commit, commit, WE_GIT_HEX + 1);
    r->files = we_arena_array(&p->arena, count + 1, sizeof *r->files);
    if (r->files == NULL)
        return we_error_memory(p->error, p->folder);
    for (size_t i = 0; i < count; i++) {
        char link[4096];
        const char *path = we_path_join(&p->arena, p->folder, names[i]);
        ssize_t n = path ? readlink(path, link, sizeof link - 1) : -1;
        if (path == NULL)
            return we_error_memory(p->error, p->folder);
        if (n <= 0)
            continue;
        link[n] = '\0';
        const char *hash = we_path_base(link);
        if (!we_is_hash(hash, strlen(hash)))
            continue;
        struct we_hub_file *f = &r->files[r->count++];
        *f = (struct we_hub_file){names[i], {.size = we_path_size(path)}};
        memcpy(f->identity.hex, hash, strlen(hash) + 1);
    }
    r->complete = true;
    return WE_OK;
}

/* Hashes the recorded files; those that are broken leave the record. */
static we_status check_record(struct pull *p)
{
    struct we_record *r = &p->record;
    size_t good = 0, count = r->count;
    p->what = "checking";
    p->present = p->total = 0;
    for (size_t i = 0; i < count; i++)
        p->total += r->files[i].identity.size;
    for (size_t i = 0; i < count; i++) {
        bool matches;
        const char *path = we_path_join(&p->arena, p->folder, r->files[i].path);
        if (path == NULL)
            return we_error_memory(p->error, p->folder);
        we_status status = we_file_verify(path, &r->files[i].identity, on_hashed, p, &matches, p->error);
        if (status != WE_OK)
            return status;
        if (matches) {
            r->files[good++] = r->files[i];
            continue;
        }
        struct we_buf text = {0};
        we_buf_printf(&text, "%s is %s", path, we_path_exists(path) ? "broken" : "missing");
        if (!text.failed)
            note(p, text.data);
        we_buf_free(&text);
        p->result->num_broken++;
    }
    r->count = good;
    r->complete = r->complete && good == count;
    return WE_OK;
}

/* ---- planning ---- */

/* Where the bytes of a file go: beside a link, to what it leads to. */
static char *target_of(struct pull *p, const char *path)
{
    char link[4096];
    char *target = we_path_join(&p->arena, p->folder, path);
    ssize_t n = target && in_cache(p) ? readlink(target, link, sizeof link - 1) : -1;
    if (n <= 0)
        return target;
    link[n] = '\0';
    char *folder = we_arena_copy(&p->arena, we_str(target, (size_t)(we_path_base(target) - target)));
    return folder ? we_path_join(&p->arena, folder, link) : NULL;
}

static bool same_identity(const struct we_identity *a, const struct we_identity *b)
{
    return a->size == b->size && strcmp(a->hex, b->hex) == 0;
}

/* Whether the file is verified: recorded with the same hash and still of its size; else its bytes say it. */
static we_status is_verified(struct pull *p, const struct we_hub_file *file, const char *target, bool *verified)
{
    const struct we_hub_file *known = we_record_find(&p->before, file->path);
    const struct we_hub_file *good = we_record_find(&p->record, file->path);
    if (good && known && same_identity(&good->identity, &file->identity) && we_path_size(target) == file->identity.size &&
        we_path_exists(target)) {
        *verified = true;
        return WE_OK;
    }
    return we_file_verify(target, &file->identity, while_planning, p, verified, p->error);
}

static we_status foreign_file(struct pull *p, const char *target)
{
    return we_error_set(p->error, WE_IO_ERROR,
                        "%s differs from what the Hub has, and no download put it there; nothing was replaced\n"
                        "\"whisperengine pull %s --force\" replaces it, or move the directory away",
                        target, p->name);
}

static we_status plan_file(struct pull *p, const struct we_hub_file *file, struct we_record *next)
{
    struct we_download *d = &p->plan.downloads[p->plan.count];
    struct we_buf part = {0};
    const char *target = target_of(p, file->path);
    bool verified = false;
    we_status status = target ? is_verified(p, file, target, &verified) : we_error_memory(p->error, p->folder);
    if (status != WE_OK)
        return status;
    if (verified) {
        next->files[next->count++] = *file;
        p->present += file->identity.size;
        return WE_OK;
    }
    bool exists = we_path_exists(target);
    if (exists && !in_cache(p) && !we_record_owns(&p->before, file->path) && !p->options->force)
        return foreign_file(p, target);
    if (exists)
        next->replaced[next->num_replaced++] = file->path;
    we_buf_printf(&part, "%s.%s.part", target, file->identity.hex);
    *d = (struct we_download){.file = file, .target = target};
    d->part = part.failed ? NULL : we_arena_copy(&p->arena, we_buf_str(&part));
    d->url = we_hub_file_url(&p->http, p->name, p->listing.commit, file->path, &p->arena);
    d->postponed = p->before.complete && p->record.complete; /* until all are there, the old revision stays usable */
    we_buf_free(&part);
    p->plan.count++;
    return d->part && d->url ? WE_OK : we_error_memory(p->error, p->folder);
}

static bool is_listed(const struct pull *p, const char *path)
{
    for (size_t i = 0; i < p->listing.count; i++)
        if (strcmp(p->listing.files[i].path, path) == 0)
            return true;
    return false;
}

/* What an older revision left here and this one has not. */
static void plan_removals(struct pull *p, struct we_record *next)
{
    for (size_t i = 0; i < p->before.count; i++)
        if (!is_listed(p, p->before.files[i].path))
            next->replaced[next->num_replaced++] = p->before.files[i].path;
    for (size_t i = 0; i < p->before.num_replaced; i++)
        if (!is_listed(p, p->before.replaced[i]))
            next->replaced[next->num_replaced++] = p->before.replaced[i];
}

/* Splits the listing into what is verified (it becomes the record) and what is to be fetched. */
static we_status make_plan(struct pull *p)
{
    size_t n = p->listing.count + 1;
    struct we_record next = {.name = p->name, .revision = p->revision ? p->revision : "main"};
    memcpy(next.commit, p->listing.commit, sizeof next.commit);
    next.files = we_arena_array(&p->arena, n, sizeof *next.files);
    p->plan = (struct we_download_plan){.http = &p->http, .name = p->name, .connections = p->options->connections};
    p->plan.downloads = we_arena_array(&p->arena, n, sizeof *p->plan.downloads);
    next.replaced = we_arena_array(&p->arena, n + p->before.count + p->before.num_replaced, sizeof *next.replaced);
    if (next.files == NULL || next.replaced == NULL || p->plan.downloads == NULL)
        return we_error_memory(p->error, p->name);
    if (p->plan.connections == 0)
        p->plan.connections = 4;
    p->present = p->total = 0;
    we_status status = WE_OK;
    for (size_t i = 0; status == WE_OK && i < p->listing.count; i++) {
        p->total += p->listing.files[i].identity.size;
        status = plan_file(p, &p->listing.files[i], &next);
    }
    if (!in_cache(p))
        plan_removals(p, &next);
    p->record = next;
    return status;
}

static we_status check_space(struct pull *p)
{
    uint64_t needed = 0;
    for (size_t i = 0; i < p->plan.count; i++) {
        uint64_t size = p->plan.downloads[i].file->identity.size, there = we_path_size(p->plan.downloads[i].part);
        needed += there < size ? size - there : 0;
    }
    struct statvfs fs;
    if (statvfs(p->folder, &fs) != 0)
        return WE_OK; /* writing will tell */
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (needed <= room)
        return WE_OK;
    char a[24], b[24], c[24];
    return we_error_set(p->error, WE_IO_ERROR,
                        "%s needs %s more (%s in all), and %s has %s free\nmake room, or set LOCAL_MODELS_DIR to another disk",
                        p->name, we_bytes_text(needed, a), we_bytes_text(p->total, b), p->folder, we_bytes_text(room, c));
}

/* ---- fetching ---- */

static we_status save_record(struct pull *p)
{
    return in_cache(p) ? WE_OK : we_record_write(p->folder, &p->record, p->error);
}

static we_status on_done(void *context, const struct we_download *d, struct we_error *error)
{
    struct pull *p = context;
    (void)error;
    p->result->num_fetched++;
    if (d->postponed)
        return WE_OK;
    p->record.files[p->record.count++] = *d->file;
    return save_record(p);
}

static we_status place_postponed(struct pull *p)
{
    we_status status = save_record(p); /* from here on the directory is a mixture, and says so */
    for (size_t i = 0; status == WE_OK && i < p->plan.count; i++) {
        const struct we_download *d = &p->plan.downloads[i];
        if (!d->postponed)
            continue;
        status = we_download_place(d, p->error);
        p->record.files[p->record.count++] = *d->file;
    }
    return status;
}

/* Parts of other revisions, and what make_plan found superfluous. */
static void remove_leftovers(struct pull *p)
{
    char **names;
    size_t count;
    if (in_cache(p) || we_list_directory(p->folder, &p->arena, &names, &count, NULL) != WE_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        struct we_str name = we_str_c(names[i]), end = we_str_c(".part");
        if (!we_str_ends_with(name, end))
            continue;
        size_t dot = name.length -= end.length;
        while (dot && name.data[dot - 1] != '.')
            dot--;
        char *path = we_is_hash(name.data + dot, name.length - dot) ? we_path_join(&p->arena, p->folder, names[i]) : NULL;
        if (path)
            unlink(path);
    }
    for (size_t i = 0; i < p->record.num_replaced; i++) {
        const char *old = p->record.replaced[i];
        char *path = is_listed(p, old) ? NULL : we_path_join(&p->arena, p->folder, old);
        if (path)
            unlink(path);
    }
    p->record.num_replaced = 0;
}

static we_status make_folders(struct pull *p)
{
    we_status status = we_make_directories(p->folder, p->error);
    for (size_t i = 0; status == WE_OK && i < p->plan.count; i++) {
        const char *target = p->plan.downloads[i].target;
        char *folder = we_arena_copy(&p->arena, we_str(target, (size_t)(we_path_base(target) - target)));
        status = folder ? we_make_directories(folder, p->error) : we_error_memory(p->error, p->folder);
    }
    return status;
}

static we_status fetch(struct pull *p, const char *revision)
{
    p->what = "fetching";
    p->present = p->total = 0;
    we_status status = we_hub_list(&p->http, p->name, revision, &p->arena, &p->listing, p->error);
    if (status == WE_OK)
        status = make_plan(p);
    if (status == WE_OK)
        status = make_folders(p);
    if (status == WE_OK)
        status = check_space(p);
    bool update = p->before.complete && p->plan.count && p->plan.downloads[0].postponed;
    if (status == WE_OK && !update)
        status = save_record(p);
    p->plan.on_done = on_done;
    p->plan.on_bytes = on_fetched;
    p->plan.context = p;
    if (status == WE_OK && p->plan.count)
        status = we_download_all(&p->plan, &p->result->fetched_bytes, p->error);
    if (status == WE_OK && update)
        status = place_postponed(p);
    p->record.complete = status == WE_OK;
    if (status == WE_OK)
        remove_leftovers(p);
    if (status == WE_OK)
        status = save_record(p);
    return status;
}

/* ---- the whole ---- */

static we_status offline(struct pull *p)
{
    return we_error_set(
        p->error, WE_NOT_FOUND,
        "%s%s%s is not on this machine, and HF_HUB_OFFLINE forbids to fetch it\nset HF_HUB_OFFLINE=0 to fetch it", p->name,
        p->revision ? "@" : "", p->revision ? p->revision : "");
}

static we_status check(struct pull *p)
{
    bool own = p->record.name || we_is_model_directory(p->own);
    p->folder = own || p->snapshot == NULL ? p->own : p->snapshot;
    we_status status = in_cache(p) ? read_cache(p) : WE_OK;
    p->before = p->record;
    bool known = p->record.name && p->record.complete && (in_cache(p) || has_revision(p, &p->record));
    /* Checking compacts the list in place, and what was known before decides what may be replaced. */
    p->record.files = we_arena_array(&p->arena, p->record.count + 1, sizeof *p->record.files);
    if (status == WE_OK && p->record.files == NULL)
        return we_error_memory(p->error, p->name);
    if (status == WE_OK && p->record.count)
        memcpy(p->record.files, p->before.files, p->record.count * sizeof *p->record.files);
    if (status == WE_OK)
        status = check_record(p);
    if (status != WE_OK)
        return status;
    bool complete = known && p->record.complete;
    if (complete && in_cache(p))
        status = we_model_is_complete(p->folder, &p->arena, &complete, p->error);
    if (status == WE_OK && complete) {
        p->result->outcome = WE_PULL_VERIFIED;
        return WE_OK;
    }
    if (status == WE_OK && p->options->offline)
        return we_error_set(p->error, WE_IO_ERROR,
                            "%s: %u files are broken or missing, or not known, and HF_HUB_OFFLINE forbids to fetch them again",
                            p->folder, p->result->num_broken);
    const char *revision = p->revision ? p->revision : p->record.commit[0] ? p->record.commit : NULL;
    if (status == WE_OK)
        status = fetch(p, revision);
    p->result->outcome = p->result->num_fetched ? WE_PULL_REPAIRED : WE_PULL_VERIFIED;
    return status;
}

static we_status work(struct pull *p)
{
    bool there;
    we_status status = look(p, &there); /* again: another process may have fetched it while we waited */
    if (status != WE_OK)
        return status;
    if (there && !p->options->check && !p->options->force)
        return found(p);
    if (p->options->check) {
        status = check(p);
    } else {
        if (p->options->offline)
            return offline(p);
        p->folder = p->own;
        p->result->outcome = WE_PULL_FETCHED;
        status = fetch(p, p->revision);
        if (status == WE_OK && p->result->num_fetched == 0)
            p->result->outcome = WE_PULL_WAS_THERE;
    }
    if (status != WE_OK)
        return status;
    p->result->num_files = (uint32_t)p->record.count;
    memcpy(p->result->commit, p->record.commit, sizeof p->result->commit);
    return set_path(p);
}

static we_status prepare(struct pull *p, const char *name)
{
    struct we_buf folder = {0};
    we_status status = we_hub_parse_name(name, p->http.endpoint, &p->arena, &p->name, &p->revision, p->error);
    if (status == WE_OK)
        status = we_places_init(&p->places, p->options->models_dir, &p->arena, p->error);
    if (status != WE_OK)
        return status;
    p->folder = p->own = we_path_join(&p->arena, p->places.mlx, p->name);
    const char *slash = strchr(p->name, '/');
    we_buf_printf(&folder, "models--%.*s--%s", (int)(slash - p->name), p->name, slash + 1);
    if (p->own == NULL || folder.failed)
        status = we_error_memory(p->error, p->name);
    else if (p->places.hub)
        status = we_hub_snapshot(p->places.hub, folder.data, &p->arena, &p->snapshot, p->error);
    we_buf_free(&folder);
    return status;
}

/* The address without slashes at its end. */
static const char *endpoint_of(const struct we_pull_options *options, struct we_arena *arena)
{
    struct we_str text = we_str_c(options->endpoint && options->endpoint[0] ? options->endpoint : "https://huggingface.co");
    while (text.length && text.data[text.length - 1] == '/')
        text.length--;
    return we_arena_copy(arena, text);
}

static we_status pull_locked(struct pull *p)
{
    struct we_lock lock = {.fd = -1};
    char *path = we_model_lock_path(p->places.mlx, p->name, &p->arena);
    char *folder = path ? we_arena_copy(&p->arena, we_str(path, (size_t)(we_path_base(path) - path))) : NULL;
    we_status status = folder ? we_make_directories(folder, p->error) : we_error_memory(p->error, p->name);
    if (status == WE_OK)
        status = we_lock_take(&lock, path, on_wait, go_on, p, p->error);
    if (status == WE_OK)
        status = work(p);
    we_lock_release(&lock);
    if (status != WE_OK && folder)
        (void)rmdir(folder); /* nothing was begun: no empty folder of a wrong name stays */
    return status;
}

we_status we_pull(const char *name, const struct we_pull_options *options, struct we_pull_result *result,
                  struct we_error *error)
{
    static const struct we_pull_options defaults = {0};
    struct pull p = {.options = options ? options : &defaults, .result = result, .what = "fetching", .error = error};
    bool there = false;
    *result = (struct we_pull_result){0};
    p.http = (struct we_http){.endpoint = endpoint_of(p.options, &p.arena), .token = p.options->token};
    p.http.retries = p.options->retries ? p.options->retries : 5;
    p.http.go_on = go_on;
    p.http.note = note;
    p.http.context = &p;
    if (p.http.token && p.http.token[0] == '\0')
        p.http.token = NULL;
    we_status status = p.http.endpoint ? prepare(&p, name) : we_error_memory(error, name);
    if (status == WE_OK)
        status = look(&p, &there);
    if (status == WE_OK && there && !p.options->check && !p.options->force)
        status = found(&p);
    else if (status == WE_OK && p.options->offline && !p.options->check)
        status = offline(&p);
    else if (status == WE_OK)
        status = we_http_start(&p.http, error) == WE_OK ? pull_locked(&p) : WE_INVALID_ARGUMENT;
    if (status != WE_OK)
        we_pull_result_clear(result);
    we_arena_free(&p.arena);
    return status;
}

void we_pull_result_clear(struct we_pull_result *result)
{
    free(result->path);
    *result = (struct we_pull_result){0};
}
