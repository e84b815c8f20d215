/* Validation: the order of the checks, and how they are told. */
#include "engine/validate.h"

#include "base/fs.h"
#include "store/places.h"
#include "store/record.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- telling ---- */

static void tell(struct we_validator *v, enum we_check_mark mark, const char *name, const char *hint, const char *text)
{
    struct we_check check = {v->group, name, mark, text, hint};
    if (!v->stopped && !v->out_of_memory && v->options->on_check) /* half a text is worse than none */
        v->stopped = !v->options->on_check(v->options->context, &check);
}

void we_check(struct we_validator *v, enum we_check_mark mark, const char *name, const char *hint, const char *format, ...)
{
    char text[1400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    text[sizeof text - 1] = '\0';
    text[we_utf8_valid_prefix(we_str_c(text))] = '\0'; /* it may have been cut */
    tell(v, mark, name, hint, text);
}

void we_check_error(struct we_validator *v, enum we_check_mark mark, const char *name, const char *hint,
                    const struct we_error *error)
{
    tell(v, mark, name, hint, error->message);
    v->out_of_memory |= error->status == WE_OUT_OF_MEMORY && strncmp(error->message, "out of memory", 13) == 0;
}

void we_step(struct we_validator *v, const char *what)
{
    if (!v->stopped && v->options->on_step)
        v->options->on_step(v->options->context, what);
}

const char *we_validator_text(struct we_validator *v, const char *format, ...)
{
    struct we_buf buf = {0};
    va_list args;
    char text[1024];
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n >= (int)sizeof text && we_buf_reserve(&buf, (size_t)n + 1)) {
        va_start(args, format);
        vsnprintf(buf.data, (size_t)n + 1, format, args);
        va_end(args);
        buf.length = (size_t)n;
    } else {
        we_buf_append_c(&buf, text);
    }
    const char *copy = buf.failed ? NULL : we_arena_copy(&v->arena, we_buf_str(&buf));
    v->out_of_memory |= copy == NULL;
    we_buf_free(&buf);
    return copy ? copy : "";
}

const char *we_shell_word(struct we_validator *v, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/+:@%,=~";
    if (text[0] && text[0] != '~' && text[strspn(text, plain)] == '\0')
        return text;
    struct we_buf buf = {0};
    we_buf_append_byte(&buf, '\'');
    for (const char *p = text; *p; p++)
        we_buf_append_c(&buf, *p == '\'' ? "'\\''" : (const char[]){*p, '\0'});
    we_buf_append_byte(&buf, '\'');
    const char *word = buf.failed ? NULL : we_arena_copy(&v->arena, we_buf_str(&buf));
    v->out_of_memory |= word == NULL;
    we_buf_free(&buf);
    return word ? word : "";
}

void we_mark_broken(struct we_validator *v, const char *name)
{
    struct we_broken_file *file = we_is_broken(v, name) ? NULL : we_arena_alloc(&v->arena, sizeof *file);
    if (file == NULL)
        return;
    *file = (struct we_broken_file){we_validator_text(v, "%s", name), v->broken};
    v->broken = file;
}

bool we_is_broken(const struct we_validator *v, const char *name)
{
    for (const struct we_broken_file *file = v->broken; file; file = file->next)
        if (strcmp(file->name, name) == 0)
            return true;
    return false;
}

const char *we_validator_quote(struct we_validator *v, struct we_str text)
{
    enum { MOST = 60 };
    const bool cut = text.length > MOST;
    text = we_str(text.data, cut ? MOST : text.length);
    text.length = we_utf8_valid_prefix(text);
    struct we_buf line = {0};
    for (size_t i = 0; i < text.length; i++)
        we_buf_append_byte(&line, (unsigned char)text.data[i] < ' ' ? ' ' : text.data[i]);
    const char *result = we_validator_text(v, "\"%s\"%s", line.data && !line.failed ? line.data : "", cut ? "..." : "");
    we_buf_free(&line);
    return result;
}

/* ---- which model it is ---- */

/* "ORG/NAME" of .../models--ORG--NAME/snapshots/COMMIT. */
static const char *name_in_hub_cache(struct we_validator *v, const char *path)
{
    const char *from = strstr(path, "/models--"), *to = from ? strstr(from, "/snapshots/") : NULL;
    if (to == NULL)
        return NULL;
    from += strlen("/models--");
    struct we_str rest = we_str(from, (size_t)(to - from));
    size_t dashes = we_str_find(rest, we_str_c("--"), 0);
    if (dashes == SIZE_MAX)
        return NULL;
    return we_validator_text(v, "%.*s/%.*s", (int)dashes, rest.data, (int)(rest.length - dashes - 2), rest.data + dashes + 2);
}

/* The part of a path behind MODELS_DIR/mlx, if it is ORG/NAME. */
static const char *name_in_models(struct we_validator *v, const char *path)
{
    struct we_places places;
    if (we_places_init(&places, v->model.models_dir, &v->arena, NULL) != WE_OK)
        return NULL;
    char *root = realpath(places.mlx, NULL), *real = realpath(path, NULL);
    const char *name = NULL;
    size_t length = root ? strlen(root) : 0;
    if (root && real && strncmp(real, root, length) == 0 && real[length] == '/' && strchr(real + length + 1, '/'))
        name = we_validator_text(v, "%s", real + length + 1);
    free(root);
    free(real);
    return name;
}

/* ORG/NAME of the Hub that a directory was cloned from with git. */
static const char *name_in_git(struct we_validator *v)
{
    static const char host[] = "huggingface.co/";
    struct we_buf text = {.limit = 1 << 16};
    const char *path = we_path_join(&v->arena, v->path, ".git/config"), *name = NULL;
    if (path && we_file_read(path, text.limit, &text, NULL) == WE_OK && text.length) {
        const char *at = strstr(text.data, host);
        const char *from = at ? at + sizeof host - 1 : "", *slash = strchr(from, '/');
        const size_t length = strcspn(from, " \t\r\n\"'");
        if (slash && slash > from && slash < from + length && (size_t)(slash + 1 - from) < length &&
            memchr(slash + 1, '/', length - (size_t)(slash + 1 - from)) == NULL)
            name = we_validator_text(v, "%.*s", (int)length, from);
    }
    we_buf_free(&text);
    return name;
}

/* The name under which the Hub has the model, and the command that repairs it. */
static void find_origin(struct we_validator *v)
{
    struct we_record record;
    const char *name = NULL, *folder = "";
    if (we_record_read(v->path, &v->arena, &record, NULL) == WE_OK && record.name)
        name = record.name;
    const char *kept = name_in_models(v, v->path);
    if (kept == NULL)
        kept = name_in_hub_cache(v, v->path);
    if (name == NULL)
        name = kept;
    v->known_name = name;
    if (name == NULL)
        name = name_in_git(v);
    if (v->model.models_dir)
        folder = we_validator_text(v, " --models-dir %s", we_shell_word(v, v->model.models_dir));
    if (name == NULL) /* what can be used in its place */
        v->again = we_validator_text(v, "whisperengine list%s", folder);
    else /* a copy elsewhere is not what pull would repair */
        v->again = we_validator_text(v, "whisperengine pull %s%s%s", we_shell_word(v, name), kept ? " --check" : "", folder);
}

/* A folder of that name where models are kept, also one that is no model. */
static const char *kept_folder(struct we_validator *v, const char *name)
{
    struct we_places places;
    const char *bare = strncmp(name, "mlx://", 6) == 0 ? name + 6 : name, *slash = strchr(bare, '/');
    if (slash == NULL || slash == bare || strchr(slash + 1, '/') || strstr(bare, "..") ||
        we_places_init(&places, v->model.models_dir, &v->arena, NULL) != WE_OK)
        return NULL;
    const char *path = we_path_join(&v->arena, places.mlx, bare);
    return path && we_path_is_directory(path) ? path : NULL;
}

static bool find(struct we_validator *v, const char *name)
{
    struct we_error error;
    char *path = NULL;
    v->group = "files";
    const char *plain = name && strncmp(name, "mlx:///", 7) == 0 ? name + 6 : name;
    if (we_store_find(v->model.models_dir, name, &path, &error) == WE_OK) {
        v->path = we_validator_text(v, "%s", path);
    } else if (plain && we_path_is_directory(plain)) { /* no model, or not all of one: what it lacks is to be told */
        struct we_str trimmed = we_str_c(plain);
        while (trimmed.length > 1 && trimmed.data[trimmed.length - 1] == '/')
            trimmed.length--;
        v->path = we_arena_copy(&v->arena, trimmed);
    } else if (name) {
        v->path = kept_folder(v, name);
    }
    free(path);
    if (v->path)
        find_origin(v);
    else
        we_check_error(v, WE_CHECK_FAILED, "model", "whisperengine list", &error);
    return v->path != NULL;
}

/* ---- the whole ---- */

static struct we_validator begin(const struct we_validate_options *options)
{
    struct we_validator v = {.options = options, .turn_end = UINT32_MAX};
    we_model_options_init(&v.model);
    if (options->model)
        v.model = *options->model;
    return v;
}

static we_status end(struct we_validator *v, struct we_error *error)
{
    we_model_close(v->opened);
    we_chat_template_close(v->chat_template);
    we_tokenizer_close(v->tokenizer);
    we_safetensors_close(v->weights);
    we_arena_free(&v->arena);
    if (v->stopped)
        return we_error_set(error, WE_CANCELLED, "stopped");
    return v->out_of_memory ? we_error_memory(error, "the checks") : WE_OK;
}

we_status we_validate_model(const char *name, const struct we_validate_options *options, struct we_error *error)
{
    struct we_validator v = begin(options);
    bool sound = find(&v, name);
    if (sound) {
        we_step(&v, "looking at the files");
        sound = we_validate_files(&v);
    }
    if (v.listed) {
        we_validate_record(&v);
        sound = we_validate_weights(&v) && sound;
        v.text_sound = we_validate_text(&v);
        sound = v.described && we_validate_memory(&v) && sound;
    }
    if (sound && !v.stopped && we_validate_generation(&v)) {
        we_validate_integration(&v);
        if (!options->no_speed)
            we_validate_speed(&v);
    }
    return end(&v, error);
}
