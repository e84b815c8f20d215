#include "widgets.h"

#include <glib/gi18n.h>

void we_name(gpointer widget, const char *name)
{
    gtk_accessible_update_property(GTK_ACCESSIBLE(widget), GTK_ACCESSIBLE_PROPERTY_LABEL, name, -1);
}

GtkWidget *we_icon_button(const char *icon, const char *name)
{
    GtkWidget *button = gtk_button_new_from_icon_name(icon);
    gtk_widget_add_css_class(button, "flat");
    gtk_widget_set_tooltip_text(button, name);
    we_name(button, name);
    return button;
}

GtkWidget *we_menu_button(const char *icon, const char *name, GMenuModel *menu)
{
    GtkWidget *button = gtk_menu_button_new();
    gtk_menu_button_set_icon_name(GTK_MENU_BUTTON(button), icon);
    gtk_menu_button_set_menu_model(GTK_MENU_BUTTON(button), menu);
    gtk_widget_set_tooltip_text(button, name);
    we_name(button, name);
    return button;
}

GtkWidget *we_text_label(const char *text)
{
    GtkWidget *label = gtk_label_new(text);
    gtk_label_set_wrap(GTK_LABEL(label), TRUE);
    gtk_label_set_wrap_mode(GTK_LABEL(label), PANGO_WRAP_WORD_CHAR);
    gtk_label_set_xalign(GTK_LABEL(label), 0);
    gtk_label_set_selectable(GTK_LABEL(label), TRUE);
    return label;
}

/* Days from the day of `time` to today. */
static int days_ago(GDateTime *time, GDateTime *now)
{
    GDate then, today;
    g_date_clear(&then, 1);
    g_date_clear(&today, 1);
    g_date_set_dmy(&then, (GDateDay)g_date_time_get_day_of_month(time), (GDateMonth)g_date_time_get_month(time),
                   (GDateYear)g_date_time_get_year(time));
    g_date_set_dmy(&today, (GDateDay)g_date_time_get_day_of_month(now), (GDateMonth)g_date_time_get_month(now),
                   (GDateYear)g_date_time_get_year(now));
    return g_date_days_between(&then, &today);
}

char *we_time_text(gint64 milliseconds)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(milliseconds / 1000);
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    if (time == NULL)
        return g_strdup("");
    int days = days_ago(time, now);
    /* Translators: formats of a time today, in the last week, and before that, as g_date_time_format has them. */
    const char *format = days == 0 ? _("%H:%M") : days > 0 && days < 7 ? _("%a %H:%M") : _("%e %B %Y, %H:%M");
    char *text = g_date_time_format(time, format);
    return text ? g_strstrip(text) : g_strdup("");
}

char *we_day_text(gint64 milliseconds)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(milliseconds / 1000);
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    if (time == NULL)
        return g_strdup("");
    int days = days_ago(time, now);
    if (days <= 0)
        return g_strdup(_("Today"));
    if (days == 1)
        return g_strdup(_("Yesterday"));
    if (days < 7)
        return g_strdup(_("Last 7 days"));
    /* Translators: a month and its year. */
    return g_date_time_format(time, _("%B %Y"));
}

void we_tell(GtkWidget *parent, const char *heading, const char *text)
{
    GtkWidget *dialog = adw_message_dialog_new(GTK_WINDOW(gtk_widget_get_root(parent)), heading, text);
    adw_message_dialog_add_response(ADW_MESSAGE_DIALOG(dialog), "close", _("Close"));
    gtk_window_present(GTK_WINDOW(dialog));
}
