#include "engine.h"

#include "base/buf.h"
#include "base/system.h"
#include "client/fallback.h"
#include "client/models.h"
#include "client/rates.h"
#include "config/profiles.h"

#include <glib/gi18n.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    FRAME_MS = 16,     /* text reaches the main loop this often at most */
    STOP_AGAIN_MS = 50 /* a stop that came before the engine began is said again */
};

/* ---- what the two sides share ---- */

enum job_kind { JOB_LOAD, JOB_REPLY, JOB_QUIT };

struct job {
    enum job_kind kind;
    gatomicrefcount references; /* the engine's thread, the main loop, and deliveries that are on their way */
    WeEngine *engine;
    struct we_configuration *configuration;
    char *name; /* of a load; NULL: the configured one */
    /* a reply */
    struct we_turn turn;
    atomic_bool stopping;
    GMutex mutex;               /* guards what follows */
    struct we_session *session; /* while it generates */
    GString *pending;           /* text for the main loop */
    uint32_t read, total, pieces;
    double first_piece; /* we_clock */
    bool told, scheduled, ended;
    /* results, written before the end is told */
    we_status status;
    struct we_error error;
    struct we_result result;
    struct we_engine_model *model;
    bool keeps_model; /* a load that failed, but the model that was open still is */
};

struct _WeEngine {
    GObject parent;
    GThread *thread;
    GAsyncQueue *jobs;
    GMutex mutex;
    GCond quit_done;
    gboolean has_quit;
    /* the main loop's */
    enum we_engine_state state;
    struct we_engine_model *model;
    char *problem;
    struct we_configuration *configuration;
    struct job *replying;
    uint32_t loads; /* under way or waiting */
    guint stop_source;
    double rate, prompt_rate;
    /* the engine thread's */
    struct we_model *open;
};

G_DEFINE_FINAL_TYPE(WeEngine, we_engine, G_TYPE_OBJECT)

static guint changed_signal;

static void free_model(struct we_engine_model *model)
{
    if (model == NULL)
        return;
    g_free(model->name);
    g_free(model->path);
    g_free(model->device);
    g_free(model->endpoint);
    g_free(model->stands_in);
    g_free(model->wanted);
    g_free(model->reason);
    g_free(model);
}

static struct job *new_job(WeEngine *engine, enum job_kind kind)
{
    struct job *job = g_new0(struct job, 1);
    g_atomic_ref_count_init(&job->references);
    g_mutex_init(&job->mutex);
    job->kind = kind;
    job->engine = g_object_ref(engine);
    return job;
}

static void unref_job(struct job *job)
{
    if (!g_atomic_ref_count_dec(&job->references))
        return;
    we_configuration_unref(job->configuration);
    g_free(job->name);
    g_free((char *)job->turn.history);
    g_free((char *)job->turn.text);
    if (job->pending)
        g_string_free(job->pending, TRUE);
    we_result_clear(&job->result);
    free_model(job->model);
    g_mutex_clear(&job->mutex);
    g_object_unref(job->engine);
    g_free(job);
}

static struct job *ref_job(struct job *job)
{
    g_atomic_ref_count_inc(&job->references);
    return job;
}

/* ---- the engine's thread: loading ---- */

struct latest {
    char *name;
    int64_t last_used;
};

static bool look_at(void *context, const struct we_store_entry *entry)
{
    struct latest *latest = context;
    if (entry->complete && (latest->name == NULL || entry->last_used > latest->last_used)) {
        g_free(latest->name);
        latest->name = g_strdup(entry->name);
        latest->last_used = entry->last_used;
    }
    return true;
}

/* The configured model, or the installed one that was used last. */
static char *choose_model(const struct we_settings *settings, struct we_error *error)
{
    const char *configured = we_settings_text(settings, WE_SETTING_MODEL);
    struct latest latest = {0};
    if (configured && configured[0])
        return g_strdup(configured);
    if (we_store_list(we_settings_text(settings, WE_SETTING_MODELS_DIR), look_at, &latest, error) == WE_OK &&
        latest.name == NULL)
        we_error_set(error, WE_NOT_FOUND, "%s", _("There is no model on this computer yet."));
    return latest.name;
}

static struct we_engine_model *describe(const struct we_model *model, const char *wanted)
{
    const struct we_model_info *info = we_model_info(model);
    struct we_engine_model *copy = g_new0(struct we_engine_model, 1);
    copy->name = g_strdup(we_model_short_name(info->path));
    copy->path = g_strdup(info->path);
    copy->device = g_strdup(info->device);
    copy->endpoint = g_strdup(info->endpoint);
    copy->wanted = g_strdup(wanted);
    copy->weight_bytes = info->weight_bytes;
    copy->kv_position_bytes = info->kv_position_bytes;
    copy->context_length = info->context_length;
    copy->load_seconds = info->load_seconds;
    return copy;
}

static we_status open_checked(const char *name, const struct we_model_options *options, struct we_model **model,
                              struct we_error *error)
{
    we_status status = we_model_open(name, options, model, error);
    if (status == WE_OK)
        status = we_model_check_chat(*model, error);
    if (status != WE_OK) {
        we_model_close(*model);
        *model = NULL;
    }
    return status;
}

static void load(struct job *job)
{
    WeEngine *engine = job->engine;
    const struct we_settings *settings = job->configuration->settings;
    struct we_model_options options;
    struct we_model *model = NULL;
    const char *who = NULL;
    bool given = job->name != NULL;
    if (!given && (job->name = choose_model(settings, &job->error)) == NULL) {
        job->status = job->error.status;
        job->keeps_model = engine->open != NULL;
        return;
    }
    we_model_options_init(&options);
    we_settings_model_options(settings, &options);
    we_settings_endpoint_options(settings, job->name, &options);
    options.max_sequences = 1; /* the KV cache never grows beyond one context */
    job->status = open_checked(job->name, &options, &model, &job->error);
    if (job->status == WE_OUT_OF_MEMORY && engine->open) {
        /* Two do not fit side by side. */
        we_model_close(engine->open);
        engine->open = NULL;
        job->status = open_checked(job->name, &options, &model, &job->error);
    }
    char *reason = NULL;
    if (job->status != WE_OK && !given && we_may_fall_back(settings, job->name)) {
        reason = g_strndup(job->error.message, strcspn(job->error.message, "\n"));
        if (we_fall_back(settings, &options, &model, &who, &job->error))
            job->status = WE_OK;
    }
    if (job->status == WE_OK) {
        we_model_close(engine->open);
        engine->open = model;
        job->model = describe(model, job->name);
        job->model->stands_in = g_strdup(who);
        job->model->reason = who ? g_steal_pointer(&reason) : NULL;
    }
    job->keeps_model = engine->open != NULL;
    g_free(reason);
}

/* ---- the engine's thread: replies ---- */

static gboolean flush(gpointer data);

static void unref_job_of_source(gpointer data)
{
    unref_job(data);
}

/* Something waits for the main loop; the mutex is held. */
static void schedule(struct job *job, guint delay)
{
    if (job->scheduled && !job->ended)
        return;
    job->scheduled = true;
    if (delay)
        g_timeout_add_full(G_PRIORITY_DEFAULT, delay, flush, ref_job(job), unref_job_of_source);
    else
        g_idle_add_full(G_PRIORITY_DEFAULT, flush, ref_job(job), unref_job_of_source);
}

static bool on_prompt(void *context, uint32_t read, uint32_t total)
{
    struct job *job = context;
    g_mutex_lock(&job->mutex);
    job->read = read;
    job->total = total;
    job->told = true;
    schedule(job, FRAME_MS);
    g_mutex_unlock(&job->mutex);
    return !atomic_load(&job->stopping);
}

static bool on_text(void *context, const char *text, size_t length)
{
    struct job *job = context;
    if (length && !job->turn.on_piece(job->turn.context, text, length))
        return false;
    g_mutex_lock(&job->mutex);
    if (job->pieces++ == 0)
        job->first_piece = we_clock();
    g_string_append_len(job->pending, text, (gssize)length);
    schedule(job, FRAME_MS);
    g_mutex_unlock(&job->mutex);
    return !atomic_load(&job->stopping);
}

static void reply(struct job *job)
{
    WeEngine *engine = job->engine;
    struct we_session *session = NULL;
    struct we_request request;
    job->status = engine->open ? we_session_new(engine->open, &session, &job->error)
                               : we_error_set(&job->error, WE_NOT_FOUND, "%s", _("No model is open."));
    if (job->status == WE_OK)
        job->status = we_session_set_messages(session, job->turn.history, &job->error);
    if (job->status == WE_OK) {
        g_mutex_lock(&job->mutex);
        job->session = session;
        g_mutex_unlock(&job->mutex);
        we_request_init(&request, engine->open);
        we_settings_request(job->configuration->settings, &request);
        request.on_prompt = on_prompt;
        request.on_text = on_text;
        request.context = job;
        job->status = we_session_send(session, job->turn.text, &request, &job->result, &job->error);
        g_mutex_lock(&job->mutex);
        job->session = NULL;
        g_mutex_unlock(&job->mutex);
    }
    we_session_free(session);
}

/* Hands the end to the main loop. */
static void end(struct job *job)
{
    g_mutex_lock(&job->mutex);
    job->ended = true;
    schedule(job, 0);
    g_mutex_unlock(&job->mutex);
    unref_job(job);
}

static gpointer work(gpointer data)
{
    WeEngine *engine = data;
    we_thread_give_way();
    for (;;) {
        struct job *job = g_async_queue_pop(engine->jobs);
        if (job->kind == JOB_QUIT) {
            we_model_close(engine->open);
            engine->open = NULL;
            g_mutex_lock(&engine->mutex);
            engine->has_quit = TRUE;
            g_cond_signal(&engine->quit_done);
            g_mutex_unlock(&engine->mutex);
            end(job);
            return NULL;
        }
        if (job->kind == JOB_LOAD)
            load(job);
        else
            reply(job);
        end(job);
    }
}

/* ---- the main loop ---- */

static void set_state(WeEngine *engine, enum we_engine_state state)
{
    engine->state = state;
    g_signal_emit(engine, changed_signal, 0);
}

static enum we_engine_state resting_state(const WeEngine *engine)
{
    return engine->loads     ? WE_ENGINE_LOADING
           : engine->model   ? WE_ENGINE_READY
           : engine->problem ? WE_ENGINE_FAILED
                             : WE_ENGINE_EMPTY;
}

static void end_load(struct job *job)
{
    WeEngine *engine = job->engine;
    engine->loads--;
    g_clear_pointer(&engine->problem, g_free);
    if (job->status == WE_OK) {
        free_model(engine->model);
        engine->model = g_steal_pointer(&job->model);
    } else {
        engine->problem = g_strdup(job->error.message);
        if (!job->keeps_model) {
            free_model(engine->model);
            engine->model = NULL;
        }
    }
    set_state(engine, engine->replying ? engine->state : resting_state(engine));
}

static void end_reply(struct job *job)
{
    WeEngine *engine = job->engine;
    struct we_turn_end turn_end = {job->status, job->status == WE_OK ? NULL : job->error.message, &job->result};
    if (job->status == WE_OK) {
        engine->rate = we_generation_rate(&job->result);
        engine->prompt_rate = we_prompt_rate(&job->result);
    }
    g_clear_handle_id(&engine->stop_source, g_source_remove);
    engine->replying = NULL;
    g_free(job->result.text);
    g_free(job->result.tokens);
    job->result.text = NULL;
    job->result.tokens = NULL;
    job->turn.on_end(job->turn.context, &turn_end);
    if (engine->replying == NULL)
        set_state(engine, resting_state(engine));
    unref_job(job); /* the main loop's */
}

/* What has come since the last time: text, or how far the prompt is, and the end after them. */
static gboolean flush(gpointer data)
{
    struct job *job = data;
    WeEngine *engine = job->engine;
    g_mutex_lock(&job->mutex);
    job->scheduled = false;
    bool ended = job->ended;
    if (job->kind == JOB_REPLY) {
        g_autofree char *text = NULL;
        size_t length = job->pending->len;
        bool told = job->told;
        uint32_t read = job->read, total = job->total, pieces = job->pieces;
        double seconds = we_clock() - job->first_piece;
        job->told = false;
        if (length) {
            text = g_string_free(job->pending, FALSE);
            job->pending = g_string_new(NULL);
        }
        g_mutex_unlock(&job->mutex);
        if (engine->replying != job) /* the end has been told */
            return G_SOURCE_REMOVE;
        if (pieces > 1 && seconds > 0.1)
            engine->rate = (pieces - 1) / seconds;
        if (told && pieces == 0)
            job->turn.on_reading(job->turn.context, read, total);
        if (length) {
            if (engine->state != WE_ENGINE_WRITING)
                set_state(engine, WE_ENGINE_WRITING);
            job->turn.on_text(job->turn.context, text, length);
        }
        if (ended)
            end_reply(job);
        return G_SOURCE_REMOVE;
    }
    g_mutex_unlock(&job->mutex);
    if (ended && job->kind == JOB_LOAD)
        end_load(job);
    return G_SOURCE_REMOVE;
}

void we_engine_load(WeEngine *engine, struct we_configuration *configuration, const char *name)
{
    struct job *job = new_job(engine, JOB_LOAD);
    job->configuration = we_configuration_ref(configuration);
    job->name = g_strdup(name);
    engine->loads++;
    we_engine_configure(engine, configuration);
    g_async_queue_push(engine->jobs, job);
    set_state(engine, engine->replying ? engine->state : WE_ENGINE_LOADING);
}

void we_engine_configure(WeEngine *engine, struct we_configuration *configuration)
{
    we_configuration_ref(configuration);
    we_configuration_unref(engine->configuration);
    engine->configuration = configuration;
}

gboolean we_engine_reply(WeEngine *engine, const struct we_turn *turn)
{
    if (engine->model == NULL || engine->replying || engine->configuration == NULL)
        return FALSE;
    struct job *job = new_job(engine, JOB_REPLY);
    job->configuration = we_configuration_ref(engine->configuration);
    job->turn = *turn;
    job->turn.history = g_strdup(turn->history);
    job->turn.text = g_strdup(turn->text);
    job->pending = g_string_new(NULL);
    engine->replying = ref_job(job);
    engine->rate = 0;
    g_async_queue_push(engine->jobs, job);
    set_state(engine, WE_ENGINE_READING);
    return TRUE;
}

static void cancel(struct job *job)
{
    atomic_store(&job->stopping, true);
    g_mutex_lock(&job->mutex);
    if (job->session)
        we_session_cancel(job->session);
    g_mutex_unlock(&job->mutex);
}

/* The session forgets a stop that comes just before it begins. */
static gboolean cancel_again(gpointer data)
{
    WeEngine *engine = data;
    cancel(engine->replying);
    return G_SOURCE_CONTINUE;
}

void we_engine_stop(WeEngine *engine)
{
    if (engine->replying == NULL)
        return;
    cancel(engine->replying);
    if (engine->stop_source == 0)
        engine->stop_source = g_timeout_add(STOP_AGAIN_MS, cancel_again, engine);
}

enum we_engine_state we_engine_state(WeEngine *engine)
{
    return engine->state;
}

gboolean we_engine_is_replying(WeEngine *engine)
{
    return engine->replying != NULL;
}

const struct we_engine_model *we_engine_model(WeEngine *engine)
{
    return engine->model;
}

const char *we_engine_problem(WeEngine *engine)
{
    return engine->problem;
}

double we_engine_rate(WeEngine *engine)
{
    return engine->rate;
}

double we_engine_prompt_rate(WeEngine *engine)
{
    return engine->prompt_rate;
}

/* ---- its life ---- */

gboolean we_engine_shut_down(WeEngine *engine, double seconds)
{
    gint64 until = g_get_monotonic_time() + (gint64)(seconds * G_TIME_SPAN_SECOND);
    if (engine->thread == NULL)
        return TRUE;
    /* The end of a reply comes through the main loop, which runs here until then. */
    we_engine_stop(engine);
    while (engine->replying && g_get_monotonic_time() < until)
        if (!g_main_context_iteration(NULL, FALSE))
            g_usleep(1000);
    g_async_queue_push(engine->jobs, new_job(engine, JOB_QUIT));
    g_mutex_lock(&engine->mutex);
    while (!engine->has_quit && g_cond_wait_until(&engine->quit_done, &engine->mutex, until))
        continue;
    gboolean has_quit = engine->has_quit;
    g_mutex_unlock(&engine->mutex);
    if (has_quit)
        g_thread_join(g_steal_pointer(&engine->thread));
    return has_quit;
}

static void finalize(GObject *object)
{
    WeEngine *engine = WE_ENGINE(object);
    g_clear_handle_id(&engine->stop_source, g_source_remove);
    free_model(engine->model);
    g_free(engine->problem);
    we_configuration_unref(engine->configuration);
    g_async_queue_unref(engine->jobs);
    g_mutex_clear(&engine->mutex);
    g_cond_clear(&engine->quit_done);
    G_OBJECT_CLASS(we_engine_parent_class)->finalize(object);
}

static void we_engine_class_init(WeEngineClass *klass)
{
    G_OBJECT_CLASS(klass)->finalize = finalize;
    changed_signal = g_signal_new("changed", WE_TYPE_ENGINE, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void we_engine_init(WeEngine *engine)
{
    g_mutex_init(&engine->mutex);
    g_cond_init(&engine->quit_done);
    engine->jobs = g_async_queue_new();
    engine->thread = g_thread_new("engine", work, engine);
}

WeEngine *we_engine_new(void)
{
    return g_object_new(WE_TYPE_ENGINE, NULL);
}
