#include "config/settings.h"

#include "base/fs.h"
#include "config/env.h"
#include "config/parse.h"
#include "config/problems.h"
#include "config/profiles.h"

#include <math.h>
#include <stdlib.h>

struct value {
    const char *text; /* NULL: this layer has none */
    const char *origin, *variable;
    uint32_t line;
};

struct we_settings {
    struct we_env env; /* path NULL: there is no file */
    struct we_arena arena;
    struct value flag[WE_NUM_SETTINGS], environment[WE_NUM_SETTINGS], file[WE_NUM_SETTINGS];
    bool asks_endpoint; /* LLM_CHAT_API_URL is an http(s) address, so LLM_CHAT_MODEL is a name there */
    struct we_sampling of_model;
    bool has_model;
};

/* ---- the layers, read once ---- */

static const char *environment_lookup(void *context, const char *name)
{
    (void)context;
    return getenv(name);
}

/* What one layer says of a variable: an empty one counts as not set. */
static const char *lookup(const struct we_settings *s, bool file, const char *name, const struct we_env_entry **entry)
{
    *entry = file ? we_env_get(&s->env, name) : NULL;
    const char *text = *entry ? (*entry)->value : file ? NULL : getenv(name);
    return text && text[0] ? text : NULL;
}

/* What LLM_CHAT_API_URL says of the model, or NULL: "mlx://" alone leaves that to the other names. */
static const char *model_of_url(const char *text)
{
    if (strncmp(text, "mlx://", 6) == 0)
        text += 6;
    return text[0] ? text : NULL;
}

/* The variable that decides in this layer, or NULL. Where the chat goes to an http address, LLM_CHAT_MODEL names a model
 * there. */
static const char *find_variable(const struct we_settings *s, const struct we_setting *row, bool file, const char **text,
                                 const struct we_env_entry **entry)
{
    for (size_t i = 0; i < 4 && row->environment[i]; i++) {
        bool names_remote = strcmp(row->environment[i], "LLM_CHAT_MODEL") == 0;
        if (names_remote && s->asks_endpoint != (row->id == WE_SETTING_REMOTE_MODEL))
            continue;
        *text = lookup(s, file, row->environment[i], entry);
        if (*text && row->id == WE_SETTING_MODEL && i == 0)
            *text = model_of_url(*text);
        if (*text)
            return row->environment[i];
    }
    return NULL;
}

/* "~/x" is below HOME; another relative path in .env is meant from the folder of that file. */
static const char *expand_path(struct we_settings *s, const struct we_setting *row, bool file, const char *text)
{
    const char *home = getenv("HOME");
    if (text[0] == '~' && text[1] == '/' && home && home[0])
        return we_path_join(&s->arena, home, text + 2);
    const char *slash = s->env.path ? strrchr(s->env.path, '/') : NULL;
    if (!file || row->type != WE_SETTING_PATH || slash == NULL || text[0] == '/')
        return text;
    char *folder = we_arena_copy(&s->arena, we_str(s->env.path, (size_t)(slash - s->env.path) + 1));
    return folder ? we_path_join(&s->arena, folder, text) : NULL;
}

/* A choice as the table writes it; what is none stays as it is. */
static const char *canonical(struct we_settings *s, const struct we_setting *row, const char *text)
{
    struct we_parsed parsed;
    if (row->type != WE_SETTING_CHOICE || !we_setting_parse(row, text, &parsed))
        return text;
    const char *choice = row->choices;
    for (uint64_t i = 0; i < parsed.integer; i++)
        choice = strchr(choice, '|') + 1;
    return we_arena_copy(&s->arena, we_str(choice, strcspn(choice, "|")));
}

static bool read_layer(struct we_settings *s, const struct we_setting *row, bool file, struct value *value)
{
    const struct we_env_entry *entry;
    const char *text, *name = find_variable(s, row, file, &text, &entry);
    if (name == NULL)
        return true;
    if (row->type == WE_SETTING_PATH || row->id == WE_SETTING_MODEL)
        text = expand_path(s, row, file, text);
    text = text ? canonical(s, row, text) : NULL;
    value->text = text ? we_arena_copy(&s->arena, we_str_c(text)) : NULL;
    value->variable = name;
    value->line = file ? entry->line : 0;
    struct we_buf origin = {0};
    if (file)
        we_buf_printf(&origin, "%s:%u: %s", s->env.path, entry->line, name);
    else
        we_buf_append_c(&origin, name);
    value->origin = origin.failed ? NULL : we_arena_copy(&s->arena, we_buf_str(&origin));
    we_buf_free(&origin);
    return value->text && value->origin;
}

/* The one in the XDG folder, whether it is there or not; NULL: there is no such folder. */
static const char *user_file(struct we_arena *arena)
{
    const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (base && base[0] == '/')
        return we_path_join(arena, base, "whisperengine/.env");
    return home && home[0] ? we_path_join(arena, home, ".config/whisperengine/.env") : NULL;
}

/* The file to read when none was named: ./.env, else the one in the XDG folder; NULL if there is neither. */
static const char *default_file(struct we_arena *arena)
{
    if (we_path_exists(".env") && !we_path_is_directory(".env"))
        return ".env";
    const char *path = user_file(arena);
    return path && we_path_exists(path) && !we_path_is_directory(path) ? path : NULL;
}

/* problem NULL: a file that cannot be read is an error. */
static we_status open_settings(const char *config_file, struct we_error *problem, struct we_settings **settings,
                               struct we_error *error)
{
    *settings = NULL;
    struct we_settings *s = calloc(1, sizeof *s);
    if (s == NULL)
        return we_error_memory(error, "the settings");
    we_status status = WE_OK;
    const char *path = config_file ? config_file : default_file(&s->arena);
    if (path)
        status = we_env_read(path, environment_lookup, NULL, &s->env, problem ? problem : error);
    if (status != WE_OK && problem)
        status = WE_OK; /* then *env is empty */
    for (size_t i = 0; status == WE_OK && problem == NULL && i < s->env.num_problems; i++)
        if (we_is_setting_variable(s->env.problems[i].name))
            status = we_env_problem_error(&s->env, &s->env.problems[i], error);
    const struct we_env_entry *entry;
    const char *url = lookup(s, false, "LLM_CHAT_API_URL", &entry);
    if (url == NULL)
        url = lookup(s, true, "LLM_CHAT_API_URL", &entry);
    s->asks_endpoint = url && we_is_address(url);
    for (size_t i = 0; status == WE_OK && i < WE_NUM_SETTINGS; i++) {
        const struct we_setting *row = we_setting_row((enum we_setting_id)i);
        if (!read_layer(s, row, false, &s->environment[i]) || !read_layer(s, row, true, &s->file[i]))
            status = we_error_memory(error, "the settings");
    }
    if (status != WE_OK) {
        we_settings_free(s);
        return status;
    }
    *settings = s;
    return WE_OK;
}

we_status we_settings_open(const char *config_file, struct we_settings **settings, struct we_error *error)
{
    return open_settings(config_file, NULL, settings, error);
}

we_status we_settings_open_anyway(const char *config_file, struct we_settings **settings, struct we_error *problem,
                                  struct we_error *error)
{
    *problem = (struct we_error){.status = WE_OK};
    return open_settings(config_file, problem, settings, error);
}

void we_settings_free(struct we_settings *s)
{
    if (s == NULL)
        return;
    we_env_free(&s->env);
    we_arena_free(&s->arena);
    free(s);
}

const struct we_env *we_settings_env(const struct we_settings *s)
{
    return &s->env;
}

const char *we_settings_file(const struct we_settings *s)
{
    return s->env.path;
}

static we_status wrong_value(const struct we_setting *row, const struct value *value, struct we_error *error)
{
    char expected[128];
    we_setting_expected(row, expected, sizeof expected);
    return we_error_set(error, WE_INVALID_ARGUMENT, "%s is \"%.200s\", but %s was expected", value->origin, value->text,
                        expected);
}

we_status we_settings_set(struct we_settings *s, enum we_setting_id id, const char *text, struct we_error *error)
{
    const struct we_setting *row = we_setting_row(id);
    struct value value = {.text = text, .origin = row->flag ? row->flag : row->key};
    struct we_parsed parsed;
    if (!we_setting_parse(row, text, &parsed))
        return wrong_value(row, &value, error);
    if (row->type == WE_SETTING_PATH || id == WE_SETTING_MODEL)
        text = expand_path(s, row, false, text);
    text = text ? canonical(s, row, text) : NULL;
    value.text = text ? we_arena_copy(&s->arena, we_str_c(text)) : NULL;
    if (value.text == NULL)
        return we_error_memory(error, "the settings");
    s->flag[id] = value;
    return WE_OK;
}

/* ---- effective values ---- */

/* The strongest layer that has a value; NULL: none of the three. */
static const struct value *stated(const struct we_settings *s, enum we_setting_id id, enum we_source *source)
{
    const struct value *layers[] = {&s->flag[id], &s->environment[id], &s->file[id]};
    const enum we_source sources[] = {WE_SOURCE_FLAG, WE_SOURCE_ENVIRONMENT, WE_SOURCE_FILE};
    for (size_t i = 0; i < 3; i++)
        if (layers[i]->text) {
            *source = sources[i];
            return layers[i];
        }
    return NULL;
}

we_status we_settings_check_one(const struct we_settings *s, enum we_setting_id id, struct we_error *error)
{
    const struct we_setting *row = we_setting_row(id);
    enum we_source source;
    const struct value *value = stated(s, id, &source);
    struct we_parsed parsed;
    return value && !we_setting_parse(row, value->text, &parsed) ? wrong_value(row, value, error) : WE_OK;
}

we_status we_settings_check(const struct we_settings *s, struct we_error *error)
{
    we_status status = WE_OK;
    for (size_t i = 0; status == WE_OK && i < WE_NUM_SETTINGS; i++)
        if (we_setting_row((enum we_setting_id)i)->group != WE_GROUP_INTERFACE)
            status = we_settings_check_one(s, (enum we_setting_id)i, error);
    return status;
}

static bool stated_value(const struct we_settings *s, enum we_setting_id id, struct we_parsed *parsed)
{
    enum we_source source;
    const struct value *value = stated(s, id, &source);
    return value && we_setting_parse(we_setting_row(id), value->text, parsed);
}

bool we_settings_is_set(const struct we_settings *s, enum we_setting_id id)
{
    struct we_parsed parsed;
    return stated_value(s, id, &parsed);
}

/* The field of a setting in we_sampling, as a number; NaN if it has none. */
static double sampling_value(const struct we_sampling *m, enum we_setting_id id)
{
    switch (id) {
    case WE_SETTING_TEMPERATURE:
        return (double)m->temperature;
    case WE_SETTING_TOP_P:
        return (double)m->top_p;
    case WE_SETTING_MIN_P:
        return (double)m->min_p;
    case WE_SETTING_MIN_TOKENS_TO_KEEP:
        return m->min_tokens_to_keep;
    case WE_SETTING_TOP_K:
        return m->top_k;
    case WE_SETTING_XTC_PROBABILITY:
        return (double)m->xtc_probability;
    case WE_SETTING_XTC_THRESHOLD:
        return (double)m->xtc_threshold;
    case WE_SETTING_REPETITION_PENALTY:
        return (double)m->repetition_penalty;
    case WE_SETTING_PRESENCE_PENALTY:
        return (double)m->presence_penalty;
    case WE_SETTING_FREQUENCY_PENALTY:
        return (double)m->frequency_penalty;
    case WE_SETTING_REPETITION_CONTEXT:
        return m->repetition_context;
    default:
        return NAN;
    }
}

static struct we_parsed initial_value(enum we_setting_id id)
{
    const struct we_setting *row = we_setting_row(id);
    struct we_parsed parsed = {0};
    if (row->initial)
        we_setting_parse(row, row->initial, &parsed);
    return parsed;
}

/* Does the model give another value than the table? */
static bool model_differs(const struct we_settings *s, enum we_setting_id id, double *value)
{
    *value = s->has_model ? sampling_value(&s->of_model, id) : NAN;
    return !isnan(*value) && (float)*value != (float)initial_value(id).number;
}

static struct we_parsed effective(const struct we_settings *s, enum we_setting_id id)
{
    struct we_parsed parsed;
    if (stated_value(s, id, &parsed))
        return parsed;
    double value;
    if (model_differs(s, id, &value))
        return (struct we_parsed){value > 0 ? (uint64_t)value : 0, value};
    return initial_value(id);
}

void we_settings_use_model(struct we_settings *s, const struct we_sampling *of_model)
{
    s->of_model = *of_model;
    s->has_model = true;
}

enum we_source we_settings_source(const struct we_settings *s, enum we_setting_id id)
{
    enum we_source source = WE_SOURCE_DEFAULT;
    double value;
    if (we_settings_is_set(s, id))
        stated(s, id, &source);
    else if (model_differs(s, id, &value))
        source = WE_SOURCE_MODEL;
    return source;
}

const char *we_settings_origin(const struct we_settings *s, enum we_setting_id id)
{
    enum we_source source = we_settings_source(s, id);
    if (source == WE_SOURCE_DEFAULT)
        return "default";
    return source == WE_SOURCE_MODEL ? "generation_config.json" : stated(s, id, &source)->origin;
}

struct we_setting_place we_settings_place(const struct we_settings *s, enum we_setting_id id)
{
    struct we_setting_place place = {.source = we_settings_source(s, id)};
    if (place.source == WE_SOURCE_ENVIRONMENT || place.source == WE_SOURCE_FILE) {
        const struct value *value = stated(s, id, &place.source);
        place.variable = value->variable;
        place.line = value->line;
        place.file = place.source == WE_SOURCE_FILE ? s->env.path : NULL;
    }
    return place;
}

const char *we_settings_stated(const struct we_settings *s, enum we_setting_id id)
{
    enum we_source source;
    const struct value *value = stated(s, id, &source);
    return value ? value->text : NULL;
}

void we_show_address(const char *text, struct we_buf *out)
{
    const char *slashes = strstr(text, "://");
    const char *host = slashes ? slashes + 3 : text;
    size_t length = slashes ? strcspn(host, "/?#") : 0;
    while (length && host[length - 1] != '@')
        length--;
    if (length == 0) {
        we_buf_append_c(out, text);
        return;
    }
    we_buf_append(out, we_str(text, (size_t)(host - text)));
    we_buf_printf(out, "********@%s", host + length);
}

void we_settings_show(const struct we_settings *s, enum we_setting_id id, struct we_buf *out)
{
    const struct we_setting *row = we_setting_row(id);
    const char *text = we_settings_text(s, id);
    if (we_settings_source(s, id) == WE_SOURCE_MODEL)
        we_buf_printf(out, "%.6g", we_settings_number(s, id)); /* it was a float */
    else if (text && row->secret)
        we_buf_append_c(out, "********");
    else if (text)
        we_show_address(text, out);
}

const char *we_settings_in_file(const struct we_settings *s, const char *variable)
{
    const struct we_env_entry *entry;
    return lookup(s, true, variable, &entry);
}

const char *we_settings_text(const struct we_settings *s, enum we_setting_id id)
{
    enum we_source source;
    return we_settings_is_set(s, id) ? stated(s, id, &source)->text : we_setting_row(id)->initial;
}

uint64_t we_settings_integer(const struct we_settings *s, enum we_setting_id id)
{
    return effective(s, id).integer;
}

double we_settings_number(const struct we_settings *s, enum we_setting_id id)
{
    return effective(s, id).number;
}

/* ---- into the structures of the library ---- */

static void set_float(const struct we_settings *s, enum we_setting_id id, float *field)
{
    struct we_parsed parsed;
    if (stated_value(s, id, &parsed))
        *field = (float)parsed.number;
}

static void set_u32(const struct we_settings *s, enum we_setting_id id, uint32_t *field)
{
    struct we_parsed parsed;
    if (stated_value(s, id, &parsed))
        *field = (uint32_t)parsed.integer;
}

void we_settings_sampling(const struct we_settings *s, struct we_sampling *sampling)
{
    set_float(s, WE_SETTING_TEMPERATURE, &sampling->temperature);
    set_float(s, WE_SETTING_TOP_P, &sampling->top_p);
    set_float(s, WE_SETTING_MIN_P, &sampling->min_p);
    set_u32(s, WE_SETTING_MIN_TOKENS_TO_KEEP, &sampling->min_tokens_to_keep);
    set_u32(s, WE_SETTING_TOP_K, &sampling->top_k);
    set_float(s, WE_SETTING_XTC_PROBABILITY, &sampling->xtc_probability);
    set_float(s, WE_SETTING_XTC_THRESHOLD, &sampling->xtc_threshold);
    set_float(s, WE_SETTING_REPETITION_PENALTY, &sampling->repetition_penalty);
    set_float(s, WE_SETTING_PRESENCE_PENALTY, &sampling->presence_penalty);
    set_float(s, WE_SETTING_FREQUENCY_PENALTY, &sampling->frequency_penalty);
    set_u32(s, WE_SETTING_REPETITION_CONTEXT, &sampling->repetition_context);
    struct we_parsed parsed;
    if (stated_value(s, WE_SETTING_SEED, &parsed)) {
        sampling->seed = parsed.integer;
        sampling->has_seed = true;
    }
}

/* 0 is no limit here, and the default in the library. */
static void set_seconds(const struct we_settings *s, enum we_setting_id id, double *field)
{
    struct we_parsed parsed;
    if (stated_value(s, id, &parsed))
        *field = parsed.number > 0 ? parsed.number : INFINITY;
}

void we_settings_model_options(const struct we_settings *s, struct we_model_options *options)
{
    const char *text;
    if (we_settings_is_set(s, WE_SETTING_MODELS_DIR))
        options->models_dir = we_settings_text(s, WE_SETTING_MODELS_DIR);
    if (we_settings_is_set(s, WE_SETTING_ADAPTER))
        options->adapter = we_settings_text(s, WE_SETTING_ADAPTER);
    if (we_settings_is_set(s, WE_SETTING_DEVICE))
        options->device = we_settings_text(s, WE_SETTING_DEVICE);
    if (we_settings_is_set(s, WE_SETTING_ISA))
        options->isa = we_settings_text(s, WE_SETTING_ISA);
    set_seconds(s, WE_SETTING_CONNECTION_TIMEOUT, &options->connection_timeout);
    set_seconds(s, WE_SETTING_REQUEST_TIMEOUT, &options->request_timeout);
    set_u32(s, WE_SETTING_THREADS, &options->threads);
    set_u32(s, WE_SETTING_CONTEXT, &options->max_context);
    if (we_settings_is_set(s, WE_SETTING_MEMORY_LIMIT))
        options->memory_limit = we_settings_integer(s, WE_SETTING_MEMORY_LIMIT);
    text = we_settings_text(s, WE_SETTING_PRECISION);
    options->precision = strcmp(text, "exact") == 0 ? WE_PRECISION_EXACT : WE_PRECISION_FAST;
    options->no_repack = we_settings_integer(s, WE_SETTING_REPACK) == 0;
    if (we_settings_is_set(s, WE_SETTING_ROPE_COMPAT)) {
        text = we_settings_text(s, WE_SETTING_ROPE_COMPAT);
        options->rope_compat = strcmp(text, "mlx") == 0 ? WE_ROPE_MLX : WE_ROPE_PAPER;
    }
}

/* Whether what a layer states is meant for the endpoint that `model` names. */
static bool belongs(const struct we_settings *s, enum we_setting_id id, const char *model)
{
    const char *configured = we_settings_text(s, WE_SETTING_MODEL), *url = we_settings_in_file(s, "LLM_CHAT_API_URL");
    enum we_source of_model =
        configured && strcmp(configured, model) == 0 ? we_settings_source(s, WE_SETTING_MODEL) : WE_SOURCE_FLAG;
    return we_settings_source(s, id) != WE_SOURCE_FILE || of_model == WE_SOURCE_FILE || url == NULL ||
           (we_is_address(url) && we_address_same_server(url, model));
}

void we_settings_endpoint_options(const struct we_settings *s, const char *model, struct we_model_options *options)
{
    options->api_key = belongs(s, WE_SETTING_API_KEY, model) ? we_settings_text(s, WE_SETTING_API_KEY) : NULL;
    options->remote_model = belongs(s, WE_SETTING_REMOTE_MODEL, model) ? we_settings_text(s, WE_SETTING_REMOTE_MODEL) : NULL;
}

void we_settings_request(const struct we_settings *s, struct we_request *request)
{
    we_settings_sampling(s, &request->sampling);
    set_u32(s, WE_SETTING_MAX_TOKENS, &request->max_tokens);
}

we_status we_settings_system_prompt(const struct we_settings *s, char **text, struct we_error *error)
{
    enum { LONGEST = 1 << 20 };
    *text = NULL;
    enum we_source from_text = WE_SOURCE_DEFAULT, from_file = WE_SOURCE_DEFAULT;
    const struct value *direct = stated(s, WE_SETTING_SYSTEM_PROMPT, &from_text);
    const struct value *file = stated(s, WE_SETTING_SYSTEM_PROMPT_FILE, &from_file);
    struct we_buf buf = {0};
    we_status status = WE_OK;
    if (direct && from_text >= from_file)
        file = NULL;
    if (file)
        status = we_file_read(file->text, LONGEST, &buf, error);
    else if (direct)
        we_buf_append_c(&buf, direct->text);
    else
        return WE_OK;
    if (status != WE_OK) {
        we_error_prefix(error, "%s: the system prompt cannot be read", file->origin);
        we_buf_free(&buf);
        return status;
    }
    while (file && buf.length && (buf.data[buf.length - 1] == '\n' || buf.data[buf.length - 1] == '\r'))
        buf.data[--buf.length] = '\0';
    we_buf_append_c(&buf, "");
    *text = we_buf_take(&buf);
    return *text ? WE_OK : we_error_memory(error, "the system prompt");
}

/* ---- the file ---- */

we_status we_settings_file_to_write(const struct we_settings *s, char **path, struct we_error *error)
{
    struct we_arena arena = {0};
    const char *file = s->env.path;
    if (file == NULL)
        file = we_path_is_directory("models") ? ".env" : user_file(&arena);
    if (file == NULL)
        file = ".env";
    *path = strdup(file);
    we_arena_free(&arena);
    return *path ? WE_OK : we_error_memory(error, "a path");
}

we_status we_settings_export(const struct we_settings *s, struct we_error *error)
{
    const enum we_setting_id ids[] = {WE_SETTING_HF_HOME, WE_SETTING_HF_HUB_CACHE};
    for (size_t i = 0; i < 2; i++) {
        const char *name = we_setting_row(ids[i])->environment[0];
        if (we_settings_source(s, ids[i]) == WE_SOURCE_FILE && setenv(name, we_settings_text(s, ids[i]), 1) != 0)
            return we_error_memory(error, name);
    }
    return WE_OK;
}
