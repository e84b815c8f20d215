#include "message_body.h"

#include "markdown_view.h"
#include "widgets.h"

enum { MOST_CHARACTERS = 60 /* of a line of what a person wrote */ };

static void free_text(gpointer text)
{
    g_string_free(text, TRUE);
}

GtkWidget *we_message_body_new(bool markdown)
{
    if (markdown)
        return we_markdown_view_new();
    GtkWidget *label = we_text_label("");
    gtk_label_set_max_width_chars(GTK_LABEL(label), MOST_CHARACTERS);
    g_object_set_data_full(G_OBJECT(label), "text", g_string_new(NULL), free_text);
    return label;
}

void we_message_body_set_text(GtkWidget *body, const char *text, size_t length)
{
    if (WE_IS_MARKDOWN_VIEW(body)) {
        we_markdown_view_set_text(WE_MARKDOWN_VIEW(body), text, length);
        return;
    }
    GString *whole = g_object_get_data(G_OBJECT(body), "text");
    g_string_truncate(whole, 0);
    we_message_body_append(body, text, length);
}

void we_message_body_append(GtkWidget *body, const char *text, size_t length)
{
    if (WE_IS_MARKDOWN_VIEW(body)) {
        we_markdown_view_append(WE_MARKDOWN_VIEW(body), text, length);
        return;
    }
    GString *whole = g_object_get_data(G_OBJECT(body), "text");
    g_string_append_len(whole, text, (gssize)length);
    gtk_label_set_text(GTK_LABEL(body), whole->str);
}

void we_message_body_finish(GtkWidget *body)
{
    if (WE_IS_MARKDOWN_VIEW(body))
        we_markdown_view_finish(WE_MARKDOWN_VIEW(body));
}
