#include "store/hub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* FIPS 180-4's examples of SHA-256, and hashes that `git hash-object` gives. */
static const struct {
    const char *text, *hex;
} hashes[] = {
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"},
    {"hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"},
};

static bool verify(const char *path, const char *hex, uint64_t size)
{
    struct we_identity identity = {.size = size};
    struct we_error error;
    bool matches;
    strcpy(identity.hex, hex);
    assert_int_equal(we_file_verify(path, &identity, NULL, NULL, &matches, &error), WE_OK);
    return matches;
}

static void test_hashes(void **state)
{
    (void)state;
    char path[] = "/tmp/we-verify-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++) {
        size_t size = strlen(hashes[i].text);
        char wrong[65];
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, hashes[i].text, size, 0), size);
        assert_true(verify(path, hashes[i].hex, size));
        assert_false(verify(path, hashes[i].hex, size + 1));
        strcpy(wrong, hashes[i].hex);
        wrong[strlen(wrong) - 1] = wrong[strlen(wrong) - 1] == '0' ? '1' : '0';
        assert_false(verify(path, wrong, size));
    }
    close(fd);
    unlink(path);
    assert_false(verify(path, hashes[1].hex, 0));
    assert_false(verify("/tmp", hashes[1].hex, 0));
}

static bool stop_at_once(void *context, uint64_t bytes)
{
    *(uint64_t *)context += bytes;
    return false;
}

static void test_stop(void **state)
{
    (void)state;
    char path[] = "/tmp/we-verify-XXXXXX";
    int fd = mkstemp(path);
    struct we_identity identity = {.size = 5 << 20};
    struct we_error error;
    uint64_t seen = 0;
    bool matches;
    assert_int_equal(ftruncate(fd, 5 << 20), 0);
    strcpy(identity.hex, hashes[0].hex);
    assert_int_equal(we_file_verify(path, &identity, stop_at_once, &seen, &matches, &error), WE_CANCELLED);
    assert_true(seen > 0 && seen < 5 << 20);
    assert_false(matches);
    close(fd);
    unlink(path);
}

static void test_safe_paths(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "a.json", "a/b.json", "..a", "a..", "a b", "\xC3\xA9"};
    static const char *const bad[] = {"",     "/",    "/a",     "a/",    "a//b", ".",    "..",
                                      "../a", "a/..", "a/../b", "a/./b", "a\nb", "a\x7F"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(we_hub_is_safe_path(we_str_c(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(we_hub_is_safe_path(we_str_c(bad[i])));
    assert_false(we_hub_is_safe_path(we_str("a\0b", 3)));
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name, *revision;
    } cases[] = {
        {"org/name", "org/name", NULL},
        {"mlx://org/name", "org/name", NULL},
        {"https://huggingface.co/org/name@v1", "org/name", "v1"},
        {"http://hub.local/org/na-me_1.5@refs/pr/1", "org/na-me_1.5", "refs/pr/1"},
        {"org", NULL, NULL},
        {"/org/name", NULL, NULL},
        {"org/name/more", NULL, NULL},
        {"../name", NULL, NULL},
        {"org/.name", NULL, NULL},
        {"org/name@", NULL, NULL},
        {"org/name@a b", NULL, NULL},
        {"org/na%2e", NULL, NULL},
        {"", NULL, NULL},
        {"@x/y", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct we_arena arena = {0};
        struct we_error error;
        const char *name, *revision;
        we_status status = we_hub_parse_name(cases[i].text, "http://hub.local", &arena, &name, &revision, &error);
        assert_int_equal(status, cases[i].name ? WE_OK : WE_INVALID_ARGUMENT);
        if (cases[i].name) {
            assert_string_equal(name, cases[i].name);
            assert_true((revision == NULL) == (cases[i].revision == NULL));
            if (revision)
                assert_string_equal(revision, cases[i].revision);
        }
        we_arena_free(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_safe_paths),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
