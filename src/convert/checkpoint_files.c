#include "convert/directory.h"

#include "base/fs.h"

#include <errno.h>
#include <sys/stat.h>

static const char templates[] = "additional_chat_templates";

static bool is_wanted(const char *name)
{
    static const char *const ends[] = {".json", ".jsonl", ".jinja", ".txt", ".model", ".tiktoken", ".py"};
    static const char *const begins[] = {"LICENSE", "LICENCE", "NOTICE", "USE_POLICY"};
    struct we_str s = we_str_c(name);
    if (name[0] == '.' || strcmp(name, "config.json") == 0 || we_str_ends_with(s, we_str_c(".index.json")))
        return false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (we_str_ends_with(s, we_str_c(ends[i])))
            return true;
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (we_str_starts_with(s, we_str_c(begins[i])))
            return true;
    return false;
}

static we_status copy_file(const char *from, const char *to, struct we_error *error)
{
    struct we_file_map map;
    struct we_file_writer writer;
    we_status status = we_file_map(from, &map, error);
    if (status != WE_OK)
        return status;
    status = we_file_writer_begin(&writer, to, error);
    if (status == WE_OK)
        status = we_file_writer_write(&writer, map.data, map.size, error);
    if (status == WE_OK)
        status = we_file_writer_commit(&writer, error);
    we_file_writer_abort(&writer);
    we_file_unmap(&map);
    return status;
}

static we_status copy_folder(const char *source, const char *directory, bool (*wanted)(const char *name),
                             struct we_arena *arena, struct we_error *error)
{
    char **names;
    size_t count;
    we_status status = we_list_directory(source, arena, &names, &count, error);
    for (size_t i = 0; i < count && status == WE_OK; i++) {
        char *from = we_path_join(arena, source, names[i]), *to = we_path_join(arena, directory, names[i]);
        if (from == NULL || to == NULL)
            status = we_error_memory(error, names[i]);
        else if (wanted(names[i]) && !we_path_is_directory(from))
            status = copy_file(from, to, error);
    }
    return status;
}

static bool is_template(const char *name)
{
    return name[0] != '.' && we_str_ends_with(we_str_c(name), we_str_c(".jinja"));
}

we_status we_checkpoint_copy_files(const char *source, const char *directory, struct we_error *error)
{
    struct we_arena arena = {0};
    we_status status = copy_folder(source, directory, is_wanted, &arena, error);
    char *from = we_path_join(&arena, source, templates), *to = we_path_join(&arena, directory, templates);
    if (status == WE_OK && (from == NULL || to == NULL))
        status = we_error_memory(error, templates);
    if (status == WE_OK && we_path_is_directory(from)) {
        if (mkdir(to, 0777) != 0)
            status = we_error_errno(error, WE_IO_ERROR, errno, "%s: the folder cannot be made", to);
        if (status == WE_OK)
            status = copy_folder(from, to, is_template, &arena, error);
    }
    we_arena_free(&arena);
    return status;
}
