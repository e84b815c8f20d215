/* Which model a conversation goes on with: those on this machine, and those of the endpoint that answers. */
#include "chat.h"

#include "input.h"
#include "layout.h"
#include "terminal.h"

#include "client/models.h"
#include "config/profiles.h"

enum { LABEL = 14 };

void we_chat_report(struct we_chat *chat, const struct we_error *error)
{
    chat->failed = true;
    we_fail(chat->args->command, error);
}

static bool print_name(void *context, const struct we_store_entry *entry)
{
    (void)context;
    return !entry->complete || we_out_printf("  %s\n", entry->name);
}

/* The address of the endpoint that answers now, as it was configured: that may hold a password, which the shown one lacks. */
static const char *present_address(const struct we_chat *chat, struct we_arena *arena)
{
    const char *shown = we_model_info(chat->model)->endpoint,
               *configured = we_settings_text(chat->args->settings, WE_SETTING_MODEL);
    struct we_str address, name;
    if (configured == NULL || !we_is_address(configured) || !we_address_same_server(configured, shown))
        return shown;
    we_address_split(configured, &address, &name);
    return we_arena_copy(arena, address);
}

we_status we_chat_endpoint_models(const struct we_chat *chat, we_name_fn *visit, void *context, struct we_error *error)
{
    static const double PATIENCE = 5; /* seconds: a list is not worth more */
    struct we_arena arena = {0};
    struct we_model_options options;
    const char *address = present_address(chat, &arena);
    we_model_options_init(&options);
    we_settings_model_options(chat->args->settings, &options);
    we_settings_endpoint_options(chat->args->settings, address ? address : "", &options);
    options.connection_timeout = options.request_timeout = PATIENCE;
    we_status status = address ? we_endpoint_models(address, &options, visit, context, error)
                               : we_error_set(error, WE_OUT_OF_MEMORY, "out of memory for an address");
    we_arena_free(&arena);
    return status;
}

static bool print_remote_name(void *context, const char *name)
{
    struct we_buf line = {0};
    ++*(size_t *)context;
    we_buf_printf(&line, "  #%s\n", name);
    bool ok = !line.failed && we_out_stream(line.data, line.length); /* a server may call it anything */
    we_buf_free(&line);
    return ok;
}

/* "#NAME": another model of the endpoint that answers now. */
static bool open_model(struct we_chat *chat, const char *name)
{
    struct we_arena arena = {0};
    struct we_buf whole = {0};
    if (name[0] != '#' || we_model_info(chat->model)->endpoint == NULL)
        return we_chat_open_model(chat, name);
    const char *address = present_address(chat, &arena);
    we_buf_printf(&whole, "%s%s", address ? address : "", name);
    bool ok = address && !whole.failed && we_chat_open_model(chat, whole.data);
    we_buf_free(&whole);
    we_arena_free(&arena);
    return ok;
}

void we_chat_model(struct we_chat *chat, const char *argument)
{
    if (argument) {
        if (open_model(chat, argument)) {
            const struct we_model_info *info = we_model_info(chat->model);
            we_chat_note("The conversation goes on with %s.", we_model_short_name(info->path));
        }
        return;
    }
    const struct we_model_info *info = we_model_info(chat->model);
    struct we_error error;
    size_t count = 0;
    char text[32];
    we_print_fact(LABEL, "model", "%s", we_model_short_name(info->path));
    if (info->endpoint) {
        we_print_fact(LABEL, "endpoint", "%s", info->endpoint);
        we_out_c("\nModels that are there:\n");
        if (we_chat_endpoint_models(chat, print_remote_name, &count, &error) != WE_OK)
            we_chat_report(chat, &error);
        else if (count == 0)
            we_out_c("  it does not list them\n");
    } else {
        we_print_fact(LABEL, "path", "%s", info->path);
        we_print_fact(LABEL, "parameters", "%s", we_format_count(info->num_parameters, text, sizeof text));
        we_print_fact(LABEL, "weights", "%s", we_format_bytes(info->weight_bytes, text, sizeof text));
        we_print_fact(LABEL, "context", "%s positions", we_format_grouped(info->context_length, text, sizeof text));
        we_print_fact(LABEL, "device", "%s", info->device);
    }
    we_out_c("\nModels that are here:\n");
    if (we_store_list(we_settings_text(chat->args->settings, WE_SETTING_MODELS_DIR), print_name, NULL, &error) != WE_OK)
        we_chat_report(chat, &error);
}
