#include "engine/remote_model.h"

#include "base/system.h"
#include "engine/reply_text.h"
#include "remote/remote.h"

#include <stdlib.h>
#include <whisperengine_tools.h>

static const double CONNECTION_TIMEOUT = 10, REQUEST_TIMEOUT = 300; /* seconds */

static struct we_remote_options remote_options(const char *address, const struct we_model_options *options)
{
    struct we_remote_options remote = {
        .address = address, .connection_timeout = CONNECTION_TIMEOUT, .request_timeout = REQUEST_TIMEOUT};
    if (options == NULL)
        return remote;
    remote.model = options->remote_model;
    remote.api_key = options->api_key;
    if (options->connection_timeout > 0)
        remote.connection_timeout = options->connection_timeout;
    if (options->request_timeout > 0)
        remote.request_timeout = options->request_timeout;
    return remote;
}

we_status we_remote_model_open(const char *name, const struct we_model_options *options, struct we_model **model,
                               struct we_error *error)
{
    double start = we_clock();
    struct we_remote_options remote = remote_options(name, options);
    struct we_buf path = {0};
    *model = NULL;
    struct we_model *m = calloc(1, sizeof *m);
    we_status status = m ? we_remote_open(&remote, &m->remote, error) : we_error_memory(error, "a model");
    if (status == WE_OK) {
        const char *chosen = we_remote_model(m->remote);
        we_buf_printf(&path, "%s%s%s", we_remote_address(m->remote), chosen ? "#" : "", chosen ? chosen : "");
        m->info.path = path.failed ? NULL : we_arena_copy(&m->arena, we_buf_str(&path));
        m->info.model_type = "remote";
        m->info.device = m->info.endpoint = we_remote_address(m->remote);
        m->info.has_tokenizer = true;
        we_sampling_init(&m->sampling, NULL);
        m->info.load_seconds = we_clock() - start;
        if (m->info.path == NULL)
            status = we_error_memory(error, "a model");
    }
    we_buf_free(&path);
    if (status != WE_OK)
        we_model_close(m);
    else
        *model = m;
    return status;
}

void we_remote_model_close(struct we_model *model)
{
    we_remote_close(model->remote);
}

we_status we_model_require_local(const struct we_model *model, const char *what, struct we_error *error)
{
    if (model->remote == NULL)
        return WE_OK;
    return we_error_set(error, WE_UNSUPPORTED, "%s: %s needs a model on this machine, and this one runs elsewhere",
                        model->info.endpoint, what);
}

/* ---- a reply ---- */

struct telling {
    struct we_reply_text text;
    we_status status;
    struct we_error *error;
};

static bool tell(void *context, struct we_str text)
{
    struct telling *telling = context;
    telling->status = we_reply_text_add(&telling->text, text, telling->error);
    return telling->status == WE_OK && !telling->text.stopped && !telling->text.cancelled;
}

we_status we_remote_model_generate(struct we_model *model, const struct we_request *request, const atomic_bool *cancel,
                                   struct we_result *result, struct we_error *error)
{
    double start = we_clock();
    struct telling telling = {.error = error};
    struct we_remote_reply reply = {.on_text = tell, .context = &telling, .cancel = cancel};
    we_reply_text_init(&telling.text, request);
    we_status status = we_remote_generate(model->remote, request, &reply, error);
    if (status == WE_OK)
        status = telling.status;
    if (status == WE_OK && !reply.stopped)
        status = we_reply_text_end(&telling.text, error);
    bool cancelled = telling.text.cancelled || (reply.stopped && !telling.text.stopped);
    result->finish_reason = cancelled ? WE_FINISH_CANCELLED : telling.text.stopped ? WE_FINISH_STOP : reply.finish_reason;
    result->prompt_tokens = reply.prompt_tokens;
    result->cached_tokens = reply.cached_tokens;
    result->generation_tokens = reply.generation_tokens;
    if (reply.first_time > 0) {
        result->time_to_first_token = result->prompt_seconds = reply.first_time - start;
        result->generation_seconds = reply.last_time - reply.first_time;
    }
    result->text_length = telling.text.text.length;
    result->text = we_buf_take(&telling.text.text);
    if (result->text == NULL && status == WE_OK)
        status = we_error_memory(error, "the reply");
    we_reply_text_free(&telling.text);
    return status;
}

we_status we_endpoint_models(const char *address, const struct we_model_options *options, we_name_fn *visit, void *context,
                             struct we_error *error)
{
    struct we_arena arena = {0};
    struct we_remote_options remote = remote_options(address, options);
    const char *const *names;
    size_t count;
    we_status status = we_remote_list(&remote, &arena, &names, &count, error);
    for (size_t i = 0; i < count && visit(context, names[i]); i++)
        continue;
    we_arena_free(&arena);
    return status;
}
