/* What a reply cost. */
#ifndef WE_CLI_REPORT_H
#define WE_CLI_REPORT_H

#include <whisperengine_tools.h>

/* Standard error: rates, time to the first token, peak memory. */
void we_report_verbose(const struct we_model *model, const struct we_result *result);

/* Standard output: the object of `run --json`. False: out of memory, and nothing was printed. */
bool we_report_json(const struct we_model *model, const struct we_result *result);

#endif
