#include "tensor/quantize.h"

#include "base/system.h"

extern const struct we_quantizer we_quantizer_generic;
#if defined(__x86_64__)
extern const struct we_quantizer we_quantizer_avx2, we_quantizer_avx512;
#endif

size_t we_quantizers(const struct we_quantizer *list[4])
{
    size_t count = 0;
    list[count++] = &we_quantizer_generic;
#if defined(__x86_64__)
    struct we_cpu_features cpu;
    we_cpu_features(&cpu);
    if (cpu.avx2 && cpu.f16c)
        list[count++] = &we_quantizer_avx2;
    if (cpu.avx512f && cpu.avx512bw && cpu.avx512vl && cpu.avx512dq)
        list[count++] = &we_quantizer_avx512;
#endif
    return count;
}

const struct we_quantizer *we_quantizer_best(void)
{
    const struct we_quantizer *list[4];
    return list[we_quantizers(list) - 1];
}
