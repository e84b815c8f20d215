/* chat: a conversation. */
#include "chat.h"

#include "input.h"
#include "interrupt.h"
#include "layout.h"
#include "progress.h"
#include "reply.h"
#include "report.h"
#include "terminal.h"

#include "base/fs.h"
#include "client/models.h"
#include "client/rates.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const struct we_option options[] = {
    {"--no-history", NULL, NULL, "neither read nor write the file of what was typed"},
    {"--verbose", "-v", NULL, "rates after each reply"},
};

void we_chat_note(const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct we_buf folded = {0};
    we_fold(&folded, text, we_terminal_is(STDERR_FILENO) ? we_terminal_width(STDERR_FILENO) : UINT_MAX, 0, 0);
    we_out_flush();
    fprintf(stderr, "%s%s%s", we_terminal_style(STDERR_FILENO, WE_STYLE_DIM), folded.failed ? text : folded.data,
            we_terminal_style(STDERR_FILENO, WE_STYLE_NONE));
    we_buf_free(&folded);
}

static void report(struct we_chat *chat, const struct we_error *error)
{
    chat->failed = true;
    we_out_flush();
    we_fail(chat->args->command, error);
}

/* ---- Ctrl-C ---- */

static struct we_session *_Atomic replying; /* the session whose reply Ctrl-C stops */

static void on_interrupt(void)
{
    struct we_session *session = atomic_load(&replying);
    if (session)
        we_session_cancel(session);
    we_editor_wake();
}

/* ---- models ---- */

static int open_model(struct we_chat *chat, const char *name, struct we_model **model)
{
    we_spinner_start("loading the model");
    int status = name ? we_open_named_model(chat->args, name, false, model) : we_open_model(chat->args, false, model);
    we_spinner_stop();
    struct we_error error;
    if (status != WE_EXIT_OK || we_model_check_chat(*model, &error) == WE_OK)
        return status;
    we_model_close(*model);
    *model = NULL;
    return we_fail(chat->args->command, &error);
}

static void use_model(struct we_chat *chat, struct we_model *model)
{
    chat->model = model;
    we_request_init(&chat->request, model);
    we_settings_request(chat->args->settings, &chat->request);
}

bool we_chat_open_model(struct we_chat *chat, const char *name)
{
    struct we_model *model;
    if (open_model(chat, name, &model) != WE_EXIT_OK) {
        chat->failed = true;
        return false;
    }
    struct we_model *old = chat->model;
    we_session_set_model(chat->session, model);
    use_model(chat, model);
    we_model_close(old);
    return true;
}

/* ---- replies ---- */

static bool print_text(void *context, const char *text, size_t length)
{
    return we_reply_print(context, text, length) && !we_interrupted();
}

static void remember_numbers(struct we_chat *chat, const struct we_result *result)
{
    chat->last = *result;
    chat->last.text = NULL;
    chat->last.tokens = NULL;
    chat->replies++;
    chat->generated_tokens += result->generation_tokens;
    chat->generation_seconds += result->generation_seconds;
}

/* Why a reply ended, where it did not end by itself; and what it cost. */
static void remark(const struct we_chat *chat, const struct we_result *result)
{
    uint32_t context = we_model_info(chat->model)->context_length;
    if (result->finish_reason == WE_FINISH_CANCELLED)
        we_chat_note("(stopped)");
    else if (result->finish_reason == WE_FINISH_LENGTH && context &&
             result->prompt_tokens + (uint64_t)result->generation_tokens >= context)
        we_chat_note("(The context of %u positions is full: /clear begins anew.)", context);
    else if (result->finish_reason == WE_FINISH_LENGTH)
        we_chat_note("(cut after %u tokens; --max-tokens allows more)", result->generation_tokens);
    else if (result->text_length == 0)
        we_chat_note("(The reply is empty.)");
    if (chat->verbose)
        we_chat_note("%u tokens, %.1f tokens/s; %u of %u tokens of the prompt read, %.3f s to the first token",
                     result->generation_tokens, we_generation_rate(result), result->prompt_tokens - result->cached_tokens,
                     result->prompt_tokens, result->time_to_first_token);
}

/* A message whose reply was stopped before it began was not sent. */
static void take_back(struct we_chat *chat)
{
    struct we_error error;
    char *user, *json;
    if (we_chat_take_last(chat->session, &user, &json, &error) == WE_OK) {
        free(user);
        free(json);
        we_chat_note("(stopped before the reply began; the message was not sent)");
    } else {
        report(chat, &error);
    }
}

/* False: the conversation is as before. */
static bool send(struct we_chat *chat, const char *text)
{
    struct we_error error;
    struct we_result result;
    struct we_printed printed = {0};
    struct we_request request = chat->request;
    request.on_text = print_text;
    request.context = &printed;
    request.sampling.seed += chat->regenerations;
    atomic_store(&replying, chat->session); /* a Ctrl-C that came since the message was read stops the reply too */
    we_spinner_start("reading the prompt");
    we_status status = we_session_send(chat->session, text, &request, &result, &error);
    atomic_store(&replying, NULL);
    bool heard = we_reply_end(&printed);
    bool replied = status == WE_OK;
    if (status != WE_OK) {
        report(chat, &error);
        if (chat->interactive)
            we_chat_note("The conversation is as before.");
    } else if (result.finish_reason == WE_FINISH_CANCELLED && result.text_length == 0) {
        take_back(chat);
        replied = false;
    } else {
        remember_numbers(chat, &result);
        if (heard)
            remark(chat, &result);
    }
    we_result_clear(&result);
    if (chat->interactive)
        we_out_c("\n");
    return replied;
}

static bool check_message(struct we_chat *chat, struct we_str text)
{
    struct we_error error;
    we_status status = we_check_utf8(text, "the message", &error);
    if (status == WE_OK && memchr(text.data, '\0', text.length))
        status = we_error_set(&error, WE_INVALID_ARGUMENT, "the message holds a NUL byte");
    if (status != WE_OK)
        report(chat, &error);
    return status == WE_OK;
}

void we_chat_send(struct we_chat *chat, const char *text)
{
    chat->regenerations = 0;
    send(chat, text);
}

void we_chat_regenerate(struct we_chat *chat)
{
    struct we_error error;
    char *user, *json;
    if (we_chat_take_last(chat->session, &user, &json, &error) != WE_OK) {
        report(chat, &error);
        return;
    }
    if (chat->request.sampling.temperature == 0)
        we_chat_note("(The temperature is 0: the reply will be the same.)");
    chat->regenerations++;
    if (!send(chat, user) && we_session_set_messages(chat->session, json, &error) != WE_OK)
        report(chat, &error);
    free(user);
    free(json);
}

/* ---- the conversation ---- */

static void banner(const struct we_chat *chat)
{
    const struct we_model_info *info = we_model_info(chat->model);
    we_out_flush();
    fprintf(stderr, "%s%s%s on %s\n", we_terminal_style(STDERR_FILENO, WE_STYLE_BOLD), we_model_short_name(info->path),
            we_terminal_style(STDERR_FILENO, WE_STYLE_NONE), info->device);
    fputs("/help lists the commands.\n\n", stderr);
}

/* One line of input. */
static void handle(struct we_chat *chat, struct we_buf *line)
{
    struct we_str text = we_buf_str(line);
    if (!chat->interactive && text.length && text.data[text.length - 1] == '\r')
        line->data[--line->length] = '\0';
    text = we_buf_str(line);
    if (text.length == strspn(text.data, " \t\r\n") || !check_message(chat, text) || we_chat_command(chat, text.data))
        return;
    bool escaped = text.data[0] == ' ' && text.data[1] == '/'; /* a message that looks like a command */
    we_chat_send(chat, text.data + (escaped ? 1 : 0));
}

static int converse(struct we_chat *chat)
{
    struct we_buf line = {.limit = (size_t)1 << 30};
    bool asked = false; /* Ctrl-C came at an empty prompt */
    int status = WE_EXIT_OK;
    while (!chat->quit && we_out_flush()) {
        we_interrupt_clear();
        enum we_line read = we_editor_read(chat->editor, &line);
        if (read == WE_LINE_INTERRUPTED) {
            if (asked && line.length == 0)
                break;
            asked = line.length == 0;
            if (asked)
                we_chat_note("(Ctrl-C once more, Ctrl-D or /quit leaves.)");
            continue;
        }
        asked = false;
        if (read == WE_LINE_FAILED)
            status = we_fail_text(chat->args->command,
                                  "standard input cannot be read, or a message is longer than memory or 1 GiB holds");
        if (read != WE_LINE_READ)
            break;
        handle(chat, &line);
    }
    we_buf_free(&line);
    return status == WE_EXIT_OK && chat->failed && !chat->interactive ? WE_EXIT_FAILED : status;
}

/* ---- what was typed before ---- */

/* The file under the XDG folder for state, in `arena`; NULL: none. */
static const char *history_file(const struct we_args *args, struct we_arena *arena)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (we_args_has(args, "--no-history"))
        return NULL;
    const char *folder = state && state[0] == '/' ? we_path_join(arena, state, "whisperengine")
                         : home && home[0]        ? we_path_join(arena, home, ".local/state/whisperengine")
                                                  : NULL;
    struct we_error ignored;
    if (folder == NULL)
        return NULL;
    mode_t mask = umask(077);
    we_status status = we_make_directories(folder, &ignored);
    umask(mask);
    return status == WE_OK ? we_path_join(arena, folder, "history") : NULL;
}

static int open_editor(struct we_chat *chat)
{
    struct we_error error;
    struct we_arena arena = {0};
    bool terminal = we_terminal_is(STDIN_FILENO);
    we_status status =
        we_editor_open(terminal ? history_file(chat->args, &arena) : NULL, we_chat_complete, chat, &chat->editor, &error);
    we_arena_free(&arena);
    if (status != WE_OK)
        return we_fail(chat->args->command, &error);
    chat->interactive = we_editor_interactive(chat->editor);
    return WE_EXIT_OK;
}

static int open_session(struct we_chat *chat)
{
    struct we_error error;
    char *system = NULL;
    we_status status = we_session_new(chat->model, &chat->session, &error);
    if (status == WE_OK)
        status = we_settings_system_prompt(chat->args->settings, &system, &error);
    if (status == WE_OK && system)
        status = we_session_set_system(chat->session, system, &error);
    free(system);
    return status == WE_OK ? WE_EXIT_OK : we_fail(chat->args->command, &error);
}

static int run_command(const struct we_args *args)
{
    struct we_chat chat = {.args = args, .verbose = we_args_has(args, "--verbose")};
    struct we_model *model = NULL;
    int status = open_model(&chat, NULL, &model);
    if (status == WE_EXIT_OK) {
        use_model(&chat, model);
        status = open_session(&chat);
    }
    if (status == WE_EXIT_OK)
        status = open_editor(&chat);
    if (status == WE_EXIT_OK) {
        if (chat.interactive) {
            we_foreground_enter();
            we_interrupt_handle(on_interrupt);
            banner(&chat);
        }
        status = converse(&chat);
        we_interrupt_handle(NULL);
        we_editor_close(chat.editor);
        we_foreground_leave();
    }
    we_session_free(chat.session);
    we_model_close(chat.model);
    return status;
}

const struct we_command we_command_chat = {
    .name = "chat",
    .summary = "a conversation, with history and / commands",
    .synopsis = "[-m MODEL] [OPTIONS]",
    .options = options,
    .num_options = sizeof options / sizeof *options,
    .settings = WE_TAKES_REPLY,
    .unbuilt = WE_UNBUILT_REPLY,
    .details = "Type a message and press Enter; /help lists the commands. Ctrl-C stops the reply, not the program; Ctrl-D "
               "leaves. A paste of "
               "several lines is one message; Alt-Enter breaks a line, and so does a backslash at its end.\n"
               "Where standard input is no terminal, each of its lines is a message or a command, and the replies go to "
               "standard output.",
    .examples = "whisperengine chat -m ORG/NAME --system-prompt 'Answer briefly.'\n"
                "printf '%s\\n' 'My name is Ada.' 'What is my name?' | whisperengine chat -m ORG/NAME",
    .run = run_command,
};
