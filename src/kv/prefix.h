/* The KV cache of a model: pages of all groups, and an index of the full ones by the tokens that led to them, so that
 * sequences that begin alike share them. A page is found by its parent (the page before it) and its own 64 tokens, which
 * are compared, not only hashed.
 *
 * Where the layout has slots, a beginning can be shared only where its state was kept: at the end of some of its pages. Kept are
 * states where the last whole page of a prompt ends, where a prompt left what it had in common with others, and, of each
 * sequence, the latest one of a chunk of its prompt and the latest one of its reply. Of those that no sequence uses, the
 * longest unused ones make room for others. */
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
    struct we_pages slots;         /* none, if the layout has none */
};

/* Whose state is the latest of its kind. */
enum we_state_kind { WE_STATE_OF_PROMPT = 0, WE_STATE_OF_REPLY, WE_STATE_KIND_COUNT };

/* The pages of one sequence. */
struct we_page_table {
    we_page **pages;               /* (num_groups) arrays of num_pages, with room for `capacity` */
    uint32_t num_pages, capacity;
    struct we_prefix_node *last;   /* of the pages that are in the index: the last one, NULL if there is none */
    uint32_t num_indexed;
    /* Where there are slots: */
    we_slot slot;                    /* that of the state so far; WE_NO_SLOT at the beginning */
    we_slot next_slot;               /* that of the state after the batch under way; WE_NO_SLOT: there is none under way */
    we_slot save_slot;               /* that of a state that this batch saves on its way, or WE_NO_SLOT, */
    uint32_t save_pages;             /* after so many pages */
    uint32_t branch_pages;           /* of the beginning that is in the index, whether its state is or not */
    struct we_prefix_node *latest[WE_STATE_KIND_COUNT]; /* that keep a state of this sequence; among `last` and those before it */
};

/* num_slots: at least one more than sequences that have a table at the same time; not read if the layout has no slots. */
we_status we_kv_cache_init(struct we_kv_cache *cache, const struct we_kv_layout *layout, const uint32_t *num_pages,
                           uint32_t num_slots, struct we_error *error);
void we_kv_cache_free(struct we_kv_cache *cache);

/* An empty table with room for `capacity` pages. */
we_status we_page_table_init(struct we_page_table *table, const struct we_kv_cache *cache, uint32_t capacity,
                             struct we_error *error);
/* Releases its pages. */
void we_page_table_free(struct we_page_table *table, struct we_kv_cache *cache);
/* Releases its pages and keeps its room. */
void we_page_table_clear(struct we_page_table *table, struct we_kv_cache *cache);

/* Puts pages into an empty table for the longest indexed beginning of `tokens`, at most num_tokens - 1 of them, so that
 * there is something left to compute; where there are slots, for the longest whose state is kept. Returns the number of
 * positions, a multiple of WE_PAGE_POSITIONS. `salt` sets apart what the tokens alone do not (rope mode, precision, adapter). */
uint32_t we_kv_cache_match(struct we_kv_cache *cache, uint64_t salt, const uint32_t *tokens, uint32_t num_tokens,
                           struct we_page_table *table);

/* Makes room for positions [0, length): takes free pages, or evicts the longest unused indexed ones.
 * WE_OUT_OF_MEMORY if every page is in use. */
we_status we_kv_cache_extend(struct we_kv_cache *cache, struct we_page_table *table, uint32_t length, struct we_error *error);

/* Slots for the next batch: table->next_slot, which may be table->slot. Does nothing where there are none. */
we_status we_kv_cache_take_slot(struct we_kv_cache *cache, struct we_page_table *table, struct we_error *error);
/* A slot for the state after `pages` pages, which the batch passes; false if there is none. To be called after all sequences
 * have their slots. */
bool we_kv_cache_take_save_slot(struct we_kv_cache *cache, struct we_page_table *table, uint32_t pages);

/* The state of the batch that has ended, in next_slot, is now that of the sequence. we_kv_cache_index does this, too. */
void we_kv_cache_commit_state(struct we_kv_cache *cache, struct we_page_table *table);

/* Indexes the pages of positions [0, committed) that are full and not yet indexed. If another sequence indexed the same
 * beginning first, its pages stay the indexed ones, and this table keeps its own: what a sequence has computed never
 * depends on its neighbours. Memory running out only means that less is indexed. The state is now that of table->next_slot; if a
 * page ends here, it is kept, as is one that was saved on the way. */
void we_kv_cache_index(struct we_kv_cache *cache, uint64_t salt, const uint32_t *tokens, uint32_t committed,
                       enum we_state_kind kind, struct we_page_table *table);

/* Forgets the index. */
void we_kv_cache_clear(struct we_kv_cache *cache);

#endif
