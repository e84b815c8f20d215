/* The parts of a tokenizer, for the files of this folder only. Each part is read from its object in tokenizer.json,
 * does not change afterwards, and keeps its memory in the tokenizer's arena unless it has a _free. */
#ifndef WE_TEXT_TOKENIZER_PARTS_H
#define WE_TEXT_TOKENIZER_PARTS_H

#include "base/arena.h"
#include "base/json.h"
#include "text/regex.h"
#include "text/tokenizer.h"

#define WE_NO_ID UINT32_MAX

enum { WE_MAX_TEXT = 1 << 30 }; /* bytes of a text, also on its way through the parts: offsets have 32 bits */

/* ---- reading (tokenizer_fields.c) ---- */

struct we_parts_reader {
    struct we_arena *arena;
    const char *name;  /* of the file */
    struct we_error *error;
};

/* Fills the error: "FILE: PART: ...", the part being `where`. */
we_status we_parts_fail(struct we_parts_reader *reader, we_status status, const char *where, const char *format, ...)
    WE_PRINTF(4, 5);
/* A member of an object. The value stays as it was if there is none (or null) and it is not required. */
we_status we_parts_bool(struct we_parts_reader *reader, const struct we_json *object, const char *where, const char *key,
                        bool required, bool *value);
we_status we_parts_string(struct we_parts_reader *reader, const struct we_json *object, const char *where, const char *key,
                          struct we_str *value);
we_status we_parts_size(struct we_parts_reader *reader, const struct we_json *object, const char *where, const char *key,
                        size_t *value);
/* {"String": "..."} or {"Regex": "..."}: one of *literal and *regex is set. An empty string is a regex, too. */
we_status we_parts_pattern(struct we_parts_reader *reader, const struct we_json *object, const char *where,
                           struct we_str *literal, struct we_regex **regex);
/* Calls `read` for a component, or for each member of a Sequence of them, whatever their depth. */
typedef we_status we_parts_read(struct we_parts_reader *reader, const struct we_json *object, struct we_str type, void *part);
we_status we_parts_each(struct we_parts_reader *reader, const struct we_json *component, const char *where,
                        const char *members, we_parts_read *read, void *part);
/* WE_UNSUPPORTED for a type that is not known. */
we_status we_parts_unknown(struct we_parts_reader *reader, const char *where, struct we_str type);

/* ---- vocabulary (vocabulary.c) ---- */

struct we_vocab {
    char *text;              /* all tokens, one behind the other */
    size_t text_length, text_capacity;
    struct we_vocab_entry {
        uint32_t offset, length, id;
    } *entries;              /* (count), in the order of the file */
    size_t count, capacity;
    size_t size;             /* different tokens */
    uint32_t limit;          /* highest id + 1 */
    uint32_t *by_id;         /* (limit): index of the entry + 1, or 0 */
    struct we_vocab_slot {
        uint32_t hash, entry; /* index + 1, or 0 */
    } *slots;                /* (mask + 1) */
    size_t mask;
    uint64_t seed;
};

void we_vocab_free(struct we_vocab *vocab);
/* Adds a token; `expected` bytes of text in all are reserved at the first. False: memory is out, or over 4 GiB. */
bool we_vocab_add(struct we_vocab *vocab, struct we_str token, uint32_t id, size_t expected);
/* After the last token. A token that occurs twice keeps its last id. */
bool we_vocab_finish(struct we_vocab *vocab);
uint32_t we_vocab_find(const struct we_vocab *vocab, struct we_str token); /* the id, or WE_NO_ID */
struct we_str we_vocab_token(const struct we_vocab *vocab, uint32_t id);   /* data NULL: there is none */

/* ---- byte-level alphabet (byte_level.c) ---- */

extern const uint16_t we_byte_characters[256];  /* the character that stands for a byte, below 0x144 */
int we_byte_of_character(uint32_t c);           /* the byte, or -1 */
bool we_byte_level_append(struct we_buf *out, struct we_str bytes);
/* The bytes that a token stands for; false if it has a character that stands for none (then nothing is appended). */
bool we_byte_level_decode(struct we_str token, struct we_buf *out);

/* ---- trie (trie.c) ---- */

/* Tokens by their beginnings. A node is a number, 0 the root; an edge is found by hashing its node and byte. */
struct we_trie {
    struct we_trie_edge {
        uint32_t key;  /* node << 8 | byte */
        uint32_t node; /* where it leads; 0: the slot is empty */
        uint32_t id;   /* of the token that ends there, or WE_NO_ID */
    } * edges;         /* (mask + 1) */
    size_t mask;
    uint32_t node_count;
};

void we_trie_free(struct we_trie *trie);
/* Of all tokens of a vocabulary that is finished. WE_UNSUPPORTED: they have more than 16 million beginnings. */
we_status we_trie_build(struct we_trie *trie, const struct we_vocab *vocab, struct we_error *error);

static inline size_t we_trie_hash(uint32_t key)
{
    uint64_t h = key * 0x9E3779B97F4A7C15u;
    return (size_t)(h >> 32);
}

/* The edge from a node with a byte, or NULL. */
static inline const struct we_trie_edge *we_trie_step(const struct we_trie *trie, uint32_t node, unsigned char byte)
{
    uint32_t key = node << 8 | byte;
    for (size_t i = we_trie_hash(key) & trie->mask;; i = (i + 1) & trie->mask) {
        const struct we_trie_edge *edge = &trie->edges[i];
        if (edge->node == 0)
            return NULL;
        if (edge->key == key)
            return edge;
    }
}

/* ---- model (token_model.c, model_encode.c) ---- */

enum we_model_kind { WE_MODEL_BPE, WE_MODEL_UNIGRAM, WE_MODEL_WORD_PIECE, WE_MODEL_WORD_LEVEL };

/* bpe.c, bpe_encode.c */
struct we_bpe {
    struct we_merge {
        uint32_t left, right, rank, result;
    } *merges;                 /* (merge_mask + 1), a hash table; rank WE_NO_ID: empty */
    size_t merge_count, merge_mask;
    bool fuse_unk, ignore_merges;
    struct we_str prefix, suffix; /* of characters that do not begin a word, and of the last one */
    uint32_t byte_ids[256];    /* of the byte-level alphabet */
    bool byte_ids_complete;
    uint32_t ascii_ids[128];
    uint64_t *junctions;       /* (junction_mask + 1 bits): pairs of characters that some merge joins, by hash; or NULL */
    size_t junction_mask;
};

/* unigram.c */
struct we_unigram {
    double *scores; /* (count of the vocabulary's entries), logarithms; an id is an index */
    double unk_score;
};

/* word_piece.c */
struct we_word_piece {
    uint32_t inside;       /* the node where pieces begin that do not begin a word, or WE_NO_ID */
    bool has_inside;       /* whether the prefix of those is not empty */
    size_t max_characters; /* of a word; a longer one is unknown */
};

struct we_token_model {
    enum we_model_kind kind;
    struct we_vocab vocab;
    bool byte_fallback, has_unk;
    struct we_str unk_token;
    uint32_t unk_id;
    uint32_t byte_tokens[256]; /* <0x00> ...; WE_NO_ID where one is missing */
    struct we_trie trie;       /* of UNIGRAM and WORD_PIECE */
    struct we_bpe bpe;
    struct we_unigram unigram;
    struct we_word_piece word_piece;
    void *block; /* if not NULL it holds all arrays, and is what must be freed */
};

void we_token_model_free(struct we_token_model *model);
/* Reads the object "model", where the reader stands. */
we_status we_token_model_read(struct we_parts_reader *parts, struct we_json_reader *json, struct we_token_model *model);
/* Lets long words be cut where no merge can join; for tokenizers that do not cut at spaces. */
bool we_bpe_find_junctions(struct we_token_model *model);

/* Reads "merges", where the reader stands. */
bool we_bpe_read_merges(struct we_json_reader *json, struct we_token_model *model);
/* The ids that encoding asks for again and again. */
void we_token_model_find_fixed_ids(struct we_token_model *model);
void we_bpe_find_fixed_ids(struct we_token_model *model);
const struct we_merge *we_bpe_merge(const struct we_bpe *bpe, uint32_t left, uint32_t right); /* NULL: none */
/* Bytes up to the first place where no merge can join, of a text that is not empty. */
size_t we_bpe_cut(const struct we_token_model *model, struct we_str text);

struct we_model_work { /* of one call: buffers, and the words seen so far */
    uint32_t *symbols; /* (3 * capacity): the ids of a word; then, for long ones, the places of the neighbours */
    size_t capacity;
    uint64_t *heap; /* rank and place of a pair */
    size_t heap_count, heap_capacity;
    struct we_buf mapped; /* a word in the byte-level alphabet */
    struct we_unigram_node {
        double score;       /* of the best way to here */
        uint32_t start, id; /* of the last piece of that; start WE_NO_ID: there is no way */
    } * nodes;              /* (node_capacity) */
    size_t node_capacity;
    struct we_word_slot *slots;
    size_t slot_count, used;
    struct we_ids known;
};

void we_model_work_free(struct we_model_work *work);
bool we_model_work_reserve(struct we_model_work *work, size_t symbols);
/* The ids of a word, in work->symbols; byte_level: the word stands for its byte-level characters. */
we_status we_bpe_encode(const struct we_token_model *model, struct we_model_work *work, struct we_str word, bool byte_level,
                        size_t *count, struct we_error *error);
we_status we_unigram_encode(const struct we_token_model *model, struct we_model_work *work, struct we_str word, size_t *count,
                            struct we_error *error);
we_status we_word_piece_encode(const struct we_token_model *model, struct we_model_work *work, struct we_str word,
                               size_t *count, struct we_error *error);
/* For a model without an unknown token. */
we_status we_model_no_unk(const struct we_token_model *model, struct we_error *error);
/* Appends the ids of a piece of valid UTF-8, which must stay where it is until the work is freed. byte_level (of BPE only):
 * the piece stands for its byte-level characters. */
we_status we_model_encode(const struct we_token_model *model, struct we_model_work *work, struct we_str piece, bool byte_level,
                          struct we_ids *ids, struct we_error *error);

bool we_ids_append(struct we_ids *ids, const uint32_t *data, size_t count);

/* ---- normalizer (normalizer.c) ---- */

struct we_normalizer; /* a list of steps */

/* Text on its way. `zero` is how many of its first bytes come from the very first character of the whole input, by
 * which Metaspace's "first" decides. */
struct we_normalizer_work {
    struct we_buf buffers[2];
    struct we_regex_state *regex;
};

we_status we_normalizer_read(struct we_parts_reader *reader, const struct we_json *json, struct we_normalizer **normalizer);
void we_normalizer_free(struct we_normalizer *normalizer);
/* Appends the normalised text to `out`; *zero changes with it. */
we_status we_normalizer_apply(const struct we_normalizer *normalizer, struct we_normalizer_work *work, struct we_str text,
                              size_t *zero, struct we_buf *out, struct we_error *error);

struct we_charsmap; /* of the normalizer Precompiled (precompiled.c); lives in the arena */
we_status we_charsmap_read(struct we_parts_reader *reader, const struct we_json *object, const struct we_charsmap **map);
bool we_charsmap_apply(const struct we_charsmap *map, struct we_str text, size_t *zero, struct we_buf *out);

/* ---- pieces and pre-tokenizers (pieces.c, pre_tokenizer.c) ---- */

struct we_piece {
    uint32_t start, length; /* in the text */
    uint32_t zero;          /* as above */
    uint32_t id;            /* of an added token, or WE_NO_ID: text */
};

struct we_pieces {
    struct we_piece *data;
    size_t count, capacity;
    struct we_str text;
    struct we_buf buffer;   /* owns the text, unless it is the caller's */
    bool byte_level;        /* the text stands for its byte-level characters */
};

void we_pieces_free(struct we_pieces *pieces);
bool we_pieces_add(struct we_pieces *pieces, size_t start, size_t length, size_t zero, uint32_t id);

struct we_pre_tokenizer; /* a list of steps */

we_status we_pre_tokenizer_read(struct we_parts_reader *reader, const struct we_json *json, struct we_pre_tokenizer **pre);
void we_pre_tokenizer_free(struct we_pre_tokenizer *pre);
/* Whether its last step is ByteLevel. */
bool we_pre_tokenizer_is_byte_level(const struct we_pre_tokenizer *pre);
/* spell: also where its last step is ByteLevel the text is written in that alphabet, and pieces->byte_level is false. */
we_status we_pre_tokenizer_apply(const struct we_pre_tokenizer *pre, struct we_regex_state *regex, bool spell,
                                 struct we_pieces *pieces, struct we_error *error);

/* ---- added tokens (added_tokens.c) ---- */

struct we_added_token {
    struct we_str content;
    struct we_str pattern; /* what is looked for: the content, or its normalised form */
    struct we_str decoded; /* what decoding gives */
    uint32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
    bool skipped;          /* by decoding without special tokens */
};

struct we_matcher {
    uint32_t *order;       /* (count): indices of tokens, sorted by pattern */
    uint32_t count;
    uint32_t first[257];   /* where the patterns that begin with a byte start in `order` */
    const struct we_added_token *empty; /* whose pattern normalising left empty, or NULL */
};

struct we_added_tokens {
    struct we_added_token *data;
    size_t count;
    struct we_vocab contents;          /* content to id */
    struct we_matcher raw, normalized; /* those looked for before and after normalising */
};

/* Reads the array "added_tokens", where the reader stands; needs the model's vocabulary and the normalizer. */
we_status we_added_tokens_read(struct we_parts_reader *parts, struct we_json_reader *json, const struct we_vocab *vocab,
                               const struct we_normalizer *normalizer, struct we_added_tokens *added);
void we_added_tokens_free(struct we_added_tokens *added);
/* Cuts `text`, which is pieces->text from `base` on, into pieces. */
bool we_added_tokens_split(const struct we_added_tokens *added, const struct we_matcher *matcher, struct we_str text,
                           size_t base, size_t zero, struct we_pieces *pieces);

/* ---- post-processor (post_processor.c) ---- */

struct we_post_processor {
    struct we_post_item {
        bool sequence;  /* the text's ids stand here; else special ones */
        uint32_t *ids;
        size_t count;
    } *items;
    size_t count;
    bool given;         /* if not, there is only the text */
};

we_status we_post_processor_read(struct we_parts_reader *reader, const struct we_json *json, struct we_post_processor *post);

/* ---- decoder (token_decoder.c) ---- */

struct we_token_decoder; /* a list of steps */
struct we_token_stream;  /* tokens on their way through the steps */

we_status we_token_decoder_read(struct we_parts_reader *reader, const struct we_json *json, struct we_token_decoder **decoder);
void we_token_decoder_free(struct we_token_decoder *decoder);

/* `decoder` NULL: tokens with a space between. The output goes to `out`, in whole characters. */
we_status we_token_stream_new(const struct we_token_decoder *decoder, struct we_buf *out, struct we_token_stream **stream,
                              struct we_error *error);
void we_token_stream_free(struct we_token_stream *stream);
we_status we_token_stream_add(struct we_token_stream *stream, struct we_str token, struct we_error *error);
we_status we_token_stream_finish(struct we_token_stream *stream, struct we_error *error);

/* ---- the whole ---- */

struct we_tokenizer {
    struct we_arena arena;
    struct we_token_model model;
    struct we_normalizer *normalizer;       /* NULL: none; also below */
    struct we_pre_tokenizer *pre_tokenizer;
    struct we_post_processor post_processor;
    struct we_token_decoder *decoder;
    struct we_added_tokens added;
    uint32_t vocab_size;
    uint32_t *added_by_id;                  /* (vocab_size): index of the added token + 1, or 0 */
};

/* The text that decoding starts from: of an added token its normalised form. data NULL: there is no such id. */
struct we_str we_tokenizer_text_of(const struct we_tokenizer *tokenizer, uint32_t id, bool *skipped);

#endif
