#include "character_page.h"

#include "notice.h"
#include "widgets.h"

#include "base/fs.h"

#include <glib/gi18n.h>
#include <stdlib.h>
#include <string.h>
#include <whisperengine_tools.h>

enum { LONGEST_PROMPT = 1 << 20 /* bytes, as the settings read it */, COUNT_AFTER_MS = 300, TEXT_WIDTH = 760 };

struct _WeCharacterPage {
    GtkWidget parent;
    WeApplication *application; /* outlives the page */
    GtkWidget *box, *text, *counts, *save, *reset, *presets, *notice;
    GtkTextBuffer *buffer;
    char *saved;
    guint count_timer;
    gboolean counting, count_again; /* tokens, in a thread */
    GtkFileChooserNative *chooser;
};

G_DEFINE_FINAL_TYPE(WeCharacterPage, we_character_page, GTK_TYPE_WIDGET)

static const struct {
    const char *name, *text;
} presets[] = {
    {N_("Helpful assistant"),
     "You are a helpful assistant. Answer clearly and truthfully. If you do not know something, say so."},
    {N_("Brief"),
     "Answer in as few words as are needed. No introduction, no summary. Use a list where there are several points."},
    {N_("Programmer"),
     "You are an experienced programmer. Answer with working code in fenced blocks that name the language, followed by a short "
     "explanation. Point out mistakes and edge cases. Ask if something essential is not said."},
    {N_("Teacher"), "You are a patient teacher. Explain step by step, with an example for each idea, and begin with what is "
                    "simple. End with one "
                    "question by which one can check oneself."},
    {N_("Editor"), "You are an editor. Correct the spelling, grammar and style of the text you are given, keep its meaning and "
                   "tone, and then list "
                   "the changes that matter."},
    {N_("Translator"), "You are a translator. Translate what you are given into English, or, if it is in English, into the "
                       "language that is asked for. "
                       "Keep the tone and the formatting. Give the translation alone."},
};

static char *current_text(WeCharacterPage *page)
{
    GtkTextIter start, end;
    gtk_text_buffer_get_bounds(page->buffer, &start, &end);
    return gtk_text_buffer_get_text(page->buffer, &start, &end, FALSE);
}

gboolean we_character_page_is_changed(WeCharacterPage *page)
{
    g_autofree char *text = current_text(page);
    return strcmp(text, page->saved) != 0;
}

static void show_problem(WeCharacterPage *page, const char *text)
{
    if (text)
        we_notice_show(WE_NOTICE(page->notice), NULL, text, NULL, NULL);
    else
        we_notice_hide(WE_NOTICE(page->notice));
}

/* ---- counts ---- */

struct count {
    char *path, *text;
    size_t tokens;
    we_status status;
};

static void free_count(gpointer data)
{
    struct count *count = data;
    g_free(count->path);
    g_free(count->text);
    g_free(count);
}

/* tokens < 0: not known. */
static void show_counts(WeCharacterPage *page, gint64 tokens)
{
    int characters = gtk_text_buffer_get_char_count(page->buffer);
    g_autofree char *text = g_strdup_printf(ngettext("%'d character", "%'d characters", (gulong)characters), characters);
    if (tokens >= 0) {
        g_autofree char *more = g_strdup_printf(ngettext("%'d token", "%'d tokens", (gulong)tokens), (int)tokens);
        g_autofree char *both = g_strdup_printf("%s \xC2\xB7 %s", text, more);
        gtk_label_set_text(GTK_LABEL(page->counts), both);
    } else {
        gtk_label_set_text(GTK_LABEL(page->counts), text);
    }
}

static void count_tokens(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    (void)source;
    (void)cancellable;
    struct count *count = data;
    uint32_t *ids = NULL;
    count->status = we_tokenize(count->path, count->text, strlen(count->text), false, &ids, &count->tokens, NULL);
    free(ids);
    g_task_return_boolean(task, TRUE);
}

static void start_count(WeCharacterPage *page);

static void on_counted(GObject *source, GAsyncResult *result, gpointer data)
{
    (void)data;
    WeCharacterPage *page = WE_CHARACTER_PAGE(source);
    struct count *count = g_task_get_task_data(G_TASK(result));
    page->counting = FALSE;
    if (page->box == NULL)
        return;
    if (page->count_again) {
        start_count(page);
        return;
    }
    g_autofree char *text = current_text(page);
    show_counts(page, count->status == WE_OK && strcmp(text, count->text) == 0 ? (gint64)count->tokens : -1);
}

static void start_count(WeCharacterPage *page)
{
    const struct we_engine_model *model = we_engine_model(we_application_engine(page->application));
    page->count_again = page->counting;
    if (page->counting)
        return;
    if (model == NULL || model->endpoint) { /* a server counts for itself */
        show_counts(page, -1);
        return;
    }
    struct count *count = g_new0(struct count, 1);
    count->path = g_strdup(model->path);
    count->text = current_text(page);
    GTask *task = g_task_new(page, NULL, on_counted, NULL);
    g_task_set_task_data(task, count, free_count);
    page->counting = TRUE;
    g_task_run_in_thread(task, count_tokens);
    g_object_unref(task);
}

static gboolean on_count_timer(gpointer data)
{
    WeCharacterPage *page = data;
    page->count_timer = 0;
    start_count(page);
    return G_SOURCE_REMOVE;
}

static void update(WeCharacterPage *page)
{
    gboolean changed = we_character_page_is_changed(page);
    gtk_widget_set_sensitive(page->save, changed);
    gtk_widget_set_sensitive(page->reset, changed);
    show_counts(page, -1);
    g_clear_handle_id(&page->count_timer, g_source_remove);
    page->count_timer = g_timeout_add(COUNT_AFTER_MS, on_count_timer, page);
}

/* ---- what is saved ---- */

/* Where the prompt is kept; the caller's (g_free). *is_set: the configuration names that file. */
static char *prompt_file(WeCharacterPage *page, gboolean *is_set, struct we_error *error)
{
    struct we_configuration *configuration = we_application_configuration(page->application);
    const char *file = we_settings_text(configuration->settings, WE_SETTING_SYSTEM_PROMPT_FILE);
    char *database;
    *is_set = file && file[0];
    if (*is_set)
        return g_strdup(file);
    if (we_conversations_path(we_settings_text(configuration->settings, WE_SETTING_DATA_DIR), &database, error) != WE_OK)
        return NULL;
    g_autofree char *folder = g_path_get_dirname(database);
    free(database);
    return g_build_filename(folder, "character.txt", NULL);
}

static void read_saved(WeCharacterPage *page)
{
    struct we_error error;
    char *text = NULL;
    gboolean changed = we_character_page_is_changed(page);
    we_status status = we_settings_system_prompt(we_application_configuration(page->application)->settings, &text, &error);
    /* A file that is named and not there yet begins with its first text. */
    show_problem(page, status == WE_OK || status == WE_NOT_FOUND ? NULL : error.message);
    g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);
    free(text);
    if (strcmp(valid, page->saved) == 0)
        return;
    g_free(page->saved);
    page->saved = g_steal_pointer(&valid);
    if (!changed) /* what is being written stays */
        gtk_text_buffer_set_text(page->buffer, page->saved, -1);
    update(page);
}

struct file_work {
    char *path, *text;
    gboolean saves, is_set;
    we_status status;
    struct we_error error;
};

static void free_file_work(gpointer data)
{
    struct file_work *work = data;
    g_free(work->path);
    g_free(work->text);
    g_free(work);
}

static void work_on_file(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    (void)source;
    (void)cancellable;
    struct file_work *work = data;
    struct we_buf text = {0};
    if (work->saves) {
        g_autofree char *folder = g_path_get_dirname(work->path);
        work->status = we_make_directories(folder, &work->error);
        if (work->status == WE_OK)
            work->status = we_file_write(work->path, we_str_c(work->text), &work->error);
    } else {
        work->status = we_file_read(work->path, LONGEST_PROMPT, &text, &work->error);
        if (work->status == WE_OK &&
            (we_utf8_valid_prefix(we_buf_str(&text)) != text.length || (text.length && memchr(text.data, 0, text.length))))
            work->status = we_error_set(&work->error, WE_INVALID_FORMAT, "%s is no text in UTF-8", work->path);
        if (work->status == WE_OK)
            work->text = g_strndup(text.data ? text.data : "", text.length);
        we_buf_free(&text);
    }
    g_task_return_boolean(task, TRUE);
}

static void on_settings(gpointer context, const struct we_error *error)
{
    g_autoptr(WeCharacterPage) page = context;
    if (page->box)
        show_problem(page, error ? error->message : NULL);
}

static void on_file_done(GObject *source, GAsyncResult *result, gpointer data)
{
    (void)data;
    WeCharacterPage *page = WE_CHARACTER_PAGE(source);
    struct file_work *work = g_task_get_task_data(G_TASK(result));
    if (page->box == NULL)
        return;
    show_problem(page, work->status == WE_OK ? NULL : work->error.message);
    if (work->status != WE_OK)
        return;
    if (!work->saves) {
        gtk_text_buffer_set_text(page->buffer, work->text, -1);
        return;
    }
    g_free(page->saved);
    page->saved = g_strdup(work->text);
    update(page);
    const struct we_env_change change = {"BOT_SYSTEM_PROMPT_FILE", work->path};
    if (!work->is_set) /* new chats read the file that is named anew */
        we_application_change_settings(page->application, &change, 1, on_settings, g_object_ref(page));
}

static void start_file_work(WeCharacterPage *page, struct file_work *work)
{
    GTask *task = g_task_new(page, NULL, on_file_done, NULL);
    g_task_set_task_data(task, work, free_file_work);
    g_task_run_in_thread(task, work_on_file);
    g_object_unref(task);
}

static void on_save(WeCharacterPage *page)
{
    struct we_error error;
    struct file_work *work = g_new0(struct file_work, 1);
    work->path = prompt_file(page, &work->is_set, &error);
    if (work->path == NULL) {
        show_problem(page, error.message);
        free_file_work(work);
        return;
    }
    work->saves = TRUE;
    work->text = current_text(page);
    start_file_work(page, work);
}

static void on_reset(WeCharacterPage *page)
{
    gtk_text_buffer_set_text(page->buffer, page->saved, -1);
}

void we_character_page_read_file(WeCharacterPage *page, const char *path)
{
    struct file_work *work = g_new0(struct file_work, 1);
    work->path = g_strdup(path);
    start_file_work(page, work);
}

static void on_file_chosen(WeCharacterPage *page, int response)
{
    if (response == GTK_RESPONSE_ACCEPT) {
        g_autoptr(GFile) file = gtk_file_chooser_get_file(GTK_FILE_CHOOSER(page->chooser));
        g_autofree char *path = g_file_get_path(file);
        if (path)
            we_character_page_read_file(page, path);
        else
            show_problem(page, _("This file is not on this machine. Choose one that is."));
    }
    g_clear_object(&page->chooser);
}

static void on_load(WeCharacterPage *page)
{
    GtkRoot *root = gtk_widget_get_root(GTK_WIDGET(page));
    if (page->chooser)
        return;
    page->chooser = gtk_file_chooser_native_new(_("Load a Character Prompt"), GTK_IS_WINDOW(root) ? GTK_WINDOW(root) : NULL,
                                                GTK_FILE_CHOOSER_ACTION_OPEN, _("_Open"), _("_Cancel"));
    gtk_native_dialog_set_modal(GTK_NATIVE_DIALOG(page->chooser), TRUE);
    g_signal_connect_object(page->chooser, "response", G_CALLBACK(on_file_chosen), page, G_CONNECT_SWAPPED);
    gtk_native_dialog_show(GTK_NATIVE_DIALOG(page->chooser));
}

/* The first entry of the list is its title. The text can be taken back as any other edit (Ctrl+Z). */
static void on_preset(WeCharacterPage *page)
{
    guint chosen = gtk_drop_down_get_selected(GTK_DROP_DOWN(page->presets));
    GtkTextIter start, end;
    if (chosen == 0 || chosen > G_N_ELEMENTS(presets))
        return;
    gtk_text_buffer_begin_user_action(page->buffer);
    gtk_text_buffer_get_bounds(page->buffer, &start, &end);
    gtk_text_buffer_delete(page->buffer, &start, &end);
    gtk_text_buffer_insert(page->buffer, &start, presets[chosen - 1].text, -1);
    gtk_text_buffer_end_user_action(page->buffer);
    gtk_drop_down_set_selected(GTK_DROP_DOWN(page->presets), 0);
}

/* ---- the widget ---- */

static void dispose(GObject *object)
{
    WeCharacterPage *page = WE_CHARACTER_PAGE(object);
    g_clear_handle_id(&page->count_timer, g_source_remove);
    g_clear_object(&page->chooser);
    g_clear_pointer(&page->box, gtk_widget_unparent);
    G_OBJECT_CLASS(we_character_page_parent_class)->dispose(object);
}

static void finalize(GObject *object)
{
    g_free(WE_CHARACTER_PAGE(object)->saved);
    G_OBJECT_CLASS(we_character_page_parent_class)->finalize(object);
}

static void we_character_page_class_init(WeCharacterPageClass *class)
{
    G_OBJECT_CLASS(class)->dispose = dispose;
    G_OBJECT_CLASS(class)->finalize = finalize;
    gtk_widget_class_set_css_name(GTK_WIDGET_CLASS(class), "characterpage");
    gtk_widget_class_set_layout_manager_type(GTK_WIDGET_CLASS(class), GTK_TYPE_BIN_LAYOUT);
}

static GtkWidget *make_top(WeCharacterPage *page)
{
    GtkWidget *bar = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6), *load = gtk_button_new_with_mnemonic(_("_Load…"));
    const char *names[G_N_ELEMENTS(presets) + 2] = {_("Presets")};
    for (size_t i = 0; i < G_N_ELEMENTS(presets); i++)
        names[i + 1] = _(presets[i].name);
    page->presets = gtk_drop_down_new_from_strings(names);
    gtk_widget_set_tooltip_text(page->presets, _("Begin with a ready-made prompt"));
    we_name(page->presets, _("Presets"));
    gtk_widget_set_tooltip_text(load, _("Take the text of a file"));
    gtk_box_append(GTK_BOX(bar), page->presets);
    gtk_box_append(GTK_BOX(bar), load);
    g_signal_connect_swapped(page->presets, "notify::selected", G_CALLBACK(on_preset), page);
    g_signal_connect_swapped(load, "clicked", G_CALLBACK(on_load), page);
    return bar;
}

static GtkWidget *make_editor(WeCharacterPage *page)
{
    GtkWidget *scroller = gtk_scrolled_window_new();
    page->text = gtk_text_view_new();
    page->buffer = gtk_text_view_get_buffer(GTK_TEXT_VIEW(page->text));
    gtk_text_view_set_wrap_mode(GTK_TEXT_VIEW(page->text), GTK_WRAP_WORD_CHAR);
    gtk_text_view_set_accepts_tab(GTK_TEXT_VIEW(page->text), FALSE);
    gtk_text_view_set_top_margin(GTK_TEXT_VIEW(page->text), 12);
    gtk_text_view_set_bottom_margin(GTK_TEXT_VIEW(page->text), 12);
    gtk_text_view_set_left_margin(GTK_TEXT_VIEW(page->text), 14);
    gtk_text_view_set_right_margin(GTK_TEXT_VIEW(page->text), 14);
    we_name(page->text, _("Character prompt"));
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(scroller), page->text);
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(scroller), GTK_POLICY_NEVER, GTK_POLICY_AUTOMATIC);
    gtk_widget_set_vexpand(scroller, TRUE);
    gtk_widget_add_css_class(scroller, "card");
    gtk_widget_set_overflow(scroller, GTK_OVERFLOW_HIDDEN);
    g_signal_connect_swapped(page->buffer, "changed", G_CALLBACK(update), page);
    return scroller;
}

static GtkWidget *make_bottom(WeCharacterPage *page)
{
    GtkWidget *bar = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    page->counts = gtk_label_new(NULL);
    gtk_label_set_xalign(GTK_LABEL(page->counts), 0);
    gtk_widget_add_css_class(page->counts, "dim-label");
    gtk_widget_add_css_class(page->counts, "numeric");
    gtk_widget_set_hexpand(page->counts, TRUE);
    page->reset = gtk_button_new_with_mnemonic(_("_Reset"));
    gtk_widget_set_tooltip_text(page->reset, _("Back to what was saved"));
    page->save = gtk_button_new_with_mnemonic(_("_Save"));
    gtk_widget_add_css_class(page->save, "suggested-action");
    gtk_box_append(GTK_BOX(bar), page->counts);
    gtk_box_append(GTK_BOX(bar), page->reset);
    gtk_box_append(GTK_BOX(bar), page->save);
    g_signal_connect_swapped(page->reset, "clicked", G_CALLBACK(on_reset), page);
    g_signal_connect_swapped(page->save, "clicked", G_CALLBACK(on_save), page);
    return bar;
}

static void we_character_page_init(WeCharacterPage *page)
{
    GtkWidget *clamp = adw_clamp_new(), *column = gtk_box_new(GTK_ORIENTATION_VERTICAL, 12);
    GtkWidget *about = gtk_label_new(_("New chats begin with this text: it tells the model who it is, and how to answer."));
    page->saved = g_strdup("");
    page->box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
    gtk_widget_set_parent(page->box, GTK_WIDGET(page));
    page->notice = we_notice_new();
    gtk_box_append(GTK_BOX(page->box), page->notice);
    gtk_box_append(GTK_BOX(page->box), clamp);
    adw_clamp_set_maximum_size(ADW_CLAMP(clamp), TEXT_WIDTH);
    adw_clamp_set_child(ADW_CLAMP(clamp), column);
    gtk_widget_set_margin_start(column, 12);
    gtk_widget_set_margin_end(column, 12);
    gtk_widget_set_margin_top(column, 12);
    gtk_widget_set_margin_bottom(column, 12);
    gtk_label_set_wrap(GTK_LABEL(about), TRUE);
    gtk_label_set_xalign(GTK_LABEL(about), 0);
    gtk_box_append(GTK_BOX(column), about);
    gtk_box_append(GTK_BOX(column), make_top(page));
    gtk_box_append(GTK_BOX(column), make_editor(page));
    gtk_box_append(GTK_BOX(column), make_bottom(page));
}

GtkWidget *we_character_page_new(WeApplication *application)
{
    WeCharacterPage *page = g_object_new(WE_TYPE_CHARACTER_PAGE, NULL);
    page->application = application;
    g_signal_connect_object(application, "configured", G_CALLBACK(read_saved), page, G_CONNECT_SWAPPED);
    g_signal_connect_object(we_application_engine(application), "changed", G_CALLBACK(start_count), page, G_CONNECT_SWAPPED);
    read_saved(page);
    update(page);
    return GTK_WIDGET(page);
}
