/* The page of models in the real program, with a Hub on the loopback: download, pause, resume, verify, cancel, remove, and what
 * goes wrong. */
#include "driver.h"

#include "log_page.h"
#include "models_page.h"
#include "tool_windows.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static GtkWidget *page; /* of the window that is open */
static char *hub_script, *go;

static bool page_shows(void *text)
{
    return driver_shows(page, text);
}

static bool page_shows_no_more(void *text)
{
    return !driver_shows(page, text);
}

static bool part_is_fetched(void *context)
{
    (void)context;
    return driver_shows(page, " of 4");
}

static void wait_for(const char *text)
{
    driver_wait(text, page_shows, (void *)text);
}

static void fetch(void)
{
    we_models_page_download(WE_MODELS_PAGE(page), " https://huggingface.co/org/small ");
}

static void answer_dialog(void)
{
    GListModel *windows = gtk_window_get_toplevels();
    for (guint i = 0; i < g_list_model_get_n_items(windows); i++) {
        g_autoptr(GtkWindow) window = g_list_model_get_item(windows, i);
        if (ADW_IS_MESSAGE_DIALOG(window)) {
            adw_message_dialog_response(ADW_MESSAGE_DIALOG(window), "remove");
            gtk_window_destroy(window);
            return;
        }
    }
    fail_msg("no question was asked");
}

static void manage(WeApplication *application, WeWindow *window)
{
    (void)application;
    g_action_group_activate_action(G_ACTION_GROUP(window), "models", NULL);
    driver_settle();
    GtkWindow *tool = we_tool_windows_get(GTK_APPLICATION_WINDOW(window), "models");
    page = driver_find(GTK_WIDGET(tool), WE_TYPE_MODELS_PAGE, NULL, 0);
    assert_non_null(page);
    wait_for("There is no model yet.");

    /* A part of it, then no more: paused there, and what was fetched is kept. */
    fetch();
    driver_wait("a part is fetched", part_is_fetched, NULL);
    driver_click(page, "Pause", 0);
    wait_for("Paused");
    wait_for("the download is not complete");
    assert_true(g_file_set_contents(go, "", 0, NULL));
    driver_click(page, "Resume", 0);
    wait_for("Downloaded");
    driver_wait("it is complete", page_shows_no_more, "the download is not complete");
    driver_click(page, "Close", 0);
    driver_settle();
    assert_int_equal(driver_count(page, GTK_TYPE_BUTTON, "Pause"), 0);

    /* Again: nothing has to be fetched. */
    fetch();
    wait_for("It is on this computer already");
    driver_click(page, "Close", 0);

    driver_click(page, "Verify the files: org/small", 0);
    wait_for("as the Hub has them");
    driver_click(page, "Close", 0);

    driver_click(page, "Remove: org/small", 0);
    driver_settle();
    answer_dialog();
    wait_for("There is no model yet.");

    /* Cancelled: nothing is left. */
    unlink(go);
    fetch();
    driver_wait("a part is fetched", part_is_fetched, NULL);
    driver_click(page, "Cancel", 0);
    driver_wait("the row is gone", page_shows_no_more, "org/small");
    wait_for("There is no model yet.");

    /* What is not there is told of in words. */
    we_models_page_download(WE_MODELS_PAGE(page), "org/smal");
    wait_for("org/small");
    assert_true(driver_shows(page, "org/smal"));
    driver_click(page, "Cancel", 0);
    driver_settle();
}

static void offline(WeApplication *application, WeWindow *window)
{
    (void)application;
    g_action_group_activate_action(G_ACTION_GROUP(window), "models", NULL);
    driver_settle();
    page = driver_find(GTK_WIDGET(we_tool_windows_get(GTK_APPLICATION_WINDOW(window), "models")), WE_TYPE_MODELS_PAGE, NULL, 0);
    we_models_page_download(WE_MODELS_PAGE(page), "org/small");
    wait_for("HF_HUB_OFFLINE");
}

static void test_models(void **state)
{
    (void)state;
    GError *error = NULL;
    char address[128] = "";
    gint input, output;
    g_autofree char *python = g_find_program_in_path("python3");
    if (python == NULL) {
        print_message("skipped: there is no python3 to serve a Hub with\n");
        skip();
    }
    go = g_strdup_printf("%s/we-hub-go-%d", g_get_tmp_dir(), (int)getpid());
    char *arguments[] = {python, hub_script, go, NULL};
    if (!g_spawn_async_with_pipes(NULL, arguments, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, &input, &output, NULL, &error))
        fail_msg("%s", error->message);
    for (size_t n = 0; n + 1 < sizeof address && read(output, address + n, 1) == 1 && address[n] != '\n'; n++)
        continue;
    g_strchomp(address);
    assert_true(g_str_has_prefix(address, "http"));

    driver_begin();
    g_autofree char *env = g_strdup_printf("HF_ENDPOINT=%s\nLOCAL_MODELS_DIR=./fetched\n", address);
    driver_write_env(env);
    driver_run(manage);
    g_autofree char *off = g_strdup_printf("%sHF_HUB_OFFLINE=1\n", env);
    driver_write_env(off);
    driver_run(offline);
    driver_end();
    close(input);
    close(output);
    unlink(go);
    g_free(go);
}

int main(int argc, char **argv)
{
    hub_script = argc > 1 ? argv[1] : NULL;
    if (hub_script == NULL)
        return 2;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_models)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
