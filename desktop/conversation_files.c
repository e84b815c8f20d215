#include "conversation_files.h"

#include "base/fs.h"

#include <glib/gi18n.h>

enum { LARGEST_FILE = 1 << 30 };

struct work {
    struct we_conversations *store;
    bool imports;
    int64_t id;
    enum we_export_format format;
    char *path;
    we_files_fn *done;
    gpointer context;
    we_status status;
    struct we_error error;
    struct we_import imported;
};

static guint under_way; /* of the main loop */

static void free_work(gpointer data)
{
    struct work *work = data;
    g_free(work->path);
    g_free(work);
}

static void export(struct work *work)
{
    struct we_buf out = {0};
    if (work->format == WE_EXPORT_MARKDOWN)
        work->status = we_conversations_export_markdown(work->store, work->id, &out, &work->error);
    else
        work->status =
            we_conversations_export_json(work->store, work->id ? &work->id : NULL, work->id ? 1 : 0, &out, &work->error);
    if (work->status == WE_OK && out.failed)
        work->status = we_error_memory(&work->error, "an export");
    if (work->status == WE_OK)
        work->status = we_file_write(work->path, we_buf_str(&out), &work->error);
    we_buf_free(&out);
}

static void import(struct work *work)
{
    struct we_buf text = {0};
    work->status = we_file_read(work->path, LARGEST_FILE, &text, &work->error);
    if (work->status == WE_OK)
        work->status = we_conversations_import(work->store, we_buf_str(&text), we_path_base(work->path), NULL, NULL,
                                               &work->imported, &work->error);
    we_buf_free(&text);
}

static void run(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    (void)source;
    (void)cancellable;
    struct work *work = data;
    if (work->imports)
        import(work);
    else
        export(work);
    g_task_return_boolean(task, TRUE);
}

static void on_done(GObject *source, GAsyncResult *result, gpointer data)
{
    (void)source;
    (void)data;
    struct work *work = g_task_get_task_data(G_TASK(result));
    g_autofree char *text = NULL;
    under_way--;
    if (work->status != WE_OK)
        text = g_strdup(work->error.message);
    else if (work->imports)
        text = g_strdup_printf(
            ngettext("%zu conversation was imported", "%zu conversations were imported", work->imported.num_conversations),
            work->imported.num_conversations);
    else
        text = g_strdup_printf(_("Exported to %s"), we_path_base(work->path));
    work->done(work->context, work->status, text, work->imports ? work->imported.newest : 0);
}

static void begin(struct work *work)
{
    GTask *task = g_task_new(NULL, NULL, on_done, NULL);
    g_task_set_task_data(task, work, free_work);
    under_way++;
    g_task_run_in_thread(task, run);
    g_object_unref(task);
}

void we_conversation_export(struct we_conversations *store, int64_t id, enum we_export_format format, const char *path,
                            we_files_fn *done, gpointer context)
{
    struct work *work = g_new0(struct work, 1);
    *work = (struct work){.store = store, .id = id, .format = format, .path = g_strdup(path), .done = done, .context = context};
    begin(work);
}

void we_conversation_import(struct we_conversations *store, const char *path, we_files_fn *done, gpointer context)
{
    struct work *work = g_new0(struct work, 1);
    *work = (struct work){.store = store, .imports = true, .path = g_strdup(path), .done = done, .context = context};
    begin(work);
}

void we_conversation_files_finish(void)
{
    while (under_way)
        g_main_context_iteration(NULL, TRUE);
}

/* ---- asking ---- */

static void on_response(GtkNativeDialog *dialog, int response, gpointer data)
{
    struct work *work = data;
    g_autoptr(GFile) file = response == GTK_RESPONSE_ACCEPT ? gtk_file_chooser_get_file(GTK_FILE_CHOOSER(dialog)) : NULL;
    work->path = file ? g_file_get_path(file) : NULL;
    if (work->path)
        begin(work);
    else
        free_work(work);
    g_object_unref(dialog);
}

static void add_filter(GtkFileChooser *chooser, const char *name, const char *pattern)
{
    g_autoptr(GtkFileFilter) filter = gtk_file_filter_new();
    gtk_file_filter_set_name(filter, name);
    gtk_file_filter_add_pattern(filter, pattern);
    gtk_file_chooser_add_filter(chooser, filter);
}

static void ask(GtkWindow *parent, struct work *work, const char *heading, const char *accept, const char *name)
{
    GtkFileChooserAction action = work->imports ? GTK_FILE_CHOOSER_ACTION_OPEN : GTK_FILE_CHOOSER_ACTION_SAVE;
    GtkFileChooserNative *dialog = gtk_file_chooser_native_new(heading, parent, action, accept, _("_Cancel"));
    if (work->imports || work->format == WE_EXPORT_JSON)
        add_filter(GTK_FILE_CHOOSER(dialog), _("JSON"), "*.json");
    else
        add_filter(GTK_FILE_CHOOSER(dialog), _("Markdown"), "*.md");
    if (name)
        gtk_file_chooser_set_current_name(GTK_FILE_CHOOSER(dialog), name);
    gtk_native_dialog_set_modal(GTK_NATIVE_DIALOG(dialog), TRUE);
    g_signal_connect(dialog, "response", G_CALLBACK(on_response), work);
    gtk_native_dialog_show(GTK_NATIVE_DIALOG(dialog));
}

/* A title as the name of a file. */
static char *file_name(const char *title, const char *ending)
{
    g_autofree char *name = g_strdup(title && title[0] ? title : _("Conversations"));
    for (char *p = name; *p; p++)
        if (*p == '/' || (unsigned char)*p < ' ')
            *p = '-';
    while (name[0] == '.')
        name[0] = '-';
    return g_strdup_printf("%s%s", name, ending);
}

void we_conversation_ask_export(GtkWindow *parent, struct we_conversations *store, int64_t id, const char *title,
                                enum we_export_format format, we_files_fn *done, gpointer context)
{
    struct work *work = g_new0(struct work, 1);
    *work = (struct work){.store = store, .id = id, .format = format, .done = done, .context = context};
    g_autofree char *name = file_name(title, format == WE_EXPORT_JSON ? ".json" : ".md");
    ask(parent, work, _("Export"), _("_Export"), name);
}

void we_conversation_ask_import(GtkWindow *parent, struct we_conversations *store, we_files_fn *done, gpointer context)
{
    struct work *work = g_new0(struct work, 1);
    *work = (struct work){.store = store, .imports = true, .done = done, .context = context};
    ask(parent, work, _("Import"), _("_Import"), NULL);
}
