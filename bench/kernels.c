/* The kernels of the CPU back-end one by one: how fast each reads its weights or keys and values, and how fast it computes,
 * against what memory and the instructions give on the same machine in the same minute.
 *
 *     bench_kernels [--isa NAME] [--kernel decode|prefill|attention] [--format TEXT] [--shape ROWSxINPUTS] [--threads N]
 *                   [--tokens N] [--seconds S] [--json]
 * --tokens: in a pass of decode (1). --format: those whose name contains TEXT ("4 bits", "bf16"). --seconds: for each measurement (0.1).
 *
 * Products of decode (one token) pass over copies of the matrix that no cache holds together; products of prefill take 512
 * tokens, packed beforehand, and as many rows as the time allows. Attention of decode passes over new keys and values all the
 * time, that of prefill over some that stay in the cache, as they do between the queries of a prompt. Medians. */
#include "peaks.h"

#include "backend/cpu/executor.h"
#include "base/bandwidth.h"
#include "base/system.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    BUFFER_BYTES = 768 << 20,
    LARGE_PAGE = 2 << 20,
    PIECE_BYTES = 256 << 10, /* of packed weights that a worker takes at a time in decode, as the executor has it */
    PREFILL_TOKENS = 512,
    MOST_TIMES = 4096,
    LEAST_TIMES = 3,
    TIMES_WANTED = 12 /* fits as many into the time by taking fewer rows */
};

static const struct format {
    const char *name;
    enum we_quant_mode mode;
    uint32_t bits, group_size;
    enum we_dtype dtype;
} formats[] = {
    {"4 bits, group 32", WE_QUANT_AFFINE, 4, 32, WE_BF16},
    {"4 bits, group 64", WE_QUANT_AFFINE, 4, 64, WE_BF16},
    {"4 bits, group 128", WE_QUANT_AFFINE, 4, 128, WE_BF16},
    {"4 bits, group 64, f16", WE_QUANT_AFFINE, 4, 64, WE_F16},
    {"2 bits, group 32", WE_QUANT_AFFINE, 2, 32, WE_BF16},
    {"2 bits, group 64", WE_QUANT_AFFINE, 2, 64, WE_BF16},
    {"2 bits, group 128", WE_QUANT_AFFINE, 2, 128, WE_BF16},
    {"3 bits, group 32", WE_QUANT_AFFINE, 3, 32, WE_BF16},
    {"3 bits, group 64", WE_QUANT_AFFINE, 3, 64, WE_BF16},
    {"3 bits, group 128", WE_QUANT_AFFINE, 3, 128, WE_BF16},
    {"5 bits, group 32", WE_QUANT_AFFINE, 5, 32, WE_BF16},
    {"5 bits, group 64", WE_QUANT_AFFINE, 5, 64, WE_BF16},
    {"5 bits, group 128", WE_QUANT_AFFINE, 5, 128, WE_BF16},
    {"6 bits, group 32", WE_QUANT_AFFINE, 6, 32, WE_BF16},
    {"6 bits, group 64", WE_QUANT_AFFINE, 6, 64, WE_BF16},
    {"6 bits, group 128", WE_QUANT_AFFINE, 6, 128, WE_BF16},
    {"8 bits, group 32", WE_QUANT_AFFINE, 8, 32, WE_BF16},
    {"8 bits, group 64", WE_QUANT_AFFINE, 8, 64, WE_BF16},
    {"8 bits, group 128", WE_QUANT_AFFINE, 8, 128, WE_BF16},
    {"mxfp4", WE_QUANT_MXFP4, 4, 32, WE_U8},
    {"mxfp8", WE_QUANT_MXFP8, 8, 32, WE_U8},
    {"nvfp4", WE_QUANT_NVFP4, 4, 16, WE_U8},
    {"bf16", WE_QUANT_NONE, 0, 0, WE_BF16},
    {"f16", WE_QUANT_NONE, 0, 0, WE_F16},
    {"f32", WE_QUANT_NONE, 0, 0, WE_F32},
};
static const struct shape {
    uint32_t rows, in;
} shapes[] = {{3072, 8192}, {16384, 3072}, {1536, 576}}; /* Phi-3-mini down and gate_up; SmolLM2-135M gate */
static const struct heads {
    uint32_t head_dim, group;             /* queries of a position that share a KV head */
} heads[] = {{64, 3}, {96, 1}, {128, 4}}; /* SmolLM2-135M; Phi-3-mini; Llama-3-8B */
enum {
    NUM_FORMATS = sizeof formats / sizeof *formats,
    NUM_SHAPES = sizeof shapes / sizeof *shapes,
    NUM_HEADS = sizeof heads / sizeof *heads
};

struct options {
    const char *isa, *kernel, *format;
    struct shape shape; /* rows 0: all */
    uint32_t threads;
    double seconds;
    uint32_t tokens; /* in a pass of decode */
    bool json;
};

struct bench {
    struct options options;
    struct we_pool *pool;
    uint32_t threads;
    uint8_t *buffer;  /* (BUFFER_BYTES) that any reader takes for usual numbers */
    double bandwidth; /* of reading memory, bytes a second */
    struct peak peaks[MOST_PEAKS];
    size_t num_peaks, num_results;
};

struct result {
    const char *isa, *kernel, *arithmetic;
    char what[32], shape[32];
    double bytes, operations, seconds; /* of one pass */
    bool from_memory;                  /* the bytes are in no cache */
};

/* ---- results ---- */

/* The best that these kernels could use: of their own set or one that it contains. */
static double peak_of(const struct bench *b, const char *isa, const char *type)
{
    static const char *const order[] = {"generic", "avx2", "avx512", "avx512bf16", "amx"};
    double best = 0;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        for (size_t p = 0; p < b->num_peaks; p++)
            if (strcmp(b->peaks[p].isa, order[i]) == 0 && strcmp(b->peaks[p].type, type) == 0 && b->peaks[p].gops > best)
                best = b->peaks[p].gops;
        if (strcmp(order[i], isa) == 0)
            break;
    }
    return best;
}

static void print_peaks(const struct bench *b)
{
    if (b->options.json) {
        printf("{\"threads\": %u, \"read_bandwidth\": %.4g,\n \"peaks\": [", b->threads, b->bandwidth);
        for (size_t i = 0; i < b->num_peaks; i++)
            printf("%s\n  {\"name\": \"%s\", \"isa\": \"%s\", \"type\": \"%s\", \"gops\": %.1f}", i ? "," : "",
                   b->peaks[i].name, b->peaks[i].isa, b->peaks[i].type, b->peaks[i].gops);
        printf("],\n \"kernels\": [");
        return;
    }
    printf("%u threads; memory is read at %.1f GB/s\n\n%-28s %-6s %10s\n", b->threads, b->bandwidth / 1e9, "instruction",
           "type", "GOP/s");
    for (size_t i = 0; i < b->num_peaks; i++)
        printf("%-28s %-6s %10.0f\n", b->peaks[i].name, b->peaks[i].type, b->peaks[i].gops);
    printf("\n%-11s %-18s %-6s %-22s %-12s %8s %6s %8s %6s\n", "set", "kernel", "arith.", "format", "shape", "GB/s", "%",
           "GOP/s", "%");
}

static void print_result(struct bench *b, const struct result *r)
{
    double rate = r->bytes / r->seconds, gops = r->operations / r->seconds / 1e9, peak = peak_of(b, r->isa, r->arithmetic);
    if (b->options.json) {
        printf("%s\n  {\"isa\": \"%s\", \"kernel\": \"%s\", \"arithmetic\": \"%s\", \"format\": \"%s\", \"shape\": \"%s\", "
               "\"bytes_per_second\": %.4g, \"gops\": %.4g, \"of_bandwidth\": %.3f, \"of_peak\": %.3f}",
               b->num_results ? "," : "", r->isa, r->kernel, r->arithmetic, r->what, r->shape, rate, gops,
               r->from_memory ? rate / b->bandwidth : 0, peak > 0 ? gops / peak : 0);
    } else {
        char memory[16] = "-", of_peak[16] = "-";
        if (r->from_memory)
            snprintf(memory, sizeof memory, "%.0f", 100 * rate / b->bandwidth);
        if (peak > 0)
            snprintf(of_peak, sizeof of_peak, "%.0f", 100 * gops / peak);
        printf("%-11s %-18s %-6s %-22s %-12s %8.1f %6s %8.1f %6s\n", r->isa, r->kernel, r->arithmetic, r->what, r->shape,
               rate / 1e9, memory, gops, of_peak);
    }
    fflush(stdout);
    b->num_results++;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Median seconds of a pass. */
static double measure(struct bench *b, we_pool_task *pass, void *context, void (*next)(void *context))
{
    static double times[MOST_TIMES];
    size_t count = 0;
    double end = we_clock() + b->options.seconds;
    we_pool_run(b->pool, pass, context);
    while (count < MOST_TIMES && (count < LEAST_TIMES || we_clock() < end)) {
        next(context);
        double start = we_clock();
        we_pool_run(b->pool, pass, context);
        times[count++] = we_clock() - start;
    }
    qsort(times, count, sizeof *times, compare);
    return times[count / 2];
}

/* ---- products ---- */

struct product {
    struct bench *bench;
    const struct we_cpu_form_kernels *form;
    struct we_linear linear;
    struct we_cpu_matrix matrix;
    size_t copy_bytes, num_copies, copy;
    uint32_t rows, tokens, piece;
    size_t row_bytes;
    uint8_t *x;
    float *out;
    uint8_t *panels; /* (threads, WE_CPU_PANEL_BYTES) */
};

/* The next copy of the matrix: data, then scales, then biases. */
static void next_copy(void *context)
{
    struct product *p = context;
    p->copy = (p->copy + 1) % p->num_copies;
    const uint8_t *data = p->bench->buffer + p->copy * p->copy_bytes;
    p->linear.data = data;
    p->linear.scales = data + p->matrix.row_bytes * p->linear.rows;
    if (p->linear.biases)
        p->linear.biases = data + (p->matrix.row_bytes + p->matrix.group_row_bytes) * p->linear.rows;
}

static void run_product(void *context, uint32_t worker)
{
    struct product *p = context;
    uint32_t threads = p->bench->threads;
    uint32_t begin = (uint32_t)((uint64_t)p->rows * worker / threads),
             end = (uint32_t)((uint64_t)p->rows * (worker + 1) / threads);
    uint8_t *panel = p->panels + (size_t)worker * WE_CPU_PANEL_BYTES;
    for (uint32_t token = 0; token < p->tokens; token += p->form->piece_tokens) {
        uint32_t tokens = p->tokens - token < p->form->piece_tokens ? p->tokens - token : p->form->piece_tokens;
        for (uint32_t row = begin; row < end; row += p->piece)
            p->form->multiply(&p->matrix, row, end - row < p->piece ? end - row : p->piece, p->x + token * p->row_bytes,
                              p->row_bytes, tokens, p->out + token * (size_t)p->rows + row, p->rows, panel);
    }
}

static uint8_t *pack(const struct we_cpu_form_kernels *form, uint32_t tokens, uint32_t in)
{
    size_t row_bytes = form->row_bytes(in);
    uint32_t padded = (tokens + form->block_rows - 1) / form->block_rows * form->block_rows;
    /* Longer than it must be: kernels may read a vector beyond the last row, as the executor's buffers allow. */
    uint8_t *out = aligned_alloc(64, padded * row_bytes + 4096);
    float *x = calloc((size_t)WE_CPU_MOST_BLOCK_ROWS * (in + WE_CPU_ALIGN * 2), sizeof *x);
    const float *rows[WE_CPU_MOST_BLOCK_ROWS];
    for (uint32_t i = 0; x && i < WE_CPU_MOST_BLOCK_ROWS; i++) {
        float *row = x + (size_t)i * (in + WE_CPU_ALIGN * 2);
        for (uint32_t k = 0; k < in; k++)
            row[k] = (float)((k * 37 + i * 11) % 199) / 100 - 1;
        rows[i] = row;
    }
    for (uint32_t t = 0; x && out && t < tokens; t += form->block_rows)
        form->pack(rows, tokens - t < form->block_rows ? tokens - t : form->block_rows, in, out + t * row_bytes);
    bool ok = x != NULL;
    free(x);
    if (!ok) {
        free(out);
        return NULL;
    }
    return out;
}

static const char *arithmetic_of(enum we_cpu_form form)
{
    switch (form) {
    case WE_CPU_FORM_INT16:
    case WE_CPU_FORM_INT16_NIBBLES:
        return "int16";
    case WE_CPU_FORM_PLANES_BYTES:
    case WE_CPU_FORM_PLANES_NIBBLES:
    case WE_CPU_FORM_PLANES_THREES:
    case WE_CPU_FORM_PLANES_CRUMBS:
    case WE_CPU_FORM_STRIP_BYTES:
    case WE_CPU_FORM_STRIP_NIBBLES:
        return "int8";
    case WE_CPU_FORM_BF16:
        return "bf16";
    default:
        return "f32";
    }
}

/* Rows that take so long that several passes fit into the time; at least a piece for each thread. */
static uint32_t rows_for_time(struct product *p)
{
    uint32_t unit = p->piece * p->bench->threads, all = p->rows;
    p->rows = unit < all ? unit : all;
    double start = we_clock();
    we_pool_run(p->bench->pool, run_product, p);
    double fit = p->bench->options.seconds / TIMES_WANTED / (we_clock() - start);
    uint64_t rows = fit > 1 ? (uint64_t)fit * p->rows : p->rows;
    return rows < all ? (uint32_t)rows : all;
}

static bool bench_product(struct bench *b, const struct we_cpu_kernels *kernels, const struct format *f, struct shape shape,
                          enum we_precision precision, enum we_phase phase)
{
    struct product p = {.bench = b, .tokens = phase == WE_PHASE_DECODE ? b->options.tokens : PREFILL_TOKENS, .rows = shape.rows};
    p.linear = (struct we_linear){.data = b->buffer,
                                  .scales = b->buffer,
                                  .biases = f->mode == WE_QUANT_AFFINE ? b->buffer : NULL,
                                  .dtype = f->dtype,
                                  .mode = f->mode,
                                  .bits = f->bits,
                                  .group_size = f->group_size,
                                  .rows = shape.rows,
                                  .in = shape.in};
    struct we_error error;
    if (f->mode != WE_QUANT_NONE && shape.in % f->group_size)
        return true;
    if (we_cpu_matrix_init(&p.matrix, &p.linear, &error) != WE_OK) {
        fprintf(stderr, "%s\n", error.message);
        return false;
    }
    enum we_cpu_form form = we_cpu_form_of(kernels, &p.matrix, precision, phase);
    if (precision == WE_PRECISION_FAST && form == we_cpu_form_of(kernels, &p.matrix, WE_PRECISION_EXACT, phase))
        return true; /* it is measured already */
    p.form = &kernels->forms[form];
    const size_t bytes_of_row = p.matrix.row_bytes + (p.linear.biases ? 2 : 1) * p.matrix.group_row_bytes;
    p.copy_bytes = bytes_of_row * shape.rows;
    p.num_copies = BUFFER_BYTES / p.copy_bytes;
    p.row_bytes = p.form->row_bytes(shape.in);
    p.piece = p.form->piece_rows;
    if (phase == WE_PHASE_DECODE) {
        uint32_t rows = (uint32_t)(PIECE_BYTES / bytes_of_row) / 4 * 4;
        p.piece = rows < 8 ? 8 : rows;
    }
    p.x = pack(p.form, p.tokens, shape.in);
    p.out = calloc((size_t)shape.rows * p.tokens, sizeof *p.out);
    p.panels = aligned_alloc(64, (size_t)b->threads * WE_CPU_PANEL_BYTES);
    bool ok = p.num_copies > 0 && p.x && p.out && p.panels;
    if (ok) {
        next_copy(&p);
        if (phase == WE_PHASE_PREFILL)
            p.rows = rows_for_time(&p);
        struct result r = {.isa = kernels->name, .arithmetic = arithmetic_of(form), .from_memory = phase == WE_PHASE_DECODE};
        r.kernel = phase == WE_PHASE_DECODE ? "decode" : "prefill";
        snprintf(r.what, sizeof r.what, "%s", f->name);
        snprintf(r.shape, sizeof r.shape, "%ux%u", shape.rows, shape.in);
        r.bytes = (double)p.copy_bytes / shape.rows * p.rows;
        r.operations = 2.0 * p.rows * shape.in * p.tokens;
        r.seconds = measure(b, run_product, &p, next_copy);
        print_result(b, &r);
    } else {
        fprintf(stderr, "out of memory for a product of %ux%u\n", shape.rows, shape.in);
    }
    free(p.x), free(p.out), free(p.panels);
    return ok;
}

/* ---- attention ---- */

enum way { ATTEND_F32, ATTEND_PAIRS, ATTEND_TILES }; /* float32 pages; bfloat16 pages; tiles of queries over these */
enum { PROMPT_CHUNKS = 4 };                          /* that the queries of a prompt see */

struct attention {
    struct bench *bench;
    const struct we_cpu_kernels *kernels;
    enum way way;
    struct we_cpu_attend attend;
    struct we_cpu_attend_tile tile;
    uint32_t positions;             /* in a chunk */
    size_t chunk_bytes, num_chunks; /* of keys and values of one KV head, in the buffer */
    size_t chunk;
    uint32_t chunks_each; /* of a worker in one pass */
    bool same_chunks;     /* in every pass */
    uint8_t *scratch;     /* (threads, scratch_bytes) */
    size_t scratch_bytes, state_bytes, work_bytes;
};

static void next_chunks(void *context)
{
    struct attention *a = context;
    if (!a->same_chunks)
        a->chunk = (a->chunk + (size_t)a->chunks_each * a->bench->threads) % a->num_chunks;
}

/* The pages of the worker's chunk i. */
static void find_pages(const struct attention *a, uint32_t worker, uint32_t i, const void **k, const void **v)
{
    size_t chunk = (a->chunk + (size_t)worker * a->chunks_each + i) % a->num_chunks;
    const uint8_t *data = a->bench->buffer + chunk * a->chunk_bytes;
    const uint32_t pages = a->positions / WE_PAGE_POSITIONS;
    const size_t page = a->chunk_bytes / 2 / pages;
    for (uint32_t p = 0; p < pages; p++) {
        k[p] = data + p * page;
        v[p] = data + a->chunk_bytes / 2 + p * page;
    }
}

static void run_attention(void *context, uint32_t worker)
{
    struct attention *a = context;
    uint8_t *scratch = a->scratch + worker * a->scratch_bytes;
    if (a->way != ATTEND_TILES) {
        struct we_cpu_attend attend = a->attend;
        attend.scores = (float *)scratch;
        attend.out = attend.scores + WE_CPU_ATTEND_ROWS * WE_CPU_CHUNK;
        for (uint32_t i = 0; i < a->chunks_each; i++) {
            find_pages(a, worker, i, attend.k, attend.v);
            (a->way == ATTEND_F32 ? a->kernels->attend : a->kernels->attend_pairs)(&attend);
        }
        return;
    }
    struct we_cpu_attend_tile tiles[WE_CPU_TILES];
    float *out[WE_CPU_TILE_QUERIES];
    for (uint32_t t = 0; t < WE_CPU_TILES; t++) {
        tiles[t] = a->tile;
        tiles[t].state = scratch + t * a->state_bytes;
        tiles[t].work = scratch + WE_CPU_TILES * a->state_bytes;
        a->kernels->tile_begin(&tiles[t]);
    }
    for (uint32_t i = 0; i < a->chunks_each; i++) {
        const void *k[WE_CPU_CHUNK_PAGES], *v[WE_CPU_CHUNK_PAGES];
        find_pages(a, worker, i, k, v);
        for (uint32_t t = 0; t < WE_CPU_TILES; t++)
            a->kernels->tile_chunk(&tiles[t], i * a->positions, k, v);
    }
    for (uint32_t r = 0; r < WE_CPU_TILE_QUERIES; r++)
        out[r] = (float *)(scratch + WE_CPU_TILES * a->state_bytes + a->work_bytes) + r * a->tile.v_head_dim;
    for (uint32_t t = 0; t < WE_CPU_TILES; t++)
        a->kernels->tile_end(&tiles[t], out);
}

static uint32_t set_up(struct attention *a, struct heads h, enum we_phase phase, const float *q)
{
    const uint32_t rows = a->way == ATTEND_TILES     ? WE_CPU_TILE_QUERIES
                          : phase == WE_PHASE_DECODE ? h.group
                          : a->way == ATTEND_F32     ? WE_CPU_ATTEND_F32_ROWS
                                                     : WE_CPU_ATTEND_ROWS;
    a->positions = a->way == ATTEND_F32 ? WE_CPU_CHUNK : WE_CPU_PAIRS_CHUNK;
    a->chunks_each = phase == WE_PHASE_DECODE ? 16 : PROMPT_CHUNKS;
    a->same_chunks = phase == WE_PHASE_PREFILL;
    a->chunk_bytes = (size_t)2 * a->positions * h.head_dim * (a->way == ATTEND_F32 ? 4 : 2);
    a->num_chunks = BUFFER_BYTES / a->chunk_bytes;
    a->attend = (struct we_cpu_attend){.num_rows = rows, .head_dim = h.head_dim, .v_head_dim = h.head_dim};
    a->tile = (struct we_cpu_attend_tile){.scale = 1, .num_rows = rows, .head_dim = h.head_dim, .v_head_dim = h.head_dim};
    a->tile.valid_last = a->positions * a->chunks_each;
    a->scratch_bytes = WE_CPU_ATTEND_ROWS * (WE_CPU_CHUNK + h.head_dim + WE_CPU_ALIGN) * sizeof(float);
    if (a->way == ATTEND_TILES) {
        a->state_bytes = (a->kernels->tile_state_bytes(h.head_dim, h.head_dim) + 63) / 64 * 64;
        a->work_bytes = (a->kernels->tile_work_bytes(h.head_dim, h.head_dim) + 63) / 64 * 64;
        a->scratch_bytes = WE_CPU_TILES * a->state_bytes + a->work_bytes + WE_CPU_TILE_QUERIES * h.head_dim * sizeof(float);
    }
    a->scratch_bytes = (a->scratch_bytes + 63) / 64 * 64;
    for (uint32_t r = 0; r < rows; r++) {
        if (a->way == ATTEND_TILES) {
            a->tile.q[r] = q;
            a->tile.last[r] = a->tile.valid_last;
        } else {
            a->attend.q[r] = q;
            a->attend.last[r] = a->positions;
        }
    }
    return a->way == ATTEND_TILES ? rows * WE_CPU_TILES : rows;
}

static bool bench_attention(struct bench *b, const struct we_cpu_kernels *kernels, struct heads h, enum way way,
                            enum we_phase phase)
{
    struct attention a = {.bench = b, .kernels = kernels, .way = way};
    float *q = calloc(h.head_dim + WE_CPU_ALIGN, sizeof *q);
    if (q == NULL) {
        fprintf(stderr, "out of memory for attention\n");
        return false;
    }
    for (uint32_t i = 0; i < h.head_dim; i++)
        q[i] = (float)(i % 7) / 10;
    const uint32_t rows = set_up(&a, h, phase, q);
    a.scratch = aligned_alloc(64, a.scratch_bytes * b->threads);
    bool ok = a.scratch != NULL;
    if (ok) {
        struct result r = {.isa = kernels->name, .from_memory = phase == WE_PHASE_DECODE};
        r.arithmetic = way != ATTEND_F32 && kernels->tile_begin ? "bf16" : "f32";
        r.kernel = phase == WE_PHASE_DECODE ? "attention, decode" : "attention, prefill";
        snprintf(r.what, sizeof r.what, "%s keys and values", way == ATTEND_F32 ? "f32" : "bf16");
        snprintf(r.shape, sizeof r.shape, "%u of %u", rows, h.head_dim);
        double passes = (double)a.chunks_each * b->threads;
        r.bytes = passes * (double)a.chunk_bytes;
        r.operations = passes * rows * 4.0 * a.positions * h.head_dim;
        r.seconds = measure(b, run_attention, &a, next_chunks);
        print_result(b, &r);
    } else {
        fprintf(stderr, "out of memory for attention\n");
    }
    free(a.scratch);
    free(q);
    return ok;
}

/* ---- all of them ---- */

static bool wanted(const char *filter, const char *name)
{
    return filter == NULL || strstr(name, filter) != NULL;
}

static bool bench_isa(struct bench *b, const struct we_cpu_kernels *kernels)
{
    const struct options *o = &b->options;
    for (int phase = WE_PHASE_DECODE; phase >= WE_PHASE_PREFILL; phase--)
        for (size_t s = 0; wanted(o->kernel, phase == WE_PHASE_DECODE ? "decode" : "prefill") && s < NUM_SHAPES; s++) {
            struct shape shape = o->shape.rows ? o->shape : shapes[s];
            for (size_t f = 0; f < NUM_FORMATS; f++)
                for (int precision = WE_PRECISION_EXACT; precision <= WE_PRECISION_FAST; precision++)
                    if (wanted(o->format, formats[f].name) && !bench_product(b, kernels, &formats[f], shape, precision, phase))
                        return false;
            if (o->shape.rows)
                break;
        }
    for (int phase = WE_PHASE_DECODE; phase >= WE_PHASE_PREFILL; phase--)
        for (size_t h = 0; wanted(o->kernel, "attention") && h < NUM_HEADS; h++) {
            const enum way pairs = phase == WE_PHASE_PREFILL && kernels->tile_begin ? ATTEND_TILES : ATTEND_PAIRS;
            if (!bench_attention(b, kernels, heads[h], ATTEND_F32, phase) ||
                !bench_attention(b, kernels, heads[h], pairs, phase))
                return false;
        }
    return true;
}

static bool parse(int argc, char **argv, struct options *o)
{
    *o = (struct options){.seconds = 0.1, .tokens = 1, .threads = we_processor_count()};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--json") == 0) {
            o->json = true;
            continue;
        }
        if (strcmp(argv[i], "--isa") == 0 && *value)
            o->isa = value;
        else if (strcmp(argv[i], "--kernel") == 0 && *value)
            o->kernel = value;
        else if (strcmp(argv[i], "--format") == 0 && *value)
            o->format = value;
        else if (strcmp(argv[i], "--shape") == 0 && sscanf(value, "%ux%u", &o->shape.rows, &o->shape.in) == 2 &&
                 o->shape.rows && o->shape.in)
            ;
        else if (strcmp(argv[i], "--threads") == 0 && atoi(value) > 0)
            o->threads = (uint32_t)atoi(value);
        else if (strcmp(argv[i], "--tokens") == 0 && atoi(value) > 0)
            o->tokens = (uint32_t)atoi(value);
        else if (strcmp(argv[i], "--seconds") == 0 && atof(value) > 0)
            o->seconds = atof(value);
        else
            return false;
        i++;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    struct we_error error;
    if (!parse(argc, argv, &b.options)) {
        fprintf(stderr,
                "usage: %s [--isa NAME] [--kernel decode|prefill|attention] [--format TEXT] [--shape ROWSxINPUTS] "
                "[--threads N] [--tokens N] [--seconds S] [--json]\n",
                argv[0]);
        return 2;
    }
    const struct we_cpu_kernels *list[WE_CPU_MAX_ISAS] = {NULL};
    uint32_t count = we_cpu_kernels_list(list);
    if (b.options.isa) {
        count = 1;
        list[0] = we_cpu_kernels_select(b.options.isa, &error);
    }
    b.threads = b.options.threads;
    bool ok = list[0] && we_measure_read_bandwidth(b.threads, &b.bandwidth, &error) == WE_OK &&
              we_pool_new(b.threads, &b.pool, &error) == WE_OK;
    if (!ok)
        fprintf(stderr, "%s\n", error.message);
    b.buffer = ok ? aligned_alloc(LARGE_PAGE, BUFFER_BYTES) : NULL;
#if defined(MADV_HUGEPAGE)
    if (b.buffer)
        madvise(b.buffer, BUFFER_BYTES, MADV_HUGEPAGE); /* as files are mapped */
#endif
    if (ok && b.buffer == NULL) {
        fprintf(stderr, "out of memory for %d MiB of weights\n", BUFFER_BYTES >> 20);
        ok = false;
    }
    if (ok) {
        /* 0x3C38 to 0x3C3F: about 0.01 as bfloat16 and as the upper half of a float32, 1.06 as float16; bytes that are usual
         * as the scales of small floats too. */
        uint32_t random = 1;
        for (size_t i = 0; i < BUFFER_BYTES; i += 2) {
            random = random * 1664525 + 1013904223;
            b.buffer[i] = (uint8_t)(0x38 | random >> 29);
            b.buffer[i + 1] = 0x3C;
        }
        b.num_peaks = measure_peaks(b.pool, b.threads, b.peaks);
        print_peaks(&b);
        for (uint32_t i = 0; ok && i < count; i++)
            ok = bench_isa(&b, list[i]);
        if (b.options.json)
            printf("]}\n");
    }
    free(b.buffer);
    we_pool_free(b.pool);
    return ok ? 0 : 1;
}
