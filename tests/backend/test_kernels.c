/* Every kernel of every instruction set that this machine has, against float64. */
#include "backend/cpu/strips.h"

#include "cases.h"
#include "isas.h"
#include "network.h"
#include "random.h"
#include "weights.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MOST_TOKENS = 29 };

static const struct we_cpu_kernels *isas[WE_CPU_MAX_ISAS];
static uint32_t num_isas;

static const struct test_format formats[] = {
    {WE_QUANT_NONE, 0, 0, WE_F32},     {WE_QUANT_NONE, 0, 0, WE_F16},     {WE_QUANT_NONE, 0, 0, WE_BF16},
    {WE_QUANT_AFFINE, 4, 32, WE_F16},  {WE_QUANT_AFFINE, 4, 64, WE_BF16}, {WE_QUANT_AFFINE, 4, 128, WE_F32},
    {WE_QUANT_AFFINE, 4, 32, WE_F32},  {WE_QUANT_AFFINE, 4, 64, WE_F16},  {WE_QUANT_AFFINE, 4, 128, WE_BF16},
    {WE_QUANT_AFFINE, 8, 32, WE_F16},  {WE_QUANT_AFFINE, 8, 64, WE_BF16}, {WE_QUANT_AFFINE, 8, 128, WE_F32},
    {WE_QUANT_AFFINE, 2, 32, WE_F16},  {WE_QUANT_AFFINE, 2, 64, WE_BF16}, {WE_QUANT_AFFINE, 2, 128, WE_F32},
    {WE_QUANT_AFFINE, 3, 32, WE_BF16}, {WE_QUANT_AFFINE, 3, 64, WE_F32},  {WE_QUANT_AFFINE, 3, 128, WE_F16},
    {WE_QUANT_AFFINE, 5, 32, WE_F32},  {WE_QUANT_AFFINE, 5, 64, WE_F16},  {WE_QUANT_AFFINE, 5, 128, WE_BF16},
    {WE_QUANT_AFFINE, 6, 32, WE_F16},  {WE_QUANT_AFFINE, 6, 64, WE_BF16}, {WE_QUANT_AFFINE, 6, 128, WE_F32},
    {WE_QUANT_MXFP4, 4, 32, WE_U8},    {WE_QUANT_MXFP8, 8, 32, WE_U8},    {WE_QUANT_NVFP4, 4, 16, WE_U8},
};
enum { NUM_FORMATS = sizeof formats / sizeof *formats };

/* The activations packed for a form, in blocks of rows from the first. */
static uint8_t *pack(const struct we_cpu_form_kernels *form, const float *x, uint32_t tokens, uint32_t in, size_t *row_bytes)
{
    *row_bytes = form->row_bytes(in);
    uint32_t padded = (tokens + form->block_rows - 1) / form->block_rows * form->block_rows;
    uint8_t *out = aligned_alloc(64, (padded * *row_bytes + 63) / 64 * 64);
    memset(out, 0xFF, padded * *row_bytes); /* NaN, where a kernel reads what was not packed */
    for (uint32_t t = 0; t < tokens; t += form->block_rows) {
        const float *rows[WE_CPU_MOST_BLOCK_ROWS];
        uint32_t count = tokens - t < form->block_rows ? tokens - t : form->block_rows;
        for (uint32_t i = 0; i < count; i++)
            rows[i] = x + (size_t)(t + i) * in;
        form->pack(rows, count, in, out + t * *row_bytes);
    }
    return out;
}

/* Root mean square of the errors over that of the results. */
static double product_error(const struct test_weights *w, const struct we_linear *view, const float *x, uint32_t first,
                            uint32_t count, uint32_t tokens, const float *y)
{
    double errors = 0, squares = 0;
    for (uint32_t t = 0; t < tokens; t++)
        for (uint32_t i = 0; i < count; i++) {
            size_t row = we_linear_tensor_row(view, first + i);
            double sum = test_weights_bias(w, row);
            for (uint32_t k = 0; k < view->in; k++)
                sum += w->values[row * view->in + k] * x[t * view->in + k];
            double error = y[t * count + i] - sum;
            errors += error * error;
            squares += sum * sum;
        }
    return sqrt(errors / squares);
}

struct arithmetic {
    enum we_precision precision;
    enum we_phase phase;
    double tolerance; /* root mean square of the errors over that of the results */
};
static const struct arithmetic arithmetics[] = {
#if !TEST_ONLY_TILES
    {WE_PRECISION_EXACT, WE_PHASE_DECODE, 5e-7},
    {WE_PRECISION_FAST, WE_PHASE_DECODE, 1e-4},
#endif
    {WE_PRECISION_FAST, WE_PHASE_PREFILL, 4e-3},
};

/* All rows in strips; NULL where there are none for the matrix. */
static uint8_t *make_strips(const struct we_cpu_kernels *kernels, const struct we_cpu_matrix *m)
{
    const uint32_t lanes = kernels->strip_rows;
    if (lanes == 0 || !we_cpu_has_strips(m))
        return NULL;
    const size_t bytes = we_cpu_strip_bytes(m, lanes);
    uint8_t *strips = aligned_alloc(64, (m->linear->rows + lanes - 1) / lanes * bytes);
    for (uint32_t row = 0; row < m->linear->rows; row += lanes)
        kernels->make_strip(m, row, 0, m->linear->in >> m->group_shift, strips + row / lanes * bytes);
    return strips;
}

static void check_arithmetic(const struct we_cpu_kernels *kernels, const struct test_weights *w, const struct we_linear *view,
                             const struct arithmetic *arithmetic, const float *x, uint64_t *seed)
{
    static const uint32_t token_counts[] = {1, 2, 3, 4, 5, 7, 12, MOST_TOKENS};
    struct we_cpu_matrix m;
    struct we_error error;
    assert_int_equal(we_cpu_matrix_init(&m, view, &error), WE_OK);
    const struct we_cpu_form_kernels *form =
        &kernels->forms[we_cpu_form_of(kernels, &m, arithmetic->precision, arithmetic->phase)];
    void *panel = aligned_alloc(64, (WE_CPU_PANEL_BYTES + 63) / 64 * 64);
    size_t row_bytes;
    uint8_t *packed = pack(form, x, MOST_TOKENS, view->in, &row_bytes);
    float *all = malloc((size_t)MOST_TOKENS * view->rows * sizeof *all),
          *some = malloc((size_t)MOST_TOKENS * view->rows * sizeof *some);
    form->multiply(&m, 0, view->rows, packed, row_bytes, MOST_TOKENS, all, view->rows, panel);
    double found = product_error(w, view, x, 0, view->rows, MOST_TOKENS, all);
    if (!(found <= arithmetic->tolerance))
        fail_msg("%s, precision %d, phase %d: %u bits, group %u, %s scales, %u x %u: error %g", kernels->name,
                 arithmetic->precision, arithmetic->phase, view->bits, view->group_size, we_dtype_name(view->dtype), view->rows,
                 view->in, found);
    const struct we_cpu_kernels *twin = test_isa_twin();
    if (twin) {
        twin->forms[form - kernels->forms].multiply(&m, 0, view->rows, packed, row_bytes, MOST_TOKENS, some, view->rows, panel);
        assert_memory_equal(some, all, (size_t)MOST_TOKENS * view->rows * sizeof *all);
    }
    /* Any number of tokens, any part of the rows, brought into strips or not: the same bits. */
    uint8_t *strips = make_strips(kernels, &m);
    for (size_t n = 0; n < sizeof token_counts / sizeof *token_counts; n++) {
        uint32_t tokens = token_counts[n], from = random_u32(seed) % view->rows,
                 count = 1 + random_u32(seed) % (view->rows - from);
        uint32_t begin = MOST_TOKENS - tokens;
        size_t part_bytes;
        uint8_t *part = pack(form, x + (size_t)begin * view->in, tokens, view->in, &part_bytes);
        m.strips = n % 2 ? NULL : strips;
        form->multiply(&m, from, count, part, part_bytes, tokens, some, count, panel);
        free(part);
        for (uint32_t t = 0; t < tokens; t++)
            if (memcmp(some + t * count, all + (begin + t) * view->rows + from, count * sizeof *some) != 0)
                fail_msg("%s, precision %d, phase %d: %u bits, group %u, %u x %u: %u tokens, rows %u + %u are not what they "
                         "are among %d",
                         kernels->name, arithmetic->precision, arithmetic->phase, view->bits, view->group_size, view->rows,
                         view->in, tokens, from, count, MOST_TOKENS);
    }
    free(panel), free(packed), free(all), free(some), free(strips);
}

static void check_product(const struct we_cpu_kernels *kernels, const struct test_weights *w, const struct we_linear *view,
                          uint64_t *seed)
{
    float *x = malloc(MOST_TOKENS * (size_t)view->in * sizeof *x);
    for (size_t i = 0; i < MOST_TOKENS * (size_t)view->in; i++)
        x[i] = random_normal(seed);
    for (size_t i = 0; i < sizeof arithmetics / sizeof *arithmetics; i++)
        check_arithmetic(kernels, w, view, &arithmetics[i], x, seed);
    free(x);
}

static void test_products(void **state)
{
    (void)state;
    static const uint32_t widths[] = {32, 64, 96, 128, 160, 576, 1024, 1056, 1152, 2208};
    static const uint32_t plain_widths[] = {1, 7, 16, 33, 100, 1023, 1025, 2081};
    uint64_t seed = 1;
    for (uint32_t i = 0; i < num_isas; i++)
        for (int f = 0; f < NUM_FORMATS; f++)
            for (int n = 0; n < 10; n++) {
                if (!next_case())
                    continue;
                uint32_t in = formats[f].mode == WE_QUANT_NONE ? plain_widths[n % 8] : widths[n];
                if (formats[f].mode != WE_QUANT_NONE)
                    in = (in + formats[f].group_size - 1) / formats[f].group_size * formats[f].group_size;
                if (formats[f].mode == WE_QUANT_NVFP4)
                    in += 16 * (n & 1); /* half a group of the other formats */
                struct test_weights w;
                test_weights_make(&w, formats[f], 1 + random_u32(&seed) % 75, in, random_u32(&seed) % 4 * (n > 2), n % 2, 0.1,
                                  &seed);
                check_product(isas[i], &w, &w.linear, &seed);
                test_weights_free(&w);
            }
}

static void test_views(void **state)
{
    (void)state;
    uint64_t seed = 2;
    for (uint32_t i = 0; i < num_isas; i++)
        for (int f = 0; f < NUM_FORMATS; f++) {
            if (!next_case())
                continue;
            struct test_weights w;
            test_weights_make(&w, formats[f], 96, 128, 1, true, 0.1, &seed);
            struct we_linear view = w.linear;
            view.first = 17, view.rows = 40;
            check_product(isas[i], &w, &view, &seed);
            view.first = 3, view.block = 5, view.stride = 12, view.rows = 35; /* rows 3..7, 15..19, ... */
            check_product(isas[i], &w, &view, &seed);
            test_weights_free(&w);
        }
}

static void test_unpack_row(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (uint32_t i = 0; i < num_isas; i++)
        for (int f = 0; f < NUM_FORMATS; f++) {
            const uint32_t rows = 5;
            const uint32_t in = formats[f].mode == WE_QUANT_NONE ? 1027 : formats[f].mode == WE_QUANT_NVFP4 ? 1072 : 1152;
            struct test_weights w;
            test_weights_make(&w, formats[f], rows, in, 3, false, 0.1, &seed);
            struct we_cpu_matrix m;
            assert_int_equal(we_cpu_matrix_init(&m, &w.linear, NULL), WE_OK);
            float *out = malloc(in * sizeof *out);
            for (uint32_t r = 0; r < rows; r++) {
                isas[i]->unpack_row(&m, r, out);
                for (uint32_t k = 0; k < in; k++)
                    assert_true(fabs(out[k] - w.values[r * in + k]) <= 2e-7 * (0.5 + fabs(w.values[r * in + k])));
            }
            free(out);
            test_weights_free(&w);
        }
}

/* Every element of mxfp4, mxfp8 and nvfp4 with every scale: 256 rows, of one scale each, by activations of a single 1. */
static void check_small_floats(const struct we_cpu_kernels *kernels, enum we_quant_mode mode)
{
    enum { N = 256 };
    const struct we_quant quant = we_quant_defaults(mode);
    const size_t row_bytes = we_quant_row_bytes(quant, N), groups = N / quant.group_size;
    uint8_t *data = malloc(N * row_bytes), *scales = malloc(N * groups);
    float *expected = malloc(N * sizeof *expected), *x = calloc((size_t)N * N, sizeof *x), *y = malloc((size_t)N * N * sizeof *y);
    float *row = malloc(N * sizeof *row);
    struct we_linear linear = {.data = data, .scales = scales, .dtype = WE_U8, .mode = mode, .bits = quant.bits,
                               .group_size = quant.group_size, .rows = N, .in = N};
    for (size_t i = 0; i < N * row_bytes; i++)
        data[i] = (uint8_t)(i % row_bytes);
    for (size_t i = 0; i < N * groups; i++)
        scales[i] = (uint8_t)(i / groups);
    for (int i = 0; i < N; i++)
        x[i * N + i] = 1;
    struct we_cpu_matrix m;
    assert_int_equal(we_cpu_matrix_init(&m, &linear, NULL), WE_OK);
    for (uint32_t r = 0; r < N; r++) {
        we_dequantize_row(quant, data, scales + r * groups, NULL, WE_U8, N, expected);
        kernels->unpack_row(&m, r, row);
        for (int k = 0; k < N; k++)
            assert_true(isnan(expected[k]) ? isnan(row[k]) : row[k] == expected[k]);
    }
    for (size_t i = 0; quant.bits == 8 && i < N * row_bytes; i++) /* one NaN would spoil every product */
        data[i] ^= (data[i] & 0x7F) == 0x7F;
    const struct we_cpu_form_kernels *form =
        &kernels->forms[we_cpu_form_of(kernels, &m, WE_PRECISION_EXACT, WE_PHASE_DECODE)];
    size_t x_bytes;
    uint8_t *packed = pack(form, x, N, N, &x_bytes);
    void *panel = aligned_alloc(64, WE_CPU_PANEL_BYTES);
    for (int few = 0; few < 2; few++) {
        for (uint32_t t = 0; t < (few ? 32 : N); t += few ? 1 : N)
            form->multiply(&m, 0, N, packed + t * x_bytes, x_bytes, few ? 1 : N, y + t * N, N, panel);
        for (uint32_t r = 0; r < N; r++) {
            bool finite = true;
            we_dequantize_row(quant, data, scales + r * groups, NULL, WE_U8, N, expected);
            for (int k = 0; k < N; k++)
                finite = finite && isfinite(expected[k]);
            for (int t = 0; t < (few ? 32 : N); t++)
                if (finite ? y[t * N + (int)r] != expected[t] : isfinite(y[t * N + (int)r]))
                    fail_msg("%s: %s, scale %u, byte %d: %a, not %a", kernels->name, we_quant_mode_name(mode), r, t,
                             y[t * N + (int)r], expected[t]);
        }
    }
    free(data), free(scales), free(expected), free(x), free(y), free(row), free(packed), free(panel);
}

static void test_small_floats(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < num_isas; i++)
        for (enum we_quant_mode mode = WE_QUANT_MXFP4; mode <= WE_QUANT_NVFP4; mode++)
            if (next_case())
                check_small_floats(isas[i], mode);
}

static void check_norm(const struct we_cpu_kernels *kernels, enum we_norm_kind kind, enum we_dtype dtype, uint32_t n,
                       bool weight, bool bias, float offset, uint64_t *seed)
{
    void *blocks[2] = {0};
    struct we_norm norm = {.kind = kind, .width = n, .eps = 1e-5f, .weight_offset = offset};
    if (weight)
        norm.weight = (struct we_vector){test_floats_make(dtype, n, 1, 1, 0.3, seed, &blocks[0]), dtype, n};
    if (bias)
        norm.bias = (struct we_vector){test_floats_make(dtype, n, 3, 0, 0.3, seed, &blocks[1]), dtype, n};
    float *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y);
    double mean = 0, squares = 0;
    for (uint32_t i = 0; i < n; i++) {
        x[i] = 3 * random_normal(seed) + 0.5f;
        mean += kind == WE_NORM_LAYER ? x[i] : 0;
    }
    mean /= n;
    for (uint32_t i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    kernels->norm(&norm, x, y);
    for (uint32_t i = 0; i < n; i++) {
        double want = (x[i] - mean) / sqrt(squares / n + 1e-5);
        want = weight ? want * (offset + we_load_float(norm.weight.data, dtype, i)) : want;
        want += bias ? we_load_float(norm.bias.data, dtype, i) : 0;
        assert_true(fabs(y[i] - want) <= 1e-6 * (1 + fabs(want)));
    }
    kernels->norm(&norm, x, x);
    assert_memory_equal(x, y, n * sizeof *x);
    free(x), free(y), free(blocks[0]), free(blocks[1]);
}

static void test_norms(void **state)
{
    (void)state;
    static const uint32_t widths[] = {1, 15, 16, 64, 96, 577, 3072};
    uint64_t seed = 4;
    for (uint32_t i = 0; i < num_isas; i++)
        for (int n = 0; n < 7; n++)
            for (enum we_dtype dtype = WE_F32; dtype <= WE_BF16; dtype++)
                for (int what = 0; what < 8; what++)
                    check_norm(isas[i], what & 1 ? WE_NORM_LAYER : WE_NORM_RMS, dtype, widths[n], what & 2, what & 4, what & 4,
                               &seed);
}

/* `absolute`: of what is left of a difference; a difference of numbers near 1 cannot keep more. */
static void check_activation(const struct we_cpu_kernels *isa, const struct we_feed_forward *f, double relative, double absolute)
{
    enum { N = 4001 };
    static float gate[N], up[N], out[N];
    uint64_t seed = 5;
    for (int k = 0; k < N; k++) {
        gate[k] = (float)(k - N / 2) * 0.05f; /* -100 to 100 */
        up[k] = 3 * random_normal(&seed);
    }
    for (int with_up = 0; with_up < 2; with_up++) {
        isa->activate(f, gate, with_up ? up : NULL, N, out);
        for (int k = 0; k < N; k++) {
            double want = test_activated(f, gate[k], with_up ? up[k] : 1);
            if (!(fabs(out[k] - want) <= relative * fabs(want) + absolute * fabs((double)gate[k] * up[k]) + 1e-35))
                fail_msg("%s: activation %d of %g, %g is %g, not %g", isa->name, f->activation, gate[k], up[k], out[k], want);
        }
    }
    gate[3] = NAN;
    isa->activate(f, gate, up, 9, out);
    assert_true(isnan(out[3]) && !isnan(out[2]) && !isnan(out[4]));
}

static void test_activation(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < num_isas; i++) {
        check_activation(isas[i], &(struct we_feed_forward){.activation = WE_ACTIVATION_SILU}, 5e-7, 0);
        check_activation(isas[i], &(struct we_feed_forward){.activation = WE_ACTIVATION_GELU}, 5e-7, 1e-7);
        check_activation(isas[i], &(struct we_feed_forward){.activation = WE_ACTIVATION_GELU_TANH}, 5e-7, 3e-7);
        check_activation(isas[i], &(struct we_feed_forward){.activation = WE_ACTIVATION_RELU_SQUARED}, 5e-7, 0);
        check_activation(isas[i], &(struct we_feed_forward){.activation = WE_ACTIVATION_SIGMOID}, 5e-7, 0);
        check_activation(
            isas[i], &(struct we_feed_forward){.activation = WE_ACTIVATION_SWIGLU_CLIPPED, .limit = 7, .alpha = 1.702f}, 1e-6,
            1e-7);
    }
}

static void test_softcap(void **state)
{
    (void)state;
    enum { N = 20003 };
    static float x[N], y[N];
    for (uint32_t i = 0; i < num_isas; i++)
        for (float cap = 0.5f; cap < 60; cap *= 7) {
            for (int k = 0; k < N; k++)
                y[k] = x[k] = (float)(k - N / 2) * 0.01f;
            isas[i]->softcap(cap, N, y);
            for (int k = 0; k < N; k++)
                if (!(fabs(y[k] - cap * tanh(x[k] / cap)) <= 4e-7 * fabs(cap * tanh(x[k] / cap))))
                    fail_msg("%s: %g capped at %g is %.8g", isas[i]->name, x[k], cap, y[k]);
            y[2] = NAN, y[3] = 1000;
            isas[i]->softcap(cap, 5, y);
            assert_true(isnan(y[2]) && y[3] == cap);
        }
}

static void test_rope(void **state)
{
    (void)state;
    enum { WIDTH = 96, PAIRS = 20 };
    uint64_t seed = 6;
    for (uint32_t i = 0; i < num_isas; i++)
        for (int interleaved = 0; interleaved < 2; interleaved++) {
            float x[WIDTH], y[WIDTH], cosine[PAIRS], sine[PAIRS];
            for (int k = 0; k < WIDTH; k++)
                x[k] = y[k] = random_normal(&seed);
            for (int k = 0; k < PAIRS; k++)
                cosine[k] = cosf((float)k), sine[k] = sinf((float)k);
            isas[i]->rope(y, WIDTH, cosine, sine, PAIRS, interleaved, 0.5f);
            for (int k = 0; k < PAIRS; k++) {
                int a = interleaved ? 2 * k : k, b = interleaved ? 2 * k + 1 : k + PAIRS;
                assert_true(fabsf(y[a] - 0.5f * (x[a] * cosine[k] - x[b] * sine[k])) < 1e-6f);
                assert_true(fabsf(y[b] - 0.5f * (x[b] * cosine[k] + x[a] * sine[k])) < 1e-6f);
            }
            for (int k = 2 * PAIRS; k < WIDTH; k++)
                assert_true(y[k] == 0.5f * x[k]);
        }
}

static void test_merge(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < num_isas; i++) {
        float max = -INFINITY, sum = 0, out[21] = {0}, one[21], two[21];
        for (int d = 0; d < 21; d++)
            one[d] = (float)d, two[d] = (float)(2 * d);
        isas[i]->merge(&max, &sum, out, 3.0f, 2.0f, one, 21);
        assert_true(max == 3.0f && sum == 2.0f);
        assert_memory_equal(out, one, sizeof out);
        isas[i]->merge(&max, &sum, out, 4.0f, 5.0f, two, 21);
        assert_true(max == 4.0f && fabs(sum - (2 * exp(-1) + 5)) < 1e-6);
        for (int d = 0; d < 21; d++)
            assert_true(fabs(out[d] - (d * exp(-1) + 2 * d)) < 1e-5);
    }
}

static void test_add_scaled(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < num_isas; i++) {
        float y[37], x[37];
        for (int k = 0; k < 37; k++)
            y[k] = (float)k, x[k] = 2;
        isas[i]->add_scaled(y, 0.5f, x, 36);
        for (int k = 0; k < 37; k++)
            assert_true(y[k] == (float)k + (k < 36));
    }
}

static void test_select(void **state)
{
    (void)state;
    struct we_error error = {0};
    for (uint32_t i = 0; i < num_isas; i++)
        assert_ptr_equal(we_cpu_kernels_select(isas[i]->name, &error), isas[i]);
    assert_ptr_equal(we_cpu_kernels_select(NULL, &error), isas[0]);
    assert_string_equal(isas[num_isas - 1]->name, "generic");
    if (getenv("WE_TEST_BEST_ISA")) /* of a processor that is emulated */
        assert_string_equal(isas[0]->name, getenv("WE_TEST_BEST_ISA"));
    assert_null(we_cpu_kernels_select("mmx", &error));
    assert_int_equal(error.status, WE_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "generic"));
}

static void test_refused(void **state)
{
    (void)state;
    struct we_error error;
    struct we_cpu_matrix m;
    struct we_linear l = {.data = "",
                          .scales = "",
                          .biases = "",
                          .dtype = WE_BF16,
                          .mode = WE_QUANT_AFFINE,
                          .bits = 7,
                          .group_size = 64,
                          .rows = 1,
                          .in = 64,
                          .name = "layers.3.q_proj"};
    assert_int_equal(we_cpu_matrix_init(&m, &l, &error), WE_UNSUPPORTED);
    assert_non_null(strstr(error.message, "layers.3.q_proj"));
    l.bits = 4, l.group_size = 16;
    assert_int_equal(we_cpu_matrix_init(&m, &l, &error), WE_UNSUPPORTED);
    l.group_size = 64, l.in = 96;
    assert_int_equal(we_cpu_matrix_init(&m, &l, &error), WE_INVALID_FORMAT);
    l.in = 64, l.dtype = WE_U8;
    assert_int_equal(we_cpu_matrix_init(&m, &l, &error), WE_UNSUPPORTED);
    l.mode = WE_QUANT_MXFP4;
    assert_int_equal(we_cpu_matrix_init(&m, &l, &error), WE_UNSUPPORTED);
    assert_non_null(strstr(error.message, "mxfp4"));
    l.mode = WE_QUANT_NONE, l.dtype = WE_F8_E4M3;
    assert_int_equal(we_cpu_matrix_init(&m, &l, &error), WE_UNSUPPORTED);
    l.dtype = WE_F32, l.rows = 0;
    assert_int_equal(we_cpu_matrix_init(&m, &l, &error), WE_INVALID_FORMAT);
}

int main(void)
{
    num_isas = test_isas(isas);
    if (num_isas == 0)
        return 77; /* skipped: emulated tiles need AVX-512 with bfloat16 */
    const struct CMUnitTest of_tiles[] = {cmocka_unit_test(test_products), cmocka_unit_test(test_views)};
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_products),   cmocka_unit_test(test_views),
        cmocka_unit_test(test_unpack_row), cmocka_unit_test(test_small_floats), cmocka_unit_test(test_norms),
        cmocka_unit_test(test_activation), cmocka_unit_test(test_softcap),      cmocka_unit_test(test_rope),
        cmocka_unit_test(test_merge),      cmocka_unit_test(test_add_scaled),   cmocka_unit_test(test_select),
        cmocka_unit_test(test_refused),
    };
    return TEST_ONLY_TILES ? cmocka_run_group_tests(of_tiles, NULL, NULL) : cmocka_run_group_tests(all, NULL, NULL);
}
