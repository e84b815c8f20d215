#include "configuration.h"

#include "base/fs.h"
#include "client/models.h"
#include "config/env_update.h"
#include "config/profiles.h"

#include <gio/gio.h>
#include <stdlib.h>

struct we_configuration *we_configuration_open(const char *file, struct we_error *error)
{
    struct we_configuration *configuration = g_new0(struct we_configuration, 1);
    g_atomic_ref_count_init(&configuration->references);
    if (we_settings_open_anyway(file, &configuration->settings, &configuration->problem, error) != WE_OK) {
        g_free(configuration);
        return NULL;
    }
    if (configuration->problem.status == WE_OK)
        we_settings_check(configuration->settings, &configuration->problem);
    return configuration;
}

struct we_configuration *we_configuration_ref(struct we_configuration *configuration)
{
    g_atomic_ref_count_inc(&configuration->references);
    return configuration;
}

void we_configuration_unref(struct we_configuration *configuration)
{
    if (configuration == NULL || !g_atomic_ref_count_dec(&configuration->references))
        return;
    we_settings_free(configuration->settings);
    g_free(configuration);
}

/* ---- changes ---- */

struct change {
    struct we_configuration *configuration;
    struct we_env_change changes[WE_PROFILE_MOST_CHANGES];
    size_t count;
    char *model, *path; /* we_configuration_use_model */
    we_configuration_fn *done;
    gpointer context;
    struct we_configuration *changed;
    we_status status;
    struct we_error error;
};

/* The main loop's: one is under way at a time, so that they come in the order of the calls. */
static GQueue waiting = G_QUEUE_INIT;
static bool under_way;

static void free_change(gpointer data)
{
    struct change *change = data;
    for (size_t i = 0; i < change->count; i++) {
        g_free((char *)change->changes[i].name);
        g_free((char *)change->changes[i].value);
    }
    g_free(change->model);
    g_free(change->path);
    we_configuration_unref(change->configuration);
    we_configuration_unref(change->changed);
    g_free(change);
}

/* What is written for a model. The list lives in the arena. */
static we_status changes_for_model(struct change *change, const struct we_settings *settings, struct we_arena *arena,
                                   struct we_env_change *list, size_t *count)
{
    const char *model = change->model;
    if (change->path) {
        char *lasting = we_model_lasting_name(settings, change->model, change->path);
        model = lasting ? we_arena_copy(arena, we_str_c(lasting)) : NULL;
        free(lasting);
    }
    return model && we_profile_changes(settings, model, arena, list, count) ? WE_OK
                                                                            : we_error_memory(&change->error, "the settings");
}

static void write_change(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    (void)source;
    (void)cancellable;
    struct change *change = data;
    struct we_env_updated done = {0};
    struct we_arena arena = {0};
    struct we_env_change of_model[WE_PROFILE_MOST_CHANGES], *list = change->changes;
    size_t count = change->count;
    char *file = NULL;
    /* What .env says by now: another change may have come before. */
    struct we_configuration *now = we_configuration_open(NULL, &change->error);
    change->status = now ? we_settings_file_to_write(now->settings, &file, &change->error) : WE_OUT_OF_MEMORY;
    if (change->status == WE_OK && change->model) {
        change->status = changes_for_model(change, now->settings, &arena, of_model, &count);
        list = of_model;
    }
    char *folder = change->status == WE_OK ? g_path_get_dirname(file) : NULL;
    if (folder)
        change->status = we_make_directories(folder, &change->error);
    if (change->status == WE_OK)
        change->status = we_env_update(file, list, count, &done, &change->error);
    if (change->status == WE_OK && (change->changed = we_configuration_open(NULL, &change->error)) == NULL)
        change->status = WE_OUT_OF_MEMORY;
    we_configuration_unref(now);
    we_env_updated_clear(&done);
    we_arena_free(&arena);
    g_free(folder);
    free(file);
    g_task_return_boolean(task, TRUE);
}

static void begin_next(void);

static void on_written(GObject *source, GAsyncResult *result, gpointer data)
{
    (void)source;
    (void)data;
    struct change *change = g_task_get_task_data(G_TASK(result));
    under_way = false;
    begin_next();
    change->done(change->context, change->status == WE_OK ? we_configuration_ref(change->changed) : NULL,
                 change->status == WE_OK ? NULL : &change->error);
}

static void begin_next(void)
{
    struct change *change = under_way ? NULL : g_queue_pop_head(&waiting);
    if (change == NULL)
        return;
    GTask *task = g_task_new(NULL, NULL, on_written, NULL);
    g_task_set_task_data(task, change, free_change);
    under_way = true;
    g_task_run_in_thread(task, write_change);
    g_object_unref(task);
}

static void begin_change(struct change *change)
{
    g_queue_push_tail(&waiting, change);
    begin_next();
}

static struct change *new_change(struct we_configuration *configuration, we_configuration_fn *done, gpointer context)
{
    struct change *change = g_new0(struct change, 1);
    change->configuration = we_configuration_ref(configuration);
    change->done = done;
    change->context = context;
    return change;
}

void we_configuration_change(struct we_configuration *configuration, const struct we_env_change *changes, size_t count,
                             we_configuration_fn *done, gpointer context)
{
    struct change *change = new_change(configuration, done, context);
    change->count = MIN(count, G_N_ELEMENTS(change->changes));
    for (size_t i = 0; i < change->count; i++)
        change->changes[i] = (struct we_env_change){g_strdup(changes[i].name), g_strdup(changes[i].value)};
    begin_change(change);
}

void we_configuration_use_model(struct we_configuration *configuration, const char *model, const char *path,
                                we_configuration_fn *done, gpointer context)
{
    struct change *change = new_change(configuration, done, context);
    change->model = g_strdup(model);
    change->path = g_strdup(path);
    begin_change(change);
}

void we_configuration_finish(void)
{
    while (under_way)
        g_main_context_iteration(NULL, TRUE);
}
