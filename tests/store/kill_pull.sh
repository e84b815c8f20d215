#!/bin/sh
# Kills `pull` at 200 random moments while the model's revision changes, and checks after each kill that no file of a final name is
# wrong. Usage: kill_pull.sh WHISPERENGINE [KILLS [SEED]]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
WHISPERENGINE=$(realpath "$1") KILLS=${2:-200} SEED=${3:-1} TEST_MODELS=$here/../models \
    exec python3 "$here/test_pull.py" Kills.test_kills
