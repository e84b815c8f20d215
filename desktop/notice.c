#include "notice.h"

#include "widgets.h"

#include <glib/gi18n.h>

struct _WeNotice {
    GtkWidget parent;
    GtkWidget *revealer, *heading, *label, *button;
};

G_DEFINE_FINAL_TYPE(WeNotice, we_notice, GTK_TYPE_WIDGET)

void we_notice_show(WeNotice *notice, const char *heading, const char *text, const char *button, const char *action)
{
    gtk_label_set_text(GTK_LABEL(notice->heading), heading ? heading : "");
    gtk_widget_set_visible(notice->heading, heading != NULL);
    gtk_label_set_text(GTK_LABEL(notice->label), text);
    gtk_widget_set_visible(notice->button, button != NULL);
    if (button) {
        gtk_button_set_label(GTK_BUTTON(notice->button), button);
        gtk_actionable_set_action_name(GTK_ACTIONABLE(notice->button), action);
    }
    gtk_revealer_set_reveal_child(GTK_REVEALER(notice->revealer), TRUE);
}

void we_notice_hide(WeNotice *notice)
{
    gtk_revealer_set_reveal_child(GTK_REVEALER(notice->revealer), FALSE);
}

static void dispose(GObject *object)
{
    g_clear_pointer(&WE_NOTICE(object)->revealer, gtk_widget_unparent);
    G_OBJECT_CLASS(we_notice_parent_class)->dispose(object);
}

static void we_notice_class_init(WeNoticeClass *klass)
{
    G_OBJECT_CLASS(klass)->dispose = dispose;
    gtk_widget_class_set_layout_manager_type(GTK_WIDGET_CLASS(klass), GTK_TYPE_BIN_LAYOUT);
    gtk_widget_class_set_accessible_role(GTK_WIDGET_CLASS(klass), GTK_ACCESSIBLE_ROLE_ALERT);
}

static void we_notice_init(WeNotice *notice)
{
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 12);
    gtk_widget_add_css_class(box, "notice");
    GtkWidget *icon = gtk_image_new_from_icon_name("dialog-warning-symbolic");
    gtk_widget_set_valign(icon, GTK_ALIGN_START);
    gtk_accessible_update_property(GTK_ACCESSIBLE(icon), GTK_ACCESSIBLE_PROPERTY_LABEL, _("Warning"), -1);
    gtk_box_append(GTK_BOX(box), icon);
    GtkWidget *column = gtk_box_new(GTK_ORIENTATION_VERTICAL, 4);
    gtk_widget_set_hexpand(column, TRUE);
    notice->heading = we_text_label("");
    gtk_widget_add_css_class(notice->heading, "heading");
    notice->label = we_text_label("");
    notice->button = gtk_button_new();
    gtk_widget_set_halign(notice->button, GTK_ALIGN_START);
    gtk_widget_set_margin_top(notice->button, 6);
    gtk_box_append(GTK_BOX(column), notice->heading);
    gtk_box_append(GTK_BOX(column), notice->label);
    gtk_box_append(GTK_BOX(column), notice->button);
    gtk_box_append(GTK_BOX(box), column);
    GtkWidget *close = we_icon_button("window-close-symbolic", _("Close this message"));
    gtk_widget_add_css_class(close, "circular");
    gtk_widget_set_valign(close, GTK_ALIGN_START);
    g_signal_connect_swapped(close, "clicked", G_CALLBACK(we_notice_hide), notice);
    gtk_box_append(GTK_BOX(box), close);
    notice->revealer = gtk_revealer_new();
    gtk_revealer_set_child(GTK_REVEALER(notice->revealer), box);
    gtk_widget_set_parent(notice->revealer, GTK_WIDGET(notice));
}

GtkWidget *we_notice_new(void)
{
    return g_object_new(WE_TYPE_NOTICE, NULL);
}
