"""Converts GGUF files with the command and checks what mlx, mlx-lm and transformers make of the directories; exit status 1 if
anything differs. Usage: compare_with_mlx.py WHISPERENGINE [FILE.gguf... | random SEED COUNT]
(default: models/*.gguf beside this script; "random" makes models of all types, shapes and orders)

For each: every tensor, dequantised by mlx, against the values that gguf dequantises (rows of q and k put back), bit for bit; what
has groups of 16 against what mlx makes of these values in 8 bits. Once more with -q and -d, against mlx's quantise and cast.
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
import make_gguf_models  # noqa: E402
import tiny  # noqa: E402
from mlx_lm.utils import load_model  # noqa: E402

mx.set_default_device(mx.cpu)

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
        yield name, values + np.float32(0), tensor.tensor_type  # no -0


def load(directory):
    weights = {}
    for path in directory.glob("*.safetensors"):
        weights.update(mx.load(str(path)))
    return weights


def check_values(source, directory):
    config = json.loads((directory / "config.json").read_text())
    weights = load(directory)
    count = 0
    for name, want, kind in expected(source):
        module, got = name.rsplit(".", 1)[0], weights[name]
        if name.endswith(".weight") and module + ".scales" in weights:
            scales, biases = weights[module + ".scales"], weights.get(module + ".biases")
            entry = config["quantization"].get(module, config["quantization"])
            mode, bits, group = (entry[k] for k in ("mode", "bits", "group_size"))
            assert (got.shape[1] * 32 // bits, scales.shape[1] * group) == (want.shape[1],) * 2, module
            if kind in make_gguf_models.AGAIN:
                want = make_gguf_models.quantised_again(want, scales.dtype)
            if mode == "affine":
                got = mx.dequantize(got, scales.astype(mx.float32), biases.astype(mx.float32), group_size=group, bits=bits)
            else:
                got = mx.dequantize(got, scales, group_size=group, bits=bits, mode=mode, dtype=mx.float32)
        got = np.array(got.astype(mx.float32))
        assert got.shape == want.shape and np.array_equal(got, want), f"{name}: {np.abs(got - want).max()}"
        count += 1
    return count


def same_bytes(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and bool(mx.all(a.view(mx.uint8) == b.view(mx.uint8)))


def check_requantised(program, source, folder, rng):
    """-q and -d: as if mlx had read the values."""
    mode, bits, group = [("affine", 3, 64), ("affine", 6, 32), ("affine", 2, 128), ("mxfp8", 8, 32), ("affine", 8, 64)][int(rng.integers(5))]
    large = max(float(np.abs(values).max()) for _, values, _ in expected(source)) > 60000
    dtype = ["float32", "bfloat16", "float16"][int(rng.integers(3 - large))]
    run(program, "convert", source, str(folder / "q"), "-q", "--q-mode", mode, "--q-bits", str(bits), "--q-group-size", str(group),
        "--dtype", dtype)
    run(program, "convert", source, str(folder / "d"), "-d", "--dtype", dtype)
    quantised, plain = load(folder / "q"), load(folder / "d")
    for name, want, _ in expected(source):
        want = mx.array(want).astype(getattr(mx, dtype))
        assert plain[name].dtype == want.dtype and mx.array_equal(plain[name], want), f"{name} dequantised"  # -0 is 0
        if want.ndim == 2 and want.shape[1] % group == 0:
            module = name.removesuffix("weight")
            for part, value in zip(("weight", "scales", "biases"), mx.quantize(want, group_size=group, bits=bits, mode=mode)):
                assert same_bytes(quantised[module + part], value), f"{module}{part} quantised, {mode} {bits} {group} {dtype}"
        else:
            assert mx.array_equal(quantised[name], want), f"{name} left as it is"
    if group <= 64:
        load_model(folder / "q")
    return f"-q -d {dtype}"


def check_tokens(program, directory):
    model, config = tiny.load(str(directory))
    ids = np.random.default_rng(1).integers(0, config["vocab_size"], 40).tolist()
    reply = tiny.greedy(model, ids, 24, tiny.end_tokens(config))
    must = next((i for i, gap in enumerate(reply["gaps"]) if gap < 1e-3), len(reply["gaps"]))
    try:
        found = json.loads(run(program, "run", "-m", str(directory), "--ids", json.dumps(ids), "--max-tokens", "24", "--temp", "0",
                               "--json", "--rope-compat", "mlx"))["tokens"]
    except RuntimeError as problem:
        if "has no kernels for quantisation" in str(problem):
            return "(no kernels)"
        raise
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
    failures, seed, scratch = 0, 0, tempfile.TemporaryDirectory()
    if files[0] == "random":
        seed = int(files[1])
        make_gguf_models.OUT = pathlib.Path(scratch.name)
        files = [make_gguf_models.random_model(np.random.default_rng([seed, n]), f"random-{seed}-{n}") for n in range(int(files[2]))]
    for number, source in enumerate(files):
        name = pathlib.Path(source).stem
        rng = np.random.default_rng([seed, number])
        with tempfile.TemporaryDirectory() as folder:
            directory = pathlib.Path(folder) / name
            try:
                run(program, "convert", source, str(directory))
                print(f"{name:24} {check_values(source, directory)} tensors, {check_tokens(program, directory)} tokens, "
                      f"{check_text(program, directory)}, {check_requantised(program, source, pathlib.Path(folder), rng)}", flush=True)
            except (AssertionError, RuntimeError, KeyError) as problem:
                failures += 1
                print(f"{name:24} DIFFERS: {problem!r}", flush=True)
    print(f"{failures} of these differ" if failures else "all agree")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
