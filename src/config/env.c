#include "config/env.h"

#include "base/fs.h"

enum { MAX_VALUES = 8 << 20 }; /* bytes of all values: ${A}${A} in every line could double them */

struct parser {
    struct we_str text;
    size_t at;
    uint32_t line;
    struct we_env *env;
    we_env_lookup *lookup;
    void *context;
    struct we_buf value;
    size_t value_end; /* where its text ends */
    struct we_env_problem problem; /* of the present line */
    struct we_error *error;
    we_status status; /* sticky */
};

/* The line is passed over. */
static bool broken(struct parser *p, uint32_t line, const char *what)
{
    if (p->status == WE_OK)
        p->problem = (struct we_env_problem){NULL, what, line};
    return false;
}

static bool fail(struct parser *p, uint32_t line, const char *what)
{
    if (p->status == WE_OK)
        p->status = we_error_set(p->error, WE_INVALID_FORMAT, "%s:%u: %s", p->env->path, line, what);
    return false;
}

static int peek(const struct parser *p, size_t ahead)
{
    return ahead < p->text.length - p->at ? (unsigned char)p->text.data[p->at + ahead] : -1;
}

static bool is_blank(int c)
{
    return c == ' ' || c == '\t' || c == '\f' || c == '\v' || c == '\r';
}

static void skip_blanks(struct parser *p)
{
    while (is_blank(peek(p, 0)))
        p->at++;
}

static bool at_line_end(const struct parser *p)
{
    return peek(p, 0) == -1 || peek(p, 0) == '\n';
}

/* Over the rest of the line and its end. */
static void skip_line(struct parser *p)
{
    while (!at_line_end(p))
        p->at++;
    if (peek(p, 0) == '\n') {
        p->at++;
        p->line++;
    }
}

static bool begins_name(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* The length of the name at `at`, 0 if there is none. `also`: what it may contain besides letters, digits and '_'. */
static size_t name_length(struct we_str text, size_t at, const char *also)
{
    size_t n = 0;
    while (at + n < text.length) {
        int c = (unsigned char)text.data[at + n];
        bool inside = (c >= '0' && c <= '9') || (c && strchr(also, c));
        if (!begins_name(c) && (n == 0 || !inside))
            break;
        n++;
    }
    return n;
}

static bool append(struct parser *p, const char *data, size_t length)
{
    if (length > (size_t)WE_ENV_MAX_VALUE - p->value.length)
        return fail(p, p->line, "the value is longer than 65536 bytes");
    if (!we_buf_append(&p->value, we_str(data, length)) && p->status == WE_OK)
        p->status = we_error_memory(p->error, p->env->path);
    return p->status == WE_OK;
}

/* ---- ${NAME} ---- */

static const char *variable(struct parser *p, struct we_str name)
{
    char terminated[256];
    if (name.length >= sizeof terminated)
        return NULL;
    memcpy(terminated, name.data, name.length);
    terminated[name.length] = '\0';
    const char *value = p->lookup ? p->lookup(p->context, terminated) : NULL;
    if (value)
        return value;
    const struct we_env_entry *entry = we_env_get(p->env, terminated);
    return entry ? entry->value : NULL;
}

/* Expands the reference that begins at p->at and moves over it; if it is none, takes the '$' as it is. `end` bounds it. */
static bool append_reference(struct parser *p, size_t end)
{
    enum { LONGEST = 1024 }; /* so that a text full of "${" takes no quadratic time */
    if (end - p->at > LONGEST)
        end = p->at + LONGEST;
    size_t name = p->at + 2, length = 0;
    if (peek(p, 1) == '{' && name < end)
        length = name_length(we_str(p->text.data, end), name, ".");
    size_t rest = name + length, close = rest;
    while (close < end && p->text.data[close] != '}' && p->text.data[close] != '\n')
        close++;
    bool closed = length && close < end && p->text.data[close] == '}';
    bool even_if_empty = closed && close - rest >= 2 && p->text.data[rest] == ':' && p->text.data[rest + 1] == '-';
    bool has_default = even_if_empty || (closed && close > rest && p->text.data[rest] == '-');
    if (!closed || (rest != close && !has_default)) {
        p->at++;
        return append(p, "$", 1);
    }
    p->at = close + 1;
    const char *value = variable(p, we_str(p->text.data + name, length));
    if (has_default && (value == NULL || (even_if_empty && value[0] == '\0'))) {
        size_t from = rest + (even_if_empty ? 2 : 1);
        return append(p, p->text.data + from, close - from);
    }
    return value == NULL || append(p, value, strlen(value));
}

/* ---- values ---- */

static bool read_plain(struct parser *p)
{
    size_t end = p->at;
    while (end < p->text.length && p->text.data[end] != '\n') {
        if (p->text.data[end] == '#' && end > p->at && is_blank((unsigned char)p->text.data[end - 1]))
            break;
        end++;
    }
    while (end > p->at && is_blank((unsigned char)p->text.data[end - 1]))
        end--;
    p->value_end = end;
    while (p->at < end) {
        size_t from = p->at;
        while (p->at < end && p->text.data[p->at] != '$')
            p->at++;
        if (!append(p, p->text.data + from, p->at - from) || (p->at < end && !append_reference(p, end)))
            return false;
    }
    return true;
}

/* One escape of a double-quoted or a single-quoted value; other backslashes stay. */
static bool append_escape(struct parser *p, int quote)
{
    int c = peek(p, 1);
    const char *plain = quote == '"' ? "\"\\$nrt" : "'\\", *meant = quote == '"' ? "\"\\$\n\r\t" : "'\\";
    const char *found = c > 0 ? strchr(plain, c) : NULL;
    p->at += found ? 2 : 1;
    return append(p, found ? &meant[found - plain] : "\\", 1);
}

static bool read_quoted(struct parser *p)
{
    int quote = peek(p, 0);
    uint32_t begin = p->line;
    p->at++;
    while (peek(p, 0) != quote) {
        int c = peek(p, 0);
        if (c == -1)
            return broken(p, begin, quote == '"' ? "the quote (\") is never closed" : "the quote (') is never closed");
        if (c == '\\') {
            if (!append_escape(p, quote))
                return false;
        } else if (c == '$' && quote == '"') {
            if (!append_reference(p, p->text.length))
                return false;
        } else {
            p->line += c == '\n';
            bool ends_line = c == '\r' && peek(p, 1) == '\n';
            if (!ends_line && !append(p, p->text.data + p->at, 1))
                return false;
            p->at++;
        }
    }
    p->at++;
    p->value_end = p->at;
    skip_blanks(p);
    if (!at_line_end(p) && peek(p, 0) != '#')
        return broken(p, p->line, "there is text after the closing quote; quote the whole value, or write \\\" inside it");
    return true;
}

static bool add_entry(struct parser *p, struct we_str name, uint32_t line, size_t from)
{
    struct we_env *env = p->env;
    if (env->count == WE_ENV_MAX_ENTRIES)
        return fail(p, line, "more than 1024 variables");
    if (env->arena.used > MAX_VALUES || p->value.length > MAX_VALUES - env->arena.used)
        return fail(p, line, "the values together are longer than 8 MiB");
    struct we_env_entry entry = {we_arena_copy(&env->arena, name), we_arena_copy(&env->arena, we_buf_str(&p->value)), line, from, p->value_end};
    if (entry.name == NULL || entry.value == NULL) {
        p->status = we_error_memory(p->error, env->path);
        return false;
    }
    env->entries[env->count++] = entry;
    return true;
}

/* One line, or several if a quoted value spans them. */
static bool read_entry(struct parser *p)
{
    skip_blanks(p);
    if (at_line_end(p) || peek(p, 0) == '#') {
        skip_line(p);
        return true;
    }
    uint32_t line = p->line;
    size_t length = name_length(p->text, p->at, ".-");
    if (length == 6 && memcmp(p->text.data + p->at, "export", 6) == 0 && is_blank(peek(p, 6))) {
        size_t export = p->at;
        p->at += 6;
        skip_blanks(p);
        length = name_length(p->text, p->at, ".-");
        if (length == 0) { /* "export = value" names a variable */
            p->at = export;
            length = 6;
        }
    }
    struct we_str name = we_str(p->text.data + p->at, length);
    p->at += length;
    skip_blanks(p);
    bool alone = at_line_end(p) || peek(p, 0) == '#';
    if (length == 0 || (!alone && peek(p, 0) != '='))
        return broken(p, line, "NAME=VALUE was expected; a comment begins with #");
    if (alone) {
        skip_line(p);
        return true;
    }
    p->at++;
    size_t after_sign = p->at;
    skip_blanks(p);
    we_buf_clear(&p->value);
    int c = peek(p, 0);
    bool empty = at_line_end(p) || (c == '#' && p->at > after_sign); /* its place is before the blanks */
    size_t from = empty ? after_sign : p->at;
    p->value_end = from;
    bool ok = empty || (c == '"' || c == '\'' ? read_quoted(p) : read_plain(p));
    ok = ok && add_entry(p, name, line, from);
    if (ok)
        skip_line(p);
    return ok;
}

/* The name that a line begins with, behind blanks and "export". */
static struct we_str first_name(const struct parser *p, size_t at)
{
    size_t length = 0;
    for (int i = 0; i < 2; i++) {
        at += length;
        while (at < p->text.length && is_blank((unsigned char)p->text.data[at]))
            at++;
        length = name_length(p->text, at, ".-");
        if (length != 6 || memcmp(p->text.data + at, "export", 6) != 0)
            break;
    }
    return we_str(p->text.data + at, length);
}

/* Remembers what is wrong with the line that began at `at`, and goes on behind it: a quote that is never closed must not take
 * the lines after it along. */
static bool pass_over(struct parser *p, size_t at, uint32_t line)
{
    struct we_env *env = p->env;
    if (p->status != WE_OK)
        return false;
    if (env->num_problems < WE_ENV_MAX_PROBLEMS) {
        p->problem.name = we_arena_copy(&env->arena, first_name(p, at));
        if (p->problem.name == NULL) {
            p->status = we_error_memory(p->error, env->path);
            return false;
        }
        env->problems[env->num_problems++] = p->problem;
    }
    p->at = at;
    p->line = line;
    skip_line(p);
    return true;
}

we_status we_env_problem_error(const struct we_env *env, const struct we_env_problem *problem, struct we_error *error)
{
    return we_error_set(error, WE_INVALID_FORMAT, "%s:%u: %s", env->path, problem->line, problem->what);
}

we_status we_env_parse(struct we_str text, const char *path, we_env_lookup *lookup, void *context, struct we_env *env,
                       struct we_error *error)
{
    *env = (struct we_env){.path = path};
    struct parser p = {.text = text, .line = 1, .env = env, .lookup = lookup, .context = context, .error = error};
    env->path = we_arena_copy(&env->arena, we_str_c(path));
    env->entries = we_arena_array(&env->arena, WE_ENV_MAX_ENTRIES, sizeof *env->entries);
    env->problems = we_arena_array(&env->arena, WE_ENV_MAX_PROBLEMS, sizeof *env->problems);
    if (env->path == NULL || env->entries == NULL || env->problems == NULL)
        p.status = we_error_memory(error, path);
    else if (text.length > WE_ENV_MAX_FILE)
        fail(&p, 1, "larger than the 262144 bytes that such a file may have");
    else if (text.length && memchr(text.data, '\0', text.length))
        fail(&p, 1, "this is no text file: it has NUL bytes");
    if (we_str_starts_with(text, we_str_c("\xEF\xBB\xBF")))
        p.at = 3;
    while (p.status == WE_OK && p.at < text.length) {
        size_t at = p.at;
        uint32_t line = p.line;
        if (!read_entry(&p) && !pass_over(&p, at, line))
            break;
    }
    if (p.status == WE_OK && env->num_problems && env->count == 0)
        p.status = we_env_problem_error(env, &env->problems[0], error);
    we_buf_free(&p.value);
    if (p.status != WE_OK)
        we_env_free(env);
    return p.status;
}

we_status we_env_read(const char *path, we_env_lookup *lookup, void *context, struct we_env *env, struct we_error *error)
{
    *env = (struct we_env){0};
    struct we_buf text = {0};
    we_status status = we_file_read(path, WE_ENV_MAX_FILE, &text, error);
    if (status == WE_OK)
        status = we_env_parse(we_buf_str(&text), path, lookup, context, env, error);
    we_buf_free(&text);
    return status;
}

void we_env_free(struct we_env *env)
{
    we_arena_free(&env->arena);
    *env = (struct we_env){0};
}

const struct we_env_entry *we_env_get(const struct we_env *env, const char *name)
{
    for (size_t i = env->count; i-- > 0;)
        if (strcmp(env->entries[i].name, name) == 0)
            return &env->entries[i];
    return NULL;
}
