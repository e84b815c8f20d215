#ifndef WE_ENGINE_GENERATE_H
#define WE_ENGINE_GENERATE_H

#include "engine/model.h"

/* we_generate with a flag that stops it between tokens or batches. */
we_status we_generate_cancellable(struct we_model *model, const struct we_request *request, const atomic_bool *cancel,
                                  struct we_result *result, struct we_error *error);

#endif
