"""Makes sampler_goldens.json: tokens that mlx-lm's sampler picks, and MLX's random numbers.

    /path/to/venv/bin/python make_sampler_goldens.py       (mlx 0.32.4 and mlx-lm 0.32.2, on the CPU)

The logits are not stored: `logits` below and its twin in test_sampler.c make them from integers.
"""
import json
import math
import os

import mlx.core as mx
import numpy as np
from mlx_lm.sample_utils import make_logits_processors, make_sampler

mx.set_default_device(mx.cpu)
np.seterr(over="ignore")


def noise(seed, count):
    """`count` hashes of 32 bits."""
    x = np.arange(count, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(seed)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    x *= np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    return x


def logits(kind, seed, vocab, base):
    a, b = noise(seed, vocab), noise(seed ^ 0x9E3779B9, vocab)
    bell = ((a >> 8).astype(np.float64) + (b >> 8) - 16777216) / 16777216  # -1 to 1, in the middle most often
    if kind == "smooth":
        x = bell * 8
    elif kind == "flat":
        x = bell / 64
    elif kind == "low":  # adding logsumexp rounds: different logits become equal
        x = bell / 65536 + 0.01
    elif kind == "ties":
        x = np.rint(bell * 3)
    elif kind == "equal":
        x = np.zeros(vocab)
    elif kind == "holes":
        x = np.where(a & 1, -np.inf, bell * 4)
        x[seed % vocab] = 1
    elif kind == "peak":
        x = bell * 2
        x[seed % vocab] += 30
    elif kind == "edge":  # the first is 0, the others are around `base`, some units in the last place apart
        x = base + ((a >> 8) % 4 - 2.0) / 2**22
        x[0] = 0
    elif kind == "pair":
        x = np.full(vocab, -np.inf)
        x[:2] = [1, 0]
    elif kind == "half":
        x = (bell * 8).astype(np.float16).astype(np.float64)
    return x.astype(np.float32)


def cases():
    plain = dict(temp=0.7)
    table = [
        dict(temp=0.0), dict(temp=1.0), plain, dict(temp=0.1), dict(temp=1.3), dict(temp=3.0),
        dict(temp=0.7, top_p=0.9), dict(temp=1.0, top_p=0.5), dict(temp=1.0, top_p=0.01), dict(temp=1.0, top_p=0.999),
        dict(temp=1.0, top_p=1.0), dict(temp=1.0, top_p=0.99999), dict(temp=0.7, min_p=0.05), dict(temp=1.0, min_p=0.3),
        dict(temp=1.0, min_p=1.0), dict(temp=1.0, min_p=0.9, min_tokens_to_keep=3),
        dict(temp=1.0, min_p=0.1, min_tokens_to_keep=4),
        dict(temp=1.0, top_k=1), dict(temp=0.7, top_k=2), dict(temp=1.0, top_k=4), dict(temp=1.5, top_k=40),
        dict(temp=1.0, xtc_probability=1.0), dict(temp=1.0, xtc_probability=0.5),
        dict(temp=0.8, xtc_probability=0.5, xtc_threshold=0.01), dict(temp=1.0, xtc_probability=1.0, xtc_threshold=0.0),
        dict(temp=1.0, xtc_probability=0.9, xtc_threshold=0.02, spared=[1, 3]), dict(temp=0.7, top_p=0.9, top_k=4),
        dict(temp=0.7, top_p=0.9, min_p=0.05, top_k=3, xtc_probability=0.5, xtc_threshold=0.02),
        dict(temp=1.1, top_p=0.95, min_p=0.2, min_tokens_to_keep=2, xtc_probability=0.7, xtc_threshold=0.1, spared=[2],
             top_k=4),
        dict(temp=0.0, repetition_penalty=1.3), dict(temp=0.7, repetition_penalty=0.8), dict(temp=0.0, presence_penalty=0.7),
        dict(temp=0.9, presence_penalty=-0.3), dict(temp=0.0, frequency_penalty=0.4),
        dict(temp=0.7, frequency_penalty=0.1, context=3), dict(temp=0.7, logit_bias={0: 2.5, 3: -1.5}),
        dict(temp=0.0, logit_bias={4: 3.0}),
        dict(temp=0.8, repetition_penalty=1.1, presence_penalty=0.1, frequency_penalty=0.3, context=5, logit_bias={1: 0.1},
             top_p=0.9),
    ]
    kinds = ["smooth", "flat", "low", "ties", "equal", "holes", "peak", "half"]
    seeds = [0, 1, 7, 12345, 2**32 + 9, 2**63 + 11]
    for i, parameters in enumerate(table):
        for j in range(3):
            n = 3 * i + j
            vocab = [5, 17, 257, 1000][(i + j) % 4]
            prompt = [k * 7 % vocab for k in range(n % 30)]
            yield dict(parameters, vocab=vocab, kind=kinds[(n + i) % 8], seed=seeds[n % 6], prompt=prompt)
    # Where the last bit of a constant, or the treatment of equals, decides.
    for temp in [3e-6, 7e-6, 1.3e-6, 6e-6]:
        yield dict(temp=temp, vocab=257, kind="low", seed=3, prompt=[])
    for min_p in [0.05, 0.1, 0.13, 0.18, 0.23]:
        for vocab in [5, 9]:
            yield dict(temp=1.0, min_p=min_p, vocab=vocab, kind="edge", base=math.log(min_p), seed=1, prompt=[])
    for keep in [3, 20, 60, 130, 250]:
        yield dict(temp=2.0, min_p=0.99, min_tokens_to_keep=keep, vocab=257, kind="ties", seed=keep, prompt=[])
    threshold = mx.softmax(mx.array([1.0, 0.0]))[1].item()
    yield dict(temp=1.0, xtc_probability=1.0, xtc_threshold=threshold, vocab=5, kind="pair", seed=1, prompt=[])
    for vocab in [17, 257]:
        yield dict(temp=1.0, top_p=0.99, xtc_probability=1.0, xtc_threshold=0.01, top_k=4, vocab=vocab, kind="smooth",
                   seed=vocab, prompt=[])
    for n, vocab in enumerate([32064, 151936, 262144]):
        for kind in ["smooth", "flat", "ties"]:
            yield dict(temp=0.7, top_p=0.9, top_k=40 + n, vocab=vocab, kind=kind, seed=n, prompt=[])
            yield dict(temp=1.0, top_p=0.99, xtc_probability=0.5, xtc_threshold=0.001, vocab=vocab, kind=kind, seed=n,
                       prompt=[])
        yield dict(temp=0.0, vocab=vocab, kind="low", seed=n, prompt=[])


def run(case, steps):
    top_k = case.get("top_k", 0)  # mlx-lm refuses one that keeps all; ours keeps all
    sampler = make_sampler(
        case["temp"], case.get("top_p", 0.0), case.get("min_p", 0.0), case.get("min_tokens_to_keep", 1),
        top_k if top_k < case["vocab"] else 0, case.get("xtc_probability", 0.0), case.get("xtc_threshold", 0.1),
        case.get("spared"))
    context = case.get("context", 20)
    processors = make_logits_processors(
        case.get("logit_bias"), case.get("repetition_penalty"), context, case.get("presence_penalty"), context,
        case.get("frequency_penalty"), context)
    tokens, picked = list(case["prompt"]), []
    mx.random.seed(case["seed"])
    for step in range(steps):
        x = mx.array(logits(case["kind"], (case["seed"] * 1000 + step) % 2**32, case["vocab"], case.get("base")))[None]
        for processor in processors:
            x = processor(mx.array(tokens, dtype=mx.uint32), x)
        token = sampler(x - mx.logsumexp(x, keepdims=True)).item()
        tokens.append(token)
        picked.append(token)
    return picked


def random_numbers(seed):
    key = mx.random.key(seed)
    mx.random.seed(seed)
    uniforms = [mx.random.uniform(0, 1) for _ in range(4)]
    def bits(x):
        return np.array(x).view(np.uint32).tolist()

    return dict(seed=seed, split=[mx.random.split(key, n).flatten().tolist() for n in (1, 2, 3)],
                several=[bits(mx.random.uniform(shape=(n,), key=key)) for n in (1, 3, 4, 7)],
                uniform=[bits(u) for u in uniforms])


def main():
    out = []
    for case in cases():
        case["tokens"] = run(case, 8 if case["vocab"] <= 1000 else 3)
        if "logit_bias" in case:
            case["logit_bias"] = [[k, v] for k, v in case["logit_bias"].items()]
        out.append(case)
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sampler_goldens.json")
    with open(path, "w") as file:
        lines = ",\n".join("  " + json.dumps(c) for c in out)
        numbers = ",\n".join("  " + json.dumps(random_numbers(s)) for s in (0, 1, 42, 2**32 + 9, 2**64 - 1))
        file.write('{"cases": [\n' + lines + '\n],\n"random": [\n' + numbers + "\n]}\n")


if __name__ == "__main__":
    main()
