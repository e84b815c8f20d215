/* The steps of converting a GGUF file to an MLX model directory. */
#ifndef WE_CONVERT_CONVERT_H
#define WE_CONVERT_CONVERT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/pool.h"
#include "convert/weights.h"
#include "format/gguf.h"
#include "tensor/quantize.h"

/* ---- gguf_config.c: the metadata, as the families' configs have it ---- */

enum we_gguf_family { WE_GGUF_LLAMA, WE_GGUF_PHI3 };
enum we_gguf_rope { WE_GGUF_ROPE_DEFAULT, WE_GGUF_ROPE_LINEAR, WE_GGUF_ROPE_YARN, WE_GGUF_ROPE_LLAMA3, WE_GGUF_ROPE_LONGROPE };

struct we_gguf_config {
    const char *path; /* of the file, for messages */
    enum we_gguf_family family;
    const char *prefix; /* of the metadata keys: "llama", "phi3" */
    uint32_t hidden_size, intermediate_size, num_layers, num_heads, num_kv_heads, head_dim, rotary_dim;
    uint32_t context_length, vocab_size, sliding_window; /* sliding_window: 0 if there is none */
    float rms_norm_eps, rope_theta;
    bool attention_bias, mlp_bias, tied;
    enum we_gguf_rope rope;
    float rope_factor;                    /* of linear, yarn and llama3 */
    uint32_t original_context;            /* of yarn, llama3 and longrope */
    const void *short_factor, *long_factor; /* float32 (rotary_dim / 2), at any alignment; longrope */
};

we_status we_gguf_config_read(const struct we_gguf *gguf, const char *path, struct we_gguf_config *config,
                              struct we_error *error);

/* ---- gguf_tensors.c: which tensors there are, and what becomes of them ---- */

struct we_gguf_weight {
    const struct we_gguf_tensor *tensor;
    const char *module, *suffix; /* "model.layers.0.self_attn.q_proj", "weight" */
    uint32_t rows, in;           /* of a vector: its length, 1 */
    bool vector;
    uint32_t permuted_heads;     /* rows of each head are stored for interleaved rope; 0: they are not */
    struct we_quant quant;
    bool exact;                  /* quantised as in the file; else through floats, if it is quantised here or there */
    enum we_dtype dtype;         /* of the data, or of scales and biases */
    const struct we_quantizer *quantizer; /* the best one: asking the processor takes long */
};

struct we_gguf_plan {
    struct we_gguf_weight *weights; /* (count), in the order in which they are written */
    size_t count;
    struct we_quant defaults; /* the format of most weights; mode NONE if none is quantised */
    enum we_dtype dtype;      /* of most of the rest */
};

/* Every tensor must be one that the family has, and of the shape that the config says; others are refused by name. */
we_status we_gguf_plan_make(const struct we_gguf *gguf, const struct we_gguf_config *config,
                            const struct we_convert_options *options, struct we_arena *arena, struct we_gguf_plan *plan,
                            struct we_error *error);
/* "but quantised again, with 8 bits: 12 of type Q6_K": what did not keep its values though nobody asked for it; empty if
 * there is nothing to tell. */
void we_gguf_plan_note(const struct we_gguf_plan *plan, const struct we_convert_options *options, char note[256]);
/* Its values. */
uint64_t we_gguf_weight_parameters(const struct we_gguf_weight *weight);

/* A pool of all processors, or of one where threads cannot be had. */
we_status we_convert_pool(struct we_pool **pool, struct we_error *error);

/* ---- gguf_blocks.c: rows of blocks ---- */

/* Bytes of a row in the file. */
size_t we_gguf_row_bytes(const struct we_gguf_weight *weight);
/* Where row `row` of the model lies in the file. */
const unsigned char *we_gguf_source_row(const struct we_gguf_weight *weight, uint32_t row);
/* One row: packed (in), scales and biases (in / group_size), or plain values. False if dtype cannot hold one of them. */
bool we_gguf_make_row(const struct we_gguf_weight *weight, const unsigned char *source, unsigned char *out, unsigned char *scales,
                      unsigned char *biases);
/* Whether float16 or bfloat16 hold every value (of scales and biases, if the weight is quantised) exactly. */
void we_gguf_exactness(const struct we_gguf_weight *weight, bool *f16, bool *bf16);
enum we_dtype we_gguf_float_type(uint32_t ggml_type);

/* ---- gguf_weights.c ---- */

/* The plan as weights to be written, in the arena; both must outlive them. */
we_status we_gguf_weights(const struct we_gguf *gguf, const struct we_gguf_plan *plan, struct we_arena *arena,
                          struct we_weights *weights, struct we_error *error);

/* ---- gguf_tokenizer.c, gguf_merges.c, gguf_pre_tokenizers.c ---- */

enum we_gguf_vocab_kind {
    WE_VOCAB_PIECES,    /* "llama": SentencePiece's BPE, of pieces with scores */
    WE_VOCAB_BYTES,     /* "gpt2": byte-level BPE, with its merges */
    WE_VOCAB_GEMMA4,    /* "gemma4": BPE of pieces, with its merges */
    WE_VOCAB_UNIGRAM,   /* "t5": SentencePiece's Unigram */
    WE_VOCAB_WORD_PIECE /* "bert" */
};

struct we_gguf_vocab {
    const char *path;     /* of the file, for messages */
    struct we_str *tokens; /* (count) */
    const unsigned char *types; /* int32 (count), at any alignment; NULL: all normal */
    uint32_t count;
    enum we_gguf_vocab_kind kind;
    struct we_str pre;    /* the name of the pre-tokenizer */
    uint32_t bos, eos, unk, pad; /* UINT32_MAX: none */
    bool add_bos, add_eos, space_prefix;
    bool phi3;            /* Phi-3's special tokens swallow the space after them */
};
enum we_gguf_token_type {
    WE_TOKEN_NORMAL = 1,
    WE_TOKEN_UNKNOWN,
    WE_TOKEN_CONTROL,
    WE_TOKEN_USER_DEFINED,
    WE_TOKEN_UNUSED,
    WE_TOKEN_BYTE
};

/* One for byte-level BPE. It cuts at `splits`, one after the other, and then spells bytes; without splits it cuts as GPT-2. */
enum { WE_PRE_DIGITS = 1 /* each digit by itself */, WE_PRE_WHOLE_WORDS = 2 /* ignore_merges */, WE_PRE_NFC = 4, WE_PRE_ADD_BOS = 8 };
struct we_gguf_pre_tokenizer {
    const char *name;
    unsigned flags;
    const char *splits[4];
};
const struct we_gguf_pre_tokenizer *we_gguf_pre_tokenizer_find(struct we_str name); /* NULL: not known */
/* Appends the members "normalizer" and "pre_tokenizer". */
void we_gguf_pre_tokenizer_write(const struct we_gguf_pre_tokenizer *pre, struct we_buf *out);

/* Whether the file has a vocabulary at all; without one a model is converted without tokenizer files. */
bool we_gguf_has_vocab(const struct we_gguf *gguf);
we_status we_gguf_vocab_read(const struct we_gguf *gguf, const char *path, struct we_arena *arena, struct we_gguf_vocab *vocab,
                             struct we_error *error);
enum we_gguf_token_type we_gguf_token_type(const struct we_gguf_vocab *vocab, uint32_t id);

/* Appends the JSON of tokenizer.json and of tokenizer_config.json. */
we_status we_gguf_write_tokenizer(const struct we_gguf *gguf, const struct we_gguf_vocab *vocab, struct we_buf *out,
                                  struct we_error *error);
we_status we_gguf_write_tokenizer_config(const struct we_gguf *gguf, const struct we_gguf_vocab *vocab, uint32_t context_length,
                                         struct we_buf *out, struct we_error *error);
/* Appends the merges as a JSON array of pairs: those of the file, or made from the scores of the pieces. */
we_status we_gguf_write_merges(const struct we_gguf *gguf, const struct we_gguf_vocab *vocab, struct we_buf *out,
                               struct we_error *error);

/* ---- gguf_config_json.c ---- */

/* Appends config.json and generation_config.json. vocab: NULL if there is none. */
we_status we_gguf_write_config(const struct we_gguf_config *config, const struct we_gguf_plan *plan,
                               const struct we_gguf_vocab *vocab, struct we_buf *out, struct we_error *error);
we_status we_gguf_write_generation_config(const struct we_gguf *gguf, const struct we_gguf_vocab *vocab, struct we_buf *out,
                                          struct we_error *error);

/* ---- output.c: a directory that appears when it is complete ---- */

struct we_output {
    char *path, *temporary; /* "…/NAME" and "…/.NAME.part" */
    int lock;               /* the temporary directory, locked while we write */
};

/* Refuses a path that exists; removes what an interrupted run left; refuses to run beside another one. */
we_status we_output_begin(struct we_output *output, const char *path, struct we_error *error);
/* WE_IO_ERROR with the numbers if the file system has less room than `bytes`. */
we_status we_output_check_space(const struct we_output *output, uint64_t bytes, struct we_error *error);
we_status we_output_commit(struct we_output *output, struct we_error *error);
/* Removes what was not committed. */
void we_output_abort(struct we_output *output);

/* ---- convert.c ---- */

/* we_convert of the public header, with the size of a shard. */
we_status we_convert_gguf(const char *source, const char *destination, uint64_t shard_bytes,
                          const struct we_convert_options *options, struct we_error *error);

#endif
