/* The engine behind the window. Models are opened, closed and run in a thread of the engine's own, which gives way to the
 * interface; everything declared here is called in the main loop, returns at once, and calls back in the main loop, except
 * where it says otherwise.
 *
 * Signal "changed": the state, the model or the problem is another one. */
#ifndef WE_DESKTOP_ENGINE_H
#define WE_DESKTOP_ENGINE_H

#include "configuration.h"

#include <glib-object.h>
#include <whisperengine_tools.h>

enum we_engine_state {
    WE_ENGINE_EMPTY, /* no model was chosen */
    WE_ENGINE_LOADING,
    WE_ENGINE_READY,
    WE_ENGINE_READING, /* a prompt */
    WE_ENGINE_WRITING, /* a reply */
    WE_ENGINE_FAILED   /* no model is open, as we_engine_problem says */
};

struct we_engine_model {
    char *name;      /* for people: the last part of the path */
    char *path;      /* directory, or "ADDRESS#NAME" */
    char *device;    /* "cpu (avx512, 2 threads)" */
    char *endpoint;  /* the address; NULL: it runs here */
    char *stands_in; /* "LM Studio", which answers in place of the model that was wanted; else NULL */
    char *wanted;    /* how it was asked for */
    char *reason;    /* why the wanted one cannot be used; NULL unless stands_in */
    uint64_t weight_bytes, kv_position_bytes;
    uint32_t context_length;
    double load_seconds;
};

#define WE_TYPE_ENGINE (we_engine_get_type())
G_DECLARE_FINAL_TYPE(WeEngine, we_engine, WE, ENGINE, GObject)

WeEngine *we_engine_new(void);

/* Stops the reply, closes the model and ends the thread. False: it does not end within `seconds`, since it waits for a network
 * or a disk; the process has to end without it. */
gboolean we_engine_shut_down(WeEngine *engine, double seconds);

/* Opens a model, after what is under way; the one that is open stays if that fails. name NULL: the configured one, or, where
 * none is configured, the installed one that was used last. Who stands in for a configured model is tried as the command does.
 */
void we_engine_load(WeEngine *engine, struct we_configuration *configuration, const char *name);
/* Another configuration for the next reply: sampling and the like. */
void we_engine_configure(WeEngine *engine, struct we_configuration *configuration);

enum we_engine_state we_engine_state(WeEngine *engine);
gboolean we_engine_is_replying(WeEngine *engine);
/* Borrowed, until "changed" or the main loop runs. NULL: none is open. */
const struct we_engine_model *we_engine_model(WeEngine *engine);
/* Why the last load failed, in words; NULL: it did not. */
const char *we_engine_problem(WeEngine *engine);
/* Tokens a second: of the reply under way as far as it is known, else of the last one; 0: not known. */
double we_engine_rate(WeEngine *engine);
double we_engine_prompt_rate(WeEngine *engine);

struct we_turn_end {
    we_status status;
    const char *problem;            /* NULL if the status is WE_OK */
    const struct we_result *result; /* its numbers; text and tokens are NULL */
};

/* A reply that is wanted. Texts are copied. */
struct we_turn {
    const char *history; /* {"messages": [...]}: what stands before `text` */
    const char *text;    /* the message that is answered */
    /* In the engine's thread, before on_text: false stops the reply. */
    bool (*on_piece)(gpointer context, const char *text, size_t length);
    /* In the main loop, at most once a frame. */
    void (*on_reading)(gpointer context, uint32_t read, uint32_t total);
    void (*on_text)(gpointer context, const char *text, size_t length);
    void (*on_end)(gpointer context, const struct we_turn_end *end); /* once, the last call of all */
    gpointer context;
};

/* FALSE: no model is ready. */
gboolean we_engine_reply(WeEngine *engine, const struct we_turn *turn);
/* Stops the reply under way, at the next token or batch. */
void we_engine_stop(WeEngine *engine);

#endif
