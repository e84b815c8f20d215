#include "kv/prefix.h"

#include <assert.h>
#include <stdlib.h>

struct we_prefix_node {
    struct we_prefix_node *next;   /* in the chain of the table */
    struct we_prefix_node *parent; /* NULL: the first page of a sequence */
    uint64_t hash, salt, last_used;
    uint32_t num_children;
    uint32_t num_tables;           /* page tables whose `last` this is */
    we_slot slot;                  /* of the state after this page, to which it holds a reference, or WE_NO_SLOT */
    uint32_t tokens[WE_PAGE_POSITIONS];
    we_page pages[];               /* (num_groups): the index holds a reference to each */
};

static uint64_t node_hash(const struct we_prefix_node *parent, uint64_t salt, const uint32_t *tokens)
{
    uint64_t seed = parent ? parent->hash : salt;
    return we_str_hash(we_str((const char *)tokens, WE_PAGE_POSITIONS * sizeof *tokens), seed);
}

static struct we_prefix_node *find_node(const struct we_kv_cache *cache, const struct we_prefix_node *parent, uint64_t salt,
                                        const uint32_t *tokens)
{
    uint64_t hash = node_hash(parent, salt, tokens);
    struct we_prefix_node *node = cache->table[hash & (cache->table_size - 1)];
    while (node && (node->hash != hash || node->parent != parent || node->salt != salt ||
                    memcmp(node->tokens, tokens, sizeof node->tokens) != 0))
        node = node->next;
    return node;
}

static void set_last(struct we_page_table *table, struct we_prefix_node *node)
{
    if (table->last)
        table->last->num_tables--;
    table->last = node;
    if (node)
        node->num_tables++;
}

we_status we_kv_cache_init(struct we_kv_cache *cache, const struct we_kv_layout *layout, const uint32_t *num_pages,
                           uint32_t num_slots, struct we_error *error)
{
    *cache = (struct we_kv_cache){.num_groups = layout->num_groups};
    uint32_t most = 1;
    cache->groups = calloc(layout->num_groups ? layout->num_groups : 1, sizeof *cache->groups);
    we_status status = cache->groups ? WE_OK : we_error_memory(error, "the KV cache");
    for (uint32_t g = 0; status == WE_OK && g < layout->num_groups; g++) {
        status = we_pages_init(&cache->groups[g], num_pages[g], error);
        most = num_pages[g] > most ? num_pages[g] : most;
    }
    if (status == WE_OK && layout->slot_values)
        status = we_pages_init(&cache->slots, num_slots, error);
    cache->table_size = 64;
    while (cache->table_size < most && cache->table_size < 1u << 30)
        cache->table_size *= 2;
    if (status == WE_OK && (cache->table = calloc(cache->table_size, sizeof *cache->table)) == NULL)
        status = we_error_memory(error, "the KV cache's index");
    if (status != WE_OK)
        we_kv_cache_free(cache);
    return status;
}

static void remove_node(struct we_kv_cache *cache, struct we_prefix_node *node)
{
    struct we_prefix_node **link = &cache->table[node->hash & (cache->table_size - 1)];
    while (*link != node)
        link = &(*link)->next;
    *link = node->next;
    if (node->parent)
        node->parent->num_children--;
    for (uint32_t g = 0; g < cache->num_groups; g++)
        we_pages_release(&cache->groups[g], node->pages[g]);
    we_pages_release(&cache->slots, node->slot);
    free(node);
    cache->num_nodes--;
}

/* A node that nothing builds on and no sequence uses may go. */
static bool is_idle(const struct we_kv_cache *cache, const struct we_prefix_node *node)
{
    if (node->num_children || node->num_tables)
        return false;
    for (uint32_t g = 0; g < cache->num_groups; g++)
        if (cache->groups[g].references[node->pages[g]] != 1)
            return false;
    return true;
}

static bool evict_oldest(struct we_kv_cache *cache)
{
    struct we_prefix_node *oldest = NULL;
    for (uint32_t i = 0; i < cache->table_size; i++)
        for (struct we_prefix_node *node = cache->table[i]; node; node = node->next)
            if (is_idle(cache, node) && (oldest == NULL || node->last_used < oldest->last_used))
                oldest = node;
    if (oldest)
        remove_node(cache, oldest);
    return oldest != NULL;
}

void we_kv_cache_clear(struct we_kv_cache *cache)
{
    while (cache->num_nodes && evict_oldest(cache))
        continue;
}

void we_kv_cache_free(struct we_kv_cache *cache)
{
    for (uint32_t i = 0; cache->table && i < cache->table_size; i++) {
        struct we_prefix_node *node = cache->table[i];
        while (node) {
            struct we_prefix_node *next = node->next;
            free(node);
            node = next;
        }
    }
    for (uint32_t g = 0; cache->groups && g < cache->num_groups; g++)
        we_pages_free(&cache->groups[g]);
    we_pages_free(&cache->slots);
    free(cache->groups);
    free(cache->table);
    *cache = (struct we_kv_cache){0};
}

we_status we_page_table_init(struct we_page_table *table, const struct we_kv_cache *cache, uint32_t capacity,
                             struct we_error *error)
{
    *table = (struct we_page_table){
        .capacity = capacity, .slot = WE_NO_SLOT, .next_slot = WE_NO_SLOT, .save_slot = WE_NO_SLOT};
    size_t groups = cache->num_groups ? cache->num_groups : 1, room = capacity ? capacity : 1;
    table->pages = calloc(groups, sizeof *table->pages);
    we_page *all = calloc(groups * room, sizeof *all);
    if (table->pages == NULL || all == NULL) {
        free(table->pages);
        free(all);
        *table = (struct we_page_table){0};
        return we_error_memory(error, "the page table of a sequence");
    }
    for (size_t g = 0; g < groups; g++)
        table->pages[g] = all + g * room;
    return WE_OK;
}

void we_page_table_clear(struct we_page_table *table, struct we_kv_cache *cache)
{
    if (table->pages == NULL)
        return;
    for (uint32_t g = 0; g < cache->num_groups; g++)
        for (uint32_t i = 0; i < table->num_pages; i++)
            we_pages_release(&cache->groups[g], table->pages[g][i]);
    we_slot *slots[] = {&table->slot, &table->next_slot, &table->save_slot};
    if (table->next_slot == table->slot)
        table->next_slot = WE_NO_SLOT;
    for (int i = 0; i < 3; i++) {
        we_pages_release(&cache->slots, *slots[i]);
        *slots[i] = WE_NO_SLOT;
    }
    set_last(table, NULL);
    for (int i = 0; i < WE_STATE_KIND_COUNT; i++)
        table->latest[i] = NULL;
    table->num_pages = table->num_indexed = table->branch_pages = 0;
}

void we_page_table_free(struct we_page_table *table, struct we_kv_cache *cache)
{
    if (table->pages == NULL)
        return;
    we_page_table_clear(table, cache);
    free(table->pages[0]);
    free(table->pages);
    *table = (struct we_page_table){0};
}

/* Of the longest indexed beginning: how many of its pages lie before a state that is kept, and how many there are. */
static uint32_t pages_with_state(const struct we_kv_cache *cache, uint64_t salt, const uint32_t *tokens, uint32_t most,
                                 uint32_t *indexed)
{
    const struct we_prefix_node *node = NULL;
    uint32_t usable = 0;
    for (*indexed = 0; *indexed < most; ++*indexed) {
        node = find_node(cache, node, salt, tokens + (size_t)*indexed * WE_PAGE_POSITIONS);
        if (node == NULL)
            break;
        usable = node->slot != WE_NO_SLOT ? *indexed + 1 : usable;
    }
    return usable;
}

uint32_t we_kv_cache_match(struct we_kv_cache *cache, uint64_t salt, const uint32_t *tokens, uint32_t num_tokens,
                           struct we_page_table *table)
{
    assert(table->num_pages == 0);
    uint32_t most = num_tokens ? (num_tokens - 1) / WE_PAGE_POSITIONS : 0;
    most = most < table->capacity ? most : table->capacity;
    cache->clock++;
    if (cache->slots.num_pages)
        most = pages_with_state(cache, salt, tokens, most, &table->branch_pages);
    while (table->num_pages < most) {
        uint32_t i = table->num_pages;
        struct we_prefix_node *node = find_node(cache, table->last, salt, tokens + (size_t)i * WE_PAGE_POSITIONS);
        if (node == NULL)
            break;
        node->last_used = cache->clock;
        for (uint32_t g = 0; g < cache->num_groups; g++) {
            table->pages[g][i] = node->pages[g];
            we_pages_retain(&cache->groups[g], node->pages[g]);
        }
        set_last(table, node);
        table->num_indexed = ++table->num_pages;
    }
    if (cache->slots.num_pages && table->last) {
        table->slot = table->last->slot;
        we_pages_retain(&cache->slots, table->slot);
    }
    return table->num_pages * WE_PAGE_POSITIONS;
}

we_status we_kv_cache_extend(struct we_kv_cache *cache, struct we_page_table *table, uint32_t length, struct we_error *error)
{
    uint32_t need = (uint32_t)(((uint64_t)length + WE_PAGE_POSITIONS - 1) / WE_PAGE_POSITIONS);
    assert(need <= table->capacity);
    while (table->num_pages < need) {
        for (uint32_t g = 0; g < cache->num_groups; g++) {
            we_page page;
            while ((page = we_pages_take(&cache->groups[g])) == WE_NO_PAGE && evict_oldest(cache))
                continue;
            if (page == WE_NO_PAGE) {
                while (g-- > 0)
                    we_pages_release(&cache->groups[g], table->pages[g][table->num_pages]);
                return we_error_set(error, WE_OUT_OF_MEMORY, "the KV cache is full: every one of its pages is in use");
            }
            table->pages[g][table->num_pages] = page;
        }
        table->num_pages++;
    }
    return WE_OK;
}

/* ---- states ---- */

static void forget_state(struct we_kv_cache *cache, struct we_prefix_node *node)
{
    we_pages_release(&cache->slots, node->slot);
    node->slot = WE_NO_SLOT;
}

/* Frees the slot of the longest unused state that no sequence has. */
static bool evict_state(struct we_kv_cache *cache)
{
    struct we_prefix_node *oldest = NULL;
    for (uint32_t i = 0; i < cache->table_size; i++)
        for (struct we_prefix_node *node = cache->table[i]; node; node = node->next)
            if (node->slot != WE_NO_SLOT && cache->slots.references[node->slot] == 1 &&
                (oldest == NULL || node->last_used < oldest->last_used))
                oldest = node;
    if (oldest)
        forget_state(cache, oldest);
    return oldest != NULL;
}

static we_slot free_slot(struct we_kv_cache *cache)
{
    we_slot slot;
    while ((slot = we_pages_take(&cache->slots)) == WE_NO_PAGE && evict_state(cache))
        continue;
    return slot;
}

we_status we_kv_cache_take_slot(struct we_kv_cache *cache, struct we_page_table *table, struct we_error *error)
{
    if (cache->slots.num_pages == 0)
        return WE_OK;
    assert(table->next_slot == WE_NO_SLOT);
    const we_slot slot = table->slot;
    if (slot != WE_NO_SLOT && cache->slots.references[slot] > 1 && (table->next_slot = free_slot(cache)) == WE_NO_SLOT)
        /* Then every other slot is a sequence's own. A page that keeps this one must do without. */
        for (struct we_prefix_node *node = table->last; node; node = node->parent)
            if (node->slot == slot)
                forget_state(cache, node);
    if (slot == WE_NO_SLOT)
        table->next_slot = free_slot(cache);
    else if (cache->slots.references[slot] == 1)
        table->next_slot = slot;
    return table->next_slot != WE_NO_SLOT
               ? WE_OK
               : we_error_set(error, WE_OUT_OF_MEMORY, "every one of the %u slots for the state of sequences is in use",
                              cache->slots.num_pages);
}

bool we_kv_cache_take_save_slot(struct we_kv_cache *cache, struct we_page_table *table, uint32_t pages)
{
    if (cache->slots.num_pages == 0)
        return false;
    assert(table->save_slot == WE_NO_SLOT);
    table->save_slot = free_slot(cache);
    table->save_pages = pages;
    return table->save_slot != WE_NO_SLOT;
}

void we_kv_cache_commit_state(struct we_kv_cache *cache, struct we_page_table *table)
{
    if (table->next_slot == WE_NO_SLOT)
        return;
    if (table->next_slot != table->slot)
        we_pages_release(&cache->slots, table->slot);
    table->slot = table->next_slot;
    table->next_slot = WE_NO_SLOT;
}

/* A page that has just been indexed keeps the state that was saved at its end. */
static void keep_saved(struct we_kv_cache *cache, struct we_page_table *table)
{
    if (table->save_slot == WE_NO_SLOT || table->num_indexed != table->save_pages)
        return;
    if (table->last->slot == WE_NO_SLOT)
        table->last->slot = table->save_slot;
    else
        we_pages_release(&cache->slots, table->save_slot);
    table->save_slot = WE_NO_SLOT;
}

/* The last page keeps the state that the sequence has now, in place of the one before of its kind, unless others went another
 * way from there. */
static void keep_latest(struct we_kv_cache *cache, enum we_state_kind kind, struct we_page_table *table)
{
    struct we_prefix_node *node = table->last, *before = table->latest[kind];
    if (node->slot != WE_NO_SLOT)
        return;
    node->slot = table->slot;
    we_pages_retain(&cache->slots, table->slot);
    if (before && before->slot != WE_NO_SLOT && before->num_children < 2 && cache->slots.references[before->slot] == 1)
        forget_state(cache, before);
    table->latest[kind] = table->num_indexed == table->branch_pages ? NULL : node;
}

/* ---- the index ---- */

void we_kv_cache_index(struct we_kv_cache *cache, uint64_t salt, const uint32_t *tokens, uint32_t committed,
                       enum we_state_kind kind, struct we_page_table *table)
{
    cache->clock++;
    we_kv_cache_commit_state(cache, table);
    while (table->num_indexed < committed / WE_PAGE_POSITIONS) {
        uint32_t i = table->num_indexed;
        const uint32_t *page_tokens = tokens + (size_t)i * WE_PAGE_POSITIONS;
        struct we_prefix_node *node = find_node(cache, table->last, salt, page_tokens);
        if (node == NULL) {
            node = calloc(1, sizeof *node + cache->num_groups * sizeof *node->pages);
            if (node == NULL)
                break;
            node->slot = WE_NO_SLOT;
            node->parent = table->last;
            node->salt = salt;
            node->hash = node_hash(table->last, salt, page_tokens);
            memcpy(node->tokens, page_tokens, sizeof node->tokens);
            for (uint32_t g = 0; g < cache->num_groups; g++) {
                node->pages[g] = table->pages[g][i];
                we_pages_retain(&cache->groups[g], node->pages[g]);
            }
            struct we_prefix_node **link = &cache->table[node->hash & (cache->table_size - 1)];
            node->next = *link;
            *link = node;
            cache->num_nodes++;
            if (node->parent)
                node->parent->num_children++;
        }
        node->last_used = cache->clock;
        set_last(table, node);
        table->num_indexed++;
        keep_saved(cache, table);
    }
    we_pages_release(&cache->slots, table->save_slot);
    table->save_slot = WE_NO_SLOT;
    if (table->slot != WE_NO_SLOT && table->num_indexed && table->num_indexed * WE_PAGE_POSITIONS == committed)
        keep_latest(cache, kind, table);
}
