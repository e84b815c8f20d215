#include "gate.h"

#include "base/fs.h"
#include "base/str.h"
#include "format/safetensors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 2048 };             /* of the file, in one unit of -log p */
static const double LEAST = 1e-15; /* of a probability within the logarithm; the file knows none below e^-32 */

void gate_open(struct gate *gate)
{
    *gate = (struct gate){0};
    struct we_buf buf = {0};
    struct we_error error;
    if (we_file_read(TEST_DATA "/gate_text.txt", 1 << 20, &buf, &error) != WE_OK)
        fail_msg("%s", error.message);
    char *text = we_arena_copy(&gate->arena, we_buf_str(&buf));
    struct we_str all = we_str(text, buf.length);
    we_buf_free(&buf);
    gate->pieces = we_arena_alloc(&gate->arena, 64 * sizeof *gate->pieces);
    assert_non_null(text);
    assert_non_null(gate->pieces);
    for (size_t at = 0; at < all.length;) {
        size_t end_of_line = we_str_find(all, we_str_c("\n"), at);
        assert_true(gate->num_pieces < 64 && end_of_line != SIZE_MAX && strncmp(text + at, "=== ", 4) == 0);
        size_t next = we_str_find(all, we_str_c("\n=== "), end_of_line), first = end_of_line + 1;
        size_t end = next == SIZE_MAX ? all.length : next;
        while (end > first && text[end - 1] == '\n')
            end--;
        gate->pieces[gate->num_pieces++] = (struct gate_piece){
            .name = we_arena_copy(&gate->arena, we_str(text + at + 4, end_of_line - at - 4)),
            .text = we_str(text + first, end - first),
        };
        at = next == SIZE_MAX ? all.length : next + 1;
    }
}

void gate_close(struct gate *gate)
{
    we_arena_free(&gate->arena);
}

static const struct we_tensor *find_tensor(const struct we_safetensors *file, const char *name, size_t columns, size_t rows)
{
    const struct we_tensor *tensor = we_safetensors_find(file, we_str_c(name));
    if (tensor == NULL || (tensor->dtype != WE_U16 && tensor->dtype != WE_U32) || tensor->num_dims != (columns ? 2 : 1) ||
        (columns && tensor->shape[1] != columns) || (rows && tensor->shape[0] != rows))
        fail_msg("the goldens have no tensor %s of the right shape and type; run make_gate_goldens.py", name);
    return tensor;
}

static uint32_t read_integer(const struct we_tensor *tensor, size_t index)
{
    uint32_t value = 0; /* the file is little-endian, as the machines are that this runs on */
    size_t size = we_dtype_size(tensor->dtype);
    memcpy(&value, (const char *)tensor->data + index * size, size);
    return value;
}

void gate_read_goldens(struct gate *gate, const char *path)
{
    struct we_safetensors *file;
    struct we_error error;
    if (we_safetensors_open_file(path, &file, &error) != WE_OK)
        fail_msg("%s", error.message);
    const struct we_tensor *lengths = find_tensor(file, "lengths", 0, gate->num_pieces),
                           *ids = find_tensor(file, "tokens", 0, 0);
    size_t count = (size_t)ids->shape[0], first = 0;
    const struct we_tensor *top = find_tensor(file, "top", GATE_TOP, count), *rest = find_tensor(file, "rest", 0, count);
    const struct we_tensor *surprise = find_tensor(file, "surprise", GATE_TOP, count);
    uint32_t *tokens = we_arena_alloc(&gate->arena, count * sizeof *tokens);
    struct gate_row *rows = we_arena_alloc(&gate->arena, count * sizeof *rows);
    assert_true(tokens && rows);
    for (size_t i = 0; i < count; i++) {
        double sum = rows[i].rest = exp(-(double)read_integer(rest, i) / STEPS);
        tokens[i] = read_integer(ids, i);
        for (size_t k = 0; k < GATE_TOP; k++) {
            rows[i].top[k] = read_integer(top, i * GATE_TOP + k);
            sum += rows[i].p[k] = exp(-(double)read_integer(surprise, i * GATE_TOP + k) / STEPS);
        }
        assert_true(fabs(sum - 1) < 1e-3);
        for (size_t k = 0; k < GATE_TOP; k++)
            rows[i].p[k] /= sum;
        rows[i].rest /= sum;
    }
    for (size_t i = 0; i < gate->num_pieces; i++) {
        gate->pieces[i].tokens = tokens + first;
        gate->pieces[i].rows = rows + first;
        first += gate->pieces[i].num_tokens = read_integer(lengths, i);
    }
    assert_int_equal(first, count);
    gate->num_positions = count;
    we_safetensors_close(file);
}

void gate_tokenize(struct gate *gate, const char *model_directory)
{
    gate->num_positions = 0;
    for (size_t i = 0; i < gate->num_pieces; i++) {
        struct gate_piece *piece = &gate->pieces[i];
        struct we_error error;
        uint32_t *ids, *copy;
        if (we_tokenize(model_directory, piece->text.data, piece->text.length, true, &ids, &piece->num_tokens, &error) != WE_OK)
            fail_msg("%s", error.message);
        piece->tokens = copy = we_arena_alloc(&gate->arena, piece->num_tokens * sizeof *copy);
        assert_non_null(copy);
        memcpy(copy, ids, piece->num_tokens * sizeof *copy);
        gate->num_positions += piece->num_tokens;
        free(ids);
    }
}

/* ---- one position ---- */

struct softmax {
    double max, sum; /* of e^(logit - max); NaN if a logit is not finite */
    uint32_t best;   /* of equal ones the lowest id */
};

static struct softmax softmax_of(const float *logits, uint32_t count)
{
    struct softmax s = {.max = logits[0]};
    for (uint32_t i = 1; i < count; i++) {
        if (logits[i] > s.max) {
            s.max = logits[i];
            s.best = i;
        }
    }
    for (uint32_t i = 0; i < count; i++)
        s.sum += exp((double)logits[i] - s.max);
    return s;
}

void gate_judge(const struct gate_row *row, const float *logits, uint32_t vocab_size, struct gate_figures *figures)
{
    struct softmax ours = softmax_of(logits, vocab_size);
    double kl = 0, rest = 1;
    for (size_t k = 0; k < GATE_TOP && row->p[k] > 0; k++) {
        assert_true(row->top[k] < vocab_size);
        double q = exp((double)logits[row->top[k]] - ours.max) / ours.sum;
        rest -= q;
        kl += row->p[k] * log(row->p[k] / fmax(q, LEAST));
    }
    if (row->rest > 0)
        kl += row->rest * log(row->rest / fmax(rest, LEAST));
    kl = isfinite(kl) && isfinite(ours.sum) ? fmax(kl, 0) : INFINITY;
    if (!(kl <= figures->kl_worst)) {
        figures->kl_worst = kl;
        figures->worst_position = figures->positions;
    }
    figures->kl_sum += kl;
    figures->agree += isfinite(kl) && ours.best == row->top[0];
    figures->positions++;
}

void gate_add(struct gate_figures *sum, const struct gate_figures *figures)
{
    if (!(figures->kl_worst <= sum->kl_worst)) {
        sum->kl_worst = figures->kl_worst;
        sum->worst_piece = figures->worst_piece;
        sum->worst_position = figures->worst_position;
    }
    sum->positions += figures->positions;
    sum->agree += figures->agree;
    sum->kl_sum += figures->kl_sum;
}

double gate_agreement(const struct gate_figures *figures)
{
    return figures->positions ? (double)figures->agree / (double)figures->positions : 0;
}

double gate_mean_kl(const struct gate_figures *figures)
{
    return figures->positions ? figures->kl_sum / (double)figures->positions : INFINITY;
}

/* ---- a model ---- */

struct run {
    const struct gate_piece *piece;
    struct gate_row *rows; /* to fill, or NULL: to judge by the piece's */
    uint32_t vocab_size;
    struct gate_figures figures;
};

static bool judge_row(void *context, size_t index, const float *logits)
{
    struct run *run = context;
    assert_int_equal(index, run->figures.positions);
    gate_judge(&run->piece->rows[index], logits, run->vocab_size, &run->figures);
    return true;
}

struct gate_figures gate_run(const struct gate *gate, size_t piece, struct we_model *model, bool decode, size_t most)
{
    struct run run = {.piece = &gate->pieces[piece], .vocab_size = we_model_info(model)->vocab_size};
    struct we_error error;
    size_t count = run.piece->num_tokens < most ? run.piece->num_tokens : most;
    we_status status = decode ? we_logits_decode(model, run.piece->tokens, count, judge_row, &run, &error)
                              : we_logits(model, run.piece->tokens, count, judge_row, &run, &error);
    if (status != WE_OK)
        fail_msg("%s: %s", run.piece->name, error.message);
    assert_int_equal(run.figures.positions, count);
    run.figures.worst_piece = piece;
    return run.figures;
}

/* The likeliest ids by insertion: most of the vocabulary is below the last of them at once. */
static bool fill_row(void *context, size_t index, const float *logits)
{
    struct run *run = context;
    struct gate_row *row = &run->rows[index];
    struct softmax s = softmax_of(logits, run->vocab_size);
    uint32_t count = 0;
    for (uint32_t i = 0; i < run->vocab_size; i++) {
        if (count == GATE_TOP && !(logits[i] > logits[row->top[count - 1]]))
            continue;
        uint32_t at = count < GATE_TOP ? count++ : count - 1;
        for (; at > 0 && logits[i] > logits[row->top[at - 1]]; at--)
            row->top[at] = row->top[at - 1];
        row->top[at] = i;
    }
    row->rest = 1;
    for (uint32_t k = 0; k < GATE_TOP; k++)
        row->p[k] = k < count ? exp((double)logits[row->top[k]] - s.max) / s.sum : 0;
    for (uint32_t k = 0; k < count; k++)
        row->rest -= row->p[k];
    row->rest = count < run->vocab_size ? fmax(row->rest, 0) : 0;
    return true;
}

void gate_make_reference(struct gate *gate, struct we_model *model)
{
    for (size_t i = 0; i < gate->num_pieces; i++) {
        struct gate_piece *piece = &gate->pieces[i];
        struct run run = {.rows = we_arena_alloc(&gate->arena, piece->num_tokens * sizeof *run.rows),
                          .vocab_size = we_model_info(model)->vocab_size};
        struct we_error error;
        assert_non_null(run.rows);
        if (we_logits(model, piece->tokens, piece->num_tokens, fill_row, &run, &error) != WE_OK)
            fail_msg("%s: %s", piece->name, error.message);
        piece->rows = run.rows;
    }
}
