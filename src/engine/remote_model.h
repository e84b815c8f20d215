/* A model that an endpoint runs, behind the handle of a model in this process. */
#ifndef WE_ENGINE_REMOTE_MODEL_H
#define WE_ENGINE_REMOTE_MODEL_H

#include "engine/model.h"

/* `name` is an http(s) address, perhaps with #NAME. */
we_status we_remote_model_open(const char *name, const struct we_model_options *options, struct we_model **model,
                               struct we_error *error);
void we_remote_model_close(struct we_model *model);

/* we_generate_cancellable for it. */
we_status we_remote_model_generate(struct we_model *model, const struct we_request *request, const atomic_bool *cancel,
                                   struct we_result *result, struct we_error *error);

/* WE_UNSUPPORTED if the model is one: `what` needs its weights. */
we_status we_model_require_local(const struct we_model *model, const char *what, struct we_error *error);

#endif
