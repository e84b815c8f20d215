/* run: one reply, streamed. */
#include "args.h"
#include "input.h"
#include "interrupt.h"
#include "progress.h"
#include "reply.h"
#include "report.h"
#include "terminal.h"

#include "base/fs.h"
#include "client/messages.h"

#include <stdlib.h>

static const struct we_option options[] = {
    {"--prompt", "-p", "PROMPT", "what to say; - reads standard input, less one final newline"},
    {"--ids", NULL, "IDS", "continue these token ids, a JSON list, as they are; - reads it from standard input"},
    {"--prefill-response", NULL, "TEXT", "the beginning of the reply, which the model continues"},
    {"--ignore-chat-template", NULL, NULL, "continue the prompt as plain text"},
    {"--chat-template-config", NULL, "JSON", "more variables for the chat template, an object"},
    {"--stop", NULL, "TEXT", "end the reply before this text; may be given several times"},
    {"--logit-bias", NULL, "JSON", "an object: token id to what is added to its logit"},
    {"--json", NULL, NULL, "print one object at the end: text, tokens, rates"},
    {"--verbose", "-v", NULL, "rates and peak memory on standard error"},
};

struct run {
    const struct we_args *args;
    struct we_model *model;
    struct we_request request;
    struct we_buf input, messages;
    char *system_prompt;
    uint32_t *ids;
    struct we_logit_bias *bias;
    const char **stop;
    struct we_result result;
    struct we_printed printed;
    bool json;
};

/* The prompt, in run->input if it had to be read; false: *status says why. */
static bool read_prompt(struct run *run, struct we_str *prompt, int *status)
{
    struct we_error error;
    const char *text = we_args_text(run->args, "--prompt");
    *prompt = we_str_c(text);
    if (strcmp(text, "-") == 0) {
        if (we_read_input(&run->input, &error) != WE_OK) {
            *status = we_fail(run->args->command, &error);
            return false;
        }
        *prompt = we_buf_str(&run->input);
        if (prompt->length && prompt->data[prompt->length - 1] == '\n')
            prompt->length -= prompt->length > 1 && prompt->data[prompt->length - 2] == '\r' ? 2 : 1;
    }
    if (we_check_utf8(*prompt, "the prompt", &error) != WE_OK) {
        *status = we_fail(run->args->command, &error);
        return false;
    }
    return true;
}

static int prepare_plain(struct run *run, struct we_str prompt)
{
    if (memchr(prompt.data, '\0', prompt.length))
        return we_fail_text(run->args->command, "the prompt holds a NUL byte, which --ignore-chat-template cannot carry");
    if (we_args_has(run->args, "--prefill-response") || we_args_has(run->args, "--chat-template-config"))
        return we_usage_error(run->args->command, "--prefill-response and --chat-template-config need the chat template, which "
                                                  "--ignore-chat-template leaves out");
    if (we_settings_source(run->args->settings, WE_SETTING_SYSTEM_PROMPT) == WE_SOURCE_FLAG)
        return we_usage_error(run->args->command, "--system-prompt needs the chat template, which --ignore-chat-template leaves out");
    we_buf_append(&run->messages, prompt);
    run->request.text = we_buf_str(&run->messages).data;
    return run->messages.failed ? we_fail_text(run->args->command, "out of memory for the prompt") : WE_EXIT_OK;
}

static int prepare_chat(struct run *run, struct we_str prompt)
{
    struct we_error error;
    const char *config = we_args_text(run->args, "--chat-template-config");
    if (we_settings_system_prompt(run->args->settings, &run->system_prompt, &error) != WE_OK)
        return we_fail(run->args->command, &error);
    we_status status = we_messages_write(&run->messages, run->system_prompt, prompt, config, &error);
    if (status == WE_INVALID_FORMAT || status == WE_INVALID_ARGUMENT)
        return we_usage_error(run->args->command, "%s", error.message);
    if (status != WE_OK)
        return we_fail(run->args->command, &error);
    run->request.messages = run->messages.data;
    run->request.prefill_response = we_args_text(run->args, "--prefill-response");
    return WE_EXIT_OK;
}

static int prepare_prompt(struct run *run)
{
    const struct we_args *args = run->args;
    if (we_args_has(args, "--ids")) {
        static const char *const others[] = {"--prompt", "--prefill-response", "--ignore-chat-template", "--chat-template-config"};
        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
            if (we_args_has(args, others[i]))
                return we_usage_error(args->command, "--ids takes the ids as they are, so %s makes no sense with it", others[i]);
        return we_read_ids(args, "--ids", &run->ids, &run->request.num_ids);
    }
    struct we_str prompt;
    int status = WE_EXIT_OK;
    if (!we_args_has(args, "--prompt"))
        return we_usage_error(args->command, "there is no prompt: give -p '...', -p - for standard input, or --ids '[1, 2, 3]'");
    if (!read_prompt(run, &prompt, &status))
        return status;
    return we_args_has(args, "--ignore-chat-template") ? prepare_plain(run, prompt) : prepare_chat(run, prompt);
}

static int prepare_stop(struct run *run)
{
    size_t count = 0;
    run->stop = calloc(run->args->num_given + 1, sizeof *run->stop);
    if (run->stop == NULL)
        return we_fail_text(run->args->command, "out of memory");
    for (size_t i = 0; i < run->args->num_given; i++)
        if (strcmp(run->args->given[i].option->name, "--stop") == 0) {
            if (run->args->given[i].value[0] == '\0')
                return we_usage_error(run->args->command, "--stop: the text is empty");
            run->stop[count++] = run->args->given[i].value;
        }
    run->request.stop = run->stop;
    run->request.num_stop = count;
    return WE_EXIT_OK;
}

static int prepare_bias(struct run *run)
{
    const char *text = we_args_text(run->args, "--logit-bias");
    struct we_error error;
    if (text == NULL)
        return WE_EXIT_OK;
    if (we_parse_logit_bias(text, &run->bias, &run->request.sampling.num_logit_bias, &error) != WE_OK)
        return we_usage_error(run->args->command, "%s", error.message);
    run->request.sampling.logit_bias = run->bias;
    uint32_t vocab = we_model_info(run->model)->vocab_size;
    for (size_t i = 0; vocab && i < run->request.sampling.num_logit_bias; i++)
        if (run->bias[i].token >= vocab)
            return we_usage_error(run->args->command, "--logit-bias: token %u is outside the vocabulary of %u", run->bias[i].token, vocab);
    return WE_EXIT_OK;
}

/* A continuation of bare ids is for comparing: greedy, whatever .env and the model prefer. */
static void prepare_sampling(struct run *run)
{
    bool compare = run->ids != NULL;
    we_sampling_init(&run->request.sampling, compare ? NULL : run->model);
    we_settings_request(run->args->settings, &run->request);
    if (compare && we_settings_source(run->args->settings, WE_SETTING_TEMPERATURE) != WE_SOURCE_FLAG)
        run->request.sampling.temperature = 0;
}

static int generate(struct run *run)
{
    struct we_error error;
    if (!run->json) {
        run->request.on_text = we_reply_print;
        run->request.context = &run->printed;
        we_spinner_start("reading the prompt");
    }
    we_status status = we_generate(run->model, &run->request, &run->result, &error);
    we_reply_end(&run->printed);
    if (status != WE_OK && status != WE_CANCELLED)
        return we_fail(run->args->command, &error);
    if (run->json && !we_report_json(run->model, &run->result))
        return we_fail_text(run->args->command, "out of memory for the JSON object");
    if (we_args_has(run->args, "--verbose"))
        we_report_verbose(run->model, &run->result);
    return WE_EXIT_OK;
}

static int run_command(const struct we_args *args)
{
    struct run run = {.args = args, .json = we_args_has(args, "--json")};
    bool ids = we_args_has(args, "--ids");
    we_request_init(&run.request, NULL);
    int status = prepare_prompt(&run);
    if (status == WE_EXIT_OK)
        status = prepare_stop(&run);
    if (status == WE_EXIT_OK)
        status = we_open_model(args, ids, &run.model);
    if (status == WE_EXIT_OK) {
        run.request.ids = run.ids;
        prepare_sampling(&run);
        status = prepare_bias(&run);
    }
    if (status == WE_EXIT_OK)
        status = generate(&run);
    we_result_clear(&run.result);
    we_model_close(run.model);
    we_buf_free(&run.input);
    we_buf_free(&run.messages);
    free(run.system_prompt);
    free(run.ids);
    free(run.bias);
    free(run.stop);
    return status;
}

const struct we_command we_command_run = {
    .name = "run",
    .summary = "one reply to a prompt, streamed",
    .synopsis = "[-m MODEL] -p PROMPT [OPTIONS]",
    .options = options,
    .num_options = sizeof options / sizeof *options,
    .settings = WE_TAKES_REPLY,
    .unbuilt = WE_UNBUILT_REPLY,
    .details =
        "Sampling is that of mlx-lm: the same names, and the same tokens for the same seed. What is not given comes from the "
        "environment, .env, the model's generation_config.json, and then the defaults below.\n"
        "With --ids the reply is greedy and exact, whatever the environment says, unless flags say otherwise.",
    .examples = "whisperengine run -m http://localhost:8000/v1 -p 'What is the capital of France?'\n"
                "whisperengine run -p 'What is the capital of France?' --temp 0\n"
                "whisperengine run -m ORG/NAME -p - --max-tokens 100 < letter.txt\n"
                "whisperengine run -m ./model --ids '[1, 2, 3]' --max-tokens 16 --json",
    .run = run_command,
};
