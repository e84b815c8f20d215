#include "config/problems.h"

#include "base/buf.h"
#include "config/parse.h"

#include <stdio.h>
#include <stdlib.h>

extern char **environ;

/* ---- names ---- */

/* The setting that a variable states, or NULL. Where several do, none of them can be wrong. */
static const struct we_setting *setting_of(const char *name)
{
    for (size_t i = 0; i < WE_NUM_SETTINGS; i++)
        for (size_t j = 0; j < 4 && we_setting_row((enum we_setting_id)i)->environment[j]; j++)
            if (strcmp(name, we_setting_row((enum we_setting_id)i)->environment[j]) == 0)
                return we_setting_row((enum we_setting_id)i);
    return NULL;
}

bool we_is_setting_variable(const char *name)
{
    return setting_of(name) != NULL;
}

/* The variable of ours that is nearest to a name that is none, or NULL. */
static const char *nearest_variable(const char *name)
{
    const char *nearest = NULL;
    size_t best = strlen(name) > 12 ? 4 : strlen(name) > 6 ? 3 : 2; /* edits from there are another word */
    for (size_t i = 0; i < WE_NUM_SETTINGS; i++)
        for (size_t j = 0; j < 4 && we_setting_row((enum we_setting_id)i)->environment[j]; j++) {
            const char *ours = we_setting_row((enum we_setting_id)i)->environment[j];
            size_t distance = we_str_distance(we_str_c(name), we_str_c(ours));
            if (strcmp(name, ours) == 0)
                return NULL;
            if (distance < best) {
                best = distance;
                nearest = ours;
            }
        }
    return nearest;
}

bool we_settings_unreadable(const struct we_settings *s, size_t index, uint32_t *line, const char **what)
{
    if (index >= we_settings_env(s)->num_problems)
        return false;
    *line = we_settings_env(s)->problems[index].line;
    *what = we_settings_env(s)->problems[index].what;
    return true;
}

bool we_settings_mistyped(const struct we_settings *s, size_t index, const char **name, uint32_t *line, const char **nearest)
{
    for (size_t i = 0; i < we_settings_env(s)->count; i++) {
        *nearest = nearest_variable(we_settings_env(s)->entries[i].name);
        if (*nearest == NULL || index-- > 0)
            continue;
        *name = we_settings_env(s)->entries[i].name;
        *line = we_settings_env(s)->entries[i].line;
        return true;
    }
    return false;
}

/* ---- corrections ---- */

/* The word of "a|b|c" nearest to `wrong`; NULL: none is near. */
static const char *nearest_word(const char *words, const char *wrong, struct we_arena *arena)
{
    struct we_str best = {0};
    size_t least = 3;
    for (const char *p = words; *p; p += strcspn(p, "|"), p += *p == '|') {
        struct we_str word = we_str(p, strcspn(p, "|"));
        size_t distance = we_str_distance(word, we_str_c(wrong));
        bool begins = wrong[0] && we_str_starts_with(word, we_str_c(wrong));
        if (distance < least || (begins && best.data == NULL)) {
            least = distance;
            best = word;
        }
    }
    return best.data ? we_arena_copy(arena, best) : NULL;
}

const char *we_setting_correct(const struct we_setting *row, const char *wrong, struct we_arena *arena)
{
    struct we_parsed parsed;
    const char *word = NULL;
    if (row->type == WE_SETTING_CHOICE)
        word = nearest_word(row->choices, wrong, arena);
    else if (row->type == WE_SETTING_SWITCH)
        word = nearest_word("true|false|yes|no|on|off", wrong, arena);
    if (word)
        return word;
    if (row->type == WE_SETTING_NUMBER || row->type == WE_SETTING_INTEGER) { /* "0,7", "300s", "= 5" */
        char *number = we_arena_copy(arena, we_str_c(wrong + strcspn(wrong, "0123456789.+-")));
        for (char *p = number; p && *p; p++)
            *p = *p == ',' && row->type == WE_SETTING_NUMBER ? '.' : *p;
        if (number)
            number[strspn(number, "0123456789.+-")] = '\0';
        if (number && number[0] && we_setting_parse(row, number, &parsed))
            return number;
    }
    return row->initial;
}

/* ---- the list ---- */

struct finding {
    struct we_arena *arena;
    struct we_setting_problem *list;
    size_t count, capacity;
    bool failed;
    const char *file; /* as one word of a shell */
};

static const char *text_of(struct finding *f, const char *format, ...) WE_PRINTF(2, 3);
static const char *text_of(struct finding *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *copy = we_arena_vformat(f->arena, format, args);
    va_end(args);
    f->failed |= copy == NULL;
    return copy;
}

static void add(struct finding *f, bool harmless, const char *text, const char *correction)
{
    if (f->count == f->capacity) {
        size_t capacity = f->capacity ? 2 * f->capacity : 16;
        struct we_setting_problem *more = we_arena_array(f->arena, capacity, sizeof *more);
        f->failed |= more == NULL;
        if (more == NULL)
            return;
        if (f->count)
            memcpy(more, f->list, f->count * sizeof *more);
        f->list = more;
        f->capacity = capacity;
    }
    f->list[f->count++] = (struct we_setting_problem){harmless, text, correction};
}

/* A path as one word of a shell. */
static const char *shell_word(struct finding *f, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";
    if (text[strspn(text, plain)] == '\0')
        return text;
    struct we_buf buf = {0};
    we_buf_append_byte(&buf, '\'');
    for (const char *p = text; *p; p++)
        we_buf_append_c(&buf, *p == '\'' ? "'\\''" : (const char[]){*p, '\0'});
    we_buf_append_byte(&buf, '\'');
    const char *word = buf.failed ? "" : text_of(f, "%s", buf.data);
    f->failed |= buf.failed;
    we_buf_free(&buf);
    return word;
}

/* A value that stands in .env, at `line`, or (0) in the environment. `value` may span lines, which sed cannot replace. */
static void check_value(struct finding *f, const char *where, const char *name, const char *value, uint32_t line)
{
    const struct we_setting *row = setting_of(name);
    struct we_parsed parsed;
    char expected[128];
    if (row == NULL || value[0] == '\0' || we_setting_parse(row, value, &parsed))
        return;
    we_setting_expected(row, expected, sizeof expected);
    const char *right = we_setting_correct(row, value, f->arena), *correction = NULL;
    const char *text = text_of(f, "%s%s is \"%.200s\", but %s was expected", where, name, value, expected);
    if (line == 0)
        correction = right ? text_of(f, "export %s=%s", name, right) : text_of(f, "unset %s", name);
    else if (strchr(value, '\n') == NULL)
        correction = right ? text_of(f, "sed -i.bak '%us/=.*/=%s/' %s", line, right, f->file)
                           : text_of(f, "sed -i.bak '%us/^/# /' %s", line, f->file);
    add(f, row->group == WE_GROUP_INTERFACE, text, correction);
}

static void check_file(struct finding *f, const struct we_env *env)
{
    for (size_t i = 0; i < env->num_problems; i++) {
        const struct we_env_problem *p = &env->problems[i];
        add(f, !we_is_setting_variable(p->name), text_of(f, "%s:%u: the line cannot be read: %s", env->path, p->line, p->what),
            text_of(f, "sed -i.bak '%us/^/# /' %s", p->line, f->file));
    }
    for (size_t i = 0; i < env->count; i++) {
        const struct we_env_entry *e = &env->entries[i], *last = we_env_get(env, e->name);
        const char *where = text_of(f, "%s:%u: ", env->path, e->line), *nearest = nearest_variable(e->name);
        if (where == NULL)
            return;
        check_value(f, where, e->name, e->value, e->line);
        if (nearest)
            add(f, true, text_of(f, "%s%.100s is no name of a setting; %s is one", where, e->name, nearest),
                text_of(f, "sed -i.bak '%us/%.100s/%s/' %s", e->line, e->name, nearest, f->file));
        else if (last != e && we_is_setting_variable(e->name))
            add(f, true, text_of(f, "%s%s has no effect: line %u sets it again", where, e->name, last->line),
                strchr(e->value, '\n') ? NULL : text_of(f, "sed -i.bak '%us/^/# /' %s", e->line, f->file));
    }
}

/* Names that begin like ours; others are likely to be near by chance. */
static bool may_be_ours(const char *name)
{
    static const char *const beginnings[] = {"MLX_", "LLM_", "WHISPERENGINE_"};
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    return false;
}

static void check_environment(struct finding *f)
{
    for (char **e = environ; e && *e; e++) {
        const char *equals = strchr(*e, '=');
        char *name = equals ? we_arena_copy(f->arena, we_str(*e, (size_t)(equals - *e))) : NULL;
        if (name == NULL)
            continue;
        check_value(f, "", name, equals + 1, 0);
        const char *nearest = may_be_ours(name) ? nearest_variable(name) : NULL;
        if (nearest)
            add(f, true, text_of(f, "%.100s is no name of a setting; %s is one", name, nearest),
                text_of(f, "export %s=\"$%.100s\"; unset %.100s", nearest, name, name));
    }
}

we_status we_settings_problems(const struct we_settings *settings, struct we_arena *arena, struct we_setting_problem **list,
                               size_t *count, struct we_error *error)
{
    const struct we_env *env = we_settings_env(settings);
    struct finding f = {.arena = arena};
    f.file = env->path ? shell_word(&f, env->path) : "";
    if (env->path)
        check_file(&f, env);
    check_environment(&f);
    *list = f.list;
    *count = f.count;
    return f.failed ? we_error_memory(error, "the problems of the configuration") : WE_OK;
}
