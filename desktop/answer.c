#include "answer.h"

#include "base/json.h"
#include "client/messages.h"

#include <stdatomic.h>
#include <string.h>

struct we_answer {
    struct we_conversations *store;
    WeEngine *engine;
    int64_t conversation, message;
    struct we_reply *reply;
    GString *text;
    struct we_answer_listener listener;
    we_answer_end_fn *on_end;
    gpointer context;
    bool stopped; /* by the person */
    /* Written by the engine's thread before the end, read by the main loop after it. */
    struct we_error journal_problem;
};

int64_t we_answer_conversation(const struct we_answer *answer)
{
    return answer->conversation;
}

int64_t we_answer_message(const struct we_answer *answer)
{
    return answer->message;
}

struct we_str we_answer_text(const struct we_answer *answer)
{
    return we_str(answer->text->str, answer->text->len);
}

void we_answer_listen(struct we_answer *answer, const struct we_answer_listener *listener)
{
    answer->listener = listener ? *listener : (struct we_answer_listener){0};
}

void we_answer_stop(struct we_answer *answer)
{
    answer->stopped = true;
    we_engine_stop(answer->engine);
}

static void free_answer(struct we_answer *answer)
{
    if (answer->reply)
        we_reply_leave(answer->reply);
    if (answer->text)
        g_string_free(answer->text, TRUE);
    g_free(answer);
}

void we_answer_leave(struct we_answer *answer)
{
    if (answer)
        free_answer(answer);
}

/* ---- from the engine ---- */

static bool on_piece(gpointer context, const char *text, size_t length)
{
    struct we_answer *answer = context;
    struct we_error error;
    if (we_reply_append(answer->reply, text, length, &error) != WE_OK)
        answer->journal_problem = error; /* it goes on in memory */
    return true;
}

static void on_reading(gpointer context, uint32_t read, uint32_t total)
{
    struct we_answer *answer = context;
    if (answer->listener.on_reading)
        answer->listener.on_reading(answer->listener.context, read, total);
}

static void on_text(gpointer context, const char *text, size_t length)
{
    struct we_answer *answer = context;
    g_string_append_len(answer->text, text, (gssize)length);
    if (answer->listener.on_text)
        answer->listener.on_text(answer->listener.context, text, length);
}

static enum we_message_state state_of(const struct we_answer *answer, const struct we_turn_end *end)
{
    if (end->status == WE_CANCELLED || (end->status == WE_OK && end->result->finish_reason == WE_FINISH_CANCELLED))
        return WE_MESSAGE_STOPPED;
    if (end->status != WE_OK)
        return answer->stopped ? WE_MESSAGE_STOPPED : WE_MESSAGE_FAILED;
    return end->result->finish_reason == WE_FINISH_LENGTH ? WE_MESSAGE_CUT : WE_MESSAGE_WHOLE;
}

static void on_end(gpointer context, const struct we_turn_end *end)
{
    struct we_answer *answer = context;
    const struct we_result *result = end->result;
    struct we_error error;
    const char *problem = NULL;
    struct we_figures figures = {
        .prompt_tokens = result->prompt_tokens,
        .cached_tokens = result->cached_tokens,
        .generation_tokens = result->generation_tokens,
        .prompt_seconds = result->prompt_seconds,
        .generation_seconds = result->generation_seconds,
        .time_to_first_token = result->time_to_first_token,
    };
    enum we_message_state state = state_of(answer, end);
    if (we_reply_finish(answer->reply, state, end->status == WE_OK ? &figures : NULL,
                        state == WE_MESSAGE_FAILED ? end->problem : NULL, &error) == WE_OK)
        answer->reply = NULL;
    else
        problem = error.message; /* the reply stays in the journal, where the next start finds it */
    if (problem == NULL && answer->journal_problem.status != WE_OK)
        problem = answer->journal_problem.message;
    answer->on_end(answer->context, answer, problem);
    free_answer(answer);
}

/* ---- beginning ---- */

/* What stands before `user`. */
static we_status write_history(struct we_answer *answer, const struct we_conversation *conversation,
                               const struct we_message *user, struct we_buf *history, struct we_error *error)
{
    if (user->parent)
        return we_conversations_request(answer->store, answer->conversation, user->parent, history, error);
    we_buf_append_c(history, "{\"messages\": [");
    if (conversation->system && conversation->system[0]) {
        we_buf_append_c(history, "{\"role\": \"system\", \"content\": ");
        we_json_write_string(history, we_str_c(conversation->system), false);
        we_buf_append_c(history, "}");
    }
    we_buf_append_c(history, "]}");
    return history->failed ? we_error_memory(error, "the conversation") : WE_OK;
}

static const struct we_message *find_message(const struct we_conversation *conversation, int64_t id)
{
    for (size_t i = 0; i < conversation->num_messages; i++)
        if (conversation->messages[i].id == id)
            return &conversation->messages[i];
    return NULL;
}

we_status we_answer_begin(struct we_conversations *store, WeEngine *engine, int64_t id, int64_t user, we_answer_end_fn *end,
                          gpointer context, struct we_answer **out, struct we_error *error)
{
    struct we_arena arena = {0};
    struct we_buf history = {0};
    struct we_conversation *conversation;
    const struct we_engine_model *model = we_engine_model(engine);
    struct we_answer *answer = g_new0(struct we_answer, 1);
    answer->store = store;
    answer->engine = engine;
    answer->conversation = id;
    answer->on_end = end;
    answer->context = context;
    answer->text = g_string_new(NULL);
    *out = NULL;
    we_status status = we_conversations_load(store, id, &arena, &conversation, error);
    const struct we_message *message = status == WE_OK ? find_message(conversation, user) : NULL;
    if (status == WE_OK && message == NULL)
        status = we_error_set(error, WE_NOT_FOUND, "the message that is to be answered is not shown any more");
    if (status == WE_OK)
        status = write_history(answer, conversation, message, &history, error);
    if (status == WE_OK && model)
        status = we_conversations_set_model(store, id, model->wanted, error);
    if (status == WE_OK)
        status = we_reply_begin(store, id, user, model ? model->name : NULL, &answer->reply, error);
    if (status == WE_OK) {
        answer->message = we_reply_message(answer->reply);
        struct we_turn turn = {history.data, message->text, on_piece, on_reading, on_text, on_end, answer};
        if (!we_engine_reply(engine, &turn)) {
            status = we_error_set(error, WE_NOT_FOUND, "no model is ready to answer");
            struct we_error ignored;
            if (we_reply_finish(answer->reply, WE_MESSAGE_FAILED, NULL, error->message, &ignored) == WE_OK)
                answer->reply = NULL;
        }
    }
    if (status == WE_OK)
        *out = answer;
    else
        free_answer(answer);
    we_buf_free(&history);
    we_arena_free(&arena);
    return status;
}
