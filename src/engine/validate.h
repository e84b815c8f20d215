/* The checks of a machine and of a model: what the files validate*.c share. */
#ifndef WE_ENGINE_VALIDATE_H
#define WE_ENGINE_VALIDATE_H

#include "engine/model.h"
#include "format/remake.h"

#include <whisperengine_tools.h>

/* In the arena, a list. */
struct we_broken_file {
    const char *name;
    struct we_broken_file *next;
};

struct we_validator {
    const struct we_validate_options *options;
    struct we_model_options model; /* as the options say, or the defaults */
    const char *group;
    bool stopped; /* by on_check */
    bool out_of_memory;
    struct we_arena arena;

    /* Of a model. */
    const char *path;
    const char *again;             /* the command that fetches the model again; where it came from unknown: that lists others */
    const char *known_name;        /* "ORG/NAME", or NULL */
    bool listed;                   /* the directory can be read */
    struct we_broken_file *broken; /* the files that a check has found broken */
    struct we_config config;       /* json NULL: it could not be read */
    struct we_quantization quantization;
    struct we_safetensors *weights; /* NULL: they could not be opened */
    struct we_decoder decoder;
    bool described;                         /* decoder is filled: config and weights agree */
    bool text_sound;                        /* tokenizer, template and end tokens */
    struct we_tokenizer *tokenizer;         /* NULL: none that works */
    struct we_chat_template *chat_template; /* likewise */
    uint32_t turn_end;                      /* the special token that the template writes behind a reply; UINT32_MAX: none */
    struct we_model *opened;                /* as the options say */
    uint32_t *ids; /* (num_ids): a text that most models know, or ids of the vocabulary if there is no tokenizer */
    uint32_t num_ids;
    double decode_tps, prefill_tps; /* roughly, from the first tokens; 0: not known */
};

/* Tells a check. hint: NULL, or a command. */
void we_check(struct we_validator *v, enum we_check_mark mark, const char *name, const char *hint, const char *format, ...)
    WE_PRINTF(5, 6);
/* A check that failed (or is a warning) for this reason. */
void we_check_error(struct we_validator *v, enum we_check_mark mark, const char *name, const char *hint,
                    const struct we_error *error);
void we_step(struct we_validator *v, const char *what);

/* A formatted text in the arena; never NULL. */
const char *we_validator_text(struct we_validator *v, const char *format, ...) WE_PRINTF(2, 3);
/* A text of a model in quotes, short enough for a line. */
const char *we_validator_quote(struct we_validator *v, struct we_str text);
/* A path as one word of a shell. */
const char *we_shell_word(struct we_validator *v, const char *text);

/* A file is broken, which has been told: what reads it need not say so again. */
void we_mark_broken(struct we_validator *v, const char *name);
bool we_is_broken(const struct we_validator *v, const char *name);

/* The groups, in this order. Each returns false if what follows makes no sense. */
bool we_validate_files(struct we_validator *v);   /* every file by itself */
void we_validate_record(struct we_validator *v);  /* against what a download knows of them */
bool we_validate_weights(struct we_validator *v); /* index, shards, config, values */
/* Finite. remake: how the files hold those tensors that have another form there. */
bool we_validate_values(struct we_validator *v, const struct we_model_tensors *tensors, const struct we_remake *remake);
bool we_validate_text(struct we_validator *v);                                           /* tokenizer, template, end tokens */
bool we_validate_memory(struct we_validator *v);
bool we_validate_generation(struct we_validator *v); /* opens the model */
void we_validate_integration(struct we_validator *v);
void we_validate_speed(struct we_validator *v);

/* ---- models whose replies are known (validate_known.c) ---- */

struct we_known_model {
    const char *name; /* "ORG/NAME" */
    const char *model_type;
    uint32_t hidden_size, num_layers, vocab_size, bits; /* by which one without its name is recognised */
    const char *messages;                               /* a request: the prompt of the first reply */
    /* What follows greedily, before an end token. One is too short to tell small differences of the config. */
    struct {
        const uint32_t *prompt, *reply;
        uint32_t num_prompt, num_reply;
    } replies[2];
    const char *text; /* of the first reply */
};
/* Greedy sampling, with which a reply is the same each time. */
extern const struct we_sampling we_validate_greedy;
extern const struct we_known_model we_known_models[];
extern const size_t we_num_known_models;
/* By name or, *by_name false, by shape: then another model may be like it. NULL: none. */
const struct we_known_model *we_known_model_find(const struct we_validator *v, bool *by_name);

#endif
