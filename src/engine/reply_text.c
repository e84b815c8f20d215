#include "engine/reply_text.h"

#include "base/error.h"

void we_reply_text_init(struct we_reply_text *reply, const struct we_request *request)
{
    *reply = (struct we_reply_text){.request = request};
    we_stop_init(&reply->stop, request->stop, request->num_stop);
}

void we_reply_text_free(struct we_reply_text *reply)
{
    we_stop_free(&reply->stop);
    we_buf_free(&reply->text);
}

/* Tells text that no stop string can take back any more. */
static we_status emit(struct we_reply_text *reply, struct we_str text, struct we_error *error)
{
    if (text.length == 0)
        return WE_OK;
    if (!we_buf_append(&reply->text, text))
        return we_error_memory(error, "the reply");
    if (reply->request->on_text && !reply->request->on_text(reply->request->context, text.data, text.length))
        reply->cancelled = true;
    return WE_OK;
}

we_status we_reply_text_add(struct we_reply_text *reply, struct we_str text, struct we_error *error)
{
    if (reply->stop.count == 0)
        return emit(reply, text, error);
    struct we_str ready;
    reply->stopped = we_stop_add(&reply->stop, text, &ready);
    if (reply->stop.held.failed)
        return we_error_memory(error, "the reply");
    we_status status = emit(reply, ready, error);
    we_stop_consume(&reply->stop, ready.length);
    return status;
}

we_status we_reply_text_end(struct we_reply_text *reply, struct we_error *error)
{
    return reply->stopped ? WE_OK : emit(reply, we_buf_str(&reply->stop.held), error);
}
