/* Markdown as widgets, on a display that nobody sees: what is shown, that a selection stays, that more text leaves what stands
 * above alone, and what a piece costs. GTK and GLib must have nothing to say.
 *
 * Usage: test_markdown_view [--measure] [--screenshot FILE.png light|dark WIDTH < MARKDOWN] */
#include "markdown_view.h"

#include <adwaita.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after those that it needs */
#include <cmocka.h>

static GtkWidget *window, *scroller, *view;

static void settle(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        continue;
}

static gboolean frame_came(GtkWidget *widget, GdkFrameClock *clock, gpointer data)
{
    (void)widget;
    (void)clock;
    *(gboolean *)data = TRUE;
    return G_SOURCE_REMOVE;
}

static void wait_for_frame(void)
{
    gboolean came = FALSE;
    gtk_widget_add_tick_callback(window, frame_came, &came, NULL);
    while (!came)
        g_main_context_iteration(NULL, TRUE);
    settle();
}

static int open_window(void **state)
{
    (void)state;
    window = gtk_window_new();
    scroller = gtk_scrolled_window_new();
    view = we_markdown_view_new();
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(scroller), view);
    gtk_window_set_child(GTK_WINDOW(window), scroller);
    gtk_window_set_default_size(GTK_WINDOW(window), 700, 500);
    gtk_window_present(GTK_WINDOW(window));
    wait_for_frame();
    return 0;
}

static int close_window(void **state)
{
    (void)state;
    gtk_window_destroy(GTK_WINDOW(window));
    settle();
    return 0;
}

static void append(const char *text)
{
    we_markdown_view_append(WE_MARKDOWN_VIEW(view), text, strlen(text));
    we_markdown_view_flush(WE_MARKDOWN_VIEW(view));
}

static GtkWidget *child(GtkWidget *parent, int n)
{
    GtkWidget *at = gtk_widget_get_first_child(parent);
    while (at && n--)
        at = gtk_widget_get_next_sibling(at);
    return at;
}

/* The widget of the n-th block at the top, which stands in a section. */
static GtkWidget *block(int n)
{
    for (GtkWidget *section = gtk_widget_get_first_child(view); section; section = gtk_widget_get_next_sibling(section))
        for (GtkWidget *at = gtk_widget_get_first_child(section); at; at = gtk_widget_get_next_sibling(at))
            if (n-- == 0)
                return at;
    return NULL;
}

/* The first label below a widget that has this text. */
static GtkWidget *find_label(GtkWidget *widget, const char *text)
{
    if (GTK_IS_LABEL(widget) && strcmp(gtk_label_get_text(GTK_LABEL(widget)), text) == 0)
        return widget;
    for (GtkWidget *c = gtk_widget_get_first_child(widget); c; c = gtk_widget_get_next_sibling(c)) {
        GtkWidget *found = find_label(c, text);
        if (found)
            return found;
    }
    return NULL;
}

static GtkWidget *find_button(GtkWidget *widget)
{
    if (GTK_IS_BUTTON(widget))
        return widget;
    for (GtkWidget *c = gtk_widget_get_first_child(widget); c; c = gtk_widget_get_next_sibling(c)) {
        GtkWidget *found = find_button(c);
        if (found)
            return found;
    }
    return NULL;
}

static void test_blocks(void **state)
{
    (void)state;
    static const char text[] = "# Head\n\nText with *em*.\n\n- a\n  1. b\n- [x] c\n\n| h1 | h2 |\n|----|----|\n| c1 | c2 "
                               "|\n\n> q\n\n```py\nx = 1\n```\n\n---\n";
    we_markdown_view_set_text(WE_MARKDOWN_VIEW(view), text, strlen(text));
    static const char *const labels[] = {"Head", "Text with em.", "a", "b", "c", "1.", "\xE2\x98\x91", "h1", "c2", "q",
                                         "py",   "x = 1"};
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++)
        if (find_label(view, labels[i]) == NULL)
            fail_msg("no label \"%s\"", labels[i]);
    assert_true(GTK_IS_SEPARATOR(block(6)));
    assert_null(block(7));
    wait_for_frame();
    we_markdown_view_set_text(WE_MARKDOWN_VIEW(view), "other", 5);
    assert_non_null(find_label(view, "other"));
    assert_null(block(1));
    we_markdown_view_set_text(WE_MARKDOWN_VIEW(view), "", 0);
    assert_null(block(0));
}

/* Over the borders of sections, up and down. */
static void test_many_blocks(void **state)
{
    (void)state;
    static const int counts[] = {1, 15, 16, 17, 40, 33, 32, 31, 1, 0, 64};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        GString *text = g_string_new(NULL);
        for (int n = 0; n < counts[i]; n++)
            g_string_append_printf(text, "Paragraph %d\n\n", n);
        we_markdown_view_set_text(WE_MARKDOWN_VIEW(view), text->str, text->len);
        for (int n = 0; n < counts[i]; n++) {
            char expected[32];
            g_snprintf(expected, sizeof expected, "Paragraph %d", n);
            assert_string_equal(gtk_label_get_text(GTK_LABEL(block(n))), expected);
        }
        assert_null(block(counts[i]));
        g_string_free(text, TRUE);
    }
}

static void read_clipboard(GObject *clipboard, GAsyncResult *result, gpointer data)
{
    *(char **)data = gdk_clipboard_read_text_finish(GDK_CLIPBOARD(clipboard), result, NULL);
}

static void test_copy_button(void **state)
{
    (void)state;
    char *text = NULL;
    append("```c\nint x; // <&>\n");
    append("int y;\n```\n");
    GtkWidget *button = find_button(view);
    assert_non_null(button);
    assert_string_equal(gtk_widget_get_tooltip_text(button), "Copy the code");
    g_signal_emit_by_name(button, "clicked");
    gdk_clipboard_read_text_async(gtk_widget_get_clipboard(view), NULL, read_clipboard, &text);
    while (text == NULL)
        g_main_context_iteration(NULL, TRUE);
    assert_string_equal(text, "int x; // <&>\nint y;");
    g_free(text);
}

static void test_more_text_keeps_widgets_and_selection(void **state)
{
    (void)state;
    int from, to;
    append("First paragraph.\n\nSecond **para");
    GtkWidget *first = block(0), *second = block(1);
    gtk_label_select_region(GTK_LABEL(second), 2, 6);
    append("graph** goes on.\n\n- item\n- it");
    GtkWidget *list = block(2), *item = child(child(list, 0), 0);
    append("em two\n\nThird.\n\n```c\nint x;");
    append("\nint y;\n```\nThe end");
    assert_ptr_equal(block(0), first);
    assert_ptr_equal(block(1), second);
    assert_ptr_equal(block(2), list);
    assert_ptr_equal(child(child(list, 0), 0), item);
    assert_true(gtk_label_get_selection_bounds(GTK_LABEL(second), &from, &to) && from == 2 && to == 6);
    assert_string_equal(gtk_label_get_text(GTK_LABEL(second)), "Second paragraph goes on.");
    assert_non_null(find_label(view, "int x;\nint y;"));
    GtkWidget *code = block(4);
    we_markdown_view_finish(WE_MARKDOWN_VIEW(view));
    we_markdown_view_flush(WE_MARKDOWN_VIEW(view));
    assert_ptr_equal(block(4), code);
    assert_ptr_equal(block(0), first);
    assert_non_null(find_label(view, "The end"));
}

/* Shown with frames, without a call to flush. */
static void test_frames(void **state)
{
    (void)state;
    we_markdown_view_append(WE_MARKDOWN_VIEW(view), "Hello", 5);
    assert_null(block(0));
    for (int i = 0; i < 100 && !find_label(view, "Hello"); i++)
        wait_for_frame();
    assert_non_null(find_label(view, "Hello"));
    /* A page that is not shown has no frames: what came meanwhile is there when it appears. */
    gtk_widget_set_visible(scroller, FALSE);
    we_markdown_view_append(WE_MARKDOWN_VIEW(view), " world", 6);
    gtk_widget_set_visible(scroller, TRUE);
    for (int i = 0; i < 100 && !find_label(view, "Hello world"); i++)
        wait_for_frame();
    assert_non_null(find_label(view, "Hello world"));
}

static void test_links(void **state)
{
    (void)state;
    gboolean handled = FALSE;
    append("[a](https://example.org/?a=1&b=2) and [bad](javascript:x)\n\n");
    GtkWidget *label = block(0);
    assert_non_null(strstr(gtk_label_get_label(GTK_LABEL(label)), "title=\"https://example.org/?a=1&amp;b=2\""));
    assert_null(strstr(gtk_label_get_label(GTK_LABEL(label)), "javascript"));
    /* Whatever a label is made to open: what is no web page is refused, and the default handler is not reached. */
    g_signal_emit_by_name(label, "activate-link", "file:///etc/passwd", &handled);
    assert_true(handled);
}

static void test_code_in_many_pieces(void **state)
{
    (void)state;
    GString *all = g_string_new(NULL);
    append("```\n");
    for (int i = 0; i < 200; i++) {
        char line[32];
        g_snprintf(line, sizeof line, "line %d\n", i);
        for (char *p = line; *p; p += 3) {
            char piece[4] = {p[0], p[0] ? p[1] : 0, p[0] && p[1] ? p[2] : 0, 0};
            append(piece);
            if (strlen(piece) < 3)
                break;
        }
        g_string_append(all, line);
    }
    append("```\n");
    /* All labels of the block together are the text. */
    GtkWidget *code = block(0), *lines = NULL;
    GString *shown = g_string_new(NULL);
    for (GtkWidget *at = code; at;) {
        if (gtk_widget_has_css_class(at, "text")) {
            lines = at;
            break;
        }
        at = GTK_IS_BOX(at) && at == code ? gtk_widget_get_last_child(at) : gtk_widget_get_first_child(at);
    }
    assert_non_null(lines);
    for (GtkWidget *chunk = gtk_widget_get_first_child(lines); chunk; chunk = gtk_widget_get_next_sibling(chunk))
        g_string_append_printf(shown, "%s\n", gtk_label_get_text(GTK_LABEL(chunk)));
    assert_string_equal(shown->str, all->str);
    g_string_free(shown, TRUE);
    g_string_free(all, TRUE);
}

/* ---- what it costs ---- */

static const char *const samples[] = {
    "## Heading %d\n\nA paragraph with **bold** and *slanted* words, some `code` and a [link](https://example.org/%d), long "
    "enough to be "
    "broken into two or three lines in a window of this width.\n\n",
    "- item %d with a few words\n- another one with `code`\n  - nested %d\n\n",
    "```c\nint function_%d(int x)\n{\n    return x * %d;\n}\n```\n\n",
    "| column | value |\n|--------|------:|\n| row %d | %d |\n| other | 2 |\n\n",
};

static gsize reply_size = 8 << 10;

/* Only lists of one block, or only code, are the worst: the open block grows with the text. */
static GString *make_reply(int kind)
{
    GString *text = g_string_new(kind == 2 ? "```\n" : NULL);
    for (int i = 0; text->len < reply_size; i++) {
        if (kind == 0)
            g_string_append_printf(text, samples[i % 4], i, i);
        else if (kind == 1)
            g_string_append_printf(text, "- item %d with a few words, *emphasis* and `code`, and some more\n", i);
        else
            g_string_append_printf(text, "    some_call(argument_%d); // and what it does, told at some length\n", i);
    }
    return text;
}

/* Of this thread alone: others may use the processors. */
static gint64 cpu_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (gint64)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int compare_times(const void *a, const void *b)
{
    gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;
    return x < y ? -1 : x > y;
}

/* 8 kB, or with --measure 100 kB, in pieces of four bytes, 16 pieces a frame (that is 1000 tokens a second): times are printed;
 * that each update looks at no more than the open block is what test_markdown_model checks. */
static void stream(int kind, const char *name)
{
    GString *text = make_reply(kind);
    GArray *times = g_array_new(FALSE, FALSE, sizeof(gint64)), *frames = g_array_new(FALSE, FALSE, sizeof(gint64));
    gint64 sum = 0;
    for (gsize at = 0; at < text->len;) {
        for (int i = 0; i < 16 && at < text->len; i++, at += 4)
            we_markdown_view_append(WE_MARKDOWN_VIEW(view), text->str + at, MIN(4, text->len - at));
        gint64 began = cpu_time();
        we_markdown_view_flush(WE_MARKDOWN_VIEW(view));
        gint64 took = cpu_time() - began;
        sum += took;
        g_array_append_val(times, took);
        if (times->len % 25 == 0) {
            began = cpu_time();
            wait_for_frame();
            took = cpu_time() - began;
            g_array_append_val(frames, took);
        }
    }
    qsort(times->data, times->len, sizeof(gint64), compare_times);
    qsort(frames->data, frames->len, sizeof(gint64), compare_times);
    print_message(
        "%s: %u updates, mean %.3f ms, median %.3f, 99%% %.3f, longest %.3f; frames with layout and drawing: median %.1f ms\n",
        name, times->len, (double)sum / times->len / 1e3, (double)g_array_index(times, gint64, times->len / 2) / 1e3,
        (double)g_array_index(times, gint64, times->len * 99 / 100) / 1e3,
        (double)g_array_index(times, gint64, times->len - 1) / 1e3,
        (double)g_array_index(frames, gint64, frames->len / 2) / 1e3);
    gint64 one_more[9];
    wait_for_frame();
    for (int i = 0; i < 9; i++) {
        we_markdown_view_append(WE_MARKDOWN_VIEW(view), "word ", 5);
        we_markdown_view_flush(WE_MARKDOWN_VIEW(view));
        gint64 at = cpu_time();
        wait_for_frame();
        one_more[i] = cpu_time() - at;
    }
    qsort(one_more, 9, sizeof(gint64), compare_times);
    print_message("  a frame with one word more: median %.3f ms\n", (double)one_more[4] / 1e3);
    we_markdown_view_finish(WE_MARKDOWN_VIEW(view));
    gint64 began = cpu_time();
    we_markdown_view_flush(WE_MARKDOWN_VIEW(view));
    print_message("  the last update: %.3f ms\n", (double)(cpu_time() - began) / 1e3);
    g_array_free(times, TRUE);
    g_array_free(frames, TRUE);
    g_string_free(text, TRUE);
}

static void test_cost_mixed(void **state)
{
    (void)state;
    stream(0, "mixed blocks");
    assert_non_null(find_label(view, "Heading 0"));
}

static void test_cost_list(void **state)
{
    (void)state;
    stream(1, "one long list");
    assert_null(block(1));
}

static void test_cost_code(void **state)
{
    (void)state;
    stream(2, "one long block of code");
    assert_null(block(1));
}

/* ---- pictures ---- */

static int screenshot(const char *file, const char *theme, int width)
{
    GString *text = g_string_new(NULL);
    char piece[4096];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, stdin)) > 0)
        g_string_append_len(text, piece, (gssize)n);
    adw_style_manager_set_color_scheme(adw_style_manager_get_default(),
                                       strcmp(theme, "dark") == 0 ? ADW_COLOR_SCHEME_FORCE_DARK : ADW_COLOR_SCHEME_FORCE_LIGHT);
    open_window(NULL);
    gtk_widget_set_margin_start(view, 18);
    gtk_widget_set_margin_end(view, 18);
    gtk_widget_set_margin_top(view, 18);
    gtk_widget_set_margin_bottom(view, 18);
    we_markdown_view_set_text(WE_MARKDOWN_VIEW(view), text->str, text->len);
    int height, natural;
    gtk_widget_measure(view, GTK_ORIENTATION_VERTICAL, width - 20, &height, &natural, NULL, NULL);
    gtk_window_set_default_size(GTK_WINDOW(window), width, natural + 10);
    for (int i = 0; i < 20; i++)
        wait_for_frame();
    GdkPaintable *paintable = gtk_widget_paintable_new(window);
    GtkSnapshot *snapshot = gtk_snapshot_new();
    int w = gtk_widget_get_width(window), h = gtk_widget_get_height(window);
    gdk_paintable_snapshot(paintable, snapshot, w, h);
    GskRenderNode *node = gtk_snapshot_free_to_node(snapshot);
    GdkTexture *texture = gsk_renderer_render_texture(gtk_native_get_renderer(GTK_NATIVE(window)), node, NULL);
    gboolean saved = gdk_texture_save_to_png(texture, file);
    g_object_unref(texture);
    gsk_render_node_unref(node);
    g_object_unref(paintable);
    close_window(NULL);
    g_string_free(text, TRUE);
    return saved ? 0 : 1;
}

int main(int argc, char **argv)
{
    g_log_set_always_fatal(G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL);
    adw_init();
    if (argc == 5 && strcmp(argv[1], "--screenshot") == 0)
        return screenshot(argv[2], argv[3], atoi(argv[4]));
    if (argc == 2 && strcmp(argv[1], "--measure") == 0)
        reply_size = 100 << 10;
#define T(name) cmocka_unit_test_setup_teardown(name, open_window, close_window)
    const struct CMUnitTest tests[] = {
        T(test_blocks),    T(test_many_blocks), T(test_copy_button),         T(test_more_text_keeps_widgets_and_selection),
        T(test_frames),    T(test_links),       T(test_code_in_many_pieces), T(test_cost_mixed),
        T(test_cost_list), T(test_cost_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
