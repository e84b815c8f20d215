/* The commands of a conversation. */
#include "chat.h"

#include "input.h"
#include "layout.h"
#include "report.h"
#include "terminal.h"

#include "base/fs.h"
#include "client/models.h"
#include "client/rates.h"

#include <stdio.h>
#include <stdlib.h>

enum { LABEL = 14, HELP_COLUMN = 20 };

struct chat_command {
    const char *name, *aliases; /* aliases: " /a /b " */
    const char *argument;       /* what help calls it; NULL: takes none */
    bool needs_argument;
    enum we_value_kind kind; /* of the argument, for completion */
    const char *help;
    void (*run)(struct we_chat *chat, const char *argument);
};

static const struct chat_command *command_row(size_t index);

/* ---- what they do ---- */

static void print_key(const char *keys, const char *text)
{
    unsigned width = we_terminal_width(STDOUT_FILENO);
    unsigned column = width < 60 ? 4 : HELP_COLUMN;
    unsigned used = (unsigned)we_text_width(we_str_c(keys));
    we_out_c(keys);
    if (used + 2 > column) {
        we_out_c("\n");
        used = 0;
    }
    we_print_folded(text, width, column, used);
}

static void run_help(struct we_chat *chat, const char *argument)
{
    (void)argument;
    const struct chat_command *row;
    for (size_t i = 0; (row = command_row(i)) != NULL; i++) {
        char term[64];
        if (row->argument)
            snprintf(term, sizeof term, row->needs_argument ? "%s %s" : "%s [%s]", row->name, row->argument);
        else
            snprintf(term, sizeof term, "%s", row->name);
        print_key(term, row->help);
    }
    if (!chat->interactive)
        return;
    we_out_c("\n");
    print_key("Alt-Enter", "a line break in the message; so is a backslash at the end of a line");
    print_key("Tab, Up, Ctrl-R", "complete a command; earlier messages; search them");
    print_key("Ctrl-C", "stop the reply, or clear the line");
    print_key("Ctrl-D", "leave");
}

static bool count_messages(struct we_chat *chat, size_t *count, char **system)
{
    struct we_error error;
    if (we_chat_look(chat->session, count, system, &error) == WE_OK)
        return true;
    we_chat_report(chat, &error);
    return false;
}

static void run_model(struct we_chat *chat, const char *argument)
{
    we_chat_model(chat, argument);
}

static void run_system(struct we_chat *chat, const char *argument)
{
    struct we_error error;
    size_t count;
    char *system;
    if (argument) {
        bool remove = strcmp(argument, "-") == 0;
        if (we_session_set_system(chat->session, remove ? NULL : argument, &error) != WE_OK)
            we_chat_report(chat, &error);
        else
            we_chat_note(remove ? "The system message is removed." : "The system message is set.");
        return;
    }
    if (!count_messages(chat, &count, &system))
        return;
    if (system)
        we_out_printf("%s\n", system);
    else
        we_chat_note("There is no system message: the model's template decides. /system TEXT sets one.");
    free(system);
}

static void run_save(struct we_chat *chat, const char *argument)
{
    struct we_error error;
    if (we_chat_save(chat->session, argument, &error) != WE_OK)
        we_chat_report(chat, &error);
    else
        we_chat_note("Saved to %s.", argument);
}

static void forget_numbers(struct we_chat *chat)
{
    chat->last = (struct we_result){0};
    chat->regenerations = 0;
}

static void run_load(struct we_chat *chat, const char *argument)
{
    struct we_error error;
    size_t count;
    char *system;
    if (we_chat_load(chat->session, argument, &error) != WE_OK) {
        we_chat_report(chat, &error);
        return;
    }
    forget_numbers(chat);
    if (count_messages(chat, &count, &system))
        we_chat_note("%zu %s from %s.", count, count == 1 ? "message" : "messages", argument);
    free(system);
}

static void run_clear(struct we_chat *chat, const char *argument)
{
    (void)argument;
    we_session_clear(chat->session);
    forget_numbers(chat);
    we_chat_note("The conversation is empty.");
}

static void run_stats(struct we_chat *chat, const char *argument)
{
    (void)argument;
    const struct we_model_info *info = we_model_info(chat->model);
    const struct we_result *last = &chat->last;
    char text[32], limit[32];
    size_t count;
    char *system;
    if (!count_messages(chat, &count, &system))
        return;
    we_print_fact(LABEL, "model", "%s on %s", we_model_short_name(info->path), info->device);
    we_print_fact(LABEL, "conversation", "%zu %s%s", count, count == 1 ? "message" : "messages",
                  system ? ", and the system message" : "");
    if (last->prompt_tokens) {
        if (info->context_length)
            we_print_fact(LABEL, "context", "%s of %s positions",
                          we_format_grouped(last->prompt_tokens + (uint64_t)last->generation_tokens, text, sizeof text),
                          we_format_grouped(info->context_length, limit, sizeof limit));
        we_print_fact(LABEL, "prompt", "%u tokens, %u of them in the cache, %.1f tokens/s", last->prompt_tokens,
                      last->cached_tokens, we_prompt_rate(last));
        we_print_fact(LABEL, "reply", "%u tokens, %.1f tokens/s", last->generation_tokens, we_generation_rate(last));
        we_print_fact(LABEL, "first token", "after %.3f s", last->time_to_first_token);
    }
    if (chat->replies > 1)
        we_print_fact(LABEL, "all replies", "%llu tokens in %u replies, %.1f tokens/s",
                      (unsigned long long)chat->generated_tokens, chat->replies,
                      chat->generation_seconds > 0 ? (double)chat->generated_tokens / chat->generation_seconds : 0);
    we_print_fact(LABEL, "peak memory", "%s", we_format_bytes(we_peak_memory(), text, sizeof text));
    free(system);
}

static void run_regenerate(struct we_chat *chat, const char *argument)
{
    (void)argument;
    we_chat_regenerate(chat);
}

static void run_quit(struct we_chat *chat, const char *argument)
{
    (void)argument;
    chat->quit = true;
}

/* clang-format off: a row stays a row */
static const struct chat_command commands[] = {
    {"/help", " /? ", NULL, false, WE_VALUE_ANY, "what you are reading", run_help},
    {"/model", "", "NAME", false, WE_VALUE_MODEL, "the model, and those that there are; with a name, the conversation goes on with that one; #NAME is one of the endpoint that answers", run_model},
    {"/system", "", "TEXT", false, WE_VALUE_ANY, "the system message; with a text, sets it; - removes it", run_system},
    {"/regenerate", " /retry /regen ", NULL, false, WE_VALUE_ANY, "another reply to the last message (or /retry)",
     run_regenerate},
    {"/clear", " /reset /new ", NULL, false, WE_VALUE_ANY, "forget the conversation; the system message stays", run_clear},
    {"/save", "", "FILE", true, WE_VALUE_FILE, "write the conversation to a JSON file", run_save},
    {"/load", "", "FILE", true, WE_VALUE_FILE, "go on with a conversation that was saved", run_load},
    {"/stats", "", NULL, false, WE_VALUE_ANY, "tokens, rates and memory", run_stats},
    {"/quit", " /exit /bye /q ", NULL, false, WE_VALUE_ANY, "leave", run_quit},
};
/* clang-format on */
enum { NUM_COMMANDS = sizeof commands / sizeof *commands };

static const struct chat_command *command_row(size_t index)
{
    return index < NUM_COMMANDS ? &commands[index] : NULL;
}

/* ---- finding them ---- */

static const struct chat_command *find_command(struct we_str word)
{
    char alias[32];
    for (size_t i = 0; i < NUM_COMMANDS; i++)
        if (we_str_equal_c(word, commands[i].name))
            return &commands[i];
    if (word.length + 3 > sizeof alias)
        return NULL;
    alias[0] = ' ';
    memcpy(alias + 1, word.data, word.length);
    memcpy(alias + 1 + word.length, " ", 2);
    for (size_t i = 0; i < NUM_COMMANDS; i++)
        if (strstr(commands[i].aliases, alias))
            return &commands[i];
    return NULL;
}

static void unknown_command(struct we_chat *chat, struct we_str word)
{
    const char *best = NULL;
    size_t best_distance = word.length / 3 + 2;
    for (size_t i = 0; i < NUM_COMMANDS; i++) {
        struct we_str name = we_str_c(commands[i].name);
        size_t distance = word.length > 1 && we_str_starts_with(name, word) ? 1 : we_str_distance(word, name);
        if (distance < best_distance) {
            best_distance = distance;
            best = commands[i].name;
        }
    }
    chat->failed = true;
    if (best)
        we_fail_text(chat->args->command, "there is no command %.*s; did you mean %s?", WE_STR_ARG(word), best);
    else
        we_fail_text(chat->args->command, "there is no command %.*s; /help lists them. A space before it makes it a message.",
                     WE_STR_ARG(word));
}

bool we_chat_command(struct we_chat *chat, const char *line)
{
    size_t length = strcspn(line, " \t\n");
    struct we_str word = we_str(line, length);
    /* "/etc/hosts says ..." is a message. */
    if (line[0] != '/' || memchr(line + 1, '/', length ? length - 1 : 0))
        return false;
    const struct chat_command *command = find_command(word);
    const char *argument = line + length + strspn(line + length, " \t\n");
    if (command == NULL) {
        unknown_command(chat, word);
        return true;
    }
    char *text = strdup(argument);
    if (text == NULL) {
        chat->failed = true;
        we_fail_text(chat->args->command, "out of memory");
        return true;
    }
    size_t end = strlen(text);
    while (end && strchr(" \t\n", text[end - 1]))
        text[--end] = '\0';
    if (end && command->argument == NULL) {
        chat->failed = true;
        we_fail_text(chat->args->command, "%s takes nothing after it, but '%s' is there", command->name, text);
    } else if (end == 0 && command->needs_argument) {
        chat->failed = true;
        we_fail_text(chat->args->command, "%s needs a name: %s %s", command->name, command->name, command->argument);
    } else {
        command->run(chat, end ? text : NULL);
    }
    free(text);
    return true;
}

/* ---- completion ---- */

struct words {
    struct we_arena *arena;
    char **list;
    size_t count, capacity;
    struct we_str prefix;
};

static bool add_word(struct words *words, const char *word)
{
    for (const char *p = word; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            return true; /* a file may be called anything */
    if (!we_str_starts_with(we_str_c(word), words->prefix))
        return true;
    if (words->count == words->capacity) {
        size_t capacity = words->capacity ? words->capacity * 2 : 16;
        char **more = we_arena_array(words->arena, capacity, sizeof *more);
        if (more == NULL)
            return false;
        if (words->count)
            memcpy(more, words->list, words->count * sizeof *more);
        words->list = more;
        words->capacity = capacity;
    }
    char *copy = we_arena_copy(words->arena, we_str_c(word));
    if (copy)
        words->list[words->count++] = copy;
    return copy != NULL;
}

static bool add_remote_name(void *context, const char *name)
{
    struct we_buf word = {0};
    we_buf_printf(&word, "#%s", name);
    bool ok = !word.failed && add_word(context, word.data);
    we_buf_free(&word);
    return ok;
}

static bool add_entry(void *context, const struct we_store_entry *entry)
{
    return !entry->complete || add_word(context, entry->name);
}

/* Names in the folder that the path so far leads to; folders end in a slash. */
static void add_files(struct words *words)
{
    size_t folder_length = words->prefix.length;
    while (folder_length && words->prefix.data[folder_length - 1] != '/')
        folder_length--;
    char *folder = we_arena_copy(words->arena, we_str(words->prefix.data, folder_length));
    const char *home = getenv("HOME");
    char **names;
    size_t count;
    struct we_error ignored;
    if (folder == NULL)
        return;
    const char *place = folder[0] == '~' && folder[1] == '/' && home ? we_path_join(words->arena, home, folder + 2) : folder;
    if (place == NULL || we_list_directory(*place ? place : ".", words->arena, &names, &count, &ignored) != WE_OK)
        return;
    bool hidden = words->prefix.data[folder_length] == '.';
    for (size_t i = 0; i < count; i++) {
        struct we_buf word = {0};
        char *path = we_path_join(words->arena, *place ? place : ".", names[i]);
        if (path == NULL || (names[i][0] == '.' && !hidden))
            continue;
        we_buf_printf(&word, "%s%s%s", folder, names[i], we_path_is_directory(path) ? "/" : "");
        bool ok = !word.failed && add_word(words, word.data);
        we_buf_free(&word);
        if (!ok)
            return;
    }
}

size_t we_chat_complete(void *context, const char *line, struct we_arena *arena, char ***list, size_t *count)
{
    struct we_chat *chat = context;
    struct words words = {.arena = arena};
    struct we_error ignored;
    size_t length = strcspn(line, " "), start = 0;
    if (line[0] != '/')
        return 0;
    if (line[length] == '\0') {
        words.prefix = we_str(line, length);
        for (size_t i = 0; i < NUM_COMMANDS && add_word(&words, commands[i].name); i++)
            ;
    } else {
        const struct chat_command *command = find_command(we_str(line, length));
        start = length + strspn(line + length, " ");
        words.prefix = we_str_c(line + start);
        if (command && command->kind == WE_VALUE_MODEL && words.prefix.length && words.prefix.data[0] == '#') {
            if (we_model_info(chat->model)->endpoint)
                (void)we_chat_endpoint_models(chat, add_remote_name, &words, &ignored);
        } else if (command && command->kind == WE_VALUE_MODEL)
            we_store_list(we_settings_text(chat->args->settings, WE_SETTING_MODELS_DIR), add_entry, &words, &ignored);
        else if (command && command->kind == WE_VALUE_FILE)
            add_files(&words);
    }
    *list = words.list;
    *count = words.count;
    return start;
}
