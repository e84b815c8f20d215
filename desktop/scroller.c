#include "scroller.h"

#include "widgets.h"

#include <glib/gi18n.h>

static const double NEAR = 24; /* pixels from the end that count as the end */

struct _WeScroller {
    GtkWidget parent;
    GtkWidget *overlay, *scrolled, *viewport, *child, *button;
    guint place_source;
    GtkAdjustment *adjustment;
    gboolean follows; /* the end */
    double from_end;  /* we_scroller_keep_place: how far from the end the place is; below 0: not asked for */
    GtkWidget *shown; /* weak: what is to be scrolled to when it has its place */
};

G_DEFINE_FINAL_TYPE(WeScroller, we_scroller, GTK_TYPE_WIDGET)

static double end_of(GtkAdjustment *a)
{
    return gtk_adjustment_get_upper(a) - gtk_adjustment_get_page_size(a);
}

static void update_button(WeScroller *scroller)
{
    gtk_widget_set_visible(scroller->button, !scroller->follows);
}

static gboolean place_again(gpointer data)
{
    WeScroller *scroller = data;
    scroller->place_source = 0;
    gtk_widget_queue_allocate(scroller->viewport);
    return G_SOURCE_REMOVE;
}

/* The size of the page or of what it shows is another one. This comes from within the viewport's own allocation, which has
 * placed the child already: it has to be placed again. */
static void on_size_changed(WeScroller *scroller)
{
    GtkAdjustment *a = scroller->adjustment;
    double before = gtk_adjustment_get_value(a);
    if (scroller->from_end >= 0) {
        gtk_adjustment_set_value(a, gtk_adjustment_get_upper(a) - scroller->from_end);
        scroller->from_end = -1;
    } else if (scroller->follows) {
        gtk_adjustment_set_value(a, end_of(a));
    }
    if (gtk_adjustment_get_value(a) != before && scroller->place_source == 0)
        scroller->place_source = g_idle_add_full(G_PRIORITY_HIGH_IDLE, place_again, scroller, NULL);
}

static void on_value_changed(WeScroller *scroller)
{
    scroller->follows = gtk_adjustment_get_value(scroller->adjustment) >= end_of(scroller->adjustment) - NEAR;
    update_button(scroller);
}

void we_scroller_follow(WeScroller *scroller)
{
    scroller->follows = TRUE;
    scroller->from_end = -1;
    gtk_adjustment_set_value(scroller->adjustment, end_of(scroller->adjustment));
    scroller->follows = TRUE; /* what is not laid out yet belongs to the end as well */
    update_button(scroller);
}

void we_scroller_keep_place(WeScroller *scroller)
{
    GtkAdjustment *a = scroller->adjustment;
    scroller->from_end = gtk_adjustment_get_upper(a) - gtk_adjustment_get_value(a);
}

static gboolean show_later(GtkWidget *widget, GdkFrameClock *clock, gpointer data)
{
    (void)clock;
    (void)data;
    WeScroller *scroller = WE_SCROLLER(widget);
    double x, y;
    if (scroller->shown && gtk_widget_get_height(scroller->shown) == 0)
        return G_SOURCE_CONTINUE;
    if (scroller->shown && gtk_widget_translate_coordinates(scroller->shown, scroller->child, 0, 0, &x, &y)) {
        scroller->follows = FALSE;
        gtk_adjustment_set_value(scroller->adjustment, MAX(0, y - 24));
    }
    g_clear_weak_pointer(&scroller->shown);
    return G_SOURCE_REMOVE;
}

void we_scroller_show(WeScroller *scroller, GtkWidget *widget)
{
    scroller->follows = FALSE;
    if (scroller->shown == NULL)
        gtk_widget_add_tick_callback(GTK_WIDGET(scroller), show_later, NULL, NULL);
    g_set_weak_pointer(&scroller->shown, widget);
}

GtkAdjustment *we_scroller_adjustment(WeScroller *scroller)
{
    return scroller->adjustment;
}

static void dispose(GObject *object)
{
    WeScroller *scroller = WE_SCROLLER(object);
    if (scroller->adjustment)
        g_signal_handlers_disconnect_by_data(scroller->adjustment, scroller);
    scroller->adjustment = NULL;
    g_clear_handle_id(&scroller->place_source, g_source_remove);
    g_clear_weak_pointer(&scroller->shown);
    g_clear_pointer(&scroller->overlay, gtk_widget_unparent);
    G_OBJECT_CLASS(we_scroller_parent_class)->dispose(object);
}

static void we_scroller_class_init(WeScrollerClass *klass)
{
    G_OBJECT_CLASS(klass)->dispose = dispose;
    gtk_widget_class_set_layout_manager_type(GTK_WIDGET_CLASS(klass), GTK_TYPE_BIN_LAYOUT);
}

static void we_scroller_init(WeScroller *scroller)
{
    scroller->from_end = -1;
    scroller->follows = TRUE;
}

GtkWidget *we_scroller_new(GtkWidget *child)
{
    WeScroller *scroller = g_object_new(WE_TYPE_SCROLLER, NULL);
    scroller->child = child;
    scroller->scrolled = gtk_scrolled_window_new();
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(scroller->scrolled), GTK_POLICY_NEVER, GTK_POLICY_AUTOMATIC);
    scroller->viewport = gtk_viewport_new(NULL, NULL);
    gtk_viewport_set_scroll_to_focus(GTK_VIEWPORT(scroller->viewport), TRUE);
    gtk_viewport_set_child(GTK_VIEWPORT(scroller->viewport), child);
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(scroller->scrolled), scroller->viewport);
    scroller->adjustment = gtk_scrolled_window_get_vadjustment(GTK_SCROLLED_WINDOW(scroller->scrolled));
    g_signal_connect_swapped(scroller->adjustment, "changed", G_CALLBACK(on_size_changed), scroller);
    g_signal_connect_swapped(scroller->adjustment, "value-changed", G_CALLBACK(on_value_changed), scroller);

    scroller->button = we_icon_button("go-bottom-symbolic", _("To the end"));
    gtk_widget_remove_css_class(scroller->button, "flat");
    gtk_widget_add_css_class(scroller->button, "circular");
    gtk_widget_add_css_class(scroller->button, "osd");
    gtk_widget_set_halign(scroller->button, GTK_ALIGN_CENTER);
    gtk_widget_set_valign(scroller->button, GTK_ALIGN_END);
    gtk_widget_set_margin_bottom(scroller->button, 12);
    gtk_widget_set_visible(scroller->button, FALSE);
    g_signal_connect_swapped(scroller->button, "clicked", G_CALLBACK(we_scroller_follow), scroller);

    scroller->overlay = gtk_overlay_new();
    gtk_overlay_set_child(GTK_OVERLAY(scroller->overlay), scroller->scrolled);
    gtk_overlay_add_overlay(GTK_OVERLAY(scroller->overlay), scroller->button);
    gtk_widget_set_parent(scroller->overlay, GTK_WIDGET(scroller));
    return GTK_WIDGET(scroller);
}
