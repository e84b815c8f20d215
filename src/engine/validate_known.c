/* Models whose replies are known: what float32 mlx-lm makes of a prompt, as tests/engine/smollm2.json holds it, which
 * make_smollm2_goldens.py beside it computes. tests/engine/test_validate.c compares the two. */
#include "engine/validate.h"

static const uint32_t capital_prompt[] = {1,   9690, 198, 2683, 359,   253,  5356, 5646, 11173, 3365, 3511, 308,  34519,
                                          28,  7018, 411, 407,  19712, 8182, 2,    198,  1,     4093, 198,  1780, 314,
                                          260, 3575, 282, 4649, 47,    2,    198,  1,    520,   9531, 198};
static const uint32_t capital_reply[] = {504, 3575, 282, 4649, 314, 7042, 30};
static const uint32_t turns_prompt[] = {
    1, 9690, 198, 2683,  359,  253,  5356, 5646, 11173, 3365, 3511, 308,  34519, 28,    7018, 411,   407, 19712, 8182, 2, 198,
    1, 4093, 198, 5820,  1296, 9244, 30,   2,    198,   1,    520,  9531, 198,   38861, 28,   16293, 284, 16440, 30,   2, 198,
    1, 4093, 198, 14413, 282,  601,  314,  260,  3995,  28,   284,  1701, 47,    2,     198,  1,     520, 9531,  198};
static const uint32_t turns_reply[] = {38861, 314, 260, 3995, 3925, 281, 653, 3693, 817, 30};

#define COUNT(array) (uint32_t)(sizeof(array) / sizeof *(array))

const struct we_known_model we_known_models[] = {
    {
        .name = "HuggingFaceTB/SmolLM2-135M-Instruct-4bit",
        .model_type = "llama",
        .hidden_size = 576,
        .num_layers = 30,
        .vocab_size = 49152,
        .bits = 4,
        .messages = "{\"messages\": [{\"role\": \"user\", \"content\": \"What is the capital of France?\"}]}",
        .replies = {{capital_prompt, capital_reply, COUNT(capital_prompt), COUNT(capital_reply)},
                    {turns_prompt, turns_reply, COUNT(turns_prompt), COUNT(turns_reply)}},
        .text = "The capital of France is Paris.",
    },
};
const size_t we_num_known_models = sizeof we_known_models / sizeof *we_known_models;

const struct we_known_model *we_known_model_find(const struct we_validator *v, bool *by_name)
{
    const struct we_decoder *d = &v->decoder;
    for (size_t i = 0; i < we_num_known_models; i++) {
        const struct we_known_model *known = &we_known_models[i];
        *by_name = v->known_name && strcmp(v->known_name, known->name) == 0;
        if (*by_name || (strcmp(d->model_type, known->model_type) == 0 && d->hidden_size == known->hidden_size &&
                         d->num_layers == known->num_layers && d->vocab_size == known->vocab_size &&
                         v->quantization.defaults.bits == known->bits))
            return known;
    }
    return NULL;
}
