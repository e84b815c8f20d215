/* tokenize and detokenize: between text and token ids. */
#include "args.h"
#include "input.h"
#include "terminal.h"

#include <stdlib.h>

static const struct we_option tokenize_options[] = {
    {"--no-special", NULL, NULL, "add nothing that only the post-processor would add (BOS, EOS)"},
    {"--json", NULL, NULL, "print a JSON list"},
};

static int print_ids(const struct we_args *args, const uint32_t *ids, size_t count)
{
    bool json = we_args_has(args, "--json");
    we_out_c(json ? "[" : "");
    for (size_t i = 0; i < count; i++)
        we_out_printf("%s%u", i == 0 ? "" : json ? ", " : " ", ids[i]);
    we_out_c(json ? "]\n" : "\n");
    return WE_EXIT_OK;
}

static int run_tokenize(const struct we_args *args)
{
    struct we_error error;
    struct we_buf text = {0};
    char *path = NULL;
    uint32_t *ids = NULL;
    size_t count = 0;
    int status = we_find_model(args, NULL, &path);
    if (status == WE_EXIT_OK) {
        we_status work = we_read_input(&text, &error);
        if (work == WE_OK)
            work = we_tokenize(path, text.data, text.length, !we_args_has(args, "--no-special"), &ids, &count, &error);
        status = work == WE_OK ? print_ids(args, ids, count) : we_fail(args->command, &error);
    }
    free(ids);
    free(path);
    we_buf_free(&text);
    return status;
}

static int run_detokenize(const struct we_args *args)
{
    struct we_error error;
    struct we_buf input = {0};
    char *path = NULL, *text = NULL;
    uint32_t *ids = NULL;
    size_t count = 0, length = 0;
    int status = we_find_model(args, NULL, &path);
    if (status == WE_EXIT_OK) {
        we_status work = we_read_input(&input, &error);
        if (work == WE_OK)
            work = we_parse_ids(we_buf_str(&input), "standard input", &ids, &count, &error);
        if (work == WE_OK)
            work = we_detokenize(path, ids, count, &text, &length, &error);
        if (work == WE_OK)
            we_out(text, length);
        else
            status = we_fail(args->command, &error);
    }
    free(text);
    free(ids);
    free(path);
    we_buf_free(&input);
    return status;
}

const struct we_command we_command_tokenize = {
    .name = "tokenize",
    .summary = "the token ids of a text",
    .synopsis = "[-m MODEL] [--no-special] [--json] < TEXT",
    .options = tokenize_options,
    .num_options = sizeof tokenize_options / sizeof *tokenize_options,
    .settings = WE_TAKES_STORE,
    .details = "Reads standard input byte for byte, a last newline included. Added tokens that stand in the text are recognised.",
    .examples = "printf 'Hello, world' | whisperengine tokenize -m ORG/NAME --json",
    .run = run_tokenize,
};

const struct we_command we_command_detokenize = {
    .name = "detokenize",
    .summary = "the text of token ids",
    .synopsis = "[-m MODEL] < IDS.json",
    .settings = WE_TAKES_STORE,
    .details = "Reads a JSON list of ids from standard input, and prints exactly the bytes of the text: special tokens are kept, and no "
               "newline is added.",
    .examples = "echo '[19556, 28, 905]' | whisperengine detokenize -m ORG/NAME",
    .run = run_detokenize,
};
