/* The log: what is kept of what threads and GLib say, and the page that shows it, on a display that nobody sees. */
#include "log_page.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after those that it needs */
#include <cmocka.h>

static GtkWidget *window;
static WeLogPage *page;

static void settle(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        continue;
}

static int open_page(void **state)
{
    (void)state;
    we_log_clear();
    we_log_set_level(WE_LOG_DEBUG);
    window = gtk_window_new();
    page = WE_LOG_PAGE(we_log_page_new());
    gtk_window_set_child(GTK_WINDOW(window), GTK_WIDGET(page));
    gtk_window_set_default_size(GTK_WINDOW(window), 800, 400);
    gtk_window_present(GTK_WINDOW(window));
    settle();
    return 0;
}

static int close_page(void **state)
{
    (void)state;
    gtk_window_destroy(GTK_WINDOW(window));
    settle();
    return 0;
}

static GtkWidget *find(GtkWidget *widget, GType type, const char *tooltip)
{
    if (g_type_is_a(G_OBJECT_TYPE(widget), type) && (!tooltip || g_strcmp0(gtk_widget_get_tooltip_text(widget), tooltip) == 0))
        return widget;
    for (GtkWidget *c = gtk_widget_get_first_child(widget); c; c = gtk_widget_get_next_sibling(c)) {
        GtkWidget *found = find(c, type, tooltip);
        if (found)
            return found;
    }
    return NULL;
}

static void check_shown(const char *const *words, guint count)
{
    we_log_page_refresh(page);
    assert_int_equal(we_log_page_shown(page), count);
    char *text = we_log_page_text(page, FALSE);
    for (guint i = 0; i < count; i++)
        assert_non_null(strstr(text, words[i]));
    g_free(text);
}

static void test_levels_and_search(void **state)
{
    (void)state;
    GtkWidget *level = find(GTK_WIDGET(page), GTK_TYPE_DROP_DOWN, NULL),
              *search = gtk_widget_get_next_sibling(level); /* the drop-down has one of its own */
    we_log(WE_LOG_DEBUG, "engine", "a detail");
    we_log(WE_LOG_INFO, "engine", "model %s is loaded", "\xC3\x84rger");
    we_log(WE_LOG_WARNING, "store", "a warning\nof two lines");
    we_log(WE_LOG_ERROR, "net", "an error");
    we_log(WE_LOG_CRITICAL, "net", "the worst");
    check_shown((const char *const[]){"DEBUG     engine  a detail", "INFO      engine  model", "a warning of two lines",
                                      "an error", "CRITICAL"},
                5);
    for (guint i = 0; i < 5; i++) {
        gtk_drop_down_set_selected(GTK_DROP_DOWN(level), i);
        assert_int_equal(we_log_page_shown(page), 5 - i);
    }
    gtk_drop_down_set_selected(GTK_DROP_DOWN(level), 0);
    gtk_editable_set_text(GTK_EDITABLE(search), "\xC3\xA4RGER");
    g_signal_emit_by_name(search, "search-changed");
    check_shown((const char *const[]){"model"}, 1);
    gtk_editable_set_text(GTK_EDITABLE(search), "nowhere");
    g_signal_emit_by_name(search, "search-changed");
    check_shown(NULL, 0);
    gtk_editable_set_text(GTK_EDITABLE(search), "");
    g_signal_emit_by_name(search, "search-changed");
    assert_int_equal(we_log_page_shown(page), 5);
}

static void test_level_that_is_kept(void **state)
{
    (void)state;
    we_log_set_level(we_log_level_of("WARNING"));
    we_log(WE_LOG_INFO, "a", "not kept");
    we_log(WE_LOG_WARNING, "a", "kept");
    check_shown((const char *const[]){"kept"}, 1);
    assert_int_equal(we_log_level_of("nonsense"), WE_LOG_INFO);
    assert_int_equal(we_log_level_of("critical"), WE_LOG_CRITICAL);
}

static void test_bounded(void **state)
{
    (void)state;
    for (int i = 0; i < WE_LOG_LINES + 500; i++) {
        we_log(WE_LOG_INFO, "a", "line %d.", i);
        if (i == 700)
            we_log_page_refresh(page);
    }
    we_log_page_refresh(page);
    assert_int_equal(we_log_page_shown(page), WE_LOG_LINES);
    char *text = we_log_page_text(page, FALSE);
    assert_null(strstr(text, "line 499."));
    assert_non_null(strstr(text, "line 500."));
    g_free(text);
    char *longest = g_strnfill(WE_LOG_LONGEST * 2, 'x');
    we_log(WE_LOG_INFO, "a", "%s", longest);
    we_log_page_refresh(page);
    text = we_log_page_text(page, FALSE);
    assert_true(strlen(strrchr(text, ' ')) < WE_LOG_LONGEST + 8);
    g_free(longest);
    g_free(text);
}

/* Usage: test_log_page --screenshot FILE.png light|dark */
static int screenshot(const char *file, const char *theme)
{
    adw_style_manager_set_color_scheme(adw_style_manager_get_default(),
                                       strcmp(theme, "dark") == 0 ? ADW_COLOR_SCHEME_FORCE_DARK : ADW_COLOR_SCHEME_FORCE_LIGHT);
    open_page(NULL);
    we_log(WE_LOG_INFO, "engine", "SmolLM2-135M-Instruct-4bit is loaded in 0.03 s: cpu (avx512, 2 threads), 76 MB of weights");
    we_log(WE_LOG_DEBUG, "engine", "prompt of 51 tokens, 32 of them cached");
    we_log(WE_LOG_WARNING, "settings",
           ".env:3: MLX_TEMPERATURE: a number from 0 to 2 was expected, not \"warm\"; the default is used");
    we_log(WE_LOG_ERROR, "engine",
           "mlx-community/gone is not on this machine, and the network is off: whisperengine pull mlx-community/gone");
    we_log_page_refresh(page);
    for (int i = 0; i < 60; i++) {
        g_usleep(10000);
        settle();
    }
    GdkPaintable *paintable = gtk_widget_paintable_new(window);
    GtkSnapshot *snapshot = gtk_snapshot_new();
    gdk_paintable_snapshot(paintable, snapshot, gtk_widget_get_width(window), gtk_widget_get_height(window));
    GskRenderNode *node = gtk_snapshot_free_to_node(snapshot);
    GdkTexture *texture = gsk_renderer_render_texture(gtk_native_get_renderer(GTK_NATIVE(window)), node, NULL);
    gboolean saved = gdk_texture_save_to_png(texture, file);
    g_object_unref(texture);
    gsk_render_node_unref(node);
    g_object_unref(paintable);
    close_page(NULL);
    return saved ? 0 : 1;
}

static void read_clipboard(GObject *clipboard, GAsyncResult *result, gpointer data)
{
    *(char **)data = gdk_clipboard_read_text_finish(GDK_CLIPBOARD(clipboard), result, NULL);
}

static void test_copy_and_clear(void **state)
{
    (void)state;
    char *text = NULL;
    we_log(WE_LOG_INFO, "a", "first");
    we_log(WE_LOG_INFO, "a", "second");
    we_log_page_refresh(page);
    GtkWidget *stack = gtk_widget_get_last_child(gtk_widget_get_first_child(GTK_WIDGET(page)));
    GtkListView *list = GTK_LIST_VIEW(find(stack, GTK_TYPE_LIST_VIEW, NULL));
    gtk_selection_model_select_item(gtk_list_view_get_model(list), 1, TRUE);
    g_signal_emit_by_name(find(GTK_WIDGET(page), GTK_TYPE_BUTTON, "Copy what is selected, or all"), "clicked");
    gdk_clipboard_read_text_async(gtk_widget_get_clipboard(window), NULL, read_clipboard, &text);
    while (text == NULL)
        g_main_context_iteration(NULL, TRUE);
    assert_non_null(strstr(text, "second"));
    assert_null(strstr(text, "first"));
    g_free(text);
    g_signal_emit_by_name(find(GTK_WIDGET(page), GTK_TYPE_BUTTON, "Clear the log"), "clicked");
    assert_int_equal(we_log_page_shown(page), 0);
    we_log(WE_LOG_INFO, "a", "third");
    check_shown((const char *const[]){"third"}, 1);
}

/* What GLib says is kept, and what is no warning is not written anywhere else. */
static void test_glib(void **state)
{
    (void)state;
    const GLogField fields[] = {{"MESSAGE", "from GTK \xFF", -1}, {"GLIB_DOMAIN", "Gtk", -1}};
    assert_int_equal(we_log_writer(G_LOG_LEVEL_INFO, fields, 2, NULL), G_LOG_WRITER_HANDLED);
    assert_int_equal(we_log_writer(G_LOG_LEVEL_MESSAGE, fields, 2, NULL), G_LOG_WRITER_HANDLED);
    check_shown((const char *const[]){"INFO      Gtk  from GTK \xEF\xBF\xBD", "INFO"}, 2);
}

static gpointer say(gpointer data)
{
    for (int i = 0; i < 500; i++)
        we_log(WE_LOG_INFO, "thread", "%d %d", GPOINTER_TO_INT(data), i);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    GThread *threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = g_thread_new("say", say, GINT_TO_POINTER(i));
    for (int i = 0; i < 20; i++)
        we_log_page_refresh(page);
    for (int i = 0; i < 4; i++)
        g_thread_join(threads[i]);
    we_log_page_refresh(page);
    assert_int_equal(we_log_page_shown(page), 2000);
}

int main(int argc, char **argv)
{
    g_log_set_always_fatal(G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL);
    adw_init();
    if (argc == 4 && strcmp(argv[1], "--screenshot") == 0)
        return screenshot(argv[2], argv[3]);
#define T(name) cmocka_unit_test_setup_teardown(name, open_page, close_page)
    const struct CMUnitTest tests[] = {
        T(test_levels_and_search), T(test_level_that_is_kept), T(test_bounded), T(test_copy_and_clear), T(test_glib),
        T(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
