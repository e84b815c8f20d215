/* A subcommand is a row of data (its options, the settings it takes, its help) and a function. The parser, the help
 * text and the shell completion all read the row. */
#ifndef WE_CLI_COMMAND_H
#define WE_CLI_COMMAND_H

#include "config/settings.h"

enum we_exit { WE_EXIT_OK = 0, WE_EXIT_FAILED = 1, WE_EXIT_USAGE = 2, WE_EXIT_INTERRUPTED = 130 };

/* What the value of an option is, for completion. */
enum we_value_kind { WE_VALUE_ANY = 0, WE_VALUE_FILE, WE_VALUE_DIRECTORY, WE_VALUE_MODEL, WE_VALUE_COMMAND };

struct we_option {
    const char *name, *alias; /* "--prompt", "-p" or NULL */
    const char *argument;     /* what help calls the value; NULL: a switch without one */
    const char *help;
    enum we_value_kind kind;
    const char *choices;      /* "a|b": what it may be; NULL: anything of its kind */
};

struct we_args;

struct we_command {
    const char *name;
    const char *summary;                  /* one line, without a full stop */
    const char *synopsis;                 /* what follows the name in "Usage:" */
    uint32_t min_operands, max_operands;
    enum we_value_kind operand_kind;
    const char *operand_choices;          /* "a|b" or NULL; with WE_VALUE_MODEL, a model too */
    const struct we_option *options;      /* (num_options) */
    size_t num_options;
    uint64_t settings;                    /* bit i: takes the flag of setting i */
    bool takes_wrong_settings;            /* it tells about them itself */
    bool takes_broken_file;               /* likewise about a .env that cannot be read: args->file_problem */
    const char *unbuilt;                  /* flags whose work is not built yet: " --a --b " */
    const char *details;                  /* paragraphs of the help text */
    const char *examples;                 /* lines of it */
    int (*run)(const struct we_args *args);
};

#define WE_TAKES(id) (UINT64_C(1) << WE_SETTING_##id)
#define WE_TAKES_STORE (WE_TAKES(MODEL) | WE_TAKES(MODELS_DIR))
#define WE_TAKES_DEVICE                                                                                                         \
    (WE_TAKES(ADAPTER) | WE_TAKES(DEVICE) | WE_TAKES(ISA) | WE_TAKES(THREADS) | WE_TAKES(PRECISION) | WE_TAKES(REPACK) | WE_TAKES(ROPE_COMPAT) |    \
     WE_TAKES(CONTEXT) | WE_TAKES(MEMORY_LIMIT))
#define WE_TAKES_SAMPLING                                                                                                       \
    (WE_TAKES(MAX_TOKENS) | WE_TAKES(TEMPERATURE) | WE_TAKES(TOP_P) | WE_TAKES(MIN_P) | WE_TAKES(MIN_TOKENS_TO_KEEP) |          \
     WE_TAKES(TOP_K) | WE_TAKES(XTC_PROBABILITY) | WE_TAKES(XTC_THRESHOLD) | WE_TAKES(REPETITION_PENALTY) |                     \
     WE_TAKES(PRESENCE_PENALTY) | WE_TAKES(FREQUENCY_PENALTY) | WE_TAKES(REPETITION_CONTEXT) | WE_TAKES(SEED))
#define WE_TAKES_ENDPOINT (WE_TAKES(CONNECTION_TIMEOUT) | WE_TAKES(REQUEST_TIMEOUT) | WE_TAKES(FALLBACK))
#define WE_TAKES_SYSTEM_PROMPT (WE_TAKES(SYSTEM_PROMPT) | WE_TAKES(SYSTEM_PROMPT_FILE))

/* The commands, in the order of the help text. */
extern const struct we_command *const we_commands[];
extern const size_t we_num_commands;

/* NULL if there is none of that name. */
const struct we_command *we_command_find(const char *name);
/* The flags that a command takes, one after the other: its own options, then settings, then those of all commands. False: index
 * is behind the last one. */
bool we_command_flag(const struct we_command *command, size_t index, struct we_option *flag);
/* Planned, but not built yet. */
bool we_command_is_planned(const char *name);

extern const struct we_command we_command_run, we_command_chat, we_command_tokenize, we_command_detokenize, we_command_render,
    we_command_logits, we_command_perplexity, we_command_convert, we_command_show, we_command_list, we_command_pull, we_command_remove,
    we_command_bench, we_command_help, we_command_completion, we_command_use, we_command_config, we_command_validate;

#endif
