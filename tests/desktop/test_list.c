/* The list of conversations in the real window: search, rename, delete and undo, export and import. No model is needed. */
#include "driver.h"

#include "conversation_files.h"
#include "message_row.h"
#include "scroller.h"
#include "sidebar.h"

#include <stdlib.h>
#include <string.h>

static WeApplication *program;

static GtkWidget *list_of(WeWindow *window)
{
    return driver_find(GTK_WIDGET(window), WE_TYPE_SIDEBAR, NULL, 0);
}

static int rows_of(WeWindow *window)
{
    return driver_count(list_of(window), GTK_TYPE_LIST_BOX_ROW, NULL);
}

/* A conversation of one message and its reply. */
static int64_t add(const char *title, const char *question, const char *answer)
{
    struct we_conversations *store = we_application_store(program);
    struct we_error error;
    int64_t id, first, second;
    if (we_conversations_new(store, NULL, NULL, &id, &error) != WE_OK ||
        we_conversations_add(store, id, 0, "user", we_str_c(question), &first, &error) != WE_OK ||
        we_conversations_add(store, id, first, "assistant", we_str_c(answer), &second, &error) != WE_OK ||
        we_conversations_rename(store, id, title, &error) != WE_OK)
        fail_msg("%s", error.message);
    return id;
}

static void activate(WeWindow *window, const char *action, int64_t id)
{
    g_action_group_activate_action(G_ACTION_GROUP(window), action, g_variant_new_int64(id));
    driver_settle();
}

struct expectation {
    WeWindow *window;
    int rows;
    const char *text;
};

static bool has_rows(void *context)
{
    struct expectation *e = context;
    return rows_of(e->window) == e->rows && (e->text == NULL || driver_shows(list_of(e->window), e->text));
}

static void wait_for_rows(WeWindow *window, int rows, const char *text)
{
    struct expectation e = {window, rows, text};
    driver_wait("the list shows what it should", has_rows, &e);
}

static bool has_entry(void *context)
{
    return driver_find(list_of(context), GTK_TYPE_SEARCH_ENTRY, NULL, 0) != NULL;
}

static GtkWindow *dialog_of(WeWindow *window)
{
    GListModel *all = gtk_window_get_toplevels();
    for (guint i = 0; i < g_list_model_get_n_items(all); i++) {
        g_autoptr(GtkWindow) other = g_list_model_get_item(all, i);
        if (ADW_IS_MESSAGE_DIALOG(other) && gtk_window_get_transient_for(other) == GTK_WINDOW(window))
            return other;
    }
    return NULL;
}

static int64_t whales;

static void search_and_change(WeApplication *application, WeWindow *window)
{
    program = application;
    assert_true(driver_shows(list_of(window), "Your conversations appear here."));
    whales = add("About whales", "How large is a blue whale?", "Up to thirty metres.");
    int64_t bread = add("Baking <b>bread</b> & more", "How long does dough rest?", "An hour, or a night in the cold.");
    we_sidebar_refresh(WE_SIDEBAR(list_of(window)));
    wait_for_rows(window, 2, "About whales");
    assert_true(driver_shows(list_of(window), "Baking <b>bread</b> & more"));

    /* What only a message says is found, with its place. */
    g_action_group_activate_action(G_ACTION_GROUP(window), "search", NULL);
    driver_wait("the search opens", has_entry, window);
    GtkWidget *entry = driver_find(list_of(window), GTK_TYPE_SEARCH_ENTRY, NULL, 0);
    gtk_editable_set_text(GTK_EDITABLE(entry), "thirty");
    wait_for_rows(window, 1, "thirty metres");
    gtk_editable_set_text(GTK_EDITABLE(entry), "nowhere-to-be-found");
    wait_for_rows(window, 0, "No conversation was found.");
    g_action_group_activate_action(G_ACTION_GROUP(window), "search", NULL);
    wait_for_rows(window, 2, NULL);

    /* Choosing one shows it. */
    GtkWidget *row = driver_find(list_of(window), GTK_TYPE_LIST_BOX_ROW, "About whales", 0);
    assert_non_null(row);
    gtk_widget_activate(row);
    driver_settle();
    assert_int_equal(we_chat_view_conversation(we_window_chat(window)), whales);
    assert_true(driver_shows(GTK_WIDGET(we_window_chat(window)), "Up to thirty metres."));

    /* Renaming. */
    activate(window, "rename-chat", whales);
    GtkWindow *dialog = dialog_of(window);
    assert_non_null(dialog);
    gtk_editable_set_text(GTK_EDITABLE(driver_find(GTK_WIDGET(dialog), GTK_TYPE_ENTRY, "Title", 0)), "Large animals");
    adw_message_dialog_response(ADW_MESSAGE_DIALOG(dialog), "rename");
    gtk_window_destroy(dialog);
    wait_for_rows(window, 2, "Large animals");
    assert_string_equal(we_chat_view_title(we_window_chat(window)), "Large animals");

    /* Deleting, and Undo. */
    activate(window, "delete-chat", bread);
    wait_for_rows(window, 1, "Large animals");
    driver_click(GTK_WIDGET(window), "Undo", 0);
    wait_for_rows(window, 2, "Baking <b>bread</b> & more");
    assert_int_equal(we_chat_view_conversation(we_window_chat(window)), bread);
    g_action_group_activate_action(G_ACTION_GROUP(window), "clear-chat", NULL);
    wait_for_rows(window, 1, "Large animals");
    assert_int_equal(we_chat_view_conversation(we_window_chat(window)), 0);
    we_chat_view_open(we_window_chat(window), whales);
}

/* ---- files ---- */

struct file_done {
    bool done;
    we_status status;
    int64_t conversation;
    char text[256];
};

static void on_file_done(gpointer context, we_status status, const char *text, int64_t conversation)
{
    struct file_done *done = context;
    *done = (struct file_done){.done = true, .status = status, .conversation = conversation};
    g_strlcpy(done->text, text, sizeof done->text);
}

static bool is_done(void *context)
{
    return ((struct file_done *)context)->done;
}

static void files(WeApplication *application, WeWindow *window)
{
    struct we_conversations *store = we_application_store(application);
    struct file_done done = {0};
    g_autofree char *text = NULL;
    wait_for_rows(window, 1, "Large animals"); /* the deleted one did not come back */
    assert_int_equal(we_chat_view_conversation(we_window_chat(window)), whales);
    we_conversation_export(store, whales, WE_EXPORT_MARKDOWN, "whales.md", on_file_done, &done);
    driver_wait("the export", is_done, &done);
    assert_int_equal(done.status, WE_OK);
    assert_true(g_file_get_contents("whales.md", &text, NULL, NULL));
    assert_non_null(strstr(text, "Large animals"));
    assert_non_null(strstr(text, "Up to thirty metres."));

    done.done = false;
    we_conversation_export(store, 0, WE_EXPORT_JSON, "all.json", on_file_done, &done);
    driver_wait("the export", is_done, &done);
    assert_int_equal(done.status, WE_OK);
    done.done = false;
    we_conversation_import(store, "all.json", on_file_done, &done);
    driver_wait("the import", is_done, &done);
    assert_int_equal(done.status, WE_OK);
    assert_string_equal(done.text, "1 conversation was imported");
    assert_true(done.conversation != 0 && done.conversation != whales);
    we_chat_view_open(we_window_chat(window), done.conversation);
    wait_for_rows(window, 2, NULL);
    assert_true(driver_shows(GTK_WIDGET(we_window_chat(window)), "Up to thirty metres."));

    done.done = false;
    we_conversation_import(store, "whales.md", on_file_done, &done);
    driver_wait("the import", is_done, &done);
    assert_int_equal(done.status, WE_INVALID_FORMAT);
    assert_non_null(strstr(done.text, "whales.md"));
    done.done = false;
    we_conversation_export(store, whales, WE_EXPORT_MARKDOWN, "no/such/folder/whales.md", on_file_done, &done);
    driver_wait("the export", is_done, &done);
    assert_true(done.status != WE_OK && done.text[0]);
}

static void test_list(void **state)
{
    (void)state;
    driver_begin();
    driver_write_env("LOCAL_MODELS_DIR=./none\n");
    driver_run(search_and_change);
    driver_run(files);
    driver_end();
}

/* Whether what is scrolled stands where the adjustment says. */
static bool is_placed(GtkWidget *scroller, double value)
{
    GtkWidget *viewport = driver_find(scroller, GTK_TYPE_VIEWPORT, NULL, 0);
    double x, y;
    GtkWidget *child = gtk_viewport_get_child(GTK_VIEWPORT(viewport));
    return gtk_widget_translate_coordinates(child, viewport, 0, 0, &x, &y) && y > -value - 2 && y < -value + 2;
}

static bool is_at_end(void *context)
{
    WeScroller *scroller = WE_SCROLLER(driver_find(context, WE_TYPE_SCROLLER, NULL, 0));
    GtkAdjustment *a = we_scroller_adjustment(scroller);
    return gtk_adjustment_get_page_size(a) > 0 && gtk_adjustment_get_upper(a) > 2 * gtk_adjustment_get_page_size(a) &&
           gtk_adjustment_get_value(a) >= gtk_adjustment_get_upper(a) - gtk_adjustment_get_page_size(a) - 1 &&
           is_placed(GTK_WIDGET(scroller), gtk_adjustment_get_value(a));
}

/* A long conversation is shown from its end; what stands before comes when it is asked for. */
static void long_one(WeApplication *application, WeWindow *window)
{
    enum { TURNS = 60 };
    struct we_conversations *store = we_application_store(application);
    struct we_error error;
    int64_t id, parent = 0;
    assert_int_equal(we_conversations_new(store, NULL, NULL, &id, &error), WE_OK);
    for (int i = 0; i < TURNS; i++) {
        g_autofree char *text = g_strdup_printf("Message number %d.", i);
        assert_int_equal(we_conversations_add(store, id, parent, i % 2 ? "assistant" : "user", we_str_c(text), &parent, &error),
                         WE_OK);
    }
    GtkWidget *chat = GTK_WIDGET(we_window_chat(window));
    we_chat_view_open(WE_CHAT_VIEW(chat), id);
    assert_int_equal(driver_count(chat, WE_TYPE_MESSAGE_ROW, NULL), 40);
    assert_true(driver_shows(chat, "Message number 59."));
    assert_false(driver_shows(chat, "Message number 19."));
    driver_wait("the end is shown", is_at_end, chat);
    driver_click(chat, "Show Earlier Messages", 0);
    assert_int_equal(driver_count(chat, WE_TYPE_MESSAGE_ROW, NULL), TURNS);
    assert_true(driver_shows(chat, "Message number 0."));
    assert_null(driver_find(chat, GTK_TYPE_BUTTON, "Show Earlier Messages", 0));
    we_chat_view_open_at(WE_CHAT_VIEW(chat), id, parent - 55);
    assert_true(driver_shows(chat, "Message number 4."));
}

/* One reply that is taller than the window, in blocks that find their height later than plain text. */
static void tall_one(WeApplication *application, WeWindow *window)
{
    struct we_error error;
    int64_t id, parent;
    struct we_conversations *store = we_application_store(application);
    g_autoptr(GString) text = g_string_new("Like so:\n\n");
    for (int i = 0; i < 12; i++)
        g_string_append_printf(
            text, "```c\nint number_%d(void)\n{\n    return %d;\n}\n```\n\n%d. An item\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n",
            i, i, i);
    assert_int_equal(we_conversations_new(store, NULL, NULL, &id, &error), WE_OK);
    assert_int_equal(we_conversations_add(store, id, 0, "user", we_str_c("How?"), &parent, &error), WE_OK);
    assert_int_equal(we_conversations_add(store, id, parent, "assistant", we_str(text->str, text->len), &parent, &error),
                     WE_OK);
    GtkWidget *chat = GTK_WIDGET(we_window_chat(window));
    we_chat_view_open(WE_CHAT_VIEW(chat), id);
    driver_wait("the end is shown", is_at_end, chat);
    for (int i = 0; i < 60; i++) {
        driver_settle();
        g_usleep(10000);
    }
    assert_true(is_at_end(chat));
}

static void test_long(void **state)
{
    (void)state;
    driver_begin();
    driver_write_env("LOCAL_MODELS_DIR=./none\n");
    driver_run(long_one);
    driver_run(tall_one);
    driver_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
