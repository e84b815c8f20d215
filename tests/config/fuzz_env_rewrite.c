/* Any bytes as a .env file and any value: what is rewritten reads as that value, and every byte outside its place is as it was.
 * The value is what comes before the first NUL, the file what comes behind it. */
#include "config/env.h"
#include "config/env_rewrite.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The place of A in `text` is bytes from..to, or its end. */
static void check_bytes(struct we_str text, struct we_str out, const struct we_env_entry *entry)
{
    size_t from = entry ? entry->from : text.length, to = entry ? entry->to : text.length;
    size_t behind = text.length - to;
    if (out.length < from + behind || (from && memcmp(out.data, text.data, from) != 0) ||
        (behind && memcmp(out.data + out.length - behind, text.data + to, behind) != 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, '\0', size) : NULL;
    if (nul == NULL)
        return 0;
    const char *value = (const char *)data;
    struct we_str text = we_str((const char *)nul + 1, size - (size_t)(nul + 1 - data));
    struct we_env_change change = {"A", value};
    struct we_env before = {0}, after = {0};
    struct we_buf out = {0}, again = {0};
    struct we_error error = {0};
    we_status readable = we_env_parse(text, ".env", NULL, NULL, &before, &error);
    we_status status = we_env_rewrite(text, ".env", &change, 1, &out, &error);
    if (readable != WE_OK && (status == WE_OK || error.message[0] == '\0'))
        abort();
    if (readable == WE_OK && before.num_problems == 0 && status != WE_OK && size < WE_ENV_MAX_VALUE &&
        before.count < WE_ENV_MAX_ENTRIES && strstr(error.message, "longer than") == NULL) /* what refers to A may grow */
        abort();
    if (status == WE_OK) {
        if (we_env_parse(we_buf_str(&out), ".env", NULL, NULL, &after, &error) != WE_OK)
            abort();
        const struct we_env_entry *entry = we_env_get(&after, "A");
        if (entry == NULL || strcmp(entry->value, value) != 0 ||
            after.count != before.count + (we_env_get(&before, "A") == NULL))
            abort();
        check_bytes(text, we_buf_str(&out), we_env_get(&before, "A"));
        if (we_env_rewrite(we_buf_str(&out), ".env", &change, 1, &again, &error) != WE_OK ||
            !we_str_equal(we_buf_str(&out), we_buf_str(&again)))
            abort(); /* twice is as once */
    }
    we_env_free(&before);
    we_env_free(&after);
    we_buf_free(&out);
    we_buf_free(&again);
    return 0;
}
