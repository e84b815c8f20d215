"""Writes gate.safetensors: what float32 mlx-lm says after each position of the pieces of gate_text.txt.

Usage: make_gate_goldens.py [MODEL_DIRECTORY [OUT]]
MODEL_DIRECTORY: SmolLM2-135M-Instruct-4bit, as `make run` makes it. Takes minutes.

gate_text.txt: pieces of text, each below a line "=== name"; the dialogue is in the model's chat template.
The file, for N positions of all pieces one after another:
  tokens (N) u16 or u32       the ids that the model reads; position i is judged after tokens[..i] of its piece
  lengths (pieces) u32        positions of each piece
  top (N, 64) u16 or u32      the 64 most likely next ids, the likeliest first, of equal ones the lower id
  surprise (N, 64) u16        -log of their probabilities (natural), in steps of 1/2048, at most 65535
  rest (N) u16                the same of the probability of all others together
"""
import pathlib
import re
import sys

import mlx.core as mx
import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "models"))
import tiny  # noqa: E402

MODEL = HERE.parent.parent / "models/mlx/HuggingFaceTB/SmolLM2-135M-Instruct-4bit"
TOP, STEP = 64, 2048


def pieces():
    parts = re.split(r"^=== (.*)\n", (HERE / "gate_text.txt").read_text(encoding="utf-8"), flags=re.M)
    return [(name, text.strip("\n")) for name, text in zip(parts[1::2], parts[2::2])]


def surprise(p):
    with np.errstate(divide="ignore"):
        return np.minimum(np.rint(-np.log(p) * STEP), 65535).astype(np.uint16)


def main(path=MODEL, out=HERE / "gate.safetensors"):
    model, config = tiny.load(path)
    tokenizer = Tokenizer.from_file(str(pathlib.Path(path) / "tokenizer.json"))
    dtype = np.uint16 if config["vocab_size"] <= 65536 else np.uint32
    parts = {name: [] for name in ("tokens", "top", "surprise", "rest")}
    lengths = []
    for name, text in pieces():
        ids = tokenizer.encode(text).ids
        logits = np.array(model(mx.array(ids)[None])[0]).astype(np.float64)
        order = np.argsort(-logits, axis=1, kind="stable")[:, :TOP]
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        best = np.take_along_axis(p, order, axis=1)
        others = p.copy()
        np.put_along_axis(others, order, 0, axis=1)
        lengths.append(len(ids))
        for key, value in (("tokens", np.array(ids, dtype)), ("top", order.astype(dtype)), ("surprise", surprise(best)),
                           ("rest", surprise(others.sum(axis=1)))):
            parts[key].append(value)
        likelihood = np.log(p[np.arange(len(ids) - 1), ids[1:]]).mean()
        print(f"{name:16} {len(ids):5} positions, perplexity {np.exp(-likelihood):.2f}", flush=True)
    tensors = {key: np.concatenate(value) for key, value in parts.items()}
    save_file(tensors | {"lengths": np.array(lengths, np.uint32)}, str(out))
    print(f"{out}: {sum(lengths)} positions, the rest has {np.exp(tensors['rest'] / -STEP).mean():.4f} of the mass")


if __name__ == "__main__":
    main(*sys.argv[1:])
