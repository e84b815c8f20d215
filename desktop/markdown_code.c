/* Blocks of code and tables: what may be wider than the page scrolls sideways by itself. */
#include "markdown_blocks.h"

#include <glib/gi18n.h>

enum {
    CHUNK_LINES = 48, /* a label each: one that is added to is laid out anew as a whole */
    CELL_CHARACTERS = 42
};

static GtkWidget *sideways(GtkWidget *child)
{
    GtkWidget *scroller = gtk_scrolled_window_new();
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(scroller), GTK_POLICY_AUTOMATIC, GTK_POLICY_NEVER);
    gtk_scrolled_window_set_propagate_natural_width(GTK_SCROLLED_WINDOW(scroller), TRUE);
    gtk_scrolled_window_set_propagate_natural_height(GTK_SCROLLED_WINDOW(scroller), TRUE);
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(scroller), child);
    return scroller;
}

/* ---- code ---- */

struct code {
    GtkWidget *language, *copy, *lines;
    char *text;
    guint back; /* the source that gives the copy button its picture back */
};

static void free_code(gpointer data)
{
    struct code *code = data;
    g_clear_handle_id(&code->back, g_source_remove);
    g_free(code->text);
    g_free(code);
}

static const char code_key[] = "we-markdown-code";

static gboolean picture_back(gpointer data)
{
    struct code *code = data;
    gtk_button_set_icon_name(GTK_BUTTON(code->copy), "edit-copy-symbolic");
    code->back = 0;
    return G_SOURCE_REMOVE;
}

static void on_copy(GtkButton *button, gpointer data)
{
    struct code *code = data;
    gdk_clipboard_set_text(gtk_widget_get_clipboard(GTK_WIDGET(button)), code->text);
    gtk_button_set_icon_name(button, "object-select-symbolic");
    g_clear_handle_id(&code->back, g_source_remove);
    code->back = g_timeout_add(1500, picture_back, code);
}

GtkWidget *we_markdown_code_new(void)
{
    struct code *code = g_new0(struct code, 1);
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0), *head = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    gtk_widget_add_css_class(box, "code");
    gtk_widget_add_css_class(head, "head");
    gtk_widget_set_overflow(box, GTK_OVERFLOW_HIDDEN);
    code->language = gtk_label_new(NULL);
    gtk_label_set_xalign(GTK_LABEL(code->language), 0);
    gtk_label_set_ellipsize(GTK_LABEL(code->language), PANGO_ELLIPSIZE_END);
    gtk_widget_set_hexpand(code->language, TRUE);
    code->copy = gtk_button_new_from_icon_name("edit-copy-symbolic");
    gtk_widget_add_css_class(code->copy, "flat");
    gtk_widget_set_valign(code->copy, GTK_ALIGN_CENTER);
    gtk_widget_set_tooltip_text(code->copy, _("Copy the code"));
    gtk_accessible_update_property(GTK_ACCESSIBLE(code->copy), GTK_ACCESSIBLE_PROPERTY_LABEL, _("Copy the code"), -1);
    g_signal_connect(code->copy, "clicked", G_CALLBACK(on_copy), code);
    code->lines = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
    gtk_widget_add_css_class(code->lines, "text");
    gtk_box_append(GTK_BOX(head), code->language);
    gtk_box_append(GTK_BOX(head), code->copy);
    gtk_box_append(GTK_BOX(box), head);
    gtk_box_append(GTK_BOX(box), sideways(code->lines));
    g_object_set_data_full(G_OBJECT(box), code_key, code, free_code);
    return box;
}

static GtkWidget *new_chunk(void)
{
    GtkWidget *label = gtk_label_new(NULL);
    gtk_label_set_selectable(GTK_LABEL(label), TRUE);
    gtk_label_set_xalign(GTK_LABEL(label), 0);
    return label;
}

static void set_text(GtkWidget *label, const char *text)
{
    int from, to;
    gboolean selected = gtk_label_get_selection_bounds(GTK_LABEL(label), &from, &to);
    gtk_label_set_text(GTK_LABEL(label), text);
    if (selected && g_utf8_strlen(text, -1) >= to)
        gtk_label_select_region(GTK_LABEL(label), from, to);
}

static const char *chunk_end(const char *text)
{
    for (int i = 0; i < CHUNK_LINES; i++) {
        const char *newline = strchr(text, '\n');
        if (newline == NULL)
            return text + strlen(text);
        text = newline + 1;
    }
    return text;
}

void we_markdown_code_set(GtkWidget *widget, const char *text, const char *language)
{
    struct code *code = g_object_get_data(G_OBJECT(widget), code_key);
    GtkWidget *label = gtk_widget_get_first_child(code->lines);
    if (g_strcmp0(gtk_label_get_text(GTK_LABEL(code->language)), language) != 0)
        gtk_label_set_text(GTK_LABEL(code->language), language);
    const char *old = code->text;
    gboolean same = old != NULL; /* so far */
    for (const char *at = text; *at || at == text;) {
        const char *end = chunk_end(at);
        size_t length = (size_t)(end - at);
        same = same && strncmp(old, at, length) == 0 && (*end == '\0') == (old[length] == '\0');
        if (label == NULL) {
            label = new_chunk();
            gtk_box_append(GTK_BOX(code->lines), label);
            same = FALSE;
        }
        if (!same) {
            /* The newline between two chunks is that of the box. */
            char *chunk = g_strndup(at, *end && length ? length - 1 : length);
            if (strcmp(gtk_label_get_text(GTK_LABEL(label)), chunk) != 0 || *chunk == '\0')
                set_text(label, chunk);
            g_free(chunk);
        } else {
            old += length;
        }
        label = gtk_widget_get_next_sibling(label);
        if (*end == '\0')
            break;
        at = end;
    }
    while (label) {
        GtkWidget *next = gtk_widget_get_next_sibling(label);
        gtk_box_remove(GTK_BOX(code->lines), label);
        label = next;
    }
    g_free(code->text);
    code->text = g_strdup(text);
    char *name = language[0] ? g_strdup_printf(_("Code in %s"), language) : g_strdup(_("Code"));
    gtk_accessible_update_property(GTK_ACCESSIBLE(widget), GTK_ACCESSIBLE_PROPERTY_LABEL, name, -1);
    g_free(name);
}

/* ---- tables ---- */

struct table {
    GtkWidget *grid;
    uint32_t rows, columns;
};

static const char table_key[] = "we-markdown-table";

GtkWidget *we_markdown_table_new(void)
{
    struct table *table = g_new0(struct table, 1);
    table->grid = gtk_grid_new();
    GtkWidget *scroller = sideways(table->grid);
    gtk_widget_add_css_class(scroller, "table");
    gtk_widget_set_overflow(scroller, GTK_OVERFLOW_HIDDEN);
    gtk_widget_set_halign(scroller, GTK_ALIGN_START);
    gtk_accessible_update_property(GTK_ACCESSIBLE(scroller), GTK_ACCESSIBLE_PROPERTY_LABEL, _("Table"), -1);
    g_object_set_data_full(G_OBJECT(scroller), table_key, table, g_free);
    return scroller;
}

static GtkWidget *new_cell(struct table *table, uint32_t row, uint32_t column)
{
    GtkWidget *label = we_markdown_label_new();
    gtk_widget_set_hexpand(label, TRUE);
    if (row == 0)
        gtk_widget_add_css_class(label, "header");
    gtk_grid_attach(GTK_GRID(table->grid), label, (int)column, (int)row, 1, 1);
    return label;
}

/* What scrolls asks its child for a height without telling a width: a cell has to know its own. */
static void set_cell(GtkWidget *label, const char *markup)
{
    we_markdown_label_set_markup(label, markup);
    gboolean wraps = g_utf8_strlen(gtk_label_get_text(GTK_LABEL(label)), -1) > CELL_CHARACTERS;
    gtk_label_set_wrap(GTK_LABEL(label), wraps);
    gtk_label_set_width_chars(GTK_LABEL(label), wraps ? CELL_CHARACTERS : -1);
    gtk_label_set_max_width_chars(GTK_LABEL(label), wraps ? CELL_CHARACTERS : -1);
}

void we_markdown_table_set(GtkWidget *widget, const struct we_markdown_block *block)
{
    struct table *table = g_object_get_data(G_OBJECT(widget), table_key);
    if (block->columns != table->columns) {
        GtkWidget *child;
        while ((child = gtk_widget_get_first_child(table->grid)) != NULL)
            gtk_grid_remove(GTK_GRID(table->grid), child);
        table->rows = 0;
    }
    table->columns = block->columns;
    while (table->rows > block->rows)
        gtk_grid_remove_row(GTK_GRID(table->grid), (int)--table->rows);
    for (uint32_t r = 0; r < block->rows; r++)
        for (uint32_t c = 0; c < block->columns; c++) {
            GtkWidget *label =
                r < table->rows ? gtk_grid_get_child_at(GTK_GRID(table->grid), (int)c, (int)r) : new_cell(table, r, c);
            char side = block->alignment[c];
            gtk_label_set_xalign(GTK_LABEL(label), side == 'r' ? 1.0f : side == 'c' ? 0.5f : 0.0f);
            gtk_label_set_justify(GTK_LABEL(label), side == 'r'   ? GTK_JUSTIFY_RIGHT
                                                    : side == 'c' ? GTK_JUSTIFY_CENTER
                                                                  : GTK_JUSTIFY_LEFT);
            set_cell(label, block->cells[(size_t)r * block->columns + c]);
            if (r + 1 == block->rows)
                gtk_widget_add_css_class(label, "last");
            else
                gtk_widget_remove_css_class(label, "last");
        }
    table->rows = block->rows;
}
