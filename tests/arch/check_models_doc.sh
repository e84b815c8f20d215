#!/bin/sh
# Whether docs/models.md is what the program's tables say. Usage: check_models_doc.sh MODELS_DOC FILE
set -eu
"$1" | diff -u "$2" - || { echo "$2 is not current: $1 > $2"; exit 1; }
