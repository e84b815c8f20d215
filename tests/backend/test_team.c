/* How many workers take part: against a machine that is a formula. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/cpu/team.h"

/* Other processes keep `busy` of its processors. A batch takes `work` seconds of one worker; as long as every worker has a
 * processor of its own, they share it, and else the one that has to wait holds them up, `stall` times as long. */
struct model {
    uint32_t processors, busy;
    double work, stall;
    uint64_t random;
};

static double random_part(struct model *m)
{
    m->random = m->random * 6364136223846793005u + 1442695040888963407u;
    return (double)(m->random >> 40) / (1 << 24);
}

/* Runs batches for so many seconds of its clock, and returns the mean rate. */
static double run_for(struct model *m, struct we_cpu_team *team, uint32_t rows, double seconds)
{
    double clock = 0, interruptions = 0;
    uint32_t batches = 0;
    while (clock < seconds) {
        const bool crowded = team->active + m->busy > m->processors;
        const double took = m->work / team->active * (crowded ? m->stall : 1) * (0.99 + 0.02 * random_part(m));
        interruptions += took * (crowded ? 300 : 5); /* in a second */
        const uint32_t whole = (uint32_t)interruptions;
        interruptions -= whole;
        clock += took;
        batches++;
        we_cpu_team_observe(team, rows, took, whole);
        assert_true(team->active >= 1 && team->active <= team->most);
    }
    return batches / clock;
}

static double best_rate(const struct model *m, uint32_t most)
{
    double best = 0;
    for (uint32_t n = 1; n <= most; n++) {
        const double rate = n / m->work / (n + m->busy > m->processors ? m->stall : 1);
        best = rate > best ? rate : best;
    }
    return best;
}

static void test_alone(void **state)
{
    (void)state;
    for (uint32_t processors = 1; processors <= 64; processors *= 2)
        for (int w = 0; w < 3; w++) {
            struct model m = {.processors = processors, .work = (double[]){0.005, 0.04, 0.3}[w], .stall = 2};
            struct we_cpu_team team;
            we_cpu_team_init(&team, processors);
            run_for(&m, &team, 1, 5);
            assert_int_equal(team.active, processors); /* and never was another */
            assert_int_equal(team.kept, processors);
            assert_true(team.ways[WE_CPU_FEWER].tries == 0);
        }
}

/* With neighbours it comes near the best number, and after they have gone back to all. */
static void test_neighbours(void **state)
{
    (void)state;
    static const struct {
        uint32_t processors, busy;
    } machines[] = {{2, 1}, {4, 1}, {8, 1}, {8, 3}, {16, 1}, {16, 2}, {16, 8}, {32, 1}, {64, 20}};
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
        for (int w = 0; w < 3; w++) {
            struct model m = {.processors = machines[i].processors, .work = (double[]){0.005, 0.04, 0.1}[w], .stall = 4};
            struct we_cpu_team team;
            we_cpu_team_init(&team, m.processors);
            run_for(&m, &team, 1, 2);
            m.busy = machines[i].busy;
            run_for(&m, &team, 1, 10);
            const double rate = run_for(&m, &team, 1, 20), best = best_rate(&m, m.processors);
            if (rate < 0.85 * best)
                fail_msg("%u processors, %u busy, %g s: %.1f batches in a second with %u workers; the best are %.1f",
                         m.processors, m.busy, m.work, rate, team.active, best);
            m.busy = 0;
            run_for(&m, &team, 1, 30);
            const double after = run_for(&m, &team, 1, 5), alone = best_rate(&m, m.processors);
            if (after < 0.97 * alone)
                fail_msg("%u processors, %g s: %.1f batches in a second with %u workers after %u left; alone %.1f",
                         m.processors, m.work, after, team.active, machines[i].busy, alone);
        }
}

/* Where fewer workers are no faster, trying costs little. */
static void test_no_gain(void **state)
{
    (void)state;
    for (uint32_t processors = 2; processors <= 16; processors *= 2) {
        struct model m = {.processors = processors, .busy = processors, .work = 0.02, .stall = 2};
        struct we_cpu_team team;
        we_cpu_team_init(&team, processors);
        run_for(&m, &team, 1, 5);
        const double rate = run_for(&m, &team, 1, 60), best = best_rate(&m, processors);
        if (rate < 0.97 * best)
            fail_msg("%u processors: %.1f batches in a second; the best are %.1f", processors, rate, best);
    }
}

/* Batches of other sizes are not compared, and long ones change nothing. */
static void test_sizes(void **state)
{
    (void)state;
    struct model m = {.processors = 4, .busy = 1, .work = 0.02, .stall = 4, .random = 3};
    struct we_cpu_team team;
    we_cpu_team_init(&team, 4);
    for (uint32_t i = 0; i < 1000; i++)
        run_for(&m, &team, i % 7 + 1, 0.001);
    assert_int_equal(team.kept, 4);
    m.work = 8;
    run_for(&m, &team, 512, 300);
    assert_int_equal(team.active, 4);
    m.work = 0.02;
    run_for(&m, &team, 1, 5);
    assert_int_equal(team.kept, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_no_gain),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
