#include "models_page.h"

#include "download.h"
#include "notice.h"
#include "widgets.h"

#include "base/str.h"

#include <glib/gi18n.h>
#include <string.h>
#include <whisperengine_tools.h>

enum { PAGE_WIDTH = 760 };

struct _WeModelsPage {
    GtkWidget parent;
    WeApplication *application; /* outlives the page */
    GtkWidget *box, *notice, *name, *jobs, *jobs_group, *models, *models_group, *nothing;
    guint looks; /* begun so far: only the last one is shown */
};

G_DEFINE_FINAL_TYPE(WeModelsPage, we_models_page, GTK_TYPE_WIDGET)

/* ---- what is on the disk ---- */

struct found {
    char *name;
    uint64_t bytes;
    bool complete, in_hub_cache;
};

struct look {
    struct we_configuration *configuration;
    GPtrArray *models;
    guint number;
    we_status status;
    struct we_error error;
};

static void free_found(gpointer data)
{
    struct found *found = data;
    g_free(found->name);
    g_free(found);
}

static void free_look(gpointer data)
{
    struct look *look = data;
    we_configuration_unref(look->configuration);
    g_ptr_array_unref(look->models);
    g_free(look);
}

static bool take_entry(void *context, const struct we_store_entry *entry)
{
    struct found *found = g_new0(struct found, 1);
    *found = (struct found){g_strdup(entry->name), entry->bytes, entry->complete, entry->in_hub_cache};
    g_ptr_array_add(context, found);
    return true;
}

static void list_models(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    (void)source;
    (void)cancellable;
    struct look *look = data;
    const char *folder = we_settings_text(look->configuration->settings, WE_SETTING_MODELS_DIR);
    look->status = we_store_list(folder, take_entry, look->models, &look->error);
    g_task_return_boolean(task, TRUE);
}

static void clear_list(GtkWidget *list)
{
    GtkWidget *row;
    while ((row = gtk_widget_get_first_child(list)) != NULL)
        gtk_list_box_remove(GTK_LIST_BOX(list), row);
}

/* ---- removal ---- */

struct removal {
    struct we_configuration *configuration;
    char *name;
    uint64_t freed;
    we_status status;
    struct we_error error;
};

static void free_removal(gpointer data)
{
    struct removal *removal = data;
    we_configuration_unref(removal->configuration);
    g_free(removal->name);
    g_free(removal);
}

static void remove_model(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    (void)source;
    (void)cancellable;
    struct removal *r = data;
    r->status =
        we_store_remove(we_settings_text(r->configuration->settings, WE_SETTING_MODELS_DIR), r->name, &r->freed, &r->error);
    g_task_return_boolean(task, TRUE);
}

static void on_removed(GObject *source, GAsyncResult *result, gpointer data)
{
    (void)data;
    WeModelsPage *page = WE_MODELS_PAGE(source);
    struct removal *removal = g_task_get_task_data(G_TASK(result));
    if (page->box == NULL)
        return;
    if (removal->status != WE_OK)
        we_notice_show(WE_NOTICE(page->notice), _("The model could not be removed"), removal->error.message, NULL, NULL);
    we_models_page_refresh(page);
}

static void on_remove_answer(AdwMessageDialog *dialog, const char *answer, gpointer data)
{
    WeModelsPage *page = data;
    if (page->box == NULL || strcmp(answer, "remove") != 0)
        return;
    struct removal *removal = g_new0(struct removal, 1);
    removal->configuration = we_configuration_ref(we_application_configuration(page->application));
    removal->name = g_strdup(g_object_get_data(G_OBJECT(dialog), "model"));
    GTask *task = g_task_new(page, NULL, on_removed, NULL);
    g_task_set_task_data(task, removal, free_removal);
    g_task_run_in_thread(task, remove_model);
    g_object_unref(task);
}

static void on_remove(GtkButton *button, WeModelsPage *page)
{
    const char *name = g_object_get_data(G_OBJECT(button), "model");
    GtkRoot *root = gtk_widget_get_root(GTK_WIDGET(page));
    GtkWidget *dialog = adw_message_dialog_new(GTK_IS_WINDOW(root) ? GTK_WINDOW(root) : NULL, _("Remove This Model?"), NULL);
    adw_message_dialog_format_body(ADW_MESSAGE_DIALOG(dialog),
                                   _("The files of %s will be deleted from this computer. It can be downloaded again."), name);
    adw_message_dialog_add_responses(ADW_MESSAGE_DIALOG(dialog), "cancel", _("_Cancel"), "remove", _("_Remove"), NULL);
    adw_message_dialog_set_response_appearance(ADW_MESSAGE_DIALOG(dialog), "remove", ADW_RESPONSE_DESTRUCTIVE);
    adw_message_dialog_set_default_response(ADW_MESSAGE_DIALOG(dialog), "cancel");
    adw_message_dialog_set_close_response(ADW_MESSAGE_DIALOG(dialog), "cancel");
    g_object_set_data_full(G_OBJECT(dialog), "model", g_strdup(name), g_free);
    g_signal_connect_object(dialog, "response", G_CALLBACK(on_remove_answer), page, 0);
    gtk_window_present(GTK_WINDOW(dialog));
}

/* ---- downloads and verifications ---- */

static void show_jobs(WeModelsPage *page)
{
    gtk_widget_set_visible(page->jobs_group, gtk_widget_get_first_child(page->jobs) != NULL);
}

static void on_over(WeDownload *job, WeModelsPage *page)
{
    gtk_list_box_remove(GTK_LIST_BOX(page->jobs), GTK_WIDGET(job));
    show_jobs(page);
}

static void start_job(WeModelsPage *page, const char *name, bool check)
{
    for (GtkWidget *row = gtk_widget_get_first_child(page->jobs); row; row = gtk_widget_get_next_sibling(row))
        if (strcmp(we_download_name(WE_DOWNLOAD(row)), name) == 0) {
            we_download_start(WE_DOWNLOAD(row)); /* does nothing if it runs */
            return;
        }
    GtkWidget *job = we_download_new(we_application_configuration(page->application), name, check);
    g_signal_connect_object(job, "over", G_CALLBACK(on_over), page, 0);
    g_signal_connect_object(job, "changed", G_CALLBACK(we_models_page_refresh), page, G_CONNECT_SWAPPED);
    gtk_list_box_append(GTK_LIST_BOX(page->jobs), job);
    show_jobs(page);
    we_download_start(WE_DOWNLOAD(job));
}

void we_models_page_download(WeModelsPage *page, const char *name)
{
    g_autofree char *plain = g_strstrip(g_strdup(name));
    /* An address of the Hub's page, or of our own kind, is as good as the name. */
    static const char *const prefixes[] = {"https://huggingface.co/", "http://huggingface.co/", "huggingface.co/", "hf.co/",
                                           "mlx://"};
    const char *at = plain;
    for (size_t i = 0; i < G_N_ELEMENTS(prefixes); i++)
        if (g_str_has_prefix(plain, prefixes[i]))
            at = plain + strlen(prefixes[i]);
    if (*at)
        start_job(page, at, false);
}

static void on_download(WeModelsPage *page)
{
    we_models_page_download(page, gtk_editable_get_text(GTK_EDITABLE(page->name)));
    gtk_editable_set_text(GTK_EDITABLE(page->name), "");
}

static void on_verify(GtkButton *button, WeModelsPage *page)
{
    start_job(page, g_object_get_data(G_OBJECT(button), "model"), true);
}

static void on_go_on(GtkButton *button, WeModelsPage *page)
{
    start_job(page, g_object_get_data(G_OBJECT(button), "model"), false);
}

/* ---- the list ---- */

static void add_button(WeModelsPage *page, GtkWidget *row, const char *icon, const char *what, const char *model,
                       GCallback on_click)
{
    g_autofree char *name = g_strdup_printf("%s: %s", what, model);
    GtkWidget *button = we_icon_button(icon, what);
    we_name(button, name);
    gtk_widget_set_valign(button, GTK_ALIGN_CENTER);
    g_object_set_data_full(G_OBJECT(button), "model", g_strdup(model), g_free);
    g_signal_connect(button, "clicked", on_click, page);
    adw_action_row_add_suffix(ADW_ACTION_ROW(row), button);
}

static GtkWidget *new_row(WeModelsPage *page, const struct found *found)
{
    GtkWidget *row = adw_action_row_new();
    char bytes[24];
    we_bytes_text(found->bytes, bytes);
    g_autofree char *facts = !found->complete      ? g_strdup_printf(_("%s \xC2\xB7 the download is not complete"), bytes)
                             : found->in_hub_cache ? g_strdup_printf(_("%s \xC2\xB7 in the Hugging Face cache"), bytes)
                                                   : g_strdup(bytes);
    adw_preferences_row_set_use_markup(ADW_PREFERENCES_ROW(row), FALSE);
    adw_preferences_row_set_title(ADW_PREFERENCES_ROW(row), found->name);
    adw_action_row_set_subtitle(ADW_ACTION_ROW(row), facts);
    adw_action_row_set_title_lines(ADW_ACTION_ROW(row), 2);
    if (!found->complete)
        add_button(page, row, "media-playback-start-symbolic", _("Go on with the download"), found->name, G_CALLBACK(on_go_on));
    if (!found->in_hub_cache) {
        add_button(page, row, "emblem-ok-symbolic", _("Verify the files"), found->name, G_CALLBACK(on_verify));
        add_button(page, row, "user-trash-symbolic", _("Remove"), found->name, G_CALLBACK(on_remove));
    }
    return row;
}

static void on_listed(GObject *source, GAsyncResult *result, gpointer data)
{
    (void)data;
    WeModelsPage *page = WE_MODELS_PAGE(source);
    struct look *look = g_task_get_task_data(G_TASK(result));
    if (page->box == NULL || look->number != page->looks)
        return;
    if (look->status != WE_OK)
        we_notice_show(WE_NOTICE(page->notice), _("The models could not be listed"), look->error.message, NULL, NULL);
    clear_list(page->models);
    for (guint i = 0; i < look->models->len; i++)
        gtk_list_box_append(GTK_LIST_BOX(page->models), new_row(page, look->models->pdata[i]));
    gtk_widget_set_visible(page->models, look->models->len > 0);
    gtk_widget_set_visible(page->nothing, look->models->len == 0);
}

void we_models_page_refresh(WeModelsPage *page)
{
    struct look *look = g_new0(struct look, 1);
    look->configuration = we_configuration_ref(we_application_configuration(page->application));
    look->models = g_ptr_array_new_with_free_func(free_found);
    look->number = ++page->looks;
    GTask *task = g_task_new(page, NULL, on_listed, NULL);
    g_task_set_task_data(task, look, free_look);
    g_task_run_in_thread(task, list_models);
    g_object_unref(task);
}

/* ---- the widget ---- */

static void map(GtkWidget *widget)
{
    GTK_WIDGET_CLASS(we_models_page_parent_class)->map(widget);
    we_models_page_refresh(WE_MODELS_PAGE(widget));
}

static void dispose(GObject *object)
{
    g_clear_pointer(&WE_MODELS_PAGE(object)->box, gtk_widget_unparent);
    G_OBJECT_CLASS(we_models_page_parent_class)->dispose(object);
}

static void we_models_page_class_init(WeModelsPageClass *class)
{
    G_OBJECT_CLASS(class)->dispose = dispose;
    GTK_WIDGET_CLASS(class)->map = map;
    gtk_widget_class_set_css_name(GTK_WIDGET_CLASS(class), "modelspage");
    gtk_widget_class_set_layout_manager_type(GTK_WIDGET_CLASS(class), GTK_TYPE_BIN_LAYOUT);
}

static GtkWidget *new_list(void)
{
    GtkWidget *list = gtk_list_box_new();
    gtk_list_box_set_selection_mode(GTK_LIST_BOX(list), GTK_SELECTION_NONE);
    gtk_widget_add_css_class(list, "boxed-list");
    return list;
}

static GtkWidget *new_group(const char *title, const char *description, GtkWidget *child)
{
    GtkWidget *group = adw_preferences_group_new();
    adw_preferences_group_set_title(ADW_PREFERENCES_GROUP(group), title);
    adw_preferences_group_set_description(ADW_PREFERENCES_GROUP(group), description);
    adw_preferences_group_add(ADW_PREFERENCES_GROUP(group), child);
    return group;
}

static void we_models_page_init(WeModelsPage *page)
{
    GtkWidget *scroller = gtk_scrolled_window_new(), *clamp = adw_clamp_new(),
              *column = gtk_box_new(GTK_ORIENTATION_VERTICAL, 24);
    page->box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
    gtk_widget_set_parent(page->box, GTK_WIDGET(page));
    page->notice = we_notice_new();
    page->name = adw_entry_row_new();
    adw_preferences_row_set_title(ADW_PREFERENCES_ROW(page->name), _("Name of the model: ORG/NAME"));
    GtkWidget *fetch = we_icon_button("folder-download-symbolic", _("Download"));
    gtk_widget_set_valign(fetch, GTK_ALIGN_CENTER);
    adw_entry_row_add_suffix(ADW_ENTRY_ROW(page->name), fetch);
    page->jobs = new_list();
    page->jobs_group = new_group(_("Under Way"), NULL, page->jobs);
    gtk_widget_set_visible(page->jobs_group, FALSE);
    page->models = new_list();
    page->nothing = we_text_label(_("There is no model yet."));
    gtk_widget_add_css_class(page->nothing, "dim-label");
    gtk_widget_set_visible(page->nothing, FALSE);
    page->models_group = new_group(_("On This Computer"), NULL, page->models);
    adw_preferences_group_add(ADW_PREFERENCES_GROUP(page->models_group), page->nothing);
    gtk_box_append(GTK_BOX(column),
                   new_group(_("Download"), _("From the Hugging Face Hub; mlx-community has many."), page->name));
    gtk_box_append(GTK_BOX(column), page->jobs_group);
    gtk_box_append(GTK_BOX(column), page->models_group);
    gtk_widget_set_margin_start(column, 12);
    gtk_widget_set_margin_end(column, 12);
    gtk_widget_set_margin_top(column, 18);
    gtk_widget_set_margin_bottom(column, 18);
    adw_clamp_set_maximum_size(ADW_CLAMP(clamp), PAGE_WIDTH);
    adw_clamp_set_child(ADW_CLAMP(clamp), column);
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(scroller), GTK_POLICY_NEVER, GTK_POLICY_AUTOMATIC);
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(scroller), clamp);
    gtk_widget_set_vexpand(scroller, TRUE);
    gtk_box_append(GTK_BOX(page->box), page->notice);
    gtk_box_append(GTK_BOX(page->box), scroller);
    g_signal_connect_swapped(page->name, "entry-activated", G_CALLBACK(on_download), page);
    g_signal_connect_swapped(fetch, "clicked", G_CALLBACK(on_download), page);
}

GtkWidget *we_models_page_new(WeApplication *application)
{
    WeModelsPage *page = g_object_new(WE_TYPE_MODELS_PAGE, NULL);
    page->application = application;
    g_signal_connect_object(application, "configured", G_CALLBACK(we_models_page_refresh), page, G_CONNECT_SWAPPED);
    return GTK_WIDGET(page);
}
