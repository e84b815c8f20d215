#include "backend/cpu/team.h"

enum {
    LEAST_BATCHES = 3,
    DISTURBED = 40, /* interruptions in a second; an idle system's own are a few */
    MOST_TRIES = 3
};
static const double WINDOW = 0.06;    /* seconds that are measured, at least */
static const double GAIN = 0.97;      /* what is not faster by so much is not better */
static const double LONG_BATCH = 0.3; /* its phases have so many pieces that the workers with a processor do the others' */
static const double FIRST_PATIENCE = 0.5, MOST_PATIENCE = 8;

static void measure_anew(struct we_cpu_team *team, bool settling)
{
    team->batches = team->interruptions = 0;
    team->seconds = 0;
    team->settling = settling;
}

static void be_patient(struct we_cpu_team *team, enum we_cpu_direction way)
{
    team->ways[way].tries = 0;
    team->ways[way].wait = team->ways[way].patience;
    const double longer = 2 * team->ways[way].patience;
    team->ways[way].patience = longer < MOST_PATIENCE ? longer : MOST_PATIENCE;
}

static void be_eager(struct we_cpu_team *team, enum we_cpu_direction way, double wait)
{
    team->ways[way].tries = 0;
    team->ways[way].wait = wait;
    team->ways[way].patience = FIRST_PATIENCE;
}

void we_cpu_team_init(struct we_cpu_team *team, uint32_t most)
{
    *team = (struct we_cpu_team){.most = most, .active = most, .kept = most};
    be_eager(team, WE_CPU_FEWER, 0);
    be_eager(team, WE_CPU_MORE, 0);
}

/* One worker first, which is enough for one other process; then a quarter of them, then a half. */
static uint32_t how_many(const struct we_cpu_team *team, enum we_cpu_direction way)
{
    static const uint32_t shares[MOST_TRIES] = {UINT32_MAX, 4, 2};
    const uint32_t share = team->active / shares[team->ways[way].tries], step = share ? share : 1;
    if (way == WE_CPU_FEWER)
        return team->active - step;
    return team->most - team->active < step ? team->most : team->active + step;
}

static void try_way(struct we_cpu_team *team, enum we_cpu_direction way, double before)
{
    team->trying = true;
    team->direction = way;
    team->kept = team->active;
    team->before = before;
    team->active = how_many(team, way);
    measure_anew(team, true);
}

static void give_up(struct we_cpu_team *team)
{
    team->trying = false;
    team->active = team->kept;
    if (++team->ways[team->direction].tries == MOST_TRIES || team->active <= 2)
        be_patient(team, team->direction);
    measure_anew(team, true);
}

static void stay(struct we_cpu_team *team)
{
    team->trying = false;
    team->kept = team->active;
    be_eager(team, team->direction, 0);
    be_eager(team, team->direction == WE_CPU_FEWER ? WE_CPU_MORE : WE_CPU_FEWER, FIRST_PATIENCE);
    measure_anew(team, false);
}

void we_cpu_team_observe(struct we_cpu_team *team, uint32_t rows, double seconds, uint32_t interruptions)
{
    if (team->most == 1 || seconds > LONG_BATCH)
        return;
    team->ways[WE_CPU_FEWER].wait -= seconds;
    team->ways[WE_CPU_MORE].wait -= seconds;
    if (rows != team->rows) {
        team->rows = rows;
        team->trying = false;
        team->active = team->kept;
        measure_anew(team, true);
        return;
    }
    if (team->settling) {
        team->settling = false;
        return;
    }
    team->batches++;
    team->seconds += seconds;
    team->interruptions += interruptions;
    if (team->batches < LEAST_BATCHES || team->seconds < WINDOW)
        return;

    const double mean = team->seconds / team->batches;
    const bool disturbed = team->interruptions > DISTURBED * team->seconds;
    if (team->trying && mean < GAIN * team->before)
        stay(team);
    else if (team->trying)
        give_up(team);
    else if (disturbed && team->active > 1 && team->ways[WE_CPU_FEWER].wait <= 0)
        try_way(team, WE_CPU_FEWER, mean);
    else if (team->active < team->most && team->ways[WE_CPU_MORE].wait <= 0)
        try_way(team, WE_CPU_MORE, mean);
    else
        measure_anew(team, false);
}
