#include "backend/backend.h"

#include "base/buf.h"

const struct we_backend *const we_backends[] = {&we_backend_cpu, NULL};

we_status we_backend_select(const char *name, const struct we_load_options *options, const struct we_backend **backend,
                            struct we_device_info *info, struct we_error *error)
{
    struct we_buf names = {0};
    for (const struct we_backend *const *b = we_backends; *b; b++) {
        if (name == NULL ? (*b)->probe(options, info) : strcmp(name, (*b)->name) == 0) {
            we_buf_free(&names);
            *backend = *b;
            if (name && !(*b)->probe(options, info))
                return we_error_set(error, WE_NOT_FOUND, "device '%s': none was found on this machine", name);
            return WE_OK;
        }
        we_buf_printf(&names, "%s%s", names.length ? ", " : "", (*b)->name);
    }
    we_status status = name ? we_error_set(error, WE_NOT_FOUND, "device '%s' is not known; there is: %.*s", name,
                                           WE_STR_ARG(we_buf_str(&names)))
                            : we_error_set(error, WE_NOT_FOUND, "no device was found that can run a model");
    we_buf_free(&names);
    return status;
}
