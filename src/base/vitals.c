#include "base/vitals.h"

#include "base/system.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__APPLE__)
#include <mach/mach.h>
#endif

/* What is used of NVIDIA's management library (NVML), whose header may not be installed. */
struct nvml_utilization {
    unsigned gpu, memory; /* percent */
};
struct nvml_memory {
    unsigned long long total, free, used;
};

struct we_vitals_reader {
    void *nvml, *device;
    int (*utilization)(void *device, struct nvml_utilization *utilization);
    int (*memory)(void *device, struct nvml_memory *memory);
    int (*shutdown)(void);
    char name[64];
    char card[64]; /* "/sys/class/drm/card0/device": one whose driver tells by files; "" none */
};

/* A function of the library; ISO C knows no conversion from a pointer to data. */
static bool find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

static void open_nvml(struct we_vitals_reader *reader)
{
    int (*init)(void), (*by_index)(unsigned, void **), (*get_name)(void *, char *, unsigned);
    void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return;
    if (find(library, "nvmlInit_v2", &init) && find(library, "nvmlDeviceGetHandleByIndex_v2", &by_index) &&
        find(library, "nvmlDeviceGetName", &get_name) && find(library, "nvmlShutdown", &reader->shutdown) &&
        find(library, "nvmlDeviceGetUtilizationRates", &reader->utilization) &&
        find(library, "nvmlDeviceGetMemoryInfo", &reader->memory) && init() == 0) {
        reader->nvml = library;
        if (by_index(0, &reader->device) != 0)
            reader->device = NULL;
        else if (get_name(reader->device, reader->name, sizeof reader->name) != 0)
            reader->name[0] = '\0';
        return;
    }
    dlclose(library);
}

/* A number that is all a small file says. */
static bool read_number(const char *folder, const char *name, uint64_t *value)
{
    char path[128];
    unsigned long long number;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    bool ok = file && fscanf(file, "%llu", &number) == 1;
    if (file)
        fclose(file);
    if (ok)
        *value = number;
    return ok;
}

/* Drivers such as amdgpu tell by files. */
static void find_card(struct we_vitals_reader *reader)
{
    for (int i = 0; i < 8; i++) {
        uint64_t ignored;
        snprintf(reader->card, sizeof reader->card, "/sys/class/drm/card%d/device", i);
        if (read_number(reader->card, "gpu_busy_percent", &ignored))
            return;
    }
    reader->card[0] = '\0';
}

struct we_vitals_reader *we_vitals_open(void)
{
    struct we_vitals_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return NULL;
    open_nvml(reader);
    if (reader->device == NULL)
        find_card(reader);
    return reader;
}

void we_vitals_close(struct we_vitals_reader *reader)
{
    if (reader == NULL)
        return;
    if (reader->nvml) {
        reader->shutdown();
        dlclose(reader->nvml);
    }
    free(reader);
}

static void read_gpu(const struct we_vitals_reader *reader, struct we_vitals *vitals)
{
    struct nvml_utilization utilization;
    struct nvml_memory memory;
    uint64_t percent;
    if (reader->device && reader->utilization(reader->device, &utilization) == 0) {
        vitals->has_gpu = true;
        vitals->gpu_busy = utilization.gpu / 100.0;
        if (reader->memory(reader->device, &memory) == 0) {
            vitals->gpu_memory_used = memory.used;
            vitals->gpu_memory_total = memory.total;
        }
        memcpy(vitals->gpu_name, reader->name, sizeof vitals->gpu_name);
    } else if (reader->card[0] && read_number(reader->card, "gpu_busy_percent", &percent)) {
        vitals->has_gpu = true;
        vitals->gpu_busy = (double)percent / 100;
        read_number(reader->card, "mem_info_vram_used", &vitals->gpu_memory_used);
        read_number(reader->card, "mem_info_vram_total", &vitals->gpu_memory_total);
    }
}

#if defined(__linux__)

static void read_processors(struct we_vitals *vitals)
{
    unsigned long long user, nice, system, idle, wait, irq, softirq, stolen;
    FILE *file = fopen("/proc/stat", "re");
    if (file && fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &wait, &irq, &softirq,
                       &stolen) == 8) {
        double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
        vitals->processors_busy = (double)(user + nice + system + irq + softirq + stolen) * tick;
        vitals->processors_total = vitals->processors_busy + (double)(idle + wait) * tick;
    }
    if (file)
        fclose(file);
}

static void read_memory(struct we_vitals *vitals)
{
    unsigned long long size, resident;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%llu %llu", &size, &resident) == 2)
        vitals->own_memory = resident * (uint64_t)sysconf(_SC_PAGESIZE);
    if (file)
        fclose(file);
}

#elif defined(__APPLE__)

static void read_processors(struct we_vitals *vitals)
{
    host_cpu_load_info_data_t load;
    mach_msg_type_number_t count = HOST_CPU_LOAD_INFO_COUNT;
    if (host_statistics(mach_host_self(), HOST_CPU_LOAD_INFO, (host_info_t)&load, &count) != KERN_SUCCESS)
        return;
    double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    vitals->processors_busy =
        tick * ((double)load.cpu_ticks[CPU_STATE_USER] + load.cpu_ticks[CPU_STATE_SYSTEM] + load.cpu_ticks[CPU_STATE_NICE]);
    vitals->processors_total = vitals->processors_busy + tick * load.cpu_ticks[CPU_STATE_IDLE];
}

static void read_memory(struct we_vitals *vitals)
{
    mach_task_basic_info_data_t info;
    mach_msg_type_number_t count = MACH_TASK_BASIC_INFO_COUNT;
    if (task_info(mach_task_self(), MACH_TASK_BASIC_INFO, (task_info_t)&info, &count) == KERN_SUCCESS)
        vitals->own_memory = info.resident_size;
}

#else

static void read_processors(struct we_vitals *vitals)
{
    (void)vitals;
}

static void read_memory(struct we_vitals *vitals)
{
    (void)vitals;
}

#endif

void we_vitals_read(struct we_vitals_reader *reader, struct we_vitals *vitals)
{
    struct rusage usage;
    *vitals = (struct we_vitals){0};
    read_processors(vitals);
    read_memory(vitals);
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        vitals->own_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                              1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    long pages = sysconf(_SC_PHYS_PAGES);
    vitals->memory_total = pages > 0 ? (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
    vitals->memory_available = we_memory_available();
    read_gpu(reader, vitals);
}
