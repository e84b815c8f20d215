/* Draws each page of the window into PNG files, light and dark, at 1280 x 800 and 800 x 600: tests/desktop/screenshots.sh runs
 * it. Usage: screenshots FOLDER. The texts are made here; the model is the default one where it is installed. */
#include "driver.h"

#include "preferences.h"
#include "sidebar.h"

#include <stdlib.h>
#include <string.h>

static const char *folder;
static const char *theme;

static const char QUESTION[] = "How do I read a file line by line in C?";
static const char ANSWER[] =
    "Use `fgets`, which reads at most one line into a buffer:\n\n"
    "```c\n#include <stdio.h>\n\nint main(void)\n{\n    char line[256];\n    FILE *file = fopen(\"notes.txt\", \"r\");\n"
    "    if (file == NULL)\n        return 1;\n    while (fgets(line, sizeof line, file))\n        fputs(line, stdout);\n"
    "    fclose(file);\n}\n```\n\n"
    "Two things to know:\n\n"
    "1. The line break **stays** in the buffer.\n"
    "2. A line that is *longer than the buffer* comes in several pieces; `getline` makes room as it needs it.\n\n"
    "| function | room for a line | end of the file |\n| --- | --- | --- |\n| `fgets` | a fixed buffer | `NULL` |\n"
    "| `getline` | grows | `-1` |\n";

static bool has_settled(void *context)
{
    return g_get_monotonic_time() > *(gint64 *)context;
}

/* Long enough for what is animated. */
static void settle(void)
{
    gint64 until = g_get_monotonic_time() + G_TIME_SPAN_SECOND;
    driver_wait("the window settles", has_settled, &until);
}

static void shoot(GtkWidget *window, const char *page)
{
    settle();
    int width = gtk_widget_get_width(window), height = gtk_widget_get_height(window);
    g_autoptr(GdkPaintable) paintable = gtk_widget_paintable_new(window);
    GtkSnapshot *snapshot = gtk_snapshot_new();
    gdk_paintable_snapshot(paintable, GDK_SNAPSHOT(snapshot), width, height);
    GskRenderNode *node = gtk_snapshot_free_to_node(snapshot);
    assert_non_null(node);
    GskRenderer *renderer = gtk_native_get_renderer(GTK_NATIVE(window));
    g_autoptr(GdkTexture) texture =
        gsk_renderer_render_texture(renderer, node, &GRAPHENE_RECT_INIT(0, 0, (float)width, (float)height));
    g_autofree char *path = g_strdup_printf("%s/%s-%s-%d.png", folder, page, theme, width >= 1000 ? 1280 : 800);
    assert_true(gdk_texture_save_to_png(texture, path));
    gsk_render_node_unref(node);
    print_message("%s: %d x %d\n", path, width, height);
}

static int64_t add(struct we_conversations *store, const char *question, const char *answer)
{
    struct we_error error;
    int64_t id, message;
    struct we_reply *reply;
    struct we_figures figures = {.prompt_tokens = 42,
                                 .generation_tokens = 213,
                                 .prompt_seconds = 0.08,
                                 .generation_seconds = 1.94,
                                 .time_to_first_token = 0.09};
    if (we_conversations_new(store, NULL, NULL, &id, &error) != WE_OK ||
        we_conversations_add(store, id, 0, "user", we_str_c(question), &message, &error) != WE_OK ||
        we_conversations_suggest_title(store, id, question, &error) != WE_OK ||
        we_reply_begin(store, id, message, "SmolLM2-135M-Instruct-4bit", &reply, &error) != WE_OK ||
        we_reply_append(reply, answer, strlen(answer), &error) != WE_OK ||
        we_reply_finish(reply, WE_MESSAGE_WHOLE, &figures, NULL, &error) != WE_OK)
        fail_msg("%s", error.message);
    return id;
}

static bool has_loaded(void *context)
{
    enum we_engine_state state = we_engine_state(we_application_engine(context));
    return state == WE_ENGINE_READY || state == WE_ENGINE_FAILED;
}

static GtkWidget *find_toplevel(GType type)
{
    GListModel *all = gtk_window_get_toplevels();
    for (guint i = 0; i < g_list_model_get_n_items(all); i++) {
        g_autoptr(GtkWidget) other = g_list_model_get_item(all, i);
        if (g_type_is_a(G_OBJECT_TYPE(other), type))
            return other;
    }
    fail_msg("the window did not open");
    return NULL;
}

static void shoot_all(WeApplication *application, WeWindow *window)
{
    struct we_conversations *store = we_application_store(application);
    driver_wait("the model is loaded", has_loaded, application);
    shoot(GTK_WIDGET(window), "welcome");
    static const char *const others[] = {"What shall I cook tonight?", "Explain tides to a child", "Names for a grey cat",
                                         "A letter to the city about the old lime trees in our street"};
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
        add(store, others[i], "Gladly.");
    int64_t id = add(store, QUESTION, ANSWER);
    we_chat_view_open(we_window_chat(window), id);
    shoot(GTK_WIDGET(window), "chat");
    GtkWidget *sidebar = driver_find(GTK_WIDGET(window), WE_TYPE_SIDEBAR, NULL, 0);
    if (sidebar) {
        g_action_group_activate_action(G_ACTION_GROUP(window), "search", NULL);
        settle();
        gtk_editable_set_text(GTK_EDITABLE(driver_find(sidebar, GTK_TYPE_SEARCH_ENTRY, NULL, 0)), "line");
        shoot(GTK_WIDGET(window), "search");
        g_action_group_activate_action(G_ACTION_GROUP(window), "search", NULL);
    }
    g_action_group_activate_action(G_ACTION_GROUP(application), "preferences", NULL);
    settle();
    GtkWidget *preferences = find_toplevel(WE_TYPE_PREFERENCES);
    shoot(preferences, gtk_widget_get_width(GTK_WIDGET(window)) >= 1000 ? "preferences-wide" : "preferences");
    gtk_window_destroy(GTK_WINDOW(preferences));
}

static void shoot_problem(WeApplication *application, WeWindow *window)
{
    driver_wait("it is told that the model is not there", has_loaded, application);
    shoot(GTK_WIDGET(window), "problem");
}

static void shoot_size(int width, int height, driver_body *body, const char *env)
{
    driver_begin();
    g_autofree char *text = g_strdup_printf(
        "%sUI_THEME=%s\nLM_STUDIO_API_URL=http://127.0.0.1:9/v1\nOLLAMA_API_URL=http://127.0.0.1:9/v1\n", env, theme);
    driver_write_env(text);
    /* The size that the window remembers. */
    struct we_conversations *store;
    struct we_error error;
    char *path = NULL;
    g_autofree char *size = g_strdup_printf("%d %d 0", width, height);
    if (we_conversations_path(NULL, &path, &error) != WE_OK || we_conversations_open(path, &store, &error) != WE_OK ||
        we_conversations_note(store, "window-size", size, &error) != WE_OK)
        fail_msg("%s", error.message);
    we_conversations_close(store);
    free(path);
    driver_run(body);
    driver_end();
}

static void test_screenshots(void **state)
{
    (void)state;
    static const char *const themes[] = {"light", "dark"};
    g_autofree char *here = g_strdup_printf("LOCAL_MODELS_DIR=%s\n", driver_models_dir());
    for (int i = 0; i < 2; i++) {
        theme = themes[i];
        shoot_size(1280, 800, shoot_all, here);
        shoot_size(800, 600, shoot_all, here);
        shoot_size(800, 600, shoot_problem, "LLM_CHAT_API_URL=mlx://mlx-community/Qwen3-8B-4bit\n");
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_screenshots)};
    if (argc != 2)
        return 2;
    folder = g_canonicalize_filename(argv[1], NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
