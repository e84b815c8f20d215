"""checkpoint_goldens.json: what mlx-lm's convert makes of tiny checkpoints: for each case the checksum of all tensors (name, type,
shape, bytes, sorted by name), and what it changed in config.json. The weights are numbers that the test makes for itself by the same rule, so that
nothing but checksums is kept.

Usage: make_checkpoint_goldens.py"""
import json
import pathlib
import tempfile
import zlib

import mlx.core as mx
import numpy as np

import convert_oracle as oracle

HERE = pathlib.Path(__file__).parent
TYPES = {"F32": mx.float32, "F16": mx.float16, "BF16": mx.bfloat16}
MODELS = HERE.parent / "models"
ORIGINALS = ["gpt_oss", "granitemoe", "lfm2_moe", "bailing_moe", "dots1", "mistral3", "qwen3_next",
             "qwen3_5_moe", "nemotron_h", "granitemoehybrid", "gemma4", "deepseek_v2", "kimi_k25"]  # whose checkpoints have another form


def llama(dtype, layers=1, **more):
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 128, "intermediate_size": 128,
              "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "num_hidden_layers": layers, "vocab_size": 9,
              "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "max_position_embeddings": 64, "tie_word_embeddings": False} | more
    tensors = [("model.embed_tokens.weight", dtype, [9, 128]), ("model.norm.weight", "F32", [128]), ("lm_head.weight", dtype, [9, 128])]
    for i in range(layers):
        m = f"model.layers.{i}."
        tensors += [(m + "input_layernorm.weight", dtype, [128]), (m + "post_attention_layernorm.weight", dtype, [128])]
        tensors += [(m + f"self_attn.{n}_proj.weight", dtype, shape) for n, shape in (("q", [64, 128]), ("k", [32, 128]), ("v", [32, 128]), ("o", [128, 64]))]
        tensors += [(m + f"mlp.{n}_proj.weight", dtype, [128, 128]) for n in ("gate", "up", "down")]
    return config, tensors


def latent(family, float8):
    """Latent attention as checkpoints have it, in blocks of float8 that its shapes do not fill, or plain."""
    config = {"model_type": family, "hidden_size": 160, "intermediate_size": 64, "moe_intermediate_size": 32, "num_hidden_layers": 2,
              "num_attention_heads": 2, "num_key_value_heads": 2, "n_routed_experts": 2, "n_shared_experts": 1, "num_experts_per_tok": 1,
              "first_k_dense_replace": 1, "moe_layer_freq": 1, "n_group": 1, "topk_group": 1, "topk_method": "noaux_tc", "scoring_func": "sigmoid",
              "norm_topk_prob": True, "routed_scaling_factor": 1.5, "kv_lora_rank": 32, "q_lora_rank": 32, "qk_nope_head_dim": 64,
              "qk_rope_head_dim": 8, "v_head_dim": 32, "vocab_size": 12, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
              "max_position_embeddings": 64, "attention_bias": False, "torch_dtype": "bfloat16"}
    tensors = [["model.embed_tokens.weight", "BF16", [12, 160]], ["model.norm.weight", "BF16", [160]], ["lm_head.weight", "BF16", [12, 160]]]
    if float8:
        config["quantization_config"] = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}

    def linear(name, rows, columns):
        tensors.append([name + ".weight", "F8_E4M3" if float8 else "BF16", [rows, columns]])
        if float8:
            tensors.append([name + ".weight_scale_inv", "F32", [-(-rows // 128), -(-columns // 128)]])

    def feed_forward(name, inner):
        for part, rows, columns in (("gate", inner, 160), ("up", inner, 160), ("down", 160, inner)):
            linear(f"{name}.{part}_proj", rows, columns)

    for i in range(2):
        m = f"model.layers.{i}."
        tensors += [[m + "input_layernorm.weight", "BF16", [160]], [m + "post_attention_layernorm.weight", "BF16", [160]],
                    [m + "self_attn.q_a_layernorm.weight", "BF16", [32]], [m + "self_attn.kv_a_layernorm.weight", "BF16", [32]]]
        for name, rows, columns in (("q_a", 32, 160), ("q_b", 144, 32), ("kv_b", 192, 32), ("o", 160, 64)):
            linear(m + f"self_attn.{name}_proj", rows, columns)
        linear(m + "self_attn.kv_a_proj_with_mqa", 40, 160)
        if i == 0:
            feed_forward(m + "mlp", 64)
            continue
        tensors += [[m + "mlp.gate.weight", "BF16", [2, 160]], [m + "mlp.gate.e_score_correction_bias", "F32", [2]]]
        feed_forward(m + "mlp.shared_experts", 32)
        for expert in range(2):
            feed_forward(m + f"mlp.experts.{expert}", 32)
    return config, tensors


def sources():
    out = {}
    for dtype in TYPES:
        config, tensors = llama(dtype, torch_dtype={"F32": "float32", "F16": "float16", "BF16": "bfloat16"}[dtype])
        out["llama-" + dtype] = config, tensors
    config, tensors = llama("F16", layers=9, hidden_act="silu")  # no torch_dtype: nothing is cast
    out["llama-deep"] = config, tensors
    config, tensors = llama("BF16", tie_word_embeddings=True, attention_bias=True, _name_or_path="x", torch_dtype="bfloat16")
    tensors = [t for t in tensors] + [("model.layers.0.self_attn.rotary_emb.inv_freq", "F32", [8])]
    tensors += [(f"model.layers.0.self_attn.{n}_proj.bias", "BF16", [rows]) for n, rows in (("q", 64), ("k", 32), ("v", 32), ("o", 128))]
    out["llama-tied"] = config, tensors
    config = {"model_type": "phi3", "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2,
              "num_hidden_layers": 1, "vocab_size": 11, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "torch_dtype": "float16",
              "max_position_embeddings": 64, "tie_word_embeddings": False, "rope_scaling": None, "original_max_position_embeddings": 64}
    m = "model.layers.0."
    out["phi3"] = config, [("model.embed_tokens.weight", "BF16", [11, 64]), ("model.norm.weight", "BF16", [64]),
                           ("lm_head.weight", "BF16", [11, 64]), (m + "input_layernorm.weight", "BF16", [64]),
                           (m + "post_attention_layernorm.weight", "BF16", [64]), (m + "self_attn.qkv_proj.weight", "BF16", [128, 64]),
                           (m + "self_attn.o_proj.weight", "BF16", [64, 64]), (m + "mlp.gate_up_proj.weight", "BF16", [192, 64]),
                           (m + "mlp.down_proj.weight", "BF16", [64, 96])]
    config = {"model_type": "mixtral", "hidden_size": 64, "intermediate_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2,
              "num_hidden_layers": 2, "num_local_experts": 3, "num_experts_per_tok": 2, "vocab_size": 10, "rms_norm_eps": 1e-05,
              "rope_theta": 10000.0, "max_position_embeddings": 64, "torch_dtype": "bfloat16"}
    tensors = [("model.embed_tokens.weight", "BF16", [10, 64]), ("model.norm.weight", "BF16", [64]), ("lm_head.weight", "BF16", [10, 64])]
    for i in range(2):  # the experts by themselves, in an order that is not theirs
        m = f"model.layers.{i}."
        tensors += [(m + "input_layernorm.weight", "BF16", [64]), (m + "post_attention_layernorm.weight", "BF16", [64]),
                    (m + "block_sparse_moe.gate.weight", "BF16", [3, 64])]
        tensors += [(m + f"self_attn.{n}_proj.weight", "BF16", shape) for n, shape in (("q", [64, 64]), ("k", [32, 64]), ("v", [32, 64]), ("o", [64, 64]))]
        tensors += [(m + f"block_sparse_moe.experts.{e}.{w}.weight", "BF16", shape) for e in (2, 0, 1)
                    for w, shape in (("w1", [32, 64]), ("w2", [64, 32]), ("w3", [32, 64]))]
    out["mixtral"] = config, tensors
    with tempfile.TemporaryDirectory() as temporary:
        for name in [*ORIGINALS, "gemma3", "helium"]:
            out[name] = original(name, pathlib.Path(temporary))
    config, tensors = out["helium"]  # a head that nothing reads, which mlx-lm keeps
    out["helium"] = config | {"tie_word_embeddings": True}, tensors
    config, tensors = out["bailing_moe"]  # whose head is normed; its small model has another one
    out["bailing-normed"] = config | {"norm_head": True, "tie_word_embeddings": False}, tensors if any(t[0] == "lm_head.weight" for t in tensors) else [
        *tensors, ["lm_head.weight", "BF16", [config["vocab_size"], config["hidden_size"]]]]
    out["deepseek_v3-float8"] = latent("deepseek_v3", True)
    out["glm4_moe_lite"] = latent("glm4_moe_lite", False)
    return out


def original(name, folder):
    """The config and the tensors of a family's small model, as Hugging Face's checkpoint has them."""
    plain, at = folder / f"{name}-plain", folder / name
    oracle.convert(MODELS / f"family-{name}", plain, {"dequantize": True})
    if not oracle.original_form(plain, at):
        at = plain
    return json.loads((at / "config.json").read_text()), [[n, t, s] for n, (t, s, _) in sorted(oracle.tensors(at).items())]


class Numbers:
    """The rule of the test: a linear congruential generator; 12 bits of each number, some of them near zero."""

    def __init__(self, seed):
        self.state = seed

    def take_bytes(self, count):
        out = np.empty(count, np.uint8)
        for i in range(count):
            self.state = (self.state * 6364136223846793005 + 1442695040888963407) & (1 << 64) - 1
            out[i] = 96 + (self.state >> 33) % 40
        return out

    def take_codes(self, count):
        """Of float8, but those that are no number."""
        out = np.empty(count, np.uint8)
        for i in range(count):
            self.state = (self.state * 6364136223846793005 + 1442695040888963407) & (1 << 64) - 1
            code = (self.state >> 33) % 254
            out[i] = code + (code > 126)
        return out

    def take(self, count):
        out = np.empty(count, np.float32)
        for i in range(count):
            self.state = (self.state * 6364136223846793005 + 1442695040888963407) & (1 << 64) - 1
            top = self.state >> 33
            out[i] = ((top & 0xFFFF) - 32768) * (2.0**-20 if top >> 28 else 2.0**-26)
        return out


def write_source(folder, number, config, tensors):
    folder.mkdir()
    numbers = Numbers(number)
    weights = {}
    for name, dtype, shape in tensors:
        if dtype == "F8_E4M3":
            weights[name] = numbers.take_codes(int(np.prod(shape))).reshape(shape)
            continue
        if dtype == "U8":
            weights[name] = mx.array(numbers.take_bytes(int(np.prod(shape))).reshape(shape))
            continue
        weights[name] = mx.array(numbers.take(int(np.prod(shape))).reshape(shape)).astype(TYPES[dtype])
    oracle.save(folder / "model.safetensors", weights)
    (folder / "config.json").write_text(config)


def result(directory, source):
    crc = 0
    found = oracle.tensors(directory)
    for name in sorted(found):
        dtype, shape, data = found[name]
        crc = zlib.crc32(f"{name} {dtype} {shape}".replace(" ", "").encode() + data, crc)
    old, new = json.loads(source), json.loads((directory / "config.json").read_text())
    if new.get("quantization_config", {}).get("quant_method") == "fp8":  # mlx-lm leaves it, though the weights are bfloat16
        del new["quantization_config"]
    changed = {k: v for k, v in new.items() if k not in old or old[k] != v}
    return {"count": len(found), "tensors": crc, "changed": changed, "keys": len(new)}


def cases():
    for source in ("llama-BF16", "llama-F16", "llama-F32"):
        for mode, bits, group in oracle.FORMATS:
            if source == "llama-BF16" or (bits + group) % 3 == 0 or mode != "affine":
                yield [source, {"quantize": True, "q-mode": mode, "q-bits": bits, "q-group-size": group}]
        for dtype in oracle.DTYPES:
            yield [source, {"dtype": dtype}]
    for recipe in oracle.RECIPES:
        yield ["llama-deep", {"quantize": True, "quant-predicate": recipe}]
    yield ["llama-deep", {"quantize": True, "quant-predicate": "mixed_3_6", "q-group-size": 32, "dtype": "bfloat16"}]
    rules = {"*": {"bits": 5, "group_size": 32}, "*.v_proj": {"mode": "mxfp8"}, "model.embed_tokens": {"group_size": 64}, "*down*": False,
             "*up_proj": True}
    yield ["llama-tied", {"quantize": True, "rules": rules}]
    yield ["llama-tied", {"quantize": True, "q-bits": 8, "rules": {"*.mlp.*": False}}, {"quantize": True, "q-bits": 3}]
    for mode, bits, group in (("affine", 3, 32), ("affine", 8, 128), ("mxfp4", 4, 32), ("mxfp8", 8, 32), ("nvfp4", 4, 16)):
        options = {"quantize": True, "q-mode": mode, "q-bits": bits, "q-group-size": group}
        yield ["llama-tied", options, {"dequantize": True}]
        yield ["llama-tied", options, {"dequantize": True, "dtype": "float32"}]
        yield ["llama-tied", options, {"dtype": "float16"}]
    for options in ({}, {"quantize": True}, {"quantize": True, "q-mode": "nvfp4"}, {"quantize": True, "q-bits": 6, "q-group-size": 32}):
        yield ["phi3", options]
    for options in ({}, {"quantize": True}, {"quantize": True, "q-group-size": 32, "dtype": "float32"}, {"dtype": "float16"}):
        yield ["mixtral", options]
    for source in [*ORIGINALS, "gemma3", "helium", "bailing-normed", "deepseek_v3-float8", "glm4_moe_lite"]:
        for options in ({}, {"quantize": True, "q-group-size": 32, "rules": {"*": True}}, {"dequantize": True, "dtype": "float32"}):
            yield [source, options]


def main():
    out = {"sources": {}, "cases": []}
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for number, (name, (config, tensors)) in enumerate(sources().items()):
            text = json.dumps(config)
            write_source(folder / name, number, text, tensors)
            out["sources"][name] = {"config": text, "tensors": tensors}
        for number, (source, *steps) in enumerate(cases()):
            at = folder / source
            for step, options in enumerate(steps):
                oracle.convert(at, folder / f"{number}-{step}", options)
                at = folder / f"{number}-{step}"
            out["cases"].append({"source": source, "steps": steps} | result(at, out["sources"][source]["config"]))
    text = json.dumps(out, separators=(",", ":")).replace('{"source"', '\n{"source"').replace('"llama-', '\n"llama-', 5)
    (HERE / "checkpoint_goldens.json").write_text(text + "\n")
    print(len(out["cases"]), "cases")


if __name__ == "__main__":
    main()
