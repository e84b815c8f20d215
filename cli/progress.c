#include "progress.h"

#include "layout.h"
#include "terminal.h"

#include "base/system.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

/* ---- spinner ---- */

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t thread;
    bool running, stop;
    const char *label;
} spinner = {.mutex = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static struct timespec after(struct timespec time, long milliseconds)
{
    time.tv_nsec += milliseconds * 1000000;
    time.tv_sec += time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}

static void *spin(void *unused)
{
    (void)unused;
    static const char *const plain[] = {"|", "/", "-", "\\"};
    static const char *const braille[] = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
    const char *const *frames = we_terminal_utf8() ? braille : plain;
    unsigned count = we_terminal_utf8() ? 10 : 4, frame = 0;
    const char *dim = we_terminal_style(STDERR_FILENO, WE_STYLE_DIM), *off = we_terminal_style(STDERR_FILENO, WE_STYLE_NONE);
    double started = we_clock();
    struct timespec next;
    clock_gettime(CLOCK_REALTIME, &next);
    next = after(next, 300);
    pthread_mutex_lock(&spinner.mutex);
    while (!spinner.stop) {
        if (pthread_cond_timedwait(&spinner.wake, &spinner.mutex, &next) != ETIMEDOUT)
            continue;
        fprintf(stderr, "\r%s%s %s, %.0f s%s\033[K", dim, frames[frame++ % count], spinner.label, we_clock() - started, off);
        fflush(stderr);
        next = after(next, 100);
    }
    if (frame)
        fputs("\r\033[K", stderr);
    pthread_mutex_unlock(&spinner.mutex);
    return NULL;
}

void we_spinner_start(const char *label)
{
    if (spinner.running || !we_terminal_can_draw(STDERR_FILENO))
        return;
    spinner.label = label;
    spinner.stop = false;
    spinner.running = pthread_create(&spinner.thread, NULL, spin, NULL) == 0;
}

void we_spinner_stop(void)
{
    if (!spinner.running)
        return;
    pthread_mutex_lock(&spinner.mutex);
    spinner.stop = true;
    pthread_cond_signal(&spinner.wake);
    pthread_mutex_unlock(&spinner.mutex);
    pthread_join(spinner.thread, NULL);
    spinner.running = false;
}

/* ---- bar ---- */

void we_progress_start(struct we_progress *progress, const char *label)
{
    *progress = (struct we_progress){.label = label, .started = we_clock()};
}

/* Bytes a second, smoothed over some seconds; what was there before the first call does not count. */
static void measure_rate(struct we_progress *p, double now, uint64_t done)
{
    if (p->seen_at == 0 || done < p->seen) {
        p->seen_at = now;
        p->seen = done;
    }
    double seconds = now - p->seen_at;
    if (seconds < 0.5)
        return;
    double rate = (double)(done - p->seen) / seconds, weight = p->rate > 0 ? 1 - exp(-seconds / 3) : 1;
    p->rate += weight * (rate - p->rate);
    p->seen_at = now;
    p->seen = done;
}

static int print_rate(const struct we_progress *p, uint64_t left, char *out, size_t size)
{
    char rate[32];
    if (p->rate < 1)
        return 0;
    double seconds = (double)left / p->rate;
    int used = snprintf(out, size, "  %s/s", we_format_bytes((uint64_t)p->rate, rate, sizeof rate));
    if (seconds >= 3600)
        used += snprintf(out + used, size - (size_t)used, "  %.0f h %02d min left", floor(seconds / 3600), (int)fmod(seconds / 60, 60));
    else if (seconds >= 60)
        used += snprintf(out + used, size - (size_t)used, "  %d min %02d s left", (int)(seconds / 60), (int)fmod(seconds, 60));
    else
        used += snprintf(out + used, size - (size_t)used, "  %.0f s left", ceil(seconds));
    return used;
}

void we_progress_update(struct we_progress *progress, uint64_t done, uint64_t total)
{
    double now = we_clock();
    if (progress->with_rate)
        measure_rate(progress, now, done);
    if (now - progress->started < 0.3 || now - progress->drawn < 0.1 || !we_terminal_can_draw(STDERR_FILENO))
        return;
    progress->drawn = now;
    progress->visible = true;
    double share = total ? (double)done / (double)total : 0;
    share = share > 1 ? 1 : share;
    char done_text[32], total_text[32];
    (progress->unit ? we_format_grouped : we_format_bytes)(done, done_text, sizeof done_text);
    (progress->unit ? we_format_grouped : we_format_bytes)(total, total_text, sizeof total_text);
    char numbers[192];
    int used = snprintf(numbers, sizeof numbers, " %3.0f %%  %s of %s%s%s", 100 * share, done_text, total_text,
                        progress->unit ? " " : "", progress->unit ? progress->unit : "");
    if (progress->with_rate)
        used += print_rate(progress, total > done ? total - done : 0, numbers + used, sizeof numbers - (size_t)used);
    int room = (int)we_terminal_width(STDERR_FILENO) - (int)strlen(progress->label) - used - 4;
    int cells = room > 40 ? 40 : room, filled = cells > 0 ? (int)(share * cells) : 0;
    fprintf(stderr, "\r%s ", progress->label);
    if (cells >= 8) {
        fputc('[', stderr);
        for (int i = 0; i < cells; i++)
            fputc(i < filled ? '#' : ' ', stderr);
        fputc(']', stderr);
    }
    fprintf(stderr, "%s\033[K", numbers);
    fflush(stderr);
}

void we_progress_end(struct we_progress *progress)
{
    if (progress->visible)
        fputs("\r\033[K", stderr);
    progress->visible = false;
}
