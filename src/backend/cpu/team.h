/* How many workers compute a batch. All workers end a phase together, so one that shares its processor with another process
 * holds all of them up; fewer workers, each with a processor of its own, are then faster. Nothing tells which processors
 * are free, so it is measured: when workers lose their processors often, some batches run on fewer workers, and what was
 * faster stays; from time to time more are tried again. No result depends on it, only time. */
#ifndef WE_BACKEND_CPU_TEAM_H
#define WE_BACKEND_CPU_TEAM_H

#include <stdbool.h>
#include <stdint.h>

enum we_cpu_direction { WE_CPU_FEWER, WE_CPU_MORE };

struct we_cpu_team {
    uint32_t most, active; /* workers: there are; take part in the next batch */
    uint32_t rows;         /* of the batches that are measured: others are not comparable */

    uint32_t batches, interruptions; /* measured so far */
    double seconds;
    bool settling; /* the next batch is the first one on so many workers: it is not measured */

    bool trying; /* `active` workers, in place of `kept`, on which a batch took `before` seconds */
    enum we_cpu_direction direction;
    uint32_t kept;
    double before;
    struct {
        uint32_t tries;        /* without gain; each goes further */
        double wait, patience; /* seconds until the next is due; and how many it will be after that one */
    } ways[2];
};

/* most: at least 1. */
void we_cpu_team_init(struct we_cpu_team *team, uint32_t most);

/* Tells how a batch went on `active` workers, and sets `active` for the next. interruptions: how often its workers lost their
 * processors while they had work. */
void we_cpu_team_observe(struct we_cpu_team *team, uint32_t rows, double seconds, uint32_t interruptions);

#endif
