#!/bin/sh
# Every test: the suite as it is, kernels of other processors, the suite under AddressSanitizer and UBSan, the threads under
# TSan, and the fuzzers.
# Usage: test.sh MODEL_DIRECTORY, from the project's folder, after an ordinary build in build/.
set -eu

export WE_TEST_MODEL="$1"
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1

# A build folder that is there is used again; `meson test` builds in it what its tests need.
configure() {
    folder=$1
    shift
    [ -f "$folder/build.ninja" ] || meson setup "$folder" "$@" >/dev/null
}

step() { printf '\n== %s\n' "$*"; }

step "tests"
ninja -C build --quiet
meson test -C build --print-errorlogs --no-suite fuzz --timeout-multiplier 4

step "kernels of other processors, under QEMU"
scripts/test-other-processors.sh

step "tests under AddressSanitizer and UBSan"
configure build-asan -Db_sanitize=address,undefined -Db_lundef=false
meson test -C build-asan --print-errorlogs --no-suite fuzz --timeout-multiplier 10

step "threads under ThreadSanitizer"
configure build-tsan -Db_sanitize=thread -Db_lundef=false
meson test -C build-tsan --print-errorlogs --suite threads --timeout-multiplier 20

step "fuzzers"
CC=clang configure build-fuzz -Dfuzzers=true -Db_sanitize=address,undefined -Db_lundef=false
meson test -C build-fuzz --print-errorlogs --suite fuzz --timeout-multiplier 4
