/* Preferences, which go into .env and come back with the next start, and the switch to another model in a conversation. */
#include "driver.h"

#include "message_row.h"
#include "model_list.h"
#include "preferences.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static GtkWidget *preferences;

struct expectation {
    WeApplication *application;
    enum we_setting_id id;
    const char *value;
};

static bool has_value(void *context)
{
    struct expectation *e = context;
    const char *text = we_settings_text(we_application_configuration(e->application)->settings, e->id);
    return strcmp(text ? text : "", e->value) == 0;
}

static void wait_for_value(WeApplication *application, enum we_setting_id id, const char *value)
{
    struct expectation e = {application, id, value};
    driver_wait("the setting is changed", has_value, &e);
    driver_settle();
}

static char *env_text(void)
{
    char *text = NULL;
    assert_true(g_file_get_contents(".env", &text, NULL, NULL));
    return text;
}

/* Every page of the window is there, shown or not. */
static GtkWidget *find_anywhere(GtkWidget *root, GType type, const char *title)
{
    const char *found = ADW_IS_PREFERENCES_ROW(root) ? adw_preferences_row_get_title(ADW_PREFERENCES_ROW(root)) : NULL;
    if (g_type_is_a(G_OBJECT_TYPE(root), type) && g_strcmp0(found, title) == 0)
        return root;
    for (GtkWidget *child = gtk_widget_get_first_child(root); child; child = gtk_widget_get_next_sibling(child)) {
        GtkWidget *inner = find_anywhere(child, type, title);
        if (inner)
            return inner;
    }
    return NULL;
}

static GtkWidget *row_of(const char *title)
{
    GtkWidget *row = find_anywhere(preferences, ADW_TYPE_PREFERENCES_ROW, title);
    if (row == NULL)
        fail_msg("there is no row \"%s\"", title);
    return row;
}

static void open_preferences(WeApplication *application, WeWindow *window)
{
    (void)window;
    g_action_group_activate_action(G_ACTION_GROUP(application), "preferences", NULL);
    driver_settle();
    preferences = NULL;
    GListModel *all = gtk_window_get_toplevels();
    for (guint i = 0; i < g_list_model_get_n_items(all); i++) {
        g_autoptr(GtkWidget) other = g_list_model_get_item(all, i);
        if (WE_IS_PREFERENCES(other))
            preferences = other;
    }
    assert_non_null(preferences);
}

static void change(WeApplication *application, WeWindow *window)
{
    open_preferences(application, window);
    GtkWidget *temperature = driver_find(row_of("Temperature"), GTK_TYPE_SPIN_BUTTON, NULL, 0);
    assert_true(gtk_spin_button_get_value(GTK_SPIN_BUTTON(temperature)) == 0.25); /* what .env says */
    gtk_spin_button_set_value(GTK_SPIN_BUTTON(temperature), 1.5);
    wait_for_value(application, WE_SETTING_TEMPERATURE, "1.5");
    g_autofree char *text = env_text();
    assert_non_null(strstr(text, "# mine\n"));
    assert_non_null(strstr(text, "MLX_TEMPERATURE=1.5\n"));
    assert_int_equal(access(".env.backup", F_OK), 0);

    assert_false(adw_style_manager_get_dark(adw_style_manager_get_default()));
    adw_combo_row_set_selected(ADW_COMBO_ROW(row_of("Interface theme")), 2);
    wait_for_value(application, WE_SETTING_UI_THEME, "dark");
    assert_true(adw_style_manager_get_dark(adw_style_manager_get_default()));

    /* Two changes at once both count. */
    gtk_switch_set_active(GTK_SWITCH(driver_find(row_of("Fallback"), GTK_TYPE_SWITCH, NULL, 0)), FALSE);
    gtk_editable_set_text(GTK_EDITABLE(row_of("Threads")), "1");
    g_signal_emit_by_name(row_of("Threads"), "apply");
    wait_for_value(application, WE_SETTING_FALLBACK, "0");
    wait_for_value(application, WE_SETTING_THREADS, "1");

    /* What a setting cannot have is refused, and told. */
    gtk_editable_set_text(GTK_EDITABLE(row_of("Threads")), "many");
    g_signal_emit_by_name(row_of("Threads"), "apply");
    driver_settle();
    assert_true(gtk_widget_has_css_class(row_of("Threads"), "error"));
    wait_for_value(application, WE_SETTING_THREADS, "1");

    /* The environment is stronger. */
    assert_false(gtk_widget_get_sensitive(row_of("Top k")));
    assert_true(strstr(adw_action_row_get_subtitle(ADW_ACTION_ROW(row_of("Top k"))), "MLX_TOP_K") != NULL);
    gtk_window_destroy(GTK_WINDOW(preferences));
}

static void find_again(WeApplication *application, WeWindow *window)
{
    assert_true(adw_style_manager_get_dark(adw_style_manager_get_default()));
    open_preferences(application, window);
    assert_int_equal(adw_combo_row_get_selected(ADW_COMBO_ROW(row_of("Interface theme"))), 2);
    GtkWidget *temperature = driver_find(row_of("Temperature"), GTK_TYPE_SPIN_BUTTON, NULL, 0);
    assert_true(gtk_spin_button_get_value(GTK_SPIN_BUTTON(temperature)) == 1.5);
    assert_false(gtk_switch_get_active(GTK_SWITCH(driver_find(row_of("Fallback"), GTK_TYPE_SWITCH, NULL, 0))));
    driver_click(row_of("Temperature"), "Back to the default (0.7)", 0);
    wait_for_value(application, WE_SETTING_TEMPERATURE, "0.7");
    assert_true(gtk_spin_button_get_value(GTK_SPIN_BUTTON(temperature)) == 0.7);
    adw_combo_row_set_selected(ADW_COMBO_ROW(row_of("Interface theme")), 0);
    wait_for_value(application, WE_SETTING_UI_THEME, "auto");
    gtk_window_destroy(GTK_WINDOW(preferences));
}

static void test_preferences(void **state)
{
    (void)state;
    driver_begin();
    driver_write_env("# mine\nLOCAL_MODELS_DIR=./none\nMLX_TEMPERATURE=0.25\n");
    g_setenv("MLX_TOP_K", "7", TRUE);
    driver_run(change);
    driver_run(find_again);
    g_unsetenv("MLX_TOP_K");
    driver_end();
}

/* ---- models ---- */

static bool is_ready(void *context)
{
    return we_engine_state(we_application_engine(context)) == WE_ENGINE_READY;
}

static bool answers_nothing(void *context)
{
    return we_chat_view_answering(context) == 0;
}

static GtkWidget *models; /* the list */

static bool lists_two(void *context)
{
    (void)context;
    return driver_count(models, ADW_TYPE_ACTION_ROW, NULL) == 2;
}

static bool has_second(void *context)
{
    const struct we_engine_model *model = we_engine_model(we_application_engine(context));
    return is_ready(context) && model && strcmp(model->name, "Second-Model") == 0;
}

static void send(WeWindow *window, const char *text)
{
    driver_type(window, text);
    driver_click(GTK_WIDGET(we_window_chat(window)), "Send", 0);
    driver_wait("a reply ends", answers_nothing, we_window_chat(window));
}

static void switch_model(WeApplication *application, WeWindow *window)
{
    struct we_arena arena = {0};
    struct we_conversation *c;
    struct we_error error;
    driver_wait("the model is loaded", is_ready, application);
    send(window, "Say one word.");
    GtkWidget *button = driver_find(GTK_WIDGET(window), GTK_TYPE_MENU_BUTTON, "Model: First-Model", 0);
    assert_non_null(button);
    GtkWidget *popover = GTK_WIDGET(gtk_menu_button_get_popover(GTK_MENU_BUTTON(button)));
    gtk_popover_popup(GTK_POPOVER(popover));
    models = driver_find(popover, WE_TYPE_MODEL_LIST, NULL, 0);
    assert_non_null(models);
    driver_wait("both models are listed", lists_two, NULL);
    assert_true(driver_shows(models, "First-Model"));
    assert_true(driver_shows(models, "bits"));
    assert_true(driver_shows(models, "of memory"));
    GtkWidget *row = driver_find(models, ADW_TYPE_ACTION_ROW, NULL, 1);
    assert_string_equal(adw_preferences_row_get_title(ADW_PREFERENCES_ROW(row)), "Second-Model");
    gtk_widget_activate(row);
    driver_wait("the other model is loaded", has_second, application);
    g_autofree char *text = env_text();
    assert_non_null(strstr(text, "LLM_CHAT_API_URL=mlx://Org/Second-Model\n"));
    send(window, "And another one.");
    int64_t id = we_chat_view_conversation(we_window_chat(window));
    assert_int_equal(we_conversations_load(we_application_store(application), id, &arena, &c, &error), WE_OK);
    assert_int_equal(c->num_messages, 4);
    assert_string_equal(c->messages[1].model, "First-Model");
    assert_string_equal(c->messages[3].model, "Second-Model");
    assert_true(c->messages[3].length > 0);
    we_arena_free(&arena);
}

static void starts_with_it(WeApplication *application, WeWindow *window)
{
    (void)window;
    driver_wait("the other model is loaded", has_second, application);
}

static void test_models(void **state)
{
    (void)state;
    g_autofree char *real = g_build_filename(driver_models_dir(), "mlx/HuggingFaceTB/SmolLM2-135M-Instruct-4bit", NULL);
    g_autofree char *absolute = g_canonicalize_filename(real, NULL);
    driver_begin();
    assert_int_equal(g_mkdir_with_parents("models/mlx/Org", 0700), 0);
    assert_int_equal(symlink(absolute, "models/mlx/Org/First-Model"), 0);
    assert_int_equal(symlink(absolute, "models/mlx/Org/Second-Model"), 0);
    driver_write_env("LLM_CHAT_API_URL=mlx://Org/First-Model\nMLX_MAX_TOKENS=8\nLM_STUDIO_API_URL=http://127.0.0.1:9/v1\n"
                     "OLLAMA_API_URL=http://127.0.0.1:9/v1\n");
    driver_run(switch_model);
    driver_run(starts_with_it);
    driver_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_preferences),
        cmocka_unit_test(test_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
