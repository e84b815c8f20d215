/* render: the prompt that a chat template makes of messages. */
#include "args.h"
#include "input.h"
#include "terminal.h"

#include <stdlib.h>

static const struct we_option options[] = {
    {"--template", NULL, "FILE", "a Jinja file in place of the model's template; -m may then be left out", WE_VALUE_FILE},
};

static int run_command(const struct we_args *args)
{
    struct we_error error;
    struct we_buf request = {0};
    char *path = NULL, *text = NULL;
    size_t length = 0;
    const char *template_file = we_args_text(args, "--template");
    int status = WE_EXIT_OK;
    if (template_file == NULL || we_settings_source(args->settings, WE_SETTING_MODEL) == WE_SOURCE_FLAG)
        status = we_find_model(args, NULL, &path);
    if (status == WE_EXIT_OK) {
        we_status work = we_read_input(&request, &error);
        if (work == WE_OK && memchr(request.data, '\0', request.length))
            work = we_error_set(&error, WE_INVALID_FORMAT, "standard input: a NUL byte, where JSON was expected");
        if (work == WE_OK)
            work = we_render(path, template_file, request.data, &text, &length, &error);
        if (work == WE_OK)
            we_out(text, length);
        else
            status = we_fail(args->command, &error);
    }
    free(text);
    free(path);
    we_buf_free(&request);
    return status;
}

const struct we_command we_command_render = {
    .name = "render",
    .summary = "the prompt that the chat template makes of messages",
    .synopsis = "[-m MODEL] [--template FILE] < REQUEST.json",
    .options = options,
    .num_options = sizeof options / sizeof *options,
    .settings = WE_TAKES_STORE,
    .details = "Reads an object with \"messages\", which may also have \"tools\", \"add_generation_prompt\" (true if absent) and any other "
               "variable that the template reads. Prints exactly the bytes of the prompt.",
    .examples = "echo '{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}' | whisperengine render -m ORG/NAME",
    .run = run_command,
};
