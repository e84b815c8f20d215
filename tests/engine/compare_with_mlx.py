"""Compares the command with float32 mlx-lm on model directories, and prints a table; exit status 1 if any differs.

Usage: compare_with_mlx.py WHISPERENGINE DIRECTORY... [--seed N] [--ids N] [--tokens N] [--isa NAME]
For each: the logits of a random prompt (relative RMS at most 1e-5 over all rows, 5e-5 in the worst one: the random models
magnify the last bit, and mlx-lm's own float32 results are about that far from exact ones), and the greedy continuation
(equal up to the first place where mlx-lm's two highest logits are closer than 1e-3). Longrope models are compared in mlx-lm's
way (--rope-compat mlx) and in the paper's.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from safetensors.numpy import load_file

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "models"))
import tiny  # noqa: E402


def run(arguments, *command):
    extra = ["--isa", arguments.isa] if arguments.isa else []
    if getattr(arguments, "threads", None):
        extra += ["--threads", str(arguments.threads)]
    result = subprocess.run([arguments.program, *command, *extra], capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:3])}: exit status {result.returncode}: {result.stderr.strip()}")
    return result.stdout


def logits_error(arguments, path, compat, model, ids):
    """Relative RMS of the logits, that of the worst row, and that of the middle one."""
    want = tiny.logits(model, ids)
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/logits.safetensors"
        run(arguments, "logits", "-m", path, "--ids", json.dumps(ids), "--out", out, "--rope-compat", compat, "--precision",
            arguments.precision)
        got = load_file(out)["logits"]
    if got.shape != want.shape or not np.isfinite(got).all():
        return np.inf, np.inf, np.inf
    difference, size = (got - want) ** 2, want**2
    rows = np.sqrt(difference.mean(axis=1) / size.mean(axis=1))
    return float(np.sqrt(difference.mean() / size.mean())), float(rows.max()), float(np.median(rows))


def compare(arguments, path, compat, model, ids, expected_reply):
    """(relative RMS, that of the worst row, tokens that agree, tokens that must)."""
    error, worst, _ = logits_error(arguments, path, compat, model, ids)
    reply = json.loads(run(arguments, "run", "-m", path, "--ids", json.dumps(ids), "--max-tokens", str(arguments.tokens),
                           "--temp", "0", "--json", "--rope-compat", compat, "--precision", arguments.precision))
    must = next((i for i, gap in enumerate(expected_reply["gaps"]) if gap < 1e-3), len(expected_reply["gaps"]))
    tokens = expected_reply["tokens"][:must]
    agree = next((i for i, (a, b) in enumerate(zip(tokens, reply["tokens"])) if a != b), min(len(tokens), len(reply["tokens"])))
    return error, worst, agree, len(tokens)


def cases(arguments, path, seed):
    """Yields compat, the model whose logits count, ids, and the greedy reply."""
    model, config = tiny.load(path)
    rng = np.random.default_rng(seed)
    end = tiny.end_tokens(config)
    limit = config.get("max_position_embeddings") or 1 << 20
    scaling = config.get("rope_scaling") or {}
    count = min(arguments.ids, limit - arguments.tokens)
    if not (scaling.get("short_factor") and scaling.get("type", scaling.get("rope_type")) in ("longrope", "su")):
        ids = rng.integers(0, config["vocab_size"], count).tolist()
        yield "paper", model, ids, tiny.greedy(model, ids, arguments.tokens, end)
        return
    switch = scaling.get("original_max_position_embeddings") or config["original_max_position_embeddings"]
    short = tiny.with_short_factors(path)
    for compat, length in (("mlx", count), ("paper", max(1, switch - arguments.tokens // 2)), ("paper", switch + 20)):
        length = max(1, min(length, limit - arguments.tokens))
        ids = rng.integers(0, config["vocab_size"], length).tolist()
        if compat == "mlx":
            yield compat, model, ids, tiny.greedy(model, ids, arguments.tokens, end)
        else:
            reply = tiny.greedy_switched(short, model, switch, ids, arguments.tokens)
            yield compat, model if length > switch else short, ids, reply


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("directories", nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ids", type=int, default=130)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--isa")
    parser.add_argument("--precision", choices=["exact", "fast"], default="exact")
    arguments = parser.parse_args()
    failures = 0
    print(f"{'model':28} {'family':8} {'rope':6} {'ids':>4} {'rel. RMS':>9} {'worst row':>9} {'tokens':>9}")
    for number, path in enumerate(arguments.directories):
        if not (pathlib.Path(path) / "config.json").exists():
            continue
        family = json.loads((pathlib.Path(path) / "config.json").read_text())["model_type"]
        name = pathlib.Path(path).name
        try:
            for compat, model, ids, reply in cases(arguments, path, arguments.seed + number):
                error, worst, agree, must = compare(arguments, path, compat, model, ids, reply)
                bad = error > 1e-5 or worst > 5e-5 or agree < must
                failures += bad
                verdict = "DIFFERS" if bad else ""
                print(f"{name:28} {family:8} {compat:6} {len(ids):4} {error:9.1e} {worst:9.1e} {agree:4}/{must:4} {verdict}",
                      flush=True)
        except (RuntimeError, subprocess.SubprocessError, OSError, ValueError) as problem:
            failures += 1
            print(f"{name:28} {family:8} FAILED: {problem}", flush=True)
    print(f"{failures} of these differ" if failures else "all agree")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
