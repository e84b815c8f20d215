/* What the machine has, and what of it will be used. */
#include "engine/validate.h"

#include "backend/backend.h"
#include "base/fs.h"
#include "base/system.h"

#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

/* "AMD EPYC 9R14", where the system tells. */
static const char *processor_name(struct we_validator *v)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];
    const char *name = NULL;
    while (file && name == NULL && fgets(line, sizeof line, file)) {
        const char *colon = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;
        if (colon)
            name = we_validator_text(v, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
    }
    if (file)
        fclose(file);
    return name;
}

static void check_system(struct we_validator *v)
{
    struct utsname system;
    const char *processor = processor_name(v);
    if (uname(&system) != 0)
        return;
    we_check(v, WE_CHECK_PASSED, "system", NULL, "%s %s on %s%s%s, whisperengine %s", system.sysname, system.release,
             system.machine, processor ? ", " : "", processor ? processor : "", we_version());
}

static void check_processors(struct we_validator *v)
{
    long all = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t usable = we_processor_count(), threads = v->model.threads;
    if (threads > usable)
        we_check(v, WE_CHECK_WARNING, "processors", "nproc",
                 "%u threads are asked for, but this process may use %u processors: more threads than that make it slower",
                 threads, usable);
    else if (all > 0 && (uint32_t)all != usable)
        we_check(v, WE_CHECK_PASSED, "processors", NULL, "%u of the machine's %ld may be used", usable, all);
    else
        we_check(v, WE_CHECK_PASSED, "processors", NULL, "%u", usable);
}

static void check_memory(struct we_validator *v)
{
    enum { LITTLE = 1 << 30 };
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    uint64_t total = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0, available = we_memory_available();
    char all[24], there[24];
    if (available == 0)
        we_check(v, WE_CHECK_SKIPPED, "memory", NULL, "the system does not tell how much is free");
    else
        we_check(v, available < LITTLE ? WE_CHECK_WARNING : WE_CHECK_PASSED, "memory", NULL, "%s can be used of %s%s",
                 we_bytes_text(available, there), we_bytes_text(total > available ? total : available, all),
                 available < LITTLE ? ": that is enough for the smallest models only; close other programs" : "");
}

struct feature {
    const char *name;
    bool there;
};

static void list(struct we_buf *out, const struct feature *features, size_t count, bool there)
{
    size_t start = out->length;
    for (size_t i = 0; i < count; i++)
        if (features[i].there == there)
            we_buf_printf(out, "%s%s", out->length > start ? ", " : "", features[i].name);
}

static void check_instructions(struct we_validator *v)
{
    struct we_cpu_features f;
    we_cpu_features(&f);
    const struct feature features[] = {
#if defined(__x86_64__)
        {"AVX2", f.avx2},
        {"FMA", f.fma},
        {"F16C", f.f16c},
        {"AVX-512", f.avx512f && f.avx512bw && f.avx512vl && f.avx512dq},
        {"VBMI", f.avx512vbmi},
        {"VNNI", f.avx512vnni},
        {"BF16", f.avx512bf16},
        {"AMX-BF16", f.amx_bf16},
        {"AMX-INT8", f.amx_int8},
#elif defined(__aarch64__)
        {"NEON", f.neon},
        {"dot products", f.dotprod},
        {"I8MM", f.i8mm},
#else
        {"none that are known", true},
#endif
    };
    const size_t count = sizeof features / sizeof *features;
    struct we_buf has = {0}, lacks = {0};
    list(&has, features, count, true);
    list(&lacks, features, count, false);
    bool fast = features[0].there;
    if (has.failed || lacks.failed)
        v->out_of_memory = true;
    else
        we_check(v, fast ? WE_CHECK_PASSED : WE_CHECK_WARNING, "instructions", NULL, "%s%s%s%s",
                 has.length ? has.data : "plain C", lacks.length ? "; not " : "", lacks.length ? lacks.data : "",
                 fast ? "" : ": models run, but many times slower than with them");
    we_buf_free(&has);
    we_buf_free(&lacks);
}

/* Every back-end that is built in, and the one that a model will run on. */
static void check_backends(struct we_validator *v)
{
    struct we_load_options load = {.threads = v->model.threads, .isa = v->model.isa};
    struct we_device_info info = {0};
    struct we_error error;
    const struct we_backend *chosen = NULL;
    for (const struct we_backend *const *b = we_backends; *b; b++) {
        const struct we_load_options any = {.threads = v->model.threads};
        char bytes[24];
        if (!(*b)->probe(&any, &info))
            we_check(v, WE_CHECK_SKIPPED, (*b)->name, NULL, "no device for it was found");
        else if (info.memory_available)
            we_check(v, WE_CHECK_PASSED, (*b)->name, NULL, "%s, %s of memory", info.name,
                     we_bytes_text(info.memory_available, bytes));
        else
            we_check(v, WE_CHECK_PASSED, (*b)->name, NULL, "%s", info.name);
    }
    if (we_backend_select(v->model.device, &load, &chosen, &info, &error) != WE_OK) {
        we_check_error(v, WE_CHECK_FAILED, "device",
                       we_validator_text(v, "whisperengine validate --device %s", we_backends[0]->name), &error);
        return;
    }
    if (v->model.isa && strstr(info.name, "unknown instruction set"))
        we_check(v, WE_CHECK_FAILED, "device", "whisperengine validate --isa generic",
                 "the instruction set '%s' is asked for, which this processor does not have; leave it out (--isa, "
                 "WHISPERENGINE_ISA), and the best one is taken",
                 v->model.isa);
    else
        we_check(v, WE_CHECK_PASSED, "device", NULL, "%s will be used%s", info.name, v->model.device ? ", as asked for" : "");
}

we_status we_validate_platform(const struct we_validate_options *options, struct we_error *error)
{
    struct we_validator v = {.options = options, .group = "platform"};
    we_model_options_init(&v.model);
    if (options->model)
        v.model = *options->model;
    check_system(&v);
    check_processors(&v);
    check_memory(&v);
    check_instructions(&v);
    check_backends(&v);
    we_arena_free(&v.arena);
    if (v.stopped)
        return we_error_set(error, WE_CANCELLED, "stopped");
    return v.out_of_memory ? we_error_memory(error, "the checks") : WE_OK;
}
