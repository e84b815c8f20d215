/* What the tests of the engine share: the golden files of tests/models, models opened by name, copies of model
 * directories that a test may break. */
#ifndef WE_TESTS_ENGINE_SUPPORT_H
#define WE_TESTS_ENGINE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/json.h"

#include <whisperengine.h>
#include <whisperengine_tools.h>

/* Up to this difference of mlx-lm's two highest logits, another order of summation may pick the other token. */
#define CLOSE_CALL 1e-3

/* Names of the tiny models that have golden files; ended by NULL. */
extern const char *const model_names[];

/* Path of tests/models/NAME, in one of a few static buffers. */
const char *model_path(const char *name);

/* ---- golden files ---- */

struct golden_reply {
    uint32_t *tokens; /* (count) */
    double *gaps;     /* (count + 1 if it stopped at an end token); NULL for samples */
    size_t count;
    bool stopped; /* at an end token */
};

struct golden_case {
    const char *name;
    enum we_rope_compat compat;
    uint32_t *ids; /* (num_ids) */
    size_t num_ids;
    uint32_t *rows;      /* (num_rows) whose logits stand in `logits` */
    const float *logits; /* (num_rows, vocab_size) */
    size_t num_rows;
    struct golden_reply greedy;
    const struct we_json *samples; /* an array, or NULL */
};

struct golden {
    struct we_arena arena;
    const struct we_json *json;
    uint32_t vocab_size;
    struct golden_case *cases; /* (num_cases) */
    size_t num_cases;
};

/* Reads golden/NAME.json and NAME.f32 of tests/models. Fails the test if it cannot. */
void golden_open(const char *name, struct golden *golden);
void golden_close(struct golden *golden);
const struct golden_case *golden_find(const struct golden *golden, const char *name);

const struct we_json *json_file(struct we_arena *arena, const char *path);
uint32_t *json_u32s(struct we_arena *arena, const struct we_json *array, size_t *count);
double *json_doubles(struct we_arena *arena, const struct we_json *array);
/* The settings of a golden sample: temperature, top_p, ..., seed. */
void sampling_from_json(const struct we_json *json, struct we_arena *arena, struct we_sampling *sampling);
struct golden_reply golden_reply_from_json(const struct we_json *json, struct we_arena *arena);

/* ---- models and replies ---- */

/* Opens a model; fails the test if it cannot. `options` may be NULL. */
struct we_model *open_model(const char *path, const struct we_model_options *options);

/* A greedy request for ids. */
struct we_request greedy_request(const struct we_model *model, const uint32_t *ids, size_t num_ids, uint32_t max_tokens);

/* Generates; fails the test if that fails. */
struct we_result generate(struct we_model *model, const struct we_request *request);

/* Fails the test unless `result` is the golden reply, as far as that goes: up to the first close call. Returns how many
 * tokens were compared. */
size_t assert_reply(const char *what, const struct we_result *result, const struct golden_reply *golden);

/* Root of the mean square of the difference of two rows, relative to that of `expected`; infinite if a value is not finite. */
double relative_rms(const float *found, const float *expected, size_t count);

/* ---- files ---- */

/* A new empty folder, in the arena; remove_folder removes it with all that is in it. */
char *make_folder(struct we_arena *arena);
void remove_folder(const char *path);
/* A copy of a model's directory within `folder`, in the arena. */
char *copy_model(struct we_arena *arena, const char *name, const char *folder);
/* Replaces `from` by `to` wherever it stands in DIRECTORY/NAME; fails the test if it stands nowhere. */
void edit_file(const char *directory, const char *name, const char *from, const char *to);
void write_file(const char *directory, const char *name, const void *data, size_t size);
void append_path(char out[4096], const char *directory, const char *name);

#endif
