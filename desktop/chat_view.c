#include "chat_view.h"

#include "answer.h"
#include "composer.h"
#include "message_row.h"
#include "notice.h"
#include "scroller.h"
#include "widgets.h"

#include <glib/gi18n.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_ROWS = 40, /* that are made at once; a button shows the earlier ones */
    DRAFT_MS = 500, /* after the last key, the draft goes into the store */
    WIDTH = 760     /* of the column of text */
};

struct _WeChatView {
    GtkWidget parent;
    struct we_conversations *store;
    WeEngine *engine;
    struct we_configuration *configuration;
    struct we_message_look look;
    /* the conversation */
    int64_t id;
    char *title;
    GPtrArray *rows; /* of WeMessageRow, in the order of the conversation */
    int64_t first;   /* the first message that has a row; 0: all have one */
    size_t most;     /* rows that are wanted */
    struct we_answer *answer;
    guint draft_source;
    gboolean opening; /* the composer's text is being set, not edited */
    /* the page */
    GtkWidget *box, *stack, *scroller, *list, *earlier, *welcome, *notice;
    WeComposer *composer;
};

G_DEFINE_FINAL_TYPE(WeChatView, we_chat_view, GTK_TYPE_WIDGET)

static guint changed_signal;

int64_t we_chat_view_conversation(WeChatView *view)
{
    return view->id;
}

const char *we_chat_view_title(WeChatView *view)
{
    return view->title ? view->title : "";
}

int64_t we_chat_view_answering(WeChatView *view)
{
    return view->answer ? we_answer_conversation(view->answer) : 0;
}

static gboolean answers_here(WeChatView *view)
{
    return view->answer && we_answer_conversation(view->answer) == view->id;
}

static void tell_problem(WeChatView *view, const struct we_error *error)
{
    we_notice_show(WE_NOTICE(view->notice), _("That did not work"), error->message, NULL, NULL);
}

/* ---- what can be done now ---- */

static void update_composer(WeChatView *view)
{
    enum we_engine_state state = we_engine_state(view->engine);
    if (answers_here(view))
        we_composer_set_mode(view->composer, WE_COMPOSER_REPLYING, NULL);
    else if (view->answer)
        we_composer_set_mode(view->composer, WE_COMPOSER_WAITING, _("Another conversation is being answered"));
    else if (state == WE_ENGINE_LOADING && we_engine_model(view->engine) == NULL)
        we_composer_set_mode(view->composer, WE_COMPOSER_WAITING, _("The model is being loaded"));
    else if (we_engine_model(view->engine) == NULL)
        we_composer_set_mode(view->composer, WE_COMPOSER_WAITING, _("There is no model that could answer"));
    else
        we_composer_set_mode(view->composer, WE_COMPOSER_READY, NULL);
    gboolean busy = view->answer != NULL || we_engine_model(view->engine) == NULL;
    for (guint i = 0; i < view->rows->len; i++)
        we_message_row_set_busy(view->rows->pdata[i], busy);
}

static void update_notice(WeChatView *view)
{
    const char *problem = we_engine_problem(view->engine);
    const struct we_engine_model *model = we_engine_model(view->engine);
    if (problem) {
        we_notice_show(WE_NOTICE(view->notice), model ? _("The other model cannot be used") : _("No model can answer"), problem,
                       _("Try Again"), "app.load-model");
    } else if (model && model->stands_in) {
        g_autofree char *heading = g_strdup_printf(_("%s answers, with %s"), model->stands_in, model->name);
        g_autofree char *text = g_strdup_printf(_("%s cannot be used: %s"), model->wanted, model->reason);
        we_notice_show(WE_NOTICE(view->notice), heading, text, _("Try Again"), "app.load-model");
    } else {
        we_notice_hide(WE_NOTICE(view->notice));
    }
}

static void on_engine_changed(WeChatView *view)
{
    update_composer(view);
    enum we_engine_state state = we_engine_state(view->engine);
    if (state != WE_ENGINE_READING && state != WE_ENGINE_WRITING && !view->answer)
        update_notice(view);
}

/* ---- rows ---- */

static void on_regenerate(WeChatView *view, WeMessageRow *row);
static void on_resend(WeChatView *view, const char *text, WeMessageRow *row);
static void on_show_sibling(WeChatView *view, guint sibling, WeMessageRow *row);

static WeMessageRow *add_row(WeChatView *view, const struct we_message *message, guint position)
{
    GtkWidget *row = we_message_row_new(message, &view->look);
    g_signal_connect_swapped(row, "regenerate", G_CALLBACK(on_regenerate), view);
    g_signal_connect_swapped(row, "resend", G_CALLBACK(on_resend), view);
    g_signal_connect_swapped(row, "show-sibling", G_CALLBACK(on_show_sibling), view);
    GtkWidget *before = position ? view->rows->pdata[position - 1] : view->earlier;
    gtk_box_insert_child_after(GTK_BOX(view->list), row, before);
    g_ptr_array_insert(view->rows, (gint)position, row);
    return WE_MESSAGE_ROW(row);
}

/* What has the keyboard must not vanish with a row: GTK would look for it where it was. */
static void take_focus_from(WeChatView *view, guint from)
{
    GtkRoot *root = gtk_widget_get_root(GTK_WIDGET(view));
    GtkWidget *focus = root ? gtk_root_get_focus(root) : NULL;
    for (guint i = from; focus && i < view->rows->len; i++)
        if (gtk_widget_is_ancestor(focus, view->rows->pdata[i])) {
            we_composer_focus(view->composer);
            return;
        }
}

static void remove_rows(WeChatView *view, guint from)
{
    take_focus_from(view, from);
    for (guint i = from; i < view->rows->len; i++)
        gtk_box_remove(GTK_BOX(view->list), view->rows->pdata[i]);
    g_ptr_array_set_size(view->rows, (gint)from);
}

static WeMessageRow *find_row(WeChatView *view, int64_t message)
{
    for (guint i = 0; i < view->rows->len; i++)
        if (we_message_row_id(view->rows->pdata[i]) == message)
            return view->rows->pdata[i];
    return NULL;
}

static void on_reading(gpointer context, uint32_t read, uint32_t total)
{
    WeChatView *view = context;
    WeMessageRow *row = find_row(view, we_answer_message(view->answer));
    if (row)
        we_message_row_set_reading(row, read, total);
}

static void on_text(gpointer context, const char *text, size_t length)
{
    WeChatView *view = context;
    WeMessageRow *row = find_row(view, we_answer_message(view->answer));
    if (row)
        we_message_row_append(row, text, length);
}

/* A reply that comes is shown with all that has come of it, and then as it goes on. */
static void follow_answer(WeChatView *view)
{
    if (view->answer == NULL)
        return;
    WeMessageRow *row = answers_here(view) ? find_row(view, we_answer_message(view->answer)) : NULL;
    struct we_answer_listener listener = {on_reading, on_text, view};
    if (row == NULL) {
        we_answer_listen(view->answer, NULL);
        return;
    }
    struct we_str text = we_answer_text(view->answer);
    if (text.length)
        we_message_row_append(row, text.data, text.length);
    we_answer_listen(view->answer, &listener);
}

/* Makes the rows those of the conversation in the store: rows of messages that are still there stay. */
static void reload(WeChatView *view)
{
    struct we_arena arena = {0};
    struct we_conversation *conversation;
    struct we_error error;
    if (view->id == 0) {
        remove_rows(view, 0);
        gtk_stack_set_visible_child(GTK_STACK(view->stack), view->welcome);
        return;
    }
    if (we_conversations_load(view->store, view->id, &arena, &conversation, &error) != WE_OK) {
        tell_problem(view, &error);
        we_arena_free(&arena);
        return;
    }
    g_free(view->title);
    view->title = g_strdup(conversation->title);
    size_t count = conversation->num_messages, begin = count > view->most ? count - view->most : 0;
    /* One that is shown already stays the first. */
    for (size_t i = 0; view->first && i < begin; i++)
        if (conversation->messages[i].id == view->first)
            begin = i;
    view->first = begin ? conversation->messages[begin].id : 0;
    guint kept = 0;
    while (kept < view->rows->len && begin + kept < count &&
           we_message_row_id(view->rows->pdata[kept]) == conversation->messages[begin + kept].id) {
        we_message_row_update(view->rows->pdata[kept], &conversation->messages[begin + kept]);
        kept++;
    }
    remove_rows(view, kept);
    bool answer_is_new = answers_here(view) && find_row(view, we_answer_message(view->answer)) == NULL;
    for (size_t i = begin + kept; i < count; i++)
        add_row(view, &conversation->messages[i], view->rows->len);
    gtk_widget_set_visible(view->earlier, begin > 0);
    gtk_stack_set_visible_child(GTK_STACK(view->stack), count ? view->scroller : view->welcome);
    if (answer_is_new)
        follow_answer(view);
    update_composer(view);
    we_arena_free(&arena);
}

static void on_earlier(WeChatView *view)
{
    struct we_arena arena = {0};
    struct we_conversation *conversation;
    struct we_error error;
    if (we_conversations_load(view->store, view->id, &arena, &conversation, &error) != WE_OK) {
        tell_problem(view, &error);
        we_arena_free(&arena);
        return;
    }
    size_t end = 0;
    while (end < conversation->num_messages && conversation->messages[end].id != view->first)
        end++;
    size_t begin = end > MOST_ROWS ? end - MOST_ROWS : 0;
    we_scroller_keep_place(WE_SCROLLER(view->scroller));
    for (size_t i = begin; i < end; i++)
        add_row(view, &conversation->messages[i], (guint)(i - begin));
    view->most = conversation->num_messages - begin;
    view->first = begin ? conversation->messages[begin].id : 0;
    gtk_widget_set_visible(view->earlier, begin > 0);
    update_composer(view);
    we_arena_free(&arena);
}

/* ---- replies ---- */

static void on_answer_ended(gpointer context, struct we_answer *answer, const char *problem)
{
    WeChatView *view = context;
    bool here = we_answer_conversation(answer) == view->id;
    view->answer = NULL;
    if (here)
        reload(view);
    update_composer(view);
    if (problem)
        we_notice_show(WE_NOTICE(view->notice), _("The reply could not be kept"), problem, NULL, NULL);
    g_signal_emit(view, changed_signal, 0);
}

static void begin_answer(WeChatView *view, int64_t user)
{
    struct we_error error;
    if (view->answer)
        return;
    we_status status = we_answer_begin(view->store, view->engine, view->id, user, on_answer_ended, view, &view->answer, &error);
    reload(view);
    if (status != WE_OK)
        tell_problem(view, &error);
    update_composer(view);
    we_scroller_follow(WE_SCROLLER(view->scroller));
    g_signal_emit(view, changed_signal, 0);
}

static void save_draft(WeChatView *view)
{
    struct we_error error;
    g_clear_handle_id(&view->draft_source, g_source_remove);
    g_autofree char *text = we_composer_text(view->composer);
    if (we_conversations_set_draft(view->store, view->id, text, &error) != WE_OK)
        tell_problem(view, &error);
}

/* The conversation is begun with its first message. */
static we_status begin_conversation(WeChatView *view, struct we_error *error)
{
    const struct we_engine_model *model = we_engine_model(view->engine);
    char *system = NULL;
    int64_t id;
    we_status status = we_settings_system_prompt(view->configuration->settings, &system, error);
    if (status == WE_OK)
        status = we_conversations_new(view->store, system, model ? model->wanted : NULL, &id, error);
    free(system);
    if (status != WE_OK)
        return status;
    we_conversations_set_draft(view->store, 0, "", error);
    view->id = id;
    return WE_OK;
}

static void on_send(WeChatView *view, const char *text)
{
    struct we_error error;
    int64_t message, parent = 0;
    bool is_first = view->id == 0;
    we_notice_hide(WE_NOTICE(view->notice));
    we_status status = is_first ? begin_conversation(view, &error) : WE_OK;
    if (view->rows->len && !is_first)
        parent = we_message_row_id(view->rows->pdata[view->rows->len - 1]);
    if (status == WE_OK)
        status = we_conversations_add(view->store, view->id, parent, "user", we_str_c(text), &message, &error);
    if (status == WE_OK && parent == 0)
        status = we_conversations_suggest_title(view->store, view->id, text, &error);
    if (status != WE_OK) {
        tell_problem(view, &error);
        return;
    }
    view->opening = TRUE;
    we_composer_set_text(view->composer, "");
    view->opening = FALSE;
    save_draft(view);
    begin_answer(view, message);
}

/* The row before a reply is that of the message that it answers. */
static void on_regenerate(WeChatView *view, WeMessageRow *row)
{
    guint index;
    if (g_ptr_array_find(view->rows, row, &index) && index > 0)
        begin_answer(view, we_message_row_id(view->rows->pdata[index - 1]));
}

static void on_resend(WeChatView *view, const char *text, WeMessageRow *row)
{
    struct we_error error;
    guint index;
    int64_t message;
    if (!g_ptr_array_find(view->rows, row, &index))
        return;
    int64_t parent = index ? we_message_row_id(view->rows->pdata[index - 1]) : 0;
    if (we_conversations_add(view->store, view->id, parent, "user", we_str_c(text), &message, &error) == WE_OK)
        begin_answer(view, message);
    else
        tell_problem(view, &error);
}

static void on_show_sibling(WeChatView *view, guint sibling, WeMessageRow *row)
{
    struct we_error error;
    if (view->answer)
        return;
    if (we_conversations_show(view->store, we_message_row_id(row), sibling, &error) != WE_OK)
        tell_problem(view, &error);
    reload(view);
}

gboolean we_chat_view_stop(WeChatView *view)
{
    if (view->answer == NULL)
        return FALSE;
    we_answer_stop(view->answer);
    return TRUE;
}

/* ---- which conversation ---- */

static gboolean on_draft_time(gpointer data)
{
    WeChatView *view = data;
    view->draft_source = 0;
    save_draft(view);
    return G_SOURCE_REMOVE;
}

static void on_edited(WeChatView *view)
{
    if (view->opening)
        return;
    g_clear_handle_id(&view->draft_source, g_source_remove);
    view->draft_source = g_timeout_add(DRAFT_MS, on_draft_time, view);
}

static void show_draft(WeChatView *view)
{
    struct we_arena arena = {0};
    struct we_error error;
    const char *draft = "";
    if (we_conversations_draft(view->store, view->id, &arena, &draft, &error) != WE_OK)
        draft = "";
    view->opening = TRUE;
    we_composer_set_text(view->composer, draft);
    view->opening = FALSE;
    we_arena_free(&arena);
}

void we_chat_view_open(WeChatView *view, int64_t id)
{
    if (view->draft_source)
        save_draft(view);
    remove_rows(view, 0);
    view->id = id;
    view->first = 0;
    view->most = MOST_ROWS;
    g_clear_pointer(&view->title, g_free);
    update_notice(view);
    if (view->answer)
        we_answer_listen(view->answer, NULL);
    reload(view);
    show_draft(view);
    update_composer(view);
    we_scroller_follow(WE_SCROLLER(view->scroller));
    g_signal_emit(view, changed_signal, 0);
}

void we_chat_view_refresh(WeChatView *view)
{
    reload(view);
    g_signal_emit(view, changed_signal, 0);
}

void we_chat_view_open_at(WeChatView *view, int64_t id, int64_t message)
{
    struct we_error error;
    we_status status = view->answer ? WE_OK : we_conversations_show_message(view->store, message, &error);
    we_chat_view_open(view, id);
    if (status != WE_OK)
        tell_problem(view, &error);
    while (view->first && find_row(view, message) == NULL)
        on_earlier(view);
    WeMessageRow *row = find_row(view, message);
    if (row)
        we_scroller_show(WE_SCROLLER(view->scroller), GTK_WIDGET(row));
}

void we_chat_view_focus_composer(WeChatView *view)
{
    we_composer_focus(view->composer);
}

void we_chat_view_configure(WeChatView *view, struct we_configuration *configuration)
{
    we_configuration_ref(configuration);
    we_configuration_unref(view->configuration);
    view->configuration = configuration;
}

void we_chat_view_shut_down(WeChatView *view)
{
    if (view->draft_source)
        save_draft(view);
    we_answer_leave(g_steal_pointer(&view->answer));
}

/* ---- its parts ---- */

static void dispose(GObject *object)
{
    WeChatView *view = WE_CHAT_VIEW(object);
    g_clear_handle_id(&view->draft_source, g_source_remove);
    if (view->engine)
        g_signal_handlers_disconnect_by_data(view->engine, view);
    g_clear_object(&view->engine);
    g_clear_pointer(&view->rows, g_ptr_array_unref);
    g_clear_pointer(&view->box, gtk_widget_unparent);
    G_OBJECT_CLASS(we_chat_view_parent_class)->dispose(object);
}

static void finalize(GObject *object)
{
    WeChatView *view = WE_CHAT_VIEW(object);
    we_configuration_unref(view->configuration);
    g_free(view->title);
    G_OBJECT_CLASS(we_chat_view_parent_class)->finalize(object);
}

static void we_chat_view_class_init(WeChatViewClass *klass)
{
    G_OBJECT_CLASS(klass)->dispose = dispose;
    G_OBJECT_CLASS(klass)->finalize = finalize;
    gtk_widget_class_set_layout_manager_type(GTK_WIDGET_CLASS(klass), GTK_TYPE_BIN_LAYOUT);
    changed_signal =
        g_signal_new("conversation-changed", WE_TYPE_CHAT_VIEW, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static GtkWidget *clamp(GtkWidget *child)
{
    GtkWidget *clamp = adw_clamp_new();
    adw_clamp_set_maximum_size(ADW_CLAMP(clamp), WIDTH);
    adw_clamp_set_tightening_threshold(ADW_CLAMP(clamp), WIDTH - 160);
    adw_clamp_set_child(ADW_CLAMP(clamp), child);
    return clamp;
}

static void make_messages(WeChatView *view)
{
    view->list = gtk_box_new(GTK_ORIENTATION_VERTICAL, 18);
    gtk_widget_add_css_class(view->list, "messages");
    gtk_widget_set_valign(view->list, GTK_ALIGN_START);
    view->earlier = gtk_button_new_with_label(_("Show Earlier Messages"));
    gtk_widget_add_css_class(view->earlier, "pill");
    gtk_widget_set_halign(view->earlier, GTK_ALIGN_CENTER);
    gtk_widget_set_visible(view->earlier, FALSE);
    g_signal_connect_swapped(view->earlier, "clicked", G_CALLBACK(on_earlier), view);
    gtk_box_append(GTK_BOX(view->list), view->earlier);
    view->scroller = we_scroller_new(clamp(view->list));

    view->welcome = adw_status_page_new();
    adw_status_page_set_icon_name(ADW_STATUS_PAGE(view->welcome), "org.whisperengine.WhisperEngine-symbolic");
    adw_status_page_set_title(ADW_STATUS_PAGE(view->welcome), _("What can I help you with?"));
    adw_status_page_set_description(ADW_STATUS_PAGE(view->welcome), _("What you write stays on this computer."));
    gtk_widget_add_css_class(view->welcome, "compact");

    view->stack = gtk_stack_new();
    gtk_widget_set_vexpand(view->stack, TRUE);
    gtk_stack_add_child(GTK_STACK(view->stack), view->welcome);
    gtk_stack_add_child(GTK_STACK(view->stack), view->scroller);
}

GtkWidget *we_chat_view_new(struct we_conversations *store, WeEngine *engine)
{
    WeChatView *view = g_object_new(WE_TYPE_CHAT_VIEW, NULL);
    view->store = store;
    view->engine = g_object_ref(engine);
    view->box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
    gtk_widget_set_parent(view->box, GTK_WIDGET(view));
    make_messages(view);
    view->notice = we_notice_new();
    view->composer = WE_COMPOSER(we_composer_new());
    g_signal_connect_swapped(view->composer, "send", G_CALLBACK(on_send), view);
    g_signal_connect_swapped(view->composer, "stop", G_CALLBACK(we_chat_view_stop), view);
    g_signal_connect_swapped(view->composer, "edited", G_CALLBACK(on_edited), view);
    GtkWidget *bottom = clamp(GTK_WIDGET(view->composer));
    gtk_widget_add_css_class(bottom, "composer-area");
    gtk_box_append(GTK_BOX(view->box), view->notice);
    gtk_box_append(GTK_BOX(view->box), view->stack);
    gtk_box_append(GTK_BOX(view->box), bottom);
    g_signal_connect_swapped(engine, "changed", G_CALLBACK(on_engine_changed), view);
    return GTK_WIDGET(view);
}

static void we_chat_view_init(WeChatView *view)
{
    view->rows = g_ptr_array_new();
    view->look = (struct we_message_look){.markdown = true, .timestamps = true};
}
