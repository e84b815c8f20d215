/* What is done to the text before cmark sees it: math is kept from being Markdown, and the end of text that streams is made
 * whole. */
#include "markdown_model.h"

#include <string.h>

static bool is_blank_line(const char *text, size_t at, size_t length)
{
    while (at < length && (text[at] == ' ' || text[at] == '\t'))
        at++;
    return at == length || text[at] == '\n';
}

static size_t next_line(const char *text, size_t at, size_t length)
{
    const char *end = memchr(text + at, '\n', length - at);
    return end ? (size_t)(end - text) + 1 : length;
}

/* Past white space, and the marks of quotes and lists, which a fence may follow. */
static size_t past_marks(const char *text, size_t at, size_t end)
{
    for (;;) {
        size_t i = at;
        while (i < end && (text[i] == ' ' || text[i] == '\t' || text[i] == '>'))
            i++;
        size_t digits = i;
        while (digits < end && g_ascii_isdigit(text[digits]))
            digits++;
        if (i + 1 < end && strchr("-*+", text[i]) && text[i + 1] == ' ')
            i += 2;
        else if (digits > i && digits + 1 < end && strchr(".)", text[digits]) && text[digits + 1] == ' ')
            i = digits + 2;
        else
            return i;
        at = i;
    }
}

struct fence {
    char mark; /* '`' or '~'; 0: none is open */
    size_t length;
};

/* Brings the state over one line; true if the line is a fence or within one. */
static bool pass_fence(struct fence *fence, const char *text, size_t at, size_t end)
{
    size_t i = past_marks(text, at, end), n = 0;
    char mark = i < end ? text[i] : '\0';
    while (i + n < end && text[i + n] == mark)
        n++;
    bool is_mark = (mark == '`' || mark == '~') && n >= 3;
    if (fence->mark == '\0') {
        if (!is_mark || (mark == '`' && memchr(text + i + n, '`', end - i - n)))
            return false;
        *fence = (struct fence){mark, n};
        return true;
    }
    if (is_mark && mark == fence->mark && n >= fence->length && is_blank_line(text, i + n, end))
        fence->mark = '\0';
    return true;
}

static size_t run_length(const char *text, size_t at, size_t end)
{
    size_t n = 1;
    while (at + n < end && text[at + n] == text[at])
        n++;
    return n;
}

/* Where the code span that begins at `at` ends; `at` if it does not. */
static size_t code_end(const char *text, size_t at, size_t end)
{
    size_t n = run_length(text, at, end);
    for (size_t i = at + n; i < end;) {
        if (text[i] != '`') {
            i++;
            continue;
        }
        size_t m = run_length(text, i, end);
        if (m == n)
            return i + m;
        i += m;
    }
    return at;
}

/* ---- math ---- */

static size_t find(const char *text, size_t at, size_t end, const char *needle)
{
    size_t n = strlen(needle);
    for (; at + n <= end; at++)
        if (memcmp(text + at, needle, n) == 0)
            return at;
    return end;
}

/* Marks that nothing closes from here on; they are not looked for again, or many of them would take long. */
struct unclosed {
    bool round, square, dollars;
};

static size_t close_at(const char *text, size_t at, size_t end, const char *close, bool *unclosed)
{
    size_t found = *unclosed ? end : find(text, at, end, close);
    *unclosed = found == end;
    return found;
}

/* End of the math that begins at `at`, its marks included; `at` if there is none. A dollar sign alone is often money: it opens
 * only before, and closes only after something that is no space, on one line, and not before a digit. */
static size_t math_end(const char *text, size_t at, size_t end, struct unclosed *unclosed)
{
    size_t close;
    if (text[at] == '\\' && at + 1 < end && (text[at + 1] == '(' || text[at + 1] == '[')) {
        close = text[at + 1] == '(' ? close_at(text, at + 2, end, "\\)", &unclosed->round)
                                    : close_at(text, at + 2, end, "\\]", &unclosed->square);
        return close < end ? close + 2 : at;
    }
    if (text[at] != '$' || at + 1 >= end)
        return at;
    if (text[at + 1] == '$') {
        close = close_at(text, at + 2, end, "$$", &unclosed->dollars);
        return close < end && close > at + 2 ? close + 2 : at;
    }
    if (g_ascii_isspace(text[at + 1]))
        return at;
    for (size_t i = at + 1; i < end && text[i] != '\n'; i++) {
        if (text[i] == '\\' && i + 1 < end) {
            i++;
        } else if (text[i] == '$') {
            bool closes = i > at + 1 && !g_ascii_isspace(text[i - 1]) && !(i + 1 < end && g_ascii_isdigit(text[i + 1]));
            return closes ? i + 1 : at;
        } else if (text[i] == '`') {
            return at;
        }
    }
    return at;
}

static void append_math(const char *text, size_t at, size_t end, bool in_table, GString *out)
{
    for (; at < end; at++) {
        if (in_table && text[at] == '\\' && at + 1 < end && text[at + 1] == '|')
            at++; /* is a | there */
        if (g_ascii_ispunct(text[at]))
            g_string_append_c(out, '\\');
        g_string_append_c(out, text[at]);
    }
}

/* A paragraph: code spans as they are, math escaped. */
static void protect_paragraph(const char *text, size_t at, size_t end, GString *out)
{
    struct unclosed unclosed = {0};
    bool in_table = false, line_begins = true;
    while (at < end) {
        size_t stop = at;
        if (line_begins && text[at] != ' ') {
            in_table = text[at] == '|';
            line_begins = false;
        }
        line_begins |= text[at] == '\n';
        if (text[at] == '`') {
            size_t n = run_length(text, at, end);
            stop = code_end(text, at, end);
            if (stop == at)
                stop = at + n;
            g_string_append_len(out, text + at, (gssize)(stop - at));
        } else if ((stop = math_end(text, at, end, &unclosed)) > at) {
            append_math(text, at, stop, in_table, out);
        } else {
            stop = text[at] == '\\' && at + 1 < end ? at + 2 : at + 1;
            if (stop == at + 2 && strchr("()[]", text[at + 1])) /* math that is not whole, or stands alone */
                g_string_append_c(out, '\\');
            g_string_append_len(out, text + at, (gssize)(stop - at));
        }
        at = stop;
    }
}

void we_markdown_protect_math(const char *text, size_t length, GString *out)
{
    struct fence fence = {0};
    size_t paragraph = 0;
    if (memchr(text, '$', length) == NULL && memchr(text, '\\', length) == NULL) {
        g_string_append_len(out, text, (gssize)length);
        return;
    }
    for (size_t at = 0; at < length;) {
        size_t next = next_line(text, at, length), end = next > at && text[next - 1] == '\n' ? next - 1 : next;
        bool fenced = pass_fence(&fence, text, at, end);
        if (fenced || is_blank_line(text, at, length)) {
            protect_paragraph(text, paragraph, at, out);
            g_string_append_len(out, text + at, (gssize)(next - at));
            paragraph = next;
        }
        at = next;
    }
    protect_paragraph(text, paragraph, length, out);
}

/* ---- the end of text that streams ---- */

/* Only marks, of which more text may make anything: a rule, an item, a heading, a line under a heading or of a table. */
static bool is_only_marks(const char *text, size_t at, size_t end)
{
    size_t digits = at;
    while (digits < end && (text[digits] == ' ' || g_ascii_isdigit(text[digits])))
        digits++;
    if (digits == end)
        return true;
    if (digits > at && strchr(".)", text[digits]) && is_blank_line(text, digits + 1, end))
        return true;
    if (at < end && g_ascii_isalpha(text[at]))
        return false;
    for (; at < end; at++)
        if (!strchr(" \t#*-_+=~`>|:[]", text[at]) && !(g_ascii_tolower(text[at]) == 'x' && text[at - 1] == '['))
            return false;
    return true;
}

static bool has_marks(const char *text, size_t at, size_t end)
{
    while (at < end && g_ascii_isspace(text[at]))
        at++;
    return at < end;
}

/* The paragraph that the text ends with: from the line after the last blank one or fence, or from the last list mark. *table:
 * it begins like a table and has no second line yet. *fenced: the text ends within code. */
static size_t last_paragraph(const GString *text, bool *table, bool *fenced)
{
    struct fence fence = {0};
    size_t paragraph = 0, lines = 0;
    const char *s = text->str;
    bool in_fence = false;
    for (size_t at = 0; at < text->len;) {
        size_t next = next_line(s, at, text->len), end = s[next - 1] == '\n' ? next - 1 : next;
        in_fence = pass_fence(&fence, s, at, end);
        size_t content = past_marks(s, at, end);
        if (in_fence || is_blank_line(s, at, text->len)) {
            paragraph = next;
            lines = 0;
        } else if (content < end && has_marks(s, at, content)) {
            paragraph = content;
            lines = 1;
        } else {
            lines++;
        }
        at = next;
    }
    *fenced = fence.mark != '\0';
    *table = paragraph < text->len && s[paragraph] == '|' && (lines <= 1 || (lines == 2 && s[text->len - 1] != '\n'));
    return paragraph;
}

enum { MOST_OPEN = 16 };
struct opened {
    char mark;
    size_t length, at;
};

/* Takes a run of *, _ or ~ as the end of what is open, or as a beginning. */
static void take_run(struct opened *open, size_t *count, const char *s, size_t at, size_t n, size_t from, size_t end)
{
    bool after_space = at == from || g_ascii_isspace(s[at - 1]), before_space = at + n == end || g_ascii_isspace(s[at + n]);
    if (!after_space)
        for (size_t i = *count; i-- > 0;)
            if (open[i].mark == s[at] && open[i].length <= n) {
                *count = i;
                return;
            }
    if (!before_space && *count < MOST_OPEN && (s[at] != '~' || n == 2) && (s[at] != '_' || after_space) && n <= 3)
        open[(*count)++] = (struct opened){s[at], n, at};
}

/* A link whose target is not whole becomes its text. */
static void complete_link(GString *text, size_t bracket, size_t target)
{
    if (target)
        g_string_truncate(text, target);
    g_string_erase(text, (gssize)bracket, 1);
    if (bracket && text->str[bracket - 1] == '!')
        g_string_erase(text, (gssize)bracket - 1, 1);
}

static void complete_paragraph(GString *text, size_t from)
{
    struct opened open[MOST_OPEN];
    size_t count = 0, bracket = SIZE_MAX, target = 0;
    const char *s = text->str;
    for (size_t at = from; at < text->len;) {
        size_t n = run_length(s, at, text->len);
        if (s[at] == '\\') {
            at += 2;
        } else if (s[at] == '`') {
            size_t end = code_end(s, at, text->len);
            if (end == at) { /* the rest is code */
                char *run = g_strndup(s + at, n);
                if (at + n == text->len)
                    g_string_truncate(text, at);
                else
                    g_string_append(text, run);
                g_free(run);
                break;
            }
            at = end;
        } else if (strchr("*_~", s[at])) {
            take_run(open, &count, s, at, n, from, text->len);
            at += n;
        } else if (s[at] == '[') {
            bracket = at++;
            target = 0;
        } else if (s[at] == ']' && bracket != SIZE_MAX) {
            if (at + 1 < text->len && s[at + 1] == '(')
                target = at;
            else if (at + 1 < text->len)
                bracket = SIZE_MAX;
            at++;
        } else if (s[at] == ')' && target) {
            bracket = SIZE_MAX;
            target = 0;
            at++;
        } else {
            at++;
        }
    }
    if (bracket != SIZE_MAX && !is_only_marks(s, bracket, text->len)) {
        while (count && target && open[count - 1].at > target)
            count--;
        size_t before = target ? target : text->len;
        complete_link(text, bracket, target);
        for (size_t i = 0; i < count; i++)
            if (open[i].at > bracket)
                open[i].at -= before - text->len;
    }
    /* Marks at the very end may become longer ones, and close what is open. */
    size_t end = text->len;
    while (end > from && g_ascii_isspace(text->str[end - 1]))
        end--;
    size_t marks = end;
    while (marks > from && strchr("*_~", text->str[marks - 1]))
        marks--;
    if (end == text->len && marks < end && !(marks > from && text->str[marks - 1] == '\\') &&
        (count || marks == from || g_ascii_isspace(text->str[marks - 1])))
        end = marks;
    while (count && open[count - 1].at + open[count - 1].length >= end) { /* nothing follows it */
        end = MIN(end, open[count - 1].at);
        count--;
    }
    GString *rest = g_string_new(NULL);
    while (count--)
        for (size_t i = 0; i < open[count].length; i++)
            g_string_append_c(rest, open[count].mark);
    if (end < text->len || rest->len) {
        g_string_truncate(text, end);
        g_string_append_len(text, rest->str, (gssize)rest->len);
    }
    g_string_free(rest, TRUE);
}

void we_markdown_complete(GString *text)
{
    bool table, fenced;
    size_t paragraph = last_paragraph(text, &table, &fenced);
    if (text->len == 0)
        return;
    const char *newline = strrchr(text->str, '\n');
    size_t line = newline ? (size_t)(newline - text->str) + 1 : 0;
    if (fenced) { /* the beginning of the fence that ends it */
        size_t at = past_marks(text->str, line, text->len);
        if (at < text->len && is_only_marks(text->str, at, text->len) && strchr("`~", text->str[at]))
            g_string_truncate(text, line);
        return;
    }
    if (table) {
        g_string_truncate(text, paragraph);
        return;
    }
    if (is_only_marks(text->str, line, text->len)) {
        g_string_truncate(text, line);
        if (paragraph > line)
            paragraph = line;
        if (text->len && paragraph < text->len)
            complete_paragraph(text, paragraph);
        return;
    }
    if (paragraph < text->len)
        complete_paragraph(text, paragraph);
}
