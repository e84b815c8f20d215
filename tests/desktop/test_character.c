/* The character prompt in the real program: presets, counts, a file, saving, what new chats begin with; and the log's window.
 */
#include "driver.h"

#include "character_page.h"
#include "log_page.h"
#include "tool_windows.h"

#include "base/fs.h"

#include <stdlib.h>
#include <string.h>

static GtkWidget *page; /* of the window that is open */

static GtkTextBuffer *buffer(void)
{
    return gtk_text_view_get_buffer(GTK_TEXT_VIEW(driver_find(page, GTK_TYPE_TEXT_VIEW, "Character prompt", 0)));
}

static char *text(void)
{
    GtkTextIter start, end;
    gtk_text_buffer_get_bounds(buffer(), &start, &end);
    return gtk_text_buffer_get_text(buffer(), &start, &end, FALSE);
}

static void assert_text(const char *expected)
{
    char *found = text();
    assert_string_equal(found, expected);
    g_free(found);
}

static void open_page(WeWindow *window)
{
    g_action_group_activate_action(G_ACTION_GROUP(window), "character", NULL);
    driver_settle();
    GtkWindow *tool = we_tool_windows_get(GTK_APPLICATION_WINDOW(window), "character");
    assert_non_null(tool);
    page = driver_find(GTK_WIDGET(tool), WE_TYPE_CHARACTER_PAGE, NULL, 0);
    assert_non_null(page);
}

static bool is_saved(void *context)
{
    (void)context;
    return !we_character_page_is_changed(WE_CHARACTER_PAGE(page));
}

static bool is_named(void *application)
{
    return we_settings_text(we_application_configuration(application)->settings, WE_SETTING_SYSTEM_PROMPT_FILE) != NULL;
}

static char *system_prompt(WeApplication *application)
{
    char *prompt;
    struct we_error error;
    if (we_settings_system_prompt(we_application_configuration(application)->settings, &prompt, &error) != WE_OK)
        fail_msg("%s", error.message);
    return prompt;
}

static bool is_file_text(void *expected)
{
    char *found = text();
    bool same = strcmp(found, expected) == 0;
    g_free(found);
    return same;
}

static void saves(WeApplication *application, WeWindow *window)
{
    open_page(window);
    assert_text("");
    assert_true(driver_shows(page, "0 characters"));
    assert_false(we_character_page_is_changed(WE_CHARACTER_PAGE(page)));
    gtk_drop_down_set_selected(GTK_DROP_DOWN(driver_find(page, GTK_TYPE_DROP_DOWN, "Presets", 0)), 2);
    driver_settle();
    char *preset = text();
    assert_non_null(strstr(preset, "few words"));
    g_free(preset);
    driver_click(page, "_Reset", 0);
    assert_text("");
    gtk_text_buffer_set_text(buffer(), "You are a p\xC3\xADrate.", -1);
    assert_true(driver_shows(page, "17 characters"));
    driver_click(page, "_Save", 0);
    driver_wait("the prompt is saved", is_saved, NULL);
    driver_wait("the configuration names it", is_named, application);
    char *prompt = system_prompt(application);
    assert_string_equal(prompt, "You are a p\xC3\xADrate.");
    free(prompt);
    /* What is not saved stays when the window is closed. */
    gtk_text_buffer_set_text(buffer(), "half a sen", -1);
    gtk_window_close(we_tool_windows_get(GTK_APPLICATION_WINDOW(window), "character"));
    driver_settle();
    open_page(window);
    assert_text("half a sen");
    /* From a file; one that is no text is told of, and changes nothing. */
    char *path = g_build_filename(g_get_tmp_dir(), "we-character-XXXXXX", NULL), wrong[] = "\xFF\xFE\x01";
    int fd = g_mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(we_file_write(path, we_str_c("from a file"), NULL), WE_OK);
    we_character_page_read_file(WE_CHARACTER_PAGE(page), path);
    driver_wait("the file is read", is_file_text, "from a file");
    assert_int_equal(we_file_write(path, we_str_c(wrong), NULL), WE_OK);
    we_character_page_read_file(WE_CHARACTER_PAGE(page), path);
    for (int i = 0; i < 2000 && !driver_shows(page, "is no text in UTF-8"); i++) {
        g_usleep(1000);
        driver_settle();
    }
    assert_true(driver_shows(page, "is no text in UTF-8"));
    assert_text("from a file");
    unlink(path);
    g_free(path);
}

static void is_there_again(WeApplication *application, WeWindow *window)
{
    (void)application;
    open_page(window);
    assert_text("You are a p\xC3\xADrate.");
    /* The log's window says which model is missing. */
    g_action_group_activate_action(G_ACTION_GROUP(window), "log", NULL);
    driver_settle();
    GtkWindow *tool = we_tool_windows_get(GTK_APPLICATION_WINDOW(window), "log");
    assert_non_null(driver_find(GTK_WIDGET(tool), WE_TYPE_LOG_PAGE, NULL, 0));
}

static void test_character(void **state)
{
    (void)state;
    driver_begin();
    driver_run(saves);
    driver_run(is_there_again);
    driver_end();
}

/* ---- tokens, with the default model ---- */

static bool has_tokens(void *context)
{
    (void)context;
    return driver_shows(page, "5 characters \xC2\xB7 1 token");
}

static void counts(WeApplication *application, WeWindow *window)
{
    (void)application;
    open_page(window);
    gtk_text_buffer_set_text(buffer(), "Hello", -1);
    driver_wait("the tokens are counted", has_tokens, NULL);
}

static void test_tokens(void **state)
{
    (void)state;
    const char *models = driver_models_dir();
    driver_begin();
    char *env =
        g_strdup_printf("LOCAL_MODELS_DIR=%s\nLLM_CHAT_API_URL=mlx://HuggingFaceTB/SmolLM2-135M-Instruct-4bit\n", models);
    driver_write_env(env);
    g_free(env);
    driver_run(counts);
    driver_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_character), cmocka_unit_test(test_tokens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
