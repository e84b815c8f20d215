/* show: one model, looked at without loading it. */
#include "args.h"
#include "input.h"
#include "json_line.h"
#include "layout.h"
#include "terminal.h"

#include "base/system.h"

#include <stdlib.h>

static const struct we_option options[] = {
    {"--json", NULL, NULL, "print one JSON object"},
};

enum { LABEL = 16 };

/* Contexts whose memory is told: the one that is configured, or the usual sizes up to the model's own. */
static size_t example_contexts(const struct we_model_facts *facts, uint32_t configured, uint32_t out[4])
{
    static const uint32_t usual[] = {4096, 32768, 131072};
    size_t count = 0;
    if (configured) {
        out[0] = configured;
        return 1;
    }
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (usual[i] < facts->context_length)
            out[count++] = usual[i];
    if (facts->context_length)
        out[count++] = facts->context_length;
    return count;
}

static void print_shape(const struct we_model_facts *f)
{
    char text[32];
    we_print_fact(LABEL, "family", "%s%s%s%s", f->model_type, f->architecture ? " (" : "", f->architecture ? f->architecture : "",
                  f->architecture ? ")" : "");
    we_print_fact(LABEL, "parameters", "%s", we_format_count(f->num_parameters, text, sizeof text));
    we_print_fact(LABEL, "layers", "%u, hidden size %u", f->num_layers, f->hidden_size);
    we_print_fact(LABEL, "attention", "%u heads of %u, %u for keys and values", f->num_attention_heads, f->head_dim,
                  f->num_key_value_heads);
    we_print_fact(LABEL, "vocabulary", "%s%s", we_format_grouped(f->vocab_size, text, sizeof text),
                  f->tied_embeddings ? ", embedding and head share their weights" : "");
    we_print_fact(LABEL, "context", "%s positions", we_format_grouped(f->context_length, text, sizeof text));
    we_print_fact(LABEL, "chat", "%s", f->has_tokenizer ? f->has_chat_template ? "tokenizer and chat template" : "tokenizer, no chat template"
                                                        : "no tokenizer: token ids only");
}

static void print_weights(const struct we_model_facts *f)
{
    char bytes[32], count[32];
    we_print_fact(LABEL, "weights", "%s, %.2f bits each", we_format_bytes(f->weight_bytes, bytes, sizeof bytes), f->bits_per_weight);
    for (size_t i = 0; i < f->num_quantizations; i++) {
        const struct we_quantization_count *q = &f->quantizations[i];
        we_print_fact(LABEL, "", "%s: %s in %u %s (%s)", q->name, we_format_count(q->num_parameters, count, sizeof count), q->num_modules,
                      q->num_modules == 1 ? "module" : "modules", we_format_bytes(q->bytes, bytes, sizeof bytes));
    }
}

static void print_memory(const struct we_model_summary *summary, const struct we_model_facts *f, uint32_t context)
{
    uint32_t contexts[4];
    uint64_t available = we_memory_available();
    char bytes[32], grouped[32];
    we_print_fact(LABEL, "KV cache", "%s for each position", we_format_bytes(f->kv_position_bytes, bytes, sizeof bytes));
    if (f->state_bytes)
        we_print_fact(LABEL, "state", "%s for each sequence", we_format_bytes(f->state_bytes, bytes, sizeof bytes));
    size_t count = example_contexts(f, context, contexts);
    for (size_t i = 0; i < count; i++) {
        uint64_t need = we_model_summary_memory(summary, contexts[i]);
        we_print_fact(LABEL, i == 0 ? "memory to run" : "", "%9s with %s positions%s", we_format_bytes(need, bytes, sizeof bytes),
                      we_format_grouped(contexts[i], grouped, sizeof grouped),
                      available && need > available ? ": more than is free here" : "");
    }
    if (available)
        we_print_fact(LABEL, "free here", "%9s", we_format_bytes(available, bytes, sizeof bytes));
}

static void print_facts(const struct we_model_summary *summary, const struct we_model_facts *f, uint32_t context)
{
    char bytes[32];
    we_print_fact(LABEL, "path", "%s", f->path);
    print_shape(f);
    print_weights(f);
    print_memory(summary, f, context);
    for (size_t i = 0; i < f->num_files; i++)
        we_print_fact(LABEL, i == 0 ? "files" : "", "%9s  %s", we_format_bytes(f->file_bytes[i], bytes, sizeof bytes), f->files[i]);
}

static void json_shape(struct we_json_line *out, const struct we_model_facts *f)
{
    we_json_text(out, "path", f->path);
    we_json_text(out, "model_type", f->model_type);
    we_json_text(out, "architecture", f->architecture);
    we_json_integer(out, "num_parameters", f->num_parameters);
    we_json_integer(out, "weight_bytes", f->weight_bytes);
    we_json_number(out, "bits_per_weight", f->bits_per_weight);
    we_json_integer(out, "hidden_size", f->hidden_size);
    we_json_integer(out, "num_hidden_layers", f->num_layers);
    we_json_integer(out, "num_attention_heads", f->num_attention_heads);
    we_json_integer(out, "num_key_value_heads", f->num_key_value_heads);
    we_json_integer(out, "head_dim", f->head_dim);
    we_json_integer(out, "vocab_size", f->vocab_size);
    we_json_integer(out, "context_length", f->context_length);
    we_json_bool(out, "tie_word_embeddings", f->tied_embeddings);
    we_json_bool(out, "has_tokenizer", f->has_tokenizer);
    we_json_bool(out, "has_chat_template", f->has_chat_template);
    we_json_integer(out, "kv_position_bytes", f->kv_position_bytes);
    we_json_integer(out, "state_bytes", f->state_bytes);
}

static bool print_json(const struct we_model_summary *summary, const struct we_model_facts *f, uint32_t context)
{
    struct we_json_line out = {0};
    uint32_t contexts[4];
    we_json_open(&out, NULL, '{');
    json_shape(&out, f);
    we_json_open(&out, "quantizations", '[');
    for (size_t i = 0; i < f->num_quantizations; i++) {
        we_json_open(&out, NULL, '{');
        we_json_text(&out, "name", f->quantizations[i].name);
        we_json_integer(&out, "num_modules", f->quantizations[i].num_modules);
        we_json_integer(&out, "num_parameters", f->quantizations[i].num_parameters);
        we_json_integer(&out, "bytes", f->quantizations[i].bytes);
        we_json_close(&out, '}');
    }
    we_json_close(&out, ']');
    we_json_open(&out, "memory", '[');
    size_t count = example_contexts(f, context, contexts);
    for (size_t i = 0; i < count; i++) {
        we_json_open(&out, NULL, '{');
        we_json_integer(&out, "context", contexts[i]);
        we_json_integer(&out, "bytes", we_model_summary_memory(summary, contexts[i]));
        we_json_close(&out, '}');
    }
    we_json_close(&out, ']');
    we_json_open(&out, "files", '[');
    for (size_t i = 0; i < f->num_files; i++) {
        we_json_open(&out, NULL, '{');
        we_json_text(&out, "name", f->files[i]);
        we_json_integer(&out, "bytes", f->file_bytes[i]);
        we_json_close(&out, '}');
    }
    we_json_close(&out, ']');
    we_json_close(&out, '}');
    return we_json_print(&out);
}

static int run_command(const struct we_args *args)
{
    struct we_error error;
    struct we_model_summary *summary = NULL;
    struct we_model_options model;
    char *path = NULL;
    we_model_options_init(&model);
    we_settings_model_options(args->settings, &model);
    model.max_sequences = 1; /* as `run` and `chat` open it */
    if (args->num_operands && we_settings_source(args->settings, WE_SETTING_MODEL) == WE_SOURCE_FLAG)
        return we_usage_error(args->command, "the model is named twice: '%s' and '%s'", args->operands[0],
                              we_settings_text(args->settings, WE_SETTING_MODEL));
    int status = we_find_model(args, args->num_operands ? args->operands[0] : NULL, &path);
    if (status == WE_EXIT_OK && we_model_summary_open_as(path, &model, &summary, &error) != WE_OK)
        status = we_fail(args->command, &error);
    if (status == WE_EXIT_OK) {
        const struct we_model_facts *facts = we_model_summary_facts(summary);
        if (!we_args_has(args, "--json"))
            print_facts(summary, facts, model.max_context);
        else if (!print_json(summary, facts, model.max_context))
            status = we_fail_text(args->command, "out of memory for the JSON object");
    }
    we_model_summary_close(summary);
    free(path);
    return status;
}

const struct we_command we_command_show = {
    .name = "show",
    .summary = "one model: architecture, size, quantisation, memory",
    .synopsis = "[MODEL] [--context N] [--json]",
    .max_operands = 1,
    .operand_kind = WE_VALUE_MODEL,
    .options = options,
    .num_options = sizeof options / sizeof *options,
    .settings = WE_TAKES_STORE | WE_TAKES(CONTEXT) | WE_TAKES(PRECISION),
    .details = "Reads the headers of the files only. MODEL is a directory or ORG/NAME. The memory is that of one conversation: weights, KV "
               "cache and scratch memory, at the context that is set, or at usual ones.",
    .examples = "whisperengine show HuggingFaceTB/SmolLM2-135M-Instruct-4bit\n"
                "whisperengine show ORG/NAME --context 32768",
    .run = run_command,
};
