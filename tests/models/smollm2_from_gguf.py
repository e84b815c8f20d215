"""The MLX form of SmolLM2-135M-Instruct's GGUF (Q4_1, Q8_0, F32), made in Python: an oracle beside our own `convert`.

Usage: smollm2_from_gguf.py FILE.gguf DIRECTORY
"""
import json
import pathlib
import sys

import gguf
import mlx.core as mx
import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

NAMES = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}


def halves(blocks, at):
    return np.ascontiguousarray(blocks[..., at : at + 2]).view(np.float16)[..., 0]


def affine(tensor):
    """Q4_1 (w = d q + m) and Q8_0 (w = d q) as weight, scales, biases: exact in float16."""
    kind = tensor.tensor_type.name
    block = {"Q4_1": 20, "Q8_0": 34}[kind]
    data = np.asarray(tensor.data, np.uint8)
    rows = int(tensor.shape[1])
    data = data.reshape(rows, -1, block)
    scales = halves(data, 0)
    if kind == "Q4_1":
        biases, packed = halves(data, 2), data[..., 4:]
        values = np.concatenate([packed & 15, packed >> 4], axis=-1).reshape(rows, -1)
        weight = values[:, 0::2] | values[:, 1::2] << 4
    else:
        biases, weight = scales * np.float16(-128), (data[..., 2:] ^ 0x80).reshape(rows, -1)
    return np.ascontiguousarray(weight).view(np.uint32), scales, biases


def unpermute(array, heads):
    """GGUF has the rows of q and k in the order of interleaved rope."""
    return array.reshape(heads, -1, 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)


def tokenizer(fields):
    tokens, kinds = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"]]
    result = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    result.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    result.decoder = decoders.ByteLevel()
    result.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, k in zip(tokens, kinds) if k == 3])
    return result


def main(source, destination):
    out = pathlib.Path(destination)
    out.mkdir(parents=True, exist_ok=True)
    reader = gguf.GGUFReader(source)
    fields = {f.name: f.contents() for f in reader.fields.values()}
    heads, kv_heads = fields["llama.attention.head_count"], fields["llama.attention.head_count_kv"]
    weights, quantization = {}, {"group_size": 32, "bits": 4, "mode": "affine"}
    for tensor in reader.tensors:
        parts = tensor.name.split(".")
        name = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}.get(parts[0])
        if name is None:
            name = f"model.layers.{parts[1]}.{NAMES[parts[2]]}"
        if tensor.tensor_type.name == "F32":
            weights[name + ".weight"] = mx.array(np.asarray(tensor.data, np.float32))
            continue
        for part, array in zip(("weight", "scales", "biases"), affine(tensor)):
            if name.endswith(("q_proj", "k_proj")):
                array = unpermute(array, heads if name.endswith("q_proj") else kv_heads)
            weights[f"{name}.{part}"] = mx.array(np.ascontiguousarray(array))
        if tensor.tensor_type.name == "Q8_0":
            quantization[name] = {"group_size": 32, "bits": 8, "mode": "affine"}
    mx.save_safetensors(str(out / "model.safetensors"), weights, metadata={"format": "mlx"})
    config = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_act": "silu",
        "hidden_size": fields["llama.embedding_length"], "intermediate_size": fields["llama.feed_forward_length"],
        "num_hidden_layers": fields["llama.block_count"], "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "max_position_embeddings": fields["llama.context_length"], "vocab_size": fields["llama.vocab_size"],
        "rms_norm_eps": 1e-5, "rope_theta": fields["llama.rope.freq_base"], "tie_word_embeddings": True,
        "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float16", "quantization": quantization,
        "quantization_config": quantization,
    }
    (out / "config.json").write_text(json.dumps(config, indent=1))
    tokenizer(fields).save(str(out / "tokenizer.json"))
    (out / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|im_start|>", "eos_token": "<|im_end|>",
        "unk_token": "<|endoftext|>", "pad_token": "<|im_end|>", "model_max_length": 8192,
        "clean_up_tokenization_spaces": False, "chat_template": fields["tokenizer.chat_template"]}, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
