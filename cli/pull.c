/* pull: a model from the Hugging Face Hub. */
#include "pull.h"

#include "interrupt.h"
#include "layout.h"
#include "progress.h"
#include "terminal.h"

#include "base/system.h"
#include "client/hub_token.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <whisperengine_tools.h>

static const struct we_option options[] = {
    {"--check", NULL, NULL, "read every byte that is there, and fetch again what is broken or missing"},
    {"--force", NULL, NULL, "ask the Hub even if the model is there, and fetch what differs from its newest revision"},
    {"--connections", NULL, "N", "requests that run side by side (4)"},
    {"--retries", NULL, "N", "how often a request that gets nowhere is tried again (5)"},
};

struct fetch {
    struct we_progress progress;
    char label[24];
    bool quiet_notes;
};

static bool show_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
    struct fetch *fetch = context;
    if (strcmp(fetch->label, what) != 0) {
        we_progress_end(&fetch->progress);
        snprintf(fetch->label, sizeof fetch->label, "%s", what);
        we_progress_start(&fetch->progress, fetch->label);
        fetch->progress.with_rate = true;
    }
    if (total)
        we_progress_update(&fetch->progress, done, total);
    return !we_interrupted();
}

static void show_note(void *context, const char *text)
{
    struct fetch *fetch = context;
    we_progress_end(&fetch->progress);
    fprintf(stderr, "%s\n", text);
}

static void remember(void)
{
}

/* ---- the command ---- */

static void report(const struct we_pull_result *r, const char *name, double seconds)
{
    char bytes[32], rate[32];
    char commit[16] = "";
    if (r->commit[0])
        snprintf(commit, sizeof commit, ", %.8s", r->commit);
    switch (r->outcome) {
    case WE_PULL_WAS_THERE:
        fprintf(stderr, "%s is here: %s%s\n", name, r->path, commit);
        break;
    case WE_PULL_IN_HUB_CACHE:
        fprintf(stderr, "%s is in the Hugging Face cache, and is used there: %s\n", name, r->path);
        break;
    case WE_PULL_VERIFIED:
        fprintf(stderr, "%s: %u files checked, all are as the Hub has them%s\n", r->path, r->num_files, commit);
        break;
    default:
        we_format_bytes(r->fetched_bytes, bytes, sizeof bytes);
        we_format_bytes(seconds > 0 ? (uint64_t)((double)r->fetched_bytes / seconds) : 0, rate, sizeof rate);
        fprintf(stderr, "%s: %u of %u files fetched, %s in %.1f s (%s/s)%s\n", r->path, r->num_fetched, r->num_files, bytes,
                seconds, rate, commit);
    }
}

int we_fetch_model(const struct we_args *args, const char *name, const struct we_pull_options *wanted)
{
    struct we_error error;
    struct fetch fetch = {0};
    struct we_pull_result result;
    struct we_pull_options pull = *wanted;
    char *token = we_hub_token(args->settings);
    pull.models_dir = we_settings_text(args->settings, WE_SETTING_MODELS_DIR);
    pull.endpoint = we_settings_text(args->settings, WE_SETTING_HF_ENDPOINT);
    pull.offline = we_settings_integer(args->settings, WE_SETTING_HF_HUB_OFFLINE) != 0;
    pull.token = token;
    pull.on_progress = show_progress;
    pull.on_note = show_note;
    pull.context = &fetch;
    signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is an error with a message */
    double started = we_clock();
    we_interrupt_handle(remember); /* what was fetched is to be kept in good order */
    we_status status = we_pull(name, &pull, &result, &error);
    bool interrupted = we_interrupted();
    we_interrupt_handle(NULL);
    we_progress_end(&fetch.progress);
    free(token);
    if (status != WE_OK && interrupted)
        fprintf(stderr, "Stopped; what was fetched is kept, and the same command goes on from there.\n");
    if (status != WE_OK)
        return we_fail(args->command, &error);
    report(&result, name, we_clock() - started);
    we_pull_result_clear(&result);
    return WE_EXIT_OK;
}

bool we_offer_to_fetch(const struct we_args *args, const char *name)
{
    char *path = NULL, answer[16] = "";
    struct we_error error;
    const char *plain = strncmp(name, "mlx://", 6) == 0 ? name + 6 : name, *slash = strchr(plain, '/');
    bool is_hub_name =
        slash && slash > plain && slash[1] && strchr(slash + 1, '/') == NULL && plain[0] != '.' && plain[0] != '~';
    if (!is_hub_name || !we_terminal_is(STDIN_FILENO) || !we_terminal_is(STDERR_FILENO) ||
        we_settings_integer(args->settings, WE_SETTING_HF_HUB_OFFLINE))
        return true;
    we_status status = we_store_find(we_settings_text(args->settings, WE_SETTING_MODELS_DIR), name, &path, &error);
    free(path);
    if (status != WE_NOT_FOUND)
        return true; /* it is here, or opening it will tell what is wrong */
    fprintf(stderr, "%s is not on this machine. Fetch it from the Hugging Face Hub? [Y/n] ", plain);
    fflush(stderr);
    if (fgets(answer, sizeof answer, stdin) == NULL) {
        fputc('\n', stderr);
        return true;
    }
    if (answer[0] != '\n' && answer[0] != 'y' && answer[0] != 'Y')
        return true;
    return we_fetch_model(args, plain, &(struct we_pull_options){0}) == WE_EXIT_OK;
}

static int run_command(const struct we_args *args)
{
    struct we_pull_options pull = {.check = we_args_has(args, "--check"), .force = we_args_has(args, "--force")};
    if (!we_args_u32(args, "--connections", 1, 16, 4, &pull.connections) ||
        !we_args_u32(args, "--retries", 1, 1000, 5, &pull.retries))
        return WE_EXIT_USAGE;
    return we_fetch_model(args, args->operands[0], &pull);
}

const struct we_command we_command_pull = {
    .name = "pull",
    .summary = "fetch a model from the Hugging Face Hub",
    .synopsis = "ORG/NAME[@REVISION] [--check] [--force]",
    .min_operands = 1,
    .max_operands = 1,
    .operand_kind = WE_VALUE_MODEL,
    .options = options,
    .num_options = sizeof options / sizeof *options,
    .settings = WE_TAKES(MODELS_DIR),
    .details = "Fetches the files that a model of MLX needs into LOCAL_MODELS_DIR/mlx/ORG/NAME. Each is checked against the "
               "hash that the "
               "Hub has of it before it gets its name. A pull that was stopped, in any way, goes on where it was; until it is "
               "done, 'list' "
               "shows the model as incomplete.\n"
               "A model that is there is not fetched again, nor is one in the Hugging Face cache, which is used in place; the "
               "network is not "
               "even asked. --check reads all of it and repairs it in its place. --force asks the Hub: it brings "
               "LOCAL_MODELS_DIR to the "
               "newest revision (or to @REVISION), fetching what differs; it also replaces files that no pull put there.\n"
               "HF_TOKEN is the token for gated and private models; without it, that of 'hf auth login' is used. HF_ENDPOINT "
               "names another "
               "Hub, HF_HUB_OFFLINE=1 forbids the network.",
    .examples = "whisperengine pull mlx-community/SmolLM2-135M-Instruct-4bit\n"
                "whisperengine pull ORG/NAME@COMMIT\n"
                "whisperengine pull ORG/NAME --check",
    .run = run_command,
};
