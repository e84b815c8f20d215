/* Tensors whose values are computed from those in the files: float8 with factors for blocks, and kv_b_proj of latent attention,
 * whose part for the keys is turned over. As mlx-lm's models/deepseek_v3.py does it when it loads. */
#include "format/remake_plan.h"

#include <stdio.h>
#include <stdlib.h>

enum { LONGEST_NAME = 300, USUAL_BLOCK = 128 };

static const char factor[] = "_scale_inv";

/* ---- values ---- */

static float factor_at(const struct we_remade *r, uint32_t piece, uint64_t row, uint64_t column)
{
    const struct we_tensor *s = r->scales[piece];
    const bool one = s->num_dims < 2;
    return we_load_float(s->data, s->dtype, one ? 0 : row / r->block_rows * s->shape[1] + column / r->block_columns);
}

/* A row of a piece, as it lies in the file or dequantised. */
static void piece_values(const struct we_remade *r, uint32_t piece, uint64_t row, uint64_t column, uint64_t count,
                         unsigned char *out)
{
    const struct we_tensor *t = r->pieces[piece];
    const uint64_t size = we_dtype_size(t->dtype);
    const unsigned char *from = (const unsigned char *)t->data + row * r->row_bytes + column * size;
    if (r->scales == NULL) {
        memcpy(out, from, (size_t)(count * size));
        return;
    }
    for (uint64_t n; count; count -= n, column += n, from += n, out += 2 * n) {
        n = r->block_columns - column % r->block_columns;
        n = n < count ? n : count;
        r->quantizer->scale_e4m3(from, factor_at(r, piece, row, column), (size_t)n, out);
    }
}

void we_remade_values(const struct we_remade *r, uint64_t row, uint64_t column, uint64_t count, void *out)
{
    const uint32_t piece = r->turned ? 0 : (uint32_t)(row / r->piece_rows);
    const uint64_t at = row % r->piece_rows;
    if (!r->turned) {
        piece_values(r, piece, at / r->block * r->stride + r->first + at % r->block, column, count, out);
        return;
    }
    const uint64_t columns = r->row_bytes / we_dtype_size(r->pieces[0]->dtype), size = r->scales ? 2 : r->row_bytes / columns;
    for (uint64_t i = 0; i < count; i++)
        piece_values(r, 0, row / columns * r->stride + r->first + column + i, row % columns, 1,
                     (unsigned char *)out + i * size);
}

/* ---- float8 ---- */

static const struct we_tensor *find_factor(const struct we_safetensors *files, const struct we_tensor *t)
{
    char text[LONGEST_NAME];
    int n = snprintf(text, sizeof text, "%.*s%s", (int)t->name.length, t->name.data, factor);
    return n > 0 && (size_t)n < sizeof text ? we_safetensors_find(files, we_str(text, (size_t)n)) : NULL;
}

bool we_remake_is_factor(const struct we_safetensors *files, struct we_str name)
{
    static const char *const ends[] = {factor, "activation_scale"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if (!we_str_ends_with(name, we_str_c(ends[i])))
            continue;
        char text[LONGEST_NAME];
        int n = snprintf(text, sizeof text, "%.*s%s", (int)(name.length - strlen(ends[i])), name.data, i ? "weight" : "");
        const struct we_tensor *t =
            n > 0 && (size_t)n < sizeof text ? we_safetensors_find(files, we_str(text, (size_t)n)) : NULL;
        return t && t->dtype == WE_F8_E4M3;
    }
    return false;
}

/* The tensor of the files that a renamed one is. */
static const struct we_tensor *original(const struct we_safetensors *files, const struct we_tensor *t)
{
    const struct we_tensor *same = we_safetensors_find(files, t->name);
    for (size_t i = 0; (same == NULL || same->data != t->data) && i < we_safetensors_count(files); i++)
        same = we_safetensors_at(files, i);
    return same;
}

static uint32_t block_side(const struct we_config *config, uint32_t side)
{
    const struct we_json *block = we_json_get(we_json_get(config->json, "quantization_config"), "weight_block_size");
    if (block == NULL || block->kind != WE_JSON_ARRAY || block->count != 2 || block->items[side].kind != WE_JSON_NUMBER ||
        !(block->items[side].number >= 1 && block->items[side].number <= 65536))
        return USUAL_BLOCK;
    return (uint32_t)block->items[side].number;
}

static we_status check_factor(const struct we_remake_planner *p, const struct we_remade *r, const struct we_tensor *t,
                              const struct we_tensor *f)
{
    char a[128], b[128];
    if (f == NULL)
        return we_error_set(
            p->error, WE_UNSUPPORTED,
            "%s: tensor '%.*s' is F8_E4M3, and there is no '%.*s%s' to scale it; take another conversion of the "
            "model",
            t->file, WE_STR_ARG(t->name), WE_STR_ARG(t->name), factor);
    const uint64_t rows = t->shape[0], columns = t->shape[1];
    const bool fits = f->num_dims == 2 && f->shape[0] == (rows + r->block_rows - 1) / r->block_rows &&
                      f->shape[1] == (columns + r->block_columns - 1) / r->block_columns;
    if (t->num_dims == 2 && we_dtype_is_float(f->dtype) && (fits || (f->num_dims < 2 && f->size == we_dtype_size(f->dtype))))
        return WE_OK;
    return we_error_set(
        p->error, WE_UNSUPPORTED,
        "%s: tensor '%.*s' is F8_E4M3 %s, and its factors are %s %s; one factor, or one for each block of %u x %u "
        "was expected",
        t->file, WE_STR_ARG(t->name), we_tensor_shape_text(t, a), we_dtype_name(f->dtype), we_tensor_shape_text(f, b),
        r->block_rows, r->block_columns);
}

/* One that stands as it is, as one piece. */
static we_status as_piece(struct we_remake_planner *p, const struct we_tensor *t, struct we_remade **remade)
{
    struct we_remade r = {.name = t->name, .count = 1, .pieces = we_arena_array(p->arena, 1, sizeof *r.pieces)};
    if (r.pieces == NULL)
        return we_error_memory(p->error, "the list of tensors");
    r.pieces[0] = original(p->files, t);
    r.piece_rows = r.block = r.stride = t->num_dims ? t->shape[0] : 1;
    for (uint32_t d = 1; d + 1 < t->num_dims; d++)
        r.piece_rows = r.block = r.stride = r.piece_rows * t->shape[d];
    r.row_bytes = r.piece_rows ? t->size / r.piece_rows : 0;
    we_status status = we_remake_add(p, &r);
    *remade = &p->remake->list[p->remake->count - 1];
    return status;
}

static we_status dequantise(struct we_remake_planner *p, struct we_tensor *t)
{
    struct we_remade *r = (struct we_remade *)we_remake_find(p->remake, t->name);
    we_status status = r ? WE_OK : as_piece(p, t, &r);
    if (status != WE_OK)
        return status;
    r->scales = we_arena_array(p->arena, r->count, sizeof *r->scales);
    if (r->scales == NULL)
        return we_error_memory(p->error, "the list of tensors");
    r->block_rows = block_side(p->config, 0);
    r->block_columns = block_side(p->config, 1);
    r->quantizer = we_quantizer_best();
    for (uint32_t k = 0; k < r->count && status == WE_OK; k++) {
        r->scales[k] = find_factor(p->files, r->pieces[k]);
        status = check_factor(p, r, r->pieces[k], r->scales[k]);
    }
    t->dtype = WE_BF16;
    t->size *= 2;
    p->changed = true;
    return status;
}

we_status we_remake_float8(struct we_remake_planner *p)
{
    we_status status = WE_OK;
    for (size_t i = 0; i < p->count && status == WE_OK; i++)
        if (p->tensors[i].dtype == WE_F8_E4M3)
            status = dequantise(p, &p->tensors[i]);
    return status;
}

/* ---- latent attention ---- */

/* kv_b_proj is (heads * (nope + value), latent): of each head the rows that make keys of the latent, and those that make
 * values. MLX turns the first ones over, embed_q (heads, latent, nope), and has the second as unembed_out (heads, value,
 * latent). */
static bool read_heads(const struct we_remake_planner *p, struct we_remake_heads *h)
{
    static const char *const types[] = {"deepseek_v3", "joyai_llm_flash", "kimi_k2", "kimi_k25", "kimi_vl", "glm4_moe_lite"};
    bool latent = false;
    const bool glm = we_str_equal_c(p->model_type, "glm4_moe_lite");
    *h = glm ? (struct we_remake_heads){20, 192, 256, 512} : (struct we_remake_heads){32, 128, 128, 512};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        latent = latent || we_str_equal_c(p->model_type, types[i]);
    const struct we_json *text = we_json_get(p->config->json, "text_config");
    const struct we_config config = {text && text->kind == WE_JSON_OBJECT ? text : p->config->json, p->config->where};
    return latent && we_config_u32(&config, "num_attention_heads", &h->heads, NULL) == WE_OK &&
           we_config_u32(&config, "qk_nope_head_dim", &h->nope, NULL) == WE_OK &&
           we_config_u32(&config, "v_head_dim", &h->value, NULL) == WE_OK &&
           we_config_u32(&config, "kv_lora_rank", &h->latent, NULL) == WE_OK && h->heads && h->nope && h->value &&
           h->heads <= 1u << 13 && h->nope <= 1u << 13 && h->value <= 1u << 13;
}

static we_status add_part(struct we_remake_planner *p, const struct we_remade *whole, struct we_tensor *out, const char *module,
                          const struct we_remake_heads *h, bool turned)
{
    char text[LONGEST_NAME];
    const struct we_str name = whole->name;
    const uint64_t latent = out->shape[out->num_dims - 1], rows = turned ? latent : h->value;
    int n = snprintf(text, sizeof text, "%.*s%s.weight", (int)(name.length - strlen("kv_b_proj.weight")), name.data, module);
    struct we_remade r = *whole;
    if (n < 0 || (size_t)n >= sizeof text)
        return we_error_set(p->error, WE_UNSUPPORTED, "the name of the tensor '%.*s' is too long", WE_STR_ARG(name));
    r.name = we_str_c(we_arena_copy(p->arena, we_str(text, (size_t)n)));
    if (r.name.data == NULL)
        return we_error_memory(p->error, "the names of tensors");
    r.stride = h->nope + h->value;
    r.first = turned ? 0 : h->nope;
    r.block = rows;
    r.piece_rows = h->heads * rows;
    r.turned = turned ? h->nope : 0;
    out->name = r.name;
    out->num_dims = 3;
    out->shape[0] = h->heads;
    out->shape[1] = rows;
    out->shape[2] = turned ? h->nope : latent;
    out->size = out->shape[0] * out->shape[1] * out->shape[2] * we_dtype_size(out->dtype);
    return we_remake_add(p, &r);
}

we_status we_remake_latent(struct we_remake_planner *p)
{
    struct we_remake_heads h;
    we_status status = WE_OK;
    if (!read_heads(p, &h))
        return WE_OK;
    for (size_t i = 0, count = p->count; i < count && status == WE_OK; i++) {
        struct we_tensor *t = &p->tensors[i];
        if (t->dtype == WE_U32 && we_str_ends_with(t->name, we_str_c(".self_attn.kv_b_proj.weight"))) {
            status = we_remake_quantised_heads(p, i, &h);
            continue;
        }
        if (!we_str_ends_with(t->name, we_str_c(".self_attn.kv_b_proj.weight")) || !we_dtype_is_float(t->dtype) ||
            t->num_dims != 2 || t->shape[0] != (uint64_t)h.heads * (h.nope + h.value) || t->shape[1] == 0)
            continue; /* another shape is told when the model is described */
        struct we_remade *whole = (struct we_remade *)we_remake_find(p->remake, t->name);
        if (whole == NULL)
            status = as_piece(p, t, &whole);
        if (status != WE_OK)
            return status;
        const struct we_remade copy = *whole; /* the list may move */
        struct we_tensor *second = &p->tensors[p->count++];
        *second = *t;
        p->changed = true;
        status = add_part(p, &copy, t, "embed_q", &h, true);
        if (status == WE_OK)
            status = add_part(p, &copy, second, "unembed_out", &h, false);
    }
    return status;
}
