/* config.json as Hugging Face writes it for the family, with MLX's "quantization" block: keys sorted, as mlx-lm does. */
#include "convert/convert.h"

#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The shortest decimal that reads back as the same float32. */
static void write_float(struct we_buf *out, float value)
{
    char text[64];
    if (value == rintf(value) && fabsf(value) < 1e9f) {
        we_buf_printf(out, "%d.0", (int)value);
        return;
    }
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    for (char *p = text; *p; p++)
        if (*p == ',') /* a locale's decimal comma */
            *p = '.';
    we_buf_append_c(out, text);
}

static void write_floats(struct we_buf *out, const void *data, uint32_t count)
{
    we_buf_append_byte(out, '[');
    for (uint32_t i = 0; i < count; i++) {
        we_buf_append_c(out, i ? ", " : "");
        write_float(out, we_load_float(data, WE_F32, i));
    }
    we_buf_append_byte(out, ']');
}

static void write_u32(struct we_buf *out, const char *key, uint32_t value)
{
    we_buf_printf(out, "    \"%s\": %u,\n", key, value);
}

static void write_bool(struct we_buf *out, const char *key, bool value)
{
    we_buf_printf(out, "    \"%s\": %s,\n", key, value ? "true" : "false");
}

static void write_id(struct we_buf *out, const char *key, uint32_t id)
{
    if (id != UINT32_MAX)
        write_u32(out, key, id);
}

/* The block itself: the format of most modules, and an entry for each module that differs from it. */
static void write_quantization(struct we_buf *out, const char *key, const struct we_gguf_plan *plan)
{
    struct we_quant most = plan->defaults;
    we_buf_printf(out, "    \"%s\": {\n        \"group_size\": %u,\n        \"bits\": %u,\n        \"mode\": \"%s\"", key,
                  most.group_size, most.bits, we_quant_mode_name(most.mode));
    for (size_t i = 0; i < plan->count; i++) {
        const struct we_gguf_weight *w = &plan->weights[i];
        struct we_quant quant = w->quant;
        if (w->vector || (quant.mode == most.mode && quant.bits == most.bits && quant.group_size == most.group_size))
            continue;
        if (quant.mode == WE_QUANT_NONE)
            we_buf_printf(out, ",\n        \"%s\": false", w->module);
        else
            we_buf_printf(out, ",\n        \"%s\": {\"group_size\": %u, \"bits\": %u, \"mode\": \"%s\"}", w->module,
                          quant.group_size, quant.bits, we_quant_mode_name(quant.mode));
    }
    we_buf_append_c(out, "\n    },\n");
}

static void write_rope_scaling(struct we_buf *out, const struct we_gguf_config *c)
{
    we_buf_append_c(out, "    \"rope_scaling\": ");
    switch (c->rope) {
    case WE_GGUF_ROPE_DEFAULT:
        we_buf_append_c(out, "null");
        break;
    case WE_GGUF_ROPE_LINEAR:
        we_buf_append_c(out, "{\"rope_type\": \"linear\", \"factor\": ");
        write_float(out, c->rope_factor);
        we_buf_append_byte(out, '}');
        break;
    case WE_GGUF_ROPE_YARN:
    case WE_GGUF_ROPE_LLAMA3:
        we_buf_printf(out, "{\"rope_type\": \"%s\", \"factor\": ", c->rope == WE_GGUF_ROPE_YARN ? "yarn" : "llama3");
        write_float(out, c->rope_factor);
        we_buf_printf(out, "%s, \"original_max_position_embeddings\": %u}",
                      c->rope == WE_GGUF_ROPE_YARN ? "" : ", \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0",
                      c->original_context);
        break;
    case WE_GGUF_ROPE_LONGROPE:
        we_buf_append_c(out, "{\"type\": \"longrope\", \"rope_type\": \"longrope\", \"long_factor\": ");
        write_floats(out, c->long_factor, c->rotary_dim / 2);
        we_buf_append_c(out, ", \"short_factor\": ");
        write_floats(out, c->short_factor, c->rotary_dim / 2);
        we_buf_append_byte(out, '}');
    }
    we_buf_append_c(out, ",\n");
}

static const char *dtype_name(enum we_dtype dtype)
{
    return dtype == WE_F32 ? "float32" : dtype == WE_F16 ? "float16" : "bfloat16";
}

we_status we_gguf_write_config(const struct we_gguf_config *c, const struct we_gguf_plan *plan,
                               const struct we_gguf_vocab *vocab, struct we_buf *out, struct we_error *error)
{
    bool phi3 = c->family == WE_GGUF_PHI3;
    we_buf_printf(out, "{\n    \"architectures\": [\"%s\"],\n", phi3 ? "Phi3ForCausalLM" : "LlamaForCausalLM");
    write_bool(out, "attention_bias", c->attention_bias);
    write_id(out, "bos_token_id", vocab ? vocab->bos : UINT32_MAX);
    write_id(out, "eos_token_id", vocab ? vocab->eos : UINT32_MAX);
    if (!phi3)
        write_u32(out, "head_dim", c->head_dim);
    we_buf_append_c(out, "    \"hidden_act\": \"silu\",\n");
    write_u32(out, "hidden_size", c->hidden_size);
    write_u32(out, "intermediate_size", c->intermediate_size);
    write_u32(out, "max_position_embeddings", c->context_length);
    if (!phi3)
        write_bool(out, "mlp_bias", c->mlp_bias);
    we_buf_printf(out, "    \"model_type\": \"%s\",\n", c->prefix);
    write_u32(out, "num_attention_heads", c->num_heads);
    write_u32(out, "num_hidden_layers", c->num_layers);
    write_u32(out, "num_key_value_heads", c->num_kv_heads);
    if (phi3)
        write_u32(out, "original_max_position_embeddings", c->original_context);
    write_id(out, "pad_token_id", vocab ? vocab->pad : UINT32_MAX);
    if (phi3 && c->rotary_dim != c->head_dim) {
        we_buf_append_c(out, "    \"partial_rotary_factor\": ");
        we_json_write_double(out, (double)c->rotary_dim / c->head_dim);
        we_buf_append_c(out, ",\n");
    }
    if (plan->defaults.mode != WE_QUANT_NONE) {
        write_quantization(out, "quantization", plan);
        write_quantization(out, "quantization_config", plan);
    }
    we_buf_append_c(out, "    \"rms_norm_eps\": ");
    write_float(out, c->rms_norm_eps);
    we_buf_append_c(out, ",\n");
    write_rope_scaling(out, c);
    we_buf_append_c(out, "    \"rope_theta\": ");
    write_float(out, c->rope_theta);
    we_buf_append_c(out, ",\n");
    if (phi3 && c->sliding_window)
        write_u32(out, "sliding_window", c->sliding_window);
    write_bool(out, "tie_word_embeddings", c->tied);
    we_buf_printf(out, "    \"torch_dtype\": \"%s\",\n    \"vocab_size\": %u\n}\n", dtype_name(plan->dtype), c->vocab_size);
    return out->failed ? we_error_memory(error, "config.json") : WE_OK;
}

/* ---- generation_config.json ---- */

/* Tokens that end a turn, if the chat template writes them: one more end than the file's own eos. */
static bool ends_turn(const struct we_gguf *gguf, const struct we_gguf_vocab *vocab, uint32_t id)
{
    static const char *const names[] = {"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|eom_id|>"};
    struct we_str text = vocab->tokens[id], template;
    uint32_t named;
    if (id == vocab->eos || (we_gguf_u32(gguf, "tokenizer.ggml.eot_token_id", &named) && named == id) ||
        (we_gguf_u32(gguf, "tokenizer.ggml.eom_token_id", &named) && named == id))
        return true;
    enum we_gguf_token_type type = we_gguf_token_type(vocab, id);
    if ((type != WE_TOKEN_CONTROL && type != WE_TOKEN_USER_DEFINED) ||
        !we_gguf_string(gguf, "tokenizer.chat_template", &template))
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (we_str_equal_c(text, names[i]))
            return we_str_find(template, text, 0) != SIZE_MAX;
    return false;
}

we_status we_gguf_write_generation_config(const struct we_gguf *gguf, const struct we_gguf_vocab *vocab, struct we_buf *out,
                                          struct we_error *error)
{
    uint32_t ends = 0;
    struct we_buf list = {0};
    if (vocab->eos != UINT32_MAX) {
        we_buf_printf(&list, "%u", vocab->eos);
        ends++;
    }
    for (uint32_t id = 0; id < vocab->count; id++)
        if (id != vocab->eos && ends_turn(gguf, vocab, id))
            we_buf_printf(&list, "%s%u", ends++ ? ", " : "", id);
    we_buf_append_c(out, "{\n    \"_from_model_config\": true");
    if (vocab->bos != UINT32_MAX)
        we_buf_printf(out, ",\n    \"bos_token_id\": %u", vocab->bos);
    if (ends)
        we_buf_printf(out, ends > 1 ? ",\n    \"eos_token_id\": [%s]" : ",\n    \"eos_token_id\": %s",
                      list.data ? list.data : "");
    if (vocab->pad != UINT32_MAX)
        we_buf_printf(out, ",\n    \"pad_token_id\": %u", vocab->pad);
    we_buf_append_c(out, "\n}\n");
    bool failed = out->failed || list.failed;
    we_buf_free(&list);
    return failed ? we_error_memory(error, "generation_config.json") : WE_OK;
}
