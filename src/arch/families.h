/* A function for each family's file. */
#ifndef WE_ARCH_FAMILIES_H
#define WE_ARCH_FAMILIES_H

#include "arch/arch.h"

we_status we_describe_llama(const struct we_arch_source *source, struct we_decoder *decoder, struct we_error *error);
we_status we_describe_phi3(const struct we_arch_source *source, struct we_decoder *decoder, struct we_error *error);

#endif
