"""Writes the tiny models of this folder and golden/: NAME.json and NAME.f32 (rows of logits) from float32 mlx-lm.

Usage: make_models.py [NAME...]    (with an environment that has mlx-lm 0.32.2 and tokenizers)

A golden file has cases: ids, rows (whose logits stand in NAME.f32, one after the other, vocab_size floats each), greedy
(tokens, the gap between the two highest logits at each, the finish reason) and samples (settings and tokens).
"""
import json
import pathlib
import shutil
import sys

import numpy as np
from transformers import AutoTokenizer

import tiny
from tiny import Spec
from tiny_tokenizer import CHAT_FILES, TOKENIZER, VOCAB_SIZE, head_scale

HERE = pathlib.Path(__file__).parent
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}


def llama(**more):
    return {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_act": "silu", "rms_norm_eps": 1e-5,
            "max_position_embeddings": 512, "rope_theta": 10000.0} | more


def phi3(**more):
    return {"model_type": "phi3", "architectures": ["Phi3ForCausalLM"], "hidden_act": "silu", "rms_norm_eps": 1e-5,
            "max_position_embeddings": 512, "original_max_position_embeddings": 512, "rope_theta": 10000.0,
            "rope_scaling": None} | more


def size(hidden, ffn, layers, heads, kv, vocab, **more):
    return {"hidden_size": hidden, "intermediate_size": ffn, "num_hidden_layers": layers, "num_attention_heads": heads,
            "num_key_value_heads": kv, "vocab_size": vocab} | more


def factors(rng, count, low, high):
    return [round(float(x), 4) for x in np.sort(rng.uniform(low, high, count))]


def longrope(count, seed, kind="longrope", **more):
    rng = np.random.default_rng(seed)
    return {"type": kind, "short_factor": factors(rng, count, 1.0, 1.6), "long_factor": factors(rng, count, 1.5, 9.0)} | more


def quant(bits, group_size, mode=None):
    return {"bits": bits, "group_size": group_size} | ({"mode": mode} if mode else {})


def each(layer, **modules):
    """Overrides of a layer's modules, by the last part of their names."""
    places = {"mlp": ("gate_proj", "up_proj", "down_proj", "gate_up_proj")}
    return {f"model.layers.{layer}.{'mlp' if name in places['mlp'] else 'self_attn'}.{name}": entry
            for name, entry in modules.items()}


MXFP4, MXFP8, NVFP4 = quant(4, 32, "mxfp4"), quant(8, 32, "mxfp8"), quant(4, 16, "nvfp4")
EIGHT = {"bits": 8, "group_size": 32, "mode": "affine"}

SPECS = [
    # ---- llama: plain weights ----
    Spec("llama-float32", llama(**size(32, 48, 1, 4, 2, 97)), "float32", align=1, index=False),
    Spec("llama-float16", llama(**size(48, 56, 2, 3, 1, 101, head_dim=20, rope_traditional=True, tie_word_embeddings=False)),
         "float16", align=3),
    Spec("llama-bfloat16", llama(**size(40, 56, 2, 4, 4, 99, attention_bias=True, mlp_bias=True)), "bfloat16", align=5),
    # ---- llama: affine ----
    Spec("llama-q4-g32", llama(**size(64, 96, 2, 4, 2, 96, rope_scaling=LLAMA3, rope_theta=500000.0)), "bfloat16",
         quant(4, 32), align=1),
    Spec("llama-q4-g64", llama(**size(64, 128, 2, 2, 1, 100, attention_bias=True, tie_word_embeddings=False,
                                      rope_scaling={"type": "linear", "factor": 4.0})), "float16", quant(4, 64), align=2),
    Spec("llama-q4-g128", llama(**size(128, 128, 1, 4, 1, 96)), "bfloat16", quant(4, 128), align=3),
    Spec("llama-q8-g32", llama(**size(64, 64, 2, 4, 2, 96, sliding_window=16, mlp_bias=True,
                                      layer_types=["full_attention", "sliding_attention"])), "float16", quant(8, 32), align=7),
    Spec("llama-q8-g64", llama(**size(64, 64, 2, 4, 1, 103, sliding_window=8)) | {"model_type": "mistral"}, "float32",
         quant(8, 64), align=6),
    Spec("llama-q8-g128", llama(**size(128, 128, 1, 2, 1, 64, head_dim=64)), "bfloat16", quant(8, 128), align=5),
    # ---- llama: overrides ----
    Spec("llama-overrides", llama(**size(64, 128, 2, 4, 2, 96, tie_word_embeddings=False)), "bfloat16", quant(4, 64),
         overrides={"model.embed_tokens": EIGHT, "lm_head": {"bits": 8},
                    "model.layers.0.self_attn.v_proj": False, "model.layers.1.mlp.down_proj": quant(8, 128)},
         shards=3, align=4),
    Spec("llama-inferred", llama(**size(64, 64, 2, 4, 2, 96)), "float16", quant(4, 64),
         overrides={"model.embed_tokens": EIGHT, "model.layers.0.mlp.up_proj": quant(8, 64),
                    "model.layers.1.self_attn.o_proj": quant(4, 32)},
         unnamed=("model.embed_tokens", "model.layers.0.mlp.up_proj", "model.layers.1.self_attn.o_proj"), align=1),
    # ---- llama: windows that end within, at and beyond a page of 64 ----
    Spec("llama-window-63", llama(**size(32, 48, 2, 2, 1, 97, sliding_window=63,
                                         layer_types=["sliding_attention", "full_attention"])), "bfloat16", align=1),
    Spec("llama-window-64", llama(**size(32, 48, 2, 2, 2, 97, sliding_window=64,
                                         layer_types=["full_attention", "sliding_attention"])), "bfloat16", align=3),
    Spec("llama-window-65", llama(**size(32, 48, 3, 2, 1, 97, sliding_window=65, layer_types=[
        "sliding_attention", "full_attention", "sliding_attention"])), "bfloat16", align=5),
    # ---- llama: other rope ----
    Spec("llama-yarn", llama(**size(32, 48, 2, 2, 1, 97, rope_scaling={
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64})), "float16", align=1),
    Spec("llama-longrope", llama(**size(32, 48, 2, 2, 1, 97, rope_scaling=longrope(
        8, 1, original_max_position_embeddings=96))), "float16", align=1),
    # ---- phi3: plain weights ----
    Spec("phi3-float32", phi3(**size(32, 40, 1, 2, 2, 97)), "float32", align=1, index=False),
    Spec("phi3-float16", phi3(**size(48, 56, 2, 4, 2, 101, partial_rotary_factor=0.5, rope_traditional=True)), "float16",
         align=3),
    Spec("phi3-bfloat16", phi3(**size(40, 56, 2, 4, 1, 99, tie_word_embeddings=True, sliding_window=8)), "bfloat16", align=5),
    # ---- phi3: affine ----
    Spec("phi3-q4-g32", phi3(**size(64, 96, 2, 2, 1, 96)), "bfloat16", quant(4, 32), align=1),
    Spec("phi3-q4-g64", phi3(**size(64, 128, 2, 4, 2, 100, rope_scaling={
        "type": "linear", "factor": 2.0, "long_factor": [1.0]})), "bfloat16", quant(4, 64), align=2),
    Spec("phi3-q4-g128", phi3(**size(128, 128, 1, 4, 1, 96)), "float16", quant(4, 128), align=3),
    Spec("phi3-q8-g32", phi3(**size(64, 96, 1, 4, 4, 96, tie_word_embeddings=True)), "bfloat16", quant(8, 32), align=7),
    Spec("phi3-q8-g64", phi3(**size(64, 64, 2, 2, 2, 100, partial_rotary_factor=0.75)), "float32", quant(8, 64), align=6),
    Spec("phi3-q8-g128", phi3(**size(128, 128, 1, 8, 1, 48)), "float16", quant(8, 128), align=5),
    Spec("phi3-overrides", phi3(**size(64, 128, 2, 4, 2, 96)), "bfloat16", quant(4, 64),
         overrides={"model.embed_tokens": EIGHT, "lm_head": False, "model.layers.0.self_attn.qkv_proj": quant(8, 32)},
         shards=2, align=4),
    # ---- phi3: longrope; the switch within and at the end of a page ----
    Spec("phi3-longrope-80", phi3(**size(32, 48, 2, 2, 1, 97, max_position_embeddings=320,
                                         original_max_position_embeddings=80, rope_scaling=longrope(8, 2))),
         "bfloat16", align=1),
    Spec("phi3-su-64", phi3(**size(64, 64, 2, 2, 1, 96, max_position_embeddings=512, partial_rotary_factor=0.75,
                                   original_max_position_embeddings=64, rope_scaling=longrope(12, 3, "su"))),
         "bfloat16", quant(4, 64), align=3),
    # ---- ends: two end tokens and sampling defaults in generation_config.json ----
    Spec("llama-ends", llama(**size(32, 48, 2, 2, 1, 97, eos_token_id=3)), "bfloat16", align=1,
         files={"generation_config.json": {"eos_token_id": [3, 20], "do_sample": True, "temperature": 0.6, "top_p": 0.85,
                                           "top_k": 30, "repetition_penalty": 1.1}}),
    # ---- chat: a tokenizer and a template ----
    Spec("llama-chat", llama(**size(32, 48, 2, 2, 1, VOCAB_SIZE, tie_word_embeddings=False, eos_token_id=2,
                                    max_position_embeddings=1024)),
         "bfloat16", align=1, head_scale=head_scale(), files=CHAT_FILES),
    # ---- every other width and mode ----
    Spec("llama-mxfp4", llama(**size(64, 96, 2, 4, 2, 96)), "bfloat16", MXFP4, align=3),
    Spec("llama-mxfp8", llama(**size(64, 96, 1, 4, 2, 97, tie_word_embeddings=False)), "float16", MXFP8, align=1),
    Spec("phi3-nvfp4", phi3(**size(64, 96, 1, 2, 1, 99)), "bfloat16", NVFP4, align=5),
    Spec("llama-widths", llama(**size(128, 128, 2, 4, 1, 60, tie_word_embeddings=False)), "bfloat16", quant(6, 64),
         overrides={"model.embed_tokens": quant(5, 64), "lm_head": quant(3, 32)}
         | each(0, q_proj=quant(2, 32), k_proj=quant(3, 128), v_proj=quant(5, 32), o_proj=quant(6, 128), gate_proj=MXFP4,
                up_proj=quant(5, 128), down_proj=quant(6, 32))
         | each(1, q_proj=quant(2, 128), v_proj=NVFP4, o_proj=MXFP8, gate_proj=quant(3, 64), down_proj=quant(2, 64)),
         align=7),
    Spec("phi3-widths", phi3(**size(64, 64, 1, 2, 2, 60)), "float16", NVFP4,
         overrides={"model.embed_tokens": {"mode": "mxfp8", "bits": 8, "group_size": 32}, "lm_head": quant(5, 64)}
         | each(0, qkv_proj=quant(3, 64), o_proj=quant(6, 32)), align=2),
]
for number, spec in enumerate(SPECS):
    spec.seed = number

# Settings of the seeded samples; each model takes two in turn.
SETTINGS = [
    {"temperature": 0.7, "top_p": 0.9},
    {"temperature": 1.0, "min_p": 0.05},
    {"temperature": 1.3, "top_k": 8},
    {"temperature": 0.9, "top_p": 0.8, "top_k": 12, "min_p": 0.02},
    {"temperature": 1.0, "xtc_probability": 0.5, "xtc_threshold": 0.1},
    {"temperature": 0.8, "repetition_penalty": 1.3},
    {"temperature": 0.8, "presence_penalty": 0.9, "frequency_penalty": 0.4},
    {"temperature": 1.1, "min_p": 0.3, "min_tokens_to_keep": 4},
    {"temperature": 0.0, "repetition_penalty": 1.2, "repetition_context": 8},
    {"temperature": 1.0, "top_p": 0.95, "logit_bias": {"5": 2.5, "11": -3.0}},
    {"temperature": 0.6, "top_p": 0.7, "xtc_probability": 1.0, "xtc_threshold": 0.05, "repetition_penalty": 1.1},
]


class Rows:
    def __init__(self):
        self.data = []

    def add(self, logits, rows):
        self.data.append(np.ascontiguousarray(logits[rows], np.float32))
        return rows

    def write(self, path):
        path.write_bytes(b"".join(d.astype("<f4").tobytes() for d in self.data))


def pick_rows(count):
    return sorted({r for r in (0, 1, 31, 63, 64, 65, count // 2, count - 1) if 0 <= r < count})


def case(name, model, ids, rows, end, greedy_count, settings, compat="paper", spared=()):
    """One prompt through mlx-lm. XTC spares the end tokens and `spared`."""
    return {
        "name": name, "rope_compat": compat, "ids": ids,
        "rows": rows.add(tiny.logits(model, ids), pick_rows(len(ids))),
        "greedy": tiny.greedy(model, ids, greedy_count, end),
        "samples": [tiny.sample(model, ids, 24, 11 + 7 * i, end, spared=(*spared, *end), **s)
                    for i, s in enumerate(settings)],
    }


def conversation(path, count=40):
    """Two turns with the chat template: prompts by transformers, greedy replies by mlx-lm."""
    tokenizer = AutoTokenizer.from_pretrained(path)
    model, config = tiny.load(path)
    messages, turns = [{"role": "system", "content": "Answer in one word."}], []
    for text in ("What is the capital of France?", "one two three é 你好"):
        messages.append({"role": "user", "content": text})
        prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = tokenizer.encode(prompt, add_special_tokens=False)
        reply = tiny.greedy(model, ids, count, tiny.end_tokens(config))
        if set(reply["tokens"]) & {0, 1, 2}:
            raise RuntimeError("the reply has special tokens: choose another seed")
        text = tokenizer.decode(reply["tokens"])
        turns.append({"prompt": prompt, "ids": ids, "max_tokens": count, **reply, "text": text})
        messages.append({"role": "assistant", "content": text})
    data = {"messages": messages, "turns": turns}
    (HERE / "golden" / "conversation.json").write_text(json.dumps(data, separators=(",", ":")) + "\n")
    print([t["text"] for t in turns], [min(t["gaps"]) for t in turns])


def longrope_cases(path, rng, vocab, switch, rows):
    """Both ways of choosing the factors: mlx-lm's, and the paper's below, above, and across the switch."""
    long, short = tiny.load(path)[0], tiny.with_short_factors(path)
    prompts = {n: [int(t) for t in rng.integers(0, vocab, n)] for n in (switch - 8, switch, switch + 1, switch + 30)}
    cases = [case("mlx-short", long, prompts[switch - 8], rows, (), 24, SETTINGS[:1], "mlx"),
             case("mlx-long", long, prompts[switch + 30], rows, (), 24, [], "mlx")]
    names = {switch - 8: "paper-crossing", switch: "paper-at-switch", switch + 1: "paper-after-switch",
             switch + 30: "paper-long"}
    for count, ids in prompts.items():
        model = long if count > switch else short
        cases.append({"name": names[count], "rope_compat": "paper", "ids": ids,
                      "rows": rows.add(tiny.logits(model, ids), pick_rows(count)),
                      "greedy": tiny.greedy_switched(short, long, switch, ids, 24), "samples": []})
    return cases


def write_golden(name, vocab, cases, rows):
    rows.write(HERE / "golden" / f"{name}.f32")
    text = json.dumps({"model": name, "vocab_size": vocab, "cases": cases}, separators=(",", ":"))
    (HERE / "golden" / f"{name}.json").write_text(text.replace('{"name"', '\n{"name"') + "\n")


def golden(spec, path, number):
    model, config = tiny.load(path)
    vocab, end, rows = config["vocab_size"], tiny.end_tokens(config), Rows()
    rng = np.random.default_rng(5000 + number)
    scaling = config.get("rope_scaling") or {}
    if "short_factor" in scaling:
        switch = scaling.get("original_max_position_embeddings") or config["original_max_position_embeddings"]
        cases = longrope_cases(path, rng, vocab, switch, rows)
    else:
        spared = TOKENIZER.encode("\n").ids if spec.name == "llama-chat" else ()
        settings = [SETTINGS[(2 * number + i) % len(SETTINGS)] for i in range(2)]
        long = 150 if "sliding_window" in config else 100
        ids = [int(t) for t in rng.integers(0, vocab, long)]
        cases = [case("long", model, ids, rows, end, 40, settings, spared=spared),
                 case("one", model, ids[:1], rows, end, 16, [])]
    write_golden(spec.name, vocab, cases, rows)
    kinds = {c["name"]: f"{len(set(c['greedy']['tokens']))}/{len(c['greedy']['tokens'])} distinct, least gap "
             f"{min(c['greedy']['gaps']):.4f}" for c in cases}
    print(spec.name, sum(f.stat().st_size for f in path.iterdir()), kinds)


def main(names):
    (HERE / "golden").mkdir(exist_ok=True)
    for number, spec in enumerate(SPECS):
        if names and spec.name not in names:
            continue
        shutil.rmtree(HERE / spec.name, ignore_errors=True)
        path = tiny.build(spec, HERE)
        golden(spec, path, number)
        if spec.name == "llama-chat":
            conversation(path)


if __name__ == "__main__":
    main(sys.argv[1:])
