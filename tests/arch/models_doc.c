/* Prints docs/models.md, from the tables of the program: families, formats of weights, and what is refused.
 *
 * build/tests/arch/models_doc > docs/models.md */
#include "arch/families.h"
#include "backend/cpu/cpu.h"

#include <stdio.h>

static void print_families(void)
{
    printf("| `model_type` | models |\n| --- | --- |\n");
    for (const struct we_model_type *type = we_model_types; type->name; type++) {
        printf("| `%s`", type->name);
        const struct we_model_type *first = type; /* the name of the family, or its shortest, of which the others are aliases */
        for (const struct we_model_type *other = we_model_types; other->name; other++)
            if (other->family == type->family && !other->text_part &&
                (type->family->model_type ? strcmp(other->name, type->family->model_type) == 0
                                          : strlen(other->name) < strlen(first->name)))
                first = other;
        if (type->text_part && type->text_part == we_text_part_mistral3)
            printf(" | the text part of models of text and images: `ministral3`, or built like `llama` |\n");
        else if (type->text_part || first == type)
            printf(" | %s |\n", type->family->models);
        else
            printf(" | another name of `%s` |\n", first->name);
    }
}

/* Whether the CPU back-end multiplies by weights of a format. */
static bool has_kernels(struct we_quant quant)
{
    static const char data[1];
    const struct we_linear linear = {.data = data,
                                     .scales = data,
                                     .biases = quant.mode == WE_QUANT_AFFINE ? data : NULL,
                                     .dtype = quant.mode == WE_QUANT_AFFINE ? WE_BF16 : WE_U8,
                                     .mode = quant.mode,
                                     .bits = quant.bits,
                                     .group_size = quant.group_size,
                                     .rows = 1,
                                     .in = quant.group_size};
    struct we_cpu_matrix matrix;
    return we_cpu_matrix_init(&matrix, &linear, NULL) == WE_OK;
}

static void print_formats(void)
{
    printf("| mode | bits | groups of | CPU |\n| --- | --- | --- | --- |\n| plain | float32, float16, bfloat16 | | yes |\n");
    for (enum we_quant_mode mode = WE_QUANT_AFFINE; mode < WE_QUANT_MODE_COUNT; mode++)
        for (uint32_t bits = 1; bits <= 8; bits++)
            for (int has = 1; has >= 0; has--) {
                char groups[64] = "";
                size_t used = 0;
                for (uint32_t group = 1; group <= 1024; group *= 2) {
                    const struct we_quant quant = {mode, bits, group};
                    if (we_quant_valid(quant) && has_kernels(quant) == (has == 1))
                        used += (size_t)snprintf(groups + used, sizeof groups - used, "%s%u", used ? ", " : "", group);
                }
                if (used)
                    printf("| %s | %u | %s | %s |\n", we_quant_mode_name(mode), bits, groups, has ? "yes" : "refused");
            }
}

int main(void)
{
    printf(
        "# Models\n\n"
        "Made by `build/tests/arch/models_doc > docs/models.md` from the program's own tables; a test compares.\n\n"
        "## Families\n"
        "By the `model_type` in `config.json`. Any other is refused, and the nearest of these is named. A key that is absent "
        "has\n"
        "the default that mlx-lm's model of that type gives it; a value that is not implemented is refused by name, and so is "
        "a\n"
        "tensor that the config does not call for. Of models of text and images the text part runs; weights of vision towers\n"
        "are passed over.\n\n");
    print_families();
    printf(
        "\nMixtures of experts read their weights as mlx-lm stores them, all experts of a layer in one tensor. Where mlx-lm\n"
        "and the original code differ, results are mlx-lm's: Gemma 2 sees all positions in every layer; only longrope follows\n"
        "its paper, unless `--rope-compat mlx` asks for mlx-lm's way.\n\n"
        "Rope types: default, mrope (for text the same), linear, dynamic, llama3, yarn, longrope (su), proportional.\n\n"
        "## Formats of weights\n"
        "The `quantization` block of `config.json`, with entries of its own for some modules, as mlx-lm writes it.\n\n");
    print_formats();
    printf("\nA `quantization_config` whose method is mxfp4, mxfp8 or nvfp4 is read as that mode. With fp8, weights of\n"
           "float8 (e4m3) that have a `weight_scale_inv`, one factor or one for each block, become bfloat16 (of any family; "
           "for DeepSeek\n"
           "V3, Kimi K2 and MiniMax as mlx-lm makes them). One of another scheme (AWQ, GPTQ, compressed-tensors, modelopt, "
           "bitnet, ...) is\n"
           "refused by the name of its method, with what to do.\n");
    return 0;
}
