/* Markdown as blocks: what each construct becomes, hostile text, and text that streams. */
#include "markdown_model.h"

#include "base/str.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* after those that it needs */
#include <cmocka.h>

/* ---- blocks as one line of text ---- */

static void describe(GString *out, const struct we_markdown_block *b)
{
    switch (b->kind) {
    case WE_MARKDOWN_PARAGRAPH:
        g_string_append_printf(out, "p{%s}", b->markup);
        break;
    case WE_MARKDOWN_HEADING:
        g_string_append_printf(out, "h%u{%s}", b->level, b->markup);
        break;
    case WE_MARKDOWN_CODE:
        g_string_append_printf(out, "code:%s{%s}", b->language, b->text);
        break;
    case WE_MARKDOWN_TABLE:
        g_string_append_printf(out, "table:%s{", b->alignment);
        for (uint32_t i = 0; i < b->rows * b->columns; i++)
            g_string_append_printf(out, "%s%s", i == 0 ? "" : i % b->columns ? "|" : "/", b->cells[i]);
        g_string_append_c(out, '}');
        break;
    case WE_MARKDOWN_QUOTE:
        g_string_append(out, "quote{");
        break;
    case WE_MARKDOWN_LIST:
        g_string_append(out, b->tight ? "" : "loose-");
        if (b->ordered)
            g_string_append_printf(out, "ol%u{", b->first);
        else
            g_string_append(out, "ul{");
        break;
    case WE_MARKDOWN_ITEM:
        g_string_append(out, b->task == WE_MARKDOWN_DONE ? "[x]{" : b->task == WE_MARKDOWN_TO_DO ? "[ ]{" : "li{");
        break;
    case WE_MARKDOWN_RULE:
        g_string_append(out, "rule");
        break;
    }
    for (uint32_t i = 0; i < b->num_children; i++)
        describe(out, b->children[i]);
    if (b->kind == WE_MARKDOWN_QUOTE || b->kind == WE_MARKDOWN_LIST || b->kind == WE_MARKDOWN_ITEM)
        g_string_append_c(out, '}');
}

/* Inline code has one long tag: "<c>" here. */
static void shorten(GString *text)
{
    g_string_replace(text, "<span font_family=\"monospace\" background=\"#808080\" background_alpha=\"18%\">", "<c>", 0);
    g_string_replace(text, "</span>", "</c>", 0);
}

static GString *describe_all(const struct we_markdown *m)
{
    size_t count;
    struct we_markdown_block *const *blocks = we_markdown_blocks(m, &count);
    GString *out = g_string_new(NULL);
    for (size_t i = 0; i < count; i++)
        describe(out, blocks[i]);
    shorten(out);
    return out;
}

static void check(const char *text, size_t length, bool final, const char *expected)
{
    struct we_markdown *m = we_markdown_new();
    we_markdown_append(m, text, length);
    we_markdown_update(m, final);
    GString *found = describe_all(m);
    if (strcmp(found->str, expected) != 0)
        fail_msg("%s\nfound:    %s\nexpected: %s", text, found->str, expected);
    g_string_free(found, TRUE);
    we_markdown_free(m);
}

struct row {
    const char *text, *expected;
};

static void check_table(const struct row *table, size_t count, bool final)
{
    for (size_t i = 0; i < count; i++)
        check(table[i].text, strlen(table[i].text), final, table[i].expected);
}

static void test_constructs(void **state)
{
    (void)state;
    static const struct row table[] = {
        {"", ""},
        {"# One\n## *Two*\nThree\n===", "h1{One}h2{<i>Two</i>}h1{Three}"},
        {"a **b** *c* ~~d~~ `e` f", "p{a <b>b</b> <i>c</i> <s>d</s> <c>e</c> f}"},
        {"one\ntwo  \nthree\n\nfour", "p{one\ntwo\nthree}p{four}"},
        {"- a\n- b\n  - c\n\n    d", "ul{li{p{a}}li{p{b}loose-ul{li{p{c}p{d}}}}}"},
        {"3. a\n4. b", "ol3{li{p{a}}li{p{b}}}"},
        {"- a\n\n- b", "loose-ul{li{p{a}}li{p{b}}}"},
        {"- [ ] a\n- [x] b", "ul{[ ]{p{a}}[x]{p{b}}}"},
        {"> a\n> > b", "quote{p{a}quote{p{b}}}"},
        {"```c title\nint x;\n\n```\n", "code:c{int x;\n}"},
        {"~~~\n<b>\n~~~", "code:{<b>}"},
        {"    indented", "code:{indented}"},
        {"a\n\n---\nb", "p{a}rulep{b}"},
        {"|a|b|c|\n|-|:-:|--:|\n|1|**2**|\n", "table:lcr{a|b|c/1|<b>2</b>|}"},
        {"text\n|a|\n|-|\n", "p{text}table:l{a}"},
        {"[t](https://x.y/?a=1&b=2 \"title\")",
         "p{<a href=\"https://x.y/?a=1&amp;b=2\" title=\"https://x.y/?a=1&amp;b=2\">t</a>}"},
        {"<https://x.y>", "p{<a href=\"https://x.y\" title=\"https://x.y\">https://x.y</a>}"},
        {"see https://x.y.", "p{see <a href=\"https://x.y\" title=\"https://x.y\">https://x.y</a>.}"},
        {"me@x.org", "p{<a href=\"mailto:me@x.org\" title=\"mailto:me@x.org\">me@x.org</a>}"},
        {"![alt](http://x/y.png)", "p{<a href=\"http://x/y.png\" title=\"http://x/y.png\">alt</a>}"},
        {"![](http://x/y.png)", "p{<a href=\"http://x/y.png\" title=\"http://x/y.png\">http://x/y.png</a>}"},
        {"[![alt](http://x/y.png)](http://z)", "p{<a href=\"http://z\" title=\"http://z\">alt</a>}"},
        {"[a][r]\n\n[r]: http://z", "p{<a href=\"http://z\" title=\"http://z\">a</a>}"},
        {"<div>\n*x*\n</div>", "p{&lt;div&gt;\n*x*\n&lt;/div&gt;}"},
        {"a <b>c</b>", "p{a &lt;b&gt;c&lt;/b&gt;}"},
    };
    check_table(table, sizeof table / sizeof table[0], true);
}

static void test_hostile(void **state)
{
    (void)state;
    static const struct row table[] = {
        {"[a](javascript:alert(1)) [b](file:///etc/passwd) [c](data:x) [d](/relative) [e](http:) [f](https://)",
         "p{a b c d e f}"},
        {"<span size='99999'>&</span>", "p{&lt;span size=&#39;99999&#39;&gt;&amp;&lt;/span&gt;}"},
        {"`</span><b>`", "p{<c>&lt;/span&gt;&lt;b&gt;</c>}"},
        {"[<b>](https://x/'\")", "p{<a href=\"https://x/&#39;&quot;\" title=\"https://x/&#39;&quot;\">&lt;b&gt;</a>}"},
        {"a\x01\x1B[31mb", "p{a[31mb}"},
        {"a&#0;b&#x1b;c", "p{a\xEF\xBF\xBD"
                          "bc}"},
        {"|<b>|\n|-|\n|</span>|", "table:l{&lt;b&gt;/&lt;/span&gt;}"},
        {"```<b>\n</i>\n```", "code:<b>{</i>}"},
    };
    struct we_markdown *m = we_markdown_new();
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        check(table[i].text, strlen(table[i].text), true, table[i].expected);
    }
    check("a\0b\xFF\xC3(\xE2\x82", 8, true,
          "p{a\xEF\xBF\xBD"
          "b\xEF\xBF\xBD\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD}");
    check("a\r\nb\rc\r\n\r\nd", 11, true, "p{a\nb\nc}p{d}");
    /* Nested without end */
    GString *deep = g_string_new(NULL);
    for (int i = 0; i < 2000; i++)
        g_string_append(deep, "> ");
    g_string_append(deep, "end\n\n");
    for (int i = 0; i < 1000; i++)
        g_string_append(deep, "*a ");
    for (int i = 0; i < 1000; i++)
        g_string_append(deep, "b*");
    we_markdown_append(m, deep->str, deep->len);
    we_markdown_update(m, true);
    GString *found = describe_all(m);
    assert_non_null(strstr(found->str, "end"));
    g_string_free(found, TRUE);
    g_string_free(deep, TRUE);
    we_markdown_free(m);
}

static void test_math(void **state)
{
    (void)state;
    static const struct row table[] = {
        {"$a_1 * b_2 *$ and $$x_{i} \\\\ *y*$$", "p{$a_1 * b_2 *$ and $$x_{i} \\\\ *y*$$}"},
        {"\\(a*b*c\\) \\[ x_1_ \\]", "p{\\(a*b*c\\) \\[ x_1_ \\]}"},
        {"\\[\nx\n= y\n- z\n\\]", "p{\\[\nx\n= y\n- z\n\\]}"},
        {"costs $5 and *then* $6", "p{costs $5 and <i>then</i> $6}"},
        {"`\\(a\\)` \\(b", "p{<c>\\(a\\)</c> \\(b}"},
        {"```\n\\(a\\) $*x*$\n```\n$*y*$", "code:{\\(a\\) $*x*$}p{$*y*$}"},
        {"- $*a*$\n  ```\n  $*b*$\n  ```", "ul{li{p{$*a*$}code:{$*b*$}}}"},
        {"|a|\n|-|\n|$\\|x\\|$|", "table:l{a/$|x|$}"},
        {"\\*not\\*", "p{*not*}"},
    };
    check_table(table, sizeof table / sizeof table[0], true);
}

/* What is shown while more is to come. */
static void test_unfinished(void **state)
{
    (void)state;
    static const struct row table[] = {
        {"a **bol", "p{a <b>bol</b>}"},
        {"a **bold*", "p{a <b>bold</b>}"},
        {"a **", "p{a}"},
        {"**a *b", "p{<b>a <i>b</i></b>}"},
        {"**a** b *c", "p{<b>a</b> b <i>c</i>}"},
        {"x `co", "p{x <c>co</c>}"},
        {"x `", "p{x}"},
        {"x **b `c", "p{x <b>b <c>c</c></b>}"},
        {"x [li", "p{x li}"},
        {"x [link](htt", "p{x link}"},
        {"x [**li", "p{x <b>li</b>}"},
        {"see ![im](ht", "p{see im}"},
        {"arr[0] and x", "p{arr[0] and x}"},
        {"2 * 3 = 6", "p{2 * 3 = 6}"},
        {"snake_case_na", "p{snake_case_na}"},
        {"x ~~del", "p{x <s>del</s>}"},
        {"Text\n-", "p{Text}"},
        {"Text\n--", "p{Text}"},
        {"Text\n=", "p{Text}"},
        {"Items:\n- ", "p{Items:}"},
        {"1. one\n2", "ol1{li{p{one}}}"},
        {"1. one\n2.", "ol1{li{p{one}}}"},
        {"- a **b", "ul{li{p{a <b>b</b>}}}"},
        {"- **a\n- *b", "ul{li{p{**a}}li{p{<i>b</i>}}}"},
        {"#", ""},
        {"## ", ""},
        {"``", ""},
        {"```", ""},
        {"```c", "code:c{}"},
        {"```c\nx\n``", "code:c{x}"},
        {"```c\nx\n```", "code:c{x}"},
        {"```c\n**x", "code:c{**x}"},
        {"| a | b", ""},
        {"| a | b |\n|--", ""},
        {"| a | b |\n|---|---|\n", "table:ll{a|b}"},
        {"| a | b |\n|---|---|\n| 1 |", "table:ll{a|b/1|}"},
        {"> **q", "quote{p{<b>q</b>}}"},
        {"100", ""},
        {"In 1984", "p{In 1984}"},
    };
    check_table(table, sizeof table / sizeof table[0], false);
}

/* ---- streaming ---- */

static const char long_text[] = "# Title\n\nIntro with **bold** and a [link][r] that is defined later.\n\n1. First\n   - "
                                "nested `code`\n   - more\n2. Second\n\n"
                                "   with a paragraph\n\n```python\ndef f(x):\n    return "
                                "\"\\(x\\)\"\n\n\nprint(f(1))\n```\n\n| a | b |\n|---|--:|\n| 1 | *2* |\n| $x_1$ | 4 |\n\n"
                                "> quoted\n> text\n\nSetext\n------\n\n<div>\nhtml\n</div>\n\n- [x] done\n- [ ] to "
                                "do\n\n***\n\n\\[\na = b\n\\]\n\n[r]: https://x.y\n\nThe end, again a [link][r]. "
                                "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\n";

/* However the text is cut, the end is the same as of the whole text; and blocks that are closed do not change. */
static void test_streaming_ends_alike(void **state)
{
    (void)state;
    struct we_markdown *whole = we_markdown_new();
    we_markdown_append(whole, long_text, strlen(long_text));
    we_markdown_update(whole, true);
    GString *expected = describe_all(whole);
    for (size_t step = 1; step < 40; step += step < 8 ? 1 : 7) {
        struct we_markdown *m = we_markdown_new();
        uint64_t closed_hashes[64];
        size_t closed = 0;
        for (size_t at = 0; at < strlen(long_text); at += step) {
            size_t count;
            we_markdown_append(m, long_text + at, MIN(step, strlen(long_text) - at));
            size_t first = we_markdown_update(m, false);
            struct we_markdown_block *const *blocks = we_markdown_blocks(m, &count);
            if (first == count)
                continue; /* nothing that is shown has changed */
            assert_true(first >= closed);
            for (size_t i = 0; i < closed; i++)
                assert_true(blocks[i]->hash == closed_hashes[i]);
            for (; closed < first && closed < 64; closed++)
                closed_hashes[closed] = blocks[closed]->hash;
        }
        assert_true(closed > 8);
        we_markdown_update(m, true);
        GString *found = describe_all(m);
        assert_string_equal(found->str, expected->str);
        g_string_free(found, TRUE);
        we_markdown_free(m);
    }
    g_string_free(expected, TRUE);
    we_markdown_free(whole);
}

/* Without the definition that stands behind its use, what streams and what is whole look alike at every cut after a blank line.
 */
static void test_streamed_blocks_are_those_of_the_whole(void **state)
{
    (void)state;
    GString *text = g_string_new(long_text);
    g_string_replace(text, "[link][r]", "link", 0);
    g_string_replace(text, "[r]: https://x.y\n\n", "", 0);
    struct we_markdown *m = we_markdown_new();
    for (size_t at = 0; at < text->len; at++) {
        we_markdown_append(m, text->str + at, 1);
        we_markdown_update(m, false);
        if (text->str[at] != '\n' || at == 0 || text->str[at - 1] != '\n')
            continue;
        struct we_markdown *whole = we_markdown_new();
        we_markdown_append(whole, text->str, at + 1);
        we_markdown_update(whole, true);
        GString *found = describe_all(m), *expected = describe_all(whole);
        assert_string_equal(found->str, expected->str);
        g_string_free(found, TRUE);
        g_string_free(expected, TRUE);
        we_markdown_free(whole);
    }
    we_markdown_free(m);
    g_string_free(text, TRUE);
}

/* Shown text never gets shorter by more than marks that are held back: nothing flickers away. */
static void test_nothing_flickers(void **state)
{
    (void)state;
    static const char text[] =
        "Some **bold text**, *slanted* and `code`, then:\n\n- one **item**\n- two\n\n## Heading\n\nText\nmore text\n\n"
        "```c\nint x;\n```\n\nThe *end* of ~~this~~ [link](http://x.y) here";
    struct we_markdown *m = we_markdown_new();
    size_t before = 0;
    for (size_t at = 0; at < strlen(text); at++) {
        we_markdown_append(m, text + at, 1);
        we_markdown_update(m, false);
        GString *found = describe_all(m);
        size_t letters = 0;
        bool in_tag = false;
        for (const char *p = found->str; *p; p++) {
            in_tag = *p == '<' || (in_tag && *p != '>');
            letters += !in_tag && g_ascii_isalpha(*p);
        }
        if (letters + 1 < before)
            fail_msg("at \"%.*s\": %s", (int)at + 1, text, found->str);
        assert_null(strstr(found->str, "**"));
        assert_null(strstr(found->str, "`"));
        before = letters;
        g_string_free(found, TRUE);
    }
    we_markdown_free(m);
}

/* A piece costs what its block is large, however long the text is: only the open block is parsed anew. */
static void test_only_the_tail_is_parsed(void **state)
{
    (void)state;
    struct we_markdown *m = we_markdown_new();
    size_t count = 0;
    for (int i = 0; i < 2000; i++) {
        char line[64];
        g_snprintf(line, sizeof line, "Paragraph %d of *many*.\n\n", i);
        we_markdown_append(m, line, strlen(line));
        size_t first = we_markdown_update(m, false);
        we_markdown_blocks(m, &count);
        assert_int_equal(count, i + 1);
        assert_true(first + 2 >= count);
    }
    we_markdown_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constructs),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_math),
        cmocka_unit_test(test_unfinished),
        cmocka_unit_test(test_streaming_ends_alike),
        cmocka_unit_test(test_streamed_blocks_are_those_of_the_whole),
        cmocka_unit_test(test_nothing_flickers),
        cmocka_unit_test(test_only_the_tail_is_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
