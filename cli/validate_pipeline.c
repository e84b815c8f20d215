/* A reply from end to end, through the profile that is configured: as `run` asks for it. */
#include "validate.h"

#include "input.h"

#include "client/fallback.h"
#include "client/messages.h"
#include "config/profiles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char GROUP[] = "pipeline";
static const char QUESTION[] = "What is the capital of France?";
enum { MOST_TOKENS = 24, LONGEST_WAIT = 60, SHORT_WAIT = 2 /* seconds */ };

/* A text of a model, short enough for a line. */
static const char *shortened(struct we_validation *v, const struct we_result *result)
{
    enum { MOST = 60 };
    size_t length = result->text_length > MOST ? MOST : result->text_length;
    length = we_utf8_valid_prefix(we_str(result->text, length));
    char *text = we_arena_copy(&v->arena, we_str(result->text, length));
    for (char *p = text; p && *p; p++)
        *p = *p == '\n' ? ' ' : *p;
    return text ? text : "";
}

static const char *shown(struct we_validation *v, const char *address)
{
    struct we_buf buf = {0};
    we_show_address(address, &buf);
    const char *text = buf.failed ? "" : we_validation_text(v, "%s", buf.data);
    we_buf_free(&buf);
    return text;
}

static struct we_model_options options_for(struct we_validation *v, const char *name)
{
    struct we_model_options options;
    we_model_options_init(&options);
    we_settings_model_options(v->args->settings, &options);
    we_settings_endpoint_options(v->args->settings, name, &options);
    options.max_sequences = 1;
    if (!(options.request_timeout > 0) || options.request_timeout > LONGEST_WAIT)
        options.request_timeout = LONGEST_WAIT; /* a check that never ends is none */
    if (!(options.connection_timeout > 0) || options.connection_timeout > LONGEST_WAIT)
        options.connection_timeout = 10;
    return options;
}

static const char *retry(struct we_validation *v, const char *name)
{
    return we_validation_text(v, "whisperengine run -m '%s' -p Hello", shown(v, name));
}

/* ---- a reply ---- */

/* With the settings of .env, but no longer than it takes to see that it works. A model without a template continues a text. */
static void ask(struct we_validation *v, struct we_model *model, const char *name, const char *instead_of)
{
    const struct we_model_info *info = we_model_info(model);
    struct we_request request;
    struct we_result result = {0};
    struct we_error error;
    struct we_buf messages = {0};
    char *system_prompt = NULL;
    we_request_init(&request, model);
    we_settings_request(v->args->settings, &request);
    request.max_tokens = request.max_tokens < MOST_TOKENS ? request.max_tokens : MOST_TOKENS;
    we_status status = we_settings_system_prompt(v->args->settings, &system_prompt, &error);
    if (status == WE_OK)
        status = we_messages_write(&messages, system_prompt, we_str_c(QUESTION), NULL, &error);
    request.messages = messages.data;
    if (status == WE_OK)
        status = we_generate(model, &request, &result, &error);
    bool plain = false;
    if (status == WE_UNSUPPORTED && info->endpoint == NULL && info->has_tokenizer) {
        we_result_clear(&result);
        plain = true;
        request.messages = NULL;
        request.text = QUESTION;
        status = we_generate(model, &request, &result, &error);
    }
    if (status != WE_OK)
        we_validation_check(v, GROUP, WE_CHECK_FAILED, "reply", retry(v, name), "%s", error.message);
    else if (result.text_length == 0 && result.generation_tokens == 0)
        we_validation_check(v, GROUP, WE_CHECK_WARNING, "reply", retry(v, name), "%s gave an empty reply to \"%s\"", info->path,
                            QUESTION);
    else
        we_validation_check(
            v, GROUP, instead_of || plain ? WE_CHECK_WARNING : WE_CHECK_PASSED, "reply",
            instead_of ? retry(v, name)
            : plain    ? "whisperengine help run"
                       : NULL,
            "%s%s\"%s\" after %.2f s%s", instead_of ? instead_of : "",
            plain ? "it has no chat template, so it continues the question: " : "", shortened(v, &result),
            result.time_to_first_token,
            info->endpoint && result.generation_seconds > 0 && result.generation_tokens > 1
                ? we_validation_text(v, ", %.1f tokens/s", (result.generation_tokens - 1) / result.generation_seconds)
                : "");
    we_result_clear(&result);
    we_buf_free(&messages);
    free(system_prompt);
}

/* ---- models on this machine ---- */

static bool fall_back(struct we_validation *v, const char *name, const struct we_error *why)
{
    struct we_model_options options = options_for(v, name);
    struct we_model *model;
    for (size_t i = 0; i < we_fallback_count(); i++)
        if (we_fallback_open(v->args->settings, i, &options, &model)) {
            const char *text = we_validation_text(v, "%s cannot be used (%.*s)\n%s answers in its place: ", name,
                                                  (int)strcspn(why->message, "\n"), why->message, we_fallback_name(i));
            ask(v, model, we_model_info(model)->path, text);
            we_model_close(model);
            return true;
        }
    return false;
}

static void ask_here(struct we_validation *v, const char *name)
{
    struct we_model_options options = options_for(v, name);
    struct we_model *model = NULL;
    struct we_error error;
    if (we_model_open(name, &options, &model, &error) == WE_OK) {
        if (we_model_info(model)->has_tokenizer)
            ask(v, model, name, NULL);
        else
            we_validation_check(v, GROUP, WE_CHECK_FAILED, "reply", retry(v, name),
                                "%s has no tokenizer, so it answers no text", we_model_info(model)->path);
        we_model_close(model);
    } else if (!we_args_may_fall_back(v->args, name) || !fall_back(v, name, &error)) {
        we_validation_check(v, GROUP, WE_CHECK_FAILED, "reply", retry(v, name), "%s%s", error.message,
                            we_args_may_fall_back(v->args, name) ? "\nand nobody answers in its place" : "");
    }
}

/* The models of an endpoint. */
struct names {
    struct we_validation *v;
    const char *wanted, *nearest;
    size_t count, distance;
    bool found;
};

static bool take_name(void *context, const char *name)
{
    struct names *names = context;
    names->count++;
    if (names->wanted == NULL)
        return true;
    size_t distance = we_str_distance(we_str_c(name), we_str_c(names->wanted));
    names->found |= strcmp(name, names->wanted) == 0;
    if (names->nearest == NULL || distance < names->distance) {
        names->distance = distance;
        names->nearest = we_validation_text(names->v, "%s", name);
    }
    return true;
}

/* Who would stand in. Nobody is a fault only where nothing else answers. */
static void check_chain(struct we_validation *v, const char *name)
{
    if (!we_args_may_fall_back(v->args, name)) {
        we_validation_check(v, GROUP, WE_CHECK_SKIPPED, "fallback", NULL, "nobody stands in for a model that %s",
                            we_settings_integer(v->args->settings, WE_SETTING_FALLBACK) ? "is named on the command line"
                                                                                        : "fails (WHISPERENGINE_FALLBACK=0)");
        return;
    }
    for (size_t i = 0; i < we_fallback_count(); i++) {
        const char *address = we_fallback_address(v->args->settings, i);
        struct we_model_options options = options_for(v, address);
        struct names names = {.v = v};
        struct we_error ignored;
        options.connection_timeout = fmin(options.connection_timeout, SHORT_WAIT);
        options.request_timeout = fmin(options.request_timeout, 5 * SHORT_WAIT);
        if (we_endpoint_models(address, &options, take_name, &names, &ignored) == WE_OK)
            we_validation_check(v, GROUP, WE_CHECK_PASSED, "fallback", NULL, "%s at %s would stand in, with %zu %s",
                                we_fallback_name(i), shown(v, address), names.count, names.count == 1 ? "model" : "models");
        else
            we_validation_check(v, GROUP, WE_CHECK_SKIPPED, "fallback", NULL,
                                "%s at %s does not answer, so it would not stand in", we_fallback_name(i), shown(v, address));
    }
}

/* ---- endpoints ---- */

static void ask_endpoint(struct we_validation *v, const char *name)
{
    struct we_model_options options = options_for(v, name);
    struct we_model *model = NULL;
    struct we_error error;
    struct we_str address, part;
    we_address_split(name, &address, &part);
    const char *plain = we_validation_text(v, "%.*s", (int)address.length, address.data);
    struct names names = {.v = v, .wanted = part.length ? part.data : options.remote_model};
    we_status status = we_endpoint_models(plain, &options, take_name, &names, &error);
    if (status != WE_OK) {
        we_validation_check(v, GROUP, WE_CHECK_FAILED, "endpoint",
                            we_validation_text(v, "curl -sS '%s/models'", shown(v, plain)), "%s", error.message);
        return;
    }
    we_validation_check(v, GROUP, WE_CHECK_PASSED, "endpoint", NULL, "%s answers; it has %zu %s", shown(v, plain), names.count,
                        names.count == 1 ? "model" : "models");
    if (we_model_open(name, &options, &model, &error) != WE_OK) {
        we_validation_check(v, GROUP, WE_CHECK_FAILED, "model",
                            we_validation_text(v, "whisperengine use '%s'", shown(v, plain)), "%s", error.message);
        return;
    }
    const char *chosen = strchr(we_model_info(model)->path, '#');
    if (names.wanted && names.nearest && !names.found) /* it may answer to more names than it lists: the reply will tell */
        we_validation_check(v, GROUP, WE_CHECK_WARNING, "model",
                            we_validation_text(v, "whisperengine use '%s#%s'", shown(v, plain), names.nearest),
                            "%s is not among the models that %s lists; did you mean %s?", names.wanted, shown(v, plain),
                            names.nearest);
    else
        we_validation_check(v, GROUP, WE_CHECK_PASSED, "model", NULL, "%s", chosen ? chosen + 1 : "the endpoint chooses it");
    ask(v, model, name, NULL);
    we_model_close(model);
}

void we_validate_pipeline(struct we_validation *v, const char *name)
{
    const enum we_profile profile = we_profile_of(v->args->settings, name);
    we_validation_check(v, GROUP, WE_CHECK_PASSED, "profile", NULL, "%s: %s (%s)", we_profile_name(profile), shown(v, name),
                        we_settings_origin(v->args->settings, WE_SETTING_MODEL));
    if (we_is_address(name)) {
        ask_endpoint(v, name);
        return;
    }
    ask_here(v, name);
    check_chain(v, name);
}
