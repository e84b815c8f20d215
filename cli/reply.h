/* A reply on standard output, as it comes: what run and chat have in common. */
#ifndef WE_CLI_REPLY_H
#define WE_CLI_REPLY_H

#include <stdbool.h>
#include <stddef.h>

/* What the commands that generate take, and what of it is not built. */
#define WE_TAKES_REPLY (WE_TAKES_STORE | WE_TAKES_ENDPOINT | WE_TAKES_DEVICE | WE_TAKES_SAMPLING | WE_TAKES_SYSTEM_PROMPT)
#define WE_UNBUILT_REPLY                                                                                                       \
    " --kv-bits --kv-group-size --quantized-kv-start --max-kv-size --draft-model --num-draft-tokens --prompt-cache-file "

/* Starts as {0}. */
struct we_printed {
    bool any, ended_with_newline;
};
/* For we_request.on_text, with `context` a struct we_printed. Ends the spinner. False: nobody reads. */
bool we_reply_print(void *context, const char *text, size_t length);
/* Ends the spinner and the line; false: nobody reads. */
bool we_reply_end(const struct we_printed *printed);

#endif
