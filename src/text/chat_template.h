/* The chat template of a model directory: from messages to a prompt, as transformers' apply_chat_template does it. */
#ifndef WE_TEXT_CHAT_TEMPLATE_H
#define WE_TEXT_CHAT_TEMPLATE_H

#include "text/jinja.h"

struct we_chat_template; /* opaque; immutable, may be shared by threads */

/* Source: chat_template.jinja, then chat_template.json, then `chat_template` of tokenizer_config.json (a string, or a
 * list of named ones: "default", and "tool_use" for requests with tools). bos_token, eos_token and the other special
 * tokens of tokenizer_config.json become variables. WE_NOT_FOUND if the directory has no template. */
we_status we_chat_template_open(const char *directory, struct we_chat_template **chat_template, struct we_error *error);
/* From a Jinja source. The special tokens are those of `directory`, unless it is NULL. */
we_status we_chat_template_parse(struct we_str source, const char *name, const char *directory,
                                 struct we_chat_template **chat_template, struct we_error *error);
void we_chat_template_close(struct we_chat_template *chat_template);

/* `request`: JSON text of an object with `messages`, and maybe `tools`, `documents`, `add_generation_prompt` (default
 * true), `continue_final_message`, and any other variable. Appends the prompt to `out`. */
we_status we_chat_template_render(const struct we_chat_template *chat_template, struct we_str request, struct we_buf *out,
                                  struct we_error *error);

#endif
