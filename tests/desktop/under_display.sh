#!/bin/sh
# Runs a program with a display that nobody sees and a session bus of its own. Skipped (77) where there is no Xvfb.
# Usage: under_display.sh PROGRAM [ARGUMENT...]
set -eu

for tool in xvfb-run dbus-run-session; do
    if ! command -v $tool >/dev/null 2>&1; then
        echo "skipped: there is no $tool; scripts/install-dependencies.sh test installs it"
        exit 77
    fi
done
# Drawn in software, the same on every machine; nothing of the person's own settings.
export GSK_RENDERER=cairo GDK_BACKEND=x11 GSETTINGS_BACKEND=memory GTK_A11Y="${GTK_A11Y:-test}" LC_ALL=C.UTF-8 TZ=UTC
unset LLM_CHAT_API_URL LLM_CHAT_MODEL MLX_MODEL_NAME LOCAL_MODELS_DIR DATA_DIR UI_THEME WAYLAND_DISPLAY || true
here=$(cd "$(dirname "$0")" && pwd)
export LSAN_OPTIONS="suppressions=$here/leaks_of_gtk.txt:print_suppressions=0"
# What the bus says about itself is none of the program's.
exec 3>&2
exec dbus-run-session -- sh -c 'exec xvfb-run -a -s "-screen 0 1280x800x24" "$@" 2>&3 3>&-' sh "$@" 2>/dev/null
