#include "model_list.h"

#include "widgets.h"

#include "base/str.h"

#include <glib/gi18n.h>
#include <string.h>

static const double PATIENCE = 2; /* seconds that a server has to answer in */
enum { CONTEXT = 2048 /* positions, for the memory that a model needs */ };

struct _WeModelList {
    GtkWidget parent;
    WeApplication *application;
    GtkWidget *box, *here, *servers, *nothing_here, *no_servers, *spinner;
    guint looks; /* begun so far: only the last one is shown */
};

G_DEFINE_FINAL_TYPE(WeModelList, we_model_list, GTK_TYPE_WIDGET)

static guint chosen_signal;

/* ---- looking, in threads ---- */

struct model {
    char *title, *facts, *name, *path; /* path NULL: `name` is an address */
};

struct look {
    struct we_configuration *configuration;
    bool at_servers;
    guint number;
    GPtrArray *models;
    const char *server; /* that is being asked */
    const char *address;
};

static void free_model(gpointer data)
{
    struct model *model = data;
    g_free(model->title);
    g_free(model->facts);
    g_free(model->name);
    g_free(model->path);
    g_free(model);
}

static void free_look(gpointer data)
{
    struct look *look = data;
    we_configuration_unref(look->configuration);
    g_ptr_array_unref(look->models);
    g_free(look);
}

/* "4.5 bits · 76 MB · needs 212 MB"; what cannot be run says why. */
static char *facts_of(const struct we_store_entry *entry, const struct we_model_options *options)
{
    struct we_model_summary *summary;
    struct we_error error;
    char size[24], memory[24];
    we_bytes_text(entry->bytes, size);
    if (!entry->complete)
        return g_strdup_printf(_("%s · not complete"), size);
    if (we_model_summary_open_as(entry->path, options, &summary, &error) != WE_OK)
        return g_strdup_printf(_("%s · cannot be used: %s"), size, error.message);
    const struct we_model_facts *facts = we_model_summary_facts(summary);
    char *text =
        facts->has_chat_template && facts->has_tokenizer
            ? g_strdup_printf(_("%.1f bits · %s · needs %s of memory"), facts->bits_per_weight, size,
                              we_bytes_text(we_model_summary_memory(summary, MIN(CONTEXT, facts->context_length)), memory))
            : g_strdup_printf(_("%s · has no chat template"), size);
    we_model_summary_close(summary);
    return text;
}

static bool add_entry(void *context, const struct we_store_entry *entry)
{
    struct look *look = context;
    struct we_model_options options;
    struct model *model = g_new0(struct model, 1);
    we_model_options_init(&options);
    we_settings_model_options(look->configuration->settings, &options);
    options.max_sequences = 1;
    const char *slash = strrchr(entry->name, '/');
    model->title = g_strdup(slash ? slash + 1 : entry->name);
    model->facts = facts_of(entry, &options);
    model->name = g_strdup(entry->name);
    model->path = g_strdup(entry->path);
    g_ptr_array_add(look->models, model);
    return true;
}

static bool add_name(void *context, const char *name)
{
    struct look *look = context;
    if (strstr(name, "embed"))
        return true; /* for search, not for chat */
    struct model *model = g_new0(struct model, 1);
    model->title = g_strdup(name);
    model->facts = g_strdup_printf("%s · %s", look->server, look->address);
    model->name = g_strdup_printf("%.*s#%s", (int)strcspn(look->address, "#"), look->address, name);
    g_ptr_array_add(look->models, model);
    return true;
}

static void ask_servers(struct look *look)
{
    static const struct {
        const char *name;
        enum we_setting_id address;
    } servers[] = {
        {"LM Studio", WE_SETTING_LM_STUDIO_URL}, {"Ollama", WE_SETTING_OLLAMA_URL}, {N_("Server"), WE_SETTING_REMOTE_URL}};
    const struct we_settings *settings = look->configuration->settings;
    for (size_t i = 0; i < G_N_ELEMENTS(servers); i++) {
        struct we_model_options options;
        struct we_error ignored;
        const char *address = we_settings_text(settings, servers[i].address);
        if (address == NULL || address[0] == '\0')
            continue;
        g_autofree char *plain = g_strndup(address, strcspn(address, "#"));
        look->server = _(servers[i].name);
        look->address = plain;
        we_model_options_init(&options);
        we_settings_model_options(settings, &options);
        we_settings_endpoint_options(settings, plain, &options);
        options.connection_timeout = options.request_timeout = PATIENCE;
        we_endpoint_models(plain, &options, add_name, look, &ignored);
    }
}

static void run_look(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    (void)source;
    (void)cancellable;
    struct look *look = data;
    struct we_error ignored;
    if (look->at_servers)
        ask_servers(look);
    else
        we_store_list(we_settings_text(look->configuration->settings, WE_SETTING_MODELS_DIR), add_entry, look, &ignored);
    g_task_return_boolean(task, TRUE);
}

/* ---- showing ---- */

static const char MODEL[] = "model";

static bool is_current(WeModelList *list, const struct model *model)
{
    const struct we_engine_model *open = we_engine_model(we_application_engine(list->application));
    if (open == NULL)
        return false;
    return model->path ? strcmp(open->path, model->path) == 0 : strcmp(open->path, model->name) == 0;
}

static GtkWidget *make_row(WeModelList *list, struct model *model)
{
    GtkWidget *row = adw_action_row_new();
    g_autofree char *title = g_markup_escape_text(model->title, -1), *facts = g_markup_escape_text(model->facts, -1);
    adw_preferences_row_set_title(ADW_PREFERENCES_ROW(row), title);
    adw_action_row_set_subtitle(ADW_ACTION_ROW(row), facts);
    adw_action_row_set_subtitle_lines(ADW_ACTION_ROW(row), 2);
    gtk_list_box_row_set_activatable(GTK_LIST_BOX_ROW(row), TRUE);
    gtk_widget_set_tooltip_text(row, model->path ? model->path : model->name);
    if (is_current(list, model)) {
        GtkWidget *mark = gtk_image_new_from_icon_name("object-select-symbolic");
        we_name(mark, _("In use"));
        adw_action_row_add_suffix(ADW_ACTION_ROW(row), mark);
    }
    g_object_set_data_full(G_OBJECT(row), MODEL, model, free_model);
    return row;
}

static void fill(WeModelList *list, GtkWidget *box, GtkWidget *nothing, GPtrArray *models)
{
    GtkListBoxRow *row;
    while ((row = gtk_list_box_get_row_at_index(GTK_LIST_BOX(box), 0)))
        gtk_list_box_remove(GTK_LIST_BOX(box), GTK_WIDGET(row));
    for (guint i = 0; i < models->len; i++)
        gtk_list_box_append(GTK_LIST_BOX(box), make_row(list, models->pdata[i]));
    gtk_widget_set_visible(box, models->len > 0);
    gtk_widget_set_visible(nothing, models->len == 0);
    g_ptr_array_set_free_func(models, NULL); /* the rows have them */
}

static void on_looked(GObject *source, GAsyncResult *result, gpointer data)
{
    (void)data;
    WeModelList *list = WE_MODEL_LIST(source);
    struct look *look = g_task_get_task_data(G_TASK(result));
    if (look->number != list->looks || list->box == NULL)
        return;
    if (look->at_servers) {
        fill(list, list->servers, list->no_servers, look->models);
        gtk_spinner_stop(GTK_SPINNER(list->spinner));
    } else {
        fill(list, list->here, list->nothing_here, look->models);
    }
}

static void begin_look(WeModelList *list, bool at_servers)
{
    struct look *look = g_new0(struct look, 1);
    look->configuration = we_configuration_ref(we_application_configuration(list->application));
    look->at_servers = at_servers;
    look->number = list->looks;
    look->models = g_ptr_array_new_with_free_func(free_model);
    GTask *task = g_task_new(list, NULL, on_looked, NULL);
    g_task_set_task_data(task, look, free_look);
    g_task_run_in_thread(task, run_look);
    g_object_unref(task);
}

void we_model_list_refresh(WeModelList *list)
{
    list->looks++;
    gtk_spinner_start(GTK_SPINNER(list->spinner));
    begin_look(list, false);
    begin_look(list, true);
}

static void on_activated(WeModelList *list, GtkListBoxRow *row)
{
    const struct model *model = g_object_get_data(G_OBJECT(row), MODEL);
    we_application_use_model(list->application, model->name, model->path);
    g_signal_emit(list, chosen_signal, 0);
}

/* ---- its parts ---- */

static void dispose(GObject *object)
{
    g_clear_pointer(&WE_MODEL_LIST(object)->box, gtk_widget_unparent);
    G_OBJECT_CLASS(we_model_list_parent_class)->dispose(object);
}

static void we_model_list_class_init(WeModelListClass *klass)
{
    G_OBJECT_CLASS(klass)->dispose = dispose;
    gtk_widget_class_set_layout_manager_type(GTK_WIDGET_CLASS(klass), GTK_TYPE_BIN_LAYOUT);
    chosen_signal = g_signal_new("chosen", WE_TYPE_MODEL_LIST, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static GtkWidget *add_heading(WeModelList *list, const char *text)
{
    GtkWidget *line = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6), *label = gtk_label_new(text);
    gtk_widget_add_css_class(label, "heading");
    gtk_box_append(GTK_BOX(line), label);
    gtk_box_append(GTK_BOX(list->box), line);
    return line;
}

static void add_list(WeModelList *list, GtkWidget **box, GtkWidget **nothing, const char *name, const char *text)
{
    *box = gtk_list_box_new();
    gtk_list_box_set_selection_mode(GTK_LIST_BOX(*box), GTK_SELECTION_NONE);
    gtk_widget_add_css_class(*box, "boxed-list");
    we_name(*box, name);
    gtk_widget_set_visible(*box, FALSE);
    g_signal_connect_swapped(*box, "row-activated", G_CALLBACK(on_activated), list);
    *nothing = gtk_label_new(text);
    gtk_label_set_wrap(GTK_LABEL(*nothing), TRUE);
    gtk_label_set_max_width_chars(GTK_LABEL(*nothing), 40);
    gtk_label_set_xalign(GTK_LABEL(*nothing), 0);
    gtk_widget_add_css_class(*nothing, "dim-label");
    gtk_widget_set_visible(*nothing, FALSE);
    gtk_box_append(GTK_BOX(list->box), *box);
    gtk_box_append(GTK_BOX(list->box), *nothing);
}

GtkWidget *we_model_list_new(WeApplication *application)
{
    WeModelList *list = g_object_new(WE_TYPE_MODEL_LIST, NULL);
    list->application = application;
    list->box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 8);
    gtk_widget_set_parent(list->box, GTK_WIDGET(list));
    add_heading(list, _("On this computer"));
    add_list(list, &list->here, &list->nothing_here, _("Models on this computer"),
             _("There is no model yet. In a terminal, “whisperengine pull ORG/NAME” fetches one."));
    GtkWidget *line = add_heading(list, _("On servers"));
    gtk_widget_set_margin_top(line, 6);
    list->spinner = gtk_spinner_new();
    gtk_box_append(GTK_BOX(line), list->spinner);
    add_list(list, &list->servers, &list->no_servers, _("Models on servers"),
             _("No server answers. Their addresses are in the preferences."));
    return GTK_WIDGET(list);
}

static void we_model_list_init(WeModelList *list)
{
    (void)list;
}
