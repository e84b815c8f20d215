#include "sample/filters.h"

#include "sample/order.h"

#include <math.h>

float we_largest(const float *values, size_t count)
{
    enum { LANES = 32 }; /* independent maxima, so that they need not wait for each other */
    size_t i = 0;
    float largest = values[0];
    if (count >= LANES) {
        float lanes[LANES];
        memcpy(lanes, values, sizeof lanes);
        for (i = LANES; i + LANES <= count; i += LANES)
            for (int j = 0; j < LANES; j++)
                lanes[j] = values[i + (size_t)j] > lanes[j] ? values[i + (size_t)j] : lanes[j];
        for (int j = 0; j < LANES; j++)
            largest = lanes[j] > largest ? lanes[j] : largest;
    }
    for (; i < count; i++)
        largest = values[i] > largest ? values[i] : largest;
    return largest;
}

/* Drops what is below `least`. */
static void keep_from(struct we_candidates *c, float least)
{
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++) {
        c->values[n] = c->values[i];
        c->tokens[n] = c->tokens[i];
        n += !(c->values[i] < least);
    }
    c->count = n;
}

/* ---- top-p ---- */

/* Adds exp(value) of the sorted keys, one after the other, while that still changes the sum. c->more[i] becomes the
 * (float's bits of the) sum before key i. Returns how many were added. */
static size_t add_masses(struct we_candidates *c, size_t count, float *total)
{
    float values[WE_EXP_BLOCK], masses[WE_EXP_BLOCK], sum = 0;
    size_t at = 0;
    while (at < count) {
        size_t n = count - at < WE_EXP_BLOCK ? count - at : WE_EXP_BLOCK;
        for (size_t i = 0; i < n; i++)
            values[i] = we_order_value(c->keys[at + i]);
        we_exp_some(c->exp_block, values, 0, masses, n);
        for (size_t i = 0; i < n; i++) {
            memcpy(&c->more[at + i], &sum, sizeof sum);
            sum += masses[i];
        }
        at += n;
        if (sum + 2 * masses[n - 1] == sum)
            break; /* even twice the last one is lost in rounding, so all that follow are */
    }
    *total = sum;
    return at;
}

/* How many keys have a sum before them that is below `limit`. The sums never fall. */
static size_t count_below(const struct we_candidates *c, size_t count, float limit)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        float sum;
        memcpy(&sum, &c->more[middle], sizeof sum);
        if (sum < limit)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Puts the keys of the values from `least` on into c->keys, the largest value first. */
static size_t sort_from(struct we_candidates *c, float least)
{
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++) {
        c->keys[n] = we_order_key(c->values[i]);
        n += c->values[i] >= least;
    }
    we_order_sort(c->keys, c->more, n);
    return n;
}

/* mlx-lm sorts all, adds the masses from the largest down in float32 and compares with top_p times the total. The
 * sum is about 1, so what is below e^-19 < 2^-27 cannot change it and need not be sorted. */
void we_filter_top_p(struct we_candidates *c, float top_p)
{
    const float negligible = -19.0f;
    float total;
    size_t n = add_masses(c, sort_from(c, negligible), &total);
    if (total < 0.5f) /* millions of tokens, none of them likely */
        n = add_masses(c, sort_from(c, -INFINITY), &total);
    size_t kept = count_below(c, n, top_p * total);
    c->sorted = true;
    keep_from(c, we_order_value(c->keys[kept ? kept - 1 : 0]));
}

/* ---- min-p, top-k ---- */

/* The rank-th largest value (from 0) as a key; *larger tells how many are larger. */
static uint32_t select_key(struct we_candidates *c, size_t rank, size_t *larger)
{
    if (!c->sorted) {
        for (size_t i = 0; i < c->count; i++)
            c->keys[i] = we_order_key(c->values[i]);
        return we_order_select(c->keys, c->count, rank, larger);
    }
    *larger = rank;
    while (*larger && c->keys[*larger - 1] == c->keys[rank])
        --*larger;
    return c->keys[rank];
}

void we_filter_min_p(struct we_candidates *c, float log_min_p, size_t keep)
{
    float least = we_largest(c->values, c->count) + log_min_p;
    if (keep <= 1) {
        keep_from(c, least);
        return;
    }
    if (keep >= c->count)
        return;
    size_t larger, equal = 0, n = 0;
    uint32_t last = select_key(c, keep - 1, &larger);
    for (size_t i = 0; i < c->count; i++)
        equal += we_order_key(c->values[i]) == last;
    size_t skipped = equal - (keep - larger); /* of the equal ones, from the lowest id on */
    for (size_t i = 0; i < c->count; i++) {
        uint32_t key = we_order_key(c->values[i]);
        bool kept = key < last || !(c->values[i] < least);
        if (key == last) {
            kept = kept || skipped == 0;
            skipped -= skipped != 0;
        }
        c->values[n] = c->values[i];
        c->tokens[n] = c->tokens[i];
        n += kept;
    }
    c->count = n;
}

void we_filter_top_k(struct we_candidates *c, size_t k)
{
    if (k >= c->count)
        return;
    size_t larger, n = 0;
    uint32_t last = select_key(c, k - 1, &larger);
    size_t equal = k - larger; /* how many of the equal ones stay, from the lowest id on */
    for (size_t i = 0; i < c->count; i++) {
        uint32_t key = we_order_key(c->values[i]);
        bool kept = key < last || (key == last && equal != 0);
        equal -= key == last && equal != 0;
        c->values[n] = c->values[i];
        c->tokens[n] = c->tokens[i];
        n += kept;
    }
    c->count = n;
}

/* ---- XTC ---- */

static bool is_spared(uint32_t token, const uint32_t *spared, size_t num_spared)
{
    for (size_t i = 0; i < num_spared; i++)
        if (spared[i] == token)
            return true;
    return false;
}

/* The smallest probability over the threshold; infinity if there is none. */
static float least_top_choice(const struct we_candidates *c, float largest, float scale, float threshold)
{
    float masses[WE_EXP_BLOCK], least = INFINITY;
    for (size_t at = 0; at < c->count; at += WE_EXP_BLOCK) {
        size_t n = c->count - at < WE_EXP_BLOCK ? c->count - at : WE_EXP_BLOCK;
        we_exp_some(c->exp_block, c->values + at, largest, masses, n);
        for (size_t i = 0; i < n; i++) {
            float probability = masses[i] * scale;
            if (probability > threshold && probability < least)
                least = probability;
        }
    }
    return least;
}

void we_filter_xtc(struct we_candidates *c, float threshold, const uint32_t *spared, size_t num_spared)
{
    float largest = we_largest(c->values, c->count);
    float scale = 1 / we_exp_sum(c->exp_block, c->values, largest, c->count);
    float least = least_top_choice(c, largest, scale, threshold);
    if (least == INFINITY)
        return;
    c->sorted = false;
    float masses[WE_EXP_BLOCK];
    size_t kept = 0;
    for (size_t at = 0, n; at < c->count; at += n) {
        n = c->count - at < WE_EXP_BLOCK ? c->count - at : WE_EXP_BLOCK;
        we_exp_some(c->exp_block, c->values + at, largest, masses, n);
        for (size_t i = 0; i < n; i++) {
            if (masses[i] * scale > least && !is_spared(c->tokens[at + i], spared, num_spared))
                continue;
            c->values[kept] = c->values[at + i];
            c->tokens[kept++] = c->tokens[at + i];
        }
    }
    c->count = kept;
}
