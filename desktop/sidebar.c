#include "sidebar.h"

#include "widgets.h"

#include <glib/gi18n.h>

enum { MOST_ROWS = 300 };

struct _WeSidebar {
    GtkWidget parent;
    struct we_conversations *store;
    GtkWidget *box, *list, *stack, *empty, *scrolled;
    int64_t shown, answering;
};

G_DEFINE_FINAL_TYPE(WeSidebar, we_sidebar, GTK_TYPE_WIDGET)

static guint chosen_signal;

/* ---- rows ---- */

static const char ID[] = "conversation", DAY[] = "day", SPINNER[] = "spinner", TITLE[] = "title";

static int64_t id_of(GtkListBoxRow *row)
{
    int64_t *id = g_object_get_data(G_OBJECT(row), ID);
    return *id;
}

static GtkWidget *make_row(const struct we_conversation_row *conversation)
{
    GtkWidget *row = gtk_list_box_row_new(), *box = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    GtkWidget *title = gtk_label_new(conversation->title[0] ? conversation->title : _("New Chat"));
    gtk_label_set_ellipsize(GTK_LABEL(title), PANGO_ELLIPSIZE_END);
    gtk_label_set_xalign(GTK_LABEL(title), 0);
    gtk_widget_set_hexpand(title, TRUE);
    gtk_widget_set_tooltip_text(title, conversation->title);
    GtkWidget *spinner = gtk_spinner_new();
    gtk_widget_set_visible(spinner, FALSE);
    gtk_box_append(GTK_BOX(box), title);
    gtk_box_append(GTK_BOX(box), spinner);
    gtk_list_box_row_set_child(GTK_LIST_BOX_ROW(row), box);
    g_object_set_data_full(G_OBJECT(row), ID, g_memdup2(&conversation->id, sizeof conversation->id), g_free);
    g_object_set_data_full(G_OBJECT(row), DAY, we_day_text(conversation->updated), g_free);
    g_object_set_data(G_OBJECT(row), SPINNER, spinner);
    g_object_set_data(G_OBJECT(row), TITLE, title);
    we_name(row, gtk_label_get_text(GTK_LABEL(title)));
    return row;
}

static void set_header(GtkListBoxRow *row, GtkListBoxRow *before, gpointer data)
{
    (void)data;
    const char *day = g_object_get_data(G_OBJECT(row), DAY);
    const char *last = before ? g_object_get_data(G_OBJECT(before), DAY) : NULL;
    if (last && strcmp(day, last) == 0) {
        gtk_list_box_row_set_header(row, NULL);
        return;
    }
    GtkWidget *label = gtk_label_new(day);
    gtk_label_set_xalign(GTK_LABEL(label), 0);
    gtk_widget_add_css_class(label, "sidebar-heading");
    gtk_widget_add_css_class(label, "caption-heading");
    gtk_widget_add_css_class(label, "dim-label");
    gtk_list_box_row_set_header(row, label);
}

static void mark(WeSidebar *sidebar)
{
    gtk_list_box_unselect_all(GTK_LIST_BOX(sidebar->list));
    for (int i = 0;; i++) {
        GtkListBoxRow *row = gtk_list_box_get_row_at_index(GTK_LIST_BOX(sidebar->list), i);
        if (row == NULL)
            return;
        GtkWidget *spinner = g_object_get_data(G_OBJECT(row), SPINNER);
        gboolean answering = sidebar->answering && id_of(row) == sidebar->answering;
        gtk_widget_set_visible(spinner, answering);
        gtk_spinner_set_spinning(GTK_SPINNER(spinner), answering);
        if (sidebar->shown && id_of(row) == sidebar->shown)
            gtk_list_box_select_row(GTK_LIST_BOX(sidebar->list), row);
    }
}

void we_sidebar_select(WeSidebar *sidebar, int64_t shown, int64_t answering)
{
    sidebar->shown = shown;
    sidebar->answering = answering;
    mark(sidebar);
}

static bool add_row(void *context, const struct we_conversation_row *conversation)
{
    WeSidebar *sidebar = context;
    gtk_list_box_append(GTK_LIST_BOX(sidebar->list), make_row(conversation));
    return true;
}

void we_sidebar_refresh(WeSidebar *sidebar)
{
    struct we_error error;
    GtkListBoxRow *row;
    while ((row = gtk_list_box_get_row_at_index(GTK_LIST_BOX(sidebar->list), 0)))
        gtk_list_box_remove(GTK_LIST_BOX(sidebar->list), GTK_WIDGET(row));
    if (we_conversations_list(sidebar->store, 0, MOST_ROWS, add_row, sidebar, &error) != WE_OK)
        g_warning("%s", error.message);
    bool any = gtk_list_box_get_row_at_index(GTK_LIST_BOX(sidebar->list), 0) != NULL;
    gtk_stack_set_visible_child(GTK_STACK(sidebar->stack), any ? sidebar->scrolled : sidebar->empty);
    mark(sidebar);
}

static void on_activated(WeSidebar *sidebar, GtkListBoxRow *row)
{
    g_signal_emit(sidebar, chosen_signal, 0, (gint64)id_of(row), (gint64)0);
}

/* ---- its parts ---- */

static void dispose(GObject *object)
{
    g_clear_pointer(&WE_SIDEBAR(object)->box, gtk_widget_unparent);
    G_OBJECT_CLASS(we_sidebar_parent_class)->dispose(object);
}

static void we_sidebar_class_init(WeSidebarClass *klass)
{
    G_OBJECT_CLASS(klass)->dispose = dispose;
    gtk_widget_class_set_layout_manager_type(GTK_WIDGET_CLASS(klass), GTK_TYPE_BIN_LAYOUT);
    chosen_signal = g_signal_new("chosen", WE_TYPE_SIDEBAR, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 2,
                                 G_TYPE_INT64, G_TYPE_INT64);
}

static void we_sidebar_init(WeSidebar *sidebar)
{
    sidebar->box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
    gtk_widget_set_parent(sidebar->box, GTK_WIDGET(sidebar));
    sidebar->list = gtk_list_box_new();
    gtk_widget_add_css_class(sidebar->list, "navigation-sidebar");
    gtk_list_box_set_header_func(GTK_LIST_BOX(sidebar->list), set_header, NULL, NULL);
    we_name(sidebar->list, _("Conversations"));
    g_signal_connect_swapped(sidebar->list, "row-activated", G_CALLBACK(on_activated), sidebar);
    sidebar->scrolled = gtk_scrolled_window_new();
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(sidebar->scrolled), GTK_POLICY_NEVER, GTK_POLICY_AUTOMATIC);
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(sidebar->scrolled), sidebar->list);
    sidebar->empty = gtk_label_new(_("Your conversations appear here."));
    gtk_label_set_wrap(GTK_LABEL(sidebar->empty), TRUE);
    gtk_label_set_justify(GTK_LABEL(sidebar->empty), GTK_JUSTIFY_CENTER);
    gtk_widget_add_css_class(sidebar->empty, "dim-label");
    gtk_widget_add_css_class(sidebar->empty, "sidebar-empty");
    sidebar->stack = gtk_stack_new();
    gtk_widget_set_vexpand(sidebar->stack, TRUE);
    gtk_stack_add_child(GTK_STACK(sidebar->stack), sidebar->empty);
    gtk_stack_add_child(GTK_STACK(sidebar->stack), sidebar->scrolled);
    gtk_box_append(GTK_BOX(sidebar->box), sidebar->stack);
}

GtkWidget *we_sidebar_new(struct we_conversations *store)
{
    WeSidebar *sidebar = g_object_new(WE_TYPE_SIDEBAR, NULL);
    sidebar->store = store;
    gtk_widget_set_vexpand(GTK_WIDGET(sidebar), TRUE);
    we_sidebar_refresh(sidebar);
    return GTK_WIDGET(sidebar);
}
