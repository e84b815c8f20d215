#include "client/hub_token.h"

#include "base/fs.h"

#include <stdlib.h>
#include <string.h>

static char *read_token_file(const char *path)
{
    enum { LONGEST = 4096 };
    struct we_buf text = {0};
    if (we_file_read(path, LONGEST, &text, NULL) != WE_OK) {
        we_buf_free(&text);
        return NULL;
    }
    while (text.length && strchr(" \t\r\n", text.data[text.length - 1]))
        text.data[--text.length] = '\0';
    return we_buf_take(&text);
}

/* Where the Hub's own tools keep the token of someone who logged in. */
static char *saved_token(void)
{
    struct we_arena arena = {0};
    const char *direct = getenv("HF_TOKEN_PATH"), *hf = getenv("HF_HOME"), *cache = getenv("XDG_CACHE_HOME"),
               *home = getenv("HOME");
    const char *path = NULL;
    if (direct && direct[0])
        path = direct;
    else if (hf && hf[0])
        path = we_path_join(&arena, hf, "token");
    else if (cache && cache[0] == '/')
        path = we_path_join(&arena, cache, "huggingface/token");
    else if (home && home[0])
        path = we_path_join(&arena, home, ".cache/huggingface/token");
    char *token = path ? read_token_file(path) : NULL;
    we_arena_free(&arena);
    return token;
}

/* A .env file that someone else wrote may name any endpoint: only a token that stands in it too is sent there. */
char *we_hub_token(const struct we_settings *settings)
{
    bool foreign = we_settings_source(settings, WE_SETTING_HF_ENDPOINT) == WE_SOURCE_FILE;
    enum we_source source = we_settings_source(settings, WE_SETTING_HF_TOKEN);
    const char *token = we_settings_text(settings, WE_SETTING_HF_TOKEN);
    if (token && (!foreign || source == WE_SOURCE_FILE))
        return strdup(token);
    return foreign ? NULL : saved_token();
}
