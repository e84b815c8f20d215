/* WhisperEngine's second public header: what tools need around a model: finding and converting models, the inner
 * steps of generation, measurements. The conventions are those of <whisperengine.h>. */
#ifndef WHISPERENGINE_TOOLS_H
#define WHISPERENGINE_TOOLS_H

#include <whisperengine.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the store: models on disk ---- */

/* The directory of a model: a path, "ORG/NAME" below MODELS_DIR/mlx or in the Hugging Face cache, "mlx://ORG/NAME".
 * models_dir NULL: the default. *path is the caller's (free). WE_NOT_FOUND lists the nearest names that are there. */
WE_API we_status we_store_find(const char *models_dir, const char *name, char **path, struct we_error *error);

struct we_store_entry {
    const char *name;      /* "ORG/NAME" */
    const char *path;
    uint64_t bytes;        /* of all its files */
    int64_t last_used;     /* seconds since 1970: when its weights were last read */
    bool complete;         /* has config.json and all the weights that its index names */
    bool in_hub_cache;     /* in the Hugging Face cache, not below models_dir */
};
typedef bool we_store_fn(void *context, const struct we_store_entry *entry); /* return false to stop */

/* Calls `visit` for each model, sorted by name. */
WE_API we_status we_store_list(const char *models_dir, we_store_fn *visit, void *context, struct we_error *error);

/* Removes a model below models_dir and tells the bytes that this freed. WE_NOT_FOUND lists the nearest names; a model that is in the
 * Hugging Face cache alone is not touched (WE_UNSUPPORTED). */
WE_API we_status we_store_remove(const char *models_dir, const char *name, uint64_t *freed, struct we_error *error);

/* ---- models from the Hugging Face Hub ---- */

struct we_pull_options { /* starts as {0} */
    const char *models_dir; /* NULL: the default */
    const char *endpoint;   /* NULL: "https://huggingface.co" */
    const char *token;      /* of an account, or NULL. It is sent to the endpoint alone, never to where that redirects. */
    bool offline;           /* fail where the network would be needed */
    bool check;             /* read every byte of what is there, and fetch again what is broken or missing */
    bool force;             /* ask the Hub even if the model is there, and fetch what differs */
    uint32_t connections;   /* 0: 4 */
    uint32_t retries;       /* of a request that fails again and again without any progress; 0: 5 */
    bool (*on_progress)(void *context, const char *what, uint64_t done, uint64_t total); /* bytes; return false to stop; may be NULL */
    void (*on_note)(void *context, const char *text); /* "another process works on this model; ..."; may be NULL */
    void *context;
};
enum we_pull_outcome {
    WE_PULL_WAS_THERE,    /* nothing had to be fetched */
    WE_PULL_IN_HUB_CACHE, /* the same: `path` is in the Hugging Face cache, which is used in place */
    WE_PULL_FETCHED,
    WE_PULL_VERIFIED,     /* `check`: all is well */
    WE_PULL_REPAIRED      /* `check`: it is now */
};
struct we_pull_result {
    enum we_pull_outcome outcome;
    char *path;              /* of the model's directory */
    char commit[41];         /* its revision; "": not known */
    uint32_t num_files, num_fetched, num_broken;
    uint64_t fetched_bytes;
};
/* Fetches "ORG/NAME" or "ORG/NAME@REVISION" into models_dir, as mlx/ORG/NAME, unless it is there. A file gets its name when its
 * hash is that of the Hub; what was fetched before an error or a kill is used the next time. Two calls for one model, in any
 * processes, do the work once. WE_NOT_FOUND lists the nearest names on the Hub; WE_IO_ERROR: network, disk, rights;
 * WE_INVALID_FORMAT: the Hub's answer, or bytes that are not those it announces; WE_CANCELLED. */
WE_API we_status we_pull(const char *name, const struct we_pull_options *options, struct we_pull_result *result,
                         struct we_error *error);
WE_API void we_pull_result_clear(struct we_pull_result *result);

/* ---- endpoints of OpenAI's API ---- */

typedef bool we_name_fn(void *context, const char *name); /* return false to stop */
/* Calls `visit` for each model of "http(s)://HOST/v1". Of the options (or NULL), api_key and the timeouts are used. An endpoint
 * that answers but does not list its models has none. Errors: as we_model_open. */
WE_API we_status we_endpoint_models(const char *address, const struct we_model_options *options, we_name_fn *visit,
                                    void *context, struct we_error *error);

/* ---- a model directory, looked at without loading it ---- */

struct we_model_summary; /* opaque */
WE_API we_status we_model_summary_open(const char *path, struct we_model_summary **summary, struct we_error *error);
/* The same for a model as `options` would open it (NULL: the defaults): that decides what KV cache and scratch memory take. */
WE_API we_status we_model_summary_open_as(const char *path, const struct we_model_options *options,
                                          struct we_model_summary **summary, struct we_error *error);
WE_API void we_model_summary_close(struct we_model_summary *summary);

struct we_quantization_count { /* modules that share a format */
    char name[32];             /* "affine 4 bits, group 64"; "bfloat16" */
    uint32_t num_modules;
    uint64_t num_parameters, bytes;
};
struct we_model_facts {
    const char *path, *model_type, *architecture; /* architecture: the first of "architectures", or NULL */
    uint64_t num_parameters, weight_bytes, kv_position_bytes;
    uint64_t state_bytes; /* of mixers that keep a state for each sequence, however long it is; 0: there are none */
    double bits_per_weight;
    uint32_t hidden_size, num_layers, num_attention_heads, num_key_value_heads, head_dim, vocab_size, context_length;
    bool tied_embeddings, has_tokenizer, has_chat_template;
    const struct we_quantization_count *quantizations; /* (num_quantizations), the largest first */
    size_t num_quantizations;
    const char *const *files; /* (num_files), sorted */
    const uint64_t *file_bytes;
    size_t num_files;
};
WE_API const struct we_model_facts *we_model_summary_facts(const struct we_model_summary *summary);
/* Bytes to run one sequence of `context` positions: weights, KV cache and scratch memory. */
WE_API uint64_t we_model_summary_memory(const struct we_model_summary *summary, uint32_t context);

/* ---- validation ---- */

enum we_check_mark {
    WE_CHECK_PASSED = 0,
    WE_CHECK_WARNING, /* it works, but not as it should */
    WE_CHECK_FAILED,
    WE_CHECK_SKIPPED  /* there was nothing to look at, or what it needs has failed */
};
struct we_check {
    const char *group; /* "files": checks of one group follow each other */
    const char *name;  /* "weights": the same in every version */
    enum we_check_mark mark;
    const char *text; /* what was found, in one or more lines */
    const char *hint; /* a command that helps, to be pasted into a shell; NULL: none is needed */
};
typedef bool we_check_fn(void *context, const struct we_check *check); /* return false to stop */

struct we_validate_options { /* starts as {0} */
    const struct we_model_options *model; /* as the model would be opened; NULL: the defaults */
    bool full;                            /* read every byte that has a hash, however long it takes */
    bool no_speed;                        /* measure nothing */
    we_check_fn *on_check;
    void (*on_step)(void *context, const char *what); /* "reading the weights"; may be NULL */
    void *context;
};

/* Each hands its checks to on_check, in groups, and returns WE_OK also where some have failed; WE_CANCELLED if on_check said
 * so; WE_OUT_OF_MEMORY.
 * The machine: "platform" (system, instruction sets, memory, back-ends). */
WE_API we_status we_validate_platform(const struct we_validate_options *options, struct we_error *error);
/* A model on this machine, a directory or ORG/NAME: "files" (all are there, whole, and agree), "memory", and of what is sound
 * "generation" (tokens, logits, a known reply), "integration" (template, streaming, stop, sampling) and "speed" (against the
 * bandwidth that is measured beside it). The files are not changed. */
WE_API we_status we_validate_model(const char *name, const struct we_validate_options *options, struct we_error *error);

/* ---- the inner steps ---- */

/* What takes `path` reads only the tokenizer files of that directory. Results are the caller's (free). */
WE_API we_status we_tokenize(const char *path, const char *text, size_t length, bool add_special, uint32_t **ids, size_t *count,
                             struct we_error *error);
WE_API we_status we_detokenize(const char *path, const uint32_t *ids, size_t count, char **text, size_t *length,
                               struct we_error *error);

/* The prompt that the chat template makes of a request (see we_request.messages). template_file, unless NULL, takes the
 * place of the model's; then `path` may be NULL, and bos_token and the like come from the request alone. */
WE_API we_status we_render(const char *path, const char *template_file, const char *request, char **text, size_t *length,
                           struct we_error *error);

/* Receives the logits (vocab_size) that follow ids[index]; return false to stop. */
typedef bool we_logits_fn(void *context, size_t index, const float *logits);
WE_API we_status we_logits(struct we_model *model, const uint32_t *ids, size_t count, we_logits_fn *on_row, void *context,
                           struct we_error *error);
/* The same through steps of decode, one id at a time: in FAST precision the arithmetic is that of decode, not of prefill. */
WE_API we_status we_logits_decode(struct we_model *model, const uint32_t *ids, size_t count, we_logits_fn *on_row, void *context,
                                  struct we_error *error);
/* What we_logits gives, into a safetensors file: one float32 tensor "logits" (count, vocab_size). */
WE_API we_status we_logits_write(struct we_model *model, const uint32_t *ids, size_t count, const char *path,
                                 struct we_error *error);

/* ---- perplexity ---- */

struct we_token_score {
    double loss;  /* minus the logarithm of the probability that the model gave to this token */
    uint32_t top; /* the one it held most likely */
};
struct we_perplexity_options { /* starts as {0} */
    uint32_t window;      /* ids that are read at a time, each window for itself; 0: 512, or all if there are fewer */
    uint32_t max_windows; /* 0: all that are full */
    bool (*on_progress)(void *context, uint64_t done, uint64_t total); /* tokens; return false to stop; may be NULL */
    void *context;
};
struct we_perplexity {
    double perplexity, standard_error; /* of the perplexity: that of the mean loss, times the perplexity */
    double loss;                       /* mean of all tokens */
    size_t window, num_windows, num_tokens;
    struct we_token_score *scores;     /* (num_tokens): window - 1 of each window, since its first id is given */
};
/* As mlx-lm's: the ids are cut into windows, what is left at the end is passed over, and the perplexity is the exponential of the mean
 * loss. WE_INVALID_ARGUMENT for less than two ids. Release it with we_perplexity_clear. */
WE_API we_status we_perplexity(struct we_model *model, const uint32_t *ids, size_t count,
                               const struct we_perplexity_options *options, struct we_perplexity *result, struct we_error *error);
WE_API void we_perplexity_clear(struct we_perplexity *result);

/* ---- conversion ---- */

struct we_convert_options { /* starts as {0} */
    /* Type of plain weights, scales and biases: "float16", "bfloat16", "float32". NULL: for a checkpoint what its config says
     * (torch_dtype), else its own; for GGUF the one that keeps the values exact. */
    const char *dtype;
    bool (*on_progress)(void *context, uint64_t done, uint64_t total); /* bytes written; return false to stop; may be NULL */
    void *context;
    bool quantize, dequantize;    /* not both */
    const char *q_mode;           /* "affine" (the default), "mxfp4", "mxfp8", "nvfp4" */
    uint32_t q_bits, q_group_size; /* 0: the default of the mode; affine 4 and 64 */
    /* A mixed recipe ("mixed_2_6", "mixed_3_4", "mixed_3_6", "mixed_4_6"), or the path of a JSON file that says for modules, by
     * name or by pattern, what they get: {"lm_head": false, "*.down_proj": {"bits": 6, "group_size": 64}}. */
    const char *quant_predicate;
    void (*on_note)(void *context, const char *text); /* "4.503 bits per weight"; may be NULL */
};
/* A checkpoint in safetensors (a directory, as Hugging Face has it, or an MLX model) or a GGUF file to a new MLX model directory,
 * which appears under its name only when it is complete. Never overwrites. Weights, scales and biases are those that mlx-lm's
 * convert makes on a CPU, bit for bit. */
WE_API we_status we_convert(const char *source, const char *destination, const struct we_convert_options *options,
                            struct we_error *error);

/* ---- measurements ---- */

/* Bytes a second that `threads` threads read together from memory (0: the processors that this process may use). */
WE_API we_status we_measure_bandwidth(uint32_t threads, double *bytes_per_second, struct we_error *error);

struct we_bench_options {
    uint32_t prompt_tokens, generated_tokens, repeats;
    uint32_t sequences; /* that run side by side, each with a prompt of its own; 0: 1 */
    bool no_warm_up;    /* what was run before has warmed up what there is to warm up */
};
struct we_bench_run { /* of one repeat; rates are those of all sequences together */
    double prefill_tps, decode_tps, time_to_first_token;
};
/* Runs random ids: a prompt of prompt_tokens, then generated_tokens steps of decode that start at that context.
 * `runs` has room for `repeats`. The model must have been opened with as high a max_sequences. */
WE_API we_status we_bench(struct we_model *model, const struct we_bench_options *options, struct we_bench_run *runs,
                          struct we_error *error);

struct we_bench_start {
    double load_seconds;        /* that we_model_open took */
    double first_token_seconds; /* from the call of it until a prompt of one id had its token: by then the weights have been read */
    uint64_t kept_bytes;        /* cold: of the model's files in memory, although they were to be forgotten */
    uint64_t file_bytes;        /* cold: of all the model's files */
};
/* Opens a model as we_model_open does, runs one id, and closes it. cold: the system is asked to forget the model's files first, for
 * which no right but that to read them is needed; it keeps what a process has open (the caller's own model included), and it may
 * say that it forgot nothing. WE_UNSUPPORTED: an endpoint's model, or (cold) a system that cannot be asked. */
WE_API we_status we_bench_start(const char *name, const struct we_model_options *options, bool cold, struct we_bench_start *start,
                                struct we_error *error);

/* Largest resident size of this process so far, in bytes. */
WE_API uint64_t we_peak_memory(void);

#ifdef __cplusplus
}
#endif
#endif
