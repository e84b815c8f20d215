"""mlx-lm's convert on a CPU, without a tokenizer; random checkpoints for it; and a comparison of two model directories."""
import contextlib
import importlib
import io
import json
import pathlib
import re
import sys
import warnings

import mlx.core as mx
import mlx_lm.utils
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "models"))
import tiny  # noqa: E402

mx.set_default_device(mx.cpu)
DTYPES = ["float32", "float16", "bfloat16"]
FORMATS = [("affine", b, g) for b in (2, 3, 4, 5, 6, 8) for g in (32, 64, 128)] + [("mxfp4", 4, 32), ("mxfp8", 8, 32), ("nvfp4", 4, 16)]
RECIPES = ["mixed_2_6", "mixed_3_4", "mixed_3_6", "mixed_4_6"]


class _NoTokenizer:
    def save_pretrained(self, path):
        pass


def rules_predicate(rules):
    """What the command's JSON file of rules says, as a function for mlx-lm."""
    import fnmatch

    def predicate(path, module):
        if path in rules:
            return rules[path]
        found = True
        for pattern, value in rules.items():
            if fnmatch.fnmatchcase(path, pattern.replace("[", "[[]").replace("?", "[?]")):
                found = value
        return dict(found) if isinstance(found, dict) else found

    return predicate


def convert(source, target, options):
    """options: those of the command, by their names without dashes; "rules" in place of a file."""
    saved = mlx_lm.utils.load_tokenizer, mlx_lm.utils.create_model_card
    mlx_lm.utils.load_tokenizer = lambda *a, **k: _NoTokenizer()
    mlx_lm.utils.create_model_card = lambda *a, **k: None
    predicate = rules_predicate(options["rules"]) if "rules" in options else options.get("quant-predicate")
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            importlib.import_module("mlx_lm.convert").convert(
                str(source), str(target), quantize="quantize" in options, q_group_size=options.get("q-group-size"),
                q_bits=options.get("q-bits"), q_mode=options.get("q-mode", "affine"), dtype=options.get("dtype"),
                dequantize="dequantize" in options, quant_predicate=predicate)
    finally:
        mlx_lm.utils.load_tokenizer, mlx_lm.utils.create_model_card = saved


def arguments(options, folder):
    """The command's arguments; a file of rules is written into `folder`."""
    out = []
    for name, value in options.items():
        if name == "rules":
            path = pathlib.Path(folder) / "rules.json"
            path.write_text(json.dumps(value))
            out += ["--quant-predicate", str(path)]
        else:
            out += ["--" + name] if value is True else ["--" + name, str(value)]
    return out


def tensors(directory):
    """Name -> (type, shape, bytes) of all tensors."""
    out = {}
    for path in sorted(pathlib.Path(directory).glob("model*.safetensors")):
        with open(path, "rb") as f:
            length = int.from_bytes(f.read(8), "little")
            header = json.loads(f.read(length))
            header.pop("__metadata__", None)
            for name, entry in header.items():
                begin, end = entry["data_offsets"]
                f.seek(8 + length + begin)
                out[name] = (entry["dtype"], entry["shape"], f.read(end - begin))
    return out


def differences(found, expected):
    """What differs in weights, config and index, as texts."""
    ours, theirs = tensors(found), tensors(expected)
    out = [f"{name} is only in one" for name in ours.keys() ^ theirs.keys()]
    for name in sorted(ours.keys() & theirs.keys()):
        if ours[name][:2] != theirs[name][:2]:
            out.append(f"{name}: {ours[name][:2]}, mlx-lm's is {theirs[name][:2]}")
        elif ours[name][2] != theirs[name][2]:
            a, b = (np.frombuffer(x[name][2], np.uint8) for x in (ours, theirs))
            out.append(f"{name}: {int((a != b).sum())} of {a.size} bytes differ")
    for file in ("config.json", "model.safetensors.index.json"):
        a, b = (json.loads((pathlib.Path(d) / file).read_text()) for d in (found, expected))
        for block in ("weight_map",):  # the shards may be cut elsewhere
            if block in a:
                a[block], b[block] = sorted(a[block]), sorted(b[block])
        if b.get("quantization_config", {}).get("quant_method") == "fp8":  # mlx-lm leaves it, though the weights are bfloat16
            del b["quantization_config"]
        out += [f"{file}: {k}: {a.get(k)!r}, mlx-lm's is {b.get(k)!r}" for k in a.keys() | b.keys() if a.get(k, ()) != b.get(k, ())]
    if (pathlib.Path(found) / "config.json").read_text() != (pathlib.Path(expected) / "config.json").read_text() and not out:
        a, b = (list(json.loads((pathlib.Path(d) / "config.json").read_text())) for d in (found, expected))
        if a != [k for k in b if k in a]:
            out.append(f"config.json: the keys stand in the order {a}, mlx-lm's is {b}")
    return out


def _separate_experts(weights, module, letters):
    """X.MODULE.gate_proj.weight (experts, ...) -> X.experts.N.gate_proj.weight, or w1 and so on."""
    for key in [k for k in weights if f".{module}." in k and k.endswith(("gate_proj.weight", "up_proj.weight", "down_proj.weight"))]:
        before, after = key.split(f".{module}.")
        name, rest = after.split(".", 1)
        for number, value in enumerate(weights.pop(key)):
            weights[f"{before}.experts.{number}.{letters.get(name, name)}.{rest}"] = value


def _gpt_oss_blocks(weights):
    """The experts quantised to mxfp4, as OpenAI has them: gate and up in turn, 16 bytes for each group."""
    for key in [k for k in weights if k.endswith("experts.gate_proj.weight")]:
        start = key.removesuffix("gate_proj.weight")
        parts = {n: weights.pop(f"{start}{n}_proj.weight") for n in ("gate", "up", "down")}
        packed = {n: mx.quantize(w, group_size=32, bits=4, mode="mxfp4") for n, w in parts.items()}
        bias = [weights.pop(f"{start}{n}_proj.bias") for n in ("gate", "up")]
        in_turn = lambda a, b: mx.stack([a, b], axis=2).reshape(a.shape[0], 2 * a.shape[1], *a.shape[2:])  # noqa: E731
        blocks = {n: q[0].view(mx.uint8).reshape(*q[0].shape[:2], -1, 16) for n, q in packed.items()}
        weights[start + "gate_up_proj_blocks"] = in_turn(blocks["gate"], blocks["up"])
        weights[start + "gate_up_proj_scales"] = in_turn(packed["gate"][1], packed["up"][1])
        weights[start + "gate_up_proj_bias"] = in_turn(*bias)
        weights[start + "down_proj_blocks"], weights[start + "down_proj_scales"] = blocks["down"], packed["down"][1]
        weights[start + "down_proj_bias"] = weights.pop(start + "down_proj.bias")


def _join_heads(weights, bits=None, group_size=None):
    """embed_q and unembed_out as the one matrix that they are parts of; bits: quantised."""
    for key in [k for k in weights if k.endswith("embed_q.weight")]:
        start = key.removesuffix("embed_q.weight")
        keys, values = weights.pop(key), weights.pop(start + "unembed_out.weight")
        joined = mx.concatenate([keys.transpose(0, 2, 1), values], axis=1).reshape(-1, values.shape[-1])
        if bits:
            joined, *rest = mx.quantize(joined, group_size=group_size, bits=bits)
            weights |= dict(zip((start + "kv_b_proj.scales", start + "kv_b_proj.biases"), rest))
        weights[start + "kv_b_proj.weight"] = joined


def old_form(directory, target):
    """A copy of a quantised model of latent attention as mlx-lm made it before its heads stood by themselves."""
    config = json.loads((directory / "config.json").read_text())
    weights = {}
    for path in directory.glob("model*.safetensors"):
        weights |= mx.load(str(path))
    bits, group_size = config["quantization"]["bits"], config["quantization"]["group_size"]
    for key in [k for k in weights if k.endswith(("embed_q.weight", "unembed_out.weight"))]:
        start = key.removesuffix("weight")
        weights[key] = mx.dequantize(weights[key], weights.pop(start + "scales"), weights.pop(start + "biases"), group_size, bits)
    _join_heads(weights, bits, group_size)
    target.mkdir(exist_ok=True)
    mx.save_safetensors(str(target / "model.safetensors"), weights, metadata={"format": "mlx"})
    (target / "config.json").write_text(json.dumps(config, indent=4))


STATES = ("qwen3_next", "qwen3_5", "qwen3_5_moe", "nemotron_h", "granitemoehybrid")
NORMS = (".input_layernorm.weight", ".post_attention_layernorm.weight", "model.norm.weight", ".q_norm.weight", ".k_norm.weight")


def _trained_form(family, weights):
    """Families with states: convolutions turned, norms around 0, experts and names as they were. (Their experts are by themselves.)"""
    weights = {k: mx.contiguous(v.transpose(0, 2, 1)) if k.endswith("conv1d.weight") else v for k, v in weights.items()}
    if family == "nemotron_h":
        for key in [k for k in weights if ".switch_mlp.fc" in k]:
            name = {"fc1": "up_proj", "fc2": "down_proj"}[key.split(".")[-2]]
            for number, value in enumerate(weights.pop(key)):
                weights[f"{key.split('.switch_mlp.')[0]}.experts.{number}.{name}.weight"] = value
        weights["mtp.layers.0.norm.weight"] = mx.ones(2)
    if family == "granitemoehybrid":
        for key in [k for k in weights if k.endswith("mlp.gate_proj.weight")]:
            start = key.removesuffix("gate_proj.weight")
            halves, down = [weights.pop(f"{start}{n}_proj.weight") for n in ("gate", "up")], weights.pop(start + "down_proj.weight")
            start = start.removesuffix("switch_mlp.") if "switch_mlp" in start else start.removesuffix("mlp.") + "shared_mlp."
            weights[start + "input_linear.weight"] = mx.concatenate(halves, axis=-2)
            weights[start + "output_linear.weight"] = down
    if family.startswith("qwen3") and (family != "qwen3_next" or any(".experts.0." in k for k in weights)):
        weights = {k: v - 1 if k.endswith(NORMS) else v for k, v in weights.items()}
        weights["mtp.fc.weight"] = mx.ones((2, 2))
    if family == "qwen3_5_moe":
        for start in {k.split(".experts.")[0] for k in weights if ".experts.0." in k}:
            count = sum(k.startswith(start + ".experts.") for k in weights) // 3
            take = lambda n: mx.stack([weights.pop(f"{start}.experts.{e}.{n}_proj.weight") for e in range(count)])  # noqa: B023, E731
            weights[start + ".experts.gate_up_proj"] = mx.concatenate([take("gate"), take("up")], axis=1)
            weights[start + ".experts.down_proj"] = take("down")
    if family in ("qwen3_5", "qwen3_5_moe"):
        weights = {k.replace("language_model.model.", "model.language_model.").removeprefix("language_model."): v
                   for k, v in weights.items()} | {"model.visual.patch.weight": mx.ones((2, 2))}
    return weights


LATENT = ("deepseek_v3", "joyai_llm_flash", "kimi_k2", "kimi_k25", "glm4_moe_lite")
FLOAT8 = ("deepseek_v3", "joyai_llm_flash", "kimi_k2", "kimi_k25", "minimax")


def _whole_latent(config, weights):
    """embed_q and unembed_out as one kv_b_proj, and a layer that predicts further tokens."""
    for key in [k for k in weights if k.endswith("embed_q.weight")]:
        start = key.removesuffix("embed_q.weight")
        keys, values = weights.pop(key).swapaxes(-1, -2), weights.pop(start + "unembed_out.weight")
        weights[start + "kv_b_proj.weight"] = mx.concatenate([keys, values], axis=1).reshape(-1, keys.shape[-1])
    if config["model_type"] == "glm4_moe_lite":
        weights[f"model.layers.{config['num_hidden_layers']}.eh_proj.weight"] = mx.ones((2, 2))
    elif "text_config" not in config:
        weights["model.layers.61.eh_proj.weight"] = mx.ones((2, 2))


def _float8(weights, rng, side=128):
    """Weights of linear layers as codes of float8 with a factor for each block."""
    for key in [k for k in weights if k.endswith("_proj.weight") or re.search(r"experts\.\d+\.\w+\.weight$", k)]:
        rows, columns = weights[key].shape
        codes = rng.integers(0, 127, (rows, columns)) | rng.integers(0, 2, (rows, columns)) << 7
        factors = rng.uniform(1e-5, 2e-4, (-(-rows // side), -(-columns // side)))
        weights[key], weights[key + "_scale_inv"] = codes.astype(np.uint8), mx.array(factors.astype(np.float32))


def save(path, weights):
    """As mx.save_safetensors, and arrays of numpy's uint8 as float8."""
    plain = {k: v for k, v in weights.items() if not isinstance(v, np.ndarray)}
    mx.save_safetensors(str(path), plain)
    if len(plain) == len(weights):
        return
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header, data = json.loads(data[8:8 + length]), data[8 + length:]
    for key in weights.keys() - plain.keys():
        header[key] = {"dtype": "F8_E4M3", "shape": weights[key].shape, "data_offsets": [len(data), len(data) + weights[key].size]}
        data += weights[key].tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def original_form(directory, target, float8=False):
    """A copy of a plain model in the form of Hugging Face's checkpoints; False if that is the same, or cannot be in float8."""
    weights, config = {}, json.loads((directory / "config.json").read_text())
    for path in directory.glob("model*.safetensors"):
        weights.update(mx.load(str(path)))
    before, family = set(weights), config["model_type"]
    shapes = {k: v.shape for k, v in weights.items()}
    letters = {"gate_proj": "w1", "down_proj": "w2", "up_proj": "w3"}
    if family == "granitemoe":
        for key in [k for k in weights if k.endswith("switch_mlp.gate_proj.weight")]:
            start = key.removesuffix("switch_mlp.gate_proj.weight")
            gate, up = (weights.pop(f"{start}switch_mlp.{n}_proj.weight") for n in ("gate", "up"))
            weights[start + "input_linear.weight"] = mx.concatenate([gate, up], axis=1)
            weights[start + "output_linear.weight"] = weights.pop(f"{start}switch_mlp.down_proj.weight")
    elif family == "gpt_oss":
        _gpt_oss_blocks(weights)
        config["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"]}
    else:
        _separate_experts(weights, "experts" if family == "dots1" else "switch_mlp" if family != "granitemoehybrid" else "none",
                          letters if family == "lfm2_moe" or any("block_sparse_moe" in k for k in weights) else {})
    if family == "lfm2_moe":  # the dense layers too
        for key in [k for k in weights if ".feed_forward." in k and ".experts." not in k]:
            for ours, theirs in letters.items():
                if ours in key:
                    weights[key.replace(ours, theirs)] = weights.pop(key)
    if family in ("lfm2", "lfm2_moe"):
        weights.update({k: mx.contiguous(v.transpose(0, 2, 1)) for k, v in weights.items() if k.endswith("conv.weight")})
    if family == "bailing_moe":
        weights = {k.replace("mlp.gate.gate_proj.", "mlp.gate."): v for k, v in weights.items()}
    if family in ("mistral3", "llava"):
        weights = {"model.language_model." + k.removeprefix("language_model.model.") if k.startswith("language_model.model.") else
                   k.removeprefix("language_model."): v for k, v in weights.items()}
        weights["vision_tower.patch.weight"] = mx.ones((2, 2))
    if family in ("gemma4", "gemma4_text"):
        for start in {k.split(".switch_glu.")[0] for k in weights if ".switch_glu." in k}:
            gate, up, down = (weights.pop(f"{start}.switch_glu.{n}_proj.weight") for n in ("gate", "up", "down"))
            weights[start + ".gate_up_proj"], weights[start + ".down_proj"] = mx.concatenate([gate, up], axis=1), down
        key = next(k for k in weights if k.endswith("layers.0.self_attn.q_norm.weight"))
        weights[key.replace("layers.0.", "layers.77.").replace("q_norm", "k_norm")] = mx.ones(2)  # of a layer that shares its keys
        weights[key.replace("self_attn.q_norm.weight", "mlp.down_proj.input_max")] = mx.ones(())
        if family == "gemma4":
            weights = {k.replace("language_model.model.", "model.language_model."): v for k, v in weights.items()}
            weights |= {"model.vision_tower.patch.weight": mx.ones((2, 2)), "model.embed_audio.x.weight": mx.ones((2, 2))}
    if family in STATES:
        weights = _trained_form(family, weights)
    if family in LATENT:
        text = config.get("text_config", config)
        for name, width in (("embed_q", text["qk_nope_head_dim"]), ("unembed_out", text["kv_lora_rank"])):
            for key in [k for k in weights if k.endswith(name + ".scales")]:  # mlx-lm does not dequantise them
                weight, scales, biases = (weights.pop(key.replace("scales", n)) for n in ("weight", "scales", "biases"))
                weights[key.replace("scales", "weight")] = mx.dequantize(
                    weight, scales, biases, width // scales.shape[-1], weight.shape[-1] * 32 // width)
        _whole_latent(config, weights)
    if float8 and family not in FLOAT8:
        return False
    if float8:
        _float8(weights, np.random.default_rng(5))
        config["quantization_config"] = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}
    if not float8 and before == set(weights) and shapes == {k: v.shape for k, v in weights.items()}:
        return False
    target.mkdir()
    names = sorted(weights)
    for shard, some in enumerate((names[::2], names[1::2])):  # the experts of a layer in two files
        save(target / f"model-0000{shard}.safetensors", {k: weights[k] for k in some})
    (target / "config.json").write_text(json.dumps(config))
    return True


# ---- random checkpoints ----


def checkpoint(rng, name, folder, family=None):
    """A tiny random model as Hugging Face has it: not quantised, odd keys in its config, tensors that nobody needs."""
    family = family or str(rng.choice(["llama", "mistral", "phi3"]))
    heads, kv, head_dim = int(rng.choice([2, 4])), int(rng.choice([1, 2])), int(rng.choice([16, 32]))
    unit = int(rng.choice([32, 64, 128]))
    config = {"model_type": family, "rms_norm_eps": 1e-5, "num_hidden_layers": int(rng.integers(1, 5)), "num_attention_heads": heads,
              "num_key_value_heads": kv, "vocab_size": int(rng.integers(20, 120)), "intermediate_size": unit * int(rng.integers(1, 4)),
              "hidden_size": heads * head_dim if family == "phi3" else unit * int(rng.integers(1, 4)), "rope_theta": 10000.0,
              "max_position_embeddings": 512, "tie_word_embeddings": bool(rng.random() < 0.5)}
    if family != "phi3":
        config |= {"head_dim": head_dim, "attention_bias": bool(rng.random() < 0.4), "mlp_bias": bool(rng.random() < 0.3)}
    dtype = str(rng.choice(DTYPES))
    out = tiny.build(tiny.Spec(name, config, dtype, shards=int(rng.choice([1, 2, 3])), align=int(rng.integers(0, 8)),
                               seed=int(rng.integers(1 << 30))), folder)
    path = sorted(out.glob("model*.safetensors"))[0]
    weights = mx.load(str(path))
    mx.eval(weights)
    scale = float(rng.choice([1, 1, 1e-4, 0.02]))
    weights = {k: v * mx.array(scale, v.dtype) if "norm" not in k else v for k, v in weights.items()}
    for key in list(weights):
        if rng.random() < 0.1:  # a type of its own
            weights[key] = weights[key].astype(getattr(mx, str(rng.choice(DTYPES))))
        if rng.random() < 0.1 and weights[key].ndim == 2:  # groups without a range
            weights[key][:, :32] = float(rng.choice([0.0, 0.25, -3.0]))
    if family != "phi3":  # what mlx-lm's llama takes away
        weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = mx.ones((head_dim // 2,))
        if config["tie_word_embeddings"]:
            weights["lm_head.weight"] = mx.ones((config["vocab_size"], config["hidden_size"]))
    mx.save_safetensors(str(path), weights, metadata={"format": "pt"})
    index = out / "model.safetensors.index.json"
    if index.exists():
        index.unlink()
    saved = json.loads((out / "config.json").read_text())
    saved.pop("torch_dtype")
    if rng.random() < 0.7:
        saved["torch_dtype" if rng.random() < 0.7 else "dtype"] = str(rng.choice(DTYPES))
    saved |= {"_name_or_path": "somewhere/else", "transformers_version": "4.40.0", "unusual": [1e-7, 1.5e300, 12345678901234567890, -0.0, "é\n\"", {}, []],
              "eos_token_id": 2, "nothing": None, "limit": {"__float__": "Infinity"}, "vision_config": {"a": 1}}
    (out / "config.json").write_text(json.dumps(saved, indent=2))
    if rng.random() < 0.6:
        (out / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 7], "temperature": 0.6}))
    return out


def options(rng):
    """Random options of one conversion."""
    out = {}
    if rng.random() < 0.4:
        out["dtype"] = str(rng.choice(DTYPES))
    if rng.random() < 0.12:
        return out
    out["quantize"] = True
    if rng.random() < 0.3:
        out["quant-predicate"] = str(rng.choice(RECIPES))
        if rng.random() < 0.5:
            out["q-group-size"] = int(rng.choice([32, 64, 128]))
        return out
    mode, bits, group = FORMATS[int(rng.integers(len(FORMATS)))]
    if rng.random() < 0.8 or mode != "affine":
        out |= {"q-mode": mode, "q-bits": bits, "q-group-size": group}
    if rng.random() < 0.4:
        out["rules"] = {"*.v_proj": {"bits": 8, "group_size": 32}, "model.embed_tokens": {"mode": "mxfp8"}, "*o_proj": False,
                        "*layers.0.mlp*": {"group_size": 32, "bits": 3, "mode": "affine"}, "*gate*": True,
                        "lm_head": bool(rng.random() < 0.5)}
    return out
