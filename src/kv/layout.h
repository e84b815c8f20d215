/* What a position of a sequence keeps in the KV cache, and what a sequence keeps beside it, derived from a decoder. */
#ifndef WE_KV_LAYOUT_H
#define WE_KV_LAYOUT_H

#include "arch/decoder.h"
#include "base/arena.h"
#include "base/error.h"

enum { WE_PAGE_POSITIONS = 64 };

/* Position p of a sequence lies at p % WE_PAGE_POSITIONS of page page_table[p / WE_PAGE_POSITIONS]. */
typedef uint32_t we_page;
#define WE_NO_PAGE UINT32_MAX

/* Layers whose pages live equally long: those with full attention, and those of each window. */
struct we_kv_group {
    uint32_t window;      /* positions a query sees; 0: all */
    uint32_t num_entries;
    uint64_t page_values; /* numbers in a page, K and V of all its entries */
};

/* Mixers that read no earlier position, but what they made of all of them, keep that in a slot: the state of one sequence
 * after some number of positions, of all such blocks together. A slot cannot be rolled back. */
typedef uint32_t we_slot;
#define WE_NO_SLOT UINT32_MAX

#define WE_NO_GROUP UINT32_MAX

/* Of one attention block. Keys only: of a short convolution, and of latent attention, whose values are part of the keys. */
struct we_kv_entry {
    uint32_t group;  /* WE_NO_GROUP: it lies in slots */
    uint32_t index;  /* among the entries of its group */
    uint32_t k_width, v_width; /* values for a position: num_key_value_heads * head_dim, ... * v_head_dim */
};

struct we_kv_layout {
    const struct we_kv_group *groups; /* (num_groups), at least one */
    uint32_t num_groups;
    const struct we_kv_entry *entries; /* (num_entries): by we_block.state */
    uint32_t num_entries;
    enum we_dtype dtype;  /* of a number in a page */
    uint64_t slot_values; /* float32 numbers in a slot; 0: there are no slots */
};

/* Into the arena. */
we_status we_kv_layout_derive(const struct we_decoder *decoder, enum we_dtype dtype, struct we_arena *arena,
                              struct we_kv_layout *layout, struct we_error *error);

/* Bytes of a page of a group, and of one position of a sequence in all groups. */
uint64_t we_kv_page_bytes(const struct we_kv_layout *layout, uint32_t group);
uint64_t we_kv_position_bytes(const struct we_kv_layout *layout);
/* Bytes of a slot; a back-end may pad it. */
uint64_t we_kv_slot_bytes(const struct we_kv_layout *layout);

#endif
