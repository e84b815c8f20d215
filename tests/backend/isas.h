/* The sets of kernels that a test of kernels goes through. */
#ifndef WE_TESTS_BACKEND_ISAS_H
#define WE_TESTS_BACKEND_ISAS_H

#include "backend/cpu/cpu.h"

#ifndef TEST_ONLY_TILES
#define TEST_ONLY_TILES 0
#endif

/* isas.c: all that this machine has. isas_emulated.c: the one whose tiles are emulated; none where the machine lacks what it
 * needs besides. */
uint32_t test_isas(const struct we_cpu_kernels *isas[WE_CPU_MAX_ISAS]);
/* Where tiles are emulated and the machine has them: the set that gives the same bits; else NULL. */
const struct we_cpu_kernels *test_isa_twin(void);

#endif
