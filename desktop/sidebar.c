#include "sidebar.h"

#include "widgets.h"

#include <glib/gi18n.h>
#include <string.h>

enum { MOST_ROWS = 300 };

struct _WeSidebar {
    GtkWidget parent;
    struct we_conversations *store;
    GtkWidget *box, *search_bar, *entry, *list, *stack, *empty, *scrolled;
    int64_t shown, answering;
    guint searches; /* begun so far: only the last one is shown */
    guint running;
};

G_DEFINE_FINAL_TYPE(WeSidebar, we_sidebar, GTK_TYPE_WIDGET)

static guint chosen_signal, failed_signal;

GMenuModel *we_conversation_menu(int64_t id)
{
    static const struct {
        const char *label, *action;
    } items[] = {{N_("_Rename…"), "win.rename-chat"},
                 {N_("Export as _Markdown…"), "win.export-markdown"},
                 {N_("Export as _JSON…"), "win.export-json"},
                 {N_("_Delete"), "win.delete-chat"}};
    GMenu *menu = g_menu_new();
    for (size_t i = 0; i < G_N_ELEMENTS(items); i++) {
        g_autoptr(GMenuItem) item = g_menu_item_new(_(items[i].label), NULL);
        g_menu_item_set_action_and_target(item, items[i].action, "x", (gint64)id);
        g_menu_append_item(menu, item);
    }
    return G_MENU_MODEL(menu);
}

/* ---- rows ---- */

static const char FOUND[] = "found", DAY[] = "day", SPINNER[] = "spinner";

/* What the list or a search gives for a row, copied. */
struct found {
    int64_t id, message, updated;
    char *title, *excerpt;
};

static void free_found(gpointer data)
{
    struct found *found = data;
    g_free(found->title);
    g_free(found->excerpt);
    g_free(found);
}

static bool collect(void *context, const struct we_conversation_row *row)
{
    struct found *found = g_new0(struct found, 1);
    found->id = row->id;
    found->message = row->message;
    found->updated = row->updated;
    found->title = g_strdup(row->title);
    found->excerpt = g_strdup(row->excerpt);
    g_ptr_array_add(context, found);
    return true;
}

static const struct found *found_of(GtkListBoxRow *row)
{
    return g_object_get_data(G_OBJECT(row), FOUND);
}

/* An excerpt as markup: what was found stands between the bytes 2 and 3. */
static char *excerpt_markup(const char *excerpt)
{
    g_autofree char *escaped = g_markup_escape_text(excerpt, -1);
    GString *markup = g_string_new(NULL);
    for (const char *p = escaped; *p; p++) {
        if (*p == 2)
            g_string_append(markup, "<b>");
        else if (*p == 3)
            g_string_append(markup, "</b>");
        else
            g_string_append_c(markup, *p == '\n' ? ' ' : *p);
    }
    /* g_markup_escape_text writes control characters as references. */
    g_string_replace(markup, "&#x2;", "<b>", 0);
    g_string_replace(markup, "&#x3;", "</b>", 0);
    return g_string_free(markup, FALSE);
}

static GtkWidget *make_row(struct found *found)
{
    GtkWidget *row = gtk_list_box_row_new(), *line = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 2);
    GtkWidget *title = gtk_label_new(found->title[0] ? found->title : _("New Chat"));
    gtk_label_set_ellipsize(GTK_LABEL(title), PANGO_ELLIPSIZE_END);
    gtk_label_set_xalign(GTK_LABEL(title), 0);
    gtk_widget_set_hexpand(title, TRUE);
    gtk_widget_set_tooltip_text(title, found->title);
    GtkWidget *spinner = gtk_spinner_new();
    gtk_widget_set_visible(spinner, FALSE);
    gtk_box_append(GTK_BOX(line), title);
    gtk_box_append(GTK_BOX(line), spinner);
    gtk_box_append(GTK_BOX(box), line);
    if (found->excerpt && found->excerpt[0]) {
        g_autofree char *markup = excerpt_markup(found->excerpt);
        GtkWidget *excerpt = gtk_label_new(NULL);
        gtk_label_set_markup(GTK_LABEL(excerpt), markup);
        gtk_label_set_xalign(GTK_LABEL(excerpt), 0);
        gtk_label_set_ellipsize(GTK_LABEL(excerpt), PANGO_ELLIPSIZE_END);
        gtk_label_set_lines(GTK_LABEL(excerpt), 2);
        gtk_label_set_wrap(GTK_LABEL(excerpt), TRUE);
        gtk_widget_add_css_class(excerpt, "caption");
        gtk_widget_add_css_class(excerpt, "dim-label");
        gtk_box_append(GTK_BOX(box), excerpt);
    }
    gtk_widget_set_valign(box, GTK_ALIGN_CENTER);
    gtk_list_box_row_set_child(GTK_LIST_BOX_ROW(row), box);
    g_object_set_data_full(G_OBJECT(row), DAY, we_day_text(found->updated), g_free);
    g_object_set_data(G_OBJECT(row), SPINNER, spinner);
    g_object_set_data_full(G_OBJECT(row), FOUND, found, free_found);
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
    GtkListBoxRow *row;
    gtk_list_box_unselect_all(GTK_LIST_BOX(sidebar->list));
    for (int i = 0; (row = gtk_list_box_get_row_at_index(GTK_LIST_BOX(sidebar->list), i)); i++) {
        GtkWidget *spinner = g_object_get_data(G_OBJECT(row), SPINNER);
        gboolean answering = sidebar->answering && found_of(row)->id == sidebar->answering;
        gtk_widget_set_visible(spinner, answering);
        gtk_spinner_set_spinning(GTK_SPINNER(spinner), answering);
        if (sidebar->shown && found_of(row)->id == sidebar->shown)
            gtk_list_box_select_row(GTK_LIST_BOX(sidebar->list), row);
    }
}

void we_sidebar_select(WeSidebar *sidebar, int64_t shown, int64_t answering)
{
    sidebar->shown = shown;
    sidebar->answering = answering;
    mark(sidebar);
}

/* The same conversations in the same order: nothing has to be made again. */
static bool is_shown_so(WeSidebar *sidebar, const GPtrArray *all)
{
    for (guint i = 0;; i++) {
        GtkListBoxRow *row = gtk_list_box_get_row_at_index(GTK_LIST_BOX(sidebar->list), (int)i);
        if (row == NULL || i == all->len)
            return row == NULL && i == all->len;
        const struct found *a = found_of(row), *b = all->pdata[i];
        g_autofree char *day = we_day_text(b->updated);
        if (a->id != b->id || a->message != b->message || strcmp(a->title, b->title) != 0 ||
            g_strcmp0(a->excerpt, b->excerpt) != 0 || strcmp(g_object_get_data(G_OBJECT(row), DAY), day) != 0)
            return false;
    }
}

static void fill(WeSidebar *sidebar, GPtrArray *all, gboolean searching)
{
    GtkListBoxRow *row;
    if (!is_shown_so(sidebar, all)) {
        while ((row = gtk_list_box_get_row_at_index(GTK_LIST_BOX(sidebar->list), 0)))
            gtk_list_box_remove(GTK_LIST_BOX(sidebar->list), GTK_WIDGET(row));
        for (guint i = 0; i < all->len; i++)
            gtk_list_box_append(GTK_LIST_BOX(sidebar->list), make_row(all->pdata[i]));
        g_ptr_array_set_free_func(all, NULL); /* the rows have them */
    }
    gtk_label_set_text(GTK_LABEL(sidebar->empty),
                       searching ? _("No conversation was found.") : _("Your conversations appear here."));
    gtk_stack_set_visible_child(GTK_STACK(sidebar->stack), gtk_list_box_get_row_at_index(GTK_LIST_BOX(sidebar->list), 0)
                                                               ? sidebar->scrolled
                                                               : sidebar->empty);
    mark(sidebar);
}

/* ---- searching ---- */

struct search {
    struct we_conversations *store;
    char *query;
    guint number;
    GPtrArray *all;
    we_status status;
    struct we_error error;
};

static void free_search(gpointer data)
{
    struct search *search = data;
    g_free(search->query);
    g_ptr_array_unref(search->all);
    g_free(search);
}

static void run_search(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    (void)source;
    (void)cancellable;
    struct search *search = data;
    search->status = we_conversations_search(search->store, search->query, MOST_ROWS, collect, search->all, &search->error);
    g_task_return_boolean(task, TRUE);
}

static void on_searched(GObject *source, GAsyncResult *result, gpointer data)
{
    (void)data;
    WeSidebar *sidebar = WE_SIDEBAR(source);
    struct search *search = g_task_get_task_data(G_TASK(result));
    sidebar->running--;
    if (search->number != sidebar->searches || sidebar->store == NULL)
        return;
    if (search->status == WE_OK)
        fill(sidebar, search->all, TRUE);
    else if (search->status != WE_CANCELLED)
        g_signal_emit(sidebar, failed_signal, 0, search->error.message);
}

static const char *query_of(WeSidebar *sidebar)
{
    return gtk_search_bar_get_search_mode(GTK_SEARCH_BAR(sidebar->search_bar))
               ? gtk_editable_get_text(GTK_EDITABLE(sidebar->entry))
               : "";
}

void we_sidebar_refresh(WeSidebar *sidebar)
{
    if (sidebar->store == NULL)
        return;
    we_conversations_stop_search(sidebar->store);
    sidebar->searches++;
    g_autofree char *query = g_strstrip(g_strdup(query_of(sidebar)));
    if (query[0]) {
        struct search *search = g_new0(struct search, 1);
        search->store = sidebar->store;
        search->query = g_steal_pointer(&query);
        search->number = sidebar->searches;
        search->all = g_ptr_array_new_with_free_func(free_found);
        GTask *task = g_task_new(sidebar, NULL, on_searched, NULL);
        g_task_set_task_data(task, search, free_search);
        g_task_run_in_thread(task, run_search);
        g_object_unref(task);
        sidebar->running++;
        return;
    }
    struct we_error error;
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(free_found);
    if (we_conversations_list(sidebar->store, 0, MOST_ROWS, collect, all, &error) == WE_OK)
        fill(sidebar, all, FALSE);
    else
        g_signal_emit(sidebar, failed_signal, 0, error.message);
}

void we_sidebar_set_searching(WeSidebar *sidebar, gboolean searching)
{
    gtk_search_bar_set_search_mode(GTK_SEARCH_BAR(sidebar->search_bar), searching);
    if (searching)
        gtk_widget_grab_focus(sidebar->entry);
}

GtkWidget *we_sidebar_search_bar(WeSidebar *sidebar)
{
    return sidebar->search_bar;
}

void we_sidebar_shut_down(WeSidebar *sidebar)
{
    we_conversations_stop_search(sidebar->store);
    sidebar->store = NULL;
    while (sidebar->running)
        g_main_context_iteration(NULL, TRUE);
}

/* ---- what is done with a row ---- */

static void on_activated(WeSidebar *sidebar, GtkListBoxRow *row)
{
    const struct found *found = found_of(row);
    g_signal_emit(sidebar, chosen_signal, 0, (gint64)found->id, (gint64)found->message);
}

static void unparent_later(GtkWidget *popover)
{
    g_idle_add_once((GSourceOnceFunc)gtk_widget_unparent, popover);
}

static void show_menu(GtkListBoxRow *row, double x, double y)
{
    g_autoptr(GMenuModel) menu = we_conversation_menu(found_of(row)->id);
    GtkWidget *popover = gtk_popover_menu_new_from_model(menu);
    GdkRectangle place = {(int)x, (int)y, 1, 1};
    gtk_widget_set_parent(popover, GTK_WIDGET(row));
    gtk_popover_set_has_arrow(GTK_POPOVER(popover), FALSE);
    gtk_popover_set_pointing_to(GTK_POPOVER(popover), &place);
    gtk_widget_set_halign(popover, GTK_ALIGN_START);
    g_signal_connect(popover, "closed", G_CALLBACK(unparent_later), NULL);
    gtk_popover_popup(GTK_POPOVER(popover));
}

static void on_pressed(WeSidebar *sidebar, int count, double x, double y)
{
    (void)count;
    GtkListBoxRow *row = gtk_list_box_get_row_at_y(GTK_LIST_BOX(sidebar->list), (int)y);
    double rx, ry;
    if (row && gtk_widget_translate_coordinates(sidebar->list, GTK_WIDGET(row), x, y, &rx, &ry))
        show_menu(row, rx, ry);
}

static gboolean on_key(WeSidebar *sidebar, guint key, guint code, GdkModifierType modifiers)
{
    (void)code;
    GtkWidget *focus = gtk_root_get_focus(gtk_widget_get_root(GTK_WIDGET(sidebar)));
    GtkListBoxRow *row = focus ? GTK_LIST_BOX_ROW(gtk_widget_get_ancestor(focus, GTK_TYPE_LIST_BOX_ROW)) : NULL;
    if (row == NULL)
        return GDK_EVENT_PROPAGATE;
    if (key == GDK_KEY_Menu || (key == GDK_KEY_F10 && (modifiers & GDK_SHIFT_MASK)))
        show_menu(row, 12, gtk_widget_get_height(GTK_WIDGET(row)));
    else if (key == GDK_KEY_F2)
        gtk_widget_activate_action(GTK_WIDGET(sidebar), "win.rename-chat", "x", (gint64)found_of(row)->id);
    else if (key == GDK_KEY_Delete || key == GDK_KEY_KP_Delete)
        gtk_widget_activate_action(GTK_WIDGET(sidebar), "win.delete-chat", "x", (gint64)found_of(row)->id);
    else
        return GDK_EVENT_PROPAGATE;
    return GDK_EVENT_STOP;
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
    failed_signal =
        g_signal_new("failed", WE_TYPE_SIDEBAR, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
}

static void make_search(WeSidebar *sidebar)
{
    sidebar->search_bar = gtk_search_bar_new();
    sidebar->entry = gtk_search_entry_new();
    gtk_widget_set_hexpand(sidebar->entry, TRUE);
    we_name(sidebar->entry, _("Search in all conversations"));
    g_object_set(sidebar->entry, "placeholder-text", _("Search"), NULL);
    gtk_search_bar_set_child(GTK_SEARCH_BAR(sidebar->search_bar), sidebar->entry);
    gtk_search_bar_connect_entry(GTK_SEARCH_BAR(sidebar->search_bar), GTK_EDITABLE(sidebar->entry));
    g_signal_connect_swapped(sidebar->entry, "search-changed", G_CALLBACK(we_sidebar_refresh), sidebar);
    g_signal_connect_swapped(sidebar->search_bar, "notify::search-mode-enabled", G_CALLBACK(we_sidebar_refresh), sidebar);
    gtk_box_append(GTK_BOX(sidebar->box), sidebar->search_bar);
}

static void make_list(WeSidebar *sidebar)
{
    sidebar->list = gtk_list_box_new();
    gtk_widget_add_css_class(sidebar->list, "navigation-sidebar");
    gtk_widget_add_css_class(sidebar->list, "conversation-list");
    gtk_list_box_set_header_func(GTK_LIST_BOX(sidebar->list), set_header, NULL, NULL);
    we_name(sidebar->list, _("Conversations"));
    g_signal_connect_swapped(sidebar->list, "row-activated", G_CALLBACK(on_activated), sidebar);
    GtkGesture *click = gtk_gesture_click_new();
    gtk_gesture_single_set_button(GTK_GESTURE_SINGLE(click), GDK_BUTTON_SECONDARY);
    g_signal_connect_swapped(click, "pressed", G_CALLBACK(on_pressed), sidebar);
    gtk_widget_add_controller(sidebar->list, GTK_EVENT_CONTROLLER(click));
    GtkEventController *keys = gtk_event_controller_key_new();
    g_signal_connect_swapped(keys, "key-pressed", G_CALLBACK(on_key), sidebar);
    gtk_widget_add_controller(sidebar->list, keys);
    sidebar->scrolled = gtk_scrolled_window_new();
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(sidebar->scrolled), GTK_POLICY_NEVER, GTK_POLICY_AUTOMATIC);
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(sidebar->scrolled), sidebar->list);
}

static void we_sidebar_init(WeSidebar *sidebar)
{
    sidebar->box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
    gtk_widget_set_parent(sidebar->box, GTK_WIDGET(sidebar));
    gtk_widget_set_vexpand(GTK_WIDGET(sidebar), TRUE);
    make_search(sidebar);
    make_list(sidebar);
    sidebar->empty = gtk_label_new("");
    gtk_label_set_wrap(GTK_LABEL(sidebar->empty), TRUE);
    gtk_label_set_justify(GTK_LABEL(sidebar->empty), GTK_JUSTIFY_CENTER);
    gtk_widget_set_valign(sidebar->empty, GTK_ALIGN_START);
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
    we_sidebar_refresh(sidebar);
    return GTK_WIDGET(sidebar);
}
