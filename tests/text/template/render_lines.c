/* Renders templates for the scripts here that compare with transformers. Each line of standard input is a JSON object with
 * "template", and "request" (the text of a chat request) or "variables" (an object); the answer is a line with "text", or
 * with "error" and "status". */
#include "support.h"

#include "text/chat_template.h"

#include <stdio.h>
#include <stdlib.h>

static we_status render(const struct we_json *line, struct we_buf *out, struct we_error *error)
{
    struct we_str source = we_json_get(line, "template")->string;
    const struct we_json *request = we_json_get(line, "request");
    we_status status;
    if (request) {
        struct we_chat_template *chat_template;
        status = we_chat_template_parse(source, "template", NULL, &chat_template, error);
        if (status == WE_OK)
            status = we_chat_template_render(chat_template, request->string, out, error);
        we_chat_template_close(chat_template);
        return status;
    }
    struct we_jinja *jinja = NULL;
    status = we_jinja_parse(source, "template", &jinja, error);
    if (status == WE_OK)
        status = we_jinja_render(jinja, we_json_get(line, "variables"), NULL, out, error);
    we_jinja_free(jinja);
    return status;
}

static bool answer(struct we_str text)
{
    struct we_arena arena = {0};
    struct we_json *line;
    struct we_buf out = {0}, answer = {0};
    struct we_error error = {0};
    we_status status = we_json_parse(text, "a line", &arena, &line, &error);
    if (status == WE_OK && we_json_get(line, "template") == NULL)
        status = we_error_set(&error, WE_INVALID_ARGUMENT, "a line without a template");
    if (status == WE_OK)
        status = render(line, &out, &error);
    we_buf_append_c(&answer, status == WE_OK ? "{\"text\":" : "{\"error\":");
    we_json_write_string(&answer, status == WE_OK ? we_buf_str(&out) : we_str_c(error.message), true);
    we_buf_printf(&answer, ",\"status\":%d}", status);
    bool fine = !answer.failed && puts(answer.data) >= 0 && fflush(stdout) == 0;
    we_buf_free(&out);
    we_buf_free(&answer);
    we_arena_free(&arena);
    return fine;
}

int main(void)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    bool fine = true;
    set_clock(1767323045);
    while (fine && (length = getline(&line, &size, stdin)) > 0)
        fine = answer(we_str(line, (size_t)length));
    free(line);
    return fine ? 0 : 1;
}
