/* Any bytes as the stream of an endpoint, cut where the first byte says: events, chunks, lists and errors, in bounded memory,
 * and the same events however they are cut. */
#include "remote/chunk.h"
#include "remote/sse.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool take(void *context, struct we_str event)
{
    struct we_buf *all = context;
    struct we_arena arena = {0};
    struct we_chunk chunk;
    struct we_error error = {0};
    if (we_chunk_parse(event, &arena, &chunk, &error) != WE_OK) {
        if (error.message[0] == '\0')
            abort();
    } else if (chunk.cached_tokens > chunk.prompt_tokens || (chunk.text.length && chunk.text.data == NULL) ||
               we_utf8_valid_prefix(chunk.text) != chunk.text.length) {
        abort();
    }
    we_arena_free(&arena);
    we_buf_append_byte(all, '<');
    return we_buf_append(all, event);
}

static void read_stream(struct we_str stream, size_t piece, struct we_buf *all)
{
    struct we_sse sse = {0};
    for (size_t at = 0; at < stream.length; at += piece)
        if (we_sse_feed(&sse, we_str(stream.data + at, stream.length - at < piece ? stream.length - at : piece), take, all) !=
            WE_SSE_GOES_ON)
            abort();
    we_sse_finish(&sse, take, all);
    we_sse_free(&sse);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct we_str stream = we_str((const char *)data + 1, size - 1);
    struct we_buf whole = {0}, pieces = {0};
    struct we_arena arena = {0};
    const char **names;
    size_t count;
    read_stream(stream, size, &whole);
    read_stream(stream, data[0] % 16 + 1u, &pieces);
    if (!we_str_equal(we_buf_str(&whole), we_buf_str(&pieces)))
        abort();
    if (we_models_parse(stream, &arena, &names, &count))
        for (size_t i = 0; i < count; i++)
            if (names[i][0] == '\0')
                abort();
    struct we_str problem = we_problem_parse(stream, &arena);
    if (we_utf8_valid_prefix(problem) != problem.length)
        abort();
    we_arena_free(&arena);
    we_buf_free(&whole);
    we_buf_free(&pieces);
    return 0;
}
