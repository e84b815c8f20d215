/* Markdown (GitHub's, by cmark-gfm) as blocks that widgets are made of, for text that streams: more text parses only the last
 * block anew, and of a list the last item. It needs no display. Nothing of the text is ever loaded or run, and all of it is
 * escaped in markup. */
#ifndef WE_DESKTOP_MARKDOWN_MODEL_H
#define WE_DESKTOP_MARKDOWN_MODEL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum we_markdown_kind {
    WE_MARKDOWN_PARAGRAPH, /* markup; HTML is one, as text */
    WE_MARKDOWN_HEADING,   /* level, markup */
    WE_MARKDOWN_CODE,      /* text, language */
    WE_MARKDOWN_TABLE,     /* columns, rows, alignment, cells */
    WE_MARKDOWN_QUOTE,     /* children */
    WE_MARKDOWN_LIST,      /* ordered, first, tight; the children are items */
    WE_MARKDOWN_ITEM,      /* task, children */
    WE_MARKDOWN_RULE
};

enum we_markdown_task { WE_MARKDOWN_NO_TASK, WE_MARKDOWN_TO_DO, WE_MARKDOWN_DONE };

struct we_markdown_block {
    enum we_markdown_kind kind;
    uint64_t hash;  /* of all that is shown of it: equal hashes look alike */
    uint32_t level; /* 1 to 6 */
    uint32_t first; /* number of an ordered list's first item */
    bool ordered, tight;
    enum we_markdown_task task;
    char *markup;                        /* Pango's; links are <a href> with http, https or mailto */
    char *text;                          /* of code: without its last newline */
    char *language;                      /* of code; "": none is told */
    uint32_t columns, rows;              /* the first row is the header */
    char *alignment;                     /* (columns): 'l', 'c', 'r' */
    char **cells;                        /* (rows * columns): markup */
    struct we_markdown_block **children; /* (num_children) */
    uint32_t num_children;
};

struct we_markdown; /* opaque */

struct we_markdown *we_markdown_new(void);
void we_markdown_free(struct we_markdown *markdown);
void we_markdown_clear(struct we_markdown *markdown);

/* More text, in pieces cut anywhere. What is no UTF-8, and NUL, becomes U+FFFD. */
void we_markdown_append(struct we_markdown *markdown, const char *text, size_t length);
/* The text as it was appended (but for what was replaced); terminated. */
const char *we_markdown_source(const struct we_markdown *markdown, size_t *length);

/* Brings the blocks up to date with the text; returns the index of the first one that may have changed. While more is to come
 * (final false) what is not whole at the end is shown as it will look: emphasis, code and links are closed, and marks that may
 * become something else are held back. */
size_t we_markdown_update(struct we_markdown *markdown, bool final);
struct we_markdown_block *const *we_markdown_blocks(const struct we_markdown *markdown, size_t *count);

/* ---- its parts ---- */

/* Where the end of a text begins: lines from 1; 0: there is none. */
struct we_markdown_end {
    int last_block; /* at the top */
    int last_item;  /* of that block, if it is a list of several */
};
/* The blocks of a whole text (UTF-8 without NUL, lines ended by \n), appended to an array of struct we_markdown_block *. */
void we_markdown_parse(const char *text, size_t length, GPtrArray *blocks, struct we_markdown_end *end);
/* Puts the items of `more`, which is used up, behind those of a list that is alike; false, and nothing is done, if it is not.
 */
bool we_markdown_join_lists(struct we_markdown_block *list, struct we_markdown_block *more);
/* The first `count` items are left. */
void we_markdown_cut_list(struct we_markdown_block *list, uint32_t count);
void we_markdown_block_free(struct we_markdown_block *block);

/* Math (\( \), \[ \], $ $, $$ $$) is text: what Markdown would make of it is escaped. As many lines as before. */
void we_markdown_protect_math(const char *text, size_t length, GString *out);
/* What is not whole at the end of `text` is closed or held back. */
void we_markdown_complete(GString *text);

#endif
