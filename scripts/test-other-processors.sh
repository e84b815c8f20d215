#!/bin/sh
# What computes, tested on processors that this one is not, under QEMU: about 2 minutes. Needs Debian's qemu-user,
# gcc-aarch64-linux-gnu and libc6-dev-arm64-cross. Usage: test-other-processors.sh, from the project's folder, after a build in build/.
set -eu

# Every thirteenth case, as QEMU is slow; all of them run above, with the instruction sets that this processor has.
if [ "$(uname -s)" = Linux ] && command -v qemu-aarch64 >/dev/null && command -v aarch64-linux-gnu-gcc >/dev/null; then
    [ -f build-aarch64/build.ninja ] || meson setup build-aarch64 --cross-file scripts/aarch64-linux-gnu.ini -Dcompute_only=true --buildtype=release
    WE_TEST_EVERY=13 WE_TEST_BEST_ISA=neon meson test -C build-aarch64 --print-errorlogs \
        quant dtype rope kv-cache backend-kernels backend-attention
else
    echo "skipped: AArch64 (there is no aarch64-linux-gnu-gcc, or no qemu-aarch64)"
fi
# QEMU 7 knows AVX2, but not AVX-512.
if [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] && command -v qemu-x86_64 >/dev/null; then
    for pair in Haswell:avx2 Nehalem:generic; do
        WE_TEST_EVERY=13 WE_TEST_BEST_ISA=${pair#*:} meson test -C build --print-errorlogs \
            --wrapper "qemu-x86_64 -cpu ${pair%:*}" backend-kernels backend-attention
    done
else
    echo "skipped: x86-64 without AVX-512 (this is no x86-64, or there is no qemu-x86_64)"
fi
