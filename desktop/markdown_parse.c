/* cmark's tree as blocks. */
#include "markdown_model.h"

#include "base/str.h"

#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm-extension_api.h>
#include <cmark-gfm.h>
#include <string.h>

/* Deeper text is shown, but not nested further; hostile text would nest without end. */
enum { MOST_NESTED = 12, MOST_INLINE = 64, MOST_COLUMNS = 64 };

void we_markdown_block_free(struct we_markdown_block *block)
{
    if (block == NULL)
        return;
    g_free(block->markup);
    g_free(block->text);
    g_free(block->language);
    g_free(block->alignment);
    for (uint32_t i = 0; block->cells && i < block->rows * block->columns; i++)
        g_free(block->cells[i]);
    g_free(block->cells);
    for (uint32_t i = 0; i < block->num_children; i++)
        we_markdown_block_free(block->children[i]);
    g_free(block->children);
    g_free(block);
}

/* ---- inline text ---- */

/* Controls are no XML, and mean nothing here. */
static void append_escaped(GString *out, const char *text)
{
    for (; text && *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '&')
            g_string_append(out, "&amp;");
        else if (c == '<')
            g_string_append(out, "&lt;");
        else if (c == '>')
            g_string_append(out, "&gt;");
        else if (c == '"')
            g_string_append(out, "&quot;");
        else if (c == '\'')
            g_string_append(out, "&#39;");
        else if (c >= ' ' || c == '\n' || c == '\t')
            g_string_append_c(out, (char)c);
    }
}

static bool may_open(const char *url)
{
    static const char *const schemes[] = {"http://", "https://", "mailto:"};
    for (size_t i = 0; url && i < G_N_ELEMENTS(schemes); i++)
        if (g_ascii_strncasecmp(url, schemes[i], strlen(schemes[i])) == 0 && url[strlen(schemes[i])] != '\0')
            return true;
    return false;
}

static bool is_type(cmark_node *node, const char *name)
{
    return strcmp(cmark_node_get_type_string(node), name) == 0;
}

static void append_inlines(GString *out, cmark_node *parent, int depth, bool in_link);

static void append_between(GString *out, const char *open, cmark_node *node, const char *close, int depth, bool in_link)
{
    g_string_append(out, open);
    append_inlines(out, node, depth, in_link);
    g_string_append(out, close);
}

static void append_link(GString *out, cmark_node *node, int depth, bool in_link)
{
    const char *url = cmark_node_get_url(node);
    bool link = !in_link && may_open(url);
    if (link) {
        g_string_append(out, "<a href=\"");
        append_escaped(out, url);
        g_string_append(out, "\" title=\"");
        append_escaped(out, url);
        g_string_append(out, "\">");
    }
    size_t before = out->len;
    append_inlines(out, node, depth, true);
    if (out->len == before) /* an image without a description, a link without a text */
        append_escaped(out, url);
    if (link)
        g_string_append(out, "</a>");
}

static void append_inline(GString *out, cmark_node *node, int depth, bool in_link)
{
    static const char code[] = "<span font_family=\"monospace\" background=\"#808080\" background_alpha=\"18%\">";
    switch (cmark_node_get_type(node)) {
    case CMARK_NODE_TEXT:
    case CMARK_NODE_HTML_INLINE:
        append_escaped(out, cmark_node_get_literal(node));
        break;
    case CMARK_NODE_SOFTBREAK: /* models break lines where they mean it */
    case CMARK_NODE_LINEBREAK:
        g_string_append_c(out, '\n');
        break;
    case CMARK_NODE_CODE:
        g_string_append(out, code);
        append_escaped(out, cmark_node_get_literal(node));
        g_string_append(out, "</span>");
        break;
    case CMARK_NODE_EMPH:
        append_between(out, "<i>", node, "</i>", depth, in_link);
        break;
    case CMARK_NODE_STRONG:
        append_between(out, "<b>", node, "</b>", depth, in_link);
        break;
    case CMARK_NODE_LINK:
    case CMARK_NODE_IMAGE:
        append_link(out, node, depth, in_link);
        break;
    default:
        if (is_type(node, "strikethrough"))
            append_between(out, "<s>", node, "</s>", depth, in_link);
        else
            append_inlines(out, node, depth, in_link);
    }
}

static void append_inlines(GString *out, cmark_node *parent, int depth, bool in_link)
{
    if (depth >= MOST_INLINE)
        return;
    for (cmark_node *node = cmark_node_first_child(parent); node; node = cmark_node_next(node))
        append_inline(out, node, depth + 1, in_link);
}

static char *inline_markup(cmark_node *node)
{
    GString *out = g_string_new(NULL);
    append_inlines(out, node, 0, false);
    return g_string_free(out, FALSE);
}

/* ---- blocks ---- */

static char *trimmed(const char *text)
{
    size_t length = text ? strlen(text) : 0;
    if (length && text[length - 1] == '\n')
        length--;
    return g_strndup(text ? text : "", length);
}

static char *escaped(const char *text)
{
    GString *out = g_string_new(NULL);
    char *line = trimmed(text);
    append_escaped(out, line);
    g_free(line);
    return g_string_free(out, FALSE);
}

/* "c" of "c title=x"; "{.c}" and the like of other dialects are taken as they are. */
static char *first_word(const char *info)
{
    size_t length = info ? strcspn(info, " \t\n") : 0;
    return g_strndup(info ? info : "", length);
}

static void read_table(struct we_markdown_block *block, cmark_node *node)
{
    uint32_t columns = cmark_gfm_extensions_get_table_columns(node), rows = 0;
    const uint8_t *alignment = cmark_gfm_extensions_get_table_alignments(node);
    uint32_t shown = columns < MOST_COLUMNS ? columns : MOST_COLUMNS;
    for (cmark_node *row = cmark_node_first_child(node); row; row = cmark_node_next(row))
        rows++;
    block->columns = shown;
    block->rows = rows;
    block->alignment = g_new0(char, shown + 1);
    block->cells = g_new0(char *, (size_t)rows *shown + 1);
    for (uint32_t i = 0; i < shown; i++)
        block->alignment[i] = alignment && (alignment[i] == 'c' || alignment[i] == 'r') ? (char)alignment[i] : 'l';
    uint32_t r = 0;
    for (cmark_node *row = cmark_node_first_child(node); row; row = cmark_node_next(row), r++) {
        uint32_t c = 0;
        for (cmark_node *cell = cmark_node_first_child(row); cell && c < shown; cell = cmark_node_next(cell), c++)
            block->cells[(size_t)r * shown + c] = inline_markup(cell);
        for (; c < shown; c++)
            block->cells[(size_t)r * shown + c] = g_strdup("");
    }
}

static uint64_t mix(uint64_t hash, const char *text)
{
    return text ? we_str_hash(we_str_c(text), hash) : hash * 31 + 1;
}

static void set_hash(struct we_markdown_block *b)
{
    uint64_t flags[] = {b->kind, b->level, b->first, b->ordered, b->tight, b->task, b->columns, b->rows, b->num_children};
    uint64_t hash = we_str_hash(we_str((const char *)flags, sizeof flags), 7);
    hash = mix(mix(mix(mix(hash, b->markup), b->text), b->language), b->alignment);
    for (uint32_t i = 0; b->cells && i < b->rows * b->columns; i++)
        hash = mix(hash, b->cells[i]);
    for (uint32_t i = 0; i < b->num_children; i++)
        hash = we_str_hash(we_str((const char *)&b->children[i]->hash, sizeof b->children[i]->hash), hash);
    b->hash = hash;
}

static void read_blocks(cmark_node *parent, int depth, GPtrArray *blocks);

static void read_children(struct we_markdown_block *block, cmark_node *node, int depth)
{
    GPtrArray *children = g_ptr_array_new();
    read_blocks(node, depth + 1, children);
    gsize count = 0;
    block->children = (struct we_markdown_block **)g_ptr_array_steal(children, &count);
    block->num_children = (uint32_t)count;
    g_ptr_array_unref(children);
}

/* All text below a node that is nested too deeply. */
static char *flat_markup(cmark_node *node)
{
    GString *out = g_string_new(NULL);
    cmark_iter *iter = cmark_iter_new(node);
    cmark_event_type event;
    while ((event = cmark_iter_next(iter)) != CMARK_EVENT_DONE) {
        cmark_node *at = cmark_iter_get_node(iter);
        const char *literal = event == CMARK_EVENT_ENTER ? cmark_node_get_literal(at) : NULL;
        if (literal && out->len)
            g_string_append_c(out, ' ');
        if (literal)
            append_escaped(out, literal);
    }
    cmark_iter_free(iter);
    return g_string_free(out, FALSE);
}

static struct we_markdown_block *read_block(cmark_node *node, int depth)
{
    struct we_markdown_block *b = g_new0(struct we_markdown_block, 1);
    cmark_node_type type = cmark_node_get_type(node);
    if (depth >= MOST_NESTED) {
        b->kind = WE_MARKDOWN_PARAGRAPH;
        b->markup = flat_markup(node);
    } else if (type == CMARK_NODE_HEADING) {
        b->kind = WE_MARKDOWN_HEADING;
        b->level = (uint32_t)cmark_node_get_heading_level(node);
        b->markup = inline_markup(node);
    } else if (type == CMARK_NODE_CODE_BLOCK) {
        b->kind = WE_MARKDOWN_CODE;
        b->text = trimmed(cmark_node_get_literal(node));
        b->language = first_word(cmark_node_get_fence_info(node));
    } else if (type == CMARK_NODE_HTML_BLOCK) {
        b->kind = WE_MARKDOWN_PARAGRAPH;
        b->markup = escaped(cmark_node_get_literal(node));
    } else if (type == CMARK_NODE_THEMATIC_BREAK) {
        b->kind = WE_MARKDOWN_RULE;
    } else if (type == CMARK_NODE_BLOCK_QUOTE) {
        b->kind = WE_MARKDOWN_QUOTE;
        read_children(b, node, depth);
    } else if (type == CMARK_NODE_LIST) {
        b->kind = WE_MARKDOWN_LIST;
        b->ordered = cmark_node_get_list_type(node) == CMARK_ORDERED_LIST;
        b->first = b->ordered ? (uint32_t)cmark_node_get_list_start(node) : 0;
        b->tight = cmark_node_get_list_tight(node) != 0;
        read_children(b, node, depth);
    } else if (type == CMARK_NODE_ITEM) {
        b->kind = WE_MARKDOWN_ITEM;
        if (is_type(node, "tasklist"))
            b->task = cmark_gfm_extensions_get_tasklist_item_checked(node) ? WE_MARKDOWN_DONE : WE_MARKDOWN_TO_DO;
        read_children(b, node, depth);
    } else if (is_type(node, "table")) {
        b->kind = WE_MARKDOWN_TABLE;
        read_table(b, node);
    } else {
        b->kind = WE_MARKDOWN_PARAGRAPH;
        b->markup = inline_markup(node);
    }
    set_hash(b);
    return b;
}

void we_markdown_cut_list(struct we_markdown_block *list, uint32_t count)
{
    while (list->num_children > count)
        we_markdown_block_free(list->children[--list->num_children]);
    set_hash(list);
}

bool we_markdown_join_lists(struct we_markdown_block *list, struct we_markdown_block *more)
{
    if (more->kind != WE_MARKDOWN_LIST || more->ordered != list->ordered)
        return false;
    uint32_t count = list->num_children + more->num_children;
    list->children = g_renew(struct we_markdown_block *, list->children, count);
    memcpy(list->children + list->num_children, more->children, more->num_children * sizeof *more->children);
    list->num_children = count;
    list->tight = list->tight && more->tight;
    more->num_children = 0;
    we_markdown_block_free(more);
    set_hash(list);
    return true;
}

static void read_blocks(cmark_node *parent, int depth, GPtrArray *blocks)
{
    for (cmark_node *node = cmark_node_first_child(parent); node; node = cmark_node_next(node))
        g_ptr_array_add(blocks, read_block(node, depth));
}

void we_markdown_parse(const char *text, size_t length, GPtrArray *blocks, struct we_markdown_end *end)
{
    static const char *const extensions[] = {"table", "strikethrough", "autolink", "tasklist"};
    static gsize registered;
    if (g_once_init_enter(&registered)) {
        cmark_gfm_core_extensions_ensure_registered();
        g_once_init_leave(&registered, 1);
    }
    cmark_parser *parser = cmark_parser_new(CMARK_OPT_DEFAULT | CMARK_OPT_STRIKETHROUGH_DOUBLE_TILDE);
    for (size_t i = 0; i < G_N_ELEMENTS(extensions); i++) {
        cmark_syntax_extension *extension = cmark_find_syntax_extension(extensions[i]);
        if (extension)
            cmark_parser_attach_syntax_extension(parser, extension);
    }
    cmark_parser_feed(parser, text, length);
    cmark_node *document = cmark_parser_finish(parser), *last = cmark_node_last_child(document);
    read_blocks(document, 0, blocks);
    *end = (struct we_markdown_end){.last_block = last ? cmark_node_get_start_line(last) : 0};
    if (last && cmark_node_get_type(last) == CMARK_NODE_LIST && cmark_node_first_child(last) != cmark_node_last_child(last))
        end->last_item = cmark_node_get_start_line(cmark_node_last_child(last));
    cmark_node_free(document);
    cmark_parser_free(parser);
}
