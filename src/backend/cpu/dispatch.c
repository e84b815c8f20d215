/* Which kernels this processor runs. */
#include "backend/cpu/cpu.h"

#include "base/buf.h"
#include "base/system.h"

extern const struct we_cpu_kernels we_cpu_kernels_generic;
#if defined(__x86_64__)
extern const struct we_cpu_kernels we_cpu_kernels_avx2, we_cpu_kernels_avx512, we_cpu_kernels_avx512bf16, we_cpu_kernels_amx;

static bool has_avx2(const struct we_cpu_features *f)
{
    return f->avx2 && f->fma && f->f16c;
}

static bool has_avx512(const struct we_cpu_features *f)
{
    return has_avx2(f) && f->avx512f && f->avx512bw && f->avx512vl && f->avx512dq;
}

static bool has_avx512bf16(const struct we_cpu_features *f)
{
    return has_avx512(f) && f->avx512vnni && f->avx512vbmi && f->avx512bf16;
}

static bool has_amx(const struct we_cpu_features *f)
{
    return has_avx512bf16(f) && f->amx_bf16;
}
#elif defined(__aarch64__) && !defined(__AARCH64EB__)
extern const struct we_cpu_kernels we_cpu_kernels_neon;

static bool has_neon(const struct we_cpu_features *f)
{
    return f->neon;
}
#endif

static bool has_any(const struct we_cpu_features *f)
{
    (void)f;
    return true;
}

/* Best first. */
static const struct isa {
    const struct we_cpu_kernels *kernels;
    bool (*runs)(const struct we_cpu_features *features);
} isas[] = {
#if defined(__x86_64__)
    {&we_cpu_kernels_amx, has_amx},       {&we_cpu_kernels_avx512bf16, has_avx512bf16},
    {&we_cpu_kernels_avx512, has_avx512}, {&we_cpu_kernels_avx2, has_avx2},
#elif defined(__aarch64__) && !defined(__AARCH64EB__)
    {&we_cpu_kernels_neon, has_neon},
#endif
    {&we_cpu_kernels_generic, has_any},
};
enum { NUM_ISAS = sizeof isas / sizeof *isas };

uint32_t we_cpu_kernels_list(const struct we_cpu_kernels *list[WE_CPU_MAX_ISAS])
{
    struct we_cpu_features features;
    we_cpu_features(&features);
    uint32_t count = 0;
    for (size_t i = 0; i < NUM_ISAS; i++)
        if (isas[i].runs(&features))
            list[count++] = isas[i].kernels;
    return count;
}

const struct we_cpu_kernels *we_cpu_kernels_select(const char *name, struct we_error *error)
{
    const struct we_cpu_kernels *list[WE_CPU_MAX_ISAS];
    uint32_t count = we_cpu_kernels_list(list);
    if (name == NULL)
        return list[0];
    struct we_buf names = {0};
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(name, list[i]->name) == 0) {
            we_buf_free(&names);
            return list[i];
        }
        we_buf_printf(&names, "%s%s", i ? ", " : "", list[i]->name);
    }
    bool known = false;
    for (size_t i = 0; i < NUM_ISAS; i++)
        known = known || strcmp(name, isas[i].kernels->name) == 0;
    we_error_set(error, known ? WE_UNSUPPORTED : WE_INVALID_ARGUMENT,
                 "instruction set '%s' %s; it has: %.*s", name,
                 known ? "is not one that this processor has" : "is not known for this kind of processor",
                 WE_STR_ARG(we_buf_str(&names)));
    we_buf_free(&names);
    return NULL;
}
