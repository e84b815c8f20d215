/* Markdown as widgets, for text that streams. More text changes the last blocks alone: what stands above them keeps its
 * widgets, and a selection in any of them is kept. Links open in the browser, if they are of http, https or mailto; nothing is
 * loaded, and no HTML is more than text. All functions are for the main thread. */
#ifndef WE_DESKTOP_MARKDOWN_VIEW_H
#define WE_DESKTOP_MARKDOWN_VIEW_H

#include <gtk/gtk.h>

#define WE_TYPE_MARKDOWN_VIEW (we_markdown_view_get_type())
G_DECLARE_FINAL_TYPE(WeMarkdownView, we_markdown_view, WE, MARKDOWN_VIEW, GtkWidget)

GtkWidget *we_markdown_view_new(void);
/* A whole text, shown at once. */
void we_markdown_view_set_text(WeMarkdownView *view, const char *text, size_t length);
/* More of it, in pieces cut anywhere: shown with the next frame, or a later one where the last took long. */
void we_markdown_view_append(WeMarkdownView *view, const char *text, size_t length);
/* No more will come: what was shown as if it were whole is shown as it is, at once unless the text is long. */
void we_markdown_view_finish(WeMarkdownView *view);

/* Shows now what waits for the next frame. */
void we_markdown_view_flush(WeMarkdownView *view);
/* Longest time that bringing the widgets up to date took so far, in microseconds. */
gint64 we_markdown_view_longest_update(WeMarkdownView *view);

#endif
