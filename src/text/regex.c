#include "text/regex.h"

#include "text/unicode.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

struct we_regex {
    pcre2_code *code;
    bool jit;
};

enum {
    MATCH_LIMIT = 1000000, /* steps of one search; the patterns of tokenizers take some tens, */
    MATCH_LIMIT_PER_BYTE =
        16, /* and some for each character of a run: a long one is given up by one alternative after the other */
    HEAP_LIMIT_KIB = 64 * 1024, /* of one search, where there is no just-in-time compiler */
    STACK_LIMIT = 16 * 1024 * 1024,
    PATTERN_LIMIT = 64 * 1024
};

/* PCRE2's JIT (seen in 10.42) may leave an alternative of an atomic group untried after it failed further left. Without
 * the optimisations at the start of a match it does not. */
static uint32_t careful_options(struct we_str pattern)
{
    static const char *const atomic[] = {"(?>", ")++", ")*+", ")?+"};
    for (size_t i = 0; i < sizeof atomic / sizeof atomic[0]; i++)
        if (we_str_find(pattern, we_str_c(atomic[i]), 0) != SIZE_MAX)
            return PCRE2_NO_START_OPTIMIZE;
    return 0;
}

we_status we_regex_compile(struct we_str pattern, struct we_regex **out, struct we_error *error)
{
    *out = NULL;
    if (pattern.length > PATTERN_LIMIT)
        return we_error_set(error, WE_UNSUPPORTED, "a regular expression of %zu bytes; the most is %d", pattern.length,
                            (int)PATTERN_LIMIT);
    struct we_regex *regex = calloc(1, sizeof *regex);
    struct we_buf translated = {.limit = 32 * PATTERN_LIMIT};
    we_status status = regex ? we_regex_translate(pattern, &translated, error) : we_error_memory(error, "a regular expression");
    if (status == WE_OK) {
        int code;
        PCRE2_SIZE offset;
        pcre2_compile_context *context = pcre2_compile_context_create(NULL);
        if (context) {
            pcre2_set_newline(context, PCRE2_NEWLINE_LF);
            pcre2_set_bsr(context, PCRE2_BSR_UNICODE);
            uint32_t options = PCRE2_UTF | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_UTF_CHECK | careful_options(pattern);
            regex->code = pcre2_compile((PCRE2_SPTR)translated.data, translated.length, options, &code, &offset, context);
        }
        pcre2_compile_context_free(context);
        if (context == NULL) {
            status = we_error_memory(error, "a regular expression");
        } else if (regex->code == NULL) {
            char reason[200] = "";
            pcre2_get_error_message(code, (PCRE2_UCHAR *)reason, sizeof reason);
            status = we_error_set(error, code == PCRE2_ERROR_HEAP_FAILED ? WE_OUT_OF_MEMORY : WE_UNSUPPORTED,
                                  "the regular expression \"%.*s\": %s", WE_STR_ARG(pattern), reason);
        } else {
            /* Where memory must not be executable there is no JIT, and the interpreter matches, only slower. */
            regex->jit = pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE) == 0;
        }
    }
    we_buf_free(&translated);
    if (status != WE_OK) {
        we_regex_free(regex);
        regex = NULL;
    }
    *out = regex;
    return status;
}

void we_regex_free(struct we_regex *regex)
{
    if (regex == NULL)
        return;
    pcre2_code_free(regex->code);
    free(regex);
}

void we_regex_state_free(struct we_regex_state *state)
{
    pcre2_match_data_free(state->match_data);
    pcre2_match_context_free(state->context);
    pcre2_jit_stack_free(state->stack);
    *state = (struct we_regex_state){0};
}

static bool prepare(struct we_regex_state *state, size_t length)
{
    length =
        length < UINT32_MAX / MATCH_LIMIT_PER_BYTE - MATCH_LIMIT ? length : UINT32_MAX / MATCH_LIMIT_PER_BYTE - MATCH_LIMIT;
    if (state->match_data == NULL)
        state->match_data = pcre2_match_data_create(1, NULL);
    if (state->context == NULL) {
        pcre2_match_context *context = pcre2_match_context_create(NULL);
        if (context) {
            pcre2_set_heap_limit(context, HEAP_LIMIT_KIB);
        }
        state->context = context;
    }
    if (state->context)
        pcre2_set_match_limit(state->context, MATCH_LIMIT + MATCH_LIMIT_PER_BYTE * (uint32_t)length);
    return state->match_data && state->context;
}

void we_regex_scan_begin(struct we_regex_scan *scan, const struct we_regex *regex, struct we_regex_state *state,
                         struct we_str text)
{
    *scan = (struct we_regex_scan){.regex = regex, .state = state, .text = text};
}

static int search(struct we_regex_scan *scan)
{
    struct we_regex_state *state = scan->state;
    PCRE2_SPTR text = (PCRE2_SPTR)scan->text.data;
    if (!scan->regex->jit)
        return pcre2_match(scan->regex->code, text, scan->text.length, scan->at, PCRE2_NO_UTF_CHECK, state->match_data,
                           state->context);
    int n = pcre2_jit_match(scan->regex->code, text, scan->text.length, scan->at, PCRE2_NO_UTF_CHECK, state->match_data,
                            state->context);
    if (n == PCRE2_ERROR_JIT_STACKLIMIT && state->stack == NULL) {
        /* The 32 KiB of machine stack that it has by itself are not enough. */
        state->stack = pcre2_jit_stack_create(64 * 1024, STACK_LIMIT, NULL);
        if (state->stack == NULL)
            return PCRE2_ERROR_NOMEMORY;
        pcre2_jit_stack_assign(state->context, NULL, state->stack);
        n = pcre2_jit_match(scan->regex->code, text, scan->text.length, scan->at, PCRE2_NO_UTF_CHECK, state->match_data,
                            state->context);
    }
    return n;
}

we_status we_regex_scan_next(struct we_regex_scan *scan, bool *found, size_t *start, size_t *end, struct we_error *error)
{
    *found = false;
    if (!prepare(scan->state, scan->text.length))
        return we_error_memory(error, "matching a regular expression");
    while (scan->at <= scan->text.length) {
        int n = search(scan);
        if (n == PCRE2_ERROR_NOMATCH)
            return WE_OK;
        if (n == PCRE2_ERROR_NOMEMORY)
            return we_error_memory(error, "matching a regular expression");
        if (n < 0) {
            char reason[200] = "";
            pcre2_get_error_message(n, (PCRE2_UCHAR *)reason, sizeof reason);
            return we_error_set(error, WE_UNSUPPORTED, "a regular expression of the tokenizer cannot be matched here: %s", reason);
        }
        const PCRE2_SIZE *span = pcre2_get_ovector_pointer(scan->state->match_data);
        if (span[0] < scan->at || span[0] > span[1]) /* \K in a look-around could do that */
            return we_error_set(error, WE_UNSUPPORTED, "a regular expression of the tokenizer matches backwards");
        if (span[0] == span[1] && scan->matched && span[1] == scan->last_end) {
            scan->at += scan->at < scan->text.length ? we_unicode_length((unsigned char)scan->text.data[scan->at]) : 1;
            continue;
        }
        scan->at = scan->last_end = span[1];
        scan->matched = true;
        *start = span[0];
        *end = span[1];
        *found = true;
        return WE_OK;
    }
    return WE_OK;
}
