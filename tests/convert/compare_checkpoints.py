"""Converts random checkpoints with the command and with mlx-lm, with random options, and compares every byte of every tensor, the
config and the index; then converts the result once more (dequantised, cast, or quantised further). mlx-lm loads each. Exit status
1 if anything differs. Usage: compare_checkpoints.py WHISPERENGINE [SEED [COUNT] | DIRECTORY... | --families SEED [FAMILY...]]
With directories (../models/family-*) each of these is converted with a few options, as it is and, where that differs, in the form of
Hugging Face's checkpoints, which must also run as they are. --families makes a random model of each family, wide enough for groups
of 64."""
import json
import pathlib
import subprocess
import sys
import tempfile

import mlx.core as mx
import mlx_lm.utils
import numpy as np

import convert_oracle as oracle
import families
import tiny


def cannot_load(directory):
    try:
        mlx_lm.utils.load_model(directory)
    except ValueError as problem:
        return str(problem)


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
    problem = cannot_load(ours)
    if cannot_load(theirs):  # its -d leaves embed_q and unembed_out quantised, and nothing says so
        return ours, [f"mlx-lm does not load it: {problem}"] if problem else []
    return ours, oracle.differences(ours, theirs) + ([f"mlx-lm does not load it: {problem}"] if problem else [])


def run_both(program, folder, *directories):
    """Logits of some ids, exact, must be the same."""
    out = []
    for number, directory in enumerate(directories):
        path = folder / f"logits-{number}"
        ran = subprocess.run([program, "logits", "-m", str(directory), "--ids", "[1, 5, 3, 8, 2]", "--out", str(path)], capture_output=True)
        if ran.returncode:
            return [f"{directory.name} does not run: {ran.stderr.decode().strip()}"]
        out.append(path.read_bytes())
    return [] if out[0] == out[1] else ["the logits of the checkpoint as it is are not those of the model that is made of it"]


def compare_logits(program, directory):
    """Against float32 mlx-lm."""
    model, _ = tiny.load(directory)
    ids = list(range(1, 28))
    want, out = tiny.logits(model, ids), directory / "logits"
    ran = subprocess.run([program, "logits", "-m", str(directory), "--ids", json.dumps(ids), "--precision", "exact", "--rope-compat", "mlx",
                          "--out", str(out)], capture_output=True)
    if ran.returncode:
        return [f"{directory.name} does not run: {ran.stderr.decode().strip()}"]
    got = np.array(mx.load(str(out), format="safetensors")["logits"])
    error = float(np.sqrt(((got - want) ** 2).mean() / (want**2).mean()))
    return [] if error < 1e-5 else [f"{directory.name}: the logits differ from mlx-lm's by {error:.1e}"]


def check_families(program, seed, names):
    directories = []
    with tempfile.TemporaryDirectory() as temporary:
        for number, name in enumerate(names or sorted(families.FAMILIES)):
            rng = np.random.default_rng([seed, number])
            config = families.config(name, rng, 64)
            spec = tiny.Spec(f"family-{name}", config, str(rng.choice(oracle.DTYPES)), None, seed=int(rng.integers(1 << 30)))
            directories.append(tiny.build(spec, pathlib.Path(temporary)))
        return check_directories(program, directories)


def check_directories(program, directories):
    failures = 0
    for directory in map(pathlib.Path, directories):
        with tempfile.TemporaryDirectory() as temporary:
            folder, found = pathlib.Path(temporary), []
            plain, problems = both(program, directory, folder, "plain", {"dequantize": True})
            found += [f"-d: {p}" for p in problems]
            for form, float8 in (("original", False), ("float8", True)):
                if not plain.exists() or problems or not oracle.original_form(plain, folder / form, float8):
                    continue
                for name, options in (("q", {"quantize": True, "q-group-size": 32, "rules": {"*": True}}), ("plain", {"dtype": "float32"}),
                                      ("d", {"dequantize": True})):
                    made, wrong = both(program, folder / form, folder, f"{form}-{name}", options)
                    found += [f"Hugging Face's form ({form}): {json.dumps(options)}: {p}" for p in wrong]
                    if name == "plain" and not wrong:
                        found += run_both(program, folder, folder / form, made) + compare_logits(program, folder / form)
            for name, options in (("four", {"quantize": True, "q-group-size": 32}), ("mixed", {"quantize": True, "quant-predicate": "mixed_3_6", "q-group-size": 32}),
                                  ("mx", {"quantize": True, "q-mode": "mxfp8", "dtype": "float16"})):
                if plain.exists() and not problems:
                    found += [f"{json.dumps(options)}: {p}" for p in both(program, plain, folder, name, options)[1]]
            four = folder / "four-mlx"
            if four.exists() and json.loads((directory / "config.json").read_text())["model_type"] in oracle.LATENT:
                oracle.old_form(four, folder / "old")
                found += [f"kv_b_proj, quantised: {p}" for p in both(program, folder / "old", folder, "old-plain", {"dtype": "float32"})[1]]
                found += compare_logits(program, folder / "old")
        failures += bool(found)
        print(f"{directory.name:24} {'agrees' if not found else chr(10) + '    ' + (chr(10) + '    ').join(found[:6])}", flush=True)
    print(f"{failures} of these differ" if failures else "all agree")
    return 1 if failures else 0


def main():
    if len(sys.argv) > 3 and sys.argv[2] == "--families":
        return check_families(sys.argv[1], int(sys.argv[3]), sys.argv[4:])
    if len(sys.argv) > 2 and not sys.argv[2].isdigit():
        return check_directories(sys.argv[1], sys.argv[2:])
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
