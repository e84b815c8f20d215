"""Writes random models, for verification with data that nobody tuned to. Usage: make_random_models.py OUT_DIR SEED COUNT

Then: tests/engine/compare_with_mlx.py WHISPERENGINE OUT_DIR/*
"""
import pathlib
import sys

import numpy as np

import tiny


def rope_scaling(rng, family, head_dim, config):
    """A random rope for the family; may set further keys of the config."""
    kinds = ["linear", "longrope", "su"] if family == "phi3" else ["linear", "llama3", "yarn", "longrope"]
    kind = rng.choice(["none", *kinds])
    half = head_dim // 2
    if kind == "none":
        return None
    factor = round(float(rng.uniform(1.5, 9)), 3)
    original = int(rng.integers(8, 200))
    if kind == "llama3":
        low = round(float(rng.uniform(0.5, 2)), 2)
        return {"rope_type": "llama3", "factor": factor, "low_freq_factor": low,
                "high_freq_factor": round(low + float(rng.uniform(0.5, 6)), 2), "original_max_position_embeddings": original}
    if kind in ("longrope", "su"):
        short, long = (np.round(rng.uniform(1, top, half), 4).tolist() for top in (2, 12))
        scaling = {"type": str(kind), "short_factor": short, "long_factor": long}
        if family == "phi3":
            config["original_max_position_embeddings"] = original
        else:
            scaling["original_max_position_embeddings"] = original
        return scaling
    if kind == "yarn":
        return {"rope_type": "yarn", "factor": factor, "original_max_position_embeddings": original}
    return {"type": "linear", "factor": factor} | ({"long_factor": [1.0]} if family == "phi3" else {})


def any_quant(rng, most_group=128):
    """Any mode, width and group; groups of at most `most_group`."""
    mode = str(rng.choice(["affine", "affine", "affine", "mxfp4", "mxfp8", "nvfp4"]))
    if mode != "affine":
        return {"bits": 8 if mode == "mxfp8" else 4, "group_size": 16 if mode == "nvfp4" else 32, "mode": mode}
    return {"bits": int(rng.choice([2, 3, 4, 5, 6, 8])), "group_size": int(rng.choice([g for g in (32, 64, 128) if g <= most_group]))}


def spec(rng, number):
    family = str(rng.choice(["llama", "llama", "mistral", "phi3", "phi3"]))
    quantised = rng.random() < 0.75
    quant = any_quant(rng)
    unit = max(32, quant["group_size"]) if quantised else 4
    kv, repeat = int(rng.integers(1, 4)), int(rng.integers(1, 5))
    heads = kv * repeat
    layers = int(rng.integers(1, 4))
    config = {"model_type": family, "rms_norm_eps": float(rng.choice([1e-5, 1e-6])), "num_hidden_layers": layers,
              "num_attention_heads": heads, "num_key_value_heads": kv, "vocab_size": int(rng.integers(20, 300)),
              "intermediate_size": unit * int(rng.integers(1, 4 if quantised else 30)),
              "rope_theta": float(rng.choice([10000.0, 500000.0, 1e6])), "max_position_embeddings": int(rng.integers(300, 1000))}
    if family == "phi3":
        head_dim = int(rng.choice([8, 12, 16, 32, 48]))
        config["hidden_size"] = head_dim * heads
        rotary = head_dim
        if rng.random() < 0.4:
            rotary = 2 * int(rng.integers(1, head_dim // 2 + 1))
            config["partial_rotary_factor"] = rotary / head_dim
        config["tie_word_embeddings"] = bool(rng.random() < 0.4)
        config["rope_scaling"] = rope_scaling(rng, family, rotary, config)
    else:
        head_dim = int(rng.choice([6, 8, 16, 20, 32, 64]))
        config |= {"head_dim": head_dim, "hidden_size": unit * int(rng.integers(1, 4 if quantised else 24)),
                   "attention_bias": bool(rng.random() < 0.3), "mlp_bias": bool(rng.random() < 0.3)}
        if rng.random() < 0.5:
            config["tie_word_embeddings"] = bool(rng.random() < 0.5)
        config["rope_scaling"] = rope_scaling(rng, family, head_dim, config)
        if layers > 1 and rng.random() < 0.4:
            types = [str(t) for t in rng.choice(["full_attention", "sliding_attention"], layers)]
            types[int(rng.integers(0, layers))] = "full_attention"
            config |= {"layer_types": types, "sliding_window": int(rng.integers(1, 140))}
    if not (config["rope_scaling"] or {}).get("long_factor", [0])[1:]:
        config["rope_traditional"] = bool(rng.random() < 0.3)
    overrides = {}
    if quantised and rng.random() < 0.5:
        overrides["model.embed_tokens"] = any_quant(rng, unit)
        overrides[f"model.layers.{int(rng.integers(0, layers))}.mlp.down_proj"] = False
    return tiny.Spec(f"random-{number}", config, str(rng.choice(list(tiny.DTYPES))),
                     quant if quantised else None, overrides,
                     shards=int(rng.choice([1, 1, 2, 3])), align=int(rng.integers(0, 8)), seed=int(rng.integers(1 << 30)))


def main(out, seed, count):
    pathlib.Path(out).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(int(seed))
    for number in range(int(count)):
        print(tiny.build(spec(rng, number), out))


if __name__ == "__main__":
    main(*sys.argv[1:])
