#include "client/messages.h"

#include "base/json.h"

#include <math.h>
#include <stdlib.h>

static void write_message(struct we_buf *out, const char *role, struct we_str content)
{
    we_buf_printf(out, "{\"role\": \"%s\", \"content\": ", role);
    we_json_write_string(out, content, false);
    we_buf_append_byte(out, '}');
}

/* Copies the members of an object as they are written. */
static we_status write_variables(struct we_buf *out, const char *config, struct we_error *error)
{
    struct we_json_reader reader;
    struct we_str key;
    we_json_reader_init(&reader, we_str_c(config), "--chat-template-config", error);
    bool ok = we_json_enter_object(&reader);
    while (ok && we_json_next_key(&reader, &key)) {
        if (we_str_equal_c(key, "messages")) {
            we_json_fail(&reader, "the messages are made of the prompt; 'messages' cannot be set here");
            break;
        }
        we_buf_append_c(out, ", ");
        we_json_write_string(out, key, false);
        we_buf_append_c(out, ": ");
        size_t start = reader.at;
        ok = we_json_skip(&reader);
        we_buf_append(out, we_str(config + start, reader.at - start));
    }
    we_status status = we_json_finish(&reader);
    we_json_reader_free(&reader);
    return status;
}

we_status we_messages_write(struct we_buf *out, const char *system_prompt, struct we_str user, const char *config,
                            struct we_error *error)
{
    we_buf_append_c(out, "{\"messages\": [");
    if (system_prompt) {
        write_message(out, "system", we_str_c(system_prompt));
        we_buf_append_c(out, ", ");
    }
    write_message(out, "user", user);
    we_buf_append_byte(out, ']');
    we_status status = config ? write_variables(out, config, error) : WE_OK;
    we_buf_append_byte(out, '}');
    return status == WE_OK && out->failed ? we_error_memory(error, "the prompt") : status;
}

/* A key such as "123" as a token id. */
static bool parse_token(struct we_str text, uint32_t *token)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.data[i] - '0');
        if (value > UINT32_MAX)
            return false;
    }
    *token = (uint32_t)value;
    return text.length > 0;
}

we_status we_parse_logit_bias(const char *json, struct we_logit_bias **bias, size_t *count, struct we_error *error)
{
    struct we_json_reader reader;
    struct we_str key;
    size_t capacity = 0;
    *bias = NULL;
    *count = 0;
    we_json_reader_init(&reader, we_str_c(json), "--logit-bias", error);
    bool ok = we_json_enter_object(&reader);
    while (ok && we_json_next_key(&reader, &key)) {
        struct we_logit_bias entry;
        double value;
        if (!parse_token(key, &entry.token)) {
            we_json_fail(&reader, "a token id was expected as the key, not \"%.*s\"", WE_STR_ARG(key));
            break;
        }
        if (!we_json_read_double(&reader, &value))
            break;
        if (isnan(value)) {
            we_json_fail(&reader, "a bias cannot be NaN");
            break;
        }
        entry.bias = (float)value;
        if (*count == capacity) {
            capacity = capacity ? capacity * 2 : 8;
            struct we_logit_bias *more = realloc(*bias, capacity * sizeof *more);
            if (more == NULL) {
                reader.status = we_error_memory(error, "--logit-bias");
                break;
            }
            *bias = more;
        }
        (*bias)[(*count)++] = entry;
    }
    we_status status = we_json_finish(&reader);
    we_json_reader_free(&reader);
    if (status != WE_OK) {
        free(*bias);
        *bias = NULL;
        *count = 0;
    }
    return status;
}
