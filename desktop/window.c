#include "window.h"

#include "conversation_files.h"
#include "model_list.h"
#include "monitor.h"
#include "sidebar.h"
#include "status_bar.h"
#include "tool_windows.h"
#include "widgets.h"

#include <glib/gi18n.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_WIDTH = 1000, DEFAULT_HEIGHT = 700, LEAST_WIDTH = 360, LEAST_HEIGHT = 320, SIDEBAR_WIDTH = 260 };

struct _WeWindow {
    AdwApplicationWindow parent;
    WeApplication *application;
    struct we_conversations *store;
    WeEngine *engine;
    struct we_monitor *monitor;
    WeSidebar *sidebar;
    WeChatView *chat;
    WeStatusBar *status_bar;
    GtkWidget *leaflet, *content, *toasts, *title, *subtitle, *models, *model_list, *chat_menu, *search_button, *side;
};

G_DEFINE_FINAL_TYPE(WeWindow, we_window, ADW_TYPE_APPLICATION_WINDOW)

WeChatView *we_window_chat(WeWindow *window)
{
    return window->chat;
}

/* ---- what the parts tell each other ---- */

static void update_title(WeWindow *window)
{
    const struct we_engine_model *model = we_engine_model(window->engine);
    const char *title = we_chat_view_title(window->chat);
    gtk_label_set_text(GTK_LABEL(window->title), title[0] ? title : _("New Chat"));
    gtk_label_set_text(GTK_LABEL(window->subtitle), model ? model->name : _("Choose a Model"));
    g_autofree char *name = g_strdup_printf(_("Model: %s"), model ? model->name : _("none"));
    we_name(window->models, name);
}

/* What can be done with the conversation that is shown. */
static void update_menu(WeWindow *window)
{
    int64_t id = we_chat_view_conversation(window->chat);
    gtk_widget_set_visible(window->chat_menu, id != 0);
    if (id == 0)
        return;
    g_autoptr(GMenuModel) menu = we_conversation_menu(id);
    gtk_menu_button_set_menu_model(GTK_MENU_BUTTON(window->chat_menu), menu);
}

static void update_actions(WeWindow *window)
{
    GAction *stop = g_action_map_lookup_action(G_ACTION_MAP(window), "stop");
    GAction *clear = g_action_map_lookup_action(G_ACTION_MAP(window), "clear-chat");
    g_simple_action_set_enabled(G_SIMPLE_ACTION(stop), we_chat_view_answering(window->chat) != 0);
    g_simple_action_set_enabled(G_SIMPLE_ACTION(clear), we_chat_view_conversation(window->chat) != 0);
}

static void on_conversation_changed(WeWindow *window)
{
    we_sidebar_refresh(window->sidebar);
    we_sidebar_select(window->sidebar, we_chat_view_conversation(window->chat), we_chat_view_answering(window->chat));
    update_title(window);
    update_menu(window);
    update_actions(window);
}

static void toast(WeWindow *window, const char *text)
{
    g_autofree char *escaped = g_markup_escape_text(text, -1);
    adw_toast_overlay_add_toast(ADW_TOAST_OVERLAY(window->toasts), adw_toast_new(escaped));
}

static void on_chosen(WeWindow *window, gint64 conversation, gint64 message)
{
    if (message)
        we_chat_view_open_at(window->chat, conversation, message);
    else if (conversation != we_chat_view_conversation(window->chat))
        we_chat_view_open(window->chat, conversation);
    adw_leaflet_set_visible_child(ADW_LEAFLET(window->leaflet), window->content);
    we_chat_view_focus_composer(window->chat);
}

static void on_reading(gpointer context, const struct we_reading *reading)
{
    WeWindow *window = context;
    we_status_bar_update(window->status_bar, reading);
}

/* ---- actions ---- */

static void on_new_chat(GSimpleAction *action, GVariant *parameter, gpointer data)
{
    (void)action;
    (void)parameter;
    WeWindow *window = data;
    we_chat_view_open(window->chat, 0);
    adw_leaflet_set_visible_child(ADW_LEAFLET(window->leaflet), window->content);
    we_chat_view_focus_composer(window->chat);
}

static void on_stop(GSimpleAction *action, GVariant *parameter, gpointer data)
{
    (void)action;
    (void)parameter;
    we_chat_view_stop(WE_WINDOW(data)->chat);
}

static void on_back(GSimpleAction *action, GVariant *parameter, gpointer data)
{
    (void)action;
    (void)parameter;
    adw_leaflet_navigate(ADW_LEAFLET(WE_WINDOW(data)->leaflet), ADW_NAVIGATION_DIRECTION_BACK);
}

static void on_restore(GSimpleAction *action, GVariant *parameter, gpointer data)
{
    (void)action;
    WeWindow *window = data;
    struct we_error error;
    int64_t id = g_variant_get_int64(parameter);
    if (we_conversations_restore(window->store, id, &error) != WE_OK) {
        we_tell(GTK_WIDGET(window), _("The conversation cannot be restored"), error.message);
        return;
    }
    we_chat_view_open(window->chat, id);
}

/* The title of a conversation; the caller's (g_free). */
static char *title_of(WeWindow *window, int64_t id)
{
    struct we_arena arena = {0};
    struct we_conversation *conversation;
    struct we_error ignored;
    bool ok = we_conversations_load(window->store, id, &arena, &conversation, &ignored) == WE_OK;
    char *title = g_strdup(ok ? conversation->title : "");
    we_arena_free(&arena);
    return title;
}

/* Takes a conversation away; a toast offers to bring it back. */
static void remove_conversation(WeWindow *window, int64_t id)
{
    struct we_error error;
    g_autofree char *title = title_of(window, id);
    if (we_chat_view_answering(window->chat) == id)
        we_chat_view_stop(window->chat);
    if (we_conversations_remove(window->store, id, &error) != WE_OK) {
        we_tell(GTK_WIDGET(window), _("The conversation cannot be deleted"), error.message);
        return;
    }
    if (we_chat_view_conversation(window->chat) == id)
        we_chat_view_open(window->chat, 0);
    else
        on_conversation_changed(window);
    g_autofree char *name = g_markup_escape_text(title[0] ? title : _("New Chat"), -1);
    g_autofree char *text = g_strdup_printf(_("“%s” was deleted"), name);
    AdwToast *undo = adw_toast_new(text);
    adw_toast_set_button_label(undo, _("Undo"));
    adw_toast_set_action_name(undo, "win.restore");
    adw_toast_set_action_target(undo, "x", (gint64)id);
    adw_toast_overlay_add_toast(ADW_TOAST_OVERLAY(window->toasts), undo);
}

static void on_clear_chat(GSimpleAction *action, GVariant *parameter, gpointer data)
{
    (void)action;
    (void)parameter;
    WeWindow *window = data;
    remove_conversation(window, we_chat_view_conversation(window->chat));
    we_chat_view_focus_composer(window->chat);
}

static void on_delete_chat(GSimpleAction *action, GVariant *parameter, gpointer data)
{
    (void)action;
    remove_conversation(WE_WINDOW(data), g_variant_get_int64(parameter));
}

static void on_search(GSimpleAction *action, GVariant *parameter, gpointer data)
{
    (void)action;
    (void)parameter;
    WeWindow *window = data;
    GtkSearchBar *bar = GTK_SEARCH_BAR(we_sidebar_search_bar(window->sidebar));
    adw_leaflet_set_visible_child(ADW_LEAFLET(window->leaflet), window->side);
    we_sidebar_set_searching(window->sidebar, !gtk_search_bar_get_search_mode(bar));
}

/* ---- renaming ---- */

struct renaming {
    WeWindow *window;
    GtkWidget *entry;
    int64_t id;
};

static void on_rename_response(struct renaming *renaming, const char *response)
{
    struct we_error error;
    WeWindow *window = renaming->window;
    if (strcmp(response, "rename") != 0)
        return;
    const char *title = gtk_editable_get_text(GTK_EDITABLE(renaming->entry));
    if (we_conversations_rename(window->store, renaming->id, title, &error) != WE_OK)
        we_tell(GTK_WIDGET(window), _("The conversation cannot be renamed"), error.message);
    we_chat_view_refresh(window->chat);
}

static void free_renaming(gpointer data, GClosure *closure)
{
    (void)closure;
    g_free(data);
}

static void on_rename_chat(GSimpleAction *action, GVariant *parameter, gpointer data)
{
    (void)action;
    struct renaming *renaming = g_new0(struct renaming, 1);
    *renaming = (struct renaming){data, gtk_entry_new(), g_variant_get_int64(parameter)};
    g_autofree char *title = title_of(renaming->window, renaming->id);
    GtkWidget *dialog = adw_message_dialog_new(GTK_WINDOW(renaming->window), _("Rename the Chat"), NULL);
    adw_message_dialog_add_responses(ADW_MESSAGE_DIALOG(dialog), "cancel", _("_Cancel"), "rename", _("_Rename"), NULL);
    adw_message_dialog_set_response_appearance(ADW_MESSAGE_DIALOG(dialog), "rename", ADW_RESPONSE_SUGGESTED);
    adw_message_dialog_set_default_response(ADW_MESSAGE_DIALOG(dialog), "rename");
    adw_message_dialog_set_close_response(ADW_MESSAGE_DIALOG(dialog), "cancel");
    gtk_editable_set_text(GTK_EDITABLE(renaming->entry), title);
    gtk_entry_set_activates_default(GTK_ENTRY(renaming->entry), TRUE);
    we_name(renaming->entry, _("Title"));
    adw_message_dialog_set_extra_child(ADW_MESSAGE_DIALOG(dialog), renaming->entry);
    g_signal_connect_data(dialog, "response", G_CALLBACK(on_rename_response), renaming, free_renaming, G_CONNECT_SWAPPED);
    gtk_window_present(GTK_WINDOW(dialog));
}

/* ---- files ---- */

static void on_file_done(gpointer context, we_status status, const char *text, int64_t conversation)
{
    WeWindow *window = context;
    if (status != WE_OK) {
        we_tell(GTK_WIDGET(window), _("That did not work"), text);
        return;
    }
    toast(window, text);
    if (conversation)
        we_chat_view_open(window->chat, conversation);
}

static void on_export(GSimpleAction *action, GVariant *parameter, gpointer data)
{
    WeWindow *window = data;
    int64_t id = parameter ? g_variant_get_int64(parameter) : 0;
    bool markdown = strcmp(g_action_get_name(G_ACTION(action)), "export-markdown") == 0;
    g_autofree char *title = id ? title_of(window, id) : NULL;
    we_conversation_ask_export(GTK_WINDOW(window), window->store, id, title, markdown ? WE_EXPORT_MARKDOWN : WE_EXPORT_JSON,
                               on_file_done, window);
}

static void on_import(GSimpleAction *action, GVariant *parameter, gpointer data)
{
    (void)action;
    (void)parameter;
    WeWindow *window = data;
    we_conversation_ask_import(GTK_WINDOW(window), window->store, on_file_done, window);
}

/* ---- what is remembered ---- */

static void note(WeWindow *window, const char *key, const char *value)
{
    struct we_error ignored;
    we_conversations_note(window->store, key, value, &ignored);
}

static void remember(WeWindow *window)
{
    int width, height;
    gtk_window_get_default_size(GTK_WINDOW(window), &width, &height);
    g_autofree char *size = g_strdup_printf("%d %d %d", width, height, gtk_window_is_maximized(GTK_WINDOW(window)));
    g_autofree char *shown = g_strdup_printf("%" G_GINT64_FORMAT, (gint64)we_chat_view_conversation(window->chat));
    note(window, "window-size", size);
    note(window, "shown-conversation", shown);
}

static void recall(WeWindow *window)
{
    struct we_arena arena = {0};
    struct we_error ignored;
    const char *text = NULL;
    int width, height, maximized;
    gtk_window_set_default_size(GTK_WINDOW(window), DEFAULT_WIDTH, DEFAULT_HEIGHT);
    if (we_conversations_noted(window->store, "window-size", &arena, &text, &ignored) == WE_OK && text &&
        sscanf(text, "%d %d %d", &width, &height, &maximized) == 3 && width > 0 && height > 0) {
        gtk_window_set_default_size(GTK_WINDOW(window), MAX(width, LEAST_WIDTH), MAX(height, LEAST_HEIGHT));
        if (maximized)
            gtk_window_maximize(GTK_WINDOW(window));
    }
    int64_t shown = 0;
    if (we_conversations_noted(window->store, "shown-conversation", &arena, &text, &ignored) == WE_OK && text)
        shown = strtoll(text, NULL, 10);
    struct we_conversation *conversation;
    if (shown && we_conversations_load(window->store, shown, &arena, &conversation, &ignored) != WE_OK)
        shown = 0; /* it was deleted */
    we_chat_view_open(window->chat, shown);
    we_arena_free(&arena);
}

void we_window_configure(WeWindow *window, struct we_configuration *configuration)
{
    we_chat_view_configure(window->chat, configuration);
}

void we_window_shut_down(WeWindow *window)
{
    remember(window);
    we_chat_view_shut_down(window->chat);
    we_sidebar_shut_down(window->sidebar);
    we_conversation_files_finish();
    g_clear_pointer(&window->monitor, we_monitor_free);
}

/* Closing the window ends the program, which ends what is under way first. */
static gboolean close_request(GtkWindow *window)
{
    g_action_group_activate_action(G_ACTION_GROUP(gtk_window_get_application(window)), "quit", NULL);
    return GDK_EVENT_STOP;
}

/* ---- its parts ---- */

static GMenuModel *main_menu(void)
{
    GMenu *menu = g_menu_new();
    g_autoptr(GMenu) chat = g_menu_new(), program = g_menu_new();
    g_menu_append(chat, _("_Import Chats…"), "win.import");
    g_menu_append(chat, _("_Export All Chats…"), "win.export-all");
    g_menu_append(program, _("_Models"), "win.models");
    g_menu_append(program, _("C_haracter Prompt"), "win.character");
    g_menu_append(program, _("_Preferences"), "app.preferences");
    g_menu_append(program, _("Lo_g"), "win.log");
    g_menu_append(program, _("_Keyboard Shortcuts"), "win.show-help-overlay");
    g_menu_append(program, _("_About WhisperEngine"), "app.about");
    g_menu_append_section(menu, NULL, G_MENU_MODEL(chat));
    g_menu_append_section(menu, NULL, G_MENU_MODEL(program));
    return G_MENU_MODEL(menu);
}

static GtkWidget *make_sidebar(WeWindow *window)
{
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0), *header = adw_header_bar_new();
    GtkWidget *new_chat = we_icon_button("list-add-symbolic", _("New chat"));
    gtk_actionable_set_action_name(GTK_ACTIONABLE(new_chat), "win.new-chat");
    adw_header_bar_pack_start(ADW_HEADER_BAR(header), new_chat);
    g_autoptr(GMenuModel) menu = main_menu();
    GtkWidget *button = we_menu_button("open-menu-symbolic", _("Main menu"), menu);
    gtk_menu_button_set_primary(GTK_MENU_BUTTON(button), TRUE);
    adw_header_bar_pack_end(ADW_HEADER_BAR(header), button);
    window->search_button = gtk_toggle_button_new();
    gtk_button_set_icon_name(GTK_BUTTON(window->search_button), "edit-find-symbolic");
    gtk_widget_set_tooltip_text(window->search_button, _("Search"));
    we_name(window->search_button, _("Search"));
    adw_header_bar_pack_end(ADW_HEADER_BAR(header), window->search_button);
    adw_header_bar_set_title_widget(ADW_HEADER_BAR(header), adw_window_title_new("WhisperEngine", ""));
    g_object_bind_property(window->leaflet, "folded", header, "show-end-title-buttons", G_BINDING_SYNC_CREATE);
    window->sidebar = WE_SIDEBAR(we_sidebar_new(window->store));
    g_signal_connect_swapped(window->sidebar, "chosen", G_CALLBACK(on_chosen), window);
    g_signal_connect_swapped(window->sidebar, "failed", G_CALLBACK(toast), window);
    g_object_bind_property(window->search_button, "active", we_sidebar_search_bar(window->sidebar), "search-mode-enabled",
                           G_BINDING_BIDIRECTIONAL);
    gtk_box_append(GTK_BOX(box), header);
    gtk_box_append(GTK_BOX(box), GTK_WIDGET(window->sidebar));
    gtk_widget_set_size_request(box, SIDEBAR_WIDTH, -1);
    window->side = box;
    return box;
}

static void on_popover_shown(WeWindow *window)
{
    we_model_list_refresh(WE_MODEL_LIST(window->model_list));
}

/* The title of the conversation, and the model: a button that shows the others. */
static GtkWidget *make_title(WeWindow *window)
{
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0), *line = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 2);
    window->title = gtk_label_new("");
    window->subtitle = gtk_label_new("");
    gtk_label_set_ellipsize(GTK_LABEL(window->title), PANGO_ELLIPSIZE_END);
    gtk_label_set_ellipsize(GTK_LABEL(window->subtitle), PANGO_ELLIPSIZE_MIDDLE);
    gtk_widget_add_css_class(window->title, "title");
    gtk_widget_add_css_class(window->subtitle, "subtitle");
    gtk_widget_set_halign(line, GTK_ALIGN_CENTER);
    gtk_box_append(GTK_BOX(line), window->subtitle);
    GtkWidget *arrow = gtk_image_new_from_icon_name("pan-down-symbolic");
    gtk_widget_add_css_class(arrow, "dim-label");
    gtk_box_append(GTK_BOX(line), arrow);
    gtk_box_append(GTK_BOX(box), window->title);
    gtk_box_append(GTK_BOX(box), line);

    window->model_list = we_model_list_new(window->application);
    GtkWidget *scrolled = gtk_scrolled_window_new(), *popover = gtk_popover_new();
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(scrolled), GTK_POLICY_NEVER, GTK_POLICY_AUTOMATIC);
    gtk_scrolled_window_set_propagate_natural_height(GTK_SCROLLED_WINDOW(scrolled), TRUE);
    gtk_scrolled_window_set_max_content_height(GTK_SCROLLED_WINDOW(scrolled), 420);
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(scrolled), window->model_list);
    gtk_widget_set_size_request(scrolled, 340, -1);
    gtk_widget_add_css_class(scrolled, "model-list");
    gtk_popover_set_child(GTK_POPOVER(popover), scrolled);
    g_signal_connect_swapped(popover, "show", G_CALLBACK(on_popover_shown), window);
    g_signal_connect_swapped(window->model_list, "chosen", G_CALLBACK(gtk_popover_popdown), popover);
    window->models = gtk_menu_button_new();
    gtk_menu_button_set_child(GTK_MENU_BUTTON(window->models), box);
    gtk_menu_button_set_popover(GTK_MENU_BUTTON(window->models), popover);
    gtk_widget_add_css_class(window->models, "flat");
    gtk_widget_add_css_class(window->models, "model-button");
    gtk_widget_set_tooltip_text(window->models, _("Choose a model"));
    return window->models;
}

static GtkWidget *make_content(WeWindow *window)
{
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0), *header = adw_header_bar_new();
    GtkWidget *back = we_icon_button("go-previous-symbolic", _("Conversations"));
    gtk_actionable_set_action_name(GTK_ACTIONABLE(back), "win.back");
    adw_header_bar_pack_start(ADW_HEADER_BAR(header), back);
    window->chat_menu = we_menu_button("view-more-symbolic", _("This chat"), NULL);
    adw_header_bar_pack_end(ADW_HEADER_BAR(header), window->chat_menu);
    adw_header_bar_set_title_widget(ADW_HEADER_BAR(header), make_title(window));
    g_object_bind_property(window->leaflet, "folded", header, "show-start-title-buttons", G_BINDING_SYNC_CREATE);
    g_object_bind_property(window->leaflet, "folded", back, "visible", G_BINDING_SYNC_CREATE);
    window->chat = WE_CHAT_VIEW(we_chat_view_new(window->store, window->engine));
    g_signal_connect_swapped(window->chat, "conversation-changed", G_CALLBACK(on_conversation_changed), window);
    gtk_widget_set_vexpand(GTK_WIDGET(window->chat), TRUE);
    gtk_box_append(GTK_BOX(box), header);
    gtk_box_append(GTK_BOX(box), GTK_WIDGET(window->chat));
    gtk_widget_set_hexpand(box, TRUE);
    return box;
}

static void make_parts(WeWindow *window)
{
    window->leaflet = adw_leaflet_new();
    adw_leaflet_set_can_navigate_back(ADW_LEAFLET(window->leaflet), TRUE);
    gtk_widget_set_vexpand(window->leaflet, TRUE);
    window->content = make_content(window);
    GtkWidget *separator = gtk_separator_new(GTK_ORIENTATION_VERTICAL);
    adw_leaflet_append(ADW_LEAFLET(window->leaflet), make_sidebar(window));
    adw_leaflet_page_set_navigatable(adw_leaflet_append(ADW_LEAFLET(window->leaflet), separator), FALSE);
    adw_leaflet_append(ADW_LEAFLET(window->leaflet), window->content);
    adw_leaflet_set_visible_child(ADW_LEAFLET(window->leaflet), window->content);
    window->toasts = adw_toast_overlay_new();
    adw_toast_overlay_set_child(ADW_TOAST_OVERLAY(window->toasts), window->leaflet);
    window->status_bar = WE_STATUS_BAR(we_status_bar_new(window->engine));
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
    gtk_box_append(GTK_BOX(box), window->toasts);
    gtk_box_append(GTK_BOX(box), GTK_WIDGET(window->status_bar));
    adw_application_window_set_content(ADW_APPLICATION_WINDOW(window), box);
}

static void dispose(GObject *object)
{
    WeWindow *window = WE_WINDOW(object);
    g_clear_pointer(&window->monitor, we_monitor_free);
    if (window->engine)
        g_signal_handlers_disconnect_by_data(window->engine, window);
    g_clear_object(&window->engine);
    G_OBJECT_CLASS(we_window_parent_class)->dispose(object);
}

static void we_window_class_init(WeWindowClass *klass)
{
    G_OBJECT_CLASS(klass)->dispose = dispose;
    GTK_WINDOW_CLASS(klass)->close_request = close_request;
}

static void we_window_init(WeWindow *window)
{
    static const GActionEntry actions[] = {
        {.name = "new-chat", .activate = on_new_chat},
        {.name = "clear-chat", .activate = on_clear_chat},
        {.name = "rename-chat", .activate = on_rename_chat, .parameter_type = "x"},
        {.name = "delete-chat", .activate = on_delete_chat, .parameter_type = "x"},
        {.name = "export-markdown", .activate = on_export, .parameter_type = "x"},
        {.name = "export-json", .activate = on_export, .parameter_type = "x"},
        {.name = "export-all", .activate = on_export},
        {.name = "import", .activate = on_import},
        {.name = "search", .activate = on_search},
        {.name = "restore", .activate = on_restore, .parameter_type = "x"},
        {.name = "stop", .activate = on_stop},
        {.name = "back", .activate = on_back},
    };
    g_action_map_add_action_entries(G_ACTION_MAP(window), actions, G_N_ELEMENTS(actions), window);
    gtk_window_set_title(GTK_WINDOW(window), "WhisperEngine");
    gtk_widget_set_size_request(GTK_WIDGET(window), LEAST_WIDTH, LEAST_HEIGHT);
}

WeWindow *we_window_new(WeApplication *application)
{
    WeWindow *window = g_object_new(WE_TYPE_WINDOW, "application", application, NULL);
    window->application = application;
    window->store = we_application_store(application);
    window->engine = g_object_ref(we_application_engine(application));
    make_parts(window);
    we_tool_windows_add(GTK_APPLICATION_WINDOW(window), application);
    we_window_configure(window, we_application_configuration(application));
    g_signal_connect_swapped(window->engine, "changed", G_CALLBACK(update_title), window);
    recall(window);
    window->monitor = we_monitor_new(on_reading, window);
    we_chat_view_focus_composer(window->chat);
    return window;
}
