#include "config/profiles.h"

#include <strings.h>

static const char *const names[WE_NUM_PROFILES] = {"mlx", "local", "ollama", "remote"};
static const enum we_setting_id memories[WE_NUM_PROFILES] = {WE_SETTING_MODEL, WE_SETTING_LM_STUDIO_URL, WE_SETTING_OLLAMA_URL,
                                                             WE_SETTING_REMOTE_URL};

const char *we_profile_name(enum we_profile profile)
{
    return names[profile];
}

bool we_profile_by_name(const char *name, enum we_profile *profile)
{
    for (int i = 0; i < WE_NUM_PROFILES; i++)
        if (strcmp(name, names[i]) == 0) {
            *profile = (enum we_profile)i;
            return true;
        }
    return false;
}

bool we_is_address(const char *text)
{
    return strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
}

void we_address_split(const char *text, struct we_str *address, struct we_str *name)
{
    *address = we_str(text, strcspn(text, "#"));
    *name = we_str_c(text + address->length + (text[address->length] == '#'));
    while (address->length && address->data[address->length - 1] == '/')
        address->length--;
}

/* Its scheme, with what separates it, and its host and port; who logs in is not of the server. */
static void split_server(const char *address, struct we_str *scheme, struct we_str *host)
{
    const char *slashes = strstr(address, "://");
    *scheme = we_str(address, slashes ? (size_t)(slashes - address) + 3 : 0);
    const char *begin = address + scheme->length;
    size_t length = strcspn(begin, "/?#"), at = length;
    while (at && begin[at - 1] != '@')
        at--;
    *host = we_str(begin + at, length - at);
}

static bool same_text(struct we_str a, struct we_str b)
{
    return a.length == b.length && strncasecmp(a.data, b.data, a.length) == 0;
}

bool we_address_same_server(const char *a, const char *b)
{
    struct we_str schemes[2], hosts[2];
    split_server(a, &schemes[0], &hosts[0]);
    split_server(b, &schemes[1], &hosts[1]);
    return same_text(schemes[0], schemes[1]) && same_text(hosts[0], hosts[1]);
}

enum we_profile we_profile_of(const struct we_settings *settings, const char *model)
{
    if (!we_is_address(model))
        return WE_PROFILE_MLX;
    for (int i = WE_PROFILE_LOCAL; i <= WE_PROFILE_OLLAMA; i++)
        if (we_address_same_server(model, we_settings_text(settings, memories[i])))
            return (enum we_profile)i;
    return WE_PROFILE_REMOTE;
}

/* "ADDRESS#NAME"; the name may be empty. */
static const char *join(struct we_str address, struct we_str name, struct we_arena *arena)
{
    struct we_buf text = {0};
    we_buf_append(&text, address);
    if (name.length)
        we_buf_append_byte(&text, '#');
    we_buf_append(&text, name);
    const char *copy = text.failed ? NULL : we_arena_copy(arena, we_buf_str(&text));
    we_buf_free(&text);
    return copy;
}

/* An address of .env with the model that LLM_CHAT_MODEL names there, unless it names one itself. */
static const char *with_model(const struct we_settings *settings, const char *url, struct we_arena *arena)
{
    struct we_str address, name;
    we_address_split(url, &address, &name);
    const char *model = we_settings_in_file(settings, "LLM_CHAT_MODEL");
    return join(address, name.length || model == NULL ? name : we_str_c(model), arena);
}

static const char *without_scheme(const char *model)
{
    return strncmp(model, "mlx://", 6) == 0 ? model + 6 : model;
}

const char *we_profile_model(const struct we_settings *settings, enum we_profile profile, struct we_arena *arena)
{
    const char *url = we_settings_in_file(settings, "LLM_CHAT_API_URL");
    bool is_now = url && we_profile_of(settings, url) == profile;
    if (profile != WE_PROFILE_MLX)
        return is_now ? with_model(settings, url, arena) : we_settings_text(settings, memories[profile]);
    if (is_now && without_scheme(url)[0])
        return without_scheme(url);
    const char *name = we_settings_in_file(settings, "MLX_MODEL_NAME");
    if (name == NULL && (url == NULL || is_now))
        name = we_settings_in_file(settings, "LLM_CHAT_MODEL");
    return name;
}

struct changes {
    struct we_env_change *list;
    size_t count;
};

static void set(struct changes *changes, const char *name, const char *value)
{
    for (size_t i = 0; i < changes->count; i++)
        if (strcmp(changes->list[i].name, name) == 0) {
            changes->list[i].value = value;
            return;
        }
    changes->list[changes->count++] = (struct we_env_change){name, value};
}

/* Where a profile's endpoint is remembered. */
static const char *memory_of(enum we_profile profile)
{
    return we_setting_row(memories[profile])->environment[0];
}

bool we_profile_changes(const struct we_settings *settings, const char *model, struct we_arena *arena,
                        struct we_env_change changes[WE_PROFILE_MOST_CHANGES], size_t *count)
{
    struct changes c = {changes, 0};
    enum we_profile to = we_profile_of(settings, model);
    const char *url = we_settings_in_file(settings, "LLM_CHAT_API_URL");
    bool has_name = we_settings_in_file(settings, "LLM_CHAT_MODEL") != NULL;
    if (url && we_profile_of(settings, url) != to) {
        enum we_profile from = we_profile_of(settings, url);
        const char *old = from == WE_PROFILE_MLX ? without_scheme(url) : with_model(settings, url, arena);
        if (old == NULL)
            return false;
        if (from == WE_PROFILE_MLX && old[0])
            set(&c, "MLX_MODEL_NAME", old);
        else if (from != WE_PROFILE_MLX &&
                 strcmp(old, we_settings_text(settings, memories[from]) ? we_settings_text(settings, memories[from]) : "") != 0)
            set(&c, memory_of(from), old);
    }
    if (to == WE_PROFILE_MLX) {
        struct we_buf text = {0};
        we_buf_printf(&text, "mlx://%s", model);
        const char *value = text.failed ? NULL : we_arena_copy(arena, we_buf_str(&text));
        we_buf_free(&text);
        if (value == NULL)
            return false;
        set(&c, "LLM_CHAT_API_URL", value);
        set(&c, "MLX_MODEL_NAME", model);
        if (has_name)
            set(&c, "LLM_CHAT_MODEL", model);
    } else {
        struct we_str address, name;
        we_address_split(model, &address, &name);
        const char *plain = we_arena_copy(arena, address), *its_model = we_arena_copy(arena, name);
        const char *whole = join(address, name, arena);
        if (plain == NULL || its_model == NULL || whole == NULL)
            return false;
        set(&c, "LLM_CHAT_API_URL", plain);
        if (name.length || has_name)
            set(&c, "LLM_CHAT_MODEL", its_model);
        if (to == WE_PROFILE_REMOTE)
            set(&c, memory_of(to), whole);
    }
    *count = c.count;
    return true;
}
