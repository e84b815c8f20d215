/* Finding and listing models, in folders that the test makes. */
#include "base/fs.h"

#include <whisperengine_tools.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>
/* after those that it needs */
#include <cmocka.h>

#if defined(__linux__)
#include "failing_memory.h"
#endif

/* Every test runs in a folder of its own, which is HOME too. */
static char folder[] = "/tmp/we-store-XXXXXX";
static char before[4096];

static int set_up(void **state)
{
    (void)state;
    const char *const names[] = {"HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME", "XDG_DATA_HOME"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    snprintf(folder, sizeof folder, "/tmp/we-store-XXXXXX");
    if (getcwd(before, sizeof before) == NULL || mkdtemp(folder) == NULL || chdir(folder) != 0)
        return -1;
    setenv("HOME", folder, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return chdir(before) != 0 || system(command) != 0;
}

/* Writes a file and the folders that it needs. */
static void put(const char *path, const char *text)
{
    struct we_error error = {0};
    char parent[512];
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash) {
        *slash = '\0';
        assert_int_equal(we_make_directories(parent, &error), WE_OK);
    }
    if (we_file_write(path, we_str_c(text), &error) != WE_OK)
        fail_msg("%s", error.message);
}

static void put_model(const char *path)
{
    char file[1024];
    snprintf(file, sizeof file, "%s/config.json", path);
    put(file, "{}");
    snprintf(file, sizeof file, "%s/model.safetensors", path);
    put(file, "12345678");
}

static void expect_path(const char *models_dir, const char *name, const char *expected)
{
    char *path;
    struct we_error error = {0};
    if (we_store_find(models_dir, name, &path, &error) != WE_OK)
        fail_msg("%s: %s", name, error.message);
    assert_string_equal(path, expected);
    free(path);
}

static void expect_error(const char *models_dir, const char *name, we_status status, const char *says)
{
    char *path;
    struct we_error error = {0};
    we_status found = we_store_find(models_dir, name, &path, &error);
    if (found != status || path || strstr(error.message, says) == NULL)
        fail_msg("%s: status %d, \"%s\" does not say \"%s\"", name, (int)found, error.message, says);
}

static void test_find_a_directory(void **state)
{
    (void)state;
    put_model("here/model");
    char absolute[256];
    snprintf(absolute, sizeof absolute, "%s/here/model", folder);
    assert_int_equal(symlink("here/model", "link"), 0);
    expect_path("m", "here/model", "here/model");
    expect_path("m", "here/model/", "here/model");
    expect_path("m", "./here/model///", "./here/model");
    expect_path("m", "here/../here/model", "here/../here/model"); /* a path may go where it likes */
    expect_path("m", absolute, absolute);
    expect_path("m", "link", "link");
    expect_path("m", "link/", "link");
    assert_int_equal(chdir("here/model"), 0);
    expect_path("m", ".", ".");
    assert_int_equal(chdir(folder), 0);
    expect_error("m", "./missing", WE_NOT_FOUND, "./missing: there is no such directory");
    expect_error("m", "/missing/at/all", WE_NOT_FOUND, "there is no such directory");
    expect_error("m", "here", WE_INVALID_FORMAT, "here is not a model directory: it has no config.json");
    expect_error("m", "here", WE_INVALID_FORMAT, "it holds other folders"); /* no advice to remove it */
    expect_error("m", folder, WE_INVALID_FORMAT, "no config.json");
    expect_error("m", "/", WE_INVALID_FORMAT, "no config.json");
    put("x.gguf", "GGUF");
    expect_error("m", "x.gguf", WE_INVALID_ARGUMENT, "whisperengine convert x.gguf DEST");
    expect_error("m", "here/model/config.json", WE_INVALID_ARGUMENT, "is a file");
    assert_int_equal(mkdir("odd", 0777), 0);
    assert_int_equal(mkdir("odd/config.json", 0777), 0);
    expect_error("m", "./odd", WE_INVALID_FORMAT, "no config.json");
}

static void test_find_a_name(void **state)
{
    (void)state;
    put_model("m/mlx/org/name-4bit");
    put_model("m/mlx/alone");
    expect_path("m", "org/name-4bit", "m/mlx/org/name-4bit");
    expect_path("m/", "org/name-4bit/", "m/mlx/org/name-4bit");
    expect_path("m", "mlx://org/name-4bit", "m/mlx/org/name-4bit");
    expect_path("m", "mlx://org/name-4bit/", "m/mlx/org/name-4bit");
    expect_path("m", "alone", "m/mlx/alone");
    put_model("org/name-4bit"); /* a directory from here wins; mlx:// always means the store */
    expect_path("m", "org/name-4bit", "org/name-4bit");
    expect_path("m", "mlx://org/name-4bit", "m/mlx/org/name-4bit");
    assert_int_equal(mkdir("alone", 0777), 0); /* one that is no model does not */
    expect_path("m", "alone", "m/mlx/alone");
    put("m/mlx/org/broken/model.safetensors", "1");
    expect_error("m", "org/broken", WE_INVALID_FORMAT, "m/mlx/org/broken is not a model directory");
    assert_int_equal(symlink("../../../here", "m/mlx/org/linked"), 0);
    put_model("here");
    expect_path("m", "org/linked", "m/mlx/org/linked");
}

static void test_names_that_are_refused(void **state)
{
    (void)state;
    put_model("secret");
    put_model("m/mlx/org/name");
    const struct {
        const char *name;
        we_status status;
        const char *says;
    } table[] = {
        {"", WE_INVALID_ARGUMENT, "no model was named"},
        {"http://localhost:1234/v1", WE_UNSUPPORTED, "http://localhost:1234/v1"},
        {"https://example.com/x", WE_UNSUPPORTED, "http(s)"},
        {"ftp://a/b", WE_INVALID_ARGUMENT, "unknown scheme"},
        {"MLX://org/name", WE_INVALID_ARGUMENT, "unknown scheme"},
        {"mlx://", WE_INVALID_ARGUMENT, "ORG/NAME"},
        {"mlx://../../secret", WE_INVALID_ARGUMENT, "after mlx://"},
        {"mlx://org/..", WE_INVALID_ARGUMENT, "after mlx://"},
        {"mlx://./name", WE_INVALID_ARGUMENT, "after mlx://"},
        {"mlx:///etc", WE_INVALID_FORMAT, "/etc is not a model directory"},
        {"mlx:///no/such", WE_NOT_FOUND, "no such directory"},
        {"localhost:1234/v1", WE_NOT_FOUND, "begin with http:// or https://"},
        {"localhost:1234", WE_NOT_FOUND, "begin with http:// or https://"},
        {"mlx://org//name", WE_INVALID_ARGUMENT, "after mlx://"},
        {"mlx://a/b/c", WE_INVALID_ARGUMENT, "after mlx://"},
        {"mlx://org/na\nme", WE_INVALID_ARGUMENT, "after mlx://"},
        {"org/../../../secret", WE_NOT_FOUND, "no such directory"}, /* not below models_dir */
        {"..\\secret", WE_NOT_FOUND, "no such directory"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        expect_error("m", table[i].name, table[i].status, table[i].says);
    char *path;
    struct we_error error;
    assert_int_equal(we_store_find("m", NULL, &path, &error), WE_INVALID_ARGUMENT);
    char *longest = malloc(100001);
    assert_non_null(longest);
    memset(longest, 'x', 100000);
    longest[100000] = '\0';
    expect_error("m", longest, WE_NOT_FOUND, "there is no such directory");
    memset(longest, '/', 100000);
    expect_error("m", longest, WE_INVALID_FORMAT, "/ is not a model directory");
    free(longest);
}

static void test_suggestions(void **state)
{
    (void)state;
    expect_error("m", "org/name", WE_NOT_FOUND, "there is no model here yet; \"whisperengine pull org/name\"");
    put_model("m/mlx/microsoft/Phi-3-mini-4k-instruct-4bit");
    put_model("m/mlx/HuggingFaceTB/SmolLM2-135M-Instruct-4bit");
    put_model("m/mlx/HuggingFaceTB/SmolLM2-360M-Instruct-4bit");
    const struct {
        const char *name, *says;
    } table[] = {
        {"microsoft/Phi-3-mini-4k-instruct-4bit-4bit", "use \"microsoft/Phi-3-mini-4k-instruct-4bit\", which is here"},
        {"mlx://microsoft/Phi-3-mini-4k-instruct-4bit-4bit-4bit",
         "use \"microsoft/Phi-3-mini-4k-instruct-4bit\", which is here"},
        {"other/thing-8bit-8bit", "use \"other/thing-8bit\"\n"},
        {"microsoft/Phi-3-mini-4k-instruct", "did you mean \"microsoft/Phi-3-mini-4k-instruct-4bit\"?"},
        {"Microsoft/phi-3-mini-4k-instruct-4bti", "did you mean \"microsoft/Phi-3-mini-4k-instruct-4bit\"?"},
        {"mlx-community/Phi-3-mini-4k-instruct-4bit", "did you mean \"microsoft/Phi-3-mini-4k-instruct-4bit\"?"},
        {"Phi-3-mini-4k-instruct-4bit", "did you mean \"microsoft/Phi-3-mini-4k-instruct-4bit\"?"},
        {"HuggingFaceTB/SmolLM2-361M-Instruct-4bit",
         "\"HuggingFaceTB/SmolLM2-360M-Instruct-4bit\" or \"HuggingFaceTB/SmolLM2-135M-Instruct-4bit\"?"},
        {"quite/different", "in m/mlx or in the Hugging Face cache"},
        {"quite/different", "\"whisperengine list\" shows the models"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        expect_error("m", table[i].name, WE_NOT_FOUND, table[i].says);
    char *path;
    struct we_error error;
    assert_int_equal(we_store_find("m", "quite/different", &path, &error), WE_NOT_FOUND);
    assert_null(strstr(error.message, "did you mean"));
}

static void test_hugging_face_cache(void **state)
{
    (void)state;
    const char *const roots[][2] = {
        {NULL, ".cache/huggingface/hub"},
        {"XDG_CACHE_HOME", "xdg/huggingface/hub"},
        {"HF_HOME", "hf/hub"},
        {"HF_HUB_CACHE", "cache"},
    };
    const char *const values[] = {NULL, "xdg", "hf", "cache"};
    for (size_t i = 0; i < 4; i++) { /* each stronger than the one before */
        char hub[128], file[512], expected[512], value[128];
        snprintf(hub, sizeof hub, "%s/%s", folder, roots[i][1]);
        snprintf(value, sizeof value, "%s/%s", folder, i ? values[i] : "");
        if (i)
            setenv(roots[i][0], value, 1);
        expect_error("m", "org/name", WE_NOT_FOUND, hub);
        snprintf(file, sizeof file, "%s/models--org--name/snapshots/0123abc", hub);
        put_model(file);
        snprintf(expected, sizeof expected, "%s", file);
        expect_path("m", "org/name", expected); /* without refs/main: the only one */
        snprintf(file, sizeof file, "%s/models--org--name/snapshots/4567def", hub);
        put_model(file);
        snprintf(file, sizeof file, "%s/models--org--name/refs/main", hub);
        put(file, "0123abc\n");
        expect_path("m", "org/name", expected);
        put(file, "../../../elsewhere"); /* not a name of a snapshot, though a model is there: the newest one */
        snprintf(file, sizeof file, "%s/../elsewhere", hub);
        put_model(file);
        snprintf(file, sizeof file, "%s/models--org--name/snapshots/4567def", hub);
        struct utimbuf late = {2000000000, 2000000000};
        assert_int_equal(utime(file, &late), 0);
        expect_path("m", "mlx://org/name", file);
        snprintf(file, sizeof file, "%s/models--gpt2/snapshots/0", hub);
        put_model(file);
        expect_path("m", "gpt2", file);
        snprintf(file, sizeof file, "%s/models--org--empty/snapshots/0/README.md", hub);
        put(file, "");
        expect_error("m", "org/empty", WE_NOT_FOUND, "no model");
    }
    put_model("m/mlx/org/name"); /* our own comes first */
    expect_path("m", "org/name", "m/mlx/org/name");
    unsetenv("HF_HUB_CACHE");
    unsetenv("HF_HOME");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    expect_error("m", "org/none", WE_NOT_FOUND, "no model \"org/none\" in m/mlx\n");
}

static void test_default_models_folder(void **state)
{
    (void)state;
    char expected[512], data[512];
    snprintf(expected, sizeof expected, "%s/.local/share/whisperengine/models/mlx/org/name", folder);
    put_model(expected);
    expect_path(NULL, "org/name", expected);
    expect_path("", "org/name", expected);
    snprintf(data, sizeof data, "%s/data", folder);
    setenv("XDG_DATA_HOME", data, 1);
    expect_error(NULL, "org/name", WE_NOT_FOUND, "/data/whisperengine/models/mlx");
    snprintf(expected, sizeof expected, "%s/data/whisperengine/models/mlx/org/name", folder);
    put_model(expected);
    expect_path(NULL, "org/name", expected);
    put(".env", "");
    expect_error(NULL, "org/name", WE_NOT_FOUND, "in models/mlx");
    unlink(".env");
    put_model("models/mlx/org/name");
    expect_path(NULL, "org/name", "models/mlx/org/name");
}

/* ---- listing ---- */

struct collected {
    struct we_buf text;
    size_t stop_after, count;
};

static bool collect(void *context, const struct we_store_entry *entry)
{
    struct collected *c = context;
    we_buf_printf(&c->text, "%s %s %llu %s%s\n", entry->name, entry->path, (unsigned long long)entry->bytes,
                  entry->complete ? "complete" : "incomplete", entry->in_hub_cache ? " hub" : "");
    return ++c->count != c->stop_after;
}

static void expect_list(const char *expected)
{
    struct collected c = {0};
    struct we_error error = {0};
    if (we_store_list("m", collect, &c, &error) != WE_OK)
        fail_msg("%s", error.message);
    assert_string_equal(c.text.data ? c.text.data : "", expected);
    we_buf_free(&c.text);
}

static void test_list(void **state)
{
    (void)state;
    setenv("HF_HUB_CACHE", "hub", 1);
    expect_list("");
    put_model("m/mlx/b/two");
    put_model("m/mlx/a/one");
    put_model("m/mlx/alone");
    put("m/mlx/a/one/deep/er/file", "1234");
    put("m/mlx/a/one/.hidden", "1");
    put("m/mlx/a/.partial/config.json", "{}");
    put("m/mlx/.trash/x/config.json", "{}");
    put("m/mlx/a/notes/README", "");
    put("m/mlx/a/file", "");
    put("m/mlx/file", "");
    put("m/mlx/b/no-config/model.safetensors", "1");
    put("m/mlx/b/no-weights/config.json", "{}");
    put("m/mlx/b/empty-weights/config.json", "{}");
    put("m/mlx/b/empty-weights/model.safetensors", "");
    put_model("hub/models--a--one/snapshots/0");
    put_model("hub/models--c--x--y/snapshots/0");
    put_model("hub/datasets--d--e/snapshots/0");
    put("hub/models--empty--one/refs/main", "0");
    put("hub/models--/refs/main", "0");
    expect_list("a/one m/mlx/a/one 15 complete\n"
                "a/one hub/models--a--one/snapshots/0 10 complete hub\n"
                "alone m/mlx/alone 10 complete\n"
                "b/empty-weights m/mlx/b/empty-weights 2 incomplete\n"
                "b/no-config m/mlx/b/no-config 1 incomplete\n"
                "b/no-weights m/mlx/b/no-weights 2 incomplete\n"
                "b/two m/mlx/b/two 10 complete\n"
                "c/x--y hub/models--c--x--y/snapshots/0 10 complete hub\n");
    struct collected c = {.stop_after = 2};
    struct we_error error;
    assert_int_equal(we_store_list("m", collect, &c, &error), WE_OK);
    assert_int_equal(c.count, 2);
    we_buf_free(&c.text);
}

static void test_complete_means_every_shard(void **state)
{
    (void)state;
    const struct {
        const char *index;
        bool complete;
    } table[] = {
        {"{\"metadata\": {}, \"weight_map\": {\"a\": \"1.safetensors\", \"b\": \"1.safetensors\", \"c\": \"2.safetensors\"}}",
         true},
        {"{\"weight_map\": {\"a\": \"1.safetensors\"}}", true},
        {"{\"weight_map\": {}}", true},
        {"{\"weight_map\": {\"a\": \"1.safetensors\", \"b\": \"3.safetensors\"}}", false},
        {"{\"weight_map\": {\"a\": \"empty.safetensors\"}}", false},
        {"{\"weight_map\": {\"a\": \"../x/1.safetensors\"}}", false},
        {"{\"weight_map\": {\"a\": \"\"}}", false},
        {"{\"weight_map\": {\"a\": 1}}", false},
        {"{\"weight_map\": []}", false},
        {"{}", false},
        {"[]", false},
        {"", false},
        {"{\"weight_map\": {\"a\": \"1.safetensors\"", false},
        {"{\"weight_map\": {\"a\": \"1.safe\\u0000tensors\"}}", false},
    };
    setenv("HF_HUB_CACHE", "hub", 1);
    put("m/mlx/o/x/config.json", "{}");
    put("m/mlx/o/x/1.safetensors", "1");
    put("m/mlx/o/x/2.safetensors", "1");
    put("m/mlx/o/x/empty.safetensors", "");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char expected[128];
        put("m/mlx/o/x/model.safetensors.index.json", table[i].index);
        snprintf(expected, sizeof expected, "o/x m/mlx/o/x %zu %s\n", 4 + strlen(table[i].index),
                 table[i].complete ? "complete" : "incomplete");
        expect_list(expected);
    }
}

static bool keep_time(void *context, const struct we_store_entry *entry)
{
    *(int64_t *)context = entry->last_used;
    return true;
}

static void test_last_used(void **state)
{
    (void)state;
    setenv("HF_HUB_CACHE", "hub", 1);
    put_model("m/mlx/o/x");
    put("m/mlx/o/x/2.safetensors", "1");
    struct utimbuf first = {1000000000, 1}, second = {1100000000, 2}, late = {1900000000, 3};
    assert_int_equal(utime("m/mlx/o/x/2.safetensors", &second), 0);
    assert_int_equal(utime("m/mlx/o/x/model.safetensors", &first), 0);
    assert_int_equal(utime("m/mlx/o/x/config.json", &late), 0);
    int64_t used = 0;
    struct we_error error;
    assert_int_equal(we_store_list("m", keep_time, &used, &error), WE_OK);
    assert_int_equal(used, 1100000000);
}

/* A shard of the Hub's cache is a link to a blob; a folder that links back to its parent ends too. */
static void test_links(void **state)
{
    (void)state;
    setenv("HF_HUB_CACHE", "hub", 1);
    put("hub/models--a--b/blobs/abc", "123456");
    put("hub/models--a--b/snapshots/0/config.json", "{}");
    assert_int_equal(symlink("../../blobs/abc", "hub/models--a--b/snapshots/0/model.safetensors"), 0);
    assert_int_equal(symlink("../0", "hub/models--a--b/snapshots/0/loop"), 0);
    assert_int_equal(symlink("nowhere", "hub/models--a--b/snapshots/0/dangling"), 0);
    expect_list("a/b hub/models--a--b/snapshots/0 8 complete hub\n");
}

#if defined(__linux__)
static bool look_around(void)
{
    const char *const names[] = {"org/name", "hubby/name", "org/nam", "org/name-x-x", "./org"};
    struct we_error error = {0};
    bool ok = true;
    for (size_t i = 0; i < 5; i++) {
        char *path;
        we_status status = we_store_find("m", names[i], &path, &error);
        if (status == WE_OUT_OF_MEMORY)
            ok = false;
        else if ((status == WE_OK) != (i < 2) || (status == WE_OK) != (path != NULL))
            abort();
        free(path);
    }
    int64_t used;
    we_status status = we_store_list("m", keep_time, &used, &error);
    if (status != WE_OK && status != WE_OUT_OF_MEMORY)
        abort();
    return ok && status == WE_OK;
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    setenv("HF_HUB_CACHE", "hub", 1);
    put_model("m/mlx/org/name");
    put("m/mlx/org/name/model.safetensors.index.json", "{\"weight_map\": {\"a\": \"model.safetensors\"}}");
    put_model("hub/models--hubby--name/snapshots/0");
    put("hub/models--hubby--name/refs/main", "0");
    assert_true(survive_failures(look_around) >= 30);
}
#endif

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_find_a_directory),
        IN_FOLDER(test_find_a_name),
        IN_FOLDER(test_names_that_are_refused),
        IN_FOLDER(test_suggestions),
        IN_FOLDER(test_hugging_face_cache),
        IN_FOLDER(test_default_models_folder),
        IN_FOLDER(test_list),
        IN_FOLDER(test_complete_means_every_shard),
        IN_FOLDER(test_last_used),
        IN_FOLDER(test_links),
#if defined(__linux__)
        IN_FOLDER(test_memory_runs_out),
#endif
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
