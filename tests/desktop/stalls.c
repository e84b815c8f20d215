/* How long the main loop is held up while replies stream: one long reply of the default model, in the real window. Prints, of
 * all turns of the main loop, the longest and the percentiles: the time of the clock (in which other programs had the processor
 * too), and the processor's time of the main thread. Run it with under_display.sh. */
#if defined(__linux__)
#define _GNU_SOURCE
#endif
#include "driver.h"

#include <stdlib.h>
#include <time.h>

struct turn {
    double clock, processor; /* seconds */
};
static GArray *turns;

static double seconds_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_clock(const void *a, const void *b)
{
    double x = ((const struct turn *)a)->clock, y = ((const struct turn *)b)->clock;
    return x < y ? -1 : x > y;
}

static int by_processor(const void *a, const void *b)
{
    double x = ((const struct turn *)a)->processor, y = ((const struct turn *)b)->processor;
    return x < y ? -1 : x > y;
}

static const struct turn *at(double share)
{
    guint index = (guint)(share * (turns->len - 1));
    return &g_array_index(turns, struct turn, index);
}

static bool is_ready(void *context)
{
    return we_engine_state(we_application_engine(context)) == WE_ENGINE_READY;
}

/* A turn of the loop: from when something is there to be done, until it is done. */
static void stream(WeApplication *application, WeWindow *window)
{
    driver_wait("the model is loaded", is_ready, application);
    driver_type(window, "Write a long story about a lighthouse, with many chapters.");
    driver_click(GTK_WIDGET(we_window_chat(window)), "Send", 0);
    while (we_chat_view_answering(we_window_chat(window))) {
        struct turn turn;
        while (!g_main_context_pending(NULL) && we_chat_view_answering(we_window_chat(window)))
            g_usleep(200);
        double clock = seconds_of(CLOCK_MONOTONIC), processor = seconds_of(CLOCK_THREAD_CPUTIME_ID);
        g_main_context_iteration(NULL, FALSE);
        turn.clock = seconds_of(CLOCK_MONOTONIC) - clock;
        turn.processor = seconds_of(CLOCK_THREAD_CPUTIME_ID) - processor;
        g_array_append_val(turns, turn);
    }
    print_message("%u turns, %.1f tokens/s\n", turns->len, we_engine_rate(we_application_engine(application)));
    g_array_sort(turns, by_clock);
    print_message("clock:     99%% %.1f ms, 99.9%% %.1f ms, longest %.1f ms\n", 1e3 * at(0.99)->clock, 1e3 * at(0.999)->clock,
                  1e3 * at(1)->clock);
    g_array_sort(turns, by_processor);
    print_message("processor: 99%% %.1f ms, 99.9%% %.1f ms, longest %.1f ms\n", 1e3 * at(0.99)->processor,
                  1e3 * at(0.999)->processor, 1e3 * at(1)->processor);
}

static void test_stalls(void **state)
{
    (void)state;
    turns = g_array_new(FALSE, FALSE, sizeof(struct turn));
    g_autofree char *env =
        g_strdup_printf("LOCAL_MODELS_DIR=%s\nMLX_MAX_TOKENS=600\nMLX_SEED=1\nMLX_TEMPERATURE=1\n", driver_models_dir());
    driver_begin();
    driver_write_env(env);
    driver_run(stream);
    driver_end();
    g_array_unref(turns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stalls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
