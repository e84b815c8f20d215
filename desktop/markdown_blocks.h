/* The widgets of a markdown_view: one for each block. */
#ifndef WE_DESKTOP_MARKDOWN_BLOCKS_H
#define WE_DESKTOP_MARKDOWN_BLOCKS_H

#include "markdown_model.h"

#include <gtk/gtk.h>

/* Makes the children of `parent` from the `first` one on show these blocks: children that look alike are left alone, those of
 * the same kind are changed, the others replaced. depth: of lists. */
void we_markdown_show_blocks(GtkWidget *parent, GtkWidget *first_child, struct we_markdown_block *const *blocks, size_t count,
                             int depth);

/* A label of running text with links; and what it shows, a selection being kept where the text allows. */
GtkWidget *we_markdown_label_new(void);
void we_markdown_label_set_markup(GtkWidget *label, const char *markup);

GtkWidget *we_markdown_code_new(void);
void we_markdown_code_set(GtkWidget *code, const char *text, const char *language);

GtkWidget *we_markdown_table_new(void);
void we_markdown_table_set(GtkWidget *table, const struct we_markdown_block *block);

#endif
