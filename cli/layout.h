/* How values and tables look. */
#ifndef WE_CLI_LAYOUT_H
#define WE_CLI_LAYOUT_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdint.h>

/* Each writes a terminated text and returns it. 32 bytes are enough. */
char *we_format_bytes(uint64_t bytes, char *out, size_t size);       /* "1.25 GB", powers of 1000 */
char *we_format_count(uint64_t count, char *out, size_t size);       /* "134.5 M", "3.82 B" */
char *we_format_grouped(uint64_t number, char *out, size_t size);    /* "131 072" */
char *we_format_age(int64_t seconds, char *out, size_t size);        /* "2 hours ago"; "-" if it is negative */

/* Control characters become '?': what a file says must not command the terminal. */
void we_make_printable(struct we_buf *text);

/* A table of short texts on standard output. Starts as {0}; cells are copied. On a terminal that is too narrow, columns are left
 * out, the last ones first, but for the first `keep` (or two); then the first one is shortened. */
enum { WE_TABLE_COLUMNS = 8 };
struct we_table {
    size_t columns, rows, capacity, keep;
    bool right[WE_TABLE_COLUMNS]; /* aligned to the right */
    char **cells;                 /* (rows, columns) */
    struct we_arena arena;
    bool failed;
};
/* `columns` texts; the first row is the heading. */
void we_table_add(struct we_table *table, const char *const *cells);
/* False: out of memory. */
bool we_table_print(const struct we_table *table);
void we_table_free(struct we_table *table);

/* "label   value" on standard output, labels dim and `width` columns wide; folded on a terminal that is narrower. */
void we_print_fact(unsigned width, const char *label, const char *format, ...) WE_PRINTF(3, 4);

/* Paragraphs, folded at `width` columns and set in by `indent`; the first line begins at column `at`. */
void we_fold(struct we_buf *out, const char *text, unsigned width, unsigned indent, unsigned at);
/* The same to standard output. */
void we_print_folded(const char *text, unsigned width, unsigned indent, unsigned at);

#endif
