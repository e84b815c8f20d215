/* A conversation in the real window, with the real default model. */
#include "driver.h"

#include "composer.h"
#include "message_row.h"

#include "client/messages.h"

#include <stdlib.h>
#include <string.h>

static const char QUESTION[] = "What is the capital of France?";

static GtkWidget *chat_of(WeWindow *window)
{
    return GTK_WIDGET(we_window_chat(window));
}

static bool is_ready(void *context)
{
    return we_engine_state(we_application_engine(context)) == WE_ENGINE_READY;
}

static bool has_failed(void *context)
{
    return we_engine_state(we_application_engine(context)) == WE_ENGINE_FAILED;
}

static bool answers_nothing(void *context)
{
    return we_chat_view_answering(context) == 0;
}

/* The conversation that is shown, as the store has it. */
static struct we_conversation *load(WeApplication *application, WeWindow *window, struct we_arena *arena)
{
    struct we_conversation *conversation;
    struct we_error error;
    int64_t id = we_chat_view_conversation(we_window_chat(window));
    if (we_conversations_load(we_application_store(application), id, arena, &conversation, &error) != WE_OK)
        fail_msg("%s", error.message);
    return conversation;
}

static void send(WeWindow *window, const char *text)
{
    driver_type(window, text);
    driver_click(chat_of(window), "Send", 0);
}

static void wait_for_reply(WeWindow *window)
{
    driver_wait("a reply ends", answers_nothing, we_window_chat(window));
}

/* What the library answers, greedily, to one message. */
static char *expected_reply(const char *question, uint32_t max_tokens)
{
    struct we_model_options options;
    struct we_model *model;
    struct we_request request;
    struct we_result result;
    struct we_buf messages = {0};
    struct we_error error;
    we_model_options_init(&options);
    options.models_dir = driver_models_dir();
    options.precision = WE_PRECISION_FAST;
    assert_int_equal(we_model_open("HuggingFaceTB/SmolLM2-135M-Instruct-4bit", &options, &model, &error), WE_OK);
    we_request_init(&request, model);
    request.sampling.temperature = 0;
    request.max_tokens = max_tokens;
    assert_int_equal(we_messages_write(&messages, NULL, we_str_c(question), NULL, &error), WE_OK);
    request.messages = messages.data;
    assert_int_equal(we_generate(model, &request, &result, &error), WE_OK);
    char *text = strdup(result.text);
    we_result_clear(&result);
    we_buf_free(&messages);
    we_model_close(model);
    return text;
}

/* ---- chat, regenerate, edit ---- */

static char *expected;

static void chat(WeApplication *application, WeWindow *window)
{
    struct we_arena arena = {0};
    driver_wait("the model is loaded", is_ready, application);
    assert_true(driver_shows(chat_of(window), "What can I help you with?"));
    send(window, QUESTION);
    assert_int_equal(driver_count(chat_of(window), WE_TYPE_MESSAGE_ROW, NULL), 2);
    /* A quick machine may have answered by now. */
    bool answering = !answers_nothing(we_window_chat(window));
    assert_int_equal(driver_find(chat_of(window), GTK_TYPE_BUTTON, "Stop the reply", 0) != NULL, answering);
    wait_for_reply(window);
    assert_true(driver_shows(chat_of(window), expected));
    assert_true(driver_shows(chat_of(window), "tokens/s"));
    assert_true(driver_shows(chat_of(window), "first token after"));
    struct we_conversation *c = load(application, window, &arena);
    assert_int_equal(c->num_messages, 2);
    assert_string_equal(c->messages[0].text, QUESTION);
    assert_string_equal(c->messages[1].text, expected);
    assert_true(c->messages[1].state == WE_MESSAGE_CUT || c->messages[1].state == WE_MESSAGE_WHOLE);
    assert_true(c->messages[1].figures.generation_tokens > 0 && c->messages[1].figures.time_to_first_token > 0);
    assert_string_equal(c->title, QUESTION);
    assert_true(driver_shows(GTK_WIDGET(window), QUESTION));
    we_arena_free(&arena);
    assert_non_null(driver_find(chat_of(window), GTK_TYPE_BUTTON, "Send", 0));
}

static void regenerate(WeApplication *application, WeWindow *window)
{
    struct we_arena arena = {0};
    driver_wait("the model is loaded", is_ready, application);
    assert_int_equal(driver_count(chat_of(window), WE_TYPE_MESSAGE_ROW, NULL), 2); /* where it was left */
    driver_click(chat_of(window), "Regenerate", 0);
    wait_for_reply(window);
    struct we_conversation *c = load(application, window, &arena);
    assert_int_equal(c->num_messages, 2);
    assert_int_equal(c->messages[1].num_siblings, 2);
    assert_int_equal(c->messages[1].sibling, 1);
    assert_string_equal(c->messages[1].text, expected); /* greedy: the same again */
    assert_true(driver_shows(chat_of(window), "2/2"));
    int64_t second = c->messages[1].id;
    driver_click(chat_of(window), "Previous reply", 0);
    assert_true(driver_shows(chat_of(window), "1/2"));
    c = load(application, window, &arena);
    assert_int_equal(c->messages[1].sibling, 0);
    assert_true(c->messages[1].id != second);
    driver_click(chat_of(window), "Next reply", 0);
    assert_int_equal(load(application, window, &arena)->messages[1].id, second);
    we_arena_free(&arena);
}

static void edit(WeApplication *application, WeWindow *window)
{
    struct we_arena arena = {0};
    driver_wait("the model is loaded", is_ready, application);
    driver_click(chat_of(window), "Edit and send again", 0);
    GtkWidget *view = driver_find(chat_of(window), GTK_TYPE_TEXT_VIEW, "Edited message", 0);
    assert_non_null(view);
    gtk_text_buffer_set_text(gtk_text_view_get_buffer(GTK_TEXT_VIEW(view)), "Name a colour.", -1);
    driver_click(chat_of(window), "Send Again", 0);
    wait_for_reply(window);
    struct we_conversation *c = load(application, window, &arena);
    assert_int_equal(c->num_messages, 2);
    assert_string_equal(c->messages[0].text, "Name a colour.");
    assert_int_equal(c->messages[0].num_siblings, 2);
    assert_int_equal(c->messages[1].num_siblings, 1);
    driver_click(chat_of(window), "Previous version", 0);
    c = load(application, window, &arena);
    assert_string_equal(c->messages[0].text, QUESTION);
    assert_int_equal(c->messages[1].num_siblings, 2); /* the branch is as it was */
    we_arena_free(&arena);
}

static void test_chat(void **state)
{
    (void)state;
    const char *models = driver_models_dir();
    driver_begin();
    g_autofree char *env = g_strdup_printf("LOCAL_MODELS_DIR=%s\nMLX_TEMPERATURE=0\nMLX_MAX_TOKENS=24\n", models);
    driver_write_env(env);
    expected = expected_reply(QUESTION, 24);
    driver_run(chat);
    driver_run(regenerate);
    driver_run(edit);
    g_clear_pointer(&expected, free);
    driver_end();
}

/* ---- stop ---- */

static bool is_writing(void *context)
{
    return we_engine_state(we_application_engine(context)) == WE_ENGINE_WRITING;
}

static void stop(WeApplication *application, WeWindow *window)
{
    struct we_arena arena = {0};
    driver_wait("the model is loaded", is_ready, application);
    send(window, "Write a long story about the sea.");
    driver_wait("some text comes", is_writing, application);
    assert_true(we_chat_view_answering(we_window_chat(window)) != 0);
    driver_click(chat_of(window), "Stop the reply", 0);
    wait_for_reply(window);
    struct we_conversation *c = load(application, window, &arena);
    assert_int_equal(c->num_messages, 2);
    assert_int_equal(c->messages[1].state, WE_MESSAGE_STOPPED);
    assert_true(c->messages[1].length > 0);
    assert_true(driver_shows(chat_of(window), c->messages[1].text));
    assert_true(driver_shows(chat_of(window), "Stopped"));
    /* The next message is answered as ever, and Escape stops it too. */
    send(window, "Go on.");
    assert_true(we_chat_view_answering(we_window_chat(window)) != 0);
    g_action_group_activate_action(G_ACTION_GROUP(window), "stop", NULL);
    wait_for_reply(window);
    c = load(application, window, &arena);
    assert_int_equal(c->num_messages, 4);
    assert_int_equal(c->messages[3].state, WE_MESSAGE_STOPPED);
    we_arena_free(&arena);
}

/* The program is closed in the middle of a reply. */
static void leave(WeApplication *application, WeWindow *window)
{
    driver_wait("the model is loaded", is_ready, application);
    g_action_group_activate_action(G_ACTION_GROUP(window), "new-chat", NULL);
    send(window, "Write a long story about the hills.");
    driver_wait("some text comes", is_writing, application);
    gtk_window_set_default_size(GTK_WINDOW(window), 777, 555);
}

static void come_back(WeApplication *application, WeWindow *window)
{
    struct we_arena arena = {0};
    int width, height;
    struct we_conversation *c = load(application, window, &arena);
    assert_int_equal(c->num_messages, 2);
    assert_string_equal(c->messages[0].text, "Write a long story about the hills.");
    assert_int_equal(c->messages[1].state, WE_MESSAGE_STOPPED);
    assert_true(c->messages[1].length > 0);
    assert_true(driver_shows(chat_of(window), c->messages[1].text));
    gtk_window_get_default_size(GTK_WINDOW(window), &width, &height);
    assert_int_equal(width, 777);
    assert_int_equal(height, 555);
    driver_type(window, "a draft");
    we_arena_free(&arena);
}

static void find_draft(WeApplication *application, WeWindow *window)
{
    (void)application;
    GtkWidget *composer = driver_find(GTK_WIDGET(window), WE_TYPE_COMPOSER, NULL, 0);
    g_autofree char *text = we_composer_text(WE_COMPOSER(composer));
    assert_string_equal(text, "a draft");
}

static void test_stop(void **state)
{
    (void)state;
    const char *models = driver_models_dir();
    driver_begin();
    g_autofree char *env = g_strdup_printf("LOCAL_MODELS_DIR=%s\nMLX_MAX_TOKENS=4000\nMLX_SEED=3\n", models);
    driver_write_env(env);
    driver_run(stop);
    driver_run(leave);
    driver_run(come_back);
    driver_run(find_draft);
    driver_end();
}

/* ---- what is wrong is said ---- */

struct words {
    GtkWidget *root;
    const char *text;
};

static bool are_shown(void *context)
{
    const struct words *words = context;
    return driver_shows(words->root, words->text);
}

/* A notice unfolds with the frames. */
static void wait_for_words(WeWindow *window, const char *text)
{
    struct words words = {chat_of(window), text};
    driver_wait(text, are_shown, &words);
}

static void no_model(WeApplication *application, WeWindow *window)
{
    driver_wait("it is told that there is no model", has_failed, application);
    wait_for_words(window, "There is no model on this computer yet.");
    driver_type(window, QUESTION);
    GtkWidget *button = driver_find(chat_of(window), GTK_TYPE_BUTTON, "Send", 0);
    assert_non_null(button);
    assert_false(gtk_widget_is_sensitive(button));
}

static void wrong_model(WeApplication *application, WeWindow *window)
{
    driver_wait("it is told that the model is not there", has_failed, application);
    wait_for_words(window, "nobody/nothing");
    wait_for_words(window, "neither LM Studio");
    assert_non_null(driver_find(chat_of(window), GTK_TYPE_BUTTON, "Try Again", 0));
}

static void test_problems(void **state)
{
    (void)state;
    driver_begin();
    driver_write_env("LOCAL_MODELS_DIR=./none\n");
    driver_run(no_model);
    driver_write_env("LLM_CHAT_API_URL=mlx://nobody/nothing\nLM_STUDIO_API_URL=http://127.0.0.1:9/v1\n"
                     "OLLAMA_API_URL=http://127.0.0.1:9/v1\n");
    driver_run(wrong_model);
    driver_end();
}

/* ---- keys and names ---- */

static void names(WeApplication *application, WeWindow *window)
{
    (void)application;
    for (int i = 0;; i++) {
        GtkWidget *button = driver_find(GTK_WIDGET(window), GTK_TYPE_BUTTON, NULL, i);
        if (button == NULL)
            break;
        bool in_menu_button = gtk_widget_get_ancestor(button, GTK_TYPE_MENU_BUTTON) != NULL;
        bool of_window = gtk_widget_get_ancestor(button, GTK_TYPE_WINDOW_CONTROLS) != NULL;
        if (!in_menu_button && !of_window && gtk_button_get_label(GTK_BUTTON(button)) == NULL &&
            !gtk_test_accessible_has_property(GTK_ACCESSIBLE(button), GTK_ACCESSIBLE_PROPERTY_LABEL))
            fail_msg("a button with the icon %s has no name", gtk_button_get_icon_name(GTK_BUTTON(button)));
    }
    static const struct {
        const char *action, *accel;
    } keys[] = {{"win.new-chat", "<Control>n"},
                {"win.clear-chat", "<Control>l"},
                {"app.quit", "<Control>q"},
                {"win.stop", "Escape"},
                {"win.show-help-overlay", "F1"}};
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_auto(GStrv) accels = gtk_application_get_accels_for_action(GTK_APPLICATION(application), keys[i].action);
        assert_true(g_strv_contains((const char *const *)accels, keys[i].accel));
        g_assert_true(g_str_has_prefix(keys[i].action, "app.") ||
                      g_action_group_has_action(G_ACTION_GROUP(window), keys[i].action + 4));
    }
    g_action_group_activate_action(G_ACTION_GROUP(window), "show-help-overlay", NULL);
    driver_settle();
    assert_non_null(gtk_application_window_get_help_overlay(GTK_APPLICATION_WINDOW(window)));
    assert_true(gtk_widget_get_visible(GTK_WIDGET(gtk_application_window_get_help_overlay(GTK_APPLICATION_WINDOW(window)))));
}

static void test_names(void **state)
{
    (void)state;
    driver_begin();
    driver_write_env("LOCAL_MODELS_DIR=./none\n");
    driver_run(names);
    driver_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_chat),
        cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
