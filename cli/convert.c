/* convert: a GGUF file to an MLX model directory. */
#include "args.h"
#include "interrupt.h"
#include "layout.h"
#include "progress.h"
#include "terminal.h"

#include "base/system.h"

#include <stdio.h>
#include <string.h>
#include <whisperengine_tools.h>

static const struct we_option options[] = {
    {"--dtype", NULL, "NAME", "type of scales and plain weights: float16, bfloat16, float32 (the one that keeps them exact)",
     WE_VALUE_ANY, "float16|bfloat16|float32"},
};

static bool show_progress(void *context, uint64_t done, uint64_t total)
{
    we_progress_update(context, done, total);
    return !we_interrupted();
}

static void remember(void)
{
}

static int run_command(const struct we_args *args)
{
    struct we_error error;
    struct we_progress progress;
    struct we_convert_options convert = {.dtype = we_args_text(args, "--dtype"), .on_progress = show_progress, .context = &progress};
    if (convert.dtype && strcmp(convert.dtype, "float16") && strcmp(convert.dtype, "bfloat16") && strcmp(convert.dtype, "float32"))
        return we_usage_error(args->command, "--dtype takes float16, bfloat16 or float32, not '%s'", convert.dtype);
    double started = we_clock();
    we_progress_start(&progress, "converting");
    we_interrupt_handle(remember); /* half a model must not stay behind */
    we_status status = we_convert(args->operands[0], args->operands[1], &convert, &error);
    we_interrupt_handle(NULL);
    we_progress_end(&progress);
    if (status != WE_OK)
        return we_fail(args->command, &error);
    fprintf(stderr, "%s is ready, after %.1f s\n", args->operands[1], we_clock() - started);
    return WE_EXIT_OK;
}

const struct we_command we_command_convert = {
    .name = "convert",
    .summary = "make an MLX model of a GGUF file",
    .synopsis = "SOURCE.gguf DEST [--dtype NAME]",
    .min_operands = 2,
    .max_operands = 2,
    .operand_kind = WE_VALUE_FILE,
    .options = options,
    .num_options = sizeof options / sizeof *options,
    .unbuilt = " -q --quantize --q-bits --q-group-size --q-mode --quant-predicate --dequantize --hf-path --mlx-path ",
    .details = "Reads GGUF with F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 tensors, whose values are kept exactly. DEST, a new "
               "directory, appears when it is complete; one that is there is never overwritten.",
    .examples = "whisperengine convert smollm2.gguf models/mlx/HuggingFaceTB/SmolLM2-135M-Instruct-4bit",
    .run = run_command,
};
