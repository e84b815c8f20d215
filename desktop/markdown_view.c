#include "markdown_view.h"

#include "markdown_blocks.h"

#include <string.h>

struct _WeMarkdownView {
    GtkWidget parent_instance;
    struct we_markdown *model;
    guint tick;        /* 0: nothing waits */
    gint64 not_before; /* frame time of the next update */
    gint64 longest;
    gboolean final;
};

G_DEFINE_TYPE(WeMarkdownView, we_markdown_view, GTK_TYPE_WIDGET)

enum {
    BLOCK_SPACING = 10,
    SECTION_BLOCKS = 16,
    AT_ONCE = 32 << 10, /* bytes that are parsed in a millisecond or two */
    FRAME_SHARE = 4     /* an update that took t is followed by as many t for the rest of the window */
};

static const char style[] =
    "markdown { font-size: 1em; }"
    "markdown .h1 { font-size: 1.5em; font-weight: 700; margin-top: 10px; }"
    "markdown .h2 { font-size: 1.28em; font-weight: 700; margin-top: 8px; }"
    "markdown .h3 { font-size: 1.12em; font-weight: 700; margin-top: 6px; }"
    "markdown .h4 { font-weight: 700; margin-top: 4px; }"
    "markdown label { line-height: 1.35; }"
    "markdown .code label, markdown .table label, markdown .marker { line-height: 1.25; }"
    "markdown .code { background: alpha(currentColor, 0.06); border-radius: 9px; }"
    "markdown .code > .head { padding: 2px 4px 0 12px; min-height: 28px; }"
    "markdown .code > .head > label { font-size: 0.85em; opacity: 0.7; }"
    "markdown .code > .head > button { min-width: 26px; min-height: 26px; padding: 0; opacity: 0.75; }"
    "markdown .code > .head > button:hover, markdown .code > .head > button:focus-visible { opacity: 1; }"
    "markdown .code .text { padding: 2px 12px 12px 12px; font-family: monospace; font-size: 0.93em; }"
    "markdown .quote { border-left: 3px solid alpha(currentColor, 0.25); padding-left: 12px; }"
    "markdown .quote > * { opacity: 0.85; }"
    "markdown .table { border: 1px solid alpha(currentColor, 0.15); border-radius: 9px; }"
    "markdown .table label { padding: 6px 12px; border-bottom: 1px solid alpha(currentColor, 0.1); }"
    "markdown .table label.last { border-bottom: none; }"
    "markdown .table label.header { font-weight: 700; background: alpha(currentColor, 0.05); }"
    "markdown .marker { opacity: 0.75; font-feature-settings: \"tnum\"; }"
    "markdown .marker.done { color: @success_color; opacity: 1; }"
    "markdown separator { margin-top: 6px; margin-bottom: 6px; }";

static void load_style(GdkDisplay *display)
{
    static const char key[] = "we-markdown-style";
    if (g_object_get_data(G_OBJECT(display), key))
        return;
    GtkCssProvider *provider = gtk_css_provider_new();
    gtk_css_provider_load_from_data(provider, style, -1);
    /* Below the application's own, which may change it. */
    gtk_style_context_add_provider_for_display(display, GTK_STYLE_PROVIDER(provider),
                                               GTK_STYLE_PROVIDER_PRIORITY_APPLICATION - 1);
    g_object_set_data_full(G_OBJECT(display), key, provider, g_object_unref);
}

/* ---- updates ---- */

/* Blocks stand in sections: one that does not change is measured and drawn at once, however many blocks it has. */
static GtkWidget *new_section(WeMarkdownView *view)
{
    GtkWidget *section = gtk_box_new(GTK_ORIENTATION_VERTICAL, BLOCK_SPACING);
    gtk_widget_insert_before(section, GTK_WIDGET(view), NULL);
    return section;
}

static GtkWidget *nth_child(GtkWidget *widget, size_t n)
{
    GtkWidget *child = gtk_widget_get_first_child(widget);
    while (child && n--)
        child = gtk_widget_get_next_sibling(child);
    return child;
}

static void show_from(WeMarkdownView *view, size_t first, struct we_markdown_block *const *blocks, size_t count)
{
    GtkWidget *section = nth_child(GTK_WIDGET(view), first / SECTION_BLOCKS);
    for (size_t at = first; at < count;) {
        size_t end = MIN((at / SECTION_BLOCKS + 1) * SECTION_BLOCKS, count);
        if (section == NULL)
            section = new_section(view);
        we_markdown_show_blocks(section, nth_child(section, at % SECTION_BLOCKS), blocks + at, end - at, 0);
        section = gtk_widget_get_next_sibling(section);
        at = end;
    }
    /* What the text has no more. */
    if (first >= count && section && count % SECTION_BLOCKS) {
        we_markdown_show_blocks(section, nth_child(section, count % SECTION_BLOCKS), NULL, 0, 0);
        section = gtk_widget_get_next_sibling(section);
    }
    while (section) {
        GtkWidget *next = gtk_widget_get_next_sibling(section);
        gtk_widget_unparent(section);
        section = next;
    }
}

void we_markdown_view_flush(WeMarkdownView *view)
{
    size_t count;
    gint64 began = g_get_monotonic_time();
    if (view->tick) {
        gtk_widget_remove_tick_callback(GTK_WIDGET(view), view->tick);
        view->tick = 0;
    }
    size_t first = we_markdown_update(view->model, view->final);
    struct we_markdown_block *const *blocks = we_markdown_blocks(view->model, &count);
    show_from(view, first, blocks, count);
    gint64 now = g_get_monotonic_time(), took = now - began;
    view->longest = MAX(view->longest, took);
    view->not_before = now + took * FRAME_SHARE;
}

static gboolean on_frame(GtkWidget *widget, GdkFrameClock *clock, gpointer data)
{
    (void)clock;
    (void)data;
    WeMarkdownView *view = WE_MARKDOWN_VIEW(widget);
    if (g_get_monotonic_time() < view->not_before)
        return G_SOURCE_CONTINUE;
    view->tick = 0;
    we_markdown_view_flush(view);
    return G_SOURCE_REMOVE;
}

static void schedule(WeMarkdownView *view)
{
    if (view->tick == 0)
        view->tick = gtk_widget_add_tick_callback(GTK_WIDGET(view), on_frame, NULL, NULL);
}

void we_markdown_view_set_text(WeMarkdownView *view, const char *text, size_t length)
{
    size_t before;
    const char *shown = we_markdown_source(view->model, &before);
    if (before != length || memcmp(shown, text, length) != 0) {
        we_markdown_clear(view->model);
        we_markdown_append(view->model, text, length);
    }
    view->final = TRUE;
    we_markdown_view_flush(view);
}

void we_markdown_view_append(WeMarkdownView *view, const char *text, size_t length)
{
    we_markdown_append(view->model, text, length);
    view->final = FALSE;
    schedule(view);
}

void we_markdown_view_finish(WeMarkdownView *view)
{
    size_t length;
    view->final = TRUE;
    we_markdown_source(view->model, &length);
    if (length <= AT_ONCE)
        we_markdown_view_flush(view);
    else
        schedule(view);
}

gint64 we_markdown_view_longest_update(WeMarkdownView *view)
{
    return view->longest;
}

/* ---- the widget ---- */

/* Without frames nothing was shown: a page that was hidden is up to date when it appears. */
static void map(GtkWidget *widget)
{
    WeMarkdownView *view = WE_MARKDOWN_VIEW(widget);
    if (view->tick)
        we_markdown_view_flush(view);
    GTK_WIDGET_CLASS(we_markdown_view_parent_class)->map(widget);
}

static void dispose(GObject *object)
{
    GtkWidget *child;
    WeMarkdownView *view = WE_MARKDOWN_VIEW(object);
    if (view->tick)
        gtk_widget_remove_tick_callback(GTK_WIDGET(view), view->tick);
    view->tick = 0;
    while ((child = gtk_widget_get_first_child(GTK_WIDGET(object))) != NULL)
        gtk_widget_unparent(child);
    G_OBJECT_CLASS(we_markdown_view_parent_class)->dispose(object);
}

static void finalize(GObject *object)
{
    we_markdown_free(WE_MARKDOWN_VIEW(object)->model);
    G_OBJECT_CLASS(we_markdown_view_parent_class)->finalize(object);
}

static void we_markdown_view_class_init(WeMarkdownViewClass *class)
{
    G_OBJECT_CLASS(class)->dispose = dispose;
    G_OBJECT_CLASS(class)->finalize = finalize;
    GTK_WIDGET_CLASS(class)->map = map;
    gtk_widget_class_set_css_name(GTK_WIDGET_CLASS(class), "markdown");
    gtk_widget_class_set_layout_manager_type(GTK_WIDGET_CLASS(class), GTK_TYPE_BOX_LAYOUT);
    gtk_widget_class_set_accessible_role(GTK_WIDGET_CLASS(class), GTK_ACCESSIBLE_ROLE_GROUP);
}

static void we_markdown_view_init(WeMarkdownView *view)
{
    GtkLayoutManager *layout = gtk_widget_get_layout_manager(GTK_WIDGET(view));
    gtk_orientable_set_orientation(GTK_ORIENTABLE(layout), GTK_ORIENTATION_VERTICAL);
    gtk_box_layout_set_spacing(GTK_BOX_LAYOUT(layout), BLOCK_SPACING);
    view->model = we_markdown_new();
    load_style(gtk_widget_get_display(GTK_WIDGET(view)));
}

GtkWidget *we_markdown_view_new(void)
{
    return g_object_new(WE_TYPE_MARKDOWN_VIEW, NULL);
}
