#include "log_page.h"

#include "widgets.h"

#include "base/fs.h"

#include <glib/gi18n.h>
#include <string.h>

/* ---- a line in the list ---- */

#define WE_TYPE_LOG_ITEM (we_log_item_get_type())
G_DECLARE_FINAL_TYPE(WeLogItem, we_log_item, WE, LOG_ITEM, GObject)

struct _WeLogItem {
    GObject parent;
    enum we_log_level level;
    char *text;   /* the whole line */
    char *folded; /* for the search */
};

G_DEFINE_FINAL_TYPE(WeLogItem, we_log_item, G_TYPE_OBJECT)

static void we_log_item_finalize(GObject *object)
{
    g_free(WE_LOG_ITEM(object)->text);
    g_free(WE_LOG_ITEM(object)->folded);
    G_OBJECT_CLASS(we_log_item_parent_class)->finalize(object);
}

static void we_log_item_class_init(WeLogItemClass *class)
{
    G_OBJECT_CLASS(class)->finalize = we_log_item_finalize;
}

static void we_log_item_init(WeLogItem *item)
{
    (void)item;
}

/* ---- the page ---- */

enum { REFRESH_MS = 250 };

struct _WeLogPage {
    GtkWidget parent;
    GtkWidget *box, *level, *search, *follow, *copy, *stack, *list, *scroller;
    GListStore *lines;
    GtkFilter *filter;
    GtkFilterListModel *shown;
    GtkSelectionModel *selection;
    char *needle; /* folded; NULL: all */
    uint64_t last;
    guint timer;
    GtkFileChooserNative *chooser;
};

G_DEFINE_FINAL_TYPE(WeLogPage, we_log_page, GTK_TYPE_WIDGET)

static gboolean passes(gpointer object, gpointer data)
{
    WeLogItem *item = object;
    WeLogPage *page = data;
    if (item->level < gtk_drop_down_get_selected(GTK_DROP_DOWN(page->level)))
        return FALSE;
    return page->needle == NULL || strstr(item->folded, page->needle) != NULL;
}

static void take_line(void *context, const struct we_log_line *line)
{
    WeLogItem *item = g_object_new(WE_TYPE_LOG_ITEM, NULL);
    item->level = line->level;
    item->text = we_log_line_text(line);
    item->folded = g_utf8_casefold(item->text, -1);
    g_ptr_array_add(context, item);
}

static void show_state(WeLogPage *page)
{
    const char *state = g_list_model_get_n_items(G_LIST_MODEL(page->lines)) == 0   ? "empty"
                        : g_list_model_get_n_items(G_LIST_MODEL(page->shown)) == 0 ? "nothing"
                                                                                   : "list";
    gtk_stack_set_visible_child_name(GTK_STACK(page->stack), state);
    gtk_widget_set_sensitive(page->copy, strcmp(state, "list") == 0);
}

static void follow_end(WeLogPage *page)
{
    guint count = we_log_page_shown(page);
    if (count && gtk_toggle_button_get_active(GTK_TOGGLE_BUTTON(page->follow)))
        gtk_widget_activate_action(page->list, "list.scroll-to-item", "u", count - 1);
}

void we_log_page_refresh(WeLogPage *page)
{
    GPtrArray *more = g_ptr_array_new_with_free_func(g_object_unref);
    page->last = we_log_since(page->last, take_line, more);
    if (more->len) {
        guint count = g_list_model_get_n_items(G_LIST_MODEL(page->lines));
        g_list_store_splice(page->lines, count, 0, more->pdata, more->len);
        count += more->len;
        if (count > WE_LOG_LINES)
            g_list_store_splice(page->lines, 0, count - WE_LOG_LINES, NULL, 0);
        show_state(page);
        follow_end(page);
    }
    g_ptr_array_unref(more);
}

guint we_log_page_shown(WeLogPage *page)
{
    return g_list_model_get_n_items(G_LIST_MODEL(page->shown));
}

char *we_log_page_text(WeLogPage *page, gboolean only_selected)
{
    GString *text = g_string_new(NULL);
    guint count = we_log_page_shown(page);
    for (int pass = only_selected ? 0 : 1; pass < 2 && text->len == 0; pass++)
        for (guint i = 0; i < count; i++) {
            if (pass == 0 && !gtk_selection_model_is_selected(page->selection, i))
                continue;
            WeLogItem *item = g_list_model_get_item(G_LIST_MODEL(page->shown), i);
            g_string_append_printf(text, "%s\n", item->text);
            g_object_unref(item);
        }
    return g_string_free(text, FALSE);
}

/* ---- what is done with it ---- */

static void on_filter(WeLogPage *page)
{
    const char *text = gtk_editable_get_text(GTK_EDITABLE(page->search));
    g_clear_pointer(&page->needle, g_free);
    if (text[0])
        page->needle = g_utf8_casefold(text, -1);
    gtk_filter_changed(page->filter, GTK_FILTER_CHANGE_DIFFERENT);
    show_state(page);
    follow_end(page);
}

static void on_copy(WeLogPage *page)
{
    char *text = we_log_page_text(page, TRUE);
    gdk_clipboard_set_text(gtk_widget_get_clipboard(GTK_WIDGET(page)), text);
    g_free(text);
}

static void on_clear(WeLogPage *page)
{
    we_log_clear();
    g_list_store_remove_all(page->lines);
    show_state(page);
}

static void on_file_chosen(WeLogPage *page, int response)
{
    struct we_error error;
    if (response == GTK_RESPONSE_ACCEPT) {
        GFile *file = gtk_file_chooser_get_file(GTK_FILE_CHOOSER(page->chooser));
        char *path = g_file_get_path(file), *text = we_log_page_text(page, FALSE);
        if (path == NULL)
            we_tell(GTK_WIDGET(page), _("The log cannot be saved"),
                    _("This place is not on this machine. Choose a folder of it."));
        else if (we_file_write(path, we_str_c(text), &error) != WE_OK)
            we_tell(GTK_WIDGET(page), _("The log cannot be saved"), error.message);
        g_free(path);
        g_free(text);
        g_object_unref(file);
    }
    g_clear_object(&page->chooser);
}

static void on_save(WeLogPage *page)
{
    GtkRoot *root = gtk_widget_get_root(GTK_WIDGET(page));
    if (page->chooser)
        return;
    page->chooser = gtk_file_chooser_native_new(_("Save the Log"), GTK_IS_WINDOW(root) ? GTK_WINDOW(root) : NULL,
                                                GTK_FILE_CHOOSER_ACTION_SAVE, _("_Save"), _("_Cancel"));
    gtk_native_dialog_set_modal(GTK_NATIVE_DIALOG(page->chooser), TRUE);
    gtk_file_chooser_set_current_name(GTK_FILE_CHOOSER(page->chooser), "whisperengine.log");
    g_signal_connect_object(page->chooser, "response", G_CALLBACK(on_file_chosen), page, G_CONNECT_SWAPPED);
    gtk_native_dialog_show(GTK_NATIVE_DIALOG(page->chooser));
}

void we_log_page_focus_search(WeLogPage *page)
{
    gtk_widget_grab_focus(page->search);
}

/* ---- rows ---- */

static void set_up_row(GtkSignalListItemFactory *factory, GtkListItem *row, gpointer data)
{
    (void)factory;
    (void)data;
    GtkWidget *label = gtk_label_new(NULL);
    gtk_label_set_xalign(GTK_LABEL(label), 0);
    gtk_label_set_wrap(GTK_LABEL(label), TRUE);
    gtk_label_set_wrap_mode(GTK_LABEL(label), PANGO_WRAP_WORD_CHAR);
    gtk_widget_add_css_class(label, "monospace");
    gtk_widget_add_css_class(label, "caption");
    gtk_widget_set_margin_start(label, 12);
    gtk_widget_set_margin_end(label, 12);
    gtk_list_item_set_child(row, label);
}

static void bind_row(GtkSignalListItemFactory *factory, GtkListItem *row, gpointer data)
{
    (void)factory;
    (void)data;
    static const char *const colours[WE_NUM_LOG_LEVELS] = {"dim-label", NULL, "warning", "error", "error"};
    GtkWidget *label = gtk_list_item_get_child(row);
    WeLogItem *item = gtk_list_item_get_item(row);
    gtk_label_set_text(GTK_LABEL(label), item->text);
    for (int i = 0; i < WE_NUM_LOG_LEVELS; i++)
        if (colours[i] && i != (int)item->level)
            gtk_widget_remove_css_class(label, colours[i]);
    if (colours[item->level])
        gtk_widget_add_css_class(label, colours[item->level]);
}

/* ---- the widget ---- */

static gboolean on_timer(gpointer data)
{
    we_log_page_refresh(data);
    return G_SOURCE_CONTINUE;
}

static void map(GtkWidget *widget)
{
    WeLogPage *page = WE_LOG_PAGE(widget);
    GTK_WIDGET_CLASS(we_log_page_parent_class)->map(widget);
    we_log_page_refresh(page);
    follow_end(page);
    page->timer = g_timeout_add(REFRESH_MS, on_timer, page);
}

static void unmap(GtkWidget *widget)
{
    g_clear_handle_id(&WE_LOG_PAGE(widget)->timer, g_source_remove);
    GTK_WIDGET_CLASS(we_log_page_parent_class)->unmap(widget);
}

static GtkWidget *make_bar(WeLogPage *page)
{
    const char *levels[] = {_("All messages"),     _("Info and worse"), _("Warnings and worse"),
                            _("Errors and worse"), _("Critical"),       NULL};
    GtkWidget *bar = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    gtk_widget_set_margin_start(bar, 12);
    gtk_widget_set_margin_end(bar, 12);
    gtk_widget_set_margin_top(bar, 6);
    gtk_widget_set_margin_bottom(bar, 6);
    page->level = gtk_drop_down_new_from_strings(levels);
    we_name(page->level, _("Level"));
    page->search = gtk_search_entry_new();
    gtk_widget_set_hexpand(page->search, TRUE);
    g_object_set(page->search, "placeholder-text", _("Search the log"), NULL);
    we_name(page->search, _("Search the log"));
    page->follow = gtk_toggle_button_new();
    gtk_button_set_icon_name(GTK_BUTTON(page->follow), "go-bottom-symbolic");
    gtk_widget_add_css_class(page->follow, "flat");
    gtk_widget_set_tooltip_text(page->follow, _("Follow new messages"));
    we_name(page->follow, _("Follow new messages"));
    gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(page->follow), TRUE);
    page->copy = we_icon_button("edit-copy-symbolic", _("Copy what is selected, or all"));
    GtkWidget *save = we_icon_button("document-save-symbolic", _("Save the log"));
    GtkWidget *clear = we_icon_button("edit-clear-all-symbolic", _("Clear the log"));
    GtkWidget *parts[] = {page->level, page->search, page->follow, page->copy, save, clear};
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++)
        gtk_box_append(GTK_BOX(bar), parts[i]);
    g_signal_connect_swapped(page->copy, "clicked", G_CALLBACK(on_copy), page);
    g_signal_connect_swapped(save, "clicked", G_CALLBACK(on_save), page);
    g_signal_connect_swapped(clear, "clicked", G_CALLBACK(on_clear), page);
    g_signal_connect_swapped(page->follow, "toggled", G_CALLBACK(follow_end), page);
    return bar;
}

static void make_list(WeLogPage *page)
{
    page->lines = g_list_store_new(WE_TYPE_LOG_ITEM);
    page->filter = GTK_FILTER(gtk_custom_filter_new(passes, page, NULL));
    page->shown = gtk_filter_list_model_new(g_object_ref(G_LIST_MODEL(page->lines)), g_object_ref(page->filter));
    page->selection = GTK_SELECTION_MODEL(gtk_multi_selection_new(g_object_ref(G_LIST_MODEL(page->shown))));
    GtkListItemFactory *factory = gtk_signal_list_item_factory_new();
    g_signal_connect(factory, "setup", G_CALLBACK(set_up_row), NULL);
    g_signal_connect(factory, "bind", G_CALLBACK(bind_row), NULL);
    page->list = gtk_list_view_new(g_object_ref(page->selection), factory);
    we_name(page->list, _("Log"));
}

static void dispose(GObject *object)
{
    WeLogPage *page = WE_LOG_PAGE(object);
    g_clear_handle_id(&page->timer, g_source_remove);
    g_clear_object(&page->chooser);
    g_clear_pointer(&page->box, gtk_widget_unparent);
    g_clear_object(&page->selection);
    g_clear_object(&page->shown);
    g_clear_object(&page->filter);
    g_clear_object(&page->lines);
    g_clear_pointer(&page->needle, g_free);
    G_OBJECT_CLASS(we_log_page_parent_class)->dispose(object);
}

static void we_log_page_class_init(WeLogPageClass *class)
{
    G_OBJECT_CLASS(class)->dispose = dispose;
    GTK_WIDGET_CLASS(class)->map = map;
    GTK_WIDGET_CLASS(class)->unmap = unmap;
    gtk_widget_class_set_css_name(GTK_WIDGET_CLASS(class), "logpage");
    gtk_widget_class_set_layout_manager_type(GTK_WIDGET_CLASS(class), GTK_TYPE_BIN_LAYOUT);
}

static GtkWidget *status_page(const char *icon, const char *title, const char *text)
{
    GtkWidget *page = adw_status_page_new();
    adw_status_page_set_icon_name(ADW_STATUS_PAGE(page), icon);
    adw_status_page_set_title(ADW_STATUS_PAGE(page), title);
    adw_status_page_set_description(ADW_STATUS_PAGE(page), text);
    return page;
}

static void we_log_page_init(WeLogPage *page)
{
    page->box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
    gtk_widget_set_parent(page->box, GTK_WIDGET(page));
    gtk_box_append(GTK_BOX(page->box), make_bar(page));
    gtk_box_append(GTK_BOX(page->box), gtk_separator_new(GTK_ORIENTATION_HORIZONTAL));
    make_list(page);
    page->scroller = gtk_scrolled_window_new();
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(page->scroller), GTK_POLICY_NEVER, GTK_POLICY_AUTOMATIC);
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(page->scroller), page->list);
    page->stack = gtk_stack_new();
    gtk_widget_set_vexpand(page->stack, TRUE);
    gtk_stack_add_named(GTK_STACK(page->stack), page->scroller, "list");
    gtk_stack_add_named(GTK_STACK(page->stack),
                        status_page("view-list-symbolic", _("No Messages"), _("What the program does is written here.")),
                        "empty");
    gtk_stack_add_named(GTK_STACK(page->stack),
                        status_page("edit-find-symbolic", _("Nothing Found"), _("No message has this level and these words.")),
                        "nothing");
    gtk_box_append(GTK_BOX(page->box), page->stack);
    g_signal_connect_swapped(page->level, "notify::selected", G_CALLBACK(on_filter), page);
    g_signal_connect_swapped(page->search, "search-changed", G_CALLBACK(on_filter), page);
    we_log_page_refresh(page);
    show_state(page);
}

GtkWidget *we_log_page_new(void)
{
    return g_object_new(WE_TYPE_LOG_PAGE, NULL);
}
