#include "endpoint_test.h"

#include "widgets.h"

#include <glib/gi18n.h>
#include <string.h>
#include <whisperengine_tools.h>

static const double PATIENCE = 5; /* seconds */

struct asking {
    struct we_configuration *configuration;
    char *address;
    GString *names;
    guint count;
    we_status status;
    struct we_error error;
};

static void free_asking(gpointer data)
{
    struct asking *asking = data;
    we_configuration_unref(asking->configuration);
    g_free(asking->address);
    g_string_free(asking->names, TRUE);
    g_free(asking);
}

static bool take_name(void *context, const char *name)
{
    enum { MOST_NAMES = 12 };
    struct asking *asking = context;
    if (asking->count++ < MOST_NAMES)
        g_string_append_printf(asking->names, "%s%s", asking->names->len ? "\n" : "", name);
    return true;
}

static void ask(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    (void)source;
    (void)cancellable;
    struct asking *asking = data;
    struct we_model_options options;
    we_model_options_init(&options);
    we_settings_model_options(asking->configuration->settings, &options);
    we_settings_endpoint_options(asking->configuration->settings, asking->address, &options);
    options.connection_timeout = options.request_timeout = PATIENCE;
    asking->status = we_endpoint_models(asking->address, &options, take_name, asking, &asking->error);
    g_task_return_boolean(task, TRUE);
}

static void on_answered(GObject *source, GAsyncResult *result, gpointer data)
{
    (void)data;
    struct asking *asking = g_task_get_task_data(G_TASK(result));
    if (gtk_widget_get_root(GTK_WIDGET(source)) == NULL)
        return; /* the window was closed meanwhile */
    if (asking->status != WE_OK) {
        we_tell(GTK_WIDGET(source), _("The server does not answer"), asking->error.message);
        return;
    }
    g_autofree char *heading = g_strdup_printf(
        ngettext("The server answers, and has %u model", "The server answers, and has %u models", asking->count),
        asking->count);
    we_tell(GTK_WIDGET(source), heading, asking->names->str);
}

void we_endpoint_test(GtkWidget *widget, struct we_configuration *configuration, const char *address)
{
    if (address == NULL || address[0] == '\0')
        return;
    struct asking *asking = g_new0(struct asking, 1);
    asking->configuration = we_configuration_ref(configuration);
    asking->address = g_strndup(address, strcspn(address, "#"));
    asking->names = g_string_new(NULL);
    GTask *task = g_task_new(widget, NULL, on_answered, NULL);
    g_task_set_task_data(task, asking, free_asking);
    g_task_run_in_thread(task, ask);
    g_object_unref(task);
}
