/* The reply that is being made: the engine's text goes into the journal of the store, and from there to whoever shows it. It
 * goes on when nobody does. There is one at a time. Everything here belongs to the main loop. */
#ifndef WE_DESKTOP_ANSWER_H
#define WE_DESKTOP_ANSWER_H

#include "conversations.h"
#include "engine.h"

struct we_answer; /* opaque */

/* What a view is told. */
struct we_answer_listener {
    void (*on_reading)(gpointer context, uint32_t read, uint32_t total);
    void (*on_text)(gpointer context, const char *text, size_t length);
    gpointer context;
};

/* Told when it has ended, and is in the store; the answer is freed after that. problem NULL: none, but that of the reply
 * itself, which the store has. */
typedef void we_answer_end_fn(gpointer context, struct we_answer *answer, const char *problem);

/* Answers the message `user` of a conversation: an empty reply is in the store when this returns. */
we_status we_answer_begin(struct we_conversations *store, WeEngine *engine, int64_t conversation, int64_t user,
                          we_answer_end_fn *on_end, gpointer context, struct we_answer **answer, struct we_error *error);

int64_t we_answer_conversation(const struct we_answer *answer);
int64_t we_answer_message(const struct we_answer *answer);
/* All that has come so far. */
struct we_str we_answer_text(const struct we_answer *answer);
void we_answer_listen(struct we_answer *answer, const struct we_answer_listener *listener); /* NULL: nobody */
void we_answer_stop(struct we_answer *answer);
/* The program ends although the engine has not: what was journalled is put in place when it starts again. */
void we_answer_leave(struct we_answer *answer);

#endif
