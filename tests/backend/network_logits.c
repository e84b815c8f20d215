/* What a network computes, in float64. */
#include "network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void apply_linear(const struct test_network *n, const struct we_linear *l, const double *x, double *y)
{
    const struct test_weights *w = n->tensors;
    while (w->linear.data != l->data)
        w++;
    for (uint32_t i = 0; i < l->rows; i++) {
        size_t row = we_linear_tensor_row(l, i);
        y[i] = test_weights_bias(w, row);
        for (uint32_t k = 0; k < l->in; k++)
            y[i] += w->values[row * l->in + k] * x[k];
    }
}

static void apply_norm(const struct we_norm *norm, double *x)
{
    if (norm->kind == WE_NORM_NONE)
        return;
    double mean = 0, squares = 0;
    for (uint32_t i = 0; norm->kind == WE_NORM_LAYER && i < norm->width; i++)
        mean += x[i] / norm->width;
    for (uint32_t i = 0; i < norm->width; i++)
        squares += (x[i] - mean) * (x[i] - mean) / norm->width;
    for (uint32_t i = 0; i < norm->width; i++) {
        x[i] = (x[i] - mean) / sqrt(squares + norm->eps);
        x[i] *= norm->weight.data ? norm->weight_offset + ((const float *)norm->weight.data)[i] : 1;
        x[i] += norm->bias.data ? ((const float *)norm->bias.data)[i] : 0;
    }
}

static void apply_rope(const struct we_rope *rope, enum we_rope_mode mode, uint32_t position, double *x)
{
    uint32_t pairs = rope->rotary_dim / 2;
    for (uint32_t i = 0; i < pairs; i++) {
        double angle = (float)position * rope->inv_freq[mode][i], c = cos(angle), s = sin(angle);
        double *a = x + (rope->interleaved ? 2 * i : i), *b = x + (rope->interleaved ? 2 * i + 1 : i + pairs);
        double turned = (*a * c - *b * s) * rope->mscale[mode];
        *b = (*b * c + *a * s) * rope->mscale[mode];
        *a = turned;
    }
}

/* Norm and rope of head h; a norm over all heads comes with the first. */
static void apply_head(const struct we_attention *a, const struct we_norm *norm, uint32_t h, double *heads,
                       enum we_rope_mode mode, uint32_t position)
{
    const bool whole = norm->kind != WE_NORM_NONE && norm->width != a->head_dim;
    const struct we_norm own = we_norm_part(norm, h);
    if (whole && h == 0)
        apply_norm(norm, heads);
    if (!whole && !a->norm_after_rope)
        apply_norm(&own, heads + h * a->head_dim);
    apply_rope(&a->rope, mode, position, heads + h * a->head_dim);
    if (!whole && a->norm_after_rope)
        apply_norm(&own, heads + h * a->head_dim);
}

/* K and V of all positions so far: keys (positions, kv_heads * head_dim). Of recurrences: the inputs of their convolution, and
 * their state. */
struct state {
    double *keys, *values;
    double *inputs, *matrix; /* (positions, conv width), (heads, keys, values) */
};

static void apply_attention(const struct test_network *n, const struct we_attention *a, const double *x, uint32_t position,
                            enum we_rope_mode mode, struct state *state, double *y)
{
    const uint32_t dim = a->head_dim, v_dim = a->v_head_dim, group = a->num_attention_heads / a->num_key_value_heads;
    const uint32_t k_width = a->num_key_value_heads * dim, v_width = a->num_key_value_heads * v_dim;
    double *q = calloc(a->num_attention_heads * dim, sizeof *q), *out = calloc(a->num_attention_heads * v_dim, sizeof *out);
    double *weights = calloc(position + 1, sizeof *weights), *k = state->keys + (size_t)position * k_width;
    apply_linear(n, &a->q_proj, x, q);
    for (uint32_t h = 0; !a->shares_kv && h < a->num_key_value_heads; h++) {
        double *v = state->values + (size_t)position * v_width;
        if (h == 0)
            apply_linear(n, &a->k_proj, x, k);
        if (h == 0 && a->v_proj.data)
            apply_linear(n, &a->v_proj, x, v);
        if (a->v_proj.data == NULL)
            memcpy(v + h * v_dim, k + h * dim, dim * sizeof *v);
        apply_norm(&a->v_norm, v + h * v_dim);
        apply_head(a, &a->k_norm, h, k, mode, position);
    }
    uint32_t first = a->mask == WE_MASK_SLIDING && position + 1 > a->window ? position + 1 - a->window : 0;
    for (uint32_t h = 0; h < a->num_attention_heads; h++) {
        double total = a->sinks.data ? exp(((const float *)a->sinks.data)[h]) : 0, *qh = q + h * dim;
        apply_head(a, &a->q_norm, h, q, mode, position);
        double growth = a->q_growth ? 1 + a->q_growth * log(1 + floor((double)position / a->q_period)) : 1;
        for (uint32_t p = first; p <= position; p++) {
            double score = 0;
            for (uint32_t d = 0; d < dim; d++)
                score += qh[d] * state->keys[(size_t)p * k_width + h / group * dim + d];
            score *= a->scale * growth;
            if (a->logit_softcapping)
                score = a->logit_softcapping * tanh(score / a->logit_softcapping);
            total += weights[p] = exp(score);
        }
        for (uint32_t p = first; p <= position; p++)
            for (uint32_t d = 0; d < v_dim; d++)
                out[h * v_dim + d] += weights[p] / total * state->values[(size_t)p * v_width + h / group * v_dim + d];
    }
    if (a->gate_proj.data) {
        double *gate = calloc(a->num_attention_heads * v_dim, sizeof *gate);
        apply_linear(n, &a->gate_proj, x, gate);
        for (uint32_t i = 0; i < a->num_attention_heads * v_dim; i++)
            out[i] /= 1 + exp(-gate[i]);
        free(gate);
    }
    apply_linear(n, &a->o_proj, out, y);
    free(q), free(out), free(weights);
}

/* The view of one expert, or head. */
static struct we_linear part(struct we_linear linear, uint32_t index)
{
    linear.first += index * linear.next;
    return linear;
}

/* state->keys: (positions, latent + rope) */
static void apply_latent(const struct test_network *n, const struct we_latent_attention *a, const double *x, uint32_t position,
                         enum we_rope_mode mode, struct state *state, double *y)
{
    const uint32_t nope = a->nope_head_dim, rope = a->rope_head_dim, latent = a->latent_dim, heads = a->num_attention_heads;
    double *q = calloc(heads * (nope + rope), sizeof *q), *low = calloc(a->q_a_proj.rows + 1, sizeof *low);
    double *out = calloc(heads * a->v_head_dim, sizeof *out), *sum = calloc(latent, sizeof *sum);
    double *key = calloc(latent, sizeof *key), *at = state->keys + (size_t)position * (latent + rope);
    if (a->q_a_proj.data) {
        apply_linear(n, &a->q_a_proj, x, low);
        apply_norm(&a->q_a_norm, low);
    }
    apply_linear(n, &a->q_proj, a->q_a_proj.data ? low : x, q);
    apply_linear(n, &a->latent_proj, x, at);
    apply_linear(n, &a->rope_proj, x, at + latent);
    apply_norm(&a->latent_norm, at);
    apply_rope(&a->rope, mode, position, at + latent);
    for (uint32_t h = 0; h < heads; h++) {
        const struct we_linear embed = part(a->embed_q, h), unembed = part(a->unembed_out, h);
        double *qh = q + (size_t)h * (nope + rope), total = 0;
        apply_rope(&a->rope, mode, position, qh + nope);
        apply_linear(n, &embed, qh, key);
        memset(sum, 0, latent * sizeof *sum);
        for (uint32_t p = 0; p <= position; p++) {
            const double *seen = state->keys + (size_t)p * (latent + rope);
            double score = 0;
            for (uint32_t i = 0; i < latent; i++)
                score += key[i] * seen[i];
            for (uint32_t i = 0; i < rope; i++)
                score += qh[nope + i] * seen[latent + i];
            const double weight = exp(score * a->scale);
            total += weight;
            for (uint32_t i = 0; i < latent; i++)
                sum[i] += weight * seen[i];
        }
        for (uint32_t i = 0; i < latent; i++)
            sum[i] /= total;
        apply_linear(n, &unembed, sum, out + (size_t)h * a->v_head_dim);
    }
    apply_linear(n, &a->o_proj, out, y);
    free(q), free(low), free(out), free(sum), free(key);
}

/* state->keys: (positions, hidden) */
static void apply_short_conv(const struct test_network *n, const struct we_short_conv *c, const double *x, uint32_t position,
                             struct state *state, double *y)
{
    const uint32_t hidden = n->decoder.hidden_size;
    double *in = calloc(3 * hidden, sizeof *in);
    apply_linear(n, &c->in_proj, x, in);
    for (uint32_t i = 0; i < hidden; i++) {
        double sum = ((const float *)c->bias.data)[i];
        state->keys[(size_t)position * hidden + i] = in[i] * in[2 * hidden + i];
        for (uint32_t back = 0; back < c->length && back <= position; back++)
            sum += ((const float *)c->weight.data)[i * c->length + c->length - 1 - back] *
                   state->keys[(size_t)(position - back) * hidden + i];
        in[i] = in[hidden + i] * sum;
    }
    apply_linear(n, &c->out_proj, in, y);
    free(in);
}

/* ---- recurrences ---- */

static double silu(double x)
{
    return x / (1 + exp(-x));
}

/* `width` values after the convolution of the inputs so far. */
static void convolve(const struct we_vector *taps, const struct we_vector *bias, uint32_t length, uint32_t width,
                     const double *inputs, uint32_t position, double *out)
{
    for (uint32_t i = 0; i < width; i++) {
        double sum = bias->data ? ((const float *)bias->data)[i] : 0;
        for (uint32_t back = 0; back < length && back <= position; back++)
            sum += ((const float *)taps->data)[i * length + length - 1 - back] * inputs[(size_t)(position - back) * width + i];
        out[i] = silu(sum);
    }
}

static double at(const struct we_vector *vector, uint32_t i)
{
    return ((const float *)vector->data)[i];
}

static void make_unit(double *x, uint32_t width, double length)
{
    double squares = 1e-6;
    for (uint32_t i = 0; i < width; i++)
        squares += x[i] * x[i];
    for (uint32_t i = 0; i < width; i++)
        x[i] *= length / sqrt(squares);
}

static void apply_gated_delta(const struct test_network *n, const struct we_gated_delta *g, const double *x, uint32_t position,
                              struct state *state, double *y)
{
    const uint32_t keys = g->key_head_dim, values = g->value_head_dim, heads = g->num_value_heads,
                   all = g->num_key_heads * keys;
    const uint32_t width = 2 * all + heads * values;
    double *in = state->inputs + (size_t)position * width, *out = calloc(heads * values, sizeof *out);
    double *c = calloc(width, sizeof *c), *z = calloc(heads * values, sizeof *z), b[64], a[64];
    apply_linear(n, &g->q_proj, x, in);
    apply_linear(n, &g->k_proj, x, in + all);
    apply_linear(n, &g->v_proj, x, in + 2 * all);
    apply_linear(n, &g->z_proj, x, z);
    apply_linear(n, &g->b_proj, x, b);
    apply_linear(n, &g->a_proj, x, a);
    convolve(&g->conv, &(struct we_vector){0}, g->conv_length, width, state->inputs, position, c);
    for (uint32_t h = 0; h < g->num_key_heads; h++) {
        make_unit(c + h * keys, keys, 1 / sqrt(keys));
        make_unit(c + all + h * keys, keys, 1);
    }
    for (uint32_t h = 0; h < heads; h++) {
        const double *q = c + h / (heads / g->num_key_heads) * keys, *k = q + all, *v = c + 2 * all + h * values;
        const double decay = exp(-exp(at(&g->a_log, h)) * log1p(exp(a[h] + at(&g->dt_bias, h)))), beta = 1 / (1 + exp(-b[h]));
        double *s = state->matrix + (size_t)h * keys * values, *o = out + h * values;
        for (uint32_t i = 0; i < values; i++) {
            double known = 0;
            for (uint32_t j = 0; j < keys; j++)
                known += k[j] * (s[j * values + i] *= decay);
            for (uint32_t j = 0; j < keys; j++)
                o[i] += q[j] * (s[j * values + i] += k[j] * beta * (v[i] - known));
        }
        apply_norm(&g->norm, o);
        for (uint32_t i = 0; i < values; i++)
            o[i] *= silu(z[h * values + i]);
    }
    apply_linear(n, &g->out_proj, out, y);
    free(out), free(c), free(z);
}

static void apply_mamba2(const struct test_network *n, const struct we_mamba2 *m, const double *x, uint32_t position,
                         struct state *state, double *y)
{
    const uint32_t keys = m->state_size, values = m->head_dim, heads = m->num_heads, all = m->num_groups * keys;
    const uint32_t width = heads * values + 2 * all;
    double *in = calloc(m->in_proj.rows, sizeof *in), *c = calloc(width, sizeof *c), *out = calloc(heads * values, sizeof *out);
    apply_linear(n, &m->in_proj, x, in);
    memcpy(state->inputs + (size_t)position * width, in + heads * values, width * sizeof *in);
    convolve(&m->conv, &m->conv_bias, m->conv_length, width, state->inputs, position, c);
    for (uint32_t h = 0; h < heads; h++) {
        const double *b = c + heads * values + h / (heads / m->num_groups) * keys;
        double dt = log1p(exp(in[heads * values + width + h] + at(&m->dt_bias, h)));
        dt = fmin(fmax(dt, m->dt_min), m->dt_max);
        double *s = state->matrix + (size_t)h * keys * values;
        for (uint32_t i = 0; i < values; i++) {
            const double v = c[h * values + i];
            double o = at(&m->d, h) * v;
            for (uint32_t j = 0; j < keys; j++) {
                s[j * values + i] = exp(-exp(at(&m->a_log, h)) * dt) * s[j * values + i] + dt * v * b[j];
                o += b[all + j] * s[j * values + i];
            }
            out[h * values + i] = o * silu(in[h * values + i]);
        }
    }
    for (uint32_t p = 0; p < heads * values / m->norm.width; p++) {
        const struct we_norm part = we_norm_part(&m->norm, p);
        apply_norm(&part, out + p * m->norm.width);
    }
    apply_linear(n, &m->out_proj, out, y);
    free(in), free(c), free(out);
}

double test_activated(const struct we_feed_forward *f, double gate, double up)
{
    switch (f->activation) {
    case WE_ACTIVATION_GELU:
        return gate * 0.5 * erfc(-gate / sqrt(2.0)) * up;
    case WE_ACTIVATION_GELU_TANH:
        return 0.5 * gate * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (gate + 0.044715 * gate * gate * gate))) * up;
    case WE_ACTIVATION_RELU_SQUARED:
        return gate > 0 ? gate * gate * up : 0;
    case WE_ACTIVATION_SIGMOID:
        return up / (1 + exp(-gate));
    case WE_ACTIVATION_SWIGLU_CLIPPED:
        gate = fmin(gate, f->limit), up = fmax(fmin(up, f->limit), -f->limit);
        return gate / (1 + exp(-f->alpha * gate)) * (up + 1);
    default:
        return gate / (1 + exp(-gate)) * up;
    }
}

static void apply_feed_forward(const struct test_network *n, const struct we_feed_forward *f, const double *x, double *y)
{
    const uint32_t inner = f->up_proj.rows;
    double *gate = calloc(inner, sizeof *gate), *up = calloc(inner, sizeof *up);
    apply_linear(n, &f->up_proj, x, up);
    if (f->gate_proj.data)
        apply_linear(n, &f->gate_proj, x, gate);
    else
        memcpy(gate, up, inner * sizeof *gate);
    for (uint32_t i = 0; i < inner; i++)
        up[i] = test_activated(f, gate[i], f->gate_proj.data ? up[i] : 1);
    apply_linear(n, &f->down_proj, up, y);
    free(gate), free(up);
}

/* The experts of one row and their weights, by the definition: the best is looked for among all that are left. */
static void route(const struct we_moe *m, const double *logits, uint32_t *chosen, double *weights)
{
    double scores[64], rank[64], total = 0, sum = 0;
    const uint32_t size = m->num_groups > 1 ? m->num_experts / m->num_groups : m->num_experts;
    for (uint32_t i = 0; i < m->num_experts; i++)
        total += exp(logits[i]);
    for (uint32_t i = 0; i < m->num_experts; i++) {
        scores[i] = m->score == WE_ROUTER_SIGMOID ? 1 / (1 + exp(-logits[i])) : exp(logits[i]) / total;
        rank[i] = m->score == WE_ROUTER_SPARSEMIXER ? logits[i] : scores[i];
        rank[i] += m->correction_bias.data ? ((const float *)m->correction_bias.data)[i] : 0;
    }
    for (uint32_t g = 0; m->num_groups > 1 && g < m->num_groups; g++) { /* a group is left when too many are better */
        double best[8][2];
        uint32_t better = 0;
        for (uint32_t h = 0; h < m->num_groups; h++) {
            best[h][0] = best[h][1] = -INFINITY;
            for (uint32_t i = h * size; i < (h + 1) * size; i++) {
                const double r = scores[i] + (m->correction_bias.data ? ((const float *)m->correction_bias.data)[i] : 0);
                if (r > best[h][0])
                    best[h][1] = best[h][0], best[h][0] = r;
                else if (r > best[h][1])
                    best[h][1] = r;
            }
        }
        for (uint32_t h = 0; h < m->num_groups; h++)
            better += m->best_of_group ? best[h][0] > best[g][0] : best[h][0] + best[h][1] > best[g][0] + best[g][1];
        for (uint32_t i = g * size; better >= m->top_groups && i < (g + 1) * size; i++)
            rank[i] = 0, scores[i] = m->best_of_group ? 0 : scores[i];
    }
    for (uint32_t k = 0; k < m->top_k; k++) {
        uint32_t best = 0;
        for (uint32_t i = 1; i < m->num_experts; i++)
            best = rank[i] > rank[best] ? i : best;
        double near = 0;
        for (uint32_t i = 0; i < m->num_experts; i++)
            if (rank[i] > -INFINITY && (logits[best] - logits[i]) / fmax(fabs(logits[i]), logits[best]) <= 2 * m->jitter)
                near += exp(logits[i] - logits[best]);
        chosen[k] = best;
        weights[k] = m->score == WE_ROUTER_SPARSEMIXER ? 1 / near : scores[best];
        rank[best] = -INFINITY;
        sum += weights[k];
    }
    for (uint32_t k = 0; k < m->top_k; k++)
        weights[k] *= m->routed_scaling_factor / (m->norm_topk_prob ? sum : 1);
}

/* h: what x was before its norm. */
static void apply_mixture(const struct test_network *n, const struct we_moe *m, const double *h, const double *x, double *y)
{
    const uint32_t hidden = n->decoder.hidden_size;
    double logits[64], weights[64], gate = 0;
    const uint32_t stream = m->latent_in.data ? m->latent_in.rows : hidden, most = stream > hidden ? stream : hidden;
    double *one = calloc(most, sizeof *one), *in = calloc(most, sizeof *in), *sum = calloc(most, sizeof *sum);
    uint32_t chosen[64];
    memcpy(in, m->router_norm.kind == WE_NORM_NONE ? x : h, hidden * sizeof *in);
    apply_norm(&m->router_norm, in);
    apply_linear(n, &m->router, in, logits);
    route(m, logits, chosen, weights);
    for (uint32_t k = 0; m->expert_scale.data && k < m->top_k; k++)
        weights[k] *= at(&m->expert_scale, chosen[k]);
    memcpy(in, x, hidden * sizeof *in);
    if (m->latent_in.data)
        apply_linear(n, &m->latent_in, x, in);
    for (uint32_t k = 0; k < m->top_k; k++) {
        struct we_feed_forward f = m->experts;
        f.gate_proj = part(f.gate_proj, chosen[k]), f.up_proj = part(f.up_proj, chosen[k]);
        f.down_proj = part(f.down_proj, chosen[k]);
        apply_feed_forward(n, &f, in, one);
        for (uint32_t i = 0; i < stream; i++)
            sum[i] += weights[k] * one[i];
    }
    if (m->latent_in.data)
        apply_linear(n, &m->latent_out, sum, y);
    else
        memcpy(y, sum, hidden * sizeof *y);
    if (m->shared.up_proj.data) {
        apply_feed_forward(n, &m->shared, x, one);
        if (m->shared_gate.data)
            apply_linear(n, &m->shared_gate, x, &gate);
        for (uint32_t i = 0; i < hidden; i++)
            y[i] += one[i] * (m->shared_gate.data ? 1 / (1 + exp(-gate)) : 1);
    }
    free(one), free(in), free(sum);
}

/* What all layers get of a token: inputs (layers, width). h: the stream before the first layer. */
static void make_layer_inputs(const struct test_network *n, uint32_t token, const double *h, double *inputs)
{
    const struct we_layer_inputs *l = &n->decoder.layer_inputs;
    const uint32_t all = n->decoder.num_layers * l->width;
    const struct test_weights *embed = n->tensors;
    while (embed->linear.data != l->embed_tokens.data)
        embed++;
    apply_linear(n, &l->proj, h, inputs);
    for (uint32_t i = 0; i < all; i++)
        inputs[i] *= l->proj_multiplier;
    for (uint32_t i = 0; i < all; i += l->width)
        apply_norm(&l->norm, inputs + i);
    for (uint32_t i = 0; i < all; i++)
        inputs[i] = l->multiplier * (inputs[i] + l->embed_multiplier * embed->values[(size_t)token * all + i]);
}

static void apply_layer_input(const struct test_network *n, const struct we_layer_input *l, const double *x,
                              const double *inputs, double *y)
{
    const uint32_t width = n->decoder.layer_inputs.width;
    double *gate = calloc(width, sizeof *gate);
    apply_linear(n, &l->gate_proj, x, gate);
    for (uint32_t i = 0; i < width; i++)
        gate[i] = test_activated(&(struct we_feed_forward){.activation = l->activation}, gate[i], inputs[l->index * width + i]);
    apply_linear(n, &l->out_proj, gate, y);
    free(gate);
}

static void apply_step(const struct test_network *n, const struct we_step *step, uint32_t position, enum we_rope_mode mode,
                       struct state *states, const double *inputs, double *h)
{
    const uint32_t hidden = n->decoder.hidden_size;
    double *x = calloc(hidden, sizeof *x), *y = calloc(hidden, sizeof *y), *sum = calloc(hidden, sizeof *sum);
    for (uint32_t b = 0; b < step->num_blocks; b++) {
        const struct we_block *block = &step->blocks[b];
        memcpy(x, h, hidden * sizeof *x);
        apply_norm(&block->pre_norm, x);
        if (block->kind == WE_BLOCK_ATTENTION)
            apply_attention(n, block->op.attention, x, position, mode, &states[block->state], y);
        else if (block->kind == WE_BLOCK_SHORT_CONV)
            apply_short_conv(n, block->op.short_conv, x, position, &states[block->state], y);
        else if (block->kind == WE_BLOCK_GATED_DELTA)
            apply_gated_delta(n, block->op.gated_delta, x, position, &states[block->state], y);
        else if (block->kind == WE_BLOCK_MAMBA2)
            apply_mamba2(n, block->op.mamba2, x, position, &states[block->state], y);
        else if (block->kind == WE_BLOCK_LATENT_ATTENTION)
            apply_latent(n, block->op.latent_attention, x, position, mode, &states[block->state], y);
        else if (block->kind == WE_BLOCK_MOE)
            apply_mixture(n, block->op.moe, h, x, y);
        else if (block->kind == WE_BLOCK_LAYER_INPUT)
            apply_layer_input(n, block->op.layer_input, x, inputs, y);
        else
            apply_feed_forward(n, block->op.feed_forward, x, y);
        apply_norm(&block->post_norm, y);
        for (uint32_t i = 0; i < hidden; i++)
            sum[i] += y[i];
    }
    apply_norm(&step->post_norm, sum);
    for (uint32_t i = 0; i < hidden; i++)
        h[i] = (h[i] + step->residual_multiplier * sum[i]) * (step->stream_multiplier != 0 ? step->stream_multiplier : 1);
    free(x), free(y), free(sum);
}

void test_network_logits(const struct test_network *n, const uint32_t *tokens, uint32_t num_tokens, enum we_rope_mode mode,
                         double *logits)
{
    const struct we_decoder *d = &n->decoder;
    const struct test_network_shape *s = &n->shape;
    struct state *states = calloc(s->layers, sizeof *states);
    for (uint32_t i = 0; i < s->layers; i++) {
        states[i].keys =
            calloc((size_t)num_tokens * (s->kv_heads * s->head_dim + s->hidden + s->latent + s->rotary_dim), sizeof(double));
        states[i].values = calloc((size_t)num_tokens * s->kv_heads * s->v_head_dim, sizeof(double));
        const size_t heads = s->delta_heads + s->mamba_heads,
                     width = 2 * s->key_heads * s->state_keys + heads * s->state_values;
        states[i].inputs = calloc(num_tokens * width, sizeof(double));
        states[i].matrix = calloc(heads * s->state_keys * s->state_values, sizeof(double));
    }
    double *h = calloc(d->hidden_size, sizeof *h), *inputs = calloc(d->num_layers * s->layer_inputs + 1, sizeof *inputs);
    for (uint32_t t = 0; t < num_tokens; t++) {
        for (uint32_t i = 0; i < d->hidden_size; i++)
            h[i] = d->embedding_multiplier * n->tensors[0].values[(size_t)tokens[t] * d->hidden_size + i];
        if (s->layer_inputs)
            make_layer_inputs(n, tokens[t], h, inputs);
        for (uint32_t l = 0; l < d->num_layers; l++)
            for (uint32_t i = 0; i < d->layers[l].num_steps; i++)
                apply_step(n, &d->layers[l].steps[i], t, mode, states, inputs, h);
        apply_norm(&d->norm, h);
        apply_linear(n, &d->lm_head, h, logits + (size_t)t * d->vocab_size);
        for (uint32_t i = 0; i < d->vocab_size; i++)
            logits[(size_t)t * d->vocab_size + i] *= d->logit_multiplier;
        for (uint32_t i = 0; d->final_logit_softcapping != 0 && i < d->vocab_size; i++) {
            double *logit = &logits[(size_t)t * d->vocab_size + i];
            *logit = d->final_logit_softcapping * tanh(*logit / d->final_logit_softcapping);
        }
    }
    for (uint32_t i = 0; i < s->layers; i++)
        free(states[i].keys), free(states[i].values), free(states[i].inputs), free(states[i].matrix);
    free(states), free(h), free(inputs);
}
