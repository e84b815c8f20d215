#include "text/chat_template.h"

#include "base/fs.h"
#include "text/chat_request.h"

#include <stdlib.h>

struct named_template {
    struct we_str name, source;
    struct we_jinja *jinja; /* NULL: it cannot be used, `error` says why */
    struct we_error error;
};

struct we_chat_template {
    struct we_arena arena;
    struct named_template *templates; /* (num_templates) */
    size_t num_templates;
    struct we_chat_variables tokens; /* bos_token and the like */
};

/* While a directory is read. */
struct opening {
    struct we_chat_template *result;
    const char *directory;
    struct we_error *error;
};

static we_status no_memory(struct we_error *error)
{
    return we_error_memory(error, "a chat template");
}

/* ---- templates ---- */

static we_status add_template(struct we_chat_template *result, struct we_str name, struct we_str source, struct we_error *error)
{
    enum { MOST = 64 };
    if (result->templates == NULL)
        result->templates = we_arena_array(&result->arena, MOST, sizeof *result->templates);
    if (result->templates == NULL)
        return no_memory(error);
    if (result->num_templates == MOST)
        return we_error_set(error, WE_UNSUPPORTED, "more than %d chat templates", MOST);
    result->templates[result->num_templates++] = (struct named_template){.name = name, .source = source};
    return WE_OK;
}

/* Parses the templates that requests can ask for. A broken one among several is an error only when it is asked for. */
static we_status parse_templates(struct we_chat_template *result, const char *where, struct we_error *error)
{
    for (size_t i = 0; i < result->num_templates; i++) {
        struct named_template *named = &result->templates[i];
        bool is_default = we_str_equal_c(named->name, "default");
        if (!is_default && !we_str_equal_c(named->name, "tool_use"))
            continue;
        we_status status = we_jinja_parse(named->source, where, &named->jinja, &named->error);
        if (status != WE_OK && is_default) {
            if (error)
                *error = named->error;
            return status;
        }
    }
    return WE_OK;
}

/* `chat_template` of a file: a text, an object of names, or a list of objects with "name" and "template". */
static we_status take_templates(struct opening *opening, const struct we_json *json, const char *path)
{
    bool list = json->kind == WE_JSON_ARRAY;
    if (json->kind == WE_JSON_STRING)
        return add_template(opening->result, we_str_c("default"), json->string, opening->error);
    if (!list && json->kind != WE_JSON_OBJECT)
        return we_error_set(opening->error, WE_INVALID_FORMAT, "%s: chat_template must be a text or a list of named ones, not %s", path,
                            we_json_kind_name(json->kind));
    for (size_t i = 0; i < json->count; i++) {
        const struct we_json *name = list ? we_json_get(&json->items[i], "name") : NULL;
        const struct we_json *source = list ? we_json_get(&json->items[i], "template") : &json->items[i];
        if ((list && (name == NULL || name->kind != WE_JSON_STRING)) || source == NULL || source->kind != WE_JSON_STRING)
            return we_error_set(opening->error, WE_INVALID_FORMAT,
                                "%s: each of several chat templates needs a \"name\" and a \"template\", both texts", path);
        we_status status = add_template(opening->result, list ? name->string : json->keys[i], source->string, opening->error);
        if (status != WE_OK)
            return status;
    }
    return WE_OK;
}

/* ---- files ---- */

static const char *path_of(struct opening *opening, const char *name)
{
    return we_path_join(&opening->result->arena, opening->directory, name);
}

/* The text of a file, in the arena. *found: whether there is one. */
static we_status read_text(struct opening *opening, const char *path, struct we_str *text, bool *found)
{
    enum { MOST = 64 << 20 };
    *found = path && we_path_exists(path);
    if (path == NULL)
        return no_memory(opening->error);
    if (!*found)
        return WE_OK;
    struct we_buf buf = {0};
    we_status status = we_file_read(path, MOST, &buf, opening->error);
    char *copy = status == WE_OK ? we_arena_copy(&opening->result->arena, we_buf_str(&buf)) : NULL;
    *text = we_str(copy, buf.length);
    we_buf_free(&buf);
    return status != WE_OK || copy ? status : no_memory(opening->error);
}

/* The tree of a JSON file; NULL if there is no such file. */
static we_status read_json(struct opening *opening, const char *path, struct we_json **tree)
{
    struct we_str text;
    bool found;
    *tree = NULL;
    we_status status = read_text(opening, path, &text, &found);
    if (status != WE_OK || !found)
        return status;
    return we_json_parse(text, path, &opening->result->arena, tree, opening->error);
}

/* chat_template.jinja, and additional_chat_templates/NAME.jinja. */
static we_status read_jinja_files(struct opening *opening)
{
    struct we_str text;
    bool found;
    we_status status = read_text(opening, path_of(opening, "chat_template.jinja"), &text, &found);
    if (status != WE_OK)
        return status;
    if (found && (status = add_template(opening->result, we_str_c("default"), text, opening->error)) != WE_OK)
        return status;
    const char *folder = path_of(opening, "additional_chat_templates"), *path;
    path = folder ? we_path_join(&opening->result->arena, folder, "tool_use.jinja") : NULL;
    status = read_text(opening, path, &text, &found);
    if (status == WE_OK && found)
        status = add_template(opening->result, we_str_c("tool_use"), text, opening->error);
    return status;
}

/* ---- special tokens ---- */

static bool is_standard(struct we_str name)
{
    static const char *const names[] = {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (we_str_equal_c(name, names[i]))
            return true;
    return false;
}

/* A token as a text, or as an object with "content". */
static bool token_text(const struct we_json *json, struct we_str *text)
{
    const struct we_json *content = json->kind == WE_JSON_OBJECT ? we_json_get(json, "content") : json;
    if (content == NULL || content->kind != WE_JSON_STRING)
        return false;
    *text = content->string;
    return true;
}

static bool set_token(struct we_chat_template *result, struct we_str name, const struct we_json *json)
{
    struct we_json value = {.kind = WE_JSON_STRING};
    return !token_text(json, &value.string) || we_chat_set(&result->arena, &result->tokens, name, value);
}

/* Keys that end in "_token", and those of extra_special_tokens where it names them. */
static bool take_tokens(struct we_chat_template *result, const struct we_json *config)
{
    if (config == NULL || config->kind != WE_JSON_OBJECT)
        return true;
    bool fine = true;
    for (size_t i = 0; fine && i < config->count; i++)
        if (is_standard(config->keys[i]) || we_str_ends_with(config->keys[i], we_str_c("_token")))
            fine = set_token(result, config->keys[i], &config->items[i]);
    static const char *const groups[] = {"extra_special_tokens", "model_specific_special_tokens"};
    for (size_t group = 0; group < 2; group++) {
        const struct we_json *extra = we_json_get(config, groups[group]);
        for (size_t i = 0; fine && extra && extra->kind == WE_JSON_OBJECT && i < extra->count; i++)
            fine = set_token(result, extra->keys[i], &extra->items[i]);
    }
    return fine;
}

/* ---- opening ---- */

static we_status read_tokens(struct opening *opening, const struct we_json *config)
{
    struct we_json *map = NULL;
    we_status status = WE_OK;
    /* A config that lists its added tokens is complete; an older one goes together with special_tokens_map.json. */
    if (we_json_get(config, "added_tokens_decoder") == NULL)
        status = read_json(opening, path_of(opening, "special_tokens_map.json"), &map);
    if (status == WE_OK && (!take_tokens(opening->result, config) || !take_tokens(opening->result, map)))
        status = no_memory(opening->error);
    return status;
}

static we_status read_directory(struct opening *opening)
{
    struct we_chat_template *result = opening->result;
    const char *config_path = path_of(opening, "tokenizer_config.json"), *json_path = path_of(opening, "chat_template.json");
    struct we_json *config, *json = NULL;
    const char *where = "chat_template.jinja";
    we_status status = read_json(opening, config_path, &config);
    if (status == WE_OK)
        status = read_jinja_files(opening);
    if (status == WE_OK && result->num_templates == 0 && (status = read_json(opening, json_path, &json)) == WE_OK && json) {
        const struct we_json *inner = json->kind == WE_JSON_OBJECT ? we_json_get(json, "chat_template") : json;
        where = "chat_template.json";
        status = take_templates(opening, inner ? inner : json, json_path);
    }
    const struct we_json *configured = we_json_get(config, "chat_template");
    if (status == WE_OK && result->num_templates == 0 && configured && configured->kind != WE_JSON_NULL) {
        where = "tokenizer_config.json: chat_template";
        status = take_templates(opening, configured, config_path);
    }
    if (status == WE_OK && result->num_templates == 0)
        return we_error_set(opening->error, WE_NOT_FOUND,
                            "%s: there is no chat template (no chat_template.jinja, no chat_template.json, and no chat_template in "
                            "tokenizer_config.json)", opening->directory);
    if (status == WE_OK)
        status = read_tokens(opening, config);
    if (status == WE_OK && (where = path_of(opening, where)) == NULL)
        status = no_memory(opening->error);
    return status == WE_OK ? parse_templates(result, where, opening->error) : status;
}

we_status we_chat_template_open(const char *directory, struct we_chat_template **chat_template, struct we_error *error)
{
    *chat_template = NULL;
    struct opening opening = {.result = calloc(1, sizeof *opening.result), .directory = directory, .error = error};
    if (opening.result == NULL)
        return no_memory(error);
    we_status status = read_directory(&opening);
    if (status != WE_OK)
        we_chat_template_close(opening.result);
    else
        *chat_template = opening.result;
    return status;
}

we_status we_chat_template_parse(struct we_str source, const char *name, const char *directory,
                                 struct we_chat_template **chat_template, struct we_error *error)
{
    *chat_template = NULL;
    struct opening opening = {.result = calloc(1, sizeof *opening.result), .directory = directory, .error = error};
    if (opening.result == NULL)
        return no_memory(error);
    char *copy = we_arena_copy(&opening.result->arena, source);
    we_status status =
        copy ? add_template(opening.result, we_str_c("default"), we_str(copy, source.length), error) : no_memory(error);
    struct we_json *config;
    if (status == WE_OK && directory &&
        (status = read_json(&opening, path_of(&opening, "tokenizer_config.json"), &config)) == WE_OK)
        status = read_tokens(&opening, config);
    if (status == WE_OK)
        status = parse_templates(opening.result, name, error);
    if (status != WE_OK)
        we_chat_template_close(opening.result);
    else
        *chat_template = opening.result;
    return status;
}

void we_chat_template_close(struct we_chat_template *chat_template)
{
    if (chat_template == NULL)
        return;
    for (size_t i = 0; i < chat_template->num_templates; i++)
        we_jinja_free(chat_template->templates[i].jinja);
    we_arena_free(&chat_template->arena);
    free(chat_template);
}

/* ---- rendering ---- */

static const struct named_template *find_template(const struct we_chat_template *chat_template, const char *name)
{
    for (size_t i = chat_template->num_templates; i-- > 0;) /* of two with one name the later one counts */
        if (we_str_equal_c(chat_template->templates[i].name, name))
            return &chat_template->templates[i];
    return NULL;
}

static we_status choose(const struct we_chat_template *chat_template, const struct we_chat_request *request,
                        const struct named_template **chosen, struct we_error *error)
{
    *chosen = request->has_tools ? find_template(chat_template, "tool_use") : NULL;
    if (*chosen == NULL)
        *chosen = find_template(chat_template, "default");
    if (*chosen == NULL)
        return we_error_set(error, WE_UNSUPPORTED, "the model has several chat templates, and none of them is the default");
    if ((*chosen)->jinja == NULL) {
        if (error)
            *error = (*chosen)->error;
        return (*chosen)->error.status;
    }
    for (size_t i = 0; i < request->num_fields; i++)
        if (we_str_find((*chosen)->source, request->fields[i], 0) != SIZE_MAX)
            return WE_OK;
    if (!request->continues)
        return WE_OK;
    return we_error_set(error, WE_INVALID_ARGUMENT,
                        "chat request: continue_final_message is set to \"%.*s\", which the chat template does not read",
                        WE_STR_ARG(request->fields[0]));
}

static we_status render(const struct we_chat_template *chat_template, const struct we_chat_request *request, size_t request_length,
                        struct we_buf *out, struct we_error *error)
{
    const struct named_template *named;
    we_status status = choose(chat_template, request, &named, error);
    if (status != WE_OK)
        return status;
    const struct we_chat_variables *variables = &request->variables;
    struct we_json object = {.kind = WE_JSON_OBJECT, .items = variables->values, .keys = variables->names, .count = variables->count};
    /* A long conversation may take more than the defaults, in proportion. */
    struct we_jinja_limits limits = {.memory = WE_JINJA_MEMORY + WE_JINJA_MEMORY_PER_BYTE * request_length,
                                     .steps = WE_JINJA_STEPS + WE_JINJA_STEPS_PER_BYTE * (uint64_t)request_length};
    size_t start = out->length;
    status = we_jinja_render(named->jinja, &object, &limits, out, error);
    if (status == WE_OK && (status = we_chat_request_cut(request, out, start, error)) != WE_OK) {
        out->length = start;
        if (out->data) /* the prompt may be empty */
            out->data[start] = '\0';
    }
    return status;
}

we_status we_chat_template_render(const struct we_chat_template *chat_template, struct we_str request, struct we_buf *out,
                                  struct we_error *error)
{
    struct we_arena arena = {0};
    struct we_chat_request prepared = {0};
    bool fine = true;
    for (size_t i = 0; fine && i < chat_template->tokens.count; i++)
        fine = we_chat_set(&arena, &prepared.variables, chat_template->tokens.names[i], chat_template->tokens.values[i]);
    we_status status = fine ? we_chat_request_read(request, &arena, &prepared, error) : no_memory(error);
    if (status == WE_OK)
        status = render(chat_template, &prepared, request.length, out, error);
    we_arena_free(&arena);
    return status;
}
