/* Which modules are quantised, and how: mlx-lm's rule, its mixed recipes, or rules for single modules in JSON:
 *     {"model.embed_tokens": {"bits": 8}, "*.down_proj": {"bits": 6, "group_size": 32}, "lm_head": false}
 * A key is a module, or has a '*' for any text. A module's own name decides before patterns, and of these the last that fits.
 * The value is false (not at all), true (as all others), or what differs: "bits", "group_size", "mode"; what it leaves out is
 * the default of its mode, as in a model's config.json. */
#ifndef WE_CONVERT_PREDICATE_H
#define WE_CONVERT_PREDICATE_H

#include "base/arena.h"
#include "base/json.h"
#include "format/model_tensors.h"

#include <whisperengine_tools.h>

struct we_predicate {
    struct we_quant quant;         /* of all modules that no rule says otherwise of */
    const char *where;             /* of the rules, for messages */
    const struct we_json *rules;   /* an object, or NULL */
    uint32_t low_bits, high_bits;  /* of a mixed recipe; 0: none */
    uint32_t recipe_group_size;    /* as the user gave it; 0: not at all */
    uint32_t num_layers, layer_at; /* layer_at: which part of a module's name is the number of its layer */
};

/* The options that say how to quantise, checked: modes, widths, recipes, and the file of rules, which is read into the arena.
 */
we_status we_predicate_init(struct we_predicate *predicate, const struct we_convert_options *options,
                            const struct we_model_tensors *tensors, struct we_arena *arena, struct we_error *error);

/* What becomes of a module with `in` columns: quant->mode NONE if it stays as it is. `entry` is empty, and gets the JSON of
 * its entry in config.json if it needs one. */
we_status we_predicate_for(const struct we_predicate *predicate, const char *module, uint64_t in, struct we_quant *quant,
                           struct we_buf *entry, struct we_error *error);

/* Appends such an entry with all its keys. */
void we_predicate_write_entry(struct we_buf *entry, const char *group_size, uint32_t bits, const char *mode);

#endif
