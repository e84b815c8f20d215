#include "driver.h"

#include "composer.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

static const int LONGEST_WAIT = 120; /* seconds: under sanitizers, on a busy machine */

static char *home;
static driver_body *running;
static char *complaint; /* the first warning */

/* ---- its home ---- */

const char *driver_models_dir(void)
{
    static char *directory;
    const char *model = g_getenv("WE_TEST_MODEL");
    const char *name = "models/mlx/HuggingFaceTB/SmolLM2-135M-Instruct-4bit";
    g_free(directory);
    directory = model ? g_build_filename(model, "..", "..", "..", NULL) : g_build_filename(SOURCE_ROOT, "models", NULL);
    g_autofree char *config =
        model ? g_build_filename(model, "config.json", NULL) : g_build_filename(SOURCE_ROOT, name, "config.json", NULL);
    if (!g_file_test(config, G_FILE_TEST_EXISTS)) {
        print_message("skipped: the default model is not there (%s); `make test` fetches it\n", config);
        skip();
    }
    return directory;
}

static void set_folder(const char *variable, const char *name)
{
    g_autofree char *path = g_build_filename(home, name, NULL);
    assert_int_equal(g_mkdir_with_parents(path, 0700), 0);
    g_setenv(variable, path, TRUE);
}

void driver_begin(void)
{
    /* cmocka left the main loop by a jump: what comes after it would fail for no reason of its own. */
    if (running) {
        print_error("the test before this one failed in the middle of the program; the others are not run\n");
        exit(EXIT_FAILURE);
    }
    home = g_dir_make_tmp("whisperengine-desktop-XXXXXX", NULL);
    assert_non_null(home);
    set_folder("HOME", "home");
    set_folder("XDG_CONFIG_HOME", "config");
    set_folder("XDG_DATA_HOME", "data");
    set_folder("XDG_STATE_HOME", "state");
    set_folder("XDG_CACHE_HOME", "cache");
    set_folder("HF_HOME", "huggingface");
    assert_int_equal(g_chdir(home), 0);
}

static void remove_tree(const char *path)
{
    GDir *folder = g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
    const char *name;
    while (folder && (name = g_dir_read_name(folder))) {
        g_autofree char *inner = g_build_filename(path, name, NULL);
        remove_tree(inner);
    }
    if (folder)
        g_dir_close(folder);
    g_remove(path);
}

void driver_end(void)
{
    assert_int_equal(g_chdir("/"), 0);
    remove_tree(home);
    g_clear_pointer(&home, g_free);
}

void driver_write_env(const char *text)
{
    g_autofree char *path = g_build_filename(home, ".env", NULL);
    assert_true(g_file_set_contents(path, text, -1, NULL));
}

/* ---- running ---- */

static GLogWriterOutput on_log(GLogLevelFlags level, const GLogField *fields, gsize count, gpointer data)
{
    (void)data;
    if (level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING | G_LOG_LEVEL_MESSAGE)) {
        char *text = g_log_writer_format_fields(level, fields, count, FALSE);
        print_error("%s\n", text);
        if (complaint == NULL)
            complaint = text;
        else
            g_free(text);
    }
    return G_LOG_WRITER_HANDLED;
}

static gboolean start_body(gpointer data)
{
    WeApplication *application = data;
    GtkWindow *window = gtk_application_get_active_window(GTK_APPLICATION(application));
    if (window == NULL)
        return G_SOURCE_CONTINUE;
    running(application, WE_IS_WINDOW(window) ? WE_WINDOW(window) : NULL);
    g_action_group_activate_action(G_ACTION_GROUP(application), "quit", NULL);
    return G_SOURCE_REMOVE;
}

void driver_run(driver_body *body)
{
    static bool has_writer;
    if (!has_writer)
        g_log_set_writer_func(on_log, NULL, NULL);
    has_writer = true;
    running = body;
    WeApplication *application = we_application_new();
    g_idle_add_full(G_PRIORITY_LOW, start_body, application, NULL);
    char *arguments[] = {(char *)"whisperengine-desktop", NULL};
    assert_int_equal(g_application_run(G_APPLICATION(application), 1, arguments), 0);
    g_object_unref(application);
    running = NULL;
    if (complaint)
        fail_msg("the program complained: %s", complaint);
}

void driver_wait(const char *what, driver_condition *condition, void *context)
{
    gint64 until = g_get_monotonic_time() + LONGEST_WAIT * G_TIME_SPAN_SECOND;
    while (!condition(context)) {
        if (g_get_monotonic_time() > until)
            fail_msg("it did not happen within %d seconds: %s", LONGEST_WAIT, what);
        if (!g_main_context_iteration(NULL, FALSE))
            g_usleep(1000);
    }
}

void driver_settle(void)
{
    for (int i = 0; i < 200 && g_main_context_iteration(NULL, FALSE); i++)
        continue;
}

/* ---- finding ---- */

static bool bears_name(GtkWidget *widget, const char *name)
{
    if (GTK_IS_BUTTON(widget) && g_strcmp0(gtk_button_get_label(GTK_BUTTON(widget)), name) == 0)
        return true;
    if (!gtk_test_accessible_has_property(GTK_ACCESSIBLE(widget), GTK_ACCESSIBLE_PROPERTY_LABEL))
        return false;
    char *other = gtk_test_accessible_check_property(GTK_ACCESSIBLE(widget), GTK_ACCESSIBLE_PROPERTY_LABEL, name);
    bool same = other == NULL;
    g_free(other);
    return same;
}

static GtkWidget *find(GtkWidget *root, GType type, const char *name, int *index)
{
    if (!gtk_widget_get_visible(root) || !gtk_widget_get_child_visible(root))
        return NULL;
    if (g_type_is_a(G_OBJECT_TYPE(root), type) && (name == NULL || bears_name(root, name)) && (*index)-- == 0)
        return root;
    for (GtkWidget *child = gtk_widget_get_first_child(root); child; child = gtk_widget_get_next_sibling(child)) {
        GtkWidget *found = find(child, type, name, index);
        if (found)
            return found;
    }
    return NULL;
}

GtkWidget *driver_find(GtkWidget *root, GType type, const char *name, int index)
{
    return find(root, type, name, &index);
}

int driver_count(GtkWidget *root, GType type, const char *name)
{
    int index = G_MAXINT;
    find(root, type, name, &index);
    return G_MAXINT - index;
}

void driver_click(GtkWidget *root, const char *name, int index)
{
    GtkWidget *button = driver_find(root, GTK_TYPE_BUTTON, name, index);
    if (button == NULL)
        fail_msg("there is no button %d \"%s\"", index, name);
    if (!gtk_widget_is_sensitive(button))
        fail_msg("the button \"%s\" is not sensitive", name);
    g_signal_emit_by_name(button, "clicked");
    driver_settle();
}

bool driver_shows(GtkWidget *root, const char *text)
{
    for (int i = 0;; i++) {
        GtkWidget *label = driver_find(root, GTK_TYPE_LABEL, NULL, i);
        if (label == NULL)
            return false;
        if (strstr(gtk_label_get_text(GTK_LABEL(label)), text))
            return true;
    }
}

void driver_type(WeWindow *window, const char *text)
{
    GtkWidget *composer = driver_find(GTK_WIDGET(window), WE_TYPE_COMPOSER, NULL, 0);
    assert_non_null(composer);
    we_composer_set_text(WE_COMPOSER(composer), text);
}
