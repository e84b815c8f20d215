/* The KV cache of a model: pages of all groups, and an index of the full ones by the tokens that led to them, so that
 * sequences that begin alike share them. A page is found by its parent (the page before it) and its own 64 tokens, which
 * are compared, not only hashed. */
#ifndef WE_KV_PREFIX_H
#define WE_KV_PREFIX_H

#include "kv/pages.h"

struct we_prefix_node;

struct we_kv_cache {
    uint32_t num_groups;
    struct we_pages *groups;       /* (num_groups) */
    struct we_prefix_node **table; /* (table_size) chains; table_size is a power of two */
    uint32_t table_size, num_nodes;
    uint64_t clock;                /* of uses, for eviction */
};

/* The pages of one sequence. */
struct we_page_table {
    we_page **pages;               /* (num_groups) arrays of num_pages, with room for `capacity` */
    uint32_t num_pages, capacity;
    struct we_prefix_node *last;   /* of the pages that are in the index: the last one, NULL if there is none */
    uint32_t num_indexed;
};

we_status we_kv_cache_init(struct we_kv_cache *cache, const struct we_kv_layout *layout, const uint32_t *num_pages,
                           struct we_error *error);
void we_kv_cache_free(struct we_kv_cache *cache);

/* An empty table with room for `capacity` pages. */
we_status we_page_table_init(struct we_page_table *table, const struct we_kv_cache *cache, uint32_t capacity,
                             struct we_error *error);
/* Releases its pages. */
void we_page_table_free(struct we_page_table *table, struct we_kv_cache *cache);
/* Releases its pages and keeps its room. */
void we_page_table_clear(struct we_page_table *table, struct we_kv_cache *cache);

/* Puts pages into an empty table for the longest indexed beginning of `tokens`, at most num_tokens - 1 of them, so that
 * there is something left to compute. Returns the number of positions, a multiple of WE_PAGE_POSITIONS. `salt` sets
 * apart what the tokens alone do not (rope mode, precision, adapter). */
uint32_t we_kv_cache_match(struct we_kv_cache *cache, uint64_t salt, const uint32_t *tokens, uint32_t num_tokens,
                           struct we_page_table *table);

/* Makes room for positions [0, length): takes free pages, or evicts the longest unused indexed ones.
 * WE_OUT_OF_MEMORY if every page is in use. */
we_status we_kv_cache_extend(struct we_kv_cache *cache, struct we_page_table *table, uint32_t length, struct we_error *error);

/* Indexes the pages of positions [0, committed) that are full and not yet indexed. If another sequence indexed the same
 * beginning first, its pages stay the indexed ones, and this table keeps its own: what a sequence has computed never
 * depends on its neighbours. Memory running out only means that less is indexed. */
void we_kv_cache_index(struct we_kv_cache *cache, uint64_t salt, const uint32_t *tokens, uint32_t committed,
                       struct we_page_table *table);

/* Forgets the index. */
void we_kv_cache_clear(struct we_kv_cache *cache);

#endif
