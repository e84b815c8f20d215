#include "application.h"

#include "desktop_resources.h"
#include "preferences.h"
#include "widgets.h"
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
    we_configuration_finish();
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

/* ---- settings ---- */

static guint configured_signal;

static void apply_theme(WeApplication *application);

struct changing {
    WeApplication *application;
    we_settings_changed_fn *done;
    gpointer context;
    bool loads; /* the model is loaded with the new settings */
};

static void configure(WeApplication *application, struct we_configuration *configuration)
{
    we_configuration_unref(application->configuration);
    application->configuration = configuration;
    apply_theme(application);
    if (application->engine)
        we_engine_configure(application->engine, configuration);
    if (application->window)
        we_window_configure(application->window, configuration);
    g_signal_emit(application, configured_signal, 0);
}

static void on_changed(gpointer context, struct we_configuration *configuration, const struct we_error *error)
{
    struct changing *changing = context;
    WeApplication *application = changing->application;
    if (configuration)
        configure(application, configuration);
    if (configuration && changing->loads)
        we_engine_load(application->engine, application->configuration, NULL);
    if (changing->done)
        changing->done(changing->context, error);
    else if (error && application->window)
        we_tell(GTK_WIDGET(application->window), _("The setting cannot be saved"), error->message);
    g_object_unref(application);
    g_free(changing);
}

void we_application_change_settings(WeApplication *application, const struct we_env_change *changes, size_t count,
                                    we_settings_changed_fn *done, gpointer context)
{
    struct changing *changing = g_new0(struct changing, 1);
    *changing = (struct changing){g_object_ref(application), done, context, false};
    we_configuration_change(application->configuration, changes, count, on_changed, changing);
}

void we_application_use_model(WeApplication *application, const char *model, const char *path)
{
    struct changing *changing = g_new0(struct changing, 1);
    bool stated = we_settings_source(application->configuration->settings, WE_SETTING_MODEL) == WE_SOURCE_ENVIRONMENT;
    *changing = (struct changing){g_object_ref(application), NULL, NULL, !stated};
    if (stated) /* .env would not count */
        we_engine_load(application->engine, application->configuration, model);
    we_configuration_use_model(application->configuration, model, path, on_changed, changing);
}

static void on_preferences(GSimpleAction *action, GVariant *parameter, gpointer data)
{
    (void)action;
    (void)parameter;
    WeApplication *application = data;
    GtkWidget *window = we_preferences_new(application);
    gtk_window_set_transient_for(GTK_WINDOW(window), GTK_WINDOW(application->window));
    gtk_window_set_modal(GTK_WINDOW(window), TRUE);
    gtk_window_present(GTK_WINDOW(window));
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
    set_accel(gtk, "app.preferences", "<Control>comma");
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
    configured_signal = g_signal_new("configured", WE_TYPE_APPLICATION, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void we_application_init(WeApplication *application)
{
    static const GActionEntry actions[] = {
        {.name = "quit", .activate = on_quit},
        {.name = "preferences", .activate = on_preferences},
        {.name = "about", .activate = on_about},
        {.name = "load-model", .activate = on_load_model},
    };
    g_action_map_add_action_entries(G_ACTION_MAP(application), actions, G_N_ELEMENTS(actions), application);
}

WeApplication *we_application_new(void)
{
    return g_object_new(WE_TYPE_APPLICATION, "application-id", WE_APPLICATION_ID, NULL);
}
