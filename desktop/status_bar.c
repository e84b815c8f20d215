#include "status_bar.h"

#include "widgets.h"

#include "base/str.h"

#include <glib/gi18n.h>

struct _WeStatusBar {
    GtkWidget parent;
    WeEngine *engine;
    GtkWidget *box, *dot, *model, *state, *rate, *processors, *memory, *gpu;
};

G_DEFINE_FINAL_TYPE(WeStatusBar, we_status_bar, GTK_TYPE_WIDGET)

static const char *state_name(enum we_engine_state state)
{
    switch (state) {
    case WE_ENGINE_LOADING:
        return _("Loading");
    case WE_ENGINE_READY:
        return _("Ready");
    case WE_ENGINE_READING:
        return _("Reading");
    case WE_ENGINE_WRITING:
        return _("Writing");
    case WE_ENGINE_FAILED:
        return _("Failed");
    default:
        return _("No model");
    }
}

/* The colour of the dot, as the tray has it: green, yellow, red. */
static const char *state_class(enum we_engine_state state)
{
    switch (state) {
    case WE_ENGINE_LOADING:
        return "warning";
    case WE_ENGINE_FAILED:
    case WE_ENGINE_EMPTY:
        return "error";
    default:
        return "success";
    }
}

static void show_rate(WeStatusBar *bar)
{
    double rate = we_engine_rate(bar->engine);
    g_autofree char *text = rate > 0 ? g_strdup_printf(_("%.1f tokens/s"), rate) : NULL;
    gtk_label_set_text(GTK_LABEL(bar->rate), text ? text : "");
    gtk_widget_set_visible(bar->rate, text != NULL);
}

static void on_changed(WeStatusBar *bar)
{
    enum we_engine_state state = we_engine_state(bar->engine);
    const struct we_engine_model *model = we_engine_model(bar->engine);
    const char *classes[] = {state_class(state), NULL};
    gtk_widget_set_css_classes(bar->dot, classes);
    gtk_widget_set_visible(bar->model, model != NULL);
    gtk_label_set_text(GTK_LABEL(bar->state), state_name(state));
    if (model) {
        g_autofree char *text =
            model->stands_in ? g_strdup_printf(_("%s (stand-in: %s)"), model->name, model->stands_in) : NULL;
        gtk_label_set_text(GTK_LABEL(bar->model), text ? text : model->name);
        g_autofree char *more = g_strdup_printf("%s\n%s", model->path, model->device);
        gtk_widget_set_tooltip_text(bar->model, more);
    }
    show_rate(bar);
}

void we_status_bar_update(WeStatusBar *bar, const struct we_reading *reading)
{
    const struct we_vitals *v = &reading->vitals;
    char own[24], total[24];
    gtk_widget_set_visible(bar->processors, reading->processors >= 0);
    g_autofree char *processors = g_strdup_printf(_("CPU %.0f %%"), 100 * MAX(reading->processors, 0));
    gtk_label_set_text(GTK_LABEL(bar->processors), processors);
    g_autofree char *share =
        g_strdup_printf(_("All processors of this computer; WhisperEngine keeps %.1f of them busy"), reading->own);
    gtk_widget_set_tooltip_text(bar->processors, share);

    g_autofree char *memory = g_strdup_printf(_("Memory %s"), we_bytes_text(v->own_memory, own));
    gtk_label_set_text(GTK_LABEL(bar->memory), memory);
    g_autofree char *available = g_strdup_printf(_("WhisperEngine holds %s; %s of this computer's memory are free"), own,
                                                 we_bytes_text(v->memory_available, total));
    gtk_widget_set_tooltip_text(bar->memory, available);

    gtk_widget_set_visible(bar->gpu, v->has_gpu);
    if (v->has_gpu) {
        char used[24];
        g_autofree char *gpu = g_strdup_printf(_("GPU %.0f %%"), 100 * v->gpu_busy);
        gtk_label_set_text(GTK_LABEL(bar->gpu), gpu);
        g_autofree char *more =
            g_strdup_printf(_("%s: %s of %s are used"), v->gpu_name[0] ? v->gpu_name : _("Graphics processor"),
                            we_bytes_text(v->gpu_memory_used, used), we_bytes_text(v->gpu_memory_total, total));
        gtk_widget_set_tooltip_text(bar->gpu, more);
    }
    show_rate(bar);
}

static void dispose(GObject *object)
{
    WeStatusBar *bar = WE_STATUS_BAR(object);
    if (bar->engine)
        g_signal_handlers_disconnect_by_data(bar->engine, bar);
    g_clear_object(&bar->engine);
    g_clear_pointer(&bar->box, gtk_widget_unparent);
    G_OBJECT_CLASS(we_status_bar_parent_class)->dispose(object);
}

static void we_status_bar_class_init(WeStatusBarClass *klass)
{
    G_OBJECT_CLASS(klass)->dispose = dispose;
    gtk_widget_class_set_layout_manager_type(GTK_WIDGET_CLASS(klass), GTK_TYPE_BIN_LAYOUT);
    gtk_widget_class_set_css_name(GTK_WIDGET_CLASS(klass), "statusbar");
    gtk_widget_class_set_accessible_role(GTK_WIDGET_CLASS(klass), GTK_ACCESSIBLE_ROLE_GROUP);
}

static GtkWidget *add_label(WeStatusBar *bar, bool ellipsizes)
{
    GtkWidget *label = gtk_label_new("");
    gtk_widget_add_css_class(label, "caption");
    gtk_widget_add_css_class(label, "numeric");
    if (ellipsizes)
        gtk_label_set_ellipsize(GTK_LABEL(label), PANGO_ELLIPSIZE_END);
    gtk_box_append(GTK_BOX(bar->box), label);
    return label;
}

static void we_status_bar_init(WeStatusBar *bar)
{
    bar->box = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 12);
    gtk_widget_set_parent(bar->box, GTK_WIDGET(bar));
    bar->dot = gtk_image_new_from_icon_name("media-record-symbolic");
    gtk_image_set_pixel_size(GTK_IMAGE(bar->dot), 10);
    gtk_box_append(GTK_BOX(bar->box), bar->dot);
    bar->state = add_label(bar, false);
    bar->model = add_label(bar, true);
    gtk_widget_add_css_class(bar->model, "dim-label");
    GtkWidget *space = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 0);
    gtk_widget_set_hexpand(space, TRUE);
    gtk_box_append(GTK_BOX(bar->box), space);
    bar->rate = add_label(bar, false);
    bar->processors = add_label(bar, false);
    bar->memory = add_label(bar, false);
    bar->gpu = add_label(bar, false);
    gtk_widget_set_visible(bar->gpu, FALSE);
    gtk_widget_set_visible(bar->processors, FALSE);
    we_name(bar, _("Status"));
}

GtkWidget *we_status_bar_new(WeEngine *engine)
{
    WeStatusBar *bar = g_object_new(WE_TYPE_STATUS_BAR, NULL);
    bar->engine = g_object_ref(engine);
    g_signal_connect_swapped(engine, "changed", G_CALLBACK(on_changed), bar);
    on_changed(bar);
    return GTK_WIDGET(bar);
}
