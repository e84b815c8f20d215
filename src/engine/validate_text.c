/* The tokenizer, the chat template and the end tokens of a model directory. */
#include "engine/validate.h"

#include "base/fs.h"

/* ---- tokenizer ---- */

static bool exists(struct we_validator *v, const char *name)
{
    const char *path = we_path_join(&v->arena, v->path, name);
    return path && we_path_exists(path);
}

static uint32_t vocab_size(const struct we_validator *v)
{
    uint32_t size = v->described ? v->decoder.vocab_size : 0;
    if (size == 0 && v->config.json)
        (void)we_config_u32(&v->config, "vocab_size", &size, NULL);
    return size;
}

static bool open_tokenizer(struct we_validator *v)
{
    struct we_error error;
    if (we_is_broken(v, "tokenizer.json")) {
        we_check(v, WE_CHECK_SKIPPED, "tokenizer", NULL, "not looked at: tokenizer.json is broken");
        return false;
    }
    we_status status = we_tokenizer_open(v->path, &v->tokenizer, &error);
    if (status == WE_OK)
        return true;
    if (status == WE_NOT_FOUND)
        we_check(v, WE_CHECK_FAILED, "tokenizer", v->again,
                 "%s/tokenizer.json is missing: without it the model can continue token ids, but no text%s", v->path,
                 exists(v, "tokenizer.model") ? " (the file tokenizer.model alone is not read)" : "");
    else
        we_check_error(v, WE_CHECK_FAILED, "tokenizer", v->again, &error);
    return false;
}

/* An embedding is often padded; a tokenizer that knows far fewer tokens, or more, is that of another model. */
static void check_vocabulary(struct we_validator *v)
{
    const uint32_t size = vocab_size(v), tokens = we_tokenizer_vocab_size(v->tokenizer);
    uint32_t beyond = 0;
    for (uint32_t id = size; size && id < tokens; id++)
        beyond += we_tokenizer_token(v->tokenizer, id).length > 0 && !we_tokenizer_is_special(v->tokenizer, id);
    if (size && beyond)
        we_check(v, WE_CHECK_FAILED, "tokenizer", v->again,
                 "%s/tokenizer.json has %u tokens, but the model's vocabulary has %u (vocab_size in config.json): text would "
                 "give ids that "
                 "the model does not have; it may be the tokenizer of another model",
                 v->path, tokens, size);
    else if (size && tokens > size)
        we_check(
            v, WE_CHECK_WARNING, "tokenizer", NULL,
            "%s/tokenizer.json has special tokens up to number %u, but the model's vocabulary ends at %u: text that holds them "
            "cannot be read",
            v->path, tokens - 1, size - 1);
    else if (size && tokens < size - size / 10)
        we_check(v, WE_CHECK_WARNING, "tokenizer", v->again,
                 "%s/tokenizer.json has %u tokens, but the model's vocabulary has %u (vocab_size in config.json): it may be "
                 "the tokenizer of "
                 "another model",
                 v->path, tokens, size);
    else
        we_check(v, WE_CHECK_PASSED, "tokenizer", NULL, "%u tokens, for a vocabulary of %u", tokens, size);
}

/* The beginning and the end of a text, by which the template and the end of a reply go. */
static void check_named_tokens(struct we_validator *v)
{
    static const char *const names[] = {"bos_token", "eos_token"};
    struct we_config config;
    if (we_is_broken(v, "tokenizer_config.json") ||
        we_config_open_file(v->path, "tokenizer_config.json", &v->arena, &config, NULL) != WE_OK)
        return;
    for (size_t i = 0; i < 2; i++) {
        const struct we_json *token = we_json_get(config.json, names[i]);
        if (token && token->kind == WE_JSON_OBJECT)
            token = we_json_get(token, "content");
        if (token && token->kind == WE_JSON_STRING && token->string.length &&
            we_tokenizer_token_id(v->tokenizer, token->string) == UINT32_MAX)
            we_check(v, WE_CHECK_WARNING, "tokenizer", v->again,
                     "%s/tokenizer_config.json: %s is \"%.*s\", which tokenizer.json does not know: one of the two files is of "
                     "another "
                     "model",
                     v->path, names[i], WE_STR_ARG(token->string));
    }
}

/* ---- template ---- */

static const char ANSWER[] = "The answer is forty-two.";
static const char QUESTION[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"What is six times seven?\"}]}";
static const char EXCHANGE[] =
    "{\"messages\": [{\"role\": \"user\", \"content\": \"What is six times seven?\"}, {\"role\": \"assistant\", "
    "\"content\": \"The answer is forty-two.\"}], \"add_generation_prompt\": false}";

/* The first special token behind a reply: what should end it. */
static void find_turn_end(struct we_validator *v, struct we_str prompt)
{
    enum { NEAR = 4 };
    struct we_str answer = we_str_c(ANSWER);
    struct we_ids ids = {0};
    size_t at = SIZE_MAX;
    for (size_t next = we_str_find(prompt, answer, 0); next != SIZE_MAX; next = we_str_find(prompt, answer, next + 1))
        at = next;
    if (at == SIZE_MAX || v->tokenizer == NULL)
        return;
    struct we_str rest = we_str(prompt.data + at + answer.length, prompt.length - at - answer.length);
    if (we_tokenizer_encode(v->tokenizer, rest, false, &ids, NULL) == WE_OK)
        for (size_t i = 0; i < ids.count && i < NEAR && v->turn_end == UINT32_MAX; i++)
            if (we_tokenizer_is_special(v->tokenizer, ids.data[i]))
                v->turn_end = ids.data[i];
    we_ids_free(&ids);
}

static bool render(struct we_validator *v, const char *request, struct we_buf *prompt, struct we_error *error)
{
    return we_chat_template_render(v->chat_template, we_str_c(request), prompt, error) == WE_OK;
}

static bool check_template(struct we_validator *v)
{
    static const char hint[] = "whisperengine run --ignore-chat-template -p 'Once upon a time' -m";
    struct we_error error;
    struct we_buf prompt = {0}, exchange = {0};
    if (we_is_broken(v, "tokenizer_config.json") || we_is_broken(v, "chat_template.jinja") ||
        we_is_broken(v, "chat_template.json")) {
        we_check(v, WE_CHECK_SKIPPED, "template", NULL, "not looked at: the file that holds it is broken");
        return false;
    }
    we_status status = we_chat_template_open(v->path, &v->chat_template, &error);
    if (status == WE_NOT_FOUND) {
        we_check(v, WE_CHECK_WARNING, "template", we_validator_text(v, "%s %s", hint, we_shell_word(v, v->path)),
                 "%s\nthe model continues text, but it does not chat: a base model, or a file was left out", error.message);
        return true;
    }
    if (status != WE_OK) {
        we_check_error(v, WE_CHECK_FAILED, "template", v->again, &error);
        return false;
    }
    bool fine = render(v, QUESTION, &prompt, &error);
    bool asks = fine && we_str_find(we_buf_str(&prompt), we_str_c("six times seven"), 0) != SIZE_MAX;
    bool goes_on = fine && render(v, EXCHANGE, &exchange, &error);
    if (!fine || !goes_on)
        we_check(v, WE_CHECK_FAILED, "template", v->again, "%s: its chat template does not render %s: %s", v->path,
                 fine ? "a conversation" : "a question", error.message);
    else if (!asks)
        we_check(v, WE_CHECK_FAILED, "template", v->again, "%s: its chat template leaves out what the user says", v->path);
    else
        we_check(v, WE_CHECK_PASSED, "template", NULL, "renders a question to %zu bytes, and a conversation", prompt.length);
    find_turn_end(v, we_buf_str(&exchange));
    we_buf_free(&prompt);
    we_buf_free(&exchange);
    return fine && goes_on && asks;
}

/* ---- end tokens and sampling ---- */

static const char *token_text(struct we_validator *v, uint32_t id)
{
    struct we_str token = v->tokenizer ? we_tokenizer_token(v->tokenizer, id) : we_str("", 0);
    return token.length ? we_validator_text(v, "%u (%.*s)", id, WE_STR_ARG(token)) : we_validator_text(v, "%u", id);
}

/* Which file decides, for messages. */
static const char *end_token_file(struct we_validator *v, const struct we_config *generation)
{
    if (generation->json && we_json_get(generation->json, "eos_token_id"))
        return we_validator_text(v, "%s/generation_config.json", v->path);
    if (we_json_get(v->config.json, "eos_token_id"))
        return we_validator_text(v, "%s/config.json", v->path);
    return we_validator_text(v, "%s/tokenizer_config.json", v->path);
}

static bool is_end(const struct we_model *m, uint32_t id)
{
    for (uint32_t i = 0; i < m->num_end_tokens; i++)
        if (m->end_tokens[i] == id)
            return true;
    return false;
}

static bool check_end_tokens(struct we_validator *v, const struct we_model *m, const char *file)
{
    const uint32_t size = vocab_size(v);
    struct we_buf list = {0};
    bool ordinary = false;
    for (uint32_t i = 0; i < m->num_end_tokens; i++) {
        const uint32_t id = m->end_tokens[i];
        bool unknown = v->tokenizer && we_tokenizer_token(v->tokenizer, id).length == 0;
        if (size && (id >= size || unknown)) {
            we_check(v, WE_CHECK_FAILED, "end tokens", v->again,
                     "%s: eos_token_id is %u, which %s: a reply would not end by itself", file, id,
                     id >= size ? we_validator_text(v, "is beyond the vocabulary of %u", size) : "the tokenizer does not know");
            we_buf_free(&list);
            return false;
        }
        ordinary |= v->tokenizer && !we_tokenizer_is_special(v->tokenizer, id);
        we_buf_printf(&list, "%s%s", i ? ", " : "", token_text(v, id));
    }
    v->out_of_memory |= list.failed;
    const char *tokens = list.failed || list.data == NULL ? "" : list.data;
    if (m->num_end_tokens == 0)
        we_check(v, WE_CHECK_WARNING, "end tokens", v->again,
                 "%s has no eos_token_id, and neither has config.json: a reply ends only at the limit of its tokens", file);
    else if (v->turn_end != UINT32_MAX && !is_end(m, v->turn_end))
        we_check(v, WE_CHECK_WARNING, "end tokens", v->again,
                 "%s: eos_token_id is %s, but the chat template ends a reply with %s: the model may not stop", file, tokens,
                 token_text(v, v->turn_end));
    else if (ordinary)
        we_check(v, WE_CHECK_WARNING, "end tokens", v->again,
                 "%s: eos_token_id is %s, of which not each is a special token: a reply may end in its midst", file, tokens);
    else
        we_check(v, WE_CHECK_PASSED, "end tokens", NULL, "%s", tokens);
    we_buf_free(&list);
    return true;
}

static bool check_sampling(struct we_validator *v, const struct we_sampling *s)
{
    const char *file = we_validator_text(v, "%s/generation_config.json", v->path);
    const struct {
        const char *name;
        float value, most;
    } values[] = {{"temperature", s->temperature, 100},
                  {"top_p", s->top_p, 1},
                  {"min_p", s->min_p, 1},
                  {"repetition_penalty", s->repetition_penalty, 1000}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (!(values[i].value >= 0) || !(values[i].value <= values[i].most)) {
            we_check(v, WE_CHECK_FAILED, "sampling defaults", v->again,
                     "%s: %s is %g, where a number from 0 to %g was expected", file, values[i].name, (double)values[i].value,
                     (double)values[i].most);
            return false;
        }
    we_check(v, WE_CHECK_PASSED, "sampling defaults", NULL, "temperature %g, top-p %g%s", (double)s->temperature,
             (double)s->top_p, exists(v, "generation_config.json") ? " (generation_config.json is looked at first)" : "");
    return true;
}

static bool check_generation_config(struct we_validator *v)
{
    /* As much of a model as the reader of these files looks at. */
    struct we_model m = {.config = v->config, .tokenizer = v->tokenizer};
    struct we_config generation = {0};
    struct we_error error;
    bool fine = false;
    if (we_is_broken(v, "generation_config.json") || v->config.json == NULL) {
        we_check(v, WE_CHECK_SKIPPED, "end tokens", NULL, "not looked at: a file that tells them is broken");
        return false;
    }
    m.info.path = v->path;
    (void)we_config_open_file(v->path, "generation_config.json", &v->arena, &generation, NULL);
    if (we_model_read_generation_config(&m, &error) != WE_OK) {
        we_check_error(v, WE_CHECK_FAILED, "end tokens", v->again, &error);
    } else {
        fine = check_end_tokens(v, &m, end_token_file(v, &generation));
        fine = check_sampling(v, &m.sampling) && fine;
    }
    we_arena_free(&m.arena);
    return fine;
}

bool we_validate_text(struct we_validator *v)
{
    v->group = "files";
    if (v->stopped || we_is_broken(v, "config.json"))
        return false;
    bool has_tokenizer = open_tokenizer(v);
    if (has_tokenizer) {
        check_vocabulary(v);
        check_named_tokens(v);
    }
    bool has_template = check_template(v);
    return check_generation_config(v) && has_template && has_tokenizer;
}
