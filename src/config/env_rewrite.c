#include "config/env_rewrite.h"

#include "config/env.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\f' || c == '\v' || c == '\r';
}

static bool is_name(const char *name)
{
    for (const char *p = name; *p; p++) {
        bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_';
        if (!letter && (p == name || !((*p >= '0' && *p <= '9') || *p == '.' || *p == '-')))
            return false;
    }
    return name[0] && strcmp(name, "export") != 0; /* which is a name only in one place */
}

/* A value that reads back as it is without quotes, whatever stands behind it. */
static bool is_plain(struct we_str value)
{
    if (value.length == 0)
        return true;
    char first = value.data[0], last = value.data[value.length - 1];
    if (is_blank(first) || is_blank(last) || first == '"' || first == '\'')
        return false;
    for (size_t i = 0; i < value.length; i++)
        if (value.data[i] == '\n' || value.data[i] == '\r' || value.data[i] == '#' || value.data[i] == '\\' ||
            (value.data[i] == '$' && i + 1 < value.length && value.data[i + 1] == '{'))
            return false;
    return true;
}

/* Single quotes where nothing in the value means something there: every reader of such files agrees about those. */
static void append_quoted(struct we_buf *out, struct we_str value)
{
    bool single = true;
    for (size_t i = 0; i < value.length; i++)
        single = single && !strchr("'\\\n\r", value.data[i]);
    if (single) {
        we_buf_append_byte(out, '\'');
        we_buf_append(out, value);
        we_buf_append_byte(out, '\'');
        return;
    }
    we_buf_append_byte(out, '"');
    for (size_t i = 0; i < value.length; i++) {
        char c = value.data[i];
        bool reference = c == '$' && i + 1 < value.length && value.data[i + 1] == '{';
        if (c == '\n' || c == '\r')
            we_buf_append_c(out, c == '\n' ? "\\n" : "\\r");
        else if (c == '"' || c == '\\' || reference)
            we_buf_printf(out, "\\%c", c);
        else
            we_buf_append_byte(out, c);
    }
    we_buf_append_byte(out, '"');
}

static void append_value(struct we_buf *out, const char *value, bool must_quote)
{
    struct we_str text = we_str_c(value);
    if (must_quote || !is_plain(text))
        append_quoted(out, text);
    else
        we_buf_append(out, text);
}

/* How the lines end: as the first one does. */
static const char *line_end(struct we_str text)
{
    const char *newline = text.length ? memchr(text.data, '\n', text.length) : NULL;
    return newline && newline > text.data && newline[-1] == '\r' ? "\r\n" : "\n";
}

static void add_line(struct we_str text, const struct we_env_change *change, struct we_buf *out)
{
    const char *end = line_end(text);
    we_buf_append(out, text);
    if (text.length && text.data[text.length - 1] != '\n' && !we_str_equal_c(text, "\xEF\xBB\xBF"))
        we_buf_append_c(out, end);
    we_buf_printf(out, "%s=", change->name);
    append_value(out, change->value, false);
    we_buf_append_c(out, end);
}

static void replace_value(struct we_str text, const struct we_env_entry *entry, const char *value, struct we_buf *out)
{
    struct we_str rest = we_str(text.data + entry->to, text.length - entry->to);
    bool touched = rest.length && rest.data[0] != '\n' && !is_blank(rest.data[0]); /* by the # of a comment */
    we_buf_append(out, we_str(text.data, entry->from));
    append_value(out, value, touched);
    we_buf_append(out, rest);
}

/* What was written reads as it should, and so does the rest: a quote that is open in a line that could not be read may close at
 * one in the new value, and the file may have grown beyond what can be read. */
static we_status check_change(const struct we_env *before, bool is_new, struct we_str text, const struct we_env_change *change,
                              struct we_error *error)
{
    struct we_env after;
    we_status status = we_env_parse(text, before->path, NULL, NULL, &after, error);
    if (status != WE_OK)
        return status;
    const struct we_env_entry *entry = we_env_get(&after, change->name);
    if (entry == NULL || strcmp(entry->value, change->value) != 0 || after.count != before->count + is_new)
        status = before->num_problems
                     ? we_env_problem_error(before, &before->problems[0], error)
                     : we_error_set(error, WE_INVALID_ARGUMENT, "%s cannot be set in %s", change->name, before->path);
    we_env_free(&after);
    return status;
}

static we_status change_one(struct we_str text, const char *path, const struct we_env_change *change, struct we_buf *out,
                            struct we_error *error)
{
    if (!is_name(change->name))
        return we_error_set(error, WE_INVALID_ARGUMENT, "\"%.100s\" is no name of a variable", change->name);
    if (strlen(change->value) > WE_ENV_MAX_VALUE)
        return we_error_set(error, WE_INVALID_ARGUMENT, "%s: the value is longer than 65536 bytes", change->name);
    struct we_env env;
    we_status status = we_env_parse(text, path, NULL, NULL, &env, error);
    if (status != WE_OK)
        return status;
    const struct we_env_entry *entry = we_env_get(&env, change->name);
    for (size_t i = 0; status == WE_OK && i < env.num_problems; i++)
        if (strcmp(env.problems[i].name, change->name) == 0)
            status = we_env_problem_error(&env, &env.problems[i], error);
    if (status != WE_OK)
        goto done;
    if (entry == NULL)
        add_line(text, change, out);
    else if (strcmp(entry->value, change->value) == 0 && memchr(text.data + entry->from, '$', entry->to - entry->from) == NULL)
        we_buf_append(out, text); /* it is so already, however it is written */
    else
        replace_value(text, entry, change->value, out);
    if (out->failed)
        status = we_error_memory(error, path);
    else
        status = check_change(&env, entry == NULL, we_buf_str(out), change, error);
done:
    we_env_free(&env);
    return status;
}

we_status we_env_rewrite(struct we_str text, const char *path, const struct we_env_change *changes, size_t count,
                         struct we_buf *out, struct we_error *error)
{
    struct we_buf now = {0}, next = {0};
    we_status status = we_buf_append(&now, text) ? WE_OK : we_error_memory(error, path);
    for (size_t i = 0; status == WE_OK && i < count; i++) {
        we_buf_clear(&next);
        status = change_one(we_buf_str(&now), path, &changes[i], &next, error);
        struct we_buf swap = now;
        now = next;
        next = swap;
    }
    if (status == WE_OK && !we_buf_append(out, we_buf_str(&now)))
        status = we_error_memory(error, path);
    we_buf_free(&now);
    we_buf_free(&next);
    return status;
}
