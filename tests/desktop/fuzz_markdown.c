/* Any bytes as Markdown: markup that is well-formed and holds no more than we put there, the same end however the text is cut.
 */
#include "markdown_model.h"

#include "base/str.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

/* The elements that markup may have. */
static void on_element(GMarkupParseContext *context, const char *name, const char **keys, const char **values, gpointer data,
                       GError **error)
{
    (void)context;
    (void)data;
    (void)error;
    static const char *const names[] = {"markup", "a", "b", "i", "s", "span"};
    bool known = false;
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        known |= strcmp(name, names[i]) == 0;
    must(known);
    for (size_t i = 0; keys[i]; i++) {
        if (strcmp(name, "a") == 0)
            must(g_ascii_strncasecmp(values[i], "http://", 7) == 0 || g_ascii_strncasecmp(values[i], "https://", 8) == 0 ||
                 g_ascii_strncasecmp(values[i], "mailto:", 7) == 0);
        else
            must(strcmp(name, "span") == 0 &&
                 (strcmp(values[i], "monospace") == 0 || strcmp(values[i], "#808080") == 0 || strcmp(values[i], "18%") == 0));
    }
}

static void check_markup(const char *markup)
{
    static const GMarkupParser parser = {.start_element = on_element};
    must(we_utf8_valid_prefix(we_str_c(markup)) == strlen(markup));
    GMarkupParseContext *context = g_markup_parse_context_new(&parser, 0, NULL, NULL);
    must(g_markup_parse_context_parse(context, "<markup>", -1, NULL));
    must(g_markup_parse_context_parse(context, markup, -1, NULL));
    must(g_markup_parse_context_parse(context, "</markup>", -1, NULL));
    must(g_markup_parse_context_end_parse(context, NULL));
    g_markup_parse_context_free(context);
}

static void check_block(const struct we_markdown_block *b)
{
    bool has_markup = b->kind == WE_MARKDOWN_PARAGRAPH || b->kind == WE_MARKDOWN_HEADING;
    must(has_markup == (b->markup != NULL));
    must((b->kind == WE_MARKDOWN_CODE) == (b->text != NULL) && (b->text == NULL) == (b->language == NULL));
    must((b->kind == WE_MARKDOWN_TABLE) == (b->cells != NULL));
    if (b->markup)
        check_markup(b->markup);
    if (b->text)
        must(we_utf8_valid_prefix(we_str_c(b->text)) == strlen(b->text));
    for (uint32_t i = 0; b->cells && i < b->rows * b->columns; i++)
        check_markup(b->cells[i]);
    for (uint32_t i = 0; i < b->num_children; i++)
        check_block(b->children[i]);
}

static uint64_t check_all(const struct we_markdown *m)
{
    size_t count;
    uint64_t hash = 0;
    struct we_markdown_block *const *blocks = we_markdown_blocks(m, &count);
    for (size_t i = 0; i < count; i++) {
        check_block(blocks[i]);
        hash = hash * 31 + blocks[i]->hash;
    }
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct we_markdown *whole = we_markdown_new(), *streamed = we_markdown_new();
    we_markdown_append(whole, text, size);
    we_markdown_update(whole, true);
    size_t step = size / 24 + 1 + (size ? data[0] % 7 : 0);
    for (size_t at = 0; at < size; at += step) {
        size_t count;
        we_markdown_append(streamed, text + at, size - at < step ? size - at : step);
        size_t first = we_markdown_update(streamed, false);
        we_markdown_blocks(streamed, &count);
        must(first <= count + 1);
        check_all(streamed);
    }
    we_markdown_update(streamed, true);
    must(check_all(whole) == check_all(streamed));
    we_markdown_free(whole);
    we_markdown_free(streamed);
    return 0;
}
