#!/usr/bin/env python3
"""Adapters against mlx-lm in float32: builds tiny random models of several families, plain and quantised, makes adapters for
them with mlx-lm's own code, with random values in place of trained ones, and compares the logits. The kinds are LoRA, DoRA, both
of these with the embedding and the head among the layers (+), and full fine-tuning.

Usage: compare_adapters.py WHISPERENGINE [FAMILY...] [--seed N] [--keep DIRECTORY]
       compare_adapters.py --goldens     writes tests/models/adapter-*, which test_adapters reads
Exact precision: relative RMS at most 2e-5 over all rows, 2e-4 in the worst one. Fast: 1e-1 in the middle row. An adapter must also
change the logits, else the comparison says nothing. Exit status 1 if any differs."""
import argparse
import json
import pathlib
import shutil
import sys
import tempfile
import zlib

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.tuner.utils import linear_to_lora_layers, load_adapters

import compare_with_mlx as compare  # also shows where families and tiny are
import families
import tiny

FAMILIES = ["llama", "phi3", "qwen3", "gemma2", "cohere", "olmo2", "lfm2", "glm4", "starcoder2", "qwen3_moe", "qwen2_moe", "mixtral", "gpt_oss", "qwen3_next", "qwen3_5", "nemotron_h", "gemma4_text", "deepseek_v3", "glm4_moe_lite", "granitemoehybrid", "gemma3_text", "lfm2_moe"]
QUANTS = [None, {"bits": 4, "group_size": 64}, {"bits": 8, "group_size": 32}, {"mode": "mxfp4", "bits": 4, "group_size": 32}]


def make_adapter(path, folder, rng, kind, rank, num_layers, keys=None):
    """As `mlx_lm.lora` leaves it: what was trained, and its config."""
    model, config = tiny.load(path)
    kind, more = kind.rstrip("+"), kind.endswith("+")
    parameters = {"rank": rank, "scale": float(rng.uniform(0.5, 20)), "dropout": 0.0}
    if keys:
        parameters["keys"] = keys
    model.freeze()
    if more:  # every second of the usual layers, and the ends of the model
        usual = [k for k, m in model.layers[-1].named_modules() if isinstance(m, (nn.Linear, nn.QuantizedLinear))]
        ends = [k for k, m in model.named_modules() if isinstance(m, (nn.Embedding, nn.QuantizedEmbedding)) and "per_layer" not in k or k.endswith("lm_head")]
        parameters["keys"] = usual[::2] + ends
    if kind == "full":
        for layer in model.layers[-max(num_layers, 0):]:
            layer.unfreeze()
        parameters = None
    else:
        linear_to_lora_layers(model, num_layers, parameters, use_dora=kind == "dora")
    weights = {}
    for name, value in tree_flatten(model.trainable_parameters()):
        noise = rng.standard_normal(value.shape, dtype=np.float32)
        if kind == "full" or name.endswith(".m"):
            if not mx.issubdtype(value.dtype, mx.floating):  # quantised, which no training changes
                weights[name] = value
                continue
            array = np.array(value.astype(mx.float32)) * (1 + 0.1 * noise)
        else:
            array = noise * (1.0 / np.sqrt(max(value.shape)) if name.endswith("lora_a") else 0.5 / parameters["scale"] / np.sqrt(rank))
        weights[name] = mx.array(array).astype(value.dtype if kind == "full" else [mx.float32, mx.bfloat16, mx.float16][int(rng.integers(3))])
    folder.mkdir(parents=True, exist_ok=True)
    mx.save_safetensors(str(folder / "adapters.safetensors"), weights)
    (folder / "adapter_config.json").write_text(json.dumps({"fine_tune_type": kind, "num_layers": num_layers, "lora_parameters": parameters, "model": str(path)}, indent=4))


def adapted(path, folder):
    model, config = tiny.load(path)
    load_adapters(model, str(folder))
    model.set_dtype(mx.float32)
    model.eval()
    return model, config


def write_goldens():
    """For some tiny models adapters of all kinds, and what mlx-lm computes with them."""
    models = pathlib.Path(__file__).parent.parent / "models"
    rng = np.random.default_rng(3)
    for name, kind in (("family-llama", "lora"), ("family-phi3", "dora"), ("family-qwen3_moe", "lora"), ("family-deepseek_v3", "lora+"), ("family-qwen3_5", "lora"),
                       ("family-cohere", "lora+"), ("llama-bfloat16", "dora+"), ("family-gemma", "full")):
        path = models / name
        folder = models / f"adapter-{name.removeprefix('family-')}"
        make_adapter(path, folder, rng, kind, 3, -1)
        config = json.loads((folder / "adapter_config.json").read_text())
        config["model"] = name
        (folder / "adapter_config.json").write_text(json.dumps(config, indent=1) + "\n")
        model, config = adapted(path, folder)
        ids = rng.integers(0, config["vocab_size"], 9).tolist()
        rows = tiny.logits(model, ids)[[0, 4, 8]]
        plain = tiny.logits(tiny.load(path)[0], ids)[8]
        (folder / "golden.json").write_text(json.dumps({"ids": ids, "rows": [0, 4, 8], "logits": [[round(float(x), 6) for x in r[:24]] for r in rows], "plain": [round(float(x), 6) for x in plain[:24]]}) + "\n")
        print(folder, sum(f.stat().st_size for f in folder.iterdir()), "bytes")


def main():
    if sys.argv[1:] == ["--goldens"]:
        return write_goldens()
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("families", nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep")
    arguments = parser.parse_intermixed_args()
    arguments.isa = None
    run, failures, count = compare.run, 0, 0
    root = pathlib.Path(arguments.keep or tempfile.mkdtemp())
    print(f"{'family':14} {'weights':16} {'kind':5} {'rank':>4} {'exact':>8} {'worst':>8} {'fast':>8} {'changed':>8}")
    for family in arguments.families or FAMILIES:
        if family not in families.FAMILIES:
            continue
        rng = np.random.default_rng([arguments.seed, zlib.crc32(family.encode())])
        for quant in QUANTS:
            unit = 4 if quant is None else max(32, quant["group_size"])
            label = "plain" if quant is None else f"{quant.get('mode', 'affine')}-{quant['bits']}-{quant['group_size']}"
            spec = tiny.Spec(f"{family}-{label}", families.config(family, rng, unit), str(rng.choice(list(tiny.DTYPES))), quant, seed=int(rng.integers(1 << 30)))
            path = str(tiny.build(spec, root))
            for kind in ("lora", "dora", "lora+", "dora+", "full"):
                folder, rank = root / f"{family}-{label}-{kind}", int(rng.choice([1, 3, 8, 16, 70]))
                count += 1
                try:
                    try:
                        make_adapter(path, folder, rng, kind, rank, int(rng.choice([-1, 1, 2])))
                    except ValueError as problem:
                        if "support DoRA" in str(problem):
                            continue
                        raise
                    if kind == "dora+" and quant:
                        continue  # mlx-lm has no DoRA of a quantised embedding, and neither have we
                    model, config = adapted(path, folder)
                    ids = rng.integers(0, config["vocab_size"], 40).tolist()
                    plain = tiny.logits(tiny.load(path)[0], ids)
                    changed = float(np.abs(plain - tiny.logits(model, ids)).max())
                    compare.run = lambda a, *command: run(a, *command, "--adapter", str(folder))
                    arguments.precision = "exact"
                    error, worst, _ = compare.logits_error(arguments, path, "mlx", model, ids)
                    arguments.precision = "fast"
                    fast = compare.logits_error(arguments, path, "mlx", model, ids)[2]
                    bad = not (error <= 2e-5 and worst <= 2e-4 and fast <= 1e-1 and changed > 1e-2)
                    failures += bad
                    print(f"{family:14} {label:16} {kind:5} {rank:4} {error:8.1e} {worst:8.1e} {fast:8.1e} {changed:8.1e} {'DIFFERS' if bad else ''}", flush=True)
                except Exception as problem:
                    failures += 1
                    print(f"{family:14} {label:16} {kind:5} {rank:4} FAILED: {' '.join(str(problem).split())[:400]}", flush=True)
    print(f"{count} adapters, {failures} of them differ")
    if not failures and not arguments.keep:
        shutil.rmtree(root)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
