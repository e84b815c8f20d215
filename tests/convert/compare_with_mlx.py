"""Converts GGUF files with the command and checks what mlx, mlx-lm and transformers make of the directories; exit status 1 if
anything differs. Usage: compare_with_mlx.py WHISPERENGINE [FILE.gguf...]    (default: models/*.gguf beside this script)

For each: every tensor, dequantised by mlx, against the values that gguf dequantises (rows of q and k put back), bit for bit;
mlx-lm loads the directory and agrees with the command on a greedy reply, up to the first place where its two highest logits are
closer than 1e-3; a vocabulary's ids and the chat template's prompt are those of transformers on the same directory."""
import json
import pathlib
import subprocess
import sys
import tempfile

import gguf
import mlx.core as mx
import numpy as np

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "models"))
import tiny  # noqa: E402

NAMES = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_qkv": "self_attn.qkv_proj", "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj",
    "ffn_down": "mlp.down_proj",
}
ENDS = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
TEXTS = ["The capital of France is", " two  spaces\tand a tab", "naïve café, Grüße 日本 \U0001f600", "12345 and 6.5", "it's\n\n<|im_start|>x<|end|> y"]


def run(program, *command, **options):
    result = subprocess.run([program, *command], capture_output=True, **options)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:3])}: {result.stderr.decode().strip()}")
    return result.stdout


def expected(source):
    """Name in MLX's form and float32 values of every tensor of the file."""
    reader = gguf.GGUFReader(source)
    fields = {f.name: f.contents() for f in reader.fields.values()}
    arch = fields["general.architecture"]
    heads = {"attn_q": fields[f"{arch}.attention.head_count"], "attn_k": fields[f"{arch}.attention.head_count_kv"]}
    for tensor in reader.tensors:
        parts = tensor.name.split(".")
        if parts[0].startswith("rope_"):
            continue
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if parts[0] == "blk":
            kind = {"phi3": "mlp.gate_up_proj"}.get(arch, "mlp.up_proj") if parts[2] == "ffn_up" else NAMES[parts[2]]
            name = f"model.layers.{parts[1]}.{kind}.{parts[3]}"
            if arch == "llama" and parts[2] in heads:
                shape = values.shape
                values = values.reshape(heads[parts[2]], shape[0] // heads[parts[2]] // 2, 2, *shape[1:]).swapaxes(1, 2).reshape(shape)
        else:
            name = f"{ENDS[parts[0]]}.{parts[1]}"
        yield name, values


def check_values(source, directory):
    config = json.loads((directory / "config.json").read_text())
    weights = {}
    for path in directory.glob("*.safetensors"):
        weights.update(mx.load(str(path)))
    count = 0
    for name, want in expected(source):
        module, got = name.rsplit(".", 1)[0], weights[name]
        if name.endswith(".weight") and module + ".scales" in weights:
            scales, biases = weights[module + ".scales"], weights[module + ".biases"]
            bits = got.shape[1] * 32 // want.shape[1]
            entry = config["quantization"].get(module, config["quantization"])
            assert (entry["bits"], entry["group_size"]) == (bits, 32), module
            got = mx.dequantize(got, scales.astype(mx.float32), biases.astype(mx.float32), group_size=32, bits=bits)
        got = np.array(got.astype(mx.float32))
        assert got.shape == want.shape and np.array_equal(got, want), f"{name}: {np.abs(got - want).max()}"
        count += 1
    return count


def check_tokens(program, directory):
    model, config = tiny.load(str(directory))
    ids = np.random.default_rng(1).integers(0, config["vocab_size"], 40).tolist()
    reply = tiny.greedy(model, ids, 24, tiny.end_tokens(config))
    must = next((i for i, gap in enumerate(reply["gaps"]) if gap < 1e-3), len(reply["gaps"]))
    found = json.loads(run(program, "run", "-m", str(directory), "--ids", json.dumps(ids), "--max-tokens", "24", "--temp", "0", "--json",
                           "--rope-compat", "mlx"))["tokens"]
    assert found[:must] == reply["tokens"][:must], f"tokens {found[:must]}, mlx-lm's are {reply['tokens'][:must]}"
    return must


def check_text(program, directory):
    if not (directory / "tokenizer.json").exists():
        return "no vocabulary"
    from transformers import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(str(directory))
    for text in TEXTS:
        for special in (True, False):
            flags = [] if special else ["--no-special"]
            found = json.loads(run(program, "tokenize", "-m", str(directory), "--json", *flags, input=text.encode()))
            want = tokenizer.encode(text, add_special_tokens=special)
            assert found == want, f"{text!r}: ids {found}, transformers' are {want}"
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "Who?"}]
    prompt = run(program, "render", "-m", str(directory), input=json.dumps({"messages": messages}).encode()).decode()
    want = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert prompt == want, f"prompt {prompt!r}, transformers' is {want!r}"
    return f"{len(TEXTS)} texts"


def main():
    program, files = sys.argv[1], sys.argv[2:] or sorted(map(str, (HERE / "models").glob("*.gguf")))
    failures = 0
    for source in files:
        name = pathlib.Path(source).stem
        with tempfile.TemporaryDirectory() as folder:
            directory = pathlib.Path(folder) / name
            try:
                run(program, "convert", source, str(directory))
                print(f"{name:24} {check_values(source, directory)} tensors, {check_tokens(program, directory)} tokens, "
                      f"{check_text(program, directory)}", flush=True)
            except (AssertionError, RuntimeError, KeyError) as problem:
                failures += 1
                print(f"{name:24} DIFFERS: {problem!r}", flush=True)
    print(f"{failures} of these differ" if failures else "all agree")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
