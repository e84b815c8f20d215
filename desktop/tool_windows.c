#include "tool_windows.h"

#include "character_page.h"
#include "log_page.h"
#include "models_page.h"

#include <glib/gi18n.h>

GtkWindow *we_tool_windows_get(GtkApplicationWindow *window, const char *name)
{
    return g_object_get_data(G_OBJECT(window), name);
}

static gboolean on_close_key(GtkWidget *widget, GVariant *arguments, gpointer data)
{
    (void)arguments;
    (void)data;
    gtk_window_close(GTK_WINDOW(widget));
    return TRUE;
}

static gboolean on_search_key(GtkWidget *widget, GVariant *arguments, gpointer data)
{
    (void)widget;
    (void)arguments;
    we_log_page_focus_search(data);
    return TRUE;
}

static void add_key(GtkWidget *tool, const char *key, GtkShortcutFunc what, gpointer data)
{
    GtkEventController *keys = gtk_shortcut_controller_new();
    gtk_shortcut_controller_add_shortcut(
        GTK_SHORTCUT_CONTROLLER(keys),
        gtk_shortcut_new(gtk_shortcut_trigger_parse_string(key), gtk_callback_action_new(what, data, NULL)));
    gtk_widget_add_controller(tool, keys);
}

/* It is hidden when it is closed: text that is not saved is there again the next time. */
static void show(GtkApplicationWindow *window, const char *name, const char *title, int width,
                 GtkWidget *(*make)(GtkApplicationWindow *))
{
    GtkWidget *tool = GTK_WIDGET(we_tool_windows_get(window, name));
    if (tool == NULL) {
        GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0), *page = make(window);
        tool = adw_window_new();
        gtk_window_set_title(GTK_WINDOW(tool), title);
        gtk_window_set_default_size(GTK_WINDOW(tool), width, 520);
        gtk_widget_set_size_request(tool, 360, 300);
        gtk_window_set_transient_for(GTK_WINDOW(tool), GTK_WINDOW(window));
        gtk_window_set_destroy_with_parent(GTK_WINDOW(tool), TRUE);
        gtk_window_set_hide_on_close(GTK_WINDOW(tool), TRUE);
        gtk_box_append(GTK_BOX(box), adw_header_bar_new());
        gtk_box_append(GTK_BOX(box), page);
        gtk_widget_set_vexpand(page, TRUE);
        adw_window_set_content(ADW_WINDOW(tool), box);
        add_key(tool, "Escape", on_close_key, NULL);
        add_key(tool, "<Control>w", on_close_key, NULL);
        if (WE_IS_LOG_PAGE(page))
            add_key(tool, "<Control>f", on_search_key, page);
        g_object_set_data(G_OBJECT(window), name, tool);
    }
    gtk_window_present(GTK_WINDOW(tool));
}

static GtkWidget *make_character(GtkApplicationWindow *window)
{
    return we_character_page_new(WE_APPLICATION(gtk_window_get_application(GTK_WINDOW(window))));
}

static GtkWidget *make_models(GtkApplicationWindow *window)
{
    return we_models_page_new(WE_APPLICATION(gtk_window_get_application(GTK_WINDOW(window))));
}

static GtkWidget *make_log(GtkApplicationWindow *window)
{
    (void)window;
    return we_log_page_new();
}

static void on_character(GSimpleAction *action, GVariant *parameter, gpointer data)
{
    (void)action;
    (void)parameter;
    show(data, "character", _("Character Prompt"), 720, make_character);
}

static void on_log(GSimpleAction *action, GVariant *parameter, gpointer data)
{
    (void)action;
    (void)parameter;
    show(data, "log", _("Log"), 860, make_log);
}

static void on_models(GSimpleAction *action, GVariant *parameter, gpointer data)
{
    (void)action;
    (void)parameter;
    show(data, "models", _("Models"), 720, make_models);
}

/* ---- what is logged ---- */

static void log_engine(GtkWindow *window, WeEngine *engine)
{
    static const char key[] = "logged-state";
    enum we_engine_state state = we_engine_state(engine);
    if (state == WE_ENGINE_READING || state == WE_ENGINE_WRITING)
        state = WE_ENGINE_READY;
    const struct we_engine_model *model = we_engine_model(engine);
    if (GPOINTER_TO_INT(g_object_get_data(G_OBJECT(window), key)) == (int)state + 1)
        return;
    g_object_set_data(G_OBJECT(window), key, GINT_TO_POINTER((int)state + 1));
    if (state == WE_ENGINE_LOADING)
        we_log(WE_LOG_DEBUG, "engine", "a model is being loaded");
    else if (state == WE_ENGINE_FAILED)
        we_log(WE_LOG_ERROR, "engine", "%s", we_engine_problem(engine) ? we_engine_problem(engine) : "no model is open");
    else if (model && model->stands_in)
        we_log(WE_LOG_WARNING, "engine", "%s answers in place of %s: %s", model->stands_in, model->wanted, model->reason);
    else if (model)
        we_log(WE_LOG_INFO, "engine", "%s is loaded in %.2f s: %s", model->path, model->load_seconds,
               model->endpoint ? model->endpoint : model->device);
}

static void use_configuration(GtkWindow *window, WeApplication *application)
{
    (void)window;
    struct we_configuration *configuration = we_application_configuration(application);
    we_log_set_level(we_log_level_of(we_settings_text(configuration->settings, WE_SETTING_LOG_LEVEL)));
    if (configuration->problem.status != WE_OK)
        we_log(WE_LOG_WARNING, "settings", "%s", configuration->problem.message);
}

void we_tool_windows_add(GtkApplicationWindow *window, WeApplication *application)
{
    static const GActionEntry actions[] = {{.name = "character", .activate = on_character},
                                           {.name = "models", .activate = on_models},
                                           {.name = "log", .activate = on_log}};
    WeEngine *engine = we_application_engine(application);
    g_action_map_add_action_entries(G_ACTION_MAP(window), actions, G_N_ELEMENTS(actions), window);
    g_signal_connect_object(engine, "changed", G_CALLBACK(log_engine), window, G_CONNECT_SWAPPED);
    g_signal_connect_object(application, "configured", G_CALLBACK(use_configuration), window, G_CONNECT_SWAPPED);
    use_configuration(GTK_WINDOW(window), application);
    log_engine(GTK_WINDOW(window), engine);
}
