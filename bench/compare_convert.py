"""Times the command's conversion against mlx-lm's on the CPU, in turn, with a random checkpoint: seconds of each run, and the command's
peak memory (as GNU time tells it). mlx-lm's time is that of its function alone, without starting Python.

Usage: compare_convert.py WHISPERENGINE [MEGABYTES [REPEATS [all]]]      (551 MB of bfloat16, 3 times; all: each format)"""
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import mlx.core as mx

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests/convert"))
import convert_oracle as oracle  # noqa: E402

OPTIONS = [{"quantize": True}, {"quantize": True, "q-bits": 3}, {"quantize": True, "q-mode": "mxfp8"}, {"dtype": "float16"}]


ALL = [{"quantize": True, "q-mode": m, "q-bits": b, "q-group-size": g} for m, b, g in oracle.FORMATS] + [{"dtype": "float16"}]


def checkpoint(folder, megabytes):
    hidden, ffn, vocab = 1536, 4096, 32000
    layers = max(1, round((megabytes * 1e6 - 2 * vocab * hidden) / (2 * (4 * hidden**2 + 3 * hidden * ffn))))
    shapes = {"model.embed_tokens.weight": (vocab, hidden), "model.norm.weight": (hidden,)}
    for i in range(layers):
        m = f"model.layers.{i}."
        shapes |= {m + f"self_attn.{n}_proj.weight": (hidden, hidden) for n in "qkvo"}
        shapes |= {m + "mlp.gate_proj.weight": (ffn, hidden), m + "mlp.up_proj.weight": (ffn, hidden), m + "mlp.down_proj.weight": (hidden, ffn)}
        shapes |= {m + f"{n}_layernorm.weight": (hidden,) for n in ("input", "post_attention")}
    mx.random.seed(1)
    mx.save_safetensors(str(folder / "model.safetensors"), {k: (mx.random.normal(s) * 0.02).astype(mx.bfloat16) for k, s in shapes.items()})
    (folder / "config.json").write_text(json.dumps({
        "model_type": "llama", "hidden_size": hidden, "intermediate_size": ffn, "num_attention_heads": 12, "num_hidden_layers": layers,
        "vocab_size": vocab, "rms_norm_eps": 1e-5, "tie_word_embeddings": True, "torch_dtype": "bfloat16"}))


def main():
    program, megabytes, repeats = sys.argv[1], *(int(n) for n in (sys.argv[2:4] + ["551", "3"][len(sys.argv[2:4]):]))
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        (folder / "source").mkdir()
        checkpoint(folder / "source", megabytes)
        peak = 0
        for number, options in enumerate(ALL if sys.argv[4:] == ["all"] else OPTIONS):
            times = [[], []]
            for repeat in range(repeats):
                started = time.time()
                ran = subprocess.run(["/usr/bin/time", "-f", "%M", program, "convert", str(folder / "source"), str(folder / f"a{number}-{repeat}"),
                                      *oracle.arguments(options, folder)], check=True, capture_output=True)
                peak = max(peak, int(ran.stderr.split()[-1]))
                times[0].append(time.time() - started)
                started = time.time()
                oracle.convert(folder / "source", folder / f"b{number}-{repeat}", options)
                times[1].append(time.time() - started)
                for name in "ab":
                    subprocess.run(["rm", "-r", str(folder / f"{name}{number}-{repeat}")], check=True)
            ours, theirs = (" ".join(f"{t:.2f}" for t in series) for series in times)
            print(f"{' '.join(oracle.arguments(options, folder)):56} {ours} s, mlx-lm {theirs} s, {min(times[1]) / min(times[0]):.1f} times", flush=True)
    print(f"peak memory of the command: {peak / 1e3:.0f} MB")


if __name__ == "__main__":
    main()
