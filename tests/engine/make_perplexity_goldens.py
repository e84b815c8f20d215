"""perplexity.json: perplexities with tiny models and random ids, and with SmolLM2 and gate_text.txt: `mlx_lm` is what mlx-lm's own function
finds (mlx_lm.perplexity.eval_ppl, in float32; its logarithm of a sum of exponentials is off by up to 2e-4), `perplexity` and
`standard_error` are the same in float64 from mlx-lm's float32 logits.

Usage: make_perplexity_goldens.py [DIRECTORY_OF_SMOLLM2]
(default: models/mlx/HuggingFaceTB/SmolLM2-135M-Instruct-4bit in the source folder; without it the entry that is there stays)"""
import contextlib
import io
import json
import pathlib
import sys

import mlx.core as mx
import numpy as np
from mlx_lm.perplexity import eval_ppl
from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "models"))
import tiny  # noqa: E402

MODEL = HERE.parent.parent / "models/mlx/HuggingFaceTB/SmolLM2-135M-Instruct-4bit"
CASES = [("llama-float32", 40, 40), ("llama-q4-g32", 100, 16), ("llama-q8-g128", 65, 64), ("phi3-bfloat16", 90, 30),
         ("phi3-q4-g64", 61, 2)]


def perplexity(model, ids, window):
    data = np.array(ids[: len(ids) // window * window]).reshape(-1, window)
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = eval_ppl(model, mx.array(data), batch_size=1)[0]
    losses = []
    for row in data:
        logits = np.array(model(mx.array(row[None, :-1]))[0]).astype(np.float64)
        top = logits.max(-1)
        losses.append(np.log(np.exp(logits - top[:, None]).sum(-1)) + top - logits[np.arange(window - 1), row[1:]])
    losses = np.concatenate(losses)
    value = float(np.exp(losses.mean()))
    return {"mlx_lm": theirs, "perplexity": value, "standard_error": value * float(losses.std(ddof=1)) / losses.size**0.5}


def main(path=MODEL):
    out = HERE / "perplexity.json"
    found = {"cases": [], "smollm2": json.loads(out.read_text())["smollm2"] if out.exists() else None}
    for name, count, window in CASES:
        model, config = tiny.load(HERE.parent / "models" / name)
        ids = np.random.default_rng(count).integers(0, config["vocab_size"], count).tolist()
        found["cases"].append({"model": name, "window": window, "ids": ids} | perplexity(model, ids, window))
    if pathlib.Path(path).exists():
        model, _ = tiny.load(path)
        tokenizer = Tokenizer.from_file(str(pathlib.Path(path) / "tokenizer.json"))
        ids = tokenizer.encode((HERE / "gate_text.txt").read_text(encoding="utf-8")).ids
        found["smollm2"] = {"window": 128, "windows": 2, "count": len(ids)} | perplexity(model, ids[:256], 128)
    out.write_text(json.dumps(found).replace('{"model"', '\n{"model"').replace('"smollm2"', '\n"smollm2"') + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
