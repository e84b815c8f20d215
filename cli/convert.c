/* convert: a checkpoint or a GGUF file to an MLX model directory. */
#include "args.h"
#include "interrupt.h"
#include "layout.h"
#include "progress.h"
#include "terminal.h"

#include "base/fs.h"
#include "base/system.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <whisperengine_tools.h>

static const struct we_option options[] = {
    {"--quantize", "-q", NULL, "quantise the linear layers and the embedding"},
    {"--q-bits", NULL, "N", "bits of a quantised weight: 2, 3, 4, 5, 6 or 8 (4)", WE_VALUE_ANY, "2|3|4|5|6|8"},
    {"--q-group-size", NULL, "N", "weights that share a scale: 32, 64 or 128 (64)", WE_VALUE_ANY, "16|32|64|128"},
    {"--q-mode", NULL, "MODE", "affine, mxfp4, mxfp8 or nvfp4 (affine); the others than affine have one width and group each",
     WE_VALUE_ANY, "affine|mxfp4|mxfp8|nvfp4"},
    {"--quant-predicate", NULL, "RECIPE",
     "mixed_2_6, mixed_3_4, mixed_3_6, mixed_4_6: more bits where they matter most; or a JSON file with rules for modules",
     WE_VALUE_FILE, "mixed_2_6|mixed_3_4|mixed_3_6|mixed_4_6"},
    {"--dequantize", "-d", NULL, "turn quantised weights into plain ones"},
    {"--dtype", NULL, "NAME",
     "type of scales and plain weights: float16, bfloat16, float32 (what the checkpoint's config says; for GGUF the one that "
     "keeps the values exact)",
     WE_VALUE_ANY, "float16|bfloat16|float32"},
};

struct conversion {
    struct we_progress progress;
    char note[128];
};

static bool show_progress(void *context, uint64_t done, uint64_t total)
{
    we_progress_update(&((struct conversion *)context)->progress, done, total);
    return !we_interrupted();
}

static void keep_note(void *context, const char *text)
{
    struct conversion *conversion = context;
    size_t used = strlen(conversion->note);
    snprintf(conversion->note + used, sizeof conversion->note - used, ", %s", text);
}

static void remember(void)
{
}

/* One of "a|b|c". */
static bool check_choice(const struct we_args *args, const char *name, const char **value)
{
    const struct we_option *option = options;
    *value = we_args_text(args, name);
    if (*value == NULL)
        return true;
    while (strcmp(option->name, name) != 0)
        option++;
    size_t length = strlen(*value);
    for (const char *p = option->choices; p && length; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
        if (strncmp(p, *value, length) == 0 && (p[length] == '|' || p[length] == '\0'))
            return true;
    char list[128];
    snprintf(list, sizeof list, "%s", option->choices);
    for (char *p = list; *p; p++)
        *p = *p == '|' ? ' ' : *p;
    we_usage_error(args->command, "%s takes one of: %s; not '%s'", name, list, *value);
    return false;
}

static bool read_options(const struct we_args *args, struct we_convert_options *convert)
{
    const char *bits, *group_size;
    if (!check_choice(args, "--dtype", &convert->dtype) || !check_choice(args, "--q-mode", &convert->q_mode) ||
        !check_choice(args, "--q-bits", &bits) || !check_choice(args, "--q-group-size", &group_size))
        return false;
    convert->q_bits = bits ? (uint32_t)atoi(bits) : 0;
    convert->q_group_size = group_size ? (uint32_t)atoi(group_size) : 0;
    convert->quant_predicate = we_args_text(args, "--quant-predicate");
    convert->quantize = we_args_has(args, "--quantize");
    convert->dequantize = we_args_has(args, "--dequantize");
    const char *lonely = convert->q_mode            ? "--q-mode"
                         : bits                     ? "--q-bits"
                         : group_size               ? "--q-group-size"
                         : convert->quant_predicate ? "--quant-predicate"
                                                    : NULL;
    if (convert->quantize && convert->dequantize)
        we_usage_error(args->command, "-q and -d exclude each other");
    else if (lonely && !convert->quantize)
        we_usage_error(args->command, "%s says how to quantise, but -q is missing", lonely);
    else
        return true;
    return false;
}

/* A path, or the name of a model that was fetched. */
static we_status find_source(const struct we_args *args, char **source, struct we_error *error)
{
    const char *given = args->operands[0];
    struct we_error other;
    if (!we_path_exists(given) &&
        we_store_find(we_settings_text(args->settings, WE_SETTING_MODELS_DIR), given, source, &other) == WE_OK)
        return WE_OK;
    *source = strdup(given);
    return *source ? WE_OK : we_error_memory(error, given);
}

static int run_command(const struct we_args *args)
{
    struct we_error error;
    struct conversion conversion = {0};
    struct we_convert_options convert = {.on_progress = show_progress, .on_note = keep_note, .context = &conversion};
    char *source = NULL;
    if (!read_options(args, &convert))
        return WE_EXIT_USAGE;
    double started = we_clock();
    signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is an error with a message */
    we_status status = find_source(args, &source, &error);
    if (status == WE_OK) {
        we_progress_start(&conversion.progress, "converting");
        conversion.progress.with_rate = true;
        we_interrupt_handle(remember); /* half a model must not stay behind */
        status = we_convert(source, args->operands[1], &convert, &error);
        we_interrupt_handle(NULL);
        we_progress_end(&conversion.progress);
    }
    free(source);
    if (status != WE_OK)
        return we_fail(args->command, &error);
    fprintf(stderr, "%s is ready, after %.1f s%s\n", args->operands[1], we_clock() - started, conversion.note);
    return WE_EXIT_OK;
}

const struct we_command we_command_convert = {
    .name = "convert",
    .summary = "make an MLX model of a Hugging Face checkpoint or a GGUF file",
    .synopsis = "SOURCE DEST [-q | -d] [--dtype NAME]",
    .min_operands = 2,
    .max_operands = 2,
    .operand_kind = WE_VALUE_FILE,
    .options = options,
    .num_options = sizeof options / sizeof *options,
    .settings = WE_TAKES(MODELS_DIR),
    .unbuilt = " --hf-path --mlx-path ",
    .details =
        "SOURCE is a directory in Hugging Face's form (config.json and safetensors), an MLX model, the name of one that was "
        "fetched (ORG/NAME), or a GGUF file. DEST, a new directory, appears when it is complete; one that is there is never "
        "overwritten.\n"
        "Of a checkpoint, weights, scales and biases are those that mlx-lm's convert makes, bit for bit. A GGUF file keeps its "
        "values exactly (F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, IQ4_NL, IQ4_XS, MXFP4, NVFP4); what MLX "
        "has no format for (Q2_K, Q3_K, Q6_K) is quantised again with 8 bits, and the command says so.\n"
        "A file for --quant-predicate names modules, or patterns with '*': {\"lm_head\": false, \"*.down_proj\": {\"bits\": "
        "6}}. "
        "A module's own name decides before patterns, and of patterns the last that fits.",
    .examples = "whisperengine convert ./SmolLM2-135M-Instruct ./SmolLM2-135M-Instruct-4bit -q\n"
                "whisperengine convert ./Phi-3-mini ./Phi-3-mini-mixed -q --quant-predicate mixed_3_6\n"
                "whisperengine convert smollm2.gguf models/mlx/HuggingFaceTB/SmolLM2-135M-Instruct-4bit",
    .run = run_command,
};
