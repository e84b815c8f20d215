#include "composer.h"

#include "widgets.h"

#include <glib/gi18n.h>
#include <string.h>

enum { MOST_HEIGHT = 220 /* pixels; longer texts scroll */ };

struct _WeComposer {
    GtkWidget parent;
    GtkWidget *box, *view, *placeholder, *button;
    GtkTextBuffer *buffer;
    enum we_composer_mode mode;
};

G_DEFINE_FINAL_TYPE(WeComposer, we_composer, GTK_TYPE_WIDGET)

static guint send_signal, stop_signal, edited_signal;

char *we_composer_text(WeComposer *composer)
{
    GtkTextIter start, end;
    gtk_text_buffer_get_bounds(composer->buffer, &start, &end);
    return gtk_text_buffer_get_text(composer->buffer, &start, &end, FALSE);
}

static gboolean is_blank(WeComposer *composer)
{
    g_autofree char *text = we_composer_text(composer);
    return g_strstrip(text)[0] == '\0';
}

static void update_button(WeComposer *composer)
{
    gboolean stops = composer->mode == WE_COMPOSER_REPLYING;
    gtk_widget_set_sensitive(composer->button, stops || (composer->mode == WE_COMPOSER_READY && !is_blank(composer)));
}

static void send(WeComposer *composer)
{
    if (composer->mode != WE_COMPOSER_READY || is_blank(composer))
        return;
    g_autofree char *text = we_composer_text(composer);
    g_signal_emit(composer, send_signal, 0, text);
}

static void on_clicked(WeComposer *composer)
{
    if (composer->mode == WE_COMPOSER_REPLYING)
        g_signal_emit(composer, stop_signal, 0);
    else
        send(composer);
}

static void on_changed(WeComposer *composer)
{
    gtk_widget_set_visible(composer->placeholder, gtk_text_buffer_get_char_count(composer->buffer) == 0);
    update_button(composer);
    g_signal_emit(composer, edited_signal, 0);
}

static gboolean on_key(WeComposer *composer, guint key, guint code, GdkModifierType modifiers)
{
    (void)code;
    if (key != GDK_KEY_Return && key != GDK_KEY_KP_Enter && key != GDK_KEY_ISO_Enter)
        return GDK_EVENT_PROPAGATE;
    if (modifiers & (GDK_SHIFT_MASK | GDK_CONTROL_MASK | GDK_ALT_MASK))
        return GDK_EVENT_PROPAGATE;
    send(composer);
    return GDK_EVENT_STOP;
}

void we_composer_set_mode(WeComposer *composer, enum we_composer_mode mode, const char *why)
{
    gboolean stops = mode == WE_COMPOSER_REPLYING;
    const char *name = stops ? _("Stop the reply") : _("Send");
    composer->mode = mode;
    gtk_button_set_icon_name(GTK_BUTTON(composer->button), stops ? "media-playback-stop-symbolic" : "go-up-symbolic");
    gtk_widget_set_tooltip_text(composer->button, mode == WE_COMPOSER_WAITING && why ? why : name);
    we_name(composer->button, name);
    if (stops)
        gtk_widget_remove_css_class(composer->button, "suggested-action");
    else
        gtk_widget_add_css_class(composer->button, "suggested-action");
    update_button(composer);
}

void we_composer_set_text(WeComposer *composer, const char *text)
{
    gtk_text_buffer_set_text(composer->buffer, text, -1);
}

void we_composer_focus(WeComposer *composer)
{
    gtk_widget_grab_focus(composer->view);
}

static void dispose(GObject *object)
{
    WeComposer *composer = WE_COMPOSER(object);
    g_clear_pointer(&composer->box, gtk_widget_unparent);
    G_OBJECT_CLASS(we_composer_parent_class)->dispose(object);
}

static void we_composer_class_init(WeComposerClass *klass)
{
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
    G_OBJECT_CLASS(klass)->dispose = dispose;
    gtk_widget_class_set_layout_manager_type(widget_class, GTK_TYPE_BIN_LAYOUT);
    gtk_widget_class_set_css_name(widget_class, "composer");
    send_signal = g_signal_new("send", WE_TYPE_COMPOSER, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
    stop_signal = g_signal_new("stop", WE_TYPE_COMPOSER, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
    edited_signal = g_signal_new("edited", WE_TYPE_COMPOSER, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static GtkWidget *make_view(WeComposer *composer)
{
    composer->view = gtk_text_view_new();
    composer->buffer = gtk_text_view_get_buffer(GTK_TEXT_VIEW(composer->view));
    gtk_text_view_set_wrap_mode(GTK_TEXT_VIEW(composer->view), GTK_WRAP_WORD_CHAR);
    gtk_text_view_set_accepts_tab(GTK_TEXT_VIEW(composer->view), FALSE);
    gtk_text_view_set_top_margin(GTK_TEXT_VIEW(composer->view), 10);
    gtk_text_view_set_bottom_margin(GTK_TEXT_VIEW(composer->view), 10);
    we_name(composer->view, _("Message"));
    GtkEventController *keys = gtk_event_controller_key_new();
    gtk_event_controller_set_propagation_phase(keys, GTK_PHASE_CAPTURE);
    g_signal_connect_swapped(keys, "key-pressed", G_CALLBACK(on_key), composer);
    gtk_widget_add_controller(composer->view, keys);
    g_signal_connect_swapped(composer->buffer, "changed", G_CALLBACK(on_changed), composer);

    GtkWidget *scrolled = gtk_scrolled_window_new();
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(scrolled), GTK_POLICY_NEVER, GTK_POLICY_AUTOMATIC);
    gtk_scrolled_window_set_min_content_height(GTK_SCROLLED_WINDOW(scrolled), 1); /* one line, whatever its font is */
    gtk_scrolled_window_set_propagate_natural_height(GTK_SCROLLED_WINDOW(scrolled), TRUE);
    gtk_scrolled_window_set_max_content_height(GTK_SCROLLED_WINDOW(scrolled), MOST_HEIGHT);
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(scrolled), composer->view);
    return scrolled;
}

static void we_composer_init(WeComposer *composer)
{
    composer->box = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    gtk_widget_set_parent(composer->box, GTK_WIDGET(composer));

    GtkWidget *overlay = gtk_overlay_new();
    GtkWidget *view = make_view(composer);
    gtk_overlay_set_child(GTK_OVERLAY(overlay), view);
    composer->placeholder = gtk_label_new(_("Write a message"));
    gtk_widget_set_halign(composer->placeholder, GTK_ALIGN_START);
    gtk_widget_set_valign(composer->placeholder, GTK_ALIGN_START);
    gtk_widget_set_margin_top(composer->placeholder, 10);
    gtk_widget_set_can_target(composer->placeholder, FALSE);
    gtk_widget_add_css_class(composer->placeholder, "dim-label");
    gtk_overlay_add_overlay(GTK_OVERLAY(overlay), composer->placeholder);
    gtk_overlay_set_measure_overlay(GTK_OVERLAY(overlay), composer->placeholder, TRUE);
    gtk_widget_set_hexpand(overlay, TRUE);
    gtk_box_append(GTK_BOX(composer->box), overlay);

    composer->button = gtk_button_new();
    gtk_widget_add_css_class(composer->button, "circular");
    gtk_widget_set_valign(composer->button, GTK_ALIGN_END);
    g_signal_connect_swapped(composer->button, "clicked", G_CALLBACK(on_clicked), composer);
    gtk_box_append(GTK_BOX(composer->box), composer->button);
    we_composer_set_mode(composer, WE_COMPOSER_READY, NULL);
}

GtkWidget *we_composer_new(void)
{
    return g_object_new(WE_TYPE_COMPOSER, NULL);
}
