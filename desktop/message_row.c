#include "message_row.h"

#include "message_body.h"
#include "widgets.h"

#include "client/rates.h"

#include <glib/gi18n.h>
#include <string.h>

struct _WeMessageRow {
    GtkWidget parent;
    GtkWidget *box;    /* all of it */
    GtkWidget *bubble; /* around the body */
    GtkWidget *body;
    GtkWidget *waiting; /* while the prompt is read: a spinner, a text and a bar */
    GtkWidget *waiting_text, *waiting_bar;
    GtkWidget *problem; /* a label */
    GtkWidget *footer, *actions, *caption;
    GtkWidget *regenerate, *edit;
    GtkWidget *siblings, *sibling_text, *previous, *next;
    GtkWidget *editor, *editor_view, *resend; /* of a message that is edited; or NULL */
    int64_t id, created;
    bool is_reply, timestamps, streaming, busy;
    guint sibling, num_siblings;
    GString *text;
};

G_DEFINE_FINAL_TYPE(WeMessageRow, we_message_row, GTK_TYPE_WIDGET)

static guint regenerate_signal, resend_signal, sibling_signal;

int64_t we_message_row_id(WeMessageRow *row)
{
    return row->id;
}

/* ---- what is written under a message ---- */

static void append_part(GString *line, const char *part)
{
    if (part == NULL || part[0] == '\0')
        return;
    if (line->len)
        g_string_append(line, " · ");
    g_string_append(line, part);
}

static void append_figures(GString *line, const struct we_message *message)
{
    const struct we_figures *f = &message->figures;
    struct we_result result = {
        .finish_reason = message->state == WE_MESSAGE_WHOLE ? WE_FINISH_STOP : WE_FINISH_LENGTH,
        .generation_tokens = f->generation_tokens,
        .generation_seconds = f->generation_seconds,
    };
    double rate = we_generation_rate(&result);
    if (rate > 0) {
        g_autofree char *text = g_strdup_printf(_("%.1f tokens/s"), rate);
        append_part(line, text);
    }
    if (f->time_to_first_token > 0) {
        g_autofree char *text = g_strdup_printf(_("first token after %.2f s"), f->time_to_first_token);
        append_part(line, text);
    }
}

static const char *state_text(enum we_message_state state)
{
    switch (state) {
    case WE_MESSAGE_STOPPED:
        return _("Stopped");
    case WE_MESSAGE_CUT:
        return _("Cut at the limit of tokens");
    case WE_MESSAGE_INTERRUPTED:
        return _("The program ended here");
    default:
        return NULL;
    }
}

static void set_caption(WeMessageRow *row, const struct we_message *message)
{
    g_autoptr(GString) line = g_string_new(NULL);
    g_autofree char *time = we_time_text(message->created);
    if (row->is_reply)
        append_part(line, state_text(message->state));
    if (row->timestamps)
        append_part(line, time);
    if (row->is_reply) {
        append_figures(line, message);
        append_part(line, message->model); /* the last, as it is what can be left out where there is no room */
    }
    gtk_label_set_text(GTK_LABEL(row->caption), line->str);
    gtk_widget_set_tooltip_text(row->caption, row->is_reply && line->len ? line->str : NULL);

    g_autofree char *name =
        row->is_reply ? g_strdup_printf(_("Reply, %s"), time) : g_strdup_printf(_("Your message, %s"), time);
    we_name(row, name);
}

static void set_siblings(WeMessageRow *row)
{
    g_autofree char *text = g_strdup_printf("%u/%u", row->sibling + 1, row->num_siblings);
    gtk_label_set_text(GTK_LABEL(row->sibling_text), text);
    gtk_widget_set_visible(row->siblings, row->num_siblings > 1);
    gtk_widget_set_sensitive(row->previous, row->sibling > 0 && !row->busy);
    gtk_widget_set_sensitive(row->next, row->sibling + 1 < row->num_siblings && !row->busy);
}

static void set_streaming(WeMessageRow *row, bool streaming)
{
    row->streaming = streaming;
    gtk_widget_set_visible(row->footer, !streaming);
    gtk_widget_set_visible(row->waiting, streaming && row->text->len == 0);
    gtk_widget_set_visible(row->body, row->text->len > 0);
}

void we_message_row_update(WeMessageRow *row, const struct we_message *message)
{
    row->created = message->created;
    row->sibling = message->sibling;
    row->num_siblings = message->num_siblings;
    bool streaming = message->state == WE_MESSAGE_STREAMING;
    if (!streaming && (row->text->len != message->length || memcmp(row->text->str, message->text, message->length) != 0)) {
        g_string_truncate(row->text, 0);
        g_string_append_len(row->text, message->text, (gssize)message->length);
        we_message_body_set_text(row->body, message->text, message->length);
    }
    if (!streaming)
        we_message_body_finish(row->body);
    bool failed = message->state == WE_MESSAGE_FAILED;
    gtk_label_set_text(GTK_LABEL(row->problem), failed ? message->problem : "");
    gtk_widget_set_visible(row->problem, failed);
    set_streaming(row, streaming);
    set_caption(row, message);
    set_siblings(row);
}

/* ---- a reply that comes ---- */

void we_message_row_append(WeMessageRow *row, const char *text, size_t length)
{
    g_string_append_len(row->text, text, (gssize)length);
    we_message_body_append(row->body, text, length);
    if (gtk_widget_get_visible(row->waiting) || !gtk_widget_get_visible(row->body))
        set_streaming(row, row->streaming);
}

void we_message_row_set_reading(WeMessageRow *row, uint32_t read, uint32_t total)
{
    enum { SHORT = 600 /* tokens: one or two batches; a bar would only flash */ };
    bool is_long = total - read > SHORT || gtk_widget_get_visible(row->waiting_bar);
    gtk_widget_set_visible(row->waiting_bar, is_long);
    if (!is_long)
        return;
    g_autofree char *text = g_strdup_printf(_("Reading: %u of %u tokens"), read, total);
    gtk_label_set_text(GTK_LABEL(row->waiting_text), text);
    gtk_progress_bar_set_fraction(GTK_PROGRESS_BAR(row->waiting_bar), total ? (double)read / total : 0);
}

void we_message_row_set_busy(WeMessageRow *row, gboolean busy)
{
    row->busy = busy;
    gtk_widget_set_sensitive(row->regenerate, !busy);
    gtk_widget_set_sensitive(row->edit, !busy);
    if (row->editor)
        gtk_widget_set_sensitive(row->resend, !busy);
    set_siblings(row);
}

/* ---- actions ---- */

static void on_copy(WeMessageRow *row)
{
    gdk_clipboard_set_text(gtk_widget_get_clipboard(GTK_WIDGET(row)), row->text->str);
}

static void on_regenerate(WeMessageRow *row)
{
    g_signal_emit(row, regenerate_signal, 0);
}

static void on_previous(WeMessageRow *row)
{
    if (row->sibling > 0)
        g_signal_emit(row, sibling_signal, 0, row->sibling - 1);
}

static void on_next(WeMessageRow *row)
{
    if (row->sibling + 1 < row->num_siblings)
        g_signal_emit(row, sibling_signal, 0, row->sibling + 1);
}

static void end_editing(WeMessageRow *row)
{
    if (row->editor == NULL)
        return;
    gtk_box_remove(GTK_BOX(row->box), row->editor);
    row->editor = row->editor_view = row->resend = NULL;
    gtk_widget_set_visible(row->bubble, TRUE);
    gtk_widget_set_visible(row->footer, TRUE);
    gtk_widget_grab_focus(row->edit);
}

static void on_resend(WeMessageRow *row)
{
    GtkTextBuffer *buffer = gtk_text_view_get_buffer(GTK_TEXT_VIEW(row->editor_view));
    GtkTextIter start, end;
    gtk_text_buffer_get_bounds(buffer, &start, &end);
    g_autofree char *text = gtk_text_buffer_get_text(buffer, &start, &end, FALSE);
    g_autofree char *trimmed = g_strstrip(g_strdup(text));
    if (trimmed[0] == '\0' || row->busy)
        return;
    end_editing(row);
    g_signal_emit(row, resend_signal, 0, text);
}

static gboolean on_editor_key(WeMessageRow *row, guint key, guint code, GdkModifierType modifiers)
{
    (void)code;
    if (key == GDK_KEY_Escape) {
        end_editing(row);
        return GDK_EVENT_STOP;
    }
    bool enter = key == GDK_KEY_Return || key == GDK_KEY_KP_Enter || key == GDK_KEY_ISO_Enter;
    if (!enter || (modifiers & (GDK_SHIFT_MASK | GDK_CONTROL_MASK | GDK_ALT_MASK)))
        return GDK_EVENT_PROPAGATE;
    on_resend(row);
    return GDK_EVENT_STOP;
}

static void on_edit(WeMessageRow *row)
{
    if (row->editor)
        return;
    row->editor = gtk_box_new(GTK_ORIENTATION_VERTICAL, 6);
    gtk_widget_add_css_class(row->editor, "message-editor");
    row->editor_view = gtk_text_view_new();
    gtk_text_view_set_wrap_mode(GTK_TEXT_VIEW(row->editor_view), GTK_WRAP_WORD_CHAR);
    gtk_text_view_set_accepts_tab(GTK_TEXT_VIEW(row->editor_view), FALSE);
    gtk_text_buffer_set_text(gtk_text_view_get_buffer(GTK_TEXT_VIEW(row->editor_view)), row->text->str, -1);
    we_name(row->editor_view, _("Edited message"));
    GtkEventController *keys = gtk_event_controller_key_new();
    gtk_event_controller_set_propagation_phase(keys, GTK_PHASE_CAPTURE);
    g_signal_connect_swapped(keys, "key-pressed", G_CALLBACK(on_editor_key), row);
    gtk_widget_add_controller(row->editor_view, keys);
    gtk_box_append(GTK_BOX(row->editor), row->editor_view);

    GtkWidget *buttons = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    gtk_widget_set_halign(buttons, GTK_ALIGN_END);
    GtkWidget *cancel = gtk_button_new_with_label(_("Cancel"));
    g_signal_connect_swapped(cancel, "clicked", G_CALLBACK(end_editing), row);
    row->resend = gtk_button_new_with_label(_("Send Again"));
    gtk_widget_add_css_class(row->resend, "suggested-action");
    gtk_widget_set_sensitive(row->resend, !row->busy);
    g_signal_connect_swapped(row->resend, "clicked", G_CALLBACK(on_resend), row);
    gtk_box_append(GTK_BOX(buttons), cancel);
    gtk_box_append(GTK_BOX(buttons), row->resend);
    gtk_box_append(GTK_BOX(row->editor), buttons);

    gtk_widget_set_visible(row->bubble, FALSE);
    gtk_widget_set_visible(row->footer, FALSE);
    gtk_box_append(GTK_BOX(row->box), row->editor);
    gtk_widget_grab_focus(row->editor_view);
}

/* ---- its parts ---- */

static GtkWidget *add_action(WeMessageRow *row, const char *icon, const char *name, GCallback callback)
{
    GtkWidget *button = we_icon_button(icon, name);
    g_signal_connect_swapped(button, "clicked", callback, row);
    gtk_box_append(GTK_BOX(row->actions), button);
    return button;
}

static void make_siblings(WeMessageRow *row)
{
    row->siblings = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 0);
    row->previous = we_icon_button("go-previous-symbolic", row->is_reply ? _("Previous reply") : _("Previous version"));
    row->next = we_icon_button("go-next-symbolic", row->is_reply ? _("Next reply") : _("Next version"));
    row->sibling_text = gtk_label_new("");
    gtk_widget_add_css_class(row->sibling_text, "caption");
    gtk_widget_add_css_class(row->sibling_text, "dim-label");
    gtk_widget_add_css_class(row->sibling_text, "numeric");
    g_signal_connect_swapped(row->previous, "clicked", G_CALLBACK(on_previous), row);
    g_signal_connect_swapped(row->next, "clicked", G_CALLBACK(on_next), row);
    gtk_box_append(GTK_BOX(row->siblings), row->previous);
    gtk_box_append(GTK_BOX(row->siblings), row->sibling_text);
    gtk_box_append(GTK_BOX(row->siblings), row->next);
}

static void make_footer(WeMessageRow *row)
{
    row->footer = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    gtk_widget_add_css_class(row->footer, "message-footer");
    gtk_widget_set_halign(row->footer, row->is_reply ? GTK_ALIGN_START : GTK_ALIGN_END);
    row->actions = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 0);
    add_action(row, "edit-copy-symbolic", _("Copy"), G_CALLBACK(on_copy));
    row->regenerate = add_action(row, "view-refresh-symbolic", _("Regenerate"), G_CALLBACK(on_regenerate));
    row->edit = add_action(row, "document-edit-symbolic", _("Edit and send again"), G_CALLBACK(on_edit));
    gtk_widget_set_visible(row->regenerate, row->is_reply);
    gtk_widget_set_visible(row->edit, !row->is_reply);
    make_siblings(row);

    row->caption = gtk_label_new("");
    gtk_label_set_ellipsize(GTK_LABEL(row->caption), PANGO_ELLIPSIZE_END);
    gtk_label_set_xalign(GTK_LABEL(row->caption), row->is_reply ? 0 : 1);
    gtk_widget_add_css_class(row->caption, "caption");
    gtk_widget_add_css_class(row->caption, "dim-label");
    gtk_widget_add_css_class(row->caption, "numeric");
    if (!row->is_reply)
        gtk_box_append(GTK_BOX(row->footer), row->caption);
    gtk_box_append(GTK_BOX(row->footer), row->siblings);
    gtk_box_append(GTK_BOX(row->footer), row->actions);
    if (row->is_reply)
        gtk_box_append(GTK_BOX(row->footer), row->caption);
}

static void make_waiting(WeMessageRow *row)
{
    row->waiting = gtk_box_new(GTK_ORIENTATION_VERTICAL, 6);
    GtkWidget *line = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6), *spinner = gtk_spinner_new();
    gtk_spinner_start(GTK_SPINNER(spinner));
    row->waiting_text = gtk_label_new(_("Reading"));
    gtk_widget_add_css_class(row->waiting_text, "dim-label");
    gtk_widget_add_css_class(row->waiting_text, "numeric");
    gtk_box_append(GTK_BOX(line), spinner);
    gtk_box_append(GTK_BOX(line), row->waiting_text);
    row->waiting_bar = gtk_progress_bar_new();
    we_name(row->waiting_bar, _("How much of the prompt has been read"));
    gtk_widget_set_visible(row->waiting_bar, FALSE);
    gtk_box_append(GTK_BOX(row->waiting), line);
    gtk_box_append(GTK_BOX(row->waiting), row->waiting_bar);
}

static void make_parts(WeMessageRow *row, const struct we_message_look *look)
{
    row->box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 4);
    gtk_widget_set_parent(row->box, GTK_WIDGET(row));
    row->bubble = gtk_box_new(GTK_ORIENTATION_VERTICAL, 8);
    gtk_widget_add_css_class(row->bubble, row->is_reply ? "message-reply" : "message-mine");
    gtk_widget_set_halign(row->bubble, row->is_reply ? GTK_ALIGN_FILL : GTK_ALIGN_END);
    row->body = we_message_body_new(row->is_reply && look->markdown);
    make_waiting(row);
    row->problem = we_text_label("");
    gtk_widget_add_css_class(row->problem, "message-problem");
    gtk_box_append(GTK_BOX(row->bubble), row->body);
    gtk_box_append(GTK_BOX(row->bubble), row->waiting);
    gtk_box_append(GTK_BOX(row->bubble), row->problem);
    make_footer(row);
    gtk_box_append(GTK_BOX(row->box), row->bubble);
    gtk_box_append(GTK_BOX(row->box), row->footer);
}

GtkWidget *we_message_row_new(const struct we_message *message, const struct we_message_look *look)
{
    WeMessageRow *row = g_object_new(WE_TYPE_MESSAGE_ROW, NULL);
    row->id = message->id;
    row->is_reply = strcmp(message->role, "user") != 0;
    row->timestamps = look->timestamps;
    make_parts(row, look);
    we_message_row_update(row, message);
    return GTK_WIDGET(row);
}

static void dispose(GObject *object)
{
    WeMessageRow *row = WE_MESSAGE_ROW(object);
    g_clear_pointer(&row->box, gtk_widget_unparent);
    G_OBJECT_CLASS(we_message_row_parent_class)->dispose(object);
}

static void finalize(GObject *object)
{
    g_string_free(WE_MESSAGE_ROW(object)->text, TRUE);
    G_OBJECT_CLASS(we_message_row_parent_class)->finalize(object);
}

static void we_message_row_class_init(WeMessageRowClass *klass)
{
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
    G_OBJECT_CLASS(klass)->dispose = dispose;
    G_OBJECT_CLASS(klass)->finalize = finalize;
    gtk_widget_class_set_layout_manager_type(widget_class, GTK_TYPE_BIN_LAYOUT);
    gtk_widget_class_set_css_name(widget_class, "message");
    gtk_widget_class_set_accessible_role(widget_class, GTK_ACCESSIBLE_ROLE_GROUP);
    regenerate_signal = g_signal_new("regenerate", WE_TYPE_MESSAGE_ROW, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
    resend_signal =
        g_signal_new("resend", WE_TYPE_MESSAGE_ROW, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
    sibling_signal =
        g_signal_new("show-sibling", WE_TYPE_MESSAGE_ROW, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_UINT);
}

static void we_message_row_init(WeMessageRow *row)
{
    row->text = g_string_new(NULL);
}
