#!/bin/sh
# Configure once, then build what has changed; says nothing if nothing has. Usage: build.sh [TARGET...]
set -eu

log=build.log
if [ ! -f build/build.ninja ]; then
    echo "Configuring" >&2
    if ! meson setup build --buildtype=release >$log 2>&1; then
        cat $log >&2
        rm -rf build $log
        exit 1
    fi
fi
# After a change of a meson.build.
if ! ninja -C build --quiet build.ninja >$log 2>&1; then
    cat $log >&2
    rm -f $log
    exit 1
fi
rm -f $log
case $(ninja -C build -n "$@" 2>&1) in
*"no work to do"*) exit 0 ;;
esac
if [ -t 2 ]; then
    exec ninja -C build "$@" >&2
fi
echo "Building" >&2
exec ninja -C build --quiet "$@" >&2
