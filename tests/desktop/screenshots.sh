#!/bin/sh
# Screenshots of every page, light and dark, at two sizes, into a folder. Usage: screenshots.sh BUILD_FOLDER FOLDER
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$2"
exec "$here/under_display.sh" "$1/tests/desktop/screenshots" "$2"
