/* The files of a model directory against what is known of them: the record of a download, or, in the Hub's own cache, the
 * names of the blobs, which are their hashes. */
#include "engine/validate.h"

#include "base/fs.h"
#include "store/record.h"

#include <sys/stat.h>
#include <unistd.h>

/* Bytes that are read without being asked to: a second or two. */
static const uint64_t READ_AT_ONCE = (uint64_t)1 << 30;

enum { MOST_TOLD = 10 };

struct known_file {
    const char *path; /* in the directory */
    struct we_identity identity;
};

/* Links of the Hub's cache to blobs that are named by their hash. */
static struct known_file *read_cache(struct we_validator *v, size_t *count)
{
    char **names;
    size_t num_names = 0;
    *count = 0;
    if (strstr(v->path, "/models--") == NULL || we_list_directory(v->path, &v->arena, &names, &num_names, NULL) != WE_OK)
        return NULL;
    struct known_file *files = we_arena_array(&v->arena, num_names + 1, sizeof *files);
    for (size_t i = 0; files && i < num_names; i++) {
        char link[4096];
        const char *path = we_path_join(&v->arena, v->path, names[i]);
        ssize_t n = path ? readlink(path, link, sizeof link - 1) : -1;
        link[n > 0 ? n : 0] = '\0';
        const char *hash = we_path_base(link);
        if (n <= 0 || !we_is_hash(hash, strlen(hash)))
            continue;
        struct known_file *file = &files[(*count)++];
        *file = (struct known_file){names[i], {.size = we_path_size(path)}};
        memcpy(file->identity.hex, hash, strlen(hash) + 1);
    }
    return files;
}

static struct known_file *read_record(struct we_validator *v, struct we_record *record, size_t *count)
{
    struct known_file *files = NULL;
    *count = 0;
    if (we_record_read(v->path, &v->arena, record, NULL) == WE_OK && record->name)
        files = we_arena_array(&v->arena, record->count + 1, sizeof *files);
    for (size_t i = 0; files && i < record->count; i++)
        files[(*count)++] = (struct known_file){record->files[i].path, record->files[i].identity};
    return files ? files : read_cache(v, count);
}

/* What is wrong with a file, or NULL. */
static const char *judge(struct we_validator *v, const struct known_file *file, bool read_it)
{
    struct we_error error;
    struct stat st;
    char found[24], expected[24];
    bool matches = true;
    const char *path = we_path_join(&v->arena, v->path, file->path);
    if (path == NULL || stat(path, &st) != 0)
        return "it is missing";
    if ((uint64_t)st.st_size != file->identity.size)
        return we_validator_text(v, "it has %s, and %s were fetched (%llu and %llu bytes)",
                                 we_bytes_text((uint64_t)st.st_size, found), we_bytes_text(file->identity.size, expected),
                                 (unsigned long long)st.st_size, (unsigned long long)file->identity.size);
    if (read_it && we_file_verify(path, &file->identity, NULL, NULL, &matches, &error) != WE_OK)
        return we_validator_text(v, "%s", error.message);
    return matches ? NULL
                   : we_validator_text(v, "its bytes have changed: its %s is another one", we_hash_name(&file->identity));
}

static void check_files(struct we_validator *v, const struct known_file *files, size_t count)
{
    uint64_t bytes = 0, passed_over = 0;
    size_t wrong = 0, unread = 0;
    char text[24];
    we_step(v, "checking the hashes");
    for (size_t i = 0; i < count && !v->stopped; i++) {
        bool read_it = v->options->full || bytes + files[i].identity.size <= READ_AT_ONCE;
        const char *what = we_is_broken(v, files[i].path) ? NULL : judge(v, &files[i], read_it);
        bytes += read_it ? files[i].identity.size : 0;
        passed_over += read_it ? 0 : files[i].identity.size;
        unread += !read_it;
        if (what == NULL && !we_is_broken(v, files[i].path))
            continue;
        if (what && wrong < MOST_TOLD)
            we_check(v, WE_CHECK_FAILED, "hashes", v->again, "%s/%s: %s", v->path, files[i].path, what);
        wrong++;
    }
    if (wrong > MOST_TOLD)
        we_check(v, WE_CHECK_FAILED, "hashes", v->again, "%s: %zu more files are not what was fetched", v->path,
                 wrong - MOST_TOLD);
    if (wrong == 0 && unread)
        we_check(
            v, WE_CHECK_PASSED, "hashes", NULL,
            "%zu of %zu files are byte for byte what was fetched; the others (%s) were compared by size: --full reads them",
            count - unread, count, we_bytes_text(passed_over, text));
    else if (wrong == 0)
        we_check(v, WE_CHECK_PASSED, "hashes", NULL, "all %zu files are byte for byte what was fetched", count);
}

void we_validate_record(struct we_validator *v)
{
    struct we_record record;
    size_t count;
    if (we_is_unfinished(v->path)) {
        we_check(v, WE_CHECK_FAILED, "hashes", v->again, "%s: its download did not end, or its record (%s) is broken", v->path,
                 WE_RECORD_NAME);
        return;
    }
    const struct known_file *files = read_record(v, &record, &count);
    if (count == 0)
        we_check(v, WE_CHECK_SKIPPED, "hashes", NULL, "no download left a record here, so there is nothing to compare with");
    else
        check_files(v, files, count);
}
