"""Converts random checkpoints with the command and with mlx-lm, with random options, and compares every byte of every tensor, the
config and the index; then converts the result once more (dequantised, cast, or quantised further). mlx-lm loads each. Exit status
1 if anything differs. Usage: compare_checkpoints.py WHISPERENGINE [SEED [COUNT]]"""
import json
import pathlib
import subprocess
import sys
import tempfile

import mlx_lm.utils
import numpy as np

import convert_oracle as oracle


def both(program, source, folder, name, options):
    ours, theirs = folder / f"{name}-ours", folder / f"{name}-mlx"
    ran = subprocess.run([program, "convert", str(source), str(ours), *oracle.arguments(options, folder)], capture_output=True)
    refused = None
    try:
        oracle.convert(source, theirs, options)
    except ValueError as problem:
        refused = str(problem)
    if refused or ran.returncode:
        return ours, [] if refused and ran.returncode == 1 else [f"mlx-lm: {refused}; the command: {ran.stderr.decode().strip()}"]
    found = oracle.differences(ours, theirs)
    mlx_lm.utils.load_model(ours)
    return ours, found


def main():
    program, seed, count = sys.argv[1], *(int(n) for n in (sys.argv[2:] + ["0", "60"][len(sys.argv) - 2:])[:2])
    failures = 0
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary)
            source = oracle.checkpoint(rng, "source", folder)
            options = oracle.options(rng)
            made, found = both(program, source, folder, "first", options)
            again = {}
            if not found and made.exists():
                again = [{"dequantize": True}, {"dequantize": True, "dtype": "float32"}, {"dtype": "float16"},
                         {"quantize": True, "q-bits": 8, "q-group-size": 32}][int(rng.integers(4))]
                found = both(program, made, folder, "second", again)[1]
            if found:
                failures += 1
                print(f"{seed}/{number} {json.dumps(options)} then {json.dumps(again)}: {len(found)} differences")
                print("   ", "\n    ".join(found[:4]), flush=True)
    print(f"{failures} of {count} differ" if failures else f"all {count} agree")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
