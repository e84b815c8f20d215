/* Raw generation: the model opens, its logits are finite and no worse than chance, reading and writing agree, the same prompt
 * gives the same tokens, and those that are known. */
#include "engine/validate.h"

#include "base/system.h"

#include <math.h>
#include <stdlib.h>

const struct we_sampling we_validate_greedy = {.min_tokens_to_keep = 1, .repetition_context = 20};

enum { MOST_IDS = 48, COMPARED = 12, GENERATED = 16, FEWEST_GENERATED = 6 };

static const char TEXT[] =
    "The sun rises in the east and sets in the west. In the morning people wake up, wash their faces, eat "
    "breakfast and go to work or to school. In the evening they come home, and after dinner they go to bed.";

static bool open_model(struct we_validator *v)
{
    struct we_error error;
    struct we_model_options options = v->model;
    options.max_sequences = 1;
    if (we_model_open(v->path, &options, &v->opened, &error) == WE_OK) {
        const struct we_model_info *info = we_model_info(v->opened);
        we_check(v, WE_CHECK_PASSED, "load", NULL, "%.3f s on %s, %s precision", info->load_seconds, info->device,
                 v->model.precision == WE_PRECISION_FAST ? "fast" : "exact");
        return true;
    }
    if (v->text_sound)
        we_check_error(v, WE_CHECK_FAILED, "load", v->again, &error);
    else
        we_check(v, WE_CHECK_SKIPPED, "load", NULL, "the model is not opened: some of its files are broken, as told above");
    return false;
}

static bool make_ids(struct we_validator *v)
{
    const uint32_t room = v->opened->info.context_length, vocab = v->decoder.vocab_size;
    uint32_t most = room > MOST_IDS + GENERATED + 1 ? MOST_IDS : room > GENERATED + 2 ? room - GENERATED - 1 : 0;
    struct we_ids text = {0};
    v->ids = we_arena_array(&v->arena, most + 1, sizeof *v->ids);
    if (v->ids == NULL || most == 0)
        return false;
    if (v->tokenizer && we_tokenizer_encode(v->tokenizer, we_str_c(TEXT), true, &text, NULL) == WE_OK)
        for (size_t i = 0; i < text.count && v->num_ids < most; i++)
            if (text.data[i] < vocab)
                v->ids[v->num_ids++] = text.data[i];
    we_ids_free(&text);
    uint64_t random = 1;
    for (; v->tokenizer == NULL && v->num_ids < most; v->num_ids++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        v->ids[v->num_ids] = (uint32_t)(random >> 33) % vocab;
    }
    return v->num_ids > 0;
}

/* ---- logits ---- */

struct rows {
    const struct we_validator *v;
    uint32_t vocab;
    size_t not_finite, first; /* rows that have values that are not finite; the first of them */
    double loss;              /* sum over all rows but the last one */
    float *kept;              /* (COMPARED, vocab) of the prompt's pass */
    double difference, size;  /* sums of squares: of the second pass from the first, of the first from its mean */
    bool second;
};

static void compare_row(struct rows *rows, size_t index, const float *logits)
{
    const float *kept = rows->kept + index * rows->vocab;
    double mean = 0;
    for (uint32_t i = 0; i < rows->vocab; i++)
        mean += (double)kept[i] / rows->vocab;
    for (uint32_t i = 0; i < rows->vocab; i++) {
        rows->difference += pow((double)logits[i] - (double)kept[i], 2);
        rows->size += pow((double)kept[i] - mean, 2);
    }
}

static bool on_row(void *context, size_t index, const float *logits)
{
    struct rows *rows = context;
    double most = -INFINITY, sum = 0;
    bool finite = true;
    for (uint32_t i = 0; i < rows->vocab; i++) {
        finite = finite && isfinite(logits[i]);
        most = (double)logits[i] > most ? (double)logits[i] : most;
    }
    if (!finite) {
        rows->first = rows->not_finite++ ? rows->first : index;
        return true;
    }
    if (rows->second) {
        compare_row(rows, index, logits);
        return true;
    }
    if (index < COMPARED)
        memcpy(rows->kept + index * rows->vocab, logits, rows->vocab * sizeof *logits);
    for (uint32_t i = 0; i < rows->vocab; i++)
        sum += exp((double)logits[i] - most);
    if (index + 1 < rows->v->num_ids)
        rows->loss += most + log(sum) - (double)logits[rows->v->ids[index + 1]];
    return true;
}

static void tell_not_finite(struct we_validator *v, const struct rows *rows, uint32_t count, const char *phase)
{
    const char *hint = v->model.precision == WE_PRECISION_FAST
                           ? we_validator_text(v, "whisperengine validate -m %s --precision exact", we_shell_word(v, v->path))
                           : v->again;
    we_check(
        v, WE_CHECK_FAILED, "logits", hint,
        "%s: %zu of %u positions have logits that are not finite when they are %s (the first is number %zu): the weights are "
        "damaged, or too large for this precision",
        v->path, rows->not_finite, count, phase, rows->first);
}

/* A model that guesses worse than this share of what chance would lose has not learned what its tokenizer writes. */
static void tell_loss(struct we_validator *v, const struct rows *rows)
{
    const double chance = log((double)rows->vocab), loss = v->num_ids > 1 ? rows->loss / (v->num_ids - 1) : 0;
    if (v->tokenizer == NULL || v->num_ids < MOST_IDS / 2)
        we_check(v, WE_CHECK_PASSED, "logits", NULL, "finite at all %u positions", v->num_ids);
    else if (loss > 0.75 * chance)
        we_check(
            v, WE_CHECK_WARNING, "logits", v->again,
            "%s: finite, but the model is no good at plain English: it loses %.1f nats a token, where pure chance loses %.1f\n"
            "unless it was trained on something else, its tokenizer, config or weights are of another model",
            v->path, loss, chance);
    else
        we_check(v, WE_CHECK_PASSED, "logits", NULL,
                 "finite at all %u positions; %.1f nats a token over plain English (chance: %.1f)", v->num_ids, loss, chance);
}

static bool check_logits(struct we_validator *v)
{
    struct rows rows = {.v = v, .vocab = v->decoder.vocab_size};
    struct we_error error;
    const uint32_t compared = v->num_ids < COMPARED ? v->num_ids : COMPARED;
    rows.kept = calloc((size_t)COMPARED * rows.vocab, sizeof *rows.kept);
    if (rows.kept == NULL) {
        v->out_of_memory = true;
        return false;
    }
    double start = we_clock();
    we_status status = we_logits(v->opened, v->ids, v->num_ids, on_row, &rows, &error);
    v->prefill_tps = v->num_ids / (we_clock() - start);
    bool fine = status == WE_OK && rows.not_finite == 0;
    if (status == WE_OK && !fine)
        tell_not_finite(v, &rows, v->num_ids, "read together");
    if (fine) {
        tell_loss(v, &rows);
        rows.second = true;
        start = we_clock();
        status = we_logits_decode(v->opened, v->ids, compared, on_row, &rows, &error);
        v->decode_tps = compared / (we_clock() - start);
        fine = status == WE_OK && rows.not_finite == 0;
        if (status == WE_OK && !fine)
            tell_not_finite(v, &rows, compared, "read one by one");
    }
    free(rows.kept);
    if (status != WE_OK)
        we_check_error(v, WE_CHECK_FAILED, "logits", v->again, &error);
    if (!fine)
        return false;
    const double share = rows.size > 0 ? sqrt(rows.difference / rows.size) : 0;
    const double most = v->model.precision == WE_PRECISION_FAST ? 0.25 : 0.001;
    if (share > most)
        we_check(v, WE_CHECK_FAILED, "phases",
                 we_validator_text(v, "whisperengine validate -m %s --isa generic", we_shell_word(v, v->path)),
                 "reading a prompt and writing a token give logits that differ by %.2g of their size, where at most %.2g was "
                 "expected: "
                 "the kernels of %s do not agree",
                 share, most, v->opened->info.device);
    else
        we_check(v, WE_CHECK_PASSED, "phases", NULL,
                 "reading a prompt and writing a token agree, to %.2g of the size of the logits", share);
    return share <= most;
}

/* ---- tokens ---- */

static we_status generate(struct we_model *model, const uint32_t *ids, uint32_t count, uint32_t max_tokens, bool ignore_end,
                          struct we_result *result, struct we_error *error)
{
    struct we_request request;
    we_request_init(&request, model);
    request.sampling = we_validate_greedy;
    request.ids = ids;
    request.num_ids = count;
    request.max_tokens = max_tokens;
    request.ignore_end_tokens = ignore_end;
    return we_generate(model, &request, result, error);
}

static bool same_tokens(const struct we_result *a, const uint32_t *tokens, uint32_t count)
{
    return a->generation_tokens == count && (count == 0 || memcmp(a->tokens, tokens, count * sizeof *tokens) == 0);
}

static bool check_tokens(struct we_validator *v)
{
    struct we_result first = {0}, second = {0};
    struct we_error error;
    const double half_a_second = v->decode_tps / 2;
    const uint32_t wanted = half_a_second > GENERATED          ? GENERATED
                            : half_a_second > FEWEST_GENERATED ? (uint32_t)half_a_second
                                                               : FEWEST_GENERATED;
    uint32_t beyond = 0;
    we_status status = generate(v->opened, v->ids, v->num_ids, wanted, true, &first, &error);
    if (status == WE_OK)
        status = generate(v->opened, v->ids, v->num_ids, wanted, true, &second, &error);
    for (uint32_t i = 0; status == WE_OK && i < first.generation_tokens; i++)
        beyond += first.tokens[i] >= v->decoder.vocab_size;
    bool complete = first.generation_tokens == wanted && beyond == 0;
    bool same = status == WE_OK && same_tokens(&first, second.tokens, second.generation_tokens);
    if (status != WE_OK)
        we_check_error(v, WE_CHECK_FAILED, "tokens", v->again, &error);
    else if (!complete)
        we_check(v, WE_CHECK_FAILED, "tokens", v->again,
                 "%u tokens came, of which %u are not in the vocabulary; %u were asked for", first.generation_tokens, beyond,
                 wanted);
    else if (!same)
        we_check(v, WE_CHECK_FAILED, "tokens",
                 we_validator_text(v, "whisperengine validate -m %s --isa generic", we_shell_word(v, v->path)),
                 "the same prompt gave other tokens the second time, though each was the likeliest one");
    else
        we_check(v, WE_CHECK_PASSED, "tokens", NULL, "%u tokens come, and the same prompt gives the same ones again", wanted);
    we_result_clear(&first);
    we_result_clear(&second);
    return status == WE_OK && complete && same;
}

/* ---- the replies that are known ---- */

static we_status compare_replies(struct we_model *exact, const struct we_known_model *known, struct we_result *result,
                                 bool *same, struct we_error *error)
{
    const size_t count = sizeof known->replies / sizeof *known->replies;
    *same = true;
    for (size_t i = 0; i < count && *same; i++) {
        we_result_clear(result);
        we_status status = generate(exact, known->replies[i].prompt, known->replies[i].num_prompt, known->replies[i].num_reply,
                                    true, result, error);
        if (status != WE_OK)
            return status;
        *same = same_tokens(result, known->replies[i].reply, known->replies[i].num_reply);
    }
    return WE_OK;
}

/* Float32 throughout, as the replies were computed. */
static void check_known(struct we_validator *v)
{
    enum { ROOM = 128 };
    bool by_name, same = false;
    const struct we_known_model *known = we_known_model_find(v, &by_name);
    struct we_model *exact = NULL;
    struct we_result result = {0};
    struct we_error error;
    if (known == NULL) {
        we_check(v, WE_CHECK_SKIPPED, "known reply", NULL, "no reply of this model is known to compare with");
        return;
    }
    struct we_model_options options = v->model;
    options.precision = WE_PRECISION_EXACT;
    options.max_sequences = 1;
    options.max_context = ROOM;
    we_status status = we_model_open(v->path, &options, &exact, &error);
    if (status == WE_OK)
        status = compare_replies(exact, known, &result, &same, &error);
    if (status != WE_OK)
        we_check_error(v, WE_CHECK_FAILED, "known reply", v->again, &error);
    else if (same)
        we_check(v, WE_CHECK_PASSED, "known reply", NULL, "token by token those of mlx-lm, as \"%s\"", known->text);
    else
        we_check(v, by_name ? WE_CHECK_FAILED : WE_CHECK_WARNING, "known reply", v->again,
                 "%s %s %s, but its replies are others: %s\nits weights or its config are %s", v->path,
                 by_name ? "is" : "looks like", known->name, we_validator_quote(v, we_str(result.text, result.text_length)),
                 by_name ? "damaged, or of another model" : "of another model, or damaged");
    we_result_clear(&result);
    we_model_close(exact);
}

bool we_validate_generation(struct we_validator *v)
{
    v->group = "generation";
    we_step(v, "opening the model");
    if (!open_model(v))
        return false;
    we_step(v, "generating");
    if (!make_ids(v)) {
        we_check(v, WE_CHECK_FAILED, "logits", v->again, "the context of %u positions is too small for a reply",
                 v->opened->info.context_length);
        return false;
    }
    if (!check_logits(v) || !check_tokens(v))
        return false;
    if (!v->stopped)
        check_known(v);
    return true;
}
