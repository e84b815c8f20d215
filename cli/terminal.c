#include "terminal.h"

#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <wchar.h>

static bool utf8_locale;

/* A descriptor that the caller closed would be given to the next file that is opened, and be written to. */
static void occupy_standard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            int opened = open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY); /* writing to output still fails */
            if (opened >= 0 && opened != fd) {
                dup2(opened, fd);
                close(opened);
            }
        }
}

void we_terminal_open(void)
{
    occupy_standard_descriptors();
    signal(SIGPIPE, SIG_IGN);
    setlocale(LC_CTYPE, "");
    utf8_locale = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    if (!utf8_locale && !setlocale(LC_CTYPE, "C.UTF-8"))
        setlocale(LC_CTYPE, "en_US.UTF-8"); /* our text is UTF-8 whatever the environment says */
}

bool we_terminal_utf8(void)
{
    return utf8_locale;
}

bool we_terminal_is(int fd)
{
    return isatty(fd) == 1;
}

bool we_terminal_can_draw(int fd)
{
    const char *term = getenv("TERM");
    return we_terminal_is(fd) && term && *term && strcmp(term, "dumb") != 0;
}

unsigned we_terminal_width(int fd)
{
    struct winsize size;
    if (we_terminal_is(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col < 20 ? 20 : size.ws_col;
    return 80;
}

const char *we_terminal_style(int fd, enum we_style style)
{
    static const char *const sequences[] = {"\033[0m", "\033[1m", "\033[2m", "\033[1;31m", "\033[1;36m", "\033[32m", "\033[33m"};
    const char *no_color = getenv("NO_COLOR");
    return (no_color && *no_color) || !we_terminal_can_draw(fd) ? "" : sequences[style];
}

size_t we_text_width(struct we_str text)
{
    size_t width = 0;
    while (text.length) {
        uint32_t code_point;
        size_t n = we_utf8_decode(text, &code_point);
        int columns = n ? wcwidth((wchar_t)code_point) : 1;
        width += columns > 0 ? (size_t)columns : 0;
        n = n ? n : 1;
        text = we_str(text.data + n, text.length - n);
    }
    return width;
}

/* ---- standard output ---- */

static struct we_buf pending;
static int write_error; /* errno of the first write that failed; it stays */

bool we_out_flush(void)
{
    size_t done = 0;
    while (done < pending.length && write_error == 0) {
        ssize_t n = write(STDOUT_FILENO, pending.data + done, pending.length - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            write_error = errno;
    }
    we_buf_clear(&pending);
    return write_error == 0;
}

bool we_out(const char *data, size_t length)
{
    if (write_error)
        return false;
    if (!we_buf_append(&pending, we_str(data, length))) {
        write_error = ENOMEM;
        return false;
    }
    return pending.length < 1 << 16 || we_out_flush();
}

bool we_out_c(const char *text)
{
    return we_out(text, strlen(text));
}

bool we_out_printf(const char *format, ...)
{
    char stack[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(stack, sizeof stack, format, args);
    va_end(args);
    if (n < 0)
        return false;
    if ((size_t)n < sizeof stack)
        return we_out(stack, (size_t)n);
    char *text = malloc((size_t)n + 1);
    if (text == NULL) {
        write_error = write_error ? write_error : ENOMEM;
        return false;
    }
    va_start(args, format);
    vsnprintf(text, (size_t)n + 1, format, args);
    va_end(args);
    bool ok = we_out(text, (size_t)n);
    free(text);
    return ok;
}

/* C0 but newline and tab, DEL, and C1: what could move the cursor, retitle the window, or type into the shell. */
static bool commands_terminal(uint32_t c)
{
    return (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0);
}

bool we_out_stream(const char *text, size_t length)
{
    if (!we_terminal_is(STDOUT_FILENO))
        return we_out(text, length) && we_out_flush();
    struct we_str rest = we_str(text, length);
    while (rest.length) {
        uint32_t code_point = 0;
        size_t n = we_utf8_decode(rest, &code_point);
        if (n == 0 || commands_terminal(code_point))
            we_out_c("\xEF\xBF\xBD");
        else
            we_out(rest.data, n);
        n = n ? n : 1;
        rest = we_str(rest.data + n, rest.length - n);
    }
    return we_out_flush();
}

int we_out_finish(int status)
{
    we_out_flush();
    we_buf_free(&pending);
    if (write_error == 0)
        return status;
    if (write_error == EPIPE)
        return WE_EXIT_OK; /* the reader has what it wanted */
    fprintf(stderr, "whisperengine: standard output cannot be written: %s\n", strerror(write_error));
    return WE_EXIT_FAILED;
}
