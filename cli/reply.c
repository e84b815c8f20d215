#include "reply.h"

#include "progress.h"
#include "terminal.h"

bool we_reply_print(void *context, const char *text, size_t length)
{
    struct we_printed *printed = context;
    we_spinner_stop();
    if (length) {
        printed->any = true;
        printed->ended_with_newline = text[length - 1] == '\n';
    }
    return we_out_stream(text, length);
}

bool we_reply_end(const struct we_printed *printed)
{
    we_spinner_stop();
    if (printed->any && !printed->ended_with_newline)
        we_out_c("\n");
    return we_out_flush();
}
