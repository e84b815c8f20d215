#include "monitor.h"

#include "base/system.h"

enum { PERIOD_SECONDS = 2 };

struct we_monitor {
    GThread *thread;
    GMutex mutex;
    GCond changed;
    bool quit;
    gatomicrefcount references; /* the main loop's, the thread's, and one for each reading that is on its way */
    we_monitor_fn *on_reading;
    gpointer context;
};

struct delivery {
    struct we_monitor *monitor;
    struct we_reading reading;
};

static void unref(struct we_monitor *monitor)
{
    if (!g_atomic_ref_count_dec(&monitor->references))
        return;
    g_mutex_clear(&monitor->mutex);
    g_cond_clear(&monitor->changed);
    g_free(monitor);
}

static void free_delivery(gpointer data)
{
    struct delivery *delivery = data;
    unref(delivery->monitor);
    g_free(delivery);
}

static gboolean deliver(gpointer data)
{
    struct delivery *delivery = data;
    if (!delivery->monitor->quit) /* only the main loop writes it */
        delivery->monitor->on_reading(delivery->monitor->context, &delivery->reading);
    return G_SOURCE_REMOVE;
}

static void post(struct we_monitor *monitor, const struct we_vitals *now, const struct we_vitals *before, double seconds)
{
    struct delivery *delivery = g_new0(struct delivery, 1);
    double total = now->processors_total - before->processors_total;
    delivery->monitor = monitor;
    delivery->reading.vitals = *now;
    delivery->reading.processors = total > 0 ? (now->processors_busy - before->processors_busy) / total : -1;
    delivery->reading.own = seconds > 0 ? (now->own_seconds - before->own_seconds) / seconds : 0;
    g_atomic_ref_count_inc(&monitor->references);
    g_idle_add_full(G_PRIORITY_DEFAULT, deliver, delivery, free_delivery);
}

/* Waits for the next period; false: it is time to end. */
static bool wait_for_period(struct we_monitor *monitor)
{
    gint64 until = g_get_monotonic_time() + PERIOD_SECONDS * G_TIME_SPAN_SECOND;
    g_mutex_lock(&monitor->mutex);
    while (!monitor->quit && g_cond_wait_until(&monitor->changed, &monitor->mutex, until))
        continue;
    bool go_on = !monitor->quit;
    g_mutex_unlock(&monitor->mutex);
    return go_on;
}

static gpointer run(gpointer data)
{
    struct we_monitor *monitor = data;
    struct we_vitals_reader *reader = we_vitals_open();
    if (reader) {
        struct we_vitals before, now;
        double then = we_clock();
        we_vitals_read(reader, &before);
        post(monitor, &before, &before, 0);
        while (wait_for_period(monitor)) {
            double time = we_clock();
            we_vitals_read(reader, &now);
            post(monitor, &now, &before, time - then);
            before = now;
            then = time;
        }
        we_vitals_close(reader);
    }
    unref(monitor);
    return NULL;
}

struct we_monitor *we_monitor_new(we_monitor_fn *on_reading, gpointer context)
{
    struct we_monitor *monitor = g_new0(struct we_monitor, 1);
    g_mutex_init(&monitor->mutex);
    g_cond_init(&monitor->changed);
    g_atomic_ref_count_init(&monitor->references);
    g_atomic_ref_count_inc(&monitor->references);
    monitor->on_reading = on_reading;
    monitor->context = context;
    monitor->thread = g_thread_new("monitor", run, monitor);
    return monitor;
}

void we_monitor_free(struct we_monitor *monitor)
{
    if (monitor == NULL)
        return;
    g_mutex_lock(&monitor->mutex);
    monitor->quit = true;
    g_cond_signal(&monitor->changed);
    g_mutex_unlock(&monitor->mutex);
    g_thread_join(monitor->thread);
    unref(monitor);
}
