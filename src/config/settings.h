/* Settings: one table says key, flag, environment names, type, range, default and help of each. The effective value is
 * that of the first layer that has one: a flag, the process environment, .env, the model's generation_config.json,
 * the default.
 *
 * A command line does:
 *     we_settings_open(config_file or NULL, &settings, &error);
 *     for each flag: setting = we_setting_by_flag("--temp"); we_settings_set(settings, setting->id, "0.5", &error);
 *     we_settings_check(settings, &error);        a wrong value in the environment or in .env fails here, by name
 *     we_settings_export(settings);               HF_HOME from .env
 *     we_settings_model_options(settings, &options);  we_model_open(...)
 *     we_sampling_init(&sampling, model);  we_settings_sampling(settings, &sampling); */
#ifndef WE_CONFIG_SETTINGS_H
#define WE_CONFIG_SETTINGS_H

#include "base/buf.h"
#include "base/error.h"

enum we_setting_id {
    WE_SETTING_MODEL,
    WE_SETTING_MODELS_DIR,
    WE_SETTING_ADAPTER,
    WE_SETTING_HF_HOME,
    WE_SETTING_HF_HUB_CACHE,
    WE_SETTING_HF_ENDPOINT,
    WE_SETTING_HF_TOKEN,
    WE_SETTING_HF_HUB_OFFLINE,
    WE_SETTING_SYSTEM_PROMPT,
    WE_SETTING_SYSTEM_PROMPT_FILE,
    WE_SETTING_API_KEY,
    WE_SETTING_REMOTE_MODEL,
    WE_SETTING_LM_STUDIO_URL,
    WE_SETTING_OLLAMA_URL,
    WE_SETTING_REMOTE_URL,
    WE_SETTING_CONNECTION_TIMEOUT,
    WE_SETTING_REQUEST_TIMEOUT,
    WE_SETTING_FALLBACK,
    WE_SETTING_MAX_TOKENS,
    WE_SETTING_TEMPERATURE,
    WE_SETTING_TOP_P,
    WE_SETTING_MIN_P,
    WE_SETTING_MIN_TOKENS_TO_KEEP,
    WE_SETTING_TOP_K,
    WE_SETTING_XTC_PROBABILITY,
    WE_SETTING_XTC_THRESHOLD,
    WE_SETTING_REPETITION_PENALTY,
    WE_SETTING_PRESENCE_PENALTY,
    WE_SETTING_FREQUENCY_PENALTY,
    WE_SETTING_REPETITION_CONTEXT,
    WE_SETTING_SEED,
    WE_SETTING_DEVICE,
    WE_SETTING_ISA,
    WE_SETTING_THREADS,
    WE_SETTING_PRECISION,
    WE_SETTING_REPACK,
    WE_SETTING_ROPE_COMPAT,
    WE_SETTING_CONTEXT,
    WE_SETTING_MEMORY_LIMIT,
    WE_SETTING_LOG_LEVEL,
    WE_SETTING_LOG_DIR,
    WE_SETTING_DATA_DIR,
    WE_SETTING_UI_THEME,
    WE_SETTING_START_MINIMIZED,
    WE_SETTING_SYSTEM_TRAY,
    WE_SETTING_HISTORY_LIMIT,
    WE_SETTING_AUTO_SAVE,
    WE_NUM_SETTINGS
};

enum we_setting_type {
    WE_SETTING_TEXT,
    WE_SETTING_PATH,    /* "~/" is expanded; relative paths in .env are meant from its folder */
    WE_SETTING_INTEGER, /* unsigned */
    WE_SETTING_NUMBER,
    WE_SETTING_BYTES,  /* an unsigned number, alone or with K, M, G or T (powers of 1024) */
    WE_SETTING_CHOICE, /* in any case; the value is as the table writes it */
    WE_SETTING_SWITCH  /* 1, true, yes or on; 0, false, no or off: an integer, 1 or 0 */
};

/* Groups of the help text. */
enum we_setting_group { WE_GROUP_MODEL, WE_GROUP_REMOTE, WE_GROUP_SAMPLING, WE_GROUP_DEVICE, WE_GROUP_INTERFACE };

struct we_setting {
    enum we_setting_id id;
    const char *key;            /* "temperature" */
    const char *flag;           /* "--temp"; NULL: none */
    const char *alias;          /* a second spelling of the flag ("-m", "--temperature"), or NULL */
    const char *environment[4]; /* names, the strongest first; ended by NULL */
    enum we_setting_group group;
    enum we_setting_type type;
    double min, max;      /* of numbers, both included */
    const char *choices;  /* "exact|fast", for a choice */
    const char *initial;  /* the default as text, or NULL: whoever uses it decides */
    const char *argument; /* what help calls the value: "N" */
    const char *help;     /* one line, without a full stop */
    bool secret;          /* its value is never shown */
};

/* The row of an id; rows are in the order of the ids. */
const struct we_setting *we_setting_row(enum we_setting_id id);
/* The row whose flag or alias is `flag` ("--temp"), or whose key is `key`; NULL if there is none. */
const struct we_setting *we_setting_by_flag(const char *flag);
const struct we_setting *we_setting_by_key(const char *key);
/* The flag nearest to a mistyped one, or NULL. */
const char *we_setting_nearest_flag(const char *flag);

enum we_source { WE_SOURCE_DEFAULT, WE_SOURCE_MODEL, WE_SOURCE_FILE, WE_SOURCE_ENVIRONMENT, WE_SOURCE_FLAG };

struct we_settings; /* opaque */

/* Reads the process environment and the .env file: `config_file` (which must exist), or, if NULL, ./.env, or
 * else XDG_CONFIG_HOME/whisperengine/.env, or none. Errors: WE_INVALID_FORMAT with file and line, if one that cannot be read
 * names a variable of ours, or none can be read. */
we_status we_settings_open(const char *config_file, struct we_settings **settings, struct we_error *error);
/* The same, but a file that cannot be read, or a line of it, is left out: *problem says why the file was (status WE_OK: it was
 * read), and we_settings_problems which lines. */
we_status we_settings_open_anyway(const char *config_file, struct we_settings **settings, struct we_error *problem,
                                  struct we_error *error);
void we_settings_free(struct we_settings *settings);

/* The .env file that was read, or NULL. */
const char *we_settings_file(const struct we_settings *settings);

/* A flag's value. WE_INVALID_ARGUMENT names the flag, what was expected and what was found. */
we_status we_settings_set(struct we_settings *settings, enum we_setting_id id, const char *text, struct we_error *error);

/* Checks every effective value but those of WE_GROUP_INTERFACE, whose names other programs use too; WE_INVALID_ARGUMENT names
 * where a wrong one stands. Until then, or if it is not called, a wrong value counts as not set. */
we_status we_settings_check(const struct we_settings *settings, struct we_error *error);
/* The same for one setting of any group. */
we_status we_settings_check_one(const struct we_settings *settings, enum we_setting_id id, struct we_error *error);

/* The lines of .env that could not be read, and name none of our variables: the index-th, or false. Other programs may read
 * them. */
bool we_settings_unreadable(const struct we_settings *settings, size_t index, uint32_t *line, const char **what);

/* The names in .env that are none of ours, but so near to one that they are probably mistyped: the index-th, or false. */
bool we_settings_mistyped(const struct we_settings *settings, size_t index, const char **name, uint32_t *line,
                          const char **nearest);

/* The .env file that a change belongs into, from now on as we_settings_open chooses: the one that was read, else ./.env where
 * there is ./models, else the one in the XDG folder. *path is the caller's (free); its folder may have to be made. */
we_status we_settings_file_to_write(const struct we_settings *settings, char **path, struct we_error *error);

/* What the model's generation_config.json gives: pass what we_sampling_init made of it, for we_settings_source and
 * the getters. Without this call they fall back to the table's default. */
void we_settings_use_model(struct we_settings *settings, const struct we_sampling *of_model);

/* Effective values. Texts are as they were written, and valid until the settings are freed. */
enum we_source we_settings_source(const struct we_settings *settings, enum we_setting_id id);
/* Where the value stands: "--temp", "MLX_TEMPERATURE", ".env:3: MLX_TEMPERATURE", "generation_config.json", "default". */
const char *we_settings_origin(const struct we_settings *settings, enum we_setting_id id);
/* The same in parts: the variable is NULL unless it is the environment or .env, the file (and line) unless it is .env. */
struct we_setting_place {
    enum we_source source;
    const char *variable, *file;
    uint32_t line;
};
struct we_setting_place we_settings_place(const struct we_settings *settings, enum we_setting_id id);
/* What a flag, the environment or .env states, also if it is a wrong value; NULL: nothing. */
const char *we_settings_stated(const struct we_settings *settings, enum we_setting_id id);
/* An effective value as it may be shown: secrets are "********", and so are those in addresses; empty: not set. */
void we_settings_show(const struct we_settings *settings, enum we_setting_id id, struct we_buf *out);
/* The same for a text that may be an address: what stands before an @ in it is not shown. */
void we_show_address(const char *text, struct we_buf *out);
/* What .env says of a variable, or NULL; what the environment says is no matter. */
const char *we_settings_in_file(const struct we_settings *settings, const char *variable);
/* Stated by flag, environment or .env. */
bool we_settings_is_set(const struct we_settings *settings, enum we_setting_id id);
const char *we_settings_text(const struct we_settings *settings, enum we_setting_id id); /* NULL: not set, no default */
uint64_t we_settings_integer(const struct we_settings *settings, enum we_setting_id id); /* also bytes; 0: not set */
double we_settings_number(const struct we_settings *settings, enum we_setting_id id);    /* 0: not set */

/* Each overwrites the fields that a flag, the environment or .env states, and leaves the others as they are. */
void we_settings_sampling(const struct we_settings *settings, struct we_sampling *sampling);
void we_settings_model_options(const struct we_settings *settings, struct we_model_options *options);
void we_settings_request(const struct we_settings *settings, struct we_request *request); /* sampling and max_tokens */
/* The key and the name of the model for an endpoint that is to be opened as `model`. What .env states belongs to the endpoint
 * of .env: another one, which a flag or the environment names, gets it only if it is the same server. */
void we_settings_endpoint_options(const struct we_settings *settings, const char *model, struct we_model_options *options);

/* The system prompt: the text, or the contents of the file, that was set; *text is the caller's (free), NULL if none.
 * The stronger layer wins; within one, the text. */
we_status we_settings_system_prompt(const struct we_settings *settings, char **text, struct we_error *error);

/* Puts HF_HOME and HF_HUB_CACHE of .env into the process environment, where the store and other libraries look for
 * them, unless they are there. To be called before threads start. */
we_status we_settings_export(const struct we_settings *settings, struct we_error *error);

#endif
