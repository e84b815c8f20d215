#include "application.h"

#include "desktop_resources.h"
#include "window.h"

#include <glib-unix.h>
#include <glib/gi18n.h>
#include <stdlib.h>

static const double PATIENCE = 3; /* seconds that the engine has to end in */

struct _WeApplication {
    AdwApplication parent;
    struct we_configuration *configuration;
    struct we_conversations *store;
    WeEngine *engine;
    WeWindow *window;
    gboolean is_quitting;
    guint signals[2];
};

G_DEFINE_FINAL_TYPE(WeApplication, we_application, ADW_TYPE_APPLICATION)

WeEngine *we_application_engine(WeApplication *application)
{
    return application->engine;
}

struct we_conversations *we_application_store(WeApplication *application)
{
    return application->store;
}

struct we_configuration *we_application_configuration(WeApplication *application)
{
    return application->configuration;
}

/* ---- actions ---- */

/* What is under way ends first, so that nothing is lost; the window is gone at once. */
static void quit(WeApplication *application)
{
    if (application->is_quitting)
        return;
    application->is_quitting = TRUE;
    if (application->window)
        gtk_widget_set_visible(GTK_WIDGET(application->window), FALSE);
    gboolean ended = application->engine == NULL || we_engine_shut_down(application->engine, PATIENCE);
    if (application->window)
        we_window_shut_down(application->window);
    if (!ended) {
        /* The engine's thread waits for a network or a disk, and cannot be ended: it may hold the store. */
        exit(EXIT_SUCCESS);
    }
    g_application_quit(G_APPLICATION(application));
}

static void on_quit(GSimpleAction *action, GVariant *parameter, gpointer data)
{
    (void)action;
    (void)parameter;
    quit(data);
}

static gboolean on_signal(gpointer data)
{
    quit(data);
    return G_SOURCE_CONTINUE;
}

static void on_load_model(GSimpleAction *action, GVariant *parameter, gpointer data)
{
    (void)action;
    (void)parameter;
    WeApplication *application = data;
    we_engine_load(application->engine, application->configuration, NULL);
}

static void on_about(GSimpleAction *action, GVariant *parameter, gpointer data)
{
    (void)action;
    (void)parameter;
    adw_show_about_window(GTK_WINDOW(WE_APPLICATION(data)->window), "application-name", "WhisperEngine", "application-icon",
                          WE_APPLICATION_ID, "version", we_version(), "developer-name", _("The WhisperEngine developers"),
                          "comments", _("Chat with language models in MLX format, on this computer"), "license-type",
                          GTK_LICENSE_MIT_X11, NULL);
}

/* ---- its life ---- */

static void apply_theme(WeApplication *application)
{
    const char *theme = we_settings_text(application->configuration->settings, WE_SETTING_UI_THEME);
    AdwColorScheme scheme = g_strcmp0(theme, "dark") == 0    ? ADW_COLOR_SCHEME_FORCE_DARK
                            : g_strcmp0(theme, "light") == 0 ? ADW_COLOR_SCHEME_FORCE_LIGHT
                                                             : ADW_COLOR_SCHEME_DEFAULT;
    adw_style_manager_set_color_scheme(adw_style_manager_get_default(), scheme);
}

static void open_window(WeApplication *application)
{
    application->engine = we_engine_new();
    application->window = we_window_new(application);
    gtk_window_present(GTK_WINDOW(application->window));
    we_engine_load(application->engine, application->configuration, NULL);
}

static we_status open_store(WeApplication *application, bool kept, char **path, struct we_error *error)
{
    const struct we_settings *settings = application->configuration->settings;
    we_status status = we_conversations_path(we_settings_text(settings, WE_SETTING_DATA_DIR), path, error);
    bool wanted = kept && we_settings_integer(settings, WE_SETTING_AUTO_SAVE);
    return status == WE_OK ? we_conversations_open(wanted ? *path : NULL, &application->store, error) : status;
}

/* The conversations cannot be read: nothing is done to them before the person has decided. */
static void on_store_decided(WeApplication *application, const char *response)
{
    struct we_error error;
    char *path = NULL, *aside = NULL;
    const struct we_settings *settings = application->configuration->settings;
    bool quits = g_strcmp0(response, "aside") != 0 && g_strcmp0(response, "without") != 0;
    we_status status = WE_OK;
    if (g_strcmp0(response, "aside") == 0) {
        status = we_conversations_path(we_settings_text(settings, WE_SETTING_DATA_DIR), &path, &error);
        if (status == WE_OK)
            status = we_conversations_set_aside(path, &aside, &error);
        free(path);
        path = NULL;
    }
    if (status == WE_OK && !quits)
        status = open_store(application, g_strcmp0(response, "aside") == 0, &path, &error);
    free(path);
    free(aside);
    if (status != WE_OK)
        g_printerr("whisperengine-desktop: %s\n", error.message);
    else if (!quits)
        open_window(application);
    g_application_release(G_APPLICATION(application));
}

static void ask_about_store(WeApplication *application, const struct we_error *error)
{
    GtkWidget *dialog = adw_message_dialog_new(NULL, _("The conversations cannot be opened"), error->message);
    gtk_window_set_application(GTK_WINDOW(dialog), GTK_APPLICATION(application));
    adw_message_dialog_add_response(ADW_MESSAGE_DIALOG(dialog), "quit", _("_Quit"));
    adw_message_dialog_add_response(ADW_MESSAGE_DIALOG(dialog), "without", _("_Go On Without Them"));
    if (error->status == WE_INVALID_FORMAT) {
        adw_message_dialog_add_response(ADW_MESSAGE_DIALOG(dialog), "aside", _("_Set Aside and Begin Anew"));
        adw_message_dialog_set_response_appearance(ADW_MESSAGE_DIALOG(dialog), "aside", ADW_RESPONSE_SUGGESTED);
    }
    adw_message_dialog_set_close_response(ADW_MESSAGE_DIALOG(dialog), "quit");
    g_signal_connect_swapped(dialog, "response", G_CALLBACK(on_store_decided), application);
    g_application_hold(G_APPLICATION(application));
    gtk_window_present(GTK_WINDOW(dialog));
}

static void activate(GApplication *app)
{
    WeApplication *application = WE_APPLICATION(app);
    struct we_error error;
    char *path = NULL;
    if (application->window) {
        gtk_window_present(GTK_WINDOW(application->window));
        return;
    }
    if (open_store(application, true, &path, &error) == WE_OK)
        open_window(application);
    else
        ask_about_store(application, &error);
    free(path);
}

static void set_accel(GtkApplication *application, const char *action, const char *accel)
{
    const char *accels[] = {accel, NULL};
    gtk_application_set_accels_for_action(application, action, accels);
}

static void set_accels(GtkApplication *gtk)
{
    set_accel(gtk, "app.quit", "<Control>q");
    set_accel(gtk, "win.new-chat", "<Control>n");
    set_accel(gtk, "win.clear-chat", "<Control>l");
    set_accel(gtk, "win.stop", "Escape");
    set_accel(gtk, "win.search", "<Control>f");
    set_accel(gtk, "win.back", "<Alt>Left");
    set_accel(gtk, "win.show-help-overlay", "F1");
}

static void startup(GApplication *app)
{
    WeApplication *application = WE_APPLICATION(app);
    struct we_error error;
    we_desktop_register_resource();
    G_APPLICATION_CLASS(we_application_parent_class)->startup(app);
    set_accels(GTK_APPLICATION(app)); /* after the parent's, which has other keys for the help */
    gtk_window_set_default_icon_name(WE_APPLICATION_ID);
    application->configuration = we_configuration_open(NULL, &error);
    if (application->configuration == NULL || we_settings_export(application->configuration->settings, &error) != WE_OK)
        g_error("%s", error.message); /* out of memory, before there is a window */
    apply_theme(application);
    application->signals[0] = g_unix_signal_add(SIGTERM, on_signal, application);
    application->signals[1] = g_unix_signal_add(SIGINT, on_signal, application);
}

static void shutdown(GApplication *app)
{
    WeApplication *application = WE_APPLICATION(app);
    for (size_t i = 0; i < G_N_ELEMENTS(application->signals); i++)
        g_clear_handle_id(&application->signals[i], g_source_remove);
    if (application->window)
        gtk_window_destroy(GTK_WINDOW(application->window));
    application->window = NULL;
    g_clear_object(&application->engine);
    if (application->store)
        we_conversations_close(application->store);
    application->store = NULL;
    g_clear_pointer(&application->configuration, we_configuration_unref);
    G_APPLICATION_CLASS(we_application_parent_class)->shutdown(app);
}

static void we_application_class_init(WeApplicationClass *klass)
{
    G_APPLICATION_CLASS(klass)->startup = startup;
    G_APPLICATION_CLASS(klass)->activate = activate;
    G_APPLICATION_CLASS(klass)->shutdown = shutdown;
}

static void we_application_init(WeApplication *application)
{
    static const GActionEntry actions[] = {
        {.name = "quit", .activate = on_quit},
        {.name = "about", .activate = on_about},
        {.name = "load-model", .activate = on_load_model},
    };
    g_action_map_add_action_entries(G_ACTION_MAP(application), actions, G_N_ELEMENTS(actions), application);
}

WeApplication *we_application_new(void)
{
    return g_object_new(WE_TYPE_APPLICATION, "application-id", WE_APPLICATION_ID, NULL);
}
