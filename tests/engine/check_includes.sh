#!/bin/sh
# Reads the #include lines of src/, cli/, server/, desktop/, include/ and examples/, and fails on a direction that the
# house does not allow (CONTRIBUTING.md), and on a source file of more than 800 lines.
#
# Usage: check_includes.sh ROOT          checks a tree
#        check_includes.sh --self-test   checks that wrong trees are found out
set -eu

# Which headers the files of a room may include, beside their own: "ROOM: prefix..." A prefix with a slash at its end is a
# room, one without is a file. Standard and library headers (in angle brackets) are free.
rules='
base:
config: base/
net: base/
store: base/ net/
tensor: base/
sample: base/
remote: base/ net/
format: base/ tensor/
text: base/ format/
arch: base/ format/ tensor/
kv: base/ tensor/ arch/decoder.h
convert: base/ format/ tensor/ text/
backend: base/ tensor/ kv/ arch/decoder.h
backend/*: base/ tensor/ kv/ arch/decoder.h backend/backend.h
engine: base/ config/ store/ tensor/ sample/ remote/ format/ text/ arch/ kv/ convert/ backend/backend.h
client: base/ config/
cli: base/ config/ client/
server: base/ config/ client/
desktop: base/ config/ client/
'

check_tree() {
    root=$1
    for folder in src cli server desktop include examples; do
        [ -d "$root/$folder" ] || continue
        find "$root/$folder" -type f \( -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' -o -name '*.inc' \)
    done | LC_ALL=C sort | awk -v root="$root/" -v rules="$rules" '
        function allowed(room, header,    i, n, prefixes) {
            if (header == "whisperengine.h" || header == "whisperengine_tools.h" || index(header, room "/") == 1)
                return 1
            n = split(may[room ~ /^backend\// ? "backend/*" : room], prefixes, " ")
            for (i = 1; i <= n; i++)
                if (prefixes[i] ~ /\/$/ ? index(header, prefixes[i]) == 1 : header == prefixes[i])
                    return 1
            return 0
        }
        function complain(text) { print text; bad = 1 }
        BEGIN {
            count = split(rules, lines, "\n")
            for (i = 1; i <= count; i++) {
                at = index(lines[i], ":")
                if (at) {
                    may[substr(lines[i], 1, at - 1)] = substr(lines[i], at + 1)
                    known[substr(lines[i], 1, at - 1)] = 1
                }
            }
        }
        {
            file = $0
            path = substr(file, length(root) + 1)
            parts = split(path, part, "/")
            room = part[1] == "src" ? part[2] : part[1]
            if (room == "backend" && part[1] == "src" && parts > 3)
                room = "backend/" part[3]
            if (part[1] == "src" && parts > 2 && !(room in known) && room !~ /^backend\//)
                complain(path ": there is no room \"" room "\" in the rules of check_includes.sh")
            number = 0
            while ((getline line < file) > 0) {
                number++
                if (line !~ /^[ \t]*#[ \t]*(include|import)/)
                    continue
                header = line
                sub(/^[ \t]*#[ \t]*(include|import)[ \t]*/, "", header)
                quoted = header ~ /^"/
                sub(/^["<]/, "", header)
                sub(/[">].*$/, "", header)
                split(header, first, "/")
                if (!quoted && !(first[1] in known))
                    continue
                checked++
                where = path ":" number ": "
                if (header ~ /\.\.\//)
                    complain(where "include \"" header "\" from the root of src/, not by \"..\"")
                else if (room == "include" || room == "examples") {
                    if (header !~ /^whisperengine(_tools)?\.h$/)
                        complain(where room "/ may not include " header)
                } else if (header ~ /\// && !allowed(room, header))
                    complain(where room " may not include " header)
            }
            close(file)
            if (number > 800)
                complain(path ": " number " lines; a file has at most 800")
        }
        END {
            if (!bad && checked < 1)
                complain("no #include was found: is \"" root "\" the root of the sources?")
            exit bad
        }'
}

# Each line: a file, what it includes, whether that is allowed.
self_test() {
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    failures=0
    while read -r file header expected; do
        rm -rf "$scratch/tree"
        mkdir -p "$scratch/tree/src/base" "$scratch/tree/$(dirname "$file")"
        echo '#include "base/str.h"' >"$scratch/tree/src/base/str.c"
        printf '#  include "%s"\n' "$header" >"$scratch/tree/$file"
        if check_tree "$scratch/tree" >/dev/null; then found=yes; else found=no; fi
        if [ "$found" != "$expected" ]; then
            echo "$file includes $header: expected '$expected', found '$found'"
            failures=$((failures + 1))
        fi
    done <<'CASES'
src/base/a.c base/buf.h yes
src/base/a.c tensor/dtype.h no
src/format/a.c tensor/dtype.h yes
src/format/a.c text/jinja.h no
src/tensor/a.c format/gguf.h no
src/text/a.c format/model_config.h yes
src/text/a.c sample/sampler.h no
src/arch/llama.c format/safetensors.h yes
src/arch/llama.c backend/backend.h no
src/arch/llama.c kv/layout.h no
src/kv/a.c arch/decoder.h yes
src/kv/a.c arch/arch.h no
src/backend/backend.c backend/backend.h yes
src/backend/backend.c arch/arch.h no
src/backend/cpu/a.c backend/cpu/kernels.h yes
src/backend/cpu/a.c kernels.h yes
src/backend/cpu/a.c backend/backend.h yes
src/backend/cpu/a.c arch/arch.h no
src/backend/cpu/a.c format/safetensors.h no
src/backend/cpu/a.c backend/cuda/a.h no
src/backend/cpu/a.c engine/model.h no
src/sample/a.c kv/layout.h no
src/store/a.c net/net.h yes
src/remote/a.c net/net.h yes
src/remote/a.c store/hub.h no
src/net/a.c store/hub.h no
src/convert/a.c text/tokenizer.h yes
src/convert/a.c engine/model.h no
src/engine/a.c backend/backend.h yes
src/engine/a.c backend/cpu/kernels.h no
src/engine/a.c whisperengine.h yes
src/attic/a.c base/str.h no
cli/main.c config/settings.h yes
cli/main.c whisperengine_tools.h yes
cli/main.c engine/model.h no
desktop/a.c client/fallback.h yes
desktop/a.c engine/model.h no
src/client/a.c engine/model.h no
src/engine/a.c client/models.h no
cli/main.c ../src/engine/model.h no
include/whisperengine.h base/str.h no
examples/a.c whisperengine.h yes
examples/a.c base/str.h no
CASES
    mkdir -p "$scratch/long/src/base"
    awk 'BEGIN { print "#include \"base/str.h\""; for (i = 0; i < 800; i++) print "" }' >"$scratch/long/src/base/a.c"
    if check_tree "$scratch/long" >/dev/null; then
        echo "a file of 801 lines was not found"
        failures=$((failures + 1))
    fi
    [ "$failures" -eq 0 ]
}

if [ "${1:-}" = --self-test ]; then
    self_test
else
    check_tree "${1:?usage: check_includes.sh ROOT | --self-test}"
fi
