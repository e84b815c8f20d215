#include "markdown_model.h"

#include "base/str.h"

#include <string.h>

struct we_markdown {
    GString *source;
    char partial[4]; /* the beginning of a character that is not whole */
    size_t num_partial;
    bool after_return; /* the last byte was \r, which ended a line */
    GPtrArray *blocks; /* of struct we_markdown_block * */
    size_t closed;     /* blocks that no more text can change */
    uint32_t items;    /* of the first one that is open, if it is a list: those that no more text can change */
    size_t tail;       /* where the text of what is open begins */
    size_t parsed;     /* bytes of the source when the blocks were made */
    bool was_final;
    GString *references; /* lines of the closed text that define links */
};

static void free_block(gpointer block)
{
    we_markdown_block_free(block);
}

struct we_markdown *we_markdown_new(void)
{
    struct we_markdown *m = g_new0(struct we_markdown, 1);
    m->source = g_string_new(NULL);
    m->references = g_string_new(NULL);
    m->blocks = g_ptr_array_new_with_free_func(free_block);
    return m;
}

void we_markdown_free(struct we_markdown *m)
{
    if (m == NULL)
        return;
    g_string_free(m->source, TRUE);
    g_string_free(m->references, TRUE);
    g_ptr_array_unref(m->blocks);
    g_free(m);
}

void we_markdown_clear(struct we_markdown *m)
{
    g_string_truncate(m->source, 0);
    g_string_truncate(m->references, 0);
    g_ptr_array_set_size(m->blocks, 0);
    m->num_partial = m->closed = m->items = m->tail = m->parsed = 0;
    m->after_return = m->was_final = false;
}

/* ---- text ---- */

static const char replacement[] = "\xEF\xBF\xBD";

/* cmark ends lines at \r, too; here each is \n, so that lines can be counted. */
static void append_valid(struct we_markdown *m, const char *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        size_t run = i;
        while (run < length && text[run] != '\r' && text[run] != '\0' && !(text[run] == '\n' && m->after_return)) {
            m->after_return = false;
            run++;
        }
        g_string_append_len(m->source, text + i, (gssize)(run - i));
        i = run;
        if (i == length)
            break;
        if (text[i] == '\r')
            g_string_append_c(m->source, '\n');
        else if (text[i] == '\0')
            g_string_append(m->source, replacement);
        m->after_return = text[i] == '\r';
        i++;
    }
}

static void drop_partial(struct we_markdown *m)
{
    for (; m->num_partial; m->num_partial--)
        append_valid(m, replacement, strlen(replacement));
}

void we_markdown_append(struct we_markdown *m, const char *text, size_t length)
{
    char joined[8];
    while (m->num_partial && length) { /* byte by byte until the character is whole, or is none */
        memcpy(joined, m->partial, m->num_partial);
        joined[m->num_partial] = *text;
        struct we_str s = we_str(joined, m->num_partial + 1);
        if (we_utf8_valid_prefix(s) == s.length) {
            append_valid(m, s.data, s.length);
            m->num_partial = 0;
        } else if (we_utf8_incomplete_suffix(s) == s.length) {
            m->partial[m->num_partial++] = *text;
        } else {
            drop_partial(m);
            continue; /* this byte begins anew */
        }
        text++;
        length--;
    }
    while (length) {
        size_t valid = we_utf8_valid_prefix(we_str(text, length));
        append_valid(m, text, valid);
        text += valid;
        length -= valid;
        if (length == 0)
            break;
        if (we_utf8_incomplete_suffix(we_str(text, length)) == length) {
            memcpy(m->partial, text, length);
            m->num_partial = length;
            break;
        }
        append_valid(m, replacement, 3);
        text++;
        length--;
    }
}

const char *we_markdown_source(const struct we_markdown *m, size_t *length)
{
    if (length)
        *length = m->source->len;
    return m->source->str;
}

/* ---- blocks ---- */

static size_t line_offset(const char *text, size_t length, int line)
{
    size_t at = 0;
    for (; line > 1; line--) {
        const char *end = memchr(text + at, '\n', length - at);
        if (end == NULL)
            return length;
        at = (size_t)(end - text) + 1;
    }
    return at;
}

/* Definitions of links in text that will not be parsed again: what follows may use them. */
static void keep_references(struct we_markdown *m, const char *text, size_t length)
{
    enum { MOST = 16 << 10 };
    bool in_fence = false;
    for (size_t at = 0; at < length;) {
        const char *end = memchr(text + at, '\n', length - at);
        size_t next = end ? (size_t)(end - text) + 1 : length, i = at;
        while (i < next && i < at + 4 && text[i] == ' ')
            i++;
        if (i + 3 <= next && (strncmp(text + i, "```", 3) == 0 || strncmp(text + i, "~~~", 3) == 0))
            in_fence = !in_fence;
        if (!in_fence && i < at + 4 && i < next && text[i] == '[' && text[i + 1] != '^') {
            const char *close = memchr(text + i, ']', next - i);
            if (close && close + 1 < text + next && close[1] == ':' && m->references->len + (next - at) < MOST) {
                g_string_append_len(m->references, text + at, (gssize)(next - at));
                g_string_append_c(m->references, '\n');
            }
        }
        at = next;
    }
}

static int count_lines(const char *text)
{
    int n = 0;
    for (; (text = strchr(text, '\n')) != NULL; text++)
        n++;
    return n;
}

/* Makes the blocks that are open anew; `blocks` begins with those that are closed, and after them the list whose first items
 * are. */
static void parse_tail(struct we_markdown *m, bool final, struct we_markdown_end *end)
{
    size_t length = m->source->len - m->tail;
    GString *tail = g_string_sized_new(m->references->len + length + 64);
    struct we_markdown_block *list = NULL;
    int references = count_lines(m->references->str);
    g_string_append_len(tail, m->references->str, (gssize)m->references->len);
    we_markdown_protect_math(m->source->str + m->tail, length, tail);
    if (!final)
        we_markdown_complete(tail);
    if (m->items) {
        list = m->blocks->pdata[m->closed];
        we_markdown_cut_list(list, m->items);
        g_ptr_array_set_size(m->blocks, (int)m->closed + 1);
    } else {
        g_ptr_array_set_size(m->blocks, (int)m->closed);
    }
    size_t first = m->blocks->len;
    we_markdown_parse(tail->str, tail->len, m->blocks, end);
    g_string_free(tail, TRUE);
    if (list && m->blocks->len > first && we_markdown_join_lists(list, m->blocks->pdata[first])) {
        m->blocks->pdata[first] = NULL;
        g_ptr_array_remove_index(m->blocks, (guint)first);
    }
    end->last_block = end->last_block > references ? end->last_block - references : 0;
    end->last_item = end->last_item > references ? end->last_item - references : 0;
}

size_t we_markdown_update(struct we_markdown *m, bool final)
{
    struct we_markdown_end end;
    if (final)
        drop_partial(m);
    if (m->parsed == m->source->len && m->was_final == final)
        return m->blocks->len;
    if (final) { /* a definition may stand behind what uses it */
        m->closed = m->items = m->tail = 0;
        g_string_truncate(m->references, 0);
    }
    size_t first = m->closed;
    parse_tail(m, final, &end);
    m->parsed = m->source->len;
    m->was_final = final;
    /* What begins behind another block, or behind another item of a list, closes that. */
    const char *text = m->source->str + m->tail;
    size_t length = m->source->len - m->tail, count = m->blocks->len;
    bool new_block = count > m->closed + 1, new_item = end.last_item != 0;
    if (count && (new_block || new_item) && end.last_block) {
        size_t offset = line_offset(text, length, new_item ? end.last_item : end.last_block);
        const struct we_markdown_block *last = m->blocks->pdata[count - 1];
        keep_references(m, text, offset);
        m->tail += offset;
        m->closed = count - 1;
        m->items = new_item ? last->num_children - 1 : 0;
    }
    return first;
}

struct we_markdown_block *const *we_markdown_blocks(const struct we_markdown *m, size_t *count)
{
    *count = m->blocks->len;
    return (struct we_markdown_block *const *)m->blocks->pdata;
}
