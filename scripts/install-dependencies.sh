#!/bin/sh
# Install the Debian packages that a task needs, if any is missing. Usage: install-dependencies.sh build|desktop|test|pip
set -eu

build="gcc libc6-dev meson ninja-build pkg-config libpcre2-dev libutf8proc-dev libedit-dev libcurl4-openssl-dev libssl-dev libcmocka-dev"
desktop="libgtk-4-dev libadwaita-1-dev libsqlite3-dev libcmark-gfm-dev libcmark-gfm-extensions-dev gettext adwaita-icon-theme
librsvg2-common dbus"
test="g++ clang libclang-rt-14-dev python3"
# The desktop's: a display, the bus of screen readers, and checks of what is installed.
test="$test xvfb xauth at-spi2-core python3-gi gir1.2-atspi-2.0 appstream desktop-file-utils"
# For kernels of other processors, under emulation.
[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] && test="$test qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross"

case ${1:-} in
build) wanted=$build ;;
desktop) wanted="$build $desktop" ;;
test) wanted="$build $desktop $test" ;;
pip) wanted=python3-pip ;;
*) echo "Usage: $0 build|desktop|test|pip" >&2; exit 2 ;;
esac

say() { printf '%s\n' "$*" >&2; }

# Without Debian's tools, the commands and pkg-config tell what is there.
if ! command -v dpkg-query >/dev/null 2>&1; then
    missing=
    if [ "$1" = pip ]; then
        missing=" pip (python3 -m pip)"
    else
        for tool in cc meson ninja pkg-config; do
            command -v $tool >/dev/null 2>&1 || missing="$missing $tool"
        done
        libraries="libpcre2-8 libutf8proc libedit libcurl libcrypto cmocka"
        [ "$1" = desktop ] && libraries="$libraries gtk4 libadwaita-1 sqlite3 libcmark-gfm"
        for library in $libraries; do
            pkg-config --exists $library 2>/dev/null || missing="$missing $library"
        done
    fi
    [ -z "$missing" ] && exit 0
    say "These are missing:$missing"
    say "Install them with this system's package manager, then run the command again."
    exit 1
fi

missing=
for package in $wanted; do
    case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true) in
    *" installed") ;;
    *)
        # A tool that was installed by other means will do.
        case $package in
        gcc | g++ | clang | meson | python3) command -v "$package" >/dev/null 2>&1 || missing="$missing $package" ;;
        ninja-build) command -v ninja >/dev/null 2>&1 || missing="$missing $package" ;;
        pkg-config) command -v pkg-config >/dev/null 2>&1 || missing="$missing $package" ;;
        *) missing="$missing $package" ;;
        esac
        ;;
    esac
done
[ -z "$missing" ] && exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        say "These packages are missing:$missing"
        say "Install them as root:  apt-get install$missing"
        exit 1
    fi
    sudo=sudo
fi

say "Installing$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install_missing() {
    # shellcheck disable=SC2086
    $sudo apt-get install -y --no-install-recommends $missing >"$log" 2>&1 </dev/null
}
if ! install_missing; then
    # The lists of packages may be absent or old.
    if ! $sudo apt-get update >"$log" 2>&1 </dev/null || ! install_missing; then
        tail -n 5 "$log" >&2
        say "The packages could not be installed. Check the network and /etc/apt/sources.list, then run the command again, or"
        say "install them yourself:  apt-get install$missing"
        exit 1
    fi
fi
