"""Tiny random models in the form that mlx-lm publishes, and what float32 mlx-lm computes with them.

Everything is seeded: the same call writes the same files.
"""
import contextlib
import copy
import dataclasses
import io
import json
import pathlib
import sys
import types

sys.modules.setdefault("hf_olmo", types.ModuleType("hf_olmo"))  # mlx-lm's olmo imports it, and uses it for nothing

import mlx.core as mx
import mlx_lm.models.olmo
import mlx.nn as nn
import mlx_lm.utils
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.generate import generate_step
from mlx_lm.sample_utils import make_logits_processors, make_sampler

DTYPES = {"bfloat16": mx.bfloat16, "float16": mx.float16, "float32": mx.float32}


def _additive_mask(h, cache=None):
    """mlx-lm's olmo adds its mask to the scores, but what it gets is the word "causal": this is what it means to add."""
    count, offset = h.shape[1], cache.offset if cache is not None else 0
    if count == 1:
        return None
    rows, columns = mx.arange(offset, offset + count)[:, None], mx.arange(offset + count)[None]
    return mx.where(rows >= columns, 0.0, -float("inf"))


mx.disable_compile()  # mlx's compiled code for the CPU crashes in routers that choose among groups of experts
mlx_lm.models.olmo.create_attention_mask = _additive_mask

EMBEDDINGS = ("embed_tokens", "wte", "tok_embeddings", "word_embeddings")
HEADS = ("lm_head", "output", "model.transformer.ff_out")
AROUND_ZERO = ("gemma", "gemma2", "gemma3_text", "gemma3", "nemotron")  # norms whose weights are added to 1


@dataclasses.dataclass
class Spec:
    """What to build. `quant`: {"bits", "group_size", perhaps "mode"} or None; `overrides`: module path -> entry or False.
    `unnamed` modules are quantised by their override, but the config does not say so (mlx-lm then infers it from the
    shapes). `align`: the data of the weights' file starts at this address modulo 8. `index`: write the index that
    mlx-lm writes also for one file."""

    name: str
    config: dict
    dtype: str = "bfloat16"
    quant: dict | None = None
    overrides: dict = dataclasses.field(default_factory=dict)
    unnamed: tuple = ()
    config_quant: dict | None = None  # in place of the "quantization" block
    shards: int = 1
    index: bool = True
    align: int = 1
    seed: int = 0
    head_scale: object = None  # vocab_size factors for the rows of lm_head
    files: dict = dataclasses.field(default_factory=dict)  # further files: name -> JSON value or text


def _weight(rng, name, shape, config):
    """Weights that make every part of the network matter: sharp attention, blocks as strong as the stream, clear logits."""
    leaf = name.rsplit(".", 2)
    noise = rng.standard_normal(shape, dtype=np.float32)
    if name.endswith("norm.weight") or ".norms." in name:
        usual = (config["model_type"] not in AROUND_ZERO) + 0.2 * noise
        if "gemma4" in config["model_type"] and name.endswith("q_norm.weight"):  # as its scores have no other scale
            return usual / np.sqrt(shape[0])
        return usual
    if leaf[-1] == "bias":
        return 0.3 * noise
    if leaf[-1] in ("A_log", "dt_bias", "D"):
        return {"A_log": 0.0, "dt_bias": -0.5, "D": 1.0}[leaf[-1]] + 0.8 * noise
    if leaf[-1] == "sinks":
        return noise
    if leaf[-1] in ("scale", "per_expert_scale", "layer_scalar"):
        return 1 + 0.2 * noise
    if leaf[-1].endswith("_bias"):
        return 0.1 * noise
    if leaf[-2] in EMBEDDINGS:
        return (0.35 if config.get("tie_word_embeddings", config["model_type"] != "phi3") else 0.8) * noise
    gain = {"lm_head": 2.5, "q_proj": 1.5, "k_proj": 1.5, "down_proj": 2.0, "o_proj": 1.8}.get(leaf[-2], 1.2)
    if name.removesuffix(".weight").removeprefix("language_model.") in HEADS:
        gain = 2.5
    if len(shape) == 3 and shape[-1] == 1:  # of a convolution
        return 0.6 * noise
    noise *= gain / np.sqrt(shape[-1])
    if leaf[-2] == "qkv_proj":
        heads, kv = config["num_attention_heads"], config.get("num_key_value_heads") or config["num_attention_heads"]
        noise[: shape[0] * (heads + kv) // (heads + 2 * kv)] *= 1.3
    return noise


@contextlib.contextmanager
def _quiet():
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _shards(count):
    def make(weights):
        names = list(weights)
        step = -(-len(names) // count)
        return [{n: weights[n] for n in names[i : i + step]} for i in range(0, len(names), step)]

    return make


def _set_alignment(path, residue):
    """Writes the file again with a longer "note" in its metadata until the data starts where it should."""
    weights = mx.load(str(path))
    mx.eval(weights)
    for length in range(16):
        note = {"format": "mlx"} | ({"note": "." * length} if length else {})
        mx.save_safetensors(str(path), weights, metadata=note)
        with open(path, "rb") as f:
            if (8 + int.from_bytes(f.read(8), "little")) % 8 == residue:
                return
    raise RuntimeError(f"{path}: cannot start the data at {residue} modulo 8")


def build(spec, folder):
    """Writes the model directory folder/spec.name."""
    out = pathlib.Path(folder) / spec.name
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(spec.seed + 1000)
    config = copy.deepcopy(spec.config)
    model_class, args_class = mlx_lm.utils._get_classes(config)
    with _quiet():
        model = model_class(args_class.from_dict(copy.deepcopy(config)))
    weights = {}
    for name, value in sorted(tree_flatten(model.parameters())):
        array = _weight(rng, name, value.shape, config)
        if name == "lm_head.weight" and spec.head_scale is not None:
            array *= np.asarray(spec.head_scale, np.float32)[:, None]
        weights[name] = mx.array(array).astype(DTYPES[spec.dtype])
    model.update(tree_unflatten(list(weights.items())))
    config["torch_dtype"] = spec.dtype
    if spec.quant:
        with _quiet():
            model, config = mlx_lm.utils.quantize_model(
                model, config, spec.quant["group_size"], spec.quant["bits"], spec.quant.get("mode", "affine"),
                # mlx packs groups of 16 by pairs only
                quant_predicate=lambda path, module: module.weight.shape[-1] % 32 == 0 and spec.overrides.get(path, True),
            )
        block = config["quantization"]
        block.update({path: False for path, entry in spec.overrides.items() if entry is False})
        for path in spec.unnamed:
            del block[path]
        if spec.config_quant is not None:
            config["quantization"] = spec.config_quant
    make_shards = mlx_lm.utils.make_shards
    mlx_lm.utils.make_shards = _shards(spec.shards)
    try:
        mlx_lm.utils.save_model(out, model)
    finally:
        mlx_lm.utils.make_shards = make_shards
    mlx_lm.utils.save_config(config, out / "config.json")
    for number, path in enumerate(sorted(out.glob("model*.safetensors"))):
        _set_alignment(path, (spec.align + 2 * number) % 8)
    if spec.shards == 1 and not spec.index:
        (out / "model.safetensors.index.json").unlink()
    for name, value in spec.files.items():
        text = value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False) + "\n"
        (out / name).write_text(text, encoding="utf-8")
    return out


# ---- the reference ----


def load(path, **config_update):
    """The model as mlx-lm loads it, then all in float32 (scales and biases of quantised modules too). Config and model."""
    with _quiet():
        model, config = mlx_lm.utils.load_model(pathlib.Path(path), model_config=config_update or None)
    model.set_dtype(mx.float32)
    model.eval()
    mx.eval(model.parameters())
    for name, value in tree_flatten(model.parameters()):
        assert value.dtype in (mx.float32, mx.uint32) or (name.endswith(".scales") and value.dtype == mx.uint8), (name, value.dtype)
    _embed_in_float32(model)
    return model, config


def _embed_in_float32(model):
    """Where scales are bytes, mlx dequantises to bfloat16. The weights are exact in it, but what follows would stay in it."""
    for _, module in model.named_modules():
        if isinstance(module, nn.QuantizedEmbedding) and module.mode != "affine":
            module.__class__ = type("Float32Embedding", (nn.QuantizedEmbedding,), {
                "__call__": lambda self, x: nn.QuantizedEmbedding.__call__(self, x).astype(mx.float32)})


def with_short_factors(path):
    """A longrope model whose long factors are the short ones: mlx-lm never uses the short ones otherwise."""
    config = json.loads((pathlib.Path(path) / "config.json").read_text())
    scaling = dict(config["rope_scaling"])
    scaling["long_factor"] = scaling["short_factor"]
    if "short_mscale" in scaling:
        scaling["long_mscale"] = scaling["short_mscale"]
    return load(path, rope_scaling=scaling)[0]


def logits(model, ids):
    """(len(ids), vocab) float32: row i follows ids[i]."""
    return np.array(model(mx.array(ids)[None])[0])


def _gap(row):
    top = np.partition(row, -2)[-2:]
    return round(float(top[1] - top[0]), 5)


def greedy(model, ids, count, end=()):
    """Tokens, the gap between the two highest logits at each, and why it ended. A gap is also given for the end token."""
    tokens, gaps = [], []
    for token, logprobs in generate_step(mx.array(ids), model, max_tokens=count):
        gaps.append(_gap(np.array(logprobs)))
        if token in end:
            return {"tokens": tokens, "gaps": gaps, "finish_reason": "stop"}
        tokens.append(token)
    return {"tokens": tokens, "gaps": gaps, "finish_reason": "length"}


def greedy_switched(short, long, switch, ids, count):
    """As the paper has it: a sequence longer than `switch` is computed whole with the long factors."""
    ids, tokens, gaps = list(ids), [], []
    for _ in range(count):
        row = logits(long if len(ids) > switch else short, ids)[-1]
        gaps.append(_gap(row))
        tokens.append(int(row.argmax()))
        ids.append(tokens[-1])
    return {"tokens": tokens, "gaps": gaps, "finish_reason": "length"}


def sample(model, ids, count, seed, end=(), **options):
    """Seeded sampling with mlx-lm's own functions. Options have the names of whisperengine.h."""
    mx.random.seed(seed)
    sampler = make_sampler(
        options.get("temperature", 0.0), options.get("top_p", 0.0), options.get("min_p", 0.0),
        options.get("min_tokens_to_keep", 1), options.get("top_k", 0), options.get("xtc_probability", 0.0),
        options.get("xtc_threshold", 0.1), list(options.get("spared", end)),
    )
    context = options.get("repetition_context", 20)
    processors = make_logits_processors(
        {int(k): v for k, v in options["logit_bias"].items()} if "logit_bias" in options else None,
        options.get("repetition_penalty"), context, options.get("presence_penalty"), context,
        options.get("frequency_penalty"), context,
    )
    tokens, reason = [], "length"
    for token, _ in generate_step(mx.array(ids), model, max_tokens=count, sampler=sampler, logits_processors=processors):
        if token in end:
            reason = "stop"
            break
        tokens.append(token)
    settings = {k: v for k, v in options.items() if k != "spared"}
    return {"seed": seed, **settings, "max_tokens": count, "tokens": tokens, "finish_reason": reason}


def end_tokens(config):
    end = config.get("eos_token_id")
    return () if end is None else tuple(end) if isinstance(end, list) else (end,)
