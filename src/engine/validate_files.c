/* The files of a model directory, each by itself: it is there, it can be read, and it is what its name says. */
#include "engine/validate.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LARGEST_JSON = 256 << 20 };

/* What is read of a directory, beside weights and templates. */
static const char *const json_files[] = {"config.json",       "generation_config.json", "model.safetensors.index.json",
                                         "tokenizer.json",    "tokenizer_config.json",  "special_tokens_map.json",
                                         "chat_template.json"};

static bool is_json(const char *name)
{
    for (size_t i = 0; i < sizeof json_files / sizeof *json_files; i++)
        if (strcmp(name, json_files[i]) == 0)
            return true;
    return false;
}

static bool is_read(const char *name)
{
    struct we_str s = we_str_c(name);
    return is_json(name) || we_str_ends_with(s, we_str_c(".safetensors")) || we_str_ends_with(s, we_str_c(".jinja"));
}

static void broken(struct we_validator *v, const char *name, const char *hint, const char *path, const char *what)
{
    we_check(v, WE_CHECK_FAILED, "files", hint, "%s: %s", path, what);
    we_mark_broken(v, name);
}

static const char *permit(struct we_validator *v, const char *path)
{
    return we_validator_text(v, "chmod u+r%s %s", we_path_is_directory(path) ? "x" : "", we_shell_word(v, path));
}

/* The first bytes of a file that git keeps elsewhere. */
static bool is_lfs_pointer(int fd)
{
    static const char mark[] = "version https://git-lfs";
    char begin[sizeof mark - 1];
    return pread(fd, begin, sizeof begin, 0) == (ssize_t)sizeof begin && memcmp(begin, mark, sizeof begin) == 0;
}

static void check_json(struct we_validator *v, const char *name, const char *path)
{
    struct we_buf text = {0};
    struct we_error error;
    struct we_json_reader reader;
    we_status status = we_file_read(path, LARGEST_JSON, &text, &error);
    if (status == WE_OK) {
        we_json_reader_init(&reader, we_buf_str(&text), path, &error);
        if (we_json_peek(&reader) != WE_JSON_OBJECT && reader.status == WE_OK && strcmp(name, "chat_template.json") != 0)
            we_json_fail(&reader, "an object was expected");
        we_json_skip(&reader);
        status = we_json_finish(&reader);
        we_json_reader_free(&reader);
    }
    we_buf_free(&text);
    if (status == WE_OK)
        return;
    we_check_error(v, WE_CHECK_FAILED, "files", v->again, &error);
    we_mark_broken(v, name);
}

/* Adds the size of a file that can be read. */
static void check_file(struct we_validator *v, const char *name, uint64_t *bytes)
{
    const char *path = we_path_join(&v->arena, v->path, name);
    struct stat st;
    if (path == NULL) {
        v->out_of_memory = true;
        return;
    }
    if (stat(path, &st) != 0) {
        broken(v, name, v->again, path, errno == ENOENT ? "a link to a file that is not there" : strerror(errno));
        return;
    }
    if (!is_read(name)) {
        *bytes += S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
        return;
    }
    if (!S_ISREG(st.st_mode)) {
        broken(v, name, v->again, path, S_ISDIR(st.st_mode) ? "a directory, where a file was expected" : "not a regular file");
        return;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        struct we_error error;
        we_error_errno(&error, WE_IO_ERROR, errno, "%s cannot be read", path);
        we_check_error(v, WE_CHECK_FAILED, "files", errno == EACCES ? permit(v, path) : v->again, &error);
        we_mark_broken(v, name);
        return;
    }
    if (st.st_size == 0)
        broken(v, name, v->again, path, "the file is empty; its download or copy was cut short");
    else if (is_lfs_pointer(fd))
        broken(v, name, v->known_name ? v->again : we_validator_text(v, "git -C %s lfs pull", we_shell_word(v, v->path)), path,
               "a Git LFS pointer and not the file itself");
    else if (is_json(name))
        check_json(v, name, path);
    close(fd);
    *bytes += (uint64_t)st.st_size;
}

/* What stands there in place of a model. */
static void no_config(struct we_validator *v, char *const *names, size_t count)
{
    const char *hint = v->again;
    const char *gguf = NULL;
    for (size_t i = 0; i < count; i++)
        if (we_str_ends_with(we_str_c(names[i]), we_str_c(".gguf")))
            gguf = names[i];
    if (gguf)
        hint =
            we_validator_text(v, "whisperengine convert %s %s", we_shell_word(v, we_validator_text(v, "%s/%s", v->path, gguf)),
                              we_shell_word(v, we_validator_text(v, "%s-mlx", v->path)));
    we_check(v, WE_CHECK_FAILED, "files", hint, "%s/config.json is missing: %s", v->path,
             gguf ? "the directory holds a GGUF file, which has to be converted first"
                  : "a model directory holds config.json, *.safetensors and tokenizer.json");
    we_mark_broken(v, "config.json");
}

bool we_validate_files(struct we_validator *v)
{
    struct we_error error;
    char **names, bytes_text[24];
    size_t count;
    uint64_t bytes = 0;
    v->group = "files";
    if (we_list_directory(v->path, &v->arena, &names, &count, &error) != WE_OK) {
        we_check_error(v, WE_CHECK_FAILED, "files", permit(v, v->path), &error);
        return false;
    }
    v->listed = true;
    bool has_config = false;
    for (size_t i = 0; i < count && !v->stopped; i++) {
        has_config |= strcmp(names[i], "config.json") == 0;
        if (names[i][0] != '.')
            check_file(v, names[i], &bytes);
    }
    if (!has_config)
        no_config(v, names, count);
    else if (v->broken == NULL)
        we_check(v, WE_CHECK_PASSED, "files", NULL, "%s: %zu files, %s, all can be read", v->path, count,
                 we_bytes_text(bytes, bytes_text));
    return v->broken == NULL;
}
