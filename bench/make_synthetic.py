"""Write a random model of Phi-3-mini's shape, for measurements of speed only.

Usage: make_synthetic.py mlx DIRECTORY [--layers N]     4 bits in groups of 64, float16 scales and biases
       make_synthetic.py gguf FILE [--layers N]         Q4_0; needs the Python package gguf
Both take 4.5 bits a weight: 2.15 GB with all 32 layers.
"""
import argparse
import json
import pathlib

import numpy as np

HIDDEN, INNER, VOCAB, HEADS, CONTEXT = 3072, 8192, 32064, 32, 4096
LAYER = {"self_attn.qkv_proj": ("attn_qkv", 3 * HIDDEN, HIDDEN), "self_attn.o_proj": ("attn_output", HIDDEN, HIDDEN),
         "mlp.gate_up_proj": ("ffn_up", 2 * INNER, HIDDEN), "mlp.down_proj": ("ffn_down", HIDDEN, INNER)}
NORMS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
GROUP = 64


def write_mlx(path, layers):
    random = np.random.default_rng(1)
    matrices = {f"model.layers.{i}.{name}": shape[1:] for i in range(layers) for name, shape in LAYER.items()}
    matrices |= {"model.embed_tokens": (VOCAB, HIDDEN), "lm_head": (VOCAB, HIDDEN)}
    tensors = []  # name, dtype, shape, a function that makes the bytes
    for name, (rows, columns) in matrices.items():
        groups = rows * columns // GROUP
        scale = 0.2 / np.sqrt(columns)
        tensors.append((name + ".weight", "U32", [rows, columns // 8], lambda n=rows * columns // 2: random.bytes(n)))
        for part, value in ((".scales", scale), (".biases", -7.5 * scale)):
            tensors.append((name + part, "F16", [rows, columns // GROUP],
                            lambda n=groups, v=value: (v * random.uniform(0.9, 1.1, n)).astype(np.float16).tobytes()))
    norms = [f"model.layers.{i}.{name}" for i in range(layers) for name in NORMS] + ["model.norm"]
    tensors += [(name + ".weight", "F16", [HIDDEN], lambda: np.ones(HIDDEN, np.float16).tobytes()) for name in norms]
    header, offset = {"__metadata__": {"format": "mlx"}}, 0
    for name, dtype, shape, _ in tensors:
        size = int(np.prod(shape)) * (4 if dtype == "U32" else 2)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    path = pathlib.Path(path)
    path.mkdir(parents=True, exist_ok=True)
    with open(path / "model.safetensors", "wb") as f:
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        f.write(len(text).to_bytes(8, "little") + text)
        for _, _, _, make in tensors:
            f.write(make())
    config = {
        "model_type": "phi3", "architectures": ["Phi3ForCausalLM"], "hidden_size": HIDDEN, "intermediate_size": INNER,
        "num_hidden_layers": layers, "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "vocab_size": VOCAB,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "max_position_embeddings": 2 * CONTEXT,
        "original_max_position_embeddings": 2 * CONTEXT, "tie_word_embeddings": False,
        "quantization": {"group_size": GROUP, "bits": 4},
    }
    (path / "config.json").write_text(json.dumps(config, indent=1) + "\n")


def write_gguf(path, layers):
    import gguf

    random = np.random.default_rng(1)
    kind = gguf.GGMLQuantizationType.Q4_0
    length, size = gguf.GGML_QUANT_SIZES[kind]
    writer = gguf.GGUFWriter(path, "phi3")
    writer.add_context_length(2 * CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INNER)
    writer.add_block_count(layers)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_uint32("phi3.rope.scaling.original_context_length", 2 * CONTEXT)
    writer.add_sliding_window(0)
    writer.add_vocab_size(VOCAB)
    writer.add_tokenizer_model("no_vocab")

    def matrix(name, rows, columns):
        blocks = random.integers(0, 256, (rows * columns // length, size), dtype=np.uint8)
        blocks[:, :2] = np.frombuffer(np.float16(0.2 / np.sqrt(columns)).tobytes(), np.uint8)
        writer.add_tensor(name + ".weight", blocks.reshape(rows, -1), raw_dtype=kind)

    matrix("token_embd", VOCAB, HIDDEN)
    for layer in range(layers):
        for name in NORMS.values():
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(HIDDEN, np.float32))
        for name, rows, columns in LAYER.values():
            matrix(f"blk.{layer}.{name}", rows, columns)
    writer.add_tensor("output_norm.weight", np.ones(HIDDEN, np.float32))
    matrix("output", VOCAB, HIDDEN)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("format", choices=["mlx", "gguf"])
    parser.add_argument("path")
    parser.add_argument("--layers", type=int, default=32)
    arguments = parser.parse_args()
    (write_mlx if arguments.format == "mlx" else write_gguf)(arguments.path, arguments.layers)


if __name__ == "__main__":
    main()
