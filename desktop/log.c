#include "log.h"

#include <string.h>

static GMutex lock;
static struct we_log_line lines[WE_LOG_LINES]; /* line n stands at n % WE_LOG_LINES */
static uint64_t last, forgotten;               /* numbers; what is not above `forgotten` is not shown */
static enum we_log_level lowest = WE_LOG_INFO;

static const char *const names[WE_NUM_LOG_LEVELS] = {"debug", "info", "warning", "error", "critical"};

const char *we_log_level_name(enum we_log_level level)
{
    return names[level];
}

enum we_log_level we_log_level_of(const char *name)
{
    for (int i = 0; name && i < WE_NUM_LOG_LEVELS; i++)
        if (g_ascii_strcasecmp(name, names[i]) == 0)
            return (enum we_log_level)i;
    return WE_LOG_INFO;
}

void we_log_set_level(enum we_log_level level)
{
    g_mutex_lock(&lock);
    lowest = level;
    g_mutex_unlock(&lock);
}

/* Valid UTF-8 on one line, not too long. */
static char *clean(const char *text, gsize length)
{
    char *copy = g_utf8_make_valid(text, (gssize)MIN(length, WE_LOG_LONGEST));
    g_strchomp(copy);
    for (char *at = copy; *at; at++)
        if ((unsigned char)*at < ' ')
            *at = ' ';
    return copy;
}

static void keep(enum we_log_level level, const char *source, const char *text, gsize length)
{
    char *own_source = clean(source, strlen(source)), *own_text = clean(text, length);
    g_mutex_lock(&lock);
    if (level >= lowest) {
        struct we_log_line *line = &lines[++last % WE_LOG_LINES];
        char *old_source = line->source, *old_text = line->text;
        *line = (struct we_log_line){last, g_get_real_time(), level, own_source, own_text};
        own_source = old_source;
        own_text = old_text;
    }
    g_mutex_unlock(&lock);
    g_free(own_source);
    g_free(own_text);
}

void we_log(enum we_log_level level, const char *source, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = g_strdup_vprintf(format, args);
    va_end(args);
    keep(level, source, text, strlen(text));
    g_free(text);
}

GLogWriterOutput we_log_writer(GLogLevelFlags flags, const GLogField *fields, gsize count, gpointer data)
{
    const char *message = "", *domain = "GLib";
    gsize length = 0;
    for (gsize i = 0; i < count; i++) {
        gsize n = fields[i].length < 0 ? strlen(fields[i].value) : (gsize)fields[i].length;
        if (strcmp(fields[i].key, "MESSAGE") == 0) {
            message = fields[i].value;
            length = n;
        } else if (strcmp(fields[i].key, "GLIB_DOMAIN") == 0 && fields[i].length < 0) {
            domain = fields[i].value;
        }
    }
    enum we_log_level level = flags & G_LOG_LEVEL_ERROR      ? WE_LOG_CRITICAL
                              : flags & G_LOG_LEVEL_CRITICAL ? WE_LOG_ERROR
                              : flags & G_LOG_LEVEL_WARNING  ? WE_LOG_WARNING
                              : flags & G_LOG_LEVEL_DEBUG    ? WE_LOG_DEBUG
                                                             : WE_LOG_INFO;
    keep(level, domain, message, length);
    return level >= WE_LOG_WARNING ? g_log_writer_default(flags, fields, count, data) : G_LOG_WRITER_HANDLED;
}

uint64_t we_log_since(uint64_t number, void (*visit)(void *context, const struct we_log_line *line), void *context)
{
    g_mutex_lock(&lock);
    uint64_t oldest = last > WE_LOG_LINES ? last - WE_LOG_LINES : 0;
    for (uint64_t n = MAX(MAX(number, forgotten), oldest) + 1; n <= last; n++)
        visit(context, &lines[n % WE_LOG_LINES]);
    uint64_t newest = last;
    g_mutex_unlock(&lock);
    return newest;
}

void we_log_clear(void)
{
    g_mutex_lock(&lock);
    forgotten = last;
    for (size_t i = 0; i < WE_LOG_LINES; i++) {
        g_clear_pointer(&lines[i].source, g_free);
        g_clear_pointer(&lines[i].text, g_free);
    }
    g_mutex_unlock(&lock);
}

char *we_log_line_text(const struct we_log_line *line)
{
    GDateTime *seconds = g_date_time_new_from_unix_local(line->time / G_USEC_PER_SEC);
    char *stamp = seconds ? g_date_time_format(seconds, "%Y-%m-%d %H:%M:%S") : g_strdup("");
    char *level = g_ascii_strup(names[line->level], -1);
    char *text =
        g_strdup_printf("%s.%03d  %-8s  %s  %s", stamp, (int)(line->time / 1000 % 1000), level, line->source, line->text);
    g_clear_pointer(&seconds, g_date_time_unref);
    g_free(stamp);
    g_free(level);
    return text;
}
