/* list: the models that are on this machine. */
#include "args.h"
#include "input.h"
#include "json_line.h"
#include "layout.h"
#include "terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const struct we_option options[] = {
    {"--names", NULL, NULL, "print the names only, one on a line"},
    {"--json", NULL, NULL, "print a JSON list"},
};

struct listing {
    struct we_table table;
    struct we_json_line json;
    bool names, as_json;
    uint64_t bytes;
    size_t count;
};

/* "affine 4 bits, group 64", or of several formats how many bits they come to (`all`: each of them). Empty if the model cannot
 * be read. */
static void describe_format(const char *path, bool all, char *out, size_t size)
{
    struct we_model_summary *summary;
    struct we_error error;
    out[0] = '\0';
    if (we_model_summary_open(path, &summary, &error) != WE_OK)
        return;
    const struct we_model_facts *facts = we_model_summary_facts(summary);
    const size_t count = facts->num_quantizations > 1 && !all ? 0 : facts->num_quantizations;
    for (size_t i = 0, at = 0; i < count && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%s", i ? "; " : "", facts->quantizations[i].name);
    if (count < facts->num_quantizations)
        snprintf(out, size, "mixed, %.2f bits", facts->bits_per_weight);
    we_model_summary_close(summary);
}

static bool add_model(void *context, const struct we_store_entry *entry)
{
    struct listing *list = context;
    char format[256];
    list->count++;
    list->bytes += entry->bytes;
    if (list->names)
        return we_out_printf("%s\n", entry->name);
    describe_format(entry->path, list->as_json, format, sizeof format);
    if (list->as_json) {
        we_json_open(&list->json, NULL, '{');
        we_json_text(&list->json, "name", entry->name);
        we_json_text(&list->json, "path", entry->path);
        we_json_integer(&list->json, "bytes", entry->bytes);
        we_json_text(&list->json, "quantization", format[0] ? format : NULL);
        we_json_integer(&list->json, "last_used", entry->last_used > 0 ? (uint64_t)entry->last_used : 0);
        we_json_bool(&list->json, "complete", entry->complete);
        we_json_bool(&list->json, "in_hub_cache", entry->in_hub_cache);
        we_json_close(&list->json, '}');
        return true;
    }
    char bytes[32], age[32];
    int64_t now = (int64_t)time(NULL);
    we_format_age(entry->last_used > 0 && now >= entry->last_used ? now - entry->last_used : entry->last_used > 0 ? 0 : -1, age,
                  sizeof age);
    const char *state = !entry->complete ? "incomplete" : format[0] ? format : "unreadable";
    we_table_add(&list->table, (const char *[]){entry->name, we_format_bytes(entry->bytes, bytes, sizeof bytes), state, age,
                                                entry->in_hub_cache ? "Hugging Face cache" : "models"});
    return true;
}

static int print_listing(const struct we_args *args, struct listing *list)
{
    if (list->names)
        return WE_EXIT_OK;
    if (list->as_json) {
        we_json_close(&list->json, ']');
        return we_json_print(&list->json) ? WE_EXIT_OK : we_fail_text(args->command, "out of memory for the list");
    }
    if (list->count == 0) {
        fputs("No models yet. 'whisperengine pull ORG/NAME' fetches one from the Hugging Face Hub; 'whisperengine convert' makes one of a GGUF file.\n", stderr);
        return WE_EXIT_OK;
    }
    return we_table_print(&list->table) ? WE_EXIT_OK : we_fail_text(args->command, "out of memory for the list");
}

static int run_command(const struct we_args *args)
{
    struct we_error error;
    struct listing list = {.names = we_args_has(args, "--names"), .as_json = we_args_has(args, "--json")};
    list.table = (struct we_table){.columns = 5, .keep = 3, .right = {false, true}};
    if (list.names && list.as_json)
        return we_usage_error(args->command, "--names and --json are two forms; give one");
    we_table_add(&list.table, (const char *[]){"NAME", "SIZE", "FORMAT", "LAST USED", "PLACE"});
    if (list.as_json)
        we_json_open(&list.json, NULL, '[');
    int status;
    if (we_store_list(we_settings_text(args->settings, WE_SETTING_MODELS_DIR), add_model, &list, &error) != WE_OK)
        status = we_fail(args->command, &error);
    else
        status = print_listing(args, &list);
    we_table_free(&list.table);
    we_buf_free(&list.json.buf);
    return status;
}

const struct we_command we_command_list = {
    .name = "list",
    .summary = "the models on this machine",
    .synopsis = "[--json]",
    .options = options,
    .num_options = sizeof options / sizeof *options,
    .settings = WE_TAKES(MODELS_DIR),
    .details = "Looks in LOCAL_MODELS_DIR/mlx (./models, or the XDG data folder) and in the Hugging Face cache.",
    .run = run_command,
};
