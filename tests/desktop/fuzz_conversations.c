/* Any bytes as a file to import: an error with a message, or conversations that the store takes, gives back, and takes again
 * alike. */
#include "conversations_store.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct we_arena arena = {0};
    struct we_imported *list;
    size_t count;
    struct we_error error = {0};
    we_status status = we_import_parse(we_str((const char *)data, size), "f.json", &arena, &list, &count, &error);
    must(status == WE_OK || (error.message[0] && count == 0));
    for (size_t i = 0; i < count; i++) {
        size_t shown = 0, places = 0;
        for (size_t j = 0; j < list[i].num_messages; j++) {
            const struct we_message *m = &list[i].messages[j].message;
            must(m->role && m->text && m->parent >= 0 && m->parent <= (int64_t)j);
            shown += list[i].messages[j].shown;
            bool first_child = true;
            for (size_t k = 0; k < j && first_child; k++)
                first_child = list[i].messages[k].message.parent != m->parent;
            places += first_child;
        }
        must(shown == places);
    }
    we_arena_free(&arena);
    /* The store takes long for an execution of a fuzzer: it is given few. */
    static unsigned turn;
    if (status == WE_OK && turn++ % 16 == 0) {
        struct we_conversations *store;
        struct we_import result;
        struct we_buf json = {0};
        must(we_conversations_open(NULL, &store, &error) == WE_OK);
        must(we_conversations_import(store, we_str((const char *)data, size), NULL, NULL, NULL, &result, &error) == WE_OK);
        must(result.num_conversations == count);
        must(we_conversations_export_json(store, NULL, 0, &json, &error) == WE_OK);
        must(we_conversations_import(store, we_buf_str(&json), NULL, NULL, NULL, &result, &error) == WE_OK);
        must(result.num_conversations == count);
        must(we_conversations_check(store, &error) == WE_OK);
        we_buf_free(&json);
        we_conversations_close(store);
    }
    return 0;
}
