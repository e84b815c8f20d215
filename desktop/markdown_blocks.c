#include "markdown_blocks.h"

#include <glib/gi18n.h>

/* ---- labels ---- */

static gboolean open_link(GtkLabel *label, const char *uri, gpointer data)
{
    (void)data;
    static const char *const schemes[] = {"http://", "https://", "mailto:"};
    for (size_t i = 0; i < G_N_ELEMENTS(schemes); i++)
        if (g_ascii_strncasecmp(uri, schemes[i], strlen(schemes[i])) == 0) {
            GtkRoot *root = gtk_widget_get_root(GTK_WIDGET(label));
            gtk_show_uri(GTK_IS_WINDOW(root) ? GTK_WINDOW(root) : NULL, uri, GDK_CURRENT_TIME);
            break;
        }
    return TRUE; /* nothing else is ever opened */
}

enum { LEAST_CHARACTERS = 8 };

static void set_up_label(GtkWidget *widget)
{
    GtkLabel *label = GTK_LABEL(widget);
    gtk_label_set_selectable(label, TRUE);
    gtk_label_set_wrap(label, TRUE);
    gtk_label_set_wrap_mode(label, PANGO_WRAP_WORD_CHAR);
    /* GTK would find the least width by breaking the text after every character, each time that it changes. */
    gtk_label_set_width_chars(label, LEAST_CHARACTERS);
    gtk_label_set_xalign(label, 0);
    gtk_label_set_yalign(label, 0);
    g_signal_connect(label, "activate-link", G_CALLBACK(open_link), NULL);
}

GtkWidget *we_markdown_label_new(void)
{
    GtkWidget *label = gtk_label_new(NULL);
    set_up_label(label);
    return label;
}

void we_markdown_label_set_markup(GtkWidget *label, const char *markup)
{
    int from, to;
    if (g_strcmp0(gtk_label_get_label(GTK_LABEL(label)), markup) == 0)
        return;
    gboolean selected = gtk_label_get_selection_bounds(GTK_LABEL(label), &from, &to);
    gtk_label_set_markup(GTK_LABEL(label), markup);
    if (selected && g_utf8_strlen(gtk_label_get_text(GTK_LABEL(label)), -1) >= to)
        gtk_label_select_region(GTK_LABEL(label), from, to);
}

/* ---- lists ---- */

static void set_marker(GtkWidget *label, const struct we_markdown_block *list, uint32_t index, int depth)
{
    static const char *const bullets[] = {"\xE2\x80\xA2", "\xE2\x97\xA6", "\xE2\x96\xAA"};
    const struct we_markdown_block *item = list->children[index];
    char number[16];
    const char *text = bullets[depth % 3];
    if (item->task != WE_MARKDOWN_NO_TASK) {
        text = item->task == WE_MARKDOWN_DONE ? "\xE2\x98\x91" : "\xE2\x98\x90";
    } else if (list->ordered) {
        g_snprintf(number, sizeof number, "%u.", (guint)(list->first + index));
        text = number;
    }
    if (g_strcmp0(gtk_label_get_text(GTK_LABEL(label)), text) != 0)
        gtk_label_set_text(GTK_LABEL(label), text);
    if (item->task == WE_MARKDOWN_DONE)
        gtk_widget_add_css_class(label, "done");
    else
        gtk_widget_remove_css_class(label, "done");
}

static GtkWidget *vertical_box(int spacing)
{
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, spacing);
    gtk_widget_set_hexpand(box, TRUE);
    return box;
}

/* A row of the marker and the item's blocks. */
static GtkWidget *new_item(void)
{
    GtkWidget *row = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 8), *marker = gtk_label_new(NULL);
    gtk_widget_add_css_class(marker, "marker");
    gtk_label_set_xalign(GTK_LABEL(marker), 1);
    gtk_label_set_yalign(GTK_LABEL(marker), 0);
    gtk_widget_set_valign(marker, GTK_ALIGN_START);
    gtk_widget_set_size_request(marker, 18, -1);
    gtk_box_append(GTK_BOX(row), marker);
    gtk_box_append(GTK_BOX(row), vertical_box(6));
    return row;
}

static uint64_t item_hash(const struct we_markdown_block *list, uint32_t index)
{
    return list->children[index]->hash ^ (list->ordered ? (list->first + index + 1) * 0x9E3779B97F4A7C15u : 0);
}

/* What a widget shows, to know without a look into it whether it is up to date. */
static GQuark shows(void)
{
    return g_quark_from_static_string("we-markdown-shows");
}

static void set_shown(GtkWidget *widget, uint64_t hash)
{
    g_object_set_qdata(G_OBJECT(widget), shows(), GSIZE_TO_POINTER((gsize)hash));
}

static gboolean is_shown(GtkWidget *widget, uint64_t hash)
{
    return g_object_get_qdata(G_OBJECT(widget), shows()) == GSIZE_TO_POINTER((gsize)hash);
}

static void remove_from(GtkWidget *child)
{
    while (child) {
        GtkWidget *next = gtk_widget_get_next_sibling(child);
        gtk_widget_unparent(child);
        child = next;
    }
}

/* Rows stand in sections, so that a long list is not measured row by row when its last one grows. */
static void set_list(GtkWidget *box, const struct we_markdown_block *list, int depth)
{
    enum { SECTION_ROWS = 16 };
    GtkWidget *section = NULL, *row = NULL, *next = gtk_widget_get_first_child(box);
    int spacing = list->tight ? 4 : 8;
    if (gtk_box_get_spacing(GTK_BOX(box)) != spacing) {
        gtk_box_set_spacing(GTK_BOX(box), spacing);
        for (GtkWidget *at = next; at; at = gtk_widget_get_next_sibling(at))
            gtk_box_set_spacing(GTK_BOX(at), spacing);
    }
    for (uint32_t i = 0; i < list->num_children; i++) {
        if (i % SECTION_ROWS == 0) {
            section = next ? next : vertical_box(spacing);
            if (next == NULL)
                gtk_box_append(GTK_BOX(box), section);
            next = gtk_widget_get_next_sibling(section);
            row = gtk_widget_get_first_child(section);
        }
        if (row == NULL) {
            row = new_item();
            gtk_box_append(GTK_BOX(section), row);
        }
        if (!is_shown(row, item_hash(list, i))) {
            const struct we_markdown_block *item = list->children[i];
            GtkWidget *marker = gtk_widget_get_first_child(row), *body = gtk_widget_get_next_sibling(marker);
            set_marker(marker, list, i, depth);
            we_markdown_show_blocks(body, gtk_widget_get_first_child(body), item->children, item->num_children, depth + 1);
            set_shown(row, item_hash(list, i));
        }
        row = gtk_widget_get_next_sibling(row);
    }
    remove_from(row);
    remove_from(next);
}

/* ---- blocks ---- */

static GtkWidget *new_heading(uint32_t level)
{
    static const char *const classes[] = {"h1", "h2", "h3", "h4"};
    GtkWidget *label = g_object_new(GTK_TYPE_LABEL, "accessible-role", GTK_ACCESSIBLE_ROLE_HEADING, NULL);
    set_up_label(label);
    gtk_widget_add_css_class(label, classes[CLAMP(level, 1, 4) - 1]);
    gtk_accessible_update_property(GTK_ACCESSIBLE(label), GTK_ACCESSIBLE_PROPERTY_LEVEL, (int)level, -1);
    return label;
}

static GtkWidget *new_block(const struct we_markdown_block *block)
{
    GtkWidget *widget;
    switch (block->kind) {
    case WE_MARKDOWN_HEADING:
        return new_heading(block->level);
    case WE_MARKDOWN_CODE:
        return we_markdown_code_new();
    case WE_MARKDOWN_TABLE:
        return we_markdown_table_new();
    case WE_MARKDOWN_QUOTE:
        widget = vertical_box(8);
        gtk_widget_add_css_class(widget, "quote");
        return widget;
    case WE_MARKDOWN_LIST:
    case WE_MARKDOWN_ITEM:
        return vertical_box(4);
    case WE_MARKDOWN_RULE:
        return gtk_separator_new(GTK_ORIENTATION_HORIZONTAL);
    case WE_MARKDOWN_PARAGRAPH:
        break;
    }
    return we_markdown_label_new();
}

static void set_block(GtkWidget *widget, const struct we_markdown_block *block, int depth)
{
    switch (block->kind) {
    case WE_MARKDOWN_PARAGRAPH:
    case WE_MARKDOWN_HEADING:
        we_markdown_label_set_markup(widget, block->markup);
        break;
    case WE_MARKDOWN_CODE:
        we_markdown_code_set(widget, block->text, block->language);
        break;
    case WE_MARKDOWN_TABLE:
        we_markdown_table_set(widget, block);
        break;
    case WE_MARKDOWN_LIST:
        set_list(widget, block, depth);
        break;
    case WE_MARKDOWN_QUOTE:
    case WE_MARKDOWN_ITEM:
        we_markdown_show_blocks(widget, gtk_widget_get_first_child(widget), block->children, block->num_children, depth);
        break;
    case WE_MARKDOWN_RULE:
        break;
    }
    set_shown(widget, block->hash);
}

/* Kind and level: widgets of one shape show any block of it. */
static gsize shape(const struct we_markdown_block *block)
{
    return 1 + (gsize)block->kind * 8 + block->level;
}

void we_markdown_show_blocks(GtkWidget *parent, GtkWidget *child, struct we_markdown_block *const *blocks, size_t count,
                             int depth)
{
    static const char shape_key[] = "we-markdown-shape";
    for (size_t i = 0; i < count; i++) {
        if (child && GPOINTER_TO_SIZE(g_object_get_data(G_OBJECT(child), shape_key)) != shape(blocks[i])) {
            GtkWidget *other = new_block(blocks[i]);
            gtk_widget_insert_before(other, parent, child);
            gtk_widget_unparent(child);
            child = other;
        } else if (child == NULL) {
            child = new_block(blocks[i]);
            gtk_widget_insert_before(child, parent, NULL);
        } else if (is_shown(child, blocks[i]->hash)) {
            child = gtk_widget_get_next_sibling(child);
            continue;
        }
        g_object_set_data(G_OBJECT(child), shape_key, GSIZE_TO_POINTER(shape(blocks[i])));
        set_block(child, blocks[i], depth);
        child = gtk_widget_get_next_sibling(child);
    }
    while (child) {
        GtkWidget *next = gtk_widget_get_next_sibling(child);
        gtk_widget_unparent(child);
        child = next;
    }
}
