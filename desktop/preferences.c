#include "preferences.h"

#include "endpoint_test.h"
#include "widgets.h"

#include "config/parse.h"

#include <glib/gi18n.h>
#include <math.h>
#include <string.h>

enum { WRITE_MS = 400 /* after the last change of a number */ };

struct _WePreferences {
    AdwPreferencesWindow parent;
    WeApplication *application;
    GPtrArray *rows; /* of struct row */
};

G_DEFINE_FINAL_TYPE(WePreferences, we_preferences, ADW_TYPE_PREFERENCES_WINDOW)

struct row {
    WePreferences *window;
    const struct we_setting *setting;
    GtkWidget *widget, *control, *reset;
    gboolean setting_value; /* from the settings, not by the person */
    guint source;
    char *choices[16];
};

static void free_row(gpointer data)
{
    struct row *row = data;
    g_clear_handle_id(&row->source, g_source_remove);
    for (size_t i = 0; i < G_N_ELEMENTS(row->choices); i++)
        g_free(row->choices[i]);
    g_free(row);
}

static const struct we_settings *settings_of(WePreferences *window)
{
    return we_application_configuration(window->application)->settings;
}

/* "top_p" as a person reads it. */
static char *title_of(const struct we_setting *setting)
{
    static const char *const words[][2] = {
        {"api", "API"}, {"url", "URL"}, {"hf", "Hugging Face"}, {"isa", "instruction set"}, {"ui", "interface"},
        {"xtc", "XTC"}, {"lm", "LM"},   {"studio", "Studio"},   {"ollama", "Ollama"},       {"dir", "folder"}};
    g_auto(GStrv) parts = g_strsplit(setting->key, "_", -1);
    GString *title = g_string_new(NULL);
    for (char **part = parts; *part; part++) {
        const char *word = *part;
        for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
            if (strcmp(word, words[i][0]) == 0)
                word = words[i][1];
        g_string_append_printf(title, "%s%s", title->len ? " " : "", word);
    }
    title->str[0] = g_ascii_toupper(title->str[0]);
    return g_string_free(title, FALSE);
}

/* ---- writing ---- */

static void on_changed(gpointer context, const struct we_error *error)
{
    WePreferences *window = context;
    if (error)
        we_tell(GTK_WIDGET(window), _("The setting cannot be saved"), error->message);
    g_object_unref(window);
}

static bool needs_load(const struct we_setting *setting)
{
    return setting->group == WE_GROUP_DEVICE || setting->group == WE_GROUP_MODEL || setting->group == WE_GROUP_REMOTE;
}

/* value "": back to the default. All names of the setting that .env has are changed, so that none hides another. */
static void write_value(struct row *row, const char *value)
{
    struct we_env_change changes[4];
    size_t count = 0;
    const struct we_settings *settings = settings_of(row->window);
    for (size_t i = 0; i < 4 && row->setting->environment[i]; i++) {
        const char *name = row->setting->environment[i];
        const char *now = we_settings_in_file(settings, name);
        if (i == 0 ? now == NULL ? value[0] != '\0' : strcmp(now, value) != 0 : now && now[0] && value[0] == '\0')
            changes[count++] = (struct we_env_change){name, value};
    }
    if (count == 0)
        return;
    we_application_change_settings(row->window->application, changes, count, on_changed, g_object_ref(row->window));
    if (!needs_load(row->setting))
        return;
    AdwToast *toast = adw_toast_new(_("The model uses this when it is loaded again."));
    adw_toast_set_button_label(toast, _("Load Again"));
    adw_toast_set_action_name(toast, "app.load-model");
    adw_preferences_window_add_toast(ADW_PREFERENCES_WINDOW(row->window), toast);
}

/* A text that a person typed: refused where the setting cannot have it. */
static void write_text(struct row *row, const char *text)
{
    struct we_error error;
    struct we_parsed parsed;
    if (text[0] && !we_setting_parse(row->setting, text, &parsed)) {
        gtk_widget_add_css_class(row->widget, "error");
        char expected[200];
        we_setting_expected(row->setting, expected, sizeof expected);
        we_error_set(&error, WE_INVALID_ARGUMENT, _("This is %s; “%s” is not."), expected, text);
        we_tell(GTK_WIDGET(row->window), _("The setting cannot be saved"), error.message);
        return;
    }
    gtk_widget_remove_css_class(row->widget, "error");
    write_value(row, text);
}

static void on_apply(struct row *row)
{
    write_text(row, gtk_editable_get_text(GTK_EDITABLE(row->widget)));
}

static void on_switched(struct row *row)
{
    if (!row->setting_value)
        write_value(row, gtk_switch_get_active(GTK_SWITCH(row->control)) ? "1" : "0");
}

static void on_selected(struct row *row)
{
    guint index = adw_combo_row_get_selected(ADW_COMBO_ROW(row->widget));
    if (!row->setting_value && index < G_N_ELEMENTS(row->choices) && row->choices[index])
        write_value(row, row->choices[index]);
}

static gboolean write_number(gpointer data)
{
    struct row *row = data;
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    row->source = 0;
    double value = gtk_spin_button_get_value(GTK_SPIN_BUTTON(row->control));
    g_ascii_formatd(text, sizeof text, row->setting->type == WE_SETTING_INTEGER ? "%.0f" : "%.10g", value);
    write_value(row, text);
    return G_SOURCE_REMOVE;
}

static void on_number(struct row *row)
{
    if (row->setting_value)
        return;
    g_clear_handle_id(&row->source, g_source_remove);
    row->source = g_timeout_add(WRITE_MS, write_number, row);
}

static void on_reset(struct row *row)
{
    g_clear_handle_id(&row->source, g_source_remove);
    write_value(row, "");
}

/* ---- showing ---- */

static void show_choice(struct row *row, const struct we_settings *settings)
{
    const char *value = we_settings_text(settings, row->setting->id);
    for (guint i = 0; i < G_N_ELEMENTS(row->choices) && row->choices[i]; i++)
        if (strcmp(row->choices[i], value ? value : "") == 0)
            adw_combo_row_set_selected(ADW_COMBO_ROW(row->widget), i);
}

/* The line of the table, which begins in lower case, as a sentence. */
static char *sentence(const char *help)
{
    return g_strdup_printf("%c%s", g_ascii_toupper(help[0]), help + 1);
}

static void show_row(struct row *row)
{
    const struct we_settings *settings = settings_of(row->window);
    const struct we_setting *setting = row->setting;
    enum we_source source = we_settings_source(settings, setting->id);
    const char *text = we_settings_stated(settings, setting->id);
    row->setting_value = TRUE;
    if (row->source) /* the person is changing it */
        ;
    else if (GTK_IS_SWITCH(row->control))
        gtk_switch_set_active(GTK_SWITCH(row->control), we_settings_integer(settings, setting->id) != 0);
    else if (GTK_IS_SPIN_BUTTON(row->control))
        gtk_spin_button_set_value(GTK_SPIN_BUTTON(row->control), setting->type == WE_SETTING_INTEGER
                                                                     ? (double)we_settings_integer(settings, setting->id)
                                                                     : we_settings_number(settings, setting->id));
    else if (ADW_IS_COMBO_ROW(row->widget))
        show_choice(row, settings);
    else if (strcmp(gtk_editable_get_text(GTK_EDITABLE(row->widget)), text ? text : "") != 0)
        gtk_editable_set_text(GTK_EDITABLE(row->widget), text ? text : "");
    row->setting_value = FALSE;
    g_autofree char *help = sentence(setting->help);
    bool of_environment = source == WE_SOURCE_ENVIRONMENT;
    gtk_widget_set_sensitive(row->widget, !of_environment);
    gtk_widget_set_visible(row->reset, source == WE_SOURCE_FILE);
    g_autofree char *where =
        of_environment ? g_strdup_printf(_("%s\nThe environment sets it: %s"), help, we_settings_origin(settings, setting->id))
                       : g_strdup(help);
    g_autofree char *markup = g_markup_escape_text(where, -1);
    if (ADW_IS_ACTION_ROW(row->widget))
        adw_action_row_set_subtitle(ADW_ACTION_ROW(row->widget), markup);
    gtk_widget_set_tooltip_text(row->widget, where);
}

static void show_all(WePreferences *window)
{
    for (guint i = 0; i < window->rows->len; i++)
        show_row(window->rows->pdata[i]);
}

/* ---- making ---- */

static void make_choice(struct row *row)
{
    g_auto(GStrv) names = g_strsplit(row->setting->choices, "|", -1);
    GtkStringList *list = gtk_string_list_new(NULL);
    guint count = 0;
    row->widget = adw_combo_row_new();
    if (row->setting->initial == NULL) {
        gtk_string_list_append(list, _("Automatic"));
        row->choices[count++] = g_strdup("");
    }
    for (char **name = names; *name && count < G_N_ELEMENTS(row->choices); name++) {
        g_autofree char *shown = g_strdup(*name);
        shown[0] = g_ascii_toupper(shown[0]);
        gtk_string_list_append(list, shown);
        row->choices[count++] = g_strdup(*name);
    }
    adw_combo_row_set_model(ADW_COMBO_ROW(row->widget), G_LIST_MODEL(list));
    g_object_unref(list);
    g_signal_connect_swapped(row->widget, "notify::selected", G_CALLBACK(on_selected), row);
}

static void make_switch(struct row *row)
{
    row->widget = adw_action_row_new();
    row->control = gtk_switch_new();
    gtk_widget_set_valign(row->control, GTK_ALIGN_CENTER);
    g_signal_connect_swapped(row->control, "notify::active", G_CALLBACK(on_switched), row);
    adw_action_row_add_suffix(ADW_ACTION_ROW(row->widget), row->control);
    adw_action_row_set_activatable_widget(ADW_ACTION_ROW(row->widget), row->control);
}

static void make_number(struct row *row)
{
    const struct we_setting *s = row->setting;
    bool integer = s->type == WE_SETTING_INTEGER;
    double max = s->max > s->min ? s->max : G_MAXUINT32;
    row->widget = adw_action_row_new();
    row->control = gtk_spin_button_new_with_range(s->min, max, integer ? 1 : s->max <= 1 ? 0.05 : 0.1);
    gtk_spin_button_set_digits(GTK_SPIN_BUTTON(row->control), integer ? 0 : 2);
    gtk_spin_button_set_numeric(GTK_SPIN_BUTTON(row->control), TRUE);
    gtk_editable_set_width_chars(GTK_EDITABLE(row->control), 6);
    gtk_widget_set_valign(row->control, GTK_ALIGN_CENTER);
    g_signal_connect_swapped(row->control, "value-changed", G_CALLBACK(on_number), row);
    adw_action_row_add_suffix(ADW_ACTION_ROW(row->widget), row->control);
    adw_action_row_set_activatable_widget(ADW_ACTION_ROW(row->widget), row->control);
}

static void on_test(struct row *row)
{
    we_endpoint_test(GTK_WIDGET(row->window), we_application_configuration(row->window->application),
                     gtk_editable_get_text(GTK_EDITABLE(row->widget))[0] ? gtk_editable_get_text(GTK_EDITABLE(row->widget))
                                                                         : row->setting->initial);
}

static void make_entry(struct row *row)
{
    row->widget = row->setting->secret ? adw_password_entry_row_new() : adw_entry_row_new();
    adw_entry_row_set_show_apply_button(ADW_ENTRY_ROW(row->widget), TRUE);
    g_signal_connect_swapped(row->widget, "apply", G_CALLBACK(on_apply), row);
    enum we_setting_id id = row->setting->id;
    if (id == WE_SETTING_LM_STUDIO_URL || id == WE_SETTING_OLLAMA_URL || id == WE_SETTING_REMOTE_URL) {
        GtkWidget *test = gtk_button_new_with_label(_("Test"));
        gtk_widget_add_css_class(test, "flat");
        gtk_widget_set_valign(test, GTK_ALIGN_CENTER);
        gtk_widget_set_tooltip_text(test, _("Ask the server for its models"));
        g_signal_connect_swapped(test, "clicked", G_CALLBACK(on_test), row);
        adw_entry_row_add_suffix(ADW_ENTRY_ROW(row->widget), test);
    }
}

/* Numbers without a default can be left out, so they are texts. */
static void make_row(struct row *row)
{
    const struct we_setting *s = row->setting;
    if (s->type == WE_SETTING_CHOICE)
        make_choice(row);
    else if (s->type == WE_SETTING_SWITCH)
        make_switch(row);
    else if ((s->type == WE_SETTING_INTEGER || s->type == WE_SETTING_NUMBER) && s->initial)
        make_number(row);
    else
        make_entry(row);
    g_autofree char *title = title_of(s);
    g_autofree char *default_text =
        s->initial ? g_strdup_printf(_("Back to the default (%s)"), s->initial) : g_strdup(_("Back to the default"));
    adw_preferences_row_set_title(ADW_PREFERENCES_ROW(row->widget), title);
    row->reset = we_icon_button("edit-undo-symbolic", default_text);
    gtk_widget_set_valign(row->reset, GTK_ALIGN_CENTER);
    g_signal_connect_swapped(row->reset, "clicked", G_CALLBACK(on_reset), row);
    if (ADW_IS_ENTRY_ROW(row->widget))
        adw_entry_row_add_suffix(ADW_ENTRY_ROW(row->widget), row->reset);
    else
        adw_action_row_add_suffix(ADW_ACTION_ROW(row->widget), row->reset);
    if (row->control)
        we_name(row->control, title);
}

/* What the desktop does not read is not offered: the model and the prompt have pages of their own. */
static bool is_offered(const struct we_setting *setting)
{
    switch (setting->id) {
    case WE_SETTING_MODEL:
    case WE_SETTING_SYSTEM_PROMPT:
    case WE_SETTING_LOG_LEVEL:
    case WE_SETTING_LOG_DIR:
    case WE_SETTING_START_MINIMIZED:
    case WE_SETTING_SYSTEM_TRAY:
    case WE_SETTING_HISTORY_LIMIT:
        return false;
    default:
        return setting->environment[0] != NULL;
    }
}

static void add_page(WePreferences *window, enum we_setting_group group, const char *title, const char *icon, const char *text)
{
    GtkWidget *page = adw_preferences_page_new(), *box = adw_preferences_group_new();
    adw_preferences_page_set_title(ADW_PREFERENCES_PAGE(page), title);
    adw_preferences_page_set_icon_name(ADW_PREFERENCES_PAGE(page), icon);
    adw_preferences_group_set_description(ADW_PREFERENCES_GROUP(box), text);
    for (int id = 0; id < WE_NUM_SETTINGS; id++) {
        const struct we_setting *setting = we_setting_row((enum we_setting_id)id);
        if (setting->group != group || !is_offered(setting))
            continue;
        struct row *row = g_new0(struct row, 1);
        row->window = window;
        row->setting = setting;
        g_ptr_array_add(window->rows, row);
        make_row(row);
        adw_preferences_group_add(ADW_PREFERENCES_GROUP(box), row->widget);
    }
    adw_preferences_page_add(ADW_PREFERENCES_PAGE(page), ADW_PREFERENCES_GROUP(box));
    adw_preferences_window_add(ADW_PREFERENCES_WINDOW(window), ADW_PREFERENCES_PAGE(page));
}

static void dispose(GObject *object)
{
    WePreferences *window = WE_PREFERENCES(object);
    if (window->application)
        g_signal_handlers_disconnect_by_data(window->application, window);
    window->application = NULL;
    for (guint i = 0; window->rows && i < window->rows->len; i++) {
        struct row *row = window->rows->pdata[i];
        g_clear_handle_id(&row->source, g_source_remove);
        g_signal_handlers_disconnect_by_data(row->widget, row);
        if (row->control)
            g_signal_handlers_disconnect_by_data(row->control, row);
        g_signal_handlers_disconnect_by_data(row->reset, row);
    }
    g_clear_pointer(&window->rows, g_ptr_array_unref);
    G_OBJECT_CLASS(we_preferences_parent_class)->dispose(object);
}

static void we_preferences_class_init(WePreferencesClass *klass)
{
    G_OBJECT_CLASS(klass)->dispose = dispose;
}

static void we_preferences_init(WePreferences *window)
{
    window->rows = g_ptr_array_new_with_free_func(free_row);
    gtk_window_set_default_size(GTK_WINDOW(window), 640, 620);
}

GtkWidget *we_preferences_new(WeApplication *application)
{
    WePreferences *window = g_object_new(WE_TYPE_PREFERENCES, NULL);
    window->application = application;
    add_page(window, WE_GROUP_SAMPLING, _("Generation"), "document-edit-symbolic",
             _("How replies are made. A change counts from the next reply on."));
    add_page(window, WE_GROUP_INTERFACE, _("Interface"), "applications-graphics-symbolic",
             _("The folder of conversations, and whether they are kept, count when the program starts again."));
    add_page(window, WE_GROUP_MODEL, _("Models"), "folder-symbolic", _("Where models and the system prompt are found."));
    add_page(window, WE_GROUP_REMOTE, _("Servers"), "network-server-symbolic",
             _("Servers of OpenAI’s API, which can answer in place of a model on this computer."));
    add_page(window, WE_GROUP_DEVICE, _("Advanced"), "applications-engineering-symbolic",
             _("How a model runs. A change counts when it is loaded again."));
    show_all(window);
    g_signal_connect_swapped(application, "configured", G_CALLBACK(show_all), window);
    return GTK_WIDGET(window);
}
