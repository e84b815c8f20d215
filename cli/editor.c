#include "editor.h"

#include "interrupt.h"
#include "terminal.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <wchar.h>

enum { HISTORY_SIZE = 1000, MAX_PASTE = 1 << 24 };

struct we_editor {
    EditLine *edit;       /* NULL: lines as they come */
    History *history;
    char *history_file;
    FILE *out;            /* the terminal */
    we_complete_fn *complete;
    void *context;
    bool continued;       /* the line before ended in a backslash */
    bool interrupted, failed;
    struct termios modes; /* those outside the editor */
    bool has_modes;
    char prompt[64], continuation[64];
    unsigned char bytes[256]; /* read and not yet used */
    size_t at, length;
};

/* Handlers also write to a pipe that the wait for input watches: a signal just before the wait, or one that another thread
 * gets, would else be noticed only at the next key. */
static volatile sig_atomic_t resized, resumed;
static int news[2] = {-1, -1};

void we_editor_wake(void)
{
    int errnum = errno;
    ssize_t ignored = write(news[1], "", 1);
    (void)ignored; /* a pipe that is full has news enough */
    errno = errnum;
}

static void on_resize(int signal_number)
{
    if (signal_number == SIGCONT)
        resumed = 1;
    else
        resized = 1;
    we_editor_wake();
}

/* Bracketed paste: the terminal marks what is pasted, so that its line breaks are not taken for the Enter key. */
static void set_bracketed_paste(const struct we_editor *e, bool on)
{
    fputs(on ? "\033[?2004h" : "\033[?2004l", e->out);
    fflush(e->out);
}

/* While a line is edited Ctrl-C is a key. The editor takes over whatever the terminal's modes are when it begins. */
static void disable_interrupt_character(struct we_editor *e)
{
    struct termios modes;
    e->has_modes = tcgetattr(STDIN_FILENO, &e->modes) == 0;
    modes = e->modes;
    modes.c_cc[VINTR] = _POSIX_VDISABLE;
    if (e->has_modes)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &modes);
}

static void restore_modes(struct we_editor *e)
{
    if (e->has_modes)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &e->modes);
}

/* ---- drawing ---- */

/* Rows of the line above the cursor, in a terminal of `columns`. */
static unsigned rows_above(const struct we_editor *e, unsigned columns)
{
    const LineInfo *info = el_line(e->edit);
    struct we_str rest = we_str(info->buffer, (size_t)(info->cursor - info->buffer));
    size_t at = 2; /* the prompt */
    unsigned rows = 0;
    while (rest.length) {
        uint32_t ignored;
        size_t n = we_utf8_decode(rest, &ignored), width = n ? we_text_width(we_str(rest.data, n)) : 1;
        if (rest.data[0] == '\n' || at + width > columns) {
            rows++;
            at = 0;
        }
        at += rest.data[0] == '\n' ? 0 : width;
        rest = we_str(rest.data + (n ? n : 1), rest.length - (n ? n : 1));
    }
    return rows + (at >= columns ? 1 : 0);
}

/* After the window has another size (terminals that fold lines anew have done so), or the shell has had the terminal. */
static void draw_again(struct we_editor *e)
{
    if (resumed) {
        el_set(e->edit, EL_PREP_TERM, 0); /* the shell has put its own modes */
        el_set(e->edit, EL_PREP_TERM, 1);
        set_bracketed_paste(e, true);
        fputc('\r', e->out);
    } else {
        unsigned rows = rows_above(e, we_terminal_width(fileno(e->out)));
        fputc('\r', e->out);
        if (rows)
            fprintf(e->out, "\033[%uA", rows);
    }
    fputs("\033[J", e->out);
    resized = resumed = 0;
    el_resize(e->edit);
    el_set(e->edit, EL_REFRESH);
}

/* ---- reading ---- */

/* 1: there is something to read. -1: errno; EINTR also when there is news. */
static int await_input(void)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = news[0], .events = POLLIN}};
    int n = poll(fds, 2, -1);
    if (n > 0 && fds[1].revents) {
        char bytes[16];
        while (read(news[0], bytes, sizeof bytes) > 0)
            ;
        errno = EINTR;
        return -1;
    }
    return n;
}

static bool fill(struct we_editor *e)
{
    while (e->at == e->length) {
        ssize_t n = await_input();
        if (n > 0)
            n = read(STDIN_FILENO, e->bytes, sizeof e->bytes);
        if (n > 0) {
            e->at = 0;
            e->length = (size_t)n;
        } else if (n == 0) {
            return false;
        } else if (errno != EINTR) {
            e->failed = true;
            return false;
        } else if (we_interrupted()) {
            e->interrupted = true;
            e->at = e->length = 0;
            return false;
        }
        if (e->edit && (resized || resumed))
            draw_again(e);
    }
    return true;
}

/* Bytes that one UTF-8 character takes, by its first; 1 where it is none. */
static size_t character_length(unsigned char lead)
{
    return lead >= 0xF0 && lead < 0xF8 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 && lead < 0xE0 ? 2 : 1;
}

/* One character; false at the end, after Ctrl-C, or on an error. Bytes that are no UTF-8 become U+FFFD. */
static bool read_character(struct we_editor *e, uint32_t *character)
{
    char bytes[4];
    if (!fill(e))
        return false;
    size_t need = character_length(e->bytes[e->at]), have = 0;
    while (have < need && fill(e)) {
        unsigned char byte = e->bytes[e->at];
        if (have > 0 && (byte & 0xC0) != 0x80)
            break;
        bytes[have++] = (char)byte;
        e->at++;
    }
    if (e->interrupted || e->failed)
        return false;
    if (we_utf8_decode(we_str(bytes, have), character) != have)
        *character = 0xFFFD;
    return true;
}

static struct we_editor *editor_of(EditLine *edit)
{
    struct we_editor *e = NULL;
    el_get(edit, EL_CLIENTDATA, &e);
    return e;
}

static int read_wide(EditLine *edit, wchar_t *character)
{
    struct we_editor *e = editor_of(edit);
    uint32_t code_point;
    if (!read_character(e, &code_point))
        return e->interrupted || e->failed ? -1 : 0;
    *character = (wchar_t)code_point;
    return 1;
}

/* ---- keys ---- */

/* Ctrl-C comes as a key, not as a signal, so that the line is left properly: as by Enter. */
static unsigned char interrupt(EditLine *edit, int key)
{
    (void)key;
    editor_of(edit)->interrupted = true;
    el_push(edit, "\n");
    return CC_NORM;
}

static unsigned char insert_newline(EditLine *edit, int key)
{
    (void)key;
    return el_insertstr(edit, "\n") == 0 ? CC_REFRESH : CC_ERROR;
}

/* What comes until the end mark; line breaks become newlines, other control characters are dropped. */
static unsigned char paste(EditLine *edit, int key)
{
    (void)key;
    static const char end[] = "\033[201~";
    struct we_editor *e = editor_of(edit);
    struct we_buf text = {.limit = MAX_PASTE};
    size_t matched = 0;
    uint32_t c, before = 0;
    while (matched < sizeof end - 1 && read_character(e, &c)) {
        size_t was = matched;
        matched = c == (unsigned char)end[matched] ? matched + 1 : c == 0x1B ? 1 : 0;
        if (was > 1 && matched <= 1)
            we_buf_append(&text, we_str(end + 1, was - 1)); /* it was not the end mark */
        if (c == '\r' || (c == '\n' && before != '\r'))
            we_buf_append_byte(&text, '\n');
        else if (c == '\t' || (matched == 0 && c >= 0x20 && c != 0x7F && !(c >= 0x80 && c < 0xA0)))
            we_buf_append_utf8(&text, c);
        before = c;
    }
    while (text.length && text.data[text.length - 1] == '\n')
        text.data[--text.length] = '\0';
    bool ok = !text.failed && (text.length == 0 || el_insertstr(edit, text.data) == 0);
    we_buf_free(&text);
    return ok && !e->interrupted ? CC_REFRESH : CC_ERROR;
}

/* How many bytes all the words begin with. */
static size_t common_length(char *const *words, size_t count)
{
    size_t length = strlen(words[0]);
    for (size_t i = 1; i < count; i++) {
        size_t same = 0;
        while (same < length && words[i][same] == words[0][same])
            same++;
        length = same;
    }
    return we_utf8_valid_prefix(we_str(words[0], length));
}

static unsigned char complete(EditLine *edit, int key)
{
    (void)key;
    struct we_editor *e = editor_of(edit);
    const LineInfo *info = el_line(edit);
    struct we_arena arena = {0};
    char **words = NULL;
    size_t count = 0;
    char *line = we_arena_copy(&arena, we_str(info->buffer, (size_t)(info->cursor - info->buffer)));
    size_t start = line && e->complete ? e->complete(e->context, line, &arena, &words, &count) : 0;
    unsigned char action = CC_ERROR;
    if (count) {
        size_t typed = strlen(line) - start, common = common_length(words, count);
        struct we_buf rest = {0};
        if (common > typed)
            we_buf_append(&rest, we_str(words[0] + typed, common - typed));
        if (count == 1 && common && words[0][common - 1] != '/') /* a folder goes on */
            we_buf_append_byte(&rest, ' ');
        if (!rest.failed && rest.length && el_insertstr(edit, rest.data) == 0)
            action = CC_REFRESH;
        else if (count > 1) {
            fputs("\r\n", e->out);
            for (size_t i = 0; i < count; i++)
                fprintf(e->out, "%s\r\n", words[i]);
            action = CC_REDISPLAY;
        }
        we_buf_free(&rest);
    }
    we_arena_free(&arena);
    return action;
}

static char *prompt_of(EditLine *edit)
{
    struct we_editor *e = editor_of(edit);
    return e->continued ? e->continuation : e->prompt;
}

static void bind_keys(EditLine *edit)
{
    el_set(edit, EL_EDITOR, "emacs");
    el_set(edit, EL_ADDFN, "we-newline", "Insert a line break", insert_newline);
    el_set(edit, EL_ADDFN, "we-paste", "Insert what is pasted", paste);
    el_set(edit, EL_ADDFN, "we-interrupt", "Clear the line", interrupt);
    el_set(edit, EL_ADDFN, "we-complete", "Complete a command", complete);
    static const char *const keys[][2] = {
        {"\\e\\r", "we-newline"},       {"\\e\\n", "we-newline"},          {"\\e[200~", "we-paste"},    {"^I", "we-complete"},
        {"^R", "em-inc-search-prev"},   {"^W", "ed-delete-prev-word"},     {"\\e[3~", "ed-delete-next-char"},
        {"\\e[1;5D", "ed-prev-word"},   {"\\e[1;5C", "em-next-word"},      {"\\e[H", "ed-move-to-beg"}, {"\\e[F", "ed-move-to-end"},
        {"\\e[1~", "ed-move-to-beg"},   {"\\e[4~", "ed-move-to-end"},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        el_set(edit, EL_BIND, keys[i][0], keys[i][1], NULL);
}

/* ---- opening and closing ---- */

static void open_history(struct we_editor *e)
{
    HistEvent event;
    e->history = history_init();
    if (e->history == NULL)
        return;
    history(e->history, &event, H_SETSIZE, HISTORY_SIZE);
    history(e->history, &event, H_SETUNIQUE, 1);
    if (e->history_file)
        history(e->history, &event, H_LOAD, e->history_file);
    el_set(e->edit, EL_HIST, history, e->history);
}

/* Only its owner may read what was said. */
static void remember(struct we_editor *e, const char *line)
{
    HistEvent event;
    if (e->history == NULL || line[strspn(line, " \n")] == '\0')
        return;
    history(e->history, &event, H_ENTER, line);
    if (e->history_file == NULL)
        return;
    int fd = open(e->history_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (fchmod(fd, 0600) == 0)
        history(e->history, &event, H_SAVE, e->history_file);
    close(fd);
}

static we_status open_news(struct we_error *error)
{
    if (news[0] < 0 && pipe(news) != 0)
        return we_error_errno(error, WE_IO_ERROR, errno, "a pipe for the line editor");
    for (int i = 0; i < 2; i++) {
        fcntl(news[i], F_SETFL, O_NONBLOCK);
        fcntl(news[i], F_SETFD, FD_CLOEXEC);
    }
    return WE_OK;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_resize};
    sigemptyset(&action.sa_mask);
    sigaction(SIGWINCH, &action, NULL);
    sigaction(SIGCONT, &action, NULL);
}

static we_status open_terminal(struct we_editor *e, struct we_error *error)
{
    int fd = dup(we_terminal_is(STDERR_FILENO) ? STDERR_FILENO : STDOUT_FILENO);
    e->out = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (e->out == NULL) {
        int errnum = errno;
        if (fd >= 0)
            close(fd);
        return we_error_errno(error, WE_IO_ERROR, errnum, "the terminal");
    }
    e->edit = el_init("whisperengine", stdin, e->out, e->out);
    if (e->edit == NULL)
        return we_error_set(error, WE_IO_ERROR, "the terminal cannot be edited (TERM=%s)", getenv("TERM"));
    el_set(e->edit, EL_CLIENTDATA, e);
    el_set(e->edit, EL_SIGNAL, 0);
    el_set(e->edit, EL_GETCFN, read_wide);
    const char *on = we_terminal_style(fd, WE_STYLE_PROMPT), *off = we_terminal_style(fd, WE_STYLE_NONE);
    const char *mark = *on ? "\1" : "";
    snprintf(e->prompt, sizeof e->prompt, "%s%s%s>%s%s%s ", mark, on, mark, mark, off, mark);
    snprintf(e->continuation, sizeof e->continuation, "%s%s%s.%s%s%s ", mark, on, mark, mark, off, mark);
    el_set(e->edit, EL_PROMPT_ESC, prompt_of, '\1');
    bind_keys(e->edit);
    el_source(e->edit, NULL); /* the person's own ~/.editrc */
    el_set(e->edit, EL_BIND, "^C", "we-interrupt", NULL);
    el_set(e->edit, EL_BIND, "-a", "^C", "we-interrupt", NULL);
    open_history(e);
    catch_signals();
    return WE_OK;
}

we_status we_editor_open(const char *history_file, we_complete_fn *complete_fn, void *context, struct we_editor **editor,
                         struct we_error *error)
{
    struct we_editor *e = calloc(1, sizeof *e);
    *editor = e;
    if (e == NULL)
        return we_error_memory(error, "the line editor");
    e->complete = complete_fn;
    e->context = context;
    we_status status = open_news(error);
    if (status == WE_OK && history_file && (e->history_file = strdup(history_file)) == NULL)
        status = we_error_memory(error, "the line editor");
    int out = we_terminal_is(STDERR_FILENO) ? STDERR_FILENO : STDOUT_FILENO;
    if (status == WE_OK && we_terminal_is(STDIN_FILENO) && we_terminal_can_draw(out))
        status = open_terminal(e, error);
    if (status != WE_OK) {
        we_editor_close(e);
        *editor = NULL;
    }
    return status;
}

void we_editor_close(struct we_editor *e)
{
    if (e == NULL)
        return;
    if (e->edit)
        el_end(e->edit);
    if (e->history)
        history_end(e->history);
    if (e->out)
        fclose(e->out);
    free(e->history_file);
    free(e);
}

bool we_editor_interactive(const struct we_editor *e)
{
    return we_terminal_is(STDIN_FILENO) && (e->edit || we_terminal_is(STDERR_FILENO));
}

/* ---- one message ---- */

static enum we_line read_plain(struct we_editor *e, struct we_buf *line)
{
    if (we_editor_interactive(e)) {
        fputs(e->continued ? ". " : "> ", stderr);
        fflush(stderr);
    }
    bool any = false;
    while (fill(e)) {
        unsigned char byte = e->bytes[e->at++];
        any = true;
        if (byte == '\n')
            return WE_LINE_READ;
        we_buf_append_byte(line, (char)byte);
    }
    return e->failed ? WE_LINE_FAILED : e->interrupted ? WE_LINE_INTERRUPTED : any ? WE_LINE_READ : WE_LINE_END;
}

static enum we_line read_edited(struct we_editor *e, struct we_buf *line)
{
    int count = 0;
    disable_interrupt_character(e);
    el_set(e->edit, EL_PREP_TERM, 1); /* before the prompt invites someone to type */
    set_bracketed_paste(e, true);
    const char *text = el_gets(e->edit, &count);
    set_bracketed_paste(e, false);
    restore_modes(e);
    if (text == NULL || count <= 0) {
        fputc('\n', e->out);
        fflush(e->out);
        return e->failed ? WE_LINE_FAILED : e->interrupted ? WE_LINE_INTERRUPTED : WE_LINE_END;
    }
    size_t length = strlen(text);
    if (length && text[length - 1] == '\n')
        length--;
    we_buf_append(line, we_str(text, length));
    return e->interrupted ? WE_LINE_INTERRUPTED : WE_LINE_READ;
}

enum we_line we_editor_read(struct we_editor *e, struct we_buf *line)
{
    enum we_line result;
    we_buf_clear(line);
    e->continued = e->interrupted = e->failed = false;
    for (;;) {
        result = e->edit ? read_edited(e, line) : read_plain(e, line);
        if (result != WE_LINE_READ || line->length == 0 || line->data[line->length - 1] != '\\')
            break;
        line->data[line->length - 1] = '\n';
        e->continued = true;
    }
    if (line->failed)
        return WE_LINE_FAILED;
    if (result == WE_LINE_END && e->continued)
        result = WE_LINE_READ; /* a backslash at the very end */
    if (result == WE_LINE_READ && e->edit)
        remember(e, line->data ? line->data : "");
    if (result == WE_LINE_READ && line->data == NULL)
        we_buf_append_c(line, "");
    return result;
}
