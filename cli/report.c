#include "report.h"

#include "json_line.h"
#include "layout.h"
#include "terminal.h"

#include "client/rates.h"

#include <stdio.h>

static void line(const char *label, const char *value)
{
    fprintf(stderr, "%s%-13s%s%s\n", we_terminal_style(STDERR_FILENO, WE_STYLE_DIM), label,
            we_terminal_style(STDERR_FILENO, WE_STYLE_NONE), value);
}

void we_report_verbose(const struct we_model *model, const struct we_result *result)
{
    const struct we_model_info *info = we_model_info(model);
    char text[256], number[32];
    snprintf(text, sizeof text, info->endpoint ? "%.3f s at %s" : "%.3f s on %s", info->load_seconds, info->device);
    line(info->endpoint ? "answered in" : "loaded in", text);
    int used = snprintf(text, sizeof text, "%u tokens, %.1f tokens/s", result->prompt_tokens, we_prompt_rate(result));
    if (result->cached_tokens)
        snprintf(text + used, sizeof text - (size_t)used, " (%u of them were in the cache)", result->cached_tokens);
    line("prompt", text);
    snprintf(text, sizeof text, "%u tokens, %.1f tokens/s", result->generation_tokens, we_generation_rate(result));
    line("reply", text);
    snprintf(text, sizeof text, "after %.3f s", result->time_to_first_token);
    line("first token", text);
    line("peak memory", we_format_bytes(we_peak_memory(), number, sizeof number));
}

bool we_report_json(const struct we_model *model, const struct we_result *result)
{
    struct we_json_line out = {0};
    we_json_open(&out, NULL, '{');
    if (result->text)
        we_json_str(&out, "text", we_str(result->text, result->text_length));
    else
        we_json_text(&out, "text", NULL);
    we_json_open(&out, "tokens", '[');
    for (uint32_t i = 0; result->tokens && i < result->generation_tokens; i++)
        we_json_integer(&out, NULL, result->tokens[i]);
    we_json_close(&out, ']');
    we_json_text(&out, "finish_reason", we_finish_reason_name(result->finish_reason));
    we_json_integer(&out, "prompt_tokens", result->prompt_tokens);
    we_json_number(&out, "prompt_tps", we_prompt_rate(result));
    we_json_integer(&out, "generation_tokens", result->generation_tokens);
    we_json_number(&out, "generation_tps", we_generation_rate(result));
    we_json_number(&out, "peak_memory", (double)we_peak_memory() / 1e9);
    we_json_number(&out, "load_seconds", we_model_info(model)->load_seconds);
    we_json_number(&out, "time_to_first_token", result->time_to_first_token);
    we_json_close(&out, '}');
    return we_json_print(&out);
}
