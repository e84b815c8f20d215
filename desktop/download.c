#include "download.h"

#include "log.h"
#include "widgets.h"

#include "base/str.h"
#include "client/hub_token.h"

#include <glib/gi18n.h>
#include <stdlib.h>
#include <string.h>
#include <whisperengine_tools.h>

enum { SHOW_MS = 150 };

enum state { WAITING, RUNNING, STOPPING, PAUSED, FAILED, DONE };

/* Shared with the thread. */
struct work {
    gatomicrefcount references;
    struct we_configuration *configuration;
    char *name;
    bool check;
    gint stop;   /* atomic */
    GMutex lock; /* of what follows */
    uint64_t done, total;
    char what[32];
    we_status status;
    struct we_error error;
    struct we_pull_result result;
};

struct _WeDownload {
    GtkListBoxRow parent;
    struct work *work;
    enum state state;
    bool cancelled; /* what is being stopped is to be removed */
    gint64 began;
    uint64_t began_at; /* bytes */
    guint timer;
    GtkWidget *title, *bar, *text, *pause, *cancel;
};

G_DEFINE_FINAL_TYPE(WeDownload, we_download, GTK_TYPE_LIST_BOX_ROW)

static guint changed_signal, over_signal;

static void work_unref(gpointer data)
{
    struct work *work = data;
    if (!g_atomic_ref_count_dec(&work->references))
        return;
    we_configuration_unref(work->configuration);
    we_pull_result_clear(&work->result);
    g_mutex_clear(&work->lock);
    g_free(work->name);
    g_free(work);
}

static struct work *work_ref(struct work *work)
{
    g_atomic_ref_count_inc(&work->references);
    return work;
}

/* ---- in the thread ---- */

static bool on_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
    struct work *work = context;
    g_mutex_lock(&work->lock);
    work->done = done;
    work->total = total;
    g_strlcpy(work->what, what, sizeof work->what);
    g_mutex_unlock(&work->lock);
    return !g_atomic_int_get(&work->stop);
}

static void on_note(void *context, const char *text)
{
    struct work *work = context;
    we_log(WE_LOG_INFO, "hub", "%s: %s", work->name, text);
}

static void pull(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    (void)source;
    (void)cancellable;
    struct work *work = data;
    const struct we_settings *settings = work->configuration->settings;
    char *token = we_hub_token(settings);
    const struct we_pull_options options = {
        .models_dir = we_settings_text(settings, WE_SETTING_MODELS_DIR),
        .endpoint = we_settings_text(settings, WE_SETTING_HF_ENDPOINT),
        .token = token,
        .offline = we_settings_integer(settings, WE_SETTING_HF_HUB_OFFLINE) != 0,
        .check = work->check,
        .on_progress = on_progress,
        .on_note = on_note,
        .context = work,
    };
    work->status = we_pull(work->name, &options, &work->result, &work->error);
    free(token);
    g_task_return_boolean(task, TRUE);
}

static void remove_partial(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    (void)source;
    (void)cancellable;
    struct work *work = data;
    uint64_t freed;
    we_store_remove(we_settings_text(work->configuration->settings, WE_SETTING_MODELS_DIR), work->name, &freed, NULL);
    g_task_return_boolean(task, TRUE);
}

/* ---- the row ---- */

static void show(WeDownload *d)
{
    static const struct {
        const char *icon, *name;
    } buttons[] = {{"media-playback-pause-symbolic", N_("Pause")}, {"media-playback-start-symbolic", N_("Resume")}};
    bool may_go_on = d->state == PAUSED || d->state == FAILED;
    gtk_button_set_icon_name(GTK_BUTTON(d->pause), buttons[may_go_on].icon);
    gtk_widget_set_tooltip_text(d->pause, _(buttons[may_go_on].name));
    we_name(d->pause, _(buttons[may_go_on].name));
    gtk_widget_set_visible(d->pause, d->state != DONE && !(d->work->check && d->state != FAILED));
    gtk_widget_set_sensitive(d->pause, d->state != STOPPING);
    gtk_widget_set_sensitive(d->cancel, d->state != STOPPING);
    const char *close = d->state == DONE || (d->state == FAILED && d->work->check) ? _("Close") : _("Cancel");
    gtk_widget_set_tooltip_text(d->cancel, close);
    we_name(d->cancel, close);
    gtk_widget_set_visible(d->bar, d->state != DONE && d->state != FAILED);
}

static void show_progress(WeDownload *d)
{
    char done_text[24], total_text[24], rate_text[24];
    g_mutex_lock(&d->work->lock);
    uint64_t done = d->work->done, total = d->work->total;
    g_mutex_unlock(&d->work->lock);
    if (total == 0) {
        gtk_progress_bar_pulse(GTK_PROGRESS_BAR(d->bar));
        gtk_label_set_text(GTK_LABEL(d->text), d->work->check ? _("Looking at the files") : _("Asking the Hub"));
        return;
    }
    double seconds = (double)(g_get_monotonic_time() - d->began) / G_USEC_PER_SEC;
    if (d->began == 0) {
        d->began = g_get_monotonic_time();
        d->began_at = done;
        seconds = 0;
    }
    double rate = seconds > 0.5 && done > d->began_at ? (double)(done - d->began_at) / seconds : 0;
    we_bytes_text(done, done_text);
    we_bytes_text(total, total_text);
    we_bytes_text((uint64_t)rate, rate_text);
    g_autofree char *text = rate > 0 && !d->work->check
                                ? g_strdup_printf(_("%s of %s \xC2\xB7 %s/s"), done_text, total_text, rate_text)
                                : g_strdup_printf(_("%s of %s"), done_text, total_text);
    gtk_label_set_text(GTK_LABEL(d->text), text);
    gtk_progress_bar_set_fraction(GTK_PROGRESS_BAR(d->bar), (double)done / (double)total);
}

static gboolean on_timer(gpointer data)
{
    show_progress(data);
    return G_SOURCE_CONTINUE;
}

static void show_result(WeDownload *d)
{
    const struct we_pull_result *r = &d->work->result;
    char bytes[24];
    g_autofree char *text = NULL;
    we_bytes_text(r->fetched_bytes, bytes);
    if (d->state == FAILED)
        text = g_strdup(d->work->error.message);
    else if (d->state == PAUSED)
        text = g_strdup(_("Paused; what was fetched is kept"));
    else if (r->outcome == WE_PULL_VERIFIED)
        text = g_strdup_printf(ngettext("%u file is as the Hub has it", "%u files are as the Hub has them", r->num_files),
                               r->num_files);
    else if (r->outcome == WE_PULL_REPAIRED)
        text = g_strdup_printf(
            ngettext("%u file was broken, and is repaired", "%u files were broken, and are repaired", r->num_broken),
            r->num_broken);
    else if (r->outcome == WE_PULL_FETCHED)
        text = g_strdup_printf(_("Downloaded, %s"), bytes);
    else
        text = g_strdup(_("It is on this computer already"));
    gtk_label_set_text(GTK_LABEL(d->text), text);
    if (d->state == FAILED)
        gtk_widget_add_css_class(d->text, "error");
    else
        gtk_widget_remove_css_class(d->text, "error");
}

static void on_removed(GObject *source, GAsyncResult *result, gpointer data)
{
    (void)result;
    (void)data;
    g_signal_emit(source, changed_signal, 0);
    g_signal_emit(source, over_signal, 0);
}

static void remove_what_was_fetched(WeDownload *d)
{
    GTask *task = g_task_new(d, NULL, on_removed, NULL);
    g_task_set_task_data(task, work_ref(d->work), work_unref);
    g_task_run_in_thread(task, remove_partial);
    g_object_unref(task);
}

static void on_pulled(GObject *source, GAsyncResult *result, gpointer data)
{
    (void)result;
    (void)data;
    WeDownload *d = WE_DOWNLOAD(source);
    g_clear_handle_id(&d->timer, g_source_remove);
    if (d->bar == NULL) /* the window is gone */
        return;
    d->state = d->work->status == WE_OK ? DONE : d->work->status == WE_CANCELLED ? PAUSED : FAILED;
    we_log(d->state == FAILED ? WE_LOG_ERROR : WE_LOG_INFO, "hub", "%s: %s", d->work->name,
           d->state == FAILED ? d->work->error.message
           : d->state == DONE ? "all is there"
                              : "stopped");
    if (d->cancelled && d->state != DONE) {
        if (d->work->check)
            g_signal_emit(d, over_signal, 0);
        else
            remove_what_was_fetched(d);
        return;
    }
    show_result(d);
    show(d);
    g_signal_emit(d, changed_signal, 0);
}

const char *we_download_name(WeDownload *d)
{
    return d->work->name;
}

void we_download_start(WeDownload *d)
{
    if (d->state == RUNNING || d->state == STOPPING)
        return;
    we_pull_result_clear(&d->work->result);
    d->work->done = d->work->total = 0;
    d->began = 0;
    g_atomic_int_set(&d->work->stop, 0);
    d->state = RUNNING;
    gtk_widget_remove_css_class(d->text, "error");
    d->timer = g_timeout_add(SHOW_MS, on_timer, d);
    show_progress(d);
    show(d);
    GTask *task = g_task_new(d, NULL, on_pulled, NULL);
    g_task_set_task_data(task, work_ref(d->work), work_unref);
    g_task_run_in_thread(task, pull);
    g_object_unref(task);
}

void we_download_pause(WeDownload *d)
{
    if (d->state != RUNNING)
        return;
    g_atomic_int_set(&d->work->stop, 1);
    d->state = STOPPING;
    show(d);
}

void we_download_cancel(WeDownload *d)
{
    d->cancelled = true;
    if (d->state == RUNNING)
        we_download_pause(d);
    else if (d->state == DONE || d->work->check)
        g_signal_emit(d, over_signal, 0);
    else if (d->state != STOPPING)
        remove_what_was_fetched(d);
}

static void on_pause(WeDownload *d)
{
    if (d->state == RUNNING)
        we_download_pause(d);
    else
        we_download_start(d);
}

static void dispose(GObject *object)
{
    WeDownload *d = WE_DOWNLOAD(object);
    if (d->work)
        g_atomic_int_set(&d->work->stop, 1);
    g_clear_handle_id(&d->timer, g_source_remove);
    d->bar = NULL;
    G_OBJECT_CLASS(we_download_parent_class)->dispose(object);
}

static void finalize(GObject *object)
{
    work_unref(WE_DOWNLOAD(object)->work);
    G_OBJECT_CLASS(we_download_parent_class)->finalize(object);
}

static void we_download_class_init(WeDownloadClass *class)
{
    G_OBJECT_CLASS(class)->dispose = dispose;
    G_OBJECT_CLASS(class)->finalize = finalize;
    changed_signal = g_signal_new("changed", WE_TYPE_DOWNLOAD, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
    over_signal = g_signal_new("over", WE_TYPE_DOWNLOAD, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void we_download_init(WeDownload *d)
{
    GtkWidget *row = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6), *column = gtk_box_new(GTK_ORIENTATION_VERTICAL, 6);
    gtk_list_box_row_set_activatable(GTK_LIST_BOX_ROW(d), FALSE);
    gtk_widget_set_margin_start(row, 12);
    gtk_widget_set_margin_end(row, 6);
    gtk_widget_set_margin_top(row, 10);
    gtk_widget_set_margin_bottom(row, 10);
    gtk_widget_set_hexpand(column, TRUE);
    d->title = gtk_label_new(NULL);
    gtk_label_set_xalign(GTK_LABEL(d->title), 0);
    gtk_label_set_ellipsize(GTK_LABEL(d->title), PANGO_ELLIPSIZE_MIDDLE);
    d->bar = gtk_progress_bar_new();
    d->text = we_text_label("");
    gtk_widget_add_css_class(d->text, "caption");
    gtk_widget_add_css_class(d->text, "numeric");
    d->pause = we_icon_button("media-playback-pause-symbolic", _("Pause"));
    d->cancel = we_icon_button("window-close-symbolic", _("Cancel"));
    gtk_widget_set_valign(d->pause, GTK_ALIGN_CENTER);
    gtk_widget_set_valign(d->cancel, GTK_ALIGN_CENTER);
    gtk_box_append(GTK_BOX(column), d->title);
    gtk_box_append(GTK_BOX(column), d->bar);
    gtk_box_append(GTK_BOX(column), d->text);
    gtk_box_append(GTK_BOX(row), column);
    gtk_box_append(GTK_BOX(row), d->pause);
    gtk_box_append(GTK_BOX(row), d->cancel);
    gtk_list_box_row_set_child(GTK_LIST_BOX_ROW(d), row);
    g_signal_connect_swapped(d->pause, "clicked", G_CALLBACK(on_pause), d);
    g_signal_connect_swapped(d->cancel, "clicked", G_CALLBACK(we_download_cancel), d);
}

GtkWidget *we_download_new(struct we_configuration *configuration, const char *name, bool check)
{
    WeDownload *d = g_object_new(WE_TYPE_DOWNLOAD, NULL);
    d->work = g_new0(struct work, 1);
    g_atomic_ref_count_init(&d->work->references);
    g_mutex_init(&d->work->lock);
    d->work->configuration = we_configuration_ref(configuration);
    d->work->name = g_strdup(name);
    d->work->check = check;
    gtk_label_set_text(GTK_LABEL(d->title), name);
    show(d);
    return GTK_WIDGET(d);
}
