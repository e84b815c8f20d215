/* Settings: the table, the order of the layers, what each value means and where it comes from. */
#include "config/settings.h"

#include "base/fs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* after those that it needs */
#include <cmocka.h>

#if defined(__linux__)
#include "failing_memory.h"
#endif

/* Every test runs in a folder of its own, without variables of ours and with HOME there. */
static char folder[] = "/tmp/we-settings-XXXXXX";
static char before[4096];

static void clear_environment(void)
{
    for (size_t i = 0; i < WE_NUM_SETTINGS; i++)
        for (size_t j = 0; j < 4 && we_setting_row((enum we_setting_id)i)->environment[j]; j++)
            unsetenv(we_setting_row((enum we_setting_id)i)->environment[j]);
    unsetenv("XDG_CONFIG_HOME");
    setenv("HOME", folder, 1);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/we-settings-XXXXXX");
    if (getcwd(before, sizeof before) == NULL || mkdtemp(folder) == NULL || chdir(folder) != 0)
        return -1;
    clear_environment();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    clear_environment();
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return chdir(before) != 0 || system(command) != 0;
}

static void write_file(const char *path, const char *text)
{
    struct we_error error;
    if (we_file_write(path, we_str_c(text), &error) != WE_OK)
        fail_msg("%s", error.message);
}

static struct we_settings *open_settings(const char *env)
{
    struct we_settings *settings;
    struct we_error error;
    if (env)
        write_file(".env", env);
    if (we_settings_open(NULL, &settings, &error) != WE_OK)
        fail_msg("%s", error.message);
    return settings;
}

static void set(struct we_settings *settings, enum we_setting_id id, const char *text)
{
    struct we_error error;
    if (we_settings_set(settings, id, text, &error) != WE_OK)
        fail_msg("%s", error.message);
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < WE_NUM_SETTINGS; i++) {
        const struct we_setting *row = we_setting_row((enum we_setting_id)i);
        assert_int_equal(row->id, i);
        assert_non_null(row->help);
        assert_true(row->help[strlen(row->help) - 1] != '.');
        assert_ptr_equal(we_setting_by_key(row->key), row);
        assert_true(row->flag == NULL || we_setting_by_flag(row->flag) == row);
        assert_true(row->alias == NULL || we_setting_by_flag(row->alias) == row);
        assert_true((row->type == WE_SETTING_CHOICE) == (row->choices != NULL));
        for (size_t j = 0; j < i; j++) /* a variable decides one setting; LLM_CHAT_MODEL has two meanings */
            for (size_t k = 0; k < 4 && row->environment[k] && row->id != WE_SETTING_REMOTE_MODEL; k++)
                for (size_t l = 0; l < 4 && we_setting_row((enum we_setting_id)j)->environment[l]; l++)
                    assert_string_not_equal(row->environment[k], we_setting_row((enum we_setting_id)j)->environment[l]);
    }
    assert_null(we_setting_by_flag("--nothing"));
    assert_null(we_setting_by_key("nothing"));
    assert_string_equal(we_setting_nearest_flag("--tmp"), "--temp");
    assert_string_equal(we_setting_nearest_flag("--max-token"), "--max-tokens");
    assert_null(we_setting_nearest_flag("--something-else-altogether"));
}

static void test_defaults(void **state)
{
    (void)state;
    struct we_settings *s = open_settings(NULL);
    assert_null(we_settings_file(s));
    assert_int_equal(we_settings_integer(s, WE_SETTING_MAX_TOKENS), 2048);
    assert_true(we_settings_number(s, WE_SETTING_TEMPERATURE) == 0.7 && we_settings_number(s, WE_SETTING_TOP_P) == 0.9);
    assert_null(we_settings_text(s, WE_SETTING_MODEL));
    assert_int_equal(we_settings_source(s, WE_SETTING_SEED), WE_SOURCE_DEFAULT);
    assert_string_equal(we_settings_origin(s, WE_SETTING_SEED), "default");
    struct we_sampling sampling = {.temperature = 3}, unchanged = sampling;
    we_settings_sampling(s, &sampling);
    assert_memory_equal(&sampling, &unchanged, sizeof sampling);
    we_settings_free(s);
    we_settings_free(NULL);
}

static void test_order_of_layers(void **state)
{
    (void)state;
    struct we_sampling of_model = {.temperature = 0.25f,
                                   .top_p = 0.9f,
                                   .top_k = 20,
                                   .min_tokens_to_keep = 1,
                                   .xtc_threshold = 0.1f,
                                   .repetition_context = 20};
    struct we_settings *s = open_settings("MLX_MAX_TOKENS=10\n\nMLX_TEMPERATURE=0.3\n");
    assert_int_equal(we_settings_source(s, WE_SETTING_TOP_K), WE_SOURCE_DEFAULT);
    we_settings_use_model(s, &of_model);
    assert_int_equal(we_settings_source(s, WE_SETTING_TOP_K), WE_SOURCE_MODEL);
    assert_string_equal(we_settings_origin(s, WE_SETTING_TOP_K), "generation_config.json");
    assert_int_equal(we_settings_integer(s, WE_SETTING_TOP_K), 20);
    assert_int_equal(we_settings_source(s, WE_SETTING_TOP_P), WE_SOURCE_DEFAULT);
    assert_int_equal(we_settings_source(s, WE_SETTING_TEMPERATURE), WE_SOURCE_FILE);
    assert_string_equal(we_settings_origin(s, WE_SETTING_TEMPERATURE), ".env:3: MLX_TEMPERATURE");
    assert_true(we_settings_number(s, WE_SETTING_TEMPERATURE) == 0.3);
    we_settings_free(s);
    setenv("MLX_TEMPERATURE", "0.4", 1);
    setenv("MLX_MAX_TOKENS", "", 1); /* empty: not set */
    s = open_settings(NULL);
    assert_string_equal(we_settings_file(s), ".env");
    assert_int_equal(we_settings_source(s, WE_SETTING_TEMPERATURE), WE_SOURCE_ENVIRONMENT);
    assert_string_equal(we_settings_origin(s, WE_SETTING_TEMPERATURE), "MLX_TEMPERATURE");
    assert_int_equal(we_settings_integer(s, WE_SETTING_MAX_TOKENS), 10);
    set(s, WE_SETTING_TEMPERATURE, "0");
    assert_int_equal(we_settings_source(s, WE_SETTING_TEMPERATURE), WE_SOURCE_FLAG);
    assert_string_equal(we_settings_origin(s, WE_SETTING_TEMPERATURE), "--temp");
    assert_true(we_settings_number(s, WE_SETTING_TEMPERATURE) == 0 && we_settings_is_set(s, WE_SETTING_TEMPERATURE));
    struct we_sampling sampling = of_model;
    we_settings_sampling(s, &sampling);
    assert_true(sampling.temperature == 0 && sampling.top_k == 20);
    we_settings_free(s);
}

static void test_second_names(void **state)
{
    (void)state;
    struct we_settings *s = open_settings("LLM_MAX_TOKENS_CHAT=5\nLLM_TEMPERATURE=0.1\nMLX_TEMPERATURE=\n");
    assert_int_equal(we_settings_integer(s, WE_SETTING_MAX_TOKENS), 5);
    assert_true(we_settings_number(s, WE_SETTING_TEMPERATURE) == 0.1);
    we_settings_free(s);
    s = open_settings("LLM_MAX_TOKENS_CHAT=5\nMLX_MAX_TOKENS=6\n");
    assert_int_equal(we_settings_integer(s, WE_SETTING_MAX_TOKENS), 6);
    we_settings_free(s);
    setenv("LLM_MAX_TOKENS_CHAT", "7", 1); /* a weaker name in a stronger layer */
    s = open_settings(NULL);
    assert_int_equal(we_settings_integer(s, WE_SETTING_MAX_TOKENS), 7);
    we_settings_free(s);
}

static void test_model_names(void **state)
{
    (void)state;
    const struct {
        const char *env, *model, *origin;
    } table[] = {
        {"LLM_CHAT_API_URL=mlx://a/b", "a/b", ".env:1: LLM_CHAT_API_URL"},
        {"MLX_MODEL_NAME=c/d\nLLM_CHAT_MODEL=e/f\nLLM_CHAT_API_URL=mlx://a/b", "a/b", ".env:3: LLM_CHAT_API_URL"},
        {"MLX_MODEL_NAME=c/d\nLLM_CHAT_MODEL=e/f", "e/f", ".env:2: LLM_CHAT_MODEL"},
        {"MLX_MODEL_NAME=c/d\nLLM_CHAT_MODEL=e/f\nLLM_CHAT_API_URL=http://h:1234/v1", "http://h:1234/v1",
         ".env:3: LLM_CHAT_API_URL"},
        {"MLX_MODEL_NAME=c/d\nLLM_CHAT_API_URL=HTTPS://h/v1", "HTTPS://h/v1", ".env:2: LLM_CHAT_API_URL"},
        {"MLX_MODEL_NAME=c/d\nLLM_CHAT_API_URL=a/b", "a/b", ".env:2: LLM_CHAT_API_URL"},
        {"MLX_MODEL_NAME=c/d\nLLM_CHAT_API_URL=mlx://", "c/d", ".env:1: MLX_MODEL_NAME"},
        {"LLM_CHAT_API_URL=mlx://", NULL, "default"},
        {"LLM_CHAT_MODEL=", NULL, "default"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct we_settings *s = open_settings(table[i].env);
        const char *model = we_settings_text(s, WE_SETTING_MODEL);
        if ((model == NULL) != (table[i].model == NULL) || (model && strcmp(model, table[i].model) != 0))
            fail_msg("%s: %s", table[i].env, model ? model : "none");
        assert_string_equal(we_settings_origin(s, WE_SETTING_MODEL), table[i].origin);
        we_settings_free(s);
    }
    setenv("MLX_MODEL_NAME", "g/h", 1);
    struct we_settings *s = open_settings(table[0].env);
    assert_string_equal(we_settings_text(s, WE_SETTING_MODEL), "g/h");
    set(s, WE_SETTING_MODEL, "i/j");
    assert_string_equal(we_settings_text(s, WE_SETTING_MODEL), "i/j");
    we_settings_free(s);
}

/* LLM_CHAT_MODEL is a model at the endpoint where LLM_CHAT_API_URL is an address, else one on this machine. */
static void test_models_at_endpoints(void **state)
{
    (void)state;
    struct we_settings *s = open_settings("LLM_CHAT_MODEL=e/f\nLLM_CHAT_API_URL=http://h/v1\n");
    assert_string_equal(we_settings_text(s, WE_SETTING_REMOTE_MODEL), "e/f");
    we_settings_free(s);
    setenv("LLM_CHAT_MODEL", "g/h", 1); /* a weaker name in a stronger layer names no model of this machine */
    s = open_settings(NULL);
    assert_string_equal(we_settings_text(s, WE_SETTING_MODEL), "http://h/v1");
    assert_string_equal(we_settings_text(s, WE_SETTING_REMOTE_MODEL), "g/h");
    assert_string_equal(we_settings_origin(s, WE_SETTING_REMOTE_MODEL), "LLM_CHAT_MODEL");
    we_settings_free(s);
    setenv("LLM_CHAT_API_URL", "mlx://a/b", 1); /* which is stronger than the file's address */
    s = open_settings(NULL);
    assert_string_equal(we_settings_text(s, WE_SETTING_MODEL), "a/b");
    assert_null(we_settings_text(s, WE_SETTING_REMOTE_MODEL));
    we_settings_free(s);
}

static void test_places(void **state)
{
    (void)state;
    setenv("MLX_SEED", "1", 1);
    struct we_settings *s =
        open_settings("\nLLM_TEMPERATURE=0.5\nLOG_LEVEL=Warning\nUI_THEME=pink\nDATABASE_URL=x\nMLX_SEEDS=1\n");
    struct we_setting_place place = we_settings_place(s, WE_SETTING_TEMPERATURE);
    assert_true(place.source == WE_SOURCE_FILE && place.line == 2);
    assert_string_equal(place.variable, "LLM_TEMPERATURE");
    assert_string_equal(place.file, ".env");
    place = we_settings_place(s, WE_SETTING_SEED);
    assert_true(place.source == WE_SOURCE_ENVIRONMENT && place.file == NULL && place.line == 0);
    assert_string_equal(place.variable, "MLX_SEED");
    place = we_settings_place(s, WE_SETTING_TOP_P);
    assert_true(place.source == WE_SOURCE_DEFAULT && place.variable == NULL);
    assert_string_equal(we_settings_text(s, WE_SETTING_LOG_LEVEL), "warning"); /* as the table writes it */
    struct we_error error;
    assert_int_equal(we_settings_check(s, &error), WE_OK); /* no command needs the theme */
    assert_int_equal(we_settings_check_one(s, WE_SETTING_UI_THEME, &error), WE_INVALID_ARGUMENT);
    assert_string_equal(error.message, ".env:4: UI_THEME is \"pink\", but one of auto|light|dark was expected");
    assert_string_equal(we_settings_stated(s, WE_SETTING_UI_THEME), "pink");
    assert_string_equal(we_settings_text(s, WE_SETTING_UI_THEME), "auto");
    const char *name, *nearest;
    uint32_t line;
    assert_true(we_settings_mistyped(s, 0, &name, &line, &nearest));
    assert_string_equal(name, "MLX_SEEDS");
    assert_string_equal(nearest, "MLX_SEED");
    assert_int_equal(line, 6);
    assert_false(we_settings_mistyped(s, 1, &name, &line, &nearest));
    we_settings_free(s);
}

static void test_shown_values(void **state)
{
    (void)state;
    const struct {
        const char *text, *shown;
    } table[] = {
        {"http://h/v1", "http://h/v1"},
        {"http://me:pw@h/v1", "http://********@h/v1"},
        {"https://a@b@h:1/v1?x=@", "https://********@h:1/v1?x=@"},
        {"http://h/a@b", "http://h/a@b"},
        {"me@h", "me@h"},
        {"http://@", "http://********@"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct we_buf out = {0};
        we_show_address(table[i].text, &out);
        assert_true(we_str_equal_c(we_buf_str(&out), table[i].shown));
        we_buf_free(&out);
    }
    struct we_settings *s = open_settings("HF_TOKEN=hf_secret\nMLX_TOP_P=0.25\n");
    struct we_buf out = {0};
    we_settings_show(s, WE_SETTING_HF_TOKEN, &out);
    we_settings_show(s, WE_SETTING_TOP_P, &out);
    we_settings_show(s, WE_SETTING_API_KEY, &out);
    assert_string_equal(out.data, "********0.25");
    we_buf_free(&out);
    we_settings_free(s);
}

static void test_which_file_to_write(void **state)
{
    (void)state;
    struct we_settings *s = open_settings(NULL);
    struct we_error error;
    char *path, expected[128];
    snprintf(expected, sizeof expected, "%s/.config/whisperengine/.env", folder);
    assert_int_equal(we_settings_file_to_write(s, &path, &error), WE_OK);
    assert_string_equal(path, expected);
    free(path);
    assert_int_equal(we_make_directories("models", &error), WE_OK);
    assert_int_equal(we_settings_file_to_write(s, &path, &error), WE_OK);
    assert_string_equal(path, ".env");
    free(path);
    we_settings_free(s);
    write_file("other.env", "");
    assert_int_equal(we_settings_open("other.env", &s, &error), WE_OK);
    assert_int_equal(we_settings_file_to_write(s, &path, &error), WE_OK);
    assert_string_equal(path, "other.env");
    free(path);
    we_settings_free(s);
}

static void test_what_values_mean(void **state)
{
    (void)state;
    const struct {
        enum we_setting_id id;
        const char *text;
        double value; /* negative: it is refused */
    } table[] = {
        {WE_SETTING_MAX_TOKENS, "1", 1},
        {WE_SETTING_MAX_TOKENS, " 12 ", 12},
        {WE_SETTING_MAX_TOKENS, "4294967295", 4294967295.0},
        {WE_SETTING_MAX_TOKENS, "4294967296", -1},
        {WE_SETTING_MAX_TOKENS, "0", -1},
        {WE_SETTING_MAX_TOKENS, "-1", -1},
        {WE_SETTING_MAX_TOKENS, "1.5", -1},
        {WE_SETTING_MAX_TOKENS, "many", -1},
        {WE_SETTING_MAX_TOKENS, "", -1},
        {WE_SETTING_MAX_TOKENS, "1 2", -1},
        {WE_SETTING_MAX_TOKENS, "0x10", -1},
        {WE_SETTING_SEED, "18446744073709551615", 18446744073709551615.0},
        {WE_SETTING_SEED, "18446744073709551616", -1},
        {WE_SETTING_SEED, "99999999999999999999999999", -1},
        {WE_SETTING_SEED, "0", 0},
        {WE_SETTING_TEMPERATURE, "0", 0},
        {WE_SETTING_TEMPERATURE, ".5", 0.5},
        {WE_SETTING_TEMPERATURE, "1.", 1},
        {WE_SETTING_TEMPERATURE, "1e-1", 0.1},
        {WE_SETTING_TEMPERATURE, "+2E+1", 20},
        {WE_SETTING_TEMPERATURE, "-0.1", -1},
        {WE_SETTING_TEMPERATURE, "nan", -1},
        {WE_SETTING_TEMPERATURE, "inf", -1},
        {WE_SETTING_TEMPERATURE, "1e999", -1},
        {WE_SETTING_TEMPERATURE, "0,7", -1},
        {WE_SETTING_TEMPERATURE, "1.2.3", -1},
        {WE_SETTING_TEMPERATURE, ".", -1},
        {WE_SETTING_TEMPERATURE, "1e", -1},
        {WE_SETTING_TEMPERATURE, "e1", -1},
        {WE_SETTING_TEMPERATURE, "100.1", -1},
        {WE_SETTING_TEMPERATURE, "0.00000000000000000000000000000000000000000000000000000000000000001", -1},
        {WE_SETTING_TOP_P, "1.01", -1},
        {WE_SETTING_XTC_THRESHOLD, "0.5", 0.5},
        {WE_SETTING_XTC_THRESHOLD, "0.51", -1},
        {WE_SETTING_MEMORY_LIMIT, "1000", 1000},
        {WE_SETTING_MEMORY_LIMIT, "8G", 8589934592.0},
        {WE_SETTING_MEMORY_LIMIT, "8GB", 8589934592.0},
        {WE_SETTING_MEMORY_LIMIT, "8 gib", 8589934592.0},
        {WE_SETTING_MEMORY_LIMIT, "1.5K", 1536},
        {WE_SETTING_MEMORY_LIMIT, "2m", 2097152},
        {WE_SETTING_MEMORY_LIMIT, "1T", 1099511627776.0},
        {WE_SETTING_MEMORY_LIMIT, "10B", 10},
        {WE_SETTING_MEMORY_LIMIT, "8X", -1},
        {WE_SETTING_MEMORY_LIMIT, "-1G", -1},
        {WE_SETTING_MEMORY_LIMIT, "G", -1},
        {WE_SETTING_MEMORY_LIMIT, "8GG", -1},
        {WE_SETTING_MEMORY_LIMIT, "1e30", -1},
        {WE_SETTING_MEMORY_LIMIT, "9999999999G", -1},
        {WE_SETTING_MEMORY_LIMIT, "8 G x", -1},
        {WE_SETTING_DEVICE, "tpu", -1},
        {WE_SETTING_DEVICE, "cp", -1},
        {WE_SETTING_DEVICE, "cpu|cuda", -1},
        {WE_SETTING_DEVICE, "", -1},
        {WE_SETTING_DEVICE, "mlx", 0},
        {WE_SETTING_DEVICE, "cpu", 0},
        {WE_SETTING_MODELS_DIR, "", -1},
    };
    struct we_settings *s = open_settings(NULL);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct we_error error = {0};
        we_status status = we_settings_set(s, table[i].id, table[i].text, &error);
        if ((status == WE_OK) != (table[i].value >= 0))
            fail_msg("%s \"%s\": %s", we_setting_row(table[i].id)->flag, table[i].text, error.message);
        if (status == WE_OK && table[i].id == WE_SETTING_SEED)
            assert_true((double)we_settings_integer(s, table[i].id) == table[i].value);
        if (status == WE_OK)
            assert_true(we_settings_number(s, table[i].id) == table[i].value);
        else
            assert_non_null(strstr(error.message, we_setting_row(table[i].id)->flag));
    }
    struct we_error error;
    assert_int_equal(we_settings_set(s, WE_SETTING_TOP_P, "2", &error), WE_INVALID_ARGUMENT);
    assert_string_equal(error.message, "--top-p is \"2\", but a number from 0 to 1 was expected");
    assert_int_equal(we_settings_set(s, WE_SETTING_PRECISION, "half", &error), WE_INVALID_ARGUMENT);
    assert_string_equal(error.message, "--precision is \"half\", but one of exact|fast was expected");
    we_settings_free(s);
}

static void test_wrong_values_in_files_are_named(void **state)
{
    (void)state;
    struct we_error error = {0};
    struct we_settings *s = open_settings("A=1\nMLX_TEMPERATURE=warm\n");
    assert_int_equal(we_settings_check(s, &error), WE_INVALID_ARGUMENT);
    assert_string_equal(error.message, ".env:2: MLX_TEMPERATURE is \"warm\", but a number from 0 to 100 was expected");
    assert_true(we_settings_number(s, WE_SETTING_TEMPERATURE) == 0.7);
    assert_false(we_settings_is_set(s, WE_SETTING_TEMPERATURE));
    assert_string_equal(we_settings_origin(s, WE_SETTING_TEMPERATURE), "default");
    set(s, WE_SETTING_TEMPERATURE, "1"); /* a flag makes it harmless */
    assert_int_equal(we_settings_check(s, &error), WE_OK);
    we_settings_free(s);
    setenv("MLX_TOP_P", "9", 1);
    s = open_settings("");
    assert_int_equal(we_settings_check(s, &error), WE_INVALID_ARGUMENT);
    assert_string_equal(error.message, "MLX_TOP_P is \"9\", but a number from 0 to 1 was expected");
    we_settings_free(s);
    unsetenv("MLX_TOP_P");
    s = open_settings("A=1\nset -a\nMLX_SEED=3\n"); /* a line for others */
    const char *what;
    uint32_t line;
    assert_int_equal(we_settings_integer(s, WE_SETTING_SEED), 3);
    assert_true(we_settings_unreadable(s, 0, &line, &what) && line == 2);
    assert_false(we_settings_unreadable(s, 1, &line, &what));
    we_settings_free(s);
    write_file(".env", "A=1\nMLX_SEED: 3\n"); /* one for us */
    assert_int_equal(we_settings_open(NULL, &s, &error), WE_INVALID_FORMAT);
    assert_null(s);
    assert_non_null(strstr(error.message, ".env:2: "));
}

static void test_which_file(void **state)
{
    (void)state;
    struct we_settings *s;
    struct we_error error;
    assert_int_equal(we_settings_open("missing.env", &s, &error), WE_NOT_FOUND);
    assert_int_equal(we_make_directories(".config/whisperengine", &error), WE_OK);
    assert_int_equal(we_make_directories("xdg/whisperengine", &error), WE_OK);
    write_file(".config/whisperengine/.env", "MLX_SEED=1\nLOCAL_MODELS_DIR=m/n\nBOT_SYSTEM_PROMPT_FILE=/abs\n");
    write_file("xdg/whisperengine/.env", "MLX_SEED=2\n");
    s = open_settings(NULL);
    assert_int_equal(we_settings_integer(s, WE_SETTING_SEED), 1);
    char expected[256]; /* paths in it are meant from its folder */
    snprintf(expected, sizeof expected, "%s/.config/whisperengine/m/n", folder);
    assert_string_equal(we_settings_text(s, WE_SETTING_MODELS_DIR), expected);
    assert_string_equal(we_settings_text(s, WE_SETTING_SYSTEM_PROMPT_FILE), "/abs");
    we_settings_free(s);
    snprintf(expected, sizeof expected, "%s/xdg", folder);
    setenv("XDG_CONFIG_HOME", expected, 1);
    s = open_settings(NULL);
    assert_int_equal(we_settings_integer(s, WE_SETTING_SEED), 2);
    we_settings_free(s);
    assert_int_equal(we_make_directories(".env", &error), WE_OK); /* a virtual environment of Python's may have this name */
    s = open_settings(NULL);
    assert_int_equal(we_settings_integer(s, WE_SETTING_SEED), 2);
    we_settings_free(s);
    rmdir(".env");
    s = open_settings("MLX_SEED=3\nLOCAL_MODELS_DIR=./models\nHF_HOME=~/hf\n");
    assert_int_equal(we_settings_integer(s, WE_SETTING_SEED), 3);
    assert_string_equal(we_settings_text(s, WE_SETTING_MODELS_DIR), "./models");
    snprintf(expected, sizeof expected, "%s/hf", folder);
    assert_string_equal(we_settings_text(s, WE_SETTING_HF_HOME), expected);
    assert_int_equal(we_settings_export(s, &error), WE_OK);
    assert_string_equal(getenv("HF_HOME"), expected);
    assert_null(getenv("HF_HUB_CACHE"));
    we_settings_free(s);
    write_file("other.env", "MLX_SEED=4\n");
    setenv("HF_HOME", "/stronger", 1);
    assert_int_equal(we_settings_open("other.env", &s, &error), WE_OK);
    assert_int_equal(we_settings_integer(s, WE_SETTING_SEED), 4);
    assert_int_equal(we_settings_export(s, &error), WE_OK);
    assert_string_equal(getenv("HF_HOME"), "/stronger");
    we_settings_free(s);
}

static void test_system_prompt(void **state)
{
    (void)state;
    char *text;
    struct we_error error;
    struct we_settings *s = open_settings(NULL);
    assert_int_equal(we_settings_system_prompt(s, &text, &error), WE_OK);
    assert_null(text);
    we_settings_free(s);
    s = open_settings("BOT_SYSTEM_PROMPT_FILE=prompt.txt");
    assert_int_equal(we_settings_system_prompt(s, &text, &error), WE_NOT_FOUND);
    assert_null(text);
    assert_non_null(strstr(error.message, ".env:1: BOT_SYSTEM_PROMPT_FILE"));
    assert_non_null(strstr(error.message, "prompt.txt"));
    write_file("prompt.txt", "You are\nkind.\r\n\n");
    assert_int_equal(we_settings_system_prompt(s, &text, &error), WE_OK);
    assert_string_equal(text, "You are\nkind.");
    free(text);
    set(s, WE_SETTING_SYSTEM_PROMPT, "Be brief.\n");
    assert_int_equal(we_settings_system_prompt(s, &text, &error), WE_OK);
    assert_string_equal(text, "Be brief.\n");
    free(text);
    set(s, WE_SETTING_SYSTEM_PROMPT_FILE, "prompt.txt"); /* two flags: the text */
    assert_int_equal(we_settings_system_prompt(s, &text, &error), WE_OK);
    assert_string_equal(text, "Be brief.\n");
    free(text);
    set(s, WE_SETTING_SYSTEM_PROMPT, ""); /* none, whatever the file says */
    assert_int_equal(we_settings_system_prompt(s, &text, &error), WE_OK);
    assert_string_equal(text, "");
    free(text);
    we_settings_free(s);
    write_file("prompt.txt", "");
    s = open_settings(NULL);
    assert_int_equal(we_settings_system_prompt(s, &text, &error), WE_OK);
    assert_string_equal(text, "");
    free(text);
    we_settings_free(s);
}

static void test_into_structures(void **state)
{
    (void)state;
    struct we_settings *s = open_settings(NULL);
    const char *const flags[][2] = {
        {"--temp", "0.5"},
        {"--top-p", "0.8"},
        {"--min-p", "0.1"},
        {"--min-tokens-to-keep", "2"},
        {"--top-k", "7"},
        {"--xtc-probability", "0.2"},
        {"--xtc-threshold", "0.3"},
        {"--repetition-penalty", "1.1"},
        {"--presence-penalty", "-0.5"},
        {"--frequency-penalty", "0.25"},
        {"--repetition-context-size", "9"},
        {"--seed", "11"},
        {"--max-tokens", "12"},
        {"--models-dir", "mm"},
        {"--device", "cpu"},
        {"--isa", "avx2"},
        {"-t", "3"},
        {"--context", "512"},
        {"--memory-limit", "1G"},
        {"--precision", "fast"},
        {"--rope-compat", "mlx"},
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        assert_non_null(we_setting_by_flag(flags[i][0]));
        set(s, we_setting_by_flag(flags[i][0])->id, flags[i][1]);
    }
    struct we_request r = {0};
    struct we_model_options o = {0};
    we_settings_request(s, &r);
    we_settings_model_options(s, &o);
    assert_true(r.sampling.temperature == 0.5f && r.sampling.top_p == 0.8f && r.sampling.min_p == 0.1f);
    assert_true(r.sampling.min_tokens_to_keep == 2 && r.sampling.top_k == 7 && r.sampling.xtc_probability == 0.2f);
    assert_true(r.sampling.xtc_threshold == 0.3f && r.sampling.repetition_penalty == 1.1f &&
                r.sampling.presence_penalty == -0.5f);
    assert_true(r.sampling.frequency_penalty == 0.25f && r.sampling.repetition_context == 9 && r.sampling.seed == 11);
    assert_true(r.sampling.has_seed && r.max_tokens == 12);
    assert_string_equal(o.models_dir, "mm");
    assert_string_equal(o.device, "cpu");
    assert_string_equal(o.isa, "avx2");
    assert_true(o.threads == 3 && o.max_context == 512 && o.memory_limit == 1u << 30);
    assert_true(o.precision == WE_PRECISION_FAST && o.rope_compat == WE_ROPE_MLX);
    set(s, WE_SETTING_PRECISION, "exact");
    set(s, WE_SETTING_ROPE_COMPAT, "paper");
    we_settings_model_options(s, &o);
    assert_true(o.precision == WE_PRECISION_EXACT && o.rope_compat == WE_ROPE_PAPER);
    we_settings_free(s);
}

#if defined(__linux__)
static bool use_some(void)
{
    struct we_settings *s;
    struct we_error error = {0};
    char *text = NULL;
    we_status status = we_settings_open(NULL, &s, &error);
    if (status == WE_OK)
        status = we_settings_set(s, WE_SETTING_SEED, "1", &error);
    if (status == WE_OK)
        status = we_settings_system_prompt(s, &text, &error);
    if (status != WE_OK && (status != WE_OUT_OF_MEMORY || strstr(error.message, "out of memory") == NULL))
        abort();
    free(text);
    we_settings_free(s);
    return status == WE_OK;
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    write_file("prompt.txt", "text");
    write_file(".env", "BOT_SYSTEM_PROMPT_FILE=~/prompt.txt\nMLX_SEED=1\nMLX_MODEL_NAME=~/a\nLOCAL_MODELS_DIR=b\n");
    assert_true(survive_failures(use_some) >= 10);
}
#endif

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        IN_FOLDER(test_defaults),
        IN_FOLDER(test_order_of_layers),
        IN_FOLDER(test_second_names),
        IN_FOLDER(test_model_names),
        IN_FOLDER(test_models_at_endpoints),
        IN_FOLDER(test_places),
        IN_FOLDER(test_shown_values),
        IN_FOLDER(test_which_file_to_write),
        IN_FOLDER(test_what_values_mean),
        IN_FOLDER(test_wrong_values_in_files_are_named),
        IN_FOLDER(test_which_file),
        IN_FOLDER(test_system_prompt),
        IN_FOLDER(test_into_structures),
#if defined(__linux__)
        IN_FOLDER(test_memory_runs_out),
#endif
    };
    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
