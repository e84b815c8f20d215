"""A random config of each family, with the keys that tell it from others: what make_random_models.py and conformance.py build.

Each function takes a random generator and the unit that the widths of quantised matrices must be multiples of. Families whose
attention has its own head_dim get one that differs from hidden_size / num_attention_heads.
"""
import numpy as np


def pick(rng, *choices):
    value = choices[int(rng.integers(len(choices)))]
    return value


def chance(rng, probability=0.5):
    return bool(rng.random() < probability)


MOST = {"layers": 3, "vocab": 300, "units": 3, "experts": 12, "head_dim": 64, "kv": 3, "repeat": 4}  # make_family_models.py asks for less


def sizes(rng, unit, own_head_dim=False):
    """Sizes that all families have. Without a head_dim of its own, hidden_size is a multiple of the heads."""
    most = MOST["units"]
    kv, repeat = int(rng.integers(1, MOST["kv"] + 1)), int(rng.integers(1, MOST["repeat"] + 1))
    config = {"num_hidden_layers": int(rng.integers(1, MOST["layers"] + 1)), "vocab_size": int(rng.integers(30, MOST["vocab"])),
              "intermediate_size": unit * int(rng.integers(1, most + 1)),
              "max_position_embeddings": int(rng.integers(300, 1000))}
    if own_head_dim:
        heads, hidden = kv * repeat, unit * int(rng.integers(1, most + 1))
        config["head_dim"] = int(pick(rng, *(n for n in (8, 12, 16, 32, 64) if n <= MOST["head_dim"])))
    else:
        hidden = unit * int(rng.integers(max(1, 32 // unit), most + 1 if unit >= 32 else 3 * most))
        fitting = [(k, r) for k in (1, 2, 3, 4) for r in (1, 2, 3, 4)
                   if hidden % (k * r) == 0 and hidden // (k * r) % 4 == 0 and hidden // (k * r) >= 8]
        kv, repeat = pick(rng, *fitting)
        heads = kv * repeat
    config |= {"hidden_size": hidden, "num_attention_heads": heads, "num_key_value_heads": kv}
    return config


def head_dim(config):
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def theta(rng):
    return float(pick(rng, 10000.0, 500000.0, 1000000.0))


def scaling(rng, config, kinds=("linear", "llama3", "yarn", "dynamic", "longrope"), key="rope_type", values=None):
    """A random scaling of rope, or None."""
    kind = pick(rng, None, *kinds)
    factor, original = round(float(rng.uniform(1.5, 9)), 3), int(rng.integers(8, 200))
    half = (values or head_dim(config)) // 2
    if kind is None:
        return None
    block = {key: kind, "factor": factor}
    if kind == "llama3":
        low = round(float(rng.uniform(0.5, 2)), 2)
        block |= {"low_freq_factor": low, "high_freq_factor": round(low + float(rng.uniform(0.5, 6)), 2),
                  "original_max_position_embeddings": original}
    elif kind == "yarn":
        block |= {"original_max_position_embeddings": original}
        if chance(rng):
            block |= {"mscale": round(float(rng.uniform(0.5, 1.5)), 3), "mscale_all_dim": round(float(rng.uniform(0.5, 1.5)), 3)}
    elif kind in ("longrope", "su"):
        short, long = (np.round(rng.uniform(1, top, half), 4).tolist() for top in (2, 12))
        block = {key: kind, "short_factor": short, "long_factor": long, "original_max_position_embeddings": original}
    return block


def usual(rng, unit, own_head_dim=False, kinds=("linear", "llama3", "yarn", "dynamic", "longrope")):
    config = sizes(rng, unit, own_head_dim) | {"rms_norm_eps": float(pick(rng, 1e-5, 1e-6)), "rope_theta": theta(rng)}
    if kinds:
        config["rope_scaling"] = scaling(rng, config, kinds)
    return config


def tie(rng):
    return {"tie_word_embeddings": chance(rng)}


def layer_types(rng, config):
    """Both types, so that mlx-lm finds one of each."""
    count = config["num_hidden_layers"] = max(2, config["num_hidden_layers"])
    types = [pick(rng, "full_attention", "sliding_attention") for _ in range(count)]
    where = rng.permutation(count)
    types[where[0]], types[where[1]] = "full_attention", "sliding_attention"
    return types


def window(rng):
    return int(rng.integers(1, 140))


# ---- the families ----


def llama(rng, unit):
    config = usual(rng, unit, True) | {"attention_bias": chance(rng), "mlp_bias": chance(rng)}
    if chance(rng):
        config |= tie(rng)
    if chance(rng):
        config |= {"layer_types": layer_types(rng, config), "sliding_window": window(rng)}
    if (config["rope_scaling"] or {}).get("rope_type") != "longrope":
        config["rope_traditional"] = chance(rng, 0.3)
    return config


def smollm3(rng, unit):
    config = usual(rng, unit, True) | tie(rng)
    if chance(rng):
        config["no_rope_layers"] = [int(chance(rng)) for _ in range(config["num_hidden_layers"])]
    else:
        config["no_rope_layer_interval"] = int(rng.integers(1, 4))
    return config


def phi3(rng, unit):
    config = usual(rng, unit, kinds=()) | tie(rng)
    rotary = head_dim(config)
    if chance(rng, 0.4):
        rotary = 2 * int(rng.integers(1, rotary // 2 + 1))
        config["partial_rotary_factor"] = rotary / head_dim(config)
    block = scaling(rng, config, ("linear", "longrope", "su"), "type", rotary)
    if block and "short_factor" in block:
        config["original_max_position_embeddings"] = block.pop("original_max_position_embeddings")
    elif block:
        block["long_factor"] = [1.0]
        config["rope_traditional"] = chance(rng, 0.3)
    return config | {"rope_scaling": block}


def qwen2(rng, unit):
    config = usual(rng, unit)
    return config | (tie(rng) if chance(rng, 0.7) else {})


def qwen3(rng, unit):
    return usual(rng, unit, True) | tie(rng)


def mimo(rng, unit):
    return usual(rng, unit) | tie(rng)


def gemma(rng, unit):
    return usual(rng, unit, True, kinds=())


def gemma2(rng, unit):
    config = usual(rng, unit, True, kinds=()) | {"query_pre_attn_scalar": float(rng.integers(8, 200))}
    if chance(rng):
        config |= {"attn_logit_softcapping": float(rng.integers(2, 60)), "final_logit_softcapping": float(rng.integers(5, 40))}
    return config


def gemma3_text(rng, unit):
    config = usual(rng, unit, True, ("linear", "yarn")) | {
        "query_pre_attn_scalar": float(rng.integers(8, 200)), "sliding_window": window(rng),
        "sliding_window_pattern": int(rng.integers(2, 4)), "rope_local_base_freq": theta(rng)}
    config["num_hidden_layers"] = max(config["num_hidden_layers"], config["sliding_window_pattern"])
    return config


def gemma3(rng, unit):
    text = gemma3_text(rng, unit) | {"model_type": "gemma3_text"}
    return {"text_config": text, "vocab_size": text.pop("vocab_size")}


def multipliers(rng):
    return {
        "logits_scaling": round(float(rng.uniform(1, 9)), 3), "attention_multiplier": round(float(rng.uniform(0.05, 0.5)), 4),
        "embedding_multiplier": round(float(rng.uniform(1, 12)), 3), "residual_multiplier": round(float(rng.uniform(0.2, 1)), 3)}


def gemma4_text(rng, unit):
    c = usual(rng, unit, True, kinds=())
    c.pop("rope_theta")
    c["hidden_size"] *= 1 + 31 // unit  # of fewer values, norms magnify rounding until it looks like a difference
    c["head_dim"] = int(pick(rng, *(n for n in (8, 12, 16, 32) if n <= MOST["head_dim"])))
    layers = c["num_hidden_layers"] = int(rng.integers(3, 4 + MOST["layers"]))
    types = [pick(rng, "full_attention", "sliding_attention") for _ in range(layers)]
    shared = int(rng.integers(0, layers - 1))
    own = layers - shared
    types[int(rng.integers(own))] = "full_attention"
    if own > 1:
        types[own - 1 if types[own - 1] != "full_attention" or types.count("full_attention") > 1 else 0] = "sliding_attention"
    types = [t if t in types[:own] else types[0] for t in types]
    c |= {"num_kv_shared_layers": shared, "sliding_window": window(rng), "layer_types": types,
          "global_head_dim": 2 * c["head_dim"] if chance(rng) else None, "use_double_wide_mlp": chance(rng),
          "attention_k_eq_v": chance(rng), "final_logit_softcapping": pick(rng, None, float(rng.integers(5, 40))),
          "hidden_size_per_layer_input": unit if chance(rng, 0.7) else 0, "vocab_size_per_layer_input": c["vocab_size"] + 2,
          "tie_word_embeddings": chance(rng)}
    if chance(rng):
        c["num_global_key_value_heads"] = int(pick(rng, 1, c["num_attention_heads"]))
    if chance(rng, 0.7):
        c["rope_parameters"] = {
            "full_attention": {"rope_type": "proportional", "rope_theta": theta(rng), "partial_rotary_factor": float(pick(rng, 0.25, 0.3, 0.5, 1.0))},
            "sliding_attention": {"rope_type": "default", "rope_theta": theta(rng)}}
    if chance(rng, 0.4):
        c |= experts(rng, chosen="top_k_experts") | {"enable_moe_block": True, "moe_intermediate_size": few(rng, unit)}
    return c


def gemma4(rng, unit):
    text = gemma4_text(rng, unit) | {"model_type": "gemma4_text"}
    return {"text_config": text, "vocab_size": text["vocab_size"]}


def granite(rng, unit):
    return usual(rng, unit) | tie(rng) | multipliers(rng) | {"attention_bias": chance(rng), "mlp_bias": chance(rng)}


def minicpm(rng, unit):
    config = usual(rng, unit)
    return config | {"dim_model_base": int(rng.integers(8, 64)), "scale_depth": round(float(rng.uniform(0.5, 2)), 3),
                     "scale_emb": round(float(rng.uniform(1, 12)), 2), "tie_word_embeddings": False}


def olmo(rng, unit):
    c = sizes(rng, unit)
    return {"d_model": c["hidden_size"], "n_layers": c["num_hidden_layers"], "mlp_hidden_size": 2 * c["intermediate_size"],
            "n_heads": c["num_attention_heads"], "vocab_size": c["vocab_size"], "embedding_size": c["vocab_size"] + 3,
            "rope_theta": theta(rng), "rope_traditional": chance(rng, 0.3), "max_sequence_length": 600, "weight_tying": False}


def olmo2(rng, unit):
    return usual(rng, unit, chance(rng)) | {"attention_bias": chance(rng), "mlp_bias": chance(rng)} | tie(rng)


def olmo3(rng, unit):
    config = usual(rng, unit, chance(rng)) | {"attention_bias": chance(rng), "sliding_window": window(rng)} | tie(rng)
    if chance(rng):
        config["layer_types"] = layer_types(rng, config)
    else:
        config["num_hidden_layers"] = 4
    return config


def exaone4(rng, unit):
    config = usual(rng, unit, True) | tie(rng) | {"sliding_window": None, "sliding_window_pattern": None}
    config["rope_scaling"] = config["rope_scaling"] or {"rope_type": "default"}
    if chance(rng, 0.7):
        config |= {"sliding_window": window(rng), "sliding_window_pattern": pick(rng, "LG", "LLG", "GL")}
        config["num_hidden_layers"] = max(config["num_hidden_layers"], len(config["sliding_window_pattern"]))
    return config


def cohere(rng, unit):
    config = usual(rng, unit, kinds=())
    return config | {"layer_norm_eps": config.pop("rms_norm_eps"), "logit_scale": round(float(rng.uniform(0.05, 1)), 4),
                     "attention_bias": chance(rng), "layer_norm_bias": chance(rng), "use_qk_norm": chance(rng)}


def cohere2(rng, unit):
    config = usual(rng, unit, kinds=())
    config["head_dim"] = head_dim(config)
    pattern = int(rng.integers(2, 4))
    config["num_hidden_layers"] = max(config["num_hidden_layers"], pattern)
    return config | {"layer_norm_eps": config.pop("rms_norm_eps"), "logit_scale": round(float(rng.uniform(0.05, 1)), 4),
                     "attention_bias": chance(rng), "layer_norm_bias": chance(rng), "sliding_window": window(rng),
                     "sliding_window_pattern": pattern}


def partial(rng, config):
    dim = head_dim(config)
    return 2 * int(rng.integers(1, dim // 2 + 1)) / dim


def glm4(rng, unit):
    config = usual(rng, unit, True, kinds=()) | {"attention_bias": chance(rng)}
    return config | {"partial_rotary_factor": partial(rng, config)}


def seed_oss(rng, unit):
    untied = {"tie_word_embeddings": False}  # mlx-lm's tied head reads quantised embeddings as numbers
    return usual(rng, unit, True) | untied | {"attention_bias": chance(rng), "attention_out_bias": chance(rng),
                                              "mlp_bias": chance(rng)}


def ernie4_5(rng, unit):
    config = usual(rng, unit, chance(rng), kinds=()) | tie(rng) | {"use_bias": chance(rng)}
    return {"head_dim": None} | config


def hunyuan_v1_dense(rng, unit):
    config = usual(rng, unit, chance(rng), kinds=()) | tie(rng) | {"attention_bias": chance(rng), "use_qk_norm": chance(rng, 0.8)}
    if chance(rng):
        config["rope_scaling"] = {"type": "dynamic", "factor": 1.0, "alpha": round(float(rng.uniform(1, 1000)), 2)}
    return config


def starcoder2(rng, unit):
    config = usual(rng, unit, kinds=()) | tie(rng)
    return config | {"norm_epsilon": config.pop("rms_norm_eps")}


def stablelm(rng, unit):
    config = usual(rng, unit, kinds=()) | {"use_qkv_bias": chance(rng), "use_parallel_residual": chance(rng),
                                           "qk_layernorm": chance(rng)}
    return config | {"layer_norm_eps": config.pop("rms_norm_eps"), "partial_rotary_factor": partial(rng, config)}


def nemotron(rng, unit):
    config = usual(rng, unit, chance(rng), kinds=()) | tie(rng) | {"attention_bias": chance(rng), "mlp_bias": chance(rng),
                                                                   "hidden_act": "relu2"}
    if chance(rng):
        config["rope_scaling"] = {"type": "linear", "factor": round(float(rng.uniform(1.5, 8)), 2)}
    return config | {"norm_eps": config.pop("rms_norm_eps"), "partial_rotary_factor": partial(rng, config)}


def internlm2(rng, unit):
    config = usual(rng, unit, kinds=()) | tie(rng) | {"bias": chance(rng)}
    return config | {"rope_scaling": scaling(rng, config, ("linear", "dynamic"), "type")}


def internlm3(rng, unit):
    config = usual(rng, unit, kinds=()) | tie(rng) | {"bias": chance(rng), "qkv_bias": chance(rng)}
    return config | {"rope_scaling": scaling(rng, config, ("linear", "dynamic"))}


def helium(rng, unit):
    config = usual(rng, unit, kinds=()) | tie(rng) | {"attention_bias": chance(rng), "mlp_bias": chance(rng)}
    return config | {"head_dim": head_dim(config)}


def phi(rng, unit):
    config = usual(rng, unit, kinds=())
    return config | {"layer_norm_eps": config.pop("rms_norm_eps"), "partial_rotary_factor": partial(rng, config)}


def ministral3(rng, unit):
    config = usual(rng, unit, chance(rng), kinds=()) | tie(rng)
    block = scaling(rng, config, ("yarn",)) or {"rope_type": "default"}
    block |= {"rope_theta": config.pop("rope_theta"), "original_max_position_embeddings": int(rng.integers(8, 100)),
              "llama_4_scaling_beta": round(float(rng.uniform(0.05, 0.5)), 3)}
    if chance(rng):
        config |= {"layer_types": layer_types(rng, config), "sliding_window": window(rng)}
    return config | {"rope_parameters": block}


def mistral3(rng, unit):
    kind = pick(rng, "ministral3", "mistral")
    text = (ministral3 if kind == "ministral3" else llama)(rng, unit) | {"model_type": kind}
    if chance(rng):
        text.pop("tie_word_embeddings", None)
    return {"text_config": text, "vocab_size": text["vocab_size"]}


# ---- mixtures of experts ----


def experts(rng, key="num_experts", chosen="num_experts_per_tok"):
    count = int(rng.integers(2, MOST["experts"] + 1))
    return {key: count, chosen: int(rng.integers(1, min(count, 5) + 1))}


def few(rng, unit):
    """Widths of experts."""
    return unit * int(rng.integers(1, min(MOST["units"], 2) + 1))


def mixtral(rng, unit):
    config = usual(rng, unit, kinds=()) | tie(rng)
    return config | experts(rng, "num_local_experts") | {"rope_traditional": chance(rng, 0.3)}


def qwen2_moe(rng, unit):
    return usual(rng, unit, kinds=()) | experts(rng) | {
        "moe_intermediate_size": few(rng, unit), "shared_expert_intermediate_size": few(rng, unit)}


def qwen3_moe(rng, unit):
    config = usual(rng, unit, True, kinds=()) | tie(rng) | experts(rng)
    return config | {"moe_intermediate_size": few(rng, unit), "norm_topk_prob": chance(rng),
                     "decoder_sparse_step": int(pick(rng, 1, 1, 2)), "mlp_only_layers": pick(rng, [], [], [0])}


def phimoe(rng, unit):
    config = usual(rng, unit, kinds=()) | experts(rng, "num_local_experts") | {
        "router_jitter_noise": round(float(rng.uniform(0.01, 0.3)), 3)}
    block = scaling(rng, config, ("longrope",), "type")
    if block:
        config["original_max_position_embeddings"] = block.pop("original_max_position_embeddings")
        block |= {"short_mscale": round(float(rng.uniform(1, 1.4)), 3), "long_mscale": round(float(rng.uniform(1, 1.4)), 3)}
    return config | {"rope_scaling": block}


def gpt_oss(rng, unit):
    config = usual(rng, unit, True, ("yarn",)) | experts(rng, "num_local_experts") | {"sliding_window": window(rng)}
    if chance(rng):
        return config | {"layer_types": layer_types(rng, config)}
    return config | {"num_hidden_layers": 2}


def olmoe(rng, unit):
    return usual(rng, unit, chance(rng)) | tie(rng) | experts(rng) | {
        "norm_topk_prob": chance(rng), "attention_bias": chance(rng), "mlp_bias": chance(rng)}


def granitemoe(rng, unit):
    config = granite(rng, unit) | experts(rng, "num_local_experts")
    config.pop("mlp_bias")
    return config


def grouped(rng):
    """Experts in groups of at least two."""
    groups, size = int(rng.integers(1, 4)), int(rng.integers(2, 2 + MOST["experts"] // 4))
    taken = int(rng.integers(1, max(2, groups)))  # where no group of several is left out, mlx's answers vary from run to run
    return {"n_routed_experts": groups * size, "n_group": groups, "topk_group": taken,
            "num_experts_per_tok": int(rng.integers(1, taken * size + 1))}


def corrected(rng, unit):
    return grouped(rng) | {"moe_intermediate_size": few(rng, unit), "norm_topk_prob": chance(rng), "n_shared_experts": 1,
                           "routed_scaling_factor": round(float(rng.uniform(0.5, 3)), 2),
                           "first_k_dense_replace": int(rng.integers(0, 2))}


def glm4_moe(rng, unit):
    config = usual(rng, unit, True, kinds=()) | corrected(rng, unit) | {
        "attention_bias": chance(rng), "use_qk_norm": chance(rng), "rope_scaling": None, "tie_word_embeddings": False}
    config["n_shared_experts"] = pick(rng, None, 1, 2)
    return config | {"partial_rotary_factor": partial(rng, config)}


def dots1(rng, unit):
    return usual(rng, unit, chance(rng)) | corrected(rng, unit) | tie(rng) | {"mlp_bias": chance(rng)}


def ernie4_5_moe(rng, unit):
    config = ernie4_5(rng, unit) | experts(rng, "moe_num_experts", "moe_k") | {
        "moe_num_shared_experts": int(rng.integers(0, 3)), "moe_layer_interval": int(pick(rng, 1, 1, 2)),
        "moe_layer_start_index": pick(rng, 0, 1, [0, 1]), "moe_gate_act": pick(rng, "softmax", "sigmoid")}
    if chance(rng):
        config["moe_intermediate_size"] = few(rng, unit)
    if chance(rng):
        config["moe_layer_end_index"] = pick(rng, 1, [1, 0], 2)
    return config


def bailing_moe(rng, unit):
    config = usual(rng, unit, kinds=("linear", "yarn")) | tie(rng) | corrected(rng, unit)
    config["num_experts"] = config.pop("n_routed_experts")
    config["num_shared_experts"] = pick(rng, 0, 1, 2)
    config.pop("n_shared_experts")
    config |= {"use_bias": chance(rng), "use_qkv_bias": chance(rng), "use_qk_norm": chance(rng),
               "moe_router_enable_expert_bias": chance(rng), "score_function": pick(rng, "softmax", "sigmoid")}
    if chance(rng):
        config["moe_shared_expert_intermediate_size"] = few(rng, unit)
    if chance(rng):
        config["moe_router_enable_shared_expert"] = chance(rng)
    if config["rope_scaling"] is None:
        config["partial_rotary_factor"] = partial(rng, config)
    return config


def minimax(rng, unit):
    config = usual(rng, unit, True, kinds=()) | tie(rng) | experts(rng, "num_local_experts")
    return config | {"shared_intermediate_size": 0, "rotary_dim": 2 * int(rng.integers(1, head_dim(config) // 2 + 1)),
                     "use_qk_norm": chance(rng, 0.8)}


# ---- latent attention ----


def latent(rng, unit):
    """Widths of heads: what embed_q and unembed_out read must be whole groups."""
    config = sizes(rng, unit)
    most = MOST["units"]
    config |= {"num_attention_heads": int(rng.integers(1, 2 * most + 1)), "qk_nope_head_dim": unit * int(rng.integers(1, 3)),
               "kv_lora_rank": unit * int(rng.integers(1, most + 1)), "qk_rope_head_dim": int(pick(rng, 2, 6, 8, 16)),
               "v_head_dim": unit // pick(rng, 1, 2) if unit >= 32 else int(rng.integers(1, 24)),
               "q_lora_rank": pick(rng, None, unit * int(rng.integers(1, most + 2))), "rms_norm_eps": float(pick(rng, 1e-5, 1e-6)),
               "rope_theta": theta(rng), "rope_scaling": None, "attention_bias": chance(rng)}
    while config["v_head_dim"] * config["num_attention_heads"] % unit:  # what o_proj reads
        config["num_attention_heads"] += 1
    config["num_key_value_heads"] = config["num_attention_heads"]
    return config


def deepseek_v3(rng, unit):
    config = latent(rng, unit) | corrected(rng, unit) | {"n_shared_experts": pick(rng, None, 1, 2)}
    if chance(rng, 0.15):
        config["n_routed_experts"] = None
    config["rope_scaling"] = scaling(rng, config, ("yarn",), pick(rng, "type", "rope_type"), config["qk_rope_head_dim"])
    return config | {"moe_layer_freq": pick(rng, 1, 1, 2), "topk_method": "noaux_tc"}


def deepseek_v2(rng, unit):
    config = latent(rng, unit) | corrected(rng, unit) | {"n_shared_experts": pick(rng, None, 1, 2)}
    if chance(rng, 0.7):
        config["topk_method"] = pick(rng, "greedy", "group_limited_greedy", "group_limited_greedy")
    if chance(rng, 0.15):
        config["n_routed_experts"] = None
    block = None
    while block is None:
        block = scaling(rng, config, ("yarn",), pick(rng, "type", "rope_type"), config["qk_rope_head_dim"])
    return config | {"moe_layer_freq": pick(rng, 1, 1, 2), "rope_scaling": block}


def glm4_moe_lite(rng, unit):
    return latent(rng, unit) | corrected(rng, unit) | {"n_shared_experts": pick(rng, None, 1, 2)}


def kimi_k25(rng, unit):
    text = deepseek_v3(rng, unit) | {"model_type": "kimi_k2"}
    return {"text_config": text, "vocab_size": text["vocab_size"]}


# ---- short convolutions ----


def mixers(rng, config):
    """Which layers have attention: some, and some not."""
    config["num_hidden_layers"] = max(2, config["num_hidden_layers"])
    types = [pick(rng, "full_attention", "conv") for _ in range(config["num_hidden_layers"])]
    where = rng.permutation(len(types))
    types[where[0]], types[where[1]] = "full_attention", "conv"
    return types


def lfm2_common(rng, unit):
    config = usual(rng, unit, kinds=())
    config |= {"norm_eps": config.pop("rms_norm_eps"), "conv_bias": chance(rng, 0.3), "conv_L_cache": int(rng.integers(2, 5))}
    types = mixers(rng, config)
    if chance(rng):
        return config | {"layer_types": types}
    return config | {"full_attn_idxs": [i for i, kind in enumerate(types) if kind != "conv"], "layer_types": types}


def lfm2(rng, unit):
    config = lfm2_common(rng, unit)
    config |= {"block_dim": config["hidden_size"], "block_multiple_of": unit, "block_ffn_dim_multiplier": 1.0,
               "block_auto_adjust_ff_dim": chance(rng)}
    if chance(rng):
        config["block_ff_dim"] = unit * int(rng.integers(1, 5))
    return config


def lfm2_moe(rng, unit):
    return lfm2_common(rng, unit) | experts(rng) | {
        "moe_intermediate_size": few(rng, unit), "norm_topk_prob": chance(rng), "use_expert_bias": chance(rng),
        "num_dense_layers": int(rng.integers(0, 2)), "routed_scaling_factor": round(float(rng.uniform(0.5, 2)), 2)}


# ---- mixers with a state ----


def delta(rng, unit, config):
    """Sizes of gated delta: all heads' values together are a multiple of the unit."""
    keys = int(rng.integers(1, MOST["kv"] + 1))
    heads = keys * int(rng.integers(1, MOST["repeat"] + 1))
    values = int(pick(rng, *(n for n in (4, 8, 12, 16, 20, 24, 32, 40, 48, 64) if n <= MOST["head_dim"])))
    while heads * values % unit:
        values += 4
    count = config["num_hidden_layers"] = int(rng.integers(2, MOST["layers"] + 2))
    config["hidden_size"] += (32 - config["hidden_size"]) * (config["hidden_size"] < 32)  # of fewer values, too
    return {"linear_num_value_heads": heads, "linear_num_key_heads": keys,
            "linear_key_head_dim": int(pick(rng, 16, 20, 32, 36, 64)),  # with fewer, rounding grows until it looks like a difference
            "linear_value_head_dim": values, "linear_conv_kernel_dim": int(rng.integers(2, 6)),
            "full_attention_interval": int(rng.integers(2, min(4, count) + 1))}


def rotary_share(rng, config):
    return float(pick(rng, *(share for share in (0.25, 0.5, 1.0) if int(head_dim(config) * share) % 2 == 0)))


def qwen3_next(rng, unit):
    config = usual(rng, unit, True, kinds=()) | tie(rng) | experts(rng)
    config |= delta(rng, unit, config)
    config |= {"partial_rotary_factor": rotary_share(rng, config), "attention_bias": chance(rng, 0.3), "norm_topk_prob": chance(rng),
               "decoder_sparse_step": int(rng.integers(1, 3)), "moe_intermediate_size": few(rng, unit),
               "shared_expert_intermediate_size": few(rng, unit),
               "mlp_only_layers": [i for i in range(config["num_hidden_layers"]) if chance(rng, 0.2)]}
    config["rope_scaling"] = scaling(rng, config, ("linear", "llama3", "yarn"),
                                     values=int(config["head_dim"] * config["partial_rotary_factor"]))
    return config


def qwen3_5_text(rng, unit):
    config = usual(rng, unit, True, kinds=()) | tie(rng) | {"attention_bias": chance(rng, 0.3)}
    config |= delta(rng, unit, config)
    base = config.pop("rope_theta")
    if chance(rng, 0.8):
        config["rope_parameters"] = {"rope_type": "default", "mrope_section": [1, 1, 0], "rope_theta": base,
                                     "partial_rotary_factor": rotary_share(rng, config)}
    elif chance(rng, 0.3):
        config |= {"rope_parameters": pick(rng, None, {}), "partial_rotary_factor": rotary_share(rng, config), "rope_theta": base}
    else:
        config["head_dim"] = 16  # of which a quarter turns
    if chance(rng, 0.3) and config.get("rope_parameters", True):
        config["rope_theta"] = theta(rng)  # which does not count
    return config


def nested(config, model_type):
    """Under text_config, as models of several kinds of input have it."""
    return {"text_config": config | {"model_type": model_type}} | {k: config[k] for k in ("tie_word_embeddings", "vocab_size")}


def qwen3_5(rng, unit):
    config = qwen3_5_text(rng, unit)
    return nested(config, "qwen3_5_text") if chance(rng, 0.7) else config


def qwen3_5_moe(rng, unit):
    config = qwen3_5_text(rng, unit) | experts(rng)
    config |= {"moe_intermediate_size": few(rng, unit), "shared_expert_intermediate_size": few(rng, unit)}
    if chance(rng):
        config["norm_topk_prob"] = chance(rng)
    return nested(config, "qwen3_5_moe_text") if chance(rng, 0.7) else config


def mamba(rng, unit):
    """Heads, values, groups, state and positions of Mamba 2."""
    groups = int(rng.integers(1, MOST["kv"] + 1))
    heads = groups * int(rng.integers(1, MOST["repeat"] + 1))
    values = int(pick(rng, *(n for n in (4, 8, 12, 16, 20, 24, 32, 40, 48, 64) if n <= MOST["head_dim"])))
    while heads * values % unit:
        values += 4
    return heads, values, groups, 4 * int(rng.integers(1, 9)), int(rng.integers(2, 6))


def nemotron_h(rng, unit):
    config = sizes(rng, unit, True)
    heads, values, groups, state, taps = mamba(rng, unit)
    kinds = ["M", "*"] + [pick(rng, "M", "*", "-", "E") for _ in range(int(rng.integers(1, MOST["layers"] + 3)))]
    kinds = [str(kinds[i]) for i in rng.permutation(len(kinds))]
    names = {"M": ("mamba", "linear_attention"), "*": ("attention", "full_attention"), "-": ("mlp",), "E": ("moe",)}
    del config["num_hidden_layers"]
    config |= [{"hybrid_override_pattern": "".join(kinds), "num_hidden_layers": len(kinds)},
               {"hybrid_override_pattern": kinds}, {"layers_block_type": [str(pick(rng, *names[k])) for k in kinds]},
               ][int(rng.integers(3))]
    config |= {"mamba_num_heads": heads, "mamba_head_dim": values, "n_groups": groups, "ssm_state_size": state,
               "conv_kernel": taps, "mamba_proj_bias": chance(rng, 0.3), "mlp_bias": chance(rng, 0.3),
               "attention_bias": chance(rng, 0.3), "use_bias": chance(rng), "use_conv_bias": chance(rng),
               "layer_norm_epsilon": 1e-5, "moe_intermediate_size": few(rng, unit), "norm_topk_prob": chance(rng),
               "moe_shared_expert_intermediate_size": few(rng, unit),
               "routed_scaling_factor": round(float(rng.uniform(0.5, 2.5)), 2)}
    config |= grouped(rng)
    if chance(rng):
        config["n_shared_experts"] = 1
    if chance(rng, 0.4):
        config["moe_latent_size"] = few(rng, unit)
    if chance(rng):
        config["time_step_limit"] = [round(float(rng.uniform(0, 0.2)), 3), float(pick(rng, 0.7, 2.0, 100.0))]
    return config


def granitemoehybrid(rng, unit):
    config = usual(rng, unit, kinds=()) | tie(rng)
    heads, values, groups, state, taps = mamba(rng, unit)
    count = config["num_hidden_layers"] = int(rng.integers(2, MOST["layers"] + 3))
    types = [str(pick(rng, "mamba", "mamba", "attention")) for _ in range(count)]
    types[int(rng.integers(count))] = "mamba"
    config |= {"layer_types": types, "mamba_n_heads": heads, "mamba_d_head": values, "mamba_n_groups": groups,
               "mamba_d_state": state, "mamba_d_conv": taps, "mamba_proj_bias": chance(rng, 0.3),
               "mamba_conv_bias": chance(rng), "attention_bias": chance(rng, 0.3), "mlp_bias": chance(rng, 0.3),
               "position_embedding_type": str(pick(rng, "rope", "nope"))} | multipliers(rng)
    if chance(rng, 0.6):
        config |= {"num_local_experts": experts(rng)["num_experts"], "shared_intermediate_size": few(rng, unit)}
        config["num_experts_per_tok"] = int(rng.integers(1, config["num_local_experts"] + 1))
    if chance(rng, 0.3):
        config["rope_parameters"] = {"rope_theta": theta(rng)}
    if chance(rng, 0.3):
        config["time_step_limit"] = [round(float(rng.uniform(0, 0.2)), 3), float(pick(rng, 0.7, 2.0))]
    return config


FAMILIES = {f.__name__: f for f in (
    llama, smollm3, phi3, qwen2, qwen3, mimo, gemma, gemma2, gemma3_text, gemma3, gemma4_text, gemma4, granite, minicpm, olmo, olmo2, olmo3, exaone4,
    cohere, cohere2, glm4, seed_oss, ernie4_5, hunyuan_v1_dense, starcoder2, stablelm, nemotron, internlm2, internlm3, helium,
    phi, ministral3, mistral3, mixtral, qwen2_moe, qwen3_moe, phimoe, gpt_oss, olmoe, granitemoe, glm4_moe, dots1, ernie4_5_moe,
    bailing_moe, minimax, lfm2, lfm2_moe, qwen3_next, qwen3_5, qwen3_5_moe,
    deepseek_v2, deepseek_v3, glm4_moe_lite, kimi_k25, nemotron_h, granitemoehybrid)} | {"mistral": llama}


def config(name, rng, unit):
    return {"model_type": name} | FAMILIES[name](rng, unit)
